//! What a test may do to a run, and see of it.

use std::cell::Cell;
use std::time::Duration;

use fermata_guest::*;

#[orchestrator]
async fn orders(ctx: Context) -> Result<String> {
    let paid = ctx.wait_external_event::<u32>("Paid").timeout(Duration::from_secs(60)).await?;
    ctx.call_activity("Ship", &paid).await
}

#[test]
fn a_history_reads_as_a_story() {
    let mut run = testing::start("orders", ());
    run.raise("Other", "x");
    run.raise("Paid", 30);
    run.complete("Ship", "shipped");
    assert_eq!(
        run.history(),
        [
            "started null → 0 = wait Paid; timeout 0 in 60s; await 0",
            "event Other \"x\"",
            "event Paid 30 → 1 = call Ship 30; await 1",
            "result 1 \"shipped\" → completed \"shipped\"",
        ]
    );
    assert_eq!(run.runtime_status(), "Completed");
}

#[test]
fn a_suspended_run_keeps_what_comes() {
    let mut run = testing::start("orders", ());
    run.suspend();
    assert_eq!(run.runtime_status(), "Suspended");
    run.raise("Paid", 30);
    assert_eq!(run.open_activities(), []);
    assert_eq!(run.replay().waiting_for(), ["event Paid, timeout in 60s"]);
    let mut elsewhere = run.replay();
    for run in [&mut run, &mut elsewhere] {
        run.resume();
        assert_eq!(run.open_activities().len(), 1);
        run.check_replay();
    }
}

#[test]
fn a_terminated_run_has_ended() {
    let mut run = testing::start("orders", ());
    run.terminate("the customer is gone");
    assert_eq!((run.is_running(), run.runtime_status()), (false, "Terminated"));
    let error = run.output::<String>().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), ("terminated", "the customer is gone"));
    run.raise("Paid", 30);
    assert_eq!(run.history().last().unwrap(), "terminated: the customer is gone");
    run.check_replay();
}

#[test]
#[should_panic(expected = "orchestrator `orders` has ended: it cannot be suspended")]
fn what_has_ended_cannot_be_suspended() {
    let mut run = testing::start("orders", ());
    run.terminate("enough");
    run.suspend();
}

#[test]
fn a_failed_run_is_rewound_to_before_its_failure() {
    let mut run = testing::start("orders", ());
    run.raise("Paid", 30);
    run.fail("Ship", Failure::new("NoTruck", "all trucks are out"));
    assert_eq!(run.runtime_status(), "Failed");
    run.check_replay();
    run.rewind();
    assert_eq!(run.open_activities(), [("Ship".to_owned(), "30".to_owned())]);
    run.complete("Ship", "shipped");
    assert_eq!(run.output::<String>().unwrap(), "shipped");
    assert_eq!(run.replay().output::<String>().unwrap(), "shipped");
    run.check_replay();
}

#[test]
#[should_panic(expected = "orchestrator `orders` has not failed")]
fn only_a_failure_is_rewound() {
    testing::start("orders", ()).rewind();
}

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

#[orchestrator]
async fn depends_on_something_else(ctx: Context) -> Result<()> {
    RUNS.set(RUNS.get() + 1);
    ctx.wait_external_event(&format!("Event{}", RUNS.get())).await
}

#[test]
#[should_panic(
    expected = "orchestrator `depends_on_something_else` is not deterministic: the module does not fit the history: at \
                decision 0 of step 1 (message 1), both wait for external event, but name: history says Event1, the guest Event2"
)]
fn what_is_not_deterministic_is_found_out() {
    testing::start("depends_on_something_else", ()).check_replay();
}

#[orchestrator]
async fn goes_further(ctx: Context) -> Result<()> {
    RUNS.set(RUNS.get() + 1);
    for _ in 0..RUNS.get() {
        ctx.wait_external_event::<()>("N").await?;
    }
    Ok(())
}

#[test]
#[should_panic(
    expected = "history says: complete, output null; the guest did: wait for external event, task 1, name N"
)]
fn one_that_asks_for_more_on_replay_is_found_out() {
    let mut run = testing::start("goes_further", ());
    run.raise("N", ());
    run.check_replay();
}

#[test]
#[should_panic(expected = "orchestrator `orders` is still running: it waits for event Paid, timeout in 60s")]
fn the_output_of_one_that_waits_is_not_there() {
    drop(testing::start("orders", ()).output::<String>());
}

#[test]
fn the_clock_starts_at_a_fixed_time() {
    let run = testing::start("orders", ());
    assert_eq!(run.now(), Timestamp::from_millis(1_600_000_000_000.0));
}

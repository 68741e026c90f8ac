//! Orchestrators that continue as new.

use std::time::Duration;

use fermata_guest::*;
use futures::{FutureExt, select_biased};

#[orchestrator("Counter")]
async fn counter(ctx: Context, mut sum: u32) -> Result<u32> {
    ctx.set_custom_status(sum);
    for _ in 0..3 {
        match ctx.wait_external_event::<u32>("Add").await? {
            0 => return Ok(sum),
            number => sum += number,
        }
    }
    ctx.continue_as_new(&sum).await
}

#[test]
fn a_run_goes_on_through_its_generations() {
    let mut run = testing::start("Counter", 0);
    for number in 1..=7 {
        run.raise("Add", number);
    }
    assert_eq!((run.generation(), run.custom_status()), (2, Some("21".to_owned())));
    assert_eq!(run.history().len(), 2, "the history of this generation alone");
    run.raise("Add", 0);
    assert_eq!(run.output::<u32>().unwrap(), 28);
    run.check_replay();
    assert_eq!(run.replay().output::<u32>().unwrap(), 28);
}

#[test]
fn events_that_were_not_read_are_for_the_next_generation() {
    let mut run = testing::start("Counter", 0);
    run.suspend();
    for number in [1, 2, 3, 4, 0] {
        run.raise("Add", number);
    }
    assert_eq!(run.runtime_status(), "Suspended");
    run.resume();
    assert_eq!((run.generation(), run.output::<u32>().unwrap()), (1, 10));
    run.check_replay();
}

#[orchestrator("Leaves")]
async fn leaves_things_behind(ctx: Context, generation: u32) -> Result<Vec<u32>> {
    let open = ctx.wait_external_event::<u32>("Open");
    let first = ctx.wait_external_event::<u32>("N");
    if generation == 0 {
        let _timer = ctx.create_timer(Duration::from_secs(60));
        drop(ctx.call_activity::<()>("work", &()));
        ctx.wait_external_event::<()>("Go").await?;
        return ctx.continue_as_new(&1).await;
    }
    let second = ctx.wait_external_event::<u32>("N");
    ctx.task_all(vec![first, second, open]).await
}

#[test]
fn events_that_were_not_taken_are_carried_over_in_order_and_the_rest_is_left() {
    let mut run = testing::start("Leaves", 0);
    // The first is bound to a wait that is never asked for its result, the second is buffered.
    run.raise("N", 1);
    run.raise("N", 2);
    run.raise("Go", ());
    assert_eq!((run.generation(), run.open_activities(), run.skip_to_next_timer()), (1, vec![], None));
    run.raise("Open", 3);
    assert_eq!(run.output::<Vec<u32>>().unwrap(), [1, 2, 3]);
    run.check_replay();
}

async fn helper(ctx: &Context, round: u32) -> Result<u32> {
    if round < 3 {
        // Neither `?` nor a match of the caller sees anything of it.
        let never: Result<u32> = ctx.continue_as_new_on_same_module(&(round + 1)).await;
        never.map(|_| unreachable!("it does not come back"))
    } else {
        Ok(round)
    }
}

#[orchestrator("Helped")]
async fn helped(ctx: Context, round: u32) -> Result<(u32, bool)> {
    let execution = ctx.execution_id();
    assert_eq!(ctx.orchestrator_name(), "Helped");
    assert_eq!(ctx.module_digest().len(), 64);
    match helper(&ctx, round).await {
        Ok(round) => Ok((round, execution == "execution-4")),
        Err(_) => Ok((0, false)),
    }
}

#[test]
fn it_works_inside_other_functions_and_each_generation_has_its_execution() {
    let run = testing::start("Helped", 0);
    assert_eq!(run.output::<(u32, bool)>().unwrap(), (3, true));
    assert_eq!(run.generation(), 3);
    run.check_replay();
}

#[orchestrator("Undecided")]
async fn undecided(ctx: Context) -> Result<&'static str> {
    let mut ready = std::future::ready(()).fuse();
    let mut next = ctx.continue_as_new::<()>(&());
    select_biased! {
        () = next => {}
        () = ready => {}
    }
    drop(next);
    ctx.wait_external_event::<()>("Go").await?;
    Ok("went on")
}

#[test]
fn one_that_is_dropped_is_forgotten() {
    let mut run = testing::start("Undecided", ());
    run.raise("Go", ());
    assert_eq!(run.output::<String>().unwrap(), "went on");
    run.check_replay();
}

#[orchestrator("Restless")]
async fn restless(ctx: Context) -> Result<()> {
    ctx.continue_as_new(&()).await
}

#[test]
#[should_panic(expected = "orchestrator `Restless` continues as new for ever")]
fn one_that_never_waits_is_found_out() {
    testing::start("Restless", ());
}

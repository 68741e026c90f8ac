//! Timers, timeouts, and the time that a test lets pass.

use std::time::Duration;

use fermata_guest::*;
use futures::FutureExt;

const MINUTE: Duration = Duration::from_secs(60);

#[orchestrator]
async fn three_timers(ctx: Context) -> Result<Vec<f64>> {
    let start = ctx.current_utc_time();
    let timers = [3, 1, 2].map(|minutes| {
        let timer = ctx.create_timer(MINUTE * minutes);
        let ctx = ctx.clone();
        timer.map(move |_| ctx.current_utc_time().since(start).as_secs_f64())
    });
    Ok(futures::future::join_all(timers).await)
}

#[test]
fn each_timer_is_due_at_its_own_time_however_much_passes() {
    let mut run = testing::start("three_timers", ());
    assert_eq!(run.waiting_for(), ["timer in 180s", "timer in 60s", "timer in 120s"]);
    run.advance(MINUTE / 2);
    assert_eq!(run.waiting_for()[1], "timer in 30s");
    run.advance(MINUTE * 60);
    assert_eq!(run.output::<Vec<f64>>().unwrap(), [180.0, 60.0, 120.0]);
    run.check_replay();
}

#[test]
fn a_test_may_skip_from_timer_to_timer() {
    let mut run = testing::start("three_timers", ());
    let start = run.now();
    run.advance(MINUTE / 2);
    assert_eq!(run.skip_to_next_timer(), Some(MINUTE / 2));
    assert_eq!(run.skip_to_next_timer(), Some(MINUTE));
    assert!(run.is_running());
    assert_eq!(run.skip_to_next_timer(), Some(MINUTE));
    assert_eq!(run.skip_to_next_timer(), None);
    assert_eq!(run.now().since(start), MINUTE * 3);
    assert!(!run.is_running());
}

#[orchestrator]
async fn past_timers(ctx: Context) -> Result<f64> {
    let start = ctx.current_utc_time();
    ctx.create_timer(start - MINUTE).await?;
    ctx.create_timer(Duration::ZERO).await?;
    Ok(ctx.current_utc_time().since(start).as_secs_f64())
}

#[test]
fn a_timer_that_is_due_in_the_past_is_due_at_once() {
    let run = testing::start("past_timers", ());
    assert_eq!(run.output::<f64>().unwrap(), 0.0);
    assert_eq!(run.calls(), ["0 = timer now", "await 0", "1 = timer now", "await 1"]);
    run.check_replay();
}

#[orchestrator]
async fn gives_a_timer_up(ctx: Context) -> Result<bool> {
    drop(ctx.create_timer(MINUTE));
    let cancelled = ctx.create_timer(MINUTE).cancel();
    ctx.wait_external_event::<()>("Go").await?;
    Ok(cancelled)
}

#[test]
fn a_timer_that_is_dropped_or_cancelled_is_never_due() {
    let mut run = testing::start("gives_a_timer_up", ());
    assert_eq!(run.skip_to_next_timer(), None);
    assert_eq!(run.calls(), ["0 = timer in 60s", "cancel 0", "1 = timer in 60s", "cancel 1", "2 = wait Go", "await 2"]);
    run.raise("Go", ());
    assert!(run.output::<bool>().unwrap());
    run.check_replay();
}

#[orchestrator]
async fn answer_or_reminder(ctx: Context) -> Result<String> {
    let answer = ctx.wait_external_event::<String>("Answer");
    let reminder = ctx.create_timer(MINUTE);
    if ctx.task_any((&answer, &reminder)).await == reminder {
        ctx.call_activity::<()>("Remind", &()).await?;
    }
    answer.await
}

#[test]
fn an_event_and_a_timer_race() {
    let mut early = testing::start("answer_or_reminder", ());
    early.advance(MINUTE - Duration::from_millis(1));
    early.raise("Answer", "soon");
    assert_eq!(early.output::<String>().unwrap(), "soon");
    assert_eq!(early.calls(), ["0 = wait Answer", "1 = timer in 60s", "any of [0, 1]", "result of 0", "cancel 1"]);
    early.check_replay();

    let mut late = testing::start("answer_or_reminder", ());
    late.advance(MINUTE);
    assert_eq!(late.open_activities().len(), 1);
    late.complete("Remind", ());
    late.raise("Answer", "late");
    assert_eq!(late.output::<String>().unwrap(), "late");
    late.check_replay();
}

#[orchestrator]
async fn times_out(ctx: Context) -> Result<String> {
    match ctx.wait_external_event::<String>("Answer").timeout(MINUTE).await {
        Err(error) if error.is_timeout() => Ok(format!("{}: {error}", error.kind())),
        result => result,
    }
}

#[test]
fn a_wait_that_times_out_fails_and_says_so() {
    let mut run = testing::start("times_out", ());
    assert_eq!(run.waiting_for(), ["event Answer, timeout in 60s"]);
    run.advance(MINUTE);
    assert_eq!(run.output::<String>().unwrap(), "timeout: no event \"Answer\" came in time");
    assert_eq!(run.calls(), ["0 = wait Answer", "timeout 0 in 60s", "await 0"]);
    run.check_replay();

    let mut run = testing::start("times_out", ());
    run.raise("Answer", "in time");
    assert_eq!(run.skip_to_next_timer(), None);
    assert_eq!(run.output::<String>().unwrap(), "in time");
    run.check_replay();
}

#[test]
fn an_event_accepted_before_the_deadline_beats_it_however_late_it_is_read() {
    let mut run = testing::start("times_out", ());
    run.suspend();
    run.raise("Answer", "in time");
    run.advance(MINUTE * 5);
    run.resume();
    assert_eq!(run.output::<String>().unwrap(), "in time");
    run.check_replay();
}

#[orchestrator]
async fn defaults(ctx: Context) -> Result<(u32, Option<u32>, ())> {
    let number = ctx.wait_external_event::<u32>("Number").timeout(MINUTE).or_default(7);
    let nothing = ctx.call_activity::<Option<u32>>("work", &()).timeout(MINUTE * 2).or_default(None);
    let timer = ctx.create_timer(MINUTE * 9).timeout(MINUTE * 3).or_default(());
    ctx.task_all((number, nothing, timer)).await
}

#[test]
fn a_default_takes_the_place_of_what_is_late() {
    let mut run = testing::start("defaults", ());
    run.advance(MINUTE * 2);
    assert_eq!(run.open_activities(), [], "the activity is given up");
    run.advance(MINUTE);
    assert_eq!(run.output::<(u32, Option<u32>, ())>().unwrap(), (7, None, ()));
    // With a default nothing here fails of lateness: the host is asked for all at once.
    assert_eq!(run.calls().last().unwrap(), "all of [0, 1, 2]");
    run.check_replay();
}

#[orchestrator]
async fn defaults_without_timeout(ctx: Context) -> Result<u32> {
    ctx.wait_external_event("Number").or_default(7).await
}

#[test]
#[should_panic(expected = "the default of event `Number` needs a timeout before it")]
fn a_default_without_a_timeout_panics() {
    testing::start("defaults_without_timeout", ());
}

#[orchestrator]
async fn postpones(ctx: Context) -> Result<String> {
    let answer = ctx.wait_external_event::<String>("Answer").timeout(MINUTE);
    let more = ctx.wait_external_event::<u32>("More");
    let answer = match ctx.task_any((&answer, &more)).await == more {
        true => answer.timeout(MINUTE * more.await?),
        false => answer,
    };
    Ok(answer.await.unwrap_or_else(|error| error.kind().to_owned()))
}

#[test]
fn a_timeout_replaces_the_one_before() {
    let mut run = testing::start("postpones", ());
    run.raise("More", 10);
    run.advance(MINUTE * 9);
    assert!(run.is_running());
    run.advance(MINUTE);
    assert_eq!(run.output::<String>().unwrap(), "timeout");
    run.check_replay();
}

/// Two waits with timeouts, and an activity; whatever of them fails, the others' events are there afterwards.
#[orchestrator]
async fn all_with_timeouts(ctx: Context) -> Result<Vec<String>> {
    let all = (
        ctx.wait_external_event::<u32>("A").timeout(MINUTE),
        ctx.wait_external_event::<u32>("B").timeout(MINUTE * 2),
        ctx.call_activity::<u32>("work", &()),
    );
    let told = match ctx.task_all(all).await {
        Ok(all) => format!("{all:?}"),
        Err(error) => format!("{} {}", error.kind(), error.error_type()),
    };
    let mut left = Vec::new();
    for name in ["A", "B"] {
        left.push(ctx.wait_external_event::<u32>(name).timeout(Duration::ZERO).or_default(0).await?.to_string());
    }
    Ok([vec![told], left].concat())
}

#[test]
fn task_all_fails_of_a_timeout_and_takes_no_event_that_it_does_not_give_out() {
    let mut timeout = testing::start("all_with_timeouts", ());
    timeout.raise("B", 2);
    timeout.complete("work", 3);
    timeout.advance(MINUTE);
    assert_eq!(timeout.output::<Vec<String>>().unwrap(), ["timeout ", "0", "2"]);
    timeout.check_replay();

    let mut failure = testing::start("all_with_timeouts", ());
    failure.raise("B", 2);
    failure.raise("A", 1);
    failure.advance(MINUTE * 10);
    failure.fail("work", Failure::new("Broken", "no"));
    assert_eq!(failure.output::<Vec<String>>().unwrap(), ["application Broken", "1", "2"]);
    failure.check_replay();

    let mut success = testing::start("all_with_timeouts", ());
    success.raise("B", 2);
    success.complete("work", 3);
    success.raise("A", 1);
    assert_eq!(success.output::<Vec<String>>().unwrap(), ["(1, 2, 3)", "0", "0"]);
    success.check_replay();
}

#[orchestrator]
async fn lends_to_task_all(ctx: Context) -> Result<(String, u32)> {
    let tasks =
        [ctx.wait_external_event::<u32>("A").timeout(MINUTE), ctx.wait_external_event::<u32>("B").timeout(MINUTE * 2)];
    let error = ctx.task_all(&tasks).await.unwrap_err();
    let [a, b] = tasks;
    assert!(a.await.unwrap_err().is_timeout());
    Ok((error.kind().to_owned(), b.await?))
}

#[test]
fn a_wait_lent_to_a_task_all_that_timed_out_goes_on() {
    let mut run = testing::start("lends_to_task_all", ());
    run.advance(MINUTE);
    run.raise("B", 2);
    assert_eq!(run.output::<(String, u32)>().unwrap(), ("timeout".to_owned(), 2));
    run.check_replay();
}

#[orchestrator]
async fn lets_a_timeout_through(ctx: Context) -> Result<u32> {
    ctx.wait_external_event("Answer").timeout(MINUTE).await
}

#[test]
fn a_timeout_that_leaves_the_guest_is_the_applications_and_tells_what_it_was() {
    let mut run = testing::start("lets_a_timeout_through", ());
    run.advance(MINUTE);
    let error = run.output::<u32>().unwrap_err();
    assert!(!error.is_timeout());
    assert_eq!(error.into_failure().details, "in event `Answer`\nkind: timeout");
}

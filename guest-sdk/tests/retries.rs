//! Retry policies of activities and sub-orchestrations.

use std::time::Duration;

use fermata_guest::*;

const SECOND: Duration = Duration::from_secs(1);

fn broken(error_type: &str) -> Failure {
    Failure::new(error_type, "it did not work")
}

#[orchestrator]
async fn retries(ctx: Context) -> Result<u32> {
    let policy = RetryPolicy::new(4, SECOND).backoff(3.0).max_interval(SECOND * 5).non_retryable(["Hopeless", "Never"]);
    ctx.call_activity_with_retry("work", policy, &1).await
}

#[test]
fn a_failed_attempt_is_followed_by_another_at_its_time() {
    let mut run = testing::start("retries", ());
    for (interval, attempt) in [(1, 2), (3, 3), (5, 4)] {
        run.fail("work", broken("Busy"));
        assert_eq!(run.open_activities(), []);
        assert_eq!(run.waiting_for(), [format!("activity work, attempt {attempt} in {interval}s")]);
        assert_eq!(run.skip_to_next_timer(), Some(SECOND * interval));
        assert_eq!(run.waiting_for(), [format!("activity work, attempt {attempt}")]);
    }
    let mut failed = run.replay();
    run.complete("work", 7);
    assert_eq!(run.output::<u32>().unwrap(), 7);
    assert_eq!(run.calls(), ["0 = call work 1", "retry 0", "await 0"]);
    run.check_replay();

    failed.fail("work", broken("Last"));
    assert_eq!(failed.output::<u32>().unwrap_err().error_type(), "Last");
    failed.check_replay();
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    for failure in [broken("Hopeless"), broken("Never"), broken("Busy").non_retryable()] {
        let mut run = testing::start("retries", ());
        run.fail("work", failure.clone());
        assert_eq!(run.output::<u32>().unwrap_err().error_type(), failure.error_type);
        run.check_replay();
    }
}

#[activity]
fn third_time_lucky(ctx: ActivityContext) -> Result<String> {
    match ctx.attempt() {
        3 => Ok(ctx.task_key().to_owned()),
        attempt => Err(Error::new(format!("attempt {attempt} fails"))),
    }
}

#[orchestrator]
async fn calls_the_lucky_one(ctx: Context) -> Result<(String, String)> {
    let policy = &RetryPolicy::new(3, SECOND);
    let key = ctx.call_activity("third_time_lucky", &()).retry(policy).await?;
    Ok((ctx.execution_id(), key))
}

#[test]
fn the_activities_of_the_program_are_tried_again_and_keep_their_key() {
    let mut run = testing::start("calls_the_lucky_one", ());
    while run.is_running() {
        run.run_activities();
        run.skip_to_next_timer();
    }
    let (execution, key) = run.output::<(String, String)>().unwrap();
    assert_eq!(key, format!("{execution}-0"));
    run.check_replay();
}

#[orchestrator]
async fn hurries(ctx: Context) -> Result<String> {
    let policy = RetryPolicy::new(10, SECOND).attempt_timeout(SECOND * 10).timeout(SECOND * 30);
    let call = ctx.call_activity::<()>("work", &()).retry(policy);
    Ok(match call.await {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{} after {:?}", error.kind(), ctx.current_utc_time()),
    })
}

#[test]
fn an_attempt_that_takes_too_long_fails_and_the_whole_has_its_limit() {
    let mut run = testing::start("hurries", ());
    let start = run.now();
    run.advance(SECOND * 10);
    assert_eq!(run.waiting_for(), ["activity work, attempt 2 in 1s"]);
    run.advance(SECOND * 60);
    let end = start + SECOND * 30;
    assert_eq!(run.output::<String>().unwrap(), format!("timeout after {end:?}"));
    run.check_replay();
}

#[orchestrator]
async fn one_retry_in_a_race(ctx: Context) -> Result<String> {
    let call = ctx.call_activity::<()>("work", &()).retry(RetryPolicy::new(5, SECOND * 10)).timeout(SECOND * 15);
    let stop = ctx.wait_external_event::<()>("Stop");
    let winner = ctx.task_any((&call, &stop)).await;
    Ok(if winner == stop { "stopped".to_owned() } else { call.await.unwrap_err().kind().to_owned() })
}

#[test]
fn all_attempts_are_one_task() {
    let mut run = testing::start("one_retry_in_a_race", ());
    run.fail("work", broken(""));
    run.raise("Stop", ());
    assert_eq!(run.output::<String>().unwrap(), "stopped");
    run.check_replay();

    let mut run = testing::start("one_retry_in_a_race", ());
    run.fail("work", broken(""));
    run.advance(SECOND * 10);
    assert_eq!(run.open_activities().len(), 1);
    run.advance(SECOND * 5);
    assert_eq!(run.output::<String>().unwrap(), "timeout");
    run.check_replay();
}

#[orchestrator]
async fn retries_a_wait(ctx: Context) -> Result<()> {
    ctx.wait_external_event("A").retry(RetryPolicy::new(2, SECOND)).await
}

#[test]
#[should_panic(expected = "a retry policy is for activities and sub-orchestrations, and this is event `A`")]
fn a_wait_is_not_retried() {
    testing::start("retries_a_wait", ());
}

#[orchestrator]
async fn retries_too_late(ctx: Context) -> Result<()> {
    let call = ctx.call_activity("work", &());
    ctx.wait_external_event::<()>("Go").await?;
    call.retry(RetryPolicy::new(2, SECOND)).await
}

#[test]
#[should_panic(expected = "the retry policy of task 0 comes too late")]
fn a_policy_comes_with_the_call() {
    testing::start("retries_too_late", ()).raise("Go", ());
}

#[test]
#[should_panic(expected = "at least one attempt")]
fn a_policy_without_attempts_is_refused() {
    drop(RetryPolicy::new(0, SECOND));
}

#[test]
#[should_panic(expected = "a number from 1 on")]
fn intervals_do_not_shrink() {
    drop(RetryPolicy::new(2, SECOND).backoff(0.5));
}

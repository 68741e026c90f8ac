//! Sub-orchestrations, instances that nobody waits for, and events between instances.

use std::time::Duration;

use fermata_guest::*;

const MINUTE: Duration = Duration::from_secs(60);

#[orchestrator]
async fn double(ctx: Context, number: u32) -> Result<u32> {
    if number == 13 {
        return Err(Failure::new("Unlucky", "13 is not doubled").into());
    }
    ctx.call_activity("add", &(number, number)).await
}

#[activity]
fn add((one, other): (u32, u32)) -> u32 {
    one + other
}

#[orchestrator]
async fn doubles(ctx: Context, numbers: Vec<u32>) -> Result<Vec<u32>> {
    let children: Vec<_> = numbers.iter().map(|number| ctx.call_sub_orchestrator("double", number)).collect();
    ctx.task_all(children).await
}

#[test]
fn the_orchestrators_of_the_program_are_run_as_children() {
    let mut run = testing::start("doubles", [1, 2]);
    let open = run.open_sub_orchestrations();
    assert_eq!(open[1], ("double".to_owned(), "execution-1:1".to_owned(), "2".to_owned()));
    assert_eq!(run.waiting_for(), ["sub-orchestration double", "sub-orchestration double"]);
    run.run_sub_orchestrations();
    assert_eq!(run.output::<Vec<u32>>().unwrap(), [2, 4]);
    assert_eq!(run.calls(), ["0 = child double 1", "1 = child double 2", "all of [0, 1]"]);
    run.check_replay();
}

#[test]
fn the_failure_of_a_child_is_that_of_its_task() {
    let mut run = testing::start("doubles", [1, 13]);
    run.run_sub_orchestrations();
    let error = run.output::<Vec<u32>>().unwrap_err();
    assert_eq!((error.kind(), error.error_type()), ("application", "Unlucky"));
    run.check_replay();
}

#[test]
fn a_test_may_play_the_children() {
    let mut run = testing::start("doubles", [1, 2]);
    run.complete_sub_orchestration("double", 10);
    assert_eq!(run.open_sub_orchestrations().len(), 1);
    run.fail_sub_orchestration("double", Failure::new("Tired", "no more"));
    assert_eq!(run.output::<Vec<u32>>().unwrap_err().error_type(), "Tired");
    run.check_replay();
}

#[orchestrator]
async fn calls_nobody(ctx: Context) -> String {
    ctx.call_sub_orchestrator::<()>("nobody", &()).await.unwrap_err().kind().to_owned()
}

#[test]
fn a_child_that_no_module_holds_is_not_found() {
    let mut run = testing::start("calls_nobody", ());
    run.run_sub_orchestrations();
    assert_eq!(run.output::<String>().unwrap(), "not-found");
}

#[orchestrator]
async fn asks_its_parent(ctx: Context) -> Result<(String, u32)> {
    let parent = ctx.parent_instance_id().expect("it is a child");
    ctx.raise_event(&parent, "Progress", &1);
    ctx.create_timer(MINUTE * ctx.input::<u32>()?).await?;
    let answer = ctx.wait_external_event("Answer").await?;
    Ok((ctx.instance_id(), answer))
}

#[orchestrator]
async fn talks_to_its_child(ctx: Context, minutes: u32) -> Result<(String, u32, bool)> {
    assert_eq!(ctx.parent_instance_id(), None);
    let child = ctx.call_sub_orchestrator_with_id("asks_its_parent", "the-child", &minutes).timeout(MINUTE * 5);
    ctx.raise_event("the-child", "Answer", &42);
    let progress = ctx.wait_external_event::<u32>("Progress").timeout(MINUTE * 6);
    let (id, answer): (String, u32) = child.await?;
    Ok((id, answer, progress.await? == 1))
}

#[test]
fn parent_and_child_send_each_other_events_and_share_the_time() {
    let mut run = testing::start("talks_to_its_child", 3);
    assert_eq!(run.sent_events(), [("the-child".to_owned(), "Answer".to_owned(), "42".to_owned())]);
    let start = run.now();
    run.run_sub_orchestrations();
    assert_eq!(run.output::<(String, u32, bool)>().unwrap(), ("the-child".to_owned(), 42, true));
    assert_eq!(run.now().since(start), MINUTE * 3);
    run.check_replay();
}

#[test]
fn a_child_that_takes_too_long_goes_on_unheard() {
    let mut run = testing::start("talks_to_its_child", 10);
    run.run_sub_orchestrations();
    let error = run.output::<(String, u32, bool)>().unwrap_err();
    assert!(error.into_failure().details.contains("kind: timeout"));
    run.check_replay();
}

#[orchestrator]
async fn waits_for_the_world(ctx: Context) -> Result<()> {
    ctx.wait_external_event("Never").await
}

#[orchestrator]
async fn has_a_waiting_child(ctx: Context) -> Result<()> {
    ctx.call_sub_orchestrator("waits_for_the_world", &()).await
}

#[test]
#[should_panic(expected = "sub-orchestration `waits_for_the_world` waits for event Never")]
fn a_child_that_waits_for_an_event_is_for_the_test_to_end() {
    testing::start("has_a_waiting_child", ()).run_sub_orchestrations();
}

#[orchestrator]
async fn flaky(ctx: Context) -> Result<String> {
    match ctx.call_activity("third_execution", &ctx.execution_id()).await? {
        true => Ok(ctx.instance_id()),
        false => Err(Error::new("not yet")),
    }
}

#[activity]
fn third_execution(execution: String) -> bool {
    execution == "execution-4"
}

#[orchestrator]
async fn has_a_flaky_child(ctx: Context) -> Result<String> {
    ctx.call_sub_orchestrator_with_retry("flaky", RetryPolicy::new(3, MINUTE), &()).await
}

#[test]
fn a_child_that_failed_is_started_again_under_the_same_id() {
    let mut run = testing::start("has_a_flaky_child", ());
    let start = run.now();
    run.run_sub_orchestrations();
    assert_eq!(run.open_sub_orchestrations(), []);
    assert_eq!(run.waiting_for(), ["sub-orchestration flaky, attempt 2 in 60s"]);
    while run.is_running() {
        run.skip_to_next_timer();
        run.run_sub_orchestrations();
    }
    assert_eq!(run.output::<String>().unwrap(), "execution-1:0");
    assert_eq!(run.now().since(start), MINUTE * 2);
    run.check_replay();
}

#[orchestrator]
async fn starts_others(ctx: Context) -> Result<Vec<String>> {
    let ids = vec![
        ctx.start_orchestrator("double", &1),
        ctx.start_orchestrator("double", &2),
        ctx.start_orchestrator_with_id("double", "third", &3),
    ];
    ctx.raise_event("third", "Hello", &());
    ctx.raise_event(&ctx.instance_id(), "Self", &"note");
    assert_eq!(ctx.wait_external_event::<String>("Self").await?, "note");
    Ok(ids)
}

#[test]
fn what_is_started_and_sent_without_waiting_is_told() {
    let run = testing::start("starts_others", ());
    let ids: Vec<String> = run.output().unwrap();
    assert_eq!(ids, ["execution-1:n0", "execution-1:n1", "third"]);
    let started = run.started_orchestrations();
    assert_eq!(started[2], ("double".to_owned(), "third".to_owned(), "3".to_owned()));
    assert_eq!(started.len(), 3);
    assert_eq!(run.sent_events(), [("third".to_owned(), "Hello".to_owned(), "null".to_owned())]);
    run.check_replay();
}

#[orchestrator]
async fn picks_a_bad_id(ctx: Context) -> String {
    ctx.start_orchestrator_with_id("double", "a/b", &1)
}

#[test]
#[should_panic(expected = "an instance id has 1 to 256 bytes")]
fn a_bad_id_is_refused() {
    testing::start("picks_a_bad_id", ());
}

//! What goes wrong, and what an orchestrator and its caller see of it.

use std::fmt;

use fermata_guest::*;

#[orchestrator]
async fn catches(ctx: Context) -> Result<String> {
    match ctx.wait_external_event::<bool>("Approval").await {
        Ok(_) => Ok("fits".to_owned()),
        Err(Error::Payload(mismatch)) => Ok(format!("{} is no {}", mismatch.found, mismatch.expected)),
        Err(error) => Err(error),
    }
}

#[test]
fn a_payload_that_does_not_fit_can_be_caught() {
    let mut run = testing::start("catches", ());
    run.raise_json("Approval", r#"{"a": 1}"#);
    assert_eq!(run.output::<String>().unwrap(), r#"{"a": 1} is no bool"#);
    run.check_replay();
}

#[orchestrator]
async fn takes_a_number(_ctx: Context, number: u32) -> u32 {
    number
}

#[test]
fn input_that_does_not_fit_fails_with_its_own_kind() {
    let error = testing::start("takes_a_number", "many").output::<u32>().unwrap_err();
    assert_eq!(error.error_type(), "PayloadMismatch");
    let failure = error.into_failure();
    assert_eq!(failure.kind, "payload");
    assert!(
        failure.message.starts_with("the input of orchestrator `takes_a_number` does not fit the type u32"),
        "{failure}"
    );
    assert_eq!(testing::start("takes_a_number", 3).output::<u32>().unwrap(), 3);
}

#[derive(Debug)]
enum PermitError {
    Missing(std::num::ParseIntError),
}

impl fmt::Display for PermitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such permit")
    }
}

impl std::error::Error for PermitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let Self::Missing(cause) = self;
        Some(cause)
    }
}

#[activity]
fn find_permit(number: String) -> Result<u32> {
    Ok(number.parse::<u32>().map_err(PermitError::Missing)?)
}

#[activity]
fn typed_error() -> Result<(), PermitError> {
    Err(PermitError::Missing("x".parse::<u32>().unwrap_err()))
}

#[activity]
fn text_error() -> Result<(), String> {
    Err("plain words".to_owned())
}

#[activity]
fn own_failure() -> Result<(), Failure> {
    Err(Failure::new("Closed", "the office is closed").non_retryable())
}

#[orchestrator]
async fn calls_them_all(ctx: Context) -> Vec<Failure> {
    let mut failures = Vec::new();
    for name in ["find_permit", "typed_error", "text_error", "own_failure"] {
        let result = ctx.call_activity::<()>(name, "x").await;
        failures.push(result.unwrap_err().into_failure());
    }
    failures
}

#[test]
fn every_kind_of_error_arrives_with_its_words() {
    let mut run = testing::start("calls_them_all", ());
    run.run_activities();
    let failures: Vec<Failure> = run.output().unwrap();
    let told: Vec<_> = failures.iter().map(|failure| (failure.error_type.as_str(), failure.message.as_str())).collect();
    assert_eq!(
        told,
        [
            ("PermitError", "there is no such permit"),
            ("PermitError", "there is no such permit"),
            ("", "plain words"),
            ("Closed", "the office is closed"),
        ]
    );
    assert!(failures.iter().all(|failure| failure.kind == "application"));
    assert_eq!(failures[0].details, "caused by: invalid digit found in string\nin activity `find_permit`");
    assert!(failures[3].non_retryable && !failures[0].non_retryable);
}

#[orchestrator]
async fn passes_on(ctx: Context) -> Result<()> {
    ctx.call_activity("work", &()).await
}

#[test]
fn a_failure_of_the_host_becomes_the_applications_where_it_leaves_the_guest() {
    let mut run = testing::start("passes_on", ());
    run.fail("work", Failure { kind: "trap".to_owned(), ..Failure::new("", "out of memory") });
    let failure = run.output::<()>().unwrap_err().into_failure();
    assert_eq!((failure.kind.as_str(), failure.details.as_str()), ("application", "in activity `work`\nkind: trap"));
}

#[orchestrator]
async fn waits_for_nothing(ctx: Context) {
    let _open = ctx.wait_external_event::<()>("N");
    std::future::pending().await
}

#[test]
fn to_wait_for_something_else_is_an_error_that_says_so() {
    let run = testing::start("waits_for_nothing", ());
    let error = run.output::<()>().unwrap_err();
    assert_eq!(error.error_type(), "OrchestratorMisuse");
    assert!(error.to_string().contains("not a Fermata task"), "{error}");
}

#[orchestrator]
async fn nests(ctx: Context) -> Result<()> {
    futures_executor::block_on(ctx.wait_external_event("N"))
}

#[test]
#[should_panic(expected = "cannot execute `LocalPool` executor from within another executor")]
fn block_on_inside_is_refused() {
    testing::start("nests", ());
}

#[orchestrator]
async fn starts_another() -> Result<()> {
    testing::start("nests", ()).output()
}

#[test]
fn a_second_executor_inside_is_refused() {
    let error = testing::start("starts_another", ()).output::<()>().unwrap_err();
    assert!(error.to_string().contains("an executor is run inside another one"), "{error}");
}

#[orchestrator]
async fn chooses_from_nothing(ctx: Context) -> usize {
    ctx.task_any(&Vec::<Task<u32>>::new()).await.index()
}

#[test]
#[should_panic(expected = "task_any was given no task")]
fn task_any_of_nothing_panics() {
    testing::start("chooses_from_nothing", ());
}

#[test]
fn an_unknown_orchestrator_is_an_error() {
    let error = testing::start("nobody", ()).output::<()>().unwrap_err();
    assert!(error.to_string().contains("holds no orchestrator `nobody`"), "{error}");
}

mod twins {
    #[fermata_guest::activity("twin")]
    fn one() {}

    #[fermata_guest::activity("twin")]
    fn other() {}
}

#[test]
fn two_of_one_name_are_refused_and_the_rest_is_sorted() {
    let error = std::panic::catch_unwind(testing::activities).unwrap_err();
    let message = error.downcast_ref::<String>().unwrap();
    assert_eq!(message, "two activities of this module are named `twin`: give one of them another name");
    assert!(testing::orchestrators().is_sorted());
}

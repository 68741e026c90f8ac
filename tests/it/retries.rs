//! Activities that fail, and who serves them: retries, timeouts, HTTP endpoints, other modules, limits.

use std::time::Duration;

use serde_json::json;
use tests::endpoint::{Answer, Endpoint};

use super::{Fresh, RESIDENCIES};

#[test]
fn an_activity_is_tried_again_with_the_same_key_until_it_succeeds() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Tries", r#"{"fail":2,"max_attempts":3,"interval":5}"#);
        let output = host.output(&id);
        assert_eq!(output["attempt"], 3);
        assert!(output["key"].as_str().unwrap().ends_with("-0"));
        let spent = host.start("Tries", r#"{"fail":3,"max_attempts":3,"interval":5}"#);
        let status = host.ended(&spent);
        assert_eq!(status["output"], "attempt 3 fails");
        assert_eq!(status["failure"]["errorType"], "NotYet");
        let history = host.details(&spent)["historyEvents"].to_string();
        assert_eq!(history.matches("TaskFailed").count(), 3, "each attempt is there to be seen: {history}");
    }
}

#[test]
fn a_retry_that_waits_goes_on_after_a_kill() {
    let mut host = Fresh::start();
    let id = host.start("Tries", r#"{"fail":1,"max_attempts":2,"interval":300}"#);
    tests::until("the first attempt has failed", || {
        host.details(&id)["openTasks"][0]["retry"].is_string().then_some(())
    });
    host.kill_and_restart();
    assert_eq!(host.output(&id)["attempt"], 2);
}

fn served(endpoint: &Endpoint, more: &[&str]) -> Fresh {
    let service = format!("Remote={}", endpoint.url("/charge"));
    Fresh::with(|settings| {
        let settings = settings.argument("--activity").argument(&service);
        more.iter().fold(settings, |settings, argument| settings.argument(argument))
    })
}

#[test]
fn an_http_endpoint_gets_the_key_the_attempt_and_the_input() {
    let endpoint = Endpoint::start(|request| match request.header("fermata-attempt") {
        Some("1") => Answer::new(500, "{\"errorType\":\"Busy\"}"),
        Some("2") => Answer::new(429, ""),
        _ => Answer::new(200, "{\"charged\": 12.50}"),
    });
    let host = served(&endpoint, &[]);
    let id = host.start("CallOne", r#"["Remote", 5, 5]"#);
    assert_eq!(host.output(&id), json!({"charged": 12.5}));
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 3);
    for (number, request) in (1..).zip(&requests) {
        assert_eq!(request.line, "POST /charge HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("idempotency-key"), requests[0].header("idempotency-key"));
        assert!(request.header("idempotency-key").unwrap().ends_with("-0"));
        assert_eq!(request.header("fermata-attempt"), Some(&*number.to_string()));
        assert_eq!(request.body, format!("{{\"from\":\"{id}\"}}"));
    }
}

#[test]
fn what_trying_again_can_not_help_is_not_tried_again() {
    let endpoint = Endpoint::start(|_| Answer::new(404, "no such account"));
    let host = served(&endpoint, &[]);
    let id = host.start("CallOne", r#"["Remote", 5, 5]"#);
    let status = host.ended(&id);
    assert_eq!(status["runtimeStatus"], "Failed");
    assert_eq!((&status["failure"]["nonRetryable"], endpoint.requests().len()), (&json!(true), 1));
    assert!(status["failure"]["details"].as_str().unwrap().contains("no such account"), "the inner cause: {status}");

    let unreachable = Fresh::with(|settings| settings.argument("--activity").argument("Remote=http://127.0.0.1:1/"));
    let id = unreachable.start("CallOne", r#"["Remote", 2, 5]"#);
    let kind_of = |id: &str| unreachable.ended(id)["failure"]["details"].as_str().unwrap().to_owned();
    assert!(kind_of(&id).contains("kind: unavailable"), "the inner cause stays: {}", kind_of(&id));
    let nobody = unreachable.start("CallOne", r#"["NoSuchActivity", 5, 5]"#);
    assert!(kind_of(&nobody).contains("kind: not-found"));
}

#[test]
fn a_task_that_times_out_leaves_its_endpoint_and_ignores_what_comes_late() {
    let endpoint = Endpoint::start(|_| Answer::new(200, "1").after(Duration::from_millis(400)));
    let host = served(&endpoint, &[]);
    let id = host.start("CallImpatiently", r#"["Remote", 100]"#);
    let output = host.output(&id);
    assert!(output.as_str().unwrap().starts_with("timeout: "), "{output}");
    tests::until("the endpoint finds the connection closed", || (endpoint.hung_up() == 1).then_some(()));
}

#[test]
fn so_many_of_one_name_at_a_time_and_no_more() {
    let endpoint = Endpoint::start(|_| Answer::new(200, "1").after(Duration::from_millis(30)));
    let host = served(&endpoint, &["--activity-limit", "Remote=2"]);
    let ids: Vec<String> = (0..8).map(|_| host.start("CallOne", r#"["Remote", 1, 5]"#)).collect();
    ids.iter().for_each(|id| assert_eq!(host.output(id), 1));
    assert_eq!(endpoint.most_at_once(), 2);
}

#[test]
fn an_activity_of_another_module_is_found() {
    // Only the permit's module has it; the caller is of the module of the tests.
    let host = Fresh::with(|settings| settings.argument("--activity").argument("IssueBuildingPermit=module"));
    let id = host.start("Stages", r#"["IssueBuildingPermit"]"#);
    let status = host.ended(&id);
    assert!(status["output"].as_str().unwrap().contains("null"), "it was reached, and refused its input: {status}");
}

#[test]
fn an_activity_under_way_when_the_host_dies_is_run_again_with_the_same_key() {
    let endpoint = Endpoint::start(|_| Answer::new(200, "1").after(Duration::from_millis(300)));
    let mut host = served(&endpoint, &[]);
    let id = host.start("CallOne", r#"["Remote", 1, 5]"#);
    tests::until("the endpoint is asked", || (!endpoint.requests().is_empty()).then_some(()));
    host.kill_and_restart();
    assert_eq!(host.output(&id), 1);
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    assert_eq!(requests[0].header("fermata-attempt"), requests[1].header("fermata-attempt"));
}

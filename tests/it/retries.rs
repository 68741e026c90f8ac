//! Activities that fail, and who serves them: retries, timeouts, HTTP endpoints, other modules, limits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::endpoint::{Answer, Endpoint};
use tests::{Host, guest_bytes};

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

/// Starts an activity's call under a policy with bounds of time, and waits for its end, which must not take long.
fn call_within(host: &Host, call: Value) -> (Value, Vec<Value>) {
    let begun = Instant::now();
    let id = host.start("CallWithin", &call.to_string());
    let output = host.output(&id);
    assert!(begun.elapsed() < Duration::from_secs(20), "its bounds are far below that: {:?}", begun.elapsed());
    let history = host.details(&id)["historyEvents"].as_array().unwrap().clone();
    (output, history.into_iter().filter(|entry| entry["EventType"] == "TaskFailed").collect())
}

#[test]
fn an_attempt_that_takes_too_long_fails_and_the_next_one_begins() {
    let host = Fresh::start();
    for how in ["sleeps", "spins"] {
        let call = |hanging: u32| json!({"activity": "Hangs", "input": [hanging, how], "attempts": 3, "interval": 5, "each": 300});
        let (output, failed) = call_within(&host, call(1));
        assert_eq!((&output, failed.len()), (&json!({"ok": 2}), 1), "{how}");
        assert!(failed[0]["Reason"].as_str().unwrap().contains("longer than 0.3 s"), "{failed:?}");
        let (output, failed) = call_within(&host, call(9));
        assert_eq!((&output["kind"], failed.len()), (&json!("timeout"), 3), "{how}: {output}");
    }
}

/// It would keep its place, and a thread, for as long as any guest may.
#[test]
fn an_activity_that_nobody_waits_for_is_stopped_though_it_spins() {
    let host = Fresh::with(|settings| settings.argument("--activity-limit").argument("Hangs=1"));
    let call = |hanging: u32| json!({"activity": "Hangs", "input": [hanging, "spins"], "attempts": 1, "interval": 5});
    let id = host.start("CallWithin", &call(9).to_string());
    tests::until("it spins", || host.log().contains(&format!("attempt 1 of {id} spins")).then_some(()));
    assert_eq!(host.control(&id, "terminate", "").status, 202);
    assert_eq!(call_within(&host, call(0)).0, json!({"ok": 1}));
}

#[test]
fn an_endpoint_that_takes_too_long_is_left_and_asked_again() {
    let endpoint = Endpoint::start(|request| {
        let delay = if request.header("fermata-attempt") == Some("1") { 2_500 } else { 0 };
        Answer::new(200, "\"in time\"").after(Duration::from_millis(delay))
    });
    let host = served(&endpoint, &[]);
    let call = json!({"activity": "Remote", "input": null, "attempts": 3, "interval": 5, "each": 800});
    let (output, failed) = call_within(&host, call);
    assert_eq!(output, json!({"ok": "in time"}));
    assert_eq!((failed.len(), endpoint.requests().len()), (1, 2));
    assert!(failed[0]["Reason"].as_str().unwrap().contains("did not answer within 0.8 s"), "{failed:?}");
    tests::until("the endpoint finds the connection closed", || (endpoint.hung_up() == 1).then_some(()));
}

#[test]
fn the_time_for_all_attempts_ends_the_one_under_way_and_no_other_begins() {
    let endpoint = Endpoint::start(|_| Answer::new(200, "1").after(Duration::from_millis(3_000)));
    let host = served(&endpoint, &[]);
    for (activity, input) in [("Hangs", json!([9, "sleeps"])), ("Hangs", json!([9, "spins"])), ("Remote", json!(null))]
    {
        let mut call = json!({"activity": activity, "input": input, "attempts": 9, "interval": 0, "whole": 600});
        let (output, failed) = call_within(&host, call.clone());
        assert_eq!((&output["kind"], failed.len()), (&json!("timeout"), 1), "{activity}: {output}");
        // Two have their time, the third has what is left; or there is nothing left for it.
        call["each"] = json!(600);
        call["whole"] = json!(1_500);
        let (output, failed) = call_within(&host, call);
        assert_eq!(output["kind"], "timeout", "{activity}: {output}");
        assert!((2..=3).contains(&failed.len()), "{activity}: {failed:?}");
    }
}

#[test]
fn what_fails_is_tried_again_only_within_the_time_for_all_attempts() {
    let endpoint = Endpoint::start(|_| Answer::new(500, "{\"errorType\":\"NotYet\"}"));
    let host = served(&endpoint, &[]);
    for activity in ["FailUntil", "Remote"] {
        let call = json!({"activity": activity, "input": 99, "attempts": 20, "interval": 500, "whole": 2_000});
        let (output, failed) = call_within(&host, call);
        assert_eq!(output["type"], "NotYet", "the failure is that of the last attempt: {output}");
        assert!((2..=4).contains(&failed.len()), "{activity}: {failed:?}");
    }
    assert!((2..=4).contains(&endpoint.requests().len()));
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
fn an_activity_is_served_by_the_callers_module_or_by_the_newest_as_the_operator_says() {
    for (said, expected) in [(None, "A"), (Some("Which=module"), "B")] {
        let host = Fresh::with(|settings| {
            let settings = settings.modules(&["test-guest-a"]);
            said.into_iter().fold(settings, |settings, said| settings.argument("--activity").argument(said))
        });
        let call = |name: &str| host.output(&host.start("Stages", &json!([name]).to_string()))[0].clone();
        assert_eq!(call("Which"), "A", "there is no other module");
        assert_eq!(host.put("/modules", &guest_bytes("test-guest-b")).status, 201);
        assert_eq!(call("Which"), expected, "{said:?}");
        assert_eq!(host.put("/modules", &guest_bytes("new-building-permit")).status, 201);
        let input = json!({"activity": "IssueBuildingPermit", "input": "app-1", "attempts": 1, "interval": 1});
        let permit = host.output(&host.start("CallWithin", &input.to_string()));
        assert!(permit.to_string().contains("app-1"), "the caller's module does not have it: {permit}");
        assert_eq!(host.put("/modules", &guest_bytes("test-guest-a")).status, 200);
        assert_eq!(call("Which"), "A", "it is the newest again");
    }
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

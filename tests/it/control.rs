//! What an operator asks of instances: terminate, suspend, resume, rewind, restart, purge.

use serde_json::{Value, json};
use tests::endpoint::{Answer as Served, Endpoint};
use tests::{Answer, BASE, Host};

use super::{Fresh, RESIDENCIES};

/// A refusal with a body that says what is wrong and what to do.
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["Message"].is_string() && body["hint"].is_string(), "{body}");
}

fn accepted(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (202, ""), "{answer:?}");
}

fn status(host: &Host, id: &str) -> Value {
    host.status(id).json()["runtimeStatus"].clone()
}

fn is(host: &Host, id: &str, expected: &str) {
    tests::until(expected, || (status(host, id) == expected).then_some(()));
}

/// An instance that has completed.
fn completed(host: &Host, id: &str) {
    assert_eq!(host.post(&format!("{BASE}/orchestrators/W/{id}"), "7").status, 202);
    host.raise(id, "go", "1");
    host.output(id);
}

fn entries(host: &Host, id: &str) -> Vec<Value> {
    host.details(id)["historyEvents"].as_array().unwrap().clone()
}

#[test]
fn who_is_terminated_ends_at_once_and_for_the_given_reason() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let (id, silent) = (host.start("W", ""), host.start("W", ""));
        host.waits_for(&id, &["go"]);
        accepted(&host.control(&id, "TERMINATE", "reason=out+of+stock"));
        accepted(&host.control(&silent, "terminate", ""));
        let ended = host.ended(&id);
        assert_eq!((&ended["runtimeStatus"], &ended["output"]), (&json!("Terminated"), &json!("out of stock")));
        assert_eq!(host.ended(&silent)["output"], Value::Null);
        host.kill_and_restart();
        assert_eq!(host.ended(&id)["output"], "out of stock");
        refused(&host.control(&id, "terminate", "reason=again"), 410, "instance-ended");
        assert_eq!(host.try_raise(&id, "go", "1").status, 410);
        let last = entries(&host, &id).pop().unwrap();
        assert_eq!((&last["EventType"], &last["Reason"]), (&json!("ExecutionTerminated"), &json!("out of stock")));
    }
}

#[test]
fn a_guest_that_spins_can_be_terminated() {
    let host = Fresh::start();
    let id = host.start("Spins", "");
    host.raise(&id, "go", "null");
    // Before, while or after it spins: whatever comes first ends it.
    let answer = host.control(&id, "terminate", "");
    assert!([202, 410].contains(&answer.status), "{answer:?}");
    host.ended(&id);
}

#[test]
fn a_suspended_instance_keeps_what_it_is_sent_and_reads_it_in_order_when_resumed() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Collect", "4");
        host.raise(&id, "item", "0");
        accepted(&host.control(&id, "suspend", "reason=stocktaking"));
        is(&host, &id, "Suspended");
        assert_eq!(host.status(&id).status, 202, "it has not ended");
        (1..3).for_each(|number| host.raise(&id, "item", &number.to_string()));
        refused(&host.control(&id, "suspend", ""), 409, "wrong-state");
        host.kill_and_restart();
        host.raise(&id, "item", "3");
        assert_eq!(status(&host, &id), "Suspended", "{residency}");
        accepted(&host.control(&id, "resume", "reason=counted"));
        assert_eq!(host.output(&id), json!([0, 1, 2, 3]), "{residency}");
        let told = entries(&host, &id);
        let reason = |kind: &str| told.iter().find(|entry| entry["EventType"] == kind).unwrap()["Reason"].clone();
        assert_eq!(
            (reason("ExecutionSuspended"), reason("ExecutionResumed")),
            (json!("stocktaking"), json!("counted"))
        );
    }
}

#[test]
fn a_suspended_instance_can_be_terminated() {
    let host = Fresh::start();
    let id = host.start("W", "");
    accepted(&host.control(&id, "suspend", ""));
    is(&host, &id, "Suspended");
    accepted(&host.control(&id, "terminate", "reason=enough"));
    assert_eq!(host.ended(&id)["output"], "enough");
}

#[test]
fn what_is_asked_of_nobody_or_in_a_wrong_state_is_refused() {
    let host = Fresh::start();
    for verb in ["terminate", "suspend", "resume", "rewind", "restart", "unpark"] {
        refused(&host.control("nobody", verb, ""), 404, "unknown-instance");
    }
    refused(&host.delete(&format!("{BASE}/instances/nobody")), 404, "unknown-instance");
    refused(&host.get(&format!("{BASE}/instances/nobody/history")), 404, "unknown-instance");

    let running = host.start("W", "");
    for verb in ["resume", "rewind", "unpark"] {
        refused(&host.control(&running, verb, ""), 409, "wrong-state");
    }
    refused(&host.control(&running, "restart", "restartWithNewInstanceId=false"), 409, "instance-exists");
    refused(&host.control(&running, "terminate", "cascade=perhaps"), 400, "bad-query");
    refused(&host.post("/clock/skip?seconds=1", ""), 409, "clock-stands-fast");
    assert_eq!(status(&host, &running), "Running", "nothing came of all that");

    completed(&host, "ended");
    for verb in ["terminate", "suspend", "resume", "rewind"] {
        refused(&host.control("ended", verb, ""), 410, "instance-ended");
    }
    refused(&host.control("ended", "unpark", ""), 409, "wrong-state");
}

#[test]
fn a_restart_begins_anew_with_the_same_input() {
    let host = Fresh::start();
    completed(&host, "old");
    let answer = host.control("old", "restart", "");
    assert_eq!((answer.status, answer.retry_after.as_deref()), (202, Some("10")), "{answer:?}");
    let payload = answer.json();
    let new = payload["id"].as_str().unwrap();
    assert_ne!(new, "old");
    assert_eq!(answer.location.as_deref(), payload["statusQueryGetUri"].as_str());
    let (old, anew) = (host.status("old").json(), host.status(new).json());
    assert_eq!((&anew["name"], &anew["input"]), (&old["name"], &json!(7)));
    assert_eq!(old["runtimeStatus"], "Completed", "the old one is left alone");

    let before = host.details("old")["executionId"].clone();
    let same = host.control("old", "restart", "restartWithNewInstanceId=False");
    assert_eq!((same.status, &same.json()["id"]), (202, &json!("old")));
    is(&host, "old", "Running");
    assert_ne!(host.details("old")["executionId"], before);
    host.raise("old", "go", "2");
    assert_eq!(host.output("old"), 2);
}

#[test]
fn a_purge_leaves_nothing() {
    let mut host = Fresh::start();
    completed(&host, "ended");
    let running = host.start("W", "");
    let one = |id: &str, query: &str| format!("{BASE}/instances/{id}?{query}");
    let purged = host.delete(&one("ended", ""));
    assert_eq!((purged.status, purged.json()), (200, json!({"instancesDeleted": 1})));
    assert_eq!((host.status("ended").status, host.delete(&one("ended", "")).status), (404, 404));
    refused(&host.delete(&one(&running, "")), 409, "instance-not-ended");
    assert_eq!(host.delete(&one(&running, "force=true")).status, 200);
    host.kill_and_restart();
    assert_eq!(host.get(&format!("{BASE}/instances")).json(), json!([]));
    completed(&host, "ended");
}

#[test]
fn a_purge_of_many_takes_only_what_has_ended_and_was_meant() {
    let host = Fresh::start();
    completed(&host, "order-1");
    completed(&host, "order-2");
    completed(&host, "other-1");
    let (failed, running) = (host.start("Fails", ""), host.start("W", ""));
    host.raise(&failed, "go", "null");
    host.ended(&failed);
    let all = "createdTimeFrom=1970-01-01T00:00:00Z";
    let purge = |query: &str| host.delete(&format!("{BASE}/instances/?{query}"));
    let count = |query: &str| {
        let answer = purge(&format!("{all}&{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["instancesDeleted"].clone()
    };
    refused(&purge(""), 400, "bad-query");
    refused(&purge(&format!("{all}&createdTimeTo=1970-01-02T00:00:00Z")), 404, "nothing-to-purge");
    refused(&purge(&format!("{all}&runtimeStatus=Running")), 404, "nothing-to-purge");
    assert_eq!(count("instanceIdPrefix=order-"), 2);
    assert_eq!(count("runtimeStatus=Failed&name=Fails"), 1);
    assert_eq!(count(""), 1);
    refused(&purge(all), 404, "nothing-to-purge");
    assert_eq!(status(&host, &running), "Running");
}

#[test]
fn a_rewind_does_again_what_failed_and_nothing_else() {
    for residency in RESIDENCIES {
        let endpoint = Endpoint::start({
            let asked = std::sync::atomic::AtomicUsize::new(0);
            move |request| match request.line.contains("/second")
                && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0
            {
                true => Served::new(404, "the carrier is away"),
                false => Served::new(200, "1"),
            }
        });
        let mut host = Fresh::with(|settings| {
            ["first", "second", "third"].iter().fold(settings.residency(residency), |settings, name| {
                settings.argument("--activity").argument(&format!("{name}={}", endpoint.url(&format!("/{name}"))))
            })
        });
        let id = host.start("Stages", r#"["first", "second", "third"]"#);
        assert_eq!(host.ended(&id)["runtimeStatus"], "Failed");
        host.kill_and_restart();
        accepted(&host.control(&id, "rewind", "reason=the+carrier+is+back"));
        tests::until("it goes on", || (status(&host, &id) != "Failed").then_some(()));
        assert_eq!(host.output(&id), json!([1, 1, 1]), "{residency}");
        let asked: Vec<String> = endpoint.requests().iter().map(|request| request.line.clone()).collect();
        let asked: Vec<&str> = asked.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
        assert_eq!(asked, ["/first", "/second", "/second", "/third"]);
        let told = entries(&host, &id);
        let rewound = told.iter().find(|entry| entry["EventType"] == "ExecutionRewound").unwrap();
        assert_eq!(rewound["Reason"], "the carrier is back");
        assert!(told.iter().any(|entry| entry["EventType"] == "TaskFailed"), "what was undone stays to be seen");
    }
}

/// Both have retries, which begin anew, and the parent has a timer, which keeps its deadline.
#[test]
fn a_rewind_reaches_the_child_whose_failure_it_was() {
    const HOUR: u64 = 3_600_000;
    for residency in RESIDENCIES {
        let endpoint = Endpoint::start({
            let asked = std::sync::atomic::AtomicUsize::new(0);
            // Two attempts of the child with two of the activity each; and one after the rewind.
            move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                ..5 => Served::new(500, ""),
                _ => Served::new(200, "\"charged\""),
            }
        });
        let mut host = Fresh::with(|settings| {
            let service = format!("Remote={}", endpoint.url("/"));
            settings.residency(residency).argument("--skippable-clock").argument("--activity").argument(&service)
        });
        let child = json!({"orchestrator": "CallOne", "id": "kid", "input": ["Remote", 2, 10], "attempts": 2});
        let id = host.start("PatientParent", &json!([HOUR, child]).to_string());
        assert_eq!(host.ended(&id)["runtimeStatus"], "Failed");
        assert_eq!(endpoint.requests().len(), 4, "{residency}");
        assert_eq!(status(&host, "kid"), "Failed");
        host.kill_and_restart();

        accepted(&host.control(&id, "rewind", ""));
        // Until its parent's message arrives it is as it was.
        tests::until("the child completes", || (status(&host, "kid") == "Completed").then_some(()));
        assert_eq!(host.output("kid"), "charged", "{residency}");
        assert_eq!(endpoint.requests().len(), 6, "the second attempt succeeds");
        host.waits_for_timers(&id, 1);
        host.skip(std::time::Duration::from_secs(3_600));
        let output = host.output(&id);
        let passed = output[1].as_f64().unwrap() as u64;
        assert!(output[0] == "charged" && (HOUR..HOUR + 60_000).contains(&passed), "{residency}: {output}");
    }
}

#[test]
fn who_fails_again_can_be_rewound_again() {
    let host = Fresh::start();
    let id = host.start("Fails", "");
    host.raise(&id, "go", "null");
    host.ended(&id);
    for times in 1..=2 {
        accepted(&host.control(&id, "rewind", ""));
        let failures = || entries(&host, &id).iter().filter(|entry| entry["OrchestrationStatus"] == "Failed").count();
        tests::until("it has failed again", || (failures() == times + 1).then_some(()));
        assert_eq!(host.ended(&id)["output"], "the budget is spent");
    }
}

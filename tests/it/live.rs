//! Answers that wait, and streams of what happens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{BASE, Event};

use crate::{Fresh, RESIDENCIES};

/// Longer than any of these tests takes, so that none ends because of it.
const LONG: &str = "3000";

fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(work)
}

/// Asks for something that is answered only after `then` was done.
fn answer_after(
    host: &Fresh,
    ask: impl FnOnce(ureq::Agent, String) -> (u16, String) + Send + 'static,
    then: impl FnOnce(),
) -> (u16, Value) {
    let (agent, url) = (ureq::Agent::config_builder().http_status_as_error(false).build().new_agent(), host.url(""));
    let waiting = in_background(move || ask(agent, url));
    then();
    let (status, body) = waiting.join().unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn a_status_may_wait_for_the_end() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("BudgetApproval", "null");
        let path = format!("{BASE}/instances/{id}?wait={LONG}");
        let (status, body) = answer_after(
            &host,
            move |agent, url| read(agent.get(url + &path).call()),
            || {
                host.waits_for(&id, &["Approval"]);
                host.raise(&id, "Approval", "true");
            },
        );
        assert_eq!((status, &body["runtimeStatus"]), (200, &json!("Completed")), "{body}");
        // What has ended, and what is not there, is told at once.
        assert_eq!(host.get(&format!("{BASE}/instances/{id}?wait={LONG}")).status, 200);
        assert_eq!(host.get(&format!("{BASE}/instances/nobody?wait={LONG}")).status, 404);
    }
}

#[test]
fn a_wait_has_an_end() {
    let host = Fresh::start();
    let id = host.start("BudgetApproval", "null");
    let begun = Instant::now();
    let answer = host.get(&format!("{BASE}/instances/{id}?wait=0.2"));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!((answer.status, &answer.json()["runtimeStatus"]), (202, &json!("Running")));
    for wrong in ["-1", "soon", "3601", "NaN", "1e9"] {
        let answer = host.get(&format!("{BASE}/instances/{id}?wait={wrong}"));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-query")), "{wrong}");
    }
}

#[test]
fn a_start_may_wait_for_the_output() {
    let host = Fresh::start();
    let start = |query: &str| host.post(&format!("{BASE}/orchestrators/Echo?{query}"), r#"{"a":1.0}"#);
    let answer = start(&format!("timeout={LONG}&pollingInterval=1"));
    assert_eq!((answer.status, &*answer.body), (200, r#"{"a":1.0}"#), "the bare output");
    assert_eq!(start("timeout=1&pollingInterval=2").status, 400);
    let answer = host.post(&format!("{BASE}/orchestrators/BudgetApproval/b1?timeout=0.05"), "");
    assert_eq!((answer.status, &answer.json()["id"]), (202, &json!("b1")), "not in time: where to look");
    for (query, expected) in [("", 200), ("&returnInternalServerErrorOnFailure=true", 500)] {
        let path = format!("{BASE}/orchestrators/Fails/f{expected}?timeout={LONG}{query}");
        let (status, body) = answer_after(
            &host,
            move |agent, url| read(agent.post(url + &path).send_empty()),
            || {
                let id = format!("f{expected}");
                tests::until("it is there", || (host.status(&id).status == 202).then_some(()));
                host.raise(&id, "go", "null");
            },
        );
        assert_eq!((status, &body["runtimeStatus"]), (expected, &json!("Failed")));
    }
}

#[test]
fn a_raise_may_wait_until_the_event_is_taken() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("BudgetApproval", "null");
        let raise = |event: &str, wait: &str| {
            host.post(&format!("{BASE}/instances/{id}/raiseEvent/{event}?wait={wait}"), "true")
        };
        let other = raise("Other", LONG);
        assert_eq!(
            (other.status, other.header("fermata-taken")),
            (202, Some("true")),
            "read, though nobody waits for it"
        );
        let approval = raise("Approval", LONG);
        assert_eq!((approval.status, &approval.json()["runtimeStatus"]), (200, &json!("Completed")), "{approval:?}");
        let sequence = |answer: &tests::Answer| answer.header("fermata-sequence").unwrap().parse::<u64>().unwrap();
        assert!(sequence(&approval) > sequence(&other));
        assert_eq!(raise("Approval", LONG).status, 410);
    }
}

/// What the commit tells is what the store has.
#[test]
fn a_raise_that_waits_is_answered_with_what_a_status_then_says() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        for (orchestrator, input, event, payloads) in [
            ("W", "{\"a\": 1.0}", "go", &["[1, 2.50]"][..]),
            ("Collect", "3", "item", &["1", "null", "\"x\""]),
            ("Shows", "null", "go", &["null"]),
            ("Fails", "null", "go", &["null"]),
            ("Panics", "null", "go", &["null"]),
            ("Successor", "\"same\"", "go", &["null", "null"]),
            // A custom status from one generation to the next.
            ("OneEach", r#"{"wanted": 3, "taken": []}"#, "item", &["1", "2", "3"]),
            ("Ledger", "2", "amount", &["7"]),
        ] {
            let id = host.start(orchestrator, input);
            for payload in payloads {
                let answer = host.post(&format!("{BASE}/instances/{id}/raiseEvent/{event}?wait={LONG}"), payload);
                assert_eq!(answer.header("fermata-taken"), Some("true"), "{orchestrator}");
                let (mut told, mut shown) = (answer.json(), host.status(&id).json());
                if ["Successor", "OneEach", "Ledger"].contains(&orchestrator) {
                    // Another generation, or an activity, is under way when it is answered.
                    for field in ["lastUpdatedTime", "runtimeStatus"] {
                        told[field].take();
                        shown[field].take();
                    }
                }
                assert_eq!(told, shown, "{orchestrator}, residency {residency}");
            }
        }
    }
}

#[test]
fn an_event_of_a_suspended_instance_is_taken_when_it_is_resumed() {
    let host = Fresh::start();
    let id = host.start("BudgetApproval", "null");
    host.control(&id, "suspend", "");
    let path = format!("{BASE}/instances/{id}/raiseEvent/Approval");
    let early = host.post(&format!("{path}?wait=0.05"), "true");
    assert_eq!((early.status, early.header("fermata-taken")), (202, Some("false")));
    assert_eq!(early.json()["runtimeStatus"], "Suspended");
    let waiting = format!("{path}?wait={LONG}");
    let (status, _) = answer_after(
        &host,
        move |agent, url| read(agent.post(url + &waiting).header("content-type", "application/json").send("false")),
        || {
            tests::until("both events are there", || {
                (host.details(&id)["bufferedEvents"].as_array()?.len() == 2).then_some(())
            });
            host.control(&id, "resume", "");
        },
    );
    assert_eq!(status, 200);
}

#[test]
fn who_waits_for_an_instance_that_is_removed_waits_no_more() {
    let host = Fresh::start();
    let id = host.start("BudgetApproval", "null");
    host.control(&id, "suspend", "");
    let path = format!("{BASE}/instances/{id}/raiseEvent/Approval?wait={LONG}");
    let (status, body) = answer_after(
        &host,
        move |agent, url| read(agent.post(url + &path).header("content-type", "application/json").send("true")),
        || {
            tests::until("the event is there", || {
                (host.details(&id)["bufferedEvents"].as_array()?.len() == 1).then_some(())
            });
            assert_eq!(host.delete(&format!("{BASE}/instances/{id}?force=true")).status, 200);
        },
    );
    assert_eq!((status, body), (202, Value::Null), "it was accepted, and there is nothing more to say");
}

fn told(events: &[Event]) -> Vec<(String, String)> {
    let text = |event: &Event, field: &str| event.data[field].as_str().unwrap_or_default().to_owned();
    let field = |event: &Event| if event.name == "status" { "runtimeStatus" } else { "EventType" };
    events.iter().map(|event| (event.name.clone(), text(event, field(event)))).collect()
}

#[test]
fn a_watch_tells_everything_once_and_ends_with_the_instance() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("BudgetApproval", "null");
        host.waits_for(&id, &["Approval"]);
        let mut stream = host.stream(&format!("{BASE}/instances/{id}/watch"), "");
        let mut events: Vec<Event> = stream.by_ref().take(3).collect();
        assert_eq!(
            told(&events),
            [("history", "ExecutionStarted"), ("history", "ExternalEventWaitStarted"), ("status", "Running")]
                .map(|(name, told)| (name.to_owned(), told.to_owned()))
        );
        let seen = events[1].id.clone();
        host.raise(&id, "Approval", "true");
        events.extend(stream);
        let last = events.last().unwrap();
        assert_eq!((&*last.name, &last.data["runtimeStatus"]), ("status", &json!("Completed")));
        assert!(told(&events).contains(&("history".into(), "EventRaised".into())));

        // Who comes again is told the rest, and who has seen the end is told to ask no more.
        let rest: Vec<Event> = host.stream(&format!("{BASE}/instances/{id}/watch"), &seen).collect();
        let ids = |events: &[Event]| {
            events.iter().map(|event| event.id.clone()).filter(|id| !id.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&rest), ids(&events)[2..]);
        let agent = ureq::Agent::new_with_defaults();
        let again =
            agent.get(host.url(&format!("{BASE}/instances/{id}/watch"))).header("last-event-id", &last.id).call();
        assert_eq!(again.unwrap().status().as_u16(), 204);
        assert_eq!(host.get(&format!("{BASE}/instances/nobody/watch")).status, 404);
    }
}

#[test]
fn a_watch_follows_the_generations() {
    let host = Fresh::start();
    let id = host.start("OneEach", r#"{"wanted":3,"taken":[]}"#);
    let stream = host.stream(&format!("{BASE}/instances/{id}/watch?showHistory=false"), "");
    (0..3).for_each(|number| host.raise(&id, "item", &number.to_string()));
    let events: Vec<Event> = stream.collect();
    assert!(events.iter().all(|event| event.name == "status"));
    assert_eq!(events.last().unwrap().data["output"], json!([0, 1, 2]));
}

/// A stop waits for requests under way, but not for what they wait for.
#[test]
fn a_host_that_stops_ends_its_waits_and_streams() {
    let mut host = Fresh::start();
    let id = host.start("BudgetApproval", "null");
    host.waits_for(&id, &["Approval"]);
    host.control(&id, "suspend", "");
    let (url, agent) = (host.url(""), ureq::Agent::new_with_defaults());
    let url = format!("{url}{BASE}/instances/{id}/raiseEvent/Approval?wait={LONG}");
    let waiting = in_background(move || read(agent.post(url).header("content-type", "application/json").send("true")));
    tests::until("the event is there", || (host.details(&id)["bufferedEvents"].as_array()?.len() == 1).then_some(()));
    let mut stream = host.stream(&format!("{BASE}/instances/{id}/watch"), "");
    stream.by_ref().take(4).for_each(drop);
    let host = host.take();
    let ended = in_background(move || host.terminate());
    assert_eq!(stream.count(), 0);
    let (status, body) = waiting.join().unwrap();
    assert_eq!(status, 202, "{body}");
    assert_eq!(ended.join().unwrap().0, Some(0));
}

//! Requests that take effect once, however often they are sent.

use serde_json::{Value, json};
use tests::{Answer, BASE, Host};

use crate::Fresh;

fn send(host: &Host, path: &str, key: &str, body: &str) -> Answer {
    let request = ureq::http::Request::post(host.url(&format!("{BASE}/{path}")));
    let request = request.header("content-type", "application/json").header("Idempotency-Key", key);
    host.send(request.body(body.to_owned()).unwrap())
}

fn code(answer: &Answer) -> Value {
    answer.json()["code"].clone()
}

#[test]
fn an_event_that_is_sent_again_is_raised_once() {
    let mut host = Fresh::start();
    let id = host.start("Collect", "3");
    let raise = |host: &Host, key: &str, body: &str| send(host, &format!("instances/{id}/raiseEvent/item"), key, body);
    let first = raise(&host, "k1", "1");
    assert_eq!(first.status, 202, "{first:?}");
    let sequence = first.header("fermata-sequence").unwrap().to_owned();
    for again in 0..3 {
        if again == 1 {
            host.kill_and_restart();
        }
        let again = raise(&host, "k1", "1");
        assert_eq!((again.status, again.header("fermata-sequence")), (202, Some(&*sequence)));
    }
    let other = raise(&host, "k1", "2");
    assert_eq!((other.status, code(&other)), (422, json!("idempotency-key-reused")));
    let other = send(&host, &format!("instances/{id}/raiseEvent/other"), "k1", "1");
    assert_eq!(other.status, 422, "another event");
    raise(&host, "k2", "1");
    raise(&host, "k3", "2");
    assert_eq!(host.output(&id), json!([1, 1, 2]));
    // The first answer again, although the instance has ended, was purged, and was started anew.
    assert_eq!(raise(&host, "k1", "1").status, 202);
    assert_eq!(raise(&host, "k4", "1").status, 410);
    host.delete(&format!("{BASE}/instances/{id}"));
    assert_eq!((raise(&host, "k1", "1").status, raise(&host, "k4", "1").status), (202, 404));
    host.post(&format!("{BASE}/orchestrators/Collect/{id}"), "1");
    raise(&host, "k1", "1");
    raise(&host, "k5", "9");
    assert_eq!(host.output(&id), json!([9]));
}

#[test]
fn many_that_are_sent_at_once_are_one() {
    let host = Fresh::start();
    let id = host.start("Collect", "2");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = send(&host, &format!("instances/{id}/raiseEvent/item?wait=30"), "k", "1");
                assert_eq!((answer.status, answer.header("fermata-taken")), (202, Some("true")), "{answer:?}");
            });
        }
    });
    host.raise(&id, "item", "2");
    assert_eq!(host.output(&id), json!([1, 2]));
}

#[test]
fn a_start_that_is_sent_again_starts_one_instance() {
    let host = Fresh::start();
    let start = |key: &str, body: &str| send(&host, "orchestrators/BudgetApproval", key, body);
    let (first, again) = (start("k1", "1"), start("k1", "1"));
    assert_eq!((first.status, again.status, &first.body), (202, 202, &again.body));
    assert_ne!(start("k2", "1").json()["id"], first.json()["id"]);
    assert_eq!(start("k1", "2").status, 422);
    assert_eq!(start("k1", "2").json()["ExceptionMessage"].as_str().map(str::is_empty), Some(false));
    // With an id of its own.
    let start = |key: &str| send(&host, "orchestrators/BudgetApproval/b1", key, "1");
    assert_eq!((start("k1").status, start("k1").status, start("k2").status), (202, 202, 409));
    host.raise("b1", "Approval", "true");
    host.output("b1");
    assert_eq!(start("k1").status, 202);
    assert_eq!(host.status("b1").json()["runtimeStatus"], "Completed", "it was not started anew");
    assert_eq!(start("k3").status, 202);
    assert_eq!(host.status("b1").json()["output"], Value::Null, "this one was");
    assert_eq!(host.get(&format!("{BASE}/instances")).json().as_array().unwrap().len(), 3);
}

#[test]
fn a_key_is_forgotten_after_a_day_or_when_the_operator_says() {
    for (configuration, hours) in [("", 24), ("[limits.host]\nidempotency_time = '5h'", 5)] {
        let host = Fresh::with(|settings| settings.configuration(configuration).argument("--skippable-clock"));
        let id = host.start("Collect", "3");
        let raise = || assert_eq!(send(&host, &format!("instances/{id}/raiseEvent/item"), "k", "1").status, 202);
        raise();
        host.skip(std::time::Duration::from_secs((hours - 1) * 3600));
        raise();
        host.skip(std::time::Duration::from_secs(2 * 3600));
        raise();
        raise();
        host.raise(&id, "item", "2");
        assert_eq!(host.output(&id), json!([1, 1, 2]));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let host = Fresh::start();
    let id = host.start("Collect", "1");
    for key in ["", "é", &"k".repeat(257)] {
        let answer = send(&host, &format!("instances/{id}/raiseEvent/item"), key, "1");
        assert_eq!((answer.status, code(&answer)), (400, json!("bad-idempotency-key")), "{key:?}");
    }
    assert_eq!(host.details(&id)["bufferedEvents"], json!([]));
}

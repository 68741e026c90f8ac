//! What is wrong is said, with what would be right; and nothing of it is stored.

use serde_json::json;
use tests::{Answer, BASE};

use super::Fresh;

fn says(answer: &Answer, status: u16, parts: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/json")), "{answer:?}");
    let message = answer.json()["Message"].to_string();
    for part in parts {
        assert!(message.contains(part) || answer.body.contains(part), "{part:?} in {answer:?}");
    }
}

#[test]
fn events_for_nobody() {
    let host = Fresh::start();
    says(&host.try_raise("nobody", "Approval", "true"), 404, &["nobody"]);
    assert_eq!(host.status("nobody").status, 404);

    let ended = host.start("W", "");
    host.raise(&ended, "go", "1");
    host.output(&ended);
    says(&host.try_raise(&ended, "go", "2"), 410, &[&ended]);
    assert_eq!(host.details(&ended)["bufferedEvents"], json!([]), "nothing was stored");
}

#[test]
fn bodies_that_are_no_json() {
    let host = Fresh::start();
    let id = host.start("W", "");
    host.waits_for(&id, &["go"]);
    let event = format!("{BASE}/instances/{id}/raiseEvent/go");
    says(&host.post(&event, "{\"half\":"), 400, &["JSON"]);
    says(&host.post(&event, "two words"), 400, &["JSON"]);
    says(&host.post_as(&event, "application/json", b"\"\xff\""), 400, &[]);
    says(&host.post_as(&event, "text/plain", b"true"), 400, &["application/json"]);
    assert_eq!(host.post_as(&event, "application/json; charset=utf-8", b"1").status, 202);
    assert_eq!(host.output(&id), 1, "none of the others were stored");

    says(&host.post(&format!("{BASE}/orchestrators/W/half"), "{\"half\":"), 400, &["JSON"]);
    assert_eq!(host.status("half").status, 404);
}

#[test]
fn the_checks_come_in_the_order_of_durable_functions() {
    let host = Fresh::start();
    let nobody = format!("{BASE}/instances/nobody/raiseEvent/go");
    assert_eq!(host.post_as(&nobody, "text/plain", b"no json").status, 404);
    let ended = host.start("W", "");
    host.raise(&ended, "go", "1");
    host.output(&ended);
    let gone = format!("{BASE}/instances/{ended}/raiseEvent/go");
    assert_eq!(host.post_as(&gone, "text/plain", b"no json").status, 410);
}

#[test]
fn starts_that_can_not_be() {
    let host = Fresh::start();
    let unknown = host.post(&format!("{BASE}/orchestrators/Nobody"), "");
    says(&unknown, 400, &["Nobody", "BudgetApproval", "Select"]);
    assert!(unknown.json()["ExceptionMessage"].is_string(), "the Python client reads it: {unknown:?}");

    assert_eq!(host.post(&format!("{BASE}/orchestrators/W/same"), "1").status, 202);
    says(&host.post(&format!("{BASE}/orchestrators/W/same"), "2"), 409, &["same"]);
    host.raise("same", "go", "1");
    host.output("same");
    assert_eq!(host.post(&format!("{BASE}/orchestrators/W/same"), "3").status, 202, "an ended one is replaced");
    assert_eq!(host.status("same").json()["input"], 3);

    for bad in ["@entity", "a%2Fb", "a%23b", &"x".repeat(300)] {
        says(&host.post(&format!("{BASE}/orchestrators/W/{bad}"), ""), 400, &["id"]);
    }
    // Names of orchestrators compare without regard to case, as those of functions do.
    assert_eq!(host.post(&format!("{BASE}/orchestrators/bUDGETaPPROVAL"), "").status, 202);
}

#[test]
fn too_large() {
    let host = Fresh::start();
    let id = host.start("W", "");
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    says(&host.try_raise(&id, "go", &large), 413, &[]);
    let fits = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    host.raise(&id, "go", &fits);
    host.output(&id);
}

#[test]
fn modules_that_are_none() {
    let host = Fresh::start();
    let before = host.get("/modules").json();
    says(&host.put("/modules", b"#!/bin/sh"), 400, &["WebAssembly"]);
    says(&host.put("/modules", b"\0asm\x01\0\0\0"), 400, &["component-type"]);
    assert_eq!(host.get("/modules").json(), before);
}

#[test]
fn routes_that_are_none() {
    let host = Fresh::start();
    for path in ["/", "/nowhere", BASE, "/runtime/webhooks/durabletask/instances/x/dance"] {
        says(&host.get(path), 404, &[]);
    }
    assert_eq!(host.post("/RUNTIME/WebHooks/DurableTask/Orchestrators/W/case", "").status, 202);
    assert_eq!(host.get("/runtime/webhooks/durabletask/INSTANCES/case/").status, 202);
    assert_eq!(host.get("/healthz").status, 200);
}

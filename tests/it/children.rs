//! Sub-orchestrations, and what instances do to each other.

use serde_json::json;

use super::{Fresh, RESIDENCIES};

#[test]
fn a_child_returns_to_its_parent_and_knows_it() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Parent", r#"{"orchestrator":"WhoAmI","id":null,"input":null}"#);
        let child = host.output(&id)["ok"].clone();
        assert_eq!((&child["parent"], &child["name"]), (&json!(id), &json!("WhoAmI")));
        let child_id = child["id"].as_str().unwrap();
        assert!(child_id.ends_with(":0"), "an id that names the execution and the task: {child_id}");
        assert_eq!(host.status(child_id).json()["parentInstanceId"], id);
        assert_ne!(child["guids"][0], child["guids"][1]);
        assert_eq!(child["guids"][0].as_str().unwrap().chars().nth(14), Some('5'), "of version 5");
        let module = host.get("/modules").json();
        assert!(module.to_string().contains(child["module"].as_str().unwrap()));
    }
}

#[test]
fn how_a_child_can_fail() {
    let host = Fresh::start();
    let parent = |child: serde_json::Value| {
        let id = host.start("Parent", &child.to_string());
        host.output(&id)
    };
    let unknown = parent(json!({"orchestrator": "Nobody", "id": null, "input": null}));
    assert_eq!(unknown["kind"], "not-found");
    let taken = host.start("W", "");
    let conflict = parent(json!({"orchestrator": "Echo", "id": taken, "input": null}));
    assert_eq!(conflict["kind"], "conflict");
    assert_eq!(host.status(&taken).json()["runtimeStatus"], "Running", "whose id it is does not notice");

    let strict = host.start("StrictParent", r#"{"orchestrator":"Moody","id":null,"input":null}"#);
    let child = child_of(&host, &strict);
    host.raise(&child, "mood", "\"fail\"");
    let failed = host.ended(&strict);
    assert_eq!((&failed["runtimeStatus"], &failed["output"]), (&json!("Failed"), &json!("not in the mood")));
    assert_eq!(failed["failure"]["errorType"], "Moody", "the inner cause: {failed}");

    let terminated = host.start("Parent", r#"{"orchestrator":"Moody","id":null,"input":null}"#);
    let child = child_of(&host, &terminated);
    assert_eq!(host.control(&child, "terminate", "reason=enough").status, 202);
    assert_eq!(host.output(&terminated)["kind"], "terminated");
}

/// The id of the child that a parent waits for.
fn child_of(host: &tests::Host, parent: &str) -> String {
    tests::until("the parent waits for its child", || {
        let id = host.details(parent)["openTasks"][0]["instanceId"].as_str()?.to_owned();
        (host.status(&id).status == 202).then_some(id)
    })
}

#[test]
fn a_child_is_tried_again_under_its_id() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Parent", r#"{"orchestrator":"Moody","id":"moody","input":null,"attempts":3}"#);
        for (attempt, mood) in [(1, "fail"), (2, "fail"), (3, "fine")] {
            tests::until("the attempt has begun", || {
                let task = host.details(&id)["openTasks"][0].clone();
                (task["attempt"] == attempt && task["retry"].is_null()).then_some(())
            });
            host.waits_for("moody", &["mood"]);
            host.raise("moody", "mood", &json!(mood).to_string());
        }
        assert_eq!(host.output(&id), json!({"ok": "fine"}), "{residency}");
    }
}

#[test]
fn a_large_family_comes_together() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Family", "300");
        assert_eq!(host.output(&id), json!(300 * 299 / 2));
    }
}

#[test]
fn messages_to_another_instance_arrive_once_and_in_order() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let sender = host.start("Sender", "50");
        let receiver = host.output(&sender);
        let received = host.output(receiver.as_str().unwrap());
        assert_eq!(received, json!((0..50).collect::<Vec<_>>()), "{residency}");
    }
}

#[test]
fn a_parent_that_has_ended_leaves_its_child_alone() {
    let host = Fresh::start();
    let id = host.start("Parent", r#"{"orchestrator":"Moody","id":"kid","input":null}"#);
    host.waits_for("kid", &["mood"]);
    assert_eq!(host.control(&id, "terminate", "").status, 202);
    assert_eq!(host.ended(&id)["runtimeStatus"], "Terminated");
    assert_eq!(host.status("kid").json()["runtimeStatus"], "Running");
    host.raise("kid", "mood", "\"alone\"");
    assert_eq!(host.output("kid"), "alone");
}

#[test]
fn terminate_suspend_and_resume_reach_the_children_only_with_cascade() {
    let host = Fresh::start();
    let id = host.start("Parent", r#"{"orchestrator":"Moody","id":"kid","input":null}"#);
    host.waits_for("kid", &["mood"]);
    let is = |status: &str| {
        tests::until(status, || (host.status("kid").json()["runtimeStatus"] == status).then_some(()));
    };
    for (verb, status) in [("suspend", "Suspended"), ("resume", "Running"), ("terminate", "Terminated")] {
        assert_eq!(host.control(&id, verb, "cascade=true&reason=family").status, 202);
        is(status);
    }
    assert_eq!(host.status("kid").json()["output"], "family");
}

/// Children, messages and generations while the host is killed again and again: each child runs once, each message arrives once.
#[test]
fn kills_lose_and_double_nothing_between_instances() {
    let mut host = Fresh::with(|settings| settings.residency("4"));
    let mut senders = Vec::new();
    let mut families = Vec::new();
    for round in 0..12 {
        senders.push(host.start("Sender", "20"));
        families.push(host.start("Family", "20"));
        if round % 2 == 0 {
            // At some moment of their work.
            std::thread::sleep(std::time::Duration::from_millis(round * 3));
            host.kill_and_restart();
        }
    }
    for id in families {
        assert_eq!(host.output(&id), 190);
    }
    for id in senders {
        let receiver = host.output(&id);
        assert_eq!(host.output(receiver.as_str().unwrap()), json!((0..20).collect::<Vec<_>>()));
    }
}

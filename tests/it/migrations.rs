//! Live instances move to another module, where that does what their history says; modules that nobody needs go.

use serde_json::{Value, json};
use tests::{Answer, BASE, Host, guest_bytes};

use super::{Fresh, RESIDENCIES};

/// Deploys module B beside A; returns the digests of both.
fn deploy_b(host: &Host) -> (String, String) {
    let a = host.get("/modules").json()[0]["digest"].as_str().unwrap().to_owned();
    let b = host.put("/modules", &guest_bytes("test-guest-b")).json()["digest"].as_str().unwrap().to_owned();
    (a, b)
}

fn migrate(host: &Host, wish: Value) -> Answer {
    host.post("/migrations", &wish.to_string())
}

#[test]
fn who_fits_is_moved_and_goes_on_with_the_new_code() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency).modules(&["test-guest-a"]));
        let (one, two) = (host.start("Versioned", ""), host.start("Versioned", ""));
        let ended = host.start("Versioned", "");
        host.raise(&ended, "go", "null");
        assert_eq!(host.output(&ended), "A");
        [&one, &two].into_iter().for_each(|id| host.waits_for(id, &["go"]));
        let (a, b) = deploy_b(&host);

        let tried = migrate(&host, json!({"to": &b[..12], "orchestrator": "Versioned", "dryRun": true}));
        assert_eq!(tried.status, 200, "{tried:?}");
        let found =
            |id: &str, moved: bool| json!({"instanceId": id, "from": a, "fits": true, "moved": moved, "same": false});
        let expected = json!({"to": b, "dryRun": true, "instances": [found(&one, false), found(&two, false)]});
        assert_eq!(tried.json(), expected, "{residency}");
        assert_eq!(host.details(&one)["module"], a);

        let moved = migrate(&host, json!({"to": b, "instance": one})).json();
        assert_eq!(moved["instances"], json!([found(&one, true)]));
        let again = migrate(&host, json!({"to": b, "instance": one})).json();
        assert_eq!((&again["instances"][0]["same"], &again["instances"][0]["moved"]), (&json!(true), &json!(false)));
        host.kill_and_restart();
        assert_eq!(host.details(&one)["module"], b);
        for (id, output) in [(&one, "B"), (&two, "A")] {
            host.raise(id, "go", "null");
            assert_eq!(host.output(id), output, "{residency}");
        }
        let changed = host.details(&one)["historyEvents"].clone();
        let changed = changed.as_array().unwrap().iter().find(|entry| entry["EventType"] == "ModuleChanged");
        assert_eq!(changed.unwrap()["Module"], b);
    }
}

#[test]
fn who_does_not_fit_stays_and_the_difference_is_told() {
    let host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let id = host.start("TwoNames", "");
    host.waits_for(&id, &["first"]);
    let (a, b) = deploy_b(&host);
    let found = migrate(&host, json!({"to": b, "orchestrator": "twonames"})).json()["instances"][0].clone();
    assert_eq!((&found["fits"], &found["moved"], &found["from"]), (&json!(false), &json!(false), &json!(a)));
    let mismatch = &found["mismatch"];
    assert_eq!((&mismatch["step"], &mismatch["position"]), (&json!(1), &json!(0)), "{found}");
    assert_eq!(mismatch["recorded"]["fields"][1], json!(["name", "first"]));
    assert_eq!(mismatch["asked"]["fields"][1], json!(["name", "second"]));
    let text = mismatch["text"].as_str().unwrap();
    assert!(text.contains("name: history says first, the guest second"), "{text}");
    host.raise(&id, "first", "1");
    host.raise(&id, "second", "2");
    assert_eq!(host.output(&id), json!([1, 2]));
}

#[test]
fn migrations_that_can_not_be() {
    let host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let id = host.start("W", "");
    let (_, b) = deploy_b(&host);
    for (wish, status, code) in [
        (json!({"to": "0123", "instance": id}), 404, "unknown-module"),
        (json!({"to": "", "instance": id}), 404, "ambiguous-module"),
        (json!({"to": b, "instance": "nobody"}), 404, "unknown-instance"),
        (json!({"to": b, "instance": id}), 409, "wrong-module"),
        (json!({"to": b}), 400, "bad-migration"),
    ] {
        let answer = migrate(&host, wish);
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{answer:?}");
    }
    assert_eq!(migrate(&host, json!({"to": b, "orchestrator": "Versioned"})).json()["instances"], json!([]));
}

#[test]
fn a_module_goes_when_nobody_needs_it() {
    let mut host = Fresh::with(|settings| settings.modules(&["test-guest-b"]));
    let (running, failed) = (host.start("Versioned", ""), host.start("Versioned", ""));
    let b = host.get("/modules").json()[0]["digest"].as_str().unwrap().to_owned();
    let delete = |host: &Host| host.delete(&format!("/modules/{b}"));
    let refused = |answer: Answer, code: &str, says: &str| {
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!(code)), "{answer:?}");
        assert!(answer.body.contains(says), "{answer:?}");
    };
    refused(delete(&host), "module-active", "TwoNames, Versioned");
    host.put("/modules", &guest_bytes("test-guest-a"));
    refused(delete(&host), "module-needed", "rewound: 2");
    host.raise(&running, "go", "null");
    assert_eq!(host.output(&running), "B");
    refused(delete(&host), "module-needed", "rewound: 1");
    assert_eq!(host.delete(&format!("{BASE}/instances/{failed}?force=true")).status, 200);
    assert_eq!(delete(&host).status, 204);
    assert_eq!(delete(&host).status, 404);
    assert_eq!(host.delete("/modules/xyz").status, 404);
    assert_eq!(host.get("/modules").json().as_array().unwrap().len(), 1);
    let settings = host.take().kill().modules(&[]);
    let host = settings.start();
    assert_eq!(host.get("/modules").json().as_array().unwrap().len(), 1);
    assert_eq!(host.output(&running), "B", "what has ended needs no module");
}

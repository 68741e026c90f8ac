//! Payloads pass through byte for byte.

use tests::BASE;

use super::{Fresh, RESIDENCIES};

#[test]
fn any_json_comes_out_as_it_went_in() {
    let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    let long = format!("\"{}\"", "é日本x".repeat(25_000));
    assert!(long.len() > 200_000);
    let payloads = [
        "\"Grüße, 世界 \\u00e9 \\ud83d\\ude00 🦀\"",
        "\"\"",
        "null",
        "{}",
        "[]",
        "1e2",
        "123456789012345678901234567890.10",
        "{ \"b\" : 1,\n\t\"a\":[true , false] }",
        &deep,
        &long,
    ];
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let ids: Vec<String> = payloads.iter().map(|payload| host.start("W", payload)).collect();
        for (id, payload) in ids.iter().zip(payloads) {
            host.raise(id, "go", &format!(" \r\n{payload}\t "));
        }
        for id in &ids {
            // Read as text: most JSON libraries give up before a depth of 128.
            let completed = || host.status(id).raw("runtimeStatus") == "\"Completed\"";
            tests::until("the instance completes", || completed().then_some(()));
        }
        host.kill_and_restart();
        for (id, payload) in ids.iter().zip(payloads) {
            let status = host.status(id);
            assert_eq!(status.raw("output"), payload, "{residency}");
            assert_eq!(status.raw("input"), payload, "{residency}");
        }
    }
}

#[test]
fn an_empty_body_is_null() {
    let host = Fresh::start();
    let id = host.start("W", "");
    let raised = host.post_as(&format!("{BASE}/instances/{id}/raiseEvent/go"), "", b"");
    assert_eq!(raised.status, 202, "{raised:?}");
    host.output(&id);
    assert_eq!(host.status(&id).raw("output"), "null");
}

#[test]
fn deeper_than_128_is_refused_and_nothing_is_stored() {
    let host = Fresh::start();
    let too_deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
    let id = host.start("W", "");
    host.waits_for(&id, &["go"]);
    let answer = host.try_raise(&id, "go", &too_deep);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.json()["Message"].as_str().unwrap().contains("128"), "{answer:?}");
    assert_eq!(host.post(&format!("{BASE}/orchestrators/W/deep"), &too_deep).status, 400);
    assert_eq!(host.status("deep").status, 404);
    host.waits_for(&id, &["go"]);
}

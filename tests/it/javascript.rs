//! Orchestrators in JavaScript and TypeScript: `guest-sdk/js/test/guest`, on a real host.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::Settings;

use super::clients::JAVASCRIPT;
use super::{Fresh, RESIDENCIES, guest_lines as lines, run};

const MODULE: &str = "test-guest-javascript";

fn host(residency: &str) -> Fresh {
    Fresh::with(|settings| with_module(settings.residency(residency)))
}

fn with_module(settings: Settings) -> Settings {
    settings.modules(&[MODULE]).argument("--skippable-clock")
}

#[test]
fn what_is_waited_for_comes_in_the_order_of_history() {
    let one = |event, payload: i32| (event, json!(payload));
    let cases = [
        ("JsLoop", json!(3), vec![one("E", 1), one("E", 2), one("E", 3)], json!(6)),
        ("JsAsyncLoop", json!(3), vec![one("E", 1), one("E", 2), one("E", 3)], json!(6)),
        ("JsNested", json!(null), vec![one("B", 2), one("A", 1)], json!(["first", 1, 2])),
        ("JsNested", json!(null), vec![one("E", 2), one("A", 1), one("C", 4)], json!(["second", 4, "E", 2])),
        ("JsTimer", json!(60_000), vec![one("E", 1)], json!([1, true])),
        ("JsTimer", json!(1), vec![], json!("too late")),
        ("JsParent", json!(null), vec![], json!([["one", true, "one"], ["two", true, "two"], "no child"])),
        ("JsRetries", json!(null), vec![], json!([3, "again"])),
        ("JsStatus", json!(null), vec![one("E", 1)], json!(null)),
        (
            "JsAsync",
            json!(null),
            vec![one("B", 2), one("C", 3), one("A", 1)],
            json!([1, "x", ["c", 3], ["a", 1], [1, 2], "TaskFailedError", "done", 1, 2, 3]),
        ),
    ];
    for residency in RESIDENCIES {
        let host = host(residency);
        for (name, input, events, output) in &cases {
            let id = run(&host, name, input, events);
            assert_eq!(host.output(&id), *output, "{name}, {residency}");
        }
    }
}

#[test]
fn a_generation_follows_another() {
    for residency in RESIDENCIES {
        let host = host(residency);
        let id = host.start("JsGenerations", r#"{"left": 2, "sum": 0}"#);
        for n in [1, 2, 3] {
            host.raise(&id, "E", &n.to_string());
        }
        assert_eq!(host.output(&id), 6, "{residency}");
    }
}

#[test]
fn a_wait_ends_at_its_timeout() {
    for residency in RESIDENCIES {
        let host = host(residency);
        let id = host.start("JsDefault", "");
        host.waits_for(&id, &["E"]);
        host.skip(Duration::from_secs(60));
        tests::until("the second wait", || {
            host.details(&id)["historyEvents"].to_string().contains("nobody").then_some(())
        });
        host.skip(Duration::from_secs(1));
        let output = host.output(&id);
        assert_eq!((&output[0], &output[1]), (&json!("nobody"), &json!(true)), "{residency}");
        assert!(output[2].as_f64().unwrap() >= 61_000.0, "{output}");
    }
}

#[test]
fn clocks_and_randomness_are_the_same_on_replay_and_others_in_another_instance() {
    for residency in RESIDENCIES {
        let mut host = host(residency);
        let ids = [(); 2].map(|()| host.start("JsWorld", ""));
        ids.iter().for_each(|id| host.waits_for(id, &["E"]));
        let before = ids.each_ref().map(|id| host.details(id)["customStatus"].clone());
        host.kill_and_restart();
        let after = ids.each_ref().map(|id| {
            host.raise(id, "E", "1");
            host.output(id)
        });
        for (before, output) in before.iter().zip(&after) {
            assert_eq!(*before, output[0], "{residency}");
            assert_ne!(output[0][3], output[1][3], "random numbers go on after a wait");
        }
        let [one, other] = before;
        for (drawn, value) in one.as_array().unwrap().iter().enumerate().skip(3) {
            assert_ne!(*value, other[drawn], "number {drawn} is drawn for the instance");
        }
    }
}

#[test]
fn failures_have_message_kind_name_and_place() {
    let host = host("always");
    let caught = host.output(&host.start("JsCatches", ""));
    assert_eq!(
        caught.as_array().unwrap()[..5],
        json!([true, "no lamps left", "application", "OutOfStock", "JsFails"]).as_array().unwrap()[..]
    );
    assert!(caught[5].as_str().unwrap().contains("fails (orchestrators.ts:"), "{caught}");

    let failure = |name: &str| {
        let ended = host.ended(&host.start(name, ""));
        assert_eq!(ended["runtimeStatus"], "Failed", "{name}: {ended}");
        (ended["output"].as_str().unwrap().to_owned(), ended["failure"].clone())
    };
    let (message, failed) = failure("JsFailing");
    assert_eq!((message.as_str(), &failed["errorType"]), ("out of range", &json!("RangeError")));
    assert!(failed["details"].as_str().unwrap().contains("(orchestrators.ts:"), "{failed}");
    let (message, failed) = failure("JsPasses");
    assert_eq!((message.as_str(), &failed["errorType"]), ("no lamps left", &json!("OutOfStock")));
    let (message, failed) = failure("JsNoActivity");
    assert!(message.contains("no activity \"Nowhere\"") && failed["details"].as_str().unwrap().contains("not-found"));
}

#[test]
fn what_can_not_be_meant_fails_with_a_sentence_that_says_what_would_be_right() {
    let host = host("always");
    for (name, said) in [
        ("JsPlain", "make it a `function*` and `yield` tasks"),
        ("JsForgot", "a task that nobody waited for"),
        ("JsReturnsTask", "write `return yield"),
        ("JsYieldsNumber", "no task, but a number"),
        ("JsNoJson", "is no JSON"),
        ("JsNever", "awaits what is no task"),
        ("JsUsesNode", "`fs.readFileSync` is not there"),
        ("JsUsesTimeout", "waits with `context.df.createTimer`"),
        ("JsUsesHttp", "`@azure/functions.app.http` is not there"),
    ] {
        let ended = host.ended(&host.start(name, ""));
        assert_eq!(ended["runtimeStatus"], "Failed", "{name}: {ended}");
        let message = ended["output"].as_str().unwrap();
        assert!(message.contains(said), "{name}: {message}");
    }
}

#[test]
fn an_endless_loop_ends_its_own_instance() {
    let host = host("always");
    let spins = host.start("JsSpins", "");
    let id = run(&host, "JsLoop", &json!(1), &[("E", json!(7))]);
    assert_eq!(host.output(&id), 7);
    let ended = host.ended(&spins);
    assert_eq!((&ended["runtimeStatus"], &ended["failure"]["kind"]), (&json!("Failed"), &json!("limit")), "{ended}");
}

#[test]
fn what_is_logged_is_written_once() {
    let mut host = host("never");
    let id = run(&host, "JsLogs", &json!(null), &[]);
    host.waits_for(&id, &["E"]);
    tests::until("the first lines", || {
        (lines(&host, "first {\"n\":1}") == 1 && lines(&host, "look out") == 1).then_some(())
    });
    host.kill_and_restart();
    host.raise(&id, "E", "1");
    assert_eq!(host.output(&id), "logged");
    tests::until("the last line", || (lines(&host, "broken") == 1).then_some(()));
    assert_eq!(
        (lines(&host, "first {\"n\":1}"), lines(&host, "look out")),
        (0, 0),
        "the steps before are replayed in silence"
    );
    assert!(host.log().contains("(orchestrators.ts:"), "an error that is logged tells its place");
}

#[test]
fn the_sdk_does_as_its_own_tests_say() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/js/test");
    let output = Command::new("node").arg("--test").arg(&tests).output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_types_fit_what_is_written_and_refuse_what_is_wrong() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/js/test/guest");
    let compiler = JAVASCRIPT.installed().join("typescript/bin/tsc");
    let output = JAVASCRIPT.runs(&compiler).arg("--project").arg(project).output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

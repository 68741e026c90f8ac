//! Orchestrators in Python: `guest-sdk/python/tests/guest`, on a real host.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Fresh, RESIDENCIES, guest_lines as lines, run};

const MODULE: &str = "test-guest-python";

fn host(residency: &str) -> Fresh {
    Fresh::with(|settings| settings.residency(residency).modules(&[MODULE]))
}

#[test]
fn what_is_waited_for_comes_in_the_order_of_history() {
    let event = |name, payload: Value| (name, payload);
    let cases = [
        ("PyLoop", json!(3), vec![event("E", json!(1)); 3], json!(3)),
        (
            "PySum",
            json!(null),
            [json!(1), json!(2.5), json!(null)].into_iter().map(|number| event("Number", number)).collect(),
            json!(3.5),
        ),
        ("PyNested", json!(null), vec![event("B", json!("b")), event("A", json!("a"))], json!(["a", "b"])),
        ("PyNested", json!(0.001), vec![], json!("timeout")),
        ("PyWide", json!(100), vec![], json!(9900)),
        ("PyTimer", json!(0.001), vec![], json!([true, true, true, true])),
        ("PyTimeout", json!(0.001), vec![], json!(["timeout", "nothing"])),
        (
            "PyAsync",
            json!(null),
            vec![event("Name", json!("Ann")), event("B", json!("second"))],
            json!(["Hello Ann!", "second"]),
        ),
        ("PyRetry", json!(3), vec![], json!([3, "ConnectionError", "attempt 1 failed"])),
        ("PyParent", json!(4), vec![], json!([8, true, "ValueError", "a child needs a number"])),
        ("PyStatus", json!(null), vec![event("Go", json!(1))], json!({"stage": "done"})),
        (
            "PyTypes",
            json!(null),
            vec![event("Order", json!({"item": "lamp", "count": 2}))],
            json!([{"item": "lamp", "count": 2}, 500, {"__class__": "Money", "__module__": "py_tasks", "__data__": {"cents": 500}}]),
        ),
        ("PyNamed", json!({"item": "lamp"}), vec![], json!("lamp")),
        ("PyAsyncio", json!(null), vec![], json!(["a", "b"])),
        ("PyFirstModel", json!("Ann"), vec![], json!("Hello Ann!")),
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
        let id = host.start("PyContinue", "[3, []]");
        for n in [1, 2, 3] {
            host.raise(&id, "E", &n.to_string());
        }
        assert_eq!(host.output(&id), json!([1, 2, 3]), "{residency}");
    }
}

#[test]
fn activities_are_called_in_every_way() {
    let host = host("always");
    let id = host.start("PyActivities", "");
    assert_eq!(host.output(&id), json!([42, {"async": [1, null]}, [true, id, 1], "Hello Ann!"]));
}

#[test]
fn other_instances_are_started_and_sent_events() {
    let host = host("never");
    let id = host.start("PyOthers", "");
    let output = host.output(&id);
    assert_eq!(output[0], format!("{id}-other"));
    assert!(output[1].as_str().unwrap().contains("/Approval"), "{output}");
    assert_ne!(output[2], output[3], "GUIDs are not the same twice");
    assert_eq!(host.output(&format!("{id}-other")), 1);
}

#[test]
fn clocks_and_randomness_are_the_same_on_replay_and_others_in_another_instance() {
    for residency in RESIDENCIES {
        let mut host = host(residency);
        let ids = [(); 2].map(|()| host.start("PyRandom", ""));
        ids.iter().for_each(|id| host.waits_for(id, &["Go"]));
        let before = ids.each_ref().map(|id| host.details(id)["customStatus"].clone());
        host.kill_and_restart();
        for (id, before) in ids.iter().zip(&before) {
            host.raise(id, "Go", "1");
            let output = host.output(id);
            assert_eq!(*before, output[0], "{residency}");
            assert_ne!(output[0][2], output[1][2], "random numbers go on after a wait");
        }
        for drawn in [2, 3, 4, 5, 7] {
            assert_ne!(before[0][drawn], before[1][drawn], "number {drawn} is drawn for the instance");
        }
    }
    let host = host("always");
    let readings = host.output(&host.start("PyActivityReadings", ""));
    assert_ne!(readings[0][2], readings[1][2], "those of activities are real");
}

#[test]
fn failures_have_message_kind_name_and_place() {
    let host = host("never");
    let caught = host.output(&host.start("PyCatches", ""));
    assert_eq!(
        (&caught["kind"], &caught["message"], &caught["errorType"], &caught["nonRetryable"]),
        (&json!("application"), &json!("only 3 are left"), &json!("OutOfStock"), &json!(true))
    );
    assert!(caught["details"].as_str().unwrap().contains("py_failures.py"), "{caught}");

    for (name, message, kind, error_type, details) in [
        ("PyFails", "this can not be", "application", "ValueError", "py_failures.py"),
        ("PyPassesOn", "only 3 are left", "application", "OutOfStock", "py_failures.py"),
        ("PyWraps", "the order can not be filled", "application", "RuntimeError", "nothing is left"),
        ("PyBadOutput", "set", "payload", "", ""),
    ] {
        let ended = host.ended(&host.start(name, ""));
        assert_eq!(
            (&ended["runtimeStatus"], &ended["failure"]["kind"]),
            (&json!("Failed"), &json!(kind)),
            "{name}: {ended}"
        );
        assert!(ended["output"].as_str().unwrap().contains(message), "{name}: {ended}");
        assert!(error_type.is_empty() || ended["failure"]["errorType"] == error_type, "{name}: {ended}");
        assert!(ended["failure"]["details"].as_str().unwrap().contains(details), "{name}: {ended}");
    }
}

#[test]
fn a_payload_that_does_not_fit_is_an_error_at_the_wait() {
    let host = host("never");
    for (payload, output) in [("7", json!(7)), ("\"7\"", json!(7))] {
        let id = host.start("PyMismatch", "");
        host.raise(&id, "Number", payload);
        assert_eq!(host.output(&id), output, "{payload}");
    }
    let id = host.start("PyMismatch", "");
    host.raise(&id, "Number", "[7]");
    assert_eq!(host.output(&id)[0], "payload");
}

#[test]
fn a_forgotten_yield_fails_with_a_sentence_and_grants_nothing() {
    let host = host("always");
    for (name, said) in [
        ("PyForgot", "there is no `yield` in it"),
        ("PyForgotAny", "yield"),
        ("PyForgotOne", "yield"),
        ("PyForgotAwait", "await"),
        ("PyYieldsList", "task_all"),
    ] {
        let ended = host.ended(&host.start(name, ""));
        assert_eq!(ended["runtimeStatus"], "Failed", "{name}: {ended}");
        let message = ended["output"].as_str().unwrap();
        assert!(message.contains(said), "{name}: {message}");
    }
}

#[test]
fn the_world_outside_is_not_there_and_each_way_to_it_says_so() {
    let host = host("always");
    for name in ["PyOutside", "PyOutsideOfActivity"] {
        let told = host.output(&host.start(name, ""));
        for (way, answer) in told.as_object().unwrap() {
            let answer = answer.as_str().unwrap();
            let harmless = way == "environ" && answer.ends_with("{}");
            let of_activity = name == "PyOutsideOfActivity" && way == "asyncio";
            assert!(!answer.starts_with("it went through") || harmless || of_activity, "{name}, {way}: {answer}");
        }
    }
    let ended = host.ended(&host.start("PySleeps", ""));
    assert!(ended["output"].as_str().unwrap().contains("create_timer"), "{ended}");
}

#[test]
fn an_endless_loop_ends_its_own_instance() {
    let host = host("always");
    let spins = host.start("PySpin", "");
    let id = run(&host, "PyLoop", &json!(1), &[("E", json!(7))]);
    assert_eq!(host.output(&id), 1);
    let ended = host.ended(&spins);
    assert_eq!((&ended["runtimeStatus"], &ended["failure"]["kind"]), (&json!("Failed"), &json!("limit")), "{ended}");
}

#[test]
fn what_is_logged_is_written_once() {
    let mut host = host("never");
    let id = run(&host, "PyLogs", &json!(null), &[]);
    host.waits_for(&id, &["Go"]);
    for (words, level) in [
        ("printed before", "INFO"),
        ("logged before", "INFO"),
        ("warned before", "WARN"),
        ("an error before", "ERROR"),
        ("context.log before", "WARN"),
    ] {
        tests::until(words, || (lines(&host, words) == 1).then_some(()));
        assert!(host.log().lines().any(|line| line.contains(words) && line.contains(level)), "{words}: {level}");
    }
    host.kill_and_restart();
    host.raise(&id, "Go", "1");
    assert_eq!(host.output(&id), json!(null));
    tests::until("the last line", || (lines(&host, "printed after") == 1).then_some(()));
    assert_eq!(lines(&host, "before"), 0, "the steps before are replayed in silence");
}

/// One orchestrator calls what is written in the other languages.
#[test]
fn languages_mix() {
    let modules = ["test-guest-javascript", MODULE, "new-building-permit"];
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| {
            settings.residency(residency).modules(&modules).argument("--activity=IssueBuildingPermit=module")
        });
        let id = host.start("JsMixed", "\"PyChild\"");
        let output = host.output(&id);
        assert_eq!(output[0]["applicationId"], "A-17", "of an activity in Rust: {output}");
        assert_eq!(output[1], json!({"doubled": 4, "parent": id}), "of an orchestrator in Python: {output}");
    }
}

#[test]
fn the_sdk_does_as_its_own_tests_say() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/python");
    let mut python = Command::new("python3");
    python.args(["-B", "-m", "unittest", "discover", "-s", "tests"]).current_dir(sdk);
    let output = python.output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

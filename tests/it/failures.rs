//! A guest harms only itself, and its failure can be read.

use super::{Fresh, RESIDENCIES};

#[test]
fn a_guest_that_fails_or_crashes_says_why_and_the_host_goes_on() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        for (orchestrator, message) in
            [("Fails", "the budget is spent"), ("Panics", "this guest has crashed on purpose"), ("Spins", "fuel")]
        {
            let id = host.start(orchestrator, "");
            host.raise(&id, "go", "null");
            let status = host.ended(&id);
            assert_eq!(status["runtimeStatus"], "Failed", "{status}");
            assert!(status["output"].as_str().unwrap().contains(message), "{status}");
        }
        let sleeper = host.start("Sleeps", "");
        assert!(host.ended(&sleeper)["output"].as_str().unwrap().contains("may wait for tasks only"));
        let well = host.start("W", "");
        host.raise(&well, "go", "1");
        assert_eq!(host.output(&well), 1);
    }
}

#[test]
fn a_typed_failure_has_its_type() {
    let host = Fresh::start();
    let id = host.start("Fails", "");
    host.raise(&id, "go", "null");
    assert_eq!(host.ended(&id)["failure"]["errorType"], "Overdrawn");
}

#[test]
fn a_payload_that_does_not_fit_can_be_caught() {
    let host = Fresh::start();
    let id = host.start("Picky", "");
    host.raise(&id, "number", "{\"no\": \"number\"}");
    let output = host.output(&id).to_string();
    for part in ["refused", "number", "u32", "no"] {
        assert!(output.contains(part), "{part:?} in {output}");
    }
}

#[test]
fn a_crash_leaves_a_backtrace_in_the_log() {
    let host = Fresh::start();
    let id = host.start("Panics", "");
    host.raise(&id, "go", "null");
    host.ended(&id);
    let told = ["wasm backtrace", "test_guest_a.wasm!test_guest_a", "run-orchestrator", id.as_str()];
    tests::until("the log tells of the crash", || told.iter().all(|part| host.log().contains(part)).then_some(()));
}

//! Modules made to hurt whoever compiles them: they are refused, and nobody else notices.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Fresh;

#[test]
fn one_with_too_much_in_it_is_refused_and_the_host_goes_on() {
    let host = Fresh::start();
    let id = host.start("Select", "null");
    let functions = 100_001;
    let answer = host.put("/modules", &module_of(functions));
    assert_eq!(answer.status, 422, "{answer:?}");
    let refusal = answer.json();
    assert_eq!(refusal["code"], "module-limit");
    assert!(refusal["Message"].as_str().unwrap().contains("100000"), "{refusal}");
    host.raise(&id, "Event1", "true");
    host.ended(&id);
}

/// A component with a core module of so many functions that do nothing.
fn module_of(functions: usize) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {}))", "(func)".repeat(functions))).unwrap()
}

/// What the child of a host says of itself, and whether it can do what no compiler needs.
#[cfg(target_os = "linux")]
#[test]
fn who_compiles_is_confined() {
    let limits = serde_json::to_value(fermata::limits::ModuleLimits::default()).unwrap();
    let assignment = serde_json::json!({ "job": "Compile", "limits": limits }).to_string();
    let mut child = Command::new(tests::binary());
    child.args(["compile-module", &assignment]).env_clear().stdin(Stdio::null());
    let output = child.output().unwrap();
    let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap();
    let report: Value = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let confined = report["confined"].as_str().unwrap();
    for bound in ["memory", "processor time", "no files written", "no files opened", "seccomp"] {
        assert!(confined.contains(bound), "{confined}");
    }
    assert!(report["made"]["Err"].is_object(), "nothing is no module: {report}");
}

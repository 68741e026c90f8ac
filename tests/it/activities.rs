//! Activities: real clocks, a stable key, typed failures, results once.

use serde_json::json;

use super::{Fresh, RESIDENCIES};

#[test]
fn an_activity_is_told_its_task_and_has_a_real_clock() {
    let host = Fresh::start();
    let id = host.start("AskActivity", "");
    let output = host.output(&id);
    assert!(output[0].as_str().unwrap().ends_with("-0"), "the key names the task: {output}");
    assert_eq!(output[1], id);
    assert_eq!(output[2], true, "time moves");
}

#[test]
fn a_failure_arrives_with_its_type() {
    let host = Fresh::start();
    let id = host.start("Catch", "");
    let output = host.output(&id).to_string();
    assert!(output.contains("OutOfStock") && output.contains("none left"), "{output}");
}

#[test]
fn results_arrive_in_order_and_what_was_drawn_is_the_same_on_replay() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let ledger = host.start("Ledger", "10");
        (1..=10).for_each(|amount| host.raise(&ledger, "amount", &amount.to_string()));
        assert_eq!(host.output(&ledger), json!([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]), "{residency}");

        let entropy = host.start("Entropy", "");
        (0..3).for_each(|_| host.raise(&entropy, "go", "null"));
        assert_eq!(host.output(&entropy).as_array().unwrap().len(), 3, "{residency}");
    }
}

#[test]
fn what_a_guest_prints_is_logged_once() {
    let host = Fresh::with(|settings| settings.residency("never"));
    let id = host.start("Entropy", "");
    (0..3).for_each(|_| host.raise(&id, "go", "null"));
    let draws = host.output(&id);
    for draw in draws.as_array().unwrap() {
        let line = format!("drew {}", draw["guid"].as_str().unwrap());
        tests::until("the line is logged", || host.log().contains(&line).then_some(()));
        assert_eq!(host.log().matches(&line).count(), 1, "a replay is silent");
    }
}

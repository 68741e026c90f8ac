//! Activities: real clocks, a stable key, typed failures, results once.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

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
fn an_activity_measures_time_and_draws_numbers_as_any_program_does() {
    let host = Fresh::start();
    let micros = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let begun = micros();
    let id = host.start("Stages", r#"["Measure", "Measure", "Measure"]"#);
    let output = host.output(&id);
    let measured = output.as_array().unwrap();
    let total = micros() - begun;
    let number = |value: &Value| value.as_u64().unwrap();
    let slept: Vec<u64> = measured.iter().map(|one| number(&one["slept_micros"])).collect();
    assert!(slept.iter().all(|slept| *slept >= 5_000) && slept.iter().sum::<u64>() <= total, "{slept:?} of {total}");
    let read: Vec<u64> = measured.iter().map(|one| number(&one["now_micros"])).collect();
    assert!(read.is_sorted() && read[0] >= begun + 5_000 && read[2] <= begun + total, "{read:?} from {begun}");
    let mut drawn: Vec<u64> =
        measured.iter().flat_map(|one| [&one["drawn"][0], &one["drawn"][1]]).map(number).collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 6, "none twice: {output}");
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

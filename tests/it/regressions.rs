//! What went wrong in others of this family, and must be impossible here. Some of it is tested elsewhere:
//!
//! | | what happened there | tested in |
//! |---|---|---|
//! | R1 | an event near continue-as-new was lost | `tests/dispatcher/generations.rs`, [`generations`](super::generations) |
//! | R2 | an event was accepted and never received | here; [`kills`](super::kills) |
//! | R3 | unknown and finished instances: some threw, some swallowed | [`errors`](super::errors) |
//! | R4 | two owners ran one instance | `tests/store_contract/fences.rs`, `tests/dispatcher/chance.rs`; one data directory: here |
//! | R5 | a large payload beside its event was overwritten | there are none beside: `tests/store_contract/turns.rs` |
//! | R6 | a status said Running for ever | `tests/dispatcher/main.rs`, `look`: it is the fold of the history |
//! | R7 | another module failed silently, or with useless words | here; `host/replay/tests/it/mismatch.rs` |
//! | R8 | unexpected events made replay slower and slower | here |
//! | R9 | a host without memory was reported as a guest's fault | `tests/dispatcher/exact.rs`, `an_instance_waits_for_room` |
//! | R10 | a lease was never released | [`kills`](super::kills): the system releases the lock |
//! | R11 | a mode without storage lost runs by surprise | there is none: the banner says that answers are durable |

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{BASE, Settings};

use super::{Fresh, RESIDENCIES};

#[test]
fn two_hosts_on_one_data_directory() {
    let host = Fresh::start();
    let begun = Instant::now();
    let log = Settings::new(host.data()).try_start().err().expect("the second refuses to start");
    assert!(begun.elapsed() < Duration::from_secs(1), "at once: {:?}", begun.elapsed());
    assert!(log.contains(&host.pid().to_string()), "it names the first: {log}");
}

#[test]
fn an_event_right_after_the_start_is_never_lost() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        for number in 0..100 {
            let id = host.start("W", "");
            host.raise(&id, "go", &number.to_string());
            assert_eq!(host.output(&id), number);
        }
    }
}

/// Azure's Python library returned the latest of two early events twice (Azure/azure-functions-durable-python 507).
#[test]
fn early_events_are_read_in_order() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("TwoNames", "");
        host.raise(&id, "second", "2");
        host.raise(&id, "second", "3");
        host.raise(&id, "first", "1");
        assert_eq!(host.output(&id), json!([1, 2]));
        let early = host.start("Collect", "3");
        (1..=3).for_each(|number| host.raise(&early, "item", &number.to_string()));
        assert_eq!(host.output(&early), json!([1, 2, 3]));
    }
}

#[test]
fn of_many_starts_of_one_id_one_succeeds() {
    let host = Fresh::start();
    for round in 0..20 {
        let path = format!("{BASE}/orchestrators/W/only-{round}");
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| host.post(&path, "").status)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 3, "{statuses:?}");
    }
}

#[test]
fn a_suspended_instance_with_timers_and_events_due_takes_them_in_order() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency).argument("--skippable-clock"));
        let id = host.start("Collect", "3");
        let timers = host.start("Timers", "[300000, 100000, 200000]");
        host.waits_for(&id, &["item"]);
        host.waits_for_timers(&timers, 3);
        for id in [&id, &timers] {
            assert_eq!(host.control(id, "suspend", "reason=a%20break").status, 202);
        }
        (1..=3).for_each(|number| host.raise(&id, "item", &number.to_string()));
        host.skip(Duration::from_secs(1_000));
        let host = host;
        for id in [&id, &timers] {
            assert_eq!(host.status(id).json()["runtimeStatus"], "Suspended");
            assert_eq!(host.control(id, "resume", "").status, 202);
        }
        assert_eq!(host.output(&id), json!([1, 2, 3]), "{residency}");
        assert_eq!(host.output(&timers), json!([1, 2, 0]), "{residency}");
    }
}

#[test]
fn a_suspended_instance_keeps_its_events_over_a_kill() {
    let mut host = Fresh::start();
    let id = host.start("Collect", "3");
    host.waits_for(&id, &["item"]);
    host.raise(&id, "item", "1");
    assert_eq!(host.control(&id, "suspend", "").status, 202);
    host.raise(&id, "item", "2");
    host.kill_and_restart();
    host.raise(&id, "item", "3");
    let details = host.details(&id);
    assert_eq!(details["runtimeStatus"], "Suspended");
    let buffered: Vec<_> = details["bufferedEvents"].as_array().unwrap().iter().map(|event| &event["input"]).collect();
    assert_eq!(buffered, [2, 3], "what was accepted is there to be seen");
    assert_eq!(host.control(&id, "resume", "").status, 202);
    assert_eq!(host.output(&id), json!([1, 2, 3]));
}

/// An event that nobody waits for costs no replay: the guest is not even made.
#[test]
fn unexpected_events_cost_no_replay() {
    let host = Fresh::with(|settings| settings.residency("never"));
    let id = host.start("Entropy", "");
    host.waits_for(&id, &["go"]);
    (0..300).for_each(|number| host.raise(&id, "nobody-waits-for-this", &number.to_string()));
    (0..3).for_each(|_| host.raise(&id, "go", "null"));
    host.output(&id);
    let buffered = host.details(&id)["bufferedEvents"].as_array().unwrap().len();
    assert_eq!(buffered, 300, "and each is still there to be seen");
}

#[test]
fn what_a_guest_logs_is_written_once_with_instance_execution_and_step() {
    let host = Fresh::with(|settings| settings.residency("never"));
    let id = host.start("Chatty", "");
    (0..3).for_each(|_| host.raise(&id, "go", "null"));
    host.ended(&id);
    let execution = host.details(&id)["executionId"].as_str().unwrap().to_owned();
    for number in 0..3 {
        let said = format!("chatty line {number} of {id}");
        tests::until("the line is logged", || host.log().contains(&said).then_some(()));
        let log = host.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&said)).collect();
        assert_eq!(lines.len(), 1, "a replay is silent");
        assert!(lines[0].contains(&format!("step={}", number + 1)) && lines[0].contains(&execution), "{}", lines[0]);
    }
}

#[test]
fn a_crash_tells_where_in_the_code_it_was() {
    let host = Fresh::start();
    let id = host.start("Crashes", "");
    host.raise(&id, "go", "null");
    let failed = host.ended(&id);
    assert_eq!(failed["failure"]["kind"], "trap");
    assert!(failed["output"].as_str().unwrap().contains("index out of bounds"), "{failed}");
    assert!(failed["failure"]["details"].as_str().unwrap().contains("deep_in_the_guest"), "{failed}");
}

#[test]
fn a_sleep_names_what_to_use_instead() {
    let host = Fresh::start();
    let id = host.start("Sleeps", "");
    assert!(host.ended(&id)["output"].as_str().unwrap().contains("create_timer"));
}

//! Guests that harm, or try to, beside others: the host lives, the others get on, and each comes to the end that it must.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::hostile::{Ends, guests, limits};
use tests::{BASE, Host, until};

use crate::Fresh;

fn deploy(host: &Host, name: &str) {
    let guest = guests().into_iter().find(|guest| guest.name == name).unwrap();
    let answer = host.put("/modules", &guest.module());
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// The most memory that a process ever had, bytes.
fn most_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What has become of an instance that was to end so; none while that is not known.
fn wrong(host: &Host, id: &str, ends: Ends) -> Option<Option<String>> {
    let status = host.status(id).json();
    let is = |expected: &str| status["runtimeStatus"] == expected;
    let kind = || (status["failure"]["kind"].clone(), status["failure"]["errorType"].clone());
    if is("Running") || is("Pending") {
        return None;
    }
    let right = match ends {
        Ends::Passes(limit) => is("Failed") && kind() == (json!("limit"), json!(limit)),
        Ends::Crashes(words) => {
            is("Failed") && kind().0 == "trap" && status["output"].as_str().is_some_and(|output| output.contains(words))
        }
        Ends::Returns => is("Completed"),
        Ends::Waits | Ends::GoesOn => is("Terminated"),
        Ends::IsRefused(_) => false,
    };
    Some((!right).then(|| status.to_string()))
}

/// How much memory the host may take for all this, bytes: it has some seventy modules, and never more than a few guests of 16 MiB.
const MEMORY: u64 = 700 << 20;

#[test]
fn all_at_once_harm_nobody_else() {
    let execution: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(limits()).unwrap()).unwrap();
    let lines: String = execution.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let host = Fresh::configured(&format!("[limits.host]\ninterrupted_guests = 8\n[limits.guest.execution]\n{lines}"));
    let mut hostile = Vec::new();
    for guest in guests() {
        let answer = host.put("/modules", &guest.module());
        match guest.ends {
            Ends::IsRefused(words) => {
                assert_eq!(answer.status / 100, 4, "{}: {answer:?}", guest.name);
                assert!(answer.body.contains(words), "{}: {answer:?}", guest.name);
            }
            ends => {
                assert_eq!(answer.status, 201, "{}: {answer:?}", guest.name);
                hostile.push((guest.name, ends));
            }
        }
    }
    let honest: Vec<String> = (0..20).map(|_| host.start("Collect", "3")).collect();
    let started: Vec<(String, &str, Ends)> =
        [(), ()].iter().flat_map(|()| &hostile).map(|(name, ends)| (host.start(name, "null"), *name, *ends)).collect();
    for number in 0..3 {
        honest.iter().for_each(|id| host.raise(id, "item", &number.to_string()));
    }
    for id in &honest {
        assert_eq!(host.output(id), json!([0, 1, 2]));
    }
    let (forked, others): (Vec<_>, Vec<_>) = started.iter().partition(|(_, name, _)| *name == "ForksOneByOne");
    for (id, ..) in forked {
        // The last of its line may have no child, and fails.
        assert_eq!(host.output(id), Value::Null);
    }
    for (id, name, _) in others.iter().filter(|(.., ends)| matches!(ends, Ends::Waits | Ends::GoesOn)) {
        let answer = host.control(id, "terminate", "");
        assert_eq!(answer.status, 202, "{name}: {answer:?}");
    }
    let mut found = Vec::new();
    for (id, name, ends) in others {
        let wrong = until(&format!("{name} ends"), || wrong(&host, id, *ends));
        found.extend(wrong.map(|status| format!("{name}, which {ends:?}: {status}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    for (name, ends) in &hostile {
        if let Ends::Passes(limit) = ends {
            assert!(host.hits(limit) >= 2, "{name}: {limit}");
        }
    }
    assert!(host.hits("depth") >= 2 && host.hits("log_step") >= 2);
    assert_eq!((host.metric("fermata_stalled_instances"), host.metric("fermata_interrupted_guests")), (0, 0));
    assert_eq!(host.get("/healthz").status, 200);
    assert!(!host.log().contains("panicked"), "{}", host.log());
    let memory = most_memory(host.pid());
    assert!(memory < MEMORY, "{memory} bytes");
}

/// More guests that never end than there are processors: others get on, and each of them can be ended in the middle of its step.
#[test]
fn guests_that_spin_hold_nobody_up() {
    let host = Fresh::configured(
        "[limits.guest]\nwall_time = '1h'\n[limits.guest.execution]\nfuel_per_step = 1_000_000_000_000_000\n[limits.host]\ninterrupted_guests = 6",
    );
    deploy(&host, "Spins");
    // More than there is room for: some begin anew again and again, and are ended all the same.
    let spinning: Vec<String> = (0..12).map(|_| host.start("Spins", "null")).collect();
    until("some are in the middle of a step", || (host.metric("fermata_interrupted_guests") >= 6).then_some(()));
    for number in 0..20 {
        let id = host.start("Echo", &number.to_string());
        assert_eq!(host.output(&id), number);
    }
    for id in &spinning {
        assert_eq!(host.status(id).json()["runtimeStatus"], "Pending");
        assert_eq!(host.control(id, "terminate", "").status, 202);
    }
    for id in &spinning {
        assert_eq!(host.ended(id)["runtimeStatus"], "Terminated");
    }
    until("no guest is left", || (host.metric("fermata_interrupted_guests") == 0).then_some(()));
}

/// An orchestrator that writes much at once waits while others are at work; what ends one of its instances does not wait.
#[test]
fn who_writes_much_at_once_lets_others_go_first() {
    lets_others_go_first("SendsWithoutEnd", 1);
}

/// Deadlines that have all passed are no reason to write them at once.
#[test]
fn who_wakes_itself_again_and_again_lets_others_go_first() {
    lets_others_go_first("TimersAtOnceWithoutEnd", 10);
}

/// One that fails after so many turns at least.
fn lets_others_go_first(orchestrator: &str, turns: u64) {
    let host = Fresh::configured("[limits.host]\nbulk_writes = { per_second = 0.001, burst = 1 }");
    deploy(&host, orchestrator);
    let first = host.start(orchestrator, "null");
    assert_eq!(host.ended(&first)["runtimeStatus"], "Failed");
    assert!(host.metric("fermata_turns_total") >= turns);
    assert_eq!(host.hits("bulk_writes"), 0, "it was at its work alone, and owed nothing");
    let echoes = || assert_eq!(host.output(&host.start("Echo", "1")), 1);
    echoes();
    let second = host.start(orchestrator, "null");
    until("it has to wait", || {
        echoes();
        (host.hits("bulk_writes") > 0).then_some(())
    });
    assert_eq!(host.status(&second).json()["runtimeStatus"], "Pending");
    assert_eq!(host.control(&second, "terminate", "").status, 202);
    assert_eq!(host.ended(&second)["runtimeStatus"], "Terminated");
}

/// A step that takes longer than its wall time says nothing about the instance: it is tried again, rarely in the end, until somebody helps.
#[test]
fn a_step_that_never_ends_is_stalled() {
    let config = |wall_time: &str| {
        format!(
            "[limits.guest]\nwall_time = '{wall_time}'\n[limits.guest.execution]\nfuel_per_step = 1_000_000_000_000_000\n\
             [limits.host]\nattempts_before_stalled = 2\nstalled_pause = '1h'"
        )
    };
    let mut host = Fresh::configured(&config("20ms"));
    ["Spins", "TakesLong"].iter().for_each(|name| deploy(&host, name));
    let [spins, long] = ["Spins", "TakesLong"].map(|name| host.start(name, "null"));
    let stalled = |host: &Host, id: &str| {
        let status =
            until("it is stalled", || Some(host.status(id).json()).filter(|status| status["stalled"].is_string()));
        assert_eq!(status["runtimeStatus"], "Pending", "nothing of it is recorded");
        assert!(status["stalled"].as_str().unwrap().contains("wall time"), "{status}");
    };
    stalled(&host, &spins);
    stalled(&host, &long);
    assert_eq!((host.metric("fermata_stalled_instances"), host.hits("stalled")), (2, 2));
    let before = host.hits("wall_time");
    assert!(before >= 4, "{before}");
    assert_eq!(host.control(&spins, "unpark", "").status, 202);
    until("it is tried again", || (host.hits("wall_time") > before).then_some(()));
    stalled(&host, &spins);
    assert_eq!(host.control(&spins, "terminate", "").status, 202);
    assert_eq!(host.ended(&spins)["runtimeStatus"], "Terminated");
    assert_eq!(host.metric("fermata_stalled_instances"), 1);
    // On a host that gives it the time it goes on, under the limits that it was started with.
    std::fs::write(
        tests::configuration_in(host.data()),
        "[limits.guest]\nwall_time = '10m'\n[limits.guest.execution]\nfuel_per_step = 1_000_000",
    )
    .unwrap();
    host.kill_and_restart();
    assert_eq!(host.output(&long), Value::Null);
}

#[test]
fn an_orchestrator_has_so_many_instances_and_no_more() {
    let config = "[limits.host]\norchestrator_instances = 2";
    let mut host = Fresh::configured(config);
    let refused = |host: &Host| {
        let answer = host.post(&format!("{BASE}/orchestrators/W"), "null");
        assert_eq!((answer.status, &answer.json()["code"]), (429, &json!("too-many-instances")), "{answer:?}");
        assert!(answer.retry_after.is_some());
    };
    let [first, second] = [(), ()].map(|()| host.start("W", "null"));
    refused(&host);
    let other = host.start("Echo", "1");
    assert_eq!(host.output(&other), 1, "others have a number of their own");
    host.raise(&first, "go", "1");
    assert_eq!(host.output(&first), 1);
    // What has ended may be seen a moment before it counts no more.
    let third = until("there is room for one", || {
        let answer = host.post(&format!("{BASE}/orchestrators/W"), "null");
        (answer.status == 202).then(|| answer.json()["id"].as_str().unwrap().to_owned())
    });
    refused(&host);
    host.waits_for(&third, &["go"]);
    host.kill_and_restart();
    refused(&host);
    assert_eq!(host.delete(&format!("{BASE}/instances/{second}?force=true")).status, 200);
    host.start("W", "null");
    refused(&host);
    assert_eq!(host.hits("instances"), 2);
}

#[test]
fn a_wrong_configuration_is_named_and_the_right_one_is_printed() {
    let start = |config: &str| {
        let data = tempfile::tempdir().unwrap();
        let settings = tests::Settings::new(data.path()).configuration(config);
        settings.try_start().err().expect("it must not start")
    };
    let log = start("[limits.guest]\nwall_time = '5s'\nfule = 1");
    assert!(log.contains("fule") && log.contains("fermata.toml"), "{log}");
    let log = start("[limits.guest.execution]\nmemory_bytes = 1");
    assert!(log.contains("limits.guest.execution.memory_bytes"), "{log}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[limits.guest]\nwall_time = '5s'").unwrap();
    let printed = std::process::Command::new(tests::binary())
        .args(["serve", "--print-config", "--client-time", "7s", "--config"])
        .arg(file.path())
        .output()
        .unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    for line in ["wall_time = \"5s\"", "head_time = \"7s\"", "fuel_per_step = 5000000000"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

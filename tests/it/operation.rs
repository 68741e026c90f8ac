//! Starting, stopping, standing still.

use std::time::{Duration, Instant};

use tests::{BASE, Settings};

use super::Fresh;

#[test]
fn sigterm_ends_the_host_and_loses_nothing() {
    let mut fresh = Fresh::start();
    let host = fresh.take();
    let ids: Vec<String> = (0..50).map(|_| host.start("Ledger", "2")).collect();
    ids.iter().for_each(|id| host.raise(id, "amount", "1"));
    let (status, settings) = host.terminate();
    assert_eq!(status, Some(0));
    let host = settings.start();
    for id in &ids {
        host.raise(id, "amount", "2");
        assert_eq!(host.output(id), serde_json::json!([2, 4]));
    }
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let host = Fresh::start();
    let log = Settings::new(host.data()).try_start().err().expect("the second one must not start");
    assert!(log.contains("in use") && log.contains(&host.pid().to_string()), "{log}");
}

#[test]
fn the_banner_says_where_data_lives_and_that_it_is_durable() {
    let host = Fresh::start();
    let log = host.log();
    assert!(log.contains(host.data().to_str().unwrap()) && log.contains("durable"), "{log}");
    assert!(log.contains("BudgetApproval"), "{log}");
}

#[test]
fn an_address_for_everyone_needs_a_word() {
    let data = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(tests::binary())
        .args(["serve", "--listen", "0.0.0.0:0", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--insecure-no-auth"), "{said}");
}

#[test]
fn an_idle_host_stands_still() {
    let host = Fresh::start();
    for number in 0..200 {
        assert_eq!(host.post(&format!("{BASE}/orchestrators/W/w-{number}"), "").status, 202);
    }
    for number in 0..200 {
        host.waits_for(&format!("w-{number}"), &["go"]);
    }
    // A write-ahead log may still be checkpointed; after that the host has no reason to run.
    let quiet = tests::until("the host falls silent", || {
        let (begun, before) = (Instant::now(), cpu_ticks(host.pid()));
        std::thread::sleep(Duration::from_millis(500));
        let used = cpu_ticks(host.pid()) - before;
        (used == 0).then_some((begun.elapsed(), used))
    });
    println!("{} ticks of CPU in {:?} with 200 instances waiting", quiet.1, quiet.0);
}

/// CPU time of a process in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

//! Starting, stopping, standing still.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::BASE;
use tests::endpoint::{Answer as Served, Endpoint};
use tests::torture::{End, repeat};

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

/// Whoever asks meanwhile is answered, or was not heard; what is there goes on in the next process.
#[test]
fn twenty_stops_under_load() {
    const STOPS: u32 = 20;
    let seed = tests::seed("twenty_stops_under_load");
    let again = format!("SEED={seed} cargo xtask test twenty_stops_under_load");
    println!("{}", repeat(End::Stop, STOPS, seed, again));
}

/// Neither activities, nor clients who wait or do not finish what they say, hold a stop up for longer than it may take.
#[test]
fn a_stop_takes_ten_seconds_at_most_whatever_is_under_way() {
    let slow = Endpoint::start(|_| Served::new(200, "1").after(Duration::from_secs(60)));
    let mut fresh =
        Fresh::with(|settings| settings.argument("--activity").argument(&format!("Remote={}", slow.url("/"))));
    let host = fresh.take();
    let remote = host.start("CallOne", r#"["Remote", 5, 5]"#);
    let spins = json!({"activity": "Hangs", "input": [1, "spins"], "attempts": 2, "interval": 5});
    let spinning = host.start("CallWithin", &spins.to_string());
    tests::until("the endpoint is called", || (slow.requests().len() == 1).then_some(()));
    tests::until("the activity spins", || host.log().contains("spins").then_some(()));
    let mut half = TcpStream::connect(host.address()).unwrap();
    let head =
        format!("POST {BASE}/orchestrators/W HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\n1", host.address());
    half.write_all(head.as_bytes()).unwrap();
    let begun = std::thread::scope(|scope| {
        let waits = scope.spawn(|| host.post(&format!("{BASE}/orchestrators/W/waits?timeout=60"), ""));
        tests::until("it is heard", || (host.status("waits").status == 202).then_some(()));
        host.signal("TERM");
        let begun = Instant::now();
        assert_eq!(waits.join().unwrap().status, 202, "it is told that it is started");
        begun
    });
    let (code, settings) = host.wait();
    assert_eq!(code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());

    let quick = Endpoint::start(|_| Served::new(200, "1"));
    let host = settings.argument("--activity").argument(&format!("Remote={}", quick.url("/"))).start();
    assert_eq!(host.output(&remote), 1);
    assert_eq!(quick.requests()[0].header("idempotency-key"), slow.requests()[0].header("idempotency-key"));
    host.raise("waits", "go", "7");
    assert_eq!(host.output("waits"), 7);
    assert_eq!(host.control(&spinning, "terminate", "").status, 202);
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

//! Copies of the data, made under load, and what `fermata verify` makes of them and of data that somebody has changed.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fermata::store::embedded::pages;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::{Host, Settings};

use super::Fresh;

const CLIENTS: usize = 4;
const BACKUPS: usize = 3;

fn fermata(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(tests::binary()).args(arguments).args(paths).env_remove("FERMATA_LOG").output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What a command that succeeded has printed as JSON.
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn problems(output: &Output) -> String {
    assert_eq!(code(output), 1, "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["problems"].to_string()
}

fn verify(data: &Path) -> Output {
    fermata(&["verify", "-o", "json", "--data"], &[data])
}

fn items(host: &Host, id: &str) -> Vec<usize> {
    let details = host.details(id);
    let events = details["historyEvents"].as_array().unwrap().iter();
    let raised = events.filter(|event| event["EventType"] == "EventRaised");
    raised.map(|event| event["Input"].as_u64().unwrap() as usize).collect()
}

#[test]
fn a_backup_under_load_has_all_that_was_acknowledged() {
    let host = Fresh::start();
    let ids: Vec<String> = (0..CLIENTS).map(|_| host.start("Collect", "100000")).collect();
    let acknowledged: Vec<AtomicUsize> = ids.iter().map(|_| AtomicUsize::new(0)).collect();
    let over = AtomicBool::new(false);
    let place = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for (id, acknowledged) in ids.iter().zip(&acknowledged) {
            let (host, over) = (&host, &over);
            scope.spawn(move || {
                for number in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    host.raise(id, "item", &number.to_string());
                    acknowledged.store(number + 1, Ordering::SeqCst);
                }
            });
        }
        for number in 0..BACKUPS {
            let least = 20 * (number + 1);
            let is_loaded = || acknowledged.iter().all(|count| count.load(Ordering::SeqCst) >= least).then_some(());
            tests::until("there is something to lose", is_loaded);
            let before: Vec<usize> = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let (copy, data) = (place.path().join(format!("b{number}")), place.path().join(format!("d{number}")));
            let made = report(&fermata(&["backup", "-o", "json", "--data"], &[host.data(), &copy]));
            assert_eq!((&made["instances"], &made["problems"]), (&json!(CLIENTS), &json!([])));
            assert!(report(&verify(host.data()))["steps"].as_u64() >= made["steps"].as_u64(), "beside its host");

            report(&fermata(&["restore", "-o", "json", "--data"], &[&data, &copy]));
            report(&verify(&data));
            let restored = Settings::new(&data).start();
            for (id, before) in ids.iter().zip(&before) {
                let there = items(&restored, id);
                assert!(there.len() >= *before, "{} of {before} events are there", there.len());
                assert_eq!(there, (0..there.len()).collect::<Vec<_>>());
            }
        }
        over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_copy_takes_no_place_that_is_taken_and_leaves_nothing_out() {
    let mut host = Fresh::start();
    let id = host.start("Collect", "2");
    host.raise(&id, "item", "1");
    let made = fermata(&["key", "create", "-o", "json", "admin", "--data"], &[host.data()]);
    assert!(made.status.success());
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");

    // After a kill the data is recovered before it is copied; before that it is no backup.
    let killed = host.take().kill();
    let refused = fermata(&["restore", "--data"], &[&place.path().join("data"), host.data()]);
    assert_eq!(code(&refused), 2, "{refused:?}");
    report(&fermata(&["backup", "-o", "json", "--data"], &[host.data(), &copy]));
    assert!(copy.join("keys.json").exists());
    let refused = fermata(&["backup", "--data"], &[host.data(), &copy]);
    assert!(code(&refused) == 6 && String::from_utf8_lossy(&refused.stderr).contains("there already"), "{refused:?}");
    let refused = fermata(&["restore", "--data"], &[host.data(), &copy]);
    assert_eq!(code(&refused), 6, "{refused:?}");
    let nothing = place.path().join("nothing");
    let refused = fermata(&["backup", "--data"], &[&nothing, &place.path().join("other")]);
    assert!(code(&refused) == 1 && String::from_utf8_lossy(&refused.stderr).contains("fermata.db"), "{refused:?}");
    assert!(!nothing.exists());

    // Nothing was written to the backup, and nothing is left of what was refused.
    report(&fermata(&["verify", "-o", "json", "--backup"], &[&copy]));
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["copy"]);
    host.host = Some(killed.start());
}

#[test]
fn verify_tells_what_history_says_otherwise() {
    let mut host = Fresh::start();
    let ended = host.start("Collect", "1");
    host.raise(&ended, "item", "1");
    host.output(&ended);
    let waiting = host.start("Collect", "2");
    host.waits_for(&waiting, &["item"]);
    let (status, _) = host.take().terminate();
    assert_eq!(status, Some(0));
    report(&verify(host.data()));

    let file = host.data().join("fermata.db");
    let change = |sql: &str| {
        let flags = OpenFlags::default();
        let db = Connection::open_with_flags_and_vfs(&file, flags, pages::vfs().unwrap()).unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
        db.close().unwrap();
    };
    let of_waiting = format!("key = (SELECT key FROM instance WHERE id = '{waiting}')");
    for (wrong, right, says) in [
        (
            format!("UPDATE instance SET status = 3 WHERE id = '{ended}'"),
            format!("UPDATE instance SET status = 1 WHERE id = '{ended}'"),
            "its status is Failed, and by its history Completed",
        ),
        (
            format!("UPDATE instance SET waiting = '[\"other\"]' WHERE id = '{waiting}'"),
            format!("UPDATE instance SET waiting = '[\"item\"]' WHERE id = '{waiting}'"),
            "its list of awaited events",
        ),
        (
            format!("UPDATE instance SET due = 7 WHERE id = '{waiting}'"),
            format!("UPDATE instance SET due = NULL WHERE id = '{waiting}'"),
            "its due time",
        ),
        (
            "INSERT INTO inbox VALUES (999999, 999999, 1, '{}')".to_owned(),
            "DELETE FROM inbox WHERE seq = 999999".to_owned(),
            "belongs to no instance",
        ),
        (
            format!("UPDATE history SET body = replace(body, '\"task\":0', '\"task\":7') WHERE {of_waiting}"),
            format!("UPDATE history SET body = replace(body, '\"task\":7', '\"task\":0') WHERE {of_waiting}"),
            "step 1 of the history can not be",
        ),
        (
            format!("UPDATE instance SET rows = rows + 1 WHERE id = '{ended}'"),
            format!("UPDATE instance SET rows = rows - 1 WHERE id = '{ended}'"),
            "rows instead of",
        ),
    ] {
        change(&wrong);
        let found = problems(&verify(host.data()));
        assert!(found.contains(says), "{says:?} in {found}");
        change(&right);
        report(&verify(host.data()));
    }

    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 100;
    bytes[end] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let found = problems(&verify(host.data()));
    assert!(found.contains("checksum") || found.contains("SQLite says"), "{found}");

    // Who is whole goes on, in a copy.
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let refused = fermata(&["backup", "--data"], &[host.data(), &copy]);
    assert!(code(&refused) == 1 && String::from_utf8_lossy(&refused.stderr).contains("--rescue"), "{refused:?}");
    let rescued = fermata(&["backup", "--rescue", "-o", "json", "--data"], &[host.data(), &copy]);
    let left_out = report(&rescued)["left_out"].to_string();
    let told = String::from_utf8_lossy(&rescued.stderr).lines().filter(|line| line.starts_with("lost: ")).count();
    let running = Settings::new(&copy).start();
    let lost = [&ended, &waiting].into_iter().filter(|id| running.status(id).status == 404).collect::<Vec<_>>();
    assert!(lost.iter().all(|id| left_out.contains(*id)) && told >= lost.len(), "{lost:?} {rescued:?}");
    running.start("Collect", "1");
}

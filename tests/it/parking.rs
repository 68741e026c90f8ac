//! Instances that are parked, for their module does not fit their history; and how they go on.

use fermata::store::embedded::pages;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::{BASE, guest_bytes};

use super::Fresh;

/// What nobody should do: stops the host, and makes histories say that they began with the other module.
fn forge(host: &mut Fresh, ids: &[&str], from: &str, to: &str) {
    while_stopped(host, |db| {
        for id in ids {
            replace_in_history(db, id, from, to);
            db.execute("UPDATE instance SET module = ?1 WHERE id = ?2", [to, id]).unwrap();
        }
    });
}

fn while_stopped(host: &mut Fresh, change: impl Fn(&Connection)) {
    let (status, settings) = host.take().terminate();
    assert_eq!(status, Some(0));
    let (file, vfs) = (host.data().join("fermata.db"), pages::vfs().unwrap());
    let db = Connection::open_with_flags_and_vfs(file, OpenFlags::default(), vfs).unwrap();
    change(&db);
    db.close().unwrap();
    host.host = Some(settings.start());
}

fn replace_in_history(db: &Connection, id: &str, from: &str, to: &str) {
    let history =
        "UPDATE history SET body = replace(body, ?1, ?2) WHERE key = (SELECT key FROM instance WHERE id = ?3)";
    assert!(db.execute(history, [from, to, id]).unwrap() > 0);
}

fn parked(host: &Fresh, id: &str) -> Value {
    host.status(id).json()["parked"].clone()
}

#[test]
fn a_history_that_can_not_be_parks_its_instance_and_no_other() {
    let mut host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    for id in ["damaged", "sound"] {
        assert_eq!(host.post(&format!("{BASE}/orchestrators/TwoNames/{id}"), "").status, 202);
        host.waits_for(id, &["first"]);
    }
    while_stopped(&mut host, |db| replace_in_history(db, "damaged", "\"task\":0", "\"task\":7"));
    let why = "step 1 of the history can not be";

    let shown = host.get(&format!("{BASE}/instances/damaged?showHistory=true"));
    assert!(shown.status == 500 && shown.body.contains("storage-damaged") && shown.body.contains(why), "{shown:?}");
    host.raise("damaged", "first", "1");
    let parked = tests::until("it is parked", || parked(&host, "damaged").as_str().map(str::to_owned));
    assert!(parked.contains(why), "{parked}");

    host.raise("sound", "first", "1");
    host.raise("sound", "second", "2");
    host.output("sound");
}

#[test]
fn a_module_that_does_not_fit_parks_an_instance_until_it_is_repaired_or_moved() {
    let mut host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let ids = ["repaired", "moved"];
    for id in ids {
        assert_eq!(host.post(&format!("{BASE}/orchestrators/TwoNames/{id}"), "").status, 202);
        host.waits_for(id, &["first"]);
    }
    let a = host.details("moved")["module"].as_str().unwrap().to_owned();
    let deployed = host.put("/modules", &guest_bytes("test-guest-b")).json();
    let b = deployed["digest"].as_str().unwrap().to_owned();

    // Module B waits for the second event first.
    forge(&mut host, &ids, &a, &b);
    for id in ids {
        host.raise(id, "first", "1");
        let why = tests::until("it is parked", || parked(&host, id).as_str().map(str::to_owned));
        for words in ["history says first, the guest second", &b] {
            assert!(why.contains(words), "{words:?} in {why}");
        }
        tests::until("the log says so", || host.log().contains(&why).then_some(()));
        assert_eq!(host.status(id).json()["runtimeStatus"], "Running");
        host.raise(id, "second", "2");
    }

    // To try again with the same module brings nothing.
    assert_eq!(host.control("repaired", "unpark", "").status, 202);
    let times = || host.log().lines().filter(|line| line.contains("repaired") && line.contains("is parked")).count();
    tests::until("it is parked again", || (times() == 2 && parked(&host, "repaired").is_string()).then_some(()));

    let moved = host.post("/migrations", &json!({"to": a, "instance": "moved"}).to_string()).json();
    assert_eq!(moved["instances"][0]["moved"], true, "{moved}");
    assert_eq!(host.output("moved"), json!([1, 2]));
    assert_eq!(parked(&host, "moved"), Value::Null);

    forge(&mut host, &["repaired"], &b, &a);
    assert!(parked(&host, "repaired").is_string(), "somebody has to say that it may go on");
    assert_eq!(host.control("repaired", "unpark", "").status, 202);
    assert_eq!(host.output("repaired"), json!([1, 2]));
    assert_eq!(host.control("repaired", "unpark", "").status, 409);
}

/// It can not be replayed, and nobody can say what it would have done; the others go on.
#[test]
fn a_bit_that_changed_parks_its_instance_alone() {
    let mut host = Fresh::start();
    let ids = ["spoilt", "whole"];
    for id in ids {
        assert_eq!(host.post(&format!("{BASE}/orchestrators/Collect/{id}"), "3").status, 202);
        // Of several pages, the last of which holds nothing else.
        host.raise(id, "item", &format!("\"{} end of {id}\"", "x".repeat(10_000)));
        host.waits_for(id, &["item"]);
        host.raise(id, "item", "2");
        tests::until("both have been read", || {
            (host.details(id)["historyEvents"].to_string().matches("EventRaised").count() == 2).then_some(())
        });
    }
    let (status, settings) = host.take().terminate();
    assert_eq!(status, Some(0));
    let file = host.data().join("fermata.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let text = b"end of spoilt";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    host.host = Some(settings.start());
    ids.iter().for_each(|id| host.raise(id, "item", "3"));
    assert_eq!(host.output("whole")[2], 3);
    let why = tests::until("it is parked", || parked(&host, "spoilt").as_str().map(str::to_owned));
    assert!(why.contains("damaged") && why.contains("checksum"), "{why}");
    assert!(host.log().contains("a page of the database is not what was written"), "{}", host.log());

    // What it was sent waits, and is in nobody's way.
    host.raise("spoilt", "item", "4");
    let (_, settings) = host.take().terminate();
    host.host = Some(settings.start());
    assert_eq!((parked(&host, "spoilt").as_str(), host.output("whole")[2].as_u64()), (Some(&*why), Some(3)));
}

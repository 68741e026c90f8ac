//! Instances that are parked, for their module does not fit their history; and how they go on.

use fermata::store::embedded::pages;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::{BASE, guest_bytes};

use super::Fresh;

/// What nobody should do: stops the host, and makes histories say that they began with the other module.
fn forge(host: &mut Fresh, ids: &[&str], from: &str, to: &str) {
    let (status, settings) = host.take().terminate();
    assert_eq!(status, Some(0));
    let (file, vfs) = (host.data().join("fermata.db"), pages::vfs().unwrap());
    let db = Connection::open_with_flags_and_vfs(file, OpenFlags::default(), vfs).unwrap();
    let history =
        "UPDATE history SET body = replace(body, ?1, ?2) WHERE key = (SELECT key FROM instance WHERE id = ?3)";
    for id in ids {
        assert!(db.execute(history, [from, to, id]).unwrap() > 0);
        db.execute("UPDATE instance SET module = ?1 WHERE id = ?2", [to, id]).unwrap();
    }
    db.close().unwrap();
    host.host = Some(settings.start());
}

fn parked(host: &Fresh, id: &str) -> Value {
    host.status(id).json()["parked"].clone()
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

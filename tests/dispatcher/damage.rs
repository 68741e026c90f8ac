//! A host that takes over finds damaged pages: whoever misses what was on them is parked, and nobody else notices.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::slice::SliceIndex;

use fermata::dispatcher::{Output, Services};
use fermata::store::embedded::{Embedded, pages};
use fermata::store::{Filter, Instance, Undone};
use fermata_replay::{Caller, ChildStart, Control, OutgoingBody};
use rusqlite::{Connection, OpenFlags, params};

use super::*;

pub(super) const PAGE: usize = 4096;
/// Of each kind; enough for several pages.
pub(super) const INSTANCES: usize = 60;
/// Ids fill pages.
pub(super) fn id(kind: &str, number: usize) -> String {
    format!("{kind}-{number}-{}", "x".repeat(150))
}

pub(super) async fn open_in(dir: &Path, services: Services) -> Arc<Dispatcher> {
    let store = Arc::new(Embedded::open(dir).unwrap());
    let options = Options { services, workers: 2, activities: 4, residency: Residency::Never, ..Options::default() };
    let dispatcher = Dispatcher::open(store, engine(), Arc::new(SystemClock), &options).await.unwrap();
    dispatcher.deploy_if_new(tests::guest_bytes("test-guest-a").into()).await.unwrap();
    dispatcher
}

pub(super) fn database(dir: &Path) -> Connection {
    Connection::open_with_flags_and_vfs(dir.join("fermata.db"), OpenFlags::default(), pages::vfs().unwrap()).unwrap()
}

/// Instances that wait for an activity that nobody answers, and for children that wait themselves, or that have ended; of the latter the
/// parents are suspended, and have not read it.
pub(super) fn waiting(dir: &Path) {
    on_its_own(make_waiting(dir));
    // Whoever held the store last may have been its own thread, which is not waited for.
    tests::until("the store is closed", || Embedded::open(dir).ok());
}

async fn make_waiting(dir: &Path) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut services = Services::default();
    services.serve(&format!("Which=http://{}/", silent.local_addr().unwrap())).unwrap();
    let dispatcher = open_in(dir, services).await;
    for number in 0..INSTANCES {
        dispatcher.start("CallOne", Some(&id("calls", number)), payload("[\"Which\", 1, 1]")).await.unwrap();
        for kind in ["asks", "hears"] {
            let child = format!(r#"{{"orchestrator": "W", "id": "child of {}", "input": null}}"#, id(kind, number));
            dispatcher.start("StrictParent", Some(&id(kind, number)), payload(&child)).await.unwrap();
        }
    }
    for number in 0..INSTANCES {
        let (parent, child) = (id("hears", number), format!("child of {}", id("hears", number)));
        eventually("the child is there", async || see(&dispatcher, &child).await.is_some()).await;
        dispatcher.suspend(&parent, Control::default()).await.unwrap();
        dispatcher.raise(&child, "go", payload("1")).await.unwrap();
        eventually("it ends", async || see(&dispatcher, &child).await.unwrap().status.is_final()).await;
        let child = format!("child of {}", id("asks", number));
        eventually("the other is there", async || see(&dispatcher, &child).await.is_some()).await;
    }
    eventually("nothing is sent", async || dispatcher.in_memory() == 0).await;
    dispatcher.close().await;
}

/// Puts what the children were sent, and what they have told, back into the outbox: a host that dies leaves it there.
pub(super) fn undeliver(dir: &Path) {
    let db = database(dir);
    let mut seq =
        db.query_row("SELECT value FROM meta WHERE key = 'reserved'", [], |row| row.get::<_, i64>(0)).unwrap();
    let key =
        |id: &str| db.query_row("SELECT key FROM instance WHERE id = ?", [id], |row| row.get::<_, i64>(0)).unwrap();
    let mut send = |from: &str, to: &str, body: &str| {
        seq += 1;
        let entry = params![seq, key(from), from, to, body];
        db.execute("INSERT INTO outbox (seq, sender, sender_id, target, body) VALUES (?, ?, ?, ?, ?)", entry).unwrap();
    };
    for number in 0..INSTANCES {
        let (parent, child) = (id("asks", number), format!("child of {}", id("asks", number)));
        let execution = "SELECT execution FROM instance WHERE id = ?";
        let execution = db.query_row(execution, [&parent], |row| row.get(0)).unwrap();
        let caller = Caller { execution, task: 0, attempt: 1, depth: 0 };
        let start = ChildStart { name: "W".into(), input: payload("null"), caller: Some(caller) };
        send(&parent, &child, &serde_json::to_string(&OutgoingBody::Start(start)).unwrap());
        for table in ["history", "inbox", "instance"] {
            db.execute(&format!("DELETE FROM {table} WHERE key = ?"), [key(&child)]).unwrap();
        }

        let (parent, child) = (id("hears", number), format!("child of {}", id("hears", number)));
        let word = "SELECT body FROM inbox WHERE key = ? AND body LIKE '%ChildEnded%'";
        let word: String = db.query_row(word, [key(&parent)], |row| row.get(0)).unwrap();
        db.execute("DELETE FROM inbox WHERE key = ? AND body = ?", params![key(&parent), word]).unwrap();
        let word = OutgoingBody::Message(serde_json::from_str(&word).unwrap());
        send(&child, &parent, &serde_json::to_string(&word).unwrap());
    }
    db.execute("UPDATE meta SET value = ? WHERE key = 'reserved'", [seq + 1]).unwrap();
}

/// Changes a bit on each of these pages of a table or an index, of those that are not its root.
fn damage(dir: &Path, table: &str, which: impl SliceIndex<[i64], Output = [i64]>) {
    let query = "SELECT pageno FROM dbstat WHERE name = ? AND path != '/' ORDER BY path";
    let pages: Vec<i64> = database(dir)
        .prepare(query)
        .unwrap()
        .query_map([table], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(pages.len() > 2, "{table} has {pages:?}");
    let file = dir.join("fermata.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in &pages[which] {
        bytes[(*page as usize - 1) * PAGE + 1_000] ^= 1;
    }
    std::fs::write(file, bytes).unwrap();
}

fn undone(dir: &Path) -> Undone {
    on_its_own(async { Embedded::open(dir).unwrap().undone().await.unwrap() })
}

/// On a runtime that is gone afterwards, with all that was under way there: as a process ends.
pub(super) fn on_its_own<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

/// Who is parked of this kind, once as many are.
async fn parked(dispatcher: &Dispatcher, kind: &str) -> BTreeSet<String> {
    let mut parked = BTreeSet::new();
    for number in 0..INSTANCES {
        let view = see(dispatcher, &id(kind, number)).await.unwrap();
        if let Some(reason) = view.parked {
            assert!(reason.contains("is lost, by a damaged page"), "{reason}");
            parked.insert(view.id);
        }
    }
    parked
}

#[test]
fn who_misses_what_was_on_a_damaged_page_is_parked_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    waiting(dir.path());
    undeliver(dir.path());
    let whole = undone(dir.path());
    assert_eq!((whole.activities.len(), whole.outbox.len()), (INSTANCES, 2 * INSTANCES));
    damage(dir.path(), "activity", 1..2);
    damage(dir.path(), "outbox", 1..2);
    let left = undone(dir.path());

    let missing = |kind: &str, left: BTreeSet<String>| -> BTreeSet<String> {
        (0..INSTANCES).map(|number| id(kind, number)).filter(|id| !left.contains(id)).collect()
    };
    let calls = missing("calls", left.activities.iter().map(|activity| activity.instance_id.clone()).collect());
    let asks = missing("asks", left.outbox.iter().map(|sent| sent.from_id.clone()).collect());
    let hears = missing("hears", left.outbox.iter().map(|sent| sent.to.clone()).collect());
    assert!((1..INSTANCES / 2).contains(&calls.len()) && !asks.is_empty() && !hears.is_empty(), "{left:?}");

    // By now the module itself serves the activity.
    on_its_own(async {
        let dispatcher = open_in(dir.path(), Services::default()).await;
        for number in 0..INSTANCES {
            let (asks_id, hears_id) = (id("asks", number), id("hears", number));
            if !asks.contains(&asks_id) {
                let child = format!("child of {asks_id}");
                eventually("the child is started", async || see(&dispatcher, &child).await.is_some()).await;
                dispatcher.raise(&child, "go", payload("2")).await.unwrap();
            }
            if !hears.contains(&hears_id) {
                dispatcher.resume(&hears_id, Control::default()).await.unwrap();
            }
            for (id, lost, result) in
                [(id("calls", number), &calls, None), (asks_id, &asks, Some("2")), (hears_id, &hears, Some("1"))]
            {
                if lost.contains(&id) {
                    continue;
                }
                eventually("it completes", async || see(&dispatcher, &id).await.unwrap().status.is_final()).await;
                let output = see(&dispatcher, &id).await.unwrap().output;
                assert!(
                    matches!(&output, Some(Output::Result(is)) if result.is_none_or(|result| is.as_str() == result)),
                    "{output:?}"
                );
            }
        }
        for (kind, lost) in [("calls", calls), ("asks", asks), ("hears", hears)] {
            assert_eq!(parked(&dispatcher, kind).await, lost);
            // As the reason says.
            let id = lost.first().unwrap();
            dispatcher.terminate(id, Control::default()).await.unwrap();
            let is_ended = async || see(&dispatcher, id).await.unwrap().status == RuntimeStatus::Terminated;
            eventually("it ends", is_ended).await;
        }
        dispatcher.close().await;
    });
}

/// It would be tried for ever otherwise.
#[test]
fn an_instance_whose_turn_can_not_be_written_is_parked() {
    let dir = tempfile::tempdir().unwrap();
    on_its_own(async {
        let dispatcher = open_in(dir.path(), Services::default()).await;
        for number in 0..1_200 {
            dispatcher.start("W", Some(&number.to_string()), payload("null")).await.unwrap();
        }
        eventually("all wait", async || dispatcher.in_memory() == 0).await;
        dispatcher.close().await;
    });
    damage(dir.path(), "instance_status", ..);
    on_its_own(async {
        let dispatcher = open_in(dir.path(), Services::default()).await;
        dispatcher.raise("7", "go", payload("1")).await.unwrap();
        eventually("it is parked", async || see(&dispatcher, "7").await.unwrap().parked.is_some()).await;
        let view = see(&dispatcher, "7").await.unwrap();
        assert!(view.parked.unwrap().contains("is damaged") && view.status == RuntimeStatus::Running);
        eventually("it is left alone", async || dispatcher.in_memory() == 0).await;
        dispatcher.close().await;
    });
}

/// All add to the end of history, and of the inbox: where that is damaged only those are concerned whose rows lie there.
#[test]
fn where_the_place_that_is_written_next_is_damaged_others_go_on() {
    for table in ["history", "inbox"] {
        let dir = tempfile::tempdir().unwrap();
        let item = payload(&format!("{:?}", "x".repeat(300)));
        on_its_own(async {
            let dispatcher = open_in(dir.path(), Services::default()).await;
            for number in 0..INSTANCES {
                let id = id("collects", number);
                dispatcher.start("Collect", Some(&id), payload("2")).await.unwrap();
                dispatcher.raise(&id, "item", item.clone()).await.unwrap();
                dispatcher.suspend(&id, Control::default()).await.unwrap();
                eventually("it is suspended", async || {
                    see(&dispatcher, &id).await.unwrap().status == RuntimeStatus::Suspended
                })
                .await;
                dispatcher.raise(&id, "item", item.clone()).await.unwrap();
            }
            dispatcher.close().await;
        });
        tests::until("the store is closed", || Embedded::open(dir.path()).ok());
        let last = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path DESC LIMIT 1";
        let page: usize = database(dir.path()).query_row(last, [table], |row| row.get::<_, i64>(0)).unwrap() as usize;
        let mut bytes = std::fs::read(dir.path().join("fermata.db")).unwrap();
        bytes[(page - 1) * PAGE + 3_000] ^= 1;
        std::fs::write(dir.path().join("fermata.db"), bytes).unwrap();

        on_its_own(async {
            let dispatcher = open_in(dir.path(), Services::default()).await;
            for number in 0..INSTANCES {
                dispatcher.resume(&id("collects", number), Control::default()).await.unwrap();
            }
            // What lies on the page can not be shown with its history.
            let all = async || dispatcher.list(Filter::default()).await.unwrap().instances;
            let is_settled = |instance: &Instance| instance.parked.is_some() || instance.status.is_final();
            eventually("each goes on, or is parked", async || all().await.iter().all(is_settled)).await;
            let reasons: Vec<String> = all().await.into_iter().filter_map(|instance| instance.parked).collect();
            assert!(reasons.iter().all(|reason| reason.contains("is damaged")), "{reasons:?}");
            let parked = reasons.len();
            assert!((1..20).contains(&parked), "{table}: {parked} are parked");
            // The rows that were written since may have the numbers of those that were lost: they are of others.
            let (lost, whole): (Vec<_>, Vec<_>) =
                all().await.into_iter().partition(|instance| instance.parked.is_some());
            for instance in lost {
                let _ = dispatcher.purge(&instance.id, true).await;
            }
            for instance in whole {
                assert_eq!(see(&dispatcher, &instance.id).await.unwrap().status, RuntimeStatus::Completed);
            }
            dispatcher.start("Collect", Some("new"), payload("1")).await.unwrap();
            dispatcher.raise("new", "item", payload("1")).await.unwrap();
            eventually("it completes", async || see(&dispatcher, "new").await.unwrap().status.is_final()).await;
            dispatcher.close().await;
        });
    }
}

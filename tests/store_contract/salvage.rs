//! Whichever page is damaged of those that many instances share: a host can take over, and misses no more than what lies on it, and knows.

use std::collections::BTreeSet;
use std::path::Path;

use fermata::store::embedded::Embedded;
use fermata::store::{Module, Store, StoreError, TurnRecord, Undone};
use fermata_replay::{RuntimeStatus, Timestamp};
use tempfile::TempDir;

use crate::kit::{World, activity, database, outgoing, turn};

const PAGE: usize = 4096;
const MODULES: usize = 20;
const INSTANCES: u64 = 1_200;

/// A closed store. Of three instances one has ended, one has an activity open and has sent a message, and one is due; all have a message unread.
async fn written() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for number in 0..MODULES {
        let (digest, bytes) = (format!("d{number}"), vec![7; 2_000].into());
        let names = vec!["Orchestrator".to_owned()];
        let module = Module { digest, bytes, orchestrators: names, activities: Vec::new(), deployed: Timestamp(1) };
        world.store.deploy(module).await.unwrap();
    }
    for number in 0..INSTANCES {
        let key = world.create(&format!("{number}{}", "-".repeat(50)), None).await.unwrap();
        let record = match number % 3 {
            0 => TurnRecord { status: RuntimeStatus::Completed, ..turn(0) },
            1 => {
                let seq = world.number().await;
                TurnRecord { activities: vec![activity(3)], outgoing: vec![outgoing(seq, &"x".repeat(100))], ..turn(0) }
            }
            _ => TurnRecord { due: Some(Timestamp(9_000_000 - number as i64)), ..turn(0) },
        };
        world.turn(key, record).await.unwrap();
        world.accept(key).await.unwrap();
    }
    dir
}

/// The pages of tables and indexes, but for the roots: without one of these there is no table.
fn pages(dir: &Path) -> Vec<(String, isize)> {
    let db = database(dir);
    let mut query = db
        .prepare("SELECT name, pageno FROM dbstat WHERE path != '/' AND name NOT IN ('sqlite_schema', 'history')")
        .unwrap();
    let pages = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    pages.collect::<Result<_, _>>().unwrap()
}

/// All that is read of many instances at once: what was left undone, who is due, and who has ended.
async fn read(store: &dyn Store) -> Result<(Undone, BTreeSet<String>, BTreeSet<String>), StoreError> {
    let due = store.readable_due(None, 2_000).await?;
    assert!(due.is_sorted_by_key(|due| (due.due, due.key)));
    let ended = store.readable_ended(2_000).await?;
    assert!(ended.is_sorted_by_key(|ended| (ended.ended, ended.key)));
    let (due, ended) = (due.into_iter().map(|due| due.id).collect(), ended.into_iter().map(|ended| ended.id).collect());
    Ok((store.undone().await?, due, ended))
}

#[tokio::test]
async fn whatever_page_is_damaged_the_rest_is_read() {
    let dir = written().await;
    let pages = pages(dir.path());
    let whole = std::fs::read(dir.path().join("fermata.db")).unwrap();
    let (all, due, ended) = read(&Embedded::open(dir.path()).unwrap()).await.unwrap();
    assert!(all.harm.is_none() && all.unread.len() as u64 == INSTANCES && [due.len(), ended.len()] == [400, 400]);

    let mut harmed = BTreeSet::new();
    for (name, page) in pages {
        println!("page {page} of {name}");
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes[(page as usize - 1) * PAGE + 1_000] ^= 1;
        std::fs::write(dir.path().join("fermata.db"), bytes).unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        let (found, found_due, found_ended) = read(&store).await.unwrap();

        let mut lost = BTreeSet::new();
        for unread in &all.unread {
            if store.find(&unread.id).await.is_err() {
                lost.insert(unread.id.clone());
            }
        }
        // An index that tells where rows are is lost without the rows.
        assert!(name.starts_with("instance") || name.contains("autoindex") || lost.is_empty(), "{lost:?}");
        let is_row = name == "instance";
        let without_lost = |all: &BTreeSet<String>| -> BTreeSet<String> {
            all.iter().filter(|id| !is_row || !lost.contains(*id)).cloned().collect()
        };
        assert_eq!(found_due, without_lost(&due));
        assert_eq!(found_ended, without_lost(&ended));
        let unread = |undone: &Undone| undone.unread.iter().map(|unread| unread.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(unread(&found), without_lost(&unread(&all)));

        let modules = store.readable_modules().await.unwrap();
        assert!(modules.is_sorted_by(|a, b| a.deployment > b.deployment));
        let least = if name == "module" { MODULES - 3 } else { MODULES };
        assert!((least..=MODULES).contains(&modules.len()), "{} modules", modules.len());

        let mut expected = all.activities.clone();
        expected.retain(|activity| !is_row || !lost.contains(&activity.instance_id));
        let harm = found.harm.clone().unwrap_or_default();
        assert_eq!((harm.activities, harm.outbox), (name == "activity", name == "outbox"));
        let is_part = |found: usize, expected: usize| 0 < found && found < expected;
        match harm.activities {
            true => assert!(is_part(found.activities.len(), expected.len())),
            false => assert_eq!(found.activities, expected),
        }
        assert!(found.activities.iter().all(|activity| expected.contains(activity)));
        match harm.outbox {
            true => assert!(is_part(found.outbox.len(), all.outbox.len())),
            false => assert_eq!(found.outbox, all.outbox),
        }
        assert!(found.outbox.iter().all(|sent| all.outbox.contains(sent)));
        if let Some(harm) = &found.harm {
            assert_eq!(harm.unended.len() as u64, INSTANCES / 3 * 2, "each of them may miss something");
            harmed.insert(name);
        }
        if harm.activities || harm.outbox {
            store.mend().await.unwrap();
            let after = read(&store).await.unwrap();
            assert_eq!(after, (Undone { harm: None, ..found }, found_due, found_ended));
            let shown =
                database(dir.path()).query_row("SELECT count(*) FROM v_outbox", [], |row| row.get::<_, isize>(0));
            assert_eq!(shown.unwrap() as usize, after.0.outbox.len(), "a view shows what is in use");
        }
    }
    let expected = ["activity", "inbox_key", "instance", "outbox"].map(str::to_owned);
    assert_eq!(harmed, BTreeSet::from(expected), "those that a host reads when it takes over");
}

//! A directory that an older host wrote.

use std::path::Path;

use fermata::store::{Activity, Change, Once, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::Connection;

use crate::kit::{World, activity, database, message, outgoing, steps, turn};

const OLDER: [u32; 3] = [1, 2, 3];

const SCHEMAS: [&str; 3] = [include_str!("format_1.sql"), include_str!("format_2.sql"), include_str!("format_3.sql")];

/// What an older format held: an instance of each status, with two steps, an unread message and an open activity; one is parked.
fn older(format: u32, dir: &Path) -> Connection {
    let db = Connection::open(dir.join("fermata.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL;").unwrap();
    db.execute_batch(SCHEMAS[format as usize - 1]).unwrap();
    db.execute("INSERT INTO meta (key, value) VALUES ('format_version', ?), ('reserved', 100)", [format]).unwrap();
    db.execute_batch(
        "
         WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 63)
         INSERT INTO partition (p, owner, epoch) SELECT n, 'old', 3 FROM number;
         INSERT INTO module VALUES ('d1', '[\"O\"]', '[\"A\"]', 5, 1, x'010203');",
    )
    .unwrap();
    let (attempt, one) = if format == 1 { ("", "") } else { (", attempt", ", 1") };
    for status in RuntimeStatus::ALL {
        let key = 10 + status as i64;
        let sql = format!(
            "INSERT INTO history (key, prev, body) VALUES ({key}, NULL, '[1]');
             INSERT INTO history (key, prev, body) VALUES ({key}, last_insert_rowid(), '[2]');
             INSERT INTO instance (key, partition, id, name, module, execution, status, created, updated, version,
                 first_row, last_row, rows, parked, custom_status) VALUES ({key}, 0, '{}', 'N', 'd1', 'e{key}', {}, 1000, {}, 2,
                 last_insert_rowid() - 1, last_insert_rowid(), 2, NULL, '\"c\"');
             INSERT INTO inbox VALUES ({}, {key}, 7, '{{}}');
             INSERT INTO activity (key, task, name, input{attempt}) VALUES ({key}, 4, 'A', '[4]'{one});",
            status.name(),
            status as i64,
            2000 + key,
            key + 20
        );
        db.execute_batch(&sql).unwrap();
    }
    db.execute_batch("UPDATE instance SET parked = 'why' WHERE id = 'Suspended'").unwrap();
    if format > 1 {
        let ended = "UPDATE instance SET ended = updated WHERE status IN (1, 3, 4, 5);
                     INSERT INTO outbox VALUES (901, 10, 'Running', 'b', '[901]');";
        db.execute_batch(ended).unwrap();
    }
    if format > 2 {
        let waiting = "UPDATE instance SET waiting = '[]' WHERE status IN (1, 3, 4, 5, 6);
                       INSERT INTO meta (key, value) VALUES ('requests', 0);";
        db.execute_batch(waiting).unwrap();
    }
    db
}

#[tokio::test]
async fn an_older_file_is_brought_up() {
    for format in OLDER {
        is_brought_up(format).await;
    }
}

async fn is_brought_up(format: u32) {
    let dir = tempfile::tempdir().unwrap();
    drop(older(format, dir.path()));
    for _ in 0..2 {
        let world = World::open(dir.path()).await;
        assert_eq!(world.leases.len(), 64);
        assert_eq!(world.store.module_bytes("d1").await.unwrap().as_deref(), Some(&[1, 2, 3][..]));
        let mut ended = Vec::new();
        for status in RuntimeStatus::ALL {
            let key = 10 + status as u64;
            let loaded = world.load(key).await;
            assert_eq!((steps(&loaded.history), loaded.unread.len()), (vec![1.into(), 2.into()], 1));
            let instance = loaded.instance;
            assert_eq!((instance.status, instance.version, instance.due), (status, 2, None));
            assert_eq!(instance.parked.is_some(), status == RuntimeStatus::Suspended);
            let waits_for_nothing = status.is_final() || status == RuntimeStatus::Pending;
            assert_eq!(instance.waiting, waits_for_nothing.then(Default::default), "else it is not known");
            assert_eq!(instance.ended, status.is_final().then_some(Timestamp(2000 + key as i64)));
            if status.is_final() {
                ended.push(key);
            }
        }
        let found = world.store.ended(10).await.unwrap();
        assert_eq!(found.iter().map(|ended| ended.key).collect::<Vec<_>>(), ended);
        let open = world.store.open_activities().await.unwrap();
        let expected = Activity {
            key: 10,
            instance_id: "Running".to_owned(),
            execution: "e10".to_owned(),
            module: "d1".to_owned(),
            task: 4,
            name: "A".to_owned(),
            input: "[4]".to_owned(),
            attempt: 1,
            timeout: None,
        };
        assert_eq!((open.len(), &open[0]), (8, &expected));
    }
    let world = World::open(dir.path()).await;
    assert!(world.number().await >= 100);
    let record = TurnRecord {
        due: Some(Timestamp(5)),
        waiting: Some(["paid".to_owned()].into()),
        outgoing: vec![outgoing(900, "b")],
        activities: vec![activity(9)],
        consumed: vec![30],
        ..turn(2)
    };
    world.turn(10, record.clone()).await.unwrap();
    assert_eq!(world.load(10).await.instance.waiting, record.waiting);
    let once = Some(Once { key: "k".to_owned(), request: [1; 32], until: Timestamp(i64::MAX) });
    world.write(10, Change::Accept { message: message(950, "{}"), sent: None, once }).await.unwrap();
    assert!(world.store.remembered("Running", "k").await.unwrap().is_some());
    world.write(13, Change::Remove).await.unwrap();
    assert_eq!(world.store.due(None, 10).await.unwrap().len(), 1);
    assert_eq!(world.store.outbox().await.unwrap().len(), if format == 1 { 1 } else { 2 });
}

#[tokio::test]
async fn a_file_that_was_brought_up_is_like_a_new_one() {
    let shape = async |dir: &Path| {
        drop(World::open(dir).await);
        let db = database(dir);
        let columns = "SELECT s.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk
            FROM sqlite_schema AS s, pragma_table_info(s.name) AS c
            UNION ALL SELECT name || ' ' || sql FROM sqlite_schema WHERE type IN ('view', 'index') ORDER BY 1";
        let mut columns = db.prepare(columns).unwrap();
        let columns = columns.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        let columns: Vec<_> = columns.map(Result::unwrap).collect();
        let number = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
        let format = number("SELECT value FROM meta WHERE key = 'format_version'");
        assert_eq!((format, number("PRAGMA auto_vacuum")), (4, 2));
        columns
    };
    let new = tempfile::tempdir().unwrap();
    for format in OLDER {
        let old = tempfile::tempdir().unwrap();
        drop(older(format, old.path()));
        assert_eq!(shape(old.path()).await, shape(new.path()).await, "from format {format}");
    }
}

/// There was no room for it when the schema was brought up.
#[tokio::test]
async fn a_file_that_can_not_shrink_is_written_anew_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(older(1, dir.path()));
    drop(World::open(dir.path()).await);
    let db = database(dir.path());
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;").unwrap();
    let mode = |db: &Connection| db.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(mode(&db), 0);
    drop(db);
    drop(World::open(dir.path()).await);
    assert_eq!(mode(&database(dir.path())), 2);
}

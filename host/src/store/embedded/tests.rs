//! What only this back end promises. The rest is in `tests/store_contract`.

use std::sync::mpsc::{Receiver, channel};

use fermata_replay::{RuntimeStatus, Timestamp};
use tempfile::TempDir;

use super::listing::Way;
use super::row::UPDATE;
use super::*;

struct World {
    store: Embedded,
    lease: Lease,
    _dir: TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).unwrap();
    let lease = store.acquire("tests").await.unwrap()[0];
    let world = World { store, lease, _dir: dir };
    let instance = NewInstance {
        id: "a".to_owned(),
        name: "N".to_owned(),
        module: "d".to_owned(),
        execution: "e".to_owned(),
        created: Timestamp(0),
    };
    let create = Change::Create { instance, replaces: None, message: message(1), sent: None, once: None };
    assert_eq!(world.write(create).recv().unwrap(), Ok(()));
    world
}

impl World {
    fn write(&self, change: Change) -> Receiver<Result<(), StoreError>> {
        let (answer, outcome) = channel();
        let write = Write { lease: self.lease, key: 1, change };
        self.store.submit(write, Box::new(move |result| answer.send(result).unwrap()));
        outcome
    }

    /// Runs SQL on the writer's connection.
    async fn execute(&self, sql: String) {
        self.store.transaction(move |db| Ok(db.execute_batch(&sql)?)).await.unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        self.store.transaction(|db| Ok(db.query_row(sql, [], |row| row.get(0))?)).await.unwrap()
    }
}

fn message(seq: u64) -> StoredMessage {
    StoredMessage { seq, at: Timestamp(0), body: "{}".to_owned() }
}

fn turn(expected_version: u64, steps: String, consumed: Vec<u64>) -> Change {
    Change::Turn(TurnRecord {
        expected_version,
        steps: Some(steps),
        consumed,
        returned: Vec::new(),
        status: RuntimeStatus::Running,
        updated: Timestamp(0),
        due: None,
        waiting: None,
        module: None,
        custom_status: None,
        activities: Vec::new(),
        settled: Vec::new(),
        outgoing: Vec::new(),
        generation: None,
    })
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_and_nothing_else() {
    let world = world().await;
    let pages = world.number("SELECT page_count FROM pragma_page_count").await;
    world.execute(format!("PRAGMA max_page_count = {}", pages + 5)).await;
    let large = format!("[\"{}\"]", "x".repeat(1 << 20));
    assert_eq!(world.write(turn(0, large.clone(), vec![1])).recv().unwrap(), Err(StoreError::Full));
    let loaded = world.store.load(1).await.unwrap().unwrap();
    assert_eq!((loaded.instance.version, loaded.unread.len(), world.store.poisoned()), (0, 1, None));

    world.execute("PRAGMA max_page_count = 4294967294".to_owned()).await;
    assert_eq!(world.write(turn(0, large, vec![1])).recv().unwrap(), Ok(()));
}

#[tokio::test]
async fn a_panic_of_the_writer_poisons_and_leaves_nobody_waiting() {
    let world = world().await;
    let panicked = world.store.on_writer::<()>(|_| panic!("on purpose"));
    let queued: Vec<_> = (0..10).map(|version| world.write(turn(version, "[1]".to_owned(), Vec::new()))).collect();
    assert!(matches!(panicked.await, Err(StoreError::Poisoned(_))));
    for outcome in queued {
        assert!(matches!(outcome.recv().unwrap(), Err(StoreError::Poisoned(_))));
        assert!(outcome.recv().is_err(), "answered twice");
    }
    assert!(world.store.poisoned().is_some());
    assert!(matches!(world.write(turn(0, "[1]".to_owned(), Vec::new())).recv().unwrap(), Err(StoreError::Poisoned(_))));
    assert!(matches!(world.store.find("a").await, Err(StoreError::Poisoned(_))));
    assert!(matches!(world.store.acquire("b").await, Err(StoreError::Poisoned(_))));
}

#[tokio::test]
async fn a_message_that_comes_and_goes_in_a_batch_is_never_written() {
    let world = world().await;
    let count = "CREATE TEMP TABLE written (n);
                 CREATE TEMP TRIGGER t AFTER INSERT ON main.inbox BEGIN INSERT INTO written VALUES (new.seq); END";
    world.execute(count.to_owned()).await;
    // The writer is kept busy, so that what follows is one batch.
    let (go, wait) = channel::<()>();
    let busy = world.store.on_writer(move |_| wait.recv().map_err(|_| StoreError::Missing));
    let mut outcomes = Vec::new();
    for version in 0..20 {
        let seq = 100 + version;
        outcomes.push(world.write(Change::Accept { message: message(seq), sent: None, once: None }));
        outcomes.push(world.write(turn(version, "[1]".to_owned(), vec![seq])));
    }
    outcomes.push(world.write(Change::Accept { message: message(900), sent: None, once: None }));
    go.send(()).unwrap();
    busy.await.unwrap();
    for outcome in outcomes {
        assert_eq!(outcome.recv().unwrap(), Ok(()));
    }
    assert_eq!(world.number("SELECT group_concat(n) = '900' FROM written").await, 1);
}

#[tokio::test]
async fn a_long_history_is_rewritten_a_logarithmic_number_of_times() {
    const TURNS: u64 = 10_000;
    let world = world().await;
    let count = "CREATE TEMP TABLE rewritten (bytes INTEGER); INSERT INTO rewritten VALUES (0);
                 CREATE TEMP TRIGGER t AFTER DELETE ON main.history
                 BEGIN UPDATE rewritten SET bytes = bytes + octet_length(old.body); END";
    world.execute(count.to_owned()).await;
    let step = format!("[\"{}\"]", "x".repeat(100));
    let outcomes: Vec<_> = (0..TURNS).map(|version| world.write(turn(version, step.clone(), Vec::new()))).collect();
    for outcome in outcomes {
        assert_eq!(outcome.recv().unwrap(), Ok(()));
    }
    let written = TURNS as i64 * step.len() as i64;
    let rewritten = world.number("SELECT bytes FROM rewritten").await;
    let rows = world.number("SELECT count(*) FROM history").await;
    println!("{rows} rows; each byte was rewritten {:.1} times", rewritten as f64 / written as f64);
    assert!(rewritten < written * (TURNS as f64).log2() as i64);
    assert!(rows <= 20);
    let largest = world.number("SELECT max(octet_length(body)) FROM history").await;
    assert!(largest <= chain::MERGED_BYTES as i64, "{largest} bytes would be written at once");
    assert_eq!(world.store.load(1).await.unwrap().unwrap().history.len() as i64, rows);
}

#[tokio::test]
async fn a_broken_chain_is_damage_and_stays_in_its_instance() {
    let world = world().await;
    for version in 0..3 {
        assert_eq!(world.write(turn(version, "[1]".to_owned(), Vec::new())).recv().unwrap(), Ok(()));
    }
    world.execute("DELETE FROM history WHERE row = 2".to_owned()).await;
    assert!(matches!(world.store.load(1).await, Err(StoreError::Damaged(_))));
    assert!(world.store.find("a").await.unwrap().is_some());
    assert_eq!(world.store.poisoned(), None);
}

#[tokio::test]
async fn a_message_that_is_sent_and_delivered_in_a_batch_is_never_written() {
    let world = world().await;
    let count = "CREATE TEMP TABLE written (n);
                 CREATE TEMP TRIGGER t AFTER INSERT ON main.outbox BEGIN INSERT INTO written VALUES (new.seq); END";
    world.execute(count.to_owned()).await;
    let (go, wait) = channel::<()>();
    let busy = world.store.on_writer(move |_| wait.recv().map_err(|_| StoreError::Missing));
    let mut outcomes = Vec::new();
    for version in 0..20 {
        let Change::Turn(turn) = turn(version, "[1]".to_owned(), Vec::new()) else { unreachable!() };
        let outgoing = Outgoing { seq: 100 + version, to: "a".to_owned(), body: "{}".to_owned() };
        outcomes.push(world.write(Change::Turn(TurnRecord { outgoing: vec![outgoing], ..turn })));
        if version != 7 {
            outcomes.push(world.write(Change::Accept {
                message: message(200 + version),
                sent: Some(100 + version),
                once: None,
            }));
        }
    }
    go.send(()).unwrap();
    busy.await.unwrap();
    for outcome in outcomes {
        assert_eq!(outcome.recv().unwrap(), Ok(()));
    }
    assert_eq!(world.number("SELECT group_concat(n) = '107' FROM written").await, 1);
}

/// One line a row: what SQLite says it would do.
async fn explain(world: &World, sql: String, column: &'static str) -> Vec<String> {
    let lines = world.store.transaction(move |db| {
        let mut query = db.prepare(&sql)?;
        let mut rows = query.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push(row.get(column)?);
        }
        Ok(lines)
    });
    lines.await.unwrap()
}

#[tokio::test]
async fn what_is_due_and_what_has_ended_is_read_from_an_index() {
    let world = world().await;
    for (query, index) in
        [(reader::DUE, "instance_due"), (reader::ENDED, "instance_ended"), (reader::COUNT_ENDED, "instance_ended")]
    {
        let plan = explain(&world, format!("EXPLAIN QUERY PLAN {query}"), "detail").await;
        assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?}");
        assert!(plan[0].contains(&format!("INDEX {index}")), "{plan:?}");
    }
    assert!(explain(&world, format!("EXPLAIN QUERY PLAN {}", reader::DUE), "detail").await[0].starts_with("SEARCH"));
}

#[tokio::test]
async fn a_turn_that_changes_no_indexed_column_writes_no_index() {
    let world = world().await;
    let written = async |update: &str| -> i64 {
        let table = update.to_owned();
        let program = world.store.transaction(move |db| {
            let mut query = db.prepare(&format!("EXPLAIN {table}"))?;
            let opened =
                query.raw_query().mapped(|row| Ok((row.get::<_, String>("opcode")?, row.get::<_, i64>("p2")?)));
            Ok(opened.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        program.await.unwrap().iter().filter(|(opcode, _)| opcode == "OpenWrite").count() as i64
    };
    assert_eq!(written(UPDATE).await, 1, "the table alone");
    assert_eq!(written("UPDATE instance SET due = ? WHERE key = ?").await, 2);
    assert_eq!(written("UPDATE instance SET ended = ? WHERE key = ?").await, 2);
}

#[tokio::test]
async fn a_page_walks_an_index_and_sorts_no_rows() {
    let world = world().await;
    let running = RuntimeStatus::Running;
    let ways = [
        (Way::All, "SEARCH instance USING INTEGER PRIMARY KEY (rowid>?)"),
        (Way::Name("N"), "SEARCH instance USING INDEX instance_name (name=? AND key>?)"),
        (Way::Statuses(vec![running]), "SEARCH instance USING INDEX instance_status (status=? AND key>?)"),
        (
            Way::Statuses(RuntimeStatus::ALL.to_vec()),
            "SEARCH instance USING INDEX instance_status (status=? AND key>?)",
        ),
        (Way::Prefix("a"), "SEARCH instance USING INTEGER PRIMARY KEY (rowid=?)"),
    ];
    for (way, search) in ways {
        for with_waiting in [false, true] {
            let (query, values) = way.query(None, with_waiting);
            let (count, explained) = (values.len(), format!("EXPLAIN QUERY PLAN {query}"));
            assert_eq!(query.matches('?').count(), count);
            let plan = explain(&world, explained, "detail").await;
            assert!(plan.iter().any(|line| line == search), "{plan:?}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE") || line.starts_with("SCAN")), "{plan:?}");
        }
    }
}

/// 60,000 instances that nobody has run: the filter decides how few of them a page looks at.
#[tokio::test]
async fn what_an_index_serves_fills_its_pages() {
    let world = world().await;
    let fill = "WITH RECURSIVE number (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM number WHERE n < 60999)
        INSERT INTO instance (key, partition, id, name, module, execution, status, created, updated, version, rows, waiting)
        SELECT n, 0, printf('%s-%d', iif(n % 1000 = 7, 'rare', 'often'), n), iif(n % 1000 = 7, 'Rare', 'Often'), 'd', 'e',
               iif(n % 1000 = 8, 3, 0), n, n, 1, 0, iif(n % 1000 = 7, '[\"rare\"]', '[]') FROM number";
    world.execute(fill.to_owned()).await;
    let page = async |filter: Filter| {
        let page = world.store.list(Filter { limit: 100, ..filter }).await.unwrap();
        (page.instances.len(), page.next)
    };
    let none = Filter::default;
    let named = |name: &str| Filter { name: Some(name.to_owned()), ..none() };
    let failed = vec![RuntimeStatus::Failed];
    assert_eq!(page(named("Rare")).await, (60, None));
    assert_eq!(page(Filter { statuses: failed.clone(), ..none() }).await, (60, None));
    // Whichever leaves fewer.
    assert_eq!(page(Filter { statuses: failed, ..named("Often") }).await, (60, None));
    assert_eq!(page(Filter { statuses: vec![RuntimeStatus::Running], ..named("Rare") }).await, (60, None));
    assert_eq!(page(Filter { id_prefix: Some("rare".to_owned()), ..named("Rare") }).await, (60, None));
    assert_eq!(page(Filter { id_prefix: Some("r".to_owned()), ..none() }).await, (60, None));
    assert_eq!(page(Filter { id_prefix: Some("often".to_owned()), ..none() }).await.0, 100);

    // Of what no index knows, 20,000 rows are looked at. The one instance of `world` is the first.
    let rare = Filter { waiting_for: Some("rare".to_owned()), ..none() };
    assert_eq!(page(rare.clone()).await, (20, Some(20_998)));
    assert_eq!(page(Filter { after: Some(20_998), ..rare.clone() }).await, (20, Some(40_998)));
    assert_eq!(page(Filter { after: Some(40_998), ..rare.clone() }).await, (20, Some(60_998)));
    assert_eq!(page(Filter { after: Some(60_998), ..rare }).await, (0, None));
    assert_eq!(page(Filter { created_from: Some(Timestamp(60_000)), ..none() }).await, (0, Some(20_998)));
}

#[tokio::test]
async fn of_too_many_requests_those_are_forgotten_that_expire_first() {
    let world = world().await;
    // As if all the others were there.
    let others = crate::limits::REMEMBERED_REQUESTS - 3;
    world.execute(format!("UPDATE meta SET value = {others} WHERE key = 'requests'")).await;
    for (place, until) in [40, 10, 30, 50, 20].into_iter().enumerate() {
        let once = Once { key: format!("until {until}"), request: [0; 32], until: Timestamp(until) };
        let accept = Change::Accept { message: message(100 + place as u64), sent: None, once: Some(once) };
        assert_eq!(world.write(accept).recv().unwrap(), Ok(()));
    }
    for until in [10, 20, 30, 40, 50] {
        let remembered = world.store.remembered("a", &format!("until {until}")).await.unwrap();
        assert_eq!(remembered.is_some(), until > 20, "until {until}");
    }
    let count = world.number("SELECT value FROM meta WHERE key = 'requests'").await;
    assert_eq!(count as u64, crate::limits::REMEMBERED_REQUESTS);
    let plan = explain(&world, format!("EXPLAIN QUERY PLAN {}", requests::REMOVE), "detail").await;
    assert!(plan.iter().any(|line| line.contains("COVERING INDEX request_until (until<?)")), "{plan:?}");
    assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE") || line.starts_with("SCAN")), "{plan:?}");
}

/// Refused or replaced, expired or one too many: what `meta` counts is there.
#[tokio::test]
async fn remembered_requests_are_counted() {
    let world = world().await;
    let (go, wait) = channel::<()>();
    let busy = world.store.on_writer(move |_| wait.recv().map_err(|_| StoreError::Missing));
    let mut outcomes = Vec::new();
    for place in 0..200_u64 {
        let once =
            Once { key: format!("{}", place * place % 41), request: [0; 32], until: Timestamp(place as i64 + 30) };
        let message = StoredMessage { at: Timestamp(place as i64), ..message(100 + place) };
        outcomes.push(world.write(Change::Accept { message, sent: None, once: Some(once) }));
    }
    go.send(()).unwrap();
    busy.await.unwrap();
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.recv().unwrap()).collect();
    assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(StoreError::Repeated)));
    let counted = "SELECT count(*) = (SELECT value FROM meta WHERE key = 'requests') AND count(*) > 0 FROM request";
    assert_eq!(world.number(counted).await, 1);
}

#[tokio::test]
async fn who_is_told_of_a_write_may_drop_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(dir.path()).unwrap());
    let lease = store.acquire("tests").await.unwrap()[0];
    let (told, dropped) = channel();
    // The writer waits here until nobody else holds the store.
    let (go, gone) = channel::<()>();
    let last = store.clone();
    let write = Write { lease, key: 1, change: Change::Park { reason: None } };
    let answer = move |outcome| {
        gone.recv().unwrap();
        drop(last);
        told.send(outcome).unwrap();
    };
    store.submit(write, Box::new(answer));
    drop(store);
    go.send(()).unwrap();
    assert_eq!(dropped.recv().unwrap(), Err(StoreError::Missing));
    // It is closed, and its lock is free, when the writer has ended.
    while let Err(error) = Embedded::open(dir.path()) {
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

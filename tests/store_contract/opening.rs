//! A directory belongs to one process, and holds what was made true in it.

use fermata::store::embedded::Embedded;
use fermata::store::{Change, Filter, Module, Once, StoreError, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, activity, database, message, outgoing, turn};

#[tokio::test]
async fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made").join("by it");
    let world = World::open(&dir).await;
    let mut keys = Vec::new();
    for number in 0..10 {
        let key = world.create(&number.to_string(), None).await.unwrap();
        for version in 0..number * 5 {
            let record = TurnRecord {
                steps: Some(format!("[{version}]")),
                activities: vec![activity(version as u32)],
                outgoing: vec![outgoing(10_000 * (number + 1) + version, "b")],
                due: Some(Timestamp(version as i64)),
                waiting: (version % 2 == 0).then(|| [format!("\"ä\n{version}"), "paid".to_owned()].into()),
                ..turn(version)
            };
            world.turn(key, record).await.unwrap();
        }
        keys.push(key);
    }
    world.write(keys[3], Change::Park { reason: Some("why".to_owned()) }).await.unwrap();
    world.turn(keys[2], TurnRecord { status: RuntimeStatus::Completed, ..turn(10) }).await.unwrap();
    let once = Some(Once { key: "k".to_owned(), request: [7; 32], until: Timestamp(5_000_000_000) });
    world.write(keys[1], Change::Accept { message: message(5, "{}"), sent: None, once }).await.unwrap();
    let module = Module {
        digest: "d".to_owned(),
        bytes: vec![1, 2, 3].into(),
        orchestrators: vec!["O".to_owned()],
        activities: vec!["A".to_owned()],
        deployed: Timestamp(5),
    };
    world.store.deploy(module).await.unwrap();

    let everything = async |world: &World| {
        let mut loaded = Vec::new();
        for key in &keys {
            loaded.push(world.load(*key).await);
        }
        let listed = world.store.list(Filter::default()).await.unwrap();
        let remembered = world.store.remembered("1", "k").await.unwrap();
        assert!(remembered.is_some());
        let waiting = (world.store.unread().await.unwrap(), world.store.open_activities().await.unwrap());
        let times = (world.store.due(None, 100).await.unwrap(), world.store.ended(100).await.unwrap());
        let waiting = (waiting, world.store.outbox().await.unwrap(), times);
        (
            loaded,
            listed,
            remembered,
            waiting,
            world.store.modules().await.unwrap(),
            world.store.module_bytes("d").await.unwrap(),
        )
    };
    let before = everything(&world).await;
    let old = world.leases[0];
    drop(world);
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "a closed store leaves its file and the lock: {left:?}");

    // Nobody else can own a partition of a directory that this process has locked, whatever the file says.
    let world = World::open(&dir).await;
    assert_eq!(world.leases.len(), 64);
    assert!(world.leases[0].epoch > old.epoch);
    assert!(everything(&world).await == before);
}

#[tokio::test]
async fn a_second_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let refused = Embedded::open(dir.path()).err().unwrap();
    assert_eq!(refused, StoreError::InUse { path: dir.path().to_owned(), pid: Some(std::process::id()) });
    drop(world);
    World::open(dir.path()).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(World::open(dir.path()).await);
    let path = dir.path().join("fermata.db");
    let raise = "UPDATE meta SET value = 99 WHERE key = 'format_version'";
    database(dir.path()).execute(raise, []).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let refused = Embedded::open(dir.path()).err().unwrap();
    assert_eq!(refused, StoreError::NewerFormat { path: path.clone(), found: 99, supported: 4 });
    assert!(refused.to_string().contains("run a newer host"));
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[tokio::test]
async fn dropping_the_store_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let key = world.create("a", None).await.unwrap();
    let outcomes: Vec<_> = (0..3_000)
        .map(|version| {
            let record = TurnRecord { steps: Some("[1]".to_owned()), ..turn(version) };
            world.queue(world.leases[0], key, Change::Turn(record))
        })
        .collect();
    drop(world);
    for outcome in outcomes {
        assert_eq!(outcome.await.unwrap(), Ok(()));
    }
    assert_eq!(World::open(dir.path()).await.load(key).await.instance.version, 3_000);
}

#[tokio::test]
async fn the_views_show_people_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let key = world.create("a", None).await.unwrap();
    for version in 0..40 {
        let steps = format!(r#"[{{"seq":{version},"at":1500000,"message":{{"EventRaised":{{}}}},"decisions":[1]}}]"#);
        world.turn(key, TurnRecord { steps: Some(steps), ..turn(version) }).await.unwrap();
    }
    let db = database(dir.path());
    let text = |query: &str| db.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        text("SELECT status || ' ' || created FROM v_instances WHERE id = 'a'"),
        "Running 1970-01-01T00:00:01.000Z"
    );
    let numbers = serde_json::Value::from((0..40).collect::<Vec<_>>()).to_string();
    assert_eq!(text("SELECT json_group_array(seq) FROM v_history WHERE id = 'a'"), numbers);
    assert_eq!(
        text(
            "SELECT step || ' ' || at || ' ' || message || ' ' || decisions FROM v_history WHERE id = 'a' AND seq = 39"
        ),
        "40 1970-01-01T00:00:01.500Z EventRaised [1]"
    );
    assert_eq!(text("SELECT body FROM v_inbox WHERE id = 'a'"), r#"{"Started":{}}"#);

    let sending = TurnRecord {
        due: Some(Timestamp(2_500_000)),
        waiting: Some(["paid".to_owned()].into()),
        outgoing: vec![outgoing(900, "b")],
        ..turn(40)
    };
    world.turn(key, sending).await.unwrap();
    assert_eq!(text("SELECT waiting FROM v_instances WHERE id = 'a'"), r#"["paid"]"#);
    let once = Some(Once { key: "k".to_owned(), request: [0xAB; 32], until: Timestamp(4_500_000) });
    world.write(key, Change::Accept { message: message(901, "{}"), sent: None, once }).await.unwrap();
    let request = "SELECT id || ' ' || key || ' ' || request || ' ' || seq || ' ' || until FROM v_requests";
    assert_eq!(text(request), format!("a k {} 901 1970-01-01T00:00:04.500Z", "ab".repeat(32)));
    let waiting = "SELECT due || ' ' || (ended IS NULL) FROM v_instances WHERE id = 'a'";
    assert_eq!(text(waiting), "1970-01-01T00:00:02.500Z 1");
    assert_eq!(text("SELECT seq || ' ' || target || ' ' || body FROM v_outbox WHERE id = 'a'"), "900 b [900]");
    let last = TurnRecord { status: RuntimeStatus::Failed, updated: Timestamp(3_000_000), ..turn(41) };
    world.turn(key, last).await.unwrap();
    let done = "SELECT ended || ' ' || (due IS NULL) FROM v_instances WHERE id = 'a'";
    assert_eq!(text(done), "1970-01-01T00:00:03.000Z 1");
}

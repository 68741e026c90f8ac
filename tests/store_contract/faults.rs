//! A write that failed left nothing behind; a store that can not tell answers nothing any more.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fermata::store::memory::Memory;
use fermata::store::{Change, Lease, Store, StoreError, TurnRecord, Write};

use crate::kit::{World, creation, turn};

fn submit(store: &dyn Store, lease: Lease, key: u64, change: Change) -> Result<(), StoreError> {
    let (answer, outcome) = std::sync::mpsc::channel();
    store.submit(Write { lease, key, change }, Box::new(move |result| answer.send(result).unwrap()));
    outcome.recv().unwrap()
}

#[tokio::test]
async fn memory_fails_as_it_is_told() {
    let store = Memory::new();
    let lease = store.acquire("tests").await.unwrap()[0];
    let create = creation("a", None, 1);
    store.fail_next(StoreError::Full);
    assert_eq!(submit(&store, lease, 1, create.clone()), Err(StoreError::Full));
    assert_eq!(store.find("a").await, Ok(None));
    assert_eq!(submit(&store, lease, 1, create), Ok(()));

    let lost = StoreError::Poisoned("told so".into());
    store.fail_next(lost.clone());
    assert_eq!(submit(&store, lease, 1, Change::Turn(turn(0))), Err(lost.clone()));
    assert_eq!(submit(&store, lease, 1, Change::Turn(turn(0))), Err(lost.clone()));
    assert_eq!(store.find("a").await, Err(lost));
    assert_eq!(store.poisoned().as_deref(), Some("told so"));
}

/// Runs itself in a process of its own: the rules of the shim are those of a process.
#[tokio::test]
async fn a_write_is_answered_by_its_fsync() {
    if let Some(rules) = std::env::var_os("FERMATA_IO_SHIM") {
        return under_the_shim(Path::new(&rules)).await;
    }
    let binary = std::env::current_exe().unwrap();
    let rules = tempfile::tempdir().unwrap();
    let run = Command::new(binary)
        .args(["--exact", "faults::a_write_is_answered_by_its_fsync", "--nocapture"])
        .env("FERMATA_IO_SHIM", rules.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
}

async fn under_the_shim(rules: &Path) {
    let (hold, fail, entered) = (rules.join("hold"), rules.join("fail"), rules.join("entered"));
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let key = world.create("a", None).await.unwrap();
    let step = |version| Change::Turn(TurnRecord { steps: Some(format!("[{version}]")), ..turn(version) });

    // While the fsync is under way nobody learns of the write, neither its writer nor a reader.
    std::fs::write(&hold, "").unwrap();
    let mut outcome = world.queue(world.leases[0], key, step(0));
    while !entered.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(outcome.try_recv().is_err(), "answered before it was on disk");
    assert_eq!(world.load(key).await.instance.version, 0);
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(outcome.await.unwrap(), Ok(()));
    assert_eq!(world.load(key).await.instance.version, 1);

    // After an fsync that failed the store says nothing any more, not even once the disk is well again.
    std::fs::write(&fail, "").unwrap();
    let lost = world.write(key, step(1)).await.unwrap_err();
    assert!(matches!(&lost, StoreError::Poisoned(reason) if reason.contains("I/O")), "{lost}");
    std::fs::remove_file(&fail).unwrap();
    assert_eq!(world.write(key, step(1)).await, Err(lost.clone()));
    assert_eq!(world.store.load(key).await, Err(lost.clone()));
    assert_eq!(world.store.find("a").await, Err(lost.clone()));
    assert_eq!(world.store.reserve(1).await, Err(lost.clone()));
    assert_eq!(world.store.modules().await, Err(lost));
    assert!(world.store.poisoned().is_some());
    drop(world);

    // What was answered is there after a restart; what was not may be.
    let world = World::open(dir.path()).await;
    let version = world.load(key).await.instance.version;
    assert!((1..=2).contains(&version));
    assert_eq!(world.write(key, step(version)).await, Ok(()));
}

//! Bytes that changed on the disk are found out, and concern nobody who does not need them.

use std::path::Path;

use fermata::store::embedded::Embedded;
use fermata::store::embedded::copy::{Picture, Source};
use fermata::store::{Change, StoreError, TurnRecord};
use tempfile::TempDir;

use crate::kit::{World, turn};

const PAGE: usize = 4096;
const INSTANCES: u64 = 40;

/// A step that fills more than two pages; the end of it, which can be found in the file, is in one of its own.
fn step(number: u64) -> String {
    format!("[\"{} end of {number}.\"]", "x".repeat(2 * PAGE))
}

/// A closed store, and the keys of its instances.
async fn written() -> (TempDir, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let mut keys = Vec::new();
    for number in 0..INSTANCES {
        let key = world.create(&number.to_string(), None).await.unwrap();
        world.turn(key, TurnRecord { steps: Some(step(number)), ..turn(0) }).await.unwrap();
        keys.push(key);
    }
    (dir, keys)
}

fn change(dir: &Path, change: impl FnOnce(&mut [u8])) {
    let file = dir.join("fermata.db");
    let mut bytes = std::fs::read(&file).unwrap();
    change(&mut bytes);
    std::fs::write(&file, bytes).unwrap();
}

fn position(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

fn is_damaged<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> bool {
    match outcome {
        Err(StoreError::Damaged(why)) => why.contains("checksum"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bit_of_a_history_harms_its_instance_alone() {
    let (dir, keys) = written().await;
    change(dir.path(), |bytes| {
        let at = position(bytes, "end of 17.");
        bytes[at + 3] ^= 1;
    });
    let world = World::open(dir.path()).await;
    for (number, key) in keys.iter().enumerate() {
        let loaded = world.store.load(*key).await;
        if number == 17 {
            assert!(is_damaged(loaded));
        } else {
            assert_eq!(loaded.unwrap().unwrap().history, [step(number as u64)]);
        }
    }
    // What would read the page to merge or remove it is refused, and nothing else is.
    assert!(is_damaged(world.write(keys[17], Change::Remove).await));
    world.turn(keys[18], turn(1)).await.unwrap();
    assert_eq!(world.store.poisoned(), None);
}

/// Together with others it is written in one transaction, which SQLite gives up as a whole.
#[tokio::test]
async fn a_write_that_meets_it_harms_none_of_its_batch() {
    let (dir, keys) = written().await;
    change(dir.path(), |bytes| {
        let at = position(bytes, "end of 17.");
        bytes[at + 3] ^= 1;
    });
    let world = World::open(dir.path()).await;
    let lease = world.leases[0];
    let outcomes = [(16, Change::Turn(turn(1))), (17, Change::Remove), (18, Change::Turn(turn(1)))]
        .map(|(number, change)| world.queue(lease, keys[number], change));
    let [before, damaged, after] = outcomes;
    assert_eq!((before.await.unwrap(), after.await.unwrap()), (Ok(()), Ok(())));
    assert!(is_damaged(damaged.await.unwrap()));
    assert_eq!(world.store.poisoned(), None);
    world.turn(keys[19], turn(1)).await.unwrap();
}

/// Its pages are written before the first one, which says that they have checksums, as soon as they fill SQLite's cache.
#[tokio::test]
async fn a_copy_that_is_larger_than_a_cache_has_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for number in 0..24 {
        let key = world.create(&number.to_string(), None).await.unwrap();
        let steps = format!("[\"{}\"]", "x".repeat(1 << 20));
        world.turn(key, TurnRecord { steps: Some(steps), ..turn(0) }).await.unwrap();
    }
    let copy = dir.path().join("copy.db");
    Source::open(dir.path()).unwrap().copy_to(&copy).unwrap();
    assert!(std::fs::metadata(&copy).unwrap().len() > 16 << 20);
    assert_eq!(Picture::of(&copy).unwrap().damage(), [""; 0]);
}

#[tokio::test]
async fn a_page_at_the_place_of_another_is_found_out() {
    let (dir, keys) = written().await;
    change(dir.path(), |bytes| {
        let [from, to] = ["end of 3.", "end of 4."].map(|text| position(bytes, text) / PAGE * PAGE);
        bytes.copy_within(from..from + PAGE, to);
    });
    let world = World::open(dir.path()).await;
    assert!(is_damaged(world.store.load(keys[4]).await));
    assert!(world.store.load(keys[3]).await.is_ok());
}

/// Without that SQLite would take the checksums for data.
#[tokio::test]
async fn a_file_that_denies_its_checksums_is_refused() {
    let (dir, _) = written().await;
    change(dir.path(), |bytes| bytes[20] = 0);
    let refused = Embedded::open(dir.path()).err().unwrap();
    assert!(matches!(&refused, StoreError::Damaged(why) if why.contains("checksums")), "{refused}");
}

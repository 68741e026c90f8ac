//! Bytes that changed on the disk are found out, and concern nobody who does not need them.

use std::path::Path;

use fermata::store::embedded::Embedded;
use fermata::store::{StoreError, TurnRecord};
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
    assert!(is_damaged(world.write(keys[17], fermata::store::Change::Remove).await));
    world.turn(keys[18], turn(1)).await.unwrap();
    assert_eq!(world.store.poisoned(), None);
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

//! A bit that changes on the disk is found out, or makes no difference: it is never part of an answer.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fermata::store::StoreError;
use fermata::store::embedded::Embedded;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::story::{Story, Tell};
use crate::kit::World;

const FLIPS: u64 = 2_000;
/// Of one story.
const FLIPS_EACH: u64 = 250;
const ACTS: usize = 150;

type Files = Vec<(PathBuf, Vec<u8>)>;

#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    partly_refused: u64,
    harmless: u64,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused => self.refused += 1,
            Outcome::PartlyRefused => self.partly_refused += 1,
            Outcome::Harmless => self.harmless += 1,
        }
    }
}

#[tokio::test]
async fn a_bit_that_changed_is_never_part_of_an_answer() {
    hold("a_bit_that_changed_is_never_part_of_an_answer", FLIPS, opened).await;
}

/// What is closed in good order has an empty log, so this is about the database.
#[tokio::test]
async fn nor_is_one_that_changes_under_an_open_store() {
    hold("nor_is_one_that_changes_under_an_open_store", FLIPS / 4, under).await;
}

/// Changes so many bits of what closed stores have left, one at a time.
async fn hold(test: &str, flips: u64, outcome: impl AsyncFn(&Story, &Files, Flip) -> Result<Outcome, String>) {
    let mut random = StdRng::seed_from_u64(super::seed(test));
    let flips = super::amount("FERMATA_FLIPS", flips);
    let (mut tally, mut done) = (Tally::default(), 0);
    while done < flips {
        let longest_step = if random.random_bool(0.5) { 9_000 } else { 60 };
        let story = Story::new(random.random(), ACTS, longest_step).await;
        let files = left(&story).await;
        for _ in 0..FLIPS_EACH {
            let flip = Flip::any(&files, &mut random);
            match outcome(&story, &files, flip).await {
                Ok(outcome) => tally.count(&outcome),
                Err(why) => panic!("flip {done}, {flip:?} in {:?}: {why}", files[flip.file].0),
            }
            done += 1;
        }
    }
    println!("{done} flips: {tally:?}");
    assert!(tally.refused + tally.partly_refused > flips / 10, "{tally:?}");
}

/// What has been written since the store was opened is in its log. Of pages that it still has in memory nobody notices anything.
#[tokio::test]
async fn nor_is_one_in_the_log_of_an_open_store() {
    let seed = super::seed("nor_is_one_in_the_log_of_an_open_store");
    let flips = super::amount("FERMATA_FLIPS", FLIPS) / 20;
    let mut random = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    for done in 0..flips {
        let story = Story::new(random.random(), ACTS, 60).await;
        let dir = super::scratch();
        let world = performed(&story, dir.path()).await;
        let log = std::fs::File::options().read(true).write(true).open(dir.path().join("fermata.db-wal")).unwrap();
        let bit = random.random_range(0..log.metadata().unwrap().len() * 8);
        change(&log, bit);
        match seen(&story, &world).await {
            Ok(outcome) => tally.count(&outcome),
            Err(why) => panic!("flip {done}, of bit {bit} of the log: {why}"),
        }
    }
    println!("{flips} flips: {tally:?}");
    assert!(tally.partly_refused > flips / 50, "{tally:?}");
}

/// A store that has performed the story, and is open.
async fn performed(story: &Story, dir: &Path) -> World {
    let world = World::over("embedded", Arc::new(Embedded::open(dir).unwrap())).await;
    let nobody: Tell = Arc::new(|_| {});
    assert_eq!(story.perform(&world, 0..story.len(), 8, nobody).await, (story.len(), None));
    world
}

fn change(file: &std::fs::File, bit: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], bit / 8).unwrap();
}

/// The files of a store that was closed.
async fn left(story: &Story) -> Files {
    let dir = super::scratch();
    drop(performed(story, dir.path()).await);
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap())).collect()
}

#[derive(Clone, Copy, Debug)]
struct Flip {
    file: usize,
    bit: usize,
}

impl Flip {
    /// In half of all cases in the database, else in any file; not behind what was ever written to it.
    fn any(files: &Files, random: &mut StdRng) -> Flip {
        let written = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let database = files.iter().position(|(name, _)| name == Path::new("fermata.db")).unwrap();
        let any = random.random_range(0..files.len());
        let file = if random.random_bool(0.5) || written(&files[any].1) == 0 { database } else { any };
        Flip { file, bit: random.random_range(0..written(&files[file].1) * 8) }
    }
}

enum Outcome {
    Refused,
    PartlyRefused,
    Harmless,
}

async fn opened(story: &Story, files: &Files, flip: Flip) -> Result<Outcome, String> {
    let dir = super::scratch();
    write(files, Some(flip), dir.path());
    reopened(story, dir.path()).await
}

/// The bit changes when the store is open, and has read next to nothing as yet.
async fn under(story: &Story, files: &Files, flip: Flip) -> Result<Outcome, String> {
    let dir = super::scratch();
    write(files, None, dir.path());
    let world = World::over("embedded", Arc::new(Embedded::open(dir.path()).unwrap())).await;
    let file = std::fs::File::options().read(true).write(true).open(dir.path().join(&files[flip.file].0)).unwrap();
    change(&file, flip.bit as u64);
    let open = seen(story, &world).await?;
    drop(world);
    let again = reopened(story, dir.path()).await?;
    Ok(if let Outcome::Harmless = open { again } else { open })
}

async fn reopened(story: &Story, dir: &Path) -> Result<Outcome, String> {
    let store = match Embedded::open(dir) {
        Ok(store) => store,
        Err(StoreError::Damaged(why)) => return Ok(named(why.is_empty())),
        // What SQLite can not make sense of at all, such as a first page that is none.
        Err(StoreError::Io(why)) => return Ok(named(why.is_empty())),
        Err(StoreError::NewerFormat { .. }) => return Ok(Outcome::Refused),
        Err(other) => return Err(other.to_string()),
    };
    let leases = match fermata::store::Store::acquire(&store, "tests").await {
        Ok(leases) => leases,
        Err(StoreError::Damaged(_)) => return Ok(Outcome::Refused),
        Err(other) => return Err(other.to_string()),
    };
    seen(story, &World::owning(Arc::new(store), leases)).await
}

async fn seen(story: &Story, world: &World) -> Result<Outcome, String> {
    let mut outcome = Outcome::Harmless;
    for (seen, expected) in story.seen(world).await.into_iter().zip(story.end()) {
        match (&seen, expected) {
            (Ok(seen), Ok(expected)) if seen == expected => {}
            (Err(StoreError::Damaged(_)), _) => outcome = Outcome::PartlyRefused,
            _ => return Err(format!("{seen:?} instead of {expected:?}")),
        }
    }
    if world.store.poisoned().is_some() {
        return Err("the store is lost".to_owned());
    }
    Ok(outcome)
}

fn named(is_nameless: bool) -> Outcome {
    assert!(!is_nameless, "a refusal says why");
    Outcome::Refused
}

fn write(files: &Files, flip: Option<Flip>, dir: &Path) {
    for (number, (name, bytes)) in files.iter().enumerate() {
        let mut bytes = bytes.clone();
        if let Some(flip) = flip.filter(|flip| flip.file == number) {
            bytes[flip.bit / 8] ^= 1 << (flip.bit % 8);
        }
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

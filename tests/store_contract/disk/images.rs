//! A power cut at any moment: everything that was synced is there, and of the rest whatever the disk had got to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fermata::store::embedded::Embedded;
use io_shim::{Op, Watch};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt, SeedableRng};

use super::story::{Known, Story, Tell, Told};
use crate::kit::World;

const IMAGES: u64 = 2_000;
/// Of one story.
const IMAGES_EACH: u64 = 100;
const ACTS: usize = 120;
const SECTOR: usize = 512;

#[tokio::test]
async fn a_power_cut_leaves_what_was_acknowledged() {
    let seed = super::seed("a_power_cut_leaves_what_was_acknowledged");
    let images = super::amount("FERMATA_IMAGES", IMAGES);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut made, mut lost) = (0, 0);
    while made < images {
        let longest_step = if random.random_bool(0.3) { 9_000 } else { 60 };
        let story = Story::new(random.random(), ACTS, longest_step).await;
        let trace = recorded(&story, &mut random).await;
        lost += cut_off(&story, &trace, &mut random).await.unwrap_or_else(|why| panic!("after {made} images: {why}"));
        made += IMAGES_EACH;
    }
    println!("{made} images, {lost} unsynced writes lost or torn");
    assert!(lost > images / 10, "next to nothing was unsynced");
}

/// These tests would find it.
#[tokio::test]
async fn a_store_that_does_not_sync_is_found_out() {
    let mut random = StdRng::seed_from_u64(1);
    let story = Story::new(1, ACTS, 60).await;
    let mut trace = recorded(&story, &mut random).await;
    trace.retain(|op| !matches!(op, Op::Sync { file } if *file != PathBuf::new()));
    let found = cut_off(&story, &trace, &mut random).await;
    assert!(found.is_err(), "{found:?}");
}

/// Makes images of a story, cut off at random moments. Gives how many writes are not there whole.
async fn cut_off(story: &Story, trace: &[Op], random: &mut StdRng) -> Result<u64, String> {
    let mut cuts: Vec<usize> = (0..IMAGES_EACH).map(|_| random.random_range(0..=trace.len())).collect();
    cuts.sort_unstable();
    let (mut disk, mut known, mut at, mut lost) = (Disk::default(), Known::default(), 0, 0);
    for cut in cuts {
        for op in &trace[at..cut] {
            match op {
                Op::Mark(mark) => known.learn(told(*mark)),
                op => disk.apply(op),
            }
        }
        at = cut;
        let dir = super::scratch();
        lost += disk.cut_off(random).write(dir.path());
        let recovered = story.recovered(dir.path(), known, story.len()).await;
        recovered.map_err(|why| format!("cut after {cut} of {} calls: {why}", trace.len()))?;
    }
    Ok(lost)
}

/// What the store did to its files in a story, with marks where something was acknowledged. It is opened again in between.
async fn recorded(story: &Story, random: &mut StdRng) -> Vec<Op> {
    let dir = super::scratch();
    let watch = Arc::new(Watch::over(dir.path()).unwrap());
    watch.record();
    let noting = watch.clone();
    let tell: Tell = Arc::new(move |told| noting.mark(mark(told)));
    let mut from = 0;
    while from < story.len() {
        let to = story.len().min(from + random.random_range(10..ACTS));
        let world = World::over("embedded", Arc::new(Embedded::open(dir.path()).unwrap())).await;
        let (_, stopped) = story.perform(&world, from..to, random.random_range(1..12), tell.clone()).await;
        assert_eq!(stopped, None);
        from = to;
    }
    let trace = watch.take();
    assert!(trace.len() > ACTS, "the shim is not in front of libc: {trace:?}");
    trace
}

fn mark(told: Told) -> u64 {
    match told {
        Told::Acts(acts) => acts as u64 * 2,
        Told::Number(number) => number * 2 + 1,
    }
}

fn told(mark: u64) -> Told {
    if mark.is_multiple_of(2) { Told::Acts((mark / 2) as usize) } else { Told::Number(mark / 2) }
}

/// A disk, and what it has only been asked to do as yet.
#[derive(Clone, Default)]
struct Disk {
    /// Names are on disk when the directory was synced.
    names: BTreeMap<PathBuf, usize>,
    renamed: Vec<Naming>,
    files: Vec<File>,
    /// The names as the process sees them.
    seen: BTreeMap<PathBuf, usize>,
}

#[derive(Clone)]
enum Naming {
    Set(PathBuf, usize),
    Unset(PathBuf),
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Put(usize, Vec<u8>),
    Resize(usize),
}

impl Disk {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { file } => {
                self.files.push(File::default());
                self.name(Naming::Set(file.clone(), self.files.len() - 1));
            }
            Op::Write { file, offset, bytes } => self.change(file, Change::Put(*offset as usize, bytes.clone())),
            Op::Truncate { file, length } => self.change(file, Change::Resize(*length as usize)),
            Op::Rename { from, to } => {
                if let Some(file) = self.seen.get(from).copied() {
                    self.name(Naming::Set(to.clone(), file));
                    self.name(Naming::Unset(from.clone()));
                }
            }
            Op::Unlink { file } => self.name(Naming::Unset(file.clone())),
            Op::Sync { file } if *file == PathBuf::new() => {
                self.renamed.clear();
                self.names = self.seen.clone();
            }
            Op::Sync { file } => {
                if let Some(file) = self.seen.get(file) {
                    self.files[*file].sync();
                }
            }
            Op::Mark(_) => {}
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.seen);
        self.renamed.push(naming);
    }

    fn change(&mut self, file: &Path, change: Change) {
        let Some(file) = self.seen.get(file) else { return };
        let file = &mut self.files[*file];
        // To open a file is told as this, and loses nothing.
        if !matches!(change, Change::Resize(length) if length == file.length()) {
            file.unsynced.push(change);
        }
    }

    /// What may be left of it when the power fails.
    fn cut_off(&self, random: &mut StdRng) -> Left {
        let mut names = self.names.clone();
        // A file system keeps the order of what is done to names.
        let kept = random.random_range(0..=self.renamed.len());
        self.renamed[..kept].iter().for_each(|naming| naming.apply(&mut names));
        let mut lost = (self.renamed.len() - kept) as u64;
        let files = names
            .into_iter()
            .map(|(name, file)| {
                let (bytes, changes) = self.files[file].cut_off(random);
                lost += changes;
                (name, bytes)
            })
            .collect();
        Left { files, lost }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Naming::Set(name, file) => drop(names.insert(name.clone(), *file)),
            Naming::Unset(name) => drop(names.remove(name)),
        }
    }
}

impl File {
    /// As the process sees it.
    fn length(&self) -> usize {
        self.unsynced.iter().fold(self.bytes.len(), |length, change| match change {
            Change::Resize(length) => *length,
            Change::Put(offset, written) => length.max(offset + written.len()),
        })
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.bytes);
        }
    }

    /// Any of the changes that were not synced, whole or in part, and how many are not there whole.
    fn cut_off(&self, random: &mut StdRng) -> (Vec<u8>, u64) {
        let mut bytes = self.bytes.clone();
        let (chance, torn) = *[(0.0, 0.0), (1.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.9, 0.1), (0.1, 0.9)]
            .get(random.random_range(0..6))
            .unwrap_or(&(0.5, 0.5));
        let mut lost = 0;
        for change in &self.unsynced {
            match change {
                change if random.random_bool(chance) && !random.random_bool(torn) => change.apply(&mut bytes),
                Change::Put(offset, written) if random.random_bool(torn) => {
                    lost += 1;
                    tear(&mut bytes, *offset, written, random);
                }
                _ => lost += 1,
            }
        }
        (bytes, lost)
    }
}

/// Some of the sectors that are written to, each whole.
fn tear(bytes: &mut Vec<u8>, offset: usize, written: &[u8], random: &mut StdRng) {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < written.len() {
        let end = written.len().min(at + SECTOR - (offset + at) % SECTOR);
        pieces.push(at..end);
        at = end;
    }
    pieces.shuffle(random);
    pieces.truncate(random.random_range(0..=pieces.len()));
    for piece in pieces {
        Change::Put(offset + piece.start, written[piece].to_vec()).apply(bytes);
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Resize(length) => bytes.resize(*length, 0),
            Change::Put(offset, written) => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(written);
            }
        }
    }
}

struct Left {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// How many changes are not there whole.
    lost: u64,
}

impl Left {
    fn write(self, dir: &Path) -> u64 {
        for (name, bytes) in self.files {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
        self.lost
    }
}

//! What is known outside of the host of all that was asked of it. It outlives every kill.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fermata_replay::RuntimeStatus;

use super::group::Group;

pub struct Ledger {
    /// Groups that nobody attends to at the moment.
    idle: Mutex<Vec<Group>>,
    /// All that are not done.
    open: AtomicU64,
    groups: AtomicU64,
    numbers: AtomicU64,
    /// How instances ended, by id; none where they do not stay.
    ended: Option<Mutex<BTreeMap<String, RuntimeStatus>>>,
    pub tally: Tally,
}

#[derive(Default)]
pub struct Count(AtomicU64);

/// How much there was of what.
#[derive(Default)]
pub struct Tally {
    pub starts: Count,
    pub acknowledged: Count,
    pub unknown: Count,
    pub sent_again: Count,
    pub terminated: Count,
    pub ended: Count,
}

impl Count {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Tally { starts, acknowledged, unknown, sent_again, terminated, ended } = self;
        let [starts, acknowledged, unknown, sent_again, terminated, ended] =
            [starts, acknowledged, unknown, sent_again, terminated, ended].map(Count::get);
        write!(f, "{starts} starts and {acknowledged} events acknowledged, {unknown} events without an answer, ")?;
        write!(f, "{sent_again} sent again, {terminated} terminated, {ended} ended and checked")
    }
}

impl Ledger {
    /// `keeps`: instances that have ended stay at the host.
    pub fn new(keeps: bool) -> Ledger {
        Ledger {
            idle: Mutex::default(),
            open: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            numbers: AtomicU64::new(1),
            ended: keeps.then(Mutex::default),
            tally: Tally::default(),
        }
    }

    /// A number for an errand, higher than all before.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    pub fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    /// Some group that nobody attends to; a new one where there are not so many. None where all are attended to.
    pub fn take(&self, wanted: u64, random: &mut fastrand::Rng) -> Option<Group> {
        if self
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| (open < wanted).then_some(open + 1))
            .is_ok()
        {
            let name = format!("group-{}", self.groups.fetch_add(1, Ordering::SeqCst));
            return Some(Group::draw(&name, random));
        }
        let mut idle = self.idle.lock().unwrap();
        let chosen = random.choice(0..idle.len())?;
        Some(idle.swap_remove(chosen))
    }

    pub fn put_back(&self, group: Group) {
        self.idle.lock().unwrap().push(group);
    }

    /// A group is done, and as it must be.
    pub fn settle(&self, group: Group) {
        drop(group);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn note_end(&self, id: &str, status: RuntimeStatus) {
        self.tally.ended.add();
        if let Some(ended) = &self.ended {
            ended.lock().unwrap().insert(id.to_owned(), status);
        }
    }

    /// Whether instances that have ended stay at the host.
    pub fn keeps(&self) -> bool {
        self.ended.is_some()
    }

    /// How they ended.
    pub fn ended(&self) -> BTreeMap<String, RuntimeStatus> {
        self.ended.as_ref().map(|ended| ended.lock().unwrap().clone()).unwrap_or_default()
    }
}

//! Which blocked guests stay in memory: the most recently used, within a budget of guests, and of the linear memories they take.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::slot::Slot;

/// How many blocked guests stay in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// As many as the engine can hold.
    Always,
    /// None: each message replays its instance from the start.
    Never,
    UpTo(u32),
}

/// What `Always` comes to: guests take address space and memory maps, of which a process has a bounded number.
const ALWAYS: u32 = 8_192;

impl Residency {
    pub fn guests(self) -> u32 {
        match self {
            Residency::Always => ALWAYS,
            Residency::Never => 0,
            Residency::UpTo(guests) => guests.min(ALWAYS),
        }
    }
}

impl Default for Residency {
    fn default() -> Self {
        Residency::UpTo(1_024)
    }
}

impl FromStr for Residency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Residency::Always),
            "never" => Ok(Residency::Never),
            number => number
                .parse()
                .map(Residency::UpTo)
                .map_err(|_| format!("{text:?} is not `always`, `never` or a number of guests")),
        }
    }
}

impl fmt::Display for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Residency::Always => f.write_str("always"),
            Residency::Never => f.write_str("never"),
            Residency::UpTo(guests) => write!(f, "{guests}"),
        }
    }
}

/// Resident guests in the order of their last use.
pub struct Residents {
    /// How many guests may be resident.
    budget: usize,
    /// How many linear memories they may have.
    memory_budget: usize,
    last_stamp: AtomicU64,
    /// How many guests are resident.
    count: AtomicUsize,
    /// How many linear memories these have.
    memories: AtomicUsize,
    /// Slots in the order in which their guests blocked. An entry whose stamp is not the slot's any more is stale.
    queue: Mutex<VecDeque<Entry>>,
}

struct Entry {
    stamp: u64,
    memories: usize,
    slot: Arc<Slot>,
}

impl Entry {
    fn is_current(&self) -> bool {
        self.slot.stamp.load(Ordering::Acquire) == self.stamp
    }
}

impl Residents {
    pub fn new(residency: Residency, memory_budget: usize) -> Residents {
        Residents {
            budget: residency.guests() as usize,
            memory_budget,
            last_stamp: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            memories: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    /// Whether a blocked guest may stay at all.
    pub fn keeps_any(&self) -> bool {
        self.budget > 0
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// A guest of so many memories becomes resident. Called under the slot's lock; [`Residents::evict`] follows when it is free, with the stamp.
    pub fn keep(&self, slot: &Slot, memories: usize) -> u64 {
        let stamp = self.last_stamp.fetch_add(1, Ordering::Relaxed) + 1;
        slot.stamp.store(stamp, Ordering::Release);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.memories.fetch_add(memories, Ordering::Relaxed);
        stamp
    }

    /// A resident guest is taken, to run or to be dropped. Called under the slot's lock.
    pub fn take(&self, slot: &Slot, memories: usize) {
        slot.stamp.store(0, Ordering::Release);
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.memories.fetch_sub(memories, Ordering::Relaxed);
    }

    /// Notes the guest of so many memories that this slot was given this stamp for as the one used last. Returns the slots whose guests are to
    /// go, with the stamp that must still hold.
    /// `is_short`: the process has as much memory as it may, and one more goes for each that comes.
    pub fn evict(&self, slot: &Arc<Slot>, stamp: u64, memories: usize, is_short: bool) -> Vec<(u64, Arc<Slot>)> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(Entry { stamp, memories, slot: slot.clone() });
        let mut over = Vec::new();
        let mut surplus = self.count.load(Ordering::Relaxed).saturating_sub(self.budget);
        if is_short {
            surplus = surplus.max(2);
        }
        let mut surplus_memories = self.memories.load(Ordering::Relaxed).saturating_sub(self.memory_budget);
        while surplus > 0 || surplus_memories > 0 {
            let Some(entry) = queue.pop_front() else { break };
            if entry.is_current() {
                surplus = surplus.saturating_sub(1);
                surplus_memories = surplus_memories.saturating_sub(entry.memories);
                over.push((entry.stamp, entry.slot));
            }
        }
        if queue.len() > 2 * self.budget + 64 {
            queue.retain(Entry::is_current);
        }
        over
    }
}

//! Instances that have something to do, and the threads that take them. Threads sleep on a condition; nothing is polled.
//!
//! Most turns are short, and come in the order in which they were asked for. A guest that takes long is stopped in the middle of its step, and goes on
//! when nobody else waits; but some time is left to these however much there is to do.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::share::Share;
use super::slot::Slot;

pub struct RunQueue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// How many guests may be kept in the middle of a step.
    most_kept: usize,
}

#[derive(Default)]
struct Waiting {
    slots: VecDeque<Arc<Slot>>,
    /// Guests in the middle of a step.
    interrupted: VecDeque<Arc<Slot>>,
    /// Instances whose orchestrator is slow: they begin when there is room for another guest in the middle of a step, and
    /// have that room then.
    set_aside: VecDeque<Arc<Slot>>,
    /// Guests in the middle of a step, those that run included.
    kept: usize,
    /// When the slow ones are next given a turn before all others.
    next_slow: Option<Instant>,
    /// They had the latest turn: the next one is not theirs, however much time has passed, if others wait.
    slow_was_last: bool,
    closed: bool,
    idle_threads: usize,
}

/// The slow ones are given a turn before all others once in this time.
const SLOW_TURN: Duration = Duration::from_millis(20);

impl RunQueue {
    pub fn new(most_kept: usize) -> RunQueue {
        RunQueue { waiting: Mutex::default(), more: Condvar::new(), most_kept }
    }

    pub fn push(&self, slot: Arc<Slot>) {
        self.add(|waiting| waiting.slots.push_back(slot));
    }

    /// Queues one that may take long.
    pub fn push_aside(&self, slot: Arc<Slot>) {
        self.add(|waiting| waiting.set_aside.push_back(slot));
    }

    /// Queues one whose guest is in the middle of a step, for which there was room.
    pub fn push_interrupted(&self, slot: Arc<Slot>) {
        self.add(|waiting| waiting.interrupted.push_back(slot));
    }

    fn add(&self, add: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        add(&mut waiting);
        if waiting.idle_threads > 0 {
            self.more.notify_one();
        }
    }

    /// A place for a guest in the middle of a step, where there is one left.
    pub fn place(self: &Arc<Self>, share: &Arc<Share>) -> Option<Place> {
        let mut waiting = self.lock();
        (waiting.kept < self.most_kept).then(|| self.take_place(&mut waiting, share))
    }

    /// Whether there is a place left.
    pub fn has_room(&self) -> bool {
        self.lock().kept < self.most_kept
    }

    fn take_place(self: &Arc<Self>, waiting: &mut Waiting, share: &Arc<Share>) -> Place {
        waiting.kept += 1;
        share.guest_interrupted();
        Place { queue: self.clone(), share: share.clone() }
    }

    /// The next slot, with a place where it may take long; none when the queue was closed.
    pub fn pop(self: &Arc<Self>) -> Option<(Arc<Slot>, Option<Place>)> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some((slot, is_slow)) = waiting.next(self.most_kept) {
                let place = is_slow.then(|| self.take_place(&mut waiting, &slot.share));
                return Some((slot, place));
            }
            waiting.idle_threads += 1;
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle_threads -= 1;
        }
    }

    /// The slot at the place that `choose` names among so many; none where none waits, or when the queue was closed.
    pub fn take(&self, choose: impl FnOnce(usize) -> usize) -> Option<Arc<Slot>> {
        let mut waiting = self.lock();
        if waiting.closed || waiting.slots.is_empty() {
            return None;
        }
        let place = choose(waiting.slots.len());
        waiting.slots.remove(place)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.slots.len() + waiting.interrupted.len() + waiting.set_aside.len()
    }

    /// How many guests are in the middle of a step, of those that were stopped in it.
    pub fn kept(&self) -> usize {
        self.lock().kept
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets the threads go; what is queued stays unread in the store.
    pub fn close(&self) {
        // A guest in the middle of a step has its place in here: what is left must not keep the queue, nor be dropped under its lock.
        let _left = {
            let mut waiting = self.lock();
            waiting.closed = true;
            let Waiting { slots, interrupted, set_aside, .. } = &mut *waiting;
            [std::mem::take(slots), std::mem::take(interrupted), std::mem::take(set_aside)]
        };
        self.more.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a guest that is in the middle of a step, from when it was first stopped until it blocks or ends.
pub struct Place {
    queue: Arc<RunQueue>,
    share: Arc<Share>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.guest_goes_on();
        self.queue.add(|waiting| waiting.kept -= 1);
    }
}

impl Waiting {
    /// The next slot, and whether it was set aside.
    fn next(&mut self, most_kept: usize) -> Option<(Arc<Slot>, bool)> {
        let quick = |waiting: &mut Waiting| {
            let slot = waiting.slots.pop_front()?;
            waiting.slow_was_last = false;
            Some((slot, false))
        };
        if self.interrupted.is_empty() && self.set_aside.is_empty() {
            return quick(self);
        }
        let now = Instant::now();
        let slow_first = !self.slow_was_last && self.next_slow.is_none_or(|next| next <= now);
        if !slow_first && let Some(next) = quick(self) {
            return Some(next);
        }
        (self.next_slow, self.slow_was_last) = (Some(now + SLOW_TURN), true);
        let aside = if self.kept < most_kept { self.set_aside.pop_front() } else { None };
        let slow = aside.map(|slot| (slot, true)).or_else(|| Some((self.interrupted.pop_front()?, false)));
        slow.or_else(|| quick(self))
    }
}

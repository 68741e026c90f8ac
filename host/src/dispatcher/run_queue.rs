//! Instances that have something to do, and the threads that take them. Threads sleep on a condition; nothing is polled.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::slot::Slot;

#[derive(Default)]
pub struct RunQueue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    slots: VecDeque<Arc<Slot>>,
    closed: bool,
    idle_threads: usize,
}

impl RunQueue {
    pub fn push(&self, slot: Arc<Slot>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.slots.push_back(slot);
        if waiting.idle_threads > 0 {
            self.more.notify_one();
        }
    }

    /// The next slot; none when the queue was closed.
    pub fn pop(&self) -> Option<Arc<Slot>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(slot) = waiting.slots.pop_front() {
                return Some(slot);
            }
            waiting.idle_threads += 1;
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle_threads -= 1;
        }
    }

    /// The slot at the place that `choose` names among so many; none where none waits, or when the queue was closed.
    pub fn take(&self, choose: impl FnOnce(usize) -> usize) -> Option<Arc<Slot>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed || waiting.slots.is_empty() {
            return None;
        }
        let place = choose(waiting.slots.len());
        waiting.slots.remove(place)
    }

    pub fn is_closed(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Lets the threads go; what is queued stays unread in the store.
    pub fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.more.notify_all();
    }
}

//! Bytes that may be in memory at a time, on behalf of all who share a budget.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    bytes: usize,
    held: AtomicUsize,
    /// Held by who looks whether there is room and then waits, and by who tells that there is some again: so none is missed.
    waiting: Mutex<()>,
    room: Condvar,
}

/// A part of a budget that is in use until this is dropped.
pub struct Held {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub fn new(bytes: usize) -> Budget {
        let (held, waiting, room) = Default::default();
        Budget(Arc::new(Shared { bytes, held, waiting, room }))
    }

    /// Whether there is nothing left of it.
    pub fn is_spent(&self) -> bool {
        self.0.held.load(Ordering::Relaxed) >= self.0.bytes
    }

    /// Takes bytes whether there are so many left or not: for what has to be done in any case.
    pub fn hold(&self, bytes: usize) -> Held {
        let mut held = Held { budget: self.clone(), bytes: 0 };
        held.add(bytes);
        held
    }

    /// Waits, with this whole thread, until something is left.
    pub fn wait_for_room(&self) {
        if !self.is_spent() {
            return;
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while self.is_spent() {
            waiting = self.0.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Held {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, whether there is so much left or not.
    pub fn add(&mut self, bytes: usize) {
        self.budget.0.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Takes more, if so much is left.
    pub fn try_add(&mut self, bytes: usize) -> bool {
        let shared = &*self.budget.0;
        let within = |held: usize| held.checked_add(bytes).filter(|held| *held <= shared.bytes);
        let taken = shared.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        self.bytes += if taken { bytes } else { 0 };
        taken
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        let shared = &*self.budget.0;
        let bytes = std::mem::take(&mut self.bytes);
        let before = shared.held.fetch_sub(bytes, Ordering::Relaxed);
        if before >= shared.bytes && before - bytes < shared.bytes {
            drop(shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            shared.room.notify_all();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_gone_until_it_is_dropped() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (budget.hold(0), budget.hold(0));
        assert!(one.try_add(6) && !other.try_add(5) && other.try_add(4));
        assert!(budget.is_spent() && !one.try_add(1));
        drop(one);
        assert!(!budget.is_spent() && other.try_add(6));
        assert!(!other.try_add(usize::MAX), "no sum is too large to be seen");
        other.clear();
        assert_eq!((other.bytes(), budget.is_spent()), (0, false));
    }

    #[test]
    fn what_must_be_done_may_go_beyond_it_and_others_wait() {
        let budget = Budget::new(10);
        let beyond = budget.hold(25);
        assert!(budget.is_spent());
        let waiter = std::thread::spawn({
            let budget = budget.clone();
            move || budget.wait_for_room()
        });
        drop(beyond);
        waiter.join().unwrap();
        assert!(!budget.is_spent());
    }
}

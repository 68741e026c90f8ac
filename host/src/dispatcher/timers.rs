//! Instances whose next deadline passes. Only the earliest are in memory; the store has them all. Whoever waits here sleeps until the first of
//! them is due.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fermata_replay::Timestamp;
use tokio::sync::Notify;

use super::Dispatcher;
use super::slot::Slot;
use crate::store::{Due, InstanceKey, StoreError};

/// How many are read from the store at a time, and how many more are kept at most.
const BATCH: usize = 10_000;
/// After a read that failed.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Timers {
    soon: Mutex<Soon>,
    changed: Notify,
}

/// The earliest deadlines: all of those up to the horizon.
struct Soon {
    due: BTreeSet<(Timestamp, InstanceKey, Arc<str>)>,
    /// Beyond this place only the store knows; none where everything is here.
    horizon: Option<(Timestamp, InstanceKey)>,
    /// The store is being asked, and its answer may be older than what is noted meanwhile.
    reading: bool,
    closed: bool,
}

impl Default for Soon {
    fn default() -> Self {
        Soon { due: BTreeSet::new(), horizon: Some((Timestamp(i64::MIN), 0)), reading: false, closed: false }
    }
}

/// What there is to do next.
enum Next {
    Fire(Vec<(InstanceKey, Arc<str>)>),
    Sleep(Option<Timestamp>),
    /// The store is to be asked for those after this place.
    Read((Timestamp, InstanceKey)),
    Closed,
}

impl Timers {
    /// Notes when an instance is due, which the store has by now. What was noted before stays: who is woken looks whether something is due.
    pub fn note(&self, due: Timestamp, key: InstanceKey, id: &Arc<str>) {
        let is_first = {
            let mut soon = self.lock();
            if !soon.reading && soon.horizon.is_some_and(|horizon| (due, key) > horizon) {
                return;
            }
            soon.due.insert((due, key, id.clone()));
            if !soon.reading {
                soon.forget_the_latest();
            }
            soon.due.first().is_some_and(|(first, ..)| *first == due)
        };
        if is_first {
            self.changed.notify_one();
        }
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn next(&self, now: Timestamp) -> Next {
        let mut soon = self.lock();
        if soon.closed {
            return Next::Closed;
        }
        let mut fired = Vec::new();
        while soon.due.first().is_some_and(|(due, ..)| *due <= now) {
            let (_, key, id) = soon.due.pop_first().expect("there is a first");
            fired.push((key, id));
        }
        match (soon.due.first(), soon.horizon) {
            _ if !fired.is_empty() => Next::Fire(fired),
            (None, Some(horizon)) => {
                soon.reading = true;
                Next::Read(horizon)
            }
            (first, _) => Next::Sleep(first.map(|(due, ..)| *due)),
        }
    }

    /// Takes what the store has after the horizon; `asked` were asked for.
    fn add(&self, read: Vec<Due>, asked: usize) {
        let mut soon = self.lock();
        soon.reading = false;
        soon.horizon = read.last().filter(|_| read.len() == asked).map(|last| (last.due, last.key));
        soon.due.extend(read.into_iter().map(|due| (due.due, due.key, due.id.into())));
        if let Some(horizon) = soon.horizon {
            soon.due.retain(|(due, key, _)| (*due, *key) <= horizon);
        }
        soon.forget_the_latest();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Soon> {
        self.soon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Soon {
    fn forget_the_latest(&mut self) {
        if self.due.len() > 2 * BATCH {
            let later = self.due.iter().nth(BATCH).cloned().expect("there are as many");
            self.due.split_off(&later);
            self.horizon = self.due.last().map(|(due, key, _)| (*due, *key));
        }
    }
}

impl Dispatcher {
    /// Wakes instances as their deadlines pass, in the order of these.
    pub(super) async fn watch_timers(self: Arc<Self>) {
        loop {
            match self.timers.next(self.clock.now()) {
                Next::Closed => return,
                Next::Fire(due) => {
                    for (key, id) in due {
                        self.fire(key, id).await;
                    }
                }
                Next::Read(after) => match self.store.readable_due(Some(after), BATCH).await {
                    Ok(read) => self.timers.add(read, BATCH),
                    Err(StoreError::Poisoned(_)) => return,
                    Err(error) => {
                        tracing::warn!("the timers can not be read: {error}");
                        self.clock.pause(RETRY).await;
                    }
                },
                Next::Sleep(until) => {
                    let changed = self.timers.changed.notified();
                    let reached = async {
                        match until {
                            Some(until) => self.clock.sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! { () = changed => {}, () = reached => {} }
                }
            }
        }
    }

    /// There was nothing to do for an instance. Where it was woken for a deadline, the clock has been set back since, and no commit will note
    /// that deadline again.
    pub(super) fn note_again(&self, slot: &Slot) {
        let inner = slot.lock();
        if let Some(due) = inner.due.filter(|_| inner.turns_in_flight == 0) {
            self.timers.note(due, slot.key, &slot.id);
        }
    }

    async fn fire(self: &Arc<Self>, key: InstanceKey, id: Arc<str>) {
        loop {
            let slot = match self.slot(&id).await {
                Ok(Some(slot)) => slot,
                Ok(None) => return,
                Err(error) => return self.go_on_later(id, error),
            };
            {
                let mut inner = slot.lock();
                // What is told to a slot that has left the map since, nobody hears.
                if inner.gone {
                    continue;
                }
                if let Some(due) = inner.due.filter(|_| slot.key == key && !inner.reads_nothing() && inner.is_trusted())
                {
                    if due <= self.clock.now() {
                        inner.pending = true;
                        self.schedule(&slot, &mut inner);
                    } else {
                        // The clock was set back, or the instance has another deadline by now.
                        self.timers.note(due, key, &slot.id);
                    }
                }
            }
            return self.forget_if_idle(&slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(timers: &Timers, now: i64) -> Vec<InstanceKey> {
        match timers.next(Timestamp(now)) {
            Next::Fire(due) => due.into_iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn only_what_lies_before_the_horizon_is_kept() {
        let timers = Timers::default();
        timers.note(Timestamp(5), 1, &"a".into());
        assert!(matches!(timers.next(Timestamp(9)), Next::Read(_)), "nothing was read yet");
        timers.note(Timestamp(6), 9, &"i".into());
        let due = |due: i64, key| Due { due: Timestamp(due), key, id: "i".into() };
        timers.add(vec![due(5, 1), due(7, 2)], 2);
        timers.note(Timestamp(8), 3, &"c".into());
        timers.note(Timestamp(6), 4, &"d".into());
        assert_eq!(fires(&timers, 9), [1, 4, 9, 2], "what was noted during the read is there");
        assert!(
            matches!(timers.next(Timestamp(9)), Next::Read((Timestamp(7), 2))),
            "the next may be due with the last"
        );
        timers.add(vec![due(8, 3)], 2);
        timers.note(Timestamp(1_000), 5, &"e".into());
        assert_eq!(fires(&timers, 9), [3]);
        assert!(matches!(timers.next(Timestamp(9)), Next::Sleep(Some(Timestamp(1_000)))), "everything is here");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let timers = Timers::default();
        timers.add(Vec::new(), BATCH);
        for number in 0..3 * BATCH as i64 {
            timers.note(Timestamp(number), 1, &"a".into());
        }
        let soon = timers.lock();
        assert!(soon.due.len() <= 2 * BATCH);
        let last = soon.due.last().map(|(due, key, _)| (*due, *key));
        assert_eq!(soon.horizon, last, "what is not here is what the store has after this place");
    }
}

//! Who waits for something to become durable: for a change of what an instance shows, or for an event to be taken. Where nobody waits,
//! all this costs is one look at a counter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use super::{Dispatcher, InstanceView, lock};
use crate::store::{InstanceKey, StoreError};

pub struct Watchers {
    /// By instance id: an instance may be replaced, or not be there yet.
    watched: Mutex<HashMap<Arc<str>, Watched>>,
    watches: AtomicUsize,
    /// Messages that are waited for, by their instance.
    untaken: Mutex<HashMap<InstanceKey, Untaken>>,
    takings: AtomicUsize,
    /// True from the moment that nobody is to wait any more.
    closed: watch::Sender<bool>,
}

/// By sequence.
type Untaken = HashMap<u64, oneshot::Sender<Taken>>;

struct Watched {
    changed: watch::Sender<()>,
    watches: usize,
}

impl Default for Watchers {
    fn default() -> Watchers {
        let (closed, _) = watch::channel(false);
        Watchers { watched: Mutex::default(), watches: 0.into(), untaken: Mutex::default(), takings: 0.into(), closed }
    }
}

/// Sees an instance change, from the moment that it was made.
pub struct Watch {
    dispatcher: Arc<Dispatcher>,
    id: Arc<str>,
    changed: watch::Receiver<()>,
    closed: watch::Receiver<bool>,
}

/// An event was taken, and that is durable.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What the instance showed then, where that is at hand; else it is to be read.
    pub shown: Option<Arc<InstanceView>>,
}

/// Resolves when an event was taken.
pub struct Taking {
    dispatcher: Arc<Dispatcher>,
    key: InstanceKey,
    seq: u64,
    taken: oneshot::Receiver<Taken>,
    closed: watch::Receiver<bool>,
}

impl Dispatcher {
    /// Watches the instance with this id, whether there is one or not.
    pub fn watch(self: &Arc<Self>, id: &str) -> Watch {
        let watchers = &self.watchers;
        let id: Arc<str> = id.into();
        watchers.watches.fetch_add(1, Ordering::SeqCst);
        let mut watched = lock(&watchers.watched);
        let entry = watched.entry(id.clone()).or_insert_with(|| Watched { changed: watch::channel(()).0, watches: 0 });
        entry.watches += 1;
        let changed = entry.changed.subscribe();
        drop(watched);
        Watch { dispatcher: self.clone(), id, changed, closed: watchers.closed.subscribe() }
    }

    /// How many watches there are.
    pub fn watches(&self) -> usize {
        self.watchers.watches.load(Ordering::Relaxed)
    }

    /// Has everybody who waits for an instance go on without.
    pub fn stop_waiting(&self) {
        self.watchers.closed.send_replace(true);
    }

    /// Waits for a message that is about to be admitted, under the lock of its slot.
    pub(super) fn taking(self: &Arc<Self>, key: InstanceKey, seq: u64) -> Taking {
        let (sender, taken) = oneshot::channel();
        self.watchers.takings.fetch_add(1, Ordering::SeqCst);
        lock(&self.watchers.untaken).entry(key).or_default().insert(seq, sender);
        Taking { dispatcher: self.clone(), key, seq, taken, closed: self.watchers.closed.subscribe() }
    }
}

impl Watchers {
    /// What the instance shows has changed, and that is durable.
    pub fn changed(&self, id: &str) {
        if self.watches.load(Ordering::SeqCst) > 0
            && let Some(watched) = lock(&self.watched).get(id)
        {
            watched.changed.send_replace(());
        }
    }

    /// Those of these messages that somebody waits for: to be told of when it is durable that they were taken.
    pub fn awaited(&self, key: InstanceKey, consumed: &[u64]) -> Vec<u64> {
        if self.takings.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let untaken = lock(&self.untaken);
        let awaited = |untaken: &Untaken| consumed.iter().copied().filter(|seq| untaken.contains_key(seq)).collect();
        untaken.get(&key).map(awaited).unwrap_or_default()
    }

    /// These messages were taken, and that is durable: so is what the instance shows, where that is known.
    pub fn taken(&self, key: InstanceKey, awaited: &[u64], shown: Option<&Arc<InstanceView>>) {
        for seq in awaited {
            if let Some(sender) = self.forget(key, *seq) {
                let _ = sender.send(Taken { shown: shown.cloned() });
            }
        }
    }

    /// An instance is gone: nobody will take what it was sent.
    pub fn gone(&self, key: InstanceKey) {
        lock(&self.untaken).remove(&key);
    }

    fn forget(&self, key: InstanceKey, seq: u64) -> Option<oneshot::Sender<Taken>> {
        let mut untaken = lock(&self.untaken);
        let of_instance = untaken.get_mut(&key)?;
        let sender = of_instance.remove(&seq);
        if of_instance.is_empty() {
            untaken.remove(&key);
        }
        sender
    }
}

impl Watch {
    /// What is durable of the instance by now.
    pub async fn view(&self, history: bool) -> Result<Option<InstanceView>, StoreError> {
        self.dispatcher.view(&self.id, history).await
    }

    /// Resolves at the next change, or at once where there was one since the last time; false where the host stops.
    pub async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.changed.changed() => changed.is_ok(),
            _ = self.closed.wait_for(|closed| *closed) => false,
        }
    }
}

impl Taking {
    /// None where that can not be told: the host stops, or the instance is gone.
    pub async fn taken(&mut self) -> Option<Taken> {
        tokio::select! {
            taken = &mut self.taken => taken.ok(),
            _ = self.closed.wait_for(|closed| *closed) => None,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watchers = &self.dispatcher.watchers;
        let mut watched = lock(&watchers.watched);
        if let Some(entry) = watched.get_mut(&self.id) {
            entry.watches -= 1;
            if entry.watches == 0 {
                watched.remove(&self.id);
            }
        }
        watchers.watches.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.dispatcher.watchers.forget(self.key, self.seq);
        self.dispatcher.watchers.takings.fetch_sub(1, Ordering::SeqCst);
    }
}

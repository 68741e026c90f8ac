//! Who waits for something to become durable: for a change of what an instance shows, or for an event to be taken. Where nobody waits,
//! all this costs is one look at a counter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{oneshot, watch};

use super::{Dispatcher, InstanceView, lock};
use crate::store::{InstanceKey, StoreError};

pub struct Watchers {
    /// By instance id: an instance may be replaced, or not be there yet.
    watched: Mutex<HashMap<Arc<str>, Watched>>,
    watches: AtomicUsize,
    /// By instance and sequence.
    untaken: Mutex<HashMap<(InstanceKey, u64), oneshot::Sender<()>>>,
    takings: AtomicUsize,
    /// True from the moment that nobody is to wait any more.
    closed: watch::Sender<bool>,
}

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

/// Resolves when an event was taken.
pub struct Taking {
    dispatcher: Arc<Dispatcher>,
    place: (InstanceKey, u64),
    taken: oneshot::Receiver<()>,
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
        lock(&self.watchers.untaken).insert((key, seq), sender);
        Taking { dispatcher: self.clone(), place: (key, seq), taken, closed: self.watchers.closed.subscribe() }
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
    pub fn awaited(&self, consumed: &[u64]) -> Vec<u64> {
        if self.takings.load(Ordering::SeqCst) > 0 { consumed.to_vec() } else { Vec::new() }
    }

    /// These messages were taken, and that is durable.
    pub fn taken(&self, key: InstanceKey, consumed: &[u64]) {
        if consumed.is_empty() {
            return;
        }
        let mut untaken = lock(&self.untaken);
        for seq in consumed {
            if let Some(sender) = untaken.remove(&(key, *seq)) {
                let _ = sender.send(());
            }
        }
    }

    fn untaken(&self) -> MutexGuard<'_, HashMap<(InstanceKey, u64), oneshot::Sender<()>>> {
        lock(&self.untaken)
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
    /// False where that can not be told: the host stops, or the instance is gone.
    pub async fn taken(&mut self) -> bool {
        tokio::select! {
            taken = &mut self.taken => taken.is_ok(),
            _ = self.closed.wait_for(|closed| *closed) => false,
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
        self.dispatcher.watchers.untaken().remove(&self.place);
        self.dispatcher.watchers.takings.fetch_sub(1, Ordering::SeqCst);
    }
}

//! The same promises in the obvious way, for tests: a few maps behind one lock. Nothing outlives the process.

mod state;

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use self::state::{Kept, State};
use super::*;

/// A write takes effect inside `submit`, and is answered on a thread that does nothing else.
pub struct Memory {
    state: Mutex<State>,
    answers: mpsc::Sender<Answer>,
}

type Answer = (OnDurable, Result<(), StoreError>);

impl Default for Memory {
    fn default() -> Self {
        let (answers, queue) = mpsc::channel::<Answer>();
        std::thread::spawn(move || queue.into_iter().for_each(|(on_durable, outcome)| on_durable(outcome)));
        Memory { state: Mutex::default(), answers }
    }
}

impl Memory {
    pub fn new() -> Self {
        Memory::default()
    }

    /// Makes a write true, and answers, at once.
    pub fn write(&self, write: Write) -> Result<(), StoreError> {
        self.state().write(write)
    }

    /// The next write that nothing else is wrong with fails like this, without effect. `Poisoned` stays, as it does on a disk.
    pub fn fail_next(&self, error: StoreError) {
        self.state().faults.push_back(error);
    }

    /// Forgets the faults that were to come: one whose write is refused is kept for the next.
    pub fn fail_no_more(&self) {
        self.state().faults.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call but `submit`: at once, unless the store is lost.
    fn now<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> T) -> StoreFuture<'_, T> {
        self.attempt(|state| Ok(work(state)))
    }

    fn attempt<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> StoreFuture<'_, T> {
        let mut state = self.state();
        let outcome = state.check().and_then(|()| work(&mut state));
        Box::pin(ready(outcome))
    }
}

impl Store for Memory {
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        self.now(|state| state.acquire(owner))
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()> {
        self.now(|state| state.release(leases))
    }

    fn reserve(&self, count: u64) -> StoreFuture<'_, u64> {
        self.now(|state| {
            let first = state.reserved + 1;
            state.reserved += count;
            first
        })
    }

    fn deploy(&self, module: Module) -> StoreFuture<'_, ()> {
        self.now(|state| state.deploy(module))
    }

    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.now(|state| state.modules.iter().rev().map(|(info, _)| info.clone()).collect())
    }

    fn delete_module<'a>(&'a self, digest: &'a str, move_to: &'a str) -> StoreFuture<'a, u64> {
        self.attempt(|state| state.delete_module(digest, move_to))
    }

    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.now(|state| {
            let module = state.modules.iter().find(|(info, _)| info.digest == digest);
            module.map(|(_, bytes)| bytes.to_vec())
        })
    }

    fn submit(&self, write: Write, on_durable: OnDurable) {
        let mut state = self.state();
        let outcome = state.write(write);
        // Under the lock: answers come in the order of the writes.
        self.answers.send((on_durable, outcome)).expect("the answering thread lives as long as the store");
    }

    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>> {
        self.now(|state| state.by_id(id).map(|kept| kept.instance.clone()))
    }

    fn remembered<'a>(&'a self, id: &'a str, key: &'a str) -> StoreFuture<'a, Option<Remembered>> {
        self.now(|state| state.remembered(id, key))
    }

    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>> {
        self.now(|state| {
            let kept = state.by_id(id)?;
            Some(Snapshot {
                instance: kept.instance.clone(),
                first: kept.history.first().cloned(),
                last: kept
                    .history
                    .get(1..)
                    .and_then(<[String]>::last)
                    .filter(|_| kept.instance.status.is_final())
                    .cloned(),
                unread: if kept.history.is_empty() { state.messages(kept.instance.key) } else { Vec::new() },
            })
        })
    }

    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>> {
        self.now(|state| {
            let kept = state.instances.get(&key)?;
            Some(Loaded { instance: kept.instance.clone(), history: kept.history.clone(), unread: state.messages(key) })
        })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Page> {
        self.now(|state| state.list(&filter))
    }

    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>> {
        self.now(|state| {
            let keys: BTreeSet<_> = state.inbox.values().map(|(key, _)| *key).collect();
            let instance = |key: InstanceKey| UnreadInstance { key, id: state.instances[&key].instance.id.clone() };
            keys.into_iter().map(instance).collect()
        })
    }

    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>> {
        self.now(|state| state.instances.values().flat_map(Kept::open_activities).collect())
    }

    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>> {
        self.now(|state| state.outbox.values().cloned().collect())
    }

    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.now(|state| {
            let due = |instance: &Instance| {
                let due = instance.due.filter(|_| instance.parked.is_none())?;
                Some(Due { due, key: instance.key, id: instance.id.clone() })
            };
            let mut found: Vec<Due> = state.instances.values().filter_map(|kept| due(&kept.instance)).collect();
            found.retain(|found| after.is_none_or(|after| (found.due, found.key) > after));
            found.sort_by_key(|found| (found.due, found.key));
            found.truncate(limit);
            found
        })
    }

    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.now(|state| {
            let mut found: Vec<Ended> = state.ended().collect();
            found.sort_by_key(|found| (found.ended, found.key));
            found.truncate(limit);
            found
        })
    }

    fn count_ended(&self) -> StoreFuture<'_, u64> {
        self.now(|state| state.ended().count() as u64)
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.state().poisoned.clone()
    }
}

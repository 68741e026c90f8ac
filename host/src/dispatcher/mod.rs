//! Who runs, and when: inbox → load → turn → commit → wake.
//!
//! - [`admission`]: messages come in, in order, each durable before it is answered
//! - [`slot`]: what is in memory of an instance that has something to do
//! - [`run_queue`]: instances that wait for a thread
//! - [`turn`]: one instance taken through its messages, to a commit
//! - [`residency`]: which blocked guests stay in memory
//! - [`activities`]: outside work, at least once
//! - [`registry`]: which module is active for which name
//! - [`view`]: what an instance shows
//!
//! Nothing here waits on a timer while there is nothing to do.

mod activities;
mod admission;
mod ids;
mod registry;
mod residency;
mod run_queue;
mod slot;
mod turn;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use admission::{RaiseError, StartError, Started};
pub use residency::Residency;
pub use view::{HistoryView, InstanceView, Output};

use crate::clock::Clock;
use crate::engine::{BadModule, Engine};
use crate::store::{self, Lease, ModuleInfo, Store, StoreError, partition_of};
use activities::Activities;
use ids::Ids;
use registry::Registry;
use residency::Residents;
use run_queue::RunQueue;
use slot::Slot;

/// The one place where store, engine and clock meet.
pub struct Dispatcher {
    store: Arc<dyn Store>,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    /// By partition.
    leases: Vec<Lease>,
    partitions: Vec<Mutex<Partition>>,
    ids: Arc<Ids>,
    registry: Registry,
    /// Held while a module is deployed: what the registry is told last must be what is stored last.
    deploying: tokio::sync::Mutex<()>,
    queue: RunQueue,
    residents: Residents,
    activities: Activities,
    runtime: tokio::runtime::Handle,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// The slots of one partition's instances, by instance id.
#[derive(Default)]
struct Partition {
    slots: HashMap<Arc<str>, Arc<Slot>>,
    /// Grows when a slot leaves: what was read from the store before may be stale then.
    departures: u64,
}

/// How the dispatcher is set up.
#[derive(Clone, Debug)]
pub struct Options {
    pub residency: Residency,
    /// Threads that run orchestrators.
    pub workers: usize,
    /// Activities that run at a time.
    pub activities: usize,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Options { residency: Residency::default(), workers: cores, activities: 16 * cores }
    }
}

impl Options {
    /// Guests that may exist at a time.
    pub fn guests(&self) -> u32 {
        // A guest that is over the budget is dropped only after it blocked; and modules are asked what they hold.
        self.residency.guests() + 2 * self.workers as u32 + self.activities as u32 + 16
    }
}

/// Why a module is not deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    BadModule(#[from] BadModule),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Dispatcher {
    /// Takes over the store's partitions and everything in them that was left undone.
    pub async fn open(
        store: Arc<dyn Store>,
        engine: Arc<Engine>,
        clock: Arc<dyn Clock>,
        options: &Options,
    ) -> Result<Arc<Dispatcher>, StoreError> {
        let owner = uuid::Uuid::new_v4().to_string();
        let mut leases = store.acquire(&owner).await?;
        leases.sort_by_key(|lease| lease.partition);
        let dispatcher = Arc::new(Dispatcher {
            ids: Ids::new(store.clone()).await?,
            partitions: (0..store::PARTITIONS).map(|_| Mutex::default()).collect(),
            registry: Registry::default(),
            deploying: tokio::sync::Mutex::default(),
            queue: RunQueue::default(),
            residents: Residents::new(options.residency),
            activities: Activities::new(options.activities),
            runtime: tokio::runtime::Handle::current(),
            workers: Mutex::default(),
            store,
            engine,
            clock,
            leases,
        });
        dispatcher.registry.replace(dispatcher.store.modules().await?);
        dispatcher.start_workers(options.workers);
        dispatcher.recover().await?;
        Ok(dispatcher)
    }

    /// Keeps a module and makes it active for the names it holds; returns its digest and names.
    pub async fn deploy(self: &Arc<Self>, bytes: bytes::Bytes) -> Result<ModuleInfo, DeployError> {
        let engine = self.engine.clone();
        let admitted = tokio::task::spawn_blocking(move || engine.admit(&bytes))
            .await
            .map_err(|error| StoreError::Io(error.to_string().into()))??;
        self.keep(admitted).await
    }

    /// The same, for a module that is only wanted where it is not known yet; none where it is.
    pub async fn deploy_if_new(self: &Arc<Self>, bytes: bytes::Bytes) -> Result<Option<ModuleInfo>, DeployError> {
        let engine = self.engine.clone();
        let admitted = tokio::task::spawn_blocking(move || engine.admit(&bytes))
            .await
            .map_err(|error| StoreError::Io(error.to_string().into()))??;
        if self.registry.knows(admitted.module.digest()) {
            return Ok(None);
        }
        self.keep(admitted).await.map(Some)
    }

    async fn keep(&self, admitted: crate::engine::Admitted) -> Result<ModuleInfo, DeployError> {
        let _deploying = self.deploying.lock().await;
        let module = &admitted.module;
        let deployed = store::Module {
            digest: module.digest().to_owned(),
            bytes: admitted.component.into(),
            orchestrators: module.orchestrators().to_vec(),
            activities: module.activities().to_vec(),
            deployed: self.clock.now(),
        };
        self.store.deploy(deployed).await?;
        let modules = self.store.modules().await?;
        let info = modules.iter().find(|info| info.digest == module.digest()).cloned();
        self.registry.replace(modules);
        info.ok_or_else(|| StoreError::Missing.into())
    }

    /// Every module, the latest deployed first.
    pub fn modules(&self) -> Vec<ModuleInfo> {
        self.registry.modules()
    }

    /// Why the host can not answer any more; none while it is well.
    pub fn poisoned(&self) -> Option<Arc<str>> {
        self.store.poisoned()
    }

    /// Ends the turns under way, waits until they are durable, and gives the partitions back. Nothing may be admitted any more.
    pub async fn close(&self) {
        self.queue.close();
        self.activities.close();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(|worker| drop(worker.join())));
        let _ = joined.await;
        let slots: Vec<Arc<Slot>> = self
            .partitions
            .iter()
            .flat_map(|partition| lock(partition).slots.values().cloned().collect::<Vec<_>>())
            .collect();
        for slot in slots {
            let settled = slot.lock().settled();
            let _ = settled.await;
        }
        if let Err(error) = self.store.release(&self.leases).await {
            tracing::warn!("the partitions could not be given back: {error}");
        }
    }

    fn start_workers(self: &Arc<Self>, count: usize) {
        let spawn = |number| {
            let dispatcher = self.clone();
            let run = move || {
                // WASI calls that would wait look for a runtime.
                let _runtime = dispatcher.runtime.enter();
                while let Some(slot) = dispatcher.queue.pop() {
                    dispatcher.turn(&slot);
                }
            };
            let thread = std::thread::Builder::new().name(format!("guests-{number}")).spawn(run);
            thread.expect("the system can start a thread")
        };
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) = (0..count).map(spawn).collect();
    }

    /// Goes on with what a former owner left: unread messages and open activities.
    async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        for unread in self.store.unread().await? {
            self.rouse(&unread.id).await?;
        }
        for activity in self.store.open_activities().await? {
            self.perform(activity);
        }
        Ok(())
    }

    /// Runs an instance whose unread messages are in the store.
    async fn rouse(self: &Arc<Self>, id: &str) -> Result<(), StoreError> {
        if let Some(slot) = self.slot(id).await? {
            let mut inner = slot.lock();
            if !inner.gone {
                self.schedule(&slot, &mut inner);
            }
        }
        Ok(())
    }

    /// The slot of an instance that exists and has not ended; made where there is none.
    async fn slot(&self, id: &str) -> Result<Option<Arc<Slot>>, StoreError> {
        let partition = partition_of(id);
        loop {
            let departures = {
                let partition = self.partition(partition);
                if let Some(slot) = partition.slots.get(id) {
                    return Ok(Some(slot.clone()));
                }
                partition.departures
            };
            let Some(instance) = self.store.find(id).await? else { return Ok(None) };
            let mut found = self.partition(partition);
            if found.departures == departures && !found.slots.contains_key(id) {
                let slot = Arc::new(Slot::of(&instance, self.leases[partition as usize]));
                found.slots.insert(slot.id.clone(), slot.clone());
                return Ok(Some(slot));
            }
        }
    }

    fn partition(&self, number: u32) -> MutexGuard<'_, Partition> {
        lock(&self.partitions[number as usize])
    }

    /// Puts a slot in the run queue, unless it is there, runs, or must wait for a commit before it can be loaded.
    fn schedule(&self, slot: &Arc<Slot>, inner: &mut slot::Inner) {
        let must_wait = matches!(inner.body, slot::Body::Cold) && inner.turns_in_flight > 0;
        if !inner.scheduled && !inner.parked && !must_wait {
            inner.scheduled = true;
            self.queue.push(slot.clone());
        }
    }

    /// A write of this slot is durable.
    fn write_ended(&self, slot: &Arc<Slot>, turn: bool) {
        let idle = {
            let mut inner = slot.lock();
            if turn {
                inner.turns_in_flight -= 1;
            }
            inner.write_ended();
            // A turn that was not durable may have kept the instance from being loaded.
            if !inner.inbox.is_empty() {
                self.schedule(slot, &mut inner);
            }
            inner.is_idle()
        };
        if idle {
            self.forget_if_idle(slot);
        }
    }

    /// Forgets a slot that holds nothing the store does not have.
    fn forget_if_idle(&self, slot: &Arc<Slot>) {
        let mut partition = self.partition(slot.lease.partition);
        let mut inner = slot.lock();
        if !inner.gone && inner.is_idle() {
            inner.leave();
            partition.slots.remove(&slot.id);
            partition.departures += 1;
        }
    }

    /// Drops everything in memory about an instance, because the store does not have it; goes on later from what the store has.
    fn forget_after(self: &Arc<Self>, slot: &Arc<Slot>, error: &StoreError) {
        let body = {
            let mut partition = self.partition(slot.lease.partition);
            let mut inner = slot.lock();
            if inner.gone {
                return;
            }
            partition.slots.remove(&slot.id);
            partition.departures += 1;
            if matches!(inner.body, slot::Body::Resident(_)) {
                self.residents.take(slot);
            }
            inner.leave()
        };
        drop(body);
        tracing::warn!(instance = &*slot.id, "a write failed, the instance goes on from what is stored: {error}");
        if matches!(error, StoreError::Poisoned(_) | StoreError::Fenced(_)) {
            return;
        }
        let (dispatcher, id) = (self.clone(), slot.id.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Err(error) = dispatcher.rouse(&id).await {
                tracing::warn!(instance = &*id, "the instance can not go on: {error}");
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Who runs, and when: inbox → load → turn → commit → wake.
//!
//! - [`admission`]: messages come in, in order, each durable before it is answered; [`once`]: requests that take effect once
//! - [`slot`]: what is in memory of an instance that has something to do
//! - [`run_queue`]: instances that wait for a thread; [`share`]: what those of one orchestrator take of the host
//! - [`turn`]: one instance taken through its messages; [`commit`]: what that makes true; [`generation`]: what its next execution begins with
//! - [`timers`]: instances whose deadline passes
//! - [`outbox`]: messages from one instance to another, once each
//! - [`residency`]: which blocked guests stay in memory
//! - [`activities`]: outside work, at least once
//! - [`control`]: what an operator asks of an instance; [`migrate`]: the move to another module; [`retention`]: what has ended goes
//! - [`quarantine`]: what a damaged page costs
//! - [`options`]: how it is set up; [`registry`]: which module is active for which name; [`loading`]: modules on their way into memory
//! - [`figures`]: how much there is of everything
//! - [`simulator`]: all of it without threads and without chance
//! - [`view`]: what an instance shows; [`watchers`]: who waits for a change of it
//!
//! Nothing here waits on a timer while there is nothing to do.

mod activities;
mod admission;
mod commit;
mod control;
mod figures;
mod generation;
mod ids;
mod loading;
mod migrate;
mod once;
mod options;
mod outbox;
mod quarantine;
mod registry;
mod residency;
mod retention;
mod run_queue;
mod share;
mod simulator;
mod slot;
mod timers;
mod turn;
mod uploads;
mod view;
mod watchers;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fermata_replay::MessageBody;

pub use activities::{Service, Services};
pub use admission::{RaiseError, Raised, StartError, Started};
pub use control::{ControlError, PurgeError};
pub use migrate::{Fit, MigrateError, Migration, ModuleDeletion, Scope};
pub use once::{RequestKey, Reused};
pub use options::Options;
pub use residency::Residency;
pub use retention::Retention;
pub use simulator::{Performed, Simulator};
pub use view::{HistoryView, InstanceView, Output};
pub use watchers::{Taken, Taking, Watch};

use crate::clock::Clock;
use crate::engine::{Admitted, BadModule, Engine};
use crate::limits::{self, HostLimits};
use crate::store::{self, Change, Lease, ModuleInfo, Store, StoreError, Write, partition_of};
use activities::Activities;
use ids::Ids;
use loading::Loading;
use once::UnderWay;
use outbox::Outbox;
use quarantine::damage;
use registry::Registry;
use residency::Residents;
use run_queue::RunQueue;
use share::Shares;
use slot::{Body, Inner, Slot};
use timers::Timers;
use uploads::Uploads;
use watchers::Watchers;

/// How long an instance whose write failed, or which could not be read, is left alone.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

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
    uploads: Uploads,
    loading: Loading,
    queue: Arc<RunQueue>,
    shares: Shares,
    limits: HostLimits,
    /// Instances that are stalled.
    stalled: AtomicI64,
    residents: Residents,
    timers: Timers,
    outbox: Outbox,
    activities: Activities,
    retention: Retention,
    watchers: Watchers,
    under_way: UnderWay,
    runtime: tokio::runtime::Handle,
    workers: Mutex<Vec<JoinHandle<()>>>,
    simulator: Option<Arc<dyn Simulator>>,
}

/// The slots of one partition's instances, by instance id.
#[derive(Default)]
struct Partition {
    slots: HashMap<Arc<str>, Arc<Slot>>,
    /// Grows when a slot leaves: what was read from the store before may be stale then.
    departures: u64,
}

/// Why a module is not deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error(transparent)]
    BadModule(#[from] BadModule),
    /// Says nothing about the module.
    #[error("as many modules as the host looks at already wait to be compiled")]
    Busy,
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
        let owner =
            uuid::Builder::from_random_bytes(simulator::random(options.simulator.as_deref())).into_uuid().to_string();
        let mut leases = store.acquire(&owner).await?;
        leases.sort_by_key(|lease| lease.partition);
        if let Some(missing) = (0..store::PARTITIONS).find(|number| !leases.iter().any(|l| l.partition == *number)) {
            return Err(StoreError::Fenced(missing));
        }
        let dispatcher = Arc::new(Dispatcher {
            ids: Ids::new(store.clone()).await?,
            partitions: (0..store::PARTITIONS).map(|_| Mutex::default()).collect(),
            registry: Registry::default(),
            deploying: tokio::sync::Mutex::default(),
            uploads: Uploads::default(),
            loading: Loading::default(),
            queue: Arc::new(RunQueue::new(options.limits.interrupted_guests)),
            shares: Shares::new(options.limits.clone()),
            limits: options.limits.clone(),
            stalled: AtomicI64::new(0),
            residents: Residents::new(
                options.residency,
                engine.memories_of_residents(options.guests_beside_residents()),
            ),
            timers: Timers::default(),
            outbox: Outbox::default(),
            activities: Activities::new(options),
            retention: options.retention.clone(),
            watchers: Watchers::default(),
            under_way: UnderWay::default(),
            runtime: tokio::runtime::Handle::current(),
            workers: Mutex::default(),
            simulator: options.simulator.clone(),
            store,
            engine,
            clock,
            leases,
        });
        dispatcher.registry.replace(dispatcher.store.readable_modules().await?);
        dispatcher.count_instances().await?;
        match &options.simulator {
            Some(simulator) => simulator.begins(&dispatcher),
            None => dispatcher.start_workers(options.workers),
        }
        dispatcher.recover().await?;
        dispatcher.runtime.spawn(dispatcher.clone().watch_timers());
        dispatcher.runtime.spawn(Dispatcher::remove_what_has_ended(Arc::downgrade(&dispatcher)));
        Ok(dispatcher)
    }

    /// Keeps a module and makes it active for the names it holds; returns its digest and names.
    pub async fn deploy(self: &Arc<Self>, bytes: bytes::Bytes) -> Result<ModuleInfo, DeployError> {
        let admitted = self.uploads.admit(self.engine.clone(), bytes).await?;
        self.keep(admitted).await
    }

    /// The same, for a module that is only wanted where it is not known yet; none where it is.
    pub async fn deploy_if_new(self: &Arc<Self>, bytes: bytes::Bytes) -> Result<Option<ModuleInfo>, DeployError> {
        let admitted = self.uploads.admit(self.engine.clone(), bytes).await?;
        if self.registry.knows(admitted.module.digest()) {
            return Ok(None);
        }
        self.keep(admitted).await.map(Some)
    }

    /// The same as [`Dispatcher::deploy`], for one that was looked at before.
    pub async fn keep(&self, admitted: Admitted) -> Result<ModuleInfo, DeployError> {
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
        let modules = self.store.readable_modules().await?;
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

    /// The time by the host's clock.
    pub fn now(&self) -> fermata_replay::Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward, where it can be moved; false where it can not.
    pub fn skip(&self, span: fermata_replay::Span) -> bool {
        self.clock.skip(span)
    }

    /// Ends the turns under way, waits until they are durable, and gives the partitions back. Nothing may be admitted any more.
    pub async fn close(&self) {
        self.stop_waiting();
        self.timers.close();
        self.queue.close();
        self.activities.close();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        if !workers.is_empty() {
            let join = move || workers.into_iter().for_each(|worker| drop(worker.join()));
            let _ = tokio::task::spawn_blocking(join).await;
        }
        let mut slots: Vec<Arc<Slot>> = self
            .partitions
            .iter()
            .flat_map(|partition| lock(partition).slots.values().cloned().collect::<Vec<_>>())
            .collect();
        slots.sort_unstable_by_key(|slot| slot.key);
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
                let asleep = asleep();
                let _runtime = asleep.enter();
                while let Some((slot, place)) = dispatcher.queue.pop() {
                    if catch_unwind(AssertUnwindSafe(|| dispatcher.turn(&slot, place))).is_err() {
                        dispatcher.abandon(&slot, "the host panicked while it ran");
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("guests-{number}")).spawn(run);
            thread.expect("the system can start a thread")
        };
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) = (0..count).map(spawn).collect();
    }

    /// Goes on with what a former owner left: unread messages, messages that were sent, and open activities.
    async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        quarantine::unless_it_stays(self.store.mend_edges().await)?;
        // All is read before anything runs: activities that are started now must not be found here and run twice.
        let undone = self.store.undone().await?;
        self.quarantine(&undone).await?;
        // Before any instance goes on: one that called the next attempt, or another activity in the same place, must not lose it to this.
        undone.activities.into_iter().for_each(|activity| self.perform(activity));
        self.send(undone.outbox);
        for instance in undone.unread {
            match self.rouse(&instance.id).await {
                Err(damaged @ StoreError::Damaged(_)) => self.go_on_later(instance.id.into(), damaged),
                done => done?,
            }
        }
        Ok(())
    }

    /// Runs an instance whose unread messages are in the store.
    async fn rouse(self: &Arc<Self>, id: &str) -> Result<(), StoreError> {
        while let Some(slot) = self.slot(id).await? {
            // A parked instance has nothing to do, unless it was called back.
            let called_back = slot.lock().parked && self.is_called_back(slot.key).await?;
            {
                let mut inner = slot.lock();
                // What is told to a slot that has left the map since, nobody hears.
                if inner.gone {
                    continue;
                }
                if called_back {
                    inner.parked = false;
                    inner.leave_in_store();
                }
                inner.pending = !inner.parked;
                self.schedule(&slot, &mut inner);
            }
            self.forget_if_idle(&slot);
            break;
        }
        Ok(())
    }

    /// Whether a message waits in the store that even a parked instance reads. One that is damaged reads nothing.
    async fn is_called_back(&self, key: store::InstanceKey) -> Result<bool, StoreError> {
        let loaded = match self.store.load(key).await {
            Err(StoreError::Damaged(_)) => None,
            loaded => loaded?,
        };
        let unread = loaded.map(|loaded| loaded.unread).unwrap_or_default();
        let body = |message: &store::StoredMessage| serde_json::from_str::<MessageBody>(&message.body).ok();
        Ok(unread.iter().filter_map(body).any(|body| slot::calls_back(&body)))
    }

    /// The slot of an instance that exists; made where there is none. Whoever then gives it nothing to do must let it be forgotten.
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
                let slot =
                    Arc::new(Slot::of(&instance, self.leases[partition as usize], self.shares.of(&instance.name)));
                found.slots.insert(slot.id.clone(), slot.clone());
                return Ok(Some(slot));
            }
        }
    }

    fn partition(&self, number: u32) -> MutexGuard<'_, Partition> {
        lock(&self.partitions[number as usize])
    }

    /// Puts a slot in the run queue, unless it is there, runs, or must wait for a commit before it can be loaded.
    fn schedule(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if !inner.scheduled && !inner.parked && !inner.must_wait() && inner.is_trusted() {
            inner.scheduled = true;
            match slot.share.is_slow() && !inner.inbox.has_urgent() {
                true => self.queue.push_aside(slot.clone()),
                false => self.queue.push(slot.clone()),
            }
        }
    }

    /// Hands a write to the store, all under the slot's lock; `then` learns the outcome when the slot has taken note of it.
    fn submit(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        change: Change,
        then: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let is_turn = matches!(change, Change::Turn(_));
        let is_creation = matches!(change, Change::Create { .. });
        let is_shown = !matches!(change, Change::Accept { .. } | Change::Discard { .. });
        let begun = is_turn.then(Instant::now);
        inner.write_submitted(is_turn);
        let held = self.shares.writes.hold(change.bytes() + limits::MESSAGE_OVERHEAD_BYTES);
        let write = Write { lease: slot.lease, key: slot.key, change };
        let (dispatcher, slot) = (self.clone(), slot.clone());
        let on_durable = move |outcome: Result<(), StoreError>| {
            drop(held);
            // A store that is lost may answer from within `submit`, where the slot is locked.
            let elsewhere = matches!(outcome, Err(StoreError::Poisoned(_))).then(|| dispatcher.runtime.clone());
            let end = move || {
                let metrics = dispatcher.metrics();
                match (outcome.is_ok(), begun) {
                    (true, Some(begun)) => {
                        metrics.turns.inc();
                        metrics.commit_seconds.observe(begun.elapsed());
                    }
                    (false, Some(_)) => drop(metrics.turns_failed.inc()),
                    (false, None) if is_creation => slot.share.instance_ended(),
                    _ => {}
                }
                dispatcher.write_ended(&slot, is_turn, outcome.as_ref().err());
                dispatcher.meanwhile();
                let has_changed = is_shown && outcome.is_ok();
                then(outcome);
                if has_changed {
                    dispatcher.watchers.changed(&slot.id);
                }
            };
            match elsewhere {
                Some(runtime) => drop(runtime.spawn(async move { end() })),
                None => end(),
            }
        };
        self.store.submit(write, Box::new(on_durable));
    }

    /// A write of this slot is durable, or has failed.
    fn write_ended(self: &Arc<Self>, slot: &Arc<Slot>, is_turn: bool, error: Option<&StoreError>) {
        let (idle, _dropped) = {
            let mut inner = slot.lock();
            inner.write_ended(is_turn);
            let error = error.map(|error| match error {
                // The page is one that all who are sent something write to; a turn that can not be written is its instance's loss.
                StoreError::Damaged(what) if !is_turn => StoreError::Io(what.as_str().into()),
                other => other.clone(),
            });
            let dropped = error.map(|error| self.distrust(slot, &mut inner, &error));
            // A turn that was not durable may have kept the instance from being loaded.
            if inner.has_work() {
                self.schedule(slot, &mut inner);
            }
            (inner.is_idle(), dropped)
        };
        if idle {
            self.forget_if_idle(slot);
        }
    }

    /// Gives up everything in memory about an instance, because the store does not have it. Gives what is to be dropped when the lock is
    /// free.
    fn distrust(&self, slot: &Arc<Slot>, inner: &mut Inner, error: &StoreError) -> Body {
        if inner.failed.is_none() {
            tracing::warn!(instance = &*slot.id, "a write failed, the instance goes on from what is stored: {error}");
            inner.failed = Some(error.clone());
        }
        inner.inbox.take();
        inner.pending = false;
        self.set_stalled(inner, None);
        self.take_body(slot, inner, Body::Cold)
    }

    /// Puts another body in the place of the one there is.
    fn take_body(&self, slot: &Slot, inner: &mut Inner, body: Body) -> Body {
        let before = std::mem::replace(&mut inner.body, body);
        if let Body::Resident(guest) = &before {
            self.residents.take(slot, guest.memories());
        }
        before
    }

    /// Forgets a slot that holds nothing the store does not have, or nothing that can be trusted.
    fn forget_if_idle(self: &Arc<Self>, slot: &Arc<Slot>) {
        let failed = {
            let mut partition = self.partition(slot.lease.partition);
            let mut inner = slot.lock();
            if inner.gone || !inner.is_idle() {
                return;
            }
            inner.gone = true;
            partition.slots.remove(&slot.id);
            partition.departures += 1;
            inner.failed.clone()
        };
        if let Some(error) = failed {
            self.go_on_later(slot.id.clone(), error);
        }
    }

    /// Takes an instance up again, from what is stored, some time after an error; one that is damaged is parked.
    fn go_on_later(self: &Arc<Self>, id: Arc<str>, mut error: StoreError) {
        let dispatcher = self.clone();
        self.runtime.spawn(async move {
            let mut delay = FIRST_RETRY;
            while !matches!(error, StoreError::Poisoned(_) | StoreError::Fenced(_)) {
                dispatcher.clock.pause(delay).await;
                let done = match &error {
                    StoreError::Damaged(what) => dispatcher.park_by_id(&id, damage(what)).await,
                    _ => dispatcher.rouse(&id).await,
                };
                let Err(again) = done else { return };
                tracing::warn!(instance = &*id, "the instance can not go on: {again}");
                (error, delay) = (again, (2 * delay).min(LAST_RETRY));
            }
        });
    }
}

/// WASI calls that would wait look for a runtime. Nobody ever drives this one, so that none of its sleeps ends: whether a guest may wait for
/// the outside world must not depend on how fast it got there.
fn asleep() -> tokio::runtime::Runtime {
    let asleep = tokio::runtime::Builder::new_current_thread().enable_time().build();
    asleep.expect("a runtime without a thread can be made")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

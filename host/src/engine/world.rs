//! What a guest's wasmtime store holds.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fermata_replay::{Execution, Failure, Stop, kind};
use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime::{CallHook, PoolConcurrencyLimitError, ResourceLimiter, Store, StoreContextMut, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::log::GuestLog;
use super::reach::Reach;
use super::wasi::StepClock;
use super::{Engine, wasi};
use crate::callback::Callbacks;
use crate::limits::{ExecutionLimits, Limit};

pub struct World {
    pub role: Role,
    pub instance_id: Arc<str>,
    pub log: GuestLog,
    pub limits: ExecutionLimits,
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Memory,
    calls: Calls,
}

/// Calls of the host that the guest has made in this step.
#[derive(Default)]
struct Calls {
    count: u64,
    bytes: u64,
    /// A tick of the epoch came: that is a call, too, as far as wasmtime knows, but none that the guest has made.
    ticked: bool,
    /// A replayed step is not held to its limits again.
    free: bool,
}

/// What a call of the host costs, in fuel: about the time it takes, in instructions.
const CALL_FUEL: u64 = 500;

/// The same, for each byte that it moves.
const BYTE_FUEL: u64 = 1;

/// Bytes that host calls have moved and that were not paid for yet.
#[derive(Clone, Default)]
pub struct Moved(Arc<AtomicU64>);

impl Moved {
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn take(&self) -> u64 {
        // Most calls move nothing.
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Relaxed) }
    }
}

/// What the guest runs as: decides which calls it may make.
pub enum Role {
    Orchestrator(Box<Orchestrator>),
    Activity(Arc<Reach>),
    /// Listing what the module holds.
    Describing,
}

/// The part of an orchestrator's world that the host calls work on.
pub struct Orchestrator {
    pub shared: Arc<Mutex<Shared>>,
    /// Tells the instance from others that have its id before or after it.
    pub key: u64,
    pub callbacks: Arc<Callbacks>,
    pub clock: StepClock,
    /// How many GUIDs the guest has drawn.
    pub guids: u64,
    /// Ticks of the epoch that a step may take, and that are left to this one.
    pub step_ticks: u64,
    pub ticks_left: u64,
    /// What the guest has created in this step.
    pub created: Created,
}

/// Tasks created, and the bytes that they brought.
#[derive(Default)]
pub struct Created {
    pub tasks: u32,
    pub bytes: usize,
}

/// How much memory a guest may take. That it may take no more it can see, for that is the same on every host; that the host has no more it
/// must not see.
struct Memory {
    engine: Arc<Engine>,
    limits: ExecutionLimits,
    usage: Arc<Usage>,
}

/// What a guest has taken beyond what its module begins with, and what it was refused; its owner reads it.
#[derive(Default)]
pub struct Usage {
    /// Memory that it asked for, bytes.
    grown: AtomicUsize,
    /// What it was refused in this step.
    refused: Mutex<Option<Limit>>,
}

impl Usage {
    /// Whether it has taken much memory.
    pub fn is_large(&self) -> bool {
        self.grown.load(Ordering::Relaxed) > SMALL_GROWTH
    }

    pub fn refused(&self) -> Option<Limit> {
        *self.refused.lock().expect("no panic while it is held")
    }

    fn refuse(&self, limit: Option<Limit>) {
        *self.refused.lock().expect("no panic while it is held") = limit;
    }
}

/// What a guest may grow by on a host that has no memory to spare, bytes.
const SMALL_GROWTH: usize = 4 << 20;

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, then: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if then > self.limits.memory_bytes {
            self.usage.refuse(Some(Limit::Memory));
            return Ok(false);
        }
        if now > 0 {
            let grown = self.usage.grown.fetch_add(then - now, Ordering::Relaxed) + then - now;
            if grown > SMALL_GROWTH && self.engine.is_short_of_memory() {
                self.engine.metrics().hit(Limit::ProcessMemory);
                return Err(Unable(wasmtime::Error::msg("the process has as much memory as it may")).into());
            }
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.is::<std::io::Error>() { Err(Unable(error).into()) } else { Ok(()) }
    }

    fn table_growing(&mut self, _now: usize, then: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if then > self.limits.table_elements {
            self.usage.refuse(Some(Limit::Table));
            return Ok(false);
        }
        Ok(true)
    }
}

/// A guest has passed one of its limits: the failure of its execution.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Passed {
    pub limit: Limit,
    pub message: String,
}

impl Passed {
    pub fn error(limit: Limit, message: impl Into<String>) -> wasmtime::Error {
        Passed { limit, message: message.into() }.into()
    }
}

/// The limit that a guest which ended so has passed, and the failure that this is; none where it ended for another reason. One that was refused
/// memory may tell it in its own words: what it `said` last.
pub fn passed(
    error: &wasmtime::Error,
    usage: &Usage,
    said: impl FnOnce() -> Option<String>,
) -> Option<(Limit, Failure)> {
    if let Some(Passed { limit, message }) = error.downcast_ref() {
        return Some((*limit, limit.failure(message)));
    }
    let full = matches!(error.downcast_ref(), Some(ResourceTableError::Full));
    let (limit, message) = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => (
            Limit::Fuel,
            "a step ran longer than its fuel allows: an orchestrator leaves long work to activities".into(),
        ),
        Some(Trap::StackOverflow) => {
            (Limit::Stack, "the stack was used up: functions called each other too deep".into())
        }
        _ if full => (Limit::WasiResources, "the guest holds more streams and pollables than it may".into()),
        _ => (
            usage.refused()?,
            said().unwrap_or_else(|| format!("the guest was refused what it needs: {}", error.root_cause())),
        ),
    };
    Some((limit, limit.failure(message)))
}

/// The host could not do what it should have: this says nothing about the guest.
#[derive(Debug, thiserror::Error)]
#[error("the host lacks what the guest needs: {0:#}")]
pub struct Unable(pub wasmtime::Error);

/// Why the host, not the guest, is the reason of an error; none where it is the guest.
pub fn fault_of_host(error: &wasmtime::Error) -> Option<String> {
    let pool = || error.downcast_ref::<PoolConcurrencyLimitError>().map(ToString::to_string);
    error.downcast_ref::<Unable>().map(ToString::to_string).or_else(pool)
}

/// What a guest waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Nothing: where its future is pending all the same, it waits for the outside world, which it may not.
    Nothing,
    Message,
    /// Its turn to run: it was stopped in the middle of a step, to let others run.
    Turn,
    /// It has continued as new, and is to be dropped.
    ItsEnd,
}

/// What a guest and its owner both touch; the lock is never contended, for the owner waits while the guest runs.
pub struct Shared {
    pub execution: Execution,
    /// What the guest waits for, where its future is pending.
    pub waits: Waits,
    /// Why a host call ended the guest.
    pub stop: Option<Stop>,
    /// The step that fuel, time and log were last set for.
    pub metered_step: u64,
    /// The guest was given a turn, and has not run yet in it.
    pub turn_begins: bool,
}

impl World {
    pub fn new(
        engine: &Arc<Engine>,
        role: Role,
        instance_id: Arc<str>,
        log: GuestLog,
        wasi: WasiCtx,
        limits: ExecutionLimits,
    ) -> World {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.wasi_resources);
        let memory = Memory { engine: engine.clone(), limits, usage: Arc::default() };
        World { role, instance_id, log, limits, wasi, table, memory, calls: Calls::default() }
    }

    /// The world of `describe`: it knows no instance, and calls nothing.
    pub fn describing(engine: &Arc<Engine>) -> World {
        let log = GuestLog::new("", &engine.limits, &engine.metrics);
        let wasi = wasi::virtual_world(&[0; 32], &StepClock::default(), &log);
        World::new(engine, Role::Describing, "".into(), log, wasi, engine.limits.execution)
    }

    /// The same, with memory that is counted there.
    pub fn counting(mut self, usage: Arc<Usage>) -> World {
        self.memory.usage = usage;
        self
    }

    /// A tick of the epoch: an orchestrator stops, and goes on when it is its turn again; one whose step has had its time does not go on.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.calls.ticked = true;
        let orchestrator = self.orchestrator()?;
        orchestrator.ticks_left = orchestrator.ticks_left.saturating_sub(1);
        if orchestrator.ticks_left == 0 {
            return Ok(UpdateDeadline::Interrupt);
        }
        orchestrator.shared.lock().expect("no panic while it is held").waits = Waits::Turn;
        Ok(UpdateDeadline::Yield(1))
    }

    /// What is behind the handles that the guest has, and what it may reach; none where there is no network.
    pub fn network(&mut self) -> (&mut ResourceTable, Option<&Arc<Reach>>) {
        let reach = match &self.role {
            Role::Activity(reach) => Some(reach),
            Role::Orchestrator(_) | Role::Describing => None,
        };
        (&mut self.table, reach)
    }

    pub fn orchestrator(&mut self) -> wasmtime::Result<&mut Orchestrator> {
        match &mut self.role {
            Role::Orchestrator(orchestrator) => Ok(orchestrator),
            Role::Activity(_) => Err(wasmtime::Error::msg(
                "only an orchestrator may do this: an activity may call `log`, `instance-id` and `is-replaying`",
            )),
            Role::Describing => Err(wasmtime::Error::msg("`describe` may call nothing of the host")),
        }
    }
}

impl WasiView for World {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A store with the world's limits set.
pub fn store(engine: &Engine, world: World) -> wasmtime::Result<Store<World>> {
    let limits = world.limits;
    let mut store = Store::new(&engine.wasm, world);
    store.limiter(|world| &mut world.memory);
    store.set_fuel(limits.fuel_per_step)?;
    store.set_epoch_deadline(engine.ticks());
    store.set_hostcall_fuel(limits.payload_bytes.saturating_mul(2));
    if matches!(store.data().role, Role::Orchestrator(_)) {
        store.epoch_deadline_callback(|mut store| store.data_mut().tick());
        store.call_hook(|store, hook| match hook {
            CallHook::ReturningFromHost => charge(store),
            _ => Ok(()),
        });
    }
    Ok(store)
}

/// Has the guest pay for a call that is over, by call and by byte.
fn charge(mut store: StoreContextMut<'_, World>) -> wasmtime::Result<()> {
    let world = store.data_mut();
    if std::mem::take(&mut world.calls.ticked) {
        return Ok(());
    }
    let bytes = world.log.moved().take();
    if world.calls.free {
        return Ok(());
    }
    world.calls.count += 1;
    world.calls.bytes += bytes;
    let (calls, limits) = (&world.calls, &world.limits);
    if calls.count > limits.host_calls_per_step {
        let message = format!("a step may call the host {} times, and no more", limits.host_calls_per_step);
        return Err(Passed::error(Limit::HostCalls, message));
    }
    if calls.bytes > limits.host_bytes_per_step {
        let message = format!("the host calls of a step may move {} bytes, and no more", limits.host_bytes_per_step);
        return Err(Passed::error(Limit::HostBytes, message));
    }
    match store.get_fuel()?.checked_sub(CALL_FUEL + bytes * BYTE_FUEL) {
        Some(left) => store.set_fuel(left),
        None => Err(Trap::OutOfFuel.into()),
    }
}

/// Fuel, wall time, clock, log and what may be created start anew with each step. Limits are not enforced on a recorded step: they were, when
/// that step was new. But where it was a limit that ended it, that ends it again.
pub fn meter(store: &mut StoreContextMut<'_, World>) -> wasmtime::Result<()> {
    let limit = store.data().limits.fuel_per_step;
    let orchestrator = store.data_mut().orchestrator()?;
    let mut shared = orchestrator.shared.lock().expect("no panic while it is held");
    let turn_begins = std::mem::take(&mut shared.turn_begins);
    let is_metered = shared.metered_step == shared.execution.steps_begun();
    shared.metered_step = shared.execution.steps_begun();
    let step = shared.metered_step;
    let replaying = shared.execution.is_replaying();
    let is_limited = !replaying || shared.execution.must_fail(kind::LIMIT);
    orchestrator.clock.set(shared.execution.state().now());
    drop(shared);
    if turn_begins {
        store.set_epoch_deadline(1);
    }
    if is_metered {
        return Ok(());
    }
    let orchestrator = store.data_mut().orchestrator()?;
    orchestrator.created = Created::default();
    orchestrator.ticks_left = orchestrator.step_ticks;
    let world = store.data_mut();
    world.calls = Calls { free: !is_limited, ..Calls::default() };
    world.memory.usage.refuse(None);
    world.log.begin_step(step, replaying);
    store.set_fuel(if is_limited { limit } else { i64::MAX as u64 })
}

//! What a guest's wasmtime store holds.

use std::sync::{Arc, Mutex};

use fermata_replay::{Execution, Stop, kind};
use wasmtime::component::ResourceTable;
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::log::GuestLog;
use super::wasi::StepClock;
use super::{Engine, wasi};
use crate::callback::Callbacks;
use crate::limits::GuestLimits;

pub struct World {
    pub role: Role,
    pub instance_id: Arc<str>,
    pub log: GuestLog,
    pub limits: Arc<GuestLimits>,
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Memory,
}

/// What the guest runs as: decides which calls it may make.
pub enum Role {
    Orchestrator(Box<Orchestrator>),
    Activity,
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
    /// Ticks of the epoch that a step may take.
    pub step_ticks: u64,
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
struct Memory(StoreLimits);

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, now: usize, then: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.0.memory_growing(now, then, maximum)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.is::<std::io::Error>() { Err(Unable(error).into()) } else { Ok(()) }
    }

    fn table_growing(&mut self, now: usize, then: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.0.table_growing(now, then, maximum)
    }
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
}

impl World {
    pub fn new(engine: &Engine, role: Role, instance_id: Arc<str>, log: GuestLog, wasi: WasiCtx) -> World {
        let memory = StoreLimitsBuilder::new()
            .memory_size(engine.limits.memory_bytes)
            .table_elements(engine.limits.table_elements)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(engine.limits.wasi_resources);
        World { role, instance_id, log, limits: engine.limits.clone(), wasi, table, memory: Memory(memory) }
    }

    /// The world of `describe`: it knows no instance, and calls nothing.
    pub fn describing(engine: &Engine) -> World {
        let log = GuestLog::new("", engine.limits.log_lines_per_step, engine.limits.log_line_bytes);
        let wasi = wasi::virtual_world(&[0; 32], &StepClock::default(), &log);
        World::new(engine, Role::Describing, "".into(), log, wasi)
    }

    pub fn orchestrator(&mut self) -> wasmtime::Result<&mut Orchestrator> {
        match &mut self.role {
            Role::Orchestrator(orchestrator) => Ok(orchestrator),
            Role::Activity => Err(wasmtime::Error::msg(
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

/// A store with the engine's limits set.
pub fn store(engine: &Engine, world: World) -> wasmtime::Result<Store<World>> {
    let mut store = Store::new(&engine.wasm, world);
    store.limiter(|world| &mut world.memory);
    store.set_fuel(engine.limits.fuel_per_step)?;
    store.set_epoch_deadline(engine.ticks());
    store.set_hostcall_fuel(engine.limits.payload_bytes * 2);
    Ok(store)
}

/// Fuel, wall time, clock, log and what may be created start anew with each step. Limits are not enforced on a recorded step: they were, when
/// that step was new. But where it was a limit that ended it, that ends it again.
pub fn meter(store: &mut StoreContextMut<'_, World>) -> wasmtime::Result<()> {
    let limit = store.data().limits.fuel_per_step;
    let orchestrator = store.data_mut().orchestrator()?;
    let mut shared = orchestrator.shared.lock().expect("no panic while it is held");
    if shared.metered_step == shared.execution.steps_begun() {
        return Ok(());
    }
    shared.metered_step = shared.execution.steps_begun();
    let step = shared.metered_step;
    let replaying = shared.execution.is_replaying();
    let is_limited = !replaying || shared.execution.must_fail(kind::LIMIT);
    orchestrator.clock.set(shared.execution.state().now());
    drop(shared);
    orchestrator.created = Created::default();
    let ticks = orchestrator.step_ticks;
    store.data().log.begin_step(step, replaying);
    store.set_fuel(if is_limited { limit } else { i64::MAX as u64 })?;
    store.set_epoch_deadline(ticks);
    Ok(())
}

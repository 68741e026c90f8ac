//! The only wasmtime. Turns modules into guests, and takes a guest through its steps.
//!
//! - [`settings`]: the switches, each with its reason
//! - [`module`]: from uploaded bytes to a module that guests can be made of
//! - [`check`], [`compile`]: what a module may be; who compiles it, and where that is kept
//! - [`guest`]: one orchestrator's wasm instance, resident while it is blocked
//! - [`activity`]: one attempt at an activity
//! - [`host_calls`]: the imports of `wit/orchestration.wit`
//! - [`wasi`], [`reach`], [`log`]: the rest of a guest's world

mod activity;
mod check;
pub mod compile;
mod epoch;
mod guest;
mod host_calls;
mod log;
mod module;
mod reach;
mod settings;
mod wasi;
mod world;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use wasmtime::component::Linker;

pub use activity::ActivityCall;
pub use compile::Compiler;
pub use guest::{End, Guest, Progress};
pub use log::Line;
pub use module::{Admitted, BadModule, Module};

use crate::callback::Callbacks;
use crate::limits::{GuestLimits, ModuleLimits};
use crate::metrics::Metrics;
use compile::cache::Cache;
use epoch::Epoch;
use world::World;

/// Makes guests from modules. One for the process.
pub struct Engine {
    wasm: wasmtime::Engine,
    linker: Linker<World>,
    limits: Arc<GuestLimits>,
    callbacks: Arc<Callbacks>,
    metrics: Arc<Metrics>,
    compiler: Compiler,
    cache: Cache,
    compiled: Mutex<HashMap<String, Arc<Module>>>,
    epoch: Epoch,
    /// Memory of the process from which on guests get no more, bytes.
    memory: u64,
    /// How many guests may exist at a time.
    guests: u32,
}

impl Engine {
    /// `guests`: how many may exist at a time. `cache`: the directory for compiled modules; nobody else may write to it, for what lies there is
    /// run as machine code. It compiles modules itself, and callback URLs of its guests lead nowhere: for replays, which make none, and for tests.
    pub fn new(limits: GuestLimits, guests: u32, cache: &Path) -> wasmtime::Result<Arc<Engine>> {
        let compiler = Compiler::here(ModuleLimits::default());
        Engine::of_host(limits, guests, compiler, cache, Arc::new(Callbacks::new(cache, "http://nowhere.invalid")))
    }

    /// The same, with the compiler and the callback URLs of a host.
    pub fn of_host(
        limits: GuestLimits,
        guests: u32,
        compiler: Compiler,
        cache: &Path,
        callbacks: Arc<Callbacks>,
    ) -> wasmtime::Result<Arc<Engine>> {
        let wasm = wasmtime::Engine::new(&settings::config(&limits, guests))?;
        let mut linker = Linker::new(&wasm);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        reach::add_name_lookup(&mut linker)?;
        host_calls::add_to_linker(&mut linker)?;
        Ok(Arc::new(Engine {
            epoch: Epoch::of(&wasm),
            memory: match limits.process_memory_bytes {
                0 => epoch::half_of_memory(),
                bytes => bytes,
            },
            metrics: Arc::default(),
            cache: Cache::of(&wasm, cache),
            compiler,
            wasm,
            linker,
            limits: Arc::new(limits),
            callbacks,
            guests,
            compiled: Mutex::default(),
        }))
    }

    /// The compiled module of this digest, if it is in memory.
    pub fn module(&self, digest: &str) -> Option<Arc<Module>> {
        self.compiled.lock().expect("no panic while it is held").get(digest).cloned()
    }

    /// Drops a compiled module that was deleted, from memory and from the cache on disk.
    pub fn forget(&self, digest: &str) {
        self.compiled.lock().expect("no panic while it is held").remove(digest);
        self.cache.forget(digest);
    }

    /// How many linear memories residents may take, where so many other guests may exist besides.
    pub fn memories_of_residents(&self, others: u32) -> usize {
        settings::memories_of_residents(self.guests, others)
    }

    /// What is counted of the guests, and of all that the host does.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn limits(&self) -> &GuestLimits {
        &self.limits
    }

    /// Memory of the process, bytes, when it was last looked at.
    pub fn process_memory(&self) -> u64 {
        self.epoch.memory()
    }

    /// Whether the process has as much memory as it may.
    pub fn is_short_of_memory(&self) -> bool {
        self.epoch.memory() >= self.memory
    }

    /// How many ticks of the epoch a step may take.
    fn ticks(&self) -> u64 {
        (self.limits.wall_time.as_millis() / epoch::TICK.as_millis()).max(1) as u64
    }
}

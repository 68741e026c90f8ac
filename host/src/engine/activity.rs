//! One attempt at an activity, in a wasm instance of its own.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{Failure, Outcome, kind};
use wasmtime::component::{ComponentType, Lower};

use super::log::GuestLog;
use super::reach::Reach;
use super::wasi::real_world;
use super::world::{Role, Usage, World, fault_of_host, passed, store};
use super::{Engine, Module};
use crate::capabilities::Grant;
use crate::limits::Limit;
use crate::outbound::resolve::Resolver;

/// `activity-context` of the contract.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct WitActivityContext {
    #[component(name = "task-key")]
    task_key: String,
    #[component(name = "instance-id")]
    instance_id: String,
    attempt: u32,
}

/// What to run.
#[derive(Clone)]
pub struct ActivityCall {
    pub name: String,
    pub input: String,
    pub instance_id: String,
    /// The same for every attempt at one task, and for no other task.
    pub task_key: String,
    pub attempt: u32,
    /// How long it may take; none: as long as any guest.
    pub timeout: Option<Duration>,
    /// What it may do besides computing.
    pub grant: Arc<Grant>,
    pub resolver: Resolver,
}

impl Engine {
    /// Runs an activity to its end. An error says nothing about the activity: the host could not run it. Must be called within a tokio
    /// runtime, which its WASI clocks need.
    pub async fn run_activity(self: &Arc<Self>, module: &Module, call: ActivityCall) -> Result<Outcome, String> {
        if !module.has_activity(&call.name) {
            let message = format!("the module has no activity {:?}; it has: {}", call.name, module.activity_names());
            return Ok(Outcome::Failed(Failure::new(kind::NOT_FOUND, message).non_retryable()));
        }
        self.metrics.activities_begun.inc();
        let _running = self.epoch.run();
        let log = GuestLog::new(&call.instance_id, &self.limits, &self.metrics);
        let usage = Arc::default();
        let limit = call.timeout.map_or(self.limits.wall_time, |timeout| timeout.min(self.limits.wall_time));
        let Ok(ended) = tokio::time::timeout(limit, self.attempt(module, &call, &log, &usage)).await else {
            let message = format!("the activity ran longer than {} s", limit.as_secs_f32());
            if limit < self.limits.wall_time {
                return Ok(Outcome::Failed(Failure::new(kind::TIMEOUT, message)));
            }
            self.metrics.hit(Limit::WallTime);
            return Ok(Outcome::Failed(Limit::WallTime.failure(message)));
        };
        Ok(match ended {
            Ok(returned) => super::guest::outcome("activity", returned, &self.limits.execution, &self.metrics),
            Err(error) => {
                if let Some(reason) = fault_of_host(&error) {
                    return Err(reason);
                }
                tracing::warn!(target: "guest", instance = call.instance_id, activity = call.name, "the activity crashed: {}", super::guest::with_backtrace(&error));
                if let Some((limit, failure)) = passed(&error, &usage, || log.last_error()) {
                    self.metrics.hit(limit);
                    return Ok(Outcome::Failed(Failure { details: super::guest::backtrace(&error), ..failure }));
                }
                // A panic is an `unreachable` after a line of log that says more.
                let message = log.last_error().unwrap_or(error.root_cause().to_string());
                let details = super::guest::backtrace(&error);
                Outcome::Failed(Failure { details, ..Failure::new(kind::TRAP, message) })
            }
        })
    }

    async fn attempt(
        self: &Arc<Self>,
        module: &Module,
        call: &ActivityCall,
        log: &GuestLog,
        usage: &Arc<Usage>,
    ) -> wasmtime::Result<Result<String, super::host_calls::WitFailure>> {
        let reach = Arc::new(Reach::new(call.grant.outbound.clone(), call.resolver.clone(), log.clone()));
        let wasi = real_world(log, &call.grant, reach.clone())?;
        let (role, id) = (Role::Activity(reach), call.instance_id.as_str().into());
        let world = World::new(self, role, id, log.clone(), wasi, self.limits.execution).counting(usage.clone());
        let mut store = store(self, world)?;
        // An activity's outcome is recorded whatever it is: wall time bounds it, not fuel.
        store.set_fuel(i64::MAX as u64)?;
        // However busy it is, it gives way at each tick: to others, and to whoever stops it.
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        let context = WitActivityContext {
            task_key: call.task_key.clone(),
            instance_id: call.instance_id.clone(),
            attempt: call.attempt,
        };
        module.run_activity(&mut store, &call.name, &call.input, context).await
    }
}

//! Outside work: each started activity runs at least once; what comes of it is a message for the instance.
//!
//! - [`services`]: who serves an activity: the orchestrator's own module, another one, or an HTTP endpoint
//! - [`http`]: the endpoints

mod http;
mod services;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fermata_replay::{Failure, MessageBody, Outcome, TaskEnded, kind};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

pub use services::{Service, Services};

use super::admission::Terms;
use super::turn::Lifeless;
use super::{Dispatcher, Options, RaiseError, lock};
use crate::capabilities::Capabilities;
use crate::engine::ActivityCall;
use crate::outbound::resolve::Resolver;
use crate::store::{Activity, InstanceKey, StoreError};
use services::Limits;

/// Between attempts at what the host could not do.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);

pub struct Activities {
    /// None once it was closed.
    runtime: Mutex<Option<Workshop>>,
    permits: Arc<Semaphore>,
    services: Services,
    limits: Limits,
    endpoints: http::Endpoints,
    resolver: Resolver,
    capabilities: Capabilities,
    /// What is under way or waits for its turn, by instance and task.
    running: Mutex<BTreeMap<(InstanceKey, u32), JoinHandle<()>>>,
}

/// Where activities run.
enum Workshop {
    /// On threads of their own, for activities may keep them busy.
    Threads(Runtime),
    /// Where all else does, and somebody does their work who keeps nobody busy.
    Here(Handle),
}

impl Workshop {
    fn of(options: &Options) -> Workshop {
        if options.simulator.is_some() {
            return Workshop::Here(Handle::current());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("activities")
            .enable_all()
            // Each turn of one that is busy takes a tick of the epoch; timeouts and sockets are not to wait for 61 of them.
            .event_interval(4)
            .build();
        Workshop::Threads(runtime.expect("the system can start threads"))
    }

    fn handle(&self) -> &Handle {
        match self {
            Workshop::Threads(runtime) => runtime.handle(),
            Workshop::Here(handle) => handle,
        }
    }
}

impl Activities {
    pub fn new(options: &Options) -> Activities {
        let resolver = Resolver::new(options.outbound.clone());
        Activities {
            runtime: Mutex::new(Some(Workshop::of(options))),
            permits: Arc::new(Semaphore::new(options.activities)),
            limits: options.services.limits(),
            services: options.services.clone(),
            endpoints: http::Endpoints::new(resolver.clone()),
            resolver,
            capabilities: options.capabilities.clone(),
            running: Mutex::default(),
        }
    }

    /// Leaves activities under way to the next owner, who runs them again.
    pub fn close(&self) {
        self.permits.close();
        match lock(&self.runtime).take() {
            Some(Workshop::Threads(runtime)) => runtime.shutdown_background(),
            Some(Workshop::Here(_)) => lock(&self.running).values().for_each(JoinHandle::abort),
            None => {}
        }
    }

    /// Forgets the activity that calls this, which is done; but not one that has taken its place.
    fn forget(&self, place: (InstanceKey, u32)) {
        let mut running = lock(&self.running);
        if running.get(&place).is_some_and(|task| task.id() == tokio::task::id()) {
            running.remove(&place);
        }
    }

    /// Waits for its turn: first among those of the name, then among all that use the host's own threads.
    async fn turn(&self, name: &str) -> Option<(Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>)> {
        let of_name = match self.limits.of(name) {
            Some(limit) => Some(limit.acquire_owned().await.ok()?),
            None => None,
        };
        let of_all = match self.services.of(name) {
            Service::Http(_) => None,
            Service::Module | Service::OtherModule => Some(self.permits.clone().acquire_owned().await.ok()?),
        };
        Some((of_name, of_all))
    }
}

impl Dispatcher {
    /// Runs a started activity and delivers its outcome. What has its place is stopped, and has stopped before this one begins: a service sees no attempt
    /// after a later one.
    pub(super) fn perform(self: &Arc<Self>, activity: Activity) {
        let place = (activity.key, activity.task);
        let runtime = lock(&self.activities.runtime);
        let Some(runtime) = &*runtime else { return };
        // Under the lock, so that it does not end before it is noted.
        let mut running = lock(&self.activities.running);
        let before = running.remove(&place);
        before.iter().for_each(JoinHandle::abort);
        let dispatcher = self.clone();
        let task = runtime.handle().spawn(async move {
            if let Some(before) = before {
                // It was cancelled, or was done.
                let _ = before.await;
            }
            dispatcher.see_through(activity).await;
        });
        running.insert(place, task);
    }

    /// Stops an activity whose outcome nobody waits for: one task's, or all of an instance.
    pub(super) fn give_up(&self, key: InstanceKey, task: Option<u32>) {
        let mut running = lock(&self.activities.running);
        let (first, last) = task.map_or((0, u32::MAX), |task| (task, task));
        while let Some((place, task)) = running.range((key, first)..=(key, last)).next() {
            task.abort();
            let place = *place;
            running.remove(&place);
        }
    }

    async fn see_through(self: Arc<Self>, activity: Activity) {
        let mut delay = FIRST_DELAY;
        let outcome = loop {
            let Some(permits) = self.activities.turn(&activity.name).await else { return };
            match self.attempt(&activity).await {
                Ok(outcome) => break outcome,
                Err(reason) => {
                    drop(permits);
                    tracing::warn!(
                        instance = activity.instance_id,
                        activity = activity.name,
                        "the activity is tried again in {delay:?}: {reason}"
                    );
                    self.clock.pause(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        };
        self.settle(&activity, outcome).await;
        self.activities.forget((activity.key, activity.task));
    }

    /// One attempt. An error says nothing about the activity: the host could not run it.
    async fn attempt(self: &Arc<Self>, activity: &Activity) -> Result<Outcome, String> {
        if let Some(simulator) = &self.simulator {
            return simulator.perform(activity).await;
        }
        let own = || Some(activity.module.clone());
        let digest = match self.activities.services.of(&activity.name) {
            Service::Http(url) => return Ok(self.activities.endpoints.call(url, activity, &task_key(activity)).await),
            Service::OtherModule => self.registry.activity(&activity.name),
            Service::Module if self.registry.holds_activity(&activity.module, &activity.name) => own(),
            Service::Module => self.registry.activity(&activity.name).or_else(own),
        };
        let Some(digest) = digest else {
            let message = format!("no module has the activity {:?}", activity.name);
            return Ok(Outcome::Failed(Failure::new(kind::NOT_FOUND, message).non_retryable()));
        };
        let module = match self.engine.module(&digest) {
            Some(module) => module,
            None => {
                let dispatcher = self.clone();
                let load = tokio::task::spawn_blocking(move || dispatcher.module(&digest));
                match load.await.map_err(|error| error.to_string())? {
                    Ok(module) => module,
                    Err(Lifeless::Park(reason)) => {
                        // Time does not mend that.
                        return Ok(Outcome::Failed(Failure::new(kind::NOT_FOUND, reason).non_retryable()));
                    }
                    Err(lifeless) => return Err(lifeless.into_reason()),
                }
            }
        };
        let call = ActivityCall {
            name: activity.name.clone(),
            input: activity.input.clone(),
            instance_id: activity.instance_id.clone(),
            task_key: task_key(activity),
            attempt: activity.attempt,
            timeout: activity.timeout.map(Duration::from_micros),
            grant: self.activities.capabilities.of(module.digest(), module.orchestrators(), &activity.name),
            resolver: self.activities.resolver.clone(),
        };
        self.engine.run_activity(&module, call).await
    }

    /// Delivers an outcome until it is durable, or nobody wants it any more.
    async fn settle(self: &Arc<Self>, activity: &Activity, outcome: Outcome) {
        let body = MessageBody::ActivityEnded(TaskEnded {
            task: activity.task,
            outcome,
            execution: activity.execution.clone(),
            attempt: activity.attempt,
        });
        let terms = Terms { key: Some(activity.key), ..Terms::default() };
        let mut delay = FIRST_DELAY;
        loop {
            match self.deliver(&activity.instance_id, &body, &terms).await {
                Ok(_) | Err(RaiseError::NotFound(_) | RaiseError::Gone(_)) => return,
                Err(RaiseError::Store(StoreError::Poisoned(_) | StoreError::Fenced(_))) => return,
                Err(RaiseError::Busy(_) | RaiseError::Reused(_) | RaiseError::Store(_)) => {
                    self.clock.pause(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        }
    }
}

/// The same for every attempt at a task, and for no other task anywhere.
fn task_key(activity: &Activity) -> String {
    format!("{}-{}", activity.execution, activity.task)
}

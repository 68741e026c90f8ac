//! Outside work: each started activity runs at least once, in a wasm instance of its own, on threads of its own; what comes of it is a message
//! for the instance.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{MessageBody, Outcome};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{Dispatcher, RaiseError};
use crate::engine::ActivityCall;
use crate::store::{Activity, StoreError};

pub struct Activities {
    /// None once it was closed.
    runtime: std::sync::Mutex<Option<Runtime>>,
    permits: Arc<Semaphore>,
}

impl Activities {
    /// `at_a_time`: how many may run at a time; others wait.
    pub fn new(at_a_time: usize) -> Activities {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("activities")
            .enable_all()
            .build()
            .expect("the system can start threads");
        Activities { runtime: std::sync::Mutex::new(Some(runtime)), permits: Arc::new(Semaphore::new(at_a_time)) }
    }

    /// Leaves activities under way to the next owner, who runs them again.
    pub fn close(&self) {
        self.permits.close();
        if let Some(runtime) = super::lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &*super::lock(&self.runtime) {
            runtime.spawn(work);
        }
    }
}

impl Dispatcher {
    /// Runs a started activity and delivers its outcome.
    pub(super) fn perform(self: &Arc<Self>, activity: Activity) {
        let dispatcher = self.clone();
        self.activities.spawn(async move {
            let Ok(_permit) = dispatcher.activities.permits.clone().acquire_owned().await else { return };
            let outcome = dispatcher.attempt(&activity).await;
            dispatcher.settle(&activity, outcome).await;
        });
    }

    async fn attempt(self: &Arc<Self>, activity: &Activity) -> Outcome {
        let (dispatcher, digest) = (self.clone(), activity.module.clone());
        let module = tokio::task::spawn_blocking(move || dispatcher.module_by_digest(&digest)).await;
        match module {
            Ok(Ok(module)) => {
                let call = ActivityCall {
                    name: activity.name.clone(),
                    input: activity.input.clone(),
                    instance_id: activity.instance_id.clone(),
                    task_key: format!("{}-{}", activity.execution, activity.task),
                    attempt: 1,
                };
                self.engine.run_activity(&module, call).await
            }
            Ok(Err(reason)) => failed(reason),
            Err(error) => failed(error.to_string()),
        }
    }

    /// Delivers an outcome until it is durable, or nobody wants it any more.
    async fn settle(self: &Arc<Self>, activity: &Activity, outcome: Outcome) {
        let mut delay = Duration::from_millis(100);
        loop {
            let body = MessageBody::ActivityEnded { task: activity.task, outcome: outcome.clone() };
            match self.deliver(&activity.instance_id, Some(activity.key), body).await {
                Ok(()) | Err(RaiseError::NotFound(_) | RaiseError::Gone(_)) => return,
                Err(RaiseError::Store(StoreError::Poisoned(_) | StoreError::Fenced(_))) => return,
                Err(RaiseError::Busy(_) | RaiseError::Store(_)) => {
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(Duration::from_secs(30));
                }
            }
        }
    }
}

fn failed(reason: String) -> Outcome {
    Outcome::Failed(fermata_replay::Failure::new(fermata_replay::kind::NOT_FOUND, reason))
}

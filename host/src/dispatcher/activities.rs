//! Outside work: each started activity runs at least once, in a wasm instance of its own, on threads of its own; what comes of it is a message
//! for the instance.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{MessageBody, Outcome};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::turn::Lifeless;
use super::{Dispatcher, RaiseError};
use crate::engine::ActivityCall;
use crate::store::{Activity, StoreError};

/// Between attempts at what the host could not do.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);

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
            let mut delay = FIRST_DELAY;
            let outcome = loop {
                let Ok(permit) = dispatcher.activities.permits.clone().acquire_owned().await else { return };
                match dispatcher.attempt(&activity).await {
                    Ok(outcome) => break outcome,
                    Err(reason) => {
                        drop(permit);
                        tracing::warn!(
                            instance = activity.instance_id,
                            activity = activity.name,
                            "the activity is tried again in {delay:?}: {reason}"
                        );
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(LAST_DELAY);
                    }
                }
            };
            dispatcher.settle(&activity, outcome).await;
        });
    }

    /// One attempt. An error says nothing about the activity: the host could not run it.
    async fn attempt(self: &Arc<Self>, activity: &Activity) -> Result<Outcome, String> {
        let module = match self.engine.module(&activity.module) {
            Some(module) => module,
            None => {
                let (dispatcher, digest) = (self.clone(), activity.module.clone());
                let load = tokio::task::spawn_blocking(move || dispatcher.module(&digest));
                load.await.map_err(|error| error.to_string())?.map_err(Lifeless::into_reason)?
            }
        };
        let call = ActivityCall {
            name: activity.name.clone(),
            input: activity.input.clone(),
            instance_id: activity.instance_id.clone(),
            task_key: format!("{}-{}", activity.execution, activity.task),
            attempt: 1,
        };
        self.engine.run_activity(&module, call).await
    }

    /// Delivers an outcome until it is durable, or nobody wants it any more.
    async fn settle(self: &Arc<Self>, activity: &Activity, outcome: Outcome) {
        let mut delay = FIRST_DELAY;
        loop {
            let body = MessageBody::ActivityEnded { task: activity.task, outcome: outcome.clone() };
            match self.deliver(&activity.instance_id, Some(activity.key), body).await {
                Ok(()) | Err(RaiseError::NotFound(_) | RaiseError::Gone(_)) => return,
                Err(RaiseError::Store(StoreError::Poisoned(_) | StoreError::Fenced(_))) => return,
                Err(RaiseError::Busy(_) | RaiseError::Store(_)) => {
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
            }
        }
    }
}

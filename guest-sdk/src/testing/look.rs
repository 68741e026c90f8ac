//! What can be seen of a run.

use fermata_replay::{End, Outcome, kind};
use serde::de::DeserializeOwned;

use super::{Run, words};
use crate::{Failure, Result, payload};

impl Run {
    /// Whether the orchestrator has not ended. One that is suspended, or has continued as new, has not.
    pub fn is_running(&self) -> bool {
        self.life.world.borrow().state().end().is_none()
    }

    /// What the orchestrator returned.
    ///
    /// # Panics
    /// Where it is still running.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T> {
        let orchestrator = &self.instance.orchestrator;
        match self.life.world.borrow().state().end() {
            Some(End::Returned(Outcome::Succeeded(output))) => {
                payload::decode(output.as_str(), || format!("output of orchestrator `{orchestrator}`"))
            }
            Some(End::Returned(Outcome::Failed(failure))) => Err(Failure::from(failure.clone()).into()),
            Some(End::Terminated(reason)) => {
                let message = reason.clone().unwrap_or_else(|| "the instance was terminated".to_owned());
                Err(Failure { kind: kind::TERMINATED.to_owned(), ..Failure::new("", message) }.into())
            }
            Some(End::ContinuedAsNew { .. }) | None => {
                let waiting = self.waiting_for().join(", ");
                panic!("orchestrator `{orchestrator}` is still running: it waits for {waiting}")
            }
        }
    }

    /// Where the instance stands, as the host shows it: `Running`, `Suspended`, `Completed`, `Failed` or `Terminated`.
    pub fn runtime_status(&self) -> &'static str {
        self.life.world.borrow().state().runtime_status().name()
    }

    /// The custom status, as JSON, where this generation of the orchestrator has set one.
    pub fn custom_status(&self) -> Option<String> {
        self.life.world.borrow().state().custom_status().map(|status| status.as_str().to_owned())
    }

    /// The lines that orchestrator and activities have logged, such as `info: done`.
    pub fn logged(&self) -> Vec<String> {
        self.instance.log.borrow().clone()
    }

    /// How often the orchestrator has continued as new.
    pub fn generation(&self) -> u64 {
        self.instance.past.len() as u64
    }

    /// What the orchestrator waits for: the tasks of which one would let it go on, such as `event Approval, timeout in 60s`, `timer in 90s`,
    /// `activity Ship`, `activity Ship, attempt 2 in 5s` or `sub-orchestration Provision`.
    pub fn waiting_for(&self) -> Vec<String> {
        let world = self.life.world.borrow();
        world.state().waiting_for().iter().map(|task| words::open(task, self.now())).collect()
    }

    /// The events that were raised for other instances, in order: the instance id, the name, and the payload, as JSON.
    pub fn sent_events(&self) -> Vec<(String, String, String)> {
        self.instance.sent.clone()
    }

    /// The instances that were started and that nobody waits for, in order: the name, the instance id, and the input, as JSON.
    pub fn started_orchestrations(&self) -> Vec<(String, String, String)> {
        self.instance.started.clone()
    }

    /// Every call to the host so far that a history records or that waits, in order, in words such as `0 = wait Approval`; those of this
    /// generation.
    pub fn calls(&self) -> Vec<String> {
        self.life.calls()
    }

    /// The history of this generation, a line for each step: what happened, and what the orchestrator did about it, such as
    /// `event Approval true → completed "granted"`.
    pub fn history(&self) -> Vec<String> {
        self.instance.history.iter().map(words::step).collect()
    }
}

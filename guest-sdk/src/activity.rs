//! [`ActivityContext`]: what an activity is given.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::rc::Rc;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::host::Host;
use crate::log::log_methods;
use crate::{Level, payload};

/// What an activity is told about the task it performs.
#[derive(Clone)]
pub struct ActivityContext {
    pub(crate) host: Rc<RefCell<dyn Host>>,
    pub(crate) activity: Rc<ActivityTask>,
}

#[derive(Debug)]
pub(crate) struct ActivityTask {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) task_key: String,
    pub(crate) instance_id: String,
    pub(crate) attempt: u32,
}

impl ActivityContext {
    /// The input that the orchestrator gave.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(&self.activity.input, || format!("input of activity `{}`", self.activity.name))
    }

    /// The same for every attempt at one task, and for no other task anywhere: what to hand on as an idempotency key.
    pub fn task_key(&self) -> &str {
        &self.activity.task_key
    }

    /// The instance whose task it is.
    pub fn instance_id(&self) -> &str {
        &self.activity.instance_id
    }

    /// 1 for the first attempt; more where a retry policy asks for another. One that a crash of the host cut short is run
    /// again under the same number.
    pub fn attempt(&self) -> u32 {
        self.activity.attempt
    }

    /// Adds a line to the log of the instance.
    pub fn log(&self, level: Level, message: impl Display) {
        let message = message.to_string();
        self.host.borrow_mut().log(level, &message);
    }
}

log_methods!(ActivityContext);

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.activity.fmt(f)
    }
}

//! The activities of a run.

use std::cell::RefCell;
use std::rc::Rc;

use fermata_replay::{MessageBody, TaskEnded, TaskId};
use serde::Serialize;

use super::{Run, convert, json};
use crate::activity::{ActivityContext, ActivityTask};
use crate::error::Error;
use crate::host::Outcome;
use crate::{Failure, registry};

impl Run {
    /// The activities that have been called and not completed, oldest first: their names and inputs, as JSON. One that waits for its next
    /// attempt is not among them.
    pub fn open_activities(&self) -> Vec<(String, String)> {
        let attempts = self.instance.activities.values();
        attempts.map(|attempt| (attempt.activity.name.clone(), attempt.activity.input.as_str().to_owned())).collect()
    }

    /// Completes the oldest open call of this activity.
    pub fn complete(&mut self, activity: &str, result: impl Serialize) {
        let task = self.open_activity(activity);
        self.end_activity(task, Ok(json(&result)));
    }

    /// Fails the oldest open call of this activity: this attempt, where it has a retry policy.
    pub fn fail(&mut self, activity: &str, failure: Failure) {
        let task = self.open_activity(activity);
        self.end_activity(task, Err(Box::new(failure)));
    }

    /// Performs open activities with this program's own functions, oldest first, until none is open. One that failed and has a retry policy
    /// is tried again when time has passed.
    pub fn run_activities(&mut self) {
        while let Some(task) = self.instance.activities.keys().next().copied() {
            let outcome = self.perform(task).map_err(Box::new);
            self.end_activity(task, outcome);
        }
    }

    /// Ends the attempt that is under way.
    pub(super) fn end_activity(&mut self, task: TaskId, outcome: Outcome) {
        let attempt = self.instance.activities[&task].activity.attempt;
        let (execution, outcome) = (self.execution_id(), convert::result(&outcome));
        self.deliver(MessageBody::ActivityEnded(TaskEnded { task, outcome, execution, attempt }));
    }

    fn perform(&self, task: TaskId) -> Result<String, Failure> {
        let scheduled = &self.instance.activities[&task].activity;
        let name = &scheduled.name;
        let entry = registry::activity(name).unwrap_or_else(|| panic!("this program holds no activity `{name}`"));
        let activity = ActivityTask {
            name: name.clone(),
            input: scheduled.input.as_str().to_owned(),
            task_key: format!("{}-{task}", self.execution_id()),
            instance_id: self.instance.id.to_string(),
            attempt: scheduled.attempt,
        };
        let context =
            ActivityContext { host: Rc::new(RefCell::new(self.life.world.clone())), activity: Rc::new(activity) };
        (entry.run)(context).map_err(Error::into_outgoing)
    }

    fn open_activity(&self, name: &str) -> TaskId {
        let found = self.instance.activities.iter().find(|(_, attempt)| attempt.activity.name == name);
        *found.unwrap_or_else(|| panic!("no call of activity `{name}` is open")).0
    }

    /// Names the current execution.
    pub(super) fn execution_id(&self) -> String {
        let world = self.life.world.borrow();
        world.state().start().expect("a run begins with a start").execution.clone()
    }
}

use std::collections::{BTreeSet, HashMap};

use crate::{Deadline, Payload, TaskId, Timestamp};

/// The deadlines of open tasks. Most tasks have none, and cost nothing here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    in_order: BTreeSet<(Timestamp, TaskId, Deadline)>,
    at: HashMap<(TaskId, Deadline), Timestamp>,
    /// What a task that times out ends with, where it is not to fail.
    defaults: HashMap<TaskId, Payload>,
}

impl Deadlines {
    /// The next one to pass: the earliest, of several at once that of the oldest task.
    pub fn next(&self) -> Option<(Timestamp, TaskId, Deadline)> {
        self.in_order.first().copied()
    }

    /// Replaces the one of the same kind that the task has.
    pub fn set(&mut self, task: TaskId, deadline: Deadline, at: Timestamp) {
        self.remove(task, deadline);
        self.in_order.insert((at, task, deadline));
        self.at.insert((task, deadline), at);
    }

    pub fn remove(&mut self, task: TaskId, deadline: Deadline) {
        if let Some(at) = self.at.remove(&(task, deadline)) {
            self.in_order.remove(&(at, task, deadline));
        }
    }

    pub fn get(&self, task: TaskId, deadline: Deadline) -> Option<Timestamp> {
        self.at.get(&(task, deadline)).copied()
    }

    pub fn set_default(&mut self, task: TaskId, default: Option<Payload>) {
        match default {
            Some(default) => self.defaults.insert(task, default),
            None => self.defaults.remove(&task),
        };
    }

    pub fn take_default(&mut self, task: TaskId) -> Option<Payload> {
        self.defaults.remove(&task)
    }

    /// Forgets a task that is open no more.
    pub fn forget(&mut self, task: TaskId) {
        if self.at.is_empty() {
            return;
        }
        [Deadline::Due, Deadline::Retry, Deadline::Timeout]
            .into_iter()
            .for_each(|deadline| self.remove(task, deadline));
        self.defaults.remove(&task);
    }
}

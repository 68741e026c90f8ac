//! What an instance waits for, as people are shown it.

use crate::task::{Task, TaskKind};
use crate::{BlockedOn, Deadline, State, TaskId, Timestamp};

/// A task that is not complete.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTask {
    pub task: TaskId,
    pub kind: OpenKind,
    pub since: Timestamp,
    /// When it times out.
    pub timeout: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OpenKind {
    Event {
        name: String,
    },
    Timer {
        due: Timestamp,
    },
    Activity {
        name: String,
        attempt: u32,
        /// When the next attempt begins, where this one has failed.
        retry: Option<Timestamp>,
    },
    Child {
        name: String,
        instance: String,
        attempt: u32,
        retry: Option<Timestamp>,
    },
}

impl State {
    /// The open tasks that would let a blocked guest go on, in the order of their creation.
    pub fn waiting_for(&self) -> Vec<OpenTask> {
        let mut tasks: Vec<TaskId> = match self.blocked_on() {
            None => return Vec::new(),
            Some(BlockedOn::Task(task)) => vec![*task],
            Some(BlockedOn::Any(tasks) | BlockedOn::All(tasks)) => tasks.clone(),
            Some(BlockedOn::Next) => return self.open_tasks(),
        };
        tasks.sort_unstable();
        tasks.dedup();
        tasks.into_iter().filter_map(|task| self.open_task(task)).collect()
    }

    /// All open tasks of an instance that has not ended, in the order of their creation.
    pub fn open_tasks(&self) -> Vec<OpenTask> {
        if self.end().is_some() {
            return Vec::new();
        }
        (0..self.tasks.len() as TaskId).filter_map(|task| self.open_task(task)).collect()
    }

    fn open_task(&self, id: TaskId) -> Option<OpenTask> {
        let task = self.tasks.get(id as usize).filter(|task| Task::is_open(task))?;
        let retry = self.deadlines.get(id, Deadline::Retry);
        let kind = match &task.kind {
            TaskKind::Wait { name } => OpenKind::Event { name: name.clone() },
            TaskKind::Timer { due } => OpenKind::Timer { due: *due },
            TaskKind::Activity(work) => OpenKind::Activity { name: work.name.clone(), attempt: work.attempt, retry },
            TaskKind::Child { instance, work } => {
                OpenKind::Child { name: work.name.clone(), instance: instance.clone(), attempt: work.attempt, retry }
            }
        };
        Some(OpenTask { task: id, kind, since: task.created, timeout: self.deadlines.get(id, Deadline::Timeout) })
    }
}

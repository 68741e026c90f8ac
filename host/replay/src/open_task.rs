//! What an instance waits for, as people are shown it.

use std::collections::BTreeSet;

use crate::task::{Task, TaskKind};
use crate::{BlockedOn, Deadline, State, TaskId, Timestamp, fold_name};

/// How many names of awaited events a turn tells; where there are more it tells none.
pub const WAITING_NAMES: usize = 64;

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

    /// The names, folded, of the external events among [`waiting_for`](State::waiting_for); none where they are more than
    /// [`WAITING_NAMES`]. Each turn asks this: however much the guest waits for, it looks at all of it once for as long as the guest is
    /// blocked, and makes no more strings than it tells.
    pub fn awaited_events(&self) -> Option<BTreeSet<String>> {
        let Some(blocked) = &self.blocked else { return Some(BTreeSet::new()) };
        match &blocked.on {
            BlockedOn::Task(task) => Some(self.awaited_event(*task).into_iter().collect()),
            BlockedOn::Any(tasks) | BlockedOn::All(tasks) if tasks.len() <= WAITING_NAMES => {
                Some(tasks.iter().filter_map(|task| self.awaited_event(*task)).collect())
            }
            BlockedOn::Any(_) | BlockedOn::All(_) => {
                let is_among = blocked.is_among(self.tasks.len());
                self.names_of_waits(|task| is_among.get(task as usize) == Some(&true))
            }
            BlockedOn::Next => self.names_of_waits(|_| true),
        }
    }

    /// The names of open waits among these.
    fn names_of_waits(&self, is_among: impl Fn(TaskId) -> bool) -> Option<BTreeSet<String>> {
        let waits = self.mailbox.open().filter(|(_, waits)| waits.iter().any(|task| is_among(*task)));
        let names: Vec<&str> = waits.map(|(name, _)| name).take(WAITING_NAMES + 1).collect();
        (names.len() <= WAITING_NAMES).then(|| names.into_iter().map(str::to_owned).collect())
    }

    /// The name, folded, of the event that an open task waits for.
    fn awaited_event(&self, task: TaskId) -> Option<String> {
        match &self.tasks.get(task as usize).filter(|task| task.is_open())?.kind {
            TaskKind::Wait { name } => Some(fold_name(name)),
            _ => None,
        }
    }

    /// Whether an external event of this name, in any case, is among what the blocked guest waits for.
    pub fn awaits_event(&self, name: &str) -> bool {
        let waits = self.mailbox.open_for(&fold_name(name));
        match self.blocked_on() {
            None => false,
            Some(BlockedOn::Task(task)) => waits.contains(task),
            Some(BlockedOn::Any(tasks) | BlockedOn::All(tasks)) => {
                tasks.iter().any(|task| waits.binary_search(task).is_ok())
            }
            Some(BlockedOn::Next) => !waits.is_empty(),
        }
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

use serde::{Deserialize, Serialize};

use crate::{Failure, Payload, RetryPolicy, Span, Timestamp};

/// A task's handle: dense, in the order of creation, within one execution.
pub type TaskId = u32;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Succeeded(Payload),
    Failed(Failure),
}

/// What a guest can wait for.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub kind: TaskKind,
    pub progress: Progress,
    /// The guest was told of the completion by a call that hands tasks over (see `next-completed`).
    pub handed_over: bool,
    pub created: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum TaskKind {
    /// A wait for an event of this name, as the guest spelled it.
    Wait {
        name: String,
    },
    Timer {
        due: Timestamp,
    },
    Activity(Box<Work>),
    Child {
        /// Its instance id.
        instance: String,
        work: Box<Work>,
    },
}

/// What is done elsewhere, in one attempt or more.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub name: String,
    pub input: Payload,
    pub retry: Option<RetryPolicy>,
    /// The attempt under way, from 1, or the one that failed last.
    pub attempt: u32,
    /// Attempts that the policy does not count: they were made before a rewind.
    pub forgiven: u32,
    /// When the first attempt that counts began.
    pub first: Timestamp,
    /// When the attempt under way began.
    pub began: Timestamp,
    /// The latest attempt failed; the next one waits for its time.
    pub resting: bool,
}

impl Work {
    pub fn new(name: String, input: Payload, now: Timestamp) -> Box<Work> {
        Box::new(Work { name, input, retry: None, attempt: 1, forgiven: 0, first: now, began: now, resting: false })
    }

    /// When the next attempt begins, now that this one has failed; none where it was the last.
    pub fn next_attempt(&self, failure: &Failure, now: Timestamp) -> Option<Timestamp> {
        self.retry.as_ref()?.next_attempt(self.attempt - self.forgiven, failure, self.first, now)
    }

    pub fn time_for_attempt(&self) -> Option<Span> {
        self.retry.as_ref()?.time_for_attempt(self.first, self.began)
    }

    pub fn begin_next(&mut self, now: Timestamp) {
        self.attempt += 1;
        self.began = now;
        self.resting = false;
    }

    /// The attempt under way goes on, as the first of those that the policy counts.
    pub fn forgive(&mut self, now: Timestamp) {
        self.forgiven = self.attempt - 1;
        (self.first, self.began) = (now, now);
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Progress {
    Open,
    Complete(Completion),
    Cancelled,
}

#[derive(Clone, Debug)]
pub(crate) struct Completion {
    /// Order of completion within the execution: the lowest among several wins `task-any`.
    pub number: u32,
    pub outcome: Outcome,
    /// The event a wait was bound to, so that it can go back to the buffer; none for other tasks.
    pub event: Option<BoundEvent>,
    /// The guest has seen the outcome: it can no longer be given back.
    pub taken: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct BoundEvent {
    pub seq: u64,
    /// As the sender spelled it.
    pub name: String,
}

impl Task {
    pub fn open(kind: TaskKind, created: Timestamp) -> Task {
        Task { kind, progress: Progress::Open, handed_over: false, created }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Open)
    }

    pub fn completion(&self) -> Option<&Completion> {
        match &self.progress {
            Progress::Complete(completion) => Some(completion),
            _ => None,
        }
    }

    pub fn work(&self) -> Option<&Work> {
        match &self.kind {
            TaskKind::Activity(work) | TaskKind::Child { work, .. } => Some(work),
            TaskKind::Wait { .. } | TaskKind::Timer { .. } => None,
        }
    }

    pub fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.kind {
            TaskKind::Activity(work) | TaskKind::Child { work, .. } => Some(work),
            TaskKind::Wait { .. } | TaskKind::Timer { .. } => None,
        }
    }
}

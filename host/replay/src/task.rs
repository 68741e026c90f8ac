use serde::{Deserialize, Serialize};

use crate::{Failure, Payload};

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
}

#[derive(Clone, Debug)]
pub(crate) enum TaskKind {
    /// A wait for an event of this name, as the guest spelled it.
    Wait {
        name: String,
    },
    Activity,
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
    pub fn open(kind: TaskKind) -> Task {
        Task { kind, progress: Progress::Open, handed_over: false }
    }

    pub fn completion(&self) -> Option<&Completion> {
        match &self.progress {
            Progress::Complete(completion) => Some(completion),
            _ => None,
        }
    }
}

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Failure, MessageBody, Payload, TaskId, Timestamp};

/// One message applied to the history, and all that the guest did about it: the unit of history.
///
/// Persisted: append new fields with a default, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The message's place in the order of arrival.
    pub seq: u64,
    /// The time the guest sees in this step; never less than the step before.
    pub at: Timestamp,
    pub message: MessageBody,
    /// In the order the guest made them. Empty where the guest stayed blocked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The custom status that the guest set last in this step. Not compared on replay.
    #[serde(default, deserialize_with = "even_null", skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<Payload>,
}

/// A status that is there is a status, JSON null too: serde would read that as none.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(deserializer).map(Some)
}

/// What a guest asks to be made true. Persisted: append new variants, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    WaitStarted {
        task: TaskId,
        name: String,
    },
    ActivityScheduled {
        task: TaskId,
        name: String,
        input: Payload,
    },
    /// A task was given up. `returned` is the event that went back to the buffer.
    TaskCancelled {
        task: TaskId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<u64>,
    },
    /// The guest can go on only when this is satisfied.
    Blocked {
        on: BlockedOn,
    },
    Completed {
        output: Payload,
    },
    Failed {
        failure: Failure,
    },
}

/// What a blocked guest waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BlockedOn {
    Task(TaskId),
    Any(Vec<TaskId>),
    All(Vec<TaskId>),
    /// Any task not yet handed over.
    Next,
}

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Failure, Message, MessageBody, Payload, RetryPolicy, TaskId, Timestamp};

/// One message applied to the history, and all that the guest did about it: the unit of history.
///
/// Persisted: append new fields with a default, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The message's place in the order of arrival. A deadline that passed has none: it stands at the place of the step before.
    pub seq: u64,
    /// The time the guest sees in this step; never less than the step before.
    pub at: Timestamp,
    /// When the message was accepted, where that was before the time of the step: it waited while the instance was suspended, it is
    /// applied again after a rewind, or the clock went back. It decides what the message comes before when it is applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Timestamp>,
    pub message: MessageBody,
    /// In the order the guest made them. Empty where the guest stayed blocked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The custom status that the guest set last in this step. Not compared on replay.
    #[serde(default, deserialize_with = "even_null", skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<Payload>,
}

impl Step {
    /// A message as it is applied at `now`, or later.
    pub(crate) fn of(message: Message, now: Timestamp) -> Step {
        let Message { seq, at: accepted, body: message } = message;
        let at = now.max(accepted);
        let accepted = (accepted < at && !message.passes_by_itself()).then_some(accepted);
        Step { seq, at, accepted, message, decisions: Vec::new(), custom_status: None }
    }

    /// The message, as it was accepted.
    pub(crate) fn as_accepted(&self) -> Message {
        Message { seq: self.seq, at: self.accepted.unwrap_or(self.at), body: self.message.clone() }
    }
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
    TimerCreated {
        task: TaskId,
        due: Timestamp,
    },
    /// A child with a result that the guest can wait for.
    ChildStarted {
        task: TaskId,
        name: String,
        /// The child's instance id.
        instance: String,
        input: Payload,
    },
    /// How the attempts at an activity or a child go. Only in the step that created it. Not compared on replay, the task aside.
    RetrySet {
        task: TaskId,
        policy: RetryPolicy,
    },
    /// At `due` the task ends: with the default where there is one, else with a failure.
    TimeoutSet {
        task: TaskId,
        due: Timestamp,
        #[serde(default, deserialize_with = "even_null", skip_serializing_if = "Option::is_none")]
        default: Option<Payload>,
    },
    /// An instance was started that nobody waits for.
    InstanceStarted {
        name: String,
        instance: String,
        input: Payload,
    },
    /// An external event was raised for another instance.
    EventSent {
        instance: String,
        name: String,
        input: Payload,
    },
    /// This generation is over, and the next begins with this input.
    ContinuedAsNew {
        input: Payload,
        /// The next generation runs the code of this one, not the newest.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same_module: bool,
    },
    /// Made by the host, in the step of a `Rewound`: the steps that count end before this one, and this step takes its place.
    Undone {
        /// An index into the steps that count.
        from: usize,
        /// Tasks that are open again and were tried again in what was undone, each with its latest attempt: no number is given twice.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attempts: Vec<(TaskId, u32)>,
    },
    /// A URL was made with which whoever has it may raise this event for this instance, until it expires. The URL itself is not compared on
    /// replay: the recorded one holds, whatever one would be made now.
    CallbackUrlMade {
        event: String,
        expires: Timestamp,
        url: String,
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

impl BlockedOn {
    /// The tasks that it names.
    pub fn tasks(&self) -> &[TaskId] {
        match self {
            BlockedOn::Task(task) => std::slice::from_ref(task),
            BlockedOn::Any(tasks) | BlockedOn::All(tasks) => tasks,
            BlockedOn::Next => &[],
        }
    }
}

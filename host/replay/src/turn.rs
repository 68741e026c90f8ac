use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::effects::Effects;
use crate::{
    BufferedEvent, Caller, HistorySize, Message, MessageBody, Payload, RuntimeStatus, Span, State, Step, TaskId,
    Timestamp,
};

/// From so many bytes on, of names and payloads and 64 for each entry, a turn is over though more deadlines have passed: who writes it holds up others.
pub const TURN_BYTES: u64 = 256 << 10;

/// One or more steps to be committed together: all that one commit must make true.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub steps: Vec<Step>,
    /// Messages that the steps applied, or that changed nothing; all leave the inbox.
    pub consumed: Vec<u64>,
    /// Messages that were applied once and are to be applied again: they go back into the inbox.
    pub returned: Vec<Message>,
    /// Activities to start once the turn is durable.
    pub activities: Vec<ScheduledActivity>,
    /// Tasks of activities that need no more work, now: they ended, or were given up. A final status settles all.
    pub settled: Vec<TaskId>,
    /// Messages for other instances, in order, to be delivered once the turn is durable.
    pub outgoing: Vec<Outgoing>,
    /// When the next deadline passes; none where the instance waits for no time.
    pub due: Option<Timestamp>,
    /// The names, folded, of the external events that would let the instance go on; none where they are too many to tell (see
    /// [`State::awaited_events`]).
    pub waiting: Option<BTreeSet<String>>,
    pub status: RuntimeStatus,
    /// How large the history is with these steps.
    pub history: HistorySize,
    /// The same, without them.
    pub history_before: HistorySize,
    /// The module that the instance was moved to.
    pub module: Option<String>,
    /// Where the generation is over: what the next one begins with. What is in the inbox is for that one.
    pub next: Option<NextGeneration>,
}

impl Turn {
    /// A turn that takes messages out of the inbox and changes nothing.
    pub fn ignoring(state: &State, consumed: Vec<u64>) -> Turn {
        Effects::default().into_turn(state, Vec::new(), consumed)
    }

    /// Whether deadlines that have passed may have been left for the next turn.
    pub fn is_full(&self) -> bool {
        is_full(self.history_before, self.history)
    }
}

pub(crate) fn is_full(before: HistorySize, now: HistorySize) -> bool {
    now.bytes.saturating_sub(before.bytes) >= TURN_BYTES
}

/// An attempt at an activity.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledActivity {
    pub task: TaskId,
    pub name: String,
    pub input: Payload,
    pub attempt: u32,
    /// How long it may take; none: as long as the host lets it.
    pub timeout: Option<Span>,
}

/// A message for another instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The receiver's instance id.
    pub to: String,
    pub body: OutgoingBody,
}

/// Persisted, in the outbox: append new variants, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OutgoingBody {
    /// Starts the instance.
    Start(ChildStart),
    Message(MessageBody),
    /// A parent that was rewound asks for the child's outcome once more: one that has failed is rewound too, one that has
    /// ended otherwise tells its outcome again, and one that is gone is started.
    Revive(ChildStart),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildStart {
    pub name: String,
    pub input: Payload,
    /// The sender's task that waits for it; none where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NextGeneration {
    pub input: Payload,
    pub same_module: bool,
    /// Events that nobody has taken, in the order of arrival.
    pub carried: Vec<BufferedEvent>,
}

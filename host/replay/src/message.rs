use serde::{Deserialize, Serialize};

use crate::{Outcome, Payload, TaskId, Timestamp};

/// What arrives for an instance, in the order the owner of its partition accepted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its place in the order of arrival; grows, with gaps.
    pub seq: u64,
    /// When it was accepted.
    pub at: Timestamp,
    pub body: MessageBody,
}

/// Persisted, in the inbox and in history: append new variants, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MessageBody {
    /// The instance begins.
    Started(Box<Start>),
    /// A client raised an external event.
    EventRaised { name: String, input: Payload },
    /// An activity ended.
    ActivityEnded { task: TaskId, outcome: Outcome },
}

/// What an execution is made of besides its events; recorded once, in its first message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The orchestrator's name, as the module spells it.
    pub name: String,
    pub input: Payload,
    /// Names this execution; no two executions share one, of whatever instance.
    pub execution: String,
    /// SHA-256 of the module, in hex: the code this execution runs for all its life.
    pub module: String,
    /// 256 bits in hex that feed the guest's randomness through ChaCha20.
    pub seed: String,
}

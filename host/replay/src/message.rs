use serde::{Deserialize, Serialize};

use crate::{BufferedEvent, ExecutionLimits, Outcome, Payload, TaskId, Timestamp};

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
    /// The instance, or its next generation, begins.
    Started(Box<Start>),
    /// A client, or another instance, raised an external event.
    EventRaised {
        name: String,
        input: Payload,
    },
    /// An attempt at an activity ended.
    ActivityEnded(TaskEnded),
    /// A child ended, or could not be started.
    ChildEnded(TaskEnded),
    /// A deadline of a task has passed. Nobody sends it: it follows from history and the time (see [`Execution::tick`]).
    ///
    /// [`Execution::tick`]: crate::Execution::tick
    TimerFired {
        task: TaskId,
        deadline: Deadline,
    },
    /// The instance ends at once; its guest is not asked.
    Terminated(Control),
    /// Nothing but `Resumed` and `Terminated` is applied from here on. The rest waits, unread.
    Suspended(Control),
    Resumed(Control),
    /// A failed instance goes on before the step that failed it.
    Rewound(Control),
    /// The instance runs the code of another module from here on.
    Migrated {
        module: String,
    },
}

impl MessageBody {
    /// Whether nobody sends it.
    pub(crate) fn passes_by_itself(&self) -> bool {
        matches!(self, MessageBody::TimerFired { .. })
    }

    /// Whether it is applied before all others that wait: what terminates an instance whose inbox is long, or whose step never ends,
    /// and what moves one to the module that its inbox is for.
    pub fn is_urgent(&self) -> bool {
        matches!(self, MessageBody::Terminated(_) | MessageBody::Migrated { .. })
    }
}

/// How an attempt at a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEnded {
    pub task: TaskId,
    pub outcome: Outcome,
    /// The execution whose task it is, so that no other one takes it for its own. Empty in histories of the first format, which
    /// had one execution for each instance.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub execution: String,
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
}

fn first() -> u32 {
    1
}

fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

/// Which of its deadlines a task has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Deadline {
    /// The task is a timer, and due.
    Due,
    /// The next attempt begins.
    Retry,
    /// The task has taken longer than it might.
    Timeout,
}

/// What an operator asks of an instance, or its parent on the way down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It is asked of the children, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cascade: bool,
    /// The execution of the parent that passed it on. It is meant for a child of that one alone, and for no other instance that
    /// has the child's id by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What an execution is made of besides its events; recorded once, in its first message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The orchestrator's name, as the module spells it.
    pub name: String,
    pub input: Payload,
    /// Names this execution; no two executions share one, of whatever instance.
    pub execution: String,
    /// SHA-256 of the module, in hex: the code this execution runs.
    pub module: String,
    /// 256 bits in hex that feed the guest's randomness through ChaCha20.
    pub seed: String,
    /// Whose child the instance is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// How often the instance has continued as new.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    /// Events that the generation before left unread, in the order of arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<BufferedEvent>,
    /// The bounds that this execution runs under, on whatever host.
    #[serde(default, skip_serializing_if = "ExecutionLimits::is_default")]
    pub limits: ExecutionLimits,
}

impl Start {
    /// How many ancestors the instance has.
    pub fn depth(&self) -> u32 {
        self.parent.as_ref().map_or(0, |parent| parent.caller.depth.saturating_add(1))
    }
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// Whose child an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its instance id.
    pub instance: String,
    #[serde(flatten)]
    pub caller: Caller,
}

/// The task that a child is to its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub execution: String,
    pub task: TaskId,
    pub attempt: u32,
    /// How many ancestors the parent has itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
}

use crate::{Payload, RuntimeStatus, Step, TaskId};

/// One or more steps to be committed together: all that one commit must make true.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub steps: Vec<Step>,
    /// Messages that the steps applied, or that changed nothing; all leave the inbox.
    pub consumed: Vec<u64>,
    /// Activities to start once the turn is durable.
    pub activities: Vec<ScheduledActivity>,
    /// Tasks of activities that need no more work: they ended, or were given up. A final status settles all.
    pub settled: Vec<TaskId>,
    pub status: RuntimeStatus,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledActivity {
    pub task: TaskId,
    pub name: String,
    pub input: Payload,
}

//! The seam to the host. In wasm it is the imports of the contract (`wasm.rs`), natively the testing kit (`testing/`).

use crate::table::GroupId;
use crate::{Failure, Level, RetryPolicy, Timestamp};

/// A task as the host knows it: dense, 0, 1, 2, … in the order of creation.
pub(crate) type Handle = u32;

/// The result of a task; a payload is JSON text.
pub(crate) type Outcome = Result<String, Box<Failure>>;

/// The host calls that never block. What blocks is a [`Block`], which the driver of the executor carries out, and what ends the
/// execution a [`NextGeneration`].
pub(crate) trait Host {
    fn wait_external_event(&mut self, name: &str) -> Handle;
    fn call_activity(&mut self, name: &str, input: &str) -> Handle;
    fn call_sub_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> Handle;
    fn create_timer(&mut self, due: Timestamp) -> Handle;
    fn set_retry(&mut self, task: Handle, policy: &RetryPolicy);
    fn set_timeout(&mut self, task: Handle, due: Timestamp, default: Option<&str>);
    fn start_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> String;
    fn raise_event(&mut self, instance_id: &str, name: &str, payload: &str);
    /// The task that completed first. To be asked only where one of them is known to be complete.
    fn task_any(&mut self, tasks: &[Handle]) -> Handle;
    fn task_result(&mut self, task: Handle) -> Option<Outcome>;
    fn cancel_task(&mut self, task: Handle) -> bool;
    fn instance_id(&mut self) -> String;
    fn parent_instance_id(&mut self) -> Option<String>;
    fn execution_id(&mut self) -> String;
    fn orchestrator_name(&mut self) -> String;
    fn module_digest(&mut self) -> String;
    fn callback_url(&mut self, event: &str, expires: Timestamp) -> String;
    fn current_utc_time(&mut self) -> Timestamp;
    fn new_guid(&mut self) -> String;
    fn is_replaying(&mut self) -> bool;
    fn set_custom_status(&mut self, status: &str);
    fn log(&mut self, level: Level, message: &str);
}

/// A host call that blocks, until one of the tasks it asks for is complete.
#[derive(Debug)]
pub(crate) enum Block {
    /// `await-task`
    Await(Handle),
    /// `task-any`, of the members of this group.
    Any(GroupId, Vec<Handle>),
    /// `task-all`, of the members of this group.
    All(GroupId, Vec<Handle>),
    /// `next-completed`
    Next,
}

/// What a [`Block`] came back with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Of `await-task`.
    Outcome(Outcome),
    /// Of `task-any` and `next-completed`.
    Task(Handle),
    /// Of `task-all`.
    Payloads(Result<Vec<String>, Box<Failure>>),
}

/// What `continue-as-new` is called with.
#[derive(Debug)]
pub(crate) struct NextGeneration {
    pub(crate) input: String,
    pub(crate) same_module: bool,
}

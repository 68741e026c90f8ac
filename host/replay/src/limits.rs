use serde::{Deserialize, Serialize};

use crate::{Decision, Failure, MessageBody, Outcome, Step, kind};

/// The bounds that an execution runs under: passing one fails it, or is seen by its guest. Recorded in its [`Start`](crate::Start), so that a
/// host with other settings replays it to the same end.
///
/// The default is what a start without limits means. These numbers are part of the format: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionLimits {
    /// Linear memory of the guest, bytes. The guest sees its allocation fail.
    pub memory_bytes: usize,
    /// Elements of one of its tables.
    pub table_elements: usize,
    /// Fuel of one step: about one unit an instruction, and what calls of the host cost.
    pub fuel_per_step: u64,
    /// Calls of the host in one step, of whatever kind.
    pub host_calls_per_step: u64,
    /// Bytes that these calls move in one step: names, payloads, log, random numbers.
    pub host_bytes_per_step: u64,
    /// Tasks created in one step, their timeouts and policies, and messages sent.
    pub tasks_per_step: u32,
    /// The names and payloads of these together, bytes.
    pub task_bytes_per_step: usize,
    /// Tasks that are open at a time.
    pub open_tasks: usize,
    /// Entries of the history of one generation: messages and decisions.
    pub history_events: u64,
    /// The same, bytes: names and payloads, and 64 for each entry.
    pub history_bytes: u64,
    /// A payload that the guest makes, bytes.
    pub payload_bytes: usize,
    /// A custom status, bytes of JSON.
    pub custom_status_bytes: usize,
    /// The name of an event, an activity or an orchestrator, bytes.
    pub name_bytes: usize,
    /// How many ancestors an instance may have.
    pub depth: u32,
    /// WASI resources (streams, pollables) that the guest holds at a time.
    pub wasi_resources: usize,
}

impl Default for ExecutionLimits {
    fn default() -> Self {
        ExecutionLimits {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            fuel_per_step: 5_000_000_000,
            host_calls_per_step: 5_000_000,
            host_bytes_per_step: 512 << 20,
            tasks_per_step: 20_000,
            task_bytes_per_step: 64 << 20,
            open_tasks: 20_000,
            history_events: 100_000,
            history_bytes: 128 << 20,
            payload_bytes: 16 << 20,
            custom_status_bytes: 16 << 10,
            name_bytes: 256,
            depth: 32,
            wasi_resources: 10_000,
        }
    }
}

impl ExecutionLimits {
    pub(crate) fn is_default(&self) -> bool {
        *self == ExecutionLimits::default()
    }

    /// How the execution fails whose history is this large; none while it is within its bounds.
    pub(crate) fn refuse(&self, size: HistorySize) -> Option<Failure> {
        let (events, bytes) = (self.history_events, self.history_bytes);
        let passed = if size.events > events {
            format!("{events} events")
        } else if size.bytes > bytes {
            format!("{bytes} bytes")
        } else {
            return None;
        };
        let message = format!(
            "the history has more than {passed}: an orchestrator that goes on for long uses continue-as-new, which begins a new one"
        );
        Some(Failure { error_type: HISTORY.into(), ..Failure::new(kind::LIMIT, message) })
    }
}

/// The error type of the failure of an execution whose history was too large.
const HISTORY: &str = "history";

impl Step {
    /// Whether the host ended the execution in this step, and no guest had a part in it: its history was too large.
    pub fn ends_for_its_size(&self) -> bool {
        let is_for_size = |failure: &Failure| failure.kind == kind::LIMIT && failure.error_type == HISTORY;
        matches!(self.decisions.last(), Some(Decision::Failed { failure }) if is_for_size(failure))
    }
}

/// How large the history of one generation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistorySize {
    /// Messages and decisions; that a guest blocked is none.
    pub events: u64,
    /// Names and payloads, and 64 for each entry.
    pub bytes: u64,
}

/// What an entry is counted as besides its names and payloads.
const ENTRY_BYTES: usize = 64;

impl HistorySize {
    pub(crate) fn add_message(&mut self, body: &MessageBody) {
        self.events += 1;
        self.add_bytes(ENTRY_BYTES + body.bytes());
    }

    pub(crate) fn add_decision(&mut self, decision: &Decision) {
        self.events += u64::from(!matches!(decision, Decision::Blocked { .. }));
        self.add_bytes(ENTRY_BYTES + bytes_of_decision(decision));
    }

    pub(crate) fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl MessageBody {
    /// The bytes of names and payloads in it.
    pub fn bytes(&self) -> usize {
        match self {
            MessageBody::Started(start) => {
                let carried = start.carried.iter().map(|event| event.name.len() + event.input.as_str().len());
                start.name.len() + start.input.as_str().len() + carried.sum::<usize>()
            }
            MessageBody::EventRaised { name, input } => name.len() + input.as_str().len(),
            MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => match &ended.outcome {
                Outcome::Succeeded(output) => output.as_str().len(),
                Outcome::Failed(failure) => bytes_of_failure(failure),
            },
            _ => 0,
        }
    }
}

fn bytes_of_decision(decision: &Decision) -> usize {
    match decision {
        Decision::WaitStarted { name, .. } => name.len(),
        Decision::ActivityScheduled { name, input, .. } => name.len() + input.as_str().len(),
        Decision::ChildStarted { name, instance, input, .. }
        | Decision::InstanceStarted { name, instance, input }
        | Decision::EventSent { name, instance, input } => name.len() + instance.len() + input.as_str().len(),
        Decision::Blocked { on } => 4 * on.tasks().len(),
        Decision::Completed { output } => output.as_str().len(),
        Decision::RetrySet { policy, .. } => policy.non_retryable.iter().map(String::len).sum(),
        Decision::TimeoutSet { default, .. } => default.as_ref().map_or(0, |default| default.as_str().len()),
        Decision::ContinuedAsNew { input, .. } => input.as_str().len(),
        // As long as it is made of names.
        Decision::CallbackUrlMade { event, .. } => event.len(),
        // A failure ends the history, and its words are the host's.
        Decision::TaskCancelled { .. }
        | Decision::TimerCreated { .. }
        | Decision::Undone { .. }
        | Decision::Failed { .. } => 0,
    }
}

fn bytes_of_failure(failure: &Failure) -> usize {
    failure.message.len() + failure.error_type.len() + failure.details.len()
}

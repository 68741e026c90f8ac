//! Every bound of the host in one place.

use std::time::Duration;

/// Bounds on what a guest may use. Those marked *recorded* are deterministic: passing one fails the instance, with the same
/// outcome on every host.
#[derive(Clone, Debug)]
pub struct GuestLimits {
    /// Linear memory of one guest, bytes. Recorded: the guest sees its allocation fail.
    pub memory_bytes: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Fuel (about one unit an instruction) of one step. Recorded.
    pub fuel_per_step: u64,
    /// Wall time of one step or one attempt at an activity. Not recorded: the step is abandoned.
    pub wall_time: Duration,
    /// Stack of one guest, bytes.
    pub stack_bytes: usize,
    /// A custom status, bytes of JSON. Recorded.
    pub custom_status_bytes: usize,
    /// The name of an event or an activity, bytes. Recorded.
    pub name_bytes: usize,
    /// One line of a guest's log, bytes; what is longer is cut.
    pub log_line_bytes: usize,
    /// Lines of log in one step; what is more is dropped, with one line that says so.
    pub log_lines_per_step: u32,
    /// A payload that a guest makes, bytes. Recorded.
    pub payload_bytes: usize,
    /// Tasks that a guest creates in one step, their timeouts and policies, and messages that it sends. Recorded.
    pub tasks_per_step: u32,
    /// The names and payloads of these together, bytes. Recorded.
    pub task_bytes_per_step: usize,
    /// WASI resources (streams, pollables) that a guest holds at a time. Recorded.
    pub wasi_resources: usize,
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            fuel_per_step: 5_000_000_000,
            wall_time: Duration::from_secs(30),
            stack_bytes: 512 << 10,
            custom_status_bytes: 16 << 10,
            name_bytes: 256,
            log_line_bytes: 16 << 10,
            log_lines_per_step: 1_000,
            payload_bytes: 16 << 20,
            tasks_per_step: 100_000,
            task_bytes_per_step: 64 << 20,
            wasi_resources: 10_000,
        }
    }
}

/// Bounds on a module that is uploaded, and on the work that it makes before any guest of it runs.
#[derive(Clone, Debug)]
pub struct ModuleLimits {
    /// The module, bytes.
    pub module_bytes: usize,
    /// Functions in all core modules of one component.
    pub functions: u32,
    /// Memory that its compilation may take, bytes.
    pub compile_memory_bytes: u64,
    /// Wall time, and processor time, that its compilation may take.
    pub compile_time: Duration,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        ModuleLimits {
            module_bytes: 64 << 20,
            functions: 100_000,
            compile_memory_bytes: 2 << 30,
            compile_time: Duration::from_secs(120),
        }
    }
}

/// Bounds on what a client may send.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Connections at a time; further ones wait.
    pub connections: usize,
    /// Instances that are watched, or waited for, at a time.
    pub watches: usize,
    /// A request's body, bytes.
    pub body_bytes: usize,
    /// The body of a module upload, bytes.
    pub module_bytes: usize,
    /// From the connection's first byte, or the last answer, to the end of a request's head.
    pub head_time: Duration,
    /// From the head to the end of the body.
    pub body_time: Duration,
    /// How long a graceful shutdown waits for requests under way: a part of the 10 s after which those who stop services kill them.
    pub drain_time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            connections: 16_384,
            watches: 10_000,
            body_bytes: 1 << 20,
            module_bytes: 64 << 20,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(8),
        }
    }
}

/// An instance id, bytes (Durable Functions: at most 256 characters).
pub const INSTANCE_ID_BYTES: usize = 256;

/// The name of an event that a client raises, bytes; guests can not wait for a longer one.
pub const EVENT_NAME_BYTES: usize = 256;

/// An `Idempotency-Key`, bytes.
pub const IDEMPOTENCY_KEY_BYTES: usize = 256;

/// Unread messages of one instance that wait in memory.
pub const INBOX_MESSAGES: usize = 10_000;

/// The same, bytes. One message more than this may be admitted.
pub const INBOX_BYTES: usize = 64 << 20;

/// Unread messages of all instances that wait in memory, bytes: what a host that can not keep up with its clients may hold.
pub const BACKLOG_BYTES: usize = 256 << 20;

/// Turns of one instance that may be under way to the store while the next is made: so far may an orchestrator run ahead that continues
/// as new without waiting.
pub const TURNS_AHEAD: u32 = 16;

/// What a waiting message is counted as besides its text: its slot, its place in the run queue.
pub const MESSAGE_OVERHEAD_BYTES: usize = 1 << 10;

/// Requests that are remembered, so that they take effect once: beyond that those go that expire first.
pub const REMEMBERED_REQUESTS: u64 = 1_000_000;

/// Rows that one page of a list looks at.
pub const LIST_ROWS_LOOKED_AT: usize = 20_000;

/// Histories that one page of a list reads to see what instances wait for, bytes. One history more than this may be read.
pub const LIST_HISTORY_BYTES: usize = 16 << 20;

/// What one page of a list holds over HTTP, bytes of JSON. One instance more than this may be in it.
pub const LIST_BYTES: usize = 8 << 20;

/// The rules of Durable Functions for an instance id: at most 256 bytes (there, characters), none of `/ \ # ?`, no control characters, no
/// `@` in front. The error says what is wrong with it.
pub fn check_instance_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > INSTANCE_ID_BYTES {
        return Err("must be 1 to 256 bytes long");
    }
    if id.starts_with('@') {
        return Err("must not begin with @, which is kept for entities");
    }
    if id.chars().any(|c| matches!(c, '/' | '\\' | '#' | '?') || c.is_control()) {
        return Err("must not contain / \\ # ? or control characters");
    }
    Ok(())
}

/// How long an HTTP endpoint may take to answer for an activity, where its caller does not say.
pub const ENDPOINT_TIME: Duration = Duration::from_secs(100);
pub const ENDPOINT_CONNECT_TIME: Duration = Duration::from_secs(10);

/// What an HTTP endpoint may answer, bytes.
pub const ENDPOINT_ANSWER_BYTES: usize = 16 << 20;

/// How much of the answer that was a failure is kept for people, characters.
pub const ENDPOINT_DETAIL_CHARS: usize = 2_000;

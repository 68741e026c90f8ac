//! Every bound of the host in one place. Those that differ from host to host are tables of the file that `fermata serve --config` reads;
//! the constants are the same everywhere.

use std::num::NonZeroU32;
use std::time::Duration;

pub use fermata_replay::ExecutionLimits;
use fermata_replay::Failure;
use ipnet::IpNet;
// Lengths of time in the configuration: `30s`, `1m 30s`.
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::de::{Deserializer, Error as _, Unexpected};
use serde::{Deserialize, Serialize};

/// All that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub guest: GuestLimits,
    pub module: ModuleLimits,
    pub host: HostLimits,
    pub http: HttpLimits,
}

impl Limits {
    /// Whether a host can run with them; the error names the one that is wrong.
    pub fn check(&self) -> Result<(), String> {
        const MEMORY: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 30;
        let (guest, execution, host) = (&self.guest, &self.guest.execution, &self.host);
        for (name, value, within) in [
            ("guest.execution.memory_bytes", execution.memory_bytes as u64, MEMORY),
            ("guest.execution.table_elements", execution.table_elements as u64, 1_000..=10_000_000),
            ("guest.execution.fuel_per_step", execution.fuel_per_step, 1_000_000..=1 << 62),
            ("guest.execution.payload_bytes", execution.payload_bytes as u64, 1..=1 << 30),
            ("guest.execution.history_events", execution.history_events, 10..=u64::MAX),
            ("guest.stack_bytes", guest.stack_bytes as u64, 64 << 10..=64 << 20),
            ("guest.wall_time, milliseconds", guest.wall_time.as_millis() as u64, 10..=86_400_000),
            ("host.interrupted_guests", host.interrupted_guests as u64, 1..=4_096),
            ("host.inbox_messages", host.inbox_messages as u64, 1..=u64::MAX),
            ("host.backlog_bytes", host.backlog_bytes as u64, 1..=u64::MAX),
            ("host.bulk_writes.burst", host.bulk_writes.burst.into(), 1..=u32::MAX.into()),
            ("host.attempts_before_stalled", host.attempts_before_stalled.into(), 1..=1_000),
            ("http.connections", self.http.connections as u64, 1..=1 << 20),
            ("http.watches", self.http.watches as u64, 1..=u64::MAX),
            ("http.body_bytes", self.http.body_bytes as u64, 1..=1 << 30),
            ("http.bodies_bytes", self.http.bodies_bytes as u64, 64 << 10..=u64::MAX),
            ("http.head_time, milliseconds", self.http.head_time.as_millis() as u64, 10..=86_400_000),
            ("http.body_time, milliseconds", self.http.body_time.as_millis() as u64, 10..=86_400_000),
            ("http.wrong_keys.burst", self.http.wrong_keys.burst.into(), 1..=u32::MAX.into()),
            ("http.key_rate.burst", self.http.key_rate.map_or(1, |rate| rate.burst.into()), 1..=u32::MAX.into()),
            (
                "http.address_rate.burst",
                self.http.address_rate.map_or(1, |rate| rate.burst.into()),
                1..=u32::MAX.into(),
            ),
            ("module.module_bytes", self.module.module_bytes as u64, 1..=1 << 30),
            ("http.connections_per_client", self.http.connections_per_client as u64, 1..=1 << 20),
            ("module.functions", self.module.functions.into(), 1..=10_000_000),
        ] {
            if !within.contains(&value) {
                let (least, most) = within.into_inner();
                return Err(format!("limits.{name}: {value} is not within {least} to {most}"));
            }
        }
        Ok(())
    }
}

/// Bounds on what a guest may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuestLimits {
    /// Wall time of one step, or of one attempt at an activity, while it runs. Not recorded: the step is abandoned, and tried again.
    #[serde(with = "duration")]
    pub wall_time: Duration,
    /// Stack of one guest, bytes. One setting for all: where it shrinks, an execution that needed more does not replay, and is parked.
    pub stack_bytes: usize,
    /// One line of a guest's log, bytes; what is longer is cut.
    pub log_line_bytes: usize,
    /// Lines of log in one step, or in one attempt; what is more is dropped, with one line that says so.
    pub log_lines_per_step: u32,
    /// The same, bytes.
    pub log_bytes_per_step: usize,
    /// Entries of a history from which on the log warns, once.
    pub history_warn_events: u64,
    /// The same, bytes.
    pub history_warn_bytes: u64,
    /// Memory of the whole process, bytes, from which on guests get no more, and large ones leave when they block; 0: half of what the machine,
    /// or the host's share of it, has. Not recorded: a step that needs more is abandoned, and tried again.
    pub process_memory_bytes: u64,
    /// The deterministic ones: passing one fails the instance, with the same outcome on every host. An execution keeps those that it was
    /// started under.
    pub execution: ExecutionLimits,
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            wall_time: Duration::from_secs(30),
            stack_bytes: 512 << 10,
            log_line_bytes: 16 << 10,
            log_lines_per_step: 1_000,
            log_bytes_per_step: 256 << 10,
            history_warn_events: 20_000,
            history_warn_bytes: 16 << 20,
            process_memory_bytes: 0,
            execution: ExecutionLimits::default(),
        }
    }
}

/// Bounds on what the guests of one orchestrator, and those of all, may take of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostLimits {
    /// Unread messages of one instance that wait in memory.
    pub inbox_messages: usize,
    /// The same, bytes. One message more than this may be admitted.
    pub inbox_bytes: usize,
    /// Unread messages of all instances of one orchestrator that wait in memory, bytes.
    pub orchestrator_inbox_bytes: usize,
    /// Unread messages of all instances, bytes: what a host that can not keep up with its clients may hold; and again writes of all kinds
    /// that are on their way to the disk.
    pub backlog_bytes: usize,
    /// Instances of one orchestrator that have not ended; 0: as many as there is room for. They are counted when the host starts.
    pub orchestrator_instances: u64,
    /// What turns that write more than 1,000 rows, or 256 KiB, may write, all instances of one orchestrator together, while others are at work: each such
    /// turn holds up everybody's next write. A row is an activity or a message for another instance, four decisions of any kind, or
    /// 2 KiB.
    pub bulk_writes: Rate,
    /// Lines of log that the instances of one orchestrator write in a second; what is more is dropped, with a line that says so.
    pub log_lines_per_second: u32,
    /// The same, bytes.
    pub log_bytes_per_second: u32,
    /// Guests at a time that were stopped in the middle of a step to let others run.
    pub interrupted_guests: usize,
    /// How often in a row a step is given up before its instance counts as stalled.
    pub attempts_before_stalled: u32,
    /// How long a stalled instance is left alone between two tries.
    #[serde(with = "duration")]
    pub stalled_pause: Duration,
    /// How long a request with an `Idempotency-Key` is remembered. Of a million and more the oldest are forgotten sooner.
    #[serde(with = "duration")]
    pub idempotency_time: Duration,
}

impl Default for HostLimits {
    fn default() -> Self {
        HostLimits {
            inbox_messages: 10_000,
            inbox_bytes: 64 << 20,
            orchestrator_inbox_bytes: 128 << 20,
            backlog_bytes: 256 << 20,
            orchestrator_instances: 0,
            bulk_writes: Rate { per_second: 500.0, burst: 10_000 },
            log_lines_per_second: 20_000,
            log_bytes_per_second: 8 << 20,
            interrupted_guests: 128,
            attempts_before_stalled: 5,
            stalled_pause: Duration::from_secs(15 * 60),
            idempotency_time: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Bounds on a module that is uploaded, and on the work that it makes before any guest of it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModuleLimits {
    /// The module, bytes.
    pub module_bytes: usize,
    /// Functions in all core modules of one component.
    pub functions: u32,
    /// The code of one function, bytes.
    pub function_bytes: usize,
    /// Local variables of all functions: a few bytes declare a million of them.
    pub locals: u64,
    /// Types, imports, exports, tables, memories, globals, segments, instances and custom sections.
    pub items: u32,
    /// Modules and components within components, so deep.
    pub nesting: u32,
    /// The machine code that is made of it, bytes.
    pub code_bytes: usize,
    /// Memory that its compilation may take, bytes.
    pub compile_memory_bytes: u64,
    /// Processor time that its compilation may take; by the clock it may take five times as long.
    #[serde(with = "duration")]
    pub compile_time: Duration,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        ModuleLimits {
            module_bytes: 64 << 20,
            functions: 100_000,
            function_bytes: 1 << 20,
            locals: 500_000,
            items: 100_000,
            nesting: 16,
            code_bytes: 512 << 20,
            compile_memory_bytes: 2 << 30,
            compile_time: Duration::from_secs(120),
        }
    }
}

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The pace that lasts; at least once in a million seconds.
    #[serde(deserialize_with = "pace")]
    pub per_second: f64,
    /// At once, after a while of less; at least 1.
    pub burst: u32,
}

impl Rate {
    /// What one second allows may be asked for at once.
    pub fn per_second(number: NonZeroU32) -> Rate {
        Rate { per_second: f64::from(number.get()), burst: number.get() }
    }

    /// Between two, where they keep the pace.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

/// A rate, or the word that there is none.
mod unbounded {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Rate;

    #[derive(Deserialize, Serialize)]
    #[serde(
        untagged,
        expecting = "expected \"unbounded\" or a rate, { per_second = …, burst = … }, of at least 0.000001 per second"
    )]
    enum Setting {
        Rate(Rate),
        Unbounded(Word),
    }

    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Unbounded,
    }

    pub fn serialize<S: Serializer>(rate: &Option<Rate>, to: S) -> Result<S::Ok, S::Error> {
        rate.map_or(Setting::Unbounded(Word::Unbounded), Setting::Rate).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Rate>, D::Error> {
        Ok(match Setting::deserialize(from)? {
            Setting::Rate(rate) => Some(rate),
            Setting::Unbounded(Word::Unbounded) => None,
        })
    }
}

/// A number that a length of time can be made of.
fn pace<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    match number.is_finite() && number >= 1e-6 {
        true => Ok(number),
        false => Err(D::Error::invalid_value(Unexpected::Float(number), &"a number of at least 0.000001")),
    }
}

/// Bounds on what a client may send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Connections at a time; further ones wait.
    pub connections: usize,
    /// Connections of one client at a time: of an address, or of an IPv6 network of 64 bits. Further ones are turned away with 429.
    pub connections_per_client: usize,
    /// Networks whose addresses are not counted: not their connections, not their requests, not their wrong keys. Trusted proxies are not
    /// either; of these the client is who they say that it is.
    pub uncounted: Vec<IpNet>,
    /// Requests with one key, where the key has no rate of its own; none: as many as there are.
    #[serde(with = "unbounded")]
    pub key_rate: Option<Rate>,
    /// Requests of one client for which no key was needed, or without one; none: as many as there are.
    #[serde(with = "unbounded")]
    pub address_rate: Option<Rate>,
    /// Keys that are none of the host's, from one client. Where there are more, no key of this client is looked at.
    pub wrong_keys: Rate,
    /// Bodies of all requests that are in memory at a time, bytes.
    pub bodies_bytes: usize,
    /// Instances that are watched, or waited for, at a time.
    pub watches: usize,
    /// A request's body, bytes.
    pub body_bytes: usize,
    /// From the beginning of the connection, or the last answer, to the end of a request's head.
    #[serde(with = "duration")]
    pub head_time: Duration,
    /// From the head to the end of the body.
    #[serde(with = "duration")]
    pub body_time: Duration,
    /// How long a graceful shutdown waits for requests under way: a part of the 10 s after which those who stop services kill them.
    #[serde(with = "duration")]
    pub drain_time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            connections: 16_384,
            connections_per_client: 256,
            uncounted: ["127.0.0.0/8", "::1/128"].map(|loopback| loopback.parse().expect("it is a network")).to_vec(),
            key_rate: None,
            address_rate: Some(Rate { per_second: 100.0, burst: 200 }),
            wrong_keys: Rate { per_second: 10.0 / 60.0, burst: 10 },
            bodies_bytes: 256 << 20,
            watches: 10_000,
            body_bytes: 1 << 20,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(8),
        }
    }
}

macro_rules! named {
    ($(#[$meta:meta])* $enum:ident { $($variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum { $($variant,)* }

        impl $enum {
            pub const ALL: &[$enum] = &[$($enum::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $($enum::$variant => $name,)* }
            }
        }
    };
}

named! {
/// A bound that was passed. Its name is the error type of the failure that it comes to, and tells it apart in the metrics.
Limit {
    Fuel = "fuel",
    Memory = "memory",
    Table = "table",
    Stack = "stack",
    HostCalls = "host_calls",
    HostBytes = "host_bytes",
    TasksPerStep = "tasks_per_step",
    OpenTasks = "open_tasks",
    History = "history",
    Payload = "payload",
    CustomStatus = "custom_status",
    Name = "name",
    Depth = "depth",
    WasiResources = "wasi_resources",
    WallTime = "wall_time",
    Stalled = "stalled",
    LogStep = "log_step",
    LogRate = "log_rate",
    Inbox = "inbox",
    OrchestratorInbox = "orchestrator_inbox",
    Backlog = "backlog",
    Writes = "writes",
    Instances = "instances",
    ProcessMemory = "process_memory",
    Interrupted = "interrupted",
    BulkWrites = "bulk_writes",
    Module = "module",
    Bodies = "bodies",
    Connections = "connections",
    KeyRate = "key_rate",
    AddressRate = "address_rate",
    WrongKeys = "wrong_keys",
}
}

impl Limit {
    /// The failure of an execution that has passed it.
    pub fn failure(self, message: impl Into<String>) -> Failure {
        Failure { error_type: self.name().to_owned(), ..Failure::new(fermata_replay::kind::LIMIT, message) }
    }
}

/// An instance id, bytes (Durable Functions: at most 256 characters).
pub const INSTANCE_ID_BYTES: usize = 256;

/// The name of an event that a client raises, bytes; guests can not wait for a longer one.
pub const EVENT_NAME_BYTES: usize = 256;

/// An `Idempotency-Key`, bytes.
pub const IDEMPOTENCY_KEY_BYTES: usize = 256;

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

/// Uploaded modules that are compiled at a time.
pub const UPLOADS_COMPILED: usize = 2;

/// Those, and uploads that wait for that; further ones are refused.
pub const UPLOADS_AT_HAND: usize = 16;

/// How long an HTTP endpoint may take to answer for an activity, where its caller does not say.
pub const ENDPOINT_TIME: Duration = Duration::from_secs(100);
pub const ENDPOINT_CONNECT_TIME: Duration = Duration::from_secs(10);

/// What an HTTP endpoint may answer, bytes.
pub const ENDPOINT_ANSWER_BYTES: usize = 16 << 20;

/// How much of the answer that was a failure is kept for people, characters.
pub const ENDPOINT_DETAIL_CHARS: usize = 2_000;

//! The pure core of Fermata: **history + messages + now → decisions**.
//!
//! An instance is its history and its unread messages. A [`Message`] arrives; applied to the history it makes one
//! [`Step`]: the message, the time the guest sees, and the [`Decision`]s the guest made before it blocked or ended.
//! [`State`] is the fold of a history and needs no guest. [`Execution`] joins a state with a running guest: during replay
//! each thing the guest asks for is compared with what history says, afterwards it is recorded.
//!
//! There is no I/O here, no clock, no randomness, no async runtime and no wasm: `Cargo.toml` proves it. A plain Rust
//! function can play the guest, see `tests/`.

mod blocked;
mod check;
mod deadlines;
mod decision;
mod effects;
mod execution;
mod failure;
mod inbox;
mod limits;
mod mailbox;
mod message;
mod mismatch;
mod open_task;
mod payload;
mod retry;
mod state;
mod status;
mod task;
mod time;
mod turn;
mod undo;

pub use check::BadHistory;
pub use decision::{BlockedOn, Decision, Step};
pub use execution::{Execution, Stop};
pub use failure::{Failure, kind};
pub use limits::{ExecutionLimits, HistorySize};
pub use mailbox::fold_name;
pub use message::{Caller, Control, Deadline, Message, MessageBody, Parent, Start, TaskEnded};
pub use mismatch::{Ask, Mismatch};
pub use open_task::{OpenKind, OpenTask, WAITING_NAMES};
pub use payload::{InvalidPayload, MAX_DEPTH, Payload};
pub use retry::RetryPolicy;
pub use state::{BufferedEvent, End, State};
pub use status::RuntimeStatus;
pub use task::{Outcome, TaskId};
pub use time::{Span, Timestamp};
pub use turn::{ChildStart, NextGeneration, Outgoing, OutgoingBody, ScheduledActivity, TURN_BYTES, Turn};
pub use undo::rewind;

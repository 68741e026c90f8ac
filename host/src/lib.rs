//! The Fermata host: orchestrator functions compiled to WebAssembly, suspended and resumed by replay, fed by HTTP events.
//!
//! ```text
//! HTTP ─► api ─► dispatcher: admission ─► inbox, run queue ─► turn ─► engine: guest ◄─► replay: Execution
//!                    │                                         │
//!                    │ Create / Accept                         │ Turn: steps, consumed messages, status, activities
//!                    ▼                                         ▼
//!                  store ───────── one transaction and one fsync for all that is queued ─────────
//!                    │                                         │
//!                    └─► HTTP: 202                             └─► dispatcher: activities ─► a message again
//! ```
//!
//! In the order in which a request meets them:
//!
//! - [`cli`]: the commands; `serve` puts the parts below together
//! - [`api`]: HTTP in and out
//! - [`dispatcher`]: who runs, and when; the one place where store, engine and clock meet
//! - [`engine`]: WebAssembly: modules, guests, what a guest may call
//! - `fermata_replay`, a crate of its own: what a message does to an instance, without I/O
//! - [`store`]: what is durable
//! - [`keys`], [`name_pattern`], [`callback`]: who may ask what
//! - [`backup`], [`verify`]: copies of what is durable, and whether it is true
//! - [`outbound`], [`capabilities`]: what may be reached from here, and what activities may do
//! - [`clock`], [`limits`]: the time, and every bound, each in one place; [`budget`]: bytes that many share
//! - [`config`]: the file in which an operator says what may be otherwise
//!
//! `docs/architecture.md` walks the way of one event, and says what is absent where.

pub mod api;
pub mod backup;
pub mod budget;
pub mod callback;
pub mod capabilities;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod engine;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod name_pattern;
pub mod outbound;
mod private_file;
pub mod store;
mod url;
pub mod verify;

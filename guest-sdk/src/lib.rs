//! Write orchestrators for Fermata in async Rust: functions that wait for external events and
//! activities, for days if need be, and survive every restart while they wait.
//!
//! # Wait for events
//!
//! An orchestrator is an `async fn`. It declares the *name* of the event it listens for and the *shape of the data* it expects.
//!
//! ```
//! use fermata_guest::*;
//!
//! #[orchestrator("BudgetApproval")]
//! async fn budget_approval(ctx: Context) -> Result<String> {
//!     let approved = ctx.wait_external_event::<bool>("Approval").await?;
//!     if approved {
//!         // approval granted - do the approved action
//!         Ok("granted".to_owned())
//!     } else {
//!         // approval denied - send a notification
//!         Ok("denied".to_owned())
//!     }
//! }
//!
//! # fn main() {
//! let mut run = testing::start("BudgetApproval", ());
//! run.raise("Approval", true);
//! assert_eq!(run.output::<String>().unwrap(), "granted");
//! # }
//! ```
//!
//! That one listens for a single event, and goes on when it has come. To listen for several at once, and take the first:
//!
//! ```
//! use fermata_guest::*;
//!
//! #[orchestrator("Select")]
//! async fn select(ctx: Context) -> Result<String> {
//!     let event1 = ctx.wait_external_event::<f32>("Event1");
//!     let event2 = ctx.wait_external_event::<bool>("Event2");
//!     let event3 = ctx.wait_external_event::<i32>("Event3");
//!
//!     let winner = ctx.task_any((&event1, &event2, &event3)).await;
//!     if winner == event1 {
//!         Ok(format!("the number {}", event1.await?))
//!     } else if winner == event2 {
//!         Ok(format!("the answer {}", event2.await?))
//!     } else {
//!         Ok(format!("the count {}", event3.await?))
//!     }
//! }
//!
//! # fn main() {
//! let mut run = testing::start("Select", ());
//! run.raise("Event2", true);
//! assert_eq!(run.output::<String>().unwrap(), "the answer true");
//! # }
//! ```
//!
//! And to wait for *all* of them:
//!
//! ```
//! use fermata_guest::*;
//! use serde::de::IgnoredAny;
//!
//! #[orchestrator("NewBuildingPermit")]
//! async fn new_building_permit(ctx: Context) -> Result<u32> {
//!     let application_id: String = ctx.input()?;
//!
//!     let gate1 = ctx.wait_external_event::<IgnoredAny>("CityPlanningApproval");
//!     let gate2 = ctx.wait_external_event::<IgnoredAny>("FireDeptApproval");
//!     let gate3 = ctx.wait_external_event::<IgnoredAny>("BuildingDeptApproval");
//!
//!     // all three departments must grant approval before a permit can be issued
//!     ctx.task_all((gate1, gate2, gate3)).await?;
//!
//!     ctx.call_activity("IssueBuildingPermit", &application_id).await
//! }
//!
//! #[activity("IssueBuildingPermit")]
//! fn issue_building_permit(application_id: String) -> Result<u32> {
//!     Ok(application_id.bytes().map(u32::from).sum())
//! }
//!
//! # fn main() {
//! let mut run = testing::start("NewBuildingPermit", "A17");
//! run.raise("FireDeptApproval", ());
//! run.raise("BuildingDeptApproval", ());
//! run.raise("CityPlanningApproval", ());
//! run.run_activities();
//! assert_eq!(run.output::<u32>().unwrap(), 169);
//! # }
//! ```
//!
//! A wait has no end of its own. While it lasts the guest may be unloaded; when the event arrives, the code runs again from the start
//! with what the history holds, up to the point where it stood. Therefore an orchestrator must do the same each time:
//! take the time, GUIDs and input from the [`Context`], and leave all work that touches the world to activities. (Inside the
//! host, `SystemTime::now()` and random numbers are the same on replay as well.)
//!
//! # What to know
//!
//! - **A task begins when it is made**, not when it is awaited, as in C#. A forgotten `.await` is a compiler warning.
//! - **A wait that is dropped is cancelled**, and an event that it had not given out yet goes back to the buffer. An activity whose
//!   task is dropped goes on.
//! - **The combinators of the `futures` crate work** and replay exactly: `join!`, `try_join_all`, `FuturesUnordered`. Prefer
//!   `select_biased!` to `select!`, which picks by chance among what is ready.
//! - **A payload that does not fit** the type is an [`Error`] at the `.await`, which the orchestrator may catch. As a courtesy to clients
//!   that quote, a JSON string that does not fit is tried as the JSON inside it: `"true"` for a `bool`.
//! - **Errors** of every type become an [`Error`] with `?`; a [`Failure`] carries a name to branch on from an activity to its
//!   orchestrator.
//! - **[`testing`]** runs an orchestrator in an ordinary `cargo test`, without a host.
//!
//! A crate of orchestrators needs `crate-type = ["cdylib", "rlib"]`; `fermata build` makes a module of it.

// The attributes name this crate by its name, in here as well.
extern crate self as fermata_guest;

mod all;
mod any;
mod context;
mod error;
mod execution;
mod executor;
mod failure;
mod host;
mod payload;
mod registry;
mod table;
mod task;
mod timestamp;
mod tuples;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use all::{AllOf, Member, TaskAll};
pub use any::{AnyOf, TaskAny, Winner};
pub use context::{ActivityContext, Context};
pub use error::{Error, Result};
pub use failure::Failure;
pub use fermata_guest_macros::{activity, orchestrator};
pub use payload::PayloadMismatch;
pub use serde;
pub use task::Task;
pub use timestamp::Timestamp;

/// How urgent a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What the attributes expand to; no part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::registry::{Activity, Orchestrator, Returned, ReturnsResult, ReturnsValue};
    pub use inventory;
}

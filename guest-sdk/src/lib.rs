//! Write orchestrators for Fermata in async Rust: functions that wait for external events, timers, activities
//! and other orchestrators, for days if need be, and survive every restart while they wait.
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
//! A wait has no end of its own: give it a [`timeout`](Task::timeout), or let it race a [timer](Context::create_timer). Here
//! is a purchase that is escalated when nobody answers in time:
//!
//! ```
//! use std::time::Duration;
//!
//! use fermata_guest::*;
//!
//! const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);
//!
//! #[orchestrator("Purchase")]
//! async fn purchase(ctx: Context, amount: f64) -> Result<String> {
//!     let policy = RetryPolicy::new(5, Duration::from_secs(10)).backoff(2.0);
//!     ctx.call_activity_with_retry::<()>("AskForApproval", &policy, &amount).await?;
//!
//!     match ctx.wait_external_event::<bool>("Approval").timeout(THREE_DAYS).await {
//!         Ok(true) => ctx.call_activity_with_retry("Order", &policy, &amount).await,
//!         Ok(false) => Ok("rejected".to_owned()),
//!         Err(error) if error.is_timeout() => ctx.call_sub_orchestrator("Escalation", &amount).await,
//!         Err(error) => Err(error),
//!     }
//! }
//!
//! # fn main() {
//! let mut run = testing::start("Purchase", 99.5);
//! run.fail("AskForApproval", Failure::new("", "the mail server is busy"));
//! run.advance(Duration::from_secs(10));
//! run.complete("AskForApproval", ());
//! run.advance(THREE_DAYS);
//! run.complete_sub_orchestration("Escalation", "ordered by the boss");
//! assert_eq!(run.output::<String>().unwrap(), "ordered by the boss");
//! run.check_replay();
//! # }
//! ```
//!
//! While an orchestrator waits the guest may be unloaded; when what it waits for arrives, the code runs again from the start
//! with what the history holds, up to the point where it stood. Therefore an orchestrator must do the same each time:
//! take the time, GUIDs and input from the [`Context`], and leave all work that touches the world to activities. (Inside the
//! host, `SystemTime::now()` and random numbers are the same on replay as well.)
//!
//! # What to know
//!
//! - **A task begins when it is made**, not when it is awaited, as in C#. A forgotten `.await` is a compiler warning.
//! - **A wait or timer that is dropped is cancelled**, and an event that it had not given out yet goes back to the buffer. An activity or
//!   sub-orchestration whose task is dropped goes on.
//! - **Timeouts and retries are the host's**: `.timeout(…)`, `.or_default(…)` and `.retry(…)` leave one task, which can stand
//!   wherever a task can. An event accepted before the deadline beats it, however late it is read.
//! - **[`task_all`](Context::task_all) fails at the first failure**; [`join_all`](Context::join_all) waits for every task and tells
//!   how each ended.
//! - **What lives long continues as new**: the longer a history, the longer it takes to bring the guest back.
//!   [`continue_as_new`](Context::continue_as_new) begins an empty one, with the events that were not taken.
//! - **People answer by a link**: [`callback_url`](Context::callback_url) gives one to send them, which raises one event of this instance,
//!   and opens as a page with the answers on it.
//! - **The combinators of the `futures` crate work** and replay exactly: `join!`, `try_join_all`, `FuturesUnordered`. Prefer
//!   `select_biased!` to `select!`, which picks by chance among what is ready.
//! - **A payload that does not fit** the type is an [`Error`] at the `.await`, which the orchestrator may catch. As a courtesy to clients
//!   that quote, a JSON string that does not fit is tried as the JSON inside it: `"true"` for a `bool`.
//! - **Errors** of every type become an [`Error`] with `?`; a [`Failure`] carries a name to branch on from an activity to its
//!   orchestrator.
//! - **[`testing`]** runs an orchestrator in an ordinary `cargo test`, without a host, with a clock that the test moves.
//!
//! A crate of orchestrators needs `crate-type = ["cdylib", "rlib"]`; `fermata build` makes a module of it.

// The attributes name this crate by its name, in here as well.
extern crate self as fermata_guest;

mod activity;
mod all;
mod any;
mod context;
mod error;
mod execution;
mod executor;
mod failure;
mod generation;
mod host;
mod join;
mod log;
mod payload;
mod registry;
mod retry;
mod table;
mod task;
mod timestamp;
mod tuples;
mod when;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use activity::ActivityContext;
pub use all::{AllOf, Member, TaskAll};
pub use any::{AnyOf, TaskAny, Winner};
pub use context::Context;
pub use error::{Error, Result};
pub use failure::Failure;
pub use fermata_guest_macros::{activity, orchestrator};
pub use generation::ContinueAsNew;
pub use join::JoinAll;
pub use log::Level;
pub use payload::PayloadMismatch;
pub use retry::RetryPolicy;
pub use serde;
pub use task::Task;
pub use timestamp::Timestamp;
pub use when::When;

/// What the attributes expand to; no part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::registry::{Activity, Orchestrator, Returned, ReturnsResult, ReturnsValue};
    pub use inventory;
}

//! Torture: a host under a mixed load dies again and again, and what became of everything is compared with a ledger that is kept here, outside
//! of it.
//!
//! Clients start groups of instances and send them errands (events that say what to do: call an activity here or over HTTP, start a child, wait,
//! write to the group's mailbox, begin a new generation). They note what was acknowledged and what had no answer. When an instance has
//! ended it must have got each acknowledged errand once, in order; one without an answer once or not at all.

mod account;
mod census;
mod client;
mod effects;
mod group;
mod history;
mod ledger;
mod lives;
mod repeat;
mod sample;
pub mod soak;
mod trend;
mod verdict;
mod verify;

pub use lives::End;
pub use repeat::repeat;

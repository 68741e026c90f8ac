//! Tests of the pure core, one module per behaviour. A plain async Rust function plays the guest ([`guest`]); histories are written
//! by hand ([`history`], [`histories`]); [`play::check`] runs a guest in every way a host may.

mod guest;
#[rustfmt::skip] // one line per message
mod histories;
mod history;
mod play;

mod activities;
mod all;
mod any;
mod cancelling;
mod ending;
mod golden;
mod matching;
mod mismatch;
mod next;
mod payload;
mod program;
mod random;
mod status;
mod tasks;
mod time;
mod turns;

//! Tests of the pure core, one module per behaviour. A plain async Rust function plays the guest ([`guest`]); histories are written
//! by hand ([`history`], [`histories`]); [`owner`] keeps an instance; [`play::check`] runs a guest in every way a host may; programs are
//! made up at random ([`generator`]).

mod generator;
mod guest;
#[rustfmt::skip] // one line per message
mod histories;
mod history;
mod model;
mod owner;
mod play;
mod program;

mod activities;
mod all;
mod any;
mod callbacks;
mod cancelling;
mod checking;
mod children;
mod controlling;
mod ending;
mod generations;
mod golden;
mod golden_v2;
mod matching;
mod mismatch;
mod mismatch_more;
mod next;
mod payload;
mod random;
mod retries;
mod rewinding;
mod sizes;
mod status;
mod tasks;
mod time;
mod timeouts;
mod timers;
mod turns;

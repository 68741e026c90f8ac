//! Stands in for the functions of libc that change files, in the process that it is linked into or preloaded into (`LD_PRELOAD`).
//!
//! - [`Watch`]: what a test in the same process does with the files of a directory: fails a call, records all of them
//! - [`rules`]: what a test does with another process, by files in a directory
//! - [`calls`]: the functions themselves
//!
//! What is mapped into memory is not seen. Of a store that is SQLite's `-shm` alone, which is made anew after a crash.

mod calls;
mod rules;
mod watch;

pub use watch::{Fault, Kind, Op, Watch};

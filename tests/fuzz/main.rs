//! Whatever is sent: nothing crashes, nothing hangs, and nothing is answered with a 5xx. Each target takes its corpus first, `corpus/<target>`: what
//! others are made of, and what has found something before. Then come inputs made at random until its time is over.
//!
//! `cargo xtask fuzz --seconds 3600 http` goes on for an hour. FERMATA_FUZZ_INPUT=<file> tries one input alone.

mod bytes;
mod harness;
mod history;
mod http;
mod modules;
mod smith;
mod texts;

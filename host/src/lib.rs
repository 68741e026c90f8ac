//! The Fermata host.

pub mod api;
pub mod cli;
pub mod clock;
pub mod dispatcher;
pub mod engine;
pub mod limits;
pub mod store;

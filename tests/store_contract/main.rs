//! The promises of [`fermata::store::Store`], each kept by every back end.

mod activities;
mod creation;
mod differential;
mod faults;
mod fences;
mod history;
mod inbox;
mod kit;
mod listing;
mod modules;
mod numbers;
mod opening;
mod snapshots;
mod turns;

//! The promises of [`fermata::store::Store`], each kept by every back end.

mod activities;
mod creation;
mod damage;
mod differential;
mod disk;
mod endings;
mod faults;
mod fences;
mod generations;
mod history;
mod inbox;
mod kit;
mod listing;
mod migration;
mod modules;
mod numbers;
mod opening;
mod outbox;
mod removal;
mod requests;
mod salvage;
mod snapshots;
mod space;
mod timers;
mod turns;
mod writes;

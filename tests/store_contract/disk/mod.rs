//! A disk that fails, forgets what was not synced, or changes by itself: what was acknowledged is there, and what is there is true.
//!
//! - [`story`]: a run of random writes of which every prefix is known
//! - [`images`]: what a power cut may leave; [`nth`]: each call of the system fails once; [`flips`]: bits that change

mod flips;
mod images;
mod nth;
mod story;

use tempfile::TempDir;

/// A directory in memory, where there is one: these tests tell themselves what is on disk.
fn scratch() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// How much of a test to do: what the variable says, or as much as a run of all tests has time for.
fn amount(variable: &str, usual: u64) -> u64 {
    tests::number(variable).unwrap_or(usual)
}

/// The seed of a test, which is told together with the way to have it again.
fn seed(test: &str) -> u64 {
    let seed = tests::number("FERMATA_SEED").unwrap_or_else(rand::random);
    println!("again: FERMATA_SEED={seed} cargo test -p tests --test store_contract {test}");
    seed
}

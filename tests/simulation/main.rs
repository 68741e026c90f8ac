//! The dispatcher, with real guests, on one thread and from a seed: which task goes on, what is written and when, what time it is and what
//! goes wrong is drawn, so that a run can be had again. Each seed draws first what may happen at all.
//!
//! - [`world`]: what happens next; [`swarm`]: what may happen; [`fate`]: chance, and the record of all that happened
//! - [`host`], [`store`], [`clock`], [`activities`]: what is around a dispatcher
//! - [`clients`]: the workload, and what its answers promise; [`modules`]: the same of what is asked about modules
//! - [`disk`], [`ledger`], [`twin`], [`rest`]: what must hold, whatever was asked
//!
//! `SEED=1 cargo xtask sim` runs one seed, `cargo xtask sim --seeds 1000` or `--minutes 30` many.

mod activities;
mod clients;
mod clock;
mod disk;
mod fate;
mod host;
mod ledger;
mod modules;
mod rest;
mod store;
mod swarm;
mod twin;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use tests::number;

use swarm::Theme;
use world::run;

/// Seeds that have found a bug, by the bug.
const FOUND: &str = include_str!("found.txt");

#[test]
fn what_was_found_once_is_found_no_more() {
    panic_everywhere();
    for line in FOUND.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().expect("a line begins with a seed");
        // One that was found when there were no themes is of anything; a later one draws its own, as it did then.
        for theme in [None, Some(Theme::Anything)] {
            run(seed.parse().expect("a seed is a number"), theme);
        }
    }
}

#[test]
fn a_seed_does_the_same_twice() {
    panic_everywhere();
    for theme in Theme::ALL {
        let seed = fastrand::u64(..);
        let (one, other) = (run(seed, Some(theme)), run(seed, Some(theme)));
        for (number, (one, other)) in one.lines().zip(other.lines()).enumerate() {
            assert_eq!(one, other, "line {number} of seed {seed}");
        }
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
}

/// One seed after the other, for so long, or so many of them.
#[test]
fn all_seeds_hold() {
    panic_everywhere();
    if let Some(seed) = number("SEED") {
        run(seed, None);
        return;
    }
    let seeds = number("FERMATA_SIM_SEEDS").unwrap_or(u64::MAX);
    let seconds = number("FERMATA_SIM_SECONDS").unwrap_or(if seeds == u64::MAX { 60 } else { u64::MAX / 2 });
    let (begun, mut ran) = (Instant::now(), 0);
    while ran < seeds && begun.elapsed() < Duration::from_secs(seconds) {
        run(fastrand::u64(..), None);
        ran += 1;
    }
    println!("{ran} seeds in {:?}", begun.elapsed());
}

/// A panic in a task would be swallowed by its runtime.
fn panic_everywhere() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            fate::PANICKED.set(true);
        }));
    });
}

fn tell_failure(seed: u64, trace: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed}.trace"));
    let kept = std::fs::write(&file, trace).map_or_else(|error| error.to_string(), |()| file.display().to_string());
    println!("all that happened: {kept}\nagain with: SEED={seed} cargo xtask sim");
}

//! `cargo xtask sim`: the simulation of the dispatcher, for longer than the tests run it, or one of its seeds again.

use anyhow::Result;

use crate::project::cargo;
use crate::{guests, project};

/// Runs the seed in `SEED`, where there is one; or seeds nobody has seen: so many, or for so many minutes.
pub fn run(minutes: Option<u64>, seeds: Option<u64>) -> Result<()> {
    guests::build(&["test-guest-a"])?;
    let mut test = cargo();
    test.args(["test", "--package", "tests", "--test", "simulation", "--", "all_seeds_hold", "--nocapture"]);
    if let Some(minutes) = minutes {
        test.env("FERMATA_SIM_SECONDS", (60 * minutes).to_string());
    }
    if let Some(seeds) = seeds {
        test.env("FERMATA_SIM_SEEDS", seeds.to_string());
    }
    project::run(&mut test)
}

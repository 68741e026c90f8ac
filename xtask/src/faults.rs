//! `cargo xtask faults`: the tests of a failing disk, as long as somebody wants them.

use anyhow::Result;
use clap::Args;

use crate::project::{self, cargo};

/// Each number is that of a run of all tests where it is not given.
#[derive(Args)]
pub struct Faults {
    /// Power cuts: images of what was synced, and of some of what was not
    #[arg(long)]
    images: Option<u64>,
    /// Bits that change
    #[arg(long)]
    flips: Option<u64>,
    /// The last call of the system that fails, in every way and in each workload
    #[arg(long)]
    calls: Option<u64>,
    /// Repeats a run
    #[arg(long)]
    seed: Option<u64>,
}

impl Faults {
    pub fn run(self) -> Result<()> {
        let mut tests = cargo();
        tests.args(["test", "--package", "tests", "--test", "store_contract", "disk::", "--", "--nocapture"]);
        for (variable, number) in [
            ("FERMATA_IMAGES", self.images),
            ("FERMATA_FLIPS", self.flips),
            ("FERMATA_CALLS", self.calls),
            ("FERMATA_SEED", self.seed),
        ] {
            tests.envs(number.map(|number| (variable, number.to_string())));
        }
        project::run(&mut tests)
    }
}

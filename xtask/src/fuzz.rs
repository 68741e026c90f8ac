//! `cargo xtask fuzz`: random inputs for whatever takes bytes from strangers, for as long as one likes.

use anyhow::Result;

use crate::guests;
use crate::project::{self, cargo};

/// Each a test of tests/fuzz.
pub const TARGETS: [&str; 4] = ["history", "http", "modules", "texts"];

pub fn run(seconds: u64, target: Option<&str>) -> Result<()> {
    guests::build(&["select"])?;
    // Modules are compiled in its children.
    project::host_binary()?;
    let mut test = cargo();
    test.args(["test", "--package", "tests", "--test", "fuzz", "--"]).args(target);
    test.args(["--nocapture", "--test-threads=1"]).env("FERMATA_FUZZ_SECONDS", seconds.to_string());
    project::run(&mut test)
}

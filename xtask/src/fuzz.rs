//! `cargo xtask fuzz`: random inputs for whatever takes bytes from strangers, for as long as one likes.

use anyhow::Result;

use crate::guests;
use crate::project::{self, cargo};

pub fn run(seconds: u64, target: Option<&str>) -> Result<()> {
    guests::build(&["select"])?;
    let mut test = cargo();
    test.args(["test", "--package", "tests", "--test", "fuzz", "--"]).args(target);
    test.args(["--nocapture", "--test-threads=1"]).env("FERMATA_FUZZ_SECONDS", seconds.to_string());
    project::run(&mut test)
}

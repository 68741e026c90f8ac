//! `cargo xtask torture` and `cargo xtask soak`: build a host and what puts it under load, and run that.

use anyhow::Result;

use crate::guests;
use crate::project::{self, cargo, root, target_dir};

/// Runs the `torture` binary of `tests/` with these arguments.
pub fn run(what: &str, arguments: &[String]) -> Result<()> {
    guests::build(&["test-guest-a"])?;
    project::run(cargo().args(["build", "--release", "--package", "fermata", "--package", "tests", "--bins"]))?;
    let mut torture = std::process::Command::new(target_dir().join("release/torture"));
    project::run(torture.arg(what).args(arguments).current_dir(root()))
}

//! `cargo xtask test`: everything that must hold before a change lands.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::guests;
use crate::project::{self, cargo, host_binary};

pub fn run(rest: &[String]) -> Result<()> {
    project::run(cargo().args(["fmt", "--all", "--check"]))?;
    guests::build()?;
    project::run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    // Tests start the binary themselves.
    host_binary()?;
    if has_nextest() {
        project::run(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(rest))?;
    } else {
        project::run(cargo().args(["test", "--workspace", "--all-targets", "--no-fail-fast"]).args(rest))?;
    }
    if rest.is_empty() {
        // The one kind of test that nextest does not run.
        project::run(cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
        eprintln!("every check passed: format, lints, tests, documentation tests");
    }
    Ok(())
}

fn has_nextest() -> bool {
    let mut ask = Command::new("cargo-nextest");
    ask.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

//! `cargo xtask bench`: builds what is measured and what measures it, and runs it.

use anyhow::Result;

use crate::project::{cargo, root, target_dir};
use crate::{guests, project};

/// Runs the `bench` binary of `benches/` with these arguments; with `micro` in front, what cargo itself takes for benchmarks.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some(("micro", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return project::run(cargo().args(["bench", "--package", "benches", "--"]).args(rest));
    }
    guests::build(&["test-guest-a"])?;
    if names(arguments, "engine") {
        guests::build_all()?;
    }
    if names(arguments, "guests") {
        guests::build_for_bench()?;
    }
    project::run(cargo().args(["build", "--release", "--package", "fermata", "--package", "benches"]))?;
    let release = target_dir().join("release");
    let mut bench = std::process::Command::new(release.join("bench"));
    bench.args(arguments).current_dir(root());
    bench.arg("--checkout").arg(root());
    bench.arg("--fermata").arg(release.join("fermata"));
    bench.arg("--module").arg(root().join("target/guests/test-guest-a.wasm"));
    bench.arg("--scratch").arg(target_dir().join("bench"));
    project::run(&mut bench)
}

/// Whether a suite is among them.
fn names(arguments: &[String], suite: &str) -> bool {
    arguments.iter().any(|argument| argument == suite)
}

//! Builds the guests: every example, and the orchestrators that only tests need.

use std::path::PathBuf;

use anyhow::Result;
use fermata_guest_build::{BuildRequest, Toolchain};

use crate::project::{root, target_dir};

/// The examples that the demo shows.
pub const DEMO: [&str; 3] = ["budget-approval", "select", "new-building-permit"];
const OTHER_EXAMPLES: [&str; 6] =
    ["phone-verification", "monitor", "fan-out", "saga", "shopping-cart", "approval-by-link"];
const FOR_TESTS: [&str; 3] = ["test-guest-a", "test-guest-b", "test-guest-interpreter"];

/// Builds every guest.
pub fn build_all() -> Result<Vec<PathBuf>> {
    build(&[&DEMO[..], &OTHER_EXAMPLES, &FOR_TESTS].concat())
}

/// Builds guests to `target/guests/<package>.wasm` in the checkout, whatever CARGO_TARGET_DIR says.
pub fn build(packages: &[&str]) -> Result<Vec<PathBuf>> {
    let toolchain = Toolchain::find_or_install(&mut |line| eprintln!("{line}"))?;
    let request = BuildRequest {
        manifest_dir: root().into(),
        packages: packages.iter().map(|package| (*package).to_owned()).collect(),
        target_dir: target_dir().join("guest-build"),
        out_dir: root().join("target/guests"),
    };
    let modules = toolchain.build(&request)?;
    for module in &modules {
        eprintln!("guest: {}", module.strip_prefix(root()).unwrap_or(module).display());
    }
    Ok(modules)
}

//! Builds the guests: every example, and the orchestrators that only tests need.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fermata_guest_build::{BuildRequest, Language, Project, Toolchain, sdk, tools::Tools};

use crate::project::{root, target_dir};

/// The examples that the demo shows.
pub const DEMO: [&str; 3] = ["budget-approval", "select", "new-building-permit"];
const OTHER_EXAMPLES: [&str; 6] =
    ["phone-verification", "monitor", "fan-out", "saga", "shopping-cart", "approval-by-link"];
const FOR_TESTS: [&str; 4] = ["test-guest-a", "test-guest-b", "test-guest-interpreter", "test-guest-reaching"];

/// Projects in other languages than Rust.
const OTHER_LANGUAGES: [&str; 8] = [
    "examples/01-budget-approval/javascript",
    "examples/01-budget-approval/python",
    "examples/02-select/javascript",
    "examples/02-select/python",
    "examples/03-new-building-permit/javascript",
    "examples/03-new-building-permit/python",
    "guest-sdk/js/test/guest",
    "guest-sdk/python/tests/guest",
];

const FOR_BENCH: [&str; 2] = ["benches/guests/javascript", "benches/guests/python"];

/// Builds every guest, but those for measuring.
pub fn build_all() -> Result<()> {
    build(&[&DEMO[..], &OTHER_EXAMPLES, &FOR_TESTS].concat())?;
    OTHER_LANGUAGES.iter().try_for_each(|project| build_project(&root().join(project)))
}

/// Builds those that the suite `guests` measures.
pub fn build_for_bench() -> Result<()> {
    FOR_BENCH.iter().try_for_each(|project| build_project(&root().join(project)))
}

/// Builds guests in Rust to `target/guests/<package>.wasm` in the checkout, whatever CARGO_TARGET_DIR says.
pub fn build(packages: &[&str]) -> Result<Vec<PathBuf>> {
    let toolchain = Toolchain::find_or_install(&mut |line| eprintln!("{line}"))?;
    let request = BuildRequest {
        manifest_dir: root().into(),
        packages: packages.iter().map(|package| (*package).to_owned()).collect(),
        target_dir: target_dir().join("guest-build"),
        out_dir: out_dir(),
    };
    let modules = toolchain.build(&request)?;
    modules.iter().for_each(|module| tell(module));
    Ok(modules)
}

/// Builds a guest in another language likewise. One that was built from the same is taken from the target directory: two builds of the
/// same differ in their bytes, and so would be compiled by the host again.
fn build_project(folder: &Path) -> Result<()> {
    let project = Project::at(folder)?;
    let built = target_dir().join("guest-modules").join(made_from(folder, project.language())?);
    let module = project.module_in(&out_dir());
    if !project.module_in(&built).exists() {
        let tools = Tools::at(target_dir().join("guest-tools"));
        project.build(Some(&built), &tools, &mut |line| eprintln!("{line}"))?;
    }
    std::fs::copy(project.module_in(&built), &module)
        .with_context(|| format!("{} can not be written", module.display()))?;
    tell(&module);
    Ok(())
}

fn out_dir() -> PathBuf {
    root().join("target/guests")
}

fn tell(module: &Path) {
    eprintln!("guest: {}", module.strip_prefix(root()).unwrap_or(module).display());
}

/// Tells the sources of a project, and the SDK, from others.
fn made_from(folder: &Path, language: Language) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    folder.strip_prefix(root()).unwrap_or(folder).hash(&mut hasher);
    sdk::fingerprint(language).hash(&mut hasher);
    hash_files(folder, &mut hasher)?;
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_files(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        if path.is_file() {
            name.hash(hasher);
            std::fs::read(&path).with_context(|| format!("{} can not be read", path.display()))?.hash(hasher);
        } else if name != "__pycache__" && name != "node_modules" && name != "dist" {
            hash_files(&path, hasher)?;
        }
    }
    Ok(())
}

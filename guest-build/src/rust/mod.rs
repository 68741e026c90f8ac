//! Modules from crates: runs a cargo that builds for WebAssembly, and puts the modules where they are wanted.

mod metadata;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::child;
use metadata::{Metadata, PROFILE};
pub use toolchain::Toolchain;

/// What guests are built for: all of std works there, and the host makes it deterministic.
pub const TARGET: &str = "wasm32-wasip1";

/// The profile for a crate whose workspace has none: small, and quick for the host to compile.
const PROFILE_SETTINGS: &[&str] = &[
    "inherits='release'",
    "panic='abort'",
    "opt-level='s'",
    "lto=true",
    "codegen-units=1",
    "debug=false",
    "strip='debuginfo'",
];

/// What to build, and where to put it.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The folder with the `Cargo.toml` of a package or workspace.
    pub manifest_dir: PathBuf,
    /// The packages to build; the one in `manifest_dir` where there are no names.
    pub packages: Vec<String>,
    /// Where cargo works. Not the target directory of native builds: two toolchains would wait for each other's lock, and a
    /// standard library is built here where the toolchain has none.
    pub target_dir: PathBuf,
    /// Where the modules go, each as `<package>.wasm`.
    pub out_dir: PathBuf,
}

impl Toolchain {
    /// Builds the packages and returns the paths of their modules, in the order of the request. Cargo reports to
    /// standard error.
    pub fn build(&self, request: &BuildRequest) -> Result<Vec<PathBuf>> {
        let BuildRequest { manifest_dir, packages, target_dir, out_dir } = request;
        let metadata = Metadata::read(&mut self.cargo(), manifest_dir)?;
        let packages = metadata.select(manifest_dir, packages)?;
        let artifacts = packages.iter().map(|package| package.artifact()).collect::<Result<Vec<_>>>()?;

        let mut cargo = self.cargo();
        cargo.args(["build", "--profile", PROFILE, "--target", TARGET]).args(self.build_flags());
        cargo.arg("--manifest-path").arg(manifest_dir.join("Cargo.toml")).arg("--target-dir").arg(target_dir);
        for package in &packages {
            cargo.args(["--package", &package.name]);
        }
        if metadata.has_profile() {
            // A workspace that knows of guests is built as it was locked.
            cargo.args(metadata.has_lock_file().then_some("--locked"));
        } else {
            for setting in PROFILE_SETTINGS {
                cargo.arg("--config").arg(format!("profile.{PROFILE}.{setting}"));
            }
        }
        child::run(&mut cargo)?;

        fs::create_dir_all(out_dir).with_context(|| format!("cannot make the folder {}", out_dir.display()))?;
        let built = target_dir.join(TARGET).join(PROFILE);
        let put = |(package, artifact): (&&metadata::Package, &String)| {
            let module = out_dir.join(format!("{}.wasm", package.name));
            put(&built.join(artifact), &module)?;
            Ok(module)
        };
        packages.iter().zip(&artifacts).map(put).collect()
    }
}

/// Copies in two steps, so that whoever watches the folder never sees half a module.
fn put(artifact: &Path, module: &Path) -> Result<()> {
    let unfinished = module.with_extension(format!("wasm.{}.part", std::process::id()));
    fs::copy(artifact, &unfinished)
        .and_then(|_| fs::rename(&unfinished, module))
        .with_context(|| format!("cannot copy {} to {}", artifact.display(), module.display()))
}

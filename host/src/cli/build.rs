//! `fermata build`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use fermata_guest_build::{BuildRequest, Toolchain};

use super::text;

const EXAMPLES: &str = "\
Examples:
  fermata build .
  fermata build examples/02-select --out modules
  fermata deploy $(fermata build .)";

/// Compiles a crate of orchestrators to WebAssembly and prints the module's path.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Build {
    /// The folder with the crate's Cargo.toml.
    path: PathBuf,
    /// Where the module goes; target/guests of the crate's workspace where there is none.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Build {
    pub fn run(self) -> Result<()> {
        let target = target_dir(&self.path)?;
        let toolchain = Toolchain::find_or_install(&mut |line| eprintln!("{line}"))?;
        let request = BuildRequest {
            target_dir: target.join("guest-build"),
            out_dir: self.out.unwrap_or_else(|| target.join("guests")),
            manifest_dir: self.path,
            packages: Vec::new(),
        };
        for module in toolchain.build(&request)? {
            text::line(&module.display().to_string());
        }
        Ok(())
    }
}

/// The folder that version control ignores: `target` of the workspace, which is the crate itself where there is none around it.
fn target_dir(path: &Path) -> Result<PathBuf> {
    let manifest = path.join("Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo.args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"]).arg(&manifest);
    let output = cargo.stderr(Stdio::inherit()).output().context("cargo can not be run: install Rust first")?;
    ensure!(output.status.success(), "there is no crate at {}", manifest.display());
    let workspace = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    Ok(workspace.with_file_name("target"))
}

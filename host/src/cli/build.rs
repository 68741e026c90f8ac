//! `fermata build`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use fermata_guest_build::{Project, tools::Tools};

use super::text;

const EXAMPLES: &str = "\
Examples:
  fermata build .
  fermata build examples/02-select --out modules
  fermata build BudgetApproval.js
  fermata deploy $(fermata build .)

The tools that it takes are installed when they are first needed, from crates.io, npm or PyPI, in the versions that this
fermata was tried with; those for JavaScript and Python go to the folder FERMATA_TOOLS, else to ~/.cache/fermata/tools.";

/// Builds a module from orchestrators in Rust, JavaScript, TypeScript or Python, and prints its path.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Build {
    /// A folder with a Cargo.toml, a package.json, a pyproject.toml or a requirements.txt, or a file in JavaScript, TypeScript or
    /// Python.
    path: PathBuf,
    /// Where the module goes; where there is none, target/guests of a crate's workspace, dist of any other project.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Build {
    pub fn run(self) -> Result<()> {
        let project = Project::at(&self.path)?;
        let module = project.build(self.out.as_deref(), &Tools::of_user()?, &mut |line| eprintln!("{line}"))?;
        text::line(&module.display().to_string());
        Ok(())
    }
}

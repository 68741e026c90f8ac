//! The languages that a machine must have besides Rust: found, or installed where that is Debian and we are root.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::child::{self, command};
use crate::{Progress, debian};

/// A language that runs on the machine itself.
pub struct Language {
    /// What is needed of it, in words.
    pub needs: &'static str,
    pub debian_packages: &'static [&'static str],
    /// Its version, where all that it takes to install packages is there.
    pub version: fn() -> Option<String>,
}

pub const PYTHON: Language = Language {
    needs: "python3 (3.10 or later) with venv and ensurepip",
    debian_packages: &["python3", "python3-venv"],
    version: python_version,
};

pub const NODE: Language =
    Language { needs: "node (18 or later) with npm", debian_packages: &["nodejs", "npm"], version: node_version };

impl Language {
    /// The version of the language that is there; it is installed where it is not. `what` needs it.
    pub fn find_or_install(&self, what: &str, progress: Progress) -> Result<String> {
        if let Some(version) = (self.version)() {
            return Ok(version);
        }
        let packages = self.debian_packages;
        let reason = match debian::install(packages, &packages.join(" and "), progress) {
            Ok(()) => match (self.version)() {
                Some(version) => return Ok(version),
                None => "Debian's packages are installed, and still it is not there, or too old".to_owned(),
            },
            Err(error) => format!("it could not be installed: {error:#}"),
        };
        bail!(
            "{what} needs {}: {reason}\n\
             Choose one of these and try again:\n  \
             put it on the PATH, from wherever you like\n  \
             apt-get update && apt-get install --no-install-recommends {}    (Debian 12 or later, as root)",
            self.needs,
            packages.join(" ")
        )
    }
}

/// Makes an environment of Python in an empty folder, with packages as a file with hashes says.
pub fn python_environment(folder: &Path, requirements: &Path, progress: Progress) -> Result<()> {
    child::told(command("python3").args(["-m", "venv"]).arg(folder), progress)?;
    let arguments =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
    child::told(command(python_in(folder)).args(arguments).arg(requirements), progress)
}

/// The Python of an environment.
pub fn python_in(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

/// Installs packages of npm into a folder that holds a package.json and its lock file.
pub fn npm_install(folder: &Path, progress: Progress) -> Result<()> {
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    child::told(command("npm").args(arguments).current_dir(folder), progress)
}

fn python_version() -> Option<String> {
    let script = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10); print(sys.version)";
    child::output(Command::new("python3").args(["-c", script])).ok()
}

fn node_version() -> Option<String> {
    child::output(Command::new("npm").arg("--version")).ok()?;
    let version = child::output(Command::new("node").arg("--version")).ok()?;
    let major: u32 = version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()?;
    (major >= 18).then_some(version)
}

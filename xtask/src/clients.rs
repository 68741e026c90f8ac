//! Installs what the tests drive a host with and is not written in Rust, as the lock files say: the unmodified clients of Durable Functions
//! (`tests/it/clients.rs`), and what makes requests of all kinds from the document of the API (`tests/it/conformance.rs`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fermata_guest_build::debian;

use crate::project::{self, root, target_dir};

/// Installs what is not installed as its lock file says.
pub fn install() -> Result<()> {
    install_one(&PYTHON)?;
    install_one(&SCHEMATHESIS)?;
    install_one(&JAVASCRIPT)
}

/// A client and its language.
struct Client {
    /// The folder of its scripts and lock file below `tests/clients`, and of what is installed below `clients` in the target directory.
    folder: &'static str,
    /// What it needs, in words.
    needs: &'static str,
    debian_packages: &'static [&'static str],
    lock: &'static str,
    /// The version of the language, where all that it takes to install the client is there.
    version: fn() -> Option<String>,
    /// Installs the client of the first folder into the second one, which is empty.
    install: fn(&Path, &Path) -> Result<()>,
}

const PYTHON: Client = Client {
    folder: "python",
    needs: "python3 (3.10 or later) with venv and ensurepip",
    debian_packages: &["python3", "python3-venv"],
    lock: "requirements.txt",
    version: python_version,
    install: install_python,
};

const SCHEMATHESIS: Client = Client { folder: "schemathesis", ..PYTHON };

const JAVASCRIPT: Client = Client {
    folder: "js",
    needs: "node (18 or later) with npm",
    debian_packages: &["nodejs", "npm"],
    lock: "package-lock.json",
    version: node_version,
    install: install_javascript,
};

fn install_one(client: &Client) -> Result<()> {
    let version = find_or_install_language(client)?;
    let source = root().join("tests/clients").join(client.folder);
    let folder = target_dir().join("clients").join(client.folder);
    let lock = source.join(client.lock);
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("{} can not be read", lock.display()))?;
    // What is there was installed for a version and from a lock file: the stamp holds both.
    let (stamp, wanted) = (folder.join("installed"), format!("{version}\n{lock}"));
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    (client.install)(&source, &folder)?;
    Ok(std::fs::write(stamp, wanted)?)
}

fn find_or_install_language(client: &Client) -> Result<String> {
    if let Some(version) = (client.version)() {
        return Ok(version);
    }
    let packages = client.debian_packages;
    let reason = match debian::install(packages, &packages.join(" and "), &mut |line| eprintln!("{line}")) {
        Ok(()) => match (client.version)() {
            Some(version) => return Ok(version),
            None => "Debian's packages are installed, and still it is not there, or too old".to_owned(),
        },
        Err(error) => format!("it could not be installed: {error:#}"),
    };
    bail!(
        "the tests with the clients of Durable Functions need {}: {reason}\n\
         Choose one of these and try again:\n  \
         put it on the PATH, from wherever you like\n  \
         apt-get update && apt-get install --no-install-recommends {}    (Debian 12 or later, as root)\n\
         Tests can be run without it by `cargo nextest run` or `cargo test`; those with the clients fail then.",
        client.needs,
        packages.join(" ")
    )
}

fn python_version() -> Option<String> {
    let script = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10); print(sys.version)";
    output("python3", ["-c", script])
}

fn node_version() -> Option<String> {
    output("npm", ["--version"])?;
    let version = output("node", ["--version"])?;
    let major: u32 = version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()?;
    (major >= 18).then_some(version)
}

/// What a command prints, where it is there and succeeds.
fn output<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn install_python(source: &Path, folder: &Path) -> Result<()> {
    project::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let arguments = ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement"];
    project::run(Command::new(python(folder)).args(arguments.map(OsStr::new)).arg(source.join(PYTHON.lock)))
}

fn python(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

fn install_javascript(source: &Path, folder: &Path) -> Result<()> {
    for file in ["package.json", JAVASCRIPT.lock] {
        std::fs::copy(source.join(file), folder.join(file))?;
    }
    project::run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder))
}

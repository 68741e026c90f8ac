//! Installs what the tests drive a host with and is not written in Rust, as the lock files say: the unmodified clients of Durable Functions
//! (`tests/it/clients.rs`), and what makes requests of all kinds from the document of the API (`tests/it/conformance.rs`).

use std::path::Path;

use anyhow::{Context, Result};
use fermata_guest_build::language::{self, Language};

use crate::project::{root, target_dir};

/// Installs what is not installed as its lock file says.
pub fn install() -> Result<()> {
    install_one(&PYTHON)?;
    install_one(&SCHEMATHESIS)?;
    install_one(&JAVASCRIPT)
}

/// A client, or another program of the tests, and its language.
struct Client {
    /// The folder of its scripts and lock file below `tests/clients`, and of what is installed below `clients` in the target directory.
    folder: &'static str,
    language: Language,
    lock: &'static str,
    /// Installs the client of the first folder into the second one, which is empty.
    install: fn(&Path, &Path) -> Result<()>,
}

const PYTHON: Client =
    Client { folder: "python", language: language::PYTHON, lock: "requirements.txt", install: install_python };

const SCHEMATHESIS: Client = Client { folder: "schemathesis", ..PYTHON };

const JAVASCRIPT: Client =
    Client { folder: "js", language: language::NODE, lock: "package-lock.json", install: install_javascript };

fn install_one(client: &Client) -> Result<()> {
    let version = client
        .language
        .find_or_install("the tests with the clients of Durable Functions", &mut |line| eprintln!("{line}"))
        .context(
            "tests can be run without it by `cargo nextest run` or `cargo test`; those with the clients fail then",
        )?;
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

fn install_python(source: &Path, folder: &Path) -> Result<()> {
    language::python_environment(folder, &source.join(PYTHON.lock), &mut |line| eprintln!("{line}"))
}

fn install_javascript(source: &Path, folder: &Path) -> Result<()> {
    for file in ["package.json", JAVASCRIPT.lock] {
        std::fs::copy(source.join(file), folder.join(file))?;
    }
    language::npm_install(folder, &mut |line| eprintln!("{line}"))
}

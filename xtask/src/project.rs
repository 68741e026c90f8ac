//! Where things are, and how to run the project's cargo.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// The checkout. Cargo says where it is when it runs this program: where it was compiled may have been another checkout with the same
/// target directory.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let compiled = || env!("CARGO_MANIFEST_DIR").into();
        let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(compiled));
        manifest.parent().expect("xtask lies in the checkout").to_owned()
    })
}

/// Where cargo builds to.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The `fermata` binary, built in the profile that the tests use too.
pub fn host_binary() -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "fermata"]))?;
    Ok(target_dir().join("debug").join(format!("fermata{}", std::env::consts::EXE_SUFFIX)))
}

pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs a command to its end, with its output where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    let status = spawn(command)?.wait()?;
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// Starts a command, and shows it as one would type it.
pub fn spawn(command: &mut Command) -> Result<Child> {
    let line = shown(command);
    eprintln!("\x1b[1m$ {line}\x1b[0m");
    command.spawn().with_context(|| format!("`{line}` could not be started"))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    format!("{program} {}", arguments.join(" "))
}

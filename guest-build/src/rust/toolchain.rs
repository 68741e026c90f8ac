//! Finds a toolchain that builds for WebAssembly, and installs one where there is none.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::TARGET;
use crate::child::{self, command};
use crate::debian;

/// The variable that chooses a toolchain: `rustup` or `debian`.
const CHOICE: &str = "FERMATA_WASM";

/// Debian's Rust for WebAssembly. It ships std as source.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22", "wasi-libc"];

/// What a download of one target may take before it counts as out of reach.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// A toolchain that builds modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The cargo of the user, with the target installed.
    Rustup,
    /// The cargo of Debian's `cargo-web`, which builds std as well: a minute, once for each target directory.
    Debian,
}

impl Toolchain {
    /// Finds an installed toolchain, else installs one; `progress` is told what takes time.
    ///
    /// The variable `FERMATA_WASM` (`rustup` or `debian`) chooses. Without it, in this order: a target installed with rustup, Debian's
    /// packages where they are installed, the target by `rustup target add`, Debian's packages where we are root.
    pub fn find_or_install(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let chosen = std::env::var(CHOICE).unwrap_or_default();
        let candidates: &[Self] = match chosen.as_str() {
            "" => &[Self::Rustup, Self::Debian],
            "rustup" => &[Self::Rustup],
            "debian" => &[Self::Debian],
            other => bail!("{CHOICE} is `{other}`; it may be `rustup` or `debian`"),
        };
        if let Some(found) = candidates.iter().find(|candidate| candidate.is_installed()) {
            return Ok(*found);
        }
        let mut reasons = String::new();
        for candidate in candidates {
            match candidate.install(progress) {
                Ok(()) if candidate.is_installed() => return Ok(*candidate),
                Ok(()) => reasons += &format!("  {candidate:?}: installed, and still not complete\n"),
                Err(error) => reasons += &format!("  {candidate:?}: {error:#}\n"),
            }
        }
        bail!(
            "no Rust toolchain here builds for {TARGET}:\n{reasons}\
             Choose one of these and try again:\n  \
             rustup target add {TARGET}\n  \
             apt-get update && apt-get install --no-install-recommends {}    (Debian 12 or later, as root)\n\
             {CHOICE}=rustup or {CHOICE}=debian chooses where both are there.",
            DEBIAN_PACKAGES.join(" ")
        )
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Rustup => {
                let libraries = child::output(command("rustc").args(["--print", "target-libdir", "--target", TARGET]));
                libraries.is_ok_and(|directory| has_files(Path::new(directory.trim())))
            }
            Self::Debian => debian::are_installed(DEBIAN_PACKAGES),
        }
    }

    fn install(self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        match self {
            Self::Rustup => {
                progress(&format!("adding the target {TARGET} with rustup"));
                let mut rustup = command("rustup");
                child::run_within(RUSTUP_LIMIT, rustup.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "0"))
            }
            Self::Debian => debian::install(DEBIAN_PACKAGES, "Rust for WebAssembly", progress),
        }
    }

    /// Cargo, made ready to build for the target once its subcommand is given.
    pub(super) fn cargo(self) -> Command {
        match self {
            Self::Rustup => command("cargo"),
            Self::Debian => {
                let mut cargo = command("/usr/bin/cargo");
                // rustup's proxies point the loader at rustup's own compiler.
                cargo.env_remove("LD_LIBRARY_PATH").env_remove("RUSTC_WRAPPER").env("RUSTC", "/usr/bin/rustc");
                // For `-Z build-std`, and for its linker to find the C library.
                cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", "-L /usr/lib/wasm32-wasi");
                cargo
            }
        }
    }

    /// What `cargo build` is told besides.
    pub(super) fn build_flags(self) -> &'static [&'static str] {
        match self {
            Self::Rustup => &[],
            Self::Debian => &["-Z", "build-std=std,panic_abort"],
        }
    }
}

fn has_files(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

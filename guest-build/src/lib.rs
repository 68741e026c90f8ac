//! Builds modules of orchestrators: finds a WebAssembly toolchain, installs one where there is none, and runs cargo.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use fermata_guest_build::{BuildRequest, Toolchain};
//!
//! let toolchain = Toolchain::find_or_install(&mut |line| eprintln!("{line}"))?;
//! let modules = toolchain.build(&BuildRequest {
//!     manifest_dir: "examples/02-select".into(),
//!     packages: Vec::new(),
//!     target_dir: "target/guest".into(),
//!     out_dir: "modules".into(),
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! The modules are core modules for `wasm32-wasip1` with the contract embedded; the host makes components of them.

mod build;
mod child;
pub mod debian;
mod metadata;
mod toolchain;

pub use build::BuildRequest;
pub use toolchain::Toolchain;

/// What guests are built for: all of std works there, and the host makes it deterministic.
pub const TARGET: &str = "wasm32-wasip1";

//! Builds modules of orchestrators, in whatever language they are written, and gets the tools that this takes.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use fermata_guest_build::{Project, tools::Tools};
//!
//! let project = Project::at("examples/02-select".as_ref())?;
//! let module = project.build(None, &Tools::of_user()?, &mut |line| eprintln!("{line}"))?;
//! println!("{}", module.display());
//! # Ok(())
//! # }
//! ```
//!
//! - [`project`]: what lies in a folder, and how it is built
//! - [`rust`]: crates, by a cargo that builds for WebAssembly. The modules are core modules with the contract embedded; the host makes
//!   components of them
//! - [`javascript`], [`python`]: components, by the tools of these languages
//! - [`language`], [`debian`]: Node and Python, found or installed; [`tools`]: what their registries hold, installed as lock files say
//! - [`sdk`]: the SDKs and the contract, which this crate carries

mod child;
pub mod debian;
mod javascript;
pub mod language;
mod project;
mod python;
mod rust;
pub mod sdk;
pub mod tools;

pub use project::{Language, Project};
pub use rust::{BuildRequest, TARGET, Toolchain};

/// Is told what takes time, a line at a time.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

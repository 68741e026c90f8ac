//! From uploaded bytes to machine code. What is uploaded may be made to hurt whoever compiles it, so a host lets a child do that.
//!
//! - [`job`]: the work itself, with nothing around it
//! - [`child`]: the same in a child process, which is bounded and may be killed
//! - [`sandbox`]: what such a child gives up before it looks at the module
//! - [`cache`]: machine code on disk

pub mod cache;
mod child;
mod job;
mod sandbox;

use std::path::PathBuf;

use super::BadModule;
use crate::limits::ModuleLimits;
use child::Child;
pub use child::{Assignment, run_as_child};
use job::Job;
pub use job::machine_code;

/// Who compiles modules, within which bounds.
pub enum Compiler {
    /// This process. Of the bounds those are kept that can be counted: for modules of one's own.
    Here(ModuleLimits),
    /// A child process for each module.
    Child(Child),
}

impl Compiler {
    pub fn here(limits: ModuleLimits) -> Compiler {
        Compiler::Here(limits)
    }

    /// Children of the program that runs now, which must be `fermata`.
    pub fn in_children(limits: ModuleLimits) -> Compiler {
        Compiler::in_children_of(child::this_program(), limits)
    }

    /// Children of another program: a `fermata` of the same version, which runs [`run_as_child`] for its hidden command.
    pub fn in_children_of(program: PathBuf, limits: ModuleLimits) -> Compiler {
        Compiler::Child(Child { program, limits })
    }

    /// A component as it is; a core module made into one.
    pub(super) fn encode(&self, module: &[u8]) -> Result<Vec<u8>, BadModule> {
        let limits = self.limits();
        super::check::within("bytes", module.len() as u64, limits.module_bytes as u64)?;
        if job::is_core(module)? { self.run(Job::Encode, module) } else { Ok(module.to_vec()) }
    }

    /// The machine code of a component that is valid and within the limits.
    pub(super) fn compile(&self, component: &[u8]) -> Result<Vec<u8>, BadModule> {
        self.run(Job::Compile, component)
    }

    fn run(&self, job: Job, module: &[u8]) -> Result<Vec<u8>, BadModule> {
        match self {
            Compiler::Here(limits) => job.run(module, limits),
            Compiler::Child(child) => child.run(job, module),
        }
    }

    fn limits(&self) -> &ModuleLimits {
        match self {
            Compiler::Here(limits) => limits,
            Compiler::Child(child) => &child.limits,
        }
    }
}

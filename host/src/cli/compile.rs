//! `fermata compile-module`: what `serve` starts to compile a module in. Not for people.

use clap::Args;

use super::failure::Failure;
use crate::engine::compile::{Assignment, run_as_child};

/// Compiles one module, with nothing but its standard streams.
#[derive(Args)]
#[command(hide = true)]
pub struct CompileModule {
    /// What to do, as JSON.
    #[arg(value_parser = assignment)]
    assignment: Assignment,
}

impl CompileModule {
    pub fn run(self) -> Result<(), Failure> {
        Ok(run_as_child(&self.assignment).map_err(anyhow::Error::from)?)
    }
}

fn assignment(text: &str) -> Result<Assignment, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

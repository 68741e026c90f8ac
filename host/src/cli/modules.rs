//! `fermata deploy`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hyper::StatusCode;
use serde::Deserialize;

use super::failure::Failure;
use super::{Remote, text};

const EXAMPLES: &str = "\
Examples:
  fermata deploy target/guests/budget-approval.wasm
  fermata deploy $(fermata build examples/02-select)";

/// Deploys a module: new starts of the orchestrators it holds run its code, instances under way keep theirs.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Deploy {
    /// A WebAssembly component, or a core module built with the fermata-guest crate.
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Module {
    digest: String,
    orchestrators: Vec<String>,
    activities: Vec<String>,
}

impl Deploy {
    pub async fn run(self) -> Result<(), Failure> {
        let bytes = std::fs::read(&self.file).with_context(|| format!("{} can not be read", self.file.display()))?;
        let reply = self.remote.client()?.put("/modules", bytes.into()).await?;
        if self.remote.is_json() {
            return text::json(&reply.body);
        }
        let module: Module = text::parse(&reply.body)?;
        let how = if reply.status == StatusCode::CREATED { "deployed" } else { "known already, and active again" };
        eprintln!(
            "{how}; orchestrators: {}; activities: {}",
            text::names(&module.orchestrators),
            text::names(&module.activities)
        );
        text::line(&module.digest);
        Ok(())
    }
}

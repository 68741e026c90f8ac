//! `fermata deploy` and `fermata modules`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hyper::StatusCode;
use serde::Deserialize;

use super::failure::Failure;
use super::{Remote, text};
use crate::url::encode;

const DEPLOY_EXAMPLES: &str = "\
Examples:
  fermata deploy target/guests/budget-approval.wasm
  fermata deploy $(fermata build examples/02-select)";

/// Deploys a module: new starts of the orchestrators it holds run its code, instances under way keep theirs.
#[derive(Args)]
#[command(after_help = DEPLOY_EXAMPLES)]
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
    deployed: String,
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

const MODULES_EXAMPLES: &str = "\
Examples:
  fermata modules
  fermata modules -o json | jq -r '.[0].digest'
  fermata modules delete 3f2a91";

/// Lists the modules, the latest deployed first; or deletes one.
#[derive(Args)]
#[command(after_help = MODULES_EXAMPLES)]
pub struct Modules {
    #[command(subcommand)]
    command: Option<OfModules>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Subcommand)]
enum OfModules {
    Delete(Delete),
}

const DELETE_EXAMPLES: &str = "\
Examples:
  fermata modules delete 3f2a91";

/// Deletes a module that is not the newest one for any name, and that no instance needs any more.
#[derive(Args)]
#[command(after_help = DELETE_EXAMPLES)]
struct Delete {
    /// Its digest, or as much of its beginning as no other has.
    digest: String,
}

impl Modules {
    pub async fn run(self) -> Result<(), Failure> {
        match &self.command {
            None => self.list().await,
            Some(OfModules::Delete(Delete { digest })) => self.delete(digest).await,
        }
    }

    async fn list(&self) -> Result<(), Failure> {
        let reply = self.remote.client()?.get("/modules").await?;
        if self.remote.is_json() {
            return text::json(&reply.body);
        }
        let modules: Vec<Module> = text::parse(&reply.body)?;
        let names: Vec<[String; 2]> = modules
            .iter()
            .map(|module| [&module.orchestrators, &module.activities].map(|list| text::names(list)))
            .collect();
        let rows: Vec<[&str; 4]> = modules
            .iter()
            .zip(&names)
            .map(|(module, [orchestrators, activities])| {
                [text::short(&module.digest), &*module.deployed, &**orchestrators, &**activities]
            })
            .collect();
        text::table(["MODULE", "DEPLOYED", "ORCHESTRATORS", "ACTIVITIES"], &rows);
        Ok(())
    }

    async fn delete(&self, digest: &str) -> Result<(), Failure> {
        self.remote.client()?.delete(&format!("/modules/{}", encode(digest))).await?;
        if self.remote.is_json() {
            text::line(&serde_json::json!({ "deleted": digest }).to_string());
        } else {
            eprintln!("the module {digest} is gone");
        }
        Ok(())
    }
}

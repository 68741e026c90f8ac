//! `fermata export` and `fermata replay`: a history outside its host.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use fermata_replay::{Execution, Mismatch, State, Step, Timestamp};
use serde::Deserialize;

use super::failure::{Exit, Failure};
use super::instances::BASE;
use super::{Format, Remote, text};
use crate::engine::{self, Engine, Module, Progress};
use crate::limits::GuestLimits;
use crate::url::encode;

const EXPORT_EXAMPLES: &str = "\
Examples:
  fermata export order-1 --out order-1.json
  fermata export order-1 | jq '.steps | length'";

/// Writes an instance with its whole history as JSON: for `fermata replay`, and to be kept.
#[derive(Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct Export {
    /// The instance's id.
    id: String,
    /// Where to; standard output where it is not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Export {
    pub async fn run(self) -> Result<(), Failure> {
        let path = format!("{BASE}/instances/{}/history", encode(&self.id));
        let reply = self.remote.client()?.get(&path).await?;
        let Some(out) = self.out else { return text::json(&reply.body) };
        std::fs::write(&out, &reply.body).with_context(|| format!("{} can not be written", out.display()))?;
        eprintln!("the history of {} is in {}", self.id, out.display());
        Ok(())
    }
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  fermata replay order-1.json --module target/guests/order.wasm
  for history in histories/*.json; do fermata replay $history --module $(fermata build .) || exit; done";

/// Replays an exported history against a module, without a host: does the module do what was recorded?
///
/// Exits with 3 where it does something else, and says what.
#[derive(Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub struct Replay {
    /// What `fermata export` has written.
    history: PathBuf,
    /// The module to try: a WebAssembly component, or a core module built with the fermata-guest crate.
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// How to print the outcome.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// An exported history.
#[derive(Debug, Deserialize)]
struct Document {
    instance: Instance,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    id: String,
    name: String,
}

/// What is read first: whether the rest can be.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

const FORMAT: &str = "fermata-history";
const VERSION: u32 = 1;

impl Replay {
    pub fn run(self) -> Result<(), Failure> {
        let text =
            std::fs::read(&self.history).with_context(|| format!("{} can not be read", self.history.display()))?;
        let document = document(&text).with_context(|| format!("{} can not be replayed", self.history.display()))?;
        let cache = tempfile::tempdir().context("a folder for the compiled module can not be made")?;
        let (engine, module) = self.admit(cache.path())?;
        let Document { instance, steps } = document;
        if !module.orchestrators().contains(&instance.name) {
            let holds = text::names(module.orchestrators());
            let error = anyhow!("the module holds no orchestrator {:?}; it holds: {holds}", instance.name);
            return Err(Failure::new(Exit::Diverges, error));
        }
        let count = steps.len();
        let outcome = replay(&engine, &module, &instance.id, steps)?;
        if self.output == Format::Json {
            text::line(&in_json(count, outcome.as_deref()).to_string());
        }
        match outcome {
            Some(mismatch) => Err(Failure::new(Exit::Diverges, anyhow!("{mismatch}"))),
            None if self.output == Format::Json => Ok(()),
            None => {
                text::line(&format!("the module fits: all {count} steps of {} came out as recorded", instance.id));
                Ok(())
            }
        }
    }

    fn admit(&self, cache: &Path) -> Result<(Arc<Engine>, Arc<Module>), Failure> {
        let engine = Engine::new(GuestLimits::default(), GUESTS, cache)
            .map_err(|error| anyhow!("the WebAssembly engine can not start: {error:#}"))?;
        let bytes =
            std::fs::read(&self.module).with_context(|| format!("{} can not be read", self.module.display()))?;
        let admitted = engine.admit(&bytes).with_context(|| format!("{} is no module", self.module.display()))?;
        Ok((engine, admitted.module))
    }
}

/// One that replays, and one that is asked what the module holds.
const GUESTS: u32 = 2;

fn document(text: &[u8]) -> anyhow::Result<Document> {
    let no_export = "this is not what `fermata export` writes";
    let kind: Kind = serde_json::from_slice(text).context(no_export)?;
    anyhow::ensure!(kind.format == FORMAT, "{no_export}: its format is {:?}", kind.format);
    anyhow::ensure!(
        kind.version == VERSION,
        "its version is {}, and this program knows version {VERSION}: take a newer one",
        kind.version
    );
    let document: Document = serde_json::from_slice(text).context("the document is damaged")?;
    State::checked(&document.steps).context("the document is damaged")?;
    Ok(document)
}

/// Where the module parts from history; none where it does not.
fn replay(
    engine: &Arc<Engine>,
    module: &Arc<Module>,
    id: &str,
    steps: Vec<Step>,
) -> anyhow::Result<Option<Box<Mismatch>>> {
    let mut execution = Execution::new(steps);
    if execution.begin().is_none() {
        // Nothing has run yet, or all was undone.
        return Ok(None);
    }
    match engine.guest(module, id, 0, execution).resume([], Timestamp(i64::MIN)) {
        Progress::Blocked | Progress::Ended(engine::End::Recorded) => Ok(None),
        Progress::Ended(engine::End::Mismatch(mismatch)) => Ok(Some(mismatch)),
        Progress::Ended(engine::End::Abandoned(reason)) => Err(anyhow!("the replay was given up: {reason}")),
    }
}

fn in_json(steps: usize, mismatch: Option<&Mismatch>) -> serde_json::Value {
    let mismatch = mismatch.map(|mismatch| {
        serde_json::json!({
            "step": mismatch.step,
            "position": mismatch.position,
            "recorded": mismatch.history,
            "asked": mismatch.guest,
            "text": mismatch.to_string(),
        })
    });
    serde_json::json!({ "fits": mismatch.is_none(), "steps": steps, "mismatch": mismatch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", document(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn only_what_was_exported_is_replayed() {
        assert!(refused("").contains("fermata export"));
        assert!(refused("[1]").contains("fermata export"));
        assert!(refused(r#"{"format":"other","version":1}"#).contains("\"other\""));
        assert!(refused(r#"{"format":"fermata-history","version":2}"#).contains("version is 2"));
        assert!(refused(r#"{"format":"fermata-history","version":1,"steps":[]}"#).contains("damaged"));
        let suspended = r#"{"seq":1,"at":1,"message":{"Suspended":{}}}"#;
        let headless = format!(
            r#"{{"format":"fermata-history","version":1,"instance":{{"id":"i","name":"W"}},"steps":[{suspended}]}}"#
        );
        assert!(refused(&headless).contains("step 1 of the history can not be: the first one is the start"));
        let empty = r#"{"format":"fermata-history","version":1,"instance":{"id":"i","name":"W","more":1},"steps":[]}"#;
        assert_eq!(document(empty.as_bytes()).unwrap().instance.id, "i");
    }
}

//! `fermata skip`.

use bytes::Bytes;
use clap::Args;
use fermata_replay::Span;

use super::failure::Failure;
use super::{Remote, duration, text};

const EXAMPLES: &str = "\
Examples:
  fermata skip 90s
  fermata skip 7d";

/// Moves the clock of a host forward that was started with --skippable-clock: timers that are due then fire.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Skip {
    /// How far: 90s, 15m, 12h, 7d.
    #[arg(value_name = "DURATION", value_parser = duration::parse)]
    length: Span,
    #[command(flatten)]
    remote: Remote,
}

impl Skip {
    pub async fn run(self) -> Result<(), Failure> {
        let seconds = self.length.0 as f64 / 1e6;
        self.remote.client()?.post(&format!("/clock/skip?seconds={seconds}"), Bytes::new()).await?;
        if self.remote.is_json() {
            text::line(&serde_json::json!({ "skippedSeconds": seconds }).to_string());
        } else {
            eprintln!("the host's clock is {} ahead of where it was", duration::show(self.length));
        }
        Ok(())
    }
}

//! `fermata binding`.

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::{Remote, text};

const EXAMPLES: &str = "\
Examples:
  fermata binding
  fermata binding --client python --key fermata_…";

/// Prints what the clients of Durable Functions take as their binding (JSON): where this host is, and with which key.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Binding {
    /// Which client it is for. Python's encodes every payload twice, and is given a place that takes one level off.
    #[arg(long, value_enum, default_value_t = Language::Js)]
    client: Language,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Js,
    Python,
}

impl Binding {
    pub async fn run(self) -> Result<(), Failure> {
        let client = match self.client {
            Language::Js => "js",
            Language::Python => "python",
        };
        let reply = self.remote.client()?.get(&format!("/clients/durable-binding?client={client}")).await?;
        text::json(&reply.body)
    }
}

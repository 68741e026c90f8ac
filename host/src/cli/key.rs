//! `fermata key`: who may ask a host. It changes a file of the data directory, so it works while the host runs, and before it ever ran.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fermata_replay::Span;
use serde::Serialize;

use super::failure::{Exit, Failure};
use super::{Format, duration, text};
use crate::keys::{Key, KeyFile, KeysError, Scope};
use crate::name_pattern::NamePattern;

const EXAMPLES: &str = "\
Examples:
  fermata key create admin
  fermata key create shop --scope start,raise --orchestrator 'Order*' --orchestrator Refund
  fermata key create dashboard --scope read --expires 90d --rate 20
  fermata key list
  fermata key revoke shop

The first key closes a host that listens on this machine alone, too: from then on every request needs one.";

/// Makes, lists and revokes the keys of a host. A running host knows at once.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct KeyCommand {
    #[command(subcommand)]
    action: Action,
    /// The data directory of the host.
    #[arg(long, value_name = "DIR", default_value = "fermata-data", env = "FERMATA_DATA", global = true)]
    data: PathBuf,
    /// How to print the answer.
    #[arg(short, long, value_enum, default_value_t = Format::Text, global = true)]
    output: Format,
}

#[derive(Subcommand)]
enum Action {
    /// Makes a key and prints it. It is shown this once: the host keeps only a hash.
    Create {
        /// What the key is called: it is revoked by this name.
        name: String,
        /// What it is good for; everything, where that is not said.
        #[arg(long, value_delimiter = ',', value_name = "start,raise,read,control,deploy")]
        scope: Vec<Scope>,
        /// For which orchestrators; * stands for any characters. May be repeated; all of them, where that is not said.
        #[arg(long, value_name = "PATTERN")]
        orchestrator: Vec<NamePattern>,
        /// After how long it is good for nothing: 12h, 90d; never, where that is not said.
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        expires: Option<Span>,
        /// How many requests a second may be made with it; as the host is configured, where that is not said.
        #[arg(long, value_name = "N")]
        rate: Option<NonZeroU32>,
    },
    /// Shows the keys there are, without the keys themselves.
    List,
    /// Takes a key away.
    Revoke { name: String },
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    key: &'a str,
}

impl KeyCommand {
    pub fn run(self) -> Result<(), Failure> {
        let file = KeyFile::new(&self.data);
        let is_json = self.output == Format::Json;
        match self.action {
            Action::Create { name, scope, orchestrator, expires, rate } => {
                let scopes = if scope.is_empty() { Scope::ALL.to_vec() } else { scope };
                let expires = expires.map(from_now).transpose()?;
                let (mut key, secret) = Key::new(name.clone(), scopes, orchestrator, expires);
                key.rate = rate;
                file.add(key)?;
                if is_json {
                    text::line(&serde_json::json!(Created { name: &name, key: &secret }).to_string());
                } else {
                    eprintln!("made the key {name}; it is not shown again:");
                    text::line(&secret);
                }
            }
            Action::List => list(&file.read()?.unwrap_or_default(), is_json),
            Action::Revoke { name } => {
                file.revoke(&name)?;
                eprintln!("revoked the key {name}");
            }
        }
        Ok(())
    }
}

fn from_now(span: Span) -> Result<jiff::Timestamp, Failure> {
    let now = jiff::Timestamp::now().as_microsecond();
    let at = i64::try_from(span.0).ok().and_then(|span| now.checked_add(span));
    let instant = at.and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    instant.ok_or_else(|| Failure::new(Exit::Usage, anyhow::anyhow!("--expires is longer than the calendar")))
}

fn list(keys: &[Key], is_json: bool) {
    if is_json {
        return text::line(&serde_json::json!(keys.iter().map(shown).collect::<Vec<_>>()).to_string());
    }
    for key in keys {
        let scopes = key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(",");
        let patterns = key.orchestrators.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let orchestrators = if patterns.is_empty() { "*" } else { &patterns };
        let expires = key.expires.map_or("never expires".into(), |at| format!("expires {at:.0}"));
        let rate = key.rate.map(|rate| format!(", {rate} requests a second")).unwrap_or_default();
        text::line(&format!("{:<20} {scopes:<32} {orchestrators:<20} {expires}{rate}", key.name));
    }
}

/// What people and programs may see of a key: not even its hash.
fn shown(key: &Key) -> serde_json::Value {
    serde_json::json!({
        "name": key.name,
        "scopes": key.scopes,
        "orchestrators": key.orchestrators,
        "created": key.created,
        "expires": key.expires,
        "rate": key.rate,
    })
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Failure {
        match error {
            KeysError::Exists(_) => Failure::new(Exit::Conflict, error).hint("revoke it first, or take another name"),
            KeysError::Unknown(_) => {
                Failure::new(Exit::NotFound, error).hint("`fermata key list` shows those there are")
            }
            KeysError::Unreadable { .. } | KeysError::Io { .. } => Failure::new(Exit::Failed, error),
        }
    }
}

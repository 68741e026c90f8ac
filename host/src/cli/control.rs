//! What an operator asks of instances: `fermata terminate`, `suspend`, `resume`, `rewind`, `restart`, `unpark`, `purge`.

use std::fmt::Write as _;

use bytes::Bytes;
use clap::{ArgGroup, Args};
use fermata_replay::Span;
use serde::Deserialize;

use super::failure::{Exit, Failure};
use super::instances::{BASE, Started};
use super::{Remote, duration, text};
use crate::url::encode;

const TERMINATE_EXAMPLES: &str = "\
Examples:
  fermata terminate order-1
  fermata terminate order-1 --reason 'out of stock' --cascade";

/// Ends an instance at once. Its code gets no chance to run again; the reason becomes its output.
#[derive(Args)]
#[command(after_help = TERMINATE_EXAMPLES)]
pub struct Terminate {
    /// The instance's id.
    id: String,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    children: Children,
    #[command(flatten)]
    remote: Remote,
}

const SUSPEND_EXAMPLES: &str = "\
Examples:
  fermata suspend order-1
  fermata suspend order-1 --reason 'stocktaking'";

/// Has an instance wait until it is resumed. What it is sent meanwhile is kept.
#[derive(Args)]
#[command(after_help = SUSPEND_EXAMPLES)]
pub struct Suspend {
    /// The instance's id.
    id: String,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    children: Children,
    #[command(flatten)]
    remote: Remote,
}

const RESUME_EXAMPLES: &str = "\
Examples:
  fermata resume order-1
  fermata resume order-1 --reason 'the shelves are counted' --cascade";

/// Has a suspended instance go on, first with what it was sent meanwhile.
#[derive(Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub struct Resume {
    /// The instance's id.
    id: String,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    children: Children,
    #[command(flatten)]
    remote: Remote,
}

const REWIND_EXAMPLES: &str = "\
Examples:
  fermata rewind order-1
  fermata rewind order-1 --reason 'the carrier is back'";

/// Has a failed instance go on before the step that failed it: what failed is done again.
#[derive(Args)]
#[command(after_help = REWIND_EXAMPLES)]
pub struct Rewind {
    /// The instance's id.
    id: String,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    remote: Remote,
}

const UNPARK_EXAMPLES: &str = "\
Examples:
  fermata unpark order-1
  fermata list -o json | jq -r '.[] | select(.parked) | .instanceId' | xargs -n1 fermata unpark";

/// Has a parked instance try again with the module that it has, and a stalled one try now.
#[derive(Args)]
#[command(after_help = UNPARK_EXAMPLES)]
pub struct Unpark {
    /// The instance's id.
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct Asked {
    /// Why; it is kept in the history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args)]
struct Children {
    /// Ask the same of the sub-orchestrations that it waits for.
    #[arg(long)]
    cascade: bool,
}

impl Terminate {
    pub async fn run(self) -> Result<(), Failure> {
        ask(&self.remote, &self.id, "terminate", self.asked.reason, self.children.cascade).await
    }
}

impl Suspend {
    pub async fn run(self) -> Result<(), Failure> {
        ask(&self.remote, &self.id, "suspend", self.asked.reason, self.children.cascade).await
    }
}

impl Resume {
    pub async fn run(self) -> Result<(), Failure> {
        ask(&self.remote, &self.id, "resume", self.asked.reason, self.children.cascade).await
    }
}

impl Rewind {
    pub async fn run(self) -> Result<(), Failure> {
        ask(&self.remote, &self.id, "rewind", self.asked.reason, false).await
    }
}

impl Unpark {
    pub async fn run(self) -> Result<(), Failure> {
        ask(&self.remote, &self.id, "unpark", None, false).await
    }
}

async fn ask(
    remote: &Remote,
    id: &str,
    verb: &'static str,
    reason: Option<String>,
    cascade: bool,
) -> Result<(), Failure> {
    let mut path = format!("{BASE}/instances/{}/{verb}?cascade={cascade}", encode(id));
    if let Some(reason) = reason {
        let _ = write!(path, "&reason={}", encode(&reason));
    }
    remote.client()?.post(&path, Bytes::new()).await?;
    if remote.is_json() {
        text::line(&serde_json::json!({ "instanceId": id, "asked": verb }).to_string());
    } else {
        eprintln!("{verb} has been accepted for {id}");
    }
    Ok(())
}

const RESTART_EXAMPLES: &str = "\
Examples:
  fermata restart order-1
  fermata restart order-1 --same-id";

/// Starts an instance's orchestrator anew, with the same input, and prints the id of the new instance.
#[derive(Args)]
#[command(after_help = RESTART_EXAMPLES)]
pub struct Restart {
    /// The instance's id.
    id: String,
    /// The new instance takes the place of the old one, which must have ended.
    #[arg(long)]
    same_id: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Restart {
    pub async fn run(self) -> Result<(), Failure> {
        let new_id = !self.same_id;
        let path = format!("{BASE}/instances/{}/restart?restartWithNewInstanceId={new_id}", encode(&self.id));
        let reply = self.remote.client()?.post(&path, Bytes::new()).await?;
        if self.remote.is_json() {
            return text::json(&reply.body);
        }
        let Started { id } = text::parse(&reply.body)?;
        eprintln!("started what {} was", self.id);
        text::line(&id);
        Ok(())
    }
}

const PURGE_EXAMPLES: &str = "\
Examples:
  fermata purge order-1
  fermata purge order-1 --force
  fermata purge --older-than 7d
  fermata purge --older-than 12h --status Completed,Terminated --name Order";

/// Removes an instance that has ended with all its history, or many of them.
#[derive(Args)]
#[command(after_help = PURGE_EXAMPLES, group = ArgGroup::new("which").required(true).args(["id", "older_than"]))]
pub struct Purge {
    /// The instance's id.
    id: Option<String>,
    /// Even if it has not ended.
    #[arg(long, conflicts_with = "older_than")]
    force: bool,
    /// All that have ended and were created longer ago than this: 90s, 15m, 12h, 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    older_than: Option<Span>,
    /// Of those, only these statuses: Completed, Failed, Terminated.
    #[arg(long, value_delimiter = ',', conflicts_with = "id")]
    status: Vec<String>,
    /// Of those, only this orchestrator.
    #[arg(long, conflicts_with = "id")]
    name: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    instances_deleted: u64,
}

impl Purge {
    pub async fn run(self) -> Result<(), Failure> {
        let body = match self.remote.client()?.delete(&self.path()).await {
            Ok(reply) => reply.body,
            // That nothing is old enough is no failure.
            Err(failure) if failure.exit() == Exit::NotFound && self.id.is_none() => {
                Bytes::from_static(br#"{"instancesDeleted":0}"#)
            }
            Err(failure) => return Err(failure),
        };
        if self.remote.is_json() {
            return text::json(&body);
        }
        let Purged { instances_deleted } = text::parse(&body)?;
        match &self.id {
            Some(id) => eprintln!("{id} is gone"),
            None => eprintln!("instances purged: {instances_deleted}"),
        }
        Ok(())
    }

    fn path(&self) -> String {
        let instances = format!("{BASE}/instances");
        let (id, age) = match (&self.id, self.older_than) {
            (Some(id), _) => return format!("{instances}/{}?force={}", encode(id), self.force),
            (None, age) => (instances, age.unwrap_or_default()),
        };
        let limit = jiff::Timestamp::now().as_microsecond().saturating_sub_unsigned(age.0);
        // An age beyond all calendars leaves nothing that is older.
        let limit = jiff::Timestamp::from_microsecond(limit).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let mut path = format!("{id}?createdTimeFrom=1970-01-01T00:00:00Z&createdTimeTo={limit:.6}");
        if !self.status.is_empty() {
            let _ = write!(path, "&runtimeStatus={}", encode(&self.status.join(",")));
        }
        if let Some(name) = &self.name {
            let _ = write!(path, "&name={}", encode(name));
        }
        path
    }
}

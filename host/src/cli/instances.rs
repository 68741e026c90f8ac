//! `fermata start`, `raise`, `status` and `list`.

use std::fmt::Write as _;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::text::Instance;
use super::{Remote, text};
use crate::url::encode;

pub const BASE: &str = "/runtime/webhooks/durabletask";
const CONTINUATION: &str = "x-ms-continuation-token";

/// The most instances that a host gives at once.
const PAGE: usize = 1_000;

const START_EXAMPLES: &str = "\
Examples:
  fermata start BudgetApproval
  fermata start Select --id select-1 --input '{\"budget\": 5000}'
  fermata start Select --input @request.json
  echo '\"APP-42\"' | fermata start NewBuildingPermit --input -";

/// Starts an orchestrator and prints the id of the new instance.
#[derive(Args)]
#[command(after_help = START_EXAMPLES)]
pub struct Start {
    /// The orchestrator's name.
    name: String,
    /// JSON, or @FILE, or - for standard input; none is JSON null.
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// The id of the new instance; the host makes one where there is none.
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// The part of the answer to a start that people want.
#[derive(Deserialize)]
pub struct Started {
    pub id: String,
}

impl Start {
    pub async fn run(self) -> Result<(), Failure> {
        let mut path = format!("{BASE}/orchestrators/{}", encode(&self.name));
        if let Some(id) = &self.id {
            let _ = write!(path, "/{}", encode(id));
        }
        let reply = self.remote.client()?.post(&path, optional(self.input.as_deref())?).await?;
        if self.remote.is_json() {
            return text::json(&reply.body);
        }
        let Started { id } = text::parse(&reply.body)?;
        eprintln!("started {}", self.name);
        text::line(&id);
        Ok(())
    }
}

const RAISE_EXAMPLES: &str = "\
Examples:
  fermata raise budget-1 Approval true
  fermata raise select-1 Event1 12.5
  fermata raise permit-1 CityPlanningApproval
  fermata raise order-1 Confirmed @event.json";

/// Raises an external event for an instance. It is durable when the command ends.
#[derive(Args)]
#[command(after_help = RAISE_EXAMPLES)]
pub struct Raise {
    /// The instance's id.
    id: String,
    /// The event's name, in any case.
    event: String,
    /// JSON, or @FILE, or - for standard input; none is JSON null.
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    payload: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Raise {
    pub async fn run(self) -> Result<(), Failure> {
        let path = format!("{BASE}/instances/{}/raiseEvent/{}", encode(&self.id), encode(&self.event));
        self.remote.client()?.post(&path, optional(self.payload.as_deref())?).await?;
        if self.remote.is_json() {
            text::line(&serde_json::json!({ "instanceId": self.id, "event": self.event }).to_string());
        } else {
            eprintln!("{} has been accepted for {}", self.event, self.id);
        }
        Ok(())
    }
}

const STATUS_EXAMPLES: &str = "\
Examples:
  fermata status budget-1
  fermata status budget-1 --history
  fermata status budget-1 -o json | jq .output";

/// Shows how an instance gets on, and what it waits for.
#[derive(Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct Status {
    /// The instance's id.
    id: String,
    /// With everything that happened to it.
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Status {
    pub async fn run(self) -> Result<(), Failure> {
        let mut path = format!("{BASE}/instances/{}", encode(&self.id));
        // What an instance waits for comes with its history.
        if self.history || !self.remote.is_json() {
            path.push_str("?showHistory=true&showHistoryOutput=true");
        }
        let reply = self.remote.client()?.get(&path).await?;
        if self.remote.is_json() {
            return text::json(&reply.body);
        }
        let instance: Instance = text::parse(&reply.body)?;
        text::instance(&instance, self.history);
        Ok(())
    }
}

const LIST_EXAMPLES: &str = "\
Examples:
  fermata list
  fermata list --status Running,Pending --name Select
  fermata list --waiting-for Approval
  fermata list --prefix order- --top 20 -o json";

/// Lists instances in the order of their creation.
#[derive(Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct List {
    /// Only these statuses: Pending, Running, Suspended, Completed, Failed, Terminated…
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only ids that begin so.
    #[arg(long)]
    prefix: Option<String>,
    /// Only this orchestrator.
    #[arg(long)]
    name: Option<String>,
    /// Only those that an external event of this name, in any case, would let go on.
    #[arg(long, value_name = "EVENT")]
    waiting_for: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    remote: Remote,
}

impl List {
    pub async fn run(self) -> Result<(), Failure> {
        let (pages, more) = self.pages().await?;
        let mut instances: Vec<&RawValue> = Vec::new();
        for page in &pages {
            instances.extend(text::parse::<Vec<&RawValue>>(page)?);
        }
        if self.remote.is_json() {
            let list: Vec<&str> = instances.iter().map(|instance| instance.get()).collect();
            text::line(&format!("[{}]", list.join(",")));
        } else {
            show(&instances)?;
        }
        if more {
            eprintln!("there are more: raise --top");
        }
        Ok(())
    }

    /// As many pages as it takes, and whether there are more.
    async fn pages(&self) -> Result<(Vec<Bytes>, bool), Failure> {
        let client = self.remote.client()?;
        let (mut pages, mut left) = (Vec::new(), self.top as usize);
        let mut token = None;
        loop {
            let top = left.min(PAGE);
            let mut request = client.request(Method::GET, &self.path(top), Bytes::new())?;
            request
                .headers_mut()
                .extend(token.map(|token| (hyper::header::HeaderName::from_static(CONTINUATION), token)));
            let reply = client.send(request).await?;
            token = reply.headers.get(CONTINUATION).cloned();
            // A page may end before it is full.
            left = left.saturating_sub(text::parse::<Vec<&RawValue>>(&reply.body)?.len());
            pages.push(reply.body);
            if left == 0 || token.is_none() {
                return Ok((pages, token.is_some()));
            }
        }
    }

    fn path(&self, top: usize) -> String {
        let mut path = format!("{BASE}/instances?top={top}");
        let parameters = [
            ("runtimeStatus", (!self.status.is_empty()).then(|| self.status.join(","))),
            ("instanceIdPrefix", self.prefix.clone()),
            ("name", self.name.clone()),
            ("waitingFor", self.waiting_for.clone()),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                let _ = write!(path, "&{name}={}", encode(&value));
            }
        }
        path
    }
}

fn show(instances: &[&RawValue]) -> Result<(), Failure> {
    let instances: Vec<Instance> =
        instances.iter().map(|instance| text::parse(instance.get().as_bytes())).collect::<Result<_, _>>()?;
    let row = |instance: &'_ Instance| -> [String; 4] {
        let Instance { instance_id, name, runtime_status, last_updated_time, .. } = instance;
        [instance_id.clone(), name.clone(), runtime_status.clone(), last_updated_time.clone()]
    };
    let rows: Vec<[String; 4]> = instances.iter().map(row).collect();
    let rows: Vec<[&str; 4]> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    text::table(["INSTANCE", "ORCHESTRATOR", "STATUS", "UPDATED"], &rows);
    Ok(())
}

fn optional(argument: Option<&str>) -> Result<Bytes, Failure> {
    argument.map_or(Ok(Bytes::new()), text::payload)
}

//! How answers are shown to people.

use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;

/// An instance as a host describes it. Payloads are kept as they are written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub name: String,
    pub instance_id: String,
    pub runtime_status: String,
    pub input: Option<Box<RawValue>>,
    pub custom_status: Option<Box<RawValue>>,
    pub output: Option<Box<RawValue>>,
    pub created_time: String,
    pub last_updated_time: String,
    #[serde(default)]
    pub history_events: Vec<Event>,
    pub parked: Option<String>,
    pub stalled: Option<String>,
    pub parent_instance_id: Option<String>,
    #[serde(default)]
    pub generation: u64,
    #[serde(default)]
    pub waiting_for: Vec<Open>,
    #[serde(default)]
    pub open_tasks: Vec<Open>,
    #[serde(default)]
    pub buffered_events: Vec<Buffered>,
}

/// A task that is not complete; the first of its keys that is there says what it is.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    event: Option<String>,
    timer: Option<String>,
    activity: Option<String>,
    orchestrator: Option<String>,
    instance_id: Option<String>,
    attempt: Option<u32>,
    since: String,
    timeout: Option<String>,
    retry: Option<String>,
}

#[derive(Deserialize)]
pub struct Buffered {
    pub name: String,
}

/// An entry of a history.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    event_type: String,
    timestamp: String,
    attempt: Option<u32>,
    expires: Option<String>,
    fire_at: Option<String>,
    function_name: Option<String>,
    instance_id: Option<String>,
    module: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
    reason: Option<String>,
    result: Option<Box<RawValue>>,
    orchestration_status: Option<String>,
}

/// Writes a line of data. A reader that went away, such as `head`, is no error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes an answer as it came.
pub fn json(body: &[u8]) -> Result<(), Failure> {
    line(&String::from_utf8_lossy(body));
    Ok(())
}

pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    Ok(serde_json::from_slice(body).context("the host's answer can not be understood: is it a Fermata host?")?)
}

/// JSON from the command line: the text itself, a file after `@`, or standard input for `-`.
pub fn payload(argument: &str) -> Result<Bytes, Failure> {
    if argument == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("standard input can not be read")?;
        return Ok(text.into());
    }
    match argument.strip_prefix('@') {
        Some(file) => Ok(std::fs::read(file).with_context(|| format!("{file} can not be read"))?.into()),
        None => Ok(argument.to_owned().into()),
    }
}

/// As much of a digest as people look at.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

pub fn names(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// One instance, a fact per line.
pub fn instance(instance: &Instance, history: bool) {
    let fact = |name: &str, value: Option<&str>| facts(name, value.as_slice());
    fact("instance", Some(&instance.instance_id));
    fact("orchestrator", Some(&instance.name));
    fact("status", Some(&instance.runtime_status));
    fact("parked", instance.parked.as_deref());
    fact("stalled", instance.stalled.as_deref());
    fact("parent", instance.parent_instance_id.as_deref());
    fact("generation", (instance.generation > 0).then(|| instance.generation.to_string()).as_deref());
    let waiting_for: Vec<String> = instance.waiting_for.iter().map(open).collect();
    facts("waiting for", &waiting_for);
    let others = instance.open_tasks.iter().filter(|task| !instance.waiting_for.contains(task));
    facts("also open", &others.map(open).collect::<Vec<_>>());
    let buffered: Vec<&str> = instance.buffered_events.iter().map(|event| &*event.name).collect();
    fact("buffered", (!buffered.is_empty()).then(|| buffered.join(", ")).as_deref());
    fact("input", instance.input.as_deref().map(RawValue::get));
    fact("custom", instance.custom_status.as_deref().map(RawValue::get));
    fact("output", instance.output.as_deref().map(RawValue::get));
    fact("created", Some(&instance.created_time));
    fact("updated", Some(&instance.last_updated_time));
    if history {
        line("history");
        instance.history_events.iter().for_each(|event| line(&format!("  {}", entry(event))));
    }
}

/// Facts of one kind; the kind is told once.
fn facts(name: &str, values: &[impl AsRef<str>]) {
    for (number, value) in values.iter().enumerate() {
        let name = if number == 0 { name } else { "" };
        line(&format!("{name:<12} {}", value.as_ref()));
    }
}

fn open(task: &Open) -> String {
    let Open { event, timer, activity, orchestrator, instance_id, attempt, since, timeout, retry } = task;
    let what = [("event", event), ("timer, due", timer), ("activity", activity), ("orchestrator", orchestrator)];
    let (what, name) = what.into_iter().find_map(|(what, name)| Some((what, name.as_deref()?))).unwrap_or_default();
    let mut text = format!("{what} {name}");
    let mut add = |part: String| text.push_str(&part);
    instance_id.iter().for_each(|id| add(format!(" as {id}")));
    attempt.iter().filter(|attempt| **attempt > 1).for_each(|attempt| add(format!(", attempt {attempt}")));
    add(format!(", since {since}"));
    retry.iter().for_each(|at| add(format!(", next attempt at {at}")));
    timeout.iter().for_each(|at| add(format!(", times out at {at}")));
    text
}

fn entry(event: &Event) -> String {
    let subject = event.function_name.as_ref().or(event.name.as_ref()).or(event.orchestration_status.as_ref());
    let mut text = format!("{}  {:<24}", event.timestamp, event.event_type);
    let attempt = event.attempt.map(|attempt| format!("attempt {attempt}"));
    let parts = [
        subject.map(String::as_str),
        event.instance_id.as_deref(),
        event.module.as_deref(),
        attempt.as_deref(),
        event.fire_at.as_deref().or(event.expires.as_deref()),
        event.input.as_deref().map(RawValue::get),
        event.result.as_ref().map(|_| "→"),
        event.result.as_deref().map(RawValue::get),
        event.reason.as_deref(),
    ];
    for part in parts.into_iter().flatten() {
        text.push(' ');
        text.push_str(part);
    }
    text
}

/// Rows in columns as wide as their widest cell.
pub fn table<const N: usize>(head: [&str; N], rows: &[[&str; N]]) {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in std::iter::once(&head).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(task: &str) -> String {
        open(&serde_json::from_str(task).unwrap())
    }

    #[test]
    fn open_tasks_in_words() {
        assert_eq!(shown(r#"{"event":"Go","since":"S","timeout":"T"}"#), "event Go, since S, times out at T");
        assert_eq!(shown(r#"{"timer":"D","since":"S"}"#), "timer, due D, since S");
        assert_eq!(shown(r#"{"activity":"Ship","attempt":1,"since":"S"}"#), "activity Ship, since S");
        assert_eq!(
            shown(r#"{"orchestrator":"Child","instanceId":"c","attempt":2,"since":"S","retry":"R"}"#),
            "orchestrator Child as c, attempt 2, since S, next attempt at R"
        );
    }
}

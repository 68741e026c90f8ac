//! What answers look like: the keys of Durable Functions in their order, then our own.

use std::fmt;

use fermata_replay::{Payload, RuntimeStatus};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::history::{self, Event};
use super::links::Links;
use super::query::Show;
use super::tasks::{self, Open};
use super::time::{Micros, Seconds};
use crate::dispatcher::{HistoryView, InstanceView, Output};
use crate::store::ModuleInfo;

/// Where to go with an instance that was started.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Management<'a> {
    id: &'a str,
    #[schemars(with = "String")]
    status_query_get_uri: Link<'a>,
    #[schemars(with = "String")]
    send_event_post_uri: Link<'a>,
    #[schemars(with = "String")]
    terminate_post_uri: Link<'a>,
    #[schemars(with = "String")]
    suspend_post_uri: Link<'a>,
    #[schemars(with = "String")]
    resume_post_uri: Link<'a>,
    #[schemars(with = "String")]
    rewind_post_uri: Link<'a>,
    #[schemars(with = "String")]
    purge_history_delete_uri: Link<'a>,
    #[schemars(with = "String")]
    restart_post_uri: Link<'a>,
}

struct Link<'a> {
    instance: &'a str,
    tail: &'static str,
    links: &'a Links,
}

impl<'a> Management<'a> {
    /// `instance` is the address of the instance. Words in braces are for the client to fill in.
    pub fn new(id: &'a str, instance: &'a str, links: &'a Links) -> Management<'a> {
        let link = |tail| Link { instance, tail, links };
        Management {
            id,
            status_query_get_uri: link(""),
            send_event_post_uri: link("/raiseEvent/{eventName}"),
            terminate_post_uri: link("/terminate?reason={text}"),
            suspend_post_uri: link("/suspend?reason={text}"),
            resume_post_uri: link("/resume?reason={text}"),
            rewind_post_uri: link("/rewind?reason={text}"),
            purge_history_delete_uri: link(""),
            restart_post_uri: link("/restart"),
        }
    }
}

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.instance, self.tail, self.links.key_after(self.tail.contains('?')))
    }
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a request was refused. `Message` and `ExceptionMessage` as Durable Functions spell them, the rest is ours.
#[derive(Serialize, JsonSchema)]
pub struct Refusal<'a> {
    #[serde(rename = "Message")]
    pub message: &'a str,
    /// Where a start is refused.
    #[serde(rename = "ExceptionMessage", skip_serializing_if = "Option::is_none")]
    pub exception_message: Option<&'a str>,
    /// Names the kind of error, for programs. Never changes.
    pub code: &'static str,
    /// What to do about it.
    pub hint: &'a str,
}

/// The status of an instance. Payloads go out as they came in, byte for byte.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status<'a> {
    name: &'a str,
    instance_id: &'a str,
    #[schemars(schema_with = "runtime_status")]
    runtime_status: RuntimeStatus,
    #[schemars(with = "Value")]
    input: Option<&'a Payload>,
    #[schemars(with = "Value")]
    custom_status: Option<&'a Payload>,
    #[schemars(with = "Value")]
    output: Option<Text<'a>>,
    created_time: Seconds,
    last_updated_time: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<Vec<Event<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stalled: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    generation: u64,
    #[serde(flatten)]
    details: Option<Details<'a>>,
}

/// What comes with the history.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    /// What would let the instance go on.
    waiting_for: Vec<Open<'a>>,
    /// All that is under way.
    open_tasks: Vec<Open<'a>>,
    buffered_events: Vec<Buffered<'a>>,
    execution_id: &'a str,
    module: &'a str,
}

/// The names of all statuses.
pub fn runtime_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": RuntimeStatus::ALL.map(RuntimeStatus::name) })
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A JSON value that is there already, or a text that becomes a JSON string.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Text<'a> {
    Json(&'a Payload),
    Plain(&'a str),
}

/// Why an instance or a task failed, in parts.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    kind: &'a str,
    error_type: &'a str,
    details: &'a str,
    non_retryable: bool,
}

/// An event that no wait has taken.
#[derive(Serialize, JsonSchema)]
struct Buffered<'a> {
    seq: u64,
    name: &'a str,
    #[schemars(with = "Value")]
    input: &'a Payload,
}

impl<'a> Status<'a> {
    pub fn new(view: &'a InstanceView, show: Show) -> Status<'a> {
        let history = view.history.as_ref();
        Status {
            name: &view.name,
            instance_id: &view.id,
            runtime_status: view.status,
            input: view.input.as_ref().filter(|_| show.input),
            custom_status: view.custom_status.as_ref(),
            output: view.output.as_ref().and_then(output),
            created_time: Seconds(view.created),
            last_updated_time: Seconds(view.updated),
            history_events: history.map(|history| history::events(&history.steps, show)),
            failure: view.output.as_ref().and_then(failure),
            parked: view.parked.as_deref(),
            stalled: view.stalled.as_deref(),
            parent_instance_id: view.parent.as_deref(),
            generation: view.generation,
            details: history.map(|history| details(view, history)),
        }
    }
}

fn details<'a>(view: &'a InstanceView, history: &'a HistoryView) -> Details<'a> {
    let buffered = history.buffered.iter();
    Details {
        waiting_for: tasks::open(&history.waiting_for),
        open_tasks: tasks::open(&history.open_tasks),
        buffered_events: buffered
            .map(|event| Buffered { seq: event.seq, name: &event.name, input: &event.input })
            .collect(),
        execution_id: &view.execution,
        module: &view.module,
    }
}

fn output(output: &Output) -> Option<Text<'_>> {
    match output {
        Output::Result(payload) => Some(Text::Json(payload)),
        Output::Failure(failure) => Some(Text::Plain(&failure.message)),
        Output::Terminated(reason) => reason.as_deref().map(Text::Plain),
    }
}

fn failure(output: &Output) -> Option<Failure<'_>> {
    match output {
        Output::Result(_) | Output::Terminated(_) => None,
        Output::Failure(failure) => Some(Failure {
            kind: &failure.kind,
            error_type: &failure.error_type,
            details: &failure.details,
            non_retryable: failure.non_retryable,
        }),
    }
}

/// A module and what it holds.
#[derive(Serialize, JsonSchema)]
pub struct Module<'a> {
    digest: &'a str,
    size: u64,
    orchestrators: &'a [String],
    activities: &'a [String],
    deployed: Micros,
}

impl<'a> From<&'a ModuleInfo> for Module<'a> {
    fn from(module: &'a ModuleInfo) -> Module<'a> {
        Module {
            digest: &module.digest,
            size: module.size,
            orchestrators: &module.orchestrators,
            activities: &module.activities,
            deployed: Micros(module.deployed),
        }
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::{Failure, Timestamp, kind};

    use super::*;

    const SHOW: Show = Show { input: true, history: false, history_output: false };

    fn view(status: RuntimeStatus, output: Option<Output>) -> InstanceView {
        InstanceView {
            id: "i 1".into(),
            key: 1,
            name: "Select".into(),
            status,
            created: Timestamp(1_763_881_262_123_456),
            updated: Timestamp(1_763_881_263_000_000),
            module: "abc".into(),
            execution: "e1".into(),
            parent: None,
            generation: 0,
            input: Some(Payload::parse("{\"b\":1.0,  \"a\":1e2}").unwrap()),
            output,
            custom_status: None,
            parked: None,
            stalled: None,
            history: None,
        }
    }

    #[test]
    fn a_status_has_the_keys_of_durable_functions_and_payloads_as_they_came() {
        let view = view(RuntimeStatus::Running, None);
        assert_eq!(
            serde_json::to_string(&Status::new(&view, SHOW)).unwrap(),
            "{\"name\":\"Select\",\"instanceId\":\"i 1\",\"runtimeStatus\":\"Running\",\"input\":{\"b\":1.0,  \"a\":1e2},\
             \"customStatus\":null,\"output\":null,\"createdTime\":\"2025-11-23T07:01:02Z\",\"lastUpdatedTime\":\"2025-11-23T07:01:03Z\"}"
        );
    }

    #[test]
    fn a_failure_is_its_message_and_its_parts() {
        let failed = Output::Failure(Failure::new(kind::TRAP, "it \"broke\""));
        let view = view(RuntimeStatus::Failed, Some(failed));
        let status = serde_json::to_value(Status::new(&view, SHOW)).unwrap();
        assert_eq!(status["output"], "it \"broke\"");
        assert_eq!(status["failure"]["kind"], "trap");
    }

    #[test]
    fn the_output_of_a_terminated_instance_is_the_reason() {
        for (reason, expected) in [(Some("enough"), "enough".into()), (None, serde_json::Value::Null)] {
            let view = view(RuntimeStatus::Terminated, Some(Output::Terminated(reason.map(str::to_owned))));
            let status = serde_json::to_value(Status::new(&view, SHOW)).unwrap();
            assert_eq!(status["output"], expected);
            assert!(status.get("failure").is_none());
        }
    }

    #[test]
    fn what_waits_comes_with_the_history() {
        use fermata_replay::{BufferedEvent, OpenKind, OpenTask};
        let kind = OpenKind::Event { name: "Go".into() };
        let waiting_for = vec![OpenTask { task: 0, kind, since: Timestamp(1), timeout: None }];
        let buffered = vec![BufferedEvent { seq: 9, name: "Early".into(), input: Payload::null() }];
        let history = HistoryView { steps: vec![], open_tasks: waiting_for.clone(), waiting_for, buffered };
        let view = InstanceView {
            parent: Some("p".into()),
            generation: 2,
            history: Some(history),
            ..view(RuntimeStatus::Running, None)
        };
        let status = serde_json::to_value(Status::new(&view, SHOW)).unwrap();
        assert_eq!(status["waitingFor"][0]["event"], "Go");
        assert_eq!(status["openTasks"], status["waitingFor"]);
        assert_eq!(status["bufferedEvents"], serde_json::json!([{ "seq": 9, "name": "Early", "input": null }]));
        assert_eq!((&status["parentInstanceId"], &status["generation"]), (&"p".into(), &2.into()));
        assert_eq!((&status["executionId"], &status["module"]), (&"e1".into(), &"abc".into()));
    }

    #[test]
    fn the_links_of_an_instance() {
        let links = Links { origin: "http://localhost:7071".into(), key: None };
        let url = links.instance("a b/é&1");
        let body = serde_json::to_value(Management::new("a b/é&1", &url, &links)).unwrap();
        assert_eq!(body["id"], "a b/é&1");
        assert_eq!(body["statusQueryGetUri"], url);
        assert_eq!(body["sendEventPostUri"], format!("{url}/raiseEvent/{{eventName}}"));
        assert_eq!(body["rewindPostUri"], format!("{url}/rewind?reason={{text}}"));
        assert_eq!(body.as_object().unwrap().len(), 9);
        let links = Links { key: Some("k".into()), ..links };
        let body = serde_json::to_value(Management::new("i", "http://f/i", &links)).unwrap();
        assert_eq!(body["statusQueryGetUri"], "http://f/i?code=k");
        assert_eq!(body["terminatePostUri"], "http://f/i/terminate?reason={text}&code=k");
    }
}

//! What an instance waits for, on the wire.

use fermata_replay::{OpenKind, OpenTask};
use schemars::JsonSchema;
use serde::Serialize;

use super::time::Micros;

/// A task that is not complete. Which of the first four keys there is says what it is.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Open<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    /// When it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    since: Micros,
    /// When it is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Micros>,
    /// When the next attempt begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Micros>,
}

/// Tasks as a status shows them.
pub fn open(tasks: &[OpenTask]) -> Vec<Open<'_>> {
    tasks.iter().map(Open::from).collect()
}

impl<'a> From<&'a OpenTask> for Open<'a> {
    fn from(task: &'a OpenTask) -> Open<'a> {
        let common = Open { since: Micros(task.since), timeout: task.timeout.map(Micros), ..Open::default() };
        match &task.kind {
            OpenKind::Event { name } => Open { event: Some(name), ..common },
            OpenKind::Timer { due } => Open { timer: Some(Micros(*due)), ..common },
            OpenKind::Activity { name, attempt, retry } => {
                Open { activity: Some(name), attempt: Some(*attempt), retry: retry.map(Micros), ..common }
            }
            OpenKind::Child { name, instance, attempt, retry } => Open {
                orchestrator: Some(name),
                instance_id: Some(instance),
                attempt: Some(*attempt),
                retry: retry.map(Micros),
                ..common
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::Timestamp;

    use super::*;

    fn shown(kind: OpenKind, timeout: Option<i64>) -> String {
        let task = OpenTask { task: 3, kind, since: Timestamp(1), timeout: timeout.map(Timestamp) };
        let text = serde_json::to_string(&Open::from(&task)).unwrap();
        text.replace("1970-01-01T00:00:00.00000", "")
    }

    #[test]
    fn each_kind_says_what_it_is() {
        let at = |micros| Some(Timestamp(micros));
        assert_eq!(
            shown(OpenKind::Event { name: "Approval".into() }, Some(5)),
            r#"{"event":"Approval","since":"1Z","timeout":"5Z"}"#
        );
        assert_eq!(shown(OpenKind::Timer { due: Timestamp(4) }, None), r#"{"timer":"4Z","since":"1Z"}"#);
        assert_eq!(
            shown(OpenKind::Activity { name: "Ship".into(), attempt: 2, retry: at(6) }, None),
            r#"{"activity":"Ship","attempt":2,"since":"1Z","retry":"6Z"}"#
        );
        assert_eq!(
            shown(OpenKind::Child { name: "Child".into(), instance: "c".into(), attempt: 1, retry: None }, None),
            r#"{"orchestrator":"Child","instanceId":"c","attempt":1,"since":"1Z"}"#
        );
    }
}

//! What a guest asks, what happens to it and what it waits for, in words that read well in an assertion.

use fermata_replay::{
    BlockedOn, Control, Deadline, Decision, MessageBody, OpenKind, OpenTask, Outcome, Step, TaskEnded, TaskId,
};

use super::convert::instant;
use crate::{Failure, Timestamp};

pub(super) fn wait(task: TaskId, name: &str) -> String {
    format!("{task} = wait {name}")
}

pub(super) fn call(task: TaskId, name: &str, input: &str) -> String {
    format!("{task} = call {name} {input}")
}

pub(super) fn child(task: TaskId, name: &str, input: &str) -> String {
    format!("{task} = child {name} {input}")
}

pub(super) fn timer(task: TaskId, due: Timestamp, now: Timestamp) -> String {
    format!("{task} = timer {}", when(due, now))
}

pub(super) fn retry(task: TaskId) -> String {
    format!("retry {task}")
}

pub(super) fn timeout(task: TaskId, due: Timestamp, now: Timestamp, default: Option<&str>) -> String {
    let default = default.map_or(String::new(), |default| format!(" else {default}"));
    format!("timeout {task} {}{default}", when(due, now))
}

pub(super) fn start(name: &str, instance: &str, input: &str) -> String {
    format!("start {name} {instance} {input}")
}

pub(super) fn send(name: &str, instance: &str, payload: &str) -> String {
    format!("send {name} to {instance} {payload}")
}

pub(super) fn callback(event: &str, expires: Timestamp, now: Timestamp) -> String {
    format!("callback {event}, expires {}", when(expires, now))
}

pub(super) fn cancel(task: TaskId) -> String {
    format!("cancel {task}")
}

/// How long from now; `now` where that is past.
fn when(due: Timestamp, now: Timestamp) -> String {
    let left = due.since(now);
    if left.is_zero() { "now".to_owned() } else { format!("in {left:?}") }
}

/// A step: what happened, and what the guest did about it.
pub(super) fn step(step: &Step) -> String {
    let now = instant(step.at);
    let decisions: Vec<String> = step.decisions.iter().map(|made| decision(made, now)).collect();
    if decisions.is_empty() {
        return message(&step.message);
    }
    format!("{} → {}", message(&step.message), decisions.join("; "))
}

fn message(body: &MessageBody) -> String {
    match body {
        MessageBody::Started(start) => format!("started {}", start.input.as_str()),
        MessageBody::EventRaised { name, input } => format!("event {name} {}", input.as_str()),
        MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => self::ended(ended),
        MessageBody::TimerFired { task, deadline: Deadline::Due } => format!("timer {task}"),
        MessageBody::TimerFired { task, deadline: Deadline::Retry } => format!("next attempt {task}"),
        MessageBody::TimerFired { task, deadline: Deadline::Timeout } => format!("timed out {task}"),
        MessageBody::Terminated(control) => with_reason("terminated", control),
        MessageBody::Suspended(control) => with_reason("suspended", control),
        MessageBody::Resumed(control) => with_reason("resumed", control),
        MessageBody::Rewound(control) => with_reason("rewound", control),
        MessageBody::Migrated { module } => format!("migrated to {module}"),
    }
}

fn ended(ended: &TaskEnded) -> String {
    let task = ended.task;
    match &ended.outcome {
        Outcome::Succeeded(output) => format!("result {task} {}", output.as_str()),
        Outcome::Failed(failure) => format!("failure {task} {}", Failure::from(failure.clone())),
    }
}

fn with_reason(what: &str, control: &Control) -> String {
    control.reason.as_ref().map_or_else(|| what.to_owned(), |reason| format!("{what}: {reason}"))
}

fn decision(decision: &Decision, now: Timestamp) -> String {
    match decision {
        Decision::WaitStarted { task, name } => wait(*task, name),
        Decision::ActivityScheduled { task, name, input } => call(*task, name, input.as_str()),
        Decision::TimerCreated { task, due } => timer(*task, instant(*due), now),
        Decision::ChildStarted { task, name, input, .. } => child(*task, name, input.as_str()),
        Decision::RetrySet { task, .. } => retry(*task),
        Decision::TimeoutSet { task, due, default } => {
            timeout(*task, instant(*due), now, default.as_ref().map(|default| default.as_str()))
        }
        Decision::TaskCancelled { task, .. } => cancel(*task),
        Decision::InstanceStarted { name, instance, input } => start(name, instance, input.as_str()),
        Decision::EventSent { instance, name, input } => send(name, instance, input.as_str()),
        Decision::CallbackUrlMade { event, expires, .. } => callback(event, instant(*expires), now),
        Decision::Blocked { on: BlockedOn::Task(task) } => format!("await {task}"),
        Decision::Blocked { on: BlockedOn::Any(tasks) } => format!("any of {tasks:?}"),
        Decision::Blocked { on: BlockedOn::All(tasks) } => format!("all of {tasks:?}"),
        Decision::Blocked { on: BlockedOn::Next } => "next".to_owned(),
        Decision::Completed { output } => format!("completed {}", output.as_str()),
        Decision::Failed { failure } => format!("failed {}", Failure::from(failure.clone())),
        Decision::ContinuedAsNew { input, .. } => format!("continued as new {}", input.as_str()),
        Decision::Undone { from, .. } => format!("undone from step {from}"),
    }
}

/// A task that is not complete.
pub(super) fn open(task: &OpenTask, now: Timestamp) -> String {
    let tried = |attempt: &u32, retry: &Option<fermata_replay::Timestamp>| match retry {
        Some(at) => format!(", attempt {} {}", attempt + 1, when(instant(*at), now)),
        None if *attempt > 1 => format!(", attempt {attempt}"),
        None => String::new(),
    };
    let what = match &task.kind {
        OpenKind::Event { name } => format!("event {name}"),
        OpenKind::Timer { due } => format!("timer {}", when(instant(*due), now)),
        OpenKind::Activity { name, attempt, retry } => format!("activity {name}{}", tried(attempt, retry)),
        OpenKind::Child { name, attempt, retry, .. } => format!("sub-orchestration {name}{}", tried(attempt, retry)),
    };
    let timeout = task.timeout.map_or(String::new(), |at| format!(", timeout {}", when(instant(at), now)));
    format!("{what}{timeout}")
}

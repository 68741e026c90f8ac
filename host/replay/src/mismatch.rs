use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::{BlockedOn, Decision, Failure, Payload, Stop, Timestamp, kind};

/// History says one thing and the guest did another: the module does not fit the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Which step diverged, from 1; what a rewind has undone is not counted.
    pub step: u64,
    /// The sequence of the message whose step diverged.
    pub seq: u64,
    /// The place among that step's decisions, from 0.
    pub position: usize,
    pub history: Option<Ask>,
    pub guest: Option<Ask>,
}

impl Mismatch {
    pub(crate) fn stop(
        step: u64,
        seq: u64,
        position: usize,
        history: Option<&Decision>,
        guest: Option<&Decision>,
    ) -> Stop {
        let (mut history, mut guest) = (history.map(Ask::from), guest.map(Ask::from));
        shorten(&mut history, &mut guest);
        Stop::Mismatch(Box::new(Mismatch { step, seq, position, history, guest }))
    }
}

/// A decision as far as it is compared, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub kind: String,
    /// Field name and value, in a fixed order.
    pub fields: Vec<(String, String)>,
}

impl Ask {
    fn new(kind: &str, fields: &[(&str, String)]) -> Ask {
        Ask {
            kind: kind.into(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }
}

impl From<&Decision> for Ask {
    fn from(decision: &Decision) -> Ask {
        match decision {
            Decision::WaitStarted { task, name } => {
                Ask::new("wait for external event", &[("task", task.to_string()), ("name", name.clone())])
            }
            Decision::ActivityScheduled { task, name, input } => Ask::new(
                "call activity",
                &[("task", task.to_string()), ("name", name.clone()), ("input", input.as_str().into())],
            ),
            Decision::TaskCancelled { task, .. } => Ask::new("cancel task", &[("task", task.to_string())]),
            Decision::Blocked { on } => {
                let on = match on {
                    BlockedOn::Task(task) => format!("task {task}"),
                    BlockedOn::Any(tasks) => format!("any of {tasks:?}"),
                    BlockedOn::All(tasks) => format!("all of {tasks:?}"),
                    BlockedOn::Next => "the next completed task".into(),
                };
                Ask::new("block", &[("on", on)])
            }
            Decision::TimerCreated { task, due } => {
                Ask::new("create timer", &[("task", task.to_string()), ("due", micros(due))])
            }
            Decision::ChildStarted { task, name, instance, input } => Ask::new(
                "call sub-orchestrator",
                &[
                    ("task", task.to_string()),
                    ("name", name.clone()),
                    ("instance", instance.clone()),
                    ("input", input.as_str().into()),
                ],
            ),
            Decision::RetrySet { task, .. } => Ask::new("set retry policy", &[("task", task.to_string())]),
            Decision::TimeoutSet { task, due, default } => Ask::new(
                "set timeout",
                &[
                    ("task", task.to_string()),
                    ("due", micros(due)),
                    ("default", default.as_ref().map_or("", Payload::as_str).into()),
                ],
            ),
            Decision::InstanceStarted { name, instance, input } => Ask::new(
                "start orchestrator",
                &[("name", name.clone()), ("instance", instance.clone()), ("input", input.as_str().into())],
            ),
            Decision::EventSent { instance, name, input } => Ask::new(
                "raise event",
                &[("instance", instance.clone()), ("name", name.clone()), ("input", input.as_str().into())],
            ),
            Decision::CallbackUrlMade { event, expires, .. } => {
                Ask::new("make callback url", &[("event", event.clone()), ("expires", micros(expires))])
            }
            Decision::ContinuedAsNew { input, .. } => Ask::new("continue as new", &[("input", input.as_str().into())]),
            Decision::Undone { from, .. } => Ask::new("rewind", &[("from step", from.to_string())]),
            Decision::Completed { output } => Ask::new("complete", &[("output", output.as_str().into())]),
            Decision::Failed { failure } => Ask::new(
                "fail",
                &[
                    ("kind", failure.kind.clone()),
                    ("message", failure.message.clone()),
                    ("error type", failure.error_type.clone()),
                    ("details", failure.details.clone()),
                    ("non-retryable", failure.non_retryable.to_string()),
                ],
            ),
        }
    }
}

fn micros(at: &Timestamp) -> String {
    format!("{} µs", at.0)
}

/// Whether a decision made on replay is the recorded one: kind, task, name, input, deadline. A retry policy is not compared: the recorded one
/// holds. A crash is a crash, and a limit that was passed is one, too, for what it is called and the words for it are the host's; of a callback URL only what it is
/// for. What a guest blocks on is compared too: the state wakes it for what is recorded, so a guest blocked on something else might never wake.
pub(crate) fn is_same(recorded: &Decision, asked: &Decision) -> bool {
    use Decision::*;
    match (recorded, asked) {
        (WaitStarted { task: t1, name: n1 }, WaitStarted { task: t2, name: n2 }) => t1 == t2 && n1 == n2,
        (ActivityScheduled { task: t1, name: n1, input: i1 }, ActivityScheduled { task: t2, name: n2, input: i2 }) => {
            t1 == t2 && n1 == n2 && i1.means_the_same(i2)
        }
        (TaskCancelled { task: t1, .. }, TaskCancelled { task: t2, .. }) => t1 == t2,
        (Blocked { on: o1 }, Blocked { on: o2 }) => o1 == o2,
        (Completed { output: o1 }, Completed { output: o2 }) => o1.means_the_same(o2),
        (Failed { failure: f1 }, Failed { failure: f2 }) => f1 == f2 || is_of_host(f1) && is_of_host(f2),
        (TimerCreated { task: t1, due: d1 }, TimerCreated { task: t2, due: d2 }) => t1 == t2 && d1 == d2,
        (
            ChildStarted { task: t1, name: n1, instance: c1, input: i1 },
            ChildStarted { task: t2, name: n2, instance: c2, input: i2 },
        ) => t1 == t2 && n1 == n2 && c1 == c2 && i1.means_the_same(i2),
        (RetrySet { task: t1, .. }, RetrySet { task: t2, .. }) => t1 == t2,
        (TimeoutSet { task: t1, due: d1, default: v1 }, TimeoutSet { task: t2, due: d2, default: v2 }) => {
            t1 == t2 && d1 == d2 && same_option(v1, v2)
        }
        (
            InstanceStarted { name: n1, instance: c1, input: i1 },
            InstanceStarted { name: n2, instance: c2, input: i2 },
        ) => n1 == n2 && c1 == c2 && i1.means_the_same(i2),
        (EventSent { instance: c1, name: n1, input: i1 }, EventSent { instance: c2, name: n2, input: i2 }) => {
            c1 == c2 && n1 == n2 && i1.means_the_same(i2)
        }
        (CallbackUrlMade { event: e1, expires: x1, .. }, CallbackUrlMade { event: e2, expires: x2, .. }) => {
            e1 == e2 && x1 == x2
        }
        (ContinuedAsNew { input: i1, .. }, ContinuedAsNew { input: i2, .. }) => i1.means_the_same(i2),
        _ => false,
    }
}

/// Whether the host found the words for it.
fn is_of_host(failure: &Failure) -> bool {
    [kind::TRAP, kind::LIMIT].contains(&&*failure.kind)
}

fn same_option(a: &Option<Payload>, b: &Option<Payload>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.means_the_same(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the module does not fit the history: at decision {} of step {} (message {}), ",
            self.position, self.step, self.seq
        )?;
        match (&self.history, &self.guest) {
            (Some(history), Some(guest)) if history.kind == guest.kind => {
                write!(f, "both {}, but {}", history.kind, differences(history, guest))
            }
            (history, guest) => {
                write!(f, "history says: {}; the guest did: {}", in_words(history), in_words(guest))
            }
        }
    }
}

fn differences(history: &Ask, guest: &Ask) -> String {
    let pairs = history.fields.iter().zip(&guest.fields).filter(|(a, b)| a != b);
    let value = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
    let lines: Vec<String> = pairs
        .map(|((name, was), (_, is))| format!("{name}: history says {}, the guest {}", value(was), value(is)))
        .collect();
    lines.join("; ")
}

fn in_words(ask: &Option<Ask>) -> String {
    let Some(ask) = ask else { return "nothing more".into() };
    let mut text = ask.kind.clone();
    for (name, value) in ask.fields.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(text, ", {name} {value}");
    }
    text
}

/// Cuts long values down to what a person reads: the part where two values of the same kind begin to differ.
fn shorten(history: &mut Option<Ask>, guest: &mut Option<Ask>) {
    if let (Some(history), Some(guest)) = (&mut *history, &mut *guest)
        && history.kind == guest.kind
    {
        for ((_, was), (_, is)) in history.fields.iter_mut().zip(&mut guest.fields) {
            let same = was.chars().zip(is.chars()).take_while(|(a, b)| a == b).count();
            (*was, *is) = (excerpt(was, same), excerpt(is, same));
        }
        return;
    }
    for (_, value) in [history, guest].into_iter().flatten().flat_map(|ask| &mut ask.fields) {
        *value = excerpt(value, 0);
    }
}

/// A part of `text` with the character at `point` in it; all of a short text.
fn excerpt(text: &str, point: usize) -> String {
    const LIMIT: usize = 200;
    const BEFORE: usize = 20;
    let length = text.chars().count();
    if length <= LIMIT {
        return text.into();
    }
    let start = point.saturating_sub(BEFORE);
    let part: String = text.chars().skip(start).take(LIMIT).collect();
    let (before, after) = (start > 0, start + LIMIT < length);
    let dots = |cut: bool| if cut { "…" } else { "" };
    format!("{}{part}{} ({} bytes)", dots(before), dots(after), text.len())
}

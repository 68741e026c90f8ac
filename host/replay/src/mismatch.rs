use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::{BlockedOn, Decision, Stop};

/// History says one thing and the guest did another: the module does not fit the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The sequence of the message whose step diverged.
    pub seq: u64,
    /// The place among that step's decisions, from 0.
    pub position: usize,
    pub history: Option<Ask>,
    pub guest: Option<Ask>,
}

impl Mismatch {
    pub(crate) fn stop(seq: u64, position: usize, history: Option<&Decision>, guest: Option<&Decision>) -> Stop {
        let (mut history, mut guest) = (history.map(Ask::from), guest.map(Ask::from));
        shorten(&mut history, &mut guest);
        Stop::Mismatch(Box::new(Mismatch { seq, position, history, guest }))
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

/// Whether a decision made on replay is the recorded one: kind, task, name and input. What a guest blocks on is compared
/// too: the state wakes it for what is recorded, so a guest blocked on something else might never wake.
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
        (Failed { failure: f1 }, Failed { failure: f2 }) => f1 == f2,
        _ => false,
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the module does not fit the history: at decision {} of the step of message {}, ",
            self.position, self.seq
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
    let lines: Vec<String> =
        pairs.map(|((name, was), (_, is))| format!("{name}: history says {was}, the guest {is}")).collect();
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

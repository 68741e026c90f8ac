//! Rewind: a failed instance goes on before the step that failed it.
//!
//! History only grows. A `Rewound` step says where the steps that count end before it: what was undone stays readable, and is
//! replayed no more. Messages of undone steps are applied again, but for the failures that the rewind is about: their tasks are
//! open again, and dispatched again.

use std::collections::BTreeMap;

use crate::effects::Effects;
use crate::task::Task;
use crate::{
    Deadline, Decision, Failure, Message, MessageBody, Outcome, Payload, State, Step, TaskEnded, TaskId, Turn,
};

/// The steps that count, in order. Where everything was undone the start comes again, and the `Rewound` step before it does not count.
pub(crate) fn effective(history: &[Step]) -> Vec<&Step> {
    let mut steps: Vec<&Step> = Vec::with_capacity(history.len());
    for step in history {
        if let Some(from) = undone_from(step) {
            steps.truncate(from);
            if from == 0 {
                continue;
            }
        }
        steps.push(step);
    }
    steps
}

pub(crate) fn undone_from(step: &Step) -> Option<usize> {
    match (&step.message, step.decisions.first()) {
        (MessageBody::Rewound(_), Some(Decision::Undone { from, .. })) => Some(*from),
        _ => None,
    }
}

/// Rewinds an instance that has failed: the turn that undoes the failure, in which the messages to be applied again go back into the
/// inbox. None where it has not failed. The history is known to be one.
///
/// # Panics
/// When the message is no `Rewound`.
pub fn rewind(history: &[Step], message: &Message) -> Option<Turn> {
    let MessageBody::Rewound(control) = &message.body else { panic!("this message does not rewind: {message:?}") };
    let steps = effective(history);
    if !State::of_effective(steps.iter().copied()).is_meant_by(control) {
        return None;
    }
    let from = first_to_undo(&steps)?;
    let (kept, undone) = steps.split_at(from);
    let before = State::of_effective(kept.iter().copied());
    let now = history.last().map_or(message.at, |step| step.at);
    let undoing = Decision::Undone { from, attempts: attempts_begun(&before, undone) };
    // What was shown meanwhile is shown no more.
    let has_shown = undone.iter().any(|step| step.custom_status.is_some());
    let custom_status = has_shown.then(|| before.custom_status().cloned().unwrap_or_else(Payload::null));
    let step = Step { decisions: vec![undoing], custom_status, ..Step::of(message.clone(), now) };
    let mut state = before;
    if from > 0 {
        state.apply_step(&step);
    }
    let returned: Vec<Message> = undone.iter().filter_map(|step| to_apply_again(&state, step)).collect();
    let has_result = |task| returned.iter().any(|message| ended(&message.body).is_some_and(|ended| ended.task == task));
    let mut effects = Effects::default();
    effects.revive(&state, has_result);
    let turn = effects.into_turn(&state, vec![step], vec![message.seq]);
    Some(Turn { returned, ..turn })
}

/// The latest attempt at each task of which the undone steps began one.
pub(crate) fn attempts_begun(before: &State, undone: &[&Step]) -> Vec<(TaskId, u32)> {
    let mut attempts = BTreeMap::new();
    for step in undone {
        if let MessageBody::TimerFired { task, deadline: Deadline::Retry } = step.message
            && let Some(work) = before.tasks.get(task as usize).and_then(Task::work)
        {
            *attempts.entry(task).or_insert(work.attempt) += 1;
        }
    }
    attempts.into_iter().collect()
}

/// Why the instance failed in this step.
fn failure_of(step: &Step) -> Option<&Failure> {
    step.decisions.iter().find_map(|decision| match decision {
        Decision::Failed { failure } => Some(failure),
        _ => None,
    })
}

/// The step that failed the instance; or an earlier one, where the same failure came of a task and the guest did nothing from then on
/// but wait for others, as `join_all` does. None where the instance has not failed.
fn first_to_undo(steps: &[&Step]) -> Option<usize> {
    let (last, failure) = steps.iter().enumerate().rev().find_map(|(index, step)| Some((index, failure_of(step)?)))?;
    let only_waits = |step: &Step| step.decisions.iter().all(|decision| matches!(decision, Decision::Blocked { .. }));
    let waiting = steps[..last].iter().rev().take_while(|step| only_waits(step)).count();
    let earliest = last - waiting;
    let mut state = State::of_effective(steps[..earliest].iter().copied());
    let mut brought_it = |step: &Step| {
        state.apply_step(step);
        // A failure after which the task is tried again fails nothing.
        task_failure(step).is_some_and(|(task, f)| {
            !state.is_open(task) && f.message == failure.message && f.error_type == failure.error_type
        })
    };
    Some((earliest..=last).find(|index| brought_it(steps[*index])).unwrap_or(last))
}

fn task_failure(step: &Step) -> Option<(TaskId, &Failure)> {
    match ended(&step.message)? {
        TaskEnded { task, outcome: Outcome::Failed(failure), .. } => Some((*task, failure)),
        _ => None,
    }
}

fn ended(message: &MessageBody) -> Option<&TaskEnded> {
    match message {
        MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => Some(ended),
        _ => None,
    }
}

/// The message of an undone step. None where it passes by itself, as a deadline does, and where it is a failure: that is what the rewind is
/// about. `state`: that after the rewind.
fn to_apply_again(state: &State, step: &Step) -> Option<Message> {
    if task_failure(step).is_some() || step.message.passes_by_itself() || undone_from(step).is_some() {
        return None;
    }
    let mut message = step.as_accepted();
    if let MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) = &mut message.body {
        // The task awaits another attempt by now. Its result is there, so that none need be made.
        let work = state.tasks.get(ended.task as usize).and_then(Task::work);
        ended.attempt = work.map_or(ended.attempt, |work| work.attempt);
    }
    Some(message)
}

impl State {
    /// Whether the instance has failed, so that it can be rewound.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Failed(_)))
    }
}

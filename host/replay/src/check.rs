//! Whether a history can be one. What is read from a disk or a file may say anything, and is folded only while each step follows from
//! those before it.

use crate::task::{Progress, Task};
use crate::undo::{attempts_begun, undone_from};
use crate::{Decision, MessageBody, State, Step, TaskId};

/// A history that no instance has had: it was damaged, or made up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} of the history can not be: {why}")]
pub struct BadHistory {
    /// From 1.
    pub step: usize,
    pub why: String,
}

impl State {
    /// Folds a history that somebody else has kept.
    ///
    /// # Errors
    /// Where a message would not have been applied, or a decision not been made, after the steps before it. Undone steps are looked at
    /// like all others.
    pub fn checked(history: &[Step]) -> Result<State, BadHistory> {
        let mut state = State::default();
        let mut kept: Vec<&Step> = Vec::with_capacity(history.len());
        for (index, step) in history.iter().enumerate() {
            let bad = |why| BadHistory { step: index + 1, why };
            if let Some(from) = undone_from(step) {
                state = state.before_rewind(&mut kept, from, step).map_err(bad)?;
                if from == 0 {
                    continue;
                }
            }
            state.apply_checked(step).map_err(bad)?;
            kept.push(step);
        }
        Ok(state)
    }

    /// The state that a rewind goes back to. `kept`: the steps that counted, of which it leaves those that still do.
    fn before_rewind(&self, kept: &mut Vec<&Step>, from: usize, rewound: &Step) -> Result<State, String> {
        if !self.has_failed() || from >= kept.len() {
            return Err(format!("it undoes what follows {from} of {} steps, or nothing has failed", kept.len()));
        }
        let undone = kept.split_off(from);
        let before = State::of_effective(kept.iter().copied());
        let begun = attempts_begun(&before, &undone);
        match rewound.decisions.first() {
            Some(Decision::Undone { attempts, .. }) if *attempts == begun => Ok(before),
            _ => Err(format!("the attempts that it undoes are {begun:?}")),
        }
    }

    fn apply_checked(&mut self, step: &Step) -> Result<(), String> {
        self.check_message(step)?;
        self.apply_message(step.seq, step.at, &step.message);
        let hosts = usize::from(undone_from(step).is_some());
        for (index, decision) in step.decisions.iter().enumerate() {
            if index >= hosts {
                self.check_decision(decision)?;
            }
            self.apply_decision(decision);
        }
        self.apply_status(step.custom_status.as_ref());
        Ok(())
    }

    fn check_message(&self, step: &Step) -> Result<(), String> {
        let body = &step.message;
        let changes = match body {
            MessageBody::Started(_) => self.accepts(body),
            _ if self.start().is_none() => return Err("the first one is the start".into()),
            MessageBody::TimerFired { task, deadline } => {
                self.accepts(body) && self.deadlines.get(*task, *deadline).is_some()
            }
            MessageBody::Rewound(_) => undone_from(step).is_some(),
            _ => self.accepts(body),
        };
        if changes { Ok(()) } else { Err("its message changes nothing, and would not have been applied".into()) }
    }

    fn check_decision(&self, decision: &Decision) -> Result<(), String> {
        if self.end().is_some() {
            return Err("it goes on after its end".into());
        }
        let task = |task: TaskId| self.tasks.get(task as usize);
        let fits = match decision {
            Decision::WaitStarted { task, .. }
            | Decision::ActivityScheduled { task, .. }
            | Decision::TimerCreated { task, .. }
            | Decision::ChildStarted { task, .. } => *task as usize == self.tasks.len(),
            Decision::RetrySet { task: id, .. } => task(*id).and_then(Task::work).is_some(),
            Decision::TimeoutSet { task: id, .. } => self.is_open(*id),
            Decision::TaskCancelled { task: id, .. } => {
                task(*id).is_some_and(|task| !matches!(task.progress, Progress::Cancelled))
            }
            Decision::Blocked { on } => on.tasks().iter().all(|id| task(*id).is_some()),
            Decision::Undone { .. } => false,
            Decision::Completed { .. }
            | Decision::Failed { .. }
            | Decision::InstanceStarted { .. }
            | Decision::EventSent { .. }
            | Decision::ContinuedAsNew { .. }
            | Decision::CallbackUrlMade { .. } => true,
        };
        if fits { Ok(()) } else { Err(format!("{decision:?} does not fit the {} tasks there are", self.tasks.len())) }
    }
}

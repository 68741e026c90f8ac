use std::collections::BTreeSet;

use crate::task::{Task, TaskKind, Work};
use crate::{
    Caller, ChildStart, Control, Deadline, Decision, End, Failure, MessageBody, Outcome, Outgoing, OutgoingBody,
    ScheduledActivity, State, Step, TaskEnded, TaskId, Turn, kind,
};

/// What new steps make true outside the instance, gathered until the turn is taken. A replayed step has had its effects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// Activities of which an attempt begins, unless the task is given up before the turn is over.
    performed: BTreeSet<TaskId>,
    settled: BTreeSet<TaskId>,
    outgoing: Vec<Outgoing>,
}

impl Effects {
    /// What a message changes; `state` has it applied.
    pub fn of_message(&mut self, state: &State, message: &MessageBody) {
        match message {
            MessageBody::ActivityEnded(ended) => drop(self.settled.insert(ended.task)),
            MessageBody::TimerFired { task, deadline: Deadline::Retry } => match state.is_activity(*task) {
                true => drop(self.performed.insert(*task)),
                false => self.send_child(state, *task, OutgoingBody::Start),
            },
            MessageBody::TimerFired { task, deadline: Deadline::Timeout } if state.is_activity(*task) => {
                self.settled.insert(*task);
            }
            MessageBody::Terminated(control) => {
                self.pass_on(state, control, MessageBody::Terminated);
                self.tell_parent(state);
            }
            MessageBody::Suspended(control) => self.pass_on(state, control, MessageBody::Suspended),
            MessageBody::Resumed(control) => self.pass_on(state, control, MessageBody::Resumed),
            _ => {}
        }
    }

    /// What a decision changes; `state` has it applied.
    pub fn of_decision(&mut self, state: &State, decision: &Decision) {
        match decision {
            Decision::ActivityScheduled { task, .. } => drop(self.performed.insert(*task)),
            Decision::ChildStarted { task, .. } => self.send_child(state, *task, OutgoingBody::Start),
            Decision::TaskCancelled { task, .. } if state.is_activity(*task) => drop(self.settled.insert(*task)),
            Decision::InstanceStarted { name, instance, input } => {
                let start = ChildStart { name: name.clone(), input: input.clone(), caller: None };
                self.send(instance, OutgoingBody::Start(start));
            }
            Decision::EventSent { instance, name, input } => {
                let event = MessageBody::EventRaised { name: name.clone(), input: input.clone() };
                self.send(instance, OutgoingBody::Message(event));
            }
            Decision::Completed { .. } | Decision::Failed { .. } => self.tell_parent(state),
            _ => {}
        }
    }

    /// The turn that these effects belong to.
    pub fn into_turn(self, state: &State, steps: Vec<Step>, consumed: Vec<u64>) -> Turn {
        let activities: Vec<_> = self.performed.iter().filter_map(|task| scheduled(state, *task)).collect();
        // Where one attempt has ended and the next begins, the task is not settled.
        let begins = |task: &TaskId| activities.iter().any(|activity| activity.task == *task);
        let settled = self.settled.into_iter().filter(|task| !begins(task)).collect();
        Turn {
            steps,
            consumed,
            returned: Vec::new(),
            activities,
            settled,
            outgoing: self.outgoing,
            due: state.next_due(),
            waiting: state.awaited_events(),
            status: state.runtime_status(),
            history: state.history(),
            history_before: state.history(),
            module: None,
            next: None,
        }
    }

    /// After a rewind: all that is open is worked on anew, but for tasks whose result is there already.
    pub fn revive(&mut self, state: &State, has_result: impl Fn(TaskId) -> bool) {
        for (id, task) in (0..).zip(&state.tasks) {
            match &task.kind {
                _ if !task.is_open() || has_result(id) || task.work().is_none_or(|work| work.resting) => {}
                TaskKind::Activity(_) => drop(self.performed.insert(id)),
                _ => self.send_child(state, id, OutgoingBody::Revive),
            }
        }
    }

    fn send_child(&mut self, state: &State, task: TaskId, body: impl Fn(ChildStart) -> OutgoingBody) {
        let Some(TaskKind::Child { instance, work }) = state.tasks.get(task as usize).map(|task| &task.kind) else {
            return;
        };
        self.send(instance, body(child_start(state, task, work)));
    }

    /// Asks of the open children what was asked of the instance.
    fn pass_on(&mut self, state: &State, control: &Control, body: impl Fn(Control) -> MessageBody) {
        let Some(start) = state.start().filter(|_| control.cascade) else { return };
        for task in state.tasks.iter().filter(|task| task.is_open()) {
            if let TaskKind::Child { instance, .. } = &task.kind {
                let control = Control { by: Some(start.execution.clone()), ..control.clone() };
                self.send(instance, OutgoingBody::Message(body(control)));
            }
        }
    }

    fn tell_parent(&mut self, state: &State) {
        let parent = state.start().and_then(|start| start.parent.as_ref());
        let (Some(parent), Some(outcome)) = (parent, state.end().and_then(End::told)) else { return };
        let message = parent.caller.told(outcome);
        self.send(&parent.instance, OutgoingBody::Message(message));
    }

    fn send(&mut self, to: &str, body: OutgoingBody) {
        self.outgoing.push(Outgoing { to: to.to_owned(), body });
    }
}

impl End {
    /// What a parent is told of it; nothing while another generation follows.
    pub fn told(&self) -> Option<Outcome> {
        match self {
            End::Returned(outcome) => Some(outcome.clone()),
            End::Terminated(reason) => {
                let reason = reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
                let message = format!("the sub-orchestration was terminated{reason}");
                Some(Outcome::Failed(Failure::new(kind::TERMINATED, message)))
            }
            End::ContinuedAsNew { .. } => None,
        }
    }
}

impl Caller {
    /// The message that tells the parent how its child ended.
    pub fn told(&self, outcome: Outcome) -> MessageBody {
        let Caller { execution, task, attempt, depth: _ } = self.clone();
        MessageBody::ChildEnded(TaskEnded { task, outcome, execution, attempt })
    }
}

fn child_start(state: &State, task: TaskId, work: &Work) -> ChildStart {
    let (execution, depth) =
        state.start().map_or_else(Default::default, |start| (start.execution.clone(), start.depth()));
    let caller = Caller { execution, task, attempt: work.attempt, depth };
    ChildStart { name: work.name.clone(), input: work.input.clone(), caller: Some(caller) }
}

fn scheduled(state: &State, task: TaskId) -> Option<ScheduledActivity> {
    let Task { kind: TaskKind::Activity(work), .. } = state.tasks.get(task as usize).filter(|task| task.is_open())?
    else {
        return None;
    };
    (!work.resting).then(|| ScheduledActivity {
        task,
        name: work.name.clone(),
        input: work.input.clone(),
        attempt: work.attempt,
        timeout: work.time_for_attempt(),
    })
}

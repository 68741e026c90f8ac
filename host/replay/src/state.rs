use crate::mailbox::{Buffered, Mailbox};
use crate::task::{BoundEvent, Completion, Progress, Task, TaskKind};
use crate::{
    BlockedOn, Decision, MessageBody, Outcome, Payload, RuntimeStatus, Start, Step, TaskId, Timestamp, fold_name,
};

/// What history adds up to. Needs no guest: whatever changes it is recorded, as a message or as a decision.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) start: Option<Start>,
    pub(crate) now: Timestamp,
    pub(crate) tasks: Vec<Task>,
    /// Tasks in the order of their completion; a task's index here is its completion number.
    pub(crate) completed: Vec<TaskId>,
    mailbox: Mailbox,
    blocked: Option<Blocked>,
    ended: Option<Outcome>,
    custom_status: Option<Payload>,
    /// Everything in `completed` before this index has been handed over or cancelled.
    next_to_hand_over: usize,
    /// How many tasks are open.
    open: usize,
}

/// What the guest is blocked on, and how far the question whether it may go on has been answered.
#[derive(Clone, Debug)]
struct Blocked {
    on: BlockedOn,
    /// Completions before this index have been looked at.
    seen: usize,
    /// For `All`: the tasks before this place in the list are complete.
    complete_before: usize,
}

/// An event that was accepted and that no wait has taken.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferedEvent {
    pub seq: u64,
    /// As the sender spelled it.
    pub name: String,
    pub input: Payload,
}

impl State {
    /// Folds a history.
    pub fn of(history: &[Step]) -> State {
        let mut state = State::default();
        for step in history {
            state.apply_message(step.seq, step.at, &step.message);
            for decision in &step.decisions {
                state.apply_decision(decision);
            }
            state.apply_status(step.custom_status.as_ref());
        }
        state
    }

    pub fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    /// The time of the latest step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref()
    }

    pub fn custom_status(&self) -> Option<&Payload> {
        self.custom_status.as_ref()
    }

    pub fn runtime_status(&self) -> RuntimeStatus {
        match (&self.start, &self.ended) {
            (None, _) => RuntimeStatus::Pending,
            (_, None) => RuntimeStatus::Running,
            (_, Some(Outcome::Succeeded(_))) => RuntimeStatus::Completed,
            (_, Some(Outcome::Failed(_))) => RuntimeStatus::Failed,
        }
    }

    /// Whether the guest has something to do now: it is not blocked, or what it is blocked on has come.
    pub fn is_runnable(&self) -> bool {
        self.start.is_some() && self.ended.is_none() && self.blocked.is_none()
    }

    /// Names of the external events that would let a blocked guest go on, sorted, each once.
    pub fn waiting_for(&self) -> Vec<String> {
        let Some(blocked) = &self.blocked else { return Vec::new() };
        let open_wait = |task: TaskId| match &self.tasks[task as usize] {
            Task { kind: TaskKind::Wait { name }, progress: Progress::Open, .. } => Some(name.as_str()),
            _ => None,
        };
        let mut names: Vec<&str> = match &blocked.on {
            BlockedOn::Task(task) => open_wait(*task).into_iter().collect(),
            BlockedOn::Any(tasks) | BlockedOn::All(tasks) => tasks.iter().copied().filter_map(open_wait).collect(),
            BlockedOn::Next => self.mailbox.open_waits().filter_map(open_wait).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Events that were accepted and that no wait has taken, in the order of arrival.
    pub fn buffered_events(&self) -> Vec<BufferedEvent> {
        let mut events: Vec<BufferedEvent> = self
            .mailbox
            .buffered()
            .map(|(seq, event)| BufferedEvent { seq, name: event.name.clone(), input: event.input.clone() })
            .collect();
        events.sort_by_key(|event| event.seq);
        events
    }

    /// Whether applying `body` changes anything. A result that comes twice, or for a task that was given up, does not.
    pub fn accepts(&self, body: &MessageBody) -> bool {
        match body {
            MessageBody::Started(_) => self.start.is_none(),
            MessageBody::EventRaised { .. } => true,
            MessageBody::ActivityEnded { task, .. } => {
                self.is_open(*task) && self.is_activity(*task) && self.ended.is_none()
            }
        }
    }

    pub(crate) fn is_open(&self, task: TaskId) -> bool {
        matches!(self.tasks.get(task as usize), Some(Task { progress: Progress::Open, .. }))
    }

    pub(crate) fn is_activity(&self, task: TaskId) -> bool {
        matches!(self.tasks.get(task as usize), Some(Task { kind: TaskKind::Activity, .. }))
    }

    pub(crate) fn apply_message(&mut self, seq: u64, at: Timestamp, body: &MessageBody) {
        self.now = at;
        match body {
            MessageBody::Started(start) => self.start = Some((**start).clone()),
            MessageBody::EventRaised { name, input } => {
                self.deliver(seq, Buffered { name: name.clone(), input: input.clone() });
            }
            MessageBody::ActivityEnded { task, outcome } => {
                if self.is_open(*task) {
                    self.complete(*task, outcome.clone(), None);
                }
            }
        }
        self.unblock_if_satisfied();
    }

    pub(crate) fn apply_decision(&mut self, decision: &Decision) {
        match decision {
            Decision::WaitStarted { task, name } => {
                let ready = self.mailbox.wait(&fold_name(name), *task);
                self.create(TaskKind::Wait { name: name.clone() });
                if let Some((seq, event)) = ready {
                    self.bind(*task, seq, event);
                }
            }
            Decision::ActivityScheduled { .. } => self.create(TaskKind::Activity),
            Decision::TaskCancelled { task, returned } => self.cancel(*task, returned.is_some()),
            Decision::Blocked { on } => {
                // Recorded only when nothing that is complete by now satisfies it: later completions alone count.
                self.blocked = Some(Blocked { on: on.clone(), seen: self.completed.len(), complete_before: 0 });
            }
            Decision::Completed { output } => self.end(Outcome::Succeeded(output.clone())),
            Decision::Failed { failure } => self.end(Outcome::Failed(failure.clone())),
        }
    }

    pub(crate) fn apply_status(&mut self, status: Option<&Payload>) {
        if let Some(status) = status {
            self.custom_status = Some(status.clone());
        }
    }

    /// The event that cancelling this task would put back; none where it was never bound, or was taken.
    pub(crate) fn returnable(&self, task: TaskId) -> Option<u64> {
        let completion = self.tasks[task as usize].completion()?;
        (!completion.taken).then_some(completion.event.as_ref()?.seq)
    }

    /// The next completed task to hand over to the guest.
    pub(crate) fn hand_over_next(&mut self) -> Option<TaskId> {
        while let Some(task) = self.completed.get(self.next_to_hand_over) {
            self.next_to_hand_over += 1;
            let entry = &mut self.tasks[*task as usize];
            if !entry.handed_over && entry.completion().is_some() {
                entry.handed_over = true;
                return Some(*task);
            }
        }
        None
    }

    pub(crate) fn has_open_tasks(&self) -> bool {
        self.open > 0
    }

    pub(crate) fn first_completed(&self, tasks: &[TaskId]) -> Option<TaskId> {
        let number = |task: &TaskId| self.tasks[*task as usize].completion().map(|completion| completion.number);
        tasks.iter().filter_map(|task| Some((number(task)?, *task))).min().map(|(_, task)| task)
    }

    pub(crate) fn first_failed(&self, tasks: &[TaskId]) -> Option<TaskId> {
        let failed = |task: &TaskId| {
            let completion = self.tasks[*task as usize].completion()?;
            matches!(completion.outcome, Outcome::Failed(_)).then_some((completion.number, *task))
        };
        tasks.iter().filter_map(failed).min().map(|(_, task)| task)
    }

    fn create(&mut self, kind: TaskKind) {
        self.tasks.push(Task::open(kind));
        self.open += 1;
    }

    fn deliver(&mut self, seq: u64, event: Buffered) {
        let folded = fold_name(&event.name);
        if let Ok((task, event)) = self.mailbox.deliver(&folded, seq, event) {
            self.bind(task, seq, event);
        }
    }

    fn bind(&mut self, task: TaskId, seq: u64, event: Buffered) {
        self.complete(task, Outcome::Succeeded(event.input), Some(BoundEvent { seq, name: event.name }));
    }

    fn complete(&mut self, task: TaskId, outcome: Outcome, event: Option<BoundEvent>) {
        let number = self.completed.len() as u32;
        self.completed.push(task);
        self.open -= 1;
        self.tasks[task as usize].progress = Progress::Complete(Completion { number, outcome, event, taken: false });
    }

    fn cancel(&mut self, task: TaskId, put_back: bool) {
        let entry = &mut self.tasks[task as usize];
        let before = std::mem::replace(&mut entry.progress, Progress::Cancelled);
        match (before, &entry.kind) {
            (Progress::Open, kind) => {
                self.open -= 1;
                if let TaskKind::Wait { name } = kind {
                    self.mailbox.close(&fold_name(name), task);
                }
            }
            (Progress::Complete(Completion { event: Some(event), outcome: Outcome::Succeeded(input), .. }), _)
                if put_back =>
            {
                self.deliver(event.seq, Buffered { name: event.name, input });
            }
            _ => {}
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.blocked = None;
        self.ended = Some(outcome);
        // Events that come from now on stay visible, rather than vanish in a wait that nobody holds.
        self.mailbox.close_all();
    }

    fn unblock_if_satisfied(&mut self) {
        if let Some(mut blocked) = self.blocked.take()
            && !self.satisfies(&mut blocked)
        {
            self.blocked = Some(blocked);
        }
    }

    fn satisfies(&self, blocked: &mut Blocked) -> bool {
        let fresh = &self.completed[blocked.seen..];
        blocked.seen = self.completed.len();
        match &blocked.on {
            BlockedOn::Task(task) => !self.is_open(*task),
            BlockedOn::Any(tasks) => fresh.iter().any(|task| tasks.contains(task)),
            BlockedOn::Next => !fresh.is_empty(),
            BlockedOn::All(tasks) => {
                while tasks.get(blocked.complete_before).is_some_and(|task| !self.is_open(*task)) {
                    blocked.complete_before += 1;
                }
                let failed = |task: &&TaskId| {
                    let completion = self.tasks[**task as usize].completion();
                    completion.is_some_and(|completion| matches!(completion.outcome, Outcome::Failed(_)))
                };
                blocked.complete_before == tasks.len() || fresh.iter().filter(failed).any(|task| tasks.contains(task))
            }
        }
    }
}

use serde::{Deserialize, Serialize};

use crate::blocked::Blocked;
use crate::deadlines::Deadlines;
use crate::limits::HistorySize;
use crate::mailbox::{Buffered, Mailbox};
use crate::task::{BoundEvent, Completion, Progress, Task, TaskKind, Work};
use crate::undo::effective;
use crate::{
    BlockedOn, Control, Deadline, Decision, Failure, MessageBody, Outcome, Payload, RetryPolicy, RuntimeStatus, Start,
    Step, TaskEnded, TaskId, Timestamp, fold_name, kind,
};

/// What history adds up to. Needs no guest: whatever changes it is recorded, as a message or as a decision.
#[derive(Clone, Debug, Default)]
pub struct State {
    start: Option<Start>,
    now: Timestamp,
    pub(crate) tasks: Vec<Task>,
    /// Tasks in the order of their completion; a task's index here is its completion number.
    pub(crate) completed: Vec<TaskId>,
    pub(crate) deadlines: Deadlines,
    pub(crate) mailbox: Mailbox,
    pub(crate) blocked: Option<Blocked>,
    end: Option<End>,
    suspended: bool,
    custom_status: Option<Payload>,
    history: HistorySize,
    /// The custom status of the latest step, bytes: it may be replaced within the step, and is counted when that is over.
    uncounted: usize,
    /// The module that the instance was moved to.
    module: Option<String>,
    /// Everything in `completed` before this index has been handed over or cancelled.
    next_to_hand_over: usize,
    /// How many tasks are open.
    open: usize,
    /// How many tasks there were when the latest step began.
    old_tasks: usize,
    /// How many instances were started that nobody waits for.
    pub(crate) detached: u32,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Returned(Outcome),
    /// With the reason.
    Terminated(Option<String>),
    ContinuedAsNew {
        input: Payload,
        same_module: bool,
    },
}

/// An event that was accepted and that no wait has taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BufferedEvent {
    pub seq: u64,
    /// As the sender spelled it.
    pub name: String,
    pub input: Payload,
}

impl State {
    /// Folds a history that is known to be one: what is read from elsewhere is [`checked`](State::checked).
    ///
    /// # Panics
    /// May, where it is none.
    pub fn of(history: &[Step]) -> State {
        State::of_effective(effective(history))
    }

    pub(crate) fn of_effective<'a>(steps: impl IntoIterator<Item = &'a Step>) -> State {
        let mut state = State::default();
        steps.into_iter().for_each(|step| state.apply_step(step));
        state
    }

    pub(crate) fn apply_step(&mut self, step: &Step) {
        self.apply_message(step.seq, step.at, &step.message);
        step.decisions.iter().for_each(|decision| self.apply_decision(decision));
        self.apply_status(step.custom_status.as_ref());
    }

    pub fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    /// The time of the latest step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How the execution ended; none while it goes on.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What the orchestrator returned, or why it failed.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.end {
            Some(End::Returned(outcome)) => Some(outcome),
            _ => None,
        }
    }

    pub fn custom_status(&self) -> Option<&Payload> {
        self.custom_status.as_ref()
    }

    /// The digest of the module whose code it runs; empty before the start.
    pub fn module(&self) -> &str {
        let first = self.start.as_ref().map_or("", |start| &start.module);
        self.module.as_deref().unwrap_or(first)
    }

    /// How large the history is that led here.
    pub fn history(&self) -> HistorySize {
        self.history
    }

    /// How many tasks are open.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// One that continues as new is running.
    pub fn runtime_status(&self) -> RuntimeStatus {
        match (&self.start, &self.end) {
            (None, None) => RuntimeStatus::Pending,
            (_, None) if self.suspended => RuntimeStatus::Suspended,
            (_, None | Some(End::ContinuedAsNew { .. })) => RuntimeStatus::Running,
            (_, Some(End::Returned(Outcome::Succeeded(_)))) => RuntimeStatus::Completed,
            (_, Some(End::Returned(Outcome::Failed(_)))) => RuntimeStatus::Failed,
            (_, Some(End::Terminated(_))) => RuntimeStatus::Terminated,
        }
    }

    /// Whether the guest has something to do now: it is not blocked, or what it is blocked on has come.
    pub fn is_runnable(&self) -> bool {
        self.start.is_some() && self.end.is_none() && self.blocked.is_none() && !self.suspended
    }

    /// When the next deadline passes; none where nothing but a message changes anything.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.next_deadline().map(|(at, ..)| at)
    }

    pub(crate) fn next_deadline(&self) -> Option<(Timestamp, TaskId, Deadline)> {
        self.deadlines.next().filter(|_| self.end.is_none() && !self.suspended)
    }

    pub(crate) fn blocked_on(&self) -> Option<&BlockedOn> {
        self.blocked.as_ref().map(|blocked| &blocked.on)
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
        let goes_on = self.end.is_none();
        match body {
            MessageBody::Started(_) => self.start.is_none(),
            MessageBody::EventRaised { .. } => true,
            MessageBody::ActivityEnded(ended) => goes_on && self.awaits(ended) && self.is_activity(ended.task),
            MessageBody::ChildEnded(ended) => goes_on && self.awaits(ended) && !self.is_activity(ended.task),
            MessageBody::TimerFired { .. } => goes_on,
            MessageBody::Terminated(control) => goes_on && self.is_meant_by(control),
            MessageBody::Suspended(control) => goes_on && !self.suspended && self.is_meant_by(control),
            MessageBody::Resumed(control) => goes_on && self.suspended && self.is_meant_by(control),
            // An owner applies it on its own: see `rewind`.
            MessageBody::Rewound(_) => false,
            MessageBody::Migrated { module } => goes_on && self.module() != module,
        }
    }

    /// Whether an attempt that ended is the one under way.
    fn awaits(&self, ended: &TaskEnded) -> bool {
        let mine = self.start.as_ref().is_some_and(|start| start.execution == ended.execution);
        let task = self.tasks.get(ended.task as usize).filter(|task| task.is_open());
        let work = task.and_then(Task::work);
        work.is_some_and(|work| work.attempt == ended.attempt && !work.resting) && (mine || ended.execution.is_empty())
    }

    /// A parent may ask something of its own child only.
    pub(crate) fn is_meant_by(&self, control: &Control) -> bool {
        let parent = self.start.as_ref().and_then(|start| start.parent.as_ref());
        control.by.as_ref().is_none_or(|by| parent.is_some_and(|parent| parent.caller.execution == *by))
    }

    pub(crate) fn is_open(&self, task: TaskId) -> bool {
        self.tasks.get(task as usize).is_some_and(Task::is_open)
    }

    /// Whether the latest step created the task.
    pub(crate) fn is_new(&self, task: TaskId) -> bool {
        task as usize >= self.old_tasks
    }

    pub(crate) fn is_activity(&self, task: TaskId) -> bool {
        matches!(self.tasks.get(task as usize), Some(Task { kind: TaskKind::Activity(_), .. }))
    }

    pub(crate) fn apply_message(&mut self, seq: u64, at: Timestamp, body: &MessageBody) {
        self.now = at;
        self.history.add_bytes(std::mem::take(&mut self.uncounted));
        self.history.add_message(body);
        self.old_tasks = self.tasks.len();
        match body {
            MessageBody::Started(start) => {
                for BufferedEvent { seq, name, input } in start.carried.clone() {
                    self.deliver(seq, Buffered { name, input });
                }
                self.start = Some((**start).clone());
            }
            MessageBody::EventRaised { name, input } => {
                self.deliver(seq, Buffered { name: name.clone(), input: input.clone() });
            }
            MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => self.attempt_ended(ended),
            MessageBody::TimerFired { task, deadline } => self.deadline_passed(*task, *deadline),
            MessageBody::Terminated(control) => self.end_with(End::Terminated(control.reason.clone())),
            MessageBody::Suspended(_) => self.suspended = true,
            MessageBody::Resumed(_) => self.suspended = false,
            MessageBody::Rewound(_) => {}
            MessageBody::Migrated { module } => self.module = Some(module.clone()),
        }
        self.unblock_if_satisfied();
    }

    pub(crate) fn apply_decision(&mut self, decision: &Decision) {
        self.history.add_decision(decision);
        match decision {
            Decision::WaitStarted { task, name } => {
                let ready = self.mailbox.wait(&fold_name(name), *task);
                self.create(TaskKind::Wait { name: name.clone() });
                if let Some((seq, event)) = ready {
                    self.bind(*task, seq, event);
                }
            }
            Decision::ActivityScheduled { name, input, .. } => {
                self.create(TaskKind::Activity(Work::new(name.clone(), input.clone(), self.now)));
            }
            Decision::ChildStarted { name, instance, input, .. } => {
                let work = Work::new(name.clone(), input.clone(), self.now);
                self.create(TaskKind::Child { instance: instance.clone(), work });
            }
            Decision::TimerCreated { task, due } => {
                self.create(TaskKind::Timer { due: *due });
                self.deadlines.set(*task, Deadline::Due, *due);
            }
            Decision::RetrySet { task, policy } => self.set_retry(*task, policy),
            Decision::TimeoutSet { task, due, default } => {
                if self.is_open(*task) {
                    self.deadlines.set(*task, Deadline::Timeout, *due);
                    self.deadlines.set_default(*task, default.clone());
                }
            }
            Decision::TaskCancelled { task, returned } => self.cancel(*task, returned.is_some()),
            Decision::InstanceStarted { .. } => self.detached += 1,
            Decision::EventSent { .. } | Decision::CallbackUrlMade { .. } => {}
            Decision::Undone { attempts, .. } => self.begin_open_work_anew(attempts),
            Decision::Blocked { on } => {
                // Recorded only when nothing that is complete by now satisfies it: later completions alone count.
                self.blocked = Some(Blocked::on(on.clone(), self.completed.len()));
            }
            Decision::Completed { output } => self.end_with(End::Returned(Outcome::Succeeded(output.clone()))),
            Decision::Failed { failure } => self.end_with(End::Returned(Outcome::Failed(failure.clone()))),
            Decision::ContinuedAsNew { input, same_module } => {
                self.end_with(End::ContinuedAsNew { input: input.clone(), same_module: *same_module });
            }
        }
    }

    pub(crate) fn apply_status(&mut self, status: Option<&Payload>) {
        if let Some(status) = status {
            self.uncounted = status.as_str().len();
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
        self.tasks.push(Task::open(kind, self.now));
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
        self.deadlines.forget(task);
        self.tasks[task as usize].progress = Progress::Complete(Completion { number, outcome, event, taken: false });
    }

    fn cancel(&mut self, task: TaskId, put_back: bool) {
        self.deadlines.forget(task);
        let entry = &mut self.tasks[task as usize];
        let before = std::mem::replace(&mut entry.progress, Progress::Cancelled);
        match before {
            Progress::Open => {
                self.open -= 1;
                self.close_wait(task);
            }
            Progress::Complete(Completion { event: Some(event), outcome: Outcome::Succeeded(input), .. })
                if put_back =>
            {
                self.deliver(event.seq, Buffered { name: event.name, input });
            }
            _ => {}
        }
    }

    fn close_wait(&mut self, task: TaskId) {
        if let TaskKind::Wait { name } = &self.tasks[task as usize].kind {
            self.mailbox.close(&fold_name(name), task);
        }
    }

    fn end_with(&mut self, end: End) {
        self.blocked = None;
        self.suspended = false;
        self.end = Some(end);
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

/// Work that is done elsewhere, and deadlines.
impl State {
    fn set_retry(&mut self, task: TaskId, policy: &RetryPolicy) {
        if let Some(work) = self.tasks.get_mut(task as usize).and_then(Task::work_mut) {
            work.retry = Some(policy.clone());
        }
    }

    fn attempt_ended(&mut self, ended: &TaskEnded) {
        if !self.awaits(ended) {
            return;
        }
        let now = self.now;
        let work = self.tasks[ended.task as usize].work_mut();
        if let (Some(work), Outcome::Failed(failure)) = (work, &ended.outcome)
            && let Some(at) = work.next_attempt(failure, now)
        {
            work.resting = true;
            return self.deadlines.set(ended.task, Deadline::Retry, at);
        }
        self.complete(ended.task, ended.outcome.clone(), None);
    }

    fn deadline_passed(&mut self, task: TaskId, deadline: Deadline) {
        if !self.is_open(task) {
            return;
        }
        match deadline {
            Deadline::Due => self.complete(task, Outcome::Succeeded(Payload::null()), None),
            Deadline::Retry => {
                self.deadlines.remove(task, Deadline::Retry);
                let now = self.now;
                if let Some(work) = self.tasks[task as usize].work_mut() {
                    work.begin_next(now);
                }
            }
            Deadline::Timeout => {
                self.close_wait(task);
                let outcome = match self.deadlines.take_default(task) {
                    Some(default) => Outcome::Succeeded(default),
                    None => Outcome::Failed(Failure::new(kind::TIMEOUT, self.timeout_message(task))),
                };
                self.complete(task, outcome, None);
            }
        }
    }

    fn timeout_message(&self, task: TaskId) -> String {
        match &self.tasks[task as usize].kind {
            TaskKind::Wait { name } => format!("no event {name:?} came in time"),
            TaskKind::Timer { .. } => "the timer was not due in time".into(),
            TaskKind::Activity(work) => format!("the activity {:?} did not end in time", work.name),
            TaskKind::Child { instance, .. } => format!("the sub-orchestration {instance:?} did not end in time"),
        }
    }

    /// After a rewind each open task has its whole retry policy again. Nobody works on an activity any more: another attempt begins.
    /// A child is the same as before, and tells of the attempt that it was started for. A task that rests until its next attempt goes
    /// on resting, unless the undone steps had begun that one: `attempts` is the latest of each task for which they had.
    fn begin_open_work_anew(&mut self, attempts: &[(TaskId, u32)]) {
        let now = self.now;
        for (task, attempt) in attempts {
            self.deadlines.remove(*task, Deadline::Retry);
            if let Some(work) = self.tasks.get_mut(*task as usize).and_then(Task::work_mut) {
                (work.attempt, work.resting) = (*attempt, false);
            }
        }
        for task in self.tasks.iter_mut().filter(|task| task.is_open()) {
            match &mut task.kind {
                TaskKind::Activity(work) if !work.resting => {
                    work.begin_next(now);
                    work.forgive(now);
                }
                TaskKind::Child { work, .. } if !work.resting => work.forgive(now),
                _ => {}
            }
        }
    }
}

use std::collections::VecDeque;
use std::task::Poll;

use crate::effects::Effects;
use crate::inbox::Inbox;
use crate::mismatch::is_same;
use crate::task::Progress;
use crate::undo::{effective, undone_from};
use crate::{
    BlockedOn, Decision, End, Failure, Message, MessageBody, Mismatch, NextGeneration, Outcome, Payload, RetryPolicy,
    Start, State, Step, TaskId, Timestamp, Turn,
};

/// One execution of an instance with its guest: history is replayed, then extended.
///
/// The guest creates tasks and waits for them through the methods below; the caller hands in messages ([`push`]) and the time
/// ([`tick`]), and takes out turns ([`take_turn`]). When a waiting method finds no answer it applies the next message, recorded or
/// new, and looks again; only when there is none left is it `Pending`, and the guest suspended. So a guest that replays 10,000
/// steps is suspended once.
///
/// Any error is final: the guest must be dropped, and nothing of the turn may be committed for a `Mismatch`.
///
/// [`push`]: Execution::push
/// [`tick`]: Execution::tick
/// [`take_turn`]: Execution::take_turn
#[derive(Debug)]
pub struct Execution {
    state: State,
    /// Recorded steps still to be replayed.
    recorded: VecDeque<Step>,
    /// Messages still to be applied.
    inbox: Inbox,
    /// Deadlines up to here have passed.
    time: Timestamp,
    step: Current,
    /// The guest has been told `Pending` (or would be), and asks the same thing again when it is resumed.
    blocked: bool,
    turn: Vec<Step>,
    ignored: Vec<u64>,
    effects: Effects,
    /// The place in the order of arrival of the latest step.
    seq: u64,
    /// How often a step began; tells a caller that meters steps to start again.
    steps_begun: u64,
}

#[derive(Debug)]
enum Current {
    /// Between steps: every message there is has been applied.
    Idle,
    /// A recorded step, and how many of its decisions the guest has made again.
    Replaying(Step, usize),
    Live(Step),
}

/// Why a guest cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Stop {
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// The guest asked for something no program can mean.
    #[error("{0}")]
    Misuse(String),
}

type Asked<T> = Result<T, Stop>;

impl Execution {
    /// An execution whose guest has yet to run: it will replay `history`, then take the messages pushed.
    pub fn new(history: Vec<Step>) -> Execution {
        let recorded = match history.iter().any(|step| undone_from(step).is_some()) {
            true => effective(&history).into_iter().cloned().collect(),
            false => history.into(),
        };
        Execution { recorded, ..Execution::of(State::default()) }
    }

    /// The same instance without its guest: good for [`absorb`](Execution::absorb) alone.
    pub fn without_guest(history: &[Step]) -> Execution {
        let seq = history.last().map_or(0, |step| step.seq);
        Execution { seq, ..Execution::of(State::of(history)) }
    }

    fn of(state: State) -> Execution {
        Execution {
            state,
            recorded: VecDeque::new(),
            inbox: Inbox::default(),
            time: Timestamp(i64::MIN),
            step: Current::Idle,
            blocked: false,
            turn: Vec::new(),
            ignored: Vec::new(),
            effects: Effects::default(),
            seq: 0,
            steps_begun: 0,
        }
    }

    /// Adds a message to be applied when the guest has done with those before it.
    pub fn push(&mut self, message: Message) {
        self.inbox.push(message);
    }

    /// Tells the time: deadlines up to `now` have passed. One that lies before the next message passes before it in any case.
    pub fn tick(&mut self, now: Timestamp) {
        self.time = self.time.max(now);
    }

    /// Applies the first message, which starts the guest; none where there is no message yet.
    ///
    /// # Panics
    /// When the first message is not a start: the owner of the instance has mixed up its messages.
    pub fn begin(&mut self) -> Option<Start> {
        if matches!(self.step, Current::Idle) && self.state.start().is_none() {
            self.advance().expect("no guest has run yet");
        }
        let start = self.state.start();
        assert!(start.is_some() || matches!(self.step, Current::Idle), "the first message must be a start");
        start.cloned()
    }

    /// What history and the steps so far add up to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the code that runs now has run before.
    pub fn is_replaying(&self) -> bool {
        matches!(self.step, Current::Replaying(..))
    }

    /// How many steps have begun so far, replayed ones included.
    pub fn steps_begun(&self) -> u64 {
        self.steps_begun
    }

    // ---- Creating and cancelling tasks

    pub fn wait_external_event(&mut self, name: &str) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::WaitStarted { task, name: name.to_owned() })?;
        Ok(task)
    }

    pub fn call_activity(&mut self, name: &str, input: Payload) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::ActivityScheduled { task, name: name.to_owned(), input })?;
        Ok(task)
    }

    /// Starts a child. Without an id of its own it gets one that names this execution and the task.
    pub fn call_sub_orchestrator(&mut self, name: &str, instance: Option<&str>, input: Payload) -> Asked<TaskId> {
        let task = self.next_task();
        let instance = instance.map_or_else(|| format!("{}:{task}", self.execution_id()), str::to_owned);
        self.decide(Decision::ChildStarted { task, name: name.to_owned(), instance, input })?;
        Ok(task)
    }

    /// A timer that is due at this instant; at once, where that is past.
    pub fn create_timer(&mut self, due: Timestamp) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::TimerCreated { task, due })?;
        Ok(task)
    }

    /// How attempts at an activity or a child go; only in the step that created it, for its first attempt goes out with that step.
    pub fn set_retry(&mut self, task: TaskId, policy: RetryPolicy) -> Asked<()> {
        self.check_known(task)?;
        let entry = &self.state.tasks[task as usize];
        if entry.work().is_none() {
            return Err(Stop::Misuse(format!(
                "task {task} is no activity and no sub-orchestration: nothing of it is retried"
            )));
        }
        if !self.state.is_new(task) {
            return Err(Stop::Misuse(format!("the retry policy of task {task} comes too late: it has begun already")));
        }
        self.decide(Decision::RetrySet { task, policy })
    }

    /// Ends the task at this instant, if it is open then: with the default where there is one, else with a failure of the kind
    /// `timeout`. Replaces a timeout set before. Does nothing where the task is complete or cancelled.
    pub fn set_timeout(&mut self, task: TaskId, due: Timestamp, default: Option<Payload>) -> Asked<()> {
        self.check_known(task)?;
        if !self.state.is_open(task) {
            return Ok(());
        }
        self.decide(Decision::TimeoutSet { task, due, default })
    }

    /// Gives a task up; false where its result was taken, or it was given up before.
    pub fn cancel(&mut self, task: TaskId) -> Asked<bool> {
        self.check_known(task)?;
        match &self.state.tasks[task as usize].progress {
            Progress::Cancelled => return Ok(false),
            Progress::Complete(completion) if completion.taken => return Ok(false),
            _ => {}
        }
        let returned = self.state.returnable(task);
        self.decide(Decision::TaskCancelled { task, returned })?;
        Ok(true)
    }

    // ---- Other instances

    /// Starts an instance that nobody waits for; returns its id.
    pub fn start_orchestrator(&mut self, name: &str, instance: Option<&str>, input: Payload) -> Asked<String> {
        let own = || format!("{}:n{}", self.execution_id(), self.state.detached);
        let instance = instance.map_or_else(own, str::to_owned);
        self.decide(Decision::InstanceStarted { name: name.to_owned(), instance: instance.clone(), input })?;
        Ok(instance)
    }

    /// Raises an external event for another instance, or this one.
    pub fn raise_event(&mut self, instance: &str, name: &str, input: Payload) -> Asked<()> {
        self.decide(Decision::EventSent { instance: instance.to_owned(), name: name.to_owned(), input })
    }

    // ---- Waiting

    pub fn poll_task(&mut self, task: TaskId) -> Poll<Asked<Outcome>> {
        if let Err(stop) = self.check_waitable(task) {
            return Poll::Ready(Err(stop));
        }
        self.poll(|| BlockedOn::Task(task), |state| take(state, task))
    }

    /// The task that completed first among `tasks`.
    pub fn poll_any(&mut self, tasks: &[TaskId]) -> Poll<Asked<TaskId>> {
        if tasks.is_empty() {
            return misuse("task-any was called with no tasks: it would wait for ever");
        }
        if let Err(stop) = self.check_all_waitable(tasks) {
            return Poll::Ready(Err(stop));
        }
        self.poll(
            || BlockedOn::Any(tasks.to_vec()),
            |state| {
                let first = state.first_completed(tasks)?;
                state.tasks[first as usize].handed_over = true;
                Some(first)
            },
        )
    }

    /// The results of all `tasks` in their order, or the failure that came first.
    pub fn poll_all(&mut self, tasks: &[TaskId]) -> Poll<Asked<Result<Vec<Payload>, Failure>>> {
        if let Err(stop) = self.check_all_waitable(tasks) {
            return Poll::Ready(Err(stop));
        }
        let answer = |state: &mut State| {
            // Only the failure reaches the guest, so only that task is taken: events of the others can still be given back.
            if let Some(failed) = state.first_failed(tasks) {
                return take(state, failed).and_then(failure).map(Err);
            }
            if tasks.iter().any(|task| state.is_open(*task)) {
                return None;
            }
            Some(Ok(tasks.iter().filter_map(|task| succeeded(take(state, *task)?)).collect()))
        };
        self.poll(|| BlockedOn::All(tasks.to_vec()), answer)
    }

    /// The next completed task that was not handed over yet.
    pub fn poll_next(&mut self) -> Poll<Asked<TaskId>> {
        if !self.blocked {
            if let Some(task) = self.state.hand_over_next() {
                return Poll::Ready(Ok(task));
            }
            if !self.state.has_open_tasks() {
                return misuse("next-completed was called with no task open: it would wait for ever");
            }
        }
        self.poll(|| BlockedOn::Next, State::hand_over_next)
    }

    /// The outcome of a complete task; none while it is open.
    pub fn task_result(&mut self, task: TaskId) -> Asked<Option<Outcome>> {
        self.check_waitable(task)?;
        Ok(take(&mut self.state, task))
    }

    // ---- The instance

    /// Replaces the custom status.
    pub fn set_custom_status(&mut self, status: Payload) {
        if let Current::Live(step) = &mut self.step {
            step.custom_status = Some(status.clone());
            self.state.apply_status(Some(&status));
        }
    }

    /// Applies messages that concern no guest, because it has ended or stays blocked: events are buffered and stay visible.
    /// True when a message lets the guest go on. Without a guest, this execution must then be dropped, and the messages
    /// given to one that has.
    pub fn absorb(&mut self) -> Asked<bool> {
        while !self.state.is_runnable() || self.must_terminate() {
            if !self.advance()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records how the guest ended, and absorbs the messages that are left.
    pub fn end(&mut self, outcome: Outcome) -> Asked<()> {
        self.return_untaken_events()?;
        self.decide(match outcome {
            Outcome::Succeeded(output) => Decision::Completed { output },
            Outcome::Failed(failure) => Decision::Failed { failure },
        })?;
        self.absorb()?;
        Ok(())
    }

    /// Records that this generation is over. Messages that are left are for the next one: see [`take_inbox`](Execution::take_inbox).
    pub fn continue_as_new(&mut self, input: Payload, same_module: bool) -> Asked<()> {
        self.return_untaken_events()?;
        self.decide(Decision::ContinuedAsNew { input, same_module })?;
        self.absorb()?;
        Ok(())
    }

    // ---- The caller

    /// Whether there is something that has not been committed.
    pub fn has_turn(&self) -> bool {
        !self.turn.is_empty() || !self.ignored.is_empty()
    }

    /// The steps since the last turn. Only between steps: while the guest is blocked, or has ended.
    pub fn take_turn(&mut self) -> Turn {
        assert!(matches!(self.step, Current::Idle), "a turn ends between steps");
        let steps = std::mem::take(&mut self.turn);
        let mut consumed = std::mem::take(&mut self.ignored);
        consumed.extend(steps.iter().filter(|step| is_consumed(step)).map(|step| step.seq));
        let effects = std::mem::take(&mut self.effects);
        let module = steps.iter().rev().find_map(|step| match &step.message {
            MessageBody::Migrated { module } => Some(module.clone()),
            _ => None,
        });
        Turn { module, next: self.next_generation(), ..effects.into_turn(&self.state, steps, consumed) }
    }

    /// The messages that are not applied: those for the next generation, or those that wait while the instance is suspended.
    pub fn take_inbox(&mut self) -> Vec<Message> {
        self.inbox.drain()
    }

    fn next_generation(&self) -> Option<NextGeneration> {
        match self.state.end() {
            Some(End::ContinuedAsNew { input, same_module }) => Some(NextGeneration {
                input: input.clone(),
                same_module: *same_module,
                carried: self.state.buffered_events(),
            }),
            _ => None,
        }
    }

    /// Gives up the waits whose event the guest never looked at, so that these events stay visible as buffered.
    fn return_untaken_events(&mut self) -> Asked<()> {
        let mut number = 0;
        // An event given back may go to another open wait of its name, which then joins the end of this list.
        while let Some(task) = self.state.completed.get(number).copied() {
            if self.state.returnable(task).is_some() {
                self.cancel(task)?;
            }
            number += 1;
        }
        Ok(())
    }

    fn execution_id(&self) -> &str {
        self.state.start().map_or("", |start| &start.execution)
    }

    fn next_task(&self) -> TaskId {
        self.state.tasks.len() as TaskId
    }

    /// Compares a decision with history, or records it; either way it becomes true in the state.
    fn decide(&mut self, decision: Decision) -> Asked<()> {
        match &mut self.step {
            Current::Idle => Err(Stop::Misuse("the guest ran on although it was not resumed".into())),
            Current::Live(step) => {
                self.state.apply_decision(&decision);
                self.effects.of_decision(&self.state, &decision);
                step.decisions.push(decision);
                Ok(())
            }
            Current::Replaying(step, position) => match step.decisions.get(*position) {
                Some(recorded) if is_same(recorded, &decision) => {
                    *position += 1;
                    self.state.apply_decision(recorded);
                    Ok(())
                }
                recorded => Err(Mismatch::stop(self.steps_begun, step.seq, *position, recorded, Some(&decision))),
            },
        }
    }

    fn poll<R>(&mut self, on: impl Fn() -> BlockedOn, answer: impl Fn(&mut State) -> Option<R>) -> Poll<Asked<R>> {
        match self.run_until(on, answer) {
            Ok(Some(answer)) => Poll::Ready(Ok(answer)),
            Ok(None) => Poll::Pending,
            Err(stop) => Poll::Ready(Err(stop)),
        }
    }

    /// Applies messages until there is an answer; none when they are used up.
    fn run_until<R>(
        &mut self,
        on: impl Fn() -> BlockedOn,
        answer: impl Fn(&mut State) -> Option<R>,
    ) -> Asked<Option<R>> {
        if !self.blocked {
            if let Some(answer) = answer(&mut self.state) {
                return Ok(Some(answer));
            }
            self.decide(Decision::Blocked { on: on() })?;
            self.blocked = true;
        }
        // The state knows cheaply whether the answer is there; asking for it may cost a look at every task.
        if !self.absorb()? {
            return Ok(None);
        }
        self.blocked = false;
        match answer(&mut self.state) {
            Some(answer) => Ok(Some(answer)),
            None => Err(Stop::Misuse("the guest, resumed, asked for something else than it was blocked on".into())),
        }
    }

    /// Whether the instance is terminated next, whatever its guest could do. What is recorded comes first.
    fn must_terminate(&self) -> bool {
        let terminates = |body: &MessageBody| matches!(body, MessageBody::Terminated(_)) && self.state.accepts(body);
        self.recorded.is_empty() && !self.is_replaying() && self.inbox.urgent().any(terminates)
    }

    /// Closes the current step and applies the next message; false when there is none.
    fn advance(&mut self) -> Asked<bool> {
        self.close_step()?;
        let step = match self.recorded.pop_front() {
            Some(step) => Current::Replaying(step, 0),
            None => match self.next_message() {
                Some(message) => Current::Live(Step::of(message, self.state.now())),
                None => return Ok(false),
            },
        };
        let (Current::Replaying(begun, _) | Current::Live(begun)) = &step else { unreachable!("a step began") };
        self.state.apply_message(begun.seq, begun.at, &begun.message);
        self.state.apply_status(begun.custom_status.as_ref());
        if let Current::Live(begun) = &step {
            self.effects.of_message(&self.state, &begun.message);
        }
        self.seq = begun.seq;
        self.steps_begun += 1;
        self.step = step;
        if let Current::Replaying(begun, position) = &mut self.step
            && undone_from(begun).is_some()
        {
            // The host made it, not the guest.
            self.state.apply_decision(&begun.decisions[0]);
            *position = 1;
        }
        Ok(true)
    }

    fn close_step(&mut self) -> Asked<()> {
        match std::mem::replace(&mut self.step, Current::Idle) {
            Current::Idle => Ok(()),
            Current::Live(step) => {
                self.turn.push(step);
                Ok(())
            }
            Current::Replaying(step, position) => match step.decisions.get(position) {
                Some(next) => Err(Mismatch::stop(self.steps_begun, step.seq, position, Some(next), None)),
                None => Ok(()),
            },
        }
    }

    /// The next message that changes anything, or the deadline that passed before it.
    ///
    /// What is urgent goes before all others. While the instance is suspended, only what resumes it is looked for besides: to be suspended
    /// once more changes nothing, and must not come after that.
    fn next_message(&mut self) -> Option<Message> {
        if matches!(self.state.end(), Some(End::ContinuedAsNew { .. })) {
            return None;
        }
        loop {
            let message = if self.inbox.has_urgent() && self.state.start().is_some() {
                self.inbox.take_urgent()?
            } else if self.state.is_suspended() {
                self.inbox.take_control()?
            } else if let Some(passed) = self.passed_deadline() {
                return Some(passed);
            } else {
                self.inbox.pop()?
            };
            if self.state.accepts(&message.body) {
                return Some(message);
            }
            self.ignored.push(message.seq);
        }
    }

    /// The deadline that passed before the next message was accepted; or by now, where there is none.
    fn passed_deadline(&self) -> Option<Message> {
        let (at, task, deadline) = self.state.next_deadline()?;
        let reached = at <= self.inbox.next_at().unwrap_or(self.time);
        reached.then_some(Message { seq: self.seq, at, body: MessageBody::TimerFired { task, deadline } })
    }

    fn check_known(&self, task: TaskId) -> Asked<()> {
        if (task as usize) < self.state.tasks.len() {
            return Ok(());
        }
        Err(Stop::Misuse(format!("there is no task {task}: handles are those that this execution was given")))
    }

    /// A guest that is resumed asks again for what was found waitable when it was suspended.
    fn check_all_waitable(&self, tasks: &[TaskId]) -> Asked<()> {
        if self.blocked {
            return Ok(());
        }
        tasks.iter().try_for_each(|task| self.check_waitable(*task))
    }

    fn check_waitable(&self, task: TaskId) -> Asked<()> {
        self.check_known(task)?;
        match self.state.tasks[task as usize].progress {
            Progress::Cancelled => Err(Stop::Misuse(format!("task {task} was cancelled and can not be waited for"))),
            _ => Ok(()),
        }
    }
}

/// Whether the step used up a message of the inbox.
fn is_consumed(step: &Step) -> bool {
    !step.message.passes_by_itself()
}

/// Gives the outcome of a complete task to the guest.
fn take(state: &mut State, task: TaskId) -> Option<Outcome> {
    let entry = &mut state.tasks[task as usize];
    let Progress::Complete(completion) = &mut entry.progress else { return None };
    completion.taken = true;
    entry.handed_over = true;
    Some(completion.outcome.clone())
}

fn succeeded(outcome: Outcome) -> Option<Payload> {
    match outcome {
        Outcome::Succeeded(payload) => Some(payload),
        Outcome::Failed(_) => None,
    }
}

fn failure(outcome: Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Succeeded(_) => None,
        Outcome::Failed(failure) => Some(failure),
    }
}

fn misuse<T>(message: &str) -> Poll<Asked<T>> {
    Poll::Ready(Err(Stop::Misuse(message.into())))
}

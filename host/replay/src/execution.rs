use std::collections::{HashSet, VecDeque};
use std::task::Poll;

use crate::mismatch::is_same;
use crate::task::Progress;
use crate::{
    BlockedOn, Decision, Failure, Message, MessageBody, Mismatch, Outcome, Payload, ScheduledActivity, Start, State,
    Step, TaskId, Turn,
};

/// One execution of an instance with its guest: history is replayed, then extended.
///
/// The guest creates tasks and waits for them through the methods below; the caller hands in messages ([`push`]) and takes
/// out turns ([`take_turn`]). When a waiting method finds no answer it applies the next message, recorded or new, and
/// looks again; only when there is none left is it `Pending`, and the guest suspended. So a guest that replays 10,000
/// steps is suspended once.
///
/// Any error is final: the guest must be dropped, and nothing of the turn may be committed for a `Mismatch`.
///
/// [`push`]: Execution::push
/// [`take_turn`]: Execution::take_turn
#[derive(Debug)]
pub struct Execution {
    state: State,
    /// Recorded steps still to be replayed.
    recorded: VecDeque<Step>,
    /// Messages still to be applied.
    inbox: VecDeque<Message>,
    step: Current,
    /// The guest has been told `Pending` (or would be), and asks the same thing again when it is resumed.
    blocked: bool,
    turn: Vec<Step>,
    ignored: Vec<u64>,
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
        Execution {
            state: State::default(),
            recorded: history.into(),
            inbox: VecDeque::new(),
            step: Current::Idle,
            blocked: false,
            turn: Vec::new(),
            ignored: Vec::new(),
            steps_begun: 0,
        }
    }

    /// The same instance without its guest: good for [`absorb`](Execution::absorb) alone.
    pub fn without_guest(history: &[Step]) -> Execution {
        Execution { state: State::of(history), ..Execution::new(Vec::new()) }
    }

    /// Adds a message to be applied when the guest has done with those before it.
    pub fn push(&mut self, message: Message) {
        self.inbox.push_back(message);
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
        while !self.state.is_runnable() {
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
        let (mut activities, mut settled) = (Vec::new(), Vec::new());
        for step in &steps {
            consumed.push(step.seq);
            if let MessageBody::ActivityEnded { task, .. } = &step.message {
                settled.push(*task);
            }
            for decision in &step.decisions {
                match decision {
                    Decision::ActivityScheduled { task, name, input } => {
                        activities.push(ScheduledActivity { task: *task, name: name.clone(), input: input.clone() })
                    }
                    Decision::TaskCancelled { task, .. } if self.state.is_activity(*task) => settled.push(*task),
                    _ => {}
                }
            }
        }
        let given_up: HashSet<TaskId> = settled.iter().copied().collect();
        activities.retain(|activity: &ScheduledActivity| !given_up.contains(&activity.task));
        Turn { steps, consumed, activities, settled, status: self.state.runtime_status() }
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

    fn next_task(&self) -> TaskId {
        self.state.tasks.len() as TaskId
    }

    /// Compares a decision with history, or records it; either way it becomes true in the state.
    fn decide(&mut self, decision: Decision) -> Asked<()> {
        match &mut self.step {
            Current::Idle => Err(Stop::Misuse("the guest ran on although it was not resumed".into())),
            Current::Live(step) => {
                self.state.apply_decision(&decision);
                step.decisions.push(decision);
                Ok(())
            }
            Current::Replaying(step, position) => match step.decisions.get(*position) {
                Some(recorded) if is_same(recorded, &decision) => {
                    *position += 1;
                    self.state.apply_decision(recorded);
                    Ok(())
                }
                recorded => Err(Mismatch::stop(step.seq, *position, recorded, Some(&decision))),
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

    /// Closes the current step and applies the next message; false when there is none.
    fn advance(&mut self) -> Asked<bool> {
        match std::mem::replace(&mut self.step, Current::Idle) {
            Current::Idle => {}
            Current::Live(step) => self.turn.push(step),
            Current::Replaying(step, position) => {
                if let Some(next) = step.decisions.get(position) {
                    return Err(Mismatch::stop(step.seq, position, Some(next), None));
                }
            }
        }
        let step = match self.recorded.pop_front() {
            Some(step) => Current::Replaying(step, 0),
            None => match self.next_message() {
                Some(message) => Current::Live(Step {
                    seq: message.seq,
                    at: self.state.now().max(message.at),
                    message: message.body,
                    decisions: Vec::new(),
                    custom_status: None,
                }),
                None => return Ok(false),
            },
        };
        let (Current::Replaying(begun, _) | Current::Live(begun)) = &step else { unreachable!("a step began") };
        self.state.apply_message(begun.seq, begun.at, &begun.message);
        self.state.apply_status(begun.custom_status.as_ref());
        self.steps_begun += 1;
        self.step = step;
        Ok(true)
    }

    fn next_message(&mut self) -> Option<Message> {
        loop {
            let message = self.inbox.pop_front()?;
            if self.state.accepts(&message.body) {
                return Some(message);
            }
            self.ignored.push(message.seq);
        }
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

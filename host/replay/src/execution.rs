//! - [`calls`]: what the guest calls
//! - here: what its owner does with it, and how a step follows another

mod calls;

use std::collections::VecDeque;

use crate::effects::Effects;
use crate::inbox::Inbox;
use crate::mismatch::is_same;
use crate::turn::is_full;
use crate::undo::{effective, undone_from};
use crate::{
    BadHistory, Decision, End, HistorySize, Message, MessageBody, Mismatch, NextGeneration, Outcome, Payload, Start,
    State, Step, Timestamp, Turn,
};

/// One execution of an instance with its guest: history is replayed, then extended.
///
/// The guest creates tasks and waits for them; the caller hands in messages ([`push`]) and the time
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
    /// How large the history was before the turn.
    size_before: HistorySize,
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
    /// An execution whose guest has yet to run: it will replay `history`, which is known to be one, then take the messages pushed.
    pub fn new(history: Vec<Step>) -> Execution {
        let recorded = match history.iter().any(|step| undone_from(step).is_some()) {
            true => effective(&history).into_iter().cloned().collect(),
            false => history.into(),
        };
        Execution { recorded, ..Execution::of(State::default()) }
    }

    /// The same instance without its guest: good for [`absorb`](Execution::absorb) alone. The history is checked.
    pub fn without_guest(history: &[Step]) -> Result<Execution, BadHistory> {
        let seq = history.last().map_or(0, |step| step.seq);
        Ok(Execution { seq, ..Execution::of(State::checked(history)?) })
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
            size_before: HistorySize::default(),
            steps_begun: 0,
        }
    }

    /// Adds a message to be applied when the guest has done with those before it.
    pub fn push(&mut self, message: Message) {
        self.inbox.push(message);
    }

    /// Tells the time: deadlines up to `now` have passed. One that lies before the next message passes before it in any case. Where no message is
    /// left, and the turn is [full](Turn::is_full), others pass in the next one.
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

    /// Whether history says that the guest fails in this step.
    pub fn must_fail(&self, kind: &str) -> bool {
        let Current::Replaying(step, _) = &self.step else { return false };
        matches!(step.decisions.last(), Some(Decision::Failed { failure }) if failure.kind == kind)
    }

    /// Whether history says that it fails right here: that it asks for nothing more.
    pub fn must_fail_now(&self) -> bool {
        let Current::Replaying(step, position) = &self.step else { return false };
        // The host gives its untaken events back before.
        let given_back = |decision: &&Decision| matches!(decision, Decision::TaskCancelled { .. });
        let next = step.decisions[*position..].iter().find(|decision| !given_back(decision));
        matches!(next, Some(Decision::Failed { .. }))
    }

    /// How many steps have begun so far, replayed ones included.
    pub fn steps_begun(&self) -> u64 {
        self.steps_begun
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

    // ---- The end of the guest

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

    // ---- The caller

    /// Whether there is something that has not been committed.
    pub fn has_turn(&self) -> bool {
        !self.turn.is_empty() || !self.ignored.is_empty()
    }

    fn turn_is_full(&self) -> bool {
        !self.turn.is_empty() && is_full(self.size_before, self.state.history())
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
        let history_before = if steps.is_empty() { self.state.history() } else { self.size_before };
        let next = self.next_generation();
        Turn { module, next, history_before, ..effects.into_turn(&self.state, steps, consumed) }
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

    /// What history says that the guest decides next.
    fn recorded(&self) -> Option<&Decision> {
        match &self.step {
            Current::Replaying(step, position) => step.decisions.get(*position),
            Current::Idle | Current::Live(_) => None,
        }
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
        if self.turn.is_empty() {
            self.size_before = self.state.history();
        }
        let (Current::Replaying(begun, _) | Current::Live(begun)) = &step else { unreachable!("a step began") };
        self.state.apply_message(begun.seq, begun.at, &begun.message);
        self.state.apply_status(begun.custom_status.as_ref());
        if let Current::Live(begun) = &step {
            self.effects.of_message(&self.state, &begun.message);
        }
        self.seq = begun.seq;
        self.steps_begun += 1;
        self.step = step;
        match &mut self.step {
            Current::Replaying(begun, position) => {
                // These the host made, not the guest.
                let hosts = if begun.ends_for_its_size() {
                    begun.decisions.len()
                } else {
                    usize::from(undone_from(begun).is_some())
                };
                begun.decisions[..hosts].iter().for_each(|decision| self.state.apply_decision(decision));
                *position = hosts;
            }
            Current::Live(begun) if !matches!(begun.message, MessageBody::Started(_)) => self.end_if_too_large()?,
            Current::Live(_) | Current::Idle => {}
        }
        Ok(true)
    }

    /// Fails an execution whose history has passed its bounds. Its guest is not asked.
    fn end_if_too_large(&mut self) -> Asked<()> {
        let Some(start) = self.state.start().filter(|_| self.state.end().is_none()) else { return Ok(()) };
        let Some(failure) = start.limits.refuse(self.state.history()) else { return Ok(()) };
        self.return_untaken_events()?;
        self.decide(Decision::Failed { failure })
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

    /// The deadline that passed before the next message was accepted; or by now, where there is none and the turn has room.
    fn passed_deadline(&self) -> Option<Message> {
        let (at, task, deadline) = self.state.next_deadline()?;
        let reached = match self.inbox.next_at() {
            Some(accepted) => at <= accepted,
            None => at <= self.time && !self.turn_is_full(),
        };
        reached.then_some(Message { seq: self.seq, at, body: MessageBody::TimerFired { task, deadline } })
    }
}

/// Whether the step used up a message of the inbox.
fn is_consumed(step: &Step) -> bool {
    !step.message.passes_by_itself()
}

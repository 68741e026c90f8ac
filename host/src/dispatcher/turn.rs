//! One turn: an instance is brought to life if it is not resident, takes its messages step by step, and what it decided is submitted
//! as one commit (see [`commit`](super::commit)).

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{End as Ending, Execution, Message, MessageBody, State, Step, Timestamp, Turn, rewind};

use super::Dispatcher;
use super::quarantine::damage;
use super::run_queue::Place;
use super::slot::{Body, Running, Slot};
use crate::engine::{End, Guest, Progress};
use crate::limits::Limit;
use crate::store::{Change, Loaded, StoreError};

/// What a slot's instance needs to go on.
enum Life {
    /// A guest, which has its messages; and the time up to which deadlines have passed.
    Guest(Box<Guest>, Timestamp),
    /// No guest was needed: the messages changed nothing that it waits for.
    Absorbed(Box<Turn>),
    /// There was nothing to do.
    Nothing,
}

/// Why an instance, or its module, could not be brought to life.
pub(super) enum Lifeless {
    /// For now: it is tried again.
    Later(String),
    /// Until somebody does something about it.
    Park(String),
    /// The store would not have it.
    Distrusted,
}

impl Lifeless {
    pub fn into_reason(self) -> String {
        match self {
            Lifeless::Later(reason) | Lifeless::Park(reason) => reason,
            Lifeless::Distrusted => "the instance changed".into(),
        }
    }
}

/// How long a guest may run on where there is no room for another one in the middle of a step, in ticks of the epoch.
const EXTRA_SLICES: u32 = 10;

/// How long one that took longer still is left alone, for the first time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Dispatcher {
    /// Runs a scheduled slot until it has no message left, or others have waited for long. `place`: the place that its guest has, should it be stopped in
    /// the middle of a step.
    pub(super) fn turn(self: &Arc<Self>, slot: &Arc<Slot>, place: Option<Place>) {
        let (body, messages, now) = {
            let mut inner = slot.lock();
            if !inner.is_trusted() {
                return;
            }
            let is_urgent = inner.inbox.has_urgent();
            let is_interrupted = matches!(inner.body, Body::Interrupted(_));
            if !is_urgent
                && !is_interrupted
                && let Some(pause) = self.shares.pause(&slot.share, self.clock.now())
            {
                self.metrics().hit(Limit::BulkWrites);
                (inner.paused, inner.pending) = (true, true);
                drop(inner);
                return self.go_on_after(slot, pause);
            }
            let body = self.take_body(slot, &mut inner, Body::Running);
            if let Body::Interrupted(running) = body {
                drop(inner);
                return self.go_on_in_step(slot, running, is_urgent);
            }
            inner.pending = false;
            let is_resident = matches!(body, Body::Resident(_));
            // The time is taken with the messages: none that comes later was accepted before it.
            (body, if is_resident { inner.inbox.take() } else { Vec::new() }, self.clock.now())
        };
        self.go_on(slot, body, messages, now, place);
    }

    /// Takes an instance on from where it is; `messages` are those at hand.
    fn go_on(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        body: Body,
        messages: Vec<Message>,
        now: Timestamp,
        place: Option<Place>,
    ) {
        let life = match body {
            // A guest of the module that it is moved away from runs no further.
            Body::Resident(guest) if messages.iter().any(migrates) => {
                drop(guest);
                self.bring_to_life(slot, messages)
            }
            Body::Resident(mut guest) => {
                let progress = self.let_run(&mut guest, messages, now);
                return self.run(slot, Running { guest, place }, progress);
            }
            Body::Cold | Body::Running | Body::Interrupted(..) => self.bring_to_life(slot, messages),
        };
        match life {
            Ok(Life::Guest(mut guest, now)) => {
                let progress = self.let_run(&mut guest, Vec::new(), now);
                self.run(slot, Running { guest, place }, progress)
            }
            Ok(Life::Absorbed(turn)) => {
                self.commit(slot, *turn);
                self.put_back(slot, None);
            }
            Ok(Life::Nothing) => {
                self.note_again(slot);
                self.recovered(slot);
                self.put_back(slot, None);
            }
            Err(Lifeless::Distrusted) => self.put_back(slot, None),
            Err(Lifeless::Park(reason)) => self.park(slot, reason),
            Err(Lifeless::Later(reason)) => self.abandon(slot, &reason),
        }
    }

    /// Lets a guest go on with messages: for a while, but where no time passes until it blocks or ends.
    fn let_run(&self, guest: &mut Guest, messages: Vec<Message>, now: Timestamp) -> Option<Progress> {
        let progress = match &self.simulator {
            Some(_) => Some(guest.resume(messages, now)),
            None => guest.resume_for_a_while(messages, now),
        };
        self.meanwhile();
        progress
    }

    /// Lets a guest go on in the middle of a step; but not one that is to be ended, or moved.
    fn go_on_in_step(self: &Arc<Self>, slot: &Arc<Slot>, mut running: Running, is_urgent: bool) {
        if is_urgent {
            drop(running);
            return self.try_again(slot, None);
        }
        let progress = running.guest.go_on();
        self.run(slot, running, progress);
    }

    /// Goes on from where a guest has come to; none: it is in the middle of a step.
    fn run(self: &Arc<Self>, slot: &Arc<Slot>, running: Running, mut progress: Option<Progress>) {
        let Running { mut guest, mut place } = running;
        let mut extra = if place.is_none() { EXTRA_SLICES } else { 0 };
        loop {
            let Some(reached) = progress else {
                // Most are done soon: better to wait for one than to have it begin anew.
                if extra > 0 && !self.queue.has_room() {
                    extra -= 1;
                    progress = guest.go_on();
                    continue;
                }
                return self.interrupt(slot, Running { guest, place });
            };
            place = None;
            match reached {
                Progress::Blocked => {
                    let turn = guest.take_turn();
                    let is_full = turn.as_ref().is_some_and(Turn::is_full);
                    match turn {
                        Some(turn) => {
                            self.commit_of(slot, turn, &mut guest);
                        }
                        None => {
                            self.note_again(slot);
                            self.recovered(slot);
                        }
                    }
                    let (is_suspended, due) = guest.state(|state| (state.is_suspended(), state.next_due()));
                    if is_suspended {
                        return self.put_back(slot, None);
                    }
                    let (messages, now) = {
                        let mut inner = slot.lock();
                        (inner.inbox.take(), self.clock.now())
                    };
                    if messages.iter().any(migrates) {
                        return self.go_on(slot, Body::Resident(guest), messages, now, None);
                    }
                    // Others have their turn before the deadlines that are left: the commit wakes it for these.
                    if messages.is_empty() && (is_full || due.is_none_or(|due| due > now)) {
                        return self.put_back(slot, Some(guest));
                    }
                    progress = self.let_run(&mut guest, messages, now);
                }
                Progress::Ended(End::Recorded) => return self.end(slot, guest),
                Progress::Ended(End::Mismatch(mismatch)) => {
                    let began =
                        guest.state(|state| state.start().map(|start| start.module.clone())).unwrap_or_default();
                    drop(guest);
                    let runs = slot.lock().module.clone();
                    let began = if *began == *runs { String::new() } else { format!(", and was started with {began}") };
                    return self.park(slot, format!("{mismatch}; it runs module {runs}{began}"));
                }
                Progress::Ended(End::Abandoned(reason)) => {
                    drop(guest);
                    return self.abandon(slot, &reason);
                }
            }
        }
    }

    /// Lets others run before a guest that is in the middle of a step. Where too many are, it begins the step anew when there is room.
    fn interrupt(self: &Arc<Self>, slot: &Arc<Slot>, mut running: Running) {
        running.place = running.place.take().or_else(|| self.queue.place(&slot.share));
        if running.place.is_none() {
            self.metrics().hit(Limit::Interrupted);
            drop(running);
            let times = {
                let mut inner = slot.lock();
                inner.passed_over += 1;
                inner.passed_over
            };
            return self.try_again(slot, Some(FIRST_PAUSE * (1 << (times - 1).min(7))));
        }
        let mut inner = slot.lock();
        if inner.is_trusted() {
            inner.body = Body::Interrupted(running);
            drop(inner);
            return self.queue.push_interrupted(slot.clone());
        }
        drop(inner);
        drop(running);
        self.put_back(slot, None);
    }

    /// Commits the last turn of an execution. Messages that were admitted while it ended stay visible in its history; or they are
    /// for the next generation.
    fn end(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>) {
        if guest.state(|state| matches!(state.end(), Some(Ending::ContinuedAsNew { .. }))) {
            return self.end_generation(slot, guest);
        }
        let late: Vec<Message> = {
            let mut inner = slot.lock();
            // From here on nothing more is admitted.
            inner.status = guest.state(State::runtime_status);
            inner.inbox.take()
        };
        guest.absorb(late);
        if let Some(turn) = guest.take_turn() {
            self.commit_of(slot, turn, &mut guest);
        }
        drop(guest);
        self.put_back(slot, None);
    }

    fn end_generation(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>) {
        let (left, log) = (guest.take_inbox(), guest.take_log());
        let start = guest.state(|state| state.start().cloned());
        if let (Some(turn), Some(start)) = (guest.take_turn(), start) {
            drop(guest);
            let unseen = || None;
            self.commit_and(slot, turn, log, unseen, |inner, turn, active| {
                let next = turn.next.take()?;
                let seq = turn.steps.last().map_or(0, |step| step.seq);
                Some(self.begin_generation(inner, active, start, next, seq, left))
            });
        }
        self.put_back(slot, None);
    }

    /// `messages` are at hand, before those in the inbox.
    fn bring_to_life(self: &Arc<Self>, slot: &Arc<Slot>, at_hand: Vec<Message>) -> Result<Life, Lifeless> {
        let (is_all_here, durable) = {
            let inner = slot.lock();
            (at_hand.is_empty() && inner.inbox.begins_with_start(), inner.writes_ended())
        };
        let loaded = if is_all_here { None } else { self.wait_for(self.store.load(slot.key))? };
        let (mut history, mut messages) = loaded.map_or(Ok(Default::default()), decode).map_err(Lifeless::Park)?;
        let (now, module) = {
            let mut inner = slot.lock();
            if inner.must_load_again(&messages, durable) {
                return Ok(Life::Nothing);
            }
            // Taken only now: a message that was admitted and became durable while the store was read would be there twice.
            let at_hand: Vec<Message> = at_hand.into_iter().chain(inner.inbox.take()).collect();
            let first_at_hand = at_hand.first().map_or(u64::MAX, |message| message.seq);
            messages.retain(|message| message.seq < first_at_hand);
            messages.extend(at_hand);
            (self.clock.now(), inner.module.clone())
        };
        self.rewind_if_asked(slot, &mut history, &mut messages)?;
        if history.is_empty() && messages.is_empty() {
            return Ok(Life::Nothing);
        }
        let mut execution = Execution::without_guest(&history).map_err(|bad| Lifeless::Park(bad.to_string()))?;
        let is_new = execution.state().start().is_none();
        if is_new && !messages.first().is_some_and(starts) {
            return Err(Lifeless::Park("its first message is missing".into()));
        }
        let mut module = module.to_string();
        if !is_new || messages.iter().any(|message| message.body.is_urgent()) {
            messages.iter().for_each(|message| execution.push(message.clone()));
            execution.tick(now);
            execution.begin();
            match execution.absorb() {
                Ok(false) if execution.has_turn() => return Ok(Life::Absorbed(Box::new(execution.take_turn()))),
                Ok(false) => return Ok(Life::Nothing),
                Ok(true) => module = execution.state().module().to_owned(),
                Err(stop) => return Err(Lifeless::Park(stop.to_string())),
            }
        }
        // A guest that can go on does so before it is moved: what it does must be what the code does by which it is replayed from then on.
        if let Some(moved_to) = messages.iter().rev().find_map(moved_to) {
            module = moved_to.to_owned();
        }
        let module = self.module(&module)?;
        let mut execution = Execution::new(history);
        messages.into_iter().for_each(|message| execution.push(message));
        Ok(Life::Guest(Box::new(self.engine.guest(&module, &slot.id, slot.key, execution)), now))
    }

    /// Commits what a rewind undoes on its own: messages that were applied before are in the inbox again then.
    fn rewind_if_asked(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        history: &mut Vec<Step>,
        messages: &mut Vec<Message>,
    ) -> Result<(), Lifeless> {
        let Some(place) = messages.iter().position(|message| matches!(message.body, MessageBody::Rewound(_))) else {
            return Ok(());
        };
        let state = State::checked(history).map_err(|bad| Lifeless::Park(bad.to_string()))?;
        let message = messages.remove(place);
        let Some(turn) = rewind(history, &message) else {
            // Nobody may be told that it runs again.
            slot.lock().status = state.runtime_status();
            let ignored = Turn::ignoring(&state, vec![message.seq]);
            self.commit(slot, ignored);
            return Ok(());
        };
        let again = turn.returned.clone();
        history.extend(turn.steps.iter().cloned());
        if !self.commit(slot, turn) {
            return Err(Lifeless::Distrusted);
        }
        messages.splice(0..0, again);
        Ok(())
    }

    pub(super) fn wait_for<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Lifeless> {
        self.meanwhile();
        let read = self.runtime.block_on(read);
        self.meanwhile();
        read.map_err(|error| match error {
            StoreError::Damaged(what) => Lifeless::Park(damage(what)),
            other => Lifeless::Later(other.to_string()),
        })
    }

    /// The slot is done with its messages: its guest stays in memory if it may.
    fn put_back(self: &Arc<Self>, slot: &Arc<Slot>, guest: Option<Box<Guest>>) {
        let (kept, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = false;
            inner.passed_over = 0;
            inner.body = Body::Cold;
            match guest {
                Some(guest) if inner.is_trusted() && self.may_stay(&guest) => {
                    let memories = guest.memories();
                    inner.body = Body::Resident(guest);
                    (Some((self.residents.keep(slot, memories), memories)), None)
                }
                guest => (None, guest),
            }
        };
        drop(dropped);
        self.meanwhile();
        {
            let mut inner = slot.lock();
            if inner.has_work() {
                self.schedule(slot, &mut inner);
            }
        }
        match kept {
            Some((stamp, memories)) => self.evict(slot, stamp, memories),
            None => self.forget_if_idle(slot),
        }
    }

    /// Whether a blocked guest may stay in memory.
    fn may_stay(&self, guest: &Guest) -> bool {
        let is_too_much = guest.is_large() && self.engine.is_short_of_memory();
        if is_too_much {
            self.metrics().hit(Limit::ProcessMemory);
        }
        self.residents.keeps_any() && !is_too_much
    }

    fn evict(self: &Arc<Self>, slot: &Arc<Slot>, stamp: u64, memories: usize) {
        for (stamp, victim) in self.residents.evict(slot, stamp, memories, self.engine.is_short_of_memory()) {
            let guest = {
                let mut inner = victim.lock();
                let current = victim.stamp.load(std::sync::atomic::Ordering::Acquire) == stamp;
                // One with messages is about to run: it stays a little over the budget. Unless it has to wait.
                if !current || (inner.scheduled && !inner.paused) || !matches!(inner.body, Body::Resident(_)) {
                    continue;
                }
                self.take_body(&victim, &mut inner, Body::Cold)
            };
            self.metrics().guests_evicted.inc();
            drop(guest);
            self.forget_if_idle(&victim);
        }
    }

    /// Stops an instance until somebody does something about it; history and inbox stay as they are.
    pub(super) fn park(self: &Arc<Self>, slot: &Arc<Slot>, reason: String) {
        tracing::error!(instance = &*slot.id, "the instance is parked: {reason}");
        let mut inner = slot.lock();
        inner.scheduled = false;
        inner.body = Body::Cold;
        self.set_stalled(&mut inner, None);
        // What came too late for this try, and is read all the same.
        let is_called_back = inner.inbox.has_call_back();
        // Every message has been submitted to the store, where it stays.
        inner.inbox.take();
        inner.pending = false;
        if inner.is_trusted() {
            inner.parked = !is_called_back;
            inner.pending = is_called_back;
            self.submit(slot, &mut inner, Change::Park { reason: Some(reason) }, |_| ());
            inner.leave_in_store();
        }
    }

    /// Gives a step up, to be tried again later from what is stored. After some tries the instance counts as stalled, and is tried rarely.
    pub(super) fn abandon(self: &Arc<Self>, slot: &Arc<Slot>, reason: &str) {
        self.metrics().steps_abandoned.inc();
        let (attempts, is_stalled) = {
            let mut inner = slot.lock();
            inner.abandoned += 1;
            let is_stalled = inner.abandoned >= self.limits.attempts_before_stalled;
            if is_stalled && inner.is_trusted() {
                if inner.stalled.is_none() {
                    self.metrics().hit(Limit::Stalled);
                }
                self.set_stalled(&mut inner, Some(reason.into()));
            }
            (inner.abandoned, is_stalled)
        };
        let delay = match is_stalled {
            true => self.limits.stalled_pause,
            false => Duration::from_millis(500 << attempts.min(7)),
        };
        let stalled = if is_stalled { ", as it is stalled: `fermata unpark` has it tried now" } else { "" };
        tracing::warn!(instance = &*slot.id, attempts, "the step is tried again in {delay:?}{stalled}: {reason}");
        self.try_again(slot, Some(delay));
    }

    /// A step was tried again, and there was nothing to commit.
    fn recovered(&self, slot: &Slot) {
        let mut inner = slot.lock();
        inner.abandoned = 0;
        self.set_stalled(&mut inner, None);
    }

    /// Has an instance wait for its turn for so long, unless something urgent comes. Its guest stays where there is room.
    fn go_on_after(self: &Arc<Self>, slot: &Arc<Slot>, pause: Duration) {
        let (dispatcher, slot) = (self.clone(), slot.clone());
        self.runtime.spawn(async move {
            tokio::select! { biased; () = slot.retry.notified() => {}, () = dispatcher.clock.pause(pause) => {} }
            let mut inner = slot.lock();
            (inner.paused, inner.scheduled) = (false, false);
            dispatcher.schedule(&slot, &mut inner);
        });
    }

    /// Has an instance begin anew from what is stored: when the store has all that was given up, and after a time, unless it is called for before.
    fn try_again(self: &Arc<Self>, slot: &Arc<Slot>, delay: Option<Duration>) {
        let (settled, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = true;
            inner.pending = true;
            (inner.settled(), self.take_body(slot, &mut inner, Body::Cold))
        };
        drop(dropped);
        let (dispatcher, slot) = (self.clone(), slot.clone());
        self.runtime.spawn(async move {
            // The messages that were given up are in the store then: the next try loads them. Those that came since are in the inbox.
            let _ = settled.await;
            if let Some(delay) = delay {
                tokio::select! { biased; () = slot.retry.notified() => {}, () = dispatcher.clock.pause(delay) => {} }
            }
            let mut inner = slot.lock();
            inner.scheduled = false;
            dispatcher.schedule(&slot, &mut inner);
        });
    }
}

fn starts(message: &Message) -> bool {
    matches!(message.body, MessageBody::Started(_))
}

fn migrates(message: &Message) -> bool {
    moved_to(message).is_some()
}

fn moved_to(message: &Message) -> Option<&str> {
    match &message.body {
        MessageBody::Migrated { module } => Some(module),
        _ => None,
    }
}

/// History and unread messages, in the order in which they are read.
pub(super) fn decode(loaded: Loaded) -> Result<(Vec<Step>, Vec<Message>), String> {
    let mut history = Vec::new();
    for chunk in &loaded.history {
        history.extend(serde_json::from_str::<Vec<Step>>(chunk).map_err(damage)?);
    }
    let mut messages = Vec::with_capacity(loaded.unread.len());
    for stored in loaded.unread {
        let body = serde_json::from_str(&stored.body).map_err(damage)?;
        messages.push(Message { seq: stored.seq, at: stored.at, body });
    }
    // A generation begins with its start. That has the place of what the one before ended with, and a deadline, or what goes before
    // all others, may have ended it with messages of earlier places unread.
    if let Some(place) = messages.iter().position(starts) {
        messages[..=place].rotate_right(1);
    }
    Ok((history, messages))
}

//! One turn: an instance is brought to life if it is not resident, takes its messages step by step, and what it decided is submitted
//! as one commit.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{
    End as Ending, Execution, Message, MessageBody, RuntimeStatus, State, Step, Timestamp, Turn, rewind,
};

use super::Dispatcher;
use super::generation::to_json;
use super::slot::{Body, Slot};
use crate::engine::{BadModule, End, Guest, Line, Module, Progress};
use crate::store::{
    Activity, Change, Loaded, NewActivity, NewGeneration, Outgoing, Sent, StoreError, StoredMessage, TurnRecord,
};

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

impl Dispatcher {
    /// Runs a scheduled slot until it has no message left.
    pub(super) fn turn(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (body, messages, now) = {
            let mut inner = slot.lock();
            if !inner.is_trusted() {
                return;
            }
            inner.pending = false;
            let body = self.take_body(slot, &mut inner, Body::Running);
            let is_resident = matches!(body, Body::Resident(_));
            // The time is taken with the messages: none that comes later was accepted before it.
            (body, if is_resident { inner.inbox.take() } else { Vec::new() }, self.clock.now())
        };
        let life = match body {
            // A guest of the module that it is moved away from runs no further.
            Body::Resident(guest) if messages.iter().any(migrates) => {
                drop(guest);
                self.bring_to_life(slot, messages)
            }
            Body::Resident(guest) => return self.run(slot, guest, messages, now),
            Body::Cold | Body::Running => self.bring_to_life(slot, messages),
        };
        match life {
            Ok(Life::Guest(guest, now)) => self.run(slot, guest, Vec::new(), now),
            Ok(Life::Absorbed(turn)) => {
                self.commit(slot, *turn, Vec::new());
                self.put_back(slot, None);
            }
            Ok(Life::Nothing) => self.put_back(slot, None),
            Err(Lifeless::Distrusted) => self.put_back(slot, None),
            Err(Lifeless::Park(reason)) => self.park(slot, reason),
            Err(Lifeless::Later(reason)) => self.abandon(slot, &reason),
        }
    }

    fn run(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>, mut messages: Vec<Message>, mut now: Timestamp) {
        loop {
            match guest.resume(messages, now) {
                Progress::Blocked => {
                    if let Some(turn) = guest.take_turn() {
                        let log = guest.take_log();
                        self.commit(slot, turn, log);
                    }
                    let (is_suspended, due) = guest.state(|state| (state.is_suspended(), state.next_due()));
                    if is_suspended {
                        return self.put_back(slot, None);
                    }
                    let mut inner = slot.lock();
                    if inner.inbox.has_migration() {
                        drop(inner);
                        return self.put_back(slot, Some(guest));
                    }
                    messages = inner.inbox.take();
                    now = self.clock.now();
                    drop(inner);
                    if messages.is_empty() && due.is_none_or(|due| due > now) {
                        return self.put_back(slot, Some(guest));
                    }
                }
                Progress::Ended(End::Recorded) => return self.end(slot, guest),
                Progress::Ended(End::Mismatch(mismatch)) => {
                    let started_with = guest.state(|state| state.start().map(|start| start.module.clone()));
                    drop(guest);
                    let digests = format!(
                        "it runs module {}, and was started with {}",
                        slot.lock().module,
                        started_with.unwrap_or_default()
                    );
                    return self.park(slot, format!("{mismatch}; {digests}"));
                }
                Progress::Ended(End::Abandoned(reason)) => {
                    drop(guest);
                    return self.abandon(slot, &reason);
                }
            }
        }
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
            let log = guest.take_log();
            self.commit(slot, turn, log);
        }
        drop(guest);
        self.put_back(slot, None);
    }

    fn end_generation(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>) {
        let (left, log) = (guest.take_inbox(), guest.take_log());
        let start = guest.state(|state| state.start().cloned());
        if let (Some(turn), Some(start)) = (guest.take_turn(), start) {
            drop(guest);
            self.commit_and(slot, turn, log, |inner, turn| {
                let next = turn.next.take()?;
                let seq = turn.steps.last().map_or(0, |step| step.seq);
                Some(self.begin_generation(inner, start, next, seq, left))
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
        let is_new = State::of(&history).start().is_none();
        if is_new && !messages.first().is_some_and(starts) {
            return Err(Lifeless::Park("its first message is missing".into()));
        }
        let mut module = module.to_string();
        if !is_new || messages.iter().any(|message| message.body.is_urgent()) {
            let mut execution = Execution::without_guest(&history);
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
        let module = self.module(&module)?;
        let mut execution = Execution::new(history);
        messages.into_iter().for_each(|message| execution.push(message));
        Ok(Life::Guest(Box::new(self.engine.guest(&module, &slot.id, execution)), now))
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
        let message = messages.remove(place);
        let Some(turn) = rewind(history, &message) else {
            // Nobody may be told that it runs again.
            slot.lock().status = State::of(history).runtime_status();
            let ignored = Turn::ignoring(&State::of(history), vec![message.seq]);
            self.commit(slot, ignored, Vec::new());
            return Ok(());
        };
        let again = turn.returned.clone();
        history.extend(turn.steps.iter().cloned());
        if !self.commit(slot, turn, Vec::new()) {
            return Err(Lifeless::Distrusted);
        }
        messages.splice(0..0, again);
        Ok(())
    }

    /// The module of this digest, from memory or from the store. Not for threads of an async runtime.
    pub(super) fn module(&self, digest: &str) -> Result<Arc<Module>, Lifeless> {
        if let Some(module) = self.engine.module(digest) {
            return Ok(module);
        }
        let bytes = self.wait_for(self.store.module_bytes(digest))?;
        let bytes = bytes.ok_or_else(|| Lifeless::Park(format!("its module {digest} is not stored")))?;
        self.engine.compile(digest, &bytes).map_err(|error| match error {
            // It could when it was deployed: what it lacks now is room or time.
            BadModule::Describe(_) => Lifeless::Later(error.to_string()),
            _ => Lifeless::Park(format!("its module {digest} does not load: {error}")),
        })
    }

    fn wait_for<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Lifeless> {
        self.runtime.block_on(read).map_err(|error| match error {
            StoreError::Damaged(what) => Lifeless::Park(format!("what is stored of it is damaged: {what}")),
            other => Lifeless::Later(other.to_string()),
        })
    }

    /// Submits a turn; what it lets loose starts when it is durable. False where the slot is not to be trusted.
    fn commit(self: &Arc<Self>, slot: &Arc<Slot>, turn: Turn, log: Vec<Line>) -> bool {
        self.commit_and(slot, turn, log, |_, _| None)
    }

    /// The same; the generation that follows is begun under the slot's lock.
    fn commit_and(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        mut turn: Turn,
        log: Vec<Line>,
        follow: impl FnOnce(&mut super::slot::Inner, &mut Turn) -> Option<NewGeneration>,
    ) -> bool {
        // Before the lock is taken: it takes time.
        let steps = (turn.next.is_none() && !turn.steps.is_empty())
            .then(|| serde_json::to_string(&turn.steps).expect("steps are JSON"));
        let outgoing = std::mem::take(&mut turn.outgoing).into_iter().map(|outgoing| {
            let body = serde_json::to_string(&outgoing.body).expect("messages are JSON");
            Ok(Outgoing { seq: self.ids.next()?, to: outgoing.to, body })
        });
        let outgoing: Result<Vec<Outgoing>, StoreError> = outgoing.collect();
        let mut inner = slot.lock();
        if !inner.is_trusted() {
            return false;
        }
        let outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(error) => {
                let dropped = self.distrust(slot, &mut inner, &error);
                drop(inner);
                drop(dropped);
                return false;
            }
        };
        let (execution, module) = (inner.execution.clone(), turn.module.as_deref().map(Arc::from));
        if let Some(module) = module {
            inner.module = module;
        }
        let after = After { log, execution, ..self.after(slot, &inner.module, &turn, &outgoing) };
        let generation = follow(&mut inner, &mut turn);
        let record = record(turn, steps, outgoing, generation, inner.version, self.clock.now());
        inner.version += 1;
        inner.abandoned = 0;
        inner.due = record.due;
        inner.status = record.status;
        if record.status == RuntimeStatus::Suspended {
            self.leave_messages(&mut inner);
        }
        let after = After { due: record.due, ..after };
        let (dispatcher, key, id) = (self.clone(), slot.key, slot.id.clone());
        self.submit(slot, &mut inner, Change::Turn(record), move |outcome| {
            if outcome.is_ok() {
                after.come_true(&dispatcher, key, &id);
            }
        });
        if inner.status == RuntimeStatus::Suspended || inner.pending {
            inner.leave_in_store();
        }
        true
    }

    /// A suspended instance reads nothing: what it was sent waits in the store; unless something there calls it back.
    fn leave_messages(&self, inner: &mut super::slot::Inner) {
        if inner.inbox.has_call_back() {
            inner.status = RuntimeStatus::Running;
            inner.pending = true;
        }
        inner.inbox.take();
    }

    fn after(&self, slot: &Slot, module: &str, turn: &Turn, outgoing: &[Outgoing]) -> After {
        let perform = turn.activities.iter().map(|activity| Activity {
            key: slot.key,
            instance_id: slot.id.to_string(),
            execution: String::new(),
            module: module.to_owned(),
            task: activity.task,
            name: activity.name.clone(),
            input: activity.input.as_str().to_owned(),
            attempt: activity.attempt,
            timeout: activity.timeout.map(|span| span.0),
        });
        let send = outgoing.iter().map(|outgoing| Sent {
            seq: outgoing.seq,
            from: slot.key,
            from_id: slot.id.to_string(),
            to: outgoing.to.clone(),
            body: outgoing.body.clone(),
        });
        // One that returns lets go of what it called; what is terminated stops.
        let is_terminated = turn.status == RuntimeStatus::Terminated;
        After {
            execution: "".into(),
            due: None,
            log: Vec::new(),
            perform: if is_terminated { Vec::new() } else { perform.collect() },
            give_up: if is_terminated { GiveUp::All } else { GiveUp::Tasks(turn.settled.clone()) },
            send: send.collect(),
        }
    }

    /// The slot is done with its messages: its guest stays in memory if it may.
    fn put_back(self: &Arc<Self>, slot: &Arc<Slot>, guest: Option<Box<Guest>>) {
        let (stamp, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = false;
            inner.body = Body::Cold;
            match guest {
                Some(guest) if inner.is_trusted() && self.residents.keeps_any() => {
                    inner.body = Body::Resident(guest);
                    (Some(self.residents.keep(slot)), None)
                }
                guest => (None, guest),
            }
        };
        drop(dropped);
        {
            let mut inner = slot.lock();
            if inner.has_work() {
                self.schedule(slot, &mut inner);
            }
        }
        match stamp {
            Some(stamp) => self.evict(slot, stamp),
            None => self.forget_if_idle(slot),
        }
    }

    fn evict(self: &Arc<Self>, slot: &Arc<Slot>, stamp: u64) {
        for (stamp, victim) in self.residents.evict(slot, stamp) {
            let guest = {
                let mut inner = victim.lock();
                let current = victim.stamp.load(std::sync::atomic::Ordering::Acquire) == stamp;
                // One with messages is about to run: it stays a little over the budget.
                if !current || inner.scheduled || !matches!(inner.body, Body::Resident(_)) {
                    continue;
                }
                self.take_body(&victim, &mut inner, Body::Cold)
            };
            drop(guest);
            self.forget_if_idle(&victim);
        }
    }

    /// Stops an instance until somebody does something about it; history and inbox stay as they are.
    fn park(self: &Arc<Self>, slot: &Arc<Slot>, reason: String) {
        tracing::error!(instance = &*slot.id, "the instance is parked: {reason}");
        let mut inner = slot.lock();
        inner.scheduled = false;
        inner.body = Body::Cold;
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

    /// Gives a step up, to be tried again later from what is stored.
    pub(super) fn abandon(self: &Arc<Self>, slot: &Arc<Slot>, reason: &str) {
        let (attempts, settled, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = true;
            inner.pending = true;
            inner.abandoned += 1;
            (inner.abandoned, inner.settled(), self.take_body(slot, &mut inner, Body::Cold))
        };
        drop(dropped);
        let delay = Duration::from_millis(500 << attempts.min(7));
        tracing::warn!(instance = &*slot.id, attempts, "the step is tried again in {delay:?}: {reason}");
        let (dispatcher, slot) = (self.clone(), slot.clone());
        self.runtime.spawn(async move {
            // The messages that were given up are in the store then: the next try loads them. Those that came since are in the inbox.
            let _ = settled.await;
            tokio::time::sleep(delay).await;
            let mut inner = slot.lock();
            inner.scheduled = false;
            dispatcher.schedule(&slot, &mut inner);
        });
    }
}

/// What a turn lets loose when it is durable.
struct After {
    execution: Arc<str>,
    due: Option<Timestamp>,
    log: Vec<Line>,
    give_up: GiveUp,
    perform: Vec<Activity>,
    send: Vec<Sent>,
}

/// Activities whose work is not needed any more.
enum GiveUp {
    Tasks(Vec<u32>),
    All,
}

impl After {
    fn come_true(self, dispatcher: &Arc<Dispatcher>, key: u64, id: &Arc<str>) {
        if let Some(due) = self.due {
            dispatcher.timers.note(due, key, id);
        }
        self.log.into_iter().for_each(|line| line.write(id, &self.execution));
        match self.give_up {
            GiveUp::Tasks(tasks) => tasks.into_iter().for_each(|task| dispatcher.give_up(key, Some(task))),
            GiveUp::All => dispatcher.give_up(key, None),
        }
        for activity in self.perform {
            dispatcher.perform(Activity { execution: self.execution.to_string(), ..activity });
        }
        dispatcher.send(self.send);
    }
}

fn record(
    turn: Turn,
    steps: Option<String>,
    outgoing: Vec<Outgoing>,
    generation: Option<NewGeneration>,
    expected_version: u64,
    now: Timestamp,
) -> TurnRecord {
    let updated = turn.steps.last().map_or(now, |step| step.at);
    let custom_status = turn.steps.iter().rev().find_map(|step| step.custom_status.as_ref());
    let returned = turn.returned.iter().map(|message| StoredMessage {
        seq: message.seq,
        at: message.at,
        body: to_json(&message.body),
    });
    let activities = turn.activities.into_iter().map(|activity| NewActivity {
        task: activity.task,
        name: activity.name,
        input: activity.input.as_str().to_owned(),
        attempt: activity.attempt,
        timeout: activity.timeout.map(|span| span.0),
    });
    TurnRecord {
        expected_version,
        steps,
        consumed: turn.consumed,
        returned: returned.collect(),
        status: turn.status,
        updated,
        custom_status: custom_status.map(|status| status.as_str().to_owned()),
        activities: activities.collect(),
        settled: turn.settled,
        due: turn.due,
        module: turn.module,
        outgoing,
        generation,
    }
}

fn starts(message: &Message) -> bool {
    matches!(message.body, MessageBody::Started(_))
}

fn migrates(message: &Message) -> bool {
    matches!(message.body, MessageBody::Migrated { .. })
}

/// History and unread messages, in the order in which they are read.
pub(super) fn decode(loaded: Loaded) -> Result<(Vec<Step>, Vec<Message>), String> {
    let damaged = |error: serde_json::Error| format!("what is stored of it is damaged: {error}");
    let mut history = Vec::new();
    for chunk in &loaded.history {
        history.extend(serde_json::from_str::<Vec<Step>>(chunk).map_err(damaged)?);
    }
    let mut messages = Vec::with_capacity(loaded.unread.len());
    for stored in loaded.unread {
        let body = serde_json::from_str(&stored.body).map_err(damaged)?;
        messages.push(Message { seq: stored.seq, at: stored.at, body });
    }
    // A generation begins with its start. That has the place of what the one before ended with, and a deadline, or what goes before
    // all others, may have ended it with messages of earlier places unread.
    if let Some(place) = messages.iter().position(starts) {
        messages[..=place].rotate_right(1);
    }
    Ok((history, messages))
}

//! One turn: an instance is brought to life if it is not resident, takes its messages step by step, and what it decided is submitted
//! as one commit.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{Execution, Message, State, Step, Timestamp, Turn};

use super::Dispatcher;
use super::slot::{Body, Slot};
use crate::engine::{BadModule, End, Guest, Module, Progress};
use crate::store::{Activity, Change, Loaded, NewActivity, StoreError, TurnRecord};

/// What a slot's instance needs to go on.
enum Life {
    /// A guest, and the messages it has yet to see.
    Guest(Box<Guest>, Vec<Message>),
    /// No guest was needed: the messages changed nothing that it waits for.
    Absorbed(Turn),
    /// There was nothing to do.
    Nothing,
}

/// Why an instance, or its module, could not be brought to life.
pub(super) enum Lifeless {
    /// For now: it is tried again.
    Later(String),
    /// Until somebody does something about it.
    Park(String),
}

impl Lifeless {
    pub fn into_reason(self) -> String {
        let (Lifeless::Later(reason) | Lifeless::Park(reason)) = self;
        reason
    }
}

impl Dispatcher {
    /// Runs a scheduled slot until it has no message left.
    pub(super) fn turn(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (body, messages) = {
            let mut inner = slot.lock();
            if !inner.is_trusted() {
                return;
            }
            let body = self.take_body(slot, &mut inner, Body::Running);
            let is_resident = matches!(body, Body::Resident(_));
            (body, if is_resident { inner.inbox.take() } else { Vec::new() })
        };
        let life = match body {
            Body::Resident(guest) => Ok(Life::Guest(guest, messages)),
            Body::Cold | Body::Running => self.bring_to_life(slot),
        };
        match life {
            Ok(Life::Guest(guest, messages)) => self.run(slot, guest, messages),
            Ok(Life::Absorbed(turn)) => {
                self.commit(slot, turn);
                self.put_back(slot, None);
            }
            Ok(Life::Nothing) => self.put_back(slot, None),
            Err(Lifeless::Park(reason)) => self.park(slot, reason),
            Err(Lifeless::Later(reason)) => self.abandon(slot, &reason),
        }
    }

    fn run(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>, mut messages: Vec<Message>) {
        loop {
            match guest.resume(messages) {
                Progress::Blocked => {
                    if let Some(turn) = guest.take_turn() {
                        self.commit(slot, turn);
                    }
                    messages = slot.lock().inbox.take();
                    if messages.is_empty() {
                        return self.put_back(slot, Some(guest));
                    }
                }
                Progress::Ended(End::Recorded) => return self.end(slot, guest),
                Progress::Ended(End::Mismatch(mismatch)) => {
                    drop(guest);
                    return self.park(slot, mismatch.to_string());
                }
                Progress::Ended(End::Abandoned(reason)) => {
                    drop(guest);
                    return self.abandon(slot, &reason);
                }
            }
        }
    }

    /// Commits the last turn of an instance. Messages that were admitted while it ended stay visible in its history.
    fn end(self: &Arc<Self>, slot: &Arc<Slot>, mut guest: Box<Guest>) {
        let late: Vec<Message> = {
            let mut inner = slot.lock();
            // From here on nothing more is admitted.
            inner.status = guest.state(State::runtime_status);
            inner.inbox.take()
        };
        guest.absorb(late);
        if let Some(turn) = guest.take_turn() {
            self.commit(slot, turn);
        }
        drop(guest);
        self.put_back(slot, None);
    }

    fn bring_to_life(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Life, Lifeless> {
        let is_new = {
            let inner = slot.lock();
            inner.version == 0 && inner.inbox.begins_with_start()
        };
        let loaded = if is_new { None } else { self.wait_for(self.store.load(slot.key))? };
        // Taken only now: a message that was admitted and became durable while the store was read would be there twice.
        let messages = slot.lock().inbox.take();
        let (history, messages) = match loaded {
            Some(loaded) => decode(loaded, messages).map_err(Lifeless::Park)?,
            None => (Vec::new(), messages),
        };
        if messages.is_empty() {
            return Ok(Life::Nothing);
        }
        if !history.is_empty() {
            let mut execution = Execution::without_guest(&history);
            messages.iter().for_each(|message| execution.push(message.clone()));
            match execution.absorb() {
                Ok(false) => return Ok(Life::Absorbed(execution.take_turn())),
                Ok(true) => {}
                Err(stop) => return Err(Lifeless::Park(stop.to_string())),
            }
        } else if !starts(&messages) {
            return Err(Lifeless::Park("its first message is missing".into()));
        }
        let module = self.module(&slot.module)?;
        let mut execution = Execution::new(history);
        messages.into_iter().for_each(|message| execution.push(message));
        Ok(Life::Guest(Box::new(self.engine.guest(&module, &slot.id, execution)), Vec::new()))
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

    /// Submits a turn; what it lets loose starts when it is durable.
    fn commit(self: &Arc<Self>, slot: &Arc<Slot>, turn: Turn) {
        let steps = (!turn.steps.is_empty()).then(|| serde_json::to_string(&turn.steps).expect("steps are JSON"));
        let updated = turn.steps.last().map_or_else(|| self.clock.now(), |step| step.at);
        let custom_status = turn.steps.iter().rev().find_map(|step| step.custom_status.as_ref());
        let started: Vec<Activity> = turn
            .activities
            .iter()
            .map(|activity| Activity {
                key: slot.key,
                instance_id: slot.id.to_string(),
                execution: slot.execution.clone(),
                module: slot.module.clone(),
                task: activity.task,
                name: activity.name.clone(),
                input: activity.input.as_str().to_owned(),
            })
            .collect();
        let record = TurnRecord {
            expected_version: 0,
            steps,
            consumed: turn.consumed,
            status: turn.status,
            updated,
            custom_status: custom_status.map(|status| status.as_str().to_owned()),
            activities: turn
                .activities
                .into_iter()
                .map(|activity| NewActivity {
                    task: activity.task,
                    name: activity.name,
                    input: activity.input.as_str().to_owned(),
                })
                .collect(),
            settled: turn.settled,
        };
        let mut inner = slot.lock();
        if !inner.is_trusted() {
            return;
        }
        let record = TurnRecord { expected_version: inner.version, ..record };
        inner.version += 1;
        inner.status = turn.status;
        inner.abandoned = 0;
        let dispatcher = self.clone();
        self.submit(slot, &mut inner, Change::Turn(record), move |outcome| {
            if outcome.is_ok() {
                started.into_iter().for_each(|activity| dispatcher.perform(activity));
            }
        });
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
            if !inner.inbox.is_empty() {
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
        // Every message has been submitted to the store, where it stays.
        inner.inbox.take();
        if inner.is_trusted() {
            inner.parked = true;
            self.submit(slot, &mut inner, Change::Park { reason: Some(reason) }, |_| ());
        }
    }

    /// Gives a step up, to be tried again later from what is stored.
    pub(super) fn abandon(self: &Arc<Self>, slot: &Arc<Slot>, reason: &str) {
        let (attempts, settled, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = true;
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

fn starts(messages: &[Message]) -> bool {
    messages.first().is_some_and(|message| matches!(message.body, fermata_replay::MessageBody::Started(_)))
}

/// History and all unread messages: older ones from the store, then those at hand.
fn decode(loaded: Loaded, messages: Vec<Message>) -> Result<(Vec<Step>, Vec<Message>), String> {
    let damaged = |error: serde_json::Error| format!("what is stored of it is damaged: {error}");
    let mut history = Vec::new();
    for chunk in &loaded.history {
        history.extend(serde_json::from_str::<Vec<Step>>(chunk).map_err(damaged)?);
    }
    let first_at_hand = messages.first().map_or(u64::MAX, |message| message.seq);
    let mut all = Vec::new();
    for stored in loaded.unread.iter().filter(|stored| stored.seq < first_at_hand) {
        let body = serde_json::from_str(&stored.body).map_err(damaged)?;
        all.push(Message { seq: stored.seq, at: Timestamp(stored.at.0), body });
    }
    all.extend(messages);
    Ok((history, all))
}

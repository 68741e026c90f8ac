//! One turn: an instance is brought to life if it is not resident, takes its messages step by step, and what it decided is submitted
//! as one commit.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{Execution, Message, State, Step, Timestamp, Turn};

use super::Dispatcher;
use super::slot::{Body, Slot};
use crate::engine::{End, Guest, Module, Progress};
use crate::store::{Activity, Change, Loaded, NewActivity, StoreError, TurnRecord, Write};

/// What a slot's instance needs to go on.
enum Life {
    /// A guest, and the messages it has yet to see.
    Guest(Box<Guest>, Vec<Message>),
    /// No guest was needed: the messages changed nothing that it waits for.
    Absorbed(Turn),
    /// There was nothing to do.
    Nothing,
}

/// Why an instance could not be brought to life.
enum Lifeless {
    /// For now: it is tried again.
    Later(String),
    /// Until somebody does something about it.
    Park(String),
}

impl Dispatcher {
    /// Runs a scheduled slot until it has no message left.
    pub(super) fn turn(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (body, messages) = {
            let mut inner = slot.lock();
            let body = std::mem::replace(&mut inner.body, Body::Running);
            if matches!(body, Body::Resident(_)) {
                self.residents.take(slot);
            }
            (body, inner.inbox.drain(..).collect::<Vec<_>>())
        };
        let life = match body {
            Body::Resident(guest) => Ok(Life::Guest(guest, messages)),
            Body::Cold | Body::Running => self.bring_to_life(slot, messages),
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
                    messages = slot.lock().inbox.drain(..).collect();
                    if messages.is_empty() {
                        return self.put_back(slot, Some(guest));
                    }
                }
                Progress::Ended(End::Recorded) => return self.end(slot, guest),
                Progress::Ended(End::Mismatch(mismatch)) => {
                    drop(guest);
                    let reason = serde_json::to_string(&mismatch).unwrap_or_else(|_| mismatch.to_string());
                    tracing::error!(instance = &*slot.id, "{mismatch}");
                    return self.park(slot, reason);
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
            inner.inbox.drain(..).collect()
        };
        guest.absorb(late);
        if let Some(turn) = guest.take_turn() {
            self.commit(slot, turn);
        }
        drop(guest);
        self.put_back(slot, None);
    }

    fn bring_to_life(self: &Arc<Self>, slot: &Arc<Slot>, messages: Vec<Message>) -> Result<Life, Lifeless> {
        let later = |error: StoreError| match error {
            StoreError::Damaged(what) => Lifeless::Park(format!("what is stored of it is damaged: {what}")),
            other => Lifeless::Later(other.to_string()),
        };
        let version = slot.lock().version;
        // A new instance is all in memory: its first message is here.
        let loaded = if version == 0 && starts(&messages) {
            None
        } else {
            self.runtime.block_on(self.store.load(slot.key)).map_err(later)?
        };
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

    pub(super) fn module_by_digest(&self, digest: &str) -> Result<Arc<Module>, String> {
        if let Some(module) = self.engine.module(digest) {
            return Ok(module);
        }
        let bytes = self
            .runtime
            .block_on(self.store.module_bytes(digest))
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("its module {digest} is not stored"))?;
        self.engine.compile(digest, &bytes).map_err(|error| format!("its module {digest} does not load: {error}"))
    }

    fn module(&self, digest: &str) -> Result<Arc<Module>, Lifeless> {
        self.module_by_digest(digest).map_err(Lifeless::Park)
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
        if inner.gone {
            return;
        }
        let record = TurnRecord { expected_version: inner.version, ..record };
        inner.version += 1;
        inner.status = turn.status;
        inner.abandoned = 0;
        inner.writes_in_flight += 1;
        inner.turns_in_flight += 1;
        let (dispatcher, owner) = (self.clone(), slot.clone());
        self.store.submit(
            Write { lease: slot.lease, key: slot.key, change: Change::Turn(record) },
            Box::new(move |result| match result {
                Ok(()) => {
                    started.into_iter().for_each(|activity| dispatcher.perform(activity));
                    dispatcher.write_ended(&owner, true);
                }
                Err(error) => dispatcher.forget_after(&owner, &error),
            }),
        );
    }

    /// The slot is done with its messages: its guest stays in memory if it may.
    fn put_back(self: &Arc<Self>, slot: &Arc<Slot>, guest: Option<Box<Guest>>) {
        let (resident, dropped) = {
            let mut inner = slot.lock();
            inner.scheduled = false;
            inner.body = Body::Cold;
            match guest {
                Some(guest) if !inner.gone && self.residents.keeps_any() => {
                    inner.body = Body::Resident(guest);
                    self.residents.keep(slot);
                    (true, None)
                }
                guest => (false, guest),
            }
        };
        drop(dropped);
        {
            let mut inner = slot.lock();
            if !inner.inbox.is_empty() && !inner.gone {
                self.schedule(slot, &mut inner);
            }
        }
        if resident {
            self.evict(slot);
        } else {
            self.forget_if_idle(slot);
        }
    }

    fn evict(self: &Arc<Self>, slot: &Arc<Slot>) {
        for (stamp, victim) in self.residents.evict(slot) {
            let guest = {
                let mut inner = victim.lock();
                let current = victim.stamp.load(std::sync::atomic::Ordering::Acquire) == stamp;
                // One with messages is about to run: it stays a little over the budget.
                if !current || inner.scheduled || !matches!(inner.body, Body::Resident(_)) {
                    continue;
                }
                self.residents.take(&victim);
                std::mem::replace(&mut inner.body, Body::Cold)
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
        inner.inbox.clear();
        if inner.gone {
            return;
        }
        inner.parked = true;
        inner.writes_in_flight += 1;
        let (dispatcher, owner) = (self.clone(), slot.clone());
        self.store.submit(
            Write { lease: slot.lease, key: slot.key, change: Change::Park { reason: Some(reason) } },
            Box::new(move |result| match result {
                Ok(()) => dispatcher.write_ended(&owner, false),
                Err(error) => dispatcher.forget_after(&owner, &error),
            }),
        );
    }

    /// Gives a step up, to be tried again later from what is stored.
    fn abandon(self: &Arc<Self>, slot: &Arc<Slot>, reason: &str) {
        let (attempts, settled) = {
            let mut inner = slot.lock();
            inner.scheduled = true;
            inner.body = Body::Cold;
            inner.abandoned += 1;
            (inner.abandoned, inner.settled())
        };
        let delay = Duration::from_millis(500 << attempts.min(7));
        tracing::warn!(instance = &*slot.id, attempts, "the step is tried again in {delay:?}: {reason}");
        let (dispatcher, slot) = (self.clone(), slot.clone());
        self.runtime.spawn(async move {
            let _ = settled.await;
            tokio::time::sleep(delay).await;
            let mut inner = slot.lock();
            if inner.gone {
                return;
            }
            // Every message is in the store by now: the next try loads them from there.
            inner.inbox.clear();
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

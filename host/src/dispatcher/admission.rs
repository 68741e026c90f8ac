//! Messages come in. Whoever holds the slot's lock gives a message its place in the order; the answer waits until it is durable.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{Message, MessageBody, Payload, RuntimeStatus, Start};
use tokio::sync::oneshot;

use super::Dispatcher;
use super::generation::to_json;
use super::once::Reused;
use super::slot::{Inner, Slot, calls_back};
use super::watchers::Taking;
use crate::limits::{self, Limit};
use crate::store::{Change, InstanceKey, NewInstance, Once, StoreError, StoredMessage, partition_of};

/// Learns when a write is durable.
pub(super) type Durable = oneshot::Receiver<Result<(), StoreError>>;

/// How a message is handed in.
#[derive(Default)]
pub(super) struct Terms {
    /// Only for the instance of this key.
    pub key: Option<InstanceKey>,
    /// The entry of the outbox that it comes from.
    pub sent: Option<u64>,
    /// Somebody waits until it is taken.
    pub taking: bool,
    /// What is remembered of the request that it comes from.
    pub once: Option<Once>,
}

/// A message that has its place.
pub(super) struct Admitted {
    pub seq: u64,
    pub durable: Durable,
    pub taking: Option<Taking>,
}

/// What became of a message at the door.
pub(super) enum Delivery {
    /// It has its place; the answer comes when it is durable.
    Admitted(Admitted),
    /// The instance has ended, and that is durable.
    Ended,
    /// The slot takes nothing any more: it has left the map, or is about to, or the instance has ended but that is not durable yet.
    LookAgain(oneshot::Receiver<()>),
}

/// A start that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub id: String,
}

/// An event, or another message, that is durable.
pub struct Raised {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// Resolves when the instance has taken it, where somebody waits for that; none where it was raised before by the same request.
    pub taking: Option<Taking>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("there is no orchestrator named {name:?}; there are: {}", or_none(.known))]
    UnknownOrchestrator { name: String, known: Vec<String> },
    #[error("{0}")]
    BadId(String),
    /// There is no instance to start anew.
    #[error("there is no instance with the id {0:?}")]
    NotFound(String),
    /// An instance with this id has not ended.
    #[error("an instance with the id {0:?} exists and has not ended")]
    Exists(String),
    #[error("the host has more to do than it can hold: try again when it has caught up")]
    Busy,
    #[error(
        "there are {most} instances of {name:?} that have not ended, and there may be no more: try again when some have"
    )]
    Enough { name: String, most: u64 },
    #[error(transparent)]
    Reused(#[from] Reused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaiseError {
    #[error("there is no instance with the id {0:?}")]
    NotFound(String),
    /// The instance has ended: nobody would ever receive the event.
    #[error("the instance {0:?} has ended")]
    Gone(String),
    /// The instance, or the host, has more to do than memory may hold.
    #[error(
        "there are more unread messages than the host can hold, {0} of them of this instance: try again when it has caught up"
    )]
    Busy(usize),
    #[error(transparent)]
    Reused(#[from] Reused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a slot that is in the way is looked at without a pause: most often it goes at once.
const QUICK_LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(2);

impl Dispatcher {
    /// Starts an orchestrator. Durable on return.
    pub async fn start(self: &Arc<Self>, name: &str, id: Option<&str>, input: Payload) -> Result<Started, StartError> {
        let start = self.new_start(name, input, None).ok_or_else(|| self.unknown_orchestrator(name))?;
        let id = match id {
            Some(id) => {
                check_id(id)?;
                id.to_owned()
            }
            None => self.new_name(),
        };
        let durable = self.create(&id, &start, None, None).await?;
        durable.await.map_err(|_| closed())??;
        Ok(Started { id })
    }

    pub(super) fn unknown_orchestrator(&self, name: &str) -> StartError {
        StartError::UnknownOrchestrator { name: name.to_owned(), known: self.registry.orchestrators() }
    }

    /// Creates an instance; `sent` is the entry of the outbox that asks for it, `once` what is remembered of a request. What comes back learns when it is durable.
    pub(super) async fn create(
        self: &Arc<Self>,
        id: &str,
        start: &Start,
        sent: Option<u64>,
        once: Option<Once>,
    ) -> Result<Durable, StartError> {
        let mut looks = 0;
        loop {
            if let Some(durable) = self.try_create(id, start, sent, &once).await? {
                return Ok(durable);
            }
            self.before_another_look(looks).await?;
            looks += 1;
        }
    }

    /// Lets those go on who have the slot that stands in the way, and whose writes have ended. An error where nobody will.
    pub(super) async fn before_another_look(&self, looks: u32) -> Result<(), StoreError> {
        if self.queue.is_closed() {
            return Err(closed());
        }
        if let Some(reason) = self.store.poisoned() {
            return Err(StoreError::Poisoned(reason));
        }
        match looks {
            ..QUICK_LOOKS => tokio::task::yield_now().await,
            _ => self.clock.pause(PAUSE).await,
        }
        Ok(())
    }

    /// Creates the instance, unless its id was taken meanwhile by somebody who must be looked at again.
    async fn try_create(
        self: &Arc<Self>,
        id: &str,
        start: &Start,
        sent: Option<u64>,
        once: &Option<Once>,
    ) -> Result<Option<Durable>, StartError> {
        let number = partition_of(id);
        let (departures, present) = {
            let partition = self.partition(number);
            (partition.departures, partition.slots.get(id).cloned())
        };
        if let Some(slot) = present {
            // What stands in the way, and what would make way, count once they are durable.
            let (settled, ended) = {
                let mut inner = slot.lock();
                (inner.settled(), inner.status.is_final())
            };
            let _ = settled.await;
            if !ended && slot.lock().is_trusted() {
                return Err(StartError::Exists(id.to_owned()));
            }
            self.forget_if_idle(&slot);
            return Ok(None);
        }
        let replaces = match self.store.find(id).await? {
            Some(found) if !found.status.is_final() => return Err(StartError::Exists(id.to_owned())),
            found => found.map(|instance| instance.key),
        };
        let mut partition = self.partition(number);
        if partition.departures != departures || partition.slots.contains_key(id) {
            return Ok(None);
        }
        // The newest, until the start is submitted: one that is not may be gone by now, or before that.
        let active = self.registry.read();
        let newest = active.orchestrator(&start.name).map(|(_, module)| module);
        let start = Start { module: newest.unwrap_or_else(|| start.module.clone()), ..start.clone() };
        let instance = NewInstance {
            id: id.to_owned(),
            name: start.name.clone(),
            module: start.module.clone(),
            execution: start.execution.clone(),
            created: self.clock.now(),
        };
        let share = self.shares.of(&instance.name);
        if let Some(limit) = share.full() {
            self.metrics().hit(limit);
            return Err(StartError::Busy);
        }
        let (key, lease) = (self.ids.next()?, self.leases[number as usize]);
        let message = self.message(MessageBody::Started(Box::new(start)))?;
        if !share.instance_may_begin() {
            self.metrics().hit(Limit::Instances);
            return Err(StartError::Enough { name: instance.name, most: self.limits.orchestrator_instances });
        }
        let slot = Arc::new(Slot::of(&instance.clone().begun(key), lease, share));
        partition.slots.insert(slot.id.clone(), slot.clone());
        let mut inner = slot.lock();
        drop(partition);
        let once = once.clone();
        self.metrics().instances_started.inc();
        let create = |message| Change::Create { instance, replaces, message, sent, once };
        Ok(Some(self.admit(&slot, &mut inner, message, create)))
    }

    /// Raises an external event, and gives its place in the order of arrival: of two events the later one has the higher number. Durable
    /// on return.
    pub async fn raise(self: &Arc<Self>, id: &str, name: &str, input: Payload) -> Result<u64, RaiseError> {
        let body = MessageBody::EventRaised { name: name.to_owned(), input };
        Ok(self.deliver(id, &body, &Terms::default()).await?.seq)
    }

    /// The same; one may wait until the instance has taken the event.
    pub async fn raise_and_wait(self: &Arc<Self>, id: &str, name: &str, input: Payload) -> Result<Raised, RaiseError> {
        let body = MessageBody::EventRaised { name: name.to_owned(), input };
        self.deliver(id, &body, &Terms { taking: true, ..Terms::default() }).await
    }

    /// Delivers a message to an instance. Durable on return.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        id: &str,
        body: &MessageBody,
        terms: &Terms,
    ) -> Result<Raised, RaiseError> {
        let Admitted { seq, durable, taking } = self.hand_in(id, body, terms).await?;
        durable.await.map_err(|_| closed())??;
        Ok(Raised { seq, taking })
    }

    /// Gives a message its place among those of its instance.
    pub(super) async fn hand_in(
        self: &Arc<Self>,
        id: &str,
        body: &MessageBody,
        terms: &Terms,
    ) -> Result<Admitted, RaiseError> {
        let mut looks = 0;
        loop {
            let Some(slot) = self.slot(id).await? else { return Err(RaiseError::NotFound(id.to_owned())) };
            let delivery = match terms.key {
                Some(key) if key != slot.key => Ok(Delivery::Ended),
                _ => self.try_deliver(&slot, body, terms),
            };
            match delivery {
                Ok(Delivery::Admitted(admitted)) => return Ok(admitted),
                Ok(Delivery::Ended) => {
                    self.forget_if_idle(&slot);
                    return Err(RaiseError::Gone(id.to_owned()));
                }
                // That it has ended may be said only once that is durable.
                Ok(Delivery::LookAgain(settled)) => {
                    let _ = settled.await;
                    self.before_another_look(looks).await?;
                    looks += 1;
                }
                Err(error) => {
                    self.forget_if_idle(&slot);
                    return Err(error);
                }
            }
        }
    }

    fn try_deliver(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        body: &MessageBody,
        terms: &Terms,
    ) -> Result<Delivery, RaiseError> {
        let mut inner = slot.lock();
        if !inner.is_trusted() {
            return Ok(Delivery::LookAgain(inner.settled()));
        }
        if inner.status.is_final() && !inner.may_be_rewound(body) {
            return Ok(match inner.is_under_way() {
                true => Delivery::LookAgain(inner.settled()),
                false => Delivery::Ended,
            });
        }
        if let Some(limit) = inner.inbox.full().filter(|_| !body.is_urgent()) {
            self.metrics().hit(limit);
            return Err(RaiseError::Busy(inner.inbox.len()));
        }
        let message = self.message(body.clone())?;
        let seq = message.seq;
        let taking = terms.taking.then(|| self.taking(slot.key, seq));
        let (sent, once) = (terms.sent, terms.once.clone());
        let accept = |message| Change::Accept { message, sent, once };
        let durable = self.admit(slot, &mut inner, message, accept);
        Ok(Delivery::Admitted(Admitted { seq, durable, taking }))
    }

    /// Gives a message its place in the order. Called under the slot's lock, or before anybody else knows the slot.
    pub(super) fn message(&self, body: MessageBody) -> Result<Message, StoreError> {
        Ok(Message { seq: self.ids.next()?, at: self.clock.now(), body })
    }

    /// Makes a message durable and lets the instance run, all under the slot's lock.
    pub(super) fn admit(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        message: Message,
        change: impl FnOnce(StoredMessage) -> Change,
    ) -> Durable {
        let body = to_json(&message.body);
        let (seq, at) = (message.seq, message.at);
        self.metrics().messages_accepted.inc();
        if (inner.abandoned > 0 || inner.passed_over > 0 || inner.paused) && message.body.is_urgent() {
            // What ends it does not wait until it is tried again.
            slot.retry.notify_one();
        }
        let called_back = inner.reads_nothing() && calls_back(&message.body);
        if called_back || matches!(message.body, MessageBody::Rewound(_)) {
            // From here on messages are read again, those that were left in the store first.
            inner.parked = false;
            inner.status = RuntimeStatus::Running;
        }
        if !inner.reads_nothing() {
            inner.expect(&message);
            inner.inbox.push(message);
        }
        let (sender, durable) = oneshot::channel();
        self.submit(slot, inner, change(StoredMessage { seq, at, body }), move |outcome| {
            // The client may have gone away.
            let _ = sender.send(outcome);
        });
        if called_back {
            inner.leave_in_store();
        }
        if inner.has_work() {
            self.schedule(slot, inner);
        }
        durable
    }
}

pub(super) fn check_id(id: &str) -> Result<(), StartError> {
    limits::check_instance_id(id).map_err(|why| StartError::BadId(format!("the instance id {id:?} {why}")))
}

pub(super) fn closed() -> StoreError {
    StoreError::Io("the store was closed".into())
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none, deploy a module first".into() } else { names.join(", ") }
}

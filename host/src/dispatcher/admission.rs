//! Messages come in. Whoever holds the slot's lock gives a message its place in the order; the answer waits until it is durable.

use std::sync::Arc;

use fermata_replay::{Message, MessageBody, Payload, RuntimeStatus, Start};
use rand::RngExt as _;
use tokio::sync::oneshot;

use super::Dispatcher;
use super::slot::{Inner, Slot};
use crate::limits;
use crate::store::{Change, Instance, InstanceKey, NewInstance, StoreError, StoredMessage, partition_of};

/// What became of a message at the door.
enum Delivery {
    /// It has its place; the answer comes when it is durable.
    Admitted(oneshot::Receiver<Result<(), StoreError>>),
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("there is no orchestrator named {name:?}; there are: {}", or_none(.known))]
    UnknownOrchestrator { name: String, known: Vec<String> },
    #[error("{0}")]
    BadId(String),
    /// An instance with this id has not ended.
    #[error("an instance with the id {0:?} exists and has not ended")]
    Exists(String),
    #[error("the host has more to do than it can hold: try again when it has caught up")]
    Busy,
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
    Store(#[from] StoreError),
}

impl Dispatcher {
    /// Starts an orchestrator. Durable on return.
    pub async fn start(self: &Arc<Self>, name: &str, id: Option<&str>, input: Payload) -> Result<Started, StartError> {
        let Some((name, module)) = self.registry.orchestrator(name) else {
            return Err(StartError::UnknownOrchestrator {
                name: name.to_owned(),
                known: self.registry.orchestrators(),
            });
        };
        let id = match id {
            Some(id) => {
                check_id(id)?;
                id.to_owned()
            }
            None => uuid::Uuid::now_v7().simple().to_string(),
        };
        let start = Start { name, input, execution: uuid::Uuid::now_v7().simple().to_string(), module, seed: seed() };
        loop {
            if let Some(durable) = self.try_create(&id, &start).await? {
                durable.await.map_err(|_| closed())??;
                return Ok(Started { id });
            }
        }
    }

    /// Creates the instance, unless its id was taken meanwhile by somebody who must be looked at again.
    async fn try_create(
        self: &Arc<Self>,
        id: &str,
        start: &Start,
    ) -> Result<Option<oneshot::Receiver<Result<(), StoreError>>>, StartError> {
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
            tokio::task::yield_now().await;
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
        let slot = Arc::new(self.new_slot(id, start)?);
        if slot.lock().inbox.is_full() {
            return Err(StartError::Busy);
        }
        let message = self.message(MessageBody::Started(Box::new(start.clone())))?;
        partition.slots.insert(slot.id.clone(), slot.clone());
        let mut inner = slot.lock();
        drop(partition);
        let instance = NewInstance {
            id: id.to_owned(),
            name: start.name.clone(),
            module: start.module.clone(),
            execution: start.execution.clone(),
            created: message.at,
        };
        let create = |message| Change::Create { instance, replaces, message };
        Ok(Some(self.admit(&slot, &mut inner, message, create)))
    }

    /// Raises an external event. Durable on return.
    pub async fn raise(self: &Arc<Self>, id: &str, name: &str, input: Payload) -> Result<(), RaiseError> {
        let body = MessageBody::EventRaised { name: name.to_owned(), input };
        self.deliver(id, None, body).await
    }

    /// Delivers a message to an instance, of this key where one is given. Durable on return.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        id: &str,
        key: Option<InstanceKey>,
        body: MessageBody,
    ) -> Result<(), RaiseError> {
        loop {
            let Some(slot) = self.slot(id).await? else { return Err(RaiseError::NotFound(id.to_owned())) };
            let delivery = match key {
                Some(key) if key != slot.key => Ok(Delivery::Ended),
                _ => self.try_deliver(&slot, &body),
            };
            match delivery {
                Ok(Delivery::Admitted(durable)) => return Ok(durable.await.map_err(|_| closed())??),
                Ok(Delivery::Ended) => {
                    self.forget_if_idle(&slot);
                    return Err(RaiseError::Gone(id.to_owned()));
                }
                // That it has ended may be said only once that is durable.
                Ok(Delivery::LookAgain(settled)) => {
                    let _ = settled.await;
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    self.forget_if_idle(&slot);
                    return Err(error);
                }
            }
        }
    }

    fn try_deliver(self: &Arc<Self>, slot: &Arc<Slot>, body: &MessageBody) -> Result<Delivery, RaiseError> {
        let mut inner = slot.lock();
        if !inner.is_trusted() {
            return Ok(Delivery::LookAgain(inner.settled()));
        }
        if inner.status.is_final() {
            let ended = inner.writes_in_flight() == 0 && !inner.scheduled;
            return Ok(if ended { Delivery::Ended } else { Delivery::LookAgain(inner.settled()) });
        }
        if inner.inbox.is_full() {
            return Err(RaiseError::Busy(inner.inbox.len()));
        }
        let message = self.message(body.clone())?;
        Ok(Delivery::Admitted(self.admit(slot, &mut inner, message, |message| Change::Accept { message })))
    }

    /// Gives a message its place in the order. Called under the slot's lock, or before anybody else knows the slot.
    fn message(&self, body: MessageBody) -> Result<Message, StoreError> {
        Ok(Message { seq: self.ids.next()?, at: self.clock.now(), body })
    }

    /// Makes a message durable and lets the instance run, all under the slot's lock.
    fn admit(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        message: Message,
        change: impl FnOnce(StoredMessage) -> Change,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let body = serde_json::to_string(&message.body).expect("messages are JSON");
        let (seq, at, bytes) = (message.seq, message.at, body.len());
        // A parked instance reads nothing: its messages wait in the store.
        if !inner.parked {
            inner.inbox.push(message, bytes);
        }
        let (sender, durable) = oneshot::channel();
        self.submit(slot, inner, change(StoredMessage { seq, at, body }), move |outcome| {
            // The client may have gone away.
            let _ = sender.send(outcome);
        });
        self.schedule(slot, inner);
        durable
    }

    fn new_slot(&self, id: &str, start: &Start) -> Result<Slot, StoreError> {
        let now = self.clock.now();
        let instance = Instance {
            key: self.ids.next()?,
            id: id.to_owned(),
            name: start.name.clone(),
            module: start.module.clone(),
            execution: start.execution.clone(),
            status: RuntimeStatus::Pending,
            created: now,
            updated: now,
            version: 0,
            custom_status: None,
            parked: None,
        };
        Ok(Slot::of(&instance, self.leases[partition_of(id) as usize], self.backlog.clone()))
    }
}

/// The rules of Durable Functions: at most 256 bytes (there, characters), none of `/ \ # ?`, no control characters, no `@` in front.
fn check_id(id: &str) -> Result<(), StartError> {
    let bad = |why: &str| Err(StartError::BadId(format!("the instance id {id:?} {why}")));
    if id.is_empty() || id.len() > limits::INSTANCE_ID_BYTES {
        return bad("must be 1 to 256 bytes long");
    }
    if id.starts_with('@') {
        return bad("must not begin with @, which is kept for entities");
    }
    if id.chars().any(|c| matches!(c, '/' | '\\' | '#' | '?') || c.is_control()) {
        return bad("must not contain / \\ # ? or control characters");
    }
    Ok(())
}

/// 256 random bits in hex.
fn seed() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn closed() -> StoreError {
    StoreError::Io("the store was closed".into())
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none, deploy a module first".into() } else { names.join(", ") }
}

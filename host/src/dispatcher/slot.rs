//! What is in memory of one instance: while it has messages, runs, waits for a commit, or keeps a resident guest. At any other time an
//! instance has no slot, and costs nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use fermata_replay::{Message, MessageBody, RuntimeStatus};
use tokio::sync::oneshot;

use crate::engine::Guest;
use crate::limits;
use crate::store::{Instance, InstanceKey, Lease, StoreError};

pub struct Slot {
    pub id: Arc<str>,
    pub key: InstanceKey,
    pub lease: Lease,
    pub module: String,
    pub execution: String,
    /// When the resident guest blocked, by the residency's count; 0 while there is none.
    pub stamp: AtomicU64,
    inner: Mutex<Inner>,
}

/// Everything about an instance that changes. Whoever holds the lock decides the order of its messages.
pub struct Inner {
    pub inbox: Inbox,
    pub body: Body,
    /// In the run queue, or running.
    pub scheduled: bool,
    /// As of the last turn that was submitted, durable or not.
    pub status: RuntimeStatus,
    pub version: u64,
    pub parked: bool,
    /// Turns that were submitted and have not ended.
    pub turns_in_flight: u32,
    /// A write failed, so what is in memory may be ahead of the store. The slot takes part in nothing any more, and leaves the map when
    /// its last write has ended: who looks at the store then finds everything that was acknowledged.
    pub failed: Option<StoreError>,
    /// This slot has left the map: whoever finds it must look again.
    pub gone: bool,
    /// How often in a row the host gave up on a step.
    pub abandoned: u32,
    /// Writes of every kind that were submitted, and how many of them have ended. They end in the order of their submission.
    writes_submitted: u64,
    writes_ended: u64,
    /// Who waits until that many writes have ended, in the order of their numbers.
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

pub enum Body {
    /// To be loaded from the store.
    Cold,
    Resident(Box<Guest>),
    /// A worker has it.
    Running,
}

/// Messages that were admitted and not yet applied. Complete from the oldest here on; older ones may be in the store.
pub struct Inbox {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    backlog: Backlog,
}

/// How many bytes of messages wait in memory, of all instances.
#[derive(Clone, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Inbox {
    fn new(backlog: Backlog) -> Inbox {
        Inbox { messages: VecDeque::new(), bytes: 0, backlog }
    }

    /// `bytes`: the length of its text.
    pub fn push(&mut self, message: Message, bytes: usize) {
        let bytes = bytes + limits::MESSAGE_OVERHEAD_BYTES;
        self.messages.push_back((message, bytes));
        self.bytes += bytes;
        self.backlog.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn take(&mut self) -> Vec<Message> {
        self.backlog.0.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.messages.drain(..).map(|(message, _)| message).collect()
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether this instance, or the host, has as much to do as memory may hold.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= limits::INBOX_MESSAGES
            || self.bytes >= limits::INBOX_BYTES
            || self.backlog.0.load(Ordering::Relaxed) >= limits::BACKLOG_BYTES
    }

    /// Whether everything there is about the instance is here.
    pub fn begins_with_start(&self) -> bool {
        self.messages.front().is_some_and(|(message, _)| matches!(message.body, MessageBody::Started(_)))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.take();
    }
}

impl Slot {
    /// The slot of a stored instance.
    pub fn of(instance: &Instance, lease: Lease, backlog: Backlog) -> Slot {
        Slot {
            id: instance.id.as_str().into(),
            key: instance.key,
            lease,
            module: instance.module.clone(),
            execution: instance.execution.clone(),
            stamp: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                inbox: Inbox::new(backlog),
                body: Body::Cold,
                scheduled: false,
                status: instance.status,
                version: instance.version,
                parked: instance.parked.is_some(),
                turns_in_flight: 0,
                failed: None,
                gone: false,
                abandoned: 0,
                writes_submitted: 0,
                writes_ended: 0,
                waiting: VecDeque::new(),
            }),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether what is in memory is what the store has, or will have once the writes under way are durable.
    pub fn is_trusted(&self) -> bool {
        !self.gone && self.failed.is_none()
    }

    pub fn write_submitted(&mut self, is_turn: bool) {
        self.writes_submitted += 1;
        self.turns_in_flight += u32::from(is_turn);
    }

    pub fn write_ended(&mut self, is_turn: bool) {
        self.writes_ended += 1;
        self.turns_in_flight -= u32::from(is_turn);
        while let Some((_, waiter)) = self.waiting.pop_front_if(|(number, _)| *number <= self.writes_ended) {
            // Nobody listens where the receiver was dropped.
            let _ = waiter.send(());
        }
    }

    pub fn writes_in_flight(&self) -> u64 {
        self.writes_submitted - self.writes_ended
    }

    /// Resolves when every write so far is durable or has failed.
    pub fn settled(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if self.writes_in_flight() > 0 {
            self.waiting.push_back((self.writes_submitted, sender));
        } else {
            let _ = sender.send(());
        }
        receiver
    }

    /// Nothing is left that the store does not have.
    pub fn is_idle(&self) -> bool {
        let idle = !self.scheduled && self.inbox.is_empty() && matches!(self.body, Body::Cold);
        self.writes_in_flight() == 0 && (idle || self.failed.is_some())
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::{Payload, Timestamp};

    use super::*;

    fn event() -> Message {
        let body = MessageBody::EventRaised { name: "go".into(), input: Payload::null() };
        Message { seq: 1, at: Timestamp(0), body }
    }

    #[test]
    fn what_one_instance_holds_up_counts_for_all() {
        let backlog = Backlog::default();
        let (mut crowded, other) = (Inbox::new(backlog.clone()), Inbox::new(backlog.clone()));
        crowded.push(event(), limits::INBOX_BYTES);
        assert!(crowded.is_full() && !other.is_full(), "an instance has a bound of its own");
        crowded.push(event(), limits::BACKLOG_BYTES);
        assert!(other.is_full(), "and the host has one");
        crowded.take();
        assert!(!crowded.is_full() && !other.is_full());
        crowded.push(event(), limits::BACKLOG_BYTES);
        drop(crowded);
        assert!(!other.is_full(), "what is dropped is counted no more");
    }
}

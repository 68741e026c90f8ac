//! What is in memory of one instance: while it has messages, runs, waits for a commit, or keeps a resident guest. At any other time an
//! instance has no slot, and costs nothing.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use fermata_replay::{Message, MessageBody, RuntimeStatus, Timestamp};
use tokio::sync::{Notify, oneshot};

use super::run_queue::Place;
use super::share::Share;
use crate::engine::Guest;
use crate::limits::{self, Limit};
use crate::store::{Instance, InstanceKey, Lease, StoreError};

pub struct Slot {
    pub id: Arc<str>,
    pub key: InstanceKey,
    pub lease: Lease,
    pub created: Timestamp,
    /// When the resident guest blocked, by the residency's count; 0 while there is none.
    pub stamp: AtomicU64,
    pub share: Arc<Share>,
    /// Has a step that was given up be tried again at once.
    pub retry: Notify,
    inner: Mutex<Inner>,
}

/// Everything about an instance that changes. Whoever holds the lock decides the order of its messages.
pub struct Inner {
    pub inbox: Inbox,
    pub body: Body,
    /// In the run queue, or running.
    pub scheduled: bool,
    /// There is something to do, whether the inbox has messages or not: a deadline has passed, or messages were left in the store.
    pub pending: bool,
    /// Messages were left in the store, the latest by the write of this number: it can be loaded no sooner than that has ended.
    pub left_in_store: u64,
    /// As of the last turn that was submitted, durable or not; or of a message that will change it.
    pub status: RuntimeStatus,
    /// The message that will suspend it, which was admitted and is in no turn yet.
    pub suspending: Option<u64>,
    pub version: u64,
    /// The execution of the present generation, and the module that it runs.
    pub execution: Arc<str>,
    pub module: Arc<str>,
    /// When its next deadline passes.
    pub due: Option<Timestamp>,
    pub parked: bool,
    /// Turns that were submitted and have not ended.
    pub turns_in_flight: u32,
    /// A write failed, so what is in memory may be ahead of the store. The slot takes part in nothing any more, and leaves the map when
    /// its last write has ended: who looks at the store then finds everything that was acknowledged.
    pub failed: Option<StoreError>,
    /// It is being removed from the store. Like one that failed the slot takes part in nothing any more.
    pub removed: bool,
    /// This slot has left the map: whoever finds it must look again.
    pub gone: bool,
    /// How often in a row the host gave up on a step.
    pub abandoned: u32,
    /// Why, where that has been so often that it is tried rarely.
    pub stalled: Option<Arc<str>>,
    /// How often in a row its guest took long when there was no room for another one in the middle of a step.
    pub passed_over: u32,
    /// It has something to do, and waits, for its orchestrator has written much and others are at work.
    pub paused: bool,
    /// It counts among the instances that have not ended.
    pub counts: bool,
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
    /// In the middle of a step.
    Interrupted(Running),
    /// A worker has it.
    Running,
}

/// A guest at work.
pub struct Running {
    pub guest: Box<Guest>,
    /// Its place among those that were stopped in the middle of a step.
    pub place: Option<Place>,
}

/// Messages that were admitted and not yet applied. Complete from the oldest here on; older ones may be in the store.
pub struct Inbox {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    share: Arc<Share>,
}

impl Inbox {
    fn new(share: Arc<Share>) -> Inbox {
        Inbox { messages: VecDeque::new(), bytes: 0, share }
    }

    pub fn push(&mut self, message: Message) {
        let bytes = held(&message);
        self.messages.push_back((message, bytes));
        self.bytes += bytes;
        self.share.add_unread(bytes);
    }

    /// Puts messages before those there are.
    pub fn prepend(&mut self, messages: Vec<Message>) {
        for message in messages.into_iter().rev() {
            let bytes = held(&message);
            self.messages.push_front((message, bytes));
            self.bytes += bytes;
            self.share.add_unread(bytes);
        }
    }

    /// Whether a message is there that a suspended instance reads.
    pub fn has_call_back(&self) -> bool {
        self.messages.iter().any(|(message, _)| calls_back(&message.body))
    }

    pub fn take(&mut self) -> Vec<Message> {
        if self.messages.is_empty() {
            return Vec::new();
        }
        self.share.remove_unread(std::mem::take(&mut self.bytes));
        self.messages.drain(..).map(|(message, _)| message).collect()
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The bound that another message would pass: this instance, its orchestrator, or the host has as much to do as memory may hold.
    pub fn full(&self) -> Option<Limit> {
        let limits = &self.share.limits;
        let is_full = self.messages.len() >= limits.inbox_messages || self.bytes >= limits.inbox_bytes;
        if is_full { Some(Limit::Inbox) } else { self.share.full() }
    }

    /// Whether a message is there that goes before all others, and before what the guest is doing.
    pub fn has_urgent(&self) -> bool {
        self.messages.iter().any(|(message, _)| message.body.is_urgent())
    }

    /// Whether everything there is about the instance is here.
    pub fn begins_with_start(&self) -> bool {
        self.messages.front().is_some_and(|(message, _)| matches!(message.body, MessageBody::Started(_)))
    }
}

/// What a message takes in memory, about.
fn held(message: &Message) -> usize {
    message.body.bytes() + limits::MESSAGE_OVERHEAD_BYTES
}

/// Whether an instance that reads nothing, as it is suspended or parked, reads this.
pub fn calls_back(body: &MessageBody) -> bool {
    body.is_urgent() || matches!(body, MessageBody::Resumed(_))
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.take();
    }
}

impl Slot {
    /// The slot of a stored instance.
    pub fn of(instance: &Instance, lease: Lease, share: Arc<Share>) -> Slot {
        Slot {
            id: instance.id.as_str().into(),
            key: instance.key,
            lease,
            created: instance.created,
            stamp: AtomicU64::new(0),
            share: share.clone(),
            retry: Notify::new(),
            inner: Mutex::new(Inner {
                inbox: Inbox::new(share),
                body: Body::Cold,
                scheduled: false,
                pending: false,
                left_in_store: 0,
                status: instance.status,
                suspending: None,
                version: instance.version,
                execution: instance.execution.as_str().into(),
                module: instance.module.as_str().into(),
                due: instance.due,
                parked: instance.parked.is_some(),
                turns_in_flight: 0,
                failed: None,
                removed: false,
                gone: false,
                abandoned: 0,
                stalled: None,
                passed_over: 0,
                paused: false,
                counts: !instance.status.is_final(),
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
        !self.gone && !self.removed && self.failed.is_none()
    }

    /// Whether messages wait in the store until the instance is called back.
    pub fn reads_nothing(&self) -> bool {
        self.parked || self.status == RuntimeStatus::Suspended
    }

    /// What it will be when it has read what there is: by this is judged what it is asked next.
    pub fn status_to_be(&self) -> RuntimeStatus {
        match self.suspending {
            Some(_) if !self.status.is_final() => RuntimeStatus::Suspended,
            _ => self.status,
        }
    }

    /// Takes note of a message that joins the inbox.
    pub fn expect(&mut self, message: &Message) {
        match message.body {
            MessageBody::Suspended(_) => self.suspending = Some(message.seq),
            MessageBody::Resumed(_) => self.suspending = None,
            _ => {}
        }
    }

    /// Whether this message is the one thing that an instance which has failed takes.
    pub fn may_be_rewound(&self, body: &MessageBody) -> bool {
        matches!(body, MessageBody::Rewound(_)) && self.status == RuntimeStatus::Failed
    }

    pub fn has_work(&self) -> bool {
        self.pending || !self.inbox.is_empty()
    }

    /// Notes that messages up to here are in the store alone, or on their way there.
    pub fn leave_in_store(&mut self) {
        self.left_in_store = self.writes_submitted;
    }

    /// Whether a guest that has to be loaded would be loaded from a store that is behind.
    pub fn must_wait(&self) -> bool {
        if !matches!(self.body, Body::Cold) {
            return false;
        }
        // A generation that has yet to begin is all in memory; but it must not run away from the store.
        let behind = if self.inbox.begins_with_start() { limits::TURNS_AHEAD } else { 0 };
        self.turns_in_flight > behind || self.writes_ended < self.left_in_store
    }

    /// Whether what was loaded, when so many writes had ended, lacks messages that were left in the store since: the instance is called
    /// back, by one of the unread messages or by one that came meanwhile, and is to read them all.
    pub fn must_load_again(&mut self, unread: &[Message], durable: u64) -> bool {
        let is_called_back = self.reads_nothing() && unread.iter().any(|message| calls_back(&message.body));
        if is_called_back {
            // From here on nothing more is left there.
            self.status = RuntimeStatus::Running;
        }
        let lacks = self.writes_submitted > durable && (is_called_back || self.left_in_store > durable);
        if lacks {
            self.leave_in_store();
            self.pending = true;
        }
        lacks
    }

    pub fn writes_ended(&self) -> u64 {
        self.writes_ended
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

    /// Whether what it is may have yet to be written: it runs, or a write is under way.
    pub fn is_under_way(&self) -> bool {
        self.scheduled || self.writes_in_flight() > 0
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
        let idle = !self.scheduled && !self.has_work() && matches!(self.body, Body::Cold);
        self.writes_in_flight() == 0 && (idle || self.failed.is_some() || self.removed)
    }
}

#[cfg(test)]
mod tests {
    use fermata_replay::Payload;

    use super::super::share::Shares;
    use super::*;
    use crate::limits::HostLimits;

    fn event(bytes: usize) -> Message {
        let body = MessageBody::EventRaised { name: "go".into(), input: Payload::string(&"x".repeat(bytes)) };
        Message { seq: 1, at: Timestamp(0), body }
    }

    #[test]
    fn what_one_instance_holds_up_counts_for_all() {
        let limits = HostLimits { inbox_bytes: 5_000, orchestrator_inbox_bytes: 9_000, ..HostLimits::default() };
        let shares = Shares::new(limits);
        let (mut crowded, other) = (Inbox::new(shares.of("A")), Inbox::new(shares.of("A")));
        crowded.push(event(5_000));
        assert_eq!((crowded.full(), other.full()), (Some(Limit::Inbox), None), "an instance has a bound of its own");
        crowded.push(event(5_000));
        assert_eq!(other.full(), Some(Limit::OrchestratorInbox), "and its orchestrator has one");
        crowded.take();
        assert_eq!((crowded.full(), other.full()), (None, None));
        crowded.prepend(vec![event(9_000)]);
        assert_eq!(other.full(), Some(Limit::OrchestratorInbox), "what is left to a next generation counts as well");
        drop(crowded);
        assert_eq!(other.full(), None, "what is dropped is counted no more");
    }
}

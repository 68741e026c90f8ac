//! What is in memory of one instance: while it has messages, runs, waits for a commit, or keeps a resident guest. At any other time an
//! instance has no slot, and costs nothing.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use fermata_replay::{Message, RuntimeStatus};
use tokio::sync::oneshot;

use crate::engine::Guest;
use crate::store::{Instance, InstanceKey, Lease};

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
    /// Admitted and not yet applied. Complete from the oldest here on; older ones may be in the store.
    pub inbox: VecDeque<Message>,
    pub body: Body,
    /// In the run queue, or running.
    pub scheduled: bool,
    /// As of the last turn that was submitted, durable or not.
    pub status: RuntimeStatus,
    pub version: u64,
    pub parked: bool,
    /// Writes that were submitted and are not durable yet; turns among them.
    pub writes_in_flight: u32,
    pub turns_in_flight: u32,
    /// This slot has left the map: whoever finds it must look again.
    pub gone: bool,
    /// How often in a row the host gave up on a step.
    pub abandoned: u32,
    settled: Vec<oneshot::Sender<()>>,
}

pub enum Body {
    /// To be loaded from the store.
    Cold,
    Resident(Box<Guest>),
    /// A worker has it.
    Running,
}

impl Slot {
    /// The slot of a stored instance.
    pub fn of(instance: &Instance, lease: Lease) -> Slot {
        Slot {
            id: instance.id.as_str().into(),
            key: instance.key,
            lease,
            module: instance.module.clone(),
            execution: instance.execution.clone(),
            stamp: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                inbox: VecDeque::new(),
                body: Body::Cold,
                scheduled: false,
                status: instance.status,
                version: instance.version,
                parked: instance.parked.is_some(),
                writes_in_flight: 0,
                turns_in_flight: 0,
                gone: false,
                abandoned: 0,
                settled: Vec::new(),
            }),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Resolves when every write so far is durable or has failed.
    pub fn settled(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if self.writes_in_flight > 0 && !self.gone {
            self.settled.push(sender);
        } else {
            // Nobody listens where the receiver was dropped.
            let _ = sender.send(());
        }
        receiver
    }

    pub fn write_ended(&mut self) {
        self.writes_in_flight -= 1;
        if self.writes_in_flight == 0 {
            self.wake();
        }
    }

    /// Nothing is left that the store does not have.
    pub fn is_idle(&self) -> bool {
        !self.scheduled && self.writes_in_flight == 0 && self.inbox.is_empty() && matches!(self.body, Body::Cold)
    }

    /// Marks the slot as gone, and gives what is to be dropped once the lock is free.
    pub fn leave(&mut self) -> Body {
        self.gone = true;
        self.inbox.clear();
        self.wake();
        std::mem::replace(&mut self.body, Body::Cold)
    }

    fn wake(&mut self) {
        for waiter in self.settled.drain(..) {
            let _ = waiter.send(());
        }
    }
}

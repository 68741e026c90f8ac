//! Messages from one instance to another. They are durable with the turn that sends them, and leave the outbox in the very commit that
//! brings them to their receiver: each arrives once. Those for one receiver are delivered in the order in which they were sent.

mod queue;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fermata_replay::{
    Caller, ChildStart, Control, End, Failure, MessageBody, Outcome, OutgoingBody, Parent, RuntimeStatus, State, kind,
};

use super::admission::{Durable, Terms, closed};
use super::{Dispatcher, RaiseError, StartError, lock};
use crate::store::{Change, InstanceKey, Lease, Sent, StoreError, Write, partition_of};
use queue::Queue;

#[derive(Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    told: Mutex<Told>,
}

/// What was last said of instances that nobody could start: one that asks for thousands does not fill the log.
#[derive(Default)]
struct Told {
    at: Option<Instant>,
    untold: u64,
}

const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

impl Told {
    /// Whether to say something now, and of how many nothing was said.
    fn may_tell(&mut self) -> Option<u64> {
        if self.at.is_some_and(|at| at.elapsed() < BETWEEN_WARNINGS) {
            self.untold += 1;
            return None;
        }
        self.at = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

impl Dispatcher {
    /// Delivers messages whose turn is durable.
    pub(super) fn send(self: &Arc<Self>, sent: Vec<Sent>) {
        if sent.is_empty() {
            return;
        }
        self.with_queue(|queue| sent.into_iter().for_each(|sent| queue.add(sent)));
    }

    /// Does something with the queue, and has as many deliver as there is work for.
    fn with_queue(self: &Arc<Self>, work: impl FnOnce(&mut Queue)) {
        let more = {
            let mut queue = lock(&self.outbox.queue);
            work(&mut queue);
            queue.hire()
        };
        (0..more).for_each(|_| drop(self.runtime.spawn(self.clone().carry())));
    }

    /// Delivers to one receiver after the other, until nobody waits.
    async fn carry(self: Arc<Self>) {
        loop {
            let next = lock(&self.outbox.queue).next();
            let Some((receiver, batch)) = next else { return };
            let (left, failed) = self.deliver_all(batch).await;
            match failed {
                None => self.with_queue(|queue| queue.delivered(&receiver, left)),
                // What is left is for the next owner.
                Some(StoreError::Poisoned(_) | StoreError::Fenced(_)) => lock(&self.outbox.queue).forget(&receiver),
                Some(error) => {
                    let delay = lock(&self.outbox.queue).failed(&receiver, left);
                    tracing::warn!(instance = receiver, "messages are delivered again in {delay:?}: {error}");
                    let dispatcher = self.clone();
                    self.runtime.spawn(async move {
                        dispatcher.clock.pause(delay).await;
                        dispatcher.with_queue(|queue| queue.line_up_again(&receiver));
                    });
                }
            }
        }
    }

    /// Each message gets its place before the next, and all are waited for together. Gives back those that are not delivered, and why
    /// where that failed.
    async fn deliver_all(self: &Arc<Self>, batch: Vec<Sent>) -> (Vec<Sent>, Option<StoreError>) {
        let mut under_way = Vec::with_capacity(batch.len());
        let (mut arriving, mut failed) = (false, None);
        let mut batch = VecDeque::from(batch);
        while let Some(sent) = batch.pop_front() {
            match self.deliver_one(&sent).await {
                Ok(Some(durable)) => {
                    arriving = true;
                    under_way.push((sent, durable));
                }
                Ok(None) if !arriving => {
                    let discarded = self.discard(&sent);
                    under_way.push((sent, discarded));
                }
                // That nobody is there counts when all that was sent before has arrived: it may bring the receiver to life.
                Ok(None) => {
                    batch.push_front(sent);
                    break;
                }
                Err(error) => {
                    batch.push_front(sent);
                    failed = Some(error);
                    break;
                }
            }
        }
        let mut left = Vec::new();
        for (sent, durable) in under_way {
            match durable.await.unwrap_or_else(|_| Err(closed())) {
                // Nothing is left to be done where it was delivered before.
                Ok(()) | Err(StoreError::Delivered) => {}
                Err(error) => {
                    failed = Some(error);
                    left.push(sent);
                }
            }
        }
        left.extend(batch);
        (left, failed)
    }

    /// None where nobody can receive it.
    async fn deliver_one(self: &Arc<Self>, sent: &Sent) -> Result<Option<Durable>, StoreError> {
        let body = serde_json::from_str(&sent.body).map_err(|error| StoreError::Damaged(error.to_string()))?;
        match body {
            OutgoingBody::Message(body) => self.deliver_message(sent, &sent.to, &body).await,
            OutgoingBody::Start(child) => self.deliver_start(sent, child).await,
            OutgoingBody::Revive(child) => self.revive(sent, child).await,
        }
    }

    async fn deliver_message(
        self: &Arc<Self>,
        sent: &Sent,
        to: &str,
        body: &MessageBody,
    ) -> Result<Option<Durable>, StoreError> {
        match self.hand_in(to, body, &Terms { sent: Some(sent.seq), ..Terms::default() }).await {
            Ok(admitted) => Ok(Some(admitted.durable)),
            Err(RaiseError::NotFound(_) | RaiseError::Gone(_)) => Ok(None),
            Err(refused @ (RaiseError::Busy(_) | RaiseError::Reused(_))) => {
                Err(StoreError::Io(refused.to_string().into()))
            }
            Err(RaiseError::Store(error)) => Err(error),
        }
    }

    async fn deliver_start(self: &Arc<Self>, sent: &Sent, child: ChildStart) -> Result<Option<Durable>, StoreError> {
        let ChildStart { name, input, caller } = child;
        let parent = caller.clone().map(|caller| Parent { instance: sent.from_id.clone(), caller });
        let refused = match self.new_start(&name, input, parent) {
            None => self.unknown_orchestrator(&name),
            Some(start) => match self.create(&sent.to, &start, Some(sent.seq), None).await {
                Ok(durable) => return Ok(Some(durable)),
                Err(refused) => refused,
            },
        };
        let kind = match &refused {
            StartError::UnknownOrchestrator { .. } => kind::NOT_FOUND,
            StartError::Exists(_) | StartError::BadId(_) | StartError::NotFound(_) | StartError::Reused(_) => {
                kind::CONFLICT
            }
            StartError::Enough { .. } => kind::LIMIT,
            StartError::Busy => return Err(StoreError::Io(refused.to_string().into())),
            StartError::Store(error) => return Err(error.clone()),
        };
        let failure = Failure::new(kind, refused.to_string()).non_retryable();
        self.answer(sent, caller, Outcome::Failed(failure)).await
    }

    /// Tells the sender what became of the child that it asked for; where nobody waits for that, only the log is told.
    async fn answer(
        self: &Arc<Self>,
        sent: &Sent,
        caller: Option<Caller>,
        outcome: Outcome,
    ) -> Result<Option<Durable>, StoreError> {
        match caller {
            Some(caller) => self.deliver_message(sent, &sent.from_id, &caller.told(outcome)).await,
            None => {
                if let Outcome::Failed(failure) = outcome
                    && let Some(untold) = lock(&self.outbox.told).may_tell()
                {
                    let (from, to) = (&*sent.from_id, &*sent.to);
                    let others =
                        if untold == 0 { String::new() } else { format!("; nor were {untold} others before it") };
                    tracing::warn!(instance = from, "{to:?} was not started: {}{others}", failure.message);
                }
                Ok(Some(self.discard(sent)))
            }
        }
    }

    /// A child of a parent that was rewound: see [`OutgoingBody::Revive`].
    async fn revive(self: &Arc<Self>, sent: &Sent, child: ChildStart) -> Result<Option<Durable>, StoreError> {
        let Some(caller) = child.caller.clone() else { return Ok(None) };
        loop {
            let Some(view) = self.view(&sent.to, true).await? else { return self.deliver_start(sent, child).await };
            let history = view.history.as_ref().map_or(&[][..], |history| &history.steps);
            let state = State::of(history);
            let is_mine = |parent: &Parent| parent.caller.execution == caller.execution;
            if state.start().is_some_and(|start| !start.parent.as_ref().is_some_and(is_mine)) {
                return self.deliver_start(sent, child).await;
            }
            match (view.status, state.end().and_then(End::told)) {
                (RuntimeStatus::Failed, _) => {
                    let control = Control { by: Some(caller.execution.clone()), ..Control::default() };
                    let rewound = self.deliver_message(sent, &sent.to, &MessageBody::Rewound(control)).await?;
                    if rewound.is_some() {
                        return Ok(rewound);
                    }
                    // It was removed, or replaced and ended, since it was looked at: the parent is told what there is now.
                }
                (_, Some(outcome)) => return self.answer(sent, Some(caller), outcome).await,
                // It goes on, and tells when it ends.
                (_, None) => return Ok(None),
            }
        }
    }

    fn discard(&self, sent: &Sent) -> Durable {
        self.write_alone(&sent.from_id, sent.from, Change::Discard { sent: sent.seq })
    }

    /// A write that concerns nothing in memory.
    pub(super) fn write_alone(&self, id: &str, key: InstanceKey, change: Change) -> Durable {
        let lease: Lease = self.leases[partition_of(id) as usize];
        let (sender, durable) = tokio::sync::oneshot::channel();
        self.store.submit(Write { lease, key, change }, Box::new(move |outcome| drop(sender.send(outcome))));
        durable
    }
}

//! What an operator asks of an instance: each is a message like any other, durable before it is answered and visible in history; but for
//! a purge, which leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::{Control, MessageBody, RuntimeStatus};

use super::admission::closed;
use super::slot::{Body, Inner, Slot};
use super::{Dispatcher, StartError, Started};
use crate::store::{Change, Filter, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("there is no instance with the id {0:?}")]
    NotFound(String),
    /// It has ended, so that nothing can be asked of it any more.
    #[error("the instance {id:?} has ended: it is {}", .status.name())]
    Gone { id: String, status: RuntimeStatus },
    #[error("the instance {id:?} is {}{}: {needs}", .status.name(), if *.parked { ", and parked" } else { "" })]
    WrongState { id: String, status: RuntimeStatus, parked: bool, needs: &'static str },
    #[error("the host has more to do than it can hold: try again when it has caught up")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurgeError {
    #[error("there is no instance with the id {0:?}")]
    NotFound(String),
    #[error("the instance {id:?} has not ended: it is {}", .status.name())]
    NotEnded { id: String, status: RuntimeStatus },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long an instance that is busy is given to come to rest, before what is asked of it is judged by what is known.
const REST: Duration = Duration::from_millis(500);
const REST_PAUSE: Duration = Duration::from_millis(2);

impl Dispatcher {
    /// Ends an instance at once; its children, too, with `cascade`. Durable on return.
    pub async fn terminate(self: &Arc<Self>, id: &str, control: Control) -> Result<(), ControlError> {
        self.control(id, MessageBody::Terminated(control), |_| None).await
    }

    /// Has an instance read nothing until it is resumed. What it is sent is kept. Durable on return.
    pub async fn suspend(self: &Arc<Self>, id: &str, control: Control) -> Result<(), ControlError> {
        self.control(id, MessageBody::Suspended(control), |status| {
            (status == RuntimeStatus::Suspended).then_some("only one that runs can be suspended")
        })
        .await
    }

    /// Has a suspended instance go on. Durable on return.
    pub async fn resume(self: &Arc<Self>, id: &str, control: Control) -> Result<(), ControlError> {
        self.control(id, MessageBody::Resumed(control), |status| {
            (status != RuntimeStatus::Suspended).then_some("only a suspended one can be resumed")
        })
        .await
    }

    /// Has a failed instance go on before the step that failed it. Durable on return.
    pub async fn rewind(self: &Arc<Self>, id: &str, control: Control) -> Result<(), ControlError> {
        self.control(id, MessageBody::Rewound(control), |status| {
            (status != RuntimeStatus::Failed).then_some("only one that has failed can be rewound")
        })
        .await
    }

    /// `wrong`: what the instance would have to be, where it is not. Judged and admitted under one lock, so that of two who ask the same at
    /// once one is refused.
    async fn control(
        self: &Arc<Self>,
        id: &str,
        body: MessageBody,
        wrong: impl Fn(RuntimeStatus) -> Option<&'static str>,
    ) -> Result<(), ControlError> {
        loop {
            let slot = self.at_rest(id).await?.ok_or_else(|| ControlError::NotFound(id.to_owned()))?;
            let durable = {
                let mut inner = slot.lock();
                let (status, parked) = (inner.status_to_be(), inner.parked);
                let ended = status.is_final() && !inner.may_be_rewound(&body);
                if !inner.is_trusted() || ended && inner.is_under_way() {
                    // That it has ended may be said only once that is durable.
                    Err(None)
                } else if ended {
                    Err(Some(ControlError::Gone { id: id.to_owned(), status }))
                } else if let Some(needs) = wrong(status) {
                    Err(Some(ControlError::WrongState { id: id.to_owned(), status, parked, needs }))
                } else if let Some(limit) = inner.inbox.full().filter(|_| !body.is_urgent()) {
                    self.metrics().hit(limit);
                    Err(Some(ControlError::Busy))
                } else {
                    let message = self.message(body.clone())?;
                    let accept = |message| Change::Accept { message, sent: None, once: None };
                    Ok(self.admit(&slot, &mut inner, message, accept))
                }
            };
            match durable {
                Ok(durable) => {
                    durable.await.map_err(|_| closed())??;
                    break;
                }
                Err(Some(refused)) => {
                    self.forget_if_idle(&slot);
                    return Err(refused);
                }
                Err(None) => self.before_another_look(u32::MAX).await?,
            }
        }
        // Who looks at the status next should find what was asked for, unless the instance is busy.
        if let Some(slot) = self.at_rest(id).await? {
            self.forget_if_idle(&slot);
        }
        Ok(())
    }

    /// Has a parked instance try again, with the same module, or a stalled one now. Durable on return.
    pub async fn unpark(self: &Arc<Self>, id: &str) -> Result<(), ControlError> {
        let slot = self.at_rest(id).await?.ok_or_else(|| ControlError::NotFound(id.to_owned()))?;
        let durable = {
            let mut inner = slot.lock();
            if inner.stalled.is_some() {
                slot.retry.notify_one();
                return Ok(());
            }
            if !inner.parked || !inner.is_trusted() {
                let (status, needs) = (inner.status, "only one that is parked or stalled can be unparked");
                drop(inner);
                self.forget_if_idle(&slot);
                return Err(ControlError::WrongState { id: id.to_owned(), status, parked: false, needs });
            }
            self.unpark_slot(&slot, &mut inner)
        };
        Ok(durable.await.map_err(|_| closed())??)
    }

    /// Lets a parked instance read what it was sent.
    pub(super) fn unpark_slot(self: &Arc<Self>, slot: &Arc<Slot>, inner: &mut Inner) -> super::admission::Durable {
        let (sender, durable) = tokio::sync::oneshot::channel();
        inner.parked = false;
        inner.pending = true;
        let (dispatcher, key, id, due) = (self.clone(), slot.key, slot.id.clone(), inner.due);
        self.submit(slot, inner, Change::Park { reason: None }, move |outcome| {
            if let Some(due) = due {
                dispatcher.timers.note(due, key, &id);
            }
            let _ = sender.send(outcome);
        });
        inner.leave_in_store();
        durable
    }

    /// Starts an orchestrator anew with the input that an instance had: under a new id, or under the same one, where it has ended.
    pub async fn restart(self: &Arc<Self>, id: &str, new_id: bool) -> Result<Started, StartError> {
        let view = self.view(id, false).await?.ok_or_else(|| StartError::NotFound(id.to_owned()))?;
        let input = view.input.unwrap_or_else(fermata_replay::Payload::null);
        self.start(&view.name, Some(id).filter(|_| !new_id), input).await
    }

    /// Removes an instance that has ended, or with `force` any instance, with all it has. Durable on return.
    pub async fn purge(self: &Arc<Self>, id: &str, force: bool) -> Result<(), PurgeError> {
        loop {
            let slot = self.at_rest(id).await?.ok_or_else(|| PurgeError::NotFound(id.to_owned()))?;
            let removal = {
                let mut inner = slot.lock();
                if !inner.is_trusted() || inner.status.is_final() && inner.is_under_way() {
                    // Its last turn, with what it tells others, has yet to be durable: were that to fail, it would go on.
                    None
                } else if !inner.status.is_final() && !force {
                    let status = inner.status;
                    drop(inner);
                    self.forget_if_idle(&slot);
                    return Err(PurgeError::NotEnded { id: id.to_owned(), status });
                } else {
                    let (sender, removed) = tokio::sync::oneshot::channel();
                    self.submit(&slot, &mut inner, Change::Remove, move |outcome| drop(sender.send(outcome)));
                    inner.removed = true;
                    self.set_stalled(&mut inner, None);
                    let counted = std::mem::take(&mut inner.counts);
                    inner.inbox.take();
                    inner.pending = false;
                    Some((removed, counted, self.take_body(&slot, &mut inner, Body::Cold)))
                }
            };
            let Some((removed, counted, dropped)) = removal else {
                self.before_another_look(u32::MAX).await?;
                continue;
            };
            drop(dropped);
            match removed.await.map_err(|_| closed())? {
                // Only now: had it failed, somebody would still wait for what is under way.
                Ok(()) => {
                    slot.share.instance_changed(counted, false);
                    self.give_up(slot.key, None);
                    self.watchers.gone(slot.key);
                    return Ok(());
                }
                // Its start failed, and one that has ended may have the id still.
                Err(StoreError::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes all instances that the filter lets through and that have ended; returns how many.
    pub async fn purge_all(self: &Arc<Self>, mut filter: Filter) -> Result<u64, StoreError> {
        if filter.statuses.is_empty() {
            filter.statuses = RuntimeStatus::ALL.to_vec();
        }
        filter.statuses.retain(|status| status.is_final());
        if filter.statuses.is_empty() {
            // To the store that would be any status.
            return Ok(0);
        }
        filter.limit = 1_000;
        let mut removed = 0;
        loop {
            let page = self.store.list(filter.clone()).await?;
            for instance in &page.instances {
                match self.purge(&instance.id, false).await {
                    Ok(()) => removed += 1,
                    // It is gone, or was started anew.
                    Err(PurgeError::NotFound(_) | PurgeError::NotEnded { .. }) => {}
                    Err(PurgeError::Store(error)) => return Err(error),
                }
            }
            match page.next {
                Some(after) => filter.after = Some(after),
                None => return Ok(removed),
            }
        }
    }

    /// The slot of an instance, when it has done what it had to do; or after a while all the same. None where there is no such instance.
    pub(super) async fn at_rest(self: &Arc<Self>, id: &str) -> Result<Option<Arc<Slot>>, StoreError> {
        let mut over = self.clock.pause(REST);
        loop {
            let Some(slot) = self.slot(id).await? else { return Ok(None) };
            let settled = {
                let mut inner = slot.lock();
                let rests = !inner.is_under_way() && !inner.has_work();
                if rests && inner.is_trusted() {
                    drop(inner);
                    return Ok(Some(slot));
                }
                inner.settled()
            };
            let settles = async {
                let _ = settled.await;
                self.clock.pause(REST_PAUSE).await;
            };
            tokio::select! { biased; () = &mut over => return self.slot(id).await, () = settles => {} }
        }
    }
}

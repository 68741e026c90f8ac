//! A damaged page may hold what an instance waits for: work that was begun for it, or a message. That instance is parked, so that it does not
//! wait for ever without a word. Which one it is follows from the histories, which say what is open.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use fermata_replay::{Message, MessageBody, OpenKind, OpenTask, State, TaskId};

use super::Dispatcher;
use super::turn::decode;
use crate::store::{Harm, Instance, InstanceKey, StoreError, Undone};

/// What is there of what was left undone, for who looks whether something is missing.
struct Left<'a> {
    harm: &'a Harm,
    activities: HashSet<(InstanceKey, TaskId)>,
    /// Messages: from an instance, to one of this id.
    sent: HashSet<(InstanceKey, &'a str)>,
}

impl Dispatcher {
    /// Parks the instances whose work or messages were lost. Nothing runs as yet.
    pub(super) async fn quarantine(self: &Arc<Self>, undone: &Undone) -> Result<(), StoreError> {
        let Some(harm) = &undone.harm else { return Ok(()) };
        tracing::error!(
            activities = harm.activities,
            messages = harm.outbox,
            "some of what was left undone lies on damaged pages of the database: instances that miss something are parked; \
             messages that nobody waits for may be lost"
        );
        let left = Left {
            harm,
            activities: undone.activities.iter().map(|activity| (activity.key, activity.task)).collect(),
            sent: undone.outbox.iter().map(|sent| (sent.from, &*sent.to)).collect(),
        };
        for key in harm.unended.iter().filter(|_| harm.activities || harm.outbox) {
            match self.what_is_lost(*key, &left).await {
                Ok(Some((id, reason))) => self.park_by_id(&id, reason).await?,
                // One that can not be read itself is parked when it has something to do.
                Ok(None) | Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // Behind the writes that park them.
        unless_it_stays(self.store.mend().await)
    }

    /// The id of an instance that waits for what is not there, and what that is.
    async fn what_is_lost(&self, key: InstanceKey, left: &Left<'_>) -> Result<Option<(String, String)>, StoreError> {
        let Some(loaded) = self.store.load(key).await? else { return Ok(None) };
        let instance = loaded.instance.clone();
        let Ok((history, messages)) = decode(loaded) else { return Ok(None) };
        let Ok(state) = State::checked(&history) else { return Ok(None) };
        for open in state.open_tasks() {
            if !has_ended(open.task, &messages)
                && let Some(what) = self.is_lost(&open, &instance, left).await?
            {
                let reason =
                    format!("{what} is lost, by a damaged page of the database: restore a backup, or terminate it");
                return Ok(Some((instance.id, reason)));
            }
        }
        Ok(None)
    }

    /// What an open task waits for in vain.
    async fn is_lost(&self, open: &OpenTask, waits: &Instance, left: &Left<'_>) -> Result<Option<String>, StoreError> {
        let OpenTask { task, kind, .. } = open;
        match kind {
            OpenKind::Activity { name, retry: None, .. } if left.harm.activities => {
                let is_there = left.activities.contains(&(waits.key, *task));
                Ok((!is_there).then(|| format!("what there was to do of its activity {task}, {name:?},")))
            }
            OpenKind::Child { name, instance, retry: None, .. } if left.harm.outbox => {
                let is_asked = left.sent.contains(&(waits.key, instance));
                let is_heard_of = match self.store.find(instance).await? {
                    None => false,
                    Some(child) => !child.status.is_final() || left.sent.contains(&(child.key, &*waits.id)),
                };
                let what = || format!("a message between it and its sub-orchestration {task}, {name:?} {instance:?},");
                Ok((!is_asked && !is_heard_of).then(what))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn park_by_id(self: &Arc<Self>, id: &str, reason: String) -> Result<(), StoreError> {
        let Some(slot) = self.slot(id).await? else { return Ok(()) };
        let is_idle = {
            let inner = slot.lock();
            !inner.parked && !inner.scheduled && inner.is_trusted()
        };
        if is_idle {
            self.park(&slot, reason);
        }
        self.forget_if_idle(&slot);
        Ok(())
    }
}

/// That damage could not be mended keeps no host from starting.
pub(super) fn unless_it_stays(mended: Result<(), StoreError>) -> Result<(), StoreError> {
    match mended {
        Err(error @ (StoreError::Damaged(_) | StoreError::Full)) => {
            tracing::warn!("what is damaged stays beside what is not, and may harm it: {error}");
            Ok(())
        }
        mended => mended,
    }
}

/// Why an instance is parked of which something can not be read, or written.
pub(super) fn damage(what: impl Display) -> String {
    format!("what is stored of it is damaged: {what}; `fermata backup --rescue` makes data without it")
}

/// Whether the outcome of a task is among these.
fn has_ended(task: TaskId, messages: &[Message]) -> bool {
    messages.iter().any(|message| match &message.body {
        MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => ended.task == task,
        _ => false,
    })
}

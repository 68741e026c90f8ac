//! What has ended is kept for so long, or so many of it; then it goes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fermata_replay::{Span, Timestamp};

use super::{Dispatcher, PurgeError};
use crate::store::StoreError;

/// How long instances that have ended are kept. By default for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// One that ended longer ago goes.
    pub age: Option<Span>,
    /// Of more than so many, those go that ended first.
    pub count: Option<u64>,
}

/// How many are looked at in one go.
const BATCH: usize = 500;
/// How long it may take until something that is kept too long is noticed.
const PAUSE: Duration = Duration::from_secs(10);

impl Dispatcher {
    pub(super) async fn remove_what_has_ended(dispatcher: Weak<Dispatcher>) {
        loop {
            let Some(dispatcher) = dispatcher.upgrade() else { return };
            if dispatcher.retention == Retention::default() {
                return;
            }
            match dispatcher.sweep().await {
                // There may be more.
                Ok(BATCH..) => continue,
                Ok(_) => {}
                Err(StoreError::Poisoned(_)) => return,
                Err(error) => tracing::warn!("what has ended can not be removed: {error}"),
            }
            let pause = dispatcher.clock.pause(PAUSE);
            drop(dispatcher);
            pause.await;
        }
    }

    /// Removes a batch of what is kept too long; returns how many.
    pub async fn sweep(self: &Arc<Self>) -> Result<usize, StoreError> {
        let Retention { age, count } = &self.retention;
        let mut surplus = match count {
            Some(count) => self.store.count_ended().await?.saturating_sub(*count),
            None => 0,
        };
        let too_old = age.map(|age| Timestamp(self.clock.now().0.saturating_sub_unsigned(age.0)));
        let mut removed = 0;
        for ended in self.store.readable_ended(BATCH).await? {
            if surplus == 0 && too_old.is_none_or(|limit| ended.ended > limit) {
                break;
            }
            surplus = surplus.saturating_sub(1);
            match self.purge(&ended.id, false).await {
                Ok(()) => removed += 1,
                Err(PurgeError::NotFound(_) | PurgeError::NotEnded { .. }) => {}
                Err(PurgeError::Store(damaged @ StoreError::Damaged(_))) => {
                    tracing::warn!(instance = ended.id, "what has ended can not be removed: {damaged}");
                }
                Err(PurgeError::Store(error)) => return Err(error),
            }
        }
        Ok(removed)
    }
}

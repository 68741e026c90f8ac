//! How much there is of everything: for who watches the host, and for limits on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fermata_replay::RuntimeStatus;

use super::slot::Inner;
use super::{Dispatcher, lock};
use crate::metrics::{Gauges, Metrics};
use crate::store::{Filter, InstanceKey, StoreError, partition_of};

impl Dispatcher {
    /// How many instances are in memory: those that have something to do, and those whose guest is resident.
    pub fn in_memory(&self) -> usize {
        self.partitions.iter().map(|partition| lock(partition).slots.len()).sum()
    }

    /// How many guests are resident.
    pub fn resident(&self) -> usize {
        self.residents.count()
    }

    /// Counts the instances that have not ended, where they are limited.
    pub(super) async fn count_instances(&self) -> Result<(), StoreError> {
        if self.limits.orchestrator_instances == 0 {
            return Ok(());
        }
        let statuses = RuntimeStatus::ALL.into_iter().filter(|status| !status.is_final()).collect();
        let mut filter = Filter { statuses, limit: 10_000, ..Filter::default() };
        loop {
            let page = match self.store.list(filter.clone()).await {
                Err(StoreError::Damaged(what)) => {
                    tracing::warn!("not all instances are counted, there may be more than the limit of them: {what}");
                    return Ok(());
                }
                page => page?,
            };
            page.instances.iter().for_each(|instance| self.shares.of(&instance.name).instance_began());
            filter.after = match page.next {
                Some(after) => Some(after),
                None => return Ok(()),
            };
        }
    }

    /// What is counted of all that the host does.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.engine.metrics()
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics_text(&self) -> String {
        self.metrics().text(Gauges {
            instances_in_memory: self.in_memory() as i64,
            resident_guests: self.resident() as i64,
            interrupted_guests: self.queue.kept() as i64,
            run_queue: self.queue.len() as i64,
            stalled_instances: self.stalled.load(Ordering::Relaxed),
            backlog_bytes: self.shares.backlog() as i64,
            memory_bytes: self.engine.process_memory() as i64,
        })
    }

    /// Why the instance of this key is tried rarely, where a step of it was given up again and again.
    pub fn stalled(&self, id: &str, key: InstanceKey) -> Option<Arc<str>> {
        if self.stalled.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let slot = self.partition(partition_of(id)).slots.get(id).filter(|slot| slot.key == key).cloned()?;
        slot.lock().stalled.clone()
    }

    /// Notes whether an instance is stalled.
    pub(super) fn set_stalled(&self, inner: &mut Inner, reason: Option<Arc<str>>) {
        let change = i64::from(reason.is_some()) - i64::from(inner.stalled.is_some());
        if change != 0 {
            self.stalled.fetch_add(change, Ordering::Relaxed);
        }
        inner.stalled = reason;
    }
}

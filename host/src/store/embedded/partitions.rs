//! Who owns what, and which numbers are taken.

use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::health::Failure;
use super::writer::Writer;
use crate::store::{Lease, StoreError};

pub(super) fn acquire(db: &Connection, owner: &str) -> Result<Vec<Lease>, Failure> {
    let leases = db
        .prepare_cached(
            "UPDATE partition SET owner = ?1, epoch = epoch + 1 WHERE owner IS NULL OR owner = ?1 RETURNING p, epoch",
        )?
        .query_map([owner], |row| Ok(Lease { partition: row.get(0)?, epoch: row.get::<_, i64>(1)? as u64 }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(leases)
}

/// A lease that is no longer good is none to give back.
pub(super) fn release(db: &Connection, leases: &[Lease]) -> Result<(), Failure> {
    for lease in leases {
        db.prepare_cached("UPDATE partition SET owner = NULL, epoch = epoch + 1 WHERE p = ? AND epoch = ?")?
            .execute(params![lease.partition, lease.epoch as i64])?;
    }
    Ok(())
}

/// Numbers are reserved in the file a block at a time, and handed out from memory. A restart skips the rest of a block.
pub(super) struct Numbers {
    block: Mutex<Block>,
}

#[derive(Clone, Copy)]
struct Block {
    next: u64,
    end: u64,
}

const BLOCK: u64 = 1 << 16;

impl Numbers {
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let next =
            db.query_row("SELECT value FROM meta WHERE key = 'reserved'", [], |row| row.get::<_, i64>(0))? as u64;
        Ok(Numbers { block: Mutex::new(Block { next, end: next }) })
    }

    /// From memory; none where the block is used up.
    pub(super) fn take(&self, count: u64) -> Option<u64> {
        self.with(|block| {
            let first = block.next;
            block.next = first.checked_add(count).filter(|next| *next <= block.end)?;
            Some(first)
        })
    }

    /// Makes the block long enough first. Only the writer calls this, so nobody else moves the end meanwhile.
    pub(super) fn extend_and_take(&self, writer: &Writer, count: u64) -> Result<u64, StoreError> {
        if let Some(first) = self.take(count) {
            return Ok(first);
        }
        let end = self
            .with(|block| block.end)
            .checked_add(count.max(BLOCK))
            .filter(|end| i64::try_from(*end).is_ok())
            .ok_or_else(|| StoreError::Io("the numbers are used up".into()))?;
        writer.transaction(|db| {
            db.prepare_cached("UPDATE meta SET value = ? WHERE key = 'reserved'")?.execute([end as i64])?;
            Ok(())
        })?;
        self.with(|block| block.end = end);
        self.take(count).ok_or_else(|| StoreError::Io("the numbers are used up".into()))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Block) -> T) -> T {
        work(&mut self.block.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

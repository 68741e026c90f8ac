//! An instance's history: rows linked from the newest to the first, each a JSON array of steps.
//!
//! Appending touches only the right edge of the table. So that a long history still loads in a few reads, an append to a chain
//! of [`MERGE_FROM`] rows takes in the newest rows, and older ones as long as they are at most twice what was gathered, and the
//! whole is at most [`MERGED_BYTES`]: what stays at least doubles from row to row, or is as large as a row gets that way, a byte is rewritten
//! a logarithmic number of times, and no append holds up others. The root is never merged.

use rusqlite::{Connection, OptionalExtension, params};

use super::health::{Failure, read_error};
use crate::store::{InstanceKey, StoreError};

pub(super) const MERGE_FROM: i64 = 16;
pub(super) const MERGED_BYTES: usize = 128 << 10;

/// Where the chain of an instance begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) rows: i64,
}

impl Chain {
    /// Appends steps as a row. `alone`: without taking in older ones.
    pub(super) fn append(
        &mut self,
        db: &Connection,
        key: InstanceKey,
        steps: &str,
        alone: bool,
    ) -> Result<(), Failure> {
        let merged = if alone || self.rows < MERGE_FROM { None } else { self.take_newest(db, key, steps)? };
        db.prepare_cached("INSERT INTO history (key, prev, body) VALUES (?, ?, ?)")?.execute(params![
            key as i64,
            self.last,
            merged.as_deref().unwrap_or(steps)
        ])?;
        let row = db.last_insert_rowid();
        self.first.get_or_insert(row);
        self.last = Some(row);
        self.rows += 1;
        Ok(())
    }

    /// Removes the newest rows that go into one with `steps`, and returns the joined array; none if no row does.
    fn take_newest(&mut self, db: &Connection, key: InstanceKey, steps: &str) -> Result<Option<String>, Failure> {
        let Some(inner) = elements(steps) else { return Ok(None) };
        let mut size = inner.len();
        let mut older = Vec::new();
        while let Some(row) = self.last
            && self.last != self.first
        {
            let (prev, length): (Option<i64>, usize) = db
                .prepare_cached("SELECT prev, octet_length(body) FROM history WHERE row = ? AND key = ?")?
                .query_row([row, key as i64], |found| Ok((found.get(0)?, found.get::<_, i64>(1)? as usize)))
                .optional()?
                .ok_or_else(|| missing(row))?;
            if length > 2 * size || size + length > MERGED_BYTES {
                break;
            }
            let body: String =
                db.prepare_cached("SELECT body FROM history WHERE row = ?")?.query_row([row], |found| found.get(0))?;
            if elements(&body).is_none() {
                break;
            }
            db.prepare_cached("DELETE FROM history WHERE row = ?")?.execute([row])?;
            size += length;
            older.push(body);
            self.last = prev;
            self.rows -= 1;
        }
        if older.is_empty() {
            return Ok(None);
        }
        let parts: Vec<&str> = older
            .iter()
            .rev()
            .filter_map(|body| elements(body))
            .chain([inner])
            .filter(|part| !part.is_empty())
            .collect();
        Ok(Some(format!("[{}]", parts.join(","))))
    }

    /// Removes all rows. Where some were lost, their numbers may be those of others by now.
    pub(super) fn remove(self, db: &Connection, key: InstanceKey) -> Result<(), Failure> {
        let mut next = self.last;
        while let Some(row) = next {
            next = db
                .prepare_cached("DELETE FROM history WHERE row = ? AND key = ? RETURNING prev")?
                .query_row([row, key as i64], |found| found.get(0))
                .optional()?
                .ok_or_else(|| missing(row))?;
        }
        Ok(())
    }

    /// The bodies of all rows, in order.
    pub(super) fn read(self, db: &Connection, key: InstanceKey) -> Result<Vec<String>, StoreError> {
        let mut bodies = Vec::with_capacity(self.rows as usize);
        let mut next = self.last;
        while let Some(row) = next {
            let (prev, body) = read_row(db, key, row)?;
            bodies.push(body);
            if bodies.len() as i64 > self.rows {
                break;
            }
            next = prev;
        }
        if bodies.len() as i64 != self.rows {
            return Err(StoreError::Damaged(format!(
                "history of instance {key} has not the {} rows it should have",
                self.rows
            )));
        }
        bodies.reverse();
        Ok(bodies)
    }

    pub(super) fn first(self, db: &Connection, key: InstanceKey) -> Result<Option<String>, StoreError> {
        self.first.map(|row| Ok(read_row(db, key, row)?.1)).transpose()
    }

    /// None where it is the first.
    pub(super) fn last(self, db: &Connection, key: InstanceKey) -> Result<Option<String>, StoreError> {
        let last = self.last.filter(|last| self.first != Some(*last));
        last.map(|row| Ok(read_row(db, key, row)?.1)).transpose()
    }
}

fn read_row(db: &Connection, key: InstanceKey, row: i64) -> Result<(Option<i64>, String), StoreError> {
    db.prepare_cached("SELECT prev, body FROM history WHERE row = ? AND key = ?")
        .and_then(|mut query| query.query_row([row, key as i64], |found| Ok((found.get(0)?, found.get(1)?))).optional())
        .map_err(read_error)?
        .ok_or_else(|| missing(row))
}

fn missing(row: i64) -> StoreError {
    StoreError::Damaged(format!("row {row} of the history is missing"))
}

/// What stands between the brackets of a JSON array; none where there are none.
fn elements(array: &str) -> Option<&str> {
    array.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

//! Requests that took effect, remembered so that they take effect once.
//!
//! How many there are is kept in `meta`: to count a million rows takes time. Whatever adds rows removes some that have expired.

use fermata_replay::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::health::{Failure, read_error};
use crate::limits;
use crate::store::{Once, Remembered, StoreError, StoredMessage};

/// For each row that is added so many that have expired go: more than are added, so that they do not pile up.
const REMOVED_FOR_ONE: i64 = 2;

/// What a batch does to the table.
#[derive(Default)]
pub(super) struct Requests {
    added: i64,
    /// The latest time at which a row was added.
    now: Option<Timestamp>,
}

impl Requests {
    pub(super) fn remember(
        &mut self,
        db: &Connection,
        id: &str,
        once: &Once,
        message: &StoredMessage,
    ) -> Result<(), Failure> {
        let mut query = db.prepare_cached("SELECT until FROM request WHERE id = ? AND key = ?")?;
        match query.query_row([id, &once.key], |row| row.get::<_, i64>(0)).optional()? {
            Some(until) if until > message.at.0 => return Err(StoreError::Repeated.into()),
            Some(_) => {}
            None => {
                self.added += 1;
                self.now = self.now.max(Some(message.at));
            }
        }
        db.prepare_cached("INSERT OR REPLACE INTO request (id, key, request, seq, until) VALUES (?, ?, ?, ?, ?)")?
            .execute(params![id, once.key, once.request, message.seq as i64, once.until.0])?;
        Ok(())
    }

    /// Removes some of what has expired; and of too many, those that expire first.
    pub(super) fn make_room(&self, db: &Connection) -> Result<(), Failure> {
        let Some(now) = self.now else { return Ok(()) };
        let count = "SELECT value FROM meta WHERE key = 'requests'";
        let mut count = db.prepare_cached(count)?.query_row([], |row| row.get::<_, i64>(0))? + self.added;
        count -= remove(db, now.0, REMOVED_FOR_ONE * self.added)?;
        let surplus = count - limits::REMEMBERED_REQUESTS as i64;
        if surplus > 0 {
            count -= remove(db, i64::MAX, surplus)?;
        }
        db.prepare_cached("UPDATE meta SET value = ? WHERE key = 'requests'")?.execute([count])?;
        Ok(())
    }
}

pub(super) const REMOVE: &str = "DELETE FROM request WHERE (id, key) IN
    (SELECT id, key FROM request WHERE until <= ? ORDER BY until LIMIT ?)";

/// Removes those that expire first, by `until` at the latest; gives how many.
fn remove(db: &Connection, until: i64, most: i64) -> Result<i64, Failure> {
    Ok(db.prepare_cached(REMOVE)?.execute([until, most])? as i64)
}

pub(super) fn find(db: &Connection, id: &str, key: &str) -> Result<Option<Remembered>, StoreError> {
    db.prepare_cached("SELECT request, seq, until FROM request WHERE id = ? AND key = ?")
        .and_then(|mut query| {
            let found = query.query_row([id, key], |row| {
                let seq = row.get::<_, i64>(1)? as u64;
                Ok(Remembered { request: row.get(0)?, seq, until: Timestamp(row.get(2)?) })
            });
            found.optional()
        })
        .map_err(read_error)
}

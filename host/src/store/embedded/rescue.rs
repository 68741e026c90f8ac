//! A new database with all that a damaged one still has: the rows of each table, those between two damaged pages included, and indexes made anew
//! of them. What is not whole any more goes: an instance is there with its history and all that it has not read, or it is not.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Params, Row, params};

use super::format;
use super::open::through_checksums;
use super::reader::Readers;
use super::salvage::not_written;
use crate::store::StoreError;

/// Tables, each with a whole number by which its rows can be read one after another.
const TABLES: [(&str, &str); 7] = [
    ("instance", "key"),
    ("history", "row"),
    ("inbox", "seq"),
    ("outbox", "seq"),
    ("activity", "key"),
    ("module", "rowid"),
    ("request", "until"),
];

/// Something that a rescued database has not.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// The instance that is not there any more; none where it is something else, or where its id is lost as well.
    pub id: Option<String>,
    pub what: String,
}

/// A database that is made out of what another still has.
pub struct Rescue {
    db: Connection,
    file: PathBuf,
    missing: Vec<Missing>,
}

impl Rescue {
    /// Reads what is left, and leaves out each instance that has lost its row, or some of its history or of its inbox. Who has lost an activity is known to
    /// histories alone: see [`Rescue::leave_out`].
    pub(super) fn begin(from: &Readers, file: &Path) -> Result<Rescue, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let db = through_checksums(file, flags).map_err(not_written)?;
        // Nobody looks at it before it is whole and synced.
        let prepare = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
                       CREATE TEMP TABLE lost (key INTEGER PRIMARY KEY, id TEXT, what TEXT NOT NULL);";
        db.execute_batch(prepare).and_then(|()| format::bring_up(&db, None)).map_err(not_written)?;
        let mut rescue = Rescue { db, file: file.to_owned(), missing: Vec::new() };
        rescue.change("BEGIN", [])?;
        let inbox_is_whole = rescue.copy(from)?;
        rescue.note_rows(from)?;
        rescue.note_messages(from, inbox_is_whole)?;
        rescue.note_histories()?;
        rescue.note_modules(from)?;
        rescue.leave_out_what_is_lost()?;
        rescue.change("COMMIT", [])?;
        Ok(rescue)
    }

    /// Leaves out these instances, for these reasons.
    pub fn leave_out<'a>(&mut self, unsound: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), StoreError> {
        let note = "INSERT OR IGNORE INTO lost SELECT key, id, ? FROM instance WHERE id = ?";
        for (id, why) in unsound {
            self.change(note, [why, id])?;
        }
        self.leave_out_what_is_lost()
    }

    /// The file is durable on return, but for its name.
    pub fn finish(self) -> Result<Vec<Missing>, StoreError> {
        self.db.close().map_err(|(_, error)| not_written(error))?;
        File::open(&self.file)
            .and_then(|file| file.sync_all())
            .map_err(|error| StoreError::Io(error.to_string().into()))?;
        Ok(self.missing)
    }

    /// Whether all unread messages are there.
    fn copy(&mut self, from: &Readers) -> Result<bool, StoreError> {
        // On one page, which a host that could start has read.
        let pair = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Value>(1)?));
        for (key, value) in from.salvage(&["key"], "key, value FROM meta", pair)?.rows {
            self.change("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", params![key, value])?;
        }
        let mut inbox_is_whole = true;
        for (table, by) in TABLES {
            let is_whole = from.copy_around_damage(&self.db, table, by)?;
            match table {
                "inbox" => inbox_is_whole = is_whole,
                "outbox" if !is_whole => self.misses("messages from instances to others, which had not arrived"),
                "request" if !is_whole => self.misses("idempotency keys: what is sent again with one is done again"),
                _ => {}
            }
        }
        Ok(inbox_is_whole)
    }

    /// What the index of ids, or rows of other tables, tell of and is not there.
    fn note_rows(&self, from: &Readers) -> Result<(), StoreError> {
        let ids = "id, key FROM instance INDEXED BY sqlite_autoindex_instance_1";
        let ids = from.salvage(&["id"], ids, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let note = "INSERT INTO lost SELECT ?1, ?2, 'its row' WHERE ?1 NOT IN (SELECT key FROM instance)";
        for (id, key) in ids.rows {
            self.change(note, params![key, id])?;
        }
        self.change(
            "INSERT OR IGNORE INTO lost SELECT key, NULL, 'an instance: its row, and its id with it'
             FROM (SELECT key FROM history UNION SELECT key FROM inbox UNION SELECT key FROM activity)
             WHERE key NOT IN (SELECT key FROM instance)",
            [],
        )
    }

    fn note_messages(&mut self, from: &Readers, are_whole: bool) -> Result<(), StoreError> {
        let messages = from.indexed_messages()?;
        let note = "INSERT OR IGNORE INTO lost SELECT key, id, 'a message that it had not read' FROM instance
                    WHERE key = ?1 AND ?2 NOT IN (SELECT seq FROM inbox)";
        for (message, ()) in messages.rows {
            self.change(note, message)?;
        }
        if !are_whole && !messages.is_whole {
            self.misses("unread messages, of instances that nothing tells");
        }
        Ok(())
    }

    fn note_histories(&self) -> Result<(), StoreError> {
        self.change(
            "INSERT OR IGNORE INTO lost SELECT key, id, (rows - coalesce(found, 0)) || ' of ' || rows || ' rows of its history'
             FROM instance LEFT JOIN (SELECT key AS owner, count(*) AS found FROM history GROUP BY key) ON owner = key
             WHERE coalesce(found, 0) <> rows",
            [],
        )
    }

    fn note_modules(&mut self, from: &Readers) -> Result<(), StoreError> {
        let modules = "digest FROM module INDEXED BY sqlite_autoindex_module_1";
        let modules = from.salvage(&["digest"], modules, |row| Ok((row.get::<_, String>(0)?, ())))?;
        for (digest, ()) in modules.rows {
            let query = self.db.prepare_cached("SELECT 1 FROM module WHERE digest = ?");
            if !query.and_then(|mut query| query.exists([&digest])).map_err(not_written)? {
                self.misses(&format!("module {digest}: deploy it again, for the instances that it runs"));
            }
        }
        Ok(())
    }

    fn leave_out_what_is_lost(&mut self) -> Result<(), StoreError> {
        let lost = self.db.prepare("SELECT id, what FROM lost ORDER BY key").and_then(|mut query| {
            query
                .query_map([], |row| Ok(Missing { id: row.get(0)?, what: row.get(1)? }))?
                .collect::<Result<Vec<_>, _>>()
        });
        self.missing.extend(lost.map_err(not_written)?);
        for table in ["instance", "history", "inbox", "activity"] {
            self.change(&format!("DELETE FROM {table} WHERE key IN (SELECT key FROM lost)"), [])?;
        }
        self.change("DELETE FROM request WHERE id IN (SELECT id FROM lost)", [])?;
        self.change("UPDATE meta SET value = (SELECT count(*) FROM request) WHERE key = 'requests'", [])?;
        self.change("DELETE FROM lost", [])
    }

    fn misses(&mut self, what: &str) {
        self.missing.push(Missing { id: None, what: what.to_owned() });
    }

    fn change(&self, statement: &str, values: impl Params) -> Result<(), StoreError> {
        self.db
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute(values))
            .map(drop)
            .map_err(not_written)
    }
}

//! What is in the file: its tables, and how an older file gets the tables of today.

use rusqlite::{Connection, OptionalExtension, params};

use super::health::{Reach, reach};
use super::pages;
use crate::store::PARTITIONS;

/// Raised when older hosts could not understand the file any more.
pub(super) const FORMAT: u32 = 4;

/// None where there is no schema as yet.
pub(super) fn read(db: &Connection) -> rusqlite::Result<Option<u32>> {
    let there = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'")?.exists([])?;
    if !there {
        return Ok(None);
    }
    db.query_row("SELECT value FROM meta WHERE key = 'format_version'", [], |row| row.get(0)).optional()
}

/// What makes a file of each format, from 1, one of the next. It drops all views that there are: they are made anew.
const STEPS: [&str; FORMAT as usize - 1] =
    [include_str!("from_1.sql"), include_str!("from_2.sql"), include_str!("from_3.sql")];

/// Makes a file in which this format was found one of the format of today.
pub(super) fn bring_up(db: &Connection, found: Option<u32>) -> rusqlite::Result<()> {
    write_anew(db)?;
    match found {
        None => create(db),
        Some(found) => {
            let missing = STEPS.get((found as usize).saturating_sub(1)..).unwrap_or_default();
            if missing.is_empty() { Ok(()) } else { take_steps(db, missing) }
        }
    }
}

fn create(db: &Connection) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.execute_batch(include_str!("views.sql"))?;
    let meta = "INSERT INTO meta (key, value) VALUES ('format_version', ?), ('reserved', 1), ('requests', 0)";
    transaction.execute(meta, [FORMAT])?;
    for partition in 0..PARTITIONS {
        transaction.execute("INSERT INTO partition (p, owner, epoch) VALUES (?, NULL, 0)", params![partition])?;
    }
    transaction.commit()
}

fn take_steps(db: &Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    steps.iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.execute_batch(include_str!("views.sql"))?;
    transaction.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", [FORMAT])?;
    transaction.commit()
}

/// From then on pages have checksums, see `pages`, and free ones can be cut off, see `space`. A file that has pages already takes as much room
/// again meanwhile. Where there is none, one with checksums stays as it is until another start.
fn write_anew(db: &Connection) -> rusqlite::Result<()> {
    const INCREMENTAL: i64 = 2;
    let can_shrink = db.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0))? == INCREMENTAL;
    let is_checked = pages::are_checked(db)?;
    if can_shrink && is_checked {
        return Ok(());
    }
    pages::ask_for_checksums(db)?;
    match db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;") {
        Err(error) if is_checked && reach(&error) == Reach::Full => {
            tracing::warn!("there is no room to write the file anew: it will not shrink when data is removed");
            Ok(())
        }
        done => done,
    }
}

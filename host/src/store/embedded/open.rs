//! Opening the file: its settings, and what a crash may have left.

use std::fs::File;
use std::io;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::format::{self, FORMAT};
use super::health::read_error;
use super::pages;
use crate::store::StoreError;

/// Creates the directory so that it is still there after a power cut.
pub fn directory(dir: &Path) -> Result<(), StoreError> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.is_dir();
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    std::fs::create_dir_all(dir).map_err(io_error)?;
    let durable = |made: &Path| sync(made.canonicalize()?.parent().unwrap_or(made));
    missing.into_iter().rev().try_for_each(durable).map_err(io_error)
}

/// The writer's connection, to a file that has the right format, is durable as a whole, and has no owners.
pub(super) fn database(file: &Path) -> Result<Connection, StoreError> {
    let new = !file.exists();
    let db = connect(file).map_err(read_error)?;
    let found = format::read(&db).map_err(read_error)?;
    if let Some(found) = found.filter(|found| *found > FORMAT) {
        return Err(StoreError::NewerFormat { path: file.to_owned(), found, supported: FORMAT });
    }
    if found == Some(FORMAT) {
        check_that_pages_are_checked(&db, file)?;
    }
    format::bring_up(&db, found).map_err(read_error)?;
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(read_error)?;
    if mode != "wal" {
        return Err(StoreError::Io("this file system can not hold a write-ahead log: it shares no memory".into()));
    }
    let is_whole = settle(&db).map_err(read_error)?;
    if !is_whole && found.is_some_and(|found| found < FORMAT) {
        // What writes pages without checksums must be done with.
        return Err(StoreError::Io(
            "another program reads the database, which is to get a new format: end it first".into(),
        ));
    }
    if new {
        sync(file.parent().unwrap_or(file)).map_err(io_error)?;
    }
    Ok(db)
}

/// A connection that writes.
pub(super) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let db = through_checksums(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    prepare_once(&db)?;
    // A commit returns when its part of the log is on disk. Checkpoints are made by hand, see `checkpoint`.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536;",
    )?;
    Ok(db)
}

/// A connection that only reads. Not memory-mapped: a disk that fails under a map kills the process, under a read it is an error.
pub(super) fn connect_reader(file: &Path) -> Result<Connection, StoreError> {
    let db = connect_reader_of_any(file).map_err(read_error)?;
    check_that_pages_are_checked(&db, file)?;
    Ok(db)
}

fn check_that_pages_are_checked(db: &Connection, file: &Path) -> Result<(), StoreError> {
    match pages::are_checked(db).map_err(read_error)? {
        true => Ok(()),
        false => Err(StoreError::Damaged(format!("{} does not say that its pages have checksums", file.display()))),
    }
}

/// The same, to a file of any format.
pub(super) fn connect_reader_of_any(file: &Path) -> rusqlite::Result<Connection> {
    let db = through_checksums(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare_once(&db)?;
    db.execute_batch("PRAGMA cache_size = -8192;")?;
    Ok(db)
}

pub(super) fn through_checksums(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags_and_vfs(file, flags, pages::vfs()?)
}

/// Statements are prepared once, and never for the values they are bound to: beside a partial index SQLite would do that for each new value, which takes
/// longer than the look-up (SQLITE_DBCONFIG_ENABLE_QPSG).
fn prepare_once(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(64);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// Whoever owned partitions is gone, for this process holds the lock. What a killed process wrote but never saw on disk may be in
/// the log: this commit makes it durable before anybody reads it. False where the log could not be copied as a whole, for somebody reads from it.
fn settle(db: &Connection) -> rusqlite::Result<bool> {
    db.execute("UPDATE partition SET owner = NULL", [])?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map(|busy: bool| !busy)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string().into())
}

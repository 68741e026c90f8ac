//! What a crash left in the log.
//!
//! Every frame was synced before the next one was begun, and before a segment is written anew all that it held is durable in SQLite. So of the
//! frames that SQLite lacks only the last can be torn, which nobody was told of; where an earlier one is missing, the log is damaged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::record::{Frame, Header, Kind, SECTOR, Salt, VERSION, read_frame, read_header};
use super::segment_file;
use crate::store::embedded::apply::apply_all;
use crate::store::embedded::health::{Failure, read_error};
use crate::store::embedded::writer::LAZY;
use crate::store::{StoreError, Write};

/// Does again what the database lacks, not durably as yet. Returns the highest sequence that was given to anything.
pub(in super::super) fn redo(db: &Connection, dir: &Path) -> Result<u64, StoreError> {
    let Left { batches, last } = read(dir, applied(db).map_err(read_error)?)?;
    db.execute_batch(LAZY).map_err(read_error)?;
    for (seq, writes) in &batches {
        let transaction = db.unchecked_transaction().map_err(read_error)?;
        apply_all(db, writes).and_then(|()| Ok(note_applied(db, *seq)?)).map_err(|failure| match failure {
            Failure::Sql(error) => read_error(error),
            Failure::Refused(error) => damaged(&format!("record {seq} does not fit the database: {error}")),
        })?;
        transaction.commit().map_err(read_error)?;
    }
    if !batches.is_empty() {
        tracing::info!("{} batches of writes were taken from the commit log", batches.len());
    }
    Ok(last)
}

/// The sequence of the last batch that the database has.
fn applied(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT seq FROM commit_log", [], |row| row.get::<_, i64>(0)).map(|seq| seq as u64)
}

/// Notes the batch with this sequence as the last that the database has, in the transaction of the batch.
pub(in super::super) fn note_applied(db: &Connection, seq: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE commit_log SET seq = ?")?.execute([seq as i64]).map(drop)
}

/// What is to be done again.
pub(super) struct Left {
    /// By sequence.
    pub(super) batches: BTreeMap<u64, Vec<Write>>,
    /// The highest sequence that was given to anything; that of the last applied batch where there is no higher one.
    pub(super) last: u64,
}

/// Reads what was logged after the batch `applied`, the last that SQLite has.
pub(super) fn read(dir: &Path, applied: u64) -> Result<Left, StoreError> {
    let files = [contents(dir, 0)?, contents(dir, 1)?];
    let Some(salt) = salt(&files)? else { return Ok(Left { batches: BTreeMap::new(), last: applied }) };
    let mut frames = BTreeMap::new();
    for file in &files {
        frames.extend(whole_frames(file, salt).filter(|frame| frame.seq > applied).map(|frame| (frame.seq, frame)));
    }
    let last = frames.last_key_value().map_or(applied, |(seq, _)| *seq);
    if let Some(missing) = (applied + 1..last).find(|seq| !frames.contains_key(seq)) {
        return Err(damaged(&format!("record {missing} can not be read, and later ones can")));
    }
    let mut batches = BTreeMap::new();
    for (seq, frame) in frames {
        match frame.kind {
            Kind::Batch => drop(batches.insert(seq, writes(&frame)?)),
            Kind::Undo => drop(batches.remove(&undone(&frame)?)),
        }
    }
    Ok(Left { batches, last })
}

/// Empty where there is no such file.
fn contents(dir: &Path, number: usize) -> Result<Vec<u8>, StoreError> {
    match std::fs::read(segment_file(dir, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| StoreError::Io(format!("the commit log can not be read: {error}").into())),
    }
}

/// None where nothing can have been logged. The headers are written one after the other, and nothing is logged before both are durable.
fn salt(files: &[Vec<u8>; 2]) -> Result<Option<Salt>, StoreError> {
    match files.each_ref().map(|file| read_header(file)) {
        [Header::Valid(version, _), _] | [_, Header::Valid(version, _)] if version != VERSION => {
            Err(damaged(&format!(
                "it is of version {version}, this host reads {VERSION}: start the host that wrote it, and stop it with SIGTERM"
            )))
        }
        // The first is written first: where they differ, it is the new log's, which holds nothing as yet.
        [Header::Valid(_, salt), _] | [_, Header::Valid(_, salt)] => Ok(Some(salt)),
        [Header::Damaged, Header::Damaged] => Err(damaged("both of its headers are damaged")),
        [Header::Blank | Header::Damaged, Header::Blank | Header::Damaged] => Ok(None),
    }
}

fn whole_frames(file: &[u8], salt: Salt) -> impl Iterator<Item = Frame<'_>> {
    let mut at = SECTOR;
    std::iter::from_fn(move || {
        while at < file.len() {
            let found = read_frame(&file[at..], salt);
            at += found.as_ref().map_or(SECTOR, Frame::span);
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

fn writes(frame: &Frame) -> Result<Vec<Write>, StoreError> {
    postcard::from_bytes(frame.payload).map_err(|error| damaged(&format!("record {}: {error}", frame.seq)))
}

fn undone(frame: &Frame) -> Result<u64, StoreError> {
    let seq = frame.payload.try_into().map_err(|_| damaged(&format!("record {}", frame.seq)))?;
    Ok(u64::from_le_bytes(seq))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("the commit log: {what}"))
}

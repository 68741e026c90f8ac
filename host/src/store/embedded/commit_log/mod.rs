//! The commit log: what makes a batch of writes durable, with one sync of a few hundred bytes.
//!
//! SQLite's own log holds whole pages, and to sync it takes several times as long. So the writer lets SQLite write its log without a sync,
//! and before each commit appends the batch here, which it syncs. What SQLite has not kept when a crash comes is applied anew from
//! here ([`recovery`]); the sequence of the last batch that is applied stands in the database itself.
//!
//! Two segments are filled in turns, in files that are as long as they will be, so that a sync has no metadata to write. When one is full, a thread
//! syncs SQLite's log: all that is in the segment is durable there then, and it may be written anew. [`record`]: the bytes of both.

mod record;
pub(super) mod recovery;
mod segment;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use record::{Kind, Salt, frame};
use segment::Segment;

use crate::store::Write;

/// What a file name begins with: `commit-0.log`, `commit-1.log`.
fn segment_file(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("commit-{number}.log"))
}

/// Removes what is there of a log. All that was logged is durable in SQLite.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    for number in 0..2 {
        match std::fs::remove_file(segment_file(dir, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Where the writer appends.
pub(super) struct CommitLog {
    dir: PathBuf,
    salt: Salt,
    /// The sequence of the next record.
    next: u64,
    current: Segment,
    /// The other segment, which comes back when all that it holds is durable in SQLite.
    other: Filled,
    wal: Arc<File>,
    /// The last frame; kept for its room.
    frame: Vec<u8>,
}

enum Filled {
    Free(Segment),
    BeingReleased(JoinHandle<io::Result<Segment>>),
    /// Releasing it failed: nobody may append any more.
    Lost,
}

impl CommitLog {
    /// A new log in this directory, in place of what is there. All that was logged, up to the record `last`, is durable in SQLite, whose
    /// own log is `wal`.
    pub(super) fn begin(dir: &Path, wal: &Path, last: u64) -> io::Result<CommitLog> {
        let salt = Salt::new();
        let current = Segment::begin(&segment_file(dir, 0), salt)?;
        let other = Filled::Free(Segment::begin(&segment_file(dir, 1), salt)?);
        File::open(dir)?.sync_all()?;
        let wal = Arc::new(File::open(wal)?);
        Ok(CommitLog { dir: dir.to_owned(), salt, next: last + 1, current, other, wal, frame: Vec::new() })
    }

    /// The sequence of the batch that is appended next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Makes a batch ready to be appended; false where it is too large for this log.
    pub(super) fn prepare(&mut self, writes: &[Write]) -> bool {
        let payload = |frame| postcard::to_extend(writes, frame).map_err(io::Error::other);
        let encoded = frame(&mut self.frame, self.salt, self.next, Kind::Batch, payload);
        encoded.is_ok() && self.frame.len() <= self.current.room_when_empty()
    }

    /// Makes the batch that was prepared durable. After an error nobody knows what is on disk.
    pub(super) fn append(&mut self) -> io::Result<()> {
        if self.frame.len() > self.current.room() {
            self.switch()?;
        }
        self.current.append(&self.frame)?;
        self.next += 1;
        Ok(())
    }

    /// Takes the last batch back, durably: SQLite had no room for it.
    pub(super) fn undo(&mut self) -> io::Result<()> {
        let undone = (self.next - 1).to_le_bytes();
        frame(&mut self.frame, self.salt, self.next, Kind::Undo, |mut frame| {
            frame.extend_from_slice(&undone);
            Ok(frame)
        })?;
        self.append()
    }

    /// Goes on in the other segment. Waits where SQLite is not through with it, which is rare: it has had as long as it took to fill this one.
    fn switch(&mut self) -> io::Result<()> {
        let free = match std::mem::replace(&mut self.other, Filled::Lost) {
            Filled::Free(segment) => segment,
            Filled::BeingReleased(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that syncs SQLite's log panicked")))?,
            Filled::Lost => return Err(io::Error::other("a segment of the commit log was lost")),
        };
        let (full, wal) = (std::mem::replace(&mut self.current, free), self.wal.clone());
        let release = move || {
            wal.sync_data()?;
            full.rewound()
        };
        let thread = std::thread::Builder::new().name("fermata-release".to_owned()).spawn(release)?;
        self.other = Filled::BeingReleased(thread);
        Ok(())
    }

    /// Ends the log. All that was logged is durable in SQLite.
    pub(super) fn remove(self) -> io::Result<()> {
        if let Filled::BeingReleased(thread) = self.other {
            let _ = thread.join();
        }
        remove(&self.dir)
    }
}

#[cfg(test)]
mod tests;

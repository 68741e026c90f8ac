//! Moving what is committed from the write-ahead log into the database, out of the commits' way.
//!
//! When the log has grown to [`LOG_PAGES`], a thread with a connection of its own copies it while commits go on. What these
//! add meanwhile the writer copies itself, between two commits: the log is then copied as a whole, and begins anew in place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::health::{Health, Reach, reach};
use super::open::connect;

/// 64 MB in pages of 4 KB.
const LOG_PAGES: i64 = 16_384;
/// How much the log grows before another attempt, where readers kept it from beginning anew.
const LOG_PAGES_MORE: i64 = 4_096;
/// How much is written between two looks at the log, for each takes locks that readers want.
pub(super) const PAGES_BETWEEN_LOOKS: usize = 256;
/// Each pass leaves only what was committed while it ran; two make what is left for the writer small.
const PASSES: usize = 2;

pub(super) struct Checkpoints {
    wake: SyncSender<()>,
    copied: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    next_at: i64,
    written: usize,
}

impl Checkpoints {
    pub(super) fn start(file: &Path, health: Arc<Health>) -> Result<Self, crate::store::StoreError> {
        let db = connect(file).map_err(super::health::read_error)?;
        let (wake, woken) = sync_channel(1);
        let copied = Arc::new(AtomicBool::new(false));
        let done = copied.clone();
        let thread = std::thread::Builder::new()
            .name("fermata-checkpoint".to_owned())
            .spawn(move || copy_when_woken(&db, &woken, &done, &health))
            .map_err(|error| crate::store::StoreError::Io(error.to_string().into()))?;
        Ok(Checkpoints { wake, copied, thread, next_at: LOG_PAGES, written: 0 })
    }

    /// The writer calls this between commits. `written`: about how many pages were, since it did last.
    pub(super) fn after_commit(&mut self, written: usize, db: &Connection, health: &Health) {
        if health.check().is_err() {
            return;
        }
        if self.copied.swap(false, Ordering::Acquire) {
            copy(db, health);
        }
        self.written += written;
        if self.written < PAGES_BETWEEN_LOOKS {
            return;
        }
        self.written = 0;
        let pages = log_pages(db);
        if pages < LOG_PAGES {
            self.next_at = LOG_PAGES;
        } else if pages >= self.next_at {
            self.next_at = pages + LOG_PAGES_MORE;
            self.wake();
        }
    }

    /// Has the log copied however long it is.
    pub(super) fn wake(&self) {
        // A full channel means that the thread is about to copy anyway.
        let _ = self.wake.try_send(());
    }

    pub(super) fn stop(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}

fn copy_when_woken(db: &Connection, woken: &Receiver<()>, copied: &AtomicBool, health: &Health) {
    while woken.recv().is_ok() && health.check().is_ok() {
        (0..PASSES).for_each(|_| copy(db, health));
        copied.store(true, Ordering::Release);
    }
}

/// Copies what it can without making anybody wait.
fn copy(db: &Connection, health: &Health) {
    let done =
        db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)").and_then(|mut query| query.query_row([], |_| Ok(())));
    if let Err(error) = done
        && reach(&error) == Reach::Unknown
    {
        health.poison(&format!("the log could not be copied into the database: {error}"));
    }
}

fn log_pages(db: &Connection) -> i64 {
    db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")
        .and_then(|mut query| query.query_row([], |row| row.get(1)))
        .unwrap_or(0)
}

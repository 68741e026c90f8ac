//! Giving disk space back to the system.
//!
//! What is removed leaves free pages in the file, which what comes next takes up again. Where they are many, the writer moves the last
//! pages of the file into them while nobody waits for it, a little at a time; the next checkpoint cuts the file off behind.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::writer::Writer;

/// So many free pages, 4 MB, are always left alone: they will be needed.
const FREE_PAGES: i64 = 1_000;
/// And so is one page in this many.
const FREE_SHARE: i64 = 4;
/// What a write that comes meanwhile waits for at most, an fsync aside.
const PORTION: Duration = Duration::from_millis(5);
pub(super) const PAGES: usize = 256;
/// Between two portions, for each has an fsync of its own.
const PAUSE: Duration = Duration::from_millis(20);
/// After one that gave nothing: there is no room to move a page, or the file could not be made to shrink.
const RETRY: Duration = Duration::from_secs(60);

pub(super) struct Space {
    not_before: Instant,
    /// There was not enough to give back, and nothing was written since.
    settled: bool,
    /// Pages were cut off, in the log only as yet.
    given: bool,
}

impl Space {
    pub(super) fn new() -> Self {
        Space { not_before: Instant::now(), settled: false, given: false }
    }

    /// The writer calls this when it has written something.
    pub(super) fn written(&mut self) {
        if self.settled {
            self.settled = false;
            // To look takes locks that readers want: not after each write.
            self.not_before = self.not_before.max(Instant::now() + PAUSE);
        }
    }

    /// How long to wait before something may be given back; none where there is nothing until something is written.
    pub(super) fn wait(&self) -> Option<Duration> {
        (!self.settled).then(|| self.not_before.saturating_duration_since(Instant::now()))
    }

    /// Gives a portion back where there is enough.
    pub(super) fn give_back(&mut self, writer: &Writer) {
        if !is_much_free(writer.db()) {
            self.settled = true;
            return;
        }
        let given = writer.transaction(|db| Ok(portion(db)?)).is_ok_and(|pages| pages > 0);
        self.given |= given;
        self.not_before = Instant::now() + if given { PAUSE } else { RETRY };
    }

    /// Whether something was given back since this was asked before.
    pub(super) fn take_given(&mut self) -> bool {
        std::mem::take(&mut self.given)
    }
}

fn is_much_free(db: &Connection) -> bool {
    let number = |query| db.prepare_cached(query).and_then(|mut query| query.query_row([], |row| row.get(0)));
    let free: i64 = number("PRAGMA freelist_count").unwrap_or(0);
    free > FREE_PAGES && number("PRAGMA page_count").is_ok_and(|pages| free > pages / FREE_SHARE)
}

/// Returns how many pages were cut off. SQLite tells of each as it goes.
fn portion(db: &Connection) -> rusqlite::Result<usize> {
    let end = Instant::now() + PORTION;
    let mut vacuum = db.prepare_cached("PRAGMA incremental_vacuum")?;
    let mut pages = vacuum.query([])?;
    let mut count = 0;
    while count < PAGES && Instant::now() < end && pages.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

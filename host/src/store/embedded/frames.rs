//! The frames of SQLite's write-ahead log. The head of each has a checksum over the log up to its end; SQLite looks at it when it recovers a log,
//! and we whenever a page is read out of one, so that a bit which changed under an open store is found out as in the database itself.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

/// Of the log.
const HEAD: i64 = 32;
/// Of each frame; its page follows.
const FRAME_HEAD: i64 = 24;
/// Where the checksum lies in the head of the log, and in that of a frame.
const LOG_SUM: i64 = 24;
const FRAME_SUM: i64 = 16;

/// An open log, as one connection sees it.
#[derive(Default)]
pub(super) struct Log {
    /// How far this connection has written.
    written: i64,
    /// It has written over what it had written, and has not synced it since: of a page that leaves the cache twice in one transaction the checksums
    /// are made anew when that is committed, and not before.
    is_unsettled: bool,
}

impl Log {
    pub(super) fn wrote(&mut self, bytes: usize, offset: i64) {
        self.is_unsettled |= offset < self.written;
        self.written = offset + bytes as i64;
    }

    pub(super) fn synced(&mut self) {
        self.is_unsettled = false;
    }

    /// Whether what was read there is a page that is not what was written. `read` gives more of the file; what it can not give is not looked at.
    pub(super) fn is_damaged(&self, page: &[u8], offset: i64, read: impl Fn(&mut [u8], i64) -> bool) -> bool {
        let Some(frame) = frame_of(page.len(), offset).filter(|_| !self.is_unsettled) else { return false };
        let (mut magic, mut head, mut before) = ([0; 4], [0; FRAME_HEAD as usize], [0; 8]);
        let before_at = match frame {
            HEAD => LOG_SUM,
            frame => frame - page.len() as i64 - FRAME_HEAD + FRAME_SUM,
        };
        if !(read(&mut magic, 0) && read(&mut head, frame) && read(&mut before, before_at)) {
            return false;
        }
        // The lowest bit says in which order bytes are added up; all that is stored is big-endian.
        let word = if magic[3] & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
        let (begun, stored) = (sums(&before), sums(&head[FRAME_SUM as usize..]));
        add(add(begun, &head[..8], word), page, word) != stored
    }
}

/// Where the frame begins whose page this is; none where this is no page.
fn frame_of(size: usize, offset: i64) -> Option<i64> {
    let is_page = size >= 512 && size.is_power_of_two();
    let frame = offset - FRAME_HEAD;
    (is_page && frame >= HEAD && (frame - HEAD) % (size as i64 + FRAME_HEAD) == 0).then_some(frame)
}

fn sums(bytes: &[u8]) -> (u32, u32) {
    let (first, second) = (bytes.first_chunk(), bytes[4..].first_chunk());
    let sum = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes));
    (sum(first), sum(second))
}

fn add((mut first, mut second): (u32, u32), bytes: &[u8], word: fn([u8; 4]) -> u32) -> (u32, u32) {
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs {
        first = first.wrapping_add(word([*a, *b, *c, *d])).wrapping_add(second);
        second = second.wrapping_add(word([*e, *f, *g, *h])).wrapping_add(first);
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;

    use rusqlite::{Connection, OpenFlags};

    use crate::store::embedded::pages::vfs;

    fn opened(dir: &Path) -> Connection {
        let db = Connection::open_with_flags_and_vfs(dir.join("db"), OpenFlags::default(), vfs().unwrap()).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=5; PRAGMA wal_autocheckpoint=0",
        )
        .unwrap();
        db
    }

    fn sum(db: &Connection) -> rusqlite::Result<i64> {
        db.query_row("SELECT sum(length(body)) FROM t", [], |row| row.get(0))
    }

    /// Pages that leave a small cache are written to the log in the midst of a transaction, over and over.
    #[test]
    fn what_is_written_twice_in_a_transaction_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let db = opened(dir.path());
        db.execute_batch("CREATE TABLE t (body TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t SELECT printf('%.1000c', 'x') FROM n").unwrap();
        let reader = opened(dir.path());
        for round in 0..5 {
            db.execute_batch("BEGIN").unwrap();
            for _ in 0..3 {
                db.execute_batch("UPDATE t SET body = body || 'y'").unwrap();
                sum(&db).unwrap();
            }
            db.execute_batch(if round % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).unwrap();
            assert_eq!(sum(&reader).unwrap(), sum(&db).unwrap());
        }
        assert_eq!(sum(&db).unwrap(), 400 * 1_009);
        db.execute_batch("PRAGMA wal_checkpoint(RESTART); UPDATE t SET body = body || 'y'").unwrap();
        assert_eq!(sum(&reader).unwrap(), 400 * 1_010);
    }

    #[test]
    fn a_bit_that_changed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let db = opened(dir.path());
        db.execute_batch("CREATE TABLE t (body TEXT); INSERT INTO t VALUES (printf('%.1000c', 'x'))").unwrap();
        assert_eq!(sum(&opened(dir.path())).unwrap(), 1_000);
        let path = dir.path().join("db-wal");
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(100).rposition(|window| window == [b'x'; 100]).unwrap();
        let log = std::fs::File::options().write(true).open(path).unwrap();
        log.write_all_at(b"y", at as u64).unwrap();
        let error = sum(&opened(dir.path())).unwrap_err();
        assert_eq!(error.sqlite_error().unwrap().extended_code, rusqlite::ffi::SQLITE_IOERR_DATA);
        log.write_all_at(b"x", at as u64).unwrap();
        assert_eq!(sum(&opened(dir.path())).unwrap(), 1_000);
    }
}

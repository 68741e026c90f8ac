use super::record::{Frame, Header, Kind, SECTOR, Salt, frame, header, read_frame, read_header};
use crate::store::{Change, Lease, Write};

fn salt(byte: u8) -> Salt {
    Salt([byte; 16])
}

fn framed(salt: Salt, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut buffer = b"what was there before".to_vec();
    frame(&mut buffer, salt, seq, Kind::Batch, |mut frame| {
        frame.extend_from_slice(payload);
        Ok(frame)
    })
    .unwrap();
    buffer
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    for length in [0, 1, SECTOR - 24, SECTOR - 23, 3 * SECTOR] {
        let payload = vec![7; length];
        let bytes = framed(salt(1), 42, &payload);
        assert_eq!(bytes.len() % SECTOR, 0);
        let read = read_frame(&bytes, salt(1)).unwrap();
        assert_eq!(read, Frame { seq: 42, kind: Kind::Batch, payload: &payload });
        assert_eq!(read.span(), bytes.len());
    }
}

#[test]
fn no_bit_of_a_frame_can_change_unseen() {
    let whole = framed(salt(1), 42, b"payload");
    for bit in 0..(24 + 7) * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_frame(&bytes, salt(1)), None, "bit {bit}");
    }
}

#[test]
fn a_frame_that_is_cut_off_or_of_another_log_is_none() {
    let whole = framed(salt(1), 42, &[7; 2 * SECTOR]);
    for length in 0..24 + 2 * SECTOR {
        assert_eq!(read_frame(&whole[..length], salt(1)), None, "{length} bytes");
    }
    assert_eq!(read_frame(&whole, salt(2)), None);
}

#[test]
fn headers() {
    let whole = header(salt(9));
    assert_eq!(read_header(&whole), Header::Valid(1, salt(9)));
    assert_eq!(read_header(&whole[..SECTOR - 1]), Header::Blank);
    assert_eq!(read_header(&[0; 2 * SECTOR]), Header::Blank);
    let mut torn = whole;
    torn[20..].fill(0);
    assert_eq!(read_header(&torn), Header::Damaged);
}

fn parked(key: u64, reason: &str) -> Write {
    Write { lease: Lease { partition: 3, epoch: 1 }, key, change: Change::Park { reason: Some(reason.to_owned()) } }
}

/// A directory with an SQLite log to sync, which nobody reads here.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("fermata.db-wal");
    std::fs::write(&wal, "").unwrap();
    (dir, wal)
}

mod log {
    use std::os::unix::fs::FileExt as _;

    use super::super::record::SECTOR;
    use super::super::recovery::{Left, read};
    use super::super::{CommitLog, segment_file};
    use super::{parked, place};

    fn append(log: &mut CommitLog, key: u64, reason: &str) {
        assert!(log.prepare(&[parked(key, reason)]));
        log.append().unwrap();
    }

    fn keys(left: &Left) -> Vec<(u64, u64)> {
        left.batches.iter().map(|(seq, writes)| (*seq, writes[0].key)).collect()
    }

    #[test]
    fn what_sqlite_lacks_is_left_in_order() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 10).unwrap();
        (11..=14).for_each(|key| append(&mut log, key, "why"));
        let left = read(dir.path(), 12).unwrap();
        assert_eq!((keys(&left), left.last), (vec![(13, 13), (14, 14)], 14));
        let left = read(dir.path(), 14).unwrap();
        assert_eq!((keys(&left), left.last), (vec![], 14));
    }

    #[test]
    fn what_was_taken_back_has_a_sequence_and_no_effect() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        append(&mut log, 1, "kept");
        append(&mut log, 2, "no room");
        log.undo().unwrap();
        append(&mut log, 4, "kept");
        let left = read(dir.path(), 0).unwrap();
        assert_eq!((keys(&left), left.last), (vec![(1, 1), (4, 4)], 4));
    }

    #[test]
    fn a_torn_end_was_never_acknowledged_and_a_gap_is_damage() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        (1..=3).for_each(|key| append(&mut log, key, "why"));
        let file = std::fs::File::options().write(true).open(segment_file(dir.path(), 0)).unwrap();
        file.write_all_at(&[0xff], 3 * SECTOR as u64 + 30).unwrap();
        let left = read(dir.path(), 0).unwrap();
        assert_eq!((keys(&left), left.last), (vec![(1, 1), (2, 2)], 2));
        file.write_all_at(&[0xff], 2 * SECTOR as u64 + 30).unwrap();
        assert_eq!(keys(&read(dir.path(), 0).unwrap()), [(1, 1)]);
        append(&mut log, 4, "why");
        let error = read(dir.path(), 0).err().unwrap().to_string();
        assert!(error.contains("record 2 can not be read"), "{error}");
        assert_eq!(keys(&read(dir.path(), 3).unwrap()), [(4, 4)], "what SQLite has need not be readable");
    }

    #[test]
    fn segments_take_turns_and_grow_and_hold_all_since_the_last_switch() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        let reason = "x".repeat(100_000);
        for key in 1..=500 {
            append(&mut log, key, &reason);
            // At least what the smallest segment holds is never gone: SQLite may lack that much.
            let left = read(dir.path(), key.saturating_sub(9)).unwrap();
            assert_eq!(left.batches.len() as u64, key.min(9), "after {key}");
        }
        let length = |number| std::fs::metadata(segment_file(dir.path(), number)).unwrap().len();
        assert!(length(0) > 1 << 20 && length(1) > 1 << 20);
    }

    #[test]
    fn a_new_log_holds_nothing_of_the_old_one() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        (1..=3).for_each(|key| append(&mut log, key, "why"));
        let mut log = CommitLog::begin(dir.path(), &wal, 3).unwrap();
        assert_eq!(read(dir.path(), 3).unwrap().last, 3);
        append(&mut log, 4, "why");
        assert_eq!(keys(&read(dir.path(), 3).unwrap()), [(4, 4)]);
    }

    #[test]
    fn one_header_is_enough_and_none_is_damage() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        append(&mut log, 1, "why");
        let spoil = |number| {
            let file = std::fs::File::options().write(true).open(segment_file(dir.path(), number)).unwrap();
            file.write_all_at(b"?", 3).unwrap();
        };
        spoil(0);
        assert_eq!(keys(&read(dir.path(), 0).unwrap()), [(1, 1)]);
        spoil(1);
        assert!(read(dir.path(), 0).is_err());
    }

    #[test]
    fn a_batch_that_no_segment_holds_is_refused() {
        let (dir, wal) = place();
        let mut log = CommitLog::begin(dir.path(), &wal, 0).unwrap();
        assert!(!log.prepare(&[parked(1, &"x".repeat(2 << 20))]));
        append(&mut log, 1, "the next one has its place");
        assert_eq!(keys(&read(dir.path(), 0).unwrap()), [(1, 1)]);
    }
}

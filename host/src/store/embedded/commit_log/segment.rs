//! One of the two files of the log: a header, then frames.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::record::{SECTOR, Salt, header};

/// As long as a segment is made, header included; what is written much gets longer ones, up to [`LONGEST`].
const SHORTEST: u64 = 1 << 20;
const LONGEST: u64 = 32 << 20;
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

pub(super) struct Segment {
    file: File,
    length: u64,
    /// Where the next frame goes.
    end: u64,
}

impl Segment {
    /// A durable segment without frames; a file that is there is written anew.
    pub(super) fn begin(path: &Path, salt: Salt) -> io::Result<Segment> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut segment = Segment { file, length, end: SECTOR as u64 };
        segment.lengthen(SHORTEST)?;
        segment.file.write_all_at(&header(salt), 0)?;
        segment.file.sync_all()?;
        Ok(segment)
    }

    /// How long a frame may be that comes next.
    pub(super) fn room(&self) -> usize {
        (self.length - self.end) as usize
    }

    pub(super) fn room_when_empty(&self) -> usize {
        self.length as usize - SECTOR
    }

    /// Appends a frame that there is room for; it is durable on return.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.end)?;
        self.file.sync_data()?;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// The same segment, to be filled anew, and longer if it may be. Where there is no room for that it stays as long as it is.
    pub(super) fn rewound(mut self) -> io::Result<Segment> {
        self.end = SECTOR as u64;
        if let Err(error) = self.lengthen((self.length * 2).min(LONGEST)).and_then(|()| self.file.sync_all()) {
            tracing::warn!("a segment of the commit log stays {} bytes long: {error}", self.length);
        }
        Ok(self)
    }

    fn lengthen(&mut self, length: u64) -> io::Result<()> {
        while self.length < length {
            let zeros = &ZEROS[..(length - self.length).min(ZEROS.len() as u64) as usize];
            self.file.write_all_at(zeros, self.length)?;
            self.length += zeros.len() as u64;
        }
        Ok(())
    }
}

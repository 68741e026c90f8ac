//! The bytes of the log. All numbers are little-endian; `docs/persistence.md` has the layout.
//!
//! A frame begins on a sector and fills whole ones: to write it never touches a sector that holds another one.

use std::io;

/// What a disk writes whole, or not at all.
pub(super) const SECTOR: usize = 512;
pub(super) const VERSION: u32 = 1;

const FILE_MAGIC: &[u8; 8] = b"FERMLOG\0";
const FRAME_MAGIC: &[u8; 4] = b"FRAM";
/// Magic, checksum, length of the payload, kind, sequence.
const FRAME_HEAD: usize = 4 + 4 + 4 + 4 + 8;

/// Tells the frames of one life of the log from what its files held before. Random, so that no payload can look like a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt(pub(super) [u8; 16]);

impl Salt {
    pub(super) fn new() -> Salt {
        Salt(*uuid::Uuid::new_v4().as_bytes())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Writes that take effect together.
    Batch = 1,
    /// The batch with the sequence in the payload has no effect.
    Undo = 2,
}

/// What stands in the first sector of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Nothing was ever written, or it was not finished.
    Blank,
    /// Of a log of this version.
    Valid(u32, Salt),
    Damaged,
}

pub(super) fn header(salt: Salt) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    sector[..8].copy_from_slice(FILE_MAGIC);
    sector[8..12].copy_from_slice(&VERSION.to_le_bytes());
    sector[12..28].copy_from_slice(&salt.0);
    let checksum = crc32fast::hash(&sector[..28]);
    sector[28..32].copy_from_slice(&checksum.to_le_bytes());
    sector
}

pub(super) fn read_header(file: &[u8]) -> Header {
    let Some(sector) = file.get(..SECTOR) else { return Header::Blank };
    if sector.iter().all(|byte| *byte == 0) {
        return Header::Blank;
    }
    if &sector[..8] != FILE_MAGIC || crc32fast::hash(&sector[..28]) != number(sector, 28) {
        return Header::Damaged;
    }
    let mut salt = Salt([0; 16]);
    salt.0.copy_from_slice(&sector[12..28]);
    Header::Valid(number(sector, 8), salt)
}

/// Puts a frame in place of what is in the buffer; `payload` adds its own to what it is given.
pub(super) fn frame(
    buffer: &mut Vec<u8>,
    salt: Salt,
    seq: u64,
    kind: Kind,
    payload: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    let mut frame = std::mem::take(buffer);
    frame.clear();
    frame.resize(FRAME_HEAD, 0);
    *buffer = payload(frame)?;
    let length = u32::try_from(buffer.len() - FRAME_HEAD).map_err(io::Error::other)?;
    buffer[..4].copy_from_slice(FRAME_MAGIC);
    buffer[8..12].copy_from_slice(&length.to_le_bytes());
    buffer[12..16].copy_from_slice(&(kind as u32).to_le_bytes());
    buffer[16..24].copy_from_slice(&seq.to_le_bytes());
    let checksum = checksum(salt, &buffer[8..]);
    buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(SECTOR), 0);
    Ok(())
}

/// A frame that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'f> {
    pub(super) seq: u64,
    pub(super) kind: Kind,
    pub(super) payload: &'f [u8],
}

/// The frame that the bytes begin with; none where there is no whole one of this log.
pub(super) fn read_frame(bytes: &[u8], salt: Salt) -> Option<Frame<'_>> {
    if bytes.len() < FRAME_HEAD || &bytes[..4] != FRAME_MAGIC {
        return None;
    }
    let end = FRAME_HEAD.checked_add(number(bytes, 8) as usize)?;
    let frame = bytes.get(..end)?;
    if checksum(salt, &frame[8..]) != number(bytes, 4) {
        return None;
    }
    let kind = match number(bytes, 12) {
        1 => Kind::Batch,
        2 => Kind::Undo,
        _ => return None,
    };
    let seq = u64::from_le_bytes(frame[16..24].try_into().ok()?);
    Some(Frame { seq, kind, payload: &frame[FRAME_HEAD..] })
}

impl Frame<'_> {
    /// How many bytes of the file it fills.
    pub(super) fn span(&self) -> usize {
        (FRAME_HEAD + self.payload.len()).next_multiple_of(SECTOR)
    }
}

fn checksum(salt: Salt, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.0);
    hasher.update(bytes);
    hasher.finalize()
}

/// The `u32` at this place, which there is.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

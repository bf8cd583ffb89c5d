//! The whole world in bytes, and the world again from them: what goes on from the one goes on
//! from the other.
//!
//! A recording that begins in the middle of a server's life begins with a snapshot, and the live
//! engine itself goes on from what [`restore`] makes of it: so it and every replay share one
//! beginning, down to the order of rows and free slots.
//!
//! What can be found again from the rest is not kept but derived anew: watches from the viewers'
//! own words, references, attendance and levels from the watches, readers from the cursors, bytes
//! from the rings. So bytes that somebody tampered with cannot contradict themselves there; what
//! is kept is checked, and the books must balance (see [`crate::audit::count`]). Levels are kept as
//! they were last told only while the system that derives them is switched off.
//!
//! Form: [`MAGIC`], the format's number (u32), the length of the rest (u64) and its checksum
//! (u64), then the world; little-endian throughout, whole numbers in the world as LEB128.

pub(crate) mod bytes;
mod decision;
mod groups;
mod read;
mod write;

use std::fmt;

pub use read::restore;
pub use write::write;

/// The first bytes of a snapshot.
pub const MAGIC: [u8; 8] = *b"SCTWORLD";

/// Counts up when the form changes. Older and newer forms are refused: a recording is replayed by
/// the build that made it, or by one whose worlds have the same form.
pub const FORMAT: u32 = 5;

const HEAD_BYTES: usize = 28;

/// Counts, times and totals beyond this are no world's: 2,283 years in microseconds. What is added
/// to them in the life of an engine cannot overflow.
const COUNT_MAX: u64 = 1 << 56;

/// Streams that must still have an id to be given.
const STREAM_COUNT_LEFT_MIN: u32 = 1 << 24;

/// A ring's room beyond this many times what it holds is not kept: so much memory, and no more, is
/// justified by the bytes. Rings are more spacious only in the moment after their limits fell,
/// before the sweep has come by (see [`crate::adapt::trim`]).
const ROOM_FACTOR: usize = 4;

/// What any ring or queue may have room for.
const ROOM_MIN: usize = 4;

/// The room that is kept of `capacity`, where `len` are held.
fn room(capacity: usize, len: usize) -> usize {
    capacity.min((len * ROOM_FACTOR).max(ROOM_MIN))
}

/// Why bytes are no world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotError {
    /// They do not begin like a snapshot.
    Foreign,
    /// Of another form than [`FORMAT`].
    Format(u32),
    /// They end too early, or go on where they should end.
    Length { expected: u64, found: u64 },
    /// A bit has changed somewhere.
    Checksum,
    /// A promise that every world keeps is broken.
    Broken(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is not a snapshot of a world"),
            Self::Format(format) => {
                write!(f, "the snapshot has format {format}, and this build reads format {FORMAT}")
            }
            Self::Length { expected, found } => {
                write!(f, "the snapshot should have {expected} bytes and has {found}")
            }
            Self::Checksum => f.write_str("the snapshot is damaged: its checksum does not match"),
            Self::Broken(what) => write!(f, "the snapshot holds no possible world: {what}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Puts the head before a world's bytes.
pub fn sealed(body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(HEAD_BYTES + body.len());
    whole.extend_from_slice(&[0; HEAD_BYTES]);
    whole.extend_from_slice(body);
    seal(&mut whole);
    whole
}

/// Fills in the head that `whole` has room for.
fn seal(whole: &mut [u8]) {
    let (head, body) = whole.split_at_mut(HEAD_BYTES);
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..20].copy_from_slice(&(body.len() as u64).to_le_bytes());
    head[20..28].copy_from_slice(&checksum(body).to_le_bytes());
}

/// The world's bytes behind a head that is as it should be.
fn unsealed(whole: &[u8]) -> Result<&[u8], SnapshotError> {
    let Some((head, body)) = whole.split_at_checked(HEAD_BYTES) else {
        let begins = whole.len() >= MAGIC.len() && whole.starts_with(&MAGIC);
        let (expected, found) = (HEAD_BYTES as u64, whole.len() as u64);
        return Err(if begins {
            SnapshotError::Length { expected, found }
        } else {
            SnapshotError::Foreign
        });
    };
    if head[..8] != MAGIC {
        return Err(SnapshotError::Foreign);
    }
    let format = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
    if format != FORMAT {
        return Err(SnapshotError::Format(format));
    }
    let length = u64::from_le_bytes(head[12..20].try_into().expect("eight bytes"));
    if length != body.len() as u64 {
        let expected = length.saturating_add(HEAD_BYTES as u64);
        return Err(SnapshotError::Length { expected, found: whole.len() as u64 });
    }
    if u64::from_le_bytes(head[20..28].try_into().expect("eight bytes")) != checksum(body) {
        return Err(SnapshotError::Checksum);
    }
    Ok(body)
}

/// Against accidents, not against malice: each step is a bijection of what came before, so no
/// single changed word goes unseen.
fn checksum(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = bytes.len() as u64;
    let mut step = |word: u64| sum = ((sum ^ word).wrapping_mul(ODD)).rotate_left(29);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        step(u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    step(u64::from_le_bytes(last));
    sum ^ (sum >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_what_is_wrong_with_the_rest() {
        let whole = sealed(b"a world of its own");
        assert_eq!(unsealed(&whole), Ok(&b"a world of its own"[..]));
        for cut in 0..whole.len() {
            assert!(unsealed(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut other = whole.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let error = unsealed(&other).unwrap_err();
            match bit / 8 {
                0..8 => assert_eq!(error, SnapshotError::Foreign),
                8..12 => assert!(matches!(error, SnapshotError::Format(_))),
                12..20 => assert!(matches!(error, SnapshotError::Length { .. })),
                _ => assert_eq!(error, SnapshotError::Checksum),
            }
        }
        assert_eq!(unsealed(b""), Err(SnapshotError::Foreign));
    }
}

//! The records of an MCAP file (<https://mcap.dev/spec>), read with every length held against
//! what is there and what may be.
//!
//! The crate `mcap` writes our files. It reads with some trust: its parser of attachments panics
//! on short ones, and a chunk is unpacked to whatever length it claims.

use std::io::{Read, Seek, SeekFrom};

use super::RecordingError;
use super::bytes::{Cursor, Malformed, Parsed};

pub(super) const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";

pub(super) const HEADER: u8 = 0x01;
pub(super) const FOOTER: u8 = 0x02;
pub(super) const CHANNEL: u8 = 0x04;
pub(super) const MESSAGE: u8 = 0x05;
pub(super) const CHUNK: u8 = 0x06;
pub(super) const MESSAGE_INDEX: u8 = 0x07;
pub(super) const ATTACHMENT: u8 = 0x09;
pub(super) const METADATA: u8 = 0x0c;
pub(super) const METADATA_INDEX: u8 = 0x0d;
pub(super) const DATA_END: u8 = 0x0f;

/// Opcode and length.
pub(super) const HEAD_BYTES: u64 = 9;
/// A footer with its head.
pub(super) const FOOTER_BYTES: u64 = HEAD_BYTES + 20;

/// Bytes of a record that is neither a chunk nor an attachment.
pub const RECORD_BYTES_MAX: u64 = 1 << 24;
/// Bytes of a chunk, packed or unpacked.
pub const CHUNK_BYTES_MAX: u64 = 1 << 28;
/// Bytes of a packed attachment: the state of a world at the recording's first tick.
pub const ATTACHMENT_BYTES_MAX: u64 = 1 << 31;
/// Bytes of the summary at the end, with the index: a hundred for each second.
pub const SUMMARY_BYTES_MAX: u64 = 1 << 28;

/// Where a record's content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) op: u8,
    /// The first byte behind the head.
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl Head {
    /// The first byte behind the record.
    pub(super) fn end(&self) -> u64 {
        self.at + self.bytes
    }
}

/// A file whose length is known.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(mut inner: R) -> std::io::Result<Self> {
        let bytes = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes `at..at + bytes` into `out`. They must be there.
    pub(super) fn read(&mut self, at: u64, bytes: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
        debug_assert!(at + bytes <= self.bytes, "held against the length before");
        self.inner.seek(SeekFrom::Start(at))?;
        out.clear();
        out.resize(bytes as usize, 0);
        self.inner.read_exact(out)
    }

    /// The record that begins at `at`; `None` when it is not there to its end.
    pub(super) fn head(&mut self, at: u64) -> std::io::Result<Option<Head>> {
        if at.checked_add(HEAD_BYTES).is_none_or(|end| end > self.bytes) {
            return Ok(None);
        }
        self.inner.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; HEAD_BYTES as usize];
        self.inner.read_exact(&mut bytes)?;
        let [op, length @ ..] = bytes;
        let head = Head { op, at: at + HEAD_BYTES, bytes: u64::from_le_bytes(length) };
        let end = head.at.checked_add(head.bytes);
        Ok(end.is_some_and(|end| end <= self.bytes).then_some(head))
    }

    /// The content of a record of which at most `max` bytes are believed.
    pub(super) fn content(
        &mut self,
        head: Head,
        max: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), RecordingError> {
        if head.bytes > max {
            let what = "has a record that is too long";
            return Err(RecordingError::Damaged { at: head.at, what: what.into() });
        }
        Ok(self.read(head.at, head.bytes, out)?)
    }
}

/// Where a chunk's head says it is from and to, in unix nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHead {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    unpacked_bytes: u64,
    crc: u32,
}

/// Bytes of a chunk's head up to the name of its compression.
pub(super) const CHUNK_HEAD_BYTES: u64 = 8 + 8 + 8 + 4;

impl ChunkHead {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(Self {
            start_ns: cursor.u64()?,
            end_ns: cursor.u64()?,
            unpacked_bytes: cursor.u64()?,
            crc: cursor.u32()?,
        })
    }
}

/// Unpacks a chunk's records. `content` is the whole of its record.
pub(super) fn unpack(content: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
    let mut cursor = Cursor::new(content);
    let head = ChunkHead::parse(&mut cursor)?;
    let compression = cursor.string()?;
    let packed_bytes = cursor.u64()?;
    let packed_bytes = usize::try_from(packed_bytes).map_err(|_| Malformed("is cut short"))?;
    let packed = cursor.take(packed_bytes)?;
    if head.unpacked_bytes > CHUNK_BYTES_MAX {
        return Err(Malformed("says it unpacks to more than a chunk may"));
    }
    let unpacked_bytes = head.unpacked_bytes as usize;
    out.clear();
    match compression {
        "" if packed_bytes == unpacked_bytes => out.extend_from_slice(packed),
        "zstd" => {
            out.reserve_exact(unpacked_bytes);
            // Writes no further than the room there is.
            let written = zstd::bulk::Decompressor::new()
                .and_then(|mut unpacker| unpacker.decompress_to_buffer(packed, out))
                .map_err(|_| Malformed("does not unpack to the length it says"))?;
            if written != unpacked_bytes {
                return Err(Malformed("does not unpack to the length it says"));
            }
        }
        _ => return Err(Malformed("is packed in a way that recordings are not")),
    }
    if head.crc != 0 && head.crc != crc32fast::hash(out) {
        return Err(Malformed("does not have the checksum it says"));
    }
    Ok(())
}

/// An attachment: its name and what it holds.
pub(super) fn attachment(content: &[u8]) -> Parsed<(&str, &[u8])> {
    let (body, crc) = content.split_last_chunk().ok_or(Malformed("is cut short"))?;
    let crc = u32::from_le_bytes(*crc);
    if crc != 0 && crc != crc32fast::hash(body) {
        return Err(Malformed("does not have the checksum it says"));
    }
    let mut cursor = Cursor::new(body);
    (cursor.u64()?, cursor.u64()?);
    let name = cursor.string()?;
    cursor.string()?;
    let bytes = usize::try_from(cursor.u64()?).map_err(|_| Malformed("is cut short"))?;
    Ok((name, cursor.take(bytes)?))
}

/// A metadata record: its name, and its keys and values in order.
pub(super) fn metadata(content: &[u8]) -> Parsed<(&str, Vec<(&str, &str)>)> {
    let mut cursor = Cursor::new(content);
    let name = cursor.string()?;
    let bytes = cursor.u32()? as usize;
    let mut entries = Cursor::new(cursor.take(bytes)?);
    let mut map = Vec::new();
    while !entries.is_empty() {
        map.push((entries.string()?, entries.string()?));
    }
    Ok((name, map))
}

/// The records within a chunk or a summary.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Parsed<(u8, &[u8])>> {
    let mut cursor = Cursor::new(bytes);
    std::iter::from_fn(move || {
        (!cursor.is_empty()).then(|| {
            let record = (|| {
                let op = cursor.u8()?;
                let bytes = usize::try_from(cursor.u64()?);
                let bytes = bytes.map_err(|_| Malformed("has a record that is too long"))?;
                Ok((op, cursor.take(bytes)?))
            })();
            if record.is_err() {
                cursor = Cursor::new(&[]);
            }
            record
        })
    })
}

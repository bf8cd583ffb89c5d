//! The binary frame, version 1 (`docs/wire.md` 2.5): pieces encoded, whole frames decoded.

use std::collections::HashMap;
use std::fmt;

use crate::cell::{Cell, Leaf};
use crate::delivery::{Deliveries, Digest, DigestNumbers, Form, Slice, StreamCard};
use crate::id::StreamId;
use crate::sample::Timestamp;

pub const FRAME_VERSION: u8 = 1;

/// Bytes before the first card.
pub const HEADER_BYTES: usize = 16;

/// Cards of one frame: their count takes two bytes.
pub const FRAME_CARD_COUNT_MAX: usize = u16::MAX as usize;

/// Samples of one slice on the wire: their count takes two bytes. Longer ones are split.
const SLICE_SAMPLE_COUNT_MAX: usize = u16::MAX as usize;

/// Bytes of a slice that carries nothing: stream, form, cell type, n, from, covered, missed.
const SLICE_BYTES_MIN: usize = 24;
/// Bytes of a card whose names are all empty.
const CARD_BYTES_MIN: usize = 14;

/// Added to the form of a slice whose payloads are text.
const TEXT_FLAG: u8 = 128;
const CELL_F64: u8 = 0;
const CELL_F32: u8 = 1;

/// Writes a frame's first bytes.
pub fn encode_header(cards: u16, slices: u32, server_time_ms: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[FRAME_VERSION, 0]);
    out.extend_from_slice(&cards.to_le_bytes());
    out.extend_from_slice(&slices.to_le_bytes());
    out.extend_from_slice(&server_time_ms.to_le_bytes());
}

/// Cells per sample as a card says it: 0, and all payloads are text, for shapes wider than a
/// byte can say.
fn wire_width(card: &StreamCard) -> u8 {
    u8::try_from(card.shape.width()).unwrap_or(0)
}

/// Writes a stream's card.
pub fn encode_card(card: &StreamCard, out: &mut Vec<u8>) {
    let width = wire_width(card);
    out.extend_from_slice(&card.stream.0.to_le_bytes());
    out.push(width);
    out.extend_from_slice(&(card.rate_hz.unwrap_or(0.0) as f32).to_le_bytes());
    for name in [&*card.sensor_id, &*card.attribute_id, card.kind.name()] {
        let name = &name[..name.floor_char_boundary(255)];
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
    let shape = if width == 0 { &[] } else { card.shape.skeleton() };
    assert!(shape.len() <= usize::from(u16::MAX), "a skeleton is at most SHAPE_BYTES_MAX long");
    out.extend_from_slice(&(shape.len() as u16).to_le_bytes());
    out.extend_from_slice(shape);
}

/// Writes one slice, and returns in how many pieces: more than one when the steps between its
/// timestamps, or its count, are too large for one.
pub fn encode_slice(deliveries: &Deliveries, slice: &Slice, out: &mut Vec<u8>) -> u32 {
    let at = slice.timestamps_at as usize;
    let timestamps = &deliveries.timestamps[at..at + slice.count as usize];
    let mut start = 0;
    let mut pieces = 0;
    loop {
        let end = start + piece_length(&timestamps[start..]);
        encode_piece(deliveries, slice, timestamps, start, end, out);
        pieces += 1;
        start = end;
        if start >= timestamps.len() {
            return pieces;
        }
    }
}

/// How many of these fit in one piece: at least one, if there is one.
fn piece_length(timestamps: &[Timestamp]) -> usize {
    let fits = |pair: &[Timestamp]| step(pair[0], pair[1]).is_some();
    let steps = timestamps.windows(2).take(SLICE_SAMPLE_COUNT_MAX - 1).take_while(|w| fits(w));
    (steps.count() + 1).min(timestamps.len())
}

/// Milliseconds from one timestamp to the next, if four bytes can say it.
fn step(before: Timestamp, after: Timestamp) -> Option<i32> {
    after.0.checked_sub(before.0).and_then(|step| i32::try_from(step).ok())
}

fn encode_piece(
    deliveries: &Deliveries,
    slice: &Slice,
    timestamps: &[Timestamp],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) {
    let card = &slice.card;
    let width = card.shape.width();
    let cells_at = slice.cells_at as usize;
    let cells = &deliveries.cells[cells_at + start * width..cells_at + end * width];
    let text = wire_width(card) == 0 || cells.iter().any(|&cell| Cell(cell).is_text());
    let cell_type =
        if !text && cells.iter().all(|&cell| is_f32(cell)) { CELL_F32 } else { CELL_F64 };
    let whole = start == 0 && end == timestamps.len();
    let covered = if whole { slice.to - slice.from } else { (end - start) as u64 };
    let missed = if start == 0 { slice.missed } else { 0 };

    out.extend_from_slice(&card.stream.0.to_le_bytes());
    out.push(form_number(slice.form) | if text { TEXT_FLAG } else { 0 });
    out.push(cell_type);
    out.extend_from_slice(&((end - start) as u16).to_le_bytes());
    out.extend_from_slice(&(slice.from + start as u64).to_le_bytes());
    out.extend_from_slice(&saturate(covered).to_le_bytes());
    out.extend_from_slice(&saturate(missed).to_le_bytes());
    if slice.form == Form::Digest {
        encode_digest(slice.digest, out);
    }
    if let Some(first) = timestamps[start..end].first() {
        out.extend_from_slice(&first.0.to_le_bytes());
    }
    for pair in timestamps[start..end].windows(2) {
        out.extend_from_slice(&step(pair[0], pair[1]).unwrap_or(0).to_le_bytes());
    }
    if text {
        for sample in deliveries.samples_of(slice).skip(start).take(end - start) {
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(b"{\"payload\":");
            sample.write_payload(out);
            if let Some(text) = sample.text() {
                out.extend_from_slice(text.extra().as_bytes());
            }
            out.push(b'}');
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
    } else if cell_type == CELL_F32 {
        out.reserve(cells.len() * 4);
        for &cell in cells {
            out.extend_from_slice(&cell_value(cell).map_or(f32::NAN, |v| v as f32).to_le_bytes());
        }
    } else {
        out.reserve(cells.len() * 8);
        for &cell in cells {
            out.extend_from_slice(&cell_value(cell).unwrap_or(f64::NAN).to_le_bytes());
        }
    }
}

fn encode_digest(digest: Option<Digest>, out: &mut Vec<u8>) {
    let digest = digest.unwrap_or(Digest { count: 0, numbers: None });
    out.extend_from_slice(&saturate(digest.count).to_le_bytes());
    out.push(u8::from(digest.numbers.is_some()));
    if let Some(numbers) = digest.numbers {
        for value in [numbers.avg, numbers.min, numbers.max] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// A count as four bytes say it. A stream would run for a year at 100 Hz, unseen, to reach this.
fn saturate(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The number of a cell on the wire; `None` is the canonical NaN.
fn cell_value(cell: u64) -> Option<f64> {
    match Cell(cell).leaf() {
        Leaf::Float(value) => Some(value),
        Leaf::Integer(value) => Some(value as f64),
        Leaf::True => Some(1.0),
        Leaf::False => Some(0.0),
        Leaf::Null | Leaf::Text(_) => None,
    }
}

fn is_f32(cell: u64) -> bool {
    cell_value(cell).is_none_or(|value| f64::from(value as f32).to_bits() == value.to_bits())
}

fn form_number(form: Form) -> u8 {
    match form {
        Form::Raw => 0,
        Form::Latest => 1,
        Form::Digest => 2,
        Form::Seed => 3,
    }
}

/// A frame as its reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Unix milliseconds, as the frame was made.
    pub server_time_ms: f64,
    pub cards: Vec<FrameCard>,
    pub slices: Vec<FrameSlice>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FrameCard {
    pub stream: StreamId,
    /// Cells per sample, 0 when payloads are text.
    pub width: u8,
    /// Hz, 0 when unknown.
    pub rate_hz: f32,
    pub sensor_id: String,
    pub attribute_id: String,
    pub attribute_type: String,
    pub shape: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FrameSlice {
    pub stream: StreamId,
    pub form: Form,
    pub from: u64,
    pub covered: u32,
    pub missed: u32,
    pub digest: Option<Digest>,
    pub timestamps: Vec<Timestamp>,
    pub values: FrameValues,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FrameValues {
    /// Width of them per sample. NaN is `null`.
    Cells(Vec<f64>),
    /// `{"payload":..., ...extra}`, one per sample.
    Texts(Vec<String>),
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// It ends before it is whole.
    Truncated,
    /// Bytes are left behind its last slice.
    LeftOver,
    UnknownVersion(u8),
    UnknownFlags(u8),
    UnknownForm(u8),
    UnknownCellType(u8),
    /// A flag byte that is neither 0 nor 1.
    NotAFlag(u8),
    NotUtf8,
    /// A slice of a stream no card has introduced.
    UnknownStream(StreamId),
    /// A second card of a stream says something else than its first.
    CardChanged(StreamId),
    /// Cells for a stream whose payloads are text.
    CellsOfText(StreamId),
    /// A raw slice or a seed that does not carry what it covers.
    NotCovered(StreamId),
    /// A timestamp beyond what eight bytes hold.
    TimestampOverflow(StreamId),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the frame ends before it is whole"),
            Self::LeftOver => write!(f, "bytes are left behind the frame"),
            Self::UnknownVersion(version) => write!(f, "unknown frame version {version}"),
            Self::UnknownFlags(flags) => write!(f, "unknown flags {flags}"),
            Self::UnknownForm(form) => write!(f, "unknown slice form {form}"),
            Self::UnknownCellType(kind) => write!(f, "unknown cell type {kind}"),
            Self::NotAFlag(byte) => write!(f, "a flag is 0 or 1, not {byte}"),
            Self::NotUtf8 => write!(f, "text that is not UTF-8"),
            Self::UnknownStream(stream) => write!(f, "stream {} has no card", stream.0),
            Self::CardChanged(stream) => write!(f, "stream {} has a second, other card", stream.0),
            Self::CellsOfText(stream) => write!(f, "cells for stream {}, which is text", stream.0),
            Self::NotCovered(stream) => {
                write!(f, "a slice of stream {} covers what it does not carry", stream.0)
            }
            Self::TimestampOverflow(stream) => {
                write!(f, "a timestamp of stream {} is out of range", stream.0)
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Reads the frames of one channel in their order; knows the cards that came before.
#[derive(Debug, Default)]
pub struct FrameReader {
    cards: HashMap<StreamId, FrameCard>,
}

impl FrameReader {
    /// The card of a stream, if one has come.
    pub fn card(&self, stream: StreamId) -> Option<&FrameCard> {
        self.cards.get(&stream)
    }

    /// Reads one whole frame. After an error the reader is as it was before.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Frame, FrameError> {
        let mut bytes = Bytes(bytes);
        let version = bytes.u8()?;
        if version != FRAME_VERSION {
            return Err(FrameError::UnknownVersion(version));
        }
        let flags = bytes.u8()?;
        if flags != 0 {
            return Err(FrameError::UnknownFlags(flags));
        }
        let card_count = usize::from(u16::from_le_bytes(bytes.array()?));
        let slice_count = u32::from_le_bytes(bytes.array()?) as usize;
        let server_time_ms = f64::from_le_bytes(bytes.array()?);

        // Counts are claims: room is made for what can be in so many bytes, not for what is said.
        let mut cards: Vec<FrameCard> =
            Vec::with_capacity(card_count.min(bytes.0.len() / CARD_BYTES_MIN));
        let mut new: HashMap<StreamId, usize> = HashMap::new();
        for _ in 0..card_count {
            let card = read_card(&mut bytes)?;
            let known = new.get(&card.stream).map(|&index| &cards[index]);
            if known.or(self.card(card.stream)).is_some_and(|known| !same_card(known, &card)) {
                return Err(FrameError::CardChanged(card.stream));
            }
            new.insert(card.stream, cards.len());
            cards.push(card);
        }
        let mut slices = Vec::with_capacity(slice_count.min(bytes.0.len() / SLICE_BYTES_MIN));
        for _ in 0..slice_count {
            slices.push(read_slice(&mut bytes, |stream| {
                let card = new.get(&stream).map(|&index| &cards[index]);
                let card = card.or(self.card(stream)).ok_or(FrameError::UnknownStream(stream))?;
                Ok(card.width)
            })?);
        }
        if !bytes.0.is_empty() {
            return Err(FrameError::LeftOver);
        }
        for card in &cards {
            self.cards.insert(card.stream, card.clone());
        }
        Ok(Frame { server_time_ms, cards, slices })
    }
}

/// Rates are compared as bits: a NaN from a hostile peer must not differ from itself.
fn same_card(a: &FrameCard, b: &FrameCard) -> bool {
    a.rate_hz.to_bits() == b.rate_hz.to_bits()
        && (a.width, &a.sensor_id, &a.attribute_id, &a.attribute_type, &a.shape)
            == (b.width, &b.sensor_id, &b.attribute_id, &b.attribute_type, &b.shape)
}

fn read_card(bytes: &mut Bytes<'_>) -> Result<FrameCard, FrameError> {
    let stream = StreamId(u32::from_le_bytes(bytes.array()?));
    let width = bytes.u8()?;
    let rate_hz = f32::from_le_bytes(bytes.array()?);
    let mut name = || {
        let length = usize::from(bytes.u8()?);
        bytes.string(length)
    };
    let (sensor_id, attribute_id, attribute_type) = (name()?, name()?, name()?);
    let shape_length = usize::from(u16::from_le_bytes(bytes.array()?));
    let shape = bytes.string(shape_length)?;
    Ok(FrameCard { stream, width, rate_hz, sensor_id, attribute_id, attribute_type, shape })
}

fn read_slice(
    bytes: &mut Bytes<'_>,
    width_of: impl Fn(StreamId) -> Result<u8, FrameError>,
) -> Result<FrameSlice, FrameError> {
    let stream = StreamId(u32::from_le_bytes(bytes.array()?));
    let width = usize::from(width_of(stream)?);
    let form_byte = bytes.u8()?;
    let text = form_byte & TEXT_FLAG != 0;
    let form = match form_byte & !TEXT_FLAG {
        0 => Form::Raw,
        1 => Form::Latest,
        2 => Form::Digest,
        3 => Form::Seed,
        _ => return Err(FrameError::UnknownForm(form_byte)),
    };
    let cell_type = bytes.u8()?;
    if cell_type > CELL_F32 {
        return Err(FrameError::UnknownCellType(cell_type));
    }
    let count = usize::from(u16::from_le_bytes(bytes.array()?));
    let from = u64::from_le_bytes(bytes.array()?);
    let covered = u32::from_le_bytes(bytes.array()?);
    let missed = u32::from_le_bytes(bytes.array()?);
    if matches!(form, Form::Raw | Form::Seed) && covered as usize != count {
        return Err(FrameError::NotCovered(stream));
    }
    let digest = if form == Form::Digest { Some(read_digest(bytes)?) } else { None };
    let timestamps = read_timestamps(bytes, stream, count)?;
    let values = if text {
        let mut texts = Vec::with_capacity(count.min(bytes.0.len() / 4));
        for _ in 0..count {
            let length = u32::from_le_bytes(bytes.array()?) as usize;
            texts.push(bytes.string(length)?);
        }
        FrameValues::Texts(texts)
    } else {
        if width == 0 && count > 0 {
            return Err(FrameError::CellsOfText(stream));
        }
        FrameValues::Cells(if cell_type == CELL_F32 {
            let (cells, _) = bytes.take(count * width * 4)?.as_chunks::<4>();
            cells.iter().map(|&cell| f64::from(f32::from_le_bytes(cell))).collect()
        } else {
            let (cells, _) = bytes.take(count * width * 8)?.as_chunks::<8>();
            cells.iter().map(|&cell| f64::from_le_bytes(cell)).collect()
        })
    };
    Ok(FrameSlice { stream, form, from, covered, missed, digest, timestamps, values })
}

fn read_digest(bytes: &mut Bytes<'_>) -> Result<Digest, FrameError> {
    let count = u64::from(u32::from_le_bytes(bytes.array()?));
    let numbers = match bytes.u8()? {
        0 => None,
        1 => {
            let mut number = || Ok(f64::from_le_bytes(bytes.array()?));
            Some(DigestNumbers { avg: number()?, min: number()?, max: number()? })
        }
        other => return Err(FrameError::NotAFlag(other)),
    };
    Ok(Digest { count, numbers })
}

fn read_timestamps(
    bytes: &mut Bytes<'_>,
    stream: StreamId,
    count: usize,
) -> Result<Vec<Timestamp>, FrameError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut at = i64::from_le_bytes(bytes.array()?);
    let (steps, _) = bytes.take(4 * (count - 1))?.as_chunks::<4>();
    let mut timestamps = Vec::with_capacity(count);
    timestamps.push(Timestamp(at));
    for &step in steps {
        at = at
            .checked_add(i64::from(i32::from_le_bytes(step)))
            .ok_or(FrameError::TimestampOverflow(stream))?;
        timestamps.push(Timestamp(at));
    }
    Ok(timestamps)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(FrameError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, FrameError> {
        Ok(self.array::<1>()?[0])
    }

    fn string(&mut self, count: usize) -> Result<String, FrameError> {
        String::from_utf8(self.take(count)?.to_vec()).map_err(|_| FrameError::NotUtf8)
    }
}

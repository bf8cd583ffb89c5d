//! A block: what crossed the door in about a second, in columns. `docs/recording.md` has it byte
//! for byte.
//!
//! Samples are gathered by stream, so that stamps and values stand beside their like; the order
//! in which they came is a column of its own, which is nearly free while the streams take turns.
//! Nothing in a block refers to another.

use std::sync::Arc;

use components::cell::Cell;
use components::id::{FeedId, Handle, ViewerId};
use components::limits::{SHAPE_BYTES_MAX, SHAPE_CELL_COUNT_MAX};
use components::sample::{EngineTime, Payload, SampleBatch, Timestamp};
use components::shape::Shape;
use rustc_hash::FxHashMap;

use super::bytes::{Cursor, Malformed, Parsed, put_signed, put_varint};
use super::lane;

/// Samples in one block. A second of a million sensors at 4 Hz.
pub const BLOCK_SAMPLE_COUNT_MAX: usize = 1 << 22;
/// Cells in one block.
pub const BLOCK_CELL_COUNT_MAX: usize = 1 << 25;
/// Ticks in one block.
pub const BLOCK_TICK_COUNT_MAX: usize = 1 << 20;
/// Streams in one block.
pub const BLOCK_STREAM_COUNT_MAX: usize = 1 << 22;
/// Shapes in one block.
pub const BLOCK_SHAPE_COUNT_MAX: usize = 1 << 16;
/// Bytes of text in one block.
pub const BLOCK_TEXT_BYTES_MAX: usize = 1 << 27;
/// Viewers that are busy in the ticks of one block, counted once for each tick.
pub const BLOCK_BUSY_COUNT_MAX: usize = 1 << 24;

const FORM_SCALAR: u64 = 0;
const FORM_TEXT: u64 = 1;
/// The first shape of the block; the n-th is this and n.
const FORM_SHAPE: u64 = 2;

/// Gathers ticks until the block is written.
#[derive(Debug, Default)]
pub(super) struct Builder {
    first_tick: u64,
    first_now: u64,
    last_now: u64,
    tick_count: usize,
    spoken_count: usize,
    runs: Vec<u8>,
    run: Option<Run>,
    busy: Vec<u8>,
    busy_entry_count: usize,
    busy_count: usize,
    busy_last: Vec<ViewerId>,
    busy_last_at: usize,
    hashes: Vec<(usize, u32)>,
    shapes: Vec<Arc<Shape>>,
    shape_of: FxHashMap<Arc<Shape>, usize>,
    /// The first `stream_count` are of this block; the rest is kept for its room.
    streams: Vec<Gathered>,
    stream_count: usize,
    stream_of: FxHashMap<(FeedId, u16), usize>,
    order: Vec<u8>,
    stream_last: Option<usize>,
    sample_count: usize,
    cell_count: usize,
    text_bytes: usize,
    lane: lane::Scratch,
    column: Vec<u64>,
}

/// Ticks alike, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    count: u64,
    step: u64,
    samples: u64,
}

#[derive(Debug)]
struct Gathered {
    feed: FeedId,
    attribute: u16,
    /// The stream that came behind this one last time.
    next: usize,
    timestamps: Vec<i64>,
    cells: Vec<u64>,
    forms: Vec<(u64, u64)>,
    texts: Vec<(u32, u32)>,
    text: String,
}

impl Builder {
    pub(super) fn tick_count(&self) -> usize {
        self.tick_count
    }

    pub(super) fn sample_count(&self) -> usize {
        self.sample_count
    }

    pub(super) fn first_now(&self) -> EngineTime {
        EngineTime(self.first_now)
    }

    pub(super) fn last_now(&self) -> EngineTime {
        EngineTime(self.last_now)
    }

    pub(super) fn last_tick(&self) -> u64 {
        self.first_tick + self.tick_count as u64 - 1
    }

    /// About how many bytes the block will have.
    pub(super) fn weight(&self) -> usize {
        self.sample_count * 2
            + self.cell_count * 4
            + self.text_bytes
            + self.busy.len()
            + self.runs.len()
    }

    /// Begins the `tick`-th tick of the recording. `spoken`: it has words on the other channel.
    pub(super) fn begin(&mut self, tick: u64, now: EngineTime, samples: usize, spoken: bool) {
        if self.tick_count == 0 {
            self.first_tick = tick;
            self.first_now = now.0;
            self.last_now = now.0;
        }
        let step = now.0 - self.last_now;
        self.last_now = now.0;
        self.tick_count += 1;
        self.spoken_count += usize::from(spoken);
        let samples = samples as u64;
        match &mut self.run {
            Some(run) if run.step == step && run.samples == samples => run.count += 1,
            _ => {
                self.end_run();
                self.run = Some(Run { count: 1, step, samples });
            }
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            put_varint(&mut self.runs, run.count);
            put_varint(&mut self.runs, run.step);
            put_varint(&mut self.runs, run.samples);
        }
    }

    /// These were busy in the tick that was begun.
    pub(super) fn busy(&mut self, viewers: &[ViewerId]) {
        if viewers.is_empty() {
            return;
        }
        let at = self.tick_count - 1;
        put_varint(&mut self.busy, (at - self.busy_last_at) as u64);
        self.busy_last_at = at;
        self.busy_entry_count += 1;
        self.busy_count += viewers.len();
        if self.busy_entry_count > 1 && self.busy_last == viewers {
            return put_varint(&mut self.busy, 0);
        }
        put_varint(&mut self.busy, viewers.len() as u64);
        let mut before = 0;
        for viewer in viewers {
            put_signed(&mut self.busy, i64::from(viewer.0.slot) - before);
            before = i64::from(viewer.0.slot);
            put_varint(&mut self.busy, u64::from(viewer.0.generation));
        }
        self.busy_last.clear();
        self.busy_last.extend_from_slice(viewers);
    }

    /// The rolling hash behind the tick that was begun, if it changed.
    pub(super) fn hashed(&mut self, value: u64) {
        if let Some(at) = self.tick_count.checked_sub(1) {
            self.hashes.push((at, value as u32));
        }
    }

    /// One more sample of the tick that was begun.
    pub(super) fn push(
        &mut self,
        feed: FeedId,
        attribute: u16,
        timestamp: Timestamp,
        payload: Payload<'_>,
    ) {
        let expected = self.stream_last.map_or(0, |last| self.streams[last].next);
        let matches = |stream: &Gathered| stream.feed == feed && stream.attribute == attribute;
        let known = expected < self.stream_count && matches(&self.streams[expected]);
        let stream = if known { expected } else { self.stream(feed, attribute) };
        put_signed(&mut self.order, stream as i64 - expected as i64);
        if let Some(last) = self.stream_last {
            self.streams[last].next = stream;
        }
        self.stream_last = Some(stream);
        self.sample_count += 1;
        let form = match payload {
            Payload::Scalar(_) => FORM_SCALAR,
            Payload::Text { .. } => FORM_TEXT,
            Payload::Shaped { shape, .. } => FORM_SHAPE + self.shape(shape) as u64,
        };
        let stream = &mut self.streams[stream];
        stream.timestamps.push(timestamp.0);
        match stream.forms.last_mut() {
            Some((last, count)) if *last == form => *count += 1,
            _ => stream.forms.push((form, 1)),
        }
        match payload {
            Payload::Scalar(cell) => {
                stream.cells.push(cell.0);
                self.cell_count += 1;
            }
            Payload::Shaped { cells, .. } => {
                stream.cells.extend_from_slice(cells);
                self.cell_count += cells.len();
            }
            Payload::Text { payload, extra } => {
                stream.texts.push((payload.len() as u32, extra.len() as u32));
                stream.text.push_str(payload);
                stream.text.push_str(extra);
                self.text_bytes += payload.len() + extra.len();
            }
        }
    }

    fn stream(&mut self, feed: FeedId, attribute: u16) -> usize {
        let new = self.stream_count;
        let stream = *self.stream_of.entry((feed, attribute)).or_insert(new);
        if stream == new {
            self.stream_count += 1;
            if new == self.streams.len() {
                self.streams.push(Gathered {
                    feed,
                    attribute,
                    next: 0,
                    timestamps: Vec::new(),
                    cells: Vec::new(),
                    forms: Vec::new(),
                    texts: Vec::new(),
                    text: String::new(),
                });
            }
            let stream = &mut self.streams[new];
            (stream.feed, stream.attribute, stream.next) = (feed, attribute, new + 1);
        }
        stream
    }

    fn shape(&mut self, shape: &Arc<Shape>) -> usize {
        if let Some(at) = self.shapes.iter().take(4).position(|known| Arc::ptr_eq(known, shape)) {
            return at;
        }
        let new = self.shapes.len();
        let at = *self.shape_of.entry(Arc::clone(shape)).or_insert(new);
        if at == new {
            self.shapes.push(Arc::clone(shape));
        }
        at
    }

    /// Writes the block, and is empty afterwards. An error: it holds more than a block may.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let fits = self.sample_count <= BLOCK_SAMPLE_COUNT_MAX
            && self.cell_count <= BLOCK_CELL_COUNT_MAX
            && self.shapes.len() <= BLOCK_SHAPE_COUNT_MAX
            && self.text_bytes <= BLOCK_TEXT_BYTES_MAX
            && self.busy_count <= BLOCK_BUSY_COUNT_MAX;
        if !fits {
            return Err("more came in one tick than a recording holds");
        }
        self.end_run();
        put_varint(out, self.first_tick);
        put_varint(out, self.first_now);
        put_varint(out, self.tick_count as u64);
        put_varint(out, self.spoken_count as u64);
        out.append(&mut self.runs);
        put_varint(out, self.busy_entry_count as u64);
        out.append(&mut self.busy);
        put_varint(out, self.hashes.len() as u64);
        let mut before = 0;
        for &(at, _) in &self.hashes {
            put_varint(out, (at - before) as u64);
            before = at;
        }
        out.extend(self.hashes.drain(..).flat_map(|(_, value)| value.to_le_bytes()));
        put_varint(out, self.shapes.len() as u64);
        for shape in &self.shapes {
            put_varint(out, shape.skeleton().len() as u64);
            out.extend_from_slice(shape.skeleton());
        }
        self.write_streams(out);
        out.append(&mut self.order);

        let streams = &mut self.streams[..self.stream_count];
        for &(payload, extra) in streams.iter().flat_map(|stream| &stream.texts) {
            put_varint(out, u64::from(payload));
            put_varint(out, u64::from(extra));
        }
        for stream in streams {
            out.extend_from_slice(stream.text.as_bytes());
            stream.timestamps.clear();
            stream.cells.clear();
            stream.forms.clear();
            stream.texts.clear();
            stream.text.clear();
        }
        self.shapes.clear();
        self.shape_of.clear();
        self.stream_of.clear();
        self.busy_last.clear();
        (self.tick_count, self.spoken_count, self.stream_count) = (0, 0, 0);
        (self.busy_entry_count, self.busy_count, self.busy_last_at) = (0, 0, 0);
        (self.sample_count, self.cell_count, self.text_bytes) = (0, 0, 0);
        self.stream_last = None;
        Ok(())
    }

    fn write_streams(&mut self, out: &mut Vec<u8>) {
        let streams = &self.streams[..self.stream_count];
        put_varint(out, streams.len() as u64);
        let mut before = 0;
        for stream in streams {
            put_signed(out, i64::from(stream.feed.0.slot) - before);
            before = i64::from(stream.feed.0.slot);
        }
        for stream in streams {
            put_varint(out, u64::from(stream.feed.0.generation));
        }
        for stream in streams {
            put_varint(out, u64::from(stream.attribute));
        }
        for stream in streams {
            put_varint(out, stream.timestamps.len() as u64);
        }
        for &(form, count) in streams.iter().flat_map(|stream| &stream.forms) {
            put_varint(out, form);
            put_varint(out, count);
        }
        let (mut first, mut step) = (0i64, 0i64);
        for stream in streams {
            let mut before = first;
            for (n, &timestamp) in stream.timestamps.iter().enumerate() {
                let now = timestamp.wrapping_sub(before);
                if n == 0 {
                    put_signed(out, now);
                    first = timestamp;
                } else {
                    put_signed(out, now.wrapping_sub(step));
                    step = now;
                }
                before = timestamp;
            }
        }
        for stream in streams {
            let mut cells = &stream.cells[..];
            for &(form, count) in &stream.forms {
                let width = match form {
                    FORM_SCALAR => 1,
                    FORM_TEXT => continue,
                    form => self.shapes[(form - FORM_SHAPE) as usize].width(),
                };
                let (run, rest) = cells.split_at(count as usize * width);
                cells = rest;
                for leaf in 0..width {
                    let lane = if width == 1 {
                        run
                    } else {
                        self.column.clear();
                        self.column.extend(run.iter().skip(leaf).step_by(width));
                        &self.column
                    };
                    lane::encode(lane, &mut self.lane, out);
                }
            }
        }
    }
}

/// Equal shapes as one, from block to block.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    known: FxHashMap<Box<[u8]>, Arc<Shape>>,
}

impl Shapes {
    fn get(&mut self, skeleton: &[u8]) -> Parsed<Arc<Shape>> {
        if let Some(shape) = self.known.get(skeleton) {
            return Ok(Arc::clone(shape));
        }
        let shape = Shape::from_skeleton(skeleton);
        if skeleton.len() > SHAPE_BYTES_MAX
            || !(1..=SHAPE_CELL_COUNT_MAX).contains(&shape.width())
            || std::str::from_utf8(skeleton).is_err()
        {
            return Err(Malformed("has a shape that is none"));
        }
        if self.known.len() >= BLOCK_SHAPE_COUNT_MAX {
            self.known.clear();
        }
        let shape = Arc::new(shape);
        self.known.insert(skeleton.into(), Arc::clone(&shape));
        Ok(shape)
    }
}

/// A block that was read, to be gone through tick by tick.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) first_tick: u64,
    pub(super) spoken_count: usize,
    ticks: Vec<Tick>,
    busy: Vec<ViewerId>,
    shapes: Vec<Arc<Shape>>,
    streams: Vec<Stream>,
    forms: Vec<(u64, u64)>,
    timestamps: Vec<i64>,
    cells: Vec<u64>,
    order: Vec<u32>,
    texts: Vec<(usize, usize, usize)>,
    text: Vec<u8>,
    at: usize,
    sample_at: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tick {
    now: u64,
    samples: u32,
    /// In `busy`.
    busy: (u32, u32),
    hash: Option<u32>,
}

/// One stream, and how far it has been given out.
#[derive(Debug, Clone, Copy)]
struct Stream {
    feed: FeedId,
    attribute: u16,
    next: usize,
    timestamp_at: usize,
    cell_at: usize,
    text_at: usize,
    form_at: usize,
    /// Samples left in the run of one form.
    run_left: u64,
}

/// What a block says of one tick besides its samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticked {
    pub(super) tick: u64,
    pub(super) now: EngineTime,
    /// The low half of the rolling hash, if it changed in this tick.
    pub(super) hash: Option<u32>,
}

impl Block {
    pub(super) fn tick_count(&self) -> usize {
        self.ticks.len()
    }

    /// The engine times of its first and last tick.
    pub(super) fn span(&self) -> (EngineTime, EngineTime) {
        let now = |tick: Option<&Tick>| EngineTime(tick.map_or(0, |tick| tick.now));
        (now(self.ticks.first()), now(self.ticks.last()))
    }

    /// Reads a block into this one. An error leaves it empty.
    pub(super) fn read(&mut self, bytes: &[u8], shapes: &mut Shapes) -> Parsed<()> {
        let read = self.parse(Cursor::new(bytes), shapes);
        if read.is_err() {
            self.ticks.clear();
        }
        read
    }

    fn parse(&mut self, mut cursor: Cursor<'_>, shapes: &mut Shapes) -> Parsed<()> {
        let cursor = &mut cursor;
        (self.at, self.sample_at) = (0, 0);
        let sample_count = self.parse_ticks(cursor)?;
        self.parse_busy(cursor)?;
        self.parse_hashes(cursor)?;
        self.shapes.clear();
        for _ in 0..cursor.count(BLOCK_SHAPE_COUNT_MAX, "has too many shapes")? {
            let bytes = cursor.count(SHAPE_BYTES_MAX, "has too long a shape")?;
            self.shapes.push(shapes.get(cursor.take(bytes)?)?);
        }
        let text_count = self.parse_streams(cursor, sample_count)?;
        self.parse_timestamps(cursor, sample_count)?;
        self.parse_cells(cursor)?;
        self.parse_order(cursor, sample_count)?;
        self.parse_texts(cursor, text_count)?;
        if cursor.is_empty() { Ok(()) } else { Err(Malformed("goes on behind its end")) }
    }

    fn parse_ticks(&mut self, cursor: &mut Cursor<'_>) -> Parsed<usize> {
        self.first_tick = cursor.varint()?;
        let mut now = cursor.varint()?;
        let tick_count = cursor.count(BLOCK_TICK_COUNT_MAX, "has too many ticks")?;
        self.spoken_count = cursor.count(tick_count, "speaks in more ticks than it has")?;
        if self.first_tick == 0
            || tick_count == 0
            || self.first_tick.checked_add(tick_count as u64).is_none()
        {
            return Err(Malformed("has no ticks"));
        }
        self.ticks.clear();
        let mut sample_count = 0usize;
        while self.ticks.len() < tick_count {
            let left = tick_count - self.ticks.len();
            let count = cursor.count(left, "has a run of too many ticks")?;
            let step = cursor.varint()?;
            let samples = cursor.count(BLOCK_SAMPLE_COUNT_MAX, TOO_MANY)?;
            if count == 0 {
                return Err(Malformed("has a run of no ticks"));
            }
            for _ in 0..count {
                now = now.checked_add(step).ok_or(Malformed("has a time beyond all time"))?;
                sample_count += samples;
                self.ticks.push(Tick { now, samples: samples as u32, ..Tick::default() });
            }
            if sample_count > BLOCK_SAMPLE_COUNT_MAX {
                return Err(Malformed(TOO_MANY));
            }
        }
        Ok(sample_count)
    }

    fn parse_busy(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        self.busy.clear();
        let (mut at, mut last) = (0usize, (0u32, 0u32));
        let mut total = 0;
        for entry in 0..cursor.count(self.ticks.len(), "is busy in more ticks than it has")? {
            let step = cursor.count(BLOCK_TICK_COUNT_MAX, "has too many ticks")?;
            if entry > 0 && step == 0 {
                return Err(Malformed("is busy twice in a tick"));
            }
            at += step;
            let count = cursor.count(BLOCK_BUSY_COUNT_MAX, "has too many busy viewers")?;
            if count > 0 {
                let start = self.busy.len() as u32;
                let mut slot = 0i64;
                for _ in 0..count {
                    slot = slot.wrapping_add(cursor.signed()?);
                    let handle = Handle { slot: u32_of(slot)?, generation: generation(cursor)? };
                    self.busy.push(ViewerId(handle));
                }
                last = (start, self.busy.len() as u32);
            }
            total += (last.1 - last.0) as usize;
            let tick = self.ticks.get_mut(at);
            tick.ok_or(Malformed("is busy in a tick it does not have"))?.busy = last;
        }
        if total > BLOCK_BUSY_COUNT_MAX {
            return Err(Malformed("has too many busy viewers"));
        }
        Ok(())
    }

    fn parse_hashes(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let count = cursor.count(self.ticks.len(), "has more hashes than ticks")?;
        let mut places = *cursor;
        for _ in 0..count {
            cursor.varint()?;
        }
        let mut at = 0usize;
        for _ in 0..count {
            at += places.count(BLOCK_TICK_COUNT_MAX, "has too many ticks")?;
            let tick = self.ticks.get_mut(at);
            tick.ok_or(Malformed("has a hash of a tick it does not have"))?.hash =
                Some(cursor.u32()?);
        }
        Ok(())
    }

    /// Addresses, counts and forms. How many samples are text.
    fn parse_streams(&mut self, cursor: &mut Cursor<'_>, samples: usize) -> Parsed<usize> {
        let max = samples.min(BLOCK_STREAM_COUNT_MAX);
        let count = cursor.count(max, "has more streams than samples")?;
        self.streams.clear();
        let mut slot = 0i64;
        for n in 0..count {
            slot = slot.wrapping_add(cursor.signed()?);
            self.streams.push(Stream {
                feed: FeedId(Handle { slot: u32_of(slot)?, generation: 0 }),
                attribute: 0,
                next: n + 1,
                timestamp_at: 0,
                cell_at: 0,
                text_at: 0,
                form_at: 0,
                run_left: 0,
            });
        }
        for stream in &mut self.streams {
            stream.feed.0.generation = generation(cursor)?;
        }
        for stream in &mut self.streams {
            let attribute = cursor.count(u16::MAX.into(), "has too large an attribute index")?;
            stream.attribute = attribute as u16;
        }
        let mut whole = 0usize;
        for stream in &mut self.streams {
            stream.timestamp_at = whole;
            whole += cursor.count(samples, TOO_MANY)?;
            if whole == stream.timestamp_at || whole > samples {
                return Err(Malformed("has streams that do not add up to its samples"));
            }
        }
        if whole != samples {
            return Err(Malformed("has streams that do not add up to its samples"));
        }
        self.forms.clear();
        let (mut cells, mut texts) = (0usize, 0usize);
        for at in 0..count {
            let end = self.streams.get(at + 1).map_or(samples, |next| next.timestamp_at);
            let stream = &mut self.streams[at];
            (stream.cell_at, stream.text_at, stream.form_at) = (cells, texts, self.forms.len());
            let mut left = (end - stream.timestamp_at) as u64;
            while left > 0 {
                let (form, run) = (cursor.varint()?, cursor.varint()?);
                if run == 0 || run > left {
                    return Err(Malformed("has forms that do not add up to its samples"));
                }
                left -= run;
                let width = match form {
                    FORM_SCALAR => 1,
                    FORM_TEXT => 0,
                    form => shape_at(&self.shapes, form)?.width(),
                };
                cells += run as usize * width;
                texts += if form == FORM_TEXT { run as usize } else { 0 };
                self.forms.push((form, run));
            }
            stream.run_left = self.forms[stream.form_at].1;
        }
        // Each takes at least a byte: what is claimed must be there.
        if cells > BLOCK_CELL_COUNT_MAX.min(cursor.left()) {
            return Err(Malformed("has too many cells"));
        }
        self.cells.clear();
        self.cells.resize(cells, 0);
        Ok(texts)
    }

    fn parse_timestamps(&mut self, cursor: &mut Cursor<'_>, samples: usize) -> Parsed<()> {
        // Each takes at least a byte.
        if samples > cursor.left() {
            return Err(Malformed("ends before its time"));
        }
        self.timestamps.clear();
        self.timestamps.reserve(samples);
        let (mut first, mut step) = (0i64, 0i64);
        for at in 0..self.streams.len() {
            let start = self.streams[at].timestamp_at;
            let end = self.streams.get(at + 1).map_or(samples, |next| next.timestamp_at);
            first = first.wrapping_add(cursor.signed()?);
            self.timestamps.push(first);
            let mut timestamp = first;
            for _ in start + 1..end {
                step = step.wrapping_add(cursor.signed()?);
                timestamp = timestamp.wrapping_add(step);
                self.timestamps.push(timestamp);
            }
        }
        Ok(())
    }

    fn parse_cells(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let mut cells = &mut self.cells[..];
        for &(form, run) in &self.forms {
            let width = match form {
                FORM_SCALAR => 1,
                FORM_TEXT => continue,
                form => shape_at(&self.shapes, form)?.width(),
            };
            let (mine, rest) = cells.split_at_mut(run as usize * width);
            for leaf in 0..width {
                lane::decode(cursor, run as usize, width, &mut mine[leaf..])?;
            }
            cells = rest;
        }
        Ok(())
    }

    fn parse_order(&mut self, cursor: &mut Cursor<'_>, samples: usize) -> Parsed<()> {
        if samples > cursor.left() {
            return Err(Malformed("ends before its time"));
        }
        let mut left: Vec<usize> = Vec::with_capacity(self.streams.len());
        for at in 0..self.streams.len() {
            let end = self.streams.get(at + 1).map_or(samples, |next| next.timestamp_at);
            left.push(end - self.streams[at].timestamp_at);
        }
        self.order.clear();
        self.order.reserve(samples);
        let (mut last, mut expected) = (None, 0usize);
        for _ in 0..samples {
            let at = (expected as i64).wrapping_add(cursor.signed()?);
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            match left.get_mut(at) {
                Some(left) if *left > 0 => *left -= 1,
                _ => return Err(Malformed("has an order that is none")),
            }
            self.order.push(at as u32);
            if let Some(last) = last {
                let last: &mut Stream = &mut self.streams[last];
                last.next = at;
            }
            last = Some(at);
            expected = self.streams[at].next;
        }
        Ok(())
    }

    fn parse_texts(&mut self, cursor: &mut Cursor<'_>, count: usize) -> Parsed<()> {
        self.texts.clear();
        let mut bytes = 0usize;
        for _ in 0..count {
            let payload = cursor.count(BLOCK_TEXT_BYTES_MAX, "has too long a text")?;
            let extra = cursor.count(BLOCK_TEXT_BYTES_MAX, "has too long a text")?;
            self.texts.push((bytes, bytes + payload, bytes + payload + extra));
            bytes += payload + extra;
        }
        if bytes > BLOCK_TEXT_BYTES_MAX {
            return Err(Malformed("has too much text"));
        }
        self.text.clear();
        self.text.extend_from_slice(cursor.take(bytes)?);
        for &(start, middle, end) in &self.texts {
            let whole = |range| std::str::from_utf8(range).is_ok();
            if !whole(&self.text[start..middle]) || !whole(&self.text[middle..end]) {
                return Err(Malformed("has text that is not UTF-8"));
            }
        }
        Ok(())
    }

    /// The next tick: its samples behind those in `samples`, its busy viewers behind `busy`.
    pub(super) fn next(
        &mut self,
        samples: &mut SampleBatch,
        busy: &mut Vec<ViewerId>,
    ) -> Option<Ticked> {
        let tick = *self.ticks.get(self.at)?;
        let number = self.first_tick + self.at as u64;
        self.at += 1;
        busy.extend_from_slice(&self.busy[tick.busy.0 as usize..tick.busy.1 as usize]);
        let end = self.sample_at + tick.samples as usize;
        for &stream in &self.order[self.sample_at..end] {
            let stream = &mut self.streams[stream as usize];
            if stream.run_left == 0 {
                stream.form_at += 1;
                stream.run_left = self.forms[stream.form_at].1;
            }
            stream.run_left -= 1;
            let timestamp = Timestamp(self.timestamps[stream.timestamp_at]);
            stream.timestamp_at += 1;
            let payload = match self.forms[stream.form_at].0 {
                FORM_SCALAR => {
                    stream.cell_at += 1;
                    Payload::Scalar(Cell(self.cells[stream.cell_at - 1]))
                }
                FORM_TEXT => {
                    let (start, middle, end) = self.texts[stream.text_at];
                    stream.text_at += 1;
                    let text = |range| std::str::from_utf8(range).unwrap_or_default();
                    Payload::Text {
                        payload: text(&self.text[start..middle]),
                        extra: text(&self.text[middle..end]),
                    }
                }
                form => {
                    let shape = &self.shapes[(form - FORM_SHAPE) as usize];
                    let start = stream.cell_at;
                    stream.cell_at += shape.width();
                    Payload::Shaped { shape, cells: &self.cells[start..stream.cell_at] }
                }
            };
            samples.push(stream.feed, stream.attribute, timestamp, payload);
        }
        self.sample_at = end;
        Some(Ticked { tick: number, now: EngineTime(tick.now), hash: tick.hash })
    }
}

const TOO_MANY: &str = "has too many samples";

fn shape_at(shapes: &[Arc<Shape>], form: u64) -> Parsed<&Arc<Shape>> {
    let at = usize::try_from(form - FORM_SHAPE).unwrap_or(usize::MAX);
    shapes.get(at).ok_or(Malformed("has a form that there is not"))
}

fn u32_of(number: i64) -> Parsed<u32> {
    u32::try_from(number).map_err(|_| Malformed("has a handle that is none"))
}

fn generation(cursor: &mut Cursor<'_>) -> Parsed<u32> {
    u32::try_from(cursor.varint()?).map_err(|_| Malformed("has a handle that is none"))
}

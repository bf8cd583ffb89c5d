//! Reads a recording, whole or cut off, and stops with a sentence where it is damaged.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use components::command::{Command, Inputs, Refused};
use components::sample::EngineTime;
use rustc_hash::FxHashMap;

use super::block::{Block, Shapes};
use super::bytes::{Cursor, Malformed};
use super::container::{self as c, ChunkHead, Head, Source};
use super::header::{Header, SCENARIO_BYTES_MAX, SNAPSHOT_BYTES_MAX, Summary, hash_of};
use super::words::{Spoken, WORDS_BYTES_MAX};
use super::write::unix_ns;
use super::{
    ATTACHMENT_DEVICES, ATTACHMENT_SCENARIO, ATTACHMENT_SNAPSHOT, METADATA_HEADER,
    METADATA_SUMMARY, Mark, PROFILE, RecordingError, TOPIC_COMMANDS, TOPIC_HASH, TOPIC_SAMPLES,
};

/// Chunks of one recording: two years of seconds.
const CHUNK_COUNT_MAX: usize = 1 << 26;
/// Bytes that are read at once where all are read.
const VERIFY_BYTES: u64 = 1 << 20;
/// Records in a row of which none is a chunk. A chunk of ours has a handful behind it.
const STRAY_COUNT_MAX: usize = 1 << 12;
/// Damaged chunks at the end of a cut recording, before which its summary is looked for.
const SUMMED_CHUNK_COUNT_MAX: usize = 64;
/// Channels of one file.
const CHANNEL_COUNT_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Reader<R = File> {
    source: Source<R>,
    header: Header,
    summary: Summary,
    channels: FxHashMap<u16, Topic>,
    chunks: Vec<Chunk>,
    /// The chunk that is read next.
    chunk_at: usize,
    shapes: Shapes,
    block: Block,
    pending: Pending,
    /// The tick that was given out last.
    tick: u64,
    now: EngineTime,
    /// The hash behind that tick, so far as it is known.
    low: Option<u32>,
    /// The next block need not go on where the last one ended.
    jumped: bool,
    /// Where it cannot be read further, and why.
    stop: Option<(u64, String)>,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Commands,
    Samples,
    Hash,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    head: Head,
    start_ns: u64,
    /// The channels with messages in it, as its index says; `None`: it has none.
    channels: Option<[u16; CHANNEL_COUNT]>,
}

/// Channels that a chunk of ours may have messages on.
const CHANNEL_COUNT: usize = 3;
/// Stands where there is no channel.
const NO_CHANNEL: u16 = u16::MAX;

/// What was read and not given out.
#[derive(Debug, Default)]
struct Pending {
    words: VecDeque<Words>,
    /// The hash behind the block's last tick.
    hash: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Words {
    tick: u64,
    commands: Vec<Command>,
    refused: Vec<Refused>,
}

/// What a recording says the rolling hash is behind a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The low half, which stands at every tick.
    pub low: u32,
    /// The whole, which stands once a second.
    pub whole: Option<u64>,
}

impl Proof {
    pub fn agrees(&self, hash: u64) -> bool {
        self.low == hash as u32 && self.whole.is_none_or(|whole| whole == hash)
    }
}

impl Reader<File> {
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::new(plain_file(path)?)
    }

    /// As [`open`](Self::open), for who has no engine: its state is not unpacked, however large
    /// the file says it is.
    pub fn open_without_state(path: &Path) -> Result<Self, RecordingError> {
        Self::read(plain_file(path)?, State::Left)
    }
}

/// What is no file is not even opened: a pipe would wait there for its other end.
fn plain_file(path: &Path) -> Result<File, RecordingError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(RecordingError::NotAFile);
    }
    Ok(File::open(path)?)
}

/// What becomes of the engine's state in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unpacked,
    Left,
}

impl<R: Read + Seek> Reader<R> {
    pub fn new(inner: R) -> Result<Self, RecordingError> {
        Self::read(inner, State::Unpacked)
    }

    fn read(inner: R, state: State) -> Result<Self, RecordingError> {
        let mut source = Source::new(inner)?;
        let opened = Opening::read(&mut source, state)?;
        let mut reader = Self {
            source,
            header: opened.header,
            summary: Summary::default(),
            channels: FxHashMap::default(),
            chunks: Vec::new(),
            chunk_at: 0,
            shapes: Shapes::default(),
            block: Block::default(),
            pending: Pending::default(),
            tick: 0,
            now: EngineTime::default(),
            low: Some(0),
            jumped: false,
            stop: None,
            packed: Vec::new(),
            unpacked: Vec::new(),
        };
        let end = reader.read_summary().unwrap_or(None);
        let whole = end.is_some();
        reader.list_chunks(opened.data_at, end)?;
        reader.read_channels()?;
        if !whole {
            reader.summary = reader.sum_up()?;
        }
        Ok(reader)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// The next tick: what went in is put behind what is in `inputs`. `None` at the end, which of
    /// a cut recording is the last whole second. After an error there is nothing more.
    pub fn next(&mut self, inputs: &mut Inputs) -> Result<Option<EngineTime>, RecordingError> {
        loop {
            if let Some(ticked) = self.block.next(&mut inputs.samples, &mut inputs.busy) {
                self.tick = ticked.tick;
                self.now = ticked.now;
                if ticked.hash.is_some() {
                    self.low = ticked.hash;
                }
                if let Some(words) =
                    self.pending.words.pop_front_if(|words| words.tick == ticked.tick)
                {
                    inputs.commands.extend(words.commands);
                    inputs.refused.extend(words.refused);
                }
                return Ok(Some(ticked.now));
            }
            if let Some((at, what)) = &self.stop {
                return Err(RecordingError::Damaged { at: *at, what: what.clone() });
            }
            let Some(&chunk) = self.chunks.get(self.chunk_at) else {
                let Summary { complete, ticks, .. } = self.summary;
                if complete && self.tick != ticks && !self.jumped {
                    let at = self.chunks.last().map_or(0, |last| last.head.end());
                    let what = format!("ends with tick {} of {ticks}", self.tick);
                    return Err(RecordingError::Damaged { at, what });
                }
                return Ok(None);
            };
            self.chunk_at += 1;
            if let Err(error) = self.read_chunk(chunk) {
                let RecordingError::Damaged { at, what } = error else { return Err(error) };
                self.stop = Some((at, what));
            }
        }
    }

    /// What the hash should be behind the tick that [`next`](Self::next) gave last; `None` when
    /// nothing was hashed.
    pub fn proof(&self) -> Option<Proof> {
        let whole = self.pending.hash.filter(|(tick, _)| *tick == self.tick).map(|(_, hash)| hash);
        self.summary.hash.and(self.low).map(|low| Proof { low, whole })
    }

    /// Goes to the second in which `to` lies: [`next`](Self::next) goes on with its first tick.
    /// What was before is not known then, and no hash is either.
    pub fn seek(&mut self, to: EngineTime) {
        let to = unix_ns(self.header.epoch_unix_ms, to);
        self.chunk_at = self.chunks.partition_point(|chunk| chunk.start_ns <= to).saturating_sub(1);
        self.block = Block::default();
        self.pending = Pending::default();
        (self.stop, self.low) = (None, None);
        (self.tick, self.now) = (0, EngineTime::default());
        self.jumped = true;
    }

    /// Everything that was said in ticks before `to`, in order, without the samples; and before
    /// all of it, the devices that were there when the recording began. What is
    /// damaged is left out. Where `next` goes on is not told: [`seek`](Self::seek) afterwards.
    pub fn commands_before(
        &mut self,
        to: EngineTime,
        heard: &mut dyn FnMut(Command),
    ) -> Result<(), RecordingError> {
        self.header.devices.iter().cloned().for_each(&mut *heard);
        let until = unix_ns(self.header.epoch_unix_ms, to);
        for at in 0..self.chunks.len() {
            let chunk = self.chunks[at];
            if chunk.start_ns > until {
                break;
            }
            let spoken = chunk.channels.is_none_or(|ids| {
                let topic = |id: &u16| self.channels.get(id);
                ids.iter().any(|id| topic(id).is_some_and(|topic| *topic == Topic::Commands))
            });
            if !spoken || self.unpack(chunk).is_err() {
                continue;
            }
            let mut words_bytes = 0;
            for message in timed_messages(&self.unpacked, &mut self.channels) {
                let Ok((Topic::Commands, time, data)) = message else { continue };
                words_bytes += data.len();
                if time >= until || words_bytes > WORDS_BYTES_MAX {
                    break;
                }
                let mut commands = Vec::new();
                if let Ok(spoken) = serde_json::from_slice::<Spoken<'_>>(data)
                    && spoken.give(&mut commands, &mut Vec::new()).is_ok()
                {
                    commands.drain(..).for_each(&mut *heard);
                }
            }
        }
        Ok(())
    }

    /// Whether every byte of a finished recording is as it was written, those included on which
    /// nothing hangs; read anew from its beginning. A cut one has no checksum of the whole.
    pub fn verify(&mut self) -> Result<bool, RecordingError> {
        let Some(end) = self.chunks.last().map(|chunk| chunk.head.end()) else { return Ok(true) };
        // Behind the last chunk: its index, our summary, then the end of the data.
        let mut at = end;
        let data_end = loop {
            match self.source.head(at)? {
                Some(head) if head.op == c::DATA_END && head.bytes == 4 => break head,
                Some(head) if head.op != c::FOOTER => at = head.end(),
                _ => return Ok(!self.summary.complete),
            }
        };
        let mut bytes = Vec::new();
        self.source.read(data_end.at, 4, &mut bytes)?;
        let crc = Cursor::new(&bytes).u32().unwrap_or(0);
        let mut hasher = crc32fast::Hasher::new();
        let end = data_end.at - c::HEAD_BYTES;
        let mut at = 0;
        while at < end {
            let piece = (end - at).min(VERIFY_BYTES);
            self.source.read(at, piece, &mut bytes)?;
            hasher.update(&bytes);
            at += piece;
        }
        Ok(crc == 0 || crc == hasher.finalize())
    }

    /// The number of the tick that [`next`](Self::next) gave last, from 1.
    pub fn tick(&self) -> u64 {
        self.tick
    }
}

/// What stands before the first chunk.
struct Opening {
    header: Header,
    data_at: u64,
}

impl Opening {
    fn read<R: Read + Seek>(source: &mut Source<R>, state: State) -> Result<Self, RecordingError> {
        let magic = c::MAGIC.len() as u64;
        let mut bytes = Vec::new();
        if source.bytes() < magic {
            return Err(RecordingError::NotMcap);
        }
        source.read(0, magic, &mut bytes)?;
        if bytes != c::MAGIC {
            return Err(RecordingError::NotMcap);
        }
        let mut at = magic;
        let mut profiled = false;
        let mut header: Option<(Header, usize)> = None;
        let mut records = 0;
        while let Some(head) = source.head(at)? {
            records += 1;
            if records > STRAY_COUNT_MAX {
                let what =
                    format!("more than {STRAY_COUNT_MAX} records stand before its first chunk");
                return Err(RecordingError::Foreign(what));
            }
            let damaged = |Malformed(what)| RecordingError::Damaged { at, what: what.into() };
            match head.op {
                c::HEADER => {
                    source.content(head, c::RECORD_BYTES_MAX, &mut bytes)?;
                    let profile = Cursor::new(&bytes).string().map_err(damaged)?;
                    if profile != PROFILE {
                        let what = format!("its MCAP profile is {:?}", shortened(profile));
                        return Err(RecordingError::Foreign(what));
                    }
                    profiled = true;
                }
                _ if !profiled => {
                    let what = "its MCAP header is not where it belongs";
                    return Err(RecordingError::Foreign(what.into()));
                }
                c::METADATA => {
                    source.content(head, c::RECORD_BYTES_MAX, &mut bytes)?;
                    let (name, entries) = c::metadata(&bytes).map_err(damaged)?;
                    if name == METADATA_HEADER {
                        header = Some(Header::from_metadata(&entries)?);
                    }
                }
                // The name stands near the beginning; a state that nobody wants is not even read.
                c::ATTACHMENT if state == State::Left && is_snapshot(source, head)? => {}
                c::ATTACHMENT => {
                    source.content(head, c::ATTACHMENT_BYTES_MAX, &mut bytes)?;
                    let (name, data) = c::attachment(&bytes).map_err(damaged)?;
                    if let Some((header, snapshot_bytes)) = &mut header {
                        header.attach(name, data, *snapshot_bytes)?;
                    }
                }
                c::CHUNK | c::DATA_END | c::FOOTER => break,
                _ => {}
            }
            at = head.end();
        }
        let Some((header, snapshot_bytes)) = header else {
            return Err(if profiled && source.head(at)?.is_some() {
                RecordingError::Foreign(format!("it has no metadata `{METADATA_HEADER}`"))
            } else {
                RecordingError::Cut
            });
        };
        if state == State::Unpacked && snapshot_bytes > 0 && header.snapshot.is_none() {
            return Err(RecordingError::Cut);
        }
        Ok(Self { header, data_at: at })
    }
}

/// Whether an attachment is the engine's state, by its name.
fn is_snapshot<R: Read + Seek>(source: &mut Source<R>, head: Head) -> std::io::Result<bool> {
    // Two times and a length stand before the name.
    let bytes = head.bytes.min(16 + 4 + ATTACHMENT_SNAPSHOT.len() as u64);
    let mut start = Vec::new();
    source.read(head.at, bytes, &mut start)?;
    let mut cursor = Cursor::new(&start);
    Ok(cursor.take(16).is_ok() && cursor.string() == Ok(ATTACHMENT_SNAPSHOT))
}

impl Header {
    fn attach(
        &mut self,
        name: &str,
        data: &[u8],
        snapshot_bytes: usize,
    ) -> Result<(), RecordingError> {
        match name {
            ATTACHMENT_SCENARIO => {
                let text = std::str::from_utf8(data).ok();
                let text = text.filter(|text| text.len() <= SCENARIO_BYTES_MAX);
                let what = || RecordingError::Header("its scenario is no text, or too long".into());
                self.scenario = Some(text.ok_or_else(what)?.into());
            }
            ATTACHMENT_DEVICES => {
                let what = || RecordingError::Header("its list of devices is none".into());
                if data.len() > WORDS_BYTES_MAX {
                    return Err(what());
                }
                let words: Spoken<'_> = serde_json::from_slice(data).map_err(|_| what())?;
                words.give(&mut self.devices, &mut Vec::new()).map_err(|_| what())?;
            }
            ATTACHMENT_SNAPSHOT => {
                let what = || RecordingError::Header("its snapshot does not unpack".into());
                if snapshot_bytes > SNAPSHOT_BYTES_MAX {
                    return Err(RecordingError::Header("its snapshot is too large".into()));
                }
                let unpacked = zstd::stream::read::Decoder::new(data).map_err(|_| what())?;
                self.snapshot = Some(filled(unpacked, snapshot_bytes).map_err(|_| what())?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// All that `from` gives, which must be `bytes`. Room is made as it is filled, and never for more.
fn filled(mut from: impl Read, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < bytes {
        let piece = all.len().max(VERIFY_BYTES as usize).min(bytes - all.len());
        all.reserve_exact(piece);
        if from.by_ref().take(piece as u64).read_to_end(&mut all)? < piece {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    match from.read(&mut [0])? {
        0 => Ok(all),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

impl<R: Read + Seek> Reader<R> {
    /// Where the first chunk and its index end.
    #[cfg(test)]
    pub(super) fn first_chunk_end(&self) -> u64 {
        self.chunks[0].head.end()
    }

    /// The summary of a finished recording, and where its data end. `None`: it is not finished.
    fn read_summary(&mut self) -> Result<Option<u64>, RecordingError> {
        let magic = c::MAGIC.len() as u64;
        let Some(at) = self.source.bytes().checked_sub(magic + c::FOOTER_BYTES) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.source.read(at + c::FOOTER_BYTES, magic, &mut bytes)?;
        if bytes != c::MAGIC {
            return Ok(None);
        }
        let footer = self.source.head(at)?;
        let Some(footer) = footer.filter(|head| head.op == c::FOOTER && head.bytes == 20) else {
            return Ok(None);
        };
        self.source.read(footer.at, footer.bytes, &mut bytes)?;
        let mut cursor = Cursor::new(&bytes);
        let start = cursor.u64().unwrap_or(0);
        if start == 0 || start > at || at - start > c::SUMMARY_BYTES_MAX {
            return Ok(None);
        }
        // The checksum covers the summary and the footer up to itself.
        let crc = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        self.source.read(start, at - start + c::HEAD_BYTES + 16, &mut bytes)?;
        if crc != 0 && crc != crc32fast::hash(&bytes) {
            return Ok(None);
        }
        bytes.truncate((at - start) as usize);
        let mut found = None;
        for record in c::records(&bytes) {
            let Ok((op, content)) = record else { return Ok(None) };
            if op == c::METADATA_INDEX {
                let mut cursor = Cursor::new(content);
                let (Ok(offset), Ok(_), Ok(name)) = (cursor.u64(), cursor.u64(), cursor.string())
                else {
                    return Ok(None);
                };
                if name == METADATA_SUMMARY {
                    found = Some(offset);
                }
            }
        }
        let Some(offset) = found else { return Ok(None) };
        let Some(head) = self.source.head(offset)?.filter(|head| head.op == c::METADATA) else {
            return Ok(None);
        };
        self.source.content(head, c::RECORD_BYTES_MAX, &mut bytes)?;
        let Ok((METADATA_SUMMARY, entries)) = c::metadata(&bytes) else { return Ok(None) };
        self.summary = Summary::from_metadata(&entries)?;
        Ok(Some(offset))
    }

    /// Notes every chunk from `at` to `end`, or to where the file is cut.
    fn list_chunks(&mut self, mut at: u64, end: Option<u64>) -> Result<(), RecordingError> {
        let mut bytes = Vec::new();
        let end = end.unwrap_or(u64::MAX);
        let mut strays = 0;
        while at < end
            && strays < STRAY_COUNT_MAX
            && let Some(head) = self.source.head(at)?
            && self.chunks.len() < CHUNK_COUNT_MAX
        {
            strays = if head.op == c::CHUNK { 0 } else { strays + 1 };
            match head.op {
                c::DATA_END | c::FOOTER => break,
                c::CHUNK if head.bytes >= c::CHUNK_HEAD_BYTES => {
                    self.source.read(head.at, c::CHUNK_HEAD_BYTES, &mut bytes)?;
                    if let Ok(chunk) = ChunkHead::parse(&mut Cursor::new(&bytes)) {
                        let start_ns = chunk.start_ns;
                        self.chunks.push(Chunk { head, start_ns, channels: None });
                    }
                }
                c::MESSAGE_INDEX if head.bytes >= 2 => {
                    self.source.read(head.at, 2, &mut bytes)?;
                    let id = u16::from_le_bytes([bytes[0], bytes[1]]);
                    if let Some(chunk) = self.chunks.last_mut() {
                        let channels = chunk.channels.get_or_insert([NO_CHANNEL; CHANNEL_COUNT]);
                        if let Some(place) = channels.iter_mut().find(|at| **at == NO_CHANNEL) {
                            *place = id;
                        }
                    }
                }
                _ => {}
            }
            at = head.end();
        }
        Ok(())
    }

    /// The summary of a recording that has none: what its last whole chunk says.
    fn sum_up(&mut self) -> Result<Summary, RecordingError> {
        let mut summary = Summary::default();
        for at in (0..self.chunks.len()).rev().take(SUMMED_CHUNK_COUNT_MAX) {
            let chunk = self.chunks[at];
            if self.unpack(chunk).is_err() {
                continue;
            }
            let mark = messages(&self.unpacked, &mut self.channels)
                .filter_map(Result::ok)
                .filter(|(topic, _)| *topic == Topic::Hash)
                .filter_map(|(_, data)| serde_json::from_slice::<Mark>(data).ok())
                .last();
            if let Some(mark) = mark {
                summary = Summary {
                    ticks: mark.tick,
                    samples: mark.samples,
                    commands: mark.commands,
                    sensors: mark.sensors,
                    first: EngineTime(mark.first_engine_us),
                    last: EngineTime(mark.engine_us),
                    hash: mark.hash.as_deref().and_then(hash_of),
                    complete: false,
                };
                break;
            }
        }
        Ok(summary)
    }

    /// The channels stand in the first chunk.
    fn read_channels(&mut self) -> Result<(), RecordingError> {
        if let Some(&first) = self.chunks.first()
            && self.unpack(first).is_ok()
        {
            messages(&self.unpacked, &mut self.channels).for_each(drop);
        }
        Ok(())
    }

    fn unpack(&mut self, chunk: Chunk) -> Result<(), RecordingError> {
        self.source.content(chunk.head, c::CHUNK_BYTES_MAX, &mut self.packed)?;
        c::unpack(&self.packed, &mut self.unpacked).map_err(damaged(chunk))
    }

    fn read_chunk(&mut self, chunk: Chunk) -> Result<(), RecordingError> {
        self.unpack(chunk)?;
        let broken = |what: String| RecordingError::Damaged { at: chunk.head.at, what };
        let mut samples = None;
        let mut words_bytes = 0;
        for message in messages(&self.unpacked, &mut self.channels) {
            let (topic, data) = message.map_err(damaged(chunk))?;
            match topic {
                Topic::Commands => {
                    words_bytes += data.len();
                    if words_bytes > WORDS_BYTES_MAX {
                        return Err(broken("has too many words".into()));
                    }
                    let spoken: Spoken<'_> = serde_json::from_slice(data)
                        .map_err(|error| broken(format!("has words that are none: {error}")))?;
                    let tick = spoken.tick;
                    let (mut commands, mut refused) = (Vec::new(), Vec::new());
                    spoken
                        .give(&mut commands, &mut refused)
                        .map_err(|what| broken(format!("has words not understood: {what}")))?;
                    self.pending.words.push_back(Words { tick, commands, refused });
                }
                Topic::Samples if samples.is_some() => {
                    return Err(broken("has two blocks in one chunk".into()));
                }
                Topic::Samples => samples = Some(data),
                Topic::Hash => {
                    let mark: Mark = serde_json::from_slice(data)
                        .map_err(|error| broken(format!("has a mark that is none: {error}")))?;
                    let hash = mark.hash.as_deref().and_then(hash_of);
                    self.pending.hash = hash.map(|hash| (mark.tick, hash));
                }
                Topic::Other => {}
            }
        }
        if let Some(data) = samples {
            self.block.read(data, &mut self.shapes).map_err(damaged(chunk))?;
            if std::mem::take(&mut self.jumped) {
                self.tick = self.block.first_tick - 1;
            }
            if let Err(what) = self.fits() {
                self.block = Block::default();
                return Err(broken(what));
            }
        }
        Ok(())
    }

    /// Whether the block that was read goes on where the last one ended.
    fn fits(&self) -> Result<(), String> {
        let (block, words) = (&self.block, &self.pending.words);
        if block.first_tick != self.tick + 1 {
            return Err(format!("goes on with tick {} after {}", block.first_tick, self.tick));
        }
        if block.span().0 < self.now {
            return Err("goes back in time".into());
        }
        let ticks = block.first_tick..block.first_tick + block.tick_count() as u64;
        let in_order = words.iter().zip(words.iter().skip(1)).all(|(a, b)| a.tick < b.tick);
        let all_within = words.iter().all(|words| ticks.contains(&words.tick));
        if words.len() != block.spoken_count || !in_order || !all_within {
            return Err("has not all the words of its ticks".into());
        }
        Ok(())
    }
}

fn damaged(chunk: Chunk) -> impl Fn(Malformed) -> RecordingError {
    move |Malformed(what)| RecordingError::Damaged { at: chunk.head.at, what: what.into() }
}

/// The messages of a chunk, by topic. Its channels are noted on the way.
fn messages<'a>(
    chunk: &'a [u8],
    channels: &'a mut FxHashMap<u16, Topic>,
) -> impl Iterator<Item = Result<(Topic, &'a [u8]), Malformed>> {
    timed_messages(chunk, channels).map(|message| message.map(|(topic, _, data)| (topic, data)))
}

/// As [`messages`], with the time of each in unix nanoseconds.
fn timed_messages<'a>(
    chunk: &'a [u8],
    channels: &'a mut FxHashMap<u16, Topic>,
) -> impl Iterator<Item = Result<(Topic, u64, &'a [u8]), Malformed>> {
    c::records(chunk).filter_map(move |record| {
        let message = |(op, content): (u8, &'a [u8])| -> Result<_, Malformed> {
            let mut cursor = Cursor::new(content);
            match op {
                c::CHANNEL => {
                    let (id, _schema) = (cursor.u16()?, cursor.u16()?);
                    let topic = match cursor.string()? {
                        TOPIC_COMMANDS => Topic::Commands,
                        TOPIC_SAMPLES => Topic::Samples,
                        TOPIC_HASH => Topic::Hash,
                        _ => Topic::Other,
                    };
                    if channels.len() < CHANNEL_COUNT_MAX {
                        channels.insert(id, topic);
                    }
                    Ok(None)
                }
                c::MESSAGE => {
                    let (id, _sequence) = (cursor.u16()?, cursor.u32()?);
                    let (time, _published) = (cursor.u64()?, cursor.u64()?);
                    let topic = *channels.get(&id).ok_or(Malformed("has a stray message"))?;
                    Ok(Some((topic, time, cursor.take(cursor.left())?)))
                }
                _ => Ok(None),
            }
        };
        record.and_then(message).transpose()
    })
}

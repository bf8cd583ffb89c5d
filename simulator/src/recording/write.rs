//! Writes a recording, a chunk for each second, so that whoever pulls the plug loses one second.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use components::command::{Command, Inputs, Refused};
use components::delivery::Deliveries;
use components::id::ViewerId;
use components::sample::{EngineTime, SampleBatch};
use mcap::records::{MessageHeader, Metadata};
use mcap::write::NoSeek;
use mcap::{Attachment, Compression, WriteOptions};
use rustc_hash::FxHashSet;

use super::block::Builder;
use super::container::{CHUNK_BYTES_MAX, RECORD_BYTES_MAX};
use super::hash::Hash;
use super::header::Header;
use super::words::{Spoken, WORDS_BYTES_MAX, is_recordable};
use super::{
    ATTACHMENT_DEVICES, ATTACHMENT_SCENARIO, ATTACHMENT_SNAPSHOT, BLOCK_ENCODING, METADATA_HEADER,
    METADATA_SUMMARY, PROFILE, Summary, TOPIC_COMMANDS, TOPIC_HASH, TOPIC_SAMPLES,
};

/// Engine time in one block, unless so much comes in that it is full before.
pub const BLOCK_MICROS: u64 = 1_000_000;
/// A block of this size is written without waiting for its second.
const BLOCK_SAMPLE_COUNT: usize = 1 << 18;
const BLOCK_BYTES: usize = 1 << 23;
const BLOCK_TICK_COUNT: usize = 1 << 16;

/// What a whole recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub ticks: u64,
    pub samples: u64,
    pub commands: u64,
    /// Of the whole file.
    pub bytes: u64,
    /// The rolling hash behind the last tick, if deliveries were hashed.
    pub hash: Option<u64>,
}

/// See the module. What is not [finished](Self::finish) is as good as cut off: it reads, to the
/// last whole second, as incomplete.
pub struct Writer<W: Write> {
    file: mcap::Writer<NoSeek<Counted<W>>>,
    /// Bytes that reached the file.
    written: Arc<AtomicU64>,
    channels: Channels,
    epoch_unix_ms: i64,
    block: Builder,
    /// The bytes of a block, then of the words; kept for its room.
    bytes: Vec<u8>,
    /// The words of the block's ticks: when, and the JSON.
    spoken: Vec<(EngineTime, Vec<u8>)>,
    spoken_bytes: usize,
    hash: Hash,
    hashed: Option<u64>,
    sensors: FxHashSet<Box<str>>,
    summary: Summary,
}

#[derive(Debug, Clone, Copy)]
struct Channels {
    commands: u16,
    samples: u16,
    hash: u16,
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Begins a recording on `inner`, which should not be buffered: writes are few and large.
    pub fn create(inner: W, header: &Header) -> io::Result<Self> {
        let options = WriteOptions::new()
            .profile(PROFILE)
            .compression(Some(Compression::Zstd))
            .compression_level(COMPRESSION_LEVEL)
            // Chunks end where we say, are gathered in memory and written whole.
            .compression_threads(0)
            .chunk_size(None)
            .disable_seeking(true);
        let written = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner, bytes: Arc::clone(&written) };
        let mut file = options.create(NoSeek::new(counted)).map_err(io::Error::other)?;
        let metadata = Metadata { name: METADATA_HEADER.into(), metadata: header.to_metadata() };
        file.write_metadata(&metadata).map_err(io::Error::other)?;
        let time = unix_ns(header.epoch_unix_ms, EngineTime::default());
        let mut attach = |name: &str, media_type: &str, data: &[u8]| {
            file.attach(&Attachment {
                log_time: time,
                create_time: time,
                name: name.into(),
                media_type: media_type.into(),
                data: data.into(),
            })
        };
        if let Some(text) = &header.scenario {
            attach(ATTACHMENT_SCENARIO, "text/plain", text.as_bytes()).map_err(io::Error::other)?;
        }
        if let Some(state) = &header.snapshot {
            let packed = zstd::bulk::compress(state, COMPRESSION_LEVEL as i32)?;
            attach(ATTACHMENT_SNAPSHOT, "application/zstd", &packed).map_err(io::Error::other)?;
        }
        if !header.devices.is_empty() {
            let words = serde_json::to_vec(&Spoken::of(0, &header.devices, &[]))?;
            attach(ATTACHMENT_DEVICES, "application/json", &words).map_err(io::Error::other)?;
        }
        let channels = Channels::add(&mut file).map_err(io::Error::other)?;
        file.flush().map_err(io::Error::other)?;
        Ok(Self {
            file,
            written,
            channels,
            epoch_unix_ms: header.epoch_unix_ms,
            block: Builder::default(),
            bytes: Vec::new(),
            spoken: Vec::new(),
            spoken_bytes: 0,
            hash: Hash::default(),
            hashed: None,
            sensors: header.devices.iter().filter_map(sensor_of).map(Box::from).collect(),
            summary: Summary::default(),
        })
    }

    /// What is about to go into the engine: before [`Engine::tick`](engine::Engine::tick), which
    /// empties `inputs`.
    pub fn tick(&mut self, now: EngineTime, inputs: &Inputs) -> io::Result<()> {
        let Inputs { commands, samples, busy, refused } = inputs;
        self.put(now, commands, samples, 0..samples.len(), busy, refused)
    }

    /// What came out, taken into the rolling hash: after the tick.
    pub fn delivered(&mut self, deliveries: &Deliveries) {
        let changed = self.hash.add(deliveries);
        self.hashed(self.hash.value(), changed);
    }

    /// In place of [`delivered`](Self::delivered), where the hash is taken elsewhere.
    pub fn hashed(&mut self, value: u64, changed: bool) {
        self.hashed = Some(value);
        if changed {
            self.block.hashed(value);
        }
    }

    pub(super) fn put(
        &mut self,
        now: EngineTime,
        commands: &[Command],
        samples: &SampleBatch,
        range: std::ops::Range<usize>,
        busy: &[ViewerId],
        refused: &[Refused],
    ) -> io::Result<()> {
        if self.summary.ticks > 0 && now < self.summary.last {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "time does not go back"));
        }
        let block = &self.block;
        let full = now.0 - block.first_now().0.min(now.0) >= BLOCK_MICROS
            || block.sample_count() >= BLOCK_SAMPLE_COUNT
            || block.weight() >= BLOCK_BYTES
            || self.spoken_bytes >= BLOCK_BYTES
            || block.tick_count() >= BLOCK_TICK_COUNT;
        if full && block.tick_count() > 0 {
            self.write_block()?;
        }
        let summary = &mut self.summary;
        if summary.ticks == 0 {
            summary.first = now;
        }
        summary.ticks += 1;
        summary.last = now;
        summary.samples += range.len() as u64;
        summary.commands += commands.len() as u64;
        let spoken = !commands.is_empty() || !refused.is_empty();
        self.block.begin(summary.ticks, now, range.len(), spoken);
        if spoken {
            if !commands.iter().all(is_recordable) {
                let what = "more feeds or viewers at once than a recording holds";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            self.sensors.extend(commands.iter().filter_map(sensor_of).map(Box::from));
            let words = serde_json::to_vec(&Spoken::of(summary.ticks, commands, refused))?;
            self.spoken_bytes += words.len();
            self.spoken.push((now, words));
        }
        self.block.busy(busy);
        for index in range {
            let (feed, attribute, timestamp, payload) = samples.get(index);
            self.block.push(feed, attribute, timestamp, payload);
        }
        Ok(())
    }

    /// Words, samples and hash of the block, as one chunk.
    fn write_block(&mut self) -> io::Result<()> {
        let (first, last) = (self.block.first_now(), self.block.last_now());
        let tick = self.block.last_tick();
        let samples = self.summary.samples;
        let channels = self.channels;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let too_much = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        self.block.write(&mut bytes).map_err(too_much)?;
        let spoken_bytes = std::mem::take(&mut self.spoken_bytes);
        if spoken_bytes > WORDS_BYTES_MAX
            || (bytes.len() + spoken_bytes) as u64 > CHUNK_BYTES_MAX - RECORD_BYTES_MAX
        {
            return Err(too_much("more came in one tick than a recording holds"));
        }
        for (now, words) in std::mem::take(&mut self.spoken) {
            self.write(channels.commands, tick, now, &words)?;
        }
        self.write(channels.samples, tick, first, &bytes)?;
        self.bytes = bytes;
        let checkpoint = super::Mark {
            tick,
            engine_us: last.0,
            samples,
            commands: self.summary.commands,
            sensors: self.sensors.len() as u64,
            first_engine_us: self.summary.first.0,
            hash: self.hashed.map(|hash| format!("{hash:016x}")),
        };
        self.write(channels.hash, tick, last, &serde_json::to_vec(&checkpoint)?)?;
        self.file.flush().map_err(io::Error::other)
    }

    fn write(
        &mut self,
        channel_id: u16,
        tick: u64,
        now: EngineTime,
        data: &[u8],
    ) -> io::Result<()> {
        let time = unix_ns(self.epoch_unix_ms, now);
        let header =
            MessageHeader { channel_id, sequence: tick as u32, log_time: time, publish_time: time };
        self.file.write_to_known_channel(&header, data).map_err(io::Error::other)
    }

    /// Bytes written so far: all but the second that is gathered.
    pub fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes what is left, and the index.
    pub fn finish(mut self) -> io::Result<Figures> {
        if self.block.tick_count() > 0 {
            self.write_block()?;
        }
        self.summary.hash = self.hashed;
        self.summary.sensors = self.sensors.len() as u64;
        let metadata =
            Metadata { name: METADATA_SUMMARY.into(), metadata: self.summary.to_metadata() };
        self.file.write_metadata(&metadata).map_err(io::Error::other)?;
        self.file.finish().map_err(io::Error::other)?;
        let mut inner = self.file.into_inner().into_inner();
        inner.flush()?;
        Ok(Figures {
            ticks: self.summary.ticks,
            samples: self.summary.samples,
            commands: self.summary.commands,
            bytes: self.written.load(Ordering::Relaxed),
            hash: self.hashed,
        })
    }
}

/// The sensor that a command opens.
fn sensor_of(command: &Command) -> Option<&str> {
    match command {
        Command::OpenFeed { card, .. } => Some(&card.sensor_id),
        _ => None,
    }
}

/// Packing harder takes ten times as long and saves a tenth.
const COMPRESSION_LEVEL: u32 = 3;

impl Channels {
    fn add<W: Write + io::Seek>(file: &mut mcap::Writer<W>) -> mcap::McapResult<Self> {
        let none = BTreeMap::new();
        let commands = file.add_schema("sensocto.Commands", "jsonschema", COMMANDS_SCHEMA)?;
        let hash = file.add_schema("sensocto.Hash", "jsonschema", HASH_SCHEMA)?;
        Ok(Self {
            commands: file.add_channel(commands, TOPIC_COMMANDS, "json", &none)?,
            samples: file.add_channel(0, TOPIC_SAMPLES, BLOCK_ENCODING, &none)?,
            hash: file.add_channel(hash, TOPIC_HASH, "json", &none)?,
        })
    }
}

const COMMANDS_SCHEMA: &[u8] = br#"{"type":"object","properties":{"tick":{"type":"integer"},"commands":{"type":"array","items":{"type":"object","properties":{"do":{"type":"string"}}}},"refused":{"type":"array"}}}"#;
const HASH_SCHEMA: &[u8] = br#"{"type":"object","properties":{"tick":{"type":"integer"},"engine_us":{"type":"integer"},"samples":{"type":"integer"},"commands":{"type":"integer"},"sensors":{"type":"integer"},"first_engine_us":{"type":"integer"},"hash":{"type":["string","null"]}}}"#;

/// Unix nanoseconds of an engine time. Times before 1970 or beyond 2554 stay at the edge.
pub(super) fn unix_ns(epoch_unix_ms: i64, now: EngineTime) -> u64 {
    let ns = i128::from(epoch_unix_ms) * 1_000_000 + i128::from(now.0) * 1000;
    ns.clamp(0, i128::from(u64::MAX)) as u64
}

/// Counts what is written.
#[derive(Debug)]
struct Counted<W> {
    inner: W,
    bytes: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

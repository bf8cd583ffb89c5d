//! Recordings: everything that crossed the engine's door, tick by tick, in one file that replays
//! bit for bit.
//!
//! [`Writer`] takes what goes in and what came out, [`Reader`] gives it back, [`Hash`] proves that
//! it is the same. The container is MCAP, which Foxglove and the Python package `mcap` open; what
//! is within is in `docs/recording.md`, byte for byte.

mod block;
mod bytes;
pub mod columns;
mod container;
mod hash;
mod header;
mod lane;
mod read;
mod recorder;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use block::{
    BLOCK_BUSY_COUNT_MAX, BLOCK_CELL_COUNT_MAX, BLOCK_SAMPLE_COUNT_MAX, BLOCK_SHAPE_COUNT_MAX,
    BLOCK_STREAM_COUNT_MAX, BLOCK_TEXT_BYTES_MAX, BLOCK_TICK_COUNT_MAX,
};
pub use container::{ATTACHMENT_BYTES_MAX, CHUNK_BYTES_MAX, RECORD_BYTES_MAX, SUMMARY_BYTES_MAX};
pub use hash::Hash;
pub use header::{FORMAT, Header, SCENARIO_BYTES_MAX, SNAPSHOT_BYTES_MAX, Summary};
pub use read::{Proof, Reader};
pub use recorder::{Behind, Recorder};
pub use words::{SLOT_COUNT_MAX, WORDS_BYTES_MAX};
pub use write::{BLOCK_MICROS, Figures, Writer};

/// MCAP's profile of our files.
const PROFILE: &str = "sensocto";
const METADATA_HEADER: &str = "sensocto.recording";
const METADATA_SUMMARY: &str = "sensocto.summary";
const ATTACHMENT_SCENARIO: &str = "scenario";
const ATTACHMENT_DEVICES: &str = "devices.json";
const ATTACHMENT_SNAPSHOT: &str = "snapshot.zst";
const TOPIC_COMMANDS: &str = "/commands";
const TOPIC_SAMPLES: &str = "/samples";
const TOPIC_HASH: &str = "/hash";
/// MCAP asks for an `x-` before encodings of one's own.
const BLOCK_ENCODING: &str = "x-sensocto-block";

/// What stands on `/hash` behind each block: how far it is, and the rolling hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    tick: u64,
    engine_us: u64,
    samples: u64,
    commands: u64,
    sensors: u64,
    first_engine_us: u64,
    /// `None`: nothing was hashed.
    hash: Option<String>,
}

/// Why a file cannot be read, or not further.
#[derive(Debug)]
pub enum RecordingError {
    Io(std::io::Error),
    /// A directory, a device.
    NotAFile,
    /// It does not begin as MCAP does.
    NotMcap,
    /// MCAP, but of something else.
    Foreign(String),
    /// Written by a version to come.
    Future {
        format: u32,
    },
    /// Its header lacks something or contradicts itself.
    Header(String),
    /// It ends within its header.
    Cut,
    /// What was read so far is good; from this byte of the file on it is not.
    Damaged {
        at: u64,
        what: String,
    },
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NotAFile => write!(f, "not a Sensocto recording: it is not a file"),
            Self::NotMcap => write!(f, "not a Sensocto recording: it does not begin as MCAP does"),
            Self::Foreign(what) => write!(f, "not a Sensocto recording: {what}"),
            Self::Future { format } => write!(
                f,
                "a recording of format {format}, which is newer than this version understands \
                 (it knows up to {FORMAT})"
            ),
            Self::Header(what) => write!(f, "the recording's header is broken: {what}"),
            Self::Cut => write!(f, "the recording is cut off before its first tick"),
            Self::Damaged { at, what } => {
                write!(f, "the recording is damaged at byte {at}: it {what}")
            }
        }
    }
}

impl std::error::Error for RecordingError {}

impl From<std::io::Error> for RecordingError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

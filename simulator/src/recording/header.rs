//! What a recording says of itself: how its engine was set up, when, and from what it came; and,
//! at its end, what it holds. Both are maps of text, which every MCAP tool shows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use components::command::Command;
use components::sample::EngineTime;
use engine::{Engine, Settings, SnapshotError};

use super::RecordingError;

/// The format that is written, and the newest that is read.
///
/// 2 has groups; what is of 1 has none, and is otherwise the same. 3 says of which class the samples
/// were that a door turned away. 4 has rooms; what is of 3 has none, and is otherwise the same.
pub const FORMAT: u32 = 4;

/// How a recording began.
#[derive(Debug, Clone)]
pub struct Header {
    pub settings: Settings,
    /// Unix milliseconds at engine time 0.
    pub epoch_unix_ms: i64,
    /// What was recorded: `simulate few seed 1`, `server`.
    pub source: String,
    /// Ticks a second that were intended.
    pub tick_hz: f64,
    /// The version that wrote it.
    pub build: String,
    /// The scenario's text.
    pub scenario: Option<String>,
    /// The engine's state before the first tick; `None`: a new engine.
    pub snapshot: Option<Vec<u8>>,
    /// The feeds in that state, as the commands that would open them: for readers who have no
    /// engine. See [`Engine::devices`](engine::Engine::devices).
    pub devices: Vec<Command>,
}

/// Bytes of a scenario's text.
pub const SCENARIO_BYTES_MAX: usize = 1 << 24;
/// Bytes of an unpacked snapshot.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 31;

impl Default for Header {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            epoch_unix_ms: 0,
            source: String::new(),
            tick_hz: 250.0,
            build: env!("CARGO_PKG_VERSION").into(),
            scenario: None,
            snapshot: None,
            devices: Vec::new(),
        }
    }
}

impl Header {
    /// Of a recording that begins now, in the midst of what `engine` does. The engine's world is
    /// taken apart and put together again, so that every replay goes on from the same.
    pub fn of_running(engine: &mut Engine, settings: Settings) -> Result<Self, SnapshotError> {
        let state = engine.snapshot();
        engine.replace(&state)?;
        let devices = engine.devices();
        Ok(Self { settings, snapshot: Some(state), devices, ..Self::default() })
    }

    pub(super) fn to_metadata(&self) -> BTreeMap<String, String> {
        let Settings {
            sensor_count_max,
            ring_bytes_max,
            linger_ms,
            lease_ms,
            seed_sample_count_max,
        } = &self.settings;
        let snapshot_bytes = self.snapshot.as_ref().map_or(0, Vec::len);
        sealed([
            ("format", FORMAT.to_string()),
            ("source", self.source.clone()),
            ("build", self.build.clone()),
            ("tick_hz", self.tick_hz.to_string()),
            ("epoch_unix_ms", self.epoch_unix_ms.to_string()),
            ("snapshot_bytes", snapshot_bytes.to_string()),
            ("settings.sensor_count_max", sensor_count_max.to_string()),
            ("settings.ring_bytes_max", ring_bytes_max.to_string()),
            ("settings.linger_ms", linger_ms.to_string()),
            ("settings.lease_ms", lease_ms.to_string()),
            ("settings.seed_sample_count_max", seed_sample_count_max.to_string()),
        ])
    }

    /// The header, and how many bytes its snapshot unpacks to.
    pub(super) fn from_metadata(entries: &[(&str, &str)]) -> Result<(Self, usize), RecordingError> {
        let map = Map::new(entries);
        let format: u32 = map.number("format")?;
        if format > FORMAT {
            return Err(RecordingError::Future { format });
        }
        map.check()?;
        let header = Self {
            settings: Settings {
                sensor_count_max: map.number("settings.sensor_count_max")?,
                ring_bytes_max: map.number("settings.ring_bytes_max")?,
                linger_ms: map.number("settings.linger_ms")?,
                lease_ms: map.number("settings.lease_ms")?,
                seed_sample_count_max: map.number("settings.seed_sample_count_max")?,
            },
            epoch_unix_ms: map.number("epoch_unix_ms")?,
            source: map.text("source")?.into(),
            tick_hz: map.number("tick_hz")?,
            build: map.text("build")?.into(),
            scenario: None,
            snapshot: None,
            devices: Vec::new(),
        };
        Ok((header, map.number("snapshot_bytes")?))
    }
}

/// What a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub ticks: u64,
    pub samples: u64,
    pub commands: u64,
    /// Sensors that were opened.
    pub sensors: u64,
    /// Engine times of the first and the last tick.
    pub first: EngineTime,
    pub last: EngineTime,
    /// The rolling hash behind the last tick; `None`: it was not taken.
    pub hash: Option<u64>,
    /// False: cut off, and read up to the last whole second.
    pub complete: bool,
}

impl Summary {
    /// Milliseconds from the first tick to the last.
    pub fn duration_ms(&self) -> u64 {
        self.last.0.saturating_sub(self.first.0) / 1000
    }

    pub(super) fn to_metadata(self) -> BTreeMap<String, String> {
        sealed([
            ("ticks", self.ticks.to_string()),
            ("samples", self.samples.to_string()),
            ("commands", self.commands.to_string()),
            ("sensors", self.sensors.to_string()),
            ("first_engine_us", self.first.0.to_string()),
            ("last_engine_us", self.last.0.to_string()),
            ("hash", self.hash.map_or(String::new(), |hash| format!("{hash:016x}"))),
        ])
    }

    pub(super) fn from_metadata(entries: &[(&str, &str)]) -> Result<Self, RecordingError> {
        let map = Map::new(entries);
        map.check()?;
        Ok(Self {
            ticks: map.number("ticks")?,
            samples: map.number("samples")?,
            commands: map.number("commands")?,
            sensors: map.number("sensors")?,
            first: EngineTime(map.number("first_engine_us")?),
            last: EngineTime(map.number("last_engine_us")?),
            hash: hash_of(map.text("hash")?),
            complete: true,
        })
    }
}

/// A hash as it is written; `None` when there is none.
pub(super) fn hash_of(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// The checksum over the other entries: MCAP has none for metadata.
const CHECK: &str = "check";

fn sealed<const N: usize>(entries: [(&str, String); N]) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> =
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let check = checksum(map.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    map.insert(CHECK.into(), check);
    map
}

/// CRC-32 over the lines `key=value`, in the order of the keys.
fn checksum<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut lines = String::new();
    for (key, value) in entries.filter(|(key, _)| *key != CHECK) {
        lines.push_str(key);
        lines.push('=');
        lines.push_str(value);
        lines.push('\n');
    }
    format!("{:08x}", crc32fast::hash(lines.as_bytes()))
}

struct Map<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Map<'a> {
    fn new(entries: &[(&'a str, &'a str)]) -> Self {
        Self(entries.iter().copied().collect())
    }

    fn check(&self) -> Result<(), RecordingError> {
        if self.text(CHECK)? == checksum(self.0.iter().map(|(key, value)| (*key, *value))) {
            Ok(())
        } else {
            Err(RecordingError::Header("its checksum is not that of its entries".into()))
        }
    }

    fn text(&self, key: &str) -> Result<&'a str, RecordingError> {
        let text = self.0.get(key).copied();
        text.ok_or_else(|| RecordingError::Header(format!("there is no `{key}`")))
    }

    fn number<T: FromStr + Display>(&self, key: &str) -> Result<T, RecordingError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| RecordingError::Header(format!("`{key}` is {text:?}")))
    }
}

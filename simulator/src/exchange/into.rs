//! Makes a recording of samples that were measured elsewhere: an engine is fed with them, and
//! what crosses its door is written down.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard};
use components::id::{FeedId, Handle};
use components::sample::{EngineTime, Payload, Timestamp};
use engine::{Engine, EngineConfig, Inputs};
use rustc_hash::FxHashMap;

use crate::recording::{Header, Writer};

/// The account that imported sensors belong to.
const OWNER: &str = "import";

/// Ticks a second, as in the server.
const TICK_HZ: u32 = 250;

const SENSOR_COUNT_MAX: usize = 10_000;

/// Between two samples that follow each other lies at most so much; a clock that leaps further
/// would take hours to replay.
const LEAP_MS_MAX: i64 = 24 * 3_600_000;

/// What the file became.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Imported {
    pub sensors: usize,
    pub streams: usize,
    pub samples: u64,
    pub seconds: f64,
    pub bytes: u64,
    /// What was left out or guessed, line by line.
    pub notes: Vec<String>,
}

pub(crate) struct Import {
    writer: Writer<BufWriter<File>>,
    engine: Engine,
    inputs: Inputs,
    start: Option<Timestamp>,
    now: EngineTime,
    sensors: FxHashMap<Arc<str>, (FeedId, u16)>,
    streams: Vec<(FeedId, u16)>,
    by_name: FxHashMap<(Arc<str>, Box<str>), usize>,
    samples: u64,
    header: Header,
}

impl Import {
    /// `source` says where the samples come from.
    pub(crate) fn create(path: &Path, source: &str, start: Timestamp) -> Result<Self, String> {
        let settings = engine::Settings::default();
        let file = File::create_new(path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        let header = Header {
            settings: settings.clone(),
            epoch_unix_ms: start.0,
            source: source.to_owned(),
            tick_hz: f64::from(TICK_HZ),
            ..Header::default()
        };
        let writer =
            Writer::create(BufWriter::new(file), &header).map_err(|error| error.to_string())?;
        Ok(Self {
            writer,
            engine: Engine::new(EngineConfig { settings, ..EngineConfig::default() }),
            inputs: Inputs::default(),
            start: None,
            now: EngineTime(0),
            sensors: FxHashMap::default(),
            streams: Vec::new(),
            by_name: FxHashMap::default(),
            samples: 0,
            header,
        })
    }

    /// The stream of this sensor and attribute, there from the first asking on.
    pub(crate) fn stream(
        &mut self,
        sensor_id: &str,
        attribute_id: &str,
        rate_hz: Option<f64>,
    ) -> Result<usize, String> {
        let sensor_id: Arc<str> = sensor_id.into();
        let name = (Arc::clone(&sensor_id), attribute_id.into());
        if let Some(&known) = self.by_name.get(&name) {
            return Ok(known);
        }
        let kind = AttributeType::resolve(None, attribute_id, None);
        if !self.sensors.contains_key(&sensor_id) {
            if self.sensors.len() >= SENSOR_COUNT_MAX {
                return Err(format!("more than {SENSOR_COUNT_MAX} sensors"));
            }
            let slot = self.sensors.len() as u32;
            let feed = FeedId(Handle { slot, generation: 0 });
            let card = Box::new(SensorCard {
                sensor_id: Arc::clone(&sensor_id),
                sensor_name: Arc::clone(&sensor_id),
                sensor_type: kind.name().into(),
                connector_id: OWNER.into(),
                connector_name: self.header.source.as_str().into(),
                sampling_rate: rate_hz.unwrap_or(0.0),
            });
            self.inputs.commands.push(Command::OpenFeed { feed, card, owner: OWNER.into() });
            self.sensors.insert(Arc::clone(&sensor_id), (feed, 0));
        }
        let Some((feed, next)) = self.sensors.get_mut(&sensor_id) else {
            return Err(format!("no sensor {sensor_id}"));
        };
        let (feed, index) = (*feed, *next);
        if usize::from(index) >= components::limits::SENSOR_ATTRIBUTE_COUNT_MAX {
            return Err(format!("{sensor_id} has more attributes than a sensor may have"));
        }
        *next += 1;
        self.inputs.commands.push(Command::DeclareAttribute {
            feed,
            index,
            attribute_id: attribute_id.into(),
            kind,
            rate_hz,
        });
        self.streams.push((feed, index));
        self.by_name.insert(name, self.streams.len() - 1);
        Ok(self.streams.len() - 1)
    }

    /// A sample. Those whose time goes back are taken with the ones before; each keeps its own.
    pub(crate) fn add(&mut self, stream: usize, at: Timestamp, value: Cell) -> Result<(), String> {
        self.reach(at)?;
        let (feed, index) = self.streams[stream];
        self.inputs.samples.push(feed, index, at, Payload::Scalar(value));
        self.samples += 1;
        Ok(())
    }

    /// A sample that is words.
    pub(crate) fn add_words(
        &mut self,
        stream: usize,
        at: Timestamp,
        words: &str,
    ) -> Result<(), String> {
        self.reach(at)?;
        let (feed, index) = self.streams[stream];
        let payload = serde_json::Value::from(words).to_string();
        self.inputs.samples.push(feed, index, at, Payload::Text { payload: &payload, extra: "" });
        self.samples += 1;
        Ok(())
    }

    /// Ticks up to the tick that `at` falls into.
    fn reach(&mut self, at: Timestamp) -> Result<(), String> {
        let start = *self.start.get_or_insert(at);
        let since_ms = at.0.saturating_sub(start.0);
        let tick = 1_000_000 / u64::from(TICK_HZ);
        let due = since_ms.max(0) as u64 * 1000 / tick * tick;
        if due <= self.now.0 {
            return Ok(());
        }
        if (due - self.now.0) / 1000 > LEAP_MS_MAX as u64 {
            return Err(format!(
                "the time leaps by more than {} hours to {} ms",
                LEAP_MS_MAX / 3_600_000,
                at.0
            ));
        }
        self.tick()?;
        // Nothing happens in between; what lingers goes with the next.
        self.now = EngineTime(due);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        self.writer.tick(self.now, &self.inputs).map_err(|error| error.to_string())?;
        let deliveries = self.engine.tick(self.now, &mut self.inputs);
        self.writer.delivered(deliveries);
        self.inputs.busy.clear();
        self.inputs.refused.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self, path: &Path, notes: Vec<String>) -> Result<Imported, String> {
        self.tick()?;
        self.writer.finish().map_err(|error| error.to_string())?;
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        Ok(Imported {
            sensors: self.sensors.len(),
            streams: self.streams.len(),
            samples: self.samples,
            seconds: self.now.0 as f64 / 1e6,
            bytes,
            notes,
        })
    }
}

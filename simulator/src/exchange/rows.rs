//! A recording as rows: one for each leaf of each sample that the engine took, in the order in
//! which they came.

use std::path::Path;
use std::sync::Arc;

use components::attribute::AttributeType;
use components::delivery::Notice;
use components::id::FeedId;
use components::sample::{EngineTime, Payload, SampleBatch, Timestamp};
use components::shape::Shape;
use engine::{Command, Engine, EngineConfig, Inputs};
use rustc_hash::FxHashMap;

use super::leaf::{Leaves, Value, each_of_text};
use crate::recording::{Header, Reader};

/// Engine time between ticks when nothing is said: sensors whose linger is over still go.
const TICK_MICROS: u64 = 250_000;

/// One leaf of one sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// As the device said.
    pub at: Timestamp,
    /// Numbers the pairs of sensor and attribute, from 0.
    pub stream: usize,
    pub sensor_id: &'a str,
    pub attribute_id: &'a str,
    pub kind: AttributeType,
    /// As declared.
    pub rate_hz: Option<f64>,
    /// Path of the leaf, `accelerometer.x`; empty for a bare value.
    pub field: &'a str,
    pub value: Value<'a>,
    /// Said in words of its own, rather than by a form that every sample shares.
    pub is_event: bool,
}

/// Which rows.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// Ids, or beginnings of ids with a `*` behind; none means all.
    pub sensors: Vec<String>,
    /// Since the beginning of the recording, µs: from, and up to.
    pub from_micros: u64,
    pub to_micros: u64,
}

impl Select {
    fn wants(&self, sensor_id: &str) -> bool {
        self.sensors.is_empty()
            || self.sensors.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(beginning) => sensor_id.starts_with(beginning),
                None => sensor_id == wanted,
            })
    }
}

/// What a pass went over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    pub samples: u64,
    pub rows: u64,
    /// Samples of feeds that the engine refused, or did not know.
    pub refused: u64,
    /// The recording ends before its end.
    pub cut: bool,
}

struct Stream {
    sensor_id: Arc<str>,
    attribute_id: Arc<str>,
    kind: AttributeType,
    rate_hz: Option<f64>,
    wanted: bool,
}

/// Who speaks, as the commands so far say.
struct Speakers {
    engine: Engine,
    /// By feed: the sensor, and the stream of each index.
    feeds: FxHashMap<FeedId, (Arc<str>, Vec<Option<usize>>)>,
    streams: Vec<Stream>,
    by_name: FxHashMap<(Arc<str>, Box<str>), usize>,
    ticked: EngineTime,
}

impl Speakers {
    fn note(&mut self, command: &Command, select: &Select) {
        match command {
            Command::OpenFeed { feed, card, .. } => {
                self.feeds.insert(*feed, (Arc::clone(&card.sensor_id), Vec::new()));
            }
            Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
                let Some((sensor_id, indices)) = self.feeds.get_mut(feed) else { return };
                let name = (Arc::clone(sensor_id), attribute_id.clone());
                let stream = *self.by_name.entry(name).or_insert_with(|| {
                    self.streams.push(Stream {
                        sensor_id: Arc::clone(sensor_id),
                        attribute_id: (&**attribute_id).into(),
                        kind: *kind,
                        rate_hz: *rate_hz,
                        wanted: select.wants(sensor_id),
                    });
                    self.streams.len() - 1
                });
                let index = usize::from(*index);
                if indices.len() <= index {
                    indices.resize(index + 1, None);
                }
                indices[index] = Some(stream);
            }
            _ => {}
        }
    }

    /// The engine judges the commands of devices: which feeds it refuses, which are closed.
    fn judge(&mut self, now: EngineTime, inputs: &mut Inputs) {
        inputs.commands.retain(Command::is_of_device);
        if inputs.commands.is_empty() && now.0 < self.ticked.0 + TICK_MICROS {
            return;
        }
        self.ticked = now;
        for notice in &self.engine.tick(now, inputs).notices {
            if let Notice::FeedRefused { feed, .. } | Notice::FeedClosed { feed } = notice {
                self.feeds.remove(feed);
            }
        }
    }
}

/// The engine as it was before the first tick.
fn engine_of(header: &Header) -> Result<Engine, engine::SnapshotError> {
    let config = EngineConfig { settings: header.settings.clone(), ..EngineConfig::default() };
    match &header.snapshot {
        Some(snapshot) => Engine::restore(config, snapshot),
        None => Ok(Engine::new(config)),
    }
}

/// Goes once over the recording at `path`.
pub(crate) fn each_row(
    path: &Path,
    select: &Select,
    visit: &mut dyn FnMut(&Row<'_>) -> Result<(), String>,
) -> Result<Passed, String> {
    let told = |error: crate::recording::RecordingError| format!("{}: {error}", path.display());
    let mut reader = Reader::open_without_state(path).map_err(told)?;
    let engine =
        engine_of(reader.header()).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut speakers = Speakers {
        ticked: EngineTime(0),
        feeds: FxHashMap::default(),
        streams: Vec::new(),
        by_name: FxHashMap::default(),
        engine,
    };
    for command in &reader.header().devices {
        speakers.note(command, select);
    }
    let mut passed = Passed::default();
    let mut forms = Forms::default();
    let (mut inputs, mut samples) = (Inputs::default(), SampleBatch::default());
    let mut began = None;
    while let Some(now) = reader.next(&mut inputs).map_err(told)? {
        let since = now.0 - *began.get_or_insert(now.0);
        std::mem::swap(&mut samples, &mut inputs.samples);
        inputs.busy.clear();
        inputs.refused.clear();
        for command in &inputs.commands {
            speakers.note(command, select);
        }
        speakers.judge(now, &mut inputs);
        inputs.commands.clear();
        if since >= select.to_micros {
            break;
        }
        if since >= select.from_micros {
            speakers.visit(&samples, &mut forms, &mut passed, visit)?;
        }
        samples.clear();
    }
    passed.cut = !reader.summary().complete;
    Ok(passed)
}

/// The leaves of each shape, found once.
#[derive(Default)]
struct Forms(FxHashMap<Arc<Shape>, Option<Leaves>>);

impl Speakers {
    fn visit(
        &self,
        samples: &SampleBatch,
        forms: &mut Forms,
        passed: &mut Passed,
        visit: &mut dyn FnMut(&Row<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        for n in 0..samples.len() {
            let (feed, index, at, payload) = samples.get(n);
            let stream = self
                .feeds
                .get(&feed)
                .and_then(|(_, indices)| indices.get(usize::from(index)).copied().flatten());
            let Some(number) = stream else {
                passed.refused += 1;
                continue;
            };
            let stream = &self.streams[number];
            if !stream.wanted {
                continue;
            }
            passed.samples += 1;
            let mut row = Row {
                at,
                stream: number,
                sensor_id: &stream.sensor_id,
                attribute_id: &stream.attribute_id,
                kind: stream.kind,
                rate_hz: stream.rate_hz,
                field: "",
                value: Value::Null,
                is_event: false,
            };
            match payload {
                Payload::Scalar(cell) => {
                    row.value = super::leaf::said(cell);
                    passed.rows += 1;
                    visit(&row)?;
                }
                Payload::Shaped { shape, cells } => {
                    let leaves =
                        forms.0.entry(Arc::clone(shape)).or_insert_with(|| Leaves::of(shape));
                    let Some(leaves) = leaves else {
                        passed.refused += 1;
                        continue;
                    };
                    for (field, value) in leaves.each(cells) {
                        passed.rows += 1;
                        visit(&Row { field, value, ..row })?;
                    }
                }
                Payload::Text { payload, extra } => {
                    let mut outcome = Ok(());
                    each_of_text(payload, extra, &mut |field, value| {
                        if outcome.is_ok() {
                            passed.rows += 1;
                            outcome = visit(&Row { field, value, is_event: true, ..row });
                        }
                    });
                    outcome?;
                }
            }
        }
        Ok(())
    }
}

//! What the world looks like to whoever looks after the machine: asked, allowed, delivered, and
//! which layer made the difference. Walks the world, so it costs in proportion to it: for whoever
//! asks, now and then, and nobody pays while nobody asks.

use std::collections::VecDeque;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::attribute::AttributeType;
use components::budget::{Budget, Grant, Layer};
use components::class::Class;
use components::delivery::Form;
use components::id::{SensorKey, StreamId, ViewerId};
use components::ledger::Reason;
use components::sample::EngineTime;
use components::sensor::{Attended, Sensor, Stream, Streams};
use components::viewer::{Cursors, Quality, QualityChoice, Viewer, Watch};

use crate::bio::live::{Bio, Event};
use crate::conduct::divide::{CurrentBudget, Share};
use crate::conduct::judge::{Advice, Band, Judgement, WORST_BANDS};
use crate::conduct::pace::Pace;
use crate::world::{Books, Memory, Now, SensorIndex, Settings, ViewerIndex};

/// Sensors and viewers that are listed, those with the most first.
pub const TOP_COUNT: usize = 20;

/// Samples a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flowed {
    pub asked_sps: f64,
    pub allowed_sps: f64,
    pub delivered_sps: f64,
}

impl Flowed {
    fn add(&mut self, other: Self) {
        self.asked_sps += other.asked_sps;
        self.allowed_sps += other.allowed_sps;
        self.delivered_sps += other.delivered_sps;
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ViewerFigures {
    pub viewer: ViewerId,
    pub choice: QualityChoice,
    pub grant: Grant,
    pub flowed: Flowed,
    /// What waits at its socket.
    pub waiting_ms: u32,
    pub waiting_bytes: u32,
    /// The mean of its browser's last scores.
    pub health: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SensorFigures {
    pub sensor_id: Arc<str>,
    pub class: Class,
    pub level: Level,
    /// Since it was last asked, of all its attributes.
    pub in_sps: f64,
    /// Viewers with a cursor on one of its streams.
    pub readers: u32,
}

/// Of the hardest-pressed resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bands {
    pub bands: [Band; 3],
    pub offset: f64,
}

/// Everything at once.
#[derive(Debug, Clone)]
pub struct Figures {
    pub now: EngineTime,
    pub judgement: Judgement,
    pub budget: Budget,
    /// The bands of the load level, and how far they are moved.
    pub bands: Bands,
    /// Frames a second that devices may send, while there is not room for all.
    pub devices_fps: Option<f64>,
    /// Squeezes of ring limits, and the bytes of rings and their bound.
    pub squeeze: u32,
    pub ring_bytes: i64,
    pub ring_bytes_max: usize,
    /// High, medium, low: what is pointed at, what is merely visible, what a dying battery sees.
    pub levels: [(Level, Flowed); 3],
    /// What each layer made less of, in samples a second: of those that lose any, since the last
    /// walk.
    pub took: [f64; Layer::COUNT],
    /// Samples stored since the beginning, by class.
    pub by_class: [u64; Class::COUNT],
    pub class_in_sps: [f64; Class::COUNT],
    /// How many viewers are served what is merely visible at each quality.
    pub qualities: [u32; Quality::ALL.len()],
    /// How many are held back by each layer.
    pub limited_by: [u32; Layer::COUNT],
    pub viewers: Vec<ViewerFigures>,
    pub sensors: Vec<SensorFigures>,
    pub bio: BioFigures,
}

/// What the biological layer does now.
#[derive(Debug, Clone, PartialEq)]
pub struct BioFigures {
    pub event_count: u64,
    pub lifted: usize,
    /// The newest last.
    pub recent: Vec<Event>,
    pub forecast_on: bool,
    /// Brier scores of the forecast and of none at all.
    pub brier: (f64, f64),
    pub known: usize,
    pub warm: usize,
    pub company_on: bool,
    pub pairs: usize,
    pub offset: f64,
    /// The 99th percentile of delivery ages in ms, and the part that was dropped.
    pub outcome: Option<(f64, f64)>,
    pub saturated: bool,
    pub hour_factor: f64,
    pub hour_skill: f64,
    pub hour_local: Option<f64>,
}

/// As of the last walk: push counts by sensor key, and what was lost.
#[derive(Resource, Debug, Default)]
pub struct Walked {
    at: EngineTime,
    counts: Vec<u64>,
    lost: [u64; Layer::COUNT],
}

/// Samples lost since the beginning by those layers that lose any: all others send fewer to begin
/// with.
fn lost(books: &Books) -> [u64; Layer::COUNT] {
    let mut lost = [0; Layer::COUNT];
    let store = |reasons: [Reason; 2]| reasons.map(|it| books.store.dropped(it)).iter().sum();
    lost[Layer::Device as usize] = store([Reason::RateLimited, Reason::Paced]);
    lost[Layer::Intake as usize] = store([Reason::IntakeFull, Reason::Shed]);
    lost[Layer::Storage as usize] = books.lens.dropped(Reason::Overrun);
    lost
}

pub fn figures(world: &mut World) -> Figures {
    let now = world.resource::<Now>().time;
    let current = world.resource::<CurrentBudget>();
    let memory = world.resource::<Memory>();
    let mut figures = Figures {
        now,
        judgement: *world.resource::<Judgement>(),
        budget: current.budget.clone(),
        bands: Bands { bands: WORST_BANDS, offset: world.resource::<Advice>().bounded() },
        devices_fps: current.devices.limit,
        squeeze: memory.squeeze,
        ring_bytes: memory.bytes,
        ring_bytes_max: world.resource::<Settings>().ring_bytes_max,
        levels: [Level::High, Level::Medium, Level::Low].map(|level| (level, Flowed::default())),
        took: [0.0; Layer::COUNT],
        by_class: world.resource::<Books>().by_class,
        class_in_sps: current.class_in_sps,
        qualities: [0; Quality::ALL.len()],
        limited_by: [0; Layer::COUNT],
        viewers: Vec::new(),
        sensors: Vec::new(),
        bio: bio(world.resource::<Bio>(), now),
    };
    viewers(world, &mut figures);
    let mut walked = std::mem::take(&mut *world.resource_mut::<Walked>());
    let seconds = now.0.saturating_sub(walked.at.0) as f64 / 1e6;
    let lost = lost(world.resource::<Books>());
    for (took, (now, before)) in figures.took.iter_mut().zip(lost.into_iter().zip(walked.lost)) {
        // Of the time before the first walk, which may be another engine's, nothing is said.
        if now > before && walked.at > EngineTime(0) && seconds > 0.0 {
            *took += (now - before) as f64 / seconds;
        }
    }
    sensors(world, &mut figures, &mut walked, seconds);
    (walked.at, walked.lost) = (now, lost);
    *world.resource_mut::<Walked>() = walked;
    figures
}

fn bio(bio: &Bio, now: EngineTime) -> BioFigures {
    BioFigures {
        event_count: bio.event_count,
        lifted: bio.lifted_count(),
        recent: bio.recent.iter().cloned().collect(),
        forecast_on: bio.forecast.is_on(),
        brier: bio.forecast.referee().brier(),
        known: bio.forecast.len(),
        warm: bio.warm_count(),
        company_on: bio.forecast.company_referee().is_on(),
        pairs: bio.correlation.pair_count(),
        offset: bio.tuner.offset(),
        outcome: bio.outcome,
        saturated: bio.tuner.is_saturated(),
        hour_factor: bio.hour_factor(now),
        hour_skill: bio.circadian.skill(),
        hour_local: bio.local_hour(now),
    }
}

fn viewers(world: &mut World, figures: &mut Figures) {
    let contended = figures.budget.is_contended();
    let mut viewers = world.query::<(&Viewer, &Grant, &Pace, &Share)>();
    for (viewer, grant, pace, share) in viewers.iter(world) {
        let strong = Flowed {
            asked_sps: share.strong_rates.asked_sps,
            allowed_sps: share.strong_rates.asked_sps,
            delivered_sps: share.strong_rates.delivered_sps,
        };
        let asked_sps = share.rest_rates.asked_sps;
        let rest = Flowed {
            asked_sps,
            allowed_sps: if contended { share.rest_allowed_sps } else { asked_sps },
            delivered_sps: share.rest_rates.delivered_sps,
        };
        let level = Level::Medium.min(viewer.attention.battery.cap());
        for (listed, flowed) in &mut figures.levels {
            if *listed == Level::High {
                flowed.add(strong);
            } else if *listed == level {
                flowed.add(rest);
            }
        }
        if let Some(layer) = grant.limited_by {
            figures.limited_by[layer as usize] += 1;
            let missing = rest.asked_sps - rest.delivered_sps;
            figures.took[layer as usize] += missing.max(0.0);
        }
        figures.qualities[grant.rest as usize] += 1;
        let mut flowed = strong;
        flowed.add(rest);
        figures.viewers.push(ViewerFigures {
            viewer: viewer.id,
            choice: viewer.choice,
            grant: *grant,
            flowed,
            waiting_ms: pace.age_ms,
            waiting_bytes: pace.bytes,
            health: pace.mean_score(),
        });
    }
    figures.viewers.sort_by(|a, b| {
        b.flowed.asked_sps.total_cmp(&a.flowed.asked_sps).then(a.viewer.cmp(&b.viewer))
    });
    figures.viewers.truncate(TOP_COUNT);
}

fn sensors(world: &mut World, figures: &mut Figures, walked: &mut Walked, seconds: f64) {
    walked.counts.resize(world.resource::<SensorIndex>().keys().len(), 0);
    let mut sensors = world.query::<(&Sensor, &Attended, &Streams)>();
    let mut rows: Vec<(f64, SensorKey)> = Vec::new();
    for (sensor, _, streams) in sensors.iter(world) {
        let count: u64 = streams.list.iter().map(|stream| stream.ring.count()).sum();
        let before = std::mem::replace(&mut walked.counts[sensor.key.0 as usize], count);
        // One that began anew under the same key counts from where it is.
        let new = count.checked_sub(before).unwrap_or(count);
        if new > 0 && seconds > 0.0 {
            rows.push((new as f64 / seconds, sensor.key));
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (in_sps, key) in rows.into_iter().take(TOP_COUNT) {
        let Some(entity) = world.resource::<SensorIndex>().entity(key) else { continue };
        let Ok((sensor, attended, streams)) = sensors.get(world, entity) else { continue };
        let class = streams.list.iter().max_by_key(|stream| stream.ring.count());
        figures.sensors.push(SensorFigures {
            sensor_id: Arc::clone(&sensor.card.sensor_id),
            class: class.map_or(AttributeType::default(), |stream| stream.kind).class(),
            level: attended.0,
            in_sps,
            readers: streams.list.iter().map(|stream| stream.readers).max().unwrap_or(0),
        });
    }
}

/// What one layer makes of one stream for one viewer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    pub layer: Layer,
    /// Samples a second that it lets through.
    pub allows_hz: f64,
    pub why: &'static str,
}

/// How one stream comes to one viewer.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub attribute_id: Arc<str>,
    /// What high quality would bring, by the rate that was declared, or else one a second for each
    /// thousand milliseconds between its last two samples.
    pub asked_hz: f64,
    /// The least of the chain.
    pub allowed_hz: f64,
    /// What has gone out since this was last asked about; `None` the first time.
    pub delivered_hz: Option<f64>,
    pub form: Option<Form>,
    pub limited_by: Option<Layer>,
    pub chain: Vec<Link>,
}

/// Streams that are remembered of those somebody asked about.
const ASKED_COUNT_MAX: usize = 64;

/// How far a viewer had come in a stream when somebody asked about it.
#[derive(Resource, Debug, Default)]
pub struct AskedAbout(VecDeque<(ViewerId, StreamId, u64, EngineTime)>);

/// Why `sensor_id` comes to `viewer` as it does, for one attribute or its busiest. `None`: there
/// is no such viewer, sensor or attribute.
pub fn decision(
    world: &mut World,
    viewer: ViewerId,
    sensor_id: &str,
    attribute_id: Option<&str>,
) -> Option<Decision> {
    let mut decision = chain(world, viewer, sensor_id, attribute_id)?;
    let entity = world.resource::<ViewerIndex>().get(viewer)?;
    let index = world.resource::<SensorIndex>();
    let key = index.find(sensor_id)?;
    let streams = world.get::<Streams>(index.entity(key)?)?;
    let place = streams.find(&decision.attribute_id)?;
    let stream = streams.list[place].id;
    let cursors = world.get::<Cursors>(entity)?;
    let cursor = cursors.by_sensor.get(&key).and_then(|places| places.get(place));
    let next = cursor.filter(|cursor| cursor.stream == stream).map_or(0, |cursor| cursor.next);
    let now = world.resource::<Now>().time;
    let interval_ms = match decision.form {
        None | Some(Form::Raw | Form::Seed) => 0,
        Some(Form::Latest | Form::Digest) => {
            world.get::<Grant>(entity)?.rest.interval_ms().unwrap_or(0)
        }
    };
    let asked = &mut world.resource_mut::<AskedAbout>().0;
    let known = asked.iter().position(|(v, s, ..)| (*v, *s) == (viewer, stream));
    if let Some((.., before, at)) = known.and_then(|known| asked.remove(known)) {
        let seconds = now.0.saturating_sub(at.0) as f64 / 1e6;
        let passed = next.saturating_sub(before) as f64;
        // Of what is stood in for by one sample, one went out with each flush.
        let flushes = if interval_ms > 0 { seconds * 1000.0 / interval_ms as f64 } else { passed };
        decision.delivered_hz = (seconds > 0.0).then(|| passed.min(flushes) / seconds);
    }
    if asked.len() >= ASKED_COUNT_MAX {
        asked.pop_front();
    }
    asked.push_back((viewer, stream, next, now));
    Some(decision)
}

fn chain(
    world: &World,
    viewer: ViewerId,
    sensor_id: &str,
    attribute_id: Option<&str>,
) -> Option<Decision> {
    let entity = world.resource::<ViewerIndex>().get(viewer)?;
    let index = world.resource::<SensorIndex>();
    let key = index.find(sensor_id)?;
    let sensor = index.entity(key)?;
    let current = world.resource::<CurrentBudget>();
    let (level, pacing) = {
        let attended = world.get::<Attended>(sensor)?.0;
        (attended, current.budget.pacing(attended))
    };
    let streams = world.get::<Streams>(sensor)?;
    let alive = streams.list.iter().filter(|stream| stream.alive && stream.card.is_some());
    let stream = match attribute_id {
        Some(id) => alive.into_iter().find(|stream| &*stream.attribute_id == id)?,
        None => alive.max_by_key(|stream| stream.ring.count())?,
    };
    let (viewer, grant) = (world.get::<Viewer>(entity)?, *world.get::<Grant>(entity)?);
    let (pace, share) = (world.get::<Pace>(entity)?, world.get::<Share>(entity)?);
    let watch = world.get::<Watch>(entity)?;
    let watched = watch.all || watch.keys.binary_search(&key).is_ok();
    let strong = watch.wants_all_of(key, &stream.attribute_id);
    let rate = rate_hz(stream);
    let at = |quality: Quality| allowed(stream, quality, strong, rate);
    let asked_hz = at(Quality::High);
    let looked = if watched { at(viewer.choice.ceiling()) } else { 0.0 };
    let own = |quality| match viewer.choice {
        QualityChoice::Auto | QualityChoice::AutoUpTo(_) => at(quality),
        QualityChoice::Fixed(_) => asked_hz,
    };
    let chain = vec![
        Link {
            layer: Layer::Asked,
            allows_hz: looked,
            why: match (watched, viewer.attention.hidden, viewer.choice) {
                (_, true, _) => "its tab is hidden",
                (false, ..) => "it does not look there",
                (true, _, QualityChoice::Fixed(_)) => "it chose by hand",
                (true, _, QualityChoice::AutoUpTo(_)) => "its view has no use for more",
                _ => "it leaves it to us",
            },
        },
        Link {
            layer: Layer::Device,
            allows_hz: if pacing.paused { 0.0 } else { asked_hz },
            why: if pacing.paused {
                "the device is told to pause"
            } else if level == Level::High {
                "the device is to send at once"
            } else {
                "the device may gather samples"
            },
        },
        Link {
            layer: Layer::Budget,
            allows_hz: if strong { asked_hz } else { at(share.rest) },
            why: if strong { "what is pointed at is not cut" } else { "its part of the budget" },
        },
        Link {
            layer: Layer::Socket,
            allows_hz: if pace.stalled { 0.0 } else { own(pace.socket) },
            why: if pace.stalled { "it reads nothing" } else { "what its line bears" },
        },
        Link { layer: Layer::Health, allows_hz: own(pace.health), why: "what its browser bears" },
    ];
    let least = chain.iter().map(|link| link.allows_hz).fold(asked_hz, f64::min);
    let limited_by = chain.iter().find(|link| link.allows_hz == least && least < asked_hz);
    let quality = if strong { grant.strong } else { grant.rest };
    Some(Decision {
        attribute_id: Arc::clone(&stream.attribute_id),
        asked_hz,
        allowed_hz: least,
        delivered_hz: None,
        form: (watched && viewer.is_looking(&grant))
            .then(|| crate::route::choose::form(stream, quality, strong)),
        limited_by: limited_by.map(|link| link.layer),
        chain,
    })
}

/// As declared, or from the time between its last two samples.
fn rate_hz(stream: &Stream) -> f64 {
    if let Some(rate) = stream.rate_hz.filter(|rate| rate.is_finite() && *rate > 0.0) {
        return rate;
    }
    let ring = &stream.ring;
    let count = ring.count();
    let from = count.saturating_sub(RATE_SAMPLE_COUNT).max(ring.oldest());
    let mut times = ring.words(from, count).map(|words| words[0] as i64);
    let (Some(first), Some(last)) = (times.next(), times.last()) else { return 0.0 };
    let millis = last.saturating_sub(first);
    if millis > 0 { (count - from - 1) as f64 * 1000.0 / millis as f64 } else { 0.0 }
}

/// Samples that a rate is taken from.
const RATE_SAMPLE_COUNT: u64 = 16;

/// Samples a second that this quality brings of a stream of `rate`.
fn allowed(stream: &Stream, quality: Quality, strong: bool, rate: f64) -> f64 {
    let Some(interval_ms) = quality.interval_ms() else { return 0.0 };
    match crate::route::choose::form(stream, quality, strong) {
        Form::Raw | Form::Seed => rate,
        Form::Latest | Form::Digest => rate.min(1000.0 / interval_ms as f64),
    }
}

//! The biological layer at work: what it holds, and the systems that feed it and pass its advice on.
//!
//! What is unlike its past is delivered whole for a while, as if somebody pointed at it; who will
//! likely be looked at soon has its device paced one step closer; the bands of the load level move
//! with what viewers notice and with the hour. All of it advises: without it everything goes on as
//! if nothing were known.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::attribute::AttributeType;
use components::cell::Cell;
use components::delivery::Notice;
use components::id::{SensorKey, StreamId};
use components::ledger::Reason;
use components::load::LoadLevel;
use components::sample::EngineTime;
use components::sensor::{Attended, Sensor, Stream, Streams};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::circadian::Circadian;
use super::correlation::{BESIDE_COUNT_MAX, Correlation};
use super::forecast::{Forecast, Outlook, SENSOR_COUNT_MAX};
use super::homeostasis::{Goal, Outcome, Tuner};
use super::novelty::{Alarm, Detector, Settings as NoveltySettings};
use super::{Key, finite, key};
use crate::conduct::divide::CurrentBudget;
use crate::conduct::judge::{Advice, Judgement, Pressed};
use crate::snapshot::bytes::{Read, Reader, Writer, broken};
use crate::supervise::Supervision;
use crate::world::{Books, Now, Outgoing, Parallel, SensorIndex};

/// Streams whose past is known at once: those that somebody watches.
pub const MIND_COUNT_MAX: usize = SHELF_COUNT * SHELF_MIND_COUNT_MAX;

/// What is known of streams lies on shelves, which are looked at in parallel, and on each of them
/// so much.
const SHELF_COUNT: usize = 32;
const SHELF_MIND_COUNT_MAX: usize = 512;

/// Streams whose ids follow each other lie on one shelf, and on the next after so many.
const SHELF_RUN: u32 = 8;

/// Streams below which it is not worth waking others.
const PARALLEL_LOOK_COUNT_MIN: usize = 256;

/// A stream that nobody has watched for so long is forgotten.
const FORGET_MS: u64 = 120_000;

/// A watched stream's new samples are looked at this often. Each look costs as much as some samples
/// do, so one look at six of them is cheaper than six.
const LOOK_MS: u64 = 600;

/// Streams take turns, so that not all are looked at in one tick: as many turns in [`LOOK_MS`].
const TURN_COUNT: u64 = 6;

/// Samples of one stream that are looked at at once, the newest.
const OBSERVED_COUNT_MAX: u64 = 768;

/// Streams that are delivered whole for their novelty at once.
pub const LIFTED_COUNT_MAX: usize = 1_024;

/// Events that are remembered for whoever asks.
pub const RECENT_COUNT_MAX: usize = 32;

/// Looks that are learnt from in one tick.
pub const LOOK_COUNT_MAX: usize = 256;

/// A sensor that is foretold to be looked at is kept warm for so long.
const WARM_MS: u64 = 300_000;

/// Sensors that are looked over for that at each measurement.
const SURVEY_COUNT: usize = 256;

/// How far the hour may move the bands: a fifth more load than usual lowers them by 0.03.
const HOUR_GAIN: f64 = 0.15;

/// One stream's past.
#[derive(Debug, Clone, Copy)]
struct Mind {
    detector: Detector,
    /// The push count up to which it has seen the stream, and when.
    seen: u64,
    at: EngineTime,
}

/// What is known of some streams.
#[derive(Debug, Default)]
struct Shelf(FxHashMap<StreamId, Mind>);

impl Shelf {
    /// Looks at what one stream brought since the last look.
    fn look(
        &mut self,
        stream: &Stream,
        now: EngineTime,
        settings: &NoveltySettings,
    ) -> Option<Alarm> {
        let ring = &stream.ring;
        let count = ring.count();
        let is_full = self.0.len() >= SHELF_MIND_COUNT_MAX;
        let mind = match self.0.entry(stream.id) {
            Entry::Occupied(mind) => mind.into_mut(),
            Entry::Vacant(_) if is_full || !is_observed(stream) => return None,
            Entry::Vacant(place) => {
                let seen = count.saturating_sub(1);
                place.insert(Mind { detector: Detector::default(), seen, at: now })
            }
        };
        if mind.seen == count {
            return None;
        }
        let from = mind.seen.max(count.saturating_sub(OBSERVED_COUNT_MAX)).max(ring.oldest());
        (mind.seen, mind.at) = (count, now);
        let samples = ring
            .words(from.min(count), count)
            .filter_map(|words| Some((words[0] as i64 as f64 / 1000.0, Cell(words[1]).number()?)));
        mind.detector.observe(settings, samples)
    }
}

/// The shelf of a stream.
fn shelf(stream: StreamId) -> usize {
    (stream.0 / SHELF_RUN) as usize % SHELF_COUNT
}

/// Something that was unlike its past.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub at: EngineTime,
    pub sensor_id: Arc<str>,
    pub attribute_id: Arc<str>,
    pub z: f64,
    pub boost_ms: u64,
}

/// Everything that is known. Written by the systems of this module alone.
#[derive(Resource, Debug, Default)]
pub struct Bio {
    shelves: [Shelf; SHELF_COUNT],
    /// Until when a stream is delivered whole.
    lifted: FxHashMap<StreamId, EngineTime>,
    pub event_count: u64,
    /// The newest last.
    pub recent: VecDeque<Event>,
    pub tuner: Tuner,
    /// As of the last measurement.
    pub outcome: Option<(f64, f64)>,
    pub circadian: Circadian,
    pub forecast: Forecast,
    pub correlation: Correlation,
    /// The sensors behind the keys of the forecast.
    names: FxHashMap<Key, Arc<str>>,
    /// Until when a sensor is kept warm.
    warm: FxHashMap<Key, EngineTime>,
    /// The last measurement: engine and unix time, and the lens' totals then.
    measured: Option<Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    at: EngineTime,
    unix_s: f64,
    received: u64,
    overrun: u64,
}

impl Bio {
    /// Whether this stream is delivered whole for its novelty.
    pub(crate) fn is_lifted(&self, stream: StreamId, now: EngineTime) -> bool {
        !self.lifted.is_empty() && self.lifted.get(&stream).is_some_and(|until| now < *until)
    }

    /// Streams that are delivered whole for their novelty.
    pub fn lifted_count(&self) -> usize {
        self.lifted.len()
    }

    pub fn warm_count(&self) -> usize {
        self.warm.len()
    }

    /// The level that a device is paced for.
    pub(crate) fn paced_level(&self, level: Level, sensor_id: &str) -> Level {
        if level == Level::None && !self.warm.is_empty() && self.warm.contains_key(&key(sensor_id))
        {
            return Level::Low;
        }
        level
    }

    /// Unix seconds, if the hour was ever told.
    fn unix_s(&self, now: EngineTime) -> Option<f64> {
        let measured = self.measured?;
        Some(measured.unix_s + now.0.saturating_sub(measured.at.0) as f64 / 1e6)
    }

    /// The local hour, 0 to 24.
    pub fn local_hour(&self, now: EngineTime) -> Option<f64> {
        self.unix_s(now).map(|unix_s| self.circadian.local_hour(unix_s))
    }

    /// What the hour multiplies the load by that is to be expected.
    pub fn hour_factor(&self, now: EngineTime) -> f64 {
        self.unix_s(now).map_or(1.0, |unix_s| self.circadian.factor(unix_s))
    }
}

/// Who was turned to in this tick, and what was watched beside: written by `attend::gather_claims`.
#[derive(Resource, Debug, Default)]
pub struct Looks(pub(crate) Vec<(SensorKey, SmallVec<[SensorKey; 8]>)>);

/// Looks at what watched streams brought, and lifts what is unlike its past.
pub fn notice_novelty(
    now: Res<Now>,
    current: Res<CurrentBudget>,
    parallel: Res<Parallel>,
    sensors: Query<(&Sensor, &Streams, &Attended)>,
    mut bio: ResMut<Bio>,
    mut out: ResMut<Outgoing>,
) {
    let bio = &mut *bio;
    let now_time = now.time;
    if now.passes(1_000) {
        bio.lifted.retain(|_, until| now_time < *until);
        for Shelf(minds) in &mut bio.shelves {
            minds.retain(|_, mind| now_time < mind.at.plus_millis(FORGET_MS));
        }
    }
    let turn_us = LOOK_MS * 1_000 / TURN_COUNT;
    let (turn, turns) = (now.time.0 / turn_us, now.time.0 / turn_us - now.before.0 / turn_us);
    // A machine that is hard pressed has better things to do.
    if turns == 0 || current.budget.load.level >= LoadLevel::High {
        return;
    }
    // Runs of streams take turns, so that what is looked at together lies together.
    let is_its_turn = |stream: &Stream| {
        let run = u64::from(stream.id.0 / SHELF_RUN) / SHELF_COUNT as u64;
        turn.wrapping_sub(run) % TURN_COUNT < turns
    };
    let mut due: [Vec<(&Sensor, &Stream)>; SHELF_COUNT] = std::array::from_fn(|_| Vec::new());
    let mut due_count = 0;
    for (sensor, streams, attended) in &sensors {
        // Nobody reads what nobody watches: most sensors are passed by without a look at their streams.
        if attended.0 == Level::None {
            continue;
        }
        for stream in &streams.list {
            if is_its_turn(stream) && stream.readers > 0 && stream.alive {
                due[shelf(stream.id)].push((sensor, stream));
                due_count += 1;
            }
        }
    }
    let settings = NoveltySettings::default();
    let look = |(shelf, due): (&mut Shelf, &Vec<(&Sensor, &Stream)>)| -> Vec<(StreamId, Event)> {
        let event = |&(sensor, stream): &(&Sensor, &Stream)| {
            let alarm = shelf.look(stream, now_time, &settings)?;
            let event = Event {
                at: now_time,
                sensor_id: Arc::clone(&sensor.card.sensor_id),
                attribute_id: Arc::clone(&stream.card.as_ref()?.attribute_id),
                z: alarm.z(),
                boost_ms: (alarm.boost_s() * 1000.0) as u64,
            };
            Some((stream.id, event))
        };
        due.iter().filter_map(event).collect()
    };
    let mut alarms: Vec<(StreamId, Event)> = if parallel.0 && due_count >= PARALLEL_LOOK_COUNT_MIN {
        bio.shelves.par_iter_mut().zip(&due).flat_map_iter(look).collect()
    } else {
        bio.shelves.iter_mut().zip(&due).flat_map(look).collect()
    };
    // In an order of their own, wherever sensors lie.
    alarms.sort_unstable_by_key(|(stream, _)| *stream);
    for (stream, event) in alarms {
        bio.event_count += 1;
        if bio.lifted.len() < LIFTED_COUNT_MAX {
            bio.lifted.insert(stream, now.time.plus_millis(event.boost_ms));
        }
        out.0.notices.push(Notice::Novelty {
            sensor_id: Arc::clone(&event.sensor_id),
            attribute_id: Arc::clone(&event.attribute_id),
            z: event.z,
            boost_ms: event.boost_ms,
        });
        if bio.recent.len() >= RECENT_COUNT_MAX {
            bio.recent.pop_front();
        }
        bio.recent.push_back(event);
    }
}

/// Whether this stream is of single values, and of a kind with a past that it could be unlike.
fn is_observed(stream: &Stream) -> bool {
    !matches!(stream.kind, AttributeType::Button | AttributeType::Battery)
        && stream.card.as_ref().is_some_and(|card| card.shape.is_scalar())
}

/// With each measurement: how well viewers fared, what the hour is, who will be looked at.
pub fn advise(
    now: Res<Now>,
    pressed: Res<Pressed>,
    judgement: Res<Judgement>,
    books: Res<Books>,
    current: Res<CurrentBudget>,
    index: Res<SensorIndex>,
    sensors: Query<(&Sensor, &Attended)>,
    mut bio: ResMut<Bio>,
    mut advice: ResMut<Advice>,
    mut out: ResMut<Outgoing>,
) {
    let Some(pressures) = pressed.pressures else { return };
    let bio = &mut *bio;
    let unix_s = pressures.unix_ms as f64 / 1000.0;
    let (received, overrun) = (books.lens.received, books.lens.dropped(Reason::Overrun));
    if let Some(before) = bio.measured {
        let seconds = now.time.0.saturating_sub(before.at.0) as f64 / 1e6;
        let came = received.saturating_sub(before.received);
        let lost = overrun.saturating_sub(before.overrun);
        let drop_share = if came > 0 { lost as f64 / came as f64 } else { 0.0 };
        let age_p99_ms = f64::from(pressures.age_p99_ms.unwrap_or(0.0));
        let throttled = judgement.load.level > LoadLevel::Normal;
        let outcome = Outcome { age_p99_ms, drop_share, throttled };
        bio.tuner.step(&Goal::default(), &outcome, seconds);
        bio.outcome = Some((age_p99_ms, drop_share));
    }
    bio.measured = Some(Measured { at: now.time, unix_s, received, overrun });
    let minutes = i32::from(pressures.utc_offset_minutes);
    (bio.circadian.utc_offset_minutes, bio.forecast.utc_offset_minutes) = (minutes, minutes);
    bio.circadian.learn(unix_s, pressures.worst().1);
    let hour = HOUR_GAIN * (bio.circadian.factor(unix_s) - 1.0);
    advice.offset = bio.tuner.offset() - hour;

    bio.forecast.step(unix_s);
    let mut foretold: Vec<Outlook> = Vec::new();
    bio.forecast.survey(unix_s, SURVEY_COUNT, &mut foretold);
    let mut repaced: Vec<Arc<str>> = Vec::new();
    for outlook in foretold {
        let until = now.time.plus_millis(WARM_MS);
        if bio.warm.insert(outlook.key, until).is_none() {
            repaced.extend(bio.names.get(&outlook.key).cloned());
        }
    }
    let names = &bio.names;
    bio.warm.retain(|key, until| {
        let stays = now.time < *until;
        if !stays {
            repaced.extend(names.get(key).cloned());
        }
        stays
    });
    // In an order of their own, whatever the maps say.
    repaced.sort_unstable();
    for name in repaced {
        let Some(entity) = index.find(&name).and_then(|key| index.entity(key)) else { continue };
        let Ok((sensor, attended)) = sensors.get(entity) else { continue };
        if attended.0 == Level::None {
            let pacing = current.budget.pacing(bio.paced_level(attended.0, &name));
            for &feed in &sensor.feeds {
                out.0.notices.push(Notice::Paced { feed, pacing });
            }
        }
    }
}

/// What is switched off for its panics begins anew when it is back, as if nothing were known: what
/// it knew may be why it panicked.
fn forget(world: &mut World, system: &str, forget: impl FnOnce(&mut Bio)) -> bool {
    let off = !world.resource::<Supervision>().is_on(system);
    if off {
        forget(&mut world.resource_mut::<Bio>());
    }
    off
}

pub(crate) fn restart_novelty(world: &mut World) {
    forget(world, "notice_novelty", |bio| {
        bio.shelves = Default::default();
        bio.lifted.clear();
    });
}

pub(crate) fn restart_advice(world: &mut World) {
    let off = forget(world, "advise", |bio| {
        bio.tuner = Tuner::default();
        bio.circadian = Circadian::default();
        bio.forecast = Forecast::default();
        (bio.measured, bio.outcome) = (None, None);
        bio.warm.clear();
    });
    if off {
        *world.resource_mut::<Advice>() = Advice::default();
        // Those that were kept warm hear of it.
        world.resource_mut::<CurrentBudget>().changed = true;
    }
}

pub(crate) fn restart_looks(world: &mut World) {
    forget(world, "learn_looks", |bio| {
        bio.forecast = Forecast::default();
        bio.correlation = Correlation::default();
    });
}

/// Learns who was turned to, and what was watched beside.
pub fn learn_looks(
    now: Res<Now>,
    index: Res<SensorIndex>,
    mut looks: ResMut<Looks>,
    mut bio: ResMut<Bio>,
) {
    if looks.0.is_empty() {
        return;
    }
    let bio = &mut *bio;
    let Some(unix_s) = bio.unix_s(now.time) else {
        looks.0.clear();
        return;
    };
    for (sensor, beside) in looks.0.drain(..) {
        let Some(name) = index.name(sensor) else { continue };
        let looked = key(name);
        if bio.names.len() >= SENSOR_COUNT_MAX && !bio.names.contains_key(&looked) {
            // The forecast lets somebody go as well; names are only for those who are there.
            bio.names.retain(|_, name| index.find(name).is_some());
        }
        if bio.names.len() < SENSOR_COUNT_MAX {
            bio.names.entry(looked).or_insert_with(|| Arc::clone(name));
        }
        let beside: SmallVec<[Key; BESIDE_COUNT_MAX]> =
            beside.iter().filter_map(|key| index.name(*key)).map(|name| key(name)).collect();
        bio.correlation.look(looked, &beside, unix_s);
        let peers: SmallVec<[(Key, f64); 8]> = bio.correlation.peers(looked).collect();
        bio.forecast.look(looked, peers, unix_s);
    }
}

pub(crate) fn write(bio: &Bio, out: &mut Writer) {
    let mut minds: Vec<_> = bio.shelves.iter().flat_map(|Shelf(minds)| minds).collect();
    minds.sort_unstable_by_key(|(stream, _)| **stream);
    out.count(minds.len());
    for (stream, mind) in minds {
        out.number(stream.0.into());
        mind.detector.write(out);
        out.number(mind.seen);
        out.number(mind.at.0);
    }
    let mut lifted: Vec<_> = bio.lifted.iter().collect();
    lifted.sort_unstable();
    out.count(lifted.len());
    for (stream, until) in lifted {
        out.number(stream.0.into());
        out.number(until.0);
    }
    out.number(bio.event_count);
    bio.tuner.write(out);
    bio.circadian.write(out);
    bio.forecast.write(out);
    bio.correlation.write(out);
    let mut names: Vec<_> = bio.names.values().collect();
    names.sort_unstable();
    out.count(names.len());
    names.iter().for_each(|name| out.text(name));
    let mut warm: Vec<_> = bio.warm.iter().collect();
    warm.sort_unstable();
    out.count(warm.len());
    for (key, until) in warm {
        out.bits(*key);
        out.number(until.0);
    }
    out.flag(bio.measured.is_some());
    if let Some(Measured { at, unix_s, received, overrun }) = bio.measured {
        out.number(at.0);
        out.float(unix_s);
        out.number(received);
        out.number(overrun);
    }
}

pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Bio> {
    let mut bio = Bio::default();
    let mind_count = bytes.count(20)?;
    for _ in 0..mind_count.min(MIND_COUNT_MAX + 1) {
        let stream = StreamId(bytes.number32()?);
        let detector = Detector::read(bytes)?;
        let mind = Mind { detector, seen: bytes.total()?, at: EngineTime(bytes.total()?) };
        bio.shelves[shelf(stream)].0.insert(stream, mind);
    }
    if mind_count > MIND_COUNT_MAX {
        return broken("more streams are observed than may be");
    }
    let lifted_count = bytes.count(2)?;
    if lifted_count > LIFTED_COUNT_MAX {
        return broken("more streams are lifted than may be");
    }
    for _ in 0..lifted_count {
        bio.lifted.insert(StreamId(bytes.number32()?), EngineTime(bytes.total()?));
    }
    bio.event_count = bytes.total()?;
    bio.tuner = Tuner::read(bytes)?;
    bio.circadian = Circadian::read(bytes)?;
    bio.forecast = Forecast::read(bytes)?;
    bio.correlation = Correlation::read(bytes)?;
    let name_count = bytes.count(1)?;
    if name_count > SENSOR_COUNT_MAX {
        return broken("more sensors are known than may be");
    }
    for _ in 0..name_count {
        let name: Arc<str> = bytes.text()?.into();
        bio.names.insert(key(&name), name);
    }
    let warm_count = bytes.count(9)?;
    if warm_count > SENSOR_COUNT_MAX {
        return broken("more sensors are kept warm than may be");
    }
    for _ in 0..warm_count {
        bio.warm.insert(bytes.bits()?, EngineTime(bytes.total()?));
    }
    if bytes.flag()? {
        bio.measured = Some(Measured {
            at: EngineTime(bytes.total()?),
            unix_s: finite(bytes)?,
            received: bytes.total()?,
            overrun: bytes.total()?,
        });
    }
    Ok(bio)
}

//! The devices of a cast within the process: at each step, everything they measured since the
//! last one, and everything that went wrong with them.
//!
//! A step costs what is due, not what is there: streams of one rate are sorted by their phase, so
//! that what falls into a span of time is a range, or two. Every sample is a function of the cast
//! and its own time, so the samples are the same however time is cut into steps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use components::cell::Cell;
use components::id::FeedId;
use components::sample::{Payload, SampleBatch, Timestamp};
use engine::{Command, Inputs};

use crate::chance::{hash, uniform};
use crate::fault::{FaultKind, FaultPlan, Faults};
use crate::scenario::Cast;
use crate::signal::Memory;

/// Made-up devices have no memory of a stall: what is older than this is gone, and counted.
pub const CATCH_UP_MS_MAX: i64 = 1000;

/// The account that made-up sensors belong to.
pub const OWNER: &str = "simulator";

/// Feeds opened in one step, so that the first ticks of a large fleet are not long ones.
pub const OPEN_COUNT_MAX: usize = 1000;

/// Samples that wait because a fault delays them. Beyond, they are sent at once.
pub const LATE_COUNT_MAX: usize = 1 << 20;

/// Milliseconds until a sensor that found no feed asks for one again.
const FEED_RETRY_MS: i64 = 1000;

/// Milliseconds within which every sensor is asked whether its connection broke.
const POLL_MS: i64 = 1000;

/// All devices of one cast.
#[derive(Debug)]
pub struct Fleet {
    cast: Arc<Cast>,
    start: Timestamp,
    /// Everything up to here was given out.
    done: Timestamp,
    choirs: Vec<Choir>,
    /// By body.
    memories: Vec<Memory>,
    /// By sensor.
    links: Vec<Link>,
    by_feed: HashMap<FeedId, u32>,
    /// Sensors that are [`Link::Wanted`], in the order in which they will be served.
    wanted: VecDeque<u32>,
    feed_wanted_at: Timestamp,
    /// Feeds that may still be opened in this step.
    openings: usize,
    /// Groups that come and go, their sensors, and ms since the start of the next change.
    guests: Vec<(usize, Vec<u32>)>,
    next_change_ms: i64,
    troubles: Option<Troubles>,
    skipped_ms: u64,
}

/// Streams of one rate, by their place in the period.
#[derive(Debug)]
struct Choir {
    cycle_ms: i64,
    cycle_samples: i64,
    phases: Vec<i64>,
    voices: Vec<Voice>,
}

#[derive(Debug, Clone, Copy)]
struct Voice {
    stream: u32,
    sensor: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Not there, or its connection broke.
    Away,
    Wanted,
    Open(FeedId),
    Lost,
}

/// What goes wrong, and the samples it keeps back.
#[derive(Debug)]
struct Troubles {
    plan: FaultPlan,
    seed: u64,
    breaks_connections: bool,
    /// The next sensor to be asked about its connection.
    asked: usize,
    late: BinaryHeap<Reverse<Late>>,
}

/// A sample that is not sent yet. It is measured when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    due: Timestamp,
    stream: u32,
    at: Timestamp,
}

/// What the numbers of a sample are for.
const REORDER: u64 = 1;
const DUPLICATE: u64 = 2;
const GARBAGE: u64 = 3;

impl Fleet {
    /// The devices of `cast`, who begin to measure after `start`.
    pub fn new(cast: Arc<Cast>, start: Timestamp) -> Self {
        let mut links = vec![Link::Wanted; cast.sensors.len()];
        let mut guests: Vec<(usize, Vec<u32>)> = Vec::new();
        for (number, sensor) in cast.sensors.iter().enumerate() {
            if cast.presence(sensor.group).is_none() {
                continue;
            }
            links[number] = Link::Away;
            match guests.last_mut().filter(|(group, _)| *group == sensor.group) {
                Some((_, sensors)) => sensors.push(number as u32),
                None => guests.push((sensor.group, vec![number as u32])),
            }
        }
        let wanted = (0..links.len() as u32).filter(|n| links[*n as usize] == Link::Wanted);
        let troubles = (!cast.faults.is_empty()).then(|| Troubles {
            plan: cast.fault_plan(),
            seed: hash(cast.seed, 0xfa17),
            breaks_connections: cast.faults.iter().any(|f| f.kind == FaultKind::Disconnect),
            asked: 0,
            late: BinaryHeap::new(),
        });
        Self {
            start,
            done: start,
            choirs: choirs(&cast),
            memories: (0..cast.bodies.len()).map(|_| Memory::default()).collect(),
            wanted: wanted.collect(),
            links,
            by_feed: HashMap::new(),
            feed_wanted_at: start,
            openings: 0,
            guests,
            next_change_ms: i64::MIN,
            troubles,
            skipped_ms: 0,
            cast,
        }
    }

    /// Opens feeds that are wanting, at most [`OPEN_COUNT_MAX`], then adds all samples after the
    /// last step and up to `to`. A step back in time adds nothing.
    pub fn advance(
        &mut self,
        to: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        if to > self.done && to.0 - self.done.0 > CATCH_UP_MS_MAX {
            let oldest = Timestamp(to.0 - CATCH_UP_MS_MAX);
            self.skipped_ms += (oldest.0 - self.done.0) as u64;
            self.done = oldest;
        }
        let span_ms = (self.done.0 - self.start.0, to.0 - self.start.0);
        if span_ms.1 >= self.next_change_ms {
            self.part(span_ms.0, &mut inputs.commands);
            self.welcome(span_ms);
        }
        self.ask_connections(to, &mut inputs.commands);
        self.open(to, take_feed, &mut inputs.commands);
        if to > self.done {
            self.measure(to, take_feed, inputs);
            self.send_late(to, inputs);
            self.done = to;
        }
    }

    /// The feed is gone or was refused: its sensor falls silent. A feed that is not of this fleet
    /// is none of its business.
    pub fn lose(&mut self, feed: FeedId) {
        if let Some(sensor) = self.by_feed.remove(&feed) {
            self.links[sensor as usize] = Link::Lost;
        }
    }

    /// Its time begins at `start`, whenever it was made. Before the first step.
    pub fn begin(&mut self, start: Timestamp) {
        self.start = start;
        self.done = start;
        self.feed_wanted_at = start;
    }

    /// What lies between the last step and `to` is not measured, and counted as skipped.
    pub fn skip(&mut self, to: Timestamp) {
        if to > self.done {
            self.skipped_ms += (to.0 - self.done.0) as u64;
            self.done = to;
        }
    }

    /// Whether this sensor of the cast is not to be there now: it has yet to come, has left, or
    /// its connection broke by plan.
    pub fn is_away(&self, sensor: usize) -> bool {
        self.links[sensor] == Link::Away
    }

    /// Every sensor whose feed was lost asks for one again, if it is there.
    pub fn reopen_lost(&mut self) {
        for sensor in 0..self.links.len() {
            if self.links[sensor] == Link::Lost {
                self.links[sensor] = Link::Away;
                if self.is_there(sensor as u32, self.done) {
                    want(&mut self.links, &mut self.wanted, sensor as u32);
                }
            }
        }
        self.feed_wanted_at = self.done;
    }

    /// Everyone leaves, and their sensors go with them at once.
    pub fn close(&mut self, commands: &mut Vec<Command>) {
        for link in &mut self.links {
            if let Link::Open(feed) = *link {
                commands.push(Command::Retire { feed });
            }
            *link = Link::Lost;
        }
        self.by_feed.clear();
        self.wanted.clear();
    }

    /// Milliseconds that were never measured, because steps were more than
    /// [`CATCH_UP_MS_MAX`] apart.
    pub fn skipped_ms(&self) -> u64 {
        self.skipped_ms
    }

    /// Sensors with an open feed.
    pub fn open_count(&self) -> usize {
        self.by_feed.len()
    }

    pub fn cast(&self) -> &Arc<Cast> {
        &self.cast
    }

    /// The sensors of groups that are there at some time of the span want feeds.
    fn welcome(&mut self, (from_ms, to_ms): (i64, i64)) {
        self.next_change_ms = i64::MAX;
        for (group, sensors) in &self.guests {
            let spans = self.cast.presence(*group).unwrap_or_default();
            let changes = spans.iter().flat_map(|(from, to)| [*from, *to]);
            let next = changes.filter(|change| *change > from_ms).min().unwrap_or(i64::MAX);
            self.next_change_ms = self.next_change_ms.min(next);
            if !spans.iter().any(|(from, to)| *from <= to_ms && *to > from_ms) {
                continue;
            }
            for &sensor in sensors {
                want(&mut self.links, &mut self.wanted, sensor);
            }
        }
    }

    /// The feeds of groups that are not there any more close.
    fn part(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        for (group, sensors) in &self.guests {
            if self.cast.is_present(*group, now_ms) {
                continue;
            }
            for &sensor in sensors {
                let link = &mut self.links[sensor as usize];
                if let Link::Open(feed) = *link {
                    self.by_feed.remove(&feed);
                    commands.push(Command::CloseFeed { feed });
                }
                *link = Link::Away;
            }
        }
    }

    /// Of some sensors, in turn: a connection that broke closes, one that is well again opens.
    fn ask_connections(&mut self, to: Timestamp, commands: &mut Vec<Command>) {
        let Some(troubles) = self.troubles.as_mut().filter(|it| it.breaks_connections) else {
            return;
        };
        let count = self.links.len() as i64;
        let step_ms = (to.0 - self.done.0).clamp(0, POLL_MS);
        let turns = (count * step_ms + POLL_MS - 1) / POLL_MS;
        for _ in 0..turns {
            let sensor = troubles.asked;
            troubles.asked = (sensor + 1) % self.links.len();
            // The samples before this step are given out: the feed may close in front of them.
            let before_ms = self.done.0 - self.start.0;
            let group = self.cast.sensors[sensor].group;
            let connected = troubles.plan.at(sensor, before_ms).connected;
            match self.links[sensor] {
                Link::Open(feed) if !connected => {
                    self.by_feed.remove(&feed);
                    commands.push(Command::CloseFeed { feed });
                    self.links[sensor] = Link::Away;
                }
                Link::Away if connected && self.cast.is_present(group, before_ms) => {
                    want(&mut self.links, &mut self.wanted, sensor as u32);
                }
                _ => {}
            }
        }
    }

    fn open(
        &mut self,
        to: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        commands: &mut Vec<Command>,
    ) {
        self.openings = OPEN_COUNT_MAX;
        if to < self.feed_wanted_at {
            return;
        }
        while self.openings > 0 {
            let Some(sensor) = self.wanted.pop_front() else { return };
            if self.links[sensor as usize] != Link::Wanted {
                continue;
            }
            if self.open_one(sensor, take_feed, commands).is_none() {
                self.wanted.push_front(sensor);
                self.feed_wanted_at = Timestamp(to.0.saturating_add(FEED_RETRY_MS));
                return;
            }
        }
    }

    fn open_one(
        &mut self,
        number: u32,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        commands: &mut Vec<Command>,
    ) -> Option<FeedId> {
        self.openings = self.openings.checked_sub(1)?;
        let feed = take_feed()?;
        self.links[number as usize] = Link::Open(feed);
        self.by_feed.insert(feed, number);
        let sensor = &self.cast.sensors[number as usize];
        let card = Box::new(sensor.card.clone());
        commands.push(Command::OpenFeed { feed, card, owner: OWNER.into() });
        for stream in &self.cast.streams[sensor.streams.clone()] {
            commands.push(Command::DeclareAttribute {
                feed,
                index: stream.index,
                attribute_id: (&*stream.attribute_id).into(),
                kind: stream.kind,
                rate_hz: Some(stream.cadence.rate_hz()),
            });
        }
        Some(feed)
    }

    /// All samples in `(done, to]`.
    fn measure(
        &mut self,
        to: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        let choirs = std::mem::take(&mut self.choirs);
        for choir in &choirs {
            choir.due(self.done, to, &mut |voice, at| {
                self.sample(voice, at, take_feed, inputs);
            });
        }
        self.choirs = choirs;
    }

    /// One sample that is due, if its sensor is there and well.
    fn sample(
        &mut self,
        voice: Voice,
        at: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        let link = self.links[voice.sensor as usize];
        if !self.guests.is_empty() && !self.is_there(voice.sensor, at) {
            return;
        }
        let Some(troubles) = &mut self.troubles else {
            if let Link::Open(feed) = link {
                let samples = &mut inputs.samples;
                put(&self.cast, &mut self.memories, voice.stream, feed, at, at, samples);
            }
            return;
        };
        let faults = troubles.plan.at(voice.sensor as usize, at.0 - self.start.0);
        if !faults.connected || faults.silent {
            return;
        }
        let feed = match link {
            Link::Open(feed) => feed,
            // The connection is well again, before anybody asked.
            Link::Away => match self.open_one(voice.sensor, take_feed, &mut inputs.commands) {
                Some(feed) => feed,
                None => return,
            },
            Link::Wanted | Link::Lost => return,
        };
        let Some(troubles) = &mut self.troubles else { return };
        if let Some(due) = troubles.due(&self.cast, voice.stream, at, &faults) {
            troubles.late.push(Reverse(Late { due, stream: voice.stream, at }));
            return;
        }
        let seed = troubles.seed_of(voice.stream);
        let stream = voice.stream;
        faulty(
            &self.cast,
            &mut self.memories,
            stream,
            feed,
            at,
            &faults,
            seed,
            &mut inputs.samples,
        );
    }

    /// What was kept back and is due by now, if its sensor still is there.
    fn send_late(&mut self, to: Timestamp, inputs: &mut Inputs) {
        let Some(mut troubles) = self.troubles.take() else { return };
        while let Some(Reverse(late)) = troubles.late.peek().copied().filter(|it| it.0.due <= to) {
            troubles.late.pop();
            let sensor = self.cast.streams[late.stream as usize].sensor;
            let Link::Open(feed) = self.links[sensor] else { continue };
            let now = troubles.plan.at(sensor, late.due.0 - self.start.0);
            if !now.connected || !self.is_there(sensor as u32, late.due) {
                continue;
            }
            // What its clock said, and what became of it, was settled when it was measured.
            let faults = troubles.plan.at(sensor, late.at.0 - self.start.0);
            let seed = troubles.seed_of(late.stream);
            let samples = &mut inputs.samples;
            let (stream, at) = (late.stream, late.at);
            faulty(&self.cast, &mut self.memories, stream, feed, at, &faults, seed, samples);
        }
        self.troubles = Some(troubles);
    }

    fn is_there(&self, sensor: u32, at: Timestamp) -> bool {
        let group = self.cast.sensors[sensor as usize].group;
        self.cast.is_present(group, at.0 - self.start.0)
    }
}

fn want(links: &mut [Link], wanted: &mut VecDeque<u32>, sensor: u32) {
    let link = &mut links[sensor as usize];
    if *link == Link::Away {
        *link = Link::Wanted;
        wanted.push_back(sensor);
    }
}

/// The streams of `cast`, by rate and then by phase.
fn choirs(cast: &Cast) -> Vec<Choir> {
    let mut order: Vec<u32> = (0..cast.streams.len() as u32).collect();
    let place = |n: &u32| {
        let cadence = &cast.streams[*n as usize].cadence;
        (cadence.cycle(), cadence.phase(), *n)
    };
    order.sort_by_key(place);
    let mut choirs: Vec<Choir> = Vec::new();
    for n in order {
        let stream = &cast.streams[n as usize];
        let ((cycle_ms, cycle_samples), phase) = (stream.cadence.cycle(), stream.cadence.phase());
        if choirs.last().is_none_or(|it| (it.cycle_ms, it.cycle_samples) != stream.cadence.cycle())
        {
            choirs.push(Choir { cycle_ms, cycle_samples, phases: vec![], voices: vec![] });
        }
        let choir = choirs.last_mut().expect("one was pushed");
        choir.phases.push(phase);
        choir.voices.push(Voice { stream: n, sensor: stream.sensor as u32 });
    }
    choirs
}

impl Choir {
    /// Every sample in `(from, to]`, in the order of time where the span is shorter than two
    /// periods, else voice by voice.
    ///
    /// Sample k of a voice of phase p is at place k × `cycle_ms` + p, in parts of
    /// 1 / `cycle_samples` ms, and what begins a millisecond belongs to it.
    fn due(&self, from: Timestamp, to: Timestamp, each: &mut dyn FnMut(Voice, Timestamp)) {
        let parts = i128::from(self.cycle_samples);
        let cycle = i128::from(self.cycle_ms);
        let low = (i128::from(from.0) + 1) * parts;
        // Places are counted from `low`: small numbers, however late it is.
        let span = (to.0 - from.0) * self.cycle_samples;
        let first = ((low.div_euclid(cycle)) * cycle - low) as i64;
        let at = |place: i64| match self.cycle_samples {
            1 => Timestamp(from.0 + 1 + place),
            parts => Timestamp(from.0 + 1 + place / parts),
        };
        if span > 2 * self.cycle_ms {
            for (phase, voice) in self.phases.iter().zip(&self.voices) {
                let mut place = first + phase;
                while place < span {
                    if place >= 0 {
                        each(*voice, at(place));
                    }
                    place += self.cycle_ms;
                }
            }
            return;
        }
        let mut begin = first;
        while begin < span {
            let from = self.phases.partition_point(|phase| begin + phase < 0);
            let to = self.phases.partition_point(|phase| begin + phase < span);
            for n in from..to {
                each(self.voices[n], at(begin + self.phases[n]));
            }
            begin += self.cycle_ms;
        }
    }
}

impl Troubles {
    fn seed_of(&self, stream: u32) -> u64 {
        hash(self.seed, u64::from(stream))
    }

    /// When the sample is sent, if not at once.
    fn due(&self, cast: &Cast, stream: u32, at: Timestamp, faults: &Faults) -> Option<Timestamp> {
        if self.late.len() >= LATE_COUNT_MAX {
            return None;
        }
        let mut due = at.0 + faults.delay_ms;
        if chance(self.seed_of(stream), at, REORDER) < faults.reorder {
            let cadence = &cast.streams[stream as usize].cadence;
            due = due.max(cadence.stamp(cadence.first_after(at)).0);
        }
        (due > at.0).then_some(Timestamp(due))
    }
}

/// 0..1, of one sample for one use.
fn chance(seed: u64, at: Timestamp, what: u64) -> f64 {
    uniform(hash(seed, what), at.0 as u64, 0.0, 1.0)
}

/// The sample at `at`, which the device says is of `stamp`.
fn put(
    cast: &Cast,
    memories: &mut [Memory],
    stream: u32,
    feed: FeedId,
    at: Timestamp,
    stamp: Timestamp,
    samples: &mut SampleBatch,
) {
    let stream = &cast.streams[stream as usize];
    let memory = &mut memories[cast.sensors[stream.sensor].body];
    stream.signal.measure(at, memory, &mut |payload| {
        samples.push(feed, stream.index, stamp, payload);
    });
}

/// As [`put`], by a clock that is off, twice, or as rubbish.
fn faulty(
    cast: &Cast,
    memories: &mut [Memory],
    stream: u32,
    feed: FeedId,
    at: Timestamp,
    faults: &Faults,
    seed: u64,
    samples: &mut SampleBatch,
) {
    let stamp = Timestamp(at.0.saturating_add(faults.clock_offset_ms));
    let times = 1 + usize::from(chance(seed, at, DUPLICATE) < faults.duplicate);
    for _ in 0..times {
        if chance(seed, at, GARBAGE) < faults.garbage {
            let index = cast.streams[stream as usize].index;
            samples.push(feed, index, stamp, rubbish(hash(seed, at.0 as u64)));
        } else {
            put(cast, memories, stream, feed, at, stamp, samples);
        }
    }
}

/// What a broken device says that still is JSON: the doors refuse the rest.
fn rubbish(luck: u64) -> Payload<'static> {
    match luck % 4 {
        0 => Payload::Scalar(Cell::NULL),
        1 => Payload::Scalar(Cell::float(-1.0e300).unwrap_or(Cell::NULL)),
        2 => Payload::Text { payload: "\"NaN\"", extra: "" },
        _ => Payload::Text { payload: "{\"x\":[[],{}],\"\":\"\\u0000\"}", extra: "" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::ORIGIN_MS;
    use crate::scenario::Scenario;
    use components::id::Handle;

    const START: i64 = ORIGIN_MS + 27_000_000_000;

    fn cast(text: &str) -> Arc<Cast> {
        let scenario = Scenario::parse_toml("test.toml", text);
        Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")).cast(1))
    }

    fn few() -> Arc<Cast> {
        Arc::new(Scenario::named("few", None).unwrap().cast(1))
    }

    /// Advances by these steps and writes down all that came.
    fn run(cast: &Arc<Cast>, steps_ms: impl IntoIterator<Item = i64>) -> (Fleet, Inputs) {
        let mut fleet = Fleet::new(Arc::clone(cast), Timestamp(START));
        let (mut inputs, mut next, mut now) = (Inputs::default(), 0, START);
        let mut take_feed = || {
            next += 1;
            Some(FeedId(Handle { slot: next, generation: 0 }))
        };
        for step in steps_ms {
            now += step;
            fleet.advance(Timestamp(now), &mut take_feed, &mut inputs);
        }
        (fleet, inputs)
    }

    /// Sensor, attribute, time and value of every sample, sorted. Whatever feed it came by.
    fn written(inputs: &Inputs) -> Vec<(Arc<str>, u16, Timestamp, String)> {
        let opened = inputs.commands.iter().filter_map(|command| match command {
            Command::OpenFeed { feed, card, .. } => Some((*feed, Arc::clone(&card.sensor_id))),
            _ => None,
        });
        let sensors: HashMap<FeedId, Arc<str>> = opened.collect();
        let mut all: Vec<_> = (0..inputs.samples.len())
            .map(|index| {
                let (feed, attribute, at, payload) = inputs.samples.get(index);
                let value = match payload {
                    Payload::Scalar(cell) => format!("{:x}", cell.0),
                    Payload::Shaped { cells, .. } => format!("{cells:x?}"),
                    Payload::Text { payload, .. } => payload.to_owned(),
                };
                (Arc::clone(&sensors[&feed]), attribute, at, value)
            })
            .collect();
        all.sort();
        all
    }

    /// 30 s in steps of every size.
    fn uneven() -> impl Iterator<Item = i64> {
        (0..).map(|n| 1 + n * 37 % 900).scan(30_000, |left, step| {
            let step = step.min(*left);
            *left -= step;
            (step > 0).then_some(step)
        })
    }

    #[test]
    fn however_time_is_cut_the_samples_are_the_same() {
        let whole = written(&run(&few(), [1000; 30]).1);
        assert_eq!(written(&run(&few(), [4; 7500]).1), whole);
        assert_eq!(written(&run(&few(), uneven()).1), whole);
    }

    const TROUBLED: &str = r#"
        [[people]]
        id = "p"
        count = 12
        devices = ["ecg", "wearable"]
        [[people]]
        id = "late"
        count = 3
        devices = ["belt"]
        [[schedule]]
        at = 7.321
        comes = "late"
        [[schedule]]
        at = 19
        leaves = "late"
        [[faults]]
        kind = "disconnect"
        every = [4, 9]
        lasts = [1, 3]
        share = 0.5
        [[faults]]
        kind = "silence"
        every = 8
        lasts = "500ms"
        [[faults]]
        kind = "skew"
        amount = 4000
        share = 0.3
        [[faults]]
        kind = "delay"
        amount = 1500
        every = 6
        share = 0.5
        lasts = 1
        [[faults]]
        kind = "reorder"
        amount = 0.2
        lasts = "never"
        [[faults]]
        kind = "duplicate"
        amount = 0.1
        lasts = "never"
        [[faults]]
        kind = "garbage"
        amount = 0.05
        lasts = "never"
    "#;

    #[test]
    fn however_time_is_cut_the_same_goes_wrong() {
        let cast = cast(TROUBLED);
        let whole = written(&run(&cast, [1000; 30]).1);
        assert!(whole.len() > 30_000, "{}", whole.len());
        assert_eq!(written(&run(&cast, [4; 7500]).1), whole);
        assert_eq!(written(&run(&cast, uneven()).1), whole);
    }

    #[test]
    fn every_trouble_is_seen() {
        let (_, inputs) = run(&cast(TROUBLED), [4; 7500]);
        let closed = |c: &&Command| matches!(c, Command::CloseFeed { .. });
        let disconnected = inputs.commands.iter().filter(closed).count();
        assert!(disconnected > 20, "{disconnected} connections broke");
        let ecg: Vec<_> =
            written(&inputs).into_iter().filter(|it| it.0.ends_with(":ecg")).collect();
        let full = 12 * 250 * 30;
        assert!((full * 8 / 10..full).contains(&ecg.len()), "{} of {full}", ecg.len());
        let twice = ecg.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!((ecg.len() / 13..ecg.len() / 9).contains(&twice), "{twice} came twice");
        let rubbish = ecg.iter().filter(|it| it.3.contains(['N', '{'])).count();
        assert!((ecg.len() / 55..ecg.len() / 30).contains(&rubbish), "{rubbish} are rubbish texts");
        let off = |ms: i64| !(START..=START + 30_000).contains(&ms);
        assert!(ecg.iter().any(|it| off(it.2.0)), "some clock is off");

        let mut last: HashMap<(FeedId, u16), Timestamp> = HashMap::new();
        let mut backwards = 0;
        for index in 0..inputs.samples.len() {
            let (feed, attribute, at, _) = inputs.samples.get(index);
            let before = last.insert((feed, attribute), at);
            backwards += usize::from(before.is_some_and(|before| before > at));
        }
        let part = backwards as f64 / inputs.samples.len() as f64;
        assert!((0.1..0.25).contains(&part), "{part} came after a later one");
    }

    #[test]
    fn those_of_the_schedule_come_and_leave_at_their_time() {
        let cast = cast(
            r#"
            [[people]]
            id = "always"
            devices = ["belt"]
            [[people]]
            id = "guest"
            devices = ["belt"]
            [[schedule]]
            at = "2s"
            comes = ["guest"]
            [[schedule]]
            at = "3500ms"
            leaves = ["guest"]
            [[schedule]]
            at = 5
            comes = ["guest"]
            [[schedule]]
            at = 3
            leaves = "always"
            "#,
        );
        let (fleet, inputs) = run(&cast, [100; 80]);
        assert_eq!(fleet.open_count(), 1);
        let of = |id: &str| -> Vec<i64> {
            let all = written(&inputs).into_iter().filter(|it| &*it.0 == id);
            all.map(|it| it.2.0 - START).collect()
        };
        let (always, guest) = (of("always:belt"), of("guest:belt"));
        assert_eq!(always.len(), 75, "25 a second, for three seconds");
        assert!(always.iter().all(|at| *at < 3000));
        assert!(guest.iter().all(|at| (2000..3500).contains(at) || *at >= 5000), "{guest:?}");
        assert!((112..=113).contains(&guest.len()), "{} in 4.5 seconds", guest.len());
        let closed = |c: &&Command| matches!(c, Command::CloseFeed { .. });
        assert_eq!(inputs.commands.iter().filter(closed).count(), 2);
    }

    #[test]
    fn who_was_lost_and_has_left_is_not_asked_back() {
        let cast = cast(
            "[[people]]\nid = \"guest\"\ncount = 2\ndevices = [\"belt\"]\n\
             [[schedule]]\nat = 1\nleaves = \"guest\"",
        );
        let (mut fleet, _) = run(&cast, [500]);
        fleet.lose(FeedId(Handle { slot: 1, generation: 0 }));
        let mut inputs = Inputs::default();
        let mut slot = 10;
        let mut advance = |fleet: &mut Fleet, ms: i64| {
            let mut take_feed = || {
                slot += 1;
                Some(FeedId(Handle { slot, generation: 0 }))
            };
            fleet.advance(Timestamp(START + ms), &mut take_feed, &mut inputs);
        };
        fleet.reopen_lost();
        advance(&mut fleet, 600);
        assert_eq!(fleet.open_count(), 2);
        fleet.lose(FeedId(Handle { slot: 11, generation: 0 }));
        advance(&mut fleet, 1100);
        advance(&mut fleet, 1200);
        fleet.reopen_lost();
        advance(&mut fleet, 1300);
        assert_eq!(fleet.open_count(), 0);
    }

    #[test]
    fn every_device_keeps_its_rate() {
        let (fleet, inputs) = run(&few(), [100; 600]);
        assert_eq!(fleet.open_count(), 32);
        assert_eq!(inputs.commands.len(), 32 + 8 * 8, "a feed each, and an attribute each");
        let per_person = 60 * (250 + 25 + 25 + 1 + 1) + 12 + 12 + 3;
        assert_eq!(inputs.samples.len(), 8 * per_person);
    }

    #[test]
    fn a_large_fleet_opens_a_thousand_feeds_a_step() {
        let text = "[[people]]\nid = \"p\"\ncount = 2500\ndevices = [\"belt\"]";
        let cast = cast(text);
        for (steps, open) in [(1, 1000), (2, 2000), (3, 2500), (4, 2500)] {
            assert_eq!(run(&cast, vec![4; steps]).0.open_count(), open);
        }
    }

    #[test]
    fn a_stall_is_cut_short_and_counted() {
        let (fleet, inputs) = run(&few(), [10, 5000]);
        assert_eq!(fleet.skipped_ms(), 4000);
        assert!(inputs.samples.len() < 8 * 310);
        let back = run(&few(), [10, -500, 0, 0]).1.samples.len();
        assert_eq!(back, run(&few(), [10]).1.samples.len());
    }

    #[test]
    fn without_feeds_nothing_is_measured_until_there_are_some() {
        let mut fleet = Fleet::new(few(), Timestamp(START));
        let mut inputs = Inputs::default();
        fleet.advance(Timestamp(START + 500), &mut || None, &mut inputs);
        assert!(inputs.commands.is_empty() && inputs.samples.is_empty());
        let feed = FeedId(Handle { slot: 1, generation: 0 });
        let mut one = Some(feed);
        fleet.advance(Timestamp(START + 1600), &mut || one.take(), &mut inputs);
        assert_eq!(fleet.open_count(), 1);
        assert_eq!(inputs.samples.len(), 250, "one second of one ECG");

        fleet.lose(feed);
        inputs.samples.clear();
        fleet.advance(Timestamp(START + 1700), &mut || None, &mut inputs);
        assert!(inputs.samples.is_empty());

        fleet.reopen_lost();
        let mut next = 1;
        let mut take_feed = || {
            next += 1;
            Some(FeedId(Handle { slot: next, generation: 0 }))
        };
        fleet.advance(Timestamp(START + 1800), &mut take_feed, &mut inputs);
        assert_eq!(fleet.open_count(), 32, "the lost one is among them");
    }

    #[test]
    fn whoever_closes_takes_every_sensor_along() {
        let (mut fleet, _) = run(&few(), [10]);
        let mut commands = Vec::new();
        fleet.close(&mut commands);
        assert_eq!(commands.len(), 32);
        assert!(commands.iter().all(|command| matches!(command, Command::Retire { .. })));
        assert_eq!(fleet.open_count(), 0);
        let mut inputs = Inputs::default();
        let feed = || Some(FeedId(Handle { slot: 9, generation: 9 }));
        fleet.advance(Timestamp(START + 900), &mut { feed }, &mut inputs);
        assert!(inputs.commands.is_empty() && inputs.samples.is_empty(), "it stays closed");
    }
}

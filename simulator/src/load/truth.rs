//! Holds what viewers receive against what was generated: every value recomputed, every sample
//! there once, and what is missing explained by the server.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use components::sample::Timestamp;
use rustc_hash::{FxHashMap, FxHasher};

use super::dialect::{Heard, How, Said};
use super::figures::{Count, Look, Series};
use super::world::{World, Written};
use crate::signal::Memory;

/// Seconds of samples of a stream whose sending times are remembered; and samples at least and at
/// most.
const SENT_SECONDS: f64 = 3.0;
const SENT_COUNT_MIN: usize = 4;
const SENT_COUNT_MAX: usize = 4096;

/// Low bits of a sending time: microseconds since the run began, twelve days of them. Above are
/// those of the sample's number that tell it from others in its place.
const MICROS_BITS: u32 = 40;
const MICROS_MASK: u64 = (1 << MICROS_BITS) - 1;

/// How many values of a stream are remembered once computed: what several viewers receive within
/// a few flushes.
const VALUE_COUNT: usize = 16;

/// How far from the number that is expected the sample is looked for whose stamp a wrong clock has
/// shifted.
const SHIFTED_SAMPLES_MAX: i64 = 4096;

/// How far apart the clocks of a run's processes may be.
const CLOCKS_APART_MS_MAX: i64 = 10;

/// When each of the latest samples of every stream was sent, told by the sender to the listener of
/// one process.
#[derive(Debug)]
pub(super) struct SentTimes {
    /// Per stream: where its places begin, and their number less one (they are a power of two).
    places: Vec<(usize, usize)>,
    slots: Vec<AtomicU64>,
}

impl SentTimes {
    pub(super) fn new(world: &World) -> Self {
        let mut start = 0;
        let places = world.streams.iter().map(|stream| {
            let count = (stream.cadence.rate_hz() * SENT_SECONDS) as usize;
            let count = count.clamp(SENT_COUNT_MIN, SENT_COUNT_MAX).next_power_of_two();
            start += count;
            (start - count, count - 1)
        });
        let places = places.collect();
        Self { places, slots: (0..start).map(|_| AtomicU64::new(u64::MAX)).collect() }
    }

    fn slot(&self, stream: usize, k: i64) -> &AtomicU64 {
        let (start, mask) = self.places[stream];
        &self.slots[start + (k as usize & mask)]
    }

    pub(super) fn set(&self, stream: usize, k: i64, micros: u64) {
        let word = (k as u64) << MICROS_BITS | micros & MICROS_MASK;
        self.slot(stream, k).store(word, Ordering::Relaxed);
    }

    /// `None` when it was sent by another process, or so long ago that it is forgotten.
    pub(super) fn get(&self, stream: usize, k: i64) -> Option<u64> {
        let word = self.slot(stream, k).load(Ordering::Relaxed);
        (word != u64::MAX && word >> MICROS_BITS == (k as u64) << MICROS_BITS >> MICROS_BITS)
            .then_some(word & MICROS_MASK)
    }
}

/// Knows what every sample must be.
pub(super) struct Checker {
    world: Arc<World>,
    /// Per device: whether something goes wrong with it by plan.
    afflicted: Vec<bool>,
    sent: Arc<SentTimes>,
    /// Unix µs of the beginning of the run.
    began_unix_us: i64,
    memories: Vec<Memory>,
    /// Per stream, and place by number: the number, and the hash of its value as text and as
    /// cells.
    values: Vec<Option<Box<[Value; VALUE_COUNT]>>>,
    written: Written,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    k: i64,
    text: u64,
    cells: u64,
}

/// How far one viewer has come in one stream, and what it was told since its last message.
#[derive(Debug, Clone, Default)]
struct Track {
    /// The last sample received of those that come one after the other.
    whole: Option<i64>,
    /// The last of those that stand for others.
    latest: Option<i64>,
    /// The next sample may be any.
    begins: bool,
    /// Nothing but seeds has come since the beginning.
    fresh: bool,
    /// The last live sample was one of a full list.
    raw: bool,
    /// Samples that this message leaves out, those of them that were sent before the viewer
    /// pointed at the sensor, and those it owns up to.
    jump: u64,
    early: u64,
    told: u64,
}

/// One viewer's progress. Dropped when it leaves.
#[derive(Debug, Default)]
pub(super) struct Progress {
    tracks: FxHashMap<usize, Track>,
    /// Streams with something to explain at the end of the message.
    open: Vec<usize>,
    /// Stops reading by plan: what it misses is its own doing.
    pub slow: bool,
    /// Its battery is nearly empty.
    pub dim: bool,
    /// Sensors that it has said it points at, and of those the server has taken that of, since
    /// when, µs since the beginning.
    said: HashSet<usize>,
    pointed_at: FxHashMap<usize, u64>,
}

impl Progress {
    pub(super) fn new(slow: bool) -> Self {
        Self { slow, ..Self::default() }
    }

    /// The viewer says that it points at these sensors.
    pub(super) fn point(&mut self, sensors: HashSet<usize>) {
        self.pointed_at.retain(|sensor, _| sensors.contains(sensor));
        self.said = sensors;
    }

    /// The server has taken it, at `now`: from here on it owes every sample of them.
    fn attended(&mut self, now: u64) {
        for sensor in &self.said {
            self.pointed_at.entry(*sensor).or_insert(now);
        }
    }

    /// How it looked at a sensor when something was sent.
    fn look(&self, sensor: usize, sent: u64) -> Look {
        let close = self.pointed_at.get(&sensor).is_some_and(|since| *since <= sent);
        match (close, self.dim) {
            (true, _) => Look::Close,
            (false, true) => Look::Dim,
            (false, false) => Look::Seen,
        }
    }
}

impl Checker {
    pub(super) fn new(world: &Arc<World>, sent: &Arc<SentTimes>, began_unix_us: i64) -> Self {
        Self {
            afflicted: (0..world.devices.len()).map(|device| world.is_afflicted(device)).collect(),
            sent: Arc::clone(sent),
            began_unix_us,
            memories: world.memories(),
            values: vec![None; world.streams.len()],
            written: Written::default(),
            world: Arc::clone(world),
        }
    }

    /// Takes one thing that a viewer heard at `now` µs after the beginning into account.
    pub(super) fn take(
        &mut self,
        heard: Heard<'_>,
        now: u64,
        viewer: &mut Progress,
        all: &mut Series,
    ) {
        match heard {
            Heard::Sample { stream, unix_ms, said, how } => {
                self.sample(stream, unix_ms, said, how, now, viewer, all);
            }
            Heard::Begun { stream } => {
                let track = viewer.tracks.entry(stream).or_default();
                (track.begins, track.fresh) = (true, true);
            }
            Heard::Missed { stream, count } => {
                let look = self.look(stream, viewer, now);
                let track = viewer.tracks.entry(stream).or_default();
                let figures = all.at(now);
                if track.fresh {
                    figures.add(Count::Away, count);
                } else if track.raw {
                    track.told += count;
                    viewer.open.push(stream);
                } else {
                    figures.add(Count::Coalesced, count);
                    if let Some(look) = look {
                        figures.looks[look as usize].summed_up += count;
                    }
                }
            }
            Heard::Attended => viewer.attended(now),
            Heard::End => self.close(now, viewer, all),
        }
    }

    fn sample(
        &mut self,
        stream: usize,
        unix_ms: i64,
        said: Said<'_>,
        how: How,
        now: u64,
        viewer: &mut Progress,
        all: &mut Series,
    ) {
        let device = self.world.device_of(stream);
        let afflicted = self.afflicted[device];
        let pointed_since = viewer.pointed_at.get(&self.world.streams[stream].sensor).copied();
        let track = viewer.tracks.entry(stream).or_default();
        if unix_ms < self.began_unix_us.div_euclid(1000) && !afflicted {
            // Of an earlier run, whose sensors the server still has: nothing is known of it, and
            // what comes behind it begins anew.
            (track.begins, track.whole) = (true, None);
            return;
        }
        let expected = track.whole.max(track.latest);
        let Some((k, is_true)) = self.identify(stream, unix_ms, said, expected, now) else {
            return all.at(now).add(Count::Wrong, 1);
        };
        let sent = self.sent_at(stream, k);
        let look = self.look(stream, viewer, sent);
        let track = viewer.tracks.entry(stream).or_default();
        let figures = all.at(sent);
        if !is_true {
            figures.add(Count::Wrong, 1);
        }
        if how == How::Latest {
            let since = expected.map_or(0, |before| k.saturating_sub(before + 1).max(0));
            figures.add(Count::Coalesced, since as u64);
            figures.add(Count::Latest, 1);
            track.latest = Some(k);
            (track.fresh, track.raw) = (false, false);
            if let Some(look) = look {
                figures.looks[look as usize].summed_up += since as u64 + 1;
                figures.aged(look, now.saturating_sub(sent));
            }
            return;
        }
        let again = track.whole.is_some_and(|whole| k <= whole);
        if again {
            let count = if afflicted { Count::FaultyDoubled } else { Count::Doubled };
            figures.add(count, 1);
        } else {
            if let Some(whole) = track.whole.filter(|_| !track.begins) {
                let early = pointed_since.map_or(0, |since| {
                    let missing = whole + 1..k;
                    self.sent_before(stream, missing, since)
                });
                track.early += early;
                track.jump += (k - whole - 1) as u64;
                if track.jump > 0 {
                    viewer.open.push(stream);
                }
            }
            track.whole = Some(k);
        }
        track.begins = false;
        if how == How::Seed {
            figures.add(Count::Seeded, 1);
            return;
        }
        (track.fresh, track.raw) = (false, true);
        if !again {
            let count = if viewer.slow { Count::SlowDelivered } else { Count::Delivered };
            figures.add(count, 1);
            if let Some(look) = look {
                figures.looks[look as usize].whole += 1;
                figures.aged(look, now.saturating_sub(sent));
            }
        }
    }

    /// When a sample was sent, µs since the beginning.
    fn sent_at(&self, stream: usize, k: i64) -> u64 {
        let due = || self.world.due_us(stream, k) - self.began_unix_us;
        self.sent.get(stream, k).unwrap_or_else(|| u64::try_from(due()).unwrap_or(0))
    }

    /// How many of these samples were sent before a time.
    fn sent_before(&self, stream: usize, samples: Range<i64>, micros: u64) -> u64 {
        let (mut low, mut high) = (samples.start, samples.end.max(samples.start));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.sent_at(stream, middle) < micros {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low - samples.start) as u64
    }

    /// How a viewer looked at a stream when something was sent; `None`: what comes late or not at all by plan says nothing
    /// of the server.
    fn look(&self, stream: usize, viewer: &Progress, sent: u64) -> Option<Look> {
        let sensor = self.world.streams[stream].sensor;
        let afflicted = self.afflicted[self.world.sensors[sensor].device];
        (!afflicted && !viewer.slow).then(|| viewer.look(sensor, sent))
    }

    /// What a message left out, it also owned up to, or nobody did.
    fn close(&mut self, now: u64, viewer: &mut Progress, all: &mut Series) {
        let open = std::mem::take(&mut viewer.open);
        for &stream in &open {
            let look = self.look(stream, viewer, now);
            let before = self.look(stream, viewer, 0);
            let Some(track) = viewer.tracks.get_mut(&stream) else { continue };
            let (jump, told) = (std::mem::take(&mut track.jump), std::mem::take(&mut track.told));
            let early = std::mem::take(&mut track.early);
            let afflicted = self.afflicted[self.world.device_of(stream)];
            let (missed, gaps) = match (viewer.slow, afflicted) {
                (true, _) => (Count::SlowMissed, Count::SlowMissed),
                (_, true) => (Count::FaultyMissed, Count::FaultyGaps),
                _ => (Count::Missed, Count::Gaps),
            };
            all.at(now).add(missed, told);
            // A sample that the server counts twice, as it does with devices that repeat
            // themselves, can be owned up to without being left out.
            all.at(now).add(gaps, jump.saturating_sub(told));
            if let (Some(look), Some(before)) = (look, before) {
                all.at(now).looks[before as usize].lost += early;
                all.at(now).looks[look as usize].lost += jump.max(told) - early;
            }
        }
        viewer.open = open;
        viewer.open.clear();
    }

    /// Samples of these sensors, which the viewer has looked at since `looked.start` µs after the
    /// beginning, that it should have had one by one by the end of the run, `looked.end`, and has
    /// not. `whole`: at its quality nothing is summed up.
    pub(super) fn tail(
        &self,
        viewer: &Progress,
        sensors: &HashSet<usize>,
        whole: bool,
        looked: Range<u64>,
        all: &mut Series,
    ) {
        let world = &self.world;
        let healthy = sensors.iter().filter(|n| !self.afflicted[world.sensors[**n].device]);
        for stream in healthy.flat_map(|n| world.sensors[*n].streams.clone()) {
            let track = viewer.tracks.get(&stream);
            let last = self.last_before(stream, looked.end);
            let lost = match track {
                Some(Track { whole: Some(whole), raw: true, .. }) => last - whole,
                // Not a word in all the time.
                None if whole && world.streams[stream].kind.every_sample_matters() => {
                    last - self.last_before(stream, looked.start)
                }
                _ => 0,
            };
            let (figures, lost) = (all.at(looked.end.saturating_sub(1)), lost.max(0) as u64);
            figures.add(Count::Gaps, lost);
            for k in last + 1 - lost as i64..=last {
                if let Some(look) = self.look(stream, viewer, self.sent_at(stream, k)) {
                    figures.looks[look as usize].lost += 1;
                }
            }
        }
    }

    /// The last sample that is to be sent before a time.
    fn last_before(&self, stream: usize, micros: u64) -> i64 {
        let unix_us = self.began_unix_us + micros as i64;
        let cadence = &self.world.streams[stream].cadence;
        let mut last = cadence.first_after(Timestamp(unix_us.div_euclid(1000))) - 1;
        while self.world.due_us(stream, last) >= unix_us {
            last -= 1;
        }
        last
    }

    /// Which sample has this stamp, and whether this is its value. Of a device whose clock is wrong
    /// by plan several may have it, of those that were measured since the run began: it is the one
    /// that is true, and if none is, the one nearest to what came last.
    fn identify(
        &mut self,
        stream: usize,
        unix_ms: i64,
        said: Said<'_>,
        before: Option<i64>,
        now: u64,
    ) -> Option<(i64, bool)> {
        let world = Arc::clone(&self.world);
        let cadence = &world.streams[stream].cadence;
        let device = world.device_of(stream);
        if !self.afflicted[device] {
            let k = cadence.index_of(Timestamp(unix_ms))?;
            return Some((k, self.is_true(stream, k, said)));
        }
        let began_ms = self.began_unix_us.div_euclid(1000);
        let now_ms = began_ms + (now / 1000) as i64;
        let shift = |ms: i64| world.faults_at(device, ms - began_ms).clock_offset_ms;
        let as_sent = |k: &i64| {
            let stamp = cadence.stamp(*k).0;
            (began_ms..=now_ms + CLOCKS_APART_MS_MAX).contains(&stamp)
                && stamp + shift(stamp) == unix_ms
        };
        let near = before.unwrap_or_else(|| cadence.first_after(Timestamp(now_ms)));
        let nearby = (1..SHIFTED_SAMPLES_MAX).flat_map(|n| [near + n, near - n + 1]);
        // Further away: its clock was right, or as wrong as it is now.
        let far = [unix_ms, unix_ms - shift(now_ms)].map(|ms| cadence.index_of(Timestamp(ms)));
        let mut candidates = nearby.chain(far.into_iter().flatten()).filter(as_sent);
        let nearest = candidates.next()?;
        let is_true = |k: &i64| self.is_true(stream, *k, said);
        let found = std::iter::once(nearest).chain(candidates).find(is_true);
        Some((found.unwrap_or(nearest), found.is_some()))
    }

    /// Whether this is the value of the k-th sample.
    fn is_true(&mut self, stream: usize, k: i64, said: Said<'_>) -> bool {
        let place = k.rem_euclid(VALUE_COUNT as i64) as usize;
        let none = Value { k: i64::MIN, text: 0, cells: 0 };
        let values = self.values[stream].get_or_insert_with(|| Box::new([none; VALUE_COUNT]));
        if values[place].k != k {
            self.world.measure(stream, k, &mut self.memories, &mut self.written);
            let text = hash_of_text(&self.written.payload);
            let cells = hash_of_json(&self.written.payload);
            values[place] = Value { k, text, cells };
        }
        match said {
            Said::Json(text) if hash_of_text(text) == values[place].text => true,
            Said::Json(text) => {
                // Written in another way it may still be the same.
                self.world.measure(stream, k, &mut self.memories, &mut self.written);
                let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
                let told = read(text);
                told.is_some() && told == read(&self.written.payload)
            }
            Said::Cells { cells, shape } => hash_of_cells(cells, shape) == values[place].cells,
        }
    }
}

fn hash_of_text(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

fn hash_of_cells(cells: &[f64], shape: &str) -> u64 {
    let mut hasher = FxHasher::default();
    shape.hash(&mut hasher);
    // Nulls are NaN of whatever bits.
    let bits = |cell: f64| if cell.is_nan() { u64::MAX } else { cell.to_bits() };
    cells.iter().for_each(|cell| hasher.write_u64(bits(*cell)));
    hasher.finish()
}

/// As [`hash_of_cells`] of the cells and the shape that a server makes of a payload
/// (`docs/wire.md` 2.5).
fn hash_of_json(payload: &str) -> u64 {
    use components::cell::{Cell, Leaf};
    let (mut skeleton, mut cells) = (Vec::new(), Vec::new());
    if !components::shape::split(payload, &mut skeleton, &mut cells) {
        return 0;
    }
    let numbers: Vec<f64> = cells
        .iter()
        .map(|cell| match Cell(*cell).leaf() {
            Leaf::Float(value) => value,
            Leaf::Integer(value) => value as f64,
            Leaf::True => 1.0,
            Leaf::False => 0.0,
            Leaf::Null | Leaf::Text(_) => f64::NAN,
        })
        .collect();
    hash_of_cells(&numbers, std::str::from_utf8(&skeleton).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::figures::Looked;
    use super::*;
    use crate::fault::{FaultKind, FaultPlan, FaultSpec};

    const BEGAN: i64 = 1_795_000_000_000_000;

    struct Lab {
        checker: Checker,
        viewer: Progress,
        all: Series,
        first: i64,
    }

    impl Lab {
        fn new(specs: &[FaultSpec]) -> Self {
            Self::with(100.0, FaultPlan::new(specs, 1))
        }

        fn with(rate_hz: f64, faults: FaultPlan) -> Self {
            let mut world = World::uniform(2, 1, rate_hz, "ecg");
            world.faults = faults;
            let world = Arc::new(world);
            let sent = Arc::new(SentTimes::new(&world));
            let first = world.streams[0].cadence.first_after(Timestamp(BEGAN / 1000));
            let checker = Checker::new(&world, &sent, BEGAN);
            Self { checker, viewer: Progress::default(), all: Series::default(), first }
        }

        fn value(&self, n: i64) -> String {
            let mut written = Written::default();
            let world = &self.checker.world;
            world.measure(0, self.first + n, &mut world.memories(), &mut written);
            written.payload
        }

        fn stamp(&self, n: i64) -> i64 {
            self.checker.world.streams[0].cadence.stamp(self.first + n).0
        }

        fn hear(&mut self, heard: Heard<'_>) {
            self.hear_at(1_000_000, heard);
        }

        fn hear_at(&mut self, now: u64, heard: Heard<'_>) {
            self.checker.take(heard, now, &mut self.viewer, &mut self.all);
        }

        fn sample(&mut self, n: i64, how: How) {
            let (value, unix_ms) = (self.value(n), self.stamp(n));
            self.hear(Heard::Sample { stream: 0, unix_ms, said: Said::Json(&value), how });
        }

        fn message(&mut self, numbers: impl IntoIterator<Item = i64>) {
            numbers.into_iter().for_each(|n| self.sample(n, How::Raw));
            self.hear(Heard::End);
        }

        fn counts<const N: usize>(&self, counts: [Count; N]) -> [u64; N] {
            counts.map(|count| self.all.total(0..usize::MAX).of(count))
        }
    }

    const LOSSES: [Count; 5] =
        [Count::Delivered, Count::Gaps, Count::Missed, Count::Doubled, Count::Wrong];

    #[test]
    fn what_is_whole_is_whole() {
        let mut lab = Lab::new(&[]);
        lab.hear(Heard::Begun { stream: 0 });
        (0..5).for_each(|n| lab.sample(n, How::Seed));
        lab.message(5..40);
        assert_eq!(lab.counts(LOSSES), [35, 0, 0, 0, 0]);
        assert_eq!(lab.counts([Count::Seeded]), [5]);
        assert_eq!(lab.all.total(0..9).age.count(), 35);
    }

    #[test]
    fn what_came_of_what_is_pointed_at_is_told_apart_from_what_is_merely_visible() {
        let mut lab = Lab::new(&[]);
        lab.message([0, 1, 4]);
        lab.viewer.point(HashSet::from([0]));
        lab.message([5, 6]);
        // The server takes it between the ninth sample and the tenth.
        let taken = lab.checker.sent_at(0, lab.first + 9);
        lab.hear_at(taken, Heard::Attended);
        lab.message([8, 12, 13]);
        lab.viewer = Progress { dim: true, ..Progress::default() };
        lab.sample(14, How::Latest);
        lab.sample(19, How::Latest);
        lab.viewer.slow = true;
        lab.message([20]);
        let looked = lab.all.total(0..9).looks;
        let of = |look: &Looked| (look.whole, look.summed_up, look.lost, look.age.count());
        assert_eq!(looked.each_ref().map(of), [(2, 0, 3, 2), (6, 0, 3, 6), (0, 6, 0, 2)]);
    }

    #[test]
    fn what_is_missing_double_or_altered_is_found() {
        let mut lab = Lab::new(&[]);
        lab.message([0, 1, 2, 4, 4, 5]);
        assert_eq!(lab.counts(LOSSES), [5, 1, 0, 1, 0], "the third is missing, the fourth double");
        let unix_ms = lab.stamp(6);
        lab.hear(Heard::Sample { stream: 0, unix_ms, said: Said::Json("7"), how: How::Raw });
        assert_eq!(lab.counts([Count::Wrong]), [1], "another value");
        let value = lab.value(7);
        let said = Said::Json(&value);
        lab.hear(Heard::Sample { stream: 0, unix_ms: unix_ms + 9, said, how: How::Raw });
        assert_eq!(lab.counts([Count::Wrong]), [2], "a time at which there was none");
    }

    #[test]
    fn what_the_server_owns_up_to_is_missed_and_no_gap() {
        let mut lab = Lab::new(&[]);
        lab.message([0, 1]);
        // In the JSON form it is told behind the samples, in the binary form before them.
        lab.sample(5, How::Raw);
        lab.hear(Heard::Missed { stream: 0, count: 3 });
        lab.hear(Heard::End);
        lab.hear(Heard::Missed { stream: 0, count: 2 });
        lab.message([9]);
        assert_eq!(lab.counts(LOSSES), [4, 1, 5, 0, 0], "three left out, two owned up to");
    }

    #[test]
    fn what_stands_for_others_leaves_no_gap_and_what_comes_back_begins_with_its_past() {
        let mut lab = Lab::new(&[]);
        lab.message([0, 1]);
        lab.sample(7, How::Latest);
        lab.sample(12, How::Latest);
        lab.hear(Heard::End);
        assert_eq!(lab.counts([Count::Latest, Count::Coalesced]), [2, 9]);
        // The past since the last one that came whole, less what has aged.
        lab.hear(Heard::Begun { stream: 0 });
        lab.hear(Heard::Missed { stream: 0, count: 3 });
        (5..14).for_each(|n| lab.sample(n, How::Seed));
        lab.message([14, 15]);
        assert_eq!(lab.counts(LOSSES), [4, 0, 0, 0, 0]);
        assert_eq!(lab.counts([Count::Away]), [3]);
    }

    #[test]
    fn what_is_left_of_an_earlier_run_is_neither_wrong_nor_a_gap() {
        let mut lab = Lab::new(&[]);
        lab.hear(Heard::Begun { stream: 0 });
        for unix_ms in [BEGAN / 1000 - 61_003, BEGAN / 1000 - 7] {
            let said = Said::Json("42");
            lab.hear(Heard::Sample { stream: 0, unix_ms, said, how: How::Seed });
        }
        lab.sample(0, How::Seed);
        lab.message(1..5);
        assert_eq!(lab.counts(LOSSES), [4, 0, 0, 0, 0]);
        assert_eq!(lab.counts([Count::Seeded]), [1]);
    }

    #[test]
    fn the_end_of_a_stream_is_missed_too() {
        let mut lab = Lab::new(&[]);
        lab.message(0..60);
        let (looks_at, looked) = (HashSet::from([0]), 0..1_000_000);
        lab.checker.tail(&lab.viewer, &looks_at, true, looked.clone(), &mut lab.all);
        let at_hundred_hertz = 99 - 60;
        assert_eq!(lab.counts([Count::Gaps]), [at_hundred_hertz]);
        // Of the other nothing was heard at all, and nothing of it was promised to quality low.
        let (looks_at, nobody) = (HashSet::from([1]), Progress::default());
        lab.checker.tail(&nobody, &looks_at, false, looked.clone(), &mut lab.all);
        assert_eq!(lab.counts([Count::Gaps]), [at_hundred_hertz]);
        lab.checker.tail(&nobody, &looks_at, true, looked, &mut lab.all);
        assert_eq!(lab.counts([Count::Gaps]), [at_hundred_hertz + 100]);
    }

    #[test]
    fn a_clock_that_is_wrong_by_plan_is_followed_and_its_losses_are_told_apart() {
        let skew = FaultSpec {
            kind: FaultKind::Skew,
            share: 1.0,
            every_s: (0.3, 0.3),
            lasts_s: (0.1, 0.2),
            amount: 70_000.0,
        };
        let mut lab = Lab::new(&[skew]);
        let mut shifted = 0;
        for n in 0..90 {
            let (value, stamp) = (lab.value(n), lab.stamp(n));
            let offset = lab.checker.world.faults_at(0, stamp - BEGAN / 1000).clock_offset_ms;
            shifted += usize::from(offset != 0);
            let unix_ms = stamp + offset;
            let said = Said::Json(&value);
            if n != 50 {
                lab.hear(Heard::Sample { stream: 0, unix_ms, said, how: How::Raw });
            }
        }
        lab.hear(Heard::End);
        assert!((20..70).contains(&shifted), "{shifted}");
        assert_eq!(lab.counts(LOSSES), [89, 0, 0, 0, 0]);
        assert_eq!(lab.counts([Count::FaultyGaps]), [1]);
        assert_eq!(lab.all.total(0..9).age.count(), 0, "its ages say nothing of the server");
    }

    /// A clock that was late from the beginning had its samples taken for those of before the run,
    /// and one that was set back for those it had sent already: `storm` was all WRONG.
    #[test]
    fn a_stamp_that_two_samples_could_have_is_the_true_ones() {
        let (mut late, mut early) = (0, 0);
        for (lasts_s, seed) in
            [f64::INFINITY, 0.9].into_iter().flat_map(|lasts| (0..6).map(move |seed| (lasts, seed)))
        {
            let skew = FaultSpec {
                kind: FaultKind::Skew,
                share: 1.0,
                every_s: (3.0, 3.0),
                lasts_s: (lasts_s, lasts_s),
                amount: 1_500.0,
            };
            // Of a thousand a second there is one for each stamp.
            let mut lab = Lab::with(1000.0, FaultPlan::new(&[skew], seed));
            for n in 0..6_000 {
                let (value, stamp) = (lab.value(n), lab.stamp(n));
                let since_ms = stamp - BEGAN / 1000;
                let offset = lab.checker.world.faults_at(0, since_ms).clock_offset_ms;
                late += usize::from(offset < 0);
                early += usize::from(offset > 0);
                let (unix_ms, said) = (stamp + offset, Said::Json(&value));
                let heard = Heard::Sample { stream: 0, unix_ms, said, how: How::Raw };
                lab.hear_at((since_ms + 20) as u64 * 1000, heard);
            }
            lab.hear(Heard::End);
            assert_eq!(lab.counts(LOSSES), [6_000, 0, 0, 0, 0], "{lasts_s} s, seed {seed}");
        }
        assert!(late > 5_000 && early > 5_000, "{late} late, {early} early");
    }

    #[test]
    fn cells_are_held_against_the_payload_they_were_made_of() {
        let payload = r#"{"x":0.5,"ok":true,"none":null,"note":"a"}"#;
        let shape = "{\"x\":\u{1},\"ok\":\u{1},\"none\":\u{1},\"note\":\"a\"}";
        let cells = [0.5, 1.0, f64::NAN];
        assert_eq!(hash_of_cells(&cells, shape), hash_of_json(payload));
        assert_ne!(hash_of_cells(&[0.25, 1.0, f64::NAN], shape), hash_of_json(payload));
        assert_ne!(hash_of_cells(&cells, "[\u{1},\u{1},\u{1}]"), hash_of_json(payload));
    }

    #[test]
    fn a_sending_time_is_remembered_until_another_takes_its_place() {
        let world = World::uniform(1, 1, 1.0, "ecg");
        let sent = SentTimes::new(&world);
        sent.set(0, 1_795_000_000, 77);
        assert_eq!(sent.get(0, 1_795_000_000), Some(77));
        assert_eq!((sent.get(0, 1_795_000_001), sent.get(0, 1_795_000_004)), (None, None));
        sent.set(0, 1_795_000_004, 99);
        assert_eq!((sent.get(0, 1_795_000_000), sent.get(0, 1_795_000_004)), (None, Some(99)));
    }
}

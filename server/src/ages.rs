//! How old samples are on their way to those who look: how long each stage takes, by class, and a
//! few samples followed by name.
//!
//! The engine marks a sample now and then; the mail stamps the message that carries it, and the
//! socket's task completes the stamp when the kernel has taken the message. Recording costs two
//! additions; nothing here is locked but the list of followed samples, which takes one a mark.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use components::class::Class;

/// What a sample goes through, in order; `Delivery` is all of it on our side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Stage {
    /// From the device's timestamp to our door, for devices whose clock is plausible.
    Device,
    /// From the door to the tick that takes it in: of all that waited, the oldest.
    Intake,
    /// From that tick to the message being ready.
    Route,
    /// From there until the kernel has it.
    Outbox,
    /// From the door until the kernel has it.
    Delivery,
}

impl Stage {
    pub const COUNT: usize = 5;
    pub const ALL: [Self; Self::COUNT] =
        [Self::Device, Self::Intake, Self::Route, Self::Outbox, Self::Delivery];

    /// The word in `/metrics` and `/api/system`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Intake => "intake",
            Self::Route => "route",
            Self::Outbox => "outbox",
            Self::Delivery => "delivery",
        }
    }
}

/// A device's clock that is further off than this, either way, says nothing about how old its
/// sample is: a phone keeps within a second or two, a board without a battery is decades off.
pub const CLOCK_MS_MAX: i64 = 10_000;

/// How long a sample was on its way to our door. `None` when its clock is not to be believed; a
/// clock that runs a little ahead makes no age below zero.
pub fn device_age(timestamp_ms: i64, arrived_ms: i64) -> Option<Duration> {
    let age = arrived_ms.saturating_sub(timestamp_ms);
    let is_plausible = (-CLOCK_MS_MAX..=CLOCK_MS_MAX).contains(&age);
    is_plausible.then(|| Duration::from_millis(age.max(0) as u64))
}

/// Bounds of the buckets, in microseconds: the E12 series from 0.1 ms to 10 s, so that a quantile is
/// known to a tenth and the promise of 150 ms is a bound.
pub const BOUNDS_MICROS: [u64; 61] = bounds();

/// One more than bounds: what is older than the last.
const BUCKET_COUNT: usize = BOUNDS_MICROS.len() + 1;

const fn bounds() -> [u64; 61] {
    const SERIES: [u64; 12] = [10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82];
    let mut bounds = [0; 61];
    let (mut index, mut decade) = (0, 10);
    while index < bounds.len() {
        bounds[index] = SERIES[index % 12] * decade;
        index += 1;
        if index.is_multiple_of(12) {
            decade *= 10;
        }
    }
    bounds
}

/// Ages that were recorded, in buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKET_COUNT],
    micros: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKET_COUNT], micros: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub fn record(&self, age: Duration) {
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|&bound| bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            buckets: std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed)),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    buckets: [u64; BUCKET_COUNT],
    micros: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { buckets: [0; BUCKET_COUNT], micros: 0 }
    }
}

impl Counts {
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All ages together, in seconds.
    pub fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    /// How many were at most so old; `micros` is one of [`BOUNDS_MICROS`].
    pub fn at_most(&self, micros: u64) -> u64 {
        let behind = BOUNDS_MICROS.partition_point(|&bound| bound <= micros);
        self.buckets[..behind].iter().sum()
    }

    /// What has come since `earlier`, a former moment of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            buckets: std::array::from_fn(|index| {
                self.buckets[index].saturating_sub(earlier.buckets[index])
            }),
            micros: self.micros.saturating_sub(earlier.micros),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            buckets: std::array::from_fn(|index| self.buckets[index] + other.buckets[index]),
            micros: self.micros.saturating_add(other.micros),
        }
    }

    /// The age in ms that `quantile` of them do not exceed, taken as evenly spread within a bucket;
    /// what is older than the last bound counts as that. `None` when there are none.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = (quantile.clamp(0.0, 1.0) * total as f64).max(1.0);
        let mut below = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            if count > 0 && (below + count) as f64 >= rank {
                let last = BOUNDS_MICROS.len() - 1;
                let low = if index == 0 { 0 } else { BOUNDS_MICROS[index - 1] };
                let high = BOUNDS_MICROS[index.min(last)];
                let part = (rank - below as f64) / count as f64;
                return Some((low as f64 + part * (high - low) as f64) / 1000.0);
            }
            below += count;
        }
        None
    }
}

/// By stage and class.
pub type AllCounts = [[Counts; Class::COUNT]; Stage::COUNT];

/// Followed samples that are remembered.
pub const TRACE_COUNT_MAX: usize = 64;

/// Who a followed sample is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub stream: u32,
    /// Its push count.
    pub at: u64,
    pub class: Class,
    pub sensor_id: Arc<str>,
    pub attribute_id: Arc<str>,
}

/// One sample, followed. Ages since our door.
#[derive(Debug)]
pub struct Trace {
    pub sample: Sample,
    /// How long before our door the device says it was measured.
    pub device: Option<Duration>,
    /// When the tick took it in.
    pub tick: Duration,
    /// When the first message that carries it was ready, and when the last of them so far was
    /// written, in microseconds; 0: none was.
    flush_micros: AtomicU64,
    written_micros: AtomicU64,
    /// To how many viewers it has been written.
    viewers: AtomicU32,
}

impl Trace {
    /// When the first message that carries it was ready.
    pub fn flush(&self) -> Option<Duration> {
        passed(&self.flush_micros)
    }

    /// When the last of its messages so far was written.
    pub fn written(&self) -> Option<Duration> {
        passed(&self.written_micros)
    }

    pub fn viewers(&self) -> u32 {
        self.viewers.load(Ordering::Relaxed)
    }
}

fn passed(micros: &AtomicU64) -> Option<Duration> {
    match micros.load(Ordering::Relaxed) {
        0 => None,
        micros => Some(Duration::from_micros(micros)),
    }
}

/// Never 0, which stands for never.
fn micros(age: Duration) -> u64 {
    u64::try_from(age.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// On a message: it carries a sample that is followed.
#[derive(Debug, Clone)]
pub struct Stamp {
    trace: Arc<Trace>,
    /// From the door until this message was ready.
    ready: Duration,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Ages {
    stages: [[Histogram; Class::COUNT]; Stage::COUNT],
    /// How long messages wait for their sockets; all of them, not only those that are followed.
    messages: Histogram,
    traces: Mutex<VecDeque<Arc<Trace>>>,
}

impl Ages {
    fn stage(&self, stage: Stage, class: Class) -> &Histogram {
        &self.stages[stage as usize][class as usize]
    }

    /// A sample that is followed from here on; [`stamp`](Self::stamp) the messages that carry it.
    pub fn follow(&self, sample: Sample, device: Option<Duration>, intake: Duration) -> Arc<Trace> {
        if let Some(device) = device {
            self.stage(Stage::Device, sample.class).record(device);
        }
        self.stage(Stage::Intake, sample.class).record(intake);
        let trace = Arc::new(Trace {
            sample,
            device,
            tick: intake,
            flush_micros: AtomicU64::new(0),
            written_micros: AtomicU64::new(0),
            viewers: AtomicU32::new(0),
        });
        let mut traces = self.lock();
        if traces.len() == TRACE_COUNT_MAX {
            traces.pop_front();
        }
        traces.push_back(Arc::clone(&trace));
        trace
    }

    /// For the message that carries the sample to one viewer, ready so long after the tick that
    /// took the sample in.
    pub fn stamp(&self, trace: &Arc<Trace>, route: Duration) -> Stamp {
        self.stage(Stage::Route, trace.sample.class).record(route);
        let ready = trace.tick + route;
        // The first stands.
        let _ = trace.flush_micros.compare_exchange(
            0,
            micros(ready),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        Stamp { trace: Arc::clone(trace), ready }
    }

    /// A message is written that has waited for its socket since `queued`.
    pub fn written(&self, queued: Instant, stamps: &[Stamp], now: Instant) -> Duration {
        let waited = now.saturating_duration_since(queued);
        self.messages.record(waited);
        for Stamp { trace, ready } in stamps {
            let class = trace.sample.class;
            self.stage(Stage::Outbox, class).record(waited);
            self.stage(Stage::Delivery, class).record(*ready + waited);
            trace.written_micros.fetch_max(micros(*ready + waited), Ordering::Relaxed);
            trace.viewers.fetch_add(1, Ordering::Relaxed);
        }
        waited
    }

    /// As they are now, by stage and class.
    pub fn counts(&self) -> AllCounts {
        std::array::from_fn(|stage| std::array::from_fn(|class| self.stages[stage][class].counts()))
    }

    /// How long messages wait for their sockets.
    pub fn messages(&self) -> Counts {
        self.messages.counts()
    }

    /// The samples that were followed last, newest first.
    pub fn traces(&self) -> Vec<Arc<Trace>> {
        self.lock().iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Trace>>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the histograms held over the last seconds: a figure that a person watches must not
/// remember an hour.
#[derive(Debug, Default)]
pub struct Recent {
    moments: VecDeque<(Instant, AllCounts)>,
}

/// Time between two moments that are kept, and how many are: ten seconds.
pub const RECENT_STEP: Duration = Duration::from_secs(1);
pub const RECENT_STEP_COUNT: usize = 10;

impl Recent {
    /// What has come within the last ten seconds.
    pub fn look(&mut self, now: Instant, counts: &AllCounts) -> AllCounts {
        let is_due = self
            .moments
            .back()
            .is_none_or(|(kept, _)| now.saturating_duration_since(*kept) >= RECENT_STEP);
        if is_due {
            if self.moments.len() > RECENT_STEP_COUNT {
                self.moments.pop_front();
            }
            self.moments.push_back((now, *counts));
        }
        // The first look has nothing before it: all there is has come since the beginning.
        let nothing = AllCounts::default();
        let whole = self.moments.len() <= RECENT_STEP_COUNT;
        let before = match self.moments.front() {
            Some((_, before)) if !whole => before,
            _ => &nothing,
        };
        std::array::from_fn(|stage| {
            std::array::from_fn(|class| counts[stage][class].since(&before[stage][class]))
        })
    }
}

#[cfg(test)]
mod tests;

//! How hard the machine is pressed: measured four times a second on a thread of its own, never
//! within a tick, each resource as the fraction of a limit that has a name. The engine judges.

pub mod machine;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use components::command::Command;
use components::load::{Load, LoadLevel};
use components::pressure::{Pressures, Resource};

use crate::ages::{AllCounts, Counts, Recent, Stage};
use crate::intake::Backlog;
use crate::mail::LANE_BYTES_MAX;
use crate::socket::Doors;
use crate::supervise::ADVICE;
use machine::{Machine, Reading, Source, read_file};

/// Time between two readings.
pub const READ_PERIOD: Duration = Duration::from_millis(250);

/// Processor time and ticks are taken over this long: the kernel counts in hundredths of a second.
pub const WINDOW: Duration = Duration::from_secs(1);

/// A sample that has waited so long for a tick leaves no time for the rest of its way within the
/// 150 ms that it may take.
pub const QUEUE_AGE_MS_LIMIT: f64 = 100.0;

/// As much for a socket that waits for its turn.
pub const LATENESS_MS_LIMIT: f64 = 100.0;

/// What waits so long at its socket is late for whoever looks (`design/goals.md`, W5).
pub const BROADCAST_AGE_MS_LIMIT: f64 = 150.0;

/// One resource, as last measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measure {
    pub resource: Resource,
    /// `measured / limit`.
    pub used: f64,
    pub measured: f64,
    pub limit: f64,
    /// Of both: `cores`, `ms`, `bytes` or `fraction`.
    pub unit: &'static str,
    /// Who says so, or which of several it is; `none` when there is no such figure here.
    pub source: &'static str,
}

impl Measure {
    fn new(
        resource: Resource,
        (measured, limit): (f64, f64),
        unit: &'static str,
        source: &'static str,
    ) -> Self {
        let used = if limit > 0.0 { (measured / limit).max(0.0) } else { 0.0 };
        Self { resource, used, measured, limit, unit, source }
    }

    fn unknown(resource: Resource, unit: &'static str) -> Self {
        Self::new(resource, (0.0, 0.0), unit, Source::None.name())
    }
}

/// One look at everything.
#[derive(Debug, Clone)]
pub struct Measured {
    /// By [`Resource`].
    pub measures: [Measure; Resource::COUNT],
    /// What the samples that were followed in the last ten seconds took.
    pub ages: Box<AllCounts>,
}

impl Measured {
    /// What was delivered in the last ten seconds, of all classes.
    pub fn delivered(&self) -> Counts {
        let classes = &self.ages[Stage::Delivery as usize];
        classes.iter().fold(Counts::default(), |sum, counts| sum.plus(counts))
    }

    /// As the engine takes it.
    pub fn pressures(&self, unix_ms: i64, utc_offset_minutes: i16) -> Pressures {
        Pressures {
            used: self.measures.map(|measure| measure.used as f32),
            age_p99_ms: self.delivered().quantile_ms(0.99).map(|age| age as f32),
            unix_ms,
            utc_offset_minutes,
        }
    }
}

/// The newest measurement, for whoever asks.
#[derive(Debug, Default)]
pub struct Board(Mutex<Option<Arc<Measured>>>);

impl Board {
    /// `None` before the first.
    pub fn newest(&self) -> Option<Arc<Measured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, measured: Measured) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(measured));
    }
}

/// The thread that measures. Stopped when dropped.
#[derive(Debug)]
pub struct Gauge {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Gauge {
    /// `tick_period` is the time there is for a tick.
    /// With a `fixed` load the engine is told that one, once, and what is measured is only shown.
    pub fn start(
        doors: Arc<Doors>,
        tick_period: Duration,
        fixed: Option<LoadLevel>,
    ) -> std::io::Result<Self> {
        let supervisor = doors.supervisor.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let measure = move |is_over: &dyn Fn() -> bool, round: &dyn Fn()| {
            let machine = Machine::new(read_file);
            let mut meter = Meter::new(tick_period);
            let mut recent = Recent::default();
            tell_sources(&machine.read());
            if let Some(level) = fixed {
                tracing::warn!(level = level.name(), "the load is as configured, not as measured");
                let load = Load { level, memory_protection: false };
                tell(&doors, Command::SetLoad(load));
            }
            while !is_over() {
                round();
                let now = Instant::now();
                let measures = meter.measure(now, &machine.read(), &Seen::now(&doors, now));
                let ages = Box::new(recent.look(now, &doors.ages.counts()));
                let measured = Measured { measures, ages };
                let (unix_ms, offset) = local_time();
                let press = Command::Press(Box::new(measured.pressures(unix_ms, offset)));
                doors.board.put(measured);
                if fixed.is_none() {
                    tell(&doors, press);
                }
                std::thread::park_timeout(READ_PERIOD);
            }
        };
        let run = move || {
            let is_over = || stopped.load(Ordering::Acquire);
            let work = |round: &dyn Fn()| measure(&is_over, round);
            supervisor.keep_here(("gauge", "task.gauge"), ADVICE, is_over, work);
        };
        let thread = std::thread::Builder::new().name("gauge".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn tell(doors: &Doors, command: Command) {
    if doors.intake.command(command).is_err() {
        tracing::debug!("the intake is full: the engine goes without this measurement");
    }
}

/// Unix milliseconds, and minutes east of Greenwich by the machine's own time zone.
fn local_time() -> (i64, i16) {
    let now = jiff::ZonedDateTime::now();
    let minutes = now.offset().seconds() / 60;
    (now.timestamp().as_millisecond(), minutes as i16)
}

/// Once, so that an operator sees whose limits are believed.
fn tell_sources(reading: &Reading) {
    let memory = reading.memory.map_or(Source::None, |memory| memory.source);
    tracing::info!(
        cores = reading.cores,
        cores_from = reading.cores_source.name(),
        memory_from = memory.name(),
        "measuring"
    );
    if reading.process.is_none() || reading.system.is_none() || reading.memory.is_none() {
        tracing::warn!(
            process = reading.process.is_some(),
            system = reading.system.is_some(),
            memory = reading.memory.is_some(),
            "the kernel does not say all there is to say; what is missing presses nobody"
        );
    }
}

/// What the server's own parts have seen since the last look.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    backlog: Backlog,
    /// How late the sockets' runtime was at worst.
    late: Duration,
    ticks: u64,
    tick_micros: u64,
    /// How long the oldest message waits at the sockets of the slower quarter of the viewers.
    line_age: Duration,
    /// What waits beyond the outboxes.
    lane_bytes: u64,
}

impl Seen {
    fn now(doors: &Doors, now: Instant) -> Self {
        let pump = &doors.pump;
        Self {
            backlog: doors.intake.take_backlog(now),
            late: doors.counts.crowd.take_late(now),
            ticks: pump.ticks.load(Ordering::Acquire),
            tick_micros: pump.tick_micros.load(Ordering::Relaxed),
            line_age: Duration::from_micros(pump.line_micros.load(Ordering::Relaxed)),
            lane_bytes: pump.lane_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Makes fractions of readings: what counts up is compared with what it was a second ago.
#[derive(Debug)]
struct Meter {
    tick_period: Duration,
    moments: VecDeque<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    reading: Reading,
    ticks: u64,
    tick_micros: u64,
}

impl Meter {
    fn new(tick_period: Duration) -> Self {
        Self { tick_period, moments: VecDeque::new() }
    }

    fn measure(
        &mut self,
        now: Instant,
        reading: &Reading,
        seen: &Seen,
    ) -> [Measure; Resource::COUNT] {
        let Seen { ticks, tick_micros, .. } = *seen;
        self.moments.push_back(Moment { at: now, reading: *reading, ticks, tick_micros });
        while self.moments.len() > 2 && now.saturating_duration_since(self.moments[1].at) >= WINDOW
        {
            self.moments.pop_front();
        }
        // Never empty: the moment at hand is there.
        let (then, at_hand) = (self.moments[0], self.moments[self.moments.len() - 1]);
        [
            cpu(&then, &at_hand),
            cpu_system(&then, &at_hand),
            queue(&seen.backlog, seen.late),
            tick(&then, &at_hand, self.tick_period),
            broadcast(seen.line_age, seen.lane_bytes),
            memory(reading),
        ]
    }
}

fn cpu(then: &Moment, now: &Moment) -> Measure {
    let seconds = now.at.saturating_duration_since(then.at).as_secs_f64();
    let (Some(before), Some(after)) = (then.reading.process, now.reading.process) else {
        return Measure::unknown(Resource::Cpu, "cores");
    };
    let cores = if seconds > 0.0 { (after - before) / seconds } else { 0.0 };
    let source = now.reading.cores_source.name();
    Measure::new(Resource::Cpu, (cores, now.reading.cores), "cores", source)
}

fn cpu_system(then: &Moment, now: &Moment) -> Measure {
    let (Some(before), Some(after)) = (then.reading.system, now.reading.system) else {
        return Measure::unknown(Resource::CpuSystem, "cores");
    };
    let (busy, total) = (after.busy - before.busy, after.total - before.total);
    let part = if total > 0.0 { (busy / total).clamp(0.0, 1.0) } else { 0.0 };
    let cores = after.core_count as f64;
    Measure::new(Resource::CpuSystem, (part * cores, cores), "cores", Source::System.name())
}

/// The worst of what waits to be taken in.
fn queue(backlog: &Backlog, late: Duration) -> Measure {
    let ms = |age: Duration| age.as_secs_f64() * 1000.0;
    let queue = |figures, unit, source| Measure::new(Resource::Queue, figures, unit, source);
    let of = [
        queue((ms(backlog.age), QUEUE_AGE_MS_LIMIT), "ms", "intake_age"),
        queue((ms(late), LATENESS_MS_LIMIT), "ms", "runtime_lateness"),
        queue((backlog.samples, 1.0), "fraction", "intake_samples"),
        queue((backlog.bytes, 1.0), "fraction", "intake_bytes"),
        queue((backlog.commands, 1.0), "fraction", "intake_commands"),
    ];
    worst(of)
}

/// What a tick takes on average, of the time there is for one. Beyond 1, ticks are left out.
fn tick(then: &Moment, now: &Moment, period: Duration) -> Measure {
    let ticks = now.ticks.saturating_sub(then.ticks);
    let micros = now.tick_micros.saturating_sub(then.tick_micros);
    let mean_ms = if ticks > 0 { micros as f64 / ticks as f64 / 1000.0 } else { 0.0 };
    let limit_ms = period.as_secs_f64() * 1000.0;
    Measure::new(Resource::Tick, (mean_ms, limit_ms), "ms", "pump")
}

fn broadcast(line_age: Duration, lane_bytes: u64) -> Measure {
    let age_ms = line_age.as_secs_f64() * 1000.0;
    let of = [
        Measure::new(Resource::Broadcast, (age_ms, BROADCAST_AGE_MS_LIMIT), "ms", "socket_age"),
        Measure::new(
            Resource::Broadcast,
            (lane_bytes as f64, LANE_BYTES_MAX as f64),
            "bytes",
            "lane_bytes",
        ),
    ];
    worst(of)
}

fn memory(reading: &Reading) -> Measure {
    match reading.memory {
        Some(memory) => {
            let figures = (memory.used as f64, memory.limit as f64);
            Measure::new(Resource::Memory, figures, "bytes", memory.source.name())
        }
        None => Measure::unknown(Resource::Memory, "bytes"),
    }
}

/// Of equals the first.
fn worst<const N: usize>(measures: [Measure; N]) -> Measure {
    let worse = |worst: Measure, measure: Measure| {
        if measure.used > worst.used { measure } else { worst }
    };
    measures.into_iter().fold(measures[0], worse)
}

#[cfg(test)]
mod tests;

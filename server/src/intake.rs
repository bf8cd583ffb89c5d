//! What waits for the next tick: commands that are never dropped, samples that are bounded.
//!
//! Samples wait in a queue for each class (`reference/core.md` W22). As long as a tick can take
//! everything it is given everything; when it cannot, the classes share it by their weights, and
//! what a queue cannot keep is dropped there. So a flood of positions costs positions.
//!
//! A device opens its feed and sends samples on it, in this order, from one task. The tick applies
//! commands before samples. So **samples are taken before commands**: whatever sample is in the
//! tick, the command that opened its feed was given before it and is in this tick too, or in one
//! before. Taken the other way round, a feed opened between the two takes would find its first
//! samples in a tick that does not know it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use components::attention::Level;
use components::class::Class;
use components::command::{Command, Inputs};
use components::fault::Faults;
use components::ledger::{Ledger, Reason};
use components::sample::SampleBatch;

use crate::bucket::{Rate, SharedBucket};
use crate::device::{Events, SocketEvent};

/// Commands that may wait for one tick. A thousand devices that return at once, with 64
/// attributes each, are 65,000.
pub const COMMAND_COUNT_MAX: usize = 1 << 17;

/// Samples of one class that may wait: 50 ms at five million a second.
pub const CLASS_SAMPLE_COUNT_MAX: usize = 256 * 1024;

/// MiB of samples of one class that may wait. May be exceeded by one burst of a socket.
pub const CLASS_MIB_MAX: usize = 32;

/// Samples that a tick is given when more wait than it should take: with 250 ticks a second more
/// than an engine stores (some five million), and few enough that the tick stays short. May be
/// exceeded by one chunk.
pub const TICK_SAMPLE_COUNT_MAX: usize = 64 * 1024;

/// Samples in one chunk of a queue, the least that is taken at once. One burst may be larger.
const CHUNK_SAMPLE_COUNT: usize = 4096;

/// What a class of weight 1 may take in one round, in samples (the quantum of deficit round robin).
const QUANTUM: u64 = 256;

/// Emptied chunks that are kept for their room.
const SPARE_COUNT_MAX: usize = 16;

/// Seconds' worth of its quota that a class may send at once.
const QUOTA_BURST_SECONDS: f64 = 0.25;

/// The part of that which is kept for sensors that are looked at more: those nobody looks at, and
/// those that are barely looked at, give way first.
fn kept_for_others(level: Level) -> f64 {
    match level {
        Level::High | Level::Medium => 0.0,
        Level::Low => 0.5,
        Level::None => 0.75,
    }
}

/// It holds as much as it may until the next tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeFull;

impl std::fmt::Display for IntakeFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the intake is full until the next tick")
    }
}

impl std::error::Error for IntakeFull {}

/// How much may wait, and how much of it one tick is given.
#[derive(Debug, Clone, Copy)]
pub struct IntakeLimits {
    pub commands: usize,
    /// Of each class.
    pub class_samples: usize,
    pub class_bytes: usize,
    pub tick_samples: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            commands: COMMAND_COUNT_MAX,
            class_samples: CLASS_SAMPLE_COUNT_MAX,
            class_bytes: CLASS_MIB_MAX << 20,
            tick_samples: TICK_SAMPLE_COUNT_MAX,
        }
    }
}

/// What has waited for a tick, at its worst. The last three are fractions of their bounds; of samples
/// and bytes, that of the class which is nearest to its own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// For how long the oldest sample did.
    pub age: Duration,
    pub samples: f64,
    pub bytes: f64,
    pub commands: f64,
}

/// The worst since the gauge last asked, as the pump found it; of samples and bytes, that of the
/// class which had most.
#[derive(Debug, Default)]
struct Peaks {
    age_micros: AtomicU64,
    samples: AtomicUsize,
    bytes: AtomicUsize,
    commands: AtomicUsize,
}

/// What one socket read at once: samples by class, and what was dropped on the way here. Handed
/// over whole, under one lock, so that the door's ledger is right at every moment.
#[derive(Debug, Default)]
pub struct Burst {
    samples: [SampleBatch; Class::COUNT],
    dropped: Vec<(Class, Reason, u64)>,
}

impl Burst {
    /// Where samples of this class go.
    pub fn samples(&mut self, class: Class) -> &mut SampleBatch {
        &mut self.samples[class as usize]
    }

    /// Samples that go no further.
    pub fn drop(&mut self, class: Class, reason: Reason, count: u64) {
        let known = self.dropped.iter_mut().find(|(c, r, _)| (*c, *r) == (class, reason));
        match known {
            Some((.., known)) => *known += count,
            None => self.dropped.push((class, reason, count)),
        }
    }

    /// Samples that are to be handed over.
    pub fn len(&self) -> usize {
        self.samples.iter().map(SampleBatch::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.samples.iter().all(SampleBatch::is_empty)
    }
}

/// What has become of the samples of each class at the door, and what waits of them. Totals since
/// the server began.
#[derive(Debug, Clone, Copy, Default)]
pub struct DoorBooks {
    /// By [`Class`].
    pub classes: [Ledger; Class::COUNT],
}

impl DoorBooks {
    /// The door's ledger: received = delivered (given to the engine) + dropped + kept (waiting).
    pub fn total(&self) -> Ledger {
        let mut total = Ledger::default();
        self.classes.iter().for_each(|ledger| total.add(ledger));
        total
    }
}

/// The lossy plane: a queue for each class.
#[derive(Debug, Default)]
struct Lossy {
    queues: [Queue; Class::COUNT],
    /// Chunks for their room.
    spare: Vec<SampleBatch>,
    /// The class whose turn is next when not everything is taken.
    turn: usize,
    /// Dropped since the last tick, by [`Class`] and [`Reason`].
    refused: [[u64; Reason::COUNT]; Class::COUNT],
}

/// Samples, and since when the first of them waits.
#[derive(Debug)]
struct Chunk {
    batch: SampleBatch,
    since: Instant,
}

/// What waits of one class, in order of arrival.
#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    samples: usize,
    bytes: usize,
    /// Samples that it may take before its next turn.
    deficit: u64,
    /// Without what waits.
    ledger: Ledger,
}

impl Queue {
    fn push(&mut self, samples: &mut SampleBatch, spare: &mut Vec<SampleBatch>) {
        self.samples += samples.len();
        self.bytes += samples.bytes();
        match self.chunks.back_mut() {
            Some(Chunk { batch, .. }) if batch.len() + samples.len() <= CHUNK_SAMPLE_COUNT => {
                batch.append(samples);
            }
            _ => {
                let mut batch = spare.pop().unwrap_or_default();
                batch.append(samples);
                self.chunks.push_back(Chunk { batch, since: Instant::now() });
            }
        }
    }

    /// Gives its oldest chunk to a tick.
    fn pop(&mut self, taken: &mut Taken<'_>, spare: &mut Vec<SampleBatch>) {
        let Some(Chunk { mut batch, since }) = self.chunks.pop_front() else { return };
        self.samples -= batch.len();
        self.bytes -= batch.bytes();
        self.ledger.delivered += batch.len() as u64;
        taken.since = Some(taken.since.map_or(since, |before| before.min(since)));
        if taken.samples.is_empty() {
            std::mem::swap(taken.samples, &mut batch);
        } else {
            taken.samples.append(&mut batch);
        }
        if spare.len() < SPARE_COUNT_MAX {
            spare.push(batch);
        }
    }
}

/// What a tick is given.
struct Taken<'a> {
    samples: &'a mut SampleBatch,
    /// When the oldest of it came.
    since: Option<Instant>,
}

impl Lossy {
    /// Everything, or as much as a tick should take: then by deficit round robin (Shreedhar and
    /// Varghese 1995), each class by its weight, so that none waits for another's flood. What is of
    /// one class comes in the order in which it was given, and so does what is of one attribute.
    fn take(&mut self, taken: &mut Taken<'_>, max: usize) {
        let Self { queues, spare, turn, .. } = self;
        if queues.iter().map(|queue| queue.samples).sum::<usize>() <= max {
            for queue in queues {
                queue.deficit = 0;
                while !queue.chunks.is_empty() {
                    queue.pop(taken, spare);
                }
            }
            return;
        }
        let mut left = max as u64;
        while left > 0 {
            let queue = &mut queues[*turn];
            queue.deficit += QUANTUM * Class::ALL[*turn].weight() as u64;
            while let Some(chunk) = queue.chunks.front()
                && left > 0
            {
                let count = chunk.batch.len() as u64;
                if queue.deficit < count {
                    break;
                }
                queue.deficit -= count;
                left = left.saturating_sub(count);
                queue.pop(taken, spare);
            }
            if queue.chunks.is_empty() {
                queue.deficit = 0;
            }
            *turn = (*turn + 1) % Class::COUNT;
        }
    }

    /// When the oldest sample that waits came; and the most that waits of any class, in samples and
    /// bytes.
    fn waiting(&self) -> (Option<Instant>, usize, usize) {
        let oldest = self.queues.iter().filter_map(|q| q.chunks.front()).map(|chunk| chunk.since);
        let samples = self.queues.iter().map(|queue| queue.samples).max();
        let bytes = self.queues.iter().map(|queue| queue.bytes).max();
        (oldest.min(), samples.unwrap_or(0), bytes.unwrap_or(0))
    }
}

/// Samples a second that a class may send, or whatever comes.
#[derive(Debug)]
struct Quota {
    /// The bits of an `f64`; of NaN: no limit.
    per_second: AtomicU64,
    bucket: SharedBucket,
}

impl Default for Quota {
    fn default() -> Self {
        Self { per_second: AtomicU64::new(f64::NAN.to_bits()), bucket: SharedBucket::default() }
    }
}

impl Quota {
    fn get(&self) -> Option<f64> {
        let per_second = f64::from_bits(self.per_second.load(Ordering::Relaxed));
        (!per_second.is_nan()).then_some(per_second)
    }
}

/// Shared by every door and the pump.
#[derive(Debug)]
pub struct Intake {
    limits: IntakeLimits,
    commands: Mutex<Vec<Command>>,
    /// What is to be said when the commands before it have been carried out.
    answers: Mutex<Vec<(Events, SocketEvent)>>,
    lossy: Mutex<Lossy>,
    peaks: Peaks,
    quotas: [Quota; Class::COUNT],
    began: Instant,
    faults: Faults,
    /// The pump sleeps until something comes. Only then is waking it worth a call to the kernel.
    napping: AtomicBool,
    pump: OnceLock<Thread>,
    holds_farewells: AtomicBool,
}

impl Default for Intake {
    fn default() -> Self {
        Self::new(IntakeLimits::default())
    }
}

fn quota_rate(per_second: f64) -> Rate {
    Rate { per_second, burst: (per_second * QUOTA_BURST_SECONDS).max(1.0) }
}

/// What sensors at this level may use of a quota.
fn share(per_second: f64, level: Level) -> Rate {
    let rate = quota_rate(per_second);
    Rate { burst: rate.burst * (1.0 - kept_for_others(level)), ..rate }
}

impl Intake {
    pub fn new(limits: IntakeLimits) -> Self {
        Self {
            limits,
            commands: Mutex::default(),
            answers: Mutex::default(),
            lossy: Mutex::default(),
            peaks: Peaks::default(),
            quotas: Default::default(),
            began: Instant::now(),
            faults: Faults::default(),
            napping: AtomicBool::new(false),
            pump: OnceLock::new(),
            holds_farewells: AtomicBool::new(false),
        }
    }

    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The strict plane. Whoever finds it full tells its client why and lets it go.
    pub fn command(&self, command: Command) -> Result<(), IntakeFull> {
        self.commands([command])
    }

    /// Several words that belong to one tick: all of them, or none.
    pub fn commands<const N: usize>(&self, commands: [Command; N]) -> Result<(), IntakeFull> {
        self.faults.pass("intake.command", 0).map_err(|_| IntakeFull)?;
        {
            let mut waiting = lock(&self.commands);
            if waiting.len() + N > self.limits.commands {
                return Err(IntakeFull);
            }
            waiting.extend(commands);
        }
        self.wake();
        Ok(())
    }

    /// Tells a socket something when all commands given so far have had their effect, and whoever they
    /// concern knows of it: with the next tick. Where as many wait as commands may, at once.
    pub fn tell_when_done(&self, events: &Events, event: SocketEvent) {
        let mut answers = lock(&self.answers);
        if answers.len() >= self.limits.commands {
            drop(answers);
            events.send(event);
            return;
        }
        answers.push((events.clone(), event));
        drop(answers);
        self.wake();
    }

    /// What is to be said behind the tick that takes the commands: to be called before they are taken.
    pub fn take_answers(&self, into: &mut Vec<(Events, SocketEvent)>) {
        into.append(&mut lock(&self.answers));
    }

    /// A farewell (`CloseFeed`, `CloseViewer`): always taken. There are never more of them than of
    /// feeds and viewers that were opened, and a lost one would be a ghost.
    pub fn farewell(&self, command: Command) {
        let is_end = matches!(command, Command::CloseFeed { .. } | Command::CloseViewer { .. });
        if is_end && self.holds_farewells() {
            return;
        }
        lock(&self.commands).push(command);
        self.wake();
    }

    /// From now on the engine does not hear who leaves: the next server is to find them as they were
    /// when this one ended.
    pub fn hold_farewells(&self) {
        self.holds_farewells.store(true, Ordering::Release);
    }

    pub fn holds_farewells(&self) -> bool {
        self.holds_farewells.load(Ordering::Acquire)
    }

    /// The lossy plane: takes a burst, and counts what was dropped of it. What is of a class whose
    /// queue is full stays in the burst, counted as dropped ([`Reason::IntakeFull`]); whoever
    /// brought it looks whose it was, and throws it away.
    pub fn samples(&self, burst: &mut Burst) -> Result<(), IntakeFull> {
        let failing = self.faults.pass("intake.samples", 0).is_err();
        let mut taken = Ok(());
        {
            let mut lossy = lock(&self.lossy);
            let Lossy { queues, spare, refused, .. } = &mut *lossy;
            for (class, reason, count) in burst.dropped.drain(..) {
                let ledger = &mut queues[class as usize].ledger;
                ledger.received += count;
                ledger.drop(reason, count);
                refused[class as usize][reason as usize] += count;
            }
            let queues = queues.iter_mut().zip(&mut burst.samples);
            for ((queue, samples), refused) in queues.zip(refused) {
                let count = samples.len() as u64;
                if count == 0 {
                    continue;
                }
                queue.ledger.received += count;
                if failing
                    || queue.samples >= self.limits.class_samples
                    || queue.bytes >= self.limits.class_bytes
                {
                    queue.ledger.drop(Reason::IntakeFull, count);
                    refused[Reason::IntakeFull as usize] += count;
                    taken = Err(IntakeFull);
                } else {
                    queue.push(samples, spare);
                }
            }
        }
        self.wake();
        taken
    }

    /// Samples a second that each class may send from now on, by [`Class`]; `None`: whatever comes.
    /// What is beyond is shed at the door, but for sensors at high attention, which use up what
    /// there is for the others.
    pub fn set_quotas(&self, quotas: [Option<f64>; Class::COUNT]) {
        for (quota, to) in self.quotas.iter().zip(quotas) {
            let bits = to.map_or(f64::NAN, |per_second| per_second.max(0.0)).to_bits();
            quota.per_second.store(bits, Ordering::Relaxed);
        }
    }

    /// By [`Class`].
    pub fn quotas(&self) -> [Option<f64>; Class::COUNT] {
        std::array::from_fn(|class| self.quotas[class].get())
    }

    /// Whether there [is a share](Self::has_share) yet for a sample of this class, of a sensor at
    /// this level. Takes nothing.
    pub fn has_share_left(&self, class: Class, level: Level, now: Instant) -> bool {
        let quota = &self.quotas[class as usize];
        let Some(per_second) = quota.get() else { return true };
        quota.bucket.has_one(share(per_second, level), self.nanos(now))
    }

    fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// Whether a sample of this class, of a sensor at this level, is within the quota at `now`. At
    /// high attention it always is.
    pub fn has_share(&self, class: Class, level: Level, now: Instant) -> bool {
        let quota = &self.quotas[class as usize];
        let Some(per_second) = quota.get() else { return true };
        let now_ns = self.nanos(now);
        if level == Level::High {
            quota.bucket.spend(quota_rate(per_second), now_ns, 1.0);
            return true;
        }
        quota.bucket.take(share(per_second, level), now_ns, 1.0)
    }

    /// Moves what waits into `inputs`, samples first (see the module): all commands, and of the
    /// samples as many as one tick should take. How long the oldest of these has waited.
    pub fn take(&self, inputs: &mut Inputs) -> Duration {
        self.take_around(inputs, || ())
    }

    /// The worst backlog since this was last asked; what waits now belongs to it, so that a pump that
    /// stands still is seen.
    pub fn take_backlog(&self, now: Instant) -> Backlog {
        let (since, samples, bytes) = lock(&self.lossy).waiting();
        let commands = lock(&self.commands).len();
        let age = Duration::from_micros(self.peaks.age_micros.swap(0, Ordering::Relaxed));
        let waits = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let part = |peak: &AtomicUsize, now: usize, bound: usize| {
            peak.swap(0, Ordering::Relaxed).max(now) as f64 / bound.max(1) as f64
        };
        Backlog {
            age: age.max(waits),
            samples: part(&self.peaks.samples, samples, self.limits.class_samples),
            bytes: part(&self.peaks.bytes, bytes, self.limits.class_bytes),
            commands: part(&self.peaks.commands, commands, self.limits.commands),
        }
    }

    /// `between` stands for the doors that go on while the pump takes.
    fn take_around(&self, inputs: &mut Inputs, between: impl FnOnce()) -> Duration {
        let age = self.take_samples(inputs);
        between();
        self.take_commands(inputs);
        age
    }

    fn take_samples(&self, inputs: &mut Inputs) -> Duration {
        let mut lossy = lock(&self.lossy);
        for (class, refused) in Class::ALL.into_iter().zip(&mut lossy.refused) {
            for (reason, count) in Reason::ALL.into_iter().zip(refused) {
                if *count > 0 {
                    inputs.refused.push((class, reason, std::mem::take(count)));
                }
            }
        }
        let (Some(_), samples, bytes) = lossy.waiting() else { return Duration::ZERO };
        self.peaks.samples.fetch_max(samples, Ordering::Relaxed);
        self.peaks.bytes.fetch_max(bytes, Ordering::Relaxed);
        let mut taken = Taken { samples: &mut inputs.samples, since: None };
        lossy.take(&mut taken, self.limits.tick_samples);
        let age = taken.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.peaks.age_micros.fetch_max(age.as_micros() as u64, Ordering::Relaxed);
        age
    }

    fn take_commands(&self, inputs: &mut Inputs) {
        let mut commands = lock(&self.commands);
        self.peaks.commands.fetch_max(commands.len(), Ordering::Relaxed);
        if inputs.commands.is_empty() {
            std::mem::swap(&mut *commands, &mut inputs.commands);
        } else {
            inputs.commands.append(&mut commands);
        }
    }

    /// The door's ledgers at this moment. What waits is counted anew.
    pub fn books(&self) -> DoorBooks {
        let lossy = lock(&self.lossy);
        let classes = lossy.queues.each_ref().map(|queue| Ledger {
            kept: queue.chunks.iter().map(|chunk| chunk.batch.len() as u64).sum(),
            ..queue.ledger
        });
        DoorBooks { classes }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        lock(&self.lossy).queues.iter().all(|queue| queue.chunks.is_empty())
            && lock(&self.commands).is_empty()
    }

    /// Sleeps until something waits, or `doze` returns. For the pump's thread only; `doze` is
    /// [`std::thread::park_timeout`] but in tests.
    ///
    /// No word is slept through: if this thread finds the queues empty, then whoever fills one
    /// takes its lock later, and so sees `napping`.
    pub fn nap(&self, doze: impl FnOnce()) {
        let thread = self.pump.get_or_init(std::thread::current);
        debug_assert_eq!(thread.id(), std::thread::current().id(), "one thread naps");
        self.napping.store(true, Ordering::Release);
        if self.is_empty() {
            doze();
        }
        self.napping.store(false, Ordering::Release);
    }

    /// Wakes the pump, if it naps.
    pub fn wake(&self) {
        if self.napping.load(Ordering::Acquire)
            && self.napping.swap(false, Ordering::AcqRel)
            && let Some(pump) = self.pump.get()
        {
            pump.unpark();
        }
    }
}

/// What is behind these locks is whole at every moment: a door that panicked leaves nothing half
/// done, and does not take the server with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use components::cell::Cell;
    use components::command::SensorCard;
    use components::id::{FeedId, Handle};
    use components::load::Load;
    use components::sample::{Payload, Timestamp};
    use std::sync::Arc;

    fn feed(slot: u32) -> FeedId {
        FeedId(Handle { slot, generation: 0 })
    }

    fn open(slot: u32) -> Command {
        Command::OpenFeed { feed: feed(slot), card: Box::<SensorCard>::default(), owner: "".into() }
    }

    fn scalar(batch: &mut SampleBatch, slot: u32, at: i64) {
        batch.push(feed(slot), 0, Timestamp(at), Payload::Scalar(Cell::TRUE));
    }

    fn sample(intake: &Intake, slot: u32) -> Result<(), IntakeFull> {
        samples(intake, Class::Bio, slot, 0..1)
    }

    /// One burst: these samples of the feed in this slot.
    fn samples(
        intake: &Intake,
        class: Class,
        slot: u32,
        stamps: std::ops::Range<i64>,
    ) -> Result<(), IntakeFull> {
        let mut burst = Burst::default();
        stamps.for_each(|at| scalar(burst.samples(class), slot, at));
        intake.samples(&mut burst)
    }

    fn refuse(intake: &Intake, class: Class, reason: Reason, count: u64) {
        let mut burst = Burst::default();
        burst.drop(class, reason, count);
        intake.samples(&mut burst).unwrap();
    }

    /// By slot, as [`samples`] gave them.
    fn by_slot(inputs: &Inputs, slots: usize) -> Vec<Vec<i64>> {
        let mut stamps = vec![Vec::new(); slots];
        for index in 0..inputs.samples.len() {
            let (feed, _, at, _) = inputs.samples.get(index);
            stamps[feed.0.slot as usize].push(at.0);
        }
        stamps
    }

    fn limits(class_samples: usize, tick_samples: usize) -> IntakeLimits {
        IntakeLimits { class_samples, tick_samples, ..IntakeLimits::default() }
    }

    #[test]
    fn what_waits_is_taken_once_and_whole() {
        let intake = Intake::default();
        intake.command(open(0)).unwrap();
        sample(&intake, 0).unwrap();
        refuse(&intake, Class::Bio, Reason::RateLimited, 2);
        refuse(&intake, Class::Motion, Reason::RateLimited, 3);
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        assert_eq!((inputs.commands.len(), inputs.samples.len()), (1, 1));
        let limited = Reason::RateLimited;
        assert_eq!(inputs.refused, [(Class::Bio, limited, 2), (Class::Motion, limited, 3)]);
        inputs = Inputs::default();
        intake.take(&mut inputs);
        assert!(
            inputs.commands.is_empty() && inputs.samples.is_empty() && inputs.refused.is_empty()
        );
    }

    #[test]
    fn each_plane_has_its_bound() {
        let intake = Intake::new(IntakeLimits { commands: 2, ..limits(3, 100) });
        for slot in 0..2 {
            intake.command(open(slot)).unwrap();
        }
        assert_eq!(intake.command(open(2)), Err(IntakeFull));
        intake.farewell(Command::CloseFeed { feed: feed(0) });
        for _ in 0..3 {
            sample(&intake, 0).unwrap();
        }
        assert_eq!(sample(&intake, 0), Err(IntakeFull));
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        assert_eq!((inputs.commands.len(), inputs.samples.len()), (3, 3));
        intake.command(Command::SetLoad(Load::default())).unwrap();
        sample(&intake, 0).unwrap();
    }

    #[test]
    fn the_worst_backlog_is_told_once_and_what_waits_now_belongs_to_it() {
        let intake = Intake::new(IntakeLimits { commands: 4, ..limits(10, 100) });
        let later = |ms| Instant::now() + Duration::from_millis(ms);
        assert_eq!(intake.take_backlog(later(50)), Backlog::default());
        for _ in 0..5 {
            sample(&intake, 0).unwrap();
        }
        intake.command(open(0)).unwrap();
        let backlog = intake.take_backlog(later(60_000));
        assert!(backlog.age >= Duration::from_secs(60), "nobody takes it: {backlog:?}");
        assert_eq!((backlog.samples, backlog.commands), (0.5, 0.25));
        assert!(backlog.bytes > 0.0);
        let mut inputs = Inputs::default();
        let age = intake.take(&mut inputs);
        let backlog = intake.take_backlog(later(60_000));
        assert_eq!((backlog.samples, backlog.commands), (0.5, 0.25), "taken, but it did wait");
        assert_eq!(backlog.age.as_micros(), age.as_micros());
        assert_eq!(intake.take_backlog(later(60_000)), Backlog::default());
        assert_eq!(intake.take(&mut inputs), Duration::ZERO);
        samples(&intake, Class::Location, 0, 0..10).unwrap();
        sample(&intake, 0).unwrap();
        assert_eq!(intake.take_backlog(later(0)).samples, 1.0, "of the class that has most");
    }

    #[test]
    fn a_class_that_is_full_keeps_no_other_out_and_loses_only_its_own() {
        let intake = Intake::new(limits(10, 1000));
        samples(&intake, Class::Location, 1, 0..12).unwrap();
        let mut burst = Burst::default();
        (0..4).for_each(|at| scalar(burst.samples(Class::Location), 1, at));
        (0..5).for_each(|at| scalar(burst.samples(Class::Bio), 0, at));
        assert_eq!(intake.samples(&mut burst), Err(IntakeFull));
        assert_eq!(burst.samples(Class::Location).len(), 4, "whose they were can be seen");
        assert!(burst.samples(Class::Bio).is_empty());
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        let taken = by_slot(&inputs, 2);
        assert_eq!((taken[0].len(), taken[1].len()), (5, 12));
        assert_eq!(inputs.refused, [(Class::Location, Reason::IntakeFull, 4)]);
        let [bio, _, location, ..] = intake.books().classes;
        assert_eq!((bio.received, bio.delivered), (5, 5));
        assert_eq!((location.received, location.dropped(Reason::IntakeFull)), (16, 4));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let intake = Intake::new(IntakeLimits { class_bytes: 1000, ..IntakeLimits::default() });
        let long = format!("\"{}\"", "x".repeat(2000));
        let push = || {
            let mut burst = Burst::default();
            let payload = Payload::Text { payload: &long, extra: "" };
            burst.samples(Class::Device).push(feed(0), 0, Timestamp(0), payload);
            intake.samples(&mut burst)
        };
        assert_eq!(push(), Ok(()));
        assert_eq!(push(), Err(IntakeFull));
        intake.take(&mut Inputs::default());
        assert_eq!(push(), Ok(()));
    }

    /// A hundred times as many positions as heartbeats, and more than a tick takes.
    #[test]
    fn a_flood_of_positions_waits_for_itself_and_a_heart_for_nobody() {
        let intake = Intake::new(limits(1 << 20, 2_000));
        for round in 0..50 {
            samples(&intake, Class::Location, 1, round * 1000..round * 1000 + 1000).unwrap();
        }
        for tick in 0..10 {
            samples(&intake, Class::Bio, 0, tick * 500..tick * 500 + 500).unwrap();
            let mut inputs = Inputs::default();
            intake.take(&mut inputs);
            let taken = by_slot(&inputs, 2);
            assert_eq!(taken[0], (tick * 500..tick * 500 + 500).collect::<Vec<_>>());
            assert!(inputs.samples.len() < 2_000 + CHUNK_SAMPLE_COUNT);
        }
    }

    #[test]
    fn classes_that_all_flood_share_by_their_weights_and_each_keeps_its_order() {
        let intake = Intake::new(limits(1 << 20, 18_000));
        for round in 0..200 {
            for class in Class::ALL {
                let stamps = round * 1000..round * 1000 + 1000;
                samples(&intake, class, class as u32, stamps).unwrap();
            }
        }
        let mut seen = vec![Vec::new(); Class::COUNT];
        for _ in 0..20 {
            let mut inputs = Inputs::default();
            intake.take(&mut inputs);
            for (seen, taken) in seen.iter_mut().zip(by_slot(&inputs, Class::COUNT)) {
                seen.extend(taken);
            }
        }
        let whole: usize = seen.iter().map(Vec::len).sum();
        for (class, stamps) in Class::ALL.into_iter().zip(&seen) {
            assert!(stamps.is_sorted() && stamps[0] == 0, "{}", class.name());
            assert_eq!(stamps.len() as i64, stamps.last().unwrap() + 1, "without a gap");
            let share = stamps.len() as f64 / whole as f64;
            let fair = class.weight() / 18.0;
            assert!((share - fair).abs() < 0.02, "{}: {share} of {fair}", class.name());
        }
        let mut inputs = Inputs::default();
        let mut ticks = 0;
        while intake.books().total().kept > 0 {
            intake.take(&mut inputs);
            ticks += 1;
        }
        assert_eq!(inputs.samples.len() + whole, 1_000_000, "{ticks} ticks later all is taken");
    }

    #[test]
    fn a_quota_sheds_what_is_beyond_it_and_nothing_of_what_is_looked_at() {
        let intake = Intake::default();
        let now = intake.began;
        let share = |level, at| intake.has_share(Class::Location, level, at);
        let (high, medium) = (Level::High, Level::Medium);
        assert!((0..100_000).all(|_| share(medium, now)), "without a quota whatever comes");
        let mut quotas = [None; Class::COUNT];
        quotas[Class::Location as usize] = Some(100.0);
        intake.set_quotas(quotas);
        assert_eq!(intake.quotas(), quotas);
        let passed = |level, at, count| (0..count).filter(|_| share(level, at)).count();
        assert_eq!(passed(medium, now, 1000), 25, "a quarter of a second's worth at once");
        let second = now + Duration::from_secs(1);
        assert_eq!(passed(high, second, 1000), 1000, "all of what is looked at");
        assert_eq!(passed(medium, second, 1000), 0, "which is at the cost of what is not");
        assert!(intake.has_share(Class::Bio, medium, second), "and of no other class");
        assert_eq!(passed(medium, second + Duration::from_secs(1), 1000), 25);
        quotas[Class::Location as usize] = Some(0.0);
        intake.set_quotas(quotas);
        assert_eq!(passed(medium, second + Duration::from_secs(9), 10), 0);
        intake.set_quotas([None; Class::COUNT]);
        assert_eq!(passed(medium, second + Duration::from_secs(9), 10), 10);
    }

    #[test]
    fn of_a_quota_those_that_are_looked_at_less_leave_the_rest_to_those_looked_at_more() {
        let intake = Intake::default();
        let mut quotas = [None; Class::COUNT];
        quotas[Class::Bio as usize] = Some(400.0);
        intake.set_quotas(quotas);
        let now = intake.began;
        let passed =
            |level, at| (0..1000).filter(|_| intake.has_share(Class::Bio, level, at)).count();
        assert_eq!(passed(Level::None, now), 25, "a quarter of the hundred at once");
        assert!(!intake.has_share_left(Class::Bio, Level::None, now));
        assert_eq!(passed(Level::Low, now), 25, "half of it");
        assert!(intake.has_share_left(Class::Bio, Level::Medium, now));
        assert_eq!(passed(Level::Medium, now), 50, "all that is left");
        // Held at its bound by those in the middle, nothing is left for those below.
        for ms in 1..1_000 {
            let at = now + Duration::from_millis(ms);
            assert_eq!((passed(Level::None, at), passed(Level::Low, at)), (0, 0));
            passed(Level::Medium, at);
        }
    }

    #[test]
    fn the_doors_ledger_is_right_at_every_moment_of_a_flood() {
        let intake = Arc::new(Intake::new(limits(2_000, 1_000)));
        let doors: Vec<_> = (0..4u32)
            .map(|door| {
                let intake = Arc::clone(&intake);
                std::thread::spawn(move || {
                    let class = Class::ALL[door as usize];
                    let mut dropped = 0;
                    for round in 0..200 {
                        let stamps = round * 100..round * 100 + 100;
                        dropped += u64::from(samples(&intake, class, door, stamps).is_err()) * 100;
                        refuse(&intake, class, Reason::Paced, 7);
                    }
                    dropped
                })
            })
            .collect();
        let mut given = 0;
        while given == 0 || doors.iter().any(|door| !door.is_finished()) {
            assert_eq!(intake.books().total().unexplained(), 0);
            let mut inputs = Inputs::default();
            intake.take(&mut inputs);
            given += inputs.samples.len() as u64;
        }
        let dropped: u64 = doors.into_iter().map(|door| door.join().unwrap()).sum();
        let books = intake.books();
        let total = books.total();
        assert_eq!(total.received, 4 * 200 * 107);
        assert_eq!((total.delivered, total.dropped(Reason::IntakeFull)), (given, dropped));
        assert_eq!(total.dropped(Reason::Paced), 4 * 200 * 7);
        assert_eq!(total.kept, 4 * 200 * 100 - given - dropped);
        assert!(books.classes.iter().all(|ledger| ledger.unexplained() == 0));
    }

    /// The word that comes between the two takes is the one the order is there for.
    #[test]
    fn a_feed_opened_between_the_takes_is_not_too_late_for_its_samples() {
        let intake = Intake::default();
        let mut inputs = Inputs::default();
        intake.take_around(&mut inputs, || {
            intake.command(open(0)).unwrap();
            sample(&intake, 0).unwrap();
        });
        assert!(inputs.samples.is_empty(), "the sample waits for the next tick");
        assert_eq!(inputs.commands.len(), 1, "and its feed is already there");
    }

    #[test]
    fn no_sample_is_ever_taken_before_its_feed() {
        let intake = Arc::new(Intake::default());
        let doors: Vec<_> = (0..2)
            .map(|door| {
                let intake = Arc::clone(&intake);
                std::thread::spawn(move || {
                    for slot in 0..5000 {
                        intake.command(open(slot * 2 + door)).unwrap();
                        sample(&intake, slot * 2 + door).unwrap();
                    }
                })
            })
            .collect();
        let mut open = vec![false; 10_000];
        let mut seen = 0;
        let mut inputs = Inputs::default();
        while seen < 10_000 {
            intake.take(&mut inputs);
            for command in inputs.commands.drain(..) {
                if let Command::OpenFeed { feed, .. } = command {
                    open[feed.0.slot as usize] = true;
                }
            }
            for index in 0..inputs.samples.len() {
                assert!(open[inputs.samples.address(index).0.0.slot as usize]);
                seen += 1;
            }
            inputs.samples.clear();
        }
        for door in doors {
            door.join().unwrap();
        }
    }

    #[test]
    fn a_pump_does_not_nap_while_something_waits() {
        let intake = Intake::default();
        sample(&intake, 0).unwrap();
        intake.nap(|| panic!("it naps"));
    }

    #[test]
    fn a_napping_pump_is_woken_by_a_word() {
        let intake = Intake::default();
        let began = Instant::now();
        intake.nap(|| {
            // The wake comes before the parking: unpark leaves a token, and parking returns at
            // once.
            intake.command(Command::SetLoad(Load::default())).unwrap();
            std::thread::park_timeout(Duration::from_secs(20));
        });
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(!intake.napping.load(Ordering::Relaxed));
    }
}

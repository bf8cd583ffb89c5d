//! What waits for the next tick: commands that are never dropped, samples that are bounded.
//!
//! A device opens its feed and sends samples on it, in this order, from one task. The tick applies
//! commands before samples. So **samples are taken before commands**: whatever sample is in the
//! tick, the command that opened its feed was given before it and is in this tick too, or in one
//! before. Taken the other way round, a feed opened between the two takes would find its first
//! samples in a tick that does not know it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use components::command::{Command, Inputs};
use components::ledger::Reason;
use components::sample::SampleBatch;

/// Commands that may wait for one tick. A thousand devices that return at once, with 64
/// attributes each, are 65,000.
pub const COMMAND_COUNT_MAX: usize = 1 << 17;

/// Samples that may wait for one tick: 50 ms at ten million a second.
pub const SAMPLE_COUNT_MAX: usize = 512 * 1024;

/// Bytes of samples that may wait for one tick. May be exceeded by one message of a device.
pub const SAMPLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// It holds as much as it may until the next tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeFull;

impl std::fmt::Display for IntakeFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the intake is full until the next tick")
    }
}

impl std::error::Error for IntakeFull {}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct IntakeLimits {
    pub commands: usize,
    pub samples: usize,
    pub sample_bytes: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            commands: COMMAND_COUNT_MAX,
            samples: SAMPLE_COUNT_MAX,
            sample_bytes: SAMPLE_BYTES_MAX,
        }
    }
}

/// What has waited for a tick, at its worst. The last three are fractions of their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// For how long the oldest sample did.
    pub age: Duration,
    pub samples: f64,
    pub bytes: f64,
    pub commands: f64,
}

/// Samples, and since when the first of them waits.
#[derive(Debug, Default)]
struct Waiting {
    batch: SampleBatch,
    since: Option<Instant>,
}

/// The worst since the gauge last asked, as the pump found it.
#[derive(Debug, Default)]
struct Peaks {
    age_micros: AtomicU64,
    samples: AtomicUsize,
    bytes: AtomicUsize,
    commands: AtomicUsize,
}

/// Shared by every door and the pump.
#[derive(Debug, Default)]
pub struct Intake {
    limits: IntakeLimits,
    commands: Mutex<Vec<Command>>,
    samples: Mutex<Waiting>,
    peaks: Peaks,
    refused: [AtomicU64; Reason::COUNT],
    /// The pump sleeps until something comes. Only then is waking it worth a call to the kernel.
    napping: AtomicBool,
    pump: OnceLock<Thread>,
}

impl Intake {
    pub fn new(limits: IntakeLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The strict plane. Whoever finds it full tells its client why and lets it go.
    pub fn command(&self, command: Command) -> Result<(), IntakeFull> {
        self.commands([command])
    }

    /// Several words that belong to one tick: all of them, or none.
    pub fn commands<const N: usize>(&self, commands: [Command; N]) -> Result<(), IntakeFull> {
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

    /// A farewell (`CloseFeed`, `CloseViewer`): always taken. There are never more of them than of
    /// feeds and viewers that were opened, and a lost one would be a ghost.
    pub fn farewell(&self, command: Command) {
        lock(&self.commands).push(command);
        self.wake();
    }

    /// The lossy plane: `add` puts the samples of one message into the batch, and must not wait
    /// for anything. When it is full, the door counts what it had
    /// ([`refuse`](Self::refuse) with [`Reason::IntakeFull`]).
    pub fn samples<R>(&self, add: impl FnOnce(&mut SampleBatch) -> R) -> Result<R, IntakeFull> {
        let added = {
            let mut waiting = lock(&self.samples);
            let Waiting { batch, since } = &mut *waiting;
            if batch.len() >= self.limits.samples || batch.bytes() >= self.limits.sample_bytes {
                return Err(IntakeFull);
            }
            let added = add(batch);
            if since.is_none() && !batch.is_empty() {
                *since = Some(Instant::now());
            }
            added
        };
        self.wake();
        Ok(added)
    }

    /// Counts samples that went no further than their door.
    pub fn refuse(&self, reason: Reason, count: u64) {
        self.refused[reason as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Moves everything that waits into `inputs`, samples first (see the module). How long the
    /// oldest of the samples has waited.
    pub fn take(&self, inputs: &mut Inputs) -> Duration {
        let age = self.take_around(inputs, || ());
        for reason in Reason::ALL {
            let count = self.refused[reason as usize].swap(0, Ordering::Relaxed);
            if count > 0 {
                inputs.refused.push((reason, count));
            }
        }
        age
    }

    /// The worst backlog since this was last asked; what waits now belongs to it, so that a pump that
    /// stands still is seen.
    pub fn take_backlog(&self, now: Instant) -> Backlog {
        let (since, samples, bytes) = {
            let waiting = lock(&self.samples);
            (waiting.since, waiting.batch.len(), waiting.batch.bytes())
        };
        let commands = lock(&self.commands).len();
        let age = Duration::from_micros(self.peaks.age_micros.swap(0, Ordering::Relaxed));
        let waits = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let part = |peak: &AtomicUsize, now: usize, bound: usize| {
            peak.swap(0, Ordering::Relaxed).max(now) as f64 / bound.max(1) as f64
        };
        Backlog {
            age: age.max(waits),
            samples: part(&self.peaks.samples, samples, self.limits.samples),
            bytes: part(&self.peaks.bytes, bytes, self.limits.sample_bytes),
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
        let mut waiting = lock(&self.samples);
        let Some(since) = waiting.since.take() else { return Duration::ZERO };
        let age = since.elapsed();
        self.peaks.age_micros.fetch_max(age.as_micros() as u64, Ordering::Relaxed);
        self.peaks.samples.fetch_max(waiting.batch.len(), Ordering::Relaxed);
        self.peaks.bytes.fetch_max(waiting.batch.bytes(), Ordering::Relaxed);
        if inputs.samples.is_empty() {
            std::mem::swap(&mut waiting.batch, &mut inputs.samples);
        } else {
            inputs.samples.append(&mut waiting.batch);
        }
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

    fn is_empty(&self) -> bool {
        lock(&self.samples).batch.is_empty() && lock(&self.commands).is_empty()
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

    fn sample(intake: &Intake, slot: u32) -> Result<(), IntakeFull> {
        intake.samples(|batch| {
            batch.push(feed(slot), 0, Timestamp(1), Payload::Scalar(Cell::TRUE));
        })
    }

    #[test]
    fn what_waits_is_taken_once_and_whole() {
        let intake = Intake::default();
        intake.command(open(0)).unwrap();
        sample(&intake, 0).unwrap();
        intake.refuse(Reason::RateLimited, 2);
        intake.refuse(Reason::RateLimited, 3);
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        assert_eq!((inputs.commands.len(), inputs.samples.len()), (1, 1));
        assert_eq!(inputs.refused, [(Reason::RateLimited, 5)]);
        inputs = Inputs::default();
        intake.take(&mut inputs);
        assert!(
            inputs.commands.is_empty() && inputs.samples.is_empty() && inputs.refused.is_empty()
        );
    }

    #[test]
    fn each_plane_has_its_bound() {
        let intake = Intake::new(IntakeLimits { commands: 2, samples: 3, sample_bytes: 1 << 20 });
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
        let intake = Intake::new(IntakeLimits { commands: 4, samples: 10, sample_bytes: 1 << 20 });
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
    }

    #[test]
    fn bytes_are_bounded_too() {
        let intake = Intake::new(IntakeLimits { sample_bytes: 1000, ..IntakeLimits::default() });
        let long = format!("\"{}\"", "x".repeat(2000));
        let push = || {
            intake.samples(|batch| {
                let payload = Payload::Text { payload: &long, extra: "" };
                batch.push(feed(0), 0, Timestamp(0), payload);
            })
        };
        assert_eq!(push(), Ok(()));
        assert_eq!(push(), Err(IntakeFull));
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

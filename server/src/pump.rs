//! The pump: the thread that owns the engine. Takes what waits, ticks, hands out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use components::class::Class;
use components::command::{Command, Inputs};
use components::delivery::{Deliveries, Notice, TickReport};
use components::fault::Faults;
use components::id::ViewerId;
use components::ledger::Ledger;
use components::sample::EngineTime;
use engine::{Audit, Decision, Engine, Figures};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::ages::{Ages, Histogram};
use crate::ailing::Ailing;
use crate::clock::{Clock, Now};
use crate::complaints::panic_message;
use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::device::{Events, SocketEvent};
use crate::health::Pulse;
use crate::history::Tap;
use crate::intake::Intake;
use crate::legacy::Left;
use crate::mail::{Mail, MailFigures, Taken, Waiting};
use crate::outbox::Passage;
use crate::recorder::Tape;
use crate::sessions::Sessions;
use crate::viewer::ViewerDesk;

pub const TICK_HZ_DEFAULT: u32 = 250;
pub const TICK_HZ_MIN: u32 = 50;
pub const TICK_HZ_MAX: u32 = 1000;

/// With nobody looking and nothing coming, the engine is looked after this often: leases and
/// lingering sensors still end.
pub const NAP_MS_MAX: u64 = 50;

/// The process ends with this code when the pump panics (sysexits: internal error). A server
/// whose world has stopped must not go on answering.
pub const PANIC_EXIT_CODE: i32 = 70;

/// Ticks in which what waits at the end goes in: of the fullest queues, all.
const LAST_TICK_COUNT_MAX: usize = 100;

/// Where the device door hears the engine. Called on the pump's thread: must not wait.
pub trait NoticeSink: Send + Sync {
    fn notice(&self, notice: &Notice);
}

/// A source of samples within the process. Lives on the pump's thread: must not wait.
pub trait Simulation: Send {
    /// Before every tick, with the unix milliseconds.
    fn act(&mut self, unix_ms: i64, inputs: &mut Inputs);

    /// What the engine said in that tick.
    fn hear(&mut self, notices: &[Notice]);
}

/// What ticks: the engine, or a test's.
pub trait World {
    fn tick(&mut self, now: EngineTime, inputs: &mut Inputs) -> &Deliveries;

    /// What it holds and what became of every sample, if it keeps books.
    fn inspect(&mut self) -> Option<Inspection> {
        None
    }

    /// Why a stream comes to a viewer as it does.
    fn decide(&mut self, _question: &Question) -> Option<Decision> {
        None
    }

    /// What its two ledgers (store, lens) have counted so far, without what waits, if it keeps any.
    fn ledgers(&self) -> Option<[Ledger; 2]> {
        None
    }

    /// Samples a second that each class may bring in from now on; `None`: as many as come.
    fn quotas(&self) -> [Option<f64>; Class::COUNT] {
        [None; Class::COUNT]
    }

    /// What would open the feeds that are open.
    fn devices(&self) -> Vec<Command> {
        Vec::new()
    }

    /// All of it, for another process to go on with.
    fn write_down(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Viewers that are there from the process before, and can be sent nothing.
    fn ghosts(&mut self) -> Vec<ViewerId> {
        Vec::new()
    }

    /// Writes itself down, and goes on from what was written: a recording begins here.
    fn rebase(&mut self) -> Result<Base, String> {
        Err("this world cannot be written down".into())
    }
}

/// What a recording begins with.
#[derive(Debug)]
pub struct Base {
    pub snapshot: Vec<u8>,
    /// What would open the feeds that are open.
    pub devices: Vec<Command>,
}

/// What the world looks like from within, at one moment between two ticks.
#[derive(Debug)]
pub struct Inspection {
    pub report: TickReport,
    /// Both ledgers, complete; or which promise is broken.
    pub ledgers: Result<Audit, String>,
    /// Asked, allowed, delivered; of a world that has a conductor.
    pub figures: Option<Figures>,
}

/// Which stream of which viewer somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub viewer: ViewerId,
    pub sensor_id: Box<str>,
    /// Absent: the sensor's busiest.
    pub attribute_id: Option<Box<str>>,
}

/// Questions that may wait for one tick.
pub const QUESTION_COUNT_MAX: usize = 64;

impl World for Engine {
    fn tick(&mut self, now: EngineTime, inputs: &mut Inputs) -> &Deliveries {
        Self::tick(self, now, inputs)
    }

    fn inspect(&mut self) -> Option<Inspection> {
        let figures = Some(self.figures());
        Some(Inspection { report: self.report(), ledgers: self.count(), figures })
    }

    fn decide(&mut self, question: &Question) -> Option<Decision> {
        let Question { viewer, sensor_id, attribute_id } = question;
        self.decision(*viewer, sensor_id, attribute_id.as_deref())
    }

    fn ledgers(&self) -> Option<[Ledger; 2]> {
        let report = self.report();
        Some([report.store, report.lens])
    }

    fn quotas(&self) -> [Option<f64>; Class::COUNT] {
        self.budget().class_sps
    }

    fn devices(&self) -> Vec<Command> {
        Self::devices(self)
    }

    fn write_down(&mut self) -> Option<Vec<u8>> {
        Some(self.snapshot())
    }

    fn ghosts(&mut self) -> Vec<ViewerId> {
        self.take_ghosts()
    }

    fn rebase(&mut self) -> Result<Base, String> {
        let snapshot = self.snapshot();
        self.replace(&snapshot).map_err(|error| error.to_string())?;
        Ok(Base { snapshot, devices: self.devices() })
    }
}

/// Everything the pump is joined to.
pub struct PumpParts {
    /// Ticks per second, kept within [`TICK_HZ_MIN`]..=[`TICK_HZ_MAX`].
    pub tick_hz: u32,
    pub clock: Clock,
    pub intake: Arc<Intake>,
    pub viewers: Arc<ViewerDesk>,
    pub devices: Arc<dyn NoticeSink>,
    pub simulator: Option<Box<dyn Simulation>>,
    pub pulse: Arc<Pulse>,
    pub tape: Tape,
    pub tap: Tap,
    /// How old what is delivered is.
    pub ages: Arc<Ages>,
    pub letters: Arc<DeadLetters>,
    /// Who records groups, if anybody may.
    pub sessions: Option<Arc<Sessions>>,
    /// Failpoints, in builds that have them.
    pub faults: Faults,
}

/// A running pump. Stopped when dropped.
#[derive(Debug)]
pub struct Pump {
    stop: Arc<AtomicBool>,
    /// Set before `stop`.
    is_to_leave: Arc<AtomicBool>,
    intake: Arc<Intake>,
    report: Arc<PumpReport>,
    thread: Option<JoinHandle<Option<Left>>>,
}

impl Pump {
    /// `world` is built on the pump's own thread, which stays with it: the engine's thread may be
    /// a worker of its pool.
    pub fn start<W: World>(
        world: impl FnOnce() -> W + Send + 'static,
        parts: PumpParts,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let report = Arc::new(PumpReport::default());
        let intake = Arc::clone(&parts.intake);
        let reported = Arc::clone(&report);
        let stopped = Arc::clone(&stop);
        let is_to_leave = Arc::new(AtomicBool::new(false));
        let leaves = Arc::clone(&is_to_leave);
        let thread = std::thread::Builder::new().name("pump".into()).spawn(move || {
            let run = guard(|| {
                let mut run = Run::new(world(), parts, reported);
                run.until(&stopped);
                leaves.load(Ordering::Acquire).then(|| run.leave()).flatten()
            });
            run.unwrap_or_else(|panic| {
                tracing::error!(%panic, "the pump has panicked; the process ends");
                std::process::exit(PANIC_EXIT_CODE);
            })
        })?;
        Ok(Self { stop, is_to_leave, intake, report, thread: Some(thread) })
    }

    pub fn report(&self) -> Arc<PumpReport> {
        Arc::clone(&self.report)
    }

    /// Lets the tick that runs end, and no other begin.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    /// The same, once everything that waits has been through a tick, and the world as it is then.
    pub fn leave(mut self) -> Option<Left> {
        self.is_to_leave.store(true, Ordering::Release);
        self.stop_and_join()
    }

    fn stop_and_join(&mut self) -> Option<Left> {
        self.stop.store(true, Ordering::Release);
        self.intake.wake();
        // It cannot have panicked: the process would have ended.
        self.thread.take().and_then(|thread| thread.join().ok()).flatten()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

/// What a panic said, if there was one.
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_message(&*panic).to_owned())
}

/// The thread's own.
struct Run<W> {
    world: W,
    parts: PumpParts,
    inputs: Inputs,
    answers: Vec<(Events, SocketEvent)>,
    mail: Mail,
    beat: Beat,
    losses: Losses,
    report: Arc<PumpReport>,
    /// See [`World::ghosts`].
    ghosts: Vec<ViewerId>,
}

impl<W: World> Run<W> {
    fn new(mut world: W, parts: PumpParts, report: Arc<PumpReport>) -> Self {
        let hz = parts.tick_hz.clamp(TICK_HZ_MIN, TICK_HZ_MAX);
        Self {
            ghosts: world.ghosts(),
            world,
            beat: Beat::new(1_000_000 / u64::from(hz), parts.clock.now().engine),
            mail: Mail::new(parts.faults.clone()),
            parts,
            inputs: Inputs::default(),
            answers: Vec::new(),
            losses: Losses::default(),
            report,
        }
    }

    fn until(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let idle = self.step(self.parts.clock.now());
            if idle {
                let nap = Duration::from_millis(NAP_MS_MAX);
                self.parts.intake.nap(|| {
                    // Looked at once more behind the napping flag: whoever stops us wakes us.
                    if !stop.load(Ordering::Acquire) {
                        std::thread::park_timeout(nap);
                    }
                });
                self.beat.rest(self.parts.clock.now().engine);
            }
            let (wait, missed) = self.beat.next(self.parts.clock.now().engine);
            self.report.missed_ticks.fetch_add(missed, Ordering::Relaxed);
            if wait > 0 {
                std::thread::sleep(Duration::from_micros(wait));
            }
        }
    }

    /// What still waits goes in, then the world is written down.
    fn leave(&mut self) -> Option<Left> {
        let mut at = self.parts.clock.now();
        for _ in 0..LAST_TICK_COUNT_MAX {
            self.step(at);
            at = self.parts.clock.now();
            if self.parts.intake.is_empty() {
                break;
            }
        }
        self.world.write_down().map(|world| Left { at, world })
    }

    /// One tick. Whether there was nothing to do in it, and nobody to do it for.
    fn step(&mut self, now: Now) -> bool {
        let Self { world, parts, inputs, answers, mail, losses, report, ghosts, .. } = self;
        parts.faults.strike("pump.tick", 0);
        parts.tape.follow(world);
        parts.tap.follow(world);
        parts.intake.take_answers(answers);
        let waited = parts.intake.take(inputs);
        let taken = Taken { at: Instant::now(), waited };
        let from_door = inputs.samples.len();
        if let Some(simulator) = &mut parts.simulator {
            simulator.act(now.unix_ms, inputs);
        }
        let simulated = (inputs.samples.len() - from_door) as u64;
        report.simulated.fetch_add(simulated, Ordering::Relaxed);
        let idle = inputs.commands.is_empty()
            && inputs.samples.is_empty()
            && parts.viewers.open_count() == 0;
        mail.prepare(now, &parts.viewers, &parts.intake, inputs);
        if let Some(sessions) = &parts.sessions {
            sessions.act(now.engine, inputs);
        }
        inputs.busy.extend(&*ghosts);
        let samples = inputs.samples.len() as u64;
        parts.tape.before(now.engine, inputs);
        parts.tap.before(inputs);
        let ticking = tracing::trace_span!("tick", at_us = now.engine.0, samples).entered();
        let deliveries = world.tick(now.engine, inputs);
        drop(ticking);
        let ticked = parts.clock.now().engine;
        parts.tape.behind(deliveries);
        parts.tap.behind(deliveries);
        for notice in &deliveries.notices {
            parts.devices.notice(notice);
            report.ailing.hear(notice);
            if let Notice::ViewerClosed { viewer, .. } = notice {
                ghosts.retain(|ghost| ghost != viewer);
            }
        }
        // Behind what the tick has changed at other sockets.
        answers.drain(..).for_each(|(events, event)| events.send(event));
        if let Some(simulator) = &mut parts.simulator {
            simulator.hear(&deliveries.notices);
        }
        let figures =
            mail.deliver(now, &parts.viewers, &parts.intake, deliveries, taken, &parts.ages);
        if let Some(sessions) = &parts.sessions {
            sessions.hear(deliveries);
        }
        // What the world left would be told twice.
        inputs.busy.clear();
        inputs.refused.clear();
        let done = parts.clock.now().engine;
        let since = |then: EngineTime| then.0.saturating_sub(now.engine.0);
        parts.intake.set_quotas(world.quotas());
        losses.look(&parts.letters, now.unix_ms, &figures, || world.ledgers());
        parts.pulse.beat();
        report.tick_done(samples, since(ticked), since(done), &figures);
        if report.wanted.swap(false, Ordering::AcqRel)
            && let Some(inspection) = world.inspect()
        {
            report.inspections.send_replace(Some(Arc::new((Instant::now(), inspection))));
        }
        if report.asked.swap(false, Ordering::AcqRel) {
            for (question, answer) in report.take_questions() {
                // Whoever has gone meanwhile wants no answer.
                let _ = answer.send(world.decide(&question));
            }
        }
        idle
    }
}

/// Milliseconds between two looks at what the engine has dropped.
const LOSSES_EVERY_MS: i64 = 1000;

/// What went no further behind the door, for the dead letters.
#[derive(Debug, Default)]
struct Losses {
    looked_at: i64,
    ledgers: [Ledger; 2],
}

impl Losses {
    fn look(
        &mut self,
        letters: &DeadLetters,
        unix_ms: i64,
        mail: &MailFigures,
        ledgers: impl FnOnce() -> Option<[Ledger; 2]>,
    ) {
        for (reason, count, detail) in [
            ("lost_frame", mail.lost_frames, "viewers closed because a message could not be kept"),
            ("slow", mail.slow, "viewers closed because they did not read"),
        ] {
            let (class, sensor_id, attribute_id) = (None, None, None);
            letters.note(
                unix_ms,
                DeadLetter { reason, class, sensor_id, attribute_id, count, detail },
            );
        }
        if (0..LOSSES_EVERY_MS).contains(&unix_ms.saturating_sub(self.looked_at)) {
            return;
        }
        self.looked_at = unix_ms;
        let Some(now) = ledgers() else { return };
        for ((name, before), now) in ["store", "lens"].into_iter().zip(&mut self.ledgers).zip(now) {
            letters.note_ledger(unix_ms, name, before, &now);
            *before = now;
        }
    }
}

/// Absolute deadlines, in microseconds of engine time. A late tick is followed by the next
/// deadline that lies ahead; the missed ones are counted, not made up for.
#[derive(Debug)]
struct Beat {
    period: u64,
    /// When the next tick is due.
    due: u64,
}

impl Beat {
    fn new(period: u64, now: EngineTime) -> Self {
        Self { period, due: now.0 + period }
    }

    /// After a tick: microseconds to wait for the next one, and how many were missed.
    fn next(&mut self, now: EngineTime) -> (u64, u64) {
        let missed = now.0.saturating_sub(self.due) / self.period;
        let due = self.due + missed * self.period;
        self.due = due + self.period;
        (due.saturating_sub(now.0), missed)
    }

    /// After a nap: deadlines slept through on purpose are not missed.
    fn rest(&mut self, now: EngineTime) {
        self.due = self.due.max(now.0);
    }
}

/// Figures of the pump, for health and metrics. Totals since it began, unless said otherwise.
#[derive(Debug, Default)]
pub struct PumpReport {
    pub ticks: AtomicU64,
    /// Deadlines that passed while a tick ran.
    pub missed_ticks: AtomicU64,
    /// Given to the engine: what the door's ledger has delivered, and these that were made up.
    pub samples: AtomicU64,
    pub simulated: AtomicU64,
    /// Microseconds within the engine.
    pub engine_micros: AtomicU64,
    /// Microseconds of whole ticks: engine, encoding, handing out.
    pub tick_micros: AtomicU64,
    pub tick_micros_last: AtomicU64,
    /// How long each took.
    pub tick_durations: Histogram,
    /// Since [`take_tick_micros_max`](Self::take_tick_micros_max) was last called.
    tick_micros_max: AtomicU64,
    /// As of the last tick.
    pub viewers_open: AtomicU64,
    pub viewers_busy: AtomicU64,
    pub messages: AtomicU64,
    pub bytes: AtomicU64,
    pub encoded_bytes: AtomicU64,
    /// Samples that aged out before a viewer's turn.
    pub missed_samples: AtomicU64,
    pub lost_frames: AtomicU64,
    /// Slices that were not for who would have had them.
    pub withheld: AtomicU64,
    pub slow_viewers: AtomicU64,
    /// See [`MailFigures`].
    pub line_micros: AtomicU64,
    pub lane_bytes: AtomicU64,
    /// Messages that did not fit into their outbox at once, and those that wait for that now.
    pub lanes: Passage,
    pub lanes_waiting: AtomicU64,
    /// Channels closed because their mail panicked.
    pub faulted_viewers: AtomicU64,
    pub ailing: Ailing,
    /// Somebody waits for an inspection.
    wanted: AtomicBool,
    inspections: watch::Sender<Option<Arc<(Instant, Inspection)>>>,
    /// Somebody has asked a question.
    asked: AtomicBool,
    questions: Mutex<Vec<Asked>>,
}

type Asked = (Question, oneshot::Sender<Option<Decision>>);

/// The world is walked for whoever asks, but not more often than this.
pub const INSPECTION_PERIOD: Duration = Duration::from_secs(1);

/// A pump that has not answered after this long does not.
const INSPECTION_PATIENCE: Duration = Duration::from_secs(2);

impl PumpReport {
    fn tick_done(&self, samples: u64, engine_micros: u64, micros: u64, mail: &MailFigures) {
        let add = |total: &AtomicU64, count: u64| {
            total.fetch_add(count, Ordering::Relaxed);
        };
        add(&self.samples, samples);
        add(&self.engine_micros, engine_micros);
        add(&self.tick_micros, micros);
        add(&self.messages, mail.messages);
        add(&self.bytes, mail.bytes);
        add(&self.encoded_bytes, mail.encoded_bytes);
        add(&self.missed_samples, mail.missed);
        add(&self.lost_frames, mail.lost_frames);
        self.withheld.store(mail.withheld, Ordering::Relaxed);
        add(&self.slow_viewers, mail.slow);
        let Waiting { count, entered, left, lost, .. } = mail.waiting;
        self.lanes.entered.store(entered, Ordering::Relaxed);
        self.lanes.left.store(left, Ordering::Relaxed);
        self.lanes.lost.store(lost, Ordering::Relaxed);
        self.lanes_waiting.store(count as u64, Ordering::Relaxed);
        add(&self.faulted_viewers, mail.faulted);
        self.tick_micros_last.store(micros, Ordering::Relaxed);
        self.tick_durations.record(Duration::from_micros(micros));
        self.tick_micros_max.fetch_max(micros, Ordering::Relaxed);
        self.viewers_open.store(mail.open as u64, Ordering::Relaxed);
        self.viewers_busy.store(mail.busy as u64, Ordering::Relaxed);
        self.line_micros.store(mail.line_micros, Ordering::Relaxed);
        self.lane_bytes.store(mail.waiting.bytes as u64, Ordering::Relaxed);
        // Last: whoever sees the tick counted sees its figures.
        self.ticks.fetch_add(1, Ordering::Release);
    }

    /// Why a stream comes to a viewer as it does. The outer `None`: the engine does not tick, or too
    /// many ask.
    pub async fn ask(&self, intake: &Intake, question: Question) -> Option<Option<Decision>> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
            if questions.len() >= QUESTION_COUNT_MAX {
                return None;
            }
            questions.push((question, sender));
        }
        self.asked.store(true, Ordering::Release);
        intake.wake();
        timeout(INSPECTION_PATIENCE, receiver).await.ok()?.ok()
    }

    fn take_questions(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The world from within, at most [`INSPECTION_PERIOD`] old. `None`: it does not tick, or keeps
    /// no books.
    pub async fn inspect(&self, intake: &Intake) -> Option<Arc<(Instant, Inspection)>> {
        let mut inspections = self.inspections.subscribe();
        let last = inspections.borrow_and_update().clone();
        if last.as_ref().is_some_and(|last| last.0.elapsed() < INSPECTION_PERIOD) {
            return last;
        }
        self.wanted.store(true, Ordering::Release);
        intake.wake();
        timeout(INSPECTION_PATIENCE, inspections.changed()).await.ok()?.ok()?;
        inspections.borrow().clone()
    }

    /// Microseconds of a whole tick, on average since the beginning.
    pub fn tick_micros_mean(&self) -> f64 {
        let ticks = self.ticks.load(Ordering::Acquire).max(1);
        self.tick_micros.load(Ordering::Relaxed) as f64 / ticks as f64
    }

    /// The longest tick since this was last called.
    pub fn take_tick_micros_max(&self) -> u64 {
        self.tick_micros_max.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;

use std::sync::Mutex;

use super::*;
use crate::store::{Place, Store, StoreConfig, sections};
use components::attention::Level;
use components::budget::Pacing;
use components::cell::Cell;
use components::command::Command;
use components::id::{FeedId, Handle};
use components::load::Load;
use components::sample::{Payload, Timestamp};

const FEED: FeedId = FeedId(Handle { slot: 0, generation: 0 });

/// Counts what it is given, and has one notice for every command.
#[derive(Default)]
struct Fake {
    deliveries: Deliveries,
    seen: Arc<Mutex<Vec<(u64, usize, usize)>>>,
}

impl World for Fake {
    fn tick(&mut self, now: EngineTime, inputs: &mut Inputs) -> &Deliveries {
        let counts = (now.0, inputs.commands.len(), inputs.samples.len());
        self.seen.lock().unwrap().push(counts);
        self.deliveries.clear();
        for _ in inputs.commands.drain(..) {
            let (feed, load) = (FEED, Load::default());
            let pacing = Pacing::of(Level::None, load);
            self.deliveries.notices.push(Notice::FeedOpened { feed, pacing });
        }
        inputs.samples.clear();
        &self.deliveries
    }
}

#[derive(Default)]
struct Heard(Mutex<usize>);

impl NoticeSink for Heard {
    fn notice(&self, _: &Notice) {
        *self.0.lock().unwrap() += 1;
    }
}

fn parts(
    clock: Clock,
    devices: Arc<dyn NoticeSink>,
    simulator: Option<Box<dyn Simulation>>,
) -> PumpParts {
    let intake = Arc::new(Intake::default());
    let store = StoreConfig::new(Place::Memory, sections(), clock.clone());
    let store = Store::start(store).unwrap();
    let viewers = ViewerDesk::new(Arc::clone(&intake), clock.clone(), 4, store);
    let (pulse, tape, tap) = (Arc::default(), Tape::default(), Tap::default());
    let (ages, letters, faults) = (Arc::default(), Arc::default(), Faults::default());
    PumpParts {
        tick_hz: 250,
        clock,
        intake,
        viewers,
        devices,
        simulator,
        pulse,
        tape,
        tap,
        ages,
        letters,
        sessions: None,
        faults,
    }
}

/// One sample a tick.
struct Ticking(Arc<Mutex<usize>>);

impl Simulation for Ticking {
    fn act(&mut self, unix_ms: i64, inputs: &mut Inputs) {
        inputs.samples.push(FEED, 0, Timestamp(unix_ms), Payload::Scalar(Cell::TRUE));
    }

    fn hear(&mut self, notices: &[Notice]) {
        *self.0.lock().unwrap() += notices.len();
    }
}

fn at(ms: u64) -> Now {
    Now { engine: EngineTime::from_millis(ms), unix_ms: 1_700_000_000_000 + ms as i64 }
}

#[test]
fn a_tick_takes_what_waits_and_hands_out_what_comes() {
    let heard = Arc::new(Heard::default());
    let told = Arc::new(Mutex::new(0));
    let simulator = Box::new(Ticking(Arc::clone(&told)));
    let parts = parts(Clock::made_up(|| at(5)), Arc::clone(&heard) as _, Some(simulator));
    let intake = Arc::clone(&parts.intake);
    let report = Arc::new(PumpReport::default());
    let world = Fake::default();
    let seen = Arc::clone(&world.seen);
    let mut run = Run::new(world, parts, Arc::clone(&report));
    intake.command(Command::SetLoad(Load::default())).unwrap();
    assert!(!run.step(at(4)), "there was something to do");
    assert!(!run.step(at(8)), "the simulator always has something");
    assert_eq!(*seen.lock().unwrap(), [(4000, 1, 1), (8000, 0, 1)]);
    assert_eq!(*heard.0.lock().unwrap(), 1);
    assert_eq!(*told.lock().unwrap(), 1, "the simulator hears the engine too");
    assert_eq!(report.ticks.load(Ordering::Relaxed), 2);
    assert_eq!(report.samples.load(Ordering::Relaxed), 2);
    assert_eq!(report.take_tick_micros_max(), 1000);
    assert_eq!(report.tick_micros_mean(), 500.0);
    let durations = report.tick_durations.counts();
    assert_eq!((durations.total(), durations.seconds()), (2, 0.001));
}

/// Notes, with each word of the engine, whether the answer to a command had been given by then.
struct Listening {
    answered: Mutex<tokio::sync::mpsc::Receiver<SocketEvent>>,
    was_answered: Mutex<Vec<bool>>,
}

impl NoticeSink for Listening {
    fn notice(&self, _: &Notice) {
        let answered = self.answered.lock().unwrap().try_recv().is_ok();
        self.was_answered.lock().unwrap().push(answered);
    }
}

/// It was once given before devices knew that they are pointed at, and what they sent in between was
/// shed though the viewer had been told yes.
#[test]
fn an_answer_comes_when_its_command_has_had_its_effect() {
    let (events, answered) = Events::new();
    let devices =
        Arc::new(Listening { answered: Mutex::new(answered), was_answered: Mutex::default() });
    let parts = parts(Clock::made_up(|| at(5)), Arc::clone(&devices) as _, None);
    let intake = Arc::clone(&parts.intake);
    let mut run = Run::new(Fake::default(), parts, Arc::default());
    intake.command(Command::SetLoad(Load::default())).unwrap();
    let frame = tokio_tungstenite::tungstenite::Message::text("yes");
    intake.tell_when_done(&events, SocketEvent::Answered { frame });
    run.step(at(4));
    assert_eq!(*devices.was_answered.lock().unwrap(), [false], "devices hear of it first");
    assert!(devices.answered.lock().unwrap().try_recv().is_ok(), "and then it is said");
    run.step(at(8));
    assert!(devices.answered.lock().unwrap().try_recv().is_err(), "once");
}

#[test]
fn a_pump_with_nobody_and_nothing_is_idle() {
    let devices = Arc::new(Heard::default());
    let parts = parts(Clock::made_up(|| at(0)), devices, None);
    let mut run = Run::new(Fake::default(), parts, Arc::default());
    assert!(run.step(at(0)));
}

#[test]
fn deadlines_are_absolute_and_missed_ones_are_not_made_up_for() {
    let mut beat = Beat::new(4000, EngineTime(0));
    assert_eq!(beat.next(EngineTime(1000)), (3000, 0), "due at 4,000");
    assert_eq!(beat.next(EngineTime(4100)), (3900, 0), "due at 8,000, however late the last");
    assert_eq!(beat.next(EngineTime(12_100)), (0, 0), "due at 12,000: at once");
    assert_eq!(beat.next(EngineTime(29_000)), (0, 3), "16, 20 and 24 are gone; 28 is now");
    assert_eq!(beat.next(EngineTime(29_500)), (2500, 0), "and 32 as ever");
}

#[test]
fn a_nap_is_not_lateness_and_a_short_one_is_no_extra_tick() {
    let mut beat = Beat::new(4000, EngineTime(0));
    beat.rest(EngineTime(50_000));
    assert_eq!(beat.next(EngineTime(50_000)), (0, 0));
    beat.rest(EngineTime(51_000));
    assert_eq!(beat.next(EngineTime(51_000)), (3000, 0));
}

#[test]
fn a_panic_is_told() {
    assert_eq!(guard(|| panic!("a {}", "word")), Err("a word".into()));
    assert_eq!(guard(|| ()), Ok(()));
}

#[test]
fn a_pump_starts_ticks_and_stops() {
    let heard = Arc::new(Heard::default());
    let parts = parts(Clock::system(), Arc::clone(&heard) as _, None);
    let intake = Arc::clone(&parts.intake);
    let pump = Pump::start(Fake::default, parts).unwrap();
    let report = pump.report();
    intake.command(Command::SetLoad(Load::default())).unwrap();
    while *heard.0.lock().unwrap() == 0 {
        std::thread::yield_now();
    }
    pump.stop();
    assert!(report.ticks.load(Ordering::Acquire) > 0);
}

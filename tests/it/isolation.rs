//! What a panicking system takes with it, and what it does not (the seed's appendix A,
//! `reference/reliability.md` 5 and R08).
//!
//! Panics come from failpoints. The lab audits the world after every tick, the one with the panic
//! included.

use std::collections::BTreeMap;

use components::attention::Level;
use components::cell::Cell;
use components::command::{Attention, Command};
use components::delivery::{Form, Notice, Refusal, ViewerEnd};
use components::fault::{Action, Point};
use components::id::ViewerId;
use components::ledger::Reason;
use components::load::LoadLevel;
use components::sample::Payload;
use components::viewer::Quality;
use engine::{EngineConfig, Faults};
use systems::supervise::{Beyond, PAUSE_MS_MIN, TABLE};
use tests::{Lab, Received, TICK_MS, attribute_target, target, visible};

/// Milliseconds between flushes at high quality, and what ticks add to it at most.
const FLUSH_MS: u64 = 32 + TICK_MS;

fn panic(count: u64) -> Point {
    Point { action: Action::Panic, count: Some(count), ..Point::default() }
}

fn name(n: usize) -> String {
    format!("person{n:02}")
}

/// Twenty sensors that send in every tick, and five viewers who look at them in different ways.
struct Crowd {
    lab: Lab,
    faults: Faults,
    viewers: Vec<ViewerId>,
    sent: i64,
}

const SENSORS: usize = 20;

impl Crowd {
    fn new(threads: usize) -> Self {
        let (mut lab, faults) = Lab::faulty(EngineConfig { threads, ..EngineConfig::default() });
        for n in 0..SENSORS {
            lab.join(&name(n));
        }
        let names: Vec<String> = (0..SENSORS).map(name).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let viewers = vec![
            lab.watch_all(Quality::High),
            lab.watch(&all[..10], Quality::High),
            lab.watch(&all[5..], Quality::Medium),
            lab.watch(&all[..3], Quality::High),
            lab.watch(&all, Quality::Low),
        ];
        lab.attend(viewers[2], Attention { hovered: vec![target(all[7])], ..visible(&all[5..12]) });
        lab.attend(
            viewers[4],
            Attention {
                focused: vec![attribute_target(all[1], "ecg")],
                pinned: vec![target(all[19])],
                ..Attention::default()
            },
        );
        Self { lab, faults, viewers, sent: 0 }
    }

    /// One sample of every sensor, and one tick.
    fn tick(&mut self) {
        for n in 0..SENSORS {
            self.lab.send(&name(n), "ecg", self.sent, &self.sent.to_string());
        }
        self.sent += 1;
        self.lab.tick();
    }

    fn run(&mut self, ms: u64) {
        (0..ms / TICK_MS).for_each(|_| self.tick());
    }

    fn levels(&self) -> BTreeMap<String, Level> {
        (0..SENSORS).map(|n| (name(n), self.lab.level(&name(n)))).collect()
    }

    /// What everyone got since last asked.
    fn take(&mut self) -> Vec<Vec<Received>> {
        self.viewers.iter().map(|viewer| self.lab.take(*viewer)).collect()
    }
}

/// The longest silence of any stream, and that no slice repeats or skips a sample.
fn longest_gap_ms(received: &[Received]) -> u64 {
    let mut last: BTreeMap<&str, &Received> = BTreeMap::new();
    let mut longest = 0;
    for slice in received {
        if let Some(before) = last.insert(&slice.sensor, slice) {
            assert_eq!(slice.from - slice.missed, before.to, "{slice:?}");
            assert_eq!(slice.missed, 0, "{slice:?}");
            longest = longest.max(slice.at_ms - before.at_ms);
        }
    }
    longest
}

fn values(received: &[Received], sensor: &str) -> Vec<String> {
    let of = received.iter().filter(|slice| slice.sensor == sensor);
    of.flat_map(|slice| slice.samples.iter().map(|(_, json)| json.clone())).collect()
}

/// The seed's appendix A, scenario 1.
#[test]
fn attention_that_panics_three_times_forgets_no_level_and_holds_up_no_stream() {
    for system in ["gather_claims", "rest_cursors", "derive_levels"] {
        let mut crowd = Crowd::new(1);
        crowd.run(1000);
        let before = crowd.levels();
        assert_eq!(before[&name(7)], Level::High);
        for _ in 0..3 {
            crowd.faults.set(system, panic(1)).unwrap();
            // With something to do in that very tick.
            crowd.lab.attend(
                crowd.viewers[3],
                Attention { hovered: vec![target(&name(2))], ..Attention::default() },
            );
            crowd.tick();
            assert_eq!(crowd.lab.level(&name(2)), Level::High, "{system}: heard all the same");
            crowd.run(400);
            crowd.lab.attend(crowd.viewers[3], Attention::default());
            crowd.run(400);
        }
        assert_eq!(crowd.levels(), before, "{system}");
        assert_eq!(crowd.lab.restarts(system), 3, "told once each");
        let sent = crowd.sent as usize;
        for (n, received) in crowd.take().iter().enumerate().take(4) {
            let gap = longest_gap_ms(received);
            assert!(gap <= 2 * FLUSH_MS, "{system}, viewer {n}: {gap} ms");
        }
        crowd.lab.settle();
        let kept = crowd.lab.audit().lens;
        assert_eq!(kept.dropped(Reason::Fault), 0, "{system} lost nothing of {sent} ticks");
    }
}

/// The seed's appendix A, scenario 2: there all pages fell silent until they were loaded again.
#[test]
fn when_routing_panics_everyone_is_served_with_the_next_flush_and_misses_nothing() {
    for system in ["choose_slices", "cut_slices"] {
        let mut crowd = Crowd::new(1);
        crowd.run(1000);
        let twin = {
            let mut twin = Crowd::new(1);
            twin.run(1000);
            twin.run(600);
            twin.lab.settle();
            twin.take()
        };
        // At a flush of everyone, and in the ticks right after.
        while !(crowd.lab.now_ms() + TICK_MS).is_multiple_of(800) {
            crowd.tick();
        }
        crowd.faults.set(system, panic(3)).unwrap();
        while crowd.sent < 400 {
            crowd.tick();
        }
        crowd.lab.settle();
        assert_eq!(crowd.lab.restarts(system), 3);
        let audit = crowd.lab.audit();
        assert_eq!(audit.lens.dropped(Reason::Fault), 0);
        let received = crowd.take();
        for viewer in [0, 1, 3] {
            assert!(longest_gap_ms(&received[viewer]) <= 2 * FLUSH_MS, "{system} {viewer}");
            for n in 0..3 {
                let (ours, theirs) =
                    (values(&received[viewer], &name(n)), values(&twin[viewer], &name(n)));
                assert_eq!(ours, theirs, "{system}: all of it, once, in order");
            }
        }
    }
}

#[test]
fn a_viewer_over_which_routing_panics_is_let_go_the_second_time_and_nobody_else_notices() {
    for point in ["choose_slices.viewer", "cut_slices.viewer"] {
        let play = |poisoned: bool| {
            let mut crowd = Crowd::new(1);
            crowd.run(500);
            let key = Some(crowd.viewers[1].0.slot.into());
            if poisoned {
                let always = Point { action: Action::Panic, key, ..Point::default() };
                crowd.faults.set(point, always).unwrap();
            }
            crowd.run(1000);
            crowd
        };
        let (mut sick, mut well) = (play(true), play(false));
        let gone = sick.viewers[1];
        let closed = |notice: &&Notice| matches!(notice, Notice::ViewerClosed { .. });
        let closed: Vec<&Notice> = sick.lab.notices.iter().filter(closed).collect();
        assert!(
            matches!(closed[..], [Notice::ViewerClosed { viewer, why: ViewerEnd::Fault }] if *viewer == gone),
            "{point}: {closed:?}"
        );
        assert_eq!(sick.lab.restarts(point.split_once('.').unwrap().0), 2);
        let (sick, well) = (sick.take(), well.take());
        for viewer in [0, 2, 3, 4] {
            let but_seeds = |list: &[Received]| -> Vec<_> {
                let live = list.iter().filter(|slice| slice.form != Form::Seed);
                live.map(|s| (s.at_ms, s.sensor.clone(), s.from, s.to, s.missed)).collect()
            };
            assert_eq!(but_seeds(&sick[viewer]), but_seeds(&well[viewer]), "{point}: {viewer}");
        }
    }
}

/// Enough samples in one tick that they are written in parallel.
fn flood(threads: usize, poison: Option<u64>) -> (Lab, Vec<Received>) {
    const WIDE: usize = 600;
    let (mut lab, faults) = Lab::faulty(EngineConfig { threads, ..EngineConfig::default() });
    let viewer = lab.watch_all(Quality::High);
    let feeds: Vec<_> = (0..WIDE)
        .map(|n| {
            let feed = lab.join(&format!("s{n:03}"));
            lab.send(&format!("s{n:03}"), "ecg", 0, "0");
            feed
        })
        .collect();
    lab.run(40);
    if let Some(stream) = poison {
        let point = Point { action: Action::Panic, key: Some(stream), ..Point::default() };
        faults.set("fill_rings.sample", point).unwrap();
    }
    for time in 1..=20 {
        for round in 0..4 {
            for feed in &feeds {
                let value = Payload::Scalar(Cell(f64::from(time * 4 + round).to_bits()));
                lab.sample(*feed, 0, i64::from(time), value);
            }
        }
        lab.tick();
    }
    lab.settle();
    let received = lab.take(viewer);
    (lab, received)
}

#[test]
fn a_panic_in_a_parallel_chunk_loses_the_stream_it_was_about_and_no_other_sample() {
    // The stream of s299, in the midst of a chunk.
    let (mut one, received) = flood(1, Some(300));
    let (four, _) = flood(4, Some(300));
    assert_eq!(one.hash.value(), four.hash.value(), "on any number of threads alike");
    let (_, whole) = flood(1, None);
    for n in [0, 255, 256, 298, 300, 599] {
        let sensor = format!("s{n:03}");
        assert_eq!(values(&received, &sensor), values(&whole, &sensor), "{sensor}");
    }
    assert_eq!(values(&received, "s299"), ["0"], "what it had before");
    assert_eq!(one.restarts("fill_rings"), 2, "then the attribute is given up");
    let gone = one.notices.iter().any(|notice| {
        matches!(notice, Notice::AttributeGone { sensor_id, .. } if &**sensor_id == "s299")
    });
    assert!(gone);
    let store = one.audit().store;
    assert_eq!(store.dropped(Reason::Fault), 8, "two ticks of four");
    assert_eq!(store.dropped(Reason::UnknownFeed), 18 * 4, "what it sent of it later");
}

#[test]
fn a_batch_that_is_lost_as_a_whole_is_counted() {
    let mut crowd = Crowd::new(1);
    crowd.run(500);
    crowd.faults.set("fill_rings", panic(1)).unwrap();
    crowd.run(500);
    let store = crowd.lab.audit().store;
    assert_eq!(store.dropped(Reason::Fault), SENSORS as u64);
    assert_eq!(store.received, 250 * SENSORS as u64);
}

#[test]
fn a_command_over_which_it_panics_is_lost_alone_and_whoever_gave_it_hears_of_it() {
    let (mut lab, faults) = Lab::faulty(EngineConfig::default());
    let third = |lab: &mut Lab| {
        faults
            .set("apply_commands.command", Point { key: Some(2), ..panic(1) })
            .expect("it is a point");
        lab.tick();
    };
    let feeds = ["a", "b", "c", "d"].map(|sensor| lab.join(sensor));
    third(&mut lab);
    let opened = |lab: &Lab, feed| {
        lab.notices.iter().any(|n| matches!(n, Notice::FeedOpened { feed: f, .. } if *f == feed))
    };
    assert_eq!(feeds.map(|feed| opened(&lab, feed)), [true, true, false, true]);
    assert!(lab.notices.iter().any(|notice| {
        matches!(notice, Notice::FeedRefused { feed, refusal: Refusal::Fault } if *feed == feeds[2])
    }));

    let viewers = [(); 4].map(|()| lab.watch(&["a", "b"], Quality::High));
    third(&mut lab);
    let gone = |lab: &Lab| -> Vec<ViewerId> {
        let closed = lab.notices.iter().filter_map(|notice| match notice {
            Notice::ViewerClosed { viewer, why: ViewerEnd::Fault } => Some(*viewer),
            _ => None,
        });
        closed.collect()
    };
    assert_eq!(gone(&lab), [viewers[2]]);

    lab.attend(viewers[0], visible(&["b"]));
    lab.attend(viewers[1], visible(&["b"]));
    lab.attend(viewers[3], visible(&["b"]));
    lab.load(LoadLevel::High);
    third(&mut lab);
    assert_eq!(gone(&lab), [viewers[2], viewers[3]], "its words and its world would differ");
    assert_eq!(lab.level("b"), Level::Medium);
    assert_eq!(lab.level("a"), Level::None);
    assert_eq!(
        lab.pacing(feeds[0]).unwrap().load.level,
        LoadLevel::High,
        "the next one is applied"
    );

    lab.load(LoadLevel::Normal);
    lab.load(LoadLevel::Normal);
    lab.leave("a");
    third(&mut lab);
    let closed = |n: &Notice| matches!(n, Notice::FeedClosed { feed } if *feed == feeds[0]);
    assert!(lab.notices.iter().any(closed), "a device that left is gone, at once if need be");
}

#[test]
fn commands_that_were_not_come_to_are_applied_in_the_same_tick() {
    let (mut lab, faults) = Lab::faulty(EngineConfig::default());
    faults.set("apply_commands", panic(1)).unwrap();
    lab.join("a");
    lab.send("a", "ecg", 1, "1");
    let viewer = lab.watch(&["a"], Quality::High);
    lab.run(40);
    assert_eq!(lab.restarts("apply_commands"), 1);
    assert_eq!(lab.take_values(viewer, "a", "ecg"), ["1"]);
}

/// No system of the spine can be missing, and no other is missed by a viewer.
#[test]
fn a_system_that_is_switched_off_is_missed_by_nobody_and_comes_back() {
    let mut tried = 0;
    for duty in TABLE {
        let Beyond::Without(lost) = duty.beyond else { continue };
        tried += 1;
        let play = |broken: bool| {
            let mut crowd = Crowd::new(1);
            crowd.run(500);
            if broken {
                crowd.faults.set(duty.system, panic(duty.intensity.panics as u64 + 1)).unwrap();
            }
            crowd.run(1000);
            // New words, while it is off.
            crowd.lab.attend(crowd.viewers[3], visible(&["person01"]));
            crowd.lab.load(LoadLevel::Elevated);
            crowd.run(500);
            // A recording begins: what is owed is owed still.
            crowd.lab.be_reborn();
            crowd.run(500);
            crowd
        };
        let (mut sick, mut well) = (play(true), play(false));
        let state = sick.lab.engine.report().health;
        let health = state.iter().find(|health| health.system == duty.system).unwrap();
        assert_eq!(health.lost, lost);
        assert_eq!(health.panics, duty.intensity.panics as u64 + 1);
        assert!(health.off.is_some(), "{}", duty.system);
        assert!(health.message.as_ref().unwrap().contains(duty.system));
        let served = |crowd: &mut Crowd| -> Vec<Vec<_>> {
            let slices = |list: Vec<Received>| {
                let live = list.into_iter().filter(|slice| slice.form != Form::Seed);
                live.map(|s| (s.sensor, s.from, s.to, s.missed, s.samples)).collect()
            };
            crowd.take().into_iter().map(slices).collect()
        };
        assert_eq!(served(&mut sick), served(&mut well), "{}", duty.system);

        sick.run(PAUSE_MS_MIN);
        let back = |n: &Notice| matches!(n, Notice::SystemOn { system } if *system == duty.system);
        assert_eq!(sick.lab.notices.iter().filter(|n| back(n)).count(), 1);
        let levels = sick.levels();
        well.run(PAUSE_MS_MIN);
        assert_eq!(levels, well.levels(), "what it owed is told");
        let feed = sick.lab.feed("person01");
        assert_eq!(sick.lab.pacing(feed), well.lab.pacing(feed));
        // Every system took part in every tick, or was left out of it on purpose.
        let ticks = sick.lab.engine.report().tick;
        for health in sick.lab.engine.report().health {
            assert_eq!(health.runs + health.skips, ticks, "{}", health.system);
            assert_eq!(health.skips > 0, health.system == duty.system, "{}", health.system);
        }
    }
    assert!(tried >= 2);
}

#[test]
fn without_its_spine_the_engine_ends_and_says_why() {
    for duty in TABLE {
        let Beyond::End(otherwise) = duty.beyond else { continue };
        let mut crowd = Crowd::new(1);
        crowd.run(100);
        crowd.faults.set(duty.system, panic(duty.intensity.panics as u64)).unwrap();
        crowd.run(1000);
        crowd.faults.set(duty.system, panic(1)).unwrap();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crowd.run(1000)));
        let words = ended.unwrap_err().downcast::<String>().unwrap();
        let expected = format!(
            "{} has panicked 6 times in 10 s; without it {otherwise}. The last time it said: \
             failpoint {}",
            duty.system, duty.system
        );
        assert_eq!(*words, expected);
    }
}

#[test]
fn the_same_panics_over_a_longer_time_end_nothing() {
    let mut crowd = Crowd::new(1);
    for _ in 0..12 {
        crowd.faults.set("cut_slices", panic(1)).unwrap();
        crowd.run(2100);
    }
    assert_eq!(crowd.lab.restarts("cut_slices"), 12);
    assert!(crowd.lab.engine.report().health.iter().all(|health| health.off.is_none()));
}

/// Whatever panics, wherever, in a world in which everything happens: the books balance after
/// every tick, and when everyone has left nothing is left.
#[test]
fn after_any_panic_the_books_balance_and_nothing_is_left_behind() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let threads = if seed % 8 == 0 { 2 } else { 1 };
        let (mut lab, faults) = Lab::faulty(EngineConfig { threads, ..EngineConfig::default() });
        let points: Vec<&str> = engine::fault_points().collect();
        let mut viewers: Vec<ViewerId> = Vec::new();
        let mut panics = 0;
        for step in 0..400 {
            for n in 0..8 {
                let sensor = name(n);
                let there = lab.find_feed(&sensor).is_some();
                match (there, dice.roll(40)) {
                    (false, 0..4) => drop(lab.join(&sensor)),
                    (true, 0) => lab.leave(&sensor),
                    (true, 1) => lab.retire(&sensor),
                    (true, 2) => {
                        let feed = lab.feed(&sensor);
                        lab.command(Command::ForgetAttribute { feed, attribute_id: "ecg".into() });
                    }
                    (true, 3..20) => lab.send(&sensor, "ecg", step, &step.to_string()),
                    (true, 20..24) => lab.send(&sensor, "status", step, "{\"a\":\"long enough\"}"),
                    _ => {}
                }
            }
            let some = [name(dice.roll(8)), name(dice.roll(8))];
            let some = [some[0].as_str(), some[1].as_str()];
            let quality = Quality::ALL[dice.roll(Quality::ALL.len())];
            if viewers.len() < 6 && dice.roll(10) == 0 {
                viewers.push(match dice.roll(2) {
                    0 => lab.watch_all(quality),
                    _ => lab.watch(&some, quality),
                });
            }
            if let Some(&viewer) = viewers.get(dice.roll(12)) {
                match dice.roll(6) {
                    0 => lab.command(Command::SetQuality { viewer, quality: quality.into() }),
                    1 => lab.attend(viewer, visible(&some)),
                    2 => lab.attend(
                        viewer,
                        Attention { pinned: vec![target(some[0])], hidden: true, ..visible(&[]) },
                    ),
                    3 => lab.busy(&[viewer]),
                    4 => lab.load(LoadLevel::ALL[dice.roll(4)]),
                    _ if dice.roll(3) == 0 => {
                        viewers.retain(|open| *open != viewer);
                        lab.command(Command::CloseViewer { viewer });
                    }
                    _ => {}
                }
            }
            // Never more than any budget.
            if dice.roll(12) == 0 {
                let point = points[dice.roll(points.len())];
                let system = point.split_once('.').map_or(point, |(system, _)| system);
                let now = lab.engine.report().health;
                let health = now.iter().find(|health| health.system == system).unwrap();
                if health.panics < 5 {
                    faults.set(point, panic(1)).unwrap();
                }
            }
            lab.run(12);
            lab.pass(48);
            for notice in lab.notices.drain(..) {
                match notice {
                    Notice::ViewerClosed { viewer, .. } => viewers.retain(|open| *open != viewer),
                    Notice::SystemRestarted { .. } => panics += 1,
                    _ => {}
                }
            }
            for point in &points {
                faults.set(point, Point::default()).unwrap();
            }
        }
        assert!(panics > 8, "seed {seed}: {panics} panics");
        for viewer in viewers {
            lab.command(Command::CloseViewer { viewer });
        }
        for n in 0..8 {
            if lab.find_feed(&name(n)).is_some() {
                lab.leave(&name(n));
            }
        }
        lab.pass(6_000);
        lab.tick();
        let report = lab.engine.report();
        assert_eq!(
            (report.sensor_count, report.viewer_count, report.ring_bytes, lab.handle_count()),
            (0, 0, 0, 0),
            "seed {seed}"
        );
    }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % sides as u64) as usize
    }
}

#[test]
fn the_table_has_every_system_once_in_the_order_in_which_they_run() {
    let lab = Lab::new();
    let run: Vec<&str> = lab.engine.report().systems.iter().map(|(name, _)| *name).collect();
    let declared: Vec<&str> = TABLE.iter().map(|duty| duty.system).collect();
    assert_eq!(run, declared);
    for duty in TABLE {
        for user in duty.used_by {
            assert!(declared.contains(user), "{} is used by {user}, which is none", duty.system);
        }
    }
}

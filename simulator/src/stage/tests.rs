//! The stage before a real engine, on made-up time.

use std::collections::BTreeMap;

use components::command::SensorCard;
use components::id::Handles;
use components::sample::EngineTime;
use engine::{Engine, EngineConfig};

use super::*;

const START_MS: i64 = 1_790_000_000_000;

/// A stage, an engine, and a desk that gives out feeds.
struct Theatre {
    stage: Stage,
    engine: Engine,
    handles: Handles,
    feed_count_max: usize,
    /// Wall clock, and the engine's time, which never goes back.
    now: i64,
    ticks: u64,
    /// Sensors the engine has, as its notices say.
    present: BTreeMap<Arc<str>, FeedId>,
    feeds: HashMap<FeedId, Arc<str>>,
    /// Stamps by sensor and attribute, since they were last taken.
    stamps: BTreeMap<(Arc<str>, u16), Vec<i64>>,
    /// Of the last step.
    commands: Vec<Command>,
    samples_last: usize,
    planted: Vec<Command>,
}

impl Theatre {
    fn new() -> Self {
        Self {
            stage: Stage::default(),
            engine: Engine::new(EngineConfig::default()),
            handles: Handles::default(),
            feed_count_max: 1_000_000,
            now: START_MS,
            ticks: 0,
            present: BTreeMap::new(),
            feeds: HashMap::new(),
            stamps: BTreeMap::new(),
            commands: Vec::new(),
            samples_last: 0,
            planted: Vec::new(),
        }
    }

    fn prepare(&self, name: &str, seed: u64, speed: f64) -> Box<Prepared> {
        let scenario = Scenario::named(name, None).unwrap();
        Box::new(Prepared::scenario(&scenario, seed, speed).unwrap())
    }

    fn start(&mut self, name: &str) -> Result<Running, StageError> {
        self.start_at(name, 1.0)
    }

    /// The people of a shipped scenario by another name.
    fn start_copy(&mut self, of: &str, name: &str) -> Result<Running, StageError> {
        let text = Scenario::named(of, None).unwrap().text().to_owned();
        let scenario = Scenario::parse_toml(&format!("{name}.toml"), &text).unwrap();
        let prepared = Box::new(Prepared::scenario(&scenario, 1, 1.0).unwrap());
        self.stage.start(prepared, Timestamp(self.now)).map_err(|(error, _)| error)
    }

    fn start_at(&mut self, name: &str, speed: f64) -> Result<Running, StageError> {
        let prepared = self.prepare(name, 1, speed);
        self.stage.start(prepared, Timestamp(self.now)).map_err(|(error, _)| error)
    }

    /// One tick, `ms` after the last one.
    fn step(&mut self, ms: i64) {
        self.now += ms;
        self.ticks += 1;
        let mut inputs =
            Inputs { commands: std::mem::take(&mut self.planted), ..Inputs::default() };
        let (handles, limit) = (&mut self.handles, self.feed_count_max);
        let mut take_feed = || handles.take(limit).map(FeedId);
        self.stage.advance(Timestamp(self.now), &mut take_feed, &mut inputs);
        for command in &inputs.commands {
            if let Command::OpenFeed { feed, card, .. } = command {
                self.feeds.insert(*feed, Arc::clone(&card.sensor_id));
            }
        }
        self.samples_last = inputs.samples.len();
        for index in 0..inputs.samples.len() {
            let (feed, attribute, at, _) = inputs.samples.get(index);
            let sensor = Arc::clone(&self.feeds[&feed]);
            self.stamps.entry((sensor, attribute)).or_default().push(at.0);
        }
        self.commands.clone_from(&inputs.commands);
        let time = EngineTime(self.ticks * 4_000);
        let notices = self.engine.tick(time, &mut inputs).notices.clone();
        for notice in &notices {
            match notice {
                Notice::FeedOpened { feed, .. } => {
                    self.present.insert(Arc::clone(&self.feeds[feed]), *feed);
                }
                Notice::FeedClosed { feed } | Notice::FeedRefused { feed, .. } => {
                    self.handles.give_back(feed.0);
                }
                Notice::SensorGone { sensor_id } => {
                    self.present.remove(sensor_id);
                }
                _ => {}
            }
        }
        self.stage.hear(&notices);
    }

    fn run(&mut self, ms: i64) {
        (0..ms / 4).for_each(|_| self.step(4));
    }

    fn sample_count(&mut self) -> usize {
        std::mem::take(&mut self.stamps).values().map(Vec::len).sum()
    }

    fn ids(&self) -> Vec<(String, &'static str)> {
        self.stage.status().iter().map(|r| (r.id.to_string(), r.condition.name())).collect()
    }

    fn retired(&self) -> usize {
        self.commands.iter().filter(|c| matches!(c, Command::Retire { .. })).count()
    }
}

fn card(sensor_id: &str) -> Box<SensorCard> {
    Box::new(SensorCard { sensor_id: sensor_id.into(), ..SensorCard::default() })
}

#[test]
fn a_second_act_leaves_the_first_on_the_list_and_stopping_it_leaves_the_first_alone() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.start("hundred").unwrap();
    t.run(1000);
    assert_eq!(t.ids(), [("few".into(), "running"), ("hundred".into(), "running")]);
    let live: Vec<_> = t.stage.status().iter().map(|r| (r.sensors, r.sensors_live)).collect();
    assert_eq!(live, [(32, 32), (300, 300)]);
    assert_eq!(t.present.len(), 332);

    t.stage.stop("hundred", Timestamp(t.now)).unwrap();
    assert_eq!(t.ids()[1].1, "stopping");
    t.run(8);
    assert_eq!(t.ids(), [("few".into(), "running")]);
    assert_eq!(t.present.len(), 32);
    let ended = t.stage.take_ended();
    assert_eq!((&*ended[0].id, ended[0].took_ms, ended[0].left.len()), ("hundred", 8, 0));
    t.sample_count();
    t.run(1000);
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 250, "few goes on");
}

#[test]
fn pausing_and_resuming_in_any_order_never_changes_the_rate() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.run(200);
    t.sample_count();
    for _ in 0..5 {
        for order in ["resume", "pause", "resume", "resume", "pause", "pause", "resume"] {
            let now = Timestamp(t.now);
            let done = if order == "pause" { Stage::pause } else { Stage::resume };
            done(&mut t.stage, "few", now).unwrap();
        }
        t.run(200);
    }
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 250, "250 in one second, as ever");

    t.stage.pause("few", Timestamp(t.now)).unwrap();
    t.sample_count();
    t.run(60_000);
    assert_eq!(t.sample_count(), 0, "its time stands still");
    assert_eq!((t.ids()[0].1, t.present.len()), ("paused", 32), "and its sensors stay");
    let shown = t.stage.status()[0].stamped_at.0;
    t.stage.resume("few", Timestamp(t.now)).unwrap();
    t.run(1000);
    let stamps = &t.stamps[&("ada:ecg".into(), 0)];
    assert_eq!(stamps.len(), 250, "what was not measured is not made up for");
    assert!((1..=4).contains(&(stamps[0] - shown)), "it goes on where it stood");
    assert_eq!(t.stage.status()[0].skipped_ms, 0);
}

#[test]
fn stamps_are_of_the_acts_own_time_at_any_speed() {
    for (speed, own_s) in [(0.1, 1), (1.0, 10), (10.0, 100), (100.0, 1000)] {
        let mut t = Theatre::new();
        let began = t.start_at("few", speed).unwrap().stamped_at.0;
        t.run(10_000);
        let stamps = &t.stamps[&("ada:ecg".into(), 0)];
        let fewer = 250 * own_s - stamps.len() as i64;
        assert!((0..=1).contains(&fewer), "{speed}: {}", stamps.len());
        assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] == 4), "4 ms apart, at {speed}");
        let status = &t.stage.status()[0];
        assert_eq!((status.position_ms, status.skipped_ms), (own_s * 1000, 0));
        assert_eq!(status.stamped_at.0, began + own_s * 1000);
    }
}

#[test]
fn a_speed_changes_what_is_to_come_and_not_what_was() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.run(2000);
    t.stage.set_speed("few", 20.0, Timestamp(t.now)).unwrap();
    t.run(2000);
    t.stage.set_speed("few", 0.5, Timestamp(t.now)).unwrap();
    t.run(2000);
    assert_eq!(t.stage.status()[0].position_ms, 2000 + 40_000 + 1000);
    let stamps = &t.stamps[&("ada:ecg".into(), 0)];
    assert!(stamps.windows(2).all(|pair| pair[1] - pair[0] == 4));
    for speed in [0.0, 0.09, 100.1, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            t.stage.set_speed("few", speed, Timestamp(t.now)).unwrap_err(),
            StageError::Speed
        );
    }
}

#[test]
fn a_wall_clock_that_is_set_back_stops_nothing() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.run(1000);
    t.sample_count();
    t.step(-3_600_000);
    t.run(1000);
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 250);
    assert_eq!(t.stage.status()[0].position_ms, 2000);
    assert!(t.stage.health().checked_at.is_some(), "the next check does not wait for an hour");
}

#[test]
fn an_act_that_is_too_far_behind_skips_and_says_so() {
    let mut t = Theatre::new();
    t.start_at("few", 10.0).unwrap();
    t.run(100);
    t.sample_count();
    t.step(200);
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 500, "2 s of its time are made up for");
    t.step(60_000);
    assert_eq!(t.stage.status()[0].skipped_ms, 599_000);
    assert_eq!(t.stage.status()[0].position_ms, 603_000);
}

#[test]
fn no_step_has_more_samples_than_it_may() {
    let mut t = Theatre::new();
    t.start_at("crowd", 100.0).unwrap();
    t.run(200);
    let mut most = 0;
    for _ in 0..50 {
        t.step(20);
        most = most.max(t.samples_last);
    }
    assert!(most > STEP_SAMPLE_COUNT_MAX / 2, "it is under load: {most}");
    assert!(most <= STEP_SAMPLE_COUNT_MAX + 2000, "{most}");
    assert!(t.stage.status()[0].skipped_ms > 0, "and what does not fit is counted");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut t = Theatre::new();
    t.start("hundred").unwrap();
    t.run(20);
    let refused = t.start("hundred").unwrap_err();
    assert_eq!(refused, StageError::AlreadyRunning { id: "hundred".into() });
    let refused = t.start_copy("hundred", "again").unwrap_err();
    let StageError::SensorClash { sensor_id, owner } = &refused else { panic!("{refused:?}") };
    assert!(t.present.contains_key(sensor_id) && &**owner == "hundred", "{refused}");

    let now = Timestamp(t.now);
    let refused = t.stage.stop("hundert", now).unwrap_err();
    assert_eq!(refused.to_string(), "`hundert` is not running; did you mean `hundred`?");
    assert_eq!(refused.code(), "not_running");
    let refused = t.stage.pause("few", now).unwrap_err();
    assert_eq!(refused.to_string(), "`few` is not running; there is hundred");
    let refused = t.stage.lend("hundred").unwrap_err();
    assert_eq!(refused.code(), "not_a_replay");
    assert_eq!(t.ids(), [("hundred".into(), "running")]);

    t.stage.stop("hundred", now).unwrap();
    assert_eq!(t.stage.stop("hundred", now).unwrap_err().code(), "not_running");
    t.run(8);
    let refused = t.stage.resume("few", now).unwrap_err();
    assert_eq!(refused.to_string(), "`few` is not running; nothing is");
    t.start_copy("hundred", "again").unwrap();
}

#[test]
fn a_switch_brings_one_on_when_all_others_are_gone() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.start("hundred").unwrap();
    t.run(100);
    let crowd = t.prepare("crowd", 1, 1.0);
    t.stage.switch(crowd, Timestamp(t.now)).unwrap();
    let refused = t.start("none").unwrap_err();
    assert_eq!(refused, StageError::Switching);
    assert!(t.stage.take_switched().is_none());
    t.step(4);
    assert_eq!((t.ids().len(), t.present.len()), (2, 0), "all are gone before the next comes");
    t.step(4);
    let came = t.stage.take_switched().unwrap().unwrap();
    assert_eq!(&*came.id, "crowd");
    assert_eq!(t.stage.take_ended().len(), 2);
    assert_eq!(t.ids(), [("crowd".into(), "running")]);
    t.run(100);
    assert_eq!(t.present.len(), 900);
    // To the same again, by other people.
    let crowd = t.prepare("crowd", 2, 1.0);
    t.stage.switch(crowd, Timestamp(t.now)).unwrap();
    t.run(100);
    assert_eq!((t.stage.status()[0].seed, t.present.len()), (Some(2), 900));
}

#[test]
fn many_leave_in_portions() {
    let mut t = Theatre::new();
    t.start("crowd").unwrap();
    t.start("few").unwrap();
    t.run(100);
    assert_eq!(t.present.len(), 932);
    t.stage.stop_all(Timestamp(t.now));
    t.step(4);
    assert_eq!(t.retired(), 932);
    assert!(t.retired() <= RETIRE_COUNT_MAX);
    t.step(4);
    assert_eq!(t.ids(), []);
    assert_eq!(t.handles.count(), 0, "every feed is back");
}

#[test]
fn a_sensor_that_another_feeds_too_is_told_as_left() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.run(100);
    let feed = FeedId(t.handles.take(1_000_000).unwrap());
    t.planted.push(Command::OpenFeed { feed, card: card("ada:ecg"), owner: OWNER.into() });
    t.step(4);
    t.stage.stop("few", Timestamp(t.now)).unwrap();
    t.run(8);
    let ended = t.stage.take_ended();
    assert_eq!(ended[0].left, ["ada:ecg".into()]);
    assert_eq!(t.present.len(), 1);
}

#[test]
fn a_hundred_checks_change_nothing_of_what_runs() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.start("hundred").unwrap();
    t.run(1000);
    let before = t.present.clone();
    t.stage.pause("hundred", Timestamp(t.now)).unwrap();
    for _ in 0..100 {
        t.stage.check_soon();
        t.step(4);
        assert!(t.commands.is_empty(), "{:?}", t.commands);
        let health = t.stage.health();
        assert_eq!(health.checked_at, Some(Timestamp(t.now)));
        assert!(health.is_ok() && health.repaired == 0, "{health:?}");
    }
    assert_eq!(t.present, before, "the same sensors, by the same feeds");
    assert_eq!(t.ids(), [("few".into(), "running"), ("hundred".into(), "paused")]);
    t.sample_count();
    t.run(1000);
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 250);
}

#[test]
fn a_check_is_due_every_thirty_seconds() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    let mut checked = Vec::new();
    for _ in 0..91_000 / 4 {
        t.step(4);
        checked.extend(t.stage.health().checked_at.map(|at| (at.0 - START_MS) / 1000));
    }
    checked.dedup();
    assert_eq!(checked, [30, 60, 90]);
}

#[test]
fn a_check_while_an_act_begins_finds_nothing_missing() {
    let mut t = Theatre::new();
    t.start("crowd").unwrap();
    for _ in 0..20 {
        t.stage.check_soon();
        t.step(4);
        assert!(t.stage.health().is_ok(), "{:?}", t.stage.health());
    }
    t.stage.stop("crowd", Timestamp(t.now)).unwrap();
    for _ in 0..5 {
        t.stage.check_soon();
        t.step(4);
        assert!(t.stage.health().is_ok(), "nor while it ends: {:?}", t.stage.health());
    }
    assert_eq!(t.present.len(), 0);
}

#[test]
fn a_planted_orphan_is_found_named_and_sent_away() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    let feed = FeedId(t.handles.take(1_000_000).unwrap());
    t.planted.push(Command::OpenFeed { feed, card: card("ghost:ecg"), owner: OWNER.into() });
    let device = FeedId(t.handles.take(1_000_000).unwrap());
    t.planted.push(Command::OpenFeed {
        feed: device,
        card: card("sim:of-somebody-else"),
        owner: "ann".into(),
    });
    t.run(29_000);
    assert_eq!(t.present.len(), 34);
    t.run(1004);
    let health = t.stage.health();
    assert_eq!((health.orphan_count, &health.orphans[..]), (1, &["ghost:ecg".into()][..]));
    assert!(!health.is_ok());
    assert!(!t.present.contains_key("ghost:ecg"));
    assert_eq!(t.present.len(), 33, "few, and the sensor of a real device");
    t.run(30_000);
    assert!(t.stage.health().is_ok(), "{:?}", t.stage.health());
}

#[test]
fn a_planted_loss_is_found_and_repaired() {
    let mut t = Theatre::new();
    t.start("few").unwrap();
    t.run(1000);
    let feed = t.present["ada:ecg"];
    t.planted.push(Command::Retire { feed });
    t.run(1000);
    assert_eq!(t.stage.status()[0].sensors_live, 31);
    t.sample_count();
    t.run(1000);
    assert!(!t.stamps.contains_key(&("ada:ecg".into(), 0)), "it is silent");
    t.run(27_004);
    let health = t.stage.health();
    let missing = Missing { sensor_id: "ada:ecg".into(), act: "few".into(), why: Why::Closed };
    assert_eq!((health.missing_count, &health.missing[..]), (1, &[missing][..]));
    assert_eq!((health.repaired, t.stage.status()[0].sensors_live), (1, 32));
    t.sample_count();
    t.run(1000);
    assert_eq!(t.stamps[&("ada:ecg".into(), 0)].len(), 250);
    t.run(29_000);
    assert!(t.stage.health().is_ok());
}

#[test]
fn a_sensor_that_a_device_owns_is_missing_until_the_device_leaves() {
    let mut t = Theatre::new();
    let device = FeedId(t.handles.take(1_000_000).unwrap());
    t.planted.push(Command::OpenFeed { feed: device, card: card("ada:ecg"), owner: "ann".into() });
    t.step(4);
    t.start("few").unwrap();
    t.run(30_004);
    assert_eq!(t.stage.status()[0].sensors_live, 31);
    let missing = &t.stage.health().missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].why.sentence(), "a device of another account owns this sensor id");
    assert_eq!(t.present["ada:ecg"], device, "it is the device's");
    t.planted.push(Command::Retire { feed: device });
    t.run(60_000);
    assert_eq!(t.stage.status()[0].sensors_live, 32);
    assert_eq!(t.stage.health().repaired, 1);
    assert!(t.stage.health().is_ok());
}

#[test]
fn sensors_without_a_feed_are_missing_until_there_are_more() {
    let mut t = Theatre::new();
    t.feed_count_max = 30;
    t.start("few").unwrap();
    t.run(30_004);
    let health = t.stage.health();
    assert_eq!((health.missing_count, health.missing[0].why), (2, Why::NoFeed));
    t.feed_count_max = 32;
    t.run(30_000);
    assert!(t.stage.health().is_ok());
    assert_eq!((t.stage.health().repaired, t.present.len()), (2, 32));
}

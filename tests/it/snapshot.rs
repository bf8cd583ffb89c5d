//! A world that is made again from its bytes goes on as if nothing had happened.

use std::collections::BTreeMap;

use components::attention::Battery;
use components::attribute::AttributeType;
use components::command::{Attention, Command, SensorCard, SensorSet, Target};
use components::id::{FeedId, Handle, ViewerId};
use components::load::{Load, LoadLevel};
use components::sample::{Payload, Timestamp};
use components::viewer::{Quality, QualityChoice};
use engine::{Engine, EngineConfig, EngineTime, Inputs, Settings, SnapshotError};
use proptest::prelude::*;
use simulator::recording::Hash;
use tests::{Lab, Received, attribute_target, target, visible};

/// Chance as data (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn sensor(&mut self) -> String {
        format!("s{}", self.below(SENSORS))
    }

    fn sensors(&mut self) -> Vec<Box<str>> {
        (0..self.below(6)).map(|_| self.sensor().into()).collect()
    }

    fn targets(&mut self) -> Vec<Target> {
        (0..self.below(3))
            .map(|_| match self.one_in(2) {
                true => target(&self.sensor()),
                false => attribute_target(&self.sensor(), "ecg"),
            })
            .collect()
    }

    fn attention(&mut self) -> Attention {
        Attention {
            visible: self.one_in(2).then(|| self.sensors()),
            hovered: self.targets(),
            focused: self.targets(),
            pinned: self.targets(),
            hidden: self.one_in(5),
            battery: [Battery::Normal, Battery::Low, Battery::Critical][self.below(3)],
        }
    }
}

const SENSORS: usize = 12;

/// One tick in which anything may happen, the same in all the labs.
fn live(dice: &mut Dice, viewers: &mut Vec<ViewerId>, labs: &mut [Lab]) {
    let mut all = |act: &mut dyn FnMut(&mut Lab)| labs.iter_mut().for_each(act);
    for _ in 0..dice.below(4) {
        let sensor = dice.sensor();
        let choice = dice.below(12);
        let owner = if dice.one_in(8) { "eve" } else { "ada" };
        let goes = dice.one_in(3);
        all(&mut |lab| match (lab.find_feed(&sensor), choice) {
            (None, _) | (_, 0) => drop(lab.join_as(&sensor, owner)),
            (_, 1) if goes => lab.retire(&sensor),
            (_, 2) if goes => lab.leave(&sensor),
            (Some(feed), 3) if goes => {
                lab.command(Command::ForgetAttribute { feed, attribute_id: "ecg".into() });
                lab.command(Command::DeclareAttribute {
                    feed,
                    index: 0,
                    attribute_id: "ecg".into(),
                    kind: AttributeType::Ecg,
                    rate_hz: Some(250.0),
                });
            }
            (Some(feed), 4) if goes => {
                lab.command(Command::RenameConnector { feed, connector_name: "other".into() });
            }
            _ => {}
        });
    }
    for _ in 0..dice.below(40) {
        let (sensor, what, n) = (dice.sensor(), dice.below(8), dice.below(100));
        let at = n as i64 * 1000 + dice.below(7) as i64;
        all(&mut |lab| {
            if lab.find_feed(&sensor).is_some() {
                match what {
                    0 => lab.send(&sensor, "imu", at, &format!("{{\"x\":{n},\"y\":-0.5}}")),
                    1 => lab.send(&sensor, "note", at, &format!("\"{n}\"")),
                    2 => lab.send_with(&sensor, "button", at, "1", ",\"event\":\"press\""),
                    3 => lab.send(&sensor, "temperature", at, "\"warm\""),
                    4 => lab.send(&sensor, "temperature", at, &format!("{n}")),
                    _ => lab.send(&sensor, "ecg", at, &format!("{n}.25")),
                }
            }
        });
    }
    if dice.one_in(3) {
        let quality = Quality::ALL[dice.below(5)];
        let auto = QualityChoice::AutoUpTo(quality);
        let choice = if dice.one_in(2) { auto } else { QualityChoice::Fixed(quality) };
        let (sensors, attention) = (dice.sensors(), dice.attention());
        let ids: Vec<&str> = sensors.iter().map(|id| &**id).collect();
        let which = dice.below(viewers.len().max(1));
        let viewer = viewers.get(which).copied();
        match (viewer, dice.below(9)) {
            (None, _) | (_, 0) if viewers.len() < 9 => {
                let everything = dice.one_in(2);
                let mut opened = None;
                all(&mut |lab| {
                    opened = Some(match everything {
                        true => lab.watch_all(choice),
                        false => lab.watch(&ids, choice),
                    });
                });
                viewers.extend(opened);
            }
            (Some(viewer), 1) => {
                viewers.swap_remove(which);
                all(&mut |lab| lab.command(Command::CloseViewer { viewer }));
            }
            (Some(viewer), 2) => {
                all(&mut |lab| {
                    lab.command(Command::SetQuality { viewer, quality: choice });
                });
            }
            (Some(viewer), 3) => all(&mut |lab| {
                let sensors = SensorSet::Ids(sensors.clone());
                lab.command(Command::SetSensors { viewer, sensors });
            }),
            (Some(viewer), 4 | 5) => all(&mut |lab| lab.busy(&[viewer])),
            (Some(viewer), _) => all(&mut |lab| lab.attend(viewer, attention.clone())),
            (None, _) => {}
        }
    }
    if dice.one_in(60) {
        let level = LoadLevel::ALL[dice.below(4)];
        all(&mut |lab| lab.load(level));
    }
    for viewer in viewers.iter() {
        all(&mut |lab| lab.command(Command::Renew { viewer: *viewer }));
    }
    match dice.below(30) {
        0 => all(&mut |lab| lab.pass(3_000)),
        _ => all(&mut Lab::tick),
    }
}

/// What each viewer got of each stream, in order.
type Got = BTreeMap<ViewerId, BTreeMap<(String, String), Vec<Received>>>;

fn got(lab: &mut Lab) -> Got {
    let viewers: Vec<ViewerId> = lab.received.keys().copied().collect();
    let mut got = Got::new();
    for viewer in viewers {
        for slice in lab.take(viewer) {
            let stream = (slice.sensor.clone(), slice.attribute.clone());
            got.entry(viewer).or_default().entry(stream).or_default().push(slice);
        }
    }
    got
}

fn told(lab: &mut Lab) -> Vec<String> {
    let mut told: Vec<String> = lab.notices.drain(..).map(|n| format!("{n:?}")).collect();
    told.sort();
    told
}

fn roomy() -> EngineConfig {
    EngineConfig::default()
}

/// Settings under which memory is short all the time.
fn tight() -> EngineConfig {
    let settings = Settings { ring_bytes_max: 24 * 1024, ..Settings::default() };
    EngineConfig { settings, ..EngineConfig::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nobody_notices_that_the_world_was_made_again(seed: u64, ticks in 1usize..160) {
        let dice = &mut Dice::new(seed);
        let mut labs = [Lab::with(roomy()), Lab::with(roomy())];
        let mut viewers = Vec::new();
        (0..ticks).for_each(|_| live(dice, &mut viewers, &mut labs));
        let bytes = labs[0].engine.snapshot();
        let before = (labs[0].audit(), labs[0].engine.report());
        labs[0].be_reborn();
        prop_assert!(labs[0].engine.snapshot() == bytes, "a snapshot of it is the same");
        let after = (labs[0].audit(), labs[0].engine.report());
        prop_assert_eq!(before.0, after.0);
        let figures = |report: &engine::TickReport| {
            let report = report.clone();
            (report.tick, report.sensor_count, report.viewer_count, report.store, report.lens)
        };
        prop_assert_eq!(figures(&before.1), figures(&after.1));
        prop_assert!(after.1.ring_bytes <= before.1.ring_bytes);
        for _ in 0..160 {
            live(dice, &mut viewers, &mut labs);
            if dice.one_in(50) {
                labs[0].be_reborn();
            }
        }
        let [reborn, other] = &mut labs;
        prop_assert_eq!(got(reborn), got(other));
        prop_assert_eq!(told(reborn), told(other));
        prop_assert_eq!(reborn.audit(), other.audit());
        prop_assert!(!other.received.is_empty() || other.audit().lens.delivered == 0);
    }

    #[test]
    fn worlds_of_the_same_bytes_agree_to_the_bit_on_any_number_of_threads(seed: u64) {
        let dice = &mut Dice::new(seed);
        let mut labs = vec![Lab::with(tight()), Lab::with(tight()), Lab::with(tight())];
        let mut viewers = Vec::new();
        (0..100).for_each(|_| live(dice, &mut viewers, &mut labs));
        let bytes = labs[0].engine.snapshot();
        for (lab, threads) in labs.iter_mut().zip([1, 1, 2]) {
            // The settings come with the world.
            let config = EngineConfig { threads, ..roomy() };
            lab.engine = Engine::restore(config, &bytes).unwrap();
            lab.hash = Hash::default();
        }
        (0..100).for_each(|_| live(dice, &mut viewers, &mut labs));
        let snapshot = labs[0].engine.snapshot();
        for lab in &mut labs[1..] {
            prop_assert_eq!(lab.engine.snapshot() == snapshot, true);
        }
        prop_assert_eq!([labs[0].hash.value(); 2], [labs[1].hash.value(), labs[2].hash.value()]);
    }
}

#[test]
fn a_viewer_goes_on_where_it_was() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    for n in 0..300 {
        lab.send("s", "ecg", n * 4, &n.to_string());
        lab.send("s", "note", n * 4, &format!("\"{n}\""));
    }
    lab.run(64);
    let before = lab.take(viewer);
    assert_eq!(before.iter().map(|slice| slice.to).collect::<Vec<_>>(), [300, 300]);
    // Sent, but not yet delivered.
    lab.send("s", "ecg", 2000, "300");
    lab.send("s", "note", 2000, "\"300\"");
    lab.tick();
    let bytes = lab.engine.report().ring_bytes;
    lab.be_reborn();
    assert_eq!(lab.engine.report().ring_bytes, bytes);
    lab.send("s", "ecg", 2004, "301");
    lab.run(64);
    let after = lab.take(viewer);
    let ecg = after.iter().filter(|slice| slice.attribute == "ecg").collect::<Vec<_>>();
    assert_eq!((ecg[0].from, ecg.last().unwrap().to, ecg[0].missed), (300, 302, 0));
    let note: Vec<_> = after.iter().filter(|slice| slice.attribute == "note").collect();
    assert_eq!(note[0].samples, [(2000, "\"300\"".to_owned())]);
    // A newcomer gets the past from before.
    let late = lab.watch(&["s"], Quality::High);
    lab.run(64);
    let seed = lab.take(late).into_iter().find(|slice| slice.attribute == "ecg").unwrap();
    assert_eq!((seed.from, seed.samples.len()), (0, 302));
    assert_eq!(seed.samples[299], (1196, "299".into()));
}

#[test]
fn a_sensor_that_lingers_and_a_lease_that_runs_end_in_their_time() {
    let mut lab = Lab::new();
    lab.join("s");
    lab.watch(&["s"], Quality::High);
    lab.send("s", "ecg", 1, "1");
    lab.tick();
    lab.leave("s");
    lab.tick();
    lab.be_reborn();
    lab.pass(4_900);
    assert_eq!(lab.engine.report().sensor_count, 1);
    lab.pass(200);
    assert_eq!(lab.engine.report().sensor_count, 0);
    lab.be_reborn();
    lab.pass(84_000);
    assert_eq!(lab.engine.report().viewer_count, 1);
    lab.pass(2_000);
    assert_eq!(lab.engine.report().viewer_count, 0);
}

#[test]
fn a_claim_on_a_sensor_that_is_away_holds_through_it() {
    let mut lab = Lab::new();
    let viewer = lab.watch(&["a", "b"], Quality::High);
    lab.attend(viewer, Attention { focused: vec![target("b")], ..visible(&["a"]) });
    lab.tick();
    lab.be_reborn();
    lab.join("b");
    lab.send("b", "ecg", 1, "1");
    lab.run(64);
    assert_eq!(lab.level("b"), components::attention::Level::High);
    assert_eq!(lab.take_values(viewer, "b", "ecg"), ["1"]);
}

/// A small world in which there is something of everything.
fn everything(seed: u64) -> Vec<u8> {
    let dice = &mut Dice::new(seed);
    let mut labs = [Lab::with(tight())];
    let mut viewers = Vec::new();
    (0..120).for_each(|_| live(dice, &mut viewers, &mut labs));
    labs[0].engine.snapshot()
}

/// What a restored world must bear: time, comings, goings, samples, and a look into every ring.
fn exercise(mut engine: Engine) {
    let mut inputs = Inputs::default();
    let viewer = ViewerId(Handle { slot: 40, generation: 9 });
    let feed = FeedId(Handle { slot: 41, generation: 9 });
    let card = SensorCard { sensor_id: "s3".into(), ..SensorCard::default() };
    inputs.commands.extend([
        Command::OpenViewer { viewer, sensors: SensorSet::All, quality: Quality::High.into() },
        Command::OpenFeed { feed, card: Box::new(card), owner: "ada".into() },
        Command::DeclareAttribute {
            feed,
            index: 0,
            attribute_id: "new".into(),
            kind: AttributeType::Ecg,
            rate_hz: None,
        },
        Command::SetLoad(Load { level: LoadLevel::Elevated, memory_protection: false }),
    ]);
    for slot in 0..SENSORS as u32 {
        for generation in 0..3 {
            let feed = FeedId(Handle { slot, generation });
            for index in 0..4 {
                let cell = components::cell::Cell::TRUE;
                inputs.samples.push(feed, index, Timestamp(5), Payload::Scalar(cell));
            }
        }
    }
    let mut now = engine.now();
    for step in 0..24 {
        now = EngineTime(now.0 + if step == 20 { 100_000_000 } else { 20_000 });
        let deliveries = engine.tick(now, &mut inputs);
        // As a door reads it.
        for flush in &deliveries.flushes {
            for slice in deliveries.slices_of(flush) {
                let mut json = Vec::new();
                deliveries.samples_of(slice).for_each(|sample| sample.write_payload(&mut json));
            }
        }
        if step == 10 {
            inputs.commands.push(Command::CloseFeed { feed });
            for slot in 0..SENSORS as u32 {
                for generation in 0..3 {
                    let feed = FeedId(Handle { slot, generation });
                    inputs.commands.push(Command::Retire { feed });
                }
            }
        }
        engine.audit().unwrap();
    }
    engine.snapshot();
}

#[test]
fn bytes_that_were_tampered_with_are_a_sentence_or_a_sound_world() {
    const HEAD: usize = 28;
    let worlds = [everything(1), everything(2), everything(3)];
    let (mut refused, mut accepted) = (0, 0);
    let dice = &mut Dice::new(7);
    for _ in 0..6000 {
        let mut body = worlds[dice.below(3)][HEAD..].to_vec();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(body.len());
            match dice.below(6) {
                0 => body[at] ^= 1 << dice.below(8),
                1 => body[at] = dice.next() as u8,
                2 => body[at] = body[at].wrapping_add(1),
                3 => body.truncate(at.max(1)),
                4 => {
                    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
                    let n = 1 + dice.below(9);
                    body.splice(at..=at, huge[9 - n..].iter().copied());
                }
                _ => {
                    let from = dice.below(body.len());
                    let piece = body[from..(from + dice.below(40)).min(body.len())].to_vec();
                    body.splice(at..at, piece);
                }
            }
        }
        match Engine::restore(roomy(), &systems::snapshot::sealed(&body)) {
            Ok(engine) => {
                accepted += 1;
                exercise(engine);
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().len() > 20, "{error:?}");
            }
        }
    }
    assert!(refused > 1000 && accepted > 200, "{refused} refused, {accepted} accepted");
}

#[test]
fn bytes_of_another_kind_are_told_apart() {
    let bytes = everything(4);
    let restore = |bytes: &[u8]| Engine::restore(roomy(), bytes).map(drop);
    assert_eq!(restore(&bytes), Ok(()));
    assert_eq!(restore(b"\x89MCAP0\r\n something else entirely"), Err(SnapshotError::Foreign));
    let mut future = bytes.clone();
    future[8] = 200;
    let error = restore(&future).unwrap_err();
    assert_eq!(error.to_string(), "the snapshot has format 200, and this build reads format 5");
    for cut in (0..bytes.len()).step_by(97) {
        assert!(restore(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(restore(&longer), Err(SnapshotError::Length { .. })));
    let mut flipped = bytes;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    assert_eq!(restore(&flipped), Err(SnapshotError::Checksum));
}

//! Whether the conscience objects: what the engine gives back is tampered with, and each time the
//! model must say so. (What it finds in a broken engine is in `docs/swarm.md`.)

use std::sync::Arc;

use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::delivery::{Deliveries, Flush, Form, Notice, Slice};
use components::id::{FeedId, Handle, ViewerId};
use components::sample::{Payload, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig, EngineTime, Inputs, Settings};

use super::model::{Broken, Model, Sent};
use super::run::{Failure, Nobody, play};
use super::script::{Event, World};
use super::shrink::shrink;
use super::{Plan, Tape, play_seed, run};
use crate::recording::{Hash, Reader};

fn handle(slot: u32) -> Handle {
    Handle { slot, generation: 0 }
}

fn copy(deliveries: &Deliveries) -> Deliveries {
    let slice = |slice: &Slice| Slice { card: Arc::clone(&slice.card), ..*slice };
    Deliveries {
        slices: deliveries.slices.iter().map(slice).collect(),
        timestamps: deliveries.timestamps.clone(),
        cells: deliveries.cells.clone(),
        texts: deliveries.texts.clone(),
        parts: deliveries.parts.clone(),
        flushes: deliveries.flushes.clone(),
        notices: deliveries.notices.clone(),
        probes: deliveries.probes.clone(),
        groups: deliveries.groups.clone(),
        readings: deliveries.readings.clone(),
        states: deliveries.states.clone(),
        values: deliveries.values.clone(),
        pairs: deliveries.pairs.clone(),
        hearts: deliveries.hearts.clone(),
        beats: deliveries.beats.clone(),
        watchers: deliveries.watchers.clone(),
    }
}

/// Two sensors; one viewer sees all at high quality, one the second in figures. What the second
/// of two flushes gave is passed through `tamper` before it is checked.
fn checked(tamper: impl Fn(&mut Deliveries)) -> Result<(), Broken> {
    let settings = Settings::default();
    let mut engine = Engine::new(EngineConfig::default());
    let mut model = Model::new(&settings, true);
    let mut inputs = Inputs::default();
    for (n, name) in ["ecg", "hr"].into_iter().enumerate() {
        let feed = FeedId(handle(n as u32));
        let card = SensorCard { sensor_id: name.into(), ..SensorCard::default() };
        let kind = components::attribute::AttributeType::infer(name, None);
        inputs.commands.extend([
            Command::OpenFeed { feed, card: Box::new(card), owner: "owner".into() },
            Command::DeclareAttribute {
                feed,
                index: 0,
                attribute_id: name.into(),
                kind,
                rate_hz: None,
            },
        ]);
    }
    for (n, quality) in [Quality::High, Quality::Low].into_iter().enumerate() {
        let viewer = ViewerId(handle(n as u32));
        inputs.commands.push(Command::OpenViewer {
            viewer,
            sensors: SensorSet::All,
            quality: quality.into(),
        });
    }
    for tick in 1..=2 {
        let mut sent = Vec::new();
        for n in 0..10 {
            let feed = FeedId(handle(n % 2));
            let value = i64::from((n * 7) % 10);
            let cell = Cell::integer(value).unwrap();
            let timestamp = i64::from(n);
            inputs.samples.push(feed, 0, Timestamp(timestamp), Payload::Scalar(cell));
            sent.push(Sent {
                feed,
                index: 0,
                timestamp,
                json: value.to_string(),
                number: Some(value as f64),
                shaped: false,
                width: 1,
            });
        }
        let now = tick * 200_000;
        model.take(now, &inputs.commands, &sent, &[], &[]);
        let mut given = copy(engine.tick(EngineTime(now), &mut inputs));
        if tick == 2 {
            tamper(&mut given);
        }
        model.check_given(&given)?;
        let audit = engine.audit().unwrap();
        model.check_figures(&engine.report(), &audit)?;
    }
    Ok(())
}

fn of(deliveries: &mut Deliveries, form: Form) -> &mut Slice {
    deliveries.slices.iter_mut().find(|slice| slice.form == form).unwrap()
}

#[test]
fn what_was_not_tampered_with_passes() {
    assert_eq!(checked(|_| {}), Ok(()));
}

#[test]
fn every_kind_of_tampering_is_objected_to() {
    let tampers: [(&str, &str, fn(&mut Deliveries)); 16] = [
        ("a flush is lost", "silence", |d| {
            d.flushes.pop();
        }),
        ("a slice is lost", "silence", |d| d.flushes[0].part_count -= 1),
        ("a flush comes twice", "delivery", |d| d.flushes.push(d.flushes[0].clone())),
        ("a flush goes to somebody who is not there", "delivery", |d| {
            d.flushes[0].viewer = ViewerId(handle(9));
        }),
        ("a slice comes twice", "delivery", |d| {
            let part = d.parts[0];
            let parts_at = d.parts.len() as u32;
            d.parts.extend([part, part]);
            d.flushes[0] = Flush { parts_at, part_count: 2, ..d.flushes[0] };
        }),
        ("a sample is skipped", "delivery", |d| of(d, Form::Raw).from += 1),
        ("a sample is repeated", "delivery", |d| of(d, Form::Raw).from -= 1),
        ("a loss is invented", "delivery", |d| of(d, Form::Raw).missed += 1),
        ("the newest is held back", "delivery", |d| of(d, Form::Raw).to -= 1),
        ("a time stamp is another", "delivery", |d| d.timestamps[0].0 += 1),
        ("a value is another", "delivery", |d| d.cells[1] = Cell::integer(77).unwrap().0),
        ("the latest stands for too few", "delivery", |d| of(d, Form::Latest).from += 1),
        ("a digest's max is wrong", "digest", |d| {
            let digest = of(d, Form::Digest).digest.as_mut().unwrap();
            digest.numbers.as_mut().unwrap().max -= 1.0;
        }),
        ("a digest counts one too many", "digest", |d| {
            of(d, Form::Digest).digest.as_mut().unwrap().count += 1;
        }),
        ("a level is announced that is not so", "attention", |d| {
            d.notices.push(Notice::LevelChanged {
                sensor_id: "ecg".into(),
                level: components::attention::Level::High,
            });
        }),
        ("somebody is said to have left", "notices", |d| {
            d.notices.push(Notice::FeedClosed { feed: FeedId(handle(0)) });
        }),
    ];
    for (what, checker, tamper) in tampers {
        let found = checked(tamper).expect_err(what);
        assert_eq!(found.checker, checker, "{what}: {}", found.sentence);
    }
}

#[test]
fn the_same_seed_gives_the_same_world_and_the_same_hash() {
    let played = play_seed(3, 60).unwrap();
    assert_eq!(play_seed(3, 60), Ok(played));
    assert_ne!(play_seed(4, 60).unwrap().hash, played.hash);
    assert!(played.samples > 0 && played.ticks > 60);
}

#[test]
fn a_script_shrinks_to_what_the_failure_needs() {
    let world = World::drawn(12);
    let script = world.script(300);
    let join = script.iter().position(|event| matches!(event, Event::Join { .. })).unwrap();
    let Event::Join { device } = script[join] else { unreachable!() };
    // A made-up bug: a device that joined and sends after at least 100 ms.
    let mut fails = |script: &[Event]| {
        let (mut joined, mut us, mut ticks) = (false, 0, 0);
        for event in script {
            match event {
                Event::Join { device: d } if *d == device => joined = true,
                Event::Tick { us: more } => {
                    us += more;
                    ticks += 1;
                }
                Event::Send { device: d, .. } if joined && us >= 100_000 && *d == device => {
                    let sentence = String::new();
                    return Some(Failure { tick: ticks, checker: "made up", sentence });
                }
                _ => {}
            }
        }
        None
    };
    let first = fails(&script).expect("a script of 300 ticks has it");
    let (least, _) = shrink(&script, &first, std::time::Duration::from_secs(30), &mut fails);
    assert_eq!(least.len(), 3, "{least:?}");
    assert!(matches!(
        least[..],
        [Event::Join { .. }, Event::Tick { .. }, Event::Send { count: 1, .. }]
            | [Event::Tick { .. }, Event::Join { .. }, Event::Send { count: 1, .. }]
    ));
}

#[test]
fn a_world_leaves_a_recording_that_replays_to_the_same_hash() {
    let world = World::drawn(16);
    let script = world.script(120);
    let folder = std::env::temp_dir().join(format!("sensocto-swarm-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("seed.mcap");
    let mut tape = Tape::create(&path, &world).unwrap();
    let played = play(&world, &script, 1, &mut tape).unwrap();
    tape.finish().unwrap();
    assert_eq!(play(&world, &script, 1, &mut Nobody), Ok(played));

    let mut reader = Reader::open(&path).unwrap();
    let settings = reader.header().settings.clone();
    let mut engine = Engine::new(EngineConfig { settings, ..EngineConfig::default() });
    let (mut inputs, mut hash, mut ticks) = (Inputs::default(), Hash::default(), 0);
    while let Some(now) = reader.next(&mut inputs).unwrap() {
        hash.add(engine.tick(now, &mut inputs));
        ticks += 1;
    }
    assert_eq!((ticks, hash.value()), (played.ticks, played.hash));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn there_is_no_seed_behind_the_last() {
    let plan =
        Plan { from: u64::MAX, count: 10, ticks: 2, threads: 2, failures: 1, record_failure: None };
    assert_eq!(run(&plan).seeds, 1);
}

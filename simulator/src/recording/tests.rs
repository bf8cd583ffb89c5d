//! What was put in comes out; what was damaged says so.

use std::io::Cursor;
use std::sync::Arc;

use components::attention::Battery;
use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Attention, Command, Inputs, SensorCard, SensorSet, Target};
use components::id::{FeedId, Handle, ViewerId};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::sample::{EngineTime, Payload, Timestamp};
use components::shape::Shape;
use components::viewer::Quality;

use super::*;
use crate::chance::hash;

fn feed(slot: u32) -> FeedId {
    FeedId(Handle { slot, generation: slot % 3 })
}

fn viewer(slot: u32) -> ViewerId {
    ViewerId(Handle { slot, generation: slot % 2 })
}

/// Every command there is, with everything in it that may be.
fn every_command() -> Vec<Command> {
    let card = SensorCard {
        sensor_id: "ada:\"ecg\"".into(),
        sensor_name: "Ada\n\u{1f419}".into(),
        sensor_type: "ecg".into(),
        connector_id: "c".into(),
        connector_name: "".into(),
        sampling_rate: 0.1,
    };
    let target = |attribute: Option<&str>| Target {
        sensor_id: "ada".into(),
        attribute_id: attribute.map(Box::from),
    };
    let attention = Attention {
        visible: Some(vec!["ada".into(), "ben".into()]),
        hovered: vec![target(None)],
        focused: vec![target(Some("ecg")), target(None)],
        pinned: vec![target(Some("imu"))],
        hidden: true,
        battery: Battery::Critical,
    };
    vec![
        Command::OpenFeed { feed: feed(7), card: Box::new(card), owner: "me".into() },
        Command::OpenFeed {
            feed: feed(8),
            card: Box::new(SensorCard { sampling_rate: f64::NAN, ..SensorCard::default() }),
            owner: "".into(),
        },
        Command::DeclareAttribute {
            feed: feed(7),
            index: 65_535,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: Some(249.997),
        },
        Command::DeclareAttribute {
            feed: feed(7),
            index: 0,
            attribute_id: "x".into(),
            kind: AttributeType::Numeric,
            rate_hz: None,
        },
        Command::ForgetAttribute { feed: feed(7), attribute_id: "x".into() },
        Command::RenameConnector { feed: feed(7), connector_name: "new".into() },
        Command::CloseFeed { feed: feed(7) },
        Command::Retire { feed: feed(9) },
        Command::OpenViewer {
            viewer: viewer(1),
            sensors: SensorSet::All,
            quality: Quality::Minimal,
        },
        Command::SetSensors {
            viewer: viewer(1),
            sensors: SensorSet::Ids(vec!["all".into(), "b\\".into()]),
        },
        Command::SetSensors { viewer: viewer(1), sensors: SensorSet::Ids(vec![]) },
        Command::SetQuality { viewer: viewer(1), quality: Quality::Paused },
        Command::Attend { viewer: viewer(1), attention: Box::new(attention) },
        Command::Attend { viewer: viewer(1), attention: Box::default() },
        Command::Renew { viewer: viewer(1) },
        Command::TellDevice {
            viewer: viewer(1),
            sensor_id: "ada".into(),
            words: r#"{"command":"vibrate","ms":1.5}"#.into(),
        },
        Command::CloseViewer { viewer: viewer(u32::MAX) },
        Command::SetLoad(Load { level: LoadLevel::High, memory_protection: true }),
    ]
}

/// A busy, odd life of `ticks` ticks, one of which has nothing of anything more often than not.
fn life(ticks: u64, seed: u64) -> Vec<(EngineTime, Inputs)> {
    let shapes = [
        Arc::new(Shape::from_skeleton(b"{\"x\":\x01,\"y\":\x01}")),
        Arc::new(Shape::from_skeleton(b"[\x01,\x01,\x01]")),
    ];
    let mut now = 17;
    (0..ticks)
        .map(|tick| {
            let chance = |n: u64| hash(seed ^ tick << 20, n);
            now += [4000, 4000, 4000, 0, 50_000][(chance(0) % 5) as usize];
            let mut inputs = Inputs::default();
            if tick % 97 == 3 {
                inputs.commands = every_command();
            }
            if tick % 11 < 3 {
                inputs.busy = (0..tick / 50).map(|n| viewer(n as u32 * 3)).collect();
            }
            if tick % 29 == 0 {
                inputs.refused = vec![(Reason::IntakeFull, 3), (Reason::RateLimited, u64::MAX)];
            }
            for n in 0..[0, 0, 3, 20][(chance(1) % 4) as usize] {
                let roll = chance(100 + n);
                let timestamp = match roll % 50 {
                    0 => Timestamp(i64::MIN),
                    1 => Timestamp(i64::MAX),
                    _ => Timestamp(1_700_000_000_000 + tick as i64 * 4 + (roll % 3) as i64),
                };
                let value = Cell::float((roll % 10_000) as f64 / 100.0).unwrap();
                let whole = Cell::integer((roll % 1000) as i64 - 500).unwrap();
                let odd = Cell::float(f64::from_bits(roll)).unwrap_or(Cell::NULL);
                let cells = [value.0, whole.0, odd.0];
                let (attribute, payload) = match roll % 9 {
                    0 => (1, Payload::Shaped { shape: &shapes[0], cells: &cells[..2] }),
                    1 => (2, Payload::Shaped { shape: &shapes[1], cells: &cells }),
                    2 => (3, Payload::Text { payload: "\"a\u{e9}\"", extra: ",\"event\":\"up\"" }),
                    3 => (1, Payload::Text { payload: "", extra: "" }),
                    4 => (4, Payload::Scalar(odd)),
                    5 => (5, Payload::Scalar([Cell::TRUE, Cell::FALSE][(roll >> 8) as usize % 2])),
                    6 => (0, Payload::Scalar(whole)),
                    _ => (0, Payload::Scalar(value)),
                };
                let from = feed((n % 7) as u32 * 1000);
                inputs.samples.push(from, attribute, timestamp, payload);
            }
            (EngineTime(now), inputs)
        })
        .collect()
}

/// All of one tick, in words.
fn told(now: EngineTime, inputs: &Inputs) -> String {
    let mut text = format!("{now:?} {:?} {:?}", inputs.busy, inputs.refused);
    for command in &inputs.commands {
        text += &format!(" {command:?}");
    }
    for index in 0..inputs.samples.len() {
        let (feed, attribute, timestamp, payload) = inputs.samples.get(index);
        text += &format!(" {feed:?} {attribute} {timestamp:?} {payload:?}");
    }
    text
}

fn written(life: &[(EngineTime, Inputs)], header: &Header) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::create(&mut file, header).unwrap();
    for (tick, (now, inputs)) in life.iter().enumerate() {
        writer.tick(*now, inputs).unwrap();
        writer.hashed(tick as u64 / 2 * 0x1_0000_0001, tick % 2 == 0);
    }
    let figures = writer.finish().unwrap();
    assert_eq!(figures.bytes, file.len() as u64);
    assert_eq!(figures.ticks, life.len() as u64);
    file
}

/// Everything that can be read, and why no more.
fn read(file: &[u8]) -> (Vec<String>, Option<RecordingError>) {
    let mut reader = match Reader::new(Cursor::new(file)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut ticks = Vec::new();
    loop {
        let mut inputs = Inputs::default();
        match reader.next(&mut inputs) {
            Ok(Some(now)) => ticks.push(told(now, &inputs)),
            Ok(None) => return (ticks, None),
            Err(error) => return (ticks, Some(error)),
        }
    }
}

#[test]
fn every_tick_comes_back_exactly() {
    let life = life(2000, 1);
    let header = Header {
        epoch_unix_ms: 1_700_000_000_123,
        source: "a test".into(),
        scenario: Some("people = 3".into()),
        snapshot: Some(vec![7; 100_000]),
        ..Header::default()
    };
    let file = written(&life, &header);
    let (ticks, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    let put_in: Vec<String> = life.iter().map(|(now, inputs)| told(*now, inputs)).collect();
    for (tick, (out, put_in)) in ticks.iter().zip(&put_in).enumerate() {
        assert_eq!(out, put_in, "tick {}", tick + 1);
    }
    assert_eq!(ticks.len(), 2000);

    let mut reader = Reader::new(Cursor::new(&file[..])).unwrap();
    let header = reader.header();
    assert_eq!(header.source, "a test");
    assert_eq!(header.epoch_unix_ms, 1_700_000_000_123);
    assert_eq!(header.scenario.as_deref(), Some("people = 3"));
    assert_eq!(header.snapshot.as_deref(), Some(&[7; 100_000][..]));
    let summary = *reader.summary();
    assert!(summary.complete);
    assert_eq!(summary.ticks, 2000);
    assert_eq!(summary.sensors, 2, "one has no name");
    assert_eq!(summary.first, life[0].0);
    assert_eq!(summary.last, life[1999].0);
    let samples: usize = life.iter().map(|(_, inputs)| inputs.samples.len()).sum();
    assert_eq!(summary.samples, samples as u64);

    let mut whole_count = 0;
    for tick in 0..2000u64 {
        reader.next(&mut Inputs::default()).unwrap();
        let proof = reader.proof().unwrap();
        assert!(proof.agrees(tick / 2 * 0x1_0000_0001), "tick {tick}");
        assert!(!proof.agrees(tick / 2 * 0x1_0000_0001 + 1));
        whole_count += u64::from(proof.whole.is_some());
    }
    let seconds = summary.duration_ms() / 1000;
    assert!((seconds * 9 / 10..=seconds + 1).contains(&whole_count), "{whole_count} {seconds}");
}

//! The world written down and made again: how large, how long, and next to copying its rings.

use std::time::Instant;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::id::{FeedId, Handle, ViewerId};
use components::sample::{Payload, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig, EngineTime, Inputs};

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub sensors: usize,
    pub samples: u64,
    pub ring_bytes: usize,
    pub snapshot_bytes: usize,
    pub write_ms: f64,
    pub restore_ms: f64,
    /// One `memcpy` of as many bytes as the rings have, for comparison.
    pub copy_ms: f64,
}

/// `sensors` of ECG at 250 Hz with full rings, and 20 viewers on 100 each.
pub fn run(sensors: u32) -> Figures {
    let mut engine = Engine::new(EngineConfig::default());
    let mut inputs = Inputs::default();
    let feed = |slot| FeedId(Handle { slot, generation: 0 });
    let name = |slot: u32| format!("sensor-{slot}");
    for slot in 0..sensors {
        let card = SensorCard { sensor_id: name(slot).into(), ..SensorCard::default() };
        let card = Box::new(card);
        inputs.commands.push(Command::OpenFeed { feed: feed(slot), card, owner: "bench".into() });
        inputs.commands.push(Command::DeclareAttribute {
            feed: feed(slot),
            index: 0,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: Some(250.0),
        });
    }
    for slot in 0..20 {
        let first = slot * 100;
        let ids = (first..first + 100).map(|slot| name(slot % sensors).into()).collect();
        inputs.commands.push(Command::OpenViewer {
            viewer: ViewerId(Handle { slot, generation: 0 }),
            sensors: SensorSet::Ids(ids),
            quality: Quality::Medium.into(),
        });
    }
    let mut now = 0;
    let mut n = 0;
    // An ECG keeps 650 to 800: after 884, it has had to forget.
    while n < 884 {
        for _ in 0..17 {
            for slot in 0..sensors {
                let value = (f64::from(n) * 0.1 + f64::from(slot)).sin();
                let cell = Cell::float(value).unwrap_or(Cell::NULL);
                let at = Timestamp(1_700_000_000_000 + i64::from(n) * 4);
                inputs.samples.push(feed(slot), 0, at, Payload::Scalar(cell));
            }
            n += 1;
        }
        now += 68_000;
        engine.tick(EngineTime(now), &mut inputs);
    }
    let ring_bytes = engine.report().ring_bytes as usize;
    let samples = engine.report().store.kept;
    let ms = |began: Instant| began.elapsed().as_secs_f64() * 1e3;
    let began = Instant::now();
    let bytes = engine.snapshot();
    let write_ms = ms(began);
    let began = Instant::now();
    let restored = Engine::restore(EngineConfig::default(), &bytes);
    let restore_ms = ms(began);
    let restored = restored.expect("our own bytes");
    assert_eq!(restored.report().ring_bytes as usize, ring_bytes);
    let source = vec![1u8; ring_bytes];
    let mut target = vec![2u8; ring_bytes];
    let began = Instant::now();
    target.copy_from_slice(std::hint::black_box(&source));
    std::hint::black_box(&target);
    let copy_ms = ms(began);
    let (sensors, snapshot_bytes) = (sensors as usize, bytes.len());
    Figures { sensors, samples, ring_bytes, snapshot_bytes, write_ms, restore_ms, copy_ms }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_snapshot_is_smaller_than_the_rings() {
        let figures = super::run(20);
        assert!(figures.samples >= 20 * 650, "full: {figures:?}");
        assert!(figures.snapshot_bytes * 3 < figures.ring_bytes * 2, "{figures:?}");
    }
}

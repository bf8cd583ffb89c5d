//! Writing for many viewers: each slice encoded once and joined, against encoding anew for every
//! viewer. The deliveries are the engine's own.

use std::hint::black_box;
use std::time::Instant;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::delivery::Form;
use components::id::{FeedId, Handle, ViewerId};
use components::sample::{Payload, Timestamp};
use components::viewer::Quality;
use components::wire::phoenix::Vsn;
use components::wire::push::Envelope;
use components::wire::viewer::{Encoded, text};
use engine::{Engine, EngineConfig, EngineTime, Inputs};

#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Bytes for all viewers together.
    pub bytes: usize,
    pub joined_ns_per_slice: f64,
    pub binary_ns_per_slice: f64,
    pub anew_ns_per_slice: f64,
    /// Slices delivered, each as often as a viewer got it.
    pub slices: usize,
}

/// `viewers` viewers on `watched` of `sensors` sensors, `rounds` flushes of 8 samples a slice.
pub fn run(sensors: u32, viewers: u32, watched: u32, rounds: u32) -> Figures {
    let mut engine = Engine::new(EngineConfig::default());
    let mut inputs = Inputs::default();
    let feed = |n: u32| FeedId(Handle { slot: n, generation: 0 });
    for n in 0..sensors {
        let card = SensorCard { sensor_id: format!("bench:{n}").into(), ..SensorCard::default() };
        let open = Command::OpenFeed { feed: feed(n), card: Box::new(card), owner: "b".into() };
        let declare = Command::DeclareAttribute {
            feed: feed(n),
            index: 0,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: None,
        };
        inputs.commands.extend([open, declare]);
    }
    for viewer in 0..viewers {
        let ids = (0..watched).map(|n| format!("bench:{}", (viewer * 7 + n) % sensors).into());
        inputs.commands.push(Command::OpenViewer {
            viewer: ViewerId(Handle { slot: viewer, generation: 0 }),
            sensors: SensorSet::Ids(ids.collect()),
            quality: Quality::High.into(),
        });
    }
    let envelope =
        Envelope { vsn: Vsn::V2, join_ref: "\"1\"".into(), topic: "viewer:data:bench".into() };
    let head = envelope.binary_head("frame").unwrap_or_default();
    let (mut figures, mut encoded) = (Figures::default(), Encoded::default());
    let mut spent = [0u128; 3];
    for round in 0..rounds {
        for n in (0..sensors).flat_map(|n| std::iter::repeat_n(n, 8)) {
            let value = Cell((f64::from(n) / 7.0 + f64::from(round)).to_bits());
            inputs.samples.push(feed(n), 0, Timestamp(i64::from(round)), Payload::Scalar(value));
        }
        let now = EngineTime::from_millis(u64::from(round + 1) * 32);
        let deliveries = engine.tick(now, &mut inputs);
        if deliveries.slices.iter().any(|slice| slice.form == Form::Seed) {
            continue;
        }
        figures.slices += deliveries.parts.len();
        let start = Instant::now();
        encoded.begin(deliveries);
        for flush in &deliveries.flushes {
            encoded.text(deliveries, flush, &envelope, &mut |out| {
                figures.bytes += black_box(out).len();
            });
        }
        spent[0] += start.elapsed().as_nanos();
        let start = Instant::now();
        encoded.begin(deliveries);
        for flush in &deliveries.flushes {
            encoded.binary(deliveries, flush, &head, 0.0, &mut |out| drop(black_box(out)));
        }
        spent[1] += start.elapsed().as_nanos();
        let start = Instant::now();
        for flush in &deliveries.flushes {
            let mut out = Vec::new();
            for slice in deliveries.slices_of(flush) {
                text::encode_slice(deliveries, slice, &mut out);
            }
            black_box(out);
        }
        spent[2] += start.elapsed().as_nanos();
    }
    let per_slice = |nanos: u128| nanos as f64 / figures.slices.max(1) as f64;
    figures.joined_ns_per_slice = per_slice(spent[0]);
    figures.binary_ns_per_slice = per_slice(spent[1]);
    figures.anew_ns_per_slice = per_slice(spent[2]);
    figures
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_viewer_gets_every_slice() {
        let figures = super::run(20, 5, 10, 4);
        // The first round is the past; it is not measured.
        assert_eq!(figures.slices, 3 * 5 * 10);
        assert!(figures.bytes > figures.slices * 8 * 60, "{}", figures.bytes);
    }
}

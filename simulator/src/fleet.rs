//! The devices of a scenario: at each step, everything they measured since the last one.

use std::sync::Arc;

use components::command::SensorCard;
use components::id::FeedId;
use components::sample::{SampleBatch, Timestamp};
use engine::{Command, Inputs};

use crate::chance::hash;
use crate::person::Person;
use crate::scenario::{Member, Modality, Scenario};
use crate::signal::{self, Given, Memory, Signal};

/// Made-up devices have no memory of a stall: what is older than this is gone, and counted.
pub const CATCH_UP_MS_MAX: i64 = 1000;

/// The account that made-up sensors belong to.
pub const OWNER: &str = "simulator";

/// Milliseconds until a sensor that found no feed asks for one again.
const FEED_RETRY_MS: i64 = 1000;

/// All devices of one scenario.
#[derive(Debug)]
pub struct Fleet {
    bodies: Vec<Body>,
    /// Everything up to here was given out.
    done: Timestamp,
    feed_wanted_at: Timestamp,
    skipped_ms: u64,
}

/// One person and what hangs on them.
#[derive(Debug)]
struct Body {
    memory: Memory,
    devices: Vec<Worn>,
}

#[derive(Debug)]
struct Worn {
    card: SensorCard,
    modalities: &'static [Modality],
    signals: Vec<Box<dyn Signal>>,
    /// Milliseconds into each period at which it measures, so that not all do at once.
    offsets_ms: Vec<i64>,
    feed: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Wanted,
    Open(FeedId),
    Lost,
}

impl Fleet {
    /// The devices of `scenario`, who begin to measure after `start`.
    pub fn new(scenario: Scenario, seed: u64, start: Timestamp) -> Self {
        Self {
            bodies: scenario.members(seed).into_iter().map(Body::new).collect(),
            done: start,
            feed_wanted_at: start,
            skipped_ms: 0,
        }
    }

    /// Opens the feeds that are wanting, then adds all samples after the last step and up to
    /// `to`. A step back in time adds nothing.
    pub fn advance(
        &mut self,
        to: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        if to >= self.feed_wanted_at {
            self.open(take_feed, &mut inputs.commands);
            self.feed_wanted_at = Timestamp(to.0.saturating_add(FEED_RETRY_MS));
        }
        if to <= self.done {
            return;
        }
        let oldest = to.0 - CATCH_UP_MS_MAX;
        if self.done.0 < oldest {
            self.skipped_ms += (oldest - self.done.0) as u64;
            self.done = Timestamp(oldest);
        }
        for body in &mut self.bodies {
            body.measure(self.done, to, &mut inputs.samples);
        }
        self.done = to;
    }

    /// The feed is gone or was refused: its sensor falls silent. A feed that is not of this fleet
    /// is none of its business.
    pub fn lose(&mut self, feed: FeedId) {
        for worn in self.bodies.iter_mut().flat_map(|body| &mut body.devices) {
            if worn.feed == Link::Open(feed) {
                worn.feed = Link::Lost;
            }
        }
    }

    /// Everyone leaves.
    pub fn close(&mut self, commands: &mut Vec<Command>) {
        for worn in self.bodies.iter_mut().flat_map(|body| &mut body.devices) {
            if let Link::Open(feed) = worn.feed {
                commands.push(Command::CloseFeed { feed });
            }
            worn.feed = Link::Lost;
        }
    }

    /// Milliseconds that were never measured, because steps were more than
    /// [`CATCH_UP_MS_MAX`] apart.
    pub fn skipped_ms(&self) -> u64 {
        self.skipped_ms
    }

    /// Sensors with an open feed.
    pub fn open_count(&self) -> usize {
        let worn = self.bodies.iter().flat_map(|body| &body.devices);
        worn.filter(|worn| matches!(worn.feed, Link::Open(_))).count()
    }

    fn open(&mut self, take_feed: &mut dyn FnMut() -> Option<FeedId>, commands: &mut Vec<Command>) {
        for worn in self.bodies.iter_mut().flat_map(|body| &mut body.devices) {
            if worn.feed != Link::Wanted {
                continue;
            }
            let Some(feed) = take_feed() else { return };
            worn.feed = Link::Open(feed);
            let card = Box::new(worn.card.clone());
            commands.push(Command::OpenFeed { feed, card, owner: OWNER.into() });
            for (index, modality) in worn.modalities.iter().enumerate() {
                commands.push(Command::DeclareAttribute {
                    feed,
                    index: index as u16,
                    attribute_id: modality.attribute_id().into(),
                    kind: modality.kind(),
                    rate_hz: Some(modality.rate_hz()),
                });
            }
        }
    }
}

impl Body {
    fn new(member: Member) -> Self {
        let connector_id: Arc<str> = format!("sim:{}", member.id).into();
        let name: Arc<str> = member.name.into();
        let body = signal::Body {
            seed: member.seed,
            person: Some(Arc::new(Person::new(member.spec, member.seed))),
            position: None,
        };
        let devices = member.devices.iter().enumerate().map(|(device_index, device)| {
            let offset = |(index, modality): (usize, &Modality)| {
                let chance = hash(member.seed, 1000 + 16 * device_index as u64 + index as u64);
                (chance % modality.period_ms() as u64) as i64
            };
            Worn {
                card: SensorCard {
                    sensor_id: format!("{}:{}", member.id, device.suffix).into(),
                    sensor_name: Arc::clone(&name),
                    sensor_type: device.sensor_type.into(),
                    connector_id: Arc::clone(&connector_id),
                    connector_name: Arc::clone(&name),
                    sampling_rate: device.modalities[0].rate_hz(),
                },
                modalities: device.modalities,
                signals: (device.modalities.iter().enumerate())
                    .map(|(index, modality)| {
                        let model = signal::model(modality.attribute_id())
                            .expect("every modality has a model");
                        let n = 2000 + 16 * device_index as u64 + index as u64;
                        model.build(&Given::default(), &body, hash(member.seed, n))
                    })
                    .collect(),
                offsets_ms: device.modalities.iter().enumerate().map(offset).collect(),
                feed: Link::Wanted,
            }
        });
        let devices = devices.collect();
        Self { memory: Memory::default(), devices }
    }

    /// All samples in `(from, to]`.
    fn measure(&mut self, from: Timestamp, to: Timestamp, out: &mut SampleBatch) {
        for worn in &self.devices {
            let Link::Open(feed) = worn.feed else { continue };
            for (index, (signal, &offset)) in worn.signals.iter().zip(&worn.offsets_ms).enumerate()
            {
                let period = worn.modalities[index].period_ms();
                let mut at = from.0 + 1 + (offset - from.0 - 1).rem_euclid(period);
                while at <= to.0 {
                    let now = Timestamp(at);
                    signal.measure(now, &mut self.memory, &mut |payload| {
                        out.push(feed, index as u16, now, payload);
                    });
                    at += period;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::ORIGIN_MS;
    use components::id::Handle;
    use components::sample::Payload;

    const START: i64 = ORIGIN_MS + 27_000_000_000;

    /// Advances by these steps and writes down all that came.
    fn run(scenario: &str, steps_ms: impl IntoIterator<Item = i64>) -> (Fleet, Inputs) {
        let mut fleet = Fleet::new(Scenario::named(scenario).unwrap(), 1, Timestamp(START));
        let (mut inputs, mut next, mut now) = (Inputs::default(), 0, START);
        let mut take_feed = || {
            next += 1;
            Some(FeedId(Handle { slot: next, generation: 0 }))
        };
        for step in steps_ms {
            now += step;
            fleet.advance(Timestamp(now), &mut take_feed, &mut inputs);
        }
        (fleet, inputs)
    }

    /// Feed, attribute, time and cells of every sample, sorted.
    fn written(inputs: &Inputs) -> Vec<(FeedId, u16, Timestamp, Vec<u64>)> {
        let mut all: Vec<_> = (0..inputs.samples.len())
            .map(|index| {
                let (feed, attribute, at, payload) = inputs.samples.get(index);
                let cells = match payload {
                    Payload::Scalar(cell) => vec![cell.0],
                    Payload::Shaped { cells, .. } => cells.to_vec(),
                    Payload::Text { .. } => panic!("made-up people measure numbers"),
                };
                (feed, attribute, at, cells)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn however_time_is_cut_the_samples_are_the_same() {
        let whole = written(&run("few", [1000; 30]).1);
        assert_eq!(written(&run("few", [4; 7500]).1), whole);
        assert_eq!(
            written(
                &run(
                    "few",
                    (0..).map(|n| 1 + n * 37 % 900).scan(30_000, |left, step| {
                        let step = step.min(*left);
                        *left -= step;
                        (step > 0).then_some(step)
                    })
                )
                .1
            ),
            whole
        );
    }

    #[test]
    fn every_device_keeps_its_rate() {
        let (fleet, inputs) = run("few", [100; 600]);
        assert_eq!(fleet.open_count(), 32);
        assert_eq!(inputs.commands.len(), 32 + 8 * 8, "a feed each, and an attribute each");
        let per_person = 60 * (250 + 25 + 25 + 1 + 1) + 12 + 12 + 3;
        assert_eq!(inputs.samples.len(), 8 * per_person);
    }

    #[test]
    fn a_stall_is_cut_short_and_counted() {
        let (fleet, inputs) = run("few", [10, 5000]);
        assert_eq!(fleet.skipped_ms(), 4000);
        assert!(inputs.samples.len() < 8 * 310);
        assert_eq!(run("few", [10, -500, 0, 0]).1.samples.len(), run("few", [10]).1.samples.len());
    }

    #[test]
    fn without_feeds_nothing_is_measured_until_there_are_some() {
        let mut fleet = Fleet::new(Scenario::named("few").unwrap(), 1, Timestamp(START));
        let mut inputs = Inputs::default();
        fleet.advance(Timestamp(START + 500), &mut || None, &mut inputs);
        assert!(inputs.commands.is_empty() && inputs.samples.is_empty());
        let feed = FeedId(Handle { slot: 1, generation: 0 });
        let mut one = Some(feed);
        fleet.advance(Timestamp(START + 1600), &mut || one.take(), &mut inputs);
        assert_eq!(fleet.open_count(), 1);
        assert_eq!(inputs.samples.len(), 250, "one second of one ECG");

        fleet.lose(feed);
        inputs.samples.clear();
        fleet.advance(Timestamp(START + 1700), &mut || None, &mut inputs);
        assert!(inputs.samples.is_empty());
    }

    #[test]
    fn whoever_leaves_closes_the_feed() {
        let (mut fleet, _) = run("few", [10]);
        let mut commands = Vec::new();
        fleet.close(&mut commands);
        assert_eq!(commands.len(), 32);
        assert!(commands.iter().all(|command| matches!(command, Command::CloseFeed { .. })));
        assert_eq!(fleet.open_count(), 0);
    }
}

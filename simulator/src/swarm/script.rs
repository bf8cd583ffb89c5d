//! What a seed stands for: a small world, and a script of everything that happens in it.
//!
//! A script is plain data. Its events speak of devices and viewers by number and do nothing where
//! they make no sense, so any part of a script is a script too: that is what lets a failing one
//! shrink. Time is an event like the others.
//!
//! Which kinds of events there are at all is drawn first, as in swarm testing (Groce, Zhang,
//! Eide, Chen, Regehr: Swarm Testing, ISSTA 2012): a world in which nobody ever leaves reaches
//! states that one with a bit of everything never does.

use components::attention::Battery;
use components::attribute::AttributeType;
use components::command::{Attention, SensorSet, Target};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::viewer::Quality;
use engine::Settings;

use crate::chance::hash;

/// Unix ms of the made-up beginning.
pub(super) const EPOCH_MS: i64 = 1_750_000_000_000;

/// Sensors of a world that is not crowded.
const CALM_SENSOR_COUNT_MAX: usize = 12;

/// Rooms that somebody may look into.
pub(super) const ROOM_COUNT: usize = 3;

/// A ring budget that no script comes near.
pub(super) const ROOMY_BYTES: usize = 1 << 30;

/// What there is before anything happens.
#[derive(Debug, Clone)]
pub struct World {
    pub seed: u64,
    pub settings: Settings,
    /// Sensors by id; some never come, some ids are refused.
    pub sensor_ids: Vec<String>,
    /// By sensor.
    pub attributes: Vec<Vec<AttributePlan>>,
    pub devices: Vec<DevicePlan>,
    pub viewer_count: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AttributePlan {
    pub id: &'static str,
    pub kind: AttributeType,
    pub form: PayloadForm,
    pub rate_hz: Option<f64>,
}

/// What an attribute's payloads look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadForm {
    Integer,
    Float,
    /// Numbers, booleans and null.
    Leaf,
    Object,
    List(u8),
    Text,
    /// A text with further members beside the payload.
    TextAndMore,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DevicePlan {
    pub sensor: usize,
    pub owner: &'static str,
    pub connector_name: &'static str,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// So much time passes, and the engine ticks.
    Tick {
        us: u64,
    },
    Join {
        device: usize,
    },
    Declare {
        device: usize,
        attribute: usize,
    },
    Forget {
        device: usize,
        attribute: usize,
    },
    Rename {
        device: usize,
        name: &'static str,
    },
    Close {
        device: usize,
    },
    Retire {
        device: usize,
    },
    /// Samples, `step_ms` apart, the first `offset_ms` from now by the device's clock. `odd`:
    /// not of the attribute's usual form.
    Send {
        device: usize,
        attribute: usize,
        count: u32,
        offset_ms: i64,
        step_ms: i64,
        value: u64,
        odd: bool,
    },
    /// A sample under a number that was never declared.
    SendUndeclared {
        device: usize,
    },
    /// Samples by the device's last feed, after it was closed.
    SendLate {
        device: usize,
        attribute: usize,
        count: u32,
    },
    /// A door refused samples.
    Refused {
        reason: Reason,
        count: u64,
    },
    Open {
        viewer: usize,
        sensors: SensorSet,
        quality: Quality,
    },
    CloseViewer {
        viewer: usize,
    },
    SetSensors {
        viewer: usize,
        sensors: SensorSet,
    },
    SetRoom {
        room: usize,
        sensors: Vec<Box<str>>,
    },
    EnterRoom {
        viewer: usize,
        room: usize,
    },
    CloseRoom {
        room: usize,
    },
    SetQuality {
        viewer: usize,
        quality: Quality,
    },
    Attend {
        viewer: usize,
        attention: Attention,
    },
    /// From now on its lease is renewed with every tick, or no longer.
    Alive {
        viewer: usize,
        alive: bool,
    },
    /// From now on it reads nothing, or reads again.
    Stalled {
        viewer: usize,
        stalled: bool,
    },
    Tell {
        viewer: usize,
        sensor: usize,
    },
    /// A late word of a viewer that was closed.
    StaleWord {
        viewer: usize,
    },
    Load(Load),
}

/// Numbers from a seed, one after the other.
struct Dice {
    seed: u64,
    n: u64,
}

impl Dice {
    fn next(&mut self) -> u64 {
        self.n += 1;
        hash(self.seed, self.n)
    }

    /// In `0..count`.
    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n`.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const ATTRIBUTES: [(&str, AttributeType); 12] = [
    ("ecg", AttributeType::Ecg),
    ("respiration", AttributeType::Respiration),
    ("button", AttributeType::Button),
    ("temperature", AttributeType::Temperature),
    ("hr", AttributeType::HeartRate),
    ("imu", AttributeType::Imu),
    ("skeleton", AttributeType::Skeleton),
    ("battery", AttributeType::Battery),
    ("eye_gaze", AttributeType::EyeGaze),
    ("rich_presence", AttributeType::RichPresence),
    ("hrv", AttributeType::Hrv),
    ("level", AttributeType::Numeric),
];

const FORMS: [PayloadForm; 8] = [
    PayloadForm::Integer,
    PayloadForm::Float,
    PayloadForm::Float,
    PayloadForm::Leaf,
    PayloadForm::Object,
    PayloadForm::List(5),
    PayloadForm::Text,
    PayloadForm::TextAndMore,
];

impl World {
    pub fn drawn(seed: u64) -> Self {
        let mut dice = Dice { seed: hash(seed, 0x77_6f72_6c64), n: 0 };
        // One in sixteen has enough samples and viewers that the engine splits its work.
        let crowded = dice.once_in(16);
        let sensor_count =
            if crowded { dice.within(20, 600) } else { dice.within(1, CALM_SENSOR_COUNT_MAX - 2) };
        let mut sensor_ids: Vec<String> = (0..sensor_count).map(|n| format!("s{n}")).collect();
        if dice.once_in(4) {
            sensor_ids.push("__system".into());
        }
        let attributes = sensor_ids
            .iter()
            .map(|_| {
                let first = dice.below(ATTRIBUTES.len());
                (0..dice.within(1, 4))
                    .map(|n| {
                        let (id, kind) = ATTRIBUTES[(first + n * 5) % ATTRIBUTES.len()];
                        AttributePlan {
                            id,
                            kind,
                            form: *dice.of(&FORMS),
                            rate_hz: *dice.of(&[None, Some(10.0)]),
                        }
                    })
                    .collect()
            })
            .collect();
        let extra = dice.below(1 + sensor_ids.len().min(8));
        let devices = (0..sensor_ids.len() + extra)
            .map(|n| DevicePlan {
                sensor: if n < sensor_ids.len() { n } else { dice.below(sensor_ids.len()) },
                owner: if n >= sensor_ids.len() && dice.once_in(3) { "other" } else { "owner" },
                connector_name: dice.of::<&str>(&["Phone", "Belt"]),
            })
            .collect();
        let tight = dice.once_in(3);
        let settings = Settings {
            sensor_count_max: if dice.once_in(4) {
                dice.within(1, sensor_ids.len())
            } else {
                1_000_000
            },
            ring_bytes_max: if tight { dice.within(500, 60_000) } else { ROOMY_BYTES },
            linger_ms: *dice.of(&[0, 20, 300, 5_000]) as u64,
            lease_ms: *dice.of(&[50, 500, 3_000, 90_000]) as u64,
            seed_sample_count_max: *dice.of(&[1, 10, 200, 20_000]),
        };
        let viewer_count = if crowded { dice.within(8, 40) } else { dice.within(1, 6) };
        Self { seed, settings, sensor_ids, attributes, devices, viewer_count }
    }

    /// Whether rings can ever be cut for want of memory.
    pub fn is_roomy(&self) -> bool {
        self.settings.ring_bytes_max >= ROOMY_BYTES
    }

    /// Whether there are enough sensors that the engine splits its work.
    pub(super) fn is_crowded(&self) -> bool {
        self.sensor_ids.len() > CALM_SENSOR_COUNT_MAX
    }

    /// Everything that happens in `ticks` ticks.
    pub fn script(&self, ticks: usize) -> Vec<Event> {
        let mut dice = Dice { seed: hash(self.seed, 0x7363_7269_7074), n: 0 };
        // Of the kinds of events some never happen in this world, others often.
        let mut weights: Vec<usize> = (0..KINDS.len())
            .map(|kind| if dice.once_in(4) { 0 } else { KINDS[kind].1 * dice.within(1, 4) })
            .collect();
        weights[0] = weights[0].max(20);
        let total: usize = weights.iter().sum();
        let calm = *dice.of(&[1, 2, 4, 10]);
        let steps: &[u64] = dice.of::<&[u64]>(&[
            &[4_000][..],
            &[1_000, 4_000, 4_000, 7_300, 33_000],
            &[0, 100, 4_000, 20_000, 51_000, 250_000],
            &[4_000, 32_000, 32_000, 100_000, 1_000_000, 6_000_000],
        ]);
        let crowded = self.is_crowded();
        let mut script = Vec::new();
        for device in 0..self.devices.len() {
            if !dice.once_in(4) {
                script.push(Event::Join { device });
            }
        }
        for viewer in 0..self.viewer_count {
            if !dice.once_in(3) {
                script.push(self.open(viewer, &mut dice));
                script.push(Event::Alive { viewer, alive: !dice.once_in(5) });
            }
        }
        for _ in 0..ticks {
            if crowded && dice.once_in(24) {
                // Enough in one tick that the engine orders and splits it.
                for device in 0..self.devices.len() {
                    let event = self.send(device, &mut dice);
                    script.push(match event {
                        Event::Send {
                            device, attribute, offset_ms, step_ms, value, odd, ..
                        } => {
                            let count = 2500 / self.devices.len() as u32 + 1;
                            Event::Send { device, attribute, count, offset_ms, step_ms, value, odd }
                        }
                        other => other,
                    });
                }
            }
            let busy_tick = dice.below(calm) == 0;
            for _ in 0..if busy_tick { dice.within(0, 6) } else { 0 } {
                let mut at = dice.below(total);
                let kind = weights.iter().position(|&weight| {
                    let here = at < weight;
                    at = at.saturating_sub(weight);
                    here
                });
                (KINDS[kind.unwrap_or(0)].0)(self, &mut dice, &mut script);
            }
            let us = if dice.once_in(150) { dice.below(8_000_000) as u64 } else { *dice.of(steps) };
            script.push(Event::Tick { us });
        }
        script
    }

    fn device(&self, dice: &mut Dice) -> usize {
        dice.below(self.devices.len())
    }

    fn viewer(&self, dice: &mut Dice) -> usize {
        dice.below(self.viewer_count)
    }

    fn attribute(&self, device: usize, dice: &mut Dice) -> usize {
        dice.below(self.attributes[self.devices[device].sensor].len())
    }

    fn send(&self, device: usize, dice: &mut Dice) -> Event {
        let count = match dice.below(40) {
            0 => dice.within(50, 900),
            1..=4 => dice.within(4, 40),
            _ => dice.within(1, 3),
        };
        Event::Send {
            device,
            attribute: self.attribute(device, dice),
            count: count as u32,
            offset_ms: *dice.of(&[0, 0, 0, -20, -3_600_000, 86_400_000]),
            step_ms: *dice.of(&[4, 4, 10, 0, -4]),
            value: dice.next(),
            odd: dice.once_in(12),
        }
    }

    fn some_ids(&self, dice: &mut Dice) -> Vec<Box<str>> {
        let count = dice.within(0, self.sensor_ids.len().min(6));
        (0..count).map(|_| Box::from(dice.of(&self.sensor_ids).as_str())).collect()
    }

    fn sensors(&self, dice: &mut Dice) -> SensorSet {
        if dice.once_in(3) { SensorSet::All } else { SensorSet::Ids(self.some_ids(dice)) }
    }

    fn open(&self, viewer: usize, dice: &mut Dice) -> Event {
        Event::Open { viewer, sensors: self.sensors(dice), quality: *dice.of(&Quality::CHOICES) }
    }

    fn targets(&self, dice: &mut Dice) -> Vec<Target> {
        let count = if dice.once_in(2) { 0 } else { dice.within(1, 3) };
        (0..count)
            .map(|_| {
                let sensor = dice.below(self.sensor_ids.len());
                let attribute = dice.of(&self.attributes[sensor]).id;
                Target {
                    sensor_id: self.sensor_ids[sensor].as_str().into(),
                    attribute_id: dice.once_in(2).then(|| attribute.into()),
                }
            })
            .collect()
    }

    fn attend(&self, viewer: usize, dice: &mut Dice) -> Event {
        let attention = Attention {
            visible: if dice.once_in(3) { None } else { Some(self.some_ids(dice)) },
            hovered: self.targets(dice),
            focused: self.targets(dice),
            pinned: self.targets(dice),
            hidden: dice.once_in(4),
            battery: *dice.of(&[
                Battery::Normal,
                Battery::Normal,
                Battery::Normal,
                Battery::Low,
                Battery::Critical,
            ]),
        };
        Event::Attend { viewer, attention }
    }
}

type Draw = fn(&World, &mut Dice, &mut Vec<Event>);

/// Every kind of event, and how often it happens beside the others.
const KINDS: [(Draw, usize); 22] = [
    (|world, dice, script| script.push(world.send(world.device(dice), dice)), 30),
    // A device that says the same twice.
    (
        |world, dice, script| {
            let event = world.send(world.device(dice), dice);
            script.extend([event.clone(), event]);
        },
        2,
    ),
    (|world, dice, script| script.push(Event::Join { device: world.device(dice) }), 6),
    (|world, dice, script| script.push(Event::Close { device: world.device(dice) }), 3),
    (|world, dice, script| script.push(Event::Retire { device: world.device(dice) }), 2),
    (
        |world, dice, script| {
            let device = world.device(dice);
            script.push(Event::Declare { device, attribute: world.attribute(device, dice) });
        },
        2,
    ),
    (
        |world, dice, script| {
            let device = world.device(dice);
            script.push(Event::Forget { device, attribute: world.attribute(device, dice) });
        },
        2,
    ),
    (
        |world, dice, script| {
            let name = *dice.of(&["Phone", "Watch"]);
            script.push(Event::Rename { device: world.device(dice), name });
        },
        1,
    ),
    (|world, dice, script| script.push(Event::SendUndeclared { device: world.device(dice) }), 1),
    (
        |world, dice, script| {
            let device = world.device(dice);
            let attribute = world.attribute(device, dice);
            script.push(Event::SendLate { device, attribute, count: dice.within(1, 5) as u32 });
        },
        2,
    ),
    (
        |_, dice, script| {
            let reason = *dice.of(&Reason::OF_DOOR);
            script.push(Event::Refused { reason, count: dice.within(1, 500) as u64 });
        },
        1,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(world.open(viewer, dice));
            if !dice.once_in(4) {
                script.push(Event::Alive { viewer, alive: true });
            }
            if dice.once_in(8) {
                script.push(Event::CloseViewer { viewer });
            }
        },
        4,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(Event::CloseViewer { viewer });
            if dice.once_in(2) {
                script.push(world.open(viewer, dice));
            }
        },
        2,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(Event::SetSensors { viewer, sensors: world.sensors(dice) });
        },
        4,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(Event::SetQuality { viewer, quality: *dice.of(&Quality::CHOICES) });
        },
        4,
    ),
    (
        // Now and then a storm.
        |world, dice, script| {
            for _ in 0..if dice.once_in(10) { 20 } else { 1 } {
                let viewer = world.viewer(dice);
                script.push(world.attend(viewer, dice));
            }
        },
        6,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(Event::Alive { viewer, alive: dice.once_in(2) });
        },
        2,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            script.push(Event::Stalled { viewer, stalled: dice.once_in(2) });
        },
        4,
    ),
    (
        |world, dice, script| {
            let viewer = world.viewer(dice);
            let sensor = dice.below(world.sensor_ids.len());
            script.push(Event::Tell { viewer, sensor });
            script.push(Event::StaleWord { viewer });
        },
        1,
    ),
    (
        |_, dice, script| {
            let level = *dice.of(&LoadLevel::ALL);
            script.push(Event::Load(Load { level, memory_protection: dice.once_in(4) }));
        },
        2,
    ),
    // Whoever is in a room stays more often than not while others come and sensors change.
    (
        |world, dice, script| {
            let (room, sensors) = (dice.below(ROOM_COUNT), world.some_ids(dice));
            script.push(Event::SetRoom { room, sensors });
            if dice.once_in(5) {
                script.push(Event::CloseRoom { room: dice.below(ROOM_COUNT) });
            }
        },
        3,
    ),
    (
        |world, dice, script| {
            for _ in 0..dice.within(1, 3) {
                let viewer = world.viewer(dice);
                script.push(Event::EnterRoom { viewer, room: dice.below(ROOM_COUNT) });
            }
        },
        3,
    ),
];

/// The payload that `value` stands for, as JSON, and what rides along with it. Written so that it
/// comes back as it went in, letter for letter.
pub(super) fn payload(form: PayloadForm, value: u64) -> (String, &'static str) {
    let whole = |bits: u64| (bits % 2_000_001) as i64 - 1_000_000;
    let float = |bits: u64| format!("{:?}", whole(bits) as f64 / 4.0);
    match form {
        PayloadForm::Integer => (whole(value).to_string(), ""),
        PayloadForm::Float => (float(value), ""),
        PayloadForm::Leaf => match value % 8 {
            0 => ("null".into(), ""),
            1 => ("true".into(), ""),
            2 => ("false".into(), ""),
            3 => (whole(value).to_string(), ""),
            _ => (float(value), ""),
        },
        PayloadForm::Object => {
            let (x, y) = (float(value), whole(value >> 20));
            (format!("{{\"x\":{x},\"at\":[{y},null],\"unit\":\"mV, \\\"raw\\\"\"}}"), "")
        }
        PayloadForm::List(width) => {
            let cells: Vec<String> = (0..u64::from(width)).map(|n| float(hash(value, n))).collect();
            (format!("[{}]", cells.join(",")), "")
        }
        PayloadForm::Text => (format!("\"word {value:x}\""), ""),
        PayloadForm::TextAndMore => (format!("{{\"said\":\"{value:x}\"}}"), ",\"event\":\"press\""),
    }
}

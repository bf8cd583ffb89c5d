//! Who takes part in a load run: devices with their sensors and what each measures when, so that
//! every process of the run, and whoever checks a value, knows the same.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::SensorCard;
use components::sample::{Payload, Timestamp};

use crate::cadence::Cadence;
use crate::chance::hash;
use crate::fault::{FaultPlan, Faults};
use crate::scenario::{Cast, CastStream, Scenario};
use crate::signal::{Memory, Signal};

/// One connection that sends.
#[derive(Debug)]
pub struct Device {
    pub connector_id: Arc<str>,
    pub connector_name: Arc<str>,
    /// Sensors on it, of the world's.
    pub sensors: Vec<usize>,
    /// Its number for the faults: that of its first sensor in the scenario.
    pub number: usize,
    /// Spans of ms since the beginning in which it is there; none: always.
    pub presence: Vec<(i64, i64)>,
}

#[derive(Debug)]
pub struct Sensor {
    pub card: SensorCard,
    /// The connection it is on.
    pub device: usize,
    /// Whoever wears it; for the memory of its signals.
    pub body: usize,
    pub room: Option<Arc<str>>,
    /// What it measures, of the world's streams.
    pub streams: Range<usize>,
}

#[derive(Debug)]
pub struct Stream {
    pub sensor: usize,
    pub attribute_id: Arc<str>,
    pub kind: AttributeType,
    pub cadence: Cadence,
    pub signal: Box<dyn Signal>,
}

#[derive(Debug, Default)]
pub struct World {
    pub devices: Vec<Device>,
    pub sensors: Vec<Sensor>,
    pub streams: Vec<Stream>,
    pub body_count: usize,
    /// What goes wrong with the devices.
    pub faults: FaultPlan,
    by_id: HashMap<Arc<str>, usize>,
}

/// A payload as it goes out.
#[derive(Debug, Default)]
pub struct Written {
    pub payload: String,
    /// Further members of the measurement, `,"key":value`, or nothing.
    pub extra: String,
}

/// How much of a scenario takes part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// So many times the devices: whole casts, each of a seed of its own, and of one more a part.
    pub devices: f64,
    /// So many times the samples a second of each stream.
    pub rate: f64,
}

impl Scale {
    pub const ONE: Self = Self { devices: 1.0, rate: 1.0 };
}

/// Before every id: a server that plays the same scenario itself has its sensors under their own
/// names.
const PREFIX: &str = "load:";

/// Sensors on one connection: a server takes so many topics of a socket, and the connector's own.
const DEVICE_SENSOR_COUNT_MAX: usize = 900;

impl World {
    /// Everyone of a scenario. Whoever shares a connector shares a connection, as on a phone.
    pub fn of_scenario(scenario: &Scenario, seed: u64, scale: Scale) -> Self {
        let mut world = Self::default();
        let copies = scale.devices.ceil().max(1.0) as usize;
        for copy in 0..copies {
            let cast = scenario.cast(seed.wrapping_add(copy as u64));
            if copy == 0 {
                world.faults = cast.fault_plan();
            }
            world.add_cast(cast, copy, (scale.devices - copy as f64).min(1.0), scale.rate);
        }
        world.index();
        world
    }

    /// Adds a part of a cast's connections, and all that is on them.
    fn add_cast(&mut self, cast: Cast, copy: usize, part: f64, rate: f64) {
        let name = |name: &str| -> Arc<str> {
            if copy == 0 { format!("{PREFIX}{name}") } else { format!("{PREFIX}{copy}:{name}") }
                .into()
        };
        let mut connectors: Vec<&Arc<str>> = Vec::new();
        let mut known: HashMap<&Arc<str>, usize> = HashMap::new();
        for sensor in &cast.sensors {
            known.entry(&sensor.card.connector_id).or_insert_with(|| {
                connectors.push(&sensor.card.connector_id);
                connectors.len() - 1
            });
        }
        let taken = (connectors.len() as f64 * part).round().max(1.0) as usize;
        // By connector: the connection that has room.
        let mut devices: Vec<Option<usize>> = vec![None; taken.min(connectors.len())];
        let (first_body, first_number) = (self.body_count, self.sensors.len());
        self.body_count += cast.bodies.len();
        let mut kept = Vec::with_capacity(cast.sensors.len());
        for (number, sensor) in cast.sensors.iter().enumerate() {
            let connector = known[&sensor.card.connector_id];
            let Some(place) = devices.get_mut(connector) else {
                kept.push(None);
                continue;
            };
            let full = |at: &usize| self.devices[*at].sensors.len() == DEVICE_SENSOR_COUNT_MAX;
            let device = place.filter(|at| !full(at)).unwrap_or_else(|| {
                self.devices.push(Device {
                    connector_id: name(&sensor.card.connector_id),
                    connector_name: Arc::clone(&sensor.card.connector_name),
                    sensors: Vec::new(),
                    number: first_number + number,
                    presence: cast.presence(sensor.group).unwrap_or_default().to_vec(),
                });
                self.devices.len() - 1
            });
            *place = Some(device);
            kept.push(Some(self.sensors.len()));
            self.devices[device].sensors.push(self.sensors.len());
            let card = SensorCard {
                sensor_id: name(&sensor.card.sensor_id),
                connector_id: name(&sensor.card.connector_id),
                sampling_rate: sensor.card.sampling_rate * rate,
                ..sensor.card.clone()
            };
            self.sensors.push(Sensor {
                card,
                device,
                body: first_body + sensor.body,
                room: sensor.room.clone(),
                streams: 0..0,
            });
        }
        for stream in cast.streams {
            let Some(sensor) = kept[stream.sensor] else { continue };
            let streams = &mut self.sensors[sensor].streams;
            if streams.start == streams.end {
                *streams = self.streams.len()..self.streams.len();
            }
            streams.end += 1;
            let cadence = if rate == 1.0 {
                stream.cadence
            } else {
                let phase = stream.cadence.phase() as f64 / stream.cadence.cycle().0 as f64;
                Cadence::new(stream.cadence.rate_hz() * rate, phase)
            };
            let CastStream { attribute_id, kind, signal, .. } = stream;
            self.streams.push(Stream { sensor, attribute_id, kind, cadence, signal });
        }
    }

    fn index(&mut self) {
        let ids = self.sensors.iter().enumerate();
        self.by_id = ids.map(|(n, sensor)| (Arc::clone(&sensor.card.sensor_id), n)).collect();
    }

    /// Whether a device comes and goes, or fails, by plan: what is missing of it is not missed.
    pub fn is_afflicted(&self, device: usize) -> bool {
        let device = &self.devices[device];
        !device.presence.is_empty() || self.faults.afflicts(device.number)
    }

    /// Whether a device is there at a time, ms since the beginning.
    pub fn is_present(&self, device: usize, since_ms: i64) -> bool {
        let spans = &self.devices[device].presence;
        spans.is_empty() || spans.iter().any(|(from, to)| (*from..*to).contains(&since_ms))
    }

    /// What is wrong with a device at a time, ms since the beginning.
    pub fn faults_at(&self, device: usize, since_ms: i64) -> Faults {
        self.faults.at(self.devices[device].number, since_ms)
    }

    /// Devices that are all alike, their samples spread evenly over time.
    pub fn uniform(
        devices: usize,
        sensors_per_device: usize,
        rate_hz: f64,
        attribute: &str,
    ) -> Self {
        let sensor_count = devices * sensors_per_device;
        let kind = AttributeType::resolve(Some(attribute), attribute, None);
        let attribute_id: Arc<str> = attribute.into();
        let made_devices = (0..devices).map(|device| {
            let id: Arc<str> = format!("load-device-{device}").into();
            Device {
                connector_id: Arc::clone(&id),
                connector_name: id,
                sensors: (device * sensors_per_device..(device + 1) * sensors_per_device).collect(),
                number: device,
                presence: Vec::new(),
            }
        });
        let made_devices: Vec<Device> = made_devices.collect();
        let sensors = (0..sensor_count).map(|n| {
            let device = n / sensors_per_device;
            let id: Arc<str> = format!("load-{n}").into();
            let card = SensorCard {
                sensor_id: Arc::clone(&id),
                sensor_name: id,
                sensor_type: "load".into(),
                connector_id: Arc::clone(&made_devices[device].connector_id),
                connector_name: Arc::clone(&made_devices[device].connector_name),
                sampling_rate: rate_hz,
            };
            Sensor { card, device, body: 0, room: None, streams: n..n + 1 }
        });
        let sensors = sensors.collect();
        let streams = (0..sensor_count).map(|n| Stream {
            sensor: n,
            attribute_id: Arc::clone(&attribute_id),
            kind,
            cadence: Cadence::new(rate_hz, n as f64 / sensor_count as f64),
            signal: Box::new(Marked { seed: n as u64 }),
        });
        let streams = streams.collect();
        let mut world =
            Self { devices: made_devices, sensors, streams, body_count: 1, ..Self::default() };
        world.index();
        world
    }

    /// The sensor of this id.
    pub fn sensor(&self, sensor_id: &str) -> Option<usize> {
        self.by_id.get(sensor_id).copied()
    }

    /// What this sensor measures under this name.
    pub fn stream(&self, sensor: usize, attribute_id: &str) -> Option<usize> {
        let mut streams = self.sensors[sensor].streams.clone();
        streams.find(|stream| *self.streams[*stream].attribute_id == *attribute_id)
    }

    /// The device that a stream's samples come from.
    pub fn device_of(&self, stream: usize) -> usize {
        self.sensors[self.streams[stream].sensor].device
    }

    pub fn samples_per_second(&self) -> f64 {
        self.streams.iter().map(|stream| stream.cadence.rate_hz()).sum()
    }

    /// When the k-th sample of a stream is to be sent, unix µs: within the millisecond of its
    /// stamp, so that not all of a millisecond's go at once.
    pub fn due_us(&self, stream: usize, k: i64) -> i64 {
        // A Weyl sequence: neighbours are far apart.
        let within = (stream as u64).wrapping_mul(618) % 1000;
        self.streams[stream].cadence.stamp(k).0.saturating_mul(1000) + within as i64
    }

    /// The value of the k-th sample of a stream, into `written`. `memories` has one for each body.
    pub fn measure(&self, stream: usize, k: i64, memories: &mut [Memory], written: &mut Written) {
        let Stream { signal, cadence, sensor, .. } = &self.streams[stream];
        written.payload.clear();
        written.extra.clear();
        let memory = &mut memories[self.sensors[*sensor].body];
        signal.measure(cadence.stamp(k), memory, &mut |payload| {
            let mut bytes = std::mem::take(&mut written.payload).into_bytes();
            match payload {
                Payload::Scalar(cell) => cell.write_json(&mut bytes),
                Payload::Shaped { shape, cells } => shape.write_json(cells, &mut bytes),
                Payload::Text { payload, extra } => {
                    bytes.extend_from_slice(payload.as_bytes());
                    written.extra.push_str(extra);
                }
            }
            written.payload = String::from_utf8(bytes).unwrap_or_default();
        });
    }

    /// A memory for each body.
    pub fn memories(&self) -> Vec<Memory> {
        (0..self.body_count).map(|_| Memory::default()).collect()
    }
}

/// Numbers that no two samples share, of as many digits as a measured value has.
#[derive(Debug)]
struct Marked {
    seed: u64,
}

impl Signal for Marked {
    fn measure(&self, at: Timestamp, _memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        // 49 bits: what an integer cell holds.
        let value = hash(self.seed, at.0 as u64) >> 15;
        put(Payload::Scalar(Cell::integer(value as i64).unwrap_or(Cell::NULL)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_world_is_what_was_asked_for_and_its_samples_are_spread() {
        let world = World::uniform(10, 2, 10.0, "ecg");
        assert_eq!((world.devices.len(), world.sensors.len(), world.streams.len()), (10, 20, 20));
        assert!((world.samples_per_second() - 200.0).abs() < 1e-9);
        let sensor = world.sensor("load-7").unwrap();
        assert_eq!((sensor, world.sensors[sensor].device), (7, 3));
        assert_eq!(world.stream(7, "ecg"), Some(7));
        assert_eq!((world.stream(7, "hrv"), world.sensor("load-20")), (None, None));
        let dues: Vec<i64> = (0..20).map(|stream| world.due_us(stream, 100)).collect();
        let steps: Vec<i64> = dues.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (4000..=6000).contains(step)), "{steps:?}");
    }

    #[test]
    fn a_scenario_is_its_cast_with_one_connection_for_each_connector() {
        let scenario = Scenario::find("few", None).unwrap();
        let cast = scenario.cast(1);
        let world = World::of_scenario(&scenario, 1, Scale::ONE);
        assert_eq!((world.devices.len(), world.sensors.len()), (8, 32));
        assert_eq!(world.streams.len(), cast.streams.len());
        for (mine, theirs) in world.sensors.iter().zip(&cast.sensors) {
            assert_eq!(*mine.card.sensor_id, *format!("load:{}", theirs.card.sensor_id));
            assert_eq!(mine.streams, theirs.streams);
            assert_eq!(
                world.sensor(&mine.card.sensor_id).unwrap(),
                world.streams[mine.streams.start].sensor
            );
        }
        let k = cast.streams[5].cadence.first_after(Timestamp(1_795_000_000_000));
        let (mut written, mut memories) = (Written::default(), world.memories());
        world.measure(5, k, &mut memories, &mut written);
        let mut told = false;
        let at = cast.streams[5].cadence.stamp(k);
        cast.streams[5].signal.measure(at, &mut Memory::default(), &mut |payload| {
            let mut bytes = Vec::new();
            match payload {
                Payload::Scalar(cell) => cell.write_json(&mut bytes),
                Payload::Shaped { shape, cells } => shape.write_json(cells, &mut bytes),
                Payload::Text { payload, .. } => bytes.extend_from_slice(payload.as_bytes()),
            }
            assert_eq!(bytes, written.payload.as_bytes());
            told = true;
        });
        assert!(told);
    }

    #[test]
    fn a_scenario_is_scaled_by_people_and_by_rate() {
        let scenario = Scenario::find("few", None).unwrap();
        let one = World::of_scenario(&scenario, 1, Scale::ONE);
        let more = World::of_scenario(&scenario, 1, Scale { devices: 2.5, rate: 1.0 });
        assert_eq!((more.devices.len(), more.sensors.len()), (20, 80));
        assert_eq!(more.sensors.len(), more.by_id.len(), "no two have one name");
        let less = World::of_scenario(&scenario, 1, Scale { devices: 0.25, rate: 1.0 });
        assert_eq!((less.devices.len(), less.sensors.len()), (2, 8));
        let faster = World::of_scenario(&scenario, 1, Scale { devices: 1.0, rate: 2.0 });
        let ratio = faster.samples_per_second() / one.samples_per_second();
        assert!((ratio - 2.0).abs() < 1e-6, "{ratio}");
    }

    #[test]
    fn values_are_recomputed_from_their_number() {
        let world = World::uniform(2, 1, 10.0, "ecg");
        let (mut a, mut b) = (Written::default(), Written::default());
        let mut memories = world.memories();
        world.measure(0, 17_950_000_000, &mut memories, &mut a);
        world.measure(0, 17_950_000_001, &mut memories, &mut b);
        assert!(a.payload != b.payload && a.payload.len() >= 12, "{} {}", a.payload, b.payload);
        world.measure(0, 17_950_000_000, &mut world.memories(), &mut b);
        assert_eq!(a.payload, b.payload);
        world.measure(1, 17_950_000_000, &mut memories, &mut b);
        assert_ne!(a.payload, b.payload, "every sensor has its own");
    }
}

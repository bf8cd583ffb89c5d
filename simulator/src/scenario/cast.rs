//! Everyone of a scenario, drawn by a seed: bodies, sensors, and what each measures when.

use std::ops::Range;
use std::sync::Arc;

use components::attribute::AttributeType;
use components::command::SensorCard;

use super::Scenario;
use super::template::{BreatheWith, Chosen, Group, Setting};
use super::tree::Drawn;
use crate::cadence::Cadence;
use crate::chance::{hash, uniform};
use crate::crowd::CrowdSpec;
use crate::fault::{FaultPlan, FaultSpec};
use crate::math::{cos, sin_cos};
use crate::person::{Coupling, Person, PersonSpec};
use crate::signal::{Body, Given, Signal};

/// Metres of a degree of latitude, on the mean.
const DEGREE_M: f64 = 111_195.0;

/// A drawn scenario. Sensors are in the order of the file, all of a body together.
#[derive(Debug)]
pub struct Cast {
    /// The scenario's name.
    pub name: String,
    pub seed: u64,
    pub bodies: Vec<Body>,
    pub sensors: Vec<CastSensor>,
    pub streams: Vec<CastStream>,
    pub crowds: Vec<CrowdSpec>,
    pub faults: Vec<FaultSpec>,
    /// By group: when it is there. See [`Cast::presence`].
    presence: Vec<Vec<(i64, i64)>>,
}

#[derive(Debug)]
pub struct CastSensor {
    pub card: SensorCard,
    pub body: usize,
    /// Whose viewers watch it. A name within the scenario; nobody joins a room by it.
    pub room: Option<Arc<str>>,
    /// Into [`Cast::streams`].
    pub streams: Range<usize>,
    /// Which template the body is of, in the order of the file.
    pub group: usize,
}

/// One attribute of one sensor.
#[derive(Debug)]
pub struct CastStream {
    pub sensor: usize,
    /// Of its attribute on its sensor.
    pub index: u16,
    pub attribute_id: Arc<str>,
    pub kind: AttributeType,
    pub cadence: Cadence,
    pub signal: Box<dyn Signal>,
}

/// What the numbers of a body are for.
const COUPLING_STRENGTH: u64 = 2001;
const COUPLING_LAG: u64 = 2002;
const PLACE_DISTANCE: u64 = 2003;
const PLACE_DIRECTION: u64 = 2004;
/// And of a stream.
const PHASE: u64 = 1;

impl Cast {
    pub(super) fn drawn(scenario: &Scenario, seed: u64) -> Self {
        let mut cast = Self {
            name: scenario.name.clone(),
            seed,
            bodies: Vec::new(),
            sensors: Vec::new(),
            streams: Vec::new(),
            crowds: scenario.crowds.clone(),
            faults: scenario.faults.clone(),
            presence: vec![Vec::new(); scenario.groups.len()],
        };
        for (group, spans) in &scenario.schedule.0 {
            cast.presence[*group].clone_from(spans);
        }
        for (index, group) in scenario.groups.iter().enumerate() {
            // By the group's own name: a template more changes nobody of another.
            let group_seed = hash(seed, word(&group.id));
            for n in 0..group.count {
                cast.add_body(group, index, n, hash(group_seed, n as u64), seed);
            }
        }
        cast
    }

    /// What goes wrong with the sensors, by their number, ms since the start.
    pub fn fault_plan(&self) -> FaultPlan {
        FaultPlan::new(&self.faults, hash(self.seed, word("faults")))
    }

    /// Spans of ms since the start, from the first up to and without the second, in which the
    /// sensors of a [`CastSensor::group`] are there; `None`: always.
    pub fn presence(&self, group: usize) -> Option<&[(i64, i64)]> {
        let spans = &self.presence[group];
        (!spans.is_empty()).then_some(spans)
    }

    /// Whether the group is there at this time.
    pub fn is_present(&self, group: usize, since_start_ms: i64) -> bool {
        self.presence(group).is_none_or(|spans| {
            spans.iter().any(|(from, to)| (*from..*to).contains(&since_start_ms))
        })
    }

    fn add_body(&mut self, group: &Group, index: usize, n: usize, own: u64, seed: u64) {
        let body_index = self.bodies.len();
        let id = group.member_id(n);
        let name: Arc<str> = group.member_name(n).into();
        let person = group.are_people.then(|| Arc::new(Person::new(spec(group, own, seed), own)));
        let body = Body { seed: own, person, position: place(group, own) };
        let connector_id = group.connector_id.clone().unwrap_or_else(|| format!("sim:{id}").into());
        let connector_name = group.connector_name.clone().unwrap_or_else(|| Arc::clone(&name));
        for device in &group.devices {
            let device_seed = hash(own, word(&device.name));
            let first = self.streams.len();
            for (number, attribute) in device.attributes.iter().enumerate() {
                let stream_seed = hash(device_seed, word(&attribute.id));
                let mut given = Given::default();
                for setting in &attribute.settings {
                    setting.give(&mut given, attribute.model, stream_seed);
                }
                self.streams.push(CastStream {
                    sensor: self.sensors.len(),
                    index: number as u16,
                    attribute_id: Arc::clone(&attribute.id),
                    kind: attribute.model.kind,
                    cadence: Cadence::new(attribute.rate_hz, uniform(stream_seed, PHASE, 0.0, 1.0)),
                    signal: attribute.model.build(&given, &body, stream_seed),
                });
            }
            self.sensors.push(CastSensor {
                card: SensorCard {
                    sensor_id: device.id_on(&id).into(),
                    sensor_name: Arc::clone(&name),
                    sensor_type: Arc::clone(&device.sensor_type),
                    connector_id: Arc::clone(&connector_id),
                    connector_name: Arc::clone(&connector_name),
                    sampling_rate: device.attributes[0].rate_hz,
                },
                body: body_index,
                room: group.room.clone(),
                streams: first..self.streams.len(),
                group: index,
            });
        }
        self.bodies.push(body);
    }
}

/// A person of the group.
fn spec(group: &Group, own: u64, seed: u64) -> PersonSpec {
    const CHECKED: &str = "checked as the scenario was read";
    let mut spec = PersonSpec::drawn(own);
    for setting in &group.settings {
        match &setting.value {
            Chosen::Number(drawn) => {
                let value = draw(*drawn, own, word(setting.name));
                spec.set_number(setting.name, value).expect(CHECKED);
            }
            Chosen::Words(words) => {
                let word = one_of(words, own, word(setting.name));
                spec.set_word(setting.name, word).expect(CHECKED);
            }
            Chosen::Flag(_) => unreachable!("no parameter of a person is a flag"),
        }
    }
    spec.coupling = group.breathe_with.as_ref().map(|with| coupling(with, own, seed));
    spec
}

fn coupling(with: &BreatheWith, own: u64, seed: u64) -> Coupling {
    let group_seed = hash(hash(seed, word("breath")), word(&with.group));
    Coupling {
        group_seed,
        strength: draw(with.strength, own, COUPLING_STRENGTH),
        lag_s: draw(with.lag_s, own, COUPLING_LAG),
        // Slow, as people who breathe together are told to.
        breaths_per_min: with.breaths_per_min.unwrap_or(uniform(group_seed, 0, 6.0, 9.0)),
    }
}

/// Somewhere within the group's circle, every square metre as likely.
fn place(group: &Group, own: u64) -> Option<(f64, f64)> {
    let (latitude, longitude) = group.position?;
    if group.spread_m == 0.0 {
        return group.position;
    }
    let distance_m = group.spread_m * uniform(own, PLACE_DISTANCE, 0.0, 1.0).sqrt();
    let (east, north) = sin_cos(uniform(own, PLACE_DIRECTION, 0.0, std::f64::consts::TAU));
    // At a pole all longitudes are near.
    let narrow = cos(latitude.to_radians()).max(1e-3);
    let longitude = longitude + distance_m * east / DEGREE_M / narrow;
    Some((
        (latitude + distance_m * north / DEGREE_M).clamp(-90.0, 90.0),
        (longitude + 180.0).rem_euclid(360.0) - 180.0,
    ))
}

impl Setting {
    fn give(&self, given: &mut Given, model: &'static crate::signal::Model, seed: u64) {
        let number = word(self.name);
        let outcome = match &self.value {
            Chosen::Number(drawn) => given.set_number(model, self.name, draw(*drawn, seed, number)),
            Chosen::Words(words) => given.set_word(model, self.name, one_of(words, seed, number)),
            Chosen::Flag(flag) => given.set_flag(model, self.name, *flag),
        };
        outcome.expect("checked as the scenario was read");
    }
}

fn draw(drawn: Drawn, seed: u64, number: u64) -> f64 {
    match drawn {
        Drawn::Is(value) => value,
        Drawn::Between(low, high) => uniform(seed, number, low, high).clamp(low, high),
    }
}

fn one_of<'a>(words: &[&'a str], seed: u64, number: u64) -> &'a str {
    words[(hash(seed, number) % words.len() as u64) as usize]
}

/// A word as a number (FNV-1a, 64 bits), the same on every machine.
fn word(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

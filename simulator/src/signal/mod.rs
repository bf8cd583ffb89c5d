//! Everything a made-up device can measure: one model for each kind of value, by name.
//!
//! A signal is a pure function of its model, what the model was told, whoever wears the sensor, a
//! seed and the time, in seconds and never in samples: any process that knows these computes the
//! truth of any instant, at whatever rate and in whatever order it asks.

mod actuator;
mod device;
mod effort;
mod environment;
mod eye;
mod given;
mod heart;
mod hydrology;
mod location;
mod marine;
mod motion;
mod muscle;
mod numeric;
mod payload;
mod skeleton;
mod skin;
mod sky;
mod track;
mod wearable;

use std::fmt;
use std::sync::{Arc, LazyLock};

use components::attribute::AttributeType;
use components::sample::{Payload, Timestamp};

pub use crate::person::Memory;
use crate::person::{Person, PersonSpec};
use given::Chosen;
pub use given::{Given, GivenError, Parameter, Sort};

/// One value over time.
pub trait Signal: fmt::Debug + Send + Sync {
    /// Hands the sample at `at` to `put`, once. A pure function of the time and of what the signal
    /// was built of; `memory`, which belongs to the body, only saves time.
    fn measure(&self, at: Timestamp, memory: &mut Memory, put: &mut dyn FnMut(Payload<'_>));
}

/// One kind of signal.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    pub name: &'static str,
    pub kind: AttributeType,
    /// Of the value, or of its parts in their order; empty where there is none.
    pub unit: &'static str,
    /// Every number of a sample is within these, both included, whatever it was told.
    pub range: (f64, f64),
    /// Samples per second when nothing else is said, and the most that make sense.
    pub rate_hz: f64,
    pub rate_hz_max: f64,
    pub parameters: &'static [Parameter],
    /// The paper, standard or section of the reference it follows.
    pub source: &'static str,
    pub sentence: &'static str,
    build: Build,
}

type Build = fn(&Chosen<'_>, &Body, u64) -> Box<dyn Signal>;

impl Model {
    /// One without parameters; `rates_hz` are the usual one and the highest.
    pub(crate) const fn new(
        name: &'static str,
        kind: AttributeType,
        (unit, range): (&'static str, (f64, f64)),
        (rate_hz, rate_hz_max): (f64, f64),
        source: &'static str,
        sentence: &'static str,
        build: Build,
    ) -> Self {
        let parameters = &[];
        Self { name, kind, unit, range, rate_hz, rate_hz_max, parameters, source, sentence, build }
    }

    pub(crate) const fn taking(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    /// The signal of one sensor on `body`. `seed` is the sensor's own: its noise, its phases.
    pub fn build(&self, given: &Given, body: &Body, seed: u64) -> Box<dyn Signal> {
        (self.build)(&Chosen { parameters: self.parameters, given }, body, seed)
    }
}

/// Who or what wears the sensors.
#[derive(Debug, Clone, Default)]
pub struct Body {
    pub seed: u64,
    pub person: Option<Arc<Person>>,
    /// Latitude and longitude in degrees.
    pub position: Option<(f64, f64)>,
}

impl Body {
    /// The person, or the one that the seed makes: the same for every sensor on this body.
    pub(crate) fn someone(&self) -> Arc<Person> {
        match &self.person {
            Some(person) => Arc::clone(person),
            None => Arc::new(Person::new(PersonSpec::drawn(self.seed), self.seed)),
        }
    }
}

/// Every model, by family.
pub fn models() -> &'static [Model] {
    static ALL: LazyLock<Vec<Model>> = LazyLock::new(|| {
        [
            heart::MODELS,
            skin::MODELS,
            muscle::MODELS,
            wearable::MODELS,
            eye::MODELS,
            skeleton::MODELS,
            motion::MODELS,
            effort::MODELS,
            location::MODELS,
            environment::MODELS,
            marine::MODELS,
            hydrology::MODELS,
            device::MODELS,
            actuator::MODELS,
            numeric::MODELS,
        ]
        .concat()
    });
    &ALL
}

/// The model of exactly this name.
pub fn named(name: &str) -> Option<&'static Model> {
    models().iter().find(|model| model.name == name)
}

/// The model of this name, or of what devices and NeuroKit2 mean by it (`gps`, `bpm`, `rsp`).
pub fn model(name: &str) -> Option<&'static Model> {
    named(name).or_else(|| match (name, AttributeType::infer(name, None)) {
        ("rsp" | "respiratory", _) => named("respiration"),
        // Of what it means nothing is known.
        (_, AttributeType::Numeric) => None,
        (_, kind) => named(kind.name()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{self, ORIGIN_MS};
    use components::cell::{Cell, Leaf};

    /// The constant part of a payload and its numbers.
    pub(super) fn values(
        signal: &dyn Signal,
        at: Timestamp,
        memory: &mut Memory,
    ) -> (String, Vec<f64>) {
        let mut put = Vec::new();
        signal.measure(at, memory, &mut |payload| {
            let of = |cell: u64| match Cell(cell).leaf() {
                Leaf::Float(value) => value,
                Leaf::Integer(value) => value as f64,
                Leaf::True => 1.0,
                Leaf::False => 0.0,
                other => panic!("no number: {other:?}"),
            };
            put.push(match payload {
                Payload::Scalar(cell) => ("number".to_owned(), vec![of(cell.0)]),
                Payload::Shaped { shape, cells } => {
                    assert_eq!(cells.len(), shape.width());
                    let text = String::from_utf8(shape.skeleton().to_vec()).unwrap();
                    (text, cells.iter().map(|&cell| of(cell)).collect())
                }
                Payload::Text { payload, extra } => {
                    serde_json::from_str::<serde_json::Value>(payload).expect("payloads are JSON");
                    let around = format!("{{\"payload\":{payload}{extra}}}");
                    serde_json::from_str::<serde_json::Value>(&around)
                        .expect("and what rides along");
                    ("text".to_owned(), payload.parse().into_iter().collect())
                }
            });
        });
        assert_eq!(put.len(), 1, "one sample for one question");
        put.remove(0)
    }

    fn bodies() -> Vec<Body> {
        let mut bodies = vec![Body { seed: 5, person: None, position: Some((-33.9, 151.2)) }];
        for (n, activity) in crate::activity::ACTIVITIES.iter().enumerate() {
            let seed = 40 + n as u64;
            let mut spec = PersonSpec::drawn(seed);
            spec.set_word("activity", activity).unwrap();
            let person = Some(Arc::new(Person::new(spec, seed)));
            bodies.push(Body { seed, person, position: Some((47.0, 8.0)) });
        }
        bodies
    }

    /// A day in uneven steps, and a second of each millisecond.
    fn day() -> Vec<Timestamp> {
        let coarse = (0..90).map(|n| n * 961_337);
        let fine = (0..60).map(|n| 40_000_000 + n * 17);
        coarse.chain(fine).map(|ms| Timestamp(ORIGIN_MS + 17_000_000_000 + ms)).collect()
    }

    #[test]
    fn every_model_measures_a_day_finite_in_its_range_and_the_same_in_any_order() {
        for body in bodies() {
            let mut memory = Memory::default();
            for model in models() {
                let signal = model.build(&Given::default(), &body, 9);
                let forth: Vec<_> =
                    day().iter().map(|&at| values(&*signal, at, &mut memory)).collect();
                for (shape, numbers) in &forth {
                    // The battery has a second shape, as its `charging` is a word.
                    let same = *shape == forth[0].0 || model.name == "battery";
                    assert!(same, "{} changes its shape: {shape}", model.name);
                    for &number in numbers {
                        let (low, high) = model.range;
                        let within = number.is_finite() && number >= low && number <= high;
                        assert!(within, "{} is {number}, not in {low} to {high}", model.name);
                    }
                }
                let again = model.build(&Given::default(), &body, 9);
                let mut back: Vec<_> = (day().iter().rev())
                    .map(|&at| values(&*again, at, &mut Memory::default()))
                    .collect();
                back.reverse();
                assert_eq!(forth, back, "{} depends on what was asked before", model.name);
            }
        }
    }

    #[test]
    fn models_vary_with_their_seed_or_their_body() {
        let constant = ["status", "body_location", "eye_worn", "eye_blink", "button"];
        let still = ["steps", "distance", "speed", "course"];
        for model in models() {
            let of = |seed: u64| {
                let mut memory = Memory::default();
                let signal =
                    model.build(&Given::default(), &Body { seed, ..Body::default() }, seed);
                day().iter().map(|&at| values(&*signal, at, &mut memory).1).collect::<Vec<_>>()
            };
            if constant.contains(&model.name) || still.contains(&model.name) {
                continue;
            }
            if model.name != "rich_presence" {
                assert_ne!(of(1), of(2), "{}", model.name);
            }
        }
    }

    #[test]
    fn the_list_is_whole_and_each_is_what_its_name_says() {
        for &kind in AttributeType::ALL {
            let found = models().iter().any(|model| model.kind == kind);
            assert!(found, "no model of type {}", kind.name());
            if kind != AttributeType::Numeric {
                assert_eq!(model(kind.name()).unwrap().kind, kind);
            }
        }
        let mut names: Vec<_> = models().iter().map(|model| model.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), models().len(), "names are unique");
        for model in models() {
            assert!(components::attribute::is_attribute_id(model.name), "{}", model.name);
            let resolved = AttributeType::resolve(None, model.name, None);
            if resolved != AttributeType::Numeric {
                assert_eq!(resolved, model.kind, "{}", model.name);
            }
            assert!(model.rate_hz > 0.0 && model.rate_hz <= model.rate_hz_max, "{}", model.name);
            assert!(!model.source.is_empty() && model.sentence.ends_with('.'), "{}", model.name);
        }
        for (name, meant) in [
            ("gps", "geolocation"),
            ("bpm", "heartrate"),
            ("gaze", "eye_gaze"),
            ("motion", "imu"),
            ("rsp", "respiration"),
        ] {
            assert_eq!(model(name).unwrap().name, meant);
            assert!(named(name).is_none(), "{name} is not its name");
        }
        assert!(model("nonsense").is_none());
    }

    /// Frequencies were once per sample: the motion changed with the rate.
    #[test]
    fn at_common_instants_every_rate_measures_the_same() {
        for model in models() {
            let body = Body { seed: 3, ..Body::default() };
            let signal = model.build(&Given::default(), &body, 4);
            let run = |rate_hz: i64| {
                let mut memory = Memory::default();
                (0..=2 * rate_hz)
                    .map(|k| {
                        let at = Timestamp(ORIGIN_MS + (k * 1000 + rate_hz / 2) / rate_hz);
                        (at, values(&*signal, at, &mut memory))
                    })
                    .collect::<std::collections::BTreeMap<_, _>>()
            };
            let (fast, slow) = (run(110), run(50));
            let common: Vec<_> = fast.iter().filter(|&(at, _)| slow.contains_key(at)).collect();
            assert!(common.len() > 20, "{} instants in common", common.len());
            assert!(common.iter().all(|&(at, value)| slow[at] == *value), "{}", model.name);
        }
    }

    #[test]
    fn a_memory_of_another_heart_is_of_no_effect() {
        let (one, other) =
            (Body { seed: 1, ..Body::default() }, Body { seed: 2, ..Body::default() });
        let hrv = |body: &Body| model("hrv").unwrap().build(&Given::default(), body, 1);
        let mut shared = Memory::default();
        for &at in &day() {
            for body in [&one, &other] {
                let alone = values(&*hrv(body), at, &mut Memory::default());
                assert_eq!(values(&*hrv(body), at, &mut shared), alone);
            }
        }
    }

    #[test]
    fn every_parameter_of_every_model_is_checked_and_works_at_its_ends() {
        let body = Body { seed: 8, ..Body::default() };
        let at = day()[3];
        let works = |model: &Model, given: &Given| {
            let (_, numbers) = values(&*model.build(given, &body, 1), at, &mut Memory::default());
            let (low, high) = model.range;
            assert!(numbers.iter().all(|&n| n >= low && n <= high), "{} {given:?}", model.name);
        };
        for model in models() {
            for parameter in model.parameters {
                let mut given = Given::default();
                match parameter.sort {
                    Sort::Number { min, max, default } => {
                        assert!(min <= default && default <= max);
                        for value in [min, max] {
                            given.set_number(model, parameter.name, value).unwrap();
                            works(model, &given);
                        }
                        let wide = max * 2.0 + 1.0;
                        let told = given.set_number(model, parameter.name, wide).unwrap_err();
                        let told = told.to_string();
                        assert!(told.contains(&format!("from {min} to {max}")), "{told}");
                        assert!(given.set_number(model, parameter.name, f64::NAN).is_err());
                        assert!(given.set_word(model, parameter.name, "x").is_err());
                    }
                    Sort::Word { choices, default } => {
                        assert!(choices.contains(&default));
                        for word in choices {
                            given.set_word(model, parameter.name, word).unwrap();
                            works(model, &given);
                        }
                        assert!(given.set_word(model, parameter.name, "x").is_err());
                        assert!(given.set_number(model, parameter.name, 1.0).is_err());
                    }
                    Sort::Flag { default } => {
                        given.set_flag(model, parameter.name, !default).unwrap();
                        works(model, &given);
                    }
                }
            }
        }
        let told = Given::default().set_number(model("ecg").unwrap(), "x", 1.0).unwrap_err();
        assert_eq!(told.to_string(), "`x` is not known: there is nothing to choose here");
    }

    #[test]
    fn people_made_of_the_ends_of_their_ranges_are_measured_too() {
        for at_the_top in [false, true] {
            for activity in crate::activity::ACTIVITIES {
                let mut spec = PersonSpec::drawn(1);
                spec.set_word("activity", activity).unwrap();
                for parameter in person::PARAMETERS {
                    if let Sort::Number { min, max, .. } = parameter.sort {
                        let value = if at_the_top { max } else { min };
                        spec.set_number(parameter.name, value).unwrap();
                    }
                }
                let person = Some(Arc::new(Person::new(spec, 1)));
                let body = Body { seed: 1, person, position: Some((90.0, -180.0)) };
                let mut memory = Memory::default();
                for model in models() {
                    let signal = model.build(&Given::default(), &body, 1);
                    for &at in &day() {
                        let (_, numbers) = values(&*signal, at, &mut memory);
                        let (low, high) = model.range;
                        let within = numbers.iter().all(|&n| n >= low && n <= high);
                        assert!(
                            within,
                            "{} of someone who does {activity}: {numbers:?}",
                            model.name
                        );
                    }
                }
            }
        }
    }
}

//! Everything a made-up device can measure: one model for each kind of value, by name.
//!
//! A signal is a pure function of its model, what the model was told, whoever wears the sensor, a
//! seed and the time, in seconds and never in samples: any process that knows these computes the
//! truth of any instant, at whatever rate and in whatever order it asks.

mod body;
mod given;
mod payload;

use std::fmt;
use std::sync::Arc;

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
    /// Samples per second when nothing else is said, and the most that make sense.
    pub rate_hz: f64,
    pub rate_hz_max: f64,
    pub parameters: &'static [Parameter],
    /// The paper, standard or section of the reference it follows.
    pub source: &'static str,
    pub sentence: &'static str,
    build: fn(&Chosen<'_>, &Body, u64) -> Box<dyn Signal>,
}

impl Model {
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
    body::MODELS
}

/// The model of this name.
pub fn model(name: &str) -> Option<&'static Model> {
    models().iter().find(|model| model.name == name)
}

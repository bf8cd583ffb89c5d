//! What an activity adds up to since midnight (UTC): steps, metres, kilocalories.

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::motion::Motion;
use super::payload::{number, whole_number};
use super::{Body, Memory, Model};
use crate::activity::Activity;
use crate::math::rounded;
use crate::person::{Person, seconds};
use std::sync::Arc;

const DAY_S: f64 = 86_400.0;

#[derive(Debug)]
struct Effort {
    person: Arc<Person>,
    motion: Motion,
}

impl Effort {
    fn new(body: &Body, seed: u64) -> Self {
        Self { person: body.someone(), motion: Motion::new(body, seed) }
    }

    fn activity(&self) -> Activity {
        self.person.spec().activity()
    }

    /// Whole steps in `(from, to]`. A cyclist makes none.
    fn steps(&self, from: f64, to: f64) -> f64 {
        match self.activity() {
            Activity::Cycle => 0.0,
            _ => self.motion.steps(to).floor() - self.motion.steps(from).floor(),
        }
    }

    /// Metres: who steps goes a step's length with each, which at the usual cadence is the
    /// activity's speed.
    fn metres(&self, from: f64, to: f64) -> f64 {
        let speed = self.activity().speed_m_s();
        match (self.activity(), self.activity().cadence_hz()) {
            (Activity::Walk | Activity::Run, Some(usual)) => {
                speed / usual * (self.motion.steps(to) - self.motion.steps(from))
            }
            _ => speed * (to - from),
        }
    }

    /// Kilocalories: MET times 3.5 ml of oxygen a kg and minute, at 5 kcal a litre (American
    /// College of Sports Medicine).
    fn kilocalories(&self, from: f64, to: f64) -> f64 {
        self.activity().met() * 3.5 * self.person.spec().weight_kg / 200.0 * (to - from) / 60.0
    }
}

/// The last midnight and now, in seconds.
fn today(at: Timestamp) -> (f64, f64) {
    let now = seconds(at);
    ((now / DAY_S).floor() * DAY_S, now)
}

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "steps",
        AttributeType::Steps,
        ("", (0.0, 400_000.0)),
        (1.0, 10.0),
        "the very steps of the accelerometer",
        "Steps since midnight.",
        |_, body, seed| {
            whole_number(Effort::new(body, seed), |effort, at, _: &mut Memory| {
                let (from, to) = today(at);
                effort.steps(from, to)
            })
        },
    ),
    Model::new(
        "distance",
        AttributeType::Distance,
        ("m", (0.0, 1_000_000.0)),
        (1.0, 10.0),
        "a step's length with each step",
        "Metres gone since midnight.",
        |_, body, seed| {
            number(Effort::new(body, seed), |effort, at, _| {
                let (from, to) = today(at);
                rounded(effort.metres(from, to), 10.0)
            })
        },
    ),
    Model::new(
        "calories",
        AttributeType::Calories,
        ("kcal", (0.0, 80_000.0)),
        (0.2, 1.0),
        "2011 Compendium of Physical Activities; American College of Sports Medicine",
        "Energy spent since midnight.",
        |_, body, seed| {
            number(Effort::new(body, seed), |effort, at, _| {
                let (from, to) = today(at);
                rounded(effort.kilocalories(from, to), 10.0)
            })
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{ORIGIN_MS, PersonSpec};

    fn doing(activity: &str) -> Effort {
        let mut spec = PersonSpec::drawn(3);
        spec.set_word("activity", activity).unwrap();
        spec.set_number("weight", 70.0).unwrap();
        let person = Some(Arc::new(Person::new(spec, 3)));
        Effort::new(&Body { seed: 3, person, position: None }, 1)
    }

    #[test]
    fn an_hour_of_each_activity_costs_what_the_compendium_says() {
        for (activity, steps, km, kcal) in [
            ("sleep", 0.0, 0.0, 70.0),
            ("sit", 0.0, 0.0, 95.0),
            ("walk", 6840.0, 5.0, 257.0),
            ("run", 9900.0, 10.0, 720.0),
            ("cycle", 0.0, 20.0, 500.0),
        ] {
            let effort = doing(activity);
            let (from, to) = (7200.0, 10_800.0);
            let near = |made: f64, expected: f64| (made - expected).abs() <= 0.06 * expected;
            assert!(near(effort.steps(from, to), steps), "{activity}: {}", effort.steps(from, to));
            assert!(near(effort.metres(from, to) / 1000.0, km), "{activity}");
            assert!(near(effort.kilocalories(from, to), kcal), "{activity}");
        }
    }

    #[test]
    fn the_day_begins_anew_at_midnight() {
        let day_ms = 86_400_000;
        let (before, after) = (
            today(Timestamp(ORIGIN_MS + 5 * day_ms - 1)),
            today(Timestamp(ORIGIN_MS + 5 * day_ms)),
        );
        assert_eq!((before.1 - before.0).round(), 86_400.0);
        assert_eq!(after.1 - after.0, 0.0);
    }
}

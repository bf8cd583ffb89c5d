//! The battery of a wearable: it drains while worn and charges on its cradle.

use std::sync::Arc;

use components::attribute::AttributeType;
use components::sample::{Payload, Timestamp};

use super::given::Chosen;
use super::payload::{Form, cell, form, put_cells};
use super::{Body, Memory, Model, Parameter, Signal};
use crate::chance::uniform;
use crate::math::rounded;
use crate::person::seconds;

static DRAINING: Form = Form::new(|| form(b"{\"level\":\x01,\"charging\":\"no\"}"));
static CHARGING: Form = Form::new(|| form(b"{\"level\":\x01,\"charging\":\"yes\"}"));

/// A saw tooth: down from `high` to `low` percent in `drain_s`, up again in `charge_s`.
#[derive(Debug)]
struct Battery {
    drain_s: f64,
    charge_s: f64,
    low: f64,
    high: f64,
    /// Part of a cycle that was over at the beginning of time.
    phase: f64,
}

impl Battery {
    fn new(chosen: &Chosen<'_>, body: &Body, seed: u64) -> Self {
        let hours = chosen
            .given_number("hours")
            .or_else(|| body.person.as_ref().map(|person| person.spec().battery_hours))
            .unwrap_or_else(|| chosen.number("hours"));
        let (one, other) = (chosen.number("low"), chosen.number("high"));
        let (low, high) = (one.min(other), one.max(other).max(one.min(other) + 1.0));
        let part = (high - low) / 100.0;
        Self {
            drain_s: hours * 3600.0 * part * uniform(seed, 1, 0.9, 1.1),
            charge_s: chosen.number("charge_hours") * 3600.0 * part * uniform(seed, 2, 0.9, 1.1),
            low,
            high,
            phase: uniform(seed, 3, 0.0, 1.0),
        }
    }

    /// Percent, and whether it charges.
    fn at(&self, seconds: f64) -> (f64, bool) {
        let cycle = self.drain_s + self.charge_s;
        let turns = seconds / cycle + self.phase;
        let into = (turns - turns.floor()) * cycle;
        let span = self.high - self.low;
        if into < self.drain_s {
            (self.high - span * into / self.drain_s, false)
        } else {
            (self.low + span * (into - self.drain_s) / self.charge_s, true)
        }
    }
}

impl Signal for Battery {
    fn measure(&self, at: Timestamp, _: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let (level, charging) = self.at(seconds(at));
        let form: &Arc<_> = if charging { &CHARGING } else { &DRAINING };
        put_cells(form, [cell(rounded(level.clamp(0.0, 100.0), 10.0))], put);
    }
}

pub(super) const MODELS: &[Model] = &[Model::new(
    "battery",
    AttributeType::Battery,
    ("%", (0.0, 100.0)),
    (0.05, 1.0),
    "reference/collab.md 21.6, as a function of time: reading it does not move it",
    "Charge of the wearable, and whether it charges.",
    |chosen, body, seed| Box::new(Battery::new(chosen, body, seed)),
)
.taking(&[
    Parameter::number(
        "hours",
        "h",
        (0.05, 100_000.0),
        12.0,
        "How long a full battery lasts; the person's battery_hours where there is a person.",
    ),
    Parameter::number("charge_hours", "h", (0.05, 1000.0), 1.7, "How long charging it takes."),
    Parameter::number("low", "%", (0.0, 99.0), 8.0, "The charge at which it is put to charge."),
    Parameter::number("high", "%", (1.0, 100.0), 100.0, "The charge at which it is taken off."),
])];

#[cfg(test)]
mod tests {
    use super::super::{Given, model};
    use super::*;
    use crate::person::{Person, PersonSpec};

    fn battery(hours: f64, seed: u64) -> Battery {
        let mut spec = PersonSpec::drawn(seed);
        spec.set_number("battery_hours", hours).unwrap();
        let person = Some(Arc::new(Person::new(spec, seed)));
        let given = Given::default();
        let chosen = Chosen { parameters: model("battery").unwrap().parameters, given: &given };
        Battery::new(&chosen, &Body { seed, person, position: None }, seed)
    }

    #[test]
    fn it_falls_while_it_drains_and_rises_while_it_charges() {
        for seed in 0..20 {
            let battery = battery(10.0, seed);
            let mut before = battery.at(0.0);
            let (mut drained_s, mut plugs) = (0, 0);
            for minute in 1..20_000 {
                let now = battery.at(f64::from(minute) * 60.0);
                match (before.1, now.1) {
                    (false, false) => assert!(now.0 < before.0),
                    (true, true) => assert!(now.0 > before.0),
                    (false, true) => plugs += 1,
                    (true, false) => {}
                }
                drained_s += if now.1 { 0 } else { 60 };
                assert!((8.0..=100.0).contains(&now.0));
                before = now;
            }
            let hours = f64::from(drained_s) / 3600.0 / f64::from(plugs) / 0.92;
            assert!((8.3..11.8).contains(&hours), "a full one lasts {hours} h, 10 asked");
        }
    }
}

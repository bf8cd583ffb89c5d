//! A number between two others: what is measured and has no model of its own.

use components::attribute::AttributeType;

use super::Model;
use super::payload::number;
use crate::chance::{noise, uniform};
use crate::math::{rounded, wave};
use crate::person::seconds;

/// Parts of the half range: two waves of their period in seconds, and noise, which is cut off at
/// 3.5 standard deviations. Together they reach the ends and never leave them.
const SLOW: (f64, f64) = (0.6, 63.0);
const FAST: (f64, f64) = (0.3, 17.3);
const NOISE: f64 = 0.1 / 3.5;

#[derive(Debug)]
struct Wanderer {
    low: f64,
    high: f64,
    phases: [f64; 2],
    /// A thousandth of the range or finer, and a decimal.
    steps_per_unit: f64,
    seed: u64,
}

impl Wanderer {
    fn new(a: f64, b: f64, seed: u64) -> Self {
        let (low, high) = (a.min(b), a.max(b));
        let mut steps_per_unit = 1.0;
        while steps_per_unit * (high - low) < 1000.0 && steps_per_unit < 1e9 {
            steps_per_unit *= 10.0;
        }
        let phases = [uniform(seed, 900, 0.0, 1.0), uniform(seed, 901, 0.0, 1.0)];
        Self { low, high, phases, steps_per_unit, seed }
    }
}

pub(super) const MODELS: &[Model] = &[Model::new(
    "numeric",
    AttributeType::Numeric,
    ("", (-1e9, 1e9)),
    (1.0, 100.0),
    "reference/collab.md 21.4, any other; of seconds, and without white noise over the whole range",
    "Any number: it wanders from one end of its range to the other.",
    |chosen, _, seed| {
        let wanderer = Wanderer::new(chosen.number("min"), chosen.number("max"), seed);
        number(wanderer, |it, at, _| {
            let now = seconds(at);
            let part = SLOW.0 * wave(now / SLOW.1 + it.phases[0])
                + FAST.0 * wave(now / FAST.1 + it.phases[1])
                + NOISE * noise(it.seed, at.0 as u64);
            let value = 0.5 * (it.low + it.high) + 0.5 * (it.high - it.low) * part;
            rounded(value, it.steps_per_unit).clamp(it.low, it.high)
        })
    },
)
.taking(&[
    super::Parameter::number("min", "", (-1e9, 1e9), 70.0, "The lowest it gets."),
    super::Parameter::number("max", "", (-1e9, 1e9), 80.0, "The highest it gets."),
])];

#[cfg(test)]
mod tests {
    use super::super::{Body, Given, Memory, model};
    use components::sample::{Payload, Timestamp};

    #[test]
    fn it_wanders_over_its_whole_range_and_never_leaves_it() {
        let model = model("numeric").unwrap();
        for (min, max) in [(70.0, 80.0), (-0.02, 0.01), (5.0, 5.0), (1e6, -1e6)] {
            let mut given = Given::default();
            given.set_number(model, "min", min).unwrap();
            given.set_number(model, "max", max).unwrap();
            let signal = model.build(&given, &Body::default(), 7);
            let (low, high) = (f64::min(min, max), f64::max(min, max));
            let (mut least, mut most) = (f64::MAX, f64::MIN);
            for second in 0..20_000 {
                let at = Timestamp(1_790_000_000_000 + second * 1000);
                signal.measure(at, &mut Memory::default(), &mut |payload| {
                    let Payload::Scalar(cell) = payload else { panic!("{payload:?}") };
                    let value = cell.number().unwrap();
                    (least, most) = (least.min(value), most.max(value));
                });
            }
            let close = 0.06 * (high - low) + 1e-12;
            assert!(low <= least && least <= low + close, "{least} of {low}");
            assert!(high >= most && most >= high - close, "{most} of {high}");
        }
    }
}

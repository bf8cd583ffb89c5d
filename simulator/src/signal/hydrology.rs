//! A river's gauge: level, discharge and temperature, with floods that rise fast and recede slowly.

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::given::Chosen;
use super::payload::number;
use super::sky::Sky;
use super::{Body, Model, Parameter};
use crate::chance::{noise, uniform};
use crate::math::{exp, pow, rounded};
use crate::person::seconds;

/// Where a gauge is when nobody says: the Reuss at Luzern.
const LUZERN: (f64, f64) = (47.05, 8.31);

/// Days in which one rain falls, and how long a flood takes to its peak, seconds.
const RAIN_EVERY_S: f64 = 5.0 * 86_400.0;
const PEAK_S: f64 = 9.0 * 3600.0;

/// Depth of the water at mean discharge, m, and the power of the rating curve: discharge grows
/// with the depth to 5/3 in a wide bed (Manning).
const DEPTH_M: f64 = 1.8;
const RATING: f64 = 5.0 / 3.0;

#[derive(Debug)]
struct River {
    sky: Sky,
    mean_discharge: f64,
    level: f64,
    own: u64,
    seed: u64,
}

impl River {
    fn new(chosen: &Chosen<'_>, body: &Body, seed: u64) -> Self {
        Self {
            sky: Sky::new(body, Some(LUZERN)),
            mean_discharge: chosen.number("mean_discharge"),
            level: chosen.number("mean_level"),
            own: body.seed,
            seed,
        }
    }

    /// Over its mean: snow melts in summer, and each rain is a gamma hydrograph (Nash 1957),
    /// `x exp(1 - x)` in times to the peak.
    fn flow(&self, now: f64) -> f64 {
        let slot = (now / RAIN_EVERY_S).floor();
        let mut floods = 0.0;
        for back in 0..3 {
            let k = slot - f64::from(back);
            let n = k as i64 as u64;
            let since = now - (k + uniform(self.own ^ 0xf10, n, 0.0, 0.9)) * RAIN_EVERY_S;
            if since > 0.0 {
                let x = since / PEAK_S;
                let wet = uniform(self.own ^ 0xf11, n, 0.0, 1.0);
                // Most rains are small.
                floods += 2.2 * wet * wet * wet * x * exp(1.0 - x);
            }
        }
        let melt = 0.62 + 0.3 * self.sky.season(now) + 0.02 * self.sky.day(now, 20.0);
        (melt + floods).max(0.1)
    }

    fn noisy(&self, spread: f64, at: Timestamp) -> f64 {
        spread * noise(self.seed, at.0 as u64)
    }

    fn discharge(&self, at: Timestamp) -> f64 {
        rounded(self.mean_discharge * self.flow(seconds(at)) * (1.0 + self.noisy(0.004, at)), 100.0)
    }

    /// Metres above the sea: the rating curve backwards.
    fn level(&self, at: Timestamp) -> f64 {
        let depth = DEPTH_M * pow(self.flow(seconds(at)), 1.0 / RATING);
        rounded(self.level - DEPTH_M + depth + self.noisy(0.002, at), 1000.0)
    }

    fn celsius(&self, at: Timestamp) -> f64 {
        let now = seconds(at);
        let value = 11.5
            + 7.0 * self.sky.season(now)
            + 0.8 * self.sky.day(now, 17.0)
            + 1.2 * self.sky.weather(now)
            - 0.5 * self.flow(now).min(4.0);
        rounded((value + self.noisy(0.02, at)).max(0.1), 100.0)
    }
}

const PARAMETERS: &[Parameter] = &[
    Parameter::number("mean_discharge", "m³/s", (0.01, 200_000.0), 110.0, "Mean of the year."),
    Parameter::number(
        "mean_level",
        "m",
        (-430.0, 6000.0),
        430.0,
        "Height above the sea of the surface at mean discharge.",
    ),
];

const SOURCE: &str = "gamma hydrograph: Nash 1957; rating curve of Manning, power 5/3";

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "water_level",
        AttributeType::Numeric,
        ("m", (-440.0, 6020.0)),
        (1.0 / 60.0, 1.0),
        SOURCE,
        "Height of a river above the sea.",
        |chosen, body, seed| number(River::new(chosen, body, seed), |river, at, _| river.level(at)),
    )
    .taking(PARAMETERS),
    Model::new(
        "discharge",
        AttributeType::Numeric,
        ("m³/s", (0.0, 2_000_000.0)),
        (1.0 / 60.0, 1.0),
        SOURCE,
        "Water that a river carries.",
        |chosen, body, seed| {
            number(River::new(chosen, body, seed), |river, at, _| river.discharge(at))
        },
    )
    .taking(PARAMETERS),
    Model::new(
        "river_temperature",
        AttributeType::Numeric,
        ("°C", (0.0, 35.0)),
        (1.0 / 60.0, 1.0),
        "season, day and weather; colder in flood",
        "Temperature of a river.",
        |chosen, body, seed| {
            number(River::new(chosen, body, seed), |river, at, _| river.celsius(at))
        },
    )
    .taking(PARAMETERS),
];

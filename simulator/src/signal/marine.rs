//! What a buoy measures: water and its chemistry, light, current, weather, and what lives there.
//!
//! Each value is the middle of its range plus a mix of what drives it: the sun, warmth that lags
//! behind it, the photosynthesis that makes oxygen and lifts the pH by day, the tide, the weather.
//! Values of one buoy share these drivers, and so agree.

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::given::Chosen;
use super::payload::{number, whole_number};
use super::sky::Sky;
use super::{Body, Model, Parameter};
use crate::chance::{noise, uniform};
use crate::math::{atan2, rounded, wave};
use crate::person::seconds;

/// Where a buoy is when nobody says: South Malé Atoll.
const MALDIVES: (f64, f64) = (3.9, 73.5);

/// What moves a value; each goes from -1 to 1.
#[derive(Debug, Clone, Copy)]
enum Driver {
    /// Sunlight at this moment: -1 in the dark.
    Sun,
    /// Warmth of the water: a daily wave that is highest in the afternoon.
    Warm,
    /// Photosynthesis less respiration: highest before sunset, lowest before sunrise.
    Life,
    /// Height of the tide.
    Tide,
    /// Speed of the tidal current, whichever way: -1 at slack water.
    Current,
    /// Days of weather; 1 is high pressure.
    Weather,
    /// Weeks.
    Month,
    /// Growth over the years, from the first of 2026.
    Years,
    /// Waves of the sea, seconds.
    Swell,
    /// Something short and rare: a gust, a cloud of sand. 0 to 1.
    Burst,
    Noise,
}

use Driver::{Burst, Current, Life, Month, Noise, Sun, Swell, Tide, Warm, Weather, Years};

#[derive(Debug)]
struct Row {
    steps_per_unit: f64,
    /// In units of half the range.
    mix: &'static [(Driver, f64)],
}

/// One value of one buoy.
#[derive(Debug)]
struct Buoy {
    sky: Sky,
    row: &'static Row,
    min: f64,
    max: f64,
    own: u64,
    seed: u64,
}

impl Buoy {
    fn new(row: &'static Row, chosen: &Chosen<'_>, body: &Body, seed: u64) -> Self {
        let (one, other) = (chosen.number("min"), chosen.number("max"));
        Self::within(row, (one.min(other), one.max(other)), body, seed)
    }

    fn within(row: &'static Row, (min, max): (f64, f64), body: &Body, seed: u64) -> Self {
        Self { sky: Sky::new(body, Some(MALDIVES)), row, min, max, own: body.seed, seed }
    }

    fn driver(&self, driver: Driver, at: Timestamp, now: f64) -> f64 {
        match driver {
            Driver::Sun => self.sky.irradiance(now) / 445.0 - 1.0,
            Driver::Warm => self.sky.day(now, 15.5),
            Driver::Life => self.sky.day(now, 17.0),
            Driver::Tide => self.sky.tide(now).0,
            Driver::Current => 2.0 * self.sky.tide(now).1.abs() - 1.0,
            Driver::Weather => self.sky.weather(now),
            Driver::Month => {
                let phase = |n: u64| uniform(self.own, 800 + n, 0.0, 1.0);
                let days = now / 86_400.0;
                0.6 * wave(days / 29.5 + phase(0)) + 0.4 * wave(days / 11.7 + phase(1))
            }
            Driver::Years => (2.0 * now / (10.0 * 365.25 * 86_400.0) - 1.0).clamp(-1.0, 1.0),
            Driver::Swell => {
                let phase = uniform(self.own, 810, 0.0, 1.0);
                0.6 * wave(now / 9.7 + phase) + 0.4 * wave(now / 6.1)
            }
            Driver::Burst => {
                // One slot of ten minutes in eight has a burst of two minutes.
                const SLOT_S: f64 = 600.0;
                let slot = (now / SLOT_S).floor();
                let n = slot as i64 as u64;
                let since = now - slot * SLOT_S - uniform(self.own ^ 0xb57, n, 0.0, 480.0);
                let height = uniform(self.own ^ 0xb58, n, -7.0, 1.0).max(0.0);
                if (0.0..120.0).contains(&since) {
                    let x = since / 60.0 - 1.0;
                    height * (1.0 - x * x) * (1.0 - x * x)
                } else {
                    0.0
                }
            }
            // Cut off at 3.5 standard deviations.
            Driver::Noise => noise(self.seed, at.0 as u64) / 3.5,
        }
    }

    fn value(&self, at: Timestamp) -> f64 {
        let now = seconds(at);
        let sum: f64 =
            self.row.mix.iter().map(|&(driver, part)| part * self.driver(driver, at, now)).sum();
        let value = 0.5 * (self.min + self.max) + 0.5 * (self.max - self.min) * sum;
        rounded(value, self.row.steps_per_unit).clamp(self.min, self.max)
    }

    /// Where the current flows to: along the coast with the flood, back with the ebb, turning
    /// through the narrow ellipse of the tide.
    fn direction(&self, at: Timestamp) -> f64 {
        let now = seconds(at);
        let (height, rate) = self.sky.tide(now);
        let axis = uniform(self.own, 820, 0.0, 360.0);
        let turned = atan2(0.18 * height, rate).to_degrees();
        let wander = 6.0 * self.sky.weather(now) + 2.0 * noise(self.seed, at.0 as u64);
        let degrees = rounded((axis + turned + wander).rem_euclid(360.0), 10.0);
        if degrees >= 360.0 { 0.0 } else { degrees }
    }
}

macro_rules! rows {
    ($($name:literal, $unit:literal, $low:literal..$high:literal, within $least:literal..$most:literal,
       $decimals:literal, [$($driver:ident $part:literal),* $(,)?], $sentence:literal;)*) => {
        &[
            $(Model::new(
                $name,
                AttributeType::Numeric,
                ($unit, ($least, $most)),
                (1.0 / 30.0, 1.0),
                "reference/collab.md 21.4, with sun, tide (M2, S2) and weather in seconds",
                $sentence,
                |chosen, body, seed| {
                    static ROW: Row = Row { steps_per_unit: $decimals, mix: &[$(($driver, $part)),*] };
                    number(Buoy::new(&ROW, chosen, body, seed), |buoy, at, _| buoy.value(at))
                },
            )
            .taking(&[
                Parameter::number("min", $unit, ($least, $most), $low, "The lowest it gets."),
                Parameter::number("max", $unit, ($least, $most), $high, "The highest it gets."),
            ]),)*
            Model::new(
                "current_direction",
                AttributeType::Numeric,
                ("°", (0.0, 360.0)),
                (1.0 / 30.0, 1.0),
                "the ellipse of a tidal current; reference/collab.md 21.4",
                "Where the current flows to: one way with the flood, the other with the ebb.",
                |_, body, seed| {
                    static ROW: Row = Row { steps_per_unit: 10.0, mix: &[] };
                    number(Buoy::within(&ROW, (0.0, 360.0), body, seed), |buoy, at, _| {
                        buoy.direction(at)
                    })
                },
            ),
            Model::new(
                "fish_count",
                AttributeType::Numeric,
                ("", (0.0, 10_000.0)),
                (1.0 / 30.0, 1.0),
                "reference/collab.md 21.4; more of them by day and with the flood",
                "Fish that a camera counts.",
                |chosen, body, seed| {
                    static ROW: Row = Row {
                        steps_per_unit: 1.0,
                        mix: &[(Sun, 0.3), (Tide, 0.2), (Month, 0.15), (Noise, 0.3)],
                    };
                    whole_number(Buoy::new(&ROW, chosen, body, seed), |buoy, at, _| buoy.value(at))
                },
            )
            .taking(&[
                Parameter::number("min", "", (0.0, 10_000.0), 0.0, "The fewest."),
                Parameter::number("max", "", (0.0, 10_000.0), 20.0, "The most."),
            ]),
        ]
    };
}

pub(super) const MODELS: &[Model] = rows! {
    "water_temperature", "°C", 26.5..29.5, within -2.0..45.0, 100.0,
        [Warm 0.35, Month 0.35, Tide 0.1, Weather 0.15, Noise 0.03],
        "Temperature of the water at the sensor.";
    "sea_surface_temperature", "°C", 26.5..29.5, within -2.0..45.0, 100.0,
        [Warm 0.5, Month 0.3, Weather 0.15, Noise 0.03],
        "Temperature of the uppermost water: more of the day in it.";
    "salinity", "PSU", 33.0..36.0, within 0.0..45.0, 100.0,
        [Weather 0.4, Month 0.2, Tide 0.2, Burst -0.15, Noise 0.03],
        "Salt: less with rain.";
    "conductivity", "mS/cm", 48.0..58.0, within 0.0..80.0, 100.0,
        [Warm 0.25, Month 0.3, Weather 0.25, Tide 0.1, Noise 0.02],
        "Conductivity: salt and warmth.";
    "ph", "", 8.0..8.3, within 0.0..14.0, 1000.0,
        [Life 0.5, Warm -0.1, Month 0.2, Tide 0.1, Noise 0.04],
        "Acidity: lifted by day, when algae take up carbon dioxide.";
    "light_par", "µmol/(m² s)", 0.0..400.0, within 0.0..2500.0, 10.0,
        [Sun 0.97, Swell 0.02, Noise 0.01],
        "Light that plants can use: none by night.";
    "dissolved_oxygen", "mg/l", 6.0..8.5, within 0.0..25.0, 100.0,
        [Life 0.6, Warm -0.15, Month -0.1, Tide 0.05, Noise 0.04],
        "Oxygen: made by day, breathed by night, less of it in warm water.";
    "turbidity", "NTU", 0.5..5.0, within 0.0..1000.0, 100.0,
        [Current 0.35, Weather -0.3, Burst 0.5, Swell 0.02, Noise 0.05],
        "Cloudiness: stirred by currents and storms.";
    "depth", "m", 8.0..12.0, within 0.0..11000.0, 100.0,
        [Tide 0.9, Weather -0.05, Swell 0.03, Noise 0.01],
        "Water above the sensor: the tide.";
    "nitrate", "mg/l", 0.1..0.8, within 0.0..100.0, 1000.0,
        [Month 0.4, Tide -0.15, Life -0.1, Burst 0.15, Noise 0.05],
        "Nitrate.";
    "phosphate", "mg/l", 0.02..0.08, within 0.0..20.0, 10000.0,
        [Month 0.45, Tide -0.15, Life -0.1, Noise 0.06],
        "Phosphate.";
    "ammonia", "mg/l", 0.01..0.05, within 0.0..20.0, 10000.0,
        [Life -0.3, Month 0.35, Warm 0.1, Noise 0.06],
        "Ammonia: more by night, when nobody takes it up.";
    "alkalinity", "µmol/kg", 2200.0..2400.0, within 0.0..6000.0, 10.0,
        [Weather 0.3, Month 0.3, Life -0.15, Noise 0.04],
        "Total alkalinity: with the salt, and spent by calcifying corals by day.";
    "current_speed", "m/s", 0.05..0.35, within 0.0..5.0, 1000.0,
        [Current 0.8, Weather -0.1, Swell 0.04, Noise 0.03],
        "Speed of the current: slack at high and low water.";
    "wave_height", "m", 0.2..1.5, within 0.0..30.0, 100.0,
        [Weather -0.6, Month 0.15, Warm 0.08, Noise 0.08],
        "Significant height of the waves.";
    "wind_speed", "m/s", 2.0..15.0, within 0.0..100.0, 10.0,
        [Weather -0.45, Warm 0.2, Burst 0.25, Noise 0.1],
        "Wind: storms, the sea breeze of the afternoon, gusts.";
    "solar_irradiance", "W/m²", 0.0..1000.0, within 0.0..1500.0, 10.0,
        [Sun 0.98, Noise 0.01],
        "Sunlight on the buoy.";
    "species_diversity", "", 1.5..3.5, within 0.0..10.0, 100.0,
        [Month 0.4, Sun 0.25, Noise 0.15],
        "Shannon's index of what a camera sees.";
    "coral_coverage", "%", 25.0..65.0, within 0.0..100.0, 100.0,
        [Years 0.7, Month 0.05, Noise 0.15],
        "Part of the ground that is coral: it grows over years.";
    "bleaching_index", "%", 0.0..15.0, within 0.0..100.0, 100.0,
        [Month 0.5, Warm 0.05, Weather 0.1, Noise 0.12],
        "Part of the coral that is bleached: follows the warm weeks.";
    "algae_coverage", "%", 5.0..20.0, within 0.0..100.0, 100.0,
        [Month 0.45, Years -0.1, Noise 0.12],
        "Part of the ground that is algae.";
    "inference_confidence", "", 0.75..0.98, within 0.0..1.0, 1000.0,
        [Sun 0.35, Weather 0.2, Current -0.1, Noise 0.25],
        "How sure the camera's counting is: less in murk and dusk.";
};

#[cfg(test)]
mod tests {
    use super::super::sky::M2_H;
    use super::super::{Given, Memory, model};
    use super::*;
    use crate::person::ORIGIN_MS;
    use crate::spectrum;
    use components::sample::Payload;

    /// A value each `step_s` for so many days.
    fn series(name: &str, days: i64, step_s: i64) -> Vec<(f64, f64)> {
        let body = Body { seed: 6, ..Body::default() };
        let signal = model(name).unwrap().build(&Given::default(), &body, 3);
        let mut memory = Memory::default();
        (0..days * 86_400 / step_s)
            .map(|n| {
                let at = Timestamp(ORIGIN_MS + n * step_s * 1000);
                let mut value = f64::NAN;
                signal.measure(at, &mut memory, &mut |payload| {
                    if let Payload::Scalar(cell) = payload {
                        value = cell.number().unwrap();
                    }
                });
                (seconds(at), value)
            })
            .collect()
    }

    /// Pearson's correlation of two series, the second so many steps later.
    fn correlation(a: &[(f64, f64)], b: &[(f64, f64)]) -> f64 {
        let mean = |s: &[(f64, f64)]| s.iter().map(|&(_, v)| v).sum::<f64>() / s.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for (&(_, x), &(_, y)) in a.iter().zip(b) {
            ab += (x - ma) * (y - mb);
            aa += (x - ma) * (x - ma);
            bb += (y - mb) * (y - mb);
        }
        ab / (aa * bb).sqrt()
    }

    /// Once "diurnal" was a number of samples: 53 h at one rate, 1.7 h at another.
    #[test]
    fn the_tide_has_the_period_of_the_moon_and_light_that_of_the_sun() {
        let depth = series("depth", 60, 1200);
        let power = spectrum::bands(&depth, 1e-7, 5e-5);
        let hours = 1.0 / spectrum::peak(&power, 5e-6, 5e-5) / 3600.0;
        assert!((hours - M2_H).abs() < 0.1, "{hours} h");

        let light = series("light_par", 60, 1200);
        let power = spectrum::bands(&light, 1e-7, 5e-5);
        let hours = 1.0 / spectrum::peak(&power, 5e-6, 1.8e-5) / 3600.0;
        assert!((hours - 24.0).abs() < 0.3, "{hours} h");
        assert!(light.iter().filter(|&&(_, value)| value < 15.0).count() > light.len() / 3);
    }

    #[test]
    fn what_belongs_together_agrees() {
        let of = |name: &str| series(name, 20, 900);
        let (oxygen, ph, nitrate) = (of("dissolved_oxygen"), of("ph"), of("ammonia"));
        assert!(correlation(&oxygen, &ph) > 0.6, "{}", correlation(&oxygen, &ph));
        assert!(correlation(&ph, &nitrate) < -0.1);
        let (light, sun) = (of("light_par"), of("solar_irradiance"));
        assert!(correlation(&light, &sun) > 0.95);
        let (waves, wind) = (of("wave_height"), of("wind_speed"));
        assert!(correlation(&waves, &wind) > 0.6);
        // The current is slack at high and low water.
        let (depth, current) = (of("depth"), of("current_speed"));
        let highest = depth.iter().map(|&(_, v)| v).fold(0.0, f64::max);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let all: Vec<f64> = current.iter().map(|&(_, v)| v).collect();
        let slack: Vec<f64> = (depth.iter().zip(&current))
            .filter(|(depth, _)| depth.1 > highest - 0.2)
            .map(|(_, current)| current.1)
            .collect();
        assert!(mean(&slack) < 0.75 * mean(&all), "{} {}", mean(&slack), mean(&all));
    }

    /// Two decimals for all ruined phosphate, ammonia and pH once.
    #[test]
    fn decimals_are_kept() {
        for (name, steps) in [("ph", 1e3), ("phosphate", 1e4), ("ammonia", 1e4), ("depth", 1e2)] {
            let values = series(name, 3, 600);
            let fine =
                |&(_, v): &(f64, f64)| ((v * steps / 10.0).fract() * 10.0).round() % 10.0 != 0.0;
            assert!(values.iter().filter(|v| fine(v)).count() > values.len() / 2, "{name}");
            let exact = |&(_, v): &(f64, f64)| ((v * steps).round() / steps - v).abs() < 1e-12;
            assert!(values.iter().all(exact), "{name}");
        }
    }

    #[test]
    fn each_stays_in_the_range_it_is_given_and_uses_it() {
        for model in MODELS {
            let values = series(model.name, 40, 3600);
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for &(_, value) in &values {
                (low, high) = (low.min(value), high.max(value));
            }
            let bound = |name: &str| {
                let parameter = model.parameters.iter().find(|p| p.name == name)?;
                match parameter.sort {
                    super::super::Sort::Number { default, .. } => Some(default),
                    _ => None,
                }
            };
            let (min, max) = (bound("min").unwrap_or(0.0), bound("max").unwrap_or(360.0));
            assert!(low >= min && high <= max, "{}: {low} to {high}", model.name);
            // Coral takes years.
            let part = if model.name == "coral_coverage" { 0.05 } else { 0.35 };
            assert!(high - low > part * (max - min), "{}: {low} to {high}", model.name);
        }
    }
}

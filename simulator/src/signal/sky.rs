//! Sun, clouds, weather and tide over a place: what makes the values around people and buoys
//! agree with one another and with the time of day.

use std::f64::consts::TAU;

use super::Body;
use crate::chance::{hash, uniform};
use crate::math::{cos, pow, sin, sin_cos, wave};

/// Where there is no position: Berlin.
const BERLIN: (f64, f64) = (52.52, 13.405);

const DAY_S: f64 = 86_400.0;
const YEAR_DAYS: f64 = 365.2422;

/// Periods of the principal lunar and solar tides, hours, and the second's height over the
/// first's (equilibrium tide; Pugh and Woodworth 2014, "Sea-Level Science").
pub(super) const M2_H: f64 = 12.420_601;
const S2_H: f64 = 12.0;
const S2_OVER_M2: f64 = 0.465;

/// Slow waves of the weather, hours.
const WEATHER_H: [f64; 4] = [7.3, 19.0, 53.0, 171.0];

/// A place. Sensors of one position, or else of one body, have one weather.
#[derive(Debug, Clone)]
pub(super) struct Sky {
    latitude_sin: f64,
    latitude_cos: f64,
    /// Longitude in turns.
    longitude: f64,
    south: bool,
    /// Phases of weather and tide, turns.
    weather: [f64; 4],
    clouds: [f64; 4],
    tide: [f64; 2],
}

impl Sky {
    pub(super) fn new(body: &Body, elsewhere: Option<(f64, f64)>) -> Self {
        let (latitude, longitude) = body.position.or(elsewhere).unwrap_or(BERLIN);
        // Weather is that of the square degree.
        let seed = match body.position {
            Some((a, b)) => hash((a.floor() as i64 as u64) ^ 0x5ea, b.floor() as i64 as u64),
            None => hash(body.seed, 0x5ea),
        };
        let phases = |n: u64| std::array::from_fn(|k| uniform(seed, n + k as u64, 0.0, 1.0));
        let (latitude_sin, latitude_cos) = sin_cos(latitude.clamp(-90.0, 90.0).to_radians());
        Self {
            latitude_sin,
            latitude_cos,
            longitude: longitude / 360.0,
            south: latitude < 0.0,
            weather: phases(10),
            clouds: phases(20),
            tide: [uniform(seed, 30, 0.0, 1.0), uniform(seed, 31, 0.0, 1.0)],
        }
    }

    /// The sine of the sun's elevation (Cooper 1969 for its declination), without the equation of
    /// time.
    pub(super) fn sun(&self, now: f64) -> f64 {
        let tilt = 23.44_f64.to_radians() * wave((now / DAY_S + 284.0) / YEAR_DAYS);
        let (s, c) = sin_cos(tilt);
        let hour = cos(TAU * (self.solar_day(now) - 0.5));
        self.latitude_sin * s + self.latitude_cos * c * hour
    }

    /// Part of the local day, 0 to 1, noon at a half.
    pub(super) fn solar_day(&self, now: f64) -> f64 {
        let days = now / DAY_S + self.longitude;
        days - days.floor()
    }

    /// A smooth daily wave from -1 to 1, highest at this solar hour.
    pub(super) fn day(&self, now: f64, highest_h: f64) -> f64 {
        wave(self.solar_day(now) - highest_h / 24.0 + 0.25)
    }

    /// From -1 in the middle of winter to 1 in that of summer, a month behind the sun.
    pub(super) fn season(&self, now: f64) -> f64 {
        let year = wave((now / DAY_S - 110.0) / YEAR_DAYS);
        if self.south { -year } else { year }
    }

    fn slow(phases: &[f64; 4], now: f64) -> f64 {
        let hours = now / 3600.0;
        let mut sum = 0.0;
        for (n, (phase, period)) in phases.iter().zip(WEATHER_H).enumerate() {
            sum += [0.15, 0.2, 0.3, 0.35][n] * wave(hours / period + phase);
        }
        sum
    }

    /// The weather from -1, low pressure, to 1: days, not minutes.
    pub(super) fn weather(&self, now: f64) -> f64 {
        Self::slow(&self.weather, now)
    }

    /// Part of the sky that is covered, 0 to 1.
    pub(super) fn clouds(&self, now: f64) -> f64 {
        (0.45 - 0.35 * self.weather(now) + 0.45 * Self::slow(&self.clouds, now)).clamp(0.0, 1.0)
    }

    /// Sunlight on the ground, W/m², 0 to 900 (Kasten and Czeplak 1980, Solar Energy 24).
    pub(super) fn irradiance(&self, now: f64) -> f64 {
        let clear = 910.0 * self.sun(now) - 30.0;
        if clear <= 0.0 {
            return 0.0;
        }
        clear * (1.0 - 0.75 * pow(self.clouds(now), 3.4))
    }

    /// Height of the tide and its rate, each from -1 to 1: M2 and S2, springs and neaps.
    pub(super) fn tide(&self, now: f64) -> (f64, f64) {
        let hours = now / 3600.0;
        let turn = |period: f64, phase: f64| {
            let turns = hours / period + phase;
            TAU * (turns - turns.floor())
        };
        let (moon, sun) = (turn(M2_H, self.tide[0]), turn(S2_H, self.tide[1]));
        let all = 1.0 + S2_OVER_M2;
        ((sin(moon) + S2_OVER_M2 * sin(sun)) / all, (cos(moon) + S2_OVER_M2 * cos(sun)) / all)
    }
}

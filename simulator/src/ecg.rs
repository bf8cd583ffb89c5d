//! One lead of a made-up ECG: five Gaussian waves on the phase between two beats.
//!
//! McSharry, Clifford, Tarassenko, Smith 2003, table I, with the rate dependence of their
//! published program ECGSYN (waves narrow and move less than the interval does). Their
//! differential equation is solved directly: a wave of slope `-a dθ exp(-dθ²/2b²)` is one of
//! height `a b²` (up to a scale), so the value is a function of the phase and needs no past.

use std::f64::consts::TAU;

use crate::math::{exp, pow};

/// Radians at 60 bpm, height over that of R, width in radians at 60 bpm, and by which power of
/// the rate factor the wave moves (0.5 is ECGSYN's `hrfact2`).
const WAVES: [(f64, f64, f64, f64); 5] = [
    (-70.0 / 360.0 * TAU, 1.2 * 0.0625 / 0.3, 0.25, 0.5),
    (-15.0 / 360.0 * TAU, -5.0 * 0.01 / 0.3, 0.1, 1.0),
    (0.0, 1.0, 0.1, 0.0),
    (15.0 / 360.0 * TAU, -7.5 * 0.01 / 0.3, 0.1, 1.0),
    (100.0 / 360.0 * TAU, 0.75 * 0.16 / 0.3, 0.4, 0.5),
];

/// Beyond this many widths a wave is less than 4 millionths of itself and not computed.
const WIDTHS_MAX: f64 = 5.0;

/// The five waves as they lie in one beat-to-beat interval. Made once per beat.
#[derive(Debug, Clone, Copy)]
pub struct Complex {
    /// Centre in radians, height over R, minus one over twice the squared width, reach in radians.
    waves: [(f64, f64, f64, f64); 5],
}

impl Complex {
    /// For an interval of this many seconds.
    pub fn new(interval_seconds: f64) -> Self {
        // ECGSYN: hrfact = sqrt(rate / 60 bpm).
        let factor = (1.0 / interval_seconds).sqrt();
        Self {
            waves: WAVES.map(|(centre, height, width, power)| {
                let width = width * factor;
                (centre * pow(factor, power), height, -0.5 / (width * width), WIDTHS_MAX * width)
            }),
        }
    }

    /// The value over that of R (about 1 at the peaks), `part` of the way (0 to 1) from one R peak
    /// to the next.
    pub fn value(&self, part: f64) -> f64 {
        let phase = part * TAU;
        let mut sum = 0.0;
        for &(centre, height, curve, reach) in &self.waves {
            let mut distance = phase - centre;
            if distance > 0.5 * TAU {
                distance -= TAU;
            }
            if distance.abs() < reach {
                sum += height * exp(curve * distance * distance);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_is_the_highest_and_at_the_beat() {
        for interval in [0.4, 0.6, 0.85, 1.0, 1.4] {
            let complex = Complex::new(interval);
            let values: Vec<f64> =
                (0..1000).map(|n| complex.value(f64::from(n) / 1000.0)).collect();
            let highest = (0..1000).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
            assert!(highest <= 1 || highest == 999, "interval {interval}: R at {highest}");
            assert!((0.9..1.05).contains(&values[highest]), "{}", values[highest]);
        }
    }

    #[test]
    fn p_comes_before_r_and_t_behind_it() {
        let complex = Complex::new(1.0);
        assert!((complex.value(100.0 / 360.0) - 0.4).abs() < 0.02, "T");
        assert!((complex.value(290.0 / 360.0) - 0.25).abs() < 0.02, "P");
        assert!(
            complex.value(15.0 / 360.0) < -0.15 && complex.value(345.0 / 360.0) < -0.05,
            "S, Q"
        );
    }

    #[test]
    fn one_interval_joins_the_next_without_a_step() {
        let (before, after) = (Complex::new(0.8), Complex::new(0.9));
        assert!((before.value(1.0 - 1e-12) - after.value(0.0)).abs() < 1e-3);
    }
}

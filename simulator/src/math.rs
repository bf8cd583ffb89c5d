//! Functions of real numbers that give the same bits on every machine.
//!
//! The standard library leaves these to the platform, which may round its own way; `libm` is one
//! source in Rust, compiled as it stands. (Rust never fuses a product and a sum by itself.) ECG, belt
//! and gaze are generated as fast with it; an IMU and a skeleton take 1.2 to 1.7 times as long.

use std::f64::consts::TAU;

pub(crate) fn sin(radians: f64) -> f64 {
    libm::sin(turned_back(radians))
}

pub(crate) fn cos(radians: f64) -> f64 {
    libm::cos(turned_back(radians))
}

/// Sine and cosine.
pub(crate) fn sin_cos(radians: f64) -> (f64, f64) {
    libm::sincos(turned_back(radians))
}

/// The same angle without its whole turns. Phases of a year are millions of turns, for which
/// `libm` works ten times as long to be exact about digits that they do not have.
fn turned_back(radians: f64) -> f64 {
    radians - TAU * (radians * (1.0 / TAU)).floor()
}

pub(crate) fn asin(x: f64) -> f64 {
    libm::asin(x)
}

pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}

pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

pub(crate) fn pow(x: f64, power: f64) -> f64 {
    libm::pow(x, power)
}

/// Length of the vector (x, y), which is neither huge nor tiny.
pub(crate) fn length(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

/// The sine of so many whole turns. The turns may be many: only their fraction counts.
pub(crate) fn wave(turns: f64) -> f64 {
    libm::sin(TAU * (turns - turns.floor()))
}

/// Rises from 0 at 0 to 1 at 1 with no jerk at either end (Flash and Hogan 1985, minimum jerk).
pub(crate) fn minimum_jerk(part: f64) -> f64 {
    let x = part.clamp(0.0, 1.0);
    x * x * x * (10.0 + x * (6.0 * x - 15.0))
}

/// To the nearest of so many steps a unit: 100 keeps two decimals.
pub(crate) fn rounded(value: f64, steps_per_unit: f64) -> f64 {
    (value * steps_per_unit).round() / steps_per_unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If these bits ever change, every recording's hash does.
    #[test]
    fn the_bits_are_these_on_every_machine() {
        let mut sum = 0u64;
        for n in 0..1000 {
            let x = f64::from(n) * 0.37 + 0.01;
            for value in [sin(x), cos(x), exp(-x), ln(x), pow(x, 0.3), atan2(x, 2.0), wave(x)] {
                sum = sum.rotate_left(5) ^ value.to_bits();
            }
        }
        assert_eq!(sum, 0x69a4_734e_f503_e9d2, "{sum:#x}");
    }

    #[test]
    fn a_wave_is_a_sine_of_turns() {
        for (turns, value) in [(0.0, 0.0), (0.25, 1.0), (1e6 + 0.75, -1.0), (-0.25, -1.0)] {
            assert!((wave(turns) - value).abs() < 1e-9, "{turns}");
        }
    }
}

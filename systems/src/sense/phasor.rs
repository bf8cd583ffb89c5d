//! Phasors, and the functions of angles: the same bits on every machine, since readings are part
//! of what a recording's hash is of.

use std::f64::consts::{PI, TAU};
use std::ops::{Add, Mul};

/// A complex number: a point on a circle, or a mean of such points.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Phasor {
    pub re: f64,
    pub im: f64,
}

impl Phasor {
    pub const ZERO: Self = Self { re: 0.0, im: 0.0 };

    pub fn from_angle(radians: f64) -> Self {
        let (im, re) = libm::sincos(radians);
        Self { re, im }
    }

    /// Radians, -pi to pi.
    pub fn angle(self) -> f64 {
        libm::atan2(self.im, self.re)
    }

    pub fn norm(self) -> f64 {
        (self.re * self.re + self.im * self.im).sqrt()
    }

    pub fn conj(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    pub fn scaled(self, by: f64) -> Self {
        Self { re: self.re * by, im: self.im * by }
    }

    /// Of length one. The zero has no direction.
    pub fn unit(self) -> Option<Self> {
        let norm = self.norm();
        (norm > 0.0 && norm.is_finite()).then(|| self.scaled(1.0 / norm))
    }

    /// The mean; zero of none.
    pub fn mean(phasors: impl IntoIterator<Item = Self>) -> Self {
        let (mut sum, mut count) = (Self::ZERO, 0.0);
        for phasor in phasors {
            sum = sum + phasor;
            count += 1.0;
        }
        if count == 0.0 { Self::ZERO } else { sum.scaled(1.0 / count) }
    }
}

impl Add for Phasor {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Mul for Phasor {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// The same angle, from -pi (left out) to pi.
pub fn wrapped(radians: f64) -> f64 {
    let turned = radians - TAU * (radians / TAU).round();
    if turned <= -PI { turned + TAU } else { turned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_comes_back_from_its_phasor() {
        for n in -31..=31 {
            let angle = f64::from(n) * 0.1;
            assert!((Phasor::from_angle(angle).angle() - angle).abs() < 1e-15, "{angle}");
            assert!((wrapped(angle + 5.0 * TAU) - angle).abs() < 1e-12, "{angle}");
        }
        assert!((wrapped(PI) - PI).abs() < 1e-15 && (wrapped(-PI) - PI).abs() < 1e-15);
    }

    #[test]
    fn a_mean_of_opposites_is_nothing_and_has_no_direction() {
        let up = Phasor { re: 0.0, im: 1.0 };
        let mean = Phasor::mean([up, up.conj()]);
        assert_eq!((mean, mean.unit()), (Phasor::ZERO, None));
        assert_eq!(Phasor::mean([]), Phasor::ZERO);
    }
}

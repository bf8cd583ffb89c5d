//! How a made-up person breathes: a phase in closed form, and the belt's reading of it.

use std::f64::consts::{PI, TAU};

use crate::chance::uniform;
use crate::math::{cos, pow, sin, wave};

/// How far the breathing rate strays from its mean, as a fraction of it (standard deviation).
/// Spontaneous breathing at rest varies by 5 to 15 %.
const RATE_WANDER: f64 = 0.06;

/// Slow waves that make the rate stray, Hz. Incommensurate, so that no two minutes are alike.
const WANDER_HZ: [f64; 3] = [0.0113, 0.0237, 0.0419];

/// Bends the cycle so that breathing in takes about 41 % of it (I:E of about 1 to 1.4, rest).
/// Below 1, or the phase would turn back.
const INSPIRATION_BEND: f64 = 0.3;

/// Waves by which the phase of a coupled breath strays from the group's, as a fraction of the
/// group's rate. Slow enough, even at the widest, that the phase never turns back.
const STRAY_OVER_RATE: [f64; 6] = [0.0213, 0.0291, 0.0373, 0.0471, 0.0587, 0.0709];

/// First zero of the Bessel function J0.
const J0_ZERO: f64 = 2.404_825_557_695_773;

/// How a person breathes with a group: the ground truth of synchrony.
///
/// The group has a breath of its own, and this person's phase is that of the group `lag_s` ago
/// plus a slow stray. Over a long time (an hour at 6 breaths a minute) the phase-locking value of
/// person and group, `|mean exp(i (person - group))|`, is `strength` itself, and that of two
/// people of one group the product of their strengths. At 0 they are strangers: each breathes at
/// a rate of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coupling {
    /// Whoever has the same group seed and rate is in the same group.
    pub group_seed: u64,
    /// From 0, independent, to 1, locked at the lag.
    pub strength: f64,
    /// Seconds by which the person is behind the group; negative is ahead.
    pub lag_s: f64,
    /// Mean rate of the group, 3 to 40 per minute.
    pub breaths_per_min: f64,
}

/// The breathing of one person. A pure function of time.
#[derive(Debug, Clone)]
pub struct Breath {
    rate_hz: f64,
    offset: f64,
    /// Radians of phase, Hz, radians.
    wander: [(f64, f64, f64); 3],
    depth_phase: f64,
    lag_s: f64,
    stray: Option<Stray>,
}

/// Departure of a coupled phase from its group's: waves of one amplitude in radians, as Hz and
/// phase.
#[derive(Debug, Clone, Copy)]
struct Stray {
    radians: f64,
    waves: [(f64, f64); 6],
}

impl Stray {
    /// A sum of sines of incommensurate frequencies and amplitude `a` has
    /// `mean exp(i sum) = J0(a)^n`; `a` is chosen so that this is `strength`.
    fn new(strength: f64, rate_hz: f64, seed: u64) -> Self {
        let wanted = pow(strength, 1.0 / STRAY_OVER_RATE.len() as f64);
        let (mut low, mut high) = (0.0, J0_ZERO);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if bessel_j0(middle) > wanted { low = middle } else { high = middle }
        }
        let mut waves = [(0.0, 0.0); 6];
        for (n, (wave, part)) in waves.iter_mut().zip(STRAY_OVER_RATE).enumerate() {
            *wave = (part * rate_hz, uniform(seed, 30 + n as u64, 0.0, TAU));
        }
        Self { radians: low, waves }
    }
}

/// J0 by its power series, exact to rounding from 0 to its first zero.
fn bessel_j0(x: f64) -> f64 {
    let quarter = -0.25 * x * x;
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..30 {
        term *= quarter / f64::from(n * n);
        sum += term;
    }
    sum
}

impl Breath {
    /// `breaths_per_min` is the mean over a long time; valid from 3 to 40.
    pub fn new(breaths_per_min: f64, seed: u64) -> Self {
        let rate_hz = breaths_per_min.clamp(3.0, 40.0) / 60.0;
        let mut wander = [(0.0, 0.0, 0.0); 3];
        for (n, (wave, hz)) in wander.iter_mut().zip(WANDER_HZ).enumerate() {
            let hz = hz * uniform(seed, 10 + n as u64, 0.9, 1.1);
            // Each of three waves carries a third of the variance of the rate; a wave of the
            // rate with amplitude `a` is one of the phase with `a / hz`.
            let rate_amplitude = RATE_WANDER * rate_hz * (2.0 / 3.0_f64).sqrt();
            *wave = (rate_amplitude / hz, hz, uniform(seed, 20 + n as u64, 0.0, TAU));
        }
        Self {
            rate_hz,
            offset: uniform(seed, 1, 0.0, TAU),
            wander,
            depth_phase: uniform(seed, 2, 0.0, 1.0),
            lag_s: 0.0,
            stray: None,
        }
    }

    /// The breath of the person `seed` in a group.
    pub fn coupled(coupling: &Coupling, seed: u64) -> Self {
        let group = Self::new(coupling.breaths_per_min, coupling.group_seed);
        let strength = coupling.strength.clamp(0.0, 1.0);
        Self {
            stray: (strength < 1.0).then(|| Stray::new(strength, group.rate_hz, seed)),
            depth_phase: uniform(seed, 2, 0.0, 1.0),
            lag_s: coupling.lag_s,
            ..group
        }
    }

    /// Mean breaths per second.
    pub fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// Radians, ever growing; a breath in begins at each multiple of 2π.
    pub fn phase(&self, seconds: f64) -> f64 {
        let seconds = seconds - self.lag_s;
        let mut phase = TAU * (self.rate_hz * seconds) + self.offset;
        for &(a, hz, p) in &self.wander {
            phase += a * sin(TAU * (hz * seconds).fract() + p);
        }
        if let Some(stray) = &self.stray {
            for &(hz, p) in &stray.waves {
                phase += stray.radians * sin(TAU * (hz * seconds).fract() + p);
            }
        }
        phase
    }

    /// Radians per second: the derivative of [`phase`](Self::phase).
    pub fn phase_rate(&self, seconds: f64) -> f64 {
        let seconds = seconds - self.lag_s;
        let mut rate = TAU * self.rate_hz;
        for &(a, hz, p) in &self.wander {
            rate += a * TAU * hz * cos(TAU * (hz * seconds).fract() + p);
        }
        if let Some(stray) = &self.stray {
            for &(hz, p) in &stray.waves {
                rate += stray.radians * TAU * hz * cos(TAU * (hz * seconds).fract() + p);
            }
        }
        rate
    }

    /// Chest excursion, from -1 (breathed out) to 1 (breathed in), before depth.
    pub fn excursion(phase: f64) -> f64 {
        -cos(phase + INSPIRATION_BEND * (1.0 - cos(phase)))
    }

    /// What a chest belt reads, in percent of its range: 50 to 100 as the original's
    /// (`reference/collab.md` 21.4). Depth varies slowly by a seventh.
    pub fn belt_percent(&self, seconds: f64) -> f64 {
        let depth = 0.85 + 0.12 * wave(0.017 * seconds + self.depth_phase);
        75.0 + 25.0 * depth * Self::excursion(self.phase(seconds))
    }
}

/// Where in the breath the heart beats fastest: late in the breath in (Hirsch and Bishop 1981
/// find the rate to lag the volume little at 6 breaths a minute and more at higher rates).
pub(crate) const FASTEST_HEART_PHASE: f64 = 0.75 * PI;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_rate_is_the_one_asked_for() {
        for (per_min, seed) in [(6.0, 1), (15.0, 2), (22.0, 3)] {
            let breath = Breath::new(per_min, seed);
            let hour = 3600.0;
            let breaths = (breath.phase(hour) - breath.phase(0.0)) / TAU;
            assert!(
                (breaths / 60.0 - per_min).abs() < 0.05,
                "{breaths} in an hour, {per_min} asked"
            );
        }
    }

    #[test]
    fn the_phase_never_turns_back() {
        for seed in 0..50 {
            let breath = Breath::new(12.0, seed);
            let rates: Vec<f64> = (0..10_000).map(|n| breath.phase_rate(n as f64 * 0.1)).collect();
            assert!(rates.iter().all(|&rate| rate > 0.5 * TAU * 0.2), "seed {seed}");
        }
    }

    fn in_group(strength: f64, lag_s: f64, seed: u64) -> Breath {
        let coupling = Coupling { group_seed: 77, strength, lag_s, breaths_per_min: 7.0 };
        Breath::coupled(&coupling, seed)
    }

    /// Phase-locking value of two breaths over four hours, and the mean difference in seconds.
    fn locking(one: &Breath, other: &Breath) -> (f64, f64) {
        let (mut x, mut y) = (0.0, 0.0);
        for n in 0..28_800 {
            let t = f64::from(n) * 0.5;
            let (s, c) = crate::math::sin_cos(one.phase(t) - other.phase(t));
            (x, y) = (x + c, y + s);
        }
        let behind = crate::math::atan2(y, x) / (TAU * one.rate_hz());
        ((x * x + y * y).sqrt() / 28_800.0, behind)
    }

    /// The ground truth that a measure of synchrony can be held against.
    #[test]
    fn the_locking_to_the_group_is_the_strength_and_the_lag_is_the_lag() {
        let group = Breath::new(7.0, 77);
        let mut before = -1.0;
        for strength in [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0] {
            let mut mean = 0.0;
            for seed in 0..6 {
                let (plv, _) = locking(&in_group(strength, 0.0, seed), &group);
                assert!((plv - strength).abs() < 0.1, "strength {strength}: {plv}");
                mean += plv / 6.0;
            }
            assert!(mean > before, "it grows with the strength: {mean} after {before}");
            before = mean;
        }
        for lag_s in [-2.0, 0.7, 1.5, 3.0] {
            let (plv, behind) = locking(&in_group(1.0, lag_s, 1), &group);
            assert!(plv > 0.99, "{plv}");
            assert!((-behind - lag_s).abs() < 0.05, "{lag_s} asked, {} measured", -behind);
        }
    }

    #[test]
    fn two_of_a_group_lock_by_the_product_of_their_strengths() {
        let (plv, _) = locking(&in_group(0.9, 0.0, 1), &in_group(0.6, 0.0, 2));
        assert!((plv - 0.54).abs() < 0.08, "{plv}");
    }

    #[test]
    fn strangers_lock_by_chance_alone() {
        let (plv, _) = locking(&Breath::new(13.0, 1), &Breath::new(7.0, 77));
        assert!(plv < 0.05, "{plv}");
    }

    #[test]
    fn however_loosely_coupled_the_phase_never_turns_back() {
        for seed in 0..20 {
            for strength in [0.0, 0.01, 0.3] {
                let breath = in_group(strength, 0.5, seed);
                let slowest = (0..20_000)
                    .map(|n| breath.phase_rate(f64::from(n) * 0.1))
                    .fold(f64::INFINITY, f64::min);
                assert!(slowest > 0.0, "seed {seed}, strength {strength}");
            }
        }
    }

    #[test]
    fn the_belt_stays_in_its_range_and_uses_it() {
        let breath = Breath::new(14.0, 9);
        let values: Vec<f64> = (0..30_000).map(|n| breath.belt_percent(n as f64 * 0.04)).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        assert!((50.0..56.0).contains(&low) && (94.0..=100.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn breathing_in_is_shorter_than_breathing_out() {
        let rising = (0..1000)
            .map(|n| f64::from(n) / 1000.0 * TAU)
            .filter(|&p| Breath::excursion(p + 1e-4) > Breath::excursion(p))
            .count();
        assert!((380..440).contains(&rising), "{rising} of 1000");
    }
}

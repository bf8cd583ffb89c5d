//! When a made-up heart beats: an integral pulse frequency model with the phase in closed form.
//!
//! A beat falls wherever the cardiac phase reaches a whole number. The phase is a straight line
//! plus a few sine waves, so the heart rate is its derivative and nothing has to be integrated
//! step by step: any process finds the same n-th beat, whatever it asked for before. The spectrum
//! of the beat-to-beat intervals has the two bumps of McSharry, Clifford, Tarassenko, Smith, "A
//! dynamical model for generating synthetic electrocardiogram signals", IEEE Trans. Biomed. Eng.
//! 50(3), 2003: the low one around 0.1 Hz (Mayer waves), the high one at the breath
//! (respiratory sinus arrhythmia), here with the very phase that moves the chest.

use std::f64::consts::{PI, TAU};

use crate::breath::{Breath, FASTEST_HEART_PHASE};
use crate::chance::{hash, noise, uniform};
use crate::math::{cos, sin};

/// McSharry 2003: centre and standard deviation of the low bump, Hz.
const LF_HZ: f64 = 0.1;
const LF_SPREAD_HZ: f64 = 0.01;

/// Waves that make up the low bump, and the very low drift below it.
const LF_WAVES: usize = 4;
const DRIFT_WAVES: usize = 2;
const DRIFT_HZ: [f64; DRIFT_WAVES] = [0.0073, 0.0191];

/// The drift's amplitude over that of the low bump. It adds to SDNN, and next to nothing to RMSSD.
const DRIFT_OVER_LF: f64 = 0.5;

/// The heart rate never strays further than this fraction of its mean, so that the phase always
/// grows. A specification that asks for more is scaled down.
const RATE_SWING_MAX: f64 = 0.5;

#[derive(Debug, Clone, Copy)]
struct Wave {
    /// Cycles of the heart.
    amplitude: f64,
    hz: f64,
    phase: f64,
}

/// The heartbeat of one person.
#[derive(Debug, Clone)]
pub struct Rhythm {
    rate_hz: f64,
    offset: f64,
    waves: [Wave; LF_WAVES + DRIFT_WAVES],
    /// Cycles of the heart for the breath's wave.
    rsa_amplitude: f64,
    breath: Breath,
    fingerprint: u64,
}

impl Rhythm {
    /// `bpm` (30 to 200) is the mean over a long time, `rmssd_ms` (0 to 150) the root mean square
    /// of successive differences (met within 12 %, within 20 % below 9 breaths a minute), `lf_over_hf` (0.05 to 20) the ratio of the interval spectrum's
    /// power in its low bump to that at the breath.
    pub fn new(bpm: f64, rmssd_ms: f64, lf_over_hf: f64, breath: Breath, seed: u64) -> Self {
        let rate_hz = bpm.clamp(30.0, 200.0) / 60.0;
        let interval = 1.0 / rate_hz;
        let mut waves = [Wave { amplitude: 0.0, hz: 0.0, phase: 0.0 }; LF_WAVES + DRIFT_WAVES];
        for (n, wave) in waves.iter_mut().enumerate() {
            wave.hz = match n.checked_sub(LF_WAVES) {
                None => LF_HZ + LF_SPREAD_HZ * noise(seed, 40 + n as u64),
                Some(drift) => DRIFT_HZ[drift] * uniform(seed, 50 + n as u64, 0.9, 1.1),
            };
            wave.phase = uniform(seed, 60 + n as u64, 0.0, TAU);
        }

        // Amplitudes of the interval series, in units of the breath's. A wave of the intervals
        // with amplitude `a` has successive differences of amplitude `2 a sin(pi f interval)`.
        let lf = (lf_over_hf.clamp(0.05, 20.0) / LF_WAVES as f64).sqrt();
        let relative = |n: usize| if n < LF_WAVES { lf } else { lf * DRIFT_OVER_LF };
        // Near the rate of the beats themselves a wave makes no difference, and none is asked of it.
        let difference = |hz: f64| (2.0 * sin(PI * hz * interval)).abs().max(0.3);
        let square = |x: f64| x * x;
        let sum_of_squares = square(difference(breath.rate_hz()))
            + waves
                .iter()
                .enumerate()
                .map(|(n, wave)| square(relative(n) * difference(wave.hz)))
                .sum::<f64>();
        let breath_seconds = rmssd_ms.clamp(0.0, 150.0) / 1000.0 * (2.0 / sum_of_squares).sqrt();

        // A wave of the cardiac phase with amplitude `b` makes intervals vary by
        // `2 b sin(pi f interval) / rate`.
        let cycles = |seconds: f64, hz: f64| seconds * rate_hz / difference(hz);
        for (n, wave) in waves.iter_mut().enumerate() {
            wave.amplitude = cycles(breath_seconds * relative(n), wave.hz);
        }
        let mut rsa_amplitude = cycles(breath_seconds, breath.rate_hz());
        let swing = waves.iter().map(|wave| wave.amplitude * TAU * wave.hz).sum::<f64>()
            + rsa_amplitude * TAU * breath.rate_hz() * 1.3;
        let scale = (RATE_SWING_MAX * rate_hz / swing.max(1e-9)).min(1.0);
        waves.iter_mut().for_each(|wave| wave.amplitude *= scale);
        rsa_amplitude *= scale;
        let offset = uniform(seed, 3, 0.0, 1.0);
        let own = [rate_hz, offset, rsa_amplitude].into_iter();
        let of_waves = waves.iter().flat_map(|wave| [wave.amplitude, wave.hz, wave.phase]);
        // The breath is known by where it is at a few instants.
        let of_breath = [0.0, 1009.0, 30_011.0].map(|seconds| breath.phase(seconds));
        let fingerprint = own
            .chain(of_waves)
            .chain(of_breath)
            .fold(1, |all, value| hash(all, value.to_bits()))
            .max(1);
        Self { rate_hz, offset, waves, rsa_amplitude, breath, fingerprint }
    }

    /// Tells one heart from another: hearts of equal fingerprint beat alike.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub fn breath(&self) -> &Breath {
        &self.breath
    }

    /// Cycles of the heart since the beginning, ever growing.
    pub fn phase(&self, seconds: f64) -> f64 {
        let waves: f64 = self
            .waves
            .iter()
            .map(|wave| wave.amplitude * sin(TAU * wave.hz * seconds + wave.phase))
            .sum();
        let breath = sin(self.breath.phase(seconds) - FASTEST_HEART_PHASE);
        self.rate_hz * seconds + self.offset + waves + self.rsa_amplitude * breath
    }

    /// Beats per second at this instant.
    pub fn rate(&self, seconds: f64) -> f64 {
        let waves: f64 = self
            .waves
            .iter()
            .map(|wave| wave.amplitude * TAU * wave.hz * cos(TAU * wave.hz * seconds + wave.phase))
            .sum();
        let breath =
            cos(self.breath.phase(seconds) - FASTEST_HEART_PHASE) * self.breath.phase_rate(seconds);
        self.rate_hz + waves + self.rsa_amplitude * breath
    }

    /// When the n-th beat is, in seconds. Newton's method from a start that depends on `n` alone.
    pub fn beat(&self, n: i64) -> f64 {
        let mut seconds = (n as f64 - self.offset) / self.rate_hz;
        for _ in 0..30 {
            let rate = self.rate(seconds).max(self.rate_hz * (1.0 - RATE_SWING_MAX));
            let step = (self.phase(seconds) - n as f64) / rate;
            seconds -= step;
            if step.abs() < 1e-7 {
                break;
            }
        }
        seconds
    }
}

/// Beats that were already found, by number. It only saves time: what it answers does not depend
/// on what it was asked before.
#[derive(Debug, Clone, Default)]
pub struct Beats {
    /// Beat `n` is at `n % len`. Numbers and seconds. Empty until the first beat is asked for:
    /// buoys have no heart.
    found: Box<[(i64, f64)]>,
}

/// Longer than the window of the heart rate variability at any valid rate (60 s at 200 bpm and a
/// swing of a half is 300 beats); a power of two so that finding a place costs nothing.
const BEATS_KEPT: usize = 512;

/// Enough for whoever asks for the last few beats: 100,000 people with a bracelet have no room
/// for 8 KiB each.
const RECENT_BEATS_KEPT: usize = 16;

impl Beats {
    /// Makes room for the window of the heart rate variability.
    pub(crate) fn keep_window(&mut self) {
        if self.found.len() < BEATS_KEPT {
            self.found = vec![(i64::MIN, 0.0); BEATS_KEPT].into();
        }
    }

    /// When the n-th beat is, in seconds.
    pub fn beat(&mut self, rhythm: &Rhythm, n: i64) -> f64 {
        if self.found.is_empty() {
            self.found = vec![(i64::MIN, 0.0); RECENT_BEATS_KEPT].into();
        }
        let kept = self.found.len() as i64;
        let place = &mut self.found[n.rem_euclid(kept) as usize];
        if place.0 != n {
            *place = (n, rhythm.beat(n));
        }
        place.1
    }

    /// The number of the last beat at or before `seconds`.
    pub fn last_at(&mut self, rhythm: &Rhythm, seconds: f64) -> i64 {
        let mut n = rhythm.phase(seconds).floor() as i64;
        // The root is found to a tenth of a microsecond: at a beat, the floor may be one off.
        if self.beat(rhythm, n) > seconds {
            n -= 1;
        } else if self.beat(rhythm, n + 1) <= seconds {
            n += 1;
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(rhythm: &Rhythm, count: i64) -> Vec<f64> {
        let beats: Vec<f64> = (1_000_000..1_000_000 + count).map(|n| rhythm.beat(n)).collect();
        beats.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn rmssd_ms(intervals: &[f64]) -> f64 {
        let squares: f64 = intervals.windows(2).map(|p| (p[1] - p[0]) * (p[1] - p[0])).sum();
        (squares / (intervals.len() - 1) as f64).sqrt() * 1000.0
    }

    #[test]
    fn rate_and_variability_are_the_ones_asked_for() {
        for (bpm, rmssd, lf_over_hf, breaths, seed) in [
            (60.0, 40.0, 1.0, 15.0, 1),
            (72.0, 25.0, 2.0, 12.0, 2),
            (55.0, 80.0, 0.5, 10.0, 3),
            (95.0, 12.0, 3.0, 18.0, 4),
            (65.0, 60.0, 0.2, 6.0, 5),
        ] {
            let rhythm = Rhythm::new(bpm, rmssd, lf_over_hf, Breath::new(breaths, seed), seed);
            let intervals = intervals(&rhythm, 5000);
            let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
            assert!((60.0 / mean - bpm).abs() < 0.2, "{bpm} bpm asked, {} made", 60.0 / mean);
            let made = rmssd_ms(&intervals);
            // The amplitudes are those of small waves. Slow and deep ones make some more.
            let tolerance = if breaths < 9.0 { 0.2 } else { 0.12 };
            assert!((made / rmssd - 1.0).abs() < tolerance, "RMSSD {rmssd} ms asked, {made} made");
        }
    }

    #[test]
    fn beats_come_in_order_whatever_is_asked_for() {
        for seed in 0..20 {
            let rhythm = Rhythm::new(190.0, 150.0, 20.0, Breath::new(40.0, seed), seed);
            assert!(
                intervals(&rhythm, 2000).iter().all(|&interval| interval > 0.15),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_remembered_beat_is_the_same_beat() {
        let rhythm = Rhythm::new(70.0, 40.0, 1.0, Breath::new(14.0, 1), 1);
        let mut beats = Beats::default();
        let first: Vec<u64> = (0..2000).map(|n| beats.beat(&rhythm, n).to_bits()).collect();
        let again: Vec<u64> = (0..2000).rev().map(|n| beats.beat(&rhythm, n).to_bits()).collect();
        assert!(first.iter().eq(again.iter().rev()));
    }

    #[test]
    fn the_heart_is_faster_breathing_in() {
        let rhythm = Rhythm::new(65.0, 50.0, 0.3, Breath::new(12.0, 8), 8);
        let (mut with, mut against) = (0.0, 0.0);
        for n in 0..10_000 {
            let seconds = f64::from(n) * 0.1;
            let aligned = cos(rhythm.breath().phase(seconds) - FASTEST_HEART_PHASE);
            let faster = rhythm.rate(seconds) - rhythm.rate_hz;
            if aligned > 0.0 { with += faster } else { against += faster }
        }
        assert!(with > 0.0 && against < 0.0, "{with} {against}");
    }
}

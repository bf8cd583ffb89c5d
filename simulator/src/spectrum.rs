//! Spectra for tests: the power of samples at unequal times, by plain sums.

use std::f64::consts::TAU;

use crate::math::sin_cos;

/// The power of (seconds, value) at one frequency, after a Hann window, mean removed.
pub(crate) fn power(samples: &[(f64, f64)], hz: f64) -> f64 {
    let mean = samples.iter().map(|&(_, value)| value).sum::<f64>() / samples.len() as f64;
    let (from, to) = (samples[0].0, samples[samples.len() - 1].0);
    let (mut a, mut b) = (0.0, 0.0);
    for &(t, value) in samples {
        let (s, c) = sin_cos(TAU * hz * (t - from));
        let window = 0.5 - 0.5 * sin_cos(TAU * (t - from) / (to - from)).1;
        a += window * c * (value - mean);
        b += window * s * (value - mean);
    }
    (a * a + b * b) / (samples.len() * samples.len()) as f64
}

/// The power in steps of `step` Hz, up to `to`.
pub(crate) fn bands(samples: &[(f64, f64)], step: f64, to: f64) -> Vec<(f64, f64)> {
    (1..(to / step) as usize).map(|n| n as f64 * step).map(|hz| (hz, power(samples, hz))).collect()
}

/// Where it is highest, smoothed over five steps, between two frequencies.
pub(crate) fn peak(bands: &[(f64, f64)], low: f64, high: f64) -> f64 {
    bands
        .windows(5)
        .filter(|window| window[2].0 >= low && window[2].0 < high)
        .map(|window| (window[2].0, window.iter().map(|&(_, power)| power).sum::<f64>()))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(0.0, |(hz, _)| hz)
}

/// The power between two frequencies.
pub(crate) fn sum(bands: &[(f64, f64)], low: f64, high: f64) -> f64 {
    bands.iter().filter(|&&(hz, _)| hz >= low && hz < high).map(|&(_, power)| power).sum()
}

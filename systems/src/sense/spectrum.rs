//! Where a signal's rhythm is, and how much it stands out.
//!
//! A Hann-windowed transform at the few frequencies that matter, every 1/120 Hz up to 0.6 Hz. The
//! last minute and its second half go through one complex transform, as its real and its imaginary
//! part; a transform without the machine's vectors, so that its bits do not depend on the machine.

use std::f64::consts::PI;
use std::sync::{Arc, LazyLock};

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::grid::GRID_HZ;
/// Frequencies a hertz.
const PER_HZ: usize = 120;
/// The last is 0.6 Hz.
const FREQUENCY_COUNT: usize = 73;
/// Cells that are averaged before the transform: to 2.5 Hz.
const DECIMATION: usize = 4;
/// Points of the transform, those that are there followed by zeros.
const POINT_COUNT: usize = PER_HZ * GRID_HZ as usize / DECIMATION;
/// Rates below are no part of a signal's variance: drift, posture.
const DRIFT_HZ: f64 = 0.05;
/// Share of the whole that a window's side lobes may have in the band: Hann's first are 0.001.
const SIDE_LOBE_SHARE: f64 = 0.005;
/// What counts as at the peak.
const PEAK_HALF_WIDTH_HZ: f64 = 0.04;

/// Cells that are looked at to find the peak: 60 s.
pub(crate) const PEAK_CELLS: usize = 600;
/// Cells that the concentration is of: 30 s, or 60 s when the rhythm is slower than 6 a minute.
const CONCENTRATION_CELLS: usize = 300;
const SLOW_HZ: f64 = 0.1;
/// Cells without which nothing is said: 12 s.
pub(crate) const CELLS_MIN: usize = 120;

/// What the last minute of a signal is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rhythm {
    /// The highest peak in the band, Hz. `None` when there is none within it.
    pub(crate) peak_hz: Option<f64>,
    /// The share of the variance above 0.05 Hz that lies within 0.04 Hz of the peak.
    pub(crate) concentration: f64,
    /// The same share of the variance of how fast the signal changes, up to 0.6 Hz: a random walk,
    /// whose energy falls with the square of the frequency, is then as even as noise.
    pub(crate) change_concentration: f64,
}

/// Of the newest cells, oldest first; at least [`CELLS_MIN`], of more than [`PEAK_CELLS`] the
/// newest. Rhythms are looked for from `band_hz.0` to `band_hz.1`.
pub(crate) fn rhythm(cells: &[f64], band_hz: (f64, f64)) -> Rhythm {
    let long = &cells[cells.len().saturating_sub(PEAK_CELLS)..];
    let [minute, half] = spectra([long, &long[long.len().saturating_sub(CONCENTRATION_CELLS)..]]);
    let Some(peak_hz) = minute.peak_hz(band_hz) else {
        return Rhythm { peak_hz: None, concentration: 0.0, change_concentration: 0.0 };
    };
    let (concentration, change_concentration) =
        if peak_hz < SLOW_HZ { &minute } else { &half }.concentration(peak_hz);
    Rhythm { peak_hz: Some(peak_hz), concentration, change_concentration }
}

struct Spectrum {
    /// Energy at every frequency, such that the sum over all up to half the rate is `total`.
    energy: [f64; FREQUENCY_COUNT],
    total: f64,
}

/// Of two runs of cells, the newest [`PEAK_CELLS`] at most.
fn spectra(runs: [&[f64]; 2]) -> [Spectrum; 2] {
    let mut points = [Complex::ZERO; POINT_COUNT];
    let totals = [
        window(runs[0], |k, point| points[k].re = point),
        window(runs[1], |k, point| points[k].im = point),
    ];
    let tables = &*TABLES;
    tables.transform.process(&mut points);
    let mut energies = [[0.0; FREQUENCY_COUNT]; 2];
    for k in 0..FREQUENCY_COUNT {
        // A real signal's spectrum is its own mirror image, an imaginary one's its opposite.
        let (there, mirrored) = (points[k], points[(POINT_COUNT - k) % POINT_COUNT].conj());
        let scale = 0.25 * tables.scale[k];
        energies[0][k] = scale * (there + mirrored).norm_sqr();
        energies[1][k] = scale * (there - mirrored).norm_sqr();
    }
    let [long, short] = energies;
    [Spectrum { energy: long, total: totals[0] }, Spectrum { energy: short, total: totals[1] }]
}

/// Takes the line out of cells and fades them at both ends; gives the sums of every few. The
/// energy.
fn window(cells: &[f64], mut put: impl FnMut(usize, f64)) -> f64 {
    let n = cells.len() - cells.len() % DECIMATION;
    let cells = &cells[cells.len() - n..];
    let (level, slope) = line(cells);
    let mut total = 0.0;
    let parts = cells.chunks_exact(DECIMATION).zip(hann(n).chunks_exact(DECIMATION));
    for (k, (cells, window)) in parts.enumerate() {
        let mut sum = 0.0;
        for lane in 0..DECIMATION {
            let at = (k * DECIMATION + lane) as f64;
            let value = (cells[lane] - level - slope * at) * window[lane];
            total += value * value;
            sum += value;
        }
        put(k, sum);
    }
    total
}

impl Spectrum {
    /// The highest local maximum in the band, by a parabola through the logarithms around it.
    fn peak_hz(&self, (low_hz, high_hz): (f64, f64)) -> Option<f64> {
        let within = |k: &usize| {
            let hz = *k as f64 / PER_HZ as f64;
            (low_hz..=high_hz).contains(&hz)
        };
        let e = &self.energy;
        let is_peak = |k: &usize| e[*k] > e[k - 1] && e[*k] >= e[k + 1];
        let k = (1..FREQUENCY_COUNT - 1)
            .filter(within)
            .filter(is_peak)
            .max_by(|a, b| e[*a].total_cmp(&e[*b]))?;
        let [left, middle, right] =
            [e[k - 1], e[k], e[k + 1]].map(|energy| libm::log(energy.max(1e-300)));
        let bend = left - 2.0 * middle + right;
        let shift = if bend < 0.0 { (0.5 * (left - right) / bend).clamp(-0.5, 0.5) } else { 0.0 };
        Some((k as f64 + shift) / PER_HZ as f64)
    }

    /// Of the signal, and of its changes.
    fn concentration(&self, peak_hz: f64) -> (f64, f64) {
        let valley_hz = self.valley_below(peak_hz).max(DRIFT_HZ);
        let is_at_peak = |hz: f64| hz >= valley_hz && (hz - peak_hz).abs() <= PEAK_HALF_WIDTH_HZ;
        let (mut drift, mut at_peak, mut changes, mut changes_at_peak) = (0.0, 0.0, 0.0, 0.0);
        for (k, energy) in self.energy.iter().enumerate() {
            let hz = k as f64 / PER_HZ as f64;
            if hz < DRIFT_HZ {
                drift += energy;
                continue;
            }
            let change = energy * hz * hz;
            changes += change;
            if is_at_peak(hz) {
                at_peak += energy;
                changes_at_peak += change;
            }
        }
        let above_drift = self.total - drift;
        // A window has side lobes: below this, a peak may be no more than one of a great drift's.
        if at_peak < SIDE_LOBE_SHARE * self.total || above_drift <= 0.0 {
            return (0.0, 0.0);
        }
        ((at_peak / above_drift).min(1.0), changes_at_peak / changes)
    }

    /// Where the energy, going down from the peak, begins to rise again: what lies beyond belongs to
    /// something slower.
    fn valley_below(&self, peak_hz: f64) -> f64 {
        let mut k = ((peak_hz * PER_HZ as f64).round() as usize).min(FREQUENCY_COUNT - 1);
        // In this stretch the peak may be a little below.
        let least = k.saturating_sub((PEAK_HALF_WIDTH_HZ * PER_HZ as f64) as usize);
        while k > least && self.energy[k - 1] >= self.energy[k] {
            k -= 1;
        }
        while k > 0 && self.energy[k - 1] < self.energy[k] {
            k -= 1;
        }
        k as f64 / PER_HZ as f64
    }
}

/// Level and slope of the straight line that fits best.
fn line(cells: &[f64]) -> (f64, f64) {
    let n = cells.len() as f64;
    let middle = 0.5 * (n - 1.0);
    let mean = cells.iter().sum::<f64>() / n;
    let mut product = 0.0;
    for (k, cell) in cells.iter().enumerate() {
        product += (k as f64 - middle) * (cell - mean);
    }
    let slope = product / (n * (n * n - 1.0) / 12.0);
    (mean - slope * middle, slope)
}

struct Tables {
    transform: Arc<dyn Fft<f64>>,
    /// From squared magnitude of the decimated sums to energy.
    scale: [f64; FREQUENCY_COUNT],
    /// By number of cells, for every multiple of the decimation.
    hann: Vec<Box<[f64]>>,
}

fn hann(n: usize) -> &'static [f64] {
    &TABLES.hann[n / DECIMATION]
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut scale = [0.0; FREQUENCY_COUNT];
    for (k, scale) in scale.iter_mut().enumerate() {
        let angle = 2.0 * PI * k as f64 / PER_HZ as f64 / GRID_HZ;
        // What summing over the decimation takes from this frequency.
        let kept = if k == 0 {
            1.0
        } else {
            let d = DECIMATION as f64;
            libm::sin(0.5 * d * angle) / (d * libm::sin(0.5 * angle))
        };
        // Parseval: as many frequencies as there are up to half the rate, and their mirror images.
        let mirrored = if k == 0 { 1.0 } else { 2.0 };
        *scale = mirrored / (kept * kept) / (PER_HZ as f64 * GRID_HZ);
    }
    let hann = (0..=PEAK_CELLS / DECIMATION)
        .map(|quarter| {
            let n = quarter * DECIMATION;
            let at = |k: usize| 0.5 - 0.5 * libm::cos(2.0 * PI * (k as f64 + 0.5) / n as f64);
            (0..n).map(at).collect()
        })
        .collect();
    Tables { transform: FftPlannerScalar::new().plan_fft_forward(POINT_COUNT), scale, hann }
});

#[cfg(test)]
mod tests {
    use super::*;

    const BREATH: (f64, f64) = (0.08, 0.5);

    fn sine(hz: f64, n: usize) -> Vec<f64> {
        (0..n)
            .map(|k| 70.0 + 0.02 * k as f64 + 8.0 * libm::sin(2.0 * PI * hz * k as f64 / GRID_HZ))
            .collect()
    }

    #[test]
    fn a_rhythm_is_found_where_it_is() {
        for hz in [0.09, 0.117, 0.2, 0.25, 0.333, 0.45] {
            let found = rhythm(&sine(hz, 600), BREATH);
            let peak = found.peak_hz.unwrap();
            assert!((peak - hz).abs() < 0.003, "{hz} {peak}");
            assert!(found.concentration > 0.9, "{hz} {}", found.concentration);
        }
    }

    #[test]
    fn white_noise_has_no_concentration() {
        let mut state = 1u64;
        let mut worst: f64 = 0.0;
        for _ in 0..200 {
            let noise: Vec<f64> = (0..600)
                .map(|_| {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) as f64
                })
                .collect();
            worst = worst.max(rhythm(&noise, BREATH).concentration);
        }
        assert!(worst < 0.2, "{worst}");
    }

    #[test]
    fn a_rhythm_outside_the_band_is_none() {
        for hz in [0.03, 0.56] {
            let found = rhythm(&sine(hz, 600), BREATH);
            assert!(found.concentration < 0.3, "{hz} {found:?}");
        }
    }
}

//! The phase of a whole signal, looked back on: what a report is made of.
//!
//! A third-order Butterworth band-pass run both ways and a Hilbert transform, as the acausal
//! reference does (`reference/synchrony.md` 1), in one multiplication of the spectrum. The signal is
//! freed of its trend and followed by as many zeros, so that its end does not reach its beginning.

use std::sync::Arc;

use components::group::Signal;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::grid::GRID_HZ;
use super::phase::butterworth_squared;
use super::phasor::Phasor;
use super::spectrum;

/// Cells at both ends where the band's own ringing is heard: half the longest filter, 7.5 s.
pub const EDGE_STEPS: usize = 75;

/// Looks back on signals of one length.
pub struct Hindsight {
    cells: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
}

impl Hindsight {
    pub fn new(cells: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let length = 2 * cells.max(1);
        let forward = planner.plan_fft_forward(length);
        Self { cells, forward, backward: planner.plan_fft_inverse(length) }
    }

    /// Unit phasors of a signal on the grid, in the band around `centre_hz`, one a cell. Zeros at
    /// both edges, and where the cell is NaN; the band is looked at as if the signal went straight
    /// there.
    ///
    /// # Panics
    ///
    /// If there are not as many cells as was said.
    pub fn phasors(&self, cells: &[f64], centre_hz: f64) -> Vec<Phasor> {
        let n = self.cells;
        assert_eq!(cells.len(), n, "signals of one length");
        let Some(mut re) = bridged(cells).filter(|_| n > 2 * EDGE_STEPS) else {
            return vec![Phasor::ZERO; n];
        };
        take_out_trend(&mut re);
        re.resize(2 * n, 0.0);
        let mut spectrum = self.forward.make_output_vec();
        self.forward.process(&mut re, &mut spectrum).expect("of the planned length");
        for (k, z) in spectrum.iter_mut().enumerate() {
            let hz = k as f64 * GRID_HZ / (2 * n) as f64;
            // At neither end is there anything of a band; the formula has no value there.
            let gain = if k == 0 || k == n { 0.0 } else { butterworth_squared(hz, centre_hz) };
            *z *= gain;
        }
        // A quarter of a turn back, at every frequency.
        let mut quadrature: Vec<Complex<f64>> =
            spectrum.iter().map(|z| Complex::new(z.im, -z.re)).collect();
        let mut im = vec![0.0; 2 * n];
        self.backward.process(&mut spectrum, &mut re).expect("of the planned length");
        self.backward.process(&mut quadrature, &mut im).expect("of the planned length");
        let inside = EDGE_STEPS..n - EDGE_STEPS;
        let phasor = |k: usize| {
            let there = inside.contains(&k) && !cells[k].is_nan();
            there.then(|| Phasor { re: re[k], im: im[k] }.unit()).flatten().unwrap_or(Phasor::ZERO)
        };
        (0..n).map(phasor).collect()
    }
}

/// The middle of the rhythms of all minutes, half overlapping, Hz. `None` when none has one.
pub fn rhythm_hz(cells: &[f64], signal: Signal) -> Option<f64> {
    let minute = spectrum::PEAK_CELLS.min(cells.len()).max(spectrum::CELLS_MIN);
    let mut rhythms: Vec<f64> = cells
        .windows(minute)
        .step_by(minute / 2)
        .filter(|cells| cells.iter().all(|cell| cell.is_finite()))
        .filter_map(|cells| spectrum::rhythm(cells, signal.band_hz()).peak_hz)
        .collect();
    rhythms.sort_unstable_by(f64::total_cmp);
    rhythms.get(rhythms.len() / 2).copied()
}

/// Straight lines where there is nothing, and the nearest value before the first and behind the
/// last. `None` when there is no value.
pub fn bridged(cells: &[f64]) -> Option<Vec<f64>> {
    let there = |k: &usize| cells[*k].is_finite();
    let mut last = (0..cells.len()).find(there)?;
    let mut out = vec![cells[last]; cells.len()];
    for k in (last..cells.len()).filter(there) {
        for (step, cell) in out[last..=k].iter_mut().enumerate() {
            let part = step as f64 / (k - last).max(1) as f64;
            *cell = cells[last] + part * (cells[k] - cells[last]);
        }
        last = k;
    }
    out[last..].fill(cells[last]);
    Some(out)
}

/// The least-squares line.
fn take_out_trend(cells: &mut [f64]) {
    let n = cells.len() as f64;
    let middle = 0.5 * (n - 1.0);
    let mean = cells.iter().sum::<f64>() / n;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (k, cell) in cells.iter().enumerate() {
        let x = k as f64 - middle;
        xy += x * (cell - mean);
        xx += x * x;
    }
    let slope = xy / xx;
    for (k, cell) in cells.iter_mut().enumerate() {
        *cell -= mean + slope * (k as f64 - middle);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn phasors(cells: &[f64], centre_hz: f64) -> Vec<Phasor> {
        Hindsight::new(cells.len()).phasors(cells, centre_hz)
    }

    #[test]
    fn the_phase_of_a_breath_is_read_without_delay_whatever_its_offset_and_trend() {
        let wave = |hz: f64, k: usize| libm::cos(TAU * hz * k as f64 / GRID_HZ + 0.4);
        for hz in [0.1, 0.25, 0.4] {
            let cells: Vec<f64> =
                (0..1500).map(|k| 500.0 + 0.02 * k as f64 + wave(hz, k)).collect();
            for (k, phasor) in phasors(&cells, hz).iter().enumerate() {
                if (200..1300).contains(&k) {
                    let wanted = Phasor::from_angle(TAU * hz * k as f64 / GRID_HZ + 0.4);
                    let off = (*phasor * wanted.conj()).angle().abs();
                    assert!(off < 0.02, "{hz} Hz, {k}: {off}");
                } else if !(75..1425).contains(&k) {
                    assert_eq!(*phasor, Phasor::ZERO);
                }
            }
            assert!((rhythm_hz(&cells, Signal::Breath).unwrap() - hz).abs() < 0.003);
        }
    }

    #[test]
    fn a_hole_has_no_phase_and_takes_none_from_others() {
        let mut cells: Vec<f64> =
            (0..900).map(|k| libm::sin(TAU * 0.25 * k as f64 / GRID_HZ)).collect();
        let whole = phasors(&cells, 0.25);
        cells[400..403].fill(f64::NAN);
        let holed = phasors(&cells, 0.25);
        for k in 75..825 {
            if (400..403).contains(&k) {
                assert_eq!(holed[k], Phasor::ZERO);
            } else {
                assert!((holed[k] * whole[k].conj()).angle().abs() < 0.05, "{k}");
            }
        }
        assert!(phasors(&[f64::NAN; 900], 0.25).iter().all(|phasor| *phasor == Phasor::ZERO));
        assert!(phasors(&[1.0; 100], 0.25).iter().all(|phasor| *phasor == Phasor::ZERO));
        assert_eq!(
            bridged(&[f64::NAN, 1.0, f64::NAN, 3.0, f64::NAN]),
            Some(vec![1.0, 1.0, 2.0, 3.0, 3.0])
        );
    }
}

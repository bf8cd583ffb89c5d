//! What breathing does to the heart: respiratory sinus arrhythmia of one person.
//!
//! Both on the grid of 10 Hz, in the band around the breath's own rhythm (not a fixed one: slow
//! breathing has its heart rhythm where others have slow waves), over two minutes or more.

use components::group::{Signal, Tier};

use super::super::grid::GRID_HZ;
use super::super::pair;
use super::super::phase::{Filters, centre_of};
use super::super::phasor::Phasor;
use super::super::spectrum;

/// Cells without which there is no figure: two minutes.
pub const CELLS_MIN: usize = 1_200;

/// Cells of one segment of the coherence, half overlapping: 60 s.
const SEGMENT_CELLS: usize = 600;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cardiorespiratory {
    /// The breath's rhythm, Hz.
    pub breath_hz: f64,
    /// Phase-locking value of the intervals between beats and the breath.
    pub plv: f64,
    /// Magnitude-squared coherence at the breath's rhythm (Welch's method). Of `segments` that say
    /// nothing of each other it is about `1 / segments`.
    pub coherence: f64,
    pub segments: usize,
    /// Of the interval between beats over one breath, the median of twice the amplitude, ms.
    pub peak_to_trough_ms: f64,
}

/// Of a breath and a tachogram (ms), cell by cell. `None` when they are too short, or the breath
/// has no rhythm.
pub fn cardiorespiratory(
    breath: &[f64],
    tachogram: &[f64],
    filters: &mut Filters,
) -> Option<Cardiorespiratory> {
    let n = breath.len().min(tachogram.len());
    if n < CELLS_MIN {
        return None;
    }
    let (breath, tachogram) = (&breath[..n], &tachogram[..n]);
    // The middle of the minutes' rhythms.
    let mut rhythms: Vec<f64> = breath
        .windows(SEGMENT_CELLS)
        .step_by(SEGMENT_CELLS / 2)
        .filter_map(|cells| spectrum::rhythm(cells, Signal::Breath.band_hz()).peak_hz)
        .collect();
    rhythms.sort_unstable_by(f64::total_cmp);
    let breath_hz = *rhythms.get(rhythms.len() / 2)?;
    let centre = centre_of(breath_hz);
    filters.ensure(Tier::Confirmed, centre);
    let filter = filters.get(Tier::Confirmed, centre)?;
    let signals = |cells: &[f64]| -> Vec<Phasor> {
        cells.windows(filter.taps()).map(|cells| filter.apply(cells)).collect()
    };
    let (breath_signal, heart_signal) = (signals(breath), signals(tachogram));
    let units = |signal: &[Phasor]| -> Vec<Phasor> {
        signal.iter().map(|z| z.unit().unwrap_or(Phasor::ZERO)).collect()
    };
    let pair = pair::pair(&units(&heart_signal), &units(&breath_signal))?;
    let mut amplitudes: Vec<f64> = heart_signal.iter().map(|z| z.norm()).collect();
    let middle = amplitudes.len() / 2;
    let (_, &mut amplitude, _) = amplitudes.select_nth_unstable_by(middle, f64::total_cmp);
    let (coherence, segments) = coherence(breath, tachogram, breath_hz);
    Some(Cardiorespiratory {
        breath_hz,
        plv: pair.plv,
        coherence,
        segments,
        peak_to_trough_ms: 2.0 * amplitude,
    })
}

/// At `hz`, and of how many segments.
fn coherence(a: &[f64], b: &[f64], hz: f64) -> (f64, usize) {
    let (mut cross, mut power_a, mut power_b, mut segments) = (Phasor::ZERO, 0.0, 0.0, 0);
    let steps = a.windows(SEGMENT_CELLS).zip(b.windows(SEGMENT_CELLS));
    for (a, b) in steps.step_by(SEGMENT_CELLS / 2) {
        let (a, b) = (component(a, hz), component(b, hz));
        cross = cross + a * b.conj();
        power_a += a.norm() * a.norm();
        power_b += b.norm() * b.norm();
        segments += 1;
    }
    let power = power_a * power_b;
    (if power > 0.0 { cross.norm() * cross.norm() / power } else { 0.0 }, segments)
}

/// One frequency of one segment, freed of its mean, under a Hann window.
fn component(cells: &[f64], hz: f64) -> Phasor {
    let n = cells.len() as f64;
    let mean = cells.iter().sum::<f64>() / n;
    let turn = std::f64::consts::TAU;
    let terms = cells.iter().enumerate().map(|(k, cell)| {
        let k = k as f64;
        let window = 0.5 - 0.5 * libm::cos(turn * (k + 0.5) / n);
        Phasor::from_angle(-turn * hz * k / GRID_HZ).scaled(window * (cell - mean))
    });
    terms.fold(Phasor::ZERO, |sum, term| sum + term)
}

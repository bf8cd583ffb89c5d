//! R-peaks in raw ECG: where the slope is steep against its surroundings.
//!
//! The detector of NeuroKit2 (Makowski et al. 2021, doi 10.3758/s13428-020-01516-y;
//! `ecg_peaks(method="neurokit")`), made to run on what comes in: the absolute gradient, smoothed
//! over 0.1 s, exceeds 1.5 times its own mean over 0.75 s within a QRS complex, and the peak is the
//! most prominent maximum there. The whole needs 0.43 s of what follows. The signal is first put on
//! a grid of 250 Hz and freed of mains hum by a mean over 20 ms; a high-pass filter is not needed,
//! since the gradient is one. Where NeuroKit2 compares a complex with the mean length of all, ours
//! compares with those so far.

use std::collections::VecDeque;

use super::super::grid::Grid;

/// Grid of the ECG, microseconds: 250 Hz.
pub(crate) const STEP_US: i64 = 4_000;
/// A step between samples longer than this hides what a QRS complex looks like.
const GAP_US: i64 = 40_000;

/// Half widths of the centred means, in steps: 20 ms, 0.1 s, 0.75 s.
const HUM: usize = 2;
const SMOOTH: usize = 12;
const AVERAGE: usize = 93;
/// The gradient at a step needs the steps next to it.
const GRADIENT: usize = 1;

/// Steps that everything together looks at, either way.
const WIDTH: usize = 2 * (HUM + GRADIENT + SMOOTH + AVERAGE) + 1;

/// Times the mean slope that a QRS complex exceeds.
const THRESHOLD: f64 = 1.5;
/// Share of the usual length below which it is none.
const LENGTH_SHARE_MIN: f64 = 0.4;
/// Steps beyond which it is none either: 0.4 s.
const LENGTH_MAX: usize = 100;
/// Complexes that the usual length is the mean of, at most.
const LENGTHS_MAX: f64 = 200.0;
/// Peaks follow each other by more than this, microseconds.
const DELAY_US: i64 = 300_000;

/// A centred mean over `2 * half + 1` values.
#[derive(Debug, Clone)]
pub(crate) struct Centred {
    pub(crate) values: VecDeque<f64>,
    pub(crate) half: usize,
}

impl Centred {
    fn new(half: usize) -> Self {
        Self { values: VecDeque::with_capacity(2 * half + 2), half }
    }

    pub(crate) fn width(&self) -> usize {
        2 * self.half + 1
    }

    /// The mean around the value that was put in `half` values ago, once there are enough.
    fn put(&mut self, value: f64) -> Option<f64> {
        let width = self.width();
        if self.values.len() == width {
            self.values.pop_front();
        }
        self.values.push_back(value);
        // Summed anew each time: a running sum would carry its rounding along for hours.
        (self.values.len() == width).then(|| {
            let (front, back) = self.values.as_slices();
            (lanes(front) + lanes(back)) / width as f64
        })
    }
}

/// A sum in four lanes: fast, and in a fixed order.
fn lanes(values: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let mut chunks = values.chunks_exact(4);
    for chunk in &mut chunks {
        for lane in 0..4 {
            sums[lane] += chunk[lane];
        }
    }
    for (lane, value) in chunks.remainder().iter().enumerate() {
        sums[lane] += value;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Detector {
    pub(crate) grid: Grid,
    /// The next cell of the grid to look at.
    pub(crate) next: Option<i64>,
    pub(crate) hum: Centred,
    /// The last two values without hum.
    pub(crate) before: [Option<f64>; 2],
    pub(crate) smooth: Centred,
    pub(crate) average: Centred,
    /// Values without hum, and smoothed slopes, that the slower means have not reached yet.
    pub(crate) values: VecDeque<f64>,
    pub(crate) slopes: VecDeque<f64>,
    /// The complex that is running: its values so far.
    pub(crate) complex: Vec<f64>,
    /// A complex that was running when the signal began is not whole.
    pub(crate) whole: bool,
    pub(crate) usual_length: f64,
    pub(crate) lengths: f64,
    pub(crate) last_us: Option<i64>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            grid: Grid::with_step(STEP_US),
            next: None,
            hum: Centred::new(HUM),
            before: [None; 2],
            smooth: Centred::new(SMOOTH),
            average: Centred::new(AVERAGE),
            values: VecDeque::new(),
            slopes: VecDeque::new(),
            complex: Vec::new(),
            whole: false,
            usual_length: 0.0,
            lengths: 0.0,
            last_us: None,
        }
    }
}

impl Detector {
    /// Values, slopes, or values of a complex that are remembered, at most.
    pub(crate) const BEHIND_COUNT_MAX: usize = AVERAGE + SMOOTH + LENGTH_MAX;

    /// Whether as much is remembered of each part as the others need.
    pub(crate) fn is_sound(&self) -> bool {
        let full = |part: &Centred| part.values.len() == part.width();
        let filled = self.before[1].is_some();
        let slow = full(&self.average);
        let remembered =
            self.slopes.len() == AVERAGE + 1 && self.values.len() == AVERAGE + SMOOTH + 1;
        self.next.is_none_or(|next| (self.grid.begin()..=self.grid.end()).contains(&next))
            // All of it is filled with the first cell.
            && filled == slow
            && (!slow || (full(&self.hum) && full(&self.smooth) && remembered))
            && self.complex.len() <= LENGTH_MAX + 1
    }

    /// A sample, at its time on the common clock. `found` is given the time of each R-peak,
    /// microseconds, in order.
    pub fn hear(&mut self, at_us: i64, value: f64, mut found: impl FnMut(i64)) {
        self.grid.put(at_us, value);
        // Half a second late already: what comes out of order within a tenth costs nothing.
        let newest = self.grid.newest_us().unwrap_or(at_us);
        self.grid.fill_to((newest - 100_000).div_euclid(STEP_US));
        if self.next.is_none() && self.grid.end() == self.grid.begin() {
            return;
        }
        let mut next = self.next.unwrap_or(self.grid.begin());
        if next < self.grid.begin() {
            // A new grid has begun.
            self.start_anew();
            next = self.grid.begin();
        }
        while next < self.grid.end() {
            if self.grid.last_gap(next, next + 1, GAP_US).is_some() {
                self.start_anew();
            } else if let Some(&[value]) =
                self.grid.cells(next, next + 1).and_then(|c| c.first_chunk())
            {
                if self.before == [None; 2] {
                    // As if it had always stood there: the means then reach the first beat. One
                    // right at the beginning may not be whole.
                    let begin_us = next * STEP_US;
                    self.last_us = Some(self.last_us.map_or(begin_us, |last| last.max(begin_us)));
                    (0..WIDTH).for_each(|_| self.step(next, value, &mut found));
                }
                self.step(next, value, &mut found);
            }
            next += 1;
        }
        self.next = Some(next);
    }

    /// Forgets the signal, but not what the person's complexes are like.
    fn start_anew(&mut self) {
        let grid = std::mem::replace(&mut self.grid, Grid::with_step(STEP_US));
        let (usual_length, lengths, last_us) = (self.usual_length, self.lengths, self.last_us);
        *self = Self { grid, usual_length, lengths, last_us, ..Self::default() };
    }

    fn step(&mut self, cell: i64, value: f64, found: &mut impl FnMut(i64)) {
        let Some(value) = self.hum.put(value) else { return };
        let [first, middle] = self.before;
        self.before = [middle, Some(value)];
        let (Some(first), Some(middle)) = (first, middle) else { return };
        self.values.push_back(middle);
        let Some(slope) = self.smooth.put(0.5 * (value - first).abs()) else { return };
        self.slopes.push_back(slope);
        let Some(average) = self.average.put(slope) else { return };
        // Which cell all this is about.
        let at = cell - (HUM + GRADIENT + SMOOTH + AVERAGE) as i64;
        while self.slopes.len() > AVERAGE + 1 {
            self.slopes.pop_front();
        }
        while self.values.len() > AVERAGE + SMOOTH + 1 {
            self.values.pop_front();
        }
        let (slope, value) = (self.slopes[0], self.values[0]);
        if slope > THRESHOLD * average {
            if self.complex.len() <= LENGTH_MAX {
                self.complex.push(value);
            }
        } else {
            if self.whole && !self.complex.is_empty() {
                self.end_complex(at, found);
            }
            self.complex.clear();
            self.whole = true;
        }
    }

    /// The complex that ended right before cell `end`.
    fn end_complex(&mut self, end: i64, found: &mut impl FnMut(i64)) {
        let length = self.complex.len();
        if length > LENGTH_MAX || (length as f64) < LENGTH_SHARE_MIN * self.usual_length {
            return;
        }
        self.lengths = (self.lengths + 1.0).min(LENGTHS_MAX);
        self.usual_length += (length as f64 - self.usual_length) / self.lengths;
        let Some(peak) = most_prominent(&self.complex) else { return };
        let [left, middle, right] = [peak - 1, peak, peak + 1].map(|k| self.complex[k]);
        let bend = left - 2.0 * middle + right;
        let shift = if bend < 0.0 { (0.5 * (left - right) / bend).clamp(-0.5, 0.5) } else { 0.0 };
        let at_us = (end - length as i64 + peak as i64) * STEP_US + (shift * STEP_US as f64) as i64;
        if self.last_us.is_none_or(|last| at_us - last > DELAY_US) {
            self.last_us = Some(at_us);
            found(at_us);
        }
    }
}

/// The local maximum that stands out most from what is around it, as `scipy.signal.find_peaks` has
/// its prominence. Never at either end.
fn most_prominent(values: &[f64]) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for k in 1..values.len().saturating_sub(1) {
        if !(values[k] > values[k - 1] && values[k] >= values[k + 1]) {
            continue;
        }
        let lowest = |side: &mut dyn Iterator<Item = &f64>| {
            side.take_while(|value| **value <= values[k])
                .fold(values[k], |least, value| least.min(*value))
        };
        let base = lowest(&mut values[..k].iter().rev()).max(lowest(&mut values[k + 1..].iter()));
        let prominence = values[k] - base;
        if best.is_none_or(|(other, _)| prominence > other) {
            best = Some((prominence, k));
        }
    }
    best.map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ECG of one person at `rate` Hz: a steep R-wave, a broad T-wave, and a slow wander.
    fn ecg(rate: i64, beats: &[f64], seconds: i64) -> Vec<(i64, f64)> {
        let bell = |t: f64, width: f64| libm::exp(-0.5 * (t / width) * (t / width));
        (0..rate * seconds)
            .map(|n| {
                let t = n as f64 / rate as f64;
                let waves: f64 = beats
                    .iter()
                    .map(|beat| {
                        bell(t - beat, 0.012) + 0.25 * bell(t - beat - 0.25, 0.05)
                            - 0.2 * bell(t - beat - 0.03, 0.01)
                    })
                    .sum();
                (
                    n * 1_000_000 / rate,
                    waves + 0.3 * libm::sin(t * 1.3) + 0.02 * libm::sin(314.159 * t),
                )
            })
            .collect()
    }

    fn peaks(samples: &[(i64, f64)]) -> Vec<i64> {
        let mut detector = Detector::default();
        let mut peaks = Vec::new();
        for &(at, value) in samples {
            detector.hear(at, value, |peak| peaks.push(peak));
        }
        peaks
    }

    #[test]
    fn every_beat_is_found_where_it_is_at_any_rate() {
        let beats: Vec<f64> =
            (0..30).map(|n| 1.0 + 0.8 * f64::from(n) + 0.03 * libm::sin(f64::from(n))).collect();
        for rate in [128, 250, 360, 512, 1000] {
            let found = peaks(&ecg(rate, &beats, 27));
            assert_eq!(found.len(), beats.len(), "{rate} Hz: {found:?}");
            for (found, beat) in found.iter().zip(&beats) {
                let off = *found as f64 * 1e-6 - beat;
                assert!(off.abs() < 0.004, "{rate} Hz: {beat} {off}");
            }
        }
    }

    #[test]
    fn a_constant_has_no_beats_and_a_gap_hides_only_its_own() {
        assert!(peaks(&(0..5000).map(|n| (n * 4_000, 7.5)).collect::<Vec<_>>()).is_empty());
        let beats: Vec<f64> = (0..20).map(|n| 1.0 + f64::from(n)).collect();
        let mut samples = ecg(250, &beats, 22);
        samples.retain(|(at, _)| !(9_500_000..10_500_000).contains(at));
        let found = peaks(&samples);
        for beat in &beats {
            let near = |peak: &&i64| (**peak as f64 * 1e-6 - beat).abs() < 0.004;
            let far = (beat - 10.0).abs() > 1.5;
            assert!(!far || found.iter().filter(near).count() == 1, "{beat} {found:?}");
        }
    }

    #[test]
    fn prominence_is_scipys() {
        // scipy.signal.find_peaks([0, 2, 1, 5, 4, 4.5, 0], prominence=0): 1, 5 and 0.5.
        assert_eq!(most_prominent(&[0.0, 2.0, 1.0, 5.0, 4.0, 4.5, 0.0]), Some(3));
        assert_eq!(most_prominent(&[5.0, 3.0, 4.0, 1.0]), Some(2));
        assert_eq!(most_prominent(&[1.0, 2.0, 3.0]), None);
    }
}

//! The day's rhythm of the load: how much more than usual is to be expected at this time of day.
//!
//! A sum of the day's first harmonics in local time, fitted to measured load by least squares with
//! slow forgetting. Smooth and periodic by construction, so nothing jumps at the full hour or at
//! midnight. Before it learns from a measurement it predicts it: what that was better than the mean
//! (its *skill*) is the part of the amplitude that is believed. No rhythm, no effect.
//! (`reference/core.md` 12.5 and 19.)

use std::f64::consts::TAU;

use super::{finite, minutes};
use crate::snapshot::bytes::{Read, Reader, Writer};

const DAY_S: f64 = 86_400.0;
/// Harmonics of the day: the shortest has a period of six hours.
const HARMONIC_COUNT: usize = 4;
const TERM_COUNT: usize = 1 + 2 * HARMONIC_COUNT;
/// Days until what was learnt counts for 1/e.
const MEMORY_DAYS: f64 = 14.0;
/// Days until a part of the skill's evidence counts for 1/e. Shorter: an old rhythm that ended
/// must lose its say before it is forgotten.
const SKILL_MEMORY_DAYS: f64 = 5.0;
/// Days of evidence that the doubt at the beginning weighs: skill is pulled to none as if that had
/// been measured for so long, and amplitudes, of which skill tells whether they are any good, to 0.
const DOUBT_DAYS: f64 = 1.0;
const AMPLITUDE_DOUBT_DAYS: f64 = 0.3;
/// Load above the mean, times this, is the effect.
const GAIN: f64 = 0.6;
/// Seconds between two fits.
const FIT_S: f64 = 900.0;
/// Between two measurements no more than this counts, in seconds.
const STEP_S_MAX: f64 = 900.0;

/// What the factor may be (`reference/core.md` 12.5: off peak, peak).
pub const FACTOR_MIN: f64 = 0.85;
pub const FACTOR_MAX: f64 = 1.2;

/// The rhythm as learnt. Times are Unix seconds; the time zone is data.
#[derive(Debug, Clone, PartialEq)]
pub struct Circadian {
    /// Minutes that local time is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// Sums of products of terms, weighted by days; the lower triangle.
    products: [[f64; TERM_COUNT]; TERM_COUNT],
    /// Sums of products of terms and load.
    moments: [f64; TERM_COUNT],
    /// Of the terms; the first is the mean.
    amplitudes: [f64; TERM_COUNT],
    /// Squared errors of the mean alone, and of the rhythm, weighted by days.
    error_of_mean: f64,
    error_of_rhythm: f64,
    skill_days: f64,
    last_s: Option<f64>,
    fitted_s: f64,
}

impl Default for Circadian {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Circadian {
    pub fn new(utc_offset_minutes: i32) -> Self {
        Self {
            utc_offset_minutes,
            products: [[0.0; TERM_COUNT]; TERM_COUNT],
            moments: [0.0; TERM_COUNT],
            amplitudes: [0.0; TERM_COUNT],
            error_of_mean: 0.0,
            error_of_rhythm: 0.0,
            skill_days: 0.0,
            last_s: None,
            fitted_s: 0.0,
        }
    }

    /// The load, 0 to 1, as measured at `unix_s`; once a minute is plenty. A measurement counts
    /// for the time since the one before, at most a quarter of an hour.
    pub fn learn(&mut self, unix_s: f64, load: f64) {
        if !(unix_s.is_finite() && load.is_finite()) {
            return;
        }
        let load = load.clamp(0.0, 1.0);
        let after_s = self.last_s.map_or(0.0, |last_s| unix_s - last_s);
        self.last_s = Some(unix_s);
        if after_s <= 0.0 {
            return;
        }
        let days = after_s.min(STEP_S_MAX) / DAY_S;
        let terms = self.terms(unix_s);

        let kept = 1.0 - days / SKILL_MEMORY_DAYS;
        let (mean, rhythm) = (self.amplitudes[0], self.expected_of(&terms));
        self.error_of_mean = kept * self.error_of_mean + days * (load - mean) * (load - mean);
        self.error_of_rhythm =
            kept * self.error_of_rhythm + days * (load - rhythm) * (load - rhythm);
        self.skill_days = kept * self.skill_days + days;

        let kept = 1.0 - days / MEMORY_DAYS;
        for (row, &term) in terms.iter().enumerate() {
            for (product, &other) in self.products[row].iter_mut().zip(&terms[..=row]) {
                *product = kept * *product + days * term * other;
            }
            self.moments[row] = kept * self.moments[row] + days * term * load;
        }
        if (unix_s - self.fitted_s).abs() >= FIT_S {
            self.fitted_s = unix_s;
            self.amplitudes = solved(&self.products, &self.moments);
        }
    }

    /// What a window is multiplied by at `unix_s`: above 1 where more load than usual is to be
    /// expected; exactly 1 while there is no evidence of a rhythm.
    pub fn factor(&self, unix_s: f64) -> f64 {
        let skill = self.skill();
        if skill <= 0.0 || !unix_s.is_finite() {
            return 1.0;
        }
        let above = self.expected_of(&self.terms(unix_s)) - self.amplitudes[0];
        (1.0 + GAIN * skill * above).clamp(FACTOR_MIN, FACTOR_MAX)
    }

    /// The part of the load's variance that was foretold, 0 (nothing) to 1, after doubt.
    pub fn skill(&self) -> f64 {
        if self.error_of_mean <= 0.0 {
            return 0.0;
        }
        let foretold = (1.0 - self.error_of_rhythm / self.error_of_mean).max(0.0);
        foretold * self.skill_days / (self.skill_days + DOUBT_DAYS)
    }

    /// The local hour, 0 to 24.
    pub fn local_hour(&self, unix_s: f64) -> f64 {
        (unix_s + 60.0 * f64::from(self.utc_offset_minutes)).rem_euclid(DAY_S) / 3600.0
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.utc_offset_minutes.into());
        for number in self.products.iter().flatten().chain(&self.moments).chain(&self.amplitudes) {
            out.float(*number);
        }
        for number in [self.error_of_mean, self.error_of_rhythm, self.skill_days, self.fitted_s] {
            out.float(number);
        }
        out.flag(self.last_s.is_some());
        if let Some(last_s) = self.last_s {
            out.float(last_s);
        }
    }

    pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        let mut it = Self::new(minutes(bytes)?);
        let numbers = it.products.iter_mut().flatten();
        for number in numbers.chain(&mut it.moments).chain(&mut it.amplitudes) {
            *number = finite(bytes)?;
        }
        it.error_of_mean = finite(bytes)?;
        it.error_of_rhythm = finite(bytes)?;
        it.skill_days = finite(bytes)?;
        it.fitted_s = finite(bytes)?;
        it.last_s = if bytes.flag()? { Some(finite(bytes)?) } else { None };
        Ok(it)
    }

    fn expected_of(&self, terms: &[f64; TERM_COUNT]) -> f64 {
        self.amplitudes.iter().zip(terms).map(|(amplitude, term)| amplitude * term).sum()
    }

    /// 1, and sine and cosine of each harmonic of the local day.
    fn terms(&self, unix_s: f64) -> [f64; TERM_COUNT] {
        let angle = TAU * self.local_hour(unix_s) / 24.0;
        let mut terms = [1.0; TERM_COUNT];
        for harmonic in 0..HARMONIC_COUNT {
            let (sine, cosine) = libm::sincos((harmonic + 1) as f64 * angle);
            (terms[1 + 2 * harmonic], terms[2 + 2 * harmonic]) = (sine, cosine);
        }
        terms
    }
}

/// Least squares by Cholesky's decomposition, with the doubt on the diagonal of all but the mean.
fn solved(
    products: &[[f64; TERM_COUNT]; TERM_COUNT],
    moments: &[f64; TERM_COUNT],
) -> [f64; TERM_COUNT] {
    let mut lower = *products;
    for (at, row) in lower.iter_mut().enumerate() {
        // The mean is pulled too, by nothing that counts: a matrix of one moment has a solution.
        row[at] += if at == 0 { 1e-9 } else { 0.5 * AMPLITUDE_DOUBT_DAYS };
    }
    for row in 0..TERM_COUNT {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
            let rest = lower[row][column] - known;
            lower[row][column] =
                if row == column { rest.max(1e-12).sqrt() } else { rest / lower[column][column] };
        }
    }
    let mut solution = *moments;
    for row in 0..TERM_COUNT {
        let known: f64 = (0..row).map(|k| lower[row][k] * solution[k]).sum();
        solution[row] = (solution[row] - known) / lower[row][row];
    }
    for row in (0..TERM_COUNT).rev() {
        let known: f64 = (row + 1..TERM_COUNT).map(|k| lower[k][row] * solution[k]).sum();
        solution[row] = (solution[row] - known) / lower[row][row];
    }
    solution
}

#[cfg(test)]
mod tests;

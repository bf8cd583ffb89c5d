//! Two people at a time: how steadily their phases keep their distance, and who is ahead.

use std::f64::consts::TAU;

use super::grid::GRID_HZ;
use super::phasor::Phasor;

/// Phases that are remembered for pairs: two minutes, below which strangers look alike too often
/// (`reference/synchrony.md` 5: at 120 s a phase-locking value of 0.50 is passed by 5 % of them).
pub const WINDOW_STEPS: usize = 1_200;

/// Common steps without which there is no figure: one minute.
pub const COMMON_STEPS_MIN: usize = 600;

/// Steps of the window of a cross-correlation: 30 s.
const CORRELATION_STEPS: usize = 300;

/// How two people's phases lie to each other over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Phase-locking value (Lachaux et al. 1999): 1 when the distance is constant, whatever it is.
    pub plv: f64,
    /// The mean distance, radians: positive when the first is ahead.
    pub difference: f64,
    /// Steps in which both could be measured.
    pub common: usize,
}

/// Of two runs of unit phasors of the same length; zeros stand for no phase. `None` when there is
/// no common step.
pub fn pair(a: &[Phasor], b: &[Phasor]) -> Option<Pair> {
    let (mut sum, mut common) = (Phasor::ZERO, 0);
    for (a, b) in a.iter().zip(b) {
        if *a != Phasor::ZERO && *b != Phasor::ZERO {
            sum = sum + *a * b.conj();
            common += 1;
        }
    }
    (common > 0).then(|| {
        let mean = sum.scaled(1.0 / common as f64);
        Pair { plv: mean.norm().min(1.0), difference: mean.angle(), common }
    })
}

/// Seconds by which the second is behind, between half a cycle either way: from a distance of
/// phases at a rhythm. At half a cycle nobody can tell who is ahead.
pub fn lag_s(difference: f64, rhythm_hz: f64) -> f64 {
    difference / (TAU * rhythm_hz)
}

/// Seconds by which the second is behind, from the highest peak of the cross-correlation of the
/// rhythms (the real parts of the phasors) within half a cycle either way. `None` when less than
/// half of what is compared is there.
pub fn correlation_lag_s(a: &[Phasor], b: &[Phasor], rhythm_hz: f64) -> Option<f64> {
    let reach = (0.5 * GRID_HZ / rhythm_hz).round() as i64;
    let n = a.len().min(b.len()) as i64;
    let at = |shift: i64| {
        let (mut product, mut energy_a, mut energy_b, mut count) = (0.0, 0.0, 0.0, 0);
        for k in shift.min(0).abs()..n - shift.max(0) {
            let (a, b) = (a[k as usize], b[(k + shift) as usize]);
            if a != Phasor::ZERO && b != Phasor::ZERO {
                product += a.re * b.re;
                energy_a += a.re * a.re;
                energy_b += b.re * b.re;
                count += 1;
            }
        }
        let energy = (energy_a * energy_b).sqrt();
        (2 * count >= n - shift.abs() && energy > 0.0).then(|| product / energy)
    };
    let correlations: Option<Vec<f64>> = (-reach - 1..=reach + 1).map(at).collect();
    let correlations = correlations?;
    // One more at either end, to tell a peak from a slope.
    let best =
        (1..correlations.len() - 1).max_by(|x, y| correlations[*x].total_cmp(&correlations[*y]))?;
    let [left, middle, right] = [best - 1, best, best + 1].map(|k| correlations[k]);
    let bend = left - 2.0 * middle + right;
    let shift = if bend < 0.0 { (0.5 * (left - right) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    Some((best as f64 - 1.0 - reach as f64 + shift) / GRID_HZ)
}

/// The middle of the lags of one window of 30 s after the other; `None` when no window has one.
pub fn correlation_lag_median_s(a: &[Phasor], b: &[Phasor], rhythm_hz: f64) -> Option<f64> {
    let windows = a.chunks_exact(CORRELATION_STEPS).zip(b.chunks_exact(CORRELATION_STEPS));
    let mut lags: Vec<f64> =
        windows.filter_map(|(a, b)| correlation_lag_s(a, b, rhythm_hz)).collect();
    if lags.is_empty() {
        return None;
    }
    let middle = lags.len() / 2;
    let (_, &mut lag, _) = lags.select_nth_unstable_by(middle, f64::total_cmp);
    Some(lag)
}

/// The phases of the last two minutes of everybody in a small group.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// By member, oldest first, all of one length; zeros where there was no phase.
    pub(crate) phasors: Vec<Vec<Phasor>>,
    /// The step behind the newest.
    pub(crate) end: i64,
}

impl History {
    /// Groups up to this many have pairs: 190 of them.
    pub const MEMBER_COUNT_MAX: usize = 20;

    pub(crate) fn new(members: usize) -> Self {
        let phasors = (0..members).map(|_| Vec::with_capacity(2 * WINDOW_STEPS)).collect();
        Self { phasors, end: 0 }
    }

    pub(crate) fn push(&mut self, at: i64, phasors: impl Iterator<Item = Option<Phasor>>) {
        if at != self.end {
            // Steps were passed over.
            self.phasors.iter_mut().for_each(Vec::clear);
        }
        for (past, phasor) in self.phasors.iter_mut().zip(phasors) {
            if past.len() == 2 * WINDOW_STEPS {
                past.drain(..WINDOW_STEPS);
            }
            past.push(phasor.unwrap_or(Phasor::ZERO));
        }
        self.end = at + 1;
    }

    /// The last two minutes of a member, or what there is of them.
    pub fn of(&self, member: usize) -> &[Phasor] {
        let past = &self.phasors[member];
        &past[past.len().saturating_sub(WINDOW_STEPS)..]
    }

    /// Members `a` and `b` over the last two minutes. `None`: not enough data yet.
    pub fn pair(&self, a: usize, b: usize) -> Option<Pair> {
        pair(self.of(a), self.of(b)).filter(|pair| pair.common >= COMMON_STEPS_MIN)
    }

    /// Seconds by which member `b` is behind `a` by the cross-correlation of the last 30 s.
    pub fn correlation_lag_s(&self, a: usize, b: usize, rhythm_hz: f64) -> Option<f64> {
        let last = |member: usize| {
            let past = self.of(member);
            (past.len() >= CORRELATION_STEPS).then(|| &past[past.len() - CORRELATION_STEPS..])
        };
        correlation_lag_s(last(a)?, last(b)?, rhythm_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(hz: f64, late_s: f64, n: usize) -> Vec<Phasor> {
        (0..n).map(|k| Phasor::from_angle(TAU * hz * (k as f64 / GRID_HZ - late_s))).collect()
    }

    #[test]
    fn a_constant_lag_is_locked_and_told_in_seconds() {
        let ahead = rhythm(0.25, 0.0, 1200);
        for late in [-1.5, -0.5, 0.0, 0.3, 1.0, 1.9] {
            let behind = rhythm(0.25, late, 1200);
            let pair = pair(&ahead, &behind).unwrap();
            assert!((pair.plv - 1.0).abs() < 1e-12 && pair.common == 1200);
            assert!((lag_s(pair.difference, 0.25) - late).abs() < 1e-9, "{late}");
            let correlated = correlation_lag_median_s(&ahead, &behind, 0.25).unwrap();
            assert!((correlated - late).abs() < 0.02, "{late} {correlated}");
        }
    }

    #[test]
    fn different_rhythms_are_not_locked() {
        // Twelve turns of difference in two minutes.
        let pair = pair(&rhythm(0.25, 0.0, 1200), &rhythm(0.35, 0.0, 1200)).unwrap();
        assert!(pair.plv < 1e-9, "{}", pair.plv);
    }

    #[test]
    fn what_is_missing_is_left_out_and_less_than_a_minute_is_no_figure() {
        let (a, mut b) = (rhythm(0.25, 0.0, 1200), rhythm(0.25, 0.5, 1200));
        b[100..700].fill(Phasor::ZERO);
        assert_eq!(pair(&a, &b).unwrap().common, 600);
        let mut history = History::new(2);
        let step = |n: usize| [Some(a[n]), Some(b[n]).filter(|b| *b != Phasor::ZERO)].into_iter();
        (0..1199).for_each(|n| history.push(n as i64, step(n)));
        assert_eq!(history.pair(0, 1), None);
        history.push(1199, step(1199));
        assert_eq!(history.pair(0, 1).map(|pair| pair.common), Some(600));
        assert_eq!(pair(&a[..3], &[Phasor::ZERO; 3]), None);
    }
}

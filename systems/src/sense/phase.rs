//! From a band to phase: complex FIR filters whose output is the analytic signal of the band, so
//! many seconds late.
//!
//! Each is the least-squares answer to one question: which 16 s of taps come closest, weighted by
//! what breathing signals are made of, to a zero-phase Butterworth band-pass (third order, run both
//! ways, as the acausal reference does) followed by a Hilbert transform, delayed by `delay`? With
//! half the filter as delay the answer has linear phase; with less it buys latency with accuracy
//! (`reference/synchrony.md` 3). The normal equations are Toeplitz, so Levinson's recursion solves
//! them in n^2 steps.

use std::f64::consts::PI;
use std::sync::LazyLock;

use components::group::Tier;

use super::grid::GRID_HZ;

/// The band around a centre, in parts of it: wide enough for a rhythm that wanders, narrow enough
/// to keep out the second harmonic of an asymmetric breath.
pub const BAND_LOW: f64 = 0.6;
pub const BAND_HIGH: f64 = 1.5;

/// Centres are rounded to steps of 2 %, so that a filter is designed once and shared.
const CENTRE_STEP: f64 = 1.02;
const CENTRE_HZ_MIN: f64 = 0.075;
/// The highest lies at 0.52 Hz.
pub const CENTRE_COUNT: usize = 99;

/// Frequencies at which the squared error is weighed, from 0 to 5 Hz: every 5 mHz, between the
/// multiples.
const FREQUENCY_COUNT: usize = 1000;
/// Turns are counted in as many parts: then every angle is an entry of one table.
const TURN: usize = 4 * FREQUENCY_COUNT;

/// What a tier's filters are like.
pub(crate) struct Timing {
    /// Taps at 10 Hz.
    pub(crate) taps: usize,
    /// Grid steps by which the filter is late. The rest of the declared latency is waiting for
    /// samples that come out of order, and for the last cell to fill.
    pub(crate) delay: usize,
}

pub(crate) fn timing(tier: Tier) -> Timing {
    match tier {
        Tier::Confirmed => Timing { taps: 151, delay: 75 },
        Tier::Prompt => Timing { taps: 160, delay: 28 },
        Tier::Live => Timing { taps: 150, delay: 9 },
    }
}

/// The step of centres next to `hz`.
pub(crate) fn centre_of(hz: f64) -> usize {
    let step = (libm::log(hz / CENTRE_HZ_MIN) / libm::log(CENTRE_STEP)).round();
    step.clamp(0.0, CENTRE_COUNT as f64 - 1.0) as usize
}

/// Hz of a step of centres.
pub(crate) fn centre_hz(centre: usize) -> f64 {
    CENTRE_HZ_MIN * libm::pow(CENTRE_STEP, centre as f64)
}

/// Taps, last first: the output is a product with the newest samples as they lie in memory.
#[derive(Debug)]
pub(crate) struct Filter {
    re: Box<[f64]>,
    im: Box<[f64]>,
}

impl Filter {
    /// The filter for the band around `centre_hz`.
    pub(crate) fn design(centre_hz: f64, taps: usize, delay: usize) -> Self {
        let tables = &*TABLES;
        // Both even in frequency, and the wanted response is that of positive ones only.
        let mut autocorrelation = vec![0.0; taps];
        let (mut cosines, mut sines) = (vec![0.0; taps], vec![0.0; taps]);
        for j in 0..FREQUENCY_COUNT {
            let hz = (j as f64 + 0.5) * (0.5 * GRID_HZ / FREQUENCY_COUNT as f64);
            let weight = weight(hz / centre_hz);
            let wanted = weight * butterworth_squared(hz, centre_hz);
            for (lag, sum) in autocorrelation.iter_mut().enumerate() {
                *sum += 2.0 * weight * tables.cosine((2 * j + 1) * lag);
            }
            if wanted > 1e-12 {
                for (tap, (cosine, sine)) in cosines.iter_mut().zip(&mut sines).enumerate() {
                    let turn = (2 * j + 1) * (TURN + tap - delay);
                    *cosine += 2.0 * wanted * tables.cosine(turn);
                    *sine += 2.0 * wanted * tables.sine(turn);
                }
            }
        }
        let mut re = solve_toeplitz(&autocorrelation, &cosines);
        let mut im = solve_toeplitz(&autocorrelation, &sines);
        for part in [&mut re, &mut im] {
            // Nothing is left of a constant, however large: units have offsets.
            let mean = part.iter().sum::<f64>() / taps as f64;
            part.iter_mut().for_each(|tap| *tap -= mean);
            part.reverse();
        }
        Self { re: re.into(), im: im.into() }
    }

    pub(crate) fn taps(&self) -> usize {
        self.re.len()
    }

    /// The analytic signal `delay` steps before the end of `newest`, which is as long as the
    /// filter.
    pub(crate) fn apply(&self, newest: &[f64]) -> super::phasor::Phasor {
        // Four sums side by side, in a fixed order: as fast as the machine's vectors, and the same
        // bits without them.
        let (mut re, mut im) = ([0.0; 4], [0.0; 4]);
        let mut samples = newest.chunks_exact(4);
        let (mut res, mut ims) = (self.re.chunks_exact(4), self.im.chunks_exact(4));
        for ((x, h), g) in (&mut samples).zip(&mut res).zip(&mut ims) {
            for lane in 0..4 {
                re[lane] += x[lane] * h[lane];
                im[lane] += x[lane] * g[lane];
            }
        }
        let rest = samples.remainder().iter().zip(res.remainder()).zip(ims.remainder());
        for (lane, ((x, h), g)) in rest.enumerate() {
            re[lane] += x * h;
            im[lane] += x * g;
        }
        super::phasor::Phasor {
            re: (re[0] + re[1]) + (re[2] + re[3]),
            im: (im[0] + im[1]) + (im[2] + im[3]),
        }
    }
}

/// What is made of breathing signals, at `u` times the rhythm: most of the power at the rhythm
/// itself and next to it, some at its harmonics, drift below it, noise everywhere. Errors matter
/// where power is.
fn weight(u: f64) -> f64 {
    let bell = |centre: f64, width: f64| {
        let z = (u - centre) / width;
        libm::exp(-0.5 * z * z)
    };
    const SPREAD: f64 = 0.18;
    let within = if (BAND_LOW..BAND_HIGH).contains(&u) { 0.05 } else { 0.0 };
    let drift = if u < 0.5 {
        let ratio = 0.15 / u.max(0.02);
        0.6 * (ratio * ratio).min(1.0)
    } else {
        0.0
    };
    bell(1.0, SPREAD)
        + within
        + 0.1 * bell(2.0, 2.0 * SPREAD)
        + 0.02 * bell(3.0, 3.0 * SPREAD)
        + drift
        + 0.003
}

/// The gain of a third-order Butterworth band-pass run forwards and backwards, by the bilinear
/// transform, as `scipy.signal.sosfiltfilt` has it.
pub(super) fn butterworth_squared(hz: f64, centre_hz: f64) -> f64 {
    let warped = |hz: f64| libm::tan(PI * hz / GRID_HZ);
    let (low, high) = (warped(BAND_LOW * centre_hz), warped(BAND_HIGH * centre_hz));
    let x = warped(hz);
    let detuning = (x * x - low * high) / (x * (high - low));
    let cube = detuning * detuning * detuning;
    1.0 / (1.0 + cube * cube)
}

struct Tables {
    cosines: Vec<f64>,
}

impl Tables {
    fn cosine(&self, turn: usize) -> f64 {
        self.cosines[turn % TURN]
    }

    fn sine(&self, turn: usize) -> f64 {
        self.cosines[(turn + 3 * FREQUENCY_COUNT) % TURN]
    }
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    cosines: (0..TURN).map(|n| libm::cos(2.0 * PI * n as f64 / TURN as f64)).collect(),
});

/// Solves a symmetric positive definite Toeplitz system by Levinson's recursion (Golub and Van
/// Loan, algorithm 4.7.2).
fn solve_toeplitz(first_row: &[f64], right: &[f64]) -> Vec<f64> {
    let n = first_row.len();
    let scale = first_row[0];
    let r: Vec<f64> = first_row.iter().map(|x| x / scale).collect();
    let b: Vec<f64> = right.iter().map(|x| x / scale).collect();
    let mut x = vec![0.0; n];
    let mut y = vec![0.0; n];
    let mut scratch = vec![0.0; n];
    x[0] = b[0];
    if n == 1 {
        return x;
    }
    y[0] = -r[1];
    let (mut beta, mut alpha) = (1.0, -r[1]);
    for k in 1..n {
        beta *= 1.0 - alpha * alpha;
        let mu = (b[k] - (0..k).map(|i| r[i + 1] * x[k - 1 - i]).sum::<f64>()) / beta;
        for i in 0..k {
            x[i] += mu * y[k - 1 - i];
        }
        x[k] = mu;
        if k < n - 1 {
            alpha = -(r[k + 1] + (0..k).map(|i| r[i + 1] * y[k - 1 - i]).sum::<f64>()) / beta;
            for i in 0..k {
                scratch[i] = y[i] + alpha * y[k - 1 - i];
            }
            y[..k].copy_from_slice(&scratch[..k]);
            y[k] = alpha;
        }
    }
    x
}

/// The filters that were asked for so far. What is in it depends on nothing but the question, so
/// it is no part of the world.
#[derive(Debug, Default)]
pub struct Filters {
    by_tier: [Vec<Option<Box<Filter>>>; Tier::ALL.len()],
}

impl Filters {
    /// Designs the filter if it is not there yet.
    pub(crate) fn ensure(&mut self, tier: Tier, centre: usize) {
        let filters = &mut self.by_tier[tier as usize];
        if filters.is_empty() {
            filters.resize_with(CENTRE_COUNT, || None);
        }
        filters[centre].get_or_insert_with(|| {
            let Timing { taps, delay } = timing(tier);
            Box::new(Filter::design(centre_hz(centre), taps, delay))
        });
    }

    pub(crate) fn get(&self, tier: Tier, centre: usize) -> Option<&Filter> {
        self.by_tier[tier as usize].get(centre)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::phasor::{Phasor, wrapped};
    use super::*;

    fn response(filter: &Filter, hz: f64) -> Phasor {
        // To e^{i w t}, at the end of the samples that the filter sees.
        let n = filter.taps();
        let of = |part: fn(Phasor) -> f64| {
            let samples: Vec<f64> = (0..n)
                .map(|k| {
                    let back = (n - 1 - k) as f64 / GRID_HZ;
                    part(Phasor::from_angle(-2.0 * PI * hz * back))
                })
                .collect();
            filter.apply(&samples)
        };
        let (real, imaginary) = (of(|z| z.re), of(|z| z.im));
        Phasor { re: real.re - imaginary.im, im: real.im + imaginary.re }
    }

    #[test]
    fn a_rhythm_in_the_band_passes_at_its_own_phase_and_its_mirror_image_does_not() {
        for (tier, gain_off, phase_off, mirror) in [
            (Tier::Confirmed, 0.06, 1e-6, 0.02),
            (Tier::Prompt, 0.1, 0.06, 0.05),
            (Tier::Live, 0.2, 0.15, 0.1),
        ] {
            for centre in [0.12, 0.25, 0.4] {
                let Timing { taps, delay } = timing(tier);
                let filter = Filter::design(centre, taps, delay);
                for u in [0.9, 1.0, 1.15] {
                    let hz = u * centre;
                    let found = response(&filter, hz);
                    let late = wrapped(found.angle() + 2.0 * PI * hz * delay as f64 / GRID_HZ);
                    let what = format!("{tier:?} {centre} Hz x {u}: {found:?} {late}");
                    assert!((found.norm() - 2.0).abs() < 2.0 * gain_off, "{what}");
                    assert!(late.abs() < phase_off, "{what}");
                    assert!(response(&filter, -hz).norm() < 2.0 * mirror, "{what}");
                }
                assert!(response(&filter, 0.0).norm() < 1e-12);
            }
        }
    }

    #[test]
    fn levinson_solves_what_it_is_given() {
        let row = [2.0, 1.0, 0.5, 0.1];
        let right = [1.0, -2.0, 3.0, 0.5];
        let x = solve_toeplitz(&row, &right);
        for (i, want) in right.iter().enumerate() {
            let got: f64 = (0..4).map(|j| row[i.abs_diff(j)] * x[j]).sum();
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn centres_are_two_percent_apart_and_cover_every_rhythm() {
        let (low_hz, high_hz) = components::group::Signal::Breath.band_hz();
        assert!(centre_hz(0) < low_hz && centre_hz(CENTRE_COUNT - 1) > high_hz);
        for n in 0..100 {
            let hz = low_hz + f64::from(n) * 0.0042;
            let found = centre_hz(centre_of(hz));
            assert!((found / hz - 1.0).abs() < 0.0101, "{hz} {found}");
        }
    }
}

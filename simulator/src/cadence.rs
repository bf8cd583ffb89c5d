//! When the k-th sample of a stream is: whole unix milliseconds, at any rate, without drift.
//!
//! A rate is a whole number of samples in a whole number of milliseconds, so 110 Hz is 11 samples
//! in 100 ms: spaced 9, 9, 9, .., 10 ms, and after a year still where it should be. The k-th stamp
//! counts from the unix epoch and not from the start of anything, so any process that knows rate
//! and phase knows every stamp.

use components::sample::Timestamp;

/// Samples per second at most: stamps are whole milliseconds, and no two samples share one.
pub const RATE_HZ_MAX: f64 = 1000.0;

/// Samples per second at least: one in 2 h 46 min 40 s.
pub const RATE_HZ_MIN: f64 = 0.0001;

/// The rhythm of one stream's stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cadence {
    /// `cycle_samples` samples take so many ms. Both are whole and without a common divisor.
    cycle_ms: i64,
    cycle_samples: i64,
    /// In parts of 1 / `cycle_samples` ms, of which one period has `cycle_ms`: the place of
    /// sample 0 after the epoch.
    phase: i64,
}

impl Cadence {
    /// `rate_hz` is brought into [`RATE_HZ_MIN`] to [`RATE_HZ_MAX`], and taken to the millionth of
    /// a hertz, or exactly if its period is whole milliseconds; `phase` is the place in the
    /// period, 0..1.
    pub fn new(rate_hz: f64, phase: f64) -> Self {
        let rate_hz = if rate_hz.is_nan() { RATE_HZ_MIN } else { rate_hz };
        let rate_hz = rate_hz.clamp(RATE_HZ_MIN, RATE_HZ_MAX);
        let period_ms = 1000.0 / rate_hz;
        let (cycle_ms, cycle_samples) = if (period_ms / period_ms.round() - 1.0).abs() < 1e-9 {
            (period_ms.round() as i64, 1)
        } else {
            let micro_hz = (rate_hz * 1e6).round() as i64;
            let divisor = greatest_common_divisor(1_000_000_000, micro_hz);
            (1_000_000_000 / divisor, micro_hz / divisor)
        };
        let phase = (phase.clamp(0.0, 1.0) * cycle_ms as f64) as i64;
        Self { cycle_ms, cycle_samples, phase: phase.min(cycle_ms - 1) }
    }

    /// The time of sample `k`. Stamps grow with `k`, each by a whole number of milliseconds.
    pub fn stamp(&self, k: i64) -> Timestamp {
        let place = i128::from(k) * i128::from(self.cycle_ms) + i128::from(self.phase);
        whole(place.div_euclid(i128::from(self.cycle_samples)))
    }

    /// The first sample later than `t`.
    pub fn first_after(&self, t: Timestamp) -> i64 {
        let place = (i128::from(t.0) + 1) * i128::from(self.cycle_samples);
        // Rounded up: the first k whose place is not before this one.
        let k = (place - i128::from(self.phase) + i128::from(self.cycle_ms) - 1)
            .div_euclid(i128::from(self.cycle_ms));
        whole(k).0
    }

    /// Which sample has this stamp.
    pub fn index_of(&self, t: Timestamp) -> Option<i64> {
        let k = self.first_after(Timestamp(t.0.checked_sub(1)?));
        (self.stamp(k) == t).then_some(k)
    }

    /// Samples per second.
    pub fn rate_hz(&self) -> f64 {
        self.cycle_samples as f64 * 1000.0 / self.cycle_ms as f64
    }

    /// Milliseconds and samples of one cycle: streams of equal cycles differ in phase alone.
    pub fn cycle(&self) -> (i64, i64) {
        (self.cycle_ms, self.cycle_samples)
    }

    /// The place in the period, in parts of 1 / samples of the cycle of a millisecond; less than
    /// the cycle's milliseconds.
    pub fn phase(&self) -> i64 {
        self.phase
    }
}

fn whole(value: i128) -> Timestamp {
    Timestamp(value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_123);

    fn steps(cadence: Cadence, count: i64) -> Vec<i64> {
        let first = cadence.first_after(NOW);
        (first..first + count).map(|k| cadence.stamp(k + 1).0 - cadence.stamp(k).0).collect()
    }

    #[test]
    fn a_hundred_and_ten_hertz_is_nine_and_sometimes_ten_milliseconds() {
        let steps = steps(Cadence::new(110.0, 0.0), 110);
        assert_eq!(steps.iter().sum::<i64>(), 1000);
        assert_eq!(steps.iter().filter(|step| **step == 10).count(), 10);
        assert_eq!(steps.iter().filter(|step| **step == 9).count(), 100);
    }

    #[test]
    fn a_year_has_as_many_samples_as_it_should() {
        const YEAR_MS: i64 = 365 * 86_400_000;
        for (rate, phase) in [(110.0, 0.3), (29.97, 0.9), (1.0 / 60.0, 0.5), (1000.0, 0.7)] {
            let cadence = Cadence::new(rate, phase);
            let count = cadence.first_after(Timestamp(NOW.0 + YEAR_MS)) - cadence.first_after(NOW);
            let expected = rate * YEAR_MS as f64 / 1000.0;
            assert!((count as f64 - expected).abs() <= 1.0, "{rate} Hz: {count} of {expected}");
        }
    }

    #[test]
    fn a_stamp_and_its_index_find_each_other() {
        for rate in [0.0001, 0.033, 0.2, 1.0, 12.5, 29.97, 33.333333, 110.0, 250.0, 999.9, 1000.0] {
            for phase in [0.0, 0.1, 0.5, 0.999, 1.0] {
                let cadence = Cadence::new(rate, phase);
                for base in [NOW.0, 0, -NOW.0] {
                    let first = cadence.first_after(Timestamp(base));
                    for k in first - 3..first + 300 {
                        let stamp = cadence.stamp(k);
                        assert_eq!(cadence.index_of(stamp), Some(k), "{rate} Hz");
                        assert_eq!(cadence.first_after(stamp), k + 1);
                        assert_eq!(cadence.first_after(Timestamp(stamp.0 - 1)), k);
                    }
                }
            }
        }
        assert_eq!(Cadence::new(10.0, 0.0).index_of(Timestamp(150)), None);
        assert_eq!(Cadence::new(10.0, 0.5).index_of(Timestamp(150)), Some(1));
    }

    #[test]
    fn no_rate_and_no_time_breaks_it() {
        for rate in [f64::NAN, -1.0, 0.0, f64::INFINITY, 1e9] {
            let cadence = Cadence::new(rate, f64::NAN);
            assert!((RATE_HZ_MIN..=RATE_HZ_MAX).contains(&cadence.rate_hz()), "{rate}");
            for t in [i64::MIN, -1, 0, i64::MAX] {
                cadence.stamp(cadence.first_after(Timestamp(t)));
                cadence.index_of(Timestamp(t));
            }
        }
    }
}

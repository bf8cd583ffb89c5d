//! One device's clock against the others'.
//!
//! A breath at 15 a minute turns by 9 degrees in 100 ms, so clocks come before phases. All there is
//! to know a device's clock by is when its samples arrive: the smallest delay (arrival minus device
//! time) of ten seconds is the difference of the clocks plus the fastest way through the network.
//! The delays of all members are compared ([`settle`]): who agrees with the middle one is taken at
//! its word, so that its samples lie where it says however they were batched; who does not is
//! moved by the difference, which is known no better than its delays scatter.

use std::collections::VecDeque;

use components::group::Unmeasurable;

/// Delays are gathered over as long.
const BUCKET_US: i64 = 10_000_000;

/// Clocks that differ by no more are taken to be the same: 5 % of a breath at 15 a minute, and
/// what a network may take.
const AGREE_US: i64 = 200_000;

/// A sample whose delay is this far from the clock's own is a stray: kept out.
const STRAY_US: i64 = 10_000_000;
/// So many strays in a row are no strays: the clock was set.
const STRAY_COUNT_MAX: u32 = 20;
/// A clock that was set more than once in two minutes is of no use.
const RESTART_MEMORY_US: i64 = 120_000_000;

/// Slopes of a delay, seconds a second. A bad quartz makes 2e-4.
const DRIFT_MAX: f64 = 2e-3;
/// A drift is one when it has led this many times as far as the delays scatter.
const SCATTERS: f64 = 4.0;
/// Buckets without which there is nothing to say about drift.
const DRIFT_BUCKETS_MIN: usize = 4;
/// Buckets without which a difference between clocks is not believed.
const DIFFERENCE_BUCKETS_MIN: usize = 2;

/// A correction stays as it is while the difference stays within.
const CORRECTION_STEP_US: i64 = 20_000;

/// Part of a cycle by which a clock may be uncertain (`reference/synchrony.md` 2).
const UNCERTAIN_CYCLES: f64 = 0.05;

/// Times beyond are no times, microseconds: 100,000 years.
const TIME_US_MAX: u64 = 1 << 61;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Start of the bucket by arrival, and the smallest delay in it.
    pub(crate) buckets: VecDeque<(i64, i64)>,
    /// Of the buckets but the last, which may not have seen its least delay yet: the slope of the
    /// delays, seconds a second.
    drift: Option<f64>,
    pub(crate) strays_in_a_row: u32,
    pub(crate) restarted_at_us: Option<i64>,
    /// Until then the clock is of no use.
    pub(crate) wrong_until_us: i64,
    /// Added to device time.
    pub(crate) correction_us: i64,
    /// How far off the corrected time may be. `None`: not known yet.
    pub(crate) uncertainty_us: Option<i64>,
    /// The latest time of the device, and how often in a row it was said.
    pub(crate) latest_us: Option<i64>,
    pub(crate) standing: u32,
}

/// What became of a time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The time on the common clock, microseconds.
    At(i64),
    /// Not to be used.
    Stray,
    /// The clock was set anew: what was known of the person is of another time.
    Restarted(i64),
}

impl Clock {
    /// Buckets that are kept: two minutes.
    pub(crate) const BUCKET_COUNT_MAX: usize = 12;

    /// The device says that it is `device_us`, and we hear it at `arrival_us`.
    pub fn hear(&mut self, device_us: i64, arrival_us: i64) -> Heard {
        if device_us.unsigned_abs() > TIME_US_MAX {
            return Heard::Stray;
        }
        let delay = arrival_us - device_us;
        let mut restarted = false;
        if self.delay_us().is_some_and(|own| (delay - own).abs() > STRAY_US) {
            self.strays_in_a_row += 1;
            if self.strays_in_a_row < STRAY_COUNT_MAX {
                return Heard::Stray;
            }
            if self.restarted_at_us.is_some_and(|at| arrival_us - at < RESTART_MEMORY_US) {
                self.wrong_until_us = arrival_us + RESTART_MEMORY_US;
            }
            self.restarted_at_us = Some(arrival_us);
            self.buckets.clear();
            self.note_drift();
            (self.correction_us, self.uncertainty_us) = (0, None);
            restarted = true;
        }
        self.strays_in_a_row = 0;
        self.standing = if self.latest_us == Some(device_us) { self.standing + 1 } else { 0 };
        self.latest_us = Some(device_us);
        let begin = arrival_us - arrival_us.rem_euclid(BUCKET_US);
        match self.buckets.back_mut() {
            Some((at, least)) if *at == begin => *least = (*least).min(delay),
            _ => {
                self.buckets.push_back((begin, delay));
                if self.buckets.len() > Self::BUCKET_COUNT_MAX {
                    self.buckets.pop_front();
                }
                self.note_drift();
            }
        }
        let at = device_us + self.correction_us;
        if restarted { Heard::Restarted(at) } else { Heard::At(at) }
    }

    /// The smallest delay of the last minute.
    pub fn delay_us(&self) -> Option<i64> {
        self.buckets.iter().rev().take(6).map(|(_, least)| *least).min()
    }

    /// How far off times may be, microseconds. `None`: not known yet.
    pub fn uncertainty_us(&self) -> Option<i64> {
        self.uncertainty_us
    }

    /// What was added to the device's times, microseconds.
    pub fn correction_us(&self) -> i64 {
        self.correction_us
    }

    /// Seconds a second by which the delay grows: a clock that is slow. `None`: not known yet.
    pub fn drift(&self) -> Option<f64> {
        self.drift
    }

    /// What follows from the buckets that there are.
    pub(crate) fn note_drift(&mut self) {
        let full = self.buckets.len().saturating_sub(1);
        self.drift = (full >= DRIFT_BUCKETS_MIN).then(|| slope(self.buckets.iter().take(full)));
    }

    /// What is wrong with the clock for a rhythm of `hz`, if anything is.
    pub(crate) fn fault(&self, now_us: i64, hz: f64) -> Option<Unmeasurable> {
        if now_us < self.wrong_until_us || self.standing >= STRAY_COUNT_MAX {
            return Some(Unmeasurable::WrongClock);
        }
        if self.drift().is_some_and(|drift| self.is_wrong_speed(drift)) {
            return Some(Unmeasurable::WrongClock);
        }
        let limit = UNCERTAIN_CYCLES / hz * 1e6;
        match self.uncertainty_us {
            Some(uncertainty) if uncertainty as f64 <= limit => None,
            _ => Some(Unmeasurable::ClockUncertain),
        }
    }

    /// Whether no quartz makes such a drift, and it has led further than the delays scatter, and
    /// further than clocks that agree may be apart: arrivals that wait for a tick or for a batch make
    /// stairs, which look like a drift of their own.
    fn is_wrong_speed(&self, drift: f64) -> bool {
        let span_us = self.buckets.len() as f64 * BUCKET_US as f64;
        let led_us = drift.abs() * span_us;
        drift.abs() > DRIFT_MAX
            && led_us > (SCATTERS * self.scatter_us() as f64).max(AGREE_US as f64)
    }

    /// Half of what the delays scatter around their trend.
    fn scatter_us(&self) -> i64 {
        let drift = slope(self.buckets.iter());
        let begin = self.buckets.front().map_or(0, |(at, _)| *at);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (at, delay) in &self.buckets {
            let level = *delay as f64 - drift * (at - begin) as f64;
            (least, most) = (least.min(level), most.max(level));
        }
        (0.5 * (most - least)) as i64
    }
}

/// The slope of the least-squares line through (arrival, delay).
fn slope<'a>(buckets: impl Iterator<Item = &'a (i64, i64)> + Clone) -> f64 {
    let n = buckets.clone().count() as f64;
    let Some(&(begin, level)) = buckets.clone().next() else { return 0.0 };
    let points = buckets.map(|(at, delay)| ((at - begin) as f64, (delay - level) as f64));
    let (sum_x, sum_y) =
        points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (mut xy, mut xx) = (0.0, 0.0);
    for (x, y) in points {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x) * (x - mean_x);
    }
    if xx > 0.0 { xy / xx } else { 0.0 }
}

/// Compares the clocks of a group; once a second. Returns the middle delay: device time is this
/// much behind arrival.
pub fn settle(clocks: &mut [&mut Clock]) -> Option<i64> {
    let mut delays: Vec<i64> = clocks.iter().filter_map(|clock| clock.delay_us()).collect();
    if delays.is_empty() {
        return None;
    }
    let middle = (delays.len() - 1) / 2;
    let (_, &mut common, _) = delays.select_nth_unstable(middle);
    for clock in clocks {
        let Some(delay) = clock.delay_us() else { continue };
        let difference = delay - common;
        if difference.abs() <= AGREE_US {
            clock.correction_us = 0;
            clock.uncertainty_us = Some(difference.abs());
        } else if clock.buckets.len() >= DIFFERENCE_BUCKETS_MIN {
            if (difference - clock.correction_us).abs() > CORRECTION_STEP_US {
                clock.correction_us = difference;
            }
            clock.uncertainty_us = Some(clock.scatter_us() + CORRECTION_STEP_US);
        } else {
            clock.correction_us = difference;
            clock.uncertainty_us = None;
        }
    }
    Some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that was heard ten times a second for `seconds`, with what its device says at each
    /// time (microseconds) and what the network takes.
    fn heard(seconds: i64, says: impl Fn(i64) -> i64, delay: impl Fn(i64) -> i64) -> Clock {
        let mut clock = Clock::default();
        for n in 0..seconds * 10 {
            clock.hear(says(n * 100_000), n * 100_000 + delay(n));
        }
        clock
    }

    const BREATH_HZ: f64 = 0.25;

    #[test]
    fn clocks_that_agree_are_taken_at_their_word() {
        let mut a = heard(30, |t| t, |n| 5_000 + (n % 7) * 30_000);
        let mut b = heard(30, |t| t - 50_000, |_| 1_000);
        settle(&mut [&mut a, &mut b]);
        assert_eq!((a.correction_us, b.correction_us), (0, 0));
        assert_eq!((a.fault(0, BREATH_HZ), b.fault(0, BREATH_HZ)), (None, None));
        assert_eq!(b.uncertainty_us(), Some(46_000));
    }

    #[test]
    fn a_clock_that_is_hours_off_is_moved_once_it_is_known_well_enough() {
        let hour = 3_600_000_000;
        let network = |n: i64| 2_000 + (n * n) % 9_000;
        let mut others = [heard(30, |t| t, network), heard(30, |t| t, network)];
        let mut off = heard(5, |t| t + hour, network);
        let settled = |off: &mut Clock, others: &mut [Clock; 2]| {
            let [a, b] = others;
            settle(&mut [a, off, b]);
        };
        settled(&mut off, &mut others);
        assert_eq!(off.fault(0, BREATH_HZ), Some(Unmeasurable::ClockUncertain));
        let mut off = heard(30, |t| t + hour, network);
        settled(&mut off, &mut others);
        assert_eq!(off.correction_us(), -hour);
        assert_eq!(off.fault(0, BREATH_HZ), None);
        assert_eq!(off.hear(30_000_000 + hour, 30_003_000), Heard::At(30_000_000));
    }

    #[test]
    fn a_difference_that_scatters_is_not_known_well_enough_for_fast_rhythms() {
        let mut others = [heard(60, |t| t, |_| 0), heard(60, |t| t, |_| 0)];
        let mut off = heard(60, |t| t + 7_000_000, |n| 250_000 * (n / 100 % 2));
        let [a, b] = &mut others;
        settle(&mut [a, &mut off, b]);
        let uncertainty = off.uncertainty_us().unwrap();
        assert!((100_000..200_000).contains(&uncertainty), "{uncertainty}");
        assert_eq!(off.fault(0, 0.1), None);
        assert_eq!(off.fault(0, 0.5), Some(Unmeasurable::ClockUncertain));
    }

    #[test]
    fn a_clock_at_a_wrong_speed_is_found_out() {
        for speed in [0.99, 1.01] {
            let mut clock = heard(60, |t| (t as f64 * speed) as i64, |_| 0);
            settle(&mut [&mut clock]);
            assert_eq!(
                clock.fault(60_000_000, BREATH_HZ),
                Some(Unmeasurable::WrongClock),
                "{speed}"
            );
        }
        for says in [|t: i64| t / 1000, |t: i64| t * 1000, |t: i64| t / 2] {
            let clock = heard(60, says, |_| 0);
            assert_eq!(clock.fault(60_000_000, BREATH_HZ), Some(Unmeasurable::WrongClock));
        }
        let mut quartz = heard(120, |t| t + t / 10_000, |_| 0);
        settle(&mut [&mut quartz]);
        assert_eq!(quartz.fault(120_000_000, BREATH_HZ), None);
    }

    /// What batches that wait for a tick of 170 ms come to, found by chance.
    #[test]
    fn stairs_of_delays_are_no_drift() {
        let mut clock = heard(50, |t| t, |n| 40_000 * (n / 100));
        settle(&mut [&mut clock]);
        assert!(clock.drift().unwrap() > DRIFT_MAX, "{:?}", clock.drift());
        assert_eq!(clock.fault(50_000_000, BREATH_HZ), None);
    }

    #[test]
    fn a_clock_that_stands_still_is_found_out() {
        let clock = heard(8, |_| 77, |_| 0);
        assert_eq!(clock.fault(8_000_000, BREATH_HZ), Some(Unmeasurable::WrongClock));
    }

    #[test]
    fn a_single_stray_is_kept_out_and_a_clock_that_was_set_is_followed() {
        let mut clock = heard(20, |t| t, |_| 0);
        assert_eq!(clock.hear(9_000_000_000_000, 20_000_000), Heard::Stray);
        assert_eq!(clock.hear(i64::MIN, 20_000_000), Heard::Stray);
        assert_eq!(clock.hear(20_000_000, 20_000_000), Heard::At(20_000_000));
        let set = 5_000_000_000;
        for n in 0..19 {
            assert_eq!(clock.hear(set + n, 20_100_000 + n), Heard::Stray);
        }
        assert_eq!(clock.hear(set + 19, 20_100_019), Heard::Restarted(set + 19));
    }
}

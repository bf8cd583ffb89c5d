//! Beats that are none, are missing, or come from elsewhere than the sinus node, after Lipponen and
//! Tarvainen 2019 (doi 10.1080/03091902.2019.1640306), as NeuroKit2's `signal_fixpeaks` has it.
//!
//! An interval's difference from the one before, and its deviation from the median of eleven, are
//! measured against thresholds that follow the spread of the last 91; the pattern of signs tells
//! what happened. An extra beat is left out, a missing one put in the middle, one that came at a
//! wrong time moved to the middle of its neighbours.

use std::collections::VecDeque;

use super::INTERVAL_US_MAX;

/// What a beat was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Class {
    #[default]
    Normal,
    /// It was not there: put in.
    Missed,
    /// It came early or late from elsewhere: moved.
    Ectopic,
    /// Its interval is long or short for no such reason: moved.
    Irregular,
    /// It was none: no interval ends at it.
    Extra,
}

impl Class {
    pub const ALL: [Self; 5] =
        [Self::Normal, Self::Missed, Self::Ectopic, Self::Irregular, Self::Extra];
}

/// One beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Where it stands, microseconds.
    pub at_us: i64,
    pub class: Class,
}

/// What each of these R-peaks (microseconds, in order) is, and what is missing between them: all are
/// looked at together, again and again as long as fewer are found to be none. What was left out
/// stays in the list, as [`Class::Extra`].
pub fn correct(found_us: &[i64]) -> Vec<Beat> {
    let mut beats: Vec<Beat> =
        found_us.iter().map(|&at_us| Beat { at_us, class: Class::Normal }).collect();
    let mut extra = Vec::new();
    let mut before = usize::MAX;
    loop {
        let origin = beats.first().map_or(0, |beat| beat.at_us);
        let times: Vec<f64> = beats.iter().map(|b| (b.at_us - origin) as f64 * 1e-6).collect();
        let classes = classify(&times);
        let count = classes.iter().filter(|class| **class != Class::Normal).count();
        if count == 0 || count >= before {
            break;
        }
        before = count;
        beats = put_right(beats, &classes, &mut extra);
    }
    beats.extend(extra);
    beats.sort_by_key(|beat| beat.at_us);
    beats
}

/// One round of [`correct`]: leaves out, then puts in, then moves those from elsewhere, then the
/// irregular. The first two beats have too little before them to be put right.
fn put_right(beats: Vec<Beat>, classes: &[Class], extra: &mut Vec<Beat>) -> Vec<Beat> {
    let mut standing: Vec<(Beat, Class)> = Vec::with_capacity(beats.len() + 1);
    for (beat, &class) in beats.into_iter().zip(classes) {
        match class {
            Class::Extra => extra.push(Beat { class, ..beat }),
            Class::Missed if standing.len() > 1 => {
                let before_us = standing[standing.len() - 1].0.at_us;
                let at_us = before_us + (beat.at_us - before_us) / 2;
                standing.push((Beat { at_us, class }, Class::Normal));
                standing.push((beat, Class::Normal));
            }
            _ => standing.push((beat, class)),
        }
    }
    for moved in [Class::Ectopic, Class::Irregular] {
        let times: Vec<i64> = standing.iter().map(|(beat, _)| beat.at_us).collect();
        for (place, (beat, class)) in standing.iter_mut().enumerate() {
            if *class == moved && place > 1 && place + 1 < times.len() {
                let (before, next) = (times[place - 1], times[place + 1]);
                *beat = Beat { at_us: before + (next - before) / 2, class: moved };
            }
        }
        standing.sort_by_key(|(beat, _)| beat.at_us);
    }
    standing.into_iter().map(|(beat, _)| beat).collect()
}

/// Gives `beats` what stands in the place of the R-peak at `at_us`: `before` is where the last beat
/// stands, `next` where the next was found.
fn stand_in(
    at_us: i64,
    class: Class,
    before: Option<i64>,
    next: Option<i64>,
    mut beats: impl FnMut(Beat),
) {
    match (class, before, next) {
        (Class::Extra, ..) => beats(Beat { at_us, class }),
        (Class::Missed, Some(before), _) => {
            beats(Beat { at_us: before + (at_us - before) / 2, class });
            beats(Beat { at_us, class: Class::Normal });
        }
        (Class::Ectopic | Class::Irregular, Some(before), Some(next)) => {
            beats(Beat { at_us: before + (next - before) / 2, class });
        }
        _ => beats(Beat { at_us, class: Class::Normal }),
    }
}

/// Weights of the criterion for ectopic beats, and of the spread.
const C1: f64 = 0.13;
const C2: f64 = 0.17;
const ALPHA: f64 = 5.2;
/// Intervals that a threshold is of, and a median.
const SPREAD_WIDTH: usize = 91;
const MEDIAN_WIDTH: usize = 11;

/// What each of these beats is, by their times in order, seconds. An extra one is itself what is
/// to be left out.
pub fn classify(beats_s: &[f64]) -> Vec<Class> {
    classify_from(beats_s, 0)
}

/// The same of the beats from the `first` on: what lies before is only compared with.
fn classify_from(beats_s: &[f64], first: usize) -> Vec<Class> {
    let n = beats_s.len();
    let mut classes = vec![Class::Normal; n];
    if n < 4 {
        return classes;
    }
    // As many intervals as beats: the first is the mean of the others.
    let mut intervals: Vec<f64> =
        std::iter::once(0.0).chain(beats_s.windows(2).map(|pair| pair[1] - pair[0])).collect();
    intervals[0] = mean(&intervals[1..]);
    let mut differences: Vec<f64> =
        std::iter::once(0.0).chain(intervals.windows(2).map(|pair| pair[1] - pair[0])).collect();
    differences[0] = mean(&differences[1..]);
    let spread = spreads(&differences, first.saturating_sub(1));
    for (difference, spread) in differences.iter_mut().zip(&spread) {
        // Without any spread there is nothing to compare with.
        *difference = if *spread == 0.0 { f64::NAN } else { *difference / spread };
    }
    // The first threshold is of the deviations half a width before it.
    let medians = medians(&intervals, first.saturating_sub(SPREAD_WIDTH / 2));
    let deviations: Vec<f64> = intervals
        .iter()
        .zip(&medians)
        .map(|(interval, median)| {
            let deviation = interval - median;
            if deviation < 0.0 { 2.0 * deviation } else { deviation }
        })
        .collect();
    let threshold = spreads(&deviations, first);
    let deviation = |k: usize| {
        if threshold[k] == 0.0 { f64::NAN } else { deviations[k] / threshold[k] }
    };
    // Mirrored at both ends.
    let difference = |k: isize| {
        let last = n as isize - 1;
        let k = if k < 0 { -k } else { k };
        differences[(if k > last { 2 * last - k } else { k }) as usize]
    };
    let beside = |k: usize| {
        let k = k as isize;
        let (own, before, after) = (difference(k), difference(k - 1), difference(k + 1));
        if own > 0.0 {
            before.max(after)
        } else if own < 0.0 {
            before.min(after)
        } else {
            0.0
        }
    };
    let behind = |k: usize| {
        let k = k as isize;
        let (own, next, second) = (difference(k), difference(k + 1), difference(k + 2));
        if own >= 0.0 { next.min(second) } else { next.max(second) }
    };
    let mut k = first;
    while k + 2 < n {
        let own = differences[k];
        if own.is_nan() || own.abs() <= 1.0 {
            k += 1;
            continue;
        }
        let ectopic =
            (own > 1.0 && beside(k) < -C1 * own - C2) || (own < -1.0 && beside(k) > -C1 * own + C2);
        if ectopic {
            classes[k] = Class::Ectopic;
            k += 1;
            continue;
        }
        let two = difference(k as isize + 1).abs() < difference(k as isize + 2).abs();
        let candidates = k..=k + usize::from(two);
        k = candidates.end() + 1;
        for candidate in candidates {
            let own = differences[candidate];
            let long = own > 1.0 && behind(candidate) < -1.0;
            let short = own < -1.0 && behind(candidate) > 1.0;
            let off = deviation(candidate).abs() > 3.0;
            if !(long || short || off) {
                continue;
            }
            let (interval, median) = (intervals[candidate], medians[candidate]);
            let next = intervals.get(candidate + 1).copied().unwrap_or(median);
            classes[candidate] = if short && (interval + next - median).abs() < threshold[candidate]
            {
                Class::Extra
            } else if long && (interval / 2.0 - median).abs() < threshold[candidate] {
                Class::Missed
            } else {
                Class::Irregular
            };
        }
    }
    classes
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Around each value the spread of up to 91: half the distance of the quartiles, times 5.2. Zero
/// before the `first`, where nobody asks.
fn spreads(values: &[f64], first: usize) -> Vec<f64> {
    let half = SPREAD_WIDTH / 2;
    let mut sorted = Vec::with_capacity(SPREAD_WIDTH);
    (0..values.len())
        .map(|k| {
            if k < first {
                return 0.0;
            }
            sorted.clear();
            let window = &values[k.saturating_sub(half)..(k + half + 1).min(values.len())];
            sorted.extend(window.iter().map(|value| value.abs()));
            sorted.sort_unstable_by(f64::total_cmp);
            ALPHA * 0.5 * (quantile(&sorted, 0.75) - quantile(&sorted, 0.25))
        })
        .collect()
}

fn medians(values: &[f64], first: usize) -> Vec<f64> {
    let half = MEDIAN_WIDTH / 2;
    let mut sorted = Vec::with_capacity(MEDIAN_WIDTH);
    (0..values.len())
        .map(|k| {
            if k < first {
                return values[k];
            }
            sorted.clear();
            sorted.extend_from_slice(
                &values[k.saturating_sub(half)..(k + half + 1).min(values.len())],
            );
            sorted.sort_unstable_by(f64::total_cmp);
            quantile(&sorted, 0.5)
        })
        .collect()
}

/// With a straight line between neighbours.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// Beats behind it that it waits for.
const AHEAD: usize = 2;

/// Classifies and corrects beats as they come, two beats late.
#[derive(Debug, Clone, Default)]
pub struct Corrector {
    /// As they were found, newest last, seconds and microseconds.
    pub(crate) beats_us: VecDeque<i64>,
    /// Where the last beat that was handed on stands.
    pub(crate) last_us: Option<i64>,
}

/// Beats before the one that is decided on from which the pattern is followed.
const PATTERN: usize = 6;

impl Corrector {
    /// Beats that a decision looks back on: enough for the thresholds.
    pub(crate) const MEMORY: usize = SPREAD_WIDTH;

    /// A beat was found. `beats` is given what stands in its place, in order: nothing, itself, or
    /// more than one.
    pub fn hear(&mut self, at_us: i64, mut beats: impl FnMut(Beat)) {
        if self.beats_us.back().is_some_and(|last| at_us - last > 2 * INTERVAL_US_MAX) {
            // A new stretch: what lies between is no interval.
            self.finish(&mut beats);
        }
        self.beats_us.push_back(at_us);
        if self.beats_us.len() > Self::MEMORY {
            self.beats_us.pop_front();
        }
        if let Some(place) = self.beats_us.len().checked_sub(1 + AHEAD) {
            self.decide(place, &mut beats);
        }
    }

    /// Hands on what is still waited for, and begins anew.
    pub fn finish(&mut self, mut beats: impl FnMut(Beat)) {
        let n = self.beats_us.len();
        for place in n.saturating_sub(AHEAD)..n {
            beats(Beat { at_us: self.beats_us[place], class: Class::Normal });
        }
        *self = Self::default();
    }

    fn decide(&mut self, place: usize, beats: &mut impl FnMut(Beat)) {
        let at_us = self.beats_us[place];
        let origin = self.beats_us[0];
        let times: Vec<f64> = self.beats_us.iter().map(|at| (at - origin) as f64 * 1e-6).collect();
        let class = if place < 2 {
            Class::Normal
        } else {
            classify_from(&times, place.saturating_sub(PATTERN))[place]
        };
        let next = self.beats_us.get(place + 1).copied();
        let last_us = &mut self.last_us;
        stand_in(at_us, class, *last_us, next, |beat| {
            if beat.class != Class::Extra {
                *last_us = Some(beat.at_us);
            }
            beats(beat);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beats of a resting person, seconds.
    fn resting() -> Vec<f64> {
        let mut t = 0.3;
        (0..120)
            .map(|n| {
                let n = f64::from(n);
                t += 0.9 + 0.04 * libm::sin(n * 1.4) + 0.012 * libm::sin(n * n);
                t
            })
            .collect()
    }

    fn corrected(beats: &[f64]) -> Vec<Beat> {
        let mut corrector = Corrector::default();
        let mut out = Vec::new();
        for beat in beats {
            corrector.hear((beat * 1e6) as i64, |beat| out.push(beat));
        }
        corrector.finish(|beat| out.push(beat));
        out
    }

    #[test]
    fn a_resting_heart_is_left_as_it_is() {
        let beats = resting();
        let out = corrected(&beats);
        assert_eq!(out.len(), beats.len());
        for (out, beat) in out.iter().zip(&beats) {
            assert_eq!((out.class, out.at_us), (Class::Normal, (beat * 1e6) as i64));
        }
    }

    #[test]
    fn what_was_done_to_the_beats_is_found_and_undone() {
        let beats = resting();
        let mut missing = beats.clone();
        missing.remove(60);
        assert_eq!(classify(&missing)[60], Class::Missed);
        let mut extra = beats.clone();
        extra.insert(61, beats[60] + 0.35);
        assert_eq!(classify(&extra)[61], Class::Extra);
        let mut early = beats.clone();
        early[60] -= 0.3;
        assert_eq!(classify(&early)[60], Class::Irregular);
        for changed in [missing, extra, early] {
            let found: Vec<i64> = changed.iter().map(|beat| (beat * 1e6) as i64).collect();
            // All at once, an early beat and the one behind it are both irregular, and are moved at
            // one go.
            for (mut out, off) in [(corrected(&changed), 0.06), (correct(&found), 0.2)] {
                assert!(out.iter().any(|beat| beat.class != Class::Normal));
                out.retain(|beat| beat.class != Class::Extra);
                assert_eq!(out.len(), beats.len());
                for (out, beat) in out.iter().zip(&beats) {
                    assert!((out.at_us as f64 * 1e-6 - beat).abs() < off, "{beat} {out:?}");
                }
            }
        }
    }
}

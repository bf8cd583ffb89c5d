//! How much the time between beats varies, over a stated window and with the share of beats that
//! had to be corrected: without both, none of these is a number.

use std::ops::RangeInclusive;

use components::group::Variability;

use super::artefact::{Beat, Class};
use super::{INTERVAL_US_MAX, INTERVAL_US_MIN};

/// Intervals without which there is no figure.
const INTERVAL_COUNT_MIN: usize = 5;

/// Differences are compared with 50 ms after rounding to a microsecond: ties must not depend on
/// the last bit (`reference/synchrony.md` 6).
const NN50_US: i64 = 50_000;

/// Of beats in order. Intervals that no heart has (a gap in the recording) are left out, with the
/// differences on both their sides. `None`: not enough data.
pub fn variability<'a>(beats: impl IntoIterator<Item = &'a Beat>) -> Option<Variability> {
    of_intervals(beats, INTERVAL_US_MIN..=INTERVAL_US_MAX)
}

/// The same of every interval there is, gaps and all: of beats as they were found, to compare with
/// others' figures.
pub fn variability_as_found<'a>(beats: impl IntoIterator<Item = &'a Beat>) -> Option<Variability> {
    of_intervals(beats, i64::MIN..=i64::MAX)
}

fn of_intervals<'a>(
    beats: impl IntoIterator<Item = &'a Beat>,
    credible_us: RangeInclusive<i64>,
) -> Option<Variability> {
    let beats: Vec<Beat> = beats.into_iter().copied().collect();
    let corrected = beats.iter().filter(|beat| beat.class != Class::Normal).count();
    let times: Vec<i64> =
        beats.iter().filter(|beat| beat.class != Class::Extra).map(|beat| beat.at_us).collect();
    let intervals: Vec<Option<i64>> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .map(|us| credible_us.contains(&us).then_some(us))
        .collect();
    let ms: Vec<f64> = intervals.iter().flatten().map(|us| *us as f64 * 1e-3).collect();
    let steps: Vec<i64> =
        intervals.windows(2).filter_map(|pair| Some(pair[1]? - pair[0]?)).collect();
    if ms.len() < INTERVAL_COUNT_MIN || steps.is_empty() {
        return None;
    }
    let mean = ms.iter().sum::<f64>() / ms.len() as f64;
    let squares: f64 = ms.iter().map(|ms| (ms - mean) * (ms - mean)).sum();
    let step_squares: f64 = steps.iter().map(|us| (*us as f64 * 1e-3) * (*us as f64 * 1e-3)).sum();
    let nn50 = steps.iter().filter(|us| us.abs() > NN50_US).count();
    Some(Variability {
        window_s: (times[times.len() - 1] - times[0]) as f64 * 1e-6,
        beats: times.len() as u32,
        mean_nn_ms: mean,
        sdnn_ms: (squares / (ms.len() - 1) as f64).sqrt(),
        rmssd_ms: (step_squares / steps.len() as f64).sqrt(),
        pnn50_pct: 100.0 * nn50 as f64 / steps.len() as f64,
        corrected_share: corrected as f64 / beats.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(times_us: &[i64]) -> Vec<Beat> {
        times_us.iter().map(|at| Beat { at_us: *at, class: Class::Normal }).collect()
    }

    #[test]
    fn the_figures_are_those_of_the_intervals() {
        // 800, 850, 900, 850, 800, 750 ms: five steps of 50 ms, none of more.
        let times = [0, 800_000, 1_650_000, 2_550_000, 3_400_000, 4_200_000, 4_950_000];
        let found = variability(&beats(&times)).unwrap();
        assert!((found.mean_nn_ms - 825.0).abs() < 1e-9 && (found.rmssd_ms - 50.0).abs() < 1e-9);
        assert!((found.sdnn_ms - 2750.0f64.sqrt()).abs() < 1e-9, "{found:?}");
        assert_eq!((found.pnn50_pct, found.beats, found.corrected_share), (0.0, 7, 0.0));
        assert!(
            (found.window_s - 4.95).abs() < 1e-9 && (found.rate_bpm() - 60.0 / 0.825).abs() < 1e-9
        );
        assert_eq!(variability(&beats(&times[..5])), None, "not enough data");
    }

    #[test]
    fn a_gap_is_no_interval_and_its_neighbours_no_difference() {
        let mut times: Vec<i64> = (0..10).map(|n| n * 900_000).collect();
        times.extend((0..10).map(|n| 60_000_000 + n * 1_000_000));
        let found = variability(&beats(&times)).unwrap();
        assert_eq!((found.rmssd_ms, found.mean_nn_ms), (0.0, 950.0));
        let all = variability_as_found(&beats(&times)).unwrap();
        assert!(all.rmssd_ms > 10_000.0 && all.mean_nn_ms > 3_000.0, "{all:?}");
    }
}

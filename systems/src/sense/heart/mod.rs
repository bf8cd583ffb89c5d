//! The heart: from raw ECG to beats, from beats to intervals that can be trusted, and from those
//! to variability and to what breathing does to it.
//!
//! [`detect`] finds R-peaks, [`artefact`] what is no normal beat among them, [`variability`] has
//! RMSSD and its relatives, [`respiration`] how heart and breath go together. [`Heart`] is one
//! person's whole way from samples to a tachogram, which is then treated as any other rhythm.

pub mod artefact;
pub mod detect;
pub mod respiration;
pub mod variability;

use std::collections::VecDeque;

use artefact::{Beat, Class, Corrector};
use components::group::Variability;
use detect::Detector;

use super::grid::Grid;

/// Intervals between beats that a heart can have, microseconds: 20 to 300 a minute.
pub const INTERVAL_US_MIN: i64 = 200_000;
pub const INTERVAL_US_MAX: i64 = 3_000_000;

/// The window of live figures, microseconds: 60 s.
pub const WINDOW_US: i64 = 60_000_000;
/// Figures of less than half a window are none.
const WINDOW_US_MIN: i64 = WINDOW_US / 2;

/// One person's ECG and what was found in it.
#[derive(Debug, Clone, Default)]
pub struct Heart {
    pub(crate) detector: Detector,
    pub(crate) corrector: Corrector,
    /// Corrected, oldest first.
    pub(crate) beats: VecDeque<Beat>,
    /// R-peaks that nobody was told of yet, microseconds on the common clock.
    pub(crate) found_us: VecDeque<i64>,
}

impl Heart {
    /// Beats that are kept: a minute at 300, and those that were corrected.
    pub(crate) const BEAT_COUNT_MAX: usize = 400;
    /// R-peaks that wait to be told: ten seconds at 300 a minute. Beyond, the oldest is forgotten.
    pub(crate) const FOUND_COUNT_MAX: usize = 50;

    /// A sample of the ECG, at its time on the common clock. What follows for the tachogram, the
    /// length of an interval (ms) at the beat that ends it, goes into `tachogram`.
    pub fn hear(&mut self, at_us: i64, value: f64, tachogram: &mut Grid) {
        let Self { detector, corrector, beats, found_us } = self;
        detector.hear(at_us, value, |peak_us| {
            if found_us.len() == Self::FOUND_COUNT_MAX {
                found_us.pop_front();
            }
            found_us.push_back(peak_us);
            corrector.hear(peak_us, |beat| {
                let stands = |beat: &&Beat| beat.class != Class::Extra;
                let before = beats.iter().rev().find(stands).map(|beat| beat.at_us);
                if beats.len() == Self::BEAT_COUNT_MAX {
                    beats.pop_front();
                }
                beats.push_back(beat);
                if let Some(interval_us) = before.map(|before| beat.at_us - before)
                    && beat.class != Class::Extra
                    && (INTERVAL_US_MIN..=INTERVAL_US_MAX).contains(&interval_us)
                {
                    tachogram.put(beat.at_us, interval_us as f64 * 1e-3);
                }
            });
        });
    }

    /// R-peaks since this was last asked, microseconds on the common clock.
    pub fn take_found(&mut self) -> impl Iterator<Item = i64> {
        self.found_us.drain(..)
    }

    /// Of the last minute of corrected beats. `None`: not enough data yet.
    pub fn variability(&self) -> Option<Variability> {
        let last_us = self.beats.back()?.at_us;
        let begin = self.beats.partition_point(|beat| beat.at_us < last_us - WINDOW_US);
        let first_us = self.beats.get(begin)?.at_us;
        let window = self.beats.range(begin..);
        (last_us - first_us >= WINDOW_US_MIN).then(|| variability::variability(window)).flatten()
    }
}

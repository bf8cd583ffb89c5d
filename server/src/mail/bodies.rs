//! Breath and heart of one person together, of everybody of whom both are watched, on one sensor or by
//! one device: fed with what groups say of their members, whoever asked for them. Respiratory sinus
//! arrhythmia takes two minutes of both; it is found anew every five seconds, one person at a time.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use components::delivery::{Deliveries, Notice};
use components::group::{BreathingHeart, GroupNews, Signal};
use engine::sense::grid::STEP_US;
use engine::sense::heart::respiration::{self, CELLS_MIN};
use engine::sense::phase::Filters;
use rustc_hash::FxHashMap;

/// Hearts that are followed, and breaths: 15 kB each. Those beyond have no figure.
pub(super) const BODY_COUNT_MAX: usize = 1_024;

/// Cells of the grid until a figure is found anew: 5 s.
const RENEWED_CELLS: i64 = 50;

/// Cells without news after which a figure is none, and a person is no longer followed: 30 s.
const STALE_CELLS: i64 = 300;

/// Cells that are kept: the window, and what one signal may be ahead of the other.
const CELL_COUNT_MAX: usize = CELLS_MIN + 2 * STALE_CELLS as usize;

/// People that are looked at in one go, until one is due.
const LOOK_COUNT: usize = 64;

/// Breath and heart that know nothing of each other have as many phases in a window as it has such
/// stretches, seconds: two strangers pass 0.50 in two minutes one time in twenty (docs/synchrony.md).
const INDEPENDENT_S: f64 = 10.0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    /// Of every sensor there is, by which device it comes.
    connectors: FxHashMap<Arc<str>, Arc<str>>,
    /// By sensor.
    breaths: FxHashMap<Arc<str>, Track>,
    hearts: FxHashMap<Arc<str>, Heart>,
    /// Whose turn it is.
    turns: VecDeque<Arc<str>>,
    filters: Filters,
    /// The newest cell of anybody.
    newest: i64,
}

#[derive(Debug, Default)]
struct Heart {
    track: Track,
    /// The cell behind the last when it was last tried to find the figure.
    tried: i64,
    found: Option<Found>,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    /// The cell behind the window.
    end: i64,
    figure: BreathingHeart,
}

/// One signal of one person, without a hole.
#[derive(Debug, Default)]
struct Track {
    cells: VecDeque<f64>,
    /// The cell behind the last.
    end: i64,
}

impl Track {
    /// What was there already, of another group, is not put in twice. Behind a hole all begins anew.
    fn put(&mut self, cell: i64, value: f64) {
        // By more than a group can be late, time went back.
        if cell < self.end && self.end - cell <= STALE_CELLS && !self.cells.is_empty() {
            return;
        }
        if cell != self.end || !value.is_finite() {
            self.cells.clear();
        }
        self.end = cell + 1;
        if value.is_finite() {
            if self.cells.len() == CELL_COUNT_MAX {
                self.cells.pop_front();
            }
            self.cells.push_back(value);
        }
    }

    /// The window that ends before `end`.
    fn window(&self, end: i64) -> Option<Vec<f64>> {
        let behind = usize::try_from(self.end - end).ok()?;
        let to = self.cells.len().checked_sub(behind)?;
        let from = to.checked_sub(CELLS_MIN)?;
        Some(self.cells.range(from..to).copied().collect())
    }
}

impl Bodies {
    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::SensorCame { card } if !card.connector_id.is_empty() => {
                self.connectors.insert(Arc::clone(&card.sensor_id), Arc::clone(&card.connector_id));
            }
            Notice::SensorGone { sensor_id } => {
                self.connectors.remove(sensor_id);
            }
            _ => {}
        }
    }

    /// Takes up what a group says of its members.
    pub(super) fn hear(
        &mut self,
        signal: Signal,
        sensor_ids: &[Arc<str>],
        news: &GroupNews,
        deliveries: &Deliveries,
    ) {
        let rows = deliveries.values_of(news).chunks_exact(sensor_ids.len().max(1));
        for ((reading, _), row) in deliveries.readings_of(news).zip(rows) {
            let cell = reading.at_us.div_euclid(STEP_US);
            if cell > self.newest || self.newest - cell > STALE_CELLS {
                self.newest = cell;
            }
            for (sensor_id, value) in sensor_ids.iter().zip(row) {
                if let Some(track) = self.track(signal, sensor_id, value.is_finite()) {
                    track.put(cell, *value);
                }
            }
        }
    }

    /// Where what this sensor says goes; somebody new is taken up for a value only.
    fn track(
        &mut self,
        signal: Signal,
        sensor_id: &Arc<str>,
        has_value: bool,
    ) -> Option<&mut Track> {
        if !signal.is_of_heart() {
            let may_come = has_value && self.breaths.len() < BODY_COUNT_MAX;
            return match self.breaths.entry(Arc::clone(sensor_id)) {
                Entry::Occupied(breath) => Some(breath.into_mut()),
                Entry::Vacant(place) => may_come.then(|| place.insert(Track::default())),
            };
        }
        let may_come = has_value && self.hearts.len() < BODY_COUNT_MAX;
        match self.hearts.entry(Arc::clone(sensor_id)) {
            Entry::Occupied(heart) => Some(&mut heart.into_mut().track),
            Entry::Vacant(place) => may_come.then(|| {
                self.turns.push_back(Arc::clone(sensor_id));
                &mut place.insert(Heart::default()).track
            }),
        }
    }

    /// Finds the figure of the next person who is due, and lets go of who is gone.
    pub(super) fn look(&mut self) {
        for _ in 0..LOOK_COUNT.min(self.turns.len()) {
            let Some(sensor_id) = self.turns.pop_front() else { return };
            let Some(heart) = self.hearts.get_mut(&sensor_id) else { continue };
            let end = heart.track.end;
            if self.newest - end > STALE_CELLS {
                self.hearts.remove(&sensor_id);
                continue;
            }
            self.turns.push_back(Arc::clone(&sensor_id));
            if (0..RENEWED_CELLS).contains(&(end - heart.tried)) {
                continue;
            }
            heart.tried = end;
            let found = self.find(&sensor_id);
            if let (Some(found), Some(heart)) = (found, self.hearts.get_mut(&sensor_id)) {
                heart.found = Some(found);
                return;
            }
        }
    }

    fn find(&mut self, sensor_id: &Arc<str>) -> Option<Found> {
        let newest = self.newest;
        self.breaths.retain(|_, breath| newest - breath.end <= STALE_CELLS);
        let heart = &self.hearts.get(sensor_id)?.track;
        let breath = self.breath_of(sensor_id)?;
        let end = breath.end.min(heart.end);
        let (breath, heart) = (breath.window(end)?, heart.window(end)?);
        let of = respiration::cardiorespiratory(&breath, &heart, &mut self.filters)?;
        let figure = BreathingHeart {
            breath_hz: of.breath_hz,
            plv: of.plv,
            coherence: of.coherence,
            segments: of.segments as u32,
            peak_to_trough_ms: of.peak_to_trough_ms,
        };
        Some(Found { end, figure })
    }

    /// The breath of whose heart this is: of the same sensor; else of the same device, if that has one
    /// heart and one breath only. Of two nobody knows whose is whose.
    fn breath_of(&self, sensor_id: &Arc<str>) -> Option<&Track> {
        if let Some(breath) = self.breaths.get(sensor_id) {
            return Some(breath);
        }
        let connector = self.connectors.get(sensor_id)?;
        let is_here = |sensor_id: &Arc<str>| self.connectors.get(sensor_id) == Some(connector);
        let hearts = self.hearts.keys().filter(|other| is_here(other)).count();
        let mut breaths = self.breaths.iter().filter(|(other, _)| is_here(other));
        match (hearts, breaths.next(), breaths.next()) {
            (1, Some((_, breath)), None) => Some(breath),
            _ => None,
        }
    }

    /// What is known of these people, with their places.
    pub(super) fn of<'a>(
        &'a self,
        sensor_ids: &'a [Arc<str>],
    ) -> impl Iterator<Item = (u16, BreathingHeart)> + 'a {
        sensor_ids.iter().enumerate().filter_map(|(place, sensor_id)| {
            let found = self.hearts.get(sensor_id)?.found?;
            (self.newest - found.end <= STALE_CELLS).then_some((place as u16, found.figure))
        })
    }

    /// How far hearts go with breaths, from 0, where they know nothing of each other, to 1: the mean
    /// square of the phase-locking values, freed of what chance adds to it. `None`: of nobody.
    pub(super) fn together(&self, sensor_ids: &[Arc<str>]) -> Option<f64> {
        let (sum, count) = self
            .of(sensor_ids)
            .fold((0.0, 0u32), |(sum, count), (_, of)| (sum + of.plv * of.plv, count + 1));
        let phases = CELLS_MIN as f64 * STEP_US as f64 * 1e-6 / INDEPENDENT_S;
        (count > 0).then(|| {
            let square = sum / f64::from(count);
            ((phases * square - 1.0) / (phases - 1.0)).clamp(0.0, 1.0)
        })
    }
}

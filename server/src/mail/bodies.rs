//! Breath and heart of one person together, of everybody of whom both are watched: fed with what
//! groups say of their members, whoever asked for them. Respiratory sinus arrhythmia takes two
//! minutes of both; it is found anew every five seconds, one person at a time.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use components::delivery::Deliveries;
use components::group::{BreathingHeart, GroupNews, Signal};
use engine::sense::grid::STEP_US;
use engine::sense::heart::respiration::{self, CELLS_MIN};
use engine::sense::phase::Filters;
use rustc_hash::FxHashMap;

/// People that are followed: 30 kB each. Those beyond have no figure.
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
    bodies: FxHashMap<Arc<str>, Body>,
    /// Whose turn it is.
    turns: VecDeque<Arc<str>>,
    filters: Filters,
    /// The newest cell of anybody.
    newest: i64,
}

#[derive(Debug, Default)]
struct Body {
    breath: Track,
    heart: Track,
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
                let is_full = self.bodies.len() >= BODY_COUNT_MAX;
                let body = match self.bodies.entry(Arc::clone(sensor_id)) {
                    Entry::Occupied(body) => body.into_mut(),
                    Entry::Vacant(_) if is_full || !value.is_finite() => continue,
                    Entry::Vacant(place) => {
                        self.turns.push_back(Arc::clone(sensor_id));
                        place.insert(Body::default())
                    }
                };
                let track = if signal.is_of_heart() { &mut body.heart } else { &mut body.breath };
                track.put(cell, *value);
            }
        }
    }

    /// Finds the figure of the next person who is due, and lets go of who is gone.
    pub(super) fn look(&mut self) {
        for _ in 0..LOOK_COUNT.min(self.turns.len()) {
            let Some(sensor_id) = self.turns.pop_front() else { return };
            let Some(body) = self.bodies.get_mut(&sensor_id) else { continue };
            if self.newest - body.breath.end.max(body.heart.end) > STALE_CELLS {
                self.bodies.remove(&sensor_id);
                continue;
            }
            self.turns.push_back(sensor_id);
            let end = body.breath.end.min(body.heart.end);
            if body.found.is_some_and(|found| (0..RENEWED_CELLS).contains(&(end - found.end))) {
                continue;
            }
            let windows = (body.breath.window(end), body.heart.window(end));
            let (Some(breath), Some(heart)) = windows else { continue };
            let figure = respiration::cardiorespiratory(&breath, &heart, &mut self.filters);
            body.found = figure.map(|of| Found {
                end,
                figure: BreathingHeart {
                    breath_hz: of.breath_hz,
                    plv: of.plv,
                    coherence: of.coherence,
                    segments: of.segments as u32,
                    peak_to_trough_ms: of.peak_to_trough_ms,
                },
            });
            return;
        }
    }

    /// What is known of these people, with their places.
    pub(super) fn of<'a>(
        &'a self,
        sensor_ids: &'a [Arc<str>],
    ) -> impl Iterator<Item = (u16, BreathingHeart)> + 'a {
        sensor_ids.iter().enumerate().filter_map(|(place, sensor_id)| {
            let found = self.bodies.get(sensor_id)?.found?;
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

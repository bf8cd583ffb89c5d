//! One person's samples on a common grid (of 10 Hz, unless said otherwise), whatever rate, batches and order they came in.
//!
//! Between samples the signal is taken to be straight; a cell of the grid is its mean over the
//! step around the cell's instant. So a fast sensor's noise is averaged rather than
//! picked from, and one signal gives nearly the same cells at any rate. Samples wait in order of
//! their time until a cell needs them: which cells there are depends on nothing else. Whatever comes
//! for a time that cells are full up to is too late, and counted as such.

use std::collections::{BTreeMap, VecDeque};

/// Cells a second.
pub const GRID_HZ: f64 = 10.0;
/// Microseconds from cell to cell.
pub const STEP_US: i64 = 100_000;

/// Cells that are kept: what the slowest question looks back (60 s), what the filter is late, and
/// 30 s by which a person may be ahead of the group.
const CELL_COUNT_KEPT: usize = 1_024;

/// After a silence this long a new grid is begun.
const FORGET_US: i64 = 30_000_000;

/// See the module.
#[derive(Debug, Clone)]
pub struct Grid {
    step_us: i64,
    /// Ascending by time; of one time by value, so that their order does not matter either.
    pub(crate) waiting: VecDeque<(i64, f64)>,
    /// The newest sample that is in the cells.
    pub(crate) last: Option<(i64, f64)>,
    /// The integral over the cell that is being filled, value times microseconds.
    pub(crate) sum: f64,
    /// The longest step between samples that has touched it, microseconds.
    pub(crate) sum_gap_us: i64,
    pub(crate) cells: Vec<f64>,
    /// For each cell the longest step between samples that touches it, microseconds.
    pub(crate) gaps_us: Vec<u32>,
    /// None of them is longer: most often there is nothing to look for.
    longest_us: u32,
    /// The number of the cell that is being filled: `cells` are those right before it. Cell `n`
    /// is around `n` steps.
    pub(crate) end: i64,
    /// The latest time that was put in.
    pub(crate) newest_us: Option<i64>,
    /// Samples that came too late to be of use.
    pub(crate) late: u64,
}

impl Default for Grid {
    fn default() -> Self {
        Self::with_step(STEP_US)
    }
}

impl Grid {
    /// Cells at most: twice what is kept, so that forgetting the older half is rare.
    pub(crate) const CELL_COUNT_MAX: usize = 2 * CELL_COUNT_KEPT;
    /// Samples that may wait: a second at 2 kHz. Beyond, the oldest no longer wait for their order.
    pub(crate) const WAITING_COUNT_MAX: usize = 2_048;

    /// An empty grid whose cells are `step_us` apart, an even number of microseconds.
    pub fn with_step(step_us: i64) -> Self {
        Self {
            step_us,
            waiting: VecDeque::new(),
            last: None,
            sum: 0.0,
            sum_gap_us: 0,
            cells: Vec::new(),
            gaps_us: Vec::new(),
            longest_us: 0,
            end: 0,
            newest_us: None,
            late: 0,
        }
    }

    /// Puts a sample in its place. Its value is finite.
    pub fn put(&mut self, at_us: i64, value: f64) {
        if self.last.is_some_and(|(last, _)| at_us <= last) {
            self.late += 1;
            return;
        }
        let before = |&(at, other): &(i64, f64)| (at, ordered(other)) <= (at_us, ordered(value));
        if self.waiting.back().is_none_or(before) {
            self.waiting.push_back((at_us, value));
        } else {
            let place = self.waiting.partition_point(before);
            self.waiting.insert(place, (at_us, value));
        }
        self.newest_us = Some(self.newest_us.map_or(at_us, |newest| newest.max(at_us)));
        if self.waiting.len() > Self::WAITING_COUNT_MAX {
            self.take_next();
        }
    }

    /// Fills cells up to and with `cell`, as far as samples reach.
    pub fn fill_to(&mut self, cell: i64) {
        while self.end <= cell || self.last.is_none() {
            if self.waiting.is_empty() {
                return;
            }
            self.take_next();
        }
    }

    /// The latest time that was put in.
    pub fn newest_us(&self) -> Option<i64> {
        self.newest_us
    }

    /// The earliest time there is anything of.
    pub fn first_us(&self) -> Option<i64> {
        let last = self.last.map(|(at, _)| at);
        let begin = (!self.cells.is_empty()).then(|| self.begin() * self.step_us);
        begin.or(last).or_else(|| self.waiting.front().map(|(at, _)| *at))
    }

    /// The first cell there is.
    pub fn begin(&self) -> i64 {
        self.end - self.cells.len() as i64
    }

    /// The number behind the last cell that is full.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Cells `from..to`, if all are there.
    pub fn cells(&self, from: i64, to: i64) -> Option<&[f64]> {
        (from >= self.begin() && to <= self.end && from <= to).then(|| {
            let begin = (from - self.begin()) as usize;
            &self.cells[begin..begin + (to - from) as usize]
        })
    }

    /// The last of the cells `from..to` that a step between samples longer than `limit_us`
    /// touches.
    pub fn last_gap(&self, from: i64, to: i64, limit_us: i64) -> Option<i64> {
        if i64::from(self.longest_us) <= limit_us {
            return None;
        }
        let place = |cell: i64| (cell.clamp(self.begin(), self.end) - self.begin()) as usize;
        let (begin, end) = (place(from), place(to.max(from)));
        let found = self.gaps_us[begin..end].iter().rposition(|gap| i64::from(*gap) > limit_us)?;
        Some(self.begin() + (begin + found) as i64)
    }

    /// Draws the line from the last sample to the next, filling cells on the way.
    fn take_next(&mut self) {
        let Some((to, value)) = self.waiting.pop_front() else { return };
        let Some((from, before)) = self.last.filter(|(from, _)| to - from < FORGET_US) else {
            self.begin_at(to, value);
            return;
        };
        self.last = Some((to, value));
        if to == from {
            return;
        }
        let span = to - from;
        let slope = (value - before) / span as f64;
        let at = |time: i64| before + slope * (time - from) as f64;
        // The first cell begins behind the first sample.
        let mut time = from.max(self.end * self.step_us - self.step_us / 2);
        loop {
            let boundary = self.end * self.step_us + self.step_us / 2;
            let until = boundary.min(to);
            if until > time {
                self.sum += 0.5 * (at(time) + at(until)) * (until - time) as f64;
                self.sum_gap_us = self.sum_gap_us.max(span);
                time = until;
            }
            if boundary > to {
                return;
            }
            self.close_cell();
        }
    }

    fn begin_at(&mut self, at_us: i64, value: f64) {
        self.cells.clear();
        self.gaps_us.clear();
        self.longest_us = 0;
        self.last = Some((at_us, value));
        (self.sum, self.sum_gap_us) = (0.0, 0);
        let from_boundary = at_us + self.step_us / 2;
        self.end = from_boundary.div_euclid(self.step_us)
            + i64::from(from_boundary.rem_euclid(self.step_us) != 0);
    }

    /// What follows from the gaps that there are.
    pub(crate) fn note_gaps(&mut self) {
        self.longest_us = self.gaps_us.iter().copied().max().unwrap_or(0);
    }

    fn close_cell(&mut self) {
        if self.cells.len() == Self::CELL_COUNT_MAX {
            self.cells.drain(..Self::CELL_COUNT_MAX - CELL_COUNT_KEPT);
            self.gaps_us.drain(..Self::CELL_COUNT_MAX - CELL_COUNT_KEPT);
            self.note_gaps();
        }
        self.cells.push(self.sum / self.step_us as f64);
        // Longer ones begin a new grid.
        self.gaps_us.push(self.sum_gap_us as u32);
        self.longest_us = self.longest_us.max(self.sum_gap_us as u32);
        (self.sum, self.sum_gap_us) = (0.0, 0);
        self.end += 1;
    }
}

/// Total order of finite numbers, as bits.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// All cells of samples that are known at once, by number; the time of each in microseconds.
pub fn cells(samples: impl IntoIterator<Item = (i64, f64)>) -> BTreeMap<i64, f64> {
    let mut grid = Grid::default();
    let mut cells = BTreeMap::new();
    for (at_us, value) in samples {
        grid.put(at_us, value);
        let from = grid.end();
        // The grid keeps the last of them itself.
        grid.fill_to(i64::MAX);
        for cell in from.max(grid.begin())..grid.end() {
            if let Some([value]) = grid.cells(cell, cell + 1) {
                cells.insert(cell, *value);
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(samples: &[(i64, f64)]) -> Grid {
        let mut grid = Grid::default();
        for &(at, value) in samples {
            grid.put(at, value);
        }
        grid.fill_to(i64::MAX);
        grid
    }

    #[test]
    fn a_straight_line_is_read_where_it_is_at_any_rate() {
        for rate in [4, 10, 25, 50, 360, 1000] {
            let samples: Vec<(i64, f64)> = (0..rate * 5)
                .map(|n| n * 1_000_000 / rate)
                .map(|at| (at, 3.0 + at as f64 * 1e-6))
                .collect();
            let grid = filled(&samples);
            assert_eq!(grid.begin(), 1, "the cell around 0 began before the first sample");
            assert!(grid.end() >= 47, "{rate} Hz: {}", grid.end());
            for cell in grid.begin()..grid.end() {
                let found = grid.cells(cell, cell + 1).unwrap()[0];
                assert!((found - 3.0 - cell as f64 * 0.1).abs() < 1e-12, "{rate} Hz, {cell}");
            }
        }
    }

    #[test]
    fn a_gap_is_known_by_its_length_in_every_cell_it_touches() {
        let grid = filled(&[
            (0, 1.0),
            (100_000, 1.0),
            (1_230_000, 2.0),
            (1_300_000, 2.0),
            (1_400_000, 2.0),
        ]);
        assert_eq!((grid.begin(), grid.end()), (1, 14));
        assert_eq!(grid.last_gap(1, 14, 1_129_999), Some(12), "1.25 to 1.35 s lies behind it");
        assert_eq!(grid.last_gap(1, 14, 1_130_000), None);
        assert_eq!(grid.last_gap(2, 6, 200_000), Some(5));
        assert_eq!(grid.last_gap(13, 14, 100_000), None);
    }

    #[test]
    fn after_half_a_minute_of_silence_a_new_grid_begins() {
        let grid = filled(&[(0, 1.0), (500_000, 1.0), (40_000_000, 5.0), (40_500_000, 5.0)]);
        assert_eq!((grid.begin(), grid.end()), (401, 405));
        assert_eq!(grid.cells(401, 405), Some(&[5.0; 4][..]));
    }

    #[test]
    fn what_comes_too_late_is_counted_and_changes_nothing() {
        let mut grid = filled(&[(0, 1.0), (1_000_000, 1.0)]);
        let cells = grid.cells.clone();
        grid.put(900_000, 77.0);
        grid.fill_to(i64::MAX);
        assert_eq!((grid.late, &grid.cells), (1, &cells));
    }

    #[test]
    fn an_hour_at_a_thousand_hertz_takes_no_more_room_than_a_minute() {
        let mut grid = Grid::default();
        for n in 0..3_600_000 {
            grid.put(n * 1_000, (n % 7) as f64);
        }
        assert!(grid.waiting.len() <= Grid::WAITING_COUNT_MAX);
        assert!(grid.cells.len() <= Grid::CELL_COUNT_MAX && grid.cells.len() >= CELL_COUNT_KEPT);
        grid.fill_to(i64::MAX);
        assert_eq!(grid.end(), 36_000);
    }

    proptest! {
        #[test]
        fn order_and_repetition_within_the_disorder_change_nothing(
            steps in prop::collection::vec(1_000i64..300_000, 20..80),
            values in prop::collection::vec(-1e3f64..1e3, 80),
            keys in prop::collection::vec(0i64..700_000, 80),
            twice in prop::collection::vec(any::<bool>(), 80),
        ) {
            let mut at = 0;
            let straight: Vec<(i64, f64)> = steps
                .iter()
                .zip(&values)
                .map(|(step, value)| { at += step; (at, *value) })
                .collect();
            let mut shuffled: Vec<(i64, (i64, f64))> = straight
                .iter()
                .zip(&keys)
                .zip(&twice)
                .flat_map(|((sample, key), twice)| {
                    let late = (sample.0 + key, *sample);
                    std::iter::once(late).chain(twice.then_some((late.0 + 1, *sample)))
                })
                .collect();
            shuffled.sort_by_key(|(arrival, _)| *arrival);
            let shuffled: Vec<(i64, f64)> = shuffled.into_iter().map(|(_, sample)| sample).collect();
            let (one, other) = (filled(&straight), filled(&shuffled));
            prop_assert_eq!(one.cells, other.cells);
            prop_assert_eq!(one.end, other.end);
        }
    }
}

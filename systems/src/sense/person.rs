//! One person in a group: from samples to a phase, or to the reason why there is none.
//!
//! Everything is decided at instants of the grid and from the cells up to them, so it does not
//! matter in which portions the cells came. Every two seconds the last minute is analysed: where
//! the rhythm is, how much it stands out, whether the signal is one at all. In between, each step
//! costs one product with the filter.

use components::group::{Signal, Unmeasurable};

use super::clock::{Clock, Heard};
use super::grid::{Grid, STEP_US};
use super::heart::Heart;
use super::phase::Filter;
use super::phasor::{Phasor, wrapped};
use super::spectrum::{self, CELLS_MIN, PEAK_CELLS};

/// Steps between analyses: 2 s.
pub(crate) const ANALYSIS_STEPS: i64 = 20;

/// The gate's hysteresis on the concentration (`reference/synchrony.md` 4).
const GATE_IN: f64 = 0.40;
const GATE_OUT: f64 = 0.30;
/// The same where the gate decides for the first time.
const GATE_FIRST: f64 = 0.35;

/// The same for the concentration of the changes of a signal that is a breath. A random walk
/// passes the first alone rather often.
const CHANGE_GATE_IN: f64 = 0.25;
const CHANGE_GATE_OUT: f64 = 0.20;

/// What a rhythm is taken to be before it is known: 15 a minute.
const TYPICAL_HZ: f64 = 0.25;

/// Cycles that must lie in what is looked at.
const CYCLES_MIN: f64 = 3.0;
/// Cycles that the phase must have gone on by within the last 30 s, as a share of those at the
/// rhythm: drift and random walks turn back and forth.
const ADVANCE_MIN: f64 = 0.5;

/// Share of the median amplitude of the last minute below which there is no phase.
const WEAK_SHARE: f64 = 0.2;

/// Share of the cells of the last 30 s that may stand at the extremes.
const CLIPPED_SHARE: f64 = 0.15;
/// As far from an extreme as this, in parts of the range, is at it.
const CLIPPED_MARGIN: f64 = 1e-6;
/// A range below this part of the magnitude is rounding.
const FLAT_RANGE: f64 = 1e-9;

/// Amplitudes without which there is no median.
const AMPLITUDE_COUNT_MIN: usize = 5;

/// Nothing heard for as long is silence; a minute, and the person is forgotten.
pub(crate) const SILENT_US: i64 = 3_000_000;
pub(crate) const FORGOTTEN_US: i64 = 60_000_000;

/// See the module.
#[derive(Debug, Clone)]
pub struct Person {
    pub(crate) clock: Clock,
    pub(crate) grid: Grid,
    /// Up to when there is anything, on the common clock.
    pub(crate) newest_us: Option<i64>,
    /// Was there once, and silent for so long that nothing is left.
    pub(crate) forgotten: bool,
    /// For signals of the heart.
    pub(crate) heart: Option<Box<Heart>>,
    /// When anything was last heard, and when it was last no number; engine time.
    pub(crate) heard_us: Option<i64>,
    pub(crate) no_number_us: Option<i64>,
    /// What the last analysis found.
    pub(crate) rhythm_hz: Option<f64>,
    pub(crate) verdict: Verdict,
    pub(crate) gate: Gate,
    /// The band that this person is looked at in, as a step of centres.
    pub(crate) centre: Option<usize>,
    /// Own band instead of the group's.
    pub(crate) apart: bool,
    /// Newest last.
    pub(crate) amplitudes: Vec<f64>,
    pub(crate) median_amplitude: Option<f64>,
    /// Radians gone through since the phase began, and the same at the last analyses.
    pub(crate) turned: f64,
    pub(crate) turns: Vec<f64>,
    /// The phase of the step before, if there was one.
    pub(crate) last: Option<Phasor>,
    /// Where the person is now.
    pub(crate) state: Result<Phasor, Unmeasurable>,
}

/// What the last analysis says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Verdict {
    #[default]
    TooShort,
    Flat,
    Clipped,
    Signal,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] = [Self::TooShort, Self::Flat, Self::Clipped, Self::Signal];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Gate {
    #[default]
    Undecided,
    Open,
    Closed,
}

impl Gate {
    pub(crate) const ALL: [Self; 3] = [Self::Undecided, Self::Open, Self::Closed];
}

impl Default for Person {
    fn default() -> Self {
        Self {
            clock: Clock::default(),
            grid: Grid::default(),
            newest_us: None,
            forgotten: false,
            heart: None,
            heard_us: None,
            no_number_us: None,
            rhythm_hz: None,
            verdict: Verdict::default(),
            gate: Gate::default(),
            centre: None,
            apart: false,
            amplitudes: Vec::new(),
            median_amplitude: None,
            turned: 0.0,
            turns: Vec::new(),
            last: None,
            state: Err(Unmeasurable::Silent),
        }
    }
}

impl Person {
    /// Amplitudes that are remembered, one a second for a minute.
    pub(crate) const AMPLITUDE_COUNT: usize = 60;
    /// Turns that are remembered, one an analysis for 30 s.
    pub(crate) const TURN_COUNT: usize = 16;

    pub(crate) fn new(signal: Signal) -> Self {
        Self { heart: signal.is_of_heart().then(Box::default), ..Self::default() }
    }

    /// Up to when there is anything, on the common clock, microseconds.
    pub(crate) fn newest_us(&self) -> Option<i64> {
        self.newest_us
    }

    /// The earliest time there is anything of.
    pub(crate) fn first_us(&self) -> Option<i64> {
        self.grid.first_us()
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// The person's beats, if the signal is of the heart.
    pub fn heart(&self) -> Option<&Heart> {
        self.heart.as_deref()
    }

    /// The person's sensor says `value` at `device_us` of its own clock; we hear it at `now_us`.
    pub fn hear(&mut self, device_us: i64, value: f64, now_us: i64) {
        self.heard_us = Some(now_us);
        self.forgotten = false;
        if !value.is_finite() {
            self.no_number_us = Some(now_us);
            return;
        }
        let at_us = match self.clock.hear(device_us, now_us) {
            Heard::Stray => return,
            Heard::At(at_us) => at_us,
            Heard::Restarted(at_us) => {
                self.begin_anew();
                at_us
            }
        };
        let lag_us = match &mut self.heart {
            None => {
                self.grid.put(at_us, value);
                0
            }
            Some(heart) => {
                heart.hear(at_us, value, &mut self.grid);
                Signal::HeartHigh.latency_ms() as i64 * 1_000
            }
        };
        let newest_us = at_us - lag_us;
        self.newest_us = Some(self.newest_us.map_or(newest_us, |newest| newest.max(newest_us)));
    }

    /// What came was no number.
    pub fn hear_no_number(&mut self, now_us: i64) {
        self.hear(0, f64::NAN, now_us);
    }

    /// Where the person is in the cycle, as of the last step, or why not.
    pub fn state(&self) -> Result<Phasor, Unmeasurable> {
        self.state
    }

    /// What the signal was in a cell of the grid: of hearts, milliseconds between beats. `None`
    /// where there is none, or none but a line drawn across a gap.
    pub fn value(&self, cell: i64) -> Option<f64> {
        let [value] = self.grid.cells(cell, cell + 1)? else { return None };
        self.grid.last_gap(cell, cell + 1, self.half_cycle_us()).is_none().then_some(*value)
    }

    /// The person's own rhythm, if it stands out.
    pub fn rhythm_hz(&self) -> Option<f64> {
        self.rhythm_hz.filter(|_| self.gate == Gate::Open)
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Samples that came too late to be of use.
    pub fn late(&self) -> u64 {
        self.grid.late
    }

    /// Forgets everything but the clock.
    pub(crate) fn begin_anew(&mut self) {
        let clock = std::mem::take(&mut self.clock);
        let (heard_us, no_number_us) = (self.heard_us, self.no_number_us);
        let heart = self.heart.is_some().then(Box::default);
        *self = Self { clock, heard_us, no_number_us, heart, ..Self::default() };
    }

    /// One step of the grid: the state at cell `at`, from the cells before `end`. `analyse` says
    /// whether it is this person's turn, and for what. `filter` is the one of [`centre`](Self::centre).
    pub(crate) fn step(
        &mut self,
        at: i64,
        end: i64,
        now_us: i64,
        analyse: Option<Signal>,
        filter: Option<&Filter>,
    ) {
        self.grid.fill_to(end - 1);
        if let Some(signal) = analyse {
            self.analyse(end, signal);
        }
        self.state = self.phase(at, end, now_us, filter);
        match self.state {
            Ok(phase) => {
                if let Some(last) = self.last {
                    self.turned += wrapped((phase * last.conj()).angle());
                }
                self.last = Some(phase);
            }
            Err(_) => {
                self.last = None;
                self.turns.clear();
            }
        }
    }

    fn phase(
        &mut self,
        at: i64,
        end: i64,
        now_us: i64,
        filter: Option<&Filter>,
    ) -> Result<Phasor, Unmeasurable> {
        let recently = |at: Option<i64>| at.is_some_and(|at| now_us - at < SILENT_US);
        let fault = self.clock.fault(now_us, self.rhythm_hz.unwrap_or(TYPICAL_HZ));
        if let Some(fault @ Unmeasurable::WrongClock) = fault {
            return Err(fault);
        }
        if self.grid.end() < end {
            return Err(match self.newest_us {
                _ if recently(self.no_number_us) => Unmeasurable::NoNumbers,
                // A heart whose beats are not found, or not yet.
                Some(newest) if newest >= end * STEP_US && self.heart.is_some() => {
                    Unmeasurable::TooShort
                }
                _ => Unmeasurable::Silent,
            });
        }
        let taps = filter.map_or(CELLS_MIN, Filter::taps) as i64;
        if self.grid.last_gap(end - taps, end, self.half_cycle_us()).is_some() {
            return Err(Unmeasurable::Gap);
        }
        match self.verdict {
            Verdict::TooShort => return Err(Unmeasurable::TooShort),
            Verdict::Flat => return Err(Unmeasurable::Flat),
            Verdict::Clipped => return Err(Unmeasurable::Clipped),
            Verdict::Signal => {}
        }
        let Some(filter) = filter else { return Err(Unmeasurable::NoRhythm) };
        let Some(cells) = self.grid.cells(end - taps, end) else {
            return Err(Unmeasurable::TooShort);
        };
        let signal = filter.apply(cells);
        let amplitude = signal.norm();
        if at.rem_euclid(10) == 0 {
            if self.amplitudes.len() == Self::AMPLITUDE_COUNT {
                self.amplitudes.remove(0);
            }
            self.amplitudes.push(amplitude);
        }
        if self.gate != Gate::Open {
            return Err(Unmeasurable::NoRhythm);
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if self.median_amplitude.is_some_and(|median| amplitude < WEAK_SHARE * median) {
            return Err(Unmeasurable::Weak);
        }
        signal.unit().ok_or(Unmeasurable::Flat)
    }

    /// Longer steps between samples are gaps, microseconds.
    fn half_cycle_us(&self) -> i64 {
        (0.5e6 / self.rhythm_hz.unwrap_or(TYPICAL_HZ)) as i64
    }

    /// Looks at the last minute before `end`.
    fn analyse(&mut self, end: i64, signal: Signal) {
        if self.grid.end() < end {
            return;
        }
        let mut begin = self.grid.begin().max(end - PEAK_CELLS as i64);
        // What was drawn across a gap is none of the person's rhythm.
        if let Some(gap) = self.grid.last_gap(begin, end, self.half_cycle_us()) {
            begin = gap + 1;
        }
        let Some(cells) = self.grid.cells(begin, end).filter(|cells| cells.len() >= CELLS_MIN)
        else {
            (self.verdict, self.gate) = (Verdict::TooShort, Gate::Undecided);
            return;
        };
        self.verdict = verdict(&cells[cells.len().saturating_sub(PEAK_CELLS / 2)..]);
        if self.verdict != Verdict::Signal {
            (self.gate, self.rhythm_hz) = (Gate::Undecided, None);
            return;
        }
        let rhythm = spectrum::rhythm(cells, signal.band_hz());
        self.rhythm_hz = rhythm.peak_hz;
        if self.turns.len() == Self::TURN_COUNT {
            self.turns.remove(0);
        }
        self.turns.push(self.turned);
        if self.amplitudes.len() >= AMPLITUDE_COUNT_MIN {
            let mut sorted = self.amplitudes.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            self.median_amplitude = Some(sorted[sorted.len() / 2]);
        }
        let span_s = cells.len() as f64 * STEP_US as f64 * 1e-6;
        let enough = rhythm.peak_hz.is_none_or(|hz| hz * span_s >= CYCLES_MIN);
        let (threshold, change_threshold) = match self.gate {
            Gate::Undecided => (GATE_FIRST, CHANGE_GATE_IN),
            Gate::Open => (GATE_OUT, CHANGE_GATE_OUT),
            Gate::Closed => (GATE_IN, CHANGE_GATE_IN),
        };
        // A heart's slow waves lie below its fast ones, which change faster.
        let changes = signal.is_of_heart() || rhythm.change_concentration >= change_threshold;
        let open = enough
            && rhythm.peak_hz.is_some()
            && rhythm.concentration >= threshold
            && changes
            && self.advances();
        self.gate = match (open, enough) {
            (true, _) => Gate::Open,
            (false, false) => Gate::Undecided,
            (false, true) => Gate::Closed,
        };
        if !enough {
            self.verdict = Verdict::TooShort;
        }
    }

    /// Whether the phase went on as the rhythm says, as far as it was followed.
    fn advances(&self) -> bool {
        let (Some(hz), Some(first), Some(last)) =
            (self.rhythm_hz, self.turns.first(), self.turns.last())
        else {
            return true;
        };
        if self.turns.len() < Self::TURN_COUNT || self.last.is_none() {
            return true;
        }
        let span_s = (Self::TURN_COUNT - 1) as f64 * (ANALYSIS_STEPS * STEP_US) as f64 * 1e-6;
        (last - first) / std::f64::consts::TAU >= ADVANCE_MIN * hz * span_s
    }
}

/// Whether these cells are a signal at all.
fn verdict(cells: &[f64]) -> Verdict {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for cell in cells {
        (least, most) = (least.min(*cell), most.max(*cell));
    }
    let range = most - least;
    if range <= FLAT_RANGE * least.abs().max(most.abs()) {
        return Verdict::Flat;
    }
    let margin = CLIPPED_MARGIN * range;
    let clipped =
        cells.iter().filter(|cell| **cell <= least + margin || **cell >= most - margin).count();
    if clipped as f64 > CLIPPED_SHARE * cells.len() as f64 {
        Verdict::Clipped
    } else {
        Verdict::Signal
    }
}

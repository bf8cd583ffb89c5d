//! People together: one band for all who share a rhythm, and a reading for every instant.
//!
//! An instant is read when the samples of everybody who still sends have come so far as the tier's
//! latency asks. Whoever is more than [`GRACE_US`] behind is not waited for.

use components::group::{Reading, Signal, Tier};
use rayon::prelude::*;

use super::clock;
use super::grid::{GRID_HZ, STEP_US};
use super::heart::Heart;
use super::kuramoto;
use super::pair::History;
use super::person::{ANALYSIS_STEPS, FORGOTTEN_US, Person};
use super::phase::{Filters, Timing, centre_hz, centre_of, timing};
use super::phasor::Phasor;

/// How long the group waits for samples of one member, microseconds.
pub const GRACE_US: i64 = 3_000_000;

/// A clock that is moved by more begins anew, microseconds.
const REBASE_US: i64 = 500_000;

/// Steps of the grid in one call: a tick has an end. 6.4 s; the rest follows with the next.
const STEP_COUNT_MAX: i64 = 64;

/// Microseconds that the group may be behind: what is older is passed over.
const BEHIND_US: i64 = 20_000_000;

/// Microseconds by which the common time may go back while somebody who is late joins. By more, the
/// members' clocks were set back, all of them, and the readings begin anew.
const BACK_US: i64 = GRACE_US + 2_000_000;

/// A member whose rhythm lies outside of this part of the group's has a band of its own, and
/// shares the group's again when it is back within the narrower one.
const APART: (f64, f64) = (0.75, 1.33);
const TOGETHER: (f64, f64) = (0.80, 1.25);

/// Steps between decisions on the bands: 1 s.
const BAND_STEPS: i64 = 10;
/// The group's centre stays while its rhythm is within so many steps of 2 %.
const CENTRE_SLACK: usize = 1;

/// Time constant of the smoothed figures, seconds.
pub const SMOOTHING_S: f64 = 2.0;

/// People in one chunk of parallel work.
const CHUNK: usize = 64;

/// See the module.
#[derive(Debug, Clone)]
pub struct Ensemble {
    pub(crate) signal: Signal,
    pub(crate) tier: Tier,
    pub(crate) people: Vec<Person>,
    /// The next instant to read, a cell of the grid.
    pub(crate) next: Option<i64>,
    /// The band of the group, as a step of centres.
    pub(crate) centre: Option<usize>,
    pub(crate) smoothed: Option<(f64, f64)>,
    /// When the clocks were last compared, and how much device time is behind engine time.
    pub(crate) settled_us: Option<i64>,
    pub(crate) common_delay_us: Option<i64>,
    /// Phases of the last minutes, for groups small enough.
    pub(crate) history: Option<History>,
    /// Somebody may be forgotten who was not taken out yet.
    pub(crate) forgets: bool,
    /// Scratch.
    phasors: Vec<Phasor>,
}

impl Ensemble {
    /// People who are all silent yet.
    pub fn new(signal: Signal, tier: Tier, members: usize) -> Self {
        Self {
            signal,
            tier,
            people: vec![Person::new(signal); members],
            next: None,
            centre: None,
            smoothed: None,
            settled_us: None,
            common_delay_us: None,
            history: (members <= History::MEMBER_COUNT_MAX).then(|| History::new(members)),
            forgets: false,
            phasors: Vec::new(),
        }
    }

    pub fn tier(&self) -> Tier {
        self.tier
    }

    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The hearts of those whose signal is of it, with their places.
    pub(crate) fn hearts(&mut self) -> impl Iterator<Item = (u16, &mut Heart)> {
        let people = self.people.iter_mut().enumerate();
        people.filter_map(|(place, person)| Some((place as u16, person.heart.as_deref_mut()?)))
    }

    /// Somebody new, silent yet.
    pub(crate) fn join(&mut self) {
        self.people.push(Person::new(self.signal));
        self.forget_pairs();
    }

    /// Everybody behind moves up.
    pub(crate) fn leave(&mut self, member: usize) {
        self.people.remove(member);
        self.forget_pairs();
    }

    /// The members of whom nothing is left, who were there once; the last one first.
    pub(crate) fn take_forgotten(&mut self) -> Vec<usize> {
        if !std::mem::take(&mut self.forgets) {
            return Vec::new();
        }
        let people = self.people.iter().enumerate().rev();
        people.filter(|(_, person)| person.is_forgotten()).map(|(place, _)| place).collect()
    }

    fn forget_pairs(&mut self) {
        let members = self.people.len();
        self.history = (members <= History::MEMBER_COUNT_MAX).then(|| History::new(members));
    }

    /// The person whose samples are to be put in.
    pub fn person(&mut self, member: usize) -> &mut Person {
        &mut self.people[member]
    }

    /// The rhythm around which the group's band lies, Hz.
    pub fn rhythm_hz(&self) -> Option<f64> {
        self.centre.map(centre_hz)
    }

    /// Phases of the last minutes, if the group is small enough.
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// Reads every instant that can be read at `now_us`, the engine's time, and hands each to
    /// `read` with the people as they are then.
    pub fn advance(
        &mut self,
        now_us: i64,
        filters: &mut Filters,
        parallel: bool,
        mut read: impl FnMut(&Reading, &[Person]),
    ) {
        self.settle_clocks(now_us);
        let Some(horizon_us) = self.horizon_us(now_us) else { return };
        let Timing { delay, .. } = timing(self.tier);
        let latency_us = self.tier.latency_ms() as i64 * 1_000;
        let last = (horizon_us - latency_us).div_euclid(STEP_US);
        let first = match self.next.filter(|next| *next <= last + BACK_US / STEP_US) {
            Some(next) => next.max(last - BEHIND_US / STEP_US),
            None => {
                let begins = self.people.iter().filter_map(Person::first_us);
                let Some(begin_us) = begins.min() else { return };
                begin_us.div_euclid(STEP_US).max(last - BEHIND_US / STEP_US)
            }
        };
        self.next = Some(first);
        for at in first..=last.min(first + STEP_COUNT_MAX - 1) {
            self.step(at, at + delay as i64 + 1, now_us, filters, parallel);
            let reading = self.reading(at);
            read(&reading, &self.people);
            self.next = Some(at + 1);
        }
    }

    /// Once a second of engine time: compares the clocks, and lets go of who is long gone.
    fn settle_clocks(&mut self, now_us: i64) {
        if self
            .settled_us
            .is_some_and(|at| now_us.div_euclid(1_000_000) == at.div_euclid(1_000_000))
        {
            return;
        }
        self.settled_us = Some(now_us);
        for person in &mut self.people {
            if person.heard_us.is_some_and(|at| now_us - at > FORGOTTEN_US) {
                *person = Person { forgotten: true, ..Person::new(self.signal) };
                self.forgets = true;
            }
        }
        let before: Vec<i64> =
            self.people.iter().map(|person| person.clock.correction_us()).collect();
        let mut clocks: Vec<&mut clock::Clock> =
            self.people.iter_mut().map(|person| &mut person.clock).collect();
        self.common_delay_us = clock::settle(&mut clocks);
        for (person, before) in self.people.iter_mut().zip(before) {
            if (person.clock.correction_us() - before).abs() > REBASE_US {
                // What is there lies at another time.
                person.begin_anew();
            }
        }
    }

    /// Up to when samples have come, on the common clock.
    fn horizon_us(&self, now_us: i64) -> Option<i64> {
        let lag_us = self.signal.latency_ms() as i64 * 1_000;
        let least_us = now_us - self.common_delay_us? - lag_us - GRACE_US;
        let newest = self.people.iter().filter_map(Person::newest_us);
        // With nobody to wait for, the readings go on and say so.
        Some(newest.filter(|newest| *newest >= least_us).min().unwrap_or(least_us))
    }

    fn step(&mut self, at: i64, end: i64, now_us: i64, filters: &mut Filters, parallel: bool) {
        if at.rem_euclid(BAND_STEPS) == 0 {
            self.choose_bands();
        }
        // Those of a world made of a snapshot are not designed yet.
        for centre in self.people.iter().filter_map(|person| person.centre) {
            filters.ensure(self.tier, centre);
        }
        let (signal, tier, filters) = (self.signal, self.tier, &*filters);
        let work = |(chunk, people): (usize, &mut [Person])| {
            for (place, person) in people.iter_mut().enumerate() {
                // Each has its turn, so that no step has to look at everybody.
                let turn = (chunk * CHUNK + place) as i64;
                let is_due = (at + turn).rem_euclid(ANALYSIS_STEPS) == 0;
                let analyse = is_due.then_some(signal);
                let filter = person.centre.and_then(|centre| filters.get(tier, centre));
                person.step(at, end, now_us, analyse, filter);
            }
        };
        if parallel && self.people.len() > CHUNK {
            self.people.par_chunks_mut(CHUNK).enumerate().for_each(work);
        } else {
            self.people.chunks_mut(CHUNK).enumerate().for_each(work);
        }
        if let Some(history) = &mut self.history {
            history.push(at, self.people.iter().map(|person| person.state.ok()));
        }
    }

    /// The group's band is around the middle of its members' rhythms.
    fn choose_bands(&mut self) {
        let mut rhythms: Vec<f64> = self.people.iter().filter_map(Person::rhythm_hz).collect();
        if rhythms.is_empty() {
            // As long as nobody's rhythm stands out, everybody is looked at in their own band.
            rhythms.extend(self.people.iter().filter_map(|person| person.rhythm_hz));
        }
        if rhythms.is_empty() {
            return;
        }
        let middle = (rhythms.len() - 1) / 2;
        let (_, &mut rhythm_hz, _) = rhythms.select_nth_unstable_by(middle, f64::total_cmp);
        let wanted = centre_of(rhythm_hz);
        let centre = match self.centre {
            Some(centre) if centre.abs_diff(wanted) <= CENTRE_SLACK => centre,
            _ => wanted,
        };
        self.centre = Some(centre);
        for person in &mut self.people {
            let Some(own_hz) = person.rhythm_hz else { continue };
            let ratio = own_hz / centre_hz(centre);
            let (low, high) = if person.apart { TOGETHER } else { APART };
            person.apart = !(low..=high).contains(&ratio);
            let own = if person.apart { centre_of(own_hz) } else { centre };
            person.centre = match person.centre {
                Some(before) if person.apart && before.abs_diff(own) <= CENTRE_SLACK => {
                    Some(before)
                }
                _ => Some(own),
            };
        }
    }

    fn reading(&mut self, at: i64) -> Reading {
        self.phasors.clear();
        self.phasors.extend(self.people.iter().filter_map(|person| person.state.ok()));
        let order = kuramoto::order(&self.phasors);
        let part = 1.0 - libm::exp(-1.0 / (GRID_HZ * SMOOTHING_S));
        self.smoothed = order.map(|order| match self.smoothed {
            None => (order.r, order.kappa),
            Some((r, kappa)) => (r + part * (order.r - r), kappa + part * (order.kappa - kappa)),
        });
        Reading {
            at_us: at * STEP_US,
            members: self.people.len() as u16,
            measurable: self.phasors.len() as u16,
            order,
            smoothed: self.smoothed,
        }
    }
}

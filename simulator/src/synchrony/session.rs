//! What was told of a group while somebody recorded it, and what condition it was under.

use components::group::{MemberState, Reading, Signal, Tier, Unmeasurable};
use engine::sense::grid::STEP_US;
use engine::sense::hindsight::{Hindsight, rhythm_hz};
use engine::sense::phasor::Phasor;

/// What the people were about. No number within a session tells people who follow each other from
/// people who follow the same pacer, so it must be said (`reference/synchrony.md` 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Condition {
    /// Nothing gave them a pace.
    #[default]
    Free,
    /// They breathed to a pacer, or counted.
    Paced,
    /// They saw or heard the same.
    CommonStimulus,
}

impl Condition {
    pub const ALL: [Self; 3] = [Self::Free, Self::Paced, Self::CommonStimulus];

    /// The word on the wire and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Paced => "paced",
            Self::CommonStimulus => "common_stimulus",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.name() == name)
    }

    /// What a reader of the report must know.
    pub(crate) fn caution(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Paced => Some(
                "They followed a pacer: what is found here says that they followed it, not that \
                 they followed each other.",
            ),
            Self::CommonStimulus => Some(
                "They saw or heard the same: what is found here may be what it did to each of them, \
                 not what they did to each other.",
            ),
        }
    }
}

/// A member's state in one byte, as the group frame has it: 255 measurable, else why not.
const MEASURABLE: u8 = 255;

/// A group's steps of a tenth of a second, one behind the other.
#[derive(Debug, Clone)]
pub struct Session {
    pub name: String,
    pub signal: Signal,
    pub tier: Tier,
    pub condition: Condition,
    /// The id of the room whose group it is, of sessions in a room.
    pub room: Option<String>,
    /// In the order of their states.
    pub people: Vec<String>,
    /// The instant of the first step, microseconds on the members' common clock.
    begin_us: Option<i64>,
    steps: usize,
    people_state: Vec<Vec<u8>>,
    /// By member: the cells of the grid, NaN where there is none.
    values: Vec<Vec<f32>>,
}

impl Session {
    pub fn new(
        name: &str,
        signal: Signal,
        tier: Tier,
        condition: Condition,
        people: Vec<String>,
    ) -> Self {
        let count = people.len();
        Self {
            name: name.to_owned(),
            signal,
            tier,
            condition,
            room: None,
            people,
            begin_us: None,
            steps: 0,
            people_state: vec![Vec::new(); count],
            values: vec![Vec::new(); count],
        }
    }

    /// Somebody who was not there until now.
    pub fn join(&mut self, name: String) {
        self.people.push(name);
        self.people_state.push(vec![Unmeasurable::Silent as u8; self.steps]);
        self.values.push(vec![f32::NAN; self.steps]);
    }

    /// One step: what each was, and what the signal was. Steps that were passed over are as if
    /// nothing had come; what is older than the last step is left out.
    pub fn hear(&mut self, reading: &Reading, person: impl Fn(usize) -> (MemberState, f64)) {
        let begin_us = *self.begin_us.get_or_insert(reading.at_us);
        let step = (reading.at_us - begin_us) / STEP_US;
        let Ok(step) = usize::try_from(step) else { return };
        if step < self.steps {
            return;
        }
        for place in 0..self.people.len() {
            let (state, value) = person(place);
            let state = match state {
                Ok(_) => MEASURABLE,
                Err(why) => why as u8,
            };
            self.people_state[place].resize(step, Unmeasurable::Silent as u8);
            self.people_state[place].push(state);
            self.values[place].resize(step, f32::NAN);
            self.values[place].push(value as f32);
        }
        self.steps = step + 1;
    }

    /// How each is now: the last step's. `None` before the first.
    pub fn latest(&self, place: usize) -> Option<Result<(), Unmeasurable>> {
        let state = *self.people_state[place].last()?;
        Some(match Unmeasurable::ALL.into_iter().find(|why| *why as u8 == state) {
            Some(why) => Err(why),
            None => Ok(()),
        })
    }

    /// Steps of a tenth of a second.
    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn begin_us(&self) -> Option<i64> {
        self.begin_us
    }

    pub(crate) fn was_measurable(&self, member: usize, step: usize) -> bool {
        self.people_state[member][step] == MEASURABLE
    }

    /// How often each reason was given for a member, of all steps.
    pub(crate) fn reasons(&self, member: usize) -> impl Iterator<Item = (Unmeasurable, usize)> {
        let states = &self.people_state[member];
        Unmeasurable::ALL.into_iter().filter_map(move |why| {
            let count = states.iter().filter(|state| **state == why as u8).count();
            (count > 0).then_some((why, count))
        })
    }

    /// A member's signal, NaN where there is none.
    pub(crate) fn signal_of(&self, member: usize) -> Vec<f64> {
        self.values[member].iter().map(|value| f64::from(*value)).collect()
    }

    /// What there is of everybody's phase, looked back on.
    pub fn phasors(&self) -> Vec<Vec<Phasor>> {
        self.look_back().phasors
    }

    /// Looks back on everybody, each in the band that is its own.
    pub(crate) fn look_back(&self) -> LookedBack {
        let signals: Vec<Vec<f64>> = (0..self.people.len()).map(|m| self.signal_of(m)).collect();
        let own: Vec<Option<f64>> =
            signals.iter().map(|cells| rhythm_hz(cells, self.signal)).collect();
        let mut all: Vec<f64> = own.iter().copied().flatten().collect();
        all.sort_unstable_by(f64::total_cmp);
        let group_hz = all.get(all.len().saturating_sub(1) / 2).map(|hz| rounded(*hz));
        let hindsight = Hindsight::new(self.steps);
        let centre_hz = |own: &Option<f64>| {
            let (own, group) = ((*own)?, group_hz?);
            // Whoever has another rhythm has a band of their own.
            Some(if (APART.0..=APART.1).contains(&(own / group)) { group } else { rounded(own) })
        };
        let centres_hz: Vec<Option<f64>> = own.iter().map(centre_hz).collect();
        let phasors =
            signals.iter().zip(&centres_hz).enumerate().map(|(member, (cells, centre))| {
                let Some(centre_hz) = centre else { return vec![Phasor::ZERO; self.steps] };
                let mut phasors = hindsight.phasors(cells, *centre_hz);
                for (step, phasor) in phasors.iter_mut().enumerate() {
                    if !self.was_measurable(member, step) {
                        *phasor = Phasor::ZERO;
                    }
                }
                phasors
            });
        LookedBack { group_hz, phasors: phasors.collect(), centres_hz, signals }
    }
}

/// A member whose rhythm lies outside of this part of the group's has a band of its own, as live.
const APART: (f64, f64) = (0.75, 1.33);

/// As it is printed: whoever repeats the report has no more digits.
fn rounded(hz: f64) -> f64 {
    (hz * 1e4).round() / 1e4
}

/// See [`Session::look_back`].
pub(crate) struct LookedBack {
    /// The rhythm of the group, Hz.
    pub(crate) group_hz: Option<f64>,
    /// The middle of each member's band, Hz.
    pub(crate) centres_hz: Vec<Option<f64>>,
    /// By member, one a step; zeros where it was not measurable.
    pub(crate) phasors: Vec<Vec<Phasor>>,
    pub(crate) signals: Vec<Vec<f64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_were_passed_over_are_holes_and_old_ones_are_left_out() {
        let mut session = Session::new(
            "choir",
            Signal::Breath,
            Tier::Live,
            Condition::Free,
            vec!["a".into(), "b".into()],
        );
        let reading =
            |at_us| Reading { at_us, members: 2, measurable: 1, order: None, smoothed: None };
        let flat = Err(Unmeasurable::Flat);
        session.hear(&reading(5_000_000), |place| [(Ok(0.1), 1.0), (flat, 7.0)][place]);
        let gone = (Err(Unmeasurable::Silent), f64::NAN);
        session.hear(&reading(5_300_000), |place| [(Ok(0.2), 2.0), gone][place]);
        session.hear(&reading(5_100_000), |_| (Ok(0.3), 3.0));
        assert_eq!(
            (session.latest(0), session.latest(1)),
            (Some(Ok(())), Some(Err(Unmeasurable::Silent)))
        );
        session.join("c".into());
        assert_eq!(session.reasons(2).collect::<Vec<_>>(), [(Unmeasurable::Silent, 4)]);
        assert_eq!((session.steps(), session.begin_us()), (4, Some(5_000_000)));
        let measurable: Vec<bool> = (0..4).map(|step| session.was_measurable(0, step)).collect();
        assert_eq!(measurable, [true, false, false, true]);
        let signal = session.signal_of(0);
        assert!(signal[0] == 1.0 && signal[1].is_nan() && signal[3] == 2.0, "{signal:?}");
        let reasons: Vec<_> = session.reasons(1).collect();
        assert_eq!(reasons, [(Unmeasurable::Silent, 3), (Unmeasurable::Flat, 1)]);
    }
}

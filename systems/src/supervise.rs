//! What happens when a system panics. [`TABLE`] says it for each.
//!
//! The executor catches the panic and tells [`caught`]; the system has lost its own work of that
//! tick. Before the next one runs, it is restarted: what it may have left half done is mended (see
//! [`crate::mend`]), the doors are told, and the rest of the tick goes on. One that panics more
//! often than its [`Intensity`] allows is left out for a while, tried again, left out for longer
//! (see [`PAUSE_MS_MIN`]). Without a system of the [spine](Beyond::End) nothing would be
//! delivered, or nothing ever be let go; then the engine says so and ends, rather than pretend.
//!
//! Where the work consists of parts that do not need each other (samples, commands, viewers), a
//! panic over one is caught there, so that it alone is lost ([`Salvage`]). A stream or a viewer
//! over which something panics a second time is let go ([`Suspects`]).
//!
//! `Schedule::run` is never caught from outside: bevy would skip systems in the tick after
//! (`reference/reliability.md` 0.7).

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use bevy_ecs::error::{BevyError, ErrorContext};
use bevy_ecs::prelude::*;
use components::delivery::Notice;
use components::fault::Faults;
use components::id::{StreamId, ViewerId};
use components::sample::EngineTime;
use components::supervision::{Intensity, Off, SystemHealth};

use crate::bio::live;
use crate::sense::gather;
use crate::world::{Now, Outgoing};
use crate::{conduct, intake, mend, reap, route};

/// What is promised about one system.
pub struct Duty {
    /// Its name in [`install`](crate::install).
    pub system: &'static str,
    pub intensity: Intensity,
    pub beyond: Beyond,
    /// Who works with what it leaves behind. They go on with what it last left.
    pub used_by: &'static [&'static str],
    /// Mends what a panic may have left half done.
    restart: fn(&mut World),
}

/// What happens when a system has panicked too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The engine ends: this is what would be pretended otherwise.
    End(&'static str),
    /// The world goes on without it, and this is missing.
    Without(&'static str),
}

/// Every system there is, in the order of [`install`](crate::install).
pub const TABLE: &[Duty] = &[
    Duty {
        system: "apply_commands",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("nobody could come or go"),
        used_by: &[
            "fill_rings",
            "judge_load",
            "pace_viewers",
            "grant_viewers",
            "gather_claims",
            "rest_cursors",
            "reap",
        ],
        restart: intake::commands::restart,
    },
    Duty {
        system: "fill_rings",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("no sample would arrive"),
        used_by: &["notice_novelty", "trim_rings", "choose_slices", "cut_slices"],
        restart: intake::fill::restart,
    },
    Duty {
        system: "notice_novelty",
        intensity: Intensity::BIO,
        beyond: Beyond::Without("nothing is noticed for being unlike its past"),
        used_by: &["choose_slices"],
        restart: live::restart_novelty,
    },
    Duty {
        system: "keep_watch",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("groups are neither begun nor ended, and follow nobody who comes"),
        used_by: &["read_groups", "derive_levels"],
        restart: gather::restart,
    },
    Duty {
        system: "read_groups",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("no group is read"),
        used_by: &[],
        restart: gather::restart,
    },
    Duty {
        system: "advise",
        intensity: Intensity::BIO,
        beyond: Beyond::Without(
            "the load is judged without regard to outcome and hour, and nobody is foretold",
        ),
        used_by: &["judge_load", "derive_levels"],
        restart: live::restart_advice,
    },
    Duty {
        system: "judge_load",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("the load stays as it was judged last"),
        used_by: &["pace_viewers", "divide_budget"],
        // A measurement that was half judged is followed by the next.
        restart: |_| {},
    },
    Duty {
        system: "pace_viewers",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("no viewer is served less for its line or its browser"),
        used_by: &["grant_viewers"],
        restart: conduct::pace::restart,
    },
    Duty {
        system: "divide_budget",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("nothing is held back, and the load is not followed"),
        used_by: &["fill_rings", "grant_viewers", "derive_levels", "trim_rings", "choose_slices"],
        restart: conduct::divide::restart,
    },
    Duty {
        system: "grant_viewers",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("no viewer would be served as it asks"),
        used_by: &["gather_claims", "rest_cursors", "choose_slices"],
        restart: mend::mend,
    },
    Duty {
        system: "gather_claims",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("no viewer would get what it asks for"),
        used_by: &["learn_looks", "rest_cursors", "derive_levels", "choose_slices"],
        restart: mend::mend,
    },
    Duty {
        system: "learn_looks",
        intensity: Intensity::BIO,
        beyond: Beyond::Without("nothing is learnt of who looks when"),
        used_by: &["advise"],
        restart: live::restart_looks,
    },
    Duty {
        system: "rest_cursors",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("viewers would get what they no longer ask for"),
        used_by: &["choose_slices"],
        restart: mend::mend,
    },
    Duty {
        system: "derive_levels",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("levels stay as they are, devices keep their pace"),
        used_by: &[],
        restart: mend::mend,
    },
    Duty {
        system: "trim_rings",
        intensity: Intensity::OTHER,
        beyond: Beyond::Without("rings become shorter with their next sample only"),
        used_by: &["fill_rings"],
        restart: mend::mend,
    },
    Duty {
        system: "choose_slices",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("no viewer would get anything"),
        used_by: &["cut_slices"],
        restart: route::choose::restart,
    },
    Duty {
        system: "cut_slices",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("no viewer would get anything"),
        used_by: &[],
        restart: route::cut::restart,
    },
    Duty {
        system: "reap",
        intensity: Intensity::OTHER,
        beyond: Beyond::End("nothing that left would ever be gone"),
        used_by: &[],
        restart: reap::restart,
    },
];

/// Failpoints within systems, besides the one at the head of each. With their keys: the number of
/// the command in its tick, the stream, the slot of the viewer or feed.
const POINTS_WITHIN: [&str; 6] = [
    "apply_commands.command",
    "fill_rings.sample",
    "choose_slices.viewer",
    "cut_slices.viewer",
    "reap.feed",
    "reap.viewer",
];

/// Every failpoint there is below the engine's door.
pub fn fault_points() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|duty| duty.system).chain(POINTS_WITHIN)
}

/// How long a system is left out that has panicked too often. When it is back, one panic within its
/// intensity's time is once too often, and it is left out for twice as long; after that time
/// without one, its past is forgotten.
pub const PAUSE_MS_MIN: u64 = 10_000;
pub const PAUSE_MS_MAX: u64 = 600_000;

/// A panic's message is kept up to this many bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// How every system is faring.
#[derive(Resource, Default)]
pub struct Supervision {
    wards: Vec<Ward>,
    off_count: usize,
    broken: Option<String>,
}

/// One system under supervision.
struct Ward {
    duty: &'static Duty,
    health: SystemHealth,
    /// When it panicked, as far back as its intensity looks; at most one more than it allows.
    recent: VecDeque<EngineTime>,
    /// How long it was left out last; 0: never, or long forgotten.
    pause_ms: u64,
    /// It is back since then, on probation.
    back_since: Option<EngineTime>,
}

enum Verdict {
    Restarted,
    Off(Off),
    Broken,
}

impl Supervision {
    /// Whoever supervises these systems. Each must have its line in [`TABLE`].
    pub(crate) fn of(systems: &[&'static str]) -> Self {
        let duty = |system: &&'static str| {
            let line = TABLE.iter().find(|duty| duty.system == *system);
            line.unwrap_or_else(|| panic!("{system} needs its line in supervise::TABLE"))
        };
        let wards = systems.iter().map(|system| Ward::new(duty(system))).collect();
        Self { wards, off_count: 0, broken: None }
    }

    /// Whether this system is to run. Nothing is, once the world is broken.
    pub(crate) fn may_run(&self, index: usize) -> bool {
        self.broken.is_none() && self.wards[index].health.off.is_none()
    }

    /// Whether the system of this name is not switched off.
    pub fn is_on(&self, system: &str) -> bool {
        !self.wards.iter().any(|ward| ward.duty.system == system && ward.health.off.is_some())
    }

    /// Why the engine cannot go on, if it cannot.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub fn health(&self) -> impl Iterator<Item = &SystemHealth> {
        self.wards.iter().map(|ward| &ward.health)
    }

    fn ran(&mut self, index: usize) {
        let health = &mut self.wards[index].health;
        match health.off {
            None => health.runs += 1,
            Some(_) => health.skips += 1,
        }
    }

    fn panicked(&mut self, index: usize, now: EngineTime, message: &Arc<str>) -> Verdict {
        let ward = &mut self.wards[index];
        if !ward.is_too_often(now, message) {
            return Verdict::Restarted;
        }
        match ward.duty.beyond {
            Beyond::End(otherwise) => {
                let (system, times) = (ward.duty.system, ward.recent.len());
                let within = ward.duty.intensity.within_ms / 1000;
                self.broken = Some(format!(
                    "{system} has panicked {times} times in {within} s; without it {otherwise}. \
                     The last time it said: {message}"
                ));
                Verdict::Broken
            }
            Beyond::Without(_) => {
                let off = ward.leave_out(now);
                self.off_count += 1;
                Verdict::Off(off)
            }
        }
    }
}

impl Ward {
    fn new(duty: &'static Duty) -> Self {
        let (Beyond::End(lost) | Beyond::Without(lost)) = duty.beyond;
        let health = SystemHealth {
            system: duty.system,
            runs: 0,
            skips: 0,
            panics: 0,
            message: None,
            off: None,
            lost,
        };
        Self { duty, health, recent: VecDeque::new(), pause_ms: 0, back_since: None }
    }

    /// Takes note of a panic; whether it was one too many.
    fn is_too_often(&mut self, now: EngineTime, message: &Arc<str>) -> bool {
        let Intensity { panics, within_ms } = self.duty.intensity;
        self.health.panics += 1;
        self.health.message = Some(Arc::clone(message));
        while self.recent.front().is_some_and(|&then| then.plus_millis(within_ms) < now) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if let Some(back) = self.back_since.take() {
            if now <= back.plus_millis(within_ms) {
                return true;
            }
            self.pause_ms = 0;
        }
        self.recent.len() > panics
    }

    fn leave_out(&mut self, now: EngineTime) -> Off {
        self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MS_MIN, PAUSE_MS_MAX);
        self.recent.clear();
        let off = Off { since: now, until: now.plus_millis(self.pause_ms) };
        self.health.off = Some(off);
        off
    }
}

/// Before a tick: systems whose pause is over are tried again.
pub fn wake(world: &mut World) {
    let now = world.resource::<Now>().time;
    let mut supervision = world.resource_mut::<Supervision>();
    if supervision.off_count == 0 {
        return;
    }
    let mut back = Vec::new();
    for ward in &mut supervision.wards {
        if ward.health.off.is_some_and(|off| off.until <= now) {
            ward.health.off = None;
            ward.back_since = Some(now);
            back.push(Notice::SystemOn { system: ward.duty.system });
        }
    }
    supervision.off_count -= back.len();
    world.resource_mut::<Outgoing>().0.notices.extend(back);
}

thread_local! {
    /// What the system that runs on this thread's executor has said as it panicked. The executor
    /// calls [`caught`] on its own thread, wherever the panic was.
    static LAST_WORDS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The executor's word that a system has panicked.
pub(crate) fn caught(mut error: BevyError, _: ErrorContext) {
    let words = match error.take_payload() {
        Some(payload) => words_of(&*payload),
        None => error.to_string(),
    };
    LAST_WORDS.with_borrow_mut(|last| {
        last.get_or_insert(words);
    });
}

fn words_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let mut words = text
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned();
    words.truncate(words.floor_char_boundary(MESSAGE_BYTES_MAX));
    words
}

/// Before each system. Whether it is to run; and its failpoint, so that an injected panic finds
/// everything as the system would have found it.
pub(crate) fn before(
    index: usize,
    system: &'static str,
) -> impl Fn(Res<'_, Supervision>, Res<'_, Faults>) -> bool {
    move |supervision, faults| {
        let may_run = supervision.may_run(index);
        if may_run {
            faults.strike(system, 0);
        }
        may_run
    }
}

/// After each system: restarts it if it has panicked.
pub(crate) fn after(world: &mut World, index: usize) {
    let words = LAST_WORDS.take();
    world.resource_mut::<Supervision>().ran(index);
    let Some(words) = words else { return };
    let message: Arc<str> = words.into();
    let now = world.resource::<Now>().time;
    let mut supervision = world.resource_mut::<Supervision>();
    let duty = supervision.wards[index].duty;
    let system = duty.system;
    let verdict = supervision.panicked(index, now, &message);
    let notices = &mut world.resource_mut::<Outgoing>().0.notices;
    notices.push(Notice::SystemRestarted { system, message });
    match verdict {
        Verdict::Broken => return,
        Verdict::Off(off) => notices.push(Notice::SystemOff { system, until: off.until }),
        Verdict::Restarted => {}
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (duty.restart)(world))) {
        let words = words_of(&*payload);
        let broken = format!("what {system} left when it panicked cannot be mended: {words}");
        world.resource_mut::<Supervision>().broken = Some(broken);
    }
}

/// Does what consists of parts, and loses only those over which something panics.
#[derive(Default)]
pub(crate) struct Salvage {
    first: Option<Box<dyn Any + Send>>,
}

impl Salvage {
    /// `None` when it panicked: whoever asked says what became of the part.
    pub(crate) fn attempt<R>(&mut self, work: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Some(done),
            Err(payload) => {
                self.first.get_or_insert(payload);
                None
            }
        }
    }

    pub(crate) fn join(&mut self, part: Self) {
        if let Some(payload) = part.first {
            self.first.get_or_insert(payload);
        }
    }

    /// When all the rest is done: panics on with what was caught first, to be supervised.
    pub(crate) fn raise(self) {
        if let Some(payload) = self.first {
            resume_unwind(payload);
        }
    }
}

/// Over whom something panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Culprit {
    Stream(StreamId),
    Viewer(ViewerId),
}

/// Over whom something has panicked lately. The second time is no accident.
#[derive(Resource, Debug, Default)]
pub struct Suspects {
    seen: VecDeque<(Culprit, EngineTime)>,
    /// To be let go by [`mend`](crate::mend).
    pub(crate) condemned: Vec<Culprit>,
}

/// The oldest is forgotten for one more.
const SUSPECT_COUNT_MAX: usize = 256;

/// A second panic within this time condemns.
const SUSPICION_MS: u64 = 10_000;

impl Suspects {
    pub(crate) fn accuse(&mut self, culprit: Culprit, now: EngineTime) {
        while self.seen.front().is_some_and(|(_, then)| then.plus_millis(SUSPICION_MS) < now) {
            self.seen.pop_front();
        }
        if self.seen.iter().any(|(seen, _)| *seen == culprit) {
            self.seen.retain(|(seen, _)| *seen != culprit);
            self.condemned.push(culprit);
            return;
        }
        if self.seen.len() == SUSPECT_COUNT_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((culprit, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> EngineTime {
        EngineTime::from_millis(ms)
    }

    fn ward(beyond: Beyond) -> Supervision {
        let duty: &'static Duty = Box::leak(Box::new(Duty {
            system: "s",
            intensity: Intensity { panics: 2, within_ms: 1000 },
            beyond,
            used_by: &[],
            restart: |_| {},
        }));
        Supervision { wards: vec![Ward::new(duty)], off_count: 0, broken: None }
    }

    fn panics(supervision: &mut Supervision, at_ms: u64) -> Option<u64> {
        match supervision.panicked(0, ms(at_ms), &"no".into()) {
            Verdict::Restarted => None,
            Verdict::Off(off) => Some((off.until.0 - off.since.0) / 1000),
            Verdict::Broken => Some(0),
        }
    }

    /// As [`wake`] does it.
    fn back(supervision: &mut Supervision, at_ms: u64) {
        supervision.wards[0].health.off = None;
        supervision.wards[0].back_since = Some(ms(at_ms));
    }

    #[test]
    fn a_system_is_left_out_when_it_panics_more_often_than_it_may_in_the_time_it_may() {
        let mut s = ward(Beyond::Without("x"));
        assert_eq!(panics(&mut s, 0), None);
        assert_eq!(panics(&mut s, 500), None);
        assert_eq!(panics(&mut s, 1001), None, "the first is more than a second ago");
        assert_eq!(panics(&mut s, 1500), Some(PAUSE_MS_MIN), "500 counts to the full");
        assert!(!s.may_run(0));
    }

    #[test]
    fn it_is_left_out_for_twice_as_long_each_time_it_comes_back_no_better() {
        let mut s = ward(Beyond::Without("x"));
        for _ in 0..2 {
            panics(&mut s, 0);
        }
        assert_eq!(panics(&mut s, 0), Some(10_000));
        for (at, pause) in [(20_000, 20_000), (50_000, 40_000), (100_000, 80_000)] {
            back(&mut s, at);
            assert_eq!(panics(&mut s, at + 1000), Some(pause), "one is too many on probation");
        }
        back(&mut s, 200_000);
        assert_eq!(panics(&mut s, 201_001), None, "it has been well for its time");
        assert_eq!(panics(&mut s, 201_002), None);
        assert_eq!(panics(&mut s, 201_003), Some(PAUSE_MS_MIN));
        for n in 1..20 {
            back(&mut s, n * 1_000_000);
            panics(&mut s, n * 1_000_000);
        }
        back(&mut s, 30_000_000);
        assert_eq!(panics(&mut s, 30_000_000), Some(PAUSE_MS_MAX));
    }

    #[test]
    fn without_the_spine_nothing_runs_and_the_reason_says_what_would_be_missing() {
        let mut s = ward(Beyond::End("nothing would arrive"));
        panics(&mut s, 0);
        panics(&mut s, 1);
        assert_eq!(s.broken(), None);
        assert_eq!(panics(&mut s, 2), Some(0));
        let said = s.broken().unwrap();
        assert!(said.starts_with("s has panicked 3 times in 1 s; without it nothing would arrive"));
        assert!(said.ends_with("it said: no"), "{said}");
        assert!(!s.may_run(0));
    }

    #[test]
    fn a_suspect_is_condemned_the_second_time_unless_it_was_good_for_long() {
        let mut suspects = Suspects::default();
        let culprit = |n| Culprit::Stream(StreamId(n));
        suspects.accuse(culprit(1), ms(0));
        suspects.accuse(culprit(2), ms(10_000));
        assert_eq!(suspects.condemned, []);
        suspects.accuse(culprit(1), ms(10_001));
        assert_eq!(suspects.condemned, [], "it was long ago");
        suspects.accuse(culprit(2), ms(10_001));
        assert_eq!(suspects.condemned, [culprit(2)]);
        for n in 0..1000 {
            suspects.accuse(culprit(1000 + n), ms(10_002));
        }
        assert_eq!(suspects.seen.len(), SUSPECT_COUNT_MAX);
    }

    #[test]
    fn long_last_words_are_cut_between_letters() {
        let words = "ä".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(words_of(&words), "ä".repeat(MESSAGE_BYTES_MAX / 2));
        assert_eq!(words_of(&7), "no message");
    }
}

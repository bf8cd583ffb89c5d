//! Judges the pressures: how hard-pressed the machine is, as one word.
//!
//! The level follows the worse of the seed's weighted mean and the hardest-pressed resource: one
//! that is exhausted is never "normal" (`reference/core.md` W11). Bands and dwells keep it from
//! flapping (W12): it rises at once to where two measurements in a row put it, and falls one step
//! at a time.

use bevy_ecs::prelude::*;
use components::delivery::Notice;
use components::load::{Load, LoadLevel};
use components::pressure::{Pressures, Resource};
use components::sample::EngineTime;

use crate::world::{Now, Outgoing};

/// One level's band: entered at `enter`, left below `exit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    pub level: LoadLevel,
    pub enter: f64,
    pub exit: f64,
}

/// For the hardest-pressed resource, as fractions of its limit.
pub const WORST_BANDS: [Band; 3] = [
    Band { level: LoadLevel::Elevated, enter: 0.70, exit: 0.60 },
    Band { level: LoadLevel::High, enter: 0.85, exit: 0.75 },
    Band { level: LoadLevel::Critical, enter: 0.95, exit: 0.85 },
];

/// For the weighted mean (`reference/core.md` 8.2).
pub const MEAN_BANDS: [Band; 3] = [
    Band { level: LoadLevel::Elevated, enter: 0.50, exit: 0.42 },
    Band { level: LoadLevel::High, enter: 0.70, exit: 0.62 },
    Band { level: LoadLevel::Critical, enter: 0.85, exit: 0.77 },
];

/// Memory protection begins here (the seed's 70 %), and ends below the other.
pub const PROTECTION_ENTER: f64 = 0.70;
pub const PROTECTION_EXIT: f64 = 0.65;

/// Measurements in a row that must ask for more before the level rises.
const RISE_COUNT: u32 = 2;

/// How long a level is held before it falls by one: at most two changes in ten seconds.
pub const FALL_MS: u64 = 5_000;

/// A machine that is busy with other things is elevated, no more: whether that hurts us shows in
/// ticks, queues and sockets, and devices that nobody watches are not paused for somebody's browser.
const OTHERS_MAX: f64 = 0.84;

/// How far the advice of others may move the bands, either way.
pub const OFFSET_MAX: f64 = 0.10;

/// What was measured last, or made up. Written by `intake::apply_commands`, judged in the same
/// tick.
#[derive(Resource, Debug, Default)]
pub struct Pressed {
    pub pressures: Option<Pressures>,
    pub made_up: Option<Load>,
}

/// The judgement in force, and what it takes to change it. Written by [`judge_load`] alone.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Default)]
pub struct Judgement {
    pub load: Load,
    /// Since when.
    pub since: EngineTime,
    /// What was judged; the default before anything was measured.
    pub pressures: Pressures,
    pub measured_at: Option<EngineTime>,
    /// What is pressed hardest, while that is why the level is not normal.
    pub by: Option<Resource>,
    /// Measurements in a row that asked for a higher level.
    pub(crate) rising: u32,
    /// Since when a lower level would do.
    pub(crate) calm_since: Option<EngineTime>,
}

/// What homeostasis and the hour say of the bands: added to each, so their order is kept. Below
/// zero the levels come earlier.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Default)]
pub struct Advice {
    pub offset: f64,
}

impl Advice {
    /// The offset, within its authority.
    pub fn bounded(self) -> f64 {
        if self.offset.is_finite() { self.offset.clamp(-OFFSET_MAX, OFFSET_MAX) } else { 0.0 }
    }
}

pub fn judge_load(
    now: Res<Now>,
    mut pressed: ResMut<Pressed>,
    advice: Res<Advice>,
    mut judgement: ResMut<Judgement>,
    mut out: ResMut<Outgoing>,
) {
    let before = judgement.load;
    if let Some(load) = pressed.made_up.take() {
        let Judgement { pressures, measured_at, .. } = *judgement;
        *judgement =
            Judgement { load, since: now.time, pressures, measured_at, ..Judgement::default() };
    }
    if let Some(pressures) = pressed.pressures.take() {
        judgement.judge(now.time, pressures, advice.bounded());
    }
    if judgement.load != before {
        let (load, by) = (judgement.load, judgement.by);
        out.0.notices.push(Notice::LoadChanged { load, by });
    }
}

impl Judgement {
    /// One measurement more.
    pub fn judge(&mut self, now: EngineTime, pressures: Pressures, offset: f64) {
        self.pressures = pressures;
        self.measured_at = Some(now);
        let protected = self.load.memory_protection;
        let memory = pressures.of(Resource::Memory);
        let threshold = if protected { PROTECTION_EXIT } else { PROTECTION_ENTER };
        self.load.memory_protection = memory >= threshold;

        let (worst, used) = worst(&pressures);
        let mean = pressures.weighted();
        let level = self.load.level;
        let entered = entered(&WORST_BANDS, used, offset).max(entered(&MEAN_BANDS, mean, offset));
        let held = held(&WORST_BANDS, used, offset).max(held(&MEAN_BANDS, mean, offset));
        if entered > level {
            self.rising += 1;
            self.calm_since = None;
            if self.rising >= RISE_COUNT {
                self.load.level = entered;
                self.since = now;
                self.rising = 0;
            }
        } else {
            self.rising = 0;
            if held < level {
                let since = *self.calm_since.get_or_insert(now);
                if now >= since.plus_millis(FALL_MS) {
                    self.load.level = below(level);
                    self.since = now;
                    // The next step down has a wait of its own.
                    self.calm_since = Some(now);
                }
            } else {
                self.calm_since = None;
            }
        }
        self.by = (self.load.level > LoadLevel::Normal).then_some(worst);
    }
}

/// The resource that is pressed hardest, and how hard, as far as it says something of us.
fn worst(pressures: &Pressures) -> (Resource, f64) {
    let others = pressures.of(Resource::CpuSystem).min(OTHERS_MAX) as f32;
    pressures.with(Resource::CpuSystem, others).worst()
}

/// The highest level that `used` enters.
fn entered(bands: &[Band], used: f64, offset: f64) -> LoadLevel {
    highest(bands, |band| used >= band.enter + offset)
}

/// The highest level that `used` would not leave.
fn held(bands: &[Band], used: f64, offset: f64) -> LoadLevel {
    highest(bands, |band| used >= band.exit + offset)
}

fn highest(bands: &[Band], holds: impl Fn(&Band) -> bool) -> LoadLevel {
    bands.iter().filter(|band| holds(band)).map(|band| band.level).max().unwrap_or_default()
}

fn below(level: LoadLevel) -> LoadLevel {
    match level {
        LoadLevel::Critical => LoadLevel::High,
        LoadLevel::High => LoadLevel::Elevated,
        LoadLevel::Elevated | LoadLevel::Normal => LoadLevel::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: u64 = 250;

    /// Judges `pressures` four times a second for `ms`; the levels, each time one changed.
    fn run(
        judgement: &mut Judgement,
        at_ms: &mut u64,
        ms: u64,
        pressures: impl Fn(u64) -> Pressures,
    ) -> Vec<(u64, LoadLevel)> {
        let mut changes = Vec::new();
        let end = *at_ms + ms;
        while *at_ms < end {
            *at_ms += STEP_MS;
            let before = judgement.load.level;
            judgement.judge(EngineTime::from_millis(*at_ms), pressures(*at_ms), 0.0);
            if judgement.load.level != before {
                changes.push((*at_ms, judgement.load.level));
            }
        }
        changes
    }

    fn pressed(resource: Resource, used: f32) -> Pressures {
        Pressures::default().with(resource, used)
    }

    #[test]
    fn one_exhausted_resource_is_never_normal() {
        for resource in Resource::ALL {
            let mut judgement = Judgement::default();
            run(&mut judgement, &mut 0, 1_000, |_| pressed(resource, 1.0));
            let level = match resource {
                Resource::CpuSystem => LoadLevel::Elevated,
                _ => LoadLevel::Critical,
            };
            assert_eq!((judgement.load.level, judgement.by), (level, Some(resource)));
        }
    }

    #[test]
    fn everything_half_used_is_elevated_by_the_mean() {
        let half = Resource::ALL.into_iter().fold(Pressures::default(), |p, r| p.with(r, 0.55));
        let mut judgement = Judgement::default();
        run(&mut judgement, &mut 0, 1_000, |_| half);
        assert_eq!(judgement.load.level, LoadLevel::Elevated);
    }

    #[test]
    fn a_step_up_and_down_takes_four_changes_and_fifteen_seconds() {
        let mut judgement = Judgement::default();
        let mut at = 0;
        let up = run(&mut judgement, &mut at, 20_000, |_| pressed(Resource::Tick, 1.2));
        assert_eq!(up, [(500, LoadLevel::Critical)], "at once, and once");
        let down = run(&mut judgement, &mut at, 60_000, |_| pressed(Resource::Tick, 0.1));
        assert_eq!(
            down,
            [(25_250, LoadLevel::High), (30_250, LoadLevel::Elevated), (35_250, LoadLevel::Normal)]
        );
    }

    #[test]
    fn a_value_at_the_threshold_does_not_flap() {
        let mut judgement = Judgement::default();
        let wobble = |at: u64| {
            pressed(Resource::Cpu, if (at / STEP_MS).is_multiple_of(2) { 0.72 } else { 0.66 })
        };
        let changes = run(&mut judgement, &mut 0, 600_000, wobble);
        assert!(changes.len() <= 1, "{changes:?}");
    }

    #[test]
    fn one_peak_is_not_a_load() {
        let mut judgement = Judgement::default();
        let peak = |at: u64| pressed(Resource::Cpu, if at == 1_000 { 1.0 } else { 0.3 });
        assert_eq!(run(&mut judgement, &mut 0, 10_000, peak), []);
    }

    #[test]
    fn memory_is_protected_from_seventy_percent_until_well_below() {
        let mut judgement = Judgement::default();
        let mut protects = |used: f32| {
            judgement.judge(EngineTime(0), pressed(Resource::Memory, used), 0.0);
            judgement.load.memory_protection
        };
        assert!(!protects(0.69) && protects(0.701));
        assert!(protects(0.66), "it does not flap");
        assert!(!protects(0.64) && !protects(0.69));
    }

    #[test]
    fn advice_moves_all_bands_together_and_no_further_than_it_may() {
        for offset in [-5.0, -0.1, -0.03, 0.0, 0.07, 9.0, f64::NAN] {
            let offset = Advice { offset }.bounded();
            assert!(offset.abs() <= OFFSET_MAX);
            let at = |used: f64| entered(&WORST_BANDS, used, offset);
            let levels: Vec<LoadLevel> = (0..130).map(|n| at(f64::from(n) / 100.0)).collect();
            assert!(levels.is_sorted());
            for level in LoadLevel::ALL {
                assert!(levels.contains(&level), "{level:?} can be reached at {offset}");
            }
        }
    }

    #[test]
    fn the_level_is_monotone_in_every_pressure() {
        let levels = |resource, others: f32| -> Vec<LoadLevel> {
            (0..=12)
                .map(|n| {
                    let all = Resource::ALL
                        .into_iter()
                        .fold(Pressures::default(), |p, r| p.with(r, others))
                        .with(resource, n as f32 / 10.0);
                    let mut judgement = Judgement::default();
                    run(&mut judgement, &mut 0, 1_000, |_| all);
                    judgement.load.level
                })
                .collect()
        };
        for resource in Resource::ALL {
            for others in [0.0, 0.3, 0.5, 0.8] {
                assert!(levels(resource, others).is_sorted(), "{resource:?} {others}");
            }
        }
    }
}

//! How good a viewer's line and browser are: one controller per viewer, fed by what really waits
//! at its socket and by what its browser reports (`reference/core.md` 9.4, 10, W7).
//!
//! It steps down on evidence, one step at a time, and climbs back when nothing waits; a climb that
//! fails makes the next one more patient. There is one timer by construction: everything is judged
//! when a report comes or on one grid of engine time. A viewer whose socket is slow because all
//! are is not judged: that is the machine's trouble, and the [budget](super::divide)'s.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::id::ViewerId;
use components::pressure::SocketReport;
use components::sample::EngineTime;
use components::viewer::{Quality, Viewer};

use super::judge::Judgement;
use crate::supervise::Supervision;
use crate::world::{Now, ViewerIndex};

/// What has waited so long at a socket is late: eight flushes at high quality.
pub const SLOW_AGE_MS: u32 = 250;

/// Two steps at once.
pub const VERY_SLOW_AGE_MS: u32 = 1_000;

/// Nothing has been read for so long that nobody is there: it is paused, and claims nothing, until
/// it reads again. The door lets it go some seconds later.
pub const STALLED_AGE_MS: u32 = 3_000;

/// Below this nothing waits but what is being written.
const HEALTHY_AGE_MS: u32 = 100;

/// Slower than the fleet by less than this factor, it is not this viewer's line.
const FLEET_FACTOR: f64 = 3.0;

/// Pressure at sockets of 1 means that most messages wait this long
/// ([`Resource::Broadcast`](components::pressure::Resource::Broadcast)).
pub const FLEET_AGE_MS: f64 = 150.0;

/// Between two steps down: what was decided must have had its effect.
const DOWN_MS: u64 = 500;

/// Before a step up nothing may have waited for this long; doubled by a climb that failed.
const PATIENCE_MS_MIN: u64 = 2_000;
const PATIENCE_MS_MAX: u64 = 15_000;

/// A step down so soon after a step up means that the step up was wrong.
const REGRET_MS: u64 = 10_000;

/// Patience is forgotten after so long at the best.
const FORGIVE_MS: u64 = 60_000;

/// Reports of its browser that count.
const SCORE_COUNT: usize = 8;

/// Between two steps for the browser's sake.
const HEALTH_MS: u64 = 10_000;

/// Steps down below the first mean score, up from the second on (`reference/core.md` 10).
const HEALTH_BANDS: [(Quality, f64, Option<(Quality, f64)>); 4] = [
    (Quality::High, 12.0, None),
    (Quality::Medium, 6.0, Some((Quality::High, 25.0))),
    (Quality::Low, 2.0, Some((Quality::Medium, 12.0))),
    (Quality::Minimal, f64::NEG_INFINITY, Some((Quality::Low, 6.0))),
];

/// What is known of one viewer's line and browser. Written by [`pace_viewers`] alone.
#[derive(Component, Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The best its line bears.
    pub socket: Quality,
    /// The best its browser bears.
    pub health: Quality,
    /// It has stopped reading.
    pub stalled: bool,
    /// As last reported.
    pub age_ms: u32,
    pub bytes: u32,
    pub(crate) socket_since: EngineTime,
    pub(crate) climbed_at: Option<EngineTime>,
    pub(crate) healthy_since: Option<EngineTime>,
    pub(crate) patience_ms: u64,
    pub(crate) scores: [u8; SCORE_COUNT],
    pub(crate) score_count: u8,
    pub(crate) health_since: EngineTime,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            socket: Quality::High,
            health: Quality::High,
            stalled: false,
            age_ms: 0,
            bytes: 0,
            socket_since: EngineTime(0),
            climbed_at: None,
            healthy_since: None,
            patience_ms: PATIENCE_MS_MIN,
            scores: [0; SCORE_COUNT],
            score_count: 0,
            health_since: EngineTime(0),
        }
    }
}

/// What came in about viewers' lines and browsers. Written by `intake::apply_commands`.
#[derive(Resource, Debug, Default)]
pub struct Reports {
    pub sockets: Vec<SocketReport>,
    pub scores: Vec<(ViewerId, u8)>,
}

/// Climbs are looked for this often.
const CLIMB_GRID_MS: u64 = 250;

pub fn pace_viewers(
    now: Res<Now>,
    mut reports: ResMut<Reports>,
    judgement: Res<Judgement>,
    mut index: ResMut<ViewerIndex>,
    mut viewers: Query<(Entity, &Viewer, &mut Pace)>,
) {
    let reports = &mut *reports;
    let fleet_ms = judgement.pressures.of(components::pressure::Resource::Broadcast) * FLEET_AGE_MS;
    for report in reports.sockets.drain(..) {
        let Some(entity) = index.get(report.viewer) else { continue };
        let Ok((_, viewer, mut pace)) = viewers.get_mut(entity) else { continue };
        if pace.hear(now.time, report, fleet_ms, viewer.choice.ceiling()) {
            index.regrade(entity);
        }
    }
    for (viewer, score) in reports.scores.drain(..) {
        let Some(entity) = index.get(viewer) else { continue };
        let Ok((_, _, mut pace)) = viewers.get_mut(entity) else { continue };
        if pace.score(now.time, score) {
            index.regrade(entity);
        }
    }
    if now.passes(CLIMB_GRID_MS) {
        for (entity, _, mut pace) in &mut viewers {
            if pace.bypass_change_detection().climb(now.time) {
                index.regrade(entity);
            }
        }
    }
}

/// While nobody judges, nobody is held down by what was judged before.
pub(crate) fn restart(world: &mut World) {
    if world.resource::<Supervision>().is_on("pace_viewers") {
        return;
    }
    let mut state = SystemState::<(Query<(Entity, &mut Pace)>, ResMut<ViewerIndex>)>::new(world);
    let (mut viewers, mut index) = state.get_mut(world).expect("the world has its resources");
    for (entity, mut pace) in &mut viewers {
        *pace = Pace::default();
        index.regrade(entity);
    }
}

impl Pace {
    /// What waits at its socket; whether that changes what its line is held to bear. A step down
    /// is one from what it gets at best, `ceiling`.
    pub fn hear(
        &mut self,
        now: EngineTime,
        report: SocketReport,
        fleet_ms: f64,
        ceiling: Quality,
    ) -> bool {
        let before = (self.socket, self.stalled);
        (self.age_ms, self.bytes) = (report.age_ms, report.bytes);
        let own_trouble = f64::from(report.age_ms) > FLEET_FACTOR * fleet_ms;
        self.stalled = report.age_ms >= STALLED_AGE_MS && own_trouble
            || self.stalled && report.age_ms >= HEALTHY_AGE_MS;
        if report.age_ms >= SLOW_AGE_MS && own_trouble {
            self.healthy_since = None;
            let fresh = self.socket == Quality::High && self.climbed_at.is_none();
            if fresh || now >= self.socket_since.plus_millis(DOWN_MS) {
                self.step_down(now, ceiling, report.age_ms >= VERY_SLOW_AGE_MS);
            }
        } else if report.age_ms < HEALTHY_AGE_MS {
            self.healthy_since.get_or_insert(now);
        } else {
            self.healthy_since = None;
        }
        (self.socket, self.stalled) != before
    }

    fn step_down(&mut self, now: EngineTime, ceiling: Quality, twice: bool) {
        if self.socket == Quality::Minimal {
            return;
        }
        if self.climbed_at.take().is_some_and(|at| now < at.plus_millis(REGRET_MS)) {
            self.patience_ms = (self.patience_ms * 2).min(PATIENCE_MS_MAX);
        }
        self.socket = self.socket.min(ceiling).worse().max(Quality::Minimal);
        if twice {
            self.socket = self.socket.worse().max(Quality::Minimal);
        }
        self.socket_since = now;
    }

    /// A step up, if it is time; whether it was.
    pub fn climb(&mut self, now: EngineTime) -> bool {
        let Some(healthy_since) = self.healthy_since else { return false };
        if self.stalled {
            return false;
        }
        if self.socket == Quality::High {
            if now >= self.socket_since.plus_millis(FORGIVE_MS) {
                self.patience_ms = PATIENCE_MS_MIN;
            }
            return false;
        }
        let since = healthy_since.max(self.socket_since);
        if now < since.plus_millis(self.patience_ms) {
            return false;
        }
        self.socket = self.socket.better();
        self.socket_since = now;
        self.climbed_at = Some(now);
        true
    }

    /// What its browser says; whether that changes what it gets.
    pub fn score(&mut self, now: EngineTime, score: u8) -> bool {
        self.scores.rotate_right(1);
        self.scores[0] = score;
        self.score_count = (self.score_count + 1).min(SCORE_COUNT as u8);
        if self.health_since != EngineTime(0) && now < self.health_since.plus_millis(HEALTH_MS) {
            return false;
        }
        let mean = self.mean_score().unwrap_or(100.0);
        let Some((level, down, up)) = HEALTH_BANDS.iter().find(|band| band.0 == self.health) else {
            return false;
        };
        let next = match up {
            _ if mean < *down => level.worse(),
            Some((better, from)) if mean >= *from => *better,
            _ => return false,
        };
        self.health = next;
        self.health_since = now;
        true
    }

    /// Of the last eight reports; `None` when there was none.
    pub fn mean_score(&self) -> Option<f64> {
        let count = usize::from(self.score_count);
        let sum: u32 = self.scores[..count].iter().copied().map(u32::from).sum();
        (count > 0).then(|| f64::from(sum) / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use components::id::Handle;

    fn waits(age_ms: u32) -> SocketReport {
        SocketReport { viewer: ViewerId(Handle { slot: 0, generation: 0 }), age_ms, bytes: 1000 }
    }

    /// Four reports a second for `ms`; every change of the level.
    fn run(
        pace: &mut Pace,
        at_ms: &mut u64,
        ms: u64,
        age_ms: impl Fn(&Pace) -> u32,
    ) -> Vec<(u64, Quality)> {
        let mut changes = Vec::new();
        for _ in 0..ms / 250 {
            *at_ms += 250;
            let now = EngineTime::from_millis(*at_ms);
            let before = pace.socket;
            let age = age_ms(pace);
            pace.hear(now, waits(age), 0.0, Quality::High);
            pace.climb(now);
            if pace.socket != before {
                changes.push((*at_ms, pace.socket));
            }
        }
        changes
    }

    #[test]
    fn a_slow_line_steps_down_and_climbs_back() {
        let (mut pace, mut at) = (Pace::default(), 0);
        let down = run(&mut pace, &mut at, 3_000, |_| 400);
        let levels: Vec<Quality> = down.iter().map(|(_, level)| *level).collect();
        assert_eq!(levels, [Quality::Medium, Quality::Low, Quality::Minimal]);
        assert_eq!(down[0].0, 250, "the first step is taken on the first evidence");
        assert!(down.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 500));
        let up = run(&mut pace, &mut at, 10_000, |_| 0);
        let levels: Vec<Quality> = up.iter().map(|(_, level)| *level).collect();
        assert_eq!(levels, [Quality::Low, Quality::Medium, Quality::High]);
        assert!(up.last().unwrap().0 - 3_000 <= 8_000, "back within eight seconds: {up:?}");
    }

    #[test]
    fn a_slow_line_steps_down_from_what_its_view_has_use_for() {
        let mut pace = Pace::default();
        assert!(pace.hear(EngineTime::from_millis(250), waits(400), 0.0, Quality::Low));
        assert_eq!(pace.socket, Quality::Minimal, "high, medium and low are all the same to it");
    }

    /// A line that bears medium and not high: the original's upgrade and downgrade chased each
    /// other; here each failed climb makes the next rarer.
    #[test]
    fn a_line_that_bears_medium_settles_there() {
        let (mut pace, mut at) = (Pace::default(), 0);
        let changes =
            run(
                &mut pace,
                &mut at,
                300_000,
                |pace| {
                    if pace.socket == Quality::High { 400 } else { 0 }
                },
            );
        let late = changes.iter().filter(|(at, _)| *at > 200_000).count();
        assert!(late <= 16, "at most one climb in fifteen seconds: {late}");
        let high: u64 = changes
            .windows(2)
            .filter(|pair| pair[0].1 == Quality::High)
            .map(|pair| pair[1].0 - pair[0].0)
            .sum();
        assert!(high < 30_000, "it is seldom where it should not be: {high} ms");
    }

    #[test]
    fn whoever_reads_nothing_is_paused_until_it_reads() {
        let (mut pace, mut at) = (Pace::default(), 0);
        run(&mut pace, &mut at, 1_000, |_| 2_999);
        assert!(!pace.stalled);
        run(&mut pace, &mut at, 250, |_| 3_000);
        assert!(pace.stalled && pace.socket == Quality::Minimal);
        run(&mut pace, &mut at, 5_000, |_| 150);
        assert!(pace.stalled, "something still waits");
        run(&mut pace, &mut at, 250, |_| 0);
        assert!(!pace.stalled && pace.socket == Quality::Minimal, "it begins at the bottom");
    }

    #[test]
    fn nobody_is_blamed_for_what_all_suffer() {
        let mut pace = Pace::default();
        for n in 1..100 {
            pace.hear(EngineTime::from_millis(n * 250), waits(500), 300.0, Quality::High);
        }
        assert_eq!(pace, Pace { age_ms: 500, bytes: 1000, ..Pace::default() });
        pace.hear(EngineTime::from_millis(30_000), waits(950), 300.0, Quality::High);
        assert_eq!(pace.socket, Quality::Medium, "but one that is worse by far is");
    }

    #[test]
    fn a_browser_near_its_end_is_spared_step_by_step() {
        let mut pace = Pace::default();
        let mut levels = Vec::new();
        for n in 1..=60u64 {
            // Every two seconds, as the page does.
            if pace.score(EngineTime::from_millis(n * 2_000), 1) {
                levels.push((n * 2, pace.health));
            }
        }
        assert_eq!(
            levels,
            [(2, Quality::Medium), (12, Quality::Low), (22, Quality::Minimal)],
            "ten seconds between two steps"
        );
        for n in 61..=120u64 {
            pace.score(EngineTime::from_millis(n * 2_000), 90);
        }
        assert_eq!(pace.health, Quality::High);
    }
}

//! One budget, divided: samples a second to each viewer, frames a second from each kind of device,
//! samples a second from each class, and how much of the past may go out at once.
//!
//! A [`Valve`] turns pressure into an amount: cut in proportion as soon as the machine is behind,
//! opened again slowly, and open altogether when there is enough. What it lets through the
//! [`Arbiter`] divides: what somebody points at is never cut; of what is merely visible those who
//! ask for most give way first. What a viewer is allowed becomes a step of
//! [`Quality`]; steps up are taken by a few at a time, and only while the machine is at ease, so
//! that no step up is a load.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::attention::Level;
use components::budget::{Budget, Pacing};
use components::class::Class;
use components::load::Load;
use components::pressure::{Pressures, Resource as Pressed};
use components::sample::EngineTime;
use components::sensor::Attended;
use components::viewer::{Quality, Viewer};

use super::judge::Judgement;
use crate::bio::arbitration::{self, Arbiter, Demand};
use crate::supervise::Supervision;
use crate::world::{Books, Now, Settings, ViewerIndex};

/// Beyond this fraction of its limit something waits already: cut.
pub const CUT_AT: f64 = 0.9;

/// What a cut aims at.
pub const AIM: f64 = 0.75;

/// Below this there is room: open.
pub const OPEN_AT: f64 = 0.6;

/// A cut divides by at most this at once.
const CUT_MAX: f64 = 3.0;

/// Between two cuts: what was decided must have had its effect.
const CUT_MS: u64 = 500;

/// What opening multiplies by, in a second, where there is just room; where there is more of it,
/// sooner: up to so many times.
const OPENING_PER_SECOND: f64 = 2.5;
const HASTE_MAX: f64 = 2.0;

/// After a cut the valve rests; longer, up to the second, when the cut came soon after it had
/// opened.
const REST_MS_MIN: u64 = 1_000;
const REST_MS_MAX: u64 = 4_000;
const REGRET_MS: u64 = 5_000;

/// An open valve that lets through so many times what is asked for is no valve.
const SPARE: f64 = 1.25;

/// What is within this of the floor, which moves with what is asked for, is at it.
const FLOORED: f64 = 1.1;

/// Measurements that stop coming leave nothing cut for ever.
const STALE_MS: u64 = 5_000;

/// The steps that a viewer's share comes to: at least so much of what it asks for.
const STEPS: [(Quality, f64); 4] = [
    (Quality::High, 0.95),
    (Quality::Medium, 0.70),
    (Quality::Low, 0.45),
    (Quality::Minimal, 0.20),
];

/// A step up asks for so much more than the step needs.
const STEP_MARGIN: f64 = 0.05;

/// Those that could take a step up do so over this time.
const CLIMB_SPREAD_SECONDS: f64 = 2.0;

/// Between two steps up of one viewer.
const CLIMB_MS: u64 = 1_000;

/// The past comes in pieces this many times smaller while there is not enough for the present.
const SEED_DIVISOR: usize = 10;

/// A device's window never grows by more than this, whatever presses (`reference/core.md` W8).
pub const SLOWDOWN_MAX: u64 = 25;

/// Devices are told of a new window when it differs by so much, and no sooner.
const PACING_CHANGE: f64 = 0.2;
const PACING_MS: u64 = 2_000;

/// The decision in force. Written by [`divide_budget`] alone.
#[derive(Resource, Debug)]
pub struct CurrentBudget {
    pub budget: Budget,
    /// Devices must hear of it with the next
    /// [`derive_levels`](crate::attend::levels::derive_levels).
    pub changed: bool,
    pub(crate) delivery: Valve,
    pub(crate) intake: Valve,
    pub(crate) devices: Valve,
    /// When shares were last divided, and the totals then.
    pub(crate) measured_at: EngineTime,
    pub(crate) taken: [u64; Class::COUNT],
    pub(crate) shed: [u64; Class::COUNT],
    /// Samples a second of each class that came in, as measured.
    pub class_in_sps: [f64; Class::COUNT],
    /// With those that were kept out because the class had no share left.
    pub class_offered_sps: [f64; Class::COUNT],
    pub(crate) paced_at: EngineTime,
    /// Whose turn it is to climb first.
    pub(crate) turn: u32,
}

impl CurrentBudget {
    pub fn new(settings: &Settings) -> Self {
        Self {
            budget: Budget {
                load: Load::default(),
                pacing: pacing(Load::default()),
                delivery_sps: None,
                class_sps: [None; Class::COUNT],
                seed_sample_count_max: settings.seed_sample_count_max,
            },
            changed: false,
            delivery: Valve::default(),
            intake: Valve::default(),
            devices: Valve::default(),
            measured_at: EngineTime(0),
            taken: [0; Class::COUNT],
            shed: [0; Class::COUNT],
            class_in_sps: [0.0; Class::COUNT],
            class_offered_sps: [0.0; Class::COUNT],
            paced_at: EngineTime(0),
            turn: 0,
        }
    }
}

fn pacing(load: Load) -> [Pacing; Level::ALL.len()] {
    Level::ALL.map(|level| Pacing::of(level, load))
}

/// How much may pass; `None`: all of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Valve {
    pub limit: Option<f64>,
    pub(crate) cut_at: EngineTime,
    pub(crate) opened_at: Option<EngineTime>,
    pub(crate) rest_ms: u64,
}

/// What a valve is set by, in one unit.
#[derive(Debug, Clone, Copy)]
pub struct Flowing {
    /// What passed.
    pub measured: f64,
    /// What would pass.
    pub asked: f64,
    /// What must pass.
    pub floor: f64,
}

impl Valve {
    /// Sets the valve by what is measured, `seconds` after it was last set.
    pub fn steer(&mut self, now: EngineTime, pressure: f64, seconds: f64, flowing: Flowing) {
        let Flowing { measured, asked, floor } = flowing;
        if asked <= 0.0 {
            // There is nothing to hold back; whatever presses, it is not this.
            *self = Self::default();
            return;
        }
        if pressure > CUT_AT {
            if self.limit.is_some() && now < self.cut_at.plus_millis(CUT_MS) {
                return;
            }
            let passed = self.limit.map_or(measured, |limit| limit.min(measured.max(floor)));
            self.limit = Some((passed * AIM / pressure.min(CUT_MAX)).max(floor));
            let regretted = self.opened_at.take().is_some_and(|at| now < at.plus_millis(REGRET_MS));
            let rest = if regretted { self.rest_ms * 2 } else { REST_MS_MIN };
            self.rest_ms = rest.clamp(REST_MS_MIN, REST_MS_MAX);
            self.cut_at = now;
            return;
        }
        let Some(limit) = self.limit else { return };
        let mut limit = limit.max(floor);
        if pressure < OPEN_AT && now >= self.cut_at.plus_millis(self.rest_ms) {
            // What passes all the same does so without harm.
            let haste = (OPEN_AT / pressure.max(f64::MIN_POSITIVE)).min(HASTE_MAX);
            limit = limit.max(measured).max(1.0) * libm::pow(OPENING_PER_SECOND, seconds * haste);
            self.opened_at = Some(now);
        }
        self.limit = (limit < asked * SPARE).then_some(limit);
    }
}

/// One viewer's demands and what came of them, as totals. Written by `route::choose_slices`.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    pub strong: Passed,
    pub rest: Passed,
}

/// Samples, since the viewer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// That high quality would have brought.
    pub asked: u64,
    pub delivered: u64,
    /// Up to when: the last time it was this part's turn.
    pub at: EngineTime,
}

impl Flow {
    /// What is merely visible may have its turn once a second: rates are over whole turns.
    fn rates(&self, counted: &mut Self, share: (&mut Rates, &mut Rates)) {
        share.0.follow(self.strong, &mut counted.strong);
        share.1.follow(self.rest, &mut counted.rest);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    pub asked_sps: f64,
    pub delivered_sps: f64,
}

impl Rates {
    fn follow(&mut self, passed: Passed, counted: &mut Passed) {
        let micros = passed.at.0.saturating_sub(counted.at.0);
        if micros < RATE_MICROS_MIN {
            return;
        }
        let seconds = micros as f64 / 1e6;
        self.asked_sps = passed.asked.saturating_sub(counted.asked) as f64 / seconds;
        self.delivered_sps = passed.delivered.saturating_sub(counted.delivered) as f64 / seconds;
        *counted = passed;
    }
}

/// One viewer's part of the budget. Written by [`divide_budget`] alone.
#[derive(Component, Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The best that may be made of what is merely visible.
    pub rest: Quality,
    pub strong_rates: Rates,
    pub rest_rates: Rates,
    /// Of what is merely visible.
    pub rest_allowed_sps: f64,
    pub(crate) counted: Flow,
    pub(crate) stepped_at: EngineTime,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            rest: Quality::High,
            strong_rates: Rates::default(),
            rest_rates: Rates::default(),
            rest_allowed_sps: 0.0,
            counted: Flow::default(),
            stepped_at: EngineTime(0),
        }
    }
}

impl Share {
    /// Everything that is allowed: what is strong is always.
    pub fn allowed_sps(&self) -> f64 {
        self.strong_rates.asked_sps + self.rest_allowed_sps
    }
}

/// Rates are taken over at least so long.
const RATE_MICROS_MIN: u64 = 200_000;

/// Scratch, kept from time to time.
#[derive(Debug, Default)]
pub struct Desk {
    arbiter: Arbiter,
    who: Vec<Entity>,
    demands: Vec<Demand>,
    allotted: Vec<f64>,
    climbers: Vec<(Quality, u32, Entity, Quality)>,
}

pub fn divide_budget(
    now: Res<Now>,
    judgement: Res<Judgement>,
    settings: Res<Settings>,
    books: Res<Books>,
    mut index: ResMut<ViewerIndex>,
    mut current: ResMut<CurrentBudget>,
    mut viewers: Query<(Entity, &Viewer, &Flow, &mut Share)>,
    sensors: Query<&Attended>,
    mut desk: Local<Desk>,
) {
    let current = &mut *current;
    if current.budget.load != judgement.load {
        current.budget.load = judgement.load;
        current.set_pacing(pacing(judgement.load), now.time);
    }
    let measured = judgement.measured_at == Some(now.time);
    let since = now.time.0.saturating_sub(current.measured_at.0);
    if !measured {
        // Whoever looks at the figures sees what flows, though nobody measures.
        if now.passes(1_000) {
            measure(&mut viewers, &mut desk);
        }
        let stale = since > STALE_MS * 1000;
        if stale && current.is_cut() {
            // Whoever measured has gone: nobody is held down by a figure of the past.
            current.open(&settings);
            for (entity, _, _, mut share) in &mut viewers {
                share.rest = Quality::High;
                index.regrade(entity);
            }
        }
        return;
    }
    let seconds = (since as f64 / 1e6).clamp(0.001, 5.0);
    current.measured_at = now.time;
    let pressures = &judgement.pressures;
    let pressed = delivery_pressure(pressures);
    let strong_sps = measure(&mut viewers, &mut desk);
    // While the door keeps samples out, viewers ask for less than they would: nothing is opened on the
    // strength of that. The door opens first.
    let delivering = if current.intake.limit.is_some() { pressed.max(OPEN_AT) } else { pressed };
    let is_floored = current.divide_delivery(now.time, delivering, seconds, strong_sps, &mut desk);
    take_steps(now.time, delivering, seconds, current, &mut viewers, &mut index, &mut desk);
    current.budget.seed_sample_count_max = if current.budget.is_contended() || pressed > OPEN_AT {
        (settings.seed_sample_count_max / SEED_DIVISOR).max(1)
    } else {
        settings.seed_sample_count_max
    };
    let classes = class_pressure(pressures, is_floored);
    current.divide_classes(now.time, classes, seconds, &books, &mut desk);
    current.divide_devices(now.time, intake_pressure(pressures), seconds, &sensors, &mut desk);
}

/// While nobody divides, nobody is held to what was divided before.
pub(crate) fn restart(world: &mut World) {
    if world.resource::<Supervision>().is_on("divide_budget") {
        return;
    }
    let mut state = SystemState::<(
        Query<(Entity, &mut Share)>,
        ResMut<ViewerIndex>,
        ResMut<CurrentBudget>,
        Res<Settings>,
    )>::new(world);
    let (mut viewers, mut index, mut current, settings) =
        state.get_mut(world).expect("the world has its resources");
    current.open(&settings);
    for (entity, mut share) in &mut viewers {
        share.rest = Quality::High;
        index.regrade(entity);
    }
}

/// What delivering makes worse.
fn delivery_pressure(pressures: &Pressures) -> f64 {
    [Pressed::Tick, Pressed::Broadcast, Pressed::Queue, Pressed::Cpu]
        .into_iter()
        .map(|resource| pressures.of(resource))
        .fold(0.0, f64::max)
}

/// What taking in makes worse.
fn intake_pressure(pressures: &Pressures) -> f64 {
    [Pressed::Tick, Pressed::Queue, Pressed::Cpu]
        .into_iter()
        .map(|resource| pressures.of(resource))
        .fold(0.0, f64::max)
}

/// What keeping samples out at the door would make better. A processor that is behind is helped by
/// delivering less, and what is kept out is lost: samples are kept out for it only when delivering
/// has nothing more to give. Before, it keeps none out, but lets no more in.
fn class_pressure(pressures: &Pressures, delivery_is_floored: bool) -> f64 {
    let cpu = pressures.of(Pressed::Cpu);
    let cpu = if delivery_is_floored { cpu } else { cpu.min(CUT_AT) };
    pressures.of(Pressed::Queue).max(cpu)
}

/// What each viewer asked for and got since the last time, and its demand; the sum of what is
/// strong.
fn measure(viewers: &mut Query<(Entity, &Viewer, &Flow, &mut Share)>, desk: &mut Desk) -> f64 {
    desk.who.clear();
    desk.demands.clear();
    let mut strong_sps = 0.0;
    for (entity, viewer, flow, mut share) in viewers {
        let share = share.bypass_change_detection();
        flow.rates(&mut share.counted, (&mut share.strong_rates, &mut share.rest_rates));
        strong_sps += share.strong_rates.asked_sps;
        let level = Level::Medium.min(viewer.attention.battery.cap());
        let asked = share.rest_rates.asked_sps;
        desk.who.push(entity);
        desk.demands.push(Demand {
            weight: arbitration::weight(level, 0.0, 0.0),
            asked,
            floor: 0.0,
        });
    }
    strong_sps
}

/// Takes the steps that the shares come to: down at once, up by a few at a time.
fn take_steps(
    now: EngineTime,
    pressed: f64,
    seconds: f64,
    current: &mut CurrentBudget,
    viewers: &mut Query<(Entity, &Viewer, &Flow, &mut Share)>,
    index: &mut ViewerIndex,
    desk: &mut Desk,
) {
    desk.climbers.clear();
    for (n, &entity) in desk.who.iter().enumerate() {
        let Ok((_, viewer, _, mut share)) = viewers.get_mut(entity) else { continue };
        let share = share.bypass_change_detection();
        let (asked, allowed) = (desk.demands[n].asked, desk.allotted[n]);
        share.rest_allowed_sps = allowed;
        let ratio = if asked > 0.0 { allowed / asked } else { 1.0 };
        let lowered = step(ratio, 0.0);
        if lowered < share.rest {
            share.rest = lowered;
            share.stepped_at = now;
            index.regrade(entity);
            continue;
        }
        let raised = step(ratio, STEP_MARGIN);
        if raised > share.rest && now >= share.stepped_at.plus_millis(CLIMB_MS) {
            let turn = viewer.id.0.slot.wrapping_sub(current.turn);
            desk.climbers.push((share.rest, turn, entity, share.rest.better().min(raised)));
        }
    }
    if pressed >= OPEN_AT || desk.climbers.is_empty() {
        return;
    }
    desk.climbers.sort_unstable();
    let part = desk.who.len() as f64 * seconds / CLIMB_SPREAD_SECONDS;
    let count = (part as usize).max(1);
    for &(_, _, entity, quality) in desk.climbers.iter().take(count) {
        let Ok((_, viewer, _, mut share)) = viewers.get_mut(entity) else { continue };
        share.rest = quality;
        share.stepped_at = now;
        current.turn = viewer.id.0.slot.wrapping_add(1);
        index.regrade(entity);
    }
}

/// The step that so much of what is asked for comes to.
fn step(ratio: f64, margin: f64) -> Quality {
    STEPS
        .into_iter()
        .find(|(_, least)| ratio >= (least + margin).min(1.0))
        .map_or(Quality::Trickle, |(quality, _)| quality)
}

impl CurrentBudget {
    fn is_cut(&self) -> bool {
        [self.delivery, self.intake, self.devices].iter().any(|valve| valve.limit.is_some())
    }

    fn open(&mut self, settings: &Settings) {
        (self.delivery, self.intake, self.devices) = Default::default();
        self.budget.delivery_sps = None;
        self.budget.class_sps = [None; Class::COUNT];
        self.budget.seed_sample_count_max = settings.seed_sample_count_max;
        self.budget.pacing = pacing(self.budget.load);
        self.changed = true;
    }

    fn set_pacing(&mut self, pacing: [Pacing; Level::ALL.len()], now: EngineTime) {
        if self.budget.pacing != pacing {
            self.budget.pacing = pacing;
            self.paced_at = now;
            self.changed = true;
        }
    }

    /// Samples a second for each viewer's merely visible streams, into `desk.allotted`. Whether
    /// there is nothing more to cut.
    fn divide_delivery(
        &mut self,
        now: EngineTime,
        pressed: f64,
        seconds: f64,
        strong_sps: f64,
        desk: &mut Desk,
    ) -> bool {
        let rest_sps: f64 = desk.demands.iter().map(|demand| demand.asked).sum();
        let asked = strong_sps + rest_sps;
        let lowest = STEPS[STEPS.len() - 1].1;
        let limit = self.delivery.limit.filter(|_| self.intake.limit.is_some());
        let flowing = Flowing {
            measured: self.delivery.limit.map_or(asked, |limit| limit.min(asked)),
            asked: asked.max(limit.unwrap_or(0.0)),
            // Below the lowest step there is nothing more to cut.
            floor: strong_sps + 0.5 * lowest * rest_sps,
        };
        self.delivery.steer(now, pressed, seconds, flowing);
        self.budget.delivery_sps = self.delivery.limit;
        let budget = self.delivery.limit.map_or(f64::INFINITY, |limit| limit - strong_sps);
        desk.arbiter.allocate(&desk.demands, budget, &mut desk.allotted);
        self.delivery.limit.is_some_and(|limit| limit <= FLOORED * flowing.floor)
    }

    /// Samples a second that each class may bring in, when not all that come can be taken.
    fn divide_classes(
        &mut self,
        now: EngineTime,
        pressed: f64,
        seconds: f64,
        books: &Books,
        desk: &mut Desk,
    ) {
        for class in Class::ALL {
            let n = class as usize;
            let (taken, shed) = (books.by_class[n], books.shed[n]);
            let came = taken.saturating_sub(self.taken[n]);
            let offered = came + shed.saturating_sub(self.shed[n]);
            self.class_in_sps[n] = came as f64 / seconds;
            self.class_offered_sps[n] = offered as f64 / seconds;
            (self.taken[n], self.shed[n]) = (taken, shed);
        }
        let measured: f64 = self.class_in_sps.iter().sum();
        // What is kept out would come: the door opens as far as that by and by, not at once.
        let asked: f64 = self.class_offered_sps.iter().sum();
        self.intake.steer(now, pressed, seconds, Flowing { measured, asked, floor: 0.0 });
        let Some(limit) = self.intake.limit else {
            self.budget.class_sps = [None; Class::COUNT];
            return;
        };
        desk.demands.clear();
        desk.demands.extend(Class::ALL.map(|class| Demand {
            weight: class.weight(),
            asked: self.class_offered_sps[class as usize],
            floor: 0.0,
        }));
        desk.arbiter.allocate(&desk.demands, limit, &mut desk.allotted);
        for class in Class::ALL {
            let (asked, allotted) =
                (self.class_offered_sps[class as usize], desk.allotted[class as usize]);
            // Who gets what it offers is not held to it: the next second it may offer more.
            self.budget.class_sps[class as usize] = (allotted < asked).then_some(allotted);
        }
    }

    /// Frames a second of the devices at each level, hence their windows.
    fn divide_devices(
        &mut self,
        now: EngineTime,
        pressed: f64,
        seconds: f64,
        sensors: &Query<&Attended>,
        desk: &mut Desk,
    ) {
        if pressed <= CUT_AT && self.devices.limit.is_none() {
            return;
        }
        let mut counts = [0u32; Level::ALL.len()];
        for attended in sensors {
            counts[attended.0 as usize] += 1;
        }
        desk.demands.clear();
        desk.demands.extend(Level::ALL.map(|level| {
            let count = f64::from(counts[level as usize]);
            let slowest = slowest_window_ms(level);
            Demand {
                weight: arbitration::weight(level, 0.0, 0.0),
                asked: count * 1000.0 / level.base_window_ms() as f64,
                floor: count * 1000.0 / slowest as f64,
            }
        }));
        let asked: f64 = desk.demands.iter().map(|demand| demand.asked).sum();
        let floor: f64 = desk.demands.iter().map(|demand| demand.floor).sum();
        let measured = self.devices.limit.map_or(asked, |limit| limit.min(asked));
        self.devices.steer(now, pressed, seconds, Flowing { measured, asked, floor });
        let budget = self.devices.limit.unwrap_or(f64::INFINITY);
        desk.arbiter.allocate(&desk.demands, budget, &mut desk.allotted);
        let mut paced = pacing(self.budget.load);
        for level in Level::ALL {
            let n = level as usize;
            if counts[n] > 0 && desk.allotted[n] > 0.0 {
                let window = f64::from(counts[n]) * 1000.0 / desk.allotted[n];
                let window = (window.round() as u64).min(slowest_window_ms(level));
                // The longer of the two, not their product: neither cuts what the other has cut.
                paced[n].window_ms = paced[n].window_ms.max(window);
            }
        }
        let differs = paced.iter().zip(&self.budget.pacing).any(|(new, old)| {
            let (new, old) = (new.window_ms as f64, old.window_ms as f64);
            (new - old).abs() > PACING_CHANGE * old
        });
        if differs && now >= self.paced_at.plus_millis(PACING_MS) {
            self.set_pacing(paced, now);
        }
    }
}

fn slowest_window_ms(level: Level) -> u64 {
    let floor = Pacing::WINDOW_MS_MAX.into_iter().find(|(floored, _)| *floored == level);
    floor.map_or(level.base_window_ms() * SLOWDOWN_MAX, |(_, max)| max)
}

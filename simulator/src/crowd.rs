//! Made-up viewers: who arrives when, what they have on screen, hover, choose and pin, when they
//! hide the page, run low, fall behind, and leave. Pure timelines: a visitor's acts depend on its
//! crowd, the seed and its number alone, however the time is cut that it is asked about.
//!
//! What people do between two acts takes a time drawn from a range with many short and few long
//! ones, as dwell times on pages have been measured (Liu, White, Dumais: Understanding Web
//! Browsing Behaviors through Weibull Analysis of Dwell Time, SIGIR 2010: the longer somebody has
//! stayed, the less likely they are to go next). The ranges of [`CrowdSpec::default`] are chosen,
//! not measured; the times of [`SETTLES_MS`] and its neighbours are the page's own
//! (`web/src/lib/stream/attention.ts`).

use std::sync::Arc;

use components::attention::Battery;
use components::command::{Attention, Target};
use components::viewer::Quality;

use crate::chance::{hash, uniform};
pub use crate::cli::Form;

/// What is shown counts after so long, so that scrolling past claims nothing.
pub const SETTLES_MS: i64 = 300;
/// A hover is held so long after it ended.
pub const HOVER_HELD_MS: i64 = 2_000;
/// Changes of attention are gathered for so long into one message.
pub const GATHERS_MS: i64 = 100;

/// No act of one kind comes sooner after the last one, whatever a crowd's numbers say.
const LEAST_MS: i64 = 20;
/// Seconds that the pointer rests on something.
const RESTS_S: (f64, f64) = (0.2, 4.0);
/// Sensors pinned at once; pinning one more unpins the oldest.
const PIN_COUNT_MAX: usize = 3;
/// Sensors hovered at once, those held included.
const HOVER_COUNT_MAX: usize = 4;

/// What the viewers of a crowd have in common. All times are seconds, drawn anew each time
/// between the two; an infinite one never comes.
#[derive(Debug, Clone, PartialEq)]
pub struct CrowdSpec {
    pub name: String,
    pub count: usize,
    /// Whose sensors are watched; `None`: everybody's.
    pub room: Option<String>,
    /// Sensors on screen at once.
    pub watch: usize,
    pub quality: Quality,
    /// The form in which viewers on sockets are served.
    pub form: Form,
    /// After the start of the scenario.
    pub arrive_s: (f64, f64),
    pub stay_s: (f64, f64),
    /// After leaving, until they are there again.
    pub return_s: (f64, f64),
    /// Between scrolls.
    pub scroll_s: (f64, f64),
    /// Between hovers.
    pub hover_s: (f64, f64),
    /// Between choosing a sensor, and letting go of it.
    pub focus_s: (f64, f64),
    /// Between pinning a sensor, and another.
    pub pin_s: (f64, f64),
    /// Between having the page on screen, and hiding it.
    pub hide_s: (f64, f64),
    /// How long the page stays hidden.
    pub hidden_s: (f64, f64),
    /// Between choosing another quality, and going back.
    pub quality_s: (f64, f64),
    pub battery: BatteryHabit,
    pub network: Network,
}

/// How a crowd's machines are powered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatteryHabit {
    /// Of the visitors, those that run on a battery; at arrival it is anywhere from 5 to 100 %
    /// full.
    pub share: f64,
    /// Hours that a full one lasts.
    pub hours: (f64, f64),
}

/// How a crowd's connections are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Network {
    Fast,
    /// Nothing is read for `stall_s`, now and then: `every_s` of reading in between.
    Slow {
        stall_s: (f64, f64),
        every_s: (f64, f64),
    },
    /// Never reads.
    Dead,
}

/// Never, as a range of seconds.
pub const NEVER_S: (f64, f64) = (f64::INFINITY, f64::INFINITY);

impl Default for CrowdSpec {
    /// People who came to look: a screen of 20 tiles, there within half a minute, staying for
    /// minutes, now and then off in another tab.
    fn default() -> Self {
        Self {
            name: "visitors".into(),
            count: 1,
            room: None,
            watch: 20,
            quality: Quality::High,
            form: Form::Binary,
            arrive_s: (0.0, 30.0),
            stay_s: (60.0, 1800.0),
            return_s: (30.0, 600.0),
            scroll_s: (2.0, 60.0),
            hover_s: (1.0, 30.0),
            focus_s: (5.0, 120.0),
            pin_s: (60.0, 1200.0),
            hide_s: (30.0, 600.0),
            hidden_s: (2.0, 300.0),
            quality_s: NEVER_S,
            battery: BatteryHabit { share: 0.4, hours: (3.0, 9.0) },
            network: Network::Fast,
        }
    }
}

/// What a visitor does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Opens the page. `sensors` are on screen: indices into the ids the visitor was given.
    Arrive {
        sensors: Vec<usize>,
        quality: Quality,
    },
    Attend(Attention),
    SetQuality(Quality),
    /// Stops reading.
    Stall,
    /// Reads again.
    Flow,
    Leave,
}

/// What may happen next. Of two at the same moment, the one further up is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Habit {
    Come,
    Leave,
    Scroll,
    Settle,
    Hover,
    HoverOver,
    Focus,
    Pin,
    Hide,
    Battery,
    Quality,
    Stall,
    Say,
}

const HABITS: [Habit; 13] = [
    Habit::Come,
    Habit::Leave,
    Habit::Scroll,
    Habit::Settle,
    Habit::Hover,
    Habit::HoverOver,
    Habit::Focus,
    Habit::Pin,
    Habit::Hide,
    Habit::Battery,
    Habit::Quality,
    Habit::Stall,
    Habit::Say,
];

const NEVER: i64 = i64::MAX;

/// One made-up viewer. See the module.
#[derive(Debug, Clone)]
pub struct Visitor {
    spec: Arc<CrowdSpec>,
    sensor_ids: Arc<[Arc<str>]>,
    seed: u64,
    /// When each habit is due, ms since the start of the scenario.
    due: [i64; HABITS.len()],
    /// Numbers drawn so far, by habit, so that one habit's luck is not another's.
    drawn: [u32; HABITS.len()],
    /// The first of the sensors on screen, and the first of those that count as seen.
    shown: usize,
    seen: usize,
    /// With the time at which each is no longer held.
    hovers: Vec<(usize, i64)>,
    focused: Option<usize>,
    pinned: Vec<usize>,
    hidden: bool,
    battery: Battery,
    away_from_quality: bool,
    stalled: bool,
    said: Attention,
}

impl Visitor {
    /// The `n`-th visitor of a crowd. It watches some of `sensor_ids`, in their order: those of
    /// its room, or all of the cast's.
    pub fn new(spec: &Arc<CrowdSpec>, sensor_ids: &Arc<[Arc<str>]>, seed: u64, n: usize) -> Self {
        let mut visitor = Self {
            spec: Arc::clone(spec),
            sensor_ids: Arc::clone(sensor_ids),
            seed: hash(seed, n as u64),
            due: [NEVER; HABITS.len()],
            drawn: [0; HABITS.len()],
            shown: 0,
            seen: 0,
            hovers: Vec::new(),
            focused: None,
            pinned: Vec::new(),
            hidden: false,
            battery: Battery::Normal,
            away_from_quality: false,
            stalled: false,
            said: Attention::default(),
        };
        let (low, high) = spec.arrive_s;
        let arrives_s = uniform(visitor.seed, 0, low.min(high), low.max(high));
        visitor.due[Habit::Come as usize] =
            if arrives_s.is_finite() { (arrives_s.max(0.0) * 1000.0) as i64 } else { NEVER };
        visitor
    }

    /// When this visitor does something next, ms since the start of the scenario; `None`: never.
    pub fn next_at(&self) -> Option<i64> {
        self.due.iter().copied().min().filter(|&at| at != NEVER)
    }

    /// Everything it does up to and including `to_ms` after the start of the scenario, with the
    /// time of each, in order.
    pub fn advance(&mut self, to_ms: i64, acts: &mut Vec<(i64, Act)>) {
        loop {
            let (habit, at) = HABITS
                .into_iter()
                .map(|habit| (habit, self.due[habit as usize]))
                .min_by_key(|&(habit, at)| (at, habit as usize))
                .expect("there are habits");
            if at > to_ms || at == NEVER {
                return;
            }
            self.due[habit as usize] = NEVER;
            if let Some(act) = self.follow(habit, at) {
                acts.push((at, act));
            }
        }
    }

    fn follow(&mut self, habit: Habit, at: i64) -> Option<Act> {
        let spec = Arc::clone(&self.spec);
        match habit {
            Habit::Come => return Some(self.come(at)),
            Habit::Leave => {
                self.due = [NEVER; HABITS.len()];
                self.wait(Habit::Come, at, spec.return_s);
                return Some(Act::Leave);
            }
            Habit::Scroll => {
                self.wait(Habit::Scroll, at, spec.scroll_s);
                self.scroll(at);
            }
            Habit::Settle => {
                self.seen = self.shown;
                self.say_soon(at);
            }
            Habit::Hover => {
                self.wait(Habit::Hover, at, spec.hover_s);
                let rests_ms = self.time(Habit::HoverOver, RESTS_S);
                if let Some(sensor) = self.any_shown(Habit::Hover) {
                    self.hovers.retain(|(hovered, _)| *hovered != sensor);
                    if self.hovers.len() == HOVER_COUNT_MAX {
                        self.hovers.remove(0);
                    }
                    self.hovers.push((sensor, at + rests_ms + HOVER_HELD_MS));
                    self.watch_hovers();
                    self.say_soon(at);
                }
            }
            Habit::HoverOver => {
                self.hovers.retain(|&(_, held_until)| held_until > at);
                self.watch_hovers();
                self.say_soon(at);
            }
            Habit::Focus => {
                self.wait(Habit::Focus, at, spec.focus_s);
                self.focused = match self.focused {
                    Some(_) => None,
                    None => self.any_shown(Habit::Focus),
                };
                self.say_soon(at);
            }
            Habit::Pin => {
                self.wait(Habit::Pin, at, spec.pin_s);
                if let Some(sensor) = self.any_shown(Habit::Pin)
                    && !self.pinned.contains(&sensor)
                {
                    if self.pinned.len() == PIN_COUNT_MAX {
                        self.pinned.remove(0);
                    }
                    self.pinned.push(sensor);
                    self.say_soon(at);
                }
            }
            Habit::Hide => {
                self.hidden = !self.hidden;
                self.wait(Habit::Hide, at, if self.hidden { spec.hidden_s } else { spec.hide_s });
                self.say_soon(at);
            }
            Habit::Battery => {
                self.battery = match self.battery {
                    Battery::Normal => Battery::Low,
                    Battery::Low | Battery::Critical => Battery::Critical,
                };
                if self.battery == Battery::Low {
                    // From 30 % to 15 %.
                    let low_ms = (self.full_battery_ms() * 0.15) as i64;
                    self.due[Habit::Battery as usize] = at.saturating_add(low_ms);
                }
                self.say_soon(at);
            }
            Habit::Quality => {
                self.wait(Habit::Quality, at, spec.quality_s);
                self.away_from_quality = !self.away_from_quality;
                let quality = if self.away_from_quality {
                    Quality::CHOICES[self.pick(Habit::Quality, Quality::CHOICES.len())]
                } else {
                    spec.quality
                };
                return Some(Act::SetQuality(quality));
            }
            Habit::Stall => {
                let Network::Slow { stall_s, every_s } = spec.network else {
                    // The dead stay so.
                    self.stalled = true;
                    return Some(Act::Stall);
                };
                self.stalled = !self.stalled;
                self.wait(Habit::Stall, at, if self.stalled { stall_s } else { every_s });
                return Some(if self.stalled { Act::Stall } else { Act::Flow });
            }
            Habit::Say => {
                let attention = self.attention();
                if attention != self.said {
                    self.said = attention.clone();
                    return Some(Act::Attend(attention));
                }
            }
        }
        None
    }

    fn come(&mut self, at: i64) -> Act {
        let spec = Arc::clone(&self.spec);
        self.shown = self.pick(Habit::Scroll, self.last_place() + 1);
        self.seen = self.shown;
        self.hovers.clear();
        self.focused = None;
        self.pinned.clear();
        (self.hidden, self.away_from_quality, self.stalled) = (false, false, false);
        self.battery = Battery::Normal;
        self.said = self.attention();
        for (habit, range_s) in [
            (Habit::Leave, spec.stay_s),
            (Habit::Scroll, spec.scroll_s),
            (Habit::Hover, spec.hover_s),
            (Habit::Focus, spec.focus_s),
            (Habit::Pin, spec.pin_s),
            (Habit::Hide, spec.hide_s),
            (Habit::Quality, spec.quality_s),
        ] {
            self.wait(habit, at, range_s);
        }
        match spec.network {
            Network::Fast => {}
            Network::Slow { every_s, .. } => self.wait(Habit::Stall, at, every_s),
            Network::Dead => self.due[Habit::Stall as usize] = at,
        }
        if self.number(Habit::Battery, 0.0, 1.0) < spec.battery.share {
            let level = self.number(Habit::Battery, 0.05, 1.0);
            let low_ms = ((level - 0.3).max(0.0) * self.full_battery_ms()) as i64;
            self.due[Habit::Battery as usize] = at.saturating_add(low_ms);
        }
        Act::Arrive { sensors: self.window(self.shown).collect(), quality: spec.quality }
    }

    /// Forth rather than back, by up to a screen; at the end the other way.
    fn scroll(&mut self, at: i64) {
        let last = self.last_place();
        if last == 0 {
            return;
        }
        let step = 1 + self.pick(Habit::Scroll, self.spec.watch.max(1));
        let forth = self.number(Habit::Scroll, 0.0, 1.0) < 0.7;
        let forth = if self.shown == 0 { true } else { forth && self.shown < last };
        self.shown =
            if forth { (self.shown + step).min(last) } else { self.shown.saturating_sub(step) };
        // What was under the pointer has moved away.
        for (_, held_until) in &mut self.hovers {
            *held_until = (*held_until).min(at + HOVER_HELD_MS);
        }
        self.watch_hovers();
        let settle = &mut self.due[Habit::Settle as usize];
        *settle = (*settle).min(at + SETTLES_MS);
    }

    fn attention(&self) -> Attention {
        let mut visible: Vec<Box<str>> =
            self.window(self.seen).map(|at| Box::from(&*self.sensor_ids[at])).collect();
        visible.sort_unstable();
        let targets = |sensors: &mut dyn Iterator<Item = usize>| {
            let target = |at: usize| Target {
                sensor_id: (&*self.sensor_ids[at]).into(),
                attribute_id: None,
            };
            let mut targets: Vec<Target> = sensors.map(target).collect();
            targets.sort_unstable_by(|a, b| a.sensor_id.cmp(&b.sensor_id));
            targets
        };
        Attention {
            visible: Some(visible),
            hovered: targets(&mut self.hovers.iter().map(|(sensor, _)| *sensor)),
            focused: targets(&mut self.focused.into_iter()),
            pinned: targets(&mut self.pinned.iter().copied()),
            hidden: self.hidden,
            battery: self.battery,
        }
    }

    fn say_soon(&mut self, at: i64) {
        let say = &mut self.due[Habit::Say as usize];
        *say = (*say).min(at + GATHERS_MS);
    }

    fn watch_hovers(&mut self) {
        self.due[Habit::HoverOver as usize] =
            self.hovers.iter().map(|&(_, until)| until).min().unwrap_or(NEVER);
    }

    /// The furthest that one can scroll.
    fn last_place(&self) -> usize {
        self.sensor_ids.len().saturating_sub(self.spec.watch)
    }

    fn window(&self, first: usize) -> std::ops::Range<usize> {
        first..(first + self.spec.watch).min(self.sensor_ids.len())
    }

    fn any_shown(&mut self, habit: Habit) -> Option<usize> {
        let window = self.window(self.shown);
        (!window.is_empty()).then(|| window.start + self.pick(habit, window.len()))
    }

    fn full_battery_ms(&self) -> f64 {
        let (low, high) = self.spec.battery.hours;
        uniform(self.seed, 1, low.min(high), low.max(high)).max(0.0) * 3_600_000.0
    }

    fn wait(&mut self, habit: Habit, at: i64, range_s: (f64, f64)) {
        let ms = self.time(habit, range_s);
        self.due[habit as usize] = at.saturating_add(ms);
    }

    /// Milliseconds within a range of seconds: many short times, few long ones. A cube falls off
    /// much as the measured ones do, and is the same on every machine, as a logarithm is not.
    fn time(&mut self, habit: Habit, (low, high): (f64, f64)) -> i64 {
        let u = self.number(habit, 0.0, 1.0);
        let seconds = if high > low { low + (high - low) * u * u * u } else { low };
        if seconds.is_finite() { ((seconds * 1000.0) as i64).max(LEAST_MS) } else { NEVER }
    }

    fn number(&mut self, habit: Habit, low: f64, high: f64) -> f64 {
        let drawn = &mut self.drawn[habit as usize];
        *drawn += 1;
        let n = u64::from(*drawn) << 8 | (habit as u64 + 1);
        uniform(self.seed, n, low, high)
    }

    fn pick(&mut self, habit: Habit, count: usize) -> usize {
        (self.number(habit, 0.0, count as f64) as usize).min(count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Arc<[Arc<str>]> {
        (0..count).map(|n| Arc::from(format!("sensor-{n:03}"))).collect()
    }

    /// Everything happens within seconds.
    fn restless() -> CrowdSpec {
        CrowdSpec {
            watch: 5,
            arrive_s: (0.0, 2.0),
            stay_s: (20.0, 60.0),
            return_s: (1.0, 5.0),
            scroll_s: (0.1, 3.0),
            hover_s: (0.1, 2.0),
            focus_s: (0.5, 5.0),
            pin_s: (1.0, 10.0),
            hide_s: (3.0, 20.0),
            hidden_s: (0.5, 5.0),
            quality_s: (1.0, 10.0),
            battery: BatteryHabit { share: 0.5, hours: (0.005, 0.01) },
            network: Network::Slow { stall_s: (0.1, 2.0), every_s: (1.0, 10.0) },
            ..CrowdSpec::default()
        }
    }

    fn acts(spec: &CrowdSpec, n: usize, cuts: impl Iterator<Item = i64>) -> Vec<(i64, Act)> {
        let mut visitor = Visitor::new(&Arc::new(spec.clone()), &ids(40), 11, n);
        let mut acts = Vec::new();
        for to in cuts {
            visitor.advance(to, &mut acts);
        }
        acts
    }

    #[test]
    fn however_time_is_cut_a_visitor_does_the_same() {
        for n in 0..20 {
            let once = acts(&restless(), n, std::iter::once(300_000));
            let finely = acts(&restless(), n, 0..=300_000);
            let unevenly = acts(&restless(), n, (0..270).map(|k| k * k * 4).chain([300_000]));
            assert!(once.len() > 100, "{} acts in five minutes", once.len());
            assert!(once == finely && once == unevenly);
            assert!(once.windows(2).all(|two| two[0].0 <= two[1].0), "in order of time");
        }
    }

    #[test]
    fn a_visit_begins_with_arriving_and_ends_with_leaving_and_all_habits_are_lived() {
        let mut said = Attention::default();
        let (mut seen, mut hovered, mut focused, mut pinned) = (0, 0, 0, 0);
        let (mut hidden, mut low, mut critical, mut stalls) = (0, 0, 0, 0);
        for n in 0..20 {
            let mut present = false;
            for (_, act) in acts(&restless(), n, std::iter::once(300_000)) {
                match act {
                    Act::Arrive { sensors, quality } => {
                        assert!(!std::mem::replace(&mut present, true));
                        assert_eq!((sensors.len(), quality), (5, Quality::High));
                        assert!(sensors.windows(2).all(|two| two[1] == two[0] + 1));
                    }
                    Act::Leave => assert!(std::mem::replace(&mut present, false)),
                    Act::Attend(attention) => {
                        assert!(present);
                        assert_ne!(attention, said, "nobody says the same twice");
                        assert_eq!(attention.visible.as_ref().map(Vec::len), Some(5));
                        seen += usize::from(attention.visible != said.visible);
                        hovered += attention.hovered.len();
                        focused += attention.focused.len();
                        pinned += attention.pinned.len();
                        hidden += usize::from(attention.hidden);
                        low += usize::from(attention.battery == Battery::Low);
                        critical += usize::from(attention.battery == Battery::Critical);
                        said = attention;
                    }
                    Act::Stall => stalls += 1,
                    Act::SetQuality(_) | Act::Flow => assert!(present),
                }
            }
        }
        for count in [seen, hovered, focused, pinned, hidden, low, critical, stalls] {
            assert!(count > 20, "{count}");
        }
    }

    #[test]
    fn a_hover_is_held_for_two_seconds_and_nothing_is_said_oftener_than_ten_times_a_second() {
        let calm = CrowdSpec {
            hover_s: (10.0, 20.0),
            scroll_s: NEVER_S,
            focus_s: NEVER_S,
            pin_s: NEVER_S,
            hide_s: NEVER_S,
            stay_s: NEVER_S,
            battery: BatteryHabit { share: 0.0, hours: (1.0, 1.0) },
            ..CrowdSpec::default()
        };
        let words: Vec<(i64, usize)> = acts(&calm, 0, std::iter::once(600_000))
            .into_iter()
            .filter_map(|(at, act)| match act {
                Act::Attend(attention) => Some((at, attention.hovered.len())),
                _ => None,
            })
            .collect();
        assert!(words.len() > 20);
        for two in words.windows(2) {
            let (between, hovering) = (two[1].0 - two[0].0, two[0].1 == 1);
            assert!(between >= GATHERS_MS);
            if hovering {
                assert!((HOVER_HELD_MS + 200..=HOVER_HELD_MS + 4_000).contains(&between));
            }
        }
    }

    #[test]
    fn the_dead_never_read_and_absurd_numbers_end() {
        let dead = CrowdSpec { network: Network::Dead, arrive_s: (0.0, 0.0), ..restless() };
        let acts_of_dead = acts(&dead, 0, std::iter::once(10_000));
        assert!(matches!(acts_of_dead[..2], [(0, Act::Arrive { .. }), (0, Act::Stall)]));
        assert!(!acts_of_dead.iter().any(|(_, act)| *act == Act::Flow));
        for wild in [f64::NAN, -1.0, 0.0, f64::INFINITY, 1e300] {
            let range = (wild, wild);
            let spec = CrowdSpec {
                watch: 1000,
                arrive_s: (0.0, 0.0),
                stay_s: range,
                return_s: range,
                scroll_s: range,
                hover_s: range,
                focus_s: range,
                pin_s: range,
                hide_s: range,
                hidden_s: range,
                quality_s: range,
                battery: BatteryHabit { share: wild, hours: range },
                network: Network::Slow { stall_s: range, every_s: range },
                ..restless()
            };
            assert!(acts(&spec, 3, std::iter::once(10_000)).len() < 10_000);
            let mut nobody = Visitor::new(&Arc::new(spec), &ids(0), 1, 1);
            nobody.advance(10_000, &mut Vec::new());
        }
    }
}

//! People who are looked at together: what is asked about them, and what is found.
//!
//! A *group* is a list of members, each one attribute of one sensor, whose rhythms are compared. A
//! *reading* is what there is to say about the group at one instant of its members' common clock.
//! Whoever cannot be measured is told so, with the [reason](Unmeasurable), and is no part of any
//! number.

use std::sync::Arc;

use bevy_ecs::component::Component;

use crate::command::SensorSet;
use crate::id::{GroupId, ViewerId};
use crate::sample::EngineTime;

/// Members of one group.
pub const MEMBER_COUNT_MAX: usize = 1_024;

/// Groups at once.
pub const GROUP_COUNT_MAX: usize = 256;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Signal {
    /// The values themselves: 4.8 to 30 a minute.
    #[default]
    Breath,
    /// The intervals between heart beats, in raw ECG: 9 to 30 a minute, where breathing shows.
    HeartHigh,
    /// The same, 4.8 to 9 a minute: slow waves, and slow breathing.
    HeartLow,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Breath, Self::HeartHigh, Self::HeartLow];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breath => "breath",
            Self::HeartHigh => "heart_high",
            Self::HeartLow => "heart_low",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }

    /// Rhythms that are looked for, Hz.
    pub fn band_hz(self) -> (f64, f64) {
        match self {
            Self::Breath => (0.08, 0.5),
            Self::HeartHigh => (0.15, 0.5),
            Self::HeartLow => (0.08, 0.15),
        }
    }

    pub fn is_of_heart(self) -> bool {
        self != Self::Breath
    }

    /// Milliseconds that it takes, on top of the [tier](Tier)'s, until a sample can be used: a heart
    /// beat is known for normal two beats later.
    pub fn latency_ms(self) -> u64 {
        if self.is_of_heart() { 4_000 } else { 0 }
    }
}

/// Who is compared, in what, how fast.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupPlan {
    /// For people and for metrics.
    pub name: Arc<str>,
    pub signal: Signal,
    pub tier: Tier,
    /// Of each, the attribute is a member. Of [`SensorSet::All`], those that have it.
    pub sensors: SensorSet,
    pub attribute_id: Box<str>,
}

impl GroupPlan {
    /// Milliseconds between an instant and its reading.
    pub fn latency_ms(&self) -> u64 {
        self.tier.latency_ms() + self.signal.latency_ms()
    }
}

/// A group. Written by the commands of the strict plane and by `sense::keep_watch`.
#[derive(Component, Debug)]
pub struct Group {
    pub id: GroupId,
    pub plan: Arc<GroupPlan>,
    /// Ascending. Those whose viewer is gone are taken out.
    pub watchers: Vec<ViewerId>,
    /// Nobody watches: when the group goes.
    pub closes_at: Option<EngineTime>,
}

/// How late a reading is, and how exact. The filter behind each is in `systems::sense::phase`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Tier {
    /// 8 s late: as good as looking back.
    #[default]
    Confirmed,
    /// 3 s late.
    Prompt,
    /// 1 s late, and the least exact.
    Live,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Confirmed, Self::Prompt, Self::Live];

    /// The word on the wire and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Prompt => "prompt",
            Self::Live => "live",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// Milliseconds between an instant and the reading of it, in the members' own time: what the
    /// network takes comes on top.
    pub fn latency_ms(self) -> u64 {
        match self {
            Self::Confirmed => 8_000,
            Self::Prompt => 3_000,
            Self::Live => 1_000,
        }
    }
}

/// Why a person has no phase now. In order of precedence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Unmeasurable {
    /// Nothing has come, or nothing any more, or too late.
    Silent,
    /// What comes are no numbers.
    NoNumbers,
    /// The device's clock goes at a wrong speed, jumps or stands still.
    WrongClock,
    /// The device's clock differs from the others', and by how much is not known well enough yet.
    ClockUncertain,
    /// Not enough data yet.
    TooShort,
    /// Samples are missing for longer than half a cycle.
    Gap,
    /// The value does not change.
    Flat,
    /// The value stands at its limits too often.
    Clipped,
    /// No rhythm between 5 and 30 a minute stands out from the rest.
    NoRhythm,
    /// The rhythm all but pauses: a held breath, talking.
    Weak,
}

impl Unmeasurable {
    pub const ALL: [Self; 10] = [
        Self::Silent,
        Self::NoNumbers,
        Self::WrongClock,
        Self::ClockUncertain,
        Self::TooShort,
        Self::Gap,
        Self::Flat,
        Self::Clipped,
        Self::NoRhythm,
        Self::Weak,
    ];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::NoNumbers => "no_numbers",
            Self::WrongClock => "wrong_clock",
            Self::ClockUncertain => "clock_uncertain",
            Self::TooShort => "too_short",
            Self::Gap => "gap",
            Self::Flat => "flat",
            Self::Clipped => "clipped",
            Self::NoRhythm => "no_rhythm",
            Self::Weak => "weak",
        }
    }

    /// What to tell a person about it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Silent => "nothing comes from the sensor, or too late",
            Self::NoNumbers => "what comes from the sensor are no numbers",
            Self::WrongClock => "the sensor's clock goes wrong",
            Self::ClockUncertain => {
                "the sensor's clock differs from the others', by an uncertain amount"
            }
            Self::TooShort => "not enough data yet",
            Self::Gap => "samples are missing for longer than half a cycle",
            Self::Flat => "the value does not change",
            Self::Clipped => "the value stands at its limits too often",
            Self::NoRhythm => "no rhythm stands out",
            Self::Weak => "the rhythm all but pauses",
        }
    }
}

/// The order in a group at one instant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Order {
    /// Kuramoto's order parameter, the length of the mean of the unit phasors: 0 to 1. Strangers
    /// do not read 0: see [`null95`](Self::null95).
    pub r: f64,
    /// The mean cosine between pairs, `(N R^2 - 1) / (N - 1)`: on average 0 for strangers, 1 for
    /// lock, negative for those who avoid each other.
    pub kappa: f64,
    /// What `r` of so many strangers stays below 95 % of the time.
    pub null95: f64,
    /// Where the group is in its cycle, radians.
    pub phase: f64,
}

/// What there is to say about a group at one instant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// The instant, microseconds on the members' common clock.
    pub at_us: i64,
    pub members: u16,
    /// How many of them have a phase.
    pub measurable: u16,
    /// Of those. `None` when fewer than two.
    pub order: Option<Order>,
    /// [`Order::r`] and [`Order::kappa`] smoothed over 2 s.
    pub smoothed: Option<(f64, f64)>,
}

/// A member at one instant: radians in the cycle, or why not.
pub type MemberState = Result<f64, Unmeasurable>;

/// How two members lie to each other over the last two minutes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PairReading {
    /// Places among the members; `a` is the lower.
    pub a: u16,
    pub b: u16,
    /// Phase-locking value (Lachaux et al. 1999).
    pub plv: f64,
    /// Seconds by which `b` is behind `a`, by phase: within half a cycle either way.
    pub lag_s: f64,
    /// The same by the cross-correlation of the last 30 s.
    pub correlation_lag_s: Option<f64>,
    /// Seconds in which both could be measured.
    pub common_s: f64,
}

/// How much the time between heart beats varies. Without the window and the share of beats that
/// had to be corrected, none of these is a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Variability {
    /// From the first beat to the last, seconds.
    pub window_s: f64,
    pub beats: u32,
    pub mean_nn_ms: f64,
    /// Standard deviation of the intervals, with n - 1. Comparable at equal windows only.
    pub sdnn_ms: f64,
    /// Root of the mean squared difference of neighbours.
    pub rmssd_ms: f64,
    /// Share of neighbours that differ by more than 50 ms, per cent.
    pub pnn50_pct: f64,
    /// Share of beats that were put in, moved or left out.
    pub corrected_share: f64,
}

impl Variability {
    /// Beats a minute.
    pub fn rate_bpm(&self) -> f64 {
        60_000.0 / self.mean_nn_ms
    }
}

/// One member's heart, once a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HeartReading {
    /// The place among the members.
    pub member: u16,
    pub variability: Variability,
}

/// What breathing does to one person's heart, over two minutes: respiratory sinus arrhythmia.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreathingHeart {
    /// The breath's rhythm, Hz.
    pub breath_hz: f64,
    /// Phase-locking value of the intervals between beats and the breath.
    pub plv: f64,
    /// Magnitude-squared coherence at the breath's rhythm; by chance about `1 / segments`.
    pub coherence: f64,
    pub segments: u32,
    /// Of the interval between beats over one breath, ms.
    pub peak_to_trough_ms: f64,
}

/// An R-peak that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeatFound {
    /// The place among the members.
    pub member: u16,
    /// Microseconds on the members' common clock.
    pub at_us: i64,
}

/// What a tick says of one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupNews {
    pub group: GroupId,
    /// In [`Deliveries::readings`](crate::delivery::Deliveries::readings), one instant after the
    /// other.
    pub readings_at: u32,
    pub reading_count: u32,
    /// In [`Deliveries::states`](crate::delivery::Deliveries::states) and
    /// [`Deliveries::values`](crate::delivery::Deliveries::values): all members of the first
    /// reading, then of the next.
    pub states_at: u32,
    pub member_count: u32,
    /// In [`Deliveries::pairs`](crate::delivery::Deliveries::pairs); once a second, and only of
    /// small groups.
    pub pairs_at: u32,
    pub pair_count: u32,
    /// In [`Deliveries::hearts`](crate::delivery::Deliveries::hearts); once a second.
    pub hearts_at: u32,
    pub heart_count: u32,
    /// In [`Deliveries::beats`](crate::delivery::Deliveries::beats).
    pub beats_at: u32,
    pub beat_count: u32,
    /// In [`Deliveries::watchers`](crate::delivery::Deliveries::watchers).
    pub watchers_at: u32,
    pub watcher_count: u32,
}

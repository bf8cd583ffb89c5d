//! What a made-up person does, and what that asks of the body.

/// What a person is doing. Effort is in MET (1 is lying awake: 3.5 ml of oxygen per minute and
/// kg), after Ainsworth et al., "2011 Compendium of Physical Activities".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    Sleep,
    Rest,
    #[default]
    Sit,
    Stand,
    Walk,
    Run,
    Cycle,
}

/// The words for them, in their order.
pub const ACTIVITIES: &[&str] = &["sleep", "rest", "sit", "stand", "walk", "run", "cycle"];

impl Activity {
    const ALL: [Self; 7] =
        [Self::Sleep, Self::Rest, Self::Sit, Self::Stand, Self::Walk, Self::Run, Self::Cycle];

    pub fn name(self) -> &'static str {
        ACTIVITIES[self as usize]
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activity| activity.name() == name)
    }

    /// Effort in MET (2011 Compendium: 07030, 07011, 07021, 07040, 17190 at 5 km/h, 12050 at
    /// 10 km/h, 01015 leisurely).
    pub fn met(self) -> f64 {
        match self {
            Self::Sleep => 0.95,
            Self::Rest => 1.0,
            Self::Sit => 1.3,
            Self::Stand => 1.8,
            Self::Walk => 3.5,
            Self::Run => 9.8,
            Self::Cycle => 6.8,
        }
    }

    /// Part of the span from the resting to the highest heart rate that is used: as the part of
    /// the oxygen reserve (Swain and Leutholtz 1997), 12 MET being all of it, over sitting.
    /// Negative asleep.
    pub fn heart_reserve(self) -> f64 {
        match self {
            Self::Sleep => -0.07,
            Self::Rest => -0.03,
            _ => (self.met() - Self::Sit.met()) / (12.0 - Self::Sit.met()),
        }
    }

    /// Variability from beat to beat over that of sitting. It all but vanishes with effort
    /// (Michael, Graham, Davis 2017, Front. Physiol. 8:301).
    pub fn rmssd_factor(self) -> f64 {
        match self {
            Self::Sleep => 1.25,
            Self::Rest => 1.1,
            Self::Sit => 1.0,
            Self::Stand => 0.65,
            Self::Walk => 0.4,
            Self::Run => 0.1,
            Self::Cycle => 0.14,
        }
    }

    /// Breaths over those of sitting: from 14 a minute to 36 running.
    pub fn breathing_factor(self) -> f64 {
        match self {
            Self::Sleep => 0.92,
            Self::Rest => 0.95,
            Self::Sit => 1.0,
            Self::Stand => 1.05,
            Self::Walk => 1.5,
            Self::Run => 2.5,
            Self::Cycle => 2.1,
        }
    }

    /// Steps a second, or strokes of the pedals (two a turn, 80 turns a minute); `None` where
    /// there are none. Walking: Tudor-Locke 2018, 100 a minute and more; running: Heiderscheit
    /// 2011, 165 a minute.
    pub fn cadence_hz(self) -> Option<f64> {
        match self {
            Self::Walk => Some(1.9),
            Self::Run => Some(2.75),
            Self::Cycle => Some(2.67),
            _ => None,
        }
    }

    /// Metres a second on the way.
    pub fn speed_m_s(self) -> f64 {
        match self {
            Self::Walk => 5.0 / 3.6,
            Self::Run => 10.0 / 3.6,
            Self::Cycle => 20.0 / 3.6,
            _ => 0.0,
        }
    }
}

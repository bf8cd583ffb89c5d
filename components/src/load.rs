//! How hard-pressed the machine is. Measured at the server's edge, told to the engine as input.

/// `reference/core.md` 1.3, 8.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub enum LoadLevel {
    #[default]
    Normal,
    Elevated,
    High,
    Critical,
}

impl LoadLevel {
    pub const ALL: [Self; 4] = [Self::Normal, Self::Elevated, Self::High, Self::Critical];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// What a device's batch window is multiplied by (`reference/wire.md` 2.1b).
    pub fn window_multiplier(self) -> f64 {
        match self {
            Self::Normal => 1.0,
            Self::Elevated => 1.5,
            Self::High => 3.0,
            Self::Critical => 5.0,
        }
    }

    /// What a hot limit is multiplied by (`reference/core.md` 6.1).
    pub fn hot_multiplier(self) -> f64 {
        match self {
            Self::Normal => 1.0,
            Self::Elevated => 0.8,
            Self::High => 0.4,
            Self::Critical => 0.2,
        }
    }

    /// What a warm limit is multiplied by (the seed's layer 3).
    pub fn warm_multiplier(self) -> f64 {
        match self {
            Self::Normal => 1.0,
            Self::Elevated => 0.5,
            Self::High => 0.2,
            Self::Critical => 0.05,
        }
    }
}

/// What memory protection makes of a window (`reference/core.md` 3.5).
const PROTECTION_FACTOR: f64 = 5.0;

/// The load in force: judged from what was measured, or made up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    pub level: LoadLevel,
    /// Memory is above the protection threshold (the seed: 70 %).
    pub memory_protection: bool,
}

impl Load {
    /// What a device's batch window is multiplied by where no floor says otherwise
    /// (`reference/core.md` 3.5).
    pub fn multiplier(self) -> f64 {
        let protection = if self.memory_protection { PROTECTION_FACTOR } else { 1.0 };
        self.level.window_multiplier() * protection
    }
}

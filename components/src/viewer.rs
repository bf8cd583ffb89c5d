//! How a viewer is served: cadence and form.

/// `reference/core.md` 9.3, intervals as in the seed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Quality {
    Paused,
    Minimal,
    Low,
    Medium,
    #[default]
    High,
}

impl Quality {
    pub const ALL: [Self; 5] =
        [Self::Paused, Self::Minimal, Self::Low, Self::Medium, Self::High];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.name() == name)
    }

    /// Milliseconds between flushes; `None` when paused.
    pub fn interval_ms(self) -> Option<u64> {
        match self {
            Self::High => Some(32),
            Self::Medium => Some(50),
            Self::Low => Some(100),
            Self::Minimal => Some(200),
            Self::Paused => None,
        }
    }

    /// Low and minimal send digests of what is not focused (`reference/core.md` 20.1).
    pub fn digests(self) -> bool {
        matches!(self, Self::Low | Self::Minimal)
    }
}

//! Who looks, how strongly. Levels are state derived from live claims, never events, so nobody
//! can miss their announcement (`reference/core.md` W1).

/// How strongly a sensor or attribute is looked at. `reference/core.md` 1.3, 7.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Level {
    #[default]
    None,
    Low,
    Medium,
    High,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::None, Self::Low, Self::Medium, Self::High];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Milliseconds a device may gather samples before it sends, unpressed
    /// (`reference/wire.md` 2.1b).
    pub fn base_window_ms(self) -> u64 {
        match self {
            Self::High => 100,
            Self::Medium => 500,
            Self::Low => 2000,
            Self::None => 5000,
        }
    }

    /// Samples a device may gather before it sends (`reference/wire.md` 2.1b).
    pub fn batch_size(self) -> u32 {
        match self {
            Self::High => 1,
            Self::Medium => 5,
            Self::Low => 10,
            Self::None => 20,
        }
    }
}

/// The ways of looking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum ClaimKind {
    /// On screen.
    View,
    /// Under the pointer, or under the keyboard's focus.
    Hover,
    /// Chosen: clicked, opened.
    Focus,
    /// Held high even off screen, until unpinned.
    Pin,
}

impl ClaimKind {
    /// What one claim of this kind asks for, before the viewer's battery caps it.
    pub fn level(self) -> Level {
        match self {
            Self::View => Level::Medium,
            Self::Hover | Self::Focus | Self::Pin => Level::High,
        }
    }
}

/// A viewer's battery, as its browser reports it. It caps that viewer's own claims, nobody
/// else's (`reference/core.md` W3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Battery {
    #[default]
    Normal,
    /// Below 30 % and not charging: claims count at most medium.
    Low,
    /// Below 15 % and not charging: claims count at most low.
    Critical,
}

impl Battery {
    pub fn cap(self) -> Level {
        match self {
            Self::Normal => Level::High,
            Self::Low => Level::Medium,
            Self::Critical => Level::Low,
        }
    }
}

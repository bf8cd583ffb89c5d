//! Who looks, and how a viewer is served: cadence and form.

use std::sync::Arc;

use bevy_ecs::component::Component;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::attention::Level;
use crate::budget::Grant;
use crate::command::Attention;
use crate::delivery::Form;
use crate::id::{SensorKey, StreamId, ViewerId};
use crate::room::Lens;
use crate::sample::EngineTime;

/// `reference/core.md` 9.3, intervals as in the seed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Quality {
    Paused,
    /// Once a second: what is merely visible comes down to this when the machine bears no more.
    /// Nobody can ask for it; to the outside it is minimal.
    Trickle,
    Minimal,
    Low,
    Medium,
    #[default]
    High,
}

impl Quality {
    pub const ALL: [Self; 6] =
        [Self::Paused, Self::Trickle, Self::Minimal, Self::Low, Self::Medium, Self::High];

    /// What may be asked for.
    pub const CHOICES: [Self; 5] =
        [Self::Paused, Self::Minimal, Self::Low, Self::Medium, Self::High];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Trickle | Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::CHOICES.into_iter().find(|quality| quality.name() == name)
    }

    /// Milliseconds between flushes; `None` when paused.
    pub fn interval_ms(self) -> Option<u64> {
        match self {
            Self::High => Some(32),
            Self::Medium => Some(50),
            Self::Low => Some(100),
            Self::Minimal => Some(200),
            Self::Trickle => Some(1000),
            Self::Paused => None,
        }
    }

    /// One step down; the lowest that still delivers stays.
    #[must_use]
    pub fn worse(self) -> Self {
        match self {
            Self::High => Self::Medium,
            Self::Medium => Self::Low,
            Self::Low => Self::Minimal,
            Self::Minimal | Self::Trickle => Self::Trickle,
            Self::Paused => Self::Paused,
        }
    }

    /// One step up; whoever is paused begins at the bottom.
    #[must_use]
    pub fn better(self) -> Self {
        match self {
            Self::Medium | Self::High => Self::High,
            Self::Low => Self::Medium,
            Self::Minimal => Self::Low,
            Self::Trickle | Self::Paused => Self::Minimal,
        }
    }

    /// Low and minimal send digests of what is not focused (`reference/core.md` 20.1).
    pub fn digests(self) -> bool {
        matches!(self, Self::Low | Self::Minimal | Self::Trickle)
    }
}

/// The quality a viewer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum QualityChoice {
    /// As good as its line, its browser and the machine bear.
    #[default]
    Auto,
    /// The same, and never better than this: for a view that has no use for more.
    AutoUpTo(Quality),
    /// Never better than this, and the word of the machine alone counts beside it: whoever
    /// overrides by hand is not overruled on the evidence of a socket or a browser.
    Fixed(Quality),
}

impl QualityChoice {
    /// The best it may get.
    pub fn ceiling(self) -> Quality {
        match self {
            Self::Auto => Quality::High,
            Self::AutoUpTo(quality) | Self::Fixed(quality) => quality,
        }
    }

    /// Whether the evidence of its socket and its browser counts.
    pub fn is_auto(self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto | Self::AutoUpTo(Quality::High) => "auto",
            Self::AutoUpTo(Quality::Medium) => "auto-medium",
            Self::AutoUpTo(Quality::Low) => "auto-low",
            Self::AutoUpTo(Quality::Minimal) => "auto-minimal",
            Self::AutoUpTo(quality) | Self::Fixed(quality) => quality.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "auto-medium" => Some(Self::AutoUpTo(Quality::Medium)),
            "auto-low" => Some(Self::AutoUpTo(Quality::Low)),
            "auto-minimal" => Some(Self::AutoUpTo(Quality::Minimal)),
            fixed => Quality::from_name(fixed).map(Self::Fixed),
        }
    }
}

impl From<Quality> for QualityChoice {
    fn from(quality: Quality) -> Self {
        Self::Fixed(quality)
    }
}

/// What a viewer asked for, in its own words. Written by `intake::apply_commands` alone.
#[derive(Component, Debug)]
pub struct Viewer {
    pub id: ViewerId,
    pub lens: Lens,
    pub attention: Attention,
    pub choice: QualityChoice,
    /// Its claims end here unless its connection shows signs of life.
    pub lease_until: EngineTime,
    /// Set with each change, cleared when [`Watch`] has followed.
    pub changed: bool,
    /// Its mailbox is full in this tick.
    pub busy: bool,
}

impl Viewer {
    /// Whether anything is to be delivered at all under this grant.
    pub fn is_looking(&self, grant: &Grant) -> bool {
        !self.attention.hidden && grant.strong != Quality::Paused
    }
}

/// What it asked for, resolved. Written by `attend::gather_claims` alone.
#[derive(Component, Debug, Default)]
pub struct Watch {
    /// Every sensor there is or will be.
    pub all: bool,
    /// Sensors to deliver when not all: ascending, each once.
    pub keys: Vec<SensorKey>,
    /// What is hovered, focused or pinned and not held down by the battery; ascending by key.
    /// `None`: every attribute.
    pub strong: Vec<(SensorKey, Option<Arc<str>>)>,
    /// Every claim held, as entered in the attendance book.
    pub claims: Vec<(SensorKey, Option<Arc<str>>, Level)>,
    /// The claim on all sensors, when `all`.
    pub claim_on_all: Level,
}

impl Watch {
    /// Whether the viewer wants all of this attribute.
    pub fn wants_all_of(&self, key: SensorKey, attribute_id: &str) -> bool {
        let start = self.strong.partition_point(|(strong, _)| *strong < key);
        self.strong[start..]
            .iter()
            .take_while(|(strong, _)| *strong == key)
            .any(|(_, attribute)| attribute.as_deref().is_none_or(|id| id == attribute_id))
    }
}

/// How far a viewer has come in each stream. Written by `route` alone.
#[derive(Component, Debug, Default)]
pub struct Cursors {
    /// Per sensor, one entry for each place in its list of attributes.
    pub by_sensor: FxHashMap<SensorKey, SmallVec<[Cursor; 2]>>,
    /// Look at all strong streams at the next flush of theirs, not only at what has changed: set
    /// when claims or quality changed, when a flush was skipped, or when seeds are still owed.
    pub scan_strong: bool,
    /// The same for all others.
    pub scan_rest: bool,
    /// What the next flush is made of; kept for its room.
    pub wants: Vec<Want>,
}

impl Cursors {
    /// Look at everything.
    pub fn scan_all(&mut self) {
        (self.scan_strong, self.scan_rest) = (true, true);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub stream: StreamId,
    /// The push count up to which this viewer has been served.
    pub next: u64,
    /// The push count up to which it has been sent every sample. Behind `next` while it gets
    /// digests or the latest: when it asks for all again, the past goes on from here.
    pub whole: u64,
    /// False while the stream is out of view: then the past is delivered on its return.
    pub active: bool,
}

/// One stream's part in a flush, before it is known who else wants the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub row: u32,
    pub index: u16,
    pub form: Form,
    pub stream: StreamId,
    /// The viewer's cursor.
    pub next: u64,
}

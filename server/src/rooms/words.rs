//! What a room may be called, and what one may do there.

use std::fmt;

use super::Wishes;
use super::record::{Features, RoomRecord};
use crate::people::is_unseen;

/// Letters of a name and of a description (`reference/collab.md` 2.1).
const NAME_LETTERS_MAX: usize = 100;
const DESCRIPTION_LETTERS_MAX: usize = 500;

/// A word that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    Name,
    Description,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "`name`: expected 1 to {NAME_LETTERS_MAX} letters, and no control characters"
            ),
            Self::Description => write!(
                f,
                "`description`: expected at most {DESCRIPTION_LETTERS_MAX} letters, and no control \
                 characters but line breaks"
            ),
        }
    }
}

/// Makes a room what is wished.
pub(super) fn apply(wishes: &Wishes, record: &mut RoomRecord) -> Result<(), WordError> {
    if let Some(name) = &wishes.name {
        let name = name.trim();
        let fits = (1..=NAME_LETTERS_MAX).contains(&name.chars().count());
        if !fits || name.contains(is_unseen) {
            return Err(WordError::Name);
        }
        record.name = name.into();
    }
    if let Some(description) = &wishes.description {
        let text = description.as_deref().unwrap_or_default().trim();
        let is_bad = |c: char| is_unseen(c) && c != '\n';
        if text.chars().count() > DESCRIPTION_LETTERS_MAX || text.contains(is_bad) {
            return Err(WordError::Description);
        }
        record.description = (!text.is_empty()).then(|| text.into());
    }
    let is_public = wishes.is_public.unwrap_or(record.is_public);
    if record.is_public && !is_public {
        // What anybody could have opens it no longer.
        record.ticket_round += 1;
    }
    record.is_public = is_public;
    let Features { calls, media, object_3d, whiteboard } = record.features;
    record.features = Features {
        calls: wishes.calls.unwrap_or(calls),
        media: wishes.media.unwrap_or(media),
        object_3d: wishes.object_3d.unwrap_or(object_3d),
        whiteboard: wishes.whiteboard.unwrap_or(whiteboard),
    };
    Ok(())
}

/// What somebody has before them in a room (`reference/collab.md` 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    Media,
    Call,
    Object3d,
    Whiteboard,
    #[default]
    Sensors,
    Polls,
}

impl Mode {
    pub const ALL: [Self; 6] =
        [Self::Media, Self::Call, Self::Object3d, Self::Whiteboard, Self::Sensors, Self::Polls];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Call => "call",
            Self::Object3d => "object3d",
            Self::Whiteboard => "whiteboard",
            Self::Sensors => "sensors",
            Self::Polls => "polls",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether the room has it.
    pub(super) fn is_on(self, features: Features) -> bool {
        match self {
            Self::Media => features.media,
            Self::Call => features.calls,
            Self::Object3d => features.object_3d,
            Self::Whiteboard => features.whiteboard,
            Self::Sensors | Self::Polls => true,
        }
    }
}

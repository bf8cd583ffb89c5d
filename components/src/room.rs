//! Rooms that somebody looks into.

use std::sync::Arc;

use bevy_ecs::component::Component;

use crate::id::{RoomId, ViewerId};

/// What is measured in a room and who looks on. A room into which nobody looks is none of the
/// engine's business, and costs it nothing. Written by `intake::apply_commands` alone.
#[derive(Component, Debug)]
pub struct Room {
    pub id: RoomId,
    /// Their ids; each viewer whose lens is the room has the same list.
    pub sensors: Arc<[Box<str>]>,
    /// Each once, in the order in which they came.
    pub viewers: Vec<ViewerId>,
}

/// What a viewer's lens is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lens {
    /// Every sensor, those to come included.
    All,
    Ids(Arc<[Box<str>]>),
    /// Whatever is measured in a room, which is this now.
    Room(RoomId, Arc<[Box<str>]>),
}

impl Lens {
    /// On nothing.
    pub fn none() -> Self {
        Self::Ids(Arc::new([]))
    }

    /// What it is on, by name. `None`: on everything.
    pub fn ids(&self) -> Option<&[Box<str>]> {
        match self {
            Self::All => None,
            Self::Ids(ids) | Self::Room(_, ids) => Some(ids),
        }
    }

    pub fn has(&self, sensor_id: &str) -> bool {
        self.ids().is_none_or(|ids| ids.iter().any(|id| &**id == sensor_id))
    }

    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::Room(room, _) => Some(*room),
            Self::All | Self::Ids(_) => None,
        }
    }
}

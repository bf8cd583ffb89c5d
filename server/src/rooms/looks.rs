//! Viewers of a room: each sees what is measured there, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use components::command::SensorSet;

use super::{Asker, Room, RoomDesk, RoomError, RoomId, SEAT_COUNT_MAX, lock};
use crate::can::{Action, Denied, can};
use crate::viewer::keeping::TokenId;
use crate::viewer::words::Wishes;

/// A viewer's token that is bound to a room, and whose it is.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) token: TokenId,
    pub(super) asker: Asker,
}

impl RoomDesk {
    /// A viewer's token whose lens is the room: it follows what comes and goes there, and ends when
    /// its holder may not look on any more.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn look(&self, asker: &Asker, id: RoomId, wishes: Wishes) -> Result<Box<str>, RoomError> {
        let mut state = lock(&self.state);
        state.judge(asker, id, Action::Watch)?;
        let room = state.rooms.get_mut(&id).ok_or(Denied::NotFound)?;
        // Whose time was over goes first.
        room.looks.retain(|look| self.viewers.knows(look.token));
        if room.looks.len() >= SEAT_COUNT_MAX {
            return Err(RoomError::TooMany("viewers of a room"));
        }
        let sensors = Some(lens(room));
        let minted = self.viewers.mint_bound(Wishes { sensors, ..wishes }, asker.session);
        let (letters, token) = minted.map_err(RoomError::Desk)?;
        room.looks.push(Look { token, asker: asker.clone() });
        Ok(letters)
    }

    /// What is measured in the rooms where somebody may look on.
    pub(crate) fn sensors_for(&self, asker: &Asker) -> BTreeSet<Arc<str>> {
        let state = lock(&self.state);
        let may = |room: &&Room| can(asker.who, Action::Watch, room.what(asker)).is_ok();
        let sensors = state.rooms.values().filter(may).flat_map(Room::sensors);
        sensors.map(Arc::from).collect()
    }

    /// They look at what is there now.
    pub(super) fn turn_looks(&self, room: &mut Room) {
        let sensors = lens(room);
        room.looks.retain(|look| self.viewers.turn(look.token, sensors.clone()));
    }
}

fn lens(room: &Room) -> SensorSet {
    SensorSet::Ids(room.sensors().into_iter().collect())
}

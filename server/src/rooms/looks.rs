//! Viewers of a room: each sees what is measured there, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
        let ids = ids(room);
        let live = match room.live {
            Some(live) => live,
            None => self.viewers.open_room(ids.as_slice().into()).map_err(RoomError::Desk)?,
        };
        room.live = Some(live);
        let wishes = Wishes { sensors: Some(SensorSet::Ids(ids)), ..wishes };
        let minted = self.viewers.mint_bound(wishes, asker.session, live);
        if let Ok((_, token)) = &minted {
            room.looks.push(Look { token: *token, asker: asker.clone() });
        }
        self.leave_dark(room);
        minted.map(|(letters, _)| letters).map_err(RoomError::Desk)
    }

    /// What is measured in the rooms where somebody may look on.
    pub(crate) fn sensors_for(&self, asker: &Asker) -> BTreeSet<Arc<str>> {
        let state = lock(&self.state);
        let may = |room: &&Room| can(asker.who, Action::Watch, room.what(asker)).is_ok();
        let sensors = state.rooms.values().filter(may).flat_map(Room::sensors);
        sensors.map(Arc::from).collect()
    }

    /// Whether somebody may do something with a room.
    ///
    /// # Errors
    /// Why not; a room that is not there is not found.
    pub(crate) fn judge(&self, asker: &Asker, id: RoomId, action: Action) -> Result<(), RoomError> {
        lock(&self.state).judge(asker, id, action)
    }

    /// The same of a room by its name as it was sent; which one it is.
    ///
    /// # Errors
    /// Why not; what is no name of a room is not found either.
    pub(crate) fn judge_named(
        &self,
        asker: &Asker,
        name: &str,
        action: Action,
    ) -> Result<RoomId, RoomError> {
        let id = RoomId::parse(name).ok_or(Denied::NotFound)?;
        self.judge(asker, id, action).map(|()| id)
    }

    /// What is measured in a room now; nothing where there is none.
    pub(crate) fn sensors_in(&self, id: RoomId) -> BTreeSet<Box<str>> {
        lock(&self.state).rooms.get(&id).map(Room::sensors).unwrap_or_default()
    }

    /// Another number whenever what is measured in some room has changed, or which rooms there are.
    pub(crate) fn sensor_round(&self) -> u64 {
        self.sensor_round.load(Ordering::Acquire)
    }

    /// They look at what is there now. If that cannot be said, they would go on seeing what is not: all
    /// of them end.
    pub(super) fn turn_looks(&self, room: &mut Room) {
        let Some(live) = room.live else { return };
        let ids = ids(room);
        match self.viewers.set_room(live, ids.as_slice().into()) {
            Ok(()) => {
                let turn = |look: &Look| self.viewers.turn(look.token, SensorSet::Ids(ids.clone()));
                room.looks.retain(turn);
            }
            Err(_) => room.looks.drain(..).for_each(|look| self.viewers.end(look.token)),
        }
        self.leave_dark(room);
    }

    /// Some who looked on do so no more: a room into which nobody looks is none to the engine.
    pub(super) fn leave_dark(&self, room: &mut Room) {
        if room.looks.is_empty()
            && let Some(live) = room.live.take()
        {
            self.viewers.close_room(live);
        }
    }

    /// Tokens end by themselves, too; and what the engine has lost over a panic it is told again.
    pub(super) fn sweep_looks(&self) {
        let mut state = lock(&self.state);
        for room in state.rooms.values_mut().filter(|room| room.live.is_some()) {
            room.looks.retain(|look| self.viewers.knows(look.token));
            self.leave_dark(room);
            if let Some(live) = room.live {
                // If it cannot be said now, it is with the next sweep.
                let _ = self.viewers.set_room(live, ids(room).as_slice().into());
            }
        }
    }
}

fn ids(room: &Room) -> Vec<Box<str>> {
    room.sensors().into_iter().collect()
}

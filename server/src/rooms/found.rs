//! What search and consent ask: which rooms changed, what they are called, who is there, and which rooms
//! and people somebody may know of.

use std::collections::{HashMap, HashSet};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Asker, RoomDesk, RoomId, State, lock};
use crate::can::{Action, Who};
use crate::people::AccountId;
use crate::search::marks::Marked;

/// What somebody may know of now. No room changes while it is there.
pub(crate) struct Sight<'a> {
    state: MutexGuard<'a, State>,
    asker: &'a Asker,
    /// Rooms that were judged.
    known: HashMap<RoomId, bool>,
}

impl Sight<'_> {
    pub(crate) fn room(&mut self, id: RoomId) -> bool {
        let (state, asker) = (&self.state, self.asker);
        *self.known.entry(id).or_insert_with(|| state.judge(asker, id, Action::See).is_ok())
    }

    /// Oneself, and who is in a room that they may see; administrators know of everybody.
    pub(crate) fn person(&mut self, account: &str) -> bool {
        if self.asker.account() == Some(account) || self.asker.who == Who::Administrator {
            return true;
        }
        let Some(rooms) = self.state.of_account.get(account).cloned() else { return false };
        rooms.into_iter().any(|id| {
            let is_there = |state: &State| {
                let room = state.rooms.get(&id);
                room.is_some_and(|it| it.record.rank_of(Some(account)).is_member())
            };
            self.room(id) && is_there(&self.state)
        })
    }

    /// Of the rooms that they may see, those that somebody is in, by name, and as what.
    pub(crate) fn rooms_of(&mut self, account: &str) -> Vec<Value> {
        let ids = self.state.of_account.get(account).cloned().unwrap_or_default();
        let seen: Vec<RoomId> = ids.into_iter().filter(|id| self.room(*id)).collect();
        let rooms = seen.iter().filter_map(|id| Some((*id, &self.state.rooms.get(id)?.record)));
        let mut rooms: Vec<_> = rooms
            .map(|(id, record)| (id, record, record.rank_of(Some(account))))
            .filter(|(_, _, rank)| rank.is_member())
            .collect();
        rooms.sort_by(|a, b| a.1.name.cmp(&b.1.name).then(a.0.0.cmp(&b.0.0)));
        let told = rooms.iter().map(|(id, record, rank)| {
            json!({ "id": id.to_string(), "name": *record.name, "role": rank.name() })
        });
        told.collect()
    }
}

impl RoomDesk {
    pub(crate) fn sight<'a>(&'a self, asker: &'a Asker) -> Sight<'a> {
        Sight { state: lock(&self.state), asker, known: HashMap::new() }
    }

    /// Another number whenever somebody has come to a room, or gone.
    pub(crate) fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }

    /// Who is in a room now. Nobody is in one that is not there.
    pub(crate) fn members_of(&self, id: RoomId) -> HashSet<AccountId> {
        let state = lock(&self.state);
        let members = state.rooms.get(&id).into_iter().flat_map(|room| &room.record.members);
        let members = members.filter(|member| member.rank.is_member());
        members.map(|member| (*member.account).into()).collect()
    }

    /// At most so many of those that came, changed or went.
    pub(crate) fn take_changed(&self, count: usize) -> Marked<RoomId> {
        lock(&self.state).changed.take(count)
    }

    pub(crate) fn ids(&self) -> Vec<RoomId> {
        lock(&self.state).rooms.keys().copied().collect()
    }

    /// A room's name and description.
    pub(crate) fn words(&self, id: RoomId) -> Option<(Box<str>, Option<Box<str>>)> {
        let state = lock(&self.state);
        let record = &state.rooms.get(&id)?.record;
        Some((record.name.clone(), record.description.clone()))
    }

    /// A room as search tells of it, for who may see it.
    pub(crate) fn found(&self, asker: &Asker, id: RoomId) -> Option<Value> {
        let state = lock(&self.state);
        state.judge(asker, id, Action::See).ok()?;
        let record = &state.rooms.get(&id)?.record;
        let rank = record.rank_of(asker.account());
        Some(json!({
            "id": id.to_string(),
            "name": *record.name,
            "description": record.description,
            "is_public": record.is_public,
            "member_count": record.member_count(),
            "role": rank.is_member().then(|| rank.name()),
        }))
    }
}

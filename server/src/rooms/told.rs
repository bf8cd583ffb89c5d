//! What a room looks like on the wire, and what of a change is told to whom.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::record::{Features, RoomRecord};
use super::{
    Asker, LISTED_COUNT_MAX, LISTED_SENSOR_COUNT_MAX, News, Room, RoomDesk, RoomError, RoomId,
    State, lock,
};
use crate::can::{Action, Denied, What, can};
use crate::viewer::Kicked;

impl RoomDesk {
    /// A room, for who may see it.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn room(&self, asker: &Asker, id: RoomId) -> Result<Value, RoomError> {
        let state = lock(&self.state);
        state.judge(asker, id, Action::See)?;
        let room = state.rooms.get(&id).ok_or(Denied::NotFound)?;
        let mut told = self.whole(id, room);
        told["role"] = match room.record.rank_of(asker.account()) {
            rank if rank.is_member() => rank.name().into(),
            _ => Value::Null,
        };
        let may_watch = can(asker.who, Action::Watch, room.what(asker)).is_ok();
        told["history"] = json!(room.past.as_ref().filter(|_| may_watch));
        Ok(told)
    }

    /// The rooms that somebody is in; the newest first.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn mine(&self, asker: &Asker) -> Result<Vec<Value>, RoomError> {
        can(asker.who, Action::ListMine, What::House)?;
        let state = lock(&self.state);
        if state.key.is_none() {
            return Err(RoomError::Hydrating);
        }
        Ok(self.mine_in(&state, asker.account()))
    }

    fn mine_in(&self, state: &State, account: Option<&str>) -> Vec<Value> {
        let ids = account.and_then(|account| state.of_account.get(account)).into_iter().flatten();
        let rooms = ids.filter_map(|id| Some((*id, state.rooms.get(id)?)));
        let mine = rooms.filter(|(_, room)| room.record.rank_of(account).is_member());
        self.newest(mine.collect())
    }

    /// # Errors
    /// See [`RoomError`].
    pub fn public(&self, asker: &Asker) -> Result<Vec<Value>, RoomError> {
        can(asker.who, Action::ListPublic, What::House)?;
        let state = lock(&self.state);
        if state.key.is_none() {
            return Err(RoomError::Hydrating);
        }
        Ok(self.public_in(&state))
    }

    fn public_in(&self, state: &State) -> Vec<Value> {
        let rooms = state.rooms.iter().map(|(id, room)| (*id, room));
        self.newest(rooms.filter(|(_, room)| room.record.is_public).collect())
    }

    fn newest(&self, mut rooms: Vec<(RoomId, &Room)>) -> Vec<Value> {
        rooms.sort_by_key(|(id, room)| (-room.record.made_unix_ms, *id));
        rooms.truncate(LISTED_COUNT_MAX);
        rooms.into_iter().map(|(id, room)| self.listed(id, room)).collect()
    }

    /// Who is in a room, its owner first.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn members(&self, asker: &Asker, id: RoomId) -> Result<Vec<Value>, RoomError> {
        let (mut members, shows_banned) = {
            let state = lock(&self.state);
            state.judge(asker, id, Action::See)?;
            let room = state.rooms.get(&id).ok_or(Denied::NotFound)?;
            let runs = can(asker.who, Action::Invite, room.what(asker)).is_ok();
            (room.record.members.clone(), runs)
        };
        members.retain(|member| member.rank.is_member() || shows_banned);
        members.sort_by_key(|member| (std::cmp::Reverse(member.rank), member.joined_unix_ms));
        let told = members.iter().map(|member| {
            json!({
                "user_id": *member.account,
                "display_name": self.people.display_name(&member.account),
                "role": member.rank.name(),
                "joined_at": moment(member.joined_unix_ms),
            })
        });
        Ok(told.collect())
    }

    /// With all of its sensors.
    fn whole(&self, id: RoomId, room: &Room) -> Value {
        let mut told = self.listed(id, room);
        told["sensors"] = room.sensors().iter().map(|id| self.directory.told(id)).collect();
        let Features { calls, media, object_3d, whiteboard } = room.record.features;
        told["is_persisted"] = self.store.is_kept().into();
        told["calls_enabled"] = calls.into();
        told["media_playback_enabled"] = media.into();
        told["object_3d_enabled"] = object_3d.into();
        told["whiteboard_enabled"] = whiteboard.into();
        told["updated_at"] = moment(room.record.changed_unix_ms);
        told
    }

    /// As a listing has it: never with its code.
    fn listed(&self, id: RoomId, room: &Room) -> Value {
        let record = &room.record;
        let sensors = room.sensors();
        let shown = sensors.iter().take(LISTED_SENSOR_COUNT_MAX);
        json!({
            "id": id.to_string(),
            "name": *record.name,
            "description": record.description,
            "owner_id": record.owner(),
            "is_public": record.is_public,
            "created_at": moment(record.made_unix_ms),
            "sensors": shown.map(|id| self.directory.told(id)).collect::<Value>(),
            "sensor_count": sensors.len(),
            "member_count": record.member_count(),
            "online_count": room.seats.len(),
        })
    }

    /// What a channel of a room hears first.
    pub(super) fn room_state(&self, id: RoomId, room: &Room) -> String {
        let sensors: Value = room.sensors().iter().map(|id| self.directory.told(id)).collect();
        json!({
            "room_id": id.to_string(),
            "sensors": sensors,
            "member_count": room.record.member_count(),
            "online_count": room.seats.len(),
        })
        .to_string()
    }

    /// And one of the lobby.
    pub(super) fn lobby_state(&self, state: &State, account: Option<&str>) -> String {
        let (mine, public) = (self.mine_in(state, account), self.public_in(state));
        json!({ "my_rooms": mine, "public_rooms": public }).to_string()
    }

    /// Who came, who went.
    pub(super) fn tell(&self, state: &mut State, id: RoomId, news: &[News]) {
        for news in news {
            let (account, event, action, mut said) = match news {
                News::MemberJoined(account, rank) => {
                    (account, "member_joined", "joined", json!({ "role": rank.name() }))
                }
                News::MemberLeft(account, how) => (account, "member_left", *how, json!({})),
            };
            said["room_id"] = id.to_string().into();
            said["user_id"] = (**account).into();
            if let Some(room) = state.rooms.get_mut(&id) {
                let said = said.to_string();
                room.seats.iter_mut().for_each(|seat| seat.push(event, &said));
            }
            let said = json!({ "room_id": id.to_string(), "action": action, "user_id": **account });
            let said = said.to_string();
            let of_theirs = |seat: &&mut super::Seat| seat.account() == Some(account);
            let theirs = state.lobby.iter_mut().filter(of_theirs);
            theirs.for_each(|seat| seat.push("membership_changed", &said));
        }
    }

    /// Which sensors came and went, since there were these; viewers follow.
    pub(super) fn tell_sensors(&self, state: &mut State, id: RoomId, before: &BTreeSet<Box<str>>) {
        let Some(room) = state.rooms.get_mut(&id) else { return };
        let now = room.sensors();
        if now == *before {
            return;
        }
        self.sensor_round.fetch_add(1, Ordering::AcqRel);
        self.directory.gone.notify_one();
        self.directory.came.notify_one();
        let room_id = id.to_string();
        for sensor_id in now.difference(before) {
            let said = json!({ "room_id": room_id, "sensor": self.directory.told(sensor_id) });
            let said = said.to_string();
            room.seats.iter_mut().for_each(|seat| seat.push("sensor_added", &said));
        }
        for sensor_id in before.difference(&now) {
            let said = json!({ "room_id": room_id, "sensor_id": **sensor_id }).to_string();
            room.seats.iter_mut().for_each(|seat| seat.push("sensor_removed", &said));
        }
        self.turn_looks(room);
    }

    /// How a room's past is kept; `None`: it is not. Whether there is such a room.
    pub(crate) fn tell_past(&self, id: RoomId, past: Option<Value>) -> bool {
        let mut state = lock(&self.state);
        let Some(room) = state.rooms.get_mut(&id) else { return false };
        if room.past != past {
            let said = json!({ "room_id": id.to_string(), "history": past }).to_string();
            room.past = past;
            room.seats.iter_mut().for_each(|seat| seat.push("history_changed", &said));
        }
        true
    }

    /// A room has come, changed, or gone: told in each lobby where it was or is seen. `before`: as it
    /// was, if it was there.
    pub(super) fn tell_lobbies(&self, state: &mut State, id: RoomId, before: Option<&RoomRecord>) {
        let State { rooms, lobby, .. } = state;
        if lobby.is_empty() {
            return;
        }
        let room = rooms.get(&id);
        let now = room.map(|room| &room.record);
        let listed = room.map(|room| self.listed(id, room).to_string()).unwrap_or_default();
        let gone = json!({ "room_id": id.to_string() }).to_string();
        for seat in lobby {
            let is_seen = |record: Option<&RoomRecord>| {
                record.is_some_and(|it| it.is_public || it.rank_of(seat.account()).is_member())
            };
            match (is_seen(before), is_seen(now)) {
                (false, true) => seat.push("room_added", &listed),
                (true, true) => seat.push("room_updated", &listed),
                (true, false) => seat.push("room_removed", &gone),
                (false, false) => {}
            }
        }
    }

    /// Everybody who looks on is judged again; whoever may not any more is let go before anything
    /// else is told.
    pub(super) fn recheck(&self, state: &mut State, id: RoomId) {
        // So is who keeps a list of what is live.
        self.directory.gone.notify_one();
        self.directory.came.notify_one();
        let Some(room) = state.rooms.get_mut(&id) else { return };
        let may = |asker: &Asker, record: &RoomRecord| {
            can(asker.who, Action::Watch, record.what(asker.account())).is_ok()
        };
        let record = &room.record;
        let (stay, go) = room.seats.drain(..).partition(|seat| may(&seat.asker, record));
        room.seats = stay;
        self.let_go(room, go);
        let record = &room.record;
        let (stay, go): (Vec<_>, Vec<_>) =
            room.looks.drain(..).partition(|look| may(&look.asker, record));
        room.looks = stay;
        go.iter().for_each(|look| self.viewers.end(look.token));
        self.leave_dark(room);
    }

    /// A room is no more.
    pub(super) fn close(&self, state: &mut State, id: RoomId) {
        let Some(mut room) = state.take(id) else { return };
        self.directory.gone.notify_one();
        state.chat_bytes -= room.chat.bytes();
        let said = json!({ "room_id": id.to_string() }).to_string();
        for seat in &mut room.seats {
            seat.push("room_closed", &said);
            seat.evict(Kicked::Deleted);
        }
        room.looks.drain(..).for_each(|look| self.viewers.end(look.token));
        self.leave_dark(&mut room);
        self.tell_lobbies(state, id, Some(&room.record));
    }
}

/// ISO 8601.
pub(crate) fn moment(unix_ms: i64) -> Value {
    jiff::Timestamp::from_millisecond(unix_ms).map_or(Value::Null, |it| it.to_string().into())
}

//! The channels `room:*` and `lobby:*`: who has one open, what they hear, and who is told that they
//! are there (Phoenix presence, one meta a tab).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::words::Mode;
use super::{Asker, Room, RoomDesk, RoomError, RoomId, SEAT_COUNT_MAX, State, chat, lock};
use crate::can::{Action, Denied, What, can};
use crate::kept::Kept;
use crate::line::Line;
use crate::people::SessionId;
use crate::viewer::words::object;
use crate::viewer::{EventReply, Kick, Kicked, SeatAddress};

/// Who somebody is in a lobby that has not said who they are.
const ANONYMOUS: &str = "anonymous";

/// An open channel.
pub(super) struct Seat {
    serial: u64,
    pub(super) asker: Asker,
    line: Line,
    kick: Option<Kick>,
    mode: Mode,
    /// Changes with the mode, so that a meta is known by it.
    phx_ref: String,
    display_name: Box<str>,
    since_unix_ms: i64,
}

impl Seat {
    pub(super) fn account(&self) -> Option<&str> {
        self.asker.account()
    }

    /// Tells it something. Who does not read is let go: what it knows would have a gap.
    pub(super) fn push(&mut self, event: &str, payload: &str) {
        if self.kick.is_none() {
            return;
        }
        if self.line.push(event, payload).is_err() {
            self.evict(Kicked::LostFrame);
        }
    }

    /// Closes the channel.
    pub(super) fn evict(&mut self, why: Kicked) {
        if let Some(kick) = self.kick.take() {
            kick(why);
        }
    }

    fn held(&self) -> Held {
        let Self { serial, asker, line, .. } = self;
        Held { serial: *serial, asker: asker.clone(), line: line.clone() }
    }

    fn key(&self) -> &str {
        self.account().unwrap_or(ANONYMOUS)
    }

    fn meta(&self) -> Value {
        json!({
            "phx_ref": self.phx_ref,
            "mode": self.mode.name(),
            "display_name": *self.display_name,
            "online_at": self.since_unix_ms,
        })
    }

    fn presence(&self) -> Value {
        json!({ self.key(): { "metas": [self.meta()] } })
    }
}

/// An open channel, held by its socket. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct RoomSeat {
    desk: Arc<RoomDesk>,
    /// `None`: of a lobby.
    room: Option<RoomId>,
    held: Held,
}

/// What a socket knows of its seat.
#[derive(Debug)]
struct Held {
    serial: u64,
    asker: Asker,
    line: Line,
}

/// What is to be pushed behind a join's reply.
pub(crate) type First = Vec<(&'static str, String)>;

/// What a client says as it joins, or later.
#[derive(Deserialize)]
struct Words {
    mode: Option<String>,
}

/// What it says in the chat.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidAgain {
    id: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

/// And asks of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pages {
    before: Option<String>,
    limit: Option<usize>,
}

/// Nothing more is said than the event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The mode in a payload. `Err`: there is none of that name.
fn mode(payload: &RawValue) -> Result<Option<Mode>, ()> {
    let words: Words = read(payload).map_err(|_| ())?;
    words.mode.map(|name| Mode::from_name(&name).ok_or(())).transpose()
}

impl RoomDesk {
    /// A join on `room:<id>`. The error is the reason on the wire; that there is no such room and that
    /// it is not for them are one.
    pub(crate) fn join_room(
        self: &Arc<Self>,
        id: &str,
        asker: Asker,
        params: &RawValue,
        address: SeatAddress,
    ) -> Result<(First, RoomSeat), &'static str> {
        let id = RoomId::parse(id).ok_or("invalid room id")?;
        // `null`, as some clients send for nothing, is `{}`.
        let mode = if params.get() == "null" { Ok(None) } else { mode(params) };
        let mode = mode.map_err(|()| "invalid_mode")?.unwrap_or_default();
        let mut state = lock(&self.state);
        match state.judge(&asker, id, Action::Watch) {
            Ok(()) => {}
            Err(RoomError::Hydrating) => return Err("hydrating"),
            Err(_) => return Err("unauthorized"),
        }
        let seat = self.seat(&mut state, asker, mode, address);
        let held = seat.held();
        let room = state.rooms.get_mut(&id).ok_or("unauthorized")?;
        if !mode.is_on(room.record.features) {
            return Err("mode_is_off");
        }
        if room.seats.len() >= SEAT_COUNT_MAX {
            return Err("room_full");
        }
        let diff = json!({ "joins": seat.presence(), "leaves": {} }).to_string();
        room.seats.iter_mut().for_each(|other| other.push("presence_diff", &diff));
        room.seats.push(seat);
        let mut present = json!({});
        for seat in &room.seats {
            match present.get_mut(seat.key()) {
                Some(known) => known["metas"].as_array_mut().into_iter().for_each(|metas| {
                    metas.push(seat.meta());
                }),
                None => present[seat.key()] = json!({ "metas": [seat.meta()] }),
            }
        }
        let first = vec![
            ("room_state", self.room_state(id, room)),
            ("presence_state", present.to_string()),
        ];
        Ok((first, RoomSeat { desk: Arc::clone(self), room: Some(id), held }))
    }

    /// A join on `lobby:<user id>`: one's own only.
    pub(crate) fn join_lobby(
        self: &Arc<Self>,
        whose: &str,
        asker: Asker,
        address: SeatAddress,
    ) -> Result<(First, RoomSeat), &'static str> {
        if whose != asker.account().unwrap_or(ANONYMOUS)
            || can(asker.who, Action::ListPublic, What::House).is_err()
        {
            return Err("unauthorized");
        }
        let mut state = lock(&self.state);
        if state.key.is_none() {
            return Err("hydrating");
        }
        let first = vec![("lobby_state", self.lobby_state(&state, asker.account()))];
        let seat = self.seat(&mut state, asker, Mode::default(), address);
        let held = seat.held();
        state.lobby.push(seat);
        Ok((first, RoomSeat { desk: Arc::clone(self), room: None, held }))
    }

    fn seat(&self, state: &mut State, asker: Asker, mode: Mode, address: SeatAddress) -> Seat {
        let (line, kick) = Line::new(address);
        state.next_serial += 1;
        let name = asker.account().and_then(|account| self.people.display_name(account));
        Seat {
            serial: state.next_serial,
            asker,
            line,
            kick: Some(kick),
            mode,
            phx_ref: format!("{:x}", state.next_serial),
            display_name: name.unwrap_or_else(|| "Visitor".into()),
            since_unix_ms: self.clock.now().unix_ms,
        }
    }

    fn leave_seat(&self, room: Option<RoomId>, serial: u64) {
        let mut state = lock(&self.state);
        let Some(id) = room else {
            return state.lobby.retain(|seat| seat.serial != serial);
        };
        let Some(room) = state.rooms.get_mut(&id) else { return };
        let (go, stay) = room.seats.drain(..).partition(|seat| seat.serial == serial);
        room.seats = stay;
        self.let_go(room, go);
    }

    /// Those are out of the room's seats already: they are closed, and the others hear of it.
    pub(super) fn let_go(&self, room: &mut Room, gone: Vec<Seat>) {
        for mut seat in gone {
            seat.evict(Kicked::Deleted);
            let diff = json!({ "joins": {}, "leaves": seat.presence() }).to_string();
            room.seats.iter_mut().for_each(|other| other.push("presence_diff", &diff));
        }
    }

    fn set_mode(&self, id: RoomId, serial: u64, mode: Mode) -> Result<(), &'static str> {
        let mut state = lock(&self.state);
        state.next_serial += 1;
        let phx_ref = format!("{:x}", state.next_serial);
        let room = state.rooms.get_mut(&id).ok_or("unauthorized")?;
        if !mode.is_on(room.record.features) {
            return Err("mode_is_off");
        }
        let at = room.seats.iter().position(|seat| seat.serial == serial).ok_or("unauthorized")?;
        let leaves = room.seats[at].presence();
        room.seats[at].mode = mode;
        room.seats[at].phx_ref = phx_ref;
        let diff = json!({ "joins": room.seats[at].presence(), "leaves": leaves }).to_string();
        room.seats.iter_mut().for_each(|seat| seat.push("presence_diff", &diff));
        Ok(())
    }

    /// Sessions that are over: whoever was let in by them is let go.
    pub fn end_sessions(&self, over: &[SessionId]) {
        let is_over = |seat: &Seat| seat.asker.session.is_some_and(|it| over.contains(&it));
        let mut state = lock(&self.state);
        let State { rooms, lobby, .. } = &mut *state;
        for seat in lobby.iter_mut().filter(|seat| is_over(seat)) {
            seat.evict(Kicked::Deleted);
        }
        lobby.retain(|seat| !is_over(seat));
        for room in rooms.values_mut().filter(|room| room.seats.iter().any(is_over)) {
            let (go, stay) = room.seats.drain(..).partition(|seat| is_over(seat));
            room.seats = stay;
            self.let_go(room, go);
        }
    }

    /// A device of a member measures in the room from now on.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub(crate) fn bring(
        &self,
        asker: &Asker,
        id: RoomId,
        sensor_id: &str,
    ) -> Result<(), RoomError> {
        let mut state = lock(&self.state);
        state.judge(asker, id, Action::BringSensor)?;
        let Some(room) = state.rooms.get_mut(&id) else { return Ok(()) };
        let before = room.sensors();
        if before.len() >= super::SENSOR_COUNT_MAX && !before.contains(sensor_id) {
            return Err(RoomError::TooMany("sensors"));
        }
        *room.brought.entry(sensor_id.into()).or_default() += 1;
        self.tell_sensors(&mut state, id, &before);
        Ok(())
    }

    /// The sensors of an act of the simulator measure in the room from now on, if they do not yet.
    /// `asker`: who started it; `None`: whoever runs the server.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub(crate) fn settle_act(
        &self,
        asker: Option<&Asker>,
        id: RoomId,
        act: &Arc<str>,
        sensors: &Arc<[Box<str>]>,
    ) -> Result<(), RoomError> {
        let mut state = lock(&self.state);
        match asker {
            Some(asker) => state.judge(asker, id, Action::BringSensor)?,
            None if state.key.is_none() => return Err(RoomError::Hydrating),
            None => {}
        }
        let room = state.rooms.get_mut(&id).ok_or(RoomError::Denied(Denied::NotFound))?;
        if room.acts.get(act).is_some_and(|there| Arc::ptr_eq(there, sensors)) {
            return Ok(());
        }
        let before = room.sensors();
        let more = sensors.iter().filter(|sensor| !before.contains(*sensor)).count();
        if before.len() + more > super::SENSOR_COUNT_MAX {
            return Err(RoomError::TooMany("sensors"));
        }
        room.acts.insert(Arc::clone(act), Arc::clone(sensors));
        self.tell_sensors(&mut state, id, &before);
        Ok(())
    }

    /// And no longer, if they did.
    pub(crate) fn unsettle_act(&self, id: RoomId, act: &str) {
        let mut state = lock(&self.state);
        let Some(room) = state.rooms.get_mut(&id) else { return };
        let before = room.sensors();
        if room.acts.remove(act).is_some() {
            self.tell_sensors(&mut state, id, &before);
        }
    }

    /// Whether there is such a room; `None`: that is not known yet.
    pub(crate) fn is_there(&self, id: RoomId) -> Option<bool> {
        let state = lock(&self.state);
        state.key.as_ref().map(|_| state.rooms.contains_key(&id))
    }

    /// And no longer.
    pub(crate) fn take_away(&self, id: RoomId, sensor_id: &str) {
        let mut state = lock(&self.state);
        let Some(room) = state.rooms.get_mut(&id) else { return };
        let before = room.sensors();
        if let Some(count) = room.brought.get_mut(sensor_id) {
            *count -= 1;
            if *count == 0 {
                room.brought.remove(sensor_id);
            }
        }
        self.tell_sensors(&mut state, id, &before);
    }
}

impl RoomSeat {
    /// What a client says on its channel.
    pub(crate) fn event(
        &self,
        event: &str,
        reference: Option<&RawValue>,
        payload: &RawValue,
    ) -> EventReply {
        let outcome = match (event, self.room) {
            ("ping", _) => return EventReply::Ok(payload.to_owned()),
            ("set_mode", Some(room)) => self.set_mode(room, payload),
            _ => self.chat(event, reference, payload),
        };
        match outcome {
            Ok(Some(said)) => raw(&said).map_or(EventReply::Silent, EventReply::Ok),
            Ok(None) => EventReply::Silent,
            Err(said) => raw(&said).map_or(EventReply::Silent, EventReply::Error),
        }
    }

    fn set_mode(&self, room: RoomId, payload: &RawValue) -> Result<Option<Value>, Value> {
        let mode = mode(payload).ok().flatten().ok_or_else(|| reason("invalid_mode"))?;
        self.desk.set_mode(room, self.held.serial, mode).map_err(reason)?;
        Ok(Some(json!({})))
    }

    /// `Ok(None)`: the answer comes when it is on the disk, or soon.
    fn chat(
        &self,
        event: &str,
        reference: Option<&RawValue>,
        payload: &RawValue,
    ) -> Result<Option<Value>, Value> {
        // The session may be over, and this channel not closed yet.
        if self.held.asker.session.is_some_and(|session| !self.desk.people.is_open(session)) {
            return Err(reason("unauthorized"));
        }
        let (desk, asker, place) = (&self.desk, &self.held.asker, self.room);
        let no = |error: RoomError| error.said();
        let (told, kept) = match event {
            "chat_message" => {
                let Said { content } = read(payload)?;
                let (message, kept) = desk.say(asker, place, &content).map_err(no)?;
                (json!({ "message": message }), kept)
            }
            "chat_edit" => {
                let SaidAgain { id, content } = read(payload)?;
                let (message, kept) = desk.say_again(asker, place, &id, &content).map_err(no)?;
                (json!({ "message": message }), kept)
            }
            "chat_delete" => {
                let Named { id } = read(payload)?;
                (json!({}), desk.unsay(asker, place, &id).map_err(no)?)
            }
            "chat_history" => {
                let Pages { before, limit } = read(payload)?;
                let page = chat::Page::of(before.as_deref(), limit);
                let page = page.ok_or_else(|| reason("invalid_payload"))?;
                return desk.said(asker, place, page).map(Some).map_err(no);
            }
            "typing" => {
                let Nothing {} = read(payload)?;
                return desk.types(asker, place).map(|()| Some(json!({}))).map_err(no);
            }
            _ => return Err(reason("unknown_event")),
        };
        self.answer_later(reference, told, kept);
        Ok(None)
    }

    /// Whoever has said something hears that it is kept.
    fn answer_later(&self, reference: Option<&RawValue>, mut told: Value, kept: Kept) {
        let (desk, line) = (Arc::clone(&self.desk), self.held.line.clone());
        let reference = reference.map(ToOwned::to_owned);
        tokio::spawn(async move {
            told["durable"] = desk.wait(kept).await.into();
            // A channel that does not read is let go by what is pushed there.
            let _ = line.reply(reference.as_deref(), &told.to_string());
        });
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, Value> {
    let words = object(payload.get()).and_then(|text| serde_json::from_str(text).ok());
    words.ok_or_else(|| reason("invalid_payload"))
}

fn reason(reason: &str) -> Value {
    json!({ "reason": reason })
}

fn raw(said: &Value) -> Option<Box<RawValue>> {
    RawValue::from_string(said.to_string()).ok()
}

impl Drop for RoomSeat {
    fn drop(&mut self) {
        self.desk.leave_seat(self.room, self.held.serial);
    }
}

//! Rooms: who is in which, which sensors are there, who looks on, and what they hear of it.
//!
//! A room is one record in the store and one row here. A row has no timer, no task and no buffer: an
//! idle room costs its bytes. Whatever changes is judged by [`can`](crate::can), changed as a whole,
//! told to who looks on, and then everybody who looks on is judged again. What is promised is in
//! `docs/rooms.md`.

pub mod api;
pub mod chat;
mod document;
mod found;
mod invite;
mod looks;
mod members;
pub mod record;
mod refusal;
mod seats;
mod ticket;
mod told;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::id::RoomId as LiveRoom;
use serde_json::{Value, json};

use crate::can::{Action, Denied, Rank, What, Who, can};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::kept::Kept;
use crate::people::{AccountId, People, SessionId};
use crate::search::marks::Marks;
use crate::secret::{self, Digest, NoRandom};
use crate::store::{Change, Entry, Expect, ReadError, Refused, Store, Table};
use crate::viewer::{DeskError, ViewerDesk};
use chat::record::MessageRecord;
use chat::{Chat, ChatError, Pace};
use document::DocumentError;
use looks::Look;
use record::{Features, Member, RoomRecord, TicketKeyRecord};
use seats::Seat;
pub(crate) use seats::{First, RoomSeat};
use ticket::{TicketError, TicketKey};
pub(crate) use told::moment;
pub use words::{Mode, WordError};

/// Rooms at once, and of one owner.
pub const ROOM_COUNT_MAX: usize = 10_000;
pub const ROOM_COUNT_PER_OWNER_MAX: usize = 100;

/// Who is in a room, those who were sent away included.
pub const MEMBER_COUNT_MAX: usize = 1000;

/// Sensors of a room.
pub const SENSOR_COUNT_MAX: usize = 1000;

/// Channels and viewers of one room.
pub const SEAT_COUNT_MAX: usize = 1000;

/// Of the public rooms, those that a listing has, the newest; and of each, so many sensors.
pub const LISTED_COUNT_MAX: usize = 200;
pub const LISTED_SENSOR_COUNT_MAX: usize = 16;

/// A room's name to others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub(crate) [u8; 16]);

impl RoomId {
    pub fn parse(text: &str) -> Option<Self> {
        // Other forms of the same id would be other topics.
        let id = uuid::Uuid::parse_str(text).ok().filter(|id| id.to_string() == text);
        id.map(|id| Self(*id.as_bytes()))
    }

    /// Of its random bits, as much as tells a few thousand rooms apart.
    pub fn short(&self) -> String {
        let [.., a, b, c, d] = self.0;
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    pub who: Who,
    /// If they are signed in.
    pub id: Option<AccountId>,
    pub session: Option<SessionId>,
}

impl Asker {
    fn account(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomError {
    Denied(Denied),
    /// What the store knows is not here yet.
    Hydrating,
    Word(WordError),
    /// There are as many as may be of these.
    TooMany(&'static str),
    /// There is no such sensor in it, or it is there already.
    Sensor(&'static str),
    Ticket(TicketError),
    Document(DocumentError),
    Chat(ChatError),
    NoRandom,
    Refused(Refused),
    /// The viewers' desk does not take it.
    Desk(DeskError),
}

impl RoomError {
    /// As a channel says it.
    fn said(&self) -> Value {
        let reason = match self {
            // That there is none, and that it is not for them, are one.
            Self::Denied(Denied::NotFound | Denied::SignIn) => "unauthorized",
            Self::Denied(Denied::Forbidden(why)) | Self::Sensor(why) => why,
            Self::Hydrating => "hydrating",
            Self::Word(_) | Self::Ticket(_) | Self::Document(_) => "invalid_payload",
            Self::TooMany(_) => "too_many",
            Self::Chat(ChatError::TooFast { retry_ms }) => {
                return json!({ "reason": "too_fast", "retry_after_ms": retry_ms });
            }
            Self::Chat(error) => error.reason(),
            Self::NoRandom => "no_random",
            Self::Refused(_) => "store_unavailable",
            Self::Desk(_) => "busy",
        };
        json!({ "reason": reason })
    }
}

impl From<Denied> for RoomError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<WordError> for RoomError {
    fn from(error: WordError) -> Self {
        Self::Word(error)
    }
}

impl From<DocumentError> for RoomError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<NoRandom> for RoomError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

/// What a room is to be called, and to be. `None`: as it is, or as is usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    pub name: Option<String>,
    /// `Some(None)`: none.
    pub description: Option<Option<String>>,
    pub is_public: Option<bool>,
    pub calls: Option<bool>,
    pub media: Option<bool>,
    pub object_3d: Option<bool>,
    pub whiteboard: Option<bool>,
}

pub(super) struct Room {
    record: RoomRecord,
    /// What devices brought along, by how many feeds.
    brought: BTreeMap<Box<str>, usize>,
    /// What acts of the simulator measure here.
    acts: BTreeMap<Arc<str>, Arc<[Box<str>]>>,
    seats: Vec<Seat>,
    looks: Vec<Look>,
    /// In the engine, while somebody looks on.
    live: Option<LiveRoom>,
    /// What is said of its past; `None`: it is not kept.
    past: Option<Value>,
    chat: Chat,
}

impl Room {
    fn new(record: RoomRecord) -> Self {
        Self {
            record,
            brought: BTreeMap::new(),
            acts: BTreeMap::new(),
            seats: Vec::new(),
            looks: Vec::new(),
            live: None,
            past: None,
            chat: Chat::default(),
        }
    }

    /// Of what is there, each once.
    fn sensors(&self) -> BTreeSet<Box<str>> {
        let acted = self.acts.values().flat_map(|sensors| sensors.iter());
        self.record.sensors.iter().chain(self.brought.keys()).chain(acted).cloned().collect()
    }

    fn what(&self, asker: &Asker) -> What {
        self.record.what(asker.account())
    }
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, Room>,
    codes: HashMap<Digest, RoomId>,
    /// In which rooms somebody is.
    of_account: HashMap<Box<str>, BTreeSet<RoomId>>,
    lobby: Vec<Seat>,
    /// What is said to everybody.
    chat: Chat,
    /// Of all that was said, there and in rooms.
    chat_bytes: usize,
    pace: Pace,
    key: Option<TicketKey>,
    /// For search.
    changed: Marks<RoomId>,
    /// Grows with each change of who is where.
    round: Arc<AtomicU64>,
    /// Grows with each change of what is measured where, and of which rooms there are.
    sensor_round: Arc<AtomicU64>,
    next_serial: u64,
}

/// What is to be told of a change, beside that there was one.
enum News {
    MemberJoined(Box<str>, Rank),
    MemberLeft(Box<str>, &'static str),
}

/// See the module.
pub struct RoomDesk {
    state: Mutex<State>,
    round: Arc<AtomicU64>,
    sensor_round: Arc<AtomicU64>,
    store: Store,
    table: Table<RoomRecord>,
    keys: Table<TicketKeyRecord>,
    messages: Table<MessageRecord>,
    people: Arc<People>,
    viewers: Arc<ViewerDesk>,
    pub(crate) directory: Arc<Directory>,
    clock: Clock,
}

impl fmt::Debug for RoomDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomDesk({})", lock(&self.state).rooms.len())
    }
}

/// What there is, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub rooms: usize,
    pub seats: usize,
    pub viewers: usize,
    pub lobbies: usize,
    pub chat_bytes: usize,
}

impl RoomDesk {
    pub fn new(
        store: Store,
        people: Arc<People>,
        viewers: Arc<ViewerDesk>,
        directory: Arc<Directory>,
        clock: Clock,
    ) -> Arc<Self> {
        let state = State::default();
        let (round, sensor_round) = (Arc::clone(&state.round), Arc::clone(&state.sensor_round));
        Arc::new(Self {
            state: Mutex::new(state),
            round,
            sensor_round,
            table: store.table(),
            keys: store.table(),
            messages: store.table(),
            store,
            people,
            viewers,
            directory,
            clock,
        })
    }

    /// Takes over what another server has left in the store; how many. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn hydrate(&self) -> Result<usize, ReadError> {
        let rooms = self.table.all()?;
        let keys = self.keys.all()?;
        let messages = self.messages.all()?;
        let mut state = lock(&self.state);
        // What is damaged the store has counted and told of.
        for Entry { key, record, .. } in rooms.into_iter().flatten() {
            if let Ok(id) = <[u8; 16]>::try_from(&*key) {
                state.put(RoomId(id), record);
            }
        }
        let messages = messages.into_iter().flatten().collect();
        let over = self.take_up(&mut state, messages, self.clock.now());
        if !over.is_empty() {
            // What is not taken away now is not taken up by the next server either.
            let _ = self.store.write(over);
        }
        let known = keys.into_iter().flatten().next().map(|entry| entry.record.secret);
        let secret = match known {
            Some(secret) => Some(secret),
            None => secret::random().ok().inspect(|secret| {
                let record = TicketKeyRecord { secret: *secret };
                // Tickets of a key that is not kept end with this server.
                let _ = self.store.write(vec![self.keys.put(b"key", &record, Expect::Any)]);
            }),
        };
        state.key = secret.map(TicketKey);
        state.sensor_round.fetch_add(1, Ordering::AcqRel);
        Ok(state.rooms.len())
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn create(
        &self,
        asker: &Asker,
        wishes: &Wishes,
    ) -> Result<(RoomId, bool), RoomError> {
        self.make(asker, wishes, |_| Ok(())).await
    }

    /// A room, and what more there is to say of it.
    async fn make(
        &self,
        asker: &Asker,
        wishes: &Wishes,
        more: impl FnOnce(&mut RoomRecord) -> Result<(), RoomError>,
    ) -> Result<(RoomId, bool), RoomError> {
        can(asker.who, Action::Create, What::House)?;
        let owner: Box<str> = asker.account().ok_or(Denied::SignIn)?.into();
        let id = RoomId(*uuid::Builder::from_random_bytes(secret::random()?).as_uuid().as_bytes());
        let now = self.clock.now().unix_ms;
        let mut record = RoomRecord {
            name: "Untitled Room".into(),
            description: None,
            is_public: true,
            code: Box::default(),
            ticket_round: 0,
            features: Features::default(),
            members: vec![Member { account: owner, rank: Rank::Owner, joined_unix_ms: now }],
            sensors: Vec::new(),
            made_unix_ms: now,
            changed_unix_ms: now,
            version: 1,
            notes: None,
        };
        words::apply(wishes, &mut record)?;
        more(&mut record)?;
        let kept = {
            let mut state = lock(&self.state);
            if state.key.is_none() {
                return Err(RoomError::Hydrating);
            }
            if state.rooms.len() >= ROOM_COUNT_MAX {
                return Err(RoomError::TooMany("rooms"));
            }
            if state.owned_by(record.owner()) >= ROOM_COUNT_PER_OWNER_MAX {
                return Err(RoomError::TooMany("rooms of one owner"));
            }
            record.code = state.new_code()?;
            let change = self.table.put(&id.0, &record, Expect::Absent);
            let kept = self.hand_over(vec![change])?;
            state.put(id, record);
            self.tell_lobbies(&mut state, id, None);
            kept
        };
        Ok((id, self.wait(kept).await))
    }

    /// Renames, opens, closes it, turns something on or off.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn edit(
        &self,
        asker: &Asker,
        id: RoomId,
        wishes: &Wishes,
    ) -> Result<bool, RoomError> {
        let edit = |record: &mut RoomRecord| {
            words::apply(wishes, record)?;
            Ok(Vec::new())
        };
        self.act(asker, id, Action::Edit, edit).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn delete(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let kept = {
            let mut state = lock(&self.state);
            state.judge(asker, id, Action::Delete)?;
            let kept = self.hand_over(self.removal(&state, id))?;
            self.close(&mut state, id);
            kept
        };
        Ok(self.wait(kept).await)
    }

    /// The changes that leave nothing of a room.
    fn removal(&self, state: &State, id: RoomId) -> Vec<Change> {
        let mut changes = vec![self.table.delete(&id.0, Expect::Any)];
        if let Some(room) = state.rooms.get(&id) {
            changes.extend(self.silence(id, &room.chat));
        }
        changes
    }

    /// Judges, changes and keeps; whether it is on the disk.
    async fn act(
        &self,
        asker: &Asker,
        id: RoomId,
        action: Action,
        change: impl FnOnce(&mut RoomRecord) -> Result<Vec<News>, RoomError>,
    ) -> Result<bool, RoomError> {
        let kept = {
            let mut state = lock(&self.state);
            state.judge(asker, id, action)?;
            self.change(&mut state, id, change)?
        };
        Ok(self.wait(kept).await)
    }

    /// Changes a room as a whole: kept, then told, then everybody who looks on is judged again.
    fn change(
        &self,
        state: &mut State,
        id: RoomId,
        change: impl FnOnce(&mut RoomRecord) -> Result<Vec<News>, RoomError>,
    ) -> Result<Kept, RoomError> {
        let room = state.rooms.get(&id).ok_or(Denied::NotFound)?;
        let before = room.record.clone();
        let mut record = before.clone();
        let news = change(&mut record)?;
        record.changed_unix_ms = self.clock.now().unix_ms;
        record.version += 1;
        let kept = self.hand_over(vec![self.table.put(&id.0, &record, Expect::Any)])?;
        let sensors = room.sensors();
        state.put(id, record);
        self.tell(state, id, &news);
        // Whoever may not look on any more hears nothing of what comes now.
        self.recheck(state, id);
        self.tell_sensors(state, id, &sensors);
        self.tell_lobbies(state, id, Some(&before));
        Ok(kept)
    }

    /// What the store refuses at once is not done.
    fn hand_over(&self, changes: Vec<Change>) -> Result<Kept, RoomError> {
        Kept::hand_over(&self.store, changes).map_err(RoomError::Refused)
    }

    async fn wait(&self, kept: Kept) -> bool {
        kept.wait(&self.store).await
    }

    pub fn figures(&self) -> Figures {
        let state = lock(&self.state);
        Figures {
            rooms: state.rooms.len(),
            seats: state.rooms.values().map(|room| room.seats.len()).sum(),
            viewers: state.rooms.values().map(|room| room.looks.len()).sum(),
            lobbies: state.lobby.len(),
            chat_bytes: state.chat_bytes,
        }
    }
}

impl State {
    /// Puts a room there, or another record of one that is.
    fn put(&mut self, id: RoomId, record: RoomRecord) {
        self.changed.mark(&id);
        if let Some(room) = self.rooms.get(&id) {
            self.codes.remove(&Digest::of(&room.record.code));
            for member in &room.record.members {
                if let Some(rooms) = self.of_account.get_mut(&member.account) {
                    rooms.remove(&id);
                    if rooms.is_empty() {
                        self.of_account.remove(&member.account);
                    }
                }
            }
        }
        self.codes.insert(Digest::of(&record.code), id);
        for member in &record.members {
            self.of_account.entry(member.account.clone()).or_default().insert(id);
        }
        match self.rooms.get_mut(&id) {
            Some(room) => room.record = record,
            None => drop(self.rooms.insert(id, Room::new(record))),
        }
        self.round.fetch_add(1, Ordering::AcqRel);
        self.sensor_round.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes a room away.
    fn take(&mut self, id: RoomId) -> Option<Room> {
        let record = self.rooms.get(&id)?.record.clone();
        let nobody = RoomRecord { members: Vec::new(), ..record };
        self.put(id, nobody);
        let room = self.rooms.remove(&id)?;
        self.codes.remove(&Digest::of(&room.record.code));
        Some(room)
    }

    fn judge(&self, asker: &Asker, id: RoomId, action: Action) -> Result<(), RoomError> {
        if self.key.is_none() {
            return Err(RoomError::Hydrating);
        }
        let what = self.rooms.get(&id).map_or(What::Nothing, |room| room.what(asker));
        Ok(can(asker.who, action, what)?)
    }

    fn owned_by(&self, account: &str) -> usize {
        let rooms = self.of_account.get(account).into_iter().flatten();
        rooms.filter(|id| self.rooms.get(id).is_some_and(|it| it.record.owner() == account)).count()
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

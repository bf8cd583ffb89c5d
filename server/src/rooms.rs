//! Rooms: who is in which, which sensors are there, who looks on, and what they hear of it.
//!
//! A room is one record in the store and one row here. A row has no timer, no task and no buffer: an
//! idle room costs its bytes. Whatever changes is judged by [`can`](crate::can), changed as a whole,
//! told to who looks on, and then everybody who looks on is judged again. What is promised is in
//! `docs/rooms.md`.

pub mod api;
mod looks;
pub mod record;
mod seats;
mod ticket;
mod told;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::can::{Action, Denied, Rank, What, Who, can};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::people::{AccountId, People, SessionId};
use crate::secret::{self, Digest, NoRandom};
use crate::store::record::Revision;
use crate::store::{Change, Entry, Expect, ReadError, Refused, Store, Table};
use crate::viewer::{DeskError, ViewerDesk};
use looks::Look;
use record::{Features, Member, RoomRecord, TicketKeyRecord};
use seats::Seat;
pub(crate) use seats::{First, RoomSeat};
use ticket::{Ticket, TicketError, TicketKey};
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

/// Letters of a code, without those that are taken for others.
const CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LENGTH: usize = 8;

/// What nobody waits for longer: the answer says then that it is not on the disk yet.
const KEEP_PATIENCE: Duration = Duration::from_secs(1);

/// A room's name to others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub(crate) [u8; 16]);

impl RoomId {
    pub fn parse(text: &str) -> Option<Self> {
        // Other forms of the same id would be other topics.
        let id = uuid::Uuid::parse_str(text).ok().filter(|id| id.to_string() == text);
        id.map(|id| Self(*id.as_bytes()))
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
    NoRandom,
    Refused(Refused),
    /// The viewers' desk does not take it.
    Desk(DeskError),
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
    seats: Vec<Seat>,
    looks: Vec<Look>,
}

impl Room {
    fn new(record: RoomRecord) -> Self {
        Self { record, brought: BTreeMap::new(), seats: Vec::new(), looks: Vec::new() }
    }

    /// Of what is there, each once.
    fn sensors(&self) -> BTreeSet<Box<str>> {
        self.record.sensors.iter().chain(self.brought.keys()).cloned().collect()
    }

    fn what(&self, asker: &Asker) -> What {
        let rank = self.record.rank_of(asker.account());
        What::Room { is_public: self.record.is_public, rank }
    }
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, Room>,
    codes: HashMap<Digest, RoomId>,
    /// In which rooms somebody is.
    of_account: HashMap<Box<str>, BTreeSet<RoomId>>,
    lobby: Vec<Seat>,
    key: Option<TicketKey>,
    next_serial: u64,
}

/// What is to be told of a change, beside that there was one.
enum News {
    MemberJoined(Box<str>, Rank),
    MemberLeft(Box<str>, &'static str),
}

/// A change on its way to the disk.
type Kept = Pin<Box<dyn Future<Output = Result<Revision, Refused>> + Send>>;

/// See the module.
pub struct RoomDesk {
    state: Mutex<State>,
    store: Store,
    table: Table<RoomRecord>,
    keys: Table<TicketKeyRecord>,
    people: Arc<People>,
    viewers: Arc<ViewerDesk>,
    directory: Arc<Directory>,
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
}

impl RoomDesk {
    pub fn new(
        store: Store,
        people: Arc<People>,
        viewers: Arc<ViewerDesk>,
        directory: Arc<Directory>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            table: store.table(),
            keys: store.table(),
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
        let mut state = lock(&self.state);
        // What is damaged the store has counted and told of.
        for Entry { key, record, .. } in rooms.into_iter().flatten() {
            if let Ok(id) = <[u8; 16]>::try_from(&*key) {
                state.put(RoomId(id), record);
            }
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
        Ok(state.rooms.len())
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn create(
        &self,
        asker: &Asker,
        wishes: &Wishes,
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
        };
        words::apply(wishes, &mut record)?;
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

    /// A new code; the old one and all tickets are void.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn renew_code(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let code = lock(&self.state).new_code()?;
        let renew = |record: &mut RoomRecord| {
            record.code = code;
            record.ticket_round += 1;
            Ok(Vec::new())
        };
        self.act(asker, id, Action::RenewCode, renew).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn delete(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let kept = {
            let mut state = lock(&self.state);
            state.judge(asker, id, Action::Delete)?;
            let kept = self.hand_over(vec![self.table.delete(&id.0, Expect::Any)])?;
            self.close(&mut state, id);
            kept
        };
        Ok(self.wait(kept).await)
    }

    /// Into a public room.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn join(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        self.enter(asker, id, Action::Join).await
    }

    /// Into whichever room has this code. That nobody has it, and that it is not for them, are one
    /// answer.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn join_by_code(
        &self,
        asker: &Asker,
        code: &str,
    ) -> Result<(RoomId, bool), RoomError> {
        let id = self.by_code(code).ok_or(Denied::NotFound)?;
        Ok((id, self.enter(asker, id, Action::JoinInvited).await?))
    }

    fn by_code(&self, code: &str) -> Option<RoomId> {
        let code = code.trim().to_ascii_uppercase();
        lock(&self.state).codes.get(&Digest::of(&code)).copied()
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn join_by_ticket(
        &self,
        asker: &Asker,
        encoded: &str,
    ) -> Result<(RoomId, bool), RoomError> {
        let (ticket, is_good) = self.verify(encoded)?;
        let id = RoomId::parse(&ticket.room_id).filter(|_| is_good).ok_or(Denied::NotFound)?;
        Ok((id, self.enter(asker, id, Action::JoinInvited).await?))
    }

    async fn enter(&self, asker: &Asker, id: RoomId, action: Action) -> Result<bool, RoomError> {
        let now = self.clock.now().unix_ms;
        let account = asker.id.clone();
        let enter = |record: &mut RoomRecord| {
            let account: Box<str> = account.as_deref().ok_or(Denied::SignIn)?.into();
            if record.members.len() >= MEMBER_COUNT_MAX {
                return Err(RoomError::TooMany("members"));
            }
            let rank = Rank::Member;
            record.members.push(Member { account: account.clone(), rank, joined_unix_ms: now });
            Ok(vec![News::MemberJoined(account, rank)])
        };
        self.act(asker, id, action, enter).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn leave(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let account = asker.id.clone();
        let leave = |record: &mut RoomRecord| {
            let account: Box<str> = account.as_deref().ok_or(Denied::SignIn)?.into();
            record.members.retain(|member| member.account != account);
            Ok(vec![News::MemberLeft(account, "left")])
        };
        self.act(asker, id, Action::Leave, leave).await
    }

    /// Promotes, demotes, sends away or pardons somebody.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn change_member(
        &self,
        asker: &Asker,
        id: RoomId,
        account: &str,
        action: Action,
    ) -> Result<bool, RoomError> {
        let kept = {
            let mut state = lock(&self.state);
            let what = match state.rooms.get(&id) {
                None => What::Nothing,
                Some(Room { record, .. }) => What::Member {
                    is_public: record.is_public,
                    rank: record.rank_of(asker.account()),
                    theirs: record.rank_of(Some(account)),
                    is_oneself: asker.account() == Some(account),
                    is_guest: account.starts_with("guest_"),
                },
            };
            can(asker.who, action, what)?;
            let change = |record: &mut RoomRecord| {
                let at = record.members.iter().position(|member| &*member.account == account);
                let Some(at) = at else { return Err(Denied::NotFound.into()) };
                let rank = match action {
                    Action::Promote => Rank::Admin,
                    Action::Demote => Rank::Member,
                    Action::Kick => Rank::Banned,
                    _ => {
                        record.members.remove(at);
                        return Ok(Vec::new());
                    }
                };
                record.members[at].rank = rank;
                let is_kick = action == Action::Kick;
                Ok(Vec::from_iter(is_kick.then(|| News::MemberLeft(account.into(), "kicked"))))
            };
            self.change(&mut state, id, change)?
        };
        Ok(self.wait(kept).await)
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn add_sensor(
        &self,
        asker: &Asker,
        id: RoomId,
        sensor_id: &str,
    ) -> Result<bool, RoomError> {
        let add = |record: &mut RoomRecord| {
            if record.sensors.iter().any(|there| &**there == sensor_id) {
                return Err(RoomError::Sensor("already_added"));
            }
            if record.sensors.len() >= SENSOR_COUNT_MAX {
                return Err(RoomError::TooMany("sensors"));
            }
            record.sensors.push(sensor_id.into());
            Ok(Vec::new())
        };
        self.act(asker, id, Action::AddSensor, add).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn remove_sensor(
        &self,
        asker: &Asker,
        id: RoomId,
        sensor_id: &str,
    ) -> Result<bool, RoomError> {
        let remove = |record: &mut RoomRecord| {
            let before = record.sensors.len();
            record.sensors.retain(|there| &**there != sensor_id);
            if record.sensors.len() == before {
                return Err(RoomError::Sensor("not_in_room"));
            }
            Ok(Vec::new())
        };
        self.act(asker, id, Action::RemoveSensor, remove).await
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
        let mut kept: Kept = Box::pin(self.store.commit(changes));
        match kept.as_mut().now_or_never() {
            Some(Err(refused)) => Err(RoomError::Refused(refused)),
            Some(Ok(revision)) => Ok(Box::pin(std::future::ready(Ok(revision)))),
            None => Ok(kept),
        }
    }

    async fn wait(&self, kept: Kept) -> bool {
        matches!(timeout(KEEP_PATIENCE, kept).await, Ok(Ok(_))) && self.store.is_kept()
    }

    /// A ticket for this room.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn ticket(&self, asker: &Asker, id: RoomId, seconds: u64) -> Result<Ticket, RoomError> {
        let state = lock(&self.state);
        // A public room's is no secret: whoever sees the room may come in.
        let is_public = state.rooms.get(&id).is_some_and(|room| room.record.is_public);
        let action = if is_public { Action::See } else { Action::Invite };
        state.judge(asker, id, action)?;
        self.issue(&state, id, seconds)
    }

    /// A ticket for who knows the code.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn ticket_by_code(&self, code: &str, seconds: u64) -> Result<Ticket, RoomError> {
        let id = self.by_code(code).ok_or(Denied::NotFound)?;
        self.issue(&lock(&self.state), id, seconds)
    }

    fn issue(&self, state: &State, id: RoomId, seconds: u64) -> Result<Ticket, RoomError> {
        let record = &state.rooms.get(&id).ok_or(Denied::NotFound)?.record;
        let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
        let now = self.clock.now().unix_ms / 1000;
        Ok(key.issue(id, &record.name, record.ticket_round, now, seconds))
    }

    /// A ticket that was made here, and whether it still opens its room.
    ///
    /// # Errors
    /// It was not.
    pub fn verify(&self, encoded: &str) -> Result<(Ticket, bool), RoomError> {
        let state = lock(&self.state);
        let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
        let ticket = key.read(encoded).map_err(RoomError::Ticket)?;
        let room = RoomId::parse(&ticket.room_id).and_then(|id| state.rooms.get(&id));
        let is_good = room.is_some_and(|room| room.record.ticket_round == ticket.round)
            && !ticket.is_expired(self.clock.now().unix_ms / 1000);
        Ok((ticket, is_good))
    }

    /// The code, for who may invite.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn code(&self, asker: &Asker, id: RoomId) -> Result<Box<str>, RoomError> {
        let state = lock(&self.state);
        state.judge(asker, id, Action::Invite)?;
        Ok(state.rooms.get(&id).ok_or(Denied::NotFound)?.record.code.clone())
    }

    /// Accounts that are no more: out of every room. An owner's room goes to whoever has been its
    /// admin longest, then its member; guests cannot have one. If there is nobody, it goes.
    pub fn forget(&self, accounts: &[AccountId]) {
        let mut state = lock(&self.state);
        for account in accounts {
            for id in state.of_account.get(&**account).cloned().unwrap_or_default() {
                let change = |record: &mut RoomRecord| {
                    let rank = record.rank_of(Some(account));
                    record.members.retain(|member| *member.account != **account);
                    if rank == Rank::Owner {
                        let heirs = record.members.iter_mut().filter(|member| {
                            member.rank.is_member() && !member.account.starts_with("guest_")
                        });
                        let heir = heirs.max_by_key(|it| (it.rank, -it.joined_unix_ms));
                        heir.ok_or(Denied::NotFound)?.rank = Rank::Owner;
                    }
                    let was_there = rank.is_member();
                    let left = was_there.then(|| News::MemberLeft((**account).into(), "left"));
                    Ok(Vec::from_iter(left))
                };
                // Made even if nobody waits.
                match self.change(&mut state, id, change) {
                    Ok(_) => {}
                    Err(RoomError::Denied(_)) => {
                        let gone = self.hand_over(vec![self.table.delete(&id.0, Expect::Any)]);
                        if gone.is_ok() {
                            self.close(&mut state, id);
                        }
                    }
                    Err(problem) => tracing::warn!(?problem, room = %id, "somebody is still there"),
                }
            }
        }
    }

    pub fn figures(&self) -> Figures {
        let state = lock(&self.state);
        Figures {
            rooms: state.rooms.len(),
            seats: state.rooms.values().map(|room| room.seats.len()).sum(),
            viewers: state.rooms.values().map(|room| room.looks.len()).sum(),
            lobbies: state.lobby.len(),
        }
    }
}

impl State {
    /// Puts a room there, or another record of one that is.
    fn put(&mut self, id: RoomId, record: RoomRecord) {
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

    /// A code that no room has.
    fn new_code(&self) -> Result<Box<str>, NoRandom> {
        loop {
            // 32 letters: five bits of a byte are one, evenly.
            let bytes: [u8; CODE_LENGTH] = secret::random()?;
            let letter = |byte: &u8| char::from(CODE_LETTERS[usize::from(byte & 31)]);
            let code: String = bytes.iter().map(letter).collect();
            if !self.codes.contains_key(&Digest::of(&code)) {
                return Ok(code.into());
            }
        }
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

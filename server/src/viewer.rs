//! The viewers' desk: who may look (tokens), who does look (seats), what each asked for.
//!
//! A token is minted over HTTP and joined over a socket; each join is a viewer of its own to the
//! engine, so that whoever takes a channel over begins with cards and seeds. The desk speaks to
//! the engine through the intake, and hands open seats to the pump's [mail](crate::mail).

pub mod api;
pub mod browser;
pub mod keeping;
pub mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use components::budget::{Grant, Layer};
use components::command::{Attention, Command, SensorSet, Target};
use components::delivery::ViewerEnd;
use components::group::{GroupPlan, MEMBER_COUNT_MAX};
use components::id::{Handles, RoomId as LiveRoom, ViewerId};
use components::sample::EngineTime;
use components::viewer::{Quality, QualityChoice};
use components::wire::phoenix::Vsn;
use components::wire::push::{Envelope, write_integer, write_string};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::clock::{Clock, Now};
use crate::consent::Consent;
use crate::groups::{GroupDesk, GroupsError, OLD_SENSOR_ID, old_plans};
use crate::history::pages::{Turn, Turning};
use crate::intake::{Intake, IntakeFull};
use crate::outbox::Outbox;
use crate::people::{AccountId, People, SessionId};
use crate::roster::Lens;
use crate::secret::{self, NoRandom};
use crate::store::record::Revision;
use crate::store::{Entry, Expect, ReadError, Readiness, Refused, Store};
use keeping::{Keeping, TokenId, TokenRecord};
use words::{FormWish, JoinError, Wishes, WordsError};

/// Viewers that may be out, joined or not.
pub const VIEWER_COUNT_MAX: usize = 4096;

/// Seconds in which a token must be joined, from its minting or from the end of its last channel.
pub const TOKEN_SECONDS: u64 = 3600;

/// Bytes of ids that all viewers together may have named: ten thousand ids of 4,096 viewers would
/// be gigabytes.
pub const ID_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an id costs beside its letters: a box, and its place in a lens.
const ID_OVERHEAD_BYTES: usize = 64;

/// Whoever mints hears that the token is not on the disk yet rather than wait any longer.
const KEEP_PATIENCE: Duration = Duration::from_secs(1);

/// Sockets say that they live with every word; the engine need not hear of each.
const RENEW_INTERVAL_MS: u64 = 1000;

/// Why a channel must close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kicked {
    /// Its token was joined again.
    TakenOver,
    /// `DELETE /api/viewers/{token}`.
    Deleted,
    /// The engine heard no sign of life.
    LeaseOver,
    /// A frame could neither be sent nor kept; what would follow has a gap.
    LostFrame,
    /// We panicked over it. It may come again.
    Fault,
    /// Nothing was read for a long time. The whole socket should close, with 4008.
    Slow,
}

/// Closes a channel: its socket sends `phx_close` and drops the seat. May be called from any
/// thread, must not wait, and must not call back into the desk. The channel may be gone already,
/// or another may be there with the same topic: compare the join_ref.
pub type Kick = Box<dyn FnOnce(Kicked) + Send>;

/// Where a viewer sits: what a push needs to reach it.
pub struct SeatAddress {
    pub outbox: Outbox,
    pub topic: Arc<str>,
    pub join_ref: Option<Box<RawValue>>,
    pub version: Vsn,
    pub kick: Kick,
}

/// How a seat is written to.
#[derive(Debug)]
pub(crate) enum Form {
    Json,
    /// What stands before every frame.
    Binary {
        head: Vec<u8>,
    },
    /// One `measurement` a sample, for device clients that listen (`reference/wire.md` H6).
    Receiver,
}

/// Counts of one seat, since it joined.
#[derive(Debug, Default)]
pub struct SeatFigures {
    pub messages: AtomicU64,
    pub bytes: AtomicU64,
    pub slices: AtomicU64,
    pub missed: AtomicU64,
    /// Ticks in which it was too busy to be sent anything.
    pub busy_ticks: AtomicU64,
}

/// An open channel, as the desk and the pump share it.
pub(crate) struct Seat {
    pub(crate) viewer: ViewerId,
    /// Whose it is, if somebody is signed in there.
    pub(crate) account: Option<AccountId>,
    pub(crate) outbox: Outbox,
    pub(crate) envelope: Envelope,
    pub(crate) form: Form,
    pub(crate) figures: SeatFigures,
    /// The join's reply is on its way: pushes may follow.
    begun: AtomicBool,
    /// It is closing, or closed; the engine knows.
    gone: AtomicBool,
    served: Mutex<Served>,
    kick: Mutex<Option<Kick>>,
}

/// What a seat is served, as far as its messages must say it.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) choice: QualityChoice,
    pub(crate) lens: Arc<Lens>,
}

impl Seat {
    fn new(
        viewer: ViewerId,
        account: Option<AccountId>,
        outbox: Outbox,
        envelope: Envelope,
        form: Form,
        served: Served,
        kick: Kick,
    ) -> Arc<Self> {
        Arc::new(Self {
            viewer,
            account,
            outbox,
            envelope,
            form,
            figures: SeatFigures::default(),
            begun: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            served: Mutex::new(served),
            kick: Mutex::new(Some(kick)),
        })
    }

    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn served(&self) -> Served {
        lock(&self.served).clone()
    }

    /// Closes the channel; `farewell` unless the engine has closed the viewer by itself.
    pub(crate) fn evict(&self, why: Kicked, intake: Option<&Intake>) {
        if !self.gone.swap(true, Ordering::AcqRel)
            && let Some(intake) = intake
        {
            intake.farewell(Command::CloseViewer { viewer: self.viewer });
        }
        let kick = lock(&self.kick).take();
        if let Some(kick) = kick {
            kick(why);
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({:?})", self.viewer)
    }
}

/// What is kept of a token.
struct Minted {
    sensors: SensorSet,
    choice: QualityChoice,
    attention: Attention,
    /// Joined, until its channel closes.
    seat: Option<Arc<Seat>>,
    /// While not joined.
    expires: EngineTime,
    /// It has been joined once; who has done so will return.
    was_joined: bool,
    /// With which it ends.
    session: Option<SessionId>,
    /// Its lens is a room's, and not for its holder to change. Whether they may look is asked anew
    /// by the next server: it is not kept.
    room: Option<LiveRoom>,
}

impl Minted {
    fn record(&self, now: Now) -> TokenRecord {
        let Self { sensors, choice, attention, seat, expires, was_joined, session, .. } = self;
        let expires_in_ms = expires.0.saturating_sub(now.engine.0) / 1000;
        TokenRecord {
            sensors: match sensors {
                SensorSet::All => None,
                SensorSet::Ids(ids) => Some(ids.clone()),
            },
            quality: choice.name().into(),
            visible: attention.visible.clone(),
            joined: seat.is_some(),
            was_joined: *was_joined,
            expires_unix_ms: now.unix_ms.saturating_add(expires_in_ms as i64),
            session: session.map(|session| session.0),
        }
    }

    /// As another server has left it. `None`: it is good no more. Whoever was connected when that
    /// one ended has as long to come back as after any other end of a channel; nobody has longer.
    fn of(record: TokenRecord, now: Now) -> Option<Self> {
        let TokenRecord { sensors, quality, visible, joined, was_joined, expires_unix_ms, session } =
            record;
        let left_ms = match joined {
            true => TOKEN_SECONDS * 1000,
            false => u64::try_from(expires_unix_ms.saturating_sub(now.unix_ms)).unwrap_or(0),
        };
        let left_ms = left_ms.min(TOKEN_SECONDS * 1000);
        (left_ms > 0).then(|| Self {
            sensors: sensors.map_or(SensorSet::All, SensorSet::Ids),
            choice: QualityChoice::from_name(&quality).unwrap_or_default(),
            attention: Attention { visible, ..Attention::default() },
            seat: None,
            expires: now.engine.plus_millis(left_ms),
            was_joined,
            session: session.map(SessionId),
            room: None,
        })
    }

    fn id_bytes(&self) -> usize {
        set_bytes(&self.sensors) + attention_bytes(&self.attention)
    }
}

fn names_old_sensor(sensors: &SensorSet) -> bool {
    matches!(sensors, SensorSet::Ids(ids) if ids.iter().any(|id| **id == *OLD_SENSOR_ID))
}

fn set_bytes(sensors: &SensorSet) -> usize {
    match sensors {
        SensorSet::All => 0,
        SensorSet::Ids(ids) => id_bytes(ids),
    }
}

fn attention_bytes(attention: &Attention) -> usize {
    let Attention { visible, hovered, focused, pinned, .. } = attention;
    let targets = hovered.iter().chain(focused).chain(pinned).map(|target| {
        let attribute_bytes = target.attribute_id.as_ref().map_or(0, |id| id.len());
        target.sensor_id.len() + attribute_bytes + ID_OVERHEAD_BYTES
    });
    visible.as_deref().map_or(0, id_bytes) + targets.sum::<usize>()
}

fn id_bytes(ids: &[Box<str>]) -> usize {
    ids.iter().map(|id| id.len() + ID_OVERHEAD_BYTES).sum()
}

#[derive(Default)]
struct State {
    minted: HashMap<TokenId, Minted>,
    handles: Handles,
    rooms: Handles,
    id_bytes: usize,
}

/// What the desk is told of when the house is put together.
struct HouseRules {
    people: Arc<People>,
    consent: Arc<Consent>,
}

/// Shared by the doors and the pump.
pub struct ViewerDesk {
    state: Mutex<State>,
    /// Seats the pump has not yet seen.
    arrivals: Mutex<Vec<Arc<Seat>>>,
    open: AtomicUsize,
    /// Tokens that made room for others before they were joined.
    forgotten: AtomicU64,
    groups: Arc<GroupDesk>,
    house: OnceLock<HouseRules>,
    intake: Arc<Intake>,
    clock: Clock,
    count_max: usize,
    /// Where tokens outlive us.
    keeping: Keeping,
    /// What was there is here.
    hydrated: AtomicBool,
}

impl fmt::Debug for ViewerDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewerDesk({} open)", self.open_count())
    }
}

/// Why a token was not minted or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskError {
    /// Too many viewers are out, or they name too many sensors.
    TooMany,
    /// No such token, or not any more.
    Unknown,
    /// Nor can it be known yet: what is kept is not here.
    Hydrating,
    /// The engine cannot hear it now.
    IntakeFull,
    /// The machine gave no random bytes.
    NoRandom,
    /// Its lens is a room's.
    Bound,
}

impl From<NoRandom> for DeskError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

impl From<IntakeFull> for DeskError {
    fn from(_: IntakeFull) -> Self {
        Self::IntakeFull
    }
}

/// One change to what a viewer asks for.
enum Change {
    Sensors(SensorSet),
    Quality(QualityChoice),
    Visible(Option<Vec<Box<str>>>),
    Attention(Attention),
}

impl ViewerDesk {
    pub fn new(intake: Arc<Intake>, clock: Clock, count_max: usize, store: Store) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            arrivals: Mutex::default(),
            open: AtomicUsize::new(0),
            forgotten: AtomicU64::new(0),
            groups: GroupDesk::new(Arc::clone(&intake)),
            house: OnceLock::new(),
            intake,
            clock,
            count_max,
            keeping: Keeping::new(store),
            hydrated: AtomicBool::new(false),
        })
    }

    /// Whose viewers are, and what is private, is known from now on.
    pub(crate) fn know(&self, people: Arc<People>, consent: Arc<Consent>) {
        // Once, as the house is put together.
        let _ = self.house.set(HouseRules { people, consent });
    }

    pub(crate) fn consent(&self) -> Option<&Consent> {
        self.house.get().map(|house| &*house.consent)
    }

    /// Who looks now, each channel with its lens.
    pub(crate) fn looking(&self) -> Vec<(Option<AccountId>, Arc<Lens>)> {
        let state = lock(&self.state);
        let seats = state.minted.values().filter_map(|minted| minted.seat.as_ref());
        let open = seats.filter(|seat| !seat.is_gone());
        open.map(|seat| (seat.account.clone(), seat.served().lens)).collect()
    }

    /// Keeps the handles of viewers of the process before, the first there are, until the engine lets
    /// go of them.
    pub fn adopt(&self, ghosts: &[ViewerId]) {
        let mut state = lock(&self.state);
        for ghost in ghosts {
            let handle = state.handles.take(usize::MAX);
            debug_assert_eq!(handle, Some(ghost.0), "the first handles are theirs");
        }
    }

    /// The groups that viewers watch.
    pub fn groups(&self) -> &GroupDesk {
        &self.groups
    }

    /// Takes over the tokens that another server has left in the store, once it is ready; how many.
    /// A token that is here already is newer. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn hydrate(&self) -> Result<usize, ReadError> {
        let entries = self.keeping.table.all()?;
        let now = self.clock.now();
        let mut gone = Vec::new();
        let mut count = 0;
        let mut state = lock(&self.state);
        // What is damaged the store has counted and told of.
        for Entry { key, revision, record } in entries.into_iter().flatten() {
            let id = <[u8; 32]>::try_from(&*key).ok().map(TokenId);
            if id.is_some_and(|id| state.minted.contains_key(&id)) {
                continue;
            }
            let minted = Minted::of(record, now);
            let bytes = minted.as_ref().map_or(0, Minted::id_bytes);
            let fits =
                state.minted.len() < self.count_max && state.id_bytes + bytes <= ID_BYTES_MAX;
            match (id, minted) {
                (Some(id), Some(minted)) if fits => {
                    state.id_bytes += bytes;
                    state.minted.insert(id, minted);
                    count += 1;
                }
                // Somebody may have changed it since it was read.
                _ => gone.push(self.keeping.table.delete(&key, Expect::At(revision))),
            }
        }
        drop(state);
        self.hydrated.store(true, Ordering::Release);
        self.keeping.write(gone);
        Ok(count)
    }

    /// Puts on the disk what is known of a token by now.
    fn keep(&self, id: TokenId, minted: &Minted) {
        if minted.room.is_some() {
            return;
        }
        let record = minted.record(self.clock.now());
        self.keeping.write(vec![self.keeping.put(id, &record, Expect::Any)]);
    }

    /// Channels that are open.
    pub fn open_count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Tokens that were never joined, and made room for others.
    pub fn forgotten_count(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Tokens that are out, joined or not.
    pub fn minted_count(&self) -> usize {
        lock(&self.state).minted.len()
    }

    /// A new token, and whether it is on the disk. Absent wishes: all sensors, auto, all visible.
    /// One that is minted in a session ends with it.
    pub async fn mint(
        &self,
        wishes: Wishes,
        session: Option<SessionId>,
    ) -> Result<(Box<str>, bool), DeskError> {
        let token = secret::token()?;
        let kept = match self.take_in(TokenId::of(&token), wishes, session, None)? {
            Some(kept) => timeout(KEEP_PATIENCE, kept).await,
            None => return Ok((token, false)),
        };
        Ok((token, matches!(kept, Ok(Ok(_)))))
    }

    /// A room that is looked into from now on, and what is measured there.
    pub(crate) fn open_room(&self, sensors: Arc<[Box<str>]>) -> Result<LiveRoom, DeskError> {
        let mut state = lock(&self.state);
        let handle = state.rooms.take(self.count_max).ok_or(DeskError::TooMany)?;
        let room = LiveRoom(handle);
        let told = self.intake.command(Command::SetRoom { room, sensors });
        if told.is_err() {
            state.rooms.give_back(handle);
        }
        told.map(|()| room).map_err(DeskError::from)
    }

    /// What is measured there now. All who look into it see that from one tick on.
    pub(crate) fn set_room(
        &self,
        room: LiveRoom,
        sensors: Arc<[Box<str>]>,
    ) -> Result<(), DeskError> {
        Ok(self.intake.command(Command::SetRoom { room, sensors })?)
    }

    /// Nobody looks into it any more.
    pub(crate) fn close_room(&self, room: LiveRoom) {
        let mut state = lock(&self.state);
        self.intake.farewell(Command::CloseRoom { room });
        // Whatever is said of its next life is said behind this.
        state.rooms.give_back(room.0);
    }

    /// A token whose lens only its room turns. It is not kept.
    pub(crate) fn mint_bound(
        &self,
        wishes: Wishes,
        session: Option<SessionId>,
        room: LiveRoom,
    ) -> Result<(Box<str>, TokenId), DeskError> {
        let token = secret::token()?;
        let id = TokenId::of(&token);
        self.take_in(id, wishes, session, Some(room))?;
        Ok((token, id))
    }

    /// What a token that is bound stands for now, its room having been [set](Self::set_room); whether
    /// it is still out. One that cannot be turned would be told of what is not there any more: it ends.
    pub(crate) fn turn(&self, id: TokenId, sensors: SensorSet) -> bool {
        let turned = lock(&self.state).apply(id, None, Change::Sensors(sensors), &self.intake);
        if turned.is_err() {
            self.end(id);
        }
        turned.is_ok()
    }

    pub(crate) fn knows(&self, id: TokenId) -> bool {
        lock(&self.state).living(id, self.clock.now().engine).is_ok()
    }

    /// Makes room for a token and has it kept; what to wait for, if that is worth it.
    fn take_in(
        &self,
        id: TokenId,
        wishes: Wishes,
        session: Option<SessionId>,
        room: Option<LiveRoom>,
    ) -> Result<Option<impl Future<Output = Result<Revision, Refused>> + use<>>, DeskError> {
        let at = self.clock.now();
        let now = at.engine;
        let minted = Minted {
            sensors: wishes.sensors.unwrap_or(SensorSet::All),
            choice: wishes.quality.unwrap_or_default(),
            attention: Attention { visible: wishes.visible.flatten(), ..Attention::default() },
            seat: None,
            expires: now.plus_millis(TOKEN_SECONDS * 1000),
            was_joined: false,
            session,
            room,
        };
        let bytes = minted.id_bytes();
        let mut forgotten = Vec::new();
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.minted.len() >= self.count_max || state.id_bytes + bytes > ID_BYTES_MAX {
            forgotten = state.forget_expired(now);
        }
        // Whoever mints and never joins does not keep everybody else out for an hour.
        while state.minted.len() >= self.count_max || state.id_bytes + bytes > ID_BYTES_MAX {
            let Some(id) = state.forget_oldest_unused() else { break };
            self.forgotten.fetch_add(1, Ordering::Relaxed);
            forgotten.push(id);
        }
        let table = &self.keeping.table;
        let gone = forgotten.iter().map(|id| table.delete(&id.0, Expect::Any));
        self.keeping.write(gone.collect());
        if state.minted.len() >= self.count_max || state.id_bytes + bytes > ID_BYTES_MAX {
            return Err(DeskError::TooMany);
        }
        state.id_bytes += bytes;
        let change = vec![self.keeping.put(id, &minted.record(at), Expect::Absent)];
        state.minted.insert(id, minted);
        if room.is_some() {
            return Ok(None);
        }
        // In this order under the lock, as everything that is said of a token.
        let store = &self.keeping.store;
        if store.is_kept() && *store.watch().borrow() == Readiness::Ready {
            return Ok(Some(store.commit(change)));
        }
        self.keeping.write(change);
        Ok(None)
    }

    /// Changes what a token asks for; on an open channel within a tick.
    pub fn change(&self, token: &str, wishes: Wishes) -> Result<(), DeskError> {
        let changes = [
            wishes.sensors.map(Change::Sensors),
            wishes.quality.map(Change::Quality),
            wishes.visible.map(Change::Visible),
        ];
        let id = TokenId::of(token);
        let mut state = lock(&self.state);
        state.living(id, self.clock.now().engine).map_err(|_| self.unknown())?;
        if changes[0].is_some() && state.is_bound(id) {
            return Err(DeskError::Bound);
        }
        let mut changes = changes.into_iter().flatten();
        let outcome = changes.try_for_each(|change| state.apply(id, None, change, &self.intake));
        // Of several the first may have been followed.
        if let Some(minted) = state.minted.get(&id) {
            self.keep(id, minted);
        }
        drop(state);
        self.lens_changed(id);
        outcome
    }

    /// Takes back the tokens of sessions that are over; their channels close.
    pub fn end_sessions(&self, is_over: impl Fn(SessionId) -> bool) {
        let ids: Vec<TokenId> = {
            let state = lock(&self.state);
            let over =
                state.minted.iter().filter(|(_, minted)| minted.session.is_some_and(&is_over));
            over.map(|(id, _)| *id).collect()
        };
        ids.into_iter().for_each(|id| self.end(id));
    }

    /// Takes a token back; its channel closes. Unknown ones are as good as deleted.
    ///
    /// # Errors
    /// It may be one of those that are kept, which are not here yet.
    pub fn delete(&self, token: &str) -> Result<(), DeskError> {
        let id = TokenId::of(token);
        if !lock(&self.state).minted.contains_key(&id) && self.unknown() == DeskError::Hydrating {
            return Err(DeskError::Hydrating);
        }
        self.end(id);
        Ok(())
    }

    pub(crate) fn end(&self, id: TokenId) {
        let seat = {
            let mut state = lock(&self.state);
            let Some(minted) = state.minted.remove(&id) else { return };
            state.id_bytes -= minted.id_bytes();
            self.keeping.write(vec![self.keeping.table.delete(&id.0, Expect::Any)]);
            minted.seat
        };
        if let Some(seat) = seat {
            seat.evict(Kicked::Deleted, Some(&self.intake));
        }
    }

    /// A join on `viewer:data:<token>`. On success: the reply, and a seat to
    /// [`begin`](PendingSeat::begin) once the reply is in the outbox. The reply must come before
    /// every push, and the pump does not know when it does.
    pub fn join(
        self: &Arc<Self>,
        token: &str,
        params: &RawValue,
        address: SeatAddress,
    ) -> Result<(Box<RawValue>, PendingSeat), Box<RawValue>> {
        let now = self.clock.now();
        let id = TokenId::of(token);
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.living(id, now.engine).map_err(|_| match self.unknown() {
            DeskError::Hydrating => reason("hydrating", None),
            _ => reason("unauthorized", None),
        })?;
        let SeatAddress { outbox, topic, join_ref, version, kick } = address;
        let join_ref = join_ref.map_or(Box::default(), |raw| Box::from(raw.get()));
        let envelope = Envelope { vsn: version, join_ref, topic: topic.as_ref().into() };
        let form = read_form(params, &envelope)?;

        let viewer = self.take_viewer(state)?;
        let Some(minted) = state.minted.get_mut(&id) else {
            state.handles.give_back(viewer.0);
            return Err(reason("unauthorized", None));
        };
        // Whoever joins has not said yet where the pointer is; what is on screen stays.
        let before = attention_bytes(&minted.attention);
        minted.attention =
            Attention { visible: minted.attention.visible.take(), ..Attention::default() };
        state.id_bytes = state.id_bytes - before + attention_bytes(&minted.attention);
        let served = Served { choice: minted.choice, lens: Arc::new(Lens::new(&minted.sensors)) };
        let account = minted.session.and_then(|session| self.house.get()?.people.whose(session));
        let seat = Seat::new(viewer, account, outbox, envelope, form, served, kick);
        let attend = Command::Attend { viewer, attention: Box::new(minted.attention.clone()) };
        let quality = minted.choice;
        let opened = match minted.room {
            Some(room) => {
                let sensors = SensorSet::Ids(Vec::new());
                let open = Command::OpenViewer { viewer, sensors, quality };
                self.open(&seat, [open, Command::EnterRoom { viewer, room }, attend])
            }
            None => {
                let sensors = minted.sensors.clone();
                self.open(&seat, [Command::OpenViewer { viewer, sensors, quality }, attend])
            }
        };
        if let Err(refusal) = opened {
            state.handles.give_back(viewer.0);
            return Err(refusal);
        }
        minted.was_joined = true;
        let names_old_sensor = names_old_sensor(&minted.sensors);
        let older = minted.seat.replace(Arc::clone(&seat));
        self.keep(id, minted);
        drop(guard);
        self.follow_old_name(viewer, names_old_sensor);

        let mut reply = b"{\"form\":".to_vec();
        let binary = matches!(seat.form, Form::Binary { .. });
        write_string(if binary { "binary" } else { "json" }, &mut reply);
        reply.extend_from_slice(b",\"version\":1,\"now\":");
        write_integer(now.unix_ms, &mut reply);
        reply.push(b'}');
        let seat = ViewerSeat {
            desk: Arc::clone(self),
            token: Some(id),
            seat,
            renewed: now.engine,
            turn: Turn::default(),
        };
        if let Some(older) = older {
            older.evict(Kicked::TakenOver, Some(&self.intake));
        }
        Ok((raw(reply), PendingSeat(seat)))
    }

    /// Joins a sensor's topic as a receiver: a device client that listens
    /// (`reference/wire.md` H6). It has no token; what it may hear the device door has decided.
    pub fn receive(
        self: &Arc<Self>,
        sensor_id: &str,
        address: SeatAddress,
    ) -> Result<PendingSeat, Box<RawValue>> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let viewer = self.take_viewer(&mut state)?;
        let SeatAddress { outbox, topic, join_ref, version, kick } = address;
        let join_ref = join_ref.map_or(Box::default(), |raw| Box::from(raw.get()));
        let envelope = Envelope { vsn: version, join_ref, topic: topic.as_ref().into() };
        let sensors = SensorSet::Ids(vec![sensor_id.into()]);
        let choice = QualityChoice::default();
        let served = Served { choice, lens: Arc::new(Lens::new(&sensors)) };
        let seat = Seat::new(viewer, None, outbox, envelope, Form::Receiver, served, kick);
        // All of every attribute: it asked for this one sensor by name.
        let focused = vec![Target { sensor_id: sensor_id.into(), attribute_id: None }];
        let attention = Box::new(Attention { focused, ..Attention::default() });
        let attend = Command::Attend { viewer, attention };
        let open = Command::OpenViewer { viewer, sensors, quality: choice };
        if let Err(refusal) = self.open(&seat, [open, attend]) {
            state.handles.give_back(viewer.0);
            return Err(refusal);
        }
        drop(state);
        let seat = ViewerSeat {
            desk: Arc::clone(self),
            token: None,
            seat,
            renewed: now.engine,
            turn: Turn::default(),
        };
        Ok(PendingSeat(seat))
    }

    /// A viewer that nobody sees and that sees nothing but the groups it watches, for whoever
    /// records them. `None` when there are too many, or the engine cannot hear it now. It must be
    /// renewed, and [closed](Self::close_unseen).
    pub(crate) fn open_unseen(&self) -> Option<ViewerId> {
        let mut state = lock(&self.state);
        let viewer = self.take_viewer(&mut state).ok()?;
        let open = Command::OpenViewer {
            viewer,
            sensors: SensorSet::Ids(Vec::new()),
            quality: QualityChoice::Fixed(Quality::High),
        };
        if self.intake.command(open).is_err() {
            state.handles.give_back(viewer.0);
            return None;
        }
        Some(viewer)
    }

    pub(crate) fn close_unseen(&self, viewer: ViewerId) {
        self.intake.farewell(Command::CloseViewer { viewer });
        self.groups.forget(viewer);
    }

    /// Whoever names the original's sensor of synchrony in a lens hears of it, and nobody else.
    fn follow_old_name(&self, viewer: ViewerId, names_old_sensor: bool) {
        for plan in old_plans() {
            if names_old_sensor {
                // That there is no room for two more groups is told by their silence.
                let _ = self.groups.watch(viewer, plan);
            } else {
                self.groups.unwatch(viewer, &plan.name);
            }
        }
    }

    /// As [`follow_old_name`](Self::follow_old_name), after the lens has changed.
    fn lens_changed(&self, id: TokenId) {
        let state = lock(&self.state);
        let Some(minted) = state.minted.get(&id) else { return };
        let Some(seat) = minted.seat.as_ref().filter(|seat| !seat.is_gone()) else { return };
        self.follow_old_name(seat.viewer, names_old_sensor(&minted.sensors));
    }

    fn take_viewer(&self, state: &mut State) -> Result<ViewerId, Box<RawValue>> {
        let handle = state.handles.take(self.count_max.saturating_mul(2));
        handle.map(ViewerId).ok_or_else(|| reason("too_many_viewers", None))
    }

    /// Shows a seat to the pump, then tells the engine of its viewer: in this order, so that the
    /// pump has the seat of every viewer it serves.
    ///
    /// What it looks at belongs to the same tick: between the two it would look at everything, and
    /// devices would hear of it.
    fn open<const N: usize>(
        &self,
        seat: &Arc<Seat>,
        commands: [Command; N],
    ) -> Result<(), Box<RawValue>> {
        lock(&self.arrivals).push(Arc::clone(seat));
        if let Err(IntakeFull) = self.intake.commands(commands) {
            seat.gone.store(true, Ordering::Release);
            return Err(reason("busy", None));
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The engine has let go of a viewer: its handle may be used again.
    pub(crate) fn viewer_closed(&self, viewer: ViewerId) {
        self.groups.forget(viewer);
        lock(&self.state).handles.give_back(viewer.0);
    }

    pub(crate) fn take_arrivals(&self) -> Vec<Arc<Seat>> {
        std::mem::take(&mut *lock(&self.arrivals))
    }

    /// A channel has closed.
    fn leave(&self, token: Option<TokenId>, seat: &Arc<Seat>) {
        if !seat.gone.swap(true, Ordering::AcqRel) {
            self.intake.farewell(Command::CloseViewer { viewer: seat.viewer });
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.groups.forget(seat.viewer);
        let Some(id) = token else { return };
        let mut state = lock(&self.state);
        if let Some(minted) = state.minted.get_mut(&id)
            && minted.seat.as_ref().is_some_and(|open| Arc::ptr_eq(open, seat))
        {
            minted.seat = None;
            minted.expires = self.clock.now().engine.plus_millis(TOKEN_SECONDS * 1000);
            self.keep(id, minted);
        }
    }

    /// What a token hears that nobody here knows: until the store has been read, it may yet be
    /// known.
    fn unknown(&self) -> DeskError {
        let failed = matches!(*self.keeping.store.watch().borrow(), Readiness::Failed(_));
        let asked_too_soon = !failed && !self.hydrated.load(Ordering::Acquire);
        if asked_too_soon { DeskError::Hydrating } else { DeskError::Unknown }
    }
}

impl State {
    fn forget_expired(&mut self, now: EngineTime) -> Vec<TokenId> {
        let mut freed = 0;
        let mut gone = Vec::new();
        self.minted.retain(|id, minted| {
            let good = minted.seat.is_some() || minted.expires > now;
            if !good {
                freed += minted.id_bytes();
                gone.push(*id);
            }
            good
        });
        self.id_bytes -= freed;
        gone
    }

    /// Forgets the token that waits longest for its first join, if there is one.
    fn forget_oldest_unused(&mut self) -> Option<TokenId> {
        let unused = self.minted.iter().filter(|(_, minted)| !minted.was_joined);
        let oldest = unused.min_by_key(|(_, minted)| minted.expires).map(|(id, _)| *id)?;
        let minted = self.minted.remove(&oldest)?;
        self.id_bytes -= minted.id_bytes();
        Some(oldest)
    }

    fn is_bound(&self, id: TokenId) -> bool {
        self.minted.get(&id).is_some_and(|minted| minted.room.is_some())
    }

    /// Whether the token is good.
    fn living(&self, id: TokenId, now: EngineTime) -> Result<(), DeskError> {
        let minted = self.minted.get(&id).ok_or(DeskError::Unknown)?;
        if minted.seat.is_some() || minted.expires > now { Ok(()) } else { Err(DeskError::Unknown) }
    }

    /// Tells the engine first: what is kept here is what the engine knows. `from` is the seat that
    /// asks, if one does; one that was taken over changes nothing.
    fn apply(
        &mut self,
        id: TokenId,
        from: Option<&Arc<Seat>>,
        change: Change,
        intake: &Intake,
    ) -> Result<(), DeskError> {
        let minted = self.minted.get_mut(&id).ok_or(DeskError::Unknown)?;
        let change = match change {
            Change::Visible(visible) => {
                let Attention { hovered, focused, pinned, hidden, battery, .. } = &minted.attention;
                let (hovered, focused, pinned) = (hovered.clone(), focused.clone(), pinned.clone());
                let (hidden, battery) = (*hidden, *battery);
                Change::Attention(Attention { visible, hovered, focused, pinned, hidden, battery })
            }
            change => change,
        };
        if let Some(from) = from
            && !minted.seat.as_ref().is_some_and(|seat| Arc::ptr_eq(seat, from))
        {
            return Err(DeskError::Unknown);
        }
        let seat = minted.seat.as_ref().filter(|seat| !seat.is_gone());
        let tell = |command: &dyn Fn(ViewerId) -> Command| match seat {
            Some(seat) => intake.command(command(seat.viewer)).map_err(DeskError::from),
            None => Ok(()),
        };
        let fits = |before: usize, after: usize| {
            let sum = self.id_bytes - before + after;
            if after > before && sum > ID_BYTES_MAX { Err(DeskError::TooMany) } else { Ok(sum) }
        };
        match change {
            Change::Quality(choice) => {
                if choice != minted.choice {
                    tell(&|viewer| Command::SetQuality { viewer, quality: choice })?;
                }
                if let Some(seat) = seat {
                    lock(&seat.served).choice = choice;
                }
                minted.choice = choice;
            }
            Change::Sensors(sensors) if sensors != minted.sensors => {
                let sum = fits(set_bytes(&minted.sensors), set_bytes(&sensors))?;
                if minted.room.is_none() {
                    tell(&|viewer| Command::SetSensors { viewer, sensors: sensors.clone() })?;
                }
                if let Some(seat) = seat {
                    lock(&seat.served).lens = Arc::new(Lens::new(&sensors));
                }
                minted.sensors = sensors;
                self.id_bytes = sum;
            }
            Change::Attention(attention) if attention != minted.attention => {
                let before = attention_bytes(&minted.attention);
                let sum = fits(before, attention_bytes(&attention))?;
                tell(&|viewer| Command::Attend { viewer, attention: Box::new(attention.clone()) })?;
                minted.attention = attention;
                self.id_bytes = sum;
            }
            // As it is already; and what is visible has become attention above.
            Change::Sensors(_) | Change::Attention(_) | Change::Visible(_) => {}
        }
        Ok(())
    }
}

fn read_form(params: &RawValue, envelope: &Envelope) -> Result<Form, Box<RawValue>> {
    match words::read_join(params.get()) {
        Ok(FormWish::Json) => Ok(Form::Json),
        Ok(FormWish::Binary) if envelope.vsn == Vsn::V1 => {
            Err(reason("invalid_payload", Some("form: binary needs a socket with vsn=2.0.0")))
        }
        Ok(FormWish::Binary) => match envelope.binary_head("frame") {
            Some(head) => Ok(Form::Binary { head }),
            None => Err(reason("invalid_payload", Some("join_ref: too long for binary frames"))),
        },
        Err(JoinError::Words(error)) => Err(invalid(&error)),
        Err(JoinError::UnsupportedVersion) => {
            Err(raw(b"{\"reason\":\"unsupported_version\",\"versions\":[1]}".to_vec()))
        }
    }
}

/// A seat whose join has not been answered. [`begin`](Self::begin) it, or drop it and it is gone.
#[must_use = "nothing is sent to a seat that has not begun"]
#[derive(Debug)]
pub struct PendingSeat(ViewerSeat);

impl PendingSeat {
    /// The reply is in the outbox: pushes may follow.
    pub fn begin(self) -> ViewerSeat {
        self.0.seat.begun.store(true, Ordering::Release);
        self.0.desk.intake.wake();
        self.0
    }
}

/// An open viewer channel, held by its socket. Dropped, it is closed.
#[derive(Debug)]
pub struct ViewerSeat {
    desk: Arc<ViewerDesk>,
    /// `None`: a receiver, which needs none.
    token: Option<TokenId>,
    seat: Arc<Seat>,
    renewed: EngineTime,
    /// Of the past.
    turn: Turn,
}

/// What a channel answers to an event.
#[derive(Debug)]
pub enum EventReply {
    /// Nothing.
    Silent,
    /// `phx_reply` ok.
    Ok(Box<RawValue>),
    /// The same, as soon as the engine has done what was asked, and devices know of it.
    WhenDone(Box<RawValue>),
    /// `phx_reply` error.
    Error(Box<RawValue>),
}

impl ViewerSeat {
    pub fn viewer(&self) -> ViewerId {
        self.seat.viewer
    }

    /// Whether it may have the past of this signal, and now.
    ///
    /// # Errors
    /// The reason, as on the wire.
    pub(crate) fn turn_back(
        &mut self,
        sensor_id: &str,
        attribute_id: &str,
    ) -> Result<Turning, Value> {
        self.alive();
        if self.token.is_none() || !lock(&self.seat.served).lens.has(sensor_id) {
            let detail = format!("sensor_id: {sensor_id:?} is not in the lens");
            return Err(json!({ "reason": "invalid_payload", "detail": detail }));
        }
        let circle = self.desk.consent().and_then(|it| it.circle_of(sensor_id, attribute_id));
        if circle.is_some_and(|circle| !circle.has(self.seat.account.as_deref())) {
            return Err(json!({ "reason": "not_shared" }));
        }
        self.turn.take().ok_or_else(|| json!({ "reason": "busy" }))
    }

    /// What it was sent so far.
    pub fn figures(&self) -> &SeatFigures {
        &self.seat.figures
    }

    /// What the viewer says (`docs/wire.md` 2.3).
    pub fn event(&mut self, event: &str, payload: &RawValue) -> EventReply {
        self.alive();
        let text = payload.get();
        let unknown = || EventReply::Error(reason("unknown_event", None));
        // A receiver hears one sensor, and has no more to say.
        if self.token.is_none() && event != "ping" {
            return unknown();
        }
        let change = match event {
            "attention" => words::read_attention(text).map(Change::Attention),
            "set_sensors" => words::read_set_sensors(text).map(Change::Sensors),
            "set_quality" => words::read_set_quality(text).map(Change::Quality),
            "set_visible_sensors" => {
                words::read_set_visible_sensors(text).map(|ids| Change::Visible(Some(ids)))
            }
            "ping" => return EventReply::Ok(payload.to_owned()),
            "client_health" => return self.client_health(text),
            "device_command" => return self.device_command(text),
            "watch_group" => return self.watch_group(text),
            "unwatch_group" => return self.unwatch_group(text),
            _ => return unknown(),
        };
        let change = match change {
            Ok(change) => change,
            Err(error) => return EventReply::Error(invalid(&error)),
        };
        let lasts = matches!(change, Change::Sensors(_) | Change::Quality(_));
        let applied = self.token.ok_or(DeskError::Unknown).and_then(|id| {
            let mut state = lock(&self.desk.state);
            if matches!(change, Change::Sensors(_)) && state.is_bound(id) {
                return Err(DeskError::Bound);
            }
            state.apply(id, Some(&self.seat), change, &self.desk.intake)?;
            // Where it looks moves with every pointer; that is kept when it leaves.
            if let Some(minted) = state.minted.get(&id).filter(|_| lasts) {
                self.desk.keep(id, minted);
            }
            Ok(())
        });
        match applied {
            Ok(()) if event == "set_visible_sensors" => EventReply::Silent,
            Ok(()) if event == "set_sensors" => {
                self.token.into_iter().for_each(|id| self.desk.lens_changed(id));
                EventReply::Ok(raw(b"{}".to_vec()))
            }
            // What is pointed at comes whole from the answer on.
            Ok(()) if event == "attention" => EventReply::WhenDone(raw(b"{}".to_vec())),
            Ok(()) => EventReply::Ok(raw(b"{}".to_vec())),
            Err(DeskError::TooMany) => EventReply::Error(reason("too_many_ids", None)),
            Err(DeskError::Bound) => EventReply::Error(reason("room_only", None)),
            Err(DeskError::IntakeFull) => EventReply::Error(reason("busy", None)),
            // It is closing; `phx_close` is the answer.
            Err(DeskError::Unknown | DeskError::Hydrating | DeskError::NoRandom) => {
                EventReply::Silent
            }
        }
    }

    /// How its browser fares (`reference/core.md` 10).
    fn client_health(&self, text: &str) -> EventReply {
        let score = match browser::read_client_health(text) {
            Ok(report) => report.score(),
            Err(error) => return EventReply::Error(invalid(&error)),
        };
        let viewer = self.seat.viewer;
        match self.desk.intake.command(Command::ReportHealth { viewer, score }) {
            Ok(()) => EventReply::Ok(raw(b"{}".to_vec())),
            Err(IntakeFull) => EventReply::Error(reason("busy", None)),
        }
    }

    /// From now on it hears of a group of sensors of its lens (`docs/wire.md` 2.6).
    fn watch_group(&self, text: &str) -> EventReply {
        let words::GroupWish { name, signal, tier, sensors, attribute_id } =
            match words::read_watch_group(text) {
                Ok(wish) => wish,
                Err(error) => return EventReply::Error(invalid(&error)),
            };
        let state = lock(&self.desk.state);
        let lens = match self.token.and_then(|id| state.minted.get(&id)) {
            Some(minted) => minted.sensors.clone(),
            // It is closing; `phx_close` is the answer.
            None => return EventReply::Silent,
        };
        drop(state);
        let sensors = match (sensors, lens) {
            (None | Some(SensorSet::All), lens) => lens,
            (Some(asked), SensorSet::All) => asked,
            (Some(SensorSet::Ids(asked)), SensorSet::Ids(lens)) => {
                if let Some(outside) = asked.iter().find(|id| !lens.contains(id)) {
                    let detail = format!("sensors: {outside:?} is not in the lens");
                    return EventReply::Error(reason("invalid_payload", Some(&detail)));
                }
                SensorSet::Ids(asked)
            }
        };
        if let SensorSet::Ids(ids) = &sensors
            && ids.len() > MEMBER_COUNT_MAX
        {
            let detail = format!("sensors: a group has at most {MEMBER_COUNT_MAX}");
            return EventReply::Error(reason("invalid_payload", Some(&detail)));
        }
        let plan = GroupPlan { name: (*name).into(), signal, tier, sensors, attribute_id };
        let latency_ms = plan.latency_ms();
        match self.desk.groups.watch(self.seat.viewer, plan) {
            Ok(_) => {
                let mut reply = br#"{"group":"#.to_vec();
                write_string(&name, &mut reply);
                reply.extend_from_slice(br#","latency_ms":"#);
                write_integer(latency_ms, &mut reply);
                reply.push(b'}');
                EventReply::Ok(raw(reply))
            }
            Err(GroupsError::TooMany) => EventReply::Error(reason("too_many_groups", None)),
            Err(GroupsError::Busy) => EventReply::Error(reason("busy", None)),
        }
    }

    fn unwatch_group(&self, text: &str) -> EventReply {
        match words::read_unwatch_group(text) {
            Ok(name) => {
                self.desk.groups.unwatch(self.seat.viewer, &name);
                EventReply::Ok(raw(b"{}".to_vec()))
            }
            Err(error) => EventReply::Error(invalid(&error)),
        }
    }

    /// Ok means: passed on to the sensor's devices, if it has any and is in the lens.
    fn device_command(&self, text: &str) -> EventReply {
        match words::read_device_command(text) {
            Ok((sensor_id, words)) => {
                let viewer = self.seat.viewer;
                match self.desk.intake.command(Command::TellDevice { viewer, sensor_id, words }) {
                    Ok(()) => EventReply::Ok(raw(b"{}".to_vec())),
                    Err(IntakeFull) => EventReply::Error(reason("busy", None)),
                }
            }
            Err(error) => EventReply::Error(invalid(&error)),
        }
    }

    /// The connection lives. To be called for every word from it; the engine hears of it once in
    /// a while.
    pub fn alive(&mut self) {
        let now = self.desk.clock.now().engine;
        if now >= self.renewed.plus_millis(RENEW_INTERVAL_MS)
            && !self.seat.is_gone()
            && self.desk.intake.command(Command::Renew { viewer: self.seat.viewer }).is_ok()
        {
            self.renewed = now;
        }
    }
}

impl Drop for ViewerSeat {
    fn drop(&mut self) {
        self.desk.leave(self.token, &self.seat);
    }
}

/// What the pump's mail does when the engine has closed a viewer.
pub(crate) fn kicked_by(end: ViewerEnd) -> Option<Kicked> {
    match end {
        ViewerEnd::Left => None,
        ViewerEnd::LeaseOver => Some(Kicked::LeaseOver),
        ViewerEnd::Fault => Some(Kicked::Fault),
    }
}

/// `quality_changed {"level", "reason", "focused"}`: what is merely visible, who made it so, and
/// what is pointed at.
pub(crate) fn quality_body(choice: QualityChoice, grant: &Grant) -> Vec<u8> {
    let reason = match (grant.limited_by, choice) {
        (Some(layer), _) => layer.name(),
        (None, choice) if choice.is_auto() => "auto",
        (None, _) => Layer::Asked.name(),
    };
    let mut out = b"{\"level\":".to_vec();
    write_string(grant.rest.name(), &mut out);
    out.extend_from_slice(b",\"reason\":");
    write_string(reason, &mut out);
    out.extend_from_slice(b",\"focused\":");
    write_string(grant.strong.name(), &mut out);
    out.push(b'}');
    out
}

fn invalid(error: &WordsError) -> Box<RawValue> {
    reason("invalid_payload", Some(&error.to_string()))
}

fn reason(reason: &str, detail: Option<&str>) -> Box<RawValue> {
    let mut out = b"{\"reason\":".to_vec();
    write_string(reason, &mut out);
    if let Some(detail) = detail {
        out.extend_from_slice(b",\"detail\":");
        write_string(detail, &mut out);
    }
    out.push(b'}');
    raw(out)
}

/// JSON of our own making.
fn raw(json: Vec<u8>) -> Box<RawValue> {
    String::from_utf8(json)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// See [`Intake`]: nothing is left half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

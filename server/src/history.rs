//! The measured past of sensors that somebody wants kept, and of no others.
//!
//! The [tap](tap) on the pump's thread copies what those sensors send, as it goes into the tick, into a
//! bounded queue. A thread of its own sorts it by attribute, seals it in [segments](segment) and puts
//! them on the sensor's [shelf](shelf). Who reads takes what it needs to know and reads the files
//! itself. Which sensors are kept is in the store. `docs/history.md` has the format and the promises.

pub mod api;
mod encode;
mod flow;
mod numbers;
pub(crate) mod pages;
pub mod past;
pub mod pending;
pub mod room_api;
pub mod rooms;
pub mod segment;
pub mod shelf;
mod tap;

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use components::sample::SampleBatch;
use components::shape::Shape;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::rooms::RoomId;
use crate::store::record::{Record, Revision, Unreadable, frozen, unknown_version};
use crate::store::{Change, Entry, Expect, ReadError, Readiness, Refused, Store, Table};
use crate::supervise::{STORAGE, Supervisor};
pub use past::Past;
use pending::{EntryV1, Pending, erase_all};
use rooms::RoomPastRecord;
use shelf::Shelf;
pub use tap::Tap;

/// Sensors that are kept at once.
pub const SENSOR_COUNT_MAX: usize = 10_000;

/// Of all sensors, unless the operator says otherwise (`history_mib_max`).
pub const HISTORY_MIB_MAX: usize = 64 << 10;

/// Samples that may wait to be kept.
const WAITING_SAMPLE_COUNT_MAX: usize = 1 << 20;

/// Samples, or periods, in one answer.
pub const ROW_COUNT_MAX: u64 = 1_000_000;
/// The longest period of what is summed up: a year.
pub const STEP_MS_MAX: i64 = 366 * 86_400_000;

/// Whoever asks hears within this time what has become of it.
const KEEP_PATIENCE: Duration = Duration::from_secs(1);

/// How often what waits is looked at; nobody needs to be woken for it.
const PERIOD: Duration = Duration::from_millis(50);

/// What a sensor is known by. Its name is nowhere on the disk: what is deleted leaves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SensorKey([u8; 32]);

impl SensorKey {
    pub fn of(sensor_id: &str) -> Self {
        Self(Sha256::digest(sensor_id.as_bytes()).into())
    }

    fn folder(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What of a sensor is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryRecord {
    /// No longer than this, and a file's span.
    pub keep_hours: u32,
    /// The oldest give way.
    pub bytes_max: u64,
    pub since_unix_ms: i64,
    /// The room because of which it is kept; `None`: somebody wants this sensor's kept.
    pub room: Option<[u8; 16]>,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct HistoryV1 {
    keep_hours: u32,
    bytes_max: u64,
    since_unix_ms: i64,
}

impl From<HistoryV1> for HistoryRecord {
    fn from(HistoryV1 { keep_hours, bytes_max, since_unix_ms }: HistoryV1) -> Self {
        Self { keep_hours, bytes_max, since_unix_ms, room: None }
    }
}

/// With rooms.
#[derive(Deserialize)]
struct HistoryV2 {
    keep_hours: u32,
    bytes_max: u64,
    since_unix_ms: i64,
    room: Option<[u8; 16]>,
}

impl From<HistoryV2> for HistoryRecord {
    fn from(HistoryV2 { keep_hours, bytes_max, since_unix_ms, room }: HistoryV2) -> Self {
        Self { keep_hours, bytes_max, since_unix_ms, room }
    }
}

impl Record for HistoryRecord {
    const TABLE: &'static str = "history";
    const SECTION: u16 = 3;
    const VERSION: u16 = 2;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<HistoryV1>(body).map(Self::from),
            2 => frozen::<HistoryV2>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// Why samples that were to be kept are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// More waited than may.
    Full,
    /// They are text, which has no column.
    Text,
    /// The disk did not take them.
    Disk,
    /// Nobody wants them kept any more.
    Deleted,
}

/// By the numbers of [`Lost`].
pub const LOST_NAMES: [&str; 4] = ["full", "text", "disk", "deleted"];

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    /// The server has no folder.
    NothingKept,
    /// This sensor's past is not kept.
    NotKept,
    TooManySensors,
    TooManyRooms,
    /// All sensors together may not take so much.
    NoRoom {
        bytes_max: u64,
    },
    /// More would come than an answer may have.
    TooMuch {
        rows: u64,
    },
    Refused(Refused),
    /// The store cannot be asked now, and why.
    NoStore(String),
    Io(String),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingKept => f.write_str("nothing is kept: start with --data DIR"),
            Self::NotKept => f.write_str("the past of this sensor is not kept: PUT first"),
            Self::TooManySensors => write!(f, "{SENSOR_COUNT_MAX} sensors are kept already"),
            Self::TooManyRooms => {
                write!(f, "{} rooms are kept already", rooms::ROOM_COUNT_MAX)
            }
            Self::NoRoom { bytes_max } => write!(
                f,
                "the sensors that are kept may take all of the {} MiB there are \
                 (`history_mib_max`): allow one of them less",
                bytes_max >> 20
            ),
            Self::TooMuch { rows } => write!(
                f,
                "that is up to {rows} rows, and an answer has {ROW_COUNT_MAX}: narrow `from` and \
                 `to`, or give a `step`"
            ),
            Self::Refused(refused) => refused.fmt(f),
            Self::NoStore(why) => write!(f, "the store cannot be asked now: {why}"),
            Self::Io(what) => write!(f, "the folder of the past: {what}"),
        }
    }
}

impl std::error::Error for HistoryError {}

/// Where samples come from.
#[derive(Debug)]
struct Stream {
    key: SensorKey,
    attribute_id: Arc<str>,
}

/// The samples of one tick that are to be kept. A sample's feed is the number of its stream here.
#[derive(Debug, Default)]
struct Piece {
    streams: Vec<Arc<Stream>>,
    samples: SampleBatch,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    count: usize,
}

/// A word to the tap.
#[derive(Debug, Clone, Copy)]
enum Order {
    Keep(SensorKey),
    Leave(SensorKey),
}

/// See the module.
pub struct History {
    /// `None`: nothing is kept.
    folder: Option<PathBuf>,
    bytes_max: u64,
    store: Store,
    table: Table<HistoryRecord>,
    clock: Clock,
    /// Opting in and out happen one after the other.
    turn: tokio::sync::Mutex<()>,
    shelves: Mutex<FxHashMap<SensorKey, Shelf>>,
    queue: Mutex<Queue>,
    /// Locked behind the shelves, if both are.
    pending: Mutex<Option<Pending>>,
    /// Followed between two ticks; one for each request that is being answered.
    orders: Mutex<Vec<Order>>,
    /// Whether there are any: looked at in every tick.
    ordered: AtomicBool,
    taken: AtomicU64,
    lost: [AtomicU64; LOST_NAMES.len()],
    damaged: AtomicU64,
    ending: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "History({:?})", self.folder)
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub sensors: usize,
    pub bytes: u64,
    pub taken: u64,
    /// By [`LOST_NAMES`].
    pub lost: [u64; LOST_NAMES.len()],
    pub damaged: u64,
}

/// What is kept of one sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    pub policy: HistoryRecord,
    pub attributes: Vec<Arc<str>>,
    pub bytes: u64,
    /// Of samples, without their heads and what they come to.
    pub sample_bytes: u64,
    pub samples: u64,
}

impl History {
    /// Begins, with nothing kept until it is [hydrated](Self::hydrate).
    ///
    /// # Errors
    /// There is no thread to be had, or the folder cannot be read.
    pub fn start(
        folder: Option<PathBuf>,
        bytes_max: u64,
        store: Store,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<Arc<Self>> {
        let pending = folder.clone().map(Pending::open).transpose()?;
        let history = Arc::new(Self {
            pending: Mutex::new(pending),
            folder,
            bytes_max,
            table: store.table(),
            store,
            clock,
            turn: tokio::sync::Mutex::default(),
            shelves: Mutex::default(),
            queue: Mutex::default(),
            orders: Mutex::default(),
            ordered: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            lost: Default::default(),
            damaged: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        let keeper = Arc::clone(&history);
        let thread = std::thread::Builder::new().name("history".into());
        let supervisor = supervisor.clone();
        let run = move || {
            let is_over = || keeper.ending.load(Ordering::Acquire);
            let name = ("history", "task.history");
            supervisor.keep_here(name, STORAGE, is_over, |round| keeper.run(round));
        };
        *lock(&history.thread) = Some(thread.spawn(run)?);
        Ok(history)
    }

    /// Takes up what the store says is kept. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub fn hydrate(&self) -> Result<usize, ReadError> {
        let entries = self.table.all()?;
        let mut count = 0;
        for Entry { key, record, .. } in entries.into_iter().flatten() {
            let Ok(key) = <[u8; 32]>::try_from(&*key).map(SensorKey) else { continue };
            // What is there for a room is taken further once its sensor is seen in it.
            let is_wanted = record.room.is_none();
            match self.take_up(key, record) {
                Ok(()) => {
                    count += 1;
                    if is_wanted {
                        self.order(Order::Keep(key));
                    }
                }
                Err(problem) => tracing::error!(%problem, "a sensor's past cannot be kept"),
            }
        }
        if let Err(error) = self.take_up_pending() {
            tracing::error!(%error, "what a server that was killed had not sealed stays where it is");
        }
        Ok(count)
    }

    /// Seals what a server that was killed has left pending.
    fn take_up_pending(&self) -> std::io::Result<()> {
        let over = {
            let mut shelves = lock(&self.shelves);
            let mut pending = lock(&self.pending);
            let Some(pending) = &mut *pending else { return Ok(()) };
            let (entries, damaged) = pending.inherited()?;
            self.damaged.fetch_add(damaged, Ordering::Relaxed);
            let now = self.clock.now().unix_ms;
            let is_new = |key: &SensorKey, entry: &EntryV1| {
                shelves.get(key).is_some_and(|shelf| !shelf.has_sealed(entry))
            };
            let new: Vec<_> = entries.iter().filter(|(key, entry)| is_new(key, entry)).collect();
            let mut count = 0;
            for (key, entry) in new {
                if let Some(shelf) = shelves.get_mut(key) {
                    count += shelf.take_up(entry, now).map_err(|(_, error)| error)?;
                }
            }
            for shelf in shelves.values_mut() {
                shelf.seal_all(now).map_err(|(_, error)| error)?;
            }
            if count > 0 || damaged > 0 {
                tracing::info!(
                    samples = count,
                    damaged,
                    "a server was killed: what it had not sealed"
                );
            }
            pending.take_inherited()
        };
        erase_all(&over)
    }

    fn take_up(&self, key: SensorKey, policy: HistoryRecord) -> Result<(), HistoryError> {
        let folder = self.folder.as_ref().ok_or(HistoryError::NothingKept)?;
        let mut shelves = lock(&self.shelves);
        if let Some(shelf) = shelves.get_mut(&key) {
            shelf.policy = policy;
            return Ok(());
        }
        let shelf = Shelf::open(folder.join(key.folder()), policy).map_err(io)?;
        self.damaged.fetch_add(shelf.damaged, Ordering::Relaxed);
        shelves.insert(key, shelf);
        Ok(())
    }

    fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        self.ordered.store(true, Ordering::Release);
    }

    /// From now on this sensor's past is kept; `at` is the revision that was seen, if that is to be
    /// the one that is changed.
    ///
    /// # Errors
    /// See [`HistoryError`]; it is as it was.
    pub async fn keep(
        self: &Arc<Self>,
        sensor_id: &str,
        keep_hours: u32,
        bytes_max: u64,
        at: Option<Revision>,
    ) -> Result<Revision, HistoryError> {
        let _turn = self.turn.lock().await;
        if self.folder.is_none() {
            return Err(HistoryError::NothingKept);
        }
        let wanted = HistoryRecord { keep_hours, bytes_max, since_unix_ms: 0, room: None };
        self.want(SensorKey::of(sensor_id), wanted, at).await
    }

    /// The same, for as long as it is in a room; what somebody wants of the sensor itself stays as it is.
    async fn keep_in_room(
        self: &Arc<Self>,
        sensor_id: &str,
        room: RoomId,
        RoomPastRecord { keep_hours, bytes_max }: RoomPastRecord,
    ) -> Result<(), HistoryError> {
        let _turn = self.turn.lock().await;
        let key = SensorKey::of(sensor_id);
        let own = lock(&self.shelves).get(&key).map(|shelf| shelf.policy.clone());
        let is_so = |own: &HistoryRecord| {
            (own.room, own.keep_hours, own.bytes_max) == (Some(room.0), keep_hours, bytes_max)
        };
        match own {
            Some(own) if own.room.is_none() => return Ok(()),
            Some(own) if is_so(&own) => self.order(Order::Keep(key)),
            _ => {
                let room = Some(room.0);
                let wanted = HistoryRecord { keep_hours, bytes_max, since_unix_ms: 0, room };
                self.want(key, wanted, None).await?;
            }
        }
        Ok(())
    }

    /// It is not in the room any more: nothing more comes to what was kept because of it.
    fn leave_room(&self, sensor_id: &str, room: RoomId) {
        let key = SensorKey::of(sensor_id);
        let shelves = lock(&self.shelves);
        if shelves.get(&key).is_some_and(|shelf| shelf.policy.room == Some(room.0)) {
            self.order(Order::Leave(key));
        }
    }

    /// What was kept because of a room is overwritten and gone.
    async fn delete_of_room(self: &Arc<Self>, room: RoomId) -> Result<(), HistoryError> {
        let _turn = self.turn.lock().await;
        let of_it = |(key, shelf): (&SensorKey, &Shelf)| {
            (shelf.policy.room == Some(room.0)).then_some(*key)
        };
        let keys: Vec<SensorKey> = lock(&self.shelves).iter().filter_map(of_it).collect();
        for key in keys {
            self.give_up(key).await?;
        }
        Ok(())
    }

    /// `since_unix_ms` is filled in.
    async fn want(
        self: &Arc<Self>,
        key: SensorKey,
        mut record: HistoryRecord,
        at: Option<Revision>,
    ) -> Result<Revision, HistoryError> {
        let bytes_max = record.bytes_max;
        let now = self.clock.now().unix_ms;
        record.since_unix_ms = {
            let shelves = lock(&self.shelves);
            let others = shelves.iter().filter(|(other, _)| **other != key);
            let booked: u64 = others.map(|(_, shelf)| shelf.policy.bytes_max).sum();
            if booked.saturating_add(bytes_max) > self.bytes_max {
                return Err(HistoryError::NoRoom { bytes_max: self.bytes_max });
            }
            let there = shelves.get(&key);
            if there.is_none() && shelves.len() >= SENSOR_COUNT_MAX {
                return Err(HistoryError::TooManySensors);
            }
            there.map_or(now, |shelf| shelf.policy.since_unix_ms)
        };
        let expect = at.map_or(Expect::Any, Expect::At);
        let revision = self.commit(self.table.put(&key.0, &record, expect)).await?;
        let history = Arc::clone(self);
        blocking(move || history.take_up(key, record)).await??;
        self.order(Order::Keep(key));
        Ok(revision)
    }

    /// Nothing of this sensor is kept any more, and what was is overwritten and gone.
    ///
    /// # Errors
    /// Something is left, and it is kept still; it may be tried again.
    pub async fn delete(self: &Arc<Self>, sensor_id: &str) -> Result<(), HistoryError> {
        let _turn = self.turn.lock().await;
        self.give_up(SensorKey::of(sensor_id)).await
    }

    async fn give_up(self: &Arc<Self>, key: SensorKey) -> Result<(), HistoryError> {
        // What is erased must not be kept again by the next server.
        self.ready()?;
        let history = Arc::clone(self);
        blocking(move || history.erase(key)).await??;
        self.commit(self.table.delete(&key.0, Expect::Any)).await?;
        Ok(())
    }

    fn ready(&self) -> Result<(), HistoryError> {
        match &*self.store.watch().borrow() {
            Readiness::Failed(error) => Err(HistoryError::NoStore(error.to_string())),
            Readiness::Hydrating | Readiness::Ready => Ok(()),
        }
    }

    /// Nobody who asks waits for a disk that is not there.
    async fn commit(&self, change: Change) -> Result<Revision, HistoryError> {
        self.ready()?;
        let committed = timeout(KEEP_PATIENCE, self.store.commit(vec![change])).await;
        let late = "it takes too long: look at /health/ready, and whether it was done after all";
        let committed = committed.map_err(|_| HistoryError::NoStore(late.into()))?;
        committed.map_err(HistoryError::Refused)
    }

    fn erase(&self, key: SensorKey) -> Result<(), HistoryError> {
        self.order(Order::Leave(key));
        // What still waits for it finds no shelf.
        let shelf = lock(&self.shelves).remove(&key);
        let mut shelf = shelf.ok_or(HistoryError::NotKept)?;
        let pending = lock(&self.pending).as_ref().map_or(Ok(()), |pending| pending.forget(key));
        let erased = pending.and_then(|()| shelf.erase()).map_err(io);
        if erased.is_err() {
            lock(&self.shelves).insert(key, shelf);
            self.order(Order::Keep(key));
        }
        erased
    }

    /// What is kept of a sensor. `None`: nothing.
    pub fn about(&self, sensor_id: &str) -> Option<About> {
        let shelves = lock(&self.shelves);
        let shelf = shelves.get(&SensorKey::of(sensor_id))?;
        let (sample_bytes, samples) = shelf.weight();
        Some(About {
            policy: shelf.policy.clone(),
            attributes: shelf.attributes(),
            bytes: shelf.bytes(),
            sample_bytes,
            samples,
        })
    }

    /// What is counted.
    pub fn figures(&self) -> Figures {
        let shelves = lock(&self.shelves);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            sensors: shelves.len(),
            bytes: shelves.values().map(Shelf::bytes).sum(),
            taken: read(&self.taken),
            lost: self.lost.each_ref().map(read),
            damaged: read(&self.damaged),
        }
    }

    /// Hands over what a tick brought; what is too much is counted.
    fn offer(&self, piece: Piece) {
        let count = piece.samples.len();
        let mut queue = lock(&self.queue);
        if queue.count + count > WAITING_SAMPLE_COUNT_MAX {
            return self.lose(Lost::Full, count as u64);
        }
        queue.count += count;
        queue.pieces.push_back(piece);
    }

    fn lose(&self, why: Lost, count: u64) {
        self.lost[why as usize].fetch_add(count, Ordering::Relaxed);
    }

    fn run(&self, round: &dyn Fn()) {
        let scalar = Arc::new(Shape::scalar());
        while !self.ending.load(Ordering::Acquire) {
            std::thread::park_timeout(PERIOD);
            round();
            self.work(&scalar);
        }
        self.work(&scalar);
        let now = self.clock.now().unix_ms;
        let mut is_sealed = true;
        for shelf in lock(&self.shelves).values_mut() {
            let sealed =
                shelf.seal_all(now).and_then(|()| shelf.close().map_err(|error| (0, error)));
            is_sealed &= sealed.is_ok();
            self.note(sealed);
        }
        if is_sealed && let Some(pending) = &mut *lock(&self.pending) {
            self.note(erase_all(&pending.clear()).map_err(|error| (0, error)));
        }
    }

    /// Takes what waits, seals what is due, and gives up what is over.
    fn work(&self, scalar: &Arc<Shape>) {
        let pieces = std::mem::take(&mut *lock(&self.queue)).pieces;
        let now = self.clock.now().unix_ms;
        let mut shelves = lock(&self.shelves);
        for piece in pieces {
            for n in 0..piece.samples.len() {
                let (number, _, stamp, payload) = piece.samples.get(n);
                let Some(stream) = piece.streams.get(number.0.slot as usize) else { continue };
                let Some(shelf) = shelves.get_mut(&stream.key) else {
                    self.lose(Lost::Deleted, 1);
                    continue;
                };
                match shelf.take(&stream.attribute_id, scalar, stamp.0, payload, now) {
                    Ok(true) => drop(self.taken.fetch_add(1, Ordering::Relaxed)),
                    Ok(false) => self.lose(Lost::Text, 1),
                    Err(problem) => self.note(Err(problem)),
                }
            }
        }
        // Before anybody can read it.
        let mut over = self.note_new(&mut shelves, now);
        for shelf in shelves.values_mut() {
            self.note(shelf.seal_due(now));
            let retained = shelf.retain(now);
            self.note(retained.map(drop).map_err(|error| (0, error)));
        }
        let mut pending = lock(&self.pending);
        if let Some(pending) = pending.as_mut().filter(|pending| pending.is_full()) {
            let sealed: Vec<_> = shelves.values_mut().map(|shelf| shelf.seal_all(now)).collect();
            if sealed.iter().all(Result::is_ok) {
                over.extend(pending.clear());
            }
            sealed.into_iter().for_each(|sealed| self.note(sealed));
        }
        drop((shelves, pending));
        self.note(erase_all(&over).map_err(|error| (0, error)));
    }

    /// Puts on the disk what has come into memory; files that are over.
    fn note_new(&self, shelves: &mut FxHashMap<SensorKey, Shelf>, now: i64) -> Vec<PathBuf> {
        let mut pending = lock(&self.pending);
        let Some(pending) = &mut *pending else { return Vec::new() };
        for (key, shelf) in shelves {
            shelf.note_new(|entry| pending.push(*key, &entry));
        }
        pending.flush(now).unwrap_or_else(|error| {
            tracing::error!(%error, "a kill would lose what is not sealed yet");
            Vec::new()
        })
    }

    fn note(&self, outcome: Result<(), (u64, std::io::Error)>) {
        if let Err((count, error)) = outcome {
            self.lose(Lost::Disk, count);
            tracing::error!(%error, samples = count, "a sensor's past cannot be written");
        }
    }

    /// Puts everything on the disk, and ends. Blocks.
    pub fn close(&self) {
        self.ending.store(true, Ordering::Release);
        if let Some(thread) = lock(&self.thread).take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the past has panicked");
            }
        }
    }
}

fn io(error: std::io::Error) -> HistoryError {
    HistoryError::Io(error.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HistoryError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| HistoryError::Io(error.to_string()))
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

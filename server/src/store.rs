//! What is to outlive the process: typed tables of small records, each whole or not served, written
//! by one thread beside everything else.
//!
//! Whoever has something to keep hands [`Change`]s over a bounded queue and goes on, or waits until
//! they are on the disk. The [writer](writer) puts everything that waits into one transaction, so
//! that a kill loses at most the last [`GATHER`] of what nobody waited for. While the file cannot be
//! had, changes wait up to a bound, and nobody else is kept from anything. Formats and promises are
//! in `docs/store.md`.

pub mod api;
mod error;
mod file;
pub mod keep;
pub mod record;
mod shadow;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use components::fault::Faults;
use redb::{Database, ReadableDatabase, ReadableTable, TableError};
use tokio::sync::{oneshot, watch};

use crate::breaker::{self, Breaker};
use crate::clock::Clock;
pub use error::{StoreError, Trouble};
pub use file::{FILE, Place};
use file::{Tally, body_of, contained, definition, place_of, told};
use record::{BODY_BYTES_MAX, KEY_BYTES_MAX, Record, Revision, Rot, Section};

/// What nobody waits for is on the disk within this time and that of one commit.
pub const GATHER: Duration = Duration::from_millis(50);

/// Changes that may wait for the disk.
pub const WAITING_COUNT_MAX: usize = 65_536;

/// Bytes of keys and bodies that may wait for the disk.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// Damaged values that are remembered by place.
const ROTTEN_COUNT_MAX: usize = 64;

/// Every kind of record that this program keeps. A number is never used again.
pub fn sections() -> Vec<Section> {
    vec![
        Section::of::<crate::viewer::keeping::TokenRecord>(),
        Section::of::<crate::history::HistoryRecord>(),
        Section::of::<crate::people::record::AccountRecord>(),
        Section::of::<crate::people::record::SessionRecord>(),
        Section::of::<crate::rooms::record::RoomRecord>(),
        Section::of::<crate::rooms::record::TicketKeyRecord>(),
        Section::of::<crate::rooms::chat::record::MessageRecord>(),
        Section::of::<crate::belongings::record::CredentialRecord>(),
        Section::of::<crate::belongings::record::SensorRecord>(),
        Section::of::<crate::belongings::record::ConnectorRecord>(),
        Section::of::<crate::consent::record::PrivacyRecord>(),
        Section::of::<crate::consent::record::GrantRecord>(),
        Section::of::<crate::history::rooms::RoomPastRecord>(),
    ]
}

/// How a store is run.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    pub place: Place,
    pub sections: Vec<Section>,
    pub clock: Clock,
    pub gather: Duration,
    pub waiting_count_max: usize,
    pub waiting_bytes_max: usize,
    /// Between two slices of the scrubber's walk.
    pub scrub_period: Duration,
    /// Before the first retry; the later ones wait longer.
    pub retry_first: Duration,
    /// No retry waits longer, and how long the breaker leaves the disk in peace.
    pub rest: Duration,
    /// Failpoints, in builds that have them.
    pub faults: Faults,
}

impl StoreConfig {
    pub fn new(place: Place, sections: Vec<Section>, clock: Clock) -> Self {
        Self {
            place,
            sections,
            clock,
            gather: GATHER,
            waiting_count_max: WAITING_COUNT_MAX,
            waiting_bytes_max: WAITING_BYTES_MAX,
            scrub_period: writer::SCRUB_PERIOD,
            retry_first: writer::RETRY_FIRST,
            rest: breaker::REST,
            faults: Faults::default(),
        }
    }
}

/// Whether the store can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It is being opened for the first time.
    Hydrating,
    Ready,
    /// Why not; it is tried again.
    Failed(Arc<StoreError>),
}

impl Readiness {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hydrating => "hydrating",
            Self::Ready => "ready",
            Self::Failed(_) => "failed",
        }
    }
}

/// What must be there for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// Nothing under this key.
    Absent,
    /// The record of this revision.
    At(Revision),
}

/// One record put or taken away. Made by a [`Table`].
#[derive(Debug, Clone)]
pub struct Change {
    table: &'static str,
    key: Box<[u8]>,
    /// `None`: it goes.
    body: Option<Vec<u8>>,
    expect: Expect,
}

impl Change {
    fn bytes(&self) -> usize {
        self.key.len() + self.body.as_ref().map_or(0, Vec::len)
    }
}

/// Why changes were not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// More waits for the disk than may.
    Full,
    /// A key or a body is longer than any may be.
    TooLarge,
    /// Something else is there than was expected, or nothing.
    Conflict { found: Option<Revision> },
    /// What is there is damaged, and cannot be compared with what was expected.
    Rotten,
    /// The store has ended.
    Closed,
}

impl Refused {
    pub const NAMES: [&'static str; 5] = ["full", "too_large", "conflict", "rotten", "closed"];

    fn index(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::TooLarge => 1,
            Self::Conflict { .. } => 2,
            Self::Rotten => 3,
            Self::Closed => 4,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits for the disk already: look at /health/ready"),
            Self::TooLarge => write!(
                f,
                "a key is longer than {KEY_BYTES_MAX} bytes, or a record than {BODY_BYTES_MAX}"
            ),
            Self::Conflict { found: Some(Revision(found)) } => {
                write!(f, "it has been changed meanwhile: it is at revision {found}")
            }
            Self::Conflict { found: None } => f.write_str("it is not there any more"),
            Self::Rotten => f.write_str("what is there is damaged: look at /health/ready"),
            Self::Closed => f.write_str("the server is ending"),
        }
    }
}

impl std::error::Error for Refused {}

/// A record as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<R> {
    pub key: Box<[u8]>,
    pub revision: Revision,
    pub record: R,
}

/// A value that is not served, where it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotten {
    pub place: String,
    pub rot: Rot,
}

impl fmt::Display for Rotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rot)
    }
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The store cannot be asked now; see [`Store::watch`].
    NotReady,
    Store(StoreError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the store is not ready: look at /health/ready"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Changes of one asker: all are made, or none.
#[derive(Debug)]
struct Job {
    changes: Vec<Change>,
    bytes: usize,
    answer: Option<oneshot::Sender<Result<Revision, Refused>>>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    count: usize,
    bytes: usize,
    /// Jobs among them that somebody waits for.
    awaited: usize,
    closing: bool,
}

/// What the store has done since it was started.
#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    changes: AtomicU64,
    failures: AtomicU64,
    refused: [AtomicU64; Refused::NAMES.len()],
    /// Values that were read and not served.
    rotten: AtomicU64,
    /// Values that the scrubber has looked at, and its walks through all of them.
    scrubbed: AtomicU64,
    walks: AtomicU64,
}

struct Inner {
    config: StoreConfig,
    queue: Mutex<Queue>,
    bell: Condvar,
    /// While it is ready.
    db: Mutex<Option<Arc<Database>>>,
    readiness: watch::Sender<Readiness>,
    /// Between the thread and the disk.
    breaker: Mutex<Breaker>,
    counts: Counts,
    /// Damaged values that were met, by place.
    rotten: Mutex<BTreeMap<String, String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A handle of the store; all of them are equal.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.config.place.path().display())
    }
}

/// What can be said of a store without touching it.
#[derive(Debug, Clone)]
pub struct Report {
    pub readiness: Readiness,
    /// `None`: it is in memory, and nothing is kept.
    pub path: Option<PathBuf>,
    pub waiting_count: usize,
    pub waiting_bytes: usize,
    pub commits: u64,
    pub changes: u64,
    /// Times that the file could not be opened or written.
    pub failures: u64,
    pub breaker: Breaker,
    /// By the names of [`Refused`].
    pub refused: [u64; Refused::NAMES.len()],
    pub rotten: u64,
    /// Places of damaged values, and what is wrong there.
    pub rotten_places: Vec<(String, String)>,
    pub scrubbed: u64,
    pub walks: u64,
}

impl Store {
    /// Begins to open it, on a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had. That the file is not to be had is told by
    /// [`watch`](Self::watch).
    pub fn start(config: StoreConfig) -> std::io::Result<Self> {
        let store = Self(Arc::new(Inner {
            breaker: Mutex::new(Breaker::new(config.rest)),
            config,
            queue: Mutex::default(),
            bell: Condvar::new(),
            db: Mutex::default(),
            readiness: watch::Sender::new(Readiness::Hydrating),
            counts: Counts::default(),
            rotten: Mutex::default(),
            thread: Mutex::default(),
        }));
        let inner = Arc::clone(&store.0);
        let thread = std::thread::Builder::new().name("store".into());
        let thread = thread.spawn(move || writer::run(&inner))?;
        *lock(&store.0.thread) = Some(thread);
        Ok(store)
    }

    /// Whether it can be asked, as that changes.
    pub fn watch(&self) -> watch::Receiver<Readiness> {
        self.0.readiness.subscribe()
    }

    /// Whether what it takes is on a disk, or gone with the process.
    pub fn is_kept(&self) -> bool {
        self.0.config.place.is_kept()
    }

    /// The records of one kind.
    pub fn table<R: Record>(&self) -> Table<R> {
        let known = self.0.config.sections.iter().any(|section| section.table == R::TABLE);
        assert!(known, "the table `{}` is among the sections the store is started with", R::TABLE);
        Table { store: self.clone(), records: PhantomData }
    }

    /// Hands changes over, all or none of which will be made. Does not wait.
    ///
    /// # Errors
    /// They are refused at once: too many wait, one is too large, or the store has ended. That
    /// something else was there than expected is counted, and told only to who
    /// [waits](Self::commit).
    pub fn write(&self, changes: Vec<Change>) -> Result<(), Refused> {
        self.hand_over(changes, None)
    }

    /// The same, and what comes of it once it is on the disk. They are handed over at once, and
    /// made even if nobody waits.
    ///
    /// # Errors
    /// The future's: see [`Refused`].
    pub fn commit(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<Revision, Refused>> + use<> {
        let (answer, outcome) = oneshot::channel();
        let handed_over = self.hand_over(changes, Some(answer));
        async move {
            handed_over?;
            outcome.await.unwrap_or(Err(Refused::Closed))
        }
    }

    fn hand_over(
        &self,
        changes: Vec<Change>,
        answer: Option<oneshot::Sender<Result<Revision, Refused>>>,
    ) -> Result<(), Refused> {
        let inner = &*self.0;
        let too_large = |change: &Change| {
            change.key.len() > KEY_BYTES_MAX
                || change.body.as_ref().is_some_and(|body| body.len() > BODY_BYTES_MAX)
        };
        if changes.iter().any(too_large) {
            return Err(inner.refuse(Refused::TooLarge));
        }
        let bytes: usize = changes.iter().map(Change::bytes).sum();
        let mut queue = lock(&inner.queue);
        if queue.closing {
            return Err(inner.refuse(Refused::Closed));
        }
        let StoreConfig { waiting_count_max, waiting_bytes_max, .. } = inner.config;
        if queue.count + changes.len() > waiting_count_max
            || queue.bytes + bytes > waiting_bytes_max
        {
            return Err(inner.refuse(Refused::Full));
        }
        queue.count += changes.len();
        queue.bytes += bytes;
        queue.awaited += usize::from(answer.is_some());
        queue.jobs.push_back(Job { changes, bytes, answer });
        drop(queue);
        inner.bell.notify_all();
        Ok(())
    }

    /// Writes what waits, and ends. Blocks.
    pub fn close(&self) {
        lock(&self.0.queue).closing = true;
        self.0.bell.notify_all();
        if let Some(thread) = lock(&self.0.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread has panicked");
        }
    }

    /// Writes everything that is on the disk by now into a file of its own, while others go on
    /// reading and writing. Blocks.
    ///
    /// # Errors
    /// Something is damaged, or the copy cannot be written; there is no copy then.
    pub fn backup(&self, to: &Path) -> Result<Tally, ReadError> {
        let path = self.0.config.place.path();
        let db = lock(&self.0.db).clone().ok_or(ReadError::NotReady)?;
        let sections = &self.0.config.sections;
        let copied = told(&path, db.begin_read())
            .and_then(|txn| file::copy(&path, &txn, to, sections, false));
        copied.map_err(ReadError::Store)
    }

    /// See [`Report`].
    pub fn report(&self) -> Report {
        let inner = &*self.0;
        let (waiting_count, waiting_bytes) = {
            let queue = lock(&inner.queue);
            (queue.count, queue.bytes)
        };
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &inner.counts;
        let rotten_places = lock(&inner.rotten);
        Report {
            readiness: inner.readiness.borrow().clone(),
            path: inner.config.place.is_kept().then(|| inner.config.place.path()),
            waiting_count,
            waiting_bytes,
            commits: read(&counts.commits),
            changes: read(&counts.changes),
            failures: read(&counts.failures),
            breaker: lock(&inner.breaker).clone(),
            refused: counts.refused.each_ref().map(read),
            rotten: read(&counts.rotten),
            rotten_places: rotten_places.iter().map(|(p, w)| (p.clone(), w.clone())).collect(),
            scrubbed: read(&counts.scrubbed),
            walks: read(&counts.walks),
        }
    }
}

impl Inner {
    fn refuse(&self, refused: Refused) -> Refused {
        self.counts.refused[refused.index()].fetch_add(1, Ordering::Relaxed);
        refused
    }

    fn note_rot(&self, rotten: &Rotten) {
        self.counts.rotten.fetch_add(1, Ordering::Relaxed);
        let mut places = lock(&self.rotten);
        let is_new = !places.contains_key(&rotten.place);
        if is_new && places.len() < ROTTEN_COUNT_MAX {
            tracing::error!(%rotten, "a value in the store is damaged and is not served");
            places.insert(rotten.place.clone(), rotten.rot.to_string());
        }
    }
}

/// The records of one kind, under keys of bytes; numbers in keys are big-endian, so that they sort.
#[derive(Debug, Clone)]
pub struct Table<R> {
    store: Store,
    records: PhantomData<fn() -> R>,
}

impl<R: Record> Table<R> {
    /// The change that puts a record there.
    pub fn put(&self, key: &[u8], record: &R, expect: Expect) -> Change {
        Change { table: R::TABLE, key: key.into(), body: Some(body_of(record)), expect }
    }

    /// The change that takes a record away.
    pub fn delete(&self, key: &[u8], expect: Expect) -> Change {
        Change { table: R::TABLE, key: key.into(), body: None, expect }
    }

    /// Every record of this kind that is on the disk, by key; of a damaged one, where it is and
    /// what is wrong with it. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn all(&self) -> Result<Vec<Result<Entry<R>, Rotten>>, ReadError> {
        let inner = &*self.store.0;
        let path = inner.config.place.path();
        let db = lock(&inner.db).clone().ok_or(ReadError::NotReady)?;
        let read = || {
            let txn = told(&path, db.begin_read())?;
            let table = match txn.open_table(definition(R::TABLE)) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => told(&path, table)?,
            };
            let mut entries = Vec::new();
            for row in told(&path, table.iter())? {
                let (key, value) = told(&path, row)?;
                entries.push(self.entry(key.value(), value.value()));
            }
            Ok(entries)
        };
        contained(&path, read).map_err(ReadError::Store)
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Result<Entry<R>, Rotten> {
        let section = Section::of::<R>();
        let opened = section.open(key, value).and_then(|(version, revision, body)| {
            let record = R::read(version, body).map_err(|what| Rot::Unreadable(what.0))?;
            Ok(Entry { key: key.into(), revision, record })
        });
        opened.map_err(|rot| {
            let rotten = Rotten { place: place_of(&section, key), rot };
            self.store.0.note_rot(&rotten);
            rotten
        })
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

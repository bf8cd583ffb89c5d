//! Records everything that crosses the engine's door: asked for over HTTP, taken on the pump's
//! thread, encoded and written on a thread of its own.
//!
//! A recording begins between two ticks. The engine's world is written down, and the engine itself
//! goes on from what is made of that, so that it and every replay share one beginning. From then
//! on each tick's time and inputs are copied, the deliveries hashed, and both handed over a bounded
//! queue ([`recording::Recorder`]). A writer that cannot keep up, a disk that fails or a bound that
//! is reached end the recording, never the server: what was written is finished as a whole file,
//! and the reason stays in the status until somebody has stopped it.

pub mod api;
pub mod library;
mod tape;

use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::Settings;
use simulator::recording::{self, Header};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::intake::Intake;
use library::{Entry, Library, LibraryError};
pub use tape::Tape;

/// Bytes of one recording, unless the operator says otherwise (`recording_mib_max`).
pub const RECORDING_MIB_MAX: usize = 4 << 10;

/// Bytes of all recordings (`recordings_mib_max`).
pub const RECORDINGS_MIB_MAX: usize = 16 << 10;

/// Less room than this is none: a second of a busy server.
const ROOM_BYTES_MIN: u64 = 4 << 20;

/// Without a sample for so long, the status warns: a recording of nothing is mostly a mistake.
const SILENCE_MS_MAX: u64 = 5_000;

/// A pump that has not done as it was told after this long does not tick.
const PUMP_PATIENCE: Duration = Duration::from_secs(10);

/// What waits for the disk when a recording ends is written within this time, or it is broken.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// What bounds recordings, and where they are.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    pub folder: std::path::PathBuf,
    pub recording_bytes_max: u64,
    pub folder_bytes_max: u64,
    pub tick_hz: u32,
    pub settings: Settings,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderError {
    Library(LibraryError),
    AlreadyRecording {
        name: String,
    },
    NotRecording,
    /// It is just being recorded.
    Busy {
        name: String,
    },
    /// The folder holds as much as it may.
    NoRoom {
        bytes_max: u64,
    },
    /// The engine did not begin, and why.
    NotBegun(String),
}

impl fmt::Display for RecorderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::AlreadyRecording { name } => write!(f, "`{name}` is being recorded already"),
            Self::NotRecording => f.write_str("nothing is being recorded"),
            Self::Busy { name } => write!(f, "`{name}` is still being recorded; stop it first"),
            Self::NoRoom { bytes_max } => write!(
                f,
                "the recordings take all of the {} MiB they may (`recordings_mib_max`); delete some",
                bytes_max >> 20
            ),
            Self::NotBegun(what) => write!(f, "the recording could not begin: {what}"),
        }
    }
}

impl std::error::Error for RecorderError {}

impl From<LibraryError> for RecorderError {
    fn from(error: LibraryError) -> Self {
        Self::Library(error)
    }
}

/// The recording that runs, or has ended by itself, as the pump and the doors see it.
#[derive(Debug)]
struct Live {
    name: String,
    started_unix_ms: i64,
    started: Instant,
    /// No feed was open when it began.
    nobody: AtomicBool,
    samples: AtomicU64,
    /// Milliseconds behind `started` at which the last sample came.
    sampled_ms: AtomicU64,
    /// Written to the file.
    bytes: AtomicU64,
    /// Why it ended by itself: the first reason given.
    error: Mutex<Option<String>>,
    /// Whether the file is finished.
    over: watch::Sender<bool>,
}

impl Live {
    fn new(name: String, started_unix_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            name,
            started_unix_ms,
            started: Instant::now(),
            nobody: AtomicBool::new(false),
            samples: AtomicU64::new(0),
            sampled_ms: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            error: Mutex::new(None),
            over: watch::Sender::new(false),
        })
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// It ended by itself: told once.
    fn fail(&self, why: String) {
        let mut error = lock(&self.error);
        if error.is_none() {
            tracing::error!(recording = self.name, %why, "the recording has ended by itself");
            *error = Some(why);
        }
    }

    fn error(&self) -> Option<String> {
        lock(&self.error).clone()
    }

    /// Finishes the file on a thread that may wait for the disk.
    fn finish(self: &Arc<Self>, recorder: recording::Recorder, file: Option<File>) {
        let live = Arc::clone(self);
        let finish = move || {
            match recorder.finish() {
                Ok(figures) => live.bytes.store(figures.bytes, Ordering::Relaxed),
                Err(error) => live.fail(format!("the disk does not take it: {error}")),
            }
            if let Some(Err(error)) = file.map(|file| file.sync_all()) {
                live.fail(format!("the disk does not take it: {error}"));
            }
            live.over.send_replace(true);
        };
        let spawned = std::thread::Builder::new().name("recorder-end".into()).spawn(finish);
        if let Err(error) = spawned {
            self.fail(format!("it cannot be finished: {error}"));
            self.over.send_replace(true);
        }
    }

    fn warning(&self) -> Option<String> {
        let silent_ms = self.elapsed_ms().saturating_sub(self.sampled_ms.load(Ordering::Relaxed));
        if silent_ms < SILENCE_MS_MAX {
            return None;
        }
        let seconds = silent_ms / 1000;
        let never = self.samples.load(Ordering::Relaxed) == 0;
        Some(if never && self.nobody.load(Ordering::Relaxed) {
            format!("no sample for {seconds} s: there was no device to begin with")
        } else {
            format!("no sample for {seconds} s: no device sends")
        })
    }
}

/// What the status says of the recording that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub name: String,
    pub started_unix_ms: i64,
    pub elapsed_ms: u64,
    pub samples: u64,
    pub bytes: u64,
    /// It has ended by itself, and why.
    pub error: Option<String>,
    pub warning: Option<String>,
}

/// A word to the pump's thread, to be followed between two ticks.
#[derive(Debug)]
enum Order {
    Start(Box<Start>),
    Stop { done: oneshot::Sender<()> },
}

#[derive(Debug)]
struct Start {
    live: Arc<Live>,
    header: Header,
    file: File,
    bytes_max: u64,
    begun: oneshot::Sender<Result<(), String>>,
}

/// What the doors ask, and the pump follows. One recording at a time.
#[derive(Debug)]
pub struct Recorder {
    config: RecorderConfig,
    clock: Clock,
    intake: Arc<Intake>,
    library: Arc<Library>,
    /// Starting, stopping and deleting happen one after the other.
    turn: tokio::sync::Mutex<()>,
    /// Until it is stopped, even if it has ended by itself.
    live: Mutex<Option<Arc<Live>>>,
    /// What the pump has not followed yet; `None` when there is no pump any more.
    orders: Mutex<Option<Vec<Order>>>,
}

impl Recorder {
    pub fn new(config: RecorderConfig, clock: Clock, intake: Arc<Intake>) -> Arc<Self> {
        let library = Arc::new(Library::new(config.folder.clone()));
        Arc::new(Self {
            config,
            clock,
            intake,
            library,
            turn: tokio::sync::Mutex::default(),
            live: Mutex::default(),
            orders: Mutex::new(Some(Vec::new())),
        })
    }

    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// Bytes that all recordings may take.
    pub fn bytes_max(&self) -> u64 {
        self.config.folder_bytes_max
    }

    /// The recording that runs, or the one that ended by itself and that nobody has stopped since.
    pub fn status(&self) -> Option<Status> {
        let live = lock(&self.live).clone()?;
        let error = live.error();
        Some(Status {
            name: live.name.clone(),
            started_unix_ms: live.started_unix_ms,
            elapsed_ms: live.elapsed_ms(),
            samples: live.samples.load(Ordering::Relaxed),
            bytes: live.bytes.load(Ordering::Relaxed),
            warning: if error.is_none() { live.warning() } else { None },
            error,
        })
    }

    /// The name whose file is not to be touched.
    fn busy_name(&self) -> Option<String> {
        lock(&self.live).as_ref().map(|live| live.name.clone())
    }

    /// Every recording there is, but for the one that the status is about.
    pub async fn list(&self) -> Result<Vec<Entry>, RecorderError> {
        let busy = self.busy_name();
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.list(busy.as_deref())).await??)
    }

    /// Begins to record, under this name or one made of the time.
    pub async fn start(&self, name: Option<String>) -> Result<Status, RecorderError> {
        let _turn = self.turn.lock().await;
        let running = lock(&self.live).clone().filter(|live| live.error().is_none());
        if let Some(live) = running {
            return Err(RecorderError::AlreadyRecording { name: live.name.clone() });
        }
        self.settle().await;
        let now = self.clock.now();
        let library = Arc::clone(&self.library);
        let folder_bytes_max = self.config.folder_bytes_max;
        let (name, file, room) = blocking(move || {
            let room = folder_bytes_max.saturating_sub(library.bytes()?);
            if room < ROOM_BYTES_MIN {
                return Err(RecorderError::NoRoom { bytes_max: folder_bytes_max });
            }
            let (name, file) = library.create(name, now.unix_ms)?;
            Ok((name, file, room))
        })
        .await??;
        let live = Live::new(name.clone(), now.unix_ms);
        let header = Header {
            settings: self.config.settings.clone(),
            epoch_unix_ms: now.unix_ms - (now.engine.0 / 1000) as i64,
            source: "server".into(),
            tick_hz: f64::from(self.config.tick_hz),
            ..Header::default()
        };
        let bytes_max = self.config.recording_bytes_max.min(room);
        let (begun, answer) = oneshot::channel();
        let start = Start { live: Arc::clone(&live), header, file, bytes_max, begun };
        self.order(Order::Start(Box::new(start)));
        let outcome = match timeout(PUMP_PATIENCE, answer).await {
            Ok(Ok(outcome)) => outcome,
            _ => Err("the engine does not tick".into()),
        };
        if let Err(what) = outcome {
            let library = Arc::clone(&self.library);
            blocking(move || library.delete(&name)).await??;
            return Err(RecorderError::NotBegun(what));
        }
        tracing::info!(recording = name, "recording");
        *lock(&self.live) = Some(live);
        Ok(self.status().expect("it has just begun"))
    }

    /// Ends the recording that runs, or takes note of one that ended by itself.
    pub async fn stop(&self) -> Result<Entry, RecorderError> {
        let _turn = self.turn.lock().await;
        let Some(name) = self.settle().await else { return Err(RecorderError::NotRecording) };
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.entry(&name)).await??)
    }

    /// Sees that nothing is recorded any more; the name of what was.
    async fn settle(&self) -> Option<String> {
        let live = lock(&self.live).clone()?;
        let (done, answer) = oneshot::channel();
        self.order(Order::Stop { done });
        // Without a pump the answer is that there is none.
        let _ = timeout(PUMP_PATIENCE, answer).await;
        let mut over = live.over.subscribe();
        if !matches!(timeout(END_PATIENCE, over.wait_for(|over| *over)).await, Ok(Ok(_))) {
            live.fail("it could not be finished in time".into());
        }
        if let Some(error) = live.error() {
            self.library.note(&live.name, error);
        }
        tracing::info!(
            recording = live.name,
            samples = live.samples.load(Ordering::Relaxed),
            bytes = live.bytes.load(Ordering::Relaxed),
            "recorded"
        );
        *lock(&self.live) = None;
        Some(live.name.clone())
    }

    pub async fn delete(&self, name: String) -> Result<(), RecorderError> {
        let _turn = self.turn.lock().await;
        library::check_name(&name)?;
        if self.busy_name().as_ref() == Some(&name) {
            return Err(RecorderError::Busy { name });
        }
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.delete(&name)).await??)
    }

    /// A whole recording, to be read, and its length in bytes.
    pub async fn open(&self, name: String) -> Result<(File, u64), RecorderError> {
        library::check_name(&name)?;
        if self.busy_name().as_ref() == Some(&name) {
            return Err(RecorderError::Busy { name });
        }
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.open(&name)).await??)
    }

    /// Without a pump nobody follows, and whoever waits for an answer hears so.
    fn order(&self, order: Order) {
        if let Some(orders) = &mut *lock(&self.orders) {
            orders.push(order);
        }
        self.intake.wake();
    }

    /// Finishes what runs.
    pub async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.settle().await;
    }
}

/// Off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RecorderError> {
    let broken = |error: tokio::task::JoinError| RecorderError::NotBegun(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(broken)
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

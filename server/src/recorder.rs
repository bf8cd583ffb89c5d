//! Records everything that crosses the engine's door: asked for over HTTP, taken on the pump's
//! thread, encoded and written on a thread of its own.
//!
//! A recording begins between two ticks. The engine's world is written down, and the engine itself
//! goes on from what is made of that, so that it and every replay share one beginning. From then
//! on each tick's time and inputs are copied, the deliveries hashed, and both handed to the writer
//! over a queue of bounded length and size. A writer that cannot keep up, a disk that fails or a
//! bound that is reached end the recording, never the server: what was written is finished as a
//! whole file, and the reason stays in the status until somebody has seen it.

pub mod api;
pub mod library;
mod tape;
mod write;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Settings;
use simulator::recording::Header;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::intake::Intake;
use library::{Entry, Library, LibraryError};
pub use tape::Tape;
use tape::Tick;

/// Ticks that may wait for the writer: eight seconds.
pub const QUEUE_TICK_COUNT_MAX: usize = 2048;

/// Bytes of samples and commands that may wait for the writer. May be exceeded by one tick.
pub const QUEUE_BYTES_MAX: usize = 128 << 20;

/// Bytes of one recording, unless the operator says otherwise (`recording_mib_max`).
pub const RECORDING_MIB_MAX: usize = 4 << 10;

/// Bytes of all recordings (`recordings_mib_max`).
pub const RECORDINGS_MIB_MAX: usize = 16 << 10;

/// Less room than this is none: a second of a busy server.
const ROOM_BYTES_MIN: u64 = 4 << 20;

/// Without a sample for so long, the status warns: a recording of nothing is mostly a mistake.
const SILENCE_MS_MAX: u64 = 5_000;

/// A pump that has not begun after this long does not tick.
const START_PATIENCE: Duration = Duration::from_secs(10);

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

/// The recording that runs, or has ended by itself, as the pump, the writer and the doors see it.
#[derive(Debug)]
struct Live {
    name: String,
    started_unix_ms: i64,
    started: Instant,
    samples: AtomicU64,
    /// Milliseconds behind `started` at which the last sample came.
    sampled_ms: AtomicU64,
    sensors: AtomicU64,
    /// Written to the file.
    bytes: AtomicU64,
    queued_bytes: AtomicUsize,
    /// Why it ended by itself: the first reason given.
    error: Mutex<Option<String>>,
}

impl Live {
    fn new(name: String, started_unix_ms: i64) -> Self {
        Self {
            name,
            started_unix_ms,
            started: Instant::now(),
            samples: AtomicU64::new(0),
            sampled_ms: AtomicU64::new(0),
            sensors: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            queued_bytes: AtomicUsize::new(0),
            error: Mutex::new(None),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Ends it with a reason, told once.
    fn fail(&self, why: String) {
        let mut error = lock(&self.error);
        if error.is_none() {
            tracing::error!(recording = self.name, %why, "the recording has ended by itself");
            *error = Some(why);
        }
    }

    fn warning(&self) -> Option<String> {
        let silent_ms = self.elapsed_ms().saturating_sub(self.sampled_ms.load(Ordering::Relaxed));
        if silent_ms < SILENCE_MS_MAX {
            return None;
        }
        let seconds = silent_ms / 1000;
        Some(match self.sensors.load(Ordering::Relaxed) {
            0 => format!("no sample for {seconds} s: there is no sensor"),
            _ => format!("no sample for {seconds} s: nothing is being measured"),
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
enum Order {
    Start {
        live: Arc<Live>,
        header: Box<Header>,
        /// Where the header goes, with the world it begins with.
        heading: Sender<Beginning>,
        sender: SyncSender<Tick>,
        begun: Begun,
    },
    Stop,
}

/// What the writer is told first.
struct Beginning {
    header: Box<Header>,
    /// Ids of the sensors that are there.
    sensors: Vec<Arc<str>>,
}

type Begun = oneshot::Sender<Result<(), String>>;

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start { .. } => "Start",
            Self::Stop => "Stop",
        })
    }
}

#[derive(Debug)]
struct Running {
    live: Arc<Live>,
    writer: JoinHandle<()>,
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
    running: Mutex<Option<Running>>,
    orders: Mutex<Vec<Order>>,
    ordered: AtomicBool,
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
            running: Mutex::default(),
            orders: Mutex::default(),
            ordered: AtomicBool::new(false),
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
        let running = lock(&self.running);
        let Running { live, writer } = running.as_ref()?;
        let mut error = lock(&live.error).clone();
        if error.is_none() && writer.is_finished() {
            error = Some("its writer has broken".into());
        }
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

    /// The name that is being written to just now.
    fn busy_name(&self) -> Option<String> {
        let running = lock(&self.running);
        running.as_ref().filter(|r| !r.writer.is_finished()).map(|r| r.live.name.clone())
    }

    /// Every recording there is, but for the one that is being written to.
    pub async fn list(&self) -> Result<Vec<Entry>, RecorderError> {
        let busy = self.busy_name();
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.list(busy.as_deref())).await??)
    }

    /// Begins to record, under this name or one made of the time.
    pub async fn start(&self, name: Option<String>) -> Result<Status, RecorderError> {
        let _turn = self.turn.lock().await;
        if let Some(name) = self.busy_name() {
            return Err(RecorderError::AlreadyRecording { name });
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

        let live = Arc::new(Live::new(name.clone(), now.unix_ms));
        let (sender, receiver) = sync_channel(QUEUE_TICK_COUNT_MAX);
        let bytes_max = self.config.recording_bytes_max.min(room);
        let (heading, header) = channel();
        let told = Arc::clone(&live);
        let writer = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || write::write(file, &header, &receiver, &told, bytes_max));
        let begun = match writer {
            Ok(writer) => {
                *lock(&self.running) = Some(Running { live: Arc::clone(&live), writer });
                self.begin(&live, sender, heading).await
            }
            Err(error) => Err(error.to_string()),
        };
        match begun {
            Ok(()) => {
                tracing::info!(recording = name, "recording");
                Ok(self.status().expect("it has just begun"))
            }
            Err(what) => {
                // The writer hears of no tick, and ends; so it must if the pump never comes.
                lock(&self.orders).clear();
                let running = lock(&self.running).take();
                let library = Arc::clone(&self.library);
                blocking(move || {
                    if let Some(running) = running {
                        let _ = running.writer.join();
                    }
                    let _ = library.delete(&name);
                })
                .await?;
                Err(RecorderError::NotBegun(what))
            }
        }
    }

    /// Has the pump begin, and the writer write the header.
    async fn begin(
        &self,
        live: &Arc<Live>,
        sender: SyncSender<Tick>,
        heading: Sender<Beginning>,
    ) -> Result<(), String> {
        let now = self.clock.now();
        let header = Box::new(Header {
            settings: self.config.settings.clone(),
            epoch_unix_ms: now.unix_ms - (now.engine.0 / 1000) as i64,
            source: "server".into(),
            tick_hz: f64::from(self.config.tick_hz),
            ..Header::default()
        });
        let (begun, answer) = oneshot::channel();
        self.order(Order::Start { live: Arc::clone(live), sender, header, heading, begun });
        match timeout(START_PATIENCE, answer).await {
            Ok(Ok(outcome)) => outcome,
            _ => Err("the engine does not tick".into()),
        }
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
        let Running { live, writer } = lock(&self.running).take()?;
        self.order(Order::Stop);
        let joined = blocking(move || writer.join().is_ok()).await;
        if joined != Ok(true) {
            live.fail("its writer has broken".into());
        }
        if let Some(error) = lock(&live.error).clone() {
            self.library.note(&live.name, error);
        }
        tracing::info!(
            recording = live.name,
            samples = live.samples.load(Ordering::Relaxed),
            bytes = live.bytes.load(Ordering::Relaxed),
            "recorded"
        );
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
    pub async fn open(&self, name: String) -> Result<(std::fs::File, u64), RecorderError> {
        library::check_name(&name)?;
        if self.busy_name().as_ref() == Some(&name) {
            return Err(RecorderError::Busy { name });
        }
        let library = Arc::clone(&self.library);
        Ok(blocking(move || library.open(&name)).await??)
    }

    fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        self.ordered.store(true, Ordering::Release);
        self.intake.wake();
    }

    /// For the pump: what is to be done before the next tick.
    fn take_orders(&self) -> Vec<Order> {
        if !self.ordered.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.ordered.store(false, Ordering::Release);
        std::mem::take(&mut *lock(&self.orders))
    }

    /// Finishes what runs. To be called behind the pump's end, which has ended the queue.
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

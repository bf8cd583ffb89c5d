//! Records without holding up the thread that ticks: it copies what goes in and hashes what comes
//! out; packing and writing is another thread's.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use components::command::{Command, Inputs, Refused};
use components::delivery::Deliveries;
use components::id::ViewerId;
use components::sample::{EngineTime, SampleBatch};

use super::hash::Hash;
use super::write::{Figures, Writer};

/// Engine time in one reel.
const REEL_MICROS: u64 = 250_000;
/// A reel of this size is handed over without waiting.
const REEL_BYTES: usize = 1 << 20;
/// Reels that may wait to be written: sixteen seconds, and some 64 MiB.
const REEL_COUNT_MAX: usize = 64;

/// What becomes of a recording whose file cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// The ticking thread waits: time is made up anyway.
    Wait,
    /// The recording fails: the world does not wait for it, and one with gaps proves nothing.
    Fail,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    reel: Reel,
    hash: Hash,
    behind: Behind,
    full: Option<SyncSender<Reel>>,
    empty: Receiver<Reel>,
    bytes: Arc<AtomicU64>,
    ticks: u64,
    samples: u64,
    thread: Option<JoinHandle<io::Result<Figures>>>,
}

/// Some ticks' inputs, copied.
#[derive(Debug, Default)]
struct Reel {
    ticks: Vec<Tick>,
    commands: Vec<Command>,
    samples: SampleBatch,
    busy: Vec<ViewerId>,
    refused: Vec<Refused>,
}

/// One tick: where its parts end in the reel's.
#[derive(Debug, Clone, Copy)]
struct Tick {
    now: EngineTime,
    commands: usize,
    samples: usize,
    busy: usize,
    refused: usize,
    /// The rolling hash behind it, and whether it changed.
    hash: Option<(u64, bool)>,
}

impl Recorder {
    pub fn start<W: Write + Send + 'static>(writer: Writer<W>, behind: Behind) -> io::Result<Self> {
        Self::start_with(|| Ok(writer), behind)
    }

    /// As [`start`](Self::start), with a writer that is made on the recorder's thread: a snapshot
    /// is packed there too.
    pub fn start_with<W: Write + Send + 'static>(
        make: impl FnOnce() -> io::Result<Writer<W>> + Send + 'static,
        behind: Behind,
    ) -> io::Result<Self> {
        let (full, reels) = sync_channel::<Reel>(REEL_COUNT_MAX);
        let (back, empty) = sync_channel(REEL_COUNT_MAX);
        let bytes = Arc::new(AtomicU64::new(0));
        let written = Arc::clone(&bytes);
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || {
            let mut writer = make()?;
            written.store(writer.bytes(), Ordering::Relaxed);
            for mut reel in reels {
                reel.write(&mut writer)?;
                written.store(writer.bytes(), Ordering::Relaxed);
                reel.clear();
                // If nobody wants it back, it goes.
                let _ = back.try_send(reel);
            }
            writer.finish()
        })?;
        Ok(Self {
            reel: Reel::default(),
            hash: Hash::default(),
            behind,
            full: Some(full),
            empty,
            bytes,
            ticks: 0,
            samples: 0,
            thread: Some(thread),
        })
    }

    /// What is about to go into the engine, before the tick. An error, which may be of an earlier
    /// tick, ends the recording.
    pub fn tick(&mut self, now: EngineTime, inputs: &Inputs) -> io::Result<()> {
        if self.reel.is_full(now) {
            self.hand_over()?;
        }
        self.ticks += 1;
        self.samples += inputs.samples.len() as u64;
        self.reel.push(now, inputs);
        Ok(())
    }

    /// What came out, after the tick.
    pub fn delivered(&mut self, deliveries: &Deliveries) {
        let changed = self.hash.add(deliveries);
        if let Some(tick) = self.reel.ticks.last_mut() {
            tick.hash = Some((self.hash.value(), changed));
        }
    }

    /// The rolling hash behind the last tick.
    pub fn hash(&self) -> u64 {
        self.hash.value()
    }

    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Bytes in the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Writes what is left, and the index.
    pub fn finish(mut self) -> io::Result<Figures> {
        if !self.reel.ticks.is_empty() && self.full.is_some() {
            self.behind = Behind::Wait;
            self.hand_over()?;
        }
        self.end()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_default();
        let reel = std::mem::replace(&mut self.reel, next);
        let Some(full) = &self.full else { return Err(over()) };
        let sent = match self.behind {
            Behind::Wait => full.send(reel).map_err(|_| None),
            Behind::Fail => full.try_send(reel).map_err(|error| match error {
                TrySendError::Full(_) => Some("the file is written more slowly than it fills"),
                TrySendError::Disconnected(_) => None,
            }),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(Some(what)) => {
                self.full = None;
                Err(io::Error::other(what))
            }
            // The thread has ended, and says why.
            Err(None) => self.end().and_then(|_| Err(over())),
        }
    }

    fn end(&mut self) -> io::Result<Figures> {
        self.full = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other("the recorder panicked")),
            None => Err(over()),
        }
    }
}

fn over() -> io::Error {
    io::Error::other("the recording has ended")
}

impl Reel {
    fn is_full(&self, now: EngineTime) -> bool {
        let first = self.ticks.first();
        first.is_some_and(|first| now.0.saturating_sub(first.now.0) >= REEL_MICROS)
            || self.samples.bytes() + self.commands.len() * 64 >= REEL_BYTES
    }

    fn push(&mut self, now: EngineTime, inputs: &Inputs) {
        self.commands.extend_from_slice(&inputs.commands);
        self.samples.extend_from(&inputs.samples);
        self.busy.extend_from_slice(&inputs.busy);
        self.refused.extend_from_slice(&inputs.refused);
        self.ticks.push(Tick {
            now,
            commands: self.commands.len(),
            samples: self.samples.len(),
            busy: self.busy.len(),
            refused: self.refused.len(),
            hash: None,
        });
    }

    fn write<W: Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let mut from = (0, 0, 0, 0);
        for tick in &self.ticks {
            writer.put(
                tick.now,
                &self.commands[from.0..tick.commands],
                &self.samples,
                Range { start: from.1, end: tick.samples },
                &self.busy[from.2..tick.busy],
                &self.refused[from.3..tick.refused],
            )?;
            if let Some((hash, changed)) = tick.hash {
                writer.hashed(hash, changed);
            }
            from = (tick.commands, tick.samples, tick.busy, tick.refused);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.ticks.clear();
        self.commands.clear();
        self.samples.clear();
        self.busy.clear();
        self.refused.clear();
    }
}

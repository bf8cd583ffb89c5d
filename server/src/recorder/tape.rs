//! The recorder's part on the pump's thread: a copy of what goes into each tick, and the hash of
//! what came out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};

use components::command::{Command, Inputs};
use components::delivery::Deliveries;
use components::sample::EngineTime;
use simulator::recording::Hash;

use super::{Beginning, Live, Order, QUEUE_BYTES_MAX, Recorder};
use crate::pump::{Base, World};

/// One tick on its way to the writer.
pub(super) struct Tick {
    pub(super) now: EngineTime,
    pub(super) inputs: Inputs,
    /// The rolling hash behind it, and whether it changed with it.
    pub(super) hash: u64,
    pub(super) changed: bool,
    /// What it counts for in the queue.
    pub(super) bytes: usize,
}

/// The pump's hold on the recorder.
#[derive(Debug, Default)]
pub struct Tape {
    recorder: Option<Arc<Recorder>>,
    reel: Option<Reel>,
}

/// What is being recorded.
#[derive(Debug)]
struct Reel {
    live: Arc<Live>,
    sender: SyncSender<Tick>,
    hash: Hash,
    /// Copied before the tick, sent behind it.
    copied: Option<(EngineTime, Inputs)>,
}

impl Tape {
    pub fn new(recorder: Arc<Recorder>) -> Self {
        Self { recorder: Some(recorder), reel: None }
    }

    /// Between two ticks: begins or ends, if somebody said so.
    pub fn follow<W: World>(&mut self, world: &mut W) {
        let Some(recorder) = &self.recorder else { return };
        for order in recorder.take_orders() {
            match order {
                Order::Stop => self.reel = None,
                Order::Start { live, mut header, heading, sender, begun } => {
                    // Whoever asked may have given up by now.
                    if begun.is_closed() {
                        continue;
                    }
                    let outcome = world.rebase().and_then(|Base { snapshot, sensors }| {
                        live.sensors.store(sensors.len() as u64, Ordering::Relaxed);
                        header.snapshot = Some(snapshot);
                        let told = heading.send(Beginning { header, sensors });
                        told.map_err(|_| "its writer has broken".to_owned())
                    });
                    let good = outcome.is_ok();
                    if begun.send(outcome).is_ok() && good {
                        let (hash, copied) = (Hash::default(), None);
                        self.reel = Some(Reel { live, sender, hash, copied });
                    }
                }
            }
        }
    }

    /// Right before the tick.
    pub fn before(&mut self, now: EngineTime, inputs: &Inputs) {
        if let Some(reel) = &mut self.reel {
            reel.copied = Some((now, inputs.clone()));
        }
    }

    /// Right behind it.
    pub fn behind(&mut self, deliveries: &Deliveries) {
        if let Some(reel) = &mut self.reel
            && let Err(why) = reel.send(deliveries)
        {
            reel.live.fail(why);
            self.reel = None;
        }
    }
}

impl Reel {
    fn send(&mut self, deliveries: &Deliveries) -> Result<(), String> {
        let Some((now, inputs)) = self.copied.take() else { return Ok(()) };
        let changed = self.hash.add(deliveries);
        let live = &self.live;
        if !inputs.samples.is_empty() {
            live.samples.fetch_add(inputs.samples.len() as u64, Ordering::Relaxed);
            live.sampled_ms.store(live.elapsed_ms(), Ordering::Relaxed);
        }
        let bytes = bytes(&inputs);
        let waiting = live.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting > QUEUE_BYTES_MAX {
            return Err(too_slow());
        }
        let tick = Tick { now, inputs, hash: self.hash.value(), changed, bytes };
        self.sender.try_send(tick).map_err(|error| match error {
            TrySendError::Full(_) => too_slow(),
            // The writer has said why.
            TrySendError::Disconnected(_) => "its writer has ended".into(),
        })
    }
}

fn too_slow() -> String {
    "what was to be written came faster than the disk took it".into()
}

/// What a tick's inputs take, nearly: commands are few, but some are long.
fn bytes(inputs: &Inputs) -> usize {
    let commands: usize = inputs.commands.iter().map(command_bytes).sum();
    size_of::<Tick>() + inputs.samples.bytes() + commands + inputs.busy.len() * 8
}

fn command_bytes(command: &Command) -> usize {
    let names = |names: &[Box<str>]| names.iter().map(|name| 16 + name.len()).sum::<usize>();
    let more = match command {
        Command::OpenViewer { sensors, .. } | Command::SetSensors { sensors, .. } => {
            match sensors {
                components::command::SensorSet::All => 0,
                components::command::SensorSet::Ids(ids) => names(ids),
            }
        }
        Command::Attend { attention, .. } => {
            let targets = [&attention.hovered, &attention.focused, &attention.pinned];
            attention.visible.as_deref().map_or(0, names)
                + targets.into_iter().map(|targets| targets.len() * 64).sum::<usize>()
        }
        Command::TellDevice { words, .. } => words.len(),
        Command::OpenFeed { .. } => 512,
        _ => 64,
    };
    size_of::<Command>() + more
}

//! The recorder's part on the pump's thread: a copy of what goes into each tick, and the hash of
//! what came out.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use components::command::Inputs;
use components::delivery::Deliveries;
use components::sample::EngineTime;
use simulator::recording::{self, Behind, SNAPSHOT_BYTES_MAX, Writer};

use super::{Live, Order, Recorder, Start, lock};
use crate::pump::{Base, World};

/// The pump's hold on the recorder. What runs is finished when it is dropped.
#[derive(Debug, Default)]
pub struct Tape {
    recorder: Option<Arc<Recorder>>,
    reel: Option<Reel>,
}

/// What is being recorded.
#[derive(Debug)]
struct Reel {
    live: Arc<Live>,
    recorder: recording::Recorder,
    /// The same file, to see it safely on the disk at the end.
    file: Option<File>,
    bytes_max: u64,
}

impl Tape {
    pub fn new(recorder: Arc<Recorder>) -> Self {
        Self { recorder: Some(recorder), reel: None }
    }

    /// Between two ticks: begins or ends, if somebody said so.
    pub fn follow<W: World>(&mut self, world: &mut W) {
        let Some(recorder) = &self.recorder else { return };
        let orders = match lock(&recorder.orders).as_mut() {
            Some(orders) if !orders.is_empty() => std::mem::take(orders),
            _ => return,
        };
        for order in orders {
            match order {
                Order::Stop { done } => {
                    self.end();
                    let _ = done.send(());
                }
                // Whoever asked may have given up by now.
                Order::Start(start) if start.begun.is_closed() => {}
                Order::Start(start) => self.begin(world, *start),
            }
        }
    }

    fn begin<W: World>(&mut self, world: &mut W, start: Start) {
        let Start { live, mut header, file, bytes_max, begun } = start;
        let begin = || {
            let Base { snapshot, devices } = world.rebase()?;
            if snapshot.len() > SNAPSHOT_BYTES_MAX {
                return Err(format!("{} bytes of world are too many", snapshot.len()));
            }
            live.nobody.store(devices.is_empty(), Ordering::Relaxed);
            header.snapshot = Some(snapshot);
            header.devices = devices;
            let same = file.try_clone().ok();
            let make = move || Writer::create(file, &header);
            let recorder = recording::Recorder::start_with(make, Behind::Fail)
                .map_err(|error| error.to_string())?;
            Ok((recorder, same))
        };
        match begin() {
            Ok((recorder, file)) => {
                if begun.send(Ok(())).is_ok() {
                    self.end();
                    self.reel = Some(Reel { live, recorder, file, bytes_max });
                }
            }
            Err(what) => {
                let _ = begun.send(Err(what));
            }
        }
    }

    /// Right before the tick.
    pub fn before(&mut self, now: EngineTime, inputs: &Inputs) {
        if let Some(reel) = &mut self.reel
            && let Err(why) = reel.copy(now, inputs)
        {
            reel.live.fail(why);
            self.end();
        }
    }

    /// Right behind it.
    pub fn behind(&mut self, deliveries: &Deliveries) {
        if let Some(reel) = &mut self.reel {
            reel.recorder.delivered(deliveries);
        }
    }

    fn end(&mut self) {
        if let Some(Reel { live, recorder, file, .. }) = self.reel.take() {
            live.finish(recorder, file);
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.end();
        if let Some(recorder) = &self.recorder {
            lock(&recorder.orders).take();
        }
    }
}

impl Reel {
    fn copy(&mut self, now: EngineTime, inputs: &Inputs) -> Result<(), String> {
        let Self { live, recorder, bytes_max, file } = self;
        let written = recorder.bytes();
        // About once a second, when a block has been written.
        let grew = live.bytes.swap(written, Ordering::Relaxed) != written;
        if grew && file.as_ref().is_some_and(is_taken_away) {
            return Err("somebody has taken its file away".into());
        }
        if written >= *bytes_max {
            return Err(format!(
                "it has taken the {} MiB it may (`recording_mib_max`, `recordings_mib_max`)",
                *bytes_max >> 20
            ));
        }
        if !inputs.samples.is_empty() {
            live.samples.fetch_add(inputs.samples.len() as u64, Ordering::Relaxed);
            live.sampled_ms.store(live.elapsed_ms(), Ordering::Relaxed);
        }
        recorder.tick(now, inputs).map_err(|error: io::Error| error.to_string())
    }
}

/// Whether no folder names the file any more: what is written then is lost when it is closed.
#[cfg(unix)]
fn is_taken_away(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Elsewhere a file that is open stays where it is.
#[cfg(not(unix))]
fn is_taken_away(_: &File) -> bool {
    false
}

//! The recorder's own thread: encodes ticks, writes the file, and says what went wrong.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use simulator::recording::Writer;

use super::tape::Tick;
use super::{Beginning, Live};

/// Writes until the queue ends, the file is full or the disk fails, and finishes the file.
pub(super) fn write(
    file: File,
    heading: &Receiver<Beginning>,
    ticks: &Receiver<Tick>,
    live: &Live,
    bytes_max: u64,
) {
    // Without a header nothing began.
    let Ok(beginning) = heading.recv() else { return };
    if let Err(error) = try_write(&file, beginning, ticks, live, bytes_max) {
        live.fail(format!("the disk does not take it: {error}"));
    }
}

fn try_write(
    file: &File,
    Beginning { header, sensors }: Beginning,
    ticks: &Receiver<Tick>,
    live: &Live,
    bytes_max: u64,
) -> io::Result<()> {
    let mut writer = Writer::create(Counted { file, live }, &header)?;
    drop(header);
    sensors.iter().for_each(|sensor_id| writer.knows(sensor_id));
    for tick in ticks {
        writer.tick(tick.now, &tick.inputs)?;
        writer.hashed(tick.hash, tick.changed);
        live.queued_bytes.fetch_sub(tick.bytes, Ordering::Relaxed);
        if live.bytes.load(Ordering::Relaxed) >= bytes_max {
            live.fail(format!(
                "it has reached the {} MiB it may take (`recording_mib_max`, `recordings_mib_max`)",
                bytes_max >> 20
            ));
            break;
        }
    }
    writer.finish()?;
    file.sync_all()
}

/// The file, and how much went into it.
struct Counted<'a> {
    file: &'a File,
    live: &'a Live,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.live.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

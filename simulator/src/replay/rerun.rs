//! Drives an engine with a recording, and holds what comes out against what came out then.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use components::command::Inputs;
use components::sample::EngineTime;
use engine::{Engine, EngineConfig};

use crate::cli::{Period, Speed, out};
use crate::recording::{Hash, Reader, RecordingError, Summary};

/// Drive the engine with a recording, and check that it gives back the same, bit for bit.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The recording.
    pub file: PathBuf,
    #[arg(long, default_value_t = 1, value_parser = crate::cli::threads)]
    pub threads: usize,
    /// How many times as fast as it was recorded, or `max`.
    #[arg(long, value_name = "X", default_value = "max")]
    pub speed: Speed,
    /// Begin to pace here, counted from the first tick; what is before runs as fast as it can.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Period>,
    /// Stop here, counted from the first tick.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Period>,
    /// Say the hash on a line of its own.
    #[arg(long)]
    pub hash: bool,
}

/// An engine and the recording that drives it.
#[derive(Debug)]
pub struct Rerun<R = File> {
    reader: Reader<R>,
    engine: Engine,
    inputs: Inputs,
    hash: Hash,
    done: Replayed,
}

/// What has been replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    pub ticks: u64,
    pub samples: u64,
    /// Ticks whose hash was held against the recorded one.
    pub proven: u64,
    /// The first tick, and its time, behind which the hash is not the recorded one.
    pub differs: Option<(u64, EngineTime)>,
}

impl<R: Read + Seek> Rerun<R> {
    /// An engine as the recording's was: with its settings, from its snapshot if it has one.
    pub fn new(reader: Reader<R>, threads: usize) -> Result<Self, RecordingError> {
        let header = reader.header();
        let config =
            EngineConfig { settings: header.settings.clone(), threads, ..EngineConfig::default() };
        let engine = match &header.snapshot {
            None => Engine::new(config),
            Some(state) => Engine::restore(config, state)
                .map_err(|error| RecordingError::Header(format!("its snapshot: {error}")))?,
        };
        Ok(Self {
            reader,
            engine,
            inputs: Inputs::default(),
            hash: Hash::default(),
            done: Replayed::default(),
        })
    }

    /// The time of the next tick, which is then run. `None` at the end.
    pub fn tick(
        &mut self,
        pace: &mut dyn FnMut(EngineTime),
    ) -> Result<Option<EngineTime>, RecordingError> {
        let Some(now) = self.reader.next(&mut self.inputs)? else { return Ok(None) };
        pace(now);
        self.done.samples += self.inputs.samples.len() as u64;
        self.done.ticks += 1;
        self.hash.add(self.engine.tick(now, &mut self.inputs));
        self.inputs.busy.clear();
        self.inputs.refused.clear();
        if let Some(proof) = self.reader.proof() {
            self.done.proven += 1;
            if !proof.agrees(self.hash.value()) && self.done.differs.is_none() {
                self.done.differs = Some((self.reader.tick(), now));
            }
        }
        Ok(Some(now))
    }

    pub fn done(&self) -> Replayed {
        self.done
    }

    /// The rolling hash behind the last tick.
    pub fn hash(&self) -> u64 {
        self.hash.value()
    }

    pub fn reader(&mut self) -> &mut Reader<R> {
        &mut self.reader
    }

    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

impl Replay {
    /// # Errors
    /// When the file cannot be read to its end, or a tick gave back something else than it did.
    pub fn run(self) -> Result<(), String> {
        let told = |error: RecordingError| format!("{}: {error}", self.file.display());
        let reader = Reader::open(&self.file).map_err(told)?;
        let summary = *reader.summary();
        let mut rerun = Rerun::new(reader, self.threads.max(1)).map_err(told)?;
        let at = |period: Option<Period>| period.map(|period| after(summary.first, period.0));
        let (from, to) = (at(self.from).unwrap_or(summary.first), at(self.to));
        within(&summary, from, to)?;
        let began = Instant::now();
        let mut paced = None;
        let mut pace = |now: EngineTime| {
            let Speed::Times(times) = self.speed else { return };
            if now < from {
                return;
            }
            let (start, first) = *paced.get_or_insert_with(|| (Instant::now(), now));
            let due = Duration::from_micros(now.0 - first.0).div_f64(times);
            if let Some(wait) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(wait);
            }
        };
        let ended = loop {
            match rerun.tick(&mut pace) {
                Ok(Some(now)) => {
                    if rerun.done.differs.is_some() || to.is_some_and(|to| now >= to) {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(told(error)),
            }
        };
        let Replayed { ticks, samples, proven, differs } = rerun.done();
        if self.hash {
            out(&format!("hash {:016x}", rerun.hash()));
        }
        let said = format!("replayed {ticks} ticks, {samples} samples, hash {:016x}", rerun.hash());
        if let Some((tick, now)) = differs {
            let seconds = (now.0 - summary.first.0) as f64 / 1e6;
            return Err(format!("{said} differs first behind tick {tick}, at {seconds:.3} s"));
        }
        if ended.is_ok() && !rerun.reader().verify().map_err(told)? {
            let what = "a bit was flipped where nothing hangs on it";
            return Err(format!("{said} equal, but {}: {what}", self.file.display()));
        }
        let verdict = match (proven, rerun.hash()) {
            (0, _) if ticks > 0 => "with nothing to hold it against",
            // With nobody there to deliver to, equality says little.
            (_, 0) => "equal: nothing was delivered, then or now",
            _ => "equal",
        };
        let cut = if summary.complete { "" } else { " (the recording is cut off here)" };
        let seconds = began.elapsed().as_secs_f64();
        out(&format!("{said} {verdict}{cut}, in {seconds:.1} s"));
        ended
    }
}

/// What is to be paced lies in the recording, and is something.
fn within(summary: &Summary, from: EngineTime, to: Option<EngineTime>) -> Result<(), String> {
    let seconds = |at: EngineTime| (at.0 - summary.first.0) as f64 / 1e6;
    if from > summary.last {
        let (from, last) = (seconds(from), seconds(summary.last));
        return Err(format!("--from {from} s is behind the end: the recording has {last:.3} s"));
    }
    match to {
        Some(to) if to < from => {
            Err(format!("--to {} s is before --from {} s", seconds(to), seconds(from)))
        }
        _ => Ok(()),
    }
}

/// `time` after `first`.
fn after(first: EngineTime, time: Duration) -> EngineTime {
    EngineTime(first.0.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_in_the_recording_is_refused() {
        let (first, last) = (EngineTime(5_000_000), EngineTime(65_000_000));
        let summary = Summary { first, last, ..Summary::default() };
        let part = |from, to: Option<u64>| {
            let second = |at: u64| EngineTime(first.0 + at * 1_000_000);
            within(&summary, second(from), to.map(second))
        };
        for (from, to) in [(0, None), (60, None), (10, Some(20)), (10, Some(10)), (0, Some(900))] {
            assert_eq!(part(from, to), Ok(()), "{from} {to:?}");
        }
        let behind = "--from 61 s is behind the end: the recording has 60.000 s";
        assert_eq!(part(61, None), Err(behind.into()));
        assert_eq!(part(20, Some(10)), Err("--to 10 s is before --from 20 s".into()));
    }
}

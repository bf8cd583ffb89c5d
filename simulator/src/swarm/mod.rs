//! The conscience: made-up worlds by the thousand, each drawn from a seed with everything that
//! goes wrong in it, and after every tick a plain model of what must be true held against what the
//! engine did. In the manner of TigerBeetle's simulator: first safety under faults, then liveness
//! when they end. A seed that fails is printed, made small, and told in words.

pub mod cli;
mod model;
mod run;
mod script;
mod shrink;
#[cfg(test)]
mod tests;
mod words;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use run::{Failure, Played};
pub use script::{Event, World};

use components::delivery::Deliveries;
use engine::{EngineTime, Inputs};
use run::{Nobody, Witness, play};

use crate::recording;

/// Every so many seeds the same world is also played on two threads, and must come out alike; of
/// the worlds that are large enough for threads to share the work, every second.
const TWICE_EVERY: u64 = 8;
const CROWDED_TWICE_EVERY: u64 = 2;

/// How long a failing script is made smaller.
const SHRINK_FOR: Duration = Duration::from_secs(20);

/// Plays one seed, and every eighth on two threads as well.
///
/// # Errors
/// The first broken promise.
pub fn play_seed(seed: u64, ticks: usize) -> Result<Played, Failure> {
    let world = World::drawn(seed);
    let script = world.script(ticks);
    let every = if world.is_crowded() { CROWDED_TWICE_EVERY } else { TWICE_EVERY };
    if seed.is_multiple_of(every) {
        differs(&world, &script)
    } else {
        play(&world, &script, 1, &mut Nobody)
    }
}

/// The checker that holds a run on two threads against one on a single thread.
const THREADS: &str = "threads";

fn differs(world: &World, script: &[Event]) -> Result<Played, Failure> {
    let played = play(world, script, 1, &mut Nobody)?;
    let again = play(world, script, 2, &mut Nobody);
    if again == Ok(played) {
        return Ok(played);
    }
    let sentence = match again {
        Ok(again) => format!("one thread gives {:x}, two give {:x}", played.hash, again.hash),
        Err(failure) => format!("one thread breaks nothing, two: {}", failure.sentence),
    };
    Err(Failure { tick: played.ticks, checker: THREADS, sentence })
}

/// A failing seed, made small.
#[derive(Debug)]
pub struct Found {
    pub seed: u64,
    pub first: Failure,
    pub last: Failure,
    pub world: World,
    pub script: Vec<Event>,
}

impl Found {
    /// Plays the seed again, makes its script smaller for a while, and keeps the smallest.
    pub fn shrunk(seed: u64, ticks: usize, first: Failure) -> Self {
        let world = World::drawn(seed);
        let script = world.script(ticks);
        // What only two threads show is looked for on two.
        let mut plays = |script: &[Event]| match first.checker {
            THREADS => differs(&world, script).err(),
            _ => play(&world, script, 1, &mut Nobody).err(),
        };
        let (script, last) = shrink::shrink(&script, &first, SHRINK_FOR, &mut plays);
        Self { seed, first, last, world, script }
    }

    /// Leaves the smallest script that fails as a recording in `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("swarm-{}.mcap", self.seed));
        let mut tape = Tape::create(&path, &self.world)?;
        // That it fails is known.
        let _ = play(&self.world, &self.script, 1, &mut tape);
        tape.finish()?;
        Ok(path)
    }

    /// The story, line by line.
    pub fn tell(&self) -> String {
        let mut text = format!(
            "seed {}, tick {}: {}: {}\n",
            self.seed, self.first.tick, self.first.checker, self.first.sentence
        );
        let settings = &self.world.settings;
        text += &format!(
            "the least script that still fails, {} events; budget {} bytes, linger {} ms, lease {} ms, seeds of {} samples, at most {} sensors:\n",
            self.script.len(),
            settings.ring_bytes_max,
            settings.linger_ms,
            settings.lease_ms,
            settings.seed_sample_count_max,
            settings.sensor_count_max
        );
        for event in &self.script {
            text += &format!("  {}\n", words::tell(&self.world, event));
        }
        text + &format!(
            "then, tick {}: {}: {}",
            self.last.tick, self.last.checker, self.last.sentence
        )
    }
}

/// Writes what crosses the engine's door as a recording.
struct Tape {
    writer: recording::Writer<File>,
    outcome: io::Result<()>,
}

impl Tape {
    fn create(path: &Path, world: &World) -> io::Result<Self> {
        let header = recording::Header {
            settings: world.settings.clone(),
            epoch_unix_ms: script::EPOCH_MS,
            source: format!("swarm seed {}", world.seed),
            ..recording::Header::default()
        };
        let writer = recording::Writer::create(File::create(path)?, &header)?;
        Ok(Self { writer, outcome: Ok(()) })
    }

    fn finish(self) -> io::Result<()> {
        self.outcome?;
        self.writer.finish().map(|_| ())
    }
}

impl Witness for Tape {
    fn before(&mut self, now: EngineTime, inputs: &Inputs) {
        if self.outcome.is_ok() {
            self.outcome = self.writer.tick(now, inputs);
        }
    }

    fn after(&mut self, deliveries: &Deliveries) {
        self.writer.delivered(deliveries);
    }
}

/// What `sensocto swarm` was asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    pub from: u64,
    pub count: u64,
    pub ticks: usize,
    pub threads: usize,
    /// Failing seeds after which a run ends.
    pub failures: usize,
    pub record_failure: Option<PathBuf>,
}

/// What all of it came to.
#[derive(Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    pub ticks: u64,
    pub samples: u64,
    pub took: Duration,
    pub found: Vec<Found>,
    /// Where each failing world was recorded, or why it was not.
    pub recordings: Vec<io::Result<PathBuf>>,
}

/// Plays every seed of the plan. Progress goes to stderr.
pub fn run(plan: &Plan) -> Summary {
    let began = Instant::now();
    let (next, ticks, samples) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failures: Mutex<Vec<(u64, Failure)>> = Mutex::default();
    let done = AtomicU64::new(0);
    // A panic of the engine is a finding, told once and in its place.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // There is none behind the last seed.
                    let Some(seed) = plan.from.checked_add(number) else { return };
                    let failed = failures.lock().map_or(usize::MAX, |list| list.len());
                    if number >= plan.count || failed >= plan.failures.max(1) {
                        return;
                    }
                    match play_seed(seed, plan.ticks) {
                        Ok(played) => {
                            ticks.fetch_add(played.ticks, Ordering::Relaxed);
                            samples.fetch_add(played.samples, Ordering::Relaxed);
                        }
                        Err(failure) => {
                            // At once: a long run may be ended before its end.
                            let (tick, checker) = (failure.tick, failure.checker);
                            say(&format!("seed {seed}, tick {tick}: {checker} failed"));
                            if let Ok(mut list) = failures.lock() {
                                list.push((seed, failure));
                            }
                        }
                    }
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.is_multiple_of(200) {
                        let rate = count as f64 / began.elapsed().as_secs_f64();
                        say(&format!("{count} seeds, {rate:.0} a second"));
                    }
                }
            });
        }
    });
    let took = began.elapsed();
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|(seed, _)| *seed);
    let found: Vec<Found> = failures
        .into_iter()
        .map(|(seed, failure)| Found::shrunk(seed, plan.ticks, failure))
        .collect();
    let recordings = match &plan.record_failure {
        Some(folder) => found.iter().map(|found| found.record(folder)).collect(),
        None => Vec::new(),
    };
    std::panic::set_hook(hook);
    Summary {
        seeds: done.into_inner(),
        ticks: ticks.into_inner(),
        samples: samples.into_inner(),
        took,
        found,
        recordings,
    }
}

/// One line of progress. That nobody reads it is no error.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

//! The conscience: made-up worlds by the thousand, each drawn from a seed with everything that
//! goes wrong in it, and after every tick a plain model of what must be true held against what the
//! engine did. In the manner of TigerBeetle's simulator: first safety under faults, then liveness
//! when they end. A seed that fails is printed, made small, and told in words.

pub mod cli;
mod model;
mod run;
mod script;
mod shrink;
mod words;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use run::{Failure, Played};
pub use script::{Event, World};

use run::{Nobody, play};

/// Every so many seeds the same world is also played on two threads, and must come out alike.
const TWICE_EVERY: u64 = 8;

/// How long a failing script is made smaller.
const SHRINK_FOR: Duration = Duration::from_secs(20);

/// Failures after which a run ends: one is enough to work on.
const FAILURE_COUNT_MAX: usize = 3;

/// Plays one seed, and every eighth on two threads as well.
///
/// # Errors
/// The first broken promise.
pub fn play_seed(seed: u64, ticks: usize) -> Result<Played, Failure> {
    let world = World::drawn(seed);
    let script = world.script(ticks);
    let played = play(&world, &script, 1, &mut Nobody)?;
    if seed.is_multiple_of(TWICE_EVERY) {
        let again = play(&world, &script, 2, &mut Nobody)?;
        if again != played {
            let sentence = format!("one thread gives {:x}, two give {:x}", played.hash, again.hash);
            return Err(Failure { tick: played.ticks, checker: "threads", sentence });
        }
    }
    Ok(played)
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
        let (script, last) = shrink::shrink(&world, &script, &first, 1, SHRINK_FOR);
        Self { seed, first, last, world, script }
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

/// What `sensocto swarm` was asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    pub from: u64,
    pub count: u64,
    pub ticks: usize,
    pub threads: usize,
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
}

/// Plays every seed of the plan. Progress goes to stderr.
pub fn run(plan: &Plan) -> Summary {
    let began = Instant::now();
    let (next, ticks, samples) = (AtomicU64::new(plan.from), AtomicU64::new(0), AtomicU64::new(0));
    let failures: Mutex<Vec<(u64, Failure)>> = Mutex::default();
    let end = plan.from.saturating_add(plan.count);
    let done = AtomicU64::new(0);
    // A panic of the engine is a finding, told once and in its place.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let failed = failures.lock().map_or(usize::MAX, |list| list.len());
                    if seed >= end || failed >= FAILURE_COUNT_MAX {
                        return;
                    }
                    match play_seed(seed, plan.ticks) {
                        Ok(played) => {
                            ticks.fetch_add(played.ticks, Ordering::Relaxed);
                            samples.fetch_add(played.samples, Ordering::Relaxed);
                        }
                        Err(failure) => {
                            if let Ok(mut list) = failures.lock() {
                                list.push((seed, failure));
                            }
                        }
                    }
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.is_multiple_of(200) {
                        let rate = count as f64 / began.elapsed().as_secs_f64();
                        let _ = writeln!(std::io::stderr(), "{count} seeds, {rate:.0} a second");
                    }
                }
            });
        }
    });
    let took = began.elapsed();
    let mut failures = failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|(seed, _)| *seed);
    let found = failures
        .into_iter()
        .map(|(seed, failure)| Found::shrunk(seed, plan.ticks, failure))
        .collect();
    std::panic::set_hook(hook);
    Summary {
        seeds: done.into_inner(),
        ticks: ticks.into_inner(),
        samples: samples.into_inner(),
        took,
        found,
    }
}

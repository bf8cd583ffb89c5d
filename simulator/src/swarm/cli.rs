//! `sensocto swarm`: what may be said, and what is said back.

use std::path::PathBuf;

use clap::Args;

use super::{Plan, run};
use crate::cli::out;

/// Ticks of one world, unless said otherwise.
const TICKS: usize = 400;

/// Play made-up worlds by the thousand against the engine, each with everything that goes wrong in
/// it drawn from a seed, and check every promise after every tick.
#[derive(Debug, Clone, Args)]
pub struct Swarm {
    /// How many worlds.
    #[arg(long, default_value_t = 10_000)]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// This one only.
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "from"])]
    pub seed: Option<u64>,
    /// Ticks of each world.
    #[arg(long, default_value_t = TICKS)]
    pub ticks: usize,
    /// Worlds at the same time [default: one for each core].
    #[arg(long, value_parser = crate::cli::threads)]
    pub threads: Option<usize>,
    /// End after so many failing worlds.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub failures: usize,
    /// Leave a recording of each failing world, made small, in this folder.
    #[arg(long, value_name = "DIR")]
    pub record_failure: Option<PathBuf>,
}

impl Swarm {
    /// # Errors
    /// When a promise was broken, in how many worlds.
    pub fn run(self) -> Result<(), String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let plan = Plan {
            from: self.seed.unwrap_or(self.from),
            count: if self.seed.is_some() { 1 } else { self.seeds },
            ticks: self.ticks,
            threads: self.threads.unwrap_or(threads),
            failures: self.failures,
            record_failure: self.record_failure,
        };
        let summary = run(&plan);
        for found in &summary.found {
            out(&found.tell());
        }
        for recording in &summary.recordings {
            out(&match recording {
                Ok(path) => format!("recorded in {}", path.display()),
                Err(error) => format!("not recorded: {error}"),
            });
        }
        let seconds = summary.took.as_secs_f64();
        out(&format!(
            "{} seeds, {} ticks, {} samples, {} failures; {seconds:.1} s, {:.0} seeds a second",
            summary.seeds,
            summary.ticks,
            summary.samples,
            summary.found.len(),
            summary.seeds as f64 / seconds
        ));
        match summary.found.len() {
            0 => Ok(()),
            count => Err(format!("{count} worlds broke a promise")),
        }
    }
}

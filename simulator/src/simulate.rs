//! A whole world in one process, as fast as it can: the devices and viewers of a scenario against
//! an engine, on made-up time. The same scenario and seed give the same world, hash for hash, on
//! any number of threads.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use components::command::Inputs;
use components::delivery::{Deliveries, Notice};
use components::id::{FeedId, Handles};
use components::sample::{EngineTime, Timestamp};
use engine::{Engine, EngineConfig};

use crate::audience::Audience;
use crate::cli::{Period, out};
use crate::crowd::CrowdSpec;
use crate::fleet::Fleet;
use crate::recording::{Behind, Figures, Hash, Header, Recorder, Writer};
use crate::scenario::{Cast, Scenario};

/// Unix milliseconds at engine time 0: the beginning of 2026. Made-up worlds have no other clock.
pub const EPOCH_UNIX_MS: i64 = 1_767_225_600_000;

/// Feeds of one world: as many as an engine takes sensors.
const FEED_COUNT_MAX: usize = 1_000_000;

/// Above it, ticks lie closer together than what any scenario has to say.
const TICK_HZ_MAX: u64 = 10_000;

/// Play a scenario against an engine as fast as it can, without a server.
#[derive(Debug, Clone, Args)]
pub struct Simulate {
    /// A scenario's name (see `sensocto scenarios`) or its file.
    pub scenario: String,
    /// Absent: the scenario's own.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How much time passes in the world.
    #[arg(long = "for", value_name = "TIME", default_value = "60s")]
    pub period: Period,
    /// Ticks per second of that time.
    #[arg(long, value_name = "HZ", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(1..=TICK_HZ_MAX))]
    pub tick_hz: u64,
    #[arg(long, default_value_t = 1, value_parser = crate::cli::threads)]
    pub threads: usize,
    /// Visitors besides those of the scenario's own crowds [default: 8 if it has none].
    #[arg(long, value_name = "N", value_parser = crate::cli::visitors)]
    pub viewers: Option<usize>,
    /// Record it into this file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Say the hash of everything that was delivered.
    #[arg(long)]
    pub hash: bool,
}

/// Devices, viewers, engine, and the time.
#[derive(Debug)]
pub struct World {
    engine: Engine,
    fleet: Fleet,
    audience: Audience,
    feeds: Handles,
    inputs: Inputs,
    notices: Vec<Notice>,
    tick_hz: u64,
    figures: Passed,
}

/// What has passed in a world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    pub ticks: u64,
    pub samples: u64,
    /// Slices handed to viewers, counted once for each viewer.
    pub deliveries: u64,
}

/// Visitors of a scenario that has no crowds of its own.
const VISITOR_COUNT: usize = 8;

impl World {
    /// The world of `cast`, and `visitors` more viewers who came to look around.
    pub fn new(mut cast: Cast, visitors: usize, threads: usize, tick_hz: u64) -> Self {
        let start = Timestamp(EPOCH_UNIX_MS);
        if visitors > 0 {
            let arrive_s = (0.0, 2.0);
            cast.crowds.push(CrowdSpec { count: visitors, arrive_s, ..CrowdSpec::default() });
        }
        let cast = Arc::new(cast);
        Self {
            engine: Engine::new(EngineConfig { threads, ..EngineConfig::default() }),
            audience: Audience::new(&cast.crowds, &cast, cast.seed, start),
            fleet: Fleet::new(cast, start),
            feeds: Handles::default(),
            inputs: Inputs::default(),
            notices: Vec::new(),
            tick_hz,
            figures: Passed::default(),
        }
    }

    /// Lets everybody act up to the next tick. Its time; what goes in is in
    /// [`inputs`](Self::inputs).
    pub fn prepare(&mut self) -> EngineTime {
        self.figures.ticks += 1;
        let now = EngineTime(self.figures.ticks * 1_000_000 / self.tick_hz);
        let to = Timestamp(EPOCH_UNIX_MS + (now.0 / 1000) as i64);
        let Self { fleet, feeds, inputs, .. } = self;
        fleet.advance(to, &mut || feeds.take(FEED_COUNT_MAX).map(FeedId), inputs);
        self.audience.advance(to, inputs, &self.notices);
        self.figures.samples += inputs.samples.len() as u64;
        now
    }

    /// What goes into the tick that was prepared.
    pub fn inputs(&mut self) -> &mut Inputs {
        &mut self.inputs
    }

    /// The tick that was prepared, at the time that was given.
    pub fn tick(&mut self, now: EngineTime) -> &Deliveries {
        let Self { engine, fleet, feeds, inputs, notices, figures, .. } = self;
        let deliveries = engine.tick(now, inputs);
        figures.deliveries +=
            deliveries.flushes.iter().map(|flush| u64::from(flush.part_count)).sum::<u64>();
        notices.clone_from(&deliveries.notices);
        inputs.busy.clear();
        inputs.refused.clear();
        for notice in notices {
            if let Notice::FeedClosed { feed } | Notice::FeedRefused { feed, .. } = notice {
                fleet.lose(*feed);
                feeds.give_back(feed.0);
            }
        }
        deliveries
    }

    pub fn passed(&self) -> Passed {
        self.figures
    }

    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

impl Simulate {
    /// # Errors
    /// When there is no such scenario, or the recording cannot be written.
    pub fn run(self) -> Result<(), String> {
        let scenario = Scenario::find(&self.scenario, None).map_err(|error| error.to_string())?;
        let seed = self.seed.unwrap_or(scenario.seed);
        let tick_hz = self.tick_hz;
        let ticks = (self.period.0.as_secs_f64() * tick_hz as f64).round() as u64;
        if ticks == 0 {
            return Err("--for is shorter than a tick".into());
        }
        let cast = scenario.cast(seed);
        let visitors = if cast.crowds.is_empty() { VISITOR_COUNT } else { 0 };
        let visitors = self.viewers.unwrap_or(visitors);
        let mut world = World::new(cast, visitors, self.threads.max(1), tick_hz);
        let mut recorder = match &self.record {
            None => None,
            Some(path) => {
                let header = Header {
                    epoch_unix_ms: EPOCH_UNIX_MS,
                    source: format!("simulate {} seed {seed}", scenario.name),
                    tick_hz: tick_hz as f64,
                    scenario: Some(scenario.text().into()),
                    ..Header::default()
                };
                let told = |error| format!("cannot record into {}: {error}", path.display());
                let writer = File::create_new(path)
                    .and_then(|file| Writer::create(file, &header))
                    .and_then(|writer| Recorder::start(writer, Behind::Wait))
                    .map_err(told)?;
                Some(writer)
            }
        };
        let mut hash = (self.hash && recorder.is_none()).then(Hash::default);
        let began = Instant::now();
        let failed = |error| format!("the recording: {error}");
        for _ in 0..ticks {
            let now = world.prepare();
            match (&mut recorder, &mut hash) {
                (Some(recorder), _) => {
                    recorder.tick(now, world.inputs()).map_err(failed)?;
                    recorder.delivered(world.tick(now));
                }
                (None, Some(hash)) => {
                    hash.add(world.tick(now));
                }
                (None, None) => {
                    world.tick(now);
                }
            }
        }
        let value = recorder.as_ref().map(Recorder::hash).or(hash.map(|hash| hash.value()));
        let recorded = recorder.map(Recorder::finish).transpose();
        let recorded = recorded.map_err(failed)?;
        let seconds = began.elapsed().as_secs_f64();
        self.tell(&scenario.name, seed, world.passed(), seconds, value, recorded);
        Ok(())
    }

    fn tell(
        &self,
        name: &str,
        seed: u64,
        passed: Passed,
        seconds: f64,
        hash: Option<u64>,
        recorded: Option<Figures>,
    ) {
        let Passed { ticks, samples, deliveries } = passed;
        let rate = |count: u64| count as f64 / seconds.max(1e-9);
        out(&format!("scenario {name}, seed {seed}, {} thread(s), {seconds:.2} s", self.threads));
        out(&format!("ticks {ticks}, {:.0} a second", rate(ticks)));
        out(&format!("samples {samples}, {:.0} a second", rate(samples)));
        out(&format!("deliveries {deliveries}, {:.0} a second", rate(deliveries)));
        if let Some(hash) = hash {
            out(&format!("hash {hash:016x}"));
        }
        if let (Some(figures), Some(path)) = (recorded, &self.record) {
            let each = figures.bytes as f64 / samples.max(1) as f64;
            let path = path.display();
            out(&format!("recording {path}, {} bytes, {each:.2} a sample", figures.bytes));
        }
    }
}

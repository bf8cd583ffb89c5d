//! How fast made-up people are made: samples a second on one core, a tick at a time; how long it
//! takes to draw them, and what they weigh. Arguments are the scenarios to look at; none is all.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use components::id::{FeedId, Handle};
use components::sample::Timestamp;
use engine::Inputs;
use simulator::fleet::Fleet;
use simulator::person::ORIGIN_MS;
use simulator::scenario::{Cast, Scenario};

/// Small, large enough to leave the caches, and as large as they get.
const SCENARIOS: [&str; 5] = ["few", "hundred", "crowd", "gaze-study", "hundred-thousand"];

/// Made-up seconds of each run.
const SECONDS: i64 = 30;

/// Ticks as the server makes them, and coarser.
const STEPS_MS: [i64; 2] = [4, 100];

fn main() -> std::io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    for name in
        SCENARIOS.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|it| it == name))
    {
        let scenario = Scenario::named(name, None).map_err(std::io::Error::other)?;
        let (resident, began) = (resident_mib(), Instant::now());
        let cast = Arc::new(scenario.cast(1));
        writeln!(
            out,
            "{name}: {} sensors drawn in {:.0} ms, {:.0} MiB",
            cast.sensors.len(),
            began.elapsed().as_secs_f64() * 1e3,
            resident_mib() - resident,
        )?;
        for step_ms in STEPS_MS {
            let mut runs: Vec<Run> = (0..3).map(|_| run(&cast, step_ms)).collect();
            runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            let steps = (SECONDS * 1000 / step_ms) as f64;
            writeln!(
                out,
                "  {step_ms:4} ms a step: {:.2} million samples/s, {:.0} µs a step (of {:.0} to {:.0})",
                runs[1].samples as f64 / runs[1].seconds / 1e6,
                runs[1].seconds * 1e6 / steps,
                runs[0].seconds * 1e6 / steps,
                runs[2].seconds * 1e6 / steps,
            )?;
        }
    }
    Ok(())
}

struct Run {
    samples: usize,
    seconds: f64,
}

/// Everyone is there already when the time begins to count.
fn run(cast: &Arc<Cast>, step_ms: i64) -> Run {
    let start = ORIGIN_MS + 27_000_000_000;
    let mut fleet = Fleet::new(Arc::clone(cast), Timestamp(start));
    let (mut inputs, mut slot, mut samples) = (Inputs::default(), 0, 0);
    let mut take_feed = || {
        slot += 1;
        Some(FeedId(Handle { slot, generation: 0 }))
    };
    let mut now = start;
    while fleet.open_count() < cast.sensors.len() {
        now += step_ms;
        fleet.advance(Timestamp(now), &mut take_feed, &mut inputs);
        inputs.samples.clear();
        inputs.commands.clear();
    }
    let began = Instant::now();
    for _ in 0..SECONDS * 1000 / step_ms {
        now += step_ms;
        fleet.advance(Timestamp(now), &mut take_feed, &mut inputs);
        samples += inputs.samples.len();
        inputs.samples.clear();
        inputs.commands.clear();
    }
    Run { samples, seconds: began.elapsed().as_secs_f64() }
}

/// MiB of memory that this process holds; 0 where the system does not say.
fn resident_mib() -> f64 {
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else { return 0.0 };
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / 1048576.0
}

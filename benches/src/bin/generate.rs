//! How fast made-up people are made: samples a second on one core, a tick at a time.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use components::id::{FeedId, Handle};
use components::sample::Timestamp;
use engine::Inputs;
use simulator::fleet::Fleet;
use simulator::person::ORIGIN_MS;
use simulator::scenario::{Cast, Scenario};

/// Small, and large enough to leave the caches.
const SCENARIOS: [&str; 3] = ["few", "hundred", "crowd"];

/// Made-up seconds of each run.
const SECONDS: i64 = 30;

/// Ticks as the server makes them, and coarser.
const STEPS_MS: [i64; 2] = [4, 100];

fn main() -> std::io::Result<()> {
    for name in SCENARIOS {
        let scenario = Scenario::named(name, None).map_err(std::io::Error::other)?;
        let cast = Arc::new(scenario.cast(1));
        for step_ms in STEPS_MS {
            let mut rates: Vec<f64> = (0..3).map(|_| run(&cast, step_ms)).collect();
            rates.sort_by(f64::total_cmp);
            writeln!(
                std::io::stdout(),
                "{:8} {step_ms:4} ms a step: {:.2} million samples/s (of {:.2} to {:.2})",
                cast.name,
                rates[1] / 1e6,
                rates[0] / 1e6,
                rates[2] / 1e6,
            )?;
        }
    }
    Ok(())
}

fn run(cast: &Arc<Cast>, step_ms: i64) -> f64 {
    let start = ORIGIN_MS + 27_000_000_000;
    let mut fleet = Fleet::new(Arc::clone(cast), Timestamp(start));
    let (mut inputs, mut slot, mut samples) = (Inputs::default(), 0, 0);
    let mut take_feed = || {
        slot += 1;
        Some(FeedId(Handle { slot, generation: 0 }))
    };
    let began = Instant::now();
    for step in 1..=SECONDS * 1000 / step_ms {
        fleet.advance(Timestamp(start + step * step_ms), &mut take_feed, &mut inputs);
        samples += inputs.samples.len();
        inputs.samples.clear();
        inputs.commands.clear();
    }
    samples as f64 / began.elapsed().as_secs_f64()
}

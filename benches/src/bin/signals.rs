//! How fast each model is measured: nanoseconds a sample on one core, and millions of samples a
//! second over all of them, weighted by their usual rates. Arguments are models to look at.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use components::sample::Timestamp;
use simulator::person::{ORIGIN_MS, Person, PersonSpec};
use simulator::signal::{Body, Given, Memory, Model, models};

/// Samples of each run.
const SAMPLES: i64 = 20_000;

/// People who are measured in turn.
const PEOPLE: u64 = 8;

fn main() -> std::io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    let (mut seconds, mut samples) = (0.0, 0.0);
    let (mut evenly, mut count) = (0.0, 0.0);
    for model in models() {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == model.name) {
            continue;
        }
        let mut runs: Vec<f64> = (0..3).map(|_| run(model)).collect();
        runs.sort_by(f64::total_cmp);
        let nanos = runs[1];
        writeln!(out, "{:24} {nanos:8.0} ns a sample, {:.3} Hz", model.name, model.rate_hz)?;
        samples += model.rate_hz;
        seconds += model.rate_hz * nanos * 1e-9;
        evenly += nanos * 1e-9;
        count += 1.0;
    }
    writeln!(out, "weighted by rate: {:.2} million samples/s", samples / seconds / 1e6)?;
    writeln!(out, "one of each:      {:.2} million samples/s", count / evenly / 1e6)
}

/// Nanoseconds a sample, at the model's usual rate.
fn run(model: &Model) -> f64 {
    let mut worn: Vec<_> = (0..PEOPLE)
        .map(|seed| {
            let mut spec = PersonSpec::drawn(seed);
            let activity = ["sit", "walk", "run", "stand"][seed as usize % 4];
            spec.set_word("activity", activity).expect("it is one");
            let person = Some(Arc::new(Person::new(spec, seed)));
            let body = Body { seed, person, position: None };
            (model.build(&Given::default(), &body, seed), Memory::default())
        })
        .collect();
    let start = ORIGIN_MS + 27_000_000_000;
    let period_ms = 1000.0 / model.rate_hz;
    let began = Instant::now();
    for k in 0..SAMPLES / PEOPLE as i64 {
        let at = Timestamp(start + (k as f64 * period_ms) as i64);
        for (signal, memory) in &mut worn {
            signal.measure(at, memory, &mut |payload| {
                black_box(&payload);
            });
        }
    }
    began.elapsed().as_secs_f64() * 1e9 / SAMPLES as f64
}

//! `cargo run --release -p benches --bin tick`: the engine alone, and how it compares with a loop
//! written by hand, each in turn, three times.

use std::io::Write;

use benches::tick::{Work, by_hand, run};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (sensors, threads) in [(10_000, 1), (10_000, 2), (100_000, 1), (100_000, 2)] {
        let work = Work {
            sensors,
            viewers: 200,
            watched: 100,
            samples_per_tick: 4_000,
            ticks: 1_000,
            threads,
            pressed: false,
        };
        let mut rates = Vec::new();
        for _ in 0..3 {
            let ours = run(work);
            let hand = by_hand(work);
            rates.push((ours, hand));
        }
        rates.sort_by(|a, b| a.0.samples_per_s.total_cmp(&b.0.samples_per_s));
        let (ours, hand) = &rates[1];
        writeln!(
            out,
            "{sensors} sensors, {threads} thread(s): {:.2} M samples/s (of {:.2} M by hand, ratio \
             {:.2}; spread {:.2} to {:.2}), {:.0} ring bytes a sensor, {} delivered",
            ours.samples_per_s / 1e6,
            hand / 1e6,
            ours.samples_per_s / hand,
            rates[0].0.samples_per_s / 1e6,
            rates[2].0.samples_per_s / 1e6,
            ours.ring_bytes_per_sensor,
            ours.delivered,
        )?;
        for (name, nanos) in &ours.systems {
            writeln!(out, "    {name:16} {nanos:7.1} ns a sample")?;
        }
        let behind = run(Work { pressed: true, ..work });
        writeln!(
            out,
            "    the adaptive part takes {:.1} % of the tick, {:.1} % when the processor is behind",
            100.0 * ours.adaptive_share(),
            100.0 * behind.adaptive_share(),
        )?;
    }
    Ok(())
}

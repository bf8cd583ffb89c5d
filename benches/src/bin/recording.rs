//! `cargo run --release -p benches --bin recording [SECONDS]`: 1,000 sensors at 10 Hz recorded and
//! replayed, three times; 180 seconds each unless said otherwise.

use std::io::Write;

use benches::recording::{Work, run};

fn main() -> std::io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(180);
    let rounds = if seconds > 1000 { 1 } else { 3 };
    let mut out = std::io::stdout().lock();
    for jitter_ms in [0, 60] {
        let mut all = Vec::new();
        for _ in 0..rounds {
            all.push(run(Work { sensors: 1000, seconds, jitter_ms })?);
        }
        let share = |figures: &benches::recording::Figures| figures.recorder_s / figures.engine_s;
        all.sort_by(|a, b| share(a).total_cmp(&share(b)));
        let middle = all[all.len() / 2];
        let hour = 3600.0 / seconds as f64;
        writeln!(
            out,
            "1,000 sensors at 10 Hz for {seconds} s, late by up to {jitter_ms} ms: {:.2} bytes a \
             sample; recording takes {:.1} % of the tick (spread {:.1} to {:.1}; {:.0} of {:.0} ns \
             a sample); an hour replays in {:.1} s, of which {:.1} s reading",
            middle.bytes as f64 / middle.samples as f64,
            100.0 * share(&middle),
            100.0 * share(&all[0]),
            100.0 * share(&all[all.len() - 1]),
            middle.recorder_s * 1e9 / middle.samples as f64,
            middle.engine_s * 1e9 / middle.samples as f64,
            middle.replay_s * hour,
            middle.read_s * hour,
        )?;
    }
    Ok(())
}

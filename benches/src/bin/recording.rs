//! `cargo run --release -p benches --bin recording [SECONDS]`: 1,000 sensors at 10 Hz recorded and
//! replayed; 180 seconds unless said otherwise.

use std::io::Write;

use benches::recording::{Work, run};

fn main() -> std::io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(180);
    let mut out = std::io::stdout().lock();
    for jitter_ms in [0, 60] {
        let figures = run(Work { sensors: 1000, seconds, jitter_ms })?;
        let hour = 3600.0 / seconds as f64;
        writeln!(
            out,
            "1,000 sensors at 10 Hz for {seconds} s, late by up to {jitter_ms} ms: {:.2} bytes a \
             sample; recording takes {:.1} % of the tick ({:.0} of {:.0} ns a sample); an hour replays in {:.1} s, of which {:.1} s reading",
            figures.bytes as f64 / figures.samples as f64,
            100.0 * figures.recorder_s / figures.engine_s,
            figures.recorder_s * 1e9 / figures.samples as f64,
            figures.engine_s * 1e9 / figures.samples as f64,
            figures.replay_s * hour,
            figures.read_s * hour,
        )?;
    }
    Ok(())
}

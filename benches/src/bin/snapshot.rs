//! `cargo run --release -p benches --bin snapshot`: what it costs to begin a recording.

use std::io::Write;

fn main() -> std::io::Result<()> {
    for sensors in [100, 1_000, 10_000] {
        let mut runs: Vec<_> = (0..3).map(|_| benches::snapshot::run(sensors)).collect();
        runs.sort_by(|a, b| (a.write_ms + a.restore_ms).total_cmp(&(b.write_ms + b.restore_ms)));
        let run = runs[1];
        writeln!(
            std::io::stdout(),
            "{:6} sensors, {} samples, rings of {:.1} MB: snapshot {:.1} MB, written in {:.1} ms, \
             made again in {:.1} ms (copying the rings: {:.1} ms)",
            run.sensors,
            run.samples,
            run.ring_bytes as f64 / 1e6,
            run.snapshot_bytes as f64 / 1e6,
            run.write_ms,
            run.restore_ms,
            run.copy_ms,
        )?;
    }
    Ok(())
}

//! `cargo run --release -p benches --bin intake`: handing samples to the tick by class, beside one
//! queue for all; medians of three.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (bursts, classes) in [(40, 1), (40, 5), (2_000, 1), (2_000, 5)] {
        let ticks = 400_000 / bursts as usize;
        let mut runs: Vec<_> =
            (0..3).map(|_| benches::intake::run(ticks, bursts, classes)).collect();
        let ratio = |run: &benches::intake::Figures| {
            run.classes_ns_per_sample / run.one_queue_ns_per_sample
        };
        runs.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        writeln!(
            out,
            "{:6} samples a tick of {classes} classes: {:.1} ns a sample, {:.1} ns with one queue: \
             ratio {:.2}",
            bursts * 10,
            runs[1].classes_ns_per_sample,
            runs[1].one_queue_ns_per_sample,
            ratio(&runs[1])
        )?;
    }
    Ok(())
}

//! `cargo run --release -p benches --bin sense`: what it costs to read groups, on one thread.

use std::io::Write;

use benches::sense::{self, Cost};

fn median(run: impl Fn() -> Cost) -> Cost {
    let mut costs = [run(), run(), run()];
    costs.sort_by(|a, b| (a.ours / a.plain).total_cmp(&(b.ours / b.plain)));
    costs[1]
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for people in [10, 100, 1_000] {
        let cost = median(|| sense::group(people, 20));
        writeln!(
            out,
            "{people} people: {:.2} % of a core, {:.1} times the product with the filter alone \
             ({} measurable)",
            100.0 * cost.ours,
            cost.ours / cost.plain,
            cost.measurable
        )?;
    }
    Ok(())
}

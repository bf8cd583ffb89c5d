//! `cargo run --release -p benches --bin search [ENTRIES]`: how long a search takes, by question.

use std::io::Write;

use benches::search;

fn main() -> std::io::Result<()> {
    let count = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let mut index = search::filled(count);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{count} entries; ms, median and longest of 101")?;
    for figures in search::ask(&index, 101) {
        let search::Figures { question, seen_one_in, median_ms, max_ms, hits } = figures;
        let sees = if seen_one_in == 1 { "sees all" } else { "sees 1 in 1000" };
        writeln!(out, "{question:48} {sees:15} {hits:3} hits {median_ms:6.2} {max_ms:6.2}")?;
    }
    writeln!(out, "an entry anew: {:.1} us", search::change(&mut index, 1000))
}

//! `cargo run --release -p benches --bin history FILE COLUMN RATE_HZ`: what it costs to keep the past
//! of a recording's column (from 0), and to read it again.

use std::io::{Error, Write};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, column, rate_hz] = &arguments[..] else {
        return Err(Error::other("usage: history FILE COLUMN RATE_HZ"));
    };
    let column: usize = column.parse().map_err(|_| Error::other("the column is a number"))?;
    let rate_hz = rate_hz.parse().map_err(|_| Error::other("the rate is a number in Hz"))?;
    let text = std::fs::read_to_string(file)?;
    let of_line = |line: &str| line.split(',').nth(column)?.trim().parse().ok();
    let values: Vec<f64> = text.lines().filter_map(of_line).collect();
    if values.is_empty() {
        return Err(Error::other(format!("{file} has no numbers in column {column}")));
    }
    let folder = std::env::temp_dir().join(format!("sensocto-past-{}", std::process::id()));
    let mut runs = [(); 3].map(|()| benches::history::run(&folder, &values, rate_hz));
    runs.sort_by(|a, b| a.samples_per_second.total_cmp(&b.samples_per_second));
    let run = runs[1];
    writeln!(
        std::io::stdout(),
        "{} samples: {:.1} M/s taken in on one core, {:.2} bytes a sample ({:.2} without heads and \
         sums); ten minutes ({} samples) read in {:.1} ms, by the second in {:.1} ms, all by the \
         minute in {:.1} ms",
        run.samples,
        run.samples_per_second / 1e6,
        run.bytes_per_sample,
        run.packed_bytes_per_sample,
        run.range_samples,
        run.range_ms,
        run.seconds_ms,
        run.minutes_ms
    )
}

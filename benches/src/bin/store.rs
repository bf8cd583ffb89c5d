//! `cargo run --release -p benches --bin store [FOLDER]`: durable writes a second, and how long a
//! start takes. In a folder on the disk that is meant; without one, the system's temporary folder.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use benches::store;

fn main() -> std::io::Result<()> {
    let given = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = given.join(format!("sensocto-bench-{}", std::process::id()));
    let mut out = std::io::stdout().lock();
    for askers in [1, 16, 64, 256] {
        std::fs::create_dir_all(&folder)?;
        let mut runs = [(); 3].map(|()| store::writes(&folder, askers, Duration::from_secs(2)));
        runs.sort_by(|a, b| a.writes_per_second.total_cmp(&b.writes_per_second));
        let run = runs[1];
        writeln!(
            out,
            "{askers:3} askers: {:6.0} durable writes/s in {:4.0} commits/s, answered in {:5.2} ms \
             (p99 {:5.2}); the disk alone syncs {:5.0} times/s",
            run.writes_per_second,
            run.commits_per_second,
            run.median_ms,
            run.p99_ms,
            run.syncs_per_second
        )?;
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let (ready_ms, here_ms, bytes) = store::hydration(&folder, 10_000, 10);
    std::fs::remove_dir_all(&folder)?;
    writeln!(
        out,
        "10,000 rooms with 100,000 memberships, {:.1} MB: looked over in {ready_ms:.0} ms, all \
         here in {here_ms:.0} ms",
        bytes as f64 / 1e6
    )
}

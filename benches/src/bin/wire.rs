//! `cargo run --release -p benches --bin wire`: reading device frames, and writing for many
//! viewers, each beside the plain way of doing it; medians of three.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut reads: Vec<_> = (0..3).map(|_| benches::wire::run(200_000)).collect();
    reads.sort_by(|a, b| a.ours_ns_per_frame.total_cmp(&b.ours_ns_per_frame));
    let read = reads[1];
    writeln!(
        out,
        "reading: {:.0} ns a frame to samples, {:.0} ns for a JSON tree: ratio {:.2}",
        read.ours_ns_per_frame,
        read.tree_ns_per_frame,
        read.ours_ns_per_frame / read.tree_ns_per_frame
    )?;
    let mut writes: Vec<_> = (0..3).map(|_| benches::fan_out::run(1_000, 200, 100, 20)).collect();
    writes.sort_by(|a, b| a.joined_ns_per_slice.total_cmp(&b.joined_ns_per_slice));
    let write = writes[1];
    writeln!(
        out,
        "writing: {:.0} ns a slice of 8 samples and viewer as JSON, {:.0} ns as binary, {:.0} ns \
         encoded anew for each: ratio {:.2}",
        write.joined_ns_per_slice,
        write.binary_ns_per_slice,
        write.anew_ns_per_slice,
        write.joined_ns_per_slice / write.anew_ns_per_slice
    )
}

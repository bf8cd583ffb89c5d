//! The past of one sensor: samples a second that one core takes in, bytes a sample, and how long ten
//! minutes of it take to read.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use components::cell::Cell;
use components::sample::Payload;
use components::shape::Shape;
use server::history::HistoryRecord;
use server::history::past;
use server::history::segment::{Scratch, Tier};
use server::history::shelf::{Shelf, reader};

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub samples: usize,
    pub samples_per_second: f64,
    /// Of the files: heads, and what was summed up, included.
    pub bytes_per_sample: f64,
    /// The samples alone.
    pub packed_bytes_per_sample: f64,
    /// A whole ten minutes, as samples.
    pub range_ms: f64,
    pub range_samples: usize,
    /// The same ten minutes by the second, and all there is by the minute.
    pub seconds_ms: f64,
    pub minutes_ms: f64,
}

/// `values` at `rate_hz`, again and again until there are twenty minutes of them, given in ticks of
/// four milliseconds and sealed when it is time.
pub fn run(folder: &Path, values: &[f64], rate_hz: f64) -> Figures {
    let policy = HistoryRecord { keep_hours: 24, bytes_max: 1 << 30, since_unix_ms: 0, room: None };
    let mut shelf = Shelf::open(folder.to_owned(), policy).expect("the folder can be read");
    let (scalar, attribute_id): (Arc<Shape>, Arc<str>) = (Arc::new(Shape::scalar()), "ecg".into());
    let samples = (1200.0 * rate_hz) as usize;
    let cells: Vec<Cell> =
        values.iter().map(|value| Cell::float(*value).expect("a number")).collect();
    let stamp_of = |n: usize| 1_795_492_320_000 + (n as f64 * 1000.0 / rate_hz).round() as i64;
    let began = Instant::now();
    for n in 0..samples {
        let (stamp, payload) = (stamp_of(n), Payload::Scalar(cells[n % cells.len()]));
        shelf.take(&attribute_id, &scalar, stamp, payload, stamp).expect("the disk takes it");
        if n % 1000 == 0 {
            shelf.seal_due(stamp).expect("the disk takes it");
        }
    }
    shelf.seal_all(stamp_of(samples)).expect("the disk takes it");
    let seconds = began.elapsed().as_secs_f64();
    let (packed, rows) = shelf.weight();
    assert_eq!(rows as usize, samples);

    let first = 1_795_492_320_000 / 60_000 * 60_000;
    let range = first + 300_000..first + 900_000;
    let read_ms = |step_ms: Option<(Tier, i64)>, range: std::ops::Range<i64>| {
        let began = Instant::now();
        let found = shelf.find("ecg", &range);
        let (mut count, mut summed) = (0, server::history::segment::Summed::new());
        let Some((tier, step)) = step_ms else {
            let past = past::read(found, past::thread_count(), &range);
            count += past.forms.iter().map(|(_, rows)| rows.stamps.len()).sum::<usize>();
            return (began.elapsed().as_secs_f64() * 1e3, count);
        };
        let mut scratch = Scratch::default();
        for (path, place) in &found.places {
            let file = std::fs::File::open(path).expect("it is there");
            place
                .sums(tier, step, &range, &mut reader(&file), &mut scratch, &mut summed)
                .expect("it is whole");
        }
        (began.elapsed().as_secs_f64() * 1e3, count + summed.len())
    };
    let (range_ms, range_samples) = read_ms(None, range.clone());
    let (seconds_ms, _) = read_ms(Some((Tier::Seconds, 1_000)), range);
    let (minutes_ms, _) = read_ms(Some((Tier::Minutes, 60_000)), 0..i64::MAX);
    let bytes = shelf.bytes();
    shelf.erase().expect("it can be taken away");
    Figures {
        samples,
        samples_per_second: samples as f64 / seconds,
        bytes_per_sample: bytes as f64 / samples as f64,
        packed_bytes_per_sample: packed as f64 / samples as f64,
        range_ms,
        range_samples,
        seconds_ms,
        minutes_ms,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_ecg_takes_no_more_than_two_bytes_a_sample() {
        let folder = std::env::temp_dir().join(format!("sensocto-past-{}", std::process::id()));
        // Beats and a little noise, in whole microvolts.
        let value = |n: u32| {
            let beat = (f64::from(n % 250) / 250.0 - 0.5).powi(2) * -80.0;
            let noise = f64::from(n.wrapping_mul(2_654_435_761) >> 27) / 1e3;
            ((beat.exp() + noise) * 1e3).round() / 1e3
        };
        let values: Vec<f64> = (0..10_000).map(value).collect();
        let figures = super::run(&folder, &values, 250.0);
        assert!(figures.bytes_per_sample < 2.0, "{figures:?}");
        assert_eq!(figures.range_samples, 150_000);
    }
}

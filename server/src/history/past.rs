//! What the shelves of the past hold, brought back: samples as they came, or summed up.
//!
//! Long ranges are unpacked on several threads, each its own stretch of the files.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use components::shape::Shape;
use serde::Serialize;

use super::segment::{Damaged, Place, Rows, Scratch, Summed, Tier, sum_up};
use super::shelf::{Found, reader};
use super::{History, HistoryError, ROW_COUNT_MAX, SensorKey, lock};

/// Rows from which on it pays to unpack them on several threads, and threads at most.
pub(super) const SHARED_ROW_COUNT: u64 = 1 << 16;
const THREAD_COUNT_MAX: usize = 4;

/// Samples or sums, by form; and damaged segments that were left out. A form's samples are in the order
/// of time, if need be in several pieces one behind the other.
#[derive(Debug)]
pub struct Past<T> {
    pub forms: Vec<(Arc<Shape>, T)>,
    pub damaged: u64,
}

/// A place between two samples, as somebody knows it who has all from there on: the stamp of the first,
/// and how many of the first have that stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cursor {
    pub before: i64,
    pub have: u64,
}

impl<T> Past<T> {
    fn new() -> Self {
        Self { forms: Vec::new(), damaged: 0 }
    }
}

type Reader<'a> = dyn FnMut(u64, &mut [u8]) -> std::io::Result<()> + 'a;

impl History {
    pub(super) fn find(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        tier: Tier,
        range: &Range<i64>,
    ) -> Result<(Found, u64), HistoryError> {
        let shelves = lock(&self.shelves);
        let shelf = shelves.get(&SensorKey::of(sensor_id)).ok_or(HistoryError::NotKept)?;
        let found = shelf.find(attribute_id, range);
        let rows = found.places.iter().map(|(_, place)| place.weight(tier).1).sum();
        if rows > ROW_COUNT_MAX { Err(HistoryError::TooMuch { rows }) } else { Ok((found, rows)) }
    }

    /// The samples of an attribute with stamps in `range`. Blocks.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn samples(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        range: &Range<i64>,
    ) -> Result<Past<Rows>, HistoryError> {
        let (found, count) = self.find(sensor_id, attribute_id, Tier::Samples, range)?;
        let threads = if count < SHARED_ROW_COUNT { 1 } else { thread_count() };
        let past = read(found, threads, range);
        self.damaged.fetch_add(past.damaged, Ordering::Relaxed);
        Ok(past)
    }

    /// The last `count` samples before those that somebody has, and where those before them end, if
    /// there are any. Blocks.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn before(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        cursor: Cursor,
        count: usize,
    ) -> Result<(Past<Rows>, Option<Cursor>), HistoryError> {
        let end = cursor.before.saturating_add(1);
        // Where each segment begins, and its samples.
        let mut begins: Vec<(i64, u64)> = {
            let shelves = lock(&self.shelves);
            let shelf = shelves.get(&SensorKey::of(sensor_id)).ok_or(HistoryError::NotKept)?;
            let Found { places, rows } = shelf.find(attribute_id, &(i64::MIN..end));
            let sealed =
                places.iter().map(|(_, place)| (place.first, place.weight(Tier::Samples).1));
            let first = rows.as_ref().and_then(|rows| rows.stamps.iter().min().copied());
            sealed.chain(first.map(|first| (first, 0))).collect()
        };
        begins.sort_unstable();
        loop {
            let (mut from, mut promised) = (i64::MIN, 0);
            while let Some((first, rows)) = begins.pop() {
                (from, promised) = (first, promised + rows);
                if promised > cursor.have.saturating_add(count as u64) {
                    break;
                }
            }
            let is_all = begins.is_empty();
            let range = if is_all { i64::MIN } else { from }..end;
            let mut past = self.samples(sensor_id, attribute_id, &range)?;
            // Some of what was promised lies behind the cursor.
            if let Some(older) = cut(&mut past, cursor, count, is_all) {
                return Ok((past, older));
            }
        }
    }

    /// Minimum, maximum, sum and count of each leaf in periods of `step_ms` that begin in `range`.
    /// From the minutes or seconds that were summed up where they fit. Blocks.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn summed(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        range: &Range<i64>,
        step_ms: i64,
    ) -> Result<Past<Summed>, HistoryError> {
        let fits = |period: i64| [step_ms, range.start, range.end].iter().all(|n| n % period == 0);
        let tier = match () {
            () if fits(60_000) => Tier::Minutes,
            () if fits(1_000) => Tier::Seconds,
            () => Tier::Samples,
        };
        let (found, _) = self.find(sensor_id, attribute_id, tier, range)?;
        let mut past = Past::new();
        let mut scratch = Scratch::default();
        past.damaged = each(&found.places, |_, place, read| {
            let into = of_form(&mut past.forms, &place.shape, Summed::new);
            if tier != Tier::Samples {
                return place.sums(tier, step_ms, range, read, &mut scratch, into);
            }
            let mut rows = Rows::new(Arc::clone(&place.shape));
            place.rows(range, read, &mut scratch, &mut rows)?;
            sum_up(&rows, step_ms, range, into);
            Ok(())
        });
        if let Some(rows) = &found.rows {
            let into = of_form(&mut past.forms, &rows.shape, Summed::new);
            sum_up(rows, step_ms, range, into);
        }
        self.damaged.fetch_add(past.damaged, Ordering::Relaxed);
        past.forms.retain(|(_, summed)| !summed.is_empty());
        Ok(past)
    }
}

/// All samples of what was found with stamps in `range`, on so many threads.
pub fn read(found: Found, threads: usize, range: &Range<i64>) -> Past<Rows> {
    let Found { places, rows } = found;
    let stretches: Vec<_> = places.chunks(places.len().div_ceil(threads).max(1)).collect();
    let mut past = Past::new();
    for mut more in each_on_a_thread(&stretches, |stretch| unpack(stretch, range)) {
        past.damaged += more.damaged;
        past.forms.append(&mut more.forms);
    }
    if let Some(mut rows) = rows {
        rows.retain(0, range);
        past.forms.push((Arc::clone(&rows.shape), rows));
    }
    past.forms.retain(|(_, rows)| !rows.stamps.is_empty());
    if !is_in_order(&past.forms) {
        put_in_order(&mut past.forms);
    }
    past
}

/// What is in these segments, by form.
pub(super) fn unpack(places: &[(Arc<Path>, Place)], range: &Range<i64>) -> Past<Rows> {
    let mut forms = Vec::new();
    let mut scratch = Scratch::default();
    let damaged = each(places, |nth, place, read| {
        let into = of_form(&mut forms, &place.shape, || {
            let mut rows = Rows::new(Arc::clone(&place.shape));
            let of_it = places[nth..].iter().filter(|(_, other)| other.shape == place.shape);
            rows.reserve(of_it.map(|(_, other)| other.weight(Tier::Samples).1 as usize).sum());
            rows
        });
        place.rows(range, read, &mut scratch, into)
    });
    Past { forms, damaged }
}

/// Each segment with its number here, its file opened once; of those that are damaged, how many.
pub(super) fn each(
    places: &[(Arc<Path>, Place)],
    mut visit: impl FnMut(usize, &Place, &mut Reader<'_>) -> Result<(), Damaged>,
) -> u64 {
    let mut damaged = 0;
    let mut open: Option<(&Arc<Path>, File)> = None;
    for (nth, (path, place)) in places.iter().enumerate() {
        if open.as_ref().is_none_or(|(there, _)| *there != path) {
            // One that has just been given up is no damage.
            open = File::open(path).ok().map(|file| (path, file));
        }
        let Some((_, file)) = &open else { continue };
        if let Err(Damaged(what)) = visit(nth, place, &mut reader(file)) {
            tracing::error!(path = %path.display(), %what, "a segment is damaged and left out");
            damaged += 1;
        }
    }
    damaged
}

/// Leaves the last `count` samples before the cursor, and more if the first would else be parted from
/// others of its stamp; the cursor before them. `None`: there must be more to look at.
fn cut(
    past: &mut Past<Rows>,
    cursor: Cursor,
    count: usize,
    is_all: bool,
) -> Option<Option<Cursor>> {
    let mut have = cursor.have;
    for (_, rows) in past.forms.iter_mut().rev() {
        while have > 0 && rows.stamps.last() == Some(&cursor.before) {
            rows.stamps.pop();
            have -= 1;
        }
        rows.cells.truncate(rows.stamps.len() * rows.shape.width());
    }
    let stamps = past.forms.iter().flat_map(|(_, rows)| &rows.stamps);
    let mut stamps: Vec<i64> = stamps.copied().collect();
    stamps.sort();
    let Some(over) = stamps.len().checked_sub(count) else {
        past.forms.retain(|(_, rows)| !rows.stamps.is_empty());
        return is_all.then_some(None);
    };
    let first = stamps.get(over).copied()?;
    let older = stamps.partition_point(|stamp| *stamp < first);
    let of_first = stamps.partition_point(|stamp| *stamp <= first) - older;
    past.forms.iter_mut().for_each(|(_, rows)| {
        rows.retain(0, &(first..i64::MAX));
    });
    past.forms.retain(|(_, rows)| !rows.stamps.is_empty());
    let there_are = older > 0 || !is_all;
    Some(there_are.then_some(Cursor { before: first, have: of_first as u64 }))
}

pub fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(THREAD_COUNT_MAX))
}

/// The work for each, on a thread of its own but for the first; in the order of `all`.
pub(super) fn each_on_a_thread<T: Sync, R: Send>(
    all: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = others.iter().map(|one| scope.spawn(move || work(one))).collect();
        let mut done = vec![work(first)];
        for other in others {
            done.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}

/// The place for samples of a form, among those of other forms.
fn of_form<'a, T>(
    forms: &'a mut Vec<(Arc<Shape>, T)>,
    shape: &Arc<Shape>,
    make: impl FnOnce() -> T,
) -> &'a mut T {
    let at = match forms.iter().position(|(there, _)| there == shape) {
        Some(at) => at,
        None => {
            forms.push((Arc::clone(shape), make()));
            forms.len() - 1
        }
    };
    &mut forms[at].1
}

/// Whether the pieces are all of one form, and one behind the other.
fn is_in_order(pieces: &[(Arc<Shape>, Rows)]) -> bool {
    pieces.iter().all(|(shape, rows)| *shape == pieces[0].0 && rows.stamps.is_sorted())
        && pieces.windows(2).all(|two| two[0].1.stamps.last() <= two[1].1.stamps.first())
}

/// Makes one piece of each form. Devices send late and twice; of one stamp, samples are in the order in
/// which they came.
fn put_in_order(pieces: &mut Vec<(Arc<Shape>, Rows)>) {
    let mut forms: Vec<(Arc<Shape>, Rows)> = Vec::new();
    for (shape, mut rows) in pieces.drain(..) {
        let into = of_form(&mut forms, &shape, || Rows::new(Arc::clone(&shape)));
        into.stamps.append(&mut rows.stamps);
        into.cells.append(&mut rows.cells);
    }
    forms.iter_mut().for_each(|(_, rows)| sort(rows));
    *pieces = forms;
}

pub(super) fn sort(rows: &mut Rows) {
    if rows.stamps.is_sorted() {
        return;
    }
    let width = rows.shape.width();
    let mut order: Vec<usize> = (0..rows.stamps.len()).collect();
    order.sort_by_key(|&n| rows.stamps[n]);
    rows.cells =
        order.iter().flat_map(|&n| &rows.cells[n * width..(n + 1) * width]).copied().collect();
    rows.stamps = order.iter().map(|&n| rows.stamps[n]).collect();
}

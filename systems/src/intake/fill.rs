//! Puts every sample into its ring, or says why not.
//!
//! Large batches are first ordered by where their sensors lie in memory: neighbours are written
//! together, and chunks of sensors can be written in parallel without sharing anything. A sensor's
//! own samples keep their order either way, so the result is the same for any number of threads.

use std::sync::Arc;

use bevy_ecs::entity::Entities;
use bevy_ecs::prelude::*;
use components::class::Class;
use components::delivery::{Probe, StreamCard};
use components::fault::Faults;
use components::id::SensorKey;
use components::ledger::{Ledger, Reason};
use components::load::LoadLevel;
use components::ring::Ring;
use components::sample::{Payload, SampleBatch, Text, Timestamp};
use components::sensor::{Sensor, Stream, Streams};
use components::shape::Shape;
use rayon::prelude::*;

use crate::conduct::divide::CurrentBudget;
use crate::mend::mend;
use crate::supervise::{Culprit, Salvage, Suspects};
use crate::world::{Books, Feeds, Fresh, Incoming, Memory, Now, Outgoing, Parallel, Settings};

/// Below this many samples a batch is written in order of arrival: ordering would cost more than
/// it gives.
const ORDERED_SAMPLE_COUNT_MIN: usize = 2048;

/// Samples are marked to be followed this often.
const PROBE_MS: u64 = 20;

/// Samples that are looked at for one of each class.
const PROBE_LOOK_COUNT: usize = 64;

/// Sensors in one chunk of parallel work.
const CHUNK: usize = 256;

/// What one pass over some samples came to.
#[derive(Default)]
struct Filled {
    stored: u64,
    forgotten: u64,
    unknown: u64,
    bytes: i64,
    offered: u64,
    by_class: [u64; Class::COUNT],
    pushed: Vec<SensorKey>,
    /// Samples lost to a panic.
    lost: u64,
    salvage: Salvage,
    /// Over which streams it panicked, by row and place.
    poisoned: Vec<(u32, u16)>,
}

impl Filled {
    fn add(&mut self, part: Self) {
        self.stored += part.stored;
        self.forgotten += part.forgotten;
        self.unknown += part.unknown;
        self.bytes += part.bytes;
        self.offered += part.offered;
        for (whole, part) in self.by_class.iter_mut().zip(part.by_class) {
            *whole += part;
        }
        self.pushed.extend(part.pushed);
        self.lost += part.lost;
        self.salvage.join(part.salvage);
        self.poisoned.extend(part.poisoned);
    }
}

/// Streams of one chunk over which it may panic in one tick; then the rest of the chunk's samples
/// are lost. A panic takes longer than ten thousand samples.
const POISONED_COUNT_MAX: usize = 8;

/// Scratch for ordering, kept from tick to tick.
#[derive(Default)]
pub struct Order {
    rows: Vec<u32>,
    places: Vec<u16>,
    starts: Vec<u32>,
    sorted: Vec<u32>,
}

/// A row that no sensor has.
const NOWHERE: u32 = u32::MAX;

pub fn fill_rings(
    mut incoming: ResMut<Incoming>,
    feeds: Res<Feeds>,
    entities: &Entities,
    mut sensors: Query<(&Sensor, &mut Streams)>,
    mut memory: ResMut<Memory>,
    mut books: ResMut<Books>,
    mut fresh: ResMut<Fresh>,
    current: Res<CurrentBudget>,
    settings: Res<Settings>,
    now: Res<Now>,
    parallel: Res<Parallel>,
    faults: Res<Faults>,
    mut suspects: ResMut<Suspects>,
    mut order: Local<Order>,
    mut out: ResMut<Outgoing>,
) {
    let inputs = &mut incoming.0;
    inputs.refused.drain(..).for_each(|refused| books.refuse(refused));
    let batch = &mut inputs.samples;
    if batch.is_empty() {
        return;
    }
    let mut tables = sensors.contiguous_iter_mut().expect("sensors are stored densely");
    let Some((names, mut columns)) = tables.next() else {
        books.store.received += batch.len() as u64;
        books.store.drop(Reason::UnknownFeed, batch.len() as u64);
        batch.clear();
        return;
    };
    assert!(tables.next().is_none(), "all sensors have the same components, hence one table");
    let columns = columns.bypass_change_detection();

    let order = &mut *order;
    order.rows.clear();
    order.places.clear();
    for index in 0..batch.len() {
        let (feed, attribute) = batch.address(index);
        let found = feeds.get(feed).and_then(|feed| {
            let place = (*feed.streams.get(usize::from(attribute))?)?;
            let row = entities.get_spawned(feed.entity).ok()?.table_row.index_u32();
            Some((row, place))
        });
        let (row, place) = found.unwrap_or((NOWHERE, 0));
        order.rows.push(row);
        order.places.push(place);
    }

    let context = Context {
        batch,
        order_rows: &order.rows,
        order_places: &order.places,
        load: current.budget.load.level,
        memory: &memory,
        may_grow: memory.bytes < settings.ring_bytes_max as i64,
        tick: now.tick,
        faults: &faults,
    };
    let filled = if batch.len() < ORDERED_SAMPLE_COUNT_MIN {
        context.write_each(0..context.batch.len(), 0, names, columns)
    } else {
        sort_by_chunk(&order.rows, columns.len(), &mut order.starts, &mut order.sorted);
        let (starts, sorted) = (&order.starts, &order.sorted);
        let work = |(chunk, (names, columns)): (usize, (&[Sensor], &mut [Streams]))| {
            let indices = &sorted[starts[chunk] as usize..starts[chunk + 1] as usize];
            let indices = indices.iter().map(|&index| index as usize);
            context.write_each(indices, chunk * CHUNK, names, columns)
        };
        let parts: Vec<Filled> = if parallel.0 {
            columns_in_chunks_parallel(names, columns).map(work).collect()
        } else {
            names.chunks(CHUNK).zip(columns.chunks_mut(CHUNK)).enumerate().map(work).collect()
        };
        let mut whole = Filled::default();
        parts.into_iter().for_each(|part| whole.add(part));
        let known = *starts.last().expect("one start more than chunks") as usize;
        whole.unknown += (context.batch.len() - known) as u64;
        whole
    };

    memory.bytes += filled.bytes;
    count(&mut books.store, &filled);
    books.lens.received += filled.offered;
    for (whole, part) in books.by_class.iter_mut().zip(filled.by_class) {
        *whole += part;
    }
    for key in filled.pushed {
        fresh.mark(key);
    }
    if filled.offered > 0 && now.passes(PROBE_MS) {
        mark_probes(&now, order, columns, &mut out.0.probes);
    }
    batch.clear();
    for (row, place) in filled.poisoned {
        let list = &mut columns[row as usize].list;
        let Some(stream) = list.get_mut(usize::from(place)) else { continue };
        if !stream.ring.is_sound() {
            stream.ring = stream.ring.emptied();
        }
        suspects.accuse(Culprit::Stream(stream.id), now.time);
    }
    filled.salvage.raise();
}

/// After a panic outside of any sample's own work: the batch is lost, as far as it is not in rings.
pub(crate) fn restart(world: &mut World) {
    world.resource_scope(|world, mut incoming: Mut<'_, Incoming>| {
        let mut books = world.resource_mut::<Books>();
        incoming.0.refused.drain(..).for_each(|refused| books.refuse(refused));
        books.store.received += incoming.0.samples.len() as u64;
        incoming.0.samples.clear();
    });
    mend(world);
}

/// Marks one watched sample of each class, from a place in the batch that is another each time.
fn mark_probes(now: &Now, order: &Order, columns: &[Streams], probes: &mut Vec<Probe>) {
    let count = order.rows.len();
    let start = now.tick.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % count;
    let mut marked = [false; Class::COUNT];
    for at in (start..count).chain(0..start).take(PROBE_LOOK_COUNT) {
        let row = order.rows[at];
        if row == NOWHERE {
            continue;
        }
        let stream = columns[row as usize].list.get(usize::from(order.places[at]));
        let Some(stream) = stream.filter(|stream| stream.alive && stream.readers > 0) else {
            continue;
        };
        let Some(card) = &stream.card else { continue };
        let class = stream.kind.class() as usize;
        let ring = &stream.ring;
        if marked[class] || ring.is_empty() {
            continue;
        }
        marked[class] = true;
        // The newest of its stream: it came in with this tick, as the one that was hit upon did.
        let at = ring.count() - 1;
        let newest = ring.words(at, at + 1).next();
        let timestamp = Timestamp(newest.map_or(0, |words| words[0] as i64));
        probes.push(Probe { card: Arc::clone(card), at, timestamp });
    }
}

fn count(store: &mut Ledger, filled: &Filled) {
    store.received += filled.stored + filled.unknown + filled.lost;
    store.drop(Reason::Fault, filled.lost);
    store.drop(Reason::Aged, filled.forgotten);
    store.drop(Reason::UnknownFeed, filled.unknown);
    store.kept += filled.stored;
    store.kept -= filled.forgotten;
}

fn columns_in_chunks_parallel<'a>(
    names: &'a [Sensor],
    columns: &'a mut [Streams],
) -> impl IndexedParallelIterator<Item = (usize, (&'a [Sensor], &'a mut [Streams]))> {
    names.par_chunks(CHUNK).zip(columns.par_chunks_mut(CHUNK)).enumerate()
}

/// A counting sort of sample indices by chunk of rows; stable, so each sensor's samples stay in
/// order. `starts` has one entry more than there are chunks. Samples of no row are left out.
fn sort_by_chunk(rows: &[u32], row_count: usize, starts: &mut Vec<u32>, sorted: &mut Vec<u32>) {
    let chunks = row_count.div_ceil(CHUNK);
    starts.clear();
    starts.resize(chunks + 1, 0);
    for &row in rows.iter().filter(|&&row| row != NOWHERE) {
        starts[row as usize / CHUNK + 1] += 1;
    }
    for chunk in 0..chunks {
        starts[chunk + 1] += starts[chunk];
    }
    sorted.clear();
    sorted.resize(starts[chunks] as usize, 0);
    for (index, &row) in rows.iter().enumerate().filter(|(_, row)| **row != NOWHERE) {
        let at = &mut starts[row as usize / CHUNK];
        sorted[*at as usize] = index as u32;
        *at += 1;
    }
    // Each start now stands at its chunk's end: shift them back.
    starts.rotate_right(1);
    starts[0] = 0;
    starts[chunks] = sorted.len() as u32;
}

struct Context<'a> {
    batch: &'a SampleBatch,
    order_rows: &'a [u32],
    order_places: &'a [u16],
    load: LoadLevel,
    memory: &'a Memory,
    may_grow: bool,
    tick: u64,
    faults: &'a Faults,
}

impl Context<'_> {
    /// Writes samples into sensors, of which the first given has the row `first`. A sample over
    /// which it panics is lost, with what comes of its stream in the same tick.
    fn write_each(
        &self,
        mut indices: impl Iterator<Item = usize>,
        first: usize,
        names: &[Sensor],
        columns: &mut [Streams],
    ) -> Filled {
        let mut filled = Filled::default();
        let mut salvage = Salvage::default();
        let mut at = 0;
        loop {
            let through = salvage.attempt(|| {
                for index in indices.by_ref() {
                    let row = self.order_rows[index];
                    if row == NOWHERE {
                        filled.unknown += 1;
                        continue;
                    }
                    at = index;
                    if !filled.poisoned.is_empty() && self.is_poisoned(index, &filled) {
                        filled.lost += 1;
                        continue;
                    }
                    let row = row as usize - first;
                    self.write(index, &names[row], &mut columns[row], &mut filled);
                }
            });
            if through.is_some() {
                break;
            }
            filled.lost += 1;
            filled.poisoned.push((self.order_rows[at], self.order_places[at]));
        }
        filled.salvage = salvage;
        filled
    }

    fn is_poisoned(&self, index: usize, filled: &Filled) -> bool {
        filled.poisoned.len() >= POISONED_COUNT_MAX
            || filled.poisoned.contains(&(self.order_rows[index], self.order_places[index]))
    }

    /// Writes the `index`-th sample into its sensor.
    fn write(&self, index: usize, sensor: &Sensor, streams: &mut Streams, filled: &mut Filled) {
        let Some(stream) = streams
            .list
            .get_mut(usize::from(self.order_places[index]))
            .filter(|stream| stream.alive)
        else {
            filled.unknown += 1;
            return;
        };
        self.faults.strike("fill_rings.sample", u64::from(stream.id.0));
        let (_, _, timestamp, payload) = self.batch.get(index);
        if stream.card.is_none() {
            begin(stream, sensor, &payload);
        }
        let limits = self.memory.limits(stream.kind, stream.level, self.load);
        let shape = &stream.card.as_ref().expect("begun above").shape;
        let scalar = shape.is_scalar();
        let ring = &mut stream.ring;
        let change = match payload {
            Payload::Scalar(cell) if scalar => {
                ring.push(timestamp, &[cell.0], limits, self.may_grow)
            }
            Payload::Shaped { shape: other, cells }
                if Arc::ptr_eq(shape, other) || **shape == **other =>
            {
                ring.push(timestamp, cells, limits, self.may_grow)
            }
            // Not this stream's shape: kept, exactly, as text.
            other => {
                let text = text_of(&other);
                ring.push_text(timestamp, text, limits, self.may_grow)
            }
        };
        filled.stored += 1;
        filled.by_class[stream.kind.class() as usize] += 1;
        filled.forgotten += change.forgotten;
        filled.bytes += change.bytes;
        filled.offered += u64::from(stream.readers);
        if streams.pushed_in_tick != self.tick {
            streams.pushed_in_tick = self.tick;
            filled.pushed.push(sensor.key);
        }
    }
}

/// The first sample fixes the stream's shape.
fn begin(stream: &mut Stream, sensor: &Sensor, first: &Payload<'_>) {
    let shape = match first {
        Payload::Shaped { shape, .. } => Arc::clone(shape),
        Payload::Scalar(_) | Payload::Text { .. } => Arc::new(Shape::scalar()),
    };
    stream.ring = Ring::new(shape.width() as u16);
    stream.card = Some(Arc::new(StreamCard {
        stream: stream.id,
        sensor_id: Arc::clone(&sensor.card.sensor_id),
        attribute_id: Arc::clone(&stream.attribute_id),
        kind: stream.kind,
        rate_hz: stream.rate_hz,
        shape,
    }));
}

fn text_of(payload: &Payload<'_>) -> Text {
    let mut json = Vec::new();
    match payload {
        Payload::Scalar(cell) => cell.write_json(&mut json),
        Payload::Shaped { shape, cells } => shape.write_json(cells, &mut json),
        Payload::Text { payload, extra } => return Text::new(payload, extra),
    }
    Text::new(&String::from_utf8_lossy(&json), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_by_chunk_keeps_the_order_within_a_sensor_and_leaves_strangers_out() {
        let rows = [300, 0, NOWHERE, 300, 1, 600, 0];
        let (mut starts, mut sorted) = (Vec::new(), Vec::new());
        sort_by_chunk(&rows, 700, &mut starts, &mut sorted);
        assert_eq!(starts, [0, 3, 5, 6]);
        assert_eq!(sorted, [1, 4, 6, 0, 3, 5]);
    }
}

//! Chooses, for every viewer whose turn it is, which streams it gets, in which form, from where.

use bevy_ecs::entity::Entities;
use bevy_ecs::prelude::*;
use components::attribute::AttributeType;
use components::delivery::Form;
use components::id::{SensorKey, StreamId};
use components::ledger::{Ledger, Reason};
use components::sensor::{Stream, Streams};
use components::viewer::{Cursor, Cursors, Quality, Viewer, Want, Watch};
use rayon::prelude::*;

use crate::world::{Books, Fresh, Now, Parallel, SensorIndex, Settings};

/// Viewers in one chunk of parallel work.
const CHUNK: usize = 8;

/// Below this many viewers everything runs on the calling thread.
const PARALLEL_VIEWER_COUNT_MIN: usize = 16;

/// Streams that got their first active cursor of some viewer in this tick.
#[derive(Resource, Debug, Default)]
pub struct NewReaders(pub(crate) Vec<(u32, u16)>);

#[derive(Default)]
struct Chosen {
    lens: Ledger,
    readers: Vec<(u32, u16)>,
}

pub fn choose_slices(
    now: Res<Now>,
    index: Res<SensorIndex>,
    entities: &Entities,
    sensors: Query<&Streams>,
    mut viewers: Query<(&mut Viewer, &Watch, &mut Cursors)>,
    mut fresh: ResMut<Fresh>,
    mut books: ResMut<Books>,
    mut readers: ResMut<NewReaders>,
    settings: Res<Settings>,
    parallel: Res<Parallel>,
) {
    let due: Vec<Quality> = Quality::ALL.into_iter().filter(|q| now.is_due(*q)).collect();
    if due.is_empty() {
        // Busy is said anew each tick.
        for (mut viewer, ..) in &mut viewers {
            viewer.busy = false;
        }
        return;
    }
    for quality in &due {
        fresh.lists[*quality as usize].sort_unstable();
    }
    let columns =
        sensors.contiguous_iter().expect("sensors are stored densely").next().unwrap_or_default();
    let context = Context {
        due: &due,
        index: &index,
        entities,
        columns,
        fresh: &fresh,
        seed_sample_count_max: settings.seed_sample_count_max,
    };
    for (mut who, watch, mut cursors) in
        viewers.contiguous_iter_mut().expect("viewers are stored densely")
    {
        let (who, cursors) = (who.bypass_change_detection(), cursors.bypass_change_detection());
        let work = |((who, watch), cursors): ((&mut [Viewer], &[Watch]), &mut [Cursors])| {
            let mut chosen = Chosen::default();
            for ((viewer, watch), cursors) in who.iter_mut().zip(watch).zip(cursors) {
                context.choose(viewer, watch, cursors, &mut chosen);
                viewer.busy = false;
            }
            chosen
        };
        let parts: Vec<Chosen> = if parallel.0 && who.len() >= PARALLEL_VIEWER_COUNT_MIN {
            who.par_chunks_mut(CHUNK)
                .zip(watch.par_chunks(CHUNK))
                .zip(cursors.par_chunks_mut(CHUNK))
                .map(work)
                .collect()
        } else {
            who.chunks_mut(CHUNK)
                .zip(watch.chunks(CHUNK))
                .zip(cursors.chunks_mut(CHUNK))
                .map(work)
                .collect()
        };
        for part in parts {
            books.lens.received += part.lens.received;
            books.lens.delivered += part.lens.delivered;
            books.lens.coalesced += part.lens.coalesced;
            for reason in Reason::ALL {
                books.lens.drop(reason, part.lens.dropped(reason));
            }
            readers.0.extend(part.readers);
        }
    }
    for quality in due {
        fresh.clear(quality);
    }
}

struct Context<'a> {
    due: &'a [Quality],
    index: &'a SensorIndex,
    entities: &'a Entities,
    columns: &'a [Streams],
    fresh: &'a Fresh,
    seed_sample_count_max: usize,
}

impl Context<'_> {
    fn choose(&self, viewer: &Viewer, watch: &Watch, cursors: &mut Cursors, chosen: &mut Chosen) {
        cursors.wants.clear();
        if !viewer.delivering() || !self.due.contains(&viewer.quality) {
            return;
        }
        if viewer.busy {
            // Its cursors wait; what is marked now will not be marked then.
            cursors.scan_all = true;
            return;
        }
        let scan_all = std::mem::take(&mut cursors.scan_all);
        let mut seeds_left = self.seed_sample_count_max;
        let mut pass =
            Pass { context: self, viewer, watch, cursors, chosen, seeds_left: &mut seeds_left };
        match (watch.all, scan_all) {
            (true, true) => self.index.keys().for_each(|key| pass.sensor(key)),
            (true, false) => {
                self.fresh.lists[viewer.quality as usize].iter().for_each(|key| pass.sensor(*key));
            }
            (false, true) => watch.keys.iter().for_each(|key| pass.sensor(*key)),
            (false, false) => watch
                .keys
                .iter()
                .filter(|key| self.fresh.is_marked(**key, viewer.quality))
                .for_each(|key| pass.sensor(*key)),
        }
    }

    fn row(&self, key: SensorKey) -> Option<u32> {
        let entity = self.index.entity(key)?;
        Some(self.entities.get_spawned(entity).ok()?.table_row.index_u32())
    }
}

/// One viewer's pass over its sensors.
struct Pass<'a, 'c> {
    context: &'a Context<'a>,
    viewer: &'a Viewer,
    watch: &'a Watch,
    cursors: &'c mut Cursors,
    chosen: &'c mut Chosen,
    seeds_left: &'c mut usize,
}

impl Pass<'_, '_> {
    fn sensor(&mut self, key: SensorKey) {
        let Some(row) = self.context.row(key) else { return };
        let streams = &self.context.columns[row as usize].list;
        if streams.iter().all(|stream| stream.card.is_none()) {
            return;
        }
        let places = self.cursors.by_sensor.entry(key).or_default();
        if places.len() < streams.len() {
            let never = Cursor { stream: StreamId(0), next: 0, whole: 0, active: false };
            places.resize(streams.len(), never);
        }
        for (at, (stream, cursor)) in streams.iter().zip(places).enumerate() {
            if !stream.alive || stream.card.is_none() {
                continue;
            }
            let ring = &stream.ring;
            let lens = &mut self.chosen.lens;
            let form = if cursor.stream == stream.id && cursor.active {
                let wants_all = self.watch.wants_all_of(key, &stream.attribute_id);
                match form(stream, self.viewer.quality, wants_all) {
                    // From figures to the whole: what is held of the time in between comes first,
                    // so that a trace is fine from where it can be, not from now on.
                    Form::Raw if cursor.whole < cursor.next => {
                        if *self.seeds_left == 0 {
                            self.cursors.scan_all = true;
                            continue;
                        }
                        let next = cursor.whole.max(ring.oldest()).min(cursor.next);
                        lens.received += cursor.next - next;
                        cursor.next = next;
                        let owed = ring.after(next);
                        let owed = (owed.to - owed.from) as usize;
                        *self.seeds_left = self.seeds_left.saturating_sub(owed);
                        Form::Seed
                    }
                    _ if cursor.next == ring.count() => continue,
                    form => form,
                }
            } else {
                // New to this viewer, or back in view: the past first, as much as may go at once.
                let next = if cursor.stream == stream.id { cursor.next } else { ring.oldest() };
                let owed = ring.after(next);
                if *self.seeds_left == 0 {
                    self.cursors.scan_all = true;
                    continue;
                }
                *self.seeds_left = self.seeds_left.saturating_sub((owed.to - owed.from) as usize);
                lens.received += owed.to - next;
                *cursor = Cursor { stream: stream.id, next, whole: next, active: true };
                self.chosen.readers.push((row, at as u16));
                Form::Seed
            };
            let next = cursor.next;
            settle(stream, form, next, lens);
            cursor.next = ring.count();
            if matches!(form, Form::Raw | Form::Seed) {
                cursor.whole = cursor.next;
            }
            self.cursors.wants.push(Want { row, index: at as u16, form, stream: stream.id, next });
        }
    }
}

/// In what form a stream goes to a viewer whose quality and claims are these.
fn form(stream: &Stream, quality: Quality, wants_all: bool) -> Form {
    if wants_all || stream.kind == AttributeType::Button {
        Form::Raw
    } else if quality.digests() {
        Form::Digest
    } else if stream.kind.every_sample_matters() {
        Form::Raw
    } else {
        Form::Latest
    }
}

/// Enters into the ledger what becomes of the samples from `next` on.
fn settle(stream: &Stream, form: Form, next: u64, lens: &mut Ledger) {
    let run = stream.ring.after(next);
    let held = run.to - run.from;
    match form {
        Form::Raw | Form::Seed => {
            lens.delivered += held;
            lens.drop(Reason::Overrun, run.missed);
        }
        Form::Digest => {
            lens.delivered += held.min(1);
            lens.coalesced += held - held.min(1);
            lens.drop(Reason::Overrun, run.missed);
        }
        // Only the newest was asked for: all before it is stood in for, held or not.
        Form::Latest => {
            lens.delivered += held.min(1);
            lens.coalesced += run.missed + held - held.min(1);
        }
    }
}

//! Chooses, for every viewer whose turn it is, which streams it gets, in which form, from where.

use bevy_ecs::entity::Entities;
use bevy_ecs::prelude::*;
use components::attribute::AttributeType;
use components::budget::Grant;
use components::delivery::Form;
use components::fault::Faults;
use components::id::{SensorKey, StreamId, ViewerId};
use components::ledger::{Ledger, Reason};
use components::sample::EngineTime;
use components::sensor::{Stream, Streams};
use components::viewer::{Cursor, Cursors, Quality, Viewer, Want, Watch};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::bio::live::Bio;
use crate::conduct::divide::{CurrentBudget, Flow};
use crate::mend::mend;
use crate::supervise::{Culprit, Salvage, Suspects};
use crate::world::{Books, Fresh, Now, Parallel, SensorIndex};

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
    salvage: Salvage,
    /// Viewers over which it panicked, and what is no longer so of what was chosen for them.
    poisoned: Vec<ViewerId>,
    undone: Ledger,
}

pub fn choose_slices(
    now: Res<Now>,
    index: Res<SensorIndex>,
    entities: &Entities,
    sensors: Query<&Streams>,
    mut viewers: Query<(&mut Viewer, &Grant, &Watch, &mut Cursors, &mut Flow)>,
    mut fresh: ResMut<Fresh>,
    mut books: ResMut<Books>,
    mut readers: ResMut<NewReaders>,
    current: Res<CurrentBudget>,
    bio: Res<Bio>,
    parallel: Res<Parallel>,
    faults: Res<Faults>,
    mut suspects: ResMut<Suspects>,
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
        now: now.time,
        due: &due,
        index: &index,
        entities,
        columns,
        fresh: &fresh,
        seed_sample_count_max: current.budget.seed_sample_count_max,
        // While there is not enough for all, novelty is told and not delivered.
        bio: (!current.budget.is_contended()).then_some(&*bio),
        faults: &faults,
    };
    let mut salvage = Salvage::default();
    for (mut who, grants, watch, mut cursors, mut flows) in
        viewers.contiguous_iter_mut().expect("viewers are stored densely")
    {
        let (who, cursors) = (who.bypass_change_detection(), cursors.bypass_change_detection());
        let flows = flows.bypass_change_detection();
        let work = |((((who, grants), watch), cursors), flows): Chunk<'_>| {
            let mut chosen = Chosen::default();
            for ((((viewer, grant), watch), cursors), flow) in
                who.iter_mut().zip(grants).zip(watch).zip(cursors).zip(flows)
            {
                context.try_choose(viewer, grant, watch, cursors, flow, &mut chosen);
                viewer.busy = false;
            }
            chosen
        };
        let parts: Vec<Chosen> = if parallel.0 && who.len() >= PARALLEL_VIEWER_COUNT_MIN {
            who.par_chunks_mut(CHUNK)
                .zip(grants.par_chunks(CHUNK))
                .zip(watch.par_chunks(CHUNK))
                .zip(cursors.par_chunks_mut(CHUNK))
                .zip(flows.par_chunks_mut(CHUNK))
                .map(work)
                .collect()
        } else {
            who.chunks_mut(CHUNK)
                .zip(grants.chunks(CHUNK))
                .zip(watch.chunks(CHUNK))
                .zip(cursors.chunks_mut(CHUNK))
                .zip(flows.chunks_mut(CHUNK))
                .map(work)
                .collect()
        };
        for part in parts {
            books.lens.add(&part.lens);
            books.lens.take_back(&part.undone);
            readers.0.extend(part.readers);
            salvage.join(part.salvage);
            part.poisoned.iter().for_each(|id| suspects.accuse(Culprit::Viewer(*id), now.time));
        }
    }
    for quality in due {
        fresh.clear(quality);
    }
    salvage.raise();
}

/// Nobody is served in this tick, or not everybody; nothing was lost by it.
pub(crate) fn restart(world: &mut World) {
    let mut viewers = world.query::<&mut Viewer>();
    viewers.iter_mut(world).for_each(|mut viewer| viewer.busy = false);
    mend(world);
}

struct Context<'a> {
    now: EngineTime,
    due: &'a [Quality],
    index: &'a SensorIndex,
    entities: &'a Entities,
    columns: &'a [Streams],
    fresh: &'a Fresh,
    seed_sample_count_max: usize,
    bio: Option<&'a Bio>,
    faults: &'a Faults,
}

impl Context<'_> {
    /// A viewer over which it panics gets nothing in this tick, and is looked at anew in its next.
    fn try_choose(
        &self,
        viewer: &Viewer,
        grant: &Grant,
        watch: &Watch,
        cursors: &mut Cursors,
        flow: &mut Flow,
        chosen: &mut Chosen,
    ) {
        let mut salvage = std::mem::take(&mut chosen.salvage);
        let done = salvage.attempt(|| {
            self.faults.strike("choose_slices.viewer", u64::from(viewer.id.0.slot));
            self.choose(viewer, grant, watch, cursors, flow, chosen);
        });
        chosen.salvage = salvage;
        if done.is_none() {
            chosen.undone.add(&take_back(cursors, self.columns));
            chosen.poisoned.push(viewer.id);
        }
    }

    fn choose(
        &self,
        viewer: &Viewer,
        grant: &Grant,
        watch: &Watch,
        cursors: &mut Cursors,
        flow: &mut Flow,
        chosen: &mut Chosen,
    ) {
        cursors.wants.clear();
        let due = |quality| self.due.contains(&quality);
        let (strong_due, rest_due) = (due(grant.strong), due(grant.rest));
        if !viewer.is_looking(grant) || !(strong_due || rest_due) {
            return;
        }
        if viewer.busy {
            // Its cursors wait; what is marked now will not be marked then.
            cursors.scan_strong |= strong_due;
            cursors.scan_rest |= rest_due;
            return;
        }
        if strong_due {
            flow.strong.at = self.now;
        }
        if rest_due {
            flow.rest.at = self.now;
        }
        let scan_strong = strong_due && std::mem::take(&mut cursors.scan_strong);
        let scan_rest = rest_due && std::mem::take(&mut cursors.scan_rest);
        let mut seeds_left = self.seed_sample_count_max;
        let mut pass = Pass {
            context: self,
            part: Part::Everything,
            quality: grant.rest,
            watch,
            cursors,
            flow,
            chosen,
            seeds_left: &mut seeds_left,
        };
        if grant.strong == grant.rest {
            return pass.run(scan_strong || scan_rest);
        }
        if strong_due {
            (pass.part, pass.quality) = (Part::Strong, grant.strong);
            let mut before = None;
            for (key, _) in &watch.strong {
                let wanted = scan_strong || self.fresh.is_marked(*key, grant.strong);
                if wanted && before != Some(*key) {
                    pass.sensor(*key);
                }
                before = Some(*key);
            }
        }
        if rest_due {
            (pass.part, pass.quality) = (Part::Rest, grant.rest);
            pass.run(scan_rest);
        }
    }

    fn row(&self, key: SensorKey) -> Option<u32> {
        let entity = self.index.entity(key)?;
        Some(self.entities.get_spawned(entity).ok()?.table_row.index_u32())
    }
}

/// Which of a viewer's streams a pass is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Everything,
    /// What it points at.
    Strong,
    /// What is merely visible.
    Rest,
}

/// One viewer's pass over its sensors.
struct Pass<'a, 'c> {
    context: &'a Context<'a>,
    part: Part,
    quality: Quality,
    watch: &'a Watch,
    cursors: &'c mut Cursors,
    flow: &'c mut Flow,
    chosen: &'c mut Chosen,
    seeds_left: &'c mut usize,
}

impl Pass<'_, '_> {
    /// Over everything that is watched, or what of it has changed.
    fn run(&mut self, scan: bool) {
        let Self { context, watch, quality, .. } = *self;
        match (watch.all, scan) {
            (true, true) => context.index.keys().for_each(|key| self.sensor(key)),
            (true, false) => {
                context.fresh.lists[quality as usize].iter().for_each(|key| self.sensor(*key));
            }
            (false, true) => watch.keys.iter().for_each(|key| self.sensor(*key)),
            (false, false) => watch
                .keys
                .iter()
                .filter(|key| context.fresh.is_marked(**key, quality))
                .for_each(|key| self.sensor(*key)),
        }
    }

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
            let strong = self.watch.wants_all_of(key, &stream.attribute_id);
            if matches!((self.part, strong), (Part::Strong, false) | (Part::Rest, true)) {
                continue;
            }
            let ring = &stream.ring;
            let lens = &mut self.chosen.lens;
            let form = if cursor.stream == stream.id && cursor.active {
                let lifted =
                    self.context.bio.is_some_and(|bio| bio.is_lifted(stream.id, self.context.now));
                match form(stream, self.quality, strong || lifted) {
                    // From figures to the whole: what is held of the time in between comes first,
                    // so that a trace is fine from where it can be, not from now on.
                    Form::Raw if cursor.whole < cursor.next => {
                        if *self.seeds_left == 0 {
                            owe(&mut self.cursors.scan_strong, &mut self.cursors.scan_rest, strong);
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
                    owe(&mut self.cursors.scan_strong, &mut self.cursors.scan_rest, strong);
                    continue;
                }
                *self.seeds_left = self.seeds_left.saturating_sub((owed.to - owed.from) as usize);
                lens.received += owed.to - next;
                *cursor = Cursor { stream: stream.id, next, whole: next, active: true };
                self.chosen.readers.push((row, at as u16));
                Form::Seed
            };
            let next = cursor.next;
            let delivered = settle(stream, form, next, lens);
            if form != Form::Seed {
                let passed = if strong { &mut self.flow.strong } else { &mut self.flow.rest };
                passed.asked += asked(stream, self.quality, strong, ring.count() - next);
                passed.delivered += delivered;
            }
            cursor.next = ring.count();
            if matches!(form, Form::Raw | Form::Seed) {
                cursor.whole = cursor.next;
            }
            self.cursors.wants.push(Want { row, index: at as u16, form, stream: stream.id, next });
        }
    }
}

/// In what form a stream goes to a viewer whose quality and claims are these.
pub(crate) fn form(stream: &Stream, quality: Quality, wants_all: bool) -> Form {
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

/// Takes back what was chosen for a viewer and is not to be delivered now: its cursors wait where
/// they were, and what was the past to them still is. Returns what was entered into the ledger for
/// it, and is no longer so.
pub(crate) fn take_back(cursors: &mut Cursors, columns: &[Streams]) -> Ledger {
    let mut undone = Ledger::default();
    cursors.scan_all();
    let wants = std::mem::take(&mut cursors.wants);
    let by_stream: FxHashMap<StreamId, &Want> = wants.iter().map(|w| (w.stream, w)).collect();
    for cursor in cursors.by_sensor.values_mut().flatten() {
        let Some(want) = by_stream.get(&cursor.stream) else { continue };
        let stream = &columns[want.row as usize].list[usize::from(want.index)];
        settle(stream, want.form, want.next, &mut undone);
        if want.form == Form::Seed {
            // As a seed it will be received anew.
            undone.received += stream.ring.count() - want.next;
            cursor.active = false;
        }
        cursor.next = want.next;
        cursor.whole = cursor.whole.min(want.next);
    }
    undone
}

/// The past is still owed: to what is pointed at, or to the rest.
fn owe(scan_strong: &mut bool, scan_rest: &mut bool, strong: bool) {
    if strong {
        *scan_strong = true;
    } else {
        *scan_rest = true;
    }
}

/// How many of `covered` samples, gathered over one interval of `quality`, high quality would have
/// brought.
fn asked(stream: &Stream, quality: Quality, strong: bool, covered: u64) -> u64 {
    if strong || stream.kind.every_sample_matters() {
        return covered;
    }
    let high = Quality::High.interval_ms().unwrap_or(1);
    covered.min(quality.interval_ms().unwrap_or(0).div_ceil(high))
}

/// Enters into the ledger what becomes of the samples from `next` on; how many are delivered.
fn settle(stream: &Stream, form: Form, next: u64, lens: &mut Ledger) -> u64 {
    let run = stream.ring.after(next);
    let held = run.to - run.from;
    let before = lens.delivered;
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
    lens.delivered - before
}

/// What one chunk of parallel work is about.
type Chunk<'a> =
    ((((&'a mut [Viewer], &'a [Grant]), &'a [Watch]), &'a mut [Cursors]), &'a mut [Flow]);

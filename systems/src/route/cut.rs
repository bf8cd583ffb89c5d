//! Cuts the chosen slices from their rings: each once, however many viewers chose it.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::cell::{Cell, Leaf};
use components::delivery::{Deliveries, Digest, DigestNumbers, Flush, Form, Slice};
use components::fault::Faults;
use components::id::StreamId;
use components::ring::Ring;
use components::sample::Timestamp;
use components::sensor::{Stream, Streams};
use components::viewer::{Cursors, Viewer, Want};
use rustc_hash::FxHashMap;

use super::choose::{NewReaders, take_back};
use crate::mend::mend;
use crate::supervise::{Culprit, Salvage, Suspects};
use crate::world::{Books, Now, Outgoing};

/// What makes two wants the same slice.
type Same = (StreamId, u64, Form);

pub fn cut_slices(
    mut viewers: Query<(&Viewer, &mut Cursors)>,
    mut sensors: Query<&mut Streams>,
    mut readers: ResMut<NewReaders>,
    mut books: ResMut<Books>,
    mut out: ResMut<Outgoing>,
    mut suspects: ResMut<Suspects>,
    (faults, now): (Res<Faults>, Res<Now>),
    mut seen: Local<FxHashMap<Same, u32>>,
) {
    let Some(mut columns) =
        sensors.contiguous_iter_mut().expect("sensors are stored densely").next()
    else {
        return;
    };
    let columns = columns.bypass_change_detection();
    for (row, index) in readers.0.drain(..) {
        columns[row as usize].list[usize::from(index)].readers += 1;
    }
    seen.clear();
    let out = &mut out.0;
    let mut salvage = Salvage::default();
    for (viewer, mut cursors) in &mut viewers {
        let cursors = cursors.bypass_change_detection();
        if cursors.wants.is_empty() {
            continue;
        }
        let parts_at = out.parts.len();
        let done = salvage.attempt(|| {
            faults.strike("cut_slices.viewer", u64::from(viewer.id.0.slot));
            for want in &cursors.wants {
                let stream = &columns[want.row as usize].list[usize::from(want.index)];
                let part = *seen
                    .entry((want.stream, want.next, want.form))
                    .or_insert_with(|| cut(stream, want, out));
                out.parts.push(part);
            }
        });
        if done.is_none() {
            // It gets nothing in this tick, and what was meant for it in its next.
            out.parts.truncate(parts_at);
            books.lens.take_back(&take_back(cursors, columns));
            suspects.accuse(Culprit::Viewer(viewer.id), now.time);
            continue;
        }
        cursors.wants.clear();
        let part_count = (out.parts.len() - parts_at) as u32;
        out.flushes.push(Flush { viewer: viewer.id, parts_at: parts_at as u32, part_count });
    }
    salvage.raise();
}

/// What was chosen and not cut is taken back, before anything else can move it.
pub(crate) fn restart(world: &mut World) {
    let mut state =
        SystemState::<(Query<&mut Cursors>, Query<&Streams>, ResMut<Books>)>::new(world);
    let (mut viewers, sensors, mut books) =
        state.get_mut(world).expect("the world has its resources");
    let mut columns = sensors.contiguous_iter().expect("sensors are stored densely");
    let columns = columns.next().unwrap_or_default();
    for mut cursors in viewers.iter_mut().filter(|cursors| !cursors.wants.is_empty()) {
        books.lens.take_back(&take_back(&mut cursors, columns));
    }
    mend(world);
}

/// Cuts one slice; returns its index.
fn cut(stream: &Stream, want: &Want, out: &mut Deliveries) -> u32 {
    let card = stream.card.as_ref().expect("a stream without samples is never wanted");
    let ring = &stream.ring;
    let run = ring.after(want.next);
    let (mut from, mut missed) = (run.from, run.missed);
    if want.form == Form::Latest {
        // The newest stands for everything since the cursor.
        (from, missed) = (want.next, 0);
    }
    let carried_from = match want.form {
        Form::Raw | Form::Seed => run.from,
        Form::Latest | Form::Digest => run.to.saturating_sub(1).max(run.from),
    };
    let digest =
        (want.form == Form::Digest).then(|| digest(ring, run.from, run.to, card.shape.is_scalar()));
    let timestamps_at = out.timestamps.len() as u32;
    let cells_at = out.cells.len() as u32;
    for words in ring.words(carried_from, run.to) {
        out.timestamps.push(Timestamp(words[0] as i64));
        let at = out.cells.len();
        out.cells.extend_from_slice(&words[1..]);
        if let Some(text) = ring.text(Cell(words[1])) {
            out.cells[at] = Cell::text(out.texts.len() as u64).0;
            out.texts.push(text.clone());
        }
    }
    out.slices.push(Slice {
        card: Arc::clone(card),
        form: want.form,
        from,
        to: run.to,
        missed,
        digest,
        count: (run.to - carried_from) as u32,
        timestamps_at,
        cells_at,
    });
    out.slices.len() as u32 - 1
}

/// Count over everything, the figures over the bare numbers (`reference/core.md` 9.3, where the
/// average was wrong as soon as numbers and other things were mixed).
fn digest(ring: &Ring, from: u64, to: u64, scalar: bool) -> Digest {
    let (mut n, mut sum, mut min, mut max) = (0u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    if scalar {
        for words in ring.words(from, to) {
            let number = match Cell(words[1]).leaf() {
                Leaf::Float(value) => value,
                Leaf::Integer(value) => value as f64,
                _ => continue,
            };
            n += 1;
            sum += number;
            min = number.min(min);
            max = number.max(max);
        }
    }
    let numbers = (n > 0).then(|| DigestNumbers { avg: sum / n as f64, min, max });
    Digest { count: to - from, numbers }
}

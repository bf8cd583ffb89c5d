//! What a viewer hears: each slice encoded once per tick and form, then the pieces joined for
//! every viewer that is due it (`docs/wire.md` 2.4, 2.5).

pub mod frame;
pub mod group;
pub mod text;

use std::sync::Arc;

use crate::delivery::{Deliveries, Flush, Form, Slice};
use crate::wire::push::{Envelope, write_string};

/// Bytes of pieces in one frame or one `sensor_batch` before the next is begun. The first flush of
/// a large lens is tens of megabytes; a socket can interleave others between its parts.
pub const FRAME_BYTES_TARGET: usize = 256 * 1024;

/// A run of bytes of an arena.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, arena: &[u8]) -> &[u8] {
        &arena[self.start..self.end]
    }

    fn length(self) -> usize {
        self.end - self.start
    }
}

/// What is already encoded of one slice.
#[derive(Clone, Copy, Debug, Default)]
struct Pieces {
    /// The slice in binary, and in how many pieces.
    binary: Option<(Span, u32)>,
    /// The card before it, of seeds only.
    card: Option<Span>,
    text: Option<Span>,
}

/// The pieces of one tick. Filled as they are asked for, in the forms that somebody asked for;
/// used again from tick to tick.
#[derive(Debug, Default)]
pub struct Encoded {
    pieces: Vec<Pieces>,
    arena: Vec<u8>,
    batch: Nested,
    digests: Nested,
}

impl Encoded {
    /// Forgets the tick before; to be called before the first flush of a tick.
    pub fn begin(&mut self, deliveries: &Deliveries) {
        self.pieces.clear();
        self.pieces.resize(deliveries.slices.len(), Pieces::default());
        self.arena.clear();
    }

    /// After a panic in the midst of a flush: what was gathered for one viewer must not reach the
    /// next.
    pub fn abandon(&mut self) {
        self.batch = Nested::default();
        self.digests = Nested::default();
    }

    /// Bytes encoded since [`begin`](Self::begin), however often they were sent.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The flush as binary frames, each behind `head`, in their order.
    pub fn binary(
        &mut self,
        deliveries: &Deliveries,
        flush: &Flush,
        head: &[u8],
        server_time_ms: f64,
        emit: &mut dyn FnMut(Vec<u8>),
    ) {
        let parts = parts(deliveries, flush);
        let mut start = 0;
        while start < parts.len() {
            let mut end = start;
            let (mut bytes, mut cards, mut slices) = (0, 0usize, 0u32);
            while end < parts.len() && cards < frame::FRAME_CARD_COUNT_MAX {
                let (size, card, count) = self.fill_binary(deliveries, parts[end] as usize);
                if end > start && bytes + size > FRAME_BYTES_TARGET {
                    break;
                }
                bytes += size;
                cards += usize::from(card);
                slices += count;
                end += 1;
            }
            let mut out = Vec::with_capacity(head.len() + frame::HEADER_BYTES + bytes);
            out.extend_from_slice(head);
            frame::encode_header(cards as u16, slices, server_time_ms, &mut out);
            let pieces = || parts[start..end].iter().map(|&part| &self.pieces[part as usize]);
            for card in pieces().filter_map(|pieces| pieces.card) {
                out.extend_from_slice(card.of(&self.arena));
            }
            for (slice, _) in pieces().filter_map(|pieces| pieces.binary) {
                out.extend_from_slice(slice.of(&self.arena));
            }
            emit(out);
            start = end;
        }
    }

    /// Sees that a slice is there in binary: its bytes with its card's, whether it has a card, and
    /// in how many pieces it is.
    fn fill_binary(&mut self, deliveries: &Deliveries, index: usize) -> (usize, bool, u32) {
        let slice = &deliveries.slices[index];
        let pieces = &mut self.pieces[index];
        if pieces.card.is_none() && slice.form == Form::Seed {
            let start = self.arena.len();
            frame::encode_card(&slice.card, &mut self.arena);
            pieces.card = Some(Span { start, end: self.arena.len() });
        }
        let (span, count) = *pieces.binary.get_or_insert_with(|| {
            let start = self.arena.len();
            let count = frame::encode_slice(deliveries, slice, &mut self.arena);
            (Span { start, end: self.arena.len() }, count)
        });
        (span.length() + pieces.card.map_or(0, Span::length), pieces.card.is_some(), count)
    }

    /// The flush as text pushes, in an order in which no stream's samples overtake each other:
    /// a `composite_seed_data` for each seed, `sensor_batch`es, `sensor_digest`s.
    pub fn text(
        &mut self,
        deliveries: &Deliveries,
        flush: &Flush,
        envelope: &Envelope,
        emit: &mut dyn FnMut(Vec<u8>),
    ) {
        let mut before: Option<&Slice> = None;
        for &part in parts(deliveries, flush) {
            let index = part as usize;
            let slice = &deliveries.slices[index];
            // An attribute that comes twice (its sensor has restarted) would be one key twice in
            // one object; and its second seed must not overtake its last samples.
            if before.is_some_and(|before| same_attribute(before, slice)) {
                self.close_nested(envelope, emit);
            }
            before = Some(slice);
            let span = self.fill_text(deliveries, index);
            let piece = span.of(&self.arena);
            let nested = match slice.form {
                Form::Seed => {
                    let mut out = Vec::with_capacity(piece.len() + 256);
                    envelope.open_text("composite_seed_data", &mut out);
                    out.extend_from_slice(piece);
                    envelope.close_text(&mut out);
                    emit(out);
                    if slice.missed > 0 {
                        self.batch.miss(slice);
                    }
                    continue;
                }
                Form::Digest => &mut self.digests,
                Form::Raw | Form::Latest => &mut self.batch,
            };
            if !piece.is_empty() {
                nested.add(&slice.card.sensor_id, piece);
            }
            if slice.missed > 0 {
                nested.miss(slice);
            }
            if nested.length() > FRAME_BYTES_TARGET {
                self.close_nested(envelope, emit);
            }
        }
        self.close_nested(envelope, emit);
    }

    fn fill_text(&mut self, deliveries: &Deliveries, index: usize) -> Span {
        *self.pieces[index].text.get_or_insert_with(|| {
            let start = self.arena.len();
            text::encode_slice(deliveries, &deliveries.slices[index], &mut self.arena);
            Span { start, end: self.arena.len() }
        })
    }

    fn close_nested(&mut self, envelope: &Envelope, emit: &mut dyn FnMut(Vec<u8>)) {
        self.batch.close("sensor_batch", b"{\"batch\":{", envelope, emit);
        self.digests.close("sensor_digest", b"{\"digests\":{", envelope, emit);
    }
}

/// The flush as one `measurement` push a sample, for a device client that listens. Of a seed only
/// the newest: whoever subscribes to a live stream begins with what is, and an actuator must not
/// act out the past.
pub fn measurements(
    deliveries: &Deliveries,
    flush: &Flush,
    envelope: &Envelope,
    emit: &mut dyn FnMut(Vec<u8>),
) {
    for slice in deliveries.slices_of(flush) {
        let skip = if slice.form == Form::Seed { slice.count.saturating_sub(1) } else { 0 };
        for sample in deliveries.samples_of(slice).skip(skip as usize) {
            let mut out = Vec::with_capacity(256);
            envelope.open_text("measurement", &mut out);
            text::encode_measurement(slice, sample, &mut out);
            envelope.close_text(&mut out);
            emit(out);
        }
    }
}

fn parts<'a>(deliveries: &'a Deliveries, flush: &Flush) -> &'a [u32] {
    let start = flush.parts_at as usize;
    &deliveries.parts[start..start + flush.part_count as usize]
}

fn same_attribute(a: &Slice, b: &Slice) -> bool {
    same(&a.card.attribute_id, &b.card.attribute_id) && same(&a.card.sensor_id, &b.card.sensor_id)
}

fn same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A message in the making: `{sensor: {attribute: piece}}`, and beside it what was missed. Equal
/// sensors come one after the other.
#[derive(Debug, Default)]
struct Nested {
    pieces: BySensor,
    missed: BySensor,
}

#[derive(Debug, Default)]
struct BySensor {
    text: Vec<u8>,
    open: Option<Arc<str>>,
}

impl BySensor {
    /// Room for one more member of the sensor's object.
    fn member(&mut self, sensor_id: &Arc<str>) -> &mut Vec<u8> {
        if self.open.as_ref().is_some_and(|open| same(open, sensor_id)) {
            self.text.push(b',');
        } else {
            if self.open.is_some() {
                self.text.extend_from_slice(b"},");
            }
            write_string(sensor_id, &mut self.text);
            self.text.extend_from_slice(b":{");
            self.open = Some(Arc::clone(sensor_id));
        }
        &mut self.text
    }

    /// Moves what there is to `out`, and is empty again.
    fn move_to(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.text);
        if self.open.take().is_some() {
            out.push(b'}');
        }
    }
}

impl Nested {
    fn length(&self) -> usize {
        self.pieces.text.len() + self.missed.text.len()
    }

    fn add(&mut self, sensor_id: &Arc<str>, piece: &[u8]) {
        self.pieces.member(sensor_id).extend_from_slice(piece);
    }

    fn miss(&mut self, slice: &Slice) {
        let out = self.missed.member(&slice.card.sensor_id);
        write_string(&slice.card.attribute_id, out);
        out.push(b':');
        crate::wire::push::write_integer(slice.missed, out);
    }

    fn close(
        &mut self,
        event: &str,
        opening: &[u8],
        envelope: &Envelope,
        emit: &mut dyn FnMut(Vec<u8>),
    ) {
        if self.length() == 0 {
            return;
        }
        let mut out = Vec::with_capacity(self.length() + 256);
        envelope.open_text(event, &mut out);
        out.extend_from_slice(opening);
        self.pieces.move_to(&mut out);
        out.push(b'}');
        if self.missed.open.is_some() {
            out.extend_from_slice(b",\"missed\":{");
            self.missed.move_to(&mut out);
            out.push(b'}');
        }
        out.push(b'}');
        envelope.close_text(&mut out);
        emit(out);
    }
}

#[cfg(test)]
mod tests;

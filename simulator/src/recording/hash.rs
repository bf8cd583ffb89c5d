//! A rolling hash over everything the engine gives back, to hold one run against another.
//!
//! It covers every slice with its stream's card, every time stamp, cell, text and digest bit for
//! bit, who got what in which order, and every notice; and the number of the tick. It does not
//! see addresses of memory or orders of maps, and is the same on every machine.

use components::budget::{Layer, Pacing};
use components::delivery::{Deliveries, Form, Notice, StreamCard, ViewerEnd};
use components::id::Handle;
use components::load::Load;
use components::pressure::Resource;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Digests of cards that are remembered, by stream. A power of two.
const CARD_COUNT_MAX: usize = 1 << 14;

/// Bytes of what every slice has.
const SLICE_BYTES: usize = 40;

/// See the module. XXH3, 64 bits: made against accident, not against intent.
#[derive(Debug, Default)]
pub struct Hash {
    value: u64,
    tick: u64,
    /// What is hashed at once; kept for its room.
    bytes: Vec<u8>,
    cards: Vec<Known>,
}

/// A card that was hashed before. While a stream lives, its card lies where it lay.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    stream: u32,
    address: usize,
    digest: u64,
}

impl Hash {
    /// Takes one tick in. Whether it gave back anything: if not, the value stays as it was.
    pub fn add(&mut self, deliveries: &Deliveries) -> bool {
        self.tick += 1;
        if deliveries.flushes.is_empty()
            && deliveries.notices.is_empty()
            && deliveries.slices.is_empty()
            && deliveries.groups.is_empty()
        {
            return false;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let out = &mut bytes;
        put(out, self.tick);
        put(out, deliveries.slices.len() as u64);
        let start = out.len();
        out.resize(start + SLICE_BYTES * deliveries.slices.len(), 0);
        let (fixed, _) = out[start..].as_chunks_mut::<SLICE_BYTES>();
        for (fixed, slice) in fixed.iter_mut().zip(&deliveries.slices) {
            let form = match slice.form {
                Form::Raw => 0,
                Form::Latest => 1,
                Form::Digest => 2,
                Form::Seed => 3,
            };
            let digest = match &slice.digest {
                None => 0,
                Some(digest) if digest.numbers.is_none() => 1,
                Some(_) => 2,
            };
            let kind = u64::from(slice.count) | form << 32 | digest << 40;
            fixed[..8].copy_from_slice(&self.card(&slice.card).to_le_bytes());
            fixed[8..16].copy_from_slice(&slice.from.to_le_bytes());
            fixed[16..24].copy_from_slice(&slice.to.to_le_bytes());
            fixed[24..32].copy_from_slice(&slice.missed.to_le_bytes());
            fixed[32..].copy_from_slice(&kind.to_le_bytes());
        }
        for digest in deliveries.slices.iter().filter_map(|slice| slice.digest.as_ref()) {
            put(out, digest.count);
            if let Some(numbers) = &digest.numbers {
                put(out, numbers.avg.to_bits());
                put(out, numbers.min.to_bits());
                put(out, numbers.max.to_bits());
            }
        }
        put_all(out, deliveries.timestamps.iter().map(|timestamp| timestamp.0 as u64));
        put_all(out, deliveries.cells.iter().copied());
        put(out, deliveries.texts.len() as u64);
        for text in &deliveries.texts {
            put_text(out, text.payload());
            put_text(out, text.extra());
        }
        put_all(out, deliveries.flushes.iter().map(|flush| handle(flush.viewer.0)));
        put_all(out, deliveries.flushes.iter().map(|flush| u64::from(flush.part_count)));
        put(out, deliveries.parts.len() as u64);
        let start = out.len();
        out.resize(start + 4 * deliveries.parts.len(), 0);
        let (places, _) = out[start..].as_chunks_mut::<4>();
        for (place, part) in places.iter_mut().zip(&deliveries.parts) {
            *place = part.to_le_bytes();
        }
        put(out, deliveries.notices.len() as u64);
        for notice in &deliveries.notices {
            put_notice(out, notice);
        }
        // Only when there are any: recordings from before there were groups keep their hash.
        if !deliveries.groups.is_empty() {
            put_groups(out, deliveries);
        }
        self.value = xxh3_64_with_seed(out, self.value);
        self.bytes = bytes;
        true
    }

    /// Over everything so far. 0 before the first.
    pub fn value(&self) -> u64 {
        self.value
    }

    fn card(&mut self, card: &std::sync::Arc<StreamCard>) -> u64 {
        if self.cards.is_empty() {
            self.cards.resize(CARD_COUNT_MAX, Known::default());
        }
        let known = &mut self.cards[card.stream.0 as usize % CARD_COUNT_MAX];
        let address = std::sync::Arc::as_ptr(card) as usize;
        if known.stream != card.stream.0 || known.address != address {
            let mut bytes = Vec::new();
            put(&mut bytes, u64::from(card.stream.0));
            put_text(&mut bytes, &card.sensor_id);
            put_text(&mut bytes, &card.attribute_id);
            put_text(&mut bytes, card.kind.name());
            put_rate(&mut bytes, card.rate_hz);
            bytes.extend_from_slice(card.shape.skeleton());
            *known = Known { stream: card.stream.0, address, digest: xxh3_64_with_seed(&bytes, 0) };
        }
        known.digest
    }
}

fn put(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// How many, and all of them.
fn put_all(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = u64>) {
    put(out, values.len() as u64);
    let start = out.len();
    out.resize(start + 8 * values.len(), 0);
    let (places, _) = out[start..].as_chunks_mut::<8>();
    for (place, value) in places.iter_mut().zip(values) {
        *place = value.to_le_bytes();
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_rate(out: &mut Vec<u8>, rate_hz: Option<f64>) {
    out.push(u8::from(rate_hz.is_some()));
    put(out, rate_hz.map_or(0, f64::to_bits));
}

fn put_load(out: &mut Vec<u8>, load: &Load) {
    put_text(out, load.level.name());
    out.push(u8::from(load.memory_protection));
}

fn put_pacing(out: &mut Vec<u8>, pacing: &Pacing) {
    put_text(out, pacing.level.name());
    put_load(out, &pacing.load);
    put(out, pacing.window_ms);
    put(out, u64::from(pacing.batch_size));
    out.push(u8::from(pacing.paused));
}

fn put_groups(out: &mut Vec<u8>, deliveries: &Deliveries) {
    put(out, deliveries.groups.len() as u64);
    for news in &deliveries.groups {
        put(out, handle(news.group.0));
        put(out, u64::from(news.member_count));
        for (reading, states) in deliveries.readings_of(news) {
            put(out, reading.at_us as u64);
            put(out, u64::from(reading.members) | u64::from(reading.measurable) << 16);
            if let Some(order) = &reading.order {
                let numbers = [order.r, order.kappa, order.null95, order.phase];
                put_all(out, numbers.into_iter().map(f64::to_bits));
            }
            if let Some((r, kappa)) = reading.smoothed {
                put_all(out, [r, kappa].into_iter().map(f64::to_bits));
            }
            put_all(
                out,
                states.iter().map(|state| match state {
                    Ok(phase) => phase.to_bits(),
                    // No angle has these bits.
                    Err(why) => u64::MAX - *why as u64,
                }),
            );
        }
        for pair in deliveries.pairs_of(news) {
            put(out, u64::from(pair.a) | u64::from(pair.b) << 16);
            let lag = pair.correlation_lag_s.unwrap_or(f64::INFINITY);
            let numbers = [pair.plv, pair.lag_s, lag, pair.common_s];
            put_all(out, numbers.into_iter().map(f64::to_bits));
        }
        for heart in deliveries.hearts_of(news) {
            let of = &heart.variability;
            put(out, u64::from(heart.member) | u64::from(of.beats) << 32);
            let numbers = [
                of.window_s,
                of.mean_nn_ms,
                of.sdnn_ms,
                of.rmssd_ms,
                of.pnn50_pct,
                of.corrected_share,
            ];
            put_all(out, numbers.into_iter().map(f64::to_bits));
        }
        for beat in deliveries.beats_of(news) {
            put(out, u64::from(beat.member));
            put(out, beat.at_us as u64);
        }
        put_all(out, deliveries.watchers_of(news).iter().map(|viewer| handle(viewer.0)));
    }
}

fn handle(handle: Handle) -> u64 {
    u64::from(handle.slot) | u64::from(handle.generation) << 32
}

fn put_notice(out: &mut Vec<u8>, notice: &Notice) {
    match notice {
        Notice::FeedOpened { feed, pacing } => {
            out.push(1);
            put(out, handle(feed.0));
            put_pacing(out, pacing);
        }
        Notice::FeedRefused { feed, refusal } => {
            out.push(2);
            put(out, handle(feed.0));
            put_text(out, refusal.name());
        }
        Notice::FeedClosed { feed } => {
            out.push(3);
            put(out, handle(feed.0));
        }
        Notice::Paced { feed, pacing } => {
            out.push(4);
            put(out, handle(feed.0));
            put_pacing(out, pacing);
        }
        Notice::DeviceTold { feed, words } => {
            out.push(5);
            put(out, handle(feed.0));
            put_text(out, words);
        }
        Notice::AttributeRefused { feed, attribute_id } => {
            out.push(6);
            put(out, handle(feed.0));
            put_text(out, attribute_id);
        }
        Notice::SensorCame { card } => {
            out.push(7);
            put_text(out, &card.sensor_id);
            put_text(out, &card.sensor_name);
            put_text(out, &card.sensor_type);
            put_text(out, &card.connector_id);
            put_text(out, &card.connector_name);
            put(out, card.sampling_rate.to_bits());
        }
        Notice::AttributeCame { sensor_id, attribute_id, kind, rate_hz } => {
            out.push(8);
            put_text(out, sensor_id);
            put_text(out, attribute_id);
            put_text(out, kind.name());
            put_rate(out, *rate_hz);
        }
        Notice::AttributeGone { sensor_id, attribute_id } => {
            out.push(9);
            put_text(out, sensor_id);
            put_text(out, attribute_id);
        }
        Notice::ConnectorRenamed { sensor_id, connector_name } => {
            out.push(10);
            put_text(out, sensor_id);
            put_text(out, connector_name);
        }
        Notice::SensorGone { sensor_id } => {
            out.push(11);
            put_text(out, sensor_id);
        }
        Notice::LevelChanged { sensor_id, level } => {
            out.push(12);
            put_text(out, sensor_id);
            put_text(out, level.name());
        }
        Notice::LoadChanged { load, by } => {
            out.push(14);
            put_load(out, load);
            put_text(out, by.map_or("", Resource::name));
        }
        Notice::Novelty { sensor_id, attribute_id, z, boost_ms } => {
            out.push(16);
            put_text(out, sensor_id);
            put_text(out, attribute_id);
            put(out, z.to_bits());
            put(out, *boost_ms);
        }
        Notice::QualityGranted { viewer, grant } => {
            out.push(15);
            put(out, handle(viewer.0));
            out.push(grant.strong as u8);
            out.push(grant.rest as u8);
            put_text(out, grant.limited_by.map_or("", Layer::name));
        }
        Notice::GroupRefused { group } => {
            out.push(16);
            put(out, handle(group.0));
        }
        Notice::GroupMembers { group, sensor_ids, left_out } => {
            out.push(17);
            put(out, handle(group.0));
            put(out, sensor_ids.len() as u64);
            sensor_ids.iter().for_each(|id| put_text(out, id));
            put(out, u64::from(*left_out));
        }
        Notice::GroupClosed { group } => {
            out.push(18);
            put(out, handle(group.0));
        }
        Notice::ViewerClosed { viewer, why } => {
            out.push(13);
            put(out, handle(viewer.0));
            out.push(match why {
                ViewerEnd::Left => 0,
                ViewerEnd::LeaseOver => 1,
                ViewerEnd::Fault => 2,
            });
        }
        Notice::SystemRestarted { system, message } => {
            out.push(14);
            put_text(out, system);
            put_text(out, message);
        }
        Notice::SystemOff { system, until } => {
            out.push(15);
            put_text(out, system);
            put(out, until.0);
        }
        Notice::SystemOn { system } => {
            out.push(16);
            put_text(out, system);
        }
    }
}

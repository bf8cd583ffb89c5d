//! From a world between two ticks to bytes.

use bevy_ecs::prelude::*;
use components::attention::Battery;
use components::budget::Grant;
use components::cell::Cell;
use components::command::{Attention, Target};
use components::ledger::{Ledger, Reason};
use components::room::{Lens, Room};
use components::sensor::{Attended, Sensor, Stream, Streams};
use components::viewer::{Cursors, Quality, QualityChoice, Viewer};
use rustc_hash::FxHashMap;

use super::bytes::Writer;
use super::{HEAD_BYTES, room, seal};
use crate::bio::live::{self, Bio};
use crate::conduct::divide::{CurrentBudget, Flow, Share};
use crate::conduct::judge::{Advice, Judgement};
use crate::conduct::pace::Pace;
use crate::world::{
    Attendance, Books, Feeds, Fresh, Memory, Now, SensorIndex, Settings, ViewerIndex,
};

/// The world's bytes, head and all. To be called between two ticks.
pub fn write(world: &mut World) -> Vec<u8> {
    let mut out = Writer::behind(HEAD_BYTES);
    resources(world, &mut out);
    names(world, &mut out);
    let sensor_rows = sensors(world, &mut out);
    feeds(world, &sensor_rows, &mut out);
    rooms(world, &mut out);
    viewers(world, &mut out);
    fresh(world.resource::<Fresh>(), &mut out);
    super::groups::write(world, &mut out);
    let mut whole = out.out;
    seal(&mut whole);
    whole
}

fn resources(world: &World, out: &mut Writer) {
    let Settings { sensor_count_max, ring_bytes_max, linger_ms, lease_ms, seed_sample_count_max } =
        world.resource::<Settings>();
    for bound in [*sensor_count_max, *ring_bytes_max, *seed_sample_count_max] {
        out.count(bound);
    }
    out.number(*linger_ms);
    out.number(*lease_ms);
    let now = world.resource::<Now>();
    out.number(now.time.0);
    out.number(now.before.0);
    out.number(now.tick);
    let books = world.resource::<Books>();
    ledger(&books.store, out);
    ledger(&books.lens, out);
    books.by_class.iter().chain(&books.shed).for_each(|count| out.number(*count));
    super::decision::write_judgement(world.resource::<Judgement>(), out);
    super::decision::write_budget(world.resource::<CurrentBudget>(), out);
    out.flag(is_told(world));
    out.float(world.resource::<Advice>().offset);
    live::write(world.resource::<Bio>(), out);
    let memory = world.resource::<Memory>();
    out.number(memory.squeeze.into());
    out.option(memory.sweep_from.map(u64::from));
    out.byte(memory.swept_for as u8);
}

/// Whether devices and pages know every level and their pacing: always, but while the system that tells
/// them is switched off.
fn is_told(world: &World) -> bool {
    !world.resource::<CurrentBudget>().changed && world.resource::<Attendance>().is_settled()
}

fn ledger(ledger: &Ledger, out: &mut Writer) {
    out.number(ledger.received);
    out.number(ledger.delivered);
    out.number(ledger.coalesced);
    out.number(ledger.kept);
    for reason in Reason::ALL {
        out.number(ledger.dropped(reason));
    }
}

fn names(world: &World, out: &mut Writer) {
    let index = world.resource::<SensorIndex>();
    out.number(index.last_stream().into());
    out.count(index.names().len());
    for name in index.names() {
        out.flag(name.is_some());
        if let Some(name) = name {
            out.text(name);
        }
    }
    // As many as there are keys without a name.
    for key in index.free() {
        out.number(key.0.into());
    }
}

/// Sensors by row, and the row of each.
fn sensors(world: &mut World, out: &mut Writer) -> FxHashMap<Entity, u64> {
    let told = is_told(world);
    let mut sensors = world.query::<(Entity, &Sensor, &Attended, &Streams)>();
    out.count(sensors.iter(world).len());
    let mut rows = FxHashMap::default();
    for (row, (entity, sensor, attended, streams)) in sensors.iter(world).enumerate() {
        rows.insert(entity, row as u64);
        out.number(sensor.key.0.into());
        let card = &sensor.card;
        for word in [&card.sensor_name, &card.sensor_type, &card.connector_id, &card.connector_name]
        {
            out.word(word.as_bytes());
        }
        out.float(card.sampling_rate);
        out.word(sensor.owner.as_bytes());
        out.count(sensor.feeds.len());
        for feed in &sensor.feeds {
            out.handle(feed.0);
        }
        out.option(sensor.leaves_at.map(|time| time.0));
        if !told {
            out.byte(attended.0 as u8);
        }
        out.count(streams.list.len());
        for each in &streams.list {
            stream(each, out);
        }
    }
    rows
}

fn stream(stream: &Stream, out: &mut Writer) {
    out.number(stream.id.0.into());
    out.word(stream.attribute_id.as_bytes());
    out.word(stream.kind.name().as_bytes());
    out.flag(stream.alive);
    out.flag(stream.rate_hz.is_some());
    if let Some(rate_hz) = stream.rate_hz {
        out.float(rate_hz);
    }
    out.flag(stream.card.is_some());
    let Some(card) = &stream.card else { return };
    out.word(card.shape.skeleton());
    let ring = &stream.ring;
    out.number(ring.count());
    out.count(ring.len());
    out.count(ring.hot_len());
    out.count(room(ring.capacity() as usize, ring.len()));
    out.out.reserve(ring.len() * (2 + 8 * ring.width()));
    // Devices measure at even steps: what a step differs from the one before is mostly nothing.
    let (mut before, mut step) = (0i64, 0i64);
    for words in ring.words(ring.oldest(), ring.count()) {
        let timestamp = words[0] as i64;
        let next_step = timestamp.wrapping_sub(before);
        out.signed(next_step.wrapping_sub(step));
        (before, step) = (timestamp, next_step);
        for &cell in &words[1..] {
            out.bits(cell);
        }
    }
    let texts = ring.texts();
    out.flag(texts.is_some());
    if let Some((first, capacity, texts)) = texts {
        debug_assert_eq!(Cell::text(first).0, Cell::text(0).0 | first, "counted in 48 bits");
        out.number(first);
        out.count(texts.len());
        out.count(room(capacity, texts.len()));
        for text in texts {
            out.text(text.payload());
            out.text(text.extra());
        }
    }
}

fn feeds(world: &World, sensor_rows: &FxHashMap<Entity, u64>, out: &mut Writer) {
    let feeds = world.resource::<Feeds>();
    let slots = &feeds.slots[..used(&feeds.slots)];
    out.count(slots.len());
    for feed in slots {
        out.option(feed.as_ref().map(|feed| feed.generation.into()));
        let Some(feed) = feed else { continue };
        out.option(sensor_rows.get(&feed.entity).copied());
        out.count(feed.streams.len());
        for place in &feed.streams {
            out.option(place.map(u64::from));
        }
    }
    // What retires is gone with the tick, unless a panic came between: then it is overdue.
    let now = world.resource::<Now>().time;
    let retiring = feeds.retiring.iter().map(|feed| (now, *feed));
    out.count(feeds.retiring.len() + feeds.closing.len());
    for (time, feed) in retiring.chain(feeds.closing.iter().copied()) {
        out.number(time.0);
        out.handle(feed.0);
    }
}

/// How many slots there are up to the last that is in use.
fn used<T>(slots: &[Option<T>]) -> usize {
    slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
}

fn rooms(world: &mut World, out: &mut Writer) {
    let mut rooms = world.query::<&Room>();
    out.count(rooms.iter(world).len());
    for room in rooms.iter(world) {
        out.handle(room.id.0);
        texts(&room.sensors, out);
        out.count(room.viewers.len());
        room.viewers.iter().for_each(|viewer| out.handle(viewer.0));
    }
}

fn viewers(world: &mut World, out: &mut Writer) {
    let mut viewers = world.query::<(Entity, &Viewer, &Cursors, &Grant, &Pace, &Share, &Flow)>();
    out.count(viewers.iter(world).len());
    let mut rows = FxHashMap::default();
    for (row, (entity, viewer, cursors, grant, pace, share, flow)) in
        viewers.iter(world).enumerate()
    {
        rows.insert(entity, row as u64);
        debug_assert!(!viewer.busy, "it ends with the tick");
        out.handle(viewer.id.0);
        match &viewer.lens {
            Lens::All => out.byte(0),
            Lens::Ids(ids) => {
                out.byte(1);
                texts(ids, out);
            }
            Lens::Room(room, _) => {
                out.byte(2);
                out.handle(room.0);
            }
        }
        attention(&viewer.attention, out);
        out.byte(match viewer.choice {
            QualityChoice::Auto => 0,
            QualityChoice::Fixed(quality) => 1 + quality as u8,
            QualityChoice::AutoUpTo(quality) => 1 + (Quality::ALL.len() + quality as usize) as u8,
        });
        out.number(viewer.lease_until.0);
        super::decision::write_served(grant, pace, share, flow, out);
        out.flag(cursors.scan_strong);
        out.flag(cursors.scan_rest);
        let mut by_sensor: Vec<_> = cursors.by_sensor.iter().collect();
        by_sensor.sort_unstable_by_key(|(key, _)| **key);
        out.count(by_sensor.len());
        for (key, places) in by_sensor {
            out.number(key.0.into());
            out.count(places.len());
            for cursor in places {
                out.number(cursor.stream.0.into());
                out.number(cursor.next);
                out.number(cursor.whole);
                out.flag(cursor.active);
            }
        }
    }
    let index = world.resource::<ViewerIndex>();
    let slots = &index.slots[..used(&index.slots)];
    out.count(slots.len());
    for slot in slots {
        out.option(slot.and_then(|(_, entity)| rows.get(&entity).copied()));
    }
}

fn texts(texts: &[Box<str>], out: &mut Writer) {
    out.count(texts.len());
    for text in texts {
        out.text(text);
    }
}

fn attention(attention: &Attention, out: &mut Writer) {
    let Attention { visible, hovered, focused, pinned, hidden, battery } = attention;
    out.flag(visible.is_some());
    if let Some(visible) = visible {
        texts(visible, out);
    }
    for list in [hovered, focused, pinned] {
        out.count(list.len());
        for Target { sensor_id, attribute_id } in list {
            out.text(sensor_id);
            out.flag(attribute_id.is_some());
            if let Some(attribute_id) = attribute_id {
                out.text(attribute_id);
            }
        }
    }
    out.flag(*hidden);
    out.byte(match battery {
        Battery::Normal => 0,
        Battery::Low => 1,
        Battery::Critical => 2,
    });
}

fn fresh(fresh: &Fresh, out: &mut Writer) {
    out.byte(fresh.wanted);
    for list in &fresh.lists {
        let mut keys = list.clone();
        keys.sort_unstable();
        out.count(keys.len());
        let mut before = 0;
        for key in keys {
            out.number((key.0 - before).into());
            before = key.0;
        }
    }
}

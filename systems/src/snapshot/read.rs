//! From bytes to a world. Whatever they are, the outcome is a world that keeps every promise, or
//! a sentence.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::{Battery, Level};
use components::attribute::AttributeType;
use components::class::Class;
use components::command::{Attention, SensorCard, Target};
use components::delivery::{StreamCard, ViewerEnd};
use components::id::{FeedId, RoomId, SensorKey, StreamId, ViewerId};
use components::ledger::{Ledger, Reason};
use components::limits;
use components::load::LoadLevel;
use components::ring::{Ring, RingParts, TextParts};
use components::room::{Lens, Room};
use components::sample::{EngineTime, Text};
use components::sensor::{Attended, Sensor, Stream, Streams};
use components::shape::Shape;
use components::viewer::{Cursor, Cursors, Quality, QualityChoice, Viewer, Watch};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::bytes::{Read, Reader, broken};
use super::{ROOM_MIN, STREAM_COUNT_LEFT_MIN, SnapshotError, room, unsealed};
use crate::attend::claims::rebuild;
use crate::attend::levels::{attribute_level, sensor_level};
use crate::bio::live;
use crate::conduct::divide::CurrentBudget;
use crate::conduct::judge::Advice;
use crate::world::{
    Attendance, Books, Feed, Feeds, Fresh, Memory, Now, RoomIndex, SensorIndex, Settings,
    ViewerIndex,
};

/// Milliseconds that a setting may say: 35 years.
const SETTING_MS_MAX: u64 = 1 << 40;

/// Fills a world that has all its resources and no entity yet. The settings are the snapshot's:
/// they belong to the world. After an error the world is good for nothing.
pub fn restore(world: &mut World, whole: &[u8]) -> Result<(), SnapshotError> {
    let bytes = &mut Reader::new(unsealed(whole)?);
    resources(world, bytes)?;
    names(world, bytes)?;
    let mut memory = 0;
    let sensors = sensors(world, bytes, &mut memory)?;
    world.resource_mut::<Memory>().bytes = memory;
    feeds(world, &sensors, bytes)?;
    rooms(world, bytes)?;
    viewers(world, bytes)?;
    let key_count = world.resource::<SensorIndex>().keys().len();
    let fresh = fresh(key_count, bytes)?;
    world.insert_resource(fresh);
    super::groups::read(world, bytes)?;
    if !bytes.is_over() {
        return broken("something follows behind its end");
    }
    claims(world)?;
    levels(world);
    crate::audit::rooms_are_shared(world).map_err(SnapshotError::Broken)?;
    crate::audit::count(world).map_err(SnapshotError::Broken)?;
    world.clear_trackers();
    Ok(())
}

pub(super) fn time(bytes: &mut Reader<'_>) -> Read<EngineTime> {
    bytes.total().map(EngineTime)
}

pub(super) fn optional_time(bytes: &mut Reader<'_>) -> Read<Option<EngineTime>> {
    match bytes.option()? {
        Some(time) if time >= super::COUNT_MAX => broken("a time is too late"),
        time => Ok(time.map(EngineTime)),
    }
}

fn resources(world: &mut World, bytes: &mut Reader<'_>) -> Read<()> {
    let mut bound = || bytes.total().map(|bound| bound as usize);
    let (sensor_count_max, ring_bytes_max, seed_sample_count_max) = (bound()?, bound()?, bound()?);
    let (linger_ms, lease_ms) = (bytes.number()?, bytes.number()?);
    if linger_ms > SETTING_MS_MAX || lease_ms > SETTING_MS_MAX {
        return broken("a setting is longer than 35 years");
    }
    world.insert_resource(Settings {
        sensor_count_max,
        ring_bytes_max,
        linger_ms,
        lease_ms,
        seed_sample_count_max,
    });
    let now = Now { time: time(bytes)?, before: time(bytes)?, tick: bytes.total()? };
    if now.before > now.time {
        return broken("its time goes back");
    }
    world.insert_resource(now);
    let (store, lens) = (ledger(bytes)?, ledger(bytes)?);
    let (mut by_class, mut shed) = ([0; Class::COUNT], [0; Class::COUNT]);
    for count in by_class.iter_mut().chain(&mut shed) {
        *count = bytes.total()?;
    }
    world.insert_resource(Books { store, lens, by_class, shed });
    let judgement = super::decision::read_judgement(bytes)?;
    world.insert_resource(judgement);
    let mut budget = super::decision::read_budget(world.resource::<Settings>(), bytes)?;
    budget.changed = !bytes.flag()?;
    world.insert_resource(budget);
    let offset = bytes.float()?;
    if !offset.is_finite() {
        return broken("the load's bands are moved by no number");
    }
    world.insert_resource(Advice { offset });
    let bio = live::read(bytes)?;
    world.insert_resource(bio);
    let squeeze = bytes.number32()?;
    if squeeze > Memory::SQUEEZE_MAX {
        return broken(format!("limits are halved {squeeze} times"));
    }
    // Held against the keys in `names`.
    let sweep_from = bytes.option()?.map(|key| key.min(u64::from(u32::MAX)) as u32);
    let swept_for = bytes.one_of(&LoadLevel::ALL)?;
    world.insert_resource(Memory { bytes: 0, squeeze, sweep_from, swept_for });
    Ok(())
}

fn ledger(bytes: &mut Reader<'_>) -> Read<Ledger> {
    let mut ledger = Ledger {
        received: bytes.total()?,
        delivered: bytes.total()?,
        coalesced: bytes.total()?,
        kept: bytes.total()?,
        ..Ledger::default()
    };
    for reason in Reason::ALL {
        ledger.drop(reason, bytes.total()?);
    }
    Ok(ledger)
}

fn names(world: &mut World, bytes: &mut Reader<'_>) -> Read<()> {
    let last_stream = bytes.number32()?;
    if last_stream > u32::MAX - STREAM_COUNT_LEFT_MIN {
        return broken("it has no more ids for streams");
    }
    let count = bytes.count(1)?;
    let mut names: Vec<Option<Arc<str>>> = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(if bytes.flag()? { Some(bytes.text()?.into()) } else { None });
    }
    let mut is_free: Vec<bool> = names.iter().map(Option::is_none).collect();
    let free_count = is_free.iter().filter(|free| **free).count();
    let mut free = Vec::with_capacity(free_count);
    for _ in 0..free_count {
        let key = bytes.number32()?;
        if !is_free.get_mut(key as usize).is_some_and(std::mem::take) {
            return broken(format!("key {key} is not free"));
        }
        free.push(SensorKey(key));
    }
    if world.resource::<Memory>().sweep_from.is_some_and(|key| key as usize > count) {
        return broken("a sweep goes on beyond the last key");
    }
    let Some(index) = SensorIndex::with_names(names, free, last_stream) else {
        return broken("a sensor's name is there twice");
    };
    world.insert_resource(index);
    Ok(())
}

/// The name of a key, if it has one and no sensor yet.
fn unborn(index: &SensorIndex, key: SensorKey) -> Option<Arc<str>> {
    let name = index.name(key)?;
    index.entity(key).is_none().then(|| Arc::clone(name))
}

fn sensors(world: &mut World, bytes: &mut Reader<'_>, memory: &mut i64) -> Read<Vec<Entity>> {
    let count = bytes.count(16)?;
    let mut entities = Vec::with_capacity(count);
    let mut seen = FxHashSet::default();
    let mut shapes = FxHashMap::default();
    for _ in 0..count {
        let key = SensorKey(bytes.number32()?);
        let Some(sensor_id) = unborn(world.resource::<SensorIndex>(), key) else {
            return broken(format!("key {} is no sensor's", key.0));
        };
        let sensor_name = bytes.word()?;
        let sensor_type = bytes.word()?;
        let card = Arc::new(SensorCard {
            sensor_name,
            sensor_type: world.resource_mut::<SensorIndex>().word(&sensor_type),
            connector_id: bytes.word()?,
            connector_name: bytes.word()?,
            sampling_rate: bytes.float()?,
            sensor_id: Arc::clone(&sensor_id),
        });
        let owner = bytes.word()?;
        let feed_count = bytes.count(2)?;
        let mut feeds = SmallVec::with_capacity(feed_count);
        for _ in 0..feed_count {
            feeds.push(FeedId(bytes.handle()?));
        }
        let leaves_at = optional_time(bytes)?;
        let told = !world.resource::<CurrentBudget>().changed;
        let attended = if told { Level::None } else { bytes.one_of(&Level::ALL)? };
        let stream_count = bytes.count(6)?;
        if stream_count > limits::SENSOR_ATTRIBUTE_COUNT_MAX {
            return broken(format!("{sensor_id} has {stream_count} attributes"));
        }
        let mut list = Vec::with_capacity(stream_count);
        for _ in 0..stream_count {
            let index = &mut world.resource_mut::<SensorIndex>();
            let stream = stream(&sensor_id, index, &mut shapes, bytes)?;
            if stream.id.0 > index.last_stream() || !seen.insert(stream.id) {
                return broken(format!("stream {} is there twice or not at all", stream.id.0));
            }
            *memory += stream.ring.bytes() as i64;
            list.push(stream);
        }
        let entity = world
            .spawn((
                Sensor { key, card, owner, feeds, leaves_at },
                Attended(attended),
                Streams { list, pushed_in_tick: 0 },
            ))
            .id();
        let mut index = world.resource_mut::<SensorIndex>();
        index.acquire_shared(&sensor_id);
        index.set_entity(key, Some(entity));
        entities.push(entity);
    }
    Ok(entities)
}

fn stream(
    sensor_id: &Arc<str>,
    index: &mut SensorIndex,
    shapes: &mut FxHashMap<Arc<str>, Arc<Shape>>,
    bytes: &mut Reader<'_>,
) -> Read<Stream> {
    let id = StreamId(bytes.number32()?);
    let attribute_id = index.word(&bytes.word()?);
    let kind = bytes.word()?;
    let Some(kind) = AttributeType::from_name(&kind) else {
        return broken(format!("there is no type {kind} of attributes"));
    };
    let alive = bytes.flag()?;
    let rate_hz = if bytes.flag()? { Some(bytes.float()?) } else { None };
    let begun = bytes.flag()?;
    if begun && !alive {
        return broken("an attribute that was forgotten has samples");
    }
    let mut stream = Stream {
        id,
        attribute_id,
        kind,
        alive,
        level: Level::None,
        readers: 0,
        rate_hz,
        card: None,
        ring: Ring::new(1),
    };
    if begun {
        let skeleton = bytes.word()?;
        let shape = match shapes.get(&skeleton) {
            Some(shape) => Arc::clone(shape),
            None => {
                let shape = Arc::new(Shape::from_skeleton(skeleton.as_bytes()));
                shapes.insert(Arc::clone(&skeleton), Arc::clone(&shape));
                shape
            }
        };
        let widths = 1..=limits::SHAPE_CELL_COUNT_MAX;
        if skeleton.len() > limits::SHAPE_BYTES_MAX || !widths.contains(&shape.width()) {
            return broken("a shape has no cell, or too many");
        }
        stream.ring = ring(shape.width(), bytes)?;
        stream.card = Some(Arc::new(StreamCard {
            stream: id,
            sensor_id: Arc::clone(sensor_id),
            attribute_id: Arc::clone(&stream.attribute_id),
            kind,
            rate_hz,
            shape,
        }));
    }
    Ok(stream)
}

fn ring(width: usize, bytes: &mut Reader<'_>) -> Read<Ring> {
    let count = bytes.total()?;
    let len = bytes.count(1 + 8 * width)?;
    let (hot, capacity) = (bytes.number32()?, bytes.number()?);
    let capacity = spacious(capacity, len)?;
    let mut words = Vec::with_capacity(capacity * (width + 1));
    let (mut before, mut step) = (0i64, 0i64);
    for _ in 0..len {
        step = step.wrapping_add(bytes.signed()?);
        before = before.wrapping_add(step);
        words.push(before as u64);
        let cells = bytes.take(8 * width)?.chunks_exact(8);
        words.extend(cells.map(|cell| u64::from_le_bytes(cell.try_into().expect("eight bytes"))));
    }
    let texts = if bytes.flag()? { Some(ring_texts(bytes)?) } else { None };
    let parts =
        RingParts { width: width as u16, count, hot, capacity: capacity as u32, words, texts };
    Ring::from_parts(parts).or_else(broken)
}

fn ring_texts(bytes: &mut Reader<'_>) -> Read<TextParts> {
    let first = bytes.number()?;
    if first >= 1 << 47 {
        return broken("a ring has had more texts than can be counted");
    }
    let count = bytes.count(2)?;
    let capacity = bytes.number()?;
    let capacity = spacious(capacity, count)?;
    let mut queue = Vec::with_capacity(count);
    for _ in 0..count {
        let (payload, extra) = (bytes.text()?, bytes.text()?);
        if payload.len() + extra.len() > u32::MAX as usize {
            return broken("a text is too long");
        }
        queue.push(Text::new(payload, extra));
    }
    Ok(TextParts { first, capacity, queue })
}

/// The room that is asked for, if what is held justifies it.
fn spacious(capacity: u64, len: usize) -> Read<usize> {
    match usize::try_from(capacity) {
        Ok(capacity) if capacity >= len && room(capacity, len) == capacity => Ok(capacity),
        _ => broken(format!(
            "a ring of {len} asks for room for {capacity}; at least {len} and {ROOM_MIN} may be"
        )),
    }
}

fn feeds(world: &mut World, sensors: &[Entity], bytes: &mut Reader<'_>) -> Read<()> {
    let count = bytes.count(1)?;
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(generation) = bytes.option()? else {
            slots.push(None);
            continue;
        };
        let Ok(generation) = u32::try_from(generation) else {
            return broken("a feed's generation is beyond 32 bits");
        };
        // A feed may outlive its sensor by what it lingers.
        let entity = match bytes.option()? {
            None => Entity::PLACEHOLDER,
            Some(row) => match sensors.get(row as usize) {
                Some(entity) => *entity,
                None => return broken(format!("a feed speaks for sensor {row}")),
            },
        };
        let place_count = bytes.count(1)?;
        let mut streams = Vec::with_capacity(place_count);
        for _ in 0..place_count {
            streams.push(match bytes.option()? {
                Some(place) if place < limits::SENSOR_ATTRIBUTE_COUNT_MAX as u64 => {
                    Some(place as u16)
                }
                Some(place) => return broken(format!("a feed speaks of attribute {place}")),
                None => None,
            });
        }
        slots.push(Some(Feed { generation, entity, streams }));
    }
    let closing_count = bytes.count(3)?;
    let mut closing = std::collections::VecDeque::with_capacity(closing_count);
    for _ in 0..closing_count {
        closing.push_back((time(bytes)?, FeedId(bytes.handle()?)));
    }
    let mut known = Feeds { slots, ..Feeds::default() };
    // Only a feed that is there is closed: its slot would be made room for.
    if closing.iter().any(|(_, feed)| known.get(*feed).is_none()) {
        return broken("a feed that is not there is closing");
    }
    known.closing = closing;
    world.insert_resource(known);
    Ok(())
}

fn rooms(world: &mut World, bytes: &mut Reader<'_>) -> Read<()> {
    for _ in 0..bytes.count(4)? {
        let id = RoomId(bytes.handle()?);
        let sensors = texts(bytes)?.into();
        let count = bytes.count(2)?;
        let mut viewers = Vec::with_capacity(count);
        for _ in 0..count {
            viewers.push(ViewerId(bytes.handle()?));
        }
        let entity = world.spawn(Room { id, sensors, viewers }).id();
        if world.resource_mut::<RoomIndex>().put(id, Some(entity)).is_some() {
            return broken("a room is there twice");
        }
    }
    Ok(())
}

fn viewers(world: &mut World, bytes: &mut Reader<'_>) -> Read<()> {
    let count = bytes.count(12)?;
    let mut viewers = Vec::with_capacity(count);
    for _ in 0..count {
        let id = ViewerId(bytes.handle()?);
        let lens = match bytes.byte()? {
            0 => Lens::All,
            1 => Lens::Ids(texts(bytes)?.into()),
            2 => {
                let room = RoomId(bytes.handle()?);
                let there = world.resource::<RoomIndex>().get(room);
                let there = there.and_then(|entity| world.get::<Room>(entity));
                match there.filter(|there| there.viewers.contains(&id)) {
                    Some(there) => Lens::Room(room, Arc::clone(&there.sensors)),
                    None => return broken(format!("{id:?} looks into a room that does not know")),
                }
            }
            other => return broken(format!("there is no lens {other}")),
        };
        let viewer = Viewer {
            id,
            lens,
            attention: attention(bytes)?,
            choice: match bytes.byte()? {
                0 => QualityChoice::Auto,
                other => {
                    let nth = usize::from(other) - 1;
                    match Quality::ALL.get(nth % Quality::ALL.len()) {
                        Some(quality) if nth < Quality::ALL.len() => QualityChoice::Fixed(*quality),
                        Some(quality) if nth < 2 * Quality::ALL.len() => {
                            QualityChoice::AutoUpTo(*quality)
                        }
                        _ => return broken(format!("there is no choice {other} of qualities")),
                    }
                }
            },
            lease_until: time(bytes)?,
            changed: false,
            busy: false,
        };
        let served = super::decision::read_served(bytes)?;
        let cursors = cursors(world, bytes)?;
        viewers.push((id, world.spawn((viewer, Watch::default(), cursors, served)).id()));
    }
    let slot_count = bytes.count(1)?;
    let mut index = ViewerIndex::default();
    for slot in 0..slot_count {
        let Some(row) = bytes.option()? else { continue };
        match viewers.get(row as usize) {
            Some((id, entity)) if id.0.slot as usize == slot => index.put(*id, Some(*entity)),
            _ => return broken(format!("viewer {row} is not in its place")),
        }
    }
    // It was on its way out when a panic came between.
    let lost: Vec<Entity> = viewers
        .iter()
        .filter(|(id, entity)| index.get(*id) != Some(*entity))
        .map(|(_, entity)| *entity)
        .collect();
    index.leaving.extend(lost.into_iter().map(|entity| (entity, ViewerEnd::Fault)));
    world.insert_resource(index);
    Ok(())
}

fn texts(bytes: &mut Reader<'_>) -> Read<Vec<Box<str>>> {
    let count = bytes.count(1)?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(bytes.text()?.into());
    }
    Ok(texts)
}

fn attention(bytes: &mut Reader<'_>) -> Read<Attention> {
    let visible = if bytes.flag()? { Some(texts(bytes)?) } else { None };
    Ok(Attention {
        visible,
        hovered: targets(bytes)?,
        focused: targets(bytes)?,
        pinned: targets(bytes)?,
        hidden: bytes.flag()?,
        battery: bytes.one_of(&[Battery::Normal, Battery::Low, Battery::Critical])?,
    })
}

fn targets(bytes: &mut Reader<'_>) -> Read<Vec<Target>> {
    let count = bytes.count(2)?;
    let mut targets = Vec::with_capacity(count);
    for _ in 0..count {
        let sensor_id = bytes.text()?.into();
        let attribute_id = if bytes.flag()? { Some(bytes.text()?.into()) } else { None };
        targets.push(Target { sensor_id, attribute_id });
    }
    Ok(targets)
}

/// A viewer's cursors; streams are told how many read them.
fn cursors(world: &mut World, bytes: &mut Reader<'_>) -> Read<Cursors> {
    let (scan_strong, scan_rest) = (bytes.flag()?, bytes.flag()?);
    let count = bytes.count(2)?;
    let mut by_sensor = FxHashMap::with_capacity_and_hasher(count, Default::default());
    for _ in 0..count {
        let key = SensorKey(bytes.number32()?);
        let index = world.resource::<SensorIndex>();
        let (entity, last_stream) = (index.entity(key), index.last_stream());
        let Some(mut streams) = entity.and_then(|entity| world.get_mut::<Streams>(entity)) else {
            return broken(format!("a cursor stands on key {}, which is no sensor's", key.0));
        };
        let place_count = bytes.count(4)?;
        if place_count > streams.list.len() {
            return broken("a viewer has more cursors on a sensor than it has attributes");
        }
        let mut places = SmallVec::with_capacity(place_count);
        for stream in &mut streams.list[..place_count] {
            let cursor = Cursor {
                stream: StreamId(bytes.number32()?),
                next: bytes.total()?,
                whole: bytes.total()?,
                active: bytes.flag()?,
            };
            let own = cursor.stream == stream.id;
            let ahead = own && cursor.next > stream.ring.count();
            if ahead || cursor.whole > cursor.next || cursor.stream.0 > last_stream {
                return broken("a cursor is ahead of its stream");
            }
            if cursor.active && !(own && stream.card.is_some()) {
                return broken("a cursor reads a stream that is not there");
            }
            stream.readers += u32::from(cursor.active);
            places.push(cursor);
        }
        if by_sensor.insert(key, places).is_some() {
            return broken("a viewer has two sets of cursors on one sensor");
        }
    }
    Ok(Cursors { by_sensor, scan_strong, scan_rest, wants: Vec::new() })
}

fn fresh(key_count: usize, bytes: &mut Reader<'_>) -> Read<Fresh> {
    let mut fresh = Fresh { wanted: bytes.byte()?, ..Fresh::default() };
    if fresh.wanted >= 1 << Quality::ALL.len() {
        return broken("there is no such quality");
    }
    fresh.marks = vec![0; key_count];
    for quality in Quality::ALL {
        let count = bytes.count(1)?;
        let list = &mut fresh.lists[quality as usize];
        list.reserve_exact(count);
        let mut before = 0u32;
        for _ in 0..count {
            let key = before.saturating_add(bytes.number32()?);
            match fresh.marks.get_mut(key as usize) {
                Some(marks) if *marks & Fresh::bit(quality) == 0 => *marks |= Fresh::bit(quality),
                _ => return broken(format!("key {key} is marked twice or is none")),
            }
            list.push(SensorKey(key));
            before = key;
        }
    }
    Ok(fresh)
}

/// Viewers' words into claims, as `gather_claims` does it.
fn claims(world: &mut World) -> Read<()> {
    let key_count = world.resource::<SensorIndex>().keys().len();
    let rebuilt = rebuild(world).is_ok();
    let index = world.resource::<SensorIndex>();
    if rebuilt && index.keys().len() == key_count && index.all_held() {
        Ok(())
    } else {
        broken("a viewer asks for a name that has no key, or nobody does")
    }
}

/// Claims into levels, as `derive_levels` does it, but nobody is told: they know. If they do not,
/// it is left to `derive_levels` to tell them.
fn levels(world: &mut World) {
    if world.resource::<CurrentBudget>().changed {
        return;
    }
    world.resource_scope(|world, mut attendance: Mut<'_, Attendance>| {
        attendance.all_touched = false;
        let mut sensors = world.query::<(&Sensor, &mut Attended, &mut Streams)>();
        for (sensor, mut attended, mut streams) in sensors.iter_mut(world) {
            attended.0 = sensor_level(&attendance, sensor.key);
            for stream in &mut streams.list {
                stream.level = attribute_level(&attendance, sensor.key, &stream.attribute_id);
            }
        }
    });
}

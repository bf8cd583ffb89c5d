//! Walks the whole world and holds the books against it. Costs time in proportion to the world:
//! for tests, after every tick, and for whoever asks for the figures now and then.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::budget::Grant;
use components::ledger::{Ledger, Reason};
use components::room::{Lens, Room};
use components::sensor::{Attended, Sensor, Streams};
use components::viewer::{Cursors, Viewer};

use rustc_hash::FxHashSet;

use crate::attend::levels::sensor_level;
use crate::sense::gather::Gathering;
use crate::world::{Attendance, Books, Memory, RoomIndex, SensorIndex};

/// Both ledgers, complete: `kept` counted by walking, not by remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    pub store: Ledger,
    pub lens: Ledger,
}

/// The ledgers with what was found, or a sentence saying which promise of the world is broken.
/// While the system that derives them is switched off, levels promise nothing.
pub fn audit(world: &mut World) -> Result<Audit, String> {
    let counted = count(world)?;
    rooms_are_shared(world)?;
    if world.resource::<Attendance>().is_settled() {
        levels_follow(world)?;
        claims_are_maximal(world)?;
    }
    Ok(counted)
}

/// Every room and whoever looks into it know of each other, and of the same sensors.
pub(crate) fn rooms_are_shared(world: &mut World) -> Result<(), String> {
    let mut looks = FxHashSet::default();
    let mut viewers = world.query::<&Viewer>();
    for viewer in viewers.iter(world) {
        let Lens::Room(id, seen) = &viewer.lens else { continue };
        let room = world.resource::<RoomIndex>().get(*id);
        let Some(room) = room.and_then(|entity| world.get::<Room>(entity)) else {
            return Err(format!("{:?} looks into {id:?}, which is not there", viewer.id));
        };
        if !Arc::ptr_eq(&room.sensors, seen) {
            return Err(format!("{:?} sees {seen:?} in {id:?}, not {:?}", viewer.id, room.sensors));
        }
        looks.insert((*id, viewer.id));
    }
    let mut rooms = world.query::<(Entity, &Room)>();
    for (entity, room) in rooms.iter(world) {
        if world.resource::<RoomIndex>().get(room.id) != Some(entity) {
            return Err(format!("{:?} is not in its place", room.id));
        }
        for viewer in &room.viewers {
            if !looks.remove(&(room.id, *viewer)) {
                return Err(format!("{:?} says that {viewer:?} looks on", room.id));
            }
        }
    }
    match looks.iter().next() {
        Some((room, viewer)) => Err(format!("{room:?} does not know that {viewer:?} looks on")),
        None => Ok(()),
    }
}

/// Every level against the attendance book.
fn levels_follow(world: &mut World) -> Result<(), String> {
    let mut sensors = world.query::<(&Sensor, &Attended)>();
    for (sensor, attended) in sensors.iter(world) {
        let level = sensor_level(world.resource::<Attendance>(), sensor.key);
        if attended.0 != level {
            return Err(format!(
                "{} stands at {:?}, its claims say {level:?}",
                sensor.card.sensor_id, attended.0
            ));
        }
    }
    Ok(())
}

/// What there is, counted by walking.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct There {
    /// Samples in rings, and the bytes they take.
    pub(crate) kept: u64,
    pub(crate) bytes: i64,
    /// As the streams count them, and as viewers have cursors.
    readers: u64,
    active: u64,
    /// Samples ahead of cursors, and those that have aged out ahead of them.
    waiting: u64,
    lost: u64,
}

impl There {
    /// What the lens ledger holds only while it is looked at.
    pub(crate) fn unseen(&self) -> Ledger {
        let mut unseen = Ledger { kept: self.waiting, ..Ledger::default() };
        unseen.drop(Reason::Overrun, self.lost);
        unseen
    }
}

pub(crate) fn walk(world: &mut World) -> There {
    let mut there = There::default();
    let mut sensors = world.query::<&Streams>();
    for stream in sensors.iter(world).flat_map(|streams| &streams.list) {
        there.kept += stream.ring.len() as u64;
        there.bytes += stream.ring.bytes() as i64;
        there.readers += u64::from(stream.readers);
    }
    let mut viewers = world.query::<&Cursors>();
    for cursors in viewers.iter(world) {
        for (key, places) in &cursors.by_sensor {
            let Some(entity) = world.resource::<SensorIndex>().entity(*key) else { continue };
            let Some(streams) = world.get::<Streams>(entity) else { continue };
            for (cursor, stream) in places.iter().zip(&streams.list) {
                if cursor.active && cursor.stream == stream.id {
                    let run = stream.ring.after(cursor.next);
                    there.active += 1;
                    there.waiting += run.to - run.from;
                    there.lost += run.missed;
                }
            }
        }
    }
    there
}

/// The ledgers alone, complete and held against rings and cursors: what can be asked of a server
/// at work, once in a while.
pub fn count(world: &mut World) -> Result<Audit, String> {
    let there = walk(world);
    let Books { store, mut lens, .. } = *world.resource::<Books>();
    if store.kept != there.kept {
        return Err(format!(
            "the store says it keeps {} samples, {} are there",
            store.kept, there.kept
        ));
    }
    let booked = world.resource::<Memory>().bytes;
    if booked != there.bytes {
        return Err(format!("rings are booked at {booked} bytes and take {}", there.bytes));
    }
    if there.active != there.readers {
        return Err(format!(
            "streams count {} readers, viewers have {} cursors",
            there.readers, there.active
        ));
    }
    lens.add(&there.unseen());
    for (name, ledger) in [("store", store), ("lens", lens)] {
        if ledger.unexplained() != 0 {
            return Err(format!(
                "{name}: {} samples unexplained in {ledger:?}",
                ledger.unexplained()
            ));
        }
    }
    Ok(Audit { store, lens })
}

/// Every level against the viewers' own words, without the attendance book in between.
fn claims_are_maximal(world: &mut World) -> Result<(), String> {
    let mut truth: rustc_hash::FxHashMap<String, Level> = Default::default();
    let mut base = Level::None;
    let mut viewers = world.query::<(&Viewer, &Grant)>();
    for (viewer, grant) in viewers.iter(world) {
        let attention = &viewer.attention;
        let cap = attention.battery.cap();
        let mut claim = |id: &str, level: Level| {
            if viewer.lens.has(id) {
                let entry = truth.entry(id.to_owned()).or_default();
                *entry = (*entry).max(level.min(cap));
            }
        };
        attention.pinned.iter().for_each(|target| claim(&target.sensor_id, Level::High));
        if !viewer.is_looking(grant) {
            continue;
        }
        let strong = attention.hovered.iter().chain(&attention.focused);
        strong.for_each(|target| claim(&target.sensor_id, Level::High));
        match attention.visible.as_deref().or(viewer.lens.ids()) {
            Some(ids) => ids.iter().for_each(|id| claim(id, Level::Medium)),
            None => base = base.max(Level::Medium.min(cap)),
        }
    }
    let mut groups = world.query::<&Gathering>();
    for gathering in groups.iter(world) {
        for member in &gathering.members {
            truth.insert(member.sensor_id.to_string(), Level::High);
        }
    }
    let mut sensors = world.query::<(&Sensor, &Attended)>();
    for (sensor, attended) in sensors.iter(world) {
        let id = &*sensor.card.sensor_id;
        let level = truth.get(id).copied().unwrap_or_default().max(base);
        if attended.0 != level {
            return Err(format!("{id} stands at {:?}, its viewers ask for {level:?}", attended.0));
        }
    }
    Ok(())
}

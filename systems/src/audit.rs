//! Walks the whole world and holds the books against it. Costs time in proportion to the world:
//! for tests, after every tick, and for whoever asks for the figures now and then.

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::budget::Grant;
use components::ledger::{Ledger, Reason};
use components::sensor::{Attended, Sensor, Streams};
use components::viewer::{Cursors, Viewer};

use crate::attend::levels::sensor_level;
use crate::world::{Attendance, Books, Memory, SensorIndex};

/// Both ledgers, complete: `kept` counted by walking, not by remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    pub store: Ledger,
    pub lens: Ledger,
}

/// The ledgers with what was found, or a sentence saying which promise of the world is broken.
pub fn audit(world: &mut World) -> Result<Audit, String> {
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
    let counted = count(world)?;
    claims_are_maximal(world)?;
    Ok(counted)
}

/// The ledgers alone, complete and held against rings and cursors: what can be asked of a server
/// at work, once in a while.
pub fn count(world: &mut World) -> Result<Audit, String> {
    let mut store = world.resource::<Books>().store;
    let mut lens = world.resource::<Books>().lens;
    let remembered = store.kept;
    let (mut kept, mut bytes, mut readers) = (0, 0, 0u64);
    let mut sensors = world.query::<&Streams>();
    for streams in sensors.iter(world) {
        for stream in &streams.list {
            kept += stream.ring.len() as u64;
            bytes += stream.ring.bytes() as i64;
            readers += u64::from(stream.readers);
        }
    }
    store.kept = kept;
    if remembered != kept {
        return Err(format!("the store says it keeps {remembered} samples, {kept} are there"));
    }
    let counted = world.resource::<Memory>().bytes;
    if counted != bytes {
        return Err(format!("rings are booked at {counted} bytes and take {bytes}"));
    }
    let (mut active, mut waiting, mut lost) = (0u64, 0, 0);
    let mut viewers = world.query::<&Cursors>();
    for cursors in viewers.iter(world) {
        for (key, places) in &cursors.by_sensor {
            let Some(entity) = world.resource::<SensorIndex>().entity(*key) else { continue };
            let Some(streams) = world.get::<Streams>(entity) else { continue };
            for (cursor, stream) in places.iter().zip(&streams.list) {
                if cursor.active && cursor.stream == stream.id {
                    let run = stream.ring.after(cursor.next);
                    active += 1;
                    waiting += run.to - run.from;
                    lost += run.missed;
                }
            }
        }
    }
    if active != readers {
        return Err(format!("streams count {readers} readers, viewers have {active} cursors"));
    }
    lens.kept = waiting;
    lens.drop(Reason::Overrun, lost);
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
    use components::command::SensorSet;
    let mut truth: rustc_hash::FxHashMap<String, Level> = Default::default();
    let mut base = Level::None;
    let mut viewers = world.query::<(&Viewer, &Grant)>();
    for (viewer, grant) in viewers.iter(world) {
        let attention = &viewer.attention;
        let cap = attention.battery.cap();
        let in_lens = |id: &str| match &viewer.sensors {
            SensorSet::All => true,
            SensorSet::Ids(ids) => ids.iter().any(|lens| &**lens == id),
        };
        let mut claim = |id: &str, level: Level| {
            if in_lens(id) {
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
        match (&attention.visible, &viewer.sensors) {
            (Some(visible), _) => visible.iter().for_each(|id| claim(id, Level::Medium)),
            (None, SensorSet::Ids(ids)) => ids.iter().for_each(|id| claim(id, Level::Medium)),
            (None, SensorSet::All) => base = base.max(Level::Medium.min(cap)),
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

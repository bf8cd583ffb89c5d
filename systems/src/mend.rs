//! Makes the world whole again after a system has panicked in the midst of its work.
//!
//! Some things the world knows at first hand: sensors with their rings, viewers with their words
//! and cursors, and which feed speaks for which sensor. All else (indices, claims, levels, readers,
//! marks, bytes, books) follows from them, and is found anew here: a restarted system begins with
//! what a snapshot of the world would give it. What cannot be found, because it was on its way from
//! one place to another, is what the ledgers lack: lost to a fault, and counted.
//!
//! It costs a walk of the world. Panics are rare, or their system is soon switched off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::budget::Grant;
use components::delivery::ViewerEnd;
use components::id::{FeedId, Handle, ViewerId};
use components::ledger::Reason;
use components::room::Lens;
use components::sample::EngineTime;
use components::sensor::{Sensor, Streams};
use components::viewer::{Cursors, Viewer, Watch};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::attend::claims;
use crate::attend::grant::decide_all;
use crate::attend::levels::derive_levels;
use crate::audit::walk;
use crate::intake::rooms;
use crate::reap::{forget_stream, remove_sensor};
use crate::route::choose::NewReaders;
use crate::supervise::{Culprit, Supervision, Suspects};
use crate::world::{Attendance, Books, Feeds, Fresh, Memory, Now, SensorIndex, ViewerIndex};

/// Everything that follows from something else, anew.
pub(crate) fn mend(world: &mut World) {
    rings(world);
    indices(world);
    let condemned = std::mem::take(&mut world.resource_mut::<Suspects>().condemned);
    for culprit in condemned {
        match culprit {
            Culprit::Stream(stream) => forget_stream(world, stream),
            Culprit::Viewer(viewer) => let_go(world, viewer),
        }
    }
    follow_viewers(world);
    books(world);
    levels(world);
}

/// Who is where, of sensors, feeds, viewers and rooms.
pub(crate) fn indices(world: &mut World) {
    feeds(world);
    sensors(world);
    viewers(world);
    rooms::mend(world);
}

/// A feed that is held by no sensor, and is not on its way out either, was on its way somewhere: it
/// goes.
fn feeds(world: &mut World) {
    let feeds = world.resource::<Feeds>();
    let going: FxHashSet<FeedId> =
        feeds.closing.iter().map(|(_, feed)| *feed).chain(feeds.retiring.iter().copied()).collect();
    let mut lost = Vec::new();
    for (slot, feed) in feeds.slots.iter().enumerate() {
        let Some(feed) = feed else { continue };
        let id = FeedId(Handle { slot: slot as u32, generation: feed.generation });
        let sensor = world.get::<Sensor>(feed.entity);
        if !going.contains(&id) && !sensor.is_some_and(|sensor| sensor.feeds.contains(&id)) {
            lost.push(id);
        }
    }
    world.resource_mut::<Feeds>().retiring.extend(lost);
}

/// A sensor is held by those feeds that speak for it. One that no feed holds waits for those that
/// are on their way out; without any, nobody would ever come for it.
fn sensors(world: &mut World) {
    let now = world.resource::<Now>().time;
    // When the last feed of a sensor that is on its way out will be gone.
    let mut leaves: FxHashMap<Entity, EngineTime> = FxHashMap::default();
    let feeds = world.resource::<Feeds>();
    let closing = feeds.closing.iter().copied();
    for (at, feed) in closing.chain(feeds.retiring.iter().map(|feed| (now, *feed))) {
        if let Some(feed) = feeds.get(feed) {
            let leaves = leaves.entry(feed.entity).or_insert(at);
            *leaves = at.max(*leaves);
        }
    }
    let mut ghosts = Vec::new();
    let mut seats = Vec::new();
    let mut state = SystemState::<(Query<(Entity, &mut Sensor)>, Res<Feeds>)>::new(world);
    let (mut sensors, feeds) = state.get_mut(world).expect("the world has its resources");
    for (entity, mut sensor) in &mut sensors {
        sensor.feeds.retain(|feed| feeds.get(*feed).is_some_and(|feed| feed.entity == entity));
        sensor.leaves_at = match (sensor.feeds.is_empty(), leaves.get(&entity)) {
            (false, _) => None,
            (true, Some(last)) => Some(sensor.leaves_at.map_or(*last, |at| at.min(*last))),
            (true, None) => {
                ghosts.push(entity);
                Some(now)
            }
        };
        seats.push((sensor.key, std::sync::Arc::clone(&sensor.card.sensor_id), entity));
    }
    let mut index = world.resource_mut::<SensorIndex>();
    index.forget_holders();
    for (key, name, entity) in seats {
        index.seat(key, &name, entity);
    }
    if !ghosts.is_empty() {
        rings(world);
    }
    for ghost in ghosts {
        remove_sensor(world, ghost);
    }
}

/// A viewer that is neither in its place nor leaving has lost its way: it goes.
fn viewers(world: &mut World) {
    let mut state = SystemState::<(Query<(Entity, &mut Viewer)>, ResMut<ViewerIndex>)>::new(world);
    let (mut viewers, mut index) = state.get_mut(world).expect("the world has its resources");
    let stale: Vec<ViewerId> = index
        .ids()
        .filter(|(id, entity)| viewers.get(*entity).map_or(true, |(_, viewer)| viewer.id != *id))
        .map(|(id, _)| id)
        .collect();
    for id in stale {
        index.put(id, None);
    }
    for (entity, mut viewer) in &mut viewers {
        let leaving = index.leaving.iter().any(|(leaving, _)| *leaving == entity);
        if !leaving && index.get(viewer.id) != Some(entity) {
            fall_silent(&mut viewer);
            index.leaving.push_back((entity, ViewerEnd::Fault));
        }
    }
}

fn fall_silent(viewer: &mut Viewer) {
    viewer.lens = Lens::none();
    viewer.attention = Default::default();
}

/// This viewer's own words, or what is done for it, make systems panic: it goes, and may come
/// again.
fn let_go(world: &mut World, id: ViewerId) {
    let mut index = world.resource_mut::<ViewerIndex>();
    let Some(entity) = index.get(id) else { return };
    index.put(id, None);
    index.leaving.push_back((entity, ViewerEnd::Fault));
    if let Some(mut viewer) = world.get_mut::<Viewer>(entity) {
        fall_silent(&mut viewer);
    }
    rooms::mend(world);
}

/// Viewers' words into grants and claims, these into cursors, cursors into readers.
fn follow_viewers(world: &mut World) {
    decide_all(world);
    while let Err(entity) = claims::rebuild(world) {
        let Some(viewer) = world.get::<Viewer>(entity).map(|viewer| viewer.id) else { break };
        let_go(world, viewer);
        // Half of its claims were made.
        indices(world);
    }
    world.resource_mut::<SensorIndex>().sweep();
    rest(world);
    world.resource_mut::<NewReaders>().0.clear();
    // Nothing is marked, and everyone looks at everything: so nothing is overlooked.
    let mut fresh = world.resource_mut::<Fresh>();
    *fresh = Fresh { wanted: fresh.wanted, ..Fresh::default() };
}

/// Every cursor is on a stream that is there, no further than it is, and at rest unless its viewer
/// wants it.
fn rest(world: &mut World) {
    let mut state = SystemState::<(
        Query<(&Viewer, &Grant, &Watch, &mut Cursors)>,
        Query<&mut Streams>,
        Res<SensorIndex>,
        ResMut<Books>,
    )>::new(world);
    let (mut viewers, mut sensors, index, mut books) =
        state.get_mut(world).expect("the world has its resources");
    for mut streams in &mut sensors {
        streams.list.iter_mut().for_each(|stream| stream.readers = 0);
    }
    for (viewer, grant, watch, mut cursors) in &mut viewers {
        cursors.scan_all();
        let delivering = viewer.is_looking(grant);
        let reason = if delivering { Reason::ViewerGone } else { Reason::Paused };
        cursors.by_sensor.retain(|key, places| {
            let Some(entity) = index.entity(*key) else { return false };
            let Ok(mut streams) = sensors.get_mut(entity) else { return false };
            let wanted = delivering && (watch.all || watch.keys.binary_search(key).is_ok());
            places.truncate(streams.list.len());
            for (cursor, stream) in places.iter_mut().zip(&mut streams.list) {
                if cursor.stream != stream.id {
                    cursor.active = false;
                    continue;
                }
                cursor.active &= stream.card.is_some();
                cursor.next = cursor.next.min(stream.ring.count());
                cursor.whole = cursor.whole.min(cursor.next);
                if cursor.active && !wanted {
                    cursor.active = false;
                    books.lens.drop(reason, stream.ring.count() - cursor.next);
                }
                stream.readers += u32::from(cursor.active);
            }
            true
        });
    }
}

/// What is in the rings, and the store's ledger with it.
fn rings(world: &mut World) {
    let (mut kept, mut bytes) = (0, 0);
    let mut sensors = world.query::<&Streams>();
    for stream in sensors.iter(world).flat_map(|streams| &streams.list) {
        kept += stream.ring.len() as u64;
        bytes += stream.ring.bytes() as i64;
    }
    world.resource_mut::<Memory>().bytes = bytes;
    let mut books = world.resource_mut::<Books>();
    books.store.kept = kept;
    books.store.settle();
}

/// Both ledgers, from what is there.
fn books(world: &mut World) {
    rings(world);
    let there = walk(world);
    let mut books = world.resource_mut::<Books>();
    // What waits and what has aged out unseen are in this ledger only while it is looked at.
    let seen = there.unseen();
    books.lens.add(&seen);
    books.lens.settle();
    books.lens.take_back(&seen);
}

/// Levels from the claims, if that is not what panics: then they follow when it works again.
fn levels(world: &mut World) {
    world.resource_mut::<Attendance>().all_touched = true;
    if !world.resource::<Supervision>().is_on("derive_levels") {
        return;
    }
    let mut state = SystemState::<crate::attend::levels::Params<'_, '_>>::new(world);
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let (attendance, index, sensors, current, bio, out) =
            state.get_mut(world).expect("the world has its resources");
        derive_levels(attendance, index, sensors, current, bio, out);
    }));
}

#[cfg(test)]
mod tests {
    use bevy_ecs::system::RunSystemOnce;
    use components::command::{Attention, Command, Inputs, SensorCard, SensorSet, Target};
    use components::fault::Faults;
    use components::sample::{Payload, Timestamp};
    use components::viewer::Quality;

    use super::*;
    use crate::bio::live::Bio;
    use crate::conduct::divide::CurrentBudget;
    use crate::conduct::judge::{Advice, Judgement, Pressed};
    use crate::conduct::pace::Reports;
    use crate::intake::commands::apply_commands;
    use crate::intake::fill::fill_rings;
    use crate::route::choose::choose_slices;
    use crate::route::cut::cut_slices;
    use crate::sense::gather::GroupIndex;
    use crate::world::{Incoming, Outgoing, Parallel, RoomIndex, Settings};

    fn feed(slot: u32) -> FeedId {
        FeedId(Handle { slot, generation: 0 })
    }

    fn viewer(slot: u32) -> ViewerId {
        ViewerId(Handle { slot, generation: 0 })
    }

    /// Three sensors, of which the last has been left by its device, and two viewers.
    fn world() -> World {
        let mut world = World::new();
        world.insert_resource(Supervision::of(&[]));
        world.insert_resource(Settings::default());
        world.init_resource::<Faults>();
        world.init_resource::<Suspects>();
        world.init_resource::<Parallel>();
        world.init_resource::<Incoming>();
        world.init_resource::<Outgoing>();
        world.insert_resource(CurrentBudget::new(&Settings::default()));
        world.init_resource::<Judgement>();
        world.init_resource::<Pressed>();
        world.init_resource::<Advice>();
        world.init_resource::<Reports>();
        world.init_resource::<Bio>();
        world.init_resource::<Books>();
        world.init_resource::<SensorIndex>();
        world.init_resource::<Feeds>();
        world.init_resource::<ViewerIndex>();
        world.init_resource::<RoomIndex>();
        world.init_resource::<Attendance>();
        world.init_resource::<Fresh>();
        world.init_resource::<Memory>();
        world.init_resource::<NewReaders>();
        world.init_resource::<GroupIndex>();
        let time = EngineTime::from_millis(3200);
        world.insert_resource(Now { time, before: EngineTime::default(), tick: 1 });
        let mut inputs = Inputs::default();
        for (slot, name) in ["a", "b", "c"].into_iter().enumerate() {
            let card = SensorCard { sensor_id: name.into(), ..SensorCard::default() };
            let feed = feed(slot as u32);
            inputs.commands.extend([
                Command::OpenFeed { feed, card: Box::new(card), owner: "o".into() },
                Command::DeclareAttribute {
                    feed,
                    index: 0,
                    attribute_id: "ecg".into(),
                    kind: components::attribute::AttributeType::Ecg,
                    rate_hz: None,
                },
            ]);
            for n in 0..20 {
                let payload = Payload::Text { payload: "[1,\"x\"]", extra: "" };
                inputs.samples.push(feed, 0, Timestamp(n), payload);
            }
        }
        let target = Target { sensor_id: "b".into(), attribute_id: Some("ecg".into()) };
        inputs.commands.extend([
            Command::CloseFeed { feed: feed(2) },
            Command::OpenViewer {
                viewer: viewer(0),
                sensors: SensorSet::All,
                quality: Quality::High.into(),
            },
            Command::OpenViewer {
                viewer: viewer(1),
                sensors: SensorSet::Ids(vec!["a".into(), "b".into(), "elsewhere".into()]),
                quality: Quality::Low.into(),
            },
            Command::Attend {
                viewer: viewer(1),
                attention: Box::new(Attention { hovered: vec![target], ..Attention::default() }),
            },
        ]);
        world.insert_resource(Incoming(inputs));
        apply_commands(&mut world);
        world.resource_mut::<ViewerIndex>().changed.clear();
        world.run_system_once(fill_rings).unwrap();
        mend(&mut world);
        world.run_system_once(choose_slices).unwrap();
        world.run_system_once(cut_slices).unwrap();
        mend(&mut world);
        crate::audit::audit(&mut world).unwrap();
        world
    }

    fn sensor(world: &mut World, name: &str) -> Entity {
        let mut sensors = world.query::<(Entity, &Sensor)>();
        let found = sensors.iter(world).find(|(_, sensor)| &*sensor.card.sensor_id == name);
        found.unwrap().0
    }

    fn a_viewer(world: &mut World) -> Entity {
        world.resource::<ViewerIndex>().get(viewer(1)).unwrap()
    }

    /// Bit for bit: keys, references, places, claims, cursors, readers, books.
    #[test]
    fn whatever_follows_from_something_else_is_found_again() {
        let damages: [(&str, fn(&mut World)); 15] = [
            ("nothing", |_| {}),
            ("a sensor is nowhere", |world| {
                let key = world.resource::<SensorIndex>().find("a").unwrap();
                world.resource_mut::<SensorIndex>().set_entity(key, None);
            }),
            ("a name is held by too many", |world| {
                world.resource_mut::<SensorIndex>().acquire("elsewhere");
            }),
            ("a name is held by nobody", |world| {
                let key = world.resource::<SensorIndex>().find("b").unwrap();
                let mut index = world.resource_mut::<SensorIndex>();
                index.set_entity(key, None);
                for _ in 0..3 {
                    index.release(key);
                }
            }),
            ("a viewer claims nothing", |world| {
                let viewer = a_viewer(world);
                *world.get_mut::<Watch>(viewer).unwrap() = Watch::default();
            }),
            ("nobody claims anything", |world| {
                *world.resource_mut::<Attendance>() = Attendance::default();
            }),
            ("somebody claims what no viewer says", |world| {
                let viewer = a_viewer(world);
                let watch = world.get::<Watch>(viewer).unwrap();
                let claims = Watch { claims: watch.claims.clone(), ..Watch::default() };
                let nobody = Watch::default();
                let mut attendance = world.resource_mut::<Attendance>();
                claims::enter(Entity::PLACEHOLDER, &nobody, &claims, &mut attendance);
            }),
            ("a level is another", |world| {
                let a = sensor(world, "a");
                world.get_mut::<components::sensor::Attended>(a).unwrap().0 = Default::default();
            }),
            ("a stream has too many readers", |world| {
                let a = sensor(world, "a");
                world.get_mut::<Streams>(a).unwrap().list[0].readers += 3;
            }),
            ("a stream is about to have one more", |world| {
                world.resource_mut::<NewReaders>().0.push((0, 0));
            }),
            ("bytes are booked that are not there", |world| {
                world.resource_mut::<Memory>().bytes += 99;
            }),
            ("a feed speaks for a sensor that does not know it, being on its way out", |world| {
                world.resource_mut::<Feeds>().closing.clear();
                world
                    .resource_mut::<Feeds>()
                    .closing
                    .push_back((EngineTime::from_millis(8200), feed(2)));
                let c = sensor(world, "c");
                world.get_mut::<Sensor>(c).unwrap().leaves_at = None;
            }),
            ("a sensor knows a feed that is none", |world| {
                let a = sensor(world, "a");
                world.get_mut::<Sensor>(a).unwrap().feeds.push(feed(7));
            }),
            ("a viewer's place is a stranger's", |world| {
                let a = sensor(world, "a");
                world.resource_mut::<ViewerIndex>().put(viewer(5), Some(a));
            }),
            ("samples are marked that nobody waits for", |world| {
                let key = world.resource::<SensorIndex>().find("a").unwrap();
                world.resource_mut::<Fresh>().mark(key);
            }),
        ];
        let whole = crate::snapshot::write(&mut world());
        for (what, damage) in damages {
            let mut world = world();
            damage(&mut world);
            mend(&mut world);
            crate::audit::audit(&mut world).unwrap_or_else(|broken| panic!("{what}: {broken}"));
            assert!(crate::snapshot::write(&mut world) == whole, "{what}");
        }
    }

    #[test]
    fn what_cannot_be_found_is_lost_and_counted() {
        let mut world = world();
        let before = *world.resource::<Books>();
        // A write was under way, and a slice.
        let a = sensor(&mut world, "a");
        let limits = components::attribute::AttributeType::Ecg.limits(Default::default());
        world.get_mut::<Streams>(a).unwrap().list[0].ring.push(Timestamp(99), &[0], limits, true);
        let mut viewers = world.query::<&mut Cursors>();
        let mut cursors = viewers.iter_mut(&mut world).next().unwrap();
        let cursor = cursors.by_sensor.values_mut().next().unwrap().first_mut().unwrap();
        cursor.next -= 5;
        world.resource_mut::<Books>().store.received += 7;
        mend(&mut world);
        crate::audit::audit(&mut world).unwrap();
        let after = *world.resource::<Books>();
        assert_eq!(after.store.dropped(Reason::Fault), 6, "seven came, one is there");
        assert_eq!(after.store.kept, before.store.kept + 1);
    }

    #[test]
    fn who_has_lost_the_way_goes() {
        let mut world = world();
        let a_viewer = a_viewer(&mut world);
        world.resource_mut::<ViewerIndex>().put(viewer(1), None);
        let (a, b) = (sensor(&mut world, "a"), sensor(&mut world, "b"));
        // The feed of a has let go and is not yet closing; that of b is gone without a trace.
        world.get_mut::<Sensor>(a).unwrap().feeds.clear();
        world.resource_mut::<Feeds>().put(feed(1), None);
        mend(&mut world);
        crate::audit::audit(&mut world).unwrap();
        assert_eq!(world.resource::<ViewerIndex>().leaving, [(a_viewer, ViewerEnd::Fault)]);
        assert_eq!(world.resource::<Feeds>().retiring, [feed(0)]);
        assert!(world.get::<Sensor>(b).is_none(), "nobody would come for it");
        crate::reap::reap(&mut world);
        crate::audit::audit(&mut world).unwrap();
        assert!(world.get::<Sensor>(a).is_none() && world.get::<Viewer>(a_viewer).is_none());
        assert_eq!(world.resource::<SensorIndex>().live_count(), 1, "c lingers");
    }
}

//! Takes apart what left: sensors whose linger is over, feeds that closed, viewers that went.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::delivery::Notice;
use components::fault::Faults;
use components::id::{FeedId, StreamId};
use components::ledger::Reason;
use components::sample::EngineTime;
use components::sensor::{Sensor, Streams};
use components::viewer::{Cursors, Viewer};

use crate::mend::mend;
use crate::route::cursors::rest;
use crate::supervise::Salvage;
use crate::world::{Books, Feeds, Memory, Now, Outgoing, SensorIndex, ViewerIndex};

/// What panics as it is taken apart is gone all the same: what is left of it,
/// [`mend`](crate::mend) finds.
pub fn reap(world: &mut World) {
    let mut salvage = Salvage::default();
    close_feeds(world, &mut salvage);
    crate::sense::gather::close_groups(world);
    while let Some((entity, why)) = world.resource_mut::<ViewerIndex>().leaving.pop_front() {
        let Some(viewer) = world.get::<Viewer>(entity).map(|viewer| viewer.id) else { continue };
        salvage.attempt(|| {
            world.resource::<Faults>().strike("reap.viewer", u64::from(viewer.0.slot));
            let rested = world.run_system_cached_with(rest_all, entity);
            debug_assert!(rested.is_ok());
        });
        world.despawn(entity);
        world.resource_mut::<Outgoing>().0.notices.push(Notice::ViewerClosed { viewer, why });
    }
    salvage.raise();
}

/// What it had not come to is taken apart now: nobody else remembers it.
pub(crate) fn restart(world: &mut World) {
    mend(world);
    if catch_unwind(AssertUnwindSafe(|| reap(world))).is_err() {
        mend(world);
    }
}

/// Feeds that are retired or whose time is over, and with the last of them the sensor.
fn close_feeds(world: &mut World, salvage: &mut Salvage) {
    let now = world.resource::<Now>().time;
    loop {
        let feeds = &mut *world.resource_mut::<Feeds>();
        let retired = feeds.retiring.pop_front();
        let over = || feeds.closing.pop_front_if(|(at, _)| *at <= now).map(|(_, feed)| feed);
        let Some(feed) = retired.or_else(over) else { break };
        salvage.attempt(|| {
            world.resource::<Faults>().strike("reap.feed", u64::from(feed.0.slot));
            end_feed(world, feed, now);
        });
        world.resource_mut::<Feeds>().put(feed, None);
        world.resource_mut::<Outgoing>().0.notices.push(Notice::FeedClosed { feed });
    }
}

fn end_feed(world: &mut World, feed: FeedId, now: EngineTime) {
    let mut feeds = world.resource_mut::<Feeds>();
    let entity = feeds.get(feed).map(|feed| feed.entity);
    feeds.put(feed, None);
    if let Some(entity) = entity
        && let Some(sensor) = world.get::<Sensor>(entity)
        && sensor.feeds.is_empty()
        && sensor.leaves_at.is_some_and(|at| at <= now)
    {
        remove_sensor(world, entity);
    }
}

pub(crate) fn remove_sensor(world: &mut World, entity: Entity) {
    let Some(sensor) = world.get::<Sensor>(entity) else { return };
    let (key, sensor_id) = (sensor.key, Arc::clone(&sensor.card.sensor_id));
    let places = world.get::<Streams>(entity).map_or(0, |streams| streams.list.len());
    for place in 0..places {
        empty_stream(world, entity, place);
    }
    let mut cursors = world.query::<&mut Cursors>();
    for mut cursors in cursors.iter_mut(world) {
        cursors.bypass_change_detection().by_sensor.remove(&key);
    }
    world.despawn(entity);
    let mut index = world.resource_mut::<SensorIndex>();
    index.set_entity(key, None);
    index.release(key);
    world.resource_mut::<Outgoing>().0.notices.push(Notice::SensorGone { sensor_id });
}

/// `update_attributes` with `unregister`.
pub(crate) fn forget_attribute(world: &mut World, entity: Entity, attribute_id: &str) {
    let Some(place) = world.get::<Streams>(entity).and_then(|streams| streams.find(attribute_id))
    else {
        return;
    };
    empty_stream(world, entity, place);
    let Some(mut streams) = world.get_mut::<Streams>(entity) else { return };
    let stream = &mut streams.list[place];
    stream.alive = false;
    stream.card = None;
    let attribute_id = Arc::clone(&stream.attribute_id);
    let Some(sensor) = world.get::<Sensor>(entity) else { return };
    let sensor_id = Arc::clone(&sensor.card.sensor_id);
    world
        .resource_mut::<Outgoing>()
        .0
        .notices
        .push(Notice::AttributeGone { sensor_id, attribute_id });
}

/// As if the attribute had been unregistered: something panics over it.
pub(crate) fn forget_stream(world: &mut World, id: StreamId) {
    let mut sensors = world.query::<(Entity, &Streams)>();
    let found = sensors.iter(world).find_map(|(entity, streams)| {
        let stream = streams.list.iter().find(|stream| stream.id == id && stream.alive)?;
        Some((entity, Arc::clone(&stream.attribute_id)))
    });
    if let Some((entity, attribute_id)) = found {
        forget_attribute(world, entity, &attribute_id);
    }
}

/// Lets go of a stream's samples and of every cursor on it; both ledgers say so.
fn empty_stream(world: &mut World, entity: Entity, place: usize) {
    let Some(key) = world.get::<Sensor>(entity).map(|sensor| sensor.key) else { return };
    let Some(mut streams) = world.get_mut::<Streams>(entity) else { return };
    let stream = &mut streams.list[place];
    let (id, count) = (stream.id, stream.ring.count());
    let (kept, bytes) = (stream.ring.len() as u64, stream.ring.bytes() as i64);
    stream.ring = components::ring::Ring::new(1);
    stream.readers = 0;
    world.resource_mut::<Memory>().bytes -= bytes;
    let mut waiting = 0;
    let mut cursors = world.query::<&mut Cursors>();
    for mut cursors in cursors.iter_mut(world) {
        let by_sensor = &mut cursors.bypass_change_detection().by_sensor;
        if let Some(cursor) = by_sensor.get_mut(&key).and_then(|places| places.get_mut(place))
            && cursor.stream == id
            && cursor.active
        {
            cursor.active = false;
            waiting += count - cursor.next;
        }
    }
    let mut books = world.resource_mut::<Books>();
    books.store.kept -= kept;
    books.store.drop(Reason::SensorGone, kept);
    books.lens.drop(Reason::SensorGone, waiting);
}

/// Rests every cursor of a viewer that goes.
fn rest_all(
    In(viewer): In<Entity>,
    mut watching: Query<&mut Cursors>,
    index: Res<SensorIndex>,
    mut sensors: Query<&mut Streams>,
    mut books: ResMut<Books>,
) {
    let Ok(mut cursors) = watching.get_mut(viewer) else { return };
    for (key, places) in &mut cursors.by_sensor {
        rest(*key, places, &index, &mut sensors, &mut books.lens, Reason::ViewerGone);
    }
}

//! A world that goes on in another process: nobody is connected to it, and nobody is forgotten.
//!
//! Devices have as long to return as after any other end of a connection. Viewers stay for a while
//! with all they claim, so that levels are as they were and groups go on being read, until those who
//! return have said anew what they look at.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::delivery::Notice;
use components::group::{Group, GroupPlan};
use components::id::{FeedId, GroupId, Handle, ViewerId};
use components::sample::EngineTime;
use components::sensor::{Attended, Sensor, Streams};
use components::viewer::Viewer;
use rustc_hash::FxHashMap;

use crate::intake::rooms;
use crate::sense::gather::GroupIndex;
use crate::world::{Feed, Feeds, Settings, ViewerIndex};

/// What the door must know of a world that goes on: the handles that are out.
#[derive(Debug, Default)]
pub struct Resumed {
    /// Feeds that are closing: with each its sensor goes, should nobody return to it. The first
    /// slots, in generation 0.
    pub feed_count: usize,
    /// Viewers that were connected before: the first slots, in generation 0.
    pub viewers: Vec<ViewerId>,
    /// Groups, likewise, and who of those viewers watches them.
    pub groups: Vec<(GroupId, Arc<GroupPlan>, Vec<ViewerId>)>,
    /// Sensors, attributes and levels that are there, for whoever follows them by notices.
    pub notices: Vec<Notice>,
}

fn first(slot: usize) -> Handle {
    Handle { slot: slot as u32, generation: 0 }
}

/// Takes everybody's connection from a world that was just restored. It has these settings from now
/// on; what was connected has until `grace_until`, and devices for as long as they linger.
pub fn resume(
    world: &mut World,
    settings: Settings,
    now: EngineTime,
    grace_until: EngineTime,
) -> Resumed {
    let leaves_at = now.plus_millis(settings.linger_ms).max(grace_until);
    world.insert_resource(settings);
    let mut feeds = Feeds::default();
    let mut feed_count = 0;
    let mut notices = Vec::new();
    let mut sensors = world.query::<(Entity, &mut Sensor, &Streams, &Attended)>();
    for (entity, mut sensor, streams, attended) in sensors.iter_mut(world) {
        sensor.feeds.clear();
        sensor.leaves_at = Some(leaves_at);
        // As if its last device had just left.
        let feed = FeedId(first(feed_count));
        feeds.put(feed, Some(Feed { generation: feed.0.generation, entity, streams: Vec::new() }));
        feeds.closing.push_back((leaves_at, feed));
        feed_count += 1;
        let sensor_id = &sensor.card.sensor_id;
        notices.push(Notice::SensorCame { card: Arc::clone(&sensor.card) });
        let alive = streams.list.iter().filter(|stream| stream.alive);
        notices.extend(alive.map(|stream| Notice::AttributeCame {
            sensor_id: Arc::clone(sensor_id),
            attribute_id: Arc::clone(&stream.attribute_id),
            kind: stream.kind,
            rate_hz: stream.rate_hz,
        }));
        if attended.0 != Level::None {
            let sensor_id = Arc::clone(sensor_id);
            notices.push(Notice::LevelChanged { sensor_id, level: attended.0 });
        }
    }
    world.insert_resource(feeds);
    rooms::dissolve(world);
    let viewers = renumber_viewers(world, grace_until);
    let groups = renumber_groups(world, &viewers);
    let viewers = (0..viewers.len()).map(|slot| ViewerId(first(slot))).collect();
    Resumed { feed_count, viewers, groups, notices }
}

/// From what each was called to what it is called now.
fn renumber_viewers(world: &mut World, until: EngineTime) -> FxHashMap<ViewerId, ViewerId> {
    let before: Vec<(ViewerId, Entity)> = world.resource::<ViewerIndex>().ids().collect();
    let mut index = ViewerIndex::default();
    let mut names = FxHashMap::default();
    for (slot, (old, entity)) in before.into_iter().enumerate() {
        let new = ViewerId(first(slot));
        if let Some(mut viewer) = world.get_mut::<Viewer>(entity) {
            viewer.id = new;
            viewer.lease_until = until;
        }
        index.put(new, Some(entity));
        names.insert(old, new);
    }
    let mut there = world.resource_mut::<ViewerIndex>();
    index.changed = std::mem::take(&mut there.changed);
    index.regraded = std::mem::take(&mut there.regraded);
    index.leaving = std::mem::take(&mut there.leaving);
    *there = index;
    names
}

fn renumber_groups(
    world: &mut World,
    viewers: &FxHashMap<ViewerId, ViewerId>,
) -> Vec<(GroupId, Arc<GroupPlan>, Vec<ViewerId>)> {
    let entities = world.resource_mut::<GroupIndex>().take_all();
    let mut groups = Vec::new();
    for entity in entities {
        let id = GroupId(first(groups.len()));
        let Some(mut group) = world.get_mut::<Group>(entity) else { continue };
        group.id = id;
        let mut watchers: Vec<ViewerId> =
            group.watchers.iter().filter_map(|old| viewers.get(old).copied()).collect();
        watchers.sort_unstable();
        group.watchers.clone_from(&watchers);
        groups.push((id, Arc::clone(&group.plan), watchers));
        world.resource_mut::<GroupIndex>().put(id, Some(entity));
    }
    groups
}

//! Rooms as somebody looks into them: one word turns the lenses of all who do.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::delivery::ViewerEnd;
use components::id::{RoomId, ViewerId};
use components::room::{Lens, Room};
use components::viewer::Viewer;

use super::commands;
use crate::world::{RoomIndex, ViewerIndex};

/// What is measured there from now on.
pub(super) fn set(world: &mut World, id: RoomId, sensors: Arc<[Box<str>]>) {
    let Some(entity) = world.resource::<RoomIndex>().get(id) else {
        let entity = world.spawn(Room { id, sensors, viewers: Vec::new() }).id();
        world.resource_mut::<RoomIndex>().put(id, Some(entity));
        return;
    };
    let Some(mut room) = world.get_mut::<Room>(entity) else { return };
    if room.sensors == sensors {
        return;
    }
    room.sensors = Arc::clone(&sensors);
    for viewer in room.viewers.clone() {
        let lens = Lens::Room(id, Arc::clone(&sensors));
        commands::change(world, viewer, |viewer| viewer.lens = lens);
    }
}

pub(super) fn enter(world: &mut World, id: RoomId, viewer: ViewerId) {
    let lens = match open(world, id) {
        Some(mut room) => {
            let lens = Lens::Room(id, Arc::clone(&room.sensors));
            if !room.viewers.contains(&viewer) {
                room.viewers.push(viewer);
            }
            lens
        }
        None => Lens::none(),
    };
    turn(world, viewer, lens);
}

/// The viewer's lens is on something else from now on; if that was a room, it is left.
pub(super) fn turn(world: &mut World, viewer: ViewerId, lens: Lens) {
    let entity = world.resource::<ViewerIndex>().get(viewer);
    let there = entity.and_then(|entity| world.get::<Viewer>(entity));
    let before = there.map(|viewer| viewer.lens.room());
    let gone = match before {
        // One that is not there looks into nothing.
        None => lens.room(),
        Some(before) => before.filter(|before| lens.room() != Some(*before)),
    };
    if let Some(mut room) = gone.and_then(|room| open(world, room)) {
        room.viewers.retain(|there| *there != viewer);
    }
    commands::change(world, viewer, |viewer| viewer.lens = lens);
}

/// Whoever looks into it sees nothing any more.
pub(super) fn close(world: &mut World, id: RoomId) {
    for viewer in forget(world, id) {
        commands::change(world, viewer, |viewer| viewer.lens = Lens::none());
    }
}

/// A word about it was lost: what they would go on seeing may not be there any more. Whoever comes in
/// sees nothing until the next word.
pub(super) fn lose(world: &mut World, id: RoomId) {
    for viewer in forget(world, id) {
        commands::leave(world, viewer, ViewerEnd::Fault);
    }
    set(world, id, Arc::new([]));
}

fn open(world: &mut World, id: RoomId) -> Option<Mut<'_, Room>> {
    let entity = world.resource::<RoomIndex>().get(id)?;
    world.get_mut::<Room>(entity)
}

/// Takes it away; who looked into it.
fn forget(world: &mut World, id: RoomId) -> Vec<ViewerId> {
    let Some(entity) = world.resource_mut::<RoomIndex>().put(id, None) else { return Vec::new() };
    let viewers = world.get_mut::<Room>(entity).map(|mut room| std::mem::take(&mut room.viewers));
    world.despawn(entity);
    viewers.unwrap_or_default()
}

/// Rooms are as their viewers' lenses say.
pub(crate) fn mend(world: &mut World) {
    let mut rooms = world.query::<(Entity, &mut Room)>();
    let mut index = RoomIndex::default();
    let mut doubles = Vec::new();
    for (entity, mut room) in rooms.iter_mut(world) {
        room.viewers.clear();
        doubles.extend(index.put(room.id, Some(entity)));
    }
    for double in doubles {
        world.despawn(double);
    }
    let mut looks = world.query::<(Entity, &Viewer)>();
    let looks: Vec<(Entity, ViewerId, RoomId)> = looks
        .iter(world)
        .filter_map(|(entity, viewer)| Some((entity, viewer.id, viewer.lens.room()?)))
        .collect();
    for (entity, viewer, id) in looks {
        let room = index.get(id).and_then(|room| world.get_mut::<Room>(room));
        let lens = match room {
            Some(mut room) => {
                room.viewers.push(viewer);
                Lens::Room(id, Arc::clone(&room.sensors))
            }
            None => Lens::none(),
        };
        let Some(mut viewer) = world.get_mut::<Viewer>(entity) else { continue };
        if viewer.lens != lens && !viewer.changed {
            viewer.changed = true;
            world.resource_mut::<ViewerIndex>().changed.push(entity);
        }
        if let Some(mut viewer) = world.get_mut::<Viewer>(entity) {
            viewer.lens = lens;
        }
    }
    world.insert_resource(index);
}

/// Doors that are new know of no rooms: who looked into one goes on looking at what was there.
pub(crate) fn dissolve(world: &mut World) {
    let mut viewers = world.query::<&mut Viewer>();
    for mut viewer in viewers.iter_mut(world) {
        if let Lens::Room(_, sensors) = &viewer.lens {
            viewer.lens = Lens::Ids(Arc::clone(sensors));
        }
    }
    let mut rooms = world.query_filtered::<Entity, With<Room>>();
    let rooms: Vec<Entity> = rooms.iter(world).collect();
    for room in rooms {
        world.despawn(room);
    }
    world.insert_resource(RoomIndex::default());
}

//! Lays cursors to rest when their stream is out of view, and takes them up again where they were.

use bevy_ecs::prelude::*;
use components::budget::Grant;
use components::id::SensorKey;
use components::ledger::{Ledger, Reason};
use components::sensor::Streams;
use components::viewer::{Cursor, Cursors, Viewer, Watch};

use crate::world::{Books, SensorIndex, ViewerIndex};

pub fn rest_cursors(
    mut viewers: ResMut<ViewerIndex>,
    mut watching: Query<(&Viewer, &Grant, &Watch, &mut Cursors)>,
    index: Res<SensorIndex>,
    mut sensors: Query<&mut Streams>,
    mut books: ResMut<Books>,
) {
    for entity in viewers.changed.drain(..) {
        let Ok((viewer, grant, watch, mut cursors)) = watching.get_mut(entity) else { continue };
        let delivering = viewer.is_looking(grant);
        let reason = if delivering { Reason::ViewerGone } else { Reason::Paused };
        for (key, places) in &mut cursors.by_sensor {
            let wanted = delivering && (watch.all || watch.keys.binary_search(key).is_ok());
            if !wanted {
                rest(*key, places, &index, &mut sensors, &mut books.lens, reason);
            }
        }
        // Those of sensors that no longer are: nothing to come back to.
        cursors.by_sensor.retain(|key, _| index.entity(*key).is_some());
    }
}

/// Rests every active cursor of one viewer on one sensor; what waited is accounted for.
pub(crate) fn rest(
    key: SensorKey,
    places: &mut [Cursor],
    index: &SensorIndex,
    sensors: &mut Query<&mut Streams>,
    lens: &mut Ledger,
    reason: Reason,
) {
    let Some(entity) = index.entity(key) else { return };
    let Ok(mut streams) = sensors.get_mut(entity) else { return };
    let streams = &mut streams.bypass_change_detection().list;
    for (cursor, stream) in places.iter_mut().zip(streams) {
        if cursor.active && cursor.stream == stream.id {
            cursor.active = false;
            stream.readers -= 1;
            lens.drop(reason, stream.ring.count() - cursor.next);
        }
    }
}

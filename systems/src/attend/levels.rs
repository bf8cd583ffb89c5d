//! The level of every sensor and attribute is the maximum of the live claims on it: state, read
//! by whoever needs it, never an announcement that could be missed (`reference/core.md` W1, W4).

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::delivery::Notice;
use components::id::SensorKey;
use components::sensor::{Attended, Sensor, Streams};

use crate::bio::live::Bio;
use crate::conduct::divide::CurrentBudget;
use crate::world::{Attendance, Outgoing, SensorIndex};

pub(crate) type Params<'w, 's> = (
    ResMut<'w, Attendance>,
    Res<'w, SensorIndex>,
    Query<'w, 's, (&'static Sensor, &'static mut Attended, &'static mut Streams)>,
    ResMut<'w, CurrentBudget>,
    Res<'w, Bio>,
    ResMut<'w, Outgoing>,
);

pub fn derive_levels(
    mut attendance: ResMut<Attendance>,
    index: Res<SensorIndex>,
    mut sensors: Query<(&Sensor, &mut Attended, &mut Streams)>,
    mut current: ResMut<CurrentBudget>,
    bio: Res<Bio>,
    mut out: ResMut<Outgoing>,
) {
    // What is to be done is forgotten when it is done: a panic must not leave it at half.
    let repaced = current.changed;
    let mut touched = std::mem::take(&mut attendance.touched);
    if attendance.all_touched || repaced {
        touched.clear();
        touched.extend(index.keys());
    } else {
        touched.sort_unstable();
        touched.dedup();
    }
    for &key in &touched {
        let Some(entity) = index.entity(key) else { continue };
        let Ok((sensor, mut attended, mut streams)) = sensors.get_mut(entity) else { continue };
        let level = sensor_level(&attendance, key);
        for stream in &mut streams.bypass_change_detection().list {
            stream.level = attribute_level(&attendance, key, &stream.attribute_id);
        }
        let changed = attended.0 != level;
        if changed {
            attended.0 = level;
            let sensor_id = Arc::clone(&sensor.card.sensor_id);
            out.0.notices.push(Notice::LevelChanged { sensor_id, level });
        }
        if changed || repaced {
            let pacing = current.budget.pacing(bio.paced_level(level, &sensor.card.sensor_id));
            for &feed in &sensor.feeds {
                out.0.notices.push(Notice::Paced { feed, pacing });
            }
        }
    }
    touched.clear();
    attendance.touched = touched;
    attendance.all_touched = false;
    current.changed = false;
}

/// The strongest claim on the sensor or on any attribute of it.
pub fn sensor_level(attendance: &Attendance, key: SensorKey) -> Level {
    let claimed = attendance.of(key).iter().map(|attendee| attendee.level).max();
    claimed.unwrap_or_default().max(attendance.base())
}

/// The strongest claim on this attribute: its own, or one on the whole sensor.
pub(crate) fn attribute_level(
    attendance: &Attendance,
    key: SensorKey,
    attribute_id: &str,
) -> Level {
    let claimed = attendance
        .of(key)
        .iter()
        .filter(|a| a.attribute.as_deref().is_none_or(|id| id == attribute_id))
        .map(|attendee| attendee.level)
        .max();
    claimed.unwrap_or_default().max(attendance.base())
}

//! Holds the rings to what the load and the memory budget allow, now, not at the next write.
//!
//! When the load rises, or the budget is nearly used up, a sweep visits every sensor, a slice of
//! them each tick so that no tick is long, and cuts what is over its limit (`reference/core.md`
//! W19). Until the budget is respected the limits are halved, and halved again; at the budget
//! itself rings stop growing (see [`crate::intake::fill`]), so it holds in between as well.

use bevy_ecs::prelude::*;
use components::ledger::Reason;
use components::sensor::Streams;

use crate::conduct::divide::CurrentBudget;
use crate::world::{Books, Memory, SensorIndex, Settings};

/// Sensors visited in one tick of a sweep. At 250 ticks a second 100,000 sensors take 0.2 s.
pub const SWEEP_SENSOR_COUNT: u32 = 2048;

/// Fractions of the budget at which limits are halved and doubled again.
const SQUEEZE_AT: f64 = 0.9;
const RELAX_AT: f64 = 0.4;

pub fn trim_rings(
    mut memory: ResMut<Memory>,
    mut books: ResMut<Books>,
    current: Res<CurrentBudget>,
    settings: Res<Settings>,
    index: Res<SensorIndex>,
    mut sensors: Query<&mut Streams>,
) {
    let level = current.budget.load.level;
    if level > memory.swept_for {
        memory.sweep_from = Some(0);
    }
    memory.swept_for = level;
    let used = memory.bytes as f64 / settings.ring_bytes_max as f64;
    if memory.sweep_from.is_none() {
        if used > SQUEEZE_AT && memory.squeeze < Memory::SQUEEZE_MAX {
            memory.squeeze += 1;
            memory.sweep_from = Some(0);
        } else if used < RELAX_AT && memory.squeeze > 0 {
            memory.squeeze -= 1;
        }
    }
    let Some(from) = memory.sweep_from else { return };
    let end = index.keys().len() as u32;
    let to = (from + SWEEP_SENSOR_COUNT).min(end);
    for key in from..to {
        let Some(entity) = index.entity(components::id::SensorKey(key)) else { continue };
        let Ok(mut streams) = sensors.get_mut(entity) else { continue };
        for stream in &mut streams.bypass_change_detection().list {
            let change = stream.ring.trim(memory.limits(stream.kind, stream.level, level));
            memory.bytes += change.bytes;
            books.store.drop(Reason::Trimmed, change.forgotten);
            books.store.kept -= change.forgotten;
        }
    }
    memory.sweep_from = (to < end).then_some(to);
}

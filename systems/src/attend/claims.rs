//! Resolves what a viewer said into claims, when it has said something new.
//!
//! A viewer's claims stand in its own [`Watch`] and, inverted, in the attendance book; both are
//! replaced as a whole, so nothing of an earlier word can stay behind (`reference/core.md` W2).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::{ClaimKind, Level};
use components::budget::Grant;
use components::command::Target;
use components::id::SensorKey;
use components::viewer::{Cursors, Viewer, Watch};
use smallvec::SmallVec;

use crate::bio::correlation::BESIDE_COUNT_MAX;
use crate::bio::live::{LOOK_COUNT_MAX, Looks};
use crate::sense::gather;
use crate::world::{Attendance, Attendee, SensorIndex, ViewerIndex};

pub fn gather_claims(
    index: ResMut<ViewerIndex>,
    mut viewers: Query<(Entity, &mut Viewer, &Grant, &mut Watch, &mut Cursors)>,
    mut sensors: ResMut<SensorIndex>,
    mut attendance: ResMut<Attendance>,
    mut looks: ResMut<Looks>,
) {
    if index.changed.is_empty() {
        return;
    }
    for &entity in &index.changed {
        let Ok((entity, mut viewer, grant, mut watch, mut cursors)) = viewers.get_mut(entity)
        else {
            continue;
        };
        let next = resolve(&viewer, grant, &mut sensors);
        note_looks(&watch, &next, &mut looks);
        enter(entity, &watch, &next, &mut attendance);
        // Acquired before released: a name that stays keeps its key.
        for (key, ..) in &watch.claims {
            sensors.release(*key);
        }
        *watch = next;
        viewer.changed = false;
        cursors.scan_all();
    }
    // `index.changed` is cleared by `rest_cursors`, which needs it too.
}

/// Who this viewer turns to, that it did not look at before, and what it looks at beside. Whoever
/// has a whole wall in view says nothing by it.
fn note_looks(old: &Watch, new: &Watch, looks: &mut Looks) {
    let few = |watch: &Watch| !watch.all && watch.keys.len() <= BESIDE_COUNT_MAX;
    let pointed = |watch: &Watch, key: SensorKey| {
        watch.strong.binary_search_by_key(&key, |(strong, _)| *strong).is_ok()
    };
    let turned_to = |key: &SensorKey| {
        let seen = few(old) && old.keys.binary_search(key).is_ok();
        if few(new) { !seen } else { pointed(new, *key) && !pointed(old, *key) }
    };
    let among: SmallVec<[SensorKey; 8]> = if few(new) {
        new.keys.iter().copied().collect()
    } else {
        let mut pointed: SmallVec<[SensorKey; 8]> =
            new.strong.iter().map(|(key, _)| *key).take(BESIDE_COUNT_MAX).collect();
        pointed.dedup();
        pointed
    };
    for key in among.iter().filter(|key| turned_to(key)) {
        if looks.0.len() >= LOOK_COUNT_MAX {
            return;
        }
        looks.0.push((*key, among.clone()));
    }
}

/// Every viewer's and group's words into claims, in a world in which sensors alone hold their names. All levels
/// are to be derived anew. The error is the viewer over whose words it panicked; what was done
/// until then must be done again.
pub(crate) fn rebuild(world: &mut World) -> Result<(), Entity> {
    world.resource_scope(|world, mut index: Mut<'_, SensorIndex>| {
        world.resource_scope(|world, mut attendance: Mut<'_, Attendance>| {
            *attendance = Attendance { all_touched: true, ..Attendance::default() };
            let mut viewers = world.query::<(Entity, &mut Viewer, &Grant, &mut Watch)>();
            for (entity, mut viewer, grant, mut watch) in viewers.iter_mut(world) {
                let next = catch_unwind(AssertUnwindSafe(|| resolve(&viewer, grant, &mut index)));
                let next = next.map_err(|_| entity)?;
                enter(entity, &Watch::default(), &next, &mut attendance);
                *watch = next;
                viewer.changed = false;
            }
            gather::claim_anew(world, &mut index, &mut attendance);
            Ok(())
        })
    })
}

/// What `viewer` says, as claims on keys. Acquires a reference for every claim.
pub(crate) fn resolve(viewer: &Viewer, grant: &Grant, sensors: &mut SensorIndex) -> Watch {
    let attention = &viewer.attention;
    let cap = attention.battery.cap();
    let looking = viewer.is_looking(grant);
    let mut watch = Watch::default();

    // The lens, sorted, to tell what is outside it.
    let lens: Option<Vec<&str>> = viewer.lens.ids().map(|ids| {
        let mut ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    });
    let in_lens = |id: &str| lens.as_ref().is_none_or(|ids| ids.binary_search(&id).is_ok());

    let mut claim = |key: SensorKey, attribute: Option<Arc<str>>, kind: ClaimKind| {
        watch.claims.push((key, attribute, kind.level().min(cap)));
    };
    let mut keys = Vec::new();
    if looking {
        match (&attention.visible, &lens) {
            (None, None) => {
                watch.all = true;
                watch.claim_on_all = ClaimKind::View.level().min(cap);
            }
            (None, Some(ids)) => keys.extend(ids.iter().map(|id| sensors.acquire(id))),
            (Some(visible), _) => {
                keys.extend(visible.iter().filter(|id| in_lens(id)).map(|id| sensors.acquire(id)));
            }
        }
        for &key in &keys {
            claim(key, None, ClaimKind::View);
        }
    }
    let strong = |kind: ClaimKind, targets: &[Target], sensors: &mut SensorIndex| {
        targets
            .iter()
            .filter(|target| in_lens(&target.sensor_id))
            .map(|target| {
                let attribute = target.attribute_id.as_deref().map(Arc::from);
                (sensors.acquire(&target.sensor_id), attribute, kind)
            })
            .collect::<Vec<(SensorKey, Option<Arc<str>>, ClaimKind)>>()
    };
    let mut strongest = strong(ClaimKind::Pin, &attention.pinned, sensors);
    if looking {
        strongest.extend(strong(ClaimKind::Hover, &attention.hovered, sensors));
        strongest.extend(strong(ClaimKind::Focus, &attention.focused, sensors));
    }
    for (key, attribute, kind) in strongest {
        claim(key, attribute.clone(), kind);
        if looking {
            keys.push(key);
            if kind.level().min(cap) == Level::High {
                watch.strong.push((key, attribute));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    watch.keys = keys;
    watch.strong.sort();
    watch
}

/// Replaces `old` by `new` in the book, and notes whose levels may have changed.
pub(crate) fn enter(viewer: Entity, old: &Watch, new: &Watch, attendance: &mut Attendance) {
    for (key, ..) in &old.claims {
        let attendees = &mut attendance.by_sensor[key.0 as usize];
        attendees.retain(|attendee| attendee.viewer != viewer);
        attendance.touch(*key);
    }
    for (key, attribute, level) in &new.claims {
        let slot = key.0 as usize;
        if attendance.by_sensor.len() <= slot {
            attendance.by_sensor.resize_with(slot + 1, Vec::new);
        }
        attendance.by_sensor[slot].push(Attendee {
            viewer,
            attribute: attribute.clone(),
            level: *level,
        });
        attendance.touch(*key);
    }
    let base = attendance.base();
    if old.all {
        attendance.on_all[old.claim_on_all as usize] -= 1;
    }
    if new.all {
        attendance.on_all[new.claim_on_all as usize] += 1;
    }
    attendance.all_touched |= attendance.base() != base;
}

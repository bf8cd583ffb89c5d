//! Groups in the world: who watches them, who is in them, and their samples from the rings.
//!
//! A group that nobody watches costs nothing and remembers nothing. Watching is state, looked at
//! in every tick, never an announcement that could be missed: the last viewer may leave and another
//! come, and all begins again (`reference/core.md` W32). While a group is watched it holds claims
//! on its members' attributes, as a viewer does, so that their devices send what is needed.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemState;
use components::attention::ClaimKind;
use components::budget::Grant;
use components::cell::Cell;
use components::command::SensorSet;
use components::delivery::Notice;
use components::group::{
    BeatFound, GROUP_COUNT_MAX, Group, GroupNews, GroupPlan, HeartReading, MEMBER_COUNT_MAX,
    PairReading,
};
use components::id::{GroupId, SensorKey, StreamId, ViewerId};
use components::sample::EngineTime;
use components::sensor::{Sensor, Streams};
use components::shape::Shape;
use components::viewer::{Viewer, Watch};

use super::ensemble::Ensemble;
use super::grid::{GRID_HZ, STEP_US};
use super::pair;
use super::person::Person;
use super::phase::Filters;
use super::phasor::Phasor;
use crate::attend::claims;
use crate::mend::mend;
use crate::world::{Attendance, Now, Outgoing, Parallel, SensorIndex, ViewerIndex};

/// Members of all groups together: each takes 30 kB, and 30 more in a small group.
pub(crate) const PEOPLE_COUNT_MAX: usize = 8_192;

/// Milliseconds between looks into the rings: short enough that the shortest ring that somebody
/// points at, of 150 samples, holds what came at 1 kHz even of three times as long.
const LISTEN_MS: u64 = 50;

/// Steps of the grid from one look at the pairs to the next: 1 s.
const PAIR_STEPS: i64 = 10;

/// How long a group stays when nobody watches it, milliseconds.
const LINGER_MS: u64 = 5_000;

/// Words of a payload that is a map under which the value may be; else it is its first number.
const VALUE_NAMES: [&str; 2] = ["\"value\":", "\"v\":"];

/// The groups there are.
#[derive(Resource, Debug, Default)]
pub struct GroupIndex {
    /// By slot: generation and entity.
    pub(crate) slots: Vec<Option<(u32, Entity)>>,
    count: usize,
    /// Members of all groups that are watched.
    pub(crate) people: usize,
    /// Groups that go at the end of this tick.
    leaving: Vec<Entity>,
}

impl GroupIndex {
    pub(crate) fn get(&self, id: GroupId) -> Option<Entity> {
        let (generation, entity) = (*self.slots.get(id.0.slot as usize)?)?;
        (generation == id.0.generation).then_some(entity)
    }

    pub(crate) fn put(&mut self, id: GroupId, entity: Option<Entity>) {
        let slot = id.0.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        let before = self.slots[slot].is_some();
        self.slots[slot] = entity.map(|entity| (id.0.generation, entity));
        self.count = self.count + usize::from(entity.is_some()) - usize::from(before);
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes all groups out of their places, in order.
    pub(crate) fn take_all(&mut self) -> Vec<Entity> {
        self.count = 0;
        std::mem::take(&mut self.slots).into_iter().flatten().map(|(_, entity)| entity).collect()
    }
}

/// Filters that were designed so far, for all groups.
#[derive(Resource, Debug, Default)]
pub struct FilterShelf(pub Filters);

/// Who is in a group, and how they are followed. Written by `sense` alone.
#[derive(Component, Debug, Default)]
pub struct Gathering {
    pub(crate) members: Vec<Member>,
    /// Sensors for which there was no room.
    pub(crate) left_out: u32,
    /// There while somebody watches; as many people as members.
    pub(crate) ensemble: Option<Ensemble>,
    /// Somebody is to be told who the members are.
    pub(crate) untold: bool,
}

/// One attribute of one sensor.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) sensor_id: Arc<str>,
    /// Acquired for as long as there is this member.
    pub(crate) key: SensorKey,
    /// The stream that was read last, and up to which push.
    pub(crate) stream: Option<StreamId>,
    pub(crate) next: u64,
    /// Where it was found among its sensor's streams.
    pub(crate) found: Option<Found>,
}

/// What stays as it is while a stream has its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Index into [`Streams::list`].
    at: usize,
    /// Which cell of a payload the value is in.
    value_at: Option<usize>,
}

pub(crate) fn open_group(world: &mut World, group: GroupId, plan: GroupPlan) {
    let index = world.resource::<GroupIndex>();
    let taken = index.slots.get(group.0.slot as usize).is_some_and(Option::is_some);
    if taken || index.count() >= GROUP_COUNT_MAX {
        let refused = Notice::GroupRefused { group };
        world.resource_mut::<Outgoing>().0.notices.push(refused);
        return;
    }
    let closes_at = Some(world.resource::<Now>().time.plus_millis(LINGER_MS));
    let parts = Group { id: group, plan: Arc::new(plan), watchers: Vec::new(), closes_at };
    let entity = world.spawn((parts, Watch::default(), Gathering::default())).id();
    world.resource_mut::<GroupIndex>().put(group, Some(entity));
}

/// What a panic left of a group that was about to open.
pub(crate) fn forget(world: &mut World, group: GroupId) {
    let mut groups = world.query::<(Entity, &Group)>();
    let left = groups.iter(world).find(|(_, there)| there.id == group).map(|(entity, _)| entity);
    if let Some(entity) = left {
        world.despawn(entity);
    }
    let mut index = world.resource_mut::<GroupIndex>();
    if index.get(group).is_some() {
        index.put(group, None);
    }
}

/// Adds or takes out a watcher. Words about a group or a viewer that is gone mean nothing.
pub(crate) fn watch_group(world: &mut World, viewer: ViewerId, group: GroupId, watches: bool) {
    let Some(entity) = world.resource::<GroupIndex>().get(group) else { return };
    if world.resource::<ViewerIndex>().get(viewer).is_none() {
        return;
    }
    let Some(mut parts) = world.get_mut::<Group>(entity) else { return };
    match (parts.watchers.binary_search(&viewer), watches) {
        (Err(place), true) => parts.watchers.insert(place, viewer),
        (Ok(place), false) => {
            parts.watchers.remove(place);
        }
        _ => {}
    }
    if watches && let Some(mut gathering) = world.get_mut::<Gathering>(entity) {
        gathering.untold = true;
    }
}

/// Whoever watches keeps a group going: begins what is watched, ends what is not, and follows
/// sensors that come.
pub fn keep_watch(
    mut groups: Query<(Entity, &mut Group, &mut Gathering, &mut Watch), Without<Viewer>>,
    mut index: ResMut<GroupIndex>,
    viewer_index: Res<ViewerIndex>,
    viewers: Query<(&Viewer, &Grant)>,
    sensors: Query<(&Sensor, &Streams)>,
    mut names: ResMut<SensorIndex>,
    mut attendance: ResMut<Attendance>,
    mut out: ResMut<Outgoing>,
    now: Res<Now>,
) {
    if index.count() == 0 {
        return;
    }
    for slot in 0..index.slots.len() {
        let Some((_, entity)) = index.slots[slot] else { continue };
        let Ok((entity, mut group, mut gathering, mut watch)) = groups.get_mut(entity) else {
            continue;
        };
        group.watchers.retain(|viewer| viewer_index.get(*viewer).is_some());
        let looks = |viewer: &ViewerId| {
            let viewer = viewer_index.get(*viewer).and_then(|entity| viewers.get(entity).ok());
            viewer.is_some_and(|(viewer, grant)| viewer.is_looking(grant))
        };
        let watched = group.watchers.iter().any(looks);
        let mut gone = Vec::new();
        let others = index.people - gathering.members.len();
        let room = MEMBER_COUNT_MAX.min(PEOPLE_COUNT_MAX - others);
        let changed = match (watched, gathering.ensemble.is_some()) {
            (true, false) => {
                gathering.begin(&group.plan, &sensors, &mut names, room);
                true
            }
            (true, true) => {
                let notices = &out.0.notices;
                gathering.follow(&group.plan, notices, &mut names, &mut gone, room)
            }
            (false, true) => {
                gone.extend(gathering.members.drain(..).map(|member| member.key));
                (gathering.ensemble, gathering.left_out) = (None, 0);
                true
            }
            (false, false) => false,
        };
        index.people = others + gathering.members.len();
        if changed {
            let next = gathering.watch(&group.plan);
            claims::enter(entity, &watch, &next, &mut attendance);
            *watch = next;
        }
        // The book let go of them first.
        gone.into_iter().for_each(|key| names.release(key));
        if gathering.ensemble.is_some() && (changed || gathering.untold) {
            gathering.untold = false;
            out.0.notices.push(Notice::GroupMembers {
                group: group.id,
                sensor_ids: gathering.members.iter().map(|m| Arc::clone(&m.sensor_id)).collect(),
                left_out: gathering.left_out,
            });
        }
        if !group.watchers.is_empty() {
            group.closes_at = None;
        } else {
            let last = now.time.plus_millis(LINGER_MS);
            if *group.closes_at.get_or_insert(last) <= now.time {
                index.leaving.push(entity);
            }
        }
    }
}

/// The claims of every group, and with them its members' names, in a world in which it holds none.
pub(crate) fn claim_anew(world: &mut World, names: &mut SensorIndex, attendance: &mut Attendance) {
    let entities: Vec<Entity> =
        world.resource::<GroupIndex>().slots.iter().flatten().map(|(_, entity)| *entity).collect();
    for entity in entities {
        let Some(plan) = world.get::<Group>(entity).map(|group| Arc::clone(&group.plan)) else {
            continue;
        };
        let Some(mut gathering) = world.get_mut::<Gathering>(entity) else { continue };
        for member in &mut gathering.members {
            member.key = names.acquire_shared(&member.sensor_id);
        }
        let next = gathering.watch(&plan);
        claims::enter(entity, &Watch::default(), &next, attendance);
        world.entity_mut(entity).insert(next);
    }
}

/// What was known of groups' people may be half done: it is forgotten, and gathered anew for those
/// that are watched.
pub(crate) fn restart(world: &mut World) {
    let mut state =
        SystemState::<(Query<(Entity, &Group, &mut Gathering)>, ResMut<GroupIndex>)>::new(world);
    let (mut groups, mut index) = state.get_mut(world).expect("the world has its resources");
    index.slots.fill(None);
    (index.count, index.people) = (0, 0);
    for (entity, group, mut gathering) in &mut groups {
        *gathering = Gathering { untold: true, ..Gathering::default() };
        index.put(group.id, Some(entity));
    }
    index.leaving.retain(|entity| groups.contains(*entity));
    mend(world);
}

/// Takes apart groups that nobody has watched for a while.
pub(crate) fn close_groups(world: &mut World) {
    for entity in std::mem::take(&mut world.resource_mut::<GroupIndex>().leaving) {
        let Some(group) = world.get::<Group>(entity).map(|group| group.id) else { continue };
        world.despawn(entity);
        world.resource_mut::<GroupIndex>().put(group, None);
        world.resource_mut::<Outgoing>().0.notices.push(Notice::GroupClosed { group });
    }
}

impl Gathering {
    pub fn ensemble(&self) -> Option<&Ensemble> {
        self.ensemble.as_ref()
    }

    /// The claims of a watched group: each member's attribute, strongly.
    pub(crate) fn watch(&self, plan: &GroupPlan) -> Watch {
        let attribute: Arc<str> = (*plan.attribute_id).into();
        let claim =
            |member: &Member| (member.key, Some(Arc::clone(&attribute)), ClaimKind::Focus.level());
        Watch { claims: self.members.iter().map(claim).collect(), ..Watch::default() }
    }

    fn begin(
        &mut self,
        plan: &GroupPlan,
        sensors: &Query<(&Sensor, &Streams)>,
        names: &mut SensorIndex,
        room: usize,
    ) {
        let mut wanted: Vec<Arc<str>> = match &plan.sensors {
            SensorSet::Ids(ids) => ids.iter().map(|id| (**id).into()).collect(),
            SensorSet::All => {
                let has =
                    |(_, streams): &(&Sensor, &Streams)| streams.find(&plan.attribute_id).is_some();
                let id = |(sensor, _): (&Sensor, _)| Arc::clone(&sensor.card.sensor_id);
                sensors.iter().filter(has).map(id).collect()
            }
        };
        // In an order that is nobody's history.
        wanted.sort_unstable();
        wanted.dedup();
        self.left_out = wanted.len().saturating_sub(room) as u32;
        wanted.truncate(room);
        self.members = wanted.into_iter().map(|id| Member::new(id, names)).collect();
        self.ensemble = Some(Ensemble::new(plan.signal, plan.tier, self.members.len()));
    }

    /// Sensors that came in this tick join a group of all, and who has been silent for a minute
    /// leaves it; their keys are to be released. Whether anything changed.
    fn follow(
        &mut self,
        plan: &GroupPlan,
        notices: &[Notice],
        names: &mut SensorIndex,
        gone: &mut Vec<SensorKey>,
        room: usize,
    ) -> bool {
        let (SensorSet::All, Some(ensemble)) = (&plan.sensors, &mut self.ensemble) else {
            return false;
        };
        let before = (self.members.len(), self.left_out);
        for place in ensemble.take_forgotten() {
            ensemble.leave(place);
            gone.push(self.members.remove(place).key);
        }
        let mut changed = !gone.is_empty();
        for notice in notices {
            let Notice::AttributeCame { sensor_id, attribute_id, .. } = notice else { continue };
            let known = |member: &Member| member.sensor_id == *sensor_id;
            if **attribute_id != *plan.attribute_id || self.members.iter().any(known) {
                continue;
            }
            if self.members.len() < room {
                self.members.push(Member::new(Arc::clone(sensor_id), names));
                ensemble.join();
                changed = true;
            } else {
                self.left_out += 1;
            }
        }
        changed || before != (self.members.len(), self.left_out)
    }

    /// What has come into the members' rings since the last time.
    fn listen(
        &mut self,
        plan: &GroupPlan,
        names: &SensorIndex,
        sensors: &Query<&Streams>,
        now: EngineTime,
    ) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let now_us = now.0 as i64;
        for (place, member) in self.members.iter_mut().enumerate() {
            let streams = names.entity(member.key).and_then(|entity| sensors.get(entity).ok());
            let Some(streams) = streams else { continue };
            let still = |found: &Found| {
                let stream = streams.list.get(found.at);
                stream.is_some_and(|stream| stream.alive && member.stream == Some(stream.id))
            };
            let Found { at, value_at } = match member.found.filter(still) {
                Some(found) => found,
                None => {
                    let Some(at) = streams.find(&plan.attribute_id) else { continue };
                    let stream = &streams.list[at];
                    let Some(card) = &stream.card else { continue };
                    if member.stream != Some(stream.id) {
                        // Another life of the sensor; what its ring holds of the past is welcome.
                        (member.stream, member.next) = (Some(stream.id), 0);
                    }
                    *member.found.insert(Found { at, value_at: value_at(&card.shape) })
                }
            };
            let stream = &streams.list[at];
            let run = stream.ring.after(member.next.min(stream.ring.count()));
            member.next = run.to;
            if run.from == run.to {
                continue;
            }
            let person = ensemble.person(place);
            for words in stream.ring.words(run.from, run.to) {
                let device_us = (words[0] as i64).saturating_mul(1_000);
                let value = value_at.and_then(|at| Cell(words[1 + at]).number());
                // A text in place of the usual numbers stands in the first cell alone.
                match value.filter(|_| !Cell(words[1]).is_text()) {
                    Some(value) => person.hear(device_us, value, now_us),
                    None => person.hear_no_number(now_us),
                }
            }
        }
    }
}

impl Member {
    fn new(sensor_id: Arc<str>, names: &mut SensorIndex) -> Self {
        let key = names.acquire_shared(&sensor_id);
        Self { sensor_id, key, stream: None, next: 0, found: None }
    }
}

/// Which cell of such a payload the value is in.
fn value_at(shape: &Shape) -> Option<usize> {
    if shape.width() == 1 {
        return Some(0);
    }
    let skeleton = shape.skeleton();
    VALUE_NAMES.iter().find_map(|name| {
        let behind =
            skeleton.windows(name.len()).position(|part| part == name.as_bytes())? + name.len();
        let is_hole = |byte: &&u8| **byte == Shape::HOLE;
        skeleton.get(behind).filter(is_hole)?;
        Some(skeleton[..behind].iter().filter(is_hole).count())
    })
}

/// Reads every watched group up to now.
pub fn read_groups(
    index: Res<GroupIndex>,
    mut groups: Query<(&Group, &mut Gathering)>,
    names: Res<SensorIndex>,
    sensors: Query<&Streams>,
    viewer_index: Res<ViewerIndex>,
    viewers: Query<(&Viewer, &Grant)>,
    mut shelf: ResMut<FilterShelf>,
    mut out: ResMut<Outgoing>,
    now: Res<Now>,
    parallel: Res<Parallel>,
) {
    const LISTEN_US: u64 = LISTEN_MS * 1_000;
    if index.count() == 0 || now.time.0 / LISTEN_US == now.before.0 / LISTEN_US {
        return;
    }
    for (_, entity) in index.slots.iter().flatten() {
        let Ok((group, mut gathering)) = groups.get_mut(*entity) else { continue };
        gathering.listen(&group.plan, &names, &sensors, now.time);
        let Some(ensemble) = &mut gathering.ensemble else { continue };
        let out = &mut out.0;
        let (readings_at, states_at) = (out.readings.len(), out.states.len());
        let mut second = false;
        ensemble.advance(now.time.0 as i64, &mut shelf.0, parallel.0, |reading, people| {
            out.readings.push(*reading);
            let state = |person: &Person| person.state().map(Phasor::angle);
            out.states.extend(people.iter().map(state));
            let cell = reading.at_us / STEP_US;
            out.values.extend(people.iter().map(|person| person.value(cell).unwrap_or(f64::NAN)));
            second |= (reading.at_us / STEP_US).rem_euclid(PAIR_STEPS) == 0;
        });
        let (pairs_at, watchers_at) = (out.pairs.len(), out.watchers.len());
        let (hearts_at, beats_at) = (out.hearts.len(), out.beats.len());
        if second {
            pairs(ensemble, &mut out.pairs);
        }
        hearts(ensemble, second, &mut out.hearts, &mut out.beats);
        if out.readings.len() == readings_at && out.beats.len() == beats_at {
            continue;
        }
        // Who is busy or looks away gets none of it; there is always a newer one.
        let takes = |viewer: &&ViewerId| {
            let viewer = viewer_index.get(**viewer).and_then(|entity| viewers.get(entity).ok());
            viewer.is_some_and(|(viewer, grant)| viewer.is_looking(grant) && !viewer.busy)
        };
        out.watchers.extend(group.watchers.iter().filter(takes));
        out.groups.push(GroupNews {
            group: group.id,
            readings_at: readings_at as u32,
            reading_count: (out.readings.len() - readings_at) as u32,
            states_at: states_at as u32,
            member_count: ensemble.people().len() as u32,
            pairs_at: pairs_at as u32,
            pair_count: (out.pairs.len() - pairs_at) as u32,
            hearts_at: hearts_at as u32,
            heart_count: (out.hearts.len() - hearts_at) as u32,
            beats_at: beats_at as u32,
            beat_count: (out.beats.len() - beats_at) as u32,
            watchers_at: watchers_at as u32,
            watcher_count: (out.watchers.len() - watchers_at) as u32,
        });
    }
}

/// The beats that were found since the last time, and once a second what they come to.
fn hearts(
    ensemble: &mut Ensemble,
    second: bool,
    readings: &mut Vec<HeartReading>,
    beats: &mut Vec<BeatFound>,
) {
    for (member, heart) in ensemble.hearts() {
        beats.extend(heart.take_found().map(|at_us| BeatFound { member, at_us }));
        if second && let Some(variability) = heart.variability() {
            readings.push(HeartReading { member, variability });
        }
    }
}

/// Every pair of a small group that there is enough data of.
fn pairs(ensemble: &Ensemble, out: &mut Vec<PairReading>) {
    let (Some(history), Some(rhythm_hz)) = (ensemble.history(), ensemble.rhythm_hz()) else {
        return;
    };
    for b in 1..ensemble.people().len() {
        for a in 0..b {
            let Some(found) = history.pair(a, b) else { continue };
            out.push(PairReading {
                a: a as u16,
                b: b as u16,
                plv: found.plv,
                lag_s: pair::lag_s(found.difference, rhythm_hz),
                correlation_lag_s: history.correlation_lag_s(a, b, rhythm_hz),
                common_s: found.common as f64 / GRID_HZ,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_name() {
        for (skeleton, at) in [
            (&b"\x01"[..], Some(0)),
            (b"{\"depth\":\x01}", Some(0)),
            (b"{\"quality\":\x01,\"value\":\x01}", Some(1)),
            (b"{\"v\":\x01,\"t\":\x01}", Some(0)),
            (b"{\"x\":\x01,\"y\":\x01}", None),
            (b"{\"value\":\"high\",\"a\":\x01,\"b\":\x01}", None),
        ] {
            assert_eq!(value_at(&Shape::from_skeleton(skeleton)), at, "{skeleton:?}");
        }
    }
}

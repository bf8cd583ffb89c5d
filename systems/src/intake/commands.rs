//! Applies the strict plane, in the order it was given.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::budget::Grant;
use components::command::{Command, SensorCard, SensorSet};
use components::delivery::{Notice, Refusal, ViewerEnd};
use components::fault::Faults;
use components::id::{FeedId, GroupId, RoomId, ViewerId};
use components::limits;
use components::ring::Ring;
use components::room::Lens;
use components::sample::EngineTime;
use components::sensor::{Attended, Sensor, Stream, Streams};
use components::viewer::{Cursors, Viewer, Watch};

use super::rooms;
use crate::conduct::divide::{CurrentBudget, Flow, Share};
use crate::conduct::judge::Pressed;
use crate::conduct::pace::{Pace, Reports};
use crate::mend;
use crate::sense::gather;
use crate::supervise::Salvage;
use crate::world::{
    Attendance, Feed, Feeds, Incoming, Now, Outgoing, SensorIndex, Settings, ViewerIndex,
};

/// A command over which it panics is lost alone, and whoever gave it is told (see [`lose`]).
pub fn apply_commands(world: &mut World) {
    // What nobody has read in its own tick is out of date.
    let mut reports = world.resource_mut::<Reports>();
    reports.sockets.clear();
    reports.scores.clear();
    let mut salvage = Salvage::default();
    let faults = world.resource::<Faults>().clone();
    let mut commands = std::mem::take(&mut world.resource_mut::<Incoming>().0.commands);
    for (number, command) in commands.drain(..).enumerate() {
        let giver = Giver::of(&command);
        let applied = salvage.attempt(|| {
            faults.strike("apply_commands.command", number as u64);
            apply(world, command);
        });
        if applied.is_none() {
            mend::indices(world);
            lose(world, giver);
        }
    }
    let mut incoming = world.resource_mut::<Incoming>();
    incoming.0.commands = commands;
    for viewer in std::mem::take(&mut incoming.0.busy) {
        if let Some(entity) = world.resource::<ViewerIndex>().get(viewer)
            && let Some(mut viewer) = world.get_mut::<Viewer>(entity)
        {
            viewer.busy = true;
        }
    }
    expire_leases(world);
    salvage.raise();
}

/// Commands are never lost: those that were not come to are applied now.
pub(crate) fn restart(world: &mut World) {
    mend::mend(world);
    let waiting = &world.resource::<Incoming>().0;
    let more = !waiting.commands.is_empty() || !waiting.busy.is_empty();
    if more && catch_unwind(AssertUnwindSafe(|| apply_commands(world))).is_err() {
        mend::mend(world);
    }
}

/// Who must be told when a command is lost.
enum Giver {
    Opening(FeedId),
    Declaring(FeedId, Box<str>),
    Leaving(FeedId),
    Viewer(ViewerId),
    Group(GroupId),
    Room(RoomId),
    /// It will be said again (a lease, a pressure), or the world is a little behind and nothing else:
    /// a name, an attribute that stays, a word that a device does not hear.
    Nobody,
}

impl Giver {
    fn of(command: &Command) -> Self {
        match command {
            Command::OpenFeed { feed, .. } => Self::Opening(*feed),
            Command::DeclareAttribute { feed, attribute_id, .. } => {
                Self::Declaring(*feed, attribute_id.clone())
            }
            Command::CloseFeed { feed } | Command::Retire { feed } => Self::Leaving(*feed),
            Command::OpenViewer { viewer, .. }
            | Command::SetSensors { viewer, .. }
            | Command::SetQuality { viewer, .. }
            | Command::Attend { viewer, .. }
            | Command::EnterRoom { viewer, .. }
            | Command::WatchGroup { viewer, .. }
            | Command::UnwatchGroup { viewer, .. }
            | Command::CloseViewer { viewer } => Self::Viewer(*viewer),
            Command::OpenGroup { group, .. } => Self::Group(*group),
            Command::SetRoom { room, .. } | Command::CloseRoom { room } => Self::Room(*room),
            Command::ForgetAttribute { .. }
            | Command::RenameConnector { .. }
            | Command::Renew { .. }
            | Command::TellDevice { .. }
            | Command::ReportHealth { .. }
            | Command::ReportSockets(_)
            | Command::Press(_)
            | Command::SetLoad(_) => Self::Nobody,
        }
    }
}

/// Tells whoever gave a command over which the engine has panicked. A viewer whose words and whose
/// world are no longer the same is let go, and may come again.
fn lose(world: &mut World, giver: Giver) {
    match giver {
        Giver::Opening(feed) => {
            world.resource_mut::<Feeds>().put(feed, None);
            mend::indices(world);
            notice(world, Notice::FeedRefused { feed, refusal: Refusal::Fault });
        }
        Giver::Declaring(feed, attribute_id) => {
            notice(world, Notice::AttributeRefused { feed, attribute_id });
        }
        Giver::Leaving(feed) => {
            let entity = feed_target(world, feed);
            if let Some(mut sensor) = entity.and_then(|entity| world.get_mut::<Sensor>(entity)) {
                sensor.feeds.retain(|held| *held != feed);
            }
            // Held by nobody, it goes at the end of this tick.
            mend::indices(world);
        }
        Giver::Viewer(viewer) => {
            leave(world, viewer, ViewerEnd::Fault);
            let there = world.query::<&Viewer>().iter(world).any(|there| there.id == viewer);
            if !there {
                notice(world, Notice::ViewerClosed { viewer, why: ViewerEnd::Fault });
            }
        }
        Giver::Group(group) => {
            gather::forget(world, group);
            notice(world, Notice::GroupRefused { group });
        }
        Giver::Room(room) => rooms::lose(world, room),
        Giver::Nobody => {}
    }
}

fn apply(world: &mut World, command: Command) {
    match command {
        Command::OpenFeed { feed, card, owner } => match open_feed(world, feed, *card, owner) {
            Ok(level) => {
                let pacing = world.resource::<CurrentBudget>().budget.pacing(level);
                notice(world, Notice::FeedOpened { feed, pacing });
            }
            Err(refusal) => notice(world, Notice::FeedRefused { feed, refusal }),
        },
        Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
            let Some(entity) = feed_target(world, feed) else { return };
            let place = declare(world, entity, &attribute_id, kind, rate_hz);
            if place.is_none() {
                notice(world, Notice::AttributeRefused { feed, attribute_id });
            }
            if let Some(feed) = world.resource_mut::<Feeds>().get_mut(feed) {
                let index = usize::from(index);
                if feed.streams.len() <= index {
                    feed.streams.reserve_exact(index + 1 - feed.streams.len());
                    feed.streams.resize(index + 1, None);
                }
                feed.streams[index] = place;
            }
        }
        Command::ForgetAttribute { feed, attribute_id } => {
            if let Some(entity) = feed_target(world, feed) {
                crate::reap::forget_attribute(world, entity, &attribute_id);
            }
        }
        Command::RenameConnector { feed, connector_name } => {
            let Some(entity) = feed_target(world, feed) else { return };
            let Some(mut sensor) = world.get_mut::<Sensor>(entity) else { return };
            let card = Arc::make_mut(&mut sensor.card);
            card.connector_name = connector_name.into();
            let renamed = Notice::ConnectorRenamed {
                sensor_id: Arc::clone(&card.sensor_id),
                connector_name: Arc::clone(&card.connector_name),
            };
            notice(world, renamed);
        }
        Command::CloseFeed { feed } => close_feed(world, feed),
        Command::Retire { feed } => retire(world, feed),

        Command::OpenViewer { viewer, sensors, quality } => {
            let lease_until = lease(world);
            let entity = world
                .spawn((
                    Viewer {
                        id: viewer,
                        lens: lens(sensors),
                        attention: Default::default(),
                        choice: quality,
                        lease_until,
                        changed: false,
                        busy: false,
                    },
                    Watch::default(),
                    Cursors::default(),
                    Grant::asked(quality),
                    Pace::default(),
                    Share::default(),
                    Flow::default(),
                ))
                .id();
            world.resource_mut::<ViewerIndex>().put(viewer, Some(entity));
            change(world, viewer, |_| {});
        }
        Command::SetSensors { viewer, sensors } => {
            rooms::turn(world, viewer, lens(sensors));
        }
        Command::SetRoom { room, sensors } => rooms::set(world, room, sensors),
        Command::EnterRoom { viewer, room } => rooms::enter(world, room, viewer),
        Command::CloseRoom { room } => rooms::close(world, room),
        Command::SetQuality { viewer, quality } => {
            change(world, viewer, |viewer| viewer.choice = quality);
        }
        Command::Attend { viewer, attention } => {
            change(world, viewer, |viewer| viewer.attention = *attention);
        }
        Command::Renew { viewer } => {
            let lease_until = lease(world);
            if let Some(entity) = world.resource::<ViewerIndex>().get(viewer)
                && let Some(mut viewer) = world.get_mut::<Viewer>(entity)
            {
                viewer.lease_until = lease_until;
            }
        }
        Command::TellDevice { viewer, sensor_id, words } => {
            tell_device(world, viewer, &sensor_id, &words);
        }
        Command::CloseViewer { viewer } => leave(world, viewer, ViewerEnd::Left),

        Command::OpenGroup { group, plan } => gather::open_group(world, group, *plan),
        Command::WatchGroup { viewer, group } => gather::watch_group(world, viewer, group, true),
        Command::UnwatchGroup { viewer, group } => gather::watch_group(world, viewer, group, false),

        Command::ReportHealth { viewer, score } => {
            world.resource_mut::<Reports>().scores.push((viewer, score.min(100)));
        }
        Command::ReportSockets(reports) => {
            world.resource_mut::<Reports>().sockets.extend(reports);
        }
        Command::Press(pressures) => {
            world.resource_mut::<Pressed>().pressures = Some(*pressures);
        }
        Command::SetLoad(load) => world.resource_mut::<Pressed>().made_up = Some(load),
    }
}

fn notice(world: &mut World, notice: Notice) {
    world.resource_mut::<Outgoing>().0.notices.push(notice);
}

fn feed_target(world: &World, feed: FeedId) -> Option<Entity> {
    world.resource::<Feeds>().get(feed).map(|feed| feed.entity)
}

fn open_feed(
    world: &mut World,
    feed: FeedId,
    card: SensorCard,
    owner: Arc<str>,
) -> Result<Level, Refusal> {
    if card.sensor_id.starts_with(limits::RESERVED_NAME_PREFIX) {
        return Err(Refusal::ReservedName);
    }
    let existing = {
        let index = world.resource::<SensorIndex>();
        index.find(&card.sensor_id).and_then(|key| index.entity(key).map(|entity| (key, entity)))
    };
    let (key, entity) = match existing {
        Some((key, entity)) => {
            let mut sensor = world.get_mut::<Sensor>(entity).expect("the index knows the living");
            if sensor.owner != owner {
                return Err(Refusal::NotOwner);
            }
            sensor.feeds.push(feed);
            sensor.leaves_at = None;
            if *sensor.card != card {
                let card = Arc::new(card);
                sensor.card = Arc::clone(&card);
                notice(world, Notice::SensorCame { card });
            }
            (key, entity)
        }
        None => {
            let limit = world.resource::<Settings>().sensor_count_max;
            let mut index = world.resource_mut::<SensorIndex>();
            if index.live_count() >= limit {
                return Err(Refusal::TooManySensors);
            }
            let key = index.acquire_shared(&card.sensor_id);
            let sensor_type = index.word(&card.sensor_type);
            let card = Arc::new(SensorCard { sensor_type, ..card });
            let entity = world
                .spawn((
                    Sensor {
                        key,
                        card: Arc::clone(&card),
                        owner,
                        feeds: smallvec::smallvec![feed],
                        leaves_at: None,
                    },
                    Attended::default(),
                    Streams::default(),
                ))
                .id();
            world.resource_mut::<SensorIndex>().set_entity(key, Some(entity));
            notice(world, Notice::SensorCame { card });
            (key, entity)
        }
    };
    let feed_entry = Feed { generation: feed.0.generation, entity, streams: Vec::new() };
    world.resource_mut::<Feeds>().put(feed, Some(feed_entry));
    // Whoever already watches this name is heard at once (W1): the level is looked up, not waited
    // for. A change in this same tick follows with `derive_levels`.
    let attendance = world.resource::<Attendance>();
    let level = attendance.of(key).iter().map(|a| a.level).max().unwrap_or_default();
    let level = level.max(attendance.base());
    if let Some(mut attended) = world.get_mut::<Attended>(entity)
        && attended.0 != level
    {
        attended.0 = level;
        let sensor = world.get::<Sensor>(entity).expect("just found or made");
        let sensor_id = Arc::clone(&sensor.card.sensor_id);
        notice(world, Notice::LevelChanged { sensor_id, level });
    }
    Ok(level)
}

/// The place of the attribute in the sensor's list, or `None` if the list is full.
fn declare(
    world: &mut World,
    entity: Entity,
    attribute_id: &str,
    kind: components::attribute::AttributeType,
    rate_hz: Option<f64>,
) -> Option<u16> {
    let streams = world.get::<Streams>(entity)?;
    if let Some(place) = streams.find(attribute_id) {
        return Some(place as u16);
    }
    // A feed's numbers point at places, so a place keeps its name for as long as there are others:
    // what a device still sends of an attribute that was unregistered must not land in another.
    let named = |stream: &Stream| !stream.alive && *stream.attribute_id == *attribute_id;
    let place = match streams.list.iter().position(named) {
        Some(place) => place,
        None if streams.list.len() < limits::SENSOR_ATTRIBUTE_COUNT_MAX => streams.list.len(),
        None => {
            let place = streams.list.iter().position(|stream| !stream.alive)?;
            forget_place(world, entity, place as u16);
            place
        }
    };
    let mut index = world.resource_mut::<SensorIndex>();
    let stream = Stream {
        id: index.new_stream_id(),
        attribute_id: index.word(attribute_id),
        kind,
        alive: true,
        level: Level::None,
        readers: 0,
        rate_hz,
        card: None,
        ring: Ring::new(1),
    };
    let sensor = world.get::<Sensor>(entity)?;
    let (key, sensor_id) = (sensor.key, Arc::clone(&sensor.card.sensor_id));
    let came = Notice::AttributeCame {
        sensor_id,
        attribute_id: Arc::clone(&stream.attribute_id),
        kind,
        rate_hz,
    };
    let mut streams = world.get_mut::<Streams>(entity)?;
    if place == streams.list.len() {
        // Most sensors have one attribute, and there may be a million of them.
        streams.list.reserve_exact(1);
        streams.list.push(stream);
    } else {
        streams.list[place] = stream;
    }
    notice(world, came);
    world.resource_mut::<Attendance>().touch(key);
    Some(place as u16)
}

/// No feed of the sensor means this place any more, those included that are about to go.
fn forget_place(world: &mut World, entity: Entity, place: u16) {
    let held = world.get::<Sensor>(entity).map(|sensor| sensor.feeds.clone()).unwrap_or_default();
    let mut feeds = world.resource_mut::<Feeds>();
    let going: Vec<FeedId> =
        feeds.closing.iter().map(|(_, feed)| *feed).chain(feeds.retiring.iter().copied()).collect();
    for feed in held.into_iter().chain(going) {
        let Some(feed) = feeds.get_mut(feed).filter(|feed| feed.entity == entity) else { continue };
        for mapped in feed.streams.iter_mut().filter(|mapped| **mapped == Some(place)) {
            *mapped = None;
        }
    }
}

fn close_feed(world: &mut World, feed: FeedId) {
    let linger = world.resource::<Settings>().linger_ms;
    let leaves_at = world.resource::<Now>().time.plus_millis(linger);
    if let_go(world, feed, leaves_at) {
        // Samples it sent before it left may still be behind this command.
        world.resource_mut::<Feeds>().closing.push_back((leaves_at, feed));
    }
}

fn retire(world: &mut World, feed: FeedId) {
    if world.resource::<Feeds>().get(feed).is_none() {
        return;
    }
    let now = world.resource::<Now>().time;
    if !let_go(world, feed, now) {
        // Closing already, or retired in this same tick.
        let closing = &mut world.resource_mut::<Feeds>().closing;
        let Some(place) = closing.iter().position(|(_, closing)| *closing == feed) else { return };
        closing.remove(place);
        let entity = world.resource::<Feeds>().get(feed).map(|feed| feed.entity);
        if let Some(mut sensor) = entity.and_then(|entity| world.get_mut::<Sensor>(entity))
            && sensor.feeds.is_empty()
        {
            sensor.leaves_at = Some(now);
        }
    }
    world.resource_mut::<Feeds>().retiring.push_back(feed);
}

/// The feed holds its sensor no longer; the last one says when the sensor goes. False when it
/// held none.
fn let_go(world: &mut World, feed: FeedId, leaves_at: EngineTime) -> bool {
    let Some(entity) = feed_target(world, feed) else { return false };
    let Some(mut sensor) = world.get_mut::<Sensor>(entity) else { return false };
    let before = sensor.feeds.len();
    sensor.feeds.retain(|held| *held != feed);
    if sensor.feeds.len() == before {
        return false;
    }
    if sensor.feeds.is_empty() {
        sensor.leaves_at = Some(leaves_at);
    }
    true
}

/// Passes a word on to every feed of a sensor that the viewer may look at, and to nobody else.
fn tell_device(world: &mut World, viewer: ViewerId, sensor_id: &str, words: &Arc<str>) {
    let asker = world.resource::<ViewerIndex>().get(viewer);
    let Some(asker) = asker.and_then(|entity| world.get::<Viewer>(entity)) else { return };
    if !asker.lens.has(sensor_id) {
        return;
    }
    let index = world.resource::<SensorIndex>();
    let sensor = index.find(sensor_id).and_then(|key| index.entity(key));
    let Some(sensor) = sensor.and_then(|entity| world.get::<Sensor>(entity)) else { return };
    let told = |&feed| Notice::DeviceTold { feed, words: Arc::clone(words) };
    let notices: Vec<Notice> = sensor.feeds.iter().map(told).collect();
    world.resource_mut::<Outgoing>().0.notices.extend(notices);
}

fn lens(sensors: SensorSet) -> Lens {
    match sensors {
        SensorSet::All => Lens::All,
        SensorSet::Ids(ids) => Lens::Ids(ids.into()),
    }
}

fn lease(world: &World) -> EngineTime {
    let lease = world.resource::<Settings>().lease_ms;
    world.resource::<Now>().time.plus_millis(lease)
}

pub(super) fn change(world: &mut World, id: ViewerId, with: impl FnOnce(&mut Viewer)) {
    let Some(entity) = world.resource::<ViewerIndex>().get(id) else { return };
    let Some(mut viewer) = world.get_mut::<Viewer>(entity) else { return };
    with(&mut viewer);
    if !viewer.changed {
        viewer.changed = true;
        world.resource_mut::<ViewerIndex>().changed.push(entity);
    }
}

pub(super) fn leave(world: &mut World, id: ViewerId, why: ViewerEnd) {
    let Some(entity) = world.resource::<ViewerIndex>().get(id) else { return };
    // It claims nothing from this tick on, though it is taken apart only at its end.
    rooms::turn(world, id, Lens::none());
    change(world, id, |viewer| viewer.attention = Default::default());
    world.resource_mut::<ViewerIndex>().put(id, None);
    world.resource_mut::<ViewerIndex>().leaving.push_back((entity, why));
}

/// A viewer whose connection has shown no sign of life goes the way of one that left.
fn expire_leases(world: &mut World) {
    let now = world.resource::<Now>().time;
    let mut over = Vec::new();
    let mut viewers = world.query::<&Viewer>();
    for viewer in viewers.iter(world) {
        if viewer.lease_until < now {
            over.push(viewer.id);
        }
    }
    over.sort_unstable();
    for id in over {
        leave(world, id, ViewerEnd::LeaseOver);
    }
}

//! Which feeds are open, in the words that would open them: what a recording that begins in the
//! midst of things tells those who cannot read the engine's own snapshot.

use bevy_ecs::prelude::*;
use components::command::Command;
use components::id::{FeedId, Handle};
use components::sensor::{Sensor, Streams};

use crate::world::Feeds;

/// For every open feed, by slot: [`Command::OpenFeed`] and its [`Command::DeclareAttribute`]s.
pub fn opened(world: &World) -> Vec<Command> {
    let feeds = world.resource::<Feeds>();
    let mut commands = Vec::new();
    for (slot, feed) in feeds.slots.iter().enumerate() {
        let Some(feed) = feed else { continue };
        let id = FeedId(Handle { slot: slot as u32, generation: feed.generation });
        let sensor = world.get::<Sensor>(feed.entity);
        let Some((sensor, streams)) = sensor.zip(world.get::<Streams>(feed.entity)) else {
            continue;
        };
        if feeds.closing.iter().any(|(_, closing)| *closing == id) {
            continue;
        }
        commands.push(Command::OpenFeed {
            feed: id,
            card: Box::new((*sensor.card).clone()),
            owner: sensor.owner.clone(),
        });
        for (index, place) in feed.streams.iter().enumerate() {
            let stream = place.and_then(|place| streams.list.get(usize::from(place)));
            let Some(stream) = stream.filter(|stream| stream.alive) else { continue };
            commands.push(Command::DeclareAttribute {
                feed: id,
                index: index as u16,
                attribute_id: (*stream.attribute_id).into(),
                kind: stream.kind,
                rate_hz: stream.rate_hz,
            });
        }
    }
    commands
}

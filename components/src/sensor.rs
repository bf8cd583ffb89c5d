//! What measures. One archetype for all sensors, so that their columns are single runs of memory
//! and a tick can walk them in parallel; levels and marks are values, never marker components.

use std::sync::Arc;

use bevy_ecs::component::Component;
use smallvec::SmallVec;

use crate::attention::Level;
use crate::attribute::AttributeType;
use crate::command::SensorCard;
use crate::delivery::StreamCard;
use crate::id::{FeedId, SensorKey, StreamId};
use crate::ring::Ring;
use crate::sample::EngineTime;

/// Who a sensor is, and who holds it. Written by `intake::apply_commands` alone.
#[derive(Component, Debug)]
pub struct Sensor {
    pub key: SensorKey,
    pub card: Arc<SensorCard>,
    /// The account that made the sensor. Nobody else feeds it (`reference/core.md` W26).
    pub owner: Arc<str>,
    /// Connections that feed it. Several may share one sensor.
    pub feeds: SmallVec<[FeedId; 1]>,
    /// When the last feed left: the sensor goes at this time unless one returns
    /// (`reference/wire.md` H7).
    pub leaves_at: Option<EngineTime>,
}

/// How strongly a sensor is looked at. Written by `attend::derive_levels` alone.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attended(pub Level);

/// A sensor's attributes. An index into `list` stays good while the attribute lives.
#[derive(Component, Debug, Default)]
pub struct Streams {
    pub list: Vec<Stream>,
    /// The tick of the last push, to notice the first of a tick.
    pub pushed_in_tick: u64,
}

/// One attribute of one sensor, and its recent past.
#[derive(Debug)]
pub struct Stream {
    pub id: StreamId,
    pub attribute_id: Arc<str>,
    pub kind: AttributeType,
    /// False once the attribute was unregistered; its place is used again when it returns, or by
    /// another when the list is full.
    pub alive: bool,
    /// Strongest claim on this attribute. Written with [`Attended`].
    pub level: Level,
    /// Viewers with a cursor on this stream.
    pub readers: u32,
    /// Hz, as declared.
    pub rate_hz: Option<f64>,
    /// There from the first sample on, which fixes the shape.
    pub card: Option<Arc<StreamCard>>,
    pub ring: Ring,
}

impl Streams {
    /// The index of the live attribute of this id.
    pub fn find(&self, attribute_id: &str) -> Option<usize> {
        self.list.iter().position(|stream| stream.alive && &*stream.attribute_id == attribute_id)
    }
}

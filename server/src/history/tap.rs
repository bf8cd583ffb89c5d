//! History's part on the pump's thread: a copy of what the sensors that are kept send.
//!
//! It hears who opens which feed before the tick, and whether that was granted behind it: what a feed
//! sends that is refused is nobody's past.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use components::command::{Command, Inputs};
use components::delivery::{Deliveries, Notice};
use components::id::{FeedId, Handle};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{History, Order, Piece, SensorKey, Stream, lock};
use crate::pump::World;

/// Attributes of one feed; the doors allow fewer.
const ATTRIBUTE_COUNT_MAX: usize = 1 << 12;

/// A feed of a sensor that is kept.
#[derive(Debug)]
struct Feed {
    key: SensorKey,
    is_open: bool,
    /// By index, as declared.
    attributes: Vec<Option<Attribute>>,
}

#[derive(Debug)]
struct Attribute {
    stream: Arc<Stream>,
    /// In which piece it has a number, and which.
    piece: u64,
    number: u32,
}

/// The pump's hold on the history.
#[derive(Debug, Default)]
pub struct Tap {
    history: Option<Arc<History>>,
    wanted: FxHashSet<SensorKey>,
    feeds: FxHashMap<FeedId, Feed>,
    /// Of this tick.
    piece: Piece,
    piece_count: u64,
}

impl Tap {
    pub fn new(history: Arc<History>) -> Self {
        Self { history: Some(history), ..Self::default() }
    }

    /// Between two ticks: which sensors are kept.
    pub fn follow<W: World>(&mut self, world: &W) {
        let Some(history) = &self.history else { return };
        if !history.ordered.swap(false, Ordering::AcqRel) {
            return;
        }
        let orders = std::mem::take(&mut *lock(&history.orders));
        for order in orders {
            match order {
                Order::Keep(key) => drop(self.wanted.insert(key)),
                Order::Leave(key) => {
                    self.wanted.remove(&key);
                    self.feeds.retain(|_, feed| feed.key != key);
                }
            }
        }
        // Whoever sends already has opened its feed before anybody wanted it kept.
        for command in world.devices() {
            self.hear(&command, true);
        }
    }

    fn hear(&mut self, command: &Command, is_open: bool) {
        match command {
            Command::OpenFeed { feed, card, .. } => {
                let key = SensorKey::of(&card.sensor_id);
                if self.wanted.contains(&key) && !self.feeds.contains_key(feed) {
                    self.feeds.insert(*feed, Feed { key, is_open, attributes: Vec::new() });
                }
            }
            Command::DeclareAttribute { feed, index, attribute_id, .. } => {
                let Some(feed) = self.feeds.get_mut(feed) else { return };
                let index = usize::from(*index);
                if index < ATTRIBUTE_COUNT_MAX {
                    feed.attributes.resize_with(feed.attributes.len().max(index + 1), || None);
                    let attribute_id = Arc::from(&**attribute_id);
                    let stream = Arc::new(Stream { key: feed.key, attribute_id });
                    feed.attributes[index] = Some(Attribute { stream, piece: 0, number: 0 });
                }
            }
            Command::ForgetAttribute { feed, attribute_id } => {
                let Some(feed) = self.feeds.get_mut(feed) else { return };
                for place in &mut feed.attributes {
                    if place.as_ref().is_some_and(|a| *a.stream.attribute_id == **attribute_id) {
                        *place = None;
                    }
                }
            }
            _ => {}
        }
    }

    /// Right before the tick.
    pub fn before(&mut self, inputs: &Inputs) {
        if self.wanted.is_empty() {
            return;
        }
        for command in &inputs.commands {
            self.hear(command, false);
        }
        if self.feeds.is_empty() {
            return;
        }
        self.piece_count += 1;
        for n in 0..inputs.samples.len() {
            let (feed, index) = inputs.samples.address(n);
            let Some(feed) = self.feeds.get_mut(&feed) else { continue };
            let Some(Some(attribute)) = feed.attributes.get_mut(usize::from(index)) else {
                continue;
            };
            if attribute.piece != self.piece_count {
                attribute.piece = self.piece_count;
                attribute.number = self.piece.streams.len() as u32;
                self.piece.streams.push(Arc::clone(&attribute.stream));
            }
            let number =
                FeedId(Handle { slot: attribute.number, generation: u32::from(!feed.is_open) });
            let (_, _, stamp, payload) = inputs.samples.get(n);
            self.piece.samples.push(number, 0, stamp, payload);
        }
    }

    /// Right behind it.
    pub fn behind(&mut self, deliveries: &Deliveries) {
        let Some(history) = &self.history else { return };
        if self.feeds.is_empty() {
            return;
        }
        let mut refused = false;
        for notice in &deliveries.notices {
            match notice {
                Notice::FeedOpened { feed, .. } => {
                    if let Some(feed) = self.feeds.get_mut(feed) {
                        feed.is_open = true;
                    }
                }
                Notice::FeedRefused { feed, .. } | Notice::FeedClosed { feed } => {
                    refused |= self.feeds.remove(feed).is_some_and(|feed| !feed.is_open);
                }
                _ => {}
            }
        }
        let piece = std::mem::take(&mut self.piece);
        if piece.samples.is_empty() {
            return;
        }
        if !refused {
            return history.offer(piece);
        }
        // Rare: somebody was not let in. Of this tick, only what came over feeds that were open
        // before it is sure to be the sensor's own.
        let mut sure = Piece { streams: piece.streams, ..Piece::default() };
        for n in 0..piece.samples.len() {
            let (number, index, stamp, payload) = piece.samples.get(n);
            if number.0.generation == 0 {
                sure.samples.push(number, index, stamp, payload);
            }
        }
        history.offer(sure);
    }
}

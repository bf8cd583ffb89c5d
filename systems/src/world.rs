//! What the world keeps besides its entities: indices, the books, and what comes in and goes out.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use components::attention::Level;
use components::attribute::{AttributeType, Limits};
use components::class::Class;
use components::command::Inputs;
use components::delivery::Deliveries;
use components::id::{FeedId, RoomId, SensorKey, ViewerId};
use components::ledger::{Ledger, Reason};
use components::load::LoadLevel;
use components::sample::EngineTime;
use components::viewer::Quality;
use rustc_hash::{FxHashMap, FxHashSet};

/// Bounds and times that an operator may set.
#[derive(Resource, Debug, Clone)]
pub struct Settings {
    /// Sensors at once, those that linger included.
    pub sensor_count_max: usize,
    /// Bytes of all rings together. Rings become shorter before it is reached, and stop growing
    /// at it.
    pub ring_bytes_max: usize,
    /// How long a sensor stays after its last device left, so that one that returns finds it
    /// (`reference/wire.md` H7).
    pub linger_ms: u64,
    /// How long a viewer's claims hold without a sign of life (`reference/core.md` W5).
    pub lease_ms: u64,
    /// Samples of the past in one flush to one viewer; what is left follows with the next.
    pub seed_sample_count_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sensor_count_max: 1_000_000,
            ring_bytes_max: 1 << 30,
            linger_ms: 5_000,
            lease_ms: 90_000,
            seed_sample_count_max: 20_000,
        }
    }
}

/// When it is. Written before each tick by the engine.
#[derive(Resource, Debug, Default, Clone, Copy)]
pub struct Now {
    pub time: EngineTime,
    pub before: EngineTime,
    /// Ticks since the beginning; the first is 1.
    pub tick: u64,
}

impl Now {
    /// Whether `quality` flushes in this tick: its intervals form a grid over engine time, the
    /// same for all viewers, so that viewers of one quality can share what is cut.
    pub fn is_due(&self, quality: Quality) -> bool {
        quality.interval_ms().is_some_and(|ms| self.passes(ms))
    }

    /// Whether a line of the grid of `ms` milliseconds lies between the tick before and this one.
    pub fn passes(&self, ms: u64) -> bool {
        self.time.0 / (ms * 1000) != self.before.0 / (ms * 1000)
    }
}

#[derive(Resource, Debug, Default)]
pub struct Incoming(pub Inputs);

#[derive(Resource, Debug, Default)]
pub struct Outgoing(pub Deliveries);

/// The running totals. See [`components::ledger`].
#[derive(Resource, Debug, Default, Clone, Copy)]
pub struct Books {
    pub store: Ledger,
    /// Without `kept`, and without what aged out ahead of a cursor that has not noticed yet: both
    /// are found by walking, in [`crate::audit`].
    pub lens: Ledger,
    /// Samples stored, by class.
    pub by_class: [u64; Class::COUNT],
    /// Samples that the door kept out because their class had no share left, by class.
    pub shed: [u64; Class::COUNT],
}

impl Books {
    /// Takes up what a door has kept out.
    pub(crate) fn refuse(&mut self, (class, reason, count): (Class, Reason, u64)) {
        self.store.received += count;
        self.store.drop(reason, count);
        if reason == Reason::Shed {
            self.shed[class as usize] += count;
        }
    }
}

/// Whether to use the rayon pool the tick runs in. Without it, everything runs in order on the
/// calling thread, and nothing wakes a pool.
#[derive(Resource, Debug, Default, Clone, Copy)]
pub struct Parallel(pub bool);

/// Reads nanoseconds. The engine has no clock: its door may lend it one to time its systems.
#[derive(Resource, Debug, Clone, Copy)]
pub struct Stopwatch(pub fn() -> u64);

impl Stopwatch {
    pub fn read(&self) -> u64 {
        (self.0)()
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self(|| 0)
    }
}

/// Nanoseconds by system, of the last tick.
#[derive(Resource, Debug)]
pub struct Timings {
    names: Vec<&'static str>,
    nanos: Vec<u64>,
    began: u64,
}

impl Timings {
    pub(crate) fn new(names: Vec<&'static str>) -> Self {
        Self { nanos: vec![0; names.len()], names, began: 0 }
    }

    pub(crate) fn begin(&mut self, nanos: u64) {
        self.began = nanos;
    }

    pub(crate) fn end(&mut self, index: usize, nanos: u64) {
        self.nanos[index] = nanos.saturating_sub(self.began);
    }

    pub fn by_system(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.iter().copied().zip(self.nanos.iter().copied())
    }
}

/// Names of sensors and where they are. A key lives while its sensor does, or a viewer asks for
/// it; then it is used again.
#[derive(Resource, Debug, Default)]
pub struct SensorIndex {
    names: FxHashMap<Arc<str>, SensorKey>,
    slots: Vec<SensorSlot>,
    free: Vec<SensorKey>,
    live_count: usize,
    next_stream: u32,
    /// Words that many sensors share (attribute ids, sensor types), each kept once.
    words: FxHashSet<Arc<str>>,
}

/// Words kept once. Beyond, each sensor keeps its own: nothing grows with hostile names.
const SHARED_WORD_COUNT_MAX: usize = 1024;

#[derive(Debug)]
struct SensorSlot {
    name: Arc<str>,
    entity: Option<Entity>,
    references: u32,
}

impl SensorIndex {
    /// The key of this name, which must be [released](Self::release) as often as it was acquired.
    pub fn acquire(&mut self, name: &str) -> SensorKey {
        if let Some(&key) = self.names.get(name) {
            self.slots[key.0 as usize].references += 1;
            return key;
        }
        self.insert(name.into())
    }

    /// As [`acquire`](Self::acquire), sharing the name's memory.
    pub(crate) fn acquire_shared(&mut self, name: &Arc<str>) -> SensorKey {
        if self.names.contains_key(name) {
            self.acquire(name)
        } else {
            self.insert(Arc::clone(name))
        }
    }

    fn insert(&mut self, name: Arc<str>) -> SensorKey {
        let slot = SensorSlot { name: Arc::clone(&name), entity: None, references: 1 };
        let key = match self.free.pop() {
            Some(key) => {
                self.slots[key.0 as usize] = slot;
                key
            }
            None => {
                self.slots.push(slot);
                SensorKey(self.slots.len() as u32 - 1)
            }
        };
        self.names.insert(name, key);
        key
    }

    pub fn release(&mut self, key: SensorKey) {
        let slot = &mut self.slots[key.0 as usize];
        slot.references -= 1;
        if slot.references == 0 {
            assert!(slot.entity.is_none(), "a live sensor holds its own key");
            self.names.remove(&slot.name);
            self.free.push(key);
        }
    }

    pub fn find(&self, name: &str) -> Option<SensorKey> {
        self.names.get(name).copied()
    }

    pub fn entity(&self, key: SensorKey) -> Option<Entity> {
        self.slots.get(key.0 as usize)?.entity
    }

    pub(crate) fn set_entity(&mut self, key: SensorKey, entity: Option<Entity>) {
        let slot = &mut self.slots[key.0 as usize];
        self.live_count =
            self.live_count + usize::from(entity.is_some()) - usize::from(slot.entity.is_some());
        slot.entity = entity;
    }

    pub fn live_count(&self) -> usize {
        self.live_count
    }

    /// Every key there might be: some are free, some have no sensor.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = SensorKey> + use<> {
        (0..self.slots.len() as u32).map(SensorKey)
    }

    /// This word, shared with whoever else uses it.
    pub(crate) fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(word) = self.words.get(word) {
            return Arc::clone(word);
        }
        let word: Arc<str> = word.into();
        if self.words.len() < SHARED_WORD_COUNT_MAX {
            self.words.insert(Arc::clone(&word));
        }
        word
    }

    /// The name behind every key, from key 0 on; `None` where the key is free.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = Option<&Arc<str>>> {
        self.slots.iter().map(|slot| (slot.references > 0).then_some(&slot.name))
    }

    /// The name behind this key, if it is not free or nobody has acquired it yet.
    pub(crate) fn name(&self, key: SensorKey) -> Option<&Arc<str>> {
        let name = &self.slots.get(key.0 as usize)?.name;
        (self.names.get(name) == Some(&key)).then_some(name)
    }

    /// Free keys; the last is given out next.
    pub(crate) fn free(&self) -> &[SensorKey] {
        &self.free
    }

    /// The last id that was given to a stream.
    pub(crate) fn last_stream(&self) -> u32 {
        self.next_stream
    }

    /// An index of these names, which nobody holds yet: what holds them must acquire them. `None`
    /// when a name is there twice.
    pub(crate) fn with_names(
        names: Vec<Option<Arc<str>>>,
        free: Vec<SensorKey>,
        last_stream: u32,
    ) -> Option<Self> {
        let mut index = Self { free, next_stream: last_stream, ..Self::default() };
        let nobody: Arc<str> = "".into();
        for (key, name) in names.into_iter().enumerate() {
            if let Some(name) = &name
                && index.names.insert(Arc::clone(name), SensorKey(key as u32)).is_some()
            {
                return None;
            }
            let name = name.unwrap_or_else(|| Arc::clone(&nobody));
            index.slots.push(SensorSlot { name, entity: None, references: 0 });
        }
        Some(index)
    }

    /// Forgets who holds what and where sensors are, to be told again: by
    /// [`seat`](Self::seat) for every sensor, by [`acquire`](Self::acquire) for every claim, and
    /// then [`sweep`](Self::sweep).
    pub(crate) fn forget_holders(&mut self) {
        for slot in &mut self.slots {
            (slot.entity, slot.references) = (None, 0);
        }
        self.live_count = 0;
    }

    /// This sensor is there, under this key.
    pub(crate) fn seat(&mut self, key: SensorKey, name: &Arc<str>, entity: Entity) {
        let slot = &mut self.slots[key.0 as usize];
        *slot = SensorSlot { name: Arc::clone(name), entity: Some(entity), references: 1 };
        self.names.insert(Arc::clone(name), key);
        self.free.retain(|free| *free != key);
        self.live_count += 1;
    }

    /// Names that nobody holds are free.
    pub(crate) fn sweep(&mut self) {
        for (slot, key) in self.slots.iter().zip((0..).map(SensorKey)) {
            if slot.references == 0 && self.names.get(&slot.name) == Some(&key) {
                self.names.remove(&slot.name);
                self.free.push(key);
            }
        }
    }

    /// Whether every name is held by somebody.
    pub(crate) fn all_held(&self) -> bool {
        self.slots.iter().filter(|slot| slot.references > 0).count() == self.names.len()
    }

    pub(crate) fn new_stream_id(&mut self) -> components::id::StreamId {
        self.next_stream += 1;
        components::id::StreamId(self.next_stream)
    }
}

/// Which sensor a feed speaks for, and what its attribute indices mean.
#[derive(Resource, Debug, Default)]
pub struct Feeds {
    pub(crate) slots: Vec<Option<Feed>>,
    /// Closed feeds whose last samples may still be on their way, with the time they go.
    pub(crate) closing: std::collections::VecDeque<(EngineTime, FeedId)>,
    /// Feeds that go at the end of this tick.
    pub(crate) retiring: std::collections::VecDeque<FeedId>,
}

#[derive(Debug)]
pub struct Feed {
    pub generation: u32,
    pub entity: Entity,
    /// From the feed's attribute index to the place in the sensor's list.
    pub streams: Vec<Option<u16>>,
}

impl Feeds {
    pub fn get(&self, id: FeedId) -> Option<&Feed> {
        self.slots
            .get(id.0.slot as usize)?
            .as_ref()
            .filter(|feed| feed.generation == id.0.generation)
    }

    pub(crate) fn get_mut(&mut self, id: FeedId) -> Option<&mut Feed> {
        self.slots
            .get_mut(id.0.slot as usize)?
            .as_mut()
            .filter(|feed| feed.generation == id.0.generation)
    }

    pub(crate) fn put(&mut self, id: FeedId, feed: Option<Feed>) {
        let slot = id.0.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = feed;
    }
}

/// Where viewers are.
#[derive(Resource, Debug, Default)]
pub struct ViewerIndex {
    pub(crate) slots: Vec<Option<(u32, Entity)>>,
    count: usize,
    /// Viewers whose words changed in this tick, in order.
    pub changed: Vec<Entity>,
    /// Viewers of whom something is known that may change what they are served.
    pub(crate) regraded: Vec<Entity>,
    /// Viewers that are to go at the end of this tick.
    pub leaving: std::collections::VecDeque<(Entity, components::delivery::ViewerEnd)>,
}

/// The rooms that somebody looks into.
#[derive(Resource, Debug, Default)]
pub struct RoomIndex(FxHashMap<RoomId, Entity>);

impl RoomIndex {
    pub fn get(&self, id: RoomId) -> Option<Entity> {
        self.0.get(&id).copied()
    }

    pub(crate) fn put(&mut self, id: RoomId, entity: Option<Entity>) -> Option<Entity> {
        match entity {
            Some(entity) => self.0.insert(id, entity),
            None => self.0.remove(&id),
        }
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl ViewerIndex {
    pub fn get(&self, id: ViewerId) -> Option<Entity> {
        let (generation, entity) = (*self.slots.get(id.0.slot as usize)?)?;
        (generation == id.0.generation).then_some(entity)
    }

    pub(crate) fn put(&mut self, id: ViewerId, entity: Option<Entity>) {
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

    /// What this viewer is served must be decided anew.
    pub(crate) fn regrade(&mut self, viewer: Entity) {
        self.regraded.push(viewer);
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = (ViewerId, Entity)> {
        self.slots.iter().enumerate().filter_map(|(slot, at)| {
            let (generation, entity) = (*at)?;
            let slot = slot as u32;
            Some((ViewerId(components::id::Handle { slot, generation }), entity))
        })
    }
}

/// Who claims what: the inverse of every [`Watch`](components::viewer::Watch).
#[derive(Resource, Debug, Default)]
pub struct Attendance {
    /// By sensor key.
    pub(crate) by_sensor: Vec<Vec<Attendee>>,
    /// How many claim all sensors, by level.
    pub(crate) on_all: [u32; 4],
    /// Sensors whose levels must be derived anew.
    pub(crate) touched: Vec<SensorKey>,
    pub(crate) all_touched: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Attendee {
    pub(crate) viewer: Entity,
    pub(crate) attribute: Option<Arc<str>>,
    pub(crate) level: Level,
}

/// Touched sensors are noted one by one up to here; beyond, all of them are visited.
const TOUCHED_COUNT_MAX: usize = 1 << 16;

impl Attendance {
    /// This sensor's levels must be derived anew.
    pub(crate) fn touch(&mut self, key: SensorKey) {
        if self.all_touched {
            return;
        }
        if self.touched.len() == TOUCHED_COUNT_MAX {
            self.touched.clear();
            self.all_touched = true;
            return;
        }
        self.touched.push(key);
    }

    /// Whether levels follow from the claims as they are, or are yet to be derived.
    pub(crate) fn is_settled(&self) -> bool {
        !self.all_touched && self.touched.is_empty()
    }

    pub(crate) fn of(&self, key: SensorKey) -> &[Attendee] {
        self.by_sensor.get(key.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The strongest claim on all sensors.
    pub(crate) fn base(&self) -> Level {
        Level::ALL
            .into_iter()
            .rev()
            .find(|&level| self.on_all[level as usize] > 0)
            .unwrap_or_default()
    }
}

/// Sensors with samples that viewers of a quality have not been offered yet.
#[derive(Resource, Debug, Default)]
pub struct Fresh {
    /// By sensor key: one bit per quality.
    pub(crate) marks: Vec<u8>,
    /// By quality: the keys marked, each once.
    pub(crate) lists: [Vec<SensorKey>; Quality::ALL.len()],
    /// Bits of the qualities that any viewer has. For the others nothing is noted.
    pub(crate) wanted: u8,
}

impl Fresh {
    pub(crate) fn bit(quality: Quality) -> u8 {
        1 << quality as u8
    }

    pub(crate) fn mark(&mut self, key: SensorKey) {
        let slot = key.0 as usize;
        if self.marks.len() <= slot {
            self.marks.resize(slot + 1, 0);
        }
        let new = self.wanted & !self.marks[slot];
        if new == 0 {
            return;
        }
        self.marks[slot] |= new;
        for quality in Quality::ALL {
            if new & Self::bit(quality) != 0 {
                self.lists[quality as usize].push(key);
            }
        }
    }

    pub(crate) fn is_marked(&self, key: SensorKey, quality: Quality) -> bool {
        self.marks.get(key.0 as usize).is_some_and(|marks| marks & Self::bit(quality) != 0)
    }

    pub(crate) fn clear(&mut self, quality: Quality) {
        for key in self.lists[quality as usize].drain(..) {
            self.marks[key.0 as usize] &= !Self::bit(quality);
        }
    }
}

/// The memory that rings take, and how short they are held.
#[derive(Resource, Debug)]
pub struct Memory {
    pub bytes: i64,
    /// Limits are divided by two to this power while the budget presses.
    pub squeeze: u32,
    /// The next key that the running sweep visits, if one runs.
    pub(crate) sweep_from: Option<u32>,
    /// The load for which rings were last swept or written.
    pub(crate) swept_for: LoadLevel,
}

impl Default for Memory {
    fn default() -> Self {
        Self { bytes: 0, squeeze: 0, sweep_from: None, swept_for: LoadLevel::Normal }
    }
}

impl Memory {
    /// Halvings of the limits at most: at 2^-6 an ECG keeps 4 hot and 7 warm.
    pub(crate) const SQUEEZE_MAX: u32 = 6;
    /// Hot samples that a squeeze leaves.
    const HOT_MIN: u32 = 4;

    /// What a ring of `kind` may hold now, of an attribute at this level of attention. Load shortens
    /// no ring that somebody points at: at the shortest it holds less than a device sends at once, and
    /// that would be lost to whoever looks before it could be sent on. The memory's own limit does.
    pub fn limits(&self, kind: AttributeType, attention: Level, load: LoadLevel) -> Limits {
        let limits = kind.limits(if attention == Level::High { LoadLevel::Normal } else { load });
        if self.squeeze == 0 {
            return limits;
        }
        Limits {
            hot: (limits.hot >> self.squeeze).max(Self::HOT_MIN.min(limits.hot)),
            warm: limits.warm >> self.squeeze,
        }
    }
}

//! What must be true: a plain model of the engine's promises that shares none of its code. It sees
//! the same commands and samples, and holds every delivery, notice and figure against its own
//! books.
//!
//! The model keeps every sample ever accepted, by push count, and looks everything up anew each
//! tick. It is slow and small, so that it can be believed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use components::attention::{Battery, Level};
use components::attribute::AttributeType;
use components::command::{Attention, Command, Refused, SensorCard, SensorSet, Target};
use components::delivery::{Deliveries, Form, Notice, Slice};
use components::id::{FeedId, RoomId, StreamId, ViewerId};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::viewer::Quality;
use engine::{Audit, Settings, TickReport};

/// A broken promise: which checker found it, and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) checker: &'static str,
    pub(super) sentence: String,
}

macro_rules! broken {
    ($checker:literal, $($words:tt)*) => {
        Broken { checker: $checker, sentence: format!($($words)*) }
    };
}

macro_rules! must {
    ($holds:expr, $checker:literal, $($words:tt)*) => {
        if !$holds {
            return Err(broken!($checker, $($words)*));
        }
    };
}

/// A sample on its way in, beside its copy in the engine's inputs.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) feed: FeedId,
    pub(super) index: u16,
    pub(super) timestamp: i64,
    /// What it says, with what rides along.
    pub(super) json: String,
    /// It is a bare number.
    pub(super) number: Option<f64>,
    /// It has a shape other than a single leaf's, and is not kept as text from the start.
    pub(super) shaped: bool,
    /// Numbers, booleans and nulls in it.
    pub(super) width: usize,
}

#[derive(Debug)]
struct Sensor {
    /// Counts the lives of all sensors: a sensor that returns is another.
    life: u32,
    owner: String,
    card: SensorCard,
    feeds: Vec<FeedId>,
    leaves_at: Option<u64>,
    /// By attribute.
    streams: BTreeMap<String, Stream>,
    /// As last announced.
    told: Level,
    /// Somebody points at it, or did: load shortens none of its rings while they do.
    was_pointed_at: bool,
}

#[derive(Debug)]
struct Stream {
    serial: u32,
    kind: AttributeType,
    rate_hz: Option<f64>,
    samples: Vec<Kept>,
    /// Bare leaves and texts, by its first sample.
    scalar: bool,
    id: Option<StreamId>,
    /// Samples from here on are in the ring for sure, as far as its limits reach.
    whole_from: u64,
    /// Bytes of the largest sample so far.
    sample_bytes: i64,
}

#[derive(Debug)]
struct Kept {
    timestamp: i64,
    json: u64,
    number: Option<f64>,
}

#[derive(Debug)]
struct Feed {
    sensor: String,
    life: u32,
    /// What its numbers stand for.
    attributes: Vec<Option<String>>,
    paced: (Level, Load),
}

#[derive(Debug)]
struct Viewer {
    sensors: SensorSet,
    /// Then `sensors` are what is measured there.
    room: Option<RoomId>,
    attention: Attention,
    quality: Quality,
    lease_until: u64,
    cursors: BTreeMap<u32, Cursor>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    next: u64,
    whole: u64,
    resting: bool,
}

/// What a viewer asks for, worked out from its words.
struct Wish {
    all: bool,
    sensors: BTreeSet<String>,
    strong: Vec<Target>,
}

/// Ticks in which a full budget has halved all limits as often as it may.
const SQUEEZE_TICKS: usize = 8;

/// Samples of each stream that stay however short memory is, with the room for as many again.
const FLOOR_SAMPLE_COUNT: i64 = 32;

/// The model. See the module.
#[derive(Debug)]
pub(super) struct Model {
    settings: Settings,
    roomy: bool,
    now: u64,
    before: u64,
    load: Load,
    sensors: BTreeMap<String, Sensor>,
    feeds: BTreeMap<FeedId, Feed>,
    closing: VecDeque<(u64, FeedId)>,
    retiring: Vec<FeedId>,
    viewers: BTreeMap<ViewerId, Viewer>,
    /// What is measured there.
    rooms: BTreeMap<RoomId, Vec<Box<str>>>,
    busy: BTreeSet<ViewerId>,
    lives: u32,
    serials: u32,
    /// Every stream id ever seen, and whose it is.
    stream_ids: BTreeMap<StreamId, u32>,
    /// The notices that must come with this tick, in words; levels and pacing are checked by
    /// what they lead to.
    expected: Vec<String>,
    /// Bytes that rings may have grown by in the last ticks, this one first.
    growth: [i64; SQUEEZE_TICKS],

    received: u64,
    unknown: u64,
    refused: [u64; Reason::COUNT],
    delivered: u64,
    coalesced: u64,
    missed: u64,
}

impl Model {
    pub(super) fn new(settings: &Settings, roomy: bool) -> Self {
        Self {
            settings: settings.clone(),
            roomy,
            now: 0,
            before: 0,
            load: Load::default(),
            sensors: BTreeMap::new(),
            feeds: BTreeMap::new(),
            closing: VecDeque::new(),
            retiring: Vec::new(),
            viewers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            busy: BTreeSet::new(),
            lives: 0,
            serials: 0,
            stream_ids: BTreeMap::new(),
            expected: Vec::new(),
            growth: [0; SQUEEZE_TICKS],
            received: 0,
            unknown: 0,
            refused: [0; Reason::COUNT],
            delivered: 0,
            coalesced: 0,
            missed: 0,
        }
    }

    pub(super) fn samples(&self) -> u64 {
        self.received
    }

    /// Takes in what the engine is about to be given.
    pub(super) fn take(
        &mut self,
        now: u64,
        commands: &[Command],
        sent: &[Sent],
        busy: &[ViewerId],
        refused: &[Refused],
    ) {
        (self.before, self.now) = (self.now, now);
        self.expected.clear();
        let load_before = self.load.level;
        for command in commands {
            self.command(command);
        }
        self.busy = busy.iter().copied().collect();
        let over: Vec<ViewerId> = self
            .viewers
            .iter()
            .filter(|(_, viewer)| viewer.lease_until < now)
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.viewers.remove(&id);
            self.expected.push(format!("viewer {:?} closed, LeaseOver", id.0));
        }
        for &(_, reason, count) in refused {
            self.received += count;
            self.refused[reason as usize] += count;
        }
        self.growth.rotate_right(1);
        self.growth[0] = 0;
        for sample in sent {
            self.received += 1;
            if !self.accept(sample) {
                self.unknown += 1;
            }
        }
        // The load is judged behind the intake: what came in was kept as the one before allowed.
        if self.load.level != load_before {
            for stream in self.sensors.values_mut().flat_map(|s| s.streams.values_mut()) {
                stream.whole_from = stream.held_from(load_before, true);
            }
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::OpenFeed { feed, card, owner } => self.open_feed(*feed, card, owner),
            Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
                let Some(held) = self.feeds.get_mut(feed) else { return };
                let Some(sensor) = self.sensors.get_mut(&held.sensor) else { return };
                if sensor.life != held.life {
                    return;
                }
                let index = usize::from(*index);
                if held.attributes.len() <= index {
                    held.attributes.resize(index + 1, None);
                }
                held.attributes[index] = Some(attribute_id.to_string());
                if !sensor.streams.contains_key(&**attribute_id) {
                    self.serials += 1;
                    let stream = Stream {
                        serial: self.serials,
                        kind: *kind,
                        rate_hz: *rate_hz,
                        samples: Vec::new(),
                        scalar: true,
                        id: None,
                        whole_from: 0,
                        sample_bytes: 0,
                    };
                    sensor.streams.insert(attribute_id.to_string(), stream);
                    let name = &held.sensor;
                    self.expected.push(format!("{name} has {attribute_id} of {kind:?}"));
                }
            }
            Command::ForgetAttribute { feed, attribute_id } => {
                let Some((name, sensor)) = sensor_of(&self.feeds, &mut self.sensors, *feed) else {
                    return;
                };
                if let Some(stream) = sensor.streams.remove(&**attribute_id) {
                    self.expected.push(format!("{name} lost {attribute_id}"));
                    for viewer in self.viewers.values_mut() {
                        viewer.cursors.remove(&stream.serial);
                    }
                }
            }
            Command::RenameConnector { feed, connector_name } => {
                if let Some((name, sensor)) = sensor_of(&self.feeds, &mut self.sensors, *feed) {
                    sensor.card.connector_name = (&**connector_name).into();
                    self.expected.push(format!("{name} is on {connector_name}"));
                }
            }
            Command::CloseFeed { feed } => {
                let until = self.now + self.settings.linger_ms * 1000;
                if self.let_go(*feed, until) {
                    self.closing.push_back((until, *feed));
                }
            }
            Command::Retire { feed } => {
                if !self.feeds.contains_key(feed) || self.retiring.contains(feed) {
                    return;
                }
                if !self.let_go(*feed, self.now) {
                    self.closing.retain(|(_, closing)| closing != feed);
                    let now = self.now;
                    if let Some((_, sensor)) = sensor_of(&self.feeds, &mut self.sensors, *feed)
                        && sensor.feeds.is_empty()
                    {
                        sensor.leaves_at = Some(now);
                    }
                }
                self.retiring.push(*feed);
            }
            Command::OpenViewer { viewer, sensors, quality } => {
                let opened = Viewer {
                    sensors: sensors.clone(),
                    room: None,
                    attention: Attention::default(),
                    quality: quality.ceiling(),
                    lease_until: self.now + self.settings.lease_ms * 1000,
                    cursors: BTreeMap::new(),
                };
                self.viewers.insert(*viewer, opened);
            }
            Command::SetSensors { viewer, sensors } => {
                if let Some(viewer) = self.viewers.get_mut(viewer) {
                    (viewer.room, viewer.sensors) = (None, sensors.clone());
                }
            }
            Command::SetRoom { room, sensors } => {
                self.rooms.insert(*room, sensors.to_vec());
                self.look_into(*room);
            }
            Command::EnterRoom { viewer, room } => {
                if let Some(viewer) = self.viewers.get_mut(viewer) {
                    viewer.room = Some(*room);
                }
                self.look_into(*room);
            }
            Command::CloseRoom { room } => {
                self.rooms.remove(room);
                self.look_into(*room);
            }
            Command::SetQuality { viewer, quality } => {
                if let Some(viewer) = self.viewers.get_mut(viewer) {
                    viewer.quality = quality.ceiling();
                }
            }
            Command::Attend { viewer, attention } => {
                if let Some(viewer) = self.viewers.get_mut(viewer) {
                    viewer.attention = (**attention).clone();
                }
            }
            Command::Renew { viewer } => {
                if let Some(viewer) = self.viewers.get_mut(viewer) {
                    viewer.lease_until = self.now + self.settings.lease_ms * 1000;
                }
            }
            Command::TellDevice { viewer, sensor_id, .. } => {
                let asked = self.viewers.get(viewer);
                if asked.is_some_and(|viewer| viewer.in_lens(sensor_id))
                    && let Some(sensor) = self.sensors.get(&**sensor_id)
                {
                    self.expected.extend(sensor.feeds.iter().map(|f| format!("tell {:?}", f.0)));
                }
            }
            Command::CloseViewer { viewer } => {
                if self.viewers.remove(viewer).is_some() {
                    self.expected.push(format!("viewer {:?} closed, Left", viewer.0));
                }
            }
            // The swarm forms no groups: what they read is held against SciPy instead.
            Command::OpenGroup { .. }
            | Command::WatchGroup { .. }
            | Command::UnwatchGroup { .. } => {}
            Command::SetLoad(load) => self.load = *load,
            // Nothing is measured here: what it would change, it does not.
            Command::ReportHealth { .. } | Command::ReportSockets(_) | Command::Press(_) => {}
        }
    }

    /// Whoever does so sees what is there now, and nothing where there is no such room: not even one
    /// that comes to be later.
    fn look_into(&mut self, room: RoomId) {
        let sensors = self.rooms.get(&room);
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.room == Some(room)) {
            viewer.sensors = SensorSet::Ids(sensors.cloned().unwrap_or_default());
            viewer.room = sensors.map(|_| room);
        }
    }

    fn open_feed(&mut self, feed: FeedId, card: &SensorCard, owner: &str) {
        let name = card.sensor_id.to_string();
        let refusal = if name.starts_with("__") {
            Some("ReservedName")
        } else {
            match self.sensors.get(&name) {
                Some(sensor) if sensor.owner != owner => Some("NotOwner"),
                None if self.sensors.len() >= self.settings.sensor_count_max => {
                    Some("TooManySensors")
                }
                _ => None,
            }
        };
        if let Some(refusal) = refusal {
            self.expected.push(format!("feed {:?} refused, {refusal}", feed.0));
            return;
        }
        self.expected.push(format!("feed {:?} opened", feed.0));
        if !self.sensors.contains_key(&name) {
            self.lives += 1;
            let sensor = Sensor {
                life: self.lives,
                owner: owner.into(),
                card: SensorCard::default(),
                feeds: Vec::new(),
                leaves_at: None,
                streams: BTreeMap::new(),
                told: Level::None,
                was_pointed_at: false,
            };
            self.sensors.insert(name.clone(), sensor);
        }
        let Some(sensor) = self.sensors.get_mut(&name) else { return };
        if sensor.card != *card {
            sensor.card = card.clone();
            self.expected.push(format!("{name} came"));
        }
        sensor.feeds.push(feed);
        sensor.leaves_at = None;
        let paced = (Level::None, Load::default());
        let held = Feed { sensor: name, life: sensor.life, attributes: Vec::new(), paced };
        self.feeds.insert(feed, held);
    }

    /// The feed lets go of its sensor. False when it held none.
    fn let_go(&mut self, feed: FeedId, until: u64) -> bool {
        let Some((_, sensor)) = sensor_of(&self.feeds, &mut self.sensors, feed) else {
            return false;
        };
        let Some(at) = sensor.feeds.iter().position(|held| *held == feed) else { return false };
        sensor.feeds.remove(at);
        if sensor.feeds.is_empty() {
            sensor.leaves_at = Some(until);
        }
        true
    }

    fn accept(&mut self, sample: &Sent) -> bool {
        let Some(feed) = self.feeds.get(&sample.feed) else { return false };
        let Some(Some(attribute)) = feed.attributes.get(usize::from(sample.index)) else {
            return false;
        };
        let Some(sensor) = self.sensors.get_mut(&feed.sensor) else { return false };
        if sensor.life != feed.life {
            return false;
        }
        let Some(stream) = sensor.streams.get_mut(attribute) else { return false };
        if stream.samples.is_empty() {
            stream.scalar = !sample.shaped;
        }
        // A timestamp, its cells, or the reference to a text and the text.
        let bytes = 8 * (1 + sample.width.max(1) as i64) + 24 + sample.json.len() as i64;
        stream.sample_bytes = stream.sample_bytes.max(bytes);
        self.growth[0] += 2 * stream.sample_bytes;
        stream.samples.push(Kept {
            timestamp: sample.timestamp,
            json: fingerprint(sample.json.as_bytes(), &[]),
            number: sample.number,
        });
        true
    }

    /// Holds everything the tick gave back against the model.
    pub(super) fn check_given(&mut self, deliveries: &Deliveries) -> Result<(), Broken> {
        let levels = self.levels();
        self.check_flushes(deliveries)?;
        self.reap();
        self.check_notices(deliveries, &levels)
    }

    fn check_flushes(&mut self, deliveries: &Deliveries) -> Result<(), Broken> {
        let mut flushes = BTreeMap::new();
        for flush in &deliveries.flushes {
            let id = flush.viewer;
            must!(
                flushes.insert(id, flush).is_none(),
                "delivery",
                "viewer {:?} was flushed twice in one tick",
                id.0
            );
            must!(
                self.viewers.contains_key(&id),
                "delivery",
                "viewer {:?} got a flush after it was closed",
                id.0
            );
        }
        let mut viewers = std::mem::take(&mut self.viewers);
        let mut outcome = Ok(());
        for (id, viewer) in &mut viewers {
            let slices: Vec<&Slice> =
                flushes.get(id).map_or(Vec::new(), |flush| deliveries.slices_of(flush).collect());
            outcome = self.check_viewer(*id, viewer, &slices, deliveries);
            if outcome.is_err() {
                break;
            }
        }
        self.viewers = viewers;
        outcome
    }

    fn check_viewer(
        &mut self,
        id: ViewerId,
        viewer: &mut Viewer,
        slices: &[&Slice],
        deliveries: &Deliveries,
    ) -> Result<(), Broken> {
        let reads = !self.busy.contains(&id);
        let id = format!("viewer {:?}", id.0);
        let wish = viewer.wish();
        let interval_us = viewer.quality.interval_us();
        let due = interval_us.is_some_and(|us| self.now / us != self.before / us);
        let served = viewer.looking() && due && reads;
        if !slices.is_empty() {
            must!(viewer.looking(), "delivery", "{id} got a flush while hidden or paused");
            must!(due, "delivery", "{id} at {:?} got a flush between two", viewer.quality);
            must!(served, "delivery", "{id} got a flush while it was not reading");
        }
        // Out of view cursors rest.
        for (name, sensor) in &self.sensors {
            if !viewer.looking() || !wish.wants(name) {
                for stream in sensor.streams.values() {
                    if let Some(cursor) = viewer.cursors.get_mut(&stream.serial) {
                        cursor.resting = true;
                    }
                }
            }
        }
        let (mut seen, mut seeded) = (BTreeSet::new(), 0);
        for slice in slices {
            let (name, attribute) = (&*slice.card.sensor_id, &*slice.card.attribute_id);
            let what =
                format!("{id}, {name} {attribute}, {:?} {}..{}", slice.form, slice.from, slice.to);
            must!(wish.wants(name), "delivery", "{what}: not asked for");
            let stream =
                self.sensors.get_mut(name).and_then(|sensor| sensor.streams.get_mut(attribute));
            let Some(stream) = stream else {
                return Err(broken!("delivery", "{what}: there is no such stream"));
            };
            let whose = *self.stream_ids.entry(slice.card.stream).or_insert(stream.serial);
            must!(
                whose == stream.serial && stream.id.is_none_or(|id| id == slice.card.stream),
                "delivery",
                "{what}: under the id of another stream"
            );
            stream.id = Some(slice.card.stream);
            must!(
                slice.card.kind == stream.kind && slice.card.rate_hz == stream.rate_hz,
                "delivery",
                "{what}: its card says {:?} at {:?} Hz",
                slice.card.kind,
                slice.card.rate_hz
            );
            must!(seen.insert(stream.serial), "delivery", "{what}: twice in one flush");
            let count = stream.count();
            must!(slice.to == count, "delivery", "{what}: {count} samples were accepted");
            let held = stream.held_from(self.load.level, self.roomy);
            let wanted = form(stream.kind, viewer.quality, wish.wants_whole(name, attribute));
            let cursor = viewer.cursors.get(&stream.serial).copied();
            // From where it must go on, and in which form.
            let (next, form) = match cursor {
                None => (None, Form::Seed),
                Some(cursor) if cursor.resting => (Some(cursor.next), Form::Seed),
                Some(cursor) if wanted == Form::Raw && cursor.whole < cursor.next => {
                    must!(
                        slice.from >= cursor.whole,
                        "delivery",
                        "{what}: had every sample up to {}",
                        cursor.whole
                    );
                    must!(
                        slice.from <= cursor.whole.max(held),
                        "delivery",
                        "{what}: samples from {} on are kept",
                        cursor.whole.max(held)
                    );
                    // What it has had in figures may be gone; what it has had in no form is missed.
                    (Some(slice.from.min(cursor.next)), Form::Seed)
                }
                Some(cursor) => (Some(cursor.next), wanted),
            };
            must!(slice.form == form, "delivery", "{what}: should be {form:?}");
            match next {
                None => must!(
                    slice.missed == 0 && slice.from <= held,
                    "delivery",
                    "{what}, missed {}: samples from {held} on are kept",
                    slice.missed
                ),
                Some(next) => {
                    must!(
                        slice.from == next + slice.missed,
                        "delivery",
                        "{what}, missed {}: it had come to {next}",
                        slice.missed
                    );
                    must!(
                        slice.missed == 0 || slice.from <= held,
                        "delivery",
                        "{what}, missed {}: samples from {held} on are kept",
                        slice.missed
                    );
                }
            }
            let live = form != Form::Seed;
            must!(!live || slice.to > slice.from, "delivery", "{what}: nothing new");
            self.delivered += match form {
                Form::Raw | Form::Seed => slice.to - slice.from,
                Form::Latest | Form::Digest => 1,
            };
            self.coalesced += match form {
                Form::Raw | Form::Seed => 0,
                Form::Latest | Form::Digest => slice.to - slice.from - 1,
            };
            self.missed += slice.missed;
            if !live {
                seeded += slice.to - slice.from;
            }
            stream.check_samples(&what, slice, deliveries)?;
            stream.check_digest(&what, slice)?;
            let whole = match cursor {
                Some(cursor) if matches!(form, Form::Latest | Form::Digest) => cursor.whole,
                _ => slice.to,
            };
            viewer.cursors.insert(stream.serial, Cursor { next: slice.to, whole, resting: false });
        }
        if !served {
            return Ok(());
        }
        // Nobody is left waiting, but for seeds when there were too many at once.
        let seeds_full = seeded >= self.settings.seed_sample_count_max as u64;
        for (name, sensor) in self.sensors.iter().filter(|(name, _)| wish.wants(name)) {
            for (attribute, stream) in &sensor.streams {
                let count = stream.count();
                if count == 0 || seen.contains(&stream.serial) {
                    continue;
                }
                let whole = wish.wants_whole(name, attribute);
                let owed = match viewer.cursors.get(&stream.serial) {
                    Some(cursor) if !cursor.resting => {
                        let fill = form(stream.kind, viewer.quality, whole) == Form::Raw
                            && cursor.whole < cursor.next;
                        if fill && seeds_full { false } else { fill || cursor.next < count }
                    }
                    _ => !seeds_full,
                };
                must!(
                    !owed,
                    "silence",
                    "{id} watches {name} {attribute} at {:?} and was not given what is new up to {count}",
                    viewer.quality
                );
            }
        }
        Ok(())
    }

    /// What leaves at the end of the tick.
    fn reap(&mut self) {
        let mut ending: Vec<FeedId> = std::mem::take(&mut self.retiring);
        while let Some(&(at, feed)) = self.closing.front()
            && at <= self.now
        {
            self.closing.pop_front();
            ending.push(feed);
        }
        for feed in ending {
            self.expected.push(format!("feed {:?} closed", feed.0));
            let Some(held) = self.feeds.remove(&feed) else { continue };
            if let Some(sensor) = self.sensors.get(&held.sensor)
                && sensor.life == held.life
                && sensor.feeds.is_empty()
                && sensor.leaves_at.is_some_and(|at| at <= self.now)
                && let Some(sensor) = self.sensors.remove(&held.sensor)
            {
                for viewer in self.viewers.values_mut() {
                    for stream in sensor.streams.values() {
                        viewer.cursors.remove(&stream.serial);
                    }
                }
                self.expected.push(format!("{} gone", held.sensor));
            }
        }
    }

    /// The strongest live claim on every sensor (`reference/core.md` 7.3, 7.4).
    fn levels(&self) -> BTreeMap<String, Level> {
        let mut base = Level::None;
        let mut levels: BTreeMap<String, Level> = BTreeMap::new();
        for viewer in self.viewers.values() {
            let cap = match viewer.attention.battery {
                Battery::Normal => Level::High,
                Battery::Low => Level::Medium,
                Battery::Critical => Level::Low,
            };
            let mut claim = |id: &str, level: Level| {
                if viewer.in_lens(id) {
                    let here = levels.entry(id.to_owned()).or_default();
                    *here = (*here).max(level.min(cap));
                }
            };
            for target in &viewer.attention.pinned {
                claim(&target.sensor_id, Level::High);
            }
            if viewer.looking() {
                for target in viewer.attention.hovered.iter().chain(&viewer.attention.focused) {
                    claim(&target.sensor_id, Level::High);
                }
                match (&viewer.attention.visible, &viewer.sensors) {
                    (Some(ids), _) | (None, SensorSet::Ids(ids)) => {
                        ids.iter().for_each(|id| claim(id, Level::Medium));
                    }
                    (None, SensorSet::All) => base = base.max(Level::Medium.min(cap)),
                }
            }
        }
        self.sensors
            .keys()
            .map(|name| (name.clone(), levels.get(name).copied().unwrap_or_default().max(base)))
            .collect()
    }

    fn check_notices(
        &mut self,
        deliveries: &Deliveries,
        levels: &BTreeMap<String, Level>,
    ) -> Result<(), Broken> {
        let mut told = Vec::new();
        for notice in &deliveries.notices {
            told.push(match notice {
                Notice::FeedOpened { feed, pacing } => {
                    if let Some(held) = self.feeds.get_mut(feed) {
                        held.paced = (pacing.level, pacing.load);
                    }
                    format!("feed {:?} opened", feed.0)
                }
                Notice::FeedRefused { feed, refusal } => {
                    format!("feed {:?} refused, {refusal:?}", feed.0)
                }
                Notice::FeedClosed { feed } => format!("feed {:?} closed", feed.0),
                Notice::Paced { feed, pacing } => {
                    if let Some(held) = self.feeds.get_mut(feed) {
                        held.paced = (pacing.level, pacing.load);
                    }
                    continue;
                }
                Notice::LoadChanged { load, .. } => {
                    must!(
                        *load == self.load,
                        "load",
                        "told of {load:?}, made up was {:?}",
                        self.load
                    );
                    continue;
                }
                // What is made up at random is news all the time.
                Notice::Novelty { .. } => continue,
                Notice::QualityGranted { viewer, grant } => {
                    let asked = self.viewers.get(viewer).map(|viewer| viewer.quality);
                    let as_asked = Some(grant.strong) == asked && Some(grant.rest) == asked;
                    must!(as_asked || asked.is_none(), "grant", "{grant:?} for {asked:?}");
                    continue;
                }
                Notice::DeviceTold { feed, .. } => format!("tell {:?}", feed.0),
                Notice::AttributeRefused { feed, attribute_id } => {
                    format!("feed {:?} may not have {attribute_id}", feed.0)
                }
                Notice::SensorCame { card } => format!("{} came", card.sensor_id),
                Notice::AttributeCame { sensor_id, attribute_id, kind, .. } => {
                    format!("{sensor_id} has {attribute_id} of {kind:?}")
                }
                Notice::AttributeGone { sensor_id, attribute_id } => {
                    format!("{sensor_id} lost {attribute_id}")
                }
                Notice::ConnectorRenamed { sensor_id, connector_name } => {
                    format!("{sensor_id} is on {connector_name}")
                }
                Notice::SensorGone { sensor_id } => format!("{sensor_id} gone"),
                Notice::LevelChanged { sensor_id, level } => {
                    if let Some(sensor) = self.sensors.get_mut(&**sensor_id) {
                        must!(
                            sensor.told != *level,
                            "attention",
                            "{sensor_id} is said to change to {level:?}, which it was"
                        );
                        sensor.told = *level;
                        sensor.was_pointed_at |= *level == Level::High;
                    }
                    continue;
                }
                Notice::GroupRefused { group }
                | Notice::GroupMembers { group, .. }
                | Notice::GroupClosed { group } => format!("group {:?}", group.0),
                Notice::ViewerClosed { viewer, why } => {
                    format!("viewer {:?} closed, {why:?}", viewer.0)
                }
                // Contained, but a bug all the same: never expected.
                Notice::SystemRestarted { system, message } => {
                    format!("{system} panicked: {message}")
                }
                Notice::SystemOff { system, .. } => format!("{system} is switched off"),
                Notice::SystemOn { system } => format!("{system} is tried again"),
            });
        }
        told.sort_unstable();
        self.expected.sort_unstable();
        if told != self.expected {
            let lacking = first_beyond(&self.expected, &told);
            let extra = first_beyond(&told, &self.expected);
            return Err(broken!("notices", "not said: {lacking:?}; said without cause: {extra:?}"));
        }
        for (name, sensor) in &self.sensors {
            let level = levels[name];
            must!(
                sensor.told == level,
                "attention",
                "{name} was last said to be at {:?}, its viewers ask for {level:?}",
                sensor.told
            );
            for feed in &sensor.feeds {
                let paced = self.feeds[feed].paced;
                must!(
                    paced == (level, self.load),
                    "attention",
                    "the device of feed {:?} on {name} was last paced for {paced:?}, it is {level:?} under {:?}",
                    feed.0,
                    self.load
                );
            }
        }
        Ok(())
    }

    /// Holds the engine's own figures after the tick against the model.
    pub(super) fn check_figures(
        &mut self,
        report: &TickReport,
        audit: &Audit,
    ) -> Result<(), Broken> {
        for (what, said, known) in [
            ("sensors", report.sensor_count, self.sensors.len()),
            ("viewers", report.viewer_count, self.viewers.len()),
        ] {
            must!(said == known, "counts", "there are {known} {what}, the engine says {said}");
        }
        let store = &audit.store;
        for (what, said, known) in [
            ("received", store.received, self.received),
            ("of no open feed", store.dropped(Reason::UnknownFeed), self.unknown),
            ("delivered", audit.lens.delivered, self.delivered),
            ("stood in for", audit.lens.coalesced, self.coalesced),
            ("missed by viewers", report.lens.dropped(Reason::Overrun), self.missed),
        ] {
            must!(
                said == known,
                "conservation",
                "{known} samples were {what}, the ledger says {said}"
            );
        }
        for reason in Reason::OF_DOOR {
            let (said, known) = (store.dropped(reason), self.refused[reason as usize]);
            let name = reason.name();
            must!(
                said == known,
                "conservation",
                "{known} samples were refused as {name}, the ledger says {said}"
            );
        }
        let (mut least, mut most, mut floor) = (0, 0, 0);
        for sensor in self.sensors.values() {
            let longest = if sensor.was_pointed_at { LoadLevel::Normal } else { self.load.level };
            for stream in sensor.streams.values() {
                least += stream.count() - stream.held_from(self.load.level, self.roomy);
                let (hot, warm) = limits(stream.kind, longest);
                most += stream.count().min(2 * hot + warm);
                floor += FLOOR_SAMPLE_COUNT * stream.sample_bytes;
            }
        }
        must!(
            (least..=most).contains(&store.kept),
            "memory",
            "rings keep {} samples, by their limits it should be {least} to {most}",
            store.kept
        );
        let bytes = report.ring_bytes;
        let budget = self.settings.ring_bytes_max as i64;
        let bound = budget + self.growth.iter().sum::<i64>() + floor;
        must!(
            (0..=bound).contains(&bytes),
            "memory",
            "rings take {bytes} bytes of {budget}; what just came and the newest of each stream explain {bound}"
        );
        must!(
            bytes > 0 || store.kept == 0,
            "memory",
            "{} samples are kept in no memory",
            store.kept
        );
        Ok(())
    }

    /// The first viewer that is owed something it could have, in words.
    pub(super) fn owed(&self) -> Option<String> {
        for (id, viewer) in &self.viewers {
            let wish = viewer.wish();
            for (name, sensor) in self.sensors.iter().filter(|(name, _)| wish.wants(name)) {
                for (attribute, stream) in &sensor.streams {
                    let reached = viewer.cursors.get(&stream.serial);
                    let done = reached.is_some_and(|c| !c.resting && c.next == stream.count());
                    if stream.count() > 0 && !done {
                        return Some(format!("viewer {:?} waits for {name} {attribute}", id.0));
                    }
                }
            }
        }
        None
    }

    /// Streams that hold anything: each may take a flush of its own when seeds are few.
    pub(super) fn stream_count(&self) -> usize {
        self.sensors.values().map(|sensor| sensor.streams.len()).sum()
    }
}

fn sensor_of<'a>(
    feeds: &BTreeMap<FeedId, Feed>,
    sensors: &'a mut BTreeMap<String, Sensor>,
    feed: FeedId,
) -> Option<(String, &'a mut Sensor)> {
    let held = feeds.get(&feed)?;
    let sensor = sensors.get_mut(&held.sensor).filter(|sensor| sensor.life == held.life)?;
    Some((held.sensor.clone(), sensor))
}

/// The first of `these` (sorted) that `those` lacks, or has fewer of.
fn first_beyond<'a>(these: &'a [String], those: &[String]) -> Option<&'a String> {
    let count = |list: &[String], word: &str| list.iter().filter(|w| *w == word).count();
    these.iter().find(|word| count(these, word) > count(those, word))
}

/// Samples kept hot and warm, as `reference/core.md` 6.1 has them.
fn limits(kind: AttributeType, load: LoadLevel) -> (u64, u64) {
    let (hot, warm) = match kind {
        AttributeType::Skeleton => return (1, 0),
        AttributeType::Ecg | AttributeType::Hrv => (150, 500),
        _ => (50, 100),
    };
    // In tenths and hundredths.
    let (hot_share, warm_share) = match load {
        LoadLevel::Normal => (10, 100),
        LoadLevel::Elevated => (8, 50),
        LoadLevel::High => (4, 20),
        LoadLevel::Critical => (2, 5),
    };
    ((hot * hot_share / 10).max(10), warm * warm_share / 100)
}

/// The form in which a stream goes to a viewer (`reference/core.md` 9.3, 20.1).
fn form(kind: AttributeType, quality: Quality, whole: bool) -> Form {
    match (kind, quality) {
        _ if whole => Form::Raw,
        (AttributeType::Button, _) => Form::Raw,
        (_, Quality::Low | Quality::Minimal | Quality::Trickle) => Form::Digest,
        (AttributeType::Ecg | AttributeType::Respiration, _) => Form::Raw,
        _ => Form::Latest,
    }
}

trait Interval {
    fn interval_us(self) -> Option<u64>;
}

impl Interval for Quality {
    /// As in the reference, said here again.
    fn interval_us(self) -> Option<u64> {
        match self {
            Self::High => Some(32_000),
            Self::Medium => Some(50_000),
            Self::Low => Some(100_000),
            Self::Minimal => Some(200_000),
            Self::Trickle => Some(1_000_000),
            Self::Paused => None,
        }
    }
}

impl Viewer {
    fn looking(&self) -> bool {
        !self.attention.hidden && self.quality != Quality::Paused
    }

    fn in_lens(&self, id: &str) -> bool {
        match &self.sensors {
            SensorSet::All => true,
            SensorSet::Ids(ids) => ids.iter().any(|lens| &**lens == id),
        }
    }

    fn wish(&self) -> Wish {
        let mut wish = Wish { all: false, sensors: BTreeSet::new(), strong: Vec::new() };
        match (&self.attention.visible, &self.sensors) {
            (None, SensorSet::All) => wish.all = true,
            (Some(ids), _) | (None, SensorSet::Ids(ids)) => {
                let seen = ids.iter().filter(|id| self.in_lens(id)).map(|id| id.to_string());
                wish.sensors.extend(seen);
            }
        }
        let Attention { hovered, focused, pinned, battery, .. } = &self.attention;
        for target in hovered.iter().chain(focused).chain(pinned) {
            if self.in_lens(&target.sensor_id) {
                wish.sensors.insert(target.sensor_id.to_string());
                if *battery == Battery::Normal {
                    wish.strong.push(target.clone());
                }
            }
        }
        wish
    }
}

impl Wish {
    fn wants(&self, id: &str) -> bool {
        self.all || self.sensors.contains(id)
    }

    fn wants_whole(&self, id: &str, attribute: &str) -> bool {
        self.strong.iter().any(|target| {
            &*target.sensor_id == id
                && target.attribute_id.as_deref().is_none_or(|wanted| wanted == attribute)
        })
    }
}

impl Stream {
    fn count(&self) -> u64 {
        self.samples.len() as u64
    }

    /// Samples from this push count on are in the ring, whatever else is: all that the limits
    /// allow, or the newest alone where memory is short.
    fn held_from(&self, load: LoadLevel, roomy: bool) -> u64 {
        let (hot, warm) = limits(self.kind, load);
        let reach = if roomy { hot + warm } else { 1 };
        self.count().saturating_sub(reach).max(if roomy { self.whole_from } else { 0 })
    }

    fn check_samples(
        &self,
        what: &str,
        slice: &Slice,
        deliveries: &Deliveries,
    ) -> Result<(), Broken> {
        let from = match slice.form {
            Form::Raw | Form::Seed => slice.from,
            Form::Latest | Form::Digest => slice.to - 1,
        };
        must!(
            u64::from(slice.count) == slice.to - from,
            "delivery",
            "{what}: carries {} samples",
            slice.count
        );
        let mut json = Vec::new();
        for (n, sample) in (from..).zip(deliveries.samples_of(slice)) {
            let kept = &self.samples[n as usize];
            must!(
                sample.timestamp.0 == kept.timestamp,
                "delivery",
                "{what}: sample {n} is stamped {}, it was sent as {}",
                sample.timestamp.0,
                kept.timestamp
            );
            json.clear();
            sample.write_payload(&mut json);
            let extra = sample.text().map_or("", |text| text.extra());
            must!(
                fingerprint(&json, extra.as_bytes()) == kept.json,
                "delivery",
                "{what}: sample {n} came out as {}{extra}",
                String::from_utf8_lossy(&json)
            );
        }
        Ok(())
    }

    fn check_digest(&self, what: &str, slice: &Slice) -> Result<(), Broken> {
        must!(
            slice.digest.is_some() == (slice.form == Form::Digest),
            "delivery",
            "{what}: {:?}",
            slice.digest
        );
        let Some(digest) = slice.digest else { return Ok(()) };
        let covered = &self.samples[slice.from as usize..slice.to as usize];
        let numbers: Vec<f64> = if self.scalar {
            covered.iter().filter_map(|sample| sample.number).collect()
        } else {
            Vec::new()
        };
        let known = (!numbers.is_empty()).then(|| {
            let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // Quarters of whole numbers: their sum is exact in any order.
            (numbers.iter().sum::<f64>() / numbers.len() as f64, min, max)
        });
        let said = digest.numbers.map(|n| (n.avg, n.min, n.max));
        must!(
            digest.count == covered.len() as u64 && said == known,
            "digest",
            "{what}: says {} samples, {said:?}; they were {}, {known:?}",
            digest.count,
            covered.len()
        );
        Ok(())
    }
}

/// FNV-1a, in 64 bits, over two pieces.
fn fingerprint(first: &[u8], second: &[u8]) -> u64 {
    first.iter().chain(second).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

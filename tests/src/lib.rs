//! Lab: a small language for tests of the engine, on made-up time.
//!
//! A test says what devices and viewers do and asserts what viewers received, value by value.
//! After every tick the lab audits the world, so each test checks the conservation law, the
//! levels against the claims and the memory against the rings, whatever else it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use components::attention::Level;
use components::attribute::AttributeType;
use components::budget::{Grant, Pacing};
use components::class::Class;
use components::command::{Attention, Command, SensorCard, SensorSet, Target};
use components::delivery::{Digest, Form, Notice};
use components::group::{GroupPlan, MemberState, Reading, Signal, Tier};
use components::id::{FeedId, GroupId, Handles, ViewerId};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::pressure::{Pressures, SocketReport};
use components::sample::{Payload, Timestamp};
use components::shape::{self, Shape};
use components::viewer::QualityChoice;
use engine::{Audit, Engine, EngineConfig, EngineTime, Inputs, Resumed};
use simulator::recording::Hash;

/// Milliseconds between ticks: 250 a second, as in the server.
pub const TICK_MS: u64 = 4;

/// One slice as a viewer got it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Engine time of its flush, in ms.
    pub at_ms: u64,
    pub sensor: String,
    pub attribute: String,
    pub form: Form,
    pub from: u64,
    pub to: u64,
    pub missed: u64,
    pub digest: Option<Digest>,
    /// Device time and payload JSON (with what rode along).
    pub samples: Vec<(i64, String)>,
}

/// One reading of a group as a viewer got it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupHeard {
    /// Engine time, in ms.
    pub at_ms: u64,
    pub reading: Reading,
    pub states: Vec<MemberState>,
}

#[derive(Debug)]
pub struct Feed {
    pub id: FeedId,
    attributes: Vec<String>,
}

pub struct Lab {
    pub engine: Engine,
    inputs: Inputs,
    now_ms: u64,
    feeds: BTreeMap<String, Feed>,
    feed_handles: Handles,
    viewer_handles: Handles,
    group_handles: Handles,
    /// What each viewer was told of groups.
    pub heard: BTreeMap<ViewerId, Vec<GroupHeard>>,
    pub received: BTreeMap<ViewerId, Vec<Received>>,
    pub notices: Vec<Notice>,
    /// Which slice each viewer's parts were, by tick: to see what was shared.
    pub parts: Vec<Vec<(ViewerId, Vec<u32>)>>,
    /// A running hash over everything every tick gave back.
    pub hash: Hash,
    /// Systems may panic: the test makes them. Otherwise one that does fails the test.
    pub panics_expected: bool,
    ghosts: Vec<ViewerId>,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    pub fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    pub fn with(config: EngineConfig) -> Self {
        Self {
            engine: Engine::new(config),
            inputs: Inputs::default(),
            now_ms: 0,
            feeds: BTreeMap::new(),
            feed_handles: Handles::default(),
            viewer_handles: Handles::default(),
            group_handles: Handles::default(),
            heard: BTreeMap::new(),
            received: BTreeMap::new(),
            notices: Vec::new(),
            parts: Vec::new(),
            hash: Hash::default(),
            panics_expected: false,
            ghosts: Vec::new(),
        }
    }

    /// With failpoints, all of them off.
    #[cfg(feature = "faults")]
    pub fn faulty(config: EngineConfig) -> (Self, engine::Faults) {
        let faults = engine::Faults::armed(engine::fault_points());
        let mut lab = Self::with(EngineConfig { faults: faults.clone(), ..config });
        lab.panics_expected = true;
        (lab, faults)
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn command(&mut self, command: Command) {
        self.inputs.commands.push(command);
    }

    /// A device joins `sensor`, as owner "anonymous".
    pub fn join(&mut self, sensor: &str) -> FeedId {
        self.join_as(sensor, "anonymous")
    }

    pub fn join_as(&mut self, sensor: &str, owner: &str) -> FeedId {
        let id = FeedId(self.feed_handles.take(usize::MAX).unwrap());
        let card = SensorCard {
            sensor_id: sensor.into(),
            sensor_name: sensor.into(),
            sensor_type: "ecg".into(),
            connector_id: "lab".into(),
            connector_name: "Lab".into(),
            sampling_rate: 0.0,
        };
        self.command(Command::OpenFeed { feed: id, card: Box::new(card), owner: owner.into() });
        self.feeds.insert(sensor.to_owned(), Feed { id, attributes: Vec::new() });
        id
    }

    /// The device on `sensor` leaves.
    pub fn leave(&mut self, sensor: &str) {
        let feed = self.feeds.remove(sensor).expect("joined before");
        self.command(Command::CloseFeed { feed: feed.id });
    }

    pub fn feed(&self, sensor: &str) -> FeedId {
        self.feeds[sensor].id
    }

    /// The device on `sensor`, if one joined and has not left.
    pub fn find_feed(&self, sensor: &str) -> Option<FeedId> {
        self.feeds.get(sensor).map(|feed| feed.id)
    }

    /// The device on `sensor` leaves for good, and takes the sensor along.
    pub fn retire(&mut self, sensor: &str) {
        let feed = self.feeds.remove(sensor).expect("joined before");
        self.command(Command::Retire { feed: feed.id });
    }

    /// From here on the engine's world is another, made of this one's snapshot.
    pub fn be_reborn(&mut self) {
        let bytes = self.engine.snapshot();
        self.engine.replace(&bytes).expect("our own bytes");
    }

    /// Another process goes on with this world, `away_ms` later. Nobody is connected to it; viewers of
    /// before claim what they claimed for `grace_ms` more, and get nothing.
    pub fn move_house(&mut self, away_ms: u64, grace_ms: u64) -> Resumed {
        let bytes = self.engine.snapshot();
        self.now_ms += away_ms;
        let now = EngineTime::from_millis(self.now_ms);
        let until = now.plus_millis(grace_ms);
        let resumed = Engine::resume(EngineConfig::default(), &bytes, now, until);
        let (engine, resumed) = resumed.expect("our own bytes");
        self.engine = engine;
        self.ghosts = self.engine.take_ghosts();
        self.feeds.clear();
        (self.feed_handles, self.viewer_handles, self.group_handles) = Default::default();
        for _ in 0..resumed.feed_count {
            self.feed_handles.take(usize::MAX);
        }
        for ghost in &self.ghosts {
            assert_eq!(self.viewer_handles.take(usize::MAX), Some(ghost.0));
        }
        for (group, ..) in &resumed.groups {
            assert_eq!(self.group_handles.take(usize::MAX), Some(group.0));
        }
        resumed
    }

    /// The device on `sensor` sends one sample; the attribute's type follows from its id.
    pub fn send(&mut self, sensor: &str, attribute: &str, timestamp: i64, json: &str) {
        self.send_with(sensor, attribute, timestamp, json, "");
    }

    /// As [`send`](Self::send), with further members of the measurement.
    pub fn send_with(
        &mut self,
        sensor: &str,
        attribute: &str,
        timestamp: i64,
        json: &str,
        extra: &str,
    ) {
        let feed = self.feeds.get_mut(sensor).expect("joined before");
        let index = feed.attributes.iter().position(|id| id == attribute).unwrap_or_else(|| {
            feed.attributes.push(attribute.to_owned());
            let index = feed.attributes.len() - 1;
            self.inputs.commands.push(Command::DeclareAttribute {
                feed: feed.id,
                index: index as u16,
                attribute_id: attribute.into(),
                kind: AttributeType::infer(attribute, Some(json)),
                rate_hz: None,
            });
            index
        });
        let (mut skeleton, mut cells) = (Vec::new(), Vec::new());
        let split = extra.is_empty() && shape::split(json, &mut skeleton, &mut cells);
        let shape = Arc::new(Shape::from_skeleton(&skeleton));
        let payload = match split {
            true if shape.is_scalar() => Payload::Scalar(components::cell::Cell(cells[0])),
            true => Payload::Shaped { shape: &shape, cells: &cells },
            false => Payload::Text { payload: json, extra },
        };
        self.inputs.samples.push(feed.id, index as u16, Timestamp(timestamp), payload);
    }

    /// One sample as it leaves a door, under the number that stands for its attribute.
    pub fn sample(&mut self, feed: FeedId, index: u16, timestamp: i64, payload: Payload<'_>) {
        self.inputs.samples.push(feed, index, Timestamp(timestamp), payload);
    }

    pub fn watch(&mut self, sensors: &[&str], quality: impl Into<QualityChoice>) -> ViewerId {
        self.open(SensorSet::Ids(sensors.iter().map(|id| (*id).into()).collect()), quality)
    }

    pub fn watch_all(&mut self, quality: impl Into<QualityChoice>) -> ViewerId {
        self.open(SensorSet::All, quality)
    }

    fn open(&mut self, sensors: SensorSet, quality: impl Into<QualityChoice>) -> ViewerId {
        let quality = quality.into();
        let viewer = ViewerId(self.viewer_handles.take(usize::MAX).unwrap());
        self.command(Command::OpenViewer { viewer, sensors, quality });
        self.received.insert(viewer, Vec::new());
        viewer
    }

    pub fn attend(&mut self, viewer: ViewerId, attention: Attention) {
        self.command(Command::Attend { viewer, attention: Box::new(attention) });
    }

    /// A group of these sensors' `attribute`.
    pub fn group(&mut self, sensors: SensorSet, attribute: &str, signal: Signal) -> GroupId {
        let group = GroupId(self.group_handles.take(usize::MAX).unwrap());
        let plan = GroupPlan {
            name: "group".into(),
            signal,
            tier: Tier::Prompt,
            sensors,
            attribute_id: attribute.into(),
        };
        self.command(Command::OpenGroup { group, plan: Box::new(plan) });
        group
    }

    pub fn watch_group(&mut self, viewer: ViewerId, group: GroupId) {
        self.command(Command::WatchGroup { viewer, group });
    }

    /// What `viewer` was told of groups since last asked.
    pub fn take_heard(&mut self, viewer: ViewerId) -> Vec<GroupHeard> {
        self.heard.remove(&viewer).unwrap_or_default()
    }

    /// Who is in `group`, as last told.
    pub fn members(&self, group: GroupId) -> Vec<String> {
        let told = self.notices.iter().rev().find_map(|notice| match notice {
            Notice::GroupMembers { group: of, sensor_ids, .. } if *of == group => Some(sensor_ids),
            _ => None,
        });
        told.map_or(Vec::new(), |ids| ids.iter().map(|id| id.to_string()).collect())
    }

    pub fn load(&mut self, level: LoadLevel) {
        self.command(Command::SetLoad(Load { level, memory_protection: false }));
    }

    /// The machine is measured.
    pub fn press(&mut self, pressures: Pressures) {
        self.command(Command::Press(Box::new(pressures)));
    }

    /// Something waits at this viewer's socket.
    pub fn waits(&mut self, viewer: ViewerId, age_ms: u32) {
        let report = SocketReport { viewer, age_ms, bytes: 1000 };
        self.command(Command::ReportSockets([report].into()));
    }

    /// What `viewer` was last granted, if that was ever news.
    pub fn granted(&self, viewer: ViewerId) -> Option<Grant> {
        self.notices.iter().rev().find_map(|notice| match notice {
            Notice::QualityGranted { viewer: v, grant } if *v == viewer => Some(*grant),
            _ => None,
        })
    }

    /// The door gave up samples of the next tick.
    pub fn refuse(&mut self, class: Class, reason: Reason, count: u64) {
        self.inputs.refused.push((class, reason, count));
    }

    /// These viewers' mailboxes are full in the next tick.
    pub fn busy(&mut self, viewers: &[ViewerId]) {
        self.inputs.busy.extend(viewers);
    }

    /// One tick, audited.
    pub fn tick(&mut self) {
        self.now_ms += TICK_MS;
        self.inputs.busy.extend(&self.ghosts);
        let deliveries = self.engine.tick(EngineTime::from_millis(self.now_ms), &mut self.inputs);
        self.hash.add(deliveries);
        self.notices.extend(deliveries.notices.iter().cloned());
        for notice in &deliveries.notices {
            // As the doors do: what is over is given out again.
            match notice {
                Notice::FeedClosed { feed } | Notice::FeedRefused { feed, .. } => {
                    self.feed_handles.give_back(feed.0);
                }
                Notice::ViewerClosed { viewer, .. } => {
                    self.viewer_handles.give_back(viewer.0);
                    self.ghosts.retain(|ghost| ghost != viewer);
                }
                Notice::GroupClosed { group } | Notice::GroupRefused { group } => {
                    self.group_handles.give_back(group.0);
                }
                Notice::SystemRestarted { system, message } if !self.panics_expected => {
                    panic!("{system} panicked at {} ms: {message}", self.now_ms);
                }
                _ => {}
            }
        }
        let mut parts = Vec::new();
        for flush in &deliveries.flushes {
            let at = flush.parts_at as usize;
            parts.push((
                flush.viewer,
                deliveries.parts[at..at + flush.part_count as usize].to_vec(),
            ));
            let list = self.received.get_mut(&flush.viewer).expect("a viewer we opened");
            for slice in deliveries.slices_of(flush) {
                list.push(Received {
                    at_ms: self.now_ms,
                    sensor: slice.card.sensor_id.to_string(),
                    attribute: slice.card.attribute_id.to_string(),
                    form: slice.form,
                    from: slice.from,
                    to: slice.to,
                    missed: slice.missed,
                    digest: slice.digest,
                    samples: deliveries
                        .samples_of(slice)
                        .map(|sample| {
                            let mut json = Vec::new();
                            sample.write_payload(&mut json);
                            let extra = sample.text().map_or("", |text| text.extra());
                            let json = String::from_utf8(json).unwrap() + extra;
                            (sample.timestamp.0, json)
                        })
                        .collect(),
                });
            }
        }
        self.parts.push(parts);
        for news in &deliveries.groups {
            for viewer in deliveries.watchers_of(news) {
                let readings = deliveries.readings_of(news).map(|(reading, states)| GroupHeard {
                    at_ms: self.now_ms,
                    reading: *reading,
                    states: states.to_vec(),
                });
                self.heard.entry(*viewer).or_default().extend(readings);
            }
        }
        if let Err(broken) = self.engine.audit() {
            panic!("after the tick at {} ms: {broken}", self.now_ms);
        }
    }

    /// Ticks for `ms` milliseconds.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms / TICK_MS {
            self.tick();
        }
    }

    /// Lets `ms` milliseconds pass with two ticks, one at their beginning and one at their end,
    /// as when the pump naps.
    pub fn pass(&mut self, ms: u64) {
        self.tick();
        self.now_ms += ms - 2 * TICK_MS;
        self.tick();
    }

    /// The last flush interval of the slowest quality, so that everything sent has arrived.
    pub fn settle(&mut self) {
        self.run(204);
    }

    /// Everything `viewer` got since last asked.
    pub fn take(&mut self, viewer: ViewerId) -> Vec<Received> {
        std::mem::take(self.received.get_mut(&viewer).unwrap())
    }

    /// The payloads of everything `viewer` got of one attribute since last asked, in order.
    pub fn take_values(&mut self, viewer: ViewerId, sensor: &str, attribute: &str) -> Vec<String> {
        self.take(viewer)
            .into_iter()
            .filter(|slice| slice.sensor == sensor && slice.attribute == attribute)
            .flat_map(|slice| slice.samples.into_iter().map(|(_, json)| json))
            .collect()
    }

    /// The level last announced for `sensor`.
    pub fn level(&self, sensor: &str) -> Level {
        self.notices
            .iter()
            .rev()
            .find_map(|notice| match notice {
                Notice::LevelChanged { sensor_id, level } if &**sensor_id == sensor => Some(*level),
                Notice::SensorGone { sensor_id } if &**sensor_id == sensor => Some(Level::None),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The pacing last told to `feed`.
    pub fn pacing(&self, feed: FeedId) -> Option<Pacing> {
        self.notices.iter().rev().find_map(|notice| match notice {
            Notice::FeedOpened { feed: f, pacing } | Notice::Paced { feed: f, pacing }
                if *f == feed =>
            {
                Some(*pacing)
            }
            _ => None,
        })
    }

    /// Feeds and viewers that are out: opened, and not yet said to be gone.
    pub fn handle_count(&self) -> usize {
        self.feed_handles.count() + self.viewer_handles.count()
    }

    /// How often a system was said to have panicked.
    pub fn restarts(&self, of: &str) -> usize {
        let restarted =
            |n: &&Notice| matches!(n, Notice::SystemRestarted { system, .. } if *system == of);
        self.notices.iter().filter(restarted).count()
    }

    pub fn audit(&mut self) -> Audit {
        self.engine.audit().expect("audited after every tick")
    }
}

pub fn visible(ids: &[&str]) -> Attention {
    Attention { visible: Some(ids.iter().map(|id| (*id).into()).collect()), ..Attention::default() }
}

pub fn target(sensor: &str) -> Target {
    Target { sensor_id: sensor.into(), attribute_id: None }
}

pub fn attribute_target(sensor: &str, attribute: &str) -> Target {
    Target { sensor_id: sensor.into(), attribute_id: Some(attribute.into()) }
}

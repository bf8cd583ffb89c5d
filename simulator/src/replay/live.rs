//! A recording played among the living: its devices join as made-up ones, its past happens now,
//! and whoever watches is somebody else.
//!
//! Its viewers, its load and its refusals stay in the file. Stamps are moved so that the moment
//! shown is the moment it is shown; at another speed they lie closer or further apart.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use components::attribute::{AttributeType, is_attribute_id};
use components::cell::{Cell, Leaf};
use components::command::{Command, Inputs, SensorCard};
use components::id::FeedId;
use components::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX};
use components::sample::{EngineTime, Payload, Timestamp};
use components::shape::Shape;
use rustc_hash::FxHashMap;
use serde::de::IgnoredAny;

use crate::fleet::{CATCH_UP_MS_MAX, OPEN_COUNT_MAX, OWNER};
use crate::recording::{Reader, RecordingError};

/// Stands before the ids of replayed sensors, so that they meet no living one.
pub const PREFIX: &str = "replay:";

/// A seek shows each stream's newest sample, if it is not older than this.
pub const SEEK_PAST_MS: u64 = 30_000;

/// Sensors of one replay.
pub const SENSOR_COUNT_MAX: usize = 200_000;

/// A step ends behind the tick with which it has shown so many samples: a second of a quarter of
/// a million sensors at 4 Hz.
const STEP_SAMPLE_COUNT_MAX: usize = 1 << 20;

/// And behind the one with which it has given so many commands.
const STEP_COMMAND_COUNT_MAX: usize = 1 << 20;

/// Samples that a seek gathers before it keeps the newest of each stream.
const RECALLED_COUNT_MAX: usize = 1 << 22;

/// Attributes that one feed may declare.
const ATTRIBUTE_COUNT_MAX: usize = components::limits::SENSOR_ATTRIBUTE_COUNT_MAX;

/// Shapes that are remembered as fit to be shown.
const SHAPE_COUNT_MAX: usize = 1 << 12;

/// See the module.
#[derive(Debug)]
pub struct LiveReplay<R = File> {
    reader: Reader<R>,
    /// Engine microseconds of the recording that are shown next.
    at_us: u64,
    /// The wall's time at which `at_us` was; `None`: paused, or not yet begun.
    since: Option<Timestamp>,
    paused: bool,
    speed: f64,
    /// A tick that was read and is not due.
    ahead: Option<(EngineTime, Inputs)>,
    /// By the recording's feed.
    devices: FxHashMap<FeedId, Device>,
    by_live: FxHashMap<FeedId, FeedId>,
    /// In the order in which they are to be opened.
    wanted: Vec<FeedId>,
    /// What a seek closed.
    retired: Vec<FeedId>,
    /// What a seek showed, with the recording's stamps.
    recalled: Option<Inputs>,
    fit: FxHashMap<Arc<Shape>, bool>,
    over: bool,
    broken: Option<String>,
    refused: u64,
}

/// A recorded feed that is open at the moment shown.
#[derive(Debug, Clone, PartialEq)]
struct Device {
    card: SensorCard,
    /// In the order they were declared.
    attributes: Vec<Declared>,
    live: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Wanted,
    Open(FeedId),
    Lost,
}

#[derive(Debug, Clone, PartialEq)]
struct Declared {
    index: u16,
    attribute_id: Box<str>,
    kind: AttributeType,
    rate_hz: Option<f64>,
}

impl LiveReplay<File> {
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::new(Reader::open_without_state(path)?)
    }
}

impl<R: Read + Seek> LiveReplay<R> {
    pub fn new(reader: Reader<R>) -> Result<Self, RecordingError> {
        let mut replay = Self {
            at_us: reader.summary().first.0,
            reader,
            since: None,
            paused: false,
            speed: 1.0,
            ahead: None,
            devices: FxHashMap::default(),
            by_live: FxHashMap::default(),
            wanted: Vec::new(),
            retired: Vec::new(),
            recalled: None,
            fit: FxHashMap::default(),
            over: false,
            broken: None,
            refused: 0,
        };
        for command in &replay.reader.header().devices {
            replay.wanted.extend(hear(&mut replay.devices, command));
        }
        replay.wanted.dedup();
        replay.over = replay.reader.summary().ticks == 0;
        Ok(replay)
    }

    /// Milliseconds from the recording's first tick to its last.
    pub fn duration_ms(&self) -> u64 {
        self.reader.summary().duration_ms()
    }

    /// Milliseconds from the recording's first tick to the moment shown.
    pub fn position_ms(&self) -> u64 {
        let position = self.at_us.saturating_sub(self.reader.summary().first.0) / 1000;
        position.min(self.duration_ms())
    }

    /// Unix milliseconds of the moment shown, when it was recorded.
    pub fn recorded_at_unix_ms(&self) -> i64 {
        self.reader.header().epoch_unix_ms.saturating_add((self.at_us / 1000) as i64)
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The end was reached, or the file is damaged here: see [`broken`](Self::broken).
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Why it goes no further, if that is not its end.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Samples that no device could have sent, and are not shown.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Sensors that are there at the moment shown.
    pub fn sensor_count(&self) -> usize {
        self.by_live.len()
    }

    pub fn reader(&self) -> &Reader<R> {
        &self.reader
    }

    /// Time stands still: devices stay, and say nothing.
    pub fn pause(&mut self) {
        self.paused = true;
        self.since = None;
    }

    pub fn resume(&mut self, now: Timestamp) {
        self.paused = false;
        self.since = Some(now);
    }

    /// How many times as fast as it was recorded.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed;
        // The next step begins anew, so that what was is not moved.
        self.since = None;
    }

    /// Goes to `position_ms`: the devices that were there then are there with the next step.
    pub fn seek(&mut self, position_ms: u64) -> Result<(), RecordingError> {
        let first = self.reader.summary().first;
        let to = first.plus_millis(position_ms.min(self.duration_ms()));
        let mut then: FxHashMap<FeedId, Device> = FxHashMap::default();
        let mut order = Vec::new();
        self.reader.commands_before(to, &mut |command| {
            if let Some(feed) = hear(&mut then, &command) {
                order.push(feed);
            }
        })?;
        let past = EngineTime(to.0.saturating_sub(SEEK_PAST_MS * 1000).max(first.0));
        self.recall(past, to)?;
        // Who was there and is there stays; the others come and go.
        for (feed, device) in &mut then {
            let Some(now) = self.devices.get(feed) else { continue };
            if now.card == device.card && now.attributes == device.attributes {
                device.live = now.live;
            }
        }
        for (feed, device) in &self.devices {
            let stays = then.get(feed).is_some_and(|then| then.live == device.live);
            if let Link::Open(live) = device.live
                && !stays
            {
                self.by_live.remove(&live);
                self.retired.push(live);
            }
        }
        order.retain(|feed| then.get(feed).is_some_and(|device| device.live == Link::Wanted));
        order.dedup();
        (self.devices, self.wanted) = (then, order);
        self.retired.sort_unstable();
        self.at_us = to.0;
        self.since = None;
        (self.over, self.broken) = (false, None);
        Ok(())
    }

    /// Reads from `past` to `to`, and keeps the newest sample of each stream.
    fn recall(&mut self, past: EngineTime, to: EngineTime) -> Result<(), RecordingError> {
        self.ahead = None;
        self.recalled = None;
        self.reader.seek(past);
        let mut all = Inputs::default();
        loop {
            let mut inputs = Inputs::default();
            match self.reader.next(&mut inputs) {
                Ok(Some(now)) if now < to => {
                    all.samples.append(&mut inputs.samples);
                    if all.samples.len() > RECALLED_COUNT_MAX {
                        all = newest_of(&all);
                    }
                }
                Ok(Some(now)) => {
                    self.ahead = Some((now, inputs));
                    break;
                }
                Ok(None) | Err(RecordingError::Damaged { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        self.recalled = Some(newest_of(&all));
        Ok(())
    }

    /// Everything since the last step and up to `now`.
    pub fn advance(
        &mut self,
        now: Timestamp,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        inputs: &mut Inputs,
    ) {
        inputs.commands.extend(self.retired.drain(..).map(|feed| Command::Retire { feed }));
        let began_us = self.at_us;
        let elapsed_ms = match self.since {
            // A stall of ours is no part of the recording: it goes on where it was.
            Some(since) => (now.0 - since.0).clamp(0, CATCH_UP_MS_MAX),
            None => 0,
        };
        if !self.paused {
            self.since = Some(now);
            let passed_us = (elapsed_ms as f64 * 1000.0 * self.speed) as u64;
            self.at_us = self.at_us.saturating_add(passed_us);
        }
        let moment = Moment {
            shown_ms: self.reader.header().epoch_unix_ms.saturating_add((self.at_us / 1000) as i64),
            now,
            speed: self.speed,
        };
        self.open_wanted(take_feed, &mut inputs.commands);
        if let Some(recalled) = self.recalled.take() {
            self.show(&recalled, moment, inputs);
        }
        if self.paused || self.over {
            self.at_us = if self.over { began_us } else { self.at_us };
            return;
        }
        // What does not fit into one step is shown with the next.
        let full = inputs.samples.len().saturating_add(STEP_SAMPLE_COUNT_MAX);
        let full_commands = inputs.commands.len().saturating_add(STEP_COMMAND_COUNT_MAX);
        while inputs.samples.len() < full
            && inputs.commands.len() < full_commands
            && let Some(tick) = self.next_due()
        {
            for command in &tick.commands {
                self.obey(command, &mut inputs.commands);
            }
            self.open_wanted(take_feed, &mut inputs.commands);
            self.show(&tick, moment, inputs);
        }
    }

    /// The next tick, if its time has come.
    fn next_due(&mut self) -> Option<Inputs> {
        if self.ahead.is_none() {
            let mut inputs = Inputs::default();
            match self.reader.next(&mut inputs) {
                Ok(Some(now)) => self.ahead = Some((now, inputs)),
                Ok(None) => self.over = true,
                Err(error) => {
                    self.over = true;
                    self.broken = Some(error.to_string());
                }
            }
        }
        self.ahead.take_if(|(now, _)| now.0 <= self.at_us).map(|(_, inputs)| inputs)
    }

    /// What a recorded command means for the living.
    fn obey(&mut self, command: &Command, out: &mut Vec<Command>) {
        let (feed, closing) = match command {
            Command::CloseFeed { feed } => (feed, true),
            Command::Retire { feed } => (feed, false),
            Command::ForgetAttribute { feed, .. } | Command::RenameConnector { feed, .. } => {
                if let Some(Device { live: Link::Open(live), .. }) = self.devices.get(feed) {
                    out.extend(addressed_to(*live, command));
                }
                hear(&mut self.devices, command);
                return;
            }
            Command::DeclareAttribute { .. } => {
                let declared = hear(&mut self.devices, command);
                let device = declared.and_then(|feed| self.devices.get(&feed));
                if let Some(Device { live: Link::Open(live), attributes, .. }) = device {
                    out.extend(attributes.last().map(|attribute| attribute.to(*live)));
                }
                return;
            }
            Command::OpenFeed { feed, .. } => {
                // A feed that is opened twice is not one that a door gave out.
                if let Some(Device { live: Link::Open(live), .. }) = self.devices.get(feed) {
                    self.by_live.remove(live);
                    out.push(Command::Retire { feed: *live });
                }
                let wanted = hear(&mut self.devices, command);
                if self.wanted.len() < SENSOR_COUNT_MAX {
                    self.wanted.extend(wanted);
                }
                return;
            }
            _ => return,
        };
        if let Some(Device { live: Link::Open(live), .. }) = self.devices.remove(feed) {
            self.by_live.remove(&live);
            let feed = live;
            out.push(if closing { Command::CloseFeed { feed } } else { Command::Retire { feed } });
        }
    }

    fn open_wanted(
        &mut self,
        take_feed: &mut dyn FnMut() -> Option<FeedId>,
        out: &mut Vec<Command>,
    ) {
        let mut done = 0;
        for feed in self.wanted.iter().take(OPEN_COUNT_MAX) {
            let device = self.devices.get_mut(feed);
            if let Some(device) = device.filter(|device| device.live == Link::Wanted) {
                let Some(live) = take_feed() else { break };
                device.live = Link::Open(live);
                self.by_live.insert(live, *feed);
                let card = Box::new(device.card.clone());
                out.push(Command::OpenFeed { feed: live, card, owner: OWNER.into() });
                out.extend(device.attributes.iter().map(|attribute| attribute.to(live)));
            }
            done += 1;
        }
        self.wanted.drain(..done);
    }

    /// The samples of open devices, moved to now.
    fn show(&mut self, tick: &Inputs, moment: Moment, inputs: &mut Inputs) {
        for index in 0..tick.samples.len() {
            let (feed, attribute, timestamp, payload) = tick.samples.get(index);
            let device = self.devices.get(&feed);
            let Some(Device { live: Link::Open(live), .. }) = device else { continue };
            if is_fit(&payload, &mut self.fit) {
                inputs.samples.push(*live, attribute, moment.of(timestamp), payload);
            } else {
                self.refused += 1;
            }
        }
    }

    /// The feed is gone or was refused: its sensor falls silent.
    pub fn lose(&mut self, feed: FeedId) {
        let device = self.by_live.remove(&feed).and_then(|feed| self.devices.get_mut(&feed));
        if let Some(device) = device {
            device.live = Link::Lost;
        }
    }

    /// Every device whose feed was lost asks for one again.
    pub fn reopen_lost(&mut self) {
        let mut lost: Vec<FeedId> = Vec::new();
        for (feed, device) in &mut self.devices {
            if device.live == Link::Lost {
                device.live = Link::Wanted;
                lost.push(*feed);
            }
        }
        lost.sort_unstable();
        self.wanted.append(&mut lost);
    }

    /// Everyone leaves, and their sensors go with them at once.
    pub fn close(&mut self, commands: &mut Vec<Command>) {
        let mut feeds: Vec<FeedId> = self.by_live.drain().map(|(live, _)| live).collect();
        feeds.append(&mut self.retired);
        feeds.sort_unstable();
        commands.extend(feeds.into_iter().map(|feed| Command::Retire { feed }));
        self.devices.clear();
        self.wanted.clear();
        self.over = true;
    }
}

/// The newest sample of each stream, in the order in which they came.
fn newest_of(all: &Inputs) -> Inputs {
    let mut newest: FxHashMap<(FeedId, u16), usize> = FxHashMap::default();
    for index in 0..all.samples.len() {
        newest.insert(all.samples.address(index), index);
    }
    let mut places: Vec<usize> = newest.into_values().collect();
    places.sort_unstable();
    let mut kept = Inputs::default();
    for index in places {
        let (feed, attribute, timestamp, payload) = all.samples.get(index);
        kept.samples.push(feed, attribute, timestamp, payload);
    }
    kept
}

/// What is shown, and when.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Unix milliseconds of the recording.
    shown_ms: i64,
    now: Timestamp,
    speed: f64,
}

impl Moment {
    fn of(self, recorded: Timestamp) -> Timestamp {
        let behind = self.shown_ms.saturating_sub(recorded.0);
        Timestamp(self.now.0.saturating_sub((behind as f64 / self.speed).round() as i64))
    }
}

impl Declared {
    fn to(&self, feed: FeedId) -> Command {
        let Self { index, attribute_id, kind, rate_hz } = self.clone();
        Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz }
    }
}

/// Follows a device's command in `devices`. The feed, if one was opened or has one attribute more.
fn hear(devices: &mut FxHashMap<FeedId, Device>, command: &Command) -> Option<FeedId> {
    match command {
        Command::OpenFeed { feed, card, .. } => {
            if devices.len() >= SENSOR_COUNT_MAX {
                return None;
            }
            let card = replayed(card)?;
            let device = Device { card, attributes: Vec::new(), live: Link::Wanted };
            devices.insert(*feed, device);
            Some(*feed)
        }
        Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
            let device = devices.get_mut(feed)?;
            let known = device.attributes.iter().position(|known| known.index == *index);
            if !is_attribute_id(attribute_id)
                || (known.is_none() && device.attributes.len() >= ATTRIBUTE_COUNT_MAX)
            {
                return None;
            }
            if let Some(known) = known {
                device.attributes.remove(known);
            }
            device.attributes.push(Declared {
                index: *index,
                attribute_id: attribute_id.clone(),
                kind: *kind,
                rate_hz: rate_hz.filter(|rate_hz| rate_hz.is_finite()),
            });
            Some(*feed)
        }
        Command::ForgetAttribute { feed, attribute_id } => {
            let device = devices.get_mut(feed)?;
            device.attributes.retain(|known| known.attribute_id != *attribute_id);
            None
        }
        Command::RenameConnector { feed, connector_name } => {
            let device = devices.get_mut(feed)?;
            if connector_name.len() <= NAME_BYTES_MAX {
                device.card.connector_name = (**connector_name).into();
            }
            None
        }
        Command::CloseFeed { feed } | Command::Retire { feed } => {
            devices.remove(feed);
            None
        }
        _ => None,
    }
}

/// The card of the sensor that stands in for the recorded one, if that has one a device could
/// have.
fn replayed(card: &SensorCard) -> Option<SensorCard> {
    let prefixed = |id: &str| -> Option<Arc<str>> {
        let id = format!("{PREFIX}{id}");
        (id.len() <= NAME_BYTES_MAX).then(|| id.into())
    };
    let names = [&card.sensor_name, &card.sensor_type, &card.connector_name];
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return None;
    }
    Some(SensorCard {
        sensor_id: prefixed(&card.sensor_id)?,
        connector_id: prefixed(&card.connector_id)?,
        sampling_rate: if card.sampling_rate.is_finite() { card.sampling_rate } else { 0.0 },
        ..card.clone()
    })
}

/// `command`, said by another feed.
fn addressed_to(live: FeedId, command: &Command) -> Option<Command> {
    match command.clone() {
        Command::ForgetAttribute { attribute_id, .. } => {
            Some(Command::ForgetAttribute { feed: live, attribute_id })
        }
        Command::RenameConnector { connector_name, .. } => (connector_name.len() <= NAME_BYTES_MAX)
            .then_some(Command::RenameConnector { feed: live, connector_name }),
        _ => None,
    }
}

/// Whether a door would let it in. A recording is a file from anywhere.
fn is_fit(payload: &Payload<'_>, known: &mut FxHashMap<Arc<Shape>, bool>) -> bool {
    let finite = |cell: u64| match Cell(cell).leaf() {
        Leaf::Float(value) => value.is_finite(),
        Leaf::Text(_) => false,
        _ => true,
    };
    match payload {
        Payload::Scalar(cell) => finite(cell.0),
        Payload::Shaped { shape, cells } => {
            let fit = known.get(*shape).copied().unwrap_or_else(|| {
                let mut json = Vec::new();
                shape.write_json(&vec![Cell::NULL.0; shape.width()], &mut json);
                let fit = std::str::from_utf8(&json).is_ok_and(is_json);
                if known.len() < SHAPE_COUNT_MAX {
                    known.insert(Arc::clone(shape), fit);
                }
                fit
            });
            fit && cells.iter().all(|&cell| finite(cell))
        }
        Payload::Text { payload, extra } => {
            payload.len() + extra.len() <= PAYLOAD_BYTES_MAX
                && is_json(payload)
                && (extra.is_empty() || is_json(&format!("{{\"payload\":0{extra}}}")))
        }
    }
}

fn is_json(text: &str) -> bool {
    let mut depth = 0usize;
    let opened = |byte: u8| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    };
    let deepest = text.bytes().map(opened).max().unwrap_or(0);
    deepest <= PAYLOAD_DEPTH_MAX && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

//! The channels of one socket: who has joined what, and what each event does
//! (`reference/wire.md` 1.3, 2.1).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use components::attention::Level;
use components::budget::Pacing;
use components::class::Class;
use components::command::{Command, SensorCard};
use components::id::FeedId;
use components::ledger::Reason;
use components::limits::BATCH_SAMPLE_COUNT_MAX;
use components::sample::Timestamp;
use components::wire::device::{
    self, AttributeUpdate, Attributes, BatchError, Measurement, MeasurementError, SensorJoin,
    Standing, UpdateError,
};
use components::wire::phoenix::{self, FrameError, Head, Message, Status, Vsn};
use components::wire::push;
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as WsMessage;

use crate::address::{Address, Kind as Limited};
use crate::belongings::{Bringer, ConnectorKind, ConnectorWords, Heard};
use crate::bucket::Bucket;
use crate::dead_letters::DeadLetter;
use crate::device::{Events, SocketEvent};
use crate::discovery::DiscoverySeat;
use crate::gate::{Gate, Limit, Told};
use crate::history;
use crate::history::pages::{PageWish, Turning};
use crate::intake::Burst;
use crate::outbox::Outbox;
use crate::rooms::{Asker, First, RoomId, RoomSeat};
use crate::socket::{Comer, Doors, FRAME_COST_BYTES, text_message};
use crate::viewer::words::object;
use crate::viewer::{EventReply, SeatAddress, ViewerSeat};

/// Time from a join's reply to the first `backpressure_config`. The three.js client attaches its
/// handler after the reply and loses one that comes in the same read; from 5 ms on it never did
/// (`reference/wire.md` H3).
const FIRST_CONFIG_DELAY: Duration = Duration::from_millis(30);

/// What concerns every device, as a change of the load, is told to so many a millisecond, so that
/// they do not answer at once: to ten thousand within a second.
const TOLD_PER_MS: u64 = 10;

/// And within no less and no more than this.
const SPREAD_MS_MIN: u64 = 50;
const SPREAD_MS_MAX: u64 = 1000;

/// Answers that may wait for a join's own. A client that says more before it is joined misses
/// the answers behind.
const HELD_COUNT_MAX: usize = 64;

/// Losses of one burst that are told apart in the dead letters; the rest have no names.
const LOSS_COUNT_MAX: usize = 64;

/// In the dead letters, what was no measurement to begin with, and so is in no ledger.
const REFUSED: &str = "refused";

/// What a join costs beside its frame: the engine, every watching viewer's roster, perhaps a whole
/// past. A socket joins its thousand topics at once, and as many each second from then on.
const JOIN_COST: usize = 20;

/// While the sockets wait for each other, a sample counts as so many frames: who sends most is
/// slowed down first, to 5,000 a second, and who sends a hundred never notices.
const CROWDED_SAMPLE_COST: usize = 4;

/// Samples of a page of the past that cost as much as a frame.
const PAGE_SAMPLES_A_FRAME: usize = 32;

/// Bytes of a viewer's word that cost as much as a frame: it may name ten thousand sensors, and
/// the engine looks up each.
const VIEWER_WORD_COST_BYTES: usize = 16;

pub(crate) struct Channels {
    doors: Arc<Doors>,
    /// Of the socket.
    serial: u64,
    version: Vsn,
    outbox: Outbox,
    events: Events,
    /// Frames to be written, in order.
    pub(crate) out: Vec<WsMessage>,
    topics: FxHashMap<Arc<str>, Channel>,
    feeds: FxHashMap<FeedId, Arc<str>>,
    next_serial: u64,
    /// When which topic is to hear its pacing.
    configs: BTreeSet<(Instant, Arc<str>)>,
    connector: Connector,
    /// What has come; handed over at the end of what is read at once, so that it takes one lock.
    burst: Burst,
    losses: Vec<Loss>,
    samples: Bucket,
    attention: Bucket,
    address: Arc<Address>,
    /// Whoever has opened the socket.
    asker: Asker,
    now: Instant,
    /// The message at hand is one too many for the bytes of its address.
    too_heavy: bool,
    connection_told: Told,
    address_told: Told,
    /// See [`take_cost`](Self::take_cost).
    cost: usize,
}

/// What went no further, for the dead letters.
struct Loss {
    reason: &'static str,
    class: Option<Class>,
    topic: Option<Arc<str>>,
    attribute_id: Option<Box<str>>,
    detail: &'static str,
    count: u64,
}

/// Why a sample goes no further than here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Limited(Limit),
    Paced,
    /// Of this class there is enough.
    Shed(Class),
}

impl Stop {
    fn reason(self) -> Reason {
        match self {
            Self::Limited(_) => Reason::RateLimited,
            Self::Paced => Reason::Paced,
            Self::Shed(_) => Reason::Shed,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Limited(limit) => limit.name(),
            Self::Paced => "sent more often than asked",
            Self::Shed(_) => "more than the share of its class",
        }
    }
}

/// What this socket's connector said it is, as far as it matters.
#[derive(Debug, Clone, Copy, Default)]
struct Connector {
    /// It fails on the word `system_load` (H1).
    without_system_load: bool,
    /// It waits for an answer to everything it sends (H2).
    wants_acks: bool,
    kind: ConnectorKind,
}

struct Channel {
    topic: Arc<str>,
    join_ref: Option<Box<RawValue>>,
    serial: u64,
    kind: Kind,
}

enum Kind {
    Connector,
    /// `sensocto:lvntest:*`: a door to knock at.
    Test,
    Sensor(Box<Sensor>),
    Viewer(ViewerSeat),
    /// A room's, or a lobby's.
    Room(RoomSeat),
    Discovery(DiscoverySeat),
}

struct Sensor {
    feed: FeedId,
    /// Where it is to measure, and on whose behalf.
    room: Option<(RoomId, Asker)>,
    /// Whose it is, if it is somebody's, and what it comes by.
    bringer: Option<(Bringer, ConnectorWords)>,
    /// Once that is settled.
    heard: Option<Arc<Heard>>,
    attributes: Attributes,
    joining: Option<Joining>,
    gate: Gate,
    config_due: Option<Instant>,
    /// It has heard a pacing.
    is_configured: bool,
}

/// Of a sensor that joins.
struct Whose {
    room: Option<(RoomId, Asker)>,
    bringer: Option<(Bringer, ConnectorWords)>,
}

/// A join that waits for the engine's word.
struct Joining {
    reference: Option<Box<RawValue>>,
    /// What is to be written behind the join's reply.
    held: Vec<WsMessage>,
    /// Joined topics to declare once it is in.
    declared: bool,
}

/// What becomes of a channel after an event.
enum After {
    Stays,
    Crashes,
    /// The engine cannot be told: let the channel go, saying why.
    Busy,
}

/// What became of a message before it was read.
enum Unread {
    /// Its samples go no further.
    Stopped,
    /// They keep to the limits of connection, address and pacing, and have been counted there.
    MayCome,
    /// It must be read to be judged.
    Unknown,
}

impl Channels {
    pub(crate) fn new(
        doors: Arc<Doors>,
        serial: u64,
        version: Vsn,
        outbox: Outbox,
        events: Events,
        address: Arc<Address>,
        asker: Asker,
    ) -> Self {
        let now = Instant::now();
        Self {
            samples: Bucket::new(doors.limits.samples, now),
            attention: Bucket::new(doors.limits.attention, now),
            address,
            asker,
            doors,
            serial,
            version,
            outbox,
            events,
            out: Vec::new(),
            topics: FxHashMap::default(),
            feeds: FxHashMap::default(),
            next_serial: 0,
            configs: BTreeSet::new(),
            connector: Connector::default(),
            burst: Burst::default(),
            losses: Vec::new(),
            now,
            too_heavy: false,
            connection_told: Told::default(),
            address_told: Told::default(),
            cost: 0,
        }
    }

    /// How many frames more than itself the last message was worth, to the work that it makes.
    pub(crate) fn take_cost(&mut self) -> usize {
        std::mem::take(&mut self.cost)
    }

    pub(crate) fn overrun(&self) -> bool {
        self.events.overrun()
    }

    /// The engine's words came faster than they were taken, and one was lost.
    pub(crate) fn lose_event(&mut self) {
        self.lose("events_overrun", None, None, None, "sockets behind the engine's words", 1);
        self.hand_over();
    }

    pub(crate) fn begin_burst(&mut self, now: Instant) {
        self.now = now;
        self.samples.fill(now);
        self.attention.fill(now);
    }

    /// Gives the samples that have come to the engine, with the count of those that go no further.
    pub(crate) fn hand_over(&mut self) {
        if !self.burst.is_empty() {
            let count = self.burst.len();
            if self.doors.intake.samples(&mut self.burst).is_err() {
                self.lose_what_was_left();
            }
            if self.doors.counts.crowd.is_crowded() {
                self.cost += count * CROWDED_SAMPLE_COST;
            }
        }
        if !self.losses.is_empty() {
            let now = unix_now().0;
            for loss in self.losses.drain(..) {
                let Loss { reason, class, topic, attribute_id, detail, count } = loss;
                let sensor_id = topic.as_deref().and_then(|t| t.strip_prefix("sensocto:sensor:"));
                let attribute_id = attribute_id.as_deref();
                let letter = DeadLetter { reason, class, sensor_id, attribute_id, count, detail };
                self.doors.letters.note(now, letter);
            }
        }
    }

    /// The intake is full for some classes, and has counted theirs.
    fn lose_what_was_left(&mut self) {
        for class in Class::ALL {
            let left = std::mem::take(self.burst.samples(class));
            for index in 0..left.len() {
                let topic = self.feeds.get(&left.address(index).0).cloned();
                let detail = "the queue of its class is full";
                self.lose(Reason::IntakeFull.name(), Some(class), topic.as_ref(), None, detail, 1);
            }
        }
    }

    /// Notes something for the dead letters.
    fn lose(
        &mut self,
        reason: &'static str,
        class: Option<Class>,
        topic: Option<&Arc<str>>,
        attribute_id: Option<&str>,
        detail: &'static str,
        count: u64,
    ) {
        let full = self.losses.len() >= LOSS_COUNT_MAX;
        let (topic, attribute_id) = if full { (None, None) } else { (topic, attribute_id) };
        let same = |loss: &&mut Loss| {
            (loss.reason, loss.class, loss.detail) == (reason, class, detail)
                && loss.topic.as_ref().map(Arc::as_ptr) == topic.map(Arc::as_ptr)
                && loss.attribute_id.as_deref() == attribute_id
        };
        // What is lost comes in rows.
        match self.losses.iter_mut().rev().find(same) {
            Some(loss) => loss.count += count,
            None => self.losses.push(Loss {
                reason,
                class,
                topic: topic.cloned(),
                attribute_id: attribute_id.map(Into::into),
                detail,
                count,
            }),
        }
    }

    /// Samples of one class, and of one attribute if it is known, go no further.
    fn stop(
        &mut self,
        topic: &Arc<str>,
        class: Class,
        attribute_id: Option<&str>,
        stop: Stop,
        count: u64,
    ) {
        let reason = stop.reason();
        self.burst.drop(class, reason, count);
        self.lose(reason.name(), Some(class), Some(topic), attribute_id, stop.detail(), count);
        if let Stop::Limited(limit) = stop {
            self.doors.counts.limited(limit, Limited::Samples, count);
        }
        if !matches!(stop, Stop::Shed(_)) {
            // Whoever goes on is read more slowly, rather than read and thrown away at full speed.
            self.cost += count as usize;
        }
    }

    pub(crate) fn renew_viewers(&mut self) {
        for channel in self.topics.values_mut() {
            if let Kind::Viewer(seat) = &mut channel.kind {
                seat.alive();
            }
        }
    }

    /// Whether the client hears of every measurement that it was taken, and so sends again what it has
    /// not heard of.
    pub(crate) fn acknowledges(&self) -> bool {
        self.connector.wants_acks
    }

    pub(crate) fn leave_all(&mut self) {
        self.hand_over();
        for (_, channel) in std::mem::take(&mut self.topics) {
            self.release(&channel);
        }
        self.configs.clear();
    }

    /// After a panic: what was being read goes no further, and nobody is left behind.
    pub(crate) fn abandon(&mut self) {
        for class in Class::ALL {
            let count = std::mem::take(self.burst.samples(class)).len() as u64;
            if count > 0 {
                self.burst.drop(class, Reason::Fault, count);
            }
        }
        if catch_unwind(AssertUnwindSafe(|| self.hand_over())).is_err() {
            self.burst = Burst::default();
            self.losses.clear();
        }
        self.leave_all();
        for (feed, topic) in std::mem::take(&mut self.feeds) {
            self.doors.topics.leave(&topic, self.serial);
            self.doors.devices.close(feed);
            self.doors.belongings.leave(feed);
        }
    }

    // What comes in.

    /// A text frame. While the machine is pressed, what would be thrown away is not read first.
    pub(crate) fn text(&mut self, frame: &str) -> Result<(), FrameError> {
        self.weigh(frame.len());
        let may_come = match Head::of(self.version, frame) {
            Some(head) if head.event == "measurements_batch" => match self.pass_unread(&head) {
                Unread::Stopped => return Ok(()),
                Unread::MayCome => true,
                Unread::Unknown => false,
            },
            _ => false,
        };
        self.message(phoenix::decode_text(self.version, frame)?, may_come);
        Ok(())
    }

    /// A binary frame.
    pub(crate) fn binary(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        self.weigh(frame.len());
        self.message(phoenix::decode_binary(self.version, frame)?, false);
        Ok(())
    }

    fn weigh(&mut self, bytes: usize) {
        self.too_heavy = !self.address.take(Limited::Bytes, bytes, self.now);
        if self.too_heavy {
            self.cost += 1 + bytes / FRAME_COST_BYTES;
            self.doors.counts.limited(Limit::Address, Limited::Bytes, bytes as u64);
        }
    }

    /// `may_come`: whether its samples may has been asked, and they may.
    fn message(&mut self, message: Message<'_>, may_come: bool) {
        if message.event == "phx_join" {
            return self.join(&message);
        }
        if message.topic == "phoenix" {
            return match &*message.event {
                "heartbeat" => self.reply(None, &message, Status::Ok, "{}"),
                _ => self.unmatched(&message),
            };
        }
        // The channel is taken out while it works, and put back if it stays.
        let Some((topic, mut channel)) = self.topics.remove_entry(&*message.topic) else {
            return match &*message.event {
                "phx_leave" => self.reply(message.join_ref.as_deref(), &message, Status::Ok, "{}"),
                _ => self.unmatched(&message),
            };
        };
        let stale = match (message.join_ref.as_deref(), channel.join_ref.as_deref()) {
            (Some(theirs), Some(ours)) => theirs.get() != ours.get(),
            _ => false,
        };
        if stale {
            self.topics.insert(topic, channel);
            return;
        }
        if message.event == "phx_leave" {
            self.reply(channel.join_ref.as_deref(), &message, Status::Ok, "{}");
            return self.close(&channel);
        }
        let work = || self.channel_event(&mut channel, &message, may_come);
        let after = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(after) => after,
            Err(panic) => {
                // Whoever ends the socket leaves this one, too.
                self.topics.insert(topic, channel);
                resume_unwind(panic)
            }
        };
        match after {
            After::Stays => {
                self.topics.insert(topic, channel);
            }
            After::Crashes => {
                self.frame(|out, vsn| {
                    phoenix::error(out, vsn, channel.join_ref.as_deref(), &topic);
                });
                self.release(&channel);
            }
            After::Busy => {
                self.answer(&mut channel, &message, Status::Error, r#"{"reason":"busy"}"#);
                self.close(&channel);
            }
        }
    }

    fn unmatched(&mut self, message: &Message<'_>) {
        self.reply(None, message, Status::Error, r#"{"reason":"unmatched topic"}"#);
    }

    fn channel_event(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        may_come: bool,
    ) -> After {
        let payload = message.payload.json();
        if matches!(channel.kind, Kind::Viewer(_) | Kind::Room(_) | Kind::Discovery(_)) {
            self.cost += payload.map_or(0, |it| it.get().len()) / VIEWER_WORD_COST_BYTES;
            if let Err(limit) = self.attend(&message.event) {
                self.answer(channel, message, Status::Error, &limited_body(limit));
                return After::Stays;
            }
            let Some(payload) = payload else {
                let response = r#"{"reason":"invalid_payload"}"#;
                self.answer(channel, message, Status::Error, response);
                return After::Stays;
            };
            let reply = match &mut channel.kind {
                Kind::Viewer(seat) if &*message.event == "history" => {
                    let turned = PageWish::read(payload.get()).and_then(|wish| {
                        let turning = seat.turn_back(&wish.sensor_id, &wish.attribute_id)?;
                        Ok((wish, turning))
                    });
                    match turned {
                        Ok((wish, turning)) => {
                            self.turn_page(channel.join_ref.as_deref(), message, wish, turning);
                            EventReply::Silent
                        }
                        Err(reason) => {
                            let reason = reason.to_string();
                            self.answer(channel, message, Status::Error, &reason);
                            EventReply::Silent
                        }
                    }
                }
                Kind::Viewer(seat) => seat.event(&message.event, payload),
                Kind::Room(seat) => {
                    seat.event(&message.event, message.reference.as_deref(), payload)
                }
                Kind::Discovery(seat) => seat.event(&message.event, payload),
                _ => EventReply::Silent,
            };
            match reply {
                EventReply::Silent => {}
                EventReply::Ok(response) => {
                    // A page of a room's talk is a hundred times what asks for it.
                    self.cost += response.get().len() / FRAME_COST_BYTES;
                    self.answer(channel, message, Status::Ok, response.get());
                }
                EventReply::WhenDone(response) => {
                    self.answer(channel, message, Status::Ok, response.get());
                    if let Some(frame) = self.out.pop() {
                        let answered = SocketEvent::Answered { frame };
                        self.doors.intake.tell_when_done(&self.events, answered);
                    }
                }
                EventReply::Error(response) => {
                    self.answer(channel, message, Status::Error, response.get());
                }
            }
            return After::Stays;
        }
        // Bytes to a device's channel are passed over, as in the original.
        let Some(payload) = payload else { return After::Stays };
        match &*message.event {
            "measurement" => return self.measurement(channel, message, payload),
            "measurements_batch" => {
                return self.measurements_batch(channel, message, payload, may_come);
            }
            _ if self.too_heavy => {
                self.lose(Reason::RateLimited.name(), None, None, None, "messages by address", 1);
                self.answer(channel, message, Status::Error, &limited_body(Limit::Address));
            }
            "update_attributes" => return self.update_attributes(channel, message, payload),
            "update_connector" => return self.update_connector(channel, message, payload),
            "ping" => self.answer(channel, message, Status::Ok, payload.get()),
            "shout" if object(payload.get()).is_none() => {
                self.refuse(channel, message, "invalid_payload");
            }
            "shout" => {
                let joining =
                    matches!(&channel.kind, Kind::Sensor(sensor) if sensor.joining.is_some());
                if !joining {
                    self.doors.topics.broadcast(&channel.topic, "shout", payload.get());
                }
            }
            _ => {}
        }
        After::Stays
    }

    /// Reads a page of the past beside everything else; the answer comes when it is there.
    fn turn_page(
        &mut self,
        join_ref: Option<&RawValue>,
        message: &Message<'_>,
        wish: PageWish,
        turning: Turning,
    ) {
        self.cost += wish.count() as usize / PAGE_SAMPLES_A_FRAME;
        let (join_ref, reference) =
            (join_ref.map(ToOwned::to_owned), message.reference.as_deref().map(ToOwned::to_owned));
        let (topic, vsn): (Box<str>, _) = ((*message.topic).into(), self.version);
        let (history, events) = (Arc::clone(&self.doors.history), self.events.clone());
        tokio::spawn(async move {
            let page = history::pages::page(history, wish).await;
            drop(turning);
            let (status, response) = match page {
                Ok(page) => (Status::Ok, page),
                Err(reason) => (Status::Error, reason.to_string()),
            };
            let mut out = Vec::with_capacity(response.len() + 256);
            let references = (join_ref.as_deref(), reference.as_deref());
            phoenix::reply(&mut out, vsn, references, &topic, status, &response);
            events.send(SocketEvent::Answered { frame: text_message(out.into()) });
        });
    }

    /// Whether one more word of a viewer is within what its connection and address may say. Unlike
    /// samples, each that is not is answered: what a viewer looks at is not for us to forget.
    fn attend(&mut self, event: &str) -> Result<(), Limit> {
        let limit = if self.too_heavy {
            Limit::Address
        } else if event == "ping" {
            return Ok(());
        } else if !self.attention.take(1.0) {
            Limit::Connection
        } else if !self.address.take(Limited::Attention, 1, self.now) {
            Limit::Address
        } else {
            return Ok(());
        };
        if !self.too_heavy {
            self.doors.counts.limited(limit, Limited::Attention, 1);
        }
        let detail = match limit {
            Limit::Address => "a viewer's words by address",
            _ => "a viewer's words by connection",
        };
        self.lose(Reason::RateLimited.name(), None, None, None, detail, 1);
        Err(limit)
    }

    fn measurement(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        payload: &RawValue,
    ) -> After {
        match device::measurement(payload) {
            Ok(measurement) => {
                return self.measured(channel, message, std::slice::from_ref(&measurement), false);
            }
            Err(error) => match error.reason() {
                Some(reason) => self.refuse(channel, message, reason),
                None => {
                    debug_assert!(matches!(
                        error,
                        MeasurementError::NotAnObject | MeasurementError::Incomplete
                    ));
                    self.incomplete(&channel.topic);
                }
            },
        }
        After::Stays
    }

    fn measurements_batch(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        payload: &RawValue,
        may_come: bool,
    ) -> After {
        let mut measurements = Vec::new();
        match device::measurements_batch(payload, &mut measurements) {
            Ok(()) => return self.measured(channel, message, &measurements, may_come),
            Err(BatchError::NotAnArray) => self.incomplete(&channel.topic),
            Err(BatchError::Crashed) => return After::Crashes,
            Err(BatchError::TooLarge) => self.refuse(channel, message, "batch_too_large"),
            Err(BatchError::Invalid { failed }) => {
                self.doors.counts.refused.fetch_add(1, Ordering::Relaxed);
                self.lose(REFUSED, None, Some(&channel.topic), None, "invalid_batch", 1);
                let response = format!(r#"{{"reason":"invalid_batch","failed_count":{failed}}}"#);
                self.answer(channel, message, Status::Error, &response);
            }
        }
        After::Stays
    }

    /// Throws a batch away of which only the head was read, or says whether its samples may come:
    /// reading is most of what a sample costs. Of sensors that somebody points at, and where it is
    /// not known what is in a message, nothing is thrown away unread. How many there were is counted
    /// by their look.
    fn pass_unread(&mut self, head: &Head<'_>) -> Unread {
        let is_ours = |channel: &&Channel| head.is_of(channel.join_ref.as_deref());
        let Some(Channel { kind: Kind::Sensor(sensor), .. }) =
            self.topics.get(head.topic).filter(is_ours)
        else {
            return Unread::Unknown;
        };
        let Some(class) =
            sensor.attributes.only_class().filter(|_| sensor.gate.level() < Level::High)
        else {
            return Unread::Unknown;
        };
        let level = sensor.gate.level();
        let has_share = self.doors.intake.has_share_left(class, level, self.now.into_std())
            || sensor.gate.is_due(self.now);
        if has_share && !sensor.gate.is_enforced() {
            return Unread::Unknown;
        }
        let count = device::batch_count(head.payload);
        let Some(message) = head.message() else { return Unread::Unknown };
        if count == 0 || count > BATCH_SAMPLE_COUNT_MAX {
            return Unread::Unknown;
        }
        let Some((topic, mut channel)) = self.topics.remove_entry(head.topic) else {
            return Unread::Unknown;
        };
        let passed = match &mut channel.kind {
            Kind::Sensor(sensor) => self.may_come(sensor, count),
            _ => Ok(()),
        };
        let stop = match passed {
            Ok(()) if has_share => None,
            Ok(()) => Some(Stop::Shed(class)),
            Err(stop) => Some(stop),
        };
        if let Some(stop) = stop {
            self.stop(&topic, class, None, stop, count as u64);
            self.tell_stop(&mut channel, &message, stop);
        }
        self.topics.insert(topic, channel);
        if stop.is_some() { Unread::Stopped } else { Unread::MayCome }
    }

    /// Samples have come in one message. What is beyond a limit of the connection or address, or
    /// comes too often, goes as a whole; what is beyond a limit of the sensor or class, one by one.
    fn measured(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        measurements: &[Measurement<'_>],
        may_come: bool,
    ) -> After {
        let Channel { topic, kind, .. } = channel;
        let Kind::Sensor(sensor) = kind else {
            // As the original: there is no sensor behind a connector's topic.
            return if matches!(kind, Kind::Connector) { After::Crashes } else { After::Stays };
        };
        let stop = if may_come { None } else { self.may_come(sensor, measurements.len()).err() };
        let mut stopped = None;
        if let Some(stop) = stop {
            let of = |it: &Measurement<'_>| sensor.attributes.class_of(it);
            let alike = |a: &Measurement<'_>, b: &Measurement<'_>| {
                a.attribute_id == b.attribute_id && of(a) == of(b)
            };
            for row in measurements.chunk_by(alike) {
                let (first, count) = (&row[0], row.len() as u64);
                self.stop(topic, of(first), Some(&first.attribute_id), stop, count);
            }
            self.tell_stop(channel, message, stop);
            return After::Stays;
        }
        if let Some(heard) = &sensor.heard {
            heard.stamp(self.now.into_std());
        }
        // One attribute too many refuses its own samples only; the device is told once.
        let mut refused = false;
        for (index, measurement) in measurements.iter().enumerate() {
            match self.store(sensor, topic, measurement) {
                Stored::Yes => {}
                Stored::Stopped(stop) => stopped = Some(stop),
                Stored::Refused => refused = true,
                Stored::Busy => {
                    for rest in &measurements[index..] {
                        let class = sensor.attributes.class_of(rest);
                        self.burst.drop(class, Reason::IntakeFull, 1);
                        let (reason, detail) =
                            (Reason::IntakeFull.name(), "too many commands wait");
                        self.lose(reason, Some(class), Some(topic), None, detail, 1);
                    }
                    return After::Busy;
                }
            }
        }
        if refused {
            self.refuse_attribute(channel, message);
        } else if let Some(stop) = stopped {
            self.tell_stop(channel, message, stop);
        } else {
            self.acknowledge(channel, message);
        }
        After::Stays
    }

    /// What lacks a member is ignored, as by the original; but it is counted.
    fn incomplete(&mut self, topic: &Arc<str>) {
        self.doors.counts.incomplete.fetch_add(1, Ordering::Relaxed);
        self.lose(REFUSED, None, Some(topic), None, "messages that lack a member", 1);
    }

    /// Whether a message with so many samples is taken at all.
    fn may_come(&mut self, sensor: &mut Sensor, count: usize) -> Result<(), Stop> {
        if !self.samples.take(count as f64) {
            return Err(Stop::Limited(Limit::Connection));
        }
        if self.too_heavy || !self.address.take(Limited::Samples, count, self.now) {
            return Err(Stop::Limited(Limit::Address));
        }
        if !sensor.gate.keeps_pace(count, self.now) {
            return Err(Stop::Paced);
        }
        Ok(())
    }

    /// Puts a sample with its burst, and tells the engine of an attribute it does not know.
    fn store(
        &mut self,
        sensor: &mut Sensor,
        topic: &Arc<str>,
        measurement: &Measurement<'_>,
    ) -> Stored {
        let attribute_id = &*measurement.attribute_id;
        let standing = sensor.attributes.standing(attribute_id);
        let class = match standing {
            Standing::Declared { class, .. } => class,
            Standing::Undeclared { .. } | Standing::Refused => measurement.kind().class(),
        };
        if standing == Standing::Refused {
            self.burst.drop(class, Reason::UnknownFeed, 1);
            return Stored::Refused;
        }
        let now = self.now.into_std();
        let (intake, at) = (&self.doors.intake, self.now);
        let has_share = |sensor: &mut Sensor| {
            intake.has_share(class, sensor.gate.level(), now)
                // It passes all the same, and is of the class's share as any other.
                || sensor.gate.takes_turn(at) && intake.has_share(class, Level::High, now)
        };
        let stop = if !sensor.gate.has_room(class, &self.doors.limits.sensor_samples, self.now) {
            Stop::Limited(Limit::Sensor)
        } else if !has_share(sensor) {
            Stop::Shed(class)
        } else {
            sensor.gate.passed(self.now);
            let index = match standing {
                Standing::Undeclared { index, rate_hz } => {
                    let kind = measurement.kind();
                    let command = Command::DeclareAttribute {
                        feed: sensor.feed,
                        index,
                        attribute_id: attribute_id.into(),
                        kind,
                        rate_hz,
                    };
                    if self.doors.intake.command(command).is_err() {
                        return Stored::Busy;
                    }
                    sensor.attributes.set_declared(attribute_id, kind);
                    index
                }
                Standing::Declared { index, .. } => index,
                Standing::Refused => return Stored::Refused,
            };
            let samples = self.burst.samples(class);
            sensor.attributes.push(samples, sensor.feed, index, measurement);
            return Stored::Yes;
        };
        self.stop(topic, class, Some(attribute_id), stop, 1);
        Stored::Stopped(stop)
    }

    fn update_attributes(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        payload: &RawValue,
    ) -> After {
        let update = match device::attribute_update(payload) {
            Ok(update) => update,
            Err(error) => {
                let reason = match error {
                    UpdateError::Ignored if object(payload.get()).is_some() => "missing_fields",
                    UpdateError::Ignored => "invalid_payload",
                    UpdateError::InvalidAction => "invalid_action",
                    UpdateError::InvalidAttributeId => "invalid_attribute_id",
                };
                self.refuse(channel, message, reason);
                return After::Stays;
            }
        };
        let Kind::Sensor(sensor) = &mut channel.kind else {
            return if matches!(channel.kind, Kind::Connector) {
                After::Crashes
            } else {
                After::Stays
            };
        };
        let feed = sensor.feed;
        match update {
            AttributeUpdate::Register(card) => {
                let kind = card.kind().unwrap_or_default();
                match sensor.attributes.standing(&card.attribute_id) {
                    Standing::Declared { .. } => {}
                    Standing::Refused => {
                        self.refuse_attribute(channel, message);
                        return After::Stays;
                    }
                    Standing::Undeclared { index, rate_hz } => {
                        let command = Command::DeclareAttribute {
                            feed,
                            index,
                            attribute_id: card.attribute_id.as_ref().into(),
                            kind,
                            rate_hz: card.rate_hz.or(rate_hz),
                        };
                        if self.doors.intake.command(command).is_err() {
                            return After::Busy;
                        }
                        sensor.attributes.set_declared(&card.attribute_id, kind);
                    }
                }
            }
            AttributeUpdate::Unregister(attribute_id) => {
                let known = sensor.attributes.forget(&attribute_id);
                // What was measured before belongs to the attribute that goes.
                self.hand_over();
                let command =
                    Command::ForgetAttribute { feed, attribute_id: attribute_id.as_ref().into() };
                if known && self.doors.intake.command(command).is_err() {
                    return After::Busy;
                }
            }
        }
        self.acknowledge(channel, message);
        After::Stays
    }

    fn update_connector(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        payload: &RawValue,
    ) -> After {
        let Some(name) = device::connector_update(payload) else {
            self.refuse(channel, message, "invalid_connector_name");
            return After::Stays;
        };
        let Kind::Sensor(sensor) = &channel.kind else {
            return if matches!(channel.kind, Kind::Connector) {
                After::Crashes
            } else {
                After::Stays
            };
        };
        let command =
            Command::RenameConnector { feed: sensor.feed, connector_name: name.as_ref().into() };
        if self.doors.intake.command(command).is_err() {
            return After::Busy;
        }
        let mut response = b"{\"connector_name\":".to_vec();
        push::write_string(&name, &mut response);
        response.push(b'}');
        self.answer(channel, message, Status::Ok, &String::from_utf8_lossy(&response));
        After::Stays
    }

    fn acknowledge(&mut self, channel: &mut Channel, message: &Message<'_>) {
        if self.connector.wants_acks {
            self.answer(channel, message, Status::Ok, "{}");
        }
    }

    fn refuse_attribute(&mut self, channel: &mut Channel, message: &Message<'_>) {
        self.refuse(channel, message, "too_many_attributes");
    }

    fn refuse(&mut self, channel: &mut Channel, message: &Message<'_>, reason: &'static str) {
        self.doors.counts.refused.fetch_add(1, Ordering::Relaxed);
        self.lose(REFUSED, None, Some(&channel.topic), None, reason, 1);
        self.answer(channel, message, Status::Error, &format!(r#"{{"reason":"{reason}"}}"#));
    }

    /// Tells a device that it lost samples and why, at most once a second for each of its troubles.
    fn tell_stop(&mut self, channel: &mut Channel, message: &Message<'_>, stop: Stop) {
        let Kind::Sensor(sensor) = &mut channel.kind else { return };
        let told = match stop {
            Stop::Limited(Limit::Connection) => &mut self.connection_told,
            Stop::Limited(Limit::Address) => &mut self.address_told,
            Stop::Limited(Limit::Sensor) => &mut sensor.gate.limited,
            Stop::Paced => &mut sensor.gate.paced,
            Stop::Shed(_) => &mut sensor.gate.shed,
        };
        if !told.again(self.now) {
            return;
        }
        let Pacing { window_ms, paused, .. } = sensor.gate.pacing();
        let response = match stop {
            Stop::Limited(limit) => limited_body(limit),
            Stop::Paced => {
                format!(r#"{{"reason":"paced","window_ms":{window_ms},"paused":{paused}}}"#)
            }
            Stop::Shed(class) => format!(r#"{{"reason":"shed","class":"{}"}}"#, class.name()),
        };
        self.answer(channel, message, Status::Error, &response);
    }

    // Joining and leaving.

    fn join(&mut self, message: &Message<'_>) {
        self.cost += JOIN_COST;
        let topic = &*message.topic;
        let routed = ["sensocto:", "viewer:", "room:", "lobby:", "discovery:"]
            .iter()
            .any(|it| topic.starts_with(it));
        if !routed {
            return self.unmatched(message);
        }
        if self.too_heavy || !self.address.take(Limited::Joins, 1, self.now) {
            if !self.too_heavy {
                self.doors.counts.limited(Limit::Address, Limited::Joins, 1);
            }
            self.lose(Reason::RateLimited.name(), None, None, None, "joins by address", 1);
            let response = limited_body(Limit::Address);
            return self.reply(message.join_ref.as_deref(), message, Status::Error, &response);
        }
        // A second join of a topic ends the first, whatever becomes of it; its `phx_close` comes
        // behind the new join's reply.
        let replaced = self.topics.remove(topic);
        if replaced.is_none() && self.topics.len() >= self.doors.limits.topic_count_max {
            return self.refuse_join(message, "too many channels joined");
        }
        // No name that a sensor or connector may have makes a longer one, and a joined topic is kept.
        if topic.len() > phoenix::PART_BYTES_MAX {
            self.refuse_join(message, "name_too_long");
            return replaced.iter().for_each(|old| self.close(old));
        }
        let Some(params) = message.payload.json() else {
            self.refuse_join(message, "join crashed");
            return replaced.iter().for_each(|old| self.close(old));
        };
        if let Some(rest) = topic.strip_prefix("sensocto:") {
            if let Some(sensor_id) = rest.strip_prefix("sensor:") {
                return self.join_sensor(message, sensor_id, params, replaced);
            }
            if let Some(connector_id) = rest.strip_prefix("connector:") {
                match device::connector_join(connector_id, params) {
                    Ok(join) => {
                        let is = |name: &str| join.connector_type.eq_ignore_ascii_case(name);
                        self.connector = Connector {
                            without_system_load: is("python") || is("unity"),
                            wants_acks: is("unity"),
                            kind: ConnectorKind::from_name(&join.connector_type),
                        };
                        self.admit(message, Kind::Connector);
                    }
                    Err(error) => self.refuse_join(message, error.reason()),
                }
            } else if rest.starts_with("lvntest:")
                && self.doors.auth.mode != crate::auth::Mode::Strict
            {
                self.admit(message, Kind::Test);
            } else {
                self.refuse_join(message, "join crashed");
            }
        } else if let Some(token) = topic.strip_prefix("viewer:data:") {
            let (serial, seat) = self.seat(message);
            match self.doors.viewers.join(token, params, seat) {
                Ok((response, pending)) => {
                    self.reply(message.join_ref.as_deref(), message, Status::Ok, response.get());
                    self.insert(message, serial, Kind::Viewer(pending.begin()));
                }
                Err(response) => {
                    self.reply(message.join_ref.as_deref(), message, Status::Error, response.get());
                }
            }
        } else if object(params.get()).is_none() && params.get() != "null" {
            self.refuse_join(message, "invalid_payload");
        } else if let Some(id) = topic.strip_prefix("room:") {
            let (serial, seat) = self.seat(message);
            let joined = self.doors.rooms.join_room(id, self.asker.clone(), params, seat);
            self.joined_room(message, serial, joined);
        } else if let Some(whose) = topic.strip_prefix("lobby:") {
            let (serial, seat) = self.seat(message);
            let joined = self.doors.rooms.join_lobby(whose, self.asker.clone(), seat);
            self.joined_room(message, serial, joined);
        } else if topic == "discovery:sensors" {
            let (serial, seat) = self.seat(message);
            match self.doors.discovery.join(self.asker.clone(), seat) {
                Ok(seat) => {
                    self.reply(message.join_ref.as_deref(), message, Status::Ok, "{}");
                    self.insert(message, serial, Kind::Discovery(seat));
                }
                Err(reason) => self.refuse_join(message, reason),
            }
        } else {
            self.refuse_join(message, "invalid_topic");
        }
        if let Some(old) = replaced {
            self.close_replaced(&old);
        }
    }

    /// The reply comes before what the channel hears first; what it hears later waits in the outbox
    /// until both are written.
    fn joined_room(
        &mut self,
        message: &Message<'_>,
        serial: u64,
        joined: Result<(First, RoomSeat), &'static str>,
    ) {
        let (first, seat) = match joined {
            Ok(joined) => joined,
            Err(reason) => return self.refuse_join(message, reason),
        };
        self.reply(message.join_ref.as_deref(), message, Status::Ok, "{}");
        for (event, payload) in first {
            let join_ref = message.join_ref.as_deref();
            self.frame(|out, vsn| {
                phoenix::push(out, vsn, join_ref, &message.topic, event, &payload);
            });
        }
        self.insert(message, serial, Kind::Room(seat));
    }

    fn join_sensor(
        &mut self,
        message: &Message<'_>,
        sensor_id: &str,
        params: &RawValue,
        replaced: Option<Channel>,
    ) {
        let refusal = match device::sensor_join(sensor_id, params) {
            Err(error) => error.reason(),
            Ok(SensorJoin::Receiver { token }) => match self.doors.auth.device(token.as_deref()) {
                Err(_) => "unauthorized",
                Ok(_) => {
                    let (serial, seat) = self.seat(message);
                    match self.doors.viewers.receive(sensor_id, seat) {
                        Ok(pending) => {
                            self.reply(message.join_ref.as_deref(), message, Status::Ok, "{}");
                            self.insert(message, serial, Kind::Viewer(pending.begin()));
                        }
                        Err(response) => {
                            self.reply(
                                message.join_ref.as_deref(),
                                message,
                                Status::Error,
                                response.get(),
                            );
                        }
                    }
                    return replaced.iter().for_each(|old| self.close_replaced(old));
                }
            },
            Ok(SensorJoin::Device { card, attributes, token, room_id }) => {
                let words = ConnectorWords {
                    id: Arc::clone(&card.connector_id),
                    name: Arc::clone(&card.connector_name),
                    kind: self.connector.kind,
                };
                match self.open_feed(card, token.as_deref()) {
                    Err(reason) => reason,
                    Ok((feed, Comer { asker, bringer, .. })) => {
                        let room = room_id.as_deref().and_then(RoomId::parse);
                        let whose = Whose {
                            room: room.map(|id| (id, asker)),
                            bringer: bringer.map(|bringer| (bringer, words)),
                        };
                        return self.await_feed(message, feed, &attributes, whose, replaced);
                    }
                }
            }
        };
        self.refuse_join(message, refusal);
        if let Some(old) = replaced {
            self.close_replaced(&old);
        }
    }

    /// A feed for who may feed this sensor.
    fn open_feed(
        &self,
        card: SensorCard,
        token: Option<&str>,
    ) -> Result<(FeedId, Comer), &'static str> {
        let comer = self.doors.device(token).map_err(|_| "unauthorized")?;
        self.doors.belongings.may_feed(&card.sensor_id, comer.bringer.as_ref())?;
        let owner = Arc::clone(&comer.owner);
        let feed = self.doors.devices.open(card, owner, &self.events);
        Ok((feed.map_err(|error| error.reason())?, comer))
    }

    /// Seats the channel; its reply waits for the engine's word on the feed.
    fn await_feed(
        &mut self,
        message: &Message<'_>,
        feed: FeedId,
        cards: &[device::AttributeCard<'_>],
        Whose { room, bringer }: Whose,
        replaced: Option<Channel>,
    ) {
        let mut attributes = Attributes::default();
        let mut declared = true;
        for card in cards {
            let Standing::Undeclared { index, .. } = attributes.standing(&card.attribute_id) else {
                continue;
            };
            attributes.set_rate(&card.attribute_id, card.rate_hz);
            let Some(kind) = card.kind() else { continue };
            let attribute_id = card.attribute_id.as_ref().into();
            let command = Command::DeclareAttribute {
                feed,
                index,
                attribute_id,
                kind,
                rate_hz: card.rate_hz,
            };
            // Should the engine be too busy now, the first sample declares it.
            if self.doors.intake.command(command).is_ok() {
                attributes.set_declared(&card.attribute_id, kind);
            } else {
                declared = false;
            }
        }
        let mut joining = Joining {
            reference: message.reference.as_deref().map(ToOwned::to_owned),
            held: Vec::new(),
            declared,
        };
        if let Some(old) = replaced {
            let mut out = Vec::new();
            phoenix::close(&mut out, self.version, old.join_ref.as_deref(), &old.topic);
            joining.held.push(text_message(out.into()));
            self.release(&old);
        }
        let sensor = Sensor {
            feed,
            room,
            bringer,
            heard: None,
            attributes,
            joining: Some(joining),
            gate: Gate::new(feed.0.slot, &self.doors.limits.sensor_samples, self.now),
            config_due: None,
            is_configured: false,
        };
        let serial = self.take_serial();
        let topic = self.insert(message, serial, Kind::Sensor(Box::new(sensor)));
        self.feeds.insert(feed, topic);
    }

    fn admit(&mut self, message: &Message<'_>, kind: Kind) {
        self.reply(message.join_ref.as_deref(), message, Status::Ok, "{}");
        let serial = self.take_serial();
        let topic = self.insert(message, serial, kind);
        self.doors.topics.join(&topic, self.serial, self.version, &self.outbox);
    }

    fn refuse_join(&mut self, message: &Message<'_>, reason: &str) {
        let response = format!(r#"{{"reason":"{reason}"}}"#);
        self.reply(message.join_ref.as_deref(), message, Status::Error, &response);
    }

    fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    fn seat(&mut self, message: &Message<'_>) -> (u64, SeatAddress) {
        let serial = self.take_serial();
        let events = self.events.clone();
        let seat = SeatAddress {
            outbox: self.outbox.clone(),
            topic: (*message.topic).into(),
            join_ref: message.join_ref.as_deref().map(ToOwned::to_owned),
            version: self.version,
            kick: Box::new(move |why| events.send(SocketEvent::Kicked { serial, why })),
        };
        (serial, seat)
    }

    fn insert(&mut self, message: &Message<'_>, serial: u64, kind: Kind) -> Arc<str> {
        let topic: Arc<str> = (*message.topic).into();
        let join_ref = message.join_ref.as_deref().map(ToOwned::to_owned);
        let channel = Channel { topic: Arc::clone(&topic), join_ref, serial, kind };
        self.topics.insert(Arc::clone(&topic), channel);
        topic
    }

    /// Ends a channel that is already out of `topics`, and says so.
    fn close(&mut self, channel: &Channel) {
        self.frame(|out, vsn| {
            phoenix::close(out, vsn, channel.join_ref.as_deref(), &channel.topic);
        });
        self.release(channel);
    }

    /// As [`close`](Self::close), but the topic may have a new channel, whose place among the
    /// topic's members is the same.
    fn close_replaced(&mut self, old: &Channel) {
        self.close(old);
        if self.topics.get(&old.topic).is_some_and(Channel::hears_shouts) {
            self.doors.topics.join(&old.topic, self.serial, self.version, &self.outbox);
        }
    }

    fn release(&mut self, channel: &Channel) {
        self.doors.topics.leave(&channel.topic, self.serial);
        if let Kind::Sensor(sensor) = &channel.kind {
            self.hand_over();
            self.feeds.remove(&sensor.feed);
            if let Some(due) = sensor.config_due {
                self.configs.remove(&(due, Arc::clone(&channel.topic)));
            }
            self.doors.devices.close(sensor.feed);
            if sensor.heard.is_some() {
                self.doors.belongings.leave(sensor.feed);
            }
            if let (Some((room, _)), None) = (&sensor.room, &sensor.joining) {
                self.doors.rooms.take_away(*room, sensor_id(&channel.topic));
            }
        }
    }

    // What the engine and other tasks say.

    pub(crate) fn event(&mut self, event: SocketEvent) {
        self.now = Instant::now();
        match event {
            SocketEvent::Opened { feed, pacing } => self.opened(feed, pacing),
            SocketEvent::Refused { feed, refusal } => {
                let Some(channel) =
                    self.feeds.remove(&feed).and_then(|topic| self.topics.remove(&topic))
                else {
                    return;
                };
                let Kind::Sensor(sensor) = channel.kind else { return };
                let Some(joining) = sensor.joining else { return };
                let response = format!(r#"{{"reason":"{}"}}"#, refusal.name());
                let (join_ref, reference) =
                    (channel.join_ref.as_deref(), joining.reference.as_deref());
                self.frame(|out, vsn| {
                    phoenix::reply(
                        out,
                        vsn,
                        (join_ref, reference),
                        &channel.topic,
                        Status::Error,
                        &response,
                    );
                });
                self.out.extend(joining.held);
            }
            SocketEvent::Paced { feed, pacing } => self.paced(feed, pacing),
            SocketEvent::Answered { frame } => self.out.push(frame),
            SocketEvent::Told { feed, words } => {
                let Some(topic) = self.feeds.get(&feed).cloned() else { return };
                let Some(channel) = self.topics.get(&topic) else { return };
                let join_ref = channel.join_ref.as_deref().map(ToOwned::to_owned);
                self.frame(|out, vsn| {
                    phoenix::push(out, vsn, join_ref.as_deref(), &topic, "device_command", &words);
                });
            }
            SocketEvent::AttributeRefused { feed, attribute_id } => {
                if let Some((_, sensor)) = self.sensor(feed) {
                    sensor.attributes.refuse(&attribute_id);
                }
            }
            SocketEvent::Ended { feed } => {
                let channel = self.feeds.get(&feed).cloned();
                if let Some(channel) = channel.and_then(|topic| self.topics.remove(&topic)) {
                    self.close(&channel);
                }
            }
            SocketEvent::Kicked { serial, why } => {
                tracing::debug!(serial, ?why, "a viewer's channel is ended");
                let found = self.topics.values().find(|channel| channel.serial == serial);
                if let Some(topic) = found.map(|channel| Arc::clone(&channel.topic))
                    && let Some(channel) = self.topics.remove(&topic)
                {
                    self.close(&channel);
                }
            }
        }
    }

    fn sensor(&mut self, feed: FeedId) -> Option<(&Arc<str>, &mut Sensor)> {
        let topic = self.feeds.get(&feed)?;
        match &mut self.topics.get_mut(topic)?.kind {
            Kind::Sensor(sensor) => Some((topic, sensor)),
            _ => None,
        }
    }

    fn opened(&mut self, feed: FeedId, pacing: Pacing) {
        let due = self.now + FIRST_CONFIG_DELAY;
        let Some(topic) = self.feeds.get(&feed).cloned() else { return };
        let Some(mut channel) = self.topics.remove(&topic) else { return };
        if let Err(reason) = self.settle(&mut channel) {
            return self.turn_away(channel, reason);
        }
        if let Kind::Sensor(sensor) = &mut channel.kind
            && let Some(joining) = sensor.joining.take()
        {
            // As in the original, a room that does not take it does not keep the device out.
            if let Some((room, asker)) = sensor.room.take() {
                match self.doors.rooms.bring(&asker, room, sensor_id(&topic)) {
                    Ok(()) => sensor.room = Some((room, asker)),
                    Err(problem) => tracing::info!(?problem, %room, "a sensor stays outside"),
                }
            }
            sensor.gate.pace(pacing);
            sensor.config_due = Some(due);
            self.configs.insert((due, Arc::clone(&topic)));
            let references = (channel.join_ref.as_deref(), joining.reference.as_deref());
            self.frame(|out, vsn| phoenix::reply(out, vsn, references, &topic, Status::Ok, "{}"));
            self.out.extend(joining.held);
            if !joining.declared {
                tracing::warn!(%topic, "the engine was too busy to hear of all attributes");
            }
            self.doors.topics.join(&topic, self.serial, self.version, &self.outbox);
        }
        self.topics.insert(topic, channel);
    }

    /// The engine has taken its feed: it is its bringer's from now on, if that is so still.
    fn settle(&self, channel: &mut Channel) -> Result<(), &'static str> {
        if let Kind::Sensor(sensor) = &mut channel.kind
            && sensor.joining.is_some()
            && let Some((bringer, connector)) = &sensor.bringer
        {
            let sensor_id = sensor_id(&channel.topic).into();
            let admitted = self.doors.belongings.admit(sensor.feed, &sensor_id, bringer, connector);
            sensor.heard = Some(admitted?);
        }
        Ok(())
    }

    /// A join that was on its way, and is refused.
    fn turn_away(&mut self, mut channel: Channel, reason: &str) {
        let Kind::Sensor(sensor) = &mut channel.kind else { return };
        let joining = sensor.joining.take();
        // It has not come into its room.
        sensor.room = None;
        let reference = joining.as_ref().and_then(|joining| joining.reference.as_deref());
        let references = (channel.join_ref.as_deref(), reference);
        let response = format!(r#"{{"reason":"{reason}"}}"#);
        let topic = Arc::clone(&channel.topic);
        self.frame(|out, vsn| {
            phoenix::reply(out, vsn, references, &topic, Status::Error, &response);
        });
        self.out.extend(joining.into_iter().flat_map(|joining| joining.held));
        self.release(&channel);
    }

    fn paced(&mut self, feed: FeedId, pacing: Pacing) {
        let (now, feed_count) = (self.now, self.doors.devices.feed_count());
        let Some((topic, sensor)) = self.sensor(feed) else { return };
        let topic = Arc::clone(topic);
        // What comes of attention is for this one device, and at once; the rest comes to all.
        let is_for_all = sensor.gate.pacing().level == pacing.level;
        sensor.gate.pace(pacing);
        // What waits to be said will be said with the new figures; the first has its own time.
        if sensor.joining.is_some() || (sensor.config_due.is_some() && !sensor.is_configured) {
            return;
        }
        let due =
            now + if is_for_all { spread(feed, pacing.level, feed_count) } else { Duration::ZERO };
        if sensor.config_due.is_some_and(|before| before <= due) {
            return;
        }
        let before = sensor.config_due.replace(due);
        if let Some(before) = before {
            self.configs.remove(&(before, Arc::clone(&topic)));
        }
        self.configs.insert((due, topic));
    }

    pub(crate) fn config_due(&self) -> Option<Instant> {
        self.configs.first().map(|(due, _)| *due)
    }

    pub(crate) fn send_due_configs(&mut self, now: Instant) {
        while self.configs.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, topic)) = self.configs.pop_first() else { return };
            let with_system_load = !self.connector.without_system_load;
            let Some(channel) = self.topics.get_mut(&topic) else { continue };
            let Kind::Sensor(sensor) = &mut channel.kind else { continue };
            sensor.config_due = None;
            sensor.is_configured = true;
            sensor.gate.told(now, self.doors.limits.hearing);
            let pacing = sensor.gate.pacing();
            let mut out = Vec::with_capacity(320);
            let join_ref = channel.join_ref.as_deref();
            phoenix::push_with(
                &mut out,
                self.version,
                join_ref,
                &topic,
                "backpressure_config",
                |out| {
                    device::write_backpressure_config(out, &pacing, with_system_load, unix_now());
                },
            );
            self.out.push(text_message(out.into()));
        }
    }

    // What goes out.

    fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>, Vsn)) {
        let mut out = Vec::with_capacity(128);
        write(&mut out, self.version);
        self.out.push(text_message(out.into()));
    }

    fn reply(
        &mut self,
        join_ref: Option<&RawValue>,
        message: &Message<'_>,
        status: Status,
        response: &str,
    ) {
        let references = (join_ref, message.reference.as_deref());
        self.frame(|out, vsn| {
            phoenix::reply(out, vsn, references, &message.topic, status, response);
        });
    }

    /// A reply of a channel: behind its join's own, if that is still to come.
    fn answer(
        &mut self,
        channel: &mut Channel,
        message: &Message<'_>,
        status: Status,
        response: &str,
    ) {
        self.reply(channel.join_ref.as_deref(), message, status, response);
        if let Kind::Sensor(sensor) = &mut channel.kind
            && let Some(joining) = &mut sensor.joining
            && let Some(frame) = self.out.pop()
        {
            if joining.held.len() < HELD_COUNT_MAX {
                joining.held.push(frame);
            } else {
                self.doors.counts.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Channel {
    fn hears_shouts(&self) -> bool {
        match &self.kind {
            Kind::Connector | Kind::Test => true,
            Kind::Sensor(sensor) => sensor.joining.is_none(),
            Kind::Viewer(_) | Kind::Room(_) | Kind::Discovery(_) => false,
        }
    }
}

enum Stored {
    Yes,
    Stopped(Stop),
    Refused,
    Busy,
}

fn limited_body(limit: Limit) -> String {
    format!(r#"{{"reason":"rate_limited","limit":"{}"}}"#, limit.name())
}

/// The sensor's id in its topic.
fn sensor_id(topic: &str) -> &str {
    topic.strip_prefix("sensocto:sensor:").unwrap_or_default()
}

/// When a device hears what all must hear: the more there are, the longer it takes, and who is
/// looked at most comes first. The same for the same feed.
fn spread(feed: FeedId, level: Level, feed_count: usize) -> Duration {
    let whole_ms = (feed_count as u64 / TOLD_PER_MS).clamp(SPREAD_MS_MIN, SPREAD_MS_MAX);
    let ranks = Level::ALL.len() as u64;
    let rank = ranks - 1 - level as u64;
    // Fibonacci hashing: neighbouring slots come far apart.
    let within = u64::from(feed.0.slot).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let micros = whole_ms * 1000 / ranks;
    Duration::from_micros(rank * micros + ((within * micros) >> 32))
}

pub(crate) fn unix_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use components::id::Handle;

    #[test]
    fn ten_thousand_devices_hear_of_a_change_within_a_second_who_is_looked_at_first() {
        let feed = |slot| FeedId(Handle { slot, generation: 0 });
        let mut per_ten_ms = [0; 100];
        for slot in 0..10_000 {
            // A tenth is looked at in each way, the rest not at all.
            let level = match slot % 10 {
                0 => Level::High,
                1 => Level::Medium,
                2 => Level::Low,
                _ => Level::None,
            };
            let at = spread(feed(slot), level, 10_000);
            let rank = (at.as_millis() / 250) as usize;
            assert_eq!(rank, 3 - level as usize, "{level:?} at {at:?}");
            per_ten_ms[at.as_millis() as usize / 10] += 1;
        }
        // 7,000 in the last 250 ms are 280 in ten, and no more than half as many again at once.
        assert!(per_ten_ms.iter().all(|count| *count < 420), "{per_ten_ms:?}");
        let last = |feed_count| {
            (0..1000).map(|slot| spread(feed(slot), Level::None, feed_count)).max().unwrap()
        };
        assert!(last(10) < Duration::from_millis(50), "a few need not wait");
        assert!(last(1_000_000) < Duration::from_secs(1), "and nobody waits for longer");
    }
}

//! Plays a script to an engine and to the model, tick by tick, and says what broke first.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use components::cell::Cell;
use components::class::Class;
use components::command::{Attention, Command, SensorCard, SensorSet};
use components::delivery::{Deliveries, Notice};
use components::id::{FeedId, Handle, Handles, RoomId, ViewerId};
use components::load::Load;
use components::sample::{Payload, Timestamp};
use components::shape::{self, Shape};
use components::viewer::Quality;
use engine::{Engine, EngineConfig, EngineTime, Inputs};

use super::model::{Broken, Model, Sent};
use super::script::{EPOCH_MS, Event, PayloadForm, ROOM_COUNT, World, payload};
use crate::chance::hash;
use crate::recording::Hash;

/// Microseconds of a tick once everything is quiet: every quality flushes in each.
const QUIET_TICK_US: u64 = 200_000;

/// What a run that broke nothing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Played {
    pub ticks: u64,
    pub samples: u64,
    /// Over everything that every tick gave back.
    pub hash: u64,
}

/// What broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Ticks that had been played, the failing one included.
    pub tick: u64,
    pub checker: &'static str,
    pub sentence: String,
}

/// Is shown everything that crosses the engine's door.
pub(super) trait Witness {
    fn before(&mut self, now: EngineTime, inputs: &Inputs);
    fn after(&mut self, deliveries: &Deliveries);
}

/// Nobody watches.
pub(super) struct Nobody;

impl Witness for Nobody {
    fn before(&mut self, _: EngineTime, _: &Inputs) {}
    fn after(&mut self, _: &Deliveries) {}
}

/// Plays `script`, then lets everything come to rest.
///
/// # Errors
/// The first promise that was broken; a panic of the engine is one.
pub(super) fn play(
    world: &World,
    script: &[Event],
    threads: usize,
    witness: &mut dyn Witness,
) -> Result<Played, Failure> {
    let mut run = Run::new(world, threads, witness);
    let outcome = catch_unwind(AssertUnwindSafe(|| run.play(script)));
    let tick = run.played.ticks;
    match outcome {
        Ok(Ok(())) => Ok(run.played),
        Ok(Err(Broken { checker, sentence })) => Err(Failure { tick, checker, sentence }),
        Err(panic) => {
            let sentence = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()))
                .unwrap_or_else(|| "the engine panicked".into());
            Err(Failure { tick, checker: "panic", sentence })
        }
    }
}

struct Run<'a> {
    world: &'a World,
    engine: Engine,
    inputs: Inputs,
    sent: Vec<Sent>,
    model: Model,
    now_us: u64,
    feeds: Handles,
    viewers: Handles,
    devices: Vec<Device>,
    /// By number of the script.
    seats: Vec<Seat>,
    /// By number of the script. One that is closed is another from then on.
    rooms: [RoomId; ROOM_COUNT],
    shapes: BTreeMap<Vec<u8>, Arc<Shape>>,
    played: Played,
    hash: Hash,
    witness: &'a mut dyn Witness,
}

#[derive(Default)]
struct Device {
    feed: Option<FeedId>,
    /// Attributes declared on this feed, by index.
    declared: Vec<usize>,
    last: Option<(FeedId, Vec<usize>)>,
}

#[derive(Default)]
struct Seat {
    open: Option<ViewerId>,
    last: Option<ViewerId>,
    alive: bool,
    stalled: bool,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, threads: usize, witness: &'a mut dyn Witness) -> Self {
        let settings = world.settings.clone();
        Self {
            model: Model::new(&settings, world.is_roomy()),
            engine: Engine::new(EngineConfig { settings, threads, ..EngineConfig::default() }),
            world,
            inputs: Inputs::default(),
            sent: Vec::new(),
            now_us: 0,
            feeds: Handles::default(),
            viewers: Handles::default(),
            devices: (0..world.devices.len()).map(|_| Device::default()).collect(),
            seats: (0..world.viewer_count).map(|_| Seat::default()).collect(),
            rooms: std::array::from_fn(|slot| RoomId(Handle { slot: slot as u32, generation: 0 })),
            shapes: BTreeMap::new(),
            played: Played::default(),
            hash: Hash::default(),
            witness,
        }
    }

    fn play(&mut self, script: &[Event]) -> Result<(), Broken> {
        for event in script {
            match event {
                Event::Tick { us } => self.tick(*us)?,
                event => self.follow(event),
            }
        }
        self.come_to_rest()
    }

    /// Faults off, everyone reads: all that is kept reaches whoever wants it, in as many flushes
    /// as there are streams at most. Then everyone leaves, and nothing is left.
    fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.say(Command::SetLoad(Load::default()));
        for seat in 0..self.seats.len() {
            self.seats[seat].stalled = false;
            self.seats[seat].alive = true;
            if let Some(viewer) = self.seats[seat].open {
                let attention = Box::new(Attention::default());
                self.say(Command::Attend { viewer, attention });
                self.say(Command::SetQuality { viewer, quality: Quality::High.into() });
            }
        }
        self.tick(QUIET_TICK_US)?;
        // Each flush brings at least one stream that is owed; the first may have been a tick that
        // let viewers go.
        let mut left = self.model.stream_count() + 2;
        while let Some(owed) = self.model.owed() {
            if left == 0 {
                return Err(Broken { checker: "liveness", sentence: owed });
            }
            left -= 1;
            self.tick(QUIET_TICK_US)?;
        }
        for seat in 0..self.seats.len() {
            self.follow(&Event::CloseViewer { viewer: seat });
        }
        for room in 0..ROOM_COUNT {
            self.follow(&Event::CloseRoom { room });
        }
        for device in 0..self.devices.len() {
            self.follow(&Event::Retire { device });
        }
        self.tick(QUIET_TICK_US)?;
        // Feeds that were closed before linger on.
        self.tick(self.world.settings.linger_ms * 1000)?;
        let report = self.engine.report();
        let left = (report.sensor_count, report.viewer_count, report.room_count, report.ring_bytes);
        if left != (0, 0, 0, 0) || self.feeds.count() + self.viewers.count() > 0 {
            let sentence = format!(
                "everyone left; there still are (sensors, viewers, rooms, bytes) {left:?}, {} feeds and {} viewers whose end was not told",
                self.feeds.count(),
                self.viewers.count()
            );
            return Err(Broken { checker: "liveness", sentence });
        }
        Ok(())
    }

    fn say(&mut self, command: Command) {
        self.inputs.commands.push(command);
    }

    fn tick(&mut self, us: u64) -> Result<(), Broken> {
        self.now_us += us;
        self.played.ticks += 1;
        for seat in &self.seats {
            let Some(viewer) = seat.open else { continue };
            if seat.alive {
                self.inputs.commands.push(Command::Renew { viewer });
            }
            if seat.stalled {
                self.inputs.busy.push(viewer);
            }
        }
        let now = EngineTime(self.now_us);
        let inputs = &self.inputs;
        self.model.take(self.now_us, &inputs.commands, &self.sent, &inputs.busy, &inputs.refused);
        self.sent.clear();
        self.witness.before(now, inputs);
        let deliveries = self.engine.tick(now, &mut self.inputs);
        self.witness.after(deliveries);
        self.hash.add(deliveries);
        self.played.hash = self.hash.value();
        for notice in &deliveries.notices {
            match notice {
                Notice::FeedClosed { feed } => self.feeds.give_back(feed.0),
                Notice::FeedRefused { feed, .. } => {
                    self.feeds.give_back(feed.0);
                    for device in &mut self.devices {
                        if device.feed == Some(*feed) {
                            device.feed = None;
                        }
                    }
                }
                Notice::ViewerClosed { viewer, .. } => {
                    self.viewers.give_back(viewer.0);
                    for seat in &mut self.seats {
                        if seat.open == Some(*viewer) {
                            seat.open = None;
                        }
                    }
                }
                _ => {}
            }
        }
        self.played.samples = self.model.samples();
        self.model.check_given(deliveries)?;
        let report = self.engine.report();
        let audit =
            self.engine.audit().map_err(|sentence| Broken { checker: "audit", sentence })?;
        self.model.check_figures(&report, &audit)
    }

    fn follow(&mut self, event: &Event) {
        match event {
            Event::Tick { .. } => {}
            Event::Join { device } => self.join(*device),
            Event::Declare { device, attribute } => {
                self.declare(*device, *attribute);
            }
            Event::Forget { device, attribute } => {
                let id = self.world.attributes[self.world.devices[*device].sensor][*attribute].id;
                let held = &mut self.devices[*device];
                let Some(feed) = held.feed else { return };
                // As the door does: said again, it is declared again.
                for declared in &mut held.declared {
                    if *declared == *attribute {
                        *declared = usize::MAX;
                    }
                }
                self.say(Command::ForgetAttribute { feed, attribute_id: id.into() });
            }
            Event::Rename { device, name } => {
                if let Some(feed) = self.devices[*device].feed {
                    self.say(Command::RenameConnector { feed, connector_name: (*name).into() });
                }
            }
            Event::Close { device } => {
                if let Some(feed) = self.let_go(*device) {
                    self.say(Command::CloseFeed { feed });
                }
            }
            Event::Retire { device } => {
                let last = self.devices[*device].last.as_ref().map(|(feed, _)| *feed);
                if let Some(feed) = self.let_go(*device).or(last) {
                    self.say(Command::Retire { feed });
                }
            }
            Event::Send { device, attribute, count, offset_ms, step_ms, value, odd } => {
                let Some(index) = self.declare(*device, *attribute) else { return };
                let Some(feed) = self.devices[*device].feed else { return };
                let plan = &self.world.attributes[self.world.devices[*device].sensor][*attribute];
                let form = match (odd, plan.form) {
                    (false, form) => form,
                    (true, PayloadForm::Float) => PayloadForm::Text,
                    (true, PayloadForm::List(width)) => PayloadForm::List(width + 1),
                    (true, _) => PayloadForm::Float,
                };
                let start = EPOCH_MS + (self.now_us / 1000) as i64 + offset_ms;
                for n in 0..i64::from(*count) {
                    self.send(feed, index, start + n * step_ms, form, hash(*value, n as u64));
                }
            }
            Event::SendUndeclared { device } => {
                if let Some(feed) = self.devices[*device].feed {
                    self.send(feed, 999, EPOCH_MS, PayloadForm::Integer, 0);
                }
            }
            Event::SendLate { device, attribute, count } => {
                let Some((feed, declared)) = self.devices[*device].last.clone() else { return };
                let Some(index) = declared.iter().position(|at| at == attribute) else { return };
                for n in 0..u64::from(*count) {
                    self.send(feed, index as u16, EPOCH_MS, PayloadForm::Integer, n);
                }
            }
            Event::Refused { reason, count } => {
                let class = Class::ALL[(*count % Class::COUNT as u64) as usize];
                self.inputs.refused.push((class, *reason, *count));
            }
            Event::Open { viewer, sensors, quality } => {
                if self.seats[*viewer].open.is_none() {
                    let Some(handle) = self.viewers.take(usize::MAX) else { return };
                    let id = ViewerId(handle);
                    let seat = &mut self.seats[*viewer];
                    *seat = Seat { open: Some(id), last: seat.last, alive: false, stalled: false };
                    let (sensors, quality) = (sensors.clone(), *quality);
                    self.say(Command::OpenViewer { viewer: id, sensors, quality: quality.into() });
                }
            }
            Event::CloseViewer { viewer } => {
                if let Some(id) = self.seats[*viewer].open.take() {
                    self.seats[*viewer].last = Some(id);
                    self.say(Command::CloseViewer { viewer: id });
                }
            }
            Event::SetSensors { viewer, sensors } => {
                self.of_viewer(*viewer, |viewer| {
                    let sensors = sensors.clone();
                    Command::SetSensors { viewer, sensors }
                });
            }
            Event::SetRoom { room, sensors } => {
                let (room, sensors) = (self.rooms[*room], sensors.as_slice().into());
                self.say(Command::SetRoom { room, sensors });
            }
            Event::EnterRoom { viewer, room } => {
                let room = self.rooms[*room];
                self.of_viewer(*viewer, |viewer| Command::EnterRoom { viewer, room });
            }
            Event::CloseRoom { room } => {
                let place = &mut self.rooms[*room];
                let room = *place;
                place.0.generation += 1;
                self.say(Command::CloseRoom { room });
            }
            Event::SetQuality { viewer, quality } => {
                self.of_viewer(*viewer, |viewer| Command::SetQuality {
                    viewer,
                    quality: (*quality).into(),
                });
            }
            Event::Attend { viewer, attention } => {
                self.of_viewer(*viewer, |viewer| {
                    let attention = Box::new(attention.clone());
                    Command::Attend { viewer, attention }
                });
            }
            Event::Alive { viewer, alive } => self.seats[*viewer].alive = *alive,
            Event::Stalled { viewer, stalled } => self.seats[*viewer].stalled = *stalled,
            Event::Tell { viewer, sensor } => {
                let sensor_id: Box<str> = self.world.sensor_ids[*sensor].as_str().into();
                self.of_viewer(*viewer, |viewer| {
                    let words = Arc::from("{\"command\":\"beep\"}");
                    Command::TellDevice { viewer, sensor_id: sensor_id.clone(), words }
                });
            }
            Event::StaleWord { viewer } => {
                if let Some(viewer) = self.seats[*viewer].last {
                    self.say(Command::SetSensors { viewer, sensors: SensorSet::All });
                    self.say(Command::CloseViewer { viewer });
                }
            }
            Event::Load(load) => self.say(Command::SetLoad(*load)),
        }
    }

    fn of_viewer(&mut self, viewer: usize, command: impl Fn(ViewerId) -> Command) {
        if let Some(id) = self.seats[viewer].open {
            self.say(command(id));
        }
    }

    fn join(&mut self, device: usize) {
        if self.devices[device].feed.is_some() {
            return;
        }
        let Some(handle) = self.feeds.take(usize::MAX) else { return };
        let (feed, plan) = (FeedId(handle), &self.world.devices[device]);
        let held = &mut self.devices[device];
        held.feed = Some(feed);
        held.declared.clear();
        let name: Arc<str> = self.world.sensor_ids[plan.sensor].as_str().into();
        let card = SensorCard {
            sensor_id: Arc::clone(&name),
            sensor_name: name,
            sensor_type: "made_up".into(),
            connector_id: "swarm".into(),
            connector_name: plan.connector_name.into(),
            sampling_rate: 0.0,
        };
        let owner = plan.owner.into();
        self.say(Command::OpenFeed { feed, card: Box::new(card), owner });
    }

    fn let_go(&mut self, device: usize) -> Option<FeedId> {
        let held = &mut self.devices[device];
        let feed = held.feed.take()?;
        held.last = Some((feed, held.declared.clone()));
        Some(feed)
    }

    /// The index of the attribute on the device's feed, declared if it was not yet.
    fn declare(&mut self, device: usize, attribute: usize) -> Option<u16> {
        let held = &mut self.devices[device];
        let feed = held.feed?;
        if let Some(index) = held.declared.iter().position(|at| *at == attribute) {
            return Some(index as u16);
        }
        held.declared.push(attribute);
        let index = (held.declared.len() - 1) as u16;
        let plan = &self.world.attributes[self.world.devices[device].sensor][attribute];
        let attribute_id = plan.id.into();
        let (kind, rate_hz) = (plan.kind, plan.rate_hz);
        self.say(Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz });
        Some(index)
    }

    fn send(&mut self, feed: FeedId, index: u16, timestamp: i64, form: PayloadForm, value: u64) {
        let (json, extra) = payload(form, value);
        let (mut skeleton, mut cells) = (Vec::new(), Vec::new());
        let split = extra.is_empty() && shape::split(&json, &mut skeleton, &mut cells);
        let shape = self
            .shapes
            .entry(skeleton)
            .or_insert_with_key(|skeleton| Arc::new(Shape::from_skeleton(skeleton)));
        let bare = matches!(form, PayloadForm::Integer | PayloadForm::Float | PayloadForm::Leaf);
        let payload = match split {
            true if bare => Payload::Scalar(Cell(cells[0])),
            true => Payload::Shaped { shape, cells: &cells },
            false => Payload::Text { payload: &json, extra },
        };
        self.inputs.samples.push(feed, index, Timestamp(timestamp), payload);
        let number = if bare { json.parse().ok() } else { None };
        let json = json + extra;
        let (shaped, width) = (split && !bare, cells.len());
        self.sent.push(Sent { feed, index, timestamp, json, number, shaped, width });
    }
}

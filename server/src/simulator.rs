//! The simulator within the server: the stage on the pump's thread, and the orders that reach it.
//!
//! Whoever gives an order builds what it needs first, on a thread that may take its time (a
//! hundred thousand sensors do), and puts it into a bounded queue; the pump takes the orders
//! before its tick, and answers when what was asked has happened.

pub mod api;
mod library;
pub mod residents;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use components::command::{Command, Inputs};
use components::delivery::{Notice, Refusal};
use components::id::FeedId;
use components::sample::Timestamp;
use simulator::recording::RecordingError;
use simulator::replay::LiveReplay;
use simulator::scenario::Scenario;
use simulator::stage::{Ended, Health, Lent, Prepared, Running, Stage, StageError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::device::DeviceDesk;
use crate::intake::Intake;
use crate::pump::Simulation;
use library::Library;

/// Orders that may wait for one tick.
const ORDER_COUNT_MAX: usize = 64;

/// Sensors leave within this time, or the answer says what is left (milliseconds).
pub const STOP_MS_MAX: i64 = 4_000;

/// What the pump has not answered by then is said to be under way still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds between two pictures of the stage, while nobody orders anything.
const STATUS_EVERY_MS: i64 = 100;

/// The stage as it was a moment ago.
#[derive(Debug, Default)]
pub struct Status {
    pub running: Vec<Running>,
    pub health: Health,
}

/// What became of a stop.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Ids of the acts that were told to leave.
    pub stopped: Vec<Arc<str>>,
    pub took_ms: u64,
    /// Sensors that are still there: others feed them too, or they did not make it in time.
    pub left: Vec<Arc<str>>,
    /// Acts that had not left by then, and go on leaving.
    pub still_stopping: Vec<Arc<str>>,
}

/// Why an order was not carried out.
#[derive(Debug)]
pub enum Refused {
    Stage(StageError),
    /// The file cannot be read, or not from there.
    Recording(RecordingError),
    /// Too many orders wait, or the server is going down.
    Busy,
    /// The pump has not said that it is done.
    NotInTime,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(problem) => problem.fmt(f),
            Self::Recording(problem) => problem.fmt(f),
            Self::Busy => f.write_str("too many orders wait; try again"),
            Self::NotInTime => {
                f.write_str("it is under way, but not yet done; GET /api/simulator says how it is")
            }
        }
    }
}

impl std::error::Error for Refused {}

impl From<StageError> for Refused {
    fn from(error: StageError) -> Self {
        Self::Stage(error)
    }
}

/// Whether a sensor is somebody's.
pub type IsOwned = Box<dyn Fn(&str) -> bool + Send>;

type Reply<T> = oneshot::Sender<Result<T, StageError>>;

/// One change to an act that is on.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Pause,
    Resume,
    Speed(f64),
}

#[derive(Debug)]
enum Order {
    Start {
        prepared: Box<Prepared>,
        reply: Reply<Running>,
    },
    Switch {
        prepared: Box<Prepared>,
        reply: Reply<Running>,
    },
    /// `None`: everything.
    Stop {
        id: Option<String>,
        reply: Reply<Stopped>,
    },
    Change {
        id: String,
        change: Change,
        reply: Reply<Running>,
    },
    /// Out with a replay, so that it can be moved.
    Lend {
        id: String,
        reply: Reply<Lent>,
    },
    /// It is moved; `None` if its act has left meanwhile.
    GiveBack {
        lent: Lent,
        reply: Reply<Option<Running>>,
    },
    Check {
        reply: Reply<()>,
    },
}

/// The simulator as the doors know it.
#[derive(Debug)]
pub struct Simulator {
    orders: mpsc::Sender<Order>,
    intake: Arc<Intake>,
    status: Arc<Mutex<Arc<Status>>>,
    library: Library,
    /// One fleet is built at a time: each may be of a hundred thousand sensors.
    building: Semaphore,
}

impl Simulator {
    /// `folder` is where the operator's own scenarios are. Behind the desk: what is to be given to
    /// the pump. Must be called within the runtime.
    pub fn new(
        folder: PathBuf,
        intake: Arc<Intake>,
        devices: Arc<DeviceDesk>,
        is_owned: IsOwned,
    ) -> (Arc<Self>, Box<dyn Simulation>) {
        let (orders, taken) = mpsc::channel(ORDER_COUNT_MAX);
        let status = Arc::new(Mutex::new(Arc::default()));
        let driver = Driver {
            stage: Stage::default(),
            orders: taken,
            devices,
            is_owned,
            status: Arc::clone(&status),
            shown_at: i64::MIN,
            stopping: Vec::new(),
            switching: None,
            checking: Vec::new(),
            janitor: Handle::current(),
        };
        let simulator = Self {
            orders,
            intake,
            status,
            library: Library::new(folder),
            building: Semaphore::new(1),
        };
        (Arc::new(simulator), Box::new(driver))
    }

    /// At most a tenth of a second old.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&lock(&self.status))
    }

    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The scenario's fleet comes on.
    pub async fn start(
        &self,
        scenario: Scenario,
        seed: u64,
        speed: f64,
    ) -> Result<Running, Refused> {
        // Known before a hundred thousand sensors are built for nothing.
        let status = self.status();
        if let Some(on) = status.running.iter().find(|on| *on.id == *scenario.name) {
            return Err(StageError::AlreadyRunning { id: Arc::clone(&on.id) }.into());
        }
        let _building = self.building.acquire().await.map_err(|_| Refused::Busy)?;
        let prepared = self.prepare(scenario, seed, speed).await?;
        self.order(|reply| Order::Start { prepared, reply }).await
    }

    /// Everything leaves, then the scenario's fleet comes on.
    pub async fn switch(
        &self,
        scenario: Scenario,
        seed: u64,
        speed: f64,
    ) -> Result<Running, Refused> {
        let _building = self.building.acquire().await.map_err(|_| Refused::Busy)?;
        let prepared = self.prepare(scenario, seed, speed).await?;
        self.order(|reply| Order::Switch { prepared, reply }).await
    }

    async fn prepare(
        &self,
        scenario: Scenario,
        seed: u64,
        speed: f64,
    ) -> Result<Box<Prepared>, Refused> {
        blocking(move || Ok(Box::new(Prepared::scenario(&scenario, seed, speed)?))).await
    }

    /// The recording of this name, which is this file, is shown from `from_ms` on.
    pub async fn replay(
        &self,
        name: String,
        file: PathBuf,
        speed: f64,
        from_ms: u64,
    ) -> Result<Running, Refused> {
        let _building = self.building.acquire().await.map_err(|_| Refused::Busy)?;
        let prepared = blocking(move || {
            let mut replay = LiveReplay::open(&file).map_err(Refused::Recording)?;
            if from_ms > 0 {
                replay.seek(from_ms).map_err(Refused::Recording)?;
            }
            Ok(Box::new(Prepared::replay(&name, replay, speed)?))
        });
        let prepared = prepared.await?;
        self.order(|reply| Order::Start { prepared, reply }).await
    }

    /// The replay goes on from `position_ms`. It is moved off the pump's thread, and stands still
    /// meanwhile.
    pub async fn seek(self: &Arc<Self>, id: String, position_ms: u64) -> Result<Running, Refused> {
        // A task of its own: whoever asked may leave, and the replay must come back all the same.
        let simulator = Arc::clone(self);
        let moved = tokio::spawn(async move {
            let gone = StageError::NotRunning { id: id.clone(), suggestion: None, running: vec![] };
            let mut lent = simulator.order(|reply| Order::Lend { id, reply }).await?;
            let (lent, outcome) = blocking(move || {
                let outcome = lent.seek(position_ms);
                Ok((lent, outcome))
            })
            .await?;
            let (reply, answer) = oneshot::channel();
            let back = Order::GiveBack { lent, reply };
            simulator.orders.send(back).await.map_err(|_| Refused::Busy)?;
            simulator.intake.wake();
            let running = answer.await.map_err(|_| Refused::Busy)??;
            outcome.map_err(Refused::Recording)?;
            running.ok_or(Refused::Stage(gone))
        });
        moved.await.map_err(|_| Refused::Busy)?
    }

    /// The act's sensors, or everybody's, leave. Answers when they are gone.
    pub async fn stop(&self, id: Option<String>) -> Result<Stopped, Refused> {
        self.order(|reply| Order::Stop { id, reply }).await
    }

    pub async fn change(&self, id: String, change: Change) -> Result<Running, Refused> {
        self.order(|reply| Order::Change { id, change, reply }).await
    }

    /// Looks after everything now.
    pub async fn check(&self) -> Result<Health, Refused> {
        self.order(|reply| Order::Check { reply }).await?;
        Ok(self.status().health.clone())
    }

    /// Everything leaves before the server does.
    pub async fn close(&self) {
        match self.stop(None).await {
            Ok(Stopped { stopped, .. }) if stopped.is_empty() => {}
            Ok(Stopped { stopped, took_ms, left, .. }) => {
                tracing::info!(?stopped, took_ms, left = left.len(), "the simulation has left");
            }
            Err(problem) => tracing::warn!(%problem, "the simulation has not left"),
        }
    }

    async fn order<T>(&self, make: impl FnOnce(Reply<T>) -> Order) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(make(reply)).map_err(|_| Refused::Busy)?;
        self.intake.wake();
        let answer = timeout(PATIENCE, answer).await.map_err(|_| Refused::NotInTime)?;
        Ok(answer.map_err(|_| Refused::Busy)??)
    }
}

/// The stage on the pump's thread.
struct Driver {
    stage: Stage,
    orders: mpsc::Receiver<Order>,
    devices: Arc<DeviceDesk>,
    is_owned: IsOwned,
    status: Arc<Mutex<Arc<Status>>>,
    shown_at: i64,
    stopping: Vec<Stopping>,
    switching: Option<Reply<Running>>,
    checking: Vec<Reply<()>>,
    /// Frees what would hold up the pump.
    janitor: Handle,
}

/// The feed that a command is about.
fn feed_of(command: &Command) -> Option<FeedId> {
    match command {
        Command::OpenFeed { feed, .. }
        | Command::DeclareAttribute { feed, .. }
        | Command::ForgetAttribute { feed, .. }
        | Command::RenameConnector { feed, .. }
        | Command::CloseFeed { feed }
        | Command::Retire { feed } => Some(*feed),
        _ => None,
    }
}

/// A stop that is under way.
struct Stopping {
    waits_for: Vec<Arc<str>>,
    began: i64,
    outcome: Stopped,
    reply: Reply<Stopped>,
}

impl Simulation for Driver {
    fn act(&mut self, unix_ms: i64, inputs: &mut Inputs) {
        let now = Timestamp(unix_ms);
        let mut ordered = false;
        while let Ok(order) = self.orders.try_recv() {
            ordered = true;
            self.follow(order, now);
        }
        let devices = &self.devices;
        let from = inputs.commands.len();
        self.stage.advance(now, &mut || devices.reserve(), inputs);
        self.refuse_owned(from, inputs);
        let ended = self.stage.take_ended();
        let changed = ordered || !ended.is_empty();
        // Before anybody is answered: who asks then sees it done.
        if changed || !(0..STATUS_EVERY_MS).contains(&unix_ms.saturating_sub(self.shown_at)) {
            self.show(unix_ms);
        }
        ended.into_iter().for_each(|ended| self.end(ended));
        self.answer(unix_ms);
    }

    fn hear(&mut self, notices: &[Notice]) {
        self.stage.hear(notices);
    }
}

impl Driver {
    /// What is somebody's nobody else feeds, made up or not: such feeds are refused before the engine
    /// hears of them.
    fn refuse_owned(&mut self, from: usize, inputs: &mut Inputs) {
        let opened = inputs.commands[from..].iter().filter_map(|command| match command {
            Command::OpenFeed { feed, card, .. } if (self.is_owned)(&card.sensor_id) => Some(*feed),
            _ => None,
        });
        let refused: HashSet<FeedId> = opened.collect();
        if refused.is_empty() {
            return;
        }
        let mut ours = inputs.commands.split_off(from);
        ours.retain(|command| feed_of(command).is_none_or(|feed| !refused.contains(&feed)));
        inputs.commands.append(&mut ours);
        for feed in refused {
            let notice = Notice::FeedRefused { feed, refusal: Refusal::NotOwner };
            self.devices.notice(&notice);
            self.stage.hear(std::slice::from_ref(&notice));
        }
    }

    fn follow(&mut self, order: Order, now: Timestamp) {
        match order {
            Order::Start { prepared, reply } => {
                let outcome = self.stage.start(prepared, now);
                let outcome = self.handed_back(outcome);
                self.show(now.0);
                let _ = reply.send(outcome);
            }
            Order::Switch { prepared, reply } => match self.stage.switch(prepared, now) {
                Ok(()) => self.switching = Some(reply),
                Err(refused) => {
                    let _ = reply.send(self.handed_back(Err(refused)));
                }
            },
            Order::Stop { id, reply } => {
                let stopped = match id {
                    None => Ok(self.stage.stop_all(now)),
                    Some(id) => self.stage.stop(&id, now).map(|()| vec![id.into()]),
                };
                match stopped {
                    Ok(stopped) => self.stopping.push(Stopping {
                        waits_for: stopped.clone(),
                        began: now.0,
                        outcome: Stopped { stopped, ..Stopped::default() },
                        reply,
                    }),
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Order::Change { id, change, reply } => {
                let outcome = match change {
                    Change::Pause => self.stage.pause(&id, now),
                    Change::Resume => self.stage.resume(&id, now),
                    Change::Speed(speed) => self.stage.set_speed(&id, speed, now),
                };
                self.show(now.0);
                let _ = reply.send(outcome);
            }
            Order::Lend { id, reply } => {
                if let Err(Ok(lent)) = reply.send(self.stage.lend(&id)) {
                    // Nobody waits for it any more.
                    let _ = self.stage.give_back(lent, now);
                }
            }
            Order::GiveBack { lent, reply } => {
                let running = match self.stage.give_back(lent, now) {
                    Ok(running) => Some(running),
                    Err(lent) => {
                        self.janitor.spawn_blocking(move || drop(lent));
                        None
                    }
                };
                self.show(now.0);
                let _ = reply.send(Ok(running));
            }
            Order::Check { reply } => {
                self.stage.check_soon();
                self.checking.push(reply);
            }
        }
    }

    /// An outcome without what was not taken.
    fn handed_back(
        &self,
        outcome: Result<Running, (StageError, Box<Prepared>)>,
    ) -> Result<Running, StageError> {
        outcome.map_err(|(error, prepared)| {
            self.janitor.spawn_blocking(move || drop(prepared));
            error
        })
    }

    /// One act is over.
    fn end(&mut self, ended: Ended) {
        for stopping in &mut self.stopping {
            let waited = stopping.waits_for.len();
            stopping.waits_for.retain(|id| *id != ended.id);
            if stopping.waits_for.len() < waited {
                stopping.outcome.left.extend(ended.left.iter().cloned());
            }
        }
        self.janitor.spawn_blocking(move || drop(ended));
    }

    /// Answers whoever waits, as far as it is time.
    fn answer(&mut self, unix_ms: i64) {
        for reply in self.checking.drain(..) {
            let _ = reply.send(Ok(()));
        }
        if let Some(outcome) = self.stage.take_switched() {
            let outcome = self.handed_back(outcome);
            self.show(unix_ms);
            if let Some(reply) = self.switching.take() {
                let _ = reply.send(outcome);
            }
        }
        let is_due = |stopping: &mut Stopping| {
            stopping.waits_for.is_empty()
                || !(0..STOP_MS_MAX).contains(&unix_ms.saturating_sub(stopping.began))
        };
        for Stopping { waits_for, began, mut outcome, reply } in
            self.stopping.extract_if(.., is_due)
        {
            outcome.took_ms = unix_ms.saturating_sub(began).max(0) as u64;
            outcome.still_stopping = waits_for;
            let _ = reply.send(Ok(outcome));
        }
    }

    fn show(&mut self, unix_ms: i64) {
        let status = Status { running: self.stage.status(), health: self.stage.health().clone() };
        *lock(&self.status) = Arc::new(status);
        self.shown_at = unix_ms;
    }
}

/// Done on a thread that may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refused::Busy)?
}

/// What is behind it is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

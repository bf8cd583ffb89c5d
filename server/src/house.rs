//! The whole server, put together from its rooms: what `main` runs, and what tests run too.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use components::sample::EngineTime;
use engine::{Engine, EngineConfig, Resumed, SnapshotError};
use simulator::scenario::Scenario;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ages::Ages;
use crate::auth::Mode;
use crate::belongings::{self, Belongings};
use crate::clock::Clock;
use crate::config::Config;
use crate::consent::{self, Consent};
use crate::dead_letters::{self, DeadLetters};
use crate::device::DeviceDesk;
use crate::directory::{Directory, Hearers};
use crate::discovery::{self, Discovery};
use crate::gauge::{Board, Gauge};
use crate::hand_over::HandOver;
use crate::health::Pulse;
use crate::history::rooms::RoomPasts;
use crate::history::{self, History, Tap};
use crate::intake::Intake;
use crate::legacy::{Folder, Left};
use crate::listen::{DoorCounts, asked_to_end};
use crate::people::{self, People};
use crate::post::Post;
use crate::pump::{NoticeSink, Pump, PumpParts, TICK_HZ_MAX, TICK_HZ_MIN, guard};
use crate::recorder::{self, Recorder, RecorderConfig, Tape};
use crate::rooms::RoomId;
use crate::rooms::{self, RoomDesk};
use crate::search::{self, Search};
use crate::sessions::shelf::Shelf;
use crate::sessions::{self, Sessions};
use crate::simulator::residents::{Residents, Rooms};
use crate::simulator::{Simulator, api};
use crate::socket::{Counts, Doors};
use crate::store::{self, ReadError, Readiness, Store, StoreConfig};
use crate::supervise::{DOMAIN, REGISTRY, STORAGE, Supervisor};
use crate::topics::Topics;
use crate::viewer::ViewerDesk;
use crate::{http, legacy, listen, openapi, system};

/// The doors open without what the store holds rather than later than this.
const HYDRATION_PATIENCE: Duration = Duration::from_secs(5);

/// A running server.
#[derive(Debug)]
pub struct House {
    pub address: SocketAddr,
    down: watch::Sender<bool>,
    serving: JoinHandle<()>,
    pump: Pump,
    gauge: Gauge,
    simulator: Arc<Simulator>,
    recorder: Arc<Recorder>,
    sessions: Arc<Sessions>,
    store: Store,
    history: Arc<History>,
    intake: Arc<Intake>,
    /// Of a server that another can take over.
    hand_over: Option<Arc<HandOver>>,
    /// Of a server that keeps something: let go of at the very end.
    folder: Option<Folder>,
}

impl House {
    /// Opens the doors. The error is a sentence for whoever started it.
    pub async fn open(config: Config) -> Result<Self, String> {
        Self::open_on(config, None).await
    }

    /// The same, at a listening socket that was inherited, if there is one: then another server may
    /// have it too, and this one opens when that one has ended.
    pub async fn open_on(
        config: Config,
        inherited: Option<std::net::TcpListener>,
    ) -> Result<Self, String> {
        let is_shared = inherited.is_some();
        let patience = if is_shared { legacy::TURN_PATIENCE } else { Duration::ZERO };
        let listener = match inherited {
            Some(listener) => TcpListener::from_std(listener).map_err(|error| {
                format!("cannot listen on the socket that was inherited: {error}")
            }),
            None => listen::bind(config.listen)
                .map_err(|error| format!("cannot listen on {}: {error}", config.listen)),
        }?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let mut held = match config.store.is_kept() {
            true => take_folder(config.data.clone(), patience).await,
            false => None,
        };
        if is_shared && held.as_ref().is_some_and(|folder| !folder.is_held()) {
            return Err(format!(
                "another server has {} still, and both would answer at one socket: end it first",
                config.data.display()
            ));
        }
        let left = held.as_mut().and_then(inherit);
        let (down, shutdown) = watch::channel(false);
        let faults = config.engine.faults.clone();
        let supervisor = Supervisor::new(faults.clone());
        let hand_over = held.as_ref().filter(|folder| folder.is_held());
        let hand_over = hand_over.and_then(|_| offer(&config.data, &listener));
        if let Some(hand_over) = &hand_over {
            let name = ("hand_over", "task.hand_over");
            supervisor.keep(name, DOMAIN, &shutdown, hand_over, HandOver::keep_offering);
        }
        let intake = Arc::new(Intake::new(config.intake_limits).with_faults(faults.clone()));
        let letters = Arc::new(DeadLetters::default());
        let clock = left.as_ref().map_or_else(Clock::system, time_goes_on);
        let store = StoreConfig {
            faults: faults.clone(),
            ..StoreConfig::new(config.store, store::sections(), clock.clone())
        };
        let store =
            Store::start(store).map_err(|error| format!("cannot start the store: {error}"))?;
        let devices = Arc::new(DeviceDesk::new(Arc::clone(&intake), config.feed_count_max));
        let viewers = ViewerDesk::new(
            Arc::clone(&intake),
            clock.clone(),
            config.viewer_count_max,
            store.clone(),
        );
        let folder = store.is_kept().then(|| config.data.join("history"));
        let history = History::start(
            folder,
            config.history_bytes_max,
            store.clone(),
            clock.clone(),
            &supervisor,
        )
        .map_err(|error| format!("cannot start the history: {error}"))?;
        let folder = store.is_kept().then(|| config.data.clone());
        let people = People::start(config.people, folder, store.clone(), clock.clone())
            .map_err(|error| format!("cannot start what knows people: {error}"))?;
        let desk = Arc::clone(&viewers);
        people.on_end(Box::new(move |over| desk.end_sessions(|session| over.contains(&session))));
        let directory = Arc::new(Directory::default());
        let rooms = RoomDesk::new(
            store.clone(),
            Arc::clone(&people),
            Arc::clone(&viewers),
            Arc::clone(&directory),
            clock.clone(),
        );
        let desk = Arc::clone(&rooms);
        people.on_end(Box::new(move |over| desk.end_sessions(over)));
        let desk = Arc::clone(&rooms);
        people.on_gone(Box::new(move |accounts| desk.forget(accounts)));
        let belongings = Belongings::new(
            store.clone(),
            Arc::clone(&people),
            Arc::clone(&devices),
            clock.clone(),
        );
        let own = Arc::clone(&belongings);
        people.on_end(Box::new(move |over| own.end_sessions(over)));
        let own = Arc::clone(&belongings);
        people.on_gone(Box::new(move |accounts| own.forget(accounts)));
        let consent = Consent::new(
            store.clone(),
            Arc::clone(&people),
            Arc::clone(&rooms),
            Arc::clone(&belongings),
            clock.clone(),
        );
        let shared = Arc::clone(&consent);
        people.on_gone(Box::new(move |accounts| shared.forget(accounts)));
        viewers.know(Arc::clone(&people), Arc::clone(&consent));
        let pasts = RoomPasts::new(Arc::clone(&history), Arc::clone(&rooms));
        hydrate(&store, &viewers, &pasts, &people, &rooms, &belongings, &consent).await;
        let room_history = ("room_history", "task.room_history");
        supervisor.keep(room_history, STORAGE, &shutdown, &pasts, RoomPasts::keep_looking);
        supervisor.keep(
            ("consent", "task.consent"),
            DOMAIN,
            &shutdown,
            &consent,
            Consent::keep_sweeping,
        );
        supervisor.keep(
            ("people", "task.people"),
            DOMAIN,
            &shutdown,
            &people,
            People::keep_sweeping,
        );
        supervisor.keep(
            ("rooms", "task.rooms"),
            DOMAIN,
            &shutdown,
            &rooms,
            RoomDesk::keep_sweeping,
        );
        supervisor.keep(
            ("belongings", "task.belongings"),
            DOMAIN,
            &shutdown,
            &belongings,
            Belongings::keep_sweeping,
        );
        let pulse = Arc::new(Pulse::default());
        let own = Arc::clone(&belongings);
        let (simulator, simulation) = Simulator::new(
            config.data.join("scenarios"),
            Arc::clone(&intake),
            Arc::clone(&devices),
            Box::new(move |sensor_id| own.owner(sensor_id).is_some()),
        );
        let homes = Rooms {
            desk: Arc::clone(&rooms),
            belongings: Arc::clone(&belongings),
            simulator: Arc::clone(&simulator),
        };
        let residents = Residents::new(homes);
        let keep_looking = Residents::keep_looking;
        supervisor.keep(
            ("residents", "task.residents"),
            DOMAIN,
            &shutdown,
            &residents,
            keep_looking,
        );
        let recorder = Recorder::new(
            RecorderConfig {
                folder: config.data.join("recordings"),
                recording_bytes_max: config.recording_bytes_max,
                folder_bytes_max: config.recordings_bytes_max,
                tick_hz: config.tick_hz,
                settings: config.engine.settings.clone(),
            },
            clock.clone(),
            Arc::clone(&intake),
        );
        let shelf = config.data.join("sessions");
        sessions::shelf::sweep(&shelf);
        let sessions = Sessions::new(
            Shelf::new(shelf),
            Arc::clone(&viewers),
            Arc::clone(&rooms),
            clock.clone(),
        );
        let ages = Arc::new(Ages::default());
        let engine_config = EngineConfig { stopwatch: Some(stopwatch), ..config.engine };
        let now = clock.now().engine;
        let (resumed, resuming) = oneshot::channel();
        let pump = Pump::start(
            move || {
                let (engine, there) = go_on(engine_config, left, now);
                // Whoever waits is about to open the doors.
                let _ = resumed.send(there);
                engine
            },
            PumpParts {
                tick_hz: config.tick_hz,
                clock,
                intake: Arc::clone(&intake),
                viewers: Arc::clone(&viewers),
                devices: Arc::new(Hearers {
                    devices: Arc::clone(&devices),
                    directory: Arc::clone(&directory),
                }) as Arc<dyn NoticeSink>,
                simulator: Some(simulation),
                pulse: Arc::clone(&pulse),
                tape: Tape::new(Arc::clone(&recorder)),
                tap: Tap::new(Arc::clone(&history)),
                ages: Arc::clone(&ages),
                letters: Arc::clone(&letters),
                sessions: Some(Arc::clone(&sessions)),
                faults: faults.clone(),
            },
        )
        .map_err(|error| format!("cannot start the engine: {error}"))?;
        let there = resuming.await.map_err(|_| "the engine did not start")?;
        devices.adopt(there.feed_count);
        viewers.adopt(&there.viewers);
        viewers.groups().adopt(there.groups);
        if config.auth.mode == Mode::Strict && config.auth.device_tokens.is_empty() {
            tracing::warn!("auth is strict and there are no `device_tokens`: no device comes in");
        }
        tracing::info!(%address, auth = config.auth.mode.name(), "listening");
        let connections = Arc::new(DoorCounts::default());
        let discovery = Discovery::new(
            Arc::clone(&directory),
            Arc::clone(&belongings),
            Arc::clone(&rooms),
            Arc::clone(&pulse),
            config.auth.mode == Mode::Strict,
        );
        let found = Arc::clone(&discovery);
        people.on_end(Box::new(move |over| found.end_sessions(over)));
        supervisor.keep(
            ("discovery", "task.discovery"),
            REGISTRY,
            &shutdown,
            &discovery,
            Discovery::keep_telling,
        );
        let search =
            Search::new(directory, Arc::clone(&rooms), Arc::clone(&people), Arc::clone(&discovery));
        supervisor.keep(
            ("search", "task.search"),
            REGISTRY,
            &shutdown,
            &search,
            Search::keep_looking,
        );
        let post = config.post.map(Post::new).transpose()?;
        let doors = Arc::new(Doors {
            post,
            limits: config.socket_limits,
            auth: config.auth,
            people,
            rooms,
            belongings,
            discovery: Arc::clone(&discovery),
            search,
            consent,
            origins: config.origins,
            proxies: config.proxies,
            intake: Arc::clone(&intake),
            devices,
            viewers,
            topics: Topics::default(),
            letters,
            store: store.clone(),
            history: Arc::clone(&history),
            counts: Counts::default(),
            connections: Arc::clone(&connections),
            pump: pump.report(),
            ages,
            board: Board::default(),
            supervisor,
            shutdown: shutdown.clone(),
        });
        let gauge = Gauge::start(
            Arc::clone(&doors),
            Duration::from_secs(1) / config.tick_hz.clamp(TICK_HZ_MIN, TICK_HZ_MAX),
            config.load,
        )
        .map_err(|error| format!("cannot start measuring: {error}"))?;
        let more = api::router(
            Arc::clone(&simulator),
            Arc::clone(&residents),
            Arc::clone(recorder.library()),
            Arc::clone(&doors),
        )
        .merge(recorder::api::router(Arc::clone(&recorder), Arc::clone(&doors)))
        .merge(sessions::api::router(Arc::clone(&sessions), Arc::clone(&doors)))
        .merge(system::router(Arc::clone(&doors)))
        .merge(people::api::router(Arc::clone(&doors)))
        .merge(rooms::api::router(Arc::clone(&doors)))
        .merge(openapi::router())
        .merge(belongings::api::router(Arc::clone(&doors)))
        .merge(discovery::api::router(discovery, Arc::clone(&doors)))
        .merge(search::api::router(Arc::clone(&doors)))
        .merge(consent::api::router(Arc::clone(&doors)))
        .merge(dead_letters::router(Arc::clone(&doors)))
        .merge(store::api::router(Arc::clone(&doors)))
        .merge(history::room_api::router(pasts, Arc::clone(&doors)))
        .merge(history::api::router(Arc::clone(&history), Arc::clone(&doors)));
        let router = http::router(Arc::clone(&doors), pulse, more, faults);
        let serving = listen::serve(listener, router, config.listen_limits, connections, shutdown);
        let serving = tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = doors.counts.crowd.watch() => {}
            }
        });
        if let Some(file) = config.replay {
            show(&simulator, file).await?;
        }
        let begun = Arc::clone(&simulator);
        tokio::spawn(async move {
            for scenario in config.simulate {
                begin(&begun, &residents, config.simulate_room, scenario).await;
            }
        });
        Ok(Self {
            address,
            down,
            serving,
            pump,
            gauge,
            simulator,
            recorder,
            sessions,
            store,
            history,
            intake,
            hand_over,
            folder: held,
        })
    }

    pub fn simulator(&self) -> Arc<Simulator> {
        Arc::clone(&self.simulator)
    }

    /// Waits until another server has taken over: then this one is to be closed.
    pub async fn taken_over(&self) {
        match &self.hand_over {
            Some(hand_over) => asked_to_end(&mut hand_over.taken()).await,
            None => std::future::pending().await,
        }
    }

    /// Tells every client with 1012, waits for them a little and for made-up sensors to leave, and
    /// stops the engine; sessions and a recording are finished, and what is to be kept is on the disk.
    /// What the engine holds is left to the next server.
    pub async fn close(self) {
        // The server that had it when this one began may have gone.
        let folder = self.folder.and_then(|mut folder| folder.hold().ok()?.then_some(folder));
        if let Some(hand_over) = &self.hand_over {
            hand_over.end();
        }
        if folder.is_some() {
            self.intake.hold_farewells();
        }
        let _ = self.down.send(true);
        let (_, ()) = tokio::join!(self.serving, self.simulator.close());
        drop(self.gauge);
        let sessions = Arc::clone(&self.sessions);
        // A panic there has been told; what it was about is lost.
        let _ = tokio::task::spawn_blocking(move || sessions.close()).await;
        let left = match folder {
            Some(_) => self.pump.leave(),
            None => {
                self.pump.stop();
                None
            }
        };
        self.recorder.close().await;
        let closed = tokio::task::spawn_blocking(move || {
            self.history.close();
            self.store.close();
            let left = folder.as_ref().zip(left).map(|(folder, left)| folder.leave(&left));
            if let Some(Err(error)) = left {
                tracing::error!(%error, "the next server begins with empty rings");
            }
        });
        let closed = closed.await;
        if let Err(error) = closed {
            tracing::error!(%error, "the store could not be closed");
        }
    }
}

/// The folder, when its turn has come. Without it there is nothing to go on with.
async fn take_folder(path: PathBuf, patience: Duration) -> Option<Folder> {
    let taken = tokio::task::spawn_blocking(move || Folder::take(&path, patience)).await;
    match taken {
        Ok(Ok(folder)) => Some(folder),
        Ok(Err(error)) => {
            tracing::error!(%error, "the data folder cannot be locked: rings end with this server");
            None
        }
        Err(_) => None,
    }
}

/// Without it another server cannot take over; whoever starts one hears that it listens already.
fn offer(folder: &Path, listener: &TcpListener) -> Option<Arc<HandOver>> {
    let offered = listener.as_fd().try_clone_to_owned();
    let offered = offered.and_then(|socket| HandOver::new(folder, socket));
    offered.inspect_err(|error| tracing::warn!(%error, "no other server can take over")).ok()
}

fn inherit(folder: &mut Folder) -> Option<Left> {
    folder.inherit(Clock::system().now().unix_ms).unwrap_or_else(|problem| {
        tracing::warn!(%problem, "what the server before left is not taken up: rings are empty");
        None
    })
}

/// Engine time has gone on in between.
fn time_goes_on(left: &Left) -> Clock {
    let passed_ms = Clock::system().now().unix_ms.saturating_sub(left.at.unix_ms);
    Clock::system_from(left.at.engine.plus_millis(u64::try_from(passed_ms).unwrap_or(0)))
}

/// The engine, with the world that was left if it is of this build's form.
fn go_on(config: EngineConfig, left: Option<Left>, now: EngineTime) -> (Engine, Resumed) {
    let Some(left) = left else { return (Engine::new(config), Resumed::default()) };
    let grace_until = now.plus_millis(legacy::GRACE.as_millis() as u64);
    // Whatever is wrong with it must not keep the server from starting.
    let resumed = guard(|| {
        let (engine, there) = Engine::resume(config.clone(), &left.world, now, grace_until)?;
        let sensors = engine.report().sensor_count;
        tracing::info!(sensors, viewers = there.viewers.len(), "the world goes on");
        Ok((engine, there))
    });
    match resumed.unwrap_or_else(|panic| Err(SnapshotError::Broken(panic))) {
        Ok(goes_on) => goes_on,
        Err(problem) => {
            tracing::warn!(%problem, "what the server before left is not taken up: rings are empty");
            (Engine::new(config), Resumed::default())
        }
    }
}

/// Hands over what the store holds as soon as it can be asked, and waits a little for that, so that
/// whoever returns to a server that has just begun is known there.
async fn hydrate(
    store: &Store,
    viewers: &Arc<ViewerDesk>,
    pasts: &Arc<RoomPasts>,
    people: &Arc<People>,
    rooms: &Arc<RoomDesk>,
    belongings: &Arc<Belongings>,
    consent: &Arc<Consent>,
) {
    if !store.is_kept() {
        tracing::warn!("nothing is kept: tokens end with this server; start with --data DIR");
    }
    let mut readiness = store.watch();
    let (viewers, pasts) = (Arc::clone(viewers), Arc::clone(pasts));
    let (people, rooms) = (Arc::clone(people), Arc::clone(rooms));
    let (belongings, consent) = (Arc::clone(belongings), Arc::clone(consent));
    let (settled, settling) = oneshot::channel();
    tokio::spawn(async move {
        let mut settled = Some(settled);
        loop {
            let now = readiness.wait_for(|now| *now != Readiness::Hydrating).await;
            let Ok(now) = now.map(|now| now.clone()) else { return };
            let (desk, past) = (Arc::clone(&viewers), Arc::clone(&pasts));
            let (accounts, halls) = (Arc::clone(&people), Arc::clone(&rooms));
            let (own, shared) = (Arc::clone(&belongings), Arc::clone(&consent));
            let all = move || {
                let counts = (accounts.hydrate()?, desk.hydrate()?, past.history.hydrate()?);
                desk.end_sessions(|session| !accounts.is_open(session));
                halls.hydrate()?;
                own.hydrate()?;
                shared.hydrate()?;
                past.hydrate()?;
                Ok::<_, ReadError>(counts)
            };
            let hydrated = match now {
                Readiness::Ready => tokio::task::spawn_blocking(all).await.ok(),
                _ => None,
            };
            // Whoever waited may have given up.
            let _ = settled.take().map(|settled| settled.send(()));
            match hydrated {
                Some(Ok((accounts, tokens, sensors))) => {
                    tracing::info!(accounts, tokens, sensors, "what was kept is here again");
                    return;
                }
                Some(Err(problem)) => tracing::error!(%problem, "the store cannot be read"),
                None => {}
            }
            if readiness.changed().await.is_err() {
                return;
            }
        }
    });
    let _ = timeout(HYDRATION_PATIENCE, settling).await;
}

/// The recording that is to be watched. That it cannot be is told to whoever started the server.
async fn show(simulator: &Simulator, file: PathBuf) -> Result<(), String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let path = file.display().to_string();
    let shown = simulator.replay(name, file, 1.0, 0).await;
    shown.map(|_| ()).map_err(|problem| format!("`replay`: {path}: {problem}"))
}

/// One of the scenarios that are to run from the beginning.
async fn begin(
    simulator: &Simulator,
    residents: &Residents,
    room: Option<RoomId>,
    scenario: Scenario,
) {
    scenario.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let (name, seed) = (scenario.name.clone(), scenario.seed);
    let home = room.map(|room| (room, api::sensor_ids(&scenario, seed)));
    match simulator.start(scenario, seed, 1.0).await {
        Ok(running) => {
            tracing::info!(
                scenario = name,
                sensors = running.sensors,
                samples_per_second = running.samples_per_second,
                "simulating"
            );
            if let Some((room, sensors)) = home {
                residents.settle(&running, room, None, sensors);
            }
        }
        Err(problem) => tracing::error!(scenario = name, %problem, "cannot simulate"),
    }
}

/// Nanoseconds, to time the engine's systems with.
fn stopwatch() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

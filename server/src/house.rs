//! The whole server, put together from its rooms: what `main` runs, and what tests run too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::{Engine, EngineConfig};
use simulator::scenario::Scenario;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ages::Ages;
use crate::auth::Mode;
use crate::belongings::{self, Belongings};
use crate::clock::Clock;
use crate::config::Config;
use crate::dead_letters::{self, DeadLetters};
use crate::device::DeviceDesk;
use crate::directory::{Directory, Hearers};
use crate::discovery::{self, Discovery};
use crate::gauge::{Board, Gauge};
use crate::health::Pulse;
use crate::history::{self, History, Tap};
use crate::intake::Intake;
use crate::listen::DoorCounts;
use crate::people::{self, People};
use crate::pump::{NoticeSink, Pump, PumpParts, TICK_HZ_MAX, TICK_HZ_MIN};
use crate::recorder::{self, Recorder, RecorderConfig, Tape};
use crate::rooms::{self, RoomDesk};
use crate::sessions::shelf::Shelf;
use crate::sessions::{self, Sessions};
use crate::simulator::{Simulator, api};
use crate::socket::{Counts, Doors};
use crate::store::{self, ReadError, Readiness, Store, StoreConfig};
use crate::topics::Topics;
use crate::viewer::ViewerDesk;
use crate::{http, listen, openapi, system};

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
}

impl House {
    /// Opens the doors. The error is a sentence for whoever started it.
    pub async fn open(config: Config) -> Result<Self, String> {
        let listener = listen::bind(config.listen)
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (down, shutdown) = watch::channel(false);
        let faults = config.engine.faults.clone();
        let intake = Arc::new(Intake::new(config.intake_limits).with_faults(faults.clone()));
        let letters = Arc::new(DeadLetters::default());
        let clock = Clock::system();
        let store = StoreConfig::new(config.store, store::sections(), clock.clone());
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
        let history =
            History::start(folder, config.history_bytes_max, store.clone(), clock.clone())
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
        hydrate(&store, &viewers, &history, &people, &rooms, &belongings).await;
        tokio::spawn(Arc::clone(&people).keep_sweeping(shutdown.clone()));
        tokio::spawn(Arc::clone(&rooms).keep_sweeping(shutdown.clone()));
        tokio::spawn(Arc::clone(&belongings).keep_sweeping(shutdown.clone()));
        let pulse = Arc::new(Pulse::default());
        let (simulator, simulation) = Simulator::new(
            config.data.join("scenarios"),
            Arc::clone(&intake),
            Arc::clone(&devices),
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
        let sessions = Sessions::new(Shelf::new(shelf), Arc::clone(&viewers), clock.clone());
        let ages = Arc::new(Ages::default());
        let engine_config = EngineConfig { stopwatch: Some(stopwatch), ..config.engine };
        let pump = Pump::start(
            move || Engine::new(engine_config),
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
        if config.auth.mode == Mode::Strict && config.auth.device_tokens.is_empty() {
            tracing::warn!("auth is strict and there are no `device_tokens`: no device comes in");
        }
        tracing::info!(%address, auth = config.auth.mode.name(), "listening");
        let connections = Arc::new(DoorCounts::default());
        let discovery = Discovery::new(
            directory,
            Arc::clone(&belongings),
            Arc::clone(&rooms),
            Arc::clone(&pulse),
            config.auth.mode == Mode::Strict,
        );
        let found = Arc::clone(&discovery);
        people.on_end(Box::new(move |over| found.end_sessions(over)));
        tokio::spawn(Arc::clone(&discovery).keep_telling(shutdown.clone()));
        let doors = Arc::new(Doors {
            limits: config.socket_limits,
            auth: config.auth,
            people,
            rooms,
            belongings,
            discovery: Arc::clone(&discovery),
            origins: config.origins,
            proxies: config.proxies,
            intake,
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
            shutdown: shutdown.clone(),
        });
        let gauge = Gauge::start(
            Arc::clone(&doors),
            Duration::from_secs(1) / config.tick_hz.clamp(TICK_HZ_MIN, TICK_HZ_MAX),
            config.load,
        )
        .map_err(|error| format!("cannot start measuring: {error}"))?;
        let more =
            api::router(Arc::clone(&simulator), Arc::clone(recorder.library()), Arc::clone(&doors))
                .merge(recorder::api::router(Arc::clone(&recorder), Arc::clone(&doors)))
                .merge(sessions::api::router(Arc::clone(&sessions), Arc::clone(&doors)))
                .merge(system::router(Arc::clone(&doors)))
                .merge(people::api::router(Arc::clone(&doors)))
                .merge(rooms::api::router(Arc::clone(&doors)))
                .merge(openapi::router())
                .merge(belongings::api::router(Arc::clone(&doors)))
                .merge(discovery::api::router(discovery, Arc::clone(&doors)))
                .merge(dead_letters::router(Arc::clone(&doors)))
                .merge(store::api::router(Arc::clone(&doors)))
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
                begin(&begun, scenario).await;
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
        })
    }

    pub fn simulator(&self) -> Arc<Simulator> {
        Arc::clone(&self.simulator)
    }

    /// Tells every client with 1012, waits for them a little and for made-up sensors to leave, and
    /// stops the engine; sessions and a recording are finished, and what is to be kept is on the disk.
    pub async fn close(self) {
        let _ = self.down.send(true);
        let (_, ()) = tokio::join!(self.serving, self.simulator.close());
        drop(self.gauge);
        let sessions = Arc::clone(&self.sessions);
        // A panic there has been told; what it was about is lost.
        let _ = tokio::task::spawn_blocking(move || sessions.close()).await;
        self.pump.stop();
        self.recorder.close().await;
        let closed = tokio::task::spawn_blocking(move || {
            self.history.close();
            self.store.close();
        });
        let closed = closed.await;
        if let Err(error) = closed {
            tracing::error!(%error, "the store could not be closed");
        }
    }
}

/// Hands over what the store holds as soon as it can be asked, and waits a little for that, so that
/// whoever returns to a server that has just begun is known there.
async fn hydrate(
    store: &Store,
    viewers: &Arc<ViewerDesk>,
    history: &Arc<History>,
    people: &Arc<People>,
    rooms: &Arc<RoomDesk>,
    belongings: &Arc<Belongings>,
) {
    if !store.is_kept() {
        tracing::warn!("nothing is kept: tokens end with this server; start with --data DIR");
    }
    let mut readiness = store.watch();
    let (viewers, history) = (Arc::clone(viewers), Arc::clone(history));
    let (people, rooms) = (Arc::clone(people), Arc::clone(rooms));
    let belongings = Arc::clone(belongings);
    let (settled, settling) = oneshot::channel();
    tokio::spawn(async move {
        let mut settled = Some(settled);
        loop {
            let now = readiness.wait_for(|now| *now != Readiness::Hydrating).await;
            let Ok(now) = now.map(|now| now.clone()) else { return };
            let (desk, past) = (Arc::clone(&viewers), Arc::clone(&history));
            let (accounts, halls) = (Arc::clone(&people), Arc::clone(&rooms));
            let own = Arc::clone(&belongings);
            let all = move || {
                let counts = (accounts.hydrate()?, desk.hydrate()?, past.hydrate()?);
                desk.end_sessions(|session| !accounts.is_open(session));
                halls.hydrate()?;
                own.hydrate()?;
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
async fn begin(simulator: &Simulator, scenario: Scenario) {
    scenario.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let (name, seed) = (scenario.name.clone(), scenario.seed);
    match simulator.start(scenario, seed, 1.0).await {
        Ok(running) => tracing::info!(
            scenario = name,
            sensors = running.sensors,
            samples_per_second = running.samples_per_second,
            "simulating"
        ),
        Err(problem) => tracing::error!(scenario = name, %problem, "cannot simulate"),
    }
}

/// Nanoseconds, to time the engine's systems with.
fn stopwatch() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

//! The whole server, put together from its rooms: what `main` runs, and what tests run too.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use components::sample::Timestamp;
use engine::{Engine, EngineConfig};
use simulator::fleet::Fleet;
use simulator::scenario::Scenario;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::Mode;
use crate::clock::Clock;
use crate::config::Config;
use crate::device::DeviceDesk;
use crate::health::Pulse;
use crate::intake::Intake;
use crate::listen::DoorCounts;
use crate::pump::{NoticeSink, Pump, PumpParts, SimulatorHook};
use crate::socket::{Counts, Doors};
use crate::topics::Topics;
use crate::viewer::ViewerDesk;
use crate::{http, listen};

/// A running server.
#[derive(Debug)]
pub struct House {
    pub address: SocketAddr,
    down: watch::Sender<bool>,
    serving: JoinHandle<()>,
    pump: Pump,
}

impl House {
    /// Opens the doors. The error is a sentence for whoever started it.
    pub async fn open(config: Config) -> Result<Self, String> {
        let listener = listen::bind(config.listen)
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (down, shutdown) = watch::channel(false);
        let intake = Arc::new(Intake::default());
        let clock = Clock::system();
        let devices = Arc::new(DeviceDesk::new(Arc::clone(&intake), config.feed_count_max));
        let viewers = ViewerDesk::new(Arc::clone(&intake), clock.clone(), config.viewer_count_max);
        let pulse = Arc::new(Pulse::default());
        let simulator = simulation(&config.simulate, &clock, &devices);
        let engine_config = EngineConfig { stopwatch: Some(stopwatch), ..config.engine };
        let pump = Pump::start(
            move || Engine::new(engine_config),
            PumpParts {
                tick_hz: config.tick_hz,
                clock,
                intake: Arc::clone(&intake),
                viewers: Arc::clone(&viewers),
                devices: Arc::clone(&devices) as Arc<dyn NoticeSink>,
                simulator,
                pulse: Arc::clone(&pulse),
            },
        )
        .map_err(|error| format!("cannot start the engine: {error}"))?;
        if config.auth.mode == Mode::Strict && config.auth.device_tokens.is_empty() {
            tracing::warn!("auth is strict and there are no `device_tokens`: no device comes in");
        }
        tracing::info!(%address, auth = config.auth.mode.name(), "listening");
        let connections = Arc::new(DoorCounts::default());
        let doors = Arc::new(Doors {
            limits: config.socket_limits,
            auth: config.auth,
            origins: config.origins,
            intake,
            devices,
            viewers,
            topics: Topics::default(),
            counts: Counts::default(),
            connections: Arc::clone(&connections),
            pump: pump.report(),
            shutdown: shutdown.clone(),
        });
        let router = http::router(Arc::clone(&doors), pulse);
        let serving = listen::serve(listener, router, config.listen_limits, connections, shutdown);
        let serving = tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = doors.counts.crowd.watch() => {}
            }
        });
        Ok(Self { address, down, serving, pump })
    }

    /// Tells every client with 1012, waits for them a little, and stops the engine.
    pub async fn close(self) {
        let _ = self.down.send(true);
        let _ = self.serving.await;
        self.pump.stop();
    }
}

/// The people of the scenario, as devices within the process: the same at every start.
fn simulation(
    scenario: &Scenario,
    clock: &Clock,
    devices: &Arc<DeviceDesk>,
) -> Option<SimulatorHook> {
    scenario.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let summary = scenario.summary();
    if summary.sensors == 0 {
        return None;
    }
    tracing::info!(
        scenario = summary.name,
        sensors = summary.sensors,
        samples_per_second = summary.samples_per_second,
        "simulating"
    );
    let cast = Arc::new(scenario.cast(scenario.seed));
    let mut fleet = Fleet::new(cast, Timestamp(clock.now().unix_ms));
    let devices = Arc::clone(devices);
    Some(Box::new(move |unix_ms, inputs| {
        devices.take_refused().into_iter().for_each(|feed| fleet.lose(feed));
        fleet.advance(Timestamp(unix_ms), &mut || devices.reserve(), inputs);
    }))
}

/// Nanoseconds, to time the engine's systems with.
fn stopwatch() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

//! The engine's door: `tick(now, inputs) -> deliveries`.
//!
//! The engine owns no clock, no socket, no task and no file. Two doors lead to it: the server,
//! with real time and real sockets, and the simulator, which makes both up. The same inputs give
//! the same deliveries, bit for bit, on any number of threads.

use bevy_app::App;
pub use components::budget::Budget;
pub use components::command::{Command, Inputs};
pub use components::delivery::{Deliveries, Notice, TickReport};
pub use components::fault::Faults;
use components::id::ViewerId;
pub use components::sample::EngineTime;
use rayon::{ThreadPool, ThreadPoolBuilder};
pub use systems::audit::Audit;
pub use systems::bio::live::Event;
use systems::bio::live::{Bio, Looks};
use systems::conduct::divide::CurrentBudget;
use systems::conduct::judge::{Advice, Judgement, Pressed};
use systems::conduct::pace::Reports;
pub use systems::figures::{
    Bands, BioFigures, Decision, Figures, Flowed, Link, SensorFigures, ViewerFigures,
};
pub use systems::resume::Resumed;
pub use systems::snapshot::SnapshotError;
use systems::supervise::Supervision;
pub use systems::supervise::fault_points;
pub use systems::world::Settings;
use systems::world::{
    Attendance, Books, Feeds, Fresh, Incoming, Memory, Now, Outgoing, Parallel, RoomIndex,
    SensorIndex, Stopwatch, Timings, ViewerIndex,
};

/// Pure arithmetic on rhythms, for reports on what was delivered. It needs no engine.
pub mod sense {
    pub use systems::sense::{
        chance, cluster, grid, heart, hindsight, kuramoto, pair, phase, phasor, significance,
    };
}

/// How an engine is built.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    pub settings: Settings,
    /// Threads a tick may use. With 1, everything runs on the thread that calls `tick`.
    pub threads: usize,
    /// Reads nanoseconds, to time the systems; `None` leaves their times at zero.
    pub stopwatch: Option<fn() -> u64>,
    /// Failpoints, in builds that have them; else nothing.
    pub faults: Faults,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            threads: 1,
            stopwatch: None,
            faults: Faults::default(),
        }
    }
}

/// The world, and one way in.
pub struct Engine {
    app: App,
    pool: Option<ThreadPool>,
    /// What the next tick says first.
    greeting: Vec<Notice>,
    ghosts: Vec<ViewerId>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("now", self.app.world().resource::<Now>()).finish()
    }
}

/// A world in which nothing has happened, with its schedule.
fn empty(settings: Settings, stopwatch: Stopwatch, parallel: Parallel, faults: Faults) -> App {
    let mut app = App::empty();
    app.insert_resource(CurrentBudget::new(&settings))
        .insert_resource(settings)
        .insert_resource(stopwatch)
        .insert_resource(parallel)
        .insert_resource(faults)
        .init_resource::<Now>()
        .init_resource::<Incoming>()
        .init_resource::<Outgoing>()
        .init_resource::<Books>()
        .init_resource::<SensorIndex>()
        .init_resource::<Feeds>()
        .init_resource::<ViewerIndex>()
        .init_resource::<RoomIndex>()
        .init_resource::<Attendance>()
        .init_resource::<Fresh>()
        .init_resource::<Memory>()
        .init_resource::<Pressed>()
        .init_resource::<Advice>()
        .init_resource::<Bio>()
        .init_resource::<Looks>()
        .init_resource::<Judgement>()
        .init_resource::<Reports>()
        .init_resource::<systems::figures::Walked>()
        .init_resource::<systems::figures::AskedAbout>()
        .init_resource::<systems::route::choose::NewReaders>()
        .init_resource::<systems::sense::gather::GroupIndex>()
        .init_resource::<systems::sense::gather::FilterShelf>();
    systems::install(&mut app);
    app
}

impl Engine {
    /// Builds the world and its schedule. With more than one thread, call this on the thread that
    /// will tick: it becomes a worker of the pool, so that a parallel pass wakes nobody it does
    /// not need.
    pub fn new(config: EngineConfig) -> Self {
        let stopwatch = Stopwatch(config.stopwatch.unwrap_or(|| 0));
        let app = empty(config.settings, stopwatch, Parallel(config.threads > 1), config.faults);
        let pool = (config.threads > 1).then(|| {
            let builder = || ThreadPoolBuilder::new().num_threads(config.threads);
            // The calling thread may already belong to another engine's pool.
            builder()
                .use_current_thread()
                .build()
                .or_else(|_| builder().build())
                .expect("threads can be started")
        });
        Self { app, pool, greeting: Vec::new(), ghosts: Vec::new() }
    }

    /// The whole world in bytes. What [`restore`](Self::restore) makes of them goes on as this
    /// engine would.
    pub fn snapshot(&mut self) -> Vec<u8> {
        systems::snapshot::write(self.app.world_mut())
    }

    /// The commands that would open the feeds that are open, by slot.
    pub fn devices(&self) -> Vec<Command> {
        systems::devices::opened(self.app.world())
    }

    /// An engine whose world is the one in `bytes`, with the settings it had; of `config`, only
    /// the threads and the stopwatch are used. Two that are made of the same bytes and get the
    /// same inputs give the same deliveries, bit for bit. On threads, see [`new`](Self::new).
    pub fn restore(config: EngineConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut engine = Self::new(config);
        engine.replace(bytes)?;
        Ok(engine)
    }

    /// An engine that goes on with another process's world in this one, `now`: with the settings of
    /// `config`, and with nobody connected. Viewers claim what they claimed until `grace_until`. The
    /// first tick tells of all sensors there are, as if they came.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn resume(
        config: EngineConfig,
        bytes: &[u8],
        now: EngineTime,
        grace_until: EngineTime,
    ) -> Result<(Self, Resumed), SnapshotError> {
        let settings = config.settings.clone();
        let mut engine = Self::restore(config, bytes)?;
        let now = now.max(engine.now());
        let mut resumed =
            systems::resume::resume(engine.app.world_mut(), settings, now, grace_until);
        engine.greeting = std::mem::take(&mut resumed.notices);
        engine.ghosts.clone_from(&resumed.viewers);
        Ok((engine, resumed))
    }

    /// Viewers that came with another process's world: the door can send them nothing, and says in
    /// each tick that they are busy.
    pub fn take_ghosts(&mut self) -> Vec<ViewerId> {
        std::mem::take(&mut self.ghosts)
    }

    /// Puts the world in `bytes` in place of its own. After an error it has its own still. So a
    /// recording begins: with `replace(&snapshot())`, this engine and every replay go on from the
    /// same world, down to the order of rows.
    pub fn replace(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let world = self.app.world();
        let (stopwatch, parallel) = (*world.resource::<Stopwatch>(), *world.resource::<Parallel>());
        let faults = world.resource::<Faults>().clone();
        let mut app = empty(Settings::default(), stopwatch, parallel, faults);
        systems::snapshot::restore(app.world_mut(), bytes)?;
        // How the systems are faring is this engine's affair, not the world's; and what was measured
        // and not judged, for one of them is left out, is to be judged yet.
        let old = self.app.world_mut();
        app.insert_resource(old.remove_resource::<Supervision>().expect("every engine has it"));
        app.insert_resource(old.remove_resource::<Pressed>().expect("every engine has it"));
        self.app = app;
        Ok(())
    }

    /// One step. `now` never goes back. Takes what is in `inputs` and leaves it empty, with its
    /// room. What is returned is good until the next call.
    ///
    /// A system that panics does not end the tick: it loses its own work, and the tick says so
    /// ([`Notice::SystemRestarted`]); see [`systems::supervise`].
    ///
    /// # Panics
    /// When `now` lies before the last tick's: a door that loses its clock is broken. And when a
    /// system without which there is no engine panics again and again: with its name, and why.
    pub fn tick(&mut self, now: EngineTime, inputs: &mut Inputs) -> &Deliveries {
        let world = self.app.world_mut();
        let mut time = world.resource_mut::<Now>();
        assert!(now >= time.time, "time does not go back: {now:?} after {:?}", time.time);
        *time = Now { time: now, before: time.time, tick: time.tick + 1 };
        std::mem::swap(&mut world.resource_mut::<Incoming>().0, inputs);
        world.resource_mut::<Outgoing>().0.clear();
        world.resource_mut::<Outgoing>().0.notices.append(&mut self.greeting);
        let tick = world.resource::<Now>().tick;
        world.resource::<Faults>().begin_tick(tick);
        systems::supervise::wake(world);
        match &self.pool {
            Some(pool) => pool.install(|| world.run_schedule(systems::Tick)),
            None => world.run_schedule(systems::Tick),
        }
        world.clear_trackers();
        if let Some(why) = world.resource::<Supervision>().broken() {
            panic!("{why}");
        }
        std::mem::swap(&mut world.resource_mut::<Incoming>().0, inputs);
        &world.resource::<Outgoing>().0
    }

    /// The time of the last tick.
    pub fn now(&self) -> EngineTime {
        self.app.world().resource::<Now>().time
    }

    /// What the last tick cost and what the world holds.
    pub fn report(&self) -> TickReport {
        let world = self.app.world();
        let books = world.resource::<Books>();
        TickReport {
            tick: world.resource::<Now>().tick,
            systems: world.resource::<Timings>().by_system().collect(),
            health: world.resource::<Supervision>().health().cloned().collect(),
            sensor_count: world.resource::<SensorIndex>().live_count(),
            viewer_count: world.resource::<ViewerIndex>().count(),
            room_count: world.resource::<RoomIndex>().count(),
            ring_bytes: world.resource::<Memory>().bytes,
            store: books.store,
            lens: books.lens,
        }
    }

    /// The budget in force: what doors hold themselves to.
    pub fn budget(&self) -> &Budget {
        &self.app.world().resource::<CurrentBudget>().budget
    }

    /// Asked, allowed, delivered, and by whom it was limited; rates of sensors are since this was
    /// last called.
    pub fn figures(&mut self) -> Figures {
        systems::figures::figures(self.app.world_mut())
    }

    /// Why a sensor's attribute (or its busiest) comes to a viewer as it does.
    pub fn decision(
        &mut self,
        viewer: ViewerId,
        sensor_id: &str,
        attribute_id: Option<&str>,
    ) -> Option<Decision> {
        systems::figures::decision(self.app.world_mut(), viewer, sensor_id, attribute_id)
    }

    /// Both ledgers, complete, counted by walking rings and cursors: dear, but not as dear as
    /// [`audit`](Self::audit). An error is a sentence about what is broken.
    pub fn count(&mut self) -> Result<Audit, String> {
        systems::audit::count(self.app.world_mut())
    }

    /// Walks the whole world and holds the books against it: the conservation law, every level
    /// against the claims, the bytes against the rings. An error is a sentence about what is
    /// broken.
    pub fn audit(&mut self) -> Result<Audit, String> {
        systems::audit::audit(self.app.world_mut())
    }
}

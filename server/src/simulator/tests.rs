//! The driver between its queue and a real engine, on made-up time.

use components::command::{Command, SensorCard};
use components::id::FeedId;
use components::sample::EngineTime;
use engine::{Engine, EngineConfig};

use super::*;

const START_MS: i64 = 1_790_000_000_000;

/// A pump made by hand.
struct Bench {
    simulator: Arc<Simulator>,
    simulation: Box<dyn Simulation>,
    devices: Arc<DeviceDesk>,
    engine: Engine,
    ms: i64,
    planted: Vec<Command>,
}

impl Bench {
    fn new() -> Self {
        let intake = Arc::new(Intake::default());
        let devices = Arc::new(DeviceDesk::new(Arc::clone(&intake), 1_000_000));
        let (simulator, simulation) =
            Simulator::new("nowhere".into(), intake, Arc::clone(&devices), Box::new(|_| false));
        let engine = Engine::new(EngineConfig::default());
        Self { simulator, simulation, devices, engine, ms: 0, planted: Vec::new() }
    }

    fn tick(&mut self) {
        self.ms += 4;
        let mut inputs =
            Inputs { commands: std::mem::take(&mut self.planted), ..Inputs::default() };
        self.simulation.act(START_MS + self.ms, &mut inputs);
        let now = EngineTime::from_millis(self.ms as u64);
        let notices = self.engine.tick(now, &mut inputs).notices.clone();
        notices.iter().for_each(|notice| self.devices.notice(notice));
        self.simulation.hear(&notices);
    }

    /// Ticks until the order is answered: the answer, and in how many ticks.
    async fn order<T>(&mut self, order: impl Future<Output = T>) -> T {
        tokio::pin!(order);
        loop {
            tokio::select! {
                biased;
                answer = &mut order => return answer,
                () = tokio::task::yield_now() => self.tick(),
            }
        }
    }

    async fn start(&mut self, name: &str) -> Result<Running, Refused> {
        let simulator = Arc::clone(&self.simulator);
        let scenario = simulator.library().find(name).await.unwrap();
        self.order(simulator.start(scenario, 1, 1.0)).await
    }

    async fn stop(&mut self, id: Option<&str>) -> Result<Stopped, Refused> {
        let simulator = Arc::clone(&self.simulator);
        self.order(simulator.stop(id.map(str::to_owned))).await
    }

    fn sensor_count(&self) -> usize {
        self.engine.report().sensor_count
    }
}

#[tokio::test]
async fn a_stop_answers_when_all_sensors_are_gone() {
    let mut bench = Bench::new();
    bench.start("few").await.unwrap();
    bench.start("hundred").await.unwrap();
    while bench.sensor_count() < 332 {
        bench.tick();
    }
    let began = bench.ms;
    let stopped = bench.stop(Some("hundred")).await.unwrap();
    assert_eq!(bench.sensor_count(), 32, "gone before the answer");
    assert_eq!(stopped.stopped, ["hundred".into()]);
    assert!(stopped.left.is_empty() && stopped.still_stopping.is_empty(), "{stopped:?}");
    assert!(stopped.took_ms > 0 && stopped.took_ms as i64 <= bench.ms - began);
    assert_eq!(bench.simulator.status().running.len(), 1, "and off the list");

    bench.start("hundred").await.unwrap();
    let stopped = bench.stop(None).await.unwrap();
    assert_eq!((stopped.stopped.len(), bench.sensor_count()), (2, 0));
    assert_eq!(bench.devices.feed_count(), 0, "every feed is back");
    let stopped = bench.stop(None).await.unwrap();
    assert_eq!((stopped.stopped.len(), stopped.took_ms), (0, 0), "nothing to stop is no mistake");
}

#[tokio::test]
async fn a_stop_that_takes_too_long_says_what_is_left() {
    let mut bench = Bench::new();
    bench.start("few").await.unwrap();
    while bench.sensor_count() < 32 {
        bench.tick();
    }
    let simulator = Arc::clone(&bench.simulator);
    let mut stop = std::pin::pin!(simulator.stop(Some("few".into())));
    // The order is taken, and then the engine does not tick for a long time.
    tokio::select! {
        biased;
        _ = &mut stop => panic!("not yet"),
        () = tokio::task::yield_now() => {}
    }
    let mut lost = Inputs::default();
    bench.simulation.act(START_MS + bench.ms, &mut lost);
    assert_eq!(lost.commands.len(), 32);
    bench.simulation.act(START_MS + bench.ms + STOP_MS_MAX, &mut Inputs::default());
    let stopped = stop.await.unwrap();
    assert_eq!(stopped.still_stopping, ["few".into()]);
    assert_eq!(stopped.took_ms, 4000);
}

#[tokio::test]
async fn a_switch_answers_when_the_next_one_is_on() {
    let mut bench = Bench::new();
    bench.start("few").await.unwrap();
    bench.start("hundred").await.unwrap();
    let simulator = Arc::clone(&bench.simulator);
    let crowd = simulator.library().find("crowd").await.unwrap();
    let running = bench.order(simulator.switch(crowd, 7, 2.0)).await.unwrap();
    assert_eq!((&*running.id, running.seed, running.speed), ("crowd", Some(7), 2.0));
    let status = bench.simulator.status();
    assert_eq!(status.running.len(), 1);
    bench.tick();
    bench.tick();
    assert_eq!(bench.sensor_count(), 900);
}

#[tokio::test]
async fn an_orphan_is_found_by_a_check_that_is_asked_for() {
    let mut bench = Bench::new();
    bench.start("few").await.unwrap();
    let feed: FeedId = bench.devices.reserve().unwrap();
    let card = Box::new(SensorCard { sensor_id: "ghost".into(), ..SensorCard::default() });
    bench.planted.push(Command::OpenFeed { feed, card, owner: simulator::fleet::OWNER.into() });
    bench.tick();
    bench.tick();
    assert_eq!(bench.sensor_count(), 33);
    let simulator = Arc::clone(&bench.simulator);
    let health = bench.order(simulator.check()).await.unwrap();
    assert_eq!(health.orphans, ["ghost".into()]);
    let health = bench.order(simulator.check()).await.unwrap();
    assert!(health.is_ok());
    assert_eq!(bench.sensor_count(), 32);
}

#[tokio::test]
async fn whoever_does_not_wait_for_the_answer_holds_nothing_up() {
    let mut bench = Bench::new();
    let simulator = Arc::clone(&bench.simulator);
    for _ in 0..ORDER_COUNT_MAX {
        let mut check = Box::pin(simulator.check());
        let sent = std::future::poll_fn(|context| {
            std::task::Poll::Ready(check.as_mut().poll(context).is_pending())
        });
        assert!(sent.await);
    }
    assert!(matches!(simulator.check().await, Err(Refused::Busy)), "the queue is bounded");
    bench.tick();
    assert!(bench.order(simulator.check()).await.unwrap().is_ok());
}

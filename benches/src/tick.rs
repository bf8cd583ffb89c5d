//! The engine alone: samples through intake, store, attention, route and delivery, without
//! sockets, against a hand-written structure-of-arrays loop that does the least one could do.

use std::hint::black_box;
use std::time::Instant;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::id::{FeedId, Handle, ViewerId};
use components::pressure::{Pressures, Resource};
use components::sample::{Payload, Timestamp};
use components::viewer::{Quality, QualityChoice};
use engine::{Engine, EngineConfig, EngineTime, Inputs};

/// What to push through.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub sensors: u32,
    pub viewers: u32,
    /// Sensors of each viewer.
    pub watched: u32,
    pub samples_per_tick: u32,
    pub ticks: u32,
    pub threads: usize,
    /// The processor is behind: four times a second the machine is measured, and everybody gives way.
    pub pressed: bool,
}

/// Systems that decide who gets how much, and advise whoever does.
pub const ADAPTIVE: [&str; 6] =
    ["notice_novelty", "advise", "judge_load", "pace_viewers", "divide_budget", "learn_looks"];

#[derive(Debug, Clone)]
pub struct Figures {
    /// Samples through the engine per second of wall time.
    pub samples_per_s: f64,
    /// Samples delivered to viewers in all.
    pub delivered: u64,
    /// Bytes in rings per sensor at the end.
    pub ring_bytes_per_sensor: f64,
    /// Nanoseconds per sample by system.
    pub systems: Vec<(&'static str, f64)>,
}

fn feed(n: u32) -> FeedId {
    FeedId(Handle { slot: n, generation: 0 })
}

/// A spread-out order, so that neighbours in time are not neighbours in memory.
fn scattered(n: u32, of: u32) -> u32 {
    ((u64::from(n) * 2_654_435_761) % u64::from(of)) as u32
}

/// Runs `work` and measures the ticks alone, not the filling of the batches.
pub fn run(work: Work) -> Figures {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now);
    let mut engine = Engine::new(EngineConfig {
        threads: work.threads,
        stopwatch: Some(|| START.get().map_or(0, |start| start.elapsed().as_nanos() as u64)),
        ..EngineConfig::default()
    });
    let mut inputs = Inputs::default();
    let name = |n: u32| format!("bench:{n}");
    for n in 0..work.sensors {
        let card = SensorCard { sensor_id: name(n).into(), ..SensorCard::default() };
        inputs.commands.push(Command::OpenFeed {
            feed: feed(n),
            card: Box::new(card),
            owner: "bench".into(),
        });
        inputs.commands.push(Command::DeclareAttribute {
            feed: feed(n),
            index: 0,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: None,
        });
    }
    for viewer in 0..work.viewers {
        let ids = (0..work.watched)
            .map(|n| name(scattered(viewer * work.watched + n, work.sensors)).into())
            .collect();
        inputs.commands.push(Command::OpenViewer {
            viewer: ViewerId(Handle { slot: viewer, generation: 0 }),
            sensors: SensorSet::Ids(ids),
            quality: if work.pressed { QualityChoice::Auto } else { Quality::High.into() },
        });
    }
    let mut now = 4;
    engine.tick(EngineTime::from_millis(now), &mut inputs);
    let (mut spent, mut next) = (0.0, 0u32);
    let mut systems: Vec<(&'static str, f64)> = Vec::new();
    // A second to fill the rings, then what counts.
    let warm = 250;
    for tick in 0..work.ticks + warm {
        for _ in 0..work.samples_per_tick {
            let sensor = scattered(next, work.sensors);
            next = next.wrapping_add(1);
            let value = Cell(f64::from(sensor).to_bits());
            inputs.samples.push(feed(sensor), 0, Timestamp(now as i64), Payload::Scalar(value));
        }
        now += 4;
        if work.pressed && tick.is_multiple_of(62) {
            let pressures = Pressures::default().with(Resource::Cpu, 0.92);
            inputs.commands.push(Command::Press(Box::new(pressures)));
        }
        let start = Instant::now();
        black_box(engine.tick(EngineTime::from_millis(now), &mut inputs).flushes.len());
        if tick >= warm {
            spent += start.elapsed().as_secs_f64();
            let report = engine.report().systems;
            systems.resize(report.len(), ("", 0.0));
            for (sum, (name, nanos)) in systems.iter_mut().zip(report) {
                *sum = (name, sum.1 + nanos as f64);
            }
        }
    }
    let samples = f64::from(work.ticks) * f64::from(work.samples_per_tick);
    let report = engine.report();
    Figures {
        samples_per_s: samples / spent,
        delivered: report.lens.delivered,
        ring_bytes_per_sensor: report.ring_bytes as f64 / f64::from(work.sensors),
        systems: systems.into_iter().map(|(name, nanos)| (name, nanos / samples)).collect(),
    }
}

impl Figures {
    /// The adaptive part's share of what the systems took.
    pub fn adaptive_share(&self) -> f64 {
        let sum = |systems: &mut dyn Iterator<Item = &(&'static str, f64)>| -> f64 {
            systems.map(|(_, nanos)| nanos).sum()
        };
        let adaptive = |(name, _): &&(&'static str, f64)| ADAPTIVE.contains(name);
        sum(&mut self.systems.iter().filter(adaptive)) / sum(&mut self.systems.iter())
    }
}

/// The yardstick: arrays by hand, a ring of 800 per sensor, and for every watched sample a copy
/// out. No names, no types, no limits, no attention, no books.
pub fn by_hand(work: Work) -> f64 {
    const RING: usize = 800;
    let mut times = vec![0i64; work.sensors as usize * RING];
    let mut values = vec![0f64; work.sensors as usize * RING];
    let mut counts = vec![0u64; work.sensors as usize];
    let watch: Vec<Vec<u32>> = (0..work.viewers)
        .map(|v| (0..work.watched).map(|n| scattered(v * work.watched + n, work.sensors)).collect())
        .collect();
    let mut cursors: Vec<Vec<u64>> = watch.iter().map(|list| vec![0; list.len()]).collect();
    let mut out: Vec<(i64, f64)> = Vec::new();
    let mut batch: Vec<(u32, i64, f64)> = Vec::new();
    let (mut spent, mut next) = (0.0, 0u32);
    for tick in 0..work.ticks {
        batch.clear();
        for _ in 0..work.samples_per_tick {
            let sensor = scattered(next, work.sensors);
            next = next.wrapping_add(1);
            batch.push((sensor, i64::from(tick), f64::from(sensor)));
        }
        let start = Instant::now();
        for &(sensor, time, value) in &batch {
            let sensor = sensor as usize;
            let at = sensor * RING + (counts[sensor] as usize % RING);
            times[at] = time;
            values[at] = value;
            counts[sensor] += 1;
        }
        if tick % 8 == 0 {
            out.clear();
            for (list, cursors) in watch.iter().zip(&mut cursors) {
                for (&sensor, cursor) in list.iter().zip(cursors) {
                    let sensor = sensor as usize;
                    for n in *cursor..counts[sensor] {
                        let at = sensor * RING + (n as usize % RING);
                        out.push((times[at], values[at]));
                    }
                    *cursor = counts[sensor];
                }
            }
            black_box(&out);
        }
        spent += start.elapsed().as_secs_f64();
    }
    f64::from(work.ticks) * f64::from(work.samples_per_tick) / spent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_pushes_every_sample_through_to_its_viewers() {
        let work = Work {
            sensors: 100,
            viewers: 4,
            watched: 10,
            samples_per_tick: 200,
            ticks: 50,
            threads: 1,
            pressed: true,
        };
        let figures = run(work);
        let measured = |name: &&str| figures.systems.iter().any(|(system, _)| system == name);
        assert!(ADAPTIVE.iter().all(measured), "{:?}", figures.systems);
        assert!((0.0..1.0).contains(&figures.adaptive_share()));
        let figures = run(Work { pressed: false, ..work });
        // Each sensor is sent 2 samples a tick for 300 ticks; the last full flush is at tick 296.
        assert!(figures.delivered >= 4 * 10 * 2 * 290, "{}", figures.delivered);
        assert!(figures.samples_per_s > 0.0);
        assert!(by_hand(work) > 0.0);
    }
}

//! `cargo run --release -p benches --bin idle [SENSORS]`: what sensors cost that nobody hears of,
//! in bytes and in time. Workload W4: 1,000 awake at 10 samples/s, 100 viewers on 20 each.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::id::{FeedId, Handle, ViewerId};
use components::sample::{Payload, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig, EngineTime, Inputs};

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() -> std::io::Result<()> {
    let sensors: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut out = std::io::stdout().lock();
    let mut engine = Engine::new(EngineConfig::default());
    let mut inputs = Inputs::default();
    let feed = |n: u32| FeedId(Handle { slot: n, generation: 0 });
    let before = resident();
    let mut now = 0;
    let mut tick = |engine: &mut Engine, inputs: &mut Inputs| {
        now += 4;
        engine.tick(EngineTime::from_millis(now), inputs);
    };
    // As at the device door: one name for all who sign in alike.
    let owner: Arc<str> = "anonymous".into();
    for n in 0..sensors {
        let card = SensorCard {
            sensor_id: format!("device-{n}:temperature").into(),
            sensor_name: format!("Sensor {n}").into(),
            sensor_type: "temperature".into(),
            connector_id: format!("connector-{n}").into(),
            connector_name: format!("Connector {n}").into(),
            sampling_rate: 10.0,
        };
        inputs.commands.push(Command::OpenFeed {
            feed: feed(n),
            card: Box::new(card),
            owner: Arc::clone(&owner),
        });
        inputs.commands.push(Command::DeclareAttribute {
            feed: feed(n),
            index: 0,
            attribute_id: "temperature".into(),
            kind: AttributeType::Temperature,
            rate_hz: None,
        });
        if n % 2000 == 1999 {
            tick(&mut engine, &mut inputs);
        }
    }
    tick(&mut engine, &mut inputs);
    inputs = Inputs::default();
    tick(&mut engine, &mut inputs);
    let each = (resident() - before) as f64 / f64::from(sensors);
    writeln!(
        out,
        "{sensors} idle sensors: {each:.0} bytes each, in a process of {} MiB",
        resident() >> 20
    )?;
    for viewer in 0..100 {
        let ids = (0..20)
            .map(|n| format!("device-{}:temperature", (viewer * 20 + n) % 1000).into())
            .collect();
        inputs.commands.push(Command::OpenViewer {
            viewer: ViewerId(Handle { slot: viewer, generation: 0 }),
            sensors: SensorSet::Ids(ids),
            quality: Quality::High.into(),
        });
    }
    tick(&mut engine, &mut inputs);
    let mut times = Vec::new();
    for round in 0..2_500u32 {
        for n in 0..40 {
            let n = (round * 40 + n) % 1000;
            inputs.samples.push(feed(n), 0, Timestamp(0), Payload::Scalar(Cell(0)));
        }
        let start = Instant::now();
        tick(&mut engine, &mut inputs);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    writeln!(
        out,
        "W4: tick mean {mean:.0} us, p99 {:.0} us, max {:.0} us; {:.2} % of a core at 250 ticks/s",
        times[times.len() * 99 / 100],
        times[times.len() - 1],
        mean * 250.0 / 1e4,
    )
}

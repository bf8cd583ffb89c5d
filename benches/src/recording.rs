//! What recording costs: bytes a sample on disk, its share of the ticking thread, and how fast an
//! hour replays.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::id::{FeedId, Handle, ViewerId};
use components::sample::{Payload, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig, EngineTime, Inputs};
use simulator::recording::{Behind, Header, Reader, Recorder, Writer};
use simulator::replay::Rerun;

/// `sensors` at 10 Hz, 250 ticks a second, and 50 viewers of 20 sensors each, as in workload W1.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub sensors: u32,
    pub seconds: u64,
    /// Every other sample is late by up to this many milliseconds, and its stamp is off by as
    /// many: as devices on a network are. 0: all come in turn.
    pub jitter_ms: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub samples: u64,
    pub bytes: u64,
    /// Seconds of the ticking thread: what the engine takes, and what recording adds.
    pub engine_s: f64,
    pub recorder_s: f64,
    /// Seconds of replay, decoding and engine and hash; and of decoding alone.
    pub replay_s: f64,
    pub read_s: f64,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Chance without a state, as good as is needed here.
fn chance(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn feed(n: u32) -> FeedId {
    FeedId(Handle { slot: n, generation: 0 })
}

/// A slow wave of the sensor's own, some noise, three decimals: half a skin temperature, half an
/// ECG sampled too slowly.
fn value(sensor: u32, nth: u64) -> f64 {
    let noise = (chance(u64::from(sensor) << 32 | nth) % 1000) as f64 / 1000.0 - 0.5;
    let phase = nth as f64 / (7.0 + f64::from(sensor % 13));
    let value = if sensor.is_multiple_of(2) {
        33.0 + 0.2 * phase.sin() + 0.02 * noise
    } else {
        phase.sin() + 0.1 * noise
    };
    (value * 1000.0).round() / 1000.0
}

fn opening(work: Work, inputs: &mut Inputs) {
    let name = |n: u32| format!("bench:{n}");
    for n in 0..work.sensors {
        let card = SensorCard { sensor_id: name(n).into(), ..SensorCard::default() };
        let (feed, card) = (feed(n), Box::new(card));
        inputs.commands.push(Command::OpenFeed { feed, card, owner: "bench".into() });
        inputs.commands.push(Command::DeclareAttribute {
            feed,
            index: 0,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: Some(10.0),
        });
    }
    for slot in 0..50 {
        let ids = (0..20).map(|n| name((slot * 20 + n) % work.sensors).into()).collect();
        inputs.commands.push(Command::OpenViewer {
            viewer: ViewerId(Handle { slot, generation: 0 }),
            sensors: SensorSet::Ids(ids),
            quality: Quality::High.into(),
        });
    }
}

const ROUND_COUNT: u32 = 5;

const EPOCH: i64 = 1_767_225_600_000;

/// Seconds this thread has been running on a processor, whoever else wanted it meanwhile
/// (`/proc`, as Linux has it); else by the wall.
fn thread_seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed().as_secs_f64();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or(wall, |nanos| nanos / 1e9)
}

/// Plays `work`, with an engine or without, recorded or not. Seconds of this thread.
fn play(work: Work, engine: bool, recorder: &mut Option<Recorder>) -> std::io::Result<f64> {
    let began = thread_seconds();
    let mut engine = engine.then(|| Engine::new(EngineConfig::default()));
    let mut inputs = Inputs::default();
    opening(work, &mut inputs);
    // What is late, by the tick it comes in.
    let mut late: Vec<Vec<(u32, u64, i64)>> = vec![Vec::new(); 256];
    for tick in 1..=work.seconds * 250 {
        let now = EngineTime::from_millis(tick * 4);
        let mut come = std::mem::take(&mut late[tick as usize % 256]);
        for sensor in (0..work.sensors).filter(|n| (u64::from(*n) + tick).is_multiple_of(25)) {
            let nth = tick / 25;
            let off = match work.jitter_ms {
                0 => 0,
                max => chance(tick << 24 ^ u64::from(sensor)) % u64::from(max),
            };
            let at = EPOCH + (tick * 4 + off) as i64;
            let delay = off / 4;
            if delay == 0 || sensor % 2 == 0 {
                come.push((sensor, nth, at));
            } else {
                late[(tick + delay) as usize % 256].push((sensor, nth, at));
            }
        }
        for (sensor, nth, at) in come.drain(..) {
            let value = Cell(value(sensor, nth).to_bits());
            inputs.samples.push(feed(sensor), 0, Timestamp(at), Payload::Scalar(value));
        }
        late[tick as usize % 256] = come;
        if tick.is_multiple_of(2500) {
            let renew = |slot| Command::Renew { viewer: ViewerId(Handle { slot, generation: 0 }) };
            inputs.commands.extend((0..50).map(renew));
        }
        if let Some(recorder) = recorder {
            recorder.tick(now, &inputs)?;
        }
        match &mut engine {
            Some(engine) => {
                let deliveries = engine.tick(now, &mut inputs);
                if let Some(recorder) = recorder {
                    recorder.delivered(deliveries);
                }
            }
            None => {
                inputs.samples.clear();
                inputs.commands.clear();
            }
        }
    }
    Ok(thread_seconds() - began)
}

/// Without an engine, with one, and recorded, in turns; of each the quickest counts, since what else
/// the machine does only adds. And replays the last.
pub fn run(work: Work) -> std::io::Result<Figures> {
    let header = Header { epoch_unix_ms: EPOCH, ..Header::default() };
    let [mut generating_s, mut ticking_s, mut recording_s] = [f64::INFINITY; 3];
    let mut last = None;
    for _ in 0..ROUND_COUNT {
        generating_s = generating_s.min(play(work, false, &mut None)?);
        ticking_s = ticking_s.min(play(work, true, &mut None)?);
        let file = Memory::default();
        let writer = Writer::create(file.clone(), &header)?;
        let mut recorder = Some(Recorder::start(writer, Behind::Wait)?);
        recording_s = recording_s.min(play(work, true, &mut recorder)?);
        let written = recorder.expect("put there above").finish()?;
        last = Some((written, std::mem::take(&mut *file.0.lock().expect("nobody panics"))));
    }
    let (written, file) = last.expect("there is a round");
    let engine_s = ticking_s - generating_s;
    let recorder_s = recording_s - ticking_s;

    let mut inputs = Inputs::default();
    let broken = |error| std::io::Error::other(format!("{error}"));
    let began = thread_seconds();
    let mut reader = Reader::new(Cursor::new(&file[..])).map_err(broken)?;
    while reader.next(&mut inputs).map_err(broken)?.is_some() {
        inputs.samples.clear();
        inputs.commands.clear();
    }
    let read_s = thread_seconds() - began;
    let began = thread_seconds();
    let reader = Reader::new(Cursor::new(&file[..])).map_err(broken)?;
    let mut rerun = Rerun::new(reader, 1).map_err(broken)?;
    while rerun.tick(&mut |_| {}).map_err(broken)?.is_some() {}
    let replay_s = thread_seconds() - began;
    assert_eq!(rerun.done().differs, None, "a replay is equal");
    assert_eq!(Some(rerun.hash()), written.hash, "a replay is equal");
    let (samples, bytes) = (written.samples, written.bytes);
    Ok(Figures { samples, bytes, engine_s, recorder_s, replay_s, read_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_sensors_at_ten_hertz_take_less_than_four_bytes_a_sample() {
        for jitter_ms in [0, 60] {
            let figures = run(Work { sensors: 1000, seconds: 10, jitter_ms }).unwrap();
            assert!(figures.samples > 90_000);
            let each = figures.bytes as f64 / figures.samples as f64;
            assert!((0.5..4.0).contains(&each), "{each} at {jitter_ms} ms");
        }
    }
}

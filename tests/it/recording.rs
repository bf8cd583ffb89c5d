//! A recorded session replays bit for bit; one that was cut replays up to the cut; one in which a
//! bit was flipped is found out.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use components::cell::Cell;
use components::command::{Command, Inputs, SensorCard};
use components::id::{FeedId, Handle, Handles};
use components::load::{Load, LoadLevel};
use components::sample::{EngineTime, Payload, Timestamp};
use engine::{Engine, EngineConfig, Settings};
use simulator::crowd::{CrowdSpec, Network};
use simulator::fault::{FaultKind, FaultSpec};
use simulator::recording::{Behind, Hash, Header, Reader, Recorder, RecordingError, Writer};
use simulator::replay::{LiveReplay, PREFIX, Replayed, Rerun};
use simulator::scenario::Scenario;
use simulator::simulate::{EPOCH_UNIX_MS, World};

/// A file in memory, shared with the recorder's thread.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The eight people of `few`, with everything that happens to a demo: visitors, one who reads in
/// fits and one who never does, devices that drop, repeat and babble.
fn demo(threads: usize) -> World {
    let mut cast = Scenario::find("few", None).unwrap().cast(1);
    let crowd = |network, watch| CrowdSpec {
        watch,
        network,
        count: 2,
        arrive_s: (0.0, 1.0),
        scroll_s: (0.3, 1.0),
        hover_s: (0.2, 0.5),
        stay_s: (3.0, 8.0),
        return_s: (0.5, 1.0),
        hide_s: (1.0, 3.0),
        hidden_s: (0.3, 0.8),
        ..CrowdSpec::default()
    };
    cast.crowds = vec![
        crowd(Network::Fast, 20),
        crowd(Network::Slow { stall_s: (0.3, 0.6), every_s: (0.2, 0.9) }, 8),
        crowd(Network::Dead, 4),
    ];
    let fault = |kind, amount| FaultSpec {
        kind,
        share: 0.5,
        every_s: (0.5, 2.0),
        lasts_s: (0.3, 1.0),
        amount,
    };
    cast.faults = vec![
        fault(FaultKind::Disconnect, 0.0),
        fault(FaultKind::Duplicate, 0.2),
        fault(FaultKind::Reorder, 0.2),
        fault(FaultKind::Garbage, 0.2),
    ];
    World::new(cast, 3, threads, 250)
}

const SECONDS: u64 = 8;

/// The demo, recorded: the file, and its hash.
fn recorded() -> (Vec<u8>, u64) {
    let file = Memory::default();
    let header = Header {
        epoch_unix_ms: EPOCH_UNIX_MS,
        source: "simulate few seed 1".into(),
        ..Header::default()
    };
    let writer = Writer::create(file.clone(), &header).unwrap();
    let mut recorder = Recorder::start(writer, Behind::Wait).unwrap();
    let mut world = demo(1);
    for tick in 0..SECONDS * 250 {
        let now = world.prepare();
        if tick == 1000 {
            world
                .inputs()
                .commands
                .push(Command::SetLoad(Load { level: LoadLevel::High, memory_protection: true }));
        }
        recorder.tick(now, world.inputs()).unwrap();
        recorder.delivered(world.tick(now));
    }
    world.engine().audit().unwrap();
    let hash = recorder.hash();
    let figures = recorder.finish().unwrap();
    assert_eq!(figures.ticks, SECONDS * 250);
    assert_eq!(figures.hash, Some(hash));
    let file = std::mem::take(&mut *file.0.lock().unwrap());
    (file, hash)
}

/// Replays all there is: what it came to, the hash behind the last tick, and why no more.
fn replayed(file: &[u8], threads: usize) -> (Replayed, u64, Option<RecordingError>) {
    let reader = Reader::new(Cursor::new(file)).unwrap();
    let mut rerun = Rerun::new(reader, threads).unwrap();
    let error = loop {
        match rerun.tick(&mut |_| {}) {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    // What nothing hangs on is covered by the checksum of the whole.
    let what = "is not as it was written".to_owned();
    let whole = error.is_some() || rerun.reader().verify().unwrap();
    let error = error.or((!whole).then_some(RecordingError::Damaged { at: 0, what }));
    (rerun.done(), rerun.hash(), error)
}

#[test]
fn a_recorded_demo_session_replays_with_an_equal_hash_on_one_and_two_threads() {
    let (file, hash) = recorded();
    let reader = Reader::new(Cursor::new(&file[..])).unwrap();
    let summary = *reader.summary();
    assert!(summary.complete && summary.sensors == 32, "{summary:?}");
    assert!(summary.samples > 8_000, "{summary:?}");
    assert_eq!(summary.hash, Some(hash));
    for threads in [1, 2] {
        let (done, replayed_hash, error) = replayed(&file, threads);
        assert!(error.is_none());
        assert_eq!(done.differs, None, "{threads} threads");
        assert_eq!((done.ticks, done.samples), (summary.ticks, summary.samples));
        assert_eq!(done.proven, summary.ticks, "every tick is held against the recording");
        assert_eq!(replayed_hash, hash, "{threads} threads");
    }
    // Everything that a demo has in it is in it.
    let mut reader = Reader::new(Cursor::new(&file[..])).unwrap();
    let (mut busy, mut attends, mut closed, mut texts) = (0, 0, 0, 0);
    let mut inputs = Inputs::default();
    while reader.next(&mut inputs).unwrap().is_some() {
        busy += inputs.busy.len();
        for command in inputs.commands.drain(..) {
            attends += usize::from(matches!(command, Command::Attend { .. }));
            closed += usize::from(matches!(command, Command::CloseFeed { .. }));
        }
        texts += (0..inputs.samples.len())
            .filter(|&index| format!("{:?}", inputs.samples.get(index)).contains("Text"))
            .count();
        inputs.samples.clear();
        inputs.busy.clear();
    }
    assert!(busy > 500 && attends > 20 && closed > 5, "{busy} {attends} {closed}");
    assert!(texts > 0, "devices that babble");
}

#[test]
fn a_file_cut_off_replays_up_to_the_cut_with_an_equal_hash_so_far() {
    let (file, _) = recorded();
    let (done, _, error) = replayed(&file[..file.len() / 2], 1);
    assert!(error.is_none(), "{error:?}");
    assert!(done.ticks > 500 && done.ticks < SECONDS * 250, "{}", done.ticks);
    assert_eq!((done.differs, done.proven), (None, done.ticks));
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is_in_the_data() {
    let (file, _) = recorded();
    for part in 1..10 {
        let mut bad = file.clone();
        bad[file.len() * part / 12] ^= 0x10;
        let (done, _, error) = replayed(&bad, 1);
        assert!(
            matches!(error, Some(RecordingError::Damaged { .. })),
            "{part}: {error:?} {done:?}"
        );
        assert_eq!(done.differs, None, "what was before the damage is equal");
    }
}

#[test]
fn a_world_in_which_one_sample_is_another_is_told_apart_at_its_tick() {
    let (file, _) = recorded();
    let mut reader = Reader::new(Cursor::new(&file[..])).unwrap();
    let mut other = Vec::new();
    let header = reader.header().clone();
    let mut writer = Writer::create(&mut other, &header).unwrap();
    let mut inputs = Inputs::default();
    let mut changed_at = None;
    while let Some(now) = reader.next(&mut inputs).unwrap() {
        if reader.tick() == 700 {
            // Everybody who looks sees this one.
            inputs.commands.push(Command::SetLoad(Load {
                level: LoadLevel::Critical,
                memory_protection: false,
            }));
            changed_at = Some(now);
        }
        writer.tick(now, &inputs).unwrap();
        let proof = reader.proof().unwrap();
        writer.hashed(proof.whole.unwrap_or(proof.low.into()), true);
        inputs = Inputs::default();
    }
    writer.finish().unwrap();
    let mut rerun = Rerun::new(Reader::new(Cursor::new(&other[..])).unwrap(), 1).unwrap();
    while rerun.done().differs.is_none() {
        rerun.tick(&mut |_| {}).unwrap().expect("it differs somewhere");
    }
    assert_eq!(rerun.done().differs, Some((700, changed_at.unwrap())));
}

#[test]
fn a_recording_that_began_in_the_midst_of_things_replays_from_its_snapshot() {
    let mut world = demo(1);
    for _ in 0..1000 {
        let now = world.prepare();
        world.tick(now);
    }
    let header = Header::of_running(world.engine(), Settings::default()).unwrap();
    let sensors = header.devices.iter().filter(|it| matches!(it, Command::OpenFeed { .. }));
    assert!(sensors.count() > 16);
    let mut file = Vec::new();
    let mut writer = Writer::create(&mut file, &header).unwrap();
    for _ in 0..1000 {
        let now = world.prepare();
        writer.tick(now, world.inputs()).unwrap();
        writer.delivered(world.tick(now));
    }
    writer.finish().unwrap();
    let (done, _, error) = replayed(&file, 1);
    assert!(error.is_none(), "{error:?}");
    assert_eq!((done.ticks, done.proven, done.differs), (1000, 1000, None));

    // And whoever plays it live knows its devices from the first moment.
    let mut live = LiveReplay::new(Reader::new(Cursor::new(&file[..])).unwrap()).unwrap();
    let (mut feeds, mut inputs) = (Handles::default(), Inputs::default());
    live.advance(Timestamp(0), &mut || feeds.take(100).map(FeedId), &mut inputs);
    assert!(live.sensor_count() > 16);
}

/// The living engine with a replay in it.
struct Stage {
    engine: Engine,
    live: LiveReplay<Cursor<Vec<u8>>>,
    feeds: Handles,
    now: u64,
}

impl Stage {
    /// Wall time is engine time plus this.
    const START: i64 = 1_900_000_000_000;

    fn new(file: Vec<u8>) -> Self {
        Self {
            engine: Engine::new(EngineConfig::default()),
            live: LiveReplay::new(Reader::new(Cursor::new(file)).unwrap()).unwrap(),
            feeds: Handles::default(),
            now: 0,
        }
    }

    fn wall(&self) -> Timestamp {
        Timestamp(Self::START + self.now as i64)
    }

    /// Ticks for `ms`; the stamps of all samples that went in, and how many sensors came and went.
    fn run(&mut self, ms: u64) -> (Vec<i64>, i64) {
        let (mut stamps, mut came) = (Vec::new(), 0);
        for _ in 0..ms / 4 {
            self.now += 4;
            let (wall, mut inputs) = (self.wall(), Inputs::default());
            let feeds = &mut self.feeds;
            self.live.advance(wall, &mut || feeds.take(100).map(FeedId), &mut inputs);
            stamps.extend((0..inputs.samples.len()).map(|index| inputs.samples.get(index).2.0));
            for command in &inputs.commands {
                match command {
                    Command::OpenFeed { card, .. } => {
                        assert!(card.sensor_id.starts_with(PREFIX));
                        came += 1;
                    }
                    Command::Retire { .. } | Command::CloseFeed { .. } => came -= 1,
                    Command::DeclareAttribute { .. } => {}
                    other => panic!("only devices are played: {other:?}"),
                }
            }
            let out = self.engine.tick(EngineTime::from_millis(self.now), &mut inputs);
            for notice in &out.notices {
                if let engine::Notice::FeedClosed { feed } = notice {
                    feeds.give_back(feed.0);
                }
            }
            self.engine.audit().unwrap();
        }
        (stamps, came)
    }
}

/// A recording may claim that everything happened at once.
#[test]
fn a_live_replay_shows_no_more_in_one_step_than_a_step_may_have() {
    const TICKS: usize = 30;
    const SAMPLES: usize = 100_000;
    let feed = FeedId(Handle { slot: 0, generation: 0 });
    let mut file = Vec::new();
    let mut writer = Writer::create(Cursor::new(&mut file), &Header::default()).unwrap();
    for tick in 0..TICKS {
        let mut inputs = Inputs::default();
        if tick == 0 {
            let card = SensorCard { sensor_id: "a".into(), ..SensorCard::default() };
            let card = Box::new(card);
            inputs.commands.push(Command::OpenFeed { feed, card, owner: "me".into() });
        }
        let cell = Cell::parse("1.5").unwrap();
        for _ in 0..SAMPLES {
            inputs.samples.push(feed, 0, Timestamp(0), Payload::Scalar(cell));
        }
        writer.tick(EngineTime(1), &inputs).unwrap();
    }
    writer.finish().unwrap();

    let mut live = LiveReplay::new(Reader::new(Cursor::new(file)).unwrap()).unwrap();
    let (mut feeds, mut shown, mut steps) = (Handles::default(), 0, 0);
    while !live.is_over() {
        let mut inputs = Inputs::default();
        let take = &mut || feeds.take(100).map(FeedId);
        live.advance(Timestamp(Stage::START), take, &mut inputs);
        assert!(inputs.samples.len() < (1 << 20) + SAMPLES, "{}", inputs.samples.len());
        shown += inputs.samples.len();
        steps += 1;
    }
    assert_eq!((shown, steps), (TICKS * SAMPLES, 3));
}

#[test]
fn a_live_replay_shows_the_past_as_of_now_and_can_pause_seek_and_hurry() {
    // Without faults: what is there stays there.
    let mut file = Vec::new();
    let header = Header { epoch_unix_ms: EPOCH_UNIX_MS, ..Header::default() };
    let mut writer = Writer::create(&mut file, &header).unwrap();
    let cast = Scenario::find("few", None).unwrap().cast(1);
    let rate = 8.0 * (250.0 + 25.0 + 25.0 + 2.0);
    let mut world = World::new(cast, 2, 1, 250);
    for _ in 0..2500 {
        let now = world.prepare();
        writer.tick(now, world.inputs()).unwrap();
        world.tick(now);
    }
    writer.finish().unwrap();

    let mut stage = Stage::new(file);
    assert_eq!(stage.live.duration_ms(), 9996);
    let (stamps, came) = stage.run(2000);
    assert_eq!(came, 32);
    assert_eq!(stage.live.sensor_count(), 32);
    let expected = rate * 2.0;
    assert!((stamps.len() as f64 - expected).abs() < 0.1 * expected, "{}", stamps.len());
    assert!(stamps.iter().all(|&at| at <= stage.wall().0 && at > Stage::START - 100));
    assert_eq!(stage.engine.report().sensor_count, 32);
    let position = stage.live.position_ms();
    assert!((1980..=2000).contains(&position), "{position}");
    assert_eq!(stage.live.recorded_at_unix_ms(), EPOCH_UNIX_MS + 4 + position as i64);

    stage.live.pause();
    assert_eq!(stage.run(1000), (vec![], 0));
    assert_eq!(stage.live.position_ms(), position);
    let wall = stage.wall();
    stage.live.resume(wall);
    let (stamps, came) = stage.run(500);
    assert!(came == 0 && stamps.iter().all(|&at| at > wall.0 - 20), "nothing is of the pause");

    // Back, and far forward: everybody is there already, and the newest of each is shown at once.
    for to in [500, 8000] {
        stage.live.seek(to).unwrap();
        let (stamps, came) = stage.run(4);
        assert_eq!(came, 0, "nobody leaves and comes for a seek");
        assert!((32..120).contains(&stamps.len()), "{}", stamps.len());
        assert!(stage.live.position_ms().abs_diff(to) < 8);
    }

    // Twice as fast, to the end.
    stage.live.set_speed(2.0);
    let began = stage.now;
    while !stage.live.is_over() {
        stage.run(4);
    }
    let took = stage.now - began;
    assert!((950..1050).contains(&took), "2 s of it in {took} ms");
    assert_eq!(stage.live.broken(), None);
    let mut commands = Vec::new();
    stage.live.close(&mut commands);
    assert_eq!(commands.len(), 32);
    stage.engine.tick(
        EngineTime::from_millis(stage.now + 4),
        &mut Inputs { commands, ..Inputs::default() },
    );
    assert_eq!(stage.engine.report().sensor_count, 0);
}

#[test]
fn the_hash_sees_every_part_of_what_is_delivered() {
    let deliveries = |change: &dyn Fn(&mut engine::Deliveries)| {
        let mut engine = Engine::new(EngineConfig::default());
        let mut hash = Hash::default();
        let mut inputs = Inputs::default();
        let cast = Scenario::find("few", None).unwrap().cast(1);
        let start = Timestamp(0);
        let mut fleet = simulator::fleet::Fleet::new(Arc::new(cast), start);
        let mut feeds = Handles::default();
        inputs.commands.push(Command::OpenViewer {
            viewer: components::id::ViewerId(Handles::default().take(1).unwrap()),
            sensors: components::command::SensorSet::All,
            quality: components::viewer::Quality::Low.into(),
        });
        for tick in 1..60 {
            let to = Timestamp(tick * 4);
            fleet.advance(to, &mut || feeds.take(100).map(FeedId), &mut inputs);
            let out = engine.tick(EngineTime::from_millis(tick as u64 * 4), &mut inputs);
            // A copy, to be changed: the engine's own is only lent.
            let mut copy = engine::Deliveries {
                slices: out
                    .slices
                    .iter()
                    .map(|slice| components::delivery::Slice {
                        card: Arc::clone(&slice.card),
                        ..*slice
                    })
                    .collect(),
                timestamps: out.timestamps.clone(),
                cells: out.cells.clone(),
                texts: out.texts.clone(),
                parts: out.parts.clone(),
                flushes: out.flushes.clone(),
                notices: out.notices.clone(),
                probes: out.probes.clone(),
                groups: out.groups.clone(),
                readings: out.readings.clone(),
                states: out.states.clone(),
                values: out.values.clone(),
                pairs: out.pairs.clone(),
                hearts: out.hearts.clone(),
                beats: out.beats.clone(),
                watchers: out.watchers.clone(),
            };
            if tick == 50 {
                assert!(copy.slices.len() > 10 && !copy.flushes.is_empty());
                change(&mut copy);
            }
            hash.add(&copy);
        }
        hash.value()
    };
    let same = deliveries(&|_| {});
    assert_eq!(same, deliveries(&|_| {}));
    let changes: [&dyn Fn(&mut engine::Deliveries); 9] = [
        &|out| out.slices[3].from += 1,
        &|out| out.slices[3].missed += 1,
        &|out| out.slices.swap(0, 1),
        &|out| out.timestamps[5].0 += 1,
        &|out| out.cells[7] ^= 1,
        &|out| out.parts.swap(0, 1),
        &|out| out.flushes[0].part_count -= 1,
        &|out| {
            out.notices.push(engine::Notice::SensorGone { sensor_id: "ada:ecg".into() });
        },
        &|out| {
            let digest = out.slices.iter_mut().find_map(|slice| slice.digest.as_mut());
            digest.expect("low quality has digests").count += 1;
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        assert_ne!(deliveries(change), same, "change {n}");
    }
}

/// What a stranger should read: sensor, attribute, stamp, payload.
type Row = (String, String, i64, serde_json::Value);

fn rows(
    inputs: &Inputs,
    names: &mut std::collections::HashMap<(FeedId, u16), (String, String)>,
) -> Vec<Row> {
    let mut sensors = std::collections::HashMap::new();
    for command in &inputs.commands {
        match command {
            Command::OpenFeed { feed, card, .. } => {
                sensors.insert(*feed, card.sensor_id.to_string());
            }
            Command::DeclareAttribute { feed, index, attribute_id, .. } => {
                let key = (*feed, *index);
                names.insert(key, (sensors[feed].clone(), attribute_id.to_string()));
            }
            _ => {}
        }
    }
    let row = |index| {
        let (feed, attribute, timestamp, payload) = inputs.samples.get(index);
        let mut json = Vec::new();
        match payload {
            Payload::Scalar(cell) => cell.write_json(&mut json),
            Payload::Shaped { shape, cells } => shape.write_json(cells, &mut json),
            Payload::Text { payload, .. } => json.extend_from_slice(payload.as_bytes()),
        }
        let (sensor, attribute) = names[&(feed, attribute)].clone();
        (sensor, attribute, timestamp.0, serde_json::from_slice(&json).unwrap())
    };
    (0..inputs.samples.len()).map(row).collect()
}

/// `SENSOCTO_PYTHON=venv/bin/python cargo test -p tests --test it -- --ignored python`
#[test]
#[ignore = "needs a Python with the package mcap, named in SENSOCTO_PYTHON"]
fn the_python_example_reads_every_value_that_was_put_in() {
    let python = std::env::var("SENSOCTO_PYTHON").expect("SENSOCTO_PYTHON names a python");
    let path = std::env::temp_dir().join(format!("sensocto-{}.mcap", std::process::id()));
    let header = Header { epoch_unix_ms: EPOCH_UNIX_MS, ..Header::default() };
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = Writer::create(file, &header).unwrap();
    let (mut names, mut expected) = (Default::default(), Vec::new());
    let mut world = demo(1);
    for _ in 0..SECONDS * 250 {
        let now = world.prepare();
        expected.extend(rows(world.inputs(), &mut names));
        writer.tick(now, world.inputs()).unwrap();
        writer.delivered(world.tick(now));
    }
    writer.finish().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/read_recording.py");
    let output = std::process::Command::new(python).arg(script).arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("sensor_id,attribute_id,timestamp,payload"));
    let mut count = 0;
    for (line, row) in lines.zip(&expected) {
        let mut parts = line.splitn(4, ',');
        let mut part = || parts.next().unwrap();
        let (sensor, attribute, timestamp) = (part(), part(), part().parse::<i64>().unwrap());
        let payload = part();
        let payload = match payload.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => payload.to_owned(),
        };
        let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        assert_eq!((sensor, attribute, timestamp), (&*row.0, &*row.1, row.2), "{line}");
        assert_eq!(value, row.3, "{line}");
        count += 1;
    }
    assert_eq!(count, expected.len());
    assert!(count > 8_000);
}

/// Made by the build before there were groups: `simulate few --seed 1 --for 2s --tick-hz 50 --viewers 1`.
#[test]
fn a_recording_from_before_there_were_groups_opens_and_drives_the_engine() {
    let file = include_bytes!("../vectors/recordings/format1.mcap");
    let (replayed, _, error) = replayed(file, 1);
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.ticks, replayed.samples), (100, 4842));
}

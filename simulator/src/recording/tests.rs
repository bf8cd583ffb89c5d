//! What was put in comes out; what was damaged says so.

use std::io::Cursor;
use std::sync::Arc;

use components::attention::Battery;
use components::attribute::AttributeType;
use components::cell::Cell;
use components::class::Class;
use components::command::{Attention, Command, Inputs, SensorCard, SensorSet, Target};
use components::group::{GroupPlan, Signal, Tier};
use components::id::{FeedId, GroupId, Handle, RoomId, ViewerId};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::sample::{EngineTime, Payload, Timestamp};
use components::shape::Shape;
use components::viewer::Quality;

use super::*;
use crate::chance::hash;

fn feed(slot: u32) -> FeedId {
    FeedId(Handle { slot, generation: slot % 3 })
}

fn group(slot: u32) -> GroupId {
    GroupId(Handle { slot, generation: slot % 4 })
}

fn room(slot: u32) -> RoomId {
    RoomId(Handle { slot, generation: slot % 4 })
}

fn viewer(slot: u32) -> ViewerId {
    ViewerId(Handle { slot, generation: slot % 2 })
}

/// Every command there is, with everything in it that may be.
fn every_command() -> Vec<Command> {
    let card = SensorCard {
        sensor_id: "ada:\"ecg\"".into(),
        sensor_name: "Ada\n\u{1f419}".into(),
        sensor_type: "ecg".into(),
        connector_id: "c".into(),
        connector_name: "".into(),
        sampling_rate: 0.1,
    };
    let target = |attribute: Option<&str>| Target {
        sensor_id: "ada".into(),
        attribute_id: attribute.map(Box::from),
    };
    let attention = Attention {
        visible: Some(vec!["ada".into(), "ben".into()]),
        hovered: vec![target(None)],
        focused: vec![target(Some("ecg")), target(None)],
        pinned: vec![target(Some("imu"))],
        hidden: true,
        battery: Battery::Critical,
    };
    vec![
        Command::OpenFeed { feed: feed(7), card: Box::new(card), owner: "me".into() },
        Command::OpenFeed {
            feed: feed(8),
            card: Box::new(SensorCard { sampling_rate: f64::NAN, ..SensorCard::default() }),
            owner: "".into(),
        },
        Command::DeclareAttribute {
            feed: feed(7),
            index: 65_535,
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: Some(249.997),
        },
        Command::DeclareAttribute {
            feed: feed(7),
            index: 0,
            attribute_id: "x".into(),
            kind: AttributeType::Numeric,
            rate_hz: None,
        },
        Command::ForgetAttribute { feed: feed(7), attribute_id: "x".into() },
        Command::RenameConnector { feed: feed(7), connector_name: "new".into() },
        Command::CloseFeed { feed: feed(7) },
        Command::Retire { feed: feed(9) },
        Command::OpenViewer {
            viewer: viewer(1),
            sensors: SensorSet::All,
            quality: Quality::Minimal.into(),
        },
        Command::SetSensors {
            viewer: viewer(1),
            sensors: SensorSet::Ids(vec!["all".into(), "b\\".into()]),
        },
        Command::SetSensors { viewer: viewer(1), sensors: SensorSet::Ids(vec![]) },
        Command::SetQuality { viewer: viewer(1), quality: Quality::Paused.into() },
        Command::Attend { viewer: viewer(1), attention: Box::new(attention) },
        Command::Attend { viewer: viewer(1), attention: Box::default() },
        Command::Renew { viewer: viewer(1) },
        Command::TellDevice {
            viewer: viewer(1),
            sensor_id: "ada".into(),
            words: r#"{"command":"vibrate","ms":1.5}"#.into(),
        },
        Command::SetRoom { room: room(4), sensors: ["ada".into(), "b\\".into()].into() },
        Command::SetRoom { room: room(5), sensors: [].into() },
        Command::EnterRoom { viewer: viewer(1), room: room(4) },
        Command::CloseRoom { room: room(u32::MAX) },
        Command::CloseViewer { viewer: viewer(u32::MAX) },
        Command::OpenGroup {
            group: group(3),
            plan: Box::new(GroupPlan {
                name: "the choir".into(),
                signal: Signal::HeartLow,
                tier: Tier::Live,
                sensors: SensorSet::Ids(vec!["ada".into()]),
                attribute_id: "ecg".into(),
            }),
        },
        Command::WatchGroup { viewer: viewer(1), group: group(3) },
        Command::UnwatchGroup { viewer: viewer(1), group: group(u32::MAX) },
        Command::SetLoad(Load { level: LoadLevel::High, memory_protection: true }),
    ]
}

/// A busy, odd life of `ticks` ticks, one of which has nothing of anything more often than not.
fn life(ticks: u64, seed: u64) -> Vec<(EngineTime, Inputs)> {
    let shapes = [
        Arc::new(Shape::from_skeleton(b"{\"x\":\x01,\"y\":\x01}")),
        Arc::new(Shape::from_skeleton(b"[\x01,\x01,\x01]")),
    ];
    let mut now = 17;
    (0..ticks)
        .map(|tick| {
            let chance = |n: u64| hash(seed ^ tick << 20, n);
            now += [4000, 4000, 4000, 0, 50_000][(chance(0) % 5) as usize];
            let mut inputs = Inputs::default();
            if tick % 97 == 3 {
                inputs.commands = every_command();
            }
            if tick % 11 < 3 {
                inputs.busy = (0..tick / 50).map(|n| viewer(n as u32 * 3)).collect();
            }
            if tick % 29 == 0 {
                inputs.refused = vec![
                    (Class::Bio, Reason::IntakeFull, 3),
                    (Class::Device, Reason::RateLimited, u64::MAX),
                ];
            }
            for n in 0..[0, 0, 3, 20][(chance(1) % 4) as usize] {
                let roll = chance(100 + n);
                let timestamp = match roll % 50 {
                    0 => Timestamp(i64::MIN),
                    1 => Timestamp(i64::MAX),
                    _ => Timestamp(1_700_000_000_000 + tick as i64 * 4 + (roll % 3) as i64),
                };
                let value = Cell::float((roll % 10_000) as f64 / 100.0).unwrap();
                let whole = Cell::integer((roll % 1000) as i64 - 500).unwrap();
                let odd = Cell::float(f64::from_bits(roll)).unwrap_or(Cell::NULL);
                let cells = [value.0, whole.0, odd.0];
                let (attribute, payload) = match roll % 9 {
                    0 => (1, Payload::Shaped { shape: &shapes[0], cells: &cells[..2] }),
                    1 => (2, Payload::Shaped { shape: &shapes[1], cells: &cells }),
                    2 => (3, Payload::Text { payload: "\"a\u{e9}\"", extra: ",\"event\":\"up\"" }),
                    3 => (1, Payload::Text { payload: "", extra: "" }),
                    4 => (4, Payload::Scalar(odd)),
                    5 => (5, Payload::Scalar([Cell::TRUE, Cell::FALSE][(roll >> 8) as usize % 2])),
                    6 => (0, Payload::Scalar(whole)),
                    _ => (0, Payload::Scalar(value)),
                };
                let from = feed((n % 7) as u32 * 1000);
                inputs.samples.push(from, attribute, timestamp, payload);
            }
            (EngineTime(now), inputs)
        })
        .collect()
}

/// All of one tick, in words.
fn told(now: EngineTime, inputs: &Inputs) -> String {
    let mut text = format!("{now:?} {:?} {:?}", inputs.busy, inputs.refused);
    for command in &inputs.commands {
        text += &format!(" {command:?}");
    }
    for index in 0..inputs.samples.len() {
        let (feed, attribute, timestamp, payload) = inputs.samples.get(index);
        text += &format!(" {feed:?} {attribute} {timestamp:?} {payload:?}");
    }
    text
}

fn written(life: &[(EngineTime, Inputs)], header: &Header) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::create(&mut file, header).unwrap();
    for (tick, (now, inputs)) in life.iter().enumerate() {
        writer.tick(*now, inputs).unwrap();
        writer.hashed(tick as u64 / 2 * 0x1_0000_0001, tick % 2 == 0);
    }
    let figures = writer.finish().unwrap();
    assert_eq!(figures.bytes, file.len() as u64);
    assert_eq!(figures.ticks, life.len() as u64);
    file
}

/// Everything that can be read, and why no more.
fn read(file: &[u8]) -> (Vec<String>, Option<RecordingError>) {
    let mut reader = match Reader::new(Cursor::new(file)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut ticks = Vec::new();
    loop {
        let mut inputs = Inputs::default();
        match reader.next(&mut inputs) {
            Ok(Some(now)) => ticks.push(told(now, &inputs)),
            Ok(None) => return (ticks, None),
            Err(error) => return (ticks, Some(error)),
        }
    }
}

#[test]
fn every_tick_comes_back_exactly() {
    let life = life(2000, 1);
    let header = Header {
        epoch_unix_ms: 1_700_000_000_123,
        source: "a test".into(),
        scenario: Some("people = 3".into()),
        snapshot: Some(vec![7; 100_000]),
        devices: every_command(),
        ..Header::default()
    };
    let file = written(&life, &header);
    let (ticks, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    let put_in: Vec<String> = life.iter().map(|(now, inputs)| told(*now, inputs)).collect();
    for (tick, (out, put_in)) in ticks.iter().zip(&put_in).enumerate() {
        assert_eq!(out, put_in, "tick {}", tick + 1);
    }
    assert_eq!(ticks.len(), 2000);

    let mut reader = Reader::new(Cursor::new(&file[..])).unwrap();
    let header = reader.header();
    assert_eq!(header.source, "a test");
    assert_eq!(header.epoch_unix_ms, 1_700_000_000_123);
    assert_eq!(header.scenario.as_deref(), Some("people = 3"));
    assert_eq!(header.snapshot.as_deref(), Some(&[7; 100_000][..]));
    assert_eq!(format!("{:?}", header.devices), format!("{:?}", every_command()));
    let summary = *reader.summary();
    assert!(summary.complete);
    assert_eq!(summary.ticks, 2000);
    assert_eq!(summary.sensors, 2, "one has no name");
    assert_eq!(summary.first, life[0].0);
    assert_eq!(summary.last, life[1999].0);
    let samples: usize = life.iter().map(|(_, inputs)| inputs.samples.len()).sum();
    assert_eq!(summary.samples, samples as u64);

    let mut whole_count = 0;
    for tick in 0..2000u64 {
        reader.next(&mut Inputs::default()).unwrap();
        let proof = reader.proof().unwrap();
        assert!(proof.agrees(tick / 2 * 0x1_0000_0001), "tick {tick}");
        assert!(!proof.agrees(tick / 2 * 0x1_0000_0001 + 1));
        whole_count += u64::from(proof.whole.is_some());
    }
    let seconds = summary.duration_ms() / 1000;
    assert!((seconds * 9 / 10..=seconds + 1).contains(&whole_count), "{whole_count} {seconds}");
}

/// A recording of a few seconds, its ticks in words, and its bytes.
fn small() -> (Vec<String>, Vec<u8>) {
    let life = life(300, 2);
    let header = Header {
        scenario: Some("people = 3".into()),
        snapshot: Some(vec![1, 2, 3]),
        ..Header::default()
    };
    let put_in = life.iter().map(|(now, inputs)| told(*now, inputs)).collect();
    (put_in, written(&life, &header))
}

/// Reads `file`, which may be anything, and holds what it gives against what was put in.
fn is_a_prefix(file: &[u8], put_in: &[String], how: &str) -> (usize, Option<RecordingError>) {
    let (ticks, error) = read(file);
    assert!(put_in.starts_with(&ticks), "{how}: not what was put in");
    (ticks.len(), error)
}

#[test]
fn a_file_cut_anywhere_reads_up_to_the_last_whole_second() {
    let (put_in, file) = small();
    let (mut before, mut steps) = (0, 0);
    for end in (0..file.len()).step_by(37).chain([file.len() - 1]) {
        let cut = &file[..end];
        let (count, error) = is_a_prefix(cut, &put_in, &format!("cut at {end}"));
        match error {
            None => {
                let reader = Reader::new(Cursor::new(cut)).unwrap();
                assert!(!reader.summary().complete, "cut at {end}");
                assert_eq!(reader.summary().ticks, count as u64);
                assert!(count >= before, "more of the file, more ticks");
                steps += usize::from(count > before);
                before = count;
            }
            Some(error) => {
                assert_eq!(before, 0, "{error} at {end}");
                assert!(matches!(error, RecordingError::Cut | RecordingError::NotMcap), "{error}");
            }
        }
    }
    assert_eq!(before, put_in.len(), "without its index all of it is there");
    assert!(steps > 2, "it grows by seconds: {steps}");
}

#[test]
fn no_flipped_bit_and_no_rubbish_makes_another_recording_or_a_panic() {
    let (put_in, file) = small();
    let (mut whole, mut found) = (0, 0);
    for round in 0..4000u64 {
        let chance = |n: u64| hash(round, n) as usize;
        let mut bad = file.clone();
        for n in 0..1 + chance(0) as u64 % 3 {
            let at = chance(10 + n) % bad.len();
            match chance(20 + n) % 5 {
                0 | 1 => bad[at] ^= 1 << (chance(30 + n) % 8),
                2 => bad[at] = chance(30 + n) as u8,
                3 => {
                    let end = (at + chance(30 + n) % 40).min(bad.len());
                    bad.drain(at..end);
                }
                _ => {
                    let from = chance(30 + n) % bad.len();
                    let piece = bad[from..(from + 30).min(bad.len())].to_vec();
                    bad.splice(at..at, piece);
                }
            }
        }
        if bad == file {
            continue;
        }
        let (count, error) = is_a_prefix(&bad, &put_in, &format!("round {round}"));
        // What is not told at a tick must be told by the summary.
        let complete = Reader::new(Cursor::new(&bad)).is_ok_and(|reader| reader.summary().complete);
        whole += usize::from(complete && error.is_none());
        found += usize::from(error.is_some() || !complete);
        assert!(error.is_some() || !complete || count == put_in.len(), "round {round}");
    }
    // Parts of a file that nothing hangs on (its index by time, names of tools) may be anything.
    assert!(found > 5 * whole, "{found} found, {whole} harmless");
}

#[test]
fn a_damaged_second_is_told_with_its_place_and_what_was_before_is_good() {
    let (put_in, file) = small();
    let at = file.len() / 2;
    let mut bad = file.clone();
    bad[at] ^= 4;
    let (count, error) = is_a_prefix(&bad, &put_in, "one bit");
    assert!(count > 20 && count < put_in.len(), "{count}");
    let sentence = error.unwrap().to_string();
    assert!(sentence.starts_with("the recording is damaged at byte "), "{sentence}");
}

#[test]
fn what_is_no_recording_is_told_so() {
    let told = |file: &[u8]| read(file).1.unwrap().to_string();
    assert_eq!(told(b""), "not a Sensocto recording: it does not begin as MCAP does");
    assert_eq!(told(&[0; 4000]), "not a Sensocto recording: it does not begin as MCAP does");
    let folder = Reader::open(std::path::Path::new("/tmp")).unwrap_err().to_string();
    assert_eq!(folder, "not a Sensocto recording: it is not a file");
    let missing = Reader::open(std::path::Path::new("/no/such/file")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot be read: "), "{missing}");

    let mut foreign =
        mcap::WriteOptions::new().profile("ros2").create(Cursor::new(vec![])).unwrap();
    foreign.finish().unwrap();
    let foreign = foreign.into_inner().into_inner();
    assert_eq!(told(&foreign), "not a Sensocto recording: its MCAP profile is \"ros2\"");

    let mut other = mcap::WriteOptions::new().profile(PROFILE).create(Cursor::new(vec![])).unwrap();
    let mut metadata = Header::default().to_metadata();
    metadata.insert("format".into(), (FORMAT + 1).to_string());
    other
        .write_metadata(&mcap::records::Metadata { name: METADATA_HEADER.into(), metadata })
        .unwrap();
    other.finish().unwrap();
    assert_eq!(
        told(&other.into_inner().into_inner()),
        "a recording of format 5, which is newer than this version understands (it knows up to 4)"
    );
}

/// A recording's beginning, and behind it one chunk that claims and holds what is given.
fn with_chunk(unpacked_bytes: u64, packed: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    Writer::create(&mut file, &Header::default()).unwrap().finish().unwrap();
    let end = {
        // Behind the chunk with the channels and its index comes what finishing wrote.
        let reader = Reader::new(Cursor::new(&file[..])).unwrap();
        reader.first_chunk_end()
    };
    file.truncate(end as usize);
    let mut chunk = vec![0; 16];
    chunk.extend_from_slice(&unpacked_bytes.to_le_bytes());
    chunk.extend_from_slice(&0u32.to_le_bytes());
    chunk.extend_from_slice(&4u32.to_le_bytes());
    chunk.extend_from_slice(b"zstd");
    chunk.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    chunk.extend_from_slice(packed);
    file.push(container::CHUNK);
    file.extend_from_slice(&(chunk.len() as u64).to_le_bytes());
    file.extend_from_slice(&chunk);
    file
}

#[test]
fn a_chunk_that_unpacks_to_more_than_it_says_or_may_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    assert!(bomb.len() < 10_000, "64 MiB of nothing: {}", bomb.len());
    let told = |unpacked_bytes| read(&with_chunk(unpacked_bytes, &bomb)).1.unwrap().to_string();
    assert!(told(1000).ends_with("it does not unpack to the length it says"), "{}", told(1000));
    assert!(told(1 << 40).ends_with("it says it unpacks to more than a chunk may"));
    assert!(told(u64::MAX).ends_with("it says it unpacks to more than a chunk may"));
}

#[test]
fn a_block_that_claims_more_than_it_holds_is_refused_before_room_is_made() {
    let block = |numbers: &[u64]| {
        let mut bytes = Vec::new();
        for &number in numbers {
            bytes::put_varint(&mut bytes, number);
        }
        let mut block = block::Block::default();
        block.read(&bytes, &mut block::Shapes::default()).unwrap_err().0
    };
    // First tick, its time, ticks, ticks with words; then a run: ticks, step, samples.
    assert_eq!(block(&[1, 0, u64::MAX]), "has too many ticks");
    assert_eq!(block(&[1, 0, 2, 0, 2, 0, u64::MAX]), "has too many samples");
    assert_eq!(block(&[1, 0, 1000, 0, 1000, 0, 1 << 20]), "has too many samples");
    assert_eq!(block(&[1, u64::MAX, 2, 0, 2, 1, 0]), "has a time beyond all time");
    // A million samples of one stream, and nothing behind: busy, hashes, shapes, streams, slot,
    // generation, attribute, count, form, run.
    let claim = [1, 0, 1, 0, 1, 0, 1 << 20, 0, 0, 0, 1, 0, 0, 0, 1 << 20, 0, 1 << 20];
    assert_eq!(block(&claim), "has too many cells");
}

#[test]
fn a_stranger_finds_its_way() {
    let (_, file) = small();
    let summary = mcap::Summary::read(&file).unwrap().unwrap();
    let topics: Vec<_> = summary.channels.values().map(|channel| &*channel.topic).collect();
    assert_eq!(topics.len(), 3);
    for topic in ["/commands", "/samples", "/hash"] {
        assert!(topics.contains(&topic));
    }
    assert_eq!(summary.attachment_indexes.len(), 2);
    assert_eq!(summary.metadata_indexes.len(), 2);
    let mut last = None;
    for message in mcap::MessageStream::new(&file).unwrap() {
        let message = message.unwrap();
        if message.channel.topic == "/hash" {
            last = Some(serde_json::from_slice::<serde_json::Value>(&message.data).unwrap());
        }
    }
    assert_eq!(last.unwrap()["tick"], 300);
}

#[test]
fn one_may_begin_anywhere_and_hear_what_was_said_before() {
    let life = life(3000, 3);
    let file = written(&life, &Header { epoch_unix_ms: 5_000_000, ..Header::default() });
    let mut reader = Reader::new(Cursor::new(&file[..])).unwrap();
    for at in [1500, 2999, 0, 700] {
        let to = life[at].0;
        let mut said = Vec::new();
        reader.commands_before(to, &mut |command| said.push(format!("{command:?}"))).unwrap();
        let before = life.iter().take_while(|(now, _)| *now < to);
        let expected: Vec<String> = before
            .flat_map(|(_, inputs)| inputs.commands.iter().map(|command| format!("{command:?}")))
            .collect();
        assert!(said == expected, "{} said, {} expected", said.len(), expected.len());
        reader.seek(to);
        let mut inputs = Inputs::default();
        let first = reader.next(&mut inputs).unwrap().unwrap();
        assert!(first <= to && to.0 - first.0 <= BLOCK_MICROS + 50_000, "{first:?} {to:?}");
        let tick = reader.tick() as usize - 1;
        assert_eq!(told(first, &inputs), told(life[tick].0, &life[tick].1));
    }
}

/// The records of an MCAP file up to our header, which says of `settings` what is given.
fn headed(settings: &[(&str, &str)]) -> Vec<u8> {
    let mut writer =
        mcap::WriteOptions::new().profile(PROFILE).create(Cursor::new(vec![])).unwrap();
    let mut metadata = Header::default().to_metadata();
    metadata.extend(settings.iter().map(|(key, value)| ((*key).into(), (*value).into())));
    let lines: String = metadata
        .iter()
        .filter(|(key, _)| *key != "check")
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect();
    metadata.insert("check".into(), format!("{:08x}", crc32fast::hash(lines.as_bytes())));
    let name = METADATA_HEADER.into();
    writer.write_metadata(&mcap::records::Metadata { name, metadata }).unwrap();
    writer.finish().unwrap();
    let whole = writer.into_inner().into_inner();
    // Up to the end of the data, which is a record of its own.
    let end = whole.windows(13).position(|at| at[..9] == [0x0f, 4, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    whole[..end].to_vec()
}

#[test]
fn a_file_of_nothing_but_records_is_not_read_to_its_end() {
    let mut file = headed(&[]);
    file.extend([0x40, 0, 0, 0, 0, 0, 0, 0, 0].repeat(10_000));
    let sentence = read(&file).1.unwrap().to_string();
    let expected = "not a Sensocto recording: more than 4096 records stand before its first chunk";
    assert_eq!(sentence, expected);
}

#[test]
fn a_state_that_unpacks_to_more_than_it_says_is_refused_and_not_even_read_without_an_engine() {
    let file = |says: &str, state: &[u8]| {
        let mut file = headed(&[("snapshot_bytes", says)]);
        let data = zstd::bulk::compress(state, 1).unwrap();
        let mut attachment = vec![0; 16];
        for text in [ATTACHMENT_SNAPSHOT, "application/zstd"] {
            attachment.extend((text.len() as u32).to_le_bytes());
            attachment.extend(text.as_bytes());
        }
        attachment.extend((data.len() as u64).to_le_bytes());
        attachment.extend(data);
        attachment.extend([0; 4]);
        file.push(0x09);
        file.extend((attachment.len() as u64).to_le_bytes());
        file.extend(attachment);
        file
    };
    let bomb = vec![0; 1 << 24];
    let state = |file: &[u8]| Ok(Reader::new(Cursor::new(file))?.header().snapshot.clone());
    let told = |says: &str| {
        let state: Result<_, RecordingError> = state(&file(says, &bomb));
        state.map_err(|error| error.to_string())
    };
    assert_eq!(told("16777216"), Ok(Some(bomb.clone())));
    for says in ["100", "16777215", "16777217", "2147483648"] {
        let refused = "the recording's header is broken: its snapshot does not unpack";
        assert_eq!(told(says), Err(refused.into()), "{says}");
    }
    let path = std::env::temp_dir().join(format!("sensocto-bomb-{}.mcap", std::process::id()));
    std::fs::write(&path, file("2147483648", &bomb)).unwrap();
    let reader = Reader::open_without_state(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(reader.unwrap().header().snapshot, None);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_told_so_and_not_waited_for() {
    let path = std::env::temp_dir().join(format!("sensocto-pipe-{}", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = Reader::open(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error, "not a Sensocto recording: it is not a file");
}

use components::attribute::AttributeType;
use components::budget::Layer;
use components::cell::Cell;
use components::command::{Command, SensorCard, SensorSet};
use components::delivery::{Form as SliceForm, Probe, Slice, StreamCard, ViewerEnd};
use components::group::{GroupNews, GroupPlan, Reading, Signal, Unmeasurable};
use components::id::{GroupId, StreamId};
use components::sample::Timestamp;
use components::shape::Shape;
use components::viewer::Quality;
use components::wire::phoenix::Vsn;
use components::wire::viewer::frame::{FrameReader, FrameValues};
use futures_util::FutureExt;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Mutex;

use super::*;
use crate::clock::Clock;
use crate::groups::OLD_SENSOR_ID;
use crate::outbox::{OUTBOX_MESSAGE_COUNT_MAX, OutboxReader, outbox};
use crate::store::{Place, Store, StoreConfig, sections};
use crate::viewer::{SeatAddress, ViewerSeat, words};

struct Room {
    desk: Arc<ViewerDesk>,
    intake: Arc<Intake>,
    mail: Mail,
    ms: u64,
    kicks: Arc<Mutex<Vec<Kicked>>>,
    ages: Ages,
}

impl Room {
    fn new() -> Self {
        let intake = Arc::new(Intake::default());
        let clock = Clock::made_up(|| Now { engine: EngineTime(0), unix_ms: 0 });
        let store = StoreConfig::new(Place::Memory, sections(), clock.clone());
        let desk = ViewerDesk::new(Arc::clone(&intake), clock, 8, Store::start(store).unwrap());
        Self {
            desk,
            intake,
            mail: Mail::default(),
            ms: 0,
            kicks: Arc::default(),
            ages: Ages::default(),
        }
    }

    fn join(&self, params: &str) -> (ViewerSeat, OutboxReader) {
        self.join_with(words::Wishes::default(), params)
    }

    fn join_with(&self, wishes: words::Wishes, params: &str) -> (ViewerSeat, OutboxReader) {
        let token = self.desk.mint(wishes, None).now_or_never().unwrap().unwrap().0;
        let (outbox, reader) = outbox(&Arc::default());
        let kicks = Arc::clone(&self.kicks);
        let address = SeatAddress {
            outbox,
            topic: "viewer:data:t".into(),
            join_ref: Some(RawValue::from_string("\"3\"".into()).unwrap()),
            version: Vsn::V2,
            kick: Box::new(move |why| kicks.lock().unwrap().push(why)),
        };
        let params = RawValue::from_string(params.into()).unwrap();
        let (_, seat) = self.desk.join(&token, &params, address).unwrap();
        (seat.begin(), reader)
    }

    fn now(&self) -> Now {
        Now { engine: EngineTime::from_millis(self.ms), unix_ms: self.ms as i64 }
    }

    /// One tick, 4 ms later, and who was busy in it.
    fn tick(&mut self, deliveries: &Deliveries) -> Vec<ViewerId> {
        self.ms += 4;
        let mut inputs = Inputs::default();
        self.mail.prepare(self.now(), &self.desk, &self.intake, &mut inputs);
        let taken = Taken { at: Instant::now(), waited: Duration::from_millis(3) };
        self.mail.deliver(self.now(), &self.desk, &self.intake, deliveries, taken, &self.ages);
        inputs.busy
    }

    fn commands(&self) -> Vec<Command> {
        let mut inputs = Inputs::default();
        self.intake.take(&mut inputs);
        inputs.commands
    }
}

/// One seed to each of these viewers, of `count` samples.
fn seeds(viewers: &[ViewerId], streams: u32, count: u32) -> Deliveries {
    let mut deliveries = Deliveries::default();
    for stream in 0..streams {
        let card = StreamCard {
            stream: StreamId(stream),
            sensor_id: format!("s{stream}").into(),
            attribute_id: "hr".into(),
            kind: AttributeType::Hr,
            rate_hz: None,
            shape: Arc::new(Shape::scalar()),
        };
        deliveries.slices.push(Slice {
            card: Arc::new(card),
            form: SliceForm::Seed,
            from: 0,
            to: u64::from(count),
            missed: 0,
            digest: None,
            count,
            timestamps_at: 0,
            cells_at: 0,
        });
        deliveries.parts.push(stream);
    }
    deliveries.timestamps.extend((0..count).map(|ms| Timestamp(i64::from(ms))));
    deliveries.cells.extend((0..count).map(|_| Cell::float(0.1).unwrap().0));
    for &viewer in viewers {
        deliveries.flushes.push(Flush { viewer, parts_at: 0, part_count: streams });
    }
    deliveries
}

fn event(message: &Outgoing) -> (String, Value) {
    let Outgoing::Text(text) = message else { panic!("{message:?}") };
    let (_, _, _, event, body): (Value, Value, String, String, Value) =
        serde_json::from_str(text).unwrap();
    (event, body)
}

fn all(reader: &mut OutboxReader) -> Vec<Outgoing> {
    std::iter::from_fn(|| reader.try_recv()).map(|letter| letter.message).collect()
}

#[test]
fn a_binary_viewer_hears_its_level_the_roster_and_its_frames_in_this_order() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join(r#"{"form":"binary","version":1}"#);
    let mut deliveries = seeds(&[seat.viewer()], 1, 1);
    deliveries.notices.push(Notice::SensorCame { card: Arc::new(SensorCard::default()) });
    assert_eq!(room.tick(&deliveries), []);
    let heard = all(&mut reader);
    assert_eq!(
        event(&heard[0]),
        ("quality_changed".into(), json!({"level": "high", "reason": "auto", "focused": "high"}))
    );
    let (name, body) = event(&heard[1]);
    assert_eq!((&*name, &body["full"], &body["total"]), ("roster", &json!(true), &json!(1)));
    let Outgoing::Binary(bytes) = &heard[2] else { panic!() };
    let frame = bytes.strip_prefix(b"\x00\x01\x0d\x053viewer:data:tframe").unwrap();
    let frame = FrameReader::default().read(frame).unwrap();
    assert_eq!((frame.server_time_ms, &*frame.cards[0].sensor_id), (4.0, "s0"));
    assert_eq!(frame.slices[0].values, FrameValues::Cells(vec![0.1]));
    assert_eq!(heard.len(), 3);
}

#[test]
fn roster_changes_come_at_most_every_200_ms() {
    let mut room = Room::new();
    let (_seat, mut reader) = room.join(r#"{"form":"binary","version":1}"#);
    room.tick(&Deliveries::default());
    assert_eq!(all(&mut reader).len(), 2);
    let mut came = Deliveries::default();
    for id in ["a", "b"] {
        let card = SensorCard { sensor_id: id.into(), ..SensorCard::default() };
        came.notices = vec![Notice::SensorCame { card: Arc::new(card) }];
        room.tick(&came);
        assert!(all(&mut reader).is_empty());
    }
    room.ms = 200;
    room.tick(&Deliveries::default());
    let heard = all(&mut reader);
    assert_eq!((heard.len(), event(&heard[0]).1["sensors"].as_array().unwrap().len()), (1, 2));
}

#[test]
fn a_json_viewer_hears_of_its_level_only_when_it_changes() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    room.tick(&seeds(&[seat.viewer()], 1, 2));
    let heard = all(&mut reader);
    assert_eq!(heard.len(), 1);
    assert_eq!(event(&heard[0]).0, "composite_seed_data");
    let (strong, rest) = (Quality::High, Quality::Low);
    let grant = Grant { strong, rest, limited_by: Some(Layer::Budget) };
    let viewer = seat.viewer();
    let mut deliveries = Deliveries::default();
    deliveries.notices.push(Notice::QualityGranted { viewer, grant });
    room.tick(&deliveries);
    room.tick(&Deliveries::default());
    let heard = all(&mut reader);
    assert_eq!(heard.len(), 1, "once");
    assert_eq!(
        event(&heard[0]),
        ("quality_changed".into(), json!({"level": "low", "reason": "budget", "focused": "high"}))
    );
}

/// 600 seeds are 600 messages in JSON; an outbox holds 256.
#[test]
fn what_does_not_fit_waits_and_nothing_is_lost_or_out_of_order() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    assert_eq!(room.tick(&seeds(&[seat.viewer()], 600, 1)), []);
    let mut heard = Vec::new();
    while heard.len() < 600 {
        let read = all(&mut reader);
        assert!(!read.is_empty() && read.len() <= OUTBOX_MESSAGE_COUNT_MAX);
        heard.extend(read);
        let busy = room.tick(&Deliveries::default());
        assert_eq!(busy.is_empty(), heard.len() == 600, "busy while something waits");
        let Waiting { count, entered, left, lost, .. } = room.mail.waiting;
        assert_eq!((entered, lost), (600 - OUTBOX_MESSAGE_COUNT_MAX as u64, 0));
        assert_eq!(entered, left + count as u64, "each that waited went on or is still there");
    }
    for (index, message) in heard.iter().enumerate() {
        assert_eq!(event(message).1["sensor_id"], format!("s{index}"));
    }
    assert_eq!(room.mail.waiting.bytes, 0);
    assert_eq!(room.mail.lanes[0].as_ref().unwrap().waiting_bytes, 0);
    assert!(room.kicks.lock().unwrap().is_empty());
}

/// The outbox has room for 15 frames of 262 kB, not for 16; and for a small one behind them.
#[test]
fn a_small_frame_does_not_overtake_a_large_one_that_waits() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join(r#"{"form":"binary","version":1}"#);
    let mut deliveries = seeds(&[seat.viewer()], 20, 21_840);
    for small in [18, 19] {
        (deliveries.slices[small].to, deliveries.slices[small].count) = (1, 1);
    }
    room.tick(&deliveries);
    assert!(!room.mail.lanes[0].as_ref().unwrap().waiting.is_empty());
    let mut heard = all(&mut reader);
    room.tick(&Deliveries::default());
    heard.extend(all(&mut reader));
    let mut frames = FrameReader::default();
    let mut streams = Vec::new();
    for message in &heard {
        if let Outgoing::Binary(bytes) = message {
            let frame = frames.read(&bytes[23..]).unwrap();
            streams.extend(frame.slices.iter().map(|slice| slice.stream.0));
        }
    }
    assert_eq!(streams, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_viewer_that_reads_nothing_is_let_go_after_ten_seconds() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    room.tick(&seeds(&[seat.viewer()], 100, 1));
    assert_eq!(room.tick(&Deliveries::default()), [seat.viewer()]);
    let wait = |room: &mut Room, ms: u64| {
        for _ in 0..ms / 50 {
            // And four by the tick.
            room.ms += 46;
            room.tick(&Deliveries::default());
        }
    };
    wait(&mut room, 9_000);
    // One message read is a sign that it reads.
    reader.try_recv().unwrap();
    room.tick(&Deliveries::default());
    wait(&mut room, 9_900);
    assert!(room.kicks.lock().unwrap().is_empty());
    room.commands();
    wait(&mut room, 100);
    assert_eq!(*room.kicks.lock().unwrap(), [Kicked::Slow]);
    assert!(matches!(room.commands()[..], [Command::CloseViewer { .. }]));
    let heard = all(&mut reader);
    assert!(matches!(heard.last(), Some(Outgoing::Close(SLOW_CLOSE_CODE, "slow"))));
    assert_eq!(room.tick(&seeds(&[seat.viewer()], 1, 1)), [], "it is no longer served");
    assert!(all(&mut reader).is_empty());
}

/// SIGSTOP for a minute, a laptop's lid: the clock went on, and nobody could have read or written.
#[test]
fn nobody_is_let_go_because_the_server_itself_stood_still() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    room.tick(&seeds(&[seat.viewer()], 100, 1));
    assert_eq!(room.tick(&Deliveries::default()), [seat.viewer()]);
    room.ms += 60_000;
    room.tick(&Deliveries::default());
    assert!(room.kicks.lock().unwrap().is_empty());
    assert!(!all(&mut reader).is_empty());
    assert_eq!(room.tick(&Deliveries::default()), [], "it has read, and is not busy");
}

#[test]
fn a_frame_that_can_not_even_wait_closes_the_channel() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join(r#"{"form":"binary","version":1}"#);
    room.mail.waiting.bytes = LANE_BYTES_MAX;
    room.commands();
    // Twelve bytes a sample, 6 MB: more than an outbox holds.
    room.tick(&seeds(&[seat.viewer()], 10, 50_000));
    assert_eq!(*room.kicks.lock().unwrap(), [Kicked::LostFrame]);
    assert!(matches!(room.commands()[..], [Command::CloseViewer { .. }]));
    let frames = all(&mut reader).len();
    room.tick(&seeds(&[seat.viewer()], 1, 1));
    assert!(frames < 12 && all(&mut reader).is_empty(), "nothing comes behind the gap");
}

#[test]
fn a_viewer_the_engine_gave_up_is_told_to_close() {
    let mut room = Room::new();
    let (seat, _reader) = room.join("{}");
    room.tick(&Deliveries::default());
    room.commands();
    let viewer = seat.viewer();
    let mut deliveries = Deliveries::default();
    deliveries.notices.push(Notice::ViewerClosed { viewer, why: ViewerEnd::LeaseOver });
    room.tick(&deliveries);
    assert_eq!(*room.kicks.lock().unwrap(), [Kicked::LeaseOver]);
    drop(seat);
    assert!(room.commands().is_empty(), "the engine knows");
    let (next, _reader) = room.join("{}");
    assert_eq!((next.viewer().0.slot, next.viewer().0.generation), (0, 1));
}

#[test]
fn viewers_of_one_stream_share_its_bytes() {
    let mut room = Room::new();
    let seats: Vec<_> = (0..3).map(|_| room.join(r#"{"form":"binary","version":1}"#)).collect();
    let viewers: Vec<ViewerId> = seats.iter().map(|(seat, _)| seat.viewer()).collect();
    room.tick(&seeds(&viewers, 1, 100));
    let figures = room.mail.figures;
    assert!(figures.encoded_bytes < 1300 && figures.bytes > 3 * 1200, "{figures:?}");
    for (seat, mut reader) in seats {
        assert_eq!(all(&mut reader).len(), 3);
        assert_eq!(seat.figures().slices.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn the_age_of_what_waits_is_that_of_a_quarter_of_the_viewers_and_never_of_one() {
    let of = |ms: &[u64]| {
        let mut ages: Vec<Duration> = ms.iter().copied().map(Duration::from_millis).collect();
        slower_quarter(&mut ages).as_millis()
    };
    assert_eq!(of(&[]), 0);
    assert_eq!(of(&[9000]), 0, "one slow viewer is its own trouble, were it the only one");
    assert_eq!(of(&[9000, 40]), 40);
    assert_eq!(of(&[0, 9000, 0, 0, 0, 0, 70, 0]), 70);
    assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), 10, "three of twelve");
}

#[test]
fn how_long_sockets_are_waited_for_is_looked_at_four_times_a_second() {
    let mut room = Room::new();
    let seats: Vec<_> = (0..2).map(|_| room.join("{}")).collect();
    room.tick(&Deliveries::default());
    assert_eq!(room.mail.figures.line_micros, 0);
    for (_, reader) in &seats {
        reader.written(Duration::from_millis(70));
    }
    room.tick(&Deliveries::default());
    assert_eq!(room.mail.figures.line_micros, 0, "not yet");
    room.ms += 250;
    room.tick(&Deliveries::default());
    assert_eq!(room.mail.figures.line_micros, 70_000);
    room.ms += 250;
    room.tick(&Deliveries::default());
    assert_eq!(room.mail.figures.line_micros, 0, "and now they keep up");
}

#[test]
fn what_waits_in_lanes_is_counted() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    room.tick(&seeds(&[seat.viewer()], 600, 1));
    room.tick(&Deliveries::default());
    assert!(room.mail.figures.waiting.bytes > 0);
    assert_eq!(room.mail.figures.waiting.bytes, room.mail.waiting.bytes);
    while !all(&mut reader).is_empty() {
        room.tick(&Deliveries::default());
    }
    assert_eq!(room.mail.figures.waiting.bytes, 0);
}

/// The engine marks a sample; the last message of the flush that brings it carries the mark, and the
/// socket that writes it notes its age.
#[test]
fn a_marked_sample_is_followed_to_the_socket_that_writes_it() {
    let mut room = Room::new();
    let (seat, mut reader) = room.join("{}");
    let mut deliveries = seeds(&[seat.viewer()], 1, 2);
    deliveries.slices[0].form = SliceForm::Raw;
    let card = Arc::clone(&deliveries.slices[0].card);
    let marked = |at| Probe { card: Arc::clone(&card), at, timestamp: Timestamp(1) };
    deliveries.probes = vec![marked(1)];
    room.tick(&deliveries);
    let letter = std::iter::from_fn(|| reader.try_recv()).last().unwrap();
    assert_eq!(letter.stamps.len(), 1);
    room.ages.written(letter.queued, &letter.stamps, letter.queued + Duration::from_millis(7));
    let trace = &room.ages.traces()[0];
    assert_eq!((&*trace.sample.sensor_id, trace.sample.at, trace.viewers()), ("s0", 1, 1));
    assert!(trace.written().unwrap() >= Duration::from_millis(10), "three waiting, seven written");
    // The next flush goes on behind it.
    deliveries.probes.clear();
    (deliveries.slices[0].from, deliveries.slices[0].to) = (2, 4);
    room.tick(&deliveries);
    let later = std::iter::from_fn(|| reader.try_recv()).last().unwrap();
    assert!(later.stamps.is_empty());
}

/// A reading of nobody who can be measured.
fn silent(cell: i64, members: usize) -> Reading {
    let members = members as u16;
    Reading { at_us: cell * 100_000, members, measurable: 0, order: None, smoothed: None }
}

/// So many readings of a group, to the first watcher there is.
fn news(group: GroupId, reading_count: u32, members: usize) -> GroupNews {
    GroupNews {
        group,
        readings_at: 0,
        reading_count,
        states_at: 0,
        member_count: members as u32,
        pairs_at: 0,
        pair_count: 0,
        hearts_at: 0,
        heart_count: 0,
        beats_at: 0,
        beat_count: 0,
        watchers_at: 0,
        watcher_count: 1,
    }
}

/// What a group says of two minutes and a half, second by second: of each member what `value` is.
fn told(
    room: &mut Room,
    viewer: ViewerId,
    group: GroupId,
    members: &[&str],
    value: impl Fn(usize, f64) -> f64,
) {
    let sensor_ids: Arc<[Arc<str>]> = members.iter().map(|id| (*id).into()).collect();
    let notice = Notice::GroupMembers { group, sensor_ids, left_out: 0 };
    room.tick(&Deliveries { notices: vec![notice], ..Deliveries::default() });
    for second in 0..150i64 {
        let cells = 10 * second..10 * (second + 1);
        let mut deliveries = Deliveries::default();
        for cell in cells {
            deliveries.readings.push(silent(cell, members.len()));
            deliveries.states.extend(members.iter().map(|_| Err(Unmeasurable::TooShort)));
            deliveries.values.extend((0..members.len()).map(|at| value(at, cell as f64 * 0.1)));
        }
        deliveries.watchers.push(viewer);
        deliveries.groups.push(news(group, 10, members.len()));
        room.tick(&deliveries);
    }
}

/// A client of the original hears how far hearts go with breaths: of people whose hearts do 100,
/// where they go their own way 0, and of people whose breath nobody measures nothing.
#[test]
fn clients_of_the_original_hear_how_far_hearts_go_with_breaths() {
    const BREATH_HZ: f64 = 0.25;
    let wave = |hz: f64, seconds: f64| (std::f64::consts::TAU * hz * seconds).sin();
    let breath = |_: usize, seconds: f64| wave(BREATH_HZ, seconds);
    let heard = |heart_hz: f64, breathing: &[&str]| {
        let mut room = Room::new();
        let ids = SensorSet::Ids([OLD_SENSOR_ID.into()].into());
        let wishes = words::Wishes { sensors: Some(ids), ..words::Wishes::default() };
        let (seat, mut reader) = room.join_with(wishes, "{}");
        let groups: Vec<(GroupId, Box<GroupPlan>)> = room
            .commands()
            .into_iter()
            .filter_map(|command| match command {
                Command::OpenGroup { group, plan } => Some((group, plan)),
                _ => None,
            })
            .collect();
        let of = |name: &str| groups.iter().find(|(_, plan)| &*plan.name == name).unwrap().0;
        let (breaths, hearts) = (of("breathing_sync"), of("hrv_sync"));
        told(&mut room, seat.viewer(), breaths, breathing, breath);
        all(&mut reader);
        told(&mut room, seat.viewer(), hearts, &["ada", "bo"], |_, seconds| {
            900.0 + 40.0 * wave(heart_hz, seconds - 1.0)
        });
        let figures: Vec<Value> = all(&mut reader)
            .iter()
            .map(event)
            .filter(|(event, _)| event == "sensor_batch")
            .map(|(_, body)| body["batch"][OLD_SENSOR_ID].clone())
            .collect();
        figures.last().map(|figure| figure["rsa_coherence"].clone())
    };
    let figure = heard(BREATH_HZ, &["ada", "bo"]).expect("it is told");
    assert_eq!(figure["payload"], 100);
    assert_eq!(figure["sensor_id"], OLD_SENSOR_ID);
    assert_eq!(figure["attribute_id"], "rsa_coherence");
    assert!(figure["timestamp"].as_i64().unwrap() > 140_000, "{figure}");
    assert_eq!(heard(0.31, &["ada", "bo"]).expect("it is told")["payload"], 0);
    assert_eq!(heard(BREATH_HZ, &["cy"]), None);
}

/// Whoever watches hearts the new way hears it of each person, with what it was found from: the breath
/// of the same sensor, or of the same device where it can be nobody else's.
#[test]
fn of_each_heart_that_is_watched_it_is_told_what_breathing_does_to_it() {
    let mut bodies = bodies::Bodies::default();
    for (sensor_id, connector_id) in [
        ("bo:ecg", "bo's phone"),
        ("bo:belt", "bo's phone"),
        ("cy:ecg", "a hub"),
        ("di:ecg", "a hub"),
        ("di:belt", "a hub"),
    ] {
        let (sensor_id, connector_id) = (sensor_id.into(), connector_id.into());
        let card = Arc::new(SensorCard { sensor_id, connector_id, ..SensorCard::default() });
        bodies.notice(&Notice::SensorCame { card });
    }
    let wave = |hz: f64, cell: i64| (std::f64::consts::TAU * hz * cell as f64 * 0.1).sin();
    let hear =
        |bodies: &mut bodies::Bodies, signal, ids: &[&str], value: &dyn Fn(&str, i64) -> f64| {
            let ids: Vec<Arc<str>> = ids.iter().map(|id| (*id).into()).collect();
            let mut deliveries = Deliveries::default();
            for cell in 0..1_300 {
                deliveries.readings.push(silent(cell, ids.len()));
                deliveries.states.extend(ids.iter().map(|_| Err(Unmeasurable::TooShort)));
                deliveries.values.extend(ids.iter().map(|id| value(id, cell)));
            }
            let group = GroupId(components::id::Handle { slot: 0, generation: 0 });
            bodies.hear(signal, &ids, &news(group, 1_300, ids.len()), &deliveries);
        };
    // Of eve a breath is missing in the middle: two minutes without a hole there are not.
    let belts = ["ada", "eve", "bo:belt", "di:belt"];
    hear(&mut bodies, Signal::Breath, &belts, &|id, cell| match (id, cell) {
        ("eve", 700) => f64::NAN,
        _ => wave(0.2, cell),
    });
    let hearts = ["ada", "eve", "bo:ecg", "cy:ecg", "di:ecg"];
    let ids: Vec<Arc<str>> = hearts.iter().map(|id| (*id).into()).collect();
    bodies.look();
    assert_eq!(bodies.of(&ids).count(), 0, "breaths alone");
    hear(&mut bodies, Signal::HeartLow, &hearts, &|_, cell| 1_000.0 + 30.0 * wave(0.2, cell));
    (0..5).for_each(|_| bodies.look());
    let of: Vec<_> = bodies.of(&ids).collect();
    assert_eq!(of.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 2], "ada and bo");
    for (_, of) in of {
        assert!(of.plv > 0.999 && of.coherence > 0.999, "{of:?}");
        assert!((of.breath_hz - 0.2).abs() < 0.005, "{of:?}");
        assert!((of.peak_to_trough_ms - 60.0).abs() < 2.0, "{of:?}");
        assert_eq!(of.segments, 3);
    }
}

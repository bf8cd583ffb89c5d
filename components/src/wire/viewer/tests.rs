use proptest::prelude::*;
use serde_json::{Value, json};

use super::frame::{Frame, FrameError, FrameReader, FrameValues};
use super::*;
use crate::attribute::AttributeType;
use crate::cell::Cell;
use crate::delivery::{Digest, DigestNumbers, StreamCard};
use crate::id::{Handle, StreamId, ViewerId};
use crate::sample::{Text, Timestamp};
use crate::shape::Shape;
use crate::wire::phoenix::Vsn;

const VIEWER: ViewerId = ViewerId(Handle { slot: 0, generation: 0 });

fn card(stream: u32, sensor: &str, attribute: &str, skeleton: &[u8]) -> Arc<StreamCard> {
    Arc::new(StreamCard {
        stream: StreamId(stream),
        sensor_id: sensor.into(),
        attribute_id: attribute.into(),
        kind: AttributeType::Ecg,
        rate_hz: Some(100.0),
        shape: Arc::new(Shape::from_skeleton(skeleton)),
    })
}

/// Deliveries to one viewer, slice by slice.
#[derive(Default)]
struct Tick(Deliveries);

impl Tick {
    fn slice(
        &mut self,
        card: &Arc<StreamCard>,
        form: Form,
        from: u64,
        samples: &[(i64, &[Cell])],
    ) -> &mut Slice {
        let deliveries = &mut self.0;
        let (timestamps_at, cells_at) = (deliveries.timestamps.len(), deliveries.cells.len());
        for (timestamp, cells) in samples {
            deliveries.timestamps.push(Timestamp(*timestamp));
            deliveries.cells.extend(cells.iter().map(|cell| cell.0));
        }
        deliveries.parts.push(deliveries.slices.len() as u32);
        deliveries.slices.push(Slice {
            card: Arc::clone(card),
            form,
            from,
            to: from + samples.len() as u64,
            missed: 0,
            digest: None,
            count: samples.len() as u32,
            timestamps_at: timestamps_at as u32,
            cells_at: cells_at as u32,
        });
        deliveries.slices.last_mut().unwrap()
    }

    fn text(&mut self, payload: &str, extra: &str) -> Cell {
        self.0.texts.push(Text::new(payload, extra));
        Cell::text(self.0.texts.len() as u64 - 1)
    }

    fn flush(&self) -> Flush {
        Flush { viewer: VIEWER, parts_at: 0, part_count: self.0.parts.len() as u32 }
    }

    fn frames(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut encoded = Encoded::default();
        encoded.begin(&self.0);
        encoded.binary(&self.0, &self.flush(), &[], 1000.5, &mut |frame| frames.push(frame));
        frames
    }

    /// All frames, read in their order.
    fn read(&self) -> Vec<Frame> {
        let mut reader = FrameReader::default();
        self.frames().iter().map(|frame| reader.read(frame).unwrap()).collect()
    }

    fn messages(&self) -> Vec<(String, Value)> {
        let mut messages = Vec::new();
        let mut encoded = Encoded::default();
        encoded.begin(&self.0);
        let envelope =
            Envelope { vsn: Vsn::V2, join_ref: "\"1\"".into(), topic: "viewer:data:t".into() };
        encoded.text(&self.0, &self.flush(), &envelope, &mut |text| {
            let (join_ref, _, topic, event, body): (String, (), String, String, Value) =
                serde_json::from_slice(&text).unwrap();
            assert_eq!((&*join_ref, &*topic), ("1", "viewer:data:t"));
            messages.push((event, body));
        });
        messages
    }
}

fn int(value: i64) -> Cell {
    Cell::integer(value).unwrap()
}

fn float(value: f64) -> Cell {
    Cell::float(value).unwrap()
}

#[test]
fn a_frame_is_these_bytes() {
    let heart = card(7, "s", "hr", b"\x01");
    let mut tick = Tick::default();
    tick.slice(&heart, Form::Seed, 4, &[(1000, &[int(60)]), (1010, &[float(60.5)])]);
    tick.slice(&heart, Form::Raw, 6, &[(1020, &[float(0.1)])]).missed = 2;
    let mut want = vec![1, 0, 1, 0, 2, 0, 0, 0];
    want.extend(1000.5f64.to_le_bytes());
    want.extend([7, 0, 0, 0, 1]);
    want.extend(100f32.to_le_bytes());
    want.extend([1, b's', 2, b'h', b'r', 3, b'e', b'c', b'g', 1, 0, 1]);
    // The seed: form 3, cells f32, two samples from 4, covering 2, none missed.
    want.extend([7, 0, 0, 0, 3, 1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    want.extend(1000i64.to_le_bytes());
    want.extend(10i32.to_le_bytes());
    want.extend(60f32.to_le_bytes());
    want.extend(60.5f32.to_le_bytes());
    // Raw: a tenth is no f32.
    want.extend([7, 0, 0, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    want.extend(1020i64.to_le_bytes());
    want.extend(0.1f64.to_le_bytes());
    assert_eq!(tick.frames(), [want]);
}

#[test]
fn null_true_and_false_are_numbers_in_a_frame() {
    let flags = card(1, "s", "a", b"[\x01,\x01,\x01]");
    let mut tick = Tick::default();
    tick.slice(&flags, Form::Seed, 0, &[(0, &[Cell::NULL, Cell::TRUE, Cell::FALSE])]);
    let frames = tick.frames();
    let [.., a, b, c, d, e, f, g, h, i, j, k, l] = *frames[0] else { panic!() };
    assert_eq!([a, b, c, d], 0x7fc0_0000u32.to_le_bytes(), "the canonical NaN");
    assert_eq!([e, f, g, h], 1f32.to_le_bytes());
    assert_eq!([i, j, k, l], 0f32.to_le_bytes());
}

#[test]
fn a_digest_carries_its_figures_and_the_latest() {
    let heart = card(7, "s", "hr", b"\x01");
    let numbers = Some(DigestNumbers { avg: 1.5, min: 1.0, max: 2.0 });
    let digest = Some(Digest { count: 3, numbers });
    let mut tick = Tick::default();
    tick.slice(&heart, Form::Seed, 0, &[]);
    let slice = tick.slice(&heart, Form::Digest, 0, &[(9, &[int(2)])]);
    (slice.to, slice.digest) = (3, digest);
    let frame = &tick.read()[0];
    assert_eq!(frame.slices[0].timestamps, [], "a seed may be empty");
    let read = &frame.slices[1];
    assert_eq!((read.digest, read.covered), (digest, 3));
    assert_eq!(read.values, FrameValues::Cells(vec![2.0]));
    let m = json!({"attribute_id": "hr", "payload": 2, "timestamp": 9, "sensor_id": "s"});
    assert_eq!(
        tick.messages(),
        [
            (
                "composite_seed_data".into(),
                json!({"sensor_id": "s", "attribute_id": "hr", "data": [], "cursor": 0})
            ),
            (
                "sensor_digest".into(),
                json!({"digests": {"s": {"hr":
                    {"count": 3, "avg": 1.5, "min": 1.0, "max": 2.0, "latest": m}}}})
            ),
        ]
    );
}

#[test]
fn text_goes_with_its_extras_in_both_forms() {
    let button = card(2, "s", "button", b"\x01");
    let mut tick = Tick::default();
    let pressed = tick.text("\"A\"", ",\"event\":\"press\"");
    tick.slice(&button, Form::Seed, 0, &[(5, &[pressed]), (6, &[int(3)])]);
    tick.slice(&button, Form::Raw, 2, &[(7, &[pressed])]);
    let frame = &tick.read()[0];
    assert_eq!(
        frame.slices[0].values,
        FrameValues::Texts(vec![
            r#"{"payload":"A","event":"press"}"#.into(),
            r#"{"payload":3}"#.into()
        ])
    );
    assert_eq!(
        tick.messages(),
        [
            (
                "composite_seed_data".into(),
                json!({"sensor_id": "s", "attribute_id": "button", "cursor": 2, "data": [
                    {"payload": "A", "timestamp": 5, "event": "press"},
                    {"payload": 3, "timestamp": 6}]})
            ),
            (
                "sensor_batch".into(),
                json!({"batch": {"s": {"button": [{"attribute_id": "button", "payload": "A",
                    "timestamp": 7, "sensor_id": "s", "event": "press"}]}}})
            ),
        ]
    );
}

#[test]
fn a_batch_groups_by_sensor_and_tells_what_was_missed() {
    let mut tick = Tick::default();
    let a_hr = card(1, "a", "hr", b"\x01");
    let a_imu = card(2, "a", "imu", b"{\"x\":\x01}");
    let b_hr = card(3, "b\"", "hr", b"\x01");
    tick.slice(&a_hr, Form::Latest, 4, &[(1, &[int(60)])]).missed = 4;
    tick.slice(&a_imu, Form::Raw, 0, &[(1, &[float(0.1)]), (2, &[float(-2.0)])]);
    tick.slice(&b_hr, Form::Latest, 1, &[(3, &[Cell::NULL])]).missed = 1;
    let m = |sensor: &str, attribute: &str, payload: Value, timestamp: i64| {
        json!({"attribute_id": attribute, "payload": payload,
            "timestamp": timestamp, "sensor_id": sensor})
    };
    assert_eq!(
        tick.messages(),
        [(
            "sensor_batch".into(),
            json!({
                "batch": {
                    "a": {
                        "hr": m("a", "hr", json!(60), 1),
                        "imu": [
                            m("a", "imu", json!({"x": 0.1}), 1),
                            m("a", "imu", json!({"x": -2.0}), 2)
                        ],
                    },
                    "b\"": {"hr": m("b\"", "hr", Value::Null, 3)},
                },
                "missed": {"a": {"hr": 4}, "b\"": {"hr": 1}},
            })
        )]
    );
}

/// A sensor restarts between two flushes: its last samples, then the new life's seed and live
/// samples, under the same names. One object would hold one key twice.
#[test]
fn a_restart_within_a_flush_loses_nothing() {
    let (old, new) = (card(1, "s", "ecg", b"\x01"), card(2, "s", "ecg", b"\x01"));
    let mut tick = Tick::default();
    tick.slice(&old, Form::Raw, 8, &[(1, &[int(1)])]);
    tick.slice(&new, Form::Seed, 0, &[(2, &[int(2)])]);
    tick.slice(&new, Form::Raw, 1, &[(3, &[int(3)])]);
    let messages = tick.messages();
    let events: Vec<&str> = messages.iter().map(|(event, _)| &**event).collect();
    assert_eq!(events, ["sensor_batch", "composite_seed_data", "sensor_batch"]);
    assert_eq!(messages[0].1["batch"]["s"]["ecg"][0]["payload"], 1);
    assert_eq!(messages[2].1["batch"]["s"]["ecg"][0]["payload"], 3);
}

#[test]
fn steps_too_large_for_four_bytes_split_a_slice() {
    let ecg = card(1, "s", "ecg", b"\x01");
    let mut tick = Tick::default();
    let (near, far) = (0, i64::from(i32::MAX) + 1);
    let cells = [int(0)];
    let times = [near, far, far + 1, i64::MIN, i64::MAX];
    let samples: Vec<(i64, &[Cell])> = times.iter().map(|&t| (t, &cells[..])).collect();
    tick.slice(&ecg, Form::Seed, 0, &[]);
    tick.slice(&ecg, Form::Raw, 10, &samples).missed = 3;
    let frame = &tick.read()[0];
    let runs: Vec<_> = frame.slices[1..]
        .iter()
        .map(|s| (s.from, s.covered, s.missed, s.timestamps.iter().map(|t| t.0).collect()))
        .collect::<Vec<(u64, u32, u32, Vec<i64>)>>();
    assert_eq!(
        runs,
        [
            (10, 1, 3, vec![near]),
            (11, 2, 0, vec![far, far + 1]),
            (13, 1, 0, vec![i64::MIN]),
            (14, 1, 0, vec![i64::MAX]),
        ]
    );
}

#[test]
fn a_slice_longer_than_its_count_can_say_is_split() {
    let ecg = card(1, "s", "ecg", b"\x01");
    let mut tick = Tick::default();
    let cells = [int(1)];
    let samples: Vec<(i64, &[Cell])> = (0..70_000).map(|t| (t, &cells[..])).collect();
    tick.slice(&ecg, Form::Seed, 0, &samples);
    let frame = &tick.read()[0];
    let covered: Vec<u32> = frame.slices.iter().map(|s| s.covered).collect();
    assert_eq!(covered, [65_535, 4_465]);
}

#[test]
fn a_large_flush_is_several_frames_and_each_stream_keeps_its_order() {
    let mut tick = Tick::default();
    let cells = [float(0.1)];
    let samples: Vec<(i64, &[Cell])> = (0..4000).map(|t| (t, &cells[..])).collect();
    for stream in 0..20 {
        tick.slice(
            &card(stream, &format!("s{stream:02}"), "ecg", b"\x01"),
            Form::Seed,
            0,
            &samples,
        );
    }
    let frames = tick.frames();
    assert!(frames.len() > 2);
    assert!(frames.iter().all(|frame| frame.len() <= FRAME_BYTES_TARGET + 16));
    let streams: Vec<u32> =
        tick.read().iter().flat_map(|f| f.slices.iter().map(|s| s.stream.0)).collect();
    assert_eq!(streams, (0..20).collect::<Vec<_>>());
    assert_eq!(tick.messages().len(), 20);
}

/// 256 cells are one more than a byte can say.
#[test]
fn a_shape_too_wide_for_its_byte_goes_as_text() {
    let skeleton = format!("[{}]", vec!["\u{1}"; 256].join(","));
    let pose = card(1, "s", "pose", skeleton.as_bytes());
    let mut tick = Tick::default();
    tick.slice(&pose, Form::Seed, 0, &[(0, &[int(1); 256])]);
    let frame = &tick.read()[0];
    assert_eq!((frame.cards[0].width, &*frame.cards[0].shape), (0, ""));
    let FrameValues::Texts(texts) = &frame.slices[0].values else { panic!() };
    assert!(texts[0].starts_with("{\"payload\":[1,1,"));
}

#[test]
fn a_slice_is_encoded_once_however_many_ask() {
    let mut tick = Tick::default();
    tick.slice(&card(1, "s", "hr", b"\x01"), Form::Seed, 0, &[(0, &[int(1)])]);
    let mut encoded = Encoded::default();
    encoded.begin(&tick.0);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        encoded.binary(&tick.0, &tick.flush(), b"head", 0.0, &mut |frame| {
            assert!(frame.starts_with(b"head\x01\0\x01\0\x01\0\0\0"));
        });
        lengths.push(encoded.bytes());
    }
    assert_eq!(lengths, [lengths[0]; 3]);
}

#[test]
fn a_reader_names_what_is_wrong() {
    let mut tick = Tick::default();
    let heart = card(1, "s", "hr", b"\x01");
    tick.slice(&heart, Form::Seed, 0, &[(0, &[int(1)])]);
    let good = tick.frames().remove(0);
    let read = |bytes: &[u8]| FrameReader::default().read(bytes);
    for end in 0..good.len() {
        assert_eq!(read(&good[..end]), Err(FrameError::Truncated), "{end} bytes");
    }
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        read(&bytes)
    };
    assert_eq!(changed(0, 2), Err(FrameError::UnknownVersion(2)));
    assert_eq!(changed(1, 1), Err(FrameError::UnknownFlags(1)));
    let slice_at = good.len() - 36;
    assert_eq!(changed(slice_at, 9), Err(FrameError::UnknownStream(StreamId(9))));
    assert_eq!(changed(slice_at + 4, 4), Err(FrameError::UnknownForm(4)));
    assert_eq!(changed(slice_at + 5, 2), Err(FrameError::UnknownCellType(2)));
    assert_eq!(changed(slice_at + 16, 2), Err(FrameError::NotCovered(StreamId(1))));
    assert_eq!(changed(20, 0), Err(FrameError::CellsOfText(StreamId(1))));
    assert_eq!(changed(26, 0xff), Err(FrameError::NotUtf8));
    let mut left_over = good.clone();
    left_over.push(0);
    assert_eq!(read(&left_over), Err(FrameError::LeftOver));

    let mut reader = FrameReader::default();
    reader.read(&good).unwrap();
    assert!(reader.read(&good).is_ok(), "a card may come again");
    let mut other = Tick::default();
    other.slice(&card(1, "other", "hr", b"\x01"), Form::Seed, 0, &[]);
    assert_eq!(reader.read(&other.frames()[0]), Err(FrameError::CardChanged(StreamId(1))));
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<f64>().prop_filter_map("finite", Cell::float),
        any::<f32>().prop_filter_map("finite", |x| Cell::float(f64::from(x))),
        any::<i32>().prop_map(|x| int(i64::from(x))),
        Just(Cell::NULL),
        Just(Cell::TRUE),
        Just(Cell::FALSE),
        (0u64..2).prop_map(Cell::text),
    ]
}

#[derive(Debug, Clone)]
struct AnySlice {
    width: usize,
    form: Form,
    from: u64,
    missed: u32,
    extra: u32,
    samples: Vec<(i64, Vec<Cell>)>,
    numbers: Option<(f64, f64, f64)>,
}

fn any_slice() -> impl Strategy<Value = AnySlice> {
    let form =
        prop_oneof![Just(Form::Raw), Just(Form::Latest), Just(Form::Digest), Just(Form::Seed)];
    (1usize..5, form).prop_flat_map(|(width, form)| {
        let count = if matches!(form, Form::Raw | Form::Seed) { 0..20 } else { 0..2 };
        let time = prop_oneof![any::<i64>(), 0i64..100_000];
        let sample = (time, prop::collection::vec(any_cell(), width));
        (
            0..u64::MAX / 2,
            any::<u32>(),
            0u32..9,
            prop::collection::vec(sample, count),
            prop::option::of((-1e9..1e9, -1e9..1e9, -1e9..1e9)),
        )
            .prop_map(move |(from, missed, extra, samples, numbers)| AnySlice {
                width,
                form,
                from,
                missed,
                extra,
                samples,
                numbers,
            })
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_is_read(slices in prop::collection::vec(any_slice(), 0..12)) {
        let mut tick = Tick::default();
        tick.text("\"zero\"", ",\"event\":\"e\"");
        tick.text("{\"one\":[]}", "");
        for (index, any) in slices.iter().enumerate() {
            let skeleton = format!("[{}]", vec!["\u{1}"; any.width].join(","));
            let card = card(index as u32, &format!("s{index}"), "a", skeleton.as_bytes());
            tick.slice(&card, Form::Seed, 0, &[]);
            // A text sample has the one text and nothing else.
            let samples: Vec<(i64, &[Cell])> =
                any.samples.iter().map(|(t, cells)| (*t, &cells[..])).collect();
            let slice = tick.slice(&card, any.form, any.from, &samples);
            slice.missed = u64::from(any.missed);
            if matches!(any.form, Form::Latest | Form::Digest) {
                slice.to += u64::from(any.extra);
            }
            if any.form == Form::Digest {
                slice.digest = Some(Digest {
                    count: u64::from(any.extra),
                    numbers: any.numbers.map(|(avg, min, max)| DigestNumbers { avg, min, max }),
                });
            }
        }
        let frames = tick.read();
        let mut read = frames.iter().flat_map(|frame| &frame.slices).peekable();
        for (index, any) in slices.iter().enumerate() {
            let stream = StreamId(index as u32);
            let seed = read.next().unwrap();
            prop_assert_eq!((seed.stream, seed.form, seed.covered), (stream, Form::Seed, 0));
            let mut times = Vec::new();
            let mut next = any.from;
            let mut missed = any.missed;
            let mut taken = 0;
            while let Some(piece) = read.next_if(|piece| piece.stream == stream) {
                prop_assert_eq!((piece.form, piece.from, piece.missed), (any.form, next, missed));
                (next, missed) = (next + u64::from(piece.covered), 0);
                times.extend(piece.timestamps.iter().map(|t| t.0));
                let samples = &any.samples[taken..taken + piece.timestamps.len()];
                taken += samples.len();
                match &piece.values {
                    FrameValues::Cells(cells) => {
                        let want = samples.iter().flat_map(|(_, cells)| cells);
                        prop_assert_eq!(cells.len(), samples.len() * any.width);
                        for (cell, want) in cells.iter().zip(want) {
                            match *want {
                                Cell::NULL => prop_assert!(cell.is_nan()),
                                Cell::TRUE => prop_assert_eq!(*cell, 1.0),
                                Cell::FALSE => prop_assert_eq!(*cell, 0.0),
                                number => prop_assert_eq!(Some(*cell), number.number()),
                            }
                        }
                    }
                    FrameValues::Texts(texts) => {
                        prop_assert_eq!(texts.len(), samples.len());
                        for text in texts {
                            prop_assert!(serde_json::from_str::<Value>(text).unwrap()["payload"] != Value::Bool(true));
                        }
                    }
                }
                if let Some(digest) = piece.digest {
                    prop_assert_eq!(digest.count, u64::from(any.extra));
                    prop_assert_eq!(digest.numbers.map(|n| (n.avg, n.min, n.max)), any.numbers);
                }
            }
            prop_assert_eq!(times, any.samples.iter().map(|(t, _)| *t).collect::<Vec<_>>());
            prop_assert_eq!(next, any.from + any.samples.len() as u64
                + if matches!(any.form, Form::Latest | Form::Digest) { u64::from(any.extra) } else { 0 });
        }
        prop_assert!(read.next().is_none());
        // And every message is JSON.
        tick.messages();
    }

    #[test]
    fn a_reader_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FrameReader::default().read(&bytes);
    }

    /// Bytes that begin as a frame do reach further in than bytes that do not.
    #[test]
    fn a_reader_never_panics_at_a_damaged_frame(
        at in 0usize..120, byte: u8, cut in 0usize..120, slices in prop::collection::vec(any_slice(), 1..3)
    ) {
        let mut tick = Tick::default();
        tick.text("1", "");
        tick.text("2", "");
        for (index, any) in slices.iter().enumerate() {
            let skeleton = format!("[{}]", vec!["\u{1}"; any.width].join(","));
            let card = card(index as u32, "s", "a", skeleton.as_bytes());
            tick.slice(&card, Form::Seed, 0, &[]);
            let samples: Vec<(i64, &[Cell])> =
                any.samples.iter().map(|(t, cells)| (*t, &cells[..])).collect();
            tick.slice(&card, any.form, any.from, &samples);
        }
        let mut frame = tick.frames().remove(0);
        if let Some(b) = frame.get_mut(at) { *b = byte; }
        let _ = FrameReader::default().read(&frame);
        frame.truncate(frame.len().saturating_sub(cut));
        let _ = FrameReader::default().read(&frame);
    }
}

proptest! {
    /// A decoder stops with an error, not a guess and not a panic: on noise, and on a frame in which
    /// a few bytes are others.
    #[test]
    fn no_bytes_make_the_frame_reader_panic(
        noise in prop::collection::vec(any::<u8>(), 0..96),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let _ = FrameReader::default().read(&noise);
        let mut tick = Tick::default();
        let card = card(1, "s", "a", b"{\"x\":\x01}");
        tick.slice(&card, Form::Seed, 0, &[(1, &[Cell::TRUE]), (2, &[Cell::NULL])]);
        tick.slice(&card, Form::Raw, 2, &[(3, &[Cell::FALSE])]);
        for mut frame in tick.frames() {
            for (at, value) in &flips {
                let at = at.index(frame.len());
                frame[at] = *value;
            }
            let _ = FrameReader::default().read(&frame);
            let _ = FrameReader::default().read(&frame[..cut.index(frame.len())]);
        }
    }
}

/// A slice that cannot be encoded breaks the flush it is in; what was gathered before it must not
/// reach the next viewer.
#[test]
fn a_flush_that_is_abandoned_leaves_nothing_in_the_next() {
    let mut tick = Tick::default();
    let (well, sick) = (card(1, "a", "ecg", b"\x01"), card(2, "a", "bad", b"\x01"));
    tick.slice(&well, Form::Raw, 0, &[(1, &[int(5)])]);
    tick.slice(&sick, Form::Raw, 0, &[(1, &[int(6)])]).cells_at = 99;
    let envelope = Envelope { vsn: Vsn::V2, join_ref: "\"1\"".into(), topic: "t".into() };
    let mut encoded = Encoded::default();
    encoded.begin(&tick.0);
    let mut text = |flush: &Flush| {
        let mut messages = Vec::new();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            encoded.text(&tick.0, flush, &envelope, &mut |text| messages.push(text));
        }));
        if told.is_err() {
            encoded.abandon();
        }
        messages
    };
    assert_eq!(text(&tick.flush()).len(), 0);
    let only_well = Flush { part_count: 1, ..tick.flush() };
    let messages = text(&only_well);
    let message: Value = serde_json::from_slice(&messages[0]).unwrap();
    let batch = &message[4]["batch"];
    assert_eq!(batch["a"]["ecg"][0]["payload"], 5, "{batch}");
    assert_eq!(String::from_utf8_lossy(&messages[0]).matches("ecg").count(), 2, "once, by name");
}

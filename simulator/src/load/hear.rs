//! What a Sensocto server says to a viewer, in both forms (`docs/wire.md` 2.4, 2.5).

use components::attention::Battery;
use components::command::{Attention, Target};
use components::delivery::Form;
use components::wire::viewer::frame::{Frame, FrameReader, FrameValues};
use rustc_hash::FxHashMap;
use serde_json::json;

use super::dialect::{Ear, Heard, How, Said};
use super::walk::{Push, Walk};
use super::websocket::{self, BINARY, CLOSE, TEXT};
use super::world::World;

/// One viewer's channel.
#[derive(Debug)]
pub(super) struct ViewerEar {
    topic: String,
    /// Words said so far.
    said: u64,
    frames: FrameReader,
    /// By the server's number: ours. `None`: a stream that is not of this world.
    streams: FxHashMap<u32, Option<usize>>,
    /// The join has been answered.
    joined: bool,
    /// The number of the last word about what it looks at, until it is answered.
    attending: Option<u64>,
}

impl ViewerEar {
    pub(super) fn new(topic: String) -> Self {
        Self {
            topic,
            said: 1,
            frames: FrameReader::default(),
            streams: FxHashMap::default(),
            joined: false,
            attending: None,
        }
    }

    fn say(&mut self, event: &str, payload: &serde_json::Value, wire: &mut Vec<u8>) {
        self.said += 1;
        let text = format!(r#"["1","{}","{}","{event}",{payload}]"#, self.said, self.topic);
        websocket::frame(TEXT, wire, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn hear_text(
        &mut self,
        world: &World,
        text: &str,
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), String> {
        let nonsense = || format!("words that are not of the protocol: {}", start_of(text));
        let push = Push::read(text).ok_or_else(nonsense)?;
        match push.event {
            "sensor_batch" => hear_batch(world, push.payload, heard).ok_or_else(nonsense),
            "sensor_digest" => hear_digests(world, push.payload, heard).ok_or_else(nonsense),
            "composite_seed_data" => hear_seed(world, push.payload, heard).ok_or_else(nonsense),
            "phx_reply" if !self.joined => {
                self.joined = true;
                if push.payload.contains(r#""status":"ok""#) {
                    Ok(())
                } else {
                    Err(format!("joining was refused: {}", start_of(push.payload)))
                }
            }
            "phx_reply" if push.reply_to.parse().ok() == self.attending => {
                if self.attending.take().is_some() && push.payload.contains(r#""status":"ok""#) {
                    heard(Heard::Attended);
                }
                Ok(())
            }
            "phx_close" | "phx_error" => Err("the server ended a viewer's channel".into()),
            _ => Ok(()),
        }
    }

    fn hear_binary(
        &mut self,
        world: &World,
        bytes: &[u8],
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), String> {
        let Some(body) = frame_of(bytes) else { return Ok(()) };
        let frame = self.frames.read(body).map_err(|error| error.to_string())?;
        for card in &frame.cards {
            let sensor = world.sensor(&card.sensor_id);
            let stream = sensor.and_then(|sensor| world.stream(sensor, &card.attribute_id));
            self.streams.insert(card.stream.0, stream);
        }
        self.hear_slices(&frame, heard);
        heard(Heard::End);
        Ok(())
    }

    fn hear_slices(&self, frame: &Frame, heard: &mut dyn FnMut(Heard<'_>)) {
        for slice in &frame.slices {
            let Some(&Some(stream)) = self.streams.get(&slice.stream.0) else { continue };
            let how = match slice.form {
                Form::Raw => How::Raw,
                Form::Latest | Form::Digest => How::Latest,
                Form::Seed => How::Seed,
            };
            if how == How::Seed {
                heard(Heard::Begun { stream });
            }
            if slice.missed > 0 {
                heard(Heard::Missed { stream, count: u64::from(slice.missed) });
            }
            let card = self.frames.card(slice.stream);
            for (n, unix_ms) in slice.timestamps.iter().map(|at| at.0).enumerate() {
                let said = match &slice.values {
                    FrameValues::Cells(cells) => {
                        let Some(card) = card else { continue };
                        let width = usize::from(card.width);
                        let cells = &cells[n * width..(n + 1) * width];
                        Said::Cells { cells, shape: &card.shape }
                    }
                    FrameValues::Texts(texts) => {
                        let mut payload = None;
                        Walk::new(&texts[n]).object(|walk, key| {
                            let value = walk.value()?;
                            if key == "payload" {
                                payload = Some(value);
                            }
                            Some(())
                        });
                        Said::Json(payload.unwrap_or_default())
                    }
                };
                heard(Heard::Sample { stream, unix_ms, said, how });
            }
        }
    }
}

impl Ear for ViewerEar {
    fn hear(
        &mut self,
        world: &World,
        wire: &[u8],
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((opcode, payload, length)) = websocket::first_frame(&wire[at..])? {
            at += length;
            match opcode {
                TEXT => {
                    let text = std::str::from_utf8(payload).map_err(|e| e.to_string())?;
                    self.hear_text(world, text, heard)?;
                }
                BINARY => self.hear_binary(world, payload, heard)?,
                CLOSE => return Err(websocket::closed("a viewer's connection", payload)),
                _ => {}
            }
        }
        Ok(at)
    }

    fn attend(&mut self, attention: &Attention, wire: &mut Vec<u8>) {
        let payload = attention_json(attention);
        self.say("attention", &payload, wire);
        self.attending = Some(self.said);
    }

    fn set_quality(&mut self, quality: &str, wire: &mut Vec<u8>) {
        self.say("set_quality", &json!({ "quality": quality }), wire);
    }

    fn heartbeat(&mut self, wire: &mut Vec<u8>) {
        websocket::frame(TEXT, wire, |out| out.extend_from_slice(super::sensocto::HEARTBEAT));
    }
}

fn attention_json(attention: &Attention) -> serde_json::Value {
    let targets = |targets: &[Target]| -> Vec<serde_json::Value> {
        let words = targets.iter().map(|target| match &target.attribute_id {
            None => json!(target.sensor_id),
            Some(attribute_id) => {
                json!({"sensor_id": target.sensor_id, "attribute_id": attribute_id})
            }
        });
        words.collect()
    };
    let battery = match attention.battery {
        Battery::Normal => "normal",
        Battery::Low => "low",
        Battery::Critical => "critical",
    };
    json!({
        "visible": attention.visible, "hovered": targets(&attention.hovered),
        "focused": targets(&attention.focused), "pinned": targets(&attention.pinned),
        "hidden": attention.hidden, "battery": battery,
    })
}

fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(160)]
}

/// The frame in a binary push of event `frame`: `00 jl tl el`, three names, and the rest.
fn frame_of(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let &[0, join, topic, event] = head else { return None };
    let (_, rest) = rest.split_at_checked(usize::from(join) + usize::from(topic))?;
    let (event, frame) = rest.split_at_checked(usize::from(event))?;
    (event == b"frame").then_some(frame)
}

/// A stream by its names as they are written in JSON.
fn stream_named(world: &World, sensor: Option<usize>, attribute: &str) -> Option<usize> {
    world.stream(sensor?, attribute)
}

fn sensor_named(world: &World, name: &str) -> Option<usize> {
    if name.contains('\\') {
        let name: String = serde_json::from_str(&format!("\"{name}\"")).ok()?;
        return world.sensor(&name);
    }
    world.sensor(name)
}

fn hear_batch(world: &World, payload: &str, heard: &mut dyn FnMut(Heard<'_>)) -> Option<()> {
    Walk::new(payload).object(|walk, key| match key {
        "batch" => walk.object(|walk, sensor| {
            let sensor = sensor_named(world, sensor);
            walk.object(|walk, attribute| {
                let stream = stream_named(world, sensor, attribute);
                if walk.peek() == Some(b'[') {
                    walk.array(|walk| hear_measurement(walk, stream, How::Raw, heard))
                } else {
                    hear_measurement(walk, stream, How::Latest, heard)
                }
            })
        }),
        "missed" => hear_missed(world, walk, heard),
        _ => walk.value().map(|_| ()),
    })?;
    heard(Heard::End);
    Some(())
}

fn hear_digests(world: &World, payload: &str, heard: &mut dyn FnMut(Heard<'_>)) -> Option<()> {
    Walk::new(payload).object(|walk, key| match key {
        "digests" => walk.object(|walk, sensor| {
            let sensor = sensor_named(world, sensor);
            walk.object(|walk, attribute| {
                let stream = stream_named(world, sensor, attribute);
                walk.object(|walk, key| match key {
                    "latest" if walk.peek() == Some(b'{') => {
                        hear_measurement(walk, stream, How::Latest, heard)
                    }
                    _ => walk.value().map(|_| ()),
                })
            })
        }),
        "missed" => hear_missed(world, walk, heard),
        _ => walk.value().map(|_| ()),
    })?;
    heard(Heard::End);
    Some(())
}

fn hear_missed(world: &World, walk: &mut Walk<'_>, heard: &mut dyn FnMut(Heard<'_>)) -> Option<()> {
    walk.object(|walk, sensor| {
        let sensor = sensor_named(world, sensor);
        walk.object(|walk, attribute| {
            let count = u64::try_from(walk.integer()?).ok()?;
            if let Some(stream) = stream_named(world, sensor, attribute) {
                heard(Heard::Missed { stream, count });
            }
            Some(())
        })
    })
}

fn hear_seed(world: &World, payload: &str, heard: &mut dyn FnMut(Heard<'_>)) -> Option<()> {
    let (mut sensor, mut stream) = (None, None);
    Walk::new(payload).object(|walk, key| match key {
        "sensor_id" => {
            sensor = sensor_named(world, walk.string()?);
            Some(())
        }
        "attribute_id" => {
            stream = stream_named(world, sensor, walk.string()?);
            Some(())
        }
        "data" => {
            if let Some(stream) = stream {
                heard(Heard::Begun { stream });
            }
            walk.array(|walk| hear_measurement(walk, stream, How::Seed, heard))
        }
        _ => walk.value().map(|_| ()),
    })
}

/// `{"payload", "timestamp", ...}`, in any order. Of a stream that is not of this world nothing is
/// told.
fn hear_measurement(
    walk: &mut Walk<'_>,
    stream: Option<usize>,
    how: How,
    heard: &mut dyn FnMut(Heard<'_>),
) -> Option<()> {
    let (mut payload, mut unix_ms) = (None, None);
    walk.object(|walk, key| {
        match key {
            "payload" => payload = Some(walk.value()?),
            "timestamp" => unix_ms = Some(walk.integer()?),
            _ => {
                walk.value()?;
            }
        }
        Some(())
    })?;
    if let Some(stream) = stream {
        heard(Heard::Sample { stream, unix_ms: unix_ms?, said: Said::Json(payload?), how });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::uniform(5, 1, 10.0, "ecg")
    }

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut wire = vec![0x80 | opcode, 126];
        wire.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        wire.extend_from_slice(payload);
        wire
    }

    /// What is heard, each in words.
    fn heard_in(ear: &mut ViewerEar, opcode: u8, payload: &[u8]) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        ear.hear(&world(), &frame(opcode, payload), &mut |heard| all.push(format!("{heard:?}")))?;
        Ok(all)
    }

    fn ear() -> ViewerEar {
        ViewerEar { joined: true, ..ViewerEar::new("viewer:data:x".into()) }
    }

    #[test]
    fn the_json_form_is_heard() {
        let batch = r#"["1",null,"viewer:data:x","sensor_batch",{"batch":{"load-3":{"ecg":[{"attribute_id":"ecg","payload":17,"timestamp":5,"sensor_id":"load-3"},{"attribute_id":"ecg","payload":{"a":[1]},"timestamp":6,"sensor_id":"load-3","event":"press"}]},"stranger":{"x":{"payload":1,"timestamp":2}},"load-1":{"ecg":{"attribute_id":"ecg","payload":0.5,"timestamp":7,"sensor_id":"load-1"}}},"missed":{"load-3":{"ecg":2}}}]"#;
        assert_eq!(
            heard_in(&mut ear(), TEXT, batch.as_bytes()).unwrap(),
            [
                r#"Sample { stream: 3, unix_ms: 5, said: Json("17"), how: Raw }"#,
                r#"Sample { stream: 3, unix_ms: 6, said: Json("{\"a\":[1]}"), how: Raw }"#,
                r#"Sample { stream: 1, unix_ms: 7, said: Json("0.5"), how: Latest }"#,
                "Missed { stream: 3, count: 2 }",
                "End",
            ]
        );
        let digest = r#"["1",null,"viewer:data:x","sensor_digest",{"digests":{"load-2":{"ecg":{"count":4,"avg":1,"min":null,"max":2,"latest":{"attribute_id":"ecg","payload":9,"timestamp":8,"sensor_id":"load-2"}}},"load-4":{"ecg":{"count":0,"latest":null}}}}]"#;
        assert_eq!(
            heard_in(&mut ear(), TEXT, digest.as_bytes()).unwrap(),
            [r#"Sample { stream: 2, unix_ms: 8, said: Json("9"), how: Latest }"#, "End"]
        );
        let seed = r#"["1",null,"viewer:data:x","composite_seed_data",{"sensor_id":"load-4","attribute_id":"ecg","data":[{"payload":1,"timestamp":5},{"payload":2,"timestamp":6}],"cursor":2}]"#;
        assert_eq!(
            heard_in(&mut ear(), TEXT, seed.as_bytes()).unwrap(),
            [
                "Begun { stream: 4 }",
                r#"Sample { stream: 4, unix_ms: 5, said: Json("1"), how: Seed }"#,
                r#"Sample { stream: 4, unix_ms: 6, said: Json("2"), how: Seed }"#,
            ]
        );
    }

    #[test]
    fn a_refused_join_an_ended_channel_and_nonsense_are_errors() {
        let refused = br#"["1","1","viewer:data:x","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]"#;
        let mut stranger = ViewerEar::new("viewer:data:x".into());
        assert!(heard_in(&mut stranger, TEXT, refused).unwrap_err().contains("unauthorized"));
        let over = br#"["1",null,"viewer:data:x","phx_close",{}]"#;
        assert!(heard_in(&mut ear(), TEXT, over).is_err());
        assert!(heard_in(&mut ear(), TEXT, b"hello").is_err());
        assert!(
            heard_in(&mut ear(), TEXT, br#"["1",null,"t","sensor_batch",{"batch":3}]"#).is_err()
        );
        let why = heard_in(&mut ear(), CLOSE, b"\x0f\xa8too slow").unwrap_err();
        assert!(why.contains("4008") && why.contains("too slow"), "{why}");
    }

    #[test]
    fn the_answer_to_the_last_attention_is_heard_and_no_other() {
        let mut ear = ear();
        let attention = Attention::default();
        (0..2).for_each(|_| ear.attend(&attention, &mut Vec::new()));
        let reply = |number: u64, status: &str| {
            format!(
                r#"["1","{number}","viewer:data:x","phx_reply",{{"status":"{status}","response":{{}}}}]"#
            )
        };
        let mut heard = |text: String| heard_in(&mut ear, TEXT, text.as_bytes()).unwrap();
        assert_eq!(heard(reply(2, "ok")), [""; 0], "it looks at something else by now");
        assert_eq!(heard(reply(3, "ok")), ["Attended"]);
        assert_eq!(heard(reply(3, "ok")), [""; 0], "once");
        ear.attend(&attention, &mut Vec::new());
        let refused = reply(4, "error");
        assert_eq!(heard_in(&mut ear, TEXT, refused.as_bytes()).unwrap(), [""; 0]);
    }

    #[test]
    fn the_binary_form_is_heard_and_its_end_is_checked() {
        let mut bytes = b"\x00\x01\x01\x05".to_vec();
        bytes.extend_from_slice(b"1tframe\x01\x00\x01\x00\x01\x00\x00\x00");
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&9_u32.to_le_bytes());
        bytes.push(1);
        bytes.extend_from_slice(&10_f32.to_le_bytes());
        bytes.extend_from_slice(b"\x06load-2\x03ecg\x03ecg\x01\x00\x01");
        bytes.extend_from_slice(&9_u32.to_le_bytes());
        bytes.extend_from_slice(&[0, 0, 2, 0]);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&2_u32.to_le_bytes());
        bytes.extend_from_slice(&3_u32.to_le_bytes());
        bytes.extend_from_slice(&1000_i64.to_le_bytes());
        bytes.extend_from_slice(&4_i32.to_le_bytes());
        bytes.extend_from_slice(&41_f64.to_le_bytes());
        bytes.extend_from_slice(&42_f64.to_le_bytes());
        assert_eq!(
            heard_in(&mut ear(), BINARY, &bytes).unwrap(),
            [
                "Missed { stream: 2, count: 3 }",
                "Sample { stream: 2, unix_ms: 1000, said: Cells { cells: [41.0], shape: \"\\u{1}\" }, how: Raw }",
                "Sample { stream: 2, unix_ms: 1004, said: Cells { cells: [42.0], shape: \"\\u{1}\" }, how: Raw }",
                "End",
            ]
        );
        for end in 12..bytes.len() {
            assert!(heard_in(&mut ear(), BINARY, &bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_viewer_says_what_it_looks_at() {
        let attention = Attention {
            visible: Some(vec!["a".into(), "b".into()]),
            hovered: vec![Target { sensor_id: "a".into(), attribute_id: None }],
            focused: vec![Target { sensor_id: "b".into(), attribute_id: Some("ecg".into()) }],
            hidden: true,
            battery: Battery::Low,
            ..Attention::default()
        };
        assert_eq!(
            attention_json(&attention),
            json!({"visible": ["a", "b"], "hovered": ["a"], "pinned": [], "hidden": true,
                   "focused": [{"sensor_id": "b", "attribute_id": "ecg"}], "battery": "low"})
        );
        let everything = attention_json(&Attention::default());
        assert!(everything["visible"].is_null());
    }
}

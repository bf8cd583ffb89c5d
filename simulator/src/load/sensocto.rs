//! Load in Sensocto's own words: devices at the device door, viewers at the viewer door
//! (`docs/wire.md`).

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::dialect::{Answer, Dialect, Ear, Guest, Paced, Sample};
use super::hear::ViewerEar;
use super::walk::Push;
use super::websocket::{self, CLOSE, TEXT};
use super::world::World;
use crate::address::Address;
use crate::batcher::Pacing;

/// A sign of life.
pub(super) const HEARTBEAT: &[u8] = br#"[null,"h","phoenix","heartbeat",{}]"#;

/// Bytes of a message that is larger than any server takes.
const HUGE_BYTES: usize = 600 * 1024;

/// Where a sensor's topic begins.
const SENSOR_TOPIC: &str = "sensocto:sensor:";

/// A Sensocto server, and how its clients behave.
#[derive(Debug, Clone)]
pub struct Sensocto {
    pub address: Address,
    /// Of devices.
    pub token: String,
    /// Of viewers.
    pub viewer_token: String,
}

impl Sensocto {
    fn upgrade(&self) -> Result<TcpStream, String> {
        let path = format!("{}?vsn=2.0.0", self.address.path);
        websocket::upgrade(&self.address.authority, &path, None)
    }

    /// `POST /api/viewers` (`docs/wire.md` 2.1). The answer's topic.
    fn mint(&self, world: &World, guest: &Guest) -> Result<String, String> {
        let ids = |sensors: &[usize]| -> Vec<&str> {
            sensors.iter().map(|n| &*world.sensors[*n].card.sensor_id).collect()
        };
        let lens = guest.lens.as_deref().map_or(json!("all"), |lens| json!(ids(lens)));
        let mut asked = json!({"sensors": lens, "quality": guest.quality.name()});
        if let Some(visible) = &guest.visible {
            asked["visible"] = json!(ids(visible));
        }
        let body = asked.to_string();
        let mut stream = websocket::connect(&self.address.authority)?;
        let authorization = match self.viewer_token.as_str() {
            "" | "missing" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        write!(
            stream,
            "POST /api/viewers HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{authorization}Connection: close\r\n\r\n{body}",
            self.address.authority,
            body.len()
        )
        .map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| format!("/api/viewers: {error}"))?;
        let status = answer.lines().next().unwrap_or_default().to_owned();
        if status.contains(" 401") {
            return Err("the server wants a viewer's token: give it by --viewer-token".into());
        }
        if status.contains(" 404") {
            return Err("POST /api/viewers is not there: this is no Sensocto server".into());
        }
        // Whatever the framing of the body: it is one JSON object.
        let object = answer.find('{').and_then(|at| Some(&answer[at..=answer.rfind('}')?]));
        object
            .filter(|_| status.contains(" 200"))
            .and_then(|object| serde_json::from_str::<Value>(object).ok())
            .and_then(|object| object["topic"].as_str().map(str::to_owned))
            .ok_or_else(|| format!("POST /api/viewers: {status}: {}", object.unwrap_or_default()))
    }
}

/// Adds a text push.
fn push(wire: &mut Vec<u8>, text: &str) {
    websocket::frame(TEXT, wire, |out| out.extend_from_slice(text.as_bytes()));
}

/// Why a join was refused, as the reader of the report can use it.
fn refusal(text: &str) -> String {
    let reason = Push::read(text).map(|push| reason_of(push.payload)).unwrap_or_default();
    match reason.as_str() {
        "unauthorized" => {
            "the server refused the device's token: give another by --bearer-token".into()
        }
        "too_many_feeds" | "too_many_sensors" => format!(
            "the server has no room for more devices ({reason}): raise its feeds_max and \
             sensors_max, or offer it fewer"
        ),
        _ => format!("a join was refused: {text}"),
    }
}

/// The reason in the payload of a reply, or what there is of it.
fn reason_of(payload: &str) -> String {
    let parsed: Value = serde_json::from_str(payload).unwrap_or(Value::Null);
    let reason = parsed["response"]["reason"].as_str().unwrap_or("no reason given");
    reason.chars().take(64).collect()
}

impl Dialect for Sensocto {
    fn open_device(&self, world: &World, device: usize) -> Result<TcpStream, String> {
        let mut stream = self.upgrade()?;
        let mut wire = Vec::new();
        let device = &world.devices[device];
        let (id, name) = (&*device.connector_id, &*device.connector_name);
        let join = json!({
            "connector_id": id, "connector_name": name, "connector_type": "simulator",
            "features": [], "bearer_token": self.token,
        });
        let mut join_topic = |reference: usize, topic: String, payload: &Value| {
            let topic = Value::from(topic);
            push(
                &mut wire,
                &format!(r#"["{reference}","{reference}",{topic},"phx_join",{payload}]"#),
            );
        };
        join_topic(0, format!("sensocto:connector:{id}"), &join);
        for &n in &device.sensors {
            let sensor = &world.sensors[n];
            let card = &sensor.card;
            let attributes: Vec<Value> = world.streams[sensor.streams.clone()]
                .iter()
                .map(|stream| {
                    json!({"attribute_id": *stream.attribute_id,
                           "attribute_type": stream.kind.name(),
                           "sampling_rate": stream.cadence.rate_hz()})
                })
                .collect();
            let join = json!({
                "connector_id": id, "connector_name": name, "sensor_id": *card.sensor_id,
                "sensor_name": *card.sensor_name, "sensor_type": *card.sensor_type,
                "attributes": attributes, "sampling_rate": card.sampling_rate, "batch_size": 1,
                "bearer_token": self.token,
            });
            // The reference of a join is the sensor's number, and one more than none.
            join_topic(n + 1, format!("{SENSOR_TOPIC}{}", card.sensor_id), &join);
        }
        stream.write_all(&wire).map_err(|error| error.to_string())?;
        let mut wanted = device.sensors.len() + 1;
        websocket::read_until(&mut stream, |opcode, payload| {
            if opcode == CLOSE {
                return Err(websocket::closed("a device's connection", payload));
            }
            let text = String::from_utf8_lossy(payload);
            if text.contains("phx_reply") {
                if !text.contains(r#""status":"ok""#) {
                    return Err(refusal(&text));
                }
                wanted -= 1;
            }
            Ok(wanted == 0)
        })?;
        Ok(stream)
    }

    fn write(&self, world: &World, samples: &[Sample<'_>], wire: &mut Vec<u8>) {
        let [first, ..] = samples else { return };
        let sensor = world.streams[first.stream].sensor;
        let id = json_string(&world.sensors[sensor].card.sensor_id);
        let measurement = |sample: &Sample<'_>, out: &mut Vec<u8>| {
            let attribute_id = &world.streams[sample.stream].attribute_id;
            // Writing into a vector does not fail.
            let _ = write!(
                out,
                r#"{{"attribute_id":"{attribute_id}","payload":{},"timestamp":{}{}}}"#,
                sample.payload, sample.unix_ms, sample.extra
            );
        };
        let head = |event: &str, out: &mut Vec<u8>| {
            let reference = sensor + 1;
            let _ = write!(out, r#"["{reference}",null,"{SENSOR_TOPIC}{id}","{event}","#);
        };
        websocket::frame(TEXT, wire, |out| {
            if let [sample] = samples {
                head("measurement", out);
                measurement(sample, out);
            } else {
                head("measurements_batch", out);
                for (index, sample) in samples.iter().enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    measurement(sample, out);
                }
                out.push(b']');
            }
            out.push(b']');
        });
    }

    fn heartbeat(&self, wire: &mut Vec<u8>) {
        websocket::frame(TEXT, wire, |out| out.extend_from_slice(HEARTBEAT));
    }

    fn garbage(&self, world: &World, sensor: usize, chance: u64, wire: &mut Vec<u8>) {
        let id = json_string(&world.sensors[sensor].card.sensor_id);
        let reference = sensor + 1;
        let topic = format!("{SENSOR_TOPIC}{id}");
        match chance % 8 {
            0 => websocket::frame(TEXT, wire, |out| out.extend_from_slice(b"[\"\xff\xfe\",")),
            1 => push(wire, r#"["1","1","sensocto:sens"#),
            2 => push(wire, r#"[null,"9","sensocto:nothing:here","measurement",{"payload":1}]"#),
            3 => websocket::frame(TEXT, wire, |out| out.resize(out.len() + HUGE_BYTES, b'x')),
            4 => push(
                wire,
                &format!(r#"["{reference}","9","{topic}","measurement",{{"payload":1}}]"#),
            ),
            5 => push(
                wire,
                &format!(
                    r#"["{reference}","9","{topic}","measurement",{{"attribute_id":"..","payload":1e999,"timestamp":"soon"}}]"#
                ),
            ),
            6 => push(
                wire,
                &format!(r#"["{reference}","9","{topic}","measurements_batch",{{"a":[[[[7]]]]}}]"#),
            ),
            _ => websocket::frame(websocket::BINARY, wire, |out| {
                out.extend_from_slice(&chance.to_le_bytes());
            }),
        }
    }

    fn answers(
        &self,
        world: &World,
        wire: &[u8],
        answered: &mut dyn FnMut(Answer),
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((opcode, payload, length)) = websocket::first_frame(&wire[at..])? {
            at += length;
            match opcode {
                CLOSE => {
                    let why = websocket::closed("a device's connection", payload);
                    answered(Answer::Over(why));
                }
                TEXT => {
                    let push = std::str::from_utf8(payload).ok().and_then(Push::read);
                    push.into_iter().for_each(|push| answer(world, push, answered));
                }
                _ => {}
            }
        }
        Ok(at)
    }

    fn open_viewer(
        &self,
        world: &World,
        guest: &Guest,
    ) -> Result<(TcpStream, Box<dyn Ear>), String> {
        let topic = self.mint(world, guest)?;
        let mut stream = self.upgrade()?;
        let payload =
            if guest.binary { json!({"form": "binary", "version": 1}) } else { json!({}) };
        let mut wire = Vec::new();
        push(&mut wire, &format!(r#"["1","1","{topic}","phx_join",{payload}]"#));
        stream.write_all(&wire).map_err(|error| error.to_string())?;
        // The reply comes before anything else on the topic; the ear hears it.
        Ok((stream, Box::new(ViewerEar::new(topic))))
    }
}

/// A string as it stands between quotes in JSON.
fn json_string(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        return text.into();
    }
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned().into()
}

fn answer(world: &World, push: Push<'_>, answered: &mut dyn FnMut(Answer)) {
    match push.event {
        "phx_reply" if push.payload.contains(r#""status":"error""#) => {
            answered(Answer::Refused(reason_of(push.payload)));
        }
        "backpressure_config" => {
            let sensor = push.topic.strip_prefix(SENSOR_TOPIC).and_then(|id| world.sensor(id));
            let told = serde_json::from_str::<Value>(push.payload);
            if let (Some(sensor), Ok(told)) = (sensor, told) {
                let pacing = Paced(Pacing::DEFAULT.told(&told));
                answered(Answer::Paced { sensor, pacing });
            }
        }
        "phx_error" | "phx_close" => {
            answered(Answer::Over(format!("the server ended a device's channel ({})", push.event)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Sensocto {
        Sensocto {
            address: Address::parse("127.0.0.1:1").unwrap(),
            token: "missing".into(),
            viewer_token: "missing".into(),
        }
    }

    /// What the server would see of a client's frame.
    fn unmasked(wire: &[u8]) -> String {
        let (head, length) = match wire[1] & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes([wire[2], wire[3]]))),
            short => (2, usize::from(short)),
        };
        let mask = &wire[head..head + 4];
        let body = wire[head + 4..head + 4 + length].iter().enumerate();
        String::from_utf8(body.map(|(n, byte)| byte ^ mask[n & 3]).collect()).unwrap()
    }

    #[test]
    fn a_measurement_and_a_batch_are_what_a_device_sends() {
        let world = World::uniform(2, 2, 10.0, "ecg");
        let sample = |stream, unix_ms| Sample {
            stream,
            unix_ms,
            payload: "1.5",
            extra: r#","event":"press""#,
        };
        let mut wire = Vec::new();
        server().write(&world, &[sample(3, 9)], &mut wire);
        assert_eq!(
            unmasked(&wire),
            r#"["4",null,"sensocto:sensor:load-3","measurement",{"attribute_id":"ecg","payload":1.5,"timestamp":9,"event":"press"}]"#
        );
        wire.clear();
        server().write(&world, &[sample(0, 9), sample(0, 10)], &mut wire);
        assert_eq!(
            unmasked(&wire),
            r#"["1",null,"sensocto:sensor:load-0","measurements_batch",[{"attribute_id":"ecg","payload":1.5,"timestamp":9,"event":"press"},{"attribute_id":"ecg","payload":1.5,"timestamp":10,"event":"press"}]]"#
        );
    }

    fn answers(frames: &[&str]) -> Vec<Answer> {
        let mut wire = Vec::new();
        for text in frames {
            wire.extend_from_slice(&[0x81, 126]);
            wire.extend_from_slice(&(text.len() as u16).to_be_bytes());
            wire.extend_from_slice(text.as_bytes());
        }
        let mut all = Vec::new();
        let world = World::uniform(2, 1, 10.0, "ecg");
        let used = server().answers(&world, &wire, &mut |answer| all.push(answer)).unwrap();
        assert_eq!(used, wire.len());
        all
    }

    #[test]
    fn what_a_server_answers_a_device_is_understood() {
        let paced = Pacing { window_ms: 2000, size: 10, paused: true };
        assert_eq!(
            answers(&[
                r#"["1","2","sensocto:sensor:load-1","phx_reply",{"status":"error","response":{"reason":"rate_limited"}}]"#,
                r#"["1","2","sensocto:sensor:load-1","phx_reply",{"status":"ok","response":{}}]"#,
                r#"["2",null,"sensocto:sensor:load-1","backpressure_config",{"paused":true,"recommended_batch_window":2000,"recommended_batch_size":10}]"#,
                "nonsense",
            ]),
            [
                Answer::Refused("rate_limited".into()),
                Answer::Paced { sensor: 1, pacing: Paced(paced) },
            ]
        );
        let over = answers(&[r#"["2",null,"sensocto:sensor:load-1","phx_error",{}]"#]);
        assert!(matches!(&over[..], [Answer::Over(_)]));
    }

    #[test]
    fn a_refusal_names_the_flag_that_helps() {
        let text =
            r#"["0","0","t","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]"#;
        assert!(refusal(text).contains("--bearer-token"));
    }

    #[test]
    fn every_kind_of_rubbish_is_sent() {
        let world = World::uniform(1, 1, 10.0, "ecg");
        let mut kinds: Vec<Vec<u8>> = (0..8)
            .map(|chance| {
                let mut wire = Vec::new();
                server().garbage(&world, 0, chance, &mut wire);
                wire
            })
            .collect();
        assert!(kinds.iter().any(|wire| wire.len() > 256 * 1024));
        kinds.dedup();
        assert_eq!(kinds.len(), 8);
    }
}

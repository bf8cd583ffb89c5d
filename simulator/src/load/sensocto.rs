//! Load in Sensocto's own words: devices at the device door, viewers at the viewer door
//! (`docs/wire.md`).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use serde_json::{Value, json};

use super::dialect::{Dialect, Ear, Heard, Sample};
use super::websocket::{self, BINARY, TEXT};
use crate::address::Address;
use crate::cli::Form;

/// What sensors of a load are called, before their number.
const PREFIX: &str = "load-";

/// A Sensocto server, and how its clients behave.
#[derive(Debug, Clone)]
pub struct Sensocto {
    pub address: Address,
    pub attribute: String,
    pub token: String,
    pub quality: String,
    pub rate_hz: f64,
    pub form: Form,
}

impl Sensocto {
    fn upgrade(&self) -> Result<TcpStream, String> {
        let path = format!("{}?vsn=2.0.0", self.address.path);
        websocket::upgrade(&self.address.authority, &path, None)
    }

    /// `POST /api/viewers` (`docs/wire.md` 2.1). The answer's topic.
    fn mint(&self, sensors: &[usize]) -> Result<String, String> {
        let ids: Vec<String> = sensors.iter().map(|sensor| format!("{PREFIX}{sensor}")).collect();
        let body = json!({"sensors": ids, "quality": self.quality}).to_string();
        let mut stream = websocket::connect(&self.address.authority)?;
        let authorization = match self.token.as_str() {
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
        // Whatever the framing of the body: it is one JSON object.
        let object = answer.find('{').and_then(|at| Some(&answer[at..=answer.rfind('}')?]));
        object
            .filter(|_| status.contains(" 200"))
            .and_then(|object| serde_json::from_str::<Value>(object).ok())
            .and_then(|object| object["topic"].as_str().map(str::to_owned))
            .ok_or_else(|| format!("POST /api/viewers: {status}: {}", object.unwrap_or_default()))
    }
}

impl Dialect for Sensocto {
    fn open_device(&self, device: usize, sensors: Range<usize>) -> Result<TcpStream, String> {
        let mut stream = self.upgrade()?;
        let mut wire = Vec::new();
        let connector = format!("{PREFIX}device-{device}");
        let join = json!({
            "connector_id": connector, "connector_name": connector, "connector_type": "simulator",
            "features": [], "bearer_token": self.token,
        });
        let mut join_topic = |reference: usize, topic: &str, payload: &Value| {
            websocket::frame(TEXT, &mut wire, |out| {
                let text =
                    format!(r#"["{reference}","{reference}","{topic}","phx_join",{payload}]"#);
                out.extend_from_slice(text.as_bytes());
            });
        };
        join_topic(0, &format!("sensocto:connector:{connector}"), &join);
        for sensor in sensors.clone() {
            let id = format!("{PREFIX}{sensor}");
            let join = json!({
                "connector_id": connector, "connector_name": connector, "sensor_id": id,
                "sensor_name": id, "sensor_type": "load",
                "attributes": [{"attribute_id": self.attribute, "attribute_type": self.attribute,
                                "sampling_rate": self.rate_hz}],
                "sampling_rate": self.rate_hz, "batch_size": 1, "bearer_token": self.token,
            });
            // The reference of a join is the sensor's number, and one more than none.
            join_topic(sensor + 1, &format!("sensocto:sensor:{id}"), &join);
        }
        stream.write_all(&wire).map_err(|error| error.to_string())?;
        let mut wanted = sensors.len() + 1;
        websocket::read_until(&mut stream, |_, payload| {
            let text = String::from_utf8_lossy(payload);
            if text.contains("phx_reply") {
                if !text.contains(r#""status":"ok""#) {
                    return Err(format!("a join was refused: {text}"));
                }
                wanted -= 1;
            }
            Ok(wanted == 0)
        })?;
        Ok(stream)
    }

    fn write(&self, samples: &[Sample], wire: &mut Vec<u8>) {
        let (attribute, first) = (self.attribute.as_str(), samples[0].sensor);
        let measurement = |sample: &Sample, out: &mut Vec<u8>| {
            // Writing into a vector does not fail.
            let _ = write!(
                out,
                r#"{{"attribute_id":"{attribute}","payload":{},"timestamp":{}}}"#,
                sample.value, sample.unix_ms
            );
        };
        let head = |event: &str, out: &mut Vec<u8>| {
            let _ = write!(
                out,
                r#"["{}",null,"sensocto:sensor:{PREFIX}{first}","{event}","#,
                first + 1
            );
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
        websocket::frame(TEXT, wire, |out| {
            out.extend_from_slice(br#"[null,"h","phoenix","heartbeat",{}]"#);
        });
    }

    fn open_viewer(&self, _viewer: usize, sensors: &[usize]) -> Result<TcpStream, String> {
        let topic = self.mint(sensors)?;
        let mut stream = self.upgrade()?;
        let payload = match self.form {
            Form::Json => json!({}),
            Form::Binary => json!({"form": "binary", "version": 1}),
        };
        let mut wire = Vec::new();
        websocket::frame(TEXT, &mut wire, |out| {
            out.extend_from_slice(
                format!(r#"["1","1","{topic}","phx_join",{payload}]"#).as_bytes(),
            );
        });
        stream.write_all(&wire).map_err(|error| error.to_string())?;
        let mut answer = [0; 1];
        // The reply comes before anything else on the topic; it is left for the ear, which skips
        // what it does not know. A refusal is found by looking, not by taking.
        stream.peek(&mut answer).map_err(|error| format!("joining {topic}: {error}"))?;
        let mut start = [0; 512];
        let count = stream.peek(&mut start).map_err(|error| error.to_string())?;
        let start = String::from_utf8_lossy(&start[..count]);
        if start.contains("phx_reply") && start.contains(r#""status":"error""#) {
            return Err(format!("joining {topic} was refused: {start}"));
        }
        Ok(stream)
    }

    fn ear(&self) -> Box<dyn Ear> {
        Box::new(ViewerEar::default())
    }
}

/// Streams that were introduced by a card: the sensor, and cells per sample.
#[derive(Debug, Default)]
struct ViewerEar {
    streams: HashMap<u32, (usize, usize)>,
}

impl Ear for ViewerEar {
    fn hear(&mut self, wire: &[u8], heard: &mut dyn FnMut(Heard)) -> Result<usize, String> {
        let mut at = 0;
        while let Some((opcode, payload, length)) = websocket::first_frame(&wire[at..])? {
            at += length;
            match opcode {
                TEXT => hear_text(std::str::from_utf8(payload).map_err(|e| e.to_string())?, heard)?,
                BINARY => self
                    .hear_binary(payload, heard)
                    .ok_or("a binary frame that ends too soon, or is of no known version")?,
                8 => return Err("the server closed a viewer's connection".into()),
                _ => {}
            }
        }
        Ok(at)
    }
}

/// The JSON form (`docs/wire.md` 2.4). Not parsed, but looked through: a measurement is
/// `{attribute_id, payload, timestamp, sensor_id}` in this order.
fn hear_text(text: &str, heard: &mut dyn FnMut(Heard)) -> Result<(), String> {
    let head = &text[..text.floor_char_boundary(160)];
    let seed = head.contains(r#""composite_seed_data""#);
    if !(seed || head.contains(r#""sensor_batch""#) || head.contains(r#""sensor_digest""#)) {
        return if head.contains(r#""phx_error""#) || head.contains(r#""phx_close""#) {
            Err(format!("the server ended a viewer's channel: {head}"))
        } else {
            Ok(())
        };
    }
    if seed {
        let values = text.rfind(r#""payload":"#).map(|at| leading_number(&text[at + 10..]).0);
        let sensor = text.find(PREFIX).map(|at| leading_number(&text[at + PREFIX.len()..]).0);
        if let (Some(value), Some(sensor)) = (values, sensor) {
            heard(Heard::Seed { sensor: sensor as usize, value });
        }
        return Ok(());
    }
    let mut rest = text;
    while let Some(at) = rest.find(r#""payload":"#) {
        let (value, digits) = leading_number(&rest[at + 10..]);
        rest = &rest[at + 10 + digits..];
        let Some(at) = rest.find(r#""sensor_id":"load-"#) else { break };
        let (sensor, digits) = leading_number(&rest[at + 18..]);
        rest = &rest[at + 18 + digits..];
        heard(Heard::Sample { sensor: sensor as usize, value });
    }
    if text.contains(r#""missed":"#) {
        let parsed: (Value, Value, Value, Value, Value) =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let sensors = parsed.4["missed"].as_object().into_iter().flat_map(|map| map.values());
        let counts = sensors.filter_map(Value::as_object).flat_map(|map| map.values());
        heard(Heard::Missed(counts.filter_map(Value::as_u64).sum()));
    }
    Ok(())
}

/// The digits at the beginning, and how many they are.
fn leading_number(text: &str) -> (u64, usize) {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold((0, 0), |(n, count), digit| {
        (n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')), count + 1)
    })
}

impl ViewerEar {
    /// The binary form (`docs/wire.md` 2.5). `None` when it is not what it should be.
    fn hear_binary(&mut self, bytes: &[u8], heard: &mut dyn FnMut(Heard)) -> Option<()> {
        let mut reader = Reader(bytes);
        let [kind, join, topic, event] = *reader.take(4)? else { return None };
        reader.take(usize::from(join) + usize::from(topic))?;
        if kind != 0 || reader.take(usize::from(event))? != b"frame" {
            return Some(());
        }
        let [1, _flags] = *reader.take(2)? else { return None };
        let (cards, slices) = (reader.u16()?, reader.u32()?);
        reader.take(8)?;
        for _ in 0..cards {
            let stream = reader.u32()?;
            let width = usize::from(reader.take(1)?[0]);
            reader.take(4)?;
            let length = usize::from(reader.take(1)?[0]);
            let id = std::str::from_utf8(reader.take(length)?).ok()?;
            for _ in 0..2 {
                let length = usize::from(reader.take(1)?[0]);
                reader.take(length)?;
            }
            let length = usize::from(reader.u16()?);
            reader.take(length)?;
            let sensor = id.strip_prefix(PREFIX)?.parse().ok()?;
            self.streams.insert(stream, (sensor, width));
        }
        for _ in 0..slices {
            self.hear_slice(&mut reader, heard)?;
        }
        reader.0.is_empty().then_some(())
    }

    fn hear_slice(&self, reader: &mut Reader<'_>, heard: &mut dyn FnMut(Heard)) -> Option<()> {
        let &(sensor, width) = self.streams.get(&reader.u32()?)?;
        let [form, cell_type] = *reader.take(2)? else { return None };
        let count = usize::from(reader.u16()?);
        reader.take(8 + 4)?;
        let missed = reader.u32()?;
        if missed > 0 {
            heard(Heard::Missed(u64::from(missed)));
        }
        if form & 0x7f == 2 {
            reader.take(4)?;
            if reader.take(1)?[0] == 1 {
                reader.take(24)?;
            }
        }
        if count > 0 {
            reader.take(8 + 4 * (count - 1))?;
        }
        for index in 0..count {
            let value = if form & 0x80 != 0 || width == 0 {
                let length = reader.u32()? as usize;
                let text = std::str::from_utf8(reader.take(length)?).ok()?;
                leading_number(&text[text.find(r#""payload":"#)? + 10..]).0
            } else {
                let bytes = if cell_type == 1 { 4 } else { 8 };
                let cells = reader.take(bytes * width)?;
                match cell_type {
                    1 => f32::from_le_bytes(cells[..4].try_into().ok()?) as u64,
                    _ => f64::from_le_bytes(cells[..8].try_into().ok()?) as u64,
                }
            };
            match form & 0x7f {
                3 if index + 1 == count => heard(Heard::Seed { sensor, value }),
                3 => {}
                _ => heard(Heard::Sample { sensor, value }),
            }
        }
        Some(())
    }
}

/// Bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard_in(text: &str) -> Vec<Heard> {
        let mut all = Vec::new();
        hear_text(text, &mut |heard| all.push(heard)).unwrap();
        all
    }

    #[test]
    fn the_json_form_is_heard() {
        let batch = r#"["1",null,"viewer:data:x","sensor_batch",{"batch":{"load-3":{"ecg":[{"attribute_id":"ecg","payload":17,"timestamp":5,"sensor_id":"load-3"},{"attribute_id":"ecg","payload":18,"timestamp":6,"sensor_id":"load-3"}]}},"missed":{"load-3":{"ecg":2}}}]"#;
        assert_eq!(
            heard_in(batch),
            [
                Heard::Sample { sensor: 3, value: 17 },
                Heard::Sample { sensor: 3, value: 18 },
                Heard::Missed(2),
            ]
        );
        let seed = r#"["1",null,"viewer:data:x","composite_seed_data",{"sensor_id":"load-4","attribute_id":"ecg","data":[{"payload":1,"timestamp":5},{"payload":2,"timestamp":6}],"cursor":2}]"#;
        assert_eq!(heard_in(seed), [Heard::Seed { sensor: 4, value: 2 }]);
        assert_eq!(heard_in(r#"["1","1","viewer:data:x","phx_reply",{"status":"ok"}]"#), []);
        assert!(hear_text(r#"["1",null,"viewer:data:x","phx_close",{}]"#, &mut |_| {}).is_err());
    }

    #[test]
    fn the_binary_form_is_heard_and_its_end_is_checked() {
        let mut bytes = b"\x00\x01\x01\x05".to_vec();
        bytes.extend_from_slice(b"1tframe\x01\x00\x01\x00\x01\x00\x00\x00");
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&9_u32.to_le_bytes());
        bytes.push(1);
        bytes.extend_from_slice(&10_f32.to_le_bytes());
        bytes.extend_from_slice(b"\x06load-7\x03ecg\x03ecg\x01\x00\x01");
        bytes.extend_from_slice(&9_u32.to_le_bytes());
        bytes.extend_from_slice(&[0, 0, 2, 0]);
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&3_u32.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&41_f64.to_le_bytes());
        bytes.extend_from_slice(&42_f64.to_le_bytes());
        let mut all = Vec::new();
        assert!(ViewerEar::default().hear_binary(&bytes, &mut |heard| all.push(heard)).is_some());
        assert_eq!(
            all,
            [
                Heard::Missed(3),
                Heard::Sample { sensor: 7, value: 41 },
                Heard::Sample { sensor: 7, value: 42 },
            ]
        );
        for end in 9..bytes.len() {
            assert!(
                ViewerEar::default().hear_binary(&bytes[..end], &mut |_| {}).is_none(),
                "{end}"
            );
        }
    }
}

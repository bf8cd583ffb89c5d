//! Ours and mosquitto in turn, under the same load by the same generator, in one run.
//!
//! Absolute times mean little on a shared machine; the ratio does. W1 and W2 are the workloads of
//! the project's goals: 1,000 devices with one sensor each at 10 samples/s, watched by 50 viewers
//! on 20 sensors each (W1) or 200 on 100 (W2).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use components::viewer::Quality;
use simulator::Address;
use simulator::cli::{Form, Period};
use simulator::load::dialect::{Answer, Dialect, Ear, Guest, Heard, How, Said, Sample};
use simulator::load::process::{Child, free_port};
use simulator::load::sensocto::Sensocto;
use simulator::load::world::World;
use simulator::load::{Observed, Plan, Report, drive, websocket};

/// Compare the server with mosquitto under the same load.
#[derive(Parser)]
struct Rivals {
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// 200 viewers on 100 sensors each, instead of 50 on 20.
    #[arg(long)]
    w2: bool,
    /// How long to measure each.
    #[arg(long = "for", value_name = "TIME", default_value = "20s")]
    period: Period,
    #[arg(long, value_name = "TIME", default_value = "3s")]
    warmup: Period,
    /// How our viewers are served.
    #[arg(long, value_enum, default_value_t = Form::Json)]
    form: Form,
    /// Leave our own server out.
    #[arg(long)]
    rivals_only: bool,
    /// Absent: the one next to this program.
    #[arg(long, value_name = "PATH")]
    sensocto: Option<PathBuf>,
    #[arg(long, value_name = "PATH", default_value = "/usr/sbin/mosquitto")]
    mosquitto: PathBuf,
}

/// Where a server that was started has this long to begin to listen.
const START_TIME: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rival {
    Sensocto,
    MosquittoTcp,
    MosquittoWebSocket,
}

impl Rival {
    const ALL: [Self; 3] = [Self::Sensocto, Self::MosquittoTcp, Self::MosquittoWebSocket];

    fn name(self) -> &'static str {
        match self {
            Self::Sensocto => "sensocto",
            Self::MosquittoTcp => "mosquitto, TCP",
            Self::MosquittoWebSocket => "mosquitto, WebSocket",
        }
    }
}

fn main() -> Result<(), String> {
    let args = Rivals::parse();
    let (viewers, watch) = if args.w2 { (200, 100) } else { (50, 20) };
    let plan = Plan {
        viewers,
        watch,
        point: 0,
        dim_every: 0,
        quality: Quality::High,
        form: args.form,
        crowds: Vec::new(),
        seed: 1,
        warmup: args.warmup.0,
        period: args.period.0,
        batch: None,
        obey: false,
        surge: None,
    };
    let world = Arc::new(World::uniform(1000, 1, 10.0, "ecg"));
    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..args.runs.max(1) {
        for (rival, figures) in Rival::ALL.into_iter().zip(&mut figures) {
            if args.rivals_only && rival == Rival::Sensocto {
                continue;
            }
            // One that cannot be measured here does not take the others with it.
            let report = match run(rival, &args, &world, &plan) {
                Ok(report) => report,
                Err(why) => {
                    say(&format!("{}: not measured: {why}\n", rival.name()))?;
                    continue;
                }
            };
            let cpu = report.cpu_per_million().ok_or("the server ended before it was measured")?;
            say(&format!("{}\n{}\n", rival.name(), report.text()))?;
            figures.push((cpu, report.age().quantile(0.5), report.age().quantile(0.99)));
        }
    }
    let workload = if args.w2 { "W2" } else { "W1" };
    say(&format!("{workload}, medians of {} runs (from lowest to highest CPU)", args.runs.max(1)))?;
    let medians = figures.each_ref().map(|figures| median(figures, |figure| figure.0));
    for (index, (rival, figures)) in Rival::ALL.into_iter().zip(&figures).enumerate() {
        if figures.is_empty() {
            continue;
        }
        let lowest = figures.iter().map(|figure| figure.0).fold(f64::INFINITY, f64::min);
        let highest = figures.iter().map(|figure| figure.0).fold(0.0, f64::max);
        say(&format!(
            "{:22} {:7.2} CPU s per million in ({lowest:.2} to {highest:.2})  p50 {:.2} ms  \
             p99 {:.2} ms  ours is {:.2} of it",
            rival.name(),
            medians[index],
            median(figures, |figure| figure.1 as f64) / 1000.0,
            median(figures, |figure| figure.2 as f64) / 1000.0,
            medians[0] / medians[index],
        ))?;
    }
    Ok(())
}

fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}

fn median<T>(all: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn run(rival: Rival, args: &Rivals, world: &Arc<World>, plan: &Plan) -> Result<Report, String> {
    let port = free_port()?;
    let authority = format!("127.0.0.1:{port}");
    let child = match rival {
        Rival::Sensocto => Child::sensocto(&sensocto(args)?, port, None)?,
        _ => mosquitto(args, port, rival == Rival::MosquittoWebSocket)?,
    };
    child.wait_for(&authority, START_TIME)?;
    // Nobody's metrics are asked for: that is work that only one of them would have.
    let observed = Observed { pid: Some(child.pid()), ..Observed::default() };
    let dialect: Arc<dyn Dialect> = match rival {
        Rival::Sensocto => Arc::new(Sensocto {
            address: Address::parse(&authority)?,
            token: "missing".into(),
            viewer_token: "missing".into(),
        }),
        _ => Arc::new(Mqtt { authority, websocket: rival == Rival::MosquittoWebSocket }),
    };
    drive(&dialect, world, plan, &observed)
}

fn sensocto(args: &Rivals) -> Result<PathBuf, String> {
    if let Some(path) = &args.sensocto {
        return Ok(path.clone());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let path = own.with_file_name("sensocto");
    if path.exists() {
        return Ok(path);
    }
    Err(format!("{} is not there: build it, or name it by --sensocto", path.display()))
}

fn mosquitto(args: &Rivals, port: u16, websocket: bool) -> Result<Child, String> {
    // Mosquitto 2.0.11 does not start with a WebSocket listener alone, and binds that one to
    // loopback only when told to leave IPv6 be.
    let listener = if websocket {
        format!(
            "listener {} 127.0.0.1\nlistener {port} 127.0.0.1\nsocket_domain ipv4\n\
             protocol websockets\n",
            free_port()?
        )
    } else {
        format!("listener {port} 127.0.0.1\n")
    };
    Child::start(port, |folder| {
        let file = folder.join("mosquitto.conf");
        let config = format!(
            "{listener}allow_anonymous true\npersistence false\nlog_type none\n\
             set_tcp_nodelay true\nmax_queued_messages 10000\n"
        );
        std::fs::write(&file, config).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut command = Command::new(&args.mosquitto);
        command.arg("-c").arg(file);
        Ok(command)
    })
}

/// MQTT 3.1.1 with quality of service 0, as little of it as the load needs.
struct Mqtt {
    authority: String,
    /// MQTT in binary frames, subprotocol `mqtt`.
    websocket: bool,
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xc0;

/// Topics of a load, before the number of the sensor.
const TOPIC: &str = "load/";

/// Adds a control packet; `body` writes what is behind its length.
fn packet(kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::with_capacity(128);
    body(&mut bytes);
    out.push(kind);
    let mut length = bytes.len();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(&bytes);
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The first packet: kind, body, and its length with its head. `None` until it is whole.
fn first_packet(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&kind, rest) = bytes.split_first()?;
    let mut length = 0;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let head = 2 + index;
            return Some((kind, bytes.get(head..head + length)?, head + length));
        }
    }
    None
}

impl Mqtt {
    /// Adds MQTT bytes in the form of the transport.
    fn wrap(&self, wire: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.websocket { websocket::frame(websocket::BINARY, wire, write) } else { write(wire) }
    }

    fn open(&self, name: &str) -> Result<TcpStream, String> {
        let mut stream = if self.websocket {
            websocket::upgrade(&self.authority, "/mqtt", Some("mqtt"))?
        } else {
            websocket::connect(&self.authority)?
        };
        let connect = |out: &mut Vec<u8>| {
            packet(CONNECT, out, |body| {
                string("MQTT", body);
                // Level 4, a clean session, a minute of silence.
                body.extend_from_slice(&[4, 2, 0, 60]);
                string(name, body);
            });
        };
        self.ask(&mut stream, CONNACK, connect)?;
        Ok(stream)
    }

    /// Sends, and waits for a packet of this kind.
    fn ask(
        &self,
        stream: &mut TcpStream,
        kind: u8,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), String> {
        let mut wire = Vec::new();
        self.wrap(&mut wire, write);
        stream.write_all(&wire).map_err(|error| error.to_string())?;
        let accepted = |packet: &[u8]| match (kind, packet) {
            (CONNACK, [CONNACK, 2, _, 0]) => Ok(()),
            (SUBACK, [SUBACK, ..]) => Ok(()),
            other => Err(format!("mosquitto answered {other:?}")),
        };
        if self.websocket {
            let mut answer = Err("nothing".to_owned());
            websocket::read_until(stream, |_, payload| {
                answer = accepted(payload);
                Ok(true)
            })?;
            return answer;
        }
        // Byte for byte, so that nothing of the next packet is taken.
        let mut bytes = Vec::new();
        while first_packet(&bytes).is_none() {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|error| format!("no answer: {error}"))?;
            bytes.push(byte[0]);
        }
        accepted(&bytes)
    }
}

impl Dialect for Mqtt {
    fn open_device(&self, _world: &World, device: usize) -> Result<TcpStream, String> {
        self.open(&format!("device-{device}"))
    }

    fn write(&self, _world: &World, samples: &[Sample<'_>], wire: &mut Vec<u8>) {
        for sample in samples {
            self.wrap(wire, |out| {
                packet(PUBLISH, out, |body| {
                    string(&format!("{TOPIC}{}", sample.stream), body);
                    // Padded to the hundred bytes that a measurement takes in our own framing.
                    let (value, unix_ms) = (sample.payload, sample.unix_ms);
                    let _ = write!(
                        body,
                        r#"{{"attribute_id":"ecg","payload":{value},"timestamp":{unix_ms},"event":"measurement"}}"#
                    );
                });
            });
        }
    }

    fn heartbeat(&self, wire: &mut Vec<u8>) {
        self.wrap(wire, |out| packet(PINGREQ, out, |_| {}));
    }

    fn garbage(&self, _world: &World, _sensor: usize, chance: u64, wire: &mut Vec<u8>) {
        self.wrap(wire, |out| out.extend_from_slice(&chance.to_le_bytes()));
    }

    /// All that a device is told is that it is alive.
    fn answers(
        &self,
        _world: &World,
        wire: &[u8],
        _answered: &mut dyn FnMut(Answer),
    ) -> Result<usize, String> {
        Ok(wire.len())
    }

    fn open_viewer(
        &self,
        world: &World,
        guest: &Guest,
    ) -> Result<(TcpStream, Box<dyn Ear>), String> {
        let mut stream = self.open(&format!("viewer-{}", guest.number))?;
        let lens = guest.lens.clone().unwrap_or_else(|| (0..world.sensors.len()).collect());
        self.ask(&mut stream, SUBACK, |out| {
            packet(SUBSCRIBE, out, |body| {
                body.extend_from_slice(&[0, 1]);
                for stream in lens.into_iter().flat_map(|n| world.sensors[n].streams.clone()) {
                    string(&format!("{TOPIC}{stream}"), body);
                    body.push(0);
                }
            });
        })?;
        Ok((stream, Box::new(MqttEar { websocket: self.websocket, stream: Vec::new() })))
    }
}

struct MqttEar {
    websocket: bool,
    /// MQTT bytes out of frames: a packet may begin in one and end in another.
    stream: Vec<u8>,
}

impl Ear for MqttEar {
    fn hear(
        &mut self,
        _world: &World,
        wire: &[u8],
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<usize, String> {
        if !self.websocket {
            let used = hear_packets(wire, heard);
            heard(Heard::End);
            return Ok(used);
        }
        let mut at = 0;
        while let Some((opcode, payload, length)) = websocket::first_frame(&wire[at..])? {
            at += length;
            if opcode == websocket::CLOSE {
                return Err(websocket::closed("a viewer's connection", payload));
            }
            self.stream.extend_from_slice(payload);
        }
        let used = hear_packets(&self.stream, heard);
        heard(Heard::End);
        self.stream.drain(..used);
        Ok(at)
    }

    fn heartbeat(&mut self, wire: &mut Vec<u8>) {
        let mqtt = Mqtt { authority: String::new(), websocket: self.websocket };
        Dialect::heartbeat(&mqtt, wire);
    }
}

fn hear_packets(bytes: &[u8], heard: &mut dyn FnMut(Heard<'_>)) -> usize {
    let mut at = 0;
    while let Some((kind, body, length)) = first_packet(&bytes[at..]) {
        at += length;
        if kind == PUBLISH
            && let Some(sample) = sample_of(body)
        {
            heard(sample);
        }
    }
    at
}

fn sample_of(body: &[u8]) -> Option<Heard<'_>> {
    let (length, rest) = body.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let (topic, payload) = rest.split_at_checked(length)?;
    let stream = std::str::from_utf8(topic).ok()?.strip_prefix(TOPIC)?.parse().ok()?;
    let text = std::str::from_utf8(payload).ok()?;
    let behind = |key: &str| {
        let value = &text[text.find(key)? + key.len()..];
        Some(&value[..value.find(|c: char| !c.is_ascii_digit())?])
    };
    let said = Said::Json(behind(r#""payload":"#)?);
    let unix_ms = behind(r#""timestamp":"#)?.parse().ok()?;
    Some(Heard::Sample { stream, unix_ms, said, how: How::Raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_heard() {
        let mqtt = Mqtt { authority: String::new(), websocket: false };
        let world = World::uniform(1000, 1, 10.0, "ecg");
        let sample = |stream, unix_ms, payload| Sample { stream, unix_ms, payload, extra: "" };
        let samples =
            [sample(12, 1_767_225_600_000, "281474976710656"), sample(999, 1_767_225_600_005, "7")];
        let mut wire = Vec::new();
        mqtt.write(&world, &samples, &mut wire);
        assert!((90..130).contains(&(wire.len() / 2)), "{}", wire.len());
        let mut all = Vec::new();
        let used =
            hear_packets(&wire[..wire.len() - 1], &mut |heard| all.push(format!("{heard:?}")));
        assert_eq!(
            all,
            [
                r#"Sample { stream: 12, unix_ms: 1767225600000, said: Json("281474976710656"), how: Raw }"#
            ]
        );
        hear_packets(&wire[used..], &mut |heard| all.push(format!("{heard:?}")));
        assert!(all[1].contains("stream: 999") && all[1].contains(r#"Json("7")"#));
    }

    #[test]
    fn lengths_beyond_one_byte_come_back() {
        for length in [0, 127, 128, 20_000] {
            let mut wire = Vec::new();
            packet(PUBLISH, &mut wire, |body| body.resize(length, 1));
            let (kind, body, used) = first_packet(&wire).unwrap();
            assert_eq!((kind, body.len(), used), (PUBLISH, length, wire.len()));
        }
    }
}

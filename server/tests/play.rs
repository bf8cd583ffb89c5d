//! A recording played as `sensocto play` does, into the whole server, and watched by a viewer.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::config::{Config, Given};
use server::house::House;
use simulator::cli::{Play, Speed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(30);
const START_MS: i64 = 1_000_000;

/// A server without people of its own, on a free port.
fn config() -> Config {
    let mut given = Given::default();
    for (key, value) in
        [("listen", "127.0.0.1:0"), ("simulate", "none"), ("load", "normal"), ("auth", "dev")]
    {
        given.flag(key, value).unwrap();
    }
    given.check().unwrap()
}

async fn mint(address: SocketAddr, asked: Value) -> Value {
    let body = asked.to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /api/viewers HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

/// Everything a viewer of JSON heard of one attribute.
struct Viewer {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    samples: Vec<(f64, i64)>,
    missed: u64,
    seeds: usize,
}

impl Viewer {
    async fn join(address: SocketAddr) -> Self {
        let minted = mint(address, json!({"sensors": "all", "quality": "high"})).await;
        let url = format!("ws://{address}/socket/websocket?vsn=2.0.0");
        let (mut ws, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let join = json!(["1", "1", minted["topic"], "phx_join", {}]);
        ws.send(Message::text(join.to_string())).await.unwrap();
        let Message::Text(reply) = ws.next().await.unwrap().unwrap() else { panic!() };
        assert!(reply.contains(r#""status":"ok""#), "{reply}");
        Self { ws, samples: Vec::new(), missed: 0, seeds: 0 }
    }

    /// Hears until there are `count` samples, those that were missed included.
    async fn hear(&mut self, count: u64, attribute: &str) {
        while self.samples.len() as u64 + self.missed < count {
            let Message::Text(text) = self.ws.next().await.expect("more").unwrap() else {
                continue;
            };
            let (_, _, _, event, payload): (Value, Value, Value, String, Value) =
                serde_json::from_str(&text).unwrap();
            let list = match event.as_str() {
                "composite_seed_data" => {
                    self.seeds += 1;
                    &payload["data"]
                }
                "sensor_batch" => {
                    self.missed += payload["missed"]["numbers"][attribute].as_u64().unwrap_or(0);
                    &payload["batch"]["numbers"][attribute]
                }
                _ => continue,
            };
            self.samples.extend(list.as_array().into_iter().flatten().map(|sample| {
                (sample["payload"].as_f64().unwrap(), sample["timestamp"].as_i64().unwrap())
            }));
        }
    }
}

/// Numbers that are no pattern to anybody, with and without a fraction.
fn values(count: usize) -> Vec<f64> {
    (0..count)
        .map(|n| {
            let odd = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            if n % 3 == 0 { odd as f64 } else { odd as f64 / 1e4 - 600.0 }
        })
        .collect()
}

async fn arrives_whole(count: usize, attribute: &str, rate: f64) {
    let values = values(count);
    let folder = std::env::temp_dir().join(format!("sensocto-{attribute}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("numbers.csv");
    let lines: String = values.iter().map(|value| format!("x,{value}\n")).collect();
    std::fs::write(&file, format!("note,value\n{lines}")).unwrap();

    let house = House::open(config()).await.unwrap();
    let mut viewer = Viewer::join(house.address).await;
    let play = Play {
        file,
        rate,
        attribute: attribute.into(),
        to: format!("http://{}", house.address),
        column: Some("value".into()),
        sensor_id: None,
        sensor_name: None,
        sensor_type: None,
        speed: Speed::Max,
        repeat: false,
        token: "missing".into(),
        start_now: false,
        start: Some(START_MS),
    };
    let (played, heard) = tokio::join!(
        timeout(PATIENCE, play.run()),
        timeout(PATIENCE, viewer.hear(count as u64, attribute))
    );
    std::fs::remove_dir_all(&folder).unwrap();
    played.expect("played in time").unwrap();
    heard.unwrap_or_else(|_| panic!("{} of {count} samples", viewer.samples.len()));
    assert_eq!((viewer.missed, viewer.seeds), (0, 1));
    let stamp = |n: usize| START_MS + (n as f64 * 1000.0 / rate).round() as i64;
    for (n, (heard, value)) in viewer.samples.iter().zip(&values).enumerate() {
        assert_eq!(*heard, (*value, stamp(n)), "sample {n}");
    }
    assert_eq!(viewer.samples.len(), count);
    drop(viewer);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ecg_played_as_fast_as_may_be_reaches_a_viewer_value_for_value() {
    arrives_whole(8000, "ecg", 360.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breath_played_as_fast_as_may_be_reaches_a_viewer_value_for_value() {
    // Its ring keeps a quarter of an ECG's: at the speed of an ECG a viewer missed most of it.
    arrives_whole(4000, "respiration", 1000.0).await;
}

//! What the server says of itself over HTTP: how hard it is pressed, and how old samples are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::config::Given;
use server::house::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(20);

async fn house(settings: &[(&str, &str)]) -> House {
    let mut given = Given::default();
    given.flag("listen", "127.0.0.1:0").unwrap();
    given.flag("simulate", "none").unwrap();
    for (key, value) in settings {
        given.flag(key, *value).unwrap();
    }
    House::open(given.check().unwrap()).await.unwrap()
}

/// One HTTP request over a connection of its own: status and body.
async fn http(house: &House, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        house.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Asks again until `wanted` makes something of the page.
async fn metrics_until<T>(house: &House, mut wanted: impl FnMut(&Metrics) -> Option<T>) -> T {
    let asking = async {
        loop {
            let (status, page) = http(house, "GET", "/metrics", "").await;
            assert_eq!(status, 200);
            if let Some(found) = wanted(&Metrics::read(&page)) {
                return found;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it comes")
}

type Labels = BTreeMap<String, String>;

/// A page of metrics, read as strictly as Prometheus' own checker does.
struct Metrics(Vec<(String, Labels, f64)>);

impl Metrics {
    fn read(page: &str) -> Self {
        assert!(page.ends_with('\n'), "the last line ends too");
        let (mut families, mut series) = (BTreeMap::new(), BTreeSet::new());
        let (mut helped, mut family) = (None, None::<(String, String)>);
        let mut samples = Vec::new();
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(text.len() > 3 && text.ends_with('.'), "a sentence: {line}");
                helped = Some(name.to_owned());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(helped.take().as_deref(), Some(name), "help comes first: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(
                    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                );
                for unit in ["_ms", "_micros", "_nanos", "_kib", "_mib", "_percent"] {
                    assert!(!name.contains(unit), "base units only: {line}");
                }
                let former = families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(former, None, "a family is written in one piece: {line}");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let (name, labels, value) = sample(line);
                let (of, kind) = family.as_ref().expect("a type before the first sample");
                let suffix = name.strip_prefix(of.as_str()).expect(line);
                let known: &[&str] =
                    if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(known.contains(&suffix), "{line}");
                assert!(value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
                assert!(series.insert((name.clone(), labels.clone())), "written twice: {line}");
                samples.push((name, labels, value));
            }
        }
        let metrics = Self(samples);
        for (name, _) in families.iter().filter(|(_, kind)| *kind == "histogram") {
            metrics.check_histogram(name);
        }
        metrics
    }

    /// Buckets grow, the last is everything, and count says the same.
    fn check_histogram(&self, name: &str) {
        let counts = self.0.iter().filter(|(known, ..)| *known == format!("{name}_count"));
        for (_, labels, count) in counts {
            let buckets: Vec<(f64, f64)> = self
                .0
                .iter()
                .filter(|(known, ..)| *known == format!("{name}_bucket"))
                .filter(|(_, of, _)| {
                    let mut of = of.clone();
                    of.remove("le");
                    of == *labels
                })
                .map(|(_, of, value)| (of["le"].parse().unwrap(), *value))
                .collect();
            assert!(buckets.len() > 2 && buckets.is_sorted(), "{name}{labels:?}: {buckets:?}");
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}{labels:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name}{labels:?}");
            assert!(self.get(&format!("{name}_sum"), labels).is_some(), "{name}{labels:?}");
        }
    }

    fn get(&self, name: &str, labels: &Labels) -> Option<f64> {
        let found = self.0.iter().find(|(known, of, _)| known == name && of == labels);
        found.map(|(.., value)| *value)
    }

    fn of(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        self.get(&format!("sensocto_{name}"), &labels)
    }
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let mut labels = Labels::new();
    for label in rest.strip_suffix('}').expect(line).split(',') {
        let (key, of) = label.split_once('=').expect(line);
        let of = of.strip_prefix('"').and_then(|of| of.strip_suffix('"')).expect(line);
        assert!(labels.insert(key.to_owned(), of.to_owned()).is_none(), "{line}");
    }
    (name.to_owned(), labels, value)
}

/// A Phoenix client, v2.
struct Client {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    reference: u64,
}

impl Client {
    async fn connect(house: &House) -> Self {
        let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
        let (ws, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { ws, reference: 0 }
    }

    async fn ask(&mut self, topic: &str, event: &str, payload: Value) -> Value {
        self.reference += 1;
        let reference = self.reference.to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        self.ws.send(Message::text(frame)).await.unwrap();
        self.until(|frame| {
            (frame[3] == "phx_reply" && frame[1] == reference).then(|| frame[4].clone())
        })
        .await
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        loop {
            let message = timeout(PATIENCE, self.ws.next()).await.expect("something comes");
            if let Ok(text) = message.unwrap().unwrap().to_text()
                && let Some(found) = wanted(&serde_json::from_str(text).unwrap())
            {
                return found;
            }
        }
    }
}

async fn watch(house: &House) -> (Client, String) {
    let wishes = json!({"sensors": "all"}).to_string();
    let (status, answer) = http(house, "POST", "/api/viewers", &wishes).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let topic = answer["topic"].as_str().unwrap().to_owned();
    let mut viewer = Client::connect(house).await;
    assert_eq!(viewer.ask(&topic, "phx_join", json!({})).await["status"], "ok");
    (viewer, topic)
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads_and_say_how_hard_each_resource_is_pressed() {
    let house = house(&[("simulate", "few")]).await;
    let (mut viewer, _) = watch(&house).await;
    viewer.until(|frame| (frame[3] == "sensor_batch").then_some(())).await;
    let resources = ["cpu", "cpu_system", "queue", "tick", "broadcast", "memory"];
    let of = metrics_until(&house, |metrics| {
        let of = resources.map(|name| metrics.of("pressure_ratio", &[("resource", name)]));
        let waited = metrics.of("message_wait_seconds_count", &[]).unwrap();
        // A process that simulates eight people has used some of its processor within a second.
        (of[0]? > 0.0 && of[3]? > 0.0 && waited > 0.0).then_some(of)
    })
    .await;
    for (name, used) in resources.iter().zip(of) {
        let used = used.unwrap();
        assert!((0.0..1000.0).contains(&used), "{name}: {used}");
    }
    assert!(of[5].unwrap() > 0.0, "memory is used: {of:?}");
    drop(viewer);
    house.close().await;
}

async fn api(house: &House, path: &str) -> (u16, Value) {
    let (status, body) = http(house, "GET", path, "").await;
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}")))
}

/// Asks again until `wanted` makes something of the answer.
async fn api_until<T>(house: &House, path: &str, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
    let asking = async {
        loop {
            let (status, answer) = api(house, path).await;
            assert_eq!(status, 200, "{answer}");
            if let Some(found) = wanted(&answer) {
                return found;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it comes")
}

#[tokio::test]
async fn the_system_says_what_was_asked_for_and_for_any_stream_who_made_it_less() {
    let house = house(&[("simulate", "few")]).await;
    let (mut viewer, topic) = watch(&house).await;
    let sensor = viewer
        .until(|frame| {
            let batch = frame[4]["batch"].as_object()?;
            batch.iter().find(|(_, of)| of.get("ecg").is_some()).map(|(id, _)| id.clone())
        })
        .await;
    let look = json!({"visible": null, "focused": [sensor]});
    assert_eq!(viewer.ask(&topic, "attention", look).await["status"], "ok");
    let health = json!({"fps": 60, "droppedFrames": 0});
    assert_eq!(viewer.ask(&topic, "client_health", health).await["status"], "ok");
    let (number, system) = api_until(&house, "/api/system", |system| {
        let row = &system["top"]["viewers"][0];
        let measured = system["load"]["pressures"][0]["measured"].as_f64()? > 0.0;
        (measured && row["asked_sps"].as_f64()? > 0.0 && row["health"] == 100.0)
            .then(|| (row["viewer"].as_u64().unwrap(), system.clone()))
    })
    .await;
    let load = &system["load"];
    let names: Vec<&str> = load["pressures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pressure| pressure["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cpu", "cpu_system", "queue", "tick", "broadcast", "memory"]);
    assert_eq!(load["weights"], json!({"cpu":0.45,"broadcast":0.3,"queue":0.15,"memory":0.1}));
    assert_eq!(load["thresholds"][2]["level"], "critical");
    assert_eq!(system["balanced"], true);
    assert_eq!(system["flow"]["levels"][0]["level"], "high");
    // However busy this machine is with other tests.
    let pacing = &system["pacing"][0];
    assert_eq!((&pacing["level"], &pacing["paused"]), (&json!("high"), &json!(false)));
    assert!((100..=200).contains(&pacing["window_ms"].as_u64().unwrap()), "{pacing}");
    assert!(system["top"]["sensors"][0]["in_sps"].as_f64().unwrap() > 0.0);

    let path = format!("/api/system/decision?viewer={number}&sensor={sensor}&attribute=ecg");
    let (status, decision) = api(&house, &path).await;
    assert_eq!(status, 200, "{decision}");
    assert_eq!((&decision["form"], &decision["limited_by"]), (&json!("raw"), &Value::Null));
    assert_eq!(decision["asked_hz"], decision["allowed_hz"]);
    assert!(decision["delivered_hz"].as_f64().unwrap() > 0.0, "{decision}");
    for (path, status) in [
        ("/api/system/decision", 400),
        ("/api/system/decision?viewer=x&sensor=y", 400),
        ("/api/system/decision?viewer=99&sensor=nobody", 404),
    ] {
        assert_eq!(api(&house, path).await.0, status, "{path}");
    }
    assert_eq!(http(&house, "POST", "/api/system", "{}").await.0, 405);

    let trace = api_until(&house, "/api/system/traces", |answer| {
        let traces = answer["traces"].as_array()?;
        traces.iter().find(|trace| trace["viewers"].as_u64() > Some(0)).cloned()
    })
    .await;
    let stages: Vec<(&str, f64)> = trace["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| (stage["stage"].as_str().unwrap(), stage["at_ms"].as_f64().unwrap()))
        .filter(|(name, _)| *name != "device")
        .collect();
    let names: Vec<&str> = stages.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["door", "tick", "flush", "written"]);
    assert!(stages.is_sorted_by(|a, b| a.1 <= b.1), "{stages:?}");
    drop(viewer);
    house.close().await;
}

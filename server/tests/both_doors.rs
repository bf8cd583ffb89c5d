//! The whole server, real engine and all: what a device sends at one door is what a viewer gets
//! at the other.

#[cfg(feature = "faults")]
#[path = "both_doors/faults.rs"]
mod faults;
#[path = "both_doors/groups.rs"]
mod groups;
#[cfg(feature = "faults")]
#[path = "both_doors/storage.rs"]
mod storage;
#[cfg(feature = "faults")]
#[path = "both_doors/tasks.rs"]
mod tasks;

use std::collections::BTreeMap;
use std::time::Duration;

use components::wire::viewer::frame::{FrameReader, FrameValues};
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
    given.flag("load", "normal").unwrap();
    for (key, value) in settings {
        given.flag(key, *value).unwrap();
    }
    House::open(given.check().unwrap()).await.unwrap()
}

/// A Phoenix client, v2.
struct Client {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    reference: u64,
    /// What came while something else was waited for.
    kept: Vec<Message>,
}

impl Client {
    async fn connect(house: &House) -> Self {
        let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
        let (ws, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { ws, reference: 0, kept: Vec::new() }
    }

    /// Sends an event; its ref.
    async fn push(&mut self, topic: &str, event: &str, payload: Value) -> String {
        self.reference += 1;
        let reference = self.reference.to_string();
        let frame = json!(["1", reference, topic, event, payload]).to_string();
        self.ws.send(Message::text(frame)).await.unwrap();
        reference
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.ws.next()).await.expect("something comes").unwrap().unwrap()
    }

    /// Waits for what `wanted` makes something of, and keeps what comes before it.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        if let Some(at) = self.kept.iter().position(|message| wanted(message).is_some()) {
            let message = self.kept.remove(at);
            return wanted(&message).unwrap();
        }
        loop {
            let message = self.next().await;
            match wanted(&message) {
                Some(found) => return found,
                None => self.kept.push(message),
            }
        }
    }

    async fn event(&mut self, name: &str) -> Value {
        self.until(|message| {
            let frame: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
            (frame[3] == name).then(|| frame[4].clone())
        })
        .await
    }

    async fn reply(&mut self, reference: &str) -> Value {
        self.until(|message| {
            let frame: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
            (frame[3] == "phx_reply" && frame[1] == reference).then(|| frame[4].clone())
        })
        .await
    }

    async fn ask(&mut self, topic: &str, event: &str, payload: Value) -> Value {
        let reference = self.push(topic, event, payload).await;
        self.reply(&reference).await
    }
}

async fn join_sensor(house: &House, id: &str) -> (Client, String) {
    let mut device = Client::connect(house).await;
    let topic = format!("sensocto:sensor:{id}");
    let params = json!({
        "connector_id": "c", "connector_name": "C", "sensor_id": id, "sensor_name": id,
        "sensor_type": "ecg", "attributes": ["ecg"], "sampling_rate": 250, "batch_size": 1,
        "bearer_token": "missing",
    });
    assert_eq!(device.ask(&topic, "phx_join", params).await["status"], "ok");
    (device, topic)
}

/// One HTTP request over a connection of its own: status and body.
async fn http(house: &House, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
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
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn mint(house: &House, wishes: Value) -> (String, String) {
    let (status, answer) = http(house, "POST", "/api/viewers", &wishes).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["expires_in"], 3600);
    (answer["token"].as_str().unwrap().into(), answer["topic"].as_str().unwrap().into())
}

async fn watch(house: &House, wishes: Value, join: Value) -> (Client, String, String) {
    let (token, topic) = mint(house, wishes).await;
    let mut viewer = Client::connect(house).await;
    assert_eq!(viewer.ask(&topic, "phx_join", join).await["status"], "ok");
    (viewer, topic, token)
}

/// Everything a JSON viewer gets of one attribute, in order, until there are `count`.
async fn values(viewer: &mut Client, sensor: &str, attribute: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        let (event, payload) = viewer
            .until(|message| {
                let frame: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
                let event = frame[3].as_str()?.to_owned();
                matches!(&*event, "composite_seed_data" | "sensor_batch")
                    .then(|| (event, frame[4].clone()))
            })
            .await;
        if event == "composite_seed_data" {
            if payload["sensor_id"] == sensor && payload["attribute_id"] == attribute {
                all.extend(
                    payload["data"].as_array().unwrap().iter().map(|m| m["payload"].clone()),
                );
            }
            continue;
        }
        assert_eq!(payload.get("missed"), None);
        match &payload["batch"][sensor][attribute] {
            Value::Array(list) => all.extend(list.iter().map(|m| m["payload"].clone())),
            Value::Null => {}
            one => all.push(one["payload"].clone()),
        }
    }
    all
}

#[tokio::test]
async fn what_a_device_sends_a_viewer_gets_value_for_value() {
    let house = house(&[]).await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let sent = [
        json!(42),
        json!(-0.17713645166970463),
        json!([1.0, 2.0]),
        json!({"value": 23.5, "unit": "C"}),
        json!("text"),
        json!(true),
        json!(null),
        json!(1.2000000000000002),
        json!(9007199254740993i64),
        json!({"accelerometer": {"x": 0.5, "y": -1, "z": 9.81}}),
    ];
    for (n, payload) in sent.iter().enumerate() {
        let measurement = json!({"attribute_id": "ecg", "payload": payload, "timestamp": n});
        device.push(&topic, "measurement", measurement).await;
    }
    let more: Vec<Value> = (0..500).map(|n| json!(f64::from(n) / 7.0)).collect();
    let batch: Vec<Value> = more
        .iter()
        .map(|payload| json!({"attribute_id": "ecg", "payload": payload, "timestamp": 10}))
        .collect();
    device.push(&topic, "measurements_batch", json!(batch)).await;
    let expected: Vec<Value> = sent.into_iter().chain(more).collect();
    assert_eq!(values(&mut viewer, "s", "ecg", expected.len()).await, expected);
    house.close().await;
}

#[tokio::test]
async fn a_binary_viewer_gets_cards_seeds_and_live_slices_that_join() {
    let house = house(&[]).await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let join = json!({"form": "binary", "version": 1});
    // The past is there before the viewer comes.
    for n in 0..100 {
        let measurement = json!({"attribute_id": "ecg", "payload": n, "timestamp": n});
        device.push(&topic, "measurement", measurement).await;
    }
    device.ask(&topic, "ping", json!({})).await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": "all"}), join).await;
    let roster = viewer.event("roster").await;
    assert_eq!(roster["full"], true);
    assert_eq!(roster["sensors"][0]["sensor_id"], "s");
    assert_eq!(viewer.event("quality_changed").await["level"], "high");
    let (mut reader, mut next, mut sent) = (FrameReader::default(), None, 100);
    while next != Some(200) {
        let bytes = viewer
            .until(|message| match message {
                Message::Binary(bytes) => Some(bytes.clone()),
                _ => None,
            })
            .await;
        // `00 jl tl el`, then the three, then the frame.
        let skip = 4 + bytes[1..4].iter().map(|&n| usize::from(n)).sum::<usize>();
        let frame = reader.read(&bytes[skip..]).unwrap();
        for slice in &frame.slices {
            assert_eq!(slice.from, next.unwrap_or(0), "each begins where the one before ended");
            let numbers: Vec<f64> =
                (slice.from..slice.from + u64::from(slice.covered)).map(|n| n as f64).collect();
            assert_eq!(slice.values, FrameValues::Cells(numbers));
            next = Some(slice.from + u64::from(slice.covered));
        }
        if sent < 200 {
            let measurement = json!({"attribute_id": "ecg", "payload": sent, "timestamp": sent});
            device.push(&topic, "measurement", measurement).await;
            sent += 1;
        }
    }
    house.close().await;
}

#[tokio::test]
async fn attention_reaches_the_device_and_goes_with_its_viewer() {
    let house = house(&[]).await;
    let (mut device, _) = join_sensor(&house, "s").await;
    assert_eq!(device.event("backpressure_config").await["attention_level"], "none");
    let (mut viewer, topic, token) =
        watch(&house, json!({"sensors": ["s"], "visible": []}), json!({})).await;
    let focus = json!({"visible": ["s"], "focused": ["s"]});
    assert_eq!(viewer.ask(&topic, "attention", focus).await["status"], "ok");
    let config = device.event("backpressure_config").await;
    assert_eq!(config["attention_level"], "high");
    assert_eq!(
        (&config["recommended_batch_window"], &config["recommended_batch_size"]),
        (&json!(100), &json!(1))
    );
    viewer.ask(&topic, "attention", json!({"visible": ["s"]})).await;
    assert_eq!(device.event("backpressure_config").await["attention_level"], "medium");
    let (status, _) =
        http(&house, "PATCH", &format!("/api/viewers/{token}"), &json!({"visible": []})).await;
    assert_eq!(status, 200);
    assert_eq!(device.event("backpressure_config").await["attention_level"], "none");
    viewer.ask(&topic, "attention", json!({"hovered": ["s"]})).await;
    assert_eq!(device.event("backpressure_config").await["attention_level"], "high");
    drop(viewer);
    assert_eq!(device.event("backpressure_config").await["attention_level"], "none");
    house.close().await;
}

/// `reference/wire.md` H6.
#[tokio::test]
async fn a_receiver_hears_one_sensor_measurement_by_measurement() {
    let house = house(&[]).await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let mut receiver = Client::connect(&house).await;
    let params = json!({
        "connector_id": "c", "connector_name": "C", "sensor_id": "s",
        "sensor_type": "receiver", "bearer_token": "missing",
    });
    assert_eq!(receiver.ask(&topic, "phx_join", params).await["status"], "ok");
    // The first it hears is what is now; from there on, everything.
    let mut heard: Vec<i64> = Vec::new();
    let mut n = 0;
    while heard.len() < 20 {
        device
            .push(
                &topic,
                "measurement",
                json!({"attribute_id": "temperature", "payload": n, "timestamp": n}),
            )
            .await;
        n += 1;
        let measurement = receiver.event("measurement").await;
        assert_eq!(measurement["sensor_id"], "s");
        assert_eq!(measurement["attribute_id"], "temperature");
        assert_eq!(measurement["payload"], measurement["timestamp"]);
        heard.push(measurement["payload"].as_i64().unwrap());
    }
    let first = heard[0];
    assert_eq!(heard, (first..first + 20).collect::<Vec<_>>());
    house.close().await;
}

/// Checklist 44: a command reaches the devices of its sensor, and only through a lens that has it.
#[tokio::test]
async fn a_command_reaches_the_device_it_is_for_and_no_other() {
    let house = house(&[]).await;
    let (mut mine, mine_topic) = join_sensor(&house, "mine").await;
    let (mut other, other_topic) = join_sensor(&house, "other").await;
    let (mut viewer, topic, _) = watch(&house, json!({"sensors": ["mine"]}), json!({})).await;
    let command = |id: &str| json!({"sensor_id": id, "command": "vibrate", "speed": 0.5});
    assert_eq!(viewer.ask(&topic, "device_command", command("other")).await["status"], "ok");
    assert_eq!(viewer.ask(&topic, "device_command", command("mine")).await["status"], "ok");
    let wrong = json!({"sensor_id": "mine", "command": "explode"});
    let refused = viewer.ask(&topic, "device_command", wrong).await;
    assert_eq!(refused["response"]["reason"], "invalid_payload");
    assert_eq!(mine.event("device_command").await, json!({"command": "vibrate", "speed": 0.5}));
    // What is said to the engine later is heard later: had there been a word, it would be here.
    other.ask(&other_topic, "ping", json!({})).await;
    mine.ask(&mine_topic, "ping", json!({})).await;
    for client in [&mine, &other] {
        assert!(client.kept.iter().all(|m| !m.to_string().contains("device_command")));
    }
    house.close().await;
}

#[tokio::test]
async fn the_simulated_people_are_there_from_the_start() {
    let house = house(&[("simulate", "few")]).await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["ada:ecg"]}), json!({})).await;
    let ecg = values(&mut viewer, "ada:ecg", "ecg", 500).await;
    let numbers: Vec<f64> = ecg.iter().map(|value| value.as_f64().unwrap()).collect();
    let (min, max) = numbers.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (x.min(a), x.max(b)));
    assert!(max > 0.7 && max < 2.0 && min > -1.0, "two seconds of ECG in mV: {min} to {max}");
    house.close().await;
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_answered_with_what_is_wrong() {
    let house = house(&[]).await;
    for (wishes, says) in [
        (json!({}), "sensors"),
        (json!({"sensors": 3}), "sensors"),
        (json!({"sensors": "all", "quality": "best"}), "quality"),
        (json!({"sensors": ["x".repeat(300)]}), "sensors"),
        (json!({"sensors": "all", "visible": "s"}), "visible"),
    ] {
        let (status, answer) = http(&house, "POST", "/api/viewers", &wishes).await;
        assert_eq!(status, 400, "{wishes}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer}");
    }
    let (status, answer) =
        http(&house, "PATCH", "/api/viewers/nobody", &json!({"sensors": "all"})).await;
    assert_eq!((status, &answer["error"]), (404, &json!("unknown viewer")));
    house.close().await;
}

#[tokio::test]
async fn strict_doors_let_in_only_who_is_on_the_list() {
    let house = house(&[
        ("auth", "strict"),
        ("device_tokens", "ada:k1,eve:k2"),
        ("viewer_tokens", "web:k3"),
    ])
    .await;
    let (status, _) = http(&house, "POST", "/api/viewers", &json!({"sensors": "all"})).await;
    assert_eq!(status, 401);
    let mut answers = BTreeMap::new();
    for token in ["missing", "fake", "", "k3", "k1", "k2"] {
        let mut device = Client::connect(&house).await;
        let params = json!({
            "connector_id": "c", "connector_name": "C", "sensor_id": "s", "sensor_name": "s",
            "sensor_type": "ecg", "attributes": {}, "sampling_rate": 1, "batch_size": 1,
            "bearer_token": token,
        });
        let reply = device.ask("sensocto:sensor:s", "phx_join", params).await;
        answers.insert(token, reply["response"]["reason"].as_str().unwrap_or("ok").to_owned());
    }
    // Ada came first with the sensor, and it is hers: it lingers when her device is gone.
    let expected = [
        ("", "unauthorized"),
        ("fake", "unauthorized"),
        ("k1", "ok"),
        ("k2", "not_owner"),
        ("k3", "unauthorized"),
        ("missing", "unauthorized"),
    ];
    assert_eq!(answers, expected.map(|(token, answer)| (token, answer.to_owned())).into());
    house.close().await;
}

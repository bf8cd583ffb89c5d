//! The past of a sensor over HTTP: kept from when somebody asks for it, as it came, until somebody
//! has it deleted.

use std::path::PathBuf;
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
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
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn house(data: Option<&Folder>) -> House {
    let mut given = Given::default();
    given.flag("listen", "127.0.0.1:0").unwrap();
    given.flag("simulate", "none").unwrap();
    given.flag("load", "normal").unwrap();
    given.flag("device_tokens", "anna:good,bert:other").unwrap();
    if let Some(data) = data {
        given.flag("data", data.0.to_str().unwrap()).unwrap();
    }
    House::open(given.check().unwrap()).await.unwrap()
}

/// One HTTP request over a connection of its own: status and body.
async fn raw(house: &House, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        house.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

async fn ask(house: &House, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = raw(house, method, path, body).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A device that measures for this sensor; its join's answer.
async fn device(house: &House, token: &str) -> (Ws, Value) {
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
    let mut ws = tokio_tungstenite::connect_async(url).await.unwrap().0;
    let join = json!({
        "connector_id": "c", "connector_name": "c", "sensor_id": "s", "sensor_name": "s",
        "sensor_type": "ecg", "attributes": {}, "sampling_rate": 10, "batch_size": 1, "bearer_token": token,
    });
    let answer = say(&mut ws, "phx_join", join).await;
    (ws, answer)
}

/// Says something, and waits for the answer.
async fn say(ws: &mut Ws, event: &str, payload: Value) -> Value {
    let frame = json!(["1", event, "sensocto:sensor:s", event, payload]).to_string();
    ws.send(Message::text(frame)).await.unwrap();
    let answered = async {
        loop {
            if let Some(Ok(Message::Text(text))) = ws.next().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame[1] == event && frame[3] == "phx_reply" {
                    return frame[4].clone();
                }
            }
        }
    };
    timeout(PATIENCE, answered).await.expect("an answer")
}

/// Measures, without waiting for an answer: there is none.
async fn measure(ws: &mut Ws, samples: &[(i64, Value)]) {
    let batch: Vec<Value> = samples
        .iter()
        .map(
            |(stamp, payload)| json!({"attribute_id": "a", "payload": payload, "timestamp": stamp}),
        )
        .collect();
    let frame = json!(["1", "m", "sensocto:sensor:s", "measurements_batch", batch]).to_string();
    ws.send(Message::text(frame)).await.unwrap();
}

const PATH: &str = "/api/sensors/s/history";

/// The columns of an Arrow stream, and its rows as numbers, as its own reader has them.
fn arrow_table(stream: &[u8]) -> (Vec<String>, Vec<Vec<Option<f64>>>) {
    let reader = arrow_ipc::reader::StreamReader::try_new(stream, None).unwrap();
    let schema = reader.schema();
    assert_eq!(schema.metadata().get("sensor_id").map(String::as_str), Some("s"));
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let time = batch.column(0).as_primitive::<TimestampMillisecondType>();
        for row in 0..batch.num_rows() {
            let mut numbers = vec![Some(time.value(row) as f64)];
            numbers.extend(batch.columns()[1..].iter().map(|column| {
                column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row))
            }));
            rows.push(numbers);
        }
    }
    (schema.fields().iter().map(|field| field.name().clone()).collect(), rows)
}

/// Asks until there are so many samples.
async fn samples(house: &House, count: usize) -> Value {
    let path = format!("{PATH}?attribute=a&from=0&to=100000000");
    let asking = async {
        loop {
            let (status, past) = ask(house, "GET", &path, "").await;
            assert_eq!(status, 200, "{past}");
            if past["samples"].as_array().unwrap().len() == count {
                return past;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("they come")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_past_is_kept_from_when_somebody_asks_until_it_is_deleted() {
    let data = Folder::new("past");
    let first = house(Some(&data)).await;
    let (mut ws, joined) = device(&first, "good").await;
    assert_eq!(joined["status"], "ok", "{joined}");
    measure(&mut ws, &[(1, json!(99))]).await;
    let (status, refusal) = ask(&first, "GET", PATH, "").await;
    assert_eq!((status, &refusal["code"]), (404, &json!("not_kept")), "nothing by default");
    // Behind the answer to this, the sample before it is through.
    say(&mut ws, "ping", json!({})).await;
    let (status, kept) = ask(&first, "PUT", PATH, r#"{"keep_hours":1,"mib_max":8}"#).await;
    assert_eq!((status, &kept["mib_max"]), (200, &json!(8)), "{kept}");
    let stale = format!(r#"{{"revision":{}}}"#, kept["revision"].as_u64().unwrap() + 9);
    assert_eq!(ask(&first, "PUT", PATH, &stale).await.1["code"], "changed");
    // Who measured already goes on; a bare number, and one with leaves.
    let bare: Vec<(i64, Value)> = (0..500).map(|n| (n * 10, json!(n as f64 / 4.0))).collect();
    let leaves: Vec<(i64, Value)> =
        (0..50).map(|n| (n * 10, json!({"x": n, "on": true, "unit": "mV"}))).collect();
    // The pump follows the order between two ticks: what comes sooner is of before.
    let first_kept = async {
        loop {
            measure(&mut ws, &[(-1, json!(0))]).await;
            let path = format!("{PATH}?attribute=a&from=-1&to=0");
            let (_, past) = ask(&first, "GET", &path, "").await;
            if past["samples"][0].is_array() {
                return;
            }
        }
    };
    timeout(PATIENCE, first_kept).await.expect("it is kept at last");
    measure(&mut ws, &bare).await;
    measure(&mut ws, &leaves).await;
    let past = samples(&first, 550).await;
    let sent: Vec<Value> =
        bare.iter().chain(&leaves).map(|(stamp, payload)| json!([stamp, payload])).collect();
    assert_eq!(past["samples"], json!(sent));
    // Nobody else writes into it: the sensor is anna's.
    let (_, refused) = device(&first, "other").await;
    assert_eq!(refused["status"], "error", "{refused}");
    drop(ws);
    first.close().await;

    let second = house(Some(&data)).await;
    assert_eq!(samples(&second, 550).await["samples"], json!(sent));
    let (_, about) = ask(&second, "GET", PATH, "").await;
    assert_eq!((&about["attributes"], &about["keep_hours"]), (&json!(["a"]), &json!(1)), "{about}");
    let range = format!("{PATH}?attribute=a&from=0&to=4000");
    let (_, points) = ask(&second, "GET", &format!("{range}&step=2000"), "").await;
    let mean = |from: f64, count: f64| (from + from + count - 1.0) / 8.0;
    let known = json!([
        [0, "", 0.0, 49.75, mean(0.0, 200.0), 200.0],
        [2000, "", 50.0, 99.75, mean(200.0, 200.0), 200.0],
        [0, "x", 0.0, 49.0, 24.5, 50.0],
    ]);
    assert_eq!(points["points"], known);
    let (status, csv) = raw(&second, "GET", &format!("{range}&format=csv"), "").await;
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!((status, csv.lines().count()), (200, 1 + 400 + 3 * 50), "{csv}");
    assert!(csv.contains("\n30,s,a,,0.75,\n") && csv.contains("\n30,s,a,unit,,mV\n"), "{csv}");
    let (_, parquet) = raw(&second, "GET", &format!("{range}&step=500&format=parquet"), "").await;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    let (_, arrow) = raw(&second, "GET", &format!("{range}&format=arrow"), "").await;
    let (names, rows) = arrow_table(&arrow);
    assert_eq!(names, ["time", "value", "on", "x"]);
    assert_eq!(rows.len(), 400 + 50);
    assert_eq!(rows[3], [Some(30.0), Some(0.75), None, None]);
    assert_eq!(rows[400 + 7], [Some(70.0), None, Some(1.0), Some(7.0)]);
    let summed = format!("{range}&step=2000&format=arrow");
    let (names, rows) = arrow_table(&raw(&second, "GET", &summed, "").await.1);
    assert_eq!(names[..5], ["time", "min", "max", "mean", "count"]);
    assert_eq!(rows[1][..5], [2000.0, 50.0, 99.75, mean(200.0, 200.0), 200.0].map(Some));
    // Backwards from what somebody has: the last two of stamp 490, a bare one and one with leaves.
    let back = format!("{PATH}?attribute=a&before=490&have=2&count=98");
    let (_, page) = ask(&second, "GET", &back, "").await;
    let stamps: Vec<i64> =
        page["samples"].as_array().unwrap().iter().map(|row| row[0].as_i64().unwrap()).collect();
    let kept: Vec<i64> = (0..49).map(|n| n * 10).collect();
    assert_eq!(stamps, [&kept[..], &kept[..]].concat());
    assert_eq!(page["older"], json!({"before": 0, "have": 2}), "there is the one of -1");
    for wrong in [
        "&format=excel",
        "&step=0",
        "&from=9&to=3",
        "&colour=red",
        "&have=1",
        "&before=9&to=3",
        "&before=9&count=0",
    ] {
        assert_eq!(ask(&second, "GET", &format!("{PATH}?attribute=a{wrong}"), "").await.0, 400);
    }
    assert_eq!(ask(&second, "DELETE", PATH, "").await.0, 204);
    assert_eq!(ask(&second, "GET", &range, "").await.0, 404);
    second.close().await;
    let left = std::fs::read_dir(data.0.join("history")).unwrap().count();
    assert_eq!(left, 0, "no file of it is left");
}

#[tokio::test]
async fn without_a_folder_no_past_is_kept() {
    let house = house(None).await;
    let (status, refusal) = ask(&house, "PUT", PATH, "{}").await;
    assert_eq!((status, &refusal["code"]), (409, &json!("nothing_kept")));
    house.close().await;
}

/// A viewer of the sensor: its socket, its topic, and its seed of `a`.
async fn seeded(house: &House) -> (Ws, String, Vec<Value>) {
    let (_, minted) =
        ask(house, "POST", "/api/viewers", r#"{"sensors":["s"],"quality":"high"}"#).await;
    let topic = minted["topic"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
    let mut ws = tokio_tungstenite::connect_async(url).await.unwrap().0;
    ws.send(Message::text(json!(["1", "j", topic, "phx_join", {}]).to_string())).await.unwrap();
    let seed = heard(&mut ws, |frame| {
        let is_it = frame[3] == "composite_seed_data" && frame[4]["attribute_id"] == "a";
        is_it.then(|| frame[4]["data"].as_array().unwrap().clone())
    });
    let seed = seed.await;
    (ws, topic, seed)
}

async fn heard<T>(ws: &mut Ws, wanted: impl Fn(&Value) -> Option<T>) -> T {
    let hearing = async {
        loop {
            if let Some(Ok(Message::Text(text))) = ws.next().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if let Some(found) = wanted(&frame) {
                    return found;
                }
            }
        }
    };
    timeout(PATIENCE, hearing).await.expect("it is said")
}

/// A page of the past, or why there is none.
async fn page(ws: &mut Ws, topic: &str, wish: Value) -> Result<Value, Value> {
    ws.send(Message::text(json!(["1", "h", topic, "history", wish]).to_string())).await.unwrap();
    heard(ws, |frame| {
        let response = || frame[4]["response"].clone();
        (frame[3] == "phx_reply" && frame[1] == "h").then(|| match frame[4]["status"] == "ok" {
            true => Ok(response()),
            false => Err(response()),
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_goes_back_beyond_its_seed_and_has_every_sample_once() {
    let data = Folder::new("beyond");
    let house = house(Some(&data)).await;
    let (mut ws, _) = device(&house, "good").await;
    let (status, _) = ask(&house, "PUT", PATH, "{}").await;
    assert_eq!(status, 200);
    let first_kept = async {
        loop {
            measure(&mut ws, &[(-1, json!(-1))]).await;
            let (_, past) =
                ask(&house, "GET", &format!("{PATH}?attribute=a&from=-1&to=0"), "").await;
            if past["samples"][0].is_array() {
                return past["samples"].as_array().unwrap().len();
            }
        }
    };
    timeout(PATIENCE, first_kept).await.expect("it is kept at last");
    // Three of each stamp, many times what the ring holds.
    let sent: Vec<(i64, Value)> = (0..3_000).map(|n| (n / 3, json!(n))).collect();
    for some in sent.chunks(500) {
        measure(&mut ws, some).await;
    }
    samples(&house, 3_000).await;
    let (mut viewer, topic, seed) = seeded(&house).await;
    let number = |value: &Value| value.as_i64().unwrap();
    let mut all: Vec<i64> = seed.iter().map(|one| number(&one["payload"])).collect();
    assert!(all[0] > 1_000 && all[all.len() - 1] == 2_999, "the ring ends somewhere: {all:?}");
    let stamp = &seed[0]["timestamp"];
    let have = seed.iter().take_while(|one| one["timestamp"] == *stamp).count();
    let mut older = json!({"before": stamp, "have": have});
    while all[0] != 0 {
        let wish = json!({
            "sensor_id": "s", "attribute_id": "a", "count": 700,
            "before": older["before"], "have": older["have"],
        });
        let page = page(&mut viewer, &topic, wish).await.unwrap();
        let rows = page["samples"].as_array().unwrap().iter();
        let numbers: Vec<i64> = rows.map(|row| number(&row[1])).filter(|n| *n >= 0).collect();
        all.splice(0..0, numbers);
        older = page["older"].clone();
    }
    assert_eq!(all, (0..3_000).collect::<Vec<_>>(), "no gap, and nothing twice");
    // Summed up, as over HTTP.
    let wish =
        json!({"sensor_id": "s", "attribute_id": "a", "from": 0, "to": 2_000, "step": 1_000});
    let summed = page(&mut viewer, &topic, wish).await.unwrap();
    assert_eq!(summed["points"], json!([[0, "", 0.0, 2_999.0, 1_499.5, 3_000.0]]), "{summed}");
    assert_eq!(summed["damaged"], 0);
    for (wish, why) in [
        (json!({"sensor_id": "t", "attribute_id": "a", "before": 9}), "invalid_payload"),
        (json!({"sensor_id": "s", "before": 9}), "invalid_payload"),
        (
            json!({"sensor_id": "s", "attribute_id": "a", "before": 9, "count": 0}),
            "invalid_payload",
        ),
    ] {
        assert_eq!(page(&mut viewer, &topic, wish).await.unwrap_err()["reason"], why);
    }
    assert_eq!(ask(&house, "DELETE", PATH, "").await.0, 204);
    for wish in [
        json!({"sensor_id": "s", "attribute_id": "a", "before": 9}),
        json!({"sensor_id": "s", "attribute_id": "a", "from": 0, "to": 1_000, "step": 1_000}),
    ] {
        assert_eq!(page(&mut viewer, &topic, wish).await.unwrap_err()["reason"], "not_kept");
    }
    house.close().await;
}

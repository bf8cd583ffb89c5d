//! The past of a sensor over HTTP: kept from when somebody asks for it, as it came, until somebody
//! has it deleted.

use std::path::PathBuf;
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
    for wrong in ["&format=arrow", "&step=0", "&from=9&to=3", "&colour=red"] {
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

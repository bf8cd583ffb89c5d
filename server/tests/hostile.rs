//! What a hostile client tries, against the whole server: the neighbours notice nothing, the client
//! is told why it is let go, and nothing is dropped without a count.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::bucket::Rate;
use server::config::{Config, Given};
use server::house::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(20);

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn config() -> Config {
    let mut given = Given::default();
    for (key, value) in
        [("listen", "127.0.0.1:0"), ("simulate", "none"), ("load", "normal"), ("auth", "open")]
    {
        given.flag(key, value).unwrap();
    }
    given.check().unwrap()
}

async fn connect(house: &House) -> Ws {
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

/// The answer to one request, with its head.
async fn http(house: &House, request: &str) -> String {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}

async fn metric(house: &House, name: &str) -> f64 {
    let page = http(house, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let line =
        page.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))[name.len()..].trim().parse().unwrap()
}

async fn until_metric(house: &House, name: &str, enough: impl Fn(f64) -> bool) {
    let wait = async { while !enough(metric(house, name).await) {} };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name} never came to it"));
}

async fn say(ws: &mut Ws, reference: &str, topic: &str, event: &str, payload: Value) {
    let frame = json!(["1", reference, topic, event, payload]).to_string();
    ws.send(Message::text(frame)).await.unwrap();
}

async fn hear(ws: &mut Ws) -> Message {
    timeout(PATIENCE, ws.next()).await.expect("a frame in time").expect("a frame").unwrap()
}

/// The reply to `reference`, whatever else comes before it.
async fn reply(ws: &mut Ws, reference: &str) -> Value {
    loop {
        if let Message::Text(text) = hear(ws).await {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame[1] == reference && frame[3] == "phx_reply" {
                return frame[4].clone();
            }
        }
    }
}

async fn close_code(ws: &mut Ws) -> u16 {
    loop {
        if let Message::Close(frame) = hear(ws).await {
            return frame.expect("a code").code.into();
        }
    }
}

fn sensor(id: &str) -> Value {
    json!({"connector_id": "c", "connector_name": "c", "sensor_id": id, "sensor_name": id,
        "sensor_type": "generic", "attributes": {}, "sampling_rate": 1, "batch_size": 1,
        "bearer_token": ""})
}

fn topic(id: &str) -> String {
    format!("sensocto:sensor:{id}")
}

async fn join_sensor(ws: &mut Ws, id: &str) {
    say(ws, "j", &topic(id), "phx_join", sensor(id)).await;
    assert_eq!(reply(ws, "j").await["status"], "ok");
}

fn sample(value: i64) -> Value {
    json!({"attribute_id": "a", "payload": value, "timestamp": value})
}

/// It was dropped as if it had gone: nobody counted it, and its client never knew why.
#[tokio::test]
async fn who_does_not_read_is_let_go_with_4008_and_counted() {
    let mut config = config();
    config.socket_limits.write_deadline = Duration::from_millis(300);
    config.listen_limits.write_deadline = Duration::from_millis(300);
    let house = House::open(config).await.unwrap();
    let ws = connect(&house).await;
    let (mut send, mut receive) = ws.split();
    let echo = json!(["1", "1", "sensocto:lvntest:x", "ping", "x".repeat(200_000)]).to_string();
    let join = json!(["1", "1", "sensocto:lvntest:x", "phx_join", {}]).to_string();
    send.send(Message::text(join)).await.unwrap();
    let flood =
        tokio::spawn(async move { while send.send(Message::text(echo.clone())).await.is_ok() {} });
    until_metric(&house, "sensocto_sockets_slow_total", |count| count == 1.0).await;
    let read_on = async {
        loop {
            let frame = receive.next().await.expect("a close frame").unwrap();
            if let Message::Close(frame) = frame {
                return u16::from(frame.expect("a code").code);
            }
        }
    };
    assert_eq!(timeout(PATIENCE, read_on).await.expect("an end"), 4008);
    flood.abort();
    until_metric(&house, "sensocto_sockets_ended_total{how=\"4008\"}", |count| count == 1.0).await;
    until_metric(&house, "sensocto_sockets_open", |count| count == 0.0).await;
    house.close().await;
}

/// A joined topic is kept for as long as it is joined: a thousand of 256 KiB were 256 MB a socket.
#[tokio::test]
async fn a_topic_longer_than_any_name_is_refused() {
    let house = House::open(config()).await.unwrap();
    let mut ws = connect(&house).await;
    let longest = format!("sensocto:lvntest:{}", "x".repeat(255 - 17));
    say(&mut ws, "1", &longest, "phx_join", json!({})).await;
    assert_eq!(reply(&mut ws, "1").await["status"], "ok");
    say(&mut ws, "2", &format!("{longest}x"), "phx_join", json!({})).await;
    assert_eq!(reply(&mut ws, "2").await["response"], json!({"reason": "name_too_long"}));
    drop(ws);
    house.close().await;
}

/// One device's further members were passed on unread, and broke everybody's message.
#[tokio::test]
async fn a_sample_that_no_viewer_could_read_reaches_none() {
    let house = House::open(config()).await.unwrap();
    let mut device = connect(&house).await;
    join_sensor(&mut device, "s").await;
    let poison =
        [r#"1,"x":1e400"#.to_owned(), format!("{}1{}", "[".repeat(9000), "]".repeat(9000))];
    for payload in poison {
        let topic = topic("s");
        let frame = format!(
            r#"["1","2","{topic}","measurement",{{"attribute_id":"a","timestamp":1,"payload":{payload}}}]"#
        );
        device.send(Message::text(frame)).await.unwrap();
        let answer = reply(&mut device, "2").await;
        assert_eq!(answer["response"], json!({"reason": "invalid_payload"}));
    }
    assert_eq!(metric(&house, "sensocto_measurements_refused_total").await, 2.0);
    drop(device);
    house.close().await;
}

#[tokio::test]
async fn every_sample_is_accounted_for_over_http() {
    let mut config = config();
    config.socket_limits.samples = Rate { per_second: 0.001, burst: 100.0 };
    let house = House::open(config).await.unwrap();
    let mut device = connect(&house).await;
    join_sensor(&mut device, "s").await;
    let batch: Vec<Value> = (0..60).map(sample).collect();
    say(&mut device, "2", &topic("s"), "measurements_batch", json!(batch)).await;
    say(&mut device, "3", &topic("s"), "measurements_batch", json!(batch)).await;
    let told = reply(&mut device, "3").await;
    assert_eq!(told["response"], json!({"reason": "rate_limited", "limit": "connection"}));
    until_metric(&house, "sensocto_store_received_total", |count| count == 120.0).await;
    let dropped = "sensocto_store_dropped_total{reason=\"rate_limited\"}";
    assert_eq!(metric(&house, dropped).await, 60.0);
    assert!(metric(&house, "sensocto_system_seconds{system=\"fill_rings\"}").await >= 0.0);
    assert_eq!(metric(&house, "sensocto_books_balanced").await, 1.0);
    let aged = "sensocto_store_dropped_total{reason=\"aged\"}";
    let kept = metric(&house, "sensocto_store_kept").await + metric(&house, aged).await;
    assert_eq!(kept, 60.0);
    for (name, count) in [("sensors", 1.0), ("feeds", 1.0), ("sockets_open", 1.0), ("viewers", 0.0)]
    {
        assert_eq!(metric(&house, &format!("sensocto_{name}")).await, count, "{name}");
    }
    drop(device);
    until_metric(&house, "sensocto_sockets_open", |count| count == 0.0).await;
    house.close().await;
}

/// Each ends with its own code, or with an answer; none with the server, and the next client is
/// served as ever.
#[tokio::test]
async fn nonsense_costs_its_own_socket_only() {
    let house = House::open(config()).await.unwrap();
    let frame = |payload: &str| format!(r#"["1","1","sensocto:sensor:s","measurement",{payload}]"#);
    let text = |text: String| Message::text(text);
    for (nonsense, code) in [
        (text("{".into()), 1011),
        (text("[".repeat(100_000)), 1011),
        (text(frame("NaN")), 1011),
        (text(frame("\"\u{0}\"")), 1011),
        (text(r#"["1","1","\ud800","x",{}]"#.into()), 1011),
        (text(format!(r#"["{}","1","t","x",{{}}]"#, "r".repeat(300))), 1011),
        (Message::binary(vec![0, 255, 255, 255, 255]), 1011),
        (Message::binary(vec![9]), 1011),
        (Message::binary(Vec::new()), 1011),
        (text("x".repeat(300_000)), 1009),
    ] {
        let mut ws = connect(&house).await;
        ws.send(nonsense).await.unwrap();
        assert_eq!(close_code(&mut ws).await, code);
    }
    let mut ws = connect(&house).await;
    join_sensor(&mut ws, "constructor").await;
    for payload in ["null", "[]", "{}", "1", r#"{"attribute_id":1,"payload":1,"timestamp":1}"#] {
        ws.send(Message::text(frame(payload))).await.unwrap();
    }
    say(&mut ws, "h", "phoenix", "heartbeat", json!({})).await;
    assert_eq!(reply(&mut ws, "h").await["status"], "ok");
    drop(ws);
    house.close().await;
}

/// Each byte held on to the buffer it came in: five hundred slow bodies of sixty bytes were 230 MB.
#[tokio::test]
async fn a_body_in_single_bytes_is_a_body() {
    let house = House::open(config()).await.unwrap();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let body = r#"{"sensors":"all"}"#;
    let head = "POST /api/viewers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for letter in body.chars() {
        stream.write_all(format!("1\r\n{letter}\r\n").as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    house.close().await;
}

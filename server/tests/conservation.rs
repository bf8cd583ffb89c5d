//! Nothing is lost in silence: against the whole server, what came through the door is accounted
//! for at every moment, and whoever administers it can see whose it was.

use std::time::Duration;

use components::class::Class;
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

fn config(settings: &[(&str, &str)]) -> Config {
    let mut given = Given::default();
    let usual = [("listen", "127.0.0.1:0"), ("simulate", "none")];
    for (key, value) in usual.iter().chain(settings) {
        given.flag(key, *value).unwrap();
    }
    given.check().unwrap()
}

async fn connect(house: &House) -> Ws {
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

/// Status and body of a GET.
async fn get(house: &House, path: &str, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// One look at `/metrics`.
struct Page(String);

impl Page {
    async fn of(house: &House) -> Self {
        Self(get(house, "/metrics", "").await.1)
    }

    fn value(&self, name: &str) -> f64 {
        let line = format!("sensocto_{name} ");
        let value = self.0.lines().find_map(|known| known.strip_prefix(&line));
        value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Received at the door, less what was given on, dropped and waits, by what the page says.
    fn unexplained(&self) -> f64 {
        let dropped: f64 = self
            .0
            .lines()
            .filter(|line| line.starts_with("sensocto_door_dropped_total{"))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum();
        let value = |name| self.value(name);
        value("door_received_total") - value("door_delivered_total") - value("door_kept") - dropped
    }
}

async fn until(house: &House, what: &str, enough: impl Fn(&Page) -> bool) -> Page {
    let wait = async {
        loop {
            let page = Page::of(house).await;
            if enough(&page) {
                return page;
            }
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn say(ws: &mut Ws, reference: &str, topic: &str, event: &str, payload: Value) {
    let frame = json!(["1", reference, topic, event, payload]).to_string();
    ws.send(Message::text(frame)).await.unwrap();
}

/// The reply to `reference`, whatever else comes before it.
async fn reply(ws: &mut Ws, reference: &str) -> Value {
    loop {
        let message = timeout(PATIENCE, ws.next()).await.expect("a frame in time");
        if let Message::Text(text) = message.expect("a frame").unwrap() {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame[1] == reference && frame[3] == "phx_reply" {
                return frame[4].clone();
            }
        }
    }
}

async fn join(ws: &mut Ws, id: &str) -> String {
    let topic = format!("sensocto:sensor:{id}");
    let params = json!({"connector_id": "c", "connector_name": "c", "sensor_id": id,
        "sensor_name": id, "sensor_type": "generic", "attributes": {}, "sampling_rate": 1,
        "batch_size": 1, "bearer_token": "missing"});
    say(ws, "j", &topic, "phx_join", params).await;
    assert_eq!(reply(ws, "j").await["status"], "ok");
    topic
}

fn batch(attribute: &str, count: i64) -> Value {
    let one = |n| json!({"attribute_id": attribute, "payload": n, "timestamp": n});
    Value::Array((0..count).map(one).collect())
}

async fn letters(house: &House, query: &str) -> Vec<Value> {
    let (status, body) = get(house, &format!("/api/system/dead-letters{query}"), "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["letters"].as_array().unwrap().clone()
}

/// Four devices of four classes that send all they can, while the books are looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_accounts_for_every_sample_of_a_flood_at_every_look() {
    let mut config = config(&[]);
    config.intake_limits.class_samples = 5_000;
    config.intake_limits.tick_samples = 2_000;
    config.socket_limits.samples = Rate { per_second: 60_000.0, burst: 60_000.0 };
    config.socket_limits.sensor_samples[Class::Location as usize] =
        Rate { per_second: 100.0, burst: 5_000.0 };
    let house = House::open(config).await.unwrap();
    let mut senders = Vec::new();
    for attribute in ["ecg", "altitude", "steps", "button"] {
        let mut ws = connect(&house).await;
        let topic = join(&mut ws, attribute).await;
        let frame = json!(["1", "2", topic, "measurements_batch", batch(attribute, 1000)]);
        let frame = Message::text(frame.to_string());
        senders.push(tokio::spawn(async move {
            for _ in 0..100 {
                ws.send(frame.clone()).await.unwrap();
            }
            say(&mut ws, "end", &topic, "ping", json!({})).await;
            reply(&mut ws, "end").await;
            ws
        }));
    }
    let mut looks = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        let page = Page::of(&house).await;
        assert_eq!((page.unexplained(), page.value("door_unexplained")), (0.0, 0.0));
        looks += 1;
    }
    let mut open = Vec::new();
    for sender in senders {
        open.push(sender.await.unwrap());
    }
    let page =
        until(&house, "all is taken", |page| page.value("store_received_total") == 4e5).await;
    assert!(looks > 0);
    assert_eq!((page.value("door_received_total"), page.value("door_kept")), (4e5, 0.0));
    assert_eq!((page.unexplained(), page.value("books_balanced")), (0.0, 1.0));
    assert_eq!(page.value("samples_total"), page.value("door_delivered_total"));
    // What a class lost is its own, and is told: by the queue, by the connection, by the sensor.
    let limited = "class_dropped_total{class=\"location\",reason=\"rate_limited\"}";
    assert!(page.value(limited) > 50_000.0, "{}", page.value(limited));
    for reason in ["rate_limited", "intake_full"] {
        let named = letters(&house, &format!("?reason={reason}")).await;
        let all: u64 = named.iter().map(|letter| letter["count"].as_u64().unwrap()).sum();
        let dropped = page.value(&format!("door_dropped_total{{reason=\"{reason}\"}}"));
        assert_eq!(all as f64, dropped, "{reason}");
    }
    let positions = letters(&house, "?reason=rate_limited&class=location&limit=1").await;
    assert_eq!(positions.len(), 1);
    assert_eq!(
        (&positions[0]["sensor_id"], &positions[0]["attribute_id"]),
        (&json!("altitude"), &json!("altitude"))
    );
    drop(open);
    // Whatever was on its way to a socket has been written or is known to be lost.
    until(&house, "outboxes are empty", |page| {
        page.value("sockets_open") == 0.0 && page.value("queue_waiting{queue=\"outbox\"}") == 0.0
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn each_reason_finds_its_letter() {
    let mut config = config(&[("auth", "open")]);
    config.socket_limits.samples = Rate { per_second: 1e-6, burst: 700.0 };
    let house = House::open(config).await.unwrap();
    let mut ws = connect(&house).await;
    let topic = join(&mut ws, "s").await;
    // 65 attributes are one too many.
    for n in 0..65 {
        let one = json!({"attribute_id": format!("a{n}"), "payload": n, "timestamp": n});
        say(&mut ws, "2", &topic, "measurement", one).await;
    }
    assert_eq!(reply(&mut ws, "2").await["response"]["reason"], "too_many_attributes");
    say(&mut ws, "3", &topic, "measurement", json!({"attribute_id": "a1"})).await;
    let bad = json!({"attribute_id": "no spaces", "payload": 1, "timestamp": 1});
    say(&mut ws, "4", &topic, "measurement", bad).await;
    assert_eq!(reply(&mut ws, "4").await["response"]["reason"], "invalid_attribute_id");
    say(&mut ws, "5", &topic, "measurements_batch", batch("a1", 1000)).await;
    assert_eq!(reply(&mut ws, "5").await["response"]["reason"], "rate_limited");
    drop(ws);
    // The engine's own: the sensor lingers and goes, with what is kept of it.
    let wait = async {
        while letters(&house, "?reason=sensor_gone").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the sensor goes, and says so");
    for (reason, details) in [
        ("unknown_feed", vec!["store"]),
        (
            "refused",
            vec!["invalid_attribute_id", "messages that lack a member", "too_many_attributes"],
        ),
        ("rate_limited", vec!["connection"]),
        ("sensor_gone", vec!["store"]),
    ] {
        let found = letters(&house, &format!("?reason={reason}")).await;
        assert!(!found.is_empty(), "{reason}");
        for letter in &found {
            assert!(details.contains(&letter["detail"].as_str().unwrap()), "{letter}");
            assert!(letter["at"].as_i64().unwrap() > 1_600_000_000_000, "{letter}");
        }
    }
    let all = letters(&house, "").await;
    assert!(all.windows(2).all(|pair| pair[0]["at"].as_i64() >= pair[1]["at"].as_i64()));
    for (query, says) in [
        ("?class=heart", "there are bio, motion"),
        ("?limit=-1", "limit"),
        ("?reasons=x", "reason, class and limit"),
    ] {
        let (status, body) = get(&house, &format!("/api/system/dead-letters{query}"), "").await;
        assert_eq!(status, 400);
        assert!(body.contains(says), "{body}");
    }
    house.close().await;
}

#[tokio::test]
async fn dead_letters_are_for_administrators() {
    let path = "/api/system/dead-letters";
    for (settings, head, status) in [
        // Without tokens: whoever is on this machine, unless it is strict.
        (vec![("auth", "dev")], "", 200),
        (vec![("auth", "open")], "Authorization: Bearer x\r\n", 200),
        (vec![("auth", "strict"), ("viewer_tokens", "eve:v")], "Authorization: Bearer v\r\n", 403),
        // Headers that say on whose behalf somebody asks are not believed, either way.
        (vec![("auth", "dev")], "X-Forwarded-For: 192.0.2.1\r\n", 200),
        (vec![("auth", "strict")], "X-Forwarded-For: 127.0.0.1\r\n", 403),
        // With tokens: who has one.
        (vec![("auth", "dev"), ("admin_tokens", "root:a")], "", 401),
        (vec![("auth", "open"), ("admin_tokens", "root:a")], "Authorization: Bearer b\r\n", 401),
        (vec![("auth", "strict"), ("admin_tokens", "root:a")], "Authorization: Bearer a\r\n", 200),
    ] {
        let house = House::open(config(&settings)).await.unwrap();
        let (answered, body) = get(&house, path, head).await;
        assert_eq!(answered, status, "{settings:?} {head:?}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected = json!({"capacity": 1024, "dropped_before": 0, "letters": []});
        assert_eq!(body == expected, status == 200, "{body}");
        assert_eq!(body["error"].is_string(), status != 200, "{body}");
        house.close().await;
    }
}

/// Each word of a viewer is answered, one too many as well: what it looks at is never forgotten in
/// silence.
#[tokio::test]
async fn a_viewer_that_says_too_much_is_told_each_time() {
    let mut config = config(&[]);
    config.socket_limits.attention = Rate { per_second: 1e-6, burst: 2.0 };
    let house = House::open(config).await.unwrap();
    let body = r#"{"sensors":"all"}"#;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "POST /api/viewers HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let minted: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let topic = minted["topic"].as_str().unwrap().to_owned();
    let mut ws = connect(&house).await;
    say(&mut ws, "1", &topic, "phx_join", json!({})).await;
    assert_eq!(reply(&mut ws, "1").await["status"], "ok");
    for (n, status) in ["ok", "ok", "error", "error"].into_iter().enumerate() {
        let reference = format!("a{n}");
        say(&mut ws, &reference, &topic, "attention", json!({"hovered": ["s"]})).await;
        let answer = reply(&mut ws, &reference).await;
        assert_eq!(answer["status"], status);
        if status == "error" {
            let limited = json!({"reason": "rate_limited", "limit": "connection"});
            assert_eq!(answer["response"], limited);
        }
    }
    say(&mut ws, "p", &topic, "ping", json!({})).await;
    assert_eq!(reply(&mut ws, "p").await["status"], "ok");
    let page = Page::of(&house).await;
    let name = "rate_limited_total{limit=\"connection\",what=\"attention\"}";
    assert_eq!(page.value(name), 2.0);
    house.close().await;
}

//! Panics on purpose, set over HTTP as a tester would, and who notices. In builds with failpoints.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use server::fault;
use server::pump::PANIC_EXIT_CODE;

use super::*;

async fn faulty() -> House {
    house(&[("faults", "1")]).await
}

pub(crate) async fn set(house: &House, order: Value) {
    let (status, answer) = http(house, "POST", "/_fault", &order).await;
    assert_eq!(status, 200, "{answer}");
}

async fn point(house: &House, name: &str) -> Value {
    let (status, list) = http(house, "GET", "/_fault", &Value::Null).await;
    assert_eq!(status, 200);
    let points = list["points"].as_array().unwrap();
    points.iter().find(|point| point["point"] == name).unwrap().clone()
}

#[tokio::test]
async fn failpoints_are_listed_set_and_refused_over_http() {
    let house = faulty().await;
    let (_, list) = http(&house, "GET", "/_fault", &Value::Null).await;
    let names: Vec<&str> =
        list["points"].as_array().unwrap().iter().map(|p| p["point"].as_str().unwrap()).collect();
    assert_eq!(names.len(), fault::armed().list().len());
    assert!(names.contains(&"derive_levels") && names.contains(&"mail.encode"), "{names:?}");
    set(
        &house,
        json!({"point": "reap", "action": "delay_ms", "delay_ms": 1, "count": 3, "prob": 0.5, "seed": 7}),
    )
    .await;
    let reap = point(&house, "reap").await;
    assert_eq!((&reap["action"], &reap["delay_ms"]), (&json!("delay_ms"), &json!(1)));
    assert_eq!((&reap["prob"], &reap["seed"]), (&json!(0.5), &json!(7)));
    for (order, status) in [
        (json!({"point": "nowhere", "action": "panic"}), 404),
        (json!({"point": "reap", "action": "explode"}), 400),
        (json!({"point": "reap", "action": "delay_ms"}), 400),
        (json!({"point": "reap", "action": "delay_ms", "delay_ms": 60_000}), 400),
        (json!({"point": "reap", "action": "panic", "delay_ms": 1}), 400),
        (json!({"point": "reap", "action": "panic", "prob": 1.5}), 400),
        (json!({"point": "reap", "action": "panic", "often": true}), 400),
        (json!("reap"), 400),
    ] {
        let (answered, body) = http(&house, "POST", "/_fault", &order).await;
        assert_eq!(answered, status, "{order}: {body}");
        assert!(body["errors"]["detail"].is_string(), "{body}");
    }
    house.close().await;
}

#[tokio::test]
async fn nobody_finds_failpoints_that_were_not_asked_for() {
    let house = house(&[]).await;
    assert_eq!(http(&house, "GET", "/_fault", &Value::Null).await.0, 404);
    house.close().await;
    let mut given = Given::default();
    given.flag("listen", "0.0.0.0:0").unwrap();
    given.flag("auth", "strict").unwrap();
    given.flag("faults", "1").unwrap();
    let refused = given.check().unwrap_err().to_string();
    assert!(refused.contains("failpoints are for loopback"), "{refused}");
}

/// The seed's appendix A, scenario 2: data that breaks one viewer's encoding.
#[tokio::test]
async fn a_viewer_whose_mail_panics_is_let_go_and_the_others_miss_nothing() {
    let house = faulty().await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let mut viewers = Vec::new();
    for _ in 0..5 {
        viewers.push(watch(&house, json!({"sensors": ["s"]}), json!({})).await);
    }
    // Handles are given out in their order.
    set(&house, json!({"point": "mail.encode", "action": "panic", "key": 2})).await;
    for n in 0..200 {
        let measurement = json!({"attribute_id": "ecg", "payload": n, "timestamp": n});
        device.push(&topic, "measurement", measurement).await;
    }
    viewers[2].0.event("phx_close").await;
    let expected: Vec<Value> = (0..200).map(|n| json!(n)).collect();
    for at in [0, 1, 3, 4] {
        assert_eq!(values(&mut viewers[at].0, "s", "ecg", 200).await, expected, "viewer {at}");
    }
    // It comes again, and gets the past.
    set(&house, json!({"point": "mail.encode", "action": "off"})).await;
    let (mut again, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    assert_eq!(values(&mut again, "s", "ecg", 200).await, expected);
    house.close().await;
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_the_next_request_is_answered() {
    let house = faulty().await;
    set(&house, json!({"point": "http.request", "action": "panic", "count": 1})).await;
    assert_eq!(http(&house, "GET", "/health/live", &Value::Null).await.0, 500);
    assert_eq!(http(&house, "GET", "/health/live", &Value::Null).await.0, 200);
    set(&house, json!({"point": "http.request", "action": "error", "count": 1})).await;
    assert_eq!(http(&house, "GET", "/health/live", &Value::Null).await.0, 503);
    house.close().await;
}

#[tokio::test]
async fn a_system_that_panics_too_often_is_named_by_health_and_missed_by_no_viewer() {
    let house = faulty().await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    set(&house, json!({"point": "derive_levels", "action": "panic", "count": 6})).await;
    while point(&house, "derive_levels").await["count"] != 0 {}
    // Clients of the original are told, once for each.
    for _ in 0..6 {
        assert_eq!(viewer.event("attention_tracker_restarted").await, json!({}));
    }
    let (status, health) = http(&house, "GET", "/health/ready", &Value::Null).await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(
        health["checks"]["systems"],
        json!({
            "healthy": false, "off": ["derive_levels"],
            "panicked": {"derive_levels": {"panics": 6, "message": "failpoint derive_levels"}},
        })
    );
    for n in 0..50 {
        let measurement = json!({"attribute_id": "ecg", "payload": n, "timestamp": n});
        device.push(&topic, "measurement", measurement).await;
    }
    let expected: Vec<Value> = (0..50).map(|n| json!(n)).collect();
    assert_eq!(values(&mut viewer, "s", "ecg", 50).await, expected);
    house.close().await;
}

#[tokio::test]
async fn samples_that_the_intake_does_not_take_are_counted() {
    let house = faulty().await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    set(&house, json!({"point": "intake.samples", "action": "error"})).await;
    for n in 0..3 {
        let measurement = json!({"attribute_id": "ecg", "payload": n, "timestamp": n});
        device.push(&topic, "measurement", measurement).await;
    }
    device.ask(&topic, "ping", json!({})).await;
    set(&house, json!({"point": "intake.samples", "action": "off"})).await;
    // However many bursts they came in.
    let path = "/api/system/dead-letters?reason=intake_full";
    let (_, told) = http(&house, "GET", path, &Value::Null).await;
    let letters = told["letters"].as_array().unwrap();
    assert_eq!(letters.iter().map(|letter| letter["count"].as_u64().unwrap()).sum::<u64>(), 3);
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    device
        .push(&topic, "measurement", json!({"attribute_id": "ecg", "payload": 3, "timestamp": 3}))
        .await;
    assert_eq!(values(&mut viewer, "s", "ecg", 1).await, [json!(3)]);
    house.close().await;
}

/// A socket's own task that panics takes its socket with it, and the device's hold on its sensor.
#[tokio::test]
async fn a_socket_that_panics_leaves_nobody_behind() {
    let house = faulty().await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    set(&house, json!({"point": "intake.samples", "action": "panic", "count": 1})).await;
    device
        .push(&topic, "measurement", json!({"attribute_id": "ecg", "payload": 0, "timestamp": 0}))
        .await;
    let end = timeout(PATIENCE, device.ws.next()).await.expect("its socket ends");
    let Some(Ok(Message::Close(Some(words)))) = end else { panic!("{end:?}") };
    assert_eq!((u16::from(words.code), &*words.reason), (1011, "internal error"));
    // The first one's hold is let go, so its handle comes back.
    let let_go = async {
        loop {
            let (_, health) = http(&house, "GET", "/health/ready", &Value::Null).await;
            if health["checks"]["feeds"]["count"] == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, let_go).await.expect("nobody holds the sensor");
    let (mut device, topic) = join_sensor(&house, "s").await;
    device
        .push(&topic, "measurement", json!({"attribute_id": "ecg", "payload": 1, "timestamp": 1}))
        .await;
    assert_eq!(values(&mut viewer, "s", "ecg", 1).await, [json!(1)]);
    house.close().await;
}

/// Without its pump a server must not go on answering.
#[tokio::test]
async fn the_process_ends_with_a_reason_when_the_pump_panics() {
    for order in [
        json!({"point": "pump.tick", "action": "panic"}),
        json!({"point": "fill_rings", "action": "panic"}),
    ] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_sensocto"))
            .args(["serve", "--listen", "127.0.0.1:0", "--simulate", "none"])
            .env("SENSOCTO_FAULTS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).map(|_| line)
        });
        let line = timeout(PATIENCE, line).await.unwrap().unwrap().unwrap();
        let address = line.trim().strip_prefix("http://").unwrap();
        let body = order.to_string();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /_fault HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let ended = tokio::task::spawn_blocking(move || server.wait_with_output().unwrap());
        let ended = timeout(PATIENCE, ended).await.expect("it ends").unwrap();
        assert_eq!(ended.status.code(), Some(PANIC_EXIT_CODE), "{order}");
        let said = String::from_utf8(ended.stderr).unwrap();
        let last = said.lines().last().unwrap();
        let last: Value = serde_json::from_str(last).expect("every line is JSON");
        let panic = last["fields"]["panic"].as_str().unwrap();
        assert!(panic.contains(order["point"].as_str().unwrap()), "{panic}");
    }
}

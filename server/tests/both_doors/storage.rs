//! The seed's appendix A, scenarios 4 and 6: the database is lost, and what writes to it crashes. What
//! is live does not notice; what is to last is told so, and lasts once that can be.

use std::path::PathBuf;

use super::faults::set;
use super::*;

/// Goes with all that is in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    pub(crate) async fn house(&self) -> House {
        house(&[("faults", "1"), ("data", self.0.to_str().unwrap())]).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is said of the store, as soon as it is so.
async fn until(house: &House, wanted: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let (_, health) = http(house, "GET", "/health/ready", &Value::Null).await;
            let store = &health["checks"]["store"];
            if wanted(store) {
                return store.clone();
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("the store comes to be so")
}

/// With a bearer's token: status and body.
async fn request(
    house: &House,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> (u16, String) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        house.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (answer[9..12].parse().unwrap(), body.to_owned())
}

async fn raw(house: &House, path: &str) -> (u16, String) {
    request(house, "GET", path, "none", &Value::Null).await
}

async fn durable(house: &House) -> (u16, Value) {
    let (status, minted) = http(house, "POST", "/api/viewers", &json!({"sensors": "all"})).await;
    (status, minted["durable"].clone())
}

pub(crate) async fn measure(device: &mut Client, topic: &str, numbers: std::ops::Range<i64>) {
    for n in numbers {
        let measurement = json!({"attribute_id": "ecg", "payload": n, "timestamp": n});
        device.push(topic, "measurement", measurement).await;
    }
}

pub(crate) fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

/// Scenario 4. The original never tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_lost_costs_nobody_live_data_and_is_taken_up_again_by_itself() {
    let data = Folder::new("scenario-4");
    let house = data.house().await;
    until(&house, |store| store["state"] == "ready").await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    for point in ["store.commit", "store.open"] {
        set(&house, json!({"point": point, "action": "error"})).await;
    }
    // Answered, not hung; and never a false yes.
    assert_eq!(durable(&house).await, (200, json!(false)));
    let failed = until(&house, |store| store["state"] == "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("failpoint"), "{failed}");
    let keep = http(&house, "PUT", "/api/sensors/s/history", &json!({})).await;
    assert_eq!((keep.0, &keep.1["code"]), (503, &json!("store_unavailable")), "{}", keep.1);
    // After five failures it is left in peace.
    let open = until(&house, |store| store["breaker"]["state"] == "open").await;
    assert_eq!(
        (&open["breaker"]["opened"], &open["healthy"]),
        (&json!(1), &json!(false)),
        "{open}"
    );
    let (status, metrics) = raw(&house, "/metrics").await;
    assert_eq!(status, 200);
    let words = ["sensocto_durable_breaker{state=\"open\"} 1", "sensocto_durable_ready 0"];
    assert!(words.iter().all(|word| metrics.contains(word)), "{metrics}");
    let (_, system) = http(&house, "GET", "/api/system", &Value::Null).await;
    assert_eq!(system["durable"]["breaker"]["state"], "open", "{}", system["durable"]);
    // Whoever looks, looks on; whoever comes, comes in.
    measure(&mut device, &topic, 0..200).await;
    assert_eq!(values(&mut viewer, "s", "ecg", 200).await, numbers(0..200));
    let (mut another, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    assert_eq!(values(&mut another, "s", "ecg", 200).await, numbers(0..200));
    // It comes back, by a single probe, and what waited is written.
    for point in ["store.commit", "store.open"] {
        set(&house, json!({"point": point, "action": "off"})).await;
    }
    let healed = until(&house, |store| store["state"] == "ready" && store["waiting"] == 0).await;
    assert_eq!((&healed["breaker"]["state"], &healed["healthy"]), (&json!("closed"), &json!(true)));
    assert_eq!(durable(&house).await, (200, json!(true)));
    measure(&mut device, &topic, 200..300).await;
    assert_eq!(values(&mut viewer, "s", "ecg", 100).await, numbers(200..300), "not one was lost");
    house.close().await;
    // All four tokens are there again, those that nobody could vouch for, too.
    let next = data.house().await;
    let (_, metrics) = raw(&next, "/metrics").await;
    assert!(metrics.contains("sensocto_viewer_tokens 4"), "{metrics}");
    next.close().await;
}

/// Scenario 6. In the original all of storage restarts with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_crashes_in_the_middle_of_writing_does_it_once_and_nobody_else_notices() {
    let data = Folder::new("scenario-6");
    let house = data.house().await;
    let before = until(&house, |store| store["state"] == "ready").await;
    assert_eq!(before["failures"], 0, "{before}");
    let (mut device, topic) = join_sensor(&house, "s").await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    let (status, account) = http(
        &house,
        "POST",
        "/api/auth/register",
        &json!({
            "email": "anna@example.org", "password": "correct horse",
        }),
    )
    .await;
    assert_eq!(status, 201, "{account}");
    let token = account["token"].as_str().unwrap();
    for round in 1..=3 {
        set(&house, json!({"point": "store.commit", "action": "panic", "count": 1})).await;
        let room = json!({"name": format!("room {round}"), "is_public": true});
        let (status, made) = request(&house, "POST", "/api/rooms", token, &room).await;
        assert!((200..300).contains(&status), "{made}");
        let is_over = |store: &Value| store["state"] == "ready" && store["waiting"] == 0;
        let after = until(&house, |store| is_over(store) && store["failures"] == round).await;
        assert_eq!(after["breaker"]["state"], "closed", "{after}");
        let (from, to) = ((round - 1) * 100, round * 100);
        measure(&mut device, &topic, from..to).await;
        assert_eq!(values(&mut viewer, "s", "ecg", 100).await, numbers(from..to));
    }
    house.close().await;
    let next = data.house().await;
    let (status, lobby) = http(&next, "GET", "/api/rooms/public", &Value::Null).await;
    assert_eq!(status, 200, "{lobby}");
    for round in 1..=3 {
        let times = lobby.to_string().matches(&format!("\"room {round}\"")).count();
        assert_eq!(times, 1, "{lobby}");
    }
    next.close().await;
}

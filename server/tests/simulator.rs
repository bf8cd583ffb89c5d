//! The simulator behind its HTTP API, in a whole server on a port of its own.

use std::time::Duration;

use serde_json::{Value, json};
use server::config::Given;
use server::house::House;
use simulator::scenario::Scenario;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

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

/// An empty folder, with one for scenarios in it.
fn data(name: &str) -> String {
    let data = format!("{}/simulator-{name}", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(format!("{data}/scenarios")).unwrap();
    data
}

/// One request, as written.
async fn raw(house: &House, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// A request with these headers.
async fn request(
    house: &House,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (u16, Value) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        house.address,
        body.len()
    );
    let (status, body) = raw(house, &request).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

async fn order(house: &House, order: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/simulator/{order}");
    let headers = "content-type: application/json\r\n";
    request(house, "POST", &path, headers, &body.to_string()).await
}

async fn overview(house: &House) -> Value {
    let (status, body) = request(house, "GET", "/api/simulator", "", "").await;
    assert_eq!(status, 200);
    body
}

/// The entry of one that runs.
async fn entry(house: &House, id: &str) -> Option<Value> {
    let overview = overview(house).await;
    let running = overview["running"].as_array().unwrap();
    running.iter().find(|entry| entry["id"] == id).cloned()
}

/// Asks until it is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::task::yield_now().await;
    }
}

async fn figure(house: &House, name: &str) -> u64 {
    let request =
        format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", house.address);
    let (_, page) = raw(house, &request).await;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("sensocto_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse::<f64>().unwrap() as u64
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn two_run_at_once_and_one_goes_on_when_the_other_stops() {
    let house = house(&[]).await;
    let (status, few) = order(&house, "start", json!({"scenario": "few"})).await;
    assert_eq!(status, 201, "{few}");
    assert_eq!(
        (&few["id"], &few["state"], &few["seed"]),
        (&json!("few"), &json!("running"), &json!(1))
    );
    assert_eq!((&few["speed"], &few["sensors"]), (&json!(1.0), &json!(32)));
    let body = json!({"scenario": "hundred", "seed": 7, "speed": 2});
    let (status, hundred) = order(&house, "start", body).await;
    assert_eq!((status, &hundred["seed"], &hundred["speed"]), (201, &json!(7), &json!(2.0)));
    let sensors = hundred["sensors"].as_u64().unwrap();

    until("both are there", async || {
        let overview = overview(&house).await;
        let live: Vec<_> = overview["running"]
            .as_array()?
            .iter()
            .map(|entry| (entry["id"].as_str().unwrap().to_owned(), entry["sensors_live"].as_u64()))
            .collect();
        (live == [("few".into(), Some(32)), ("hundred".into(), Some(sensors))]).then_some(())
    })
    .await;
    assert_eq!(figure(&house, "sensors").await, 32 + sensors);

    let (status, stopped) = order(&house, "stop", json!({"id": "hundred"})).await;
    assert_eq!((status, &stopped["stopped"]), (200, &json!(["hundred"])));
    assert_eq!((&stopped["left_count"], &stopped["still_stopping"]), (&json!(0), &json!([])));
    assert!(stopped["took_ms"].as_u64().unwrap() <= 4000);
    assert_eq!(figure(&house, "feeds").await, 32);
    let before = entry(&house, "few").await.unwrap()["position_ms"].as_i64().unwrap();
    until("few goes on", async || {
        let few = entry(&house, "few").await?;
        (few["sensors_live"] == 32 && few["position_ms"].as_i64()? > before + 100).then_some(())
    })
    .await;
    assert!(entry(&house, "hundred").await.is_none());
    house.close().await;
}

#[tokio::test]
async fn a_pause_stops_the_samples_and_a_resume_brings_them_back() {
    let house = house(&[("simulate", "few")]).await;
    until("samples", async || (figure(&house, "samples_total").await > 0).then_some(())).await;
    let (status, paused) = order(&house, "pause", json!({"id": "few"})).await;
    assert_eq!((status, &paused["state"]), (200, &json!("paused")));
    // The tick that the order was in may still be counted.
    let ticks = figure(&house, "ticks_total").await;
    until("a tick", async || (figure(&house, "ticks_total").await > ticks + 1).then_some(())).await;
    let (samples, ticks) =
        (figure(&house, "samples_total").await, figure(&house, "ticks_total").await);
    until("ticks", async || (figure(&house, "ticks_total").await > ticks + 10).then_some(())).await;
    assert_eq!(figure(&house, "samples_total").await, samples);
    let few = entry(&house, "few").await.unwrap();
    assert_eq!((&few["state"], &few["sensors_live"]), (&json!("paused"), &json!(32)));
    assert_eq!(few["position_ms"], paused["position_ms"]);

    let (status, resumed) = order(&house, "resume", json!({"id": "few"})).await;
    assert_eq!((status, &resumed["state"]), (200, &json!("running")));
    until("samples", async || (figure(&house, "samples_total").await > samples).then_some(()))
        .await;

    let (status, faster) = order(&house, "speed", json!({"id": "few", "speed": 10})).await;
    assert_eq!((status, &faster["speed"]), (200, &json!(10.0)));
    let ahead =
        |few: &Value| few["stamped_at"].as_i64().unwrap() - few["started_at"].as_i64().unwrap();
    until("its own time runs ahead", async || {
        let few = entry(&house, "few").await?;
        (ahead(&few) == few["position_ms"].as_i64()? && ahead(&few) > 5000).then_some(())
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn a_switch_leaves_only_the_new_one() {
    let house = house(&[("simulate", "few,hundred")]).await;
    until("both", async || {
        (overview(&house).await["running"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let (status, crowd) = order(&house, "switch", json!({"scenario": "crowd", "seed": 3})).await;
    assert_eq!((status, &crowd["id"], &crowd["seed"]), (201, &json!("crowd"), &json!(3)));
    let running = overview(&house).await["running"].clone();
    assert_eq!(running.as_array().unwrap().len(), 1);
    assert_eq!(running[0]["id"], "crowd");
    let sensors = crowd["sensors"].as_u64().unwrap();
    until("all of it", async || (figure(&house, "sensors").await == sensors).then_some(())).await;
    let (status, stopped) = order(&house, "stop", json!({"id": "*"})).await;
    assert_eq!((status, &stopped["stopped"]), (200, &json!(["crowd"])));
    assert_eq!(figure(&house, "feeds").await, 0);
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_code() {
    let data = data("refused");
    let house = house(&[("data", &data)]).await;
    let few = Scenario::named("few", None).unwrap();
    std::fs::write(format!("{data}/scenarios/friends.toml"), few.text()).unwrap();
    std::fs::write(format!("{data}/scenarios/broken.toml"), "nonsense = true").unwrap();
    let broken = order(&house, "start", json!({"scenario": "broken"})).await;
    assert_eq!(code(&broken), (422, "scenario_invalid"));
    assert!(
        broken.1["error"].as_str().unwrap().contains("broken.toml:1: `nonsense`"),
        "{broken:?}"
    );
    assert_eq!(order(&house, "start", json!({"scenario": "friends"})).await.0, 201);
    let clash = order(&house, "start", json!({"scenario": "few"})).await;
    assert_eq!(code(&clash), (409, "sensor_clash"));
    let said = clash.1["error"].as_str().unwrap();
    assert!(said.contains("`friends`") && said.contains(':'), "{said}");
    assert_eq!(order(&house, "start", json!({"scenario": "hundred"})).await.0, 201);
    let again = order(&house, "start", json!({"scenario": "hundred"})).await;
    assert_eq!(code(&again), (409, "already_running"));
    let unknown = order(&house, "start", json!({"scenario": "crwd"})).await;
    assert_eq!(code(&unknown), (404, "scenario_not_found"));
    assert!(unknown.1["error"].as_str().unwrap().contains("did you mean `crowd`?"), "{unknown:?}");
    for path in ["../../etc/passwd", "/etc/passwd", "Cargo.toml", "", "none ", "../few"] {
        let (status, _) = order(&house, "start", json!({"scenario": path})).await;
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    let absent = order(&house, "stop", json!({"id": "hundert"})).await;
    assert_eq!(code(&absent), (404, "not_running"));
    assert!(absent.1["error"].as_str().unwrap().contains("did you mean `hundred`?"));
    for change in ["pause", "resume"] {
        let absent = order(&house, change, json!({"id": "few"})).await;
        assert_eq!(code(&absent), (404, "not_running"));
    }
    let seek = order(&house, "seek", json!({"id": "hundred", "position_ms": 0})).await;
    assert_eq!(code(&seek), (409, "not_a_replay"));
    assert_eq!(overview(&house).await["running"].as_array().unwrap().len(), 2);
    house.close().await;
}

#[tokio::test]
async fn the_folder_of_the_operator_is_looked_at_again_when_it_changes() {
    let data = data("folder");
    let house = house(&[("data", &data)]).await;
    let path = format!("{data}/scenarios/mine.toml");
    let listed = async || {
        let overview = overview(&house).await;
        let scenarios = overview["scenarios"].as_array().unwrap().clone();
        scenarios.into_iter().find(|scenario| scenario["name"] == "mine")
    };
    assert_eq!(listed().await, None);
    let few = Scenario::named("few", None).unwrap();
    std::fs::write(&path, few.text()).unwrap();
    let mine = until("it is listed", listed).await;
    assert_eq!((&mine["origin"], &mine["sensors"]), (&json!("yours"), &json!(32)));
    std::fs::write(&path, "nonsense = true").unwrap();
    until("its mistake is told", async || {
        listed().await?["error"].as_str()?.contains("`nonsense`").then_some(())
    })
    .await;
    std::fs::remove_file(&path).unwrap();
    until("it is gone", async || listed().await.is_none().then_some(())).await;
    house.close().await;
}

#[tokio::test]
async fn words_that_are_wrong_are_told_by_their_key() {
    let house = house(&[]).await;
    for (path, body, problem) in [
        ("start", "", "bad_json"),
        ("start", "{", "bad_json"),
        ("start", "[]", "bad_json"),
        ("start", "{}", "bad_value"),
        ("start", r#"{"scenario": 7}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "sped": 1}"#, "unknown_key"),
        ("start", r#"{"scenario": "few", "seed": -1}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "seed": 1.5}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "speed": 0}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "speed": 101}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "speed": "fast"}"#, "bad_value"),
        ("start", r#"{"scenario": "few", "speed": 1e999}"#, "bad_json"),
        ("speed", r#"{"id": "few"}"#, "bad_value"),
        ("seek", r#"{"id": "few", "position_ms": -1}"#, "bad_value"),
        ("stop", r#"{"id": null}"#, "bad_value"),
        ("check", r#"{"id": "few"}"#, "unknown_key"),
    ] {
        let path = format!("/api/simulator/{path}");
        let headers = "content-type: application/json; charset=utf-8\r\n";
        let answer = request(&house, "POST", &path, headers, body).await;
        assert_eq!(code(&answer), (400, problem), "{path} {body}: {}", answer.1);
        assert!(answer.1["error"].is_string());
    }
    let body = json!({"scenario": "few", "sped": 1});
    let answer = order(&house, "start", body).await;
    assert!(answer.1["error"].as_str().unwrap().starts_with("`sped`"), "{answer:?}");
    let large = json!({"scenario": "x".repeat(100_000)});
    assert_eq!(code(&order(&house, "start", large).await), (413, "body_too_large"));

    let body = r#"{"scenario": "few"}"#;
    for headers in ["", "content-type: text/plain\r\n"] {
        let answer = request(&house, "POST", "/api/simulator/start", headers, body).await;
        assert_eq!(code(&answer), (415, "unsupported_media_type"));
    }
    let json = "content-type: application/json\r\n";
    for (method, path) in [
        ("GET", "/api/simulator/start"),
        ("PUT", "/api/simulator/stop"),
        ("DELETE", "/api/simulator"),
        ("POST", "/api/simulator"),
    ] {
        let answer = request(&house, method, path, json, body).await;
        assert_eq!(code(&answer), (405, "method_not_allowed"), "{method} {path}");
    }
    assert_eq!(overview(&house).await["running"], json!([]), "none of it has started anything");
    house.close().await;
}

#[tokio::test]
async fn only_those_may_order_who_may_watch_and_from_pages_of_ours() {
    let house = house(&[("auth", "strict"), ("viewer_tokens", "ann:s3cret")]).await;
    let json = "content-type: application/json\r\n";
    let body = r#"{"scenario": "few"}"#;
    for (method, path) in [("GET", "/api/simulator"), ("POST", "/api/simulator/start")] {
        for key in ["", "authorization: Bearer wrong\r\n"] {
            let answer = request(&house, method, path, &format!("{json}{key}"), body).await;
            assert_eq!(code(&answer), (401, "unauthorized"), "{method} {key}");
        }
    }
    let key = "authorization: Bearer s3cret\r\n";
    let elsewhere = format!("{json}{key}origin: https://evil.example\r\n");
    let answer = request(&house, "POST", "/api/simulator/start", &elsewhere, body).await;
    assert_eq!(code(&answer), (403, "origin_refused"));
    let here = format!("{json}{key}origin: http://{}\r\n", house.address);
    let answer = request(&house, "POST", "/api/simulator/start", &here, body).await;
    assert_eq!(answer.0, 201);
    let answer = request(&house, "GET", "/api/simulator", key, "").await;
    assert_eq!((answer.0, answer.1["running"].as_array().unwrap().len()), (200, 1));
    house.close().await;
}

#[tokio::test]
async fn scenarios_and_health_are_listed() {
    let house = house(&[("simulate", "few")]).await;
    let overview = overview(&house).await;
    let few =
        overview["scenarios"].as_array().unwrap().iter().find(|s| s["name"] == "few").unwrap();
    assert_eq!(
        (&few["sensors"], &few["people"], &few["origin"]),
        (&json!(32), &json!(8), &json!("shipped"))
    );
    assert!(few["description"].as_str().unwrap().len() > 10 && few["error"].is_null());
    assert!(few["samples_per_second"].as_f64().unwrap() > 1000.0);
    let health = &overview["health"];
    assert_eq!((&health["ok"], &health["every_ms"]), (&json!(true), &json!(30_000)));
    assert_eq!(health["missing"], json!([]));
    until("few is there", async || {
        (entry(&house, "few").await?["sensors_live"] == 32).then_some(())
    })
    .await;
    for _ in 0..20 {
        let (status, health) = order(&house, "check", json!({})).await;
        assert_eq!((status, &health["ok"]), (200, &json!(true)), "{health}");
        assert!(health["checked_at"].as_i64().unwrap() > 1_700_000_000_000);
    }
    assert_eq!(entry(&house, "few").await.unwrap()["sensors_live"], 32, "as it was");
    house.close().await;
}

#[tokio::test]
async fn a_recording_is_shown_beside_what_it_was_made_of() {
    let data = data("replay");
    let house = house(&[("data", &data)]).await;
    let json = "content-type: application/json\r\n";
    let name = r#"{"name": "morning"}"#;
    assert_eq!(request(&house, "POST", "/api/recordings", json, name).await.0, 201);
    assert_eq!(order(&house, "start", json!({"scenario": "few"})).await.0, 201);
    until("two seconds", async || {
        (entry(&house, "few").await?["position_ms"].as_i64()? > 2000).then_some(())
    })
    .await;
    assert_eq!(request(&house, "POST", "/api/recordings/stop", json, "{}").await.0, 200);

    let absent = order(&house, "replay", json!({"recording": "evening"})).await;
    assert_eq!(code(&absent), (404, "recording_not_found"));
    let path = order(&house, "replay", json!({"recording": "../morning"})).await;
    assert_eq!(code(&path), (400, "bad_name"));
    let (status, shown) = order(&house, "replay", json!({"recording": "morning"})).await;
    assert_eq!(
        (status, &shown["kind"], &shown["id"]),
        (201, &json!("replay"), &json!("replay:morning")),
        "{shown}"
    );
    assert!(shown["seed"].is_null() && shown["duration_ms"].as_i64().unwrap() > 2000, "{shown}");
    let again = order(&house, "replay", json!({"recording": "morning"})).await;
    assert_eq!(code(&again), (409, "already_running"));
    until("its sensors are there, and few's still are", async || {
        let replay = entry(&house, "replay:morning").await?;
        let few = entry(&house, "few").await?;
        (replay["sensors_live"] == 32 && few["sensors_live"] == 32).then_some(())
    })
    .await;
    let (_, health) = order(&house, "check", json!({})).await;
    assert_eq!(health["ok"], true, "{health}");

    let id = json!({"id": "replay:morning"});
    let (status, paused) = order(&house, "pause", id.clone()).await;
    assert_eq!((status, &paused["state"]), (200, &json!("paused")));
    let body = json!({"id": "replay:morning", "position_ms": 1500});
    let (status, moved) = order(&house, "seek", body).await;
    assert_eq!(
        (status, &moved["position_ms"], &moved["state"]),
        (200, &json!(1500), &json!("paused")),
        "{moved}"
    );
    let recorded_at = moved["recorded_at"].as_i64().unwrap();
    assert!(recorded_at < moved["started_at"].as_i64().unwrap(), "it is of the past");
    assert_eq!(order(&house, "resume", id.clone()).await.0, 200);
    until("its end", async || {
        (entry(&house, "replay:morning").await?["state"] == "ended").then_some(())
    })
    .await;
    let body = json!({"id": "replay:morning", "position_ms": 0});
    let (status, moved) = order(&house, "seek", body).await;
    assert_eq!((status, &moved["state"]), (200, &json!("running")), "{moved}");
    let (status, stopped) = order(&house, "stop", id).await;
    assert_eq!((status, &stopped["left_count"]), (200, &json!(0)), "{stopped}");
    assert_eq!(figure(&house, "feeds").await, 32, "few goes on");
    house.close().await;
}

#[tokio::test]
async fn a_server_that_closes_lets_everybody_leave_in_time() {
    let house = house(&[("simulate", "crowd")]).await;
    until("all", async || {
        let crowd = entry(&house, "crowd").await?;
        (crowd["sensors_live"] == crowd["sensors"]).then_some(())
    })
    .await;
    let simulator = house.simulator();
    timeout(PATIENCE, house.close()).await.expect("it waits for nobody for ever");
    assert!(simulator.status().running.is_empty(), "they left before the engine stopped");
}

//! Groups, from what devices say to what a viewer reads.

use std::f64::consts::TAU;
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

const BREATH_HZ: f64 = 0.3;
const SECONDS: f64 = 45.0;

/// A breath of the last 45 s, ten samples a second, `behind_s` later than the clock says.
fn breath(now_ms: u64, behind_s: f64) -> Value {
    let sample = |n: i64| {
        let t = n as f64 / 10.0;
        let payload = (TAU * BREATH_HZ * (t - behind_s)).sin();
        let timestamp = now_ms as i64 - (SECONDS * 1e3) as i64 + n * 100;
        json!({"attribute_id": "respiration", "payload": payload, "timestamp": timestamp})
    };
    (0..=(SECONDS * 10.0) as i64).map(sample).collect()
}

#[tokio::test]
async fn two_who_breathe_are_read_as_a_group_by_whoever_watches() {
    let house = house(&[]).await;
    let (mut viewer, topic, _) =
        watch(&house, json!({"sensors": ["a", "b"], "visible": []}), json!({})).await;
    let wish = json!({"group": "choir", "tier": "live"});
    let reply = viewer.ask(&topic, "watch_group", wish).await;
    assert_eq!(reply["response"], json!({"group": "choir", "latency_ms": 1000}));
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let (mut ada, ada_topic) = join_sensor(&house, "a").await;
    let (mut bea, bea_topic) = join_sensor(&house, "b").await;
    let behind_s = 0.5;
    ada.push(&ada_topic, "measurements_batch", breath(now_ms, 0.0)).await;
    bea.push(&bea_topic, "measurements_batch", breath(now_ms, behind_s)).await;
    let members = viewer.event("group_members").await;
    assert_eq!(members["members"], json!(["a", "b"]));
    // Readings come many at once: the newest of each message has the phases.
    let reading = viewer
        .until(|message| {
            let frame: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
            let newest = frame[4]["readings"].as_array()?.last()?;
            (frame[3] == "group_reading" && newest["measurable"] == 2).then(|| frame[4].clone())
        })
        .await;
    let newest = reading["readings"].as_array().unwrap().last().unwrap();
    let expected = (0.5 * TAU * BREATH_HZ * behind_s).cos();
    assert!((newest["R"].as_f64().unwrap() - expected).abs() < 0.05, "{newest} {expected}");
    let phases: Vec<f64> =
        reading["phases"].as_array().unwrap().iter().map(|phase| phase.as_f64().unwrap()).collect();
    let ahead = (phases[0] - phases[1]).rem_euclid(TAU);
    assert!((ahead - TAU * BREATH_HZ * behind_s).abs() < 0.2, "{phases:?}");
    assert_eq!(reading["why"], json!([null, null]));
    house.close().await;
}

/// The text of a file over HTTP.
async fn text(house: &House, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[tokio::test]
async fn a_session_records_a_group_that_nobody_watches_and_comes_to_a_report() {
    let data = folder("sessions");
    let house = house(&[("data", data.to_str().unwrap())]).await;
    let all = "/api/synchrony/sessions";
    let wish =
        json!({"name": "choir", "tier": "live", "sensors": ["a", "b"], "condition": "paced"});
    let (status, begun) = http(&house, "POST", all, &wish).await;
    assert_eq!(
        (status, &begun["state"], &begun["condition"]),
        (201, &json!("running"), &json!("paced"))
    );
    assert_eq!(http(&house, "POST", all, &wish).await.0, 409);
    assert_eq!(text(&house, &format!("{all}/choir/report.json")).await.0, 409);
    // The device hears that it is wanted, though nobody looks.
    let (mut ada, ada_topic) = join_sensor(&house, "a").await;
    let (mut bea, bea_topic) = join_sensor(&house, "b").await;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    ada.push(&ada_topic, "measurements_batch", breath(now_ms, 0.0)).await;
    bea.push(&bea_topic, "measurements_batch", breath(now_ms, 0.5)).await;
    let one = format!("{all}/choir");
    let both = json!([
        {"sensor_id": "a", "measurable": true, "why": null},
        {"sensor_id": "b", "measurable": true, "why": null},
    ]);
    loop {
        let (_, status) = http(&house, "GET", &one, &Value::Null).await;
        if status["people"] == both {
            break;
        }
    }
    let (status, stopped) =
        http(&house, "POST", &format!("{one}/stop"), &json!({"surrogates": 99})).await;
    assert_eq!(status, 202, "{stopped}");
    let done = loop {
        let (status, answer) = http(&house, "GET", &one, &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        if answer["state"] == "done" {
            break answer;
        }
        assert_ne!(answer["state"], "failed", "{answer}");
    };
    assert_eq!(done["people"], 2);
    assert!(done["cautions"][0].as_str().unwrap().contains("followed a pacer"), "{done}");
    // Twenty seconds of the past are taken in; phases are not looked back on at either end.
    assert!(done["duration_s"].as_f64().unwrap() > 10.0, "{done}");
    let (status, csv) = text(&house, &format!("{one}/signals.csv")).await;
    assert_eq!(status, 200);
    let rows: Vec<&str> = csv.lines().skip_while(|line| *line != "t,a,b").skip(1).collect();
    // What both breathed, half a second apart: one's row is the other's five rows before.
    let number =
        |row: &str, at: usize| row.split(',').nth(at).and_then(|it| it.parse::<f64>().ok());
    let apart: Vec<f64> = (5..rows.len())
        .filter_map(|n| Some(number(rows[n - 5], 1)? - number(rows[n], 2)?))
        .collect();
    assert!(apart.len() > 50 && apart.iter().all(|apart| apart.abs() < 1e-3), "{csv}");
    let (_, page) = text(&house, &format!("{one}/report.html")).await;
    assert!(page.contains("default-src 'none'") && page.contains("<h1>choir</h1>"));
    // Its group is gone with it: nothing is claimed any more.
    let (_, list) = http(&house, "GET", all, &Value::Null).await;
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(http(&house, "POST", &format!("{one}/stop"), &json!({})).await.0, 404);
    assert_eq!(http(&house, "DELETE", &one, &Value::Null).await.0, 204);
    assert_eq!(http(&house, "GET", &one, &Value::Null).await.0, 404);
    house.close().await;
    std::fs::remove_dir_all(&data).unwrap();
}

#[tokio::test]
async fn a_session_that_runs_when_the_server_stops_is_kept() {
    let data = folder("sessions-kept");
    let settings = [("data", data.to_str().unwrap())];
    let first = house(&settings).await;
    let all = "/api/synchrony/sessions";
    let wish = json!({"name": "choir", "sensors": ["a", "b"]});
    assert_eq!(http(&first, "POST", all, &wish).await.0, 201);
    first.close().await;
    let second = house(&settings).await;
    let (status, kept) = http(&second, "GET", &format!("{all}/choir"), &Value::Null).await;
    assert_eq!((status, &kept["state"]), (200, &json!("done")));
    assert_eq!(kept["significance"]["method"], "none");
    assert_eq!(http(&second, "POST", all, &wish).await.0, 409, "the name is taken");
    second.close().await;
    std::fs::remove_dir_all(&data).unwrap();
}

#[tokio::test]
async fn orders_about_sessions_that_make_no_sense_are_refused_with_a_reason() {
    let data = folder("sessions-bad");
    let house = house(&[("data", data.to_str().unwrap())]).await;
    let all = "/api/synchrony/sessions";
    for (wish, said) in [
        (json!({"name": "../x"}), "a name is up to"),
        (json!({"name": "hrv_sync"}), "there is a session `hrv_sync` already"),
        (json!({"signal": "gaze"}), "`signal`: expected one of breath, heart_high, heart_low"),
        (json!({"tier": 3}), "`tier`: expected one of confirmed, prompt, live"),
        (
            json!({"condition": "free "}),
            "`condition`: expected one of free, paced, common_stimulus",
        ),
        (json!({"sensors": []}), "`sensors`: expected \"all\" or a list of up to 64 sensor ids"),
        (json!({"sensors": vec!["a"; 65]}), "`sensors`: expected"),
        (json!({"people": 1}), "`people`: there is no such key"),
    ] {
        let (status, answer) = http(&house, "POST", all, &wish).await;
        assert!(matches!(status, 400 | 409), "{wish} {answer}");
        assert!(answer["error"].as_str().unwrap().starts_with(said), "{wish} {answer}");
    }
    for n in 0..8 {
        let wish = json!({"name": format!("s{n}"), "sensors": ["a"]});
        assert_eq!(http(&house, "POST", all, &wish).await.0, 201);
    }
    let (status, answer) = http(&house, "POST", all, &json!({"sensors": ["a"]})).await;
    assert_eq!((status, &answer["code"]), (429, &json!("too_many_sessions")));
    let (status, answer) =
        http(&house, "POST", &format!("{all}/s0/stop"), &json!({"surrogates": 5})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("bad_value")), "{answer}");
    for n in 0..8 {
        assert_eq!(http(&house, "DELETE", &format!("{all}/s{n}"), &Value::Null).await.0, 204);
    }
    assert_eq!(http(&house, "POST", all, &json!({"name": "again", "sensors": ["a"]})).await.0, 201);
    house.close().await;
    std::fs::remove_dir_all(&data).unwrap();
}

/// What it recorded is still there: it takes a place until somebody lets it go.
#[tokio::test]
async fn a_session_whose_report_cannot_be_kept_says_why_and_takes_a_place_until_it_is_deleted() {
    let data = folder("sessions-lost");
    let house = house(&[("data", data.to_str().unwrap())]).await;
    let all = "/api/synchrony/sessions";
    let begin = async |name: &str| {
        http(&house, "POST", all, &json!({"name": name, "sensors": ["a"]})).await
    };
    assert_eq!(begin("lost").await.0, 201);
    // No folder can be made where a file is.
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("sessions"), "in the way").unwrap();
    let one = format!("{all}/lost");
    assert_eq!(http(&house, "POST", &format!("{one}/stop"), &json!({"null": "none"})).await.0, 202);
    let wait = async {
        loop {
            let (_, status) = http(&house, "GET", &one, &Value::Null).await;
            if status["state"] == "failed" {
                break status;
            }
        }
    };
    let failed = timeout(PATIENCE, wait).await.expect("it fails, and says so");
    assert!(failed["why"].as_str().unwrap().starts_with("the folder of sessions: "), "{failed}");
    std::fs::remove_file(data.join("sessions")).unwrap();
    for n in 1..8 {
        assert_eq!(begin(&format!("s{n}")).await.0, 201);
    }
    assert_eq!(begin("s8").await.0, 429);
    assert_eq!(http(&house, "DELETE", &one, &Value::Null).await.0, 204);
    assert_eq!(begin("s8").await.0, 201);
    house.close().await;
    std::fs::remove_dir_all(&data).unwrap();
}

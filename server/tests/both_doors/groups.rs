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

//! What runs beside the engine panics: it is started again, and nobody else notices; beyond its budget it
//! is left out for a while, and said so.

use super::faults::set;
use super::storage::{Folder, measure, numbers};
use super::*;

async fn tasks(house: &House, wanted: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let (status, health) = http(house, "GET", "/health/ready", &Value::Null).await;
            assert_eq!(status, 200, "{health}");
            let tasks = &health["checks"]["tasks"];
            if wanted(tasks) {
                let is_well = tasks["healthy"] == true;
                assert_eq!(health["status"], if is_well { "healthy" } else { "degraded" });
                return tasks.clone();
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("the tasks come to be so")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_the_past_panics_beyond_its_budget_and_costs_neither_live_data_nor_the_past() {
    let data = Folder::new("tasks");
    let house = data.house().await;
    let (mut device, topic) = join_sensor(&house, "s").await;
    let (mut viewer, ..) = watch(&house, json!({"sensors": ["s"]}), json!({})).await;
    let (status, kept) = http(&house, "PUT", "/api/sensors/s/history", &json!({})).await;
    assert_eq!(status, 200, "{kept}");
    set(&house, json!({"point": "task.history", "action": "panic", "count": 3})).await;
    let three = |tasks: &Value| tasks["panicked"]["history"]["panics"] == 3;
    let within = tasks(&house, three).await;
    assert_eq!((&within["healthy"], &within["off"]), (&json!(true), &json!([])), "{within}");
    set(&house, json!({"point": "task.history", "action": "panic"})).await;
    let beyond = tasks(&house, |tasks| tasks["healthy"] == false).await;
    assert_eq!(beyond["off"], json!(["history"]));
    let panicked: Vec<&String> = beyond["panicked"].as_object().unwrap().keys().collect();
    assert_eq!(panicked, ["history"], "nobody else: {beyond}");
    measure(&mut device, &topic, 0..200).await;
    assert_eq!(values(&mut viewer, "s", "ecg", 200).await, numbers(0..200), "not one was lost");
    set(&house, json!({"point": "task.history", "action": "off"})).await;
    tasks(&house, |tasks| tasks["healthy"] == true).await;
    let path = "/api/sensors/s/history?attribute=ecg&from=0&to=200";
    let asking = async {
        loop {
            let (_, past) = http(&house, "GET", path, &Value::Null).await;
            if past["samples"].as_array().is_some_and(|samples| samples.len() == 200) {
                return past;
            }
        }
    };
    let past = timeout(PATIENCE, asking).await.expect("what waited is kept");
    let sent: Vec<Value> = (0..200).map(|n| json!([n, n])).collect();
    assert_eq!(past["samples"], json!(sent));
    house.close().await;
}

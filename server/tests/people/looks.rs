//! What viewers say wrong, event by event.

use super::events::{Wrong, all};
use super::*;

/// What a viewer may say, said wrong.
pub(crate) fn looks() -> Vec<(&'static str, Vec<Wrong>)> {
    let many: Vec<String> = (0..10_001).map(|n| format!("s{n}")).collect();
    let long = "x".repeat(129);
    let targets = [json!(7), json!([7]), json!([""]), json!([["a", "b"]]), json!([{}])];
    let mut attention: Vec<Value> = ["hovered", "focused", "pinned"]
        .iter()
        .flat_map(|key| targets.iter().map(move |it| json!({ *key: it })))
        .collect();
    attention.extend([
        json!({ "visible": 7 }),
        json!({ "visible": [7] }),
        json!({ "visible": [long] }),
        json!({ "visible": many }),
        json!({ "hovered": [{ "attribute_id": "a" }] }),
        json!({ "hidden": 1 }),
        json!({ "hidden": null }),
        json!({ "battery": "full" }),
    ]);
    let of = |key: &'static str, values: Vec<Value>| {
        values.into_iter().map(|value| json!({ key: value })).chain([json!({})]).collect()
    };
    let lists = || vec![json!(7), json!(null), json!("some"), json!([7]), json!([""]), json!(many)];
    let command =
        |key: &str, value: Value| json!({ "sensor_id": "belt", "command": "rotate", key: value });
    let page = |key: &str, value: Value| {
        let mut page = json!({ "sensor_id": "belt", "attribute_id": "hr", "before": 1 });
        page[key] = value;
        page
    };
    let periods = |key: &str, value: Value| {
        let mut periods = json!({ "sensor_id": "belt", "attribute_id": "hr" });
        (periods["from"], periods["to"], periods["step"]) = (json!(0), json!(60_000), json!(1_000));
        periods[key] = value;
        periods
    };
    let group = |key: &str, value: Value| json!({ "group": "g", key: value });
    let health = vec![
        json!({ "fps": "x" }),
        json!({ "fps": -1 }),
        json!({ "memoryPressure": 2 }),
        json!({ "cpuPressure": "hot" }),
        json!({ "batteryCharging": 1 }),
        json!({ "viewport": [1, 2] }),
        json!({ "viewport": { "width": 1 } }),
    ];
    let events: Vec<(&str, Vec<Value>)> = vec![
        ("attention", attention),
        ("set_sensors", of("sensors", lists())),
        ("set_visible_sensors", of("sensor_ids", lists())),
        ("set_quality", of("quality", vec![json!("best"), json!(7), json!(null)])),
        ("client_health", health),
        (
            "device_command",
            vec![
                json!({}),
                json!({ "sensor_id": "belt" }),
                json!({ "command": "stop" }),
                command("sensor_id", json!(7)),
                command("sensor_id", json!(long)),
                command("command", json!("jump")),
                command("speed", json!("fast")),
                command("clockwise", json!(1)),
                command("more", json!("x".repeat(5000))),
            ],
        ),
        (
            "watch_group",
            vec![
                json!({}),
                group("group", json!(7)),
                group("group", json!("")),
                group("group", json!("a\u{0}")),
                group("group", json!("hrv_sync")),
                group("signal", json!(7)),
                group("tier", json!("soon")),
                group("sensors", json!([7])),
                group("attribute", json!("a b")),
            ],
        ),
        ("unwatch_group", vec![json!({}), json!({ "group": 7 }), json!({ "group": "" })]),
        (
            "history",
            vec![
                json!({}),
                json!({ "sensor_id": "belt", "attribute_id": "hr" }),
                json!(["belt", "hr", 1, 0, 1]),
                page("before", json!("now")),
                page("count", json!(0)),
                page("count", json!(5001)),
                page("have", json!(-1)),
                page("more", json!(1)),
                page("step", json!(1_000)),
                periods("from", json!(60_000)),
                periods("from", json!(i64::MIN)),
                periods("from", json!(-600_000_000)),
                periods("to", json!(1_500)),
                periods("to", json!(null)),
                periods("step", json!(0)),
                periods("step", json!(-1_000)),
                periods("step", json!(1_500)),
                periods("step", json!(i64::MAX / 60_000 * 60_000)),
                periods("before", json!(1)),
                periods("count", json!(1)),
            ],
        ),
    ];
    events.into_iter().map(|(event, wrong)| (event, all("invalid_payload", wrong))).collect()
}

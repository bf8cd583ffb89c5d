//! What devices say wrong, by whatever they come in: each is answered by a reason, or passed over in
//! silence where the original's clients expect that, and counted; nothing of it is measured.

use super::events::{Wrong, all, answers, is_told, no_objects, reasons};
use super::them::{Client, Them, has_value, join_words, measure};
use super::*;

/// The members that a sensor's join must have.
const KEYS: [&str; 9] = [
    "connector_id",
    "connector_name",
    "sensor_id",
    "sensor_name",
    "sensor_type",
    "attributes",
    "sampling_rate",
    "batch_size",
    "bearer_token",
];

/// What is no join of this sensor.
fn no_joins(sensor_id: &str, token: &str) -> Vec<Wrong> {
    let words = join_words(sensor_id, token);
    let but = |key: &str, value: Value| {
        let mut words = words.clone();
        words[key] = value;
        words
    };
    let without = |key: &str| {
        let mut words = words.clone();
        words.as_object_mut().unwrap().remove(key);
        words
    };
    let many: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
    let mut wrong = all("join crashed", KEYS.map(without).to_vec());
    wrong.extend([
        (but("sensor_id", json!("another")), "join crashed"),
        (but("sensor_id", json!(7)), "join crashed"),
        (but("sensor_name", json!({})), "join crashed"),
        (but("attributes", json!("hr")), "join crashed"),
        (but("sensor_name", json!("x".repeat(129))), "name_too_long"),
        (but("attributes", json!(many)), "too_many_attributes"),
        (but("bearer_token", json!(null)), "unauthorized"),
        (but("bearer_token", json!(7)), "unauthorized"),
        (but("bearer_token", json!("")), "unauthorized"),
        (but("bearer_token", json!(format!("guest:x:{token}"))), "unauthorized"),
    ]);
    wrong
}

fn sample(key: &str, value: Value) -> Value {
    let mut sample = json!({ "attribute_id": "hr", "payload": 1, "timestamp": 1 });
    sample[key] = value;
    sample
}

/// Events with what is wrong with them, and the reason.
fn answered() -> Vec<(&'static str, Vec<Wrong>)> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let ids = [json!(7), json!(""), json!("-a"), json!("a b"), json!("x".repeat(65)), json!(null)];
    let mut samples: Vec<Wrong> =
        ids.map(|id| (sample("attribute_id", id), "invalid_attribute_id")).to_vec();
    let stamps = [json!("1"), json!(null), json!([1]), json!({})];
    samples.extend(stamps.map(|stamp| (sample("timestamp", stamp), "invalid_timestamp")));
    samples.extend([
        (sample("payload", deep.clone()), "invalid_payload"),
        (sample("more", deep), "invalid_payload"),
        (sample("payload", json!("x".repeat(70_000))), "payload_too_large"),
        (sample("more", json!("x".repeat(70_000))), "payload_too_large"),
    ]);
    let good = || sample("payload", json!(1));
    let batches = vec![
        (json!([{}]), "invalid_batch"),
        (json!([good(), {}]), "invalid_batch"),
        (json!([good(), sample("attribute_id", json!("-"))]), "invalid_batch"),
        (json!(vec![good(); 4097]), "batch_too_large"),
    ];
    let update =
        |action: Value, id: Value| json!({ "action": action, "attribute_id": id, "metadata": {} });
    let mut updates = all("invalid_payload", vec![]);
    updates.extend([
        (json!({}), "missing_fields"),
        (json!({ "action": "register", "attribute_id": "a" }), "missing_fields"),
        (json!({ "action": "register", "metadata": {} }), "missing_fields"),
        (json!({ "attribute_id": "a", "metadata": {} }), "missing_fields"),
        (update(json!("add"), json!("-")), "invalid_action"),
        (update(json!(7), json!("a")), "invalid_action"),
        (update(json!("register"), json!("-")), "invalid_attribute_id"),
        (update(json!("unregister"), json!(7)), "invalid_attribute_id"),
    ]);
    let names = [json!(""), json!("x".repeat(101)), json!(7), json!(null)];
    let names = names.map(|name| json!({ "connector_name": name })).to_vec();
    vec![
        ("measurement", samples),
        ("measurements_batch", batches),
        ("update_attributes", updates),
        ("update_connector", all("invalid_connector_name", names)),
        ("shout", all("invalid_payload", vec![])),
    ]
}

/// Events that nobody answers, as in the original; whether they are counted as incomplete.
fn passed_over() -> Vec<(&'static str, Vec<Value>, bool)> {
    let mut samples = no_objects();
    samples.extend([json!({}), json!({ "attribute_id": "-x", "payload": 1 })]);
    let mut batches = no_objects();
    batches.retain(|it| !it.is_array());
    batches.push(sample("payload", json!(1)));
    vec![
        ("measurement", samples, true),
        ("measurements_batch", batches, true),
        ("disconnect", no_objects(), false),
        ("no_such_event", no_objects(), false),
        ("phx_nonsense", no_objects(), false),
    ]
}

async fn incomplete(house: &House) -> u64 {
    let ready = ask(house, "GET", "/health/ready", &[], "").await;
    ready.body["checks"]["wire"]["measurements_incomplete"].as_u64().unwrap()
}

#[tokio::test]
async fn a_device_hears_what_was_wrong_and_goes_on_whoever_brought_it() {
    let known = reasons();
    let folder = Folder::new("device-events");
    let settings = [
        ("auth", "strict"),
        ("registration", "true"),
        ("guests", "true"),
        ("device_tokens", "belt:word"),
        ("viewer_tokens", "desk:secret"),
        ("data", folder.0.to_str().unwrap()),
        ("address_limit_factor", "1000"),
    ];
    let house = house(&settings).await;
    let root = Them::root(&house, &folder).await;
    let person = Them::person(&house, "person").await;
    let guest = Them::guest(&house).await;
    let made = json!({ "name": "Belt" });
    let made = person.do_it(&house, "POST", "/api/credentials", made).await;
    let bearer = ["authorization: Bearer secret"];
    let minted = ask(&house, "POST", "/api/viewers", &bearer, r#"{"sensors":"all"}"#).await;
    let mut viewer = Client::of(&house, None).await;
    viewer.join(minted.text("topic")).await;
    for (at, (role, token)) in [
        ("configured", "word".to_owned()),
        ("credential", made.text("token").to_owned()),
        ("person", person.access().to_owned()),
        ("guest", format!("guest:{}:{}", guest.id, guest.access())),
        ("administrator", root.access().to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let sensor_id = format!("belt-{role}");
        let topic = format!("sensocto:sensor:{sensor_id}");
        let client = &mut Client::of(&house, None).await;
        let wrong = no_joins(&sensor_id, &token);
        is_told(client, &topic, "phx_join", &wrong, role, &known).await;
        for (event, wrong) in answered() {
            let outside = [(wrong[0].0.clone(), "unmatched topic")];
            is_told(client, &topic, event, &outside, role, &known).await;
        }
        let client = &mut Client::of(&house, None).await;
        client.join_with(&topic, join_words(&sensor_id, &token)).await;
        // Another of theirs on the same topic, who hears none of it.
        let other = &mut Client::of(&house, None).await;
        other.join_with(&topic, join_words(&sensor_id, &token)).await;
        for (event, wrong) in answered() {
            is_told(client, &topic, event, &wrong, role, &known).await;
        }
        let before = incomplete(&house).await;
        let mut passed = 0;
        for (event, payloads, is_counted) in passed_over() {
            let heard = answers(client, &topic, event, payloads.iter()).await;
            assert!(heard.iter().all(Value::is_null), "{role} {event} {heard:?}");
            passed += if is_counted { payloads.len() as u64 } else { 0 };
        }
        assert_eq!(incomplete(&house).await - before, passed, "{role}");
        let heard: Vec<Value> = other.all().await;
        let is_of_others = |it: &Value| it[3] == "backpressure_config" || it[3] == "phx_reply";
        assert!(heard.iter().all(is_of_others), "{role} {heard:?}");
        let pong = client.ask(&topic, "ping", json!({ "still": "here" })).await;
        assert_eq!(pong, json!({ "status": "ok", "response": { "still": "here" } }), "{role}");
        let value = 60 + at as u32;
        measure(client, &sensor_id, value).await;
        viewer.until(|frame| has_value(&frame[4], value)).await;
        let heard = viewer.all().await;
        assert!(!heard.iter().any(|frame| has_value(&frame[4], 1)), "{role} {heard:?}");
        // What is no list of objects ends the channel, as in the original, and only that.
        client.send(&topic, "measurements_batch", &json!([1])).await;
        client.until(|frame| frame[3] == "phx_error" && frame[2] == *topic).await;
        let outside = [(json!({}), "unmatched topic")];
        is_told(client, &topic, "ping", &outside, role, &known).await;
        client.join_with(&topic, join_words(&sensor_id, &token)).await;
    }
    // And whoever comes in by nothing that counts here.
    let nobody = &mut Client::of(&house, None).await;
    for token in ["missing", "fake", "secret", &person.socket, &guest.id] {
        let wrong = [(join_words("belt", token), "unauthorized")];
        is_told(nobody, "sensocto:sensor:belt", "phx_join", &wrong, token, &known).await;
    }
    // That is the engine's word, and comes when it has decided.
    let words = join_words("__composite_sync", "word");
    let reason = nobody.refused("sensocto:sensor:__composite_sync", words).await;
    assert_eq!(reason, "reserved_name");
    house.close().await;
}

#[tokio::test]
async fn a_connector_and_a_receiver_hear_what_was_wrong() {
    let known = reasons();
    let house = house(&[]).await;
    let client = &mut Client::of(&house, None).await;
    let topic = "sensocto:connector:c";
    let words = json!({
        "connector_id": "c", "connector_name": "C", "connector_type": "python", "features": [],
        "bearer_token": "",
    });
    let mut wrong = all("join crashed", vec![json!({})]);
    for key in words.as_object().unwrap().keys() {
        let mut without = words.clone();
        without.as_object_mut().unwrap().remove(key);
        wrong.push((without, "join crashed"));
    }
    is_told(client, topic, "phx_join", &wrong, "connector", &known).await;
    client.join_with(topic, words.clone()).await;
    for (event, wrong) in answered() {
        is_told(client, topic, event, &wrong, "connector", &known).await;
    }
    // There is no sensor behind it: what is well said to one ends it, as in the original.
    let update = json!({ "action": "register", "attribute_id": "a", "metadata": {} });
    for (event, payload) in [
        ("measurement", sample("payload", json!(1))),
        ("update_attributes", update),
        ("update_connector", json!({ "connector_name": "D" })),
    ] {
        client.send(topic, event, &payload).await;
        client.until(|frame| frame[3] == "phx_error" && frame[2] == topic).await;
        client.join_with(topic, words.clone()).await;
    }
    // Whoever listens says nothing but that it is there.
    let topic = "sensocto:sensor:belt";
    let receiver = json!({
        "connector_id": "c", "connector_name": "C", "sensor_id": "belt",
        "sensor_type": "receiver", "bearer_token": "missing",
    });
    client.join_with(topic, receiver).await;
    for event in ["attention", "set_sensors", "device_command", "measurement", "watch_group"] {
        let wrong = all("unknown_event", vec![json!({}), json!({ "sensors": "all" })]);
        is_told(client, topic, event, &wrong, "receiver", &known).await;
    }
    assert_eq!(client.ask(topic, "ping", json!({ "x": 1 })).await["response"]["x"], 1);
    house.close().await;
}

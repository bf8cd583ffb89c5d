//! Discovery at the outer door: who keeps a list of what is live has what is, whoever they are.

use std::collections::BTreeMap;

use super::them::{Client, Them, join_words, open_house};
use super::*;

async fn device(house: &House, sensor_id: &str, token: &str, room: Option<&str>) -> Client {
    let mut device = Client::of(house, None).await;
    let mut words = join_words(sensor_id, token);
    if let Some(room) = room {
        words["room_id"] = room.into();
    }
    device.join_with(&format!("sensocto:sensor:{sensor_id}"), words).await;
    device
}

/// A list that is kept by what the channel says.
struct List {
    client: Client,
    sensors: BTreeMap<String, Value>,
}

impl List {
    async fn of(house: &House, socket_token: Option<&str>) -> Self {
        let mut client = Client::of(house, socket_token).await;
        client.join("discovery:sensors").await;
        Self { client, sensors: BTreeMap::new() }
    }

    /// Reads on until the list has these.
    async fn becomes(&mut self, wanted: &[&str]) {
        while self.sensors.keys().map(String::as_str).collect::<Vec<_>>() != wanted {
            let said = self.client.event("sensors_changed").await;
            assert_eq!(said["stale"], false);
            for sensor in said["sensors"].as_array().unwrap() {
                let id = sensor["sensor_id"].as_str().unwrap().to_owned();
                self.sensors.insert(id, sensor.clone());
            }
            for id in said["removed"].as_array().unwrap() {
                self.sensors.remove(id.as_str().unwrap());
            }
        }
    }
}

async fn found(house: &House, headers: &[&str], query: &str) -> (Vec<String>, bool) {
    let answer = ask(house, "GET", &format!("/api/discovery/sensors{query}"), headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let sensors = answer.body["sensors"].as_array().unwrap();
    let ids = sensors.iter().map(|it| it["sensor_id"].as_str().unwrap().to_owned());
    (ids.collect(), answer.body["more"].as_bool().unwrap())
}

#[tokio::test]
async fn a_list_has_what_is_live_and_no_more() {
    let house = open_house().await;
    let mut first = device(&house, "a", "missing", None).await;
    let mut list = List::of(&house, None).await;
    list.becomes(&["a"]).await;
    let _second = device(&house, "b", "missing", None).await;
    list.becomes(&["a", "b"]).await;
    let topic = "sensocto:sensor:a";
    first.ask(topic, "update_connector", json!({ "connector_name": "Belt" })).await;
    while list.sensors["a"]["connector_name"] != "Belt" {
        let said = list.client.event("sensors_changed").await;
        for sensor in said["sensors"].as_array().unwrap() {
            let id = sensor["sensor_id"].as_str().unwrap().to_owned();
            list.sensors.insert(id, sensor.clone());
        }
    }
    assert_eq!(list.sensors["a"]["attributes"][0]["id"], "hr");
    assert_eq!(found(&house, &[], "").await, (vec!["a".to_owned(), "b".to_owned()], false));
    assert_eq!(found(&house, &[], "?limit=1").await, (vec!["a".to_owned()], true));
    assert_eq!(found(&house, &[], "?after=a").await, (vec!["b".to_owned()], false));
    drop(first);
    list.becomes(&["b"]).await;
    // Who comes later has the same list.
    List::of(&house, None).await.becomes(&["b"]).await;
    for query in ["?limit=0", "?limit=1001", "?limit=x"] {
        let path = format!("/api/discovery/sensors{query}");
        assert_eq!(ask(&house, "GET", &path, &[], "").await.status, 400, "{query}");
    }
    let mut client = Client::of(&house, None).await;
    assert_eq!(client.refused("discovery:rooms", json!({})).await, "invalid_topic");
    let refused = list.client.ask("discovery:sensors", "shout", json!({})).await;
    assert_eq!(refused["response"]["reason"], "unknown_event");
    house.close().await;
}

#[tokio::test]
async fn in_strict_one_finds_ones_own_and_what_is_in_ones_rooms() {
    let house = house(&[
        ("auth", "strict"),
        ("registration", "true"),
        ("device_tokens", "lab:secret"),
        ("address_limit_factor", "1000"),
    ])
    .await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, code) = anna.room(&house, false).await;
    let id = room.rsplit('/').next().unwrap();
    let _lab = device(&house, "lab", "secret", None).await;
    let _own = device(&house, "own", anna.access(), None).await;
    let _shared = device(&house, "shared", anna.access(), Some(id)).await;
    let mut hers = List::of(&house, Some(&anna.socket)).await;
    hers.becomes(&["own", "shared"]).await;
    let mut his = List::of(&house, Some(&bert.socket)).await;
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    his.becomes(&["shared"]).await;
    assert_eq!(found(&house, &[&bert.bearer], "").await.0, ["shared"]);
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    his.becomes(&[]).await;
    assert_eq!(found(&house, &[&bert.bearer], "").await.0, [""; 0]);
    // Nobody finds nothing, and a session that is over hears nothing.
    assert_eq!(ask(&house, "GET", "/api/discovery/sensors", &[], "").await.status, 401);
    let mut nobody = Client::of(&house, None).await;
    assert_eq!(nobody.refused("discovery:sensors", json!({})).await, "unauthorized");
    anna.do_it(&house, "POST", "/api/auth/sign-out", json!({})).await;
    hers.client.until(|frame| frame[3] == "phx_close").await;
    house.close().await;
}

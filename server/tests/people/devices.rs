//! Devices at the outer door: by which credential they come in, whose sensors are, and what somebody
//! sees of their own.

use super::them::{Client, Killable, Them, has_value, join_words, measure, open_house};
use super::*;

/// A credential of theirs: its id and its secret.
async fn credential(house: &House, them: &Them, words: Value) -> (String, String) {
    let made = them.do_it(house, "POST", "/api/credentials", words).await;
    assert_eq!(made.status, 201);
    let id = made.body["credential"]["id"].as_str().unwrap().to_owned();
    (id, made.text("token").to_owned())
}

fn sensor_topic(sensor_id: &str) -> String {
    format!("sensocto:sensor:{sensor_id}")
}

/// A device that is in, by this token.
async fn device(house: &House, sensor_id: &str, token: &str) -> Client {
    let mut device = Client::of(house, None).await;
    let reply =
        device.ask(&sensor_topic(sensor_id), "phx_join", join_words(sensor_id, token)).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    device
}

/// Why one is not.
async fn turned_away(house: &House, sensor_id: &str, token: &str) -> Value {
    let mut device = Client::of(house, None).await;
    device.refused(&sensor_topic(sensor_id), join_words(sensor_id, token)).await
}

/// A viewer of everything.
async fn viewer(house: &House) -> Client {
    let minted = post(house, "/api/viewers", json!({ "sensors": "all", "quality": "high" })).await;
    let mut viewer = Client::of(house, None).await;
    viewer.join(minted.text("topic")).await;
    viewer
}

async fn sees(viewer: &mut Client, value: u32) {
    viewer.until(|frame| has_value(frame, value)).await;
}

#[tokio::test]
async fn a_credential_feeds_what_it_names_until_it_is_revoked() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let words = json!({ "name": " Belt ", "sensors": { "prefix": "anna:" } });
    let (id, token) = credential(&house, &anna, words).await;
    let (other, other_token) = credential(&house, &anna, json!({ "name": "Phone" })).await;
    assert_ne!(token, other_token);
    let mut belt = device(&house, "anna:ecg", &token).await;
    let mut phone = device(&house, "anna-phone", &other_token).await;
    assert_eq!(turned_away(&house, "bert:ecg", &token).await, "out_of_scope");
    let wrong = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(turned_away(&house, "anna:hr", &wrong).await, "unauthorized");
    let shown = anna.do_it(&house, "GET", "/api/credentials", Value::Null).await;
    // In the order in which they were made, if not in the same millisecond.
    let all = shown.body["credentials"].as_array().expect("a list");
    let belts = all.iter().find(|it| it["id"] == *id).expect("hers is among them");
    let expected = json!({
        "id": id, "name": "Belt", "sensors": { "prefix": "anna:" }, "expires_at": null,
        "created_at": belts["created_at"], "last_seen_at": belts["last_seen_at"], "feed_count": 1,
    });
    assert_eq!(*belts, expected);
    assert!(belts["last_seen_at"].is_string());
    assert!(!shown.body.to_string().contains(&token), "a secret is shown once");
    // It opens nothing else.
    for path in ["/api/me", "/api/credentials", "/api/rooms"] {
        assert_eq!(ask(&house, "GET", path, &[&bearer(&token)], "").await.status, 401, "{path}");
    }
    // Nobody else's to rename or revoke, nor to know of.
    let path = format!("/api/credentials/{id}");
    for (method, body) in [("PATCH", json!({ "name": "x" })), ("DELETE", Value::Null)] {
        let refused = eve.ask(&house, method, &path, body).await;
        assert_eq!((refused.status, refused.text("error")), (404, "Credential not found"));
    }
    let none = eve.do_it(&house, "GET", "/api/credentials", Value::Null).await;
    assert_eq!(none.body["credentials"], json!([]));
    let renamed = anna.do_it(&house, "PATCH", &path, json!({ "name": "Old belt" })).await;
    assert_eq!(renamed.body["credential"]["name"], "Old belt");

    let mut viewer = viewer(&house).await;
    measure(&mut belt, "anna:ecg", 61).await;
    sees(&mut viewer, 61).await;
    let revoked = anna.do_it(&house, "DELETE", &path, Value::Null).await;
    assert_eq!(revoked.body["feeds_ended"], 1);
    // Behind the answer nothing of it counts, though its socket is open.
    measure(&mut belt, "anna:ecg", 62).await;
    let closed = belt.until(|frame| frame[3] == "phx_close").await;
    assert_eq!(closed[2], sensor_topic("anna:ecg"));
    measure(&mut phone, "anna-phone", 63).await;
    sees(&mut viewer, 63).await;
    assert!(!has_value(&json!(viewer.all().await), 62));
    assert_eq!(turned_away(&house, "anna:ecg", &token).await, "unauthorized");
    assert_eq!(anna.ask(&house, "DELETE", &path, Value::Null).await.status, 404);
    let left = anna.do_it(&house, "GET", "/api/credentials", Value::Null).await;
    assert_eq!(left.body["credentials"][0]["id"], *other);
    house.close().await;
}

#[tokio::test]
async fn a_sensor_is_fed_by_its_account_and_by_nobody_else_also_when_it_is_away() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let (_, token) = credential(&house, &anna, json!({ "name": "Belt" })).await;
    let (_, eves) = credential(&house, &eve, json!({ "name": "Belt" })).await;
    let (room, _) = anna.room(&house, true).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/ecg"), Value::Null).await;
    let mut belt = device(&house, "ecg", &token).await;
    let own = anna.do_it(&house, "GET", "/api/me/sensors", Value::Null).await;
    let sensor = &own.body["sensors"][0];
    assert_eq!(
        (&sensor["sensor_id"], &sensor["activity_status"]),
        (&json!("ecg"), &json!("online"))
    );
    assert!(sensor["since"].is_string());
    // Whether it is there or away.
    for is_there in [true, false] {
        if !is_there {
            belt.ask(&sensor_topic("ecg"), "phx_leave", json!({})).await;
        }
        for stranger in [&*eves, eve.access(), "missing"] {
            assert_eq!(turned_away(&house, "ecg", stranger).await, "not_owner", "{is_there}");
        }
    }
    drop(device(&house, "ecg", anna.access()).await);
    let path = "/api/me/sensors/ecg";
    let refused = eve.ask(&house, "DELETE", path, Value::Null).await;
    assert_eq!((refused.status, refused.text("error")), (404, "Sensor not found"));
    // What was given up is anybody's, who is first.
    let mut belt = device(&house, "ecg", &token).await;
    anna.do_it(&house, "DELETE", path, Value::Null).await;
    belt.until(|frame| frame[3] == "phx_close").await;
    let own = anna.do_it(&house, "GET", "/api/me/sensors", Value::Null).await;
    assert_eq!(own.body["sensors"], json!([]));
    // The engine lets a sensor go some time after its feed; until then it is its owner's there.
    loop {
        let shown = anna.do_it(&house, "GET", &room, Value::Null).await;
        if shown.body["room"]["sensors"][0]["activity_status"] == "offline" {
            break;
        }
    }
    let _hers = device(&house, "ecg", &eves).await;
    assert_eq!(turned_away(&house, "ecg", &token).await, "not_owner");
    // With the account goes what is its own.
    eve.do_it(&house, "DELETE", "/api/me", Value::Null).await;
    assert_eq!(turned_away(&house, "other", &eves).await, "unauthorized");
    house.close().await;
}

#[tokio::test]
async fn a_device_ends_with_the_session_it_came_in_by() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let (_, token) = credential(&house, &anna, json!({ "name": "Belt" })).await;
    let mut by_session = device(&house, "phone", anna.access()).await;
    let mut by_credential = device(&house, "belt", &token).await;
    let mut viewer = viewer(&house).await;
    anna.do_it(&house, "POST", "/api/auth/sign-out", json!({})).await;
    measure(&mut by_session, "phone", 61).await;
    by_session.until(|frame| frame[3] == "phx_close").await;
    measure(&mut by_credential, "belt", 62).await;
    sees(&mut viewer, 62).await;
    assert!(!has_value(&json!(viewer.all().await), 61));
    assert_eq!(turned_away(&house, "phone", anna.access()).await, "unauthorized");
    house.close().await;
}

#[tokio::test]
async fn somebodys_devices_are_there_or_away_and_called_as_they_like() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let guest = Them::guest(&house).await;
    let none = anna.do_it(&house, "GET", "/api/connectors", Value::Null).await;
    assert_eq!(none.body, json!({ "connectors": [] }));
    let mut phone = Client::of(&house, None).await;
    let hello = json!({
        "connector_id": "c", "connector_name": "C", "connector_type": "iot", "features": [],
        "bearer_token": "",
    });
    phone.ask("sensocto:connector:c", "phx_join", hello).await;
    for sensor_id in ["ecg", "hr"] {
        let words = join_words(sensor_id, anna.access());
        let reply = phone.ask(&sensor_topic(sensor_id), "phx_join", words).await;
        assert_eq!(reply["status"], "ok", "{reply}");
    }
    let shown = anna.do_it(&house, "GET", "/api/connectors/c", Value::Null).await;
    let connector = &shown.body["connector"];
    let expected = json!({
        "id": "c", "name": "C", "connector_type": "iot", "status": "online", "configuration": {},
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(connector[key], *value, "{key}");
    }
    assert_eq!(connector["sensors"][1]["sensor_id"], "hr");
    for key in ["last_seen_at", "connected_at", "inserted_at", "updated_at"] {
        assert!(connector[key].is_string(), "{key} in {connector}");
    }
    let name = json!({ "name": "My phone" });
    let renamed = anna.do_it(&house, "PUT", "/api/connectors/c", name.clone()).await;
    assert_eq!(renamed.body["connector"]["name"], "My phone");
    // Others do not know of it.
    for (method, body) in [("GET", Value::Null), ("PUT", name), ("DELETE", Value::Null)] {
        let refused = guest.ask(&house, method, "/api/connectors/c", body).await;
        assert_eq!((refused.status, refused.text("error")), (404, "Connector not found"));
    }
    assert_eq!(ask(&house, "GET", "/api/connectors", &[], "").await.status, 401);
    // It is away, and back by the name that was given to it.
    phone.ask(&sensor_topic("hr"), "phx_leave", json!({})).await;
    phone.ask(&sensor_topic("ecg"), "phx_leave", json!({})).await;
    let away = anna.do_it(&house, "GET", "/api/connectors", Value::Null).await;
    let away = &away.body["connectors"][0];
    assert_eq!(
        (&away["status"], &away["connected_at"], &away["sensors"]),
        (&json!("offline"), &Value::Null, &json!([]))
    );
    let mut back = device(&house, "ecg", anna.access()).await;
    let there = anna.do_it(&house, "GET", "/api/connectors/c", Value::Null).await;
    assert_eq!(
        (&there.body["connector"]["status"], &there.body["connector"]["name"]),
        (&json!("online"), &json!("My phone"))
    );
    let forgotten = anna.do_it(&house, "DELETE", "/api/connectors/c", Value::Null).await;
    assert_eq!(forgotten.text("message"), "Connector forgotten");
    back.until(|frame| frame[3] == "phx_close").await;
    assert_eq!(anna.ask(&house, "GET", "/api/connectors/c", Value::Null).await.status, 404);
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_a_credential_is_refused_with_its_reason() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let guest = Them::guest(&house).await;
    let long = "x".repeat(129);
    for words in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": 7 }),
        json!({ "name": "x".repeat(101) }),
        json!({ "name": "a\u{202e}b" }),
        json!({ "name": "x", "sensors": "all" }),
        json!({ "name": "x", "sensors": [] }),
        json!({ "name": "x", "sensors": [long] }),
        json!({ "name": "x", "sensors": { "prefix": "" } }),
        json!({ "name": "x", "sensors": { "suffix": "x" } }),
        json!({ "name": "x", "expires_in": 0 }),
        json!({ "name": "x", "expires_in": -1 }),
        json!({ "name": "x", "expires_in": 1e300 }),
        json!({ "name": "x", "owner": "y" }),
    ] {
        let refused = anna.ask(&house, "POST", "/api/credentials", words.clone()).await;
        assert_eq!(refused.status, 400, "{words} {}", refused.body);
        assert!(refused.body["error"].is_string() && refused.body["code"].is_string());
    }
    let refused = guest.ask(&house, "POST", "/api/credentials", json!({ "name": "x" })).await;
    assert_eq!((refused.status, refused.text("code")), (403, "not_for_guests"));
    let nobody = ask(&house, "POST", "/api/credentials", &[], r#"{"name":"x"}"#).await;
    assert_eq!(nobody.status, 401);
    for path in ["/api/credentials/x", "/api/me/sensors/x", "/api/connectors/x"] {
        assert_eq!(anna.ask(&house, "DELETE", path, Value::Null).await.status, 404, "{path}");
    }
    let soon = json!({ "name": "x", "expires_in": 3600 });
    let made = anna.do_it(&house, "POST", "/api/credentials", soon).await;
    assert!(made.body["credential"]["expires_at"].is_string());
    let mut refused = None;
    for _ in 0..100 {
        let answer = anna.ask(&house, "POST", "/api/credentials", json!({ "name": "x" })).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there are as many as may be");
    assert_eq!((refused.status, refused.text("code")), (409, "too_many"));
    house.close().await;
}

#[tokio::test]
async fn what_belongs_to_somebody_outlives_a_kill_and_no_secret_is_kept() {
    let folder = Folder::new("devices");
    let server = Killable::start(&folder);
    let anna = server.person("anna").await;
    let made = server.ask(&anna, "POST", "/api/credentials", json!({ "name": "Belt" })).await;
    assert_eq!(made.body["durable"], true);
    let token = made.text("token").to_owned();
    let gone = server.ask(&anna, "POST", "/api/credentials", json!({ "name": "Old" })).await;
    let path = format!("/api/credentials/{}", gone.body["credential"]["id"].as_str().unwrap());
    let mut belt = Client::at(server.address, None).await;
    belt.join_with(&sensor_topic("ecg"), join_words("ecg", &token)).await;
    server.ask(&anna, "PUT", "/api/connectors/c", json!({ "name": "My belt" })).await;
    // What is acknowledged by now is on the disk, with all that was handed over before.
    server.ask(&anna, "DELETE", &path, Value::Null).await;
    drop(server);
    let server = Killable::start(&folder);
    let left = server.ask(&anna, "GET", "/api/credentials", Value::Null).await;
    assert_eq!(left.body["credentials"].as_array().unwrap().len(), 1, "{}", left.body);
    let mut stranger = Client::at(server.address, None).await;
    for (token, reason) in [("missing", "not_owner"), (gone.text("token"), "unauthorized")] {
        let words = join_words("ecg", token);
        assert_eq!(stranger.refused(&sensor_topic("ecg"), words).await, reason);
    }
    let away = server.ask(&anna, "GET", "/api/connectors/c", Value::Null).await;
    assert_eq!(
        (&away.body["connector"]["status"], &away.body["connector"]["name"]),
        (&json!("offline"), &json!("My belt"))
    );
    let mut belt = Client::at(server.address, None).await;
    belt.join_with(&sensor_topic("ecg"), join_words("ecg", &token)).await;
    drop(server);
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        for secret in [&*token, gone.text("token")] {
            let found = bytes.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    }
}

/// The simulator is a device as any other: what is somebody's it does not feed, also while they are away.
#[tokio::test]
async fn what_is_somebodys_is_not_simulated() {
    let folder = Folder::new("simulated");
    let settings = [("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")];
    let before = house(&settings).await;
    let anna = Them::person(&before, "anna").await;
    drop(device(&before, "ada:ecg", anna.access()).await);
    before.close().await;
    // The engine of another server has never heard of it.
    let house = house(&settings).await;
    let words = json!({ "scenario": "few" }).to_string();
    let started = ask(&house, "POST", "/api/simulator/start", &[], &words).await;
    assert_eq!(started.status, 201, "{}", started.body);
    let waiting = async {
        loop {
            let health = ask(&house, "POST", "/api/simulator/check", &[], "{}").await.body;
            let missing = health["missing"].as_array().unwrap().clone();
            if !missing.is_empty() {
                return missing;
            }
        }
    };
    let missing = timeout(PATIENCE, waiting).await.expect("it is missed");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0]["sensor_id"], "ada:ecg");
    assert_eq!(missing[0]["why"], "a device of another account owns this sensor id");
    // Others are there, and she can come back.
    let mut viewer = viewer(&house).await;
    viewer.until(|frame| frame.to_string().contains("ben:ecg")).await;
    let mut own = device(&house, "ada:ecg", anna.access()).await;
    measure(&mut own, "ada:ecg", 61).await;
    viewer.until(|frame| has_value(frame, 61)).await;
    house.close().await;
}

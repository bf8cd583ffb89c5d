//! Consent at the outer door: what is not shared any more arrives nowhere behind the answer that says so.

use components::wire::viewer::frame::{FrameReader, FrameValues};

use super::them::{Client, Killable, Them, has_value, join_words, open_house};
use super::*;

const TOPIC: &str = "sensocto:sensor:belt";

/// Anna's belt, with a pulse and a temperature.
async fn belt(house: &House, anna: &Them) -> Client {
    let mut belt = Client::of(house, None).await;
    let mut words = join_words("belt", anna.access());
    words["attributes"] = json!(["hr", "temp"]);
    belt.join_with(TOPIC, words).await;
    belt
}

async fn send(belt: &mut Client, attribute: &str, value: u32) {
    let sample = json!({ "attribute_id": attribute, "payload": value, "timestamp": value });
    let frame = json!(["1", "9", TOPIC, "measurement", sample]);
    belt.ws.send(Message::text(frame.to_string())).await.unwrap();
}

/// A viewer of everything; `them` nobody: who is not signed in.
async fn viewer(house: &House, them: Option<&Them>) -> Client {
    let headers: Vec<&str> = them.iter().map(|them| &*them.bearer).collect();
    let wishes = json!({ "sensors": "all", "quality": "high" }).to_string();
    let minted = ask(house, "POST", "/api/viewers", &headers, &wishes).await;
    let mut viewer = Client::of(house, None).await;
    viewer.join(minted.text("topic")).await;
    viewer
}

/// Everything this viewer hears until this value; whether `other` was among it.
async fn hears(viewer: &mut Client, value: u32, other: u32) -> bool {
    let mut heard = false;
    loop {
        let frame = viewer.until(|_| true).await;
        heard |= has_value(&frame, other);
        if has_value(&frame, value) {
            return heard;
        }
    }
}

async fn grant(house: &House, anna: &Them, words: Value) -> String {
    let made = anna.do_it(house, "POST", "/api/grants", words).await;
    assert_eq!(made.status, 201);
    format!("/api/grants/{}", made.body["grant"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_revoked_arrives_nowhere_behind_the_answer() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let mut belt = belt(&house, &anna).await;
    let mut hers = viewer(&house, Some(&anna)).await;
    let mut his = viewer(&house, Some(&bert)).await;
    let mut anybodys = viewer(&house, None).await;
    send(&mut belt, "hr", 61).await;
    for client in [&mut hers, &mut his, &mut anybodys] {
        hears(client, 61, 0).await;
    }
    // By a grant to him it is for nobody else.
    let words = json!({ "user_id": bert.id, "attribute_type": "hr" });
    let path = grant(&house, &anna, words).await;
    send(&mut belt, "hr", 62).await;
    send(&mut belt, "temp", 36).await;
    hears(&mut hers, 62, 0).await;
    hears(&mut his, 62, 0).await;
    assert!(!hears(&mut anybodys, 36, 62).await, "the temperature, and not the pulse");

    anna.do_it(&house, "DELETE", &path, Value::Null).await;
    send(&mut belt, "hr", 63).await;
    send(&mut belt, "temp", 37).await;
    hears(&mut hers, 63, 0).await;
    assert!(!hears(&mut his, 37, 63).await, "not behind the answer");
    assert!(!hears(&mut anybodys, 37, 63).await);
    // Nor does whoever comes later, of the past; and not what came in between, once it is shared again.
    let mut late = viewer(&house, Some(&bert)).await;
    assert!(!hears(&mut late, 37, 61).await);
    anna.do_it(&house, "PUT", "/api/me/consent", json!({ "private": [] })).await;
    send(&mut belt, "hr", 64).await;
    assert!(!hears(&mut his, 64, 63).await);
    house.close().await;
}

#[tokio::test]
async fn a_grant_to_a_room_is_for_who_is_in_it() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, code) = anna.room(&house, false).await;
    let mut belt = belt(&house, &anna).await;
    let mut his = viewer(&house, Some(&bert)).await;
    let id = room.rsplit('/').next().unwrap();
    grant(&house, &anna, json!({ "room_id": id, "attribute_type": "hr" })).await;
    send(&mut belt, "hr", 61).await;
    send(&mut belt, "temp", 36).await;
    assert!(!hears(&mut his, 36, 61).await);
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    send(&mut belt, "hr", 62).await;
    assert!(!hears(&mut his, 62, 61).await);
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    send(&mut belt, "hr", 63).await;
    send(&mut belt, "temp", 37).await;
    assert!(!hears(&mut his, 37, 63).await);
    house.close().await;
}

#[tokio::test]
async fn whoever_was_kept_out_from_the_beginning_can_read_what_is_shared_later() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let mut belt = belt(&house, &anna).await;
    anna.do_it(&house, "PUT", "/api/me/consent", json!({ "private": ["any"] })).await;
    let minted = bert
        .do_it(&house, "POST", "/api/viewers", json!({ "sensors": "all", "quality": "high" }))
        .await;
    let mut his = Client::of(&house, None).await;
    his.join_with(minted.text("topic"), json!({ "form": "binary", "version": 1 })).await;
    // The past, with the card that says what it is, is not for him.
    let mut hers = viewer(&house, Some(&anna)).await;
    send(&mut belt, "hr", 61).await;
    hears(&mut hers, 61, 0).await;
    grant(&house, &anna, json!({ "user_id": bert.id, "attribute_type": "hr" })).await;
    send(&mut belt, "hr", 62).await;
    let mut reader = FrameReader::default();
    let mut numbers = Vec::new();
    while !numbers.contains(&62.0) {
        let bytes = his.bytes().await;
        let frame = reader.read(&bytes).unwrap();
        for slice in frame.slices {
            let card = reader.card(slice.stream).expect("the card has come before");
            assert_eq!((&*card.sensor_id, &*card.attribute_id), ("belt", "hr"));
            match slice.values {
                FrameValues::Cells(values) => numbers.extend(values),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(numbers, [62.0]);
    house.close().await;
}

#[tokio::test]
async fn an_owner_hears_who_sees_which_of_their_signals() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let mut belt = belt(&house, &anna).await;
    let _hers = viewer(&house, Some(&anna)).await;
    let mut his = viewer(&house, Some(&bert)).await;
    let mut anybodys = viewer(&house, None).await;
    for (attribute, value) in [("hr", 61), ("temp", 36)] {
        send(&mut belt, attribute, value).await;
        hears(&mut his, value, 0).await;
    }
    grant(&house, &anna, json!({ "user_id": bert.id, "attribute_type": "hr" })).await;
    let seen = anna.do_it(&house, "GET", "/api/me/viewers", Value::Null).await;
    assert_eq!(seen.body["more"], false);
    let viewers = seen.body["viewers"].as_array().unwrap();
    let kinds = |n: usize| viewers[n]["signals"][0]["attribute_types"].clone();
    assert_eq!(viewers.len(), 2, "{}", seen.body);
    assert_eq!((&viewers[0]["user_id"], kinds(0)), (&Value::Null, json!(["temperature"])));
    assert_eq!((&viewers[1]["user_id"], kinds(1)), (&json!(bert.id), json!(["hr", "temperature"])));
    anna.do_it(&house, "PUT", "/api/me/consent", json!({ "private": ["any"] })).await;
    send(&mut belt, "hr", 62).await;
    hears(&mut his, 62, 0).await;
    let seen = anna.do_it(&house, "GET", "/api/me/viewers", Value::Null).await;
    assert_eq!(seen.body["viewers"].as_array().unwrap().len(), 1, "{}", seen.body);
    assert_eq!(
        bert.do_it(&house, "GET", "/api/me/viewers", Value::Null).await.body["viewers"],
        json!([])
    );
    assert!(anybodys.all().await.iter().all(|frame| !has_value(frame, 62)));
    house.close().await;
}

#[tokio::test]
async fn the_past_on_the_disk_is_shared_as_the_present_is() {
    let folder = Folder::new("consent-history");
    let settings = [("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")];
    let house = house(&settings).await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let _belt = belt(&house, &anna).await;
    ask(&house, "PUT", "/api/sensors/belt/history", &[], "{}").await;
    let path = "/api/sensors/belt/history?attribute=hr";
    assert_ne!(bert.ask(&house, "GET", path, Value::Null).await.status, 403);
    anna.do_it(&house, "PUT", "/api/me/consent", json!({ "private": ["hr"] })).await;
    for headers in [vec![], vec![&*bert.bearer]] {
        let refused = ask(&house, "GET", path, &headers, "").await;
        assert_eq!((refused.status, refused.text("code")), (403, "not_shared"));
    }
    assert_ne!(anna.ask(&house, "GET", path, Value::Null).await.status, 403);
    // Page by page on a viewer's own channel no less.
    for (them, is_told) in [(&anna, true), (&bert, false)] {
        let wishes = r#"{ "sensors": "all" }"#;
        let minted = ask(&house, "POST", "/api/viewers", &[&them.bearer], wishes).await;
        let mut client = Client::of(&house, None).await;
        client.join(minted.text("topic")).await;
        let wish = json!({ "sensor_id": "belt", "attribute_id": "hr", "before": 9 });
        let reply = client.ask(minted.text("topic"), "history", wish).await;
        assert_eq!(reply["status"] == "ok", is_told, "{reply}");
        assert!(is_told || reply["response"]["reason"] == "not_shared", "{reply}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_is_said_wrongly_is_told() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let to_bert = json!({ "user_id": bert.id, "attribute_type": "ecg" });
    let with = |key: &str, value: Value| {
        let mut words = to_bert.clone();
        words[key] = value;
        words
    };
    for (words, status, code) in [
        (json!({}), 400, "bad_value"),
        (json!({ "user_id": bert.id }), 400, "bad_value"),
        (with("room_id", json!("x")), 400, "bad_value"),
        (json!({ "room_id": "x", "attribute_type": "ecg" }), 404, "not_found"),
        (with("user_id", json!("nobody")), 404, "not_found"),
        (with("user_id", json!(7)), 400, "bad_value"),
        (with("attribute_type", json!("e c g")), 400, "bad_value"),
        (with("sensor_id", json!("none of hers")), 404, "not_found"),
        (with("expires_in", json!(0)), 400, "bad_value"),
        (with("expires_in", json!(-1)), 400, "bad_value"),
        (with("more", json!(1)), 400, "unknown_key"),
    ] {
        let answer = anna.ask(&house, "POST", "/api/grants", words.clone()).await;
        assert_eq!((answer.status, answer.text("code")), (status, code), "{words}");
    }
    for words in [
        json!({}),
        json!({ "private": "ecg" }),
        json!({ "private": [1] }),
        json!({ "private": [""] }),
    ] {
        let answer = anna.ask(&house, "PUT", "/api/me/consent", words.clone()).await;
        assert_eq!((answer.status, answer.text("code")), (400, "bad_value"), "{words}");
    }
    let path = grant(&house, &anna, to_bert).await;
    for path in [&*path, "/api/grants/x"] {
        assert_eq!(bert.ask(&house, "DELETE", path, Value::Null).await.status, 404);
    }
    for (method, path) in [
        ("GET", "/api/grants"),
        ("GET", "/api/me/consent"),
        ("GET", "/api/me/viewers"),
        ("DELETE", &path),
    ] {
        assert_eq!(ask(&house, method, path, &[], "").await.status, 401, "{path}");
    }
    let got = bert.do_it(&house, "GET", "/api/grants", Value::Null).await;
    assert_eq!(got.body["received"][0]["owner_id"], *anna.id);
    let me = anna.do_it(&house, "GET", "/api/me", Value::Null).await;
    let name = &me.body["user"]["display_name"];
    assert!(name.is_string(), "{name}");
    assert_eq!(&got.body["received"][0]["owner_name"], name);
    assert_eq!(got.body["given"], json!([]));
    house.close().await;
}

#[tokio::test]
async fn what_is_private_stays_so_over_a_kill() {
    let folder = Folder::new("consent");
    let server = Killable::start(&folder);
    let anna = server.person("anna").await;
    let bert = server.person("bert").await;
    let words = json!({ "user_id": bert.id, "attribute_type": "ecg", "expires_in": 86_400 });
    let made = server.ask(&anna, "POST", "/api/grants", words).await;
    assert_eq!(made.body["durable"], true);
    drop(server);
    let server = Killable::start(&folder);
    let kept = server.ask(&anna, "GET", "/api/grants", Value::Null).await;
    assert_eq!(kept.body["given"][0], made.body["grant"]);
    let private = server.ask(&anna, "GET", "/api/me/consent", Value::Null).await;
    assert_eq!(private.body["private"], json!(["ecg"]));
}

//! Search at the outer door: what is there is found as it is now, and nobody finds what is not for them.

use super::them::{Client, Them, join_words, open_house};
use super::*;

/// What somebody finds: ids of sensors, names of rooms and of people.
#[derive(Debug, PartialEq, Eq, Default)]
struct Found {
    sensors: Vec<String>,
    rooms: Vec<String>,
    people: Vec<String>,
    more: bool,
}

async fn search(house: &House, headers: &[&str], query: &str) -> Answer {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    ask(house, "GET", &format!("/api/search?q={query}"), headers, "").await
}

async fn find(house: &House, headers: &[&str], query: &str) -> Found {
    let answer = search(house, headers, query).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let all = |kind: &str, key: &str| {
        let hits = answer.body[kind].as_array().unwrap().iter();
        hits.map(|hit| hit[key].as_str().unwrap().to_owned()).collect()
    };
    Found {
        sensors: all("sensors", "sensor_id"),
        rooms: all("rooms", "name"),
        people: all("people", "display_name"),
        more: answer.body["more"].as_object().unwrap().values().any(|it| *it == true),
    }
}

/// Asks until this is what is found.
async fn finds(house: &House, headers: &[&str], query: &str, wanted: Found) {
    let asking = async { while find(house, headers, query).await != wanted {} };
    if timeout(PATIENCE, asking).await.is_err() {
        panic!("{query}: {:?} and not {wanted:?}", find(house, headers, query).await);
    }
}

fn sensors(ids: &[&str]) -> Found {
    Found { sensors: ids.iter().map(|id| (*id).to_owned()).collect(), ..Found::default() }
}

fn rooms(names: &[&str]) -> Found {
    Found { rooms: names.iter().map(|name| (*name).to_owned()).collect(), ..Found::default() }
}

fn people(names: &[&str]) -> Found {
    Found { people: names.iter().map(|name| (*name).to_owned()).collect(), ..Found::default() }
}

async fn device(house: &House, sensor_id: &str, token: &str, room: Option<&str>) -> Client {
    let mut device = Client::of(house, None).await;
    let mut words = join_words(sensor_id, token);
    if let Some(room) = room {
        words["room_id"] = room.into();
    }
    device.join_with(&format!("sensocto:sensor:{sensor_id}"), words).await;
    device
}

#[tokio::test]
async fn what_is_there_is_found_as_it_is_now() {
    let house = open_house().await;
    let mut belt = device(&house, "belt-07", "missing", None).await;
    let _strap = device(&house, "strap-08", "missing", None).await;
    finds(&house, &[], "belt", sensors(&["belt-07"])).await;
    // By its name, its connector's, its attributes'; in any order; with a typo; as it is typed.
    for query in ["puls 07", "07 HR belt", "blet", "bel", "heartrtae 07"] {
        finds(&house, &[], query, sensors(&["belt-07"])).await;
    }
    finds(&house, &[], "puls", sensors(&["belt-07", "strap-08"])).await;
    let answer = search(&house, &[], "belt").await;
    let hit = &answer.body["sensors"][0];
    assert_eq!((&hit["sensor_name"], &hit["match"]), (&json!("Puls"), &json!("exact")));
    assert_eq!(search(&house, &[], "bel").await.body["sensors"][0]["match"], "prefix");
    assert_eq!(search(&house, &[], "blet").await.body["sensors"][0]["match"], "typo");
    let limited = ask(&house, "GET", "/api/search?q=puls&limit=1", &[], "").await;
    assert_eq!(limited.body["sensors"].as_array().unwrap().len(), 1);
    assert_eq!(limited.body["more"], json!({ "sensors": true, "rooms": false, "people": false }));

    let topic = "sensocto:sensor:belt-07";
    belt.ask(topic, "update_connector", json!({ "connector_name": "Kitchen" })).await;
    finds(&house, &[], "kitchen", sensors(&["belt-07"])).await;
    drop(belt);
    finds(&house, &[], "belt", Found::default()).await;

    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, true).await;
    finds(&house, &[], "chor", rooms(&["Chör"])).await;
    anna.do_it(&house, "PATCH", &room, json!({ "name": "Orchester" })).await;
    finds(&house, &[], "chor", Found::default()).await;
    finds(&house, &[], "orchestr", rooms(&["Orchester"])).await;
    anna.do_it(&house, "PATCH", "/api/me", json!({ "display_name": "Anna Lindqvist" })).await;
    finds(&house, &[&anna.bearer], "lindkvist", people(&["Anna Lindqvist"])).await;
    anna.do_it(&house, "DELETE", &room, Value::Null).await;
    finds(&house, &[], "orchester", Found::default()).await;
    house.close().await;
}

#[tokio::test]
async fn nobody_finds_what_is_not_for_them() {
    let house = house(&[
        ("auth", "strict"),
        ("registration", "true"),
        ("device_tokens", "lab:secret"),
        ("address_limit_factor", "1000"),
    ])
    .await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    for (them, name) in [(&anna, "Quendolin"), (&bert, "Quirin")] {
        them.do_it(&house, "PATCH", "/api/me", json!({ "display_name": name })).await;
    }
    let (room, code) = anna.room(&house, false).await;
    let id = room.rsplit('/').next().unwrap();
    let _lab = device(&house, "quartz-lab", "secret", None).await;
    let _own = device(&house, "quartz-own", anna.access(), None).await;
    let _shared = device(&house, "quartz-shared", anna.access(), Some(id)).await;
    let hers: &[&str] = &[&anna.bearer];
    let his: &[&str] = &[&bert.bearer];
    finds(&house, hers, "quartz", sensors(&["quartz-own", "quartz-shared"])).await;
    finds(&house, hers, "chör", rooms(&["Chör"])).await;
    finds(&house, his, "quartz", Found::default()).await;
    finds(&house, his, "chör", Found::default()).await;
    finds(&house, his, "quendolin", Found::default()).await;
    finds(&house, his, "quirin", people(&["Quirin"])).await;

    // Nor that there are more than are shown.
    anna.do_it(&house, "POST", "/api/rooms", json!({ "name": "Chör", "is_public": false })).await;
    finds(&house, hers, "chör", rooms(&["Chör", "Chör"])).await;
    let query = "/api/search?q=ch%C3%B6r&limit=1";
    for (them, is_told) in [(&anna, true), (&bert, false)] {
        let told = ask(&house, "GET", query, &[&them.bearer], "").await.body;
        assert_eq!(told["more"]["rooms"], is_told, "{told}");
        assert_eq!(told["rooms"].as_array().unwrap().len(), usize::from(is_told));
    }

    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    finds(&house, his, "quartz", sensors(&["quartz-shared"])).await;
    finds(&house, his, "chör", rooms(&["Chör"])).await;
    finds(&house, his, "quendolin", people(&["Quendolin"])).await;
    // Neither addresses nor ids nor codes are words.
    for secret in ["example", "bert@example.org", &anna.id, &code] {
        finds(&house, his, secret, Found::default()).await;
    }
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    for query in ["quartz", "chör", "quendolin"] {
        assert_eq!(find(&house, his, query).await, Found::default(), "at once");
    }
    anna.do_it(&house, "DELETE", "/api/me", Value::Null).await;
    assert_eq!(search(&house, hers, "quartz").await.status, 401);
    assert_eq!(search(&house, &[], "quartz").await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let house = house(&[]).await;
    let long = format!("?q={}", "a".repeat(101));
    for query in ["", "?q=", "?q=a&limit=0", "?q=a&limit=51", "?q=a&limit=x", &long] {
        let answer = ask(&house, "GET", &format!("/api/search{query}"), &[], "").await;
        assert_eq!((answer.status, answer.text("code")), (400, "bad_value"), "{query}");
    }
    for query in ["%ff", "%20-_%00", "%F0%9F%99%82", &"%C3%9F".repeat(100), &"a%20".repeat(50)] {
        let answer = ask(&house, "GET", &format!("/api/search?q={query}"), &[], "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["sensors"], json!([]));
    }
    let answer = search(&house, &[], "a").await;
    assert_eq!(answer.header("x-ratelimit-limit"), Some("3000"));
    assert!(answer.header("x-ratelimit-remaining").unwrap().parse::<u64>().unwrap() < 3000);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    house.close().await;
}

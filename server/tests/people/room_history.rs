//! What is measured in a room is kept, if whoever runs it wants so, and no longer.

use super::them::{Client, Them, join_words, measure, topic};
use super::*;

async fn kept_house(folder: &Folder) -> House {
    house(&[("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")]).await
}

async fn belt(house: &House, sensor_id: &str, them: &Them) -> Client {
    let mut belt = Client::of(house, None).await;
    let topic = format!("sensocto:sensor:{sensor_id}");
    belt.join_with(&topic, join_words(sensor_id, them.access())).await;
    belt
}

/// Values that are kept of a sensor, in their order; `None`: its past is not.
async fn past(house: &House, sensor_id: &str) -> Option<Vec<u64>> {
    let path = format!("/api/sensors/{sensor_id}/history?attribute=hr&from=0&to=1000000");
    let told = ask(house, "GET", &path, &[], "").await;
    let samples = told.body["samples"].as_array()?;
    Some(samples.iter().map(|row| row[1].as_u64().unwrap()).collect())
}

/// Measures, one more each time, until one of them is kept; which.
async fn until_kept(house: &House, belt: &mut Client, sensor_id: &str, from: u32) -> u32 {
    let trying = async {
        let mut value = from;
        loop {
            measure(belt, sensor_id, value).await;
            let is_new = |kept: &Vec<u64>| kept.iter().any(|v| *v >= u64::from(from));
            if past(house, sensor_id).await.as_ref().is_some_and(is_new) {
                return value;
            }
            value += 1;
        }
    };
    timeout(PATIENCE, trying).await.expect("it is kept at last")
}

/// What a room's own answer says of its past.
async fn shown(house: &House, them: &Them, room: &str) -> Value {
    them.do_it(house, "GET", room, Value::Null).await.body["room"]["history"].clone()
}

/// How a room is kept, as soon as these are.
async fn until_sensors(house: &House, them: &Them, path: &str, wanted: Value) {
    let asking = async {
        while them.do_it(house, "GET", path, Value::Null).await.body["sensors"] != wanted {}
    };
    timeout(PATIENCE, asking).await.expect("these are kept");
}

#[tokio::test]
async fn a_room_is_kept_while_its_sensors_are_in_it_and_deleted_with_the_order() {
    let folder = Folder::new("room-history");
    let first = kept_house(&folder).await;
    let anna = Them::person(&first, "anna").await;
    let bert = Them::person(&first, "bert").await;
    let (room, code) = anna.room(&first, false).await;
    bert.do_it(&first, "POST", "/api/rooms/join", json!({ "code": code })).await;
    let path = format!("{room}/history");
    let (mut hers, mut his) = (belt(&first, "hers", &anna).await, belt(&first, "his", &bert).await);
    let put = |sensor: &str| format!("{room}/sensors/{sensor}");
    let mut there = Client::of(&first, Some(&bert.socket)).await;
    there.join(&topic(&room)).await;
    for sensor in ["hers", "his"] {
        anna.do_it(&first, "PUT", &put(sensor), Value::Null).await;
    }
    assert_eq!(anna.ask(&first, "GET", &path, Value::Null).await.text("code"), "not_kept");
    // Only whoever runs it decides; whoever is in it is told.
    let refused = bert.ask(&first, "PUT", &path, Value::Null).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let wish = json!({ "keep_hours": 24, "mib_max": 2 });
    let told = anna.do_it(&first, "PUT", &path, wish).await;
    let all = json!({
        "room_id": room.rsplit('/').next().unwrap(), "keep_hours": 24, "mib_max": 2,
        "sensors": ["hers", "his"], "problem": null,
    });
    assert_eq!(told.body, all);
    assert_eq!(bert.do_it(&first, "GET", &path, Value::Null).await.body, all);
    // Whoever is there hears it, as it stands now and whenever it changes.
    let kept_of = |count: usize| json!({ "keep_hours": 24, "mib_max": 2, "sensor_count": count, "problem": null });
    let heard = there.event("history_changed").await;
    assert_eq!((&heard["room_id"], &heard["history"]), (&all["room_id"], &kept_of(2)));
    assert_eq!(shown(&first, &bert, &room).await, kept_of(2));
    let his_first = until_kept(&first, &mut his, "his", 1).await;
    until_kept(&first, &mut hers, "hers", 1).await;

    // What leaves is kept no further; another that comes is kept from then on.
    anna.do_it(&first, "DELETE", &put("his"), Value::Null).await;
    until_sensors(&first, &anna, &path, json!(["hers"])).await;
    assert_eq!(there.event("history_changed").await["history"], kept_of(1));
    let mut third = belt(&first, "third", &anna).await;
    anna.do_it(&first, "PUT", &put("third"), Value::Null).await;
    assert_eq!(there.event("history_changed").await["history"], kept_of(2));
    let last = until_kept(&first, &mut third, "third", 1).await;
    let before = past(&first, "his").await.unwrap();
    measure(&mut his, "his", his_first + 1000).await;
    until_kept(&first, &mut third, "third", last + 1).await;
    assert_eq!(past(&first, "his").await.unwrap(), before, "what came later is not there");
    // What somebody wants kept by itself is theirs to delete.
    ask(&first, "PUT", "/api/sensors/third/history", &[], "{}").await;
    drop((hers, his, third, there));
    first.close().await;

    let next = kept_house(&folder).await;
    until_sensors(&next, &anna, &path, json!(["hers", "third"])).await;
    assert_eq!(shown(&next, &bert, &room).await, kept_of(2));
    // A socket's token is of its server.
    let again = post(&next, "/api/auth/exchange", json!({ "token": bert.access() })).await;
    let mut there = Client::of(&next, Some(again.text("socket_token"))).await;
    there.join(&topic(&room)).await;
    assert_eq!(past(&next, "his").await.unwrap(), before);
    let mut hers = belt(&next, "hers", &anna).await;
    until_kept(&next, &mut hers, "hers", 5_000).await;
    anna.do_it(&next, "DELETE", &path, Value::Null).await;
    assert_eq!(there.event("history_changed").await["history"], Value::Null);
    assert_eq!(shown(&next, &bert, &room).await, Value::Null);
    for (sensor, is_left) in [("hers", false), ("his", false), ("third", true)] {
        assert_eq!(past(&next, sensor).await.is_some(), is_left, "{sensor}");
    }
    assert_eq!(anna.ask(&next, "DELETE", &path, Value::Null).await.text("code"), "not_kept");
    next.close().await;
    let left = std::fs::read_dir(folder.0.join("history")).unwrap();
    let folders = left.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 1, "of the third only");
}

#[tokio::test]
async fn how_a_room_is_kept_is_told_to_who_may_watch_there() {
    let folder = Folder::new("room-history-told");
    let house = kept_house(&folder).await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, _) = anna.room(&house, true).await;
    anna.do_it(&house, "PUT", &format!("{room}/history"), Value::Null).await;
    let visitors =
        async || ask(&house, "GET", &room, &[], "").await.body["room"]["history"].clone();
    assert_eq!(visitors().await["keep_hours"], 168);
    assert_eq!(shown(&house, &bert, &room).await["keep_hours"], 168);
    // Where somebody was sent away, who has not said who they are may see the room and not watch.
    bert.do_it(&house, "POST", &format!("{room}/join"), Value::Null).await;
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    assert_eq!(visitors().await, Value::Null);
    assert_eq!(shown(&house, &anna, &room).await["keep_hours"], 168);
    house.close().await;
}

#[tokio::test]
async fn a_room_that_is_deleted_takes_its_past_along() {
    let folder = Folder::new("room-history-gone");
    let house = kept_house(&folder).await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, false).await;
    let mut hers = belt(&house, "hers", &anna).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/hers"), Value::Null).await;
    let path = format!("{room}/history");
    for (wrong, status) in
        [(json!({ "keep_hours": 0 }), 400), (json!({ "revision": 1 }), 400), (json!([]), 400)]
    {
        assert_eq!(anna.ask(&house, "PUT", &path, wrong.clone()).await.status, status, "{wrong}");
    }
    let stranger = Them::person(&house, "bert").await;
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(stranger.ask(&house, method, &path, Value::Null).await.status, 404);
        let nobody = ask(&house, method, &path, &[], "").await.status;
        assert_eq!(nobody, 404, "{method}");
    }
    anna.do_it(&house, "PUT", &path, Value::Null).await;
    until_kept(&house, &mut hers, "hers", 1).await;
    anna.do_it(&house, "DELETE", &room, Value::Null).await;
    let asking = async { while past(&house, "hers").await.is_some() {} };
    timeout(PATIENCE, asking).await.expect("its past is gone");
    house.close().await;
}

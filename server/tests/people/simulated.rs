//! The simulator among people: acts in rooms, and ids that are somebody's.

use super::them::{Client, Them, open_house, topic};
use super::*;

/// The order to start eight people in this room.
fn few(room: &str) -> Value {
    json!({ "scenario": "few", "room": room.rsplit('/').next().unwrap() })
}

async fn acts(house: &House) -> Value {
    ask(house, "GET", "/api/simulator", &[], "").await.body["running"].clone()
}

/// How its act stands, as soon as it is so.
async fn until(house: &House, wanted: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let acts = acts(house).await;
            if wanted(&acts) {
                return acts;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("it comes to be so")
}

async fn sensors_of(house: &House, them: &Them, room: &str) -> usize {
    let told = them.do_it(house, "GET", room, Value::Null).await;
    told.body["room"]["sensors"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_scenario_that_is_started_into_a_room_is_there_until_it_stops() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, false).await;
    let mut channel = Client::of(&house, Some(&anna.socket)).await;
    channel.join(&topic(&room)).await;
    let started = anna.do_it(&house, "POST", "/api/simulator/start", few(&room)).await;
    let told = json!({
        "id": room.rsplit('/').next().unwrap(), "state": "there", "why": null, "failures": 0,
    });
    assert_eq!((started.status, &started.body["room"]), (201, &told));
    let count = started.body["sensors"].as_u64().unwrap() as usize;
    assert_eq!(sensors_of(&house, &anna, &room).await, count);
    assert_eq!(channel.event("sensor_added").await["sensor"]["sensor_id"], "ada:belt");
    // Whoever looks into the room is sent what is measured there.
    let minted =
        anna.do_it(&house, "POST", &format!("{room}/viewers"), json!({ "quality": "high" })).await;
    let mut viewer = Client::of(&house, None).await;
    viewer.join(minted.text("topic")).await;
    viewer.until(|frame| frame.to_string().contains("hugo:ecg")).await;
    // Beside it, others may be in no room.
    assert_eq!(acts(&house).await[0]["room"], told);
    anna.do_it(&house, "POST", "/api/simulator/stop", json!({ "id": "few" })).await;
    let removed = channel.event("sensor_removed").await;
    assert_eq!(removed["sensor_id"], "ada:belt");
    until(&house, |acts| acts == &json!([])).await;
    let asking = async { while sensors_of(&house, &anna, &room).await > 0 {} };
    timeout(PATIENCE, asking).await.expect("none of them is in the room any more");
    house.close().await;
}

#[tokio::test]
async fn a_room_that_is_gone_is_lost_after_six_failures_and_the_act_goes_on() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, false).await;
    anna.do_it(&house, "POST", "/api/simulator/start", few(&room)).await;
    anna.do_it(&house, "DELETE", &room, Value::Null).await;
    for failures in 1..=6 {
        ask(&house, "POST", "/api/simulator/check", &[], "{}").await;
        let told = acts(&house).await[0]["room"].clone();
        let state = if failures < 6 { "waiting" } else { "lost" };
        let least = told["failures"].as_u64().unwrap();
        // The server looks after it by itself, too.
        assert!(least >= failures, "{told}");
        assert!(told["state"] == state || told["state"] == "lost", "{told}");
        assert_eq!(told["why"], "not_found");
    }
    until(&house, |acts| acts[0]["state"] == "running" && acts[0]["sensors_live"] == 32).await;
    house.close().await;
}

#[tokio::test]
async fn a_scenario_is_for_rooms_where_the_asker_may_measure() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, code) = anna.room(&house, false).await;
    let start = "/api/simulator/start";
    let words = few(&room);
    let nobody = ask(&house, "POST", start, &[], &words.to_string()).await;
    assert_eq!(nobody.status, 404, "{}", nobody.body);
    assert_eq!(bert.ask(&house, "POST", start, words.clone()).await.status, 404);
    let mut much = words.clone();
    much["scenario"] = json!("hundred-thousand");
    let refused = anna.ask(&house, "POST", start, much).await;
    assert_eq!((refused.status, refused.text("code")), (409, "too_many"));
    let mut wrong = words.clone();
    wrong["room"] = json!("lobby");
    assert_eq!(anna.ask(&house, "POST", start, wrong).await.status, 404);
    assert_eq!(acts(&house).await, json!([]), "none of them was started");
    // A member may, and what they brought goes with them.
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    bert.do_it(&house, "POST", start, words).await;
    assert_eq!(sensors_of(&house, &anna, &room).await, 32);
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    ask(&house, "POST", "/api/simulator/check", &[], "{}").await;
    assert_eq!(sensors_of(&house, &anna, &room).await, 0);
    assert_eq!(acts(&house).await[0]["room"]["state"], "waiting");
    house.close().await;
}

/// What is to run from the beginning waits for what the store knows.
#[tokio::test]
async fn the_room_of_the_beginning_is_found_again_by_the_next_server() {
    let folder = Folder::new("simulated-room");
    let kept = [("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")];
    let first = house(&kept).await;
    let anna = Them::person(&first, "anna").await;
    let (room, _) = anna.room(&first, false).await;
    first.close().await;
    let id = room.rsplit('/').next().unwrap();
    let settings = [&kept[..], &[("simulate", "few"), ("simulate_room", id)]].concat();
    let next = house(&settings).await;
    until(&next, |acts| acts[0]["room"]["state"] == "there").await;
    assert_eq!(sensors_of(&next, &anna, &room).await, 32);
    next.close().await;
}

//! Sessions of synchrony in a room: led by its owner and admins, seen by its members, and of nobody
//! who is not there.

use std::f64::consts::TAU;
use std::time::{SystemTime, UNIX_EPOCH};

use super::them::{Client, Them, join_words};
use super::*;

const SESSIONS: &str = "/api/synchrony/sessions";

/// Now, to a tenth of a second, unix time in milliseconds.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 / 100 * 100
}

/// Breathing at 0.3 Hz, ten samples a second, `behind_s` later than the clock says.
async fn breathe(
    belt: &mut Client,
    sensor_id: &str,
    times_ms: std::ops::Range<u64>,
    behind_s: f64,
) {
    let sample = |timestamp: u64| {
        let payload = (TAU * 0.3 * (timestamp as f64 / 1000.0 - behind_s)).sin();
        json!({"attribute_id": "respiration", "payload": payload, "timestamp": timestamp})
    };
    let samples: Value = times_ms.step_by(100).map(sample).collect();
    let topic = format!("sensocto:sensor:{sensor_id}");
    let frame = json!(["1", "9", topic, "measurements_batch", samples]);
    belt.ws.send(Message::text(frame.to_string())).await.unwrap();
}

/// The session once it says so.
async fn until(house: &House, them: &Them, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let answer = them.do_it(house, "GET", path, Value::Null).await;
            if done(&answer.body) {
                break answer.body;
            }
        }
    };
    timeout(PATIENCE, look).await.expect("it comes to that")
}

#[tokio::test]
async fn a_session_in_a_room_is_led_and_seen_by_those_who_may() {
    let data = Folder::new("room-sessions");
    let settings = [("address_limit_factor", "1000"), ("data", data.0.to_str().unwrap())];
    let house = house(&settings).await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let eve = Them::person(&house, "eve").await;
    let (room, code) = anna.room(&house, false).await;
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    let id = room.rsplit('/').next().unwrap();
    let wish = json!({ "name": "choir", "tier": "live", "room": id });
    let empty = anna.ask(&house, "POST", SESSIONS, wish.clone()).await;
    assert_eq!((empty.status, &empty.body["code"]), (409, &json!("empty_room")));

    let mut anna_belt = Client::of(&house, None).await;
    let words = join_words("anna-belt", anna.access());
    anna_belt.join_with("sensocto:sensor:anna-belt", words).await;
    let mut bert_belt = Client::of(&house, None).await;
    let words = join_words("bert-belt", bert.access());
    bert_belt.join_with("sensocto:sensor:bert-belt", words).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/anna-belt"), Value::Null).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/bert-belt"), Value::Null).await;

    // Whoever may not know of the room hears what they would of one that is not there.
    let absent = json!({ "room": "00000000-0000-4000-8000-000000000000" });
    let none = eve.ask(&house, "POST", SESSIONS, absent).await;
    let refused = eve.ask(&house, "POST", SESSIONS, wish.clone()).await;
    assert_eq!((refused.status, &refused.body), (404, &none.body));
    assert_eq!(bert.ask(&house, "POST", SESSIONS, wish.clone()).await.status, 403);
    let stranger = json!({ "room": id, "sensors": ["anna-belt", "elsewhere"] });
    let stranger = anna.ask(&house, "POST", SESSIONS, stranger).await;
    assert_eq!(stranger.status, 400);
    assert_eq!(stranger.body["error"], "`sensors`: `elsewhere` is not in the room");
    let begun = anna.do_it(&house, "POST", SESSIONS, wish.clone()).await;
    assert_eq!((begun.status, &begun.body["room"]), (201, &json!(id)));
    let named = begun.text("name").to_owned();
    assert_eq!(named, format!("choir.{}", &id[id.len() - 8..]));
    let again = anna.ask(&house, "POST", SESSIONS, wish).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("already_exists")));
    // Another's room has names of its own, so that one that is taken tells nothing of this one.
    let (hers, _) = eve.room(&house, false).await;
    let mut eve_belt = Client::of(&house, None).await;
    eve_belt.join_with("sensocto:sensor:eve-belt", join_words("eve-belt", eve.access())).await;
    eve.do_it(&house, "PUT", &format!("{hers}/sensors/eve-belt"), Value::Null).await;
    let wish = json!({ "name": "choir", "room": hers.rsplit('/').next().unwrap() });
    let other = eve.do_it(&house, "POST", SESSIONS, wish).await;
    assert_ne!(other.text("name"), named);
    let other = format!("{SESSIONS}/{}", other.text("name"));
    eve.do_it(&house, "DELETE", &other, Value::Null).await;

    let one = format!("{SESSIONS}/{named}");
    let unknown = eve.ask(&house, "GET", &format!("{one}s"), Value::Null).await;
    let hidden = async |path: &str, method: &str| {
        let answer = eve.ask(&house, method, path, Value::Null).await;
        let said = answer.body["error"]
            .as_str()
            .unwrap_or_default()
            .replace(&format!("{named}`"), &format!("{named}s`"));
        (answer.status, said) == (404, unknown.body["error"].as_str().unwrap().to_owned())
    };
    let listed = async |them: &Them| {
        let list = them.do_it(&house, "GET", SESSIONS, Value::Null).await;
        list.body["sessions"].as_array().unwrap().len()
    };
    assert!(hidden(&one, "GET").await && hidden(&one, "DELETE").await);
    assert_eq!((listed(&eve).await, listed(&bert).await), (0, 1));
    assert_eq!(bert.ask(&house, "DELETE", &one, Value::Null).await.status, 403);
    let stop = format!("{one}/stop");
    assert_eq!(bert.ask(&house, "POST", &stop, json!({})).await.status, 403);

    let mut sent_ms = now_ms();
    let past_ms = sent_ms - 45_000..sent_ms;
    breathe(&mut anna_belt, "anna-belt", past_ms.clone(), 0.0).await;
    breathe(&mut bert_belt, "bert-belt", past_ms, 0.5).await;
    let both = json!([
        {"sensor_id": "anna-belt", "measurable": true, "why": null},
        {"sensor_id": "bert-belt", "measurable": true, "why": null},
    ]);
    let before = until(&house, &bert, &one, |it| it["people"] == both).await;
    // What leaves the room is recorded no more, though it goes on to measure.
    anna.do_it(&house, "DELETE", &format!("{room}/sensors/bert-belt"), Value::Null).await;
    let seconds = |status: &Value| status["seconds"].as_f64().unwrap();
    let more = timeout(PATIENCE, async {
        loop {
            let times_ms = sent_ms..now_ms();
            if !times_ms.is_empty() {
                sent_ms = times_ms.end;
                breathe(&mut anna_belt, "anna-belt", times_ms.clone(), 0.0).await;
                breathe(&mut bert_belt, "bert-belt", times_ms, 0.5).await;
            }
            let status = anna.do_it(&house, "GET", &one, Value::Null).await;
            if seconds(&status.body) > seconds(&before) + 5.0 {
                break status.body;
            }
        }
    });
    let more = more.await.expect("it goes on");
    assert_eq!(more["people"][1]["why"], "silent", "{more}");
    anna.do_it(&house, "POST", &stop, json!({ "null": "none" })).await;
    until(&house, &anna, &one, |it| it["state"] == "done").await;
    let kept = bert.do_it(&house, "GET", &one, Value::Null).await;
    assert_eq!((&kept.body["room"], &kept.body["people"]), (&json!(id), &json!(2)));
    let report = format!("{one}/report.json");
    assert_eq!(bert.do_it(&house, "GET", &report, Value::Null).await.body["room"], id);
    let signals = ask(&house, "GET", &format!("{one}/signals.csv"), &[&bert.bearer], "").await;
    let rows = signals.text.lines().skip_while(|line| *line != "t,anna-belt,bert-belt").skip(1);
    let rows: Vec<[bool; 2]> = rows
        .map(|row| {
            let mut fields = row.split(',').skip(1).map(|field| !field.is_empty());
            [fields.next().unwrap(), fields.next().unwrap()]
        })
        .collect();
    let last = &rows[rows.len() - 30..];
    assert!(last.iter().all(|has| *has == [true, false]), "{last:?}");
    assert!(rows.contains(&[true, true]));
    assert!(hidden(&one, "GET").await && hidden(&one, "DELETE").await);
    assert_eq!(eve.ask(&house, "GET", &report, Value::Null).await.status, 404);
    assert_eq!((listed(&eve).await, listed(&bert).await), (0, 1));
    assert_eq!(bert.ask(&house, "DELETE", &one, Value::Null).await.status, 403);
    anna.do_it(&house, "DELETE", &one, Value::Null).await;
    assert_eq!(listed(&anna).await, 0);
    house.close().await;
}

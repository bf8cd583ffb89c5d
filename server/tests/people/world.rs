//! Whom one may know of, with what of theirs one may know of, too.

use super::them::{Client, Them, join_words, open_house};
use super::*;

/// Names of people here are their ids; of rooms and sensors, what is told of this one.
fn of(people: &Value, id: &str) -> Option<(Vec<String>, Vec<String>)> {
    let one = people.as_array().unwrap().iter().find(|one| one["user_id"] == *id)?;
    let all = |kind: &str, key: &str| {
        let all = one[kind].as_array().unwrap().iter();
        all.map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    Some((all("rooms", "role"), all("sensors", "sensor_id")))
}

fn some(roles: &[&str], sensors: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
    let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Some((all(roles), all(sensors)))
}

async fn people(house: &House, headers: &[&str]) -> Value {
    let answer = ask(house, "GET", "/api/people", headers, "").await;
    assert_eq!((answer.status, &answer.body["more"]), (200, &json!(false)), "{}", answer.body);
    answer.body["people"].clone()
}

#[tokio::test]
async fn people_are_known_by_the_rooms_that_one_may_see_and_sensors_by_who_may_see_them() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let carl = Them::person(&house, "carl").await;
    let dora = Them::person(&house, "dora").await;
    anna.room(&house, true).await;
    let (private, code) = anna.room(&house, false).await;
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    let mut belt = Client::of(&house, None).await;
    belt.join_with("sensocto:sensor:belt", join_words("belt", anna.access())).await;
    let hers = |them: &Them| {
        let bearer = them.bearer.clone();
        let (house, id) = (&house, &anna.id);
        async move { of(&people(house, &[&bearer]).await, id) }
    };
    // The belt is there as soon as the engine has heard of it.
    let waits = async { while hers(&carl).await != some(&["owner"], &["belt"]) {} };
    timeout(PATIENCE, waits).await.expect("her belt, to a stranger, and her open room");
    assert_eq!(hers(&bert).await, some(&["owner", "owner"], &["belt"]));

    let carls = people(&house, &[&carl.bearer]).await;
    assert_eq!(of(&carls, &bert.id), None, "his room is private");
    assert_eq!(of(&carls, &carl.id), some(&[], &[]), "oneself");
    assert_eq!(of(&people(&house, &[]).await, &anna.id), some(&["owner"], &["belt"]));
    assert_eq!(of(&people(&house, &[&anna.bearer]).await, &bert.id), some(&["member"], &[]));

    // Whose it is hears only who may see something of it.
    anna.do_it(&house, "PUT", "/api/me/consent", json!({ "private": ["any"] })).await;
    assert_eq!(hers(&carl).await, some(&["owner"], &[]));
    assert_eq!(hers(&anna).await, some(&["owner", "owner"], &["belt"]));
    let words = json!({ "user_id": bert.id, "attribute_type": "any" });
    anna.do_it(&house, "POST", "/api/grants", words).await;
    assert_eq!(hers(&bert).await, some(&["owner", "owner"], &["belt"]));

    for (asker, id, status) in [(&carl, &dora.id, 404), (&dora, &dora.id, 200)] {
        let path = format!("/api/people/{id}");
        assert_eq!(asker.ask(&house, "GET", &path, Value::Null).await.status, status);
    }
    let one = bert.do_it(&house, "GET", &format!("/api/people/{}", anna.id), Value::Null).await;
    let told = json!([one.body["person"]]);
    assert_eq!(of(&told, &anna.id), some(&["owner", "owner"], &["belt"]));
    assert_eq!((&told[0]["room_count"], &told[0]["sensor_count"]), (&json!(2), &json!(1)));
    anna.do_it(&house, "DELETE", &private, Value::Null).await;
    assert_eq!(of(&people(&house, &[&anna.bearer]).await, &bert.id), None);
    house.close().await;
}

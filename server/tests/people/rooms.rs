//! Rooms at the outer door: who may do what with them, what is heard of it, and that whoever may not
//! look on any more hears no more.

use super::them::{Client, Them, has_value, join_words, measure, open_house, topic};
use super::*;

#[tokio::test]
async fn a_room_is_made_seen_joined_left_and_gone() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let wishes = json!({ "name": " Chör ", "description": "on Mondays", "is_public": false });
    let made = anna.do_it(&house, "POST", "/api/rooms", wishes).await;
    assert_eq!(made.status, 201);
    let code = made.text("join_code");
    assert_eq!(code.len(), 8);
    assert!(code.chars().all(|c| "ABCDEFGHJKLMNPQRSTUVWXYZ23456789".contains(c)), "{code}");
    let room = &made.body["room"];
    let expected = json!({
        "name": "Chör", "description": "on Mondays", "owner_id": anna.id, "is_public": false,
        "member_count": 1, "online_count": 0, "sensors": [], "role": "owner", "is_persisted": false,
        "calls_enabled": true, "media_playback_enabled": true, "object_3d_enabled": false,
        "whiteboard_enabled": false,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&room[key], value, "{key}");
    }
    let path = format!("/api/rooms/{}", room["id"].as_str().unwrap());
    // Whoever is not in it cannot tell it from one that is not there.
    let absent = "/api/rooms/00000000-0000-4000-8000-000000000000";
    let (private, none) = (
        bert.ask(&house, "GET", &path, Value::Null).await,
        bert.ask(&house, "GET", absent, Value::Null).await,
    );
    assert_eq!((private.status, &private.body), (404, &none.body));
    assert_eq!(none.body["error"], "Room not found");
    assert_eq!(bert.ask(&house, "POST", &format!("{path}/join"), json!({})).await.status, 404);
    let by_code = json!({ "code": code.to_lowercase() });
    let joined = bert.do_it(&house, "POST", "/api/rooms/join", by_code.clone()).await;
    assert_eq!(joined.body["room"]["role"], "member");
    let again = bert.ask(&house, "POST", "/api/rooms/join", by_code).await;
    assert_eq!((again.status, &again.body["code"]), (403, &json!("already_member")));
    // Its code is told to who may invite, and nowhere else.
    let mine = bert.do_it(&house, "GET", "/api/rooms", Value::Null).await;
    assert_eq!(mine.body["rooms"][0]["member_count"], 2);
    let members = bert.do_it(&house, "GET", &format!("{path}/members"), Value::Null).await;
    assert_eq!(members.body["members"][0]["user_id"], *anna.id);
    assert_eq!(members.body["members"][1]["role"], "member");
    let seen = bert.do_it(&house, "GET", &path, Value::Null).await;
    for said in [&mine.body, &members.body, &seen.body, &joined.body] {
        assert!(!said.to_string().contains(code), "{said}");
        assert!(!said.to_string().contains("example.org"), "nobody's address is told: {said}");
    }
    assert_eq!(bert.ask(&house, "GET", &format!("{path}/code"), Value::Null).await.status, 403);
    let shown = anna.do_it(&house, "GET", &format!("{path}/code"), Value::Null).await;
    assert_eq!(shown.text("join_code"), code);
    bert.do_it(&house, "POST", &format!("{path}/leave"), json!({})).await;
    assert_eq!(bert.ask(&house, "GET", &path, Value::Null).await.status, 404);
    let owner = anna.ask(&house, "POST", &format!("{path}/leave"), json!({})).await;
    assert_eq!((owner.status, &owner.body["code"]), (403, &json!("owner_cannot_leave")));
    anna.do_it(&house, "DELETE", &path, Value::Null).await;
    assert_eq!(anna.ask(&house, "GET", &path, Value::Null).await.status, 404);
    house.close().await;
}

/// What the original leaves open to anybody (the marks of `reference/collab.md` 2, 4.6, 18) is
/// refused.
#[tokio::test]
async fn what_stood_open_is_shut() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let guest = Them::guest(&house).await;
    let (public, _) = anna.room(&house, true).await;
    let (private, code) = anna.room(&house, false).await;
    anna.do_it(&house, "PUT", &format!("{public}/sensors/anna:ecg"), Value::Null).await;
    // The acting user is not ignored, whoever it is.
    for them in [&eve, &guest] {
        for (method, path, body) in [
            ("PATCH", public.clone(), json!({ "name": "mine" })),
            ("DELETE", public.clone(), Value::Null),
            ("GET", format!("{public}/code"), Value::Null),
            ("POST", format!("{public}/code"), json!({})),
            ("PUT", format!("{public}/sensors/x"), Value::Null),
            ("DELETE", format!("{public}/sensors/anna:ecg"), Value::Null),
            ("DELETE", format!("{public}/members/{}", anna.id), Value::Null),
            ("POST", format!("{public}/members/{}/promote", them.id), json!({})),
        ] {
            let refused = them.ask(&house, method, &path, body).await;
            assert_eq!(refused.status, 403, "{method} {path} {}", refused.body);
        }
        for (method, path) in [
            ("GET", private.clone()),
            ("PATCH", private.clone()),
            ("DELETE", private.clone()),
            ("GET", format!("{private}/members")),
            ("GET", format!("{private}/ticket")),
            ("POST", format!("{private}/code")),
            ("POST", format!("{private}/viewers")),
            ("PUT", format!("{private}/sensors/x")),
        ] {
            let refused = them.ask(&house, method, &path, json!({})).await;
            assert_eq!(refused.status, 404, "{method} {path} {}", refused.body);
        }
    }
    let made = guest.ask(&house, "POST", "/api/rooms", json!({})).await;
    assert_eq!((made.status, &made.body["code"]), (403, &json!("not_for_guests")));
    let nobody = ask(&house, "POST", "/api/rooms", &[], "{}").await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.body["error"], "Missing or invalid authorization");
    // A room that cannot be found is not one that anybody may join.
    let mut client = Client::of(&house, Some(&eve.socket)).await;
    let absent = "room:00000000-0000-4000-8000-000000000000";
    for (topic, reason) in [
        (&*topic(&private), "unauthorized"),
        (absent, "unauthorized"),
        ("room:42", "invalid room id"),
        (&*format!("lobby:{}", anna.id), "unauthorized"),
        ("lobby:anonymous", "unauthorized"),
    ] {
        assert_eq!(client.refused(topic, json!({})).await, reason, "{topic}");
    }
    let upper = topic(&public).to_uppercase().replace("ROOM:", "room:");
    assert_eq!(client.refused(&upper, json!({})).await, "invalid room id", "one id, one topic");
    // A lobby hears of no private room, and of no code.
    let mut lobby = Client::of(&house, Some(&eve.socket)).await;
    lobby.join(&format!("lobby:{}", eve.id)).await;
    anna.do_it(&house, "PATCH", &private, json!({ "name": "secret" })).await;
    anna.do_it(&house, "POST", &format!("{private}/code"), json!({})).await;
    let (third, _) = anna.room(&house, false).await;
    anna.do_it(&house, "DELETE", &third, Value::Null).await;
    let heard = json!(lobby.all().await).to_string();
    assert!(heard.contains(public.rsplit('/').next().unwrap()));
    for secret in [&*code, private.rsplit('/').next().unwrap(), third.rsplit('/').next().unwrap()] {
        assert!(!heard.contains(secret), "{secret} in {heard}");
    }
    // A ticket that nobody here has signed is none.
    let ticket = json!({
        "room_id": private.rsplit('/').next().unwrap(), "room_name": "Chör", "docs_namespace": "",
        "gossip_topic": "", "bootstrap_peers": [], "created_at": 0, "expires_at": 9_999_999_999i64,
        "round": 0, "signature": "00",
    });
    let forged = base64_of(ticket.to_string().as_bytes());
    let answer = post(&house, "/api/rooms/verify-ticket", json!({ "ticket": forged })).await;
    assert_eq!((answer.status, &answer.body["valid"]), (400, &json!(false)));
    let joined = eve.ask(&house, "POST", "/api/rooms/join", json!({ "ticket": forged })).await;
    assert_eq!((joined.status, &joined.body["code"]), (400, &json!("bad_ticket")));
    house.close().await;
}

fn base64_of(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(LETTERS[(word >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

/// A device of somebody, which has joined; what it sends is of attribute `hr`.
async fn device(house: &House, sensor_id: &str, token: &str, room: Option<&str>) -> Client {
    let mut device = Client::of(house, None).await;
    let mut params = join_words(sensor_id, token);
    if let Some(room) = room {
        params["room_id"] = room.into();
    }
    let reply = device.ask(&format!("sensocto:sensor:{sensor_id}"), "phx_join", params).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    device
}

/// Waits for this value on a viewer's channel, as past or present.
async fn sees(viewer: &mut Client, value: u32) {
    viewer.until(|frame| has_value(frame, value)).await;
}

/// Somebody's view of the room, as a channel that is open.
async fn view(house: &House, them: &Them, room: &str) -> (Client, String) {
    let path = format!("{room}/viewers");
    let minted = them.do_it(house, "POST", &path, json!({ "quality": "high" })).await;
    let mut viewer = Client::of(house, None).await;
    viewer.join(minted.text("topic")).await;
    (viewer, minted.text("topic").to_owned())
}

/// Waits until so many rooms are entities of the engine.
async fn looked_into(house: &House, count: usize) {
    let told = format!("sensocto_rooms_looked_into {count}\n");
    let asking =
        async { while !ask(house, "GET", "/metrics", &[], "").await.text.contains(&told) {} };
    timeout(PATIENCE, asking).await.expect("it comes to be so many");
}

#[tokio::test]
async fn whoever_is_sent_away_hears_and_sees_no_more_and_does_not_come_back() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, code) = anna.room(&house, false).await;
    bert.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    let mut puls = device(&house, "puls", "missing", None).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/puls"), Value::Null).await;
    let mut his = Client::of(&house, Some(&bert.socket)).await;
    his.join(&topic(&room)).await;
    his.join(&format!("lobby:{}", bert.id)).await;
    let (mut his_view, his_topic) = view(&house, &bert, &room).await;
    let mut hers = Client::of(&house, Some(&anna.socket)).await;
    hers.join(&topic(&room)).await;
    looked_into(&house, 1).await;
    let (mut her_view, _) = view(&house, &anna, &room).await;
    measure(&mut puls, "puls", 61).await;
    sees(&mut his_view, 61).await;
    sees(&mut her_view, 61).await;

    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    // Behind the answer nothing goes to him any more.
    measure(&mut puls, "puls", 62).await;
    sees(&mut her_view, 62).await;
    let closed = his_view.until(|frame| frame[3] == "phx_close").await;
    assert_eq!(closed[2], *his_topic);
    assert!(!has_value(&json!(his_view.all().await), 62));
    assert_eq!(his_view.refused(&his_topic, json!({})).await, "unauthorized");
    his.until(|frame| frame[3] == "phx_close" && frame[2] == *topic(&room)).await;
    let left = his.event("membership_changed").await;
    assert_eq!((&left["action"], &left["user_id"]), (&json!("kicked"), &json!(bert.id)));
    his.event("room_removed").await;
    assert_eq!(hers.event("member_left").await["user_id"], *bert.id);
    let gone = hers.until(|frame| frame[3] == "presence_diff" && frame[4]["joins"] == json!({}));
    assert!(gone.await[4]["leaves"][&bert.id]["metas"][0]["mode"] == "sensors");
    anna.do_it(&house, "PATCH", &room, json!({ "name": "without him" })).await;
    let heard = json!(his.all().await).to_string();
    assert!(!heard.contains("without him"), "{heard}");
    // Neither by its code nor by its topic.
    let again = bert.ask(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    assert_eq!(again.status, 404, "{}", again.body);
    assert_eq!(his.refused(&topic(&room), json!({})).await, "unauthorized");
    // Nor as somebody else, by what he knows.
    let other = Them::person(&house, "other").await;
    let body = json!({ "code": code });
    assert_eq!(other.ask(&house, "POST", "/api/rooms/join", body.clone()).await.status, 404);
    let pardon = format!("{room}/members/{}/pardon", bert.id);
    anna.do_it(&house, "POST", &pardon, json!({})).await;
    assert_eq!(bert.ask(&house, "POST", "/api/rooms/join", body).await.status, 404);
    let code = anna.do_it(&house, "GET", &format!("{room}/code"), Value::Null).await;
    let body = json!({ "code": code.text("join_code") });
    bert.do_it(&house, "POST", "/api/rooms/join", body).await;
    looked_into(&house, 1).await;
    anna.do_it(&house, "DELETE", &room, Value::Null).await;
    looked_into(&house, 0).await;
    house.close().await;
}

#[tokio::test]
async fn whoever_is_sent_away_from_a_public_room_does_not_come_back_as_nobody_or_a_guest() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let there = Them::guest(&house).await;
    let (room, code) = anna.room(&house, true).await;
    let topic = topic(&room);
    for them in [&bert, &there] {
        them.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
    }
    let mut visitor = Client::of(&house, None).await;
    visitor.join(&topic).await;
    let later = Them::guest(&house).await;
    let (mut her_view, _) = view(&house, &later, &room).await;
    let ticket = later.do_it(&house, "GET", &format!("{room}/ticket"), Value::Null).await;
    let mut member = Client::of(&house, Some(&there.socket)).await;
    member.join(&topic).await;
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", bert.id), Value::Null).await;
    // Whoever has no name, or one that costs nothing, is let go; who is a member stays.
    visitor.until(|frame| frame[3] == "phx_close").await;
    her_view.until(|frame| frame[3] == "phx_close").await;
    assert_eq!(member.ask(&topic, "ping", json!({ "x": 1 })).await["response"]["x"], 1);
    assert_eq!(visitor.refused(&topic, json!({})).await, "unauthorized");
    let nobody = ask(&house, "GET", &format!("{room}/chat"), &[], "").await;
    assert_eq!(nobody.status, 401);
    for (path, body) in
        [(format!("{room}/join"), json!({})), (format!("{room}/viewers"), json!({}))]
    {
        let refused = later.ask(&house, "POST", &path, body).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("not_for_guests")));
    }
    for body in [json!({ "code": code }), json!({ "ticket": ticket.text("encoded") })] {
        assert_eq!(later.ask(&house, "POST", "/api/rooms/join", body).await.status, 404);
    }
    // A pardon opens the room again.
    let pardon = format!("{room}/members/{}/pardon", bert.id);
    anna.do_it(&house, "POST", &pardon, json!({})).await;
    visitor.join(&topic).await;
    later.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
    house.close().await;
}

#[tokio::test]
async fn a_room_that_becomes_private_lets_strangers_go() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let (room, _) = anna.room(&house, true).await;
    let mut hers = Client::of(&house, Some(&eve.socket)).await;
    hers.join(&topic(&room)).await;
    hers.join(&format!("lobby:{}", eve.id)).await;
    let (mut her_view, _) = view(&house, &eve, &room).await;
    let mut visitor = Client::of(&house, None).await;
    visitor.join(&topic(&room)).await;
    visitor.join("lobby:anonymous").await;
    let ticket = eve.do_it(&house, "GET", &format!("{room}/ticket"), Value::Null).await;
    anna.do_it(&house, "PATCH", &room, json!({ "is_public": false })).await;
    for client in [&mut hers, &mut visitor] {
        client.until(|frame| frame[3] == "phx_close" && frame[2] == *topic(&room)).await;
        client.event("room_removed").await;
    }
    her_view.until(|frame| frame[3] == "phx_close").await;
    // And what anybody could have had before opens it no longer.
    let body = json!({ "ticket": ticket.text("encoded") });
    assert_eq!(eve.ask(&house, "POST", "/api/rooms/join", body).await.status, 404);
    anna.do_it(&house, "PATCH", &room, json!({ "is_public": true, "name": "again" })).await;
    assert_eq!(hers.event("room_added").await["name"], "again");
    house.close().await;
}

#[tokio::test]
async fn a_lobby_hears_what_comes_changes_and_goes() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (first, _) = anna.room(&house, true).await;
    let mut lobby = Client::of(&house, Some(&bert.socket)).await;
    lobby.join(&format!("lobby:{}", bert.id)).await;
    let state = lobby.event("lobby_state").await;
    assert_eq!(state["my_rooms"], json!([]));
    let room = &state["public_rooms"][0];
    for key in ["id", "name", "owner_id"] {
        assert!(room[key].is_string(), "{room}");
    }
    bert.do_it(&house, "POST", &format!("{first}/join"), json!({})).await;
    assert_eq!(lobby.event("membership_changed").await["action"], "joined");
    assert_eq!(lobby.event("room_updated").await["member_count"], 2);
    let (second, _) = anna.room(&house, true).await;
    assert_eq!(lobby.event("room_added").await["name"], "Chör");
    anna.do_it(&house, "DELETE", &second, Value::Null).await;
    let id = second.rsplit('/').next().unwrap();
    assert_eq!(lobby.event("room_removed").await["room_id"], id);
    bert.do_it(&house, "POST", &format!("{first}/leave"), json!({})).await;
    assert_eq!(lobby.event("membership_changed").await["action"], "left");
    house.close().await;
}

#[tokio::test]
async fn who_is_there_is_known_by_person_and_tab_with_what_they_have_before_them() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, _) = anna.room(&house, true).await;
    let topic = topic(&room);
    let mut first = Client::of(&house, Some(&anna.socket)).await;
    let reply = first.ask(&topic, "phx_join", json!({ "mode": "call" })).await;
    assert_eq!(reply, json!({ "status": "ok", "response": {} }));
    let state = first.event("room_state").await;
    assert_eq!((&state["member_count"], &state["online_count"]), (&json!(1), &json!(1)));
    let present = first.event("presence_state").await;
    assert_eq!(present[&anna.id]["metas"][0]["mode"], "call");
    let mut second = Client::of(&house, Some(&anna.socket)).await;
    second.join(&topic).await;
    let present = second.event("presence_state").await;
    assert_eq!(present[&anna.id]["metas"].as_array().unwrap().len(), 2, "two tabs, one person");
    let came = first.event("presence_diff").await;
    assert_eq!(came["joins"][&anna.id]["metas"][0]["mode"], "sensors");
    let mut his = Client::of(&house, Some(&bert.socket)).await;
    his.join(&topic).await;
    first.event("presence_diff").await;
    let reply = his.ask(&topic, "set_mode", json!({ "mode": "media" })).await;
    assert_eq!(reply["status"], "ok");
    let changed = first.event("presence_diff").await;
    let (joins, leaves) = (&changed["joins"][&bert.id], &changed["leaves"][&bert.id]);
    assert_eq!(joins["metas"][0]["mode"], "media");
    assert_eq!(leaves["metas"][0]["mode"], "sensors");
    assert_ne!(joins["metas"][0]["phx_ref"], leaves["metas"][0]["phx_ref"]);
    // What cannot be done is said, and the channel goes on.
    for (event, payload, reason) in [
        ("set_mode", json!({ "mode": "whiteboard" }), "mode_is_off"),
        ("set_mode", json!({ "mode": "dance" }), "invalid_mode"),
        ("set_mode", json!({ "mode": 7 }), "invalid_mode"),
        ("set_mode", json!({}), "invalid_mode"),
        ("set_mode", json!([]), "invalid_mode"),
        ("set_mode", json!(null), "invalid_mode"),
        ("member_joined", json!({ "user_id": "x" }), "unknown_event"),
        ("shout", json!({}), "unknown_event"),
    ] {
        let reply = his.ask(&topic, event, payload).await;
        assert_eq!(reply["status"], "error", "{event}");
        assert_eq!(reply["response"]["reason"], reason, "{event}");
    }
    assert_eq!(his.refused(&topic, json!({ "mode": "dance" })).await, "invalid_mode");
    // Whoever goes is gone for the others; with their session, too.
    first.until(|it| it[3] == "presence_diff" && it[4]["leaves"][&bert.id].is_object()).await;
    let other = Them::of(&sign_in(&house, "anna@example.org", PASSWORD).await);
    let mut third = Client::of(&house, Some(&other.socket)).await;
    third.join(&topic).await;
    other.do_it(&house, "POST", "/api/auth/sign-out", json!({})).await;
    third.until(|frame| frame[3] == "phx_close").await;
    assert_eq!(first.ask(&topic, "ping", json!({ "x": 1 })).await["response"]["x"], 1);
    house.close().await;
}

#[tokio::test]
async fn a_rooms_viewer_sees_what_is_there_and_cannot_look_elsewhere() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, false).await;
    let mut puls = device(&house, "puls", "missing", None).await;
    let mut other = device(&house, "other", "missing", None).await;
    let mut hers = Client::of(&house, Some(&anna.socket)).await;
    hers.join(&topic(&room)).await;
    let (mut viewer, viewer_topic) = view(&house, &anna, &room).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/puls"), Value::Null).await;
    let added = hers.event("sensor_added").await;
    let sensor = &added["sensor"];
    assert_eq!(
        (&sensor["sensor_name"], &sensor["sensor_type"]),
        (&json!("Puls"), &json!("heartrate"))
    );
    assert_eq!(sensor["attributes"][0]["id"], "hr");
    assert_eq!(sensor["activity_status"], "online");
    measure(&mut other, "other", 10).await;
    measure(&mut puls, "puls", 61).await;
    sees(&mut viewer, 61).await;
    let reply = viewer.ask(&viewer_topic, "set_sensors", json!({ "sensors": "all" })).await;
    assert_eq!(reply["response"]["reason"], "room_only");
    let token = viewer_topic.strip_prefix("viewer:data:").unwrap();
    let path = format!("/api/viewers/{token}");
    assert_eq!(anna.ask(&house, "PATCH", &path, json!({ "sensors": "all" })).await.status, 403);
    anna.do_it(&house, "PATCH", &path, json!({ "quality": "high" })).await;
    // What is taken out is not seen any more; what comes in is.
    anna.do_it(&house, "DELETE", &format!("{room}/sensors/puls"), Value::Null).await;
    assert_eq!(hers.event("sensor_removed").await["sensor_id"], "puls");
    anna.do_it(&house, "PUT", &format!("{room}/sensors/other"), Value::Null).await;
    measure(&mut puls, "puls", 62).await;
    measure(&mut other, "other", 11).await;
    sees(&mut viewer, 11).await;
    assert!(!has_value(&json!(viewer.all().await), 62));
    for (method, sensor, status, code) in [
        ("PUT", "other", 409, "already_added"),
        ("DELETE", "puls", 409, "not_in_room"),
        ("PUT", &*"x".repeat(200), 400, "bad_value"),
    ] {
        let path = format!("{room}/sensors/{sensor}");
        let refused = anna.ask(&house, method, &path, Value::Null).await;
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)));
    }
    let path = format!("{room}/viewers");
    let refused = anna.ask(&house, "POST", &path, json!({ "sensors": "all" })).await;
    assert_eq!(refused.status, 400);
    house.close().await;
}

#[tokio::test]
async fn a_device_brings_its_sensor_where_its_owner_is_a_member() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let (room, _) = anna.room(&house, true).await;
    let id = room.rsplit('/').next().unwrap().to_owned();
    let mut hers = Client::of(&house, Some(&anna.socket)).await;
    hers.join(&topic(&room)).await;
    let access = |them: &Them| them.access().to_owned();
    // A stranger's stays outside, as does nobody's; both measure all the same.
    let _strangers = device(&house, "strange", &access(&eve), Some(&id)).await;
    let _nobodys = device(&house, "nobodys", "missing", Some(&id)).await;
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let _nowhere = device(&house, "nowhere", &access(&anna), Some(nowhere)).await;
    let own = device(&house, "own", &access(&anna), Some(&id)).await;
    let added = hers.event("sensor_added").await;
    assert_eq!(added["sensor"]["sensor_id"], "own");
    let shown = anna.do_it(&house, "GET", &room, Value::Null).await;
    assert_eq!(shown.body["room"]["sensors"].as_array().unwrap().len(), 1);
    drop(own);
    assert_eq!(hers.event("sensor_removed").await["sensor_id"], "own");
    // A guest's device says so in its own way.
    let guest = Them::guest(&house).await;
    guest.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
    let token = format!("guest:{}:{}", guest.id, access(&guest));
    let _guests = device(&house, "guests", &token, Some(&id)).await;
    assert_eq!(hers.event("sensor_added").await["sensor"]["sensor_id"], "guests");
    // A sensor that somebody feeds is nobody else's to feed.
    let mut thief = Client::of(&house, None).await;
    let params = join_words("guests", &access(&eve));
    assert_eq!(thief.refused("sensocto:sensor:guests", params).await, "not_owner");
    house.close().await;
}

#[tokio::test]
async fn a_ticket_opens_its_room_until_the_code_is_renewed() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, code) = anna.room(&house, false).await;
    let issued =
        anna.do_it(&house, "GET", &format!("{room}/ticket?expires_in=60"), Value::Null).await;
    let ticket = &issued.body["ticket"];
    let lasts = ticket["expires_at"].as_i64().unwrap() - ticket["created_at"].as_i64().unwrap();
    assert_eq!((lasts, ticket["room_name"].as_str()), (60, Some("Chör")));
    let encoded = issued.text("encoded");
    assert_eq!(issued.text("deep_link"), format!("sensocto://room?ticket={encoded}"));
    assert!(issued.text("web_url").ends_with(&format!("/rooms/join?ticket={encoded}")));
    let checked = post(&house, "/api/rooms/verify-ticket", json!({ "ticket": encoded })).await;
    assert_eq!(checked.status, 200);
    assert_eq!(
        checked.body,
        json!({ "ok": true, "valid": true, "expired": false, "ticket": ticket })
    );
    let missing = post(&house, "/api/rooms/verify-ticket", json!({})).await;
    assert_eq!(missing.body["error"], "Missing 'ticket' parameter");
    let by_code = ask(&house, "GET", &format!("/api/rooms/by-code/{code}/ticket"), &[], "").await;
    assert_eq!((by_code.status, &by_code.body["ticket"]["room_id"]), (200, &ticket["room_id"]));
    let unknown = ask(&house, "GET", "/api/rooms/by-code/AAAAAAAA/ticket", &[], "").await;
    assert_eq!(unknown.status, 404);
    for expires_in in ["0", "604801", "x"] {
        let path = format!("{room}/ticket?expires_in={expires_in}");
        assert_eq!(anna.ask(&house, "GET", &path, Value::Null).await.status, 400);
    }
    let joined = bert.do_it(&house, "POST", "/api/rooms/join", json!({ "ticket": encoded })).await;
    assert_eq!(joined.body["room"]["role"], "member");
    bert.do_it(&house, "POST", &format!("{room}/leave"), json!({})).await;
    let renewed = anna.do_it(&house, "POST", &format!("{room}/code"), json!({})).await;
    assert_ne!(renewed.text("join_code"), code);
    for body in [json!({ "ticket": encoded }), json!({ "code": code })] {
        assert_eq!(bert.ask(&house, "POST", "/api/rooms/join", body).await.status, 404);
    }
    let void = post(&house, "/api/rooms/verify-ticket", json!({ "ticket": encoded })).await;
    assert_eq!(void.body["expired"], true);
    for body in [json!({}), json!({ "code": code, "ticket": encoded }), json!({ "code": 7 })] {
        assert_eq!(bert.ask(&house, "POST", "/api/rooms/join", body).await.status, 400);
    }
    house.close().await;
}

#[tokio::test]
async fn codes_are_guessed_ten_times_a_minute_whatever_address_is_claimed() {
    let house = house(&[]).await;
    let anna = Them::person(&house, "anna").await;
    let mut looked_at = 0;
    // While it waits for answers a slow machine gains a guess every six seconds.
    let refused = loop {
        let forged = format!("x-forwarded-for: 198.51.100.{looked_at}");
        let body = json!({ "code": "AAAAAAAA" }).to_string();
        let headers = [&*anna.bearer, &*forged];
        let answer = ask(&house, "POST", "/api/rooms/join", &headers, &body).await;
        if answer.status != 404 {
            break answer;
        }
        looked_at += 1;
        assert!(looked_at < 100);
    };
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert!(looked_at >= 10, "{looked_at}");
    house.close().await;
}

#[tokio::test]
async fn ranks_are_given_and_taken_by_the_owner() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let cora = Them::person(&house, "cora").await;
    let (room, _) = anna.room(&house, true).await;
    for them in [&bert, &cora] {
        them.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
    }
    let member = |them: &Them, what: &str| format!("{room}/members/{}{what}", them.id);
    anna.do_it(&house, "POST", &member(&bert, "/promote"), json!({})).await;
    bert.do_it(&house, "PATCH", &room, json!({ "whiteboard_enabled": true, "description": null }))
        .await;
    for (who, method, path, code) in [
        (&bert, "POST", member(&cora, "/promote"), "not_authorized"),
        (&bert, "DELETE", member(&anna, ""), "cannot_kick_owner"),
        (&bert, "DELETE", member(&bert, ""), "not_authorized"),
        (&bert, "DELETE", room.clone(), "not_authorized"),
        (&anna, "POST", member(&bert, "/promote"), "already_admin"),
        (&anna, "POST", member(&cora, "/demote"), "already_member"),
        (&anna, "POST", member(&anna, "/demote"), "cannot_change_owner"),
        (&anna, "POST", member(&cora, "/pardon"), "not_banned"),
        (&cora, "POST", member(&bert, "/demote"), "not_authorized"),
    ] {
        let body = if method == "DELETE" { Value::Null } else { json!({}) };
        let refused = who.ask(&house, method, &path, body).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!(code)), "{method} {path}");
        assert!(refused.body["error"].is_string());
    }
    bert.do_it(&house, "DELETE", &member(&cora, ""), Value::Null).await;
    anna.do_it(&house, "POST", &member(&bert, "/demote"), json!({})).await;
    assert_eq!(bert.ask(&house, "PATCH", &room, json!({ "name": "x" })).await.status, 403);
    // A public room shows itself to whoever was sent away, and no more.
    assert_eq!(cora.ask(&house, "POST", &format!("{room}/join"), json!({})).await.status, 403);
    let mut hers = Client::of(&house, Some(&cora.socket)).await;
    assert_eq!(hers.refused(&topic(&room), json!({})).await, "unauthorized");
    for (body, status) in [
        (json!({ "name": "" }), 400),
        (json!({ "name": "a\u{202e}b" }), 400),
        (json!({ "name": "x".repeat(101) }), 400),
        (json!({ "description": "x".repeat(501) }), 400),
        (json!({ "is_public": "yes" }), 400),
        (json!({ "owner_id": "x" }), 400),
        (json!({ "name": "x".repeat(100) }), 200),
    ] {
        assert_eq!(anna.ask(&house, "PATCH", &room, body.clone()).await.status, status, "{body}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_room_outlives_the_server_and_its_owners_account_goes_to_an_heir() {
    let folder = Folder::new("rooms");
    let settings = [("data", folder.0.to_str().unwrap()), ("address_limit_factor", "1000")];
    let first = house(&settings).await;
    let anna = Them::person(&first, "anna").await;
    let bert = Them::person(&first, "bert").await;
    let eve = Them::person(&first, "eve").await;
    let (room, code) = anna.room(&first, false).await;
    let (alone, _) = anna.room(&first, true).await;
    for them in [&bert, &eve] {
        them.do_it(&first, "POST", "/api/rooms/join", json!({ "code": code })).await;
    }
    anna.do_it(&first, "DELETE", &format!("{room}/members/{}", eve.id), Value::Null).await;
    let put = anna.do_it(&first, "PUT", &format!("{room}/sensors/puls"), Value::Null).await;
    assert_eq!(put.body["durable"], true);
    let issued = anna.do_it(&first, "GET", &format!("{room}/ticket"), Value::Null).await;
    first.close().await;
    let second = house(&settings).await;
    let seen = bert.do_it(&second, "GET", &room, Value::Null).await;
    assert_eq!(seen.body["room"]["member_count"], 2);
    assert_eq!(seen.body["room"]["sensors"][0]["sensor_id"], "puls");
    assert_eq!(seen.body["room"]["sensors"][0]["activity_status"], "offline");
    assert_eq!(seen.body["room"]["is_persisted"], true);
    let banned = eve.ask(&second, "POST", "/api/rooms/join", json!({ "code": code })).await;
    assert_eq!(banned.status, 404, "whoever was sent away stays so");
    let body = json!({ "ticket": issued.text("encoded") });
    let checked = post(&second, "/api/rooms/verify-ticket", body).await;
    assert_eq!(checked.body["expired"], false);
    anna.do_it(&second, "DELETE", "/api/me", Value::Null).await;
    let seen = bert.do_it(&second, "GET", &room, Value::Null).await;
    assert_eq!(
        (&seen.body["room"]["role"], &seen.body["room"]["member_count"]),
        (&json!("owner"), &json!(1))
    );
    assert_eq!(bert.ask(&second, "GET", &alone, Value::Null).await.status, 404);
    second.close().await;
    let third = house(&settings).await;
    let seen = bert.do_it(&third, "GET", &room, Value::Null).await;
    assert_eq!(seen.body["room"]["owner_id"], *bert.id);
    assert_eq!(bert.ask(&third, "GET", &alone, Value::Null).await.status, 404);
    third.close().await;
}

#[tokio::test]
async fn in_strict_nobody_comes_in_without_saying_who_they_are() {
    let house =
        house(&[("auth", "strict"), ("registration", "true"), ("address_limit_factor", "1000")])
            .await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, true).await;
    for path in ["/api/rooms", "/api/rooms/public", &room, &format!("{room}/members")] {
        assert_eq!(ask(&house, "GET", path, &[], "").await.status, 401, "{path}");
        assert_eq!(ask(&house, "GET", path, &["authorization: Bearer x"], "").await.status, 401);
    }
    let mut nobody = Client::of(&house, Some("garbage")).await;
    assert_eq!(nobody.refused(&topic(&room), json!({})).await, "unauthorized");
    assert_eq!(nobody.refused("lobby:anonymous", json!({})).await, "unauthorized");
    // Their access token is not for a socket's address, nor their socket token for HTTP.
    let access = anna.bearer.rsplit(' ').next().unwrap();
    let mut disguised = Client::of(&house, Some(access)).await;
    assert_eq!(disguised.refused(&topic(&room), json!({})).await, "unauthorized");
    let by_socket = bearer(&anna.socket);
    assert_eq!(ask(&house, "GET", "/api/rooms", &[&by_socket], "").await.status, 401);
    // A person sees their rooms, and through them what is measured there.
    let access = access.to_owned();
    let id = room.rsplit('/').next().unwrap();
    let mut puls = device(&house, "puls", &access, Some(id)).await;
    let (mut viewer, _) = view(&house, &anna, &room).await;
    measure(&mut puls, "puls", 61).await;
    sees(&mut viewer, 61).await;
    // Nobody puts what is another's into a room of their own, and sees it there.
    let eve = Them::person(&house, "eve").await;
    let (hers, _) = eve.room(&house, false).await;
    for sensor in ["puls", "nobodys"] {
        let put = eve.ask(&house, "PUT", &format!("{hers}/sensors/{sensor}"), Value::Null).await;
        assert_eq!((put.status, &put.body["code"]), (403, &json!("not_your_sensor")), "{sensor}");
    }
    let document = "---\nname: x\nconfiguration:\n  sensors: [puls]\n---\n";
    let headers = [&*eve.bearer, "content-type: text/markdown"];
    let made = ask(&house, "POST", "/api/rooms/import", &headers, document).await;
    assert_eq!((made.status, &made.body["code"]), (403, &json!("not_your_sensor")));
    anna.do_it(&house, "PUT", &format!("{room}/sensors/puls"), Value::Null).await;
    house.close().await;
}

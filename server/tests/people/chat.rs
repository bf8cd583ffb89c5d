//! Chat at the outer door: who hears what is said, who may say it, and that it outlives a kill.

use super::them::{Client, Killable, Them, open_house, topic};
use super::*;

async fn say(house: &House, them: &Them, path: &str, content: &str) -> Value {
    let said = them.do_it(house, "POST", path, json!({ "content": content })).await;
    assert_eq!(said.status, 201);
    said.body["message"].clone()
}

fn contents(answer: &Answer) -> Vec<&str> {
    let messages = answer.body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_said_in_a_room_is_heard_there_and_can_be_taken_back() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let (room, _) = anna.room(&house, true).await;
    let (topic, chat) = (topic(&room), format!("{room}/chat"));
    bert.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
    let mut hers = Client::of(&house, Some(&anna.socket)).await;
    hers.join(&topic).await;
    let mut his = Client::of(&house, Some(&bert.socket)).await;
    his.join(&topic).await;
    let reply = hers.ask(&topic, "chat_message", json!({ "content": " <b>hello</b> " })).await;
    assert_eq!((&reply["status"], &reply["response"]["durable"]), (&json!("ok"), &json!(false)));
    let said = reply["response"]["message"].clone();
    let name = anna.do_it(&house, "GET", "/api/me", Value::Null).await.body["user"].clone();
    let expected = json!({
        "id": said["id"], "room_id": topic, "role": "user", "user_id": anna.id,
        "user_name": name["display_name"], "content": "<b>hello</b>",
        "timestamp": said["timestamp"], "edited_at": null,
    });
    assert_eq!(said, expected);
    assert!(said["timestamp"].is_number());
    assert_eq!(his.event("chat_message").await, said);
    assert_eq!(hers.event("chat_message").await, said, "each of one's own tabs hears it, too");
    let told = bert.do_it(&house, "GET", &chat, Value::Null).await;
    assert_eq!(told.body, json!({ "messages": [said], "more": false }));
    assert_eq!(his.ask(&topic, "typing", json!({})).await["status"], "ok");
    let typing = hers.event("typing").await;
    assert_eq!((&typing["user"], &typing["room_id"]), (&json!(bert.id), &json!(topic)));
    // Whoever has said it may say it differently, and nobody else.
    let edit = json!({ "id": said["id"], "content": "hello, all" });
    let refused = his.ask(&topic, "chat_edit", edit.clone()).await;
    assert_eq!(refused["response"]["reason"], "no_such_message");
    let of_hers = format!("{chat}/{}", said["id"].as_str().unwrap());
    let refused = bert.ask(&house, "PATCH", &of_hers, json!({ "content": "x" })).await;
    assert_eq!((refused.status, &refused.body["code"]), (404, &json!("no_such_message")));
    hers.ask(&topic, "chat_edit", edit).await;
    let edited = his.event("chat_edited").await;
    assert_eq!((&edited["content"], &edited["id"]), (&json!("hello, all"), &said["id"]));
    assert!(edited["edited_at"].is_number());
    // Whoever has said it may take it back, and whoever runs the room, too.
    let refused = his.ask(&topic, "chat_delete", json!({ "id": said["id"] })).await;
    assert_eq!(refused["response"]["reason"], "no_such_message");
    let rude = say(&house, &bert, &chat, "rude").await;
    let path = format!("{chat}/{}", rude["id"].as_str().unwrap());
    anna.do_it(&house, "DELETE", &path, Value::Null).await;
    let deleted = his.event("chat_deleted").await;
    assert_eq!(deleted, json!({ "room_id": topic, "ids": [rude["id"]] }));
    let own = say(&house, &bert, &chat, "oops").await;
    assert_eq!(his.ask(&topic, "chat_delete", json!({ "id": own["id"] })).await["status"], "ok");
    let history = his.ask(&topic, "chat_history", json!({})).await;
    assert_eq!(history["response"]["messages"], json!([edited]));
    // What is said twice is not taken back twice.
    assert_eq!(anna.ask(&house, "DELETE", &path, Value::Null).await.status, 404);
    // With the account goes what it has said.
    let last = say(&house, &bert, &chat, "bye").await;
    bert.do_it(&house, "DELETE", "/api/me", Value::Null).await;
    let gone = hers.until(|it| it[3] == "chat_deleted" && it[4]["ids"] == json!([last["id"]]));
    gone.await;
    assert_eq!(contents(&anna.do_it(&house, "GET", &chat, Value::Null).await), ["hello, all"]);
    house.close().await;
}

#[tokio::test]
async fn strangers_and_guests_are_heard_where_they_are_members_only() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let eve = Them::person(&house, "eve").await;
    let guest = Them::guest(&house).await;
    let (public, _) = anna.room(&house, true).await;
    let (private, code) = anna.room(&house, false).await;
    say(&house, &anna, &format!("{public}/chat"), "to who is here").await;
    say(&house, &anna, &format!("{private}/chat"), "a secret").await;
    let said = json!({ "content": "x" });
    for them in [&eve, &guest] {
        let read = them.do_it(&house, "GET", &format!("{public}/chat"), Value::Null).await;
        assert_eq!(contents(&read), ["to who is here"]);
        let refused = them.ask(&house, "POST", &format!("{public}/chat"), said.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("not_authorized")));
        for (method, path) in [("GET", "chat"), ("POST", "chat"), ("DELETE", "chat/x")] {
            let path = format!("{private}/{path}");
            let refused = them.ask(&house, method, &path, said.clone()).await;
            assert_eq!((refused.status, refused.text("error")), (404, "Room not found"), "{path}");
        }
        let mut strange = Client::of(&house, Some(&them.socket)).await;
        strange.join(&topic(&public)).await;
        for (event, payload) in [("chat_message", said.clone()), ("typing", json!({}))] {
            let refused = strange.ask(&topic(&public), event, payload).await;
            assert_eq!(refused["response"]["reason"], "not_authorized", "{event}");
        }
    }
    let nobody = ask(&house, "POST", &format!("{public}/chat"), &[], r#"{"content":"x"}"#).await;
    assert_eq!(nobody.status, 403, "{}", nobody.body);
    guest.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    say(&house, &guest, &format!("{private}/chat"), "thank you").await;
    // Whoever is sent away reads and says no more, though the channel was open.
    let mut his = Client::of(&house, Some(&guest.socket)).await;
    his.join(&topic(&private)).await;
    anna.do_it(&house, "DELETE", &format!("{private}/members/{}", guest.id), Value::Null).await;
    say(&house, &anna, &format!("{private}/chat"), "without him").await;
    his.until(|frame| frame[3] == "phx_close").await;
    assert!(!json!(his.all().await).to_string().contains("without him"));
    let refused = guest.ask(&house, "GET", &format!("{private}/chat"), Value::Null).await;
    assert_eq!(refused.status, 404);
    house.close().await;
}

#[tokio::test]
async fn what_is_said_to_everybody_is_heard_in_the_lobbies() {
    let house = house(&[("address_limit_factor", "1000"), ("admin_tokens", "root:secret")]).await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let guest = Them::guest(&house).await;
    let lobby = format!("lobby:{}", bert.id);
    let mut his = Client::of(&house, Some(&bert.socket)).await;
    his.join(&lobby).await;
    let mut visitor = Client::of(&house, None).await;
    visitor.join("lobby:anonymous").await;
    let said = say(&house, &anna, "/api/chat", "to all").await;
    assert_eq!(said["room_id"], "global");
    assert_eq!(his.event("chat_message").await, said);
    assert_eq!(visitor.event("chat_message").await, said);
    let reply = his.ask(&lobby, "chat_message", json!({ "content": "and back" })).await;
    let back = &reply["response"]["message"];
    assert_eq!(visitor.event("chat_message").await, *back);
    let read = ask(&house, "GET", "/api/chat", &[], "").await;
    assert_eq!(contents(&read), ["to all", "and back"]);
    let nobody = ask(&house, "POST", "/api/chat", &[], r#"{"content":"x"}"#).await;
    assert_eq!(nobody.status, 401);
    let refused = visitor.ask("lobby:anonymous", "chat_message", json!({ "content": "x" })).await;
    assert_eq!(refused["response"]["reason"], "unauthorized");
    let refused = guest.ask(&house, "POST", "/api/chat", json!({ "content": "x" })).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("not_for_guests")));
    let path = format!("/api/chat/{}", said["id"].as_str().unwrap());
    assert_eq!(bert.ask(&house, "DELETE", &path, Value::Null).await.status, 404);
    anna.do_it(&house, "PATCH", &path, json!({ "content": "to everybody" })).await;
    assert_eq!(his.event("chat_edited").await["content"], "to everybody");
    anna.do_it(&house, "DELETE", &path, Value::Null).await;
    assert_eq!(his.event("chat_deleted").await["ids"], json!([said["id"]]));
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_its_reason() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let (room, _) = anna.room(&house, true).await;
    let (topic, chat) = (topic(&room), format!("{room}/chat"));
    let mut hers = Client::of(&house, Some(&anna.socket)).await;
    hers.join(&topic).await;
    let long = "x".repeat(1001);
    for (event, payload, reason) in [
        ("chat_message", json!({}), "invalid_payload"),
        ("chat_message", json!({ "content": 7 }), "invalid_payload"),
        ("chat_message", json!({ "content": "x", "user_id": "y" }), "invalid_payload"),
        ("chat_message", json!("x"), "invalid_payload"),
        ("chat_message", json!(null), "invalid_payload"),
        ("chat_message", json!([["x"]]), "invalid_payload"),
        ("chat_message", json!({ "content": "  " }), "empty"),
        ("chat_message", json!({ "content": long }), "too_long"),
        ("chat_message", json!({ "content": "a\u{0}b" }), "control_characters"),
        ("chat_message", json!({ "content": "a\u{202e}b" }), "control_characters"),
        ("chat_edit", json!({ "content": "x" }), "invalid_payload"),
        ("chat_edit", json!({ "id": "x", "content": "x" }), "no_such_message"),
        ("chat_delete", json!({ "id": "../x" }), "no_such_message"),
        ("chat_delete", json!({ "id": null }), "invalid_payload"),
        ("chat_history", json!({ "limit": 0 }), "invalid_payload"),
        ("chat_history", json!({ "limit": 101 }), "invalid_payload"),
        ("chat_history", json!({ "before": "x" }), "invalid_payload"),
        ("chat_shout", json!({}), "unknown_event"),
    ] {
        let refused = hers.ask(&topic, event, payload.clone()).await;
        assert_eq!(refused["status"], "error", "{event} {payload}");
        assert_eq!(refused["response"]["reason"], reason, "{event} {payload}");
    }
    for (method, path, body, status, code) in [
        ("POST", chat.clone(), json!({}), 400, "bad_value"),
        ("POST", chat.clone(), json!({ "content": 7 }), 400, "bad_value"),
        ("POST", chat.clone(), json!({ "content": "x", "role": "x" }), 400, "unknown_key"),
        ("POST", chat.clone(), json!({ "content": " " }), 400, "empty"),
        ("POST", chat.clone(), json!({ "content": long }), 400, "too_long"),
        ("POST", chat.clone(), json!({ "content": "\u{7}" }), 400, "control_characters"),
        ("PATCH", format!("{chat}/x"), json!({ "content": "x" }), 404, "no_such_message"),
        ("DELETE", format!("{chat}/x"), Value::Null, 404, "no_such_message"),
        ("GET", format!("{chat}?limit=0"), Value::Null, 400, "bad_value"),
        ("GET", format!("{chat}?limit=x"), Value::Null, 400, "bad_value"),
        ("GET", format!("{chat}?before=x"), Value::Null, 400, "bad_value"),
        ("GET", "/api/rooms/x/chat".to_owned(), Value::Null, 404, "not_found"),
    ] {
        let refused = anna.ask(&house, method, &path, body.clone()).await;
        let said = (refused.status, refused.text("code"));
        assert_eq!(said, (status, code), "{method} {path} {body}");
        assert!(refused.body["error"].is_string());
    }
    // One speaks at a pace, wherever one speaks.
    let mut refused = Value::Null;
    for n in 0..100 {
        let body = json!({ "content": n.to_string() });
        if n % 2 == 0 {
            let answer = hers.ask(&topic, "chat_message", body).await;
            if answer["response"]["reason"] == "too_fast" {
                refused = answer["response"].clone();
                break;
            }
        } else {
            let answer = anna.ask(&house, "POST", &chat, body).await;
            if answer.status == 429 {
                assert_eq!(answer.text("code"), "too_fast");
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused = json!({ "retry_after_ms": 1 });
                break;
            }
        }
    }
    let retry_ms = refused["retry_after_ms"].as_u64().expect("it was too fast once");
    assert!((1..=1000).contains(&retry_ms), "{refused}");
    house.close().await;
}

#[tokio::test]
async fn a_room_remembers_the_last_hundred_and_pages_lead_back() {
    let house = open_house().await;
    let mut room = String::new();
    let mut said = 0;
    // Each says five before it is too fast.
    for n in 0..21 {
        let them = Them::person(&house, &format!("p{n}")).await;
        if room.is_empty() {
            room = them.room(&house, true).await.0;
        } else {
            them.do_it(&house, "POST", &format!("{room}/join"), json!({})).await;
        }
        for _ in 0..5 {
            say(&house, &them, &format!("{room}/chat"), &said.to_string()).await;
            said += 1;
        }
    }
    let mut seen: Vec<String> = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("{room}/chat?limit=30{before}");
        let page = ask(&house, "GET", &path, &[], "").await;
        let oldest = page.body["messages"][0]["id"].as_str().unwrap();
        before = format!("&before={oldest}");
        seen.splice(..0, contents(&page).into_iter().map(str::to_owned));
        if page.body["more"] == false {
            break;
        }
    }
    assert_eq!(seen, (5..105).map(|n| n.to_string()).collect::<Vec<_>>());
    house.close().await;
}

/// What is acknowledged is on the disk, edits and deletions as well.
#[tokio::test]
async fn what_was_said_outlives_a_kill() {
    let folder = Folder::new("chat");
    let server = Killable::start(&folder);
    let anna = server.person("anna").await;
    let made = server.ask(&anna, "POST", "/api/rooms", json!({})).await;
    let room = format!("/api/rooms/{}", made.body["room"]["id"].as_str().unwrap());
    let (topic, chat) = (topic(&room), format!("{room}/chat"));
    let mut hers = Client::at(server.address, Some(&anna.socket)).await;
    hers.join(&topic).await;
    let mut said = Vec::new();
    for content in ["one", "two", "three"] {
        let reply = hers.ask(&topic, "chat_message", json!({ "content": content })).await;
        assert_eq!(reply["response"]["durable"], true, "{reply}");
        said.push(reply["response"]["message"].clone());
    }
    let path = |n: usize| format!("{chat}/{}", said[n]["id"].as_str().unwrap());
    server.ask(&anna, "DELETE", &path(0), Value::Null).await;
    let edited = server.ask(&anna, "PATCH", &path(1), json!({ "content": "zwei" })).await;
    let global = server.ask(&anna, "POST", "/api/chat", json!({ "content": "to all" })).await;
    drop(server);
    let server = Killable::start(&folder);
    let read = server.ask(&anna, "GET", &chat, Value::Null).await;
    assert_eq!(read.body["messages"], json!([edited.body["message"], said[2]]));
    let read = server.ask(&anna, "GET", "/api/chat", Value::Null).await;
    assert_eq!(read.body["messages"], json!([global.body["message"]]));
    // With the room goes what was said there, for good.
    server.ask(&anna, "DELETE", &room, Value::Null).await;
    let id = global.body["message"]["id"].as_str().unwrap();
    server.ask(&anna, "DELETE", &format!("/api/chat/{id}"), Value::Null).await;
    drop(server);
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_sensocto"))
        .args(["check", "--data"])
        .arg(&folder.0)
        .output()
        .unwrap();
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("rooms: 0") && checked.contains("messages: 0"), "{checked}");
}

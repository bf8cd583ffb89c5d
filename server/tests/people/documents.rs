//! Rooms as documents, at the outer door.

use super::them::{Them, open_house};
use super::*;

async fn put(house: &House, them: &Them, method: &str, path: &str, text: &str) -> Answer {
    let headers = [&*them.bearer, "content-type: text/markdown"];
    ask(house, method, path, &headers, text).await
}

#[tokio::test]
async fn a_room_is_written_down_brought_back_and_made_anew_from_a_document() {
    let house = open_house().await;
    let anna = Them::person(&house, "anna").await;
    let bert = Them::person(&house, "bert").await;
    let cleo = Them::person(&house, "cleo").await;
    let (room, code) = anna.room(&house, false).await;
    let joined = json!({ "code": code });
    bert.do_it(&house, "POST", "/api/rooms/join", joined.clone()).await;
    cleo.do_it(&house, "POST", "/api/rooms/join", joined).await;
    let promote = format!("{room}/members/{}/promote", bert.id);
    anna.do_it(&house, "POST", &promote, json!({})).await;
    anna.do_it(&house, "PUT", &format!("{room}/sensors/anna:ecg"), Value::Null).await;
    let path = format!("{room}/document");
    let written = anna.do_it(&house, "GET", &path, Value::Null).await;
    assert_eq!(written.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert!(written.header("content-disposition").unwrap().ends_with(".md\""));
    // A member does not run the room; a stranger does not know of it; a program reads the type.
    assert_eq!(cleo.ask(&house, "GET", &path, Value::Null).await.status, 403);
    let eve = Them::person(&house, "eve").await;
    assert_eq!(eve.ask(&house, "GET", &path, Value::Null).await.status, 404);
    assert_eq!(put(&house, &eve, "PUT", &path, &written.text).await.status, 404);
    assert_eq!(anna.ask(&house, "PUT", &path, json!({})).await.status, 415);

    // As it was written it is taken: what is off stays off, and notes come with it.
    let rules = "<!-- PROTECTED:rules -->Nüchtern ☃<!-- /PROTECTED:rules -->";
    let edited = written.text.replace("calls_enabled: true", "calls_enabled: false")
        + &format!("\n# Chör\n\n{rules}\n");
    let back = put(&house, &anna, "PUT", &path, &edited).await;
    assert_eq!((back.status, &back.body["room"]["calls_enabled"]), (200, &json!(false)));
    // The same again was written of a room that is not as it was.
    let again = put(&house, &anna, "PUT", &path, &edited).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("changed_meanwhile")));

    // An admin changes what is free to change, and neither who is there nor what is protected.
    let now = bert.do_it(&house, "GET", &path, Value::Null).await.text;
    assert!(now.ends_with(&format!("---\n\n# Chör\n\n{rules}\n")), "{now}");
    let forbidden = async |them: &Them, text: &str, code: &str| {
        let answer = put(&house, them, "PUT", &path, text).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!(code)), "{text}");
    };
    forbidden(&bert, &now.replace("Nüchtern", "Egal"), "protected_part").await;
    forbidden(&bert, &now.replace(rules, ""), "protected_part").await;
    let line = now.lines().find(|line| line.contains(&cleo.id)).expect("she is listed");
    let role = format!("{line}\n      role: member");
    assert!(now.contains(&role), "{now}");
    let grabbed = now.replace(&role, &role.replace("member", "admin"));
    forbidden(&bert, &grabbed, "invalid_signature").await;
    forbidden(&anna, &grabbed, "invalid_signature").await;
    let free = put(&house, &bert, "PUT", &path, &now.replace("# Chör", "# Choir")).await;
    assert_eq!(free.status, 200, "{}", free.body);

    // Whoever left is brought back by the owner, as it was signed; whoever was sent away is not.
    let whole = anna.do_it(&house, "GET", &path, Value::Null).await.text;
    let any_version = |text: &str| {
        let version = text.lines().find(|line| line.starts_with("version: ")).unwrap();
        text.replace(&format!("{version}\n"), "")
    };
    let whole = any_version(&whole);
    cleo.do_it(&house, "POST", &format!("{room}/leave"), json!({})).await;
    forbidden(&bert, &whole, "not_authorized").await;
    assert_eq!(put(&house, &anna, "PUT", &path, &whole).await.status, 200);
    let role_of = async |them: &Them| {
        let members = anna.do_it(&house, "GET", &format!("{room}/members"), Value::Null).await;
        let members = members.body["members"].as_array().unwrap().clone();
        members.iter().find(|it| it["user_id"] == *them.id).map(|it| it["role"].clone())
    };
    assert_eq!(role_of(&cleo).await, Some(json!("member")));
    anna.do_it(&house, "DELETE", &format!("{room}/members/{}", cleo.id), Value::Null).await;
    assert_eq!(put(&house, &anna, "PUT", &path, &whole).await.status, 200);
    assert_eq!(role_of(&cleo).await, Some(json!("banned")));
    let renewed = anna.do_it(&house, "GET", &format!("{room}/code"), Value::Null).await;
    assert_ne!(renewed.text("join_code"), code, "an old code is not brought back");

    // What an admin signed who is one no more holds no more.
    let theirs = bert.do_it(&house, "GET", &path, Value::Null).await.text;
    let demote = format!("{room}/members/{}/demote", bert.id);
    anna.do_it(&house, "POST", &demote, json!({})).await;
    forbidden(&anna, &any_version(&theirs), "unauthorized_signer").await;
    assert_eq!(role_of(&bert).await, Some(json!("member")), "and nobody is an admin by it");

    // Anybody makes a room of their own from it: another id, another code, and nobody else in it.
    let made = put(&house, &eve, "POST", "/api/rooms/import", &whole).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let theirs = &made.body["room"];
    assert_eq!((&theirs["owner_id"], &theirs["member_count"]), (&json!(eve.id), &json!(1)));
    assert_eq!((&theirs["name"], &theirs["calls_enabled"]), (&json!("Chör"), &json!(false)));
    assert!(!whole.contains(made.text("join_code")));
    let copy = format!("/api/rooms/{}/document", theirs["id"].as_str().unwrap());
    let copy = eve.do_it(&house, "GET", &copy, Value::Null).await.text;
    assert!(copy.ends_with(&format!("---\n\n# Choir\n\n{rules}\n")), "{copy}");
    assert!(copy.contains("sensors:\n    - \"anna:ecg\"\n"), "{copy}");
    let guest = Them::guest(&house).await;
    assert_eq!(put(&house, &guest, "POST", "/api/rooms/import", &whole).await.status, 403);
    for (text, code) in [
        ("# only words", "bad_value"),
        ("---\n- a\n---\n", "invalid_yaml_structure"),
        ("---\nid: [\n---\n", "yaml_parse_error"),
        ("---\nname: x\nking: y\n---\n", "yaml_parse_error"),
        ("---\nid: x\n---\n", "bad_value"),
        ("---\nname: x\n---\n<!-- PROTECTED:a -->", "unclosed_part"),
    ] {
        let answer = put(&house, &eve, "POST", "/api/rooms/import", text).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(code)), "{text}");
    }
    let much = "x".repeat(300 * 1024);
    let answer = put(&house, &eve, "POST", "/api/rooms/import", &much).await;
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("body_too_large")));
    house.close().await;
}

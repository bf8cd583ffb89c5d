//! Every event of every channel, by everybody, with what no client should send: each is answered by a
//! reason that is in the documents, changes nothing, is heard by nobody else, and the channel goes on.
//! What devices say is in `device_events.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use super::looks::looks;
use super::them::{Client, Them, has_value, join_words, measure, topic};
use super::*;

/// The reasons that `docs/wire.md` lists.
pub(crate) fn reasons() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, list) = text.split_once("## 4. Reasons").expect("the list of reasons");
    let list = list.split("\n## ").next().unwrap_or_default();
    let rows = list.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// What is no object.
pub(crate) fn no_objects() -> Vec<Value> {
    vec![json!(null), json!([]), json!(["x", "y"]), json!(7), json!(""), json!("x"), json!(true)]
}

/// Something wrong that is said, and the reason that is heard.
pub(crate) type Wrong = (Value, &'static str);

/// These, and all that is no object, with one reason.
pub(crate) fn all(reason: &'static str, more: Vec<Value>) -> Vec<Wrong> {
    no_objects().into_iter().chain(more).map(|payload| (payload, reason)).collect()
}

/// The answers to these payloads of one event, in their order: what was not answered before what was
/// asked next is null.
pub(crate) async fn answers(
    client: &mut Client,
    topic: &str,
    event: &str,
    payloads: impl Iterator<Item = &Value>,
) -> Vec<Value> {
    let mut references = Vec::new();
    for payload in payloads {
        references.push(client.send(topic, event, payload).await);
    }
    let heard = client.all().await;
    let is_of = |it: &Value, reference: &str| it[3] == "phx_reply" && it[1] == *reference;
    let reply = |reference: &String| heard.iter().find(|it| is_of(it, reference));
    references.iter().map(|it| reply(it).map_or(Value::Null, |frame| frame[4].clone())).collect()
}

/// Says all of it, and hears these reasons.
pub(crate) async fn is_told(
    client: &mut Client,
    topic: &str,
    event: &str,
    said: &[Wrong],
    whose: &str,
    known: &BTreeSet<String>,
) {
    let heard = answers(client, topic, event, said.iter().map(|(payload, _)| payload)).await;
    for ((payload, reason), reply) in said.iter().zip(heard) {
        let what = || format!("{whose} {topic} {event} {}: {reply}", short(payload));
        assert_eq!(
            (&reply["status"], &reply["response"]["reason"]),
            (&json!("error"), &json!(reason)),
            "{}",
            what()
        );
        assert!(known.contains(*reason), "it is not in docs/wire.md: {}", what());
    }
}

fn short(payload: &Value) -> String {
    payload.to_string().chars().take(200).collect()
}

/// Where something is said: what comes of joining, and of words that may be said by who may speak.
struct Place {
    topic: String,
    kind: Kind,
    joins: Result<(), &'static str>,
    speaks: Result<(), &'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Room,
    Lobby,
    Discovery,
    Viewer,
}

impl Place {
    /// What is no join here, whoever says it.
    fn no_joins(&self) -> Vec<Wrong> {
        // Nothing at all is taken for `{}`.
        let mut wrong = all("invalid_payload", vec![]);
        wrong.retain(|(payload, _)| !payload.is_null());
        wrong.extend(match self.kind {
            Kind::Room => no_modes(),
            Kind::Viewer => {
                let forms = [json!("xml"), json!(7), json!(null)];
                let wrong = forms.map(|form| (json!({ "form": form }), "invalid_payload"));
                let mut wrong = wrong.to_vec();
                wrong.push((json!({ "form": "binary", "version": 2 }), "unsupported_version"));
                wrong
            }
            Kind::Lobby | Kind::Discovery => vec![],
        });
        wrong
    }

    /// Every event, with what is wrong with it.
    fn wrong(&self) -> Vec<(&'static str, Vec<Wrong>)> {
        let unknown = |event| (event, all("unknown_event", vec![json!({}), json!({ "x": 1 })]));
        let mut wrong = vec![
            unknown("shout"),
            unknown("phx_nonsense"),
            unknown("sensors_changed"),
            unknown("measurement"),
            unknown(""),
        ];
        match self.kind {
            Kind::Room => {
                let mut modes = all("invalid_mode", vec![json!({}), json!({ "mode": null })]);
                modes.extend(no_modes());
                modes.push((json!({ "mode": "whiteboard" }), "mode_is_off"));
                wrong.push(("set_mode", modes));
                wrong.extend(self.talk());
            }
            Kind::Lobby => {
                wrong.push(unknown("set_mode"));
                wrong.extend(self.talk());
            }
            Kind::Discovery => wrong.extend(["set_mode", "chat_message"].map(unknown)),
            Kind::Viewer => wrong.extend(looks()),
        }
        wrong
    }

    fn talk(&self) -> Vec<(&'static str, Vec<Wrong>)> {
        // Whoever may not speak here hears that, whatever they would have said.
        let spoken = |reason: &'static str| self.speaks.err().unwrap_or(reason);
        let invalid = |more| all("invalid_payload", more);
        let no_id = "0".repeat(32);
        let mut said = invalid(vec![
            json!({}),
            json!({ "content": 7 }),
            json!({ "content": null }),
            json!({ "content": ["x"] }),
            json!({ "content": "x", "more": 1 }),
        ]);
        said.extend([
            (json!({ "content": "" }), spoken("empty")),
            (json!({ "content": " \n\t" }), spoken("empty")),
            (json!({ "content": "x".repeat(1001) }), spoken("too_long")),
            (json!({ "content": "x".repeat(100_000) }), spoken("too_long")),
            (json!({ "content": "a\u{0}b" }), spoken("control_characters")),
            (json!({ "content": "a\u{202e}b" }), spoken("control_characters")),
        ]);
        let mut edited = invalid(vec![
            json!({}),
            json!({ "id": no_id }),
            json!({ "content": "x" }),
            json!({ "id": 7, "content": "x" }),
            json!({ "id": no_id, "content": "x", "more": 1 }),
        ]);
        edited.extend([
            (json!({ "id": no_id, "content": "" }), spoken("empty")),
            (json!({ "id": no_id, "content": "x" }), spoken("no_such_message")),
            (json!({ "id": "x", "content": "x" }), spoken("no_such_message")),
        ]);
        let mut deleted = invalid(vec![
            json!({}),
            json!({ "id": 7 }),
            json!({ "id": null }),
            json!({ "id": no_id, "more": 1 }),
        ]);
        let none = [json!(""), json!("x"), json!(no_id), json!("x".repeat(10_000))];
        deleted.extend(none.map(|id| (json!({ "id": id }), "no_such_message")));
        let pages = vec![
            json!({ "limit": 0 }),
            json!({ "limit": 101 }),
            json!({ "limit": -1 }),
            json!({ "limit": 1.5 }),
            json!({ "limit": "5" }),
            json!({ "before": 7 }),
            json!({ "before": "x" }),
            json!({ "more": 1 }),
        ];
        vec![
            ("chat_message", said),
            ("chat_edit", edited),
            ("chat_delete", deleted),
            ("chat_history", invalid(pages)),
            ("typing", invalid(vec![json!({ "more": 1 })])),
        ]
    }
}

fn no_modes() -> Vec<Wrong> {
    let long = "x".repeat(10_000);
    let modes = [json!("dance"), json!(""), json!(long), json!(7), json!([])];
    modes.map(|mode| (json!({ "mode": mode }), "invalid_mode")).to_vec()
}

/// A house with a private and a public room, and everybody that there is to them.
struct Hall {
    _folder: Folder,
    house: House,
    owner: Them,
    closed: String,
    open: String,
    viewer: String,
    /// Who is in the private room comes last.
    roles: Vec<(&'static str, Option<Them>)>,
}

async fn hall(mode: &str) -> Hall {
    let folder = Folder::new(&format!("events-{mode}"));
    let settings = [
        ("auth", mode),
        ("registration", "true"),
        ("guests", "true"),
        ("viewer_tokens", "desk:secret"),
        ("data", folder.0.to_str().unwrap()),
        ("address_limit_factor", "1000"),
    ];
    let house = house(&settings).await;
    let root = Them::root(&house, &folder).await;
    let owner = Them::person(&house, "owner").await;
    let admin = Them::person(&house, "admin").await;
    let member = Them::person(&house, "member").await;
    let banned = Them::person(&house, "banned").await;
    let stranger = Them::person(&house, "stranger").await;
    let guest = Them::guest(&house).await;
    let (open, _) = owner.room(&house, true).await;
    let (closed, code) = owner.room(&house, false).await;
    for them in [&admin, &member, &banned] {
        them.do_it(&house, "POST", "/api/rooms/join", json!({ "code": code })).await;
    }
    for them in [&admin, &member] {
        them.do_it(&house, "POST", &format!("{open}/join"), json!({})).await;
    }
    for room in [&open, &closed] {
        let path = format!("{room}/members/{}/promote", admin.id);
        owner.do_it(&house, "POST", &path, json!({})).await;
    }
    let path = format!("{closed}/members/{}", banned.id);
    owner.do_it(&house, "DELETE", &path, Value::Null).await;
    let bearer = ["authorization: Bearer secret"];
    let minted = ask(&house, "POST", "/api/viewers", &bearer, r#"{"sensors":"all"}"#).await;
    let viewer = minted.text("topic").to_owned();
    let again = Them::of(&sign_in(&house, "owner@example.org", PASSWORD).await);
    let roles = vec![
        (if mode == "strict" { "nobody" } else { "visitor" }, None),
        ("guest", Some(guest)),
        ("stranger", Some(stranger)),
        ("banned", Some(banned)),
        ("administrator", Some(root)),
        ("member", Some(member)),
        ("admin", Some(admin)),
        ("owner", Some(again)),
    ];
    Hall { _folder: folder, house, owner, closed, open, viewer, roles }
}

impl Hall {
    /// The channels of one of them, as `docs/rooms.md` has it who may.
    fn places(&self, role: &str, them: Option<&Them>) -> Vec<Place> {
        let is_in = ["member", "admin", "owner"].contains(&role);
        let unless = |refused: bool, why: &'static str| if refused { Err(why) } else { Ok(()) };
        let is_nobody = role == "nobody";
        let in_room = unless(!is_in, "not_authorized");
        let to_all = match role {
            "visitor" => Err("unauthorized"),
            "guest" => Err("not_for_guests"),
            _ => Ok(()),
        };
        let stays_out = !is_in && role != "administrator";
        let lobby = format!("lobby:{}", them.map_or("anonymous", |them| &*them.id));
        let known = unless(is_nobody, "unauthorized");
        let place = |topic, kind, joins, speaks| Place { topic, kind, joins, speaks };
        vec![
            place(topic(&self.closed), Kind::Room, unless(stays_out, "unauthorized"), in_room),
            place(topic(&self.open), Kind::Room, known, in_room),
            place(lobby, Kind::Lobby, known, to_all),
            place("discovery:sensors".to_owned(), Kind::Discovery, known, Ok(())),
            // Whoever has a viewer's token may look, whoever they are.
            place(self.viewer.clone(), Kind::Viewer, Ok(()), Ok(())),
        ]
    }

    /// All that could have been changed.
    async fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        for room in [&self.closed, &self.open] {
            for part in ["document", "members"] {
                let path = format!("{room}/{part}");
                state.push(self.owner.do_it(&self.house, "GET", &path, Value::Null).await.text);
            }
        }
        state
    }
}

#[tokio::test]
async fn whatever_is_said_wrong_by_whomever_is_answered_by_a_reason_and_changes_nothing() {
    let known = reasons();
    for mode in ["dev", "strict"] {
        let hall = hall(mode).await;
        let house = &hall.house;
        let own_lobby = format!("lobby:{}", hall.owner.id);
        let mut witness = Client::of(house, Some(&hall.owner.socket)).await;
        for topic in [&topic(&hall.closed), &topic(&hall.open), &own_lobby] {
            witness.join(topic).await;
        }
        witness.all().await;
        let token = if mode == "strict" { hall.owner.access() } else { "missing" };
        let mut device = Client::of(house, None).await;
        device.join_with("sensocto:sensor:belt", join_words("belt", token)).await;
        let before = hall.state().await;
        let mut heard = Vec::new();
        // Where, and what was said well.
        let mut said: Vec<(String, String)> = Vec::new();
        for (at, (role, them)) in hall.roles.iter().enumerate() {
            let whose = format!("{mode} {role}");
            for place in hall.places(role, them.as_ref()) {
                let Place { topic, kind, joins, speaks } = &place;
                let socket = them.as_ref().map(|them| &*them.socket);
                let client = &mut Client::of(house, socket).await;
                for (event, wrong) in place.wrong() {
                    let outside = [(wrong[0].0.clone(), "unmatched topic")];
                    is_told(client, topic, event, &outside, &whose, &known).await;
                }
                is_told(client, topic, "phx_join", &place.no_joins(), &whose, &known).await;
                if let Err(reason) = *joins {
                    let refused = [(json!({}), reason)];
                    is_told(client, topic, "phx_join", &refused, &whose, &known).await;
                    let outside = [(json!({}), "unmatched topic")];
                    is_told(client, topic, "ping", &outside, &whose, &known).await;
                    continue;
                }
                client.join(topic).await;
                for (event, wrong) in place.wrong() {
                    is_told(client, topic, event, &wrong, &whose, &known).await;
                }
                // And it goes on.
                let pong = client.ask(topic, "ping", json!([{ "still": "here" }])).await;
                assert_eq!(pong["response"], json!([{ "still": "here" }]), "{whose} {topic}");
                match kind {
                    Kind::Room | Kind::Lobby if speaks.is_ok() => {
                        let content = format!("{role} is here");
                        let told = client.ask(topic, "chat_message", json!({ "content": content }));
                        assert_eq!(told.await["status"], "ok", "{whose} {topic}");
                        let topic = if *kind == Kind::Lobby { &own_lobby } else { topic };
                        said.push((topic.clone(), content));
                    }
                    Kind::Viewer => {
                        let told = client.ask(topic, "set_quality", json!({ "quality": "high" }));
                        assert_eq!(told.await["status"], "ok", "{whose}");
                        let value = 60 + at as u32;
                        measure(&mut device, "belt", value).await;
                        client.until(|frame| has_value(&frame[4], value)).await;
                    }
                    _ => {}
                }
            }
            heard.extend(witness.all().await);
        }
        let (last_topic, last) = said.last().unwrap().clone();
        let is_last = |it: &Value| it[2] == *last_topic && it[4]["content"] == *last;
        if !heard.iter().any(is_last) {
            heard.push(witness.until(is_last).await);
            heard.extend(witness.all().await);
        }
        let talk = |frame: &Value| {
            let event = frame[3].as_str().unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match event {
                // That is of those who came and went.
                "presence_diff" | "phx_reply" => None,
                "chat_message" => Some((text(&frame[2]), text(&frame[4]["content"]))),
                _ => panic!("{mode}: nobody did that: {frame}"),
            }
        };
        let mut talk: Vec<(String, String)> = heard.iter().filter_map(talk).collect();
        talk.sort();
        said.sort();
        assert_eq!(talk, said, "{mode}");
        assert_eq!(hall.state().await, before, "{mode}");
        hall.house.close().await;
    }
}

#[tokio::test]
async fn topics_that_are_none_are_refused_to_everybody() {
    let known = reasons();
    let hall = hall("dev").await;
    let long = format!("room:{}", "x".repeat(300));
    for (role, them) in &hall.roles {
        let client = &mut Client::of(&hall.house, them.as_ref().map(|it| &*it.socket)).await;
        for (topic, reason) in [
            ("", "unmatched topic"),
            ("x", "unmatched topic"),
            ("call:lobby", "unmatched topic"),
            ("hydration:room:*", "unmatched topic"),
            ("sensor_data:x", "unmatched topic"),
            ("room:", "invalid room id"),
            ("room:42", "invalid room id"),
            ("room:01970000-0000-7000-8000-000000000000", "unauthorized"),
            (&*long, "name_too_long"),
            ("lobby:", "unauthorized"),
            ("lobby:01970000-0000-7000-8000-000000000000", "unauthorized"),
            ("discovery:rooms", "invalid_topic"),
            ("viewer:nobody", "invalid_topic"),
            ("viewer:data:", "unauthorized"),
            ("viewer:data:x", "unauthorized"),
            ("sensocto:x", "join crashed"),
        ] {
            is_told(client, topic, "phx_join", &[(json!({}), reason)], role, &known).await;
            is_told(client, topic, "ping", &[(json!({}), "unmatched topic")], role, &known).await;
        }
        // Another's lobby is not theirs, whose ever it is.
        let other = format!("lobby:{}", hall.owner.id);
        let reply = client.ask(&other, "phx_join", json!({})).await;
        assert_eq!(reply["status"] == "ok", *role == "owner", "{role} {reply}");
    }
    hall.house.close().await;
}

/// What is in the list is said somewhere.
#[test]
fn every_reason_in_the_list_is_one_that_can_be_heard() {
    fn gather(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, all);
            } else if path.extension().is_some_and(|it| it == "rs") {
                all.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    for folder in ["src", "../components/src"] {
        gather(&root.join(folder), &mut source);
    }
    let reasons = reasons();
    assert!(reasons.len() > 40, "{reasons:?}");
    let unsaid: Vec<&String> =
        reasons.iter().filter(|it| !source.contains(&format!("\"{it}\""))).collect();
    assert_eq!(unsaid, Vec::<&String>::new());
}

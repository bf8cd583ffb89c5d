use std::sync::atomic::AtomicU64;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use components::command::{Inputs, Target};
use components::id::Handle;
use components::viewer::Quality;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::clock::Now;
use crate::intake::IntakeLimits;
use crate::outbox::outbox;
use crate::store::{Expect, Place, StoreConfig, sections};

/// A desk on made-up time.
struct Office {
    desk: Arc<ViewerDesk>,
    intake: Arc<Intake>,
    ms: Arc<AtomicU64>,
    kicks: Arc<Mutex<Vec<Kicked>>>,
}

impl Office {
    fn new(count_max: usize) -> Self {
        Self::with_limits(count_max, IntakeLimits::default())
    }

    fn with_limits(count_max: usize, limits: IntakeLimits) -> Self {
        Self::after(count_max, limits, None)
    }

    /// The desk of another server, on the store of an earlier one.
    fn after(count_max: usize, limits: IntakeLimits, store: Option<Store>) -> Self {
        let office = Self::too_early(count_max, limits, store);
        while office.desk.hydrate().is_err() {
            std::thread::yield_now();
        }
        office
    }

    /// The same, before it has read what that one has left.
    fn too_early(count_max: usize, limits: IntakeLimits, store: Option<Store>) -> Self {
        let ms = Arc::new(AtomicU64::new(0));
        let time = Arc::clone(&ms);
        let clock = Clock::made_up(move || {
            let ms = time.load(Ordering::Relaxed);
            Now { engine: EngineTime::from_millis(ms), unix_ms: 1000 + ms as i64 }
        });
        let intake = Arc::new(Intake::new(limits));
        let store = store.unwrap_or_else(|| {
            let store = StoreConfig::new(Place::Memory, sections(), clock.clone());
            Store::start(store).unwrap()
        });
        let desk = ViewerDesk::new(Arc::clone(&intake), clock, count_max, store);
        Self { desk, intake, ms, kicks: Arc::default() }
    }

    fn pass(&self, seconds: u64) {
        self.ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    fn mint(&self, body: &str) -> Box<str> {
        self.try_mint(words::read_wishes(body).unwrap()).unwrap()
    }

    /// Nobody waits for what is not kept.
    fn try_mint(&self, wishes: Wishes) -> Result<Box<str>, DeskError> {
        let minted = self.desk.mint(wishes, None).now_or_never().expect("it waits for nobody");
        minted.map(|(token, _)| token)
    }

    fn address(&self, token: &str, version: Vsn) -> SeatAddress {
        let kicks = Arc::clone(&self.kicks);
        SeatAddress {
            outbox: outbox(&std::sync::Arc::default()).0,
            topic: format!("viewer:data:{token}").into(),
            join_ref: Some(json_raw("\"3\"")),
            version,
            kick: Box::new(move |why| lock(&kicks).push(why)),
        }
    }

    fn join(&self, token: &str, params: &str) -> Result<ViewerSeat, Value> {
        self.desk
            .join(token, &json_raw(params), self.address(token, Vsn::V2))
            .map(|(_, seat)| seat.begin())
            .map_err(|error| serde_json::from_str(error.get()).unwrap())
    }

    fn commands(&self) -> Vec<Command> {
        let mut inputs = Inputs::default();
        self.intake.take(&mut inputs);
        inputs.commands
    }

    fn kicks(&self) -> Vec<Kicked> {
        std::mem::take(&mut *lock(&self.kicks))
    }
}

fn json_raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap()
}

fn viewer(slot: u32, generation: u32) -> ViewerId {
    ViewerId(Handle { slot, generation })
}

fn answer(reply: EventReply) -> (&'static str, Value) {
    let parse = |raw: Box<RawValue>| serde_json::from_str(raw.get()).unwrap();
    match reply {
        EventReply::Silent => ("silent", Value::Null),
        EventReply::Ok(raw) => ("ok", parse(raw)),
        EventReply::WhenDone(raw) => ("when done", parse(raw)),
        EventReply::Error(raw) => ("error", parse(raw)),
    }
}

#[test]
fn a_join_opens_a_viewer_with_what_was_asked_for() {
    let office = Office::new(4);
    let token = office.mint(r#"{"sensors":["a"],"quality":"low","visible":["a"]}"#);
    let params = json_raw(r#"{"form":"binary","version":1}"#);
    let (reply, seat) = office.desk.join(&token, &params, office.address(&token, Vsn::V2)).unwrap();
    let reply: Value = serde_json::from_str(reply.get()).unwrap();
    assert_eq!(reply, json!({"form": "binary", "version": 1, "now": 1000}));
    let commands = office.commands();
    let [
        Command::OpenViewer {
            viewer: opened,
            sensors: SensorSet::Ids(ids),
            quality: QualityChoice::Fixed(Quality::Low),
        },
        Command::Attend { viewer: attends, attention },
    ] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!((*opened, *attends), (viewer(0, 0), viewer(0, 0)));
    assert_eq!(ids[..], ["a".into()]);
    assert_eq!(attention.visible, Some(vec!["a".into()]));
    assert_eq!(office.desk.open_count(), 1);
    let arrived = office.desk.take_arrivals();
    assert!(!arrived[0].is_begun(), "nothing is sent before the reply is");
    let seat = seat.begin();
    assert!(arrived[0].is_begun());
    let Form::Binary { head } = &arrived[0].form else { panic!() };
    assert!(head.starts_with(b"\x00\x01\x37\x053viewer:data:"));
    assert!(head.ends_with(b"frame"));

    drop(seat);
    assert!(matches!(office.commands()[..], [Command::CloseViewer { .. }]));
    assert_eq!(office.desk.open_count(), 0);
}

#[test]
fn joins_are_refused_with_their_reason() {
    let office = Office::new(4);
    let token = office.mint("{}");
    let refused = |token: &str, params: &str| office.join(token, params).unwrap_err();
    assert_eq!(refused("nobody", "{}"), json!({"reason": "unauthorized"}));
    assert_eq!(
        refused(&token, r#"{"form":"binary","version":2}"#),
        json!({"reason": "unsupported_version", "versions": [1]})
    );
    assert_eq!(refused(&token, "[]")["reason"], "invalid_payload");
    let binary = json_raw(r#"{"form":"binary","version":1}"#);
    let v1 = office.desk.join(&token, &binary, office.address(&token, Vsn::V1)).unwrap_err();
    assert!(v1.get().contains("vsn=2.0.0"));
    assert!(office.commands().is_empty());
    assert_eq!(office.desk.open_count(), 0);
}

#[test]
fn a_token_is_good_for_an_hour_or_as_long_as_its_channel() {
    let office = Office::new(4);
    let (late, used) = (office.mint("{}"), office.mint("{}"));
    let seat = office.join(&used, "{}").unwrap();
    office.pass(TOKEN_SECONDS);
    assert_eq!(office.join(&late, "{}").unwrap_err(), json!({"reason": "unauthorized"}));
    drop(seat);
    office.pass(TOKEN_SECONDS - 1);
    drop(office.join(&used, "{}").unwrap());
    office.pass(TOKEN_SECONDS);
    assert!(office.join(&used, "{}").is_err());
}

#[test]
fn a_second_join_takes_over_as_a_viewer_of_its_own() {
    let office = Office::new(4);
    let token = office.mint("{}");
    let mut older = office.join(&token, "{}").unwrap();
    let mut newer = office.join(&token, "{}").unwrap();
    assert_eq!(office.kicks(), [Kicked::TakenOver]);
    assert_eq!((older.viewer(), newer.viewer()), (viewer(0, 0), viewer(1, 0)));
    office.commands();
    let hide = json_raw(r#"{"hidden":true}"#);
    assert_eq!(answer(older.event("attention", &hide)).0, "silent", "it has no say any more");
    assert!(office.commands().is_empty());
    drop(older);
    assert!(office.commands().is_empty(), "its farewell was said at the taking over");
    assert_eq!(answer(newer.event("attention", &hide)), ("when done", json!({})));
    assert_eq!(office.commands().len(), 1);
    assert_eq!(office.desk.open_count(), 1);
    // Its handle is free only when the engine says so.
    office.desk.viewer_closed(viewer(0, 0));
    drop(newer);
    assert_eq!(office.join(&token, "{}").unwrap().viewer(), viewer(0, 1));
}

#[test]
fn a_viewer_says_what_it_wants() {
    let office = Office::new(4);
    let token = office.mint(r#"{"sensors":"all"}"#);
    let mut seat = office.join(&token, "{}").unwrap();
    office.commands();
    let mut say = |event: &str, payload: &str| {
        let reply = answer(seat.event(event, &json_raw(payload)));
        (reply, office.commands())
    };
    let (reply, commands) = say("attention", r#"{"visible":["a"],"hovered":["b"]}"#);
    assert_eq!(reply, ("when done", json!({})));
    let [Command::Attend { attention, .. }] = &commands[..] else { panic!("{commands:?}") };
    let hovered = Target { sensor_id: "b".into(), attribute_id: None };
    assert_eq!(attention.hovered, std::slice::from_ref(&hovered));

    let (reply, commands) = say("set_visible_sensors", r#"{"sensor_ids":["c"]}"#);
    assert_eq!(reply, ("silent", Value::Null));
    let [Command::Attend { attention, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((&attention.visible, &attention.hovered), (&Some(vec!["c".into()]), &vec![hovered]));

    let (reply, commands) = say("set_sensors", r#"{"sensors":["a"]}"#);
    assert_eq!(reply, ("ok", json!({})));
    assert!(matches!(&commands[..], [Command::SetSensors { sensors: SensorSet::Ids(_), .. }]));
    let (_, commands) = say("set_quality", r#"{"quality":"minimal"}"#);
    assert!(matches!(
        &commands[..],
        [Command::SetQuality { quality: QualityChoice::Fixed(Quality::Minimal), .. }]
    ));
    for (name, best) in [
        ("auto-medium", Quality::Medium),
        ("auto-low", Quality::Low),
        ("auto-minimal", Quality::Minimal),
    ] {
        let (_, commands) = say("set_quality", &json!({ "quality": name }).to_string());
        let [Command::SetQuality { quality, .. }] = &commands[..] else { panic!("{name}") };
        assert_eq!((*quality, quality.name()), (QualityChoice::AutoUpTo(best), name));
    }

    let (reply, commands) = say("ping", r#"{"t":[1]}"#);
    assert_eq!((reply, commands.len()), (("ok", json!({"t": [1]})), 0));
    assert_eq!(say("shout", "{}").0, ("error", json!({"reason": "unknown_event"})));
    let (reply, commands) = say("set_quality", r#"{"quality":"best"}"#);
    assert_eq!((reply.0, &reply.1["reason"]), ("error", &json!("invalid_payload")));
    assert!(reply.1["detail"].as_str().unwrap().starts_with("quality: "));
    assert!(commands.is_empty());
}

#[test]
fn a_sign_of_life_is_passed_on_once_a_second() {
    let office = Office::new(4);
    let token = office.mint("{}");
    let mut seat = office.join(&token, "{}").unwrap();
    office.commands();
    seat.alive();
    assert!(office.commands().is_empty());
    office.pass(1);
    seat.alive();
    seat.alive();
    assert!(matches!(office.commands()[..], [Command::Renew { .. }]));
}

#[test]
fn a_full_intake_refuses_and_loses_nothing() {
    let limits = IntakeLimits { commands: 1, ..IntakeLimits::default() };
    let office = Office::with_limits(4, limits);
    let token = office.mint("{}");
    assert_eq!(office.join(&token, "{}").unwrap_err(), json!({"reason": "busy"}));
    assert!(office.commands().is_empty(), "there was room for half of it: nothing is said");
    office.intake.command(Command::Renew { viewer: viewer(9, 9) }).unwrap();
    assert_eq!(office.join(&token, "{}").unwrap_err(), json!({"reason": "busy"}));
    assert_eq!(office.commands().len(), 1);
    assert_eq!(office.desk.open_count(), 0);
}

#[test]
fn no_more_are_minted_than_may_be_out() {
    let office = Office::new(2);
    let tokens = [office.mint("{}"), office.mint("{}")];
    let seats = tokens.each_ref().map(|token| office.join(token, "{}").unwrap());
    assert_eq!(office.try_mint(Wishes::default()), Err(DeskError::TooMany));
    office.desk.delete(&tokens[0]).unwrap();
    office.mint("{}");
    drop(seats);
    office.pass(TOKEN_SECONDS);
    office.mint("{}");
    assert_eq!(office.desk.minted_count(), 1, "those that nobody holds open have gone");
}

/// One client that minted four thousand tokens and joined none kept everybody out for an hour.
#[test]
fn tokens_that_nobody_joined_make_room_and_those_that_somebody_did_stay() {
    let office = Office::new(3);
    let joined = office.mint("{}");
    drop(office.join(&joined, "{}").unwrap());
    let hoarded = office.mint("{}");
    office.pass(1);
    let minted: Vec<_> = (0..10).map(|_| office.mint("{}")).collect();
    assert_eq!(office.desk.minted_count(), 3);
    assert_eq!(office.desk.forgotten_count(), 9);
    assert_eq!(office.join(&hoarded, "{}").unwrap_err(), json!({"reason": "unauthorized"}));
    office.join(&minted[9], "{}").unwrap();
    office.join(&joined, "{}").unwrap();
}

#[test]
fn ids_are_bounded_in_all() {
    let office = Office::new(100);
    let ids: Vec<String> = (0..10_000).map(|i| format!("{i:0>128}")).collect();
    let wishes = || words::read_wishes(&json!({"sensors": ids}).to_string()).unwrap();
    let mut minted = Vec::new();
    let mut seats = Vec::new();
    while let Ok(token) = office.try_mint(wishes()) {
        seats.push(office.join(&token, "{}").unwrap());
        minted.push(token);
    }
    assert_eq!(minted.len(), ID_BYTES_MAX / (10_000 * (128 + ID_OVERHEAD_BYTES)));
    let other = office.mint("{}");
    assert_eq!(office.desk.change(&other, wishes()), Err(DeskError::TooMany));
    office.desk.change(&minted[0], words::read_wishes(r#"{"sensors":"all"}"#).unwrap()).unwrap();
    office.desk.change(&other, wishes()).unwrap();
    for token in minted.iter().chain([&other]) {
        office.desk.delete(token).unwrap();
    }
    assert_eq!(lock(&office.desk.state).id_bytes, 0);
}

async fn ask(
    office: &Office,
    method: &str,
    path: &str,
    body: &str,
    bearer: &str,
) -> (StatusCode, Value) {
    let authorise: api::Authorise = Arc::new(|headers| {
        let is_good = headers.get(header::AUTHORIZATION).is_some_and(|it| it == "Bearer good");
        is_good.then_some(None)
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", bearer)
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = api::router(Arc::clone(&office.desk), authorise).oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_token_is_minted_changed_and_taken_back_over_http() {
    let office = Office::new(2);
    let body = r#"{"sensors":"all","quality":"auto"}"#;
    let (status, _) = ask(&office, "POST", "/api/viewers", body, "Bearer bad").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = ask(&office, "POST", "/api/viewers", body, "Basic good").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, minted) = ask(&office, "POST", "/api/viewers", body, "Bearer good").await;
    assert_eq!(status, StatusCode::OK);
    let token = minted["token"].as_str().unwrap().to_owned();
    assert_eq!(
        minted,
        json!({"token": token, "topic": format!("viewer:data:{token}"), "expires_in": 3600, "durable": false})
    );

    let seat = office.join(&token, "{}").unwrap();
    office.commands();
    let path = format!("/api/viewers/{token}");
    let (status, again) =
        ask(&office, "PATCH", &path, r#"{"quality":"paused","visible":[]}"#, "").await;
    assert_eq!((status, &again["token"]), (StatusCode::OK, &minted["token"]));
    let commands = office.commands();
    let [
        Command::SetQuality { quality: QualityChoice::Fixed(Quality::Paused), .. },
        Command::Attend { .. },
    ] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    let (status, _) = ask(&office, "DELETE", &path, "", "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(office.kicks(), [Kicked::Deleted]);
    assert!(matches!(office.commands()[..], [Command::CloseViewer { .. }]));
    drop(seat);
    assert!(office.commands().is_empty());
    let (status, gone) = ask(&office, "PATCH", &path, "{}", "").await;
    assert_eq!((status, gone), (StatusCode::NOT_FOUND, json!({"error": "unknown viewer"})));
}

#[tokio::test]
async fn http_errors_name_the_field() {
    let office = Office::new(1);
    let mut errors = Vec::new();
    let large = format!(r#"{{"sensors":["{}"]}}"#, "x".repeat(api::BODY_BYTES_MAX));
    for body in ["{}", "nonsense", r#"{"sensors":[1]}"#, r#"{"sensors":"all","quality":1}"#, &large]
    {
        let (status, error) = ask(&office, "POST", "/api/viewers", body, "Bearer good").await;
        errors.push((status.as_u16(), error["error"].as_str().unwrap().to_owned()));
    }
    let said: Vec<(u16, &str)> = errors.iter().map(|(s, e)| (*s, &e[..e.len().min(26)])).collect();
    assert_eq!(
        said,
        [
            (400, "sensors: is missing"),
            (400, "expected an object"),
            (400, "sensors: expected a list o"),
            (400, "quality: expected \"auto\", "),
            (413, "Failed to buffer the reque"),
        ]
    );
    let token = office.mint("{}");
    let _seat = office.join(&token, "{}").unwrap();
    let (status, _) =
        ask(&office, "POST", "/api/viewers", r#"{"sensors":"all"}"#, "Bearer good").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_next_server_knows_the_tokens_of_the_one_before_and_what_they_asked_for() {
    let before = Office::new(4);
    let asked = r#"{"sensors":["a","b"],"quality":"low","visible":["a"]}"#;
    let (kept, joined, taken_back) = (before.mint(asked), before.mint(asked), before.mint("{}"));
    let mut seat = before.join(&joined, "{}").unwrap();
    let narrower = json_raw(r#"{"sensors":["b"]}"#);
    assert!(matches!(seat.event("set_sensors", &narrower), EventReply::Ok(_)));
    before.desk.delete(&taken_back).unwrap();
    let store = before.desk.keeping.store.clone();
    // The server is killed, with a channel open; half an hour goes by.
    // What is handed over is made in its order: behind this all of it is on the disk.
    let last = store.table::<TokenRecord>().delete(b"nobody", Expect::Any);
    store.commit(vec![last]).await.unwrap();
    let after = Office::after(4, IntakeLimits::default(), Some(store.clone()));
    assert_eq!(after.desk.minted_count(), 2);
    assert_eq!(after.join(&taken_back, "{}").unwrap_err(), json!({"reason": "unauthorized"}));
    let opened = |token: &str| {
        let _seat = after.join(token, "{}").unwrap();
        let is_open = |command: &Command| match command {
            Command::OpenViewer { sensors, quality, .. } => Some((sensors.clone(), *quality)),
            _ => None,
        };
        after.commands().iter().find_map(is_open).unwrap()
    };
    let low = QualityChoice::from_name("low").unwrap();
    assert_eq!(opened(&kept), (SensorSet::Ids(vec!["a".into(), "b".into()]), low));
    assert_eq!(opened(&joined), (SensorSet::Ids(vec!["b".into()]), low));
}

/// A token that is taken back too early would be good again once what is kept is here.
#[tokio::test]
async fn what_may_be_kept_is_neither_changed_nor_taken_back_before_it_is_here() {
    let before = Office::new(4);
    let token = before.mint("{}");
    let store = before.desk.keeping.store.clone();
    let last = store.table::<TokenRecord>().delete(b"nobody", Expect::Any);
    store.commit(vec![last]).await.unwrap();
    let after = Office::too_early(4, IntakeLimits::default(), Some(store));
    let path = format!("/api/viewers/{token}");
    let said = (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "hydrating" }));
    let low = r#"{"quality":"low"}"#;
    assert_eq!(ask(&after, "PATCH", &path, low, "Bearer good").await, said);
    assert_eq!(ask(&after, "DELETE", &path, "", "Bearer good").await, said);
    assert_eq!(after.join(&token, "{}").unwrap_err(), json!({"reason": "hydrating"}));
    // What is new is known.
    let new = after.mint("{}");
    assert!(after.desk.delete(&new).is_ok());
    after.desk.hydrate().unwrap();
    assert_eq!(ask(&after, "PATCH", &path, low, "Bearer good").await.0, StatusCode::OK);
    assert_eq!(ask(&after, "DELETE", &path, "", "Bearer good").await.0, StatusCode::NO_CONTENT);
    assert_eq!(after.join(&token, "{}").unwrap_err(), json!({"reason": "unauthorized"}));
}

#[tokio::test]
async fn a_token_ends_with_the_session_it_was_minted_in_also_that_of_another_server() {
    let before = Office::new(4);
    let (anna, bert) = (SessionId([1; 16]), SessionId([2; 16]));
    let mut tokens = Vec::new();
    for session in [Some(anna), Some(bert), None] {
        tokens.push(before.desk.mint(Wishes::default(), session).await.unwrap().0);
    }
    let last = before.desk.keeping.table.delete(b"nobody", Expect::Any);
    before.desk.keeping.store.commit(vec![last]).await.unwrap();
    let _seat = before.join(&tokens[0], "{}").unwrap();
    before.desk.end_sessions(|session| session == anna);
    assert_eq!(before.kicks(), [Kicked::Deleted]);
    assert_eq!(before.desk.minted_count(), 2);
    assert!(before.join(&tokens[0], "{}").is_err());
    let store = before.desk.keeping.store.clone();
    let after = Office::after(4, IntakeLimits::default(), Some(store));
    after.desk.end_sessions(|session| session == bert);
    assert!(after.join(&tokens[1], "{}").is_err());
    assert!(after.join(&tokens[2], "{}").is_ok());
}

#[test]
fn a_token_lives_no_longer_for_a_server_that_ended() {
    let record = |joined, expires_unix_ms| TokenRecord {
        sensors: None,
        quality: "auto".into(),
        visible: None,
        joined,
        was_joined: joined,
        expires_unix_ms,
        session: None,
    };
    let now = Now { engine: EngineTime::from_millis(5_000), unix_ms: 1_000_000 };
    let left_ms = |record| {
        let minted = Minted::of(record, now)?;
        Some((minted.expires.0 - now.engine.0) / 1000)
    };
    let hour = TOKEN_SECONDS * 1000;
    assert_eq!(left_ms(record(false, 1_000_000 + 7_000)), Some(7_000));
    assert_eq!(left_ms(record(false, 1_000_000)), None, "its time was over meanwhile");
    assert_eq!(left_ms(record(true, 0)), Some(hour), "whoever was connected may come back");
    // A clock that was set back makes nobody immortal.
    assert_eq!(left_ms(record(false, i64::MAX)), Some(hour));
    assert_eq!(left_ms(record(false, i64::MIN)), None);
}

#[test]
fn what_the_store_holds_too_long_or_too_much_of_is_taken_out_of_it() {
    let before = Office::new(4);
    for _ in 0..4 {
        before.mint("{}");
    }
    let store = before.desk.keeping.store.clone();
    while store.table::<TokenRecord>().all().unwrap().len() < 4 {
        std::thread::yield_now();
    }
    let after = Office::after(3, IntakeLimits::default(), Some(store.clone()));
    assert_eq!(after.desk.minted_count(), 3);
    while store.table::<TokenRecord>().all().unwrap().len() > 3 {
        std::thread::yield_now();
    }
}

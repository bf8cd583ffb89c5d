//! `/api/rooms` (`reference/wire.md` 2.3, and what the original has on its pages only).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use components::limits::NAME_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{DOCUMENT_BYTES_MAX, NOT_YOUR_SENSOR};
use super::ticket::{TICKET_SECONDS, TICKET_SECONDS_MAX, Ticket};
use super::{Asker, RoomDesk, RoomError, RoomId, Wishes, chat};
use crate::can::{Action, Denied, What, can};
use crate::metrics::Page;
use crate::orders::{self, Body, Words};
use crate::people::limits::{Door, Standing, hold};
use crate::refusal::{Refusal, from_our_pages};
use crate::socket::Doors;
use crate::viewer::TOKEN_SECONDS;
use crate::viewer::words::read_wishes;

pub(super) type Doorway = State<Arc<Doors>>;
pub(super) type Outcome = Result<Response, Refusal>;
pub(super) type Named = Result<Path<String>, PathRejection>;
pub(super) type Pair = Result<Path<(String, String)>, PathRejection>;

pub fn router(doors: Arc<Doors>) -> Router {
    let guessable = Router::new()
        .route("/api/rooms/join", post(join_invited))
        .route("/api/rooms/by-code/{code}/ticket", get(ticket_by_code))
        .route("/api/rooms/verify-ticket", post(verify_ticket))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), not_too_often));
    let documents = Router::new()
        .route("/api/rooms/import", post(import))
        .route("/api/rooms/{id}/document", get(document).put(bring_back))
        .layer(DefaultBodyLimit::max(DOCUMENT_BYTES_MAX));
    Router::new()
        .route("/api/rooms", get(mine).post(create))
        .route("/api/rooms/public", get(public))
        .route("/api/rooms/{id}", get(show).patch(edit).delete(delete))
        .route("/api/rooms/{id}/join", post(join))
        .route("/api/rooms/{id}/leave", post(leave))
        .route("/api/rooms/{id}/code", get(code).post(renew_code))
        .route("/api/rooms/{id}/ticket", get(ticket))
        .route("/api/rooms/{id}/members", get(members))
        .route("/api/rooms/{id}/members/{user}", axum::routing::delete(kick))
        .route("/api/rooms/{id}/members/{user}/promote", post(promote))
        .route("/api/rooms/{id}/members/{user}/demote", post(demote))
        .route("/api/rooms/{id}/members/{user}/pardon", post(pardon))
        .route("/api/rooms/{id}/sensors/{sensor}", put(add_sensor).delete(remove_sensor))
        .route("/api/rooms/{id}/viewers", post(look))
        .merge(chat::api::router())
        .merge(documents)
        .merge(guessable)
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), from_our_pages))
        .with_state(doors)
}

/// Where a code can be guessed, one address may try so often, and all together.
async fn not_too_often(State(doors): Doorway, request: Request, next: Next) -> Response {
    hold(&doors, request, next, |from| knock(&doors, from)).await
}

fn knock(doors: &Doors, from: IpAddr) -> Standing {
    let everybody = (Ipv4Addr::UNSPECIFIED.into(), Door::AnyCode);
    doors.people.limits.knock_twice((from, Door::Code), everybody, doors.people.now())
}

fn room_id(named: Named) -> Result<RoomId, Refusal> {
    let named = named.ok().and_then(|Path(id)| RoomId::parse(&id));
    // What is no id is the id of no room.
    named.ok_or_else(|| RoomError::Denied(Denied::NotFound).into())
}

fn pair(pair: Pair) -> Result<(RoomId, String), Refusal> {
    let found = pair.ok().and_then(|Path((id, other))| Some((RoomId::parse(&id)?, other)));
    found.ok_or_else(|| RoomError::Denied(Denied::NotFound).into())
}

async fn mine(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    Ok(Json(json!({ "rooms": doors.rooms.mine(&doors.asker(&headers))? })).into_response())
}

async fn public(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    Ok(Json(json!({ "rooms": doors.rooms.public(&doors.asker(&headers))? })).into_response())
}

async fn show(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    told(&doors.rooms, &asker, room_id_for(&asker, named)?, StatusCode::OK, None)
}

/// Whoever must say who they are hears that first, whatever they name.
pub(super) fn room_id_for(asker: &Asker, named: Named) -> Result<RoomId, Refusal> {
    can(asker.who, Action::ListPublic, What::House).map_err(RoomError::Denied)?;
    room_id(named)
}

/// The room as it is now.
fn told(
    rooms: &RoomDesk,
    asker: &Asker,
    id: RoomId,
    status: StatusCode,
    durable: Option<bool>,
) -> Outcome {
    let mut said = json!({ "room": rooms.room(asker, id)? });
    if let Some(durable) = durable {
        said["durable"] = durable.into();
    }
    Ok((status, Json(said)).into_response())
}

const WISHES: [&str; 7] = [
    "name",
    "description",
    "is_public",
    "calls_enabled",
    "media_playback_enabled",
    "object_3d_enabled",
    "whiteboard_enabled",
];

fn wishes(headers: &HeaderMap, body: Body) -> Result<Wishes, Refusal> {
    let words = Words::read_if_any(headers, body, &WISHES)?;
    let flag = |key: &str| words.value(key, Value::as_bool, "expected true or false");
    let description = match words.is_null("description") {
        true => Some(None),
        false => words.text_if_any("description")?.map(Some),
    };
    Ok(Wishes {
        name: words.text_if_any("name")?,
        description,
        is_public: flag("is_public")?,
        calls: flag("calls_enabled")?,
        media: flag("media_playback_enabled")?,
        object_3d: flag("object_3d_enabled")?,
        whiteboard: flag("whiteboard_enabled")?,
    })
}

async fn create(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let (id, durable) = doors.rooms.create(&asker, &wishes(&headers, body)?).await?;
    made(&doors.rooms, &asker, id, durable)
}

fn made(rooms: &RoomDesk, asker: &Asker, id: RoomId, durable: bool) -> Outcome {
    let mut said = json!({ "room": rooms.room(asker, id)?, "durable": durable });
    said["join_code"] = (*rooms.code(asker, id)?).into();
    said["share_url"] = share_url(said["join_code"].as_str().unwrap_or_default()).into();
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

async fn document(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    let written = doors.rooms.document(&asker, id)?;
    let headers = [
        (header::CONTENT_TYPE, "text/markdown; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"room-{id}.md\"")),
    ];
    Ok((headers, written).into_response())
}

async fn bring_back(
    State(doors): Doorway,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    let may_put = may_put(&doors, &headers, &asker);
    let text = markdown(&headers, body)?;
    let durable = doors.rooms.bring_back(&asker, id, &text, may_put).await?;
    told(&doors.rooms, &asker, id, StatusCode::OK, Some(durable))
}

async fn import(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    can(asker.who, Action::Create, What::House).map_err(RoomError::Denied)?;
    let may_put = may_put(&doors, &headers, &asker);
    let (id, durable) = doors.rooms.import(&asker, &markdown(&headers, body)?, may_put).await?;
    made(&doors.rooms, &asker, id, durable)
}

/// The bytes of a document. A page of another origin cannot send this type without asking first.
fn markdown(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    orders::is_of_type(headers, "text/markdown")?;
    Ok(orders::sent(body)?)
}

fn share_url(code: &str) -> String {
    format!("/rooms/join/{code}")
}

async fn edit(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    let durable = doors.rooms.edit(&asker, id, &wishes(&headers, body)?).await?;
    told(&doors.rooms, &asker, id, StatusCode::OK, Some(durable))
}

async fn delete(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    done(doors.rooms.delete(&asker, room_id_for(&asker, named)?).await?)
}

pub(super) fn done(durable: bool) -> Outcome {
    Ok(Json(json!({ "ok": true, "durable": durable })).into_response())
}

async fn join(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    Words::read_if_any(&headers, body, &[])?;
    let durable = doors.rooms.join(&asker, id).await?;
    told(&doors.rooms, &asker, id, StatusCode::OK, Some(durable))
}

async fn join_invited(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let words = Words::read(&headers, body, &["code", "ticket"])?;
    let (code, ticket) = (words.text_if_any("code")?, words.text_if_any("ticket")?);
    let (id, durable) = match (code, ticket) {
        (Some(code), None) => doors.rooms.join_by_code(&asker, &code).await?,
        (None, Some(ticket)) => doors.rooms.join_by_ticket(&asker, &ticket).await?,
        _ => {
            let what = "expected either `code` or `ticket`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_value", what));
        }
    };
    told(&doors.rooms, &asker, id, StatusCode::OK, Some(durable))
}

async fn leave(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    Words::read_if_any(&headers, body, &[])?;
    done(doors.rooms.leave(&asker, id).await?)
}

async fn code(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let code = doors.rooms.code(&asker, room_id_for(&asker, named)?)?;
    Ok(Json(json!({ "join_code": *code, "share_url": share_url(&code) })).into_response())
}

async fn renew_code(
    State(doors): Doorway,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    Words::read_if_any(&headers, body, &[])?;
    let durable = doors.rooms.renew_code(&asker, id).await?;
    let code = doors.rooms.code(&asker, id)?;
    let said = json!({ "join_code": *code, "share_url": share_url(&code), "durable": durable });
    Ok(Json(said).into_response())
}

async fn members(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let members = doors.rooms.members(&asker, room_id_for(&asker, named)?)?;
    Ok(Json(json!({ "members": members })).into_response())
}

/// As [`room_id_for`].
pub(super) fn pair_for(asker: &Asker, named: Pair) -> Result<(RoomId, String), Refusal> {
    can(asker.who, Action::ListPublic, What::House).map_err(RoomError::Denied)?;
    pair(named)
}

async fn change_member(doors: &Doors, named: Pair, headers: &HeaderMap, action: Action) -> Outcome {
    let asker = doors.asker(headers);
    let (id, account) = pair_for(&asker, named)?;
    done(doors.rooms.change_member(&asker, id, &account, action).await?)
}

async fn kick(State(doors): Doorway, named: Pair, headers: HeaderMap) -> Outcome {
    change_member(&doors, named, &headers, Action::Kick).await
}

async fn promote(State(doors): Doorway, named: Pair, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    change_member(&doors, named, &headers, Action::Promote).await
}

async fn demote(State(doors): Doorway, named: Pair, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    change_member(&doors, named, &headers, Action::Demote).await
}

async fn pardon(State(doors): Doorway, named: Pair, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    change_member(&doors, named, &headers, Action::Pardon).await
}

/// Whether somebody may put a sensor into a room: it would be seen there by others.
fn may_put(doors: &Doors, headers: &HeaderMap, asker: &Asker) -> impl Fn(&str) -> bool {
    let looks_at_all = doors.viewer(headers).is_some();
    let (belongings, account) = (Arc::clone(&doors.belongings), asker.id.clone());
    move |sensor_id| looks_at_all || (account.is_some() && belongings.owner(sensor_id) == account)
}

async fn add_sensor(State(doors): Doorway, named: Pair, headers: HeaderMap) -> Outcome {
    let (id, sensor_id) = pair(named)?;
    if sensor_id.is_empty() || sensor_id.len() > NAME_BYTES_MAX {
        let what = format!("a sensor's id has 1 to {NAME_BYTES_MAX} bytes");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_value", &what));
    }
    let asker = doors.asker(&headers);
    doors.rooms.judge(&asker, id, Action::AddSensor)?;
    if !may_put(&doors, &headers, &asker)(&sensor_id) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_your_sensor", NOT_YOUR_SENSOR));
    }
    done(doors.rooms.add_sensor(&asker, id, &sensor_id).await?)
}

async fn remove_sensor(State(doors): Doorway, named: Pair, headers: HeaderMap) -> Outcome {
    let (id, sensor_id) = pair(named)?;
    done(doors.rooms.remove_sensor(&doors.asker(&headers), id, &sensor_id).await?)
}

/// What is asked of a ticket.
#[derive(Debug, Deserialize)]
struct TicketWish {
    expires_in: Option<u64>,
    /// As in the original, which never had one.
    #[serde(rename = "include_secret")]
    _include_secret: Option<String>,
}

fn seconds(wish: Result<Query<TicketWish>, QueryRejection>) -> Result<u64, Refusal> {
    let bad = || {
        let what = format!("`expires_in`: expected 1 to {TICKET_SECONDS_MAX} seconds");
        Refusal::new(StatusCode::BAD_REQUEST, "bad_value", &what)
    };
    let Query(wish) = wish.map_err(|_| bad())?;
    let seconds = wish.expires_in.unwrap_or(TICKET_SECONDS);
    if (1..=TICKET_SECONDS_MAX).contains(&seconds) { Ok(seconds) } else { Err(bad()) }
}

async fn ticket(
    State(doors): Doorway,
    named: Named,
    wish: Result<Query<TicketWish>, QueryRejection>,
    headers: HeaderMap,
) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    Ok(issued(&headers, &doors.rooms.ticket(&asker, id, seconds(wish)?)?))
}

async fn ticket_by_code(
    State(doors): Doorway,
    named: Named,
    wish: Result<Query<TicketWish>, QueryRejection>,
    headers: HeaderMap,
) -> Outcome {
    let code = named.map_err(|_| RoomError::Denied(Denied::NotFound))?.0;
    Ok(issued(&headers, &doors.rooms.ticket_by_code(&code, seconds(wish)?)?))
}

fn issued(headers: &HeaderMap, ticket: &Ticket) -> Response {
    let encoded = ticket.encoded();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let said = json!({
        "ok": true,
        "ticket": ticket,
        "deep_link": format!("sensocto://room?ticket={encoded}"),
        "web_url": format!("http://{host}/rooms/join?ticket={encoded}"),
        "encoded": encoded,
    });
    Json(said).into_response()
}

async fn verify_ticket(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let words = Words::read(&headers, body, &["ticket"])?;
    let Some(encoded) = words.text_if_any("ticket")? else {
        let what = "Missing 'ticket' parameter";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_value", what));
    };
    match doors.rooms.verify(&encoded) {
        Ok((ticket, is_good)) => {
            let said = json!({ "ok": true, "valid": true, "expired": !is_good, "ticket": ticket });
            Ok(Json(said).into_response())
        }
        Err(RoomError::Ticket(error)) => {
            let what = format!("Invalid ticket: {}", error.why());
            let said = json!({ "ok": false, "valid": false, "error": what, "code": "bad_ticket" });
            Ok((StatusCode::BAD_REQUEST, Json(said)).into_response())
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn look(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let id = room_id_for(&asker, named)?;
    orders::is_json(&headers)?;
    let bad = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, "bad_value", what);
    let body = body.map_err(|rejection| bad(&rejection.body_text()))?;
    let text = if body.is_empty() { "{}" } else { str::from_utf8(&body).unwrap_or_default() };
    let wishes = read_wishes(text).map_err(|problem| bad(&problem.to_string()))?;
    if wishes.sensors.is_some() {
        return Err(bad("sensors: they are the room's"));
    }
    let token = doors.rooms.look(&asker, id, wishes)?;
    let topic = format!("viewer:data:{token}");
    // It ends with this server: who may look is asked again then.
    let said = json!({
        "token": token, "topic": topic, "expires_in": TOKEN_SECONDS, "durable": false,
    });
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

/// What `/metrics` says of it.
pub(crate) fn measure(page: &mut Page, rooms: &RoomDesk) {
    let figures = rooms.figures();
    page.gauge("rooms", "Rooms.", figures.rooms);
    page.gauge("room_channels_open", "Channels of rooms that are open.", figures.seats);
    page.gauge("room_viewers", "Viewers' tokens that are bound to a room.", figures.viewers);
    page.gauge("chat_bytes", "Bytes of what was said and is kept.", figures.chat_bytes);
    page.gauge("lobby_channels_open", "Channels of lobbies that are open.", figures.lobbies);
}

//! `/api/chat` and `/api/rooms/{id}/chat`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, patch};
use serde::Deserialize;
use serde_json::json;

use super::{MESSAGE_COUNT_MAX, Page, Place};
use crate::orders::{self, Body, Words};
use crate::refusal::Refusal;
use crate::rooms::Asker;
use crate::rooms::api::{Doorway, Named, Outcome, Pair, done, pair_for, room_id_for};
use crate::socket::Doors;

type Asked = Result<Query<Wish>, QueryRejection>;

pub(in crate::rooms) fn router() -> Router<Arc<Doors>> {
    Router::new()
        .route("/api/chat", get(read_all).post(say_to_all))
        .route("/api/chat/{message}", patch(edit_for_all).delete(delete_for_all))
        .route("/api/rooms/{id}/chat", get(read).post(say))
        .route("/api/rooms/{id}/chat/{message}", patch(edit).delete(delete))
}

#[derive(Debug, Deserialize)]
struct Wish {
    before: Option<String>,
    limit: Option<usize>,
}

async fn read_all(State(doors): Doorway, wish: Asked, headers: HeaderMap) -> Outcome {
    told(&doors, &doors.asker(&headers), None, wish)
}

async fn read(State(doors): Doorway, named: Named, wish: Asked, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    told(&doors, &asker, Some(room_id_for(&asker, named)?), wish)
}

fn told(doors: &Doors, asker: &Asker, place: Place, wish: Asked) -> Outcome {
    let page = wish.ok().and_then(|Query(wish)| Page::of(wish.before.as_deref(), wish.limit));
    let page = page.ok_or_else(|| {
        let what = format!("expected `limit`: 1 to {MESSAGE_COUNT_MAX}, `before`: a message's id");
        Refusal::new(StatusCode::BAD_REQUEST, "bad_value", &what)
    })?;
    Ok(Json(doors.rooms.said(asker, place, page)?).into_response())
}

async fn say_to_all(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    said(&doors, &doors.asker(&headers), None, &headers, body).await
}

async fn say(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let place = Some(room_id_for(&asker, named)?);
    said(&doors, &asker, place, &headers, body).await
}

fn content(headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    let content = Words::read(headers, body, &["content"])?.text_if_any("content")?;
    Ok(content.ok_or_else(|| orders::is_missing("content"))?)
}

async fn said(
    doors: &Doors,
    asker: &Asker,
    place: Place,
    headers: &HeaderMap,
    body: Body,
) -> Outcome {
    let said = async {
        let content = content(headers, body)?;
        let (message, kept) = doors.rooms.say(asker, place, &content)?;
        let said = json!({ "message": message, "durable": doors.rooms.wait(kept).await });
        Outcome::Ok((StatusCode::CREATED, Json(said)).into_response())
    };
    paced(doors, asker, said.await)
}

/// The answer, and how its asker stands: one person says so much, wherever it is.
fn paced(doors: &Doors, asker: &Asker, said: Outcome) -> Outcome {
    let mut response = said.into_response();
    if let Some(mut standing) = doors.rooms.pace(asker) {
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            // As it was when that was said.
            standing.remaining = 0;
            standing.reset_seconds = standing.reset_seconds.max(1);
        }
        standing.say(&mut response);
    }
    Ok(response)
}

async fn edit_for_all(
    State(doors): Doorway,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let message = message(named);
    edited(&doors, &doors.asker(&headers), None, &message, &headers, body).await
}

/// What cannot be read is the id of no message.
fn message(named: Named) -> String {
    named.map(|Path(id)| id).unwrap_or_default()
}

async fn edit(State(doors): Doorway, named: Pair, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let (room, message) = pair_for(&asker, named)?;
    edited(&doors, &asker, Some(room), &message, &headers, body).await
}

async fn edited(
    doors: &Doors,
    asker: &Asker,
    place: Place,
    message: &str,
    headers: &HeaderMap,
    body: Body,
) -> Outcome {
    let said = async {
        let content = content(headers, body)?;
        let (message, kept) = doors.rooms.say_again(asker, place, message, &content)?;
        let said = json!({ "message": message, "durable": doors.rooms.wait(kept).await });
        Outcome::Ok(Json(said).into_response())
    };
    paced(doors, asker, said.await)
}

async fn delete_for_all(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let kept = doors.rooms.unsay(&doors.asker(&headers), None, &message(named))?;
    done(doors.rooms.wait(kept).await)
}

async fn delete(State(doors): Doorway, named: Pair, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let (room, message) = pair_for(&asker, named)?;
    let kept = doors.rooms.unsay(&asker, Some(room), &message)?;
    done(doors.rooms.wait(kept).await)
}

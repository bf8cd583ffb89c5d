//! `/api/search`, `/api/people`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{HIT_COUNT_MAX, QUESTION_LETTERS_MAX, Search, world};
use crate::can::{Action, What, can};
use crate::metrics::Page;
use crate::people::limits::{Door, hold};
use crate::refusal::{Refusal, from_our_pages};
use crate::rooms::RoomError;
use crate::socket::Doors;

/// Of each kind, if nobody says (`reference/collab.md` 15).
const HIT_COUNT: usize = 10;

pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/api/search", get(find))
        .route("/api/people", get(world::people))
        .route("/api/people/{id}", get(world::person))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), not_too_often))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), from_our_pages))
        .with_state(doors)
}

/// Whoever types asks with every letter.
async fn not_too_often(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let knock = |from| doors.people.limits.knock(from, Door::Search, doors.people.now());
    hold(&doors, request, next, knock).await
}

#[derive(Debug, Deserialize)]
struct Wish {
    q: String,
    limit: Option<usize>,
}

async fn find(
    State(doors): State<Arc<Doors>>,
    wish: Result<Query<Wish>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asker = doors.asker(&headers);
    can(asker.who, Action::ListPublic, What::House).map_err(RoomError::Denied)?;
    let fits = |wish: &Wish| {
        let letters = wish.q.chars().count();
        (1..=QUESTION_LETTERS_MAX).contains(&letters)
            && wish.limit.is_none_or(|limit| (1..=HIT_COUNT_MAX).contains(&limit))
    };
    let wish = wish.ok().map(|Query(wish)| wish).filter(fits);
    let wish = wish.ok_or_else(|| {
        let what = format!(
            "expected `q`: 1 to {QUESTION_LETTERS_MAX} letters, `limit`: 1 to {HIT_COUNT_MAX}"
        );
        Refusal::new(StatusCode::BAD_REQUEST, "bad_value", &what)
    })?;
    let found = doors.search.find(&asker, &wish.q, wish.limit.unwrap_or(HIT_COUNT));
    Ok(Json(found).into_response())
}

/// What `/metrics` says of it.
pub(crate) fn measure(page: &mut Page, search: &Search) {
    let figures = search.figures();
    let all = [("sensors", figures.sensors), ("rooms", figures.rooms), ("people", figures.people)];
    page.head("search_entries", "gauge", "What can be found, by kind.");
    for (kind, count) in all {
        page.sample("search_entries", &[("kind", kind)], count as u64);
    }
}

//! `/api/discovery/sensors`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{Discovery, PAGE_SENSOR_COUNT_MAX};
use crate::can::{Action, What, can};
use crate::refusal::{Refusal, from_our_pages};
use crate::rooms::RoomError;
use crate::socket::Doors;

/// Sensors of one answer, if nobody says.
const PAGE_SENSOR_COUNT: usize = 200;

pub fn router(discovery: Arc<Discovery>, doors: Arc<Doors>) -> Router {
    let let_in = middleware::from_fn_with_state(Arc::clone(&doors), from_our_pages);
    Router::new()
        .route("/api/discovery/sensors", get(sensors))
        .layer(let_in)
        .with_state((discovery, doors))
}

#[derive(Debug, Deserialize)]
struct Wish {
    after: Option<String>,
    limit: Option<usize>,
}

async fn sensors(
    State((discovery, doors)): State<(Arc<Discovery>, Arc<Doors>)>,
    wish: Result<Query<Wish>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asker = doors.asker(&headers);
    can(asker.who, Action::ListPublic, What::House).map_err(RoomError::Denied)?;
    let wish = wish
        .ok()
        .map(|Query(wish)| wish)
        .filter(|wish| wish.limit.is_none_or(|limit| (1..=PAGE_SENSOR_COUNT_MAX).contains(&limit)));
    let wish = wish.ok_or_else(|| {
        let what =
            format!("expected `limit`: 1 to {PAGE_SENSOR_COUNT_MAX}, `after`: a sensor's id");
        Refusal::new(StatusCode::BAD_REQUEST, "bad_value", &what)
    })?;
    let limit = wish.limit.unwrap_or(PAGE_SENSOR_COUNT);
    Ok(Json(discovery.page(&asker, wish.after.as_deref(), limit)).into_response())
}

//! `/api/rooms/{id}/history`: what is measured in a room is kept, or not (`docs/history.md`).

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;

use super::HistoryError;
use super::api::{Policy, fresh};
use super::rooms::{RoomPastRecord, RoomPasts};
use crate::can::{Action, Denied};
use crate::orders::{self, Answer, Problem};
use crate::refusal::from_our_pages;
use crate::rooms::{RoomError, RoomId};
use crate::socket::Doors;

/// Of each sensor, if nobody says how much: a room has a thousand of them.
const MIB_MAX: u64 = 16;

#[derive(Clone)]
struct Api {
    pasts: Arc<RoomPasts>,
    doors: Arc<Doors>,
}

/// Whoever may receive what is measured in a room may know that it is kept; who runs it decides.
pub fn router(pasts: Arc<RoomPasts>, doors: Arc<Doors>) -> Router {
    let api = Api { pasts, doors: Arc::clone(&doors) };
    Router::new()
        .route("/api/rooms/{id}/history", get(show).put(keep).delete(delete))
        .layer(middleware::from_fn_with_state(doors, from_our_pages))
        .with_state(api)
}

type Named = Result<Path<String>, PathRejection>;

impl Api {
    /// The room, if whoever sends these headers may.
    fn judge(&self, named: Named, headers: &HeaderMap, action: Action) -> Result<RoomId, Problem> {
        let Path(name) = named.map_err(|_| RoomError::Denied(Denied::NotFound))?;
        Ok(self.doors.rooms.judge_named(&self.doors.asker(headers), &name, action)?)
    }
}

async fn show(State(api): State<Api>, named: Named, headers: HeaderMap) -> Answer {
    let room = api.judge(named, &headers, Action::Watch)?;
    Ok(fresh(api.pasts.told(room).ok_or(HistoryError::NotKept)?))
}

async fn keep(
    State(api): State<Api>,
    named: Named,
    headers: HeaderMap,
    body: orders::Body,
) -> Answer {
    let room = api.judge(named, &headers, Action::Edit)?;
    let Policy { keep_hours, bytes_max, .. } = Policy::read(&headers, body, MIB_MAX, false)?;
    api.pasts.keep(room, RoomPastRecord { keep_hours, bytes_max }).await?;
    Ok(fresh(api.pasts.told(room).ok_or(HistoryError::NotKept)?))
}

async fn delete(State(api): State<Api>, named: Named, headers: HeaderMap) -> Answer {
    let room = api.judge(named, &headers, Action::Edit)?;
    api.pasts.delete(room).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

//! `/api/recordings`: what was recorded, recording, and taking it home.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

use super::library::{Entry, LibraryError};
use super::{Recorder, RecorderError, Status};
use crate::orders::{self, Answer, Problem, Words, error, is_json, let_in_to_all};
use crate::pieces::pieces;
use crate::socket::Doors;

/// Bytes of a request's body: a name.
const BODY_BYTES_MAX: usize = 4 * 1024;

#[derive(Clone)]
struct Api {
    recorder: Arc<Recorder>,
}

/// All of it asks for a viewer's authority, or an administrator's when anything is private; orders are taken from pages of ours only.
pub fn router(recorder: Arc<Recorder>, doors: Arc<Doors>) -> Router {
    let api = Api { recorder };
    let order = |method: MethodRouter<Api>| method.fallback(wrong_method);
    Router::new()
        .route("/api/recordings", order(get(list).post(start)))
        .route("/api/recordings/stop", order(post(stop)))
        .route("/api/recordings/{name}", order(get(download).delete(delete)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(doors, let_in_to_all))
        .with_state(api)
}

async fn wrong_method() -> Problem {
    let problem =
        "not by this method: GET lists and fetches, POST records and stops, DELETE deletes";
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem)
}

async fn list(State(api): State<Api>) -> Answer {
    let status = api.recorder.status();
    let entries = api.recorder.list().await?;
    Ok(fresh(json!({
        "recordings": entries.iter().map(entry_json).collect::<Vec<_>>(),
        "recording": status.as_ref().map(status_json),
        "bytes_max": api.recorder.bytes_max(),
    }))
    .into_response())
}

/// The body may name the recording, and need not be there.
async fn start(State(api): State<Api>, headers: HeaderMap, body: orders::Body) -> Answer {
    let name = Words::read_if_any(&headers, body, &["name"])?.text_if_any("name")?;
    let status = api.recorder.start(name).await?;
    Ok((StatusCode::CREATED, fresh(status_json(&status))).into_response())
}

async fn stop(State(api): State<Api>, headers: HeaderMap) -> Answer {
    is_json(&headers)?;
    Ok(fresh(entry_json(&api.recorder.stop().await?)).into_response())
}

type Named = Result<Path<String>, PathRejection>;

async fn delete(State(api): State<Api>, name: Named) -> Answer {
    let Path(name) = name.map_err(|_| LibraryError::BadName)?;
    api.recorder.delete(name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn download(State(api): State<Api>, name: Named) -> Answer {
    let Path(name) = name.map_err(|_| LibraryError::BadName)?;
    let (file, bytes) = api.recorder.open(name.clone()).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        // The name's letters need no quoting.
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.mcap\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(file, bytes))).into_response())
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "name": entry.name,
        "bytes": entry.bytes,
        "created_at": entry.created_unix_ms,
        "duration_ms": entry.duration_ms,
        "ticks": entry.ticks,
        "samples": entry.samples,
        "sensors": entry.sensors,
        "hash": entry.hash.map(|hash| format!("{hash:016x}")),
        "complete": entry.complete,
        "error": entry.error,
    })
}

fn status_json(status: &Status) -> Value {
    json!({
        "name": status.name,
        "started_at": status.started_unix_ms,
        "elapsed_ms": status.elapsed_ms,
        "samples": status.samples,
        "bytes": status.bytes,
        "error": status.error,
        "warning": status.warning,
    })
}

fn fresh(body: Value) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(body))
}

impl From<LibraryError> for Problem {
    fn from(problem: LibraryError) -> Self {
        let (status, code) = match &problem {
            LibraryError::BadName => (StatusCode::BAD_REQUEST, "bad_name"),
            LibraryError::Exists { .. } => (StatusCode::CONFLICT, "already_exists"),
            LibraryError::NotFound { .. } => (StatusCode::NOT_FOUND, "recording_not_found"),
            LibraryError::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
        };
        error(status, code, &problem.to_string())
    }
}

impl From<RecorderError> for Problem {
    fn from(problem: RecorderError) -> Self {
        let (status, code) = match problem {
            RecorderError::Library(problem) => return problem.into(),
            RecorderError::AlreadyRecording { .. } => (StatusCode::CONFLICT, "already_recording"),
            RecorderError::NotRecording => (StatusCode::CONFLICT, "not_recording"),
            RecorderError::Busy { .. } => (StatusCode::CONFLICT, "being_recorded"),
            RecorderError::NoRoom { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
            RecorderError::NotBegun(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not_begun"),
        };
        error(status, code, &problem.to_string())
    }
}

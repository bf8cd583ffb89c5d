//! `/api/recordings`: what was recorded, recording, and taking it home.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::library::{Entry, LibraryError};
use super::{Recorder, RecorderError, Status};
use crate::socket::Doors;

/// Bytes of a request's body: a name.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// What is read from the disk at once, for a download.
const PIECE_BYTES: usize = 256 * 1024;

#[derive(Clone)]
struct Api {
    recorder: Arc<Recorder>,
    doors: Arc<Doors>,
}

/// All of it asks for a viewer's authority; orders are taken from pages of ours only.
pub fn router(recorder: Arc<Recorder>, doors: Arc<Doors>) -> Router {
    let api = Api { recorder, doors };
    Router::new()
        .route("/api/recordings", get(list).post(start))
        .route("/api/recordings/stop", post(stop))
        .route("/api/recordings/{name}", get(download).delete(delete))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), let_in))
        .with_state(api)
}

async fn let_in(State(api): State<Api>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if api.doors.auth.viewer(authorization).is_err() {
        let problem = "a valid Authorization: Bearer is needed";
        return error(StatusCode::UNAUTHORIZED, "unauthorized", problem);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !api.doors.origins.admit(headers)
    {
        let problem = "pages of this origin may not give orders here; see the setting `origins`";
        return error(StatusCode::FORBIDDEN, "origin_refused", problem);
    }
    next.run(request).await
}

async fn list(State(api): State<Api>) -> Response {
    let status = api.recorder.status();
    match api.recorder.list().await {
        Ok(entries) => fresh(json!({
            "recordings": entries.iter().map(entry_json).collect::<Vec<_>>(),
            "recording": status.as_ref().map(status_json),
            "bytes_max": api.recorder.bytes_max(),
        }))
        .into_response(),
        Err(problem) => refused(&problem),
    }
}

type Sent = Result<Bytes, BytesRejection>;

async fn start(State(api): State<Api>, headers: HeaderMap, body: Sent) -> Response {
    let name = match name_in(&headers, body) {
        Ok(name) => name,
        Err(response) => return response,
    };
    match api.recorder.start(name).await {
        Ok(status) => (StatusCode::CREATED, fresh(status_json(&status))).into_response(),
        Err(problem) => refused(&problem),
    }
}

async fn stop(State(api): State<Api>, headers: HeaderMap) -> Response {
    if let Err(response) = is_json(&headers) {
        return response;
    }
    match api.recorder.stop().await {
        Ok(entry) => fresh(entry_json(&entry)).into_response(),
        Err(problem) => refused(&problem),
    }
}

type Named = Result<Path<String>, PathRejection>;

async fn delete(State(api): State<Api>, name: Named) -> Response {
    let Ok(Path(name)) = name else { return refused(&LibraryError::BadName.into()) };
    match api.recorder.delete(name).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => refused(&problem),
    }
}

async fn download(State(api): State<Api>, name: Named) -> Response {
    let Ok(Path(name)) = name else { return refused(&LibraryError::BadName.into()) };
    match api.recorder.open(name.clone()).await {
        Ok((file, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, bytes.to_string()),
                // The name's letters need no quoting.
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.mcap\"")),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (headers, Body::from_stream(pieces(file, bytes))).into_response()
        }
        Err(problem) => refused(&problem),
    }
}

/// The file, piece by piece, each read when the one before has gone.
fn pieces(file: File, bytes: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold((file, bytes), |(file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut file = file;
            let mut piece = vec![0; left.min(PIECE_BYTES as u64) as usize];
            let count = file.read(&mut piece)?;
            piece.truncate(count);
            Ok::<_, std::io::Error>((file, piece))
        };
        let (file, piece) =
            tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    })
}

#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
fn is_json(headers: &HeaderMap) -> Result<(), Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let problem = "the content-type must be application/json";
    Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", problem))
}

/// The name in the body, if there is a body and it names one.
#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
fn name_in(headers: &HeaderMap, body: Sent) -> Result<Option<String>, Response> {
    is_json(headers)?;
    let body =
        body.map_err(|rejection| error(rejection.status(), "bad_body", &rejection.body_text()))?;
    let bad = |problem: &str| error(StatusCode::BAD_REQUEST, "bad_json", problem);
    if body.is_empty() {
        return Ok(None);
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&body) else {
        return Err(bad("the body is not a JSON object"));
    };
    let name = match members.remove("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(bad("name: expected a string")),
    };
    match members.keys().next() {
        None => Ok(name),
        Some(key) => {
            let key: String = key.chars().take(80).collect();
            Err(bad(&format!("`{key}`: there is no such key; there is `name`")))
        }
    }
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

fn refused(problem: &RecorderError) -> Response {
    use LibraryError as Of;
    let (status, code) = match problem {
        RecorderError::Library(Of::BadName) => (StatusCode::BAD_REQUEST, "bad_name"),
        RecorderError::Library(Of::Exists { .. }) => (StatusCode::CONFLICT, "already_exists"),
        RecorderError::Library(Of::NotFound { .. }) => {
            (StatusCode::NOT_FOUND, "recording_not_found")
        }
        RecorderError::Library(Of::Io(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
        RecorderError::AlreadyRecording { .. } => (StatusCode::CONFLICT, "already_recording"),
        RecorderError::NotRecording => (StatusCode::CONFLICT, "not_recording"),
        RecorderError::Busy { .. } => (StatusCode::CONFLICT, "being_recorded"),
        RecorderError::NoRoom { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
        RecorderError::NotBegun(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not_begun"),
    };
    error(status, code, &problem.to_string())
}

fn error(status: StatusCode, code: &str, problem: &str) -> Response {
    (status, Json(json!({ "error": problem, "code": code }))).into_response()
}

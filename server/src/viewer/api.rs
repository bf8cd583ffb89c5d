//! `/api/viewers`: minting, changing and taking back tokens (`docs/wire.md` 2.1).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post};
use serde_json::json;

use super::words::{Wishes, read_wishes};
use super::{DeskError, TOKEN_SECONDS, ViewerDesk};
use crate::people::SessionId;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Whether whoever sends these headers may mint: the session they are signed in with, if they are.
pub type Authorise = Arc<dyn Fn(&HeaderMap) -> Option<Option<SessionId>> + Send + Sync>;

#[derive(Clone)]
struct Api {
    desk: Arc<ViewerDesk>,
    authorise: Authorise,
}

/// Minting asks for authority; a token is authority over itself.
pub fn router(desk: Arc<ViewerDesk>, authorise: Authorise) -> Router {
    Router::new()
        .route("/api/viewers", post(mint))
        .route("/api/viewers/{token}", patch(change).delete(take_back))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Api { desk, authorise })
}

type Body = Result<Bytes, BytesRejection>;

async fn mint(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let Some(session) = (api.authorise)(&headers) else {
        return error(StatusCode::UNAUTHORIZED, "a valid Authorization: Bearer is needed");
    };
    let wishes = match wishes(body) {
        Ok(wishes) => wishes,
        Err(response) => return response,
    };
    if wishes.sensors.is_none() {
        return error(StatusCode::BAD_REQUEST, "sensors: is missing");
    }
    match api.desk.mint(wishes, session).await {
        Ok((token, durable)) => granted(&token, Some(durable)),
        Err(problem) => refused(&problem),
    }
}

async fn change(State(api): State<Api>, Path(token): Path<String>, body: Body) -> Response {
    let wishes = match wishes(body) {
        Ok(wishes) => wishes,
        Err(response) => return response,
    };
    match api.desk.change(&token, wishes) {
        Ok(()) => granted(&token, None),
        Err(problem) => refused(&problem),
    }
}

async fn take_back(State(api): State<Api>, Path(token): Path<String>) -> Response {
    match api.desk.delete(&token) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => refused(&problem),
    }
}

#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
fn wishes(body: Body) -> Result<Wishes, Response> {
    let body = body.map_err(|rejection| error(rejection.status(), &rejection.body_text()))?;
    let bad = |problem: &str| error(StatusCode::BAD_REQUEST, problem);
    let text = std::str::from_utf8(&body).map_err(|_| bad("the body is not UTF-8"))?;
    read_wishes(text).map_err(|problem| bad(&problem.to_string()))
}

fn granted(token: &str, durable: Option<bool>) -> Response {
    let topic = format!("viewer:data:{token}");
    let mut body = json!({"token": token, "topic": topic, "expires_in": TOKEN_SECONDS});
    if let Some(durable) = durable {
        body["durable"] = durable.into();
    }
    // A token is a key; nobody between here and there should keep it.
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

fn refused(problem: &DeskError) -> Response {
    match problem {
        DeskError::TooMany => error(StatusCode::TOO_MANY_REQUESTS, "too many viewers"),
        DeskError::Unknown => error(StatusCode::NOT_FOUND, "unknown viewer"),
        DeskError::Hydrating => error(StatusCode::SERVICE_UNAVAILABLE, "hydrating"),
        DeskError::IntakeFull => error(StatusCode::SERVICE_UNAVAILABLE, "busy"),
        DeskError::Bound => error(StatusCode::FORBIDDEN, "sensors: they are the room's"),
        DeskError::NoRandom => error(StatusCode::INTERNAL_SERVER_ERROR, "no random bytes"),
    }
}

fn error(status: StatusCode, problem: &str) -> Response {
    (status, axum::Json(json!({ "error": problem }))).into_response()
}

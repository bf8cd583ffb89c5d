//! Why something is not done, over HTTP, in the original's shape.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::orders;
use crate::socket::Doors;

/// Why not, in the original's shape.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) what: String,
    /// When it may be tried again.
    pub(crate) retry_ms: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, what: &str) -> Self {
        Self { status, code, what: what.to_owned(), retry_ms: None }
    }
}

impl From<orders::Problem> for Refusal {
    fn from(problem: orders::Problem) -> Self {
        let orders::Problem { status, code, what } = problem;
        Self { status, code, what, retry_ms: None }
    }
}

/// Orders come from pages of ours only, and nobody in between keeps an answer.
pub(crate) async fn from_our_pages(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks && !doors.origins.admit(request.headers()) {
        let what = "pages of this origin may not give orders here; see the setting `origins`";
        return Refusal::new(StatusCode::FORBIDDEN, "origin_refused", what).into_response();
    }
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

/// A reason for people.
pub(crate) fn sentence(why: &str) -> &'static str {
    match why {
        "banned" => "You were sent away from this room",
        "already_member" => "Already a member of this room",
        "owner_cannot_leave" => "The owner cannot leave the room; delete it, or have another owner",
        "not_a_member" => "Not a member of this room",
        "not_for_guests" => "Guests cannot do this",
        "cannot_change_owner" => "The owner stays what they are",
        "already_admin" => "An admin already",
        "cannot_kick_owner" => "The owner cannot be sent away",
        "cannot_kick_admin_or_owner" => "Only the owner sends admins away",
        "not_banned" => "Nobody was sent away by this name",
        "already_added" => "The sensor is in the room already",
        "not_shared" => "Whose signal this is has not shared it with you",
        "not_in_room" => "The sensor is not in the room",
        _ => "Not allowed to do this",
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, what, retry_ms } = self;
        let said = Json(json!({ "ok": false, "error": what, "code": code }));
        let mut response = (status, said).into_response();
        if let Some(retry_ms) = retry_ms {
            let seconds = HeaderValue::from(retry_ms.div_ceil(1000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

//! Orders over HTTP: who may give them, what they say in JSON, and why one is not followed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use crate::auth::{Forbidden, Unauthorized};
use crate::listen::Peer;
use crate::socket::Doors;

/// Letters of what a client sent that are said back to it.
const SAID_BACK_MAX: usize = 80;

/// A request's body, read up to its limit.
pub(crate) type Body = Result<Bytes, BytesRejection>;

/// What an order comes to.
pub(crate) type Answer = Result<Response, Problem>;

/// Who may not come in hears why, whatever was asked for: all needs a viewer's authority, and
/// orders are taken from pages of ours only.
pub(crate) async fn let_in(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    if doors.viewer(request.headers()).is_none() {
        return unauthorized().into_response();
    }
    from_our_pages(&doors, request, next).await
}

/// As [`let_in`], and people who are signed in as well: what they may is asked of each thing.
pub(crate) async fn let_people_in(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if doors.viewer(headers).is_none() && doors.person(headers).is_none() {
        return unauthorized().into_response();
    }
    from_our_pages(&doors, request, next).await
}

pub(crate) fn unauthorized() -> Problem {
    let problem = "a valid Authorization: Bearer is needed";
    error(StatusCode::UNAUTHORIZED, "unauthorized", problem)
}

async fn from_our_pages(doors: &Doors, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !doors.origins.admit(headers) {
        return origin_refused().into_response();
    }
    next.run(request).await
}

/// What holds everybody's values is for administrators as soon as anybody has anything private, and for
/// who may look as long as nobody has.
pub(crate) async fn let_in_to_all(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    match doors.consent.is_any() {
        true => let_administrators_in(State(doors), request, next).await,
        false => let_in(State(doors), request, next).await,
    }
}

/// Administrators only ([`Auth::administrator`](crate::auth::Auth::administrator)), and from pages
/// of ours only.
pub(crate) async fn let_administrators_in(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.address);
    let peer = peer.map(|peer| doors.proxies.client(peer, headers));
    let problem = match doors.administrator(headers, peer) {
        Ok(()) if *request.method() == Method::GET || doors.origins.admit(headers) => {
            return next.run(request).await;
        }
        Ok(()) => origin_refused(),
        Err(Forbidden::Token(Unauthorized)) => {
            let problem =
                "an Authorization: Bearer of `admin_tokens` or of an administrator is needed";
            error(StatusCode::UNAUTHORIZED, "unauthorized", problem)
        }
        Err(Forbidden::Nobody) => {
            let problem = "administrators only: set `admin_tokens`, or ask from this machine in \
                           auth mode dev or open";
            error(StatusCode::FORBIDDEN, "forbidden", problem)
        }
    };
    problem.into_response()
}

fn origin_refused() -> Problem {
    let problem = "pages of this origin may not give orders here; see the setting `origins`";
    error(StatusCode::FORBIDDEN, "origin_refused", problem)
}

/// A page of another origin cannot send this type without asking first.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    is_of_type(headers, "application/json")
}

pub(crate) fn is_of_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let problem = format!("the content-type must be {expected}");
    Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", &problem))
}

/// The members of an order.
pub(crate) struct Words(Map<String, Value>);

impl Words {
    /// A JSON object with none but these members.
    pub(crate) fn read(headers: &HeaderMap, body: Body, keys: &[&str]) -> Result<Self, Problem> {
        is_json(headers)?;
        Self::parse(&sent(body)?, keys)
    }

    /// The same of an order that may have no body at all.
    pub(crate) fn read_if_any(
        headers: &HeaderMap,
        body: Body,
        keys: &[&str],
    ) -> Result<Self, Problem> {
        is_json(headers)?;
        let body = sent(body)?;
        if body.is_empty() { Ok(Self(Map::new())) } else { Self::parse(&body, keys) }
    }

    fn parse(body: &[u8], keys: &[&str]) -> Result<Self, Problem> {
        let bad = |problem: &str| error(StatusCode::BAD_REQUEST, "bad_json", problem);
        let members = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(bad("the body is not a JSON object")),
            Err(problem) => return Err(bad(&format!("the body is not JSON: {problem}"))),
        };
        if let Some(unknown) = members.keys().find(|key| !keys.contains(&key.as_str())) {
            let unknown = clip(unknown);
            let problem = match keys {
                [] => format!("`{unknown}`: nothing is said with this order"),
                _ => format!("`{unknown}`: there is no such key; there are {}", keys.join(", ")),
            };
            return Err(error(StatusCode::BAD_REQUEST, "unknown_key", &problem));
        }
        Ok(Self(members))
    }

    pub(crate) fn text(&self, key: &str) -> Result<String, Problem> {
        match self.0.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(bad_value(key, "expected a string")),
            None => Err(is_missing(key)),
        }
    }

    /// The text of a member that need not be there.
    pub(crate) fn text_if_any(&self, key: &str) -> Result<Option<String>, Problem> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.value(key, text, "expected a string")
    }

    /// Whether a member is there, and says that there is nothing.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(Value::is_null)
    }

    pub(crate) fn value<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| bad_value(key, expected)),
        }
    }
}

pub(crate) fn sent(body: Body) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            _ => "bad_body",
        };
        error(rejection.status(), code, &rejection.body_text())
    })
}

pub(crate) fn is_missing(key: &str) -> Problem {
    bad_value(key, "is missing")
}

fn bad_value(key: &str, problem: &str) -> Problem {
    error(StatusCode::BAD_REQUEST, "bad_value", &format!("`{key}`: {problem}"))
}

/// The beginning of what a client said.
pub(crate) fn clip(said: &str) -> String {
    said.chars().take(SAID_BACK_MAX).collect()
}

/// Why an order is not followed: a sentence for people, and a code for programs.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) what: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.what, "code": self.code }))).into_response()
    }
}

pub(crate) fn error(status: StatusCode, code: &'static str, what: &str) -> Problem {
    Problem { status, code, what: what.to_owned() }
}

//! `/api/auth/*` and `/api/me` (`reference/wire.md` 2.3): coming in, coming back, going.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::limits::{self, Door};
use super::session::{ACCESS_SECONDS, LINK_SECONDS, SESSION_SECONDS};
use super::{Granted, People, PeopleError, Person, User};
use crate::auth::bearer;
use crate::listen::Peer;
use crate::metrics::Page;
use crate::orders::{Body, Problem, Words};
use crate::origin::Origins;
use crate::socket::Doors;

/// The access token, for pages of ours.
const ACCESS_COOKIE: &str = "sensocto_api_token";

/// The refresh token; goes to `/api/auth` only.
const REFRESH_COOKIE: &str = "sensocto_refresh";

const NO_TOKEN: &str = "No authorization token provided";
const BAD_TOKEN: &str = "Token verification failed (token may be expired or invalid)";

type Doorway = State<Arc<Doors>>;
type Outcome = Result<Response, Refusal>;

pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/api/auth/register", post(register))
        .route("/api/auth/sign-in", post(sign_in))
        .route("/api/auth/guest", post(guest))
        .route("/api/auth/refresh", post(refresh))
        .route("/api/auth/exchange", post(exchange))
        .route("/api/auth/link", post(link))
        .route("/api/auth/magic-link", post(magic_link))
        .route("/api/auth/sign-out", post(sign_out))
        .route("/api/auth/sign-out-everywhere", post(sign_out_everywhere))
        .route("/api/auth/verify", get(me).post(me))
        .route("/api/me", get(me).patch(rename).delete(delete))
        .route("/api/me/password", put(change_password))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), at_the_door))
        .with_state(doors)
}

/// Who asks, and whether they ask too often; orders come from pages of ours only.
async fn at_the_door(State(doors): Doorway, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks && !doors.origins.admit(headers) {
        let problem = "pages of this origin may not give orders here; see the setting `origins`";
        return Refusal::new(StatusCode::FORBIDDEN, "origin_refused", problem).into_response();
    }
    let Some(peer) = request.extensions().get::<Peer>().map(|peer| peer.0.address) else {
        tracing::error!("a request came from a listener that is not ours");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let from = doors.proxies.client(peer, headers);
    let door = match request.uri().path() {
        "/api/auth/sign-in" | "/api/auth/magic-link" | "/api/me/password" => Some(Door::SignIn),
        "/api/auth/register" => Some(Door::Register),
        "/api/auth/guest" => Some(Door::Guest),
        path if path.starts_with("/api/auth/") => Some(Door::Auth),
        _ => None,
    };
    let knock = door.filter(|_| !looks).map(|door| {
        let (limits, now) = (&doors.people.limits, doors.people.now());
        match door {
            Door::Auth => limits.knock(from, door, now),
            _ => limits.knock_twice((from, door), (from, Door::Auth), now),
        }
    });
    if let Some(standing) = knock.filter(|standing| standing.retry_seconds.is_some()) {
        return standing.refuse();
    }
    request.extensions_mut().insert(From(from));
    let mut response = next.run(request).await;
    if let Some(standing) = knock {
        standing.say(&mut response);
    }
    // A token is a key, and a name is somebody's; nobody between here and there should keep it.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
struct From(IpAddr);

/// Who sends these headers: by its bearer token, else by its cookie, if it is of a page of ours.
pub(crate) fn person(people: &People, origins: &Origins, headers: &HeaderMap) -> Option<Person> {
    let authorization = headers.get(header::AUTHORIZATION);
    match authorization {
        Some(value) => people.by_access(bearer(value.to_str().ok())?),
        None if origins.admit(headers) => people.by_access(cookie(headers, ACCESS_COOKIE)?),
        None => None,
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|it| it.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn known(doors: &Doors, headers: &HeaderMap) -> Result<Person, Refusal> {
    person(&doors.people, &doors.origins, headers).ok_or_else(|| {
        let has_token =
            headers.contains_key(header::AUTHORIZATION) || cookie(headers, ACCESS_COOKIE).is_some();
        let problem = if has_token { BAD_TOKEN } else { NO_TOKEN };
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", problem)
    })
}

async fn register(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let keys = ["email", "password", "display_name", "first_run_token"];
    let words = Words::read(&headers, body, &keys)?;
    let (email, password) = (words.text("email")?, words.text("password")?);
    let name = words.text_if_any("display_name")?;
    let token = words.text_if_any("first_run_token")?;
    let granted =
        doors.people.register(&email, &password, name.as_deref(), token.as_deref()).await?;
    Ok(welcome(StatusCode::CREATED, &granted))
}

async fn sign_in(
    State(doors): Doorway,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let words = Words::read(&headers, body, &["email", "password"])?;
    let (email, password) = (words.text("email")?, words.text("password")?);
    let granted = doors.people.sign_in(&email, &password, from).await?;
    Ok(welcome(StatusCode::OK, &granted))
}

async fn guest(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let words = Words::read_if_any(&headers, body, &["display_name"])?;
    let name = words.text_if_any("display_name")?;
    let granted = doors.people.guest(name.as_deref()).await?;
    Ok(welcome(StatusCode::CREATED, &granted))
}

async fn refresh(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let words = Words::read_if_any(&headers, body, &["refresh_token"])?;
    let said = words.text_if_any("refresh_token")?;
    let token = said.as_deref().or_else(|| cookie(&headers, REFRESH_COOKIE));
    let bad = || Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid or expired token");
    let granted = match doors.people.refresh(token.ok_or_else(bad)?).await {
        Err(PeopleError::BadToken) => return Err(bad()),
        granted => granted?,
    };
    Ok(welcome(StatusCode::OK, &granted))
}

async fn exchange(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let words = Words::read_if_any(&headers, body, &["token"])?;
    let said = words.text_if_any("token")?;
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = said.as_deref().or_else(|| bearer(header)) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_value", "No token provided"));
    };
    let granted = match doors.people.exchange(token).await {
        Err(PeopleError::BadToken) => {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid token"));
        }
        granted => granted?,
    };
    Ok(welcome(StatusCode::OK, &granted))
}

async fn link(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    let token = doors.people.link(&known(&doors, &headers)?)?;
    let url = format!("sensocto://auth?token={token}");
    let said = json!({ "ok": true, "token": token, "expires_in": LINK_SECONDS, "deep_link": url });
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

/// Whether there is such an account is not told.
async fn magic_link(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let words = Words::read(&headers, body, &["email"])?;
    let email = words.text("email")?;
    // Said to everybody or to nobody: whether there is such an account shows in no answer.
    if doors.post.as_ref().is_some_and(|post| !post.is_open()) {
        return Err(PeopleError::MailIsOut.into());
    }
    if let Some(token) = doors.people.mail_link(&email)? {
        match &doors.post {
            Some(post) => post.send_link(email.trim(), &token, LINK_SECONDS / 60),
            // Who runs this for themselves reads it here.
            None => {
                tracing::info!(email, page = %format!("/#/enter/{token}"), "who opens this is signed in, once");
            }
        }
    }
    let by = if doors.post.is_some() { "mail" } else { "log" };
    let said = json!({ "ok": true, "expires_in": LINK_SECONDS, "by": by });
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

async fn sign_out(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    doors.people.end(known(&doors, &headers)?.session);
    Ok(farewell(1))
}

async fn sign_out_everywhere(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    Words::read_if_any(&headers, body, &[])?;
    Ok(farewell(doors.people.end_all(&known(&doors, &headers)?.id).await))
}

async fn me(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let person = known(&doors, &headers)?;
    let user = doors.people.user(&person.id).ok_or(PeopleError::BadToken)?;
    Ok(Json(json!({ "ok": true, "user": told(&user) })).into_response())
}

async fn rename(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let person = known(&doors, &headers)?;
    let words = Words::read(&headers, body, &["display_name"])?;
    let user = doors.people.rename(&person.id, &words.text("display_name")?).await?;
    Ok(Json(json!({ "ok": true, "user": told(&user) })).into_response())
}

async fn change_password(
    State(doors): Doorway,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let person = known(&doors, &headers)?;
    let words = Words::read(&headers, body, &["old_password", "password"])?;
    let (old, new) = (words.text("old_password")?, words.text("password")?);
    doors.people.change_password(&person, &old, &new, from).await?;
    Ok(Json(json!({ "ok": true })).into_response())
}

async fn delete(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    doors.people.delete(&known(&doors, &headers)?.id).await?;
    Ok(farewell(1))
}

fn told(user: &User) -> Value {
    let User { id, email, display_name, role } = user;
    json!({ "id": **id, "email": email, "display_name": display_name, "role": role.name() })
}

/// What somebody has in hand from now on.
fn welcome(status: StatusCode, granted: &Granted) -> Response {
    let Granted { user, access, socket, refresh, durable, .. } = granted;
    let mut said = json!({
        "ok": true,
        "token": access,
        "socket_token": socket,
        "expires_in": ACCESS_SECONDS,
        "user": told(user),
    });
    let mut cookies = vec![access_cookie(access, ACCESS_SECONDS)];
    if let Some(refresh) = refresh {
        said["refresh_token"] = (**refresh).into();
        said["refresh_expires_in"] = SESSION_SECONDS.into();
        said["durable"] = (*durable).into();
        cookies.push(refresh_cookie(refresh, SESSION_SECONDS));
    }
    with_cookies((status, Json(said)).into_response(), &cookies)
}

fn farewell(ended: usize) -> Response {
    let said = Json(json!({ "ok": true, "sessions_ended": ended })).into_response();
    with_cookies(said, &[access_cookie("", 0), refresh_cookie("", 0)])
}

fn access_cookie(token: &str, seconds: u64) -> String {
    let rest = "Path=/api; HttpOnly; Secure; SameSite=Lax";
    format!("{ACCESS_COOKIE}={token}; Max-Age={seconds}; {rest}")
}

fn refresh_cookie(token: &str, seconds: u64) -> String {
    let rest = "Path=/api/auth; HttpOnly; Secure; SameSite=Strict";
    format!("{REFRESH_COOKIE}={token}; Max-Age={seconds}; {rest}")
}

fn with_cookies(mut response: Response, cookies: &[String]) -> Response {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// What `/metrics` says of it.
pub(crate) fn measure(page: &mut Page, people: &People) {
    let figures = people.figures();
    page.gauge("accounts", "Accounts with an address.", figures.accounts);
    page.gauge("guests", "Guests that were seen lately.", figures.guests);
    page.gauge("sessions_signed_in", "Sessions of people and guests.", figures.sessions);
    page.counter("sign_ins_total", "Right passwords.", figures.signed_in);
    page.counter("sign_ins_wrong_total", "Wrong passwords.", figures.wrong);
    page.counter(
        "sign_ins_slowed_total",
        "Passwords not looked at, for too many wrong ones before.",
        figures.slowed,
    );
    page.counter(
        "sign_ins_busy_total",
        "Passwords not looked at, because too many waited.",
        figures.busy,
    );
    page.counter(
        "refresh_tokens_reused_total",
        "Sessions ended because a refresh token came twice.",
        figures.reused,
    );
    page.head("auth_requests_limited_total", "counter", "Requests refused as too many, by door.");
    for door in Door::ALL {
        page.sample(
            "auth_requests_limited_total",
            &[("door", door.name())],
            people.limits.refused(door),
        );
    }
}

/// Why somebody does not come in, in the original's shape.
pub(crate) enum Refusal {
    Said {
        status: StatusCode,
        code: &'static str,
        what: String,
    },
    /// Seconds until it may be tried again.
    Wait(u64),
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, what: &str) -> Self {
        Self::Said { status, code, what: what.to_owned() }
    }
}

impl std::convert::From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let Problem { status, code, what } = problem;
        Self::Said { status, code, what }
    }
}

impl std::convert::From<PeopleError> for Refusal {
    fn from(error: PeopleError) -> Self {
        let (status, code, what) = match error {
            PeopleError::Guessing { retry } => {
                return Self::Wait((retry.as_millis() as u64).div_ceil(1000).max(1));
            }
            PeopleError::Hydrating => (
                StatusCode::SERVICE_UNAVAILABLE,
                "hydrating",
                "what is kept of people is not here yet: look at /health/ready",
            ),
            PeopleError::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many sign in: try again soon")
            }
            PeopleError::Wrong => (
                StatusCode::UNAUTHORIZED,
                "wrong_credentials",
                "the address or the password is wrong",
            ),
            PeopleError::BadToken => (StatusCode::UNAUTHORIZED, "unauthorized", BAD_TOKEN),
            PeopleError::EmailTaken => {
                (StatusCode::CONFLICT, "email_taken", "there is an account with this address")
            }
            PeopleError::MailIsOut => (
                StatusCode::SERVICE_UNAVAILABLE,
                "mail_unavailable",
                "mail cannot be sent now: try again soon, or sign in with your password",
            ),
            PeopleError::NoMail => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_mail",
                "this server sends no mail: sign in with your password",
            ),
            PeopleError::RegistrationClosed => (
                StatusCode::FORBIDDEN,
                "registration_closed",
                "accounts are not for everybody here; see the setting `registration`",
            ),
            PeopleError::GuestsRefused => (
                StatusCode::FORBIDDEN,
                "guests_refused",
                "guests do not come in here; see the setting `guests`",
            ),
            PeopleError::BadFirstRunToken => (
                StatusCode::FORBIDDEN,
                "bad_first_run_token",
                "`first_run_token`: this is not it, or there is an administrator already",
            ),
            PeopleError::TooMany => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many", "there are too many already")
            }
            PeopleError::Word(error) => {
                return Self::Said {
                    status: StatusCode::BAD_REQUEST,
                    code: "bad_value",
                    what: error.to_string(),
                };
            }
            PeopleError::NotForGuests => {
                (StatusCode::FORBIDDEN, "not_for_guests", "a guest has no password")
            }
            PeopleError::NoRandom => {
                (StatusCode::INTERNAL_SERVER_ERROR, "no_random", "no random bytes")
            }
            PeopleError::Refused(refused) => {
                return Self::Said {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    code: "store_unavailable",
                    what: refused.to_string(),
                };
            }
        };
        Self::new(status, code, what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Said { status, code, what } => {
                let said = json!({ "ok": false, "error": what, "code": code });
                (status, Json(said)).into_response()
            }
            Self::Wait(seconds) => limits::too_many(seconds),
        }
    }
}

//! `/api/simulator`: which worlds there are and which run; starting, stopping and changing them
//! (`docs/simulator.md`).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Map, Value, json};
use simulator::scenario::Scenario;
use simulator::stage::{CHECK_EVERY_MS, Health, Running, SPEED_MAX, SPEED_MIN, StageError};

use super::library::NotFound;
use super::{Change, Refused, SEED_DEFAULT, Simulator, Stopped};
use crate::viewer::api::Authorise;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Letters of what a client sent that are said back to it.
const SAID_BACK_MAX: usize = 80;

/// Sensors that are named in the answer to a stop.
const LEFT_NAMED_MAX: usize = 20;

/// Whether a web page that is named in these headers may give orders here.
pub type Admit = Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

#[derive(Clone)]
struct Api {
    simulator: Arc<Simulator>,
    authorise: Authorise,
    admit: Admit,
}

/// All of it asks for a viewer's authority; orders are taken from pages of ours only.
pub fn router(simulator: Arc<Simulator>, authorise: Authorise, admit: Admit) -> Router {
    let api = Api { simulator, authorise, admit };
    let order = |method: MethodRouter<Api>| method.fallback(wrong_method);
    Router::new()
        .route("/api/simulator", order(get(show)))
        .route("/api/simulator/start", order(post(start)))
        .route("/api/simulator/switch", order(post(switch)))
        .route("/api/simulator/stop", order(post(stop)))
        .route("/api/simulator/pause", order(post(pause)))
        .route("/api/simulator/resume", order(post(resume)))
        .route("/api/simulator/speed", order(post(speed)))
        .route("/api/simulator/seek", order(post(seek)))
        .route("/api/simulator/check", order(post(check)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), let_in))
        .with_state(api)
}

/// Who may not come in hears why, whatever was asked for.
async fn let_in(State(api): State<Api>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !(api.authorise)(authorization) {
        let problem = "a valid Authorization: Bearer is needed";
        return error(StatusCode::UNAUTHORIZED, "unauthorized", problem);
    }
    if request.method() != axum::http::Method::GET && !(api.admit)(headers) {
        let problem = "pages of this origin may not give orders here; see the setting `origins`";
        return error(StatusCode::FORBIDDEN, "origin_refused", problem);
    }
    next.run(request).await
}

async fn wrong_method() -> Response {
    let problem = "not by this method: GET /api/simulator shows, POST on what is under it orders";
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem)
}

async fn show(State(api): State<Api>) -> Response {
    let listed = api.simulator.library().listed().await;
    let status = api.simulator.status();
    let body = json!({
        "scenarios": listed.entries,
        "running": status.running.iter().map(running_json).collect::<Vec<_>>(),
        "health": health_json(&status.health),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

type Body = Result<Bytes, BytesRejection>;

async fn start(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    answer(wish(&api, &headers, body).await, |wish| async move {
        api.simulator.start(wish.scenario, wish.seed, wish.speed).await.map(created)
    })
    .await
}

async fn switch(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    answer(wish(&api, &headers, body).await, |wish| async move {
        api.simulator.switch(wish.scenario, wish.seed, wish.speed).await.map(created)
    })
    .await
}

async fn stop(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let id = Words::read(&headers, body, &["id"]).and_then(|words| words.text("id"));
    answer(id, |id| async move {
        let id = (id != "*").then_some(id);
        api.simulator.stop(id).await.map(|stopped| Json(stopped_json(&stopped)).into_response())
    })
    .await
}

async fn pause(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let id = Words::read(&headers, body, &["id"]).and_then(|words| words.text("id"));
    answer(id, |id| change(api, id, Change::Pause)).await
}

async fn resume(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let id = Words::read(&headers, body, &["id"]).and_then(|words| words.text("id"));
    answer(id, |id| change(api, id, Change::Resume)).await
}

async fn speed(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let wish = Words::read(&headers, body, &["id", "speed"])
        .and_then(|words| Ok((words.text("id")?, words.speed()?)));
    answer(wish, |(id, speed)| async move {
        match speed {
            Some(speed) => change(api, id, Change::Speed(speed)).await,
            None => Ok(bad_value("speed", "is missing")),
        }
    })
    .await
}

async fn seek(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let wish = Words::read(&headers, body, &["id", "position_ms"])
        .and_then(|words| Ok((words.text("id")?, words.milliseconds("position_ms")?)));
    answer(wish, |(id, position_ms)| async move {
        match position_ms {
            Some(position_ms) => change(api, id, Change::Seek(position_ms)).await,
            None => Ok(bad_value("position_ms", "is missing")),
        }
    })
    .await
}

async fn check(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    answer(Words::read(&headers, body, &[]), |_| async move {
        let health = api.simulator.check().await?;
        Ok(Json(health_json(&health)).into_response())
    })
    .await
}

async fn change(api: Api, id: String, change: Change) -> Result<Response, Refused> {
    let running = api.simulator.change(id, change).await?;
    Ok(Json(running_json(&running)).into_response())
}

/// The answer to an order: what was wrong with its words, or what became of it.
async fn answer<T, F>(words: Result<T, Response>, follow: impl FnOnce(T) -> F) -> Response
where
    F: Future<Output = Result<Response, Refused>>,
{
    match words {
        Ok(words) => follow(words).await.unwrap_or_else(|problem| refused(&problem)),
        Err(response) => response,
    }
}

/// What is to be started.
struct Wish {
    scenario: Scenario,
    seed: u64,
    speed: f64,
}

async fn wish(api: &Api, headers: &HeaderMap, body: Body) -> Result<Wish, Response> {
    let words = Words::read(headers, body, &["scenario", "seed", "speed"])?;
    let name = words.text("scenario")?;
    let seed = words.seed()?.unwrap_or(SEED_DEFAULT);
    let speed = words.speed()?.unwrap_or(1.0);
    match api.simulator.library().find(&name).await {
        Ok(scenario) => Ok(Wish { scenario, seed, speed }),
        Err(NotFound::Invalid(what)) => {
            Err(error(StatusCode::UNPROCESSABLE_ENTITY, "scenario_invalid", &what))
        }
        Err(NotFound::Unknown { suggestion }) => {
            let name = clip(&name);
            let what = match suggestion {
                Some(near) => format!("there is no scenario `{name}`; did you mean `{near}`?"),
                None => format!("there is no scenario `{name}`; GET /api/simulator lists them"),
            };
            Err(error(StatusCode::NOT_FOUND, "scenario_not_found", &what))
        }
    }
}

/// The members of an order.
struct Words(Map<String, Value>);

#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
impl Words {
    /// A JSON object with none but these members.
    fn read(headers: &HeaderMap, body: Body, keys: &[&str]) -> Result<Self, Response> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let problem = "the content-type must be application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(error(status, "unsupported_media_type", problem));
        }
        let body = body.map_err(|rejection| {
            let code = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
                _ => "bad_body",
            };
            error(rejection.status(), code, &rejection.body_text())
        })?;
        let bad = |problem: &str| error(StatusCode::BAD_REQUEST, "bad_json", problem);
        let members = match serde_json::from_slice(&body) {
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

    fn text(&self, key: &str) -> Result<String, Response> {
        match self.0.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(bad_value(key, "expected a string")),
            None => Err(bad_value(key, "is missing")),
        }
    }

    fn seed(&self) -> Result<Option<u64>, Response> {
        let expected = "expected a whole number from 0 to 18446744073709551615";
        self.number("seed", Value::as_u64, expected)
    }

    fn speed(&self) -> Result<Option<f64>, Response> {
        let within = |value: &Value| value.as_f64().filter(|x| (SPEED_MIN..=SPEED_MAX).contains(x));
        self.number("speed", within, &format!("expected a number from {SPEED_MIN} to {SPEED_MAX}"))
    }

    fn milliseconds(&self, key: &str) -> Result<Option<i64>, Response> {
        let within = |value: &Value| value.as_i64().filter(|ms| *ms >= 0);
        self.number(key, within, "expected milliseconds, a whole number from 0")
    }

    fn number<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Response> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| bad_value(key, expected)),
        }
    }
}

fn bad_value(key: &str, problem: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "bad_value", &format!("`{key}`: {problem}"))
}

fn refused(problem: &Refused) -> Response {
    let (status, code) = match problem {
        Refused::Stage(error @ StageError::NotRunning { .. }) => {
            (StatusCode::NOT_FOUND, error.code())
        }
        Refused::Stage(StageError::Speed) => (StatusCode::BAD_REQUEST, "bad_value"),
        Refused::Stage(error) => (StatusCode::CONFLICT, error.code()),
        Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Refused::NotInTime => (StatusCode::GATEWAY_TIMEOUT, "not_in_time"),
    };
    error(status, code, &problem.to_string())
}

fn created(running: Running) -> Response {
    (StatusCode::CREATED, Json(running_json(&running))).into_response()
}

fn running_json(running: &Running) -> Value {
    json!({
        "id": &*running.id,
        "kind": "scenario",
        "name": &*running.name,
        "state": running.condition.name(),
        "seed": running.seed,
        "speed": running.speed,
        "sensors": running.sensors,
        "sensors_live": running.sensors_live,
        "samples_per_second": running.samples_per_second,
        "started_at": running.started_at.0,
        "position_ms": running.position_ms,
        "duration_ms": null,
        "recorded_at": null,
        "stamped_at": running.stamped_at.0,
        "skipped_ms": running.skipped_ms,
    })
}

fn health_json(health: &Health) -> Value {
    let missing = health.missing.iter().map(|missing| {
        json!({
            "sensor_id": &*missing.sensor_id,
            "id": &*missing.act,
            "why": missing.why.sentence(),
        })
    });
    json!({
        "checked_at": health.checked_at.map(|at| at.0),
        "every_ms": CHECK_EVERY_MS,
        "ok": health.is_ok(),
        "orphan_count": health.orphan_count,
        "orphans": words(&health.orphans),
        "missing_count": health.missing_count,
        "missing": missing.collect::<Vec<_>>(),
        "repaired": health.repaired,
    })
}

fn stopped_json(stopped: &Stopped) -> Value {
    json!({
        "stopped": words(&stopped.stopped),
        "took_ms": stopped.took_ms,
        "left_count": stopped.left.len(),
        "left": words(&stopped.left[..stopped.left.len().min(LEFT_NAMED_MAX)]),
        "still_stopping": words(&stopped.still_stopping),
    })
}

fn words(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// The beginning of what a client said.
fn clip(said: &str) -> String {
    said.chars().take(SAID_BACK_MAX).collect()
}

fn error(status: StatusCode, code: &str, problem: &str) -> Response {
    (status, Json(json!({ "error": problem, "code": code }))).into_response()
}

//! `/api/simulator`: which worlds there are and which run; starting, stopping and changing them
//! (`docs/simulator.md`).

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};
use simulator::scenario::{Scenario, ScenarioError};
use simulator::stage::{CHECK_EVERY_MS, Health, Running, SPEED_MAX, SPEED_MIN, StageError};

use super::residents::Residents;
use super::{Change, Refused, Simulator, Stopped};
use crate::can::Action;
use crate::orders::{Answer, Body, Problem, Words, clip, error, is_missing, let_in, let_in_to_all};
use crate::recorder::library::Library as Recordings;
use crate::rooms::{Asker, RoomError, RoomId, SENSOR_COUNT_MAX};
use crate::socket::Doors;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Sensors that are named in the answer to a stop.
const LEFT_NAMED_MAX: usize = 20;

#[derive(Clone)]
struct Api {
    simulator: Arc<Simulator>,
    recordings: Arc<Recordings>,
    residents: Arc<Residents>,
    doors: Arc<Doors>,
}

/// All of it asks for a viewer's authority; orders are taken from pages of ours only.
pub fn router(
    simulator: Arc<Simulator>,
    residents: Arc<Residents>,
    recordings: Arc<Recordings>,
    doors: Arc<Doors>,
) -> Router {
    let api = Api { simulator, recordings, residents, doors: Arc::clone(&doors) };
    let order = |method: MethodRouter<Api>| method.fallback(wrong_method);
    let all = middleware::from_fn_with_state(Arc::clone(&doors), let_in_to_all);
    Router::new()
        .route("/api/simulator", order(get(show)))
        .route("/api/simulator/start", order(post(start)))
        .route("/api/simulator/switch", order(post(switch)))
        .route("/api/simulator/stop", order(post(stop)))
        .route("/api/simulator/pause", order(post(pause)))
        .route("/api/simulator/resume", order(post(resume)))
        .route("/api/simulator/speed", order(post(speed)))
        .route("/api/simulator/seek", order(post(seek)))
        .route("/api/simulator/replay", order(post(replay).layer(all)))
        .route("/api/simulator/check", order(post(check)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(doors, let_in))
        .with_state(api)
}

async fn wrong_method() -> Problem {
    let problem = "not by this method: GET /api/simulator shows, POST on what is under it orders";
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem)
}

async fn show(State(api): State<Api>) -> Response {
    let listed = api.simulator.library().listed().await;
    let status = api.simulator.status();
    let body = json!({
        "scenarios": *listed,
        "running": status.running.iter().map(|on| api.told(on)).collect::<Vec<_>>(),
        "health": health_json(&status.health),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn start(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let wish = wish(&api, &headers, body).await?;
    let running = api.simulator.start(wish.scenario, wish.seed, wish.speed).await?;
    Ok(api.settled(&running, wish.home))
}

async fn switch(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let wish = wish(&api, &headers, body).await?;
    let running = api.simulator.switch(wish.scenario, wish.seed, wish.speed).await?;
    Ok(api.settled(&running, wish.home))
}

async fn stop(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let id = Words::read(&headers, body, &["id"])?.text("id")?;
    let stopped = api.simulator.stop((id != "*").then_some(id)).await?;
    Ok(Json(stopped_json(&stopped)).into_response())
}

async fn pause(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let id = Words::read(&headers, body, &["id"])?.text("id")?;
    change(&api, id, Change::Pause).await
}

async fn resume(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let id = Words::read(&headers, body, &["id"])?.text("id")?;
    change(&api, id, Change::Resume).await
}

async fn speed(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let words = Words::read(&headers, body, &["id", "speed"])?;
    let (id, speed) = (words.text("id")?, words.speed()?);
    change(&api, id, Change::Speed(speed.ok_or_else(|| is_missing("speed"))?)).await
}

async fn seek(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let words = Words::read(&headers, body, &["id", "position_ms"])?;
    let (id, position_ms) = (words.text("id")?, words.milliseconds("position_ms")?);
    let position_ms = position_ms.ok_or_else(|| is_missing("position_ms"))?;
    Ok(Json(api.told(&api.simulator.seek(id, position_ms).await?)).into_response())
}

async fn replay(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    let words = Words::read(&headers, body, &["recording", "speed", "from_ms"])?;
    let name = words.text("recording")?;
    let speed = words.speed()?.unwrap_or(1.0);
    let from_ms = words.milliseconds("from_ms")?.unwrap_or(0);
    let (recordings, called) = (Arc::clone(&api.recordings), name.clone());
    let found = tokio::task::spawn_blocking(move || recordings.path_of(&called)).await;
    let file = found.map_err(|_| Refused::Busy)??;
    Ok(api.created(&api.simulator.replay(name, file, speed, from_ms).await?))
}

async fn check(State(api): State<Api>, headers: HeaderMap, body: Body) -> Answer {
    Words::read(&headers, body, &[])?;
    let health = api.simulator.check().await?;
    api.residents.look();
    Ok(Json(health_json(&health)).into_response())
}

async fn change(api: &Api, id: String, change: Change) -> Answer {
    Ok(Json(api.told(&api.simulator.change(id, change).await?)).into_response())
}

/// What is to be started.
struct Wish {
    scenario: Scenario,
    seed: u64,
    speed: f64,
    home: Option<Home>,
}

/// The room it is for, who brings it there, and what.
struct Home {
    room: RoomId,
    asker: Asker,
    sensors: Arc<[Box<str>]>,
}

impl Api {
    /// The room that is named, if the asker's devices may measure there and it has a place for all of them.
    fn home(
        &self,
        headers: &HeaderMap,
        room: &str,
        scenario: &Scenario,
        seed: u64,
    ) -> Result<Home, Problem> {
        let asker = self.doors.asker(headers);
        let room = self.doors.rooms.judge_named(&asker, room, Action::BringSensor)?;
        if scenario.summary().sensors > SENSOR_COUNT_MAX {
            return Err(RoomError::TooMany("sensors").into());
        }
        Ok(Home { room, asker, sensors: sensor_ids(scenario, seed) })
    }

    fn settled(&self, running: &Running, home: Option<Home>) -> Response {
        if let Some(Home { room, asker, sensors }) = home {
            self.residents.settle(running, room, Some(asker), sensors);
        }
        self.created(running)
    }

    fn created(&self, running: &Running) -> Response {
        (StatusCode::CREATED, Json(self.told(running))).into_response()
    }

    fn told(&self, running: &Running) -> Value {
        running_json(running, self.residents.told(&running.id))
    }
}

/// Of all that it simulates.
pub(crate) fn sensor_ids(scenario: &Scenario, seed: u64) -> Arc<[Box<str>]> {
    scenario.cast(seed).sensors.iter().map(|sensor| (*sensor.card.sensor_id).into()).collect()
}

async fn wish(api: &Api, headers: &HeaderMap, body: Body) -> Result<Wish, Problem> {
    let words = Words::read(headers, body, &["scenario", "seed", "speed", "room"])?;
    let (name, room) = (words.text("scenario")?, words.text_if_any("room")?);
    let (seed, speed) = (words.seed()?, words.speed()?.unwrap_or(1.0));
    let scenario = api.simulator.library().find(&name).await?;
    let seed = seed.unwrap_or(scenario.seed);
    let home = room.map(|room| api.home(headers, &room, &scenario, seed)).transpose()?;
    Ok(Wish { scenario, seed, speed, home })
}

impl Words {
    fn seed(&self) -> Result<Option<u64>, Problem> {
        let expected = "expected a whole number from 0 to 18446744073709551615";
        self.value("seed", Value::as_u64, expected)
    }

    fn speed(&self) -> Result<Option<f64>, Problem> {
        let within = |value: &Value| value.as_f64().filter(|x| (SPEED_MIN..=SPEED_MAX).contains(x));
        self.value("speed", within, &format!("expected a number from {SPEED_MIN} to {SPEED_MAX}"))
    }

    fn milliseconds(&self, key: &str) -> Result<Option<u64>, Problem> {
        self.value(key, Value::as_u64, "expected milliseconds, a whole number from 0")
    }
}

impl From<ScenarioError> for Problem {
    fn from(problem: ScenarioError) -> Self {
        match problem {
            ScenarioError::NotFound { what, name } => {
                let what = format!("scenario `{}`: {what}", clip(&name));
                error(StatusCode::NOT_FOUND, "scenario_not_found", &what)
            }
            ScenarioError::Unreadable { .. } | ScenarioError::Invalid(_) => {
                let what = problem.to_string();
                error(StatusCode::UNPROCESSABLE_ENTITY, "scenario_invalid", &what)
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(problem: Refused) -> Self {
        let (status, code) = match &problem {
            Refused::Stage(error @ StageError::NotRunning { .. }) => {
                (StatusCode::NOT_FOUND, error.code())
            }
            Refused::Stage(StageError::Speed) => (StatusCode::BAD_REQUEST, "bad_value"),
            Refused::Stage(error) => (StatusCode::CONFLICT, error.code()),
            Refused::Recording(_) => (StatusCode::UNPROCESSABLE_ENTITY, "recording_invalid"),
            Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Refused::NotInTime => (StatusCode::GATEWAY_TIMEOUT, "not_in_time"),
        };
        error(status, code, &problem.to_string())
    }
}

fn running_json(running: &Running, room: Value) -> Value {
    let replay = running.replay.as_ref();
    json!({
        "id": &*running.id,
        "kind": if replay.is_some() { "replay" } else { "scenario" },
        "name": &*running.name,
        "state": running.condition.name(),
        "seed": running.seed,
        "speed": running.speed,
        "sensors": running.sensors,
        "sensors_live": running.sensors_live,
        "samples_per_second": running.samples_per_second,
        "started_at": running.started_at.0,
        "position_ms": running.position_ms,
        "duration_ms": replay.map(|replay| replay.duration_ms),
        "recorded_at": replay.map(|replay| replay.recorded_at.0),
        "stamped_at": running.stamped_at.0,
        "skipped_ms": running.skipped_ms,
        "room": room,
        "error": replay.and_then(|replay| replay.broken.as_deref()),
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

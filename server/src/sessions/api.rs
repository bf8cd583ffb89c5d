//! `/api/synchrony/sessions`: recording a group, and what it came to.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json};
use axum::routing::{MethodRouter, get, post};
use components::attribute::is_attribute_id;
use components::command::SensorSet;
use components::group::{Signal, Tier, Unmeasurable};
use components::limits::NAME_BYTES_MAX;
use engine::sense::significance::{Method, SURROGATE_COUNT_MAX, SURROGATE_COUNT_MIN};
use serde_json::{Value, json};
use simulator::synchrony::Condition;

use super::shelf::{FILES, KEPT_COUNT_MAX};
use super::{
    NullWish, ReportWish, SESSION_COUNT_MAX, SESSION_PEOPLE_MAX, SessionError, Sessions, Stage,
    Status, Wish,
};
use crate::can::{Action, Denied, Who};
use crate::orders::{self, Answer, Problem, Words, error, let_people_in};
use crate::pieces::pieces;
use crate::refusal::Refusal;
use crate::rooms::{RoomError, RoomId};
use crate::socket::Doors;

/// Bytes of a request's body: the ids of as many people as there may be.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// A report is a page of its own, with nothing from elsewhere, and its style within it.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

#[derive(Clone)]
struct Api {
    sessions: Arc<Sessions>,
    doors: Arc<Doors>,
}

/// What somebody wants of a session.
#[derive(Clone, Copy)]
enum Errand {
    Look,
    /// To start, stop or delete it.
    Lead,
}

impl Api {
    /// Whether whoever sends these headers may. Sessions in a room are for who may watch there, and
    /// led by its owner and admins; all others ask for a viewer's authority. Of what they may not
    /// see they hear that it is not there.
    fn judge(
        &self,
        headers: &HeaderMap,
        room: Option<&str>,
        errand: Errand,
    ) -> Result<(), Problem> {
        let Some(room) = room else {
            let may = self.doors.viewer(headers).is_some();
            return if may { Ok(()) } else { Err(orders::unauthorized()) };
        };
        let asker = self.doors.asker(headers);
        let judge = |action| self.doors.rooms.judge_named(&asker, room, action);
        let judged = judge(Action::Watch).and_then(|room| match errand {
            Errand::Look => Ok(room),
            Errand::Lead => judge(Action::Edit),
        });
        match judged {
            // Its room is gone: what was recorded there is not.
            Err(RoomError::Denied(Denied::NotFound)) if asker.who == Who::Administrator => Ok(()),
            judged => judged.map(|_| ()).map_err(Problem::from),
        }
    }

    /// The same of a session by its name.
    async fn judge_session(
        &self,
        headers: &HeaderMap,
        name: &str,
        errand: Errand,
    ) -> Result<(), Problem> {
        let room = match self.sessions.status(name) {
            Some(status) => status.room.map(|room| room.to_string()),
            None => {
                let kept = name.to_owned();
                let report = blocking(self, move |sessions| sessions.shelf().report(&kept)).await;
                match report {
                    Ok(report) => report["room"].as_str().map(str::to_owned),
                    // Broken ones are looked at and deleted by whoever may see all.
                    Err(SessionError::Io(_)) => None,
                    Err(error) => {
                        self.judge(headers, None, errand)?;
                        return Err(error.into());
                    }
                }
            }
        };
        self.judge(headers, room.as_deref(), errand).map_err(|problem| match problem.status {
            StatusCode::NOT_FOUND => SessionError::NotFound { name: name.to_owned() }.into(),
            _ => problem,
        })
    }
}

/// Orders are taken from pages of ours only.
pub fn router(sessions: Arc<Sessions>, doors: Arc<Doors>) -> Router {
    let order = |method: MethodRouter<Api>| method.fallback(wrong_method);
    Router::new()
        .route("/api/synchrony/sessions", order(get(list).post(start)))
        .route("/api/synchrony/sessions/{name}", order(get(show).delete(delete)))
        .route("/api/synchrony/sessions/{name}/stop", order(post(stop)))
        .route("/api/synchrony/sessions/{name}/{file}", order(get(download)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), let_people_in))
        .with_state(Api { sessions, doors })
}

async fn wrong_method() -> Problem {
    let problem =
        "not by this method: GET lists and fetches, POST starts and stops, DELETE deletes";
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem)
}

async fn list(State(api): State<Api>, headers: HeaderMap) -> Answer {
    let may = |room: Option<&str>| api.judge(&headers, room, Errand::Look).is_ok();
    let going = api.sessions.list().into_iter();
    let going: Vec<Value> = going
        .filter(|status| may(status.room.map(|room| room.to_string()).as_deref()))
        .map(|status| status_json(&status))
        .collect();
    let kept = blocking(&api, |sessions| {
        let kept = |name: &String| match sessions.shelf().report(name) {
            Ok(report) => summary(name, &report),
            Err(error) => json!({ "name": name, "state": "broken", "why": error.to_string() }),
        };
        Ok(sessions.shelf().names()?.iter().map(kept).collect::<Vec<_>>())
    });
    let mut kept = kept.await?;
    kept.retain(|summary| may(summary["room"].as_str()));
    let body = json!({
        "sessions": going.into_iter().chain(kept).collect::<Vec<_>>(),
        "running_max": SESSION_COUNT_MAX,
        "kept_max": KEPT_COUNT_MAX,
        "people_max": SESSION_PEOPLE_MAX,
    });
    Ok(fresh(body).into_response())
}

async fn start(State(api): State<Api>, headers: HeaderMap, body: orders::Body) -> Answer {
    let keys = ["name", "signal", "tier", "sensors", "attribute", "condition", "room"];
    let words = Words::read_if_any(&headers, body, &keys)?;
    let signal = one_of(&words, "signal", Signal::ALL.map(|signal| (signal.name(), signal)))?
        .unwrap_or_default();
    let tier =
        one_of(&words, "tier", Tier::ALL.map(|tier| (tier.name(), tier)))?.unwrap_or_default();
    let conditions = Condition::ALL.map(|condition| (condition.name(), condition));
    let condition = one_of(&words, "condition", conditions)?.unwrap_or_default();
    let attribute = |value: &Value| value.as_str().filter(|id| is_attribute_id(id)).map(Box::from);
    let usual = if signal.is_of_heart() { "ecg" } else { "respiration" };
    let attribute_id = words
        .value("attribute", attribute, "expected the id of an attribute")?
        .unwrap_or(usual.into());
    let expected = format!("expected \"all\" or a list of up to {SESSION_PEOPLE_MAX} sensor ids");
    let sensors = words.value("sensors", sensors, &expected)?;
    let room = words.text_if_any("room")?;
    api.judge(&headers, room.as_deref(), Errand::Lead)?;
    let room = room.as_deref().and_then(RoomId::parse);
    let sensors = match (room, sensors) {
        (Some(room), sensors) => {
            let here = api.doors.rooms.sensors_in(room);
            in_room(here, sensors)?
        }
        (None, sensors) => sensors.unwrap_or(SensorSet::All),
    };
    let name = words.text_if_any("name")?;
    let wish = Wish { name, signal, tier, sensors, attribute_id, condition, room };
    let status = blocking(&api, move |sessions| sessions.start(wish)).await?;
    Ok((StatusCode::CREATED, fresh(status_json(&status))).into_response())
}

/// Those of a room that are meant: all of them, or some.
fn in_room(here: BTreeSet<Box<str>>, meant: Option<SensorSet>) -> Result<SensorSet, Problem> {
    let ids: Vec<Box<str>> = match meant {
        None | Some(SensorSet::All) => here.into_iter().collect(),
        Some(SensorSet::Ids(ids)) => match ids.iter().find(|id| !here.contains(*id)) {
            Some(absent) => {
                let what = format!("`sensors`: `{}` is not in the room", orders::clip(absent));
                return Err(error(StatusCode::BAD_REQUEST, "bad_value", &what));
            }
            None => ids,
        },
    };
    if ids.is_empty() {
        let what = "nothing is measured in this room now";
        return Err(error(StatusCode::CONFLICT, "empty_room", what));
    }
    Ok(SensorSet::Ids(ids))
}

fn sensors(value: &Value) -> Option<SensorSet> {
    if value == "all" {
        return Some(SensorSet::All);
    }
    let ids = value.as_array().filter(|ids| (1..=SESSION_PEOPLE_MAX).contains(&ids.len()))?;
    let id = |id: &Value| {
        id.as_str().filter(|id| (1..=NAME_BYTES_MAX).contains(&id.len())).map(Box::from)
    };
    ids.iter().map(id).collect::<Option<_>>().map(SensorSet::Ids)
}

type Named = Result<Path<String>, PathRejection>;

async fn show(State(api): State<Api>, name: Named, headers: HeaderMap) -> Answer {
    let Path(name) = name.map_err(|_| SessionError::BadName)?;
    api.judge_session(&headers, &name, Errand::Look).await?;
    if let Some(status) = api.sessions.status(&name) {
        return Ok(fresh(status_json(&status)).into_response());
    }
    let report = blocking(&api, move |sessions| {
        let report = sessions.shelf().report(&name)?;
        Ok(summary(&name, &report))
    });
    Ok(fresh(report.await?).into_response())
}

async fn stop(
    State(api): State<Api>,
    name: Named,
    headers: HeaderMap,
    body: orders::Body,
) -> Answer {
    let Path(name) = name.map_err(|_| SessionError::BadName)?;
    api.judge_session(&headers, &name, Errand::Lead).await?;
    let words = Words::read_if_any(&headers, body, &["null", "surrogates", "seed"])?;
    let methods = Method::ALL.map(|method| (method.name(), NullWish::Method(method)));
    let nulls = [("auto", NullWish::Auto), ("none", NullWish::None)];
    let nulls: Vec<(&str, NullWish)> = nulls.into_iter().chain(methods).collect();
    let usual = ReportWish::default();
    let between = SURROGATE_COUNT_MIN..=SURROGATE_COUNT_MAX;
    let surrogates = |value: &Value| {
        value.as_u64().map(|count| count as usize).filter(|count| between.contains(count))
    };
    let expected = format!("expected {SURROGATE_COUNT_MIN} to {SURROGATE_COUNT_MAX}");
    let wish = ReportWish {
        null: one_of(&words, "null", nulls)?.unwrap_or(usual.null),
        surrogates: words.value("surrogates", surrogates, &expected)?.unwrap_or(usual.surrogates),
        seed: words.value("seed", Value::as_u64, "expected a whole number")?.unwrap_or(usual.seed),
    };
    let status = api.sessions.stop(&name, wish)?;
    Ok((StatusCode::ACCEPTED, fresh(status_json(&status))).into_response())
}

async fn delete(State(api): State<Api>, name: Named, headers: HeaderMap) -> Answer {
    let Path(name) = name.map_err(|_| SessionError::BadName)?;
    api.judge_session(&headers, &name, Errand::Lead).await?;
    blocking(&api, move |sessions| sessions.delete(&name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn download(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Answer {
    let Path((name, file)) = path.map_err(|_| SessionError::BadName)?;
    api.judge_session(&headers, &name, Errand::Look).await?;
    if api.sessions.status(&name).is_some() {
        return Err(SessionError::NotDone { name }.into());
    }
    let kind = FILES.iter().find(|(known, _)| *known == file).map(|(_, kind)| *kind);
    let shown = file == "report.html";
    let as_file = format!("attachment; filename=\"{name}-{file}\"");
    let (file, bytes) = blocking(&api, move |sessions| sessions.shelf().open(&name, &file)).await?;
    let headers = [
        (header::CONTENT_TYPE, kind.unwrap_or_default().to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, if shown { "inline".to_owned() } else { as_file }),
        (header::CONTENT_SECURITY_POLICY, REPORT_POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(file, bytes))).into_response())
}

/// One of a few words.
fn one_of<T: Copy>(
    words: &Words,
    key: &str,
    all: impl IntoIterator<Item = (&'static str, T)> + Clone,
) -> Result<Option<T>, Problem> {
    let names: Vec<&str> = all.clone().into_iter().map(|(name, _)| name).collect();
    let find = |value: &Value| {
        let said = value.as_str()?;
        all.into_iter().find(|(name, _)| *name == said).map(|(_, one)| one)
    };
    words.value(key, find, &format!("expected one of {}", names.join(", ")))
}

/// What lists say of one on the shelf.
fn summary(name: &str, report: &Value) -> Value {
    let of = |key: &str| report[key].clone();
    json!({
        "name": name,
        "state": "done",
        "signal": of("signal"),
        "tier": of("tier"),
        "condition": of("condition"),
        "room": of("room"),
        "begin_ms": of("begin_ms"),
        "duration_s": of("duration_s"),
        "people": report["people"].as_array().map(Vec::len),
        "group": of("group"),
        "significance": of("significance"),
        "cautions": of("cautions"),
        "files": FILES.map(|(file, _)| file),
    })
}

fn status_json(status: &Status) -> Value {
    let (state, progress, why) = match &status.stage {
        Stage::Running => ("running", None, None),
        Stage::Reporting { progress } => ("reporting", Some(*progress), None),
        Stage::Failed { why } => ("failed", None, Some(why)),
    };
    let person = |(id, latest): &(String, Option<Result<(), Unmeasurable>>)| {
        json!({
            "sensor_id": id,
            "measurable": matches!(latest, Some(Ok(()))),
            "why": match latest {
                Some(Err(why)) => Some(why.name()),
                _ => None,
            },
        })
    };
    json!({
        "name": status.name,
        "state": state,
        "progress": progress,
        "why": why,
        "signal": status.signal.name(),
        "tier": status.tier.name(),
        "condition": status.condition.name(),
        "room": status.room.map(|room| room.to_string()),
        "started_at": status.started_unix_ms,
        "seconds": status.seconds,
        "people": status.people.iter().map(person).collect::<Vec<_>>(),
        "left_out": status.left_out,
        "full": status.full,
    })
}

fn fresh(body: Value) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(body))
}

/// Off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Sessions) -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    let sessions = Arc::clone(&api.sessions);
    let done = tokio::task::spawn_blocking(move || work(&sessions)).await;
    done.unwrap_or_else(|error| Err(SessionError::Io(error.to_string())))
}

impl From<RoomError> for Problem {
    fn from(problem: RoomError) -> Self {
        let Refusal { status, code, what, .. } = problem.into();
        Self { status, code, what }
    }
}

impl From<SessionError> for Problem {
    fn from(problem: SessionError) -> Self {
        let (status, code) = match &problem {
            SessionError::BadName => (StatusCode::BAD_REQUEST, "bad_name"),
            SessionError::Exists { .. } => (StatusCode::CONFLICT, "already_exists"),
            SessionError::NotFound { .. } => (StatusCode::NOT_FOUND, "session_not_found"),
            SessionError::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
            SessionError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_sessions"),
            SessionError::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
            SessionError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            SessionError::NotRunning { .. } => (StatusCode::CONFLICT, "not_running"),
            SessionError::NotDone { .. } => (StatusCode::CONFLICT, "not_done"),
        };
        error(status, code, &problem.to_string())
    }
}

//! `/api/credentials`, `/api/connectors`, `/api/me/sensors` (`reference/wire.md` 2.3).

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, patch};
use serde_json::{Value, json};

use super::connectors::Told;
use super::credentials::CREDENTIAL_SECONDS_MAX;
use super::{BelongingError, Belongings, Credential, NAME_LETTERS_MAX, Scope};
use crate::can::Denied;
use crate::metrics::Page;
use crate::orders::{Body, Words};
use crate::refusal::{Refusal, from_our_pages, sentence};
use crate::rooms::moment;
use crate::socket::Doors;

type Doorway = State<Arc<Doors>>;
type Outcome = Result<Response, Refusal>;
type Named = Result<Path<String>, PathRejection>;

pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/api/credentials", get(credentials).post(make))
        .route("/api/credentials/{id}", patch(rename).delete(revoke))
        .route("/api/connectors", get(connectors))
        .route(
            "/api/connectors/{id}",
            get(connector).put(rename_connector).delete(forget_connector),
        )
        .route("/api/me/sensors", get(sensors))
        .route("/api/me/sensors/{id}", axum::routing::delete(give_up))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), from_our_pages))
        .with_state(doors)
}

/// What cannot be read is the id of nothing.
fn id(named: Named) -> String {
    named.map(|Path(id)| id).unwrap_or_default()
}

async fn credentials(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let own = doors.belongings.credentials(&doors.asker(&headers))?;
    let told: Value = own.iter().map(told).collect();
    Ok(Json(json!({ "credentials": told })).into_response())
}

fn told(credential: &Credential) -> Value {
    let record = &credential.record;
    json!({
        "id": credential.id.to_string(),
        "name": *record.name,
        "sensors": record.scope.told(),
        "created_at": moment(record.made_unix_ms),
        "expires_at": record.expires_unix_ms.map_or(Value::Null, moment),
        "last_seen_at": record.seen_unix_ms.map_or(Value::Null, moment),
        "feed_count": credential.feed_count,
    })
}

async fn make(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let words = Words::read(&headers, body, &["name", "sensors", "expires_in"])?;
    let name = words.text("name")?;
    let scope = words.value("sensors", |said| Some(Scope::read(said)), "")?;
    let scope = scope.transpose().map_err(BelongingError::Scope)?.unwrap_or(Scope::Any);
    let seconds = words.value("expires_in", Value::as_u64, "expected seconds")?;
    let (credential, token, durable) = doors.belongings.make(&asker, &name, scope, seconds).await?;
    let said = json!({ "credential": told(&credential), "token": token, "durable": durable });
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

async fn rename(State(doors): Doorway, named: Named, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let name = Words::read(&headers, body, &["name"])?.text("name")?;
    let (credential, durable) = doors.belongings.rename(&asker, &id(named), &name).await?;
    Ok(Json(json!({ "credential": told(&credential), "durable": durable })).into_response())
}

async fn revoke(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let (ended, durable) = doors.belongings.revoke(&asker, &id(named)).await?;
    Ok(Json(json!({ "ok": true, "feeds_ended": ended, "durable": durable })).into_response())
}

async fn sensors(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let own = doors.belongings.sensors(&doors.asker(&headers))?;
    let told: Value = own
        .iter()
        .map(|(sensor_id, since)| {
            let mut told = doors.rooms.directory.told(sensor_id);
            told["since"] = moment(*since);
            told
        })
        .collect();
    Ok(Json(json!({ "sensors": told })).into_response())
}

async fn give_up(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let durable = doors.belongings.give_up(&doors.asker(&headers), &id(named)).await?;
    Ok(Json(json!({ "ok": true, "durable": durable })).into_response())
}

async fn connectors(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let own = doors.belongings.connectors(&doors.asker(&headers))?;
    let told: Value = own.iter().map(|it| connector_told(&doors, it)).collect();
    Ok(Json(json!({ "connectors": told })).into_response())
}

/// In the original's shape.
fn connector_told(doors: &Doors, connector: &Told) -> Value {
    let sensors: Value =
        connector.sensors.iter().map(|id| doors.rooms.directory.told(id)).collect();
    json!({
        "id": *connector.id,
        "name": *connector.name,
        "connector_type": connector.kind.name(),
        "status": connector.status.name(),
        "configuration": {},
        "last_seen_at": moment(connector.seen_unix_ms),
        "connected_at": connector.connected_unix_ms.map_or(Value::Null, moment),
        "inserted_at": moment(connector.first_unix_ms),
        "updated_at": moment(connector.changed_unix_ms),
        "sensors": sensors,
    })
}

async fn connector(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let connector = doors.belongings.connector(&doors.asker(&headers), &id(named))?;
    Ok(Json(json!({ "connector": connector_told(&doors, &connector) })).into_response())
}

async fn rename_connector(
    State(doors): Doorway,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let asker = doors.asker(&headers);
    let name = Words::read(&headers, body, &["name"])?.text("name")?;
    let renamed = doors.belongings.rename_connector(&asker, &id(named), &name).await?;
    let (connector, durable) = renamed;
    let said = json!({ "connector": connector_told(&doors, &connector), "durable": durable });
    Ok(Json(said).into_response())
}

async fn forget_connector(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let durable = doors.belongings.forget_connector(&asker, &id(named)).await?;
    let said = json!({ "ok": true, "message": "Connector forgotten", "durable": durable });
    Ok(Json(said).into_response())
}

/// What `/metrics` says of it.
pub(crate) fn measure(page: &mut Page, belongings: &Belongings) {
    let figures = belongings.figures();
    page.gauge("device_credentials", "Credentials of devices.", figures.credentials);
    page.gauge("sensors_owned", "Ids of sensors that are somebody's.", figures.sensors);
    page.gauge("feeds_owned", "Feeds of people's devices.", figures.feeds);
}

impl From<BelongingError> for Refusal {
    fn from(error: BelongingError) -> Self {
        let bad = |what: &str| Self::new(StatusCode::BAD_REQUEST, "bad_value", what);
        match error {
            BelongingError::Denied(Denied::SignIn) => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Missing or invalid authorization",
            ),
            BelongingError::Denied(Denied::Forbidden(why)) => {
                Self::new(StatusCode::FORBIDDEN, why, sentence(why))
            }
            BelongingError::Denied(Denied::NotFound) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "Not Found")
            }
            BelongingError::NoSuch(what) => {
                let what = match what {
                    "connector" => "Connector not found",
                    "sensor" => "Sensor not found",
                    _ => "Credential not found",
                };
                Self::new(StatusCode::NOT_FOUND, "not_found", what)
            }
            BelongingError::Hydrating => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "hydrating",
                "what is kept of devices is not here yet: look at /health/ready",
            ),
            BelongingError::Name => bad(&format!(
                "`name`: expected 1 to {NAME_LETTERS_MAX} letters, and no control characters"
            )),
            BelongingError::Scope(error) => bad(&error.to_string()),
            BelongingError::Expiry => {
                bad(&format!("`expires_in`: expected 1 to {CREDENTIAL_SECONDS_MAX} seconds"))
            }
            BelongingError::TooMany(what) => {
                let what = format!("there are as many {what} as may be");
                Self::new(StatusCode::CONFLICT, "too_many", &what)
            }
            BelongingError::NoRandom => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no_random", "no random bytes")
            }
            BelongingError::Refused(refused) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                &refused.to_string(),
            ),
        }
    }
}

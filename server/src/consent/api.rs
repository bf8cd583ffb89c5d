//! `/api/me/consent`, `/api/grants`, `/api/me/viewers`: what is private, who may see it, who sees what now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get};
use serde::Deserialize;
use serde_json::{Value, json};

use super::record::{GrantRecord, To};
use super::{Consent, ConsentError, GRANT_SECONDS_MAX, GrantId, Wish};
use crate::can::Denied;
use crate::metrics::Page;
use crate::orders::{Body, Words};
use crate::people::AccountId;
use crate::refusal::{Refusal, from_our_pages, sentence};
use crate::rooms::{RoomId, moment};
use crate::socket::Doors;

/// People who look, and sensors of each, that one answer has.
const VIEWER_COUNT_MAX: usize = 200;
const SENSOR_COUNT_MAX: usize = 100;

type Doorway = State<Arc<Doors>>;
type Outcome = Result<Response, Refusal>;
type Named = Result<Path<String>, PathRejection>;

pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/api/me/consent", get(private).put(set_private))
        .route("/api/me/viewers", get(viewers))
        .route("/api/grants", get(grants).post(grant))
        .route("/api/grants/{id}", delete(revoke))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), from_our_pages))
        .with_state(doors)
}

/// For routes with a sensor's `id` and an `attribute`: who is not in its circle hears that it is not shared.
pub(crate) async fn only_shared(
    State(doors): Doorway,
    named: Named,
    wish: Result<Query<Wanted>, QueryRejection>,
    request: Request,
    next: Next,
) -> Response {
    let attribute_id = wish.ok().and_then(|Query(wish)| wish.attribute);
    if let (Ok(Path(sensor_id)), Some(attribute_id)) = (named, attribute_id) {
        let circle = doors.consent.circle_of(&sensor_id, &attribute_id);
        let asker = doors.asker(request.headers());
        if circle.is_some_and(|circle| !circle.has(asker.id.as_deref())) {
            let why = "not_shared";
            return Refusal::new(StatusCode::FORBIDDEN, why, sentence(why)).into_response();
        }
    }
    next.run(request).await
}

/// What of a query matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    attribute: Option<String>,
}

async fn private(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let (words, _) = doors.consent.given(&doors.asker(&headers))?;
    Ok(Json(json!({ "private": words })).into_response())
}

async fn set_private(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let words = Words::read(&headers, body, &["private"])?;
    let list = |said: &Value| {
        let words = said.as_array()?.iter().map(|word| word.as_str().map(Box::from));
        words.collect::<Option<Vec<Box<str>>>>()
    };
    let list = words.value("private", list, "expected a list of types of attributes")?;
    let list = list.ok_or_else(|| crate::orders::is_missing("private"))?;
    let durable = doors.consent.set_private(&asker, list).await?;
    let (words, _) = doors.consent.given(&asker)?;
    Ok(Json(json!({ "private": words, "durable": durable })).into_response())
}

fn told(doors: &Doors, id: GrantId, grant: &GrantRecord) -> Value {
    let (user_id, room_id) = match &grant.to {
        To::Person(account) => (Value::from(&**account), Value::Null),
        To::Room(id) => (Value::Null, RoomId(*id).to_string().into()),
    };
    let name = match &grant.to {
        To::Person(account) => doors.people.display_name(account),
        To::Room(id) => doors.rooms.words(RoomId(*id)).map(|(name, _)| name),
    };
    json!({
        "id": id.to_string(),
        "owner_id": *grant.owner,
        "owner_name": doors.people.display_name(&grant.owner),
        "user_id": user_id,
        "room_id": room_id,
        "name": name,
        "attribute_type": *grant.word,
        "sensor_id": grant.sensor_id,
        "created_at": moment(grant.made_unix_ms),
        "expires_at": grant.until_unix_ms.map_or(Value::Null, moment),
    })
}

async fn grants(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let (_, given) = doors.consent.given(&asker)?;
    let all = |grants: &[(GrantId, GrantRecord)]| -> Value {
        grants.iter().map(|(id, grant)| told(&doors, *id, grant)).collect()
    };
    let received = doors.consent.received(&asker)?;
    Ok(Json(json!({ "given": all(&given), "received": all(&received) })).into_response())
}

async fn grant(State(doors): Doorway, headers: HeaderMap, body: Body) -> Outcome {
    let asker = doors.asker(&headers);
    let keys = ["user_id", "room_id", "attribute_type", "sensor_id", "expires_in"];
    let words = Words::read(&headers, body, &keys)?;
    let to = match (words.text_if_any("user_id")?, words.text_if_any("room_id")?) {
        (Some(account), None) => To::Person(account.into()),
        (None, Some(id)) => {
            let id = RoomId::parse(&id).ok_or(ConsentError::NoSuch("person or room"))?;
            To::Room(id.0)
        }
        _ => {
            let what = "expected either `user_id` or `room_id`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_value", what));
        }
    };
    let wish = Wish {
        to,
        word: words.text("attribute_type")?.into(),
        sensor_id: words.text_if_any("sensor_id")?.map(Box::from),
        expires_in: words.value("expires_in", Value::as_u64, "expected seconds")?,
    };
    let (id, grant, durable) = doors.consent.grant(&asker, wish).await?;
    let (private, _) = doors.consent.given(&asker)?;
    let grant = told(&doors, id, &grant);
    let said = json!({ "grant": grant, "private": private, "durable": durable });
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

async fn revoke(State(doors): Doorway, named: Named, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let id = named.ok().and_then(|Path(id)| GrantId::parse(&id));
    // What is no id is the id of no grant; whoever must say who they are hears that first.
    let durable = match id {
        Some(id) => doors.consent.revoke(&asker, id).await?,
        None => {
            doors.consent.given(&asker)?;
            return Err(ConsentError::NoSuch("grant").into());
        }
    };
    Ok(Json(json!({ "ok": true, "durable": durable })).into_response())
}

/// Who looks at which of one's signals now, each person once, and who is nobody in particular together.
async fn viewers(State(doors): Doorway, headers: HeaderMap) -> Outcome {
    let asker = doors.asker(&headers);
    let own = doors.belongings.sensors(&asker)?;
    let live = own.iter().filter_map(|(sensor_id, _)| {
        let attributes = doors.rooms.directory.attributes(sensor_id);
        (!attributes.is_empty()).then_some((sensor_id, attributes))
    });
    let mut seen: BTreeMap<Option<AccountId>, Seen> = BTreeMap::new();
    let looking = doors.viewers.looking();
    for (sensor_id, attributes) in live {
        let circles: Vec<_> = attributes
            .iter()
            .map(|(id, kind)| (kind.name(), doors.consent.circle(sensor_id, id, kind.name())))
            .collect();
        for (account, lens) in &looking {
            if !lens.has(sensor_id) || account == &asker.id {
                continue;
            }
            let shown = circles.iter().filter(|(_, circle)| {
                circle.as_ref().is_none_or(|circle| circle.has(account.as_deref()))
            });
            let mut kinds: Vec<&str> = shown.map(|(kind, _)| *kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            if !kinds.is_empty() {
                let seen = seen.entry(account.clone()).or_default();
                seen.sensors.insert(Arc::clone(sensor_id), kinds);
            }
        }
    }
    for (account, _) in &looking {
        if let Some(seen) = seen.get_mut(account) {
            seen.channels += 1;
        }
    }
    let more = seen.len() > VIEWER_COUNT_MAX;
    let told = seen.into_iter().take(VIEWER_COUNT_MAX).map(|(account, seen)| {
        let name = account.as_deref().and_then(|account| doors.people.display_name(account));
        let sensors = seen.sensors.iter().take(SENSOR_COUNT_MAX);
        let signals =
            sensors.map(|(id, kinds)| json!({ "sensor_id": **id, "attribute_types": kinds }));
        json!({
            "user_id": account.as_deref(),
            "display_name": name,
            "channels": seen.channels,
            "sensor_count": seen.sensors.len(),
            "signals": signals.collect::<Value>(),
        })
    });
    Ok(Json(json!({ "viewers": told.collect::<Value>(), "more": more })).into_response())
}

/// What somebody sees.
#[derive(Debug, Default)]
struct Seen {
    channels: usize,
    sensors: BTreeMap<Arc<str>, Vec<&'static str>>,
}

/// What `/metrics` says of it.
pub(crate) fn measure(page: &mut Page, consent: &Consent) {
    let figures = consent.figures();
    page.gauge("private_owners", "Accounts that have something private.", figures.owners);
    page.gauge("grants", "Grants of private signals.", figures.grants);
}

impl From<ConsentError> for Refusal {
    fn from(error: ConsentError) -> Self {
        let bad = |what: &str| Self::new(StatusCode::BAD_REQUEST, "bad_value", what);
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            ConsentError::Denied(Denied::Forbidden(why)) => {
                Self::new(StatusCode::FORBIDDEN, why, sentence(why))
            }
            ConsentError::Denied(_) => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Missing or invalid authorization",
            ),
            ConsentError::Hydrating => Self::new(
                unavailable,
                "hydrating",
                "what is kept of grants is not here yet: look at /health/ready",
            ),
            ConsentError::NoSuch(what) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", &format!("no such {what}"))
            }
            ConsentError::Word => {
                bad("expected a type or id of an attribute, as ecg, or any for all of them")
            }
            ConsentError::Expiry => {
                bad(&format!("`expires_in`: expected 1 to {GRANT_SECONDS_MAX} seconds"))
            }
            ConsentError::TooMany(what) => {
                let what = format!("there are as many {what} as may be");
                Self::new(StatusCode::CONFLICT, "too_many", &what)
            }
            ConsentError::NoRandom => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no_random", "no random bytes")
            }
            ConsentError::Refused(refused) => {
                Self::new(unavailable, "store_unavailable", &refused.to_string())
            }
        }
    }
}

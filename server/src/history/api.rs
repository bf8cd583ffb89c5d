//! `/api/sensors/{id}/history`: opting in and out, and the past as JSON, CSV, Parquet or an
//! Arrow stream.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::encode::{self, Format, Told, Writer};
use super::flow::Flow;
use super::past::Cursor;
use super::{Figures, History, HistoryError, LOST_NAMES, ROW_COUNT_MAX, STEP_MS_MAX};
use crate::channel::unix_now;
use crate::consent::api::only_shared;
use crate::metrics::Page;
use crate::orders::{self, Answer, Problem, Words, error, let_administrators_in, let_in};
use crate::socket::Doors;
use crate::store::Refused;
use crate::store::record::Revision;

/// Hours, if nobody says how many.
const KEEP_HOURS: u32 = 24 * 7;
const KEEP_HOURS_MAX: u32 = 24 * 366 * 10;
/// Of one sensor, if nobody says how much: three days of an ECG.
const MIB_MAX: u64 = 256;

/// What is looked at if nobody says since when.
const RANGE_MS: i64 = 600_000;

/// Samples before another, if nobody says how many.
const COUNT: u64 = 10_000;
const COUNT_MAX: u64 = 100_000;

/// Looking needs a viewer's authority, keeping and deleting an administrator's.
pub fn router(history: Arc<History>, doors: Arc<Doors>) -> Router {
    let path = "/api/sensors/{id}/history";
    let orders = Router::new()
        .route(path, put(keep).delete(delete))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), let_administrators_in));
    let shared = middleware::from_fn_with_state(Arc::clone(&doors), only_shared);
    let looks = Router::new()
        .route(path, get(look).layer(shared))
        .layer(middleware::from_fn_with_state(doors, let_in));
    orders.merge(looks).with_state(history)
}

type Named = Result<Path<String>, PathRejection>;

fn name(named: Named) -> Result<String, Problem> {
    let Path(name) = named
        .map_err(|rejection| error(StatusCode::BAD_REQUEST, "bad_name", &rejection.body_text()))?;
    if name.len() > components::limits::NAME_BYTES_MAX {
        return Err(error(StatusCode::BAD_REQUEST, "bad_name", "longer than any sensor's id"));
    }
    Ok(name)
}

/// How long and how much is to be kept.
pub(super) struct Policy {
    pub(super) keep_hours: u32,
    pub(super) bytes_max: u64,
    /// The revision that was seen.
    pub(super) at: Option<Revision>,
}

impl Policy {
    /// `mib`: if nobody says how much. Where there are no revisions, none can be named.
    pub(super) fn read(
        headers: &HeaderMap,
        body: orders::Body,
        mib: u64,
        has_revision: bool,
    ) -> Result<Self, Problem> {
        let keys = ["keep_hours", "mib_max", "revision"];
        let keys = if has_revision { &keys[..] } else { &keys[..2] };
        let words = Words::read_if_any(headers, body, keys)?;
        let number = |key: &str, from: u64, to: u64| {
            let read = move |value: &Value| value.as_u64().filter(|n| (from..=to).contains(n));
            words.value(key, read, &format!("expected a whole number from {from} to {to}"))
        };
        let keep_hours = number("keep_hours", 1, u64::from(KEEP_HOURS_MAX))?;
        let mib_max = number("mib_max", 1, 1 << 20)?;
        Ok(Self {
            keep_hours: keep_hours.map_or(KEEP_HOURS, |hours| hours as u32),
            bytes_max: mib_max.unwrap_or(mib) << 20,
            at: number("revision", 0, u64::MAX)?.map(Revision),
        })
    }
}

async fn keep(
    State(history): State<Arc<History>>,
    named: Named,
    headers: HeaderMap,
    body: orders::Body,
) -> Answer {
    let sensor_id = name(named)?;
    let Policy { keep_hours, bytes_max, at } = Policy::read(&headers, body, MIB_MAX, true)?;
    let Revision(revision) = history.keep(&sensor_id, keep_hours, bytes_max, at).await?;
    let said = json!({
        "sensor_id": sensor_id,
        "keep_hours": keep_hours,
        "mib_max": bytes_max >> 20,
        "revision": revision,
    });
    Ok(fresh(said))
}

async fn delete(State(history): State<Arc<History>>, named: Named) -> Answer {
    history.delete(&name(named)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    attribute: Option<String>,
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
    before: Option<i64>,
    have: Option<u64>,
    count: Option<u64>,
    format: Option<String>,
}

async fn look(
    State(history): State<Arc<History>>,
    named: Named,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Answer {
    let bad = |what: &str| error(StatusCode::BAD_REQUEST, "bad_value", what);
    let sensor_id = name(named)?;
    let Query(wish) = wish.map_err(|rejection| bad(&rejection.body_text()))?;
    let Some(attribute_id) = wish.attribute.clone() else { return about(&history, &sensor_id) };
    let asked = Asked::of(&wish).map_err(|what| bad(&what))?;
    let format = wish.format.as_deref().map_or(Some(Format::Json), Format::named);
    let format = format.ok_or_else(|| bad(&format!("`format`: there are {}", Format::NAMES)))?;
    let answering =
        super::blocking(move || answer(&history, &sensor_id, &attribute_id, format, asked));
    let pieces = match answering.await?? {
        Answering::Whole(pieces) => pieces,
        Answering::Flowing(flow, writer) => {
            let headers =
                [(header::CONTENT_TYPE, format.kind()), (header::CACHE_CONTROL, "no-store")];
            return Ok((headers, Body::from_stream(flow.pieces(writer)?)).into_response());
        }
    };
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    let headers = [
        (header::CONTENT_TYPE, format.kind().to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Which part of the past.
enum Asked {
    Samples(Range<i64>),
    Summed {
        range: Range<i64>,
        step_ms: i64,
    },
    /// The last so many before a sample that is there already.
    Before {
        cursor: Cursor,
        count: usize,
    },
}

impl Asked {
    fn of(wish: &Wish) -> Result<Self, String> {
        if let Some(before) = wish.before {
            let others = [wish.from, wish.to, wish.step];
            if others.iter().any(Option::is_some) {
                return Err("`before` goes with `have` and `count`, and not with a range".into());
            }
            let count = wish.count.unwrap_or(COUNT);
            let have = wish.have.unwrap_or(0);
            if !(1..=COUNT_MAX).contains(&count) || have > COUNT_MAX {
                return Err(format!("`count` is from 1 to {COUNT_MAX}, `have` no more"));
            }
            return Ok(Self::Before { cursor: Cursor { before, have }, count: count as usize });
        }
        if wish.have.is_some() || wish.count.is_some() {
            return Err("`have` and `count` go with `before`".into());
        }
        let to = wish.to.unwrap_or_else(|| unix_now().0);
        let from = wish.from.unwrap_or_else(|| to.saturating_sub(RANGE_MS));
        if from >= to {
            return Err("`from` and `to` are unix milliseconds, and `from` is the earlier".into());
        }
        match wish.step {
            None => Ok(Self::Samples(from..to)),
            Some(step_ms) if (1..=STEP_MS_MAX).contains(&step_ms) => {
                Ok(Self::Summed { range: from..to, step_ms })
            }
            Some(_) => Err("`step` is milliseconds, from 1 to those of a year".into()),
        }
    }
}

enum Answering {
    Whole(Vec<Bytes>),
    /// In pieces, as they are read.
    Flowing(Flow, Writer),
}

fn answer(
    history: &History,
    sensor_id: &str,
    attribute_id: &str,
    format: Format,
    asked: Asked,
) -> Result<Answering, HistoryError> {
    let told = |damaged| Told { sensor_id, attribute_id, damaged };
    let whole = match asked {
        Asked::Samples(range) => {
            if format.is_in_pieces()
                && let Some(flow) = history.flow(sensor_id, attribute_id, &range)?
                && let Some(writer) = flow.writer(sensor_id, attribute_id, format)
            {
                return Ok(Answering::Flowing(flow, writer));
            }
            let past = history.samples(sensor_id, attribute_id, &range)?;
            encode::samples(told(past.damaged), format, &past, None)
        }
        Asked::Before { cursor, count } => {
            let (past, older) = history.before(sensor_id, attribute_id, cursor, count)?;
            let older =
                older.map(|Cursor { before, have }| json!({"before": before, "have": have}));
            encode::samples(told(past.damaged), format, &past, Some(("older", json!(older))))
        }
        Asked::Summed { range, step_ms } => {
            let rows = range.end.abs_diff(range.start) / step_ms.unsigned_abs();
            if rows > ROW_COUNT_MAX {
                return Err(HistoryError::TooMuch { rows });
            }
            let past = history.summed(sensor_id, attribute_id, &range, step_ms)?;
            encode::summed(told(past.damaged), format, step_ms, &past)
        }
    };
    whole.map(Answering::Whole)
}

fn about(history: &History, sensor_id: &str) -> Answer {
    let about = history.about(sensor_id).ok_or(HistoryError::NotKept)?;
    Ok(fresh(json!({
        "sensor_id": sensor_id,
        "keep_hours": about.policy.keep_hours,
        "mib_max": about.policy.bytes_max >> 20,
        "since": about.policy.since_unix_ms,
        "attributes": about.attributes.iter().map(|name| &**name).collect::<Vec<_>>(),
        "bytes": about.bytes,
        "sample_bytes": about.sample_bytes,
        "samples": about.samples,
    })))
}

pub(super) fn fresh(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Its part of `/metrics`.
pub(crate) fn measure(page: &mut Page, figures: &Figures) {
    page.gauge("history_sensors", "Sensors whose past is kept.", figures.sensors);
    page.gauge("history_bytes", "Bytes of the past on the disk.", figures.bytes);
    page.counter("history_samples_total", "Samples taken to be kept.", figures.taken);
    page.head(
        "history_lost_total",
        "counter",
        "Samples that were to be kept and are not, by reason.",
    );
    for (name, count) in LOST_NAMES.iter().zip(figures.lost) {
        page.sample("history_lost_total", &[("reason", name)], count);
    }
    page.counter("history_damaged_total", "Segments found damaged and left out.", figures.damaged);
}

impl HistoryError {
    fn named(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NothingKept => (StatusCode::CONFLICT, "nothing_kept"),
            Self::NotKept => (StatusCode::NOT_FOUND, "not_kept"),
            Self::TooManySensors => (StatusCode::TOO_MANY_REQUESTS, "too_many_sensors"),
            Self::TooManyRooms => (StatusCode::TOO_MANY_REQUESTS, "too_many_rooms"),
            Self::NoRoom { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
            Self::TooMuch { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_much"),
            Self::Refused(Refused::Conflict { .. }) => (StatusCode::CONFLICT, "changed"),
            Self::Refused(_) | Self::NoStore(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
            }
            Self::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
        }
    }

    /// Its name, over HTTP and on a channel.
    pub fn code(&self) -> &'static str {
        self.named().1
    }
}

impl From<HistoryError> for Problem {
    fn from(problem: HistoryError) -> Self {
        let (status, code) = problem.named();
        error(status, code, &problem.to_string())
    }
}

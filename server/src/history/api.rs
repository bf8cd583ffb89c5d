//! `/api/sensors/{id}/history`: opting in and out, and the past as JSON, CSV or Parquet.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use serde::Deserialize;
use serde_json::{Value, json};
use simulator::exchange::series::{Series, fields};

use super::segment::{Rows, Summed};
use super::{Figures, History, HistoryError, LOST_NAMES, Past, ROW_COUNT_MAX};
use crate::channel::unix_now;
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

/// Looking needs a viewer's authority, keeping and deleting an administrator's.
pub fn router(history: Arc<History>, doors: Arc<Doors>) -> Router {
    let path = "/api/sensors/{id}/history";
    let orders = Router::new()
        .route(path, put(keep).delete(delete))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), let_administrators_in));
    let looks =
        Router::new().route(path, get(look)).layer(middleware::from_fn_with_state(doors, let_in));
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

async fn keep(
    State(history): State<Arc<History>>,
    named: Named,
    headers: HeaderMap,
    body: orders::Body,
) -> Answer {
    let sensor_id = name(named)?;
    let words = Words::read_if_any(&headers, body, &["keep_hours", "mib_max", "revision"])?;
    let number = |key: &str, from: u64, to: u64| {
        let read = move |value: &Value| value.as_u64().filter(|n| (from..=to).contains(n));
        words.value(key, read, &format!("expected a whole number from {from} to {to}"))
    };
    let keep_hours = number("keep_hours", 1, u64::from(KEEP_HOURS_MAX))?;
    let mib_max = number("mib_max", 1, 1 << 20)?;
    let at = number("revision", 0, u64::MAX)?.map(Revision);
    let keep_hours = keep_hours.map_or(KEEP_HOURS, |hours| hours as u32);
    let bytes_max = mib_max.unwrap_or(MIB_MAX) << 20;
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
    format: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Parquet,
}

async fn look(
    State(history): State<Arc<History>>,
    named: Named,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Answer {
    let bad = |what: &str| error(StatusCode::BAD_REQUEST, "bad_value", what);
    let sensor_id = name(named)?;
    let Query(wish) = wish.map_err(|rejection| bad(&rejection.body_text()))?;
    let Some(attribute_id) = wish.attribute else { return about(&history, &sensor_id) };
    let to = wish.to.unwrap_or_else(|| unix_now().0);
    let from = wish.from.unwrap_or_else(|| to.saturating_sub(RANGE_MS));
    if from >= to {
        return Err(bad("`from` and `to` are unix milliseconds, and `from` is the earlier"));
    }
    let format = match wish.format.as_deref() {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some(_) => return Err(bad("`format`: there are json, csv and parquet")),
    };
    let step = wish.step.filter(|step| (1..=366 * 86_400_000).contains(step));
    if step != wish.step {
        return Err(bad("`step` is milliseconds, from 1 to those of a year"));
    }
    let work = move || match step {
        None => {
            let past = history.samples(&sensor_id, &attribute_id, &(from..to))?;
            samples(&sensor_id, &attribute_id, format, &past)
        }
        Some(step) => {
            let rows = to.abs_diff(from) / step.unsigned_abs();
            if rows > ROW_COUNT_MAX {
                return Err(HistoryError::TooMuch { rows });
            }
            let past = history.summed(&sensor_id, &attribute_id, &(from..to), step)?;
            summed(&sensor_id, &attribute_id, step, format, &past)
        }
    };
    let body = super::blocking(work).await??;
    let kind = match format {
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Parquet => "application/vnd.apache.parquet",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
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

fn fresh(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// `{..., "samples": [[stamp, payload], ...]}`, or rows.
fn samples(
    sensor_id: &str,
    attribute_id: &str,
    format: Format,
    past: &Past<Rows>,
) -> Result<Vec<u8>, HistoryError> {
    let mut out = Vec::new();
    if format != Format::Json {
        let mut series = series(sensor_id, attribute_id, format, &mut out)?;
        for (shape, rows) in &past.forms {
            series.samples(shape, &rows.stamps, &rows.cells).map_err(HistoryError::Io)?;
        }
        series.finish().map_err(HistoryError::Io)?;
        return Ok(out);
    }
    begin(sensor_id, attribute_id, past.damaged, &mut out);
    out.extend_from_slice(b",\"samples\":[");
    let mut is_first = true;
    for (shape, rows) in &past.forms {
        let width = shape.width().max(1);
        for (stamp, cells) in rows.stamps.iter().zip(rows.cells.chunks_exact(width)) {
            out.extend_from_slice(if is_first { b"[" } else { b",[" });
            is_first = false;
            out.extend_from_slice(stamp.to_string().as_bytes());
            out.push(b',');
            shape.write_json(cells, &mut out);
            out.push(b']');
        }
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// `{..., "step": ms, "points": [[start, field, min, max, mean, count], ...]}`, or rows.
fn summed(
    sensor_id: &str,
    attribute_id: &str,
    step_ms: i64,
    format: Format,
    past: &Past<Summed>,
) -> Result<Vec<u8>, HistoryError> {
    let mut points = Vec::new();
    for (shape, summed) in &past.forms {
        let fields = fields(shape);
        for (start, sums) in summed {
            let there = fields.iter().zip(sums).filter(|(_, sum)| sum.count > 0.0);
            points.extend(there.map(|(field, sum)| (*start, field.clone(), *sum)));
        }
    }
    let mut out = Vec::new();
    if format == Format::Json {
        begin(sensor_id, attribute_id, past.damaged, &mut out);
        let points: Vec<Value> = points
            .iter()
            .map(|(start, field, sum)| {
                json!([start, field, sum.min, sum.max, sum.sum / sum.count, sum.count])
            })
            .collect();
        out.extend_from_slice(format!(",\"step\":{step_ms},\"points\":").as_bytes());
        out.extend_from_slice(json!(points).to_string().as_bytes());
        out.push(b'}');
        return Ok(out);
    }
    let mut series = series(sensor_id, attribute_id, format, &mut out)?;
    for (start, field, sum) in &points {
        let dot = if field.is_empty() { "" } else { "." };
        let numbers = [
            ("min", sum.min),
            ("max", sum.max),
            ("mean", sum.sum / sum.count),
            ("count", sum.count),
        ];
        for (name, number) in numbers {
            let field = format!("{field}{dot}{name}");
            series.number(*start, &field, number).map_err(HistoryError::Io)?;
        }
    }
    series.finish().map_err(HistoryError::Io)?;
    Ok(out)
}

fn begin(sensor_id: &str, attribute_id: &str, damaged: u64, out: &mut Vec<u8>) {
    let head = json!({ "sensor_id": sensor_id, "attribute_id": attribute_id, "damaged": damaged });
    out.extend_from_slice(head.to_string().as_bytes());
    out.pop();
}

fn series<'a>(
    sensor_id: &'a str,
    attribute_id: &'a str,
    format: Format,
    out: &'a mut Vec<u8>,
) -> Result<Series<'a, &'a mut Vec<u8>>, HistoryError> {
    let series = match format {
        Format::Parquet => Series::parquet(sensor_id, attribute_id, out),
        Format::Csv | Format::Json => Series::csv(sensor_id, attribute_id, out),
    };
    series.map_err(HistoryError::Io)
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

impl From<HistoryError> for Problem {
    fn from(problem: HistoryError) -> Self {
        let (status, code) = match &problem {
            HistoryError::NothingKept => (StatusCode::CONFLICT, "nothing_kept"),
            HistoryError::NotKept => (StatusCode::NOT_FOUND, "not_kept"),
            HistoryError::TooManySensors => (StatusCode::TOO_MANY_REQUESTS, "too_many_sensors"),
            HistoryError::NoRoom { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
            HistoryError::TooMuch { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_much"),
            HistoryError::Refused(Refused::Conflict { .. }) => (StatusCode::CONFLICT, "changed"),
            HistoryError::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            HistoryError::Io(_) => (StatusCode::INTERNAL_SERVER_ERROR, "io"),
        };
        error(status, code, &problem.to_string())
    }
}

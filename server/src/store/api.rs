//! What the store says of itself in `/health/ready` and `/metrics`, and `POST /api/store/backup`:
//! a copy of everything that is kept, taken while the server runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};

use super::{Readiness, Refused, Report, Store, Trouble};
use crate::breaker::{self, Breaker};
use crate::metrics::Page;
use crate::orders::{Answer, Problem, error, let_administrators_in};
use crate::pieces::pieces;
use crate::socket::Doors;

/// For administrators.
pub fn router(doors: Arc<Doors>) -> Router {
    let api = Arc::new(Api { store: doors.store.clone(), turn: tokio::sync::Mutex::default() });
    Router::new()
        .route("/api/store/backup", post(backup))
        .layer(middleware::from_fn_with_state(doors, let_administrators_in))
        .with_state(api)
}

struct Api {
    store: Store,
    /// One copy at a time: each takes as much room as the store.
    turn: tokio::sync::Mutex<()>,
}

async fn backup(State(api): State<Arc<Api>>) -> Answer {
    let Some(path) = api.store.report().path else {
        let problem = "nothing is kept, and nothing can be copied: start with --data DIR";
        return Err(error(StatusCode::CONFLICT, "nothing_kept", problem));
    };
    let Ok(_turn) = api.turn.try_lock() else {
        let problem = "another copy is being made; ask again when it is done";
        return Err(error(StatusCode::CONFLICT, "being_copied", problem));
    };
    let store = api.store.clone();
    let copied = tokio::task::spawn_blocking(move || copy(&store, path.with_extension("copy")));
    let copied = copied.await.map_err(|error| broken(&error.to_string()))?;
    let (file, bytes) = copied?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"store.redb\"".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(file, bytes))).into_response())
}

fn broken(what: &str) -> Problem {
    error(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", what)
}

/// A copy that nothing but its handle holds: gone when it has been sent, or when we are.
fn copy(store: &Store, to: PathBuf) -> Result<(File, u64), Problem> {
    // Of a server that was killed while it sent one.
    let _ = fs::remove_file(&to);
    store.backup(&to).map_err(|error| broken(&error.to_string()))?;
    let opened = File::open(&to);
    let _ = fs::remove_file(&to);
    let opened = opened.and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    });
    opened.map_err(|error| broken(&error.to_string()))
}

fn breaker_json(breaker: &Breaker) -> Value {
    let score = (breaker.score(Instant::now()) * 100.0).round() / 100.0;
    json!({ "state": breaker.state().name(), "score": score, "opened": breaker.opened() })
}

/// Its part of `/health/ready` and `/api/system`.
pub(crate) fn health(report: &Report) -> Value {
    let healthy = report.readiness == Readiness::Ready && report.rotten == 0;
    let reason = match &report.readiness {
        Readiness::Failed(error) => Some(error.to_string()),
        Readiness::Ready if report.path.is_none() => {
            Some("nothing is kept: start with --data DIR, or set `data`".to_owned())
        }
        Readiness::Hydrating | Readiness::Ready => None,
    };
    let rotten: Vec<Value> = report
        .rotten_places
        .iter()
        .map(|(place, what)| json!({ "place": place, "what": what }))
        .collect();
    json!({
        "healthy": healthy,
        "state": report.readiness.name(),
        "kept": report.path.is_some(),
        "reason": reason,
        "failures": report.failures,
        "breaker": breaker_json(&report.breaker),
        "waiting": report.waiting_count,
        "rotten": rotten,
    })
}

/// Its part of `/metrics`; `store_` is the rings' there.
pub(crate) fn measure(page: &mut Page, report: &Report) {
    let is = |yes: bool| u8::from(yes);
    let ready = is(report.readiness == Readiness::Ready);
    page.gauge("durable_ready", "Whether the store can be asked: 1 or 0.", ready);
    let kept = is(report.path.is_some());
    page.gauge("durable_on_disk", "Whether the store is on a disk: 1, or in memory: 0.", kept);
    let failed = matches!(&report.readiness, Readiness::Failed(error)
        if matches!(error.what, Trouble::Damaged(_)));
    page.gauge("durable_damaged", "Whether the store's file is damaged: 1 or 0.", is(failed));
    page.gauge("durable_waiting_changes", "Changes that wait for the disk.", report.waiting_count);
    page.gauge("durable_waiting_bytes", "Bytes that wait for the disk.", report.waiting_bytes);
    page.counter("durable_commits_total", "Transactions that are on the disk.", report.commits);
    page.counter("durable_changes_total", "Changes that are on the disk.", report.changes);
    page.counter(
        "durable_failures_total",
        "Times that the store's file could not be opened or written.",
        report.failures,
    );
    let kept = &report.breaker;
    page.head(
        "durable_breaker",
        "gauge",
        "Whether whoever would use the disk passes: 1 for what is.",
    );
    for name in breaker::State::NAMES {
        page.sample("durable_breaker", &[("state", name)], is(kept.state().name() == name));
    }
    let opened = kept.opened();
    page.counter("durable_breaker_opened_total", "Times that the disk was left in peace.", opened);
    page.head("durable_refused_total", "counter", "Changes that were not made, by reason.");
    for (name, count) in Refused::NAMES.iter().zip(report.refused) {
        page.sample("durable_refused_total", &[("reason", name)], count);
    }
    page.counter(
        "durable_rotten_total",
        "Reads of damaged values, none of which was served.",
        report.rotten,
    );
    page.counter(
        "durable_scrubbed_total",
        "Values that the scrubber has looked at.",
        report.scrubbed,
    );
    page.counter("durable_scrubs_total", "Walks of the scrubber through all values.", report.walks);
}

//! What answers to which path: the socket, health, the viewers' API, and the page.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use components::fault::Faults;
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tokio::time::timeout;
use tracing::Instrument;

use crate::channel::unix_now;
use crate::health::Pulse;
use crate::listen::Peer;
use crate::socket::{self, Doors};
use crate::{metrics, store, viewer};

/// Bytes of a request's body (`reference/wire.md` 2.3 allows 4 MB; nothing here needs it).
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request's body must be complete within this time (`reference/reliability.md` T14).
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// No script or style but our own files, no frame around us, no connection elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' data:; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(Debug)]
struct Health {
    pulse: Arc<Pulse>,
    doors: Arc<Doors>,
}

/// The whole of HTTP; `more` is what answers besides.
pub fn router(doors: Arc<Doors>, pulse: Arc<Pulse>, more: Router, faults: Faults) -> Router {
    let health = Arc::new(Health { pulse, doors: Arc::clone(&doors) });
    let watched = Arc::clone(&doors);
    let may_watch: viewer::api::Authorise = Arc::new(move |headers| watched.viewer(headers));
    let router = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready).with_state(health))
        .route("/metrics", get(metrics::show).with_state(Arc::clone(&doors)))
        .merge(more)
        .merge(viewer::api::router(Arc::clone(&doors.viewers), may_watch))
        .route("/socket/websocket", any(socket::open).with_state(Arc::clone(&doors)));
    #[cfg(feature = "autobahn")]
    let router = router.route("/echo", any(socket::echo));
    #[cfg(feature = "faults")]
    let router = router.merge(crate::fault::router(faults.clone()));
    router
        .fallback(page)
        .method_not_allowed_fallback(|| async { error(StatusCode::METHOD_NOT_ALLOWED) })
        .layer(middleware::from_fn_with_state(faults, contain))
        .layer(middleware::from_fn(dress))
        .layer(middleware::from_fn_with_state(doors, insist))
        .layer(middleware::from_fn(follow))
}

/// Whatever is logged of a request says which. Its route, not its path: that may have a secret in it.
async fn follow(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("page", MatchedPath::as_str);
    let span = tracing::info_span!("request", method = %request.method(), route);
    async move {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await
}

async fn live() -> Response {
    Json(json!({ "status": "ok", "timestamp": unix_now().0 })).into_response()
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let alive = health.pulse.is_alive();
    let counts = &health.doors.counts;
    let ailing = health.doors.pump.ailing.list();
    let off: Vec<&str> =
        ailing.iter().filter(|(_, ailment)| ailment.off).map(|(system, _)| *system).collect();
    let panics: serde_json::Map<String, serde_json::Value> = ailing
        .iter()
        .map(|(system, ailment)| {
            let told = json!({ "panics": ailment.panics, "message": &*ailment.message });
            ((*system).to_owned(), told)
        })
        .collect();
    let store = store::api::health(&health.doors.store.report());
    let tasks = health.doors.supervisor.health();
    let are_well = store["healthy"] == true && tasks["healthy"] == true;
    let well = alive && off.is_empty() && are_well;
    let body = json!({
        "status": if well { "healthy" } else { "degraded" },
        "checks": {
            "engine": {
                "healthy": alive,
                "tick_age_ms": health.pulse.age().map(|age| age.as_millis() as u64),
            },
            // One that is left out is missed by nobody who looks, or the engine would have ended.
            "systems": { "healthy": off.is_empty(), "off": off, "panicked": panics },
            // Live data does not wait for it, and is served all the same.
            "store": store,
            "tasks": tasks,
            "feeds": { "healthy": true, "count": health.doors.devices.feed_count() },
            "wire": {
                "healthy": true,
                "sockets_opened": counts.sockets.load(Ordering::Relaxed),
                "measurements_incomplete": counts.incomplete.load(Ordering::Relaxed),
                "measurements_refused": counts.refused.load(Ordering::Relaxed),
            },
        },
        "timestamp": unix_now().0,
    });
    let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// The page's files.
async fn page(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return error(StatusCode::NOT_FOUND);
    }
    let Some(asset) = web::asset(request.uri().path()) else {
        return error(StatusCode::NOT_FOUND);
    };
    let tag = format!("\"{}\"", asset.etag.trim_matches('"'));
    let caching = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|known| known.trim() == tag))
    });
    let headers = [
        (header::CONTENT_TYPE, asset.mime.to_owned()),
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, tag),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Body::from(asset.bytes.into_owned())).into_response()
}

/// An error in the original's shape (`reference/wire.md` 2.3).
pub fn error(status: StatusCode) -> Response {
    let detail = status.canonical_reason().unwrap_or("Error");
    (status, Json(json!({ "errors": { "detail": detail } }))).into_response()
}

/// The whole body, copied: each piece of it would hold on to the buffer it was read into, and a
/// client that sends one byte at a time would have us keep 8 KiB for each.
async fn gather(body: Body) -> Result<Body, StatusCode> {
    let mut body = Limited::new(body, BODY_BYTES_MAX);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => StatusCode::PAYLOAD_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        })?;
        if let Some(piece) = frame.data_ref() {
            whole.extend_from_slice(piece);
        }
    }
    Ok(Body::from(whole))
}

/// A handler that panics answers 500, and its connection lives.
async fn contain(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    // Or they could not be switched off again.
    let struck = request.uri().path() != "/_fault";
    let answer = AssertUnwindSafe(async {
        if struck && faults.pass("http.request", 0).is_err() {
            return error(StatusCode::SERVICE_UNAVAILABLE);
        }
        next.run(request).await
    });
    answer.catch_unwind().await.unwrap_or_else(|_| error(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Who came by TLS once is to come so for a year (RFC 6797).
async fn insist(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.address);
    let is_https = peer.is_some_and(|peer| doors.proxies.is_https(peer, request.headers()));
    let mut response = next.run(request).await;
    if is_https {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// What holds for every request: a body bounded in bytes and time, and headers that keep a
/// browser careful.
async fn dress(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let has_body = parts.headers.contains_key(header::CONTENT_LENGTH)
        || parts.headers.contains_key(header::TRANSFER_ENCODING);
    let upgrades = parts.headers.contains_key(header::UPGRADE);
    let request = if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        Err(StatusCode::PAYLOAD_TOO_LARGE)
    } else if has_body {
        match timeout(BODY_DEADLINE, gather(body)).await {
            Ok(Ok(body)) => Ok(Request::from_parts(parts, body)),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    } else {
        Ok(Request::from_parts(parts, body))
    };
    let mut response = match request {
        Ok(request) => next.run(request).await,
        Err(status) => error(status),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let headers = response.headers_mut();
    if has_body || upgrades {
        // See `listen::Scan`: heads are only looked over while nothing else was in between.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let careful: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in careful {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

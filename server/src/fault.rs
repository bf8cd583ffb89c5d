//! Failpoints over HTTP, in builds that have them (the cargo feature `faults`): `GET /_fault` lists
//! them, `POST /_fault` sets one. Only where the setting `faults` asks for them, on loopback.

use components::fault::Faults;

/// The server's own points, beside the engine's. `mail.encode` has the viewer's slot as its key;
/// `store.commit` is in the middle of a transaction, `store.open` where its file is opened; those of tasks
/// are where each begins, and in each round of `gauge` and `history`.
#[cfg(feature = "faults")]
const POINTS: [&str; 18] = [
    "http.request",
    "intake.command",
    "intake.samples",
    "mail.encode",
    "pump.tick",
    "store.commit",
    "store.open",
    "task.belongings",
    "task.consent",
    "task.discovery",
    "task.gauge",
    "task.hand_over",
    "task.history",
    "task.people",
    "task.residents",
    "task.room_history",
    "task.rooms",
    "task.search",
];

/// Why a build cannot arm its failpoints, if it cannot.
#[cfg(not(feature = "faults"))]
pub const UNARMED: Option<&str> = Some("this build has none; it needs the cargo feature `faults`");
#[cfg(feature = "faults")]
pub const UNARMED: Option<&str> = None;

/// All points, off.
pub fn armed() -> Faults {
    #[cfg(feature = "faults")]
    return Faults::armed(engine::fault_points().chain(POINTS));
    #[cfg(not(feature = "faults"))]
    Faults::default()
}

#[cfg(feature = "faults")]
pub use over_http::router;

#[cfg(feature = "faults")]
mod over_http {
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Json, Response};
    use axum::routing::get;
    use components::fault::{Action, DELAY_MS_MAX, Faults, Point};
    use serde::Deserialize;
    use serde_json::{Value, json};

    /// Nothing, unless the points are armed.
    pub fn router(faults: Faults) -> axum::Router {
        match faults.is_armed() {
            true => axum::Router::new().route("/_fault", get(list).post(set).with_state(faults)),
            false => axum::Router::new(),
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        point: String,
        action: Word,
        /// Of the action `delay_ms`.
        delay_ms: Option<u64>,
        count: Option<u64>,
        prob: Option<f64>,
        #[serde(default)]
        seed: u64,
        key: Option<u64>,
    }

    #[derive(Debug, Clone, Copy, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Panic,
        Error,
        DelayMs,
        Off,
    }

    async fn list(State(faults): State<Faults>) -> Json<Value> {
        let points: Vec<Value> = faults.list().into_iter().map(|(n, p)| show(n, &p)).collect();
        Json(json!({ "points": points }))
    }

    fn show(name: &str, point: &Point) -> Value {
        let (action, delay_ms) = match point.action {
            Action::Off => ("off", None),
            Action::Panic => ("panic", None),
            Action::Error => ("error", None),
            Action::Delay { ms } => ("delay_ms", Some(ms)),
        };
        let Point { count, prob, seed, key, hits, .. } = point;
        json!({
            "point": name, "action": action, "delay_ms": delay_ms, "count": count,
            "prob": prob, "seed": seed, "key": key, "hits": hits,
        })
    }

    async fn set(State(faults): State<Faults>, body: Bytes) -> Response {
        let refuse = |status: StatusCode, what: String| {
            (status, Json(json!({ "errors": { "detail": what } }))).into_response()
        };
        let order: Order = match serde_json::from_slice(&body) {
            Ok(order) => order,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let action = match (order.action, order.delay_ms) {
            (Word::Panic, None) => Action::Panic,
            (Word::Error, None) => Action::Error,
            (Word::Off, None) => Action::Off,
            (Word::DelayMs, Some(ms @ 0..=DELAY_MS_MAX)) => Action::Delay { ms },
            (Word::DelayMs, _) => {
                let what = format!("`delay_ms` needs a number from 0 to {DELAY_MS_MAX}");
                return refuse(StatusCode::BAD_REQUEST, what);
            }
            (_, Some(_)) => {
                let what = "`delay_ms` is of the action `delay_ms` alone".into();
                return refuse(StatusCode::BAD_REQUEST, what);
            }
        };
        let prob = order.prob.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&prob) {
            return refuse(StatusCode::BAD_REQUEST, "`prob` is from 0 to 1".into());
        }
        let Order { count, seed, key, .. } = order;
        let point = Point { action, count, prob, seed, key, hits: 0 };
        match faults.set(&order.point, point) {
            Ok(()) => list(State(faults)).await.into_response(),
            Err(_) => refuse(
                StatusCode::NOT_FOUND,
                format!("there is no point `{}`; GET /_fault lists them", order.point),
            ),
        }
    }
}

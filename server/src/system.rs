//! `/api/system`: how the server fares, as one JSON: pressures, the load, what became of what was
//! asked for and which layer took it; for one viewer and sensor why; and samples that were followed
//! (`docs/system.md`). The world is walked when somebody asks, at most once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use components::budget::Layer;
use components::class::Class;
use components::delivery::{Form, TickReport};
use components::id::{Handle, ViewerId};
use components::ledger::{Ledger, Reason};
use components::limits::NAME_BYTES_MAX;
use components::load::LoadLevel;
use components::pressure::{Resource, WEIGHTS};
use components::viewer::Quality;
use engine::{Bands, Figures};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ages::{AllCounts, Counts, Stage};
use crate::channel::unix_now;
use crate::gauge::Measured;
use crate::orders::{Answer, Problem, error, let_in};
use crate::pump::{Inspection, Question};
use crate::socket::Doors;
use crate::store;

/// Between two looks at how far a viewer has come in a stream: half the slowest flush but one.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
struct Api {
    doors: Arc<Doors>,
    began: Instant,
    /// Counts of drops as of the last answer, so that the next can say how many a second.
    before: Arc<Mutex<Option<Drops>>>,
    /// What the door had dropped of each class as of the last answer.
    door: Arc<Mutex<Option<([u64; Class::COUNT], Instant)>>>,
}

#[derive(Debug)]
struct Drops {
    at: Instant,
    counts: HashMap<(&'static str, &'static str), u64>,
}

/// All of it asks for a viewer's authority.
pub fn router(doors: Arc<Doors>) -> Router {
    let api = Api {
        doors: Arc::clone(&doors),
        began: Instant::now(),
        before: Arc::default(),
        door: Arc::default(),
    };
    Router::new()
        .route("/api/system", get(show).fallback(wrong_method))
        .route("/api/system/decision", get(decide).fallback(wrong_method))
        .route("/api/system/traces", get(traces).fallback(wrong_method))
        .layer(middleware::from_fn_with_state(doors, let_in))
        .with_state(api)
}

async fn wrong_method() -> Problem {
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "there is only GET here")
}

fn fresh(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn stands_still() -> Problem {
    let problem = "the engine did not answer in time";
    error(StatusCode::SERVICE_UNAVAILABLE, "engine_silent", problem)
}

async fn show(State(api): State<Api>) -> Answer {
    let doors = &api.doors;
    let inspected = doors.pump.inspect(&doors.intake).await.ok_or_else(stands_still)?;
    let measured = doors.board.newest();
    let (at, inspection) = &*inspected;
    let mut body = json!({
        "at": unix_now().0,
        "uptime_ms": api.began.elapsed().as_millis() as u64,
        "version": env!("CARGO_PKG_VERSION"),
        "ages": measured.as_deref().map_or_else(Vec::new, |measured| ages_json(&measured.ages)),
        "systems": systems_json(&inspection.report),
        "drops": api.drops_json(*at, inspection),
        "balanced": inspection.ledgers.is_ok(),
        "durable": store::api::health(&doors.store.report()),
    });
    if let (Some(figures), Value::Object(members)) = (&inspection.figures, &mut body) {
        members.insert("classes".into(), api.classes_json(figures));
        world_json(figures, measured.as_deref(), members);
    }
    Ok(fresh(body))
}

fn world_json(figures: &Figures, measured: Option<&Measured>, members: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| members.insert(name.into(), value);
    put("load", load_json(figures, measured));
    put("flow", flow_json(figures));
    put("storage", storage_json(figures));
    let pacing = figures.budget.pacing.iter().rev().map(|pacing| {
        json!({
            "level": pacing.level.name(),
            "window_ms": pacing.window_ms,
            "batch_size": pacing.batch_size,
            "paused": pacing.paused,
        })
    });
    put("pacing", pacing.collect());
    put("viewers", viewers_json(figures));
    put("bio", bio_json(figures));
    let sensors = figures.sensors.iter().map(|sensor| {
        json!({
            "sensor_id": &*sensor.sensor_id,
            "class": sensor.class.name(),
            "level": sensor.level.name(),
            "in_sps": sensor.in_sps,
            "viewers": sensor.readers,
        })
    });
    let viewers = figures.viewers.iter().map(|viewer| {
        json!({
            "viewer": number_of(viewer.viewer),
            "choice": viewer.choice.name(),
            "strong": viewer.grant.strong.name(),
            "rest": viewer.grant.rest.name(),
            "limited_by": viewer.grant.limited_by.map(Layer::name),
            "asked_sps": viewer.flowed.asked_sps,
            "allowed_sps": viewer.flowed.allowed_sps,
            "delivered_sps": viewer.flowed.delivered_sps,
            "waiting_bytes": viewer.waiting_bytes,
            "waiting_ms": viewer.waiting_ms,
            "health": viewer.health,
        })
    });
    put(
        "top",
        json!({
            "sensors": sensors.collect::<Vec<_>>(),
            "viewers": viewers.collect::<Vec<_>>(),
        }),
    );
}

/// The goal of homeostasis.
const GOAL_AGE_MS: f64 = 150.0;

fn bio_json(figures: &Figures) -> Value {
    let bio = &figures.bio;
    let recent = bio.recent.iter().rev().map(|event| {
        json!({
            "at_ms_ago": figures.now.0.saturating_sub(event.at.0) / 1000,
            "sensor_id": &*event.sensor_id,
            "attribute_id": &*event.attribute_id,
            "z": event.z,
            "boost_ms": event.boost_ms,
        })
    });
    let (score, baseline) = bio.brier;
    json!({
        "novelty": {
            "events_total": bio.event_count,
            "lifted": bio.lifted,
            "recent": recent.collect::<Vec<_>>(),
        },
        "forecast": {
            "enabled": bio.forecast_on,
            "score": score,
            "baseline": baseline,
            "known": bio.known,
            "warmed": bio.warm,
        },
        "correlation": { "enabled": bio.company_on, "pairs": bio.pairs },
        "homeostasis": {
            "offset": bio.offset,
            "p99_ms": bio.outcome.map(|(age, _)| age),
            "target_ms": GOAL_AGE_MS,
            "drop_rate": bio.outcome.map_or(0.0, |(_, dropped)| dropped),
            "saturated": bio.saturated,
        },
        "arbiter": {
            "contended": figures.devices_fps.is_some() || figures.budget.is_contended(),
            "budget_fps": figures.devices_fps,
        },
        "circadian": {
            "factor": bio.hour_factor,
            "confidence": bio.hour_skill,
            "hour_local": bio.hour_local,
        },
    })
}

fn load_json(figures: &Figures, measured: Option<&Measured>) -> Value {
    let judgement = &figures.judgement;
    let pressures = &judgement.pressures;
    let since = figures.now.0.saturating_sub(judgement.since.0) / 1000;
    let measures = Resource::ALL.map(|resource| {
        let measure = measured.map(|measured| &measured.measures[resource as usize]);
        json!({
            "name": resource.name(),
            "used": pressures.of(resource),
            "measured": measure.map(|measure| measure.measured),
            "limit": measure.map(|measure| measure.limit),
            "unit": measure.map(|measure| measure.unit),
            "source": measure.map(|measure| measure.source),
        })
    });
    let Bands { bands, offset } = figures.bands;
    let thresholds = bands.map(|band| {
        json!({
            "level": band.level.name(),
            "enter": band.enter + offset,
            "exit": band.exit + offset,
        })
    });
    json!({
        "level": judgement.load.level.name(),
        "since_ms": since,
        "pressure": pressures.worst().1,
        "weighted": pressures.weighted(),
        "limited_by": judgement.by.map(Resource::name),
        "memory_protection": judgement.load.memory_protection,
        "offset": offset,
        "pressures": measures,
        "weights": WEIGHTS.into_iter().map(|(name, weight)| (name.to_owned(), json!(weight)))
            .collect::<Map<String, Value>>(),
        "thresholds": thresholds,
    })
}

fn flow_json(figures: &Figures) -> Value {
    let levels = figures.levels.map(|(level, flowed)| {
        json!({
            "level": level.name(),
            "asked_sps": flowed.asked_sps,
            "allowed_sps": flowed.allowed_sps,
            "delivered_sps": flowed.delivered_sps,
        })
    });
    let took = Layer::ALL
        .map(|layer| json!({ "layer": layer.name(), "sps": figures.took[layer as usize] }));
    json!({
        "levels": levels,
        "took": took,
        "contended": figures.budget.is_contended(),
        "allowed_sps": figures.budget.delivery_sps,
    })
}

fn storage_json(figures: &Figures) -> Value {
    let level: LoadLevel = figures.budget.load.level;
    json!({
        "bytes": figures.ring_bytes,
        "limit_bytes": figures.ring_bytes_max,
        "hot_multiplier": level.hot_multiplier(),
        "warm_multiplier": level.warm_multiplier(),
        "squeeze": figures.squeeze,
    })
}

fn viewers_json(figures: &Figures) -> Value {
    let mut qualities = Map::new();
    for quality in Quality::ALL {
        // Two that are one to the outside are counted as one.
        let count = figures.qualities[quality as usize];
        let before = qualities.get(quality.name()).and_then(Value::as_u64).unwrap_or(0);
        qualities.insert(quality.name().into(), json!(before + u64::from(count)));
    }
    let limited_by: Map<String, Value> = Layer::ALL
        .into_iter()
        .map(|layer| (layer.name().to_owned(), json!(figures.limited_by[layer as usize])))
        .collect();
    let open: u32 = figures.qualities.iter().sum();
    json!({ "open": open, "qualities": qualities, "limited_by": limited_by })
}

fn ages_json(ages: &AllCounts) -> Vec<Value> {
    let row = |stage: Stage, class: &str, counts: &Counts| {
        let at = |quantile| counts.quantile_ms(quantile);
        let (Some(p50), Some(p95), Some(p99)) = (at(0.5), at(0.95), at(0.99)) else {
            return None;
        };
        Some(json!({
            "stage": stage.name(), "class": class,
            "p50": p50, "p95": p95, "p99": p99, "count": counts.total(),
        }))
    };
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        let classes = &ages[stage as usize];
        let all = classes.iter().fold(Counts::default(), |sum, counts| sum.plus(counts));
        rows.extend(row(stage, "all", &all));
        rows.extend(
            Class::ALL
                .into_iter()
                .filter_map(|class| row(stage, class.name(), &classes[class as usize])),
        );
    }
    rows
}

/// Every system of the engine in its order: its time in the last tick, and how it is faring.
fn systems_json(report: &TickReport) -> Vec<Value> {
    let each = report.systems.iter().zip(&report.health);
    each.map(|((name, nanos), health)| {
        json!({
            "name": name,
            "micros": *nanos as f64 / 1000.0,
            "state": if health.off.is_none() { "running" } else { "off" },
            "panics": health.panics,
            "message": health.message.as_deref(),
            "lost": health.off.map(|_| health.lost),
        })
    })
    .collect()
}

impl Api {
    /// Of each class: what came, what was taken, and what the door dropped or still holds.
    fn classes_json(&self, figures: &Figures) -> Value {
        let books = self.doors.intake.books();
        let now = Instant::now();
        let mut before = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = books.classes.each_ref().map(|ledger| ledger.dropped.iter().sum::<u64>());
        let (then, since) = before.unwrap_or((dropped, now));
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if before.is_none() || seconds > 0.5 {
            *before = Some((dropped, now));
        }
        let classes = Class::ALL.map(|class| {
            let n = class as usize;
            let accepted = figures.class_in_sps[n];
            let lost = dropped[n].saturating_sub(then[n]) as f64;
            let dropped_sps = if seconds > 0.0 { lost / seconds } else { 0.0 };
            json!({
                "class": class.name(),
                "in_sps": accepted + dropped_sps,
                "accepted_sps": accepted,
                "dropped_sps": dropped_sps,
                "quota_sps": figures.budget.class_sps[n],
                "queued": books.classes[n].kept,
            })
        });
        json!(classes)
    }

    fn drops_json(&self, at: Instant, inspection: &Inspection) -> Vec<Value> {
        let Ok(audit) = &inspection.ledgers else { return Vec::new() };
        let mut counts = HashMap::new();
        let ledgers: [(&'static str, &Ledger); 2] =
            [("store", &audit.store), ("lens", &audit.lens)];
        for (name, ledger) in ledgers {
            for reason in Reason::ALL {
                counts.insert((name, reason.name()), ledger.dropped(reason));
            }
        }
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<Value> = Vec::new();
        for (name, _) in ledgers {
            for reason in Reason::ALL {
                let count = counts[&(name, reason.name())];
                let per_s = before.as_ref().and_then(|before| {
                    let seconds = at.saturating_duration_since(before.at).as_secs_f64();
                    let then = before.counts[&(name, reason.name())];
                    (seconds > 0.0).then(|| count.saturating_sub(then) as f64 / seconds)
                });
                rows.push(json!({
                    "ledger": name, "reason": reason.name(), "count": count,
                    "per_s": per_s.unwrap_or(0.0),
                }));
            }
        }
        // Whoever asks within the same second sees the same world, and the same rates.
        if before.as_ref().is_none_or(|before| at > before.at + Duration::from_millis(500)) {
            *before = Some(Drops { at, counts });
        }
        rows
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    viewer: Option<String>,
    sensor: Option<String>,
    attribute: Option<String>,
}

/// A viewer's number here, and back: its handle.
fn number_of(viewer: ViewerId) -> u64 {
    u64::from(viewer.0.slot) | u64::from(viewer.0.generation) << 32
}

fn viewer_of(number: u64) -> ViewerId {
    ViewerId(Handle { slot: number as u32, generation: (number >> 32) as u32 })
}

async fn decide(State(api): State<Api>, Query(asked): Query<Asked>) -> Answer {
    let bad = |problem: &str| error(StatusCode::BAD_REQUEST, "bad_query", problem);
    let viewer = asked.viewer.ok_or_else(|| bad("`viewer` is missing: a number of /api/system"))?;
    let viewer: u64 = viewer.parse().map_err(|_| bad("`viewer` is not a whole number"))?;
    let sensor = asked.sensor.ok_or_else(|| bad("`sensor` is missing: the id of a sensor"))?;
    if sensor.len() > NAME_BYTES_MAX {
        return Err(bad("`sensor` is longer than any id"));
    }
    let question = Question {
        viewer: viewer_of(viewer),
        sensor_id: sensor.into(),
        attribute_id: asked.attribute.map(String::into_boxed_str),
    };
    let doors = &api.doors;
    let ask = || async {
        let answer = doors.pump.ask(&doors.intake, question.clone()).await;
        answer.ok_or_else(stands_still)?.ok_or_else(|| {
            let problem =
                "there is no such viewer, or the sensor has no such attribute with samples";
            error(StatusCode::NOT_FOUND, "unknown", problem)
        })
    };
    let mut decision = ask().await?;
    if decision.delivered_hz.is_none() {
        // What goes out is seen by looking twice.
        tokio::time::sleep(LOOK_AGAIN).await;
        decision = ask().await?;
    }
    let chain: Vec<Value> = decision
        .chain
        .iter()
        .map(|link| {
            json!({ "layer": link.layer.name(), "allows_hz": link.allows_hz, "why": link.why })
        })
        .collect();
    Ok(fresh(json!({
        "attribute_id": &*decision.attribute_id,
        "asked_hz": decision.asked_hz,
        "allowed_hz": decision.allowed_hz,
        "delivered_hz": decision.delivered_hz,
        "limited_by": decision.limited_by.map(Layer::name),
        "form": match decision.form {
            None => "none",
            Some(Form::Raw | Form::Seed) => "raw",
            Some(Form::Latest) => "latest",
            Some(Form::Digest) => "digest",
        },
        "chain": chain,
    })))
}

async fn traces(State(api): State<Api>) -> Response {
    let ms = |age: Duration| age.as_secs_f64() * 1000.0;
    let traces = api.doors.ages.traces();
    let traces = traces.iter().map(|trace| {
        let sample = &trace.sample;
        let mut stages = Vec::new();
        let mut stage = |name: &str, at_ms: f64| {
            stages.push(json!({ "stage": name, "at_ms": at_ms }));
        };
        if let Some(device) = trace.device {
            stage("device", -ms(device));
        }
        stage("door", 0.0);
        stage("tick", ms(trace.tick));
        if let Some(flush) = trace.flush() {
            stage("flush", ms(flush));
        }
        if let Some(written) = trace.written() {
            stage("written", ms(written));
        }
        json!({
            "id": format!("{}:{}", sample.stream, sample.at),
            "sensor_id": &*sample.sensor_id,
            "attribute_id": &*sample.attribute_id,
            "class": sample.class.name(),
            "stages": stages,
            "viewers": trace.viewers(),
        })
    });
    fresh(json!({ "traces": traces.collect::<Vec<_>>() }))
}

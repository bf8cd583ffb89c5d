//! `GET /metrics`: what the server holds, has done and has dropped, in Prometheus' text format.
//! Bounded: no name that a client chose is a label.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use components::ledger::{Ledger, Reason};

use crate::pump::Inspection;
use crate::socket::{Doors, ENDS};

/// Answers with everything that is counted.
pub async fn show(State(doors): State<Arc<Doors>>) -> Response {
    let inspected = doors.pump.inspect(&doors.intake).await;
    let mut page = Page::default();
    connections(&mut page, &doors);
    pump(&mut page, &doors);
    page.gauge(
        "engine_inspected",
        "1 when the engine answered in time",
        u8::from(inspected.is_some()),
    );
    if let Some(inspected) = inspected {
        world(&mut page, &inspected.1);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.text).into_response()
}

fn connections(page: &mut Page, doors: &Doors) {
    let (door, counts) = (&doors.connections, &doors.counts);
    page.gauge("connections_open", "TCP connections", read(&door.open));
    page.counter("connections_accepted_total", "", read(&door.accepted));
    page.counter("connections_turned_away_total", "Beyond a limit", read(&door.turned_away));
    page.counter("accepts_failed_total", "For want of descriptors", read(&door.failed));
    // Ended first: a socket that opens in between must not make the difference negative.
    let ended = counts.ended();
    page.gauge("sockets_open", "WebSockets", read(&counts.sockets).saturating_sub(ended));
    page.counter("sockets_opened_total", "", read(&counts.sockets));
    page.head("sockets_ended_total", "counter", "By close code, or who left");
    for (name, count) in ENDS.iter().zip(&counts.ends) {
        page.labelled("sockets_ended_total", "how", name, read(count));
    }
    page.counter("sockets_slow_total", "Closed because nothing was read", read(&counts.slow));
    page.counter("sockets_overrun_total", "Behind the engine's words", read(&counts.overruns));
    page.gauge(
        "sockets_crowded",
        "1 while they wait for each other",
        u8::from(counts.crowd.is_crowded()),
    );
    page.counter("crowded_looks_total", "Of twenty a second", counts.crowd.look_count());
    page.gauge("feeds", "Device feeds, those that close included", doors.devices.feed_count());
    page.gauge("viewer_tokens", "", doors.viewers.minted_count());
    page.counter(
        "viewer_tokens_forgotten_total",
        "Never joined, and made room for others",
        doors.viewers.forgotten_count(),
    );
    let dropped = "measurement messages that lacked a member and were ignored";
    page.counter("measurements_incomplete_total", dropped, read(&counts.incomplete));
    page.counter("measurements_refused_total", "Answered with an error", read(&counts.refused));
    page.counter("answers_lost_total", "To words before a join", read(&counts.answers));
    page.counter("shouts_lost_total", "Found an outbox full", doors.topics.lost());
}

fn pump(page: &mut Page, doors: &Doors) {
    let pump = &doors.pump;
    let seconds = |micros: &AtomicU64| read(micros) as f64 / 1e6;
    page.counter("ticks_total", "", read(&pump.ticks));
    page.counter("ticks_missed_total", "Deadlines while a tick ran", read(&pump.missed_ticks));
    page.counter("tick_seconds_total", "Whole ticks", seconds(&pump.tick_micros));
    page.counter("engine_seconds_total", "Within the engine", seconds(&pump.engine_micros));
    page.counter("samples_total", "Given to the engine", read(&pump.samples));
    page.gauge("viewers_open", "Channels", read(&pump.viewers_open));
    page.gauge("viewers_busy", "With too much waiting", read(&pump.viewers_busy));
    page.counter("messages_total", "Sent to viewers", read(&pump.messages));
    page.counter("sent_bytes_total", "To viewers", read(&pump.bytes));
    page.counter("encoded_bytes_total", "Once, however often sent", read(&pump.encoded_bytes));
    page.counter("missed_samples_total", "Aged before a viewer's turn", read(&pump.missed_samples));
    page.counter("frames_lost_total", "Viewers closed for them", read(&pump.lost_frames));
    page.counter("viewers_slow_total", "Closed with 4008", read(&pump.slow_viewers));
}

fn world(page: &mut Page, Inspection { report, ledgers }: &Inspection) {
    page.gauge("sensors", "", report.sensor_count);
    page.gauge("viewers", "As the engine counts them", report.viewer_count);
    page.gauge("ring_bytes", "Of all rings", report.ring_bytes);
    page.head(
        "system_seconds",
        "gauge",
        "Each system of the engine in the last tick, in their order",
    );
    for (system, nanos) in &report.systems {
        page.labelled("system_seconds", "system", system, *nanos as f64 / 1e9);
    }
    page.gauge("books_balanced", "0: a promise is broken", u8::from(ledgers.is_ok()));
    match ledgers {
        Ok(audit) => {
            ledger(page, "store", &audit.store);
            ledger(page, "lens", &audit.lens);
        }
        Err(what) => tracing::error!(%what, "the books do not balance"),
    }
}

/// Received = delivered + coalesced + dropped + kept.
fn ledger(page: &mut Page, name: &str, ledger: &Ledger) {
    let each = [
        ("received_total", "counter", ledger.received),
        ("delivered_total", "counter", ledger.delivered),
        ("coalesced_total", "counter", ledger.coalesced),
        ("kept", "gauge", ledger.kept),
    ];
    for (what, kind, count) in each {
        page.one(&format!("{name}_{what}"), kind, "", count);
    }
    let dropped = format!("{name}_dropped_total");
    page.head(&dropped, "counter", "");
    for reason in Reason::ALL {
        page.labelled(&dropped, "reason", reason.name(), ledger.dropped(reason));
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The page in the making. Writing to a string cannot fail.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "counter", help, value);
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ = writeln!(self.text, "sensocto_{name} {value}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        if !help.is_empty() {
            let _ = writeln!(self.text, "# HELP sensocto_{name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE sensocto_{name} {kind}");
    }

    fn labelled(&mut self, name: &str, label: &str, of: &str, value: impl Display) {
        let _ = writeln!(self.text, "sensocto_{name}{{{label}=\"{of}\"}} {value}");
    }
}

//! `GET /metrics`: what the server holds, has done and has dropped, in Prometheus' text format and
//! by its conventions: base units, `_total` on what only grows, a sentence for each name. Bounded: of
//! names that clients choose, only so many groups' are labels.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use components::budget::Layer;
use components::class::Class;
use components::ledger::{Ledger, Reason};
use components::viewer::Quality;
use engine::Figures;

use crate::address::Kind as Limited;
use crate::ages::{Ages, BOUNDS_MICROS, Counts, Stage};
use crate::gate::Limit;
use crate::gauge::Measured;
use crate::groups::{Meter, ORDER_BOUNDS};
use crate::pump::Inspection;
use crate::socket::{Doors, ENDS};
use crate::{belongings, consent, history, people, post, rooms, search, store};

/// Answers with everything that is counted.
pub async fn show(State(doors): State<Arc<Doors>>) -> Response {
    let inspected = doors.pump.inspect(&doors.intake).await;
    let mut page = Page::default();
    connections(&mut page, &doors);
    queues(&mut page, &doors);
    let door = door(&mut page, &doors);
    pump(&mut page, &doors);
    history::api::measure(&mut page, &doors.history.figures());
    store::api::measure(&mut page, &doors.store.report());
    doors.supervisor.measure(&mut page);
    people::api::measure(&mut page, &doors.people);
    if let Some(post) = &doors.post {
        post::measure(&mut page, post);
    }
    belongings::api::measure(&mut page, &doors.belongings);
    rooms::api::measure(&mut page, &doors.rooms);
    search::api::measure(&mut page, &doors.search);
    consent::api::measure(&mut page, &doors.consent);
    ages(&mut page, &doors.ages);
    groups(&mut page, &doors.viewers.groups().meters());
    if let Some(measured) = doors.board.newest() {
        pressures(&mut page, &measured);
    }
    let answered = u8::from(inspected.is_some());
    page.gauge("engine_inspected", "Whether the engine answered in time: 1 or 0.", answered);
    if let Some(inspected) = inspected {
        world(&mut page, &inspected.1, &door);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.text).into_response()
}

fn connections(page: &mut Page, doors: &Doors) {
    let (door, counts) = (&doors.connections, &doors.counts);
    page.gauge("connections_open", "TCP connections that are open.", read(&door.open));
    page.counter("connections_accepted_total", "TCP connections taken.", read(&door.accepted));
    page.counter(
        "connections_turned_away_total",
        "TCP connections beyond a limit.",
        read(&door.turned_away),
    );
    page.counter(
        "accepts_failed_total",
        "TCP connections not taken for want of file descriptors.",
        read(&door.failed),
    );
    page.gauge("addresses", "Peer addresses whose rates are remembered.", read(&door.addresses));
    page.counter(
        "addresses_forgotten_total",
        "Peer addresses that made room for others before their time.",
        read(&door.addresses_forgotten),
    );
    // Ended first: a socket that opens in between must not make the difference negative.
    let ended = counts.ended();
    let open = read(&counts.sockets).saturating_sub(ended);
    page.gauge("sockets_open", "WebSockets that are open.", open);
    page.counter("sockets_opened_total", "WebSockets opened.", read(&counts.sockets));
    page.head("sockets_ended_total", "counter", "WebSockets ended, by close code or who left.");
    for (name, count) in ENDS.iter().zip(&counts.ends) {
        page.sample("sockets_ended_total", &[("how", name)], read(count));
    }
    page.counter(
        "sockets_slow_total",
        "WebSockets closed because nothing was read.",
        read(&counts.slow),
    );
    page.counter(
        "sockets_overrun_total",
        "WebSockets closed because they were behind the engine's words.",
        read(&counts.overruns),
    );
    page.gauge(
        "sockets_crowded",
        "Whether the sockets wait for each other: 1 or 0.",
        u8::from(counts.crowd.is_crowded()),
    );
    page.counter(
        "crowded_looks_total",
        "Looks, of twenty a second, that found the sockets waiting for each other.",
        counts.crowd.look_count(),
    );
    page.gauge(
        "feeds",
        "Device feeds, those that are closing included.",
        doors.devices.feed_count(),
    );
    page.gauge("viewer_tokens", "Viewer tokens that are out.", doors.viewers.minted_count());
    page.counter(
        "viewer_tokens_forgotten_total",
        "Viewer tokens that were never joined and made room for others.",
        doors.viewers.forgotten_count(),
    );
    page.counter(
        "measurements_incomplete_total",
        "Measurement messages that lacked a member and were ignored.",
        read(&counts.incomplete),
    );
    page.counter(
        "measurements_refused_total",
        "Measurement messages answered with an error.",
        read(&counts.refused),
    );
    page.counter(
        "answers_lost_total",
        "Answers to what was said before a join was decided, more than are kept.",
        read(&counts.answers),
    );
    page.counter("shouts_lost_total", "Shouts that found an outbox full.", doors.topics.lost());
}

fn pump(page: &mut Page, doors: &Doors) {
    let pump = &doors.pump;
    let seconds = |micros: &AtomicU64| read(micros) as f64 / 1e6;
    page.counter("ticks_total", "Ticks done.", read(&pump.ticks));
    page.counter(
        "ticks_missed_total",
        "Ticks left out because another still ran.",
        read(&pump.missed_ticks),
    );
    page.counter(
        "tick_seconds_total",
        "Time of whole ticks: engine, encoding, handing out.",
        seconds(&pump.tick_micros),
    );
    let name = "tick_duration_seconds";
    page.head(name, "histogram", "Time that each tick took.");
    page.histogram(name, &[], &TICK_SHOWN_MICROS, &pump.tick_durations.counts());
    page.counter("engine_seconds_total", "Time within the engine.", seconds(&pump.engine_micros));
    page.counter("samples_total", "Samples given to the engine.", read(&pump.samples));
    page.counter(
        "simulated_samples_total",
        "Samples given to the engine that were made up here.",
        read(&pump.simulated),
    );
    page.gauge("viewers_open", "Viewer channels that are open.", read(&pump.viewers_open));
    page.gauge("viewers_busy", "Viewer channels with too much waiting.", read(&pump.viewers_busy));
    page.counter("messages_total", "Messages sent to viewers.", read(&pump.messages));
    page.counter("sent_bytes_total", "Bytes sent to viewers.", read(&pump.bytes));
    page.counter(
        "encoded_bytes_total",
        "Bytes encoded for viewers, once however often sent.",
        read(&pump.encoded_bytes),
    );
    page.counter(
        "missed_samples_total",
        "Samples that aged out before a viewer's turn.",
        read(&pump.missed_samples),
    );
    page.counter(
        "frames_lost_total",
        "Frames that could not be kept; their viewers were closed.",
        read(&pump.lost_frames),
    );
    page.counter(
        "slices_withheld_total",
        "Runs of samples not sent to a viewer that they are not shared with.",
        read(&pump.withheld),
    );
    page.counter(
        "viewers_faulted_total",
        "Viewers closed because their mail panicked.",
        read(&pump.faulted_viewers),
    );
    page.counter(
        "viewers_slow_total",
        "Viewers closed with 4008 because they read nothing.",
        read(&pump.slow_viewers),
    );
}

fn ages(page: &mut Page, ages: &Ages) {
    let name = "sample_age_seconds";
    page.head(
        name,
        "histogram",
        "Time that followed samples spend in each stage of their way, and in delivery altogether.",
    );
    let counts = ages.counts();
    for stage in Stage::ALL {
        for class in Class::ALL {
            let labels = [("stage", stage.name()), ("class", class.name())];
            page.histogram(name, &labels, &SHOWN_MICROS, &counts[stage as usize][class as usize]);
        }
    }
    let name = "message_wait_seconds";
    page.head(name, "histogram", "Time that messages wait for their sockets.");
    page.histogram(name, &[], &SHOWN_MICROS, &ages.messages());
}

/// A group's name is a client's, so it is escaped, and bounded in number
/// ([`METERED_COUNT_MAX`](crate::groups::METERED_COUNT_MAX)).
fn groups(page: &mut Page, meters: &[(Box<str>, Meter)]) {
    let name = "group_order";
    page.head(name, "histogram", "Kuramoto's R of each reading of a group, as it was measured.");
    for (group, meter) in meters {
        let group = escaped(group);
        let mut below = 0;
        for (bound, count) in ORDER_BOUNDS.iter().zip(&meter.counts) {
            below += count;
            let labels = [("group", &*group), ("le", &*bound.to_string())];
            page.sample("group_order_bucket", &labels, below);
        }
        let labels = [("group", &*group), ("le", "+Inf")];
        page.sample("group_order_bucket", &labels, meter.readings);
        page.sample("group_order_sum", &[("group", &group)], meter.sum);
        page.sample("group_order_count", &[("group", &group)], meter.readings);
    }
    let gauges: [(&str, &str, fn(&Meter) -> Option<f64>); 4] = [
        ("group_order_smoothed", "Kuramoto's R of a group, smoothed over 2 s.", |meter| {
            meter.newest.map(|(r, _)| r)
        }),
        ("group_kappa_smoothed", "Mean cosine between pairs, smoothed over 2 s.", |meter| {
            meter.newest.map(|(_, kappa)| kappa)
        }),
        ("group_members", "Members of a group.", |meter| Some(meter.members.into())),
        ("group_measurable", "Members of a group who can be measured.", |meter| {
            Some(meter.measurable.into())
        }),
    ];
    for (name, help, value) in gauges {
        page.head(name, "gauge", help);
        for (group, meter) in meters {
            if let Some(value) = value(meter) {
                page.sample(name, &[("group", &escaped(group))], value);
            }
        }
    }
    let name = "group_unmeasurable_total";
    page.head(name, "counter", "Readings of a group in which fewer than two could be measured.");
    for (group, meter) in meters {
        page.sample(name, &[("group", &escaped(group))], meter.unmeasurable);
    }
}

/// As Prometheus wants what is between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn pressures(page: &mut Page, measured: &Measured) {
    page.head(
        "pressure_ratio",
        "gauge",
        "Part of its limit that is used of each resource; beyond 1 something waits.",
    );
    for measure in &measured.measures {
        page.sample("pressure_ratio", &[("resource", measure.resource.name())], measure.used);
    }
    page.head(
        "pressure_source",
        "gauge",
        "Where each pressure was measured, or which of several it is: always 1.",
    );
    for measure in &measured.measures {
        let labels = [("resource", measure.resource.name()), ("source", measure.source)];
        page.sample("pressure_source", &labels, 1);
    }
}

/// The conductor's decision, and who is held back by which layer.
fn budget(page: &mut Page, figures: &Figures) {
    let load = figures.judgement.load;
    page.gauge(
        "load_level",
        "How hard the machine is pressed: 0 normal to 3 critical.",
        load.level as u8,
    );
    page.gauge(
        "memory_protected",
        "Whether memory is protected: 1 or 0.",
        u8::from(load.memory_protection),
    );
    page.gauge(
        "budget_contended",
        "Whether less may be delivered than is asked for: 1 or 0.",
        u8::from(figures.budget.is_contended()),
    );
    page.head("viewers_at_quality", "gauge", "Viewers by what they are served of what is visible.");
    for quality in Quality::CHOICES {
        let trickle = if quality == Quality::Minimal { Quality::Trickle } else { quality };
        let count = figures.qualities[quality as usize]
            + if trickle == quality { 0 } else { figures.qualities[trickle as usize] };
        page.sample("viewers_at_quality", &[("quality", quality.name())], count);
    }
    page.head("viewers_limited", "gauge", "Viewers that are held back, by the layer that does it.");
    for layer in Layer::ALL {
        let count = figures.limited_by[layer as usize];
        page.sample("viewers_limited", &[("layer", layer.name())], count);
    }
    page.head("samples_stored_total", "counter", "Samples taken into rings, by class.");
    for class in Class::ALL {
        let count = figures.by_class[class as usize];
        page.sample("samples_stored_total", &[("class", class.name())], count);
    }
}

/// What waits between the pump and the sockets.
fn queues(page: &mut Page, doors: &Doors) {
    let (outboxes, lanes) = (&doors.counts.outboxes, &doors.pump.lanes);
    for (name, help, of) in [
        (
            "queue_entered_total",
            "Messages that entered a queue.",
            [&outboxes.entered, &lanes.entered],
        ),
        ("queue_left_total", "Messages that were taken from it.", [&outboxes.left, &lanes.left]),
        (
            "queue_lost_total",
            "Messages that went with their socket.",
            [&outboxes.lost, &lanes.lost],
        ),
    ] {
        page.head(name, "counter", help);
        for (queue, count) in ["outbox", "lane"].into_iter().zip(of) {
            page.sample(name, &[("queue", queue)], read(count));
        }
    }
    page.head("queue_waiting", "gauge", "Messages that are in a queue.");
    page.sample("queue_waiting", &[("queue", "outbox")], outboxes.waiting());
    page.sample("queue_waiting", &[("queue", "lane")], read(&doors.pump.lanes_waiting));
    page.counter(
        "frames_written_total",
        "Frames that the machine took to send.",
        read(&doors.counts.frames_written),
    );
    page.counter(
        "frames_unwritten_total",
        "Frames that went with their socket.",
        read(&doors.counts.frames_unwritten),
    );
}

/// What sockets brought in; its ledger, of all classes.
fn door(page: &mut Page, doors: &Doors) -> Ledger {
    let (books, quotas) = (doors.intake.books(), doors.intake.quotas());
    let total = books.total();
    ledger(page, "door", "the sockets' door", &total);
    page.gauge(
        "door_unexplained",
        "Samples that the door's ledger does not account for: 0, or a fault of ours.",
        total.unexplained(),
    );
    let classes = || Class::ALL.into_iter().zip(&books.classes);
    let name = "class_received_total";
    page.head(name, "counter", "Samples read from sockets.");
    for (class, ledger) in classes() {
        page.sample(name, &[("class", class.name())], ledger.received);
    }
    page.head("class_waiting", "gauge", "Samples that wait for a tick.");
    for (class, ledger) in classes() {
        page.sample("class_waiting", &[("class", class.name())], ledger.kept);
    }
    let name = "class_dropped_total";
    page.head(name, "counter", "Samples that went no further than the door.");
    for (class, ledger) in classes() {
        for reason in [Reason::UnknownFeed].into_iter().chain(Reason::OF_DOOR) {
            let labels = [("class", class.name()), ("reason", reason.name())];
            page.sample(name, &labels, ledger.dropped(reason));
        }
    }
    let name = "class_quota_samples_per_second";
    page.head(name, "gauge", "Samples a second that a class may bring in, while it has a quota.");
    for (class, quota) in Class::ALL.into_iter().zip(quotas) {
        if let Some(quota) = quota {
            page.sample(name, &[("class", class.name())], quota);
        }
    }
    let name = "rate_limited_total";
    page.head(name, "counter", "Joins, samples, bytes and viewers' words beyond a limit.");
    for (limit, counts) in Limit::ALL.into_iter().zip(&doors.counts.limited) {
        for (what, count) in Limited::ALL.into_iter().zip(counts) {
            page.sample(name, &[("limit", limit.name()), ("what", what.name())], read(count));
        }
    }
    page.gauge("dead_letters", "Dead letters that can be looked at.", doors.letters.count());
    page.counter(
        "dead_letters_overwritten_total",
        "Dead letters that made room for newer ones.",
        doors.letters.overwritten(),
    );
    total
}

fn world(page: &mut Page, Inspection { report, ledgers, figures }: &Inspection, door: &Ledger) {
    if let Some(figures) = figures {
        budget(page, figures);
    }
    page.gauge("sensors", "Sensors that are there.", report.sensor_count);
    page.gauge("viewers", "Viewers, as the engine counts them.", report.viewer_count);
    page.gauge("rooms_looked_into", "Rooms that are entities of the engine.", report.room_count);
    page.gauge("ring_bytes", "Bytes of all rings.", report.ring_bytes);
    page.head(
        "system_seconds",
        "gauge",
        "Time of each system of the engine in the last tick, in their order.",
    );
    for (system, nanos) in &report.systems {
        page.sample("system_seconds", &[("system", system)], *nanos as f64 / 1e9);
    }
    page.head(
        "system_panics_total",
        "counter",
        "Panics of each system, from which it was restarted.",
    );
    for health in &report.health {
        page.sample("system_panics_total", &[("system", health.system)], health.panics);
    }
    page.head("system_off", "gauge", "Whether each system is left out, for its panics: 1 or 0.");
    for health in &report.health {
        let off = u8::from(health.off.is_some());
        page.sample("system_off", &[("system", health.system)], off);
    }
    let balanced = u8::from(ledgers.is_ok() && door.unexplained() == 0);
    page.gauge("books_balanced", "Whether every sample is accounted for: 1 or 0.", balanced);
    match ledgers {
        Ok(audit) => {
            ledger(page, "store", "the rings", &audit.store);
            ledger(page, "lens", "the viewers' lenses", &audit.lens);
        }
        Err(what) => tracing::error!(%what, "the books do not balance"),
    }
}

/// Received = delivered + coalesced + dropped + kept.
fn ledger(page: &mut Page, name: &str, what: &str, ledger: &Ledger) {
    let each = [
        ("received_total", "counter", ledger.received, "Samples that came to"),
        ("delivered_total", "counter", ledger.delivered, "Samples that left whole from"),
        ("coalesced_total", "counter", ledger.coalesced, "Samples that left within others from"),
        ("kept", "gauge", ledger.kept, "Samples that are still with"),
    ];
    for (suffix, kind, count, said) in each {
        page.one(&format!("{name}_{suffix}"), kind, &format!("{said} {what}."), count);
    }
    let dropped = format!("{name}_dropped_total");
    page.head(&dropped, "counter", &format!("Samples dropped from {what}, by reason."));
    for reason in Reason::ALL {
        page.sample(&dropped, &[("reason", reason.name())], ledger.dropped(reason));
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The bounds that are shown of each histogram, in microseconds: three a decade, and the 150 ms that
/// are promised. Buckets are cumulative, so that the rest may be left out.
const SHOWN_MICROS: [u64; 14] = [
    1_000, 2_200, 4_700, 10_000, 22_000, 47_000, 100_000, 150_000, 220_000, 470_000, 1_000_000,
    2_200_000, 4_700_000, 10_000_000,
];

/// Those of a tick, which has 4 ms.
const TICK_SHOWN_MICROS: [u64; 9] =
    [100, 220, 470, 1_000, 2_200, 4_700, 10_000, 100_000, 1_000_000];

const _: () = assert!(SHOWN_MICROS[13] == BOUNDS_MICROS[BOUNDS_MICROS.len() - 1]);

/// The page in the making. Writing to a string cannot fail.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "gauge", help, value);
    }

    pub(crate) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "counter", help, value);
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP sensocto_{name} {help}");
        let _ = writeln!(self.text, "# TYPE sensocto_{name} {kind}");
    }

    /// Values of labels are words of ours, and need no escaping.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "sensocto_{name}");
        for (index, (label, of)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{of}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], shown: &[u64], counts: &Counts) {
        let mut bucket = |bound: &str, count: u64| {
            let of: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            self.sample(&format!("{name}_bucket"), &of, count);
        };
        for micros in shown {
            bucket(&(*micros as f64 / 1e6).to_string(), counts.at_most(*micros));
        }
        bucket("+Inf", counts.total());
        self.sample(&format!("{name}_sum"), labels, counts.seconds());
        self.sample(&format!("{name}_count"), labels, counts.total());
    }
}

#[cfg(test)]
mod tests;

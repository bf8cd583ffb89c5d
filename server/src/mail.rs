//! Deliveries on their way to sockets: each open seat's lane, kept by the pump's thread.
//!
//! The engine moves a viewer's cursor as it delivers, so what it delivered must arrive or the
//! channel must close: a frame that finds the outbox full waits in its lane, the viewer counts as
//! busy, and the engine delivers no more until it has gone.

mod bodies;
mod follow;
mod groups;
mod private;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use components::budget::Grant;
use components::command::{Command, Inputs};
use components::delivery::{Deliveries, Flush, Notice};
use components::fault::Faults;
use components::group::GroupNews;
use components::id::{GroupId, ViewerId};
use components::pressure::SocketReport;
use components::sample::EngineTime;
use components::wire::viewer::{self, Encoded};

use crate::ages::{Ages, Stamp};
use crate::clock::Now;
use crate::complaints::{Complaints, panic_message};
use crate::groups::WATCHED_COUNT_MAX;
use crate::intake::Intake;
use crate::outbox::{Letter, LineReport, Outgoing, Unsent};
use crate::roster::{Lens, ROSTER_INTERVAL_MS, Roster, RosterView};
use crate::viewer::{Form, Kicked, Seat, ViewerDesk, kicked_by, quality_body};
use follow::Following;
pub use follow::Taken;
use groups::{GroupBook, Letters, Said};
use private::{LeftOut, Private};

/// A viewer with more than this waiting for its socket is busy: half a second's frames at high
/// quality.
pub const BUSY_MESSAGE_COUNT: usize = 16;
pub const BUSY_BYTES: usize = 512 * 1024;

/// The engine hears of sockets at which something waits this long.
const REPORTED_AGE_MS: u32 = 50;

/// A viewer that reads nothing for this long, while something waits for it, is let go.
pub const SLOW_MS_MAX: u64 = 10_000;

/// What counts of the time between two looks: a process that was stopped for a minute has not
/// waited a minute for anybody.
const LOOK_MICROS_MAX: u64 = 500_000;

/// The code its socket is closed with.
pub const SLOW_CLOSE_CODE: u16 = 4008;

/// Bytes that may wait in all lanes together, beyond the outboxes. One lane holds at most what one
/// tick delivered to it.
pub const LANE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Time between two looks at how well the sockets keep up.
const LINE_LOOK_MS: u64 = 250;

/// What happened in the mail during one tick.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct MailFigures {
    pub open: usize,
    pub busy: usize,
    pub messages: u64,
    /// Sent, with heads and envelopes.
    pub bytes: u64,
    /// Encoded once, however often sent.
    pub encoded_bytes: u64,
    /// Samples that aged out before a viewer's turn.
    pub missed: u64,
    /// Channels closed because a frame could not be kept.
    pub lost_frames: u64,
    /// Sockets closed because nobody read.
    pub slow: u64,
    /// How long the oldest message waits at the sockets of the slower quarter, in microseconds.
    pub line_micros: u64,
    /// In all lanes.
    pub waiting: Waiting,
    /// Channels closed because their mail panicked.
    pub faulted: u64,
    /// Slices that were not for who would have had them, since the server began.
    pub withheld: u64,
}

/// Messages that did not fit into their outbox at once. But for what is there now, totals since the
/// server began: entered = left + lost + count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub bytes: usize,
    /// As counted in the lanes before the tick.
    pub count: usize,
    pub entered: u64,
    /// Went on into their outbox.
    pub left: u64,
    /// Went with their channel.
    pub lost: u64,
}

#[derive(Debug, Default)]
pub struct Mail {
    /// By the slot of the viewer's handle.
    lanes: Vec<Option<Lane>>,
    encoded: Encoded,
    roster: Roster,
    waiting: Waiting,
    figures: MailFigures,
    looked_at: EngineTime,
    lines: Lines,
    following: Following,
    groups: GroupBook,
    private: Private,
    faults: Faults,
    complaints: Complaints,
}

/// How well the viewers' sockets keep up, looked at four times a second.
#[derive(Debug, Default)]
struct Lines {
    looked_at: Option<EngineTime>,
    /// How long the oldest message waits at each; kept for its room.
    ages: Vec<Duration>,
    /// See [`slower_quarter`].
    age: Duration,
}

#[derive(Debug)]
struct Lane {
    seat: Arc<Seat>,
    /// What did not fit into the outbox yet.
    waiting: VecDeque<Letter>,
    waiting_bytes: usize,
    /// For how many microseconds nothing was read, and how many messages were left at the last look.
    stuck: Option<(u64, usize)>,
    busy: bool,
    /// The engine has heard that something waits here.
    reported: bool,
    announced: Option<Grant>,
    /// What it is served, as the engine said last.
    grant: Grant,
    lens: Arc<Lens>,
    view: RosterView,
    roster_sent: Option<EngineTime>,
    /// Groups whose members it was told, and which version of them.
    groups: Vec<(GroupId, u64)>,
    left_out: LeftOut,
}

impl Mail {
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Before the tick, after the intake was taken: admits who joined, sends on what waits, and
    /// says who is busy.
    pub fn prepare(&mut self, now: Now, desk: &ViewerDesk, intake: &Intake, inputs: &mut Inputs) {
        self.figures = MailFigures::default();
        let passed = now.engine.0.saturating_sub(self.looked_at.0).min(LOOK_MICROS_MAX);
        self.looked_at = now.engine;
        for seat in desk.take_arrivals() {
            self.admit(seat);
        }
        self.waiting.count = 0;
        for lane in self.lanes.iter_mut().flatten() {
            if lane.seat.is_gone() {
                lane.forget(&mut self.waiting);
                if intake.holds_farewells() {
                    // The engine does not know: to it, nobody reads there.
                    inputs.busy.push(lane.seat.viewer);
                }
                continue;
            }
            self.figures.open += 1;
            lane.send_waiting(&mut self.waiting);
            self.waiting.count += lane.waiting.len();
            lane.busy = !lane.seat.is_begun() || lane.is_busy();
            if !lane.busy {
                lane.stuck = None;
                continue;
            }
            inputs.busy.push(lane.seat.viewer);
            self.figures.busy += 1;
            lane.seat.figures.busy_ticks.fetch_add(1, Ordering::Relaxed);
            if lane.is_stuck(passed) {
                self.figures.slow += 1;
                let close = Outgoing::Close(SLOW_CLOSE_CODE, "slow");
                // If even this does not fit, the kick tells the socket.
                let _ = lane.seat.outbox.post(close.into());
                lane.seat.evict(Kicked::Slow, Some(intake));
                lane.forget(&mut self.waiting);
            }
        }
        self.look_at_lines(now.engine, inputs);
        self.figures.line_micros = self.lines.age.as_micros() as u64;
        self.figures.waiting = self.waiting;
    }

    fn look_at_lines(&mut self, now: EngineTime, inputs: &mut Inputs) {
        let Self { lanes, lines, .. } = self;
        if lines.looked_at.is_some_and(|at| now < at.plus_millis(LINE_LOOK_MS)) {
            return;
        }
        lines.looked_at = Some(now);
        lines.ages.clear();
        let at = Instant::now();
        let mut reports = Vec::new();
        for lane in lanes.iter_mut().flatten() {
            if !lane.seat.is_begun() || lane.seat.is_gone() {
                continue;
            }
            let LineReport { age, bytes } = lane.seat.outbox.take_report(at);
            lines.ages.push(age);
            let age_ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX);
            let waits = age_ms >= REPORTED_AGE_MS;
            // Once more when nothing waits any longer: the engine is to know.
            if waits || lane.reported {
                let bytes = u32::try_from(bytes + lane.waiting_bytes).unwrap_or(u32::MAX);
                reports.push(SocketReport { viewer: lane.seat.viewer, age_ms, bytes });
            }
            lane.reported = waits;
        }
        lines.age = slower_quarter(&mut lines.ages);
        if !reports.is_empty() {
            inputs.commands.push(Command::ReportSockets(reports.into()));
        }
    }

    fn admit(&mut self, seat: Arc<Seat>) {
        let slot = seat.viewer.0.slot as usize;
        if self.lanes.len() <= slot {
            self.lanes.resize_with(slot + 1, || None);
        }
        let served = seat.served();
        // Who speaks JSON knows what it asked for; it hears of changes only.
        let grant = Grant::asked(served.choice);
        let announced = (!matches!(seat.form, Form::Binary { .. })).then_some(grant);
        let left_out = LeftOut::new(matches!(seat.form, Form::Binary { .. }));
        let lane = Lane {
            seat,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            stuck: None,
            busy: true,
            reported: false,
            announced,
            grant,
            lens: served.lens,
            view: RosterView::default(),
            roster_sent: None,
            groups: Vec::new(),
            left_out,
        };
        if let Some(mut former) = self.lanes[slot].replace(lane) {
            former.forget(&mut self.waiting);
        }
    }

    /// After the tick: notices first, then to each seat its level, the roster, its data. A seat over
    /// which it panics is closed, and comes again; the others do not notice.
    pub fn deliver(
        &mut self,
        now: Now,
        desk: &ViewerDesk,
        intake: &Intake,
        deliveries: &Deliveries,
        taken: Taken,
        ages: &Ages,
    ) -> MailFigures {
        for notice in &deliveries.notices {
            self.roster.notice(notice);
            self.groups.notice(notice, desk.groups());
            if let Notice::QualityGranted { viewer, grant } = notice
                && let Some(lane) = self.lane_mut(*viewer)
            {
                lane.grant = *grant;
            }
            if let Notice::ViewerClosed { viewer, why } = notice {
                if let Some(lane) = self.lane_mut(*viewer) {
                    if let Some(why) = kicked_by(*why) {
                        lane.seat.evict(why, None);
                    }
                    let slot = viewer.0.slot as usize;
                    if let Some(mut lane) = self.lanes[slot].take() {
                        lane.forget(&mut self.waiting);
                    }
                }
                desk.viewer_closed(*viewer);
            }
        }
        let restarted = deliveries.notices.iter().any(tracks_attention);
        for slot in 0..self.lanes.len() {
            self.attempt(slot, intake, |mail| {
                if restarted {
                    mail.tell(slot, "attention_tracker_restarted", b"{}", intake);
                }
                mail.announce(slot, now.engine, intake);
            });
        }
        self.encoded.begin(deliveries);
        self.private.begin(desk.consent(), now.unix_ms);
        self.following.begin(now, taken, deliveries, ages);
        for flush in &deliveries.flushes {
            let slot = flush.viewer.0.slot as usize;
            self.attempt(slot, intake, |mail| {
                mail.faults.strike("mail.encode", slot as u64);
                mail.flush(flush, deliveries, now, desk, intake, ages);
            });
        }
        for news in &deliveries.groups {
            self.group_news(news, deliveries, desk, intake);
        }
        self.figures.encoded_bytes = self.encoded.bytes() as u64;
        self.figures.withheld = self.private.withheld;
        self.figures.waiting = self.waiting;
        self.figures
    }

    /// To everybody who watches the group, in their form.
    fn group_news(
        &mut self,
        news: &GroupNews,
        deliveries: &Deliveries,
        desk: &ViewerDesk,
        intake: &Intake,
    ) {
        let Self { lanes, groups, private, waiting, figures, .. } = self;
        let Some(Letters { version, said }) = groups.write(news, deliveries, desk.groups()) else {
            return;
        };
        let (members_of, attribute_id) = groups.members(news.group);
        for viewer in deliveries.watchers_of(news) {
            let lane = lanes.get_mut(viewer.0.slot as usize).and_then(Option::as_mut);
            let Some(lane) = lane.filter(|lane| lane.seat.viewer == *viewer) else { continue };
            let group = (news.group, version);
            let account = lane.seat.account.as_deref();
            if !private.may_read(desk.consent(), group, members_of, attribute_id, account) {
                continue;
            }
            let mut post = Post { waiting: &mut *waiting, figures: &mut *figures, intake };
            let (members, readings, pairs, hearts) = match &said {
                Said::Old(body) if body.is_empty() => continue,
                Said::Old(body) => {
                    post.text(lane, "sensor_batch", body);
                    continue;
                }
                Said::Group { members, readings, pairs, hearts } => {
                    (members, readings, pairs, hearts)
                }
            };
            if lane.is_news(news.group, version) {
                post.text(lane, "group_members", members);
            }
            if let Some((json, frame)) = readings {
                let head = match &lane.seat.form {
                    Form::Binary { .. } => lane.seat.envelope.binary_head("group"),
                    _ => None,
                };
                match head {
                    Some(mut message) => {
                        message.extend_from_slice(frame);
                        post.send_stamped(lane, Outgoing::Binary(Bytes::from(message)), Vec::new());
                    }
                    None => post.text(lane, "group_reading", json),
                }
            }
            if let Some(body) = pairs {
                post.text(lane, "group_pairs", body);
            }
            if let Some(body) = hearts {
                post.text(lane, "group_hearts", body);
            }
        }
    }

    /// Works for one seat; if that panics, the seat is closed.
    fn attempt(&mut self, slot: usize, intake: &Intake, work: impl FnOnce(&mut Self)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else { return };
        self.encoded.abandon();
        self.figures.faulted += 1;
        let Some(lane) = self.lanes.get_mut(slot).and_then(Option::as_mut) else { return };
        let viewer = lane.seat.viewer;
        if let Some(unsaid) = self.complaints.may(Instant::now()) {
            let said = panic_message(&*panic);
            tracing::error!(?viewer, said, unsaid, "a viewer's mail panicked; it is let go");
        }
        lane.forget(&mut self.waiting);
        lane.seat.evict(Kicked::Fault, Some(intake));
    }

    fn tell(&mut self, slot: usize, event: &str, body: &[u8], intake: &Intake) {
        let Self { lanes, waiting, figures, .. } = self;
        let Some(lane) = lanes[slot].as_mut().filter(|lane| lane.seat.is_begun()) else { return };
        Post { waiting, figures, intake }.text(lane, event, body);
    }

    fn lane_mut(&mut self, viewer: ViewerId) -> Option<&mut Lane> {
        self.lanes
            .get_mut(viewer.0.slot as usize)?
            .as_mut()
            .filter(|lane| lane.seat.viewer == viewer)
    }

    /// The level in force and the roster, as far as they are news.
    fn announce(&mut self, slot: usize, now: EngineTime, intake: &Intake) {
        let Self { lanes, roster, waiting, figures, .. } = self;
        let Some(lane) = lanes[slot].as_mut() else { return };
        if lane.busy || lane.seat.is_gone() {
            return;
        }
        let served = lane.seat.served();
        let mut post = Post { waiting, figures, intake };
        if lane.announced != Some(lane.grant) {
            post.text(lane, "quality_changed", &quality_body(served.choice, &lane.grant));
            lane.announced = Some(lane.grant);
        }
        if !matches!(lane.seat.form, Form::Binary { .. }) {
            return;
        }
        if !Arc::ptr_eq(&lane.lens, &served.lens) {
            lane.lens = served.lens;
            lane.view.forget();
        }
        let due = lane.roster_sent.is_none_or(|sent| now >= sent.plus_millis(ROSTER_INTERVAL_MS));
        if due && roster.is_news(&lane.view) {
            let mut body = Vec::new();
            if roster.tell(&mut lane.view, &lane.lens, &mut body) {
                post.text(lane, "roster", &body);
                lane.roster_sent = Some(now);
            }
        }
    }

    fn flush(
        &mut self,
        flush: &Flush,
        deliveries: &Deliveries,
        now: Now,
        desk: &ViewerDesk,
        intake: &Intake,
        ages: &Ages,
    ) {
        let Self { lanes, encoded, private, waiting, figures, following, .. } = self;
        let lane = lanes.get_mut(flush.viewer.0.slot as usize).and_then(Option::as_mut);
        let Some(lane) = lane.filter(|lane| lane.seat.viewer == flush.viewer) else { return };
        if lane.seat.is_gone() {
            return;
        }
        let missed: u64 = deliveries.slices_of(flush).map(|slice| slice.missed).sum();
        figures.missed += missed;
        lane.seat.figures.missed.fetch_add(missed, Ordering::Relaxed);
        lane.seat.figures.slices.fetch_add(u64::from(flush.part_count), Ordering::Relaxed);
        let seat = Arc::clone(&lane.seat);
        let mut post = Post { waiting, figures, intake };
        let (consent, account) = (desk.consent(), seat.account.as_deref());
        let runs = private.runs(consent, deliveries, flush, account, &mut lane.left_out);
        let server_time_ms = now.unix_ms as f64;
        if let Form::Binary { head } = &seat.form
            && let Some(cards) = lane.left_out.frame(deliveries, &runs, head, server_time_ms)
        {
            post.send_stamped(lane, Outgoing::Binary(Bytes::from(cards)), Vec::new());
        }
        for run in &runs {
            // Held back by one: the last message is known when there is no other.
            let mut last: Option<Outgoing> = None;
            match &seat.form {
                Form::Binary { head } => {
                    encoded.binary(deliveries, run, head, server_time_ms, &mut |frame| {
                        post.send_held(lane, &mut last, Outgoing::Binary(Bytes::from(frame)));
                    });
                }
                Form::Json => encoded.text(deliveries, run, &seat.envelope, &mut |text| {
                    post.send_held_text(lane, &mut last, text);
                }),
                Form::Receiver => {
                    viewer::measurements(deliveries, run, &seat.envelope, &mut |text| {
                        post.send_held_text(lane, &mut last, text);
                    });
                }
            }
            if let Some(last) = last {
                post.send_stamped(lane, last, following.stamps(run, deliveries, ages));
            }
        }
    }
}

/// What sending needs beside the lane.
struct Post<'a> {
    waiting: &'a mut Waiting,
    figures: &'a mut MailFigures,
    intake: &'a Intake,
}

impl Post<'_> {
    fn text(&mut self, lane: &mut Lane, event: &str, body: &[u8]) {
        let envelope = &lane.seat.envelope;
        let mut out = Vec::with_capacity(body.len() + 256);
        envelope.open_text(event, &mut out);
        out.extend_from_slice(body);
        envelope.close_text(&mut out);
        self.send_text(lane, out);
    }

    fn send_text(&mut self, lane: &mut Lane, text: Vec<u8>) {
        if let Some(message) = self.text_message(lane, text) {
            self.send_stamped(lane, message, Vec::new());
        }
    }

    fn text_message(&mut self, lane: &mut Lane, text: Vec<u8>) -> Option<Outgoing> {
        match Utf8Bytes::try_from(text) {
            Ok(text) => Some(Outgoing::Text(text)),
            Err(_) => {
                debug_assert!(false, "what we write is UTF-8");
                self.lose(lane);
                None
            }
        }
    }

    fn send_held_text(&mut self, lane: &mut Lane, held: &mut Option<Outgoing>, text: Vec<u8>) {
        if let Some(message) = self.text_message(lane, text) {
            self.send_held(lane, held, message);
        }
    }

    /// Holds `message`, and sends what was held before it.
    fn send_held(&mut self, lane: &mut Lane, held: &mut Option<Outgoing>, message: Outgoing) {
        if let Some(before) = held.replace(message) {
            self.send_stamped(lane, before, Vec::new());
        }
    }

    /// Into the outbox, or behind what waits for it.
    fn send_stamped(&mut self, lane: &mut Lane, message: Outgoing, stamps: Vec<Stamp>) {
        if lane.seat.is_gone() {
            return;
        }
        let size = message.bytes();
        self.figures.messages += 1;
        self.figures.bytes += size as u64;
        lane.seat.figures.messages.fetch_add(1, Ordering::Relaxed);
        lane.seat.figures.bytes.fetch_add(size as u64, Ordering::Relaxed);
        let mut letter = Letter { stamps, ..Letter::from(message) };
        if lane.waiting.is_empty() {
            match lane.seat.outbox.post(letter) {
                // A closed outbox: its socket is about to drop the seat.
                Ok(()) | Err(Unsent::Closed) => return,
                Err(Unsent::Full(back)) => letter = back,
            }
        }
        if self.waiting.bytes + size > LANE_BYTES_MAX {
            return self.lose(lane);
        }
        self.waiting.bytes += size;
        self.waiting.entered += 1;
        lane.waiting_bytes += size;
        lane.waiting.push_back(letter);
    }

    fn lose(&mut self, lane: &mut Lane) {
        self.figures.lost_frames += 1;
        lane.forget(self.waiting);
        lane.seat.evict(Kicked::LostFrame, Some(self.intake));
    }
}

impl Lane {
    /// Whether it has not been told of this version of a group's members; from now on it has.
    fn is_news(&mut self, group: GroupId, version: u64) -> bool {
        match self.groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, told)) if *told == version => return false,
            Some((_, told)) => *told = version,
            None => {
                if self.groups.len() >= 2 * WATCHED_COUNT_MAX {
                    // Mostly of groups that are gone.
                    self.groups.clear();
                }
                self.groups.push((group, version));
            }
        }
        true
    }

    fn send_waiting(&mut self, waiting: &mut Waiting) {
        while let Some(letter) = self.waiting.pop_front() {
            let size = letter.message.bytes();
            match self.seat.outbox.post(letter) {
                Ok(()) => waiting.left += 1,
                Err(Unsent::Closed) => waiting.lost += 1,
                Err(Unsent::Full(back)) => {
                    self.waiting.push_front(back);
                    return;
                }
            }
            self.waiting_bytes -= size;
            waiting.bytes -= size;
        }
    }

    fn forget(&mut self, waiting: &mut Waiting) {
        waiting.lost += self.waiting.len() as u64;
        self.waiting.clear();
        waiting.bytes -= std::mem::take(&mut self.waiting_bytes);
    }

    fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
            || self.seat.outbox.queued_messages() > BUSY_MESSAGE_COUNT
            || self.seat.outbox.queued_bytes() > BUSY_BYTES
    }

    /// Whether nothing has moved for [`SLOW_MS_MAX`]. Slow is not stuck: a large first roster on a
    /// small line takes its time.
    fn is_stuck(&mut self, passed: u64) -> bool {
        if !self.seat.is_begun() {
            return false;
        }
        let left = self.waiting.len() + self.seat.outbox.queued_messages();
        let micros = match self.stuck {
            Some((micros, before)) if left >= before => micros + passed,
            _ => 0,
        };
        self.stuck = Some((micros, left));
        micros >= SLOW_MS_MAX * 1000
    }
}

/// The age that a quarter of them reach, and two at least: one slow viewer is its own trouble, were
/// it the only one.
fn slower_quarter(ages: &mut [Duration]) -> Duration {
    let count = ages.len().div_ceil(4).max(2);
    if ages.len() < count {
        return Duration::ZERO;
    }
    let at = ages.len() - count;
    *ages.select_nth_unstable(at).1
}

/// Whether the notice is that what derives attention began anew. Clients of the original know an
/// event for it, and say again what they look at; with us nothing is forgotten.
fn tracks_attention(notice: &Notice) -> bool {
    const TRACKERS: [&str; 3] = ["gather_claims", "rest_cursors", "derive_levels"];
    matches!(notice, Notice::SystemRestarted { system, .. } if TRACKERS.contains(system))
}

#[cfg(test)]
mod tests;

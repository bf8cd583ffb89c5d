//! Discovery: which sensors are live, for whoever keeps a list of them.
//!
//! What a subscriber was told is compared with what is, so that nothing is missed however the changes
//! came: whoever is behind is told the difference. What has gone is told at once; the rest waits a
//! little, so that a thousand sensors that come at once are a few messages. Who sees what is judged
//! anew each time.

pub mod api;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::belongings::Belongings;
use crate::can::{Action, What, Who, can};
use crate::directory::Directory;
use crate::health::Pulse;
use crate::line::Line;
use crate::people::SessionId;
use crate::rooms::{Asker, RoomDesk};
use crate::viewer::{EventReply, Kick, Kicked, SeatAddress};

/// What has come or changed waits so long for more of it (`reference/seed.md` 5.3).
pub const DEBOUNCE: Duration = Duration::from_millis(100);

/// What is told is at most so old, or said to be stale (the same).
pub const STALENESS: Duration = Duration::from_secs(5);

/// Channels at once.
pub const SEAT_COUNT_MAX: usize = 1000;

/// Sensors of one message; who is to hear of more hears the rest a debounce later.
const MESSAGE_SENSOR_COUNT_MAX: usize = 200;

/// Sensors of one answer over HTTP.
pub const PAGE_SENSOR_COUNT_MAX: usize = 1000;

struct Seat {
    serial: u64,
    asker: Asker,
    line: Line,
    kick: Option<Kick>,
    /// By id, the version that was told.
    told: BTreeMap<Arc<str>, u64>,
}

#[derive(Default)]
struct State {
    seats: Vec<Seat>,
    next_serial: u64,
}

/// See the module.
pub struct Discovery {
    state: Mutex<State>,
    directory: Arc<Directory>,
    belongings: Arc<Belongings>,
    rooms: Arc<RoomDesk>,
    pulse: Arc<Pulse>,
    /// Whoever has not been let in by a token of the house sees what is theirs only.
    is_strict: bool,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Discovery({})", lock(&self.state).seats.len())
    }
}

/// An open channel, held by its socket. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct DiscoverySeat {
    desk: Arc<Discovery>,
    serial: u64,
}

impl Drop for DiscoverySeat {
    fn drop(&mut self) {
        lock(&self.desk.state).seats.retain(|seat| seat.serial != self.serial);
    }
}

impl DiscoverySeat {
    /// What a client says on its channel.
    pub(crate) fn event(&self, event: &str, payload: &RawValue) -> EventReply {
        if event == "ping" {
            return EventReply::Ok(payload.to_owned());
        }
        let said = RawValue::from_string(r#"{"reason":"unknown_event"}"#.to_owned());
        said.map_or(EventReply::Silent, EventReply::Error)
    }
}

/// What somebody sees. `None`: all.
pub(crate) type Sight = Option<BTreeSet<Arc<str>>>;

impl Discovery {
    pub fn new(
        directory: Arc<Directory>,
        belongings: Arc<Belongings>,
        rooms: Arc<RoomDesk>,
        pulse: Arc<Pulse>,
        is_strict: bool,
    ) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { state, directory, belongings, rooms, pulse, is_strict })
    }

    /// Which sensors somebody may know of.
    pub(crate) fn sight(&self, asker: &Asker) -> Sight {
        if !self.is_strict || asker.who == Who::Administrator {
            return None;
        }
        let mut seen: BTreeSet<Arc<str>> = self.rooms.sensors_for(asker);
        let own = self.belongings.sensors(asker).unwrap_or_default();
        seen.extend(own.into_iter().map(|(id, _)| id));
        Some(seen)
    }

    fn is_stale(&self) -> bool {
        self.pulse.age().is_none_or(|age| age > STALENESS)
    }

    /// A page of what is live, by id, behind one.
    fn page(&self, asker: &Asker, after: Option<&str>, limit: usize) -> Value {
        let sight = self.sight(asker);
        let known = self.directory.versions();
        let is_seen = |id: &Arc<str>| {
            sight.as_ref().is_none_or(|sight| sight.contains(id))
                && after.is_none_or(|after| **id > *after)
        };
        let mut ids = known.into_keys().filter(is_seen);
        let page: Vec<Arc<str>> = ids.by_ref().take(limit).collect();
        let sensors: Value = page.iter().map(|id| self.directory.told(id)).collect();
        json!({ "sensors": sensors, "more": ids.next().is_some(), "stale": self.is_stale() })
    }

    /// A join on `discovery:sensors`. The error is the reason on the wire.
    pub(crate) fn join(
        self: &Arc<Self>,
        asker: Asker,
        address: SeatAddress,
    ) -> Result<DiscoverySeat, &'static str> {
        can(asker.who, Action::ListPublic, What::House).map_err(|_| "unauthorized")?;
        let mut state = lock(&self.state);
        if state.seats.len() >= SEAT_COUNT_MAX {
            return Err("too_many");
        }
        state.next_serial += 1;
        let serial = state.next_serial;
        let (line, kick) = Line::new(address);
        let told = BTreeMap::new();
        state.seats.push(Seat { serial, asker, line, kick: Some(kick), told });
        drop(state);
        self.directory.came.notify_one();
        Ok(DiscoverySeat { desk: Arc::clone(self), serial })
    }

    /// Sessions that are over: whoever was let in by them is let go.
    pub fn end_sessions(&self, over: &[SessionId]) {
        let is_over = |seat: &Seat| seat.asker.session.is_some_and(|it| over.contains(&it));
        lock(&self.state).seats.retain_mut(|seat| {
            let goes = is_over(seat);
            if goes && let Some(kick) = seat.kick.take() {
                kick(Kicked::Deleted);
            }
            !goes
        });
    }

    /// Tells everybody what has gone, and if `all` what has come and changed; whether somebody is to
    /// hear more.
    fn tell(&self, all: bool) -> bool {
        let is_stale = self.is_stale();
        let mut state = lock(&self.state);
        if state.seats.is_empty() {
            return false;
        }
        let known = self.directory.versions();
        let mut more = false;
        state.seats.retain_mut(|seat| {
            let sight = self.sight(&seat.asker);
            let is_seen = |id: &Arc<str>| {
                known.contains_key(id) && sight.as_ref().is_none_or(|sight| sight.contains(id))
            };
            let removed: Vec<Arc<str>> =
                seat.told.keys().filter(|id| !is_seen(id)).cloned().collect();
            let mut news: Vec<(Arc<str>, u64)> = Vec::new();
            if all {
                let behind = known
                    .iter()
                    .filter(|(id, version)| is_seen(id) && seat.told.get(*id) != Some(*version));
                news = behind.map(|(id, version)| (Arc::clone(id), *version)).collect();
                more |= news.len() > MESSAGE_SENSOR_COUNT_MAX;
                news.truncate(MESSAGE_SENSOR_COUNT_MAX);
            }
            if removed.is_empty() && news.is_empty() {
                return true;
            }
            let sensors: Value = news.iter().map(|(id, _)| self.directory.told(id)).collect();
            let gone: Value = removed.iter().map(|id| Value::from(&**id)).collect();
            let said = json!({ "sensors": sensors, "removed": gone, "stale": is_stale });
            // Who does not read now is told the difference later.
            if seat.line.push("sensors_changed", &said.to_string()).is_err() {
                more = true;
                return true;
            }
            for id in &removed {
                seat.told.remove(id);
            }
            seat.told.extend(news);
            true
        });
        more
    }

    /// Tells, for as long as the server runs.
    pub async fn keep_telling(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        // When what has come is told; and who may see what changes without the directory.
        let mut due = Instant::now() + STALENESS;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|down| *down) => return,
                () = self.directory.gone.notified() => drop(self.tell(false)),
                () = self.directory.came.notified() => due = due.min(Instant::now() + DEBOUNCE),
                () = sleep_until(due) => {
                    let patience = if self.tell(true) { DEBOUNCE } else { STALENESS };
                    due = Instant::now() + patience;
                }
            }
        }
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Sessions: a group is recorded from start to stop, and a report is made of it.
//!
//! A session watches its group as a viewer does, one that nobody sees: so the group runs, and its
//! members' devices send, for as long as somebody watches *or records*. What is heard on the pump's
//! thread is a few bytes a member and step; surrogates take seconds to minutes and have a thread of
//! their own, one report after the other. What is finished lies in a folder ([`shelf`]); what was
//! under way when the process was killed is lost, and what ends with an orderly stop is not.

pub mod api;
pub mod shelf;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use components::command::{Command, Inputs, SensorSet};
use components::delivery::{Deliveries, Notice};
use components::group::{GroupPlan, Signal, Tier, Unmeasurable};
use components::id::{GroupId, ViewerId};
use components::sample::EngineTime;
use simulator::synchrony::{Condition, Null, Report, Session};

use crate::clock::Clock;
use crate::complaints::panic_message;
use crate::groups::{GroupsError, is_old_name};
use crate::recorder::library::{LibraryError, check_name, name_of};
use crate::rooms::{RoomDesk, RoomId};
use crate::viewer::ViewerDesk;
use shelf::Shelf;

/// Sessions that run, whose report is being made, or that failed and were not deleted.
pub const SESSION_COUNT_MAX: usize = 8;

/// People of one session; whoever comes later is left out, and told so.
pub const SESSION_PEOPLE_MAX: usize = 64;

/// Steps of a tenth of a second: an hour, as long as surrogates are made of. Then it ends by itself.
pub const SESSION_STEPS_MAX: usize = 36_000;

/// How often the engine is told that the session still looks, microseconds.
const RENEW_US: u64 = 10_000_000;

/// A report that is being made when the server stops has so long to be cancelled.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// What somebody wants to be recorded.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Absent: made of the time.
    pub name: Option<String>,
    pub signal: Signal,
    pub tier: Tier,
    pub sensors: SensorSet,
    pub attribute_id: Box<str>,
    pub condition: Condition,
    /// The room whose sensors these are. Whatever leaves it is recorded no more.
    pub room: Option<RoomId>,
}

/// Against what pairs are held when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullWish {
    /// Pseudo-pairs where there are people enough of other sessions, else randomised phases.
    Auto,
    None,
    Method(engine::sense::significance::Method),
}

/// How a report is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportWish {
    pub null: NullWish,
    pub surrogates: usize,
    pub seed: u64,
}

impl Default for ReportWish {
    fn default() -> Self {
        let surrogates = simulator::synchrony::SURROGATE_COUNT;
        Self { null: NullWish::Auto, surrogates, seed: 1 }
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionError {
    BadName,
    Exists {
        name: String,
    },
    NotFound {
        name: String,
    },
    /// The folder of sessions.
    Io(String),
    /// As many run as may.
    TooMany,
    /// The folder holds as many as it may.
    Full {
        count_max: usize,
    },
    /// The engine cannot hear it now.
    Busy,
    /// It has ended already.
    NotRunning {
        name: String,
    },
    /// The report is not there yet.
    NotDone {
        name: String,
    },
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => LibraryError::BadName.fmt(f),
            Self::Exists { name } => write!(f, "there is a session `{name}` already"),
            Self::NotFound { name } => write!(f, "there is no session `{name}`"),
            Self::Io(what) => write!(f, "the folder of sessions: {what}"),
            Self::TooMany => write!(
                f,
                "there are {SESSION_COUNT_MAX} sessions under way already; stop one, or delete one that failed"
            ),
            Self::Full { count_max } => {
                write!(f, "there are {count_max} sessions already; delete some")
            }
            Self::Busy => f.write_str("the engine is busy; try again"),
            Self::NotRunning { name } => write!(f, "`{name}` has ended already"),
            Self::NotDone { name } => write!(f, "the report of `{name}` is not there yet"),
        }
    }
}

impl std::error::Error for SessionError {}

impl From<std::io::Error> for SessionError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// Where a session is that is not on the shelf yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Running,
    /// From 0 to 1.
    Reporting {
        progress: f64,
    },
    /// No report could be made, or kept.
    Failed {
        why: String,
    },
}

/// What there is to say of one that is not on the shelf yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub name: String,
    pub stage: Stage,
    pub signal: Signal,
    pub tier: Tier,
    pub condition: Condition,
    pub room: Option<RoomId>,
    pub started_unix_ms: i64,
    /// Of what is there.
    pub seconds: f64,
    /// Each with why it cannot be measured now; absent before the first step.
    pub people: Vec<(String, Option<Result<(), Unmeasurable>>)>,
    /// For whom there was no room.
    pub left_out: usize,
    /// It holds as much as it may, and goes on no longer.
    pub full: bool,
}

#[derive(Debug)]
struct Entry {
    /// Nobody else holds it while it runs.
    session: Arc<Session>,
    /// While it runs.
    watch: Option<Watching>,
    started_unix_ms: i64,
    room: Option<RoomId>,
    left_out: usize,
    report: Option<Arc<Progress>>,
    failed: Option<String>,
}

#[derive(Debug)]
struct Watching {
    viewer: ViewerId,
    plan: GroupPlan,
    /// The group, and which person each of its members is.
    group: Option<GroupId>,
    places: Vec<Option<usize>>,
}

/// Of a report that is being made. A share of a million.
#[derive(Debug, Default)]
struct Progress {
    done_ppm: AtomicU32,
    cancelled: AtomicBool,
}

impl Entry {
    fn is_full(&self) -> bool {
        self.session.steps() >= SESSION_STEPS_MAX
    }

    fn status(&self, name: &str) -> Status {
        let stage = match (&self.failed, &self.report) {
            (Some(why), _) => Stage::Failed { why: why.clone() },
            (None, Some(report)) => Stage::Reporting {
                progress: f64::from(report.done_ppm.load(Ordering::Relaxed)) * 1e-6,
            },
            (None, None) => Stage::Running,
        };
        let person = |(place, id): (usize, &String)| (id.clone(), self.session.latest(place));
        Status {
            name: name.to_owned(),
            stage,
            signal: self.session.signal,
            tier: self.session.tier,
            condition: self.session.condition,
            room: self.room,
            started_unix_ms: self.started_unix_ms,
            seconds: self.session.steps() as f64 / engine::sense::grid::GRID_HZ,
            people: self.session.people.iter().enumerate().map(person).collect(),
            left_out: self.left_out,
            full: self.is_full(),
        }
    }

    /// The group's members are these now.
    fn members(&mut self, group: GroupId, sensor_ids: &[Arc<str>]) {
        let Some(watch) = &mut self.watch else { return };
        watch.group = Some(group);
        watch.places.clear();
        self.left_out = 0;
        for id in sensor_ids {
            let place = self.session.people.iter().position(|person| **person == **id);
            let place = place.or_else(|| {
                (self.session.people.len() < SESSION_PEOPLE_MAX).then(|| {
                    Arc::make_mut(&mut self.session).join(id.to_string());
                    self.session.people.len() - 1
                })
            });
            self.left_out += usize::from(place.is_none());
            watch.places.push(place);
        }
    }
}

/// See the module. Shared by HTTP and the pump.
#[derive(Debug)]
pub struct Sessions {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Of those that run: the pump looks no further when there is none.
    running: AtomicUsize,
    renewed_us: AtomicU64,
    shelf: Arc<Shelf>,
    viewers: Arc<ViewerDesk>,
    rooms: Arc<RoomDesk>,
    clock: Clock,
    closing: AtomicBool,
    /// One report is made at a time.
    turn: Mutex<()>,
    /// Told whenever an entry has ended.
    ended: Condvar,
}

impl Sessions {
    pub fn new(
        shelf: Shelf,
        viewers: Arc<ViewerDesk>,
        rooms: Arc<RoomDesk>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            running: AtomicUsize::new(0),
            renewed_us: AtomicU64::new(0),
            shelf: Arc::new(shelf),
            viewers,
            rooms,
            clock,
            closing: AtomicBool::new(false),
            turn: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Begins to record. Blocks for a look at the folder.
    pub fn start(&self, wish: Wish) -> Result<Status, SessionError> {
        let now = self.clock.now();
        let name = wish.name.unwrap_or_else(|| name_of("session", now.unix_ms));
        // A name that is taken must not tell of a room that one may not know of: each has its own.
        let name = match wish.room {
            Some(room) => format!("{name}.{}", room.short()),
            None => name,
        };
        check_name(&name).map_err(|_| SessionError::BadName)?;
        if is_old_name(&name) || self.shelf.has(&name) {
            return Err(SessionError::Exists { name });
        }
        if self.shelf.count()? >= shelf::KEPT_COUNT_MAX {
            return Err(SessionError::Full { count_max: shelf::KEPT_COUNT_MAX });
        }
        let mut entries = lock(&self.entries);
        if entries.contains_key(&name) {
            return Err(SessionError::Exists { name });
        }
        // One that failed still holds what it recorded.
        if entries.len() >= SESSION_COUNT_MAX {
            return Err(SessionError::TooMany);
        }
        let plan = GroupPlan {
            name: name.as_str().into(),
            signal: wish.signal,
            tier: wish.tier,
            sensors: wish.sensors,
            attribute_id: wish.attribute_id,
        };
        // Counted first: who is in the group is said once, and the pump must not pass it over.
        self.running.fetch_add(1, Ordering::Release);
        let viewer = self.watch(&plan).inspect_err(|_| {
            self.running.fetch_sub(1, Ordering::Release);
        })?;
        let mut session = Session::new(&name, wish.signal, wish.tier, wish.condition, Vec::new());
        session.room = wish.room.map(|room| room.to_string());
        let watch = Watching { viewer, plan, group: None, places: Vec::new() };
        let entry = Entry {
            session: Arc::new(session),
            watch: Some(watch),
            started_unix_ms: now.unix_ms,
            room: wish.room,
            left_out: 0,
            report: None,
            failed: None,
        };
        let status = entry.status(&name);
        entries.insert(name, entry);
        Ok(status)
    }

    /// A viewer that nobody sees watches the group from now on.
    fn watch(&self, plan: &GroupPlan) -> Result<ViewerId, SessionError> {
        let viewer = self.viewers.open_unseen().ok_or(SessionError::Busy)?;
        match self.viewers.groups().watch(viewer, plan.clone()) {
            Ok(_) => Ok(viewer),
            Err(error) => {
                self.viewers.close_unseen(viewer);
                Err(match error {
                    GroupsError::TooMany => SessionError::TooMany,
                    GroupsError::Busy => SessionError::Busy,
                })
            }
        }
    }

    /// What is not on the shelf yet.
    pub fn list(&self) -> Vec<Status> {
        lock(&self.entries).iter().map(|(name, entry)| entry.status(name)).collect()
    }

    pub fn status(&self, name: &str) -> Option<Status> {
        lock(&self.entries).get(name).map(|entry| entry.status(name))
    }

    /// Ends a session that runs; its report is made from now on.
    pub fn stop(self: &Arc<Self>, name: &str, wish: ReportWish) -> Result<Status, SessionError> {
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.get_mut(name) else {
            return Err(SessionError::NotFound { name: name.to_owned() });
        };
        let Some(watch) = entry.watch.take() else {
            return Err(SessionError::NotRunning { name: name.to_owned() });
        };
        self.unwatch(watch);
        let progress = Arc::new(Progress::default());
        entry.report = Some(Arc::clone(&progress));
        let (session, status) = (Arc::clone(&entry.session), entry.status(name));
        drop(entries);
        let sessions = Arc::clone(self);
        let thread = std::thread::Builder::new().name("session-report".into());
        let make = move || {
            // What cannot be made must not take its place for ever.
            let made = catch_unwind(AssertUnwindSafe(|| sessions.make(&session, wish, &progress)));
            let failed = made.unwrap_or_else(|panic| {
                Some(format!("the report could not be made: {}", panic_message(&*panic)))
            });
            if let Some(why) = &failed {
                tracing::error!(session = session.name, why, "there is no report");
            }
            sessions.end(&session.name, failed);
        };
        if let Err(error) = thread.spawn(make) {
            self.end(name, Some(format!("no report can be made: {error}")));
        }
        Ok(status)
    }

    fn unwatch(&self, watch: Watching) {
        self.viewers.close_unseen(watch.viewer);
        self.running.fetch_sub(1, Ordering::Release);
    }

    /// On a thread of its own; why it failed, if it did.
    fn make(&self, session: &Session, wish: ReportWish, progress: &Progress) -> Option<String> {
        let _turn = lock(&self.turn);
        let go_on = |done: f64| {
            progress.done_ppm.store((done * 1e6) as u32, Ordering::Relaxed);
            !progress.cancelled.load(Ordering::Acquire)
        };
        let null = self.null(session, wish);
        let report = go_on(0.0).then(|| Report::of(session, null.as_ref(), go_on)).flatten();
        // A server that stops has no time for surrogates; what was measured is not lost.
        let report = match report {
            None if self.closing.load(Ordering::Acquire) => Report::of(session, None, |_| true),
            report => report,
        };
        // Whoever cancelled wants none of it.
        let failed = self.shelf.keep(&session.name, &report?.files()).err();
        failed.map(|error| error.to_string())
    }

    fn null(&self, session: &Session, wish: ReportWish) -> Option<Null> {
        use engine::sense::significance::Method;
        let pool = |wanted: bool| if wanted { self.shelf.pool(session) } else { Vec::new() };
        let (method, pool) = match wish.null {
            NullWish::None => return None,
            NullWish::Method(method) => (method, pool(method == Method::PseudoPairs)),
            NullWish::Auto => match pool(true) {
                few if few.len() < shelf::pool_count_min(session) => {
                    (Method::PhaseRandomised, Vec::new())
                }
                pool => (Method::PseudoPairs, pool),
            },
        };
        Some(Null { method, surrogates: wish.surrogates, seed: wish.seed, pool })
    }

    /// It is on the shelf, or cancelled, or has failed.
    fn end(&self, name: &str, failed: Option<String>) {
        let mut entries = lock(&self.entries);
        match failed {
            None => {
                entries.remove(name);
            }
            Some(why) => {
                if let Some(entry) = entries.get_mut(name) {
                    (entry.failed, entry.report) = (Some(why), None);
                }
            }
        }
        self.ended.notify_all();
    }

    /// Forgets a session, wherever it is: one that runs, one whose report is being made, one on the
    /// shelf. Blocks for the folder.
    pub fn delete(&self, name: &str) -> Result<(), SessionError> {
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.get_mut(name) else {
            drop(entries);
            return self.shelf.delete(name);
        };
        match (entry.watch.take(), &entry.report) {
            (Some(watch), _) => {
                self.unwatch(watch);
                entries.remove(name);
            }
            // The thread ends it.
            (None, Some(report)) => report.cancelled.store(true, Ordering::Release),
            (None, None) => {
                entries.remove(name);
            }
        }
        Ok(())
    }

    /// Before every tick, on the pump's thread.
    pub fn act(&self, now: EngineTime, inputs: &mut Inputs) {
        if self.running.load(Ordering::Acquire) == 0 {
            return;
        }
        if now.0 / RENEW_US == self.renewed_us.swap(now.0, Ordering::Relaxed) / RENEW_US {
            return;
        }
        let entries = lock(&self.entries);
        let watches = entries.values().filter_map(|entry| entry.watch.as_ref());
        inputs.commands.extend(watches.map(|watch| Command::Renew { viewer: watch.viewer }));
    }

    /// What the engine said in that tick, on the pump's thread.
    pub fn hear(&self, deliveries: &Deliveries) {
        let members = |notice: &&Notice| matches!(notice, Notice::GroupMembers { .. });
        if self.running.load(Ordering::Acquire) == 0
            || (deliveries.groups.is_empty() && !deliveries.notices.iter().any(|n| members(&n)))
        {
            return;
        }
        let mut entries = lock(&self.entries);
        for notice in deliveries.notices.iter().filter(members) {
            let Notice::GroupMembers { group, sensor_ids, .. } = notice else { continue };
            let Some(plan) = self.viewers.groups().plan(*group) else { continue };
            for entry in entries.values_mut() {
                if entry.watch.as_ref().is_some_and(|watch| watch.plan == *plan) {
                    entry.members(*group, sensor_ids);
                }
            }
        }
        let here: HashMap<RoomId, BTreeSet<Box<str>>> = entries
            .values()
            .filter(|entry| entry.watch.is_some())
            .filter_map(|entry| entry.room.map(|room| (room, self.rooms.sensors_in(room))))
            .collect();
        let consent = self.viewers.consent().filter(|consent| consent.is_any());
        for news in &deliveries.groups {
            let values = deliveries.values_of(news);
            for entry in entries.values_mut() {
                let full = entry.is_full();
                let Some(watch) = &entry.watch else { continue };
                if watch.group != Some(news.group) || full {
                    continue;
                }
                let here = entry.room.and_then(|room| here.get(&room));
                let attribute_id = &watch.plan.attribute_id;
                let count = news.member_count as usize;
                for (step, (reading, states)) in deliveries.readings_of(news).enumerate() {
                    let values = &values[step * count..(step + 1) * count];
                    let session = Arc::make_mut(&mut entry.session);
                    // Whoever has left the room is not looked at any more; and a session is nobody's
                    // in particular: what is private is not for it.
                    let is_here = |person: &String| {
                        here.is_none_or(|it| it.contains(&**person))
                            && consent.is_none_or(|it| it.circle_of(person, attribute_id).is_none())
                    };
                    let are_here: Vec<bool> = session.people.iter().map(is_here).collect();
                    session.hear(reading, |person| {
                        let member = watch.places.iter().position(|at| *at == Some(person));
                        let is_here = are_here.get(person) == Some(&true);
                        match member.filter(|member| is_here && *member < count) {
                            Some(member) => (states[member], values[member]),
                            None => (Err(Unmeasurable::Silent), f64::NAN),
                        }
                    });
                }
            }
        }
    }

    /// The server stops: what runs is kept without surrogates, what is being made is cancelled and
    /// made again without. Blocks.
    pub fn close(self: &Arc<Self>) {
        let wish = ReportWish { null: NullWish::None, ..ReportWish::default() };
        let running: Vec<String> = {
            let entries = lock(&self.entries);
            entries
                .iter()
                .filter(|(_, e)| e.watch.is_some())
                .map(|(name, _)| name.clone())
                .collect()
        };
        self.closing.store(true, Ordering::Release);
        for report in lock(&self.entries).values().filter_map(|entry| entry.report.as_ref()) {
            report.cancelled.store(true, Ordering::Release);
        }
        for name in running {
            // It may have been stopped meanwhile.
            let _ = self.stop(&name, wish);
        }
        let entries = lock(&self.entries);
        let busy = |entries: &mut BTreeMap<String, Entry>| {
            entries.values().any(|entry| entry.report.is_some())
        };
        let waited = self.ended.wait_timeout_while(entries, END_PATIENCE, busy);
        let (entries, _) = waited.unwrap_or_else(PoisonError::into_inner);
        for (name, entry) in entries.iter().filter(|(_, entry)| entry.report.is_some()) {
            tracing::error!(
                session = name,
                seconds = entry.session.steps() / 10,
                "the report is not finished: the session is lost"
            );
        }
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

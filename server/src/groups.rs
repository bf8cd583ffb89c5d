//! The groups' desk: which groups viewers watch, one for all who ask the same.
//!
//! A group is what was asked: a name, a signal, a tier, sensors, an attribute. Whoever asks for one
//! that is there watches it; else it is made. The engine lets go of it when nobody has watched it
//! for a while, and says so; should somebody have come in between, it is made again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::command::{Command, SensorSet};
use components::delivery::Notice;
use components::group::{GROUP_COUNT_MAX, GroupPlan, Reading, Signal, Tier};
use components::id::{GroupId, Handles, ViewerId};

use crate::intake::{Intake, IntakeFull};

/// Groups that one viewer watches.
pub const WATCHED_COUNT_MAX: usize = 16;

/// The sensor under whose name clients of the original hear of synchrony. There is no such sensor:
/// whoever names it in a lens watches the groups of [`old_plans`].
pub const OLD_SENSOR_ID: &str = "__composite_sync";

/// The name of the figure of hearts, and of that which comes of breaths and hearts.
pub const OLD_HEART: &str = "hrv_sync";
pub const OLD_RSA: &str = "rsa_coherence";

/// What clients of the original hear of: everybody who breathes, and everybody with an ECG.
pub fn old_plans() -> [GroupPlan; 2] {
    let plan = |name: &str, signal, attribute_id: &str| GroupPlan {
        name: name.into(),
        signal,
        tier: Tier::Prompt,
        sensors: SensorSet::All,
        attribute_id: attribute_id.into(),
    };
    [
        plan("breathing_sync", Signal::Breath, "respiration"),
        plan(OLD_HEART, Signal::HeartHigh, "ecg"),
    ]
}

/// Whether a group's name is one that the original's clients know a figure by.
pub fn is_old_name(name: &str) -> bool {
    name == OLD_RSA || old_plans().iter().any(|plan| *plan.name == *name)
}

/// Groups that have figures of their own on `/metrics`; the others share one.
pub const METERED_COUNT_MAX: usize = 32;

/// Under which name the others are.
const OTHERS: &str = "other";

/// The upper bounds of the histogram of R, all but the last.
pub const ORDER_BOUNDS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// What was read of the groups of one name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meter {
    /// Readings with an R up to each bound of [`ORDER_BOUNDS`], not cumulative.
    pub counts: [u64; ORDER_BOUNDS.len()],
    pub sum: f64,
    pub readings: u64,
    pub unmeasurable: u64,
    /// Smoothed R and kappa of the newest, if it could be measured.
    pub newest: Option<(f64, f64)>,
    pub members: u16,
    pub measurable: u16,
}

impl Meter {
    fn read(&mut self, reading: &Reading) {
        (self.members, self.measurable) = (reading.members, reading.measurable);
        self.newest = reading.smoothed;
        match reading.order {
            Some(order) => {
                let bucket = ORDER_BOUNDS.partition_point(|bound| *bound < order.r);
                self.counts[bucket.min(ORDER_BOUNDS.len() - 1)] += 1;
                self.sum += order.r;
                self.readings += 1;
            }
            None => self.unmeasurable += 1,
        }
    }
}

/// Why a group is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupsError {
    /// There are as many groups as there may be, or the viewer watches as many as it may.
    TooMany,
    /// The engine cannot hear it now.
    Busy,
}

impl From<IntakeFull> for GroupsError {
    fn from(_: IntakeFull) -> Self {
        Self::Busy
    }
}

#[derive(Debug)]
struct Entry {
    id: GroupId,
    plan: Arc<GroupPlan>,
    watchers: Vec<ViewerId>,
}

#[derive(Debug, Default)]
struct State {
    handles: Handles,
    entries: Vec<Entry>,
    /// Entries that each viewer watches.
    counts: HashMap<ViewerId, usize>,
}

/// Shared by the viewers' door and the pump.
#[derive(Debug)]
pub struct GroupDesk {
    state: Mutex<State>,
    meters: Mutex<BTreeMap<Box<str>, Meter>>,
    intake: Arc<Intake>,
}

impl GroupDesk {
    pub fn new(intake: Arc<Intake>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), meters: Mutex::default(), intake })
    }

    /// Takes over groups of the process before, in the order of their handles, before any other is
    /// made.
    pub fn adopt(&self, groups: Vec<(GroupId, Arc<GroupPlan>, Vec<ViewerId>)>) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        for (id, plan, watchers) in groups {
            let handle = state.handles.take(GROUP_COUNT_MAX);
            debug_assert_eq!(handle, Some(id.0), "the first handles are theirs");
            for viewer in &watchers {
                *state.counts.entry(*viewer).or_default() += 1;
            }
            state.entries.push(Entry { id, plan, watchers });
        }
    }

    /// The viewer watches the group of this plan from now on.
    pub fn watch(&self, viewer: ViewerId, plan: GroupPlan) -> Result<GroupId, GroupsError> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let count = state.counts.get(&viewer).copied().unwrap_or(0);
        let place = match state.entries.iter().position(|entry| *entry.plan == plan) {
            Some(place) if state.entries[place].watchers.contains(&viewer) => {
                return Ok(state.entries[place].id);
            }
            _ if count >= WATCHED_COUNT_MAX => return Err(GroupsError::TooMany),
            Some(place) => place,
            None => {
                let handle = state.handles.take(GROUP_COUNT_MAX).ok_or(GroupsError::TooMany)?;
                let id = GroupId(handle);
                let open = Command::OpenGroup { group: id, plan: Box::new(plan.clone()) };
                if let Err(full) = self.intake.command(open) {
                    state.handles.give_back(handle);
                    return Err(full.into());
                }
                state.entries.push(Entry { id, plan: Arc::new(plan), watchers: Vec::new() });
                state.entries.len() - 1
            }
        };
        let entry = &mut state.entries[place];
        self.intake.command(Command::WatchGroup { viewer, group: entry.id })?;
        entry.watchers.push(viewer);
        state.counts.insert(viewer, count + 1);
        Ok(entry.id)
    }

    /// By the name it was asked under. Whether it was watched.
    pub fn unwatch(&self, viewer: ViewerId, name: &str) -> bool {
        let mut guard = lock(&self.state);
        let State { entries, counts, .. } = &mut *guard;
        let mut was = false;
        for entry in entries.iter_mut().filter(|entry| *entry.plan.name == *name) {
            let before = entry.watchers.len();
            entry.watchers.retain(|watcher| *watcher != viewer);
            if entry.watchers.len() < before {
                was = true;
                self.intake.farewell(Command::UnwatchGroup { viewer, group: entry.id });
                if let Some(count) = counts.get_mut(&viewer) {
                    *count -= 1;
                }
            }
        }
        was
    }

    /// The viewer is gone; the engine knows.
    pub fn forget(&self, viewer: ViewerId) {
        let mut state = lock(&self.state);
        if state.counts.remove(&viewer).is_some() {
            for entry in &mut state.entries {
                entry.watchers.retain(|watcher| *watcher != viewer);
            }
        }
    }

    /// What was asked under this handle, if it is known.
    pub fn plan(&self, group: GroupId) -> Option<Arc<GroupPlan>> {
        let state = lock(&self.state);
        let entry = state.entries.iter().find(|entry| entry.id == group)?;
        Some(Arc::clone(&entry.plan))
    }

    /// Counts what was read of a group.
    pub fn meter<'a>(&self, name: &str, readings: impl Iterator<Item = &'a Reading>) {
        let mut meters = lock(&self.meters);
        let name = match meters.contains_key(name) || meters.len() < METERED_COUNT_MAX {
            true => name,
            false => OTHERS,
        };
        let meter = match meters.get_mut(name) {
            Some(meter) => meter,
            None => meters.entry(name.into()).or_default(),
        };
        readings.for_each(|reading| meter.read(reading));
    }

    /// By the groups' names, in their order.
    pub fn meters(&self) -> Vec<(Box<str>, Meter)> {
        lock(&self.meters).iter().map(|(name, meter)| (name.clone(), meter.clone())).collect()
    }

    /// What the engine said. Called on the pump's thread.
    pub fn notice(&self, notice: &Notice) {
        let (Notice::GroupClosed { group } | Notice::GroupRefused { group }) = notice else {
            return;
        };
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(place) = state.entries.iter().position(|entry| entry.id == *group) else { return };
        let Entry { plan, watchers, .. } = state.entries.swap_remove(place);
        state.handles.give_back(group.0);
        if !state.entries.iter().any(|entry| entry.plan.name == plan.name)
            && let Some(meter) = lock(&self.meters).get_mut(&plan.name[..])
        {
            // Nothing is read of it now; what was read stays counted.
            (meter.newest, meter.members, meter.measurable) = (None, 0, 0);
        }
        if watchers.is_empty() || matches!(notice, Notice::GroupRefused { .. }) {
            for viewer in watchers {
                if let Some(count) = state.counts.get_mut(&viewer) {
                    *count -= 1;
                }
            }
            return;
        }
        // Somebody came between the engine's last look and its word.
        let Some(handle) = state.handles.take(GROUP_COUNT_MAX) else { return };
        let id = GroupId(handle);
        self.intake.farewell(Command::OpenGroup { group: id, plan: Box::new((*plan).clone()) });
        for viewer in &watchers {
            self.intake.farewell(Command::WatchGroup { viewer: *viewer, group: id });
        }
        state.entries.push(Entry { id, plan, watchers });
    }
}

/// Nothing is left half done behind this lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use components::id::Handle;

    use super::*;
    use crate::intake::IntakeLimits;

    fn viewer(slot: u32) -> ViewerId {
        ViewerId(Handle { slot, generation: 0 })
    }

    fn plan(name: &str) -> GroupPlan {
        GroupPlan { name: name.into(), ..old_plans()[0].clone() }
    }

    fn desk() -> (Arc<Intake>, Arc<GroupDesk>) {
        let intake = Arc::new(Intake::new(IntakeLimits::default()));
        (Arc::clone(&intake), GroupDesk::new(intake))
    }

    fn said(intake: &Intake) -> Vec<String> {
        let mut inputs = components::command::Inputs::default();
        intake.take(&mut inputs);
        inputs
            .commands
            .iter()
            .map(|command| match command {
                Command::OpenGroup { group, plan } => format!("open {:?} {}", group.0, plan.name),
                Command::WatchGroup { viewer, group } => {
                    format!("{:?} watches {:?}", viewer.0, group.0)
                }
                Command::UnwatchGroup { viewer, group } => {
                    format!("{:?} leaves {:?}", viewer.0, group.0)
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn who_asks_the_same_shares_a_group() {
        let (intake, desk) = desk();
        let group = desk.watch(viewer(1), plan("choir")).unwrap();
        assert_eq!(desk.watch(viewer(2), plan("choir")), Ok(group));
        assert_eq!(desk.watch(viewer(2), plan("choir")), Ok(group), "twice is once");
        assert_ne!(
            desk.watch(viewer(2), GroupPlan { tier: Tier::Live, ..plan("choir") }),
            Ok(group)
        );
        assert_eq!(
            said(&intake),
            [
                "open 0.0 choir",
                "1.0 watches 0.0",
                "2.0 watches 0.0",
                "open 1.0 choir",
                "2.0 watches 1.0"
            ]
        );
        assert!(desk.unwatch(viewer(2), "choir") && !desk.unwatch(viewer(2), "choir"));
        assert_eq!(said(&intake), ["2.0 leaves 0.0", "2.0 leaves 1.0"]);
    }

    #[test]
    fn a_group_that_closed_as_somebody_came_is_made_again() {
        let (intake, desk) = desk();
        let group = desk.watch(viewer(1), plan("choir")).unwrap();
        desk.forget(viewer(1));
        desk.watch(viewer(2), plan("choir")).unwrap();
        said(&intake);
        desk.notice(&Notice::GroupClosed { group });
        assert_eq!(said(&intake), ["open 0.1 choir", "2.0 watches 0.1"]);
        desk.forget(viewer(2));
        desk.notice(&Notice::GroupClosed { group: GroupId(Handle { slot: 0, generation: 1 }) });
        assert_eq!(said(&intake), [""; 0]);
        assert_eq!(desk.plan(group), None);
    }

    #[test]
    fn a_group_that_is_gone_has_no_gauges_and_what_was_read_of_it_stays_counted() {
        let (_intake, desk) = desk();
        let group = desk.watch(viewer(1), plan("choir")).unwrap();
        let order = components::group::Order { r: 0.5, kappa: 0.2, null95: 0.9, phase: 0.0 };
        let reading = Reading {
            at_us: 0,
            members: 3,
            measurable: 2,
            order: Some(order),
            smoothed: Some((0.5, 0.2)),
        };
        desk.meter("choir", [reading].iter());
        desk.forget(viewer(1));
        let gauges = || {
            let [(_, meter)] = &desk.meters()[..] else { panic!("{:?}", desk.meters()) };
            (meter.newest, meter.members, meter.measurable, meter.readings)
        };
        assert_eq!(gauges(), (Some((0.5, 0.2)), 3, 2, 1));
        desk.notice(&Notice::GroupClosed { group });
        assert_eq!(gauges(), (None, 0, 0, 1));
    }

    #[test]
    fn a_viewer_watches_so_many_groups_and_no_more() {
        let (_, desk) = desk();
        for n in 0..WATCHED_COUNT_MAX {
            desk.watch(viewer(1), plan(&n.to_string())).unwrap();
        }
        assert_eq!(desk.watch(viewer(1), plan("one more")), Err(GroupsError::TooMany));
        assert!(desk.unwatch(viewer(1), "3"));
        assert!(desk.watch(viewer(1), plan("one more")).is_ok());
    }

    #[test]
    fn names_beyond_the_bound_share_their_figures() {
        let (_, desk) = desk();
        let reading = Reading { at_us: 0, members: 2, measurable: 0, order: None, smoothed: None };
        for n in 0..METERED_COUNT_MAX + 5 {
            desk.meter(&format!("group {n}"), [reading].iter());
        }
        let meters = desk.meters();
        assert_eq!(meters.len(), METERED_COUNT_MAX + 1);
        let others = meters.iter().find(|(name, _)| &**name == OTHERS).unwrap();
        assert_eq!(others.1.unmeasurable, 5);
    }
}

//! Made-up viewers inside the process: what [`Visitor`]s do, as commands to the engine and as
//! mailboxes that are full.
//!
//! A visitor does as the page does: it opens a lens on all it may see, says what of it is on
//! screen with its attention, and shows a sign of life now and then. One that stalls is busy in
//! every tick until it reads again.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use components::command::{Attention, Command, Inputs, SensorSet};
use components::delivery::Notice;
use components::id::{Handles, ViewerId};
use components::sample::Timestamp;

use crate::chance::hash;
use crate::crowd::{Act, CrowdSpec, Visitor};
use crate::scenario::Cast;

/// A visitor shows a sign of life so often, ms: as a socket renews its viewers
/// (`server/src/socket.rs`), and well within any lease that is not made to fail.
const RENEW_MS: i64 = 5_000;

/// Viewers of one audience at once.
pub const VIEWER_COUNT_MAX: usize = 1_000_000;

/// Everybody who watches, of all crowds. See the module.
#[derive(Debug)]
pub struct Audience {
    start: Timestamp,
    handles: Handles,
    guests: Vec<Guest>,
    /// Who does something next, soonest first: (ms since the start, guest).
    due: BinaryHeap<Reverse<(i64, usize)>>,
    /// Who shows a sign of life next.
    renewals: BinaryHeap<Reverse<(i64, usize)>>,
    stalled: BTreeSet<usize>,
    by_viewer: HashMap<ViewerId, usize>,
    acts: Vec<(i64, Act)>,
    refused: u64,
}

#[derive(Debug)]
struct Guest {
    visitor: Visitor,
    /// What the crowd may see: one list for all of it.
    sensors: Arc<SensorSet>,
    ids: Arc<[Arc<str>]>,
    viewer: Option<ViewerId>,
}

impl Audience {
    /// The visitors of `crowds`, who watch the sensors of `cast`. The scenario begins at `start`.
    pub fn new(crowds: &[CrowdSpec], cast: &Cast, seed: u64, start: Timestamp) -> Self {
        let mut guests = Vec::new();
        for (n, spec) in crowds.iter().enumerate() {
            let spec = Arc::new(spec.clone());
            let ids = sensors_of(&spec, cast);
            let sensors = Arc::new(match spec.room {
                None => SensorSet::All,
                Some(_) => SensorSet::Ids(ids.iter().map(|id| Box::from(&**id)).collect()),
            });
            let seed = hash(seed, n as u64);
            for guest in 0..spec.count {
                guests.push(Guest {
                    visitor: Visitor::new(&spec, &ids, seed, guest),
                    sensors: Arc::clone(&sensors),
                    ids: Arc::clone(&ids),
                    viewer: None,
                });
            }
        }
        let due = guests
            .iter()
            .enumerate()
            .filter_map(|(n, guest)| guest.visitor.next_at().map(|at| Reverse((at, n))))
            .collect();
        Self {
            start,
            handles: Handles::default(),
            guests,
            due,
            renewals: BinaryHeap::new(),
            stalled: BTreeSet::new(),
            by_viewer: HashMap::new(),
            acts: Vec::new(),
            refused: 0,
        }
    }

    /// Says to the engine what happens up to and including `to`. `notices` are those of the last
    /// tick: a viewer that is gone gives its handle back, and a visitor that was let go is away
    /// until it comes again by itself.
    pub fn advance(&mut self, to: Timestamp, inputs: &mut Inputs, notices: &[Notice]) {
        let mut handles = std::mem::take(&mut self.handles);
        for notice in notices {
            if let Notice::ViewerClosed { viewer, .. } = notice {
                self.closed(*viewer);
                handles.give_back(viewer.0);
            }
        }
        self.advance_with(to, &mut || handles.take(VIEWER_COUNT_MAX).map(ViewerId), inputs);
        self.handles = handles;
    }

    /// As [`advance`](Self::advance), for a door that shares its handles among several: viewers
    /// come from `take_viewer`, and what became of them is told by [`closed`](Self::closed).
    pub fn advance_with(
        &mut self,
        to: Timestamp,
        take_viewer: &mut dyn FnMut() -> Option<ViewerId>,
        inputs: &mut Inputs,
    ) {
        let now_ms = to.0 - self.start.0;
        while let Some(&Reverse((at, n))) = self.due.peek()
            && at <= now_ms
        {
            self.due.pop();
            let mut acts = std::mem::take(&mut self.acts);
            self.guests[n].visitor.advance(now_ms, &mut acts);
            for (at, act) in acts.drain(..) {
                self.act(n, at, act, take_viewer, &mut inputs.commands);
            }
            self.acts = acts;
            if let Some(at) = self.guests[n].visitor.next_at() {
                self.due.push(Reverse((at, n)));
            }
        }
        while let Some(&Reverse((at, n))) = self.renewals.peek()
            && at <= now_ms
        {
            self.renewals.pop();
            if let Some(viewer) = self.guests[n].viewer {
                inputs.commands.push(Command::Renew { viewer });
                self.renewals.push(Reverse((now_ms + RENEW_MS, n)));
            }
        }
        inputs.busy.extend(self.stalled.iter().filter_map(|&n| self.guests[n].viewer));
    }

    /// The engine let this viewer go. Whether it was one of these.
    pub fn closed(&mut self, viewer: ViewerId) -> bool {
        let Some(n) = self.by_viewer.remove(&viewer) else { return false };
        if self.guests[n].viewer == Some(viewer) {
            self.guests[n].viewer = None;
            self.stalled.remove(&n);
        }
        true
    }

    /// Everybody leaves.
    pub fn close(&mut self, commands: &mut Vec<Command>) {
        self.due.clear();
        self.renewals.clear();
        self.stalled.clear();
        for guest in &mut self.guests {
            commands.extend(guest.viewer.take().map(|viewer| Command::CloseViewer { viewer }));
        }
    }

    /// How many are there now.
    pub fn present_count(&self) -> usize {
        self.guests.iter().filter(|guest| guest.viewer.is_some()).count()
    }

    /// Visitors that found no handle left.
    pub fn refused_count(&self) -> u64 {
        self.refused
    }

    fn act(
        &mut self,
        n: usize,
        at: i64,
        act: Act,
        take_viewer: &mut dyn FnMut() -> Option<ViewerId>,
        commands: &mut Vec<Command>,
    ) {
        let guest = &mut self.guests[n];
        match (act, guest.viewer) {
            (Act::Arrive { sensors, quality }, _) => {
                let Some(viewer) = take_viewer() else {
                    self.refused += 1;
                    return;
                };
                guest.viewer = Some(viewer);
                self.by_viewer.insert(viewer, n);
                let visible = sensors.iter().map(|&at| Box::from(&*guest.ids[at])).collect();
                let attention = Attention { visible: Some(visible), ..Attention::default() };
                let sensors = SensorSet::clone(&guest.sensors);
                let quality = quality.into();
                commands.push(Command::OpenViewer { viewer, sensors, quality });
                commands.push(Command::Attend { viewer, attention: Box::new(attention) });
                self.renewals.push(Reverse((at + RENEW_MS, n)));
            }
            (Act::Attend(attention), Some(viewer)) => {
                commands.push(Command::Attend { viewer, attention: Box::new(attention) });
            }
            (Act::SetQuality(quality), Some(viewer)) => {
                commands.push(Command::SetQuality { viewer, quality: quality.into() });
            }
            (Act::Stall, Some(_)) => {
                self.stalled.insert(n);
            }
            (Act::Flow, Some(_)) => {
                self.stalled.remove(&n);
            }
            (Act::Leave, Some(viewer)) => {
                guest.viewer = None;
                self.stalled.remove(&n);
                commands.push(Command::CloseViewer { viewer });
            }
            // Let go by the engine, or never let in: it does these things to an empty page.
            (_, None) => {}
        }
    }
}

/// The ids a crowd may see, in the order of the cast.
pub fn sensors_of(spec: &CrowdSpec, cast: &Cast) -> Arc<[Arc<str>]> {
    cast.sensors
        .iter()
        .filter(|sensor| spec.room.is_none() || sensor.room.as_deref() == spec.room.as_deref())
        .map(|sensor| Arc::clone(&sensor.card.sensor_id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crowd::{BatteryHabit, NEVER_S, Network};
    use crate::scenario::Scenario;
    use engine::{Engine, EngineConfig, EngineTime, Settings};

    fn crowd(count: usize) -> CrowdSpec {
        CrowdSpec {
            count,
            watch: 3,
            arrive_s: (0.0, 1.0),
            stay_s: (5.0, 20.0),
            return_s: (0.5, 2.0),
            scroll_s: (0.2, 3.0),
            hover_s: (0.2, 3.0),
            focus_s: (0.5, 5.0),
            pin_s: (1.0, 10.0),
            hide_s: (2.0, 10.0),
            hidden_s: (0.2, 2.0),
            battery: BatteryHabit { share: 0.5, hours: (0.01, 0.02) },
            network: Network::Slow { stall_s: (0.1, 1.0), every_s: (1.0, 5.0) },
            ..CrowdSpec::default()
        }
    }

    /// A minute of a scenario with this crowd, audited after every tick: flushes, opened viewers
    /// in all, most at once.
    fn a_minute(crowds: &[CrowdSpec], settings: Settings) -> (usize, usize, usize) {
        let scenario = Scenario::find("few", None).unwrap();
        let cast = Arc::new(scenario.cast(1));
        let start = Timestamp(1_750_000_000_000);
        let mut audience = Audience::new(crowds, &cast, 7, start);
        let mut fleet = crate::fleet::Fleet::new(Arc::clone(&cast), start);
        let mut engine = Engine::new(EngineConfig { settings, ..EngineConfig::default() });
        let (mut feeds, mut inputs) = (Handles::default(), Inputs::default());
        let (mut flushes, mut opened, mut most) = (0, 0, 0);
        let mut notices = Vec::new();
        for tick in 1..=3000 {
            let ms = tick * 20;
            let now = Timestamp(start.0 + ms);
            fleet.advance(
                now,
                &mut || feeds.take(usize::MAX).map(components::id::FeedId),
                &mut inputs,
            );
            audience.advance(now, &mut inputs, &notices);
            let is_open = |command: &&Command| matches!(command, Command::OpenViewer { .. });
            opened += inputs.commands.iter().filter(is_open).count();
            let busy = inputs.busy.clone();
            let deliveries = engine.tick(EngineTime::from_millis(ms as u64), &mut inputs);
            assert!(deliveries.flushes.iter().all(|flush| !busy.contains(&flush.viewer)));
            flushes += deliveries.flushes.len();
            notices.clone_from(&deliveries.notices);
            most = most.max(audience.present_count());
            engine.audit().unwrap();
            assert_eq!(engine.report().viewer_count, audience.present_count());
        }
        let mut last = Vec::new();
        audience.close(&mut last);
        inputs.commands.extend(last);
        engine.tick(EngineTime::from_millis(60_020), &mut inputs);
        assert_eq!(engine.report().viewer_count, 0);
        (flushes, opened, most)
    }

    #[test]
    fn a_restless_crowd_watches_a_scenario_and_leaves_nothing_behind() {
        let (flushes, opened, most) = a_minute(&[crowd(20)], Settings::default());
        assert!(flushes > 5_000, "{flushes}");
        assert!(opened > 60, "they come and go: {opened}");
        assert_eq!(most, 20);
    }

    #[test]
    fn visitors_show_signs_of_life_within_their_lease() {
        let calm = CrowdSpec { stay_s: NEVER_S, network: Network::Fast, ..crowd(5) };
        let settings = Settings { lease_ms: 6_000, ..Settings::default() };
        let (_, opened, _) = a_minute(&[calm], settings);
        assert_eq!(opened, 5, "nobody was let go");
    }

    #[test]
    fn who_never_reads_gets_nothing() {
        let dead = CrowdSpec { network: Network::Dead, ..crowd(3) };
        assert_eq!(a_minute(&[dead], Settings::default()).0, 0);
    }
}

//! An engine with one group in it and somebody who watches it, on made-up time.

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::{Command, Inputs, SensorCard, SensorSet};
use components::delivery::{Deliveries, Notice};
use components::group::{GroupNews, GroupPlan, MEMBER_COUNT_MAX, Signal, Tier};
use components::id::{FeedId, GroupId, Handle, ViewerId};
use components::sample::{EngineTime, Payload, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig};

/// Microseconds between ticks: as often as groups are looked at.
const TICK_US: i64 = 20_000;

/// A viewer says that often that it is there, microseconds.
const RENEW_US: i64 = 10_000_000;

const VIEWER: ViewerId = ViewerId(Handle { slot: 0, generation: 0 });
const GROUP: GroupId = GroupId(Handle { slot: 0, generation: 0 });

/// See the module.
pub(super) struct Through {
    engine: Engine,
    inputs: Inputs,
    renewed_us: i64,
    now_us: i64,
}

impl Through {
    /// Members `0..members` measure `attribute`; the group's reading begins with the first tick.
    pub(super) fn open(
        members: usize,
        attribute: &str,
        signal: Signal,
        tier: Tier,
    ) -> Result<Self, String> {
        if members > MEMBER_COUNT_MAX {
            return Err(format!(
                "{members} people are more than a group may have, {MEMBER_COUNT_MAX}"
            ));
        }
        let mut inputs = Inputs::default();
        // Named so that the group's order is theirs.
        let name = |member: usize| format!("{member:05}");
        for member in 0..members {
            let card = SensorCard { sensor_id: name(member).into(), ..SensorCard::default() };
            inputs.commands.push(Command::OpenFeed {
                feed: feed(member),
                card: Box::new(card),
                owner: "file".into(),
            });
            inputs.commands.push(Command::DeclareAttribute {
                feed: feed(member),
                index: 0,
                attribute_id: attribute.into(),
                kind: AttributeType::resolve(None, attribute, None),
                rate_hz: None,
            });
        }
        let plan = GroupPlan {
            name: "file".into(),
            signal,
            tier,
            sensors: SensorSet::Ids((0..members).map(|member| name(member).into()).collect()),
            attribute_id: attribute.into(),
        };
        let nobody = SensorSet::Ids(Vec::new());
        inputs.commands.extend([
            Command::OpenViewer { viewer: VIEWER, sensors: nobody, quality: Quality::High.into() },
            Command::OpenGroup { group: GROUP, plan: Box::new(plan) },
            Command::WatchGroup { viewer: VIEWER, group: GROUP },
        ]);
        Ok(Self { engine: Engine::new(EngineConfig::default()), inputs, renewed_us: 0, now_us: 0 })
    }

    /// When something that arrives at `arrival_us` is looked at.
    pub(super) fn next_tick_us(&self, arrival_us: i64) -> i64 {
        let due = arrival_us.div_euclid(TICK_US) + i64::from(arrival_us.rem_euclid(TICK_US) != 0);
        (due * TICK_US).max(self.now_us + TICK_US)
    }

    /// The member's device says `value` at its own time. What is no finite number cannot be said in
    /// JSON: it is null.
    pub(super) fn send(&mut self, member: usize, device_ms: i64, value: f64) {
        let cell = Cell::float(value).unwrap_or(Cell::NULL);
        let payload = Payload::Scalar(cell);
        self.inputs.samples.push(feed(member), 0, Timestamp(device_ms), payload);
    }

    /// The next tick, at a time of [`next_tick_us`](Self::next_tick_us).
    pub(super) fn tick(&mut self, now_us: i64, mut hear: impl FnMut(&Deliveries, &GroupNews)) {
        // Nothing goes unlooked at for longer than a viewer may be silent.
        while now_us - self.now_us > RENEW_US {
            self.step(self.now_us + RENEW_US, &mut hear, false);
        }
        self.step(now_us, &mut hear, true);
    }

    fn step(
        &mut self,
        now_us: i64,
        hear: &mut impl FnMut(&Deliveries, &GroupNews),
        with_samples: bool,
    ) {
        if now_us - self.renewed_us >= RENEW_US {
            self.inputs.commands.push(Command::Renew { viewer: VIEWER });
            self.renewed_us = now_us;
        }
        self.now_us = now_us;
        let held = (!with_samples).then(|| std::mem::take(&mut self.inputs.samples));
        let deliveries = self.engine.tick(EngineTime(now_us as u64), &mut self.inputs);
        debug_assert!(!deliveries.notices.iter().any(|n| matches!(n, Notice::GroupRefused { .. })));
        deliveries.groups.iter().for_each(|news| hear(deliveries, news));
        if let Some(held) = held {
            self.inputs.samples = held;
        }
    }
}

fn feed(member: usize) -> FeedId {
    FeedId(Handle { slot: member as u32, generation: 0 })
}

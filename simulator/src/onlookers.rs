//! The viewers of a cast, inside the process: their acts as commands, and who is too slow to read.

use std::sync::Arc;

use components::command::{Command, Inputs, SensorSet};
use components::delivery::Notice;
use components::id::{Handles, ViewerId};
use components::sample::Timestamp;

use crate::crowd::{Act, CrowdSpec, Visitor};
use crate::scenario::Cast;

/// How often a viewer's connection shows signs of life.
const RENEW_MS: i64 = 10_000;

#[derive(Debug)]
pub(crate) struct Onlookers {
    start: Timestamp,
    seats: Vec<Seat>,
    handles: Handles,
    acts: Vec<(i64, Act)>,
}

#[derive(Debug)]
struct Seat {
    visitor: Visitor,
    sensor_ids: Arc<[Arc<str>]>,
    viewer: Option<ViewerId>,
    stalled: bool,
    renew_at: i64,
}

impl Onlookers {
    pub(crate) fn new(crowds: &[CrowdSpec], cast: &Cast, seed: u64, start: Timestamp) -> Self {
        let mut seats = Vec::new();
        for (number, crowd) in crowds.iter().enumerate() {
            let wanted = |room: &Option<Arc<str>>| {
                crowd.room.is_none() || *room == crowd.room.as_deref().map(Arc::from)
            };
            let ids = cast.sensors.iter().filter(|sensor| wanted(&sensor.room));
            let sensor_ids: Arc<[Arc<str>]> =
                ids.map(|sensor| Arc::clone(&sensor.card.sensor_id)).collect();
            let crowd = Arc::new(crowd.clone());
            seats.extend((0..crowd.count).map(|n| Seat {
                visitor: Visitor::new(&crowd, &sensor_ids, seed ^ (number as u64) << 32, n),
                sensor_ids: Arc::clone(&sensor_ids),
                viewer: None,
                stalled: false,
                renew_at: 0,
            }));
        }
        Self { start, seats, handles: Handles::default(), acts: Vec::new() }
    }

    pub(crate) fn advance(&mut self, to: Timestamp, inputs: &mut Inputs, notices: &[Notice]) {
        for notice in notices {
            if let Notice::ViewerClosed { viewer, .. } = notice {
                self.handles.give_back(viewer.0);
            }
        }
        let to_ms = to.0 - self.start.0;
        for seat in &mut self.seats {
            self.acts.clear();
            if seat.visitor.next_at().is_some_and(|at| at <= to_ms) {
                seat.visitor.advance(to_ms, &mut self.acts);
            }
            for (at, act) in self.acts.drain(..) {
                seat.follow(at, act, &mut self.handles, &mut inputs.commands);
            }
            let Some(viewer) = seat.viewer else { continue };
            if to_ms >= seat.renew_at {
                seat.renew_at = to_ms + RENEW_MS;
                inputs.commands.push(Command::Renew { viewer });
            }
            if seat.stalled {
                inputs.busy.push(viewer);
            }
        }
    }
}

impl Seat {
    fn follow(&mut self, at: i64, act: Act, handles: &mut Handles, commands: &mut Vec<Command>) {
        if let Act::Arrive { sensors, quality } = act {
            let Some(handle) = handles.take(usize::MAX) else { return };
            let viewer = ViewerId(handle);
            self.viewer = Some(viewer);
            self.renew_at = at + RENEW_MS;
            let ids = sensors.iter().map(|&n| Box::from(&*self.sensor_ids[n])).collect();
            let sensors = SensorSet::Ids(ids);
            commands.push(Command::OpenViewer { viewer, sensors, quality });
            return;
        }
        let Some(viewer) = self.viewer else { return };
        match act {
            Act::Arrive { .. } => {}
            Act::Attend(attention) => {
                commands.push(Command::Attend { viewer, attention: Box::new(attention) });
            }
            Act::SetQuality(quality) => commands.push(Command::SetQuality { viewer, quality }),
            Act::Stall => self.stalled = true,
            Act::Flow => self.stalled = false,
            Act::Leave => {
                self.viewer = None;
                self.stalled = false;
                commands.push(Command::CloseViewer { viewer });
            }
        }
    }
}

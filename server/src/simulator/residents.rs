//! Acts in rooms: what a scenario measures that was started into a room is there, as is what a member's
//! device brings (`reference/collab.md` 15.6).
//!
//! Every five seconds each act is looked after: a room that has lost its sensors gets them again. After six
//! failures in a row it is asked whether the room is there at all; if it is truly gone, the act is lost to
//! it for good, and goes on without a room. A store that does not answer is not a missing room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use components::sample::Timestamp;
use serde_json::{Value, json};
use simulator::stage::{Condition, Running};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Simulator;
use crate::belongings::Belongings;
use crate::refusal::Refusal;
use crate::rooms::{Asker, RoomDesk, RoomError, RoomId};

/// Between two looks after an act.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// An act that has ended is out of its room within this time.
const POLL_PERIOD: Duration = Duration::from_millis(250);

/// So many failures in a row, and it is asked whether the room is there.
pub const FAILURE_COUNT_MAX: u32 = 6;

/// Where acts are: the rooms, as far as they matter here.
pub(super) trait House {
    /// The sensors of an act measure there from now on; they may be there already.
    fn settle(&self, act: &Arc<str>, resident: &Resident) -> Result<(), RoomError>;
    fn leave(&self, act: &str, room: RoomId);
    /// `None`: it is not known yet.
    fn is_there(&self, room: RoomId) -> Option<bool>;
}

/// The rooms that there are.
#[derive(Debug)]
pub struct Rooms {
    pub desk: Arc<RoomDesk>,
    pub belongings: Arc<Belongings>,
    pub simulator: Arc<Simulator>,
}

impl House for Rooms {
    fn settle(&self, act: &Arc<str>, resident: &Resident) -> Result<(), RoomError> {
        let Resident { asker, room, sensors, .. } = resident;
        // Somebody's own sensor is not put into a room by who simulates one of its name.
        let is_owned = |sensor: &str| self.belongings.owner(sensor).is_some();
        let sensors = match sensors.iter().any(|sensor| is_owned(sensor)) {
            false => Arc::clone(sensors),
            true => sensors.iter().filter(|sensor| !is_owned(sensor)).cloned().collect(),
        };
        self.desk.settle_act(asker.as_ref(), *room, act, &sensors)
    }

    fn leave(&self, act: &str, room: RoomId) {
        self.desk.unsettle_act(room, act);
    }

    fn is_there(&self, room: RoomId) -> Option<bool> {
        self.desk.is_there(room)
    }
}

/// An act that is for a room.
#[derive(Debug)]
pub(super) struct Resident {
    started_at: Timestamp,
    room: RoomId,
    /// Who brings it; `None`: whoever runs the server.
    asker: Option<Asker>,
    sensors: Arc<[Box<str>]>,
    standing: Standing,
    /// In a row.
    failures: u32,
}

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    There,
    /// Not now, and why; it is tried again.
    Waiting(&'static str),
    /// Nor ever again.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Residents<H = Rooms> {
    house: H,
    /// By the ids of the acts.
    acts: Mutex<HashMap<Arc<str>, Resident>>,
}

#[expect(private_bounds, reason = "there is one house, and that of the tests")]
impl<H: House> Residents<H> {
    pub fn new(house: H) -> Arc<Self> {
        Arc::new(Self { house, acts: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Resident>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this act measures is for this room from now on.
    pub fn settle(
        &self,
        running: &Running,
        room: RoomId,
        asker: Option<Asker>,
        sensors: Arc<[Box<str>]>,
    ) {
        let standing = Standing::Waiting("hydrating");
        let started_at = running.started_at;
        let mut resident = Resident { started_at, room, asker, sensors, standing, failures: 0 };
        self.look_after(&running.id, &mut resident);
        self.lock().insert(Arc::clone(&running.id), resident);
    }

    fn look_after(&self, act: &Arc<str>, resident: &mut Resident) {
        if resident.standing == Standing::Lost {
            return;
        }
        let Err(error) = self.house.settle(act, resident) else {
            (resident.standing, resident.failures) = (Standing::There, 0);
            return;
        };
        // Whoever brought it may not any more, or there is no place.
        self.house.leave(act, resident.room);
        resident.standing = Standing::Waiting(Refusal::from(error).code);
        resident.failures = resident.failures.saturating_add(1);
        let room = resident.room;
        if resident.failures >= FAILURE_COUNT_MAX && self.house.is_there(room) == Some(false) {
            tracing::warn!(act = &**act, %room, "the room is gone: the act goes on without one");
            resident.standing = Standing::Lost;
        }
    }

    /// After each of them.
    pub fn look(&self) {
        for (act, resident) in self.lock().iter_mut() {
            self.look_after(act, resident);
        }
    }

    /// Those that are not running any more, or are another by the same name, leave.
    pub fn keep_only(&self, running: &[Running]) {
        self.lock().retain(|act, resident| {
            let is_on = running.iter().any(|on| {
                on.id == *act
                    && on.started_at == resident.started_at
                    && on.condition != Condition::Stopping
            });
            if !is_on {
                self.house.leave(act, resident.room);
            }
            is_on
        });
    }

    /// As told to whoever asks: `null` if it is for no room.
    pub fn told(&self, act: &str) -> Value {
        let acts = self.lock();
        let Some(resident) = acts.get(act) else { return Value::Null };
        let (state, why) = match resident.standing {
            Standing::There => ("there", None),
            Standing::Waiting(why) => ("waiting", Some(why)),
            Standing::Lost => ("lost", Some("not_found")),
        };
        let (id, failures) = (resident.room.to_string(), resident.failures);
        json!({ "id": id, "state": state, "why": why, "failures": failures })
    }
}

impl Residents {
    /// Until the server ends.
    pub async fn keep_looking(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut looked_at = Instant::now();
        while timeout(POLL_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.keep_only(&self.house.simulator.status().running);
            if looked_at.elapsed() >= LOOK_PERIOD {
                looked_at = Instant::now();
                self.look();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::can::Denied;

    /// A house that answers as it is told to, and remembers who left.
    struct Made {
        answer: RefCell<Result<(), RoomError>>,
        is_there: Cell<Option<bool>>,
        left: RefCell<Vec<String>>,
    }

    impl House for Made {
        fn settle(&self, _: &Arc<str>, _: &Resident) -> Result<(), RoomError> {
            self.answer.borrow().clone()
        }

        fn leave(&self, act: &str, _: RoomId) {
            self.left.borrow_mut().push(act.to_owned());
        }

        fn is_there(&self, _: RoomId) -> Option<bool> {
            self.is_there.get()
        }
    }

    const ROOM: RoomId = RoomId([7; 16]);

    fn running(at: i64, condition: Condition) -> Running {
        Running {
            id: "few".into(),
            name: "few".into(),
            condition,
            seed: Some(1),
            speed: 1.0,
            sensors: 1,
            sensors_live: 1,
            samples_per_second: 1.0,
            started_at: Timestamp(at),
            position_ms: 0,
            stamped_at: Timestamp(at),
            skipped_ms: 0,
            replay: None,
        }
    }

    fn residents(answer: Result<(), RoomError>, is_there: Option<bool>) -> Arc<Residents<Made>> {
        let (answer, left) = (RefCell::new(answer), RefCell::default());
        let made = Residents::new(Made { answer, is_there: Cell::new(is_there), left });
        made.settle(&running(1, Condition::Running), ROOM, None, ["a".into()].into());
        made
    }

    fn state(residents: &Residents<Made>) -> (String, u64) {
        let told = residents.told("few");
        (told["state"].as_str().unwrap().to_owned(), told["failures"].as_u64().unwrap())
    }

    const GONE: RoomError = RoomError::Denied(Denied::NotFound);

    #[test]
    fn six_failures_in_a_row_and_a_room_that_is_gone_are_for_good() {
        let residents = residents(Ok(()), Some(true));
        assert_eq!(state(&residents), ("there".into(), 0));
        *residents.house.answer.borrow_mut() = Err(GONE);
        residents.house.is_there.set(Some(false));
        (0..5).for_each(|_| residents.look());
        assert_eq!(state(&residents), ("waiting".into(), 5));
        // One success begins the row anew.
        *residents.house.answer.borrow_mut() = Ok(());
        residents.look();
        assert_eq!(state(&residents), ("there".into(), 0));
        *residents.house.answer.borrow_mut() = Err(GONE);
        (0..6).for_each(|_| residents.look());
        assert_eq!(state(&residents), ("lost".into(), 6));
        *residents.house.answer.borrow_mut() = Ok(());
        residents.look();
        assert_eq!(state(&residents), ("lost".into(), 6));
    }

    #[test]
    fn a_store_that_does_not_answer_is_not_a_missing_room() {
        let residents = residents(Err(RoomError::Hydrating), None);
        (0..1000).for_each(|_| residents.look());
        assert_eq!(state(&residents), ("waiting".into(), 1001));
        assert_eq!(residents.told("few")["why"], "hydrating");
        *residents.house.answer.borrow_mut() = Ok(());
        residents.look();
        assert_eq!(state(&residents), ("there".into(), 0));
    }

    #[test]
    fn a_room_that_is_there_is_tried_for_ever_and_holds_nothing_meanwhile() {
        let residents = residents(Ok(()), Some(true));
        *residents.house.answer.borrow_mut() = Err(RoomError::TooMany("sensors"));
        (0..100).for_each(|_| residents.look());
        assert_eq!(state(&residents), ("waiting".into(), 100));
        assert_eq!(residents.told("few")["why"], "too_many");
        assert_eq!(residents.house.left.borrow().len(), 100);
    }

    #[test]
    fn an_act_that_ends_leaves_its_room_and_another_of_its_name_is_not_it() {
        for after in
            [vec![], vec![running(1, Condition::Stopping)], vec![running(2, Condition::Running)]]
        {
            let residents = residents(Ok(()), Some(true));
            residents.keep_only(&[running(1, Condition::Paused)]);
            assert_eq!(state(&residents), ("there".into(), 0));
            residents.keep_only(&after);
            assert_eq!(residents.told("few"), Value::Null);
            assert_eq!(*residents.house.left.borrow(), ["few"]);
        }
    }
}

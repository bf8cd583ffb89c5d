//! The past of rooms: whoever runs one may have kept what is measured in it. Sensors are kept from when
//! they come until they go; what is kept so goes with the order, or with the room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{History, HistoryError, lock};
use crate::rooms::{RoomDesk, RoomId};
use crate::store::record::{Record, Unreadable, frozen, unknown_version};
use crate::store::{Entry, Expect, ReadError, Table};

/// Rooms that are kept at once.
pub const ROOM_COUNT_MAX: usize = 1_000;

/// Between two looks at who is in them.
const PERIOD: Duration = Duration::from_millis(250);

/// What is kept of each sensor of a room, by the room's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoomPastRecord {
    pub keep_hours: u32,
    /// Of each sensor.
    pub bytes_max: u64,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct RoomPastV1 {
    keep_hours: u32,
    bytes_max: u64,
}

impl Record for RoomPastRecord {
    const TABLE: &'static str = "room_history";
    const SECTION: u16 = 20;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        let of_v1 = |RoomPastV1 { keep_hours, bytes_max }| Self { keep_hours, bytes_max };
        match version {
            1 => frozen::<RoomPastV1>(body).map(of_v1),
            _ => Err(unknown_version(version)),
        }
    }
}

/// A room that is kept.
#[derive(Debug)]
struct Kept {
    policy: RoomPastRecord,
    /// Those whose coming was seen to; one that could not be kept is tried again.
    sensors: BTreeSet<Box<str>>,
    /// Why the last one was not.
    problem: Option<HistoryError>,
    /// Whether who is there was told how it stands.
    is_told: bool,
}

impl Kept {
    fn of(policy: RoomPastRecord) -> Self {
        Self { policy, sensors: BTreeSet::new(), problem: None, is_told: false }
    }
}

/// See the module.
pub struct RoomPasts {
    pub(crate) history: Arc<History>,
    rooms: Arc<RoomDesk>,
    table: Table<RoomPastRecord>,
    /// One order, or look, after the other. The desk's round that the last look saw to the end, if
    /// there is nothing to be tried again.
    turn: tokio::sync::Mutex<Option<u64>>,
    kept: Mutex<BTreeMap<RoomId, Kept>>,
}

impl fmt::Debug for RoomPasts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomPasts({})", self.lock().len())
    }
}

impl RoomPasts {
    pub fn new(history: Arc<History>, rooms: Arc<RoomDesk>) -> Arc<Self> {
        let table = history.store.table();
        let (turn, kept) = Default::default();
        Arc::new(Self { history, rooms, table, turn, kept })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RoomId, Kept>> {
        lock(&self.kept)
    }

    /// Takes over what another server has left in the store. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub fn hydrate(&self) -> Result<(), ReadError> {
        let entries = self.table.all()?;
        let mut all = self.lock();
        for Entry { key, record, .. } in entries.into_iter().flatten() {
            let Ok(room) = <[u8; 16]>::try_from(&*key).map(RoomId) else { continue };
            all.entry(room).or_insert_with(|| Kept::of(record));
        }
        Ok(())
    }

    /// From now on what is measured in this room is kept.
    ///
    /// # Errors
    /// See [`HistoryError`]; it is as it was.
    pub async fn keep(&self, room: RoomId, policy: RoomPastRecord) -> Result<(), HistoryError> {
        let mut turn = self.turn.lock().await;
        if self.history.folder.is_none() {
            return Err(HistoryError::NothingKept);
        }
        let is_new = !self.lock().contains_key(&room);
        if is_new && self.lock().len() >= ROOM_COUNT_MAX {
            return Err(HistoryError::TooManyRooms);
        }
        self.history.commit(self.table.put(&room.0, &policy, Expect::Any)).await?;
        // Those that are kept already are to be so in the new way.
        self.lock().insert(room, Kept::of(policy));
        *turn = None;
        drop(turn);
        self.look().await;
        Ok(())
    }

    /// Nothing is kept of this room any more, and what was is overwritten and gone; but for sensors of
    /// which somebody wants the past kept by themselves.
    ///
    /// # Errors
    /// Something is left, and is kept still; it may be tried again.
    pub async fn delete(&self, room: RoomId) -> Result<(), HistoryError> {
        let _turn = self.turn.lock().await;
        if !self.lock().contains_key(&room) {
            return Err(HistoryError::NotKept);
        }
        self.take_down(room).await
    }

    async fn take_down(&self, room: RoomId) -> Result<(), HistoryError> {
        self.history.delete_of_room(room).await?;
        self.history.commit(self.table.delete(&room.0, Expect::Any)).await?;
        self.lock().remove(&room);
        self.rooms.tell_past(room, None);
        Ok(())
    }

    /// Who has come and gone since the last look.
    pub async fn look(&self) {
        let mut seen = self.turn.lock().await;
        let round = self.rooms.sensor_round();
        if *seen == Some(round) {
            return;
        }
        *seen = None;
        let ids: Vec<RoomId> = self.lock().keys().copied().collect();
        for room in ids {
            if self.rooms.is_there(room) == Some(false) {
                // What is left after an error is tried again at the next look.
                if let Err(problem) = self.take_down(room).await {
                    self.note(room, Some(problem));
                }
                continue;
            }
            let here = self.rooms.sensors_in(room);
            let Some((policy, before)) =
                self.lock().get(&room).map(|kept| (kept.policy, kept.sensors.clone()))
            else {
                continue;
            };
            for sensor in before.difference(&here) {
                self.history.leave_room(sensor, room);
            }
            let mut problem = None;
            let mut sensors: BTreeSet<Box<str>> = before.intersection(&here).cloned().collect();
            for sensor in here.difference(&before) {
                match self.history.keep_in_room(sensor, room, policy).await {
                    Ok(()) => drop(sensors.insert(sensor.clone())),
                    Err(error) => problem = Some(error),
                }
            }
            if let Some(kept) = self.lock().get_mut(&room) {
                kept.is_told &= kept.sensors == sensors;
                kept.sensors = sensors;
            }
            self.note(room, problem);
            self.tell(room);
        }
        if self.lock().values().all(|kept| kept.problem.is_none()) {
            *seen = Some(round);
        }
    }

    fn note(&self, room: RoomId, problem: Option<HistoryError>) {
        let mut all = self.lock();
        let Some(kept) = all.get_mut(&room) else { return };
        if let Some(problem) = problem.as_ref().filter(|it| kept.problem.as_ref() != Some(it)) {
            tracing::warn!(%room, %problem, "not all of a room is kept");
        }
        kept.is_told &= kept.problem == problem;
        kept.problem = problem;
    }

    /// Tells who is there how it stands, if they have not heard.
    fn tell(&self, room: RoomId) {
        let mut all = self.lock();
        let Some(kept) = all.get_mut(&room).filter(|kept| !kept.is_told) else { return };
        let told = json!({
            "keep_hours": kept.policy.keep_hours,
            "mib_max": kept.policy.bytes_max >> 20,
            "sensor_count": kept.sensors.len(),
            "problem": kept.problem.as_ref().map(ToString::to_string),
        });
        kept.is_told = self.rooms.tell_past(room, Some(told));
    }

    /// How a room is kept. `None`: it is not.
    pub fn told(&self, room: RoomId) -> Option<Value> {
        let all = self.lock();
        let Kept { policy, sensors, problem, .. } = all.get(&room)?;
        Some(json!({
            "room_id": room.to_string(),
            "keep_hours": policy.keep_hours,
            "mib_max": policy.bytes_max >> 20,
            "sensors": sensors,
            "problem": problem.as_ref().map(ToString::to_string),
        }))
    }

    /// Until the server ends.
    pub async fn keep_looking(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while timeout(PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.look().await;
        }
    }
}

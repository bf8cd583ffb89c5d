//! Search: sensors that are live, rooms and people, by words of what they are called, for whoever may see
//! them.
//!
//! Whoever keeps sensors, rooms and people marks what changes there; what is marked is read again as it is
//! now. What is found is judged by [`can`](crate::can) at that moment, so that nobody hears of what is
//! not for them, nor how much of it there is. What is promised is in `docs/search.md`.

pub mod api;
pub mod index;
pub(crate) mod marks;
mod world;

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::directory::Directory;
use crate::discovery::Discovery;
use crate::people::{AccountId, People};
use crate::rooms::{Asker, RoomDesk, RoomId};
use index::{Field, Hit, Index, Question};
use marks::Marked;

/// Between two looks for what has changed. Who asks looks as well.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// What has changed is read so many at a time, and whoever asks waits for so many.
const READ_COUNT: usize = 500;

/// Letters of what is asked for.
pub const QUESTION_LETTERS_MAX: usize = 100;

/// Of each kind.
pub const HIT_COUNT_MAX: usize = 50;

/// See the module.
pub struct Search {
    directory: Arc<Directory>,
    rooms: Arc<RoomDesk>,
    people: Arc<People>,
    discovery: Arc<Discovery>,
    // Locked before what they are read from.
    sensor_index: Mutex<Index<Arc<str>>>,
    room_index: Mutex<Index<RoomId>>,
    person_index: Mutex<Index<AccountId>>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({})", lock(&self.sensor_index).len())
    }
}

/// What there is, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub sensors: usize,
    pub rooms: usize,
    pub people: usize,
}

impl Search {
    pub fn new(
        directory: Arc<Directory>,
        rooms: Arc<RoomDesk>,
        people: Arc<People>,
        discovery: Arc<Discovery>,
    ) -> Arc<Self> {
        Arc::new(Self {
            directory,
            rooms,
            people,
            discovery,
            sensor_index: Mutex::default(),
            room_index: Mutex::default(),
            person_index: Mutex::default(),
        })
    }

    /// Reads what has changed; whether there is more.
    fn look(&self) -> bool {
        let sensors = self.read_sensors(&mut lock(&self.sensor_index));
        let rooms = self.read_rooms(&mut lock(&self.room_index));
        let people = self.read_people(&mut lock(&self.person_index));
        sensors || rooms || people
    }

    fn read_sensors(&self, index: &mut Index<Arc<str>>) -> bool {
        let all = || self.directory.versions().into_keys().collect();
        read(index, self.directory.take_changed(READ_COUNT), all, |id, index| {
            let Some(words) = self.directory.words(id) else { return index.remove(id) };
            let named = [(Field::Name, &*words.name), (Field::Id, &**id)];
            let others = [&words.kind, &words.connector].map(|text| (Field::Other, &**text));
            let attributes = words.attributes.iter().map(|text| (Field::Other, &**text));
            index.put(Arc::clone(id), named.into_iter().chain(others).chain(attributes));
        })
    }

    fn read_rooms(&self, index: &mut Index<RoomId>) -> bool {
        let all = || self.rooms.ids();
        read(index, self.rooms.take_changed(READ_COUNT), all, |id, index| {
            let Some((name, description)) = self.rooms.words(*id) else { return index.remove(id) };
            let described = description.iter().map(|text| (Field::Other, &**text));
            index.put(*id, [(Field::Name, &*name)].into_iter().chain(described));
        })
    }

    fn read_people(&self, index: &mut Index<AccountId>) -> bool {
        let all = || self.people.ids();
        read(index, self.people.take_changed(READ_COUNT), all, |id, index| {
            match self.people.display_name(id) {
                Some(name) => index.put(Arc::clone(id), [(Field::Name, &*name)]),
                None => index.remove(id),
            }
        })
    }

    /// What somebody finds, of each kind at most so many.
    pub fn find(&self, asker: &Asker, asked: &str, limit: usize) -> Value {
        let question = Question::new(asked);
        let sight = self.discovery.sight(asker);
        let (sensors, more_sensors) = {
            let mut index = lock(&self.sensor_index);
            self.read_sensors(&mut index);
            index.find(&question, limit, |id| sight.as_ref().is_none_or(|it| it.contains(id)))
        };
        let (rooms, more_rooms) = {
            let mut index = lock(&self.room_index);
            self.read_rooms(&mut index);
            let mut sight = self.rooms.sight(asker);
            index.find(&question, limit, |id| sight.room(*id))
        };
        let (people, more_people) = {
            let mut index = lock(&self.person_index);
            self.read_people(&mut index);
            let mut sight = self.rooms.sight(asker);
            index.find(&question, limit, |id| sight.person(id))
        };
        let sensors = told(&sensors, |id| self.directory.told_if_live(id));
        // Judged again: it may have changed since.
        let rooms = told(&rooms, |id| self.rooms.found(asker, *id));
        let people = told(&people, |id| {
            let name = self.people.display_name(id)?;
            Some(json!({ "user_id": **id, "display_name": name }))
        });
        json!({
            "query": asked,
            "sensors": sensors,
            "rooms": rooms,
            "people": people,
            "more": { "sensors": more_sensors, "rooms": more_rooms, "people": more_people },
        })
    }

    pub fn figures(&self) -> Figures {
        Figures {
            sensors: lock(&self.sensor_index).len(),
            rooms: lock(&self.room_index).len(),
            people: lock(&self.person_index).len(),
        }
    }

    /// Looks for what has changed, for as long as the server runs.
    pub async fn keep_looking(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while timeout(LOOK_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            while self.look() {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Reads what is marked; whether there is more.
fn read<K: Clone + Hash + Ord>(
    index: &mut Index<K>,
    marked: Marked<K>,
    all: impl FnOnce() -> Vec<K>,
    mut put: impl FnMut(&K, &mut Index<K>),
) -> bool {
    let mut keys: Vec<K> = match marked {
        Marked::These(keys) => keys,
        Marked::Everything => index.keys().cloned().chain(all()).collect(),
    };
    // Who comes at the same time is in order.
    keys.sort_unstable();
    keys.iter().for_each(|key| put(key, index));
    keys.len() >= READ_COUNT
}

/// What has gone meanwhile is not told.
fn told<K>(hits: &[Hit<K>], tell: impl Fn(&K) -> Option<Value>) -> Value {
    let told = hits.iter().filter_map(|hit| {
        let mut told = tell(&hit.key)?;
        told["match"] = hit.likeness.name().into();
        Some(told)
    });
    told.collect()
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

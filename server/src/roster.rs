//! Which sensors are there: a picture made of notices, told to viewers in full and then in changes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use components::attention::Level;
use components::attribute::AttributeType;
use components::command::{SensorCard, SensorSet};
use components::delivery::Notice;
use components::wire::push::{write_integer, write_number, write_string};

/// Sensors that one viewer is told of by name. A page cannot show more; `total` says how many
/// there are.
pub const LISTED_COUNT_MAX: usize = 5000;

/// Milliseconds between two roster messages to one viewer: at most five a second.
pub const ROSTER_INTERVAL_MS: u64 = 200;

/// Changes remembered for viewers that are behind. One that is further behind hears it all anew.
const CHANGE_COUNT_MAX: usize = 65_536;

/// Which sensors a viewer's lens is on, ready to be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Lens {
    All,
    Ids(HashSet<Box<str>>),
}

impl Lens {
    pub fn new(sensors: &SensorSet) -> Self {
        match sensors {
            SensorSet::All => Self::All,
            SensorSet::Ids(ids) => Self::Ids(ids.iter().cloned().collect()),
        }
    }

    pub fn has(&self, sensor_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(sensor_id),
        }
    }
}

/// One life of one sensor in this picture; in order of arrival, never used twice.
type Key = u64;

#[derive(Debug)]
struct Sensor {
    card: Arc<SensorCard>,
    connector_name: Arc<str>,
    attributes: Vec<Attribute>,
    level: Level,
    /// Its JSON but for the level, which changes most often. Empty: to be written anew.
    text: Vec<u8>,
}

#[derive(Debug)]
struct Attribute {
    attribute_id: Arc<str>,
    kind: AttributeType,
    rate_hz: Option<f64>,
}

#[derive(Debug)]
struct Change {
    key: Key,
    sensor_id: Arc<str>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Came,
    Changed,
    Level,
    Gone,
}

/// The picture. Kept by the pump.
#[derive(Debug, Default)]
pub struct Roster {
    keys: HashMap<Arc<str>, Key>,
    sensors: BTreeMap<Key, Sensor>,
    key_next: Key,
    changes: VecDeque<Change>,
    /// How many changes there were before the first of `changes`.
    changes_begin: u64,
}

/// What one viewer has heard of it.
#[derive(Debug, Default)]
pub struct RosterView {
    /// Changes heard, of all there were; `None` before the first, full message.
    heard: Option<u64>,
    listed: HashSet<Key>,
    /// Live sensors in its lens.
    total: usize,
}

impl RosterView {
    /// The lens has changed: the next message is full again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Roster {
    /// How many sensors are there.
    pub fn count(&self) -> usize {
        self.sensors.len()
    }

    /// Whether there may be something to tell.
    pub fn is_news(&self, view: &RosterView) -> bool {
        view.heard != Some(self.changes_end())
    }

    fn changes_end(&self) -> u64 {
        self.changes_begin + self.changes.len() as u64
    }

    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::SensorCame { card } => self.came(card),
            Notice::SensorGone { sensor_id } => {
                if let Some(key) = self.keys.remove(sensor_id) {
                    self.sensors.remove(&key);
                    self.change(key, sensor_id, What::Gone);
                }
            }
            Notice::AttributeCame { sensor_id, attribute_id, kind, rate_hz } => {
                self.touch(sensor_id, What::Changed, |sensor| {
                    sensor.attributes.retain(|known| known.attribute_id != *attribute_id);
                    sensor.attributes.push(Attribute {
                        attribute_id: Arc::clone(attribute_id),
                        kind: *kind,
                        rate_hz: *rate_hz,
                    });
                });
            }
            Notice::AttributeGone { sensor_id, attribute_id } => {
                self.touch(sensor_id, What::Changed, |sensor| {
                    sensor.attributes.retain(|known| known.attribute_id != *attribute_id);
                });
            }
            Notice::ConnectorRenamed { sensor_id, connector_name } => {
                self.touch(sensor_id, What::Changed, |sensor| {
                    sensor.connector_name = Arc::clone(connector_name);
                });
            }
            Notice::LevelChanged { sensor_id, level } => {
                self.touch(sensor_id, What::Level, |sensor| sensor.level = *level);
            }
            Notice::FeedOpened { .. }
            | Notice::FeedRefused { .. }
            | Notice::FeedClosed { .. }
            | Notice::LoadChanged { .. }
            | Notice::Novelty { .. }
            | Notice::Paced { .. }
            | Notice::QualityGranted { .. }
            | Notice::AttributeRefused { .. }
            | Notice::DeviceTold { .. }
            | Notice::GroupRefused { .. }
            | Notice::GroupMembers { .. }
            | Notice::GroupClosed { .. }
            | Notice::ViewerClosed { .. }
            | Notice::SystemRestarted { .. }
            | Notice::SystemOff { .. }
            | Notice::SystemOn { .. } => {}
        }
    }

    fn came(&mut self, card: &Arc<SensorCard>) {
        if self.keys.contains_key(&card.sensor_id) {
            return self.touch(&card.sensor_id, What::Changed, |sensor| {
                sensor.card = Arc::clone(card);
                sensor.connector_name = Arc::clone(&card.connector_name);
            });
        }
        let key = self.key_next;
        self.key_next += 1;
        self.keys.insert(Arc::clone(&card.sensor_id), key);
        let sensor = Sensor {
            card: Arc::clone(card),
            connector_name: Arc::clone(&card.connector_name),
            attributes: Vec::new(),
            level: Level::None,
            text: Vec::new(),
        };
        self.sensors.insert(key, sensor);
        self.change(key, &card.sensor_id, What::Came);
    }

    fn touch(&mut self, sensor_id: &Arc<str>, what: What, change: impl FnOnce(&mut Sensor)) {
        let Some(&key) = self.keys.get(sensor_id) else { return };
        let Some(sensor) = self.sensors.get_mut(&key) else { return };
        change(sensor);
        if what == What::Changed {
            sensor.text.clear();
        }
        self.change(key, sensor_id, what);
    }

    fn change(&mut self, key: Key, sensor_id: &Arc<str>, what: What) {
        if self.changes.len() >= CHANGE_COUNT_MAX {
            let forgotten = CHANGE_COUNT_MAX / 2;
            self.changes.drain(..forgotten);
            self.changes_begin += forgotten as u64;
        }
        self.changes.push_back(Change { key, sensor_id: Arc::clone(sensor_id), what });
    }

    /// Writes the body of the `roster` message that brings this viewer up to date; false, and
    /// nothing written, when it is.
    pub fn tell(&mut self, view: &mut RosterView, lens: &Lens, out: &mut Vec<u8>) -> bool {
        let end = self.changes_end();
        match view.heard {
            Some(heard) if heard == end => false,
            Some(heard) if heard >= self.changes_begin => {
                view.heard = Some(end);
                self.tell_changes(heard, view, lens, out)
            }
            _ => {
                self.tell_all(view, lens, out);
                view.heard = Some(end);
                true
            }
        }
    }

    fn tell_all(&mut self, view: &mut RosterView, lens: &Lens, out: &mut Vec<u8>) {
        view.forget();
        out.extend_from_slice(b"{\"full\":true,\"sensors\":[");
        let mut first = true;
        for (key, sensor) in &mut self.sensors {
            if !lens.has(&sensor.card.sensor_id) {
                continue;
            }
            view.total += 1;
            if view.listed.len() < LISTED_COUNT_MAX {
                view.listed.insert(*key);
                comma(&mut first, out);
                sensor.write(out);
            }
        }
        out.extend_from_slice(b"],\"gone\":[],\"levels\":{},\"total\":");
        write_integer(view.total, out);
        out.push(b'}');
    }

    fn tell_changes(
        &mut self,
        heard: u64,
        view: &mut RosterView,
        lens: &Lens,
        out: &mut Vec<u8>,
    ) -> bool {
        let total_before = view.total;
        // What is to be told of each sensor: all of it, or its level only.
        let mut touched: BTreeMap<Key, bool> = BTreeMap::new();
        let mut gone: Vec<Arc<str>> = Vec::new();
        let skipped = (heard - self.changes_begin) as usize;
        for change in self.changes.range(skipped..).filter(|change| lens.has(&change.sensor_id)) {
            match change.what {
                What::Came => {
                    view.total += 1;
                    touched.insert(change.key, true);
                }
                What::Changed => *touched.entry(change.key).or_default() = true,
                What::Level => {
                    touched.entry(change.key).or_default();
                }
                What::Gone => {
                    view.total -= 1;
                    touched.remove(&change.key);
                    if view.listed.remove(&change.key) {
                        gone.push(Arc::clone(&change.sensor_id));
                    }
                }
            }
        }
        // Those that had no place on the list while it was full may have one now.
        let room = LISTED_COUNT_MAX.min(view.total).saturating_sub(view.listed.len());
        if room > 0 {
            let unlisted = self
                .sensors
                .iter()
                .filter(|(key, sensor)| {
                    !view.listed.contains(key) && lens.has(&sensor.card.sensor_id)
                })
                .map(|(key, _)| *key)
                .take(room)
                .collect::<Vec<_>>();
            for key in unlisted {
                view.listed.insert(key);
                touched.insert(key, true);
            }
        }
        touched.retain(|key, _| view.listed.contains(key));
        // A sensor that left and came back is told as it is now.
        gone.retain(|id| self.keys.get(id).is_none_or(|key| !view.listed.contains(key)));
        if touched.is_empty() && gone.is_empty() && view.total == total_before {
            return false;
        }

        out.extend_from_slice(b"{\"full\":false,\"sensors\":[");
        let mut first = true;
        for key in touched.iter().filter(|(_, all)| **all).map(|(key, _)| key) {
            if let Some(sensor) = self.sensors.get_mut(key) {
                comma(&mut first, out);
                sensor.write(out);
            }
        }
        out.extend_from_slice(b"],\"gone\":[");
        first = true;
        for id in &gone {
            comma(&mut first, out);
            write_string(id, out);
        }
        out.extend_from_slice(b"],\"levels\":{");
        first = true;
        for key in touched.iter().filter(|(_, all)| !**all).map(|(key, _)| key) {
            if let Some(sensor) = self.sensors.get(key) {
                comma(&mut first, out);
                write_string(&sensor.card.sensor_id, out);
                out.push(b':');
                write_string(sensor.level.name(), out);
            }
        }
        out.extend_from_slice(b"},\"total\":");
        write_integer(view.total, out);
        out.push(b'}');
        true
    }
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

impl Sensor {
    /// S of `docs/wire.md` 2.5.
    fn write(&mut self, out: &mut Vec<u8>) {
        if self.text.is_empty() {
            self.write_text();
        }
        out.extend_from_slice(&self.text);
        write_string(self.level.name(), out);
        out.push(b'}');
    }

    fn write_text(&mut self) {
        let Self { card, connector_name, attributes, text, .. } = self;
        let members = [
            ("{\"sensor_id\":", &card.sensor_id),
            (",\"sensor_name\":", &card.sensor_name),
            (",\"sensor_type\":", &card.sensor_type),
            (",\"connector_id\":", &card.connector_id),
            (",\"connector_name\":", connector_name),
        ];
        for (key, value) in members {
            text.extend_from_slice(key.as_bytes());
            write_string(value, text);
        }
        text.extend_from_slice(b",\"attributes\":[");
        let mut first = true;
        for attribute in attributes {
            comma(&mut first, text);
            text.extend_from_slice(b"{\"attribute_id\":");
            write_string(&attribute.attribute_id, text);
            text.extend_from_slice(b",\"attribute_type\":");
            write_string(attribute.kind.name(), text);
            text.extend_from_slice(b",\"sampling_rate\":");
            write_number(attribute.rate_hz.unwrap_or(0.0), text);
            text.push(b'}');
        }
        text.extend_from_slice(b"],\"level\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn came(id: &str) -> Notice {
        let card = SensorCard {
            sensor_id: id.into(),
            sensor_name: format!("name of {id}").into(),
            sensor_type: "generic".into(),
            connector_id: "c".into(),
            connector_name: "phone".into(),
            sampling_rate: 0.0,
        };
        Notice::SensorCame { card: Arc::new(card) }
    }

    fn gone(id: &str) -> Notice {
        Notice::SensorGone { sensor_id: id.into() }
    }

    fn level(id: &str, level: Level) -> Notice {
        Notice::LevelChanged { sensor_id: id.into(), level }
    }

    fn hear(roster: &mut Roster, view: &mut RosterView, lens: &Lens) -> Option<Value> {
        let mut out = Vec::new();
        let told = roster.tell(view, lens, &mut out);
        assert_eq!(told, !out.is_empty());
        told.then(|| serde_json::from_slice(&out).unwrap())
    }

    fn names(message: &Value) -> Vec<&str> {
        message["sensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["sensor_id"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_viewer_hears_all_and_then_what_changes() {
        let (mut roster, mut view) = (Roster::default(), RosterView::default());
        roster.notice(&came("a\"1"));
        roster.notice(&Notice::AttributeCame {
            sensor_id: "a\"1".into(),
            attribute_id: "ecg".into(),
            kind: AttributeType::Ecg,
            rate_hz: Some(100.0),
        });
        roster.notice(&level("a\"1", Level::High));
        let s = json!({
            "sensor_id": "a\"1", "sensor_name": "name of a\"1", "sensor_type": "generic",
            "connector_id": "c", "connector_name": "phone", "level": "high",
            "attributes": [
                {"attribute_id": "ecg", "attribute_type": "ecg", "sampling_rate": 100.0}],
        });
        assert_eq!(
            hear(&mut roster, &mut view, &Lens::All),
            Some(json!({"full": true, "total": 1, "sensors": [s], "gone": [], "levels": {}}))
        );
        assert_eq!(hear(&mut roster, &mut view, &Lens::All), None);

        roster.notice(&level("a\"1", Level::Low));
        roster.notice(&level("a\"1", Level::Medium));
        roster.notice(&came("b"));
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((&heard["full"], &heard["total"]), (&json!(false), &json!(2)));
        assert_eq!(names(&heard), ["b"]);
        assert_eq!(heard["levels"], json!({"a\"1": "medium"}));

        roster.notice(&Notice::ConnectorRenamed {
            sensor_id: "a\"1".into(),
            connector_name: "watch".into(),
        });
        roster.notice(&gone("b"));
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!(heard["sensors"][0]["connector_name"], "watch");
        assert_eq!((&heard["gone"], &heard["total"]), (&json!(["b"]), &json!(1)));
    }

    #[test]
    fn a_viewer_hears_only_of_its_lens() {
        let (mut roster, mut view) = (Roster::default(), RosterView::default());
        let lens = Lens::new(&SensorSet::Ids(vec!["b".into(), "away".into()]));
        roster.notice(&came("a"));
        let heard = hear(&mut roster, &mut view, &lens).unwrap();
        assert_eq!((names(&heard), &heard["total"]), (vec![], &json!(0)));
        roster.notice(&level("a", Level::High));
        assert_eq!(hear(&mut roster, &mut view, &lens), None);
        roster.notice(&came("b"));
        assert_eq!(names(&hear(&mut roster, &mut view, &lens).unwrap()), ["b"]);
        view.forget();
        assert_eq!(names(&hear(&mut roster, &mut view, &Lens::All).unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_sensor_that_came_and_went_unheard_is_not_mentioned() {
        let (mut roster, mut view) = (Roster::default(), RosterView::default());
        hear(&mut roster, &mut view, &Lens::All);
        roster.notice(&came("a"));
        roster.notice(&gone("a"));
        assert_eq!(hear(&mut roster, &mut view, &Lens::All), None);
        roster.notice(&came("a"));
        hear(&mut roster, &mut view, &Lens::All);
        roster.notice(&gone("a"));
        roster.notice(&came("a"));
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((names(&heard), &heard["gone"]), (vec!["a"], &json!([])), "it is as it is now");
    }

    #[test]
    fn a_full_list_takes_others_in_as_places_come_free() {
        let (mut roster, mut view) = (Roster::default(), RosterView::default());
        for index in 0..LISTED_COUNT_MAX + 2 {
            roster.notice(&came(&format!("s{index}")));
        }
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((names(&heard).len(), &heard["total"]), (LISTED_COUNT_MAX, &json!(5002)));
        roster.notice(&level("s5001", Level::High));
        assert_eq!(hear(&mut roster, &mut view, &Lens::All), None, "it is not on the list");
        roster.notice(&gone("s3"));
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((names(&heard), &heard["gone"]), (vec!["s5000"], &json!(["s3"])));
        roster.notice(&came("late"));
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((names(&heard), &heard["total"]), (vec![], &json!(5002)), "the count changed");
    }

    #[test]
    fn a_viewer_too_far_behind_hears_it_all_anew() {
        let (mut roster, mut view) = (Roster::default(), RosterView::default());
        roster.notice(&came("a"));
        hear(&mut roster, &mut view, &Lens::All);
        for _ in 0..CHANGE_COUNT_MAX {
            roster.notice(&level("a", Level::High));
        }
        let heard = hear(&mut roster, &mut view, &Lens::All).unwrap();
        assert_eq!((&heard["full"], names(&heard)), (&json!(true), vec!["a"]));
        assert!(roster.changes.len() <= CHANGE_COUNT_MAX);
    }
}

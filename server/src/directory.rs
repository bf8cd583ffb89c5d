//! Which sensors are there, for whoever asks by name: kept current by the engine's own notices, so
//! that it is what is, and not what was announced.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::attribute::AttributeType;
use components::command::SensorCard;
use components::delivery::Notice;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::device::DeviceDesk;
use crate::pump::NoticeSink;
use crate::search::marks::{Marked, Marks};

#[derive(Debug)]
struct Known {
    card: Arc<SensorCard>,
    connector_name: Arc<str>,
    attributes: Vec<(Arc<str>, AttributeType)>,
    /// Another one after each change; no two are the same.
    version: u64,
}

/// By what a sensor is found.
pub(crate) struct SensorWords {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) connector: Arc<str>,
    pub(crate) attributes: Vec<Arc<str>>,
}

/// As many as the engine has sensors.
#[derive(Debug, Default)]
pub struct Directory {
    known: Mutex<HashMap<Arc<str>, Known>>,
    versions: AtomicU64,
    /// For search.
    changed: Mutex<Marks<Arc<str>>>,
    /// Rung when a sensor has come or changed, and when one has gone.
    pub(crate) came: Notify,
    pub(crate) gone: Notify,
}

impl Directory {
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// A sensor in the original's shape (`reference/wire.md` 2.1e). Nobody asks the engine for its
    /// last value here: whoever may see it watches the room.
    pub fn told(&self, sensor_id: &str) -> Value {
        let known = self.lock();
        let Some(Known { card, connector_name, attributes, .. }) = known.get(sensor_id) else {
            return json!({
                "sensor_id": sensor_id,
                "sensor_name": "Unknown",
                "sensor_type": "generic",
                "connector_id": null,
                "connector_name": "Unknown",
                "activity_status": "offline",
                "attributes": [],
            });
        };
        let attributes: Vec<Value> = attributes
            .iter()
            .map(|(id, kind)| {
                json!({
                    "id": **id,
                    "attribute_type": kind.name(),
                    "attribute_name": **id,
                    "last_value": null,
                })
            })
            .collect();
        json!({
            "sensor_id": sensor_id,
            "sensor_name": *card.sensor_name,
            "sensor_type": *card.sensor_type,
            "connector_id": *card.connector_id,
            "connector_name": **connector_name,
            "activity_status": "online",
            "attributes": attributes,
        })
    }

    /// The same, of one that is there.
    pub(crate) fn told_if_live(&self, sensor_id: &str) -> Option<Value> {
        let is_live = self.lock().contains_key(sensor_id);
        is_live.then(|| self.told(sensor_id))
    }

    /// What kind of attribute it is, if it is there.
    pub(crate) fn kind(&self, sensor_id: &str, attribute_id: &str) -> Option<AttributeType> {
        let known = self.lock();
        let mut attributes = known.get(sensor_id)?.attributes.iter();
        attributes.find(|(id, _)| **id == *attribute_id).map(|(_, kind)| *kind)
    }

    /// Which attributes a sensor has, and of what kinds.
    pub(crate) fn attributes(&self, sensor_id: &str) -> Vec<(Arc<str>, AttributeType)> {
        self.lock().get(sensor_id).map(|known| known.attributes.clone()).unwrap_or_default()
    }

    /// By what a sensor is found.
    pub(crate) fn words(&self, sensor_id: &str) -> Option<SensorWords> {
        let known = self.lock();
        let Known { card, connector_name, attributes, .. } = known.get(sensor_id)?;
        Some(SensorWords {
            name: Arc::clone(&card.sensor_name),
            kind: Arc::clone(&card.sensor_type),
            connector: Arc::clone(connector_name),
            attributes: attributes.iter().map(|(id, _)| Arc::clone(id)).collect(),
        })
    }

    /// At most so many of those that came, changed or went.
    pub(crate) fn take_changed(&self, count: usize) -> Marked<Arc<str>> {
        self.changed().take(count)
    }

    fn changed(&self) -> MutexGuard<'_, Marks<Arc<str>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which sensors are there, each with its version.
    pub(crate) fn versions(&self) -> BTreeMap<Arc<str>, u64> {
        self.lock().iter().map(|(id, known)| (Arc::clone(id), known.version)).collect()
    }

    fn hear(&self, notice: &Notice) {
        match notice {
            Notice::SensorCame { card } => {
                let known = Known {
                    card: Arc::clone(card),
                    connector_name: Arc::clone(&card.connector_name),
                    attributes: Vec::new(),
                    version: self.next_version(),
                };
                self.lock().insert(Arc::clone(&card.sensor_id), known);
                self.changed().mark(&card.sensor_id);
                self.came.notify_one();
            }
            Notice::AttributeCame { sensor_id, attribute_id, kind, .. } => {
                self.change(sensor_id, |known| {
                    known.attributes.retain(|(id, _)| id != attribute_id);
                    known.attributes.push((Arc::clone(attribute_id), *kind));
                });
            }
            Notice::AttributeGone { sensor_id, attribute_id } => {
                self.change(sensor_id, |known| {
                    known.attributes.retain(|(id, _)| id != attribute_id);
                });
            }
            Notice::ConnectorRenamed { sensor_id, connector_name } => {
                self.change(sensor_id, |known| {
                    known.connector_name = Arc::clone(connector_name);
                });
            }
            Notice::SensorGone { sensor_id } => {
                self.lock().remove(sensor_id);
                self.changed().mark(sensor_id);
                self.gone.notify_one();
            }
            _ => {}
        }
    }

    fn change(&self, sensor_id: &Arc<str>, change: impl FnOnce(&mut Known)) {
        let version = self.next_version();
        if let Some(known) = self.lock().get_mut(sensor_id) {
            change(known);
            known.version = version;
            self.changed().mark(sensor_id);
            self.came.notify_one();
        }
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever hears the engine's notices between two ticks.
#[derive(Debug)]
pub(crate) struct Hearers {
    pub(crate) devices: Arc<DeviceDesk>,
    pub(crate) directory: Arc<Directory>,
}

impl NoticeSink for Hearers {
    fn notice(&self, notice: &Notice) {
        self.devices.notice(notice);
        self.directory.hear(notice);
    }
}

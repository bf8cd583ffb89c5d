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

#[derive(Debug)]
struct Known {
    card: Arc<SensorCard>,
    connector_name: Arc<str>,
    attributes: Vec<(Arc<str>, AttributeType)>,
    /// Another one after each change; no two are the same.
    version: u64,
}

/// As many as the engine has sensors.
#[derive(Debug, Default)]
pub struct Directory {
    known: Mutex<HashMap<Arc<str>, Known>>,
    versions: AtomicU64,
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
                self.gone.notify_one();
            }
            _ => {}
        }
    }

    fn change(&self, sensor_id: &str, change: impl FnOnce(&mut Known)) {
        let version = self.next_version();
        if let Some(known) = self.lock().get_mut(sensor_id) {
            change(known);
            known.version = version;
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

//! Which sensors are there, for whoever asks by name: kept current by the engine's own notices, so
//! that it is what is, and not what was announced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::attribute::AttributeType;
use components::command::SensorCard;
use components::delivery::Notice;
use serde_json::{Value, json};

use crate::device::DeviceDesk;
use crate::pump::NoticeSink;

#[derive(Debug)]
struct Known {
    card: Arc<SensorCard>,
    connector_name: Arc<str>,
    attributes: Vec<(Arc<str>, AttributeType)>,
}

/// As many as the engine has sensors.
#[derive(Debug, Default)]
pub struct Directory(Mutex<HashMap<Arc<str>, Known>>);

impl Directory {
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// A sensor in the original's shape (`reference/wire.md` 2.1e). Nobody asks the engine for its
    /// last value here: whoever may see it watches the room.
    pub fn told(&self, sensor_id: &str) -> Value {
        let known = self.lock();
        let Some(Known { card, connector_name, attributes }) = known.get(sensor_id) else {
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

    fn hear(&self, notice: &Notice) {
        match notice {
            Notice::SensorCame { card } => {
                let known = Known {
                    card: Arc::clone(card),
                    connector_name: Arc::clone(&card.connector_name),
                    attributes: Vec::new(),
                };
                self.lock().insert(Arc::clone(&card.sensor_id), known);
            }
            Notice::AttributeCame { sensor_id, attribute_id, kind, .. } => {
                if let Some(known) = self.lock().get_mut(sensor_id) {
                    known.attributes.retain(|(id, _)| id != attribute_id);
                    known.attributes.push((Arc::clone(attribute_id), *kind));
                }
            }
            Notice::AttributeGone { sensor_id, attribute_id } => {
                if let Some(known) = self.lock().get_mut(sensor_id) {
                    known.attributes.retain(|(id, _)| id != attribute_id);
                }
            }
            Notice::ConnectorRenamed { sensor_id, connector_name } => {
                if let Some(known) = self.lock().get_mut(sensor_id) {
                    known.connector_name = Arc::clone(connector_name);
                }
            }
            Notice::SensorGone { sensor_id } => drop(self.lock().remove(sensor_id)),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

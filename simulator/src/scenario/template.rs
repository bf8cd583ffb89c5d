//! What a scenario's file says, checked, before anybody is drawn by it.

use std::sync::Arc;

use super::tree::Drawn;
use crate::signal::Model;

/// People or places that are alike.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// What draws are keyed by, and the schedule calls them.
    pub(super) id: String,
    /// Id and name of each.
    pub(super) members: Members,
    pub(super) count: usize,
    pub(super) are_people: bool,
    pub(super) room: Option<Arc<str>>,
    pub(super) devices: Vec<Arc<Device>>,
    /// Of people: [`crate::person::PARAMETERS`].
    pub(super) settings: Vec<Setting>,
    pub(super) breathe_with: Option<BreatheWith>,
    /// Latitude and longitude, degrees.
    pub(super) position: Option<(f64, f64)>,
    /// Metres around the position within which each is.
    pub(super) spread_m: f64,
    pub(super) connector_id: Option<Arc<str>>,
    pub(super) connector_name: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(super) enum Members {
    /// The group's id, or that with a number; likewise the name.
    Numbered {
        name: String,
    },
    Named {
        ids_from_names: bool,
        names: Vec<String>,
    },
}

impl Group {
    /// The id of the `n`-th, from 0.
    pub(super) fn member_id(&self, n: usize) -> String {
        match &self.members {
            Members::Named { ids_from_names: true, names } => id_of_name(&names[n]),
            _ if self.count == 1 => self.id.clone(),
            _ => format!("{}-{:0width$}", self.id, n + 1, width = self.digits()),
        }
    }

    pub(super) fn member_name(&self, n: usize) -> String {
        match &self.members {
            Members::Named { names, .. } => names[n].clone(),
            Members::Numbered { name } if self.count == 1 => name.clone(),
            Members::Numbered { name } => format!("{name} {}", n + 1),
        }
    }

    fn digits(&self) -> usize {
        (self.count.ilog10() as usize + 1).max(2)
    }
}

/// `Ada Lovelace` is `ada-lovelace`.
pub(super) fn id_of_name(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// With whom people breathe: the known truth for whoever measures synchrony.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BreatheWith {
    pub(super) group: String,
    pub(super) strength: Drawn,
    pub(super) lag_s: Drawn,
    /// Of the whole group; `None`: drawn by its name.
    pub(super) breaths_per_min: Option<f64>,
}

/// A value for a parameter of a model or a person.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: Chosen,
}

#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Number(Drawn),
    /// One of these, drawn.
    Words(Vec<&'static str>),
    Flag(bool),
}

/// One device: a sensor with its attributes.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) sensor_type: Arc<str>,
    /// With `{body}` where the id of whoever wears it goes.
    pub(super) sensor_id: String,
    pub(super) attributes: Vec<Attribute>,
}

/// Where a device's id has that of its wearer.
pub(super) const WEARER: &str = "{body}";

impl Device {
    pub(super) fn id_on(&self, body_id: &str) -> String {
        self.sensor_id.replace(WEARER, body_id)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) id: Arc<str>,
    pub(super) model: &'static Model,
    pub(super) rate_hz: f64,
    pub(super) settings: Vec<Setting>,
}

/// When each group is there: spans of ms since the start, from the first up to and without the
/// second, in order. A group that is not named is always there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schedule(pub(super) Vec<(usize, Vec<(i64, i64)>)>);

//! What the stage finds when it compares the sensors that should be there with those that are.

use std::sync::Arc;

use components::delivery::Refusal;
use components::sample::Timestamp;

/// Milliseconds between two checks.
pub const CHECK_EVERY_MS: i64 = 30_000;

/// Sensors named in a report; the counts are of all.
pub const NAMED_COUNT_MAX: usize = 20;

/// Milliseconds that an act has for its sensors to find feeds, before one without is missed.
pub const GRACE_MS: i64 = 10_000;

/// The last check, and what came of all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// `None`: not yet.
    pub checked_at: Option<Timestamp>,
    /// Made-up sensors that belonged to no act; they were told to go.
    pub orphan_count: usize,
    /// The first [`NAMED_COUNT_MAX`] of them.
    pub orphans: Vec<Arc<str>>,
    /// Sensors of running acts that were not there; they were asked for again.
    pub missing_count: usize,
    /// The first [`NAMED_COUNT_MAX`] of them.
    pub missing: Vec<Missing>,
    /// Sensors that were missing at any check and have come back.
    pub repaired: u64,
}

impl Health {
    /// Nothing was wrong at the last check.
    pub fn is_ok(&self) -> bool {
        self.orphan_count == 0 && self.missing_count == 0
    }

    pub(crate) fn orphan(&mut self, sensor_id: &Arc<str>) {
        self.orphan_count += 1;
        if self.orphans.len() < NAMED_COUNT_MAX {
            self.orphans.push(Arc::clone(sensor_id));
        }
    }

    pub(crate) fn miss(&mut self, act: &Arc<str>, sensor_id: &Arc<str>, why: Why) {
        self.missing_count += 1;
        if self.missing.len() < NAMED_COUNT_MAX {
            let (act, sensor_id) = (Arc::clone(act), Arc::clone(sensor_id));
            self.missing.push(Missing { sensor_id, act, why });
        }
    }
}

/// A sensor that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub sensor_id: Arc<str>,
    /// The id of the act it belongs to.
    pub act: Arc<str>,
    pub why: Why,
}

/// Why a sensor is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As many feeds are out as the server gives.
    NoFeed,
    /// The engine would not have it.
    Refused(Refusal),
    /// Its feed was closed, and not by its act.
    Closed,
    /// Its feed is open, and yet it went.
    Gone,
}

impl Why {
    /// A sentence for whoever looks after the server.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoFeed => "no feed is free: see feeds_max",
            Self::Refused(Refusal::NotOwner) => "a device of another account owns this sensor id",
            Self::Refused(Refusal::ReservedName) => "the name is reserved for the platform",
            Self::Refused(Refusal::TooManySensors) => {
                "the server holds as many sensors as it may: see sensors_max"
            }
            Self::Refused(Refusal::Fault) => "the engine panicked over it: see the log",
            Self::Closed => "its feed was closed from outside",
            Self::Gone => "the sensor was taken away",
        }
    }
}

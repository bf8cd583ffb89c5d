//! The made-up gatherings one can ask for by name: who is there, and what they wear.

use components::attribute::AttributeType;

use crate::chance::{hash, uniform};
use crate::person::{Coupling, PersonSpec};

/// What is measured of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    Ecg,
    Respiration,
    HeartRate,
    Hrv,
    SpO2,
    Temperature,
    Battery,
    Imu,
}

impl Modality {
    pub fn attribute_id(self) -> &'static str {
        self.kind().name()
    }

    pub fn kind(self) -> AttributeType {
        match self {
            Self::Ecg => AttributeType::Ecg,
            Self::Respiration => AttributeType::Respiration,
            Self::HeartRate => AttributeType::HeartRate,
            Self::Hrv => AttributeType::Hrv,
            Self::SpO2 => AttributeType::SpO2,
            Self::Temperature => AttributeType::Temperature,
            Self::Battery => AttributeType::Battery,
            Self::Imu => AttributeType::Imu,
        }
    }

    /// Milliseconds from sample to sample. Whole, so that every timestamp is exact.
    pub fn period_ms(self) -> i64 {
        match self {
            Self::Ecg => 4,
            Self::Respiration | Self::Imu => 40,
            Self::HeartRate | Self::SpO2 => 1000,
            Self::Hrv | Self::Temperature => 5000,
            Self::Battery => 20_000,
        }
    }

    pub fn rate_hz(self) -> f64 {
        1000.0 / self.period_ms() as f64
    }
}

/// One device on a person: a sensor with one or more attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// What follows the person in the sensor's id: `ada:ecg`.
    pub suffix: &'static str,
    pub sensor_type: &'static str,
    pub modalities: &'static [Modality],
}

const ECG: Device = Device { suffix: "ecg", sensor_type: "ecg", modalities: &[Modality::Ecg] };
const BELT: Device =
    Device { suffix: "belt", sensor_type: "respiration", modalities: &[Modality::Respiration] };
const WEARABLE: Device = Device {
    suffix: "wearable",
    sensor_type: "wearable",
    modalities: &[
        Modality::HeartRate,
        Modality::Hrv,
        Modality::SpO2,
        Modality::Temperature,
        Modality::Battery,
    ],
};
const IMU: Device = Device { suffix: "imu", sensor_type: "imu", modalities: &[Modality::Imu] };

/// One person of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Lower case; the beginning of the ids of their connector and sensors.
    pub id: String,
    pub name: String,
    pub spec: PersonSpec,
    pub seed: u64,
    pub devices: &'static [Device],
}

/// A gathering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    /// What it is for.
    pub sentence: &'static str,
    people: usize,
    devices: &'static [Device],
}

/// The scenario when none is named.
pub const DEFAULT: &str = "few";

/// Every built-in scenario.
pub const ALL: [Scenario; 4] = [
    Scenario {
        name: "few",
        sentence: "Eight people at rest; Ada and Ben breathe together, so do Chloe and Dmitri.",
        people: 8,
        devices: &[ECG, BELT, WEARABLE, IMU],
    },
    Scenario {
        name: "hundred",
        sentence: "A hundred people; every tenth breathes with a group of ten.",
        people: 100,
        devices: &[ECG, BELT, WEARABLE],
    },
    Scenario {
        name: "crowd",
        sentence: "Three hundred people, for the feel of a full hall.",
        people: 300,
        devices: &[ECG, BELT, WEARABLE],
    },
    Scenario { name: "none", sentence: "Nobody: only real devices.", people: 0, devices: &[] },
];

/// First names for those who have one of their own.
const NAMES: [&str; 8] = ["Ada", "Ben", "Chloe", "Dmitri", "Emeka", "Fatima", "Grace", "Hugo"];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|scenario| scenario.name == name)
    }

    pub fn sensor_count(&self) -> usize {
        self.people * self.devices.len()
    }

    pub fn samples_per_second(&self) -> f64 {
        let modalities = self.devices.iter().flat_map(|device| device.modalities);
        self.people as f64
            * modalities.map(|modality| modality.rate_hz()).fold(0.0, |sum, hz| sum + hz)
    }

    /// Who is there. The same for the same seed.
    pub fn members(&self, seed: u64) -> Vec<Member> {
        (0..self.people).map(|index| self.member(index, seed)).collect()
    }

    fn member(&self, index: usize, seed: u64) -> Member {
        let own_seed = hash(seed, index as u64);
        let mut spec = PersonSpec::drawn(own_seed);
        // The known truth for whoever measures synchrony: who shares a breath with whom.
        let group = match self.people {
            8 if index < 4 => Some(index / 2),
            8 => None,
            _ => (index.is_multiple_of(10)).then_some(index / 100),
        };
        if let Some(group) = group {
            let breath = hash(seed ^ 0xb5ea7, group as u64);
            spec.coupling = Some(Coupling {
                group_seed: breath,
                strength: 1.0,
                lag_s: 0.0,
                breaths_per_min: uniform(breath, 0, 6.0, 9.0),
            });
        }
        let (id, name) = if self.people <= NAMES.len() {
            (NAMES[index].to_lowercase(), NAMES[index].to_owned())
        } else {
            (format!("person-{:03}", index + 1), format!("Person {}", index + 1))
        };
        Member { id, name, spec, seed: own_seed, devices: self.devices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_by_name() {
        assert_eq!(Scenario::named("few").unwrap().sensor_count(), 32);
        assert_eq!(Scenario::named("hundred").unwrap().sensor_count(), 300);
        assert_eq!(Scenario::named("crowd").unwrap().members(1).len(), 300);
        assert_eq!(Scenario::named("none").unwrap().members(1), []);
        assert_eq!(Scenario::named("many"), None);
        assert!(Scenario::named(DEFAULT).is_some());
    }

    #[test]
    fn attribute_ids_resolve_to_their_own_type() {
        for modality in WEARABLE.modalities.iter().chain(ECG.modalities).chain(IMU.modalities) {
            let kind = AttributeType::resolve(None, modality.attribute_id(), None);
            assert_eq!(kind, modality.kind());
        }
    }

    #[test]
    fn the_same_seed_is_the_same_people() {
        let crowd = Scenario::named("crowd").unwrap();
        assert_eq!(crowd.members(5), crowd.members(5));
        assert_ne!(crowd.members(5), crowd.members(6));
    }
}

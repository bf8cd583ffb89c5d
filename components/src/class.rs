//! Classes of attributes: each has a queue and a share of its own, so that a flood of positions
//! does not hold up a heart (`reference/core.md` W22, the seed's 10.7).

use crate::attribute::AttributeType;

/// What a sample is to a person. Strongest first: under contention the weights decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(usize)]
pub enum Class {
    /// What a body does by itself: heart, breath, eyes, oxygen.
    Bio,
    /// How it moves, and what it does.
    Motion,
    /// Where it is.
    Location,
    /// What is around it; and whatever is not otherwise known.
    Environment,
    /// The device itself: battery, buttons, actuators.
    Device,
}

impl Class {
    pub const COUNT: usize = 5;
    pub const ALL: [Self; Self::COUNT] =
        [Self::Bio, Self::Motion, Self::Location, Self::Environment, Self::Device];

    /// The word on the wire and in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bio => "bio",
            Self::Motion => "motion",
            Self::Location => "location",
            Self::Environment => "environment",
            Self::Device => "device",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Share of what there is, relative to the others, when it is not enough for all: what cannot
    /// be measured again an hour later comes first.
    pub fn weight(self) -> f64 {
        match self {
            Self::Bio => 8.0,
            Self::Motion => 4.0,
            Self::Location | Self::Environment | Self::Device => 2.0,
        }
    }
}

/// Samples a second that a door takes of one class of one sensor, unless an operator says
/// otherwise; by [`Class`]. Bodies and movements are sampled at up to 1,000 Hz in several channels,
/// an unknown type may be an EEG. No receiver gives positions at more than 20 Hz; whatever
/// a device says of itself comes by hand or by the minute.
pub const SENSOR_SAMPLES_PER_SECOND: [f64; Class::COUNT] =
    [10_000.0, 10_000.0, 100.0, 10_000.0, 1_000.0];

impl AttributeType {
    /// Which class an attribute of this type belongs to.
    pub fn class(self) -> Class {
        match self {
            Self::Ecg
            | Self::Hrv
            | Self::Hr
            | Self::HeartRate
            | Self::SpO2
            | Self::Respiration
            | Self::EyeGaze
            | Self::EyeBlink
            | Self::EyeWorn
            | Self::EyeAperture => Class::Bio,
            Self::Imu
            | Self::Accelerometer
            | Self::Gyroscope
            | Self::Magnetometer
            | Self::Quaternion
            | Self::Euler
            | Self::Heading
            | Self::Gravity
            | Self::Tap
            | Self::Orientation
            | Self::Skeleton
            | Self::Steps
            | Self::Calories
            | Self::Distance => Class::Motion,
            Self::Geolocation | Self::Altitude | Self::Speed => Class::Location,
            Self::Temperature
            | Self::Humidity
            | Self::Pressure
            | Self::Light
            | Self::Proximity
            | Self::Gas
            | Self::AirQuality
            | Self::Color
            | Self::Numeric => Class::Environment,
            Self::Battery
            | Self::Button
            | Self::Led
            | Self::Speaker
            | Self::Microphone
            | Self::BodyLocation
            | Self::RichPresence
            | Self::Vibrate
            | Self::Rotate
            | Self::Linear
            | Self::Status => Class::Device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heart_is_not_in_the_class_of_a_position() {
        for (kind, class) in [
            (AttributeType::Ecg, Class::Bio),
            (AttributeType::Respiration, Class::Bio),
            (AttributeType::EyeGaze, Class::Bio),
            (AttributeType::Skeleton, Class::Motion),
            (AttributeType::Steps, Class::Motion),
            (AttributeType::Geolocation, Class::Location),
            (AttributeType::Temperature, Class::Environment),
            (AttributeType::Numeric, Class::Environment),
            (AttributeType::Button, Class::Device),
            (AttributeType::Vibrate, Class::Device),
        ] {
            assert_eq!(kind.class(), class, "{}", kind.name());
        }
        for class in Class::ALL {
            assert_eq!(Class::from_name(class.name()), Some(class));
        }
    }
}

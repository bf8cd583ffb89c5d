//! What kind of thing an attribute measures: one resolved type, fixed at registration, an integer
//! thereafter (`reference/core.md` 4.4, 4.5, 6.2, W20).

use crate::load::LoadLevel;

macro_rules! attribute_types {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// The resolved type of an attribute. Names as on the wire.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(u8)]
        pub enum AttributeType {
            $($variant,)*
            /// Anything not otherwise known.
            #[default]
            Numeric,
        }

        impl AttributeType {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* Self::Numeric];

            /// The word on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Numeric => "numeric",
                }
            }

            /// The type of exactly this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    "numeric" => Some(Self::Numeric),
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    Ecg "ecg", Hrv "hrv", Hr "hr", HeartRate "heartrate", SpO2 "spo2", Respiration "respiration",
    Imu "imu", Accelerometer "accelerometer", Gyroscope "gyroscope", Magnetometer "magnetometer",
    Quaternion "quaternion", Euler "euler", Heading "heading", Gravity "gravity", Tap "tap",
    Orientation "orientation", Skeleton "skeleton",
    Geolocation "geolocation", Altitude "altitude", Speed "speed",
    Temperature "temperature", Humidity "humidity", Pressure "pressure", Light "light",
    Proximity "proximity", Gas "gas", AirQuality "air_quality", Color "color",
    Battery "battery", Button "button", Led "led", Speaker "speaker", Microphone "microphone",
    BodyLocation "body_location", RichPresence "rich_presence",
    Steps "steps", Calories "calories", Distance "distance",
    Vibrate "vibrate", Rotate "rotate", Linear "linear", Status "status",
    EyeGaze "eye_gaze", EyeBlink "eye_blink", EyeWorn "eye_worn", EyeAperture "eye_aperture",
}

/// How many samples an attribute keeps: `hot` at hand, `warm` behind it. Hot may run to twice its
/// limit before the older part moves to warm, so that a write costs constant time on average.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub hot: u32,
    pub warm: u32,
}

impl AttributeType {
    /// What an undeclared attribute is, by its id, then by its payload; first match wins
    /// (`reference/core.md` 4.5). `payload` is JSON text.
    pub fn infer(attribute_id: &str, payload: Option<&str>) -> Self {
        match attribute_id {
            "battery" | "battery_level" => return Self::Battery,
            "geolocation" | "location" | "gps" => return Self::Geolocation,
            "button" | "buttons" => return Self::Button,
            "ecg" | "heart" | "heartbeat" => return Self::Ecg,
            "heartrate" | "heart_rate" | "hr" | "bpm" => return Self::HeartRate,
            "imu" | "accelerometer" | "gyroscope" | "motion" => return Self::Imu,
            "respiration" | "breathing" | "breath" => return Self::Respiration,
            "hrv" | "heart_rate_variability" => return Self::Hrv,
            "eye_gaze" | "gaze" => return Self::EyeGaze,
            "temperature" | "temp" => return Self::Temperature,
            "humidity" => return Self::Humidity,
            "pressure" | "barometer" => return Self::Pressure,
            "rich_presence" | "media" | "now_playing" => return Self::RichPresence,
            "skeleton" | "pose_skeleton" | "pose" | "body_pose" => return Self::Skeleton,
            _ => {}
        }
        if let Some(serde_json::Value::Object(map)) = payload
            .filter(|text| text.starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok())
        {
            if map.contains_key("level") && map.contains_key("charging") {
                return Self::Battery;
            }
            if map.contains_key("latitude") {
                return Self::Geolocation;
            }
            if map.contains_key("artist") {
                return Self::RichPresence;
            }
            if map.contains_key("landmarks") {
                return Self::Skeleton;
            }
        }
        Self::Numeric
    }

    /// What a declared type resolves to: a name of the table, or what the id suggests.
    pub fn resolve(declared: Option<&str>, attribute_id: &str, payload: Option<&str>) -> Self {
        declared
            .and_then(Self::from_name)
            .or_else(|| {
                Self::from_name(attribute_id).filter(|_| declared.is_none() && payload.is_none())
            })
            .unwrap_or_else(|| Self::infer(attribute_id, payload))
    }

    /// Every sample matters, and is sent as a list; of other types the latest is enough
    /// (`reference/wire.md` 2.1g).
    pub fn every_sample_matters(self) -> bool {
        matches!(self, Self::Ecg | Self::Respiration | Self::Button)
    }

    /// Limits under no load (the seed's layer 3).
    pub fn base_limits(self) -> Limits {
        match self {
            Self::Skeleton => Limits { hot: 1, warm: 0 },
            Self::Ecg | Self::Hrv => Limits { hot: 150, warm: 500 },
            _ => Limits { hot: 50, warm: 100 },
        }
    }

    /// Limits under `load` (`reference/core.md` 6.1): hot never below 10, or 1 for a pose.
    pub fn limits(self, load: LoadLevel) -> Limits {
        let base = self.base_limits();
        if self == Self::Skeleton {
            return base;
        }
        Limits {
            hot: ((f64::from(base.hot) * load.hot_multiplier()).round() as u32).max(10),
            warm: (f64::from(base.warm) * load.warm_multiplier()).round() as u32,
        }
    }
}

/// Whether `id` may name an attribute: 1 to 64 of letters, digits, `_`, `-`, the first a letter
/// or digit (`reference/core.md` 1.1).
pub fn is_attribute_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    (1..=crate::limits::ATTRIBUTE_ID_BYTES_MAX).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_seeds() {
        let normal = |kind: AttributeType| kind.limits(LoadLevel::Normal);
        assert_eq!(normal(AttributeType::Skeleton), Limits { hot: 1, warm: 0 });
        assert_eq!(normal(AttributeType::Ecg), Limits { hot: 150, warm: 500 });
        assert_eq!(normal(AttributeType::Hrv), Limits { hot: 150, warm: 500 });
        assert_eq!(normal(AttributeType::Temperature), Limits { hot: 50, warm: 100 });
        let critical = |kind: AttributeType| kind.limits(LoadLevel::Critical);
        assert_eq!(critical(AttributeType::Ecg), Limits { hot: 30, warm: 25 });
        assert_eq!(critical(AttributeType::Temperature), Limits { hot: 10, warm: 5 });
        assert_eq!(critical(AttributeType::Skeleton), Limits { hot: 1, warm: 0 });
        assert_eq!(AttributeType::Ecg.limits(LoadLevel::Elevated), Limits { hot: 120, warm: 250 });
        assert_eq!(AttributeType::Ecg.limits(LoadLevel::High), Limits { hot: 60, warm: 100 });
    }

    #[test]
    fn an_undeclared_attribute_takes_its_type_from_its_id_then_its_payload() {
        for (id, payload, expected) in [
            ("gps", None, AttributeType::Geolocation),
            ("bpm", None, AttributeType::HeartRate),
            ("motion", None, AttributeType::Imu),
            ("breath", None, AttributeType::Respiration),
            ("x", Some(r#"{"level":1,"charging":"no"}"#), AttributeType::Battery),
            ("x", Some(r#"{"latitude":1,"longitude":2}"#), AttributeType::Geolocation),
            ("x", Some(r#"{"artist":"a"}"#), AttributeType::RichPresence),
            ("x", Some(r#"{"landmarks":[]}"#), AttributeType::Skeleton),
            ("x", Some("3"), AttributeType::Numeric),
            ("temperature_2", None, AttributeType::Numeric),
        ] {
            assert_eq!(AttributeType::infer(id, payload), expected, "{id} {payload:?}");
        }
    }

    #[test]
    fn a_declared_type_wins_over_the_id_and_an_unknown_one_does_not() {
        assert_eq!(
            AttributeType::resolve(Some("temperature"), "celsius", None),
            AttributeType::Temperature
        );
        assert_eq!(AttributeType::resolve(Some("spo2"), "ecg", None), AttributeType::SpO2);
        assert_eq!(AttributeType::resolve(Some("nonsense"), "ecg", None), AttributeType::Ecg);
        assert_eq!(AttributeType::resolve(None, "spo2", None), AttributeType::SpO2);
    }

    #[test]
    fn attribute_ids_follow_the_rule() {
        for id in ["a", "0000180d-0000-1000-8000-00805f9b34fb", &"x".repeat(64), "9"] {
            assert!(is_attribute_id(id), "{id}");
        }
        for id in ["", &"x".repeat(65), "-a", "_a", "a b", "ä", "a.b"] {
            assert!(!is_attribute_id(id), "{id}");
        }
    }
}

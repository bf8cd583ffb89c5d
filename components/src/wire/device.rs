//! What devices say inside their frames: joins, measurements, updates; and the pacing they hear
//! (`reference/wire.md` 2.1a, 2.1b).
//!
//! The hot path, `measurement` and `measurements_batch`, builds no tree: members are slices of
//! the frame, and a number goes straight to its cell.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::phoenix::Str;
use super::push;
use crate::attribute::{AttributeType, is_attribute_id};
use crate::budget::Pacing;
use crate::cell::Cell;
use crate::class::Class;
use crate::command::SensorCard;
use crate::id::FeedId;
use crate::limits;
use crate::sample::{Payload, SampleBatch, Timestamp};
use crate::shape::{self, Shape};

/// Bytes of a connector's new name in `update_connector` (`reference/wire.md` 2.1b).
pub const CONNECTOR_NAME_BYTES_MAX: usize = 100;

/// Why a join is not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinError {
    /// A key is missing or of the wrong kind, or the id is not the topic's. The original's
    /// channel process crashes.
    Crashed,
    /// A name beyond [`limits::NAME_BYTES_MAX`].
    NameTooLong,
    /// More than [`limits::SENSOR_ATTRIBUTE_COUNT_MAX`] attributes.
    TooManyAttributes,
}

impl JoinError {
    /// The reason on the wire.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Crashed => "join crashed",
            Self::NameTooLong => "name_too_long",
            Self::TooManyAttributes => "too_many_attributes",
        }
    }
}

/// What a connector says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct ConnectorJoin {
    pub connector_type: String,
}

/// A join of a sensor's topic.
#[derive(Debug)]
pub enum SensorJoin<'a> {
    /// By the device that measures it.
    Device {
        card: SensorCard,
        attributes: Vec<AttributeCard<'a>>,
        token: Token<'a>,
        /// Where it is to measure, if it said so.
        room_id: Option<Cow<'a, str>>,
    },
    /// By one who only listens (`reference/wire.md` H6).
    Receiver { token: Token<'a> },
}

/// A `bearer_token` that is there. `None`: null, or not a string.
pub type Token<'a> = Option<Cow<'a, str>>;

/// What is said of an attribute before its first sample.
#[derive(Debug, PartialEq)]
pub struct AttributeCard<'a> {
    pub attribute_id: Cow<'a, str>,
    /// As declared; [`AttributeType::resolve`] has the last word.
    pub attribute_type: Option<Cow<'a, str>>,
    pub rate_hz: Option<f64>,
}

/// Tells an absent key from one that is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct JoinParams<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    connector_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    connector_name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    connector_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    features: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sensor_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sensor_name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sensor_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    attributes: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sampling_rate: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    batch_size: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    bearer_token: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    room_id: Option<&'a RawValue>,
}

impl<'a> JoinParams<'a> {
    fn read(params: &'a RawValue) -> Result<Self, JoinError> {
        if !params.get().starts_with('{') {
            return Err(JoinError::Crashed);
        }
        serde_json::from_str(params.get()).map_err(|_| JoinError::Crashed)
    }
}

/// The string in `raw`, if it is one.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<Str<'_>>(text).ok().map(|text| text.0)
}

/// The finite number in `raw`, if it is one.
fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    (text.starts_with('-') || text.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| text.parse::<f64>().ok())
        .flatten()
        .filter(|number| number.is_finite())
}

fn name(raw: Option<&RawValue>) -> Result<Cow<'_, str>, JoinError> {
    let name = raw.and_then(string).ok_or(JoinError::Crashed)?;
    if name.len() > limits::NAME_BYTES_MAX { Err(JoinError::NameTooLong) } else { Ok(name) }
}

/// Reads the join of `sensocto:connector:<connector_id>`: five keys, none optional. Its token is
/// not looked at, as in the original.
pub fn connector_join(connector_id: &str, params: &RawValue) -> Result<ConnectorJoin, JoinError> {
    let params = JoinParams::read(params)?;
    let id = name(params.connector_id)?;
    name(params.connector_name)?;
    let connector_type = name(params.connector_type)?;
    if id != connector_id || params.features.is_none() || params.bearer_token.is_none() {
        return Err(JoinError::Crashed);
    }
    Ok(ConnectorJoin { connector_type: connector_type.into_owned() })
}

/// Reads the join of `sensocto:sensor:<sensor_id>`: nine keys, none optional; fewer for a
/// receiver.
pub fn sensor_join<'a>(sensor_id: &str, params: &'a RawValue) -> Result<SensorJoin<'a>, JoinError> {
    let params = JoinParams::read(params)?;
    let sensor_type = name(params.sensor_type)?;
    let id = name(params.sensor_id)?;
    if id != sensor_id || id.is_empty() {
        return Err(JoinError::Crashed);
    }
    let token = params.bearer_token.map(string).ok_or(JoinError::Crashed)?;
    if sensor_type == "receiver" {
        return Ok(SensorJoin::Receiver { token });
    }
    let rate = params.sampling_rate.ok_or(JoinError::Crashed)?;
    params.batch_size.ok_or(JoinError::Crashed)?;
    let card = SensorCard {
        sensor_id: id.as_ref().into(),
        sensor_name: name(params.sensor_name)?.as_ref().into(),
        sensor_type: sensor_type.as_ref().into(),
        connector_id: name(params.connector_id)?.as_ref().into(),
        connector_name: name(params.connector_name)?.as_ref().into(),
        sampling_rate: number(rate).filter(|rate| *rate > 0.0).unwrap_or(0.0),
    };
    let attributes = attributes(params.attributes.ok_or(JoinError::Crashed)?)?;
    let room_id = params.room_id.and_then(string).filter(|id| !id.is_empty());
    Ok(SensorJoin::Device { card, attributes, token, room_id })
}

#[derive(Deserialize, Default)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    attribute_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    attribute_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sampling_rate: Option<&'a RawValue>,
}

impl<'a> Metadata<'a> {
    fn read(raw: &'a RawValue) -> Self {
        if !raw.get().starts_with('{') {
            return Self::default();
        }
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    fn card(&self, attribute_id: Cow<'a, str>) -> AttributeCard<'a> {
        AttributeCard {
            attribute_id,
            attribute_type: self.attribute_type.and_then(string),
            rate_hz: self.sampling_rate.and_then(number).filter(|rate| *rate > 0.0),
        }
    }
}

/// The four shapes of `attributes` (`reference/wire.md` 2.1b): a list of ids, an empty map, a map
/// of id to metadata, a list of metadata. What names no attribute is left out, as the original
/// takes it without looking.
fn attributes(raw: &RawValue) -> Result<Vec<AttributeCard<'_>>, JoinError> {
    let mut cards = Vec::new();
    match raw.get().as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(raw.get()).map_err(|_| JoinError::Crashed)?;
            for item in items {
                let card = match string(item) {
                    Some(id) => Metadata::default().card(id),
                    None => {
                        let metadata = Metadata::read(item);
                        let Some(id) = metadata.attribute_id.and_then(string) else { continue };
                        metadata.card(id)
                    }
                };
                cards.extend(card.valid());
            }
        }
        Some(b'{') => {
            struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);
            impl<'de> Deserialize<'de> for Entries<'de> {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct EntriesVisitor;
                    impl<'de> Visitor<'de> for EntriesVisitor {
                        type Value = Entries<'de>;
                        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                            f.write_str("a map of attributes")
                        }
                        fn visit_map<A: MapAccess<'de>>(
                            self,
                            mut map: A,
                        ) -> Result<Entries<'de>, A::Error> {
                            let mut entries = Vec::new();
                            while let Some((key, value)) =
                                map.next_entry::<Str<'de>, &RawValue>()?
                            {
                                entries.push((key.0, value));
                            }
                            Ok(Entries(entries))
                        }
                    }
                    deserializer.deserialize_map(EntriesVisitor)
                }
            }
            let entries: Entries<'_> =
                serde_json::from_str(raw.get()).map_err(|_| JoinError::Crashed)?;
            for (id, metadata) in entries.0 {
                cards.extend(Metadata::read(metadata).card(id).valid());
            }
        }
        _ => return Err(JoinError::Crashed),
    }
    if cards.len() > limits::SENSOR_ATTRIBUTE_COUNT_MAX {
        return Err(JoinError::TooManyAttributes);
    }
    Ok(cards)
}

impl AttributeCard<'_> {
    fn valid(self) -> Option<Self> {
        is_attribute_id(&self.attribute_id).then_some(self)
    }

    /// The type, when what is declared or the id alone can say; `None`: wait for the first
    /// sample.
    pub fn kind(&self) -> Option<AttributeType> {
        let kind = AttributeType::resolve(self.attribute_type.as_deref(), &self.attribute_id, None);
        (kind != AttributeType::Numeric || self.attribute_type.is_some()).then_some(kind)
    }
}

/// What an `update_attributes` asks for.
#[derive(Debug, PartialEq)]
pub enum AttributeUpdate<'a> {
    Register(AttributeCard<'a>),
    Unregister(Cow<'a, str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateError {
    /// A key is missing: no one answers.
    Ignored,
    InvalidAction,
    InvalidAttributeId,
}

/// Reads an `update_attributes`. The action is checked first.
pub fn attribute_update(payload: &RawValue) -> Result<AttributeUpdate<'_>, UpdateError> {
    #[derive(Deserialize)]
    struct Update<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        action: Option<&'a RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        attribute_id: Option<&'a RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        metadata: Option<&'a RawValue>,
    }
    if !payload.get().starts_with('{') {
        return Err(UpdateError::Ignored);
    }
    let update: Update<'_> =
        serde_json::from_str(payload.get()).map_err(|_| UpdateError::Ignored)?;
    let (Some(action), Some(id), Some(metadata)) =
        (update.action, update.attribute_id, update.metadata)
    else {
        return Err(UpdateError::Ignored);
    };
    let action = string(action).ok_or(UpdateError::InvalidAction)?;
    if action != "register" && action != "unregister" {
        return Err(UpdateError::InvalidAction);
    }
    let id = string(id).filter(|id| is_attribute_id(id)).ok_or(UpdateError::InvalidAttributeId)?;
    Ok(match &*action {
        "register" => AttributeUpdate::Register(Metadata::read(metadata).card(id)),
        _ => AttributeUpdate::Unregister(id),
    })
}

/// Reads an `update_connector`: the new name, 1 to 100 bytes. `None`: not a name.
pub fn connector_update(payload: &RawValue) -> Option<Cow<'_, str>> {
    if !payload.get().starts_with('{') {
        return None;
    }
    let params: JoinParams<'_> = serde_json::from_str(payload.get()).ok()?;
    params
        .connector_name
        .and_then(string)
        .filter(|name| (1..=CONNECTOR_NAME_BYTES_MAX).contains(&name.len()))
}

/// One measurement, checked, borrowed from its frame.
#[derive(Debug)]
pub struct Measurement<'a> {
    pub attribute_id: Cow<'a, str>,
    pub timestamp: Timestamp,
    payload: Cow<'a, str>,
    /// Further members as `,"key":value` text, ready to be put behind a payload.
    extra: String,
}

/// Why a measurement is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeasurementError {
    /// Not an object. Alone it is ignored; in a batch the original's channel crashes on it.
    NotAnObject,
    /// A key is missing: ignored without a word, but counted.
    Incomplete,
    InvalidAttributeId,
    /// Not a finite JSON number.
    InvalidTimestamp,
    /// A number JSON can spell and no machine can hold, as `1e400`; or nested beyond
    /// [`limits::PAYLOAD_DEPTH_MAX`].
    InvalidPayload,
    /// Beyond [`limits::PAYLOAD_BYTES_MAX`].
    PayloadTooLarge,
}

impl MeasurementError {
    /// The reason on the wire; `None` when the original says nothing.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::NotAnObject | Self::Incomplete => None,
            Self::InvalidAttributeId => Some("invalid_attribute_id"),
            Self::InvalidTimestamp => Some("invalid_timestamp"),
            Self::InvalidPayload => Some("invalid_payload"),
            Self::PayloadTooLarge => Some("payload_too_large"),
        }
    }
}

/// The members of a measurement as they come.
struct Members<'a> {
    attribute_id: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    extra: String,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a measurement")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members {
                    attribute_id: None,
                    payload: None,
                    timestamp: None,
                    extra: String::new(),
                };
                while let Some(key) = map.next_key::<Str<'de>>()? {
                    let value: &'de RawValue = map.next_value()?;
                    match &*key.0 {
                        "attribute_id" => members.attribute_id = Some(value),
                        "payload" => members.payload = Some(value),
                        "timestamp" => members.timestamp = Some(value),
                        // Ours to say: a device must not speak in another's name.
                        "sensor_id" => {}
                        key => {
                            let mut quoted = Vec::with_capacity(key.len() + 2);
                            push::write_string(key, &mut quoted);
                            members.extra.push(',');
                            members.extra.push_str(&String::from_utf8_lossy(&quoted));
                            members.extra.push(':');
                            members.extra.push_str(value.get());
                        }
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl<'a> Members<'a> {
    fn check(self) -> Result<Measurement<'a>, MeasurementError> {
        let (Some(attribute_id), Some(payload), Some(timestamp)) =
            (self.attribute_id, self.payload, self.timestamp)
        else {
            return Err(MeasurementError::Incomplete);
        };
        let attribute_id = string(attribute_id)
            .filter(|id| is_attribute_id(id))
            .ok_or(MeasurementError::InvalidAttributeId)?;
        let timestamp = read_timestamp(timestamp).ok_or(MeasurementError::InvalidTimestamp)?;
        let payload = payload.get();
        if payload.len() + self.extra.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(MeasurementError::PayloadTooLarge);
        }
        // Further members go to the viewers as they are, and a viewer reads all or nothing.
        if [payload, &self.extra].into_iter().any(|json| has_infinite_number(json) || is_deep(json))
        {
            return Err(MeasurementError::InvalidPayload);
        }
        Ok(Measurement {
            attribute_id,
            timestamp,
            payload: Cow::Borrowed(payload),
            extra: self.extra,
        })
    }
}

/// Any finite JSON number, rounded to milliseconds. Beyond the range of `i64` it stays at its end.
fn read_timestamp(raw: &RawValue) -> Option<Timestamp> {
    if let Ok(ms) = raw.get().parse::<i64>() {
        return Some(Timestamp(ms));
    }
    number(raw).map(|ms| Timestamp(ms.round() as i64))
}

/// Whether a number in this JSON is too large for an `f64`. Only an exponent or hundreds of
/// digits can make one so.
fn has_infinite_number(payload: &str) -> bool {
    let bytes = payload.as_bytes();
    if bytes.len() < 300 && !bytes.iter().any(|b| matches!(b, b'e' | b'E')) {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while at < bytes.len()
                    && matches!(bytes[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                {
                    at += 1;
                }
                let token = &payload[start..at];
                let suspicious =
                    token.len() > 300 || token.bytes().any(|b| matches!(b, b'e' | b'E'));
                if suspicious && !token.parse::<f64>().is_ok_and(f64::is_finite) {
                    return true;
                }
            }
            _ => at += 1,
        }
    }
    false
}

/// Whether this JSON is nested so deeply that a reader may run out of stack.
fn is_deep(json: &str) -> bool {
    if json.len() <= 2 * limits::PAYLOAD_DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > limits::PAYLOAD_DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Reads the payload of a `measurement`.
pub fn measurement(payload: &RawValue) -> Result<Measurement<'_>, MeasurementError> {
    if !payload.get().starts_with('{') {
        return Err(MeasurementError::NotAnObject);
    }
    let members: Members<'_> =
        serde_json::from_str(payload.get()).map_err(|_| MeasurementError::NotAnObject)?;
    let mut measurement = members.check()?;
    if measurement.attribute_id == "imu"
        && let Some(rewritten) = rewrite_imu(&measurement.payload)
    {
        measurement.payload = Cow::Owned(rewritten);
    }
    Ok(measurement)
}

/// `"t,ax,ay,az,rx,ry,rz,..."` to `{"accelerometer":{x,y,z},"gyroscope":{x,y,z}}`. What is no
/// number becomes 0.0 (`reference/core.md` 4.2). `None`: not such a string.
fn rewrite_imu(payload: &str) -> Option<String> {
    let csv = payload.strip_prefix('"')?.strip_suffix('"')?;
    let mut values = [0.0f64; 6];
    let mut count = 0;
    for (field, value) in csv.split(',').skip(1).zip(&mut values) {
        *value = field.trim().parse().ok().filter(|value: &f64| value.is_finite()).unwrap_or(0.0);
        count += 1;
    }
    if count < values.len() {
        return None;
    }
    let [ax, ay, az, rx, ry, rz] = values;
    Some(format!(
        r#"{{"accelerometer":{{"x":{ax:?},"y":{ay:?},"z":{az:?}}},"gyroscope":{{"x":{rx:?},"y":{ry:?},"z":{rz:?}}}}}"#
    ))
}

/// Why a batch is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// Ignored without a word.
    NotAnArray,
    /// An item is not an object: the original's channel crashes.
    Crashed,
    /// Beyond [`limits::BATCH_SAMPLE_COUNT_MAX`].
    TooLarge,
    /// So many items are not measurements; none is taken.
    Invalid { failed: usize },
}

/// Reads the payload of a `measurements_batch` into `out`: all of it or nothing.
pub fn measurements_batch<'a>(
    payload: &'a RawValue,
    out: &mut Vec<Measurement<'a>>,
) -> Result<(), BatchError> {
    struct Items<'o, 'a> {
        out: &'o mut Vec<Measurement<'a>>,
        seen: usize,
        failed: usize,
    }
    impl<'de> Visitor<'de> for &mut Items<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("measurements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(members) = seq.next_element::<Members<'de>>()? {
                self.seen += 1;
                match members.check() {
                    Ok(_) if self.seen > limits::BATCH_SAMPLE_COUNT_MAX => {}
                    Ok(measurement) => self.out.push(measurement),
                    Err(_) => self.failed += 1,
                }
            }
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for &mut Items<'_, 'de> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_seq(self)
        }
    }

    out.clear();
    if !payload.get().starts_with('[') {
        return Err(BatchError::NotAnArray);
    }
    let mut items = Items { out, seen: 0, failed: 0 };
    let read = items.deserialize(&mut serde_json::Deserializer::from_str(payload.get()));
    let (seen, failed) = (items.seen, items.failed);
    let outcome = match read {
        Err(_) => Err(BatchError::Crashed),
        Ok(()) if seen > limits::BATCH_SAMPLE_COUNT_MAX => Err(BatchError::TooLarge),
        Ok(()) if failed > 0 => Err(BatchError::Invalid { failed }),
        Ok(()) => Ok(()),
    };
    if outcome.is_err() {
        out.clear();
    }
    outcome
}

/// How many samples a `measurements_batch` has, by how often it says `"payload"`: right for what
/// devices send, and a guess for anything else. For what is dropped unread.
pub fn batch_count(payload: &str) -> usize {
    memchr::memmem::find_iter(payload.as_bytes(), "\"payload\"").count()
}

/// The attributes of one feed as its door knows them: id to index, and the last shape of each, so
/// that a sample of the usual shape allocates nothing.
#[derive(Debug, Default)]
pub struct Attributes {
    known: Vec<Known>,
    next_index: u16,
    skeleton: Vec<u8>,
    cells: Vec<u64>,
}

#[derive(Debug)]
struct Known {
    attribute_id: Box<str>,
    index: u16,
    shape: Option<Arc<Shape>>,
    /// The engine would not have it.
    refused: bool,
    /// The rate given before the type was known.
    rate_hz: Option<f64>,
    /// Of the type that the engine was told; `None` before.
    class: Option<Class>,
}

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    Declared {
        index: u16,
        class: Class,
    },
    /// Known by name; its type waits for the first sample.
    Undeclared {
        index: u16,
        rate_hz: Option<f64>,
    },
    /// One too many, here or at the engine.
    Refused,
}

impl Attributes {
    /// Where `attribute_id` stands; a new one is given an index.
    pub fn standing(&mut self, attribute_id: &str) -> Standing {
        match self.find(attribute_id) {
            Some(known) if known.refused => Standing::Refused,
            Some(Known { index, class: Some(class), .. }) => {
                Standing::Declared { index: *index, class: *class }
            }
            Some(known) => Standing::Undeclared { index: known.index, rate_hz: known.rate_hz },
            None if self.known.len() >= limits::SENSOR_ATTRIBUTE_COUNT_MAX
                || self.next_index == u16::MAX =>
            {
                Standing::Refused
            }
            None => {
                let index = self.next_index;
                self.next_index += 1;
                self.known.push(Known {
                    attribute_id: attribute_id.into(),
                    index,
                    shape: None,
                    refused: false,
                    rate_hz: None,
                    class: None,
                });
                Standing::Undeclared { index, rate_hz: None }
            }
        }
    }

    fn find(&self, attribute_id: &str) -> Option<&Known> {
        self.known.iter().find(|known| *known.attribute_id == *attribute_id)
    }

    fn find_mut(&mut self, attribute_id: &str) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| *known.attribute_id == *attribute_id)
    }

    /// The engine has been told of it, and of what type it is.
    pub fn set_declared(&mut self, attribute_id: &str, kind: AttributeType) {
        if let Some(known) = self.find_mut(attribute_id) {
            known.class = Some(kind.class());
        }
    }

    /// The class that a measurement belongs to: that of the declared type, or of the one that its
    /// declaration would have.
    pub fn class_of(&self, measurement: &Measurement<'_>) -> Class {
        let known = self.find(&measurement.attribute_id).and_then(|known| known.class);
        known.unwrap_or_else(|| measurement.kind().class())
    }

    /// The class of all its attributes, if all are declared and of one.
    pub fn only_class(&self) -> Option<Class> {
        let mut classes = self.known.iter().filter(|known| !known.refused).map(|it| it.class);
        let first = classes.next()??;
        classes.all(|class| class == Some(first)).then_some(first)
    }

    pub fn set_rate(&mut self, attribute_id: &str, rate_hz: Option<f64>) {
        if let Some(known) = self.find_mut(attribute_id) {
            known.rate_hz = rate_hz;
        }
    }

    /// The engine would not have it.
    pub fn refuse(&mut self, attribute_id: &str) {
        if let Some(known) = self.find_mut(attribute_id) {
            known.refused = true;
        }
    }

    /// Whether it was known.
    pub fn forget(&mut self, attribute_id: &str) -> bool {
        let count = self.known.len();
        self.known.retain(|known| *known.attribute_id != *attribute_id);
        self.known.len() < count
    }

    /// Adds a measurement to `batch` as the feed's `index`-th attribute.
    pub fn push(
        &mut self,
        batch: &mut SampleBatch,
        feed: FeedId,
        index: u16,
        measurement: &Measurement<'_>,
    ) {
        let (payload, extra) = (&*measurement.payload, &*measurement.extra);
        let at = measurement.timestamp;
        if !extra.is_empty() {
            return batch.push(feed, index, at, Payload::Text { payload, extra });
        }
        let structured = payload.starts_with(['{', '[']);
        if !structured && let Some(cell) = Cell::parse(payload) {
            return batch.push(feed, index, at, Payload::Scalar(cell));
        }
        if !structured || !shape::split(payload, &mut self.skeleton, &mut self.cells) {
            return batch.push(feed, index, at, Payload::Text { payload, extra });
        }
        let Some(known) = self.known.iter_mut().find(|known| known.index == index) else { return };
        let shape = match &mut known.shape {
            Some(shape) if shape.skeleton() == self.skeleton => shape,
            other => other.insert(Arc::new(Shape::from_skeleton(&self.skeleton))),
        };
        batch.push(feed, index, at, Payload::Shaped { shape, cells: &self.cells });
    }
}

impl Measurement<'_> {
    /// What an undeclared attribute is, by its id, then by this payload.
    pub fn kind(&self) -> AttributeType {
        AttributeType::from_name(&self.attribute_id)
            .unwrap_or_else(|| AttributeType::infer(&self.attribute_id, Some(&self.payload)))
    }
}

/// Appends the payload of a `backpressure_config`. `with_system_load` is false for the clients
/// that expect a number there and fail on the word (`reference/wire.md` H1).
pub fn write_backpressure_config(
    out: &mut Vec<u8>,
    pacing: &Pacing,
    with_system_load: bool,
    now: Timestamp,
) {
    let Pacing { level, load, window_ms, batch_size, paused } = *pacing;
    let multiplier = window_ms as f64 / level.base_window_ms() as f64;
    let mut integer = itoa::Buffer::new();
    out.extend_from_slice(b"{\"attention_level\":\"");
    out.extend_from_slice(level.name().as_bytes());
    if with_system_load {
        out.extend_from_slice(b"\",\"system_load\":\"");
        out.extend_from_slice(load.level.name().as_bytes());
    }
    out.extend_from_slice(b"\",\"memory_protection_active\":");
    out.extend_from_slice(if load.memory_protection { b"true" } else { b"false" });
    out.extend_from_slice(b",\"paused\":");
    out.extend_from_slice(if paused { b"true" } else { b"false" });
    out.extend_from_slice(b",\"recommended_batch_window\":");
    out.extend_from_slice(integer.format(window_ms).as_bytes());
    out.extend_from_slice(b",\"recommended_batch_size\":");
    out.extend_from_slice(integer.format(batch_size).as_bytes());
    out.extend_from_slice(b",\"load_multiplier\":");
    out.extend_from_slice(ryu::Buffer::new().format_finite(multiplier).as_bytes());
    out.extend_from_slice(b",\"timestamp\":");
    out.extend_from_slice(integer.format(now.0).as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::Level;
    use crate::id::Handle;
    use crate::load::{Load, LoadLevel};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn text(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn nine() -> Value {
        json!({"connector_id": "c", "connector_name": "C", "sensor_id": "s:1", "sensor_name": "S",
            "sensor_type": "t", "attributes": [], "sampling_rate": 2.5, "batch_size": 1, "bearer_token": "x"})
    }

    fn without(mut value: Value, key: &str) -> Value {
        value.as_object_mut().unwrap().remove(key).unwrap();
        value
    }

    #[test]
    fn a_connector_joins_with_five_keys_and_features_of_any_kind() {
        let five = json!({"connector_id": "c", "connector_name": "n", "connector_type": "python",
            "features": {}, "bearer_token": ""});
        assert_eq!(connector_join("c", &raw(&five)).unwrap().connector_type, "python");
        assert_eq!(connector_join("d", &raw(&five)), Err(JoinError::Crashed));
        for key in ["connector_id", "connector_name", "connector_type", "features", "bearer_token"]
        {
            assert_eq!(
                connector_join("c", &raw(&without(five.clone(), key))),
                Err(JoinError::Crashed),
                "{key}"
            );
        }
        let mut long = five.clone();
        long["connector_name"] = json!("x".repeat(129));
        assert_eq!(connector_join("c", &raw(&long)), Err(JoinError::NameTooLong));
        assert_eq!(connector_join("c", &text("[]")), Err(JoinError::Crashed));
    }

    #[test]
    fn a_sensor_joins_with_nine_keys_and_each_is_needed() {
        let params = raw(&nine());
        let SensorJoin::Device { card, token, .. } = sensor_join("s:1", &params).unwrap() else {
            panic!()
        };
        assert_eq!((&*card.sensor_id, card.sampling_rate), ("s:1", 2.5));
        assert_eq!(token.as_deref(), Some("x"));
        for key in nine().as_object().unwrap().keys() {
            let params = raw(&without(nine(), key));
            assert_eq!(sensor_join("s:1", &params).unwrap_err(), JoinError::Crashed, "{key}");
        }
        assert_eq!(sensor_join("other", &params).unwrap_err(), JoinError::Crashed);
    }

    #[test]
    fn a_receiver_joins_with_fewer() {
        let params =
            raw(&json!({"sensor_id": "s", "sensor_type": "receiver", "bearer_token": null}));
        assert!(matches!(sensor_join("s", &params), Ok(SensorJoin::Receiver { token: None })));
    }

    #[test]
    fn attributes_come_in_four_shapes() {
        let cards = |value: Value| {
            let mut params = nine();
            params["attributes"] = value;
            let params = raw(&params);
            let SensorJoin::Device { attributes, .. } = sensor_join("s:1", &params)? else {
                panic!()
            };
            Ok(attributes
                .iter()
                .map(|a| (a.attribute_id.to_string(), a.kind(), a.rate_hz))
                .collect::<Vec<_>>())
        };
        assert_eq!(
            cards(json!(["ecg", "x", "-bad", 3])).unwrap(),
            [("ecg".into(), Some(AttributeType::Ecg), None), ("x".into(), None, None),]
        );
        assert_eq!(cards(json!({})).unwrap(), []);
        assert_eq!(
            cards(json!({"m": {"attribute_type": "temperature", "sampling_rate": 10}})).unwrap(),
            [("m".into(), Some(AttributeType::Temperature), Some(10.0)),]
        );
        assert_eq!(
            cards(json!([{"attribute_id": "v", "attribute_type": "vibrate", "sampling_rate": 0}]))
                .unwrap(),
            [("v".into(), Some(AttributeType::Vibrate), None),]
        );
        let many: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
        assert_eq!(cards(json!(many)), Err(JoinError::TooManyAttributes));
        assert_eq!(cards(json!(null)), Err(JoinError::Crashed));
    }

    #[test]
    fn an_action_is_checked_before_the_attribute() {
        let update = |value: Value| attribute_update(&raw(&value)).map(|_| ()).unwrap_err();
        assert_eq!(
            update(json!({"action": "add", "attribute_id": "-", "metadata": {}})),
            UpdateError::InvalidAction
        );
        assert_eq!(
            update(json!({"action": "register", "attribute_id": "-", "metadata": {}})),
            UpdateError::InvalidAttributeId
        );
        assert_eq!(
            update(json!({"action": "register", "attribute_id": "a"})),
            UpdateError::Ignored
        );
        let payload = raw(&json!({"action": "unregister", "attribute_id": "a", "metadata": null}));
        assert_eq!(attribute_update(&payload), Ok(AttributeUpdate::Unregister("a".into())));
    }

    #[test]
    fn a_connectors_name_is_1_to_100_bytes() {
        let name =
            |value: Value| connector_update(&raw(&json!({ "connector_name": value }))).is_some();
        assert!(name(json!("x")) && name(json!("x".repeat(100))) && name(json!("ä".repeat(50))));
        assert!(
            !name(json!(""))
                && !name(json!("x".repeat(101)))
                && !name(json!("ä".repeat(51)))
                && !name(json!(7))
        );
    }

    fn stored(payload: &str) -> String {
        let mut attributes = Attributes::default();
        let mut batch = SampleBatch::default();
        let payload = text(payload);
        let m = measurement(&payload).unwrap();
        let Standing::Undeclared { index, .. } = attributes.standing(&m.attribute_id) else {
            panic!()
        };
        attributes.push(&mut batch, FeedId(Handle { slot: 0, generation: 0 }), index, &m);
        let mut out = Vec::new();
        match batch.get(0).3 {
            Payload::Scalar(cell) => cell.write_json(&mut out),
            Payload::Shaped { shape, cells } => shape.write_json(cells, &mut out),
            Payload::Text { payload, extra } => {
                out.extend_from_slice(format!("{payload}{extra}").as_bytes());
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_strings_arrays_and_objects_are_stored_intact() {
        for payload in [
            "42",
            "-0.17713645166970463",
            "true",
            "null",
            "\"a\\\"b\"",
            "[1.0,2.0]",
            "[]",
            "{}",
            r#"{"value":23.5,"unit":"C"}"#,
            "12345678901234567890",
            "[1,[2,{\"a\":\"e1\"}]]",
        ] {
            let measured = format!(r#"{{"attribute_id":"a","payload":{payload},"timestamp":1}}"#);
            assert_eq!(stored(&measured), payload);
        }
        assert_eq!(
            stored(
                r#"{"attribute_id":"button","payload":3,"timestamp":1,"event":"press","sensor_id":"x"}"#
            ),
            r#"3,"event":"press""#
        );
    }

    #[test]
    fn a_measurement_is_refused_for_its_first_fault() {
        let error = |json: &str| measurement(&text(json)).unwrap_err();
        use MeasurementError as E;
        assert_eq!(error("[]"), E::NotAnObject);
        assert_eq!(error(r#"{"attribute_id":"-","payload":1}"#), E::Incomplete);
        assert_eq!(
            error(r#"{"attribute_id":"-","payload":1,"timestamp":"x"}"#),
            E::InvalidAttributeId
        );
        assert_eq!(error(r#"{"attribute_id":7,"payload":1,"timestamp":1}"#), E::InvalidAttributeId);
        for timestamp in ["\"1\"", "null", "1e400", "{}"] {
            assert_eq!(
                error(&format!(r#"{{"attribute_id":"a","payload":1,"timestamp":{timestamp}}}"#)),
                E::InvalidTimestamp
            );
        }
        for payload in ["1e400", "[1,-1E999]", r#"{"e":{"x":1e999}}"#] {
            assert_eq!(
                error(&format!(r#"{{"attribute_id":"a","payload":{payload},"timestamp":1}}"#)),
                E::InvalidPayload
            );
        }
        let large = format!(
            r#"{{"attribute_id":"a","payload":"{}","timestamp":1}}"#,
            "x".repeat(limits::PAYLOAD_BYTES_MAX)
        );
        assert_eq!(error(&large), E::PayloadTooLarge);
    }

    #[test]
    fn timestamps_are_any_finite_number() {
        for (given, expected) in [
            ("5", 5),
            ("-5", -5),
            ("1700000000000.6", 1_700_000_000_001),
            ("1e3", 1000),
            ("1e300", i64::MAX),
        ] {
            let payload =
                text(&format!(r#"{{"attribute_id":"a","payload":1,"timestamp":{given}}}"#));
            assert_eq!(measurement(&payload).unwrap().timestamp, Timestamp(expected));
        }
    }

    #[test]
    fn an_imu_line_becomes_axes_and_a_shorter_one_stays() {
        let imu = |csv: &str| {
            stored(&format!(r#"{{"attribute_id":"imu","payload":"{csv}","timestamp":1}}"#))
        };
        assert_eq!(
            imu("9,1,2,3,4,x,6.5,7"),
            r#"{"accelerometer":{"x":1.0,"y":2.0,"z":3.0},"gyroscope":{"x":4.0,"y":0.0,"z":6.5}}"#
        );
        assert_eq!(imu("9,1,2,3,4,5"), r#""9,1,2,3,4,5""#);
        let batch = text(r#"[{"attribute_id":"imu","payload":"9,1,2,3,4,5,6","timestamp":1}]"#);
        let mut out = Vec::new();
        measurements_batch(&batch, &mut out).unwrap();
        assert_eq!(out[0].payload, "\"9,1,2,3,4,5,6\"");
    }

    #[test]
    fn a_batch_is_taken_whole_or_not_at_all() {
        let outcome = |json: &str| {
            let payload = text(json);
            let mut out = Vec::new();
            measurements_batch(&payload, &mut out).map(|()| out.len())
        };
        let good = r#"{"attribute_id":"a","payload":1,"timestamp":1}"#;
        assert_eq!(outcome("[]"), Ok(0));
        assert_eq!(outcome(&format!("[{good},{good}]")), Ok(2));
        assert_eq!(
            outcome(&format!(
                r#"[{good},{{"attribute_id":"a"}},{{"attribute_id":"-","payload":1,"timestamp":1}}]"#
            )),
            Err(BatchError::Invalid { failed: 2 })
        );
        assert_eq!(outcome(&format!("[{good},7]")), Err(BatchError::Crashed));
        assert_eq!(outcome("{}"), Err(BatchError::NotAnArray));
        let many = |n: usize| format!("[{}]", vec![good; n].join(","));
        assert_eq!(
            outcome(&many(limits::BATCH_SAMPLE_COUNT_MAX)),
            Ok(limits::BATCH_SAMPLE_COUNT_MAX)
        );
        assert_eq!(outcome(&many(limits::BATCH_SAMPLE_COUNT_MAX + 1)), Err(BatchError::TooLarge));
    }

    #[test]
    fn a_sample_of_the_usual_shape_shares_it() {
        let feed = FeedId(Handle { slot: 0, generation: 0 });
        let (mut attributes, mut batch) = (Attributes::default(), SampleBatch::default());
        for payload in [r#"{"x":1,"y":2}"#, r#"{"x":3,"y":4}"#] {
            let payload =
                text(&format!(r#"{{"attribute_id":"a","payload":{payload},"timestamp":1}}"#));
            let m = measurement(&payload).unwrap();
            attributes.standing("a");
            attributes.push(&mut batch, feed, 0, &m);
        }
        let shape = |n| match batch.get(n).3 {
            Payload::Shaped { shape, .. } => Arc::as_ptr(shape),
            _ => panic!(),
        };
        assert_eq!(shape(0), shape(1));
    }

    #[test]
    fn a_feed_knows_64_attributes_and_no_more() {
        let mut attributes = Attributes::default();
        for n in 0..64u16 {
            assert_eq!(
                attributes.standing(&format!("a{n}")),
                Standing::Undeclared { index: n, rate_hz: None }
            );
        }
        assert_eq!(attributes.standing("one-more"), Standing::Refused);
        assert!(attributes.forget("a0") && !attributes.forget("a0"));
        assert_eq!(
            attributes.standing("one-more"),
            Standing::Undeclared { index: 64, rate_hz: None }
        );
    }

    #[test]
    fn pacing_is_the_references_table_in_all_32_cases_but_where_a_floor_holds() {
        let windows = [("none", 5000, 20), ("low", 2000, 10), ("medium", 500, 5), ("high", 100, 1)];
        let loads = [("normal", 1.0), ("elevated", 1.5), ("high", 3.0), ("critical", 5.0)];
        for (level, (level_name, base, size)) in Level::ALL.into_iter().zip(windows) {
            for (load, (load_name, factor)) in LoadLevel::ALL.into_iter().zip(loads) {
                for memory_protection in [false, true] {
                    let factor: f64 = if memory_protection { factor * 5.0 } else { factor };
                    let factor = match level_name {
                        "high" => factor.min(2.0),
                        "medium" => factor.min(2.0),
                        _ => factor,
                    };
                    let mut out = Vec::new();
                    let pacing = Pacing::of(level, Load { level: load, memory_protection });
                    write_backpressure_config(&mut out, &pacing, true, Timestamp(7));
                    let config: Value = serde_json::from_slice(&out).unwrap();
                    let paused = ["none", "low"].contains(&level_name)
                        && (memory_protection || load_name == "critical");
                    assert_eq!(
                        config,
                        json!({"attention_level": level_name, "system_load": load_name,
                        "memory_protection_active": memory_protection, "paused": paused,
                        "recommended_batch_window": (f64::from(base) * factor) as u64, "recommended_batch_size": size,
                        "load_multiplier": factor, "timestamp": 7})
                    );
                    assert!(config["recommended_batch_window"].is_u64());
                    assert!(config["load_multiplier"].is_f64());
                }
            }
        }
    }

    /// The members beside a payload reached the viewers unread: one `1e400` among them, and a viewer
    /// that reads JSON strictly lost the whole message, everybody's samples with it.
    #[test]
    fn what_would_break_its_readers_is_refused() {
        let measure = |payload: &str, extra: &str| {
            let json =
                format!(r#"{{"attribute_id":"a","payload":{payload},"timestamp":1{extra}}}"#);
            let raw = RawValue::from_string(json).unwrap();
            measurement(&raw).map(|_| ())
        };
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = limits::PAYLOAD_DEPTH_MAX;
        assert_eq!(measure("1", ""), Ok(()));
        assert_eq!(measure(&nested(deepest), ""), Ok(()));
        assert_eq!(measure("\"[[[\\\"[[[\"", &format!(",\"x\":{:?}", "[".repeat(500))), Ok(()));
        for (payload, extra) in [
            ("1e400", ""),
            ("1", ",\"x\":1e400"),
            ("1", ",\"x\":{\"y\":[-1e999]}"),
            (&*nested(deepest + 1), ""),
            ("1", &*format!(",\"x\":{}", nested(30_000))),
        ] {
            assert_eq!(
                measure(payload, extra),
                Err(MeasurementError::InvalidPayload),
                "{payload:.80} {extra:.80}"
            );
        }
    }

    /// What clients say, and what they should not, mixed.
    fn words() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "true",
            "-0",
            "1e400",
            "1.5",
            "9223372036854775808",
            "\"",
            "\\",
            "\\u0000",
            "\\ud800",
            "\"a\"",
            "\"attribute_id\"",
            "\"payload\"",
            "\"timestamp\"",
            "\"action\"",
            "\"register\"",
            "\"metadata\"",
            "\"attributes\"",
            "\"sensor_id\"",
            "\"imu\"",
            "\"1,2,3,4,5,6,nan\"",
            "é",
            "\u{1}",
            " ",
            "{\"attribute_id\":\"a\",\"payload\":{\"x\":[1,null,\"s\"]},\"timestamp\":1.5}",
            "{\"attribute_id\":\"imu\",\"payload\":\"1,2,3,4,5,6,7\",\"timestamp\":-1}",
            "{\"action\":\"register\",\"attribute_id\":\"a\",\"metadata\":{}}",
            "{\"connector_name\":\"n\"}",
        ]);
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        /// And what is taken is JSON again when a viewer gets it.
        #[test]
        fn no_words_make_a_device_door_panic(json in words()) {
            let Ok(raw) = RawValue::from_string(json) else { return Ok(()) };
            let mut attributes = Attributes::default();
            let mut taken = Vec::new();
            let _ = measurements_batch(&raw, &mut taken);
            taken.extend(measurement(&raw));
            let mut batch = SampleBatch::default();
            let feed = FeedId(crate::id::Handle { slot: 0, generation: 0 });
            for measurement in &taken {
                if let Standing::Undeclared { index, .. } = attributes.standing(&measurement.attribute_id) {
                    attributes.set_declared(&measurement.attribute_id, measurement.kind());
                    attributes.push(&mut batch, feed, index, measurement);
                    prop_assert!(!batch.is_empty(), "{} of {:?}", index, measurement);
                }
                let json = format!("{{\"payload\":{}{}}}", measurement.payload, measurement.extra);
                prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
            }
            let _ = attribute_update(&raw);
            let _ = connector_update(&raw);
            let _ = sensor_join("a", &raw);
            let _ = connector_join("c", &raw);
        }

        #[test]
        fn nothing_a_device_says_panics(json in "[\\[{\"a-e0-9.:,}\\] \\\\]{0,60}") {
            if let Ok(raw) = RawValue::from_string(json) {
                let _ = measurement(&raw);
                let _ = measurements_batch(&raw, &mut Vec::new());
                let _ = attribute_update(&raw);
                let _ = connector_update(&raw);
                let _ = sensor_join("s", &raw);
                let _ = connector_join("c", &raw);
            }
        }
    }
}

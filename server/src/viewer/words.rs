//! What viewers ask for, read and checked: every refusal names the field it is about.

use std::fmt;
use std::sync::Arc;

use components::attention::Battery;
use components::attribute::is_attribute_id;
use components::command::{Attention, SensorSet, Target};
use components::group::{Signal, Tier};
use components::limits::NAME_BYTES_MAX;
use components::viewer::QualityChoice;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::groups::is_old_name;

/// Ids in one message.
pub const ID_COUNT_MAX: usize = 10_000;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordsError {
    pub field: &'static str,
    pub problem: String,
}

impl WordsError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}", self.problem)
        } else {
            write!(f, "{}: {}", self.field, self.problem)
        }
    }
}

impl std::error::Error for WordsError {}

/// The members of a message, each yet to be read: so that an error can say which it was.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow, deserialize_with = "given")]
    sensors: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    quality: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    visible: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    sensor_ids: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    hovered: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    focused: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    pinned: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    hidden: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    battery: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    form: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    version: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    group: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    signal: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    tier: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    attribute: Option<&'a RawValue>,
}

/// A member that is there, `null` included.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The text, if it begins an object: a struct can be read from a list too, and no payload is one.
pub(crate) fn object(text: &str) -> Option<&str> {
    text.trim_start().starts_with('{').then_some(text)
}

/// The members of a payload, which is an object.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, WordsError> {
    let text = object(text).ok_or_else(|| WordsError::new("", "expected an object"))?;
    serde_json::from_str(text).map_err(|error| WordsError::new("", error.to_string()))
}

fn members(text: &str) -> Result<Members<'_>, WordsError> {
    read(text)
}

/// What a viewer is to be, or to become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    pub sensors: Option<SensorSet>,
    pub quality: Option<QualityChoice>,
    /// `Some(None)`: all of the lens.
    pub visible: Option<Option<Vec<Box<str>>>>,
}

/// The body of `POST` and `PATCH /api/viewers`.
pub fn read_wishes(text: &str) -> Result<Wishes, WordsError> {
    let members = members(text)?;
    let mut room = ID_COUNT_MAX;
    Ok(Wishes {
        sensors: members.sensors.map(|raw| read_sensors(raw, &mut room)).transpose()?,
        quality: members.quality.map(read_choice).transpose()?,
        visible: members.visible.map(|raw| read_visible(raw, &mut room)).transpose()?,
    })
}

/// The payload of `set_sensors`.
pub fn read_set_sensors(text: &str) -> Result<SensorSet, WordsError> {
    let raw = members(text)?.sensors.ok_or_else(|| missing("sensors"))?;
    read_sensors(raw, &mut ID_COUNT_MAX.clone())
}

/// The payload of `set_visible_sensors`.
pub fn read_set_visible_sensors(text: &str) -> Result<Vec<Box<str>>, WordsError> {
    let raw = members(text)?.sensor_ids.ok_or_else(|| missing("sensor_ids"))?;
    read_ids("sensor_ids", raw, &mut ID_COUNT_MAX.clone())
}

/// The payload of `set_quality`.
pub fn read_set_quality(text: &str) -> Result<QualityChoice, WordsError> {
    read_choice(members(text)?.quality.ok_or_else(|| missing("quality"))?)
}

/// The group that a viewer asks to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWish {
    pub name: Box<str>,
    pub signal: Signal,
    pub tier: Tier,
    /// Absent: all of the lens.
    pub sensors: Option<SensorSet>,
    pub attribute_id: Box<str>,
}

/// The payload of `watch_group`.
pub fn read_watch_group(text: &str) -> Result<GroupWish, WordsError> {
    let members = members(text)?;
    let name = read_group_name(members.group)?;
    let signal = read_one_of("signal", members.signal, &Signal::ALL, Signal::name)?;
    let tier = read_one_of("tier", members.tier, &Tier::ALL, Tier::name)?;
    let sensors =
        members.sensors.map(|raw| read_sensors(raw, &mut ID_COUNT_MAX.clone())).transpose()?;
    let attribute_id = match members.attribute {
        None => if signal.is_of_heart() { "ecg" } else { "respiration" }.into(),
        Some(raw) => serde_json::from_str::<Box<str>>(raw.get())
            .ok()
            .filter(|id| is_attribute_id(id))
            .ok_or_else(|| WordsError::new("attribute", "expected the id of an attribute"))?,
    };
    Ok(GroupWish { name, signal, tier, sensors, attribute_id })
}

/// The payload of `unwatch_group`.
pub fn read_unwatch_group(text: &str) -> Result<Box<str>, WordsError> {
    read_group_name(members(text)?.group)
}

fn read_group_name(raw: Option<&RawValue>) -> Result<Box<str>, WordsError> {
    let raw = raw.ok_or_else(|| missing("group"))?;
    let name: Option<Box<str>> = serde_json::from_str(raw.get()).ok();
    match name.filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len())) {
        Some(name) if name.chars().any(char::is_control) => {
            Err(WordsError::new("group", "a name has no control characters"))
        }
        Some(name) if is_old_name(&name) => {
            Err(WordsError::new("group", format!("{name} is the platform's own")))
        }
        Some(name) => Ok(name),
        None => {
            let problem = format!("expected a name of 1 to {NAME_BYTES_MAX} bytes");
            Err(WordsError::new("group", problem))
        }
    }
}

/// One of a few words; the first when nothing is said.
fn read_one_of<T: Copy>(
    field: &'static str,
    raw: Option<&RawValue>,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, WordsError> {
    let Some(raw) = raw else { return Ok(all[0]) };
    let said: Option<String> = serde_json::from_str(raw.get()).ok();
    let found = all.iter().copied().find(|one| said.as_deref() == Some(name(*one)));
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        WordsError::new(field, format!("expected one of {}", names.join(", ")))
    })
}

/// What an actuator may be told (`reference/wire.md` 2.1b).
const DEVICE_COMMANDS: [&str; 4] = ["vibrate", "rotate", "linear", "stop"];

/// The payload of `device_command`: the sensor, and what its device is to hear, as JSON.
pub fn read_device_command(text: &str) -> Result<(Box<str>, Arc<str>), WordsError> {
    let mut members: serde_json::Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| WordsError::new("", format!("expected an object: {error}")))?;
    let sensor_id = match members.remove("sensor_id") {
        Some(Value::String(id)) if (1..=NAME_BYTES_MAX).contains(&id.len()) => id,
        Some(_) => return Err(WordsError::new("sensor_id", "expected the id of a sensor")),
        None => return Err(missing("sensor_id")),
    };
    let known = |name: &str| members.get("command").and_then(Value::as_str) == Some(name);
    if !DEVICE_COMMANDS.iter().any(|name| known(name)) {
        let problem = format!("expected one of {}", DEVICE_COMMANDS.join(", "));
        return Err(WordsError::new("command", problem));
    }
    for (field, number) in
        [("speed", true), ("position", true), ("duration", true), ("clockwise", false)]
    {
        match members.get(field) {
            None => {}
            Some(Value::Number(_)) if number => {}
            Some(Value::Bool(_)) if !number => {}
            Some(_) if number => return Err(WordsError::new(field, "expected a number")),
            Some(_) => return Err(WordsError::new(field, "expected true or false")),
        }
    }
    if text.len() > DEVICE_COMMAND_BYTES_MAX {
        return Err(WordsError::new("", "too long for a command"));
    }
    Ok((sensor_id.into(), Value::Object(members).to_string().into()))
}

/// Bytes of one `device_command`.
const DEVICE_COMMAND_BYTES_MAX: usize = 4096;

/// The payload of `attention`.
pub fn read_attention(text: &str) -> Result<Attention, WordsError> {
    let members = members(text)?;
    let mut room = ID_COUNT_MAX;
    let mut targets = |field, raw: Option<&RawValue>| {
        raw.map_or(Ok(Vec::new()), |raw| read_targets(field, raw, &mut room))
    };
    let hovered = targets("hovered", members.hovered)?;
    let focused = targets("focused", members.focused)?;
    let pinned = targets("pinned", members.pinned)?;
    let visible = members.visible.map_or(Ok(None), |raw| read_visible(raw, &mut room))?;
    let hidden = match members.hidden {
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| WordsError::new("hidden", "expected true or false"))?,
        None => false,
    };
    let battery = match members.battery.map(RawValue::get) {
        None | Some("\"normal\"") => Battery::Normal,
        Some("\"low\"") => Battery::Low,
        Some("\"critical\"") => Battery::Critical,
        Some(_) => {
            return Err(WordsError::new("battery", "expected \"normal\", \"low\" or \"critical\""));
        }
    };
    Ok(Attention { visible, hovered, focused, pinned, hidden, battery })
}

/// How a viewer wants its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormWish {
    Json,
    Binary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinError {
    Words(WordsError),
    UnsupportedVersion,
}

/// The payload of a join. `null`, as some clients send for nothing, is `{}`.
pub fn read_join(text: &str) -> Result<FormWish, JoinError> {
    if text.trim() == "null" {
        return Ok(FormWish::Json);
    }
    let members = members(text).map_err(JoinError::Words)?;
    let form = match members.form.map(RawValue::get) {
        None | Some("\"json\"") => FormWish::Json,
        Some("\"binary\"") => FormWish::Binary,
        Some(_) => {
            let error = WordsError::new("form", "expected \"json\" or \"binary\"");
            return Err(JoinError::Words(error));
        }
    };
    match members.version.map(RawValue::get) {
        None | Some("1") => Ok(form),
        Some(_) => Err(JoinError::UnsupportedVersion),
    }
}

fn missing(field: &'static str) -> WordsError {
    WordsError::new(field, "is missing")
}

fn read_sensors(raw: &RawValue, room: &mut usize) -> Result<SensorSet, WordsError> {
    match raw.get() {
        "\"all\"" => Ok(SensorSet::All),
        list if list.starts_with('[') => read_ids("sensors", raw, room).map(SensorSet::Ids),
        _ => Err(WordsError::new("sensors", "expected \"all\" or a list of sensor ids")),
    }
}

fn read_visible(raw: &RawValue, room: &mut usize) -> Result<Option<Vec<Box<str>>>, WordsError> {
    if raw.get() == "null" {
        return Ok(None);
    }
    read_ids("visible", raw, room).map(Some)
}

fn read_choice(raw: &RawValue) -> Result<QualityChoice, WordsError> {
    let name: Option<String> = serde_json::from_str(raw.get()).ok();
    name.as_deref().and_then(QualityChoice::from_name).ok_or_else(|| {
        let problem = "expected \"auto\", \"auto-medium\", \"auto-low\", \"auto-minimal\", \
                       \"high\", \"medium\", \"low\", \"minimal\" or \"paused\"";
        WordsError::new("quality", problem)
    })
}

fn read_ids(
    field: &'static str,
    raw: &RawValue,
    room: &mut usize,
) -> Result<Vec<Box<str>>, WordsError> {
    let ids: Vec<Box<str>> = serde_json::from_str(raw.get())
        .map_err(|_| WordsError::new(field, "expected a list of sensor ids"))?;
    take_room(field, ids.len(), room)?;
    for (index, id) in ids.iter().enumerate() {
        check_id(field, index, id)?;
    }
    Ok(ids)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TargetWords {
    Sensor(Box<str>),
    Attribute { sensor_id: Box<str>, attribute_id: Option<Box<str>> },
}

fn read_targets(
    field: &'static str,
    raw: &RawValue,
    room: &mut usize,
) -> Result<Vec<Target>, WordsError> {
    let items: Option<Vec<&RawValue>> = serde_json::from_str(raw.get()).ok();
    let target = |item: &RawValue| {
        let is_one = item.get().starts_with(['"', '{']);
        serde_json::from_str::<TargetWords>(item.get()).ok().filter(|_| is_one)
    };
    let words = items.and_then(|items| items.into_iter().map(target).collect::<Option<Vec<_>>>());
    let words = words.ok_or_else(|| {
        WordsError::new(field, "expected a list of \"id\" or {\"sensor_id\", \"attribute_id\"}")
    })?;
    take_room(field, words.len(), room)?;
    words
        .into_iter()
        .enumerate()
        .map(|(index, words)| {
            let (sensor_id, attribute_id) = match words {
                TargetWords::Sensor(sensor_id) => (sensor_id, None),
                TargetWords::Attribute { sensor_id, attribute_id } => (sensor_id, attribute_id),
            };
            check_id(field, index, &sensor_id)?;
            if let Some(attribute_id) = &attribute_id {
                check_id(field, index, attribute_id)?;
            }
            Ok(Target { sensor_id, attribute_id })
        })
        .collect()
}

/// All the lists of one message share one bound.
fn take_room(field: &'static str, count: usize, room: &mut usize) -> Result<(), WordsError> {
    *room = room.checked_sub(count).ok_or_else(|| {
        WordsError::new(field, format!("more than {ID_COUNT_MAX} ids in one message"))
    })?;
    Ok(())
}

fn check_id(field: &'static str, index: usize, id: &str) -> Result<(), WordsError> {
    match id.len() {
        0 => Err(WordsError::new(field, format!("id {index} is empty"))),
        1..=NAME_BYTES_MAX => Ok(()),
        long => Err(WordsError::new(
            field,
            format!("id {index} has {long} bytes, at most {NAME_BYTES_MAX} are allowed"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use components::viewer::Quality;
    use proptest::prelude::*;

    #[test]
    fn wishes_are_read() {
        let wishes =
            read_wishes(r#"{"sensors": ["a", "b"], "quality": "low", "visible": ["a"], "x": 1}"#);
        assert_eq!(
            wishes.unwrap(),
            Wishes {
                sensors: Some(SensorSet::Ids(vec!["a".into(), "b".into()])),
                quality: Some(QualityChoice::Fixed(Quality::Low)),
                visible: Some(Some(vec!["a".into()])),
            }
        );
        assert_eq!(read_wishes(r#"{"visible":null}"#).unwrap().visible, Some(None));
        assert_eq!(read_wishes(r#"{"sensors":"all"}"#).unwrap().sensors, Some(SensorSet::All));
        assert_eq!(read_wishes("{}").unwrap(), Wishes::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let problem = |text: &str| read_wishes(text).unwrap_err().to_string();
        assert_eq!(problem("[]"), "expected an object");
        assert_eq!(
            problem(r#"{"sensors":5}"#),
            "sensors: expected \"all\" or a list of sensor ids"
        );
        assert_eq!(problem(r#"{"sensors":[5]}"#), "sensors: expected a list of sensor ids");
        assert_eq!(problem(r#"{"sensors":["a",""]}"#), "sensors: id 1 is empty");
        assert!(problem(r#"{"quality":"best"}"#).starts_with("quality: expected"));
        assert!(problem(r#"{"quality":null}"#).starts_with("quality: expected"));
        let long = format!(r#"{{"visible":["{}"]}}"#, "x".repeat(129));
        assert_eq!(problem(&long), "visible: id 0 has 129 bytes, at most 128 are allowed");
        let half = serde_json::to_string(&vec!["a"; 5001]).unwrap();
        let many = format!(r#"{{"sensors":{half},"visible":{half}}}"#);
        assert_eq!(problem(&many), "visible: more than 10000 ids in one message");
        assert!(problem("{").contains("EOF"));
    }

    #[test]
    fn attention_is_read() {
        let attention = read_attention(
            r#"{"visible":["a"],"hovered":["b"],"focused":[{"sensor_id":"c","attribute_id":"ecg"}],
                "pinned":[{"sensor_id":"d"}],"hidden":true,"battery":"critical"}"#,
        )
        .unwrap();
        let target = |sensor: &str, attribute: Option<&str>| Target {
            sensor_id: sensor.into(),
            attribute_id: attribute.map(Into::into),
        };
        assert_eq!(
            attention,
            Attention {
                visible: Some(vec!["a".into()]),
                hovered: vec![target("b", None)],
                focused: vec![target("c", Some("ecg"))],
                pinned: vec![target("d", None)],
                hidden: true,
                battery: Battery::Critical,
            }
        );
        assert_eq!(read_attention("{}").unwrap(), Attention::default());
        assert_eq!(read_attention(r#"{"visible":null}"#).unwrap(), Attention::default());
        let problem = |text: &str| read_attention(text).unwrap_err().field;
        assert_eq!(problem(r#"{"hovered":[{"attribute_id":"a"}]}"#), "hovered");
        assert_eq!(problem(r#"{"pinned":["a",""]}"#), "pinned");
        assert_eq!(problem(r#"{"focused":[["a","b"]]}"#), "focused", "a list is no target");
        assert_eq!(problem(r#"{"hidden":1}"#), "hidden");
        assert_eq!(problem(r#"{"battery":"full"}"#), "battery");
    }

    #[test]
    fn groups_are_read() {
        let wish = read_watch_group(r#"{"group":"choir"}"#).unwrap();
        assert_eq!((wish.signal, wish.tier, wish.sensors), (Signal::Breath, Tier::Confirmed, None));
        assert_eq!((&*wish.name, &*wish.attribute_id), ("choir", "respiration"));
        let wish = read_watch_group(
            r#"{"group":"x","signal":"heart_high","tier":"live","sensors":["a"],"attribute":"ekg"}"#,
        );
        let wish = wish.unwrap();
        assert_eq!((wish.signal, wish.tier), (Signal::HeartHigh, Tier::Live));
        assert_eq!(wish.sensors, Some(SensorSet::Ids(vec!["a".into()])));
        assert_eq!(&*wish.attribute_id, "ekg");
        let problem = |text: &str| read_watch_group(text).unwrap_err().to_string();
        assert_eq!(problem("{}"), "group: is missing");
        assert_eq!(problem(r#"{"group":""}"#), "group: expected a name of 1 to 128 bytes");
        assert_eq!(problem(r#"{"group":"a\u0000"}"#), "group: a name has no control characters");
        assert_eq!(problem(r#"{"group":"hrv_sync"}"#), "group: hrv_sync is the platform's own");
        assert_eq!(
            problem(r#"{"group":"x","tier":"soon"}"#),
            "tier: expected one of confirmed, prompt, live"
        );
        assert!(problem(r#"{"group":"x","signal":7}"#).starts_with("signal: expected one of"));
        assert!(problem(r#"{"group":"x","attribute":"a b"}"#).starts_with("attribute:"));
        assert_eq!(read_unwatch_group(r#"{"group":"choir"}"#).as_deref(), Ok("choir"));
    }

    #[test]
    fn joins_are_read() {
        assert_eq!(read_join("{}"), Ok(FormWish::Json));
        assert_eq!(read_join("null"), Ok(FormWish::Json));
        assert_eq!(read_join(r#"{"form":"binary","version":1}"#), Ok(FormWish::Binary));
        assert_eq!(
            read_join(r#"{"form":"binary","version":2}"#),
            Err(JoinError::UnsupportedVersion)
        );
        assert!(
            matches!(read_join(r#"{"form":"xml"}"#), Err(JoinError::Words(e)) if e.field == "form")
        );
    }

    proptest! {
        #[test]
        fn nothing_a_viewer_says_panics(words in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "null", "true", "1", "1e400", "-0.0", "\"", "\\", "\\ud800",
            "\"a\"", "\"all\"", "\"sensors\"", "\"quality\"", "\"visible\"", "\"hovered\"",
            "\"focused\"", "\"pinned\"", "\"hidden\"", "\"battery\"", "\"low\"", "\"form\"",
            "\"version\"", "\"sensor_ids\"", "\"sensor_id\"", "\"attribute_id\"", " ", "\u{0}", "é",
            "{\"sensors\":[\"a\"],\"quality\":\"low\"}",
            "{\"visible\":[\"a\"],\"hovered\":[\"a\",{\"sensor_id\":\"a\"}],\"battery\":\"low\"}",
        ]), 0..12)) {
            let text = words.concat();
            let _ = read_wishes(&text);
            let _ = read_set_sensors(&text);
            let _ = read_set_visible_sensors(&text);
            let _ = read_set_quality(&text);
            let _ = read_attention(&text);
            let _ = read_join(&text);
            let _ = read_watch_group(&text);
            let _ = read_unwatch_group(&text);
        }
    }
}

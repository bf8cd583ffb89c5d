//! The original's YAML form of a scenario, brought into ours (`reference/collab.md` 21.8).
//!
//! Each of its sensors becomes a body of its own: a person if it measures one, else a place. What
//! it says about a sensor goes to where we say it: a heart rate to the person, a start to the
//! body's position, a range to the model. What would say nothing here (how its samples are
//! batched, which web service to ask) is told as a warning, and not silently dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use components::attribute::AttributeType;

use super::error::Mistake;
use super::toml;
use super::tree::{Field, Key, Node, Table, Value};
use crate::person::PARAMETERS;
use crate::signal::{self, Model, Sort};

/// Events of the parser: the original's largest file has some 20,000.
const EVENT_COUNT_MAX: usize = 1_000_000;
/// Of these, those that come of aliases (`*name`).
const REPLAYED_COUNT_MAX: usize = 200_000;
/// Tables within tables.
const DEPTH_MAX: usize = 32;

const CONNECTOR_KEYS: &[&str] = &["connector_id", "connector_name", "sensors"];
const SENSOR_KEYS: &[&str] = &["sensor_id", "sensor_name", "sensor_type", "attributes"];
const ATTRIBUTE_KEYS: &[&str] = &[
    "attribute_id",
    "sensor_type",
    "sampling_rate",
    "batch_size",
    "batch_window",
    "duration",
    "dummy_data",
    "heart_rate",
    "min_value",
    "max_value",
    "unit",
    "activity_level",
    "breaths_per_minute",
    "fixation_duration",
    "saccade_duration",
    "motion_type",
    "track_mode",
    "track_name",
    "playback_speed",
    "random_start",
    "no_loop",
    "generate_track",
    "track_duration",
    "start_lat",
    "start_lng",
    "base_lat",
    "base_lng",
    "hydro_station_id",
    "hydro_parameter",
];

/// Every key.
#[cfg(test)]
pub(super) fn keys() -> Vec<&'static str> {
    [&SENSOR_KEYS[..3], ATTRIBUTE_KEYS].concat()
}

/// What means nothing here, and why.
const UNUSED: &[(&str, &str)] = &[
    ("sensor_id", "the sensor's key is its id, as in the original"),
    ("batch_size", "a sample is sent when it is due"),
    ("batch_window", "a sample is sent when it is due"),
    ("duration", "a signal is made when it is asked for, not in steps"),
    ("dummy_data", "there is one generator for each signal"),
    ("unit", "a model has its own unit"),
    ("no_loop", "a track is gone to its end and back: there is no leap to its beginning"),
    ("hydro_station_id", "no web service is asked: the river is made up"),
];

/// What a model may call what the original says; the first it has is meant.
const RENAMED: &[(&str, &[&str])] = &[
    ("min_value", &["min", "min_value"]),
    ("max_value", &["max", "max_value"]),
    ("motion_type", &["motion", "motion_type"]),
    ("track_mode", &["mode"]),
    ("track_name", &["track"]),
    ("playback_speed", &["playback_speed"]),
    ("random_start", &["random_start"]),
    ("track_duration", &["duration"]),
];

/// Our tree of such a file, and what of it means nothing.
pub(super) fn parse(file: &str, text: &str) -> Result<(Node, Vec<String>), Mistake> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: EVENT_COUNT_MAX,
            max_nodes: EVENT_COUNT_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED_COUNT_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        with_snippet: false,
    };
    let tree: Spanned<Tree> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let what = match &error {
                serde_saphyr::Error::RecursiveReferencesRequireWeakTypes { .. } => {
                    "an alias within what it stands for: a circular reference".to_owned()
                }
                other => other.to_string(),
            };
            Mistake {
                file: file.to_owned(),
                line: error.location().map_or(1, |location| location.line() as usize),
                key: String::new(),
                what: what.lines().next().unwrap_or_default().to_owned(),
            }
        })?;
    let tree = node(tree);
    let top = Table::top(file, &tree)?;
    let mut import = Import::default();
    let mut entries = Vec::new();
    let comment = text.lines().find_map(|line| line.trim().strip_prefix('#')).map(str::trim);
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        entries.push(entry(1, "description", Value::Text(comment.to_owned())));
    }
    import.connectors(&top)?;
    for (key, groups) in [("people", import.people), ("places", import.places)] {
        if let Some(first) = groups.first() {
            entries.push(entry(first.line, key, Value::List(groups)));
        }
    }
    if !import.devices.is_empty() {
        entries.push(entry(1, "device", Value::Table(import.devices)));
    }
    let mut unused: Vec<_> = import.unused.into_iter().collect();
    unused.sort_by_key(|(_, (_, line, _))| *line);
    let unused = unused.into_iter().map(|(key, (times, line, why))| {
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        format!("{file}:{line}: `{key}` ({times}) says nothing here: {why}")
    });
    Ok((Node::new(1, Value::Table(entries)), unused.collect()))
}

fn entry(line: usize, name: &str, value: Value) -> (Key, Node) {
    (Key::new(line, name), Node::new(line, value))
}

/// What is there so far.
#[derive(Default)]
struct Import {
    people: Vec<Node>,
    places: Vec<Node>,
    /// By name, and which name has the device of this text.
    devices: Vec<(Key, Node)>,
    by_text: BTreeMap<String, String>,
    /// By key: how often, where first, and why.
    unused: BTreeMap<&'static str, (usize, usize, String)>,
}

/// One sensor of theirs, while it is read.
#[derive(Default)]
struct Wearer {
    is_person: bool,
    settings: Vec<(Key, Node)>,
    latitude: Option<Node>,
    longitude: Option<Node>,
}

impl Import {
    fn connectors(&mut self, top: &Table<'_>) -> Result<(), Mistake> {
        top.only(&["connectors"])?;
        let Some(field) = given(top, "connectors") else { return Ok(()) };
        for (key, field) in Table::of(&field)?.fields() {
            let connector = Table::of(&field)?;
            connector.only(CONNECTOR_KEYS)?;
            let id = match given(&connector, "connector_id") {
                Some(field) => field.text()?.to_owned(),
                None => key.name.clone(),
            };
            let name = match given(&connector, "connector_name") {
                Some(field) => field.text()?.to_owned(),
                None => id.clone(),
            };
            let Some(sensors) = given(&connector, "sensors") else { continue };
            for (key, field) in Table::of(&sensors)?.fields() {
                self.sensor(key, &Table::of(&field)?, &id, &name)?;
            }
        }
        Ok(())
    }

    fn sensor(
        &mut self,
        key: &Key,
        sensor: &Table<'_>,
        connector_id: &str,
        connector_name: &str,
    ) -> Result<(), Mistake> {
        sensor.only(SENSOR_KEYS)?;
        self.note_unused(sensor);
        let line = key.line;
        let sensor_type = match given(sensor, "sensor_type") {
            Some(field) => field.text()?,
            None => "simulator",
        };
        let mut wearer = Wearer::default();
        let mut attributes = Vec::new();
        if let Some(field) = given(sensor, "attributes") {
            for (key, field) in Table::of(&field)?.fields() {
                attributes.push(self.attribute(key, &Table::of(&field)?, &mut wearer)?);
            }
        }
        let mut device = vec![
            entry(line, "type", Value::Text(sensor_type.to_owned())),
            entry(line, "sensor_id", Value::Text("{body}".to_owned())),
        ];
        if !attributes.is_empty() {
            device.push(entry(line, "attribute", Value::List(attributes)));
        }
        let device = self.device(line, sensor_type, device);
        let name = match given(sensor, "sensor_name") {
            Some(field) => field.text()?.to_owned(),
            None => key.name.clone(),
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let mut body = vec![
            entry(line, "id", text(&key.name)),
            entry(line, "name", text(&name)),
            entry(line, "connector_id", text(connector_id)),
            entry(line, "connector_name", text(connector_name)),
            entry(line, "devices", Value::List(vec![Node::new(line, Value::Text(device))])),
        ];
        match (wearer.latitude, wearer.longitude) {
            (Some(latitude), Some(longitude)) => {
                let line = latitude.line;
                body.push(entry(line, "position", Value::List(vec![latitude, longitude])));
            }
            (None, None) => {}
            (Some(one), None) | (None, Some(one)) => {
                let mut mistake =
                    sensor.mistake("a place needs both its latitude and its longitude");
                mistake.line = one.line;
                return Err(mistake);
            }
        }
        if wearer.is_person {
            body.extend(wearer.settings);
            self.people.push(Node::new(line, Value::Table(body)));
        } else {
            self.places.push(Node::new(line, Value::Table(body)));
        }
        Ok(())
    }

    /// The name of this device; those that are alike have one.
    fn device(&mut self, line: usize, sensor_type: &str, device: Vec<(Key, Node)>) -> String {
        let node = Node::new(line, Value::Table(device));
        let text = toml::print(&node);
        if let Some(name) = self.by_text.get(&text) {
            return name.clone();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let stem: String = sensor_type.chars().take(32).map(plain).collect();
        let name = format!("{stem}-{}", self.devices.len() + 1);
        self.devices.push((Key::new(line, &name), node));
        self.by_text.insert(text, name.clone());
        name
    }

    fn attribute(
        &mut self,
        key: &Key,
        attribute: &Table<'_>,
        wearer: &mut Wearer,
    ) -> Result<Node, Mistake> {
        attribute.only(ATTRIBUTE_KEYS)?;
        self.note_unused(attribute);
        let line = key.line;
        let id = match given(attribute, "attribute_id") {
            Some(field) => field.text()?.to_owned(),
            None => key.name.clone(),
        };
        let model = self.model(attribute, &id)?;
        wearer.is_person |= is_of_a_person(model.kind, model.name);
        let mut ours = vec![
            entry(line, "id", Value::Text(id)),
            entry(line, "model", Value::Text(model.name.to_owned())),
        ];
        if let Some(field) = given(attribute, "sampling_rate") {
            ours.push(renamed("rate", "sampling_rate", &field));
        }
        let has_middle = wearer.set_middle(attribute, model)?;
        for (theirs, names) in RENAMED {
            let Some(field) = given(attribute, theirs) else { continue };
            if has_middle && matches!(*theirs, "min_value" | "max_value") {
                continue;
            }
            let parameter = names
                .iter()
                .find_map(|name| model.parameters.iter().find(|parameter| parameter.name == *name));
            match parameter {
                Some(parameter) => {
                    let (key, mut node) = renamed(parameter.name, theirs, &field);
                    node.value = fitting(node.value, parameter.sort);
                    ours.push((key, node));
                }
                None => self.unused(theirs, field.node.line, "its model has no such parameter"),
            }
        }
        if let Some(field) = given(attribute, "generate_track") {
            let drawn = field.flag()? && given(attribute, "track_name").is_none();
            if drawn && model.parameters.iter().any(|parameter| parameter.name == "track") {
                let (key, mut node) = renamed("track", "generate_track", &field);
                node.value = Value::Text("generated".to_owned());
                ours.push((key, node));
            } else if drawn {
                self.unused("generate_track", field.node.line, "its model follows no track");
            }
        }
        wearer.read(attribute)?;
        Ok(Node::new(line, Value::Table(ours)))
    }

    /// The model that comes nearest to what the original calls it.
    fn model(&self, attribute: &Table<'_>, id: &str) -> Result<&'static Model, Mistake> {
        let word = match given(attribute, "sensor_type") {
            Some(field) => field.text()?.to_owned(),
            None => id.to_owned(),
        };
        if word == "hydro_api" {
            return self.river(attribute);
        }
        match signal::model(&word) {
            Some(model) => Ok(model),
            // "any other" of 21.4 wanders in a range, and so does a numeric one of ours.
            None => named("numeric", attribute),
        }
    }

    /// What the Swiss river service would have been asked for.
    fn river(&self, attribute: &Table<'_>) -> Result<&'static Model, Mistake> {
        let field = given(attribute, "hydro_parameter");
        let word = match &field {
            Some(field) => field.text()?,
            None => "level",
        };
        let name = match word.to_lowercase().as_str() {
            word if word.contains("temp") => "river_temperature",
            word if word.contains("discharge") || word.contains("flow") => "discharge",
            _ => "water_level",
        };
        named(name, attribute)
    }

    fn note_unused(&mut self, table: &Table<'_>) {
        for (key, why) in UNUSED {
            if let Some(field) = given(table, key) {
                self.unused(key, field.node.line, why);
            }
        }
    }

    fn unused(&mut self, key: &'static str, line: usize, why: &str) {
        self.unused.entry(key).or_insert((0, line, why.to_owned())).0 += 1;
    }
}

impl Wearer {
    /// What an attribute says about whoever wears the sensor.
    fn read(&mut self, attribute: &Table<'_>) -> Result<(), Mistake> {
        for (theirs, ours) in [
            ("heart_rate", "heart_rate"),
            ("breaths_per_minute", "breathing_rate"),
            ("activity_level", "activity_level"),
            ("fixation_duration", "fixation_duration"),
            ("saccade_duration", "saccade_duration"),
        ] {
            if let Some(field) = given(attribute, theirs) {
                self.set(renamed(ours, theirs, &field));
            }
        }
        let place = |keys: [&str; 2]| {
            keys.iter().find_map(|key| given(attribute, key)).map(|field| field.node.clone())
        };
        self.latitude = self.latitude.take().or_else(|| place(["start_lat", "base_lat"]));
        self.longitude = self.longitude.take().or_else(|| place(["start_lng", "base_lng"]));
        Ok(())
    }

    /// A range that the model has no parameters for: its middle, where the person has one.
    /// Whether it says something so.
    fn set_middle(&mut self, attribute: &Table<'_>, model: &Model) -> Result<bool, Mistake> {
        if model.parameters.iter().any(|parameter| parameter.name == "min") {
            return Ok(false);
        }
        let ours = match model.name {
            "heartrate" | "hr" => "heart_rate",
            "spo2" => "spo2",
            "temperature" | "skin_temperature" => "skin_temperature",
            _ => return Ok(false),
        };
        let (Some(low), Some(high)) =
            (given(attribute, "min_value"), given(attribute, "max_value"))
        else {
            return Ok(false);
        };
        let ends = (low.number(-1e9..=1e9, "")?, high.number(-1e9..=1e9, "")?);
        let middle = 0.5 * (ends.0 + ends.1);
        let fits = PARAMETERS.iter().any(|parameter| {
            matches!(parameter.sort, Sort::Number { min, max, .. }
                if parameter.name == ours && (min..=max).contains(&middle))
        });
        if fits {
            let (key, mut node) = renamed(ours, "min_value", &low);
            node.value = Value::Number(middle);
            self.set((key, node));
        }
        Ok(fits)
    }

    /// The first word counts: the attributes of a sensor are of one person.
    fn set(&mut self, setting: (Key, Node)) {
        if !self.settings.iter().any(|(key, _)| key.name == setting.0.name) {
            self.settings.push(setting);
        }
    }
}

fn named(name: &str, attribute: &Table<'_>) -> Result<&'static Model, Mistake> {
    signal::named(name).ok_or_else(|| attribute.mistake(&format!("there is no model `{name}`")))
}

/// The value of the key, if there is one.
fn given<'a>(table: &Table<'a>, key: &str) -> Option<Field<'a>> {
    table.field(key).filter(|field| field.node.value != Value::Nothing)
}

fn renamed(ours: &str, theirs: &str, field: &Field<'_>) -> (Key, Node) {
    let line = field.node.line;
    (Key { name: ours.to_owned(), shown: theirs.to_owned(), line }, field.node.clone())
}

/// A number for a flag and the other way round, as the original takes them.
fn fitting(value: Value, sort: Sort) -> Value {
    match (value, sort) {
        (Value::Whole(number @ (0 | 1)), Sort::Flag { .. }) => Value::Flag(number == 1),
        (value, _) => value,
    }
}

/// Whether only people have it.
fn is_of_a_person(kind: AttributeType, model: &str) -> bool {
    use AttributeType as T;
    matches!(
        kind,
        T::Ecg
            | T::Hrv
            | T::Hr
            | T::HeartRate
            | T::SpO2
            | T::Respiration
            | T::Skeleton
            | T::Steps
            | T::Calories
            | T::Distance
            | T::EyeGaze
            | T::EyeBlink
            | T::EyeWorn
            | T::EyeAperture
            | T::Imu
            | T::Accelerometer
            | T::Gyroscope
    ) || matches!(model, "blood_pressure" | "eda" | "emg" | "ppg" | "skin_temperature")
        || model.starts_with("accelerometer_")
        || model.starts_with("gyroscope_")
}

/// A value as the parser gives it, everything in it with its place.
enum Tree {
    Nothing,
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Tree>>),
    Table(Vec<(Spanned<String>, Spanned<Tree>)>),
}

fn node(tree: Spanned<Tree>) -> Node {
    let line = tree.referenced.line() as usize;
    let value = match tree.value {
        Tree::Nothing => Value::Nothing,
        Tree::Flag(flag) => Value::Flag(flag),
        Tree::Whole(number) => Value::Whole(number),
        Tree::Number(number) => Value::Number(number),
        Tree::Text(text) => Value::Text(text),
        Tree::List(items) => Value::List(items.into_iter().map(node).collect()),
        Tree::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Key::new(key.referenced.line() as usize, &key.value), node(value))
                })
                .collect(),
        ),
    };
    Node::new(line, value)
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(i64::try_from(number).map_or(Tree::Number(number as f64), Tree::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Tree::Table(table))
    }
}

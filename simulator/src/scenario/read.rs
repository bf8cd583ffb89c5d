//! From a tree to a scenario: every key known, every number possible, every name there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use components::attribute::is_attribute_id;
use components::limits::{NAME_BYTES_MAX, RESERVED_NAME_PREFIX, SENSOR_ATTRIBUTE_COUNT_MAX};
use components::viewer::Quality;

use super::error::{Mistake, no_such};
use super::template::{
    Attribute, BreatheWith, Chosen, Device, Group, Members, Schedule, Setting, WEARER, id_of_name,
};
use super::tree::{Drawn, Field, Node, Table, Value};
use super::{BODY_COUNT_MAX, SENSOR_COUNT_MAX, STREAM_COUNT_MAX, Scenario, VIEWER_COUNT_MAX, toml};
use crate::cadence::{RATE_HZ_MAX, RATE_HZ_MIN};
use crate::cli::Form;
use crate::crowd::{BatteryHabit, CrowdSpec, Network};
use crate::fault::{FaultKind, FaultSpec};
use crate::person::PARAMETERS;
use crate::signal::{self, Model, Parameter, Sort, models};

/// Bytes of an id in a file, so that one of a body and a device has room for both.
const ID_BYTES_MAX: usize = 96;

/// Metres around a place: from a desk to a country.
const SPREAD_M_MAX: f64 = 1_000_000.0;

/// Milliseconds since the start that a schedule may speak of.
const FOREVER_MS: i64 = i64::MAX;

const TOP_KEYS: &[&str] =
    &["description", "seed", "people", "places", "device", "viewers", "faults", "schedule"];
pub(super) const BODY_KEYS: &[&str] = &[
    "id",
    "names",
    "name",
    "count",
    "room",
    "devices",
    "position",
    "spread_m",
    "connector_id",
    "connector_name",
];
const BREATHE_KEYS: &[&str] = &["group", "strength", "lag", "breathing_rate"];
const DEVICE_KEYS: &[&str] = &["type", "extends", "sensor_id", "attribute"];
const ATTRIBUTE_KEYS: &[&str] = &["id", "model", "rate"];
const VIEWER_KEYS: &[&str] = &[
    "name",
    "count",
    "room",
    "watch",
    "quality",
    "form",
    "arrive",
    "stay",
    "return",
    "scroll",
    "hover",
    "focus",
    "pin",
    "hide",
    "hidden",
    "quality_change",
    "battery",
    "network",
];
const FAULT_KEYS: &[&str] = &["kind", "share", "every", "lasts", "amount"];
const SCHEDULE_KEYS: &[&str] = &["at", "comes", "leaves"];

/// Every key but those of models and people.
#[cfg(test)]
pub(super) fn keys() -> Vec<&'static str> {
    let all = [
        BODY_KEYS,
        BREATHE_KEYS,
        DEVICE_KEYS,
        ATTRIBUTE_KEYS,
        VIEWER_KEYS,
        FAULT_KEYS,
        SCHEDULE_KEYS,
        &["description", "seed", "breathe_with"],
    ];
    all.concat()
}

/// Reads the whole of a file.
pub(super) fn scenario(
    file: &str,
    tree: Node,
    text: String,
    warnings: Vec<String>,
) -> Result<Scenario, Mistake> {
    let top = Table::top(file, &tree)?;
    top.only(TOP_KEYS)?;
    let description = match top.field("description") {
        Some(field) => field.text()?.trim().to_owned(),
        None => String::new(),
    };
    let seed = match top.field("seed") {
        Some(field) => field.whole(0..=i64::MAX)? as u64,
        None => 1,
    };
    let devices = Devices::read(&top)?;
    let (mut groups, mut fields) = (Vec::new(), Vec::new());
    for (key, are_people) in [("people", true), ("places", false)] {
        for field in tables(&top, key)? {
            groups.push(group(&field, are_people, &devices)?);
            fields.push(field);
        }
    }
    count_all(&groups, &fields)?;
    refuse_doubles(&groups, &fields)?;
    refuse_discord(&groups, &fields)?;
    let rooms: Vec<&str> = groups.iter().filter_map(|group| group.room.as_deref()).collect();
    let mut crowds: Vec<CrowdSpec> = Vec::new();
    for field in tables(&top, "viewers")? {
        crowds.push(crowd(&field, &rooms, &crowds)?);
    }
    let faults = tables(&top, "faults")?.iter().map(fault).collect::<Result<_, _>>()?;
    let schedule = schedule(&tables(&top, "schedule")?, &groups)?;
    Ok(Scenario {
        name: name_of_file(file),
        description,
        seed,
        crowds,
        faults,
        warnings,
        groups,
        schedule,
        text,
    })
}

/// `scenarios/few.toml` is `few`.
fn name_of_file(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or(file).to_owned()
}

/// The tables of `[[key]]`.
fn tables<'a>(top: &Table<'a>, key: &str) -> Result<Vec<Field<'a>>, Mistake> {
    let Some(field) = top.field(key) else { return Ok(Vec::new()) };
    if let Value::Table(_) = field.node.value {
        return Err(field.mistake(&format!("expected a list of tables, each under [[{key}]]")));
    }
    field.list()
}

// --- devices ---

/// Those that a file defines, and behind them those that are built in.
struct Devices {
    own: HashMap<String, Arc<Device>>,
}

/// Every file's common devices.
static BUILT_IN: LazyLock<HashMap<String, Arc<Device>>> = LazyLock::new(|| {
    let tree = toml::parse("devices.toml", include_str!("devices.toml"));
    let own = tree.and_then(|tree| {
        let top = Table::top("devices.toml", &tree)?;
        resolve(&top, &HashMap::new())
    });
    own.unwrap_or_else(|mistake| panic!("the built-in devices: {mistake}"))
});

/// The names of the built-in devices, in alphabetical order.
#[cfg(test)]
pub(super) fn built_in_devices() -> Vec<Arc<Device>> {
    let mut all: Vec<_> = BUILT_IN.values().cloned().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Devices {
    fn read(top: &Table<'_>) -> Result<Self, Mistake> {
        Ok(Self { own: resolve(top, &BUILT_IN)? })
    }

    fn get(&self, name: &Field<'_>) -> Result<Arc<Device>, Mistake> {
        let wanted = name.text()?;
        if let Some(device) = self.own.get(wanted).or_else(|| BUILT_IN.get(wanted)) {
            return Ok(Arc::clone(device));
        }
        let mut known: Vec<&str> =
            self.own.keys().chain(BUILT_IN.keys()).map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        Err(name.mistake(&format!("`{wanted}`: {}", no_such("device", wanted, &known))))
    }
}

/// All of `[device.*]`.
fn resolve(
    top: &Table<'_>,
    built_in: &HashMap<String, Arc<Device>>,
) -> Result<HashMap<String, Arc<Device>>, Mistake> {
    let Some(field) = top.field("device") else { return Ok(HashMap::new()) };
    if let Value::List(_) = field.node.value {
        return Err(field.mistake("expected tables, each under its name as [device.belt]"));
    }
    let all = Table::of(&field)?;
    let defined: Vec<(&str, Field<'_>)> =
        all.fields().map(|(key, field)| (key.name.as_str(), field)).collect();
    let mut done = HashMap::new();
    for (name, field) in &defined {
        device(name, field, &defined, built_in, &mut done, &mut Vec::new())?;
    }
    Ok(done)
}

/// One device with everything it extends. `above` are those that are being resolved.
fn device(
    name: &str,
    field: &Field<'_>,
    defined: &[(&str, Field<'_>)],
    built_in: &HashMap<String, Arc<Device>>,
    done: &mut HashMap<String, Arc<Device>>,
    above: &mut Vec<String>,
) -> Result<Arc<Device>, Mistake> {
    if let Some(device) = done.get(name) {
        return Ok(Arc::clone(device));
    }
    let table = Table::of(field)?;
    table.only(DEVICE_KEYS)?;
    check_id(field, name)?;
    above.push(name.to_owned());
    let base = match table.field("extends") {
        None => None,
        Some(extends) => {
            let wanted = extends.text()?;
            let own = defined.iter().find(|(other, _)| *other == wanted);
            Some(match (own, built_in.get(wanted)) {
                // A device may extend the built-in one of its own name.
                (_, Some(device)) if wanted == name => Arc::clone(device),
                (Some(_), _) if above.iter().any(|other| other == wanted) => {
                    let begin = above.iter().position(|other| other == wanted).unwrap_or(0);
                    let circle = above[begin..].join(" -> ");
                    return Err(extends
                        .mistake(&format!("a device cannot extend itself: {circle} -> {wanted}")));
                }
                (Some((other, field)), _) => device(other, field, defined, built_in, done, above)?,
                (None, Some(device)) => Arc::clone(device),
                (None, None) => {
                    let mut known: Vec<&str> = defined.iter().map(|(name, _)| *name).collect();
                    known.extend(built_in.keys().map(String::as_str));
                    known.sort_unstable();
                    known.dedup();
                    let what = no_such("device", wanted, &known);
                    return Err(extends.mistake(&format!("`{wanted}`: {what}")));
                }
            })
        }
    };
    above.pop();
    let attributes = attributes(&table, base.as_deref())?;
    let sensor_type = match (table.field("type"), &base) {
        (Some(field), _) => checked_name(&field)?.into(),
        (None, Some(base)) => Arc::clone(&base.sensor_type),
        (None, None) => name.into(),
    };
    let sensor_id = match table.field("sensor_id") {
        Some(field) => {
            let pattern = field.text()?;
            if !pattern.contains(WEARER) {
                return Err(field.mistake(&format!(
                    "expected a text with {WEARER}, for the id of whoever wears it"
                )));
            }
            check_id(&field, pattern)?;
            pattern.to_owned()
        }
        None => format!("{WEARER}:{name}"),
    };
    let device = Arc::new(Device { name: name.to_owned(), sensor_type, sensor_id, attributes });
    done.insert(name.to_owned(), Arc::clone(&device));
    Ok(device)
}

/// Those of the base, replaced by those of the same id here, and the others behind them.
fn attributes(table: &Table<'_>, base: Option<&Device>) -> Result<Vec<Attribute>, Mistake> {
    let mut all = base.map_or(Vec::new(), |base| base.attributes.clone());
    let mut own: Vec<Arc<str>> = Vec::new();
    if let Some(field) = table.field("attribute") {
        for item in field.list()? {
            let attribute = attribute(&item)?;
            if own.contains(&attribute.id) {
                return Err(item.mistake(&format!("there are two attributes `{}`", attribute.id)));
            }
            own.push(Arc::clone(&attribute.id));
            match all.iter_mut().find(|other| other.id == attribute.id) {
                Some(other) => *other = attribute,
                None => all.push(attribute),
            }
        }
    }
    match all.len() {
        0 => Err(table.mistake("a device needs at least one attribute")),
        1..=SENSOR_ATTRIBUTE_COUNT_MAX => Ok(all),
        count => Err(table.mistake(&format!(
            "{count} attributes; a sensor has at most {SENSOR_ATTRIBUTE_COUNT_MAX}"
        ))),
    }
}

/// A table, or the name of a model alone.
fn attribute(field: &Field<'_>) -> Result<Attribute, Mistake> {
    if let Value::Text(_) = field.node.value {
        let model = named_model(field)?;
        let id = model.name.into();
        return Ok(Attribute { id, model, rate_hz: model.rate_hz, settings: Vec::new() });
    }
    let table = Table::of(field)?;
    let (id, model) = match (table.field("id"), table.field("model")) {
        (Some(id), Some(model)) => (id.clone(), named_model(&model)?),
        (Some(id), None) => (id.clone(), named_model(&id)?),
        (None, Some(model)) => (model.clone(), named_model(&model)?),
        (None, None) => return Err(table.mistake("`model` is missing")),
    };
    let known: Vec<&str> = ATTRIBUTE_KEYS
        .iter()
        .copied()
        .chain(model.parameters.iter().map(|parameter| parameter.name))
        .collect();
    table.only(&known)?;
    let text = id.text()?;
    if !is_attribute_id(text) {
        return Err(id.mistake(&format!(
            "`{text}`: an attribute's id is 1 to 64 letters, digits, _ and -, the first a letter \
             or digit"
        )));
    }
    let rate_hz = match table.field("rate") {
        Some(field) => rate(&field, model)?,
        None => model.rate_hz,
    };
    Ok(Attribute { id: text.into(), model, rate_hz, settings: settings(&table, model.parameters)? })
}

fn named_model(field: &Field<'_>) -> Result<&'static Model, Mistake> {
    let name = field.text()?;
    // By its own name: one that is only near is a slip here.
    signal::named(name).ok_or_else(|| {
        let what = match signal::model(name) {
            Some(meant) => format!("there is no such model; did you mean `{}`?", meant.name),
            None => {
                let known: Vec<&str> = models().iter().map(|model| model.name).collect();
                no_such("model", name, &known)
            }
        };
        field.mistake(&format!("`{name}`: {what}"))
    })
}

fn rate(field: &Field<'_>, model: &Model) -> Result<f64, Mistake> {
    let rate_hz = match field.node.value {
        Value::Whole(number) => number as f64,
        Value::Number(number) => number,
        _ => return Err(field.expected("samples per second")),
    };
    if rate_hz.is_nan() || rate_hz <= 0.0 {
        return Err(field.mistake(&format!("{rate_hz} Hz: a rate is more than 0 Hz")));
    }
    if rate_hz > RATE_HZ_MAX {
        return Err(field.mistake(&format!(
            "{rate_hz} Hz: at most {RATE_HZ_MAX} Hz, since stamps are whole milliseconds"
        )));
    }
    if rate_hz < RATE_HZ_MIN {
        return Err(field.mistake(&format!("{rate_hz} Hz: at least {RATE_HZ_MIN} Hz")));
    }
    if rate_hz > model.rate_hz_max {
        let (name, most) = (model.name, model.rate_hz_max);
        return Err(field.mistake(&format!("{rate_hz} Hz: `{name}` has at most {most} Hz")));
    }
    Ok(rate_hz)
}

/// Those of `parameters` that the table sets.
fn settings(table: &Table<'_>, parameters: &'static [Parameter]) -> Result<Vec<Setting>, Mistake> {
    let mut settings = Vec::new();
    for parameter in parameters {
        let Some(field) = table.field(parameter.name) else { continue };
        let value = match parameter.sort {
            Sort::Number { min, max, .. } => {
                Chosen::Number(field.drawn(min..=max, parameter.unit)?)
            }
            Sort::Flag { .. } => Chosen::Flag(field.flag()?),
            Sort::Word { choices, .. } => {
                let words = field.texts()?;
                if words.is_empty() {
                    return Err(field.mistake("an empty list: there is nothing to draw from"));
                }
                let words = words.iter().map(|word| word.word("word", choices));
                Chosen::Words(words.collect::<Result<_, _>>()?)
            }
        };
        settings.push(Setting { name: parameter.name, value });
    }
    Ok(settings)
}

// --- people and places ---

fn group(field: &Field<'_>, are_people: bool, devices: &Devices) -> Result<Group, Mistake> {
    let table = Table::of(field)?;
    let mut known = BODY_KEYS.to_vec();
    if are_people {
        known.push("breathe_with");
        known.extend(PARAMETERS.iter().map(|parameter| parameter.name));
    }
    table.only(&known)?;
    let names: Option<Vec<String>> = match table.field("names") {
        None => None,
        Some(field) => {
            let names = field.texts()?;
            if names.is_empty() {
                return Err(field.mistake("an empty list: nobody is there"));
            }
            Some(names.iter().map(checked_name).collect::<Result<_, _>>()?)
        }
    };
    let count = match (table.field("count"), &names) {
        (None, None) => 1,
        (None, Some(names)) => names.len(),
        (Some(field), names) => {
            let count = field.whole(1..=BODY_COUNT_MAX as i64)? as usize;
            if let Some(names) = names
                && names.len() != count
            {
                return Err(field.mistake(&format!("{count}, and {} names", names.len())));
            }
            count
        }
    };
    let id = match (table.field("id"), &names) {
        (Some(field), _) => {
            let id = field.text()?;
            check_id(&field, id)?;
            id.to_owned()
        }
        (None, Some(names)) => id_of_name(&names[0]),
        (None, None) => return Err(table.mistake("`id` is missing")),
    };
    let members = match (names, table.field("name")) {
        (Some(_), Some(field)) => {
            return Err(field.mistake("there are `names` as well: one of the two is enough"));
        }
        (Some(names), None) => {
            Members::Named { ids_from_names: table.field("id").is_none(), names }
        }
        (None, Some(field)) => Members::Numbered { name: checked_name(&field)? },
        (None, None) => Members::Numbered { name: capitalised(&id) },
    };
    let worn = table.needed("devices")?;
    let mut worn_devices: Vec<Arc<Device>> = Vec::new();
    for name in worn.texts()? {
        let device = devices.get(&name)?;
        if worn_devices.iter().any(|other| other.name == device.name) {
            return Err(name.mistake(&format!("`{}` is there twice", device.name)));
        }
        worn_devices.push(device);
    }
    if worn_devices.is_empty() {
        return Err(worn.mistake("an empty list: whoever is there has at least one device"));
    }
    let name_of = |key: &str| match table.field(key) {
        Some(field) => checked_name(&field).map(|name| Some(name.into())),
        None => Ok(None),
    };
    let spread_m = match table.field("spread_m") {
        None => 0.0,
        Some(field) if table.field("position").is_none() => {
            return Err(field.mistake("around what? `position` is missing"));
        }
        Some(field) => field.number(0.0..=SPREAD_M_MAX, "m")?,
    };
    Ok(Group {
        id,
        members,
        count,
        are_people,
        room: name_of("room")?,
        devices: worn_devices,
        settings: if are_people { settings(&table, PARAMETERS)? } else { Vec::new() },
        breathe_with: match table.field("breathe_with") {
            Some(field) => Some(breathe_with(&field)?),
            None => None,
        },
        position: match table.field("position") {
            Some(field) => Some(position(&field)?),
            None => None,
        },
        spread_m,
        connector_id: name_of("connector_id")?,
        connector_name: name_of("connector_name")?,
    })
}

fn breathe_with(field: &Field<'_>) -> Result<BreatheWith, Mistake> {
    let table = Table::of(field)?;
    table.only(BREATHE_KEYS)?;
    Ok(BreatheWith {
        group: checked_name(&table.needed("group")?)?,
        strength: match table.field("strength") {
            Some(field) => field.drawn(0.0..=1.0, "")?,
            None => Drawn::Is(1.0),
        },
        lag_s: match table.field("lag") {
            Some(field) => field.drawn(-60.0..=60.0, "s")?,
            None => Drawn::Is(0.0),
        },
        breaths_per_min: match table.field("breathing_rate") {
            Some(field) => Some(field.number(3.0..=40.0, "1/min")?),
            None => None,
        },
    })
}

fn position(field: &Field<'_>) -> Result<(f64, f64), Mistake> {
    let items = field.list()?;
    let [latitude, longitude] = items.as_slice() else {
        return Err(field.mistake("expected [latitude, longitude] in degrees"));
    };
    Ok((latitude.number(-90.0..=90.0, "degrees")?, longitude.number(-180.0..=180.0, "degrees")?))
}

fn checked_name(field: &Field<'_>) -> Result<String, Mistake> {
    let name = field.text()?;
    match name.len() {
        0 => Err(field.mistake("an empty text")),
        1..=NAME_BYTES_MAX if name.contains(char::is_control) => {
            Err(field.mistake("a character that cannot be shown"))
        }
        1..=NAME_BYTES_MAX => Ok(name.to_owned()),
        bytes => Err(field.mistake(&format!("{bytes} bytes; at most {NAME_BYTES_MAX}"))),
    }
}

fn check_id(field: &Field<'_>, id: &str) -> Result<(), Mistake> {
    match id.len() {
        0 => Err(field.mistake("an empty text")),
        _ if id.contains(char::is_control) => {
            Err(field.mistake("a character that cannot be shown"))
        }
        _ if id.starts_with(RESERVED_NAME_PREFIX) => Err(field
            .mistake(&format!("`{id}`: ids that begin with {RESERVED_NAME_PREFIX} are reserved"))),
        1..=ID_BYTES_MAX => Ok(()),
        bytes => Err(field.mistake(&format!("{bytes} bytes; an id has at most {ID_BYTES_MAX}"))),
    }
}

fn capitalised(id: &str) -> String {
    let mut letters = id.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

// --- the whole of it ---

fn count_all(groups: &[Group], fields: &[Field<'_>]) -> Result<(), Mistake> {
    let (mut bodies, mut sensors, mut streams) = (0, 0, 0);
    for (group, field) in groups.iter().zip(fields) {
        let attributes: usize = group.devices.iter().map(|device| device.attributes.len()).sum();
        bodies += group.count;
        sensors += group.count * group.devices.len();
        streams += group.count * attributes;
        for (count, most, what) in [
            (bodies, BODY_COUNT_MAX, "people and places"),
            (sensors, SENSOR_COUNT_MAX, "sensors"),
            (streams, STREAM_COUNT_MAX, "attributes of sensors"),
        ] {
            if count > most {
                return Err(field.mistake(&format!(
                    "with these there are {count} {what}; a scenario has at most {most}"
                )));
            }
        }
    }
    Ok(())
}

fn refuse_doubles(groups: &[Group], fields: &[Field<'_>]) -> Result<(), Mistake> {
    let mut group_ids: HashMap<&str, usize> = HashMap::new();
    let mut body_ids: HashMap<String, usize> = HashMap::new();
    let mut sensor_ids: HashMap<String, usize> = HashMap::new();
    for (group, field) in groups.iter().zip(fields) {
        let line = field.node.line;
        let twice = |what: &str, id: &str, first: usize| {
            let place =
                if first == line { "here".to_owned() } else { format!("in line {first} and here") };
            field.mistake(&format!("the {what} `{id}` is there twice: {place}"))
        };
        if let Some(first) = group_ids.insert(&group.id, line) {
            return Err(twice("id", &group.id, first));
        }
        for n in 0..group.count {
            let id = group.member_id(n);
            for device in &group.devices {
                let sensor_id = device.id_on(&id);
                if sensor_id.len() > NAME_BYTES_MAX {
                    return Err(field.mistake(&format!(
                        "the sensor id `{sensor_id}` has {} bytes; at most {NAME_BYTES_MAX}",
                        sensor_id.len()
                    )));
                }
                if let Some(first) = sensor_ids.insert(sensor_id.clone(), line) {
                    return Err(twice("sensor", &sensor_id, first));
                }
            }
            if let Some(first) = body_ids.insert(id.clone(), line) {
                return Err(twice("id", &id, first));
            }
        }
    }
    Ok(())
}

/// Whoever breathes with a group breathes at its rate.
fn refuse_discord(groups: &[Group], fields: &[Field<'_>]) -> Result<(), Mistake> {
    let mut rates: HashMap<&str, (Option<f64>, usize)> = HashMap::new();
    for (group, field) in groups.iter().zip(fields) {
        let Some(with) = &group.breathe_with else { continue };
        let (rate, line) =
            *rates.entry(&with.group).or_insert((with.breaths_per_min, field.node.line));
        if rate != with.breaths_per_min {
            let said = |rate: Option<f64>| match rate {
                Some(rate) => format!("{rate} per minute"),
                None => "a drawn rate".to_owned(),
            };
            return Err(field.mistake(&format!(
                "the group `{}` breathes at {} in line {line}, and at {} here",
                with.group,
                said(rate),
                said(with.breaths_per_min)
            )));
        }
    }
    Ok(())
}

// --- viewers, faults, schedule ---

fn crowd(field: &Field<'_>, rooms: &[&str], others: &[CrowdSpec]) -> Result<CrowdSpec, Mistake> {
    let table = Table::of(field)?;
    table.only(VIEWER_KEYS)?;
    let mut crowd = CrowdSpec::default();
    if let Some(field) = table.field("name") {
        crowd.name = checked_name(&field)?;
    }
    if others.iter().any(|other| other.name == crowd.name) {
        return Err(field.mistake(&format!("there are two crowds `{}`", crowd.name)));
    }
    if let Some(field) = table.field("count") {
        crowd.count = field.whole(1..=VIEWER_COUNT_MAX as i64)? as usize;
    }
    let all = crowd.count + others.iter().map(|other| other.count).sum::<usize>();
    if all > VIEWER_COUNT_MAX {
        return Err(field.mistake(&format!(
            "with these there are {all} viewers; a scenario has at most {VIEWER_COUNT_MAX}"
        )));
    }
    if let Some(field) = table.field("room") {
        let mut known = rooms.to_vec();
        known.sort_unstable();
        known.dedup();
        crowd.room = Some(field.word("room", &known)?.to_owned());
    }
    if let Some(field) = table.field("watch") {
        crowd.watch = field.whole(1..=SENSOR_COUNT_MAX as i64)? as usize;
    }
    if let Some(field) = table.field("quality") {
        let name = field.word("quality", &Quality::CHOICES.map(Quality::name))?;
        crowd.quality = Quality::from_name(name).expect("it is one of them");
    }
    if let Some(field) = table.field("form") {
        crowd.form = match field.word("form", &["binary", "json"])? {
            "json" => Form::Json,
            _ => Form::Binary,
        };
    }
    for (key, range) in [
        ("arrive", &mut crowd.arrive_s),
        ("stay", &mut crowd.stay_s),
        ("return", &mut crowd.return_s),
        ("scroll", &mut crowd.scroll_s),
        ("hover", &mut crowd.hover_s),
        ("focus", &mut crowd.focus_s),
        ("pin", &mut crowd.pin_s),
        ("hide", &mut crowd.hide_s),
        ("hidden", &mut crowd.hidden_s),
        ("quality_change", &mut crowd.quality_s),
    ] {
        if let Some(field) = table.field(key) {
            *range = field.seconds_range()?;
        }
    }
    if let Some(field) = table.field("battery") {
        crowd.battery = battery(&field, crowd.battery)?;
    }
    if let Some(field) = table.field("network") {
        crowd.network = network(&field)?;
    }
    Ok(crowd)
}

fn battery(field: &Field<'_>, mut battery: BatteryHabit) -> Result<BatteryHabit, Mistake> {
    let table = Table::of(field)?;
    table.only(&["share", "hours"])?;
    if let Some(field) = table.field("share") {
        battery.share = field.number(0.0..=1.0, "")?;
    }
    if let Some(field) = table.field("hours") {
        battery.hours = field.drawn(0.01..=10_000.0, "h")?.ends();
    }
    Ok(battery)
}

/// `"fast"`, `"dead"`, or how long it stalls and what is between two stalls.
fn network(field: &Field<'_>) -> Result<Network, Mistake> {
    if let Value::Text(_) = field.node.value {
        return Ok(match field.word("network", &["fast", "dead"])? {
            "dead" => Network::Dead,
            _ => Network::Fast,
        });
    }
    let table = Table::of(field)?;
    table.only(&["stall", "every"])?;
    Ok(Network::Slow {
        stall_s: table.needed("stall")?.seconds_range()?,
        every_s: table.needed("every")?.seconds_range()?,
    })
}

fn fault(field: &Field<'_>) -> Result<FaultSpec, Mistake> {
    let table = Table::of(field)?;
    table.only(FAULT_KEYS)?;
    let name = table.needed("kind")?.word("fault", &FaultKind::ALL.map(FaultKind::name))?;
    let kind = FaultKind::from_name(name).expect("it is one of them");
    let amount = match (table.field("amount"), kind.unit()) {
        (None, None) => 0.0,
        (Some(field), None) => {
            return Err(field.mistake(&format!("`{name}` has no amount: it is there or not")));
        }
        (Some(field), Some(unit)) => {
            let unit = if unit.starts_with("share") { "" } else { unit };
            field.number(0.0..=kind.amount_max(), unit)?
        }
        (None, Some(unit)) => {
            return Err(table.mistake(&format!("`amount` is missing: `{name}` in {unit}")));
        }
    };
    let range = |key: &str, default| match table.field(key) {
        Some(field) => field.seconds_range(),
        None => Ok(default),
    };
    Ok(FaultSpec {
        kind,
        share: match table.field("share") {
            Some(field) => field.number(0.0..=1.0, "")?,
            None => 1.0,
        },
        every_s: range("every", (60.0, 60.0))?,
        lasts_s: range("lasts", (5.0, 5.0))?,
        amount,
    })
}

/// Who is there when. A group whose first word is `comes` is not there before.
fn schedule(entries: &[Field<'_>], groups: &[Group]) -> Result<Schedule, Mistake> {
    let known: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    let mut words: Vec<(i64, bool, usize, Field<'_>)> = Vec::new();
    for field in entries {
        let table = Table::of(field)?;
        table.only(SCHEDULE_KEYS)?;
        let at = table.needed("at")?;
        let at_s = at.seconds()?;
        if at_s.is_infinite() {
            return Err(at.mistake("never is no time"));
        }
        let before = words.len();
        for (key, comes) in [("comes", true), ("leaves", false)] {
            let Some(field) = table.field(key) else { continue };
            for name in field.texts()? {
                let id = name.word("group", &known)?;
                let group = known.iter().position(|known| *known == id).expect("it is known");
                words.push(((at_s * 1000.0).round() as i64, comes, group, name));
            }
        }
        if words.len() == before {
            return Err(table.mistake("nobody comes and nobody leaves"));
        }
    }
    words.sort_by_key(|(at, ..)| *at);
    let mut presence: Vec<(usize, Vec<(i64, i64)>)> = Vec::new();
    for (at, comes, group, field) in words {
        let known = presence.iter_mut().find(|(other, _)| *other == group);
        let spans = match known {
            Some((_, spans)) => spans,
            None => {
                presence.push((group, if comes { vec![] } else { vec![(i64::MIN, FOREVER_MS)] }));
                &mut presence.last_mut().expect("it was pushed").1
            }
        };
        let there = spans.last().is_some_and(|(_, to)| *to == FOREVER_MS);
        let id = known_id(groups, group);
        match (comes, there) {
            (true, false) if spans.last().is_some_and(|(_, to)| *to >= at) => {
                return Err(field.mistake(&format!("`{id}` leaves and comes at the same time")));
            }
            (true, false) => spans.push((at, FOREVER_MS)),
            (false, true) if spans.last().is_some_and(|(from, _)| *from >= at) => {
                return Err(field.mistake(&format!("`{id}` comes and leaves at the same time")));
            }
            (false, true) => spans.last_mut().expect("it is there").1 = at,
            (true, true) => return Err(field.mistake(&format!("`{id}` is there already"))),
            (false, false) => return Err(field.mistake(&format!("`{id}` is not there"))),
        }
    }
    Ok(Schedule(presence))
}

fn known_id(groups: &[Group], group: usize) -> &str {
    &groups[group].id
}

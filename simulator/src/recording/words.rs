//! The strict plane as JSON: every command by name, so that anyone can read who measured what.

use std::borrow::Cow;

use components::attention::Battery;
use components::attribute::AttributeType;
use components::class::Class;
use components::command::{Attention, Command, Refused, SensorCard, SensorSet, Target};
use components::group::{GroupPlan, Signal, Tier};
use components::id::{FeedId, GroupId, Handle, RoomId, ViewerId};
use components::ledger::Reason;
use components::load::{Load, LoadLevel};
use components::pressure::{Pressures, Resource, SocketReport};
use components::viewer::QualityChoice;
use serde::{Deserialize, Serialize};

/// What was said in one tick.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spoken<'a> {
    /// From 1.
    pub tick: u64,
    #[serde(borrow)]
    pub commands: Vec<Word<'a>>,
    /// Samples that a door refused since the last tick, by class and reason.
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Away<'a>>,
}

/// What was turned away: class, reason, count.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Away<'a> {
    Of(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>, u64),
    /// Formats 1 and 2 do not say of which class.
    OfAny(#[serde(borrow)] Cow<'a, str>, u64),
}

/// Feeds, viewers, and groups, that a recording may hold at once.
pub const SLOT_COUNT_MAX: u32 = 1 << 22;

/// Bytes of all that is said in one block.
pub const WORDS_BYTES_MAX: usize = 1 << 26;

/// Whether all that `command` opens is below [`SLOT_COUNT_MAX`].
pub(super) fn is_recordable(command: &Command) -> bool {
    match command {
        Command::OpenFeed { feed, .. } => feed.0.slot < SLOT_COUNT_MAX,
        Command::OpenViewer { viewer, .. } => viewer.0.slot < SLOT_COUNT_MAX,
        Command::OpenGroup { group, .. } => group.0.slot < SLOT_COUNT_MAX,
        _ => true,
    }
}

/// Slot and generation.
type Pair = (u32, u32);

/// A [`Command`], in words.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Word<'a> {
    OpenFeed {
        feed: Pair,
        #[serde(borrow)]
        card: Card<'a>,
        #[serde(borrow)]
        owner: Cow<'a, str>,
    },
    DeclareAttribute {
        feed: Pair,
        index: u16,
        #[serde(borrow)]
        attribute_id: Cow<'a, str>,
        #[serde(borrow)]
        kind: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate_hz: Option<Number>,
    },
    ForgetAttribute {
        feed: Pair,
        #[serde(borrow)]
        attribute_id: Cow<'a, str>,
    },
    RenameConnector {
        feed: Pair,
        #[serde(borrow)]
        connector_name: Cow<'a, str>,
    },
    CloseFeed {
        feed: Pair,
    },
    Retire {
        feed: Pair,
    },
    OpenViewer {
        viewer: Pair,
        #[serde(borrow)]
        sensors: Sensors<'a>,
        #[serde(borrow)]
        quality: Cow<'a, str>,
    },
    SetSensors {
        viewer: Pair,
        #[serde(borrow)]
        sensors: Sensors<'a>,
    },
    SetQuality {
        viewer: Pair,
        #[serde(borrow)]
        quality: Cow<'a, str>,
    },
    Attend {
        viewer: Pair,
        #[serde(borrow)]
        attention: Looks<'a>,
    },
    Renew {
        viewer: Pair,
    },
    TellDevice {
        viewer: Pair,
        #[serde(borrow)]
        sensor_id: Cow<'a, str>,
        #[serde(borrow)]
        words: Cow<'a, str>,
    },
    CloseViewer {
        viewer: Pair,
    },
    SetRoom {
        room: Pair,
        #[serde(borrow)]
        sensors: Vec<Cow<'a, str>>,
    },
    EnterRoom {
        viewer: Pair,
        room: Pair,
    },
    CloseRoom {
        room: Pair,
    },
    ReportHealth {
        viewer: Pair,
        score: u8,
    },
    /// Viewer, milliseconds, bytes.
    ReportSockets {
        sockets: Vec<(Pair, u32, u32)>,
    },
    Press {
        /// By the names of resources; those at zero may be left out.
        #[serde(borrow)]
        used: Vec<(Cow<'a, str>, Number)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        age_p99_ms: Option<Number>,
        unix_ms: i64,
        utc_offset_minutes: i16,
    },
    OpenGroup {
        group: Pair,
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        signal: Cow<'a, str>,
        #[serde(borrow)]
        tier: Cow<'a, str>,
        #[serde(borrow)]
        sensors: Sensors<'a>,
        #[serde(borrow)]
        attribute_id: Cow<'a, str>,
    },
    WatchGroup {
        viewer: Pair,
        group: Pair,
    },
    UnwatchGroup {
        viewer: Pair,
        group: Pair,
    },
    SetLoad {
        #[serde(borrow)]
        level: Cow<'a, str>,
        memory_protection: bool,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Card<'a> {
    #[serde(borrow)]
    sensor_id: Cow<'a, str>,
    #[serde(borrow)]
    sensor_name: Cow<'a, str>,
    #[serde(borrow)]
    sensor_type: Cow<'a, str>,
    #[serde(borrow)]
    connector_id: Cow<'a, str>,
    #[serde(borrow)]
    connector_name: Cow<'a, str>,
    sampling_rate: Number,
}

/// A float. JSON has no infinities: the bits then, in hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Finite(f64),
    Bits(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Sensors<'a> {
    /// The word `all`.
    All(&'a str),
    #[serde(borrow)]
    Ids(Vec<Cow<'a, str>>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Looks<'a> {
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    visible: Option<Vec<Cow<'a, str>>>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    hovered: Vec<At<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    focused: Vec<At<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    pinned: Vec<At<'a>>,
    hidden: bool,
    #[serde(borrow)]
    battery: Cow<'a, str>,
}

/// A sensor, and perhaps one attribute of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct At<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Option<Cow<'a, str>>);

const ALL: &str = "all";

impl<'a> Spoken<'a> {
    pub(super) fn of(tick: u64, commands: &'a [Command], refused: &[Refused]) -> Self {
        Self {
            tick,
            commands: commands.iter().map(Word::of).collect(),
            refused: refused
                .iter()
                .map(|(class, reason, n)| Away::Of(class.name().into(), reason.name().into(), *n))
                .collect(),
        }
    }

    /// The commands behind those in `commands`, the refusals behind those in `refused`. An error
    /// names the word that was not understood.
    pub(super) fn give(
        self,
        commands: &mut Vec<Command>,
        refused: &mut Vec<Refused>,
    ) -> Result<(), String> {
        for word in self.commands {
            commands.push(word.command()?);
        }
        for away in self.refused {
            let (class, name, count) = match away {
                Away::Of(class, name, count) => (class, name, count),
                Away::OfAny(name, count) => (Class::Environment.name().into(), name, count),
            };
            let known = Class::from_name(&class).ok_or_else(|| format!("the class {class:?}"))?;
            let reason = Reason::ALL.into_iter().find(|reason| reason.name() == name);
            refused.push((known, reason.ok_or_else(|| format!("the reason {name:?}"))?, count));
        }
        Ok(())
    }
}

impl<'a> Word<'a> {
    fn of(command: &'a Command) -> Self {
        match command {
            Command::OpenFeed { feed, card, owner } => Self::OpenFeed {
                feed: pair(feed.0),
                card: Card {
                    sensor_id: text(&card.sensor_id),
                    sensor_name: text(&card.sensor_name),
                    sensor_type: text(&card.sensor_type),
                    connector_id: text(&card.connector_id),
                    connector_name: text(&card.connector_name),
                    sampling_rate: Number::of(card.sampling_rate),
                },
                owner: text(owner),
            },
            Command::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
                Self::DeclareAttribute {
                    feed: pair(feed.0),
                    index: *index,
                    attribute_id: text(attribute_id),
                    kind: text(kind.name()),
                    rate_hz: rate_hz.map(Number::of),
                }
            }
            Command::ForgetAttribute { feed, attribute_id } => {
                Self::ForgetAttribute { feed: pair(feed.0), attribute_id: text(attribute_id) }
            }
            Command::RenameConnector { feed, connector_name } => {
                Self::RenameConnector { feed: pair(feed.0), connector_name: text(connector_name) }
            }
            Command::CloseFeed { feed } => Self::CloseFeed { feed: pair(feed.0) },
            Command::Retire { feed } => Self::Retire { feed: pair(feed.0) },
            Command::OpenViewer { viewer, sensors, quality } => Self::OpenViewer {
                viewer: pair(viewer.0),
                sensors: Sensors::of(sensors),
                quality: text(quality.name()),
            },
            Command::SetSensors { viewer, sensors } => {
                Self::SetSensors { viewer: pair(viewer.0), sensors: Sensors::of(sensors) }
            }
            Command::SetQuality { viewer, quality } => {
                Self::SetQuality { viewer: pair(viewer.0), quality: text(quality.name()) }
            }
            Command::Attend { viewer, attention } => {
                Self::Attend { viewer: pair(viewer.0), attention: Looks::of(attention) }
            }
            Command::Renew { viewer } => Self::Renew { viewer: pair(viewer.0) },
            Command::TellDevice { viewer, sensor_id, words } => Self::TellDevice {
                viewer: pair(viewer.0),
                sensor_id: text(sensor_id),
                words: text(words),
            },
            Command::CloseViewer { viewer } => Self::CloseViewer { viewer: pair(viewer.0) },
            Command::SetRoom { room, sensors } => Self::SetRoom {
                room: pair(room.0),
                sensors: sensors.iter().map(|id| text(id)).collect(),
            },
            Command::EnterRoom { viewer, room } => {
                Self::EnterRoom { viewer: pair(viewer.0), room: pair(room.0) }
            }
            Command::CloseRoom { room } => Self::CloseRoom { room: pair(room.0) },
            Command::ReportHealth { viewer, score } => {
                Self::ReportHealth { viewer: pair(viewer.0), score: *score }
            }
            Command::ReportSockets(reports) => Self::ReportSockets {
                sockets: reports
                    .iter()
                    .map(|report| (pair(report.viewer.0), report.age_ms, report.bytes))
                    .collect(),
            },
            Command::Press(pressures) => Self::Press {
                used: Resource::ALL
                    .into_iter()
                    .map(|resource| (resource, pressures.used[resource as usize]))
                    .filter(|(_, used)| *used != 0.0)
                    .map(|(resource, used)| (text(resource.name()), Number::of(used.into())))
                    .collect(),
                age_p99_ms: pressures.age_p99_ms.map(|age| Number::of(age.into())),
                unix_ms: pressures.unix_ms,
                utc_offset_minutes: pressures.utc_offset_minutes,
            },
            Command::OpenGroup { group, plan } => Self::OpenGroup {
                group: pair(group.0),
                name: text(&plan.name),
                signal: text(plan.signal.name()),
                tier: text(plan.tier.name()),
                sensors: Sensors::of(&plan.sensors),
                attribute_id: text(&plan.attribute_id),
            },
            Command::WatchGroup { viewer, group } => {
                Self::WatchGroup { viewer: pair(viewer.0), group: pair(group.0) }
            }
            Command::UnwatchGroup { viewer, group } => {
                Self::UnwatchGroup { viewer: pair(viewer.0), group: pair(group.0) }
            }
            Command::SetLoad(load) => Self::SetLoad {
                level: text(load.level.name()),
                memory_protection: load.memory_protection,
            },
        }
    }

    fn command(self) -> Result<Command, String> {
        Ok(match self {
            Self::OpenFeed { feed, card, owner } => Command::OpenFeed {
                feed: feed_of(opened(feed)?),
                card: Box::new(SensorCard {
                    sensor_id: card.sensor_id.into(),
                    sensor_name: card.sensor_name.into(),
                    sensor_type: card.sensor_type.into(),
                    connector_id: card.connector_id.into(),
                    connector_name: card.connector_name.into(),
                    sampling_rate: card.sampling_rate.value()?,
                }),
                owner: owner.into(),
            },
            Self::DeclareAttribute { feed, index, attribute_id, kind, rate_hz } => {
                Command::DeclareAttribute {
                    feed: feed_of(feed),
                    index,
                    attribute_id: attribute_id.into(),
                    kind: AttributeType::from_name(&kind)
                        .ok_or_else(|| format!("the attribute type {kind:?}"))?,
                    rate_hz: rate_hz.map(Number::value).transpose()?,
                }
            }
            Self::ForgetAttribute { feed, attribute_id } => {
                Command::ForgetAttribute { feed: feed_of(feed), attribute_id: attribute_id.into() }
            }
            Self::RenameConnector { feed, connector_name } => Command::RenameConnector {
                feed: feed_of(feed),
                connector_name: connector_name.into(),
            },
            Self::CloseFeed { feed } => Command::CloseFeed { feed: feed_of(feed) },
            Self::Retire { feed } => Command::Retire { feed: feed_of(feed) },
            Self::OpenViewer { viewer, sensors, quality } => Command::OpenViewer {
                viewer: viewer_of(opened(viewer)?),
                sensors: sensors.set()?,
                quality: quality_of(&quality)?,
            },
            Self::SetSensors { viewer, sensors } => {
                Command::SetSensors { viewer: viewer_of(viewer), sensors: sensors.set()? }
            }
            Self::SetQuality { viewer, quality } => {
                Command::SetQuality { viewer: viewer_of(viewer), quality: quality_of(&quality)? }
            }
            Self::Attend { viewer, attention } => Command::Attend {
                viewer: viewer_of(viewer),
                attention: Box::new(attention.attention()?),
            },
            Self::Renew { viewer } => Command::Renew { viewer: viewer_of(viewer) },
            Self::TellDevice { viewer, sensor_id, words } => Command::TellDevice {
                viewer: viewer_of(viewer),
                sensor_id: sensor_id.into(),
                words: words.into(),
            },
            Self::CloseViewer { viewer } => Command::CloseViewer { viewer: viewer_of(viewer) },
            Self::SetRoom { room, sensors } => Command::SetRoom {
                room: room_of(room),
                sensors: sensors.into_iter().map(Box::from).collect(),
            },
            Self::EnterRoom { viewer, room } => {
                Command::EnterRoom { viewer: viewer_of(viewer), room: room_of(room) }
            }
            Self::CloseRoom { room } => Command::CloseRoom { room: room_of(room) },
            Self::ReportHealth { viewer, score } => {
                Command::ReportHealth { viewer: viewer_of(viewer), score }
            }
            Self::ReportSockets { sockets } => Command::ReportSockets(
                sockets
                    .into_iter()
                    .map(|(viewer, age_ms, bytes)| SocketReport {
                        viewer: viewer_of(viewer),
                        age_ms,
                        bytes,
                    })
                    .collect(),
            ),
            Self::Press { used, age_p99_ms, unix_ms, utc_offset_minutes } => {
                let mut pressures =
                    Pressures { unix_ms, utc_offset_minutes, ..Pressures::default() };
                for (name, used) in used {
                    let resource = Resource::from_name(&name);
                    let resource = resource.ok_or_else(|| format!("the resource {name:?}"))?;
                    pressures.used[resource as usize] = used.value()? as f32;
                }
                pressures.age_p99_ms =
                    age_p99_ms.map(Number::value).transpose()?.map(|age| age as f32);
                Command::Press(Box::new(pressures))
            }
            Self::OpenGroup { group, name, signal, tier, sensors, attribute_id } => {
                let plan = GroupPlan {
                    name: name.into(),
                    signal: Signal::from_name(&signal)
                        .ok_or_else(|| format!("the signal {signal:?}"))?,
                    tier: Tier::from_name(&tier).ok_or_else(|| format!("the tier {tier:?}"))?,
                    sensors: sensors.set()?,
                    attribute_id: attribute_id.into(),
                };
                Command::OpenGroup { group: group_of(opened(group)?), plan: Box::new(plan) }
            }
            Self::WatchGroup { viewer, group } => {
                Command::WatchGroup { viewer: viewer_of(viewer), group: group_of(group) }
            }
            Self::UnwatchGroup { viewer, group } => {
                Command::UnwatchGroup { viewer: viewer_of(viewer), group: group_of(group) }
            }
            Self::SetLoad { level, memory_protection } => {
                let found = LoadLevel::ALL.into_iter().find(|known| known.name() == level);
                let level = found.ok_or_else(|| format!("the load level {level:?}"))?;
                Command::SetLoad(Load { level, memory_protection })
            }
        })
    }
}

impl Number {
    fn of(value: f64) -> Self {
        if value.is_finite() {
            Self::Finite(value)
        } else {
            Self::Bits(format!("{:016x}", value.to_bits()))
        }
    }

    fn value(self) -> Result<f64, String> {
        match self {
            Self::Finite(value) => Ok(value),
            Self::Bits(text) => u64::from_str_radix(&text, 16)
                .map(f64::from_bits)
                .map_err(|_| format!("the number {text:?}")),
        }
    }
}

impl<'a> Sensors<'a> {
    fn of(set: &'a SensorSet) -> Self {
        match set {
            SensorSet::All => Self::All(ALL),
            SensorSet::Ids(ids) => Self::Ids(ids.iter().map(|id| text(id)).collect()),
        }
    }

    fn set(self) -> Result<SensorSet, String> {
        match self {
            Self::All(ALL) => Ok(SensorSet::All),
            Self::All(other) => Err(format!("the sensors {other:?}")),
            Self::Ids(ids) => Ok(SensorSet::Ids(boxed(ids))),
        }
    }
}

impl<'a> Looks<'a> {
    fn of(attention: &'a Attention) -> Self {
        let at = |targets: &'a [Target]| -> Vec<At<'a>> {
            let at = |target: &'a Target| {
                At(text(&target.sensor_id), target.attribute_id.as_deref().map(text))
            };
            targets.iter().map(at).collect()
        };
        let visible = attention.visible.as_ref();
        Self {
            visible: visible.map(|ids| ids.iter().map(|id| text(id)).collect()),
            hovered: at(&attention.hovered),
            focused: at(&attention.focused),
            pinned: at(&attention.pinned),
            hidden: attention.hidden,
            battery: text(match attention.battery {
                Battery::Normal => "normal",
                Battery::Low => "low",
                Battery::Critical => "critical",
            }),
        }
    }

    fn attention(self) -> Result<Attention, String> {
        let targets = |list: Vec<At<'_>>| -> Vec<Target> {
            let target =
                |at: At<'_>| Target { sensor_id: at.0.into(), attribute_id: at.1.map(Box::from) };
            list.into_iter().map(target).collect()
        };
        Ok(Attention {
            visible: self.visible.map(boxed),
            hovered: targets(self.hovered),
            focused: targets(self.focused),
            pinned: targets(self.pinned),
            hidden: self.hidden,
            battery: match &*self.battery {
                "normal" => Battery::Normal,
                "low" => Battery::Low,
                "critical" => Battery::Critical,
                other => return Err(format!("the battery {other:?}")),
            },
        })
    }
}

fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn boxed(ids: Vec<Cow<'_, str>>) -> Vec<Box<str>> {
    ids.into_iter().map(Box::from).collect()
}

fn pair(handle: Handle) -> Pair {
    (handle.slot, handle.generation)
}

fn feed_of((slot, generation): Pair) -> FeedId {
    FeedId(Handle { slot, generation })
}

fn viewer_of((slot, generation): Pair) -> ViewerId {
    ViewerId(Handle { slot, generation })
}

fn room_of((slot, generation): Pair) -> RoomId {
    RoomId(Handle { slot, generation })
}

fn group_of((slot, generation): Pair) -> GroupId {
    GroupId(Handle { slot, generation })
}

/// A handle that opens something: the engine keeps a place for every slot below it.
fn opened(pair: Pair) -> Result<Pair, String> {
    if pair.0 < SLOT_COUNT_MAX { Ok(pair) } else { Err(format!("the slot {}", pair.0)) }
}

fn quality_of(name: &str) -> Result<QualityChoice, String> {
    QualityChoice::from_name(name).ok_or_else(|| format!("the quality {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats 1 and 2 do not say of which class.
    #[test]
    fn what_was_turned_away_is_read_in_every_format() {
        let read = |text: &str| {
            let mut refused = Vec::new();
            let spoken: Spoken<'_> = serde_json::from_str(text).unwrap();
            spoken.give(&mut Vec::new(), &mut refused).map(|()| refused)
        };
        let of =
            |refused: &str| read(&format!(r#"{{"tick":1,"commands":[],"refused":[{refused}]}}"#));
        assert_eq!(of(r#"["bio","shed",12]"#), Ok(vec![(Class::Bio, Reason::Shed, 12)]));
        assert_eq!(of(r#"["paced",3]"#), Ok(vec![(Class::Environment, Reason::Paced, 3)]));
        assert_eq!(of(r#"["tea","shed",1]"#), Err("the class \"tea\"".into()));
        assert_eq!(of(r#"["bio","tea",1]"#), Err("the reason \"tea\"".into()));
        let refused = vec![(Class::Motion, Reason::Paced, 7)];
        let written = serde_json::to_string(&Spoken::of(1, &[], &refused)).unwrap();
        assert_eq!(read(&written), Ok(refused));
    }
}

//! Rooms as documents: a YAML head between two lines of `---`, then free Markdown
//! (`reference/collab.md` 5), to be read by people, kept elsewhere and brought back.
//!
//! Who is in the room is signed by this installation: the list of a document that was written here
//! is known again, and one that somebody has changed is not taken.

mod desk;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::record::RoomRecord;
use super::ticket::TicketKey;
use super::told::moment;
use super::{RoomId, Wishes};
use crate::can::Rank;
use crate::people::is_unseen;

/// Bytes of a document: its notes, a thousand members and a thousand sensors.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the Markdown of a room.
pub(super) const NOTES_BYTES_MAX: usize = 16 * 1024;

/// Why a sensor is not put into a room.
pub(super) const NOT_YOUR_SENSOR: &str =
    "only whoever it belongs to, or may look at everything, puts a sensor into a room";

/// Events of the YAML parser: a thousand members and sensors take seven thousand.
const EVENT_COUNT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 8;

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Document {
    pub(super) id: Option<String>,
    /// As the room was when it was written; absent: it may have changed meanwhile.
    pub(super) version: Option<u64>,
    pub(super) wishes: Wishes,
    pub(super) owner: Option<String>,
    pub(super) admins: Option<Admins>,
    /// Absent: they stay as they are.
    pub(super) sensors: Option<Vec<String>>,
    pub(super) notes: Option<String>,
    updated_at: Option<String>,
}

/// Who is in the room, and that it was so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admins {
    signature: Option<String>,
    updated_by: Option<String>,
    #[serde(default)]
    members: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: String,
    role: String,
}

/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    TooLong,
    NotText,
    /// With the line, from 1, if it is known.
    Yaml {
        why: String,
        line: Option<u64>,
    },
    NotAMap,
    Missing(&'static str),
    OtherRoom,
    /// The room is not any more what the document was written of.
    Changed {
        version: u64,
    },
    Owner,
    Notes,
    SensorId,
    /// It is not theirs to put it anywhere.
    SensorOfOthers(String),
    /// The words of the original.
    Signature(&'static str),
    /// Only the owner says who is in the room.
    Members,
    Part(String),
    Protected(String),
}

impl DocumentError {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "body_too_large",
            Self::NotText => "not_text",
            Self::Yaml { .. } => "yaml_parse_error",
            Self::NotAMap => "invalid_yaml_structure",
            Self::Missing(_) | Self::Notes | Self::SensorId => "bad_value",
            Self::SensorOfOthers(_) => "not_your_sensor",
            Self::OtherRoom => "other_room",
            Self::Changed { .. } => "changed_meanwhile",
            Self::Owner => "cannot_change_owner",
            Self::Signature(why) => why,
            Self::Members => "not_authorized",
            Self::Part(_) => "unclosed_part",
            Self::Protected(_) => "protected_part",
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a document has up to {DOCUMENT_BYTES_MAX} bytes"),
            Self::NotText => f.write_str("the document is not UTF-8"),
            Self::Yaml { why, line: Some(line) } => write!(f, "the head, line {line}: {why}"),
            Self::Yaml { why, line: None } => write!(f, "the head: {why}"),
            Self::NotAMap => f.write_str("the head is not a map of keys and values"),
            Self::Missing(key) => write!(f, "the head has no `{key}`"),
            Self::OtherRoom => f.write_str("the document is of another room"),
            Self::Changed { version } => write!(
                f,
                "the room has changed since: it is at version {version}; leave `version` out to \
                 overwrite that"
            ),
            Self::Owner => f.write_str("a document does not give a room to somebody else"),
            Self::Notes => write!(
                f,
                "the text has up to {NOTES_BYTES_MAX} bytes, and no control characters but tabs \
                 and line breaks"
            ),
            Self::SensorId => f.write_str("`configuration`: there is a sensor without a good id"),
            Self::SensorOfOthers(id) => write!(f, "`{id}`: {NOT_YOUR_SENSOR}"),
            Self::Signature(why) => match *why {
                "missing_signature" => {
                    f.write_str("who is in the room was changed, and not signed")
                }
                "missing_signer" => f.write_str("`admins`: it does not say who wrote it"),
                "unknown_signer" => f.write_str("`admins`: who wrote it is nobody here"),
                "unauthorized_signer" => {
                    f.write_str("`admins`: who wrote it does not run this room")
                }
                "invalid_signature_encoding" => {
                    f.write_str("`admins`: the signature is not base64")
                }
                _ => f.write_str("`admins`: the list is not as it was signed here"),
            },
            Self::Members => f.write_str("only the owner brings back who was in the room"),
            Self::Part(name) => write!(f, "the protected part `{name}` does not end"),
            Self::Protected(name) => {
                write!(f, "the part `{name}` is protected: only the owner changes it")
            }
        }
    }
}

/// The head, as it is written. What is absent is left as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    id: Option<String>,
    name: Option<String>,
    description: Option<String>,
    owner_id: Option<String>,
    /// A room's code is its own: one that was renewed is not brought back.
    #[serde(rename = "join_code")]
    _join_code: Option<String>,
    version: Option<u64>,
    #[serde(rename = "created_at")]
    _created_at: Option<String>,
    updated_at: Option<String>,
    features: Option<FeatureHead>,
    admins: Option<Admins>,
    configuration: Option<Configuration>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FeatureHead {
    is_public: Option<bool>,
    calls_enabled: Option<bool>,
    media_playback_enabled: Option<bool>,
    object_3d_enabled: Option<bool>,
    whiteboard_enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    sensors: Option<Vec<String>>,
}

impl Document {
    /// # Errors
    /// See [`DocumentError`].
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(DocumentError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        let (head, notes) = parted(&text);
        let notes = notes.trim();
        let is_bad = |c: char| is_unseen(c) && !matches!(c, '\n' | '\t');
        if notes.len() > NOTES_BYTES_MAX || notes.contains(is_bad) {
            return Err(DocumentError::Notes);
        }
        protected(notes)?;
        let Some(head) = head else { return Err(DocumentError::Missing("id")) };
        let head = read_head(head)?;
        let features = head.features.unwrap_or_default();
        let said = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        Ok(Self {
            id: head.id,
            version: head.version,
            wishes: Wishes {
                name: head.name,
                // What a document does not say of itself, it does not have.
                description: Some(head.description.and_then(said)),
                is_public: features.is_public,
                calls: features.calls_enabled,
                media: features.media_playback_enabled,
                object_3d: features.object_3d_enabled,
                whiteboard: features.whiteboard_enabled,
            },
            owner: head.owner_id,
            admins: head.admins,
            sensors: head.configuration.and_then(|it| it.sensors),
            notes: (!notes.is_empty()).then(|| notes.to_owned()),
            updated_at: head.updated_at,
        })
    }

    /// Whether the list of members is the room's own.
    ///
    /// # Errors
    /// It is another, and was not signed here by somebody who runs the room.
    pub(super) fn members(
        &self,
        id: RoomId,
        record: &RoomRecord,
        key: &TicketKey,
    ) -> Result<Option<Vec<(String, Rank)>>, DocumentError> {
        let Some(admins) = &self.admins else { return Ok(None) };
        let mut listed: Vec<(String, Rank)> =
            admins.members.iter().map(|it| (it.id.clone(), rank(&it.role))).collect();
        let owner = record.owner().to_owned();
        if listed.iter().any(|(id, rank)| *rank == Rank::Owner && *id != owner) {
            return Err(DocumentError::Owner);
        }
        listed.retain(|(id, _)| *id != owner);
        listed.push((owner, Rank::Owner));
        listed.sort();
        listed.dedup_by(|a, b| a.0 == b.0);
        if list(listed.iter().map(|(id, rank)| (&**id, *rank))) == list_of(record) {
            return Ok(None);
        }
        let wrong = DocumentError::Signature;
        let signature = admins.signature.as_deref().ok_or(wrong("missing_signature"))?;
        let signature =
            STANDARD.decode(signature).map_err(|_| wrong("invalid_signature_encoding"))?;
        let signer = admins.updated_by.as_deref().ok_or(wrong("missing_signer"))?;
        match record.rank_of(Some(signer)) {
            Rank::Stranger => return Err(wrong("unknown_signer")),
            Rank::Banned | Rank::Member => return Err(wrong("unauthorized_signer")),
            Rank::Admin | Rank::Owner => {}
        }
        let at = self.updated_at.as_deref().ok_or(DocumentError::Missing("updated_at"))?;
        let text = signed(id, &list(listed.iter().map(|(id, rank)| (&**id, *rank))), at, signer);
        if !key.has_signed(&text, &signature) {
            return Err(wrong("invalid_signature"));
        }
        Ok(Some(listed))
    }
}

fn rank(role: &str) -> Rank {
    match role {
        "owner" => Rank::Owner,
        "admin" => Rank::Admin,
        "banned" => Rank::Banned,
        _ => Rank::Member,
    }
}

/// `id:role`, sorted, with commas between: what is signed of a list.
fn list<'a>(members: impl Iterator<Item = (&'a str, Rank)>) -> String {
    let mut pairs: Vec<String> =
        members.map(|(id, rank)| format!("{id}:{}", rank.name())).collect();
    pairs.sort_unstable();
    pairs.join(",")
}

fn list_of(record: &RoomRecord) -> String {
    list(record.members.iter().map(|member| (&*member.account, member.rank)))
}

fn signed(id: RoomId, list: &str, updated_at: &str, signer: &str) -> String {
    format!("document:{id}:{list}:{updated_at}:{signer}")
}

/// The head and the rest. Without a line of `---` at the beginning all is rest; without a second one
/// all is head.
fn parted(text: &str) -> (Option<&str>, &str) {
    let is_rule = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| is_rule(line)) else { return (None, text) };
    let mut at = first.len();
    for line in lines {
        if is_rule(line) {
            return (Some(&text[first.len()..at]), &text[at + line.len()..]);
        }
        at += line.len();
    }
    (Some(&text[first.len()..]), "")
}

fn read_head(head: &str) -> Result<Head, DocumentError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: EVENT_COUNT_MAX,
            max_nodes: EVENT_COUNT_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 0,
            max_replay_stack_depth: 1,
        },
        with_snippet: false,
    };
    if !has_a_map(head) {
        return Err(DocumentError::NotAMap);
    }
    serde_saphyr::from_str_with_options(head, options).map_err(|error| DocumentError::Yaml {
        // The first line of the head is the document's second.
        line: error.location().map(|location| location.line() + 1),
        why: error.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}

/// Whether the first that is said is a key: else no parser's words would help.
fn has_a_map(head: &str) -> bool {
    let mut lines = head.lines().map(str::trim);
    let said = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    said.is_some_and(|line| line.contains(':') && !line.starts_with("- "))
}

/// The parts of a text that only the owner changes, by name: from `<!-- PROTECTED:name -->` to
/// `<!-- /PROTECTED:name -->`.
pub(super) fn protected(text: &str) -> Result<BTreeMap<&str, &str>, DocumentError> {
    const BEGIN: &str = "<!-- PROTECTED:";
    const CLOSE: &str = " -->";
    let mut parts = BTreeMap::new();
    let mut rest = text;
    while let Some((_, from)) = rest.split_once(BEGIN) {
        let Some((name, from)) = from.split_once(CLOSE) else { break };
        let end = format!("<!-- /PROTECTED:{name}{CLOSE}");
        let Some((part, behind)) = from.split_once(&*end) else {
            return Err(DocumentError::Part(name.chars().take(80).collect()));
        };
        parts.insert(name, part);
        rest = behind;
    }
    Ok(parts)
}

/// A room as a document, written by `by`.
pub(super) fn write(id: RoomId, record: &RoomRecord, by: &str, key: &TicketKey) -> String {
    let updated_at = moment(record.changed_unix_ms);
    let updated_at = updated_at.as_str().unwrap_or_default();
    let created_at = moment(record.made_unix_ms);
    let mut out = String::from("---\n");
    say(&mut out, "id", &id.to_string());
    say(&mut out, "name", &record.name);
    if let Some(description) = &record.description {
        say(&mut out, "description", description);
    }
    say(&mut out, "owner_id", record.owner());
    say(&mut out, "join_code", &record.code);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "version: {}", record.version);
    say(&mut out, "created_at", created_at.as_str().unwrap_or_default());
    say(&mut out, "updated_at", updated_at);
    let features = record.features;
    let _ = writeln!(out, "features:");
    for (key, on) in [
        ("is_public", record.is_public),
        ("calls_enabled", features.calls),
        ("media_playback_enabled", features.media),
        ("object_3d_enabled", features.object_3d),
        ("whiteboard_enabled", features.whiteboard),
    ] {
        let _ = writeln!(out, "  {key}: {on}");
    }
    let signature = key.sign(&signed(id, &list_of(record), updated_at, by));
    let _ = writeln!(out, "admins:\n  signature: {}", quoted(&STANDARD.encode(signature)));
    let _ = writeln!(out, "  updated_by: {}\n  members:", quoted(by));
    let mut members: Vec<(&str, Rank)> =
        record.members.iter().map(|member| (&*member.account, member.rank)).collect();
    members.sort_unstable();
    for (account, rank) in members {
        let _ = writeln!(out, "    - id: {}\n      role: {}", quoted(account), rank.name());
    }
    if !record.sensors.is_empty() {
        out.push_str("configuration:\n  sensors:\n");
        for sensor in &record.sensors {
            let _ = writeln!(out, "    - {}", quoted(sensor));
        }
    }
    out.push_str("---\n");
    if let Some(notes) = &record.notes {
        let _ = write!(out, "\n{notes}\n");
    }
    out
}

fn say(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key}: {}", quoted(value));
}

/// A string as YAML reads it again (`reference/collab.md` 5.1, and what else would be read as
/// something else).
fn quoted(text: &str) -> String {
    const SIGNS: &str = "\n\"':#{}[],&*!|>%@`\\\t";
    let words = ["true", "false", "null", "yes", "no", "on", "off", "~", ""];
    let is_plain = !text.contains(|c: char| SIGNS.contains(c) || is_unseen(c))
        && text.starts_with(|c: char| c.is_alphabetic())
        && !text.ends_with(char::is_whitespace)
        && !words.contains(&&*text.to_ascii_lowercase());
    if is_plain {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;

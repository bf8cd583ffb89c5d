//! What is kept of consent.

use serde::{Deserialize, Serialize};

use crate::store::record::{Record, Unreadable, frozen, unknown_version};

/// What somebody shares by grant only, by their account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct PrivacyRecord {
    /// Types or ids of attributes, or `any`.
    pub words: Vec<Box<str>>,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct PrivacyV1 {
    words: Vec<Box<str>>,
}

impl Record for PrivacyRecord {
    const TABLE: &'static str = "privacy";
    const SECTION: u16 = 18;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<PrivacyV1>(body).map(|PrivacyV1 { words }| Self { words }),
            _ => Err(unknown_version(version)),
        }
    }
}

/// To whom something is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum To {
    Person(Box<str>),
    /// Its members.
    Room([u8; 16]),
}

/// A grant, by 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantRecord {
    pub owner: Box<str>,
    pub to: To,
    /// A type or id of attributes, or `any`.
    pub word: Box<str>,
    /// `None`: of all of the owner's.
    pub sensor_id: Option<Box<str>>,
    pub made_unix_ms: i64,
    /// `None`: until it is revoked.
    pub until_unix_ms: Option<i64>,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct GrantV1 {
    owner: Box<str>,
    to: ToV1,
    word: Box<str>,
    sensor_id: Option<Box<str>>,
    made_unix_ms: i64,
    until_unix_ms: Option<i64>,
}

#[derive(Deserialize)]
enum ToV1 {
    Person(Box<str>),
    Room([u8; 16]),
}

impl From<GrantV1> for GrantRecord {
    fn from(grant: GrantV1) -> Self {
        let GrantV1 { owner, to, word, sensor_id, made_unix_ms, until_unix_ms } = grant;
        let to = match to {
            ToV1::Person(account) => To::Person(account),
            ToV1::Room(id) => To::Room(id),
        };
        Self { owner, to, word, sensor_id, made_unix_ms, until_unix_ms }
    }
}

impl Record for GrantRecord {
    const TABLE: &'static str = "grants";
    const SECTION: u16 = 19;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<GrantV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

impl GrantRecord {
    pub(super) fn is_over(&self, unix_ms: i64) -> bool {
        self.until_unix_ms.is_some_and(|until| until <= unix_ms)
    }

    /// Whether it shows this attribute of this sensor.
    pub(super) fn shows(&self, sensor_id: &str, attribute_id: &str, kind: &str) -> bool {
        self.sensor_id.as_deref().is_none_or(|own| own == sensor_id)
            && means(&self.word, attribute_id, kind)
    }
}

/// Whether a word means this attribute.
pub(super) fn means(word: &str, attribute_id: &str, kind: &str) -> bool {
    word == super::ANY || word == attribute_id || word == kind
}

#[cfg(test)]
impl PrivacyRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self { words: vec!["ecg".into(), "any".into()] }
    }
}

#[cfg(test)]
impl GrantRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            owner: "anna".into(),
            to: To::Room([4; 16]),
            word: "ecg".into(),
            sensor_id: Some("anna:ecg".into()),
            made_unix_ms: 1_795_492_320_999,
            until_unix_ms: Some(1_795_592_320_999),
        }
    }
}

//! What is kept of what belongs to people. Of a credential's secret that is its SHA-256.

use serde::{Deserialize, Serialize, Serializer};

use super::{ConnectorKind, Scope};
use crate::store::record::{Record, Unreadable, frozen, unknown_version};

/// A credential, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialRecord {
    pub(super) account: Box<str>,
    pub(super) name: Box<str>,
    /// SHA-256.
    pub(super) token: [u8; 32],
    #[serde(serialize_with = "scope_in_parts")]
    pub(super) scope: Scope,
    pub(super) made_unix_ms: i64,
    /// `None`: never.
    pub(super) expires_unix_ms: Option<i64>,
    /// When a device last came or went by it.
    pub(super) seen_unix_ms: Option<i64>,
}

impl CredentialRecord {
    pub(super) fn is_over(&self, unix_ms: i64) -> bool {
        self.expires_unix_ms.is_some_and(|expires| expires <= unix_ms)
    }
}

/// Prefix and ids; neither is: any.
fn scope_in_parts<S: Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
    let parts: (Option<&str>, Option<&[Box<str>]>) = match scope {
        Scope::Any => (None, None),
        Scope::Prefix(prefix) => (Some(prefix), None),
        Scope::Ids(ids) => (None, Some(ids)),
    };
    parts.serialize(serializer)
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct CredentialV1 {
    account: Box<str>,
    name: Box<str>,
    token: [u8; 32],
    scope: (Option<Box<str>>, Option<Vec<Box<str>>>),
    made_unix_ms: i64,
    expires_unix_ms: Option<i64>,
    seen_unix_ms: Option<i64>,
}

impl From<CredentialV1> for CredentialRecord {
    fn from(credential: CredentialV1) -> Self {
        let CredentialV1 {
            account,
            name,
            token,
            scope,
            made_unix_ms,
            expires_unix_ms,
            seen_unix_ms,
        } = credential;
        let scope = match scope {
            (Some(prefix), _) => Scope::Prefix(prefix),
            (None, Some(ids)) => Scope::Ids(ids),
            (None, None) => Scope::Any,
        };
        Self { account, name, token, scope, made_unix_ms, expires_unix_ms, seen_unix_ms }
    }
}

impl Record for CredentialRecord {
    const TABLE: &'static str = "credentials";
    const SECTION: u16 = 15;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<CredentialV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// Whose a sensor is, by the sensor's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SensorRecord {
    pub(super) account: Box<str>,
    pub(super) since_unix_ms: i64,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct SensorV1 {
    account: Box<str>,
    since_unix_ms: i64,
}

impl From<SensorV1> for SensorRecord {
    fn from(SensorV1 { account, since_unix_ms }: SensorV1) -> Self {
        Self { account, since_unix_ms }
    }
}

impl Record for SensorRecord {
    const TABLE: &'static str = "sensor_owners";
    const SECTION: u16 = 16;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<SensorV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// A connector that somebody's sensors come by, by account and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorRecord {
    pub(super) account: Box<str>,
    pub(super) id: Box<str>,
    /// As it calls itself.
    pub(super) name: Box<str>,
    /// As its owner does.
    pub(super) given_name: Option<Box<str>>,
    pub(super) kind: ConnectorKind,
    pub(super) first_unix_ms: i64,
    /// When it last came or went.
    pub(super) seen_unix_ms: i64,
    pub(super) changed_unix_ms: i64,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct ConnectorV1 {
    account: Box<str>,
    id: Box<str>,
    name: Box<str>,
    given_name: Option<Box<str>>,
    /// 0: web, 1: native, 2: iot, 3: simulator.
    kind: u8,
    first_unix_ms: i64,
    seen_unix_ms: i64,
    changed_unix_ms: i64,
}

impl TryFrom<ConnectorV1> for ConnectorRecord {
    type Error = Unreadable;

    fn try_from(connector: ConnectorV1) -> Result<Self, Unreadable> {
        let kind = ConnectorKind::from_number(connector.kind).ok_or_else(|| {
            Unreadable(format!("there is no kind {} of connector", connector.kind))
        })?;
        let ConnectorV1 { account, id, name, given_name, .. } = connector;
        let ConnectorV1 { first_unix_ms, seen_unix_ms, changed_unix_ms, .. } = connector;
        Ok(Self {
            account,
            id,
            name,
            given_name,
            kind,
            first_unix_ms,
            seen_unix_ms,
            changed_unix_ms,
        })
    }
}

impl Record for ConnectorRecord {
    const TABLE: &'static str = "connectors";
    const SECTION: u16 = 17;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<ConnectorV1>(body)?.try_into(),
            _ => Err(unknown_version(version)),
        }
    }
}

#[cfg(test)]
impl CredentialRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            account: "anna".into(),
            name: "Ürgroßvaters Uhr".into(),
            token: [9; 32],
            scope: Scope::Prefix("anna:".into()),
            made_unix_ms: 1_795_492_320_999,
            expires_unix_ms: Some(1_795_592_320_999),
            seen_unix_ms: None,
        }
    }
}

#[cfg(test)]
impl SensorRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self { account: "anna".into(), since_unix_ms: 1_795_492_320_999 }
    }
}

#[cfg(test)]
impl ConnectorRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            account: "anna".into(),
            id: "phone".into(),
            name: "Phone".into(),
            given_name: Some("My phone".into()),
            kind: ConnectorKind::Iot,
            first_unix_ms: 1_795_492_320_999,
            seen_unix_ms: 1_795_492_321_000,
            changed_unix_ms: 1_795_492_321_001,
        }
    }
}

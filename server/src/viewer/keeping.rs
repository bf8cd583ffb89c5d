//! What is kept of a viewer's token in the store, so that it opens the door of the next server, too.
//!
//! The token itself is nowhere: whoever reads the file, or a copy of it, gets no key
//! (`reference/reliability.md` T18).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::record::{Record, Unreadable, frozen, unknown_version};
use crate::store::{Change, Expect, Refused, Store, Table};

/// What a token is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenId(pub(super) [u8; 32]);

impl TokenId {
    /// SHA-256: of 256 random bits, that is enough.
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// A token that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    /// `None`: all.
    pub(super) sensors: Option<Vec<Box<str>>>,
    /// By its name on the wire.
    pub(super) quality: Box<str>,
    /// `None`: all of its sensors.
    pub(super) visible: Option<Vec<Box<str>>>,
    /// Its channel was open when this was written.
    pub(super) joined: bool,
    /// It has been joined once.
    pub(super) was_joined: bool,
    /// Unless it was open.
    pub(super) expires_unix_ms: i64,
    /// Of whoever minted it, if somebody was signed in.
    pub(super) session: Option<[u8; 16]>,
}

/// With the session it was minted in.
#[derive(Deserialize)]
struct TokenV2 {
    sensors: Option<Vec<Box<str>>>,
    quality: Box<str>,
    visible: Option<Vec<Box<str>>>,
    joined: bool,
    was_joined: bool,
    expires_unix_ms: i64,
    session: Option<[u8; 16]>,
}

impl From<TokenV2> for TokenRecord {
    fn from(token: TokenV2) -> Self {
        let TokenV2 { sensors, quality, visible, joined, was_joined, expires_unix_ms, session } =
            token;
        Self { sensors, quality, visible, joined, was_joined, expires_unix_ms, session }
    }
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct TokenV1 {
    sensors: Option<Vec<Box<str>>>,
    quality: Box<str>,
    visible: Option<Vec<Box<str>>>,
    joined: bool,
    was_joined: bool,
    expires_unix_ms: i64,
}

impl From<TokenV1> for TokenV2 {
    fn from(token: TokenV1) -> Self {
        let TokenV1 { sensors, quality, visible, joined, was_joined, expires_unix_ms } = token;
        let session = None;
        Self { sensors, quality, visible, joined, was_joined, expires_unix_ms, session }
    }
}

impl Record for TokenRecord {
    const TABLE: &'static str = "viewer_tokens";
    const SECTION: u16 = 2;
    const VERSION: u16 = 2;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<TokenV1>(body).map(|v1| TokenV2::from(v1).into()),
            2 => frozen::<TokenV2>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// The desk's hold on the store.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) store: Store,
    pub(super) table: Table<TokenRecord>,
}

impl Keeping {
    pub(super) fn new(store: Store) -> Self {
        Self { table: store.table(), store }
    }

    pub(super) fn put(&self, id: TokenId, record: &TokenRecord, expect: Expect) -> Change {
        self.table.put(&id.0, record, expect)
    }

    /// Does not wait. That too much waits is counted by the store; the token is good as long as
    /// this server is.
    pub(super) fn write(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        match self.store.write(changes) {
            Ok(()) | Err(Refused::Full | Refused::Closed) => {}
            Err(refused) => tracing::warn!(%refused, "a viewer's token is not kept"),
        }
    }
}

#[cfg(test)]
impl TokenRecord {
    /// What the first release's holds.
    pub(crate) fn golden_v1() -> Self {
        Self { session: None, ..Self::golden() }
    }

    /// What the newest golden file holds.
    pub(crate) fn golden() -> Self {
        Self {
            sensors: Some(vec!["anna:ecg".into(), "ä".into()]),
            quality: "low".into(),
            visible: Some(vec!["anna:ecg".into()]),
            joined: true,
            was_joined: true,
            expires_unix_ms: 1_795_492_320_999,
            session: Some([9; 16]),
        }
    }
}

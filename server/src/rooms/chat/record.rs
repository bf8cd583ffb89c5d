//! What is kept of a message, under its place and id.

use serde::{Deserialize, Serialize};

use crate::store::record::{Record, Unreadable, frozen, unknown_version};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageRecord {
    /// Who has said it, and how they were called then.
    pub(in crate::rooms) account: Box<str>,
    pub(in crate::rooms) name: Box<str>,
    pub(in crate::rooms) content: Box<str>,
    pub(in crate::rooms) said_unix_ms: i64,
    pub(in crate::rooms) edited_unix_ms: Option<i64>,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct MessageV1 {
    account: Box<str>,
    name: Box<str>,
    content: Box<str>,
    said_unix_ms: i64,
    edited_unix_ms: Option<i64>,
}

impl From<MessageV1> for MessageRecord {
    fn from(message: MessageV1) -> Self {
        let MessageV1 { account, name, content, said_unix_ms, edited_unix_ms } = message;
        Self { account, name, content, said_unix_ms, edited_unix_ms }
    }
}

impl Record for MessageRecord {
    const TABLE: &'static str = "messages";
    const SECTION: u16 = 14;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<MessageV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

#[cfg(test)]
impl MessageRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            account: "anna".into(),
            name: "Änna".into(),
            content: "hello,\nall".into(),
            said_unix_ms: 1_795_492_320_999,
            edited_unix_ms: Some(1_795_492_321_000),
        }
    }
}

//! What is kept of accounts and sessions. No secret is among it: passwords are hashed, tokens are
//! known by their SHA-256.

use serde::{Deserialize, Serialize};

use super::Role;
use super::password::PasswordHash;
use crate::store::record::{Record, Unreadable, frozen, unknown_version};

/// Somebody, by their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRecord {
    /// As it is compared: without white space around, in small letters. `None`: a guest.
    pub(super) email: Option<Box<str>>,
    pub(super) password: Option<PasswordHash>,
    pub(super) display_name: Box<str>,
    pub(super) role: Role,
    pub(super) made_unix_ms: i64,
    /// Of a guest: when it was last seen, to some minutes.
    pub(super) seen_unix_ms: i64,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct AccountV1 {
    email: Option<Box<str>>,
    password: Option<PasswordV1>,
    display_name: Box<str>,
    /// 0: guest, 1: person, 2: administrator.
    role: u8,
    made_unix_ms: i64,
    seen_unix_ms: i64,
}

#[derive(Deserialize)]
struct PasswordV1 {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl TryFrom<AccountV1> for AccountRecord {
    type Error = Unreadable;

    fn try_from(account: AccountV1) -> Result<Self, Unreadable> {
        let AccountV1 { email, password, display_name, role, made_unix_ms, seen_unix_ms } = account;
        let role = Role::from_number(role)
            .ok_or_else(|| Unreadable(format!("there is no role {role}")))?;
        let password = password.map(|PasswordV1 { memory_kib, passes, lanes, salt, hash }| {
            PasswordHash { memory_kib, passes, lanes, salt, hash }
        });
        Ok(Self { email, password, display_name, role, made_unix_ms, seen_unix_ms })
    }
}

impl Record for AccountRecord {
    const TABLE: &'static str = "accounts";
    const SECTION: u16 = 10;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<AccountV1>(body)?.try_into(),
            _ => Err(unknown_version(version)),
        }
    }
}

/// One sign-in, by 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionRecord {
    pub(super) account: Box<str>,
    /// SHA-256 of the refresh token's secret. There is one at a time.
    pub(super) refresh: [u8; 32],
    /// SHA-256 of the newest access token.
    pub(super) access: [u8; 32],
    pub(super) access_expires_unix_ms: i64,
    /// Unless it is refreshed.
    pub(super) expires_unix_ms: i64,
    pub(super) begun_unix_ms: i64,
}

/// As the first release wrote it.
#[derive(Deserialize)]
struct SessionV1 {
    account: Box<str>,
    refresh: [u8; 32],
    access: [u8; 32],
    access_expires_unix_ms: i64,
    expires_unix_ms: i64,
    begun_unix_ms: i64,
}

impl From<SessionV1> for SessionRecord {
    fn from(session: SessionV1) -> Self {
        let SessionV1 {
            account,
            refresh,
            access,
            access_expires_unix_ms,
            expires_unix_ms,
            begun_unix_ms,
        } = session;
        Self { account, refresh, access, access_expires_unix_ms, expires_unix_ms, begun_unix_ms }
    }
}

impl Record for SessionRecord {
    const TABLE: &'static str = "sessions";
    const SECTION: u16 = 11;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<SessionV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

#[cfg(test)]
impl AccountRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            email: Some("änna@example.org".into()),
            password: Some(PasswordHash {
                memory_kib: 19_456,
                passes: 2,
                lanes: 1,
                salt: *b"0123456789abcdef",
                hash: [0xa5; 32],
            }),
            display_name: "Änna".into(),
            role: Role::Administrator,
            made_unix_ms: 1_795_492_320_999,
            seen_unix_ms: 1_795_492_321_000,
        }
    }
}

#[cfg(test)]
impl SessionRecord {
    /// What the golden files hold.
    pub(crate) fn golden() -> Self {
        Self {
            account: "3f2b8a52-1111-4222-8333-944455556666".into(),
            refresh: [1; 32],
            access: [2; 32],
            access_expires_unix_ms: 1_795_492_320_999,
            expires_unix_ms: 1_795_592_320_999,
            begun_unix_ms: 1_795_492_320_000,
        }
    }
}

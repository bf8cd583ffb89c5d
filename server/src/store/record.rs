//! What a value in the store looks like: a checksum over all of it, its section and version, its
//! revision, and the body, a frozen struct in postcard.
//!
//! | bytes | |
//! |---|---|
//! | 8 | XXH3-64 of the key's length, the key, and everything behind this field |
//! | 2 | section: which kind of record |
//! | 2 | version of the body |
//! | 8 | revision: the store's count of changes when this one was made |
//! | rest | body |
//!
//! Integers are big-endian. The key is in the checksum, so that a value under another's key is
//! found out, too.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

/// Bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;

/// Bytes of a body.
pub const BODY_BYTES_MAX: usize = 16 << 20;

const HEAD_BYTES: usize = 20;

/// What a change of a record is counted by: grows with every change to anything in the store, and
/// is never given twice, so that a record which was deleted and made anew is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// A kind of record: a table of its own, and a number that is never used for anything else.
///
/// A version that was released is frozen: its struct stays as it is, with its golden bytes in the
/// tests, and `read` leads from each to today's through `From`.
pub trait Record: Serialize + Sized + Send + 'static {
    /// The table's name in the file.
    const TABLE: &'static str;
    const SECTION: u16;
    /// What is written today.
    const VERSION: u16;

    /// The body of any version from 1 to [`VERSION`](Self::VERSION), as today's struct.
    ///
    /// # Errors
    /// The bytes are no body of that version, or there is no such version.
    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable>;
}

/// A body that is not what its version says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// The whole of a body as a frozen struct; one that goes on behind it is another's.
pub fn frozen<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Unreadable(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(Unreadable(error.to_string())),
    }
}

/// What the store itself has to know of a kind of record.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    pub(super) table: &'static str,
    number: u16,
    version: u16,
    read: fn(u16, &[u8]) -> Result<(), Unreadable>,
}

impl Section {
    pub const fn of<R: Record>() -> Self {
        Self {
            table: R::TABLE,
            number: R::SECTION,
            version: R::VERSION,
            read: |version, body| R::read(version, body).map(drop),
        }
    }

    /// Whether a value is whole and can be read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, key: &[u8], value: &[u8]) -> Result<Revision, Rot> {
        let (version, revision, body) = self.open(key, value)?;
        (self.read)(version, body).map_err(|Unreadable(what)| Rot::Unreadable(what))?;
        Ok(revision)
    }

    /// Version, revision and body of a value that is whole.
    pub(super) fn open<'a>(
        &self,
        key: &[u8],
        value: &'a [u8],
    ) -> Result<(u16, Revision, &'a [u8]), Rot> {
        let Some((sum, rest)) = value.split_first_chunk::<8>() else { return Err(Rot::Short) };
        if value.len() < HEAD_BYTES {
            return Err(Rot::Short);
        }
        if checksum(key, rest) != u64::from_be_bytes(*sum) {
            return Err(Rot::Checksum);
        }
        let section = u16::from_be_bytes([rest[0], rest[1]]);
        let version = u16::from_be_bytes([rest[2], rest[3]]);
        let mut revision = [0; 8];
        revision.copy_from_slice(&rest[4..12]);
        if section != self.number {
            return Err(Rot::Section { found: section, expected: self.number });
        }
        if version > self.version {
            return Err(Rot::Future { version, known: self.version });
        }
        Ok((version, Revision(u64::from_be_bytes(revision)), &rest[12..]))
    }

    /// The value of a body of today's version.
    pub(super) fn seal(&self, key: &[u8], revision: Revision, body: &[u8]) -> Vec<u8> {
        let mut value = vec![0; 8];
        value.reserve_exact(HEAD_BYTES - 8 + body.len());
        value.extend_from_slice(&self.number.to_be_bytes());
        value.extend_from_slice(&self.version.to_be_bytes());
        value.extend_from_slice(&revision.0.to_be_bytes());
        value.extend_from_slice(body);
        let sum = checksum(key, &value[8..]);
        value[..8].copy_from_slice(&sum.to_be_bytes());
        value
    }
}

fn checksum(key: &[u8], rest: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&(key.len() as u32).to_be_bytes());
    hash.update(key);
    hash.update(rest);
    hash.digest()
}

/// Why a value is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rot {
    /// Shorter than any value.
    Short,
    /// A bit of it is not what was written.
    Checksum,
    /// Another kind of record than its table's.
    Section { found: u16, expected: u16 },
    /// Written by a newer version of this program.
    Future { version: u16, known: u16 },
    /// Whole, and yet no record.
    Unreadable(String),
}

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it is cut short"),
            Self::Checksum => f.write_str("its checksum does not match"),
            Self::Section { found, expected } => {
                write!(f, "it is of section {found} and not {expected}")
            }
            Self::Future { version, known } => {
                write!(f, "it is of version {version}, and {known} is the newest known here")
            }
            Self::Unreadable(what) => write!(f, "it cannot be read: {what}"),
        }
    }
}

/// The store's word about itself: one record, in a table of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stamp {
    /// The newest revision that was given.
    pub(super) revision: u64,
    /// Of the program that made the file.
    pub(super) made_by: String,
    pub(super) made_unix_ms: i64,
}

/// As the first release wrote it.
#[derive(serde::Deserialize)]
struct StampV1 {
    revision: u64,
    made_by: String,
    made_unix_ms: i64,
}

impl From<StampV1> for Stamp {
    fn from(StampV1 { revision, made_by, made_unix_ms }: StampV1) -> Self {
        Self { revision, made_by, made_unix_ms }
    }
}

impl Record for Stamp {
    const TABLE: &'static str = "sensocto";
    const SECTION: u16 = 1;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<StampV1>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// What [`Record::read`] says to a version that never was.
pub fn unknown_version(version: u16) -> Unreadable {
    Unreadable(format!("there is no version {version}"))
}

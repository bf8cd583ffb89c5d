//! Why the store is not there, and what whoever runs the server can do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a store's file, and with which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    pub path: PathBuf,
    pub what: Trouble,
}

/// See [`StoreError`]. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Another process has it.
    InUse,
    /// There is none.
    Missing,
    /// There is one already, where none was expected.
    Exists,
    /// No store of ours.
    Foreign(String),
    /// Written by a newer version.
    Future(String),
    /// Its bytes are not what was written.
    Damaged(String),
    /// It may not be written.
    ReadOnly(String),
    /// The disk is full.
    Full(String),
    Io(String),
}

impl StoreError {
    pub(super) fn new(path: &Path, what: Trouble) -> Self {
        Self { path: path.to_owned(), what }
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, Trouble::from(error))
    }

    pub(super) fn redb(path: &Path, error: impl Into<redb::Error>) -> Self {
        let what = match error.into() {
            redb::Error::DatabaseAlreadyOpen => Trouble::InUse,
            redb::Error::UpgradeRequired(version) => {
                Trouble::Future(format!("its file format is number {version}"))
            }
            redb::Error::Io(error) => Trouble::from(&error),
            redb::Error::Corrupted(what) => Trouble::Damaged(what),
            redb::Error::RepairAborted => Trouble::Damaged("it needs a repair".into()),
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)) => Trouble::Foreign(error.to_string()),
            error => Trouble::Io(error.to_string()),
        };
        Self::new(path, what)
    }
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full(error.to_string())
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly(error.to_string())
            }
            // redb's word for a file that is none of its own.
            io::ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            Trouble::InUse => write!(
                f,
                "{path} is in use by another process: stop that one, or ask it \
                 (POST /api/store/backup), or give this one a `data` of its own"
            ),
            Trouble::Missing => write!(f, "there is no {path}: look at --data"),
            Trouble::Exists => write!(
                f,
                "{path} is there already and is left as it is: name another, or say --replace"
            ),
            Trouble::Foreign(what) => write!(
                f,
                "{path} is no store of sensocto ({what}) and is left as it is: move it away, or \
                 give another `data`"
            ),
            Trouble::Future(what) => write!(
                f,
                "{path} was written by a newer version of sensocto ({what}) and is left as it is: \
                 run that version or a newer one, or restore a backup made by this one"
            ),
            Trouble::Damaged(what) => write!(
                f,
                "{path} is damaged ({what}) and is left as it is: look at the disk, then `sensocto \
                 restore --replace` a backup"
            ),
            Trouble::ReadOnly(what) => write!(
                f,
                "{path} may not be written ({what}): give its folder to the user this runs as, or \
                 give another `data`"
            ),
            Trouble::Full(what) => write!(f, "{path}: {what}: make room on the disk"),
            Trouble::Io(what) => write!(f, "{path}: {what}: look at the disk"),
        }
    }
}

impl std::error::Error for StoreError {}

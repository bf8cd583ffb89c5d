//! The folder of recordings: what is in it, and that nothing else is ever reached through it.
//!
//! A name is letters, digits, dots, dashes and underscores, and begins with one of the first two:
//! no path can be said with it. A file counts only if it is a plain one of the folder itself; what
//! a symbolic link points to is not ours.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use components::sample::Timestamp;
use simulator::calendar::{Date, TimeOfDay};
use simulator::recording::Reader;

/// Characters of a name.
pub const NAME_LENGTH_MAX: usize = 64;

/// Recordings that are listed; the newest.
pub const LISTED_COUNT_MAX: usize = 1_000;

const EXTENSION: &str = "mcap";

/// Why a recording cannot be had, made or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibraryError {
    BadName,
    Exists { name: String },
    NotFound { name: String },
    Io(String),
}

impl std::fmt::Display for LibraryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadName => write!(
                f,
                "a name is up to {NAME_LENGTH_MAX} of a-z, 0-9, dot, dash and underscore, begins \
                 with one of the first two, and is not `stop`"
            ),
            Self::Exists { name } => write!(f, "there is a recording `{name}` already"),
            Self::NotFound { name } => write!(f, "there is no recording `{name}`"),
            Self::Io(what) => write!(f, "the folder of recordings: {what}"),
        }
    }
}

impl std::error::Error for LibraryError {}

impl From<io::Error> for LibraryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// Refuses what is no name. `stop` is a word of the API.
pub fn check_name(name: &str) -> Result<(), LibraryError> {
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let well_formed = name.len() <= NAME_LENGTH_MAX
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|b| first(b) || matches!(b, b'.' | b'_' | b'-'));
    if well_formed && name != "stop" { Ok(()) } else { Err(LibraryError::BadName) }
}

/// One recording, as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    pub created_unix_ms: i64,
    pub duration_ms: u64,
    pub ticks: u64,
    pub samples: u64,
    pub sensors: u64,
    pub hash: Option<u64>,
    pub complete: bool,
    /// Why it cannot be read, or why it ended by itself.
    pub error: Option<String>,
}

/// A file as it was when its summary was read.
type Seen = (u64, Option<SystemTime>);

/// See the module. Its calls block.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    known: Mutex<HashMap<String, (Seen, Entry)>>,
    /// Why recordings of this run ended by themselves.
    notes: Mutex<HashMap<String, String>>,
    /// Held while a summary is read: a long one is read once, however many ask.
    reading: Mutex<()>,
}

impl Library {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default(), notes: Mutex::default(), reading: Mutex::default() }
    }

    fn path(&self, name: &str) -> Result<PathBuf, LibraryError> {
        check_name(name)?;
        Ok(self.folder.join(format!("{name}.{EXTENSION}")))
    }

    /// The plain file of this name.
    fn find(&self, name: &str) -> Result<(PathBuf, Metadata), LibraryError> {
        let path = self.path(name)?;
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok((path, metadata)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Err(LibraryError::NotFound { name: name.to_owned() }),
        }
    }

    /// Every plain file of the folder, with its name if it is a recording's.
    fn files(&self) -> Result<Vec<(Option<String>, Metadata)>, LibraryError> {
        let items = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            items => items?,
        };
        let mut files = Vec::new();
        for item in items {
            let item = item?;
            // Of the link, if it is one.
            let Ok(metadata) = item.metadata() else { continue };
            if metadata.is_file() {
                let path = PathBuf::from(item.file_name());
                let name = path.file_stem().and_then(|name| name.to_str());
                let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
                let name = name.filter(|name| ours && check_name(name).is_ok());
                files.push((name.map(str::to_owned), metadata));
            }
        }
        Ok(files)
    }

    /// Bytes of everything in the folder.
    pub fn bytes(&self) -> Result<u64, LibraryError> {
        Ok(self.files()?.iter().map(|(_, metadata)| metadata.len()).sum())
    }

    /// An empty file of this name, or of one made of the time.
    pub fn create(
        &self,
        name: Option<String>,
        unix_ms: i64,
    ) -> Result<(String, File), LibraryError> {
        let given = name.is_some();
        let stem = name.unwrap_or_else(|| name_of("rec", unix_ms));
        fs::create_dir_all(&self.folder)?;
        let mut name = stem.clone();
        for number in 2.. {
            let path = self.path(&name)?;
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error.into());
                }
                Err(_) if given || number > LISTED_COUNT_MAX => break,
                Err(_) => name = format!("{stem}-{number}"),
            }
        }
        Err(LibraryError::Exists { name })
    }

    /// What is there, newest first, but for `busy`.
    pub fn list(&self, busy: Option<&str>) -> Result<Vec<Entry>, LibraryError> {
        let mut files: Vec<(String, Metadata)> = self
            .files()?
            .into_iter()
            .filter_map(|(name, metadata)| Some((name?, metadata)))
            .filter(|(name, _)| Some(name.as_str()) != busy)
            .collect();
        files.sort_by_key(|(_, metadata)| std::cmp::Reverse(metadata.modified().ok()));
        files.truncate(LISTED_COUNT_MAX);
        let entries: Vec<Entry> =
            files.iter().map(|(name, metadata)| self.summed_up(name, metadata)).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| files.iter().any(|(listed, _)| listed == name));
        Ok(entries)
    }

    /// One of them.
    pub fn entry(&self, name: &str) -> Result<Entry, LibraryError> {
        let (_, metadata) = self.find(name)?;
        Ok(self.summed_up(name, &metadata))
    }

    fn summed_up(&self, name: &str, metadata: &Metadata) -> Entry {
        let seen = (metadata.len(), metadata.modified().ok());
        let known = || {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(name).filter(|(then, _)| *then == seen).map(|(_, entry)| entry.clone())
        };
        if let Some(entry) = known() {
            return self.noted(entry);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known().unwrap_or_else(|| {
            let path = self.folder.join(format!("{name}.{EXTENSION}"));
            let entry = read(&path, name, metadata);
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), (seen, entry.clone()));
            entry
        });
        self.noted(entry)
    }

    fn noted(&self, mut entry: Entry) -> Entry {
        if entry.error.is_none() {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            entry.error = notes.get(&entry.name).cloned();
        }
        entry
    }

    /// Remembers why this one ended by itself, for as long as the server runs.
    pub fn note(&self, name: &str, error: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < LISTED_COUNT_MAX {
            notes.insert(name.to_owned(), error);
        }
    }

    /// The file of this name, to be read, and its length.
    pub fn open(&self, name: &str) -> Result<(File, u64), LibraryError> {
        let (path, found) = self.find(name)?;
        let file = File::open(path)?;
        let opened = file.metadata()?;
        if !is_same(&found, &opened) {
            // Somebody has put another in its place between the look and the opening.
            return Err(LibraryError::NotFound { name: name.to_owned() });
        }
        Ok((file, opened.len()))
    }

    /// Where the recording of this name is.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, LibraryError> {
        Ok(self.find(name)?.0)
    }

    pub fn delete(&self, name: &str) -> Result<(), LibraryError> {
        let (path, _) = self.find(name)?;
        fs::remove_file(path)?;
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && other.is_file()
}

fn read(path: &Path, name: &str, metadata: &Metadata) -> Entry {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut entry = Entry {
        name: name.to_owned(),
        bytes: metadata.len(),
        created_unix_ms: modified.map_or(0, |since| since.as_millis() as i64),
        duration_ms: 0,
        ticks: 0,
        samples: 0,
        sensors: 0,
        hash: None,
        complete: false,
        error: None,
    };
    match Reader::open_without_state(path) {
        Ok(reader) => {
            let summary = reader.summary();
            entry.created_unix_ms =
                reader.header().epoch_unix_ms.saturating_add((summary.first.0 / 1000) as i64);
            entry.duration_ms = summary.duration_ms();
            entry.ticks = summary.ticks;
            entry.samples = summary.samples;
            entry.sensors = summary.sensors;
            entry.hash = summary.hash;
            entry.complete = summary.complete;
        }
        Err(error) => entry.error = Some(error.to_string()),
    }
    entry
}

/// `rec-20261124-034510`, in UTC, with this in front.
pub(crate) fn name_of(front: &str, unix_ms: i64) -> String {
    let (Date { year, month, day }, TimeOfDay { hour, minute, second }) =
        Date::of(Timestamp(unix_ms));
    format!("{front}-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_can_be_said_with_a_name() {
        for name in ["a", "9", "rec-20261124-034510", "a..b", "a.mcap", &"x".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "a\0",
            "A",
            "-a",
            "_a",
            ".a",
            "ä",
            "a b",
            "a%2fb",
            "stop",
            "a\n",
            &"x".repeat(65),
        ] {
            assert_eq!(check_name(name), Err(LibraryError::BadName), "{name:?}");
        }
    }

    #[test]
    fn a_recording_is_named_after_its_second() {
        assert_eq!(name_of("rec", 1_795_492_320_999), "rec-20261124-035200");
        assert_eq!(name_of("rec", 951_782_400_000), "rec-20000229-000000");
        assert_eq!(name_of("rec", -1), "rec-19691231-235959");
    }

    #[test]
    fn what_a_link_points_to_is_not_ours() {
        let folder = std::env::temp_dir().join(format!("sensocto-library-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let library = Library::new(folder.join("recordings"));
        assert_eq!(library.list(None), Ok(Vec::new()), "a folder that is not there is empty");
        let (name, _) = library.create(None, 0).unwrap();
        assert_eq!(name, "rec-19700101-000000");
        assert_eq!(library.create(None, 0).unwrap().0, "rec-19700101-000000-2");
        assert!(matches!(library.create(Some(name.clone()), 0), Err(LibraryError::Exists { .. })));
        fs::write(folder.join("secret"), "secret").unwrap();
        fs::write(folder.join("recordings/Other.mcap"), "not ours").unwrap();
        fs::create_dir(folder.join("recordings/folder.mcap")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.join("secret"), folder.join("recordings/link.mcap"))
            .unwrap();
        for name in ["link", "folder", "none"] {
            let missing = LibraryError::NotFound { name: name.into() };
            assert_eq!(library.open(name).map(drop), Err(missing.clone()));
            assert_eq!(library.delete(name), Err(missing));
        }
        let listed = library.list(Some("rec-19700101-000000-2")).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].name.as_str(), listed[0].complete), (name.as_str(), false));
        assert!(listed[0].error.is_some(), "an empty file is no recording");
        library.delete(&name).unwrap();
        assert_eq!(library.list(Some("rec-19700101-000000-2")), Ok(Vec::new()));
        assert_eq!(library.bytes(), Ok(8), "what is not ours takes room too");
        fs::remove_dir_all(&folder).unwrap();
    }
}

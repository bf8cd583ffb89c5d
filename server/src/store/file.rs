//! The store's file: made whole or not at all, locked, looked over before it is trusted, copied.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableError, TableHandle,
};

use super::error::{StoreError, Trouble};
use super::record::{Record, Revision, Rot, Section, Stamp};
use super::shadow::{Shadow, Source};
use crate::complaints::panic_message;

/// The store's file in its folder.
pub const FILE: &str = "store.redb";

/// Bytes of pages that redb keeps in memory; hydration reads each value once.
const CACHE_BYTES: usize = 16 << 20;

/// Damaged values that are told by name; the others are counted.
const TOLD_COUNT_MAX: usize = 5;

/// What every file of redb begins with.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

pub(super) const STAMP_KEY: &[u8] = b"store";

pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this process, and gone with it.
    Memory,
    /// The file [`FILE`] in this folder.
    Folder(PathBuf),
    #[cfg(test)]
    Disk(super::tests::Disk),
}

impl Place {
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Memory => PathBuf::from("(memory)"),
            Self::Folder(folder) => folder.join(FILE),
            #[cfg(test)]
            Self::Disk(_) => PathBuf::from("(disk)"),
        }
    }

    pub fn is_kept(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// What is there, looked over; made if there is nothing. Blocks.
    pub(super) fn open(&self, sections: &[Section], unix_ms: i64) -> Result<Database, StoreError> {
        let path = self.path();
        contained(&path, || match self {
            Self::Memory => begin(
                &path,
                told(&path, builder().create_with_backend(InMemoryBackend::new()))?,
                unix_ms,
            ),
            Self::Folder(folder) => open_in(folder, &path, sections, unix_ms),
            #[cfg(test)]
            Self::Disk(disk) if disk.is_empty() => {
                begin(&path, told(&path, builder().create_with_backend(disk.clone()))?, unix_ms)
            }
            #[cfg(test)]
            Self::Disk(disk) => {
                look_over(&path, disk.clone(), sections)?;
                told(&path, builder().create_with_backend(disk.clone()))
            }
        })
    }

    /// A second look at the file as it is on the disk, beside the one that is open. Only for the
    /// thread that writes: nothing may change meanwhile. `None` of memory.
    pub(super) fn look(&self) -> Result<Option<Database>, StoreError> {
        let path = self.path();
        contained(&path, || match self {
            Self::Memory => Ok(None),
            Self::Folder(_) => {
                let file = File::open(&path).map_err(|error| StoreError::io(&path, &error))?;
                shadow_of(&path, file).map(Some)
            }
            #[cfg(test)]
            Self::Disk(disk) => shadow_of(&path, disk.clone()).map(Some),
        })
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// redb over the file. It locks the file once more, which is the same lock.
fn open_db(path: &Path, file: File) -> Result<Database, StoreError> {
    let backend = told(path, FileBackend::new(file))?;
    told(path, builder().create_with_backend(backend))
}

/// redb's word on a file.
pub(super) fn told<T, E: Into<redb::Error>>(
    path: &Path,
    outcome: Result<T, E>,
) -> Result<T, StoreError> {
    outcome.map_err(|error| StoreError::redb(path, error))
}

fn done<T>(path: &Path, outcome: io::Result<T>) -> Result<T, StoreError> {
    outcome.map_err(|error| StoreError::io(path, &error))
}

/// redb trusts its pages and panics over some that make no sense: that is damage, not our end.
pub(super) fn contained<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = format!("redb cannot make sense of it: {}", panic_message(&*panic));
        Err(StoreError::new(path, Trouble::Damaged(what)))
    })
}

/// The lock goes with the file's last handle.
fn lock(path: &Path, file: &File) -> Result<(), StoreError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::new(path, Trouble::InUse),
        TryLockError::Error(error) => StoreError::io(path, &error),
    })
}

/// For whoever only looks: others may look, too, and nobody writes.
fn lock_shared(path: &Path, file: &File) -> Result<(), StoreError> {
    file.try_lock_shared().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::new(path, Trouble::InUse),
        TryLockError::Error(error) => StoreError::io(path, &error),
    })
}

/// Whoever may read the store may be whoever has a token in it: it is for its owner only.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn open_in(
    folder: &Path,
    path: &Path,
    sections: &[Section],
    unix_ms: i64,
) -> Result<Database, StoreError> {
    done(folder, fs::create_dir_all(folder))?;
    match options().open(path) {
        Ok(file) => open_file(path, file, sections),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_in(folder, path, sections, unix_ms)
        }
        Err(error) => Err(StoreError::io(path, &error)),
    }
}

fn open_file(path: &Path, file: File, sections: &[Section]) -> Result<Database, StoreError> {
    lock(path, &file)?;
    let same = done(path, file.try_clone())?;
    look_over(path, same, sections)?;
    open_db(path, file)
}

/// Under another name until it is whole: a file of the store's name is a store.
fn make_in(
    folder: &Path,
    path: &Path,
    sections: &[Section],
    unix_ms: i64,
) -> Result<Database, StoreError> {
    let new = folder.join(format!("{FILE}.new"));
    let file = done(&new, options().create(true).truncate(false).open(&new))?;
    lock(&new, &file)?;
    if done(path, fs::exists(path))? {
        // Another process was quicker.
        return open_file(path, done(path, options().open(path))?, sections);
    }
    done(&new, file.set_len(0))?;
    let db = begin(&new, open_db(&new, file)?, unix_ms)?;
    done(path, fs::rename(&new, path))?;
    sync_folder(folder)?;
    Ok(db)
}

/// Writes the stamp into what is empty.
fn begin(path: &Path, db: Database, unix_ms: i64) -> Result<Database, StoreError> {
    let stamp =
        Stamp { revision: 0, made_by: env!("CARGO_PKG_VERSION").into(), made_unix_ms: unix_ms };
    let mut txn = told(path, db.begin_write())?;
    txn.set_quick_repair(true);
    let value = Section::of::<Stamp>().seal(STAMP_KEY, Revision(0), &body_of(&stamp));
    let table = txn.open_table(definition(Stamp::TABLE));
    told(path, told(path, table)?.insert(STAMP_KEY, &*value).map(drop))?;
    told(path, txn.commit())?;
    Ok(db)
}

/// A record's body, in today's version.
pub(super) fn body_of<R: Record>(record: &R) -> Vec<u8> {
    postcard::to_stdvec(record).expect("a record is made of what postcard writes")
}

pub(super) const fn definition(table: &'static str) -> Definition {
    TableDefinition::new(table)
}

/// A rename lasts when its folder is on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        done(folder, File::open(folder).and_then(|folder| folder.sync_all()))
    } else {
        Ok(())
    }
}

/// What a store holds, and that all of it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Of each table: its name and how many records it has.
    pub records: Vec<(String, u64)>,
    pub revision: Revision,
}

fn shadow_of(path: &Path, source: impl Source) -> Result<Database, StoreError> {
    let mut magic = [0; MAGIC.len()];
    let begins = source.read_at(0, &mut magic);
    match begins {
        Ok(()) if magic == MAGIC => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(StoreError::io(path, &error));
        }
        _ => {
            let what = "it does not begin as one".into();
            return Err(StoreError::new(path, Trouble::Foreign(what)));
        }
    }
    let shadow = done(path, Shadow::new(source))?;
    told(path, builder().create_with_backend(shadow))
}

/// Reads all of it, and changes nothing.
fn look_over(path: &Path, source: impl Source, sections: &[Section]) -> Result<Tally, StoreError> {
    let mut db = shadow_of(path, source)?;
    verify(path, &mut db, sections)
}

/// Whether every page and every value is as it was written, and of a version known here.
fn verify(path: &Path, db: &mut Database, sections: &[Section]) -> Result<Tally, StoreError> {
    let whole = contained(path, || told(path, db.check_integrity()));
    let read = contained(path, || read_through(path, db, sections));
    match (whole, read) {
        (Ok(true), read) => read,
        // What a value says of its own damage says more of where it is.
        (_, Err(error)) => Err(error),
        (Ok(false), Ok(_)) => {
            let what = "a page's checksum does not match".into();
            Err(StoreError::new(path, Trouble::Damaged(what)))
        }
        (Err(error), Ok(_)) => Err(error),
    }
}

fn read_through(path: &Path, db: &Database, sections: &[Section]) -> Result<Tally, StoreError> {
    let txn = told(path, db.begin_read())?;
    known_tables(path, &txn, sections)?;
    let revision = stamp(path, &txn)?.revision;
    let mut bad: Vec<String> = Vec::new();
    let mut bad_count = 0;
    let mut future = None;
    let mut records = Vec::new();
    for section in sections {
        let table = match txn.open_table(definition(section.table)) {
            Err(TableError::TableDoesNotExist(_)) => continue,
            table => told(path, table)?,
        };
        let mut count = 0;
        for row in told(path, table.iter())? {
            let (key, value) = told(path, row)?;
            count += 1;
            match section.check(key.value(), value.value()) {
                Ok(_) => {}
                Err(rot @ Rot::Future { .. }) => {
                    future = Some(format!("{}: {rot}", place_of(section, key.value())));
                }
                Err(rot) => {
                    bad_count += 1;
                    if bad.len() < TOLD_COUNT_MAX {
                        bad.push(format!("{}: {rot}", place_of(section, key.value())));
                    }
                }
            }
        }
        let length = told(path, table.len())?;
        if count != length {
            bad_count += 1;
            bad.push(format!("table `{}`: {count} records of {length}", section.table));
        }
        records.push((section.table.to_owned(), count));
    }
    if bad_count > 0 {
        let more = bad_count - bad.len().min(bad_count);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let what = format!("{}{more}", bad.join("; "));
        return Err(StoreError::new(path, Trouble::Damaged(what)));
    }
    match future {
        Some(what) => Err(StoreError::new(path, Trouble::Future(what))),
        None => Ok(Tally { records, revision: Revision(revision) }),
    }
}

/// Where a value is, for people.
pub(super) fn place_of(section: &Section, key: &[u8]) -> String {
    use std::fmt::Write;
    let mut place = format!("table `{}`, key ", section.table);
    for byte in &key[..key.len().min(32)] {
        let _ = write!(place, "{byte:02x}");
    }
    place
}

/// No stamp: somebody else's. A table that nobody here knows: a newer version's.
fn known_tables(
    path: &Path,
    txn: &ReadTransaction,
    sections: &[Section],
) -> Result<(), StoreError> {
    let tables: Vec<String> =
        told(path, txn.list_tables())?.map(|table| table.name().to_owned()).collect();
    if !tables.iter().any(|table| table == Stamp::TABLE) {
        let what = "it is another program's file of redb".into();
        return Err(StoreError::new(path, Trouble::Foreign(what)));
    }
    let known = |table: &&String| {
        **table == Stamp::TABLE || sections.iter().any(|section| section.table == **table)
    };
    match tables.iter().find(|table| !known(table)) {
        None => Ok(()),
        Some(table) => {
            let what = format!("it has a table `{table}`");
            Err(StoreError::new(path, Trouble::Future(what)))
        }
    }
}

/// What the store says of itself.
pub(super) fn stamp(path: &Path, txn: &ReadTransaction) -> Result<Stamp, StoreError> {
    let table = told(path, txn.open_table(definition(Stamp::TABLE)))?;
    let value = told(path, table.get(STAMP_KEY))?;
    read_stamp(path, value.as_ref().map(|value| value.value()))
}

pub(super) fn read_stamp(path: &Path, value: Option<&[u8]>) -> Result<Stamp, StoreError> {
    let damaged =
        |what: String| StoreError::new(path, Trouble::Damaged(format!("its stamp: {what}")));
    let value = value.ok_or_else(|| damaged("there is none".into()))?;
    match Section::of::<Stamp>().open(STAMP_KEY, value) {
        Ok((version, _, body)) => {
            Stamp::read(version, body).map_err(|unreadable| damaged(unreadable.0))
        }
        Err(rot @ Rot::Future { .. }) => {
            Err(StoreError::new(path, Trouble::Future(format!("its stamp: {rot}"))))
        }
        Err(rot) => Err(damaged(rot.to_string())),
    }
}

/// Reads all of a store that no server has open, and changes nothing.
pub(super) fn look_at(path: &Path, sections: &[Section]) -> Result<Tally, StoreError> {
    let (_file, mut db) = open_to_look(path)?;
    verify(path, &mut db, sections)
}

/// The lock is the file's; keep it as long as the database.
fn open_to_look(path: &Path) -> Result<(File, Database), StoreError> {
    let file = done(path, File::open(path))?;
    lock_shared(path, &file)?;
    let same = done(path, file.try_clone())?;
    let db = contained(path, || shadow_of(path, same))?;
    Ok((file, db))
}

/// A copy of a store that no server has open. See [`copy`].
pub(super) fn copy_file(
    from: &Path,
    to: &Path,
    sections: &[Section],
    replace: bool,
) -> Result<Tally, StoreError> {
    let (_file, mut db) = open_to_look(from)?;
    verify(from, &mut db, sections)?;
    let txn = told(from, db.begin_read())?;
    copy(from, &txn, to, sections, replace)
}

/// Writes what a transaction sees into a file of its own, which has its name when it is whole, on
/// the disk and looked over. What is damaged is not copied: there is no copy then.
///
/// # Errors
/// Either file's; what was there under that name is as it was.
pub(super) fn copy(
    from: &Path,
    txn: &ReadTransaction,
    to: &Path,
    sections: &[Section],
    replace: bool,
) -> Result<Tally, StoreError> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A server that has it open would go on writing to what nobody can find any more: it is held
    // until it has made room.
    let _there = match fs::exists(to) {
        Ok(false) => None,
        Ok(true) if !replace => return Err(StoreError::new(to, Trouble::Exists)),
        _ => {
            let there = done(to, File::open(to))?;
            lock(to, &there)?;
            Some(there)
        }
    };
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = folder.join(name);
    let file = done(&part, options().create(true).truncate(false).open(&part))?;
    lock(&part, &file)?;
    done(&part, file.set_len(0))?;
    let copied = contained(to, || {
        copy_into(from, txn, &part, file, sections)?;
        look_at(&part, sections)
    });
    let renamed = copied.and_then(|tally| {
        done(to, fs::rename(&part, to))?;
        sync_folder(folder)?;
        Ok(tally)
    });
    if renamed.is_err() {
        let _ = fs::remove_file(&part);
    }
    renamed
}

fn copy_into(
    from: &Path,
    txn: &ReadTransaction,
    part: &Path,
    file: File,
    sections: &[Section],
) -> Result<(), StoreError> {
    let db = open_db(part, file)?;
    let mut write = told(part, db.begin_write())?;
    write.set_quick_repair(true);
    let stamp = Section::of::<Stamp>();
    for section in std::iter::once(&stamp).chain(sections) {
        let table = match txn.open_table(definition(section.table)) {
            Err(TableError::TableDoesNotExist(_)) => continue,
            table => told(from, table)?,
        };
        let copy = write.open_table(definition(section.table));
        let mut copy = told(part, copy)?;
        for row in told(from, table.iter())? {
            let (key, value) = told(from, row)?;
            section.check(key.value(), value.value()).map_err(|rot| {
                let what = format!("{}: {rot}", place_of(section, key.value()));
                StoreError::new(from, Trouble::Damaged(what))
            })?;
            told(part, copy.insert(key.value(), value.value()).map(drop))?;
        }
    }
    told(part, write.commit())?;
    told(part, db.close())
}

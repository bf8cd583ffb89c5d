//! What is not sealed yet, on the disk as it comes: a kill loses no more than what had not come out of
//! the queue, and whoever was shown a sample finds it again.
//!
//! Numbered files below the folder of the past, `NNNNNNNNNN.pending`: the one that is written to, and
//! the one before, until all that is in it has long been sealed. Entries, one behind the other,
//! little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 4, 8 | length of the rest, and its XXH3-64 |
//! | 32 | the sensor's key; nothing but zeros: deleted |
//! | rest | [`EntryV1`] in postcard; cells as they are |
//!
//! An entry knows where its sensor's segments ended when it was written. A segment of its attribute
//! behind that has all its samples, so that none comes twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::SensorKey;
use super::shelf::{SEAL_SLOW_MS, erase};
use crate::store::record::frozen;

/// A file is written to for so long, and given up when as much again has passed: nothing waits longer
/// to be sealed.
const TURN_MS: i64 = SEAL_SLOW_MS + 30_000;

/// In one file; then everything is sealed.
const BYTES_MAX: u64 = 64 << 20;

/// Of one entry: no more than a segment's.
const ENTRY_BYTES_MAX: usize = 8 << 20;

const FRONT_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
const EXTENSION: &str = "pending";

/// Where a sensor's segments end: number and bytes of the newest file.
pub type End = (u64, u64);

/// Samples of one attribute in one form; frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryV1 {
    pub attribute_id: Box<str>,
    pub skeleton: Vec<u8>,
    pub end: End,
    pub stamps: Vec<i64>,
    /// Of 8 bytes each, row after row.
    pub cells: Vec<u8>,
}

impl EntryV1 {
    pub fn new(
        attribute_id: &str,
        skeleton: &[u8],
        end: End,
        stamps: &[i64],
        cells: &[u64],
    ) -> Self {
        Self {
            attribute_id: attribute_id.into(),
            skeleton: skeleton.into(),
            end,
            stamps: stamps.into(),
            cells: cells.iter().flat_map(|cell| cell.to_le_bytes()).collect(),
        }
    }

    /// Row after row.
    pub fn cells(&self) -> impl Iterator<Item = u64> {
        self.cells
            .chunks_exact(8)
            .map(|cell| u64::from_le_bytes(cell.try_into().unwrap_or_default()))
    }
}

#[derive(Debug)]
struct Log {
    file: File,
    path: PathBuf,
    began_unix_ms: i64,
    bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Pending {
    folder: PathBuf,
    number: u64,
    current: Option<Log>,
    /// Written to until then.
    older: Vec<(i64, PathBuf)>,
    /// Of the server before, until what is in them has been taken up.
    inherited: Vec<PathBuf>,
    /// What this pass writes.
    buffer: Vec<u8>,
}

impl Pending {
    /// Finds what a server that was killed has left in this folder, which need not be there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let mut found = Vec::new();
        match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            items => {
                for item in items? {
                    let path = item?.path();
                    let number =
                        path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
                    let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
                    found.extend(number.filter(|_| ours).map(|number| (number, path)));
                }
            }
        }
        found.sort();
        let number = found.last().map_or(0, |(number, _)| *number);
        let inherited = found.into_iter().map(|(_, path)| path).collect();
        Ok(Self { folder, number, current: None, older: Vec::new(), inherited, buffer: Vec::new() })
    }

    /// Adds an entry to what [`flush`](Self::flush) writes.
    pub fn push(&mut self, key: SensorKey, entry: &EntryV1) {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRONT_BYTES]);
        self.buffer.extend_from_slice(&key.0);
        let body = postcard::to_stdvec(entry).expect("an entry is made of what postcard writes");
        self.buffer.extend_from_slice(&body);
        seal(&mut self.buffer[at..]);
    }

    /// Writes the entries of this pass, not synced. Files that are over are returned, for
    /// [`erase`].
    ///
    /// # Errors
    /// The disk does not take it: a kill would lose what it is about.
    pub fn flush(&mut self, now_unix_ms: i64) -> io::Result<Vec<PathBuf>> {
        // A clock that was set back keeps nothing for ever.
        let is_over = |since: i64| !(0..TURN_MS).contains(&now_unix_ms.saturating_sub(since));
        let over = self.older.extract_if(.., |(since, _)| is_over(*since));
        let over = over.map(|(_, path)| path).collect();
        if self.current.as_ref().is_some_and(|log| is_over(log.began_unix_ms)) {
            self.turn(now_unix_ms);
        }
        let entries = std::mem::take(&mut self.buffer);
        let written = self.write(&entries, now_unix_ms);
        if written.is_err() {
            // What is behind an entry that is cut off would not be found.
            self.turn(now_unix_ms);
        }
        self.buffer = entries;
        self.buffer.clear();
        written.map(|()| over)
    }

    fn turn(&mut self, now_unix_ms: i64) {
        self.older.extend(self.current.take().map(|log| (now_unix_ms, log.path)));
    }

    fn write(&mut self, entries: &[u8], now_unix_ms: i64) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        if self.current.is_none() {
            fs::create_dir_all(&self.folder)?;
            self.number += 1;
            let path = self.folder.join(format!("{:010}.{EXTENSION}", self.number));
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            self.current = Some(Log { file, path, began_unix_ms: now_unix_ms, bytes: 0 });
        }
        let Some(log) = &mut self.current else { return Ok(()) };
        log.file.write_all(entries)?;
        log.bytes += entries.len() as u64;
        Ok(())
    }

    /// There is so much that everything should be sealed, and [`clear`](Self::clear)ed.
    pub fn is_full(&self) -> bool {
        self.current.as_ref().is_some_and(|log| log.bytes >= BYTES_MAX)
    }

    /// All files but those of the server before, for [`erase`]: everything in them is sealed.
    pub fn clear(&mut self) -> Vec<PathBuf> {
        self.turn(0);
        self.older.drain(..).map(|(_, path)| path).collect()
    }

    /// The entries of the server before, as they were written; and places where something else was
    /// found than an entry, beside one that was cut off at the end.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn inherited(&self) -> io::Result<(Vec<(SensorKey, EntryV1)>, u64)> {
        let (mut entries, mut damaged) = (Vec::new(), 0);
        for path in &self.inherited {
            let bytes = fs::read(path)?;
            for entry in walk(&bytes) {
                match entry {
                    Ok((_, key, body)) if key.0 != [0; KEY_BYTES] => match frozen(body) {
                        Ok(entry) => entries.push((key, entry)),
                        Err(_) => damaged += 1,
                    },
                    Ok(_) => {}
                    Err(Damaged) => damaged += 1,
                }
            }
        }
        Ok((entries, damaged))
    }

    /// What was inherited has been sealed: its files, for [`erase`].
    pub fn take_inherited(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.inherited)
    }

    /// Overwrites every entry of a sensor, and sees that on the disk.
    ///
    /// # Errors
    /// Something is left; it may be tried again.
    pub fn forget(&self, key: SensorKey) -> io::Result<()> {
        let current = self.current.as_ref().map(|log| &log.path);
        let older = self.older.iter().map(|(_, path)| path);
        for path in self.inherited.iter().chain(older).chain(current) {
            let mut bytes = match fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read?,
            };
            let of_key = |entry: Result<(usize, SensorKey, &[u8]), Damaged>| {
                let (at, found, body) = entry.ok()?;
                (found == key).then_some(at..at + FRONT_BYTES + KEY_BYTES + body.len())
            };
            let places: Vec<_> = walk(&bytes).filter_map(of_key).collect();
            if places.is_empty() {
                continue;
            }
            let mut file = OpenOptions::new().write(true).open(path)?;
            for place in places {
                let entry = &mut bytes[place.clone()];
                entry[FRONT_BYTES..].fill(0);
                seal(entry);
                file.seek(SeekFrom::Start(place.start as u64))?;
                file.write_all(entry)?;
            }
            file.sync_all()?;
        }
        Ok(())
    }
}

/// Erases files.
///
/// # Errors
/// Why the first of those cannot be that are left.
pub fn erase_all(paths: &[PathBuf]) -> io::Result<()> {
    // All of them, also behind one that could not be.
    let mut outcome = Ok(());
    for path in paths {
        outcome = outcome.and(erase(path));
    }
    outcome
}

/// Fills in the front that an entry has room for.
fn seal(entry: &mut [u8]) {
    let (front, rest) = entry.split_at_mut(FRONT_BYTES);
    front[..4].copy_from_slice(&(rest.len() as u32).to_le_bytes());
    front[4..].copy_from_slice(&xxh3_64(rest).to_le_bytes());
}

/// There is something that is no entry.
#[derive(Debug)]
struct Damaged;

/// Each entry: where it begins, its key and its body. Ends at one that is cut off, and behind one that
/// is damaged so that the next cannot be found.
fn walk(bytes: &[u8]) -> impl Iterator<Item = Result<(usize, SensorKey, &[u8]), Damaged>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (front, rest) = bytes.get(at..)?.split_at_checked(FRONT_BYTES)?;
        let (length, sum) = front.split_at(4);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        if !(KEY_BYTES..=ENTRY_BYTES_MAX).contains(&length) {
            at = bytes.len();
            return Some(Err(Damaged));
        }
        let entry = rest.get(..length)?;
        let begins = at;
        at += FRONT_BYTES + length;
        if xxh3_64(entry).to_le_bytes() != *sum {
            return Some(Err(Damaged));
        }
        let (key, body) = entry.split_at(KEY_BYTES);
        Some(Ok((begins, SensorKey(key.try_into().ok()?), body)))
    })
}

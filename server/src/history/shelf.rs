//! The files of one sensor's past: segments one behind the other, in files that are never opened for
//! writing again, so that a kill leaves whole ones and at most one that is cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use components::sample::Payload;
use components::shape::Shape;
use rustc_hash::FxHashMap;
use simulator::recording::columns::ROW_COUNT_MAX;

use super::HistoryRecord;
use super::pending::{End, EntryV1};
use super::segment::{Place, Rows, Tier, place_at, seal};

/// Rows that are sealed at once, and cells.
const SEGMENT_ROW_COUNT: usize = 4096;
const SEGMENT_CELL_COUNT: usize = 65_536;

/// What waits in memory is sealed after this time if it is worth a segment, and at any rate after
/// the second.
pub const SEAL_MS: i64 = 10_000;
pub const SEAL_SLOW_MS: i64 = 60_000;
const WORTH_ROW_COUNT: usize = 64;

/// A file holds at most so much, or an eighth of what may be kept: it is given up as a whole.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// And at most so many hours, or an eighth of what is kept.
const FILE_MS_MAX: i64 = 24 * 3_600_000;

/// Segments that are known by heart.
const SEGMENT_COUNT_MAX: usize = 200_000;

/// Attributes of a sensor that wait in memory at once.
const TAIL_COUNT_MAX: usize = 256;

const EXTENSION: &str = "segments";

struct Tail {
    rows: Rows,
    /// Of them, those that are [pending](super::pending) on the disk.
    noted: usize,
    /// When the first came, by our clock.
    began_unix_ms: i64,
}

/// One file.
struct Kept {
    number: u64,
    path: Arc<Path>,
    bytes: u64,
    first_unix_ms: i64,
    last_unix_ms: i64,
    places: Vec<Place>,
}

/// See the module.
pub struct Shelf {
    folder: PathBuf,
    pub policy: HistoryRecord,
    files: Vec<Kept>,
    /// The last of them.
    open: Option<File>,
    tails: FxHashMap<Arc<str>, Tail>,
    /// Segments that were found damaged or cut off as the files were opened.
    pub damaged: u64,
}

/// What a reader takes with it: it reads without holding anybody up.
pub struct Found {
    pub places: Vec<(Arc<Path>, Place)>,
    /// What is not in a file yet.
    pub rows: Option<Rows>,
}

impl Shelf {
    /// What is in the folder, which need not be there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(folder: PathBuf, policy: HistoryRecord) -> io::Result<Self> {
        let mut shelf = Self {
            folder,
            policy,
            files: vec![],
            open: None,
            tails: FxHashMap::default(),
            damaged: 0,
        };
        let items = match fs::read_dir(&shelf.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(shelf),
            items => items?,
        };
        for item in items {
            let path = item?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
            if let Some(number) = number.filter(|_| ours) {
                shelf.take_in(number, &path)?;
            }
        }
        shelf.files.sort_by_key(|kept| kept.number);
        Ok(shelf)
    }

    fn take_in(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut read = reader(&file);
        let (mut at, mut places) = (0, Vec::new());
        loop {
            match place_at(at, bytes, &mut read) {
                Ok(None) => break,
                Ok(Some(place)) => {
                    at = place.end;
                    places.push(place);
                }
                // What follows cannot be found; the other files are not concerned.
                Err(_) => {
                    self.damaged += 1;
                    break;
                }
            }
        }
        let first_unix_ms = places.first().map_or(0, |place: &Place| place.sealed_unix_ms);
        let last_unix_ms = places.last().map_or(0, |place: &Place| place.sealed_unix_ms);
        let path = path.into();
        self.files.push(Kept { number, path, bytes, first_unix_ms, last_unix_ms, places });
        Ok(())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|kept| kept.bytes).sum()
    }

    /// Bytes and rows of the samples in all files.
    pub fn weight(&self) -> (u64, u64) {
        let places = self.files.iter().flat_map(|kept| &kept.places);
        places
            .map(|place| place.weight(Tier::Samples))
            .fold((0, 0), |(b, r), (bytes, rows)| (b + bytes, r + rows))
    }

    /// Names of the attributes that there is something of.
    pub fn attributes(&self) -> Vec<Arc<str>> {
        let places = self.files.iter().flat_map(|kept| &kept.places);
        let mut names: Vec<Arc<str>> =
            places.map(|place| Arc::clone(&place.attribute_id)).collect();
        names.extend(self.tails.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Whether it was taken; what is kept as text is not.
    ///
    /// # Errors
    /// The disk does not take what had to make room for it; that is lost.
    pub fn take(
        &mut self,
        attribute_id: &Arc<str>,
        scalar: &Arc<Shape>,
        stamp: i64,
        payload: Payload<'_>,
        now_unix_ms: i64,
    ) -> Result<bool, (u64, io::Error)> {
        let cell;
        let (shape, cells) = match payload {
            Payload::Scalar(value) => {
                cell = [value.0];
                (scalar, &cell[..])
            }
            Payload::Shaped { shape, cells } => (shape, cells),
            Payload::Text { .. } => return Ok(false),
        };
        let mut outcome = Ok(true);
        if let Some(tail) = self.tails.get(attribute_id) {
            let another = !Arc::ptr_eq(&tail.rows.shape, shape) && *tail.rows.shape != **shape;
            if another
                || tail.rows.stamps.len() >= SEGMENT_ROW_COUNT.min(ROW_COUNT_MAX)
                || tail.rows.cells.len() >= SEGMENT_CELL_COUNT
            {
                outcome = self.seal(&Arc::clone(attribute_id), now_unix_ms).map(|()| true);
            }
        } else if self.tails.len() >= TAIL_COUNT_MAX {
            outcome = self.seal_all(now_unix_ms).map(|()| true);
        }
        let tail = self.tails.entry(Arc::clone(attribute_id)).or_insert_with(|| Tail {
            rows: Rows::new(Arc::clone(shape)),
            noted: 0,
            began_unix_ms: now_unix_ms,
        });
        tail.rows.stamps.push(stamp);
        tail.rows.cells.extend_from_slice(cells);
        outcome
    }

    /// Where the segments end.
    fn end(&self) -> End {
        self.files.last().map_or((0, 0), |kept| (kept.number, kept.bytes))
    }

    /// What has come into memory since this was last called, to be noted on the disk.
    pub fn note_new(&mut self, mut note: impl FnMut(EntryV1)) {
        let end = self.end();
        for (attribute_id, Tail { rows, noted, .. }) in &mut self.tails {
            let count = rows.stamps.len();
            if *noted < count {
                let cells = &rows.cells[*noted * rows.shape.width()..];
                let skeleton = rows.shape.skeleton();
                note(EntryV1::new(attribute_id, skeleton, end, &rows.stamps[*noted..], cells));
                *noted = count;
            }
        }
    }

    /// Whether what was noted has been sealed since.
    pub fn has_sealed(&self, entry: &EntryV1) -> bool {
        self.files.iter().any(|kept| {
            let of_it = |place: &&Place| *place.attribute_id == *entry.attribute_id;
            let last = kept.places.iter().rev().find(of_it);
            last.is_some_and(|place| (kept.number, place.end) > entry.end)
        })
    }

    /// Takes up what a server that was killed has noted and not sealed; how many samples.
    ///
    /// # Errors
    /// See [`take`](Self::take).
    pub fn take_up(&mut self, entry: &EntryV1, now_unix_ms: i64) -> Result<u64, (u64, io::Error)> {
        let shape = Arc::new(Shape::from_skeleton(&entry.skeleton));
        let (width, count) = (shape.width(), entry.stamps.len());
        if width == 0 || entry.cells.len() != count * width * 8 {
            return Ok(0);
        }
        let attribute_id = Arc::from(&*entry.attribute_id);
        let cells: Vec<u64> = entry.cells().collect();
        for (stamp, cells) in entry.stamps.iter().zip(cells.chunks_exact(width)) {
            let payload = Payload::Shaped { shape: &shape, cells };
            self.take(&attribute_id, &shape, *stamp, payload, now_unix_ms)?;
        }
        Ok(count as u64)
    }

    /// Seals what has waited long enough.
    ///
    /// # Errors
    /// How many samples the disk did not take, and why.
    pub fn seal_due(&mut self, now_unix_ms: i64) -> Result<(), (u64, io::Error)> {
        let due = |tail: &Tail| {
            let waited = now_unix_ms.saturating_sub(tail.began_unix_ms);
            // A clock that was set back makes nobody wait for ever.
            !(0..SEAL_SLOW_MS).contains(&waited)
                || (waited >= SEAL_MS && tail.rows.stamps.len() >= WORTH_ROW_COUNT)
        };
        let due: Vec<Arc<str>> =
            self.tails.iter().filter(|(_, tail)| due(tail)).map(|(id, _)| Arc::clone(id)).collect();
        self.seal_these(due, now_unix_ms)
    }

    /// Seals everything.
    ///
    /// # Errors
    /// See [`seal_due`](Self::seal_due).
    pub fn seal_all(&mut self, now_unix_ms: i64) -> Result<(), (u64, io::Error)> {
        let all = self.tails.keys().cloned().collect();
        self.seal_these(all, now_unix_ms)
    }

    fn seal_these(&mut self, ids: Vec<Arc<str>>, now_unix_ms: i64) -> Result<(), (u64, io::Error)> {
        let (mut lost, mut why) = (0, None);
        for id in ids {
            if let Err((count, error)) = self.seal(&id, now_unix_ms) {
                lost += count;
                why = Some(error);
            }
        }
        why.map_or(Ok(()), |why| Err((lost, why)))
    }

    fn seal(&mut self, attribute_id: &Arc<str>, now_unix_ms: i64) -> Result<(), (u64, io::Error)> {
        let Some(Tail { rows, .. }) = self.tails.remove(attribute_id) else { return Ok(()) };
        let bytes = seal(attribute_id, &rows, now_unix_ms);
        self.append(&bytes, now_unix_ms).map_err(|error| {
            // What is behind a segment that is cut off would not be found.
            self.open = None;
            (rows.stamps.len() as u64, error)
        })
    }

    fn append(&mut self, bytes: &[u8], now_unix_ms: i64) -> io::Result<()> {
        let span = FILE_MS_MAX.min(i64::from(self.policy.keep_hours) * 3_600_000 / 8);
        let bytes_max = FILE_BYTES_MAX.min(self.policy.bytes_max / 8);
        let is_over = |kept: &Kept| {
            kept.bytes >= bytes_max || now_unix_ms.saturating_sub(kept.first_unix_ms) >= span
        };
        if self.open.is_some() && self.files.last().is_some_and(is_over) {
            self.close()?;
        }
        if self.open.is_none() {
            fs::create_dir_all(&self.folder)?;
            let number = self.files.last().map_or(1, |kept| kept.number + 1);
            let path = self.folder.join(format!("{number:010}.{EXTENSION}"));
            self.open = Some(OpenOptions::new().write(true).create_new(true).open(&path)?);
            self.files.push(Kept {
                number,
                path: path.into(),
                bytes: 0,
                first_unix_ms: now_unix_ms,
                last_unix_ms: now_unix_ms,
                places: Vec::new(),
            });
        }
        let (Some(file), Some(kept)) = (&mut self.open, self.files.last_mut()) else {
            return Ok(());
        };
        file.write_all(bytes)?;
        let at = kept.bytes;
        let mut read = |from: u64, out: &mut [u8]| {
            let from = (from - at) as usize;
            let there = bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(there);
            Ok(())
        };
        let place = place_at(at, at + bytes.len() as u64, &mut read);
        let place = place.map_err(|damaged| io::Error::other(damaged.0))?;
        kept.bytes += bytes.len() as u64;
        kept.last_unix_ms = now_unix_ms;
        kept.places.extend(place);
        Ok(())
    }

    /// What was written is on the disk, and the next segment begins a file.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |file| file.sync_all())
    }

    /// Gives up what is older or more than may be kept; how many files.
    ///
    /// # Errors
    /// A file could not be overwritten and taken away; it is tried again.
    pub fn retain(&mut self, now_unix_ms: i64) -> io::Result<u64> {
        let oldest = now_unix_ms.saturating_sub(i64::from(self.policy.keep_hours) * 3_600_000);
        let mut gone = 0;
        loop {
            let segments: usize = self.files.iter().map(|kept| kept.places.len()).sum();
            let too_much = self.bytes() > self.policy.bytes_max || segments > SEGMENT_COUNT_MAX;
            let Some(first) = self.files.first() else { break };
            let too_old = first.last_unix_ms < oldest;
            let is_newest = self.files.len() == 1;
            if !(too_old || too_much && !is_newest) {
                break;
            }
            if is_newest {
                // Nothing has come for so long that even this goes.
                self.open = None;
            }
            erase(&first.path)?;
            self.files.remove(0);
            gone += 1;
        }
        Ok(gone)
    }

    /// Everything goes, for good: overwritten where it was, then taken away.
    ///
    /// # Errors
    /// Something is left; it may be tried again.
    pub fn erase(&mut self) -> io::Result<()> {
        self.tails.clear();
        self.open = None;
        while let Some(kept) = self.files.last() {
            erase(&kept.path)?;
            self.files.pop();
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What there is of an attribute within these stamps.
    pub fn find(&self, attribute_id: &str, range: &Range<i64>) -> Found {
        let places = self.files.iter().flat_map(|kept| {
            let path = &kept.path;
            kept.places.iter().map(move |place| (Arc::clone(path), place))
        });
        let wanted = |place: &Place| {
            *place.attribute_id == *attribute_id
                && place.first < range.end
                && place.last >= range.start
        };
        Found {
            places: places
                .filter(|(_, place)| wanted(place))
                .map(|(path, place)| (path, place.clone()))
                .collect(),
            rows: self.tails.get(attribute_id).map(|tail| tail.rows.clone()),
        }
    }
}

/// Overwrites a file with nothing, sees that on the disk, and takes the file away.
pub(crate) fn erase(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut left = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let nothing = [0; 64 * 1024];
    while left > 0 {
        let count = left.min(nothing.len() as u64);
        file.write_all(&nothing[..count as usize])?;
        left -= count;
    }
    file.sync_all()?;
    fs::remove_file(path)
}

/// Reads a file from anywhere.
pub fn reader(file: &File) -> impl FnMut(u64, &mut [u8]) -> io::Result<()> {
    move |at, out| {
        use std::io::Read;
        let mut file = file;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(out)
    }
}

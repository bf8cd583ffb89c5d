//! What one server leaves to the next: the engine's world, between an orderly end and the next start.
//!
//! `world.left` in the data folder, readable by its owner alone, and there only in between: whoever
//! takes it has it under another name first, so that nobody takes it twice, and overwrites it and takes
//! it away beside serving. A start that is too late, or of a build whose worlds have another form, goes
//! on without it and says so. [`Folder`] says whose turn it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use components::sample::EngineTime;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::clock::Now;
use crate::history::shelf::erase;

const MAGIC: [u8; 8] = *b"SCTLEFT1";

/// A world that nobody took up for so long is out of date: its sensors would have gone, and what they
/// measured is not to lie about.
pub const AGE_MAX: Duration = Duration::from_secs(600);

/// A file of more is nothing that a server leaves, and a world of more is not left: its rings have the
/// engine's memory budget as their bound.
pub const LEFT_BYTES_MAX: u64 = 16 << 30;

/// What viewers claim holds for so long behind a start, unless they come and say otherwise; devices
/// have at least as long to come back.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long a start waits for the server before it to end, if it shares its listening socket.
pub const TURN_PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks whether the other has ended.
const TURN_PERIOD: Duration = Duration::from_millis(5);

/// What stands before the world; frozen.
#[derive(Debug, Serialize, Deserialize)]
struct HeadV1 {
    engine_us: u64,
    unix_ms: i64,
    bytes: u64,
}

/// A world that was left, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub at: Now,
    pub world: Vec<u8>,
}

/// The data folder, held by one server at a time.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Locked as long as this is open, if it is ours.
    lock: File,
    is_held: bool,
    /// Overwrites what was taken.
    sweeping: Option<JoinHandle<()>>,
}

impl Folder {
    /// Takes the folder, and waits for whoever has it for so long at most. Blocks.
    ///
    /// # Errors
    /// There is no such folder to be had.
    pub fn take(path: &Path, patience: Duration) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(path.join("lock"))?;
        let mut folder = Self { path: path.into(), lock, is_held: false, sweeping: None };
        let until = Instant::now() + patience;
        while !folder.hold()? && Instant::now() < until {
            std::thread::sleep(TURN_PERIOD);
        }
        Ok(folder)
    }

    /// Whether it is ours, by now at least.
    ///
    /// # Errors
    /// It cannot be locked at all.
    pub fn hold(&mut self) -> io::Result<bool> {
        if !self.is_held {
            self.is_held = match self.lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error),
            };
        }
        Ok(self.is_held)
    }

    pub fn is_held(&self) -> bool {
        self.is_held
    }

    fn file(&self) -> PathBuf {
        self.path.join("world.left")
    }

    /// What is being written, and is not whole yet.
    fn draft(&self) -> PathBuf {
        self.path.join("world.leaving")
    }

    /// Leaves the world to the next server, if the folder is ours. Not synced: what matters beyond a
    /// power cut is in the store.
    ///
    /// # Errors
    /// The disk does not take it; nothing is left.
    pub fn leave(&self, left: &Left) -> io::Result<()> {
        if !self.is_held {
            return Ok(());
        }
        let Left { at, world } = left;
        let bytes = world.len() as u64;
        if bytes > LEFT_BYTES_MAX {
            return Err(io::Error::other(format!("a world of {bytes} bytes is too large")));
        }
        let head = HeadV1 { engine_us: at.engine.0, unix_ms: at.unix_ms, bytes };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let mut sum = Xxh3::new();
        sum.update(&head);
        sum.update(world);
        let path = self.draft();
        let write = || {
            let mut file = private(&path)?;
            file.write_all(&MAGIC)?;
            file.write_all(&sum.digest().to_le_bytes())?;
            file.write_all(&head)?;
            file.write_all(world)?;
            fs::rename(&path, self.file())
        };
        write().inspect_err(|_| drop(erase(&path)))
    }

    /// What was left here, if it is of some use at `unix_ms`. Nobody finds it again; its bytes are
    /// gone when this folder is let go of, at the latest.
    ///
    /// # Errors
    /// A sentence why what lies there is not taken up.
    pub fn inherit(&mut self, unix_ms: i64) -> Result<Option<Left>, String> {
        if !self.is_held {
            return Ok(None);
        }
        self.be_swept();
        let say = |error: io::Error| error.to_string();
        // Of a server that was killed while it left, or took.
        erase(&self.draft()).map_err(say)?;
        let taken = self.path.join("world.taken");
        erase(&taken).map_err(say)?;
        match fs::rename(self.file(), &taken) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            renamed => renamed.map_err(say)?,
        }
        let bytes = read(&taken);
        self.sweep(taken);
        let left = parse(&bytes.map_err(say)?)?;
        let age_ms = unix_ms.saturating_sub(left.at.unix_ms);
        match u128::try_from(age_ms) {
            Ok(age_ms) if age_ms <= AGE_MAX.as_millis() => Ok(Some(left)),
            _ => Err(format!("it was left {} s ago", age_ms / 1000)),
        }
    }

    /// Waits until nothing of what was taken is there any more.
    fn be_swept(&mut self) {
        if let Some(sweeping) = self.sweeping.take() {
            let _ = sweeping.join();
        }
    }

    fn sweep(&mut self, taken: PathBuf) {
        let sweep = move || {
            if let Err(error) = erase(&taken) {
                tracing::error!(%error, path = %taken.display(), "what was taken up lies there still");
            }
        };
        match std::thread::Builder::new().name("sweep".into()).spawn(sweep) {
            Ok(thread) => self.sweeping = Some(thread),
            Err(error) => tracing::error!(%error, "what was taken up is not overwritten"),
        }
    }
}

impl Drop for Folder {
    /// The next server takes under the same name.
    fn drop(&mut self) {
        self.be_swept();
    }
}

/// All of a file that is no larger than any may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > LEFT_BYTES_MAX + 1024 {
        return Err(io::Error::other(format!("{bytes} bytes are more than any server leaves")));
    }
    let mut all = Vec::with_capacity(bytes as usize);
    file.take(bytes).read_to_end(&mut all)?;
    Ok(all)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    File::create(path)
}

fn parse(bytes: &[u8]) -> Result<Left, String> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or("it is nothing that a server leaves")?;
    let cut = "it is cut off";
    let (sum, rest) = rest.split_first_chunk::<8>().ok_or(cut)?;
    let (head, world) =
        postcard::take_from_bytes::<HeadV1>(rest).map_err(|error| error.to_string())?;
    if head.bytes != world.len() as u64 {
        return Err(cut.into());
    }
    if u64::from_le_bytes(*sum) != xxh3_64(rest) {
        return Err("it is damaged".into());
    }
    let HeadV1 { engine_us, unix_ms, .. } = head;
    Ok(Left { at: Now { engine: EngineTime(engine_us), unix_ms }, world: world.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("sensocto-legacy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn left() -> Left {
        let at = Now { engine: EngineTime(7_000_000), unix_ms: 1_700_000_000_000 };
        Left { at, world: (0..=255).collect() }
    }

    #[test]
    fn what_is_left_is_taken_once_and_leaves_nothing_behind() {
        let path = folder("once");
        let mut first = Folder::take(&path, Duration::ZERO).unwrap();
        let mut second = Folder::take(&path, Duration::ZERO).unwrap();
        assert!(first.is_held && !second.is_held, "one has it at a time");
        second.leave(&left()).unwrap();
        assert_eq!(first.inherit(left().at.unix_ms), Ok(None), "the other has nothing to leave");
        first.leave(&left()).unwrap();
        assert_eq!(second.inherit(left().at.unix_ms), Ok(None));
        drop(first);
        let mut third = Folder::take(&path, Duration::ZERO).unwrap();
        assert_eq!(third.inherit(left().at.unix_ms + 3000), Ok(Some(left())));
        assert_eq!(third.inherit(left().at.unix_ms + 3000), Ok(None));
        drop(third);
        let names = fs::read_dir(&path).unwrap().count();
        assert_eq!(names, 1, "only the lock");
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_is_too_old_cut_off_or_damaged_is_refused_and_gone() {
        let path = folder("refused");
        let mut folder = Folder::take(&path, Duration::ZERO).unwrap();
        let at = left().at.unix_ms;
        for late in [AGE_MAX.as_millis() as i64 + 1, -1] {
            folder.leave(&left()).unwrap();
            assert!(folder.inherit(at + late).is_err(), "{late}");
            assert!(!folder.file().exists());
        }
        folder.leave(&left()).unwrap();
        let whole = fs::read(folder.file()).unwrap();
        for cut in 0..whole.len() {
            fs::write(folder.file(), &whole[..cut]).unwrap();
            assert!(folder.inherit(at).is_err(), "cut at {cut}");
            assert!(!folder.file().exists());
        }
        for bit in (0..whole.len() * 8).step_by(3) {
            let mut other = whole.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.file(), &other).unwrap();
            assert!(folder.inherit(at).is_err(), "bit {bit}");
        }
        drop(folder);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_a_killed_server_had_half_left_or_half_taken_is_nobodys_and_goes() {
        let path = folder("killed");
        let mut folder = Folder::take(&path, Duration::ZERO).unwrap();
        folder.leave(&left()).unwrap();
        let whole = fs::read(folder.file()).unwrap();
        fs::rename(folder.file(), path.join("world.taken")).unwrap();
        fs::write(folder.draft(), whole).unwrap();
        assert_eq!(folder.inherit(left().at.unix_ms), Ok(None));
        drop(folder);
        let names = fs::read_dir(&path).unwrap().count();
        assert_eq!(names, 1, "only the lock");
        fs::remove_dir_all(&path).unwrap();
    }
}

//! A disk in memory that can be told to lie: it tears what was not synced, forgets syncs, fills up,
//! fails, and rots.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::store::shadow::Source;

/// A sector is written whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Cheap to clone; all clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What whoever reads is given.
    seen: Vec<u8>,
    /// What is there when the power goes.
    safe: Vec<u8>,
    /// Since the last sync.
    unsynced: Vec<Op>,
    /// Syncs are answered and not done.
    lies: bool,
    /// Bytes that it takes.
    room: Option<usize>,
    /// Writes and syncs that are done before one fails, and how that fails.
    fails_after: Option<(u64, io::ErrorKind)>,
    /// Everything fails.
    dead: Option<io::ErrorKind>,
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Op {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(*len, 0),
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }
}

/// Chance, the same every time.
#[derive(Debug, Clone)]
pub(in crate::store) struct Chance(u64);

impl Chance {
    pub(in crate::store) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    pub(in crate::store) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(in crate::store) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

impl Disk {
    pub(in crate::store) fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().seen.clone_from(&bytes);
        disk.lock().safe = bytes;
        disk
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.lock().seen.is_empty()
    }

    pub(in crate::store) fn bytes(&self) -> Vec<u8> {
        self.lock().seen.clone()
    }

    pub(in crate::store) fn lie(&self) {
        self.lock().lies = true;
    }

    pub(in crate::store) fn set_room(&self, room: Option<usize>) {
        self.lock().room = room;
    }

    pub(in crate::store) fn fail_after(&self, count: u64, kind: io::ErrorKind) {
        self.lock().fails_after = Some((count, kind));
    }

    pub(in crate::store) fn set_dead(&self, kind: Option<io::ErrorKind>) {
        self.lock().dead = kind;
    }

    pub(in crate::store) fn flip(&self, bit: usize) {
        let mut platter = self.lock();
        platter.seen[bit / 8] ^= 1 << (bit % 8);
    }

    /// The power goes, and another disk comes back: of what was not synced some is there. Either
    /// everything up to a moment, or of each sector as chance will have it.
    pub(in crate::store) fn cut_power(&self, chance: &mut Chance) -> Self {
        let mut platter = self.lock();
        platter.dead = Some(io::ErrorKind::Other);
        let mut bytes = platter.safe.clone();
        let mut ops: Vec<Op> = Vec::new();
        let count = platter.unsynced.len() as u64;
        let (up_to, kept_of_16) = match chance.below(4) {
            0 => (count, 8),
            1 => (count, 15),
            _ => (chance.below(count + 1), 16),
        };
        for op in platter.unsynced.iter().take(up_to as usize) {
            match op {
                Op::Len(_) if chance.below(16) < kept_of_16 => ops.push(op.clone()),
                Op::Len(_) => {}
                Op::Write(at, data) => {
                    let mut done = 0;
                    while done < data.len() {
                        let to_edge = SECTOR_BYTES - (at + done) % SECTOR_BYTES;
                        let count = to_edge.min(data.len() - done);
                        if chance.below(16) < kept_of_16 {
                            ops.push(Op::Write(at + done, data[done..done + count].to_vec()));
                        }
                        done += count;
                    }
                }
            }
        }
        ops.iter().for_each(|op| op.apply(&mut bytes));
        Self::of(bytes)
    }
}

impl Platter {
    fn may(&mut self) -> io::Result<()> {
        if let Some(kind) = self.dead {
            return Err(kind.into());
        }
        match &mut self.fails_after {
            Some((0, kind)) => {
                let kind = *kind;
                self.fails_after = None;
                Err(kind.into())
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, op: Op) -> io::Result<()> {
        self.may()?;
        let end = match &op {
            Op::Len(len) => *len,
            Op::Write(at, data) => at + data.len(),
        };
        if self.room.is_some_and(|room| end > room) {
            // A short write: the beginning is there all the same.
            if let Op::Write(at, data) = &op {
                let fits = self.room.unwrap_or(0).saturating_sub(*at).min(data.len());
                let short = Op::Write(*at, data[..fits].to_vec());
                short.apply(&mut self.seen);
                self.unsynced.push(short);
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        op.apply(&mut self.seen);
        self.unsynced.push(op);
        Ok(())
    }
}

impl Source for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().seen.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.lock();
        if let Some(kind) = platter.dead {
            return Err(kind.into());
        }
        let end = offset as usize + out.len();
        let bytes = platter.seen.get(offset as usize..end);
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Source::len(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().take(Op::Len(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.may()?;
        if !platter.lies {
            platter.unsynced.clear();
            platter.safe = platter.seen.clone();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().take(Op::Write(offset as usize, data.to_vec()))
    }
}

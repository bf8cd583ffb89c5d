//! A file that is looked at and never written: what redb wants to write while it looks stays in
//! memory.
//!
//! redb repairs what it opens, and its own check does as well. Over a shadow it does so on a copy
//! of the pages concerned, so that what is damaged or somebody else's stays as it was found.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Where the bytes are.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    fn len(&self) -> io::Result<u64>;

    /// Fills `out` from there; beyond the end is an error.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, out, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(out)
    }
}

const PAGE_BYTES: u64 = 4096;

/// See the module.
pub(super) struct Shadow {
    source: Box<dyn Source>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// Up to here the source counts; behind it is nothing but what was written here.
    source_len: u64,
    /// Pages that were written, by their number.
    pages: HashMap<u64, Box<[u8]>>,
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shadow({:?})", self.source)
    }
}

impl Shadow {
    pub(super) fn new(source: impl Source) -> io::Result<Self> {
        let len = source.len()?;
        let state = Mutex::new(State { len, source_len: len, pages: HashMap::new() });
        Ok(Self { source: Box::new(source), state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the source has at this place, and nothing behind its end.
    fn take_from_source(&self, source_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = source_len.saturating_sub(offset).min(out.len() as u64) as usize;
        out[there..].fill(0);
        if there == 0 { Ok(()) } else { self.source.read_at(offset, &mut out[..there]) }
    }
}

/// The pieces of a range, page by page: page, place in the page, place in the range, length.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % PAGE_BYTES) as usize;
        let count = (PAGE_BYTES as usize - within).min(len - done);
        let piece = (at / PAGE_BYTES, within, done, count);
        done += count;
        Some(piece)
    })
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, within, done, count) in pieces(offset, out.len()) {
            let out = &mut out[done..done + count];
            match state.pages.get(&page) {
                Some(bytes) => out.copy_from_slice(&bytes[within..within + count]),
                None => {
                    let at = page * PAGE_BYTES + within as u64;
                    self.take_from_source(state.source_len, at, out)?;
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.len = len;
        state.source_len = state.source_len.min(len);
        state.pages.retain(|page, _| page * PAGE_BYTES < len);
        let (last, rest) = (len / PAGE_BYTES, (len % PAGE_BYTES) as usize);
        if let Some(bytes) = state.pages.get_mut(&last) {
            bytes[rest..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        for (page, within, done, count) in pieces(offset, data.len()) {
            if !state.pages.contains_key(&page) {
                let mut bytes = vec![0; PAGE_BYTES as usize].into_boxed_slice();
                self.take_from_source(state.source_len, page * PAGE_BYTES, &mut bytes)?;
                state.pages.insert(page, bytes);
            }
            if let Some(bytes) = state.pages.get_mut(&page) {
                bytes[within..within + count].copy_from_slice(&data[done..done + count]);
            }
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }
}

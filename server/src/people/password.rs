//! Passwords: Argon2id, on a thread of its own behind a bounded queue and behind all other threads,
//! so that signing in slows down nothing but signing in.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use crate::secret::{NoRandom, random};

/// What a password may be long, in bytes. Shorter ones are guessed; longer ones are only work.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=256;

/// Passwords that may wait for the thread. At some 60 a second on a quiet core, the last one waits
/// about a second.
pub const WAITING_COUNT_MAX: usize = 64;

/// 19 MiB, twice through, one lane: OWASP's first choice for Argon2id (Password Storage Cheat
/// Sheet), some 15 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What the store may ask us for: a damaged or foreign record shall not take all memory.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;

/// What is kept of a password. Part of a frozen record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
    pub(super) salt: [u8; 16],
    pub(super) hash: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({} KiB, {} passes)", self.memory_kib, self.passes)
    }
}

impl PasswordHash {
    /// What no password leads to, at today's cost: what is compared with when there is nobody, so
    /// that the answer takes as long.
    fn nobodys() -> Self {
        Self { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: [0; 16], hash: [0; 32] }
    }

    fn params(&self) -> Option<Params> {
        let sane = self.memory_kib <= MEMORY_KIB_MAX && self.passes <= PASSES_MAX;
        sane.then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()).flatten()
    }

    /// The hash of this password with this salt and cost. `memory` is used again.
    fn hash(&self, password: &[u8], memory: &mut Vec<Block>) -> Option<[u8; 32]> {
        let params = self.params()?;
        memory.resize(params.block_count().max(memory.len()), Block::default());
        let mut hash = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2
            .hash_password_into_with_memory(password, &self.salt, &mut hash, &mut memory[..])
            .ok()?;
        Some(hash)
    }
}

/// Why a password was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashError {
    /// Too many wait.
    Busy,
    NoRandom,
}

impl From<NoRandom> for HashError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

enum Work {
    Make { salt: [u8; 16], answer: oneshot::Sender<Option<PasswordHash>> },
    Compare { with: PasswordHash, answer: oneshot::Sender<bool> },
}

struct Job {
    password: Box<str>,
    work: Work,
}

/// The thread's door. The thread ends with it.
pub(super) struct Hasher {
    jobs: SyncSender<Job>,
    refused: AtomicU64,
}

impl Hasher {
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start() -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_COUNT_MAX);
        std::thread::Builder::new().name("passwords".into()).spawn(move || work(&waiting))?;
        Ok(Self { jobs, refused: AtomicU64::new(0) })
    }

    /// A new password's hash.
    pub(super) async fn make(&self, password: &str) -> Result<PasswordHash, HashError> {
        let (answer, outcome) = oneshot::channel();
        self.hand_over(password, Work::Make { salt: random()?, answer })?;
        outcome.await.ok().flatten().ok_or(HashError::Busy)
    }

    /// Whether a password is the one; of nobody's, it never is, and that takes as long.
    pub(super) async fn is(
        &self,
        password: &str,
        with: Option<PasswordHash>,
    ) -> Result<bool, HashError> {
        let (answer, outcome) = oneshot::channel();
        let somebody = with.is_some();
        let with = with.unwrap_or_else(PasswordHash::nobodys);
        self.hand_over(password, Work::Compare { with, answer })?;
        let same = outcome.await.map_err(|_| HashError::Busy)?;
        Ok(same && somebody)
    }

    fn hand_over(&self, password: &str, work: Work) -> Result<(), HashError> {
        self.jobs.try_send(Job { password: password.into(), work }).map_err(|error| {
            if matches!(error, TrySendError::Full(_)) {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            HashError::Busy
        })
    }

    /// Passwords that were not looked at, for want of room.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Where nothing else is to be done it has a core for itself; where the tick is, the tick has nine
/// parts of ten (`sched(7)`: each step is a factor of 1.25).
const NICE: i32 = 10;

fn work(waiting: &Receiver<Job>) {
    // On Linux that is the calling thread. Where it cannot be, passwords are as urgent as the rest.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut memory = Vec::new();
    while let Ok(Job { password, work }) = waiting.recv() {
        // Whoever has gone meanwhile does not hear it.
        match work {
            Work::Make { salt, answer } => {
                let mut made = PasswordHash { salt, ..PasswordHash::nobodys() };
                let hash = made.hash(password.as_bytes(), &mut memory);
                let _ = answer.send(hash.map(|hash| {
                    made.hash = hash;
                    made
                }));
            }
            Work::Compare { with, answer } => {
                let hash = with.hash(password.as_bytes(), &mut memory);
                let _ = answer.send(hash.is_some_and(|hash| bool::from(hash.ct_eq(&with.hash))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_as_others_compute_it() {
        // `python3 -c "from argon2.low_level import *; print(hash_secret_raw(b'correct horse',
        //  b'0123456789abcdef', 2, 19456, 1, 32, Type.ID).hex())"`, argon2-cffi 25.1.
        let made = PasswordHash { salt: *b"0123456789abcdef", ..PasswordHash::nobodys() };
        let hash = made.hash(b"correct horse", &mut Vec::new()).unwrap();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ae4d8c8b713876044c8347c76986a9b5655944aaacfffe9bea4dff9e7b6a1899");
    }

    #[tokio::test]
    async fn only_the_password_itself_is_the_one() {
        let hasher = Hasher::start().unwrap();
        let made = hasher.make("correct horse").await.unwrap();
        let again = hasher.make("correct horse").await.unwrap();
        assert_ne!(made.salt, again.salt);
        assert_ne!(made.hash, again.hash);
        for (password, same) in [
            ("correct horse", true),
            ("correct horsf", false),
            ("", false),
            ("Correct horse", false),
        ] {
            assert_eq!(hasher.is(password, Some(made.clone())).await, Ok(same), "{password}");
        }
        assert_eq!(hasher.is("correct horse", None).await, Ok(false));
        let monstrous = PasswordHash { memory_kib: u32::MAX, ..made };
        assert_eq!(hasher.is("correct horse", Some(monstrous)).await, Ok(false));
    }

    #[tokio::test]
    async fn whoever_is_one_too_many_hears_so_at_once() {
        let (jobs, waiting) = sync_channel(WAITING_COUNT_MAX);
        let hasher = Hasher { jobs, refused: AtomicU64::new(0) };
        for _ in 0..WAITING_COUNT_MAX {
            let (answer, _) = oneshot::channel();
            let with = PasswordHash::nobodys();
            assert_eq!(hasher.hand_over("p", Work::Compare { with, answer }), Ok(()));
        }
        assert_eq!(hasher.is("p", None).await, Err(HashError::Busy));
        assert_eq!(hasher.refused(), 1);
        drop(waiting);
    }
}

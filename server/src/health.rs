//! Whether the engine is alive, as its last tick tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An engine that has not ticked for this long is not ready: a hundred ticks and more.
pub const TICK_AGE_MAX: Duration = Duration::from_secs(2);

/// Set by the pump at every tick, read by `/health/ready`.
#[derive(Debug)]
pub struct Pulse {
    began: Instant,
    /// Milliseconds after `began`, plus one; 0: never.
    last_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { began: Instant::now(), last_ms: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// The engine has ticked.
    pub fn beat(&self) {
        self.last_ms.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    /// Time since the last tick; `None` when there was none.
    pub fn age(&self) -> Option<Duration> {
        let last = self.last_ms.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(last)))
    }

    pub fn is_alive(&self) -> bool {
        self.age().is_some_and(|age| age < TICK_AGE_MAX)
    }
}

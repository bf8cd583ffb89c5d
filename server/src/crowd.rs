//! Whether the sockets wait for each other: how late a task wakes that asks for nothing but that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Time between two looks: short against a second, long against the cost of a wake-up.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Waking later than this is a crowd: a sample passes two sockets, and should be seen within the
/// next frame or two of a screen.
const LATE_MAX: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub struct Crowd {
    crowded: AtomicBool,
    /// Looks that found one.
    looks: AtomicU64,
}

impl Crowd {
    /// As the last look found.
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Looks that found a crowd, of all so far.
    pub fn look_count(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// One look, that came so late.
    fn note(&self, late: Duration) {
        let crowded = late > LATE_MAX;
        self.crowded.store(crowded, Ordering::Relaxed);
        self.looks.fetch_add(u64::from(crowded), Ordering::Relaxed);
    }

    /// Looks for ever.
    pub async fn watch(&self) {
        loop {
            let due = Instant::now() + LOOK_PERIOD;
            sleep_until(due).await;
            self.note(due.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_look_is_a_crowd_until_one_is_in_time() {
        let crowd = Crowd::default();
        crowd.note(LATE_MAX);
        assert!(!crowd.is_crowded());
        crowd.note(LATE_MAX * 2);
        assert!(crowd.is_crowded() && crowd.look_count() == 1);
        crowd.note(Duration::ZERO);
        assert!(!crowd.is_crowded());
    }
}

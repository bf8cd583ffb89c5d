//! Whether the sockets wait for each other: how late a task wakes that asks for nothing but that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
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
    /// The latest look since the gauge last asked, in microseconds.
    late_micros: AtomicU64,
    /// When the next look is due.
    due: Mutex<Option<Instant>>,
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
        self.late_micros.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
    }

    /// How late the latest look was since this was last asked; a look that should have been and was
    /// not counts as far as it is late by now.
    pub fn take_late(&self, now: std::time::Instant) -> Duration {
        let latest = Duration::from_micros(self.late_micros.swap(0, Ordering::Relaxed));
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let overdue = due.map(|due| now.saturating_duration_since(due.into_std()));
        latest.max(overdue.unwrap_or_default())
    }

    /// Looks for ever.
    pub async fn watch(&self) {
        loop {
            let due = Instant::now() + LOOK_PERIOD;
            *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
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

    #[test]
    fn how_late_it_was_is_told_once_and_a_look_that_does_not_come_at_all_is_late() {
        let crowd = Crowd::default();
        let now = Instant::now();
        assert_eq!(crowd.take_late(now.into_std()), Duration::ZERO);
        crowd.note(LATE_MAX * 3);
        crowd.note(LATE_MAX);
        assert_eq!(crowd.take_late(now.into_std()), LATE_MAX * 3);
        assert_eq!(crowd.take_late(now.into_std()), Duration::ZERO);
        *crowd.due.lock().unwrap() = Some(now + LOOK_PERIOD);
        assert_eq!(crowd.take_late((now + LOOK_PERIOD).into_std()), Duration::ZERO);
        assert_eq!(crowd.take_late((now + LOOK_PERIOD * 5).into_std()), LOOK_PERIOD * 4);
    }
}

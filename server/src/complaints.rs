//! What may go wrong a thousand times a second is said a few times in ten, and how often it was
//! not said.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of one kind in [`PERIOD`].
const COUNT_MAX: u32 = 10;

const PERIOD: Duration = Duration::from_secs(10);

/// One kind of complaint.
#[derive(Debug, Default)]
pub struct Complaints {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { began: None, said: 0, unsaid: 0 }) }
    }

    /// Whether it may be said now, and how many were not since the last that was.
    pub fn may(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            (state.began, state.said) = (Some(now), 0);
        }
        if state.said == COUNT_MAX {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

/// What a panic said.
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

static PANICS: Complaints = Complaints::new();

/// For `std::panic::set_hook`: panics go into the log like everything else, with their place. What
/// came of one is told by whoever contained it.
pub fn log_panic(info: &PanicHookInfo<'_>) {
    let Some(unsaid) = PANICS.may(Instant::now()) else { return };
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(message, place, thread, unsaid, "a thread has panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_said_and_the_rest_are_counted_and_told_with_the_next() {
        let complaints = Complaints::new();
        let now = Instant::now();
        let said = (0..100).filter(|_| complaints.may(now).is_some()).count();
        assert_eq!(said, 10);
        assert_eq!(complaints.may(now + PERIOD), Some(90));
        assert_eq!(complaints.may(now + PERIOD), Some(0));
    }
}

//! Gathers what sockets bring: under load, the I/O thread naps a millisecond before it looks
//! again, so that one wake-up serves many sockets.
//!
//! With a thousand devices that send ten times a second each, every sample comes as a wake-up of
//! its own: two context switches for a few microseconds of work, a third of all CPU in a profile.
//! A nap before parking turns ten of them into one, for at most a millisecond of age where the
//! fastest flush is every 32. When little happens there is no nap, and an idle server sleeps
//! in the kernel as before.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a nap is. A sample waits half of it on average.
const NAP: Duration = Duration::from_millis(1);

/// Parks are counted over windows of this length.
const WINDOW_MS: u64 = 100;

/// Naps begin when a window sees more parks than this: 2,000 a second.
const PARKS_TO_BEGIN: u32 = 200;

/// They end when, with naps between, a window sees fewer: 300 a second.
const PARKS_TO_END: u32 = 30;

/// Told of every park of an I/O thread.
#[derive(Debug)]
pub struct Gather {
    began: Instant,
    window: AtomicU64,
    parks: AtomicU32,
    napping: AtomicU32,
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            window: AtomicU64::new(0),
            parks: AtomicU32::new(0),
            napping: AtomicU32::new(0),
        }
    }
}

impl Gather {
    /// To be called by the runtime as a thread is about to park.
    pub fn before_park(&self) {
        if self.counts_as_busy(self.began.elapsed().as_millis() as u64) {
            std::thread::sleep(NAP);
        }
    }

    /// Counts a park at `ms`; whether to nap before it.
    fn counts_as_busy(&self, ms: u64) -> bool {
        let window = ms / WINDOW_MS;
        let parks = self.parks.fetch_add(1, Ordering::Relaxed) + 1;
        let napping = self.napping.load(Ordering::Relaxed) != 0;
        let counted = self.window.swap(window, Ordering::Relaxed);
        if counted != window {
            self.parks.store(0, Ordering::Relaxed);
            // A window that was skipped had no parks at all.
            let enough = if napping { PARKS_TO_END } else { PARKS_TO_BEGIN };
            let busy = counted + 1 == window && parks > enough;
            self.napping.store(u32::from(busy), Ordering::Relaxed);
            return busy;
        }
        napping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parks `per_second` times a second from `from` to `to` ms; whether it naps at the end.
    fn park(gather: &Gather, per_second: u64, from: u64, to: u64) -> bool {
        let parks = (to - from) * per_second / 1000;
        let mut naps = false;
        for n in 0..parks {
            naps = gather.counts_as_busy(from + n * 1000 / per_second);
        }
        naps
    }

    #[test]
    fn naps_begin_under_load_and_end_behind_it() {
        let gather = Gather::default();
        assert!(!park(&gather, 500, 0, 2_000), "500 a second are no load");
        assert!(park(&gather, 10_000, 2_000, 2_500));
        assert!(
            park(&gather, 900, 2_500, 5_000),
            "with naps between there are fewer, and it goes on"
        );
        assert!(!park(&gather, 100, 5_000, 6_000));
        assert!(park(&gather, 10_000, 6_000, 6_500));
        assert!(!gather.counts_as_busy(60_000), "a long silence ends it");
    }
}

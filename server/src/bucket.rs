//! Token buckets: so many a second, and a burst. One for whoever holds it alone, one that many share.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Duration, Instant};

/// A rate, and what may come at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let Rate { per_second, burst } = rate;
        Self { per_second, burst, tokens: burst, filled: now }
    }

    pub(crate) fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.filled = now;
    }

    /// Takes `count`, if they are there.
    pub(crate) fn take(&mut self, count: f64) -> bool {
        let enough = self.tokens >= count;
        if enough {
            self.tokens -= count;
        }
        enough
    }

    /// Takes `count` in any case; the debt is paid before the next. Whether a token is left.
    pub(crate) fn spend(&mut self, count: f64) -> bool {
        self.tokens -= count;
        self.tokens >= 1.0
    }

    /// When one token will be there.
    pub(crate) fn ready_at(&self) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0);
        self.filled + Duration::from_secs_f64(missing / self.per_second)
    }
}

/// A bucket without a lock, for many sockets at once: the time at which it will be full again, in
/// nanoseconds (GCRA, the cell-rate algorithm of ITU-T I.371).
#[derive(Debug, Default)]
pub(crate) struct SharedBucket {
    full_at: AtomicU64,
}

impl SharedBucket {
    /// Takes `count`, if they are there at `now_ns` after whatever the bucket counts from. The rate
    /// may be another than before.
    pub(crate) fn take(&self, rate: Rate, now_ns: u64, count: f64) -> bool {
        self.draw(rate, now_ns, count, rate.burst)
    }

    /// Whether one is there at `now_ns`; takes nothing.
    pub(crate) fn has_one(&self, rate: Rate, now_ns: u64) -> bool {
        let nanos = |count: f64| (count / rate.per_second * 1e9) as u64;
        let waits = self.full_at.load(Ordering::Relaxed).saturating_sub(now_ns);
        rate.per_second > 0.0 && waits.saturating_add(nanos(1.0)) <= nanos(rate.burst)
    }

    /// Takes `count` in any case; the debt is paid before the next, but never more of it than a
    /// burst.
    pub(crate) fn spend(&self, rate: Rate, now_ns: u64, count: f64) {
        self.draw(rate, now_ns, count, f64::INFINITY);
    }

    fn draw(&self, rate: Rate, now_ns: u64, count: f64, most: f64) -> bool {
        if rate.per_second <= 0.0 {
            return false;
        }
        let nanos = |count: f64| (count / rate.per_second * 1e9) as u64;
        let (cost, most) = (nanos(count), nanos(most));
        let deepest = now_ns.saturating_add(nanos(2.0 * rate.burst));
        let mut enough = false;
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let full_at = full_at.clamp(now_ns, deepest);
            let after = full_at.saturating_add(cost);
            enough = after - now_ns <= most;
            Some(if enough { after.min(deepest) } else { full_at })
        });
        enough
    }

    /// Whether all of the burst is there: whoever held it has long been silent.
    pub(crate) fn is_full(&self, now_ns: u64) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Rate = Rate { per_second: 10.0, burst: 20.0 };
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_shared_bucket_gives_its_burst_and_then_its_rate() {
        let bucket = SharedBucket::default();
        assert!(bucket.is_full(0) && !bucket.take(TEN, 0, 21.0), "never more than a burst");
        assert!(bucket.take(TEN, 0, 20.0) && !bucket.take(TEN, 0, 1.0));
        assert!(bucket.take(TEN, SECOND, 10.0) && !bucket.take(TEN, SECOND, 1.0));
        assert!(!bucket.is_full(2 * SECOND) && bucket.is_full(3 * SECOND));
        assert!(bucket.take(TEN, 100 * SECOND, 20.0), "and no more for having waited");
        assert!(!bucket.take(TEN, 100 * SECOND, 1.0));
        let late = SharedBucket::default();
        assert!(late.take(TEN, 5 * SECOND, 20.0));
        assert!(!late.take(TEN, 4 * SECOND, 1.0), "a socket that is behind gains nothing");
    }

    #[test]
    fn a_debt_is_paid_before_the_next_and_never_more_than_a_burst() {
        let bucket = SharedBucket::default();
        bucket.spend(TEN, 0, 1e9);
        assert!(!bucket.take(TEN, 2 * SECOND, 1.0));
        assert!(bucket.take(TEN, 2 * SECOND + SECOND / 10, 1.0));
    }

    #[test]
    fn at_no_rate_there_is_nothing() {
        let bucket = SharedBucket::default();
        let none = Rate { per_second: 0.0, burst: 5.0 };
        assert!(!bucket.take(none, SECOND, 1.0));
        bucket.spend(none, SECOND, 5.0);
        assert!(bucket.take(TEN, SECOND, 20.0), "until there is a rate again");
        bucket.spend(Rate { per_second: 0.001, burst: 1.0 }, SECOND, 1.0);
        assert!(!bucket.take(TEN, 6 * SECOND, 1.0), "what is owed is no more than a burst");
        assert!(bucket.take(TEN, 9 * SECOND, 1.0), "of today's rate");
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(TEN, start);
        assert!(bucket.take(20.0) && !bucket.take(1.0));
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(100));
        bucket.fill(start + Duration::from_secs(1));
        assert!(bucket.take(10.0) && !bucket.take(1.0));
        bucket.fill(start + Duration::from_secs(100));
        assert!(bucket.take(20.0) && !bucket.take(1.0));
    }

    #[test]
    fn what_is_spent_beyond_the_burst_is_waited_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(TEN, start);
        assert!(bucket.spend(19.0), "one is left");
        assert!(!bucket.spend(11.0));
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(1100), "ten of debt and one");
    }
}

//! A token bucket: so many a second, and a burst.

use tokio::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: f64, now: Instant) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 20.0, start);
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
        let mut bucket = Bucket::new(10.0, 20.0, start);
        assert!(bucket.spend(19.0), "one is left");
        assert!(!bucket.spend(11.0));
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(1100), "ten of debt and one");
    }
}

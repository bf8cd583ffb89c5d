//! When a device sends what it has gathered: the server's `backpressure_config`, obeyed.
//!
//! A state machine on time it is given, in ms since any beginning.

/// What the server asks of a device (`reference/wire.md` 2.1b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pacing {
    /// Gather no longer than this before sending.
    pub window_ms: u64,
    /// Gather no more than this before sending.
    pub size: usize,
    /// Hold everything until further notice.
    pub paused: bool,
}

impl Pacing {
    /// Until the server has spoken: what it asks of a sensor on somebody's screen.
    pub(crate) const DEFAULT: Self = Self { window_ms: 500, size: 5, paused: false };

    /// From the payload of a `backpressure_config`. What is missing keeps its value.
    pub(crate) fn told(self, payload: &serde_json::Value) -> Self {
        let number = |key: &str| payload.get(key).and_then(serde_json::Value::as_u64);
        Self {
            window_ms: number("recommended_batch_window").unwrap_or(self.window_ms),
            size: number("recommended_batch_size").map_or(self.size, |n| n.max(1) as usize),
            paused: payload.get("paused").and_then(|p| p.as_bool()).unwrap_or(self.paused),
        }
    }
}

/// Samples that wait to be sent.
#[derive(Debug)]
pub(crate) struct Batcher {
    pacing: Pacing,
    waiting: usize,
    /// When the first of them came.
    since_ms: u64,
}

impl Default for Batcher {
    fn default() -> Self {
        Self { pacing: Pacing::DEFAULT, waiting: 0, since_ms: 0 }
    }
}

impl Batcher {
    pub(crate) fn pace(&mut self, pacing: Pacing) {
        self.pacing = pacing;
    }

    pub(crate) fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// `count` more samples wait.
    pub(crate) fn gather(&mut self, count: usize, now_ms: u64) {
        if self.waiting == 0 {
            self.since_ms = now_ms;
        }
        self.waiting += count;
    }

    /// How many to send now; they no longer wait. 0 when it is not yet time.
    pub(crate) fn take(&mut self, now_ms: u64) -> usize {
        let full = self.waiting >= self.pacing.size;
        let late = now_ms >= self.since_ms.saturating_add(self.pacing.window_ms);
        if self.pacing.paused || self.waiting == 0 || !(full || late) {
            return 0;
        }
        std::mem::take(&mut self.waiting)
    }

    /// All that waits, at the end of the recording: a window that is not going to fill is not
    /// waited for. Still nothing while paused.
    pub(crate) fn take_rest(&mut self) -> usize {
        if self.pacing.paused { 0 } else { std::mem::take(&mut self.waiting) }
    }

    /// When [`take`](Self::take) will have something, if nothing more comes.
    pub(crate) fn due_at_ms(&self) -> Option<u64> {
        let due = self.waiting > 0 && !self.pacing.paused;
        due.then(|| self.since_ms.saturating_add(self.pacing.window_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batcher(window_ms: u64, size: usize) -> Batcher {
        let mut batcher = Batcher::default();
        batcher.pace(Pacing { window_ms, size, paused: false });
        batcher
    }

    #[test]
    fn it_sends_when_the_batch_is_full() {
        let mut batcher = batcher(1000, 3);
        batcher.gather(2, 0);
        assert_eq!(batcher.take(10), 0);
        batcher.gather(1, 10);
        assert_eq!(batcher.take(10), 3);
        assert_eq!(batcher.take(5000), 0, "nothing waits");
    }

    #[test]
    fn it_sends_when_the_window_is_over() {
        let mut batcher = batcher(100, 20);
        batcher.gather(1, 50);
        batcher.gather(1, 120);
        assert_eq!(batcher.due_at_ms(), Some(150));
        assert_eq!(batcher.take(149), 0);
        assert_eq!(batcher.take(150), 2);
        batcher.gather(1, 160);
        assert_eq!(batcher.due_at_ms(), Some(260), "each window begins with its first sample");
    }

    #[test]
    fn it_holds_while_paused_and_goes_on_after() {
        let mut batcher = batcher(100, 1);
        batcher.gather(1, 0);
        batcher.pace(Pacing { paused: true, ..batcher.pacing() });
        assert_eq!((batcher.take(9999), batcher.take_rest(), batcher.due_at_ms()), (0, 0, None));
        batcher.pace(Pacing { paused: false, ..batcher.pacing() });
        assert_eq!(batcher.take(10_000), 1);
    }

    #[test]
    fn a_shorter_window_counts_from_the_first_sample() {
        let mut batcher = batcher(5000, 20);
        batcher.gather(1, 0);
        assert_eq!(batcher.take(600), 0);
        batcher.pace(Pacing { window_ms: 500, size: 5, paused: false });
        assert_eq!(batcher.take(600), 1);
    }

    #[test]
    fn a_config_is_read_and_what_it_leaves_out_is_kept() {
        let json = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let said = Pacing::DEFAULT.told(&json(
            r#"{"recommended_batch_window":100,"recommended_batch_size":1,"paused":false}"#,
        ));
        assert_eq!(said, Pacing { window_ms: 100, size: 1, paused: false });
        let paused = said.told(&json(r#"{"paused":true,"recommended_batch_size":0}"#));
        assert_eq!(paused, Pacing { window_ms: 100, size: 1, paused: true });
        assert_eq!(said.told(&json("[1]")), said);
    }
}

//! A circuit breaker: what is outside of us and fails again and again is left in peace for a while,
//! and then tried by one caller at a time until it works.
//!
//! Failures are added up in a score that halves in [`HALF_LIFE`], so that four failures last week and
//! one now are one. Beyond [`OPENS_AT`] nobody passes for [`REST`]; then one probe does, and decides.

use std::time::{Duration, Instant};

/// Of the score of failures.
pub const HALF_LIFE: Duration = Duration::from_secs(60);

/// Five failures within ten seconds, or a failure every 13 s for ever.
pub const OPENS_AT: f64 = 4.5;

/// How long what has failed is left in peace.
pub const REST: Duration = Duration::from_secs(5);

/// Whether anybody passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    /// Nobody does, until then.
    Open {
        until: Instant,
    },
    /// One has, and has not come back yet.
    HalfOpen,
}

impl State {
    pub const NAMES: [&'static str; 3] = ["closed", "open", "half_open"];

    pub fn name(self) -> &'static str {
        let nth = match self {
            Self::Closed => 0,
            Self::Open { .. } => 1,
            Self::HalfOpen => 2,
        };
        Self::NAMES[nth]
    }
}

/// See the module. Time is the caller's.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    score: f64,
    scored_at: Option<Instant>,
    rest: Duration,
    /// Times that it has opened.
    opened: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(REST)
    }
}

impl Breaker {
    pub fn new(rest: Duration) -> Self {
        Self { state: State::Closed, score: 0.0, scored_at: None, rest, opened: 0 }
    }

    /// Whether the caller passes; else how long nobody does. Whoever passes must say how it went
    /// ([`succeed`](Self::succeed), [`fail`](Self::fail)): one that cannot tell has failed.
    pub fn pass(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen;
                Ok(())
            }
            State::Open { until } => Err(until - now),
            State::HalfOpen => Err(self.rest),
        }
    }

    /// Whether a caller would pass now; nothing changes.
    pub fn would_pass(&self, now: Instant) -> bool {
        self.clone().pass(now).is_ok()
    }

    /// It works.
    pub fn succeed(&mut self) {
        if self.state != State::Closed {
            // What it failed before is over and told.
            (self.state, self.score) = (State::Closed, 0.0);
        }
    }

    /// It does not.
    pub fn fail(&mut self, now: Instant) {
        self.score = self.score(now) + 1.0;
        self.scored_at = Some(now);
        if self.score >= OPENS_AT || self.state == State::HalfOpen {
            self.opened += u64::from(self.state == State::Closed);
            self.state = State::Open { until: now + self.rest };
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Failures, older ones for less.
    pub fn score(&self, now: Instant) -> f64 {
        let age = self.scored_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.score * 0.5f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
    }

    pub fn opened(&self) -> u64 {
        self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

    /// `reference/reliability.md` R23.
    #[test]
    fn four_failures_last_week_and_one_now_are_one() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        (0..4).for_each(|_| breaker.fail(now));
        assert_eq!(breaker.state(), State::Closed);
        breaker.fail(now + WEEK);
        assert_eq!(breaker.state(), State::Closed);
        assert!((breaker.score(now + WEEK) - 1.0).abs() < 1e-9);
        assert!((breaker.score(now + WEEK + HALF_LIFE) - 0.5).abs() < 1e-9, "it halves by itself");
    }

    #[test]
    fn five_failures_in_ten_seconds_open_it_and_of_a_hundred_callers_one_is_the_probe() {
        let (mut breaker, began) = (Breaker::default(), Instant::now());
        for n in 0..5 {
            assert!(breaker.pass(began).is_ok());
            breaker.fail(began + SECOND.mul_f64(2.5) * n);
        }
        let failed = began + 10 * SECOND;
        assert_eq!((breaker.state().name(), breaker.opened()), ("open", 1));
        assert_eq!(breaker.pass(failed + SECOND), Err(4 * SECOND));
        let rested = failed + REST;
        assert!(!breaker.would_pass(failed + SECOND) && breaker.would_pass(rested));
        let passed = (0..100).filter(|_| breaker.pass(rested).is_ok()).count();
        assert_eq!((passed, breaker.state()), (1, State::HalfOpen));
        assert!(!breaker.would_pass(rested), "the probe is out");
        breaker.fail(rested);
        assert_eq!((breaker.pass(rested), breaker.opened()), (Err(REST), 1), "it is open still");
        assert!(breaker.pass(rested + REST).is_ok());
        breaker.succeed();
        assert_eq!((breaker.state(), breaker.score(rested + REST)), (State::Closed, 0.0));
        assert!((0..100).all(|_| breaker.pass(rested + REST).is_ok()));
    }

    #[test]
    fn a_success_among_failures_does_not_hide_them() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            breaker.succeed();
            breaker.fail(now);
        }
        assert_eq!(breaker.state().name(), "open");
    }
}

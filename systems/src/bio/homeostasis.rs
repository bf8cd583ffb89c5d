//! Keeps what viewers notice (the age of what they get, and what is lost) at its goal, by lowering
//! the thresholds of the load levels a little.
//!
//! A proportional and integral regulator. Too late or too lossy: the thresholds come down, and the
//! machine gives way earlier. All well: they return to where they were set, quickly when nobody
//! is throttled. Never above: what is set says what is safe, and an idle machine is never
//! throttled, nor is a busy one dulled. The authority is bounded, the integral stops
//! where the output does (anti-windup), and all thresholds move together, so their order cannot
//! change. (`reference/core.md` 12.3 and W29: the original regulated how often each level
//! occurred, in the opposite direction.)

use crate::snapshot::bytes::{Read, Reader, Writer, broken};

/// How far thresholds may be lowered.
pub const OFFSET_MAX: f64 = 0.10;
/// Lowering per unit of error, at once.
const PROPORTIONAL: f64 = 0.04;
/// Seconds of an error of one until the integral alone is at its bound.
const LOWER_S: f64 = 30.0;
/// Seconds until a lowering that nothing asks for has fallen to 1/e: while nobody is throttled, and
/// while somebody is, which may be just what keeps all well.
const RELEASE_S: f64 = 60.0;
const RELEASE_THROTTLED_S: f64 = 600.0;
/// Seconds over which measurements are smoothed.
const SMOOTH_S: f64 = 5.0;
/// Below the goal by less than this part of it, nothing is released: so it rests there.
const DEAD_BAND: f64 = 0.2;
/// A longer pause between two measurements counts as this one, in seconds.
const STEP_S_MAX: f64 = 10.0;

/// What is to be achieved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The 99th percentile of delivery ages, in ms.
    pub age_p99_ms: f64,
    /// Of all samples that were to be delivered, the part that was dropped.
    pub drop_share: f64,
}

impl Default for Goal {
    /// What is promised at three times the load that one machine carries.
    fn default() -> Self {
        Self { age_p99_ms: 150.0, drop_share: 0.001 }
    }
}

/// What was achieved since the last time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub age_p99_ms: f64,
    pub drop_share: f64,
    /// The load level is above normal: somebody gets less than they asked for.
    pub throttled: bool,
}

/// The regulator's state.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tuner {
    /// Smoothed, -1 to 1; above 0 where the goal is missed.
    error: f64,
    /// How far thresholds are lowered for what was, and in all.
    integral: f64,
    lowered: f64,
}

impl Tuner {
    /// `seconds` after the last time. Returns the offset. An outcome that is no number changes
    /// nothing; of two figures one is enough.
    pub fn step(&mut self, goal: &Goal, outcome: &Outcome, seconds: f64) -> f64 {
        let age = outcome.age_p99_ms / goal.age_p99_ms;
        let ratio = age.max(outcome.drop_share / goal.drop_share);
        if !(ratio >= 0.0 && seconds > 0.0) {
            return self.offset();
        }
        let seconds = seconds.min(STEP_S_MAX);
        let error = (ratio - 1.0).clamp(-1.0, 1.0);
        self.error += (error - self.error) * seconds / (SMOOTH_S + seconds);

        if self.error > 0.0 {
            self.integral += OFFSET_MAX * self.error * seconds / LOWER_S;
        } else if self.error < -DEAD_BAND {
            let release_s = if outcome.throttled { RELEASE_THROTTLED_S } else { RELEASE_S };
            self.integral -= self.integral * seconds / (release_s + seconds);
        }
        let proportional = PROPORTIONAL * self.error.max(0.0);
        // What the output cannot do is not remembered.
        self.integral = self.integral.min(OFFSET_MAX - proportional);
        self.lowered = self.integral + proportional;
        self.offset()
    }

    /// What to add to every threshold: -[`OFFSET_MAX`] to 0.
    pub fn offset(&self) -> f64 {
        -self.lowered.min(OFFSET_MAX)
    }

    /// More could not be done.
    pub fn is_saturated(&self) -> bool {
        self.lowered > OFFSET_MAX - 1e-9
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for number in [self.error, self.integral, self.lowered] {
            out.float(number);
        }
    }

    pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        let it = Self { error: bytes.float()?, integral: bytes.float()?, lowered: bytes.float()? };
        let possible = 0.0..=OFFSET_MAX + 1e-9;
        if it.error.abs() <= 1.0
            && possible.contains(&it.integral)
            && possible.contains(&it.lowered)
        {
            Ok(it)
        } else {
            broken("a regulator is beyond its bounds")
        }
    }
}

#[cfg(test)]
mod tests;

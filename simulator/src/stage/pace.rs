//! How far an act's own time has come, while the wall clock goes on.

use components::sample::Timestamp;

/// Times as fast as the wall clock.
pub const SPEED_MIN: f64 = 0.1;
pub const SPEED_MAX: f64 = 100.0;

/// Each step of the wall clock adds its length, times the speed. There is nothing that could run
/// twice: pausing and resuming in whatever order only says whether the next step counts. A wall
/// clock that is set back adds nothing, and the act goes on from there.
#[derive(Debug)]
pub(crate) struct Pace {
    wall: Timestamp,
    /// Microseconds, exactly: a sum of tenths of milliseconds in floats would drift.
    position_micros: i64,
    /// In thousandths.
    speed_milli: i64,
    paused: bool,
}

impl Pace {
    pub(crate) fn new(now: Timestamp, speed: f64) -> Self {
        Self { wall: now, position_micros: 0, speed_milli: milli(speed), paused: false }
    }

    /// Whether an act may have this speed.
    pub(crate) fn may_be(speed: f64) -> bool {
        (SPEED_MIN..=SPEED_MAX).contains(&speed)
    }

    /// The wall clock shows `now`: milliseconds since the act began, of its own time.
    pub(crate) fn step(&mut self, now: Timestamp) -> i64 {
        let passed_ms = now.0.saturating_sub(self.wall.0).max(0);
        self.wall = now;
        if !self.paused {
            let passed_micros = passed_ms.saturating_mul(self.speed_milli);
            self.position_micros = self.position_micros.saturating_add(passed_micros);
        }
        self.position_ms()
    }

    /// As of the last step.
    pub(crate) fn position_ms(&self) -> i64 {
        self.position_micros / 1000
    }

    pub(crate) fn pause(&mut self, now: Timestamp) {
        self.step(now);
        self.paused = true;
    }

    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.step(now);
        self.paused = false;
    }

    pub(crate) fn set_speed(&mut self, now: Timestamp, speed: f64) {
        self.step(now);
        self.speed_milli = milli(speed);
    }

    /// As of the last step.
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed_milli as f64 / 1000.0
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }
}

fn milli(speed: f64) -> i64 {
    (speed * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_between_the_last_step_and_an_order_is_of_before_the_order() {
        let mut pace = Pace::new(Timestamp(0), 2.0);
        pace.pause(Timestamp(100));
        assert_eq!(pace.position_ms(), 200, "it ran until it was paused");
        pace.resume(Timestamp(5100));
        pace.resume(Timestamp(5100));
        assert_eq!(pace.step(Timestamp(5110)), 220, "five seconds of pause count nothing");
        pace.set_speed(Timestamp(5120), 0.1);
        assert_eq!(pace.position_ms(), 240, "the old speed up to the order");
        assert_eq!(pace.step(Timestamp(5220)), 250);
    }
}

//! How much one sensor may send: so many samples of each class, and, while the machine is pressed,
//! as often as its device was asked to. Decides; what is told and counted is the channel's matter.

use std::time::Duration;

use components::attention::Level;
use components::budget::Pacing;
use components::class::Class;
use components::load::{Load, LoadLevel};
use tokio::time::Instant;

use crate::bucket::{Bucket, Rate};

/// A device has heard its pacing, and gathers by it, this long after it was told.
pub const HEARING_TIME: Duration = Duration::from_secs(3);

/// Messages for each that was asked for: no two clocks agree on a window, and a sensor may send
/// an urgent word beside.
const PACED_FACTOR: f64 = 2.0;

/// Seconds' worth of messages that may come at once, and never fewer messages than this: what a
/// line has held up comes in one go.
const PACED_BURST_SECONDS: f64 = 3.0;
const PACED_BURST_MIN: f64 = 2.0;

/// A client is told of the same trouble at most this often.
const TELL_PERIOD: Duration = Duration::from_secs(1);

/// Of what is beyond a class's share, a burst of each sensor passes so often, on average; between half
/// as long and half as long again. Nobody who looks is in the dark for longer.
fn turn_period(level: Level) -> Option<Duration> {
    match level {
        Level::High | Level::Medium => Some(Duration::from_secs(8)),
        Level::Low => Some(Duration::from_secs(20)),
        Level::None => None,
    }
}

const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_8;

/// Whose limit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    Connection,
    Sensor,
    Address,
}

impl Limit {
    pub const COUNT: usize = 3;
    pub const ALL: [Self; Self::COUNT] = [Self::Connection, Self::Sensor, Self::Address];

    /// The word on the wire and in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Sensor => "sensor",
            Self::Address => "address",
        }
    }
}

/// Whether a device is held to its pacing: only while the machine is pressed, and never where
/// somebody points at the sensor.
fn is_enforced(pacing: &Pacing) -> bool {
    pacing.level < Level::High && (pacing.load.level >= LoadLevel::High || pacing.paused)
}

/// Messages that are not full, and whatever there is while paused.
fn message_rate(pacing: &Pacing) -> Rate {
    let asked = if pacing.paused { 0.0 } else { 1000.0 / pacing.window_ms.max(1) as f64 };
    let per_second = asked * PACED_FACTOR;
    Rate { per_second, burst: (per_second * PACED_BURST_SECONDS).max(PACED_BURST_MIN) }
}

/// When something was last told. Data may be dropped without a word each, but not without any.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Told(Option<Instant>);

impl Told {
    /// Whether it is to be told now.
    pub(crate) fn again(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|told| now >= told + TELL_PERIOD);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// One sensor's gate on one socket.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Samples of each class that may come now.
    tokens: [f64; Class::COUNT],
    filled: Instant,
    pacing: Pacing,
    /// While it is enforced.
    messages: Option<Bucket>,
    /// The device has been told, and has had the time to hear, from then on. `None`: it is yet to
    /// be told.
    heard_at: Option<Instant>,
    pub(crate) limited: Told,
    pub(crate) paced: Told,
    pub(crate) shed: Told,
    /// When a sample last passed, the burst that has a turn, and the sensor's part of a cycle among
    /// all sensors.
    passed_at: Instant,
    turn_at: Option<Instant>,
    phase: f64,
}

impl Gate {
    /// `number` is the sensor's among all that there are.
    pub(crate) fn new(number: u32, classes: &[Rate; Class::COUNT], now: Instant) -> Self {
        Self {
            passed_at: now,
            turn_at: None,
            phase: (f64::from(number) * GOLDEN_RATIO).fract(),
            tokens: classes.map(|rate| rate.burst),
            filled: now,
            pacing: Pacing::of(Level::None, Load::default()),
            messages: None,
            heard_at: None,
            limited: Told::default(),
            paced: Told::default(),
            shed: Told::default(),
        }
    }

    pub(crate) fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// How strongly the sensor is looked at.
    pub(crate) fn level(&self) -> Level {
        self.pacing.level
    }

    /// Whether its device is held to its pacing now.
    pub(crate) fn is_enforced(&self) -> bool {
        is_enforced(&self.pacing)
    }

    /// Decided anew. The device is yet to be told ([`told`](Self::told)).
    pub(crate) fn pace(&mut self, pacing: Pacing) {
        self.pacing = pacing;
        self.messages = None;
        self.heard_at = None;
        self.paced = Told::default();
    }

    /// The device is being told its pacing, and has so long to hear.
    pub(crate) fn told(&mut self, now: Instant, hearing: Duration) {
        self.heard_at = Some(now + hearing);
    }

    /// Whether a message with so many samples keeps to the pacing at `now`. A full batch always does:
    /// whoever measures a lot sends when its batch is full, not when its window is over.
    pub(crate) fn keeps_pace(&mut self, sample_count: usize, now: Instant) -> bool {
        if !is_enforced(&self.pacing) || self.heard_at.is_none_or(|at| now < at) {
            return true;
        }
        if !self.pacing.paused && sample_count >= self.pacing.batch_size as usize {
            return true;
        }
        let rate = message_rate(&self.pacing);
        let bucket = self.messages.get_or_insert_with(|| Bucket::new(rate, now));
        bucket.fill(now);
        bucket.take(1.0)
    }

    /// Whether it is this sensor's turn though its class has had its share: whoever looks at it is not
    /// to be in the dark for longer. Sensors have their turns one after the other.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let Some(period) = turn_period(self.level()) else { return false };
        now >= self.passed_at + period.mul_f64(0.5 + self.phase)
    }

    /// Takes its turn if it has one. The rest of the same burst passes, too.
    pub(crate) fn takes_turn(&mut self, now: Instant) -> bool {
        if self.is_due(now) {
            self.turn_at = Some(now);
        }
        self.turn_at == Some(now)
    }

    /// A sample has passed.
    pub(crate) fn passed(&mut self, now: Instant) {
        self.passed_at = now;
    }

    /// Whether one more sample of this class is within the sensor's rate at `now`.
    pub(crate) fn has_room(
        &mut self,
        class: Class,
        classes: &[Rate; Class::COUNT],
        now: Instant,
    ) -> bool {
        if now > self.filled {
            let seconds = (now - self.filled).as_secs_f64();
            for (tokens, rate) in self.tokens.iter_mut().zip(classes) {
                *tokens = (*tokens + seconds * rate.per_second).min(rate.burst);
            }
            self.filled = now;
        }
        let tokens = &mut self.tokens[class as usize];
        let enough = *tokens >= 1.0;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [Rate; Class::COUNT] = [Rate { per_second: 10.0, burst: 20.0 }; Class::COUNT];

    fn pressed(level: LoadLevel) -> Load {
        Load { level, ..Load::default() }
    }

    /// A gate whose device was told this pacing at `now`.
    fn gate(level: Level, load: Load, now: Instant) -> Gate {
        let mut gate = Gate::new(0, &RATES, now);
        gate.pace(Pacing::of(level, load));
        gate.told(now, HEARING_TIME);
        gate
    }

    #[test]
    fn beyond_its_classs_share_a_sensor_that_is_looked_at_has_its_turn() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (level, turns) in [(Level::Medium, 60 / 8), (Level::Low, 3), (Level::None, 0)] {
            let mut firsts = Vec::new();
            for number in 0..20 {
                let mut gate = Gate::new(number, &RATES, start);
                gate.pace(Pacing::of(level, pressed(LoadLevel::High)));
                // A burst of three samples each tenth of a second, for a minute.
                let mut passes = |ms: u64| {
                    (0..3).all(|_| gate.takes_turn(at(ms)).then(|| gate.passed(at(ms))).is_some())
                };
                let passes: Vec<u64> = (1..600).map(|n| n * 100).filter(|ms| passes(*ms)).collect();
                assert!((turns / 2..=2 * turns).contains(&passes.len()), "{level:?} {passes:?}");
                firsts.extend(passes.first().copied());
                gate.passed(at(60_000));
                assert!(!gate.takes_turn(at(63_000)), "it had its share a moment ago");
            }
            firsts.sort_unstable();
            firsts.dedup();
            assert!(firsts.len() >= if turns > 0 { 15 } else { 0 }, "not all at once: {firsts:?}");
        }
    }

    /// Messages that pass of those that come so often, in the seconds from `from` to `to` after
    /// `start`.
    fn passed(gate: &mut Gate, start: Instant, (from, to): (u64, u64), per_second: u64) -> u64 {
        let step = Duration::from_secs(1) / per_second as u32;
        let first = start + Duration::from_secs(from);
        let all = 0..(to - from) * per_second;
        all.filter(|n| gate.keeps_pace(1, first + step * *n as u32)).count() as u64
    }

    #[test]
    fn a_sensors_classes_have_a_rate_each() {
        let now = Instant::now();
        let mut gate = Gate::new(0, &RATES, now);
        let mut passed =
            |class, at: Instant| (0..100).filter(|_| gate.has_room(class, &RATES, at)).count();
        assert_eq!(passed(Class::Location, now), 20);
        assert_eq!(passed(Class::Bio, now), 20, "not at the cost of another");
        assert_eq!(passed(Class::Location, now + Duration::from_millis(1500)), 15);
        assert_eq!(passed(Class::Location, now + Duration::from_secs(100)), 20);
    }

    #[test]
    fn without_pressure_nobody_is_held_to_a_pacing() {
        let now = Instant::now();
        for (level, load) in [
            (Level::None, LoadLevel::Normal),
            (Level::Low, LoadLevel::Elevated),
            (Level::Medium, LoadLevel::Elevated),
            (Level::High, LoadLevel::Critical),
        ] {
            let mut gate = gate(level, pressed(load), now);
            assert_eq!(passed(&mut gate, now, (0, 20), 50), 1000, "{level:?} at {load:?}");
        }
    }

    #[test]
    fn under_pressure_who_sends_more_than_twice_as_often_as_asked_is_cut_to_that() {
        // Medium at high load: a window of a second, six messages in three seconds.
        let now = Instant::now();
        let mut gate = gate(Level::Medium, pressed(LoadLevel::High), now);
        assert_eq!(passed(&mut gate, now, (0, 3), 50), 150, "time to hear");
        assert_eq!(passed(&mut gate, now, (3, 33), 50), 59 + 6, "the rate, and a burst");
        let mut obeys = super::tests::gate(Level::Medium, pressed(LoadLevel::High), now);
        let all = (0..100).filter(|n| obeys.keeps_pace(1, now + Duration::from_millis(1000 * n)));
        assert_eq!(all.count(), 100);
    }

    #[test]
    fn a_full_batch_keeps_to_the_pacing_however_often_it_comes() {
        let now = Instant::now();
        let mut gate = gate(Level::Low, pressed(LoadLevel::High), now);
        let later = now + HEARING_TIME;
        assert!((0..1000).all(|_| gate.keeps_pace(10, later)));
        assert_eq!((0..1000).filter(|_| gate.keeps_pace(9, later)).count(), 2);
    }

    #[test]
    fn who_was_told_to_pause_is_heard_no_more_until_told_otherwise() {
        let now = Instant::now();
        let mut gate = gate(Level::Low, pressed(LoadLevel::Critical), now);
        assert!(gate.pacing().paused);
        assert_eq!(passed(&mut gate, now, (0, 3), 10), 30, "time to hear");
        assert_eq!(passed(&mut gate, now, (3, 100), 10), 2, "what was under way");
        assert!(!gate.keeps_pace(4096, now + Duration::from_secs(100)), "a full batch no more");
        gate.pace(Pacing::of(Level::Low, Load::default()));
        assert!(gate.keeps_pace(1, now + Duration::from_secs(100)));
    }

    #[test]
    fn a_device_that_is_yet_to_be_told_is_not_held_to_it() {
        let now = Instant::now();
        let mut gate = Gate::new(0, &RATES, now);
        gate.pace(Pacing::of(Level::None, pressed(LoadLevel::Critical)));
        assert_eq!(passed(&mut gate, now, (0, 20), 50), 1000);
        gate.told(now + Duration::from_secs(20), HEARING_TIME);
        assert_eq!(passed(&mut gate, now, (20, 23), 50), 150);
        assert_eq!(passed(&mut gate, now, (23, 30), 50), 2);
    }

    #[test]
    fn the_same_is_told_once_a_second() {
        let mut told = Told::default();
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let when: Vec<u64> = (0..3000).filter(|ms| told.again(at(*ms))).collect();
        assert_eq!(when, [0, 1000, 2000]);
    }
}

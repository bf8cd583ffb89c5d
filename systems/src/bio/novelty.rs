//! What is unlike the recent past of its own stream: a detector for one series of numbers.
//!
//! Each sample is predicted from the two before it and the mean, as an autoregressive process of
//! order two, so that what a waveform always does is no news. Time is cut into *blocks* of two
//! seconds, of which the largest error of prediction is kept, the *peak*. Peaks of blocks follow
//! an extreme value law whatever the rate, the distribution and the rhythm of the samples (an
//! ECG's every block has its R), here Gumbel's (*Statistics of Extremes*, 1958): from their mean
//! and spread follows the threshold that is passed so many times an hour. A law that is wrong
//! about a stream is caught by a second condition that needs none: an alarm must be larger than
//! all of the last half hour to hour, which of any exchangeable peaks one or two an hour are. (The
//! nervous system calls it habituation.)
//!
//! Nothing that is reported moves what is normal: in a block with an alarm the predictor learns
//! nothing and the peak counts for [`CLIP`] spreads at most. A change that stays for
//! [`ADOPT_S`] is the new normal, and is learnt anew.
//!
//! `reference/core.md` 12.1 and W27 say what was wrong before.

use super::{faded, number32, number64, write32};
use crate::snapshot::bytes::{Read, Reader, Writer, broken};

/// Seconds of a block at least.
const BLOCK_S: f64 = 2.0;
/// Samples of a block at least: slow streams have longer blocks.
const BLOCK_SAMPLE_COUNT_MIN: u32 = 8;
/// And at most: what comes in still more often, or with a clock that stands still, is left out.
const BLOCK_SAMPLE_COUNT_MAX: u32 = 1 << 20;
/// Blocks before anything is reported.
const LEARN_BLOCK_COUNT: u16 = 15;
/// Seconds until what was learnt counts for 1/e.
const MEMORY_S: f32 = 120.0;
/// Blocks that are remembered at least, however long they are.
const MEMORY_BLOCK_COUNT_MIN: f32 = 30.0;
/// Spreads by which one peak may differ from their mean, as far as learning goes.
const CLIP: f32 = 3.0;
/// Gumbel's scale over the mean absolute deviation of peaks so clipped.
const SCALE_OVER_SPREAD: f32 = 1.04;
/// Euler's constant: Gumbel's mean lies so many scales above its mode.
const EULER: f64 = 0.577_215_664_901_532_9;
/// A change below so many of the smallest steps that the stream takes is none.
const QUANTUM_COUNT_MIN: f32 = 4.0;
/// Seconds after which an unusual stretch is the new normal.
const ADOPT_S: f32 = 10.0;
/// Seconds after an alarm in which there is no other.
const DEBOUNCE_S: f64 = 10.0;
/// Seconds in which a score falls to half.
const SCORE_HALF_LIFE_S: f64 = 10.0;
/// A stream whose peaks fall below this part of their mean for two blocks has gone quiet.
const QUIET_PART: f32 = 0.25;
/// Silence counts as this part of the least activity at most.
const QUIET_EXCESS: f32 = 0.5;
/// Seconds within which a record stands; it stands as long again after them.
const RECORD_S: f32 = 1800.0;
/// What one outlier may raise the record to, in thresholds. The next that is larger still is
/// believed.
const RECORD_STEP: f32 = 4.0;
const RECORD_BELIEVED: f32 = 2.0;
/// A sample this many times later than usual is predicted less well, and is not judged.
const LATE: f64 = 1.75;
/// A sample older than the one before it is left out; by this many seconds, and it begins anew:
/// the clock was set back.
const LATE_S_MAX: f64 = 10.0;
/// What time stamps are rounded to at worst, in seconds.
const CLOCK_STEP_S: f64 = 0.001;
/// A silence of so many usual intervals (and a block) parts the past from the present.
const GAP: f64 = 8.0;
/// Numbers beyond are no measurements, nor are times.
const NUMBER_MAX: f64 = 1e15;
const TIME_MAX_S: f64 = 1e12;

/// What is chosen for all detectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How often per hour and stream nothing may be taken for something.
    pub false_alarms_per_hour: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { false_alarms_per_hour: 1.0 }
    }
}

/// What was unlike the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A value that the two before it did not announce: a spike, a step, a burst.
    Jump,
    /// Next to nothing happens any more: a lead fell off, a value is stuck.
    Quiet,
}

/// One event, reported once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    pub kind: Kind,
    /// Sample time at which it was noticed.
    pub at_s: f64,
    /// How often the threshold was reached: above 1.
    pub excess: f32,
}

impl Alarm {
    /// In what the original called standard deviations: 3 is the threshold.
    pub fn z(&self) -> f64 {
        3.0 * f64::from(self.excess)
    }

    /// From 0.5 at the threshold towards 1 (`reference/core.md` 12.1: 0.5 at its threshold too).
    pub fn score(&self) -> f64 {
        let excess = f64::from(self.excess);
        excess / (1.0 + excess)
    }

    /// How long attention is lifted: 10 to 60 s, five more for each standard deviation above the
    /// threshold of three (`reference/core.md` 12.1).
    pub fn boost_s(&self) -> f64 {
        10.0 + 5.0 * (self.z() - 3.0).clamp(0.0, 10.0)
    }
}

/// What alarms do to attention, in the time of whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lift {
    score: f64,
    since_s: f64,
    until_s: f64,
}

impl Lift {
    /// Lifts for as long as the alarm says, if that is longer than is left.
    pub fn raise(&mut self, alarm: &Alarm, now_s: f64) {
        self.score = alarm.score().max(self.score(now_s));
        self.since_s = now_s;
        self.until_s = self.until_s.max(now_s + alarm.boost_s());
    }

    pub fn is_on(&self, now_s: f64) -> bool {
        now_s < self.until_s
    }

    /// 0 to 1: the alarm's, which halves every ten seconds.
    pub fn score(&self, now_s: f64) -> f64 {
        self.score * faded(now_s - self.since_s, SCORE_HALF_LIFE_S)
    }
}

/// One stream's recent past, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detector {
    /// The last sample, and its difference to the one before.
    time_s: f64,
    value: f64,
    step: f64,
    /// About which the stream moves.
    mean: f64,
    block_from_s: f64,
    alarmed_s: f64,

    /// Sums over the block: deviation from the mean, its square, the squares of differences, and
    /// the products of each difference with the next.
    deviation: f32,
    level: f32,
    change: f32,
    turn: f32,
    peak: f32,

    /// `change / level`: 0 where the stream is smooth, 2 where it is white (von Neumann 1941).
    roughness: f32,
    /// `turn / change`: 1 where it goes on as it went, -0.5 where it is white.
    persistence: f32,
    /// Of the peaks of blocks.
    peak_mean: f32,
    peak_spread: f32,
    /// What the largest error of an hour may come to.
    threshold: f32,
    /// The smallest difference seen.
    quantum: f32,
    /// The largest peak of the running half hour, and of the one before.
    record: f32,
    record_before: f32,
    record_age_s: f32,
    interval_s: f32,
    unusual_s: f32,

    sample_count: u32,
    block_count: u16,
    quiet_count: u8,
    off_rate_count: u8,
    /// The running block has had an error above the threshold.
    unusual: bool,
    /// It was reported in this half hour, and in the one before, that the stream went quiet.
    went_quiet: bool,
    went_quiet_before: bool,
    history: History,
}

/// How much of what came before a sample is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum History {
    None,
    /// The last sample.
    Value,
    /// And its difference to the one before.
    Step,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            time_s: 0.0,
            value: 0.0,
            step: 0.0,
            mean: 0.0,
            block_from_s: 0.0,
            alarmed_s: f64::NEG_INFINITY,
            deviation: 0.0,
            level: 0.0,
            change: 0.0,
            turn: 0.0,
            peak: 0.0,
            roughness: 0.0,
            persistence: 0.0,
            peak_mean: 0.0,
            peak_spread: 0.0,
            threshold: f32::INFINITY,
            quantum: f32::INFINITY,
            record: 0.0,
            record_before: 0.0,
            record_age_s: 0.0,
            interval_s: f32::INFINITY,
            unusual_s: 0.0,
            sample_count: 0,
            block_count: 0,
            quiet_count: 0,
            off_rate_count: 0,
            unusual: false,
            went_quiet: false,
            went_quiet_before: false,
            history: History::None,
        }
    }
}

impl Detector {
    /// Takes samples in the order they were sent, as (device time in seconds, value), and tells
    /// the event that began among them, if one did. What is not finite, and what is late by less
    /// than ten seconds, is left out.
    pub fn observe(
        &mut self,
        settings: &Settings,
        samples: impl IntoIterator<Item = (f64, f64)>,
    ) -> Option<Alarm> {
        let mut alarm: Option<Alarm> = None;
        let (mut momentum, mut reversion) = self.weights();
        let mut bar = self.bar();
        for (time_s, value) in samples {
            if !(time_s.abs() < TIME_MAX_S && value.abs() < NUMBER_MAX) {
                continue;
            }
            let after_s = time_s - self.time_s;
            let known = self.history != History::None;
            if known && after_s < 0.0 && after_s > -LATE_S_MAX {
                continue;
            }
            if !known || after_s < 0.0 || after_s > self.gap_s() {
                self.begin(time_s, value);
                continue;
            }
            if time_s - self.block_from_s >= BLOCK_S && self.sample_count >= BLOCK_SAMPLE_COUNT_MIN
            {
                let quiet = self.end_block(settings, time_s);
                (momentum, reversion) = self.weights();
                bar = self.bar();
                if let Some(excess) = quiet
                    && self.is_awake(time_s)
                    && !(self.went_quiet || self.went_quiet_before)
                {
                    (self.alarmed_s, self.went_quiet) = (time_s, true);
                    alarm = Some(Alarm { kind: Kind::Quiet, at_s: time_s, excess });
                }
            }
            let from_mean = self.value - self.mean;
            let step = value - self.value;
            let interval_s = f64::from(self.interval_s);
            if self.sample_count >= BLOCK_SAMPLE_COUNT_MAX {
                continue;
            }
            self.sample_count += 1;
            self.time_s = time_s;
            self.value = value;
            if after_s > LATE * interval_s + CLOCK_STEP_S {
                self.step = step * (interval_s / after_s);
                continue;
            }
            if self.history == History::Value {
                self.history = History::Step;
                self.step = step;
                continue;
            }
            let error = (step - momentum * self.step - reversion * from_mean).abs() as f32;
            let size = step.abs() as f32;
            if size > 0.0 && size < self.quantum {
                self.quantum = size;
            }
            self.deviation += from_mean as f32;
            self.level += (from_mean * from_mean) as f32;
            self.change += (step * step) as f32;
            self.turn += (step * self.step) as f32;
            self.step = step;
            if error > self.peak {
                self.peak = error;
                self.unusual |= error > self.threshold;
                if error > bar {
                    let excess = error / self.threshold;
                    match &mut alarm {
                        Some(alarm) if alarm.kind == Kind::Jump => {
                            alarm.excess = alarm.excess.max(excess);
                        }
                        _ if self.is_awake(time_s) => {
                            self.alarmed_s = time_s;
                            alarm = Some(Alarm { kind: Kind::Jump, at_s: time_s, excess });
                        }
                        _ => {}
                    }
                }
            }
        }
        alarm
    }

    /// Whether the last alarm is long enough ago. A clock that was set back does not silence.
    fn is_awake(&self, time_s: f64) -> bool {
        (time_s - self.alarmed_s).abs() >= DEBOUNCE_S
    }

    fn gap_s(&self) -> f64 {
        GAP * f64::from(self.interval_s) + BLOCK_S
    }

    /// What an error must exceed to be reported.
    fn bar(&self) -> f32 {
        if self.block_count < LEARN_BLOCK_COUNT {
            return f32::INFINITY;
        }
        self.threshold.max(self.record).max(self.record_before)
    }

    /// Nothing before this sample counts.
    fn begin(&mut self, time_s: f64, value: f64) {
        if self.block_count == 0 {
            self.mean = value;
        }
        (self.time_s, self.value, self.history) = (time_s, value, History::Value);
        self.begin_block(time_s);
    }

    fn begin_block(&mut self, time_s: f64) {
        self.block_from_s = time_s;
        (self.deviation, self.level, self.change, self.turn) = (0.0, 0.0, 0.0, 0.0);
        (self.peak, self.sample_count, self.unusual) = (0.0, 0, false);
    }

    /// How much of the last step, and of the distance to the mean, is in the next step: the normal
    /// equations of order two, written in these two and solved for what is learnt. Roughness 2,
    /// persistence -1/2 (white) gives (0, -1): next is the mean. A sine of `w` radians a sample has
    /// roughness 2 (1 - cos w) and persistence cos w, and is predicted exactly.
    fn weights(&self) -> (f64, f64) {
        let (roughness, persistence) = (f64::from(self.roughness), f64::from(self.persistence));
        let reversion = -2.0 * roughness * (1.0 + persistence) / (4.0 - roughness);
        (persistence - 0.5 * reversion, reversion)
    }

    /// Learns from the block that ends before `time_s`. Some(how clearly) when the stream has
    /// gone quiet.
    fn end_block(&mut self, settings: &Settings, time_s: f64) -> Option<f32> {
        let seconds = (time_s - self.block_from_s) as f32;
        let interval_s = seconds / self.sample_count as f32;
        let peak = self.peak;

        let ratio = interval_s / self.interval_s;
        let off_rate = self.block_count > 0 && !(ratio < LATE as f32 && ratio * LATE as f32 > 1.0);
        self.off_rate_count = if off_rate { self.off_rate_count.saturating_add(1) } else { 0 };
        self.unusual_s = if self.unusual { self.unusual_s + seconds } else { 0.0 };
        // A stuck value is far from the mean for ever, and yet nothing happens.
        let activity = peak.min(self.change.sqrt());
        let quiet_below = QUIET_PART * self.peak_mean;
        let quiet = activity < quiet_below
            && self.peak_mean - 2.0 * self.peak_spread > quiet_below
            && self.peak_mean > QUANTUM_COUNT_MIN * self.quantum
            && self.block_count >= LEARN_BLOCK_COUNT
            && !off_rate;
        self.quiet_count = if quiet { self.quiet_count.saturating_add(1) } else { 0 };
        let gone_quiet =
            (self.quiet_count == 2).then(|| quiet_below / activity.max(QUIET_EXCESS * quiet_below));
        if quiet {
            self.unusual_s += seconds;
        }

        // One long event is one event, however large it becomes.
        let goes_on = self.unusual_s > seconds;
        if self.off_rate_count >= 2 || self.unusual_s >= ADOPT_S {
            (self.block_count, self.unusual_s, self.off_rate_count) = (0, 0.0, 0);
            (self.quantum, self.quiet_count) = (f32::INFINITY, 0);
            self.unusual = false;
        } else if self.block_count < LEARN_BLOCK_COUNT && peak < QUIET_PART * self.peak_mean {
            // What was learnt so far was no beginning: it held an outlier, or knew no predictor.
            self.block_count = 0;
        }
        self.block_count = self.block_count.saturating_add(1);
        let count = f32::from(self.block_count);
        let share =
            (seconds / (MEMORY_S + seconds)).min(1.0 / MEMORY_BLOCK_COUNT_MIN).max(1.0 / count);

        if self.block_count == 1 {
            self.interval_s = interval_s;
        } else if !off_rate {
            self.interval_s += share * (interval_s - self.interval_s);
        }
        if !self.unusual && !quiet {
            self.mean += f64::from(share * self.deviation / self.sample_count as f32);
            if self.level > 0.0 && self.change > 0.0 {
                let roughness = (self.change / self.level).min(3.9);
                let persistence = (self.turn / self.change).clamp(-1.0, 1.0);
                self.roughness += share * (roughness - self.roughness);
                self.persistence += share * (persistence - self.persistence);
            }
        }
        if self.block_count == 1 {
            (self.peak_mean, self.peak_spread) = (peak, 0.5 * peak);
        } else {
            let clip = CLIP * self.peak_spread;
            let off = (peak - self.peak_mean).clamp(-clip, clip);
            self.peak_mean += share * off;
            self.peak_spread += share * (off.abs() - self.peak_spread);
        }

        self.record_age_s += seconds;
        if self.record_age_s > RECORD_S {
            (self.record_before, self.record, self.record_age_s) = (self.record, 0.0, 0.0);
            (self.went_quiet_before, self.went_quiet) = (self.went_quiet, false);
        }
        if self.block_count >= LEARN_BLOCK_COUNT && !goes_on {
            let before = self.record.max(self.record_before);
            let believed = before > RECORD_BELIEVED * self.threshold;
            let most = if believed { f32::INFINITY } else { RECORD_STEP * self.threshold };
            self.record = self.record.max(peak.min(most));
        }
        let blocks = 3600.0 / (settings.false_alarms_per_hour * f64::from(seconds));
        let scales = (libm::log(blocks) - EULER).max(2.0) as f32;
        let law =
            self.peak_mean + scales * SCALE_OVER_SPREAD * self.peak_spread * (1.0 + 4.0 / count);
        self.threshold = law.max(QUANTUM_COUNT_MIN * self.quantum);
        self.begin_block(time_s);
        gone_quiet
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for float in self.doubles() {
            out.float(float);
        }
        for float in self.singles() {
            write32(out, float);
        }
        out.number(self.sample_count.into());
        out.number(self.block_count.into());
        out.byte(self.quiet_count);
        out.byte(self.off_rate_count);
        for flag in [self.unusual, self.went_quiet, self.went_quiet_before] {
            out.flag(flag);
        }
        out.byte(self.history as u8);
    }

    pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        let mut it = Self::default();
        for float in it.doubles_mut() {
            *float = number64(bytes)?;
        }
        for float in it.singles_mut() {
            *float = number32(bytes)?;
        }
        // What is not known yet is endless: nothing else is.
        let [doubles @ .., _] = it.doubles();
        let [singles @ .., _, _, _] = it.singles();
        if !(doubles.iter().all(|it| it.is_finite()) && singles.iter().all(|it| it.is_finite())) {
            return broken("a detector knows something endless");
        }
        it.sample_count = bytes.number32()?;
        it.block_count = bytes.number32()?.min(u16::MAX.into()) as u16;
        it.quiet_count = bytes.byte()?;
        it.off_rate_count = bytes.byte()?;
        for flag in [&mut it.unusual, &mut it.went_quiet, &mut it.went_quiet_before] {
            *flag = bytes.flag()?;
        }
        it.history = bytes.one_of(&[History::None, History::Value, History::Step])?;
        Ok(it)
    }

    fn doubles(mut self) -> [f64; 6] {
        self.doubles_mut().map(|float| *float)
    }

    fn singles(mut self) -> [f32; 16] {
        self.singles_mut().map(|float| *float)
    }

    fn doubles_mut(&mut self) -> [&mut f64; 6] {
        [
            &mut self.time_s,
            &mut self.value,
            &mut self.step,
            &mut self.mean,
            &mut self.block_from_s,
            &mut self.alarmed_s,
        ]
    }

    fn singles_mut(&mut self) -> [&mut f32; 16] {
        [
            &mut self.deviation,
            &mut self.level,
            &mut self.change,
            &mut self.turn,
            &mut self.peak,
            &mut self.roughness,
            &mut self.persistence,
            &mut self.peak_mean,
            &mut self.peak_spread,
            &mut self.record,
            &mut self.record_before,
            &mut self.record_age_s,
            &mut self.unusual_s,
            &mut self.threshold,
            &mut self.quantum,
            &mut self.interval_s,
        ]
    }
}

#[cfg(test)]
mod tests;

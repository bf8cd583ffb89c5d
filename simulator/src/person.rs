//! A made-up person: everything a device could measure of them, as a function of time.
//!
//! Nothing depends on a sample's index, on a rate or on the order of asking: any process that
//! knows the specification and the seed can compute the truth of any interval. What belongs
//! together agrees: the heart rate, its variability and the ECG come of the same beats, and the
//! breath that moves the chest is the one that moves the beats.

use components::sample::Timestamp;

use crate::activity::{ACTIVITIES, Activity};
use crate::breath::Breath;
pub use crate::breath::Coupling;
use crate::chance::uniform;
use crate::ecg::Complex;
use crate::math::rounded;
use crate::rhythm::{Beats, Rhythm};
use crate::signal::{GivenError, Parameter};

/// Where the time of made-up people begins, unix ms (2026-01-01T00:00:00Z). A recent beginning
/// keeps seconds small, so that a beat is found to far less than a sample of its ECG.
pub const ORIGIN_MS: i64 = 1_767_225_600_000;

/// Intervals that a heart rate is the mean of: chest straps average over a few seconds.
const HEART_RATE_INTERVALS: i64 = 4;

/// Seconds of beats behind a variability. Shorter than the five minutes of the Task Force of the
/// ESC and NASPE (1996), so that a change shows; one minute is the usual "ultra-short" window.
pub const HRV_WINDOW_SECONDS: f64 = 60.0;

/// The highest heart rate of a made-up person, per minute (220 less an age of 35).
const HEART_RATE_MAX_BPM: f64 = 185.0;

/// What can be said about a person, by name. Numbers are those that a device would find in the
/// person's activity; where one is not set it follows from the activity.
pub const PARAMETERS: &[Parameter] = &[
    Parameter::number("heart_rate", "1/min", (30.0, 200.0), 70.0, "Mean heart rate."),
    Parameter::number("rmssd", "ms", (0.0, 150.0), 37.0, "Variability from beat to beat."),
    Parameter::number(
        "lf_over_hf",
        "",
        (0.05, 20.0),
        1.2,
        "Power of the intervals around 0.1 Hz over that at the breath.",
    ),
    Parameter::number("breathing_rate", "1/min", (3.0, 40.0), 14.0, "Mean breathing rate."),
    Parameter::number("r_peak", "mV", (0.1, 5.0), 1.0, "Height of R in the ECG."),
    Parameter::number("spo2", "%", (70.0, 100.0), 97.3, "Mean oxygen saturation."),
    Parameter::number("skin_temperature", "°C", (20.0, 40.0), 33.0, "Mean skin temperature."),
    Parameter::number("battery_hours", "h", (0.1, 10_000.0), 12.0, "Hours a full battery lasts."),
    Parameter::number("weight", "kg", (3.0, 300.0), 72.0, "Body weight."),
    Parameter::number(
        "cadence",
        "1/s",
        (0.3, 4.0),
        1.9,
        "Steps a second of someone who walks or runs, strokes of the pedals of a cyclist.",
    ),
    Parameter::number(
        "activity_level",
        "",
        (0.0, 1.0),
        0.5,
        "How lively the movements are; 0.5 is as usual.",
    ),
    Parameter::number("blink_rate", "1/min", (0.0, 40.0), 17.0, "Blinks of the eyes."),
    Parameter::number(
        "fixation_duration",
        "ms",
        (150.0, 3000.0),
        330.0,
        "Mean time between the eyes' jumps.",
    ),
    Parameter::number(
        "saccade_duration",
        "ms",
        (15.0, 100.0),
        43.0,
        "How long the eyes take for a jump of 10 degrees.",
    ),
    Parameter::word("activity", ACTIVITIES, "sit", "What the person is doing."),
];

/// What is fixed of a person: values as a device would find them in the activity. Values beyond
/// the stated ranges are brought into them.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonSpec {
    /// Mean heart rate, 30 to 200 per minute.
    pub heart_rate_bpm: f64,
    /// Variability from beat to beat, 0 to 150 ms.
    pub rmssd_ms: f64,
    /// Power of the intervals around 0.1 Hz over that at the breath, 0.05 to 20.
    pub lf_over_hf: f64,
    /// Mean breathing rate, 3 to 40 per minute.
    pub breaths_per_min: f64,
    /// With whom, and how firmly, they breathe; `None` is a breath of one's own.
    pub coupling: Option<Coupling>,
    /// Height of R in the ECG, mV.
    pub r_peak_mv: f64,
    /// Mean oxygen saturation, 70 to 100 %.
    pub spo2_percent: f64,
    /// Mean skin temperature, °C.
    pub skin_temperature_c: f64,
    /// Hours a full battery lasts.
    pub battery_hours: f64,
    /// Body weight, kg.
    pub weight_kg: f64,
    /// Steps (or strokes of the pedals) a second; `None` is what the activity has.
    pub cadence_hz: Option<f64>,
    /// How lively the movements are, 0 to 1; 0.5 is as usual.
    pub activity_level: f64,
    /// Blinks, 0 to 40 per minute.
    pub blinks_per_min: f64,
    /// Mean time between saccades, ms.
    pub fixation_ms: f64,
    /// Duration of a saccade of 10 degrees, ms.
    pub saccade_ms: f64,
    /// Set it with [`set_word`](Self::set_word), so that the rest follows.
    activity: Activity,
    /// What was set by name and does not follow the activity: heart rate, variability, breath.
    fixed: [bool; 3],
}

impl PersonSpec {
    /// A healthy adult, sitting, drawn by `seed`.
    pub fn drawn(seed: u64) -> Self {
        let heart_rate_bpm = uniform(seed, 100, 54.0, 86.0);
        Self {
            heart_rate_bpm,
            // A slow heart is a variable one (de Geus 2019); here with chance around it.
            rmssd_ms: (90.0 - 0.75 * heart_rate_bpm) * uniform(seed, 101, 0.75, 1.25),
            lf_over_hf: uniform(seed, 102, 0.4, 2.5),
            breaths_per_min: uniform(seed, 103, 10.0, 18.0),
            coupling: None,
            r_peak_mv: uniform(seed, 104, 0.8, 1.3),
            spo2_percent: uniform(seed, 105, 96.0, 98.6),
            skin_temperature_c: uniform(seed, 106, 31.5, 34.5),
            battery_hours: uniform(seed, 107, 6.0, 20.0),
            weight_kg: uniform(seed, 108, 52.0, 95.0),
            cadence_hz: None,
            activity_level: 0.5,
            // Bentivoglio et al. 1997, Mov. Disord. 12: 17 a minute at rest, widely spread.
            blinks_per_min: uniform(seed, 109, 9.0, 25.0),
            // Rayner 1998, Psychol. Bull. 124: 330 ms in looking at scenes.
            fixation_ms: uniform(seed, 110, 270.0, 390.0),
            // 2.2 ms a degree and 21 ms (Carpenter 1988).
            saccade_ms: uniform(seed, 111, 40.0, 46.0),
            activity: Activity::Sit,
            fixed: [false; 3],
        }
    }

    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// Sets the number of [`PARAMETERS`] that has this name. The order of settings does not
    /// matter.
    pub fn set_number(&mut self, name: &str, value: f64) -> Result<(), GivenError> {
        let parameter = Parameter::find(PARAMETERS, name)?;
        let value = parameter.check_number(value)?;
        match parameter.name {
            "heart_rate" => (self.heart_rate_bpm, self.fixed[0]) = (value, true),
            "rmssd" => (self.rmssd_ms, self.fixed[1]) = (value, true),
            "breathing_rate" => (self.breaths_per_min, self.fixed[2]) = (value, true),
            "lf_over_hf" => self.lf_over_hf = value,
            "r_peak" => self.r_peak_mv = value,
            "spo2" => self.spo2_percent = value,
            "skin_temperature" => self.skin_temperature_c = value,
            "battery_hours" => self.battery_hours = value,
            "weight" => self.weight_kg = value,
            "cadence" => self.cadence_hz = Some(value),
            "activity_level" => self.activity_level = value,
            "blink_rate" => self.blinks_per_min = value,
            "fixation_duration" => self.fixation_ms = value,
            "saccade_duration" => self.saccade_ms = value,
            other => panic!("`{other}` is declared and not set"),
        }
        Ok(())
    }

    /// Sets the word of [`PARAMETERS`] that has this name. With another activity go another
    /// heart rate, variability and breath, unless they were set.
    pub fn set_word(&mut self, name: &str, value: &str) -> Result<(), GivenError> {
        let parameter = Parameter::find(PARAMETERS, name)?;
        let value = parameter.check_word(value)?;
        let (old, new) =
            (self.activity, Activity::from_name(value).expect("the choices are the activities"));
        let span = |sitting: f64| HEART_RATE_MAX_BPM - sitting;
        if !self.fixed[0] {
            // The rate at an effort is a straight line of the rate when sitting.
            let part = old.heart_reserve();
            let sitting = (self.heart_rate_bpm - part * HEART_RATE_MAX_BPM) / (1.0 - part);
            self.heart_rate_bpm = sitting + new.heart_reserve() * span(sitting);
        }
        if !self.fixed[1] {
            self.rmssd_ms *= new.rmssd_factor() / old.rmssd_factor();
        }
        if !self.fixed[2] {
            self.breaths_per_min *= new.breathing_factor() / old.breathing_factor();
        }
        self.activity = new;
        Ok(())
    }
}

/// Heart rate variability over [`HRV_WINDOW_SECONDS`], ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hrv {
    /// Root mean square of successive differences.
    pub rmssd: f64,
    /// Standard deviation of the intervals.
    pub sdnn: f64,
}

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    spec: PersonSpec,
    seed: u64,
    rhythm: Rhythm,
}

/// What is remembered of a body to save time. It never changes what is measured: what was
/// remembered of another heart is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Whose beats these are: [`Rhythm::fingerprint`]. 0 is nobody's.
    fingerprint: u64,
    beats: Beats,
    /// The interval between two beats that was last asked for: from, to, its waves.
    interval: Option<(f64, f64, Complex)>,
}

impl Memory {
    /// The beats of this heart.
    pub(crate) fn beats(&mut self, rhythm: &Rhythm) -> &mut Beats {
        if self.fingerprint != rhythm.fingerprint() {
            *self = Self { fingerprint: rhythm.fingerprint(), ..Self::default() };
        }
        &mut self.beats
    }

    /// The interval around `seconds`: from, to, and its waves.
    pub(crate) fn interval(&mut self, rhythm: &Rhythm, seconds: f64) -> (f64, f64, Complex) {
        self.beats(rhythm);
        let n = match self.interval {
            Some(interval) if interval.0 <= seconds && seconds < interval.1 => return interval,
            _ => self.beats.last_at(rhythm, seconds),
        };
        let (from, to) = (self.beats.beat(rhythm, n), self.beats.beat(rhythm, n + 1));
        *self.interval.insert((from, to, Complex::new(to - from)))
    }
}

/// Seconds since [`ORIGIN_MS`].
pub fn seconds(at: Timestamp) -> f64 {
    (at.0 - ORIGIN_MS) as f64 / 1000.0
}

impl Person {
    pub fn new(spec: PersonSpec, seed: u64) -> Self {
        let breath = match &spec.coupling {
            Some(coupling) if coupling.strength > 0.0 => Breath::coupled(coupling, seed),
            _ => Breath::new(spec.breaths_per_min, seed),
        };
        let rhythm = Rhythm::new(spec.heart_rate_bpm, spec.rmssd_ms, spec.lf_over_hf, breath, seed);
        Self { spec, seed, rhythm }
    }

    pub fn spec(&self) -> &PersonSpec {
        &self.spec
    }

    /// Names all that is drawn of this person.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    pub fn breath(&self) -> &Breath {
        self.rhythm.breath()
    }

    /// Steps a second, or strokes of the pedals; `None` for who does neither.
    pub fn cadence_hz(&self) -> Option<f64> {
        let usual = self.spec.activity.cadence_hz()?;
        Some(self.spec.cadence_hz.unwrap_or(usual * uniform(self.seed, 112, 0.95, 1.05)))
    }

    /// The beats in `(from, to]`, seconds since [`ORIGIN_MS`].
    pub fn beats(&self, from: Timestamp, to: Timestamp) -> Vec<f64> {
        let mut beats = Beats::default();
        let first = beats.last_at(&self.rhythm, seconds(from)) + 1;
        let last = beats.last_at(&self.rhythm, seconds(to));
        (first..=last).map(|n| self.rhythm.beat(n)).collect()
    }

    /// Beats per minute, as a strap shows them: over the last few intervals.
    pub fn heart_rate_bpm(&self, at: Timestamp, memory: &mut Memory) -> f64 {
        let beats = memory.beats(&self.rhythm);
        let last = beats.last_at(&self.rhythm, seconds(at));
        let to = beats.beat(&self.rhythm, last);
        let from = beats.beat(&self.rhythm, last - HEART_RATE_INTERVALS);
        rounded(60.0 * HEART_RATE_INTERVALS as f64 / (to - from), 10.0)
    }

    /// Variability of the beats of the last [`HRV_WINDOW_SECONDS`].
    pub fn hrv(&self, at: Timestamp, memory: &mut Memory) -> Hrv {
        let now = seconds(at);
        let beats = memory.beats(&self.rhythm);
        beats.keep_window();
        let last = beats.last_at(&self.rhythm, now);
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let (mut steps, mut step_squares) = (0.0, 0.0);
        let mut n = last;
        let mut later: Option<f64> = None;
        let mut end = beats.beat(&self.rhythm, n);
        loop {
            n -= 1;
            let begin = beats.beat(&self.rhythm, n);
            if begin < now - HRV_WINDOW_SECONDS {
                break;
            }
            let interval = (end - begin) * 1000.0;
            count += 1.0;
            sum += interval;
            squares += interval * interval;
            if let Some(later) = later {
                steps += 1.0;
                step_squares += (later - interval) * (later - interval);
            }
            later = Some(interval);
            end = begin;
        }
        // The slowest valid heart has fifteen intervals in the window.
        let sdnn = ((squares - sum * sum / count) / (count - 1.0)).max(0.0).sqrt();
        Hrv { rmssd: rounded((step_squares / steps).sqrt(), 10.0), sdnn: rounded(sdnn, 10.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = ORIGIN_MS + 27_000_000_000;

    fn person(seed: u64) -> Person {
        Person::new(PersonSpec::drawn(seed), seed)
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp(NOW + ms)
    }

    #[test]
    fn heart_rate_variability_and_beats_agree() {
        for seed in 1..6 {
            let (person, mut memory) = (person(seed), Memory::default());
            let (mut rates, mut rmssds) = (Vec::new(), Vec::new());
            for second in 0..1800 {
                let now = at(second * 1000);
                let before = |ms: i64| person.beats(Timestamp(now.0 - ms), now);
                let beats = before(15_000);
                let recent = &beats[beats.len() - 5..];
                let expected = 60.0 * 4.0 / (recent[4] - recent[0]);
                let shown = person.heart_rate_bpm(now, &mut memory);
                assert!((shown - expected).abs() <= 0.051, "{shown} {expected}");
                rates.push(shown);

                let hrv = person.hrv(now, &mut memory);
                let intervals: Vec<f64> =
                    before(60_000).windows(2).map(|pair| (pair[1] - pair[0]) * 1000.0).collect();
                let steps: Vec<f64> =
                    intervals.windows(2).map(|p| (p[1] - p[0]) * (p[1] - p[0])).collect();
                let rmssd = (steps.iter().sum::<f64>() / steps.len() as f64).sqrt();
                assert!((hrv.rmssd - rmssd).abs() <= 0.051, "{hrv:?} {rmssd}");
                rmssds.push(hrv.rmssd);
            }
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let spec = person.spec();
            assert!((mean(&rates) - spec.heart_rate_bpm).abs() < 1.0, "{} {spec:?}", mean(&rates));
            let ratio = mean(&rmssds) / spec.rmssd_ms;
            assert!((0.85..1.15).contains(&ratio), "{ratio} {spec:?}");
        }
    }

    #[test]
    fn a_shared_breath_is_shared_and_another_is_not() {
        let with = |seed| {
            let spec = PersonSpec {
                coupling: Some(Coupling {
                    group_seed: 7,
                    strength: 1.0,
                    lag_s: 0.0,
                    breaths_per_min: 6.0,
                }),
                ..PersonSpec::drawn(seed)
            };
            Person::new(spec, seed)
        };
        let (one, other, stranger) = (with(1), with(2), person(3));
        let phase = |p: &Person, ms| p.rhythm().breath().phase(seconds(at(ms)));
        assert!((0..100).all(|n| phase(&one, n * 1000) == phase(&other, n * 1000)));
        assert!((0..100).any(|n| (phase(&one, n * 1000) - phase(&stranger, n * 1000)).abs() > 1.0));
    }

    #[test]
    fn effort_quickens_heart_and_breath_and_stills_the_variability() {
        for seed in 0..50 {
            let doing = |word: &str| {
                let mut spec = PersonSpec::drawn(seed);
                spec.set_word("activity", word).unwrap();
                spec
            };
            let all = ACTIVITIES.iter().map(|word| doing(word)).collect::<Vec<_>>();
            let by_effort = [&all[0], &all[1], &all[2], &all[3], &all[4], &all[6], &all[5]];
            for pair in by_effort.windows(2) {
                assert!(pair[0].heart_rate_bpm < pair[1].heart_rate_bpm, "{pair:?}");
                assert!(pair[0].breaths_per_min < pair[1].breaths_per_min);
                assert!(pair[0].rmssd_ms > pair[1].rmssd_ms);
            }
            assert!((76.0..115.0).contains(&doing("walk").heart_rate_bpm));
            assert!((135.0..175.0).contains(&doing("run").heart_rate_bpm));
            // To run, and then to sit again, is to sit.
            let mut back = doing("run");
            back.set_word("activity", "sit").unwrap();
            assert!((back.heart_rate_bpm - PersonSpec::drawn(seed).heart_rate_bpm).abs() < 1e-9);
        }
    }

    #[test]
    fn what_was_set_stays_whatever_the_activity_and_the_order() {
        let mut one = PersonSpec::drawn(1);
        one.set_number("heart_rate", 99.0).unwrap();
        one.set_word("activity", "run").unwrap();
        let mut other = PersonSpec::drawn(1);
        other.set_word("activity", "run").unwrap();
        other.set_number("heart_rate", 99.0).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.heart_rate_bpm, 99.0);
    }

    #[test]
    fn every_parameter_can_be_set_and_says_its_range() {
        use crate::signal::Sort;
        for parameter in PARAMETERS {
            let mut spec = PersonSpec::drawn(1);
            match parameter.sort {
                Sort::Number { min, max, default } => {
                    for value in [min, default, max] {
                        spec.set_number(parameter.name, value).unwrap();
                    }
                    for value in [min - 0.01, max + 0.01, f64::NAN, f64::INFINITY] {
                        let told = spec.set_number(parameter.name, value).unwrap_err().to_string();
                        let range = format!("must be from {min} to {max}");
                        assert!(told.contains(&range) && told.contains(parameter.name), "{told}");
                    }
                }
                Sort::Word { choices, .. } => {
                    for word in choices {
                        spec.set_word(parameter.name, word).unwrap();
                    }
                    let told = spec.set_word(parameter.name, "x").unwrap_err().to_string();
                    assert!(told.contains("must be one of sleep, rest, sit"), "{told}");
                }
                Sort::Flag { .. } => panic!("people have no flags"),
            }
        }
        assert!(PersonSpec::drawn(1).set_number("heart_rat", 1.0).is_err());
        assert!(PersonSpec::drawn(1).set_number("activity", 1.0).is_err());
    }
}

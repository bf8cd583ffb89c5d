//! A made-up person: everything a device could measure of them, as a function of time.
//!
//! Nothing depends on a sample's index, on a rate or on the order of asking: any process that
//! knows the specification and the seed can compute the truth of any interval. What belongs
//! together agrees: the heart rate, its variability and the ECG come of the same beats, and the
//! breath that moves the chest is the one that moves the beats.

use std::f64::consts::TAU;

use components::sample::Timestamp;

use crate::activity::{ACTIVITIES, Activity};
use crate::breath::Breath;
pub use crate::breath::Coupling;
use crate::chance::{hash, noise, uniform};
use crate::ecg::Complex;
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

/// Noise of the ECG's electrodes, standard deviation in mV.
const ECG_NOISE_MV: f64 = 0.008;

/// The breath in the ECG: wander of the baseline in mV (McSharry 2003 has 0.15 mV), and the part
/// by which the axis of the heart turns (ECG-derived respiration).
const ECG_WANDER_MV: f64 = 0.05;
const ECG_TURN: f64 = 0.06;

/// Charge at which a battery is changed for a full one, percent.
const BATTERY_CHANGED_AT: f64 = 8.0;

const GRAVITY: f64 = 9.81;

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

/// Acceleration with gravity in m/s², and turning in rad/s, on the chest: x right, y up, z ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    pub accelerometer: [f64; 3],
    pub gyroscope: [f64; 3],
}

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    spec: PersonSpec,
    seed: u64,
    rhythm: Rhythm,
    /// Lean and sway: radians, Hz, phase.
    sway: [(f64, f64, f64); 4],
}

/// What is remembered of a person to save time. It never changes what they are.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    beats: Beats,
    /// The interval between two beats that was last asked for: from, to, its waves.
    interval: Option<(f64, f64, Complex)>,
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
        let mut sway = [(0.0, 0.0, 0.0); 4];
        for (n, wave) in sway.iter_mut().enumerate() {
            let n = n as u64;
            *wave = (
                uniform(seed, 200 + n, 0.02, 0.08),
                uniform(seed, 210 + n, 0.02, 0.35),
                uniform(seed, 220 + n, 0.0, TAU),
            );
        }
        Self { spec, seed, rhythm, sway }
    }

    pub fn spec(&self) -> &PersonSpec {
        &self.spec
    }

    pub fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// The beats in `(from, to]`, seconds since [`ORIGIN_MS`].
    pub fn beats(&self, from: Timestamp, to: Timestamp) -> Vec<f64> {
        let mut beats = Beats::default();
        let first = beats.last_at(&self.rhythm, seconds(from)) + 1;
        let last = beats.last_at(&self.rhythm, seconds(to));
        (first..=last).map(|n| self.rhythm.beat(n)).collect()
    }

    /// One lead of the ECG, mV, in steps of a µV.
    pub fn ecg_mv(&self, at: Timestamp, memory: &mut Memory) -> f64 {
        let now = seconds(at);
        let (from, to, complex) = match memory.interval {
            Some(interval) if interval.0 <= now && now < interval.1 => interval,
            _ => {
                let n = memory.beats.last_at(&self.rhythm, now);
                let from = memory.beats.beat(&self.rhythm, n);
                let to = memory.beats.beat(&self.rhythm, n + 1);
                *memory.interval.insert((from, to, Complex::new(to - from)))
            }
        };
        let breath = Breath::excursion(self.rhythm.breath().phase(now));
        let heart = complex.value((now - from) / (to - from));
        let electrodes = ECG_WANDER_MV * breath + ECG_NOISE_MV * noise(self.seed ^ 1, at.0 as u64);
        rounded(self.spec.r_peak_mv * heart * (1.0 - ECG_TURN * breath) + electrodes, 1000.0)
    }

    /// The chest belt, percent of its range.
    pub fn respiration_percent(&self, at: Timestamp) -> f64 {
        let belt = self.rhythm.breath().belt_percent(seconds(at));
        rounded((belt + 0.1 * noise(self.seed ^ 2, at.0 as u64)).clamp(50.0, 100.0), 100.0)
    }

    /// Beats per minute, as a strap shows them: over the last few intervals.
    pub fn heart_rate_bpm(&self, at: Timestamp, memory: &mut Memory) -> f64 {
        let last = memory.beats.last_at(&self.rhythm, seconds(at));
        let to = memory.beats.beat(&self.rhythm, last);
        let from = memory.beats.beat(&self.rhythm, last - HEART_RATE_INTERVALS);
        rounded(60.0 * HEART_RATE_INTERVALS as f64 / (to - from), 10.0)
    }

    /// Variability of the beats of the last [`HRV_WINDOW_SECONDS`].
    pub fn hrv(&self, at: Timestamp, memory: &mut Memory) -> Hrv {
        let now = seconds(at);
        let last = memory.beats.last_at(&self.rhythm, now);
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let (mut steps, mut step_squares) = (0.0, 0.0);
        let mut n = last;
        let mut later: Option<f64> = None;
        let mut end = memory.beats.beat(&self.rhythm, n);
        loop {
            n -= 1;
            let begin = memory.beats.beat(&self.rhythm, n);
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

    /// Oxygen saturation, percent.
    pub fn spo2_percent(&self, at: Timestamp) -> f64 {
        let slow = (TAU * seconds(at) / 47.0 + self.drift_phase(1)).sin();
        let value = self.spec.spo2_percent + 0.5 * slow + 0.1 * noise(self.seed ^ 3, at.0 as u64);
        rounded(value.clamp(70.0, 100.0), 10.0)
    }

    /// Skin temperature, °C: lowest in the small hours, and drifting by a fifth of a degree.
    pub fn skin_temperature_c(&self, at: Timestamp) -> f64 {
        let now = seconds(at);
        let day = (TAU * (now / 86_400.0 - 0.45)).cos();
        let drift = (TAU * now / 1_130.0 + self.drift_phase(2)).sin();
        rounded(self.spec.skin_temperature_c + 0.4 * day + 0.2 * drift, 100.0)
    }

    /// Charge of the wearable, percent. It only drains, and is changed for a full one when low.
    pub fn battery_percent(&self, at: Timestamp) -> f64 {
        let life = self.spec.battery_hours.max(0.1) * 3600.0;
        let used = (seconds(at) / life + uniform(self.seed, 300, 0.0, 1.0)).rem_euclid(1.0);
        rounded(100.0 - (100.0 - BATTERY_CHANGED_AT) * used, 10.0)
    }

    /// Someone sitting: leaning a little this way and that, the chest moving with the breath.
    /// The gyroscope is the derivative of the lean that turns gravity in the accelerometer.
    pub fn motion(&self, at: Timestamp) -> Motion {
        let now = seconds(at);
        let lean = |pair: &[(f64, f64, f64)]| {
            pair.iter().fold((0.0, 0.0), |(angle, rate), &(radians, hz, phase)| {
                let (sin, cos) = (TAU * hz * now + phase).sin_cos();
                (angle + radians * sin, rate + radians * TAU * hz * cos)
            })
        };
        let ((roll, roll_rate), (pitch, pitch_rate)) =
            (lean(&self.sway[..2]), lean(&self.sway[2..]));
        let breath = 0.03 * Breath::excursion(self.rhythm.breath().phase(now));
        let noisy = |n: u64, value: f64, spread: f64| {
            rounded(value + spread * noise(self.seed ^ (4 + n), at.0 as u64), 1000.0)
        };
        Motion {
            accelerometer: [
                noisy(0, GRAVITY * roll.sin(), 0.02),
                noisy(1, GRAVITY * roll.cos() * pitch.cos(), 0.02),
                noisy(2, GRAVITY * pitch.sin() * roll.cos() + breath, 0.02),
            ],
            gyroscope: [
                noisy(3, pitch_rate, 0.004),
                noisy(4, 0.0, 0.004),
                noisy(5, roll_rate, 0.004),
            ],
        }
    }

    fn drift_phase(&self, n: u64) -> f64 {
        (hash(self.seed, 400 + n) % 1000) as f64 / 1000.0 * TAU
    }
}

fn rounded(value: f64, steps_per_unit: f64) -> f64 {
    (value * steps_per_unit).round() / steps_per_unit
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
    fn the_peaks_of_the_ecg_are_the_beats() {
        for seed in 1..6 {
            let (person, mut memory) = (person(seed), Memory::default());
            let ecg: Vec<f64> = (0..60_000).map(|ms| person.ecg_mv(at(ms), &mut memory)).collect();
            let beats = person.beats(at(500), at(59_500));
            assert!(beats.len() > 45);
            for beat in beats {
                let beat_ms = ((beat - seconds(at(0))) * 1000.0).round() as usize;
                let around = beat_ms - 200..beat_ms + 200;
                let peak = around.max_by(|&a, &b| ecg[a].total_cmp(&ecg[b])).unwrap();
                assert!(peak.abs_diff(beat_ms) <= 8, "R at {peak}, beat at {beat_ms}");
                assert!((ecg[peak] / person.spec().r_peak_mv - 1.0).abs() < 0.2);
            }
        }
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
                let steps: Vec<f64> = intervals.windows(2).map(|p| (p[1] - p[0]).powi(2)).collect();
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
    fn the_belt_shows_the_breathing_rate() {
        for seed in 1..6 {
            let person = person(seed);
            let above: Vec<bool> =
                (0..36_000).map(|n| person.respiration_percent(at(n * 100)) > 75.0).collect();
            // Smoothed by hysteresis of three samples, so that noise makes no breaths.
            let breaths =
                above.windows(6).filter(|w| *w == [false, false, false, true, true, true]).count();
            let asked = person.spec().breaths_per_min;
            assert!(
                (breaths as f64 / 60.0 - asked).abs() < 0.5,
                "{breaths} in an hour, {asked} asked"
            );
        }
    }

    #[test]
    fn a_value_does_not_depend_on_what_was_asked_before() {
        let (person, mut forth, mut back) = (person(3), Memory::default(), Memory::default());
        let ask = |n: i64, memory: &mut Memory| {
            let now = at(n * 4);
            let hrv = person.hrv(now, memory);
            let values = [
                person.ecg_mv(now, memory),
                person.heart_rate_bpm(now, memory),
                hrv.rmssd,
                hrv.sdnn,
            ];
            values.map(f64::to_bits)
        };
        let one: Vec<_> = (0..5000).map(|n| ask(n, &mut forth)).collect();
        let mut other: Vec<_> = (0..5000).rev().map(|n| ask(n, &mut back)).collect();
        other.reverse();
        assert_eq!(one, other);
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
    fn the_rest_stays_in_its_range() {
        let person = person(5);
        let mut before = f64::INFINITY;
        let mut changed = 0;
        for minute in 0..3000 {
            let now = at(minute * 60_000);
            assert!((94.0..=100.0).contains(&person.spo2_percent(now)));
            assert!((30.0..36.0).contains(&person.skin_temperature_c(now)));
            let battery = person.battery_percent(now);
            assert!((BATTERY_CHANGED_AT..=100.0).contains(&battery));
            changed += u32::from(battery > before);
            before = battery;
            let [x, y, z] = person.motion(now).accelerometer;
            assert!(((x * x + y * y + z * z).sqrt() - GRAVITY).abs() < 0.4);
        }
        assert!((2..=9).contains(&changed), "{changed} batteries in two days");
    }
}

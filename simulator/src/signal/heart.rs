//! Heart and breath: all of the same beats, and of the breath that moves them.

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::payload::{Form, Worn, cell, form, number, several};
use super::{Memory, Model};
use crate::breath::Breath;
use crate::chance::{noise, uniform};
use crate::math::{exp, rounded, wave};
use crate::person::seconds;

/// Noise of the ECG's electrodes, standard deviation in mV.
const ECG_NOISE_MV: f64 = 0.008;

/// The breath in the ECG: wander of the baseline in mV (McSharry 2003 has 0.15 mV), and the part
/// by which the axis of the heart turns (ECG-derived respiration).
const ECG_WANDER_MV: f64 = 0.05;
const ECG_TURN: f64 = 0.06;

/// Seconds from the R peak to the foot of the pulse at the finger (Allen 2007, Physiol. Meas. 28).
const PULSE_TRANSIT_S: f64 = 0.2;

static HRV: Form = Form::new(|| form(b"{\"rmssd\":\x01,\"sdnn\":\x01}"));
static BLOOD_PRESSURE: Form =
    Form::new(|| form(b"{\"systolic\":\x01,\"diastolic\":\x01,\"map\":\x01}"));

/// One lead, mV, in steps of a µV: the waves of McSharry 2003 between two beats, the breath in
/// baseline and height, and noise.
fn ecg(worn: &Worn, at: Timestamp, memory: &mut Memory) -> f64 {
    let (person, now) = (&worn.person, seconds(at));
    let (from, to, complex) = memory.interval(person.rhythm(), now);
    let breath = Breath::excursion(person.breath().phase(now));
    let heart = complex.value((now - from) / (to - from));
    let electrodes = ECG_WANDER_MV * breath + ECG_NOISE_MV * noise(worn.seed, at.0 as u64);
    rounded(person.spec().r_peak_mv * heart * (1.0 - ECG_TURN * breath) + electrodes, 1000.0)
}

/// The pulse in the finger, 0 to 1: a systolic and a diastolic wave after each beat.
fn ppg(worn: &Worn, at: Timestamp, memory: &mut Memory) -> f64 {
    let (person, now) = (&worn.person, seconds(at) - PULSE_TRANSIT_S);
    let beats = memory.beats(person.rhythm());
    let last = beats.last_at(person.rhythm(), now);
    let mut sum = 0.0;
    for n in last - 1..=last {
        let from = beats.beat(person.rhythm(), n);
        let interval = beats.beat(person.rhythm(), n + 1) - from;
        // Widths go with the root of the interval, as those of the ECG.
        let (part, width) = ((now - from) / interval, 1.0 / interval.sqrt());
        for (centre, spread, height) in [(0.22, 0.085, 1.0), (0.5, 0.13, 0.42)] {
            let distance = (part - centre) / (spread * width.min(1.6));
            sum += height * exp(-0.5 * distance * distance);
        }
    }
    let breath = 0.06 * Breath::excursion(person.breath().phase(now));
    rounded(
        0.1 + 0.62 * sum * (1.0 - breath) + 0.03 * breath + 0.004 * noise(worn.seed, at.0 as u64),
        1e4,
    )
    .clamp(0.0, 1.0)
}

/// The chest belt, percent of its range.
fn respiration(worn: &Worn, at: Timestamp, _: &mut Memory) -> f64 {
    let belt = worn.person.breath().belt_percent(seconds(at));
    rounded((belt + 0.1 * noise(worn.seed, at.0 as u64)).clamp(50.0, 100.0), 100.0)
}

fn heart_rate(worn: &Worn, at: Timestamp, memory: &mut Memory) -> f64 {
    worn.person.heart_rate_bpm(at, memory)
}

fn spo2(worn: &Worn, at: Timestamp, _: &mut Memory) -> f64 {
    let slow = wave(seconds(at) / 47.0 + uniform(worn.person.seed(), 401, 0.0, 1.0));
    let value = worn.person.spec().spo2_percent + 0.5 * slow + 0.1 * noise(worn.seed, at.0 as u64);
    rounded(value.clamp(70.0, 100.0), 10.0)
}

/// mmHg. Systolic pressure rises by about 10 mmHg per MET while the diastolic stays (American
/// College of Sports Medicine); both fall asleep by a tenth (O'Brien 1988), follow the Mayer waves
/// at 0.1 Hz and, less, the breath.
fn blood_pressure(worn: &Worn, at: Timestamp, _: &mut Memory) -> [components::cell::Cell; 3] {
    let (person, now) = (&worn.person, seconds(at));
    let effort = person.spec().activity().met() - 1.3;
    let of_sitting = if effort < -0.32 { 0.9 } else { 1.0 };
    let mayer = wave(0.1 * now + uniform(person.seed(), 402, 0.0, 1.0));
    let slow = wave(now / 5400.0 + uniform(person.seed(), 403, 0.0, 1.0));
    let breath = Breath::excursion(person.breath().phase(now));
    let waves = 2.5 * mayer + 3.0 * slow - 1.2 * breath;
    let base = uniform(person.seed(), 404, 108.0, 130.0);
    let noisy = |n: u64| 0.6 * noise(worn.seed ^ n, at.0 as u64);
    let systolic = base * of_sitting + 9.0 * effort.max(0.0) + waves + noisy(1);
    let diastolic =
        (0.64 * base - 2.0) * of_sitting + 0.4 * effort.max(0.0) + 0.6 * waves + noisy(2);
    let mean = diastolic + (systolic - diastolic) / 3.0;
    [systolic, diastolic, mean].map(|value| cell(rounded(value, 1.0)))
}

const BEATS: (&str, (f64, f64)) = ("1/min", (15.0, 400.0));

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "ecg",
        AttributeType::Ecg,
        ("mV", (-3.0, 7.0)),
        (250.0, 1000.0),
        "McSharry, Clifford, Tarassenko, Smith 2003, IEEE Trans. Biomed. Eng. 50(3)",
        "One lead of the ECG, with its peaks at the person's beats.",
        |_, body, seed| number(Worn::new(body, seed), ecg),
    ),
    Model::new(
        "ppg",
        AttributeType::Numeric,
        ("", (0.0, 1.0)),
        (50.0, 200.0),
        "two Gaussians a beat: Tang et al. 2020, Sci. Rep. 10:13510; transit: Allen 2007",
        "The pulse in the finger, a fifth of a second behind the ECG.",
        |_, body, seed| number(Worn::new(body, seed), ppg),
    ),
    Model::new(
        "respiration",
        AttributeType::Respiration,
        ("%", (50.0, 100.0)),
        (25.0, 100.0),
        "reference/collab.md 21.4; in to out 1 to 1.4",
        "A chest belt, in percent of its range.",
        |_, body, seed| number(Worn::new(body, seed), respiration),
    ),
    Model::new(
        "heartrate",
        AttributeType::HeartRate,
        BEATS,
        (1.0, 10.0),
        "the mean of the last four intervals, as chest straps show it",
        "Beats per minute.",
        |_, body, seed| number(Worn::new(body, seed), heart_rate),
    ),
    Model::new(
        "hr",
        AttributeType::Hr,
        BEATS,
        (1.0, 10.0),
        "the mean of the last four intervals, as chest straps show it",
        "Beats per minute.",
        |_, body, seed| number(Worn::new(body, seed), heart_rate),
    ),
    Model::new(
        "hrv",
        AttributeType::Hrv,
        ("ms, ms", (0.0, 1000.0)),
        (0.2, 1.0),
        "Task Force of the ESC and NASPE 1996, over one minute",
        "RMSSD and SDNN of the last minute's beats.",
        |_, body, seed| {
            several(&HRV, Worn::new(body, seed), |worn, at, memory| {
                let hrv = worn.person.hrv(at, memory);
                [cell(hrv.rmssd), cell(hrv.sdnn)]
            })
        },
    ),
    Model::new(
        "spo2",
        AttributeType::SpO2,
        ("%", (70.0, 100.0)),
        (1.0, 10.0),
        "reference/collab.md 21.4",
        "Oxygen saturation.",
        |_, body, seed| number(Worn::new(body, seed), spo2),
    ),
    Model::new(
        "blood_pressure",
        AttributeType::Numeric,
        ("mmHg, mmHg, mmHg", (40.0, 260.0)),
        (1.0 / 60.0, 1.0),
        "American College of Sports Medicine: 10 mmHg per MET; O'Brien 1988: a tenth less asleep",
        "Systolic, diastolic and mean pressure of a cuff.",
        |_, body, seed| several(&BLOOD_PRESSURE, Worn::new(body, seed), blood_pressure),
    ),
];

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::sync::Arc;

    use super::super::{Body, Signal, model};
    use super::*;
    use crate::person::{ORIGIN_MS, Person, PersonSpec};
    use crate::signal::Given;
    use crate::spectrum;
    use components::sample::Payload;

    const NOW: i64 = ORIGIN_MS + 27_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp(NOW + ms)
    }

    fn body(seed: u64) -> Body {
        let person = Person::new(PersonSpec::drawn(seed), seed);
        Body { seed, person: Some(Arc::new(person)), position: None }
    }

    fn signal(name: &str, body: &Body) -> Box<dyn Signal> {
        model(name).unwrap().build(&Given::default(), body, 77)
    }

    fn number_of(signal: &dyn Signal, at: Timestamp, memory: &mut Memory) -> f64 {
        let mut value = f64::NAN;
        signal.measure(at, memory, &mut |payload| {
            if let Payload::Scalar(cell) = payload {
                value = cell.number().unwrap();
            }
        });
        value
    }

    #[test]
    fn the_peaks_of_the_ecg_are_the_beats() {
        for seed in 1..6 {
            let (body, mut memory) = (body(seed), Memory::default());
            let (person, signal) = (body.someone(), signal("ecg", &body));
            let ecg: Vec<f64> =
                (0..60_000).map(|ms| number_of(&*signal, at(ms), &mut memory)).collect();
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
    fn the_pulse_follows_each_beat_by_a_fraction_of_a_second() {
        let (body, mut memory) = (body(4), Memory::default());
        let (person, signal) = (body.someone(), signal("ppg", &body));
        let ppg: Vec<f64> =
            (0..6_000).map(|n| number_of(&*signal, at(n * 10), &mut memory)).collect();
        for beat in person.beats(at(2000), at(57_000)) {
            let from = ((beat - seconds(at(0))) * 100.0) as usize;
            let peak = (from..from + 75).max_by(|&a, &b| ppg[a].total_cmp(&ppg[b])).unwrap();
            assert!((25..60).contains(&(peak - from)), "{} ms", 10 * (peak - from));
        }
    }

    #[test]
    fn the_belt_shows_the_breathing_rate() {
        for seed in 1..6 {
            let (body, mut memory) = (body(seed), Memory::default());
            let (person, signal) = (body.someone(), signal("respiration", &body));
            let above: Vec<bool> =
                (0..36_000).map(|n| number_of(&*signal, at(n * 100), &mut memory) > 75.0).collect();
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

    /// The intervals between beats, at the time of the later, over so many seconds.
    fn intervals(person: &Person, seconds: i64) -> Vec<(f64, f64)> {
        let beats = person.beats(at(0), at(seconds * 1000));
        beats.windows(2).map(|pair| (pair[1], pair[1] - pair[0])).collect()
    }

    /// Task Force 1996 has the bands at 0.04 to 0.15 Hz and 0.15 to 0.4 Hz; McSharry 2003 puts
    /// the low bump at 0.1 Hz and the high one at the breath.
    #[test]
    fn the_spectrum_of_the_intervals_has_its_bumps_at_a_tenth_and_at_the_breath() {
        for seed in 1..6 {
            let mut spec = PersonSpec::drawn(seed);
            spec.set_number("breathing_rate", 15.0).unwrap();
            spec.set_number("lf_over_hf", 1.5).unwrap();
            spec.set_number("heart_rate", 66.0).unwrap();
            let person = Person::new(spec, seed);
            let tachogram = intervals(&person, 900);
            let power = spectrum::bands(&tachogram, 0.001, 0.5);
            let peak = |low: f64, high: f64| spectrum::peak(&power, low, high);
            assert!((peak(0.05, 0.15) - 0.1).abs() < 0.03, "{}", peak(0.05, 0.15));
            assert!((peak(0.15, 0.45) - 0.25).abs() < 0.03, "{}", peak(0.15, 0.45));
            let ratio = spectrum::sum(&power, 0.04, 0.15) / spectrum::sum(&power, 0.15, 0.4);
            assert!((0.9..2.4).contains(&ratio), "LF/HF of {ratio}, asked for 1.5");
        }
    }

    /// Respiratory sinus arrhythmia: at the rate of the breath, intervals and breath are one.
    #[test]
    fn the_beats_are_coherent_with_the_breath_and_not_with_anothers() {
        let (one, other) = (body(1).someone(), body(2).someone());
        // Over windows of two minutes, the cross spectrum at the breath in units of its parts.
        let coherence = |breath: &Person| {
            let (mut cross, mut own, mut theirs) = ((0.0, 0.0), 0.0, 0.0);
            let tachogram = intervals(&one, 3600);
            let mean = tachogram.iter().map(|&(_, rr)| rr).sum::<f64>() / tachogram.len() as f64;
            for window in tachogram.chunks(120) {
                let (mut a, mut b) = ((0.0, 0.0), (0.0, 0.0));
                for &(t, rr) in window {
                    let phase = TAU * one.breath().rate_hz() * t;
                    let (s, c) = crate::math::sin_cos(phase);
                    let belt = Breath::excursion(breath.breath().phase(t));
                    a = (a.0 + c * (rr - mean), a.1 + s * (rr - mean));
                    b = (b.0 + c * belt, b.1 + s * belt);
                }
                cross.0 += a.0 * b.0 + a.1 * b.1;
                cross.1 += a.1 * b.0 - a.0 * b.1;
                own += a.0 * a.0 + a.1 * a.1;
                theirs += b.0 * b.0 + b.1 * b.1;
            }
            (cross.0 * cross.0 + cross.1 * cross.1) / (own * theirs)
        };
        assert!(coherence(&one) > 0.8, "{}", coherence(&one));
        assert!(coherence(&other) < 0.3, "{}", coherence(&other));
    }

    #[test]
    fn pressure_rises_with_effort() {
        let systolic = |activity: &str| {
            let mut spec = PersonSpec::drawn(3);
            spec.set_word("activity", activity).unwrap();
            let person = Some(Arc::new(Person::new(spec, 3)));
            let worn = Worn::new(&Body { seed: 3, person, position: None }, 1);
            let mean = (0..60)
                .map(|n| {
                    blood_pressure(&worn, at(n * 60_000), &mut Memory::default())[0]
                        .number()
                        .unwrap()
                })
                .sum::<f64>();
            mean / 60.0
        };
        assert!(systolic("sleep") < systolic("sit") - 8.0);
        assert!(systolic("run") > systolic("sit") + 60.0 && systolic("run") < 230.0);
    }
}

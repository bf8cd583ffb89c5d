//! The muscles: what two electrodes on the skin of a calf pick up.

use std::f64::consts::PI;

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::motion::Motion;
use super::payload::number;
use super::{Memory, Model};
use crate::activity::Activity;
use crate::chance::{noise, uniform};
use crate::math::{cos, exp, minimum_jerk, rounded};
use crate::person::seconds;

/// The second half of an action potential as the electrodes see it, in steps of a millisecond; the
/// first is its mirror. A derivative of a Gaussian of 2 ms, of energy 1: summed over very many of
/// them, its spectrum has its peak at 1 / (2 pi 2 ms) = 80 Hz and its median at 87 Hz (surface
/// electrodes: 60 to 120 Hz, Stulen and De Luca 1981, IEEE Trans. Biomed. Eng. 28).
const ACTION_POTENTIAL: [f64; 6] =
    [0.331_444, 0.455_596, 0.365_795, 0.203_315, 0.082_508, 0.025_034];

/// Noise of skin and amplifier, mV rms.
const BASELINE_MV: f64 = 0.003;

/// Who takes no steps tenses the muscle once in this many seconds, for 1 to 3 s.
const CONTRACTION_EVERY_S: f64 = 20.0;
const CONTRACTION_S_MAX: f64 = 3.0;
/// How long a contraction takes to come, and to go.
const RAMP_S: f64 = 0.25;

/// Where in a stride of two steps the calf pushes off, and for how much of it, as the standard
/// deviation of the burst (Winter 1991, "Biomechanics and Motor Control of Human Gait").
const PUSH_OFF: f64 = 0.4;
const PUSH_OFF_SPREAD: f64 = 0.07;

/// One channel in mV, in steps of 0.1 µV: a noise of action potentials, the louder the harder the
/// muscle works (De Luca 1979, IEEE Trans. Biomed. Eng. 26).
fn emg(motion: &Motion, at: Timestamp, _: &mut Memory) -> f64 {
    let effort_mv = effort_mv(motion, seconds(at));
    let drawn = |ms: i64| noise(motion.seed(), (at.0 + ms) as u64);
    let potentials = ACTION_POTENTIAL.iter().zip(1..);
    let activity: f64 = potentials.map(|(part, ms)| part * (drawn(ms) - drawn(-ms))).sum();
    let baseline = BASELINE_MV * noise(motion.seed() ^ 0xe36, at.0 as u64);
    rounded(effort_mv * activity + baseline, 10_000.0)
}

/// How loud it is, mV rms.
fn effort_mv(motion: &Motion, now: f64) -> f64 {
    let person = motion.person();
    let spec = person.spec();
    let lively = spec.activity_level / 0.5;
    let burst_mv = match spec.activity() {
        Activity::Sleep => return 0.0,
        Activity::Walk => 0.2,
        Activity::Cycle => 0.15,
        Activity::Run => 0.4,
        Activity::Rest | Activity::Sit | Activity::Stand => {
            let tone_mv = if spec.activity() == Activity::Stand { 0.015 } else { 0.0 };
            return tone_mv + lively * contraction_mv(person.seed(), now);
        }
    };
    // A bump that comes once a stride: near its middle a Gaussian, and the same in every stride.
    let stride = 0.5 * motion.steps(now);
    let sharpness = 1.0 / (PI * PUSH_OFF_SPREAD);
    let away = 0.5 * (1.0 - cos(2.0 * PI * (stride - stride.floor() - PUSH_OFF)));
    lively * burst_mv * exp(-0.5 * sharpness * sharpness * away)
}

/// Slot `k` of time holds one contraction, somewhere.
fn contraction_mv(seed: u64, now: f64) -> f64 {
    let slot = (now / CONTRACTION_EVERY_S).floor();
    let n = slot as i64 as u64;
    let begins = slot * CONTRACTION_EVERY_S
        + uniform(seed ^ 0xe37, n, 0.0, CONTRACTION_EVERY_S - CONTRACTION_S_MAX);
    let ends = begins + uniform(seed ^ 0xe38, n, 1.0, CONTRACTION_S_MAX);
    let part = minimum_jerk((now - begins) / RAMP_S).min(minimum_jerk((ends - now) / RAMP_S));
    uniform(seed ^ 0xe39, n, 0.05, 0.3) * part
}

pub(super) const MODELS: &[Model] = &[Model::new(
    "emg",
    AttributeType::Numeric,
    ("mV", (-10.0, 10.0)),
    (500.0, 1000.0),
    "De Luca 1979; spectrum: Stulen and De Luca 1981; push-off: Winter 1991",
    "The EMG of a calf: a burst with every other step, or a contraction now and then.",
    |_, body, seed| number(Motion::new(body, seed), emg),
)];

#[cfg(test)]
mod tests {
    use super::super::Body;
    use super::*;
    use crate::person::{ORIGIN_MS, Person, PersonSpec};
    use crate::spectrum;
    use std::sync::Arc;

    fn doing(activity: &str) -> Motion {
        let mut spec = PersonSpec::drawn(6);
        spec.set_word("activity", activity).unwrap();
        let person = Some(Arc::new(Person::new(spec, 6)));
        Motion::new(&Body { seed: 6, person, position: None }, 1)
    }

    /// (seconds, mV) at 1000 Hz.
    fn measured(motion: &Motion, from_ms: i64, count: i64) -> Vec<(f64, f64)> {
        let at = |ms: i64| Timestamp(ORIGIN_MS + from_ms + ms);
        let value = |at| (seconds(at), emg(motion, at, &mut Memory::default()));
        (0..count).map(|ms| value(at(ms))).collect()
    }

    fn rms(samples: &[(f64, f64)]) -> f64 {
        (samples.iter().map(|(_, mv)| mv * mv).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn the_spectrum_is_that_of_surface_electrodes() {
        let samples = measured(&doing("run"), 0, 8_000);
        let bands = spectrum::bands(&samples, 2.0, 500.0);
        let all = spectrum::sum(&bands, 0.0, 500.0);
        let below = |hz: f64| spectrum::sum(&bands, 0.0, hz) / all;
        assert!(below(75.0) < 0.5 && below(100.0) > 0.5, "half is at {}", below(87.0));
        assert!(below(20.0) < 0.06, "{} below 20 Hz", below(20.0));
        assert!(below(250.0) > 0.98, "{} below 250 Hz", below(250.0));
    }

    #[test]
    fn a_walkers_calf_pushes_off_once_a_stride_and_is_silent_between() {
        let motion = doing("walk");
        let mut by_phase = [const { Vec::new() }; 10];
        for sample in measured(&motion, 0, 60_000) {
            let stride = 0.5 * motion.steps(sample.0);
            by_phase[(10.0 * (stride - stride.floor())) as usize].push(sample);
        }
        let loud: Vec<f64> = by_phase.iter().map(|samples| rms(samples)).collect();
        assert!(loud[3] > 0.1 && loud[4] > 0.1, "{loud:?}");
        assert!(loud[8] < 0.01 && loud[9] < 0.01 && loud[0] < 0.01, "{loud:?}");
        // As hard as the steps that the accelerometer on the same body feels.
        assert!(
            rms(&measured(&doing("run"), 0, 20_000)) > 1.5 * rms(&measured(&motion, 0, 20_000))
        );
    }

    #[test]
    fn who_sits_tenses_it_now_and_then_and_who_sleeps_never() {
        let seconds_of = |activity: &str| -> Vec<f64> {
            let motion = doing(activity);
            (0..200).map(|second| rms(&measured(&motion, second * 1000, 1000))).collect()
        };
        let sitting = seconds_of("sit");
        let tense = sitting.iter().filter(|mv| **mv > 0.02).count();
        assert!((10..=50).contains(&tense), "{tense} of 200 s, once in 20 s for 1 to 3 s");
        let calm = sitting.iter().filter(|mv| **mv < 2.0 * BASELINE_MV).count();
        assert!(calm > 140, "{calm} of 200 s");
        assert!(seconds_of("sleep").iter().all(|mv| *mv < 2.0 * BASELINE_MV));
    }
}

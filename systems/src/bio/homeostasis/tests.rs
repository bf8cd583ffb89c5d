use proptest::prelude::*;

use super::*;
use crate::conduct::judge::{MEAN_BANDS, WORST_BANDS};

const GOAL: Goal = Goal { age_p99_ms: 150.0, drop_share: 0.001 };

fn outcome(age_p99_ms: f64, drop_share: f64, throttled: bool) -> Outcome {
    Outcome { age_p99_ms, drop_share, throttled }
}

fn after(tuner: &mut Tuner, outcome: Outcome, seconds: u32) -> f64 {
    (0..seconds * 4).fold(tuner.offset(), |_, _| tuner.step(&GOAL, &outcome, 0.25))
}

/// The original's idle machine lowered its thresholds until it throttled a fifth of the time.
#[test]
fn an_idle_machine_is_left_alone() {
    let mut tuner = Tuner::default();
    assert_eq!(after(&mut tuner, outcome(3.0, 0.0, false), 100_000), 0.0);
}

#[test]
fn late_or_lossy_delivery_lowers_the_thresholds_within_seconds() {
    for missed in [outcome(400.0, 0.0, true), outcome(20.0, 0.01, true), outcome(300.0, 0.0, false)]
    {
        let mut tuner = Tuner::default();
        let soon = after(&mut tuner, missed, 10);
        assert!(soon < -0.03, "{missed:?}: {soon}");
        assert!((after(&mut tuner, missed, 60) + OFFSET_MAX).abs() < 1e-12, "{tuner:?}");
        assert!(tuner.is_saturated());
    }
}

#[test]
fn what_is_set_is_the_most_even_where_all_is_well() {
    let mut tuner = Tuner::default();
    assert_eq!(after(&mut tuner, outcome(1.0, 0.0, true), 10_000), 0.0);
}

#[test]
fn at_the_goal_they_rest() {
    let mut tuner = Tuner::default();
    after(&mut tuner, outcome(300.0, 0.0, true), 8);
    // The smoothed error must first come down from before.
    after(&mut tuner, outcome(135.0, 0.0, true), 60);
    let before = tuner.offset();
    assert!(before < -0.01, "{before}");
    assert_eq!(after(&mut tuner, outcome(135.0, 0.0, true), 600), before);
}

#[test]
fn they_return_when_the_trouble_is_over() {
    let mut tuner = Tuner::default();
    after(&mut tuner, outcome(1000.0, 0.1, true), 600);
    let idle = outcome(5.0, 0.0, false);
    assert!(after(&mut tuner, idle, 180) > -0.01, "{tuner:?}");
    // Slowly while somebody is throttled, as that may be why all is well.
    after(&mut tuner, outcome(1000.0, 0.1, true), 600);
    let still = after(&mut tuner, outcome(5.0, 0.0, true), 180);
    assert!((-0.05..-0.03).contains(&still), "{tuner:?}");
    assert!(after(&mut tuner, outcome(5.0, 0.0, true), 3600) > -0.001, "{tuner:?}");
}

/// Without anti-windup an hour of overload would take an hour to unlearn.
#[test]
fn an_hour_at_the_bound_is_unlearnt_as_fast_as_a_minute() {
    let release = |seconds: u32| {
        let mut tuner = Tuner::default();
        after(&mut tuner, outcome(1e6, 1.0, true), seconds);
        (1..1000).find(|_| after(&mut tuner, outcome(5.0, 0.0, false), 1) > -0.05).unwrap()
    };
    assert_eq!(release(60), release(3600));
    assert!(release(3600) < 60, "{} s", release(3600));
}

#[test]
fn what_is_no_number_changes_nothing() {
    let mut tuner = Tuner::default();
    after(&mut tuner, outcome(300.0, 0.0, true), 5);
    let before = tuner;
    tuner.step(&GOAL, &outcome(f64::NAN, f64::NAN, true), 1.0);
    tuner.step(&GOAL, &outcome(500.0, 0.0, true), f64::NAN);
    tuner.step(&GOAL, &outcome(500.0, 0.0, true), -1.0);
    assert_eq!(tuner, before);
    // One figure is enough.
    tuner.step(&GOAL, &outcome(f64::NAN, 0.5, true), 1.0);
    assert!(tuner.offset() < before.offset());
}

/// Twenty minutes of a machine whose age of delivery rises with how much of it is used (it can take
/// 0.7, which is less than its thresholds were set for), and whose load levels, with bands and a
/// dwell of two seconds, each take something from what is asked of it: 0.2, and `load` after a
/// minute. How often the level changed, and in which part of the time after three minutes the goal
/// was missed.
fn lived(load: f64, tuned: bool) -> (usize, f64) {
    let mut tuner = Tuner::default();
    let (mut level, mut since_s, mut used) = (0usize, 0.0, 0.0f64);
    let (mut changes, mut late) = (0, 0.0);
    for quarter in 0..4 * 1200 {
        let asked = if quarter < 4 * 60 { 0.2 } else { load };
        used += 0.3 * (asked * [1.0, 0.92, 0.85, 0.78][level] - used);
        let age_ms = 20.0 / (1.0 - (used / 0.7).min(0.97));
        let outcome = outcome(age_ms, 0.0, level > 0);
        let offset = if tuned { tuner.step(&GOAL, &outcome, 0.25) } else { 0.0 };
        since_s += 0.25;
        if since_s >= 2.0 {
            let up = level < 3 && used >= MEAN_BANDS[level].enter + offset;
            let down = level > 0 && used < MEAN_BANDS[level - 1].exit + offset;
            if up || down {
                level = if up { level + 1 } else { level - 1 };
                since_s = 0.0;
                changes += 1;
            }
        }
        if quarter >= 4 * 180 && age_ms > GOAL.age_p99_ms {
            late += 1.0 / (4.0 * 1020.0);
        }
    }
    (changes, late)
}

#[test]
fn thresholds_that_were_set_too_high_are_found_out_and_nothing_swings() {
    for load in [0.2, 0.5, 0.6, 0.65] {
        assert_eq!(lived(load, true), lived(load, false), "{load}: nothing was to be done");
    }
    for load in [0.69, 0.7] {
        let ((_, late), (changes, tuned)) = (lived(load, false), lived(load, true));
        assert!(late > 0.99, "{load}: late in {late} of the time as set");
        assert!(tuned == 0.0 && changes <= 3, "{load}: {tuned}, {changes} changes");
    }
    for percent in 20..120 {
        let (changes, _) = lived(f64::from(percent) / 100.0, true);
        assert!(changes <= 16, "{percent} %: {changes} changes");
    }
}

proptest! {
    #[test]
    fn thresholds_keep_their_order_whatever_happens(
        outcomes in prop::collection::vec(
            (0.0..2000.0f64, 0.0..1.0f64, any::<bool>(), 0.0..100.0f64), 0..200,
        ),
    ) {
        let mut tuner = Tuner::default();
        for (age, drop, throttled, seconds) in outcomes {
            let offset = tuner.step(&GOAL, &outcome(age, drop, throttled), seconds);
            prop_assert!((-OFFSET_MAX..=0.0).contains(&offset), "{offset}");
            for bands in [WORST_BANDS, MEAN_BANDS] {
                let moved = bands.map(|band| (band.enter + offset, band.exit + offset));
                prop_assert!(moved.iter().all(|(enter, exit)| 0.0 < *exit && exit < enter));
                prop_assert!(moved.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{moved:?}");
            }
        }
    }
}

#[test]
fn a_tuner_goes_on_from_its_bytes() {
    let mut tuner = Tuner::default();
    after(&mut tuner, outcome(300.0, 0.0, true), 7);
    let mut out = Writer::behind(0);
    tuner.write(&mut out);
    assert_eq!(Tuner::read(&mut Reader::new(&out.out)), Ok(tuner));
    let mut beyond = Writer::behind(0);
    Tuner { integral: 0.3, ..tuner }.write(&mut beyond);
    assert!(Tuner::read(&mut Reader::new(&beyond.out)).is_err());
}

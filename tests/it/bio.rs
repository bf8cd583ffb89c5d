//! The biological layer from outside: what it notices and learns, and that it only advises.

use components::command::Command;
use components::delivery::{Form, Notice};
use components::id::ViewerId;
use components::load::LoadLevel;
use components::pressure::{Pressures, Resource};
use components::viewer::{Quality, QualityChoice};
use tests::{Lab, TICK_MS};

/// A room's temperature, ten times a second: a little noise about 20 degrees, which is a hash of the
/// time, so that it is the same each time.
fn temperature(at_ms: u64) -> f64 {
    let mut hash = (at_ms / 100 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)) >> 40;
    20.0 + (hash as f64 / (1u64 << 24) as f64 - 0.5) * 0.2
}

fn live(lab: &mut Lab, ms: u64, value: impl Fn(u64) -> f64) {
    let viewers: Vec<ViewerId> = lab.received.keys().copied().collect();
    for _ in 0..ms / TICK_MS {
        let now = lab.now_ms();
        if now.is_multiple_of(10_000) {
            viewers.iter().for_each(|viewer| lab.command(Command::Renew { viewer: *viewer }));
        }
        if now.is_multiple_of(100) {
            lab.send("room", "temperature", now as i64, &format!("{:.4}", value(now)));
        }
        lab.tick();
    }
}

fn novelties(lab: &Lab) -> usize {
    lab.notices.iter().filter(|notice| matches!(notice, Notice::Novelty { .. })).count()
}

#[test]
fn what_is_unlike_its_past_is_told_once_and_delivered_whole_for_a_while() {
    let mut lab = Lab::new();
    lab.join("room");
    let viewer = lab.watch(&["room"], Quality::Minimal);
    live(&mut lab, 120_000, temperature);
    assert_eq!(novelties(&lab), 0, "noise is nothing new");
    lab.take(viewer);
    let spike_at = lab.now_ms() + 1_000;
    live(&mut lab, 5_000, |at| {
        if (spike_at..spike_at + 300).contains(&at) { 35.0 } else { temperature(at) }
    });
    assert_eq!(novelties(&lab), 1);
    let told = lab.notices.iter().find_map(|notice| match notice {
        Notice::Novelty { sensor_id, z, boost_ms, .. } => Some((sensor_id, *z, *boost_ms)),
        _ => None,
    });
    let (sensor_id, z, boost_ms) = told.unwrap();
    assert!(&**sensor_id == "room" && z > 3.0 && (10_000..=60_000).contains(&boost_ms));
    let forms: Vec<Form> = lab.take(viewer).iter().map(|slice| slice.form).collect();
    assert_eq!(forms.first(), Some(&Form::Digest), "figures, at this quality");
    assert_eq!(forms.last(), Some(&Form::Raw), "but now every sample");
    live(&mut lab, 70_000, temperature);
    assert_eq!(novelties(&lab), 1, "it is reported once");
    let forms: Vec<Form> = lab.take(viewer).iter().map(|slice| slice.form).collect();
    assert_eq!(forms.last(), Some(&Form::Digest), "and attention goes back to where it was");
}

#[test]
fn nobody_watches_nothing_is_noticed() {
    let mut lab = Lab::new();
    lab.join("room");
    live(&mut lab, 60_000, temperature);
    live(&mut lab, 1_000, |_| 90.0);
    assert_eq!(novelties(&lab), 0);
}

fn press(lab: &mut Lab, seconds: u64, used: f32, age_p99_ms: f32) {
    for _ in 0..seconds * 4 {
        let pressures = Pressures {
            age_p99_ms: Some(age_p99_ms),
            unix_ms: lab.now_ms() as i64,
            ..Pressures::default()
        };
        lab.press(pressures.with(Resource::Tick, used));
        lab.pass(252);
    }
}

/// What viewers notice is the goal: while deliveries are late the levels come earlier, and when
/// all is well an idle machine throttles nobody (`reference/core.md` W29).
#[test]
fn late_deliveries_bring_the_levels_earlier_and_good_ones_do_not() {
    let mut lab = Lab::new();
    lab.watch_all(QualityChoice::Auto);
    press(&mut lab, 120, 0.65, 40.0);
    let level = |lab: &mut Lab| lab.engine.figures().judgement.load.level;
    assert_eq!(level(&mut lab), LoadLevel::Normal);
    assert_eq!(lab.engine.figures().bands.offset, 0.0, "nothing to mend");
    press(&mut lab, 300, 0.65, 600.0);
    let figures = lab.engine.figures();
    assert!((-0.10..-0.04).contains(&figures.bands.offset), "{}", figures.bands.offset);
    assert_eq!(figures.judgement.load.level, LoadLevel::Elevated);
    press(&mut lab, 3_600, 0.3, 20.0);
    let figures = lab.engine.figures();
    assert!(figures.bands.offset.abs() < 0.01, "{}", figures.bands.offset);
    assert_eq!(figures.judgement.load.level, LoadLevel::Normal);
}

#[test]
fn what_was_learnt_outlives_a_snapshot() {
    let mut lab = Lab::new();
    for sensor in ["a", "b"] {
        lab.join(sensor);
    }
    press(&mut lab, 10, 0.2, 600.0);
    let viewer = lab.watch_all(QualityChoice::Auto);
    lab.attend(viewer, tests::visible(&["a", "b"]));
    lab.run(100);
    let before = lab.engine.figures().bio;
    assert_eq!((before.known, before.pairs > 0), (2, true), "{before:?}");
    lab.be_reborn();
    let after = lab.engine.figures().bio;
    assert_eq!(
        (after.known, after.pairs, after.offset),
        (before.known, before.pairs, before.offset)
    );
}

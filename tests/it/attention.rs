//! Attention is state: W1 to W6 of `reference/core.md`, and what follows from them.

use components::attention::{Battery, Level};
use components::command::{Attention, Command, SensorSet};
use components::delivery::{Notice, ViewerEnd};
use components::viewer::Quality;
use proptest::prelude::*;
use tests::{Lab, attribute_target, target, visible};

/// W1. In the original a sensor that starts while somebody watches stays dark, because it learns
/// its attention only from change messages.
#[test]
fn a_sensor_that_restarts_while_watched_is_seen_at_its_first_flush() {
    let mut lab = Lab::new();
    lab.join("ada:ecg");
    let viewer = lab.watch(&["ada:ecg"], Quality::High);
    lab.send("ada:ecg", "ecg", 1, "1");
    lab.run(64);
    lab.leave("ada:ecg");
    lab.pass(6_000);
    assert!(lab.notices.iter().any(|n| matches!(n, Notice::SensorGone { .. })), "it is gone");
    lab.take(viewer);

    let feed = lab.join("ada:ecg");
    lab.send("ada:ecg", "ecg", 2, "2");
    lab.tick();
    assert_eq!(lab.pacing(feed).unwrap().level, Level::Medium, "the device hears it as it joins");
    assert_eq!(lab.level("ada:ecg"), Level::Medium);
    lab.run(32);
    assert_eq!(lab.take_values(viewer, "ada:ecg", "ecg"), ["2"]);
}

/// W2. In the original a focus without a hover left the sensor high for half an hour.
#[test]
fn what_is_registered_and_unregistered_leaves_the_level_as_it_was() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.tick();
    assert_eq!(lab.level("s"), Level::Medium);
    for attention in [
        Attention { hovered: vec![target("s")], ..Attention::default() },
        Attention { focused: vec![target("s")], ..Attention::default() },
        Attention { pinned: vec![target("s")], ..Attention::default() },
        Attention { focused: vec![attribute_target("s", "ecg")], ..Attention::default() },
    ] {
        lab.attend(viewer, attention);
        lab.tick();
        assert_eq!(lab.level("s"), Level::High);
        assert_eq!(lab.pacing(feed).unwrap().level, Level::High);
        lab.attend(viewer, Attention::default());
        lab.tick();
        assert_eq!(lab.level("s"), Level::Medium);
        assert_eq!(lab.pacing(feed).unwrap().level, Level::Medium);
    }
    lab.attend(viewer, visible(&[]));
    lab.tick();
    assert_eq!(lab.level("s"), Level::None);
}

/// W3. The cap is on the viewer's own claims: one dying phone does not slow everybody.
#[test]
fn a_low_battery_caps_its_own_viewer_and_nobody_else() {
    let mut lab = Lab::new();
    lab.join("s");
    let phone = lab.watch(&["s"], Quality::High);
    let focus = |battery| Attention { focused: vec![target("s")], battery, ..Attention::default() };
    for (battery, level) in [
        (Battery::Normal, Level::High),
        (Battery::Low, Level::Medium),
        (Battery::Critical, Level::Low),
    ] {
        lab.attend(phone, focus(battery));
        lab.tick();
        assert_eq!(lab.level("s"), level, "{battery:?}");
    }
    let desk = lab.watch(&["s"], Quality::High);
    lab.attend(desk, focus(Battery::Normal));
    lab.tick();
    assert_eq!(lab.level("s"), Level::High, "the phone holds nobody down");
}

/// W4. Expiry is the same transition as leaving: announced, to the device as well.
#[test]
fn a_lease_that_runs_out_is_announced_like_a_viewer_that_leaves() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.attend(viewer, Attention { pinned: vec![target("s")], ..Attention::default() });
    lab.tick();
    assert_eq!(lab.level("s"), Level::High);
    lab.pass(91_000);
    assert_eq!(lab.level("s"), Level::None);
    assert_eq!(lab.pacing(feed).unwrap().level, Level::None);
    assert!(lab.notices.iter().any(|notice| {
        matches!(notice, Notice::ViewerClosed { viewer: v, why: ViewerEnd::LeaseOver } if *v == viewer)
    }));
}

/// W5. In the original whoever watched without touching anything lost the claim after 30 minutes,
/// or after 30 seconds when the system was busiest.
#[test]
fn a_viewer_whose_connection_lives_keeps_its_claims_for_hours() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::Minimal);
    lab.tick();
    for _ in 0..60 {
        lab.pass(60_000);
        lab.command(Command::Renew { viewer });
        assert_eq!(lab.level("s"), Level::Medium);
    }
}

/// W6. In the original a closed laptop kept its sensors at medium for half an hour.
#[test]
fn claims_go_with_their_viewer() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.tick();
    lab.command(Command::CloseViewer { viewer });
    lab.tick();
    assert_eq!(lab.level("s"), Level::None);
    assert!(
        lab.notices.iter().any(|n| matches!(n, Notice::ViewerClosed { why: ViewerEnd::Left, .. }))
    );
}

#[test]
fn a_hidden_tab_claims_and_receives_nothing_but_its_pins_still_claim() {
    let mut lab = Lab::new();
    lab.join("a");
    lab.join("b");
    let viewer = lab.watch(&["a", "b"], Quality::High);
    lab.attend(
        viewer,
        Attention { hidden: true, pinned: vec![target("b")], ..Attention::default() },
    );
    lab.tick();
    assert_eq!((lab.level("a"), lab.level("b")), (Level::None, Level::High));
    lab.send("b", "ecg", 1, "1");
    lab.settle();
    assert_eq!(lab.take(viewer), []);
    lab.attend(viewer, Attention::default());
    lab.settle();
    assert_eq!(lab.take_values(viewer, "b", "ecg"), ["1"], "and what it missed awaits its return");
}

#[test]
fn a_viewer_claims_nothing_outside_its_lens() {
    let mut lab = Lab::new();
    lab.join("mine");
    lab.join("yours");
    let viewer = lab.watch(&["mine"], Quality::High);
    lab.attend(viewer, Attention { focused: vec![target("yours")], ..visible(&["mine", "yours"]) });
    lab.send("yours", "ecg", 1, "1");
    lab.settle();
    assert_eq!((lab.level("mine"), lab.level("yours")), (Level::Medium, Level::None));
    assert_eq!(lab.take(viewer), []);
}

#[test]
fn a_thousand_sensors_are_registered_with_one_command_and_announced_once_each() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
    for id in &ids {
        lab.join(id);
    }
    lab.tick();
    lab.notices.clear();
    let viewer = lab.watch(&[], Quality::High);
    lab.command(Command::SetSensors {
        viewer,
        sensors: SensorSet::Ids(ids.iter().map(|id| id.as_str().into()).collect()),
    });
    lab.tick();
    let changes = lab.notices.iter().filter(|n| matches!(n, Notice::LevelChanged { .. })).count();
    assert_eq!(changes, 1000);
    lab.notices.clear();
    lab.tick();
    assert!(lab.notices.is_empty(), "and nothing is said again: {:?}", lab.notices.first());
}

#[derive(Debug, Clone)]
enum Act {
    Attend { viewer: usize, attention: Attention },
    Lens { viewer: usize, all: bool },
    Pause { viewer: usize, paused: bool },
    Close { viewer: usize },
    Leave { sensor: usize },
    Join { sensor: usize },
    Send { sensor: usize },
    Wait,
}

const SENSORS: [&str; 4] = ["a", "b", "c", "d"];

fn attention() -> impl Strategy<Value = Attention> {
    let some = || prop::collection::vec(prop::sample::select(&SENSORS[..]), 0..3);
    let battery = prop::sample::select(&[Battery::Normal, Battery::Low, Battery::Critical][..]);
    (prop::option::of(some()), some(), some(), some(), any::<bool>(), battery).prop_map(
        |(visible, hovered, focused, pinned, hidden, battery)| Attention {
            visible: visible.map(|ids| ids.into_iter().map(Into::into).collect()),
            hovered: hovered.into_iter().map(target).collect(),
            focused: focused.into_iter().map(|id| attribute_target(id, "ecg")).collect(),
            pinned: pinned.into_iter().map(target).collect(),
            hidden,
            battery,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3usize, attention()).prop_map(|(viewer, attention)| Act::Attend { viewer, attention }),
        1 => (0..3usize, any::<bool>()).prop_map(|(viewer, all)| Act::Lens { viewer, all }),
        1 => (0..3usize, any::<bool>()).prop_map(|(viewer, paused)| Act::Pause { viewer, paused }),
        1 => (0..3usize).prop_map(|viewer| Act::Close { viewer }),
        1 => (0..4usize).prop_map(|sensor| Act::Leave { sensor }),
        2 => (0..4usize).prop_map(|sensor| Act::Join { sensor }),
        4 => (0..4usize).prop_map(|sensor| Act::Send { sensor }),
        2 => Just(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The lab audits after every tick: levels equal the maximum of live claims, recomputed from
    /// the viewers' own words; both ledgers balance; nothing is leaked. Here it does so through
    /// everything that can happen, in any order.
    #[test]
    fn whatever_happens_the_books_balance_and_levels_are_the_maximum(acts in prop::collection::vec(act(), 1..60)) {
        let mut lab = Lab::new();
        let mut viewers: Vec<_> = (0..3).map(|_| Some(lab.watch(&SENSORS, Quality::High))).collect();
        let mut joined = [false; 4];
        let mut n = 0;
        for act in acts {
            match act {
                Act::Attend { viewer, attention } => {
                    if let Some(viewer) = viewers[viewer] {
                        lab.attend(viewer, attention);
                    }
                }
                Act::Lens { viewer, all } => {
                    if let Some(viewer) = viewers[viewer] {
                        let sensors = if all { SensorSet::All } else { SensorSet::Ids(vec!["b".into(), "z".into()]) };
                        lab.command(Command::SetSensors { viewer, sensors });
                    }
                }
                Act::Pause { viewer, paused } => {
                    if let Some(viewer) = viewers[viewer] {
                        let quality = if paused { Quality::Paused } else { Quality::Low };
                        lab.command(Command::SetQuality { viewer, quality: quality.into() });
                    }
                }
                Act::Close { viewer } => {
                    if let Some(viewer) = viewers[viewer].take() {
                        lab.command(Command::CloseViewer { viewer });
                    }
                }
                Act::Leave { sensor } => {
                    if std::mem::take(&mut joined[sensor]) {
                        lab.leave(SENSORS[sensor]);
                    }
                }
                Act::Join { sensor } => {
                    if !std::mem::replace(&mut joined[sensor], true) {
                        lab.join(SENSORS[sensor]);
                    }
                }
                Act::Send { sensor } => {
                    if joined[sensor] {
                        for _ in 0..30 {
                            n += 1;
                            lab.send(SENSORS[sensor], "ecg", n, &n.to_string());
                        }
                        lab.send(SENSORS[sensor], "temperature", n, "20.5");
                    }
                }
                Act::Wait => lab.pass(3_000),
            }
            lab.tick();
        }
        lab.pass(8_000);
        lab.settle();
    }
}

//! Sensors come, stay while they are held, linger, and go; whoever may not, is told why.

use components::attribute::AttributeType;
use components::cell::Cell;
use components::command::Command;
use components::delivery::{Notice, Refusal};
use components::id::FeedId;
use components::ledger::Reason;
use components::sample::Payload;
use components::viewer::Quality;
use engine::{EngineConfig, Settings};
use tests::Lab;

fn refusal(lab: &Lab, feed: FeedId) -> Option<Refusal> {
    lab.notices.iter().find_map(|notice| match notice {
        Notice::FeedRefused { feed: f, refusal } if *f == feed => Some(*refusal),
        _ => None,
    })
}

fn is_gone(lab: &Lab, sensor: &str) -> bool {
    lab.notices
        .iter()
        .any(|n| matches!(n, Notice::SensorGone { sensor_id } if &**sensor_id == sensor))
}

#[test]
fn a_sensor_lingers_after_its_device_and_is_found_again() {
    let mut lab = Lab::new();
    lab.join("s");
    lab.send("s", "ecg", 1, "1");
    lab.tick();
    lab.leave("s");
    lab.pass(4_000);
    assert!(!is_gone(&lab, "s"));
    lab.join("s");
    lab.pass(10_000);
    assert!(!is_gone(&lab, "s"), "the device that returned holds it");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.run(32);
    assert_eq!(lab.take_values(viewer, "s", "ecg"), ["1"], "with its past");
    lab.leave("s");
    lab.pass(5_004);
    assert!(is_gone(&lab, "s"));
    let store = lab.audit().store;
    assert_eq!((store.kept, store.dropped(Reason::SensorGone)), (0, 1));
}

#[test]
fn two_devices_on_one_sensor_feed_it_until_the_last_has_left() {
    let mut lab = Lab::new();
    let first = lab.join("s");
    lab.tick();
    lab.join("s");
    lab.tick();
    lab.command(Command::CloseFeed { feed: first });
    lab.pass(20_000);
    assert!(!is_gone(&lab, "s"));
    assert!(lab.notices.iter().any(|n| matches!(n, Notice::FeedClosed { feed } if *feed == first)));
    lab.send("s", "ecg", 1, "1");
    lab.tick();
    assert_eq!(lab.audit().store.kept, 1);
    lab.leave("s");
    lab.pass(6_000);
    assert!(is_gone(&lab, "s"));
}

fn closings(lab: &Lab, feed: FeedId) -> usize {
    let closed = |n: &&Notice| matches!(n, Notice::FeedClosed { feed: f } if *f == feed);
    lab.notices.iter().filter(closed).count()
}

#[test]
fn a_retired_feed_takes_its_sensor_along_in_the_same_tick() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.send("s", "ecg", 1, "1");
    lab.run(64);
    assert_eq!(lab.take_values(viewer, "s", "ecg"), ["1"]);
    lab.send("s", "ecg", 2, "2");
    lab.command(Command::Retire { feed });
    lab.command(Command::Retire { feed });
    lab.command(Command::CloseFeed { feed });
    lab.tick();
    assert!(is_gone(&lab, "s"));
    assert_eq!(closings(&lab, feed), 1);
    assert_eq!(lab.engine.report().sensor_count, 0);
    let audit = lab.audit();
    assert_eq!((audit.store.received, audit.store.dropped(Reason::SensorGone)), (2, 2));
    assert_eq!((audit.lens.delivered, audit.lens.dropped(Reason::SensorGone)), (1, 1));
    // Whoever joins next begins anew.
    lab.join("s");
    lab.send("s", "ecg", 3, "3");
    lab.run(64);
    assert_eq!(lab.take_values(viewer, "s", "ecg"), ["3"]);
    assert_eq!(closings(&lab, feed), 1);
}

#[test]
fn a_sensor_stays_while_another_feed_holds_it_and_goes_with_the_last_even_if_it_was_closing() {
    let mut lab = Lab::new();
    let first = lab.join("s");
    let second = lab.join("s");
    lab.send("s", "ecg", 1, "1");
    lab.tick();
    lab.command(Command::Retire { feed: first });
    lab.tick();
    assert_eq!((closings(&lab, first), is_gone(&lab, "s")), (1, false));
    lab.command(Command::CloseFeed { feed: second });
    lab.tick();
    assert!(!is_gone(&lab, "s"), "it lingers");
    lab.command(Command::Retire { feed: second });
    lab.tick();
    assert!(is_gone(&lab, "s"));
    lab.pass(20_000);
    assert_eq!(closings(&lab, second), 1, "and is not closed again when the linger would end");
}

#[test]
fn a_feed_that_lingers_ends_in_its_time_though_its_sensor_was_retired_by_another() {
    let mut lab = Lab::new();
    let first = lab.join("s");
    lab.tick();
    lab.command(Command::CloseFeed { feed: first });
    let second = lab.join("s");
    lab.tick();
    lab.command(Command::Retire { feed: second });
    lab.tick();
    assert!(is_gone(&lab, "s"));
    lab.command(Command::CloseFeed { feed: first });
    lab.pass(20_000);
    assert_eq!((closings(&lab, first), closings(&lab, second)), (1, 1));
}

#[test]
fn what_a_device_sent_right_before_it_left_still_arrives() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.tick();
    // Sent, then left, in one tick: commands are applied first.
    lab.send("s", "ecg", 7, "7");
    lab.leave("s");
    lab.run(64);
    assert_eq!(lab.take_values(viewer, "s", "ecg"), ["7"]);
}

#[test]
fn a_sensor_belongs_to_who_made_it() {
    let mut lab = Lab::new();
    lab.join_as("s", "ada");
    lab.tick();
    let other = lab.join_as("s", "eve");
    lab.tick();
    assert_eq!(refusal(&lab, other), Some(Refusal::NotOwner));
    lab.send("s", "ecg", 1, "666");
    lab.tick();
    let store = lab.audit().store;
    assert_eq!((store.kept, store.dropped(Reason::UnknownFeed)), (0, 1));
}

#[test]
fn the_platforms_own_names_are_refused() {
    let mut lab = Lab::new();
    let feed = lab.join("__composite_sync");
    lab.tick();
    assert_eq!(refusal(&lab, feed), Some(Refusal::ReservedName));
}

#[test]
fn there_are_no_more_sensors_than_allowed() {
    let settings = Settings { sensor_count_max: 2, ..Settings::default() };
    let mut lab = Lab::with(EngineConfig { settings, ..EngineConfig::default() });
    lab.join("a");
    lab.join("b");
    let third = lab.join("c");
    lab.tick();
    assert_eq!(refusal(&lab, third), Some(Refusal::TooManySensors));
    assert_eq!(lab.engine.report().sensor_count, 2);
}

#[test]
fn a_65th_attribute_is_refused_and_its_samples_counted() {
    let mut lab = Lab::new();
    lab.join("s");
    for n in 0..65 {
        lab.send("s", &format!("a{n}"), 0, "1");
    }
    lab.tick();
    assert!(lab.notices.iter().any(|notice| {
        matches!(notice, Notice::AttributeRefused { attribute_id, .. } if &**attribute_id == "a64")
    }));
    let store = lab.audit().store;
    assert_eq!((store.kept, store.dropped(Reason::UnknownFeed)), (64, 1));
}

#[test]
fn an_attribute_keeps_the_type_it_was_first_given() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    for (index, kind) in [AttributeType::Skeleton, AttributeType::Ecg].into_iter().enumerate() {
        lab.command(Command::DeclareAttribute {
            feed,
            index: index as u16,
            attribute_id: "x".into(),
            kind,
            rate_hz: None,
        });
    }
    lab.tick();
    let came: Vec<_> = lab
        .notices
        .iter()
        .filter_map(|n| match n {
            Notice::AttributeCame { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    assert_eq!(came, [AttributeType::Skeleton]);
}

#[test]
fn a_forgotten_attribute_is_gone_and_comes_back_empty() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.send("s", "ecg", 1, "1");
    lab.run(32);
    lab.take(viewer);
    lab.command(Command::ForgetAttribute { feed, attribute_id: "ecg".into() });
    lab.tick();
    assert_eq!(lab.audit().store.kept, 0);
    lab.command(Command::DeclareAttribute {
        feed,
        index: 0,
        attribute_id: "ecg".into(),
        kind: AttributeType::Ecg,
        rate_hz: None,
    });
    lab.send("s", "ecg", 2, "2");
    lab.run(32);
    let slices = lab.take(viewer);
    assert_eq!((slices[0].from, slices[0].to), (0, 1), "a new stream");
    assert_eq!(slices[0].samples, [(2, "2".into())]);
}

#[test]
fn a_sample_of_an_unregistered_attribute_never_lands_in_the_one_declared_after_it() {
    let mut lab = Lab::new();
    let viewer = lab.watch_all(Quality::High);
    let phone = lab.join("ada");
    lab.send("ada", "button", 1, "1");
    lab.settle();
    lab.take(viewer);
    // Sent before the device unregistered it; both arrive with the same tick.
    lab.send("ada", "button", 2, "2");
    lab.command(Command::ForgetAttribute { feed: phone, attribute_id: "button".into() });
    lab.send("ada", "gps", 3, "3");
    lab.settle();
    assert_eq!(lab.take_values(viewer, "ada", "gps"), ["3"]);
    assert_eq!(lab.audit().store.dropped(Reason::UnknownFeed), 1, "the button's is counted");
}

#[test]
fn a_number_that_one_feed_declared_keeps_its_meaning_when_another_unregisters() {
    let mut lab = Lab::new();
    let viewer = lab.watch_all(Quality::High);
    let first = lab.join("ada");
    lab.send("ada", "ecg", 1, "1");
    lab.tick();
    let second = lab.join("ada");
    lab.command(Command::ForgetAttribute { feed: second, attribute_id: "ecg".into() });
    lab.send("ada", "hr", 2, "60");
    lab.settle();
    let by_first = |lab: &mut Lab, timestamp: i64, value: i64| {
        let cell = Payload::Scalar(Cell::integer(value).unwrap());
        lab.sample(first, 0, timestamp, cell);
        lab.settle();
    };
    // The first device still speaks of `ecg`, which is not there.
    by_first(&mut lab, 3, 3);
    assert_eq!(lab.take_values(viewer, "ada", "hr"), ["60"]);
    // Somebody declares it again, and the first device is heard again.
    lab.send("ada", "ecg", 4, "4");
    by_first(&mut lab, 5, 5);
    assert_eq!(lab.take_values(viewer, "ada", "ecg"), ["4", "5"]);
}

#[test]
fn a_sensor_whose_attributes_come_and_go_has_room_for_more_and_still_mixes_nothing_up() {
    let mut lab = Lab::new();
    let viewer = lab.watch_all(Quality::High);
    let phone = lab.join("ada");
    for n in 0..200 {
        let id = format!("a{n}");
        lab.send("ada", &id, n, "0");
        lab.tick();
        lab.command(Command::ForgetAttribute { feed: phone, attribute_id: id.into() });
    }
    lab.send("ada", "last", 1000, "7");
    // The first ones' places were given to others.
    for n in 0..200 {
        let number = Payload::Scalar(Cell::integer(1).unwrap());
        lab.sample(phone, n, 2000, number);
    }
    lab.settle();
    assert_eq!(lab.take_values(viewer, "ada", "last"), ["7"]);
    assert_eq!(lab.audit().store.dropped(Reason::UnknownFeed), 200);
}

//! Another process goes on with a world: nobody is connected to it, and nobody is forgotten.

use components::attention::Level;
use components::command::{Attention, Command, SensorSet};
use components::delivery::{Form, Notice, Refusal};
use components::group::Signal;
use components::viewer::Quality;
use tests::{Lab, TICK_MS, target, visible};

fn send(lab: &mut Lab, values: std::ops::Range<i64>) {
    for n in values {
        lab.send("heart", "ecg", n, &n.to_string());
    }
    lab.tick();
}

/// What a viewer gets of `heart`, and where each slice begins and ends.
fn get(lab: &mut Lab, viewer: components::id::ViewerId) -> Vec<(Form, u64, u64, u64)> {
    lab.settle();
    let slices = lab.take(viewer);
    slices.into_iter().map(|s| (s.form, s.from, s.to, s.missed)).collect()
}

#[test]
fn who_returns_finds_the_past_in_its_ring_and_the_live_behind_it() {
    let mut lab = Lab::new();
    lab.join_as("heart", "ada");
    let before = lab.watch(&["heart"], Quality::High);
    send(&mut lab, 0..100);
    assert_eq!(get(&mut lab, before).last().unwrap().2, 100);
    let audit = lab.audit();
    lab.move_house(2_000, 10_000);
    lab.tick();
    assert_eq!(lab.audit().store, audit.store, "nothing is lost, nothing is told twice");
    let came = |n: &Notice| matches!(n, Notice::SensorCame { card } if &*card.sensor_id == "heart");
    assert_eq!(lab.notices.iter().filter(|n| came(n)).count(), 2, "the new door hears of it, too");
    lab.notices.clear();
    lab.join_as("heart", "eve");
    lab.tick();
    let refused = |n: &Notice| matches!(n, Notice::FeedRefused { refusal: Refusal::NotOwner, .. });
    assert!(lab.notices.iter().any(refused), "it is ada's still");
    lab.join_as("heart", "ada");
    let after = lab.watch(&["heart"], Quality::High);
    send(&mut lab, 100..150);
    let slices = get(&mut lab, after);
    let mut next = 0;
    for (nth, (form, from, to, missed)) in slices.iter().enumerate() {
        assert_eq!((*from, *missed, *form == Form::Seed), (next, 0, nth == 0), "{slices:?}");
        next = *to;
    }
    assert_eq!(next, 150);
}

#[test]
fn what_was_looked_at_stays_so_until_it_is_time_to_have_returned() {
    let mut lab = Lab::new();
    lab.join("heart");
    let viewer = lab.watch(&["heart"], Quality::High);
    lab.attend(viewer, Attention { focused: vec![target("heart")], ..visible(&["heart"]) });
    lab.tick();
    assert_eq!(lab.level("heart"), Level::High);
    lab.move_house(60_000, 10_000);
    lab.notices.clear();
    lab.join("heart");
    lab.run(9_000);
    assert_eq!(lab.level("heart"), Level::High, "though nobody has come yet");
    let changes = lab.notices.iter().filter(|n| matches!(n, Notice::LevelChanged { .. })).count();
    assert_eq!(changes, 1, "it is told once, to the new door");
    // Who comes has a handle of its own, and says what it looks at.
    let back = lab.watch(&["heart"], Quality::High);
    assert_ne!(back.0.slot, 0, "the first is the ghost's");
    lab.attend(back, visible(&["heart"]));
    lab.run(2_000);
    assert_eq!(lab.level("heart"), Level::Medium, "of the one who came; the ghost is gone");
    assert_eq!(lab.handle_count(), 2, "the device and the viewer");
}

#[test]
fn a_device_that_does_not_return_in_time_is_gone() {
    let mut lab = Lab::new();
    lab.join("heart");
    lab.tick();
    lab.move_house(600_000, 10_000);
    lab.run(9_000);
    let gone = |lab: &Lab| lab.notices.iter().any(|n| matches!(n, Notice::SensorGone { .. }));
    assert!(!gone(&lab), "it has as long as everybody");
    lab.run(1_500);
    assert!(gone(&lab));
}

/// A phase needs half a minute of breath; who watches goes on reading it in between.
#[test]
fn a_group_goes_on_being_read_with_what_it_knew() {
    let people = ["ada", "bea"];
    let breathe = |lab: &mut Lab, ms: u64| {
        for _ in 0..ms / TICK_MS {
            let now = lab.now_ms();
            if now.is_multiple_of(40) {
                for person in people {
                    let value = (std::f64::consts::TAU * 0.25 * now as f64 / 1000.0).sin();
                    lab.send(person, "respiration", now as i64, &format!("{value:.4}"));
                }
            }
            lab.tick();
        }
    };
    let mut lab = Lab::new();
    for person in people {
        lab.join(person);
    }
    let viewer = lab.watch(&[], Quality::High);
    let ids = SensorSet::Ids(people.map(Box::from).into());
    let group = lab.group(ids, "respiration", Signal::Breath);
    lab.watch_group(viewer, group);
    breathe(&mut lab, 40_000);
    assert_eq!(lab.take_heard(viewer).last().unwrap().reading.measurable, 2);
    let resumed = lab.move_house(400, 10_000);
    let [(group, plan, watchers)] = &resumed.groups[..] else { panic!("{:?}", resumed.groups) };
    assert_eq!((&*plan.name, watchers), ("group", &resumed.viewers));
    for person in people {
        lab.join(person);
    }
    breathe(&mut lab, 400);
    let back = lab.watch(&[], Quality::High);
    lab.watch_group(back, *group);
    breathe(&mut lab, 3_000);
    assert_eq!(lab.members(*group), people);
    let heard = lab.take_heard(back);
    let measured = heard.iter().filter(|heard| heard.reading.measurable == 2).count();
    assert!(measured > heard.len() / 2, "{measured} of {}: it need not begin anew", heard.len());
    lab.command(Command::CloseViewer { viewer: back });
    lab.run(20_000);
    let closed = |n: &Notice| matches!(n, Notice::GroupClosed { group: g } if g == group);
    assert!(lab.notices.iter().any(closed), "when nobody watches any more it goes");
}

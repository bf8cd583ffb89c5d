//! Groups: people looked at together, for as long as somebody looks.

use components::attention::Level;
use components::command::{Attention, Command, SensorSet};
use components::delivery::Notice;
use components::group::{GROUP_COUNT_MAX, Signal, Unmeasurable};
use components::id::{GroupId, ViewerId};
use components::viewer::Quality;
use tests::{Lab, TICK_MS};

/// The breath of person `n` at a time, with a constant lag of a quarter of a cycle each.
fn breath(n: usize, ms: u64) -> f64 {
    let cycles = 0.25 * ms as f64 / 1000.0 - 0.25 * n as f64;
    70.0 + 9.0 * (std::f64::consts::TAU * cycles).sin()
}

fn ids(names: &[&str]) -> SensorSet {
    SensorSet::Ids(names.iter().map(|name| (*name).into()).collect())
}

/// People who breathe at 25 Hz for `ms` milliseconds.
fn breathe(lab: &mut Lab, people: &[&str], ms: u64) {
    for _ in 0..ms / TICK_MS {
        let now = lab.now_ms();
        if now.is_multiple_of(40) {
            for (n, person) in people.iter().enumerate() {
                lab.send(person, "respiration", now as i64, &format!("{:.4}", breath(n, now)));
            }
        }
        lab.tick();
    }
}

fn lab(people: &[&str]) -> Lab {
    let mut lab = Lab::new();
    people.iter().for_each(|person| {
        lab.join(person);
    });
    lab
}

fn a_viewer(lab: &mut Lab) -> ViewerId {
    lab.watch(&[], Quality::High)
}

/// The last R and how many of how many are measurable.
fn last(lab: &mut Lab, viewer: ViewerId) -> Option<(f64, u16, u16)> {
    let heard = lab.take_heard(viewer);
    let reading = heard.last()?.reading;
    Some((reading.order.map_or(f64::NAN, |order| order.r), reading.measurable, reading.members))
}

#[test]
fn whoever_watches_a_group_is_told_how_it_is_and_nobody_else_is() {
    let people = ["ada", "bea"];
    let mut lab = lab(&people);
    let (watcher, other) = (a_viewer(&mut lab), a_viewer(&mut lab));
    let group = lab.group(ids(&people), "respiration", Signal::Breath);
    lab.watch_group(watcher, group);
    breathe(&mut lab, &people, 40_000);
    assert_eq!(lab.members(group), people);
    let heard = lab.take_heard(watcher);
    let reading = heard.last().unwrap();
    let order = reading.reading.order.unwrap();
    assert!((order.r - 0.5f64.sqrt()).abs() < 0.03, "a quarter of a cycle apart: {order:?}");
    assert!(order.kappa.abs() < 0.1 && order.null95 > 0.99);
    let [Ok(ada), Ok(bea)] = reading.states[..] else { panic!("{:?}", reading.states) };
    let behind = (ada - bea).rem_euclid(std::f64::consts::TAU);
    assert!((behind - std::f64::consts::FRAC_PI_2).abs() < 0.06, "{ada} {bea}");
    assert!(lab.take_heard(other).is_empty());
}

/// `reference/core.md` W32: in the original, synchrony was dead after the last viewer had left.
#[test]
fn after_the_last_has_left_and_another_comes_all_goes_on() {
    let people = ["ada", "bea", "cyd"];
    let mut lab = lab(&people);
    let first = a_viewer(&mut lab);
    let group = lab.group(ids(&people), "respiration", Signal::Breath);
    lab.watch_group(first, group);
    breathe(&mut lab, &people, 30_000);
    assert_eq!(last(&mut lab, first).unwrap().1, 3);
    lab.command(Command::CloseViewer { viewer: first });
    breathe(&mut lab, &people, 10_000);
    assert!(lab.take_heard(first).is_empty());
    assert!(
        lab.notices.iter().any(|n| matches!(n, Notice::GroupClosed { group: g } if *g == group))
    );

    let second = a_viewer(&mut lab);
    let group = lab.group(ids(&people), "respiration", Signal::Breath);
    lab.watch_group(second, group);
    breathe(&mut lab, &people, 30_000);
    assert_eq!(last(&mut lab, second).unwrap().1, 3);

    // And for one who watches the same group that has rested for a while.
    lab.command(Command::UnwatchGroup { viewer: second, group });
    breathe(&mut lab, &people, 2_000);
    lab.take_heard(second);
    breathe(&mut lab, &people, 2_000);
    assert!(lab.take_heard(second).is_empty(), "nobody watches: nothing is read");
    lab.watch_group(second, group);
    breathe(&mut lab, &people, 30_000);
    assert_eq!(last(&mut lab, second).unwrap().1, 3);
}

#[test]
fn the_devices_of_a_watched_group_are_asked_for_all_they_have() {
    let people = ["ada", "bea"];
    let mut lab = lab(&people);
    let viewer = a_viewer(&mut lab);
    let group = lab.group(ids(&["ada"]), "respiration", Signal::Breath);
    breathe(&mut lab, &people, 400);
    assert_eq!(lab.level("ada"), Level::None);
    lab.watch_group(viewer, group);
    breathe(&mut lab, &people, 400);
    assert_eq!((lab.level("ada"), lab.level("bea")), (Level::High, Level::None));
    // Whoever looks away needs nothing.
    lab.attend(viewer, Attention { hidden: true, ..Attention::default() });
    breathe(&mut lab, &people, 400);
    assert_eq!(lab.level("ada"), Level::None);
    lab.attend(viewer, Attention::default());
    breathe(&mut lab, &people, 400);
    assert_eq!(lab.level("ada"), Level::High);
    lab.command(Command::CloseViewer { viewer });
    breathe(&mut lab, &people, 400);
    assert_eq!(lab.level("ada"), Level::None);
}

#[test]
fn a_busy_viewer_is_told_nothing_and_the_others_are() {
    let people = ["ada", "bea"];
    let mut lab = lab(&people);
    let (slow, quick) = (a_viewer(&mut lab), a_viewer(&mut lab));
    let group = lab.group(ids(&people), "respiration", Signal::Breath);
    lab.watch_group(slow, group);
    lab.watch_group(quick, group);
    breathe(&mut lab, &people, 5_000);
    lab.take_heard(slow);
    lab.take_heard(quick);
    for _ in 0..500 {
        lab.busy(&[slow]);
        breathe(&mut lab, &people, TICK_MS);
    }
    assert!(lab.take_heard(slow).is_empty());
    assert_eq!(lab.take_heard(quick).len(), 20, "ten a second");
}

#[test]
fn who_is_not_there_is_a_member_who_cannot_be_measured() {
    let people = ["ada", "bea"];
    let mut lab = lab(&people);
    let viewer = a_viewer(&mut lab);
    let group = lab.group(ids(&["ada", "bea", "nobody"]), "respiration", Signal::Breath);
    lab.watch_group(viewer, group);
    breathe(&mut lab, &people, 30_000);
    let heard = lab.take_heard(viewer);
    let reading = heard.last().unwrap();
    assert_eq!((reading.reading.measurable, reading.reading.members), (2, 3));
    assert_eq!(reading.states[2], Err(Unmeasurable::Silent));
}

#[test]
fn a_group_of_all_follows_who_comes_and_lets_go_of_who_left() {
    let mut lab = lab(&["ada", "bea"]);
    lab.join("eve");
    lab.send("eve", "temperature", 0, "21");
    let viewer = a_viewer(&mut lab);
    breathe(&mut lab, &["ada", "bea"], 1_000);
    let group = lab.group(SensorSet::All, "respiration", Signal::Breath);
    lab.watch_group(viewer, group);
    breathe(&mut lab, &["ada", "bea"], 1_000);
    assert_eq!(lab.members(group), ["ada", "bea"], "eve does not breathe here");
    lab.join("cyd");
    breathe(&mut lab, &["ada", "bea", "cyd"], 30_000);
    assert_eq!(lab.members(group), ["ada", "bea", "cyd"]);
    assert_eq!(last(&mut lab, viewer).unwrap().1, 3);
    lab.leave("bea");
    for _ in 0..2 {
        lab.command(Command::Renew { viewer });
        let now = lab.now_ms();
        for ms in (now..now + 40_000).step_by(TICK_MS as usize) {
            if ms % 40 == 0 {
                for (n, person) in [(0, "ada"), (2, "cyd")] {
                    lab.send(person, "respiration", ms as i64, &format!("{:.4}", breath(n, ms)));
                }
            }
            lab.tick();
        }
    }
    assert_eq!(lab.members(group), ["ada", "cyd"]);
    assert_eq!(last(&mut lab, viewer).unwrap().1, 2);
}

#[test]
fn a_heart_group_hears_beats_and_their_rhythm() {
    let mut lab = lab(&["ada", "bea"]);
    let viewer = a_viewer(&mut lab);
    let group = lab.group(ids(&["ada", "bea"]), "ecg", Signal::HeartHigh);
    lab.watch_group(viewer, group);
    // Hearts that quicken and slow down 12 times a minute.
    let beats = |lag: f64| {
        let mut t = 0.5;
        let mut beats = Vec::new();
        while t < 80.0 {
            beats.push(t);
            t += 0.85 + 0.05 * (std::f64::consts::TAU * 0.2 * (t - lag)).sin();
        }
        beats
    };
    let people = [("ada", beats(0.0)), ("bea", beats(1.25))];
    while lab.now_ms() < 80_000 {
        let now = lab.now_ms();
        for (person, beats) in &people {
            let t = now as f64 / 1000.0;
            let wave = |beat: &f64| (-0.5 * ((t - beat) / 0.012).powi(2)).exp();
            let near = beats.iter().filter(|beat| (*beat - t).abs() < 0.1);
            let ecg: f64 = near.map(wave).sum();
            lab.send(person, "ecg", now as i64, &format!("{ecg:.5}"));
        }
        lab.tick();
    }
    let heard = lab.take_heard(viewer);
    let reading = heard.last().unwrap();
    assert_eq!(reading.reading.measurable, 2, "{:?}", reading.states);
    let [Ok(ada), Ok(bea)] = reading.states[..] else { panic!("{:?}", reading.states) };
    let behind = (ada - bea).rem_euclid(std::f64::consts::TAU);
    assert!((behind - std::f64::consts::FRAC_PI_2).abs() < 0.15, "{behind}");
}

/// The same people before one and the same viewer, `through` being called half way.
fn hash_of(through: impl Fn(&mut Lab)) -> u64 {
    let people = ["ada", "bea", "cyd"];
    let mut lab = lab(&people);
    let viewer = a_viewer(&mut lab);
    let breaths = lab.group(ids(&people), "respiration", Signal::Breath);
    let hearts = lab.group(SensorSet::All, "ecg", Signal::HeartLow);
    lab.watch_group(viewer, breaths);
    lab.watch_group(viewer, hearts);
    let play = |lab: &mut Lab| {
        for _ in 0..20_000 / TICK_MS {
            let now = lab.now_ms();
            for (n, person) in people.iter().enumerate() {
                if now.is_multiple_of(40) {
                    let value = format!("{:.4}", breath(n, now));
                    lab.send(person, "respiration", now as i64, &value);
                }
                let since = (now + 100 * n as u64) % 900;
                lab.send(person, "ecg", now as i64, if since < 24 { "1.5" } else { "0.1" });
            }
            lab.tick();
        }
    };
    play(&mut lab);
    through(&mut lab);
    play(&mut lab);
    assert_eq!(last(&mut lab, viewer).map(|(_, _, members)| members), Some(3));
    lab.hash.value()
}

#[test]
fn a_world_made_of_a_snapshot_reads_its_groups_bit_for_bit_as_before() {
    assert_eq!(hash_of(|_| {}), hash_of(Lab::be_reborn));
}

#[test]
fn groups_are_refused_beyond_their_number_and_go_when_nobody_watches_them() {
    let mut lab = lab(&["ada"]);
    let groups: Vec<GroupId> = (0..=GROUP_COUNT_MAX)
        .map(|_| lab.group(ids(&["ada"]), "respiration", Signal::Breath))
        .collect();
    lab.tick();
    let refused: Vec<GroupId> = lab
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::GroupRefused { group } => Some(*group),
            _ => None,
        })
        .collect();
    assert_eq!(refused, groups[GROUP_COUNT_MAX..]);
    lab.run(6_000);
    let closed = lab.notices.iter().filter(|n| matches!(n, Notice::GroupClosed { .. })).count();
    assert_eq!(closed, GROUP_COUNT_MAX);
}

//! Lenses: who gets what, how often, in which form, and what they are told they missed.

use components::command::{Attention, Command};
use components::delivery::Form;
use components::viewer::Quality;
use engine::{EngineConfig, Settings};
use proptest::prelude::*;
use tests::{Lab, TICK_MS, attribute_target, target, visible};

#[test]
fn each_quality_flushes_at_the_seeds_interval() {
    for (quality, interval) in
        [(Quality::High, 32), (Quality::Medium, 50), (Quality::Low, 100), (Quality::Minimal, 200)]
    {
        let mut lab = Lab::new();
        lab.join("s");
        let viewer = lab.watch(&["s"], quality);
        for n in 0..1000 {
            lab.send("s", "ecg", n, &n.to_string());
            lab.tick();
        }
        let times: Vec<u64> = lab.take(viewer).iter().map(|slice| slice.at_ms).collect();
        assert_eq!(times.len() as u64, 1000 * TICK_MS / interval, "{quality:?}");
        for (n, at) in times.iter().enumerate() {
            let due = (n as u64 + 1) * interval;
            assert_eq!(
                *at,
                due.next_multiple_of(TICK_MS),
                "the first tick at or after each multiple"
            );
        }
    }
}

#[test]
fn waveforms_come_whole_and_of_other_things_the_latest() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    lab.send("s", "ecg", 0, "0");
    lab.send("s", "temperature", 0, "20");
    lab.run(32);
    lab.take(viewer);
    for n in 1..=5 {
        lab.send("s", "ecg", n, &n.to_string());
        lab.send("s", "temperature", n, &(20 + n).to_string());
    }
    lab.run(32);
    let slices = lab.take(viewer);
    assert_eq!(slices.len(), 2);
    assert_eq!((slices[0].form, slices[0].from, slices[0].to), (Form::Raw, 1, 6));
    assert_eq!(slices[0].samples.len(), 5);
    assert_eq!(slices[0].samples[4], (5, "5".into()));
    assert_eq!((slices[1].form, slices[1].from, slices[1].to), (Form::Latest, 1, 6));
    assert_eq!(slices[1].samples, [(5, "25".into())]);
    let lens = lab.audit().lens;
    assert_eq!((lens.delivered, lens.coalesced), (2 + 5 + 1, 4));
}

#[test]
fn low_and_minimal_send_digests_and_the_focused_sensor_raw() {
    for quality in [Quality::Low, Quality::Minimal] {
        let mut lab = Lab::new();
        lab.join("a");
        lab.join("b");
        let viewer = lab.watch(&["a", "b"], quality);
        lab.attend(viewer, Attention { focused: vec![target("b")], ..Attention::default() });
        for sensor in ["a", "b"] {
            lab.send(sensor, "ecg", 0, "100");
        }
        lab.settle();
        lab.take(viewer);
        for (n, value) in [3.0, -1.5, 4.5].into_iter().enumerate() {
            for sensor in ["a", "b"] {
                lab.send(sensor, "ecg", n as i64, &format!("{value:?}"));
            }
        }
        lab.settle();
        let slices = lab.take(viewer);
        let [a, b] = &slices[..] else { panic!("{slices:?}") };
        assert_eq!(a.form, Form::Digest);
        let digest = a.digest.unwrap();
        let numbers = digest.numbers.unwrap();
        assert_eq!((digest.count, numbers.avg, numbers.min, numbers.max), (3, 2.0, -1.5, 4.5));
        assert_eq!(a.samples, [(2, "4.5".into())], "and the latest");
        assert_eq!(b.form, Form::Raw);
        assert_eq!(b.samples.len(), 3);
    }
}

#[test]
fn whoever_looks_closer_gets_the_past_whole_as_well_and_nothing_whole_twice() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::Low);
    let mut n = 0;
    let mut send = |lab: &mut Lab, count: usize| {
        for _ in 0..count {
            lab.send("s", "ecg", n, &n.to_string());
            n += 1;
        }
        lab.run(100);
    };
    send(&mut lab, 10);
    send(&mut lab, 50);
    send(&mut lab, 50);
    let forms: Vec<Form> = lab.take(viewer).iter().map(|slice| slice.form).collect();
    assert_eq!(forms, [Form::Seed, Form::Digest, Form::Digest]);
    let closer = Attention { hovered: vec![target("s")], ..Attention::default() };
    lab.attend(viewer, closer.clone());
    send(&mut lab, 5);
    send(&mut lab, 5);
    let slices = lab.take(viewer);
    assert_eq!((slices[0].form, slices[0].from, slices[0].to), (Form::Seed, 10, 115));
    assert_eq!(slices[0].samples.len(), 105);
    assert_eq!((slices[1].form, slices[1].from, slices[1].to), (Form::Raw, 115, 120));
    // Away and closer again: only what was digested in between, as far as it is still there.
    lab.attend(viewer, Attention::default());
    send(&mut lab, 2000);
    lab.attend(viewer, closer);
    lab.run(100);
    let slices = lab.take(viewer);
    let seed = slices.last().unwrap();
    assert_eq!((seed.form, seed.to, seed.missed), (Form::Seed, 2120, 0));
    assert!(seed.from > 1000 && seed.samples.len() as u64 == 2120 - seed.from);
}

/// `reference/core.md` 9.3: 2, "x", 4 gave an average of 2.
#[test]
fn a_digest_averages_the_numbers_and_counts_everything() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::Low);
    lab.send("s", "v", 0, "0");
    lab.settle();
    lab.take(viewer);
    for payload in ["2", "\"x\"", "4"] {
        lab.send("s", "v", 1, payload);
    }
    lab.settle();
    let digest = lab.take(viewer)[0].digest.unwrap();
    let numbers = digest.numbers.unwrap();
    assert_eq!((digest.count, numbers.avg, numbers.min, numbers.max), (3, 3.0, 2.0, 4.0));
    lab.send("s", "v", 2, "\"y\"");
    lab.settle();
    let digest = lab.take(viewer)[0].digest.unwrap();
    assert_eq!((digest.count, digest.numbers), (1, None), "no numbers, no figures");
}

#[test]
fn focus_on_one_attribute_brings_all_of_it_and_not_of_its_siblings() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    let focus =
        Attention { focused: vec![attribute_target("s", "temperature")], ..Attention::default() };
    lab.attend(viewer, focus);
    for n in 0..2 {
        lab.send("s", "temperature", n, "1");
        lab.send("s", "humidity", n, "1");
        lab.run(32);
    }
    lab.take(viewer);
    for n in 0..3 {
        lab.send("s", "temperature", n, "1");
        lab.send("s", "humidity", n, "1");
    }
    lab.run(32);
    let slices = lab.take(viewer);
    assert_eq!((slices[0].form, slices[0].samples.len()), (Form::Raw, 3));
    assert_eq!((slices[1].form, slices[1].samples.len()), (Form::Latest, 1));
}

#[test]
fn buttons_are_never_coalesced() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::Minimal);
    lab.send_with("s", "button", 0, "1", ",\"event\":\"press\"");
    lab.settle();
    lab.take(viewer);
    for event in ["release", "press", "release"] {
        lab.send_with("s", "button", 1, "1", &format!(",\"event\":\"{event}\""));
    }
    lab.settle();
    assert_eq!(
        lab.take_values(viewer, "s", "button"),
        ["1,\"event\":\"release\"", "1,\"event\":\"press\"", "1,\"event\":\"release\""]
    );
}

#[test]
fn nothing_is_delivered_of_what_is_not_visible_and_the_past_awaits_its_return() {
    let mut lab = Lab::new();
    lab.join("a");
    lab.join("b");
    let viewer = lab.watch(&["a", "b"], Quality::High);
    lab.attend(viewer, visible(&["a"]));
    for n in 0..100 {
        lab.send("a", "ecg", n, &n.to_string());
        lab.send("b", "ecg", n, &n.to_string());
        lab.tick();
    }
    assert!(lab.take(viewer).iter().all(|slice| slice.sensor == "a"));
    lab.attend(viewer, visible(&["b"]));
    lab.run(32);
    let seed = lab.take(viewer);
    assert_eq!(seed.len(), 1);
    assert_eq!(
        (seed[0].form, seed[0].from, seed[0].to, seed[0].samples.len()),
        (Form::Seed, 0, 100, 100)
    );
    // Away and back again: the past goes on where it was left, once.
    lab.attend(viewer, visible(&[]));
    lab.tick();
    for n in 100..150 {
        lab.send("b", "ecg", n, &n.to_string());
        lab.tick();
    }
    lab.attend(viewer, visible(&["b"]));
    lab.run(32);
    let back = lab.take(viewer);
    assert_eq!((back[0].form, back[0].from, back[0].to, back[0].missed), (Form::Seed, 100, 150, 0));
}

#[test]
fn a_slow_viewer_is_told_how_much_it_missed_and_nobody_else_notices() {
    let mut lab = Lab::new();
    lab.join("s");
    let slow = lab.watch(&["s"], Quality::High);
    let quick = lab.watch(&["s"], Quality::High);
    lab.send("s", "ecg", 0, "0");
    lab.run(32);
    lab.take(slow);
    lab.take(quick);
    for n in 1..=2000 {
        lab.send("s", "ecg", n, &n.to_string());
        lab.busy(&[slow]);
        lab.tick();
    }
    assert_eq!(lab.take(slow), [], "nothing is sent into a full mailbox");
    // Both flush in one tick, from different cursors: each gets what is its own.
    lab.send("s", "ecg", 2001, "2001");
    lab.run(32);
    let numbers: Vec<String> = (1..=2001).map(|n| n.to_string()).collect();
    assert_eq!(lab.take_values(quick, "s", "ecg"), numbers, "the other got everything");
    let slices = lab.take(slow);
    assert_eq!(slices.len(), 1);
    let slice = &slices[0];
    assert!(slice.missed > 1000);
    assert_eq!(slice.from, 1 + slice.missed);
    assert_eq!(slice.to, 2002);
    assert_eq!(slice.samples.len() as u64, slice.to - slice.from);
    assert_eq!(slice.samples.last().unwrap().1, "2001");
}

#[test]
fn what_two_viewers_want_alike_is_cut_once() {
    let mut lab = Lab::new();
    lab.join("a");
    lab.join("b");
    let one = lab.watch(&["a", "b"], Quality::High);
    let two = lab.watch(&["b"], Quality::High);
    let three = lab.watch_all(Quality::High);
    for n in 0..32 {
        lab.send("a", "ecg", n, "1");
        lab.send("b", "ecg", n, "1");
        lab.tick();
    }
    let last = lab.parts.iter().rev().find(|parts| !parts.is_empty()).unwrap();
    let of = |viewer| &last.iter().find(|(v, _)| *v == viewer).unwrap().1;
    assert_eq!(of(one), of(three));
    assert_eq!(of(one)[1..], of(two)[..], "the very same slice");
}

#[test]
fn a_change_of_quality_loses_and_doubles_nothing() {
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    let mut n = 0;
    for quality in [Quality::Medium, Quality::High, Quality::Medium, Quality::High] {
        for _ in 0..37 {
            lab.send("s", "ecg", n, &n.to_string());
            n += 1;
            lab.tick();
        }
        lab.command(Command::SetQuality { viewer, quality: quality.into() });
    }
    lab.settle();
    let expected: Vec<String> = (0..n).map(|n| n.to_string()).collect();
    assert_eq!(lab.take_values(viewer, "s", "ecg"), expected);
}

#[test]
fn the_past_of_many_sensors_is_handed_over_in_portions() {
    let mut lab = Lab::new();
    let ids: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    for id in &ids {
        lab.join(id);
        for n in 0..600 {
            lab.send(id, "ecg", n, "1");
        }
    }
    lab.tick();
    let viewer = lab.watch_all(Quality::High);
    lab.run(32);
    let first: usize = lab.take(viewer).iter().map(|slice| slice.samples.len()).sum();
    assert!((20_000..21_000).contains(&first), "{first}");
    lab.run(96);
    let rest: usize = lab.take(viewer).iter().map(|slice| slice.samples.len()).sum();
    assert_eq!(first + rest, 60_000, "and all of it arrives");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// `reference/core.md` W30: in the original seed and live data overlap or leave a gap. Here
    /// they meet at a cursor, whenever the viewer arrives and however often its mailbox is full.
    #[test]
    fn the_past_and_the_live_stream_join_without_gap_or_duplicate(
        before in 0usize..1200,
        ticks in prop::collection::vec((0usize..12, prop::bool::weighted(0.2)), 1..80),
        quality in prop::sample::select(&[Quality::High, Quality::Medium][..]),
    ) {
        let mut lab = Lab::new();
        lab.join("s");
        let mut n = 0i64;
        for _ in 0..before {
            lab.send("s", "ecg", n, &n.to_string());
            n += 1;
            if n % 7 == 0 { lab.tick(); }
        }
        lab.tick();
        let viewer = lab.watch(&["s"], quality);
        for (count, busy) in ticks {
            for _ in 0..count {
                lab.send("s", "ecg", n, &n.to_string());
                n += 1;
            }
            if busy { lab.busy(&[viewer]); }
            lab.tick();
        }
        lab.settle();
        let slices = lab.take(viewer);
        let mut next = None;
        for slice in &slices {
            if let Some(next) = next {
                prop_assert_eq!(slice.from, next + slice.missed);
            } else {
                prop_assert_eq!(slice.form, Form::Seed);
            }
            for (at, (timestamp, json)) in slice.samples.iter().enumerate() {
                prop_assert_eq!(*timestamp, slice.from as i64 + at as i64);
                prop_assert_eq!(json, &timestamp.to_string());
            }
            prop_assert_eq!(slice.samples.len() as u64, slice.to - slice.from);
            next = Some(slice.to);
        }
        prop_assert_eq!(next.unwrap_or(0), n as u64, "everything up to now has come");
    }
}

#[test]
fn what_has_aged_out_takes_no_part_of_what_may_be_caught_up_at_once() {
    let settings = Settings { seed_sample_count_max: 801, ..Settings::default() };
    let mut lab = Lab::with(EngineConfig { settings, ..EngineConfig::default() });
    let viewer = lab.watch(&["a", "b"], Quality::Low);
    lab.join("a");
    lab.join("b");
    // In figures first, so that there is something to catch up with.
    for n in 0..3 {
        lab.send("a", "ecg", n, "1");
        lab.send("b", "ecg", n, "1");
        lab.run(100);
    }
    lab.take(viewer);
    // Then all of it is asked for, and of `a` more comes than its ring holds.
    lab.command(Command::SetQuality { viewer, quality: Quality::High.into() });
    for n in 0..1000 {
        lab.send("a", "ecg", 100 + n, "2");
    }
    lab.run(32);
    let got = lab.take(viewer);
    let of = |sensor: &str| {
        let slices = got.iter().filter(|slice| slice.sensor == sensor);
        slices.map(|slice| slice.samples.len()).collect::<Vec<_>>()
    };
    assert_eq!(of("a").len(), 1);
    assert!((650..=800).contains(&of("a")[0]), "what the ring holds: {:?}", of("a"));
    assert_eq!(of("b"), [2], "there was room for its past too");
}

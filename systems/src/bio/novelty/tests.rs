use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

/// Chance, in order.
struct Chance(u64);

impl Chance {
    /// Above 0 and below 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((bits ^ (bits >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn gauss(&mut self) -> f64 {
        let length = (-2.0 * libm::log(self.uniform())).sqrt();
        length * libm::cos(TAU * self.uniform())
    }
}

/// A stream's value at each of its times, in their order.
type Source = Box<dyn FnMut(f64) -> f64>;

/// The streams that detectors are judged by, with the unit in which events are sized: one standard
/// deviation of their noise, or what is large for them.
fn source(name: &str, rate_hz: f64, seed: u64) -> (Source, f64) {
    let mut chance = Chance(seed);
    let (mut state, mut phase, mut period) = (0.0, 0.0, 0.8);
    let step_s = 1.0 / rate_hz;
    let source: Source = match name {
        "white" => Box::new(move |_| chance.gauss()),
        "correlated" => Box::new(move |_| {
            state = 0.99 * state + chance.gauss();
            state
        }),
        "drifting" => Box::new(move |at_s| chance.gauss() + 0.05 * at_s),
        "laplace" => Box::new(move |_| {
            let part = chance.uniform() - 0.5;
            -part.signum() * libm::log(1.0 - 2.0 * part.abs())
        }),
        "cauchy" => Box::new(move |_| libm::tan(TAU / 2.0 * (chance.uniform() - 0.5))),
        // A second of twenty times the noise, once a minute.
        "bursts" => Box::new(move |_| {
            if state > 0.0 {
                state -= step_s;
            } else if chance.uniform() < step_s / 60.0 {
                state = 1.0;
            }
            chance.gauss() * if state > 0.0 { 20.0 } else { 1.0 }
        }),
        // Five waves a beat, of 75 bpm with sinus arrhythmia; baseline wander and noise.
        "ecg" => Box::new(move |at_s| {
            phase += step_s / period;
            let breath = libm::sin(TAU * 0.25 * at_s);
            if phase >= 1.0 {
                phase -= 1.0;
                period = 0.8 + 0.06 * breath + 0.03 * chance.gauss();
            }
            let waves = [(-0.19, 0.2, 0.04), (-0.04, -0.15, 0.016), (0.0, 1.0, 0.016)]
                .into_iter()
                .chain([(0.04, -0.25, 0.016), (0.28, 0.35, 0.064)]);
            let wave = |(centre, height, width): (f64, f64, f64)| {
                let off = phase - centre - (phase - centre).round();
                height * libm::exp(-0.5 * (off / width) * (off / width))
            };
            let beat: f64 = waves.map(wave).sum();
            beat * (1.0 + 0.05 * breath)
                + 0.1 * libm::sin(TAU * 0.05 * at_s)
                + 0.02 * chance.gauss()
        }),
        "breath" => {
            period = 4.0;
            Box::new(move |_| {
                phase += step_s / period;
                if phase >= 1.0 {
                    phase -= 1.0;
                    period = 4.0 + 0.4 * chance.gauss();
                }
                libm::sin(TAU * phase) + 0.02 * chance.gauss()
            })
        }
        // Tenths of a degree, of which it stays at one for long.
        "thermometer" => Box::new(move |_| {
            state = 0.9995 * state + 0.01 * chance.gauss();
            (200.0 + 10.0 * state).round() / 10.0
        }),
        "heart rate" => Box::new(move |at_s| {
            let slow = 3.0 * libm::sin(TAU * at_s / 7.0) + 2.0 * libm::sin(TAU * at_s / 40.0);
            (72.0 + slow + chance.gauss()).round()
        }),
        "constant" => Box::new(|_| 5.0),
        other => panic!("no source {other}"),
    };
    let unit = match name {
        "ecg" | "breath" => 0.25,
        "thermometer" => 0.2,
        _ => 1.0,
    };
    (source, unit)
}

fn alarms(settings: &Settings, source: &mut Source, rate_hz: f64, seconds: f64) -> u32 {
    let mut detector = Detector::default();
    let count = (seconds * rate_hz) as u64;
    let samples = (0..count).map(|n| n as f64 / rate_hz).map(|at_s| (at_s, source(at_s)));
    samples.filter(|&sample| detector.observe(settings, [sample]).is_some()).count() as u32
}

/// Alarms an hour of a source at a rate: a mean over so many streams of so many hours.
fn false_alarms_per_hour(name: &str, rate_hz: f64, streams: u64, hours: f64) -> f64 {
    let settings = Settings::default();
    let of = |seed| alarms(&settings, &mut source(name, rate_hz, seed).0, rate_hz, 3600.0 * hours);
    f64::from((0..streams).map(of).sum::<u32>()) / (streams as f64 * hours)
}

/// Events that a stream of a minute may hold from its second 300 on.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// So many units more, once.
    Spike(f64),
    /// From then on.
    Step(f64),
    /// So many times as far from zero.
    Wider(f64),
    /// The value stays.
    Stuck,
}

/// In which part of so many streams the event is noticed within a minute, and after how many
/// seconds on average.
fn detections(name: &str, rate_hz: f64, event: Event, streams: u64) -> (f64, f64) {
    let (mut found, mut late_s) = (0.0, 0.0);
    for seed in 0..streams {
        let (mut source, unit) = source(name, rate_hz, 1000 + seed);
        let mut detector = Detector::default();
        let (from, to) = ((300.0 * rate_hz) as u64, (360.0 * rate_hz) as u64);
        let mut stuck = 0.0;
        for n in 0..to {
            let at_s = n as f64 / rate_hz;
            let value = source(at_s);
            if n == from {
                stuck = value;
            }
            let value = match event {
                Event::Spike(size) if n == from => value + size * unit,
                Event::Step(size) if n >= from => value + size * unit,
                Event::Wider(times) if n >= from => value * times,
                Event::Stuck if n >= from => stuck,
                _ => value,
            };
            if detector.observe(&Settings::default(), [(at_s, value)]).is_some() && n >= from {
                found += 1.0;
                late_s += at_s - 300.0;
                break;
            }
        }
    }
    (found / streams as f64, late_s / f64::max(found, 1.0))
}

const RATES_HZ: [f64; 5] = [1.0, 10.0, 25.0, 50.0, 250.0];

#[test]
fn false_alarms_are_at_most_one_an_hour_at_any_rate() {
    for name in
        ["white", "correlated", "drifting", "laplace", "ecg", "breath", "thermometer", "heart rate"]
    {
        for rate_hz in RATES_HZ {
            let streams = if rate_hz > 100.0 { 4 } else { 12 };
            let rate = false_alarms_per_hour(name, rate_hz, streams, 1.0);
            let limit = if name == "laplace" { 1.5 } else { 1.0 };
            assert!(rate <= limit, "{name} at {rate_hz} Hz: {rate} an hour");
        }
    }
}

#[test]
fn noise_that_follows_no_such_law_is_held_by_the_record_of_the_hour() {
    for (name, limit) in [("cauchy", 7.0), ("bursts", 5.0)] {
        for rate_hz in [10.0, 50.0] {
            let rate = false_alarms_per_hour(name, rate_hz, 8, 3.0);
            assert!(rate <= limit, "{name} at {rate_hz} Hz: {rate} an hour");
        }
    }
}

#[test]
fn a_value_that_never_changes_and_one_that_changes_once_are_no_news() {
    let settings = Settings::default();
    assert_eq!(alarms(&settings, &mut source("constant", 10.0, 1).0, 10.0, 3600.0), 0);
    let mut door: Source = Box::new(|at_s| if at_s < 1800.0 { 0.0 } else { 1.0 });
    assert_eq!(alarms(&settings, &mut door, 10.0, 3600.0), 0);
}

#[test]
fn fewer_false_alarms_are_had_for_the_asking() {
    let count = |false_alarms_per_hour| -> u32 {
        let settings = Settings { false_alarms_per_hour };
        (0..12)
            .map(|seed| alarms(&settings, &mut source("laplace", 25.0, seed).0, 25.0, 3600.0))
            .sum()
    };
    let (often, seldom) = (count(10.0), count(0.1));
    assert!(often > 24 && seldom < 5, "{often} and {seldom} in 12 hours");
}

#[test]
fn spikes_steps_and_bursts_are_found_at_any_rate() {
    for name in ["white", "correlated", "drifting", "ecg", "breath", "thermometer"] {
        for rate_hz in [10.0, 25.0, 50.0, 250.0] {
            if name == "ecg" && rate_hz < 25.0 {
                // Of which nothing is left at that rate.
                continue;
            }
            for event in [Event::Spike(9.0), Event::Step(9.0)] {
                let (found, late_s) = detections(name, rate_hz, event, 20);
                assert!(found >= 0.95, "{name} at {rate_hz} Hz, {event:?}: {found}");
                assert!(late_s < 0.5, "{name} at {rate_hz} Hz, {event:?}: after {late_s} s");
            }
        }
    }
    for name in ["white", "correlated"] {
        for rate_hz in [10.0, 25.0, 50.0, 250.0] {
            let (found, late_s) = detections(name, rate_hz, Event::Wider(3.0), 20);
            assert!(found >= 0.95 && late_s < 3.0, "{name} at {rate_hz} Hz: {found}, {late_s} s");
        }
    }
}

#[test]
fn a_stream_that_goes_dead_is_noticed_within_seconds() {
    for name in ["white", "correlated", "ecg", "breath"] {
        for rate_hz in [25.0, 50.0, 250.0] {
            let (found, late_s) = detections(name, rate_hz, Event::Stuck, 20);
            assert!(found >= 0.9, "{name} at {rate_hz} Hz: {found}");
            assert!(late_s < 8.0, "{name} at {rate_hz} Hz: after {late_s} s");
        }
    }
}

#[test]
fn one_sample_a_second_is_slow_but_not_blind() {
    for event in [Event::Spike(9.0), Event::Step(9.0), Event::Wider(4.0), Event::Stuck] {
        let (found, _) = detections("white", 1.0, event, 20);
        assert!(found >= 0.9, "{event:?}: {found}");
    }
}

/// `cargo test --release -p systems --lib novelty -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes, and prints the tables of docs/bio.md"]
fn the_tables_of_the_docs() {
    eprintln!("| alarms an hour | 1 Hz | 10 | 25 | 50 | 250 |\n|---|---|---|---|---|---|");
    for name in [
        "white",
        "correlated",
        "drifting",
        "laplace",
        "ecg",
        "breath",
        "thermometer",
        "heart rate",
        "bursts",
        "cauchy",
    ] {
        let rates = RATES_HZ.map(|rate_hz| false_alarms_per_hour(name, rate_hz, 24, 3.0));
        let [a, b, c, d, e] = rates.map(|rate| format!("{rate:.2}"));
        eprintln!("| {name} | {a} | {b} | {c} | {d} | {e} |");
    }
    eprintln!("\n| found, after seconds | 1 Hz | 10 | 25 | 50 | 250 |\n|---|---|---|---|---|---|");
    for name in ["white", "correlated", "drifting", "ecg", "breath", "thermometer", "heart rate"] {
        for event in [
            Event::Spike(6.0),
            Event::Spike(9.0),
            Event::Step(6.0),
            Event::Step(9.0),
            Event::Wider(2.0),
            Event::Wider(3.0),
            Event::Stuck,
        ] {
            if matches!(event, Event::Wider(_)) && !matches!(name, "white" | "correlated") {
                continue;
            }
            let found = RATES_HZ.map(|rate_hz| detections(name, rate_hz, event, 100));
            let [a, b, c, d, e] =
                found.map(|(part, late_s)| format!("{:.0} %, {late_s:.1}", 100.0 * part));
            eprintln!("| {name}, {event:?} | {a} | {b} | {c} | {d} | {e} |");
        }
    }
}

/// A detector that has seen five minutes of white noise at 25 Hz, the noise going on, and the time.
struct Warm {
    detector: Detector,
    chance: Chance,
    n: u64,
}

impl Warm {
    fn new() -> Self {
        let mut warm = Self { detector: Detector::default(), chance: Chance(5), n: 0 };
        assert_eq!(warm.run(300.0, |_, value| value), vec![]);
        warm
    }

    fn run(&mut self, seconds: f64, change: impl Fn(u64, f64) -> f64) -> Vec<Alarm> {
        let mut heard = Vec::new();
        for n in 0..(seconds * 25.0) as u64 {
            let value = change(n, self.chance.gauss());
            let at_s = self.n as f64 / 25.0;
            self.n += 1;
            heard.extend(self.detector.observe(&Settings::default(), [(at_s, value)]));
        }
        heard
    }
}

/// The original's first outlier raised its deviation so that one ten times larger scored 71 of
/// 12,176.
#[test]
fn what_is_reported_does_not_hide_what_comes_after_it() {
    let mut warm = Warm::new();
    let spike = |size: f64| move |n: u64, value: f64| if n == 10 { size } else { value };
    let first = warm.run(30.0, spike(1e12));
    assert_eq!(first.len(), 1);
    let threshold = warm.detector.threshold;
    assert!((4.0..7.0).contains(&threshold), "{threshold} standard deviations");
    // What it takes to be news is four times what it was, not a billion times.
    assert_eq!(warm.run(30.0, spike(30.0)).len(), 1, "{:?}", warm.detector);
}

/// The original's events came five in a row within 100 ms.
#[test]
fn ten_seconds_of_trouble_are_one_alarm() {
    let mut warm = Warm::new();
    let heard = warm.run(9.9, |n, value| if n % 5 == 0 { 20.0 + n as f64 } else { value });
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].kind, Kind::Jump);
}

#[test]
fn the_same_again_is_no_news_within_the_hour_and_more_of_it_is() {
    let mut warm = Warm::new();
    let spike = |size: f64| move |n: u64, value: f64| if n == 0 { size } else { value };
    assert_eq!(warm.run(60.0, spike(9.0)).len(), 1);
    assert_eq!(warm.run(60.0, spike(8.9)).len(), 0);
    assert_eq!(warm.run(60.0, spike(12.0)).len(), 1);
    assert_eq!(warm.run(3600.0, |_, value| value).len(), 0);
    assert_eq!(warm.run(60.0, spike(8.9)).len(), 1);
}

#[test]
fn a_stream_that_keeps_going_quiet_is_news_once_an_hour() {
    let mut warm = Warm::new();
    let mut count = 0;
    for _ in 0..20 {
        let heard = warm.run(20.0, |_, _| 0.1);
        count += heard.iter().filter(|alarm| alarm.kind == Kind::Quiet).count();
        warm.run(60.0, |_, value| value);
    }
    assert_eq!(count, 1);
    warm.run(3700.0, |_, value| value);
    assert_eq!(warm.run(20.0, |_, _| 0.1).len(), 1);
}

#[test]
fn a_change_that_stays_is_reported_once_and_then_normal() {
    let mut warm = Warm::new();
    let heard = warm.run(120.0, |_, value| 1000.0 + 3.0 * value);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].at_s, 300.0);
    // And what is unlike it stands out again.
    let heard = warm.run(5.0, |n, value| if n == 7 { 1100.0 } else { 1000.0 + 3.0 * value });
    assert_eq!(heard.len(), 1, "{heard:?}");
}

/// A device that is told to send less often jumps further from sample to sample.
#[test]
fn another_rate_is_learnt_and_not_reported() {
    let mut breath = source("breath", 250.0, 3).0;
    let mut detector = Detector::default();
    let mut heard = Vec::new();
    for n in 0..250 * 600 {
        let at_s = f64::from(n) / 250.0;
        let value = breath(at_s);
        let every = if (200.0..400.0).contains(&at_s) { 25 } else { 1 };
        if n % every == 0 {
            heard.extend(detector.observe(&Settings::default(), [(at_s, value)]));
        }
    }
    assert_eq!(heard, vec![]);
}

#[test]
fn lost_samples_and_trembling_clocks_are_no_news() {
    let mut count = 0;
    for seed in 0..12 {
        let mut breath = source("breath", 25.0, seed).0;
        let mut chance = Chance(77 + seed);
        let mut detector = Detector::default();
        for n in 0..25 * 3600 {
            let at_s = f64::from(n) / 25.0;
            let sample = (at_s + 0.008 * (chance.uniform() - 0.5), breath(at_s));
            // A tenth is lost, and now and then half a minute.
            if chance.uniform() > 0.1 && n % 20_000 > 750 {
                count += u32::from(detector.observe(&Settings::default(), [sample]).is_some());
            }
        }
    }
    assert!(count <= 12, "{count} in 12 hours");
}

#[test]
fn a_clock_that_is_set_back_neither_silences_nor_alarms() {
    let mut warm = Warm::new();
    warm.run(5.0, |n, _| if n == 0 { 50.0 } else { 0.5 });
    let mut detector = warm.detector;
    let mut chance = Chance(3);
    let day = -86_400.0;
    let noise = (0..25 * 60).map(|n| (day + f64::from(n) / 25.0, chance.gauss()));
    assert_eq!(detector.observe(&Settings::default(), noise), None);
    let heard = detector.observe(&Settings::default(), [(day + 60.0, 90.0)]);
    assert!(heard.is_some(), "{detector:?}");
}

#[test]
fn late_samples_are_left_out() {
    let mut warm = Warm::new();
    let before = warm.detector;
    let late = [(295.0, 1e9), (299.0, -1e9)];
    assert_eq!(warm.detector.observe(&Settings::default(), late), None);
    assert_eq!(warm.detector, before);
}

#[test]
fn samples_are_judged_alike_in_one_batch_and_one_by_one() {
    let mut ecg = source("ecg", 250.0, 4).0;
    let samples: Vec<(f64, f64)> = (0..250 * 120)
        .map(|n| f64::from(n) / 250.0)
        .map(|at_s| (at_s, ecg(at_s) + if (100.0..100.1).contains(&at_s) { 4.0 } else { 0.0 }))
        .collect();
    let run = |length: usize| {
        let mut detector = Detector::default();
        let heard: Vec<f64> = (samples.chunks(length))
            .filter_map(|chunk| detector.observe(&Settings::default(), chunk.iter().copied()))
            .map(|alarm| alarm.at_s)
            .collect();
        (detector, heard)
    };
    assert_eq!(run(1), run(37));
    assert_eq!(run(1), run(samples.len()));
    assert_eq!(run(1).1, vec![100.0]);
}

#[test]
fn boosts_last_ten_to_sixty_seconds_as_the_original_meant_them() {
    let boost = |z: f32| Alarm { kind: Kind::Jump, at_s: 0.0, excess: z / 3.0 }.boost_s();
    for (z, seconds) in [(3.0, 10.0), (4.0, 15.0), (9.0, 40.0), (13.0, 60.0), (1e9, 60.0)] {
        assert!((boost(z) - seconds).abs() < 1e-4, "{z}: {}", boost(z));
    }
}

#[test]
fn a_lift_lasts_as_long_as_its_longest_alarm_and_its_score_fades() {
    let mut lift = Lift::default();
    assert!(!lift.is_on(0.0) && lift.score(0.0) == 0.0);
    lift.raise(&Alarm { kind: Kind::Jump, at_s: 0.0, excess: 3.0 }, 100.0);
    assert_eq!(lift.score(100.0), 0.75);
    assert_eq!(lift.score(110.0), 0.375);
    lift.raise(&Alarm { kind: Kind::Jump, at_s: 0.0, excess: 1.0 }, 120.0);
    assert_eq!(lift.score(120.0), 0.5);
    assert!(lift.is_on(139.9) && !lift.is_on(140.0), "{lift:?}");
}

#[test]
fn a_detector_is_two_cache_lines() {
    assert!(size_of::<Detector>() <= 128, "{}", size_of::<Detector>());
}

#[test]
fn a_detector_goes_on_from_its_bytes() {
    let mut warm = Warm::new();
    let mut out = Writer::behind(0);
    warm.detector.write(&mut out);
    let read = Detector::read(&mut Reader::new(&out.out)).unwrap();
    assert_eq!(read, warm.detector);
    for cut in 0..out.out.len() {
        assert!(Detector::read(&mut Reader::new(&out.out[..cut])).is_err(), "cut at {cut}");
    }
    warm.detector = read;
    assert_eq!(warm.run(10.0, |n, value| if n == 9 { 11.0 } else { value }).len(), 1);
}

proptest! {
    /// Whatever comes in, a detector stays one: after a minute of noise it knows noise again.
    #[test]
    fn nothing_that_comes_in_breaks_a_detector(
        samples in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..300),
    ) {
        let settings = Settings::default();
        let mut detector = Detector::default();
        for (n, (time, value, sane)) in samples.into_iter().enumerate() {
            let time_s = if sane { n as f64 * 0.1 } else { f64::from_bits(time) };
            let alarm = detector.observe(&settings, [(time_s, f64::from_bits(value))]);
            prop_assert!(alarm.is_none_or(|alarm| alarm.boost_s() <= 60.0 && alarm.score() <= 1.0));
        }
        prop_assert!(detector.doubles()[1..].iter().all(|number| !number.is_nan()));
        prop_assert!(detector.singles().iter().all(|number| !number.is_nan()), "{detector:?}");
        let mut chance = Chance(1);
        let from_s = if detector.time_s.abs() > 1e9 { 0.0 } else { detector.time_s + 1.0 };
        for n in 0..10 * 1800 {
            detector.observe(&settings, [(from_s + f64::from(n) / 10.0, chance.gauss())]);
        }
        prop_assert!((2.0..9.0).contains(&detector.threshold), "{detector:?}");
    }
}

//! What must hold of the whole way from samples to readings, whatever the signals.

use std::f64::consts::TAU;

use components::group::{Reading, Signal, Tier, Unmeasurable};
use proptest::prelude::*;

use super::chance::Chance;
use super::ensemble::{Ensemble, GRACE_US};
use super::person::Person;
use super::phase::Filters;

/// A sample on its way: when it arrives, whose it is, what it says.
type Sent = (i64, usize, i64, f64);

/// The value of a breath at a time in seconds: asymmetric, on an offset, wandering a little.
fn breath(member: usize, t: f64) -> f64 {
    let m = member as f64;
    let hz = 0.24 + 0.01 * m;
    let phase = TAU * hz * t + 1.3 * m + 0.4 * libm::sin(0.07 * t + m);
    70.0 + 5.0 * m + (8.0 + m) * libm::cos(phase + 0.35 * libm::sin(phase)) + 0.02 * t
}

fn sent(members: usize, rate: i64, seconds: i64, value: impl Fn(usize, f64) -> f64) -> Vec<Sent> {
    let mut sent = Vec::new();
    for n in 0..rate * seconds {
        let at = n * 1_000_000 / rate;
        sent.extend((0..members).map(|member| (at, member, at, value(member, at as f64 * 1e-6))));
    }
    sent
}

/// Everything that is read of `sent`, in the order given, with ticks every `tick_us`.
fn read(tier: Tier, members: usize, sent: &[Sent], tick_us: i64, parallel: bool) -> Heard {
    let mut ensemble = Ensemble::new(Signal::Breath, tier, members);
    let mut filters = Filters::default();
    let mut heard = Heard::default();
    let end = sent.iter().map(|(arrival, ..)| *arrival).max().unwrap_or(0);
    let mut sent = sent.iter().peekable();
    let mut now = 0;
    while now <= end + tick_us {
        while let Some((_, member, at, value)) = sent.next_if(|(arrival, ..)| *arrival <= now) {
            ensemble.person(*member).hear(*at, *value, now);
        }
        ensemble.advance(now, &mut filters, parallel, |reading, people| {
            heard.readings.push(*reading);
            heard.states.push(people.iter().map(|person| person.state().err()).collect());
        });
        now += tick_us;
    }
    heard.people = ensemble.people().to_vec();
    heard
}

#[derive(Default)]
struct Heard {
    readings: Vec<Reading>,
    states: Vec<Vec<Option<Unmeasurable>>>,
    people: Vec<Person>,
}

impl Heard {
    /// Why a member had no phase at the end; `None` when it had.
    fn at_the_end(&self, member: usize) -> Option<Unmeasurable> {
        self.states.last().expect("something was read")[member]
    }
}

/// Both say the same of every instant that both say something of, to within `tolerance`; returns of
/// how many.
fn agree(one: &Heard, other: &Heard, tolerance: f64) -> usize {
    let mut count = 0;
    for (reading, states) in one.readings.iter().zip(&one.states) {
        let Some(place) = other.readings.iter().position(|same| same.at_us == reading.at_us) else {
            continue;
        };
        let same = &other.readings[place];
        assert_eq!(*states, other.states[place], "why not, at {} us", reading.at_us);
        if let (Some(a), Some(b)) = (reading.order, same.order) {
            count += 1;
            assert!((a.r - b.r).abs() <= tolerance, "{reading:?} {same:?}");
            assert!((a.kappa - b.kappa).abs() <= 4.0 * tolerance, "{reading:?} {same:?}");
        }
    }
    count
}

#[test]
fn a_reading_is_of_the_instant_that_lies_the_latency_back() {
    for tier in Tier::ALL {
        let heard = read(tier, 3, &sent(3, 10, 40, breath), 100_000, false);
        let last = heard.readings.last().unwrap();
        assert_eq!(last.at_us, 39_900_000 - tier.latency_ms() as i64 * 1_000, "{tier:?}");
        assert_eq!(last.measurable, 3);
        let steps = heard.readings.windows(2).map(|pair| pair[1].at_us - pair[0].at_us);
        assert!(steps.into_iter().all(|step| step == 100_000), "no instant is left out");
        let first = heard.readings.iter().find(|reading| reading.order.is_some()).unwrap();
        assert!(first.at_us <= 15_000_000, "{tier:?}: from {} on", first.at_us);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The figure that the original fails worst.
    #[test]
    fn batching_and_the_order_of_arrival_change_nothing(
        seed: u64,
        tier in prop::sample::select(&Tier::ALL[..2]),
        tick_us in prop::sample::select(&[4_000i64, 20_000, 100_000, 170_000][..]),
    ) {
        let straight = sent(4, 10, 60, breath);
        let mut chance = Chance::new(seed);
        // Each member's samples leave in batches of chance, up to two seconds long, that arrive
        // when their last sample was taken; within a batch they lie in any order.
        let mut batched = Vec::new();
        for member in 0..4 {
            let mut own: Vec<Sent> =
                straight.iter().filter(|(_, who, ..)| *who == member).copied().collect();
            let mut rest = &mut own[..];
            while !rest.is_empty() {
                let (batch, others) = rest.split_at_mut((1 + chance.below(20)).min(rest.len()));
                let arrival = batch.last().unwrap().2;
                chance.shuffle(batch);
                batched.extend(batch.iter().map(|(_, who, at, value)| (arrival, *who, *at, *value)));
                rest = others;
            }
        }
        batched.sort_by_key(|(arrival, ..)| *arrival);
        let one = read(tier, 4, &straight, 100_000, false);
        let other = read(tier, 4, &batched, tick_us, false);
        let count = agree(&one, &other, 1e-9);
        prop_assert!(count > 300, "{}", count);
    }
}

#[test]
fn samples_that_come_late_one_by_one_change_nothing_within_the_hold() {
    let straight = sent(3, 25, 60, breath);
    let mut chance = Chance::new(5);
    let mut late: Vec<Sent> = straight
        .iter()
        .map(|(arrival, who, at, value)| {
            (arrival + chance.below(300_000) as i64, *who, *at, *value)
        })
        .collect();
    late.sort_by_key(|(arrival, ..)| *arrival);
    assert_ne!(
        late.iter().map(|s| s.2).collect::<Vec<_>>(),
        straight.iter().map(|s| s.2).collect::<Vec<_>>()
    );
    let (one, other) = (
        read(Tier::Confirmed, 3, &straight, 20_000, false),
        read(Tier::Confirmed, 3, &late, 20_000, false),
    );
    assert!(agree(&one, &other, 1e-9) > 400);
    assert_eq!(other.people.iter().map(Person::late).sum::<u64>(), 0);
}

#[test]
fn the_rate_of_sampling_changes_less_than_five_thousandths() {
    for tier in Tier::ALL {
        let at = |rate| read(tier, 4, &sent(4, rate, 60, breath), 100_000, false);
        let slow = at(10);
        for rate in [25, 50, 360, 1000] {
            assert!(agree(&slow, &at(rate), 5e-3) > 300, "{rate} Hz");
        }
        // Everybody at a rate of their own.
        let mut mixed: Vec<Sent> = [10, 25, 50, 14]
            .into_iter()
            .enumerate()
            .flat_map(|(who, rate)| {
                sent(4, rate, 60, breath).into_iter().filter(move |(_, member, ..)| *member == who)
            })
            .collect();
        mixed.sort_by_key(|(arrival, ..)| *arrival);
        assert!(agree(&slow, &read(tier, 4, &mixed, 100_000, false), 5e-3) > 300);
    }
}

#[test]
fn units_change_nothing() {
    let plain = read(Tier::Confirmed, 3, &sent(3, 25, 60, breath), 100_000, false);
    for (scale, offset) in [(1e-3, 0.0), (4095.0, 0.0), (-1.0, 0.0), (1.0, 1e6), (1e-6, 5.0)] {
        let other = |member: usize, t: f64| offset + scale * breath(member, t);
        let other = read(Tier::Confirmed, 3, &sent(3, 25, 60, other), 100_000, false);
        assert!(agree(&plain, &other, 1e-6) > 300, "{scale} {offset}");
    }
}

#[test]
fn threads_change_no_bit() {
    let members = 200;
    let samples = sent(members, 10, 30, breath);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let heard = pool.install(|| read(Tier::Prompt, members, &samples, 100_000, threads > 1));
        let bits =
            |r: &Reading| r.order.map(|o| (o.r.to_bits(), o.kappa.to_bits(), o.phase.to_bits()));
        heard.readings.iter().map(bits).collect::<Vec<_>>()
    };
    let one = bits(1);
    assert!(one.iter().flatten().count() > 100);
    assert_eq!(one, bits(2));
    assert_eq!(one, bits(8));
}

/// Two people who breathe and one who does `what`.
fn beside(seconds: i64, what: impl Fn(f64) -> Option<f64>) -> Heard {
    let mut samples = sent(2, 25, seconds, breath);
    for n in 0..25 * seconds {
        let at = n * 40_000;
        if let Some(value) = what(at as f64 * 1e-6) {
            samples.push((at, 2, at, value));
        }
    }
    samples.sort_by_key(|(arrival, ..)| *arrival);
    read(Tier::Confirmed, 3, &samples, 40_000, false)
}

fn noise(t: f64) -> f64 {
    Chance::new((t * 1e6) as u64).part()
}

#[test]
fn what_cannot_be_measured_is_told_with_its_reason_and_never_a_number() {
    let same = |t: f64| breath(0, t);
    let cases: [(&str, Unmeasurable, Box<dyn Fn(f64) -> Option<f64>>); 9] = [
        ("nothing", Unmeasurable::Silent, Box::new(|_| None)),
        ("a constant", Unmeasurable::Flat, Box::new(|_| Some(3.7))),
        ("no number", Unmeasurable::NoNumbers, Box::new(|_| Some(f64::NAN))),
        ("an infinity", Unmeasurable::NoNumbers, Box::new(|_| Some(f64::INFINITY))),
        ("clipped", Unmeasurable::Clipped, Box::new(move |t| Some(same(t).clamp(66.0, 74.0)))),
        ("noise", Unmeasurable::NoRhythm, Box::new(|t| Some(noise(t)))),
        ("a slow sway", Unmeasurable::NoRhythm, Box::new(|t| Some(9.0 * libm::sin(0.2 * t)))),
        (
            "dropped every few seconds",
            Unmeasurable::Gap,
            Box::new(move |t| (t % 8.0 < 5.0).then(|| same(t))),
        ),
        (
            "a held breath",
            Unmeasurable::Weak,
            Box::new(move |t| {
                Some(if t > 76.0 { 70.0 + 0.1 * libm::sin(1.6 * t) } else { same(t) })
            }),
        ),
    ];
    for (what, why, value) in cases {
        let heard = beside(90, value);
        assert_eq!(heard.at_the_end(2), Some(why), "{what}");
        let last = heard.readings.last().unwrap();
        assert_eq!((last.members, last.measurable), (3, 2), "{what}: the others are read");
    }
}

#[test]
fn what_is_merely_untidy_is_measured_as_if_it_were_tidy() {
    let tidy = beside(60, |t| Some(breath(2, t)));
    // Every sample three times, every tenth missing.
    let mut samples = sent(2, 25, 60, breath);
    for n in (0..25 * 60).filter(|n| n % 10 != 3) {
        let at = n * 40_000;
        samples.extend([(at, 2, at, breath(2, at as f64 * 1e-6)); 3]);
    }
    samples.sort_by_key(|(arrival, ..)| *arrival);
    let untidy = read(Tier::Confirmed, 3, &samples, 40_000, false);
    assert!(agree(&tidy, &untidy, 5e-3) > 300);
}

#[test]
fn a_wrong_clock_is_told_and_one_that_is_merely_elsewhere_is_not() {
    let with_clock = |says: fn(i64) -> i64| {
        let mut samples = sent(2, 25, 90, breath);
        for n in 0..25 * 90 {
            let at = n * 40_000;
            samples.push((at, 2, says(at), breath(2, at as f64 * 1e-6)));
        }
        samples.sort_by_key(|(arrival, ..)| *arrival);
        read(Tier::Confirmed, 3, &samples, 40_000, false)
    };
    for wrong in [|t: i64| t / 1000, |t: i64| t * 1000, |_| 5, |t: i64| t + t / 50] {
        assert_eq!(with_clock(wrong).at_the_end(2), Some(Unmeasurable::WrongClock));
    }
    let straight = with_clock(|t| t);
    let hours_off = with_clock(|t| t + 7_200_000_000);
    assert_eq!(hours_off.at_the_end(2), None);
    let (a, b) = (straight.readings.last().unwrap(), hours_off.readings.last().unwrap());
    let (a, b) = (a.order.unwrap(), b.order.unwrap());
    assert!((a.r - b.r).abs() < 0.02, "{a:?} {b:?}");
}

#[test]
fn when_all_clocks_are_set_back_the_readings_begin_anew() {
    let mut samples = sent(3, 10, 120, breath);
    for sample in samples.iter_mut().filter(|(arrival, ..)| *arrival >= 60_000_000) {
        sample.2 -= 60_000_000;
    }
    let heard = read(Tier::Confirmed, 3, &samples, 100_000, false);
    let last = heard.readings.last().unwrap();
    assert!((50_000_000..=52_000_000).contains(&last.at_us), "{last:?}");
    let after: Vec<&Reading> =
        heard.readings.iter().skip_while(|reading| reading.at_us < 50_000_000).collect();
    assert!(after.iter().any(|reading| reading.at_us < 20_000_000 && reading.order.is_none()));
    assert_eq!(last.measurable, 3, "once they have been followed for long enough");
}

#[test]
fn whoever_falls_silent_is_no_part_of_any_number_and_the_rest_goes_on() {
    let mut samples = sent(3, 10, 120, breath);
    samples.retain(|(at, member, ..)| *member != 1 || *at < 40_000_000);
    let heard = read(Tier::Prompt, 3, &samples, 100_000, false);
    let measurable = |at_s: i64| {
        heard.readings.iter().find(|r| r.at_us == at_s * 1_000_000).map(|r| r.measurable)
    };
    assert_eq!(measurable(35), Some(3));
    assert_eq!(measurable(45), Some(2), "not waited for longer than {GRACE_US} us");
    assert_eq!(heard.at_the_end(1), Some(Unmeasurable::Silent));
    assert!(heard.people[1].grid.cells.is_empty(), "after a minute nothing of them is left");
}

#[test]
fn random_walks_are_seldom_taken_for_a_rhythm() {
    let (mut measured, mut all) = (0, 0);
    for seed in 0..20 {
        let mut chance = Chance::new(seed);
        let mut walk = 0.0;
        let steps: Vec<f64> = (0..3_000)
            .map(|_| {
                walk += chance.part() - 0.5;
                walk
            })
            .collect();
        let value = |member: usize, t: f64| match member {
            0 => breath(0, t),
            _ => steps[((t * 10.0).round() as usize).min(2_999)],
        };
        let heard = read(Tier::Confirmed, 2, &sent(2, 10, 300, value), 100_000, false);
        all += heard.states.len();
        measured += heard.states.iter().filter(|states| states[1].is_none()).count();
    }
    let share = measured as f64 / all as f64;
    assert!(share < 0.15, "{share}");
}

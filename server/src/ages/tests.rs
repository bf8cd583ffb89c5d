use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn counted(ages: impl IntoIterator<Item = Duration>) -> Counts {
    let histogram = Histogram::default();
    ages.into_iter().for_each(|age| histogram.record(age));
    histogram.counts()
}

fn sample(at: u64) -> Sample {
    let (sensor_id, attribute_id) = ("s".into(), "ecg".into());
    Sample { stream: 7, at, class: Class::Bio, sensor_id, attribute_id }
}

#[test]
fn bounds_are_a_twelfth_of_a_decade_apart_and_hold_the_promise() {
    assert_eq!(BOUNDS_MICROS[..3], [100, 120, 150]);
    assert_eq!(BOUNDS_MICROS[60], 10_000_000);
    assert!(BOUNDS_MICROS.windows(2).all(|pair| pair[0] < pair[1] && pair[1] * 10 <= pair[0] * 13));
    assert!(BOUNDS_MICROS.contains(&150_000));
}

#[test]
fn an_age_on_a_bound_is_at_most_that() {
    let counts = counted([MS(150), Duration::from_micros(150_001), Duration::ZERO, MS(60_000)]);
    assert_eq!((counts.at_most(100), counts.at_most(150_000), counts.at_most(180_000)), (1, 2, 3));
    assert_eq!((counts.at_most(10_000_000), counts.total()), (3, 4));
    assert_eq!(counts.seconds(), 60.300_001);
}

/// The true quantiles of 1, 2, .. 1000 ms are 500, 950 and 990.
#[test]
fn quantiles_are_right_to_a_tenth() {
    let counts = counted((1..=1000).map(MS));
    for (quantile, truth) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
        let found = counts.quantile_ms(quantile).unwrap();
        assert!((found - truth).abs() < truth * 0.1, "{quantile}: {found}");
    }
    assert_eq!(Counts::default().quantile_ms(0.99), None);
    assert_eq!(counted([MS(3_600_000)]).quantile_ms(0.99), Some(10_000.0), "older than all bounds");
    let two = counted([MS(1), MS(100)]);
    assert_eq!((two.quantile_ms(0.0), two.quantile_ms(1.0)), (Some(1.0), Some(100.0)));
}

#[test]
fn a_clock_that_is_off_tells_no_age() {
    assert_eq!(device_age(1000, 1040), Some(MS(40)));
    assert_eq!(device_age(1500, 1000), Some(Duration::ZERO), "half a second ahead");
    assert_eq!(device_age(0, CLOCK_MS_MAX), Some(MS(10_000)));
    assert_eq!(device_age(0, CLOCK_MS_MAX + 1), None, "a board that counts from its start");
    assert_eq!(device_age(i64::MAX, i64::MIN), None);
}

#[test]
fn a_followed_sample_says_when_it_was_where() {
    let ages = Ages::default();
    let trace = ages.follow(sample(41), Some(MS(20)), MS(3));
    assert_eq!((trace.flush(), trace.written(), trace.viewers()), (None, None, 0));
    let queued = Instant::now();
    let to_one = ages.stamp(&trace, MS(5));
    let to_other = ages.stamp(&trace, MS(6));
    assert_eq!(ages.written(queued, &[to_other], queued + MS(70)), MS(70));
    ages.written(queued, &[to_one], queued + MS(10));
    ages.written(queued, &[], queued + MS(1));
    assert_eq!(trace.flush(), Some(MS(8)), "3 + 5, the earlier");
    assert_eq!((trace.written(), trace.viewers()), (Some(MS(79)), 2), "3 + 6 + 70, the later");
    let counts = ages.counts();
    let of = |stage: Stage| {
        let counts = counts[stage as usize][Class::Bio as usize];
        (counts.total(), (counts.seconds() * 1000.0).round())
    };
    assert_eq!(of(Stage::Device), (1, 20.0));
    assert_eq!(of(Stage::Intake), (1, 3.0));
    assert_eq!(of(Stage::Route), (2, 11.0));
    assert_eq!(of(Stage::Outbox), (2, 80.0));
    assert_eq!(of(Stage::Delivery), (2, 97.0));
    assert_eq!(counts[Stage::Delivery as usize][Class::Motion as usize].total(), 0);
    assert_eq!(ages.messages().total(), 3);
}

#[test]
fn sixty_four_followed_samples_are_remembered_the_newest_first() {
    let ages = Ages::default();
    for at in 0..70 {
        ages.follow(sample(at), None, MS(0));
    }
    let traces = ages.traces();
    assert_eq!(traces.len(), TRACE_COUNT_MAX);
    assert_eq!((traces[0].sample.at, traces[63].sample.at), (69, 6));
}

#[test]
fn what_is_recent_is_forgotten_after_ten_seconds() {
    let (ages, mut recent, began) = (Ages::default(), Recent::default(), Instant::now());
    let trace = ages.follow(sample(0), None, MS(0));
    let mut at = |ages: &Ages, seconds: u64| {
        let now = began + Duration::from_secs(seconds);
        let counts = recent.look(now, &ages.counts());
        counts[Stage::Delivery as usize][Class::Bio as usize].total()
    };
    ages.written(began, &[ages.stamp(&trace, MS(0))], began);
    assert_eq!(at(&ages, 0), 1);
    for second in 1..10 {
        assert_eq!(at(&ages, second), 1, "after {second} s");
    }
    ages.written(began, &[ages.stamp(&trace, MS(0))], began);
    assert_eq!(at(&ages, 10), 1, "the first is ten seconds old");
    assert_eq!(at(&ages, 15), 1);
    for second in 16..30 {
        at(&ages, second);
    }
    assert_eq!(at(&ages, 30), 0);
}

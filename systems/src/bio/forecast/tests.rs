use super::*;
use crate::bio::correlation::Correlation;

/// A Monday's midnight.
const MONDAY_S: f64 = 1_795_392_000.0;
const SENSORS: u64 = 60;

struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, count: u64) -> u64 {
        (self.uniform() * count as f64) as u64
    }
}

/// How people look on a day: (second of the day, sensor).
type Day = fn(&mut Chance, u64) -> Vec<(f64, Key)>;

/// Each sensor is looked at around its own time of the day, thrice on a working day, and now and
/// then.
fn habitual(chance: &mut Chance, day: u64) -> Vec<(f64, Key)> {
    let mut looks = aimless(chance, day);
    looks.truncate(looks.len() / 4);
    for sensor in 0..SENSORS {
        let at_s = 28_800.0 + (sensor % 4) as f64 * 7200.0;
        for _ in 0..if day % 7 < 5 { 3 } else { 0 } {
            looks.push((at_s + 1200.0 * (chance.uniform() - 0.5), sensor));
        }
    }
    looks
}

/// At any time, any sensor.
fn aimless(chance: &mut Chance, _: u64) -> Vec<(f64, Key)> {
    (0..3 * SENSORS).map(|_| (chance.uniform() * DAY_S, chance.below(SENSORS))).collect()
}

/// Whoever looks comes back a few times within minutes.
fn returning(chance: &mut Chance, day: u64) -> Vec<(f64, Key)> {
    let mut looks = aimless(chance, day);
    looks.truncate(looks.len() / 3);
    for n in 0..looks.len() {
        let (mut at_s, sensor) = looks[n];
        for _ in 0..2 {
            at_s += 60.0 + 500.0 * chance.uniform();
            looks.push((at_s.min(DAY_S - 1.0), sensor));
        }
    }
    looks
}

/// Whoever looks at an even sensor looks at the odd one after it within the next minutes.
fn following(chance: &mut Chance, _: u64) -> Vec<(f64, Key)> {
    let mut looks = Vec::new();
    for _ in 0..2 * SENSORS {
        let (at_s, pair) = (chance.uniform() * (DAY_S - 400.0), chance.below(SENSORS / 2));
        looks.push((at_s, 2 * pair));
        looks.push((at_s + 20.0 + 150.0 * chance.uniform(), 2 * pair + 1));
    }
    looks
}

struct World {
    forecast: Forecast,
    correlation: Correlation,
    chance: Chance,
    day: u64,
}

impl World {
    fn new() -> Self {
        let (forecast, correlation) = (Forecast::new(60), Correlation::default());
        Self { forecast, correlation, chance: Chance(9), day: 0 }
    }

    fn now_s(&self) -> f64 {
        MONDAY_S + self.day as f64 * DAY_S
    }

    /// So many days, in which the referee is asked every minute.
    fn live(&mut self, days: u64, looks: Day) -> &mut Self {
        for _ in 0..days {
            let mut looks = looks(&mut self.chance, self.day);
            looks.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut looks = looks.into_iter().peekable();
            for minute in 1..=1440 {
                let to_s = 60.0 * f64::from(minute);
                while let Some((at_s, sensor)) = looks.next_if(|look| look.0 < to_s) {
                    let unix_s = self.now_s() + at_s;
                    // Who comes to an odd sensor has just been at the even one.
                    let beside = [sensor.saturating_sub(1)];
                    let beside = if sensor % 2 == 1 { &beside[..] } else { &[] };
                    self.correlation.look(sensor, beside, unix_s);
                    self.forecast.look(sensor, self.correlation.peers(sensor), unix_s);
                }
                self.forecast.step(self.now_s() + to_s);
            }
            self.day += 1;
        }
        self
    }
}

#[test]
fn habits_are_learnt_and_beat_no_prediction() {
    let mut world = World::new();
    world.live(14, habitual);
    let referee = *world.forecast.referee();
    assert!(referee.is_on(), "{referee:?}");
    let (with, without) = referee.brier();
    assert!(with < 0.97 * without, "{referee:?}");

    // Day 14 is a Monday. Sensor 1's time is 10:00 UTC.
    let chance = |hour: f64| {
        world.forecast.outlook(1, world.now_s() + hour * 3600.0, HORIZON_S).unwrap().chance
    };
    assert!(chance(9.95) > 0.08, "{}", chance(9.95));
    assert!(chance(9.95) > 10.0 * chance(3.0), "{} at 3, {}", chance(3.0), chance(9.95));
    assert!(chance(9.95) > 5.0 * chance(12.0), "{} at 12, {}", chance(12.0), chance(9.95));
}

#[test]
fn weekends_differ_after_two_weeks() {
    let mut world = World::new();
    world.live(28, habitual);
    let at = |day: f64| {
        let unix_s = world.now_s() + day * DAY_S + 9.95 * 3600.0;
        world.forecast.outlook(1, unix_s, HORIZON_S).unwrap().chance
    };
    assert!(at(1.0) > 2.0 * at(5.0), "Tuesday {}, Saturday {}", at(1.0), at(5.0));
}

#[test]
fn what_cannot_be_foretold_is_not() {
    let mut world = World::new();
    for day in 0..21 {
        world.live(1, aimless);
        assert!(!world.forecast.referee().is_on(), "day {day}: {:?}", world.forecast.referee());
    }
    let outlook = world.forecast.outlook(1, world.now_s(), HORIZON_S).unwrap();
    assert_eq!((outlook.factor, outlook.confidence), (1.0, 0.0));
    let mut warm = Vec::new();
    world.forecast.survey(world.now_s(), 1000, &mut warm);
    assert_eq!(warm, vec![]);
}

#[test]
fn it_falls_silent_when_habits_end_and_speaks_when_they_return() {
    let mut world = World::new();
    assert!(world.live(14, habitual).forecast.referee().is_on());
    let days = |world: &mut World, looks: Day, on: bool| {
        (1..40).find(|_| world.live(1, looks).forecast.referee().is_on() == on)
    };
    let silent = days(&mut world, aimless, false);
    assert!(silent.is_some_and(|days| days <= 7), "after {silent:?} days");
    let again = days(&mut world, habitual, true);
    assert!(again.is_some_and(|days| days <= 21), "after {again:?} days");
}

#[test]
fn who_was_just_looked_at_will_be_again_where_people_return() {
    let mut world = World::new();
    world.live(7, returning);
    assert!(world.forecast.referee().is_on(), "{:?}", world.forecast.referee());
    let now_s = world.now_s() + 40_000.0;
    let before = world.forecast.outlook(3, now_s, HORIZON_S).unwrap().chance;
    world.forecast.look(3, [], now_s);
    let after = world.forecast.outlook(3, now_s, HORIZON_S).unwrap().chance;
    let later = world.forecast.outlook(3, now_s + 7200.0, HORIZON_S).unwrap().chance;
    assert!(after > 5.0 * before && after > 0.15, "{before} to {after}");
    assert!(later < 1.2 * before, "{before}, {later} later");
}

#[test]
fn company_counts_where_it_earns_it_and_only_there() {
    let mut world = World::new();
    world.live(10, following);
    let on = *world.forecast.company_referee();
    assert!(on.is_on(), "{on:?}");
    let now_s = world.now_s() + 40_000.0;
    let chance = |world: &World| world.forecast.outlook(5, now_s, HORIZON_S).unwrap().chance;
    let before = chance(&world);
    world.forecast.look(4, world.correlation.peers(4), now_s);
    assert!(chance(&world) > 0.3, "{before} to {}", chance(&world));
    for looks in [aimless, returning] {
        let mut world = World::new();
        world.live(10, looks);
        assert!(!world.forecast.company_referee().is_on());
    }
}

/// The original's factor was 1.95 an hour ahead of a peak: a slow-down.
#[test]
fn advice_never_slows_down() {
    let mut world = World::new();
    world.live(14, habitual);
    let mut least: f64 = 1.0;
    for minute in 0..2 * 1440 {
        let unix_s = world.now_s() + f64::from(minute) * 60.0;
        for sensor in (0..SENSORS).step_by(7) {
            for horizon_s in [0.0, 30.0, HORIZON_S, 7200.0, f64::INFINITY, f64::NAN, -1.0] {
                let outlook = world.forecast.outlook(sensor, unix_s, horizon_s).unwrap();
                assert!((FACTOR_MIN..=1.0).contains(&outlook.factor), "{outlook:?}");
                assert!((0.0..=1.0).contains(&outlook.chance), "{outlook:?}");
                least = least.min(outlook.factor);
            }
        }
    }
    assert!(least < 0.9, "{least}");
}

#[test]
fn a_survey_finds_whose_time_has_come_and_goes_round_all() {
    let mut world = World::new();
    world.live(14, habitual);
    let mut found = |hour: f64| -> Vec<Key> {
        let mut warm = Vec::new();
        for _ in 0..6 {
            world.forecast.survey(world.now_s() + hour * 3600.0, 10, &mut warm);
        }
        let mut keys: Vec<Key> = warm.iter().map(|outlook| outlook.key).collect();
        keys.sort_unstable();
        keys
    };
    let expected: Vec<Key> = (0..SENSORS).filter(|sensor| sensor % 4 == 1).collect();
    assert_eq!(found(9.95), expected);
    assert_eq!(found(3.0), Vec::<Key>::new());
}

#[test]
fn the_table_is_bounded_and_keeps_who_is_looked_at() {
    let mut it = Forecast::default();
    for n in 0..20 {
        it.look(1, [], f64::from(n));
    }
    for n in 0..3 * SENSOR_COUNT_MAX as u64 {
        it.look(100 + n, [(1, 0.5), (99, 1.0)], 20.0 + n as f64 * 0.01);
        it.step(20.0 + n as f64 * 0.01);
    }
    assert_eq!((it.len(), it.places.len()), (SENSOR_COUNT_MAX, SENSOR_COUNT_MAX));
    assert!(it.outlook(1, 600.0, 60.0).is_some() && it.outlook(99, 600.0, 60.0).is_none());
    assert!(it.pending.len() <= ROUND_COUNT_MAX);
    for (key, &place) in &it.places {
        assert_eq!(it.habits[place as usize].key, *key);
    }
}

#[test]
fn times_that_run_backwards_or_are_none_do_no_harm() {
    let mut it = Forecast::default();
    it.step(5.0);
    it.look(1, [], f64::NAN);
    assert!(it.is_empty());
    for unix_s in [1e9, 5.0, -1e9, 1e12, f64::INFINITY, 1e9] {
        it.look(2, [(2, f64::NAN), (2, 5.0)], unix_s);
        it.step(unix_s);
        it.step(f64::NAN);
        let outlook = it.outlook(2, unix_s, HORIZON_S).unwrap();
        assert!(outlook.chance > 0.0 && outlook.chance < 1.0, "{outlook:?} at {unix_s}");
    }
}

#[test]
fn a_forecast_goes_on_from_its_bytes() {
    let mut world = World::new();
    world.live(3, habitual);
    let mut out = Writer::behind(0);
    world.forecast.write(&mut out);
    let read = Forecast::read(&mut Reader::new(&out.out)).unwrap();
    assert_eq!(read, world.forecast);
    for cut in (0..out.out.len()).step_by(7) {
        assert!(Forecast::read(&mut Reader::new(&out.out[..cut])).is_err(), "cut at {cut}");
    }
    world.forecast = read;
    assert!(world.live(11, habitual).forecast.referee().is_on());
}

#[test]
fn days_and_their_times_are_local() {
    // Half past eleven in the evening, UTC; days are counted from Thursday on.
    let late_s = MONDAY_S + 23.5 * 3600.0;
    assert_eq!(Forecast::new(0).local(late_s), (94.0, 4));
    assert_eq!(Forecast::new(90).local(late_s), (4.0, 5));
    assert_eq!(Forecast::new(-24 * 60).local(late_s), (94.0, 3));
}

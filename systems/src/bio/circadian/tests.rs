use super::*;

/// A working day: low at night, most at 10 and 15 o'clock, local.
fn office(hour: f64) -> f64 {
    let bump = |at: f64, width: f64| {
        let off = (hour - at + 12.0).rem_euclid(24.0) - 12.0;
        libm::exp(-0.5 * (off / width) * (off / width))
    };
    0.15 + 0.5 * bump(10.0, 2.0) + 0.45 * bump(15.0, 2.5)
}

fn noise(n: u64) -> f64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

/// Learns minute by minute, from a Monday's midnight UTC on.
fn live(it: &mut Circadian, from_day: u64, days: u64, load: impl Fn(f64, u64) -> f64) {
    for minute in from_day * 1440..(from_day + days) * 1440 {
        let unix_s = 1_795_392_000.0 + minute as f64 * 60.0;
        let local = unix_s / 3600.0 + f64::from(it.utc_offset_minutes) / 60.0;
        it.learn(unix_s, load(local.rem_euclid(24.0), minute));
    }
}

fn at(it: &Circadian, day: u64, local_hour: f64) -> f64 {
    let hour = local_hour - f64::from(it.utc_offset_minutes) / 60.0;
    it.factor(1_795_392_000.0 + day as f64 * DAY_S + hour * 3600.0)
}

#[test]
fn who_knows_nothing_changes_nothing() {
    let it = Circadian::default();
    assert!((0..24).all(|hour| at(&it, 0, f64::from(hour)) == 1.0));
    assert_eq!(it.skill(), 0.0);
}

#[test]
fn a_rhythm_is_learnt_in_local_time() {
    for utc_offset_minutes in [0, 330, -480] {
        let mut it = Circadian::new(utc_offset_minutes);
        live(&mut it, 0, 10, |hour, n| office(hour) + 0.1 * noise(n));
        assert!(it.skill() > 0.6, "{}", it.skill());
        assert!(at(&it, 10, 10.0) > 1.08, "{}", at(&it, 10, 10.0));
        assert!(at(&it, 10, 15.0) > 1.08, "{}", at(&it, 10, 15.0));
        assert!(at(&it, 10, 3.0) < 0.95, "{}", at(&it, 10, 3.0));
        let peak = (0..96).max_by(|&a, &b| {
            at(&it, 10, f64::from(a) / 4.0).total_cmp(&at(&it, 10, f64::from(b) / 4.0))
        });
        let peak = f64::from(peak.unwrap()) / 4.0;
        assert!((9.0..16.5).contains(&peak), "at {utc_offset_minutes}: {peak} o'clock");
    }
}

/// Where the original learnt nothing and swung by a sine of ninety minutes.
#[test]
fn load_without_a_rhythm_leaves_the_factor_at_one() {
    let mut it = Circadian::default();
    // Noise that is correlated over an hour, as loads are.
    live(&mut it, 0, 14, |_, n| 0.5 + 0.4 * noise(n / 60) + 0.2 * noise(n + 1_000_000));
    let most = (0..96).map(|n| (at(&it, 14, f64::from(n) / 4.0) - 1.0).abs()).fold(0.0, f64::max);
    assert!(most < 0.01, "{most}");
}

#[test]
fn it_is_smooth_at_midnight_and_everywhere_and_within_its_bounds() {
    let mut it = Circadian::default();
    live(&mut it, 0, 20, |hour, _| if (8.0..18.0).contains(&hour) { 1.0 } else { 0.0 });
    let of = |minute: u64| at(&it, 20, minute as f64 / 60.0);
    for minute in 0..2880 {
        let (now, next) = (of(minute), of(minute + 1));
        assert!((next - now).abs() < 0.004, "{minute}: {now} to {next}");
        assert!((FACTOR_MIN..=FACTOR_MAX).contains(&now), "{now}");
    }
    assert!(of(13 * 60) == FACTOR_MAX && of(2 * 60) == FACTOR_MIN, "{} {}", of(780), of(120));
}

#[test]
fn evidence_is_believed_little_by_little() {
    let mut it = Circadian::default();
    let mut before = 0.0;
    for day in 0..4 {
        live(&mut it, day, 1, |hour, _| office(hour));
        let now = at(&it, day + 1, 10.0) - 1.0;
        assert!(now >= before - 1e-9, "day {day}: {before} to {now}");
        assert!(day > 0 || now < 0.07, "after a day: {now}");
        before = now;
    }
    assert!(before > 0.05, "{before}");
}

#[test]
fn a_rhythm_that_ends_loses_its_say() {
    let mut it = Circadian::default();
    live(&mut it, 0, 20, |hour, _| office(hour));
    assert!(at(&it, 20, 10.0) > 1.1);
    live(&mut it, 20, 12, |_, n| 0.35 + 0.3 * noise(n / 60));
    let left = (at(&it, 32, 10.0) - 1.0).abs();
    assert!(left < 0.03, "{left}");
    live(&mut it, 32, 20, |hour, _| office((hour + 12.0).rem_euclid(24.0)));
    assert!(at(&it, 52, 22.0) > 1.05, "{}", at(&it, 52, 22.0));
}

#[test]
fn what_is_no_number_or_runs_backwards_teaches_nothing() {
    let mut it = Circadian::default();
    live(&mut it, 0, 3, |hour, _| office(hour));
    let before = it.clone();
    it.learn(f64::NAN, 0.5);
    it.learn(1_795_392_000.0, f64::INFINITY);
    assert_eq!(it, before);
    it.learn(1_795_392_000.0, 0.5);
    assert_eq!(it.amplitudes, before.amplitudes);
    assert_eq!(it.factor(f64::NAN), 1.0);
    // A gap of a year is worth a quarter of an hour.
    it.learn(1_795_392_000.0 + 365.0 * DAY_S, 1.0);
    assert!((it.skill() - before.skill()).abs() < 0.05);
}

#[test]
fn a_rhythm_goes_on_from_its_bytes() {
    let mut it = Circadian::new(-90);
    live(&mut it, 0, 3, |hour, _| office(hour));
    let mut out = Writer::behind(0);
    it.write(&mut out);
    assert_eq!(Circadian::read(&mut Reader::new(&out.out)), Ok(it));
    for cut in 0..out.out.len() {
        assert!(Circadian::read(&mut Reader::new(&out.out[..cut])).is_err(), "cut at {cut}");
    }
}

use super::*;

#[test]
fn what_is_watched_one_after_the_other_is_together() {
    let mut it = Correlation::default();
    for n in 0..20 {
        it.look(1, &[], f64::from(n) * 100.0);
        it.look(2, &[1], f64::from(n) * 100.0 + 5.0);
    }
    let peers: Vec<_> = it.peers(1).collect();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].0, 2);
    assert!((peers[0].1 - 20.0 / 24.0).abs() < 0.01, "{peers:?}");
    assert_eq!(it.strength(2, 1), peers[0].1);
    assert_eq!(it.peers(2).count(), 0, "nobody goes the other way");
    assert_eq!(it.strength(1, 3), 0.0);
    assert_eq!(it.pair_count(), 1);
}

#[test]
fn once_is_chance() {
    let mut it = Correlation::default();
    for n in 0..20 {
        it.look(1, &[], f64::from(n));
    }
    it.look(2, &[1], 30.0);
    assert_eq!(it.peers(1).count(), 0);
}

#[test]
fn who_watches_everything_says_nothing() {
    let mut it = Correlation::default();
    let wall: Vec<Key> = (10..10 + BESIDE_COUNT_MAX as Key + 1).collect();
    for n in 0..50 {
        it.look(1, &wall, f64::from(n));
        it.look(10, &[], f64::from(n));
    }
    assert_eq!(it.pair_count(), 0);
    for n in 0..50 {
        it.look(1, &wall[1..], 50.0 + f64::from(n));
    }
    assert!(it.pair_count() > 0);
}

#[test]
fn seven_strong_ones_stay_among_hundreds_of_chance_comers() {
    let mut it = Correlation::default();
    for n in 0..4000u64 {
        it.look(1, &[], n as f64);
        let chance = crate::bio::key(&n.to_string());
        if chance % 8 < 7 {
            it.look(100 + chance % 8, &[1], n as f64 + 0.2);
        }
        it.look(1000 + (chance >> 8) % 500, &[1], n as f64 + 0.4);
    }
    let mut peers: Vec<_> = it.peers(1).collect();
    peers.sort_by_key(|&(key, _)| key);
    assert_eq!(peers.iter().map(|peer| peer.0).collect::<Vec<_>>(), (100..107).collect::<Vec<_>>());
    assert!(peers.iter().all(|peer| (0.08..=0.15).contains(&peer.1)), "{peers:?}");
}

#[test]
fn counts_fade_by_half_in_a_week() {
    let mut it = Correlation::default();
    for n in 0..100 {
        it.look(1, &[], f64::from(n));
        it.look(2, &[1], f64::from(n) + 0.5);
    }
    let before = it.strength(1, 2);
    it.look(1, &[], HALF_LIFE_S + 100.0);
    // Fifty of a hundred and one, of fifty-five looks and doubts.
    assert!((it.strength(1, 2) - 50.0 / 55.0).abs() < 0.01, "{before} to {}", it.strength(1, 2));
    for week in 2..8 {
        for n in 0..100 {
            it.look(1, &[], f64::from(week) * HALF_LIFE_S + f64::from(n));
        }
    }
    assert_eq!(it.strength(1, 2), 0.0);
}

#[test]
fn the_table_is_bounded_and_keeps_what_is_used() {
    let mut it = Correlation::default();
    for n in 0..SENSOR_COUNT_MAX as u64 {
        it.look(n, &[], n as f64 * 0.01);
    }
    for n in 0..40 {
        it.look(7, &[], 200.0 + f64::from(n));
        it.look(8, &[7], 200.0 + f64::from(n) + 0.5);
    }
    for n in 0..3 * SENSOR_COUNT_MAX as u64 {
        it.look(1_000_000 + n, &[], 300.0 + n as f64 * 0.01);
    }
    assert_eq!((it.len(), it.places.len()), (SENSOR_COUNT_MAX, SENSOR_COUNT_MAX));
    assert!(it.strength(7, 8) > 0.8, "{}", it.strength(7, 8));
    for (key, &place) in &it.places {
        assert_eq!(it.companies[place as usize].key, *key);
    }
}

#[test]
fn times_that_run_backwards_or_are_none_do_no_harm() {
    let mut it = Correlation::default();
    it.look(1, &[], 1e6);
    it.look(2, &[1], 10.0);
    it.look(2, &[1, 1, 2], f64::NAN);
    it.look(1, &[1], f64::INFINITY);
    assert!(it.companies.iter().all(|company| company.looks <= 1.0), "{it:?}");
}

#[test]
fn company_goes_on_from_its_bytes() {
    let mut it = Correlation::default();
    for n in 0..50u64 {
        it.look(n % 7, &[n % 5, n % 3], n as f64 * 1000.0);
    }
    let mut out = Writer::behind(0);
    it.write(&mut out);
    assert_eq!(Correlation::read(&mut Reader::new(&out.out)).as_ref(), Ok(&it));
    for cut in 0..out.out.len() {
        assert!(Correlation::read(&mut Reader::new(&out.out[..cut])).is_err(), "cut at {cut}");
    }
}

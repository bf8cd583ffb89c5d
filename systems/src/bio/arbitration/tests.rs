use proptest::prelude::*;

use super::*;

fn demand(weight: f64, asked: f64, floor: f64) -> Demand {
    Demand { weight, asked, floor }
}

fn allocate(demands: &[Demand], budget: f64) -> (Contention, Vec<f64>) {
    let mut allotted = vec![7.0];
    let contention = Arbiter::default().allocate(demands, budget, &mut allotted);
    (contention, allotted)
}

#[test]
fn where_there_is_enough_everybody_gets_what_they_asked_for() {
    let demands = [demand(0.1, 3.3, 0.0), demand(5.0, 0.1, 9.0), demand(0.0, 7.7, 1.0)];
    let (contention, allotted) = allocate(&demands, 3.3 + 0.1 + 7.7);
    assert_eq!(contention, Contention::None);
    assert_eq!(allotted, vec![3.3, 0.1, 7.7]);
    assert_eq!(allocate(&[], 0.0), (Contention::None, vec![]));
}

/// The original gave the one 4.93 where each of the others had 4.99 (`reference/core.md` 12.4).
#[test]
fn one_watched_among_99_unwatched_gets_twenty_times_the_share_of_another() {
    let mut demands = vec![demand(weight(Level::None, 0.0, 0.0), 250.0, 0.0); 100];
    demands[42].weight = weight(Level::High, 0.0, 0.0);
    let (contention, allotted) = allocate(&demands, 1000.0);
    assert!(matches!(contention, Contention::Shared { .. }));
    let ratio = allotted[42] / allotted[0];
    assert!((ratio - 19.95).abs() < 0.01, "10^1.3 = {ratio}");
    assert!((allotted[42] - 167.7).abs() < 0.1, "{} of 250", allotted[42]);
    assert!((allotted[0] - 8.41).abs() < 0.01, "{} of 250", allotted[0]);
    assert!((allotted.iter().sum::<f64>() - 1000.0).abs() < 1e-6);
}

/// A table of powers that ended at a weight of 1 made all classes equal.
#[test]
fn weights_are_relative_in_whatever_unit() {
    for unit in [1e-6, 1.0, 1e9] {
        let demands = [8.0, 4.0, 2.0].map(|weight| demand(weight * unit, 1e6, 0.0));
        let (_, allotted) = allocate(&demands, 1000.0);
        let double = libm::pow(2.0, 1.3);
        let ratios = [allotted[0] / allotted[1], allotted[1] / allotted[2]];
        assert!(ratios.iter().all(|ratio| (ratio - double).abs() < 1e-3), "{unit}: {ratios:?}");
    }
    for equal in [[0.0, 0.0], [3.0, 3.0], [f64::INFINITY, 1.0], [f64::NAN, 0.0], [-1.0, 0.0]] {
        let demands = equal.map(|weight| demand(weight, 10.0, 0.0));
        let (_, allotted) = allocate(&demands, 8.0);
        let even = allotted.iter().all(|allotted| (allotted - 4.0).abs() < 1e-9);
        assert!(even, "{equal:?}: {allotted:?}");
    }
}

#[test]
fn what_the_winner_does_not_need_goes_to_the_others() {
    let demands = [demand(1.0, 10.0, 0.0), demand(0.1, 100.0, 0.0), demand(0.1, 100.0, 0.0)];
    let (_, allotted) = allocate(&demands, 110.0);
    let expected = [10.0, 50.0, 50.0];
    assert!(allotted.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{allotted:?}");
}

#[test]
fn floors_come_first_and_are_shortened_alike_where_even_they_do_not_fit() {
    let demands = [demand(1.0, 100.0, 0.0), demand(0.01, 100.0, 40.0), demand(0.1, 5.0, 50.0)];
    let (_, allotted) = allocate(&demands, 60.0);
    assert_eq!(allotted[1], 40.0);
    let (contention, allotted) = allocate(&demands, 22.5);
    assert_eq!(contention, Contention::Starved { part: 0.5 });
    assert_eq!(allotted, vec![0.0, 20.0, 2.5]);
}

#[test]
fn what_is_no_number_asks_for_nothing() {
    let none = f64::NAN;
    let demands = [demand(none, 10.0, none), demand(1.0, none, 5.0), demand(1.0, -3.0, -9.0)];
    assert_eq!(allocate(&demands, 100.0).1, vec![10.0, 0.0, 0.0]);
    let (_, allotted) = allocate(&demands, 4.0);
    assert!((allotted[0] - 4.0).abs() < 1e-9 && allotted[1..] == [0.0, 0.0], "{allotted:?}");
    assert_eq!(allocate(&demands, none).1, vec![0.0, 0.0, 0.0]);
    let endless = [demand(1.0, f64::INFINITY, 0.0), demand(1.0, 1.0, 0.0)];
    let (_, allotted) = allocate(&endless, 10.0);
    assert!((allotted[0] - 9.0).abs() < 1e-9 && allotted[1] == 1.0, "{allotted:?}");
}

#[test]
fn ten_times_the_population_with_ten_times_the_budget_is_the_same_for_each() {
    let demands: Vec<Demand> = (0..50)
        .map(|n| demand(0.02 + f64::from(n % 7) * 0.13, f64::from(n % 11 * 20), f64::from(n % 3)))
        .collect();
    let (_, few) = allocate(&demands, 900.0);
    let (_, many) = allocate(&demands.repeat(10), 9000.0);
    for (n, allotted) in many.iter().enumerate() {
        assert!((allotted - few[n % 50]).abs() < 1e-6, "{n}: {allotted}, {}", few[n % 50]);
    }
}

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    let one = (0.0..9.0f64, 0.0..300.0f64, prop_oneof![Just(0.0), 0.0..30.0f64]);
    prop::collection::vec(
        one.prop_map(|(weight, asked, floor)| demand(weight, asked, floor)),
        1..60,
    )
}

const NEAR: f64 = 1e-6;

proptest! {
    #[test]
    fn shares_add_up_to_the_budget_between_floor_and_asked(
        demands in demands(), part in 0.0..1.3f64,
    ) {
        let asked: f64 = demands.iter().map(|demand| demand.asked).sum();
        let budget = part * asked;
        let (contention, allotted) = allocate(&demands, budget);
        let sum: f64 = allotted.iter().sum();
        prop_assert!((sum - budget.min(asked)).abs() <= NEAR * (1.0 + sum), "{sum} of {budget}");
        for (demand, &allotted) in demands.iter().zip(&allotted) {
            prop_assert!(allotted <= demand.asked);
            let starved = matches!(contention, Contention::Starved { .. });
            prop_assert!(starved || allotted >= demand.floor.min(demand.asked));
        }
    }

    /// Who is neither at its floor nor satisfied has the same share for its strength as others.
    #[test]
    fn shares_are_the_power_of_weights(demands in demands(), part in 0.01..1.0f64) {
        let asked: f64 = demands.iter().map(|demand| demand.asked).sum();
        let (contention, allotted) = allocate(&demands, part * asked);
        if let Contention::Shared { level } = contention {
            let largest = demands.iter().map(|demand| demand.weight).fold(0.0, f64::max);
            for (demand, &allotted) in demands.iter().zip(&allotted) {
                let share = level * libm::pow((demand.weight / largest).max(0.01), 1.3);
                let expected = share.max(demand.floor).min(demand.asked);
                prop_assert!((allotted - expected).abs() < 1e-3 * (0.1 + expected));
            }
        }
    }

    #[test]
    fn nobody_gets_less_for_weighing_or_asking_more_or_from_a_larger_budget(
        demands in demands(), part in 0.05..1.0f64, more in 1.0..4.0f64, which in 0..60usize,
    ) {
        let asked: f64 = demands.iter().map(|demand| demand.asked).sum();
        let (budget, which) = (part * asked, which % demands.len());
        let (_, before) = allocate(&demands, budget);
        let mut heavier = demands.clone();
        heavier[which].weight *= more;
        let mut greedier = demands.clone();
        greedier[which].asked *= more;
        for changed in [heavier, greedier] {
            let (_, after) = allocate(&changed, budget);
            prop_assert!(after[which] >= before[which] - NEAR * (1.0 + before[which]));
        }
        let (_, richer) = allocate(&demands, budget * more);
        for (richer, before) in richer.iter().zip(&before) {
            prop_assert!(*richer >= before - NEAR * (1.0 + before), "{before} to {richer}");
        }
    }
}

#[test]
fn attention_novelty_and_chance_each_weigh_their_part() {
    assert_eq!(weight(Level::High, 1.0, 1.0), 1.0);
    assert_eq!(weight(Level::None, 0.0, 0.0), 0.05);
    assert!((weight(Level::Medium, 0.5, 0.25) - 0.5).abs() < 1e-12);
    assert_eq!(weight(Level::Low, -1.0, 9.0), 0.35);
}

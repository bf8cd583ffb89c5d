//! The order of a group at one instant: R, kappa, and what strangers would read.

use components::group::Order;

use super::phasor::Phasor;

/// The 95 % quantile of R of 2 to 11 people whose phases are independent and even. For two it is
/// cos(pi/40); the others were drawn, 2 x 10^7 times each, to 3 decimals.
const NULL95: [f64; 10] =
    [0.9969, 0.9404, 0.8458, 0.7582, 0.6899, 0.6417, 0.6021, 0.5687, 0.5402, 0.5157];

/// The order of people with these unit phasors; `None` for fewer than two.
pub fn order(phasors: &[Phasor]) -> Option<Order> {
    let n = phasors.len();
    if n < 2 {
        return None;
    }
    let mean = Phasor::mean(phasors.iter().copied());
    // Rounding alone can lift the mean of equal phasors above one.
    let r = mean.norm().min(1.0);
    Some(Order { r, kappa: kappa(r, n), null95: null95(n), phase: mean.angle() })
}

/// The mean cosine between pairs of `n` people whose order parameter is `r`.
pub fn kappa(r: f64, n: usize) -> f64 {
    let n = n as f64;
    (n * r * r - 1.0) / (n - 1.0)
}

/// What R of `n` strangers stays below 95 % of the time. Beyond the table by the formula of
/// Wilkie 1983 and Zar 1999 for the Rayleigh test, which is right to 3 decimals there.
pub fn null95(n: usize) -> f64 {
    match n {
        0 | 1 => 1.0,
        2..=11 => NULL95[n - 2],
        _ => {
            let n = n as f64;
            let root = libm::log(0.05) + 1.0 + 2.0 * n;
            let whole = 1.0 + 2.0 * n;
            (0.25 * (whole * whole - root * root)).sqrt() / n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_reads_one_and_opposition_nothing() {
        let at = Phasor::from_angle;
        let lock = order(&[at(1.0); 10]).unwrap();
        assert!((lock.r - 1.0).abs() < 1e-15 && (lock.kappa - 1.0).abs() < 1e-12, "{lock:?}");
        assert!((lock.phase - 1.0).abs() < 1e-12);
        let opposed = order(&[at(0.5), at(0.5 + std::f64::consts::PI)]).unwrap();
        assert!(opposed.r < 1e-15 && (opposed.kappa + 1.0).abs() < 1e-12, "{opposed:?}");
        let quarter = order(&[at(0.0), at(std::f64::consts::FRAC_PI_2)]).unwrap();
        assert!((quarter.r - 0.5f64.sqrt()).abs() < 1e-12 && quarter.kappa.abs() < 1e-12);
        assert_eq!(order(&[at(1.0)]), None);
    }

    #[test]
    fn kappa_is_the_mean_cosine_between_pairs() {
        let angles = [0.3, 1.9, -2.2, 0.7, 3.0];
        let phasors: Vec<Phasor> = angles.iter().map(|a| Phasor::from_angle(*a)).collect();
        let mut cosines = 0.0;
        for (i, a) in angles.iter().enumerate() {
            cosines += angles[..i].iter().map(|b| libm::cos(a - b)).sum::<f64>();
        }
        assert!((order(&phasors).unwrap().kappa - cosines / 10.0).abs() < 1e-12);
    }

    #[test]
    fn strangers_stay_below_the_null_band_nineteen_times_in_twenty() {
        let mut state = 7u64;
        let mut chance = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for n in [2, 3, 5, 8, 11, 12, 20, 50] {
            let trials = 20_000;
            let (mut above, mut kappas) = (0, 0.0);
            for _ in 0..trials {
                let phasors: Vec<Phasor> =
                    (0..n).map(|_| Phasor::from_angle(std::f64::consts::TAU * chance())).collect();
                let order = order(&phasors).unwrap();
                above += usize::from(order.r > order.null95);
                kappas += order.kappa;
            }
            let share = above as f64 / trials as f64;
            // Five standard errors.
            assert!((share - 0.05).abs() < 0.008, "{n}: {share}");
            assert!((kappas / trials as f64).abs() < 0.03, "{n}: {kappas}");
        }
    }
}

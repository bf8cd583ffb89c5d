//! Chance without a state: numbers that depend only on what they are asked for.

/// Spreads the bits of `x`. The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The `n`-th number of the sequence that `seed` names, in any order.
pub(crate) fn hash(seed: u64, n: u64) -> u64 {
    mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// As [`hash`], in `low..high`.
pub(crate) fn uniform(seed: u64, n: u64, low: f64, high: f64) -> f64 {
    low + (high - low) * (hash(seed, n) >> 11) as f64 / (1u64 << 53) as f64
}

/// As [`hash`], mean 0 and variance 1, never beyond ±3.5: the sum of four uniform numbers, which
/// is near enough to a Gaussian for noise on a sensor and costs no logarithm.
pub(crate) fn noise(seed: u64, n: u64) -> f64 {
    let bits = hash(seed, n);
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    (sum as f64 / 65536.0 - 2.0) * 1.732_050_807_568_877_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_mean_zero_and_variance_one() {
        let values: Vec<f64> = (0..100_000).map(|n| noise(7, n)).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }
}

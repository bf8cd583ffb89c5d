//! How long things took, counted in bins that grow with the value: small, and exact to 1.6 %.

/// Bins for each doubling.
const PER_DOUBLING: u64 = 64;
const SHIFT: u32 = PER_DOUBLING.trailing_zeros();

/// Bins there are.
const BIN_COUNT: usize = bin(u64::MAX) + 1;

/// Counts of durations in µs. Holds bins up to its largest value, so that one for each second of
/// a run costs little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    bins: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn add(&mut self, micros: u64) {
        self.add_to(bin(micros), 1);
        self.max = self.max.max(micros);
    }

    fn add_to(&mut self, bin: usize, count: u64) {
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += count;
        self.count += count;
    }

    pub fn merge(&mut self, other: &Self) {
        other.filled().for_each(|(bin, count)| self.add_to(bin, count));
        self.max = self.max.max(other.max);
    }

    /// The bins that hold something, and how much: what another process needs to make the same
    /// with [`from_filled`](Self::from_filled).
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.bins.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Bins that do not exist are left out.
    pub fn from_filled(filled: impl IntoIterator<Item = (usize, u64)>, max: u64) -> Self {
        let mut made = Self { max, ..Self::default() };
        let known = filled.into_iter().filter(|(bin, _)| *bin < BIN_COUNT);
        known.for_each(|(bin, count)| made.add_to(bin, count));
        made
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that this part (0 to 1) of all does not exceed; 0 when there is none.
    pub fn quantile(&self, part: f64) -> u64 {
        let rank = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.bins.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return top(index).min(self.max);
            }
        }
        0
    }
}

/// Values below [`PER_DOUBLING`] have bins of their own; above, the leading bits choose.
const fn bin(value: u64) -> usize {
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(SHIFT + 1) as u64;
    (octave * PER_DOUBLING + (value >> octave)) as usize
}

/// The largest value of a bin.
fn top(index: usize) -> u64 {
    let index = index as u64;
    let octave = (index / PER_DOUBLING).saturating_sub(1);
    let low = (index - octave * PER_DOUBLING) << octave;
    low + ((1 << octave) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bin() {
        for value in (0..20_000).chain((14..64).map(|shift| 1 << shift)).chain([u64::MAX]) {
            let index = bin(value);
            assert!(top(index) >= value, "{value}");
            assert!(index == 0 || top(index - 1) < value, "{value}");
        }
    }

    #[test]
    fn quantiles_are_exact_to_a_sixtieth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=5000).for_each(|value| histogram.add(value * 10));
        let mut other = Histogram::default();
        (5001..=10_000).for_each(|value| other.add(value * 10));
        histogram.merge(&other);
        for part in [0.01, 0.5, 0.9, 0.99, 1.0] {
            let ratio = histogram.quantile(part) as f64 / (part * 100_000.0);
            assert!((0.999..1.017).contains(&ratio), "{part}: {ratio}");
        }
        assert_eq!((histogram.count(), histogram.max()), (10_000, 100_000));
        let same = Histogram::from_filled(histogram.filled(), histogram.max());
        assert_eq!(same, histogram, "as another process makes it of what it is told");
        let foreign = Histogram::from_filled([(3, 2), (usize::MAX, 9)], 3);
        assert_eq!((foreign.count(), foreign.quantile(1.0)), (2, 3));
    }
}

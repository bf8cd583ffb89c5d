//! Who gets how much when there is not enough for all: lateral inhibition of a real budget.
//!
//! Where the budget suffices everybody gets what they asked for, to the bit. Where it does not,
//! each gets `level * weight^1.3`, never below its floor and never above what it asked for, with
//! the one *level* at which the sum is the budget (weighted max-min fairness, "water filling"):
//! what one does not need goes to the others. The exponent makes the strong stronger; it inhibits
//! because the shares are shares of one budget (`reference/core.md` 12.4, W13).
//!
//! The level is found by Newton's method on the sum as a function of the level, which is made of
//! straight pieces (as in Cominetti, Mascarenhas, Silva 2014 for quadratic knapsacks): a few
//! passes over the demands, no sorting, no order that could differ between machines.

use components::attention::Level;

/// The power of a weight that is its share.
const GAMMA: f64 = 1.3;
/// The least weight, as a part of the largest: nobody is worth nothing.
const WEIGHT_MIN: f64 = 0.01;
/// Parts of 1 between which powers are interpolated, to 0.05 %: a power takes longer than all else.
const POWER_COUNT: usize = 1024;
/// Passes at most. Newton's method takes about six; each further one halves what is uncertain.
const PASS_COUNT_MAX: usize = 100;
/// The sum is the budget within this part of it.
const PRECISION: f64 = 1e-12;

/// What one asks for, in any unit, the same for all and for the budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// What a unit is worth here, relative to others. What is below a hundredth of the largest
    /// weight, or no number, counts as that; what is endless, as the largest.
    pub weight: f64,
    /// What it would take. Nothing where it is negative or no number.
    pub asked: f64,
    /// What it gets first, at most what it asked for.
    pub floor: f64,
}

impl Demand {
    fn asked(&self) -> f64 {
        self.asked.max(0.0)
    }

    fn floor(&self) -> f64 {
        self.floor.max(0.0).min(self.asked())
    }
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contention {
    /// There is enough: everybody got what they asked for.
    None,
    /// Shares of the budget, at this level.
    Shared { level: f64 },
    /// Not even the floors fit: everybody got this part of its floor.
    Starved { part: f64 },
}

/// Powers, and room to work in that is kept from time to time.
#[derive(Debug)]
pub struct Arbiter {
    powers: Vec<f64>,
    strengths: Vec<f64>,
}

impl Default for Arbiter {
    fn default() -> Self {
        let power = |n: usize| libm::pow(n as f64 / POWER_COUNT as f64, GAMMA);
        Self { powers: (0..=POWER_COUNT).map(power).collect(), strengths: Vec::new() }
    }
}

impl Arbiter {
    /// Divides `budget` into `allotted`, one entry a demand, in their order. No demand gets less
    /// because it weighs or asks more, or because the budget is larger.
    pub fn allocate(
        &mut self,
        demands: &[Demand],
        budget: f64,
        allotted: &mut Vec<f64>,
    ) -> Contention {
        allotted.clear();
        let budget = budget.max(0.0);
        let asked: f64 = demands.iter().map(Demand::asked).sum();
        if asked <= budget {
            allotted.extend(demands.iter().map(Demand::asked));
            return Contention::None;
        }
        let floors: f64 = demands.iter().map(Demand::floor).sum();
        if floors >= budget {
            let part = if floors > 0.0 { budget / floors } else { 0.0 };
            allotted.extend(demands.iter().map(|demand| demand.floor() * part));
            return Contention::Starved { part };
        }
        self.strengths.clear();
        let powers = &self.powers;
        let weights = demands.iter().map(|demand| demand.weight);
        let largest = weights.clone().filter(|weight| weight.is_finite()).fold(0.0, f64::max);
        self.strengths.extend(weights.map(|weight| strength(powers, weight / largest)));
        let level = level(demands, &self.strengths, budget);
        allotted.extend(
            demands.iter().zip(&self.strengths).map(|(demand, strength)| {
                (level * strength).max(demand.floor()).min(demand.asked())
            }),
        );
        Contention::Shared { level }
    }
}

/// What a weight counts for, which is a part of the largest.
fn strength(powers: &[f64], weight: f64) -> f64 {
    // Also where it is no number.
    let weight = if weight > WEIGHT_MIN { weight.min(1.0) } else { WEIGHT_MIN };
    let at = weight * POWER_COUNT as f64;
    let below = (at as usize).min(POWER_COUNT - 1);
    powers[below] + (at - below as f64) * (powers[below + 1] - powers[below])
}

/// The level at which the sum is `budget`: which is more than all floors, and less than all that
/// is asked for.
fn level(demands: &[Demand], strengths: &[f64], budget: f64) -> f64 {
    let mut level = budget / strengths.iter().sum::<f64>();
    let (mut low, mut high) = (0.0, f64::INFINITY);
    for _ in 0..PASS_COUNT_MAX {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (demand, &strength) in demands.iter().zip(strengths) {
            let (share, floor, asked) = (level * strength, demand.floor(), demand.asked());
            sum += share.max(floor).min(asked);
            slope += if share >= floor && share < asked { strength } else { 0.0 };
        }
        let missing = budget - sum;
        if missing.abs() <= PRECISION * budget {
            break;
        }
        if missing > 0.0 {
            low = level;
        } else {
            high = level;
        }
        let newton = level + missing / slope;
        let next = if newton > low && newton < high {
            newton
        } else if high.is_finite() {
            0.5 * (low + high)
        } else {
            2.0 * level
        };
        if next == level {
            break;
        }
        level = next;
    }
    level
}

/// What a stream weighs: half its attention, 0.3 its novelty, 0.2 the chance that it will be
/// looked at soon (`reference/core.md` 12.4, where the last was a constant, which only blurs).
/// The parts are 0 to 1.
pub fn weight(attention: Level, novelty: f64, chance: f64) -> f64 {
    let attention = match attention {
        Level::High => 1.0,
        Level::Medium => 0.6,
        Level::Low => 0.3,
        Level::None => 0.1,
    };
    0.5 * attention + 0.3 * novelty.clamp(0.0, 1.0) + 0.2 * chance.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;

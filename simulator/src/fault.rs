//! What is wrong with a made-up device at a given time: a pure function of the plan, its seed, the
//! device and the time, so that every process that plays a part of a fleet agrees on it.

use crate::chance::{hash, uniform};

/// The ways in which devices fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum FaultKind {
    /// The connection is gone and comes back when the fault is over.
    Disconnect,
    /// Connected, and sends nothing.
    Silence,
    /// The clock is off by up to `amount` ms, early or late.
    Skew,
    /// The clock gains or loses `amount` ppm from the beginning of the fault; a watch crystal
    /// loses some 20, a poor one 200. Set right when the fault is over.
    Drift,
    /// This share of the samples is sent twice.
    Duplicate,
    /// This share of the samples is sent after the one that follows it.
    Reorder,
    /// Samples are sent `amount` ms late.
    Delay,
    /// This share of the messages is rubbish.
    Garbage,
}

impl FaultKind {
    pub const ALL: [Self; 8] = [
        Self::Disconnect,
        Self::Silence,
        Self::Skew,
        Self::Drift,
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::Garbage,
    ];

    /// The word in a scenario file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Silence => "silence",
            Self::Skew => "skew",
            Self::Drift => "drift",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::Garbage => "garbage",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What [`FaultSpec::amount`] is measured in; `None` when it says nothing.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Disconnect | Self::Silence => None,
            Self::Skew | Self::Delay => Some("ms"),
            Self::Drift => Some("ppm"),
            Self::Duplicate | Self::Reorder | Self::Garbage => Some("share, 0 to 1"),
        }
    }

    /// The most that [`FaultSpec::amount`] may say. A clock is off by at most ten years, and what
    /// is delayed waits in memory for at most a minute.
    pub fn amount_max(self) -> f64 {
        match self {
            Self::Disconnect | Self::Silence => 0.0,
            Self::Skew => 315_576_000_000.0,
            Self::Drift => 1_000_000.0,
            Self::Duplicate | Self::Reorder | Self::Garbage => 1.0,
            Self::Delay => 60_000.0,
        }
    }
}

/// One kind of trouble that some devices have, now and then.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaultSpec {
    pub kind: FaultKind,
    /// Of the devices, 0 to 1: the same ones every time.
    pub share: f64,
    /// Seconds from one such fault of a device to its next, drawn once for each device. Infinite:
    /// never, unless it lasts for ever.
    pub every_s: (f64, f64),
    /// Seconds that one lasts, drawn for each. Infinite: it is there from the start and stays.
    pub lasts_s: (f64, f64),
    /// In the unit of its kind; clamped to what makes sense.
    pub amount: f64,
}

/// What is wrong with a device now.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Faults {
    pub connected: bool,
    pub silent: bool,
    pub clock_offset_ms: i64,
    pub duplicate: f64,
    pub reorder: f64,
    pub delay_ms: i64,
    pub garbage: f64,
}

impl Default for Faults {
    /// Nothing is wrong.
    fn default() -> Self {
        Self {
            connected: true,
            silent: false,
            clock_offset_ms: 0,
            duplicate: 0.0,
            reorder: 0.0,
            delay_ms: 0,
            garbage: 0.0,
        }
    }
}

/// Everything that will go wrong. See the module.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    specs: Vec<FaultSpec>,
    seed: u64,
}

/// What the numbers of one device's fault are for.
const CHOSEN: u64 = 0;
const EVERY: u64 = 1;
const SIGN: u64 = 2;
const SIZE: u64 = 3;
/// From here on two for each time it happens: how long, and when.
const EPISODES: u64 = 16;

/// No fault comes oftener or lasts shorter.
const LEAST_MS: f64 = 1.0;

impl FaultPlan {
    pub fn new(specs: &[FaultSpec], seed: u64) -> Self {
        Self { specs: specs.to_vec(), seed }
    }

    /// Whether nothing ever goes wrong.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Whether anything ever goes wrong with this device, sooner or later.
    pub fn afflicts(&self, device: usize) -> bool {
        self.specs.iter().enumerate().any(|(n, spec)| {
            let seed = hash(hash(self.seed, n as u64), device as u64);
            uniform(seed, CHOSEN, 0.0, 1.0) < spec.share
        })
    }

    /// What is wrong with the `device`-th device `since_start_ms` into the scenario. Faults of
    /// several specs add up; of shares the largest counts.
    pub fn at(&self, device: usize, since_start_ms: i64) -> Faults {
        let mut faults = Faults::default();
        for (n, spec) in self.specs.iter().enumerate() {
            let seed = hash(hash(self.seed, n as u64), device as u64);
            let Some(since_ms) = running_for(spec, seed, since_start_ms) else { continue };
            let amount = spec.amount.clamp(0.0, spec.kind.amount_max());
            let amount = if amount.is_nan() { 0.0 } else { amount };
            let sign = if hash(seed, SIGN) & 1 == 0 { 1.0 } else { -1.0 };
            match spec.kind {
                FaultKind::Disconnect => faults.connected = false,
                FaultKind::Silence => faults.silent = true,
                FaultKind::Skew => {
                    let size = uniform(seed, SIZE, 0.5, 1.0);
                    faults.clock_offset_ms += (sign * size * amount) as i64;
                }
                FaultKind::Drift => {
                    faults.clock_offset_ms += (sign * amount * 1e-6 * since_ms as f64) as i64;
                }
                FaultKind::Duplicate => faults.duplicate = faults.duplicate.max(amount),
                FaultKind::Reorder => faults.reorder = faults.reorder.max(amount),
                FaultKind::Delay => faults.delay_ms += amount as i64,
                FaultKind::Garbage => faults.garbage = faults.garbage.max(amount),
            }
        }
        faults
    }
}

/// For how many ms the fault has been there, or `None` when it is not.
///
/// A device's time is cut into cells of its own length; in each the fault comes once, at a moment
/// and for a time drawn from the number of the cell. So the state at any time costs the same,
/// however late it is.
fn running_for(spec: &FaultSpec, seed: u64, at_ms: i64) -> Option<i64> {
    if at_ms < 0 || uniform(seed, CHOSEN, 0.0, 1.0) >= spec.share {
        return None;
    }
    if spec.lasts_s.1 == f64::INFINITY {
        return Some(at_ms);
    }
    let cell_ms = (draw(seed, EVERY, spec.every_s) * 1000.0).max(LEAST_MS);
    if !cell_ms.is_finite() {
        return None;
    }
    let cell = (at_ms as f64 / cell_ms).floor();
    let number = EPISODES.wrapping_add((cell as u64).wrapping_mul(2));
    let lasts_ms = (draw(seed, number, spec.lasts_s) * 1000.0).clamp(LEAST_MS, cell_ms);
    let begins_ms = cell * cell_ms + uniform(seed, number.wrapping_add(1), 0.0, cell_ms - lasts_ms);
    let since_ms = at_ms as f64 - begins_ms;
    (0.0..lasts_ms).contains(&since_ms).then_some(since_ms as i64)
}

/// Uniform within a range that may have been written the wrong way round.
fn draw(seed: u64, n: u64, (low, high): (f64, f64)) -> f64 {
    if low == high { low } else { uniform(seed, n, low.min(high), low.max(high)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: FaultKind, share: f64, amount: f64) -> FaultSpec {
        FaultSpec { kind, share, every_s: (50.0, 70.0), lasts_s: (2.0, 6.0), amount }
    }

    #[test]
    fn a_share_of_the_devices_is_offline_for_as_long_as_the_plan_says() {
        let plan = FaultPlan::new(&[spec(FaultKind::Disconnect, 0.25, 0.0)], 7);
        let (mut ever, mut offline_ms) = (0, 0);
        for device in 0..400 {
            let off = (0..600_000).step_by(100).filter(|&at| !plan.at(device, at).connected);
            let off = off.count();
            assert_eq!(plan.afflicts(device), off > 0);
            ever += usize::from(off > 0);
            offline_ms += off * 100;
        }
        assert!((80..=120).contains(&ever), "a quarter of 400 devices, not {ever}");
        // 4 s of each minute.
        let share = offline_ms as f64 / (ever as f64 * 600_000.0);
        assert!((share - 4.0 / 60.0).abs() < 0.005, "offline for {share} of the time");
    }

    #[test]
    fn faults_of_one_device_come_once_in_its_own_time_and_differ_from_anothers() {
        let plan = FaultPlan::new(&[spec(FaultKind::Silence, 1.0, 0.0)], 3);
        let starts = |device| -> Vec<i64> {
            let silent = |at: i64| plan.at(device, at).silent;
            (1..600_000).filter(|&at| silent(at) && !silent(at - 1)).collect()
        };
        let first = starts(0);
        assert!((8..=12).contains(&first.len()), "{first:?}");
        assert_ne!(first, starts(1));
    }

    #[test]
    fn a_clock_drifts_from_the_beginning_of_its_fault_and_is_then_set_right() {
        let plan = FaultPlan::new(&[spec(FaultKind::Drift, 1.0, 10_000.0)], 5);
        let offsets: Vec<i64> = (0..70_000).map(|at| plan.at(9, at).clock_offset_ms).collect();
        let most = offsets.iter().map(|ms| ms.abs()).max().unwrap();
        assert!((19..60).contains(&most), "1 % of two to six seconds: {most} ms");
        let steps = offsets.windows(2).filter(|two| (two[1] - two[0]).abs() > 1).count();
        assert!((1..=2).contains(&steps), "it is set right, at once: {steps}");
    }

    #[test]
    fn what_lasts_for_ever_is_there_from_the_start() {
        let lasts_s = (f64::INFINITY, f64::INFINITY);
        let skew = FaultSpec { lasts_s, ..spec(FaultKind::Skew, 1.0, 5000.0) };
        let plan = FaultPlan::new(&[skew], 1);
        let offset = plan.at(2, 0).clock_offset_ms;
        assert!((2500..=5000).contains(&offset.abs()));
        assert_eq!(plan.at(2, 1_000_000_000).clock_offset_ms, offset);
        assert_eq!(plan.at(2, -1), Faults::default());
    }

    #[test]
    fn absurd_numbers_neither_panic_nor_escape_their_bounds() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(kind));
            for wild in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
                let spec = FaultSpec {
                    kind,
                    share: 1.0,
                    every_s: (wild, wild),
                    lasts_s: (wild, wild),
                    amount: wild,
                };
                let faults = FaultPlan::new(&[spec], 1).at(0, i64::MAX);
                assert!((0.0..=1.0).contains(&faults.garbage));
                assert!((0..=60_000).contains(&faults.delay_ms));
            }
        }
    }
}

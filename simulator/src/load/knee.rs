//! The largest load that a server carries: doubled until it no longer holds, then narrowed down.

/// A load is known well enough when what held and what did not are this near to each other.
const NEAR: f64 = 1.1;

/// Smallest part of the load as asked for that is tried.
const FACTOR_MIN: f64 = 1.0 / 64.0;

/// How a load went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Held,
    /// Samples were lost.
    Lost,
    /// Samples were delivered too late.
    Late,
    /// The generator could not keep to its own plan, so the server was not asked for this much.
    Generator,
    /// It could not be driven at all: too few sockets, a server that refuses.
    Failed,
}

impl Verdict {
    /// As in the reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Lost => "lost samples",
            Self::Late => "too late",
            Self::Generator => "the generator, not the server",
            Self::Failed => "failed",
        }
    }
}

/// What a load must keep to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The least part of all samples that must arrive, 0 to 1.
    pub delivered_part_min: f64,
    /// The 99th percentile of the age, µs.
    pub age_us_max: u64,
    /// The 99th percentile of the generator's own lateness, µs.
    pub lateness_us_max: u64,
}

impl Bounds {
    /// The generator comes first: whatever else went wrong may be its fault.
    pub fn judge(&self, delivered_part: f64, age_us: u64, lateness_us: u64) -> Verdict {
        if lateness_us > self.lateness_us_max {
            Verdict::Generator
        } else if delivered_part < self.delivered_part_min {
            Verdict::Lost
        } else if age_us > self.age_us_max {
            Verdict::Late
        } else {
            Verdict::Held
        }
    }
}

/// The search, one step at a time.
#[derive(Debug)]
pub(super) struct Search {
    steps_left: usize,
    held: Option<f64>,
    failed: Option<(f64, Verdict)>,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Knee {
    /// The largest load that held, as a multiple of the one that was asked for.
    pub held: Option<f64>,
    /// The smallest that did not, and why. `None`: the search ended before one was found.
    pub failed: Option<(f64, Verdict)>,
}

impl Search {
    pub(super) fn new(steps_max: usize) -> Self {
        Self { steps_left: steps_max, held: None, failed: None }
    }

    /// The next load to try, as a multiple. `None`: it is found, or there have been enough steps.
    pub(super) fn next(&mut self) -> Option<f64> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        match (self.held, self.failed) {
            (None, None) => Some(1.0),
            (Some(held), None) => Some(held * 2.0),
            (None, Some((failed, _))) => Some(failed / 2.0).filter(|next| *next >= FACTOR_MIN),
            // Halfway as a ratio.
            (Some(held), Some((failed, _))) => {
                (failed / held > NEAR).then(|| (held * failed).sqrt())
            }
        }
    }

    /// How the load went that was tried.
    pub(super) fn tell(&mut self, factor: f64, verdict: Verdict) {
        if verdict == Verdict::Held {
            self.held = Some(self.held.map_or(factor, |held| held.max(factor)));
        } else if self.failed.is_none_or(|(failed, _)| factor < failed) {
            self.failed = Some((factor, verdict));
        }
    }

    pub(super) fn knee(&self) -> Knee {
        Knee { held: self.held, failed: self.failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { delivered_part_min: 0.999, age_us_max: 150_000, lateness_us_max: 20_000 };

    /// A server that queues: the nearer to its capacity the later, and beyond it what is too much
    /// is lost. And a generator that is late beyond its own.
    struct Model {
        server: f64,
        generator: f64,
    }

    impl Model {
        fn verdict(&self, factor: f64) -> Verdict {
            let busy = factor / self.server;
            let age = if busy < 1.0 { 20_000.0 + 3000.0 / (1.0 - busy) } else { 5e6 };
            let late = if factor > self.generator { 80_000 } else { 300 };
            BOUNDS.judge((1.0 / busy).min(1.0), age as u64, late)
        }

        fn search(&self, steps_max: usize) -> (Knee, usize) {
            let (mut search, mut steps) = (Search::new(steps_max), 0);
            while let Some(factor) = search.next() {
                steps += 1;
                search.tell(factor, self.verdict(factor));
            }
            (search.knee(), steps)
        }
    }

    #[test]
    fn the_knee_of_a_known_server_is_found_from_above_and_below() {
        for server in [0.3, 1.01, 7.0, 50.0] {
            let (knee, steps) = Model { server, generator: 1e9 }.search(24);
            let (held, (failed, why)) = (knee.held.unwrap(), knee.failed.unwrap());
            // At 97.7 % of its capacity it takes 150 ms.
            let true_knee = server * 0.977;
            assert!(held <= true_knee && true_knee <= failed, "{server}: {held} to {failed}");
            assert!(failed / held <= NEAR && steps < 16, "{server}: {steps} steps");
            assert!(matches!(why, Verdict::Late | Verdict::Lost));
        }
    }

    #[test]
    fn a_generator_that_is_the_limit_is_named() {
        let (knee, _) = Model { server: 50.0, generator: 5.0 }.search(24);
        assert!((4.5..=5.0).contains(&knee.held.unwrap()), "{knee:?}");
        assert_eq!(knee.failed.unwrap().1, Verdict::Generator);
    }

    #[test]
    fn a_search_ends_at_its_bounds() {
        let (knee, steps) = Model { server: 1e6, generator: 1e9 }.search(5);
        assert_eq!((knee.held, knee.failed, steps), (Some(16.0), None, 5));
        let (knee, steps) = Model { server: 1e-6, generator: 1e9 }.search(99);
        assert_eq!((knee.held, steps), (None, 7), "a sixty-fourth is the least that is tried");
        assert_eq!(knee.failed.unwrap(), (1.0 / 64.0, Verdict::Lost));
    }

    #[test]
    fn lost_samples_and_late_ones_are_told_apart() {
        assert_eq!(BOUNDS.judge(1.0, 150_000, 20_000), Verdict::Held);
        assert_eq!(BOUNDS.judge(0.9989, 1000, 100), Verdict::Lost);
        assert_eq!(BOUNDS.judge(1.0, 150_001, 100), Verdict::Late);
        assert_eq!(BOUNDS.judge(0.1, 900_000, 20_001), Verdict::Generator);
    }
}

//! Failpoints: named places at which a test, or a person on a machine of their own, can have a
//! panic, an error or a delay.
//!
//! They are there with the feature `faults` only, which a release build refuses; without it
//! [`Faults`] is nothing, and so is passing a point. Even with it no point does anything unless
//! whoever builds the engine or the server [arms](Faults::armed) them. The table is data that is
//! handed in, so that worlds side by side do not share it, and a run with faults is as
//! reproducible as one without: chance is a hash of the seed, the tick and the key.

use bevy_ecs::resource::Resource;

/// The points of one engine or server, shared by all who pass them.
#[derive(Debug, Clone, Default, Resource)]
pub struct Faults {
    #[cfg(feature = "faults")]
    table: Option<std::sync::Arc<armed::Table>>,
}

/// The error of a point that is set to `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    pub point: &'static str,
}

impl std::fmt::Display for Injected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failpoint {}", self.point)
    }
}

impl std::error::Error for Injected {}

#[cfg(not(feature = "faults"))]
impl Faults {
    /// Passes a point that can tell of an error.
    ///
    /// # Errors
    /// When it is set to `error`.
    #[inline(always)]
    pub fn pass(&self, _point: &'static str, _key: u64) -> Result<(), Injected> {
        Ok(())
    }

    /// Passes a point that cannot: an `error` panics as well.
    #[inline(always)]
    pub fn strike(&self, _point: &'static str, _key: u64) {}

    /// The tick that follows, which chance depends on.
    #[inline(always)]
    pub fn begin_tick(&self, _tick: u64) {}
}

#[cfg(feature = "faults")]
pub use armed::{Action, DELAY_MS_MAX, Point, UnknownPoint};

#[cfg(feature = "faults")]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use super::{Faults, Injected};

    #[cfg(not(debug_assertions))]
    compile_error!("the feature `faults` is for tests: a release build must not have failpoints");

    /// The longest delay a point may be set to.
    pub const DELAY_MS_MAX: u64 = 10_000;

    /// What happens at a point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum Action {
        #[default]
        Off,
        Panic,
        Error,
        /// At most [`DELAY_MS_MAX`].
        Delay {
            ms: u64,
        },
    }

    /// One point, as it is set.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Point {
        pub action: Action,
        /// How often it is still to happen; `None`: every time.
        pub count: Option<u64>,
        /// With what chance, 0 to 1, at each passing.
        pub prob: f64,
        pub seed: u64,
        /// Only for this key, for points that are passed with one: a stream, a viewer.
        pub key: Option<u64>,
        /// How often it has happened.
        pub hits: u64,
    }

    impl Default for Point {
        fn default() -> Self {
            Self { action: Action::Off, count: None, prob: 1.0, seed: 0, key: None, hits: 0 }
        }
    }

    /// No point has this name.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct UnknownPoint;

    #[derive(Debug, Default)]
    pub(super) struct Table {
        points: Mutex<BTreeMap<&'static str, Point>>,
        /// Points that are not off. The rest is looked at only then.
        on: AtomicU64,
        tick: AtomicU64,
    }

    impl Table {
        fn points(&self) -> MutexGuard<'_, BTreeMap<&'static str, Point>> {
            self.points.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// What happens now, if this point is passed with this key.
        fn draw(&self, name: &'static str, key: u64) -> Action {
            let mut points = self.points();
            let Some(point) = points.get_mut(name) else { return Action::Off };
            if point.action == Action::Off
                || point.key.is_some_and(|only| only != key)
                || point.count == Some(0)
                || chance(point.seed, self.tick.load(Ordering::Relaxed), key) >= point.prob
            {
                return Action::Off;
            }
            point.count = point.count.map(|count| count - 1);
            point.hits += 1;
            point.action
        }
    }

    /// 0 to 1, by splitmix64.
    fn chance(seed: u64, tick: u64, key: u64) -> f64 {
        let mut x = seed;
        for part in [tick, key] {
            x = x.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^= x >> 31;
        }
        (x >> 11) as f64 / (1u64 << 53) as f64
    }

    impl Faults {
        /// With these points, all of them off.
        pub fn armed(points: impl IntoIterator<Item = &'static str>) -> Self {
            let points = points.into_iter().map(|name| (name, Point::default())).collect();
            let table = Table { points: Mutex::new(points), ..Table::default() };
            Self { table: Some(Arc::new(table)) }
        }

        pub fn is_armed(&self) -> bool {
            self.table.is_some()
        }

        /// Every point by name.
        pub fn list(&self) -> Vec<(&'static str, Point)> {
            let Some(table) = &self.table else { return Vec::new() };
            table.points().iter().map(|(name, point)| (*name, *point)).collect()
        }

        /// From here on this happens at the point of this name.
        ///
        /// # Errors
        /// When there is no such point.
        pub fn set(&self, name: &str, mut point: Point) -> Result<(), UnknownPoint> {
            let table = self.table.as_ref().ok_or(UnknownPoint)?;
            let mut points = table.points();
            let there = points.get_mut(name).ok_or(UnknownPoint)?;
            if let Action::Delay { ms } = &mut point.action {
                *ms = (*ms).min(DELAY_MS_MAX);
            }
            *there = Point { hits: there.hits, ..point };
            let on = points.values().filter(|point| point.action != Action::Off).count();
            table.on.store(on as u64, Ordering::Release);
            Ok(())
        }

        /// Passes a point that can tell of an error.
        ///
        /// # Errors
        /// When it is set to `error`.
        ///
        /// # Panics
        /// When it is set to `panic`.
        pub fn pass(&self, point: &'static str, key: u64) -> Result<(), Injected> {
            let Some(table) = &self.table else { return Ok(()) };
            if table.on.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            match table.draw(point, key) {
                Action::Off => Ok(()),
                Action::Panic => panic!("{}", Injected { point }),
                Action::Error => Err(Injected { point }),
                Action::Delay { ms } => {
                    std::thread::sleep(Duration::from_millis(ms));
                    Ok(())
                }
            }
        }

        /// Passes a point that cannot: an `error` panics as well.
        ///
        /// # Panics
        /// When it is set to `panic` or `error`.
        pub fn strike(&self, point: &'static str, key: u64) {
            if let Err(injected) = self.pass(point, key) {
                panic!("{injected}");
            }
        }

        /// The tick that follows, which chance depends on.
        pub fn begin_tick(&self, tick: u64) {
            if let Some(table) = &self.table {
                table.tick.store(tick, Ordering::Relaxed);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn error() -> Point {
            Point { action: Action::Error, ..Point::default() }
        }

        #[test]
        fn a_point_does_what_it_is_set_to_as_often_as_it_is_set_to() {
            let faults = Faults::armed(["a", "b"]);
            assert_eq!(faults.pass("a", 0), Ok(()));
            faults.set("a", Point { count: Some(2), ..error() }).unwrap();
            let passes: Vec<bool> = (0..4).map(|_| faults.pass("a", 0).is_ok()).collect();
            assert_eq!(passes, [false, false, true, true]);
            assert_eq!(faults.pass("b", 0), Ok(()), "the other is off");
            assert_eq!(faults.list()[0].1.hits, 2);
            assert_eq!(faults.set("c", error()), Err(UnknownPoint));
            assert_eq!(Faults::default().set("a", error()), Err(UnknownPoint), "not armed");
        }

        #[test]
        fn a_key_picks_one() {
            let faults = Faults::armed(["a"]);
            faults.set("a", Point { key: Some(7), ..error() }).unwrap();
            assert_eq!(faults.pass("a", 6), Ok(()));
            assert_eq!(faults.pass("a", 7), Err(Injected { point: "a" }));
        }

        #[test]
        fn chance_is_the_same_for_the_same_seed_and_near_what_is_asked() {
            let strikes = |seed| -> Vec<bool> {
                let faults = Faults::armed(["a"]);
                faults.set("a", Point { prob: 0.25, seed, ..error() }).unwrap();
                let passes = (0..4000).map(|tick| {
                    faults.begin_tick(tick);
                    faults.pass("a", 3).is_err()
                });
                passes.collect()
            };
            let first = strikes(1);
            assert_eq!(first, strikes(1));
            assert_ne!(first, strikes(2));
            let count = first.iter().filter(|hit| **hit).count();
            assert!((900..1100).contains(&count), "{count} of 4000 at a quarter");
        }
    }
}

//! What the conductor decides: one budget for everybody, and for each viewer and each device what
//! follows from it. Every layer carries out what stands here, none decides on its own
//! (`reference/core.md` W8, the seed's section 3).

use bevy_ecs::component::Component;

use crate::attention::Level;
use crate::class::Class;
use crate::load::{Load, LoadLevel};
use crate::viewer::{Quality, QualityChoice};

/// Who may have made less of a stream than was asked for, in the order of its way out. What is
/// allowed is the least of what they allow, never the product.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(usize)]
pub enum Layer {
    /// The viewer itself: its choice of quality, its battery, a hidden tab.
    Asked,
    /// The device was told to pause or to wait, or sent more than it may.
    Device,
    /// The door: a queue or a quota of the sensor's class was full.
    Intake,
    /// The ring was too short for what waited in it.
    Storage,
    /// The budget: the machine bears no more.
    Budget,
    /// This viewer's line.
    Socket,
    /// This viewer's browser.
    Health,
}

impl Layer {
    pub const COUNT: usize = 7;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Asked,
        Self::Device,
        Self::Intake,
        Self::Storage,
        Self::Budget,
        Self::Socket,
        Self::Health,
    ];

    /// The word on the wire and in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Device => "device",
            Self::Intake => "intake",
            Self::Storage => "storage",
            Self::Budget => "budget",
            Self::Socket => "socket",
            Self::Health => "health",
        }
    }
}

/// How a device is to send: the `backpressure_config` of `reference/wire.md` 2.1b.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pacing {
    pub level: Level,
    pub load: Load,
    /// Milliseconds for which samples may be gathered.
    pub window_ms: u64,
    /// Samples that may be gathered.
    pub batch_size: u32,
    /// Nothing is to be sent at all.
    pub paused: bool,
}

impl Pacing {
    /// However hard the machine is pressed, what is looked at this strongly arrives this often:
    /// five times a second where somebody points, once a second where somebody looks.
    pub const WINDOW_MS_MAX: [(Level, u64); 2] = [(Level::High, 200), (Level::Medium, 1000)];

    /// What the table of `reference/wire.md` 2.1b says, with the floors above. With `normal` load
    /// and no protection it is that table.
    pub fn of(level: Level, load: Load) -> Self {
        let window = level.base_window_ms() as f64 * load.multiplier();
        let floor = Self::WINDOW_MS_MAX.into_iter().find(|(floored, _)| *floored == level);
        let window_ms = floor.map_or(window as u64, |(_, max)| max.min(window as u64));
        let pressed = load.memory_protection || load.level == LoadLevel::Critical;
        let paused = level <= Level::Low && pressed;
        Self { level, load, window_ms, batch_size: level.batch_size(), paused }
    }
}

/// What one viewer is served: hovered, focused and pinned streams at `strong`, what is merely
/// visible at `rest`. Never `rest` better than `strong`.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    pub strong: Quality,
    pub rest: Quality,
    /// Who made it less than high.
    pub limited_by: Option<Layer>,
}

impl Grant {
    /// What a viewer gets of whom nothing is known yet.
    pub fn asked(choice: QualityChoice) -> Self {
        let quality = choice.ceiling();
        let limited_by = (quality < Quality::High).then_some(Layer::Asked);
        Self { strong: quality, rest: quality, limited_by }
    }

    /// The qualities it flushes at, one bit each.
    pub fn bits(&self) -> u8 {
        1 << self.strong as u8 | 1 << self.rest as u8
    }
}

/// How much may be kept.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Storage {
    /// The load that ring limits follow.
    pub level: LoadLevel,
    /// Limits are halved so often beside that, while the memory budget presses.
    pub squeeze: u32,
}

/// The decision in force.
#[derive(Clone, PartialEq, Debug)]
pub struct Budget {
    pub load: Load,
    /// How devices are to send, by the level of attention on their sensors.
    pub pacing: [Pacing; Level::ALL.len()],
    /// Samples a second that may go out to viewers altogether; `None`: as many as are asked for.
    pub delivery_sps: Option<f64>,
    /// Samples a second that each class may bring in; `None`: as many as come.
    pub class_sps: [Option<f64>; Class::COUNT],
    /// Samples of the past in one flush to one viewer.
    pub seed_sample_count_max: usize,
}

impl Budget {
    pub fn pacing(&self, level: Level) -> Pacing {
        self.pacing[level as usize]
    }

    /// Whether there is less than is asked for.
    pub fn is_contended(&self) -> bool {
        self.delivery_sps.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(level: LoadLevel, memory_protection: bool) -> Load {
        Load { level, memory_protection }
    }

    #[test]
    fn when_nothing_presses_devices_hear_the_original_table() {
        let table = [
            (Level::High, 100, 1),
            (Level::Medium, 500, 5),
            (Level::Low, 2000, 10),
            (Level::None, 5000, 20),
        ];
        for (level, window_ms, batch_size) in table {
            let pacing = Pacing::of(level, Load::default());
            assert_eq!(
                (pacing.window_ms, pacing.batch_size, pacing.paused),
                (window_ms, batch_size, false)
            );
        }
    }

    #[test]
    fn no_load_makes_a_watched_device_slower_than_its_floor() {
        let mut seen = Vec::new();
        for level in Level::ALL {
            for load_level in LoadLevel::ALL {
                for protection in [false, true] {
                    let pacing = Pacing::of(level, load(load_level, protection));
                    seen.push((level, pacing.window_ms, pacing.paused));
                    let watched = level >= Level::Medium;
                    assert!(!(watched && pacing.paused), "{level:?} {load_level:?}");
                    assert!(level != Level::High || pacing.window_ms <= 200);
                    assert!(level != Level::Medium || pacing.window_ms <= 1000);
                }
            }
        }
        assert!(seen.contains(&(Level::High, 200, false)), "pressed, it is slower all the same");
        assert!(seen.contains(&(Level::None, 125_000, true)));
    }

    #[test]
    fn a_harder_load_never_makes_a_device_faster() {
        for level in Level::ALL {
            for protection in [false, true] {
                let windows: Vec<(u64, bool)> = LoadLevel::ALL
                    .into_iter()
                    .map(|at| Pacing::of(level, load(at, protection)))
                    .map(|pacing| (pacing.window_ms, pacing.paused))
                    .collect();
                assert!(windows.is_sorted(), "{level:?} {protection}: {windows:?}");
                for at in LoadLevel::ALL {
                    let (free, held) =
                        (Pacing::of(level, load(at, false)), Pacing::of(level, load(at, true)));
                    assert!(free.window_ms <= held.window_ms && free.paused <= held.paused);
                }
            }
        }
    }
}

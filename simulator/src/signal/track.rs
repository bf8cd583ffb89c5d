//! Ways over the ground: named tracks, and ones drawn for a way of getting about, gone at speeds
//! that walkers, trains and storks have.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use components::shape::Shape;

use super::payload::form;
use crate::chance::{hash, uniform};
use crate::math::{asin, atan2, cos, sin, sin_cos};

/// Radius of the earth, m.
const EARTH_M: f64 = 6_371_000.0;

/// Points of a drawn track.
const DRAWN_POINTS: usize = 64;

/// A way of getting about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Walk,
    Run,
    Cycle,
    Car,
    Train,
    Bird,
    Drone,
    Boat,
    Stationary,
}

pub(super) const MODES: &[&str] =
    &["auto", "walk", "run", "cycle", "car", "train", "bird", "drone", "boat", "stationary"];

impl Mode {
    const ALL: [Self; 9] = [
        Self::Walk,
        Self::Run,
        Self::Cycle,
        Self::Car,
        Self::Train,
        Self::Bird,
        Self::Drone,
        Self::Boat,
        Self::Stationary,
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        MODES[self as usize + 1]
    }

    /// Mean speed in km/h of a drawn track, how much it varies, how likely a point is a turn
    /// (`reference/collab.md` 21.7), and the altitude in m above the ground it keeps to.
    fn habits(self) -> (f64, f64, f64, f64) {
        match self {
            Self::Walk => (5.0, 0.1, 0.3, 0.0),
            Self::Run => (10.0, 0.1, 0.3, 0.0),
            Self::Cycle => (20.0, 0.15, 0.2, 0.0),
            Self::Car => (60.0, 0.2, 0.1, 0.0),
            Self::Train => (120.0, 0.05, 0.05, 0.0),
            Self::Bird => (40.0, 0.3, 0.4, 100.0),
            Self::Drone => (30.0, 0.25, 0.35, 50.0),
            Self::Boat => (25.0, 0.1, 0.15, -35.0),
            Self::Stationary => (0.0, 0.0, 0.0, 0.0),
        }
    }

    /// The fastest it ever is, km/h.
    #[cfg(test)]
    pub(super) fn speed_max_kmh(self) -> f64 {
        match self {
            Self::Walk => 7.0,
            Self::Run => 12.0,
            Self::Cycle => 30.0,
            Self::Car => 135.0,
            Self::Train => 230.0,
            Self::Bird => 60.0,
            Self::Drone => 45.0,
            Self::Boat => 35.0,
            Self::Stationary => 0.2,
        }
    }
}

/// A named way: latitude, longitude and metres above the sea of each point.
struct Named {
    name: &'static str,
    mode: Mode,
    kmh: f64,
    ways: &'static [(f64, f64, f64)],
}

/// The original's tracks by name, mode and ends (`reference/collab.md` 21.7); the points between
/// are ours, and the speeds are those of the mode.
const NAMED: [Named; 8] = [
    Named {
        name: "berlin_walk",
        mode: Mode::Walk,
        kmh: 4.8,
        ways: &[
            (52.5145, 13.3501, 35.0),
            (52.5150, 13.3590, 35.0),
            (52.5156, 13.3680, 34.0),
            (52.5163, 13.3777, 34.0),
            (52.5168, 13.3832, 34.0),
            (52.5172, 13.3889, 34.0),
            (52.5178, 13.3950, 34.0),
            (52.5197, 13.3985, 34.0),
            (52.5212, 13.4012, 35.0),
            (52.5228, 13.4016, 36.0),
            (52.5245, 13.3985, 36.0),
        ],
    },
    Named {
        name: "berlin_cycle",
        mode: Mode::Cycle,
        kmh: 18.0,
        ways: &[
            (52.5200, 13.4050, 36.0),
            (52.5146, 13.4186, 35.0),
            (52.5103, 13.4347, 35.0),
            (52.5060, 13.4430, 34.0),
            (52.5018, 13.4456, 34.0),
            (52.4965, 13.4530, 34.0),
            (52.4937, 13.4615, 34.0),
            (52.4890, 13.4760, 34.0),
            (52.4850, 13.4850, 34.0),
            (52.4838, 13.4965, 34.0),
            (52.4870, 13.5075, 34.0),
        ],
    },
    Named {
        name: "autobahn_drive",
        mode: Mode::Car,
        kmh: 110.0,
        ways: &[
            (52.4500, 13.2800, 45.0),
            (52.4296, 13.2350, 48.0),
            (52.4060, 13.1930, 50.0),
            (52.3740, 13.1720, 45.0),
            (52.3480, 13.1250, 42.0),
            (52.3290, 13.0560, 40.0),
            (52.3060, 13.0040, 40.0),
            (52.2870, 12.9470, 44.0),
            (52.2620, 12.8790, 52.0),
            (52.2310, 12.8110, 60.0),
            (52.1910, 12.7480, 75.0),
        ],
    },
    Named {
        name: "ice_train",
        mode: Mode::Train,
        kmh: 190.0,
        ways: &[
            (52.5251, 13.3694, 35.0),
            (52.5345, 13.1975, 33.0),
            (52.6070, 12.8860, 34.0),
            (52.7480, 12.6400, 36.0),
            (52.8520, 12.4420, 34.0),
            (52.9200, 12.1100, 30.0),
            (52.9990, 11.7630, 24.0),
            (53.1700, 11.6000, 30.0),
            (53.3340, 11.4900, 36.0),
            (53.4120, 11.1790, 32.0),
            (53.4760, 10.6230, 24.0),
            (53.4890, 10.2060, 10.0),
            (53.5511, 10.0065, 8.0),
        ],
    },
    Named {
        name: "stork_migration",
        mode: Mode::Bird,
        kmh: 42.0,
        ways: &[
            (52.5200, 13.4050, 450.0),
            (52.3000, 13.0500, 420.0),
            (52.0200, 12.7000, 480.0),
            (51.7500, 12.4000, 520.0),
            (51.5000, 12.1000, 460.0),
            (51.2500, 11.8000, 560.0),
            (51.0000, 11.5500, 640.0),
            (50.7500, 11.3000, 780.0),
            (50.5500, 11.1200, 820.0),
            (50.3600, 10.9200, 700.0),
        ],
    },
    Named {
        name: "seagull_coastal",
        mode: Mode::Bird,
        kmh: 35.0,
        ways: &[
            (54.1789, 12.0867, 12.0),
            (54.1840, 12.1120, 18.0),
            (54.1905, 12.1400, 25.0),
            (54.1960, 12.1720, 16.0),
            (54.2060, 12.2010, 22.0),
            (54.2150, 12.2320, 30.0),
            (54.2240, 12.2560, 20.0),
            (54.2300, 12.2780, 14.0),
        ],
    },
    Named {
        name: "drone_survey",
        mode: Mode::Drone,
        kmh: 30.0,
        ways: &[
            (52.5100, 13.3900, 95.0),
            (52.5118, 13.3900, 95.0),
            (52.5118, 13.3950, 95.0),
            (52.5100, 13.3950, 95.0),
            (52.5100, 13.4000, 100.0),
            (52.5118, 13.4000, 100.0),
            (52.5118, 13.4050, 100.0),
            (52.5100, 13.4050, 100.0),
            (52.5100, 13.4100, 95.0),
            (52.5118, 13.4100, 95.0),
            (52.5118, 13.4150, 95.0),
            (52.5100, 13.4150, 95.0),
        ],
    },
    Named {
        name: "ferry_crossing",
        mode: Mode::Boat,
        kmh: 28.0,
        ways: &[
            (54.5069, 11.0579, 0.0),
            (54.5250, 11.1000, 0.0),
            (54.5600, 11.1700, 0.0),
            (54.6150, 11.2450, 0.0),
            (54.6700, 11.3100, 0.0),
            (54.7200, 11.3700, 0.0),
            (54.7754, 11.4166, 0.0),
        ],
    },
];

/// Names of tracks, and what else can be said of one.
pub(super) const TRACKS: &[&str] = &[
    "auto",
    "generated",
    "stationary",
    "berlin_walk",
    "berlin_cycle",
    "autobahn_drive",
    "ice_train",
    "stork_migration",
    "seagull_coastal",
    "drone_survey",
    "ferry_crossing",
];

/// Metres between two points given in degrees (haversine).
pub(super) fn metres_between(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |x: f64, y: f64| sin(0.5 * (y - x).to_radians());
    let (up, over) = (half(a.0, b.0), half(a.1, b.1));
    let h = up * up + cos(a.0.to_radians()) * cos(b.0.to_radians()) * over * over;
    2.0 * EARTH_M * asin(h.sqrt().min(1.0))
}

/// One point of a way.
#[derive(Debug, Clone, Copy)]
struct Way {
    latitude: f64,
    longitude: f64,
    altitude: f64,
    /// Metres from the beginning.
    metres: f64,
}

/// A way, and how it is gone: there and back, for ever.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) form: Arc<Shape>,
    ways: Box<[Way]>,
    metres_per_s: f64,
    /// Speed varies: metres, turns a second, turns.
    sway: (f64, f64, f64),
    /// Metres gone at the beginning of time.
    begin: f64,
}

/// Where something is and how it moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fix {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) altitude: f64,
    pub(super) speed: f64,
    pub(super) course: f64,
}

impl Track {
    fn new(
        (name, mode): (&str, Mode),
        points: &[(f64, f64, f64)],
        metres_per_s: f64,
        variation: f64,
        (start_anywhere, seed): (bool, u64),
    ) -> Self {
        let mut metres = 0.0;
        let mut before: Option<(f64, f64)> = None;
        let ways: Box<[Way]> = points
            .iter()
            .map(|&(latitude, longitude, altitude)| {
                metres += before.map_or(0.0, |p| metres_between(p, (latitude, longitude)));
                before = Some((latitude, longitude));
                Way { latitude, longitude, altitude, metres }
            })
            .collect();
        let hz = uniform(seed, 1, 0.006, 0.012);
        let begin = if start_anywhere { uniform(seed, 2, 0.0, 2.0) * metres } else { 0.0 };
        Self {
            form: form(
                format!(
                    "{{\"latitude\":\u{1},\"longitude\":\u{1},\"altitude\":\u{1},\"speed\":\u{1},\
                     \"heading\":\u{1},\"accuracy\":\u{1},\"mode\":\"{}\",\"track_name\":\"{name}\"}}",
                    mode.name()
                )
                .as_bytes(),
            ),
            ways,
            metres_per_s,
            sway: (variation * metres_per_s / (TAU * hz), hz, uniform(seed, 3, 0.0, TAU)),
            begin,
        }
    }

    /// One of [`TRACKS`] by its name, played `times` as fast.
    pub(super) fn named(name: &str, times: f64, start: (bool, u64)) -> Option<Self> {
        let named = NAMED.iter().find(|named| named.name == name)?;
        let speed = named.kmh / 3.6 * times;
        Some(Self::new((named.name, named.mode), named.ways, speed, 0.05, start))
    }

    /// A way drawn from `from`, one way of which takes `duration_s`.
    pub(super) fn drawn(
        mode: Mode,
        from: (f64, f64),
        (times, duration_s): (f64, f64),
        (start_anywhere, seed): (bool, u64),
    ) -> Self {
        let (kmh, variation, turning, above) = mode.habits();
        let speed = kmh / 3.6;
        let step = speed * duration_s / (DRAWN_POINTS - 1) as f64;
        let mut heading = uniform(seed, 10, -PI, PI);
        let (mut latitude, mut longitude) = (from.0.clamp(-85.0, 85.0), from.1);
        let mut hill = 0.0;
        let mut points = [(0.0, 0.0, 0.0); DRAWN_POINTS];
        for (n, point) in points.iter_mut().enumerate() {
            let chance = |k: u64| uniform(hash(seed, 100 + n as u64), k, -1.0, 1.0);
            *point = (latitude, longitude, 35.0 + above + hill);
            let turns = 0.5 * (chance(0) + 1.0) < turning;
            heading += chance(1) * if turns { 0.5 * PI } else { 0.1 };
            let (s, c) = sin_cos(heading);
            let degree_m = EARTH_M * PI / 180.0;
            latitude = (latitude + step * c / degree_m).clamp(-85.0, 85.0);
            longitude += step * s / (degree_m * cos(latitude.to_radians()));
            // Ground and flight rise and fall gently; water and rails do not.
            let rise = match mode {
                Mode::Boat => 0.0,
                Mode::Train => 0.5,
                Mode::Bird => 20.0,
                Mode::Drone => 8.0,
                _ => 2.0,
            };
            hill = (hill + rise * chance(2)).clamp(-0.8 * above.max(25.0), 200.0);
            if mode == Mode::Boat {
                hill = 0.0;
            }
        }
        Self::new(
            ("generated", mode),
            &points,
            speed * times,
            0.5 * variation,
            (start_anywhere, seed),
        )
    }

    /// A place, where the receiver's idea of it drifts by some metres.
    pub(super) fn stationary(at: (f64, f64), seed: u64) -> Self {
        let point = [(at.0, at.1, 35.0)];
        Self::new(("stationary", Mode::Stationary), &point, 0.0, 0.0, (false, seed))
    }

    /// Where it is at this second.
    pub(super) fn at(&self, now: f64) -> Fix {
        let [.., last] = &*self.ways else { unreachable!("a track has a point") };
        if last.metres == 0.0 {
            return self.drift(*last, now);
        }
        let (amplitude, hz, phase) = self.sway;
        let (s, c) = sin_cos(TAU * (hz * now).fract() + phase);
        let gone = self.metres_per_s * now + amplitude * s + self.begin;
        let speed = self.metres_per_s + TAU * hz * amplitude * c;
        let turns = gone / (2.0 * last.metres);
        let into = 2.0 * last.metres * (turns - turns.floor());
        let (metres, back) =
            if into <= last.metres { (into, false) } else { (2.0 * last.metres - into, true) };
        let n = self.ways.partition_point(|way| way.metres <= metres).clamp(1, self.ways.len() - 1);
        let (a, b) = (&self.ways[n - 1], &self.ways[n]);
        let part = (metres - a.metres) / (b.metres - a.metres).max(1e-9);
        let between = |a: f64, b: f64| a + part * (b - a);
        let east = (b.longitude - a.longitude) * cos(a.latitude.to_radians());
        let course = atan2(east, b.latitude - a.latitude).to_degrees();
        Fix {
            latitude: between(a.latitude, b.latitude),
            longitude: wrapped(between(a.longitude, b.longitude)),
            altitude: between(a.altitude, b.altitude),
            speed: speed.max(0.0),
            course: (course + if back { 180.0 } else { 0.0 }).rem_euclid(360.0),
        }
    }

    fn drift(&self, way: Way, now: f64) -> Fix {
        let wave = |n: f64, seconds: f64| sin(TAU * (now / seconds).fract() + self.sway.2 * n);
        let (north, east) = (
            1.6 * wave(1.0, 787.0) + 0.8 * wave(2.0, 307.0),
            1.6 * wave(3.0, 911.0) + 0.8 * wave(4.0, 347.0),
        );
        let degree_m = EARTH_M * PI / 180.0;
        Fix {
            latitude: (way.latitude + north / degree_m).clamp(-90.0, 90.0),
            longitude: wrapped(
                way.longitude + east / (degree_m * cos(way.latitude.to_radians()).max(0.01)),
            ),
            altitude: way.altitude + 1.5 * wave(5.0, 653.0),
            speed: 0.0,
            course: 0.0,
        }
    }
}

fn wrapped(longitude: f64) -> f64 {
    (longitude + 180.0).rem_euclid(360.0) - 180.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fastest and the mean speed in km/h between fixes a second apart, by haversine.
    fn speeds(track: &Track, seconds: i64) -> (f64, f64) {
        let (mut fastest, mut sum) = (0.0, 0.0);
        let mut before = track.at(1e6);
        for second in 1..=seconds {
            let now = track.at(1e6 + second as f64);
            let kmh = 3.6
                * metres_between(
                    (before.latitude, before.longitude),
                    (now.latitude, now.longitude),
                );
            fastest = f64::max(fastest, kmh);
            sum += kmh;
            before = now;
        }
        (fastest, sum / seconds as f64)
    }

    /// The original's tracks implied 22 km/h for a walk and 1,287 km/h for a train, and jumped
    /// from their end to their beginning.
    #[test]
    fn nobody_is_ever_faster_than_their_mode() {
        for named in &NAMED {
            let track = Track::named(named.name, 1.0, (false, 3)).unwrap();
            let (fastest, mean) = speeds(&track, 30_000);
            assert!(fastest < named.mode.speed_max_kmh(), "{}: {fastest} km/h", named.name);
            assert!((mean / named.kmh - 1.0).abs() < 0.08, "{}: {mean} km/h", named.name);
        }
        for mode in Mode::ALL {
            for seed in 0..5 {
                let from = (52.52, 13.405);
                let track = match mode {
                    Mode::Stationary => Track::stationary(from, seed),
                    mode => Track::drawn(mode, from, (1.0, 1800.0), (true, seed)),
                };
                let (fastest, mean) = speeds(&track, 8000);
                assert!(fastest < mode.speed_max_kmh(), "{}: {fastest} km/h", mode.name());
                let (kmh, ..) = mode.habits();
                assert!((mean - kmh).abs() < 0.1 * kmh + 0.2, "{}: {mean} km/h", mode.name());
            }
        }
    }

    #[test]
    fn the_speed_told_is_the_speed_gone() {
        let track = Track::drawn(Mode::Cycle, (47.0, 8.0), (1.0, 1800.0), (true, 9));
        for second in 0..2000 {
            let now = 5e5 + f64::from(second);
            let (a, b) = (track.at(now - 0.5), track.at(now + 0.5));
            let gone = metres_between((a.latitude, a.longitude), (b.latitude, b.longitude));
            // Where the way bends, the chord is shorter than the way.
            let told = track.at(now).speed;
            assert!(
                gone <= told * 1.01 && (gone > told * 0.97 || a.course != b.course),
                "{gone} {told}"
            );
        }
    }

    #[test]
    fn named_tracks_join_the_ends_of_the_reference() {
        for (name, from, to) in [
            ("berlin_walk", (52.5145, 13.3501), (52.5245, 13.3985)),
            ("ice_train", (52.5251, 13.3694), (53.5511, 10.0065)),
            ("drone_survey", (52.51, 13.39), (52.51, 13.415)),
        ] {
            let named = NAMED.iter().find(|named| named.name == name).unwrap();
            let (first, last) = (named.ways[0], named.ways[named.ways.len() - 1]);
            assert_eq!(((first.0, first.1), (last.0, last.1)), (from, to));
            let track = Track::named(name, 1.0, (false, 1)).unwrap();
            assert_eq!((TRACKS.contains(&name), track.ways[0].latitude), (true, from.0));
        }
    }
}

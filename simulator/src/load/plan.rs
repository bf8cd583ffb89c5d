//! How a load is offered: for how long, how devices send, who watches.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use components::attention::Battery;
use components::command::{Attention, Target};
use components::viewer::Quality;

use super::dialect::Guest;
use super::world::World;
use crate::crowd::{Act, CrowdSpec, Form, Network, Visitor};

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Viewers who come before the beginning and look at the same until the end.
    pub viewers: usize,
    /// Sensors that each of them watches; and of those, how many it points at.
    pub watch: usize,
    pub point: usize,
    /// Every so many-th of them has a battery that is nearly empty; 0: nobody.
    pub dim_every: usize,
    pub quality: Quality,
    /// How they are served.
    pub form: Form,
    /// Viewers who come, look around and go.
    pub crowds: Vec<CrowdSpec>,
    pub seed: u64,
    pub warmup: Duration,
    /// Measured behind the warm-up.
    pub period: Duration,
    /// Gather a sensor's samples for so long into one message.
    pub batch: Option<Duration>,
    /// Gather as the server asks.
    pub obey: bool,
    pub surge: Option<Surge>,
}

/// More load in the middle third of the measured time. All are connected from the beginning; who is
/// beyond these numbers sends only then, and watches only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surge {
    pub devices: usize,
    pub sensors: usize,
    pub viewers: usize,
}

/// Over which the viewers of a surge come.
const SURGE_COMING_US: u64 = 1_000_000;

impl Plan {
    /// µs from the beginning to the end of sending.
    pub fn end_us(&self) -> u64 {
        (self.warmup + self.period).as_micros() as u64
    }

    /// When the load is larger, in µs since the beginning.
    pub fn surge_us(&self) -> Option<Range<u64>> {
        let (from, third) = (self.warmup.as_micros() as u64, self.period.as_micros() as u64 / 3);
        self.surge.map(|_| from + third..from + 2 * third)
    }

    /// When a device sends, in µs since the beginning.
    pub(super) fn awake_us(&self, device: usize) -> Range<u64> {
        match (self.surge, self.surge_us()) {
            (Some(surge), Some(surge_us)) if device >= surge.devices => surge_us,
            _ => 0..u64::MAX,
        }
    }

    /// The sensors of one viewer: neighbours, so that all are watched alike.
    fn watched(&self, viewer: usize, sensors: Range<usize>) -> Vec<usize> {
        let count = self.watch.min(sensors.len());
        (0..count).map(|n| sensors.start + (viewer * count + n) % sensors.len()).collect()
    }

    /// A viewer who looks at the same from when it comes until it goes.
    fn still(&self, number: usize, world: &World) -> Script {
        let all = world.sensors.len();
        let (watched, came_ms, left_ms) = match (self.surge, self.surge_us()) {
            (Some(surge), Some(_)) if number < surge.viewers => {
                (self.watched(number, 0..surge.sensors), 0, None)
            }
            (Some(surge), Some(surge_us)) => {
                let (nth, count) = (number - surge.viewers, self.viewers - surge.viewers);
                let came = surge_us.start + SURGE_COMING_US * nth as u64 / count as u64;
                let (came, left) = ((came / 1000) as i64, (surge_us.end / 1000) as i64);
                (self.watched(nth, surge.sensors..all), came.max(1), Some(left))
            }
            _ => (self.watched(number, 0..all), 0, None),
        };
        let dim = self.dim_every > 0 && number % self.dim_every == self.dim_every - 1;
        let pointed_at = watched.iter().take(if dim { 0 } else { self.point });
        let attention = Attention {
            focused: pointed_at.map(|n| whole(&world.sensors[*n].card.sensor_id)).collect(),
            battery: if dim { Battery::Critical } else { Battery::Normal },
            ..Attention::default()
        };
        let mut acts = vec![(came_ms, Act::Arrive { sensors: vec![], quality: self.quality })];
        if attention != Attention::default() {
            acts.push((came_ms + 1, Act::Attend(attention)));
        }
        acts.extend(left_ms.map(|ms| (ms, Act::Leave)));
        let guest = Guest {
            number,
            lens: Some(watched),
            visible: None,
            quality: self.quality,
            binary: self.form == Form::Binary,
        };
        Script { guest, acts, slow: false }
    }

    /// What every viewer of the run does. The same in every process.
    pub(super) fn scripts(&self, world: &World) -> Vec<Script> {
        let mut scripts: Vec<Script> = (0..self.viewers).map(|n| self.still(n, world)).collect();
        for (index, crowd) in self.crowds.iter().enumerate() {
            let crowd = Arc::new(crowd.clone());
            let in_room = |sensor: &usize| {
                crowd.room.is_none()
                    || world.sensors[*sensor].room.as_deref() == crowd.room.as_deref()
            };
            let lens: Vec<usize> = (0..world.sensors.len()).filter(in_room).collect();
            let ids = lens.iter().map(|n| Arc::clone(&world.sensors[*n].card.sensor_id));
            let ids: Arc<[Arc<str>]> = ids.collect();
            let seed = crate::chance::hash(self.seed, 0x6372_6f77_6400 + index as u64);
            for n in 0..crowd.count {
                let mut acts = Vec::new();
                let mut visitor = Visitor::new(&crowd, &ids, seed, n);
                visitor.advance((self.end_us() / 1000) as i64, &mut acts);
                for (_, act) in &mut acts {
                    // From the visitor's numbers to the world's.
                    if let Act::Arrive { sensors, .. } = act {
                        sensors.iter_mut().for_each(|sensor| *sensor = lens[*sensor]);
                    }
                }
                let guest = Guest {
                    number: scripts.len(),
                    lens: crowd.room.is_some().then(|| lens.clone()),
                    visible: Some(Vec::new()),
                    quality: crowd.quality,
                    binary: crowd.form == Form::Binary,
                };
                scripts.push(Script { guest, acts, slow: crowd.network != Network::Fast });
            }
        }
        scripts
    }
}

fn whole(sensor_id: &str) -> Target {
    Target { sensor_id: sensor_id.into(), attribute_id: None }
}

/// What one viewer does, in ms since the beginning.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub guest: Guest,
    pub acts: Vec<(i64, Act)>,
    /// Stops reading by plan.
    pub slow: bool,
}

/// The part of a run that one process plays: every `count`-th, from `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub index: usize,
    pub count: usize,
}

impl Share {
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    pub fn has(&self, number: usize) -> bool {
        number % self.count == self.index
    }
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        parts
            .filter(|share| share.index < share.count)
            .ok_or_else(|| format!("{text}: not a share"))
    }
}

/// Time since the beginning of a run, the same in all its processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunClock {
    began: Instant,
    pub began_unix_us: i64,
}

impl RunClock {
    /// A run that begins at this time, which may be yet to come.
    pub(super) fn beginning_at(began_unix_us: i64) -> Self {
        let now = Instant::now();
        let ahead_us = began_unix_us - unix_us();
        let began = match u64::try_from(ahead_us) {
            Ok(ahead_us) => now + Duration::from_micros(ahead_us),
            Err(_) => now - Duration::from_micros(ahead_us.unsigned_abs()),
        };
        Self { began, began_unix_us }
    }

    /// µs since the beginning; 0 before it.
    pub(super) fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    pub(super) fn instant(&self, micros: u64) -> Instant {
        self.began + Duration::from_micros(micros)
    }
}

/// The wall clock, µs.
pub(super) fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(viewers: usize, watch: usize) -> Plan {
        Plan {
            viewers,
            watch,
            point: 0,
            dim_every: 0,
            quality: Quality::High,
            form: Form::Json,
            crowds: Vec::new(),
            seed: 1,
            warmup: Duration::ZERO,
            period: Duration::from_secs(60),
            batch: None,
            obey: false,
            surge: None,
        }
    }

    #[test]
    fn a_surge_brings_more_of_everything_and_takes_it_away() {
        let world = World::uniform(30, 1, 10.0, "ecg");
        let surge = Some(Surge { devices: 10, sensors: 10, viewers: 4 });
        let plan = Plan { surge, point: 1, dim_every: 4, ..plan(12, 3) };
        assert_eq!(plan.surge_us(), Some(20_000_000..40_000_000));
        assert_eq!(plan.awake_us(9), 0..u64::MAX);
        assert_eq!(plan.awake_us(10), 20_000_000..40_000_000);
        let scripts = plan.scripts(&world);
        let usual = &scripts[..4];
        assert!(usual.iter().all(|it| it.guest.lens.iter().flatten().all(|n| *n < 10)));
        let Act::Attend(attention) = &usual[0].acts[1].1 else { panic!() };
        assert_eq!((usual[0].acts.len(), &attention.focused), (2, &vec![whole("load-0")]));
        let Act::Attend(attention) = &usual[3].acts[1].1 else { panic!() };
        assert_eq!((attention.battery, attention.focused.len()), (Battery::Critical, 0));
        let more = &scripts[4..];
        assert!(more.iter().all(|it| it.guest.lens.iter().flatten().all(|n| *n >= 10)));
        assert!(more.iter().all(|it| matches!(it.acts[0], (20_000..21_000, Act::Arrive { .. }))));
        assert!(more.iter().all(|it| it.acts.last() == Some(&(40_000, Act::Leave))));
    }

    #[test]
    fn viewers_share_the_sensors_evenly() {
        let world = World::uniform(10, 2, 1.0, "ecg");
        let mut watched = vec![0; world.sensors.len()];
        for script in plan(4, 5).scripts(&world) {
            script.guest.lens.unwrap().into_iter().for_each(|sensor| watched[sensor] += 1);
        }
        assert_eq!(watched, [1; 20]);
        assert_eq!(plan(1, 500).watched(3, 0..20).len(), 20);
        assert!(
            plan(2, 5).scripts(&World::uniform(0, 1, 1.0, "ecg"))[1].guest.lens == Some(vec![])
        );
    }

    #[test]
    fn a_crowd_does_the_same_in_every_process_and_sees_its_room_alone() {
        let mut world = World::uniform(20, 1, 1.0, "ecg");
        world.sensors[5..15].iter_mut().for_each(|sensor| sensor.room = Some("a".into()));
        let crowd = CrowdSpec {
            count: 3,
            room: Some("a".into()),
            watch: 4,
            arrive_s: (0.0, 5.0),
            ..CrowdSpec::default()
        };
        let plan = Plan { crowds: vec![crowd], ..plan(1, 1) };
        let scripts = plan.scripts(&world);
        assert_eq!(scripts.len(), 4);
        for (a, b) in scripts.iter().zip(plan.scripts(&world)) {
            assert_eq!(a.acts, b.acts);
        }
        let Some((_, Act::Arrive { sensors, .. })) = scripts[1].acts.first() else { panic!() };
        assert!(sensors.len() == 4 && sensors.iter().all(|sensor| (5..15).contains(sensor)));
        assert_eq!(scripts[1].guest.lens.as_ref().map(Vec::len), Some(10));
        assert!(scripts[1].acts.len() > 3, "it looks around");
    }

    #[test]
    fn shares_are_disjoint_and_cover_everything() {
        let of = |n: usize| (0..3).filter(|index| Share { index: *index, count: 3 }.has(n)).count();
        assert!((0..100).all(|n| of(n) == 1));
        assert_eq!("1/3".parse(), Ok(Share { index: 1, count: 3 }));
        assert!("3/3".parse::<Share>().is_err() && "x".parse::<Share>().is_err());
    }

    #[test]
    fn a_run_that_is_yet_to_begin_is_at_zero() {
        let clock = RunClock::beginning_at(unix_us() + 60_000_000);
        assert_eq!(clock.now(), 0);
        assert!(RunClock::beginning_at(unix_us() - 5_000_000).now() >= 5_000_000);
    }
}

//! How a person's body moves, and everything that measures it: one motion, seen by an
//! accelerometer, a gyroscope, a magnetometer and whatever is computed from them.
//!
//! The sensor hangs on the chest as a phone would: x to the wearer's left, y up, z ahead. Its
//! attitude is three angles, each a sum of sines of the time in seconds, so that the gyroscope is
//! their exact derivative and gravity is turned by the same angles. On top come the accelerations
//! of the steps, whose fundamental is the cadence of the activity at whatever rate one samples.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use components::attribute::AttributeType;
use components::cell::Cell;
use components::sample::Timestamp;

use super::payload::{Form, XYZ, cell, form, number, several};
use super::{Body, Memory, Model};
use crate::activity::Activity;
use crate::breath::Breath;
use crate::chance::{noise, uniform};
use crate::math::{asin, atan2, cos, rounded, sin, sin_cos};
use crate::person::{Person, seconds};

pub(super) const GRAVITY: f64 = 9.81;

/// Where there is no position: Berlin.
const LATITUDE: f64 = 52.52;

static IMU: Form = Form::new(|| {
    form(
        b"{\"accelerometer\":{\"x\":\x01,\"y\":\x01,\"z\":\x01},\
          \"gyroscope\":{\"x\":\x01,\"y\":\x01,\"z\":\x01}}",
    )
});
static QUATERNION: Form = Form::new(|| form(b"{\"w\":\x01,\"x\":\x01,\"y\":\x01,\"z\":\x01}"));
static EULER: Form = Form::new(|| form(b"{\"roll\":\x01,\"pitch\":\x01,\"yaw\":\x01}"));
static ORIENTATION: Form = Form::new(|| form(b"{\"alpha\":\x01,\"beta\":\x01,\"gamma\":\x01}"));

/// What the steps do to the chest: accelerations in m/s², swings in radians.
#[derive(Debug, Clone, Copy, Default)]
struct Gait {
    /// Up, once a step and twice.
    up: (f64, f64),
    ahead: f64,
    /// Sideways, once every two steps, as roll and yaw.
    side: f64,
    pitch: f64,
    roll: f64,
    yaw: f64,
}

impl Gait {
    /// Walking: accelerations of the trunk of Menz, Lord, Fitzpatrick 2003, Gait Posture 18
    /// (vertical 0.2 g rms, sideways and ahead 0.1 to 0.15 g). Running: about 1 g peak upward at
    /// the trunk, as Lee et al. 2010 and others. Cycling: small and smooth.
    fn of(activity: Activity) -> Self {
        match activity {
            Activity::Walk => {
                Self { up: (2.4, 0.7), ahead: 1.5, side: 1.1, pitch: 0.03, roll: 0.05, yaw: 0.08 }
            }
            Activity::Run => {
                Self { up: (9.0, 2.5), ahead: 3.0, side: 2.0, pitch: 0.05, roll: 0.08, yaw: 0.15 }
            }
            Activity::Cycle => {
                Self { up: (0.7, 0.2), ahead: 0.4, side: 0.4, pitch: 0.01, roll: 0.04, yaw: 0.02 }
            }
            _ => Self::default(),
        }
    }
}

/// A sine: amplitude, Hz, phase in radians.
#[derive(Debug, Clone, Copy, Default)]
struct Wave(f64, f64, f64);

impl Wave {
    fn drawn(seed: u64, n: u64, amplitude: f64, (low, high): (f64, f64)) -> Self {
        Self(
            amplitude * uniform(seed, n, 0.6, 1.2),
            uniform(seed, n + 1, low, high),
            uniform(seed, n + 2, 0.0, TAU),
        )
    }

    /// Its value and its derivative.
    fn at(self, seconds: f64) -> (f64, f64) {
        let (sin, cos) = sin_cos(TAU * (self.1 * seconds).fract() + self.2);
        (self.0 * sin, self.0 * TAU * self.1 * cos)
    }
}

/// The motion of one person, and the noise of one sensor that feels it.
#[derive(Debug)]
pub(super) struct Motion {
    person: Arc<Person>,
    seed: u64,
    cadence_hz: f64,
    steps_offset: f64,
    stray: [Wave; 2],
    gait: Gait,
    /// Mean lean ahead, radians; negative lies on the back.
    lean: f64,
    roll: [Wave; 2],
    pitch: [Wave; 2],
    yaw: [Wave; 2],
    yaw_mean: f64,
    /// Radians below the horizon, and µT: of the earth's field.
    dip: f64,
    field: f64,
    jitter: f64,
}

/// Where the chest is turned and pushed at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Radians: roll to the right, pitch ahead, yaw to the left of north.
    pub(super) angles: [f64; 3],
    /// Their derivatives, rad/s.
    pub(super) rates: [f64; 3],
    /// Left, up and ahead, m/s².
    pub(super) push: [f64; 3],
}

impl Motion {
    pub(super) fn new(body: &Body, seed: u64) -> Self {
        let person = body.someone();
        let (spec, own) = (person.spec(), person.seed());
        let activity = spec.activity();
        let lively = spec.activity_level / 0.5;
        let gait = Gait::of(activity);
        let gait = Gait {
            up: (gait.up.0 * lively, gait.up.1 * lively),
            ahead: gait.ahead * lively,
            side: gait.side * lively,
            ..gait
        };
        let (lean, sway, turning) = match activity {
            Activity::Sleep => (-1.5, 0.004, 0.01),
            Activity::Rest => (-1.35, 0.01, 0.03),
            Activity::Sit => (-0.1, 0.035, 0.25),
            Activity::Stand => (0.02, 0.03, 0.3),
            Activity::Walk => (0.05, 0.02, 0.5),
            Activity::Run => (0.15, 0.02, 0.4),
            Activity::Cycle => (0.6, 0.03, 0.4),
        };
        let latitude = body.position.map_or(LATITUDE, |(latitude, _)| latitude).to_radians();
        let up = sin(latitude);
        let wave = |n, amplitude, hz| Wave::drawn(own, n, amplitude, hz);
        Self {
            cadence_hz: person.cadence_hz().unwrap_or(0.0),
            steps_offset: uniform(own, 500, 0.0, 1.0),
            // The cadence strays by about 2 %.
            stray: [wave(510, 0.05, (0.03, 0.05)), wave(520, 0.03, (0.06, 0.11))],
            gait,
            lean,
            roll: [wave(530, sway * lively, (0.02, 0.1)), wave(540, sway * lively, (0.1, 0.35))],
            pitch: [wave(550, sway * lively, (0.02, 0.1)), wave(560, sway * lively, (0.1, 0.35))],
            yaw: [
                wave(570, turning * lively, (0.004, 0.02)),
                wave(580, 0.3 * turning * lively, (0.02, 0.09)),
            ],
            yaw_mean: uniform(own, 590, -PI, PI),
            // The field of a dipole along the earth's axis: 30 µT at the equator.
            dip: atan2(2.0 * up, cos(latitude)),
            field: 30.0 * (1.0 + 3.0 * up * up).sqrt(),
            jitter: 0.015 + 0.02 * gait.up.0,
            person,
            seed,
        }
    }

    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    /// Of the sensor's own noise.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Steps since the beginning, with fractions; a stroke of the pedals counts as one.
    pub(super) fn steps(&self, now: f64) -> f64 {
        if self.cadence_hz == 0.0 {
            return 0.0;
        }
        let stray = self.stray[0].at(now).0 + self.stray[1].at(now).0;
        self.cadence_hz * now + self.steps_offset + stray
    }

    pub(super) fn at(&self, now: f64) -> Moment {
        let sum = |waves: &[Wave; 2]| {
            let ((a, b), (c, d)) = (waves[0].at(now), waves[1].at(now));
            (a + c, b + d)
        };
        let ((roll, roll_rate), (pitch, pitch_rate), (yaw, yaw_rate)) =
            (sum(&self.roll), sum(&self.pitch), sum(&self.yaw));
        let mut moment = Moment {
            angles: [roll, self.lean + pitch, self.yaw_mean + yaw],
            rates: [roll_rate, pitch_rate, yaw_rate],
            push: [0.0, 0.0, 0.04 * Breath::excursion(self.person.breath().phase(now))],
        };
        if self.cadence_hz > 0.0 {
            let gait = &self.gait;
            let ((a, da), (b, db)) = (self.stray[0].at(now), self.stray[1].at(now));
            let steps = self.cadence_hz * now + self.steps_offset + a + b;
            let rate = TAU * (self.cadence_hz + da + db);
            let whole = 2.0 * (0.5 * steps).floor();
            // One step is one turn; left and right together are two.
            let ((s1, c1), (sh, ch)) =
                (sin_cos(TAU * (steps - whole)), sin_cos(PI * (steps - whole)));
            let twice = (2.0 * s1 * c1, 1.0 - 2.0 * s1 * s1);
            moment.push[0] += gait.side * ch;
            moment.push[1] += gait.up.0 * c1 + gait.up.1 * twice.1;
            moment.push[2] += gait.ahead * s1 + 0.25 * gait.ahead * twice.0;
            for (n, swing, (value, derivative)) in [
                (0, gait.roll, (sh, 0.5 * rate * ch)),
                (1, gait.pitch, (s1, rate * c1)),
                (2, gait.yaw, (ch, -0.5 * rate * sh)),
            ] {
                moment.angles[n] += swing * value;
                moment.rates[n] += swing * derivative;
            }
        }
        moment
    }

    fn noisy(&self, values: [f64; 3], n: u64, spread: f64, at: Timestamp) -> [f64; 3] {
        let mut n = n;
        values.map(|value| {
            n += 1;
            rounded(value + spread * noise(self.seed.wrapping_add(n), at.0 as u64), 1000.0)
        })
    }

    fn accelerometer(&self, moment: &Moment, at: Timestamp) -> [f64; 3] {
        let [left, up, ahead] = moment.push;
        let felt = moment.to_body([left, up + GRAVITY, ahead]);
        self.noisy(felt, 10, self.jitter, at)
    }

    fn gyroscope(&self, moment: &Moment, at: Timestamp) -> [f64; 3] {
        self.noisy(moment.turning(), 20, 0.003, at)
    }

    fn magnetometer(&self, moment: &Moment, at: Timestamp) -> [f64; 3] {
        let (down, north) = sin_cos(self.dip);
        // North is ahead of who heads north; yaw turns ahead to the left (west).
        let (s, c) = sin_cos(moment.angles[2]);
        let felt = moment.to_body([-s * north, -down, c * north].map(|part| self.field * part));
        self.noisy(felt, 30, 0.2, at)
    }
}

impl Moment {
    /// A vector of the level frame (left, up, ahead) as the leaning sensor has it: the inverse of
    /// pitch and then roll.
    fn to_body(self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        let ((sr, cr), (sp, cp)) = (sin_cos(self.angles[0]), sin_cos(self.angles[1]));
        let (y, z) = (cp * y + sp * z, cp * z - sp * y);
        [cr * x + sr * y, cr * y - sr * x, z]
    }

    /// Angular velocity about the sensor's axes, rad/s.
    fn turning(&self) -> [f64; 3] {
        let ((sr, cr), (sp, cp)) = (sin_cos(self.angles[0]), sin_cos(self.angles[1]));
        let [roll, pitch, yaw] = self.rates;
        [pitch * cr + yaw * cp * sr, yaw * cp * cr - pitch * sr, roll - yaw * sp]
    }

    /// Gravity in the sensor's axes, m/s².
    fn gravity(self) -> [f64; 3] {
        self.to_body([0.0, GRAVITY, 0.0])
    }

    /// From the sensor's axes to left (west), up and north: w, x, y, z.
    fn quaternion(&self) -> [f64; 4] {
        let [(sr, cr), (sp, cp), (sy, cy)] = self.angles.map(|angle| sin_cos(0.5 * angle));
        // Yaw about y, then pitch about x, then roll about z.
        [
            cy * cp * cr + sy * sp * sr,
            cy * sp * cr + sy * cp * sr,
            sy * cp * cr - cy * sp * sr,
            cy * cp * sr - sy * sp * cr,
        ]
    }

    /// Compass degrees, clockwise from north, 0 to 360.
    fn heading(&self) -> f64 {
        degrees(-self.angles[2]).rem_euclid(360.0)
    }

    /// Alpha, beta and gamma of the W3C's DeviceOrientation, degrees.
    fn orientation(&self) -> [f64; 3] {
        let [x, y, z] = self.to_body([0.0, 1.0, 0.0]);
        // The sensor's y axis on the ground: west and north.
        let ((sr, _), (sp, _)) = (sin_cos(self.angles[0]), sin_cos(self.angles[1]));
        let (sy, cy) = sin_cos(self.angles[2]);
        let cr = cos(self.angles[0]);
        let (left, ahead) = (-sr, sp * cr);
        let (west, north) = (cy * left + sy * ahead, cy * ahead - sy * left);
        // Gamma stays within a quarter turn: face down, alpha and beta turn over instead.
        if z >= 0.0 {
            let beta = asin(y.clamp(-1.0, 1.0));
            [degrees(atan2(west, north)).rem_euclid(360.0), degrees(beta), degrees(atan2(-x, z))]
        } else {
            let beta = atan2(y, -(x * x + z * z).sqrt());
            [degrees(atan2(-west, -north)).rem_euclid(360.0), degrees(beta), degrees(atan2(x, -z))]
        }
    }
}

fn degrees(radians: f64) -> f64 {
    radians * (180.0 / PI)
}

/// Rounded so that what is rounded up to a full turn is none.
fn turn(degrees: f64) -> f64 {
    let rounded = rounded(degrees, 100.0);
    if rounded >= 360.0 { rounded - 360.0 } else { rounded }
}

fn cells<const N: usize>(values: [f64; N]) -> [Cell; N] {
    values.map(cell)
}

fn imu(motion: &Motion, at: Timestamp, _: &mut Memory) -> [Cell; 6] {
    let moment = motion.at(seconds(at));
    let ([a, b, c], [d, e, f]) = (motion.accelerometer(&moment, at), motion.gyroscope(&moment, at));
    cells([a, b, c, d, e, f])
}

fn accelerometer(motion: &Motion, at: Timestamp) -> [f64; 3] {
    motion.accelerometer(&motion.at(seconds(at)), at)
}

fn gyroscope(motion: &Motion, at: Timestamp) -> [f64; 3] {
    motion.gyroscope(&motion.at(seconds(at)), at)
}

fn magnetometer(motion: &Motion, at: Timestamp) -> [f64; 3] {
    motion.magnetometer(&motion.at(seconds(at)), at)
}

const RATES: (f64, f64) = (50.0, 400.0);
const ACCELERATION: (&str, (f64, f64)) = ("m/s²", (-100.0, 100.0));
const TURNING: (&str, (f64, f64)) = ("rad/s", (-35.0, 35.0));
const FIELD: (&str, (f64, f64)) = ("µT", (-80.0, 80.0));

const FELT: &str = "gravity turned by the attitude, and the steps (Menz, Lord, Fitzpatrick 2003)";
const TURNED: &str = "the derivative of the attitude that turns gravity";
const MAGNETIC: &str = "a dipole field of 30 µT at the equator, turned by the attitude";
const ATTITUDE: &str = "yaw about up, then pitch about left, then roll about ahead";

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "imu",
        AttributeType::Imu,
        ("m/s², rad/s", (-100.0, 100.0)),
        RATES,
        FELT,
        "Acceleration with gravity, and turning, on the chest.",
        |_, body, seed| several(&IMU, Motion::new(body, seed), imu),
    ),
    Model::new(
        "accelerometer",
        AttributeType::Accelerometer,
        ACCELERATION,
        RATES,
        FELT,
        "Acceleration with gravity: x left, y up, z ahead.",
        |_, body, seed| {
            several(&XYZ, Motion::new(body, seed), |motion, at, _| cells(accelerometer(motion, at)))
        },
    ),
    Model::new(
        "gyroscope",
        AttributeType::Gyroscope,
        TURNING,
        RATES,
        TURNED,
        "Turning about left, up and ahead.",
        |_, body, seed| {
            several(&XYZ, Motion::new(body, seed), |motion, at, _| cells(gyroscope(motion, at)))
        },
    ),
    Model::new(
        "magnetometer",
        AttributeType::Magnetometer,
        FIELD,
        (25.0, 100.0),
        MAGNETIC,
        "The earth's magnetic field in the sensor's axes.",
        |_, body, seed| {
            several(&XYZ, Motion::new(body, seed), |motion, at, _| cells(magnetometer(motion, at)))
        },
    ),
    Model::new(
        "gravity",
        AttributeType::Gravity,
        ("m/s²", (-9.82, 9.82)),
        RATES,
        ATTITUDE,
        "Gravity alone in the sensor's axes.",
        |_, body, seed| {
            several(&XYZ, Motion::new(body, seed), |motion, at, _| {
                cells(motion.at(seconds(at)).gravity().map(|value| rounded(value, 1000.0)))
            })
        },
    ),
    Model::new(
        "quaternion",
        AttributeType::Quaternion,
        ("", (-1.0, 1.0)),
        RATES,
        ATTITUDE,
        "The attitude, from the sensor's axes to west, up and north.",
        |_, body, seed| {
            several(&QUATERNION, Motion::new(body, seed), |motion, at, _| {
                cells(motion.at(seconds(at)).quaternion().map(|value| rounded(value, 1e5)))
            })
        },
    ),
    Model::new(
        "euler",
        AttributeType::Euler,
        ("°, °, °", (-180.0, 360.0)),
        RATES,
        ATTITUDE,
        "The attitude as roll, pitch and yaw (0 to 360, to the left of north).",
        |_, body, seed| {
            several(&EULER, Motion::new(body, seed), |motion, at, _| {
                let [roll, pitch, yaw] = motion.at(seconds(at)).angles.map(degrees);
                cells([rounded(roll, 100.0), rounded(pitch, 100.0), turn(yaw.rem_euclid(360.0))])
            })
        },
    ),
    Model::new(
        "heading",
        AttributeType::Heading,
        ("°", (0.0, 360.0)),
        (10.0, 100.0),
        ATTITUDE,
        "The compass on the chest, clockwise from north.",
        |_, body, seed| {
            number(Motion::new(body, seed), |motion, at, _| turn(motion.at(seconds(at)).heading()))
        },
    ),
    Model::new(
        "orientation",
        AttributeType::Orientation,
        ("°, °, °", (-180.0, 360.0)),
        RATES,
        "W3C Device Orientation: alpha, beta, gamma",
        "The attitude as a browser tells it.",
        |_, body, seed| {
            several(&ORIENTATION, Motion::new(body, seed), |motion, at, _| {
                let [alpha, beta, gamma] = motion.at(seconds(at)).orientation();
                cells([turn(alpha), rounded(beta, 100.0), rounded(gamma, 100.0)])
            })
        },
    ),
    axis("accelerometer_x", ACCELERATION, FELT, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| accelerometer(motion, at)[0])
    }),
    axis("accelerometer_y", ACCELERATION, FELT, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| accelerometer(motion, at)[1])
    }),
    axis("accelerometer_z", ACCELERATION, FELT, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| accelerometer(motion, at)[2])
    }),
    axis("gyroscope_x", TURNING, TURNED, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| gyroscope(motion, at)[0])
    }),
    axis("gyroscope_y", TURNING, TURNED, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| gyroscope(motion, at)[1])
    }),
    axis("gyroscope_z", TURNING, TURNED, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| gyroscope(motion, at)[2])
    }),
    axis("magnetometer_x", FIELD, MAGNETIC, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| magnetometer(motion, at)[0])
    }),
    axis("magnetometer_y", FIELD, MAGNETIC, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| magnetometer(motion, at)[1])
    }),
    axis("magnetometer_z", FIELD, MAGNETIC, |_, body, seed| {
        number(Motion::new(body, seed), |motion, at, _| magnetometer(motion, at)[2])
    }),
];

/// One axis alone, as a number.
const fn axis(
    name: &'static str,
    measure: (&'static str, (f64, f64)),
    source: &'static str,
    build: super::Build,
) -> Model {
    let sentence = "One axis of it: x left, y up, z ahead.";
    Model::new(name, AttributeType::Numeric, measure, RATES, source, sentence, build)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{ORIGIN_MS, PersonSpec};
    use crate::spectrum;

    fn doing(activity: &str, seed: u64) -> Motion {
        let mut spec = PersonSpec::drawn(seed);
        spec.set_word("activity", activity).unwrap();
        let person = Some(Arc::new(Person::new(spec, seed)));
        Motion::new(&Body { seed, person, position: None }, seed)
    }

    fn size([x, y, z]: [f64; 3]) -> f64 {
        (x * x + y * y + z * z).sqrt()
    }

    /// With frequencies of samples instead of seconds, a walker at 25 Hz takes half the steps of
    /// one at 50 Hz.
    #[test]
    fn the_accelerometer_shows_the_cadence_at_every_sampling_rate() {
        for (activity, low, high) in [("walk", 1.7, 2.1), ("run", 2.5, 3.0), ("cycle", 2.4, 2.9)] {
            let motion = doing(activity, 5);
            for rate_hz in [25.0, 50.0, 110.0] {
                let samples: Vec<(f64, f64)> = (0..(60.0 * rate_hz) as i64)
                    .map(|k| {
                        let at =
                            Timestamp(ORIGIN_MS + (k as f64 * 1000.0 / rate_hz).round() as i64);
                        (seconds(at), accelerometer(&motion, at)[1])
                    })
                    .collect();
                let power = spectrum::bands(&samples, 0.01, 8.0);
                let peak = spectrum::peak(&power, 0.3, 8.0);
                let cadence = motion.person.cadence_hz().unwrap();
                assert!((low..high).contains(&peak), "{activity}, {rate_hz} Hz: {peak}");
                assert!((peak - cadence).abs() < 0.06, "{peak} shown, {cadence} gone");
            }
        }
    }

    #[test]
    fn the_gyroscope_is_the_derivative_of_the_attitude() {
        for activity in ["sit", "walk", "run", "cycle", "sleep"] {
            let motion = doing(activity, 2);
            for n in 0..400 {
                let now = 1e6 + f64::from(n) * 0.037;
                let half = 1e-4;
                let (before, after) = (motion.at(now - half), motion.at(now + half));
                let ([a, b, c, d], [w, x, y, z]) = (before.quaternion(), after.quaternion());
                // The turn from one to the other, in the sensor's axes: twice its vector part.
                let turned = [
                    a * x - b * w - c * z + d * y,
                    a * y + b * z - c * w - d * x,
                    a * z - b * y + c * x - d * w,
                ];
                let sign = (a * w + b * x + c * y + d * z).signum();
                for (told, turned) in motion.at(now).turning().iter().zip(turned) {
                    let rate = sign * 2.0 * turned / (2.0 * half);
                    assert!((told - rate).abs() < 1e-3 * (1.0 + told.abs()), "{told} {rate}");
                }
            }
        }
    }

    #[test]
    fn at_rest_the_accelerometer_feels_gravity_as_the_attitude_turns_it() {
        for activity in ["sleep", "rest", "sit", "stand"] {
            let motion = doing(activity, 3);
            for n in 0..500 {
                let at = Timestamp(ORIGIN_MS + n * 7919);
                let (felt, gravity) =
                    (accelerometer(&motion, at), motion.at(seconds(at)).gravity());
                assert!((size(gravity) - GRAVITY).abs() < 1e-9);
                for (felt, gravity) in felt.iter().zip(gravity) {
                    assert!((felt - gravity).abs() < 0.15, "{felt} {gravity}");
                }
            }
        }
        // Who sits has gravity along y, who lies along z.
        assert!(doing("sit", 1).at(0.0).gravity()[1] > 9.5);
        assert!(doing("sleep", 1).at(0.0).gravity()[2] > 9.5);
    }

    #[test]
    fn running_shakes_more_than_walking_and_walking_more_than_sitting() {
        let shaken = |activity: &str| {
            let motion = doing(activity, 7);
            let sum = (0..3000)
                .map(|n| {
                    let force =
                        size(accelerometer(&motion, Timestamp(ORIGIN_MS + n * 20))) - GRAVITY;
                    force * force
                })
                .sum::<f64>();
            (sum / 3000.0).sqrt()
        };
        let (sitting, walking, running) = (shaken("sit"), shaken("walk"), shaken("run"));
        assert!(sitting < 0.1, "{sitting}");
        // Menz 2003: about 0.2 g rms in the vertical.
        assert!((1.2..2.6).contains(&walking), "{walking}");
        assert!((5.0..10.0).contains(&running), "{running}");
    }

    #[test]
    fn compass_magnetometer_quaternion_and_browser_agree() {
        for seed in 0..20 {
            let motion = doing("stand", seed);
            for n in 0..50 {
                let now = 5e5 + f64::from(n) * 13.7;
                let moment = motion.at(now);
                // The field without noise, made level, points north (and down).
                let field = motion.magnetometer(&moment, Timestamp(0));
                assert!((size(field) - motion.field).abs() < 1.5);
                let [x, _, z] = level(&moment, field);
                // North is to the left of ahead by the heading.
                let heading = degrees(atan2(x, z)).rem_euclid(360.0);
                let apart = (heading - moment.heading() + 540.0).rem_euclid(360.0) - 180.0;
                assert!(apart.abs() < 3.0, "{heading} {}", moment.heading());
                let [w, a, b, c] = moment.quaternion();
                assert!((w * w + a * a + b * b + c * c - 1.0).abs() < 1e-12);
                let [alpha, beta, gamma] = moment.orientation();
                // Face down (leaning ahead), beta is beyond a quarter turn.
                assert!((0.0..360.0).contains(&alpha) && (45.0..135.0).contains(&beta));
                assert!((-90.0..=90.0).contains(&gamma));
            }
        }
    }

    /// Roll and pitch undone.
    fn level(moment: &Moment, [x, y, z]: [f64; 3]) -> [f64; 3] {
        let ((sr, cr), (sp, cp)) = (sin_cos(moment.angles[0]), sin_cos(moment.angles[1]));
        let (x, y) = (cr * x - sr * y, sr * x + cr * y);
        [x, cp * y - sp * z, sp * y + cp * z]
    }
}

//! A moving body as a camera sees it: the 33 landmarks of MediaPipe's pose model.
//!
//! A figure of jointed segments, whose angles are functions of the phase of the motion, is turned
//! towards the camera and seen from afar. Lengths are those of a body of height 1.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::sync::Arc;

use components::attribute::AttributeType;
use components::sample::{Payload, Timestamp};
use components::shape::Shape;

use super::motion::Motion;
use super::payload::{Form, cell};
use super::{Body, Memory, Model, Parameter, Signal};
use crate::activity::Activity;
use crate::breath::Breath;
use crate::chance::{noise, uniform};
use crate::math::{asin, cos, rounded, sin, sin_cos, wave};
use crate::person::seconds;

const LANDMARKS: usize = 33;

static SKELETON: Form = Form::new(|| {
    let points = vec!["{\"x\":\u{1},\"y\":\u{1},\"v\":\u{1}}"; LANDMARKS].join(",");
    Arc::new(Shape::from_skeleton(format!("{{\"landmarks\":[{points}]}}").as_bytes()))
});

/// Lengths over body height (Winter 2009, "Biomechanics and Motor Control", after Drillis and
/// Contini).
const THIGH: f64 = 0.245;
const SHANK: f64 = 0.246;
const TRUNK: f64 = 0.288;
const UPPER_ARM: f64 = 0.186;
const FOREARM: f64 = 0.146;
const HALF_SHOULDERS: f64 = 0.115;
const HALF_HIPS: f64 = 0.06;
/// From the middle of the shoulders to that of the face.
const NECK: f64 = 0.12;

/// Height of the body over that of the picture.
const SCALE: f64 = 0.82;

type Point = [f64; 3];

fn add([a, b, c]: Point, [d, e, f]: Point, by: f64) -> Point {
    [a + by * d, b + by * e, c + by * f]
}

/// A limb's angles in radians: ahead of hanging down, and out to its side.
#[derive(Debug, Clone, Copy, Default)]
struct Limb(f64, f64);

impl Limb {
    /// Its direction: left, up, ahead. `side` is 1 for the left.
    fn direction(self, side: f64) -> Point {
        let ((sf, cf), (sa, ca)) = (sin_cos(self.0), sin_cos(self.1));
        [side * sa, -ca * cf, ca * sf]
    }
}

/// Every joint; left before right.
#[derive(Debug, Clone, Copy, Default)]
struct Pose {
    /// Lean of the trunk ahead, and its sway to the left.
    lean: f64,
    sway: f64,
    /// Upper arm and forearm.
    arms: [(Limb, Limb); 2],
    /// Thigh and shank.
    legs: [(Limb, Limb); 2],
    /// How far the lowest point is above the ground.
    above: f64,
    /// Turn of the body from the camera, radians: a quarter shows the left side.
    turn: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Walking,
    Running,
    Cycling,
    Dancing,
    Exercise,
    Waving,
    Jumping,
    Idle,
    Sitting,
    Lying,
}

const WORDS: &[&str] = &[
    "activity", "walking", "running", "cycling", "dancing", "exercise", "waving", "jumping",
    "idle", "sitting", "lying",
];

impl Doing {
    /// What the word says; `activity` is what the person does.
    fn new(word: &str, activity: Activity) -> Self {
        match word {
            "walking" => Self::Walking,
            "running" => Self::Running,
            "cycling" => Self::Cycling,
            "dancing" => Self::Dancing,
            "exercise" => Self::Exercise,
            "waving" => Self::Waving,
            "jumping" => Self::Jumping,
            "idle" => Self::Idle,
            "sitting" => Self::Sitting,
            "lying" => Self::Lying,
            _ => match activity {
                Activity::Sleep | Activity::Rest => Self::Lying,
                Activity::Sit => Self::Sitting,
                Activity::Stand => Self::Idle,
                Activity::Walk => Self::Walking,
                Activity::Run => Self::Running,
                Activity::Cycle => Self::Cycling,
            },
        }
    }

    /// Seconds a cycle lasts where the steps of the person do not say it
    /// (`reference/collab.md` 21.5).
    fn period_s(self) -> f64 {
        match self {
            Self::Walking => 1.0,
            Self::Running => 0.73,
            Self::Cycling => 0.75,
            Self::Dancing | Self::Idle | Self::Sitting | Self::Lying => 4.0,
            Self::Exercise => 3.0,
            Self::Waving => 1.5,
            Self::Jumping => 1.2,
        }
    }

    /// The joints at this many cycles.
    fn pose(self, turns: f64) -> Pose {
        let phase = TAU * (turns - turns.floor());
        let (s, c) = sin_cos(phase);
        let still = Pose {
            arms: [(Limb(0.03, 0.12), Limb(0.2, 0.08)); 2],
            legs: [(Limb(0.0, 0.03), Limb(0.0, 0.03)); 2],
            ..Pose::default()
        };
        // The knee bends while the thigh comes forward.
        let stride = |lean: f64, mean: f64, swing: f64, knee: (f64, f64), arm: (f64, f64)| {
            let leg = |s: f64, c: f64| {
                let thigh = mean + swing * s;
                let bend = c.max(0.0);
                (Limb(thigh, 0.02), Limb(thigh - knee.0 - knee.1 * bend * bend, 0.02))
            };
            let hand = |s: f64| (Limb(-arm.0 * s, 0.12), Limb(arm.1 - arm.0 * s, 0.0));
            Pose {
                lean,
                legs: [leg(s, c), leg(-s, -c)],
                arms: [hand(s), hand(-s)],
                turn: 0.9,
                ..still
            }
        };
        match self {
            Self::Walking => stride(0.05, 0.05, 0.4, (0.1, 0.75), (0.35, 0.35)),
            Self::Running => Pose {
                // Both feet are off the ground twice in a stride.
                above: 0.025 * (1.0 + cos(2.0 * phase)),
                ..stride(0.16, 0.25, 0.62, (0.35, 1.25), (0.6, 1.5))
            },
            Self::Cycling => {
                let leg = |s: f64, c: f64| {
                    let thigh = 1.0 + 0.42 * s;
                    (Limb(thigh, 0.03), Limb(thigh - 1.2 - 0.42 * s - 0.25 * c, 0.03))
                };
                Pose {
                    lean: 0.7,
                    legs: [leg(s, c), leg(-s, -c)],
                    arms: [(Limb(0.75, 0.1), Limb(1.1, 0.0)); 2],
                    turn: FRAC_PI_2,
                    ..still
                }
            }
            Self::Dancing => {
                let (s2, c2) = (2.0 * s * c, 1.0 - 2.0 * s * s);
                let knee = 0.25 * (1.0 - cos(4.0 * phase));
                let leg = (Limb(knee, 0.08), Limb(-knee, 0.08));
                Pose {
                    sway: 0.12 * s2,
                    arms: [
                        (Limb(0.3, 1.3 + 0.6 * s), Limb(0.2, 2.2 + 0.5 * s2)),
                        (Limb(0.3, 1.3 - 0.6 * s), Limb(0.2, 2.2 - 0.5 * c2)),
                    ],
                    legs: [leg; 2],
                    turn: 0.35 * s,
                    ..still
                }
            }
            Self::Exercise => {
                // A push-up: hands and toes stay, the elbows bend.
                let bend = 0.55 - 0.5 * c;
                let reach = (UPPER_ARM + FOREARM) * cos(bend);
                let lean = FRAC_PI_2 - asin(reach / (TRUNK + THIGH + SHANK));
                Pose {
                    lean,
                    legs: [(Limb(-lean, 0.0), Limb(-lean, 0.0)); 2],
                    arms: [(Limb(-bend, 0.1), Limb(bend, 0.0)); 2],
                    turn: FRAC_PI_2,
                    ..still
                }
            }
            Self::Waving => Pose {
                arms: [still.arms[0], (Limb(0.2, 1.75), Limb(0.2, 2.75 + 0.45 * s))],
                ..still
            },
            Self::Jumping => {
                // On the ground for 0.6 of the cycle, bending and stretching; then a parabola.
                let part = phase / TAU;
                let (bend, above) = if part < 0.6 {
                    (0.5 - 0.5 * cos(TAU * part / 0.6), 0.0)
                } else {
                    let up = (part - 0.6) / 0.4;
                    (0.0, 0.5 * up * (1.0 - up))
                };
                let arm = 0.1 + 1.2 * above / 0.125 - 0.5 * bend;
                Pose {
                    lean: 0.35 * bend,
                    legs: [(Limb(0.8 * bend, 0.03), Limb(-0.7 * bend, 0.03)); 2],
                    arms: [(Limb(arm, 0.12), Limb(arm + 0.3, 0.1)); 2],
                    above,
                    turn: 0.5,
                    ..still
                }
            }
            Self::Idle => Pose { sway: 0.012 * s, lean: 0.006 * c, ..still },
            Self::Sitting => Pose {
                lean: -0.08 + 0.01 * s,
                sway: 0.01 * c,
                legs: [(Limb(1.45, 0.1), Limb(0.0, 0.05)); 2],
                arms: [(Limb(0.25, 0.1), Limb(1.2, 0.0)); 2],
                turn: 0.6,
                ..still
            },
            Self::Lying => Pose {
                lean: -1.5,
                legs: [(Limb(1.5, 0.08), Limb(1.5, 0.08)); 2],
                arms: [(Limb(1.45, 0.15), Limb(1.5, 0.1)); 2],
                turn: FRAC_PI_2,
                ..still
            },
        }
    }
}

impl Pose {
    /// The landmarks: left, up from the ground, ahead.
    fn landmarks(&self) -> [Point; LANDMARKS] {
        let mut points = [[0.0; 3]; LANDMARKS];
        let ((sl, cl), (ss, cs)) = (sin_cos(self.lean), sin_cos(self.sway));
        let up = [ss, cl * cs, sl * cs];
        let ahead = [0.0, -sl, cl];
        let neck = add([0.0; 3], up, TRUNK);
        let head = add(neck, up, NECK);
        let face = |left: f64, up_by: f64, ahead_by: f64| {
            let point = add(add(head, up, up_by), ahead, ahead_by);
            [point[0] + left, point[1], point[2]]
        };
        points[0] = face(0.0, 0.0, 0.06);
        for (n, left, up_by, ahead_by) in [
            (1, 0.012, 0.02, 0.05),
            (2, 0.02, 0.02, 0.048),
            (3, 0.028, 0.02, 0.044),
            (7, 0.045, 0.008, 0.0),
            (9, 0.015, -0.02, 0.05),
        ] {
            points[n] = face(left, up_by, ahead_by);
            // Right of it: three on within the eyes, else one.
            points[if n < 4 { n + 3 } else { n + 1 }] = face(-left, up_by, ahead_by);
        }
        for (n, side) in [(0, 1.0), (1, -1.0)] {
            let (upper, lower) = self.arms[n];
            let shoulder = [neck[0] + side * HALF_SHOULDERS, neck[1], neck[2]];
            let along = lower.direction(side);
            let elbow = add(shoulder, upper.direction(side), UPPER_ARM);
            let wrist = add(elbow, along, FOREARM);
            let hand = add(wrist, along, 0.05);
            points[11 + n] = shoulder;
            points[13 + n] = elbow;
            points[15 + n] = wrist;
            points[17 + n] = [hand[0] + side * 0.012, hand[1], hand[2]];
            points[19 + n] = add(hand, along, 0.01);
            let thumb = add(wrist, along, 0.025);
            points[21 + n] = [thumb[0] - side * 0.018, thumb[1], thumb[2]];

            let (thigh, shank) = self.legs[n];
            let hip = [side * HALF_HIPS, 0.0, 0.0];
            let down = shank.direction(side);
            let knee = add(hip, thigh.direction(side), THIGH);
            let ankle = add(knee, down, SHANK);
            let toes = [0.0, down[2], -down[1]];
            points[23 + n] = hip;
            points[25 + n] = knee;
            points[27 + n] = ankle;
            points[29 + n] = add(add(ankle, down, 0.03), toes, -0.025);
            points[31 + n] = add(add(ankle, down, 0.035), toes, 0.1);
        }
        let lowest = points.iter().map(|point| point[1]).fold(f64::INFINITY, f64::min);
        for point in &mut points {
            point[1] += self.above - lowest;
        }
        points
    }
}

/// One person before a camera.
#[derive(Debug)]
struct Figure {
    doing: Doing,
    /// Whose steps set the pace, where the motion is the person's own.
    steps: Option<Motion>,
    breath: Breath,
    rate_hz: f64,
    offset: f64,
    turn: f64,
    seed: u64,
}

impl Figure {
    fn new(word: &str, body: &Body, seed: u64) -> Self {
        let person = body.someone();
        let doing = Doing::new(word, person.spec().activity());
        let own = matches!(doing, Doing::Walking | Doing::Running | Doing::Cycling)
            && doing == Doing::new("activity", person.spec().activity());
        Self {
            doing,
            steps: own.then(|| Motion::new(body, seed)),
            breath: person.breath().clone(),
            rate_hz: uniform(person.seed(), 600, 0.85, 1.15) / doing.period_s(),
            offset: uniform(person.seed(), 601, 0.0, 1.0),
            turn: uniform(person.seed(), 602, -0.15, 0.15),
            seed,
        }
    }

    /// Cycles of the motion since the beginning: two steps are one.
    fn turns(&self, now: f64) -> f64 {
        match &self.steps {
            Some(motion) => 0.5 * motion.steps(now),
            None => self.rate_hz * now + self.offset,
        }
    }

    /// x and y of the picture (0, 0 is its upper left), and how far behind the body, of each.
    fn picture(&self, now: f64) -> [Point; LANDMARKS] {
        let pose = self.doing.pose(self.turns(now));
        let (s, c) = (sin(pose.turn + self.turn), cos(pose.turn + self.turn));
        let breath = Breath::excursion(self.breath.phase(now));
        let wander = 0.01 * wave(0.11 * now + self.offset);
        let mut points = pose.landmarks();
        for (n, point) in points.iter_mut().enumerate() {
            let [left, up, ahead] = *point;
            // Breathing lifts all above the hips.
            let up = if n < 23 { up + 0.003 * breath } else { up };
            *point = [
                0.5 + wander + SCALE * (c * left + s * ahead),
                0.95 - SCALE * up,
                s * left - c * ahead,
            ];
        }
        points
    }
}

impl Signal for Figure {
    fn measure(&self, at: Timestamp, _: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let mut cells = [0; 3 * LANDMARKS];
        let moment = at.0 as u64;
        for (n, (point, cells)) in
            self.picture(seconds(at)).into_iter().zip(cells.chunks_exact_mut(3)).enumerate()
        {
            let noisy = |m: u64| noise(self.seed.wrapping_add(3 * n as u64 + m), moment);
            let seen = 0.96 - 0.8 * point[2].max(0.0);
            cells[0] = cell(rounded(point[0] + 0.0015 * noisy(0), 1e4)).0;
            cells[1] = cell(rounded(point[1] + 0.0015 * noisy(1), 1e4)).0;
            cells[2] = cell(rounded((seen + 0.01 * noisy(2)).clamp(0.5, 1.0), 1000.0)).0;
        }
        put(Payload::Shaped { shape: &SKELETON, cells: &cells });
    }
}

pub(super) const MODELS: &[Model] = &[Model::new(
    "skeleton",
    AttributeType::Skeleton,
    ("", (-0.2, 1.2)),
    (15.0, 120.0),
    "MediaPipe pose, 33 landmarks; segments: Winter 2009; periods: reference/collab.md 21.5",
    "A moving body as a camera sees it: x, y and visibility of 33 landmarks.",
    |chosen, body, seed| Box::new(Figure::new(chosen.word("motion"), body, seed)),
)
.taking(&[Parameter::word(
    "motion",
    WORDS,
    "activity",
    "What the body does; `activity` is what the person does, in step with the accelerometer.",
)])];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{Person, PersonSpec};
    use crate::spectrum;

    fn figure(word: &str, activity: &str) -> Figure {
        let mut spec = PersonSpec::drawn(4);
        spec.set_word("activity", activity).unwrap();
        let person = Some(Arc::new(Person::new(spec, 4)));
        Figure::new(word, &Body { seed: 4, person, position: None }, 1)
    }

    /// How x or y of a landmark goes for half a minute.
    fn course(figure: &Figure, landmark: usize, axis: usize) -> Vec<(f64, f64)> {
        (0..900)
            .map(|n| f64::from(n) / 30.0)
            .map(|t| (t, figure.picture(1e5 + t)[landmark][axis]))
            .collect()
    }

    #[test]
    fn limbs_are_as_long_as_they_are_whatever_is_done() {
        for &word in WORDS {
            let figure = figure(word, "sit");
            for n in 0..200 {
                let points = figure.doing.pose(f64::from(n) * 0.013).landmarks();
                let apart = |a: usize, b: usize| {
                    let d: [f64; 3] = std::array::from_fn(|k| points[a][k] - points[b][k]);
                    (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt()
                };
                for side in [0, 1] {
                    assert!((apart(11 + side, 13 + side) - UPPER_ARM).abs() < 1e-9, "{word}");
                    assert!((apart(13 + side, 15 + side) - FOREARM).abs() < 1e-9, "{word}");
                    assert!((apart(23 + side, 25 + side) - THIGH).abs() < 1e-9, "{word}");
                    assert!((apart(25 + side, 27 + side) - SHANK).abs() < 1e-9, "{word}");
                }
                let lowest = points.iter().map(|p| p[1]).fold(f64::INFINITY, f64::min);
                assert!((0.0..0.13).contains(&lowest), "{word}: {lowest} above the ground");
            }
        }
    }

    #[test]
    fn walkers_swing_their_legs_in_step_with_their_accelerometer_and_arms_against() {
        let walker = figure("activity", "walk");
        let cadence = walker.steps.as_ref().unwrap().steps(1e5 + 60.0)
            - walker.steps.as_ref().unwrap().steps(1e5);
        let knee = course(&walker, 25, 0);
        let power = spectrum::bands(&knee, 0.01, 4.0);
        let peak = spectrum::peak(&power, 0.3, 4.0);
        assert!((peak - cadence / 60.0 / 2.0).abs() < 0.05, "{peak} strides a second");
        let mean = |s: &[(f64, f64)]| s.iter().map(|&(_, v)| v).sum::<f64>() / s.len() as f64;
        let against = |a: &[(f64, f64)], b: &[(f64, f64)]| {
            let (ma, mb) = (mean(a), mean(b));
            a.iter().zip(b).map(|(x, y)| (x.1 - ma) * (y.1 - mb)).sum::<f64>() < 0.0
        };
        assert!(against(&knee, &course(&walker, 26, 0)), "one knee and the other");
        assert!(against(&course(&walker, 27, 0), &course(&walker, 15, 0)), "left foot, left hand");
    }

    #[test]
    fn each_motion_moves_what_it_should() {
        let span = |word: &str, landmark: usize, axis: usize| {
            let values = course(&figure(word, "sit"), landmark, axis);
            let (low, high) = values
                .iter()
                .fold((f64::INFINITY, 0.0), |(l, h): (f64, f64), &(_, v)| (l.min(v), h.max(v)));
            high - low
        };
        // The waving wrist is the right one; the left hangs.
        assert!(span("waving", 16, 0) > 0.08 && span("waving", 15, 0) < 0.04);
        // A push-up lowers the shoulders and not the toes.
        assert!(span("exercise", 11, 1) > 0.08 && span("exercise", 31, 1) < 0.03);
        // A jump lifts the feet; idling does not.
        assert!(span("jumping", 27, 1) > 0.08 && span("idle", 27, 1) < 0.02);
        assert!(span("dancing", 15, 1) > 0.08);
        // Lying is lower than sitting, and sitting lower than standing.
        let nose = |word: &str| figure(word, "sit").picture(50.0)[0][1];
        assert!(nose("lying") > nose("sitting") && nose("sitting") > nose("idle"));
    }
}

//! Eyes behind glasses that watch them: gaze, blinks, how far the lids are open, and whether the
//! glasses are worn. All of one wearer: the lids close in the blinks that are reported, and the
//! gaze is uncertain meanwhile.

use std::sync::Arc;

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::payload::{Form, cell, form, number, several, whole_number};
use super::{Body, Memory, Model};
use crate::chance::{hash, noise, uniform};
use crate::math::{length, minimum_jerk, rounded, wave};
use crate::person::{Person, seconds};

/// What the scene camera sees, degrees: Pupil Labs Neon, horizontally and vertically.
const VIEW_DEG: (f64, f64) = (103.0, 77.0);

/// Where fixations fall around the middle: standard deviations, parts of the view.
const SPREAD: (f64, f64) = (0.085, 0.07);

/// Fixations are laid out in blocks of this many, which together last as many mean durations.
const BLOCK: usize = 16;

/// Duration of a saccade: 2.2 ms a degree and 21 ms (Carpenter 1988, "Movements of the Eyes").
const SACCADE_MS_PER_DEG: f64 = 2.2;
const SACCADE_MS: f64 = 21.0;

/// Glasses are off for so long in each so long, seconds (`reference/collab.md` 21.4).
const OFF_S: f64 = 15.0;
const OFF_EVERY_S: f64 = 300.0;

static GAZE: Form = Form::new(|| form(b"{\"x\":\x01,\"y\":\x01,\"confidence\":\x01}"));

/// The eyes of a person, seen by a sensor with its own noise.
#[derive(Debug)]
struct Eyes {
    person: Arc<Person>,
    seed: u64,
}

/// Where the eyes look.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gaze {
    x: f64,
    y: f64,
    in_saccade: bool,
}

impl Eyes {
    fn new(body: &Body, seed: u64) -> Self {
        Self { person: body.someone(), seed }
    }

    /// Begin and length in seconds of the step (a saccade and its fixation) around `now`, and its
    /// number.
    fn step(&self, now: f64) -> (f64, f64, i64) {
        let saccade_s = self.person.spec().saccade_ms / 1000.0;
        let mean = self.person.spec().fixation_ms.clamp(150.0, 3000.0) / 1000.0 + saccade_s;
        let block_s = mean * BLOCK as f64;
        let block = (now / block_s).floor();
        let seed = hash(self.person.seed() ^ 0xe7e, block as i64 as u64);
        // Skewed as fixations are: many short ones, some long; 0.5 to 2 of the mean.
        let mut ends = [0.0; BLOCK];
        let mut sum = 0.0;
        for (n, end) in ends.iter_mut().enumerate() {
            let u = uniform(seed, n as u64, 0.0, 1.0);
            sum += 0.5 + 1.5 * u * u;
            *end = sum;
        }
        let into = now - block * block_s;
        let scale = block_s / sum;
        let n = ends.iter().position(|end| into < end * scale).unwrap_or(BLOCK - 1);
        let from = if n == 0 { 0.0 } else { ends[n - 1] * scale };
        (block * block_s + from, ends[n] * scale - from, block as i64 * BLOCK as i64 + n as i64)
    }

    /// Where the n-th fixation is, parts of the view.
    fn target(&self, n: i64) -> (f64, f64) {
        let along = |n: u64, spread: f64, seed: u64| {
            (0.5 + spread * noise(self.person.seed() ^ seed, n)).clamp(0.22, 0.78)
        };
        (along(n as u64, SPREAD.0, 0x9a2e), along(n as u64, SPREAD.1, 0x9a2f))
    }

    /// A jump along a straight line with minimum jerk, then rest with a slow drift.
    fn gaze(&self, now: f64) -> Gaze {
        let (from, lasts, n) = self.step(now);
        let ((x0, y0), (x1, y1)) = (self.target(n - 1), self.target(n));
        let saccade_s = self.saccade_s(length((x1 - x0) * VIEW_DEG.0, (y1 - y0) * VIEW_DEG.1));
        let saccade_s = saccade_s.min(0.8 * lasts);
        let part = (now - from) / saccade_s;
        let done = minimum_jerk(part);
        let drift = 0.001 * wave(0.9 * now);
        Gaze {
            x: x0 + (x1 - x0) * done + drift,
            y: y0 + (y1 - y0) * done - 0.7 * drift,
            in_saccade: part < 1.0,
        }
    }

    /// Seconds that a saccade over so many degrees takes.
    fn saccade_s(&self, degrees: f64) -> f64 {
        let usual = SACCADE_MS + SACCADE_MS_PER_DEG * degrees;
        usual / 1000.0 * self.person.spec().saccade_ms / (SACCADE_MS + 10.0 * SACCADE_MS_PER_DEG)
    }

    /// How far the lids are closed, 0 to 1; `None` between blinks. Each slot of time holds one
    /// blink of 150 to 300 ms, a third of it closing (Caffier 2003, Eur. J. Appl. Physiol. 89).
    fn blink(&self, now: f64) -> Option<f64> {
        let rate = self.person.spec().blinks_per_min.clamp(0.0, 40.0);
        if rate == 0.0 {
            return None;
        }
        let slot_s = 60.0 / rate;
        let slot = (now / slot_s).floor();
        let n = slot as i64 as u64;
        let begin = (slot + uniform(self.person.seed() ^ 0xb1e, n, 0.0, 0.75)) * slot_s;
        let part = (now - begin) / uniform(self.person.seed() ^ 0xb1f, n, 0.15, 0.3);
        match part {
            part if !(0.0..1.0).contains(&part) => None,
            part if part < 1.0 / 3.0 => Some(minimum_jerk(3.0 * part)),
            part => Some(1.0 - minimum_jerk(1.5 * part - 0.5)),
        }
    }

    fn worn(&self, now: f64) -> bool {
        let turns = now / OFF_EVERY_S + uniform(self.person.seed() ^ 0x303, 0, 0.0, 1.0);
        (turns - turns.floor()) * OFF_EVERY_S >= OFF_S
    }

    /// x and y of the view (0, 0 is its upper left), and confidence.
    fn reported(&self, at: Timestamp) -> [f64; 3] {
        let now = seconds(at);
        if !self.worn(now) {
            return [0.5, 0.5, 0.0];
        }
        let gaze = self.gaze(now);
        let noisy = |n: u64, spread: f64| spread * noise(self.seed.wrapping_add(n), at.0 as u64);
        let certain = if gaze.in_saccade { 0.72 } else { 0.955 } + noisy(3, 0.01);
        let open = 1.0 - self.blink(now).unwrap_or(0.0);
        [
            rounded((gaze.x + noisy(1, 0.0015)).clamp(0.0, 1.0), 1e5),
            rounded((gaze.y + noisy(2, 0.0015)).clamp(0.0, 1.0), 1e5),
            rounded((certain * (0.1 + 0.9 * open)).clamp(0.0, 1.0), 1000.0),
        ]
    }

    /// Degrees between the lids.
    fn aperture(&self, at: Timestamp) -> f64 {
        let now = seconds(at);
        if !self.worn(now) {
            return 0.0;
        }
        let phase = uniform(self.person.seed() ^ 0xa9e, 0, 0.0, 1.0);
        let open = 17.5 + 0.75 * wave(now / 31.0 + phase);
        let closed = self.blink(now).unwrap_or(0.0);
        let noisy = 0.05 * noise(self.seed, at.0 as u64);
        rounded((open * (1.0 - 0.94 * closed) + noisy).clamp(0.0, 22.0), 100.0)
    }
}

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "eye_gaze",
        AttributeType::EyeGaze,
        ("", (0.0, 1.0)),
        (200.0, 1000.0),
        "fixations: Rayner 1998; saccades: Carpenter 1988, minimum jerk; view: Pupil Labs Neon",
        "Where the eyes look, as parts of the scene camera's view, and how certain that is.",
        |_, body, seed| {
            several(&GAZE, Eyes::new(body, seed), |eyes, at, _: &mut Memory| {
                eyes.reported(at).map(cell)
            })
        },
    ),
    Model::new(
        "eye_blink",
        AttributeType::EyeBlink,
        ("", (0.0, 1.0)),
        (30.0, 200.0),
        "Bentivoglio et al. 1997, Mov. Disord. 12: 17 a minute; Caffier 2003: 150 to 300 ms",
        "1 while a blink lasts, else 0.",
        |_, body, seed| {
            whole_number(Eyes::new(body, seed), |eyes, at, _| {
                let now = seconds(at);
                f64::from(u8::from(eyes.worn(now) && eyes.blink(now).is_some()))
            })
        },
    ),
    Model::new(
        "eye_aperture",
        AttributeType::EyeAperture,
        ("°", (0.0, 22.0)),
        (30.0, 200.0),
        "reference/collab.md 21.4, closing in the blinks of eye_blink",
        "How far the lids are open.",
        |_, body, seed| number(Eyes::new(body, seed), |eyes, at, _| eyes.aperture(at)),
    ),
    Model::new(
        "eye_worn",
        AttributeType::EyeWorn,
        ("", (0.0, 1.0)),
        (1.0, 10.0),
        "reference/collab.md 21.4: off for 15 s in each 300 s",
        "1 while the glasses are worn, else 0.",
        |_, body, seed| {
            whole_number(Eyes::new(body, seed), |eyes, at, _| {
                f64::from(u8::from(eyes.worn(seconds(at))))
            })
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{ORIGIN_MS, PersonSpec};

    fn eyes(seed: u64) -> Eyes {
        let person = Arc::new(Person::new(PersonSpec::drawn(seed), seed));
        Eyes { person, seed }
    }

    /// Rayner 1998: fixations in scenes last 330 ms on average, and hardly any less than 100 ms.
    #[test]
    fn fixations_last_as_long_as_ours_do() {
        for seed in 0..5 {
            let eyes = eyes(seed);
            let (mut now, mut lasting) = (1000.0, Vec::new());
            for _ in 0..3000 {
                let (from, lasts, n) = eyes.step(now);
                let ((x0, y0), (x1, y1)) = (eyes.target(n - 1), eyes.target(n));
                let degrees = length((x1 - x0) * VIEW_DEG.0, (y1 - y0) * VIEW_DEG.1);
                lasting.push(1000.0 * (lasts - eyes.saccade_s(degrees)));
                now = from + lasts + 1e-6;
            }
            let mean = lasting.iter().sum::<f64>() / lasting.len() as f64;
            assert!((mean / eyes.person.spec().fixation_ms - 1.0).abs() < 0.05, "{mean} ms");
            lasting.sort_by(f64::total_cmp);
            assert!(lasting[30] > 60.0, "{}", lasting[30]);
            assert!(lasting[1500] < mean, "they are skewed");
            assert!(lasting[2970] < 1000.0);
        }
    }

    /// The main sequence (Bahill, Clark, Stark 1975): bigger saccades last longer, by 2.2 ms a
    /// degree, and are faster, up to some 500 degrees a second.
    #[test]
    fn saccades_follow_the_main_sequence() {
        let eyes = eyes(1);
        let mut sequence = Vec::new();
        let mut now = 500.0;
        for _ in 0..2000 {
            let (from, lasts, n) = eyes.step(now);
            now = from + lasts + 1e-6;
            let ((x0, y0), (x1, y1)) = (eyes.target(n - 1), eyes.target(n));
            let degrees = length((x1 - x0) * VIEW_DEG.0, (y1 - y0) * VIEW_DEG.1);
            // As an eye tracker would find it: how long the eye is fast, and how fast.
            let (mut fast_ms, mut peak) = (0.0, 0.0);
            for ms in 0..200 {
                let t = from + f64::from(ms) * 1e-3;
                let (a, b) = (eyes.gaze(t), eyes.gaze(t + 1e-3));
                let speed = 1000.0 * length((b.x - a.x) * VIEW_DEG.0, (b.y - a.y) * VIEW_DEG.1);
                if speed > 5.0 && t < from + lasts {
                    fast_ms += 1.0;
                    peak = f64::max(peak, speed);
                }
            }
            sequence.push((degrees, fast_ms, peak));
        }
        let near = |low: f64, high: f64| {
            let of: Vec<_> = sequence
                .iter()
                .filter(|&&(degrees, ..)| degrees >= low && degrees < high)
                .collect();
            let count = of.len() as f64;
            assert!(count > 50.0, "{count} of {low} degrees");
            (
                of.iter().map(|s| s.1).sum::<f64>() / count,
                of.iter().map(|s| s.2).sum::<f64>() / count,
            )
        };
        let ((short, slow), (long, quick)) = (near(4.0, 6.0), near(19.0, 21.0));
        let slope = (long - short) / 15.0;
        assert!((1.8..2.7).contains(&slope), "{slope} ms a degree");
        assert!(
            (200.0..420.0).contains(&slow) && (450.0..700.0).contains(&quick),
            "{slow} {quick}"
        );
    }

    #[test]
    fn lids_close_in_the_blinks_and_only_then_and_the_gaze_is_unsure() {
        for seed in 0..4 {
            let eyes = eyes(seed);
            let (mut blinks, mut before) = (0, false);
            for n in 0..60_000 {
                let at = Timestamp(ORIGIN_MS + n * 20);
                let now = seconds(at);
                if !eyes.worn(now) {
                    assert_eq!((eyes.aperture(at), eyes.reported(at)[2]), (0.0, 0.0));
                    continue;
                }
                let (closed, open) = (eyes.blink(now), eyes.aperture(at));
                blinks += u32::from(closed.is_some() && !before);
                before = closed.is_some();
                match closed {
                    Some(closed) if closed > 0.8 => {
                        assert!(open < 6.0 && eyes.reported(at)[2] < 0.35);
                    }
                    Some(_) => {}
                    None => assert!((16.0..19.0).contains(&open) && eyes.reported(at)[2] > 0.6),
                }
            }
            let asked = eyes.person.spec().blinks_per_min * 20.0 * 0.95;
            assert!((f64::from(blinks) / asked - 1.0).abs() < 0.1, "{blinks} of {asked}");
        }
    }
}

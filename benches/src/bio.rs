//! The biological layer: what its parts cost, and how well novelty is told from noise on what the
//! simulator makes and on recordings.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use components::cell::{Cell, Leaf};
use components::sample::{Payload, Timestamp};
use simulator::person::{ORIGIN_MS, Person, PersonSpec};
use simulator::signal::{Body, Given, Memory, Model, Signal};
use systems::bio::arbitration::{Arbiter, Contention, Demand};
use systems::bio::correlation::Correlation;
use systems::bio::forecast::Forecast;
use systems::bio::novelty::{Alarm, Detector, Settings};

/// Nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of ours.
    pub ours: f64,
    /// Of what anybody would have to do.
    pub plain: f64,
}

/// Chance, in order.
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A sample of so many streams, that come in batches; against the original's running mean and
/// variance.
pub fn novelty(streams: usize, batch: usize, samples: usize) -> Cost {
    let mut chance = Chance(1);
    let rounds = (samples / (streams * batch)).max(1);
    let waves: Vec<f64> =
        (0..4096).map(|n| (f64::from(n) * 0.1).sin() + 0.1 * chance.uniform()).collect();
    let mut detectors = vec![Detector::default(); streams];
    let settings = Settings::default();
    let began = Instant::now();
    for round in 0..rounds {
        for (stream, detector) in detectors.iter_mut().enumerate() {
            let from = round * batch;
            let samples =
                (from..from + batch).map(|n| (n as f64 * 0.004, waves[(n + stream) % waves.len()]));
            black_box(detector.observe(&settings, samples));
        }
    }
    let ours = began.elapsed();
    // Count, mean, sum of squares, score.
    let mut plain = vec![[0.0f64; 4]; streams];
    let began = Instant::now();
    for round in 0..rounds {
        for (stream, [count, mean, squares, score]) in plain.iter_mut().enumerate() {
            let from = round * batch;
            for n in from..from + batch {
                let value = waves[(n + stream) % waves.len()];
                let z = (value - *mean).abs() / (*squares / count.max(1.0)).sqrt();
                *score = score.max(z);
                *count += 1.0;
                let off = value - *mean;
                *mean += off / *count;
                *squares += off * (value - *mean);
            }
        }
    }
    let plain_s = began.elapsed();
    black_box(plain);
    let each =
        |time: std::time::Duration| time.as_secs_f64() * 1e9 / (rounds * streams * batch) as f64;
    Cost { ours: each(ours), plain: each(plain_s) }
}

/// One allocation among so many, of whom each weighs something else, against sorting as many
/// numbers.
pub fn arbitration(count: usize, distinct_weights: usize) -> Cost {
    let mut chance = Chance(2);
    let weights: Vec<f64> = (0..distinct_weights).map(|_| 0.05 + 0.95 * chance.uniform()).collect();
    let demands: Vec<Demand> = (0..count)
        .map(|n| Demand {
            weight: weights[n * weights.len() / count],
            asked: 250.0 * chance.uniform(),
            floor: if n % 10 == 0 { 5.0 } else { 0.0 },
        })
        .collect();
    let asked: f64 = demands.iter().map(|demand| demand.asked).sum();
    let (mut arbiter, mut allotted) = (Arbiter::default(), Vec::new());
    let began = Instant::now();
    let contention = arbiter.allocate(&demands, 0.3 * asked, &mut allotted);
    let ours = began.elapsed();
    assert!(matches!(contention, Contention::Shared { .. }), "{contention:?}");
    let sum: f64 = allotted.iter().sum();
    assert!((sum / (0.3 * asked) - 1.0).abs() < 1e-9, "{sum} of {}", 0.3 * asked);
    let mut sorted: Vec<f64> = demands.iter().map(|demand| demand.asked / demand.weight).collect();
    let began = Instant::now();
    sorted.sort_unstable_by(f64::total_cmp);
    let plain = began.elapsed();
    black_box(sorted);
    Cost { ours: ours.as_secs_f64() * 1e9, plain: plain.as_secs_f64() * 1e9 }
}

/// One look, and one sensor of a survey, in nanoseconds, where so many are known.
pub fn forecast(sensors: u64, looks: u64) -> (f64, f64) {
    let mut chance = Chance(3);
    let (mut forecast, mut correlation) = (Forecast::new(0), Correlation::default());
    let keys: Vec<u64> = (0..looks).map(|_| (chance.uniform() * sensors as f64) as u64).collect();
    let began = Instant::now();
    for (n, &key) in keys.iter().enumerate() {
        let now_s = 1_795_392_000.0 + n as f64;
        correlation.look(key, &[keys[n.saturating_sub(1)]], now_s);
        forecast.look(key, correlation.peers(key), now_s);
    }
    let look = began.elapsed().as_secs_f64() * 1e9 / looks as f64;
    let now_s = 1_795_392_000.0 + looks as f64;
    let began = Instant::now();
    for &key in &keys {
        black_box(forecast.outlook(key, now_s, 300.0));
    }
    (look, began.elapsed().as_secs_f64() * 1e9 / looks as f64)
}

/// A stream that the simulator makes, the first number of its payload, from a made-up morning on.
pub struct Stream {
    signal: Box<dyn Signal>,
    memory: Memory,
    period_ms: f64,
}

impl Stream {
    pub fn new(model: &Model, seed: u64) -> Self {
        let mut spec = PersonSpec::drawn(seed);
        let activity = ["sit", "walk", "run", "stand"][seed as usize % 4];
        spec.set_word("activity", activity).expect("it is one");
        let person = Some(Arc::new(Person::new(spec, seed)));
        let body = Body { seed, person, position: Some((47.0, 8.0)) };
        let signal = model.build(&Given::default(), &body, seed);
        Self { signal, memory: Memory::default(), period_ms: 1000.0 / model.rate_hz }
    }

    /// Its `n`-th sample: seconds, value.
    pub fn sample(&mut self, n: u64) -> Option<(f64, f64)> {
        let ms = (n as f64 * self.period_ms) as i64;
        let mut number = None;
        let at = Timestamp(ORIGIN_MS + 27_000_000_000 + ms);
        self.signal.measure(at, &mut self.memory, &mut |payload| {
            let cells = match payload {
                Payload::Scalar(cell) => &[cell.0][..],
                Payload::Shaped { cells, .. } => cells,
                Payload::Text { .. } => &[],
            };
            number = cells.iter().find_map(|&cell| match Cell(cell).leaf() {
                Leaf::Float(value) => Some(value),
                Leaf::Integer(value) => Some(value as f64),
                _ => None,
            });
        });
        Some((ms as f64 / 1000.0, number?))
    }
}

/// What a detector makes of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Alarms an hour where nothing happens but what the model does.
    pub alarms_per_hour: f64,
    /// Of events of which each is put into a stream of its own, the part that is noticed at once: a
    /// value that is off by half the range of what was before, and by all of it.
    pub half: f64,
    pub whole: f64,
    /// A value that stays, within ten seconds or 25 samples.
    pub stuck: f64,
}

/// So many streams of so many hours, and as many of each event. `None` where there is no number.
pub fn simulated(model: &Model, streams: u64, hours: f64) -> Option<Figures> {
    let settings = Settings::default();
    let mut figures = Figures::default();
    for seed in 0..streams {
        let mut stream = Stream::new(model, seed);
        let mut detector = Detector::default();
        for n in 0..(hours * 3600.0 * model.rate_hz) as u64 {
            let alarm = detector.observe(&settings, [stream.sample(n)?]);
            figures.alarms_per_hour += f64::from(u8::from(alarm.is_some()));
        }
        let mut stream = Stream::new(model, 100 + seed);
        let (from_s, still_s) = spans(model.rate_hz);
        let count = ((from_s + still_s) * model.rate_hz) as u64 + 2;
        let samples: Option<Vec<_>> = (0..count).map(|n| stream.sample(n)).collect();
        let found = injected(&samples?, from_s, still_s);
        figures.half += found[0];
        figures.whole += found[1];
        figures.stuck += found[2];
    }
    let streams = streams as f64;
    figures.alarms_per_hour /= streams * hours;
    figures.half /= streams;
    figures.whole /= streams;
    figures.stuck /= streams;
    Some(figures)
}

/// Seconds that a detector is given to learn, and to notice that nothing happens any more: five
/// minutes and ten seconds, or as many samples as it takes.
fn spans(rate_hz: f64) -> (f64, f64) {
    (f64::max(300.0, 200.0 / rate_hz), f64::max(10.0, 25.0 / rate_hz))
}

/// Whether a detector that has seen what is before `from_s` notices each of the events there: 1 or
/// 0.
pub fn injected(samples: &[(f64, f64)], from_s: f64, still_s: f64) -> [f64; 3] {
    let from = samples.partition_point(|sample| sample.0 < samples[0].0 + from_s);
    let settings = Settings::default();
    let mut warm = Detector::default();
    warm.observe(&settings, samples[..from].iter().copied());
    let before = samples[..from].iter().map(|sample| sample.1);
    let range = before.clone().fold(f64::MIN, f64::max) - before.fold(f64::MAX, f64::min);
    let Some(&(at_s, stuck)) = samples.get(from) else { return [0.0; 3] };
    let noticed = |alarm: Option<Alarm>| f64::from(u8::from(alarm.is_some()));
    let off = |by: f64| {
        let (one, next) = (samples[from], samples.get(from + 1).copied());
        let spike = [(one.0, one.1 + by * range)].into_iter().chain(next);
        noticed(warm.clone().observe(&settings, spike))
    };
    let still = samples[from..].iter().take_while(|sample| sample.0 <= at_s + still_s);
    let still = still.map(|sample| (sample.0, stuck));
    [off(0.5), off(1.0), noticed(warm.clone().observe(&settings, still))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::signal::model;

    #[test]
    fn every_part_can_be_measured() {
        let novelty = novelty(50, 5, 50_000);
        assert!(novelty.ours > 0.0 && novelty.plain > 0.0, "{novelty:?}");
        let arbitration = arbitration(1000, 7);
        assert!(arbitration.ours > 0.0 && arbitration.plain > 0.0, "{arbitration:?}");
        let (look, outlook) = forecast(50, 2000);
        assert!(look > 0.0 && outlook > 0.0);
    }

    #[test]
    fn hearts_and_breaths_are_no_news_and_what_is_unlike_them_is() {
        for name in ["ecg", "respiration"] {
            let figures = simulated(model(name).unwrap(), 4, 0.5).unwrap();
            assert!(figures.alarms_per_hour <= 1.0, "{name}: {figures:?}");
            assert!(figures.whole == 1.0 && figures.stuck == 1.0, "{name}: {figures:?}");
        }
        assert!(simulated(model("rich_presence").unwrap(), 1, 0.1).is_none());
    }
}

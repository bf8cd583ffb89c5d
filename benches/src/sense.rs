//! What it costs to read a group: against the least that anybody would have to do, one product of
//! each person's last cells with the filter at every step of the grid.

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

use components::group::{Signal, Tier};
use systems::sense::ensemble::Ensemble;
use systems::sense::grid::GRID_HZ;
use systems::sense::phase::Filters;

/// Milliseconds between looks at the group, as live.
const LOOK_MS: i64 = 20;

/// Milliseconds after which everybody has a minute behind them and every filter is there.
const WARM_MS: i64 = 70_000;

/// Taps of the plain product.
const TAPS: usize = 160;

/// Of one second of a whole group.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Shares of one core.
    pub ours: f64,
    pub plain: f64,
    /// Readings, and people who were measurable in the last.
    pub readings: usize,
    pub measurable: u16,
}

/// So many people who breathe at 25 Hz, for so many seconds, on one thread.
pub fn group(people: usize, seconds: i64) -> Cost {
    let mut ensemble = Ensemble::new(Signal::Breath, Tier::Confirmed, people);
    let mut filters = Filters::default();
    let breath = |person: usize, ms: i64| {
        let hz = 0.2 + 0.1 * (person % 97) as f64 / 97.0;
        (TAU * hz * ms as f64 * 1e-3 + person as f64).sin()
    };
    let mut cost = Cost { ours: 0.0, plain: 0.0, readings: 0, measurable: 0 };
    let mut samples = Vec::new();
    for ms in (0..WARM_MS + seconds * 1_000).step_by(LOOK_MS as usize) {
        samples.clear();
        if ms % 40 == 0 {
            samples.extend((0..people).map(|person| breath(person, ms)));
        }
        let (began, now_us) = (Instant::now(), ms * 1_000);
        for (person, sample) in samples.iter().enumerate() {
            ensemble.person(person).hear(now_us, *sample, now_us);
        }
        let mut readings = 0;
        ensemble.advance(now_us, &mut filters, false, |reading, _| {
            readings += 1;
            cost.measurable = reading.measurable;
        });
        if ms >= WARM_MS {
            cost.ours += began.elapsed().as_secs_f64();
            cost.readings += readings;
        }
    }
    let taps: Vec<[f64; 2]> =
        (0..TAPS).map(|k| [(k as f64 * 0.1).cos(), (k as f64 * 0.1).sin()]).collect();
    let cells: Vec<f64> = (0..people * TAPS).map(|k| (k as f64 * 0.01).sin()).collect();
    let began = Instant::now();
    for _ in 0..seconds * GRID_HZ as i64 {
        for own in cells.chunks_exact(TAPS) {
            let (mut re, mut im) = (0.0, 0.0);
            for (cell, [a, b]) in own.iter().zip(&taps) {
                re += cell * a;
                im += cell * b;
            }
            black_box((re, im));
        }
    }
    cost.plain = began.elapsed().as_secs_f64() / seconds as f64;
    cost.ours /= seconds as f64;
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_read_ten_times_a_second() {
        let cost = group(5, 3);
        assert_eq!((cost.readings, cost.measurable), (30, 5));
    }
}

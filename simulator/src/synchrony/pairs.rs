//! Pairs over a whole recording, from the phases that a viewer was told.

use std::fmt::Write as _;

use engine::sense::grid::GRID_HZ;
use engine::sense::pair::{COMMON_STEPS_MIN, correlation_lag_median_s, lag_s, pair};
use engine::sense::phasor::Phasor;

use super::Watched;
use super::report::pace_hz;
use super::sheet::Sheet;

/// The comment and a row a pair. What there is not enough data of stays empty.
pub(super) fn table(sheet: &Sheet, watched: &Watched) -> String {
    let runs: Vec<Vec<Phasor>> = watched.phases.iter().map(|phases| unit_phasors(phases)).collect();
    let slices: Vec<&[Phasor]> = runs.iter().map(Vec::as_slice).collect();
    let rhythm_hz = pace_hz(&slices);
    let window_s = watched.readings.len() as f64 / GRID_HZ;
    let mut text = format!("# window_s: {window_s:.1}\na,b,plv,lag_s,correlation_lag_s,common_s");
    for b in 1..runs.len() {
        for a in 0..b {
            let (name_a, name_b) = (&sheet.people[a], &sheet.people[b]);
            let found = pair(&runs[a], &runs[b]);
            let common_s = found.map_or(0.0, |pair| pair.common as f64 / GRID_HZ);
            let enough = found.filter(|pair| pair.common >= COMMON_STEPS_MIN).zip(rhythm_hz);
            let _ = match enough {
                Some((pair, hz)) => {
                    let lag = lag_s(pair.difference, hz);
                    let _ = write!(text, "\n{name_a},{name_b},{:.6},{lag:.3},", pair.plv);
                    let correlated = correlation_lag_median_s(&runs[a], &runs[b], hz);
                    let correlated = correlated.map_or(String::new(), |lag| format!("{lag:.3}"));
                    write!(text, "{correlated},{common_s:.1}")
                }
                None => write!(text, "\n{name_a},{name_b},,,,{common_s:.1}"),
            };
        }
    }
    text
}

fn unit_phasors(phases: &[f64]) -> Vec<Phasor> {
    let unit = |phase: &f64| if phase.is_nan() { Phasor::ZERO } else { Phasor::from_angle(*phase) };
    phases.iter().map(unit).collect()
}

//! Synchrony against references that none of us computed: SciPy's acausal analysis of made-up
//! breathing whose true phases are known. What each case is stands in its `meta.json`. Inputs are the
//! first 100 s, or all 600 s where strangers are to read zero; what is expected of them, every half
//! second, is of an analysis of the whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use components::command::{Command, Inputs, SensorSet};
use components::delivery::Notice;
use components::group::{GroupPlan, Reading, Signal, Tier};
use components::id::{FeedId, GroupId, Handle, Handles, ViewerId};
use components::sample::{EngineTime, Timestamp};
use components::viewer::Quality;
use engine::{Engine, EngineConfig};
use simulator::fleet::Fleet;
use simulator::person::seconds;
use simulator::scenario::Scenario;
use simulator::synchrony::{Condition, Report, Session};
use systems::sense::cluster::cluster;
use systems::sense::ensemble::Ensemble;
use systems::sense::grid::{STEP_US, cells};
use systems::sense::heart::artefact::{Beat, Class, correct};
use systems::sense::heart::respiration::cardiorespiratory;
use systems::sense::heart::variability::variability;
use systems::sense::pair::{self, correlation_lag_median_s, lag_s};
use systems::sense::phase::Filters;
use systems::sense::phasor::Phasor;

const CASES: [&str; 8] = [
    "kuramoto10_1.5Kc",
    "kuramoto10_1Kc",
    "kuramoto10_2Kc_snr10",
    "kuramoto10_4Kc",
    "pair_lag000",
    "pair_lag090",
    "pair_lag180",
    "strangers2",
];

/// Cells that are left out at the beginning: the acausal reference swings in there.
const EDGE: i64 = 150;

fn file(case: &str, name: &str) -> String {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/synchrony").join(case).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The columns of a table of numbers, without its header.
fn columns(case: &str, name: &str) -> Vec<Vec<f64>> {
    let text = file(case, name);
    let mut columns = Vec::new();
    for line in text.lines().skip(1) {
        for (k, field) in line.split(',').enumerate() {
            if columns.len() <= k {
                columns.push(Vec::new());
            }
            columns[k].push(field.parse().unwrap());
        }
    }
    columns
}

fn meta(case: &str) -> serde_json::Value {
    serde_json::from_str(&file(case, "meta.json")).unwrap()
}

/// What the streaming core makes of a recording that is told row by row.
struct Streamed {
    readings: BTreeMap<i64, Reading>,
    /// By member, from cell 0 on; zeros where there was no phase.
    phasors: Vec<Vec<Phasor>>,
    rhythm_hz: f64,
}

fn stream(columns: &[Vec<f64>], tier: Tier) -> Streamed {
    let (times, people) = columns.split_first().unwrap();
    let mut ensemble = Ensemble::new(Signal::Breath, tier, people.len());
    let mut filters = Filters::default();
    let mut readings = BTreeMap::new();
    let mut phasors = vec![vec![Phasor::ZERO; times.len()]; people.len()];
    for (row, time) in times.iter().enumerate() {
        let at_us = (time * 1e6).round() as i64;
        for (member, values) in people.iter().enumerate() {
            ensemble.person(member).hear(at_us, values[row], at_us);
        }
        ensemble.advance(at_us, &mut filters, false, |reading, people| {
            let cell = reading.at_us / STEP_US;
            for (past, person) in phasors.iter_mut().zip(people) {
                past[cell as usize] = person.state().unwrap_or(Phasor::ZERO);
            }
            readings.insert(cell, *reading);
        });
    }
    Streamed { readings, phasors, rhythm_hz: ensemble.rhythm_hz().unwrap() }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

/// What R is at a cell: in truth, and by the reference.
fn expected(case: &str) -> Vec<(i64, f64, f64)> {
    let columns = columns(case, "expected.csv");
    let [times, truth, reference, ..] = &columns[..] else { panic!("{case}: too few") };
    let cell = |t: &f64| (t * 10.0).round() as i64;
    times.iter().zip(truth).zip(reference).map(|((t, a), b)| (cell(t), *a, *b)).collect()
}

/// Absolute differences of R from what is expected, ascending. All that are due are there.
fn errors(streamed: &Streamed, expected: impl Iterator<Item = (i64, f64)>) -> Vec<f64> {
    let last = *streamed.readings.keys().last().unwrap();
    let mut errors: Vec<f64> = expected
        .filter(|(cell, _)| (EDGE..=last).contains(cell))
        .map(|(cell, r)| {
            let order = streamed.readings.get(&cell).and_then(|reading| reading.order);
            (order.unwrap_or_else(|| panic!("nothing at {cell}")).r - r).abs()
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    errors
}

#[test]
fn every_case_is_read_within_its_tiers_tolerance() {
    for case in CASES {
        let (input, expected) = (columns(case, "input.csv"), expected(case));
        for (tier, key) in [
            (Tier::Confirmed, "confirmed_latency_le_8s"),
            (Tier::Prompt, "prompt_latency_le_3s"),
            (Tier::Live, "live_latency_le_1s"),
        ] {
            let streamed = stream(&input, tier);
            let read_to = input[0].len() as i64 - tier.latency_ms() as i64 / 100;
            assert!(*streamed.readings.keys().last().unwrap() >= read_to - 1, "{case} {tier:?}");
            let tolerance = &meta(case)["tolerances"][key];
            let of_reference = expected.iter().map(|(cell, _, reference)| (*cell, *reference));
            let errors = errors(&streamed, of_reference);
            let (median, p95) = (quantile(&errors, 0.5), quantile(&errors, 0.95));
            assert!(
                median <= tolerance["median_abs"].as_f64().unwrap(),
                "{case} {tier:?} {median}"
            );
            assert!(p95 <= tolerance["p95_abs"].as_f64().unwrap(), "{case} {tier:?} {p95}");
        }
    }
}

#[test]
fn true_order_and_strangers_are_read_as_they_are() {
    for case in CASES {
        let streamed = stream(&columns(case, "input.csv"), Tier::Confirmed);
        let truth = expected(case).into_iter().map(|(cell, truth, _)| (cell, truth));
        let from_truth = errors(&streamed, truth);
        // What the acausal reference may be off, and what we may be off the reference.
        let median = quantile(&from_truth, 0.5);
        assert!(median <= 0.025 + 0.01, "{case} {median}");
        if case == "strangers2" {
            let kappas: Vec<f64> =
                streamed.readings.values().filter_map(|r| Some(r.order?.kappa)).collect();
            let mean = kappas.iter().sum::<f64>() / kappas.len() as f64;
            assert!(mean.abs() <= 0.03, "{case}: strangers read {mean}");
        }
    }
}

#[test]
fn pairs_are_locked_and_late_as_they_were_made() {
    for (case, plv, lag) in [
        ("pair_lag000", 0.9995, 0.0),
        ("pair_lag090", 0.9994, 1.0),
        ("pair_lag180", 0.9995, 2.0),
        ("strangers2", 0.0349, f64::NAN),
    ] {
        let streamed = stream(&columns(case, "input.csv"), Tier::Confirmed);
        let [a, b] = &streamed.phasors[..] else { panic!("a pair") };
        let found = pair::pair(a, b).unwrap();
        assert!((found.plv - plv).abs() < 0.02, "{case}: {found:?}");
        if lag.is_finite() {
            let by_phase = lag_s(found.difference, streamed.rhythm_hz);
            let by_correlation = correlation_lag_median_s(a, b, streamed.rhythm_hz).unwrap();
            for found in [by_phase, by_correlation] {
                // At half a cycle, either is right.
                let off = (found - lag).abs().min((found + lag).abs() + f64::from(lag < 2.0));
                assert!(off < 0.2, "{case}: {by_phase} {by_correlation}");
            }
        }
    }
}

#[test]
fn cluster_phase_and_locking_are_those_of_multisyncpy_and_hypyp() {
    let given: serde_json::Value = serde_json::from_str(&file("packages", "phases.json")).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let runs: Vec<Vec<Phasor>> = given["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run.as_array().unwrap().iter().map(|x| Phasor::from_angle(number(x))).collect())
        .collect();
    let found = cluster(&runs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    assert!((found.group - number(&given["rho_group"])).abs() < 1e-9, "{found:?}");
    for (found, expected) in found.members.iter().zip(given["rho_k"].as_array().unwrap()) {
        assert!((found - number(expected)).abs() < 1e-9);
    }
    let pairs = given["plv"].as_object().unwrap();
    assert_eq!(pairs.len(), 6);
    for (names, expected) in pairs {
        let (a, b) = names.split_once('-').unwrap();
        let run = |name: &str| &runs[name.parse::<usize>().unwrap()];
        let found = pair::pair(run(a), run(b)).unwrap().plv;
        assert!((found - number(expected)).abs() < 1e-9, "{names}: {found}");
    }
}

/// Their phases are not ours, so this is not to all digits.
#[test]
fn who_keeps_a_place_in_the_group_is_read_as_the_reference_does() {
    for case in CASES {
        // In anti-phase there is no place to keep, and those who drift keep another in 100 s than in
        // the 300 that the reference is of.
        if ["pair_lag180", "kuramoto10_1Kc"].contains(&case) {
            continue;
        }
        let streamed = stream(&columns(case, "input.csv"), Tier::Confirmed);
        let last = *streamed.readings.keys().last().unwrap() as usize;
        let runs: Vec<&[Phasor]> =
            streamed.phasors.iter().map(|run| &run[EDGE as usize..last]).collect();
        let found = cluster(&runs).unwrap();
        let expected = &meta(case)["oracle"]["cluster_phase"];
        let off = found.group - expected["rho_group"].as_f64().unwrap();
        assert!(off.abs() < 0.03, "{case}: {} {expected}", found.group);
    }
}

const HEARTS: [&str; 3] = ["rsa_strong", "rsa_none", "slow_6bpm"];

/// Microseconds of every beat.
fn beats(case: &str) -> Vec<Beat> {
    let times = columns("hrv", &format!("{case}_beats.csv")).remove(0);
    let beat = |t: f64| Beat { at_us: (t * 1e6).round() as i64, class: Class::Normal };
    times.into_iter().map(beat).collect()
}

#[test]
fn variability_is_neurokits_to_a_thousandth() {
    for case in HEARTS {
        let found = variability(&beats(case)).unwrap();
        let expected = &meta("hrv")["cases"][case]["neurokit2"];
        for (name, found) in [
            ("mean_nn_ms", found.mean_nn_ms),
            ("sdnn_ms", found.sdnn_ms),
            ("rmssd_ms", found.rmssd_ms),
        ] {
            let expected = expected[name].as_f64().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-3, "{case} {name}: {found} {expected}");
        }
        // Ties at 50 ms are theirs by the rounding of the last bit.
        let own = meta("hrv")["cases"][case]["own"]["pnn50_pct"].as_f64().unwrap();
        assert!((found.pnn50_pct - own).abs() < 0.01, "{case}: {} {own}", found.pnn50_pct);
        assert_eq!(found.corrected_share, 0.0);
        let corrected: Vec<i64> = beats(case).iter().map(|beat| beat.at_us).collect();
        let moved = correct(&corrected).iter().filter(|beat| beat.class != Class::Normal).count();
        assert!(moved * 50 < corrected.len(), "{case}: {moved} of clean beats are corrected");
    }
}

#[test]
fn what_breathing_does_to_the_heart_is_read_where_it_is_and_only_there() {
    for case in HEARTS {
        let given = columns("hrv", &format!("{case}_resp_5hz.csv"));
        let breath = cells(given[0].iter().map(|t| (t * 1e6).round() as i64).zip(given[1].clone()));
        let intervals = beats(case);
        let tachogram = cells(
            intervals
                .windows(2)
                .map(|pair| (pair[1].at_us, (pair[1].at_us - pair[0].at_us) as f64 * 1e-3)),
        );
        let (breath, tachogram): (Vec<f64>, Vec<f64>) = breath
            .iter()
            .filter_map(|(cell, breath)| Some((*breath, *tachogram.get(cell)?)))
            .unzip();
        let found = cardiorespiratory(&breath, &tachogram, &mut Filters::default());
        let found = found.unwrap_or_else(|| panic!("{case}: {} cells", breath.len()));
        let expected = &meta("hrv")["cases"][case]["cardioresp_proper"];
        let expected = |name: &str| expected[name].as_f64().unwrap();
        assert!((found.breath_hz - expected("peak_hz")).abs() < 0.01, "{case} {found:?}");
        if case == "rsa_none" {
            assert!(found.plv < 0.1 && found.coherence < 0.15, "{case} {found:?}");
            let off = found.peak_to_trough_ms - expected("rsa_peak_to_trough_ms");
            assert!(off.abs() < 1.0, "{case} {found:?}");
        } else {
            assert!((found.plv - expected("plv")).abs() < 0.02, "{case} {found:?}");
            assert!((found.coherence - expected("msc_at_peak")).abs() < 0.06, "{case} {found:?}");
            let ratio = found.peak_to_trough_ms / expected("rsa_peak_to_trough_ms");
            assert!((ratio - 1.0).abs() < 0.05, "{case} {found:?}");
        }
    }
}

/// `breathing-circle`, through devices, engine and report, against the phases that its people are
/// made of: over an hour the phase-locking value with the lead is the strength of the file, over
/// these minutes what the true phases have.
#[test]
fn a_coupled_scenario_reads_its_own_true_coupling_back() {
    const MINUTES: u64 = 6;
    const TICK_MS: u64 = 20;
    let scenario = Scenario::named("breathing-circle", None).unwrap();
    let begin_ms = 1_700_000_000_000;
    let cast = Arc::new(scenario.cast(3));
    let mut fleet = Fleet::new(Arc::clone(&cast), Timestamp(begin_ms));
    let mut engine = Engine::new(EngineConfig::default());
    let mut inputs = Inputs::default();
    let mut feeds = Handles::default();
    let [viewer, group] = [0, 1].map(|slot| Handle { slot, generation: 0 });
    let (viewer, group) = (ViewerId(viewer), GroupId(group));
    let plan = GroupPlan {
        name: "circle".into(),
        signal: Signal::Breath,
        tier: Tier::Confirmed,
        sensors: SensorSet::All,
        attribute_id: "respiration".into(),
    };
    let sensors = SensorSet::Ids(Vec::new());
    inputs.commands.extend([
        Command::OpenViewer { viewer, sensors, quality: Quality::High.into() },
        Command::OpenGroup { group, plan: Box::new(plan) },
        Command::WatchGroup { viewer, group },
    ]);
    let mut session =
        Session::new("circle", Signal::Breath, Tier::Confirmed, Condition::Paced, Vec::new());
    for tick in 1..=MINUTES * 60_000 / TICK_MS {
        let now_ms = tick * TICK_MS;
        fleet.advance(
            Timestamp(begin_ms + now_ms as i64),
            &mut || feeds.take(100).map(FeedId),
            &mut inputs,
        );
        if now_ms.is_multiple_of(10_000) {
            inputs.commands.push(Command::Renew { viewer });
        }
        let deliveries = engine.tick(EngineTime::from_millis(now_ms), &mut inputs);
        for notice in &deliveries.notices {
            if let Notice::GroupMembers { sensor_ids, .. } = notice {
                sensor_ids[session.people.len()..]
                    .iter()
                    .for_each(|id| session.join(id.to_string()));
            }
        }
        for news in &deliveries.groups {
            let count = news.member_count as usize;
            let values = deliveries.values_of(news).chunks(count);
            for ((reading, states), values) in deliveries.readings_of(news).zip(values) {
                session.hear(reading, |place| (states[place], values[place]));
            }
        }
    }
    let report = Report::of(&session, None, |_| true).unwrap();
    let place = |id: &str| session.people.iter().position(|person| *person == id).unwrap();
    let breath = |id: &str| {
        let sensor = cast.sensors.iter().find(|sensor| &*sensor.card.sensor_id == id).unwrap();
        cast.bodies[sensor.body].person.as_ref().unwrap().breath()
    };
    let lead = "circle-lead:band";
    let begin_ms = session.begin_us().unwrap() / 1_000;
    let mut strengths = Vec::new();
    for (id, lag_known) in [
        ("circle-close-01:band", true),
        ("circle-close-02:band", true),
        ("circle-close-03:band", true),
        ("circle-late-01:band", true),
        ("circle-late-02:band", true),
        ("circle-loose-01:band", true),
        ("circle-loose-02:band", true),
        ("circle-own-01:band", false),
        ("circle-own-02:band", false),
    ] {
        // How far the lead is ahead, as long as there are phases at both ends.
        let apart = Phasor::mean((75..session.steps() - 75).map(|step| {
            let t = seconds(Timestamp(begin_ms + 100 * step as i64));
            Phasor::from_angle(breath(lead).phase(t) - breath(id).phase(t))
        }));
        let (a, b) = (place(lead), place(id));
        let found = report.pairs.iter().find(|pair| (pair.a, pair.b) == (a.min(b), a.max(b)));
        let found = found.unwrap();
        let plv = found.plv.unwrap();
        assert!((plv - apart.norm()).abs() < 0.04, "{id}: {} {found:?}", apart.norm());
        strengths.push(plv);
        if lag_known {
            let lag_s = if found.a == a { 1.0 } else { -1.0 } * found.lag_s.unwrap();
            let wanted = apart.angle() / (std::f64::consts::TAU * breath(lead).rate_hz());
            assert!((lag_s - wanted).abs() < 0.2, "{id}: {wanted} {found:?}");
        }
    }
    // Those who were made to be close are closer than those who were made to be loose.
    let least =
        |range: std::ops::Range<usize>| strengths[range].iter().copied().fold(1.0, f64::min);
    assert!(least(0..3) > 0.8 && least(3..5) > 0.5, "{strengths:?}");
    assert!(strengths[7..].iter().all(|plv| *plv < 0.2), "{strengths:?}");
}

//! What a session comes to: figures, series and a page, all of what was recorded and nothing else.
//!
//! Phases are looked back on (`engine::sense::hindsight`), not those that were shown live; who was
//! measurable when is what was shown. `docs/examples/synchrony_report.py` repeats every figure but
//! the surrogates with SciPy.

use components::group::{Order, Signal};
use engine::sense::cluster::cluster;
use engine::sense::grid::GRID_HZ;
use engine::sense::hindsight::EDGE_STEPS;
use engine::sense::kuramoto;
use engine::sense::pair::{COMMON_STEPS_MIN, correlation_lag_median_s, lag_s, pair};
use engine::sense::phasor::{Phasor, wrapped};
use engine::sense::significance::{Answer, Method, NoAnswer, Question, significance};
use serde::Serialize;

use super::session::{LookedBack, Session};

/// The version of `report.json`.
const VERSION: u32 = 1;

/// Surrogates unless said otherwise.
pub const SURROGATE_COUNT: usize = 999;

/// Pairs are told of groups up to this many.
pub const PAIRED_COUNT_MAX: usize = 20;

/// What a session's pairs are held against.
#[derive(Debug, Clone)]
pub struct Null {
    pub method: Method,
    pub surrogates: usize,
    pub seed: u64,
    /// Phasors of people who were not there: for pseudo-pairs alone.
    pub pool: Vec<Vec<Phasor>>,
}

/// `report.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    format: &'static str,
    version: u32,
    made_by: &'static str,
    pub name: String,
    pub condition: &'static str,
    pub signal: &'static str,
    pub tier: &'static str,
    /// The id of the room whose group it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The instant of the first step on the members' common clock: of live sessions unix time.
    pub begin_ms: i64,
    pub step_s: f64,
    pub steps: usize,
    pub duration_s: f64,
    /// At the beginning and at the end nobody has a phase: the band rings in and out.
    pub edge_s: f64,
    /// The rhythm of the group, Hz, around which the band lies.
    pub rhythm_hz: Option<f64>,
    pub cautions: Vec<String>,
    #[serde(rename = "group")]
    pub whole: Whole,
    pub people: Vec<PersonFigures>,
    pub pairs: Vec<PairFigures>,
    pub significance: Significance,
    #[serde(skip)]
    series: Series,
}

/// Of the group, over all steps at which two or more were measurable.
#[derive(Debug, Clone, Serialize)]
pub struct Whole {
    pub measured_s: f64,
    pub mean_r: Option<f64>,
    pub mean_kappa: Option<f64>,
    /// Of those steps, how many lie above what strangers stay below 95 % of the time.
    pub above_null95_share: Option<f64>,
    /// Richardson et al. 2012: how steadily all kept their places.
    pub cluster: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PersonFigures {
    pub name: String,
    pub measurable_share: f64,
    pub why_not: Vec<Why>,
    /// The middle of the band, Hz.
    pub centre_hz: Option<f64>,
    /// How steadily this one kept a place relative to the group.
    pub cluster: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Why {
    pub reason: &'static str,
    pub sentence: &'static str,
    pub share: f64,
}

/// Nothing but `common_s` where less than a minute was in common.
#[derive(Debug, Clone, Serialize)]
pub struct PairFigures {
    /// Places among the people.
    pub a: usize,
    pub b: usize,
    pub plv: Option<f64>,
    /// Seconds by which `b` is behind.
    pub lag_s: Option<f64>,
    pub correlation_lag_s: Option<f64>,
    pub common_s: f64,
    pub p: Option<f64>,
    pub p_corrected: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Significance {
    Tested {
        method: &'static str,
        surrogates: usize,
        seed: u64,
        /// Whether false alarms are known to be more than promised.
        liberal: bool,
        p_group: f64,
        /// What the greatest pair of strangers stays below 95 % of the time.
        null95_plv: f64,
    },
    NotTested {
        method: &'static str,
        reason: String,
    },
}

/// Step by step.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) orders: Vec<Option<Order>>,
    pub(super) measurable: Vec<usize>,
    pub(super) phasors: Vec<Vec<Phasor>>,
    pub(super) signals: Vec<Vec<f64>>,
}

impl Report {
    /// With a null it takes seconds to minutes; `go_on` hears how much of the surrogates is done,
    /// from 0 to 1, and says whether to go on. `None` when it said no.
    pub fn of(
        session: &Session,
        null: Option<&Null>,
        mut go_on: impl FnMut(f64) -> bool,
    ) -> Option<Self> {
        let LookedBack { group_hz, centres_hz, phasors, signals } = session.look_back();
        let steps = session.steps();
        let n = session.people.len();
        let at = |step: usize| -> Vec<Phasor> {
            phasors.iter().map(|run| run[step]).filter(|phasor| *phasor != Phasor::ZERO).collect()
        };
        let there: Vec<Vec<Phasor>> = (0..steps).map(at).collect();
        let orders: Vec<Option<Order>> =
            there.iter().map(|phasors| kuramoto::order(phasors)).collect();
        let measured: Vec<&Order> = orders.iter().flatten().collect();
        let mean = |of: fn(&Order) -> f64| {
            let sum: f64 = measured.iter().map(|order| of(order)).sum();
            (!measured.is_empty()).then(|| sum / measured.len() as f64)
        };
        let runs: Vec<&[Phasor]> = phasors.iter().map(Vec::as_slice).collect();
        let places = (n >= 2).then(|| cluster(&runs)).flatten();
        let whole = Whole {
            measured_s: measured.len() as f64 / GRID_HZ,
            mean_r: mean(|order| order.r),
            mean_kappa: mean(|order| order.kappa),
            above_null95_share: mean(|order| f64::from(u8::from(order.r > order.null95))),
            cluster: places.as_ref().map(|places| places.group),
        };
        let share = |count: usize| count as f64 / steps.max(1) as f64;
        let person = |(member, name): (usize, &String)| PersonFigures {
            name: name.clone(),
            measurable_share: share(
                (0..steps).filter(|step| session.was_measurable(member, *step)).count(),
            ),
            why_not: session
                .reasons(member)
                .map(|(why, count)| Why {
                    reason: why.name(),
                    sentence: why.sentence(),
                    share: share(count),
                })
                .collect(),
            centre_hz: centres_hz[member],
            cluster: places.as_ref().map(|places| places.members[member]),
        };
        let people = session.people.iter().enumerate().map(person).collect();
        let answer = null.map(|null| test(null, &phasors, &signals, &centres_hz, &mut go_on));
        if answer == Some(Err(NoAnswer::Cancelled)) {
            return None;
        }
        let mut report = Self {
            format: "sensocto-synchrony-report",
            version: VERSION,
            made_by: concat!("sensocto ", env!("CARGO_PKG_VERSION")),
            name: session.name.clone(),
            condition: session.condition.name(),
            signal: session.signal.name(),
            tier: session.tier.name(),
            room: session.room.clone(),
            begin_ms: session.begin_us().unwrap_or(0).div_euclid(1_000),
            step_s: 1.0 / GRID_HZ,
            steps,
            duration_s: steps as f64 / GRID_HZ,
            edge_s: EDGE_STEPS as f64 / GRID_HZ,
            rhythm_hz: group_hz,
            cautions: Vec::new(),
            whole,
            people,
            pairs: pairs(&runs, answer.as_ref().and_then(|answer| answer.as_ref().ok())),
            significance: told(null, answer.as_ref()),
            series: Series {
                orders,
                measurable: there.iter().map(Vec::len).collect(),
                phasors,
                signals,
            },
        };
        report.cautions = report.cautions(session);
        Some(report)
    }

    pub(super) fn made_by(&self) -> &str {
        self.made_by
    }

    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// What keeps a reader from believing more than there is.
    fn cautions(&self, session: &Session) -> Vec<String> {
        let mut cautions: Vec<String> =
            session.condition.caution().map(str::to_owned).into_iter().collect();
        if self.whole.measured_s == 0.0 {
            cautions.push("Never could two people be measured at once.".into());
        } else if self.whole.measured_s < 60.0 {
            cautions.push(
                "Less than a minute could be measured: strangers look alike that long.".into(),
            );
        }
        let seldom = self.people.iter().filter(|person| person.measurable_share < 0.5).count();
        if seldom > 0 {
            cautions.push(format!(
                "{seldom} of {} were measurable less than half of the time.",
                self.people.len()
            ));
        }
        if matches!(self.significance, Significance::Tested { liberal: true, .. }) {
            cautions.push(
                "Shifted signals raise more false alarms than promised: p is too small.".into(),
            );
        }
        if session.signal != Signal::Breath {
            cautions.push("The rhythm is of the time between heart beats.".into());
        }
        cautions
    }
}

fn test(
    null: &Null,
    phasors: &[Vec<Phasor>],
    signals: &[Vec<f64>],
    centres_hz: &[Option<f64>],
    go_on: &mut impl FnMut(f64) -> bool,
) -> Result<Answer, NoAnswer> {
    if phasors.len() > PAIRED_COUNT_MAX {
        return Err(NoAnswer::TooMany { count: phasors.len(), max: PAIRED_COUNT_MAX });
    }
    let centres_hz: Vec<f64> = centres_hz.iter().map(|hz| hz.unwrap_or(f64::NAN)).collect();
    let question = Question {
        method: null.method,
        phasors,
        signals,
        centres_hz: &centres_hz,
        pool: &null.pool,
        surrogates: null.surrogates,
        seed: null.seed,
    };
    significance(&question, |done| go_on(done as f64 / null.surrogates as f64))
}

fn told(null: Option<&Null>, answer: Option<&Result<Answer, NoAnswer>>) -> Significance {
    match (null, answer) {
        (_, Some(Ok(answer))) => Significance::Tested {
            method: answer.method.name(),
            surrogates: answer.surrogates,
            seed: answer.seed,
            liberal: answer.method.is_liberal(),
            p_group: answer.p_group,
            null95_plv: answer.null95,
        },
        (Some(null), Some(Err(error))) => {
            Significance::NotTested { method: null.method.name(), reason: error.to_string() }
        }
        _ => Significance::NotTested { method: "none", reason: "it was not asked for".into() },
    }
}

fn pairs(runs: &[&[Phasor]], answer: Option<&Answer>) -> Vec<PairFigures> {
    if runs.len() > PAIRED_COUNT_MAX {
        return Vec::new();
    }
    let rhythm_hz = pace_hz(runs);
    let mut pairs = Vec::new();
    for b in 1..runs.len() {
        for a in 0..b {
            let found = pair(runs[a], runs[b]);
            let enough = found.filter(|pair| pair.common >= COMMON_STEPS_MIN).zip(rhythm_hz);
            let tested = answer
                .and_then(|answer| answer.pairs.iter().find(|pair| (pair.a, pair.b) == (a, b)));
            pairs.push(PairFigures {
                a,
                b,
                plv: enough.map(|(pair, _)| pair.plv),
                lag_s: enough.map(|(pair, hz)| lag_s(pair.difference, hz)),
                correlation_lag_s: enough
                    .and_then(|(_, hz)| correlation_lag_median_s(runs[a], runs[b], hz)),
                common_s: found.map_or(0.0, |pair| pair.common as f64 / GRID_HZ),
                p: tested.map(|pair| pair.p),
                p_corrected: tested.map(|pair| pair.p_corrected),
            });
        }
    }
    pairs
}

/// The middle of how fast everybody's phase goes on, Hz.
pub(super) fn pace_hz(runs: &[&[Phasor]]) -> Option<f64> {
    let steps = runs.iter().flat_map(|run| run.windows(2)).filter_map(|pair| {
        let both = pair[0] != Phasor::ZERO && pair[1] != Phasor::ZERO;
        both.then(|| wrapped((pair[1] * pair[0].conj()).angle()))
    });
    let mut steps: Vec<f64> = steps.collect();
    if steps.is_empty() {
        return None;
    }
    let middle = steps.len() / 2;
    let (_, &mut step, _) = steps.select_nth_unstable_by(middle, f64::total_cmp);
    Some(step * GRID_HZ / std::f64::consts::TAU).filter(|hz| *hz > 0.0)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use components::group::{MemberState, Reading, Tier, Unmeasurable};
    use engine::sense::grid::STEP_US;

    use super::super::session::Condition;
    use super::*;

    const HZ: f64 = 0.25;

    /// Three people for three minutes: the second is 0.6 s behind the first, the third breathes at
    /// another pace and cannot be measured at first.
    fn session(condition: Condition) -> Session {
        let people = vec!["Ada".into(), "Bea <b>".into(), "Cid".into()];
        let mut session = Session::new("choir", Signal::Breath, Tier::Prompt, condition, people);
        for step in 0..1_800i64 {
            let t = step as f64 / GRID_HZ;
            let breath = |hz: f64, behind_s: f64| libm::sin(TAU * hz * (t - behind_s));
            let states: [MemberState; 3] =
                [Ok(0.0), Ok(0.0), if step < 300 { Err(Unmeasurable::Clipped) } else { Ok(0.0) }];
            let reading = Reading {
                at_us: 1_700_000_000_000_000 + step * STEP_US,
                members: 3,
                measurable: 3,
                order: None,
                smoothed: None,
            };
            // Slow waves of their own, so that surrogates have something to shuffle.
            let values =
                [breath(HZ, 0.0), breath(HZ, 0.6), breath(0.36, 0.0) + 0.2 * breath(0.3, 1.0)];
            session.hear(&reading, |place| (states[place], values[place]));
        }
        session
    }

    fn null(method: Method) -> Null {
        Null { method, surrogates: 99, seed: 3, pool: Vec::new() }
    }

    #[test]
    fn a_report_reads_who_is_locked_who_is_behind_and_who_was_not_measurable() {
        let session = session(Condition::Free);
        let report = Report::of(&session, Some(&null(Method::PhaseRandomised)), |_| true).unwrap();
        assert_eq!(
            (report.begin_ms, report.steps, report.duration_s),
            (1_700_000_000_000, 1_800, 180.0)
        );
        assert_eq!(report.rhythm_hz, Some(0.25));
        // 7.5 s at either end have no phase.
        assert_eq!(report.whole.measured_s, 165.0);
        let [ab, ac, bc] = &report.pairs[..] else { panic!("{:?}", report.pairs) };
        assert!(ab.plv.unwrap() > 0.999 && ac.plv.unwrap() < 0.1, "{ab:?} {ac:?}");
        assert!((ab.lag_s.unwrap() - 0.6).abs() < 0.01, "{ab:?}");
        assert!((ab.correlation_lag_s.unwrap() - 0.6).abs() < 0.02, "{ab:?}");
        assert_eq!((ab.common_s, ac.common_s, bc.common_s), (165.0, 142.5, 142.5));
        let [ada, bea, cid] = &report.people[..] else { panic!("{:?}", report.people) };
        assert_eq!((ada.measurable_share, bea.measurable_share), (1.0, 1.0));
        assert!((cid.measurable_share - 1_500.0 / 1_800.0).abs() < 1e-12);
        assert_eq!((cid.why_not.len(), cid.why_not[0].reason), (1, "clipped"));
        assert!((cid.centre_hz.unwrap() - 0.36).abs() < 0.005, "{cid:?}");
        // Before the third can be measured, there are two, a seventh of a cycle apart.
        let order = report.series().orders[100].unwrap();
        assert!((order.r - libm::cos(0.5 * TAU * HZ * 0.6)).abs() < 1e-3, "{order:?}");
        assert_eq!((report.series().measurable[100], report.series().measurable[400]), (2, 3));
        assert_eq!(report.series().orders[20], None);
        assert!(report.cautions.is_empty(), "{:?}", report.cautions);
    }

    #[test]
    fn what_keeps_from_believing_too_much_is_said() {
        let paced = session(Condition::Paced);
        let report = Report::of(&paced, Some(&null(Method::CircularShift)), |_| true).unwrap();
        assert!(report.cautions[0].contains("followed a pacer"), "{:?}", report.cautions);
        let Significance::NotTested { reason, .. } = &report.significance else {
            panic!("{:?}", report.significance)
        };
        assert_eq!(reason, "the window is 180 s long; this method needs 300 to 3600 s");
        assert_eq!(report.pairs[0].p, None);
        let lonely = Null { pool: report.series().phasors.clone(), ..null(Method::PseudoPairs) };
        let report = Report::of(&paced, Some(&lonely), |_| true).unwrap();
        let Significance::NotTested { reason, .. } = &report.significance else { panic!() };
        assert_eq!(reason, "there are 3 people from elsewhere to compare with, 20 are needed");
        let report = Report::of(&paced, None, |_| unreachable!("there is nothing to wait for"));
        let Significance::NotTested { method, reason } = report.unwrap().significance else {
            panic!()
        };
        assert_eq!((method, &*reason), ("none", "it was not asked for"));
        let nobody =
            Session::new("x", Signal::Breath, Tier::Live, Condition::Free, vec!["Ada".into()]);
        let report = Report::of(&nobody, Some(&null(Method::PhaseRandomised)), |_| true).unwrap();
        assert_eq!(report.cautions[0], "Never could two people be measured at once.");
        assert_eq!((report.whole.mean_r, report.pairs.len()), (None, 0));
        assert!(report.files().iter().all(|(_, bytes)| !bytes.is_empty()));
    }

    #[test]
    fn a_report_that_is_stopped_is_none() {
        let mut heard = Vec::new();
        let report =
            Report::of(&session(Condition::Free), Some(&null(Method::PhaseRandomised)), |done| {
                heard.push(done);
                heard.len() < 3
            });
        assert!(report.is_none());
        assert_eq!(heard, [1.0 / 99.0, 2.0 / 99.0, 3.0 / 99.0]);
    }

    #[test]
    fn the_files_say_what_was_computed_and_from_what() {
        let report =
            Report::of(&session(Condition::Free), Some(&null(Method::PhaseRandomised)), |_| true)
                .unwrap();
        let files = report.files();
        let text = |name: &str| {
            let (_, bytes) = files.iter().find(|(file, _)| *file == name).unwrap();
            String::from_utf8(bytes.clone()).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&text("report.json")).unwrap();
        assert_eq!(json["condition"], "free");
        assert_eq!(json["significance"]["outcome"], "tested");
        assert_eq!(json["pairs"][0]["plv"], report.pairs[0].plv.unwrap());
        let rows = |name: &str| -> Vec<String> { text(name).lines().map(String::from).collect() };
        let series = rows("report.csv");
        assert_eq!(series.len(), 1_801);
        assert_eq!(series[0], "t,R,kappa,null95,measurable,phase Ada,phase Bea <b>,phase Cid");
        assert_eq!(series[1], "0.0,,,,0,,,");
        let fields: Vec<&str> = series[101].split(',').collect();
        assert_eq!((fields[0], fields[3], fields[4], fields[7]), ("10.0", "0.9969", "2", ""));
        let order = report.series().orders[100].unwrap();
        assert_eq!(fields[1], format!("{:.6}", order.r));
        let signals = rows("signals.csv");
        assert_eq!(signals[0], "t,Ada,Bea <b>,Cid");
        let second: Vec<&str> = signals[11].split(',').collect();
        assert_eq!(second[..2], ["1.0", "1"]);
        let page = text("report.html");
        assert!(page.contains("Bea &lt;b&gt;") && !page.contains("Bea <b>"));
        assert!(!page.contains("NaN") && !page.contains("http"));
    }
}

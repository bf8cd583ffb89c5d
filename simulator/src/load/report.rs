//! What a load run found, for people and for programs.

use std::ops::Range;

use serde_json::{Value, json};

use super::conduct::{Conducted, Probe};
use super::figures::{Count, Figures, Look, Looked, Series};
use super::knee::{Bounds, Knee, Verdict};
use super::plan::Plan;
use super::process::Usage;
use crate::histogram::Histogram;

/// One second of a run.
#[derive(Debug, Clone)]
pub struct Row {
    /// Since the beginning.
    pub second: usize,
    pub figures: Figures,
    /// Samples per second that the server says it took; absent when it says nothing.
    pub accepted: Option<f64>,
    /// Of one core, 1 is all of it.
    pub cpu: Option<f64>,
    pub resident_kib: Option<u64>,
    /// Open connections.
    pub devices: usize,
    pub viewers: usize,
}

/// One load of a search.
#[derive(Debug, Clone)]
pub struct Step {
    /// As a multiple of the load that was asked for.
    pub factor: f64,
    pub verdict: Verdict,
    /// `None` when it could not be driven.
    pub report: Option<Box<Report>>,
    /// Why it could not.
    pub why: Option<String>,
}

/// A search and what it found.
#[derive(Debug, Clone)]
pub struct Limit {
    pub steps: Vec<Step>,
    pub knee: Knee,
    pub bounds: Bounds,
}

/// A part of a run with a surge.
#[derive(Debug, Clone)]
pub struct Phase {
    pub name: &'static str,
    /// Since the beginning of the run.
    pub seconds: Range<usize>,
    pub figures: Figures,
}

/// What a surge did.
#[derive(Debug, Clone)]
pub struct Surged {
    /// Before it, as it comes, once it is there, and after it.
    pub phases: [Phase; 4],
    /// Seconds from its end until everyone gets as much one by one as before, and does until the
    /// end. `None`: that was not reached.
    pub recovered_s: Option<usize>,
}

/// A surge comes all at once: for so long everybody connects, and the server finds out what it has
/// to do with.
const ONSET_SECONDS: usize = 5;

/// Of what came one by one before a surge, so much is as before.
const RECOVERED_PART: f64 = 0.99;

impl Surged {
    fn new(series: &Series, plan: &Plan) -> Option<Self> {
        let surge_us = plan.surge_us()?;
        let whole = |micros: u64| (micros as f64 / 1e6).ceil() as usize;
        let (from, to) = (whole(surge_us.start), whole(surge_us.end));
        let (begin, end) = (whole(plan.warmup.as_micros() as u64), plan.end_us() / 1_000_000);
        let phase = |name, seconds: Range<usize>| {
            let figures = series.total(seconds.clone());
            Phase { name, seconds, figures }
        };
        let phases = [
            phase("before", begin..from),
            phase("onset", from..to.min(from + ONSET_SECONDS)),
            phase("surge", to.min(from + ONSET_SECONDS)..to),
            phase("after", to..end as usize),
        ];
        let parts = |figures: &Figures| figures.looks.each_ref().map(Looked::whole_part);
        let usual = parts(&phases[0].figures);
        let as_before = |second: &usize| {
            let now = parts(&series.total(*second..*second + 1));
            now.iter().zip(usual).all(|(now, usual)| *now >= RECOVERED_PART * usual)
        };
        let good = phases[3].seconds.clone().rev().take_while(as_before).last();
        Some(Self { recovered_s: good.map(|second| second - to), phases })
    }

    /// By phase and look: what came one by one, what was lost, ages.
    pub fn lines(&self) -> Vec<String> {
        let ms = |micros: u64| micros as f64 / 1000.0;
        let mut lines = Vec::new();
        for Phase { name, figures, .. } in &self.phases {
            for look in Look::ALL {
                let looked = &figures.looks[look as usize];
                if looked.is_dark() {
                    lines.push(format!("{name:<9} {:<6} nothing came", look.name()));
                    continue;
                }
                lines.push(format!(
                    "{name:<9} {:<6} {:.1} % one by one, {} summed up, {} lost, age p50 {:.1} ms, \
                     p99 {:.1} ms",
                    look.name(),
                    100.0 * looked.whole_part(),
                    looked.summed_up,
                    looked.lost,
                    ms(looked.age.quantile(0.5)),
                    ms(looked.age.quantile(0.99))
                ));
            }
        }
        lines.push(match self.recovered_s {
            Some(seconds) => format!("recovered within {} s of the surge's end", seconds + 1),
            None => "recovered not before the end of the run".into(),
        });
        lines
    }

    fn json(&self) -> Value {
        let phases: Vec<Value> = self
            .phases
            .iter()
            .map(|phase| {
                json!({"name": phase.name, "from_s": phase.seconds.start,
                       "to_s": phase.seconds.end, "by_attention": looks_json(&phase.figures)})
            })
            .collect();
        json!({"phases": phases, "recovered_s": self.recovered_s})
    }
}

fn looks_json(figures: &Figures) -> Value {
    let looks = Look::ALL.map(|look| {
        let looked = &figures.looks[look as usize];
        let words = json!({"one_by_one": looked.whole, "summed_up": looked.summed_up,
                           "lost": looked.lost, "age_us": micros(&looked.age)});
        (look.name().to_owned(), words)
    });
    Value::Object(looks.into_iter().collect())
}

/// Everything measured.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was asked for, and of what: names and values.
    pub configuration: Vec<(String, String)>,
    /// What it ran on.
    pub machine: Vec<(String, String)>,
    pub began_unix_ms: i64,
    pub warmup_seconds: f64,
    /// Measured, behind the warm-up.
    pub seconds: f64,
    /// Of the measured seconds together.
    pub total: Figures,
    /// Every second, the warm-up included.
    pub rows: Vec<Row>,
    /// Samples that the server says it took, at its rate between two looks; absent when it says
    /// nothing.
    pub accepted: Option<f64>,
    /// What it says it dropped: ledger, reason, count.
    pub dropped: Vec<(&'static str, String, f64)>,
    /// At the end of warm-up, and at the end; and the seconds between.
    pub usage: Option<(Usage, Usage, f64)>,
    /// Why the first connection broke that should not have.
    pub broken_why: Option<String>,
    /// Processes of ours that ended before their time.
    pub dead: Vec<String>,
    pub limit: Option<Limit>,
    pub surged: Option<Surged>,
}

/// The first look at the server behind the warm-up and the last before the end.
fn measured(probes: &[Probe], plan: &Plan) -> Option<(Probe, Probe)> {
    let from = plan.warmup.as_micros() as u64;
    // A look at the very end may come a little late.
    let mut within = probes.iter().filter(|p| (from..=plan.end_us() + 900_000).contains(&p.at));
    let first = within.next()?.clone();
    Some((first, within.next_back()?.clone()))
}

impl Report {
    pub(super) fn new(
        run: Conducted,
        plan: &Plan,
        configuration: Vec<(String, String)>,
        machine: Vec<(String, String)>,
    ) -> Self {
        let from = plan.warmup.as_secs_f64().ceil() as usize;
        let to = (plan.end_us() as f64 / 1e6).ceil() as usize;
        // What was due in the first second behind the warm-up counts from its beginning.
        let total = run.series.total(from.min(to.saturating_sub(1))..to.max(from + 1));
        let pair = measured(&run.probes, plan);
        let metrics = pair.as_ref().and_then(|(a, b)| a.metrics.as_ref().zip(b.metrics.as_ref()));
        let usage =
            pair.as_ref().and_then(|(a, b)| Some((a.usage?, b.usage?, (b.at - a.at) as f64 / 1e6)));
        let looks_apart = pair.as_ref().map(|(a, b)| (b.at - a.at) as f64 / 1e6);
        let seconds = (to - from).max(1) as f64;
        let rows = (0..to).map(|second| row(&run, second)).collect();
        Self {
            configuration,
            machine,
            began_unix_ms: run.began_unix_us.div_euclid(1000),
            warmup_seconds: plan.warmup.as_secs_f64(),
            seconds,
            total,
            rows,
            accepted: metrics.and_then(|(before, after)| {
                // The looks at the server are not quite as far apart as the measured seconds are.
                Some(after.accepted_since(before)? * seconds / looks_apart?.max(1e-3))
            }),
            dropped: metrics.map_or(Vec::new(), |(before, after)| after.dropped_since(before)),
            usage,
            broken_why: run.why,
            dead: run.dead,
            limit: None,
            surged: Surged::new(&run.series, plan),
        }
    }

    /// From sending to receiving, µs.
    pub fn age(&self) -> &Histogram {
        &self.total.age
    }

    /// The part of a core that the server took.
    pub fn cpu(&self) -> Option<f64> {
        let (before, after, seconds) = self.usage?;
        (seconds > 0.0).then(|| (after.cpu_seconds - before.cpu_seconds) / seconds)
    }

    /// CPU seconds of the server per million samples in.
    pub fn cpu_per_million(&self) -> Option<f64> {
        let rate = self.total.of(Count::Sent).max(1) as f64 / self.seconds;
        Some(self.cpu()? / rate * 1e6)
    }

    /// How the load went.
    pub fn verdict(&self, bounds: &Bounds) -> Verdict {
        let (age, late) = (self.total.age.quantile(0.99), self.total.lateness.quantile(0.99));
        if self.dead.is_empty() {
            bounds.judge(self.total.delivered_part(), age, late)
        } else {
            Verdict::Failed
        }
    }

    /// What was lost, and how: name, count, and what it means.
    pub fn losses(&self) -> Vec<(&'static str, u64, &'static str)> {
        let of = |count| self.total.of(count);
        vec![
            ("not taken", of(Count::NotTaken), "the server did not read, or had closed"),
            ("missed", of(Count::Missed), "the server said so to the viewer"),
            ("gaps", of(Count::Gaps), "nobody said so"),
            ("double", of(Count::Doubled), "came again"),
            ("wrong", of(Count::Wrong), "another value or time than was sent"),
            (
                "of faulty devices",
                of(Count::FaultyMissed) + of(Count::FaultyGaps),
                "held back, repeated or rearranged by plan, or lost with them",
            ),
            ("of slow viewers", of(Count::SlowMissed), "they did not read, by plan"),
        ]
    }

    pub fn text(&self) -> String {
        let of = |count| self.total.of(count);
        let rate = |count: u64| count as f64 / self.seconds;
        let mut lines = vec![self.text_in(), self.text_accepted(), self.text_out()];
        if of(Count::Latest) > 0 {
            lines.push(format!(
                "summed up {} latest values and digests ({:.0}/s) that stood for {} more",
                of(Count::Latest),
                rate(of(Count::Latest)),
                of(Count::Coalesced)
            ));
        }
        if of(Count::SlowDelivered) + of(Count::SlowMissed) + of(Count::ViewersLetGo) > 0 {
            lines.push(format!(
                "slow      viewers that stop reading got {} samples, missed {}; {} were let go",
                of(Count::SlowDelivered),
                of(Count::SlowMissed),
                of(Count::ViewersLetGo)
            ));
        }
        let faults = [Count::Withheld, Count::Delayed, Count::Repeated, Count::Garbage];
        if faults.iter().any(|fault| of(*fault) > 0) {
            lines.push(format!(
                "faults    {} samples withheld, {} late, {} twice, {} rubbish; theirs alone: \
                 {} missed, {} gaps, {} double, {} connections ended, {} reopened",
                of(Count::Withheld),
                of(Count::Delayed),
                of(Count::Repeated),
                of(Count::Garbage),
                of(Count::FaultyMissed),
                of(Count::FaultyGaps),
                of(Count::FaultyDoubled),
                of(Count::FaultyBroken),
                of(Count::DevicesReopened)
            ));
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        let age = &self.total.age;
        lines.push(format!(
            "age       p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            ms(age.quantile(0.5)),
            ms(age.quantile(0.9)),
            ms(age.quantile(0.99)),
            ms(age.max())
        ));
        let late = &self.total.lateness;
        lines.push(format!(
            "generator p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms late",
            ms(late.quantile(0.5)),
            ms(late.quantile(0.99)),
            ms(late.max())
        ));
        if let (Some((before, after, _)), Some(cpu)) = (self.usage, self.cpu()) {
            lines.push(format!(
                "server    {:.2} CPU s per million samples in ({:.1} % of a core), {:.1} MiB before, {:.1} MiB after",
                self.cpu_per_million().unwrap_or_default(),
                100.0 * cpu,
                before.resident_kib as f64 / 1024.0,
                after.resident_kib as f64 / 1024.0
            ));
        }
        for (reason, count) in &self.total.answers {
            lines.push(format!("answered  {count} times: {reason}"));
        }
        if let Some(why) = &self.broken_why {
            lines.push(format!(
                "broken    {} devices, {} viewers; the first: {why}",
                of(Count::DevicesBroken),
                of(Count::ViewersBroken)
            ));
        }
        lines.extend(self.dead.iter().map(|why| format!("DIED      {why}; its part is missing")));
        lines.extend(self.surged.iter().flat_map(Surged::lines));
        if let Some(limit) = &self.limit {
            lines.push(limit.text());
        }
        lines.join("\n")
    }

    fn text_in(&self) -> String {
        let of = |count| self.total.of(count);
        format!(
            "in        {} of {} samples sent in {:.0} s ({:.0}/s), {} the server did not take",
            of(Count::Sent),
            of(Count::Offered),
            self.seconds,
            of(Count::Sent) as f64 / self.seconds,
            of(Count::NotTaken)
        )
    }

    fn text_accepted(&self) -> String {
        let Some(accepted) = self.accepted else {
            return "accepted  unknown: the server has no /metrics of Sensocto's".into();
        };
        let dropped = self
            .dropped
            .iter()
            .map(|(ledger, reason, count)| format!(", {count:.0} {ledger} {reason}"));
        format!(
            "accepted  {accepted:.0} by the server's own ledger{} (at its rate between two looks)",
            dropped.collect::<String>()
        )
    }

    fn text_out(&self) -> String {
        let of = |count| self.total.of(count);
        if self.total.expected() == 0 {
            return format!(
                "out       nothing that has to come one by one, {} double, {} wrong",
                of(Count::Doubled),
                of(Count::Wrong)
            );
        }
        format!(
            "out       {} of {} delivered ({:.3} %, {:.0}/s), {} said to be missed, {} gaps, {} double, {} wrong",
            of(Count::Delivered),
            self.total.expected(),
            100.0 * of(Count::Delivered) as f64 / self.total.expected().max(1) as f64,
            of(Count::Delivered) as f64 / self.seconds,
            of(Count::Missed),
            of(Count::Gaps),
            of(Count::Doubled),
            of(Count::Wrong)
        )
    }

    /// Everything, for programs.
    pub fn json(&self) -> Value {
        let pairs = |pairs: &[(String, String)]| -> Value {
            pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let dropped: Vec<Value> = self
            .dropped
            .iter()
            .map(|(ledger, reason, count)| {
                json!({"ledger": ledger, "reason": reason, "count": count})
            })
            .collect();
        let kib = |usage: Option<Usage>| usage.map(|usage| usage.resident_kib);
        json!({
            "configuration": pairs(&self.configuration), "machine": pairs(&self.machine),
            "began_unix_ms": self.began_unix_ms, "warmup_seconds": self.warmup_seconds,
            "seconds": self.seconds, "total": figures_json(&self.total),
            "expected": self.total.expected(), "delivered_part": self.total.delivered_part(),
            "accepted": self.accepted, "dropped": dropped,
            "cpu": self.cpu(), "cpu_s_per_million": self.cpu_per_million(),
            "rss_kib_before": kib(self.usage.map(|usage| usage.0)),
            "rss_kib_after": kib(self.usage.map(|usage| usage.1)),
            "broken_why": self.broken_why, "dead": self.dead, "by_second": rows,
            "limit": self.limit.as_ref().map(Limit::json),
            "surge": self.surged.as_ref().map(Surged::json),
        })
    }
}

fn micros(histogram: &Histogram) -> Value {
    json!({"p50": histogram.quantile(0.5), "p90": histogram.quantile(0.9),
           "p99": histogram.quantile(0.99), "max": histogram.max(), "count": histogram.count()})
}

fn figures_json(figures: &Figures) -> Value {
    let mut made: serde_json::Map<String, Value> =
        Count::ALL.iter().map(|count| (count.name().into(), json!(figures.of(*count)))).collect();
    made.insert("age_us".into(), micros(&figures.age));
    made.insert("lateness_us".into(), micros(&figures.lateness));
    made.insert("answers".into(), json!(figures.answers));
    made.insert("by_attention".into(), looks_json(figures));
    Value::Object(made)
}

fn row_json(row: &Row) -> Value {
    json!({"second": row.second, "figures": figures_json(&row.figures),
           "accepted_per_s": row.accepted, "cpu": row.cpu, "rss_kib": row.resident_kib,
           "devices": row.devices, "viewers": row.viewers})
}

fn row(run: &Conducted, second: usize) -> Row {
    let start = second as u64 * 1_000_000;
    let middle = start + 500_000;
    let after = run.probes.iter().position(|probe| probe.at >= middle);
    let pair = after.and_then(|after| Some((run.probes.get(after.checked_sub(1)?)?, after)));
    let pair = pair.map(|(before, after)| (before, &run.probes[after]));
    // Two looks that are far apart say nothing of this second.
    let pair = pair.filter(|(before, after)| after.at - before.at < 3_000_000);
    let rate = |difference: f64| {
        pair.map(|(before, after)| difference / ((after.at - before.at).max(1) as f64 / 1e6))
    };
    let accepted = accepted_about(&run.probes, middle);
    let cpu =
        pair.and_then(|(before, after)| rate(after.usage?.cpu_seconds - before.usage?.cpu_seconds));
    let connections = run.connections.range(..=second).next_back().map(|(_, counts)| *counts);
    let (devices, viewers) = connections.unwrap_or_default();
    Row {
        second,
        figures: run.series.get(second).cloned().unwrap_or_default(),
        accepted,
        cpu,
        resident_kib: pair.and_then(|(_, after)| Some(after.usage?.resident_kib)),
        devices,
        viewers,
    }
}

/// Half the time over which the server's own count is taken for a rate, µs: the server counts its
/// ledgers anew at most once a second, so that two looks in a row may find the same.
const ACCEPTED_SPAN_US: u64 = 2_000_000;

/// Samples a second that the server took about this time.
fn accepted_about(probes: &[Probe], at: u64) -> Option<f64> {
    let span = at.saturating_sub(ACCEPTED_SPAN_US)..=at + ACCEPTED_SPAN_US;
    let mut near =
        probes.iter().filter(|probe| span.contains(&probe.at) && probe.metrics.is_some());
    let (first, last) = (near.next()?, near.next_back()?);
    let accepted = last.metrics.as_ref()?.accepted_since(first.metrics.as_ref()?)?;
    Some(accepted / ((last.at - first.at).max(1) as f64 / 1e6))
}

impl Step {
    /// One line.
    pub fn text(&self) -> String {
        let head = format!("x {:<7.3}", self.factor);
        match &self.report {
            None => {
                let why = self.why.as_deref().unwrap_or_default();
                format!("{head} {}: {why}", self.verdict.name())
            }
            Some(report) => format!(
                "{head} {:.0}/s in, {:.0}/s out, {:.3} % delivered, p99 {:.1} ms, generator p99 {:.1} ms late{}: {}",
                report.total.of(Count::Sent) as f64 / report.seconds,
                (report.total.of(Count::Delivered) + report.total.of(Count::Latest)) as f64
                    / report.seconds,
                100.0 * report.total.delivered_part(),
                report.total.age.quantile(0.99) as f64 / 1000.0,
                report.total.lateness.quantile(0.99) as f64 / 1000.0,
                report.cpu().map_or(String::new(), |cpu| format!(", server {:.0} %", 100.0 * cpu)),
                self.verdict.name()
            ),
        }
    }
}

impl Limit {
    /// The step of the largest load that held.
    pub fn best(&self) -> Option<&Step> {
        let held = self.knee.held?;
        self.steps.iter().find(|step| step.factor == held && step.verdict == Verdict::Held)
    }

    /// What was found, as a sentence.
    pub fn sentence(&self) -> String {
        let held = match (&self.knee.held, self.best().and_then(|step| step.report.as_ref())) {
            (Some(factor), Some(report)) => format!(
                "{factor:.3} times the load held: {:.0} samples/s in, {:.0}/s out, p99 age {:.1} ms",
                report.total.of(Count::Sent) as f64 / report.seconds,
                (report.total.of(Count::Delivered) + report.total.of(Count::Latest)) as f64
                    / report.seconds,
                report.total.age.quantile(0.99) as f64 / 1000.0
            ),
            _ => "no load held".into(),
        };
        match self.knee.failed {
            None => format!("{held}; no load was found that did not, within the steps allowed"),
            Some((factor, Verdict::Generator)) => format!(
                "{held}; at {factor:.3} times the generator, not the server, was the limit: more \
                 --processes or another machine would show more"
            ),
            Some((factor, verdict)) => format!("{held}; at {factor:.3} times: {}", verdict.name()),
        }
    }

    fn text(&self) -> String {
        let steps = self.steps.iter().map(|step| format!("step      {}", step.text()));
        let knee = std::iter::once(format!("knee      {}", self.sentence()));
        steps.chain(knee).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!({"factor": step.factor, "verdict": step.verdict.name(), "why": step.why,
                       "report": step.report.as_ref().map(|report| report.json())})
            })
            .collect();
        json!({"steps": steps, "held": self.knee.held,
               "failed": self.knee.failed.map(|(factor, _)| factor),
               "failed_because": self.knee.failed.map(|(_, verdict)| verdict.name()),
               "sentence": self.sentence(),
               "delivered_part_min": self.bounds.delivered_part_min,
               "age_us_max": self.bounds.age_us_max,
               "lateness_us_max": self.bounds.lateness_us_max})
    }
}

/// The machine that a run is on.
pub fn machine() -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get());
    let facts = [
        ("processor", after(&read("/proc/cpuinfo"), "model name")),
        ("cores", Some(cores.to_string())),
        ("memory", after(&read("/proc/meminfo"), "MemTotal")),
        ("system", Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))),
        ("kernel", Some(read("/proc/sys/kernel/osrelease").trim().to_owned())),
        ("generator", Some(format!("sensocto {}", env!("CARGO_PKG_VERSION")))),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| {
        Some((name.to_owned(), value.filter(|value| !value.is_empty())?))
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use components::viewer::Quality;

    use super::super::plan::Surge;
    use super::*;
    use crate::crowd::Form;

    /// A minute with a surge in its middle, in which and for so long after half of what is merely
    /// visible is summed up.
    fn surged(seconds: usize) -> Surged {
        let plan = Plan {
            viewers: 0,
            watch: 0,
            point: 0,
            dim_every: 0,
            quality: Quality::High,
            form: Form::Json,
            crowds: Vec::new(),
            seed: 1,
            warmup: Duration::from_secs(3),
            period: Duration::from_secs(60),
            batch: None,
            obey: false,
            surge: Some(Surge { devices: 0, sensors: 0, viewers: 0 }),
        };
        let mut series = Series::default();
        for second in 0..63 {
            let figures = series.at(second as u64 * 1_000_000);
            figures.looks[Look::Close as usize].whole = 100;
            let seen = &mut figures.looks[Look::Seen as usize];
            let pressed = (23..43 + seconds).contains(&second);
            (seen.whole, seen.summed_up) = if pressed { (50, 50) } else { (100, 0) };
        }
        Surged::new(&series, &plan).unwrap()
    }

    #[test]
    fn a_surge_is_over_when_everything_comes_one_by_one_again_and_stays() {
        let [before, onset, surge, after] = surged(4).phases;
        let of = |phase: &Phase, look| phase.figures.looks[look as usize].whole_part();
        let seconds = [&before, &onset, &surge, &after].map(|phase| phase.seconds.clone());
        assert_eq!(seconds, [3..23, 23..28, 28..43, 43..63]);
        assert_eq!((of(&surge, Look::Close), of(&surge, Look::Seen)), (1.0, 0.5));
        let lines = surged(4).lines();
        assert!(lines[0].starts_with("before    high   100.0 % one by one"), "{lines:?}");
        assert_eq!(lines[2], "before    low    nothing came");
        assert_eq!(surged(4).recovered_s, Some(4));
        assert_eq!(surged(0).recovered_s, Some(0));
        assert_eq!(surged(20).recovered_s, None);
    }
}

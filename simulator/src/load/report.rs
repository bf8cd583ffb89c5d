//! What a load run found, for people and for programs.

use serde_json::json;

use super::process::Usage;
use crate::histogram::Histogram;

/// Everything measured between warm-up and end.
#[derive(Debug, Clone)]
pub struct Report {
    pub seconds: f64,
    /// Samples that the plan asked for.
    pub offered: u64,
    /// Samples that were written to sockets.
    pub sent: u64,
    /// Samples that could not be, because the server did not read.
    pub refused: u64,
    /// Samples that viewers should have received, each counted once for each viewer.
    pub expected: u64,
    pub delivered: u64,
    /// By any viewer, after an earlier one of the same count.
    pub duplicates: u64,
    /// Samples that viewers saw others overtake.
    pub gaps: u64,
    /// Samples of which the server said that they were lost.
    pub missed: u64,
    /// From sending to receiving, µs.
    pub age: Histogram,
    /// How late the generator itself was, µs.
    pub lateness: Histogram,
    /// At the end of warm-up, and at the end.
    pub usage: Option<(Usage, Usage)>,
    /// Connections that broke, and why one did.
    pub broken: u64,
    pub broken_why: Option<String>,
}

impl Report {
    /// CPU seconds of the server per million samples in.
    pub fn cpu_per_million(&self) -> Option<f64> {
        let (before, after) = self.usage?;
        Some((after.cpu_seconds - before.cpu_seconds) / (self.sent.max(1) as f64 / 1e6))
    }

    pub fn text(&self) -> String {
        let ms = |histogram: &Histogram, part| histogram.quantile(part) as f64 / 1000.0;
        let rate = |count: u64| count as f64 / self.seconds;
        let mut lines = vec![
            format!(
                "in        {} of {} samples sent in {:.1} s ({:.0}/s), {} the server did not take",
                self.sent,
                self.offered,
                self.seconds,
                rate(self.sent),
                self.refused
            ),
            format!(
                "out       {} of {} delivered ({:.3} %, {:.0}/s), {} said to be missed, {} gaps, {} double",
                self.delivered,
                self.expected,
                100.0 * self.delivered as f64 / self.expected.max(1) as f64,
                rate(self.delivered),
                self.missed,
                self.gaps,
                self.duplicates
            ),
            format!(
                "age       p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                ms(&self.age, 0.5),
                ms(&self.age, 0.9),
                ms(&self.age, 0.99),
                self.age.max() as f64 / 1000.0
            ),
            format!(
                "generator p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms late",
                ms(&self.lateness, 0.5),
                ms(&self.lateness, 0.99),
                self.lateness.max() as f64 / 1000.0
            ),
        ];
        if let (Some((before, after)), Some(cpu)) = (self.usage, self.cpu_per_million()) {
            lines.push(format!(
                "server    {cpu:.2} CPU s per million samples in ({:.1} % of a core), {:.1} MiB before, {:.1} MiB after",
                100.0 * (after.cpu_seconds - before.cpu_seconds) / self.seconds,
                before.resident_kib as f64 / 1024.0,
                after.resident_kib as f64 / 1024.0
            ));
        }
        if let Some(why) = &self.broken_why {
            lines.push(format!("broken    {} connections, one because: {why}", self.broken));
        }
        lines.join("\n")
    }

    pub fn json(&self) -> String {
        let micros = |histogram: &Histogram| {
            json!({"p50": histogram.quantile(0.5), "p90": histogram.quantile(0.9),
                   "p99": histogram.quantile(0.99), "max": histogram.max()})
        };
        json!({
            "seconds": self.seconds, "offered": self.offered, "sent": self.sent,
            "refused": self.refused, "expected": self.expected, "delivered": self.delivered,
            "duplicates": self.duplicates, "gaps": self.gaps, "missed": self.missed,
            "age_us": micros(&self.age), "lateness_us": micros(&self.lateness),
            "cpu_s_per_million": self.cpu_per_million(),
            "cpu_s": self.usage.map(|(before, after)| after.cpu_seconds - before.cpu_seconds),
            "rss_kib_before": self.usage.map(|(before, _)| before.resident_kib),
            "rss_kib_after": self.usage.map(|(_, after)| after.resident_kib),
            "broken": self.broken, "broken_why": self.broken_why,
        })
        .to_string()
    }
}

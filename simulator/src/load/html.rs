//! The report as one page that needs nothing else: plots with their figures beside them, in light
//! and dark, for eyes and for screen readers.

use std::fmt::Write;

use super::figures::{Count, Look, Looked};
use super::plot::{Line, Plot, number};
use super::report::{Limit, Report, Row, Surged};
use crate::page::{self, escape};

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = report
        .configuration
        .iter()
        .find(|(name, _)| name == "load")
        .map_or("Load", |(_, value)| value.as_str());
    let mut out = page::begin(&format!("Load: {title}"));
    let _ = write!(out, "<h1>{}</h1><p>{}</p>", escape(title), escape(&sentence(report)));
    out.push_str(&summary(report));
    if let Some(limit) = &report.limit {
        out.push_str(&limit_section(limit));
    }
    plots(report).iter().for_each(|section| out.push_str(section));
    if let Some(surged) = &report.surged {
        out.push_str(&surge_section(surged));
    }
    out.push_str(&losses(report));
    for (heading, pairs) in
        [("What was run", &report.configuration), ("The machine", &report.machine)]
    {
        let _ = write!(out, "<section><h2>{heading}</h2><table><tbody>");
        for (name, value) in pairs {
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"w\">{}</td></tr>",
                escape(name),
                escape(value)
            );
        }
        out.push_str("</tbody></table></section>");
    }
    out.push_str(page::END);
    out
}

fn sentence(report: &Report) -> String {
    format!(
        "{:.0} s measured behind {:.0} s of warm-up. A figure of a second is of the samples that \
         were sent in it, whenever they arrived.",
        report.seconds, report.warmup_seconds
    )
}

fn summary(report: &Report) -> String {
    let of = |count| report.total.of(count);
    let ms = |part| report.total.age.quantile(part) as f64 / 1000.0;
    let part = report.total.delivered_part();
    let mark = |good| if good { "good" } else { "bad" };
    let mut cards = vec![
        ("offered, samples/s", number(of(Count::Offered) as f64 / report.seconds), ""),
        (
            "delivered, samples/s",
            number((of(Count::Delivered) + of(Count::Latest)) as f64 / report.seconds),
            "",
        ),
        ("of what was promised, arrived", format!("{:.3} %", 100.0 * part), mark(part >= 0.999)),
        ("wrong values", of(Count::Wrong).to_string(), mark(of(Count::Wrong) == 0)),
        ("age, p50", format!("{:.1} ms", ms(0.5)), ""),
        ("age, p99", format!("{:.1} ms", ms(0.99)), ""),
    ];
    if let Some(cpu) = report.cpu() {
        cards.push(("server, of a core", format!("{:.0} %", 100.0 * cpu), ""));
    }
    if let Some((_, after, _)) = report.usage {
        let mib = after.resident_kib as f64 / 1024.0;
        cards.push(("server's memory", format!("{mib:.0} MiB"), ""));
    }
    let mut out = String::from("<ul class=\"sum\">");
    for (name, value, class) in cards {
        let _ = write!(out, "<li><b class=\"{class}\">{}</b>{}</li>", escape(&value), escape(name));
    }
    out.push_str("</ul>");
    if !report.dead.is_empty() {
        let _ = write!(out, "<p><b>Incomplete: {}</b></p>", escape(&report.dead.join("; ")));
    }
    out
}

fn plots(report: &Report) -> Vec<String> {
    let rows = &report.rows;
    let places: Vec<f64> = rows.iter().map(|row| row.second as f64).collect();
    let line = |name, value: &dyn Fn(&Row) -> Option<f64>| Line {
        name,
        values: rows.iter().map(value).collect(),
    };
    let count = |name, count: Count| line(name, &|row| Some(row.figures.of(count) as f64));
    let age = |name, part: f64| {
        line(name, &|row| {
            let age = &row.figures.age;
            (age.count() > 0).then(|| age.quantile(part) as f64 / 1000.0)
        })
    };
    let plot = |id, title, unit, sentence, lines| Plot {
        id,
        title,
        unit,
        sentence,
        across: "seconds",
        places: &places,
        lines,
        shaded: Some((0.0, report.warmup_seconds)),
        bound: None,
    };
    let mut rates = vec![count("offered", Count::Offered)];
    if rows.iter().any(|row| row.accepted.is_some()) {
        rates.push(line("accepted", &|row| row.accepted));
    }
    rates.push(count("delivered, whole", Count::Delivered));
    rates.push(count("delivered, latest and digests", Count::Latest));
    rates.push(count("delivered to slow viewers", Count::SlowDelivered));
    rates.retain(|line| {
        line.name == "offered" || line.values.iter().any(|value| value.is_some_and(|v| v > 0.0))
    });
    let mut all = vec![
        plot(
            "rates",
            "Samples",
            "per second",
            "What devices had to send, what the server says it took, and what viewers received; \
             the warm-up is shaded.",
            rates,
        ),
        plot(
            "age",
            "Age",
            "ms",
            "From the moment a sample was sent to the moment a viewer had it.",
            vec![age("p50", 0.5), age("p90", 0.9), age("p99", 0.99), age("max", 1.0)],
        ),
    ];
    if report.surged.is_some() {
        let looked = |value: &dyn Fn(&Looked) -> f64| {
            let of = |look: Look| {
                line(look.name(), &move |row: &Row| {
                    let looked = &row.figures.looks[look as usize];
                    (looked.age.count() > 0).then(|| value(looked))
                })
            };
            Look::ALL.map(of).into()
        };
        all.push(plot(
            "whole",
            "One by one, by attention",
            "%",
            "How much of what viewers look at came one by one; the rest was summed up in digests.",
            looked(&|looked| 100.0 * looked.whole_part()),
        ));
        all.push(plot(
            "ages",
            "Age, by attention",
            "ms, p99",
            "From sending to receiving, the 99th percentile of each second.",
            looked(&|looked| looked.age.quantile(0.99) as f64 / 1000.0),
        ));
    }
    all.extend([
        plot(
            "losses",
            "Losses",
            "samples per second",
            "Not taken: the server did not read. Missed: it told the viewer. Gaps: nobody said so. \
             Wrong: not what was sent.",
            vec![
                count("not taken", Count::NotTaken),
                count("missed", Count::Missed),
                count("gaps", Count::Gaps),
                count("double", Count::Doubled),
                count("wrong", Count::Wrong),
            ],
        ),
        plot(
            "late",
            "The generator's own lateness",
            "ms",
            "How late samples were sent. What is here is not the server's doing.",
            vec![
                line("p50", &|row| Some(row.figures.lateness.quantile(0.5) as f64 / 1000.0)),
                line("p99", &|row| Some(row.figures.lateness.quantile(0.99) as f64 / 1000.0)),
            ],
        ),
    ]);
    if rows.iter().any(|row| row.cpu.is_some()) {
        all.push(plot(
            "cpu",
            "The server's processor time",
            "% of a core",
            "User and kernel time of all its threads.",
            vec![line("processor", &|row| row.cpu.map(|cpu| 100.0 * cpu))],
        ));
        all.push(plot(
            "memory",
            "The server's memory",
            "MiB resident",
            "What the kernel says it holds.",
            vec![line("memory", &|row| row.resident_kib.map(|kib| kib as f64 / 1024.0))],
        ));
    }
    all.push(plot(
        "connections",
        "Connections",
        "open",
        "Sockets of devices and of viewers.",
        vec![
            line("devices", &|row| Some(row.devices as f64)),
            line("viewers", &|row| Some(row.viewers as f64)),
        ],
    ));
    all.iter().map(Plot::section).collect()
}

fn losses(report: &Report) -> String {
    let mut out = String::from(
        "<section><h2>Losses by reason</h2><table><caption>Of the measured seconds</caption>\
         <thead><tr><th scope=\"col\">What</th><th scope=\"col\">Samples</th>\
         <th scope=\"col\">Because</th></tr></thead><tbody>",
    );
    let mut row = |name: &str, count: f64, why: &str| {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{count:.0}</td><td class=\"w\">{}</td></tr>",
            escape(name),
            escape(why)
        );
    };
    for (name, count, why) in report.losses() {
        row(name, count as f64, why);
    }
    for (ledger, reason, count) in &report.dropped {
        row(reason, *count, &format!("by the server's own {ledger} ledger"));
    }
    for (reason, count) in &report.total.answers {
        row("answered", *count as f64, reason);
    }
    if let Some(why) = &report.broken_why {
        let broken = report.total.of(Count::DevicesBroken) + report.total.of(Count::ViewersBroken);
        row("connections", broken as f64, &format!("the first: {why}"));
    }
    out.push_str("</tbody></table></section>");
    out
}

fn surge_section(surged: &Surged) -> String {
    let words = match surged.recovered_s {
        Some(seconds) => format!(
            "Everyone got as much one by one as before within {} s of its end, and until the end \
             of the run.",
            seconds + 1
        ),
        None => "Not everyone got as much one by one as before until the end of the run.".into(),
    };
    let mut out = format!(
        "<section><h2>The surge</h2><p>{words}</p><table><caption>By attention: high is what a \
         viewer points at, medium what is merely visible, low the same on a battery that is nearly \
         empty</caption><thead><tr><th scope=\"col\">When</th><th scope=\"col\">Attention</th>\
         <th scope=\"col\">One by one</th><th scope=\"col\">Summed up</th>\
         <th scope=\"col\">Lost</th><th scope=\"col\">Age, p50</th>\
         <th scope=\"col\">p99</th></tr></thead><tbody>"
    );
    for phase in &surged.phases {
        for look in Look::ALL {
            let looked = &phase.figures.looks[look as usize];
            let ms = |part| looked.age.quantile(part) as f64 / 1000.0;
            if looked.is_dark() {
                let _ = write!(
                    out,
                    "<tr><th scope=\"row\">{} ({} to {} s)</th><td>{}</td>\
                     <td colspan=\"5\">nothing came</td></tr>",
                    phase.name,
                    phase.seconds.start,
                    phase.seconds.end,
                    look.name(),
                );
                continue;
            }
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{} ({} to {} s)</th><td>{}</td><td>{:.1} %</td>\
                 <td>{}</td><td>{}</td><td>{:.1} ms</td><td>{:.1} ms</td></tr>",
                phase.name,
                phase.seconds.start,
                phase.seconds.end,
                look.name(),
                100.0 * looked.whole_part(),
                looked.summed_up,
                looked.lost,
                ms(0.5),
                ms(0.99)
            );
        }
    }
    out.push_str("</tbody></table></section>");
    out
}

fn limit_section(limit: &Limit) -> String {
    let mut steps: Vec<_> = limit.steps.iter().filter(|step| step.report.is_some()).collect();
    steps.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    let places: Vec<f64> = steps.iter().map(|step| step.factor).collect();
    let of = |value: &dyn Fn(&Report) -> f64| -> Vec<Option<f64>> {
        steps.iter().map(|step| step.report.as_deref().map(value)).collect()
    };
    let plot = Plot {
        id: "limit",
        title: "The search for the limit",
        unit: "ms",
        sentence: &limit.sentence(),
        across: "times the load",
        places: &places,
        lines: vec![
            Line {
                name: "p99 age",
                values: of(&|report| report.total.age.quantile(0.99) as f64 / 1000.0),
            },
            Line {
                name: "generator's p99 lateness",
                values: of(&|report| report.total.lateness.quantile(0.99) as f64 / 1000.0),
            },
        ],
        shaded: None,
        bound: Some((limit.bounds.age_us_max as f64 / 1000.0, "bound of the age")),
    };
    let mut out = plot.section();
    out.push_str(
        "<section><h2>Steps</h2><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Load</th>\
         <th scope=\"col\">in, /s</th><th scope=\"col\">out, /s</th><th scope=\"col\">arrived</th>\
         <th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">server</th>\
         <th scope=\"col\">generator p99</th><th scope=\"col\">verdict</th></tr></thead><tbody>",
    );
    for step in &limit.steps {
        let _ = write!(out, "<tr><th scope=\"row\">× {:.3}</th>", step.factor);
        match step.report.as_deref() {
            None => {
                let why = step.why.as_deref().unwrap_or_default();
                let _ = write!(out, "<td class=\"w\" colspan=\"7\">{}</td>", escape(why));
            }
            Some(report) => {
                let total = &report.total;
                let rate = |count: u64| number(count as f64 / report.seconds);
                let ms = |micros: u64| format!("{:.1} ms", micros as f64 / 1000.0);
                let cpu = report.cpu().map_or("–".into(), |cpu| format!("{:.0} %", 100.0 * cpu));
                let out_count = total.of(Count::Delivered) + total.of(Count::Latest);
                let _ = write!(
                    out,
                    "<td>{}</td><td>{}</td><td>{:.3} %</td><td>{}</td><td>{}</td><td>{cpu}</td><td>{}</td>",
                    rate(total.of(Count::Sent)),
                    rate(out_count),
                    100.0 * total.delivered_part(),
                    ms(total.age.quantile(0.5)),
                    ms(total.age.quantile(0.99)),
                    ms(total.lateness.quantile(0.99))
                );
            }
        }
        let _ = write!(out, "<td class=\"w\">{}</td></tr>", escape(step.verdict.name()));
    }
    out.push_str("</tbody></table></div></section>");
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load::figures::Figures;
    use crate::load::knee::{Bounds, Knee, Verdict};
    use crate::load::process::Usage;
    use crate::load::report::{Phase, Step};

    /// Every tag is closed by its own, and nothing is fetched from elsewhere.
    pub(in crate::load) fn assert_well_formed(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = page;
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            let end = rest.find('>').expect("a tag ends");
            let tag = &rest[..end];
            rest = &rest[end + 1..];
            if tag.starts_with('!') || tag.ends_with('/') {
                continue;
            }
            let name = tag.split_whitespace().next().expect("a tag has a name");
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "before {:.60}", rest),
                None => open.push(name),
            }
        }
        assert_eq!(open, [""; 0]);
        for outside in ["http:", "https:", "<script", "url(", "@import", "<link", "<img"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    fn report() -> Report {
        let mut figures = Figures::default();
        figures.add(Count::Offered, 10_000);
        figures.add(Count::Sent, 10_000);
        figures.add(Count::Delivered, 9_990);
        figures.add(Count::Missed, 10);
        (1..=100).for_each(|n| figures.age.add(n * 1000));
        figures.answer("<rate_limited>", 3);
        let rows: Vec<Row> = (0..5)
            .map(|second| Row {
                second,
                figures: figures.clone(),
                accepted: Some(9_999.0),
                cpu: (second > 0).then_some(0.25),
                resident_kib: Some(20_480),
                devices: 1000,
                viewers: 50,
            })
            .collect();
        let usage = |cpu_seconds| Usage { cpu_seconds, resident_kib: 20_480 };
        Report {
            configuration: vec![("load".into(), "1,000 devices & <50> viewers".into())],
            machine: vec![("cores".into(), "2".into())],
            began_unix_ms: 0,
            warmup_seconds: 1.0,
            seconds: 4.0,
            total: figures,
            rows,
            accepted: Some(39_996.0),
            dropped: vec![("store", "intake_full".into(), 4.0)],
            usage: Some((usage(1.0), usage(2.0), 4.0)),
            broken_why: None,
            dead: Vec::new(),
            limit: None,
            surged: None,
        }
    }

    #[test]
    fn the_page_is_well_formed_and_has_the_figures() {
        let page = page(&report());
        assert_well_formed(&page);
        for figure in [
            "1,000 devices &amp; &lt;50&gt; viewers",
            "99.900 %",
            "intake_full",
            "&lt;rate_limited&gt;",
            "25 %",
            "20 MiB",
            "99.3 ms",
        ] {
            assert!(page.contains(figure), "{figure}");
        }
        assert_eq!(page.matches("role=\"img\"").count(), page.matches("<desc").count());
    }

    #[test]
    fn a_surge_is_on_the_page() {
        let mut figures = report().total;
        let seen = &mut figures.looks[Look::Seen as usize];
        (seen.whole, seen.summed_up, seen.lost) = (600, 399, 1);
        seen.age.add(64_000);
        let mut report = report();
        report.rows.iter_mut().for_each(|row| row.figures = figures.clone());
        let phase = |name, seconds| Phase { name, seconds, figures: figures.clone() };
        let phases = [
            phase("before", 1..2),
            phase("onset", 2..2),
            phase("surge", 2..3),
            phase("after", 3..4),
        ];
        report.surged = Some(Surged { phases, recovered_s: Some(2) });
        let page = page(&report);
        assert_well_formed(&page);
        for text in
            ["within 3 s", "surge (2 to 3 s)", "<td>60.0 %</td>", "One by one, by attention"]
        {
            assert!(page.contains(text), "{text}");
        }
        let text = report.text();
        let line = "surge     medium 60.0 % one by one, 399 summed up, 1 lost, age p50 64";
        assert!(text.contains(line) && text.contains("within 3 s of the surge's end"), "{text}");
        let json = report.json();
        let medium = &json["surge"]["phases"][2]["by_attention"]["medium"];
        assert_eq!((&medium["one_by_one"], &medium["lost"]), (&600.into(), &1.into()));
    }

    #[test]
    fn a_search_is_on_the_page() {
        let step = |factor, verdict, report: Option<Report>| Step {
            factor,
            verdict,
            report: report.map(Box::new),
            why: Some("too few sockets".into()),
        };
        let limit = Limit {
            steps: vec![
                step(1.0, Verdict::Held, Some(report())),
                step(2.0, Verdict::Generator, Some(report())),
                step(4.0, Verdict::Failed, None),
            ],
            knee: Knee { held: Some(1.0), failed: Some((2.0, Verdict::Generator)) },
            bounds: Bounds {
                delivered_part_min: 0.999,
                age_us_max: 150_000,
                lateness_us_max: 20_000,
            },
        };
        let report = Report { limit: Some(limit), ..report() };
        let page = page(&report);
        assert_well_formed(&page);
        for text in ["× 2.000", "too few sockets", "the generator, not the server"] {
            assert!(page.contains(text), "{text}");
        }
        assert!(report.text().contains("knee      1.000 times the load held"));
        assert_eq!(report.json()["limit"]["steps"][0]["verdict"], "held");
    }

    #[test]
    fn a_report_is_text_and_json() {
        let text = report().text();
        for part in [
            "99.900 %",
            "p99 99.33 ms",
            "39996 by the server's own ledger, 4 store intake_full",
            "25.0 % of a core",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = report().json();
        assert_eq!(json["total"]["missed"], 10);
        assert_eq!(json["by_second"][1]["cpu"], 0.25);
        let silent = Report { accepted: None, ..report() };
        assert!(silent.text().contains("unknown"));
    }
}

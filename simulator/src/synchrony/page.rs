//! A report as a page: plots with their figures beside them.

use std::fmt::Write;

use super::report::{PairFigures, Report, Significance};
use crate::page::{self, escape};

/// Size of a plot in user units; the page scales it.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;

/// Points of a line: as many as can be told apart.
const POINT_COUNT_MAX: usize = 700;

/// Height of one person's strip, and its distance to the next.
const STRIP: f64 = 14.0;
/// Side of a cell of the matrix, and of the picture at least.
const CELL: f64 = 46.0;
const SIDE_MIN: f64 = 420.0;

impl Report {
    /// The whole page. Nothing in it comes from elsewhere, and nothing runs.
    pub fn page(&self) -> String {
        let mut out = page::begin(&format!("Synchrony: {}", self.name));
        let _ = write!(
            out,
            "<h1>{}</h1><p>{} people, {}, {:.1} s, condition: {}. Every figure is looked back on: \
             live ones were of the tier {}.</p>",
            escape(&self.name),
            self.people.len(),
            self.signal.replace('_', " "),
            self.duration_s,
            self.condition.replace('_', " "),
            self.tier
        );
        for caution in &self.cautions {
            let _ = write!(out, "<p><b>{}</b></p>", escape(caution));
        }
        self.cards(&mut out);
        let series = self.series();
        let of = |value: fn(&components::group::Order) -> f64| -> Vec<Option<f64>> {
            series.orders.iter().map(|order| order.as_ref().map(value)).collect()
        };
        self.plot(
            "r",
            "R",
            "Kuramoto's order parameter: 1 is lock. Strangers stay below the dashed line 95 % of \
             the time, and do not read 0.",
            (0.0, 1.0),
            [("R", of(|order| order.r)), ("strangers, 95 %", of(|order| order.null95))],
            &mut out,
        );
        self.plot(
            "kappa",
            "kappa",
            "The mean cosine between pairs: 0 for strangers on average, 1 for lock, below 0 for \
             those who avoid each other.",
            (-1.0, 1.0),
            [
                ("kappa", of(|order| order.kappa)),
                ("strangers on average", vec![Some(0.0); self.steps]),
            ],
            &mut out,
        );
        self.strips(&mut out);
        self.matrix(&mut out);
        self.people_table(&mut out);
        let _ = write!(out, "<section><h2>How it was made</h2><table><tbody>");
        for (name, value) in [
            ("made by", self.made_by().to_owned()),
            ("begin, unix ms on the members' common clock", self.begin_ms.to_string()),
            ("step", format!("{} s", self.step_s)),
            ("left out at either end", format!("{} s", self.edge_s)),
            ("rhythm", self.rhythm_hz.map_or("–".into(), |hz| format!("{hz:.4} Hz"))),
            ("null", self.null_words()),
        ] {
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"w\">{}</td></tr>",
                escape(name),
                escape(&value)
            );
        }
        out.push_str("</tbody></table></section>");
        out.push_str(page::END);
        out
    }

    fn null_words(&self) -> String {
        match &self.significance {
            Significance::Tested { method, surrogates, seed, liberal, .. } => format!(
                "{}, {surrogates} surrogates, seed {seed}{}",
                method.replace('_', " "),
                if *liberal { ", liberal" } else { "" }
            ),
            Significance::NotTested { method, reason } => {
                format!("{}: not tested, {reason}", method.replace('_', " "))
            }
        }
    }

    fn cards(&self, out: &mut String) {
        let figure = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
        let whole = &self.whole;
        let share = whole
            .above_null95_share
            .map_or("–".into(), |share| format!("{:.0} %", 100.0 * share));
        let p = match &self.significance {
            Significance::Tested { p_group, .. } => format!("{p_group:.4}"),
            Significance::NotTested { .. } => "–".into(),
        };
        out.push_str("<ul class=\"sum\">");
        for (name, value) in [
            ("measured, two or more at once", format!("{:.0} s", whole.measured_s)),
            ("mean R", figure(whole.mean_r)),
            ("mean kappa", figure(whole.mean_kappa)),
            ("of the time above strangers' 95 % (chance: 5 %)", share),
            ("cluster phase", figure(whole.cluster)),
            ("p of the greatest pair", p),
        ] {
            let _ = write!(out, "<li><b>{}</b>{}</li>", escape(&value), escape(name));
        }
        out.push_str("</ul>");
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.steps.max(1) as f64 * (WIDTH - LEFT - RIGHT)
    }

    /// Seconds below a plot of this height.
    fn time_axis(&self, height: f64, out: &mut String) {
        let mut step_s = 10.0;
        while self.duration_s / step_s > 8.0 {
            step_s *= if step_s == 10.0 || step_s == 100.0 { 3.0 } else { 2.0 };
        }
        let mut at = 0.0;
        while at <= self.duration_s {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at:.0}</text>",
                self.x(at / self.step_s),
                height - BOTTOM + 16.0
            );
            at += step_s;
        }
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">seconds</text>",
            WIDTH - RIGHT,
            height - 2.0
        );
    }

    fn plot(
        &self,
        id: &str,
        title: &str,
        sentence: &str,
        (low, high): (f64, f64),
        lines: [(&str, Vec<Option<f64>>); 2],
        out: &mut String,
    ) {
        let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let _ = write!(
            out,
            "<section aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{title}</h2><p>{sentence}</p>\
             <figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-h\">"
        );
        for mark in 0..=4 {
            let value = low + (high - low) * f64::from(mark) / 4.0;
            let at = y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
        }
        self.time_axis(HEIGHT, out);
        let each = self.steps.div_ceil(POINT_COUNT_MAX).max(1);
        for (n, (_, values)) in lines.iter().enumerate() {
            let mut path = String::new();
            let mut pen_down = false;
            for (k, values) in values.chunks(each).enumerate() {
                let there: Vec<f64> = values.iter().copied().flatten().collect();
                if there.is_empty() {
                    pen_down = false;
                    continue;
                }
                let mean = there.iter().sum::<f64>() / there.len() as f64;
                let step = (k * each) as f64 + 0.5 * values.len() as f64;
                let word = if pen_down { 'L' } else { 'M' };
                let _ = write!(path, "{word}{:.1} {:.1}", self.x(step), y(mean));
                pen_down = true;
            }
            let _ = write!(out, "<path class=\"l l{n}\" d=\"{path}\"/>");
        }
        out.push_str("</svg><ul class=\"legend\">");
        for (n, (name, _)) in lines.iter().enumerate() {
            let _ = write!(
                out,
                "<li><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"l l{n}\" \
                 d=\"M1 4H27\"/></svg>{}</li>",
                escape(name)
            );
        }
        out.push_str("</ul></figure></section>");
    }

    /// Who was measurable when.
    fn strips(&self, out: &mut String) {
        let height = TOP + STRIP * self.people.len() as f64 + BOTTOM;
        let _ = write!(
            out,
            "<section aria-labelledby=\"who-h\"><h2 id=\"who-h\">Who was measurable</h2><p>Where \
             there is no line, the person is part of no number. The table of people says why.</p>\
             <figure><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"who-h\">"
        );
        for (n, (person, run)) in self.people.iter().zip(&self.series().phasors).enumerate() {
            let at = TOP + STRIP * (n as f64 + 0.5);
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <path class=\"l l0\" d=\"",
                LEFT - 6.0,
                at + 4.0,
                n + 1
            );
            let mut from = None;
            for step in 0..=run.len() {
                let there = run.get(step).is_some_and(|phasor| phasor.norm() > 0.0);
                match (there, from) {
                    (true, None) => from = Some(step),
                    (false, Some(begin)) => {
                        let (a, b) = (self.x(begin as f64), self.x(step as f64));
                        let _ = write!(out, "M{a:.1} {at:.1}H{b:.1}");
                        from = None;
                    }
                    _ => {}
                }
            }
            let _ = write!(out, "\"><title>{}</title></path>", escape(&person.name));
        }
        self.time_axis(height, out);
        out.push_str("</svg></figure></section>");
    }

    fn matrix(&self, out: &mut String) {
        if self.pairs.is_empty() {
            return;
        }
        // Of few people it is not blown up.
        let side = (LEFT + CELL * self.people.len() as f64).max(SIDE_MIN);
        let _ = write!(
            out,
            "<section aria-labelledby=\"pairs-h\"><h2 id=\"pairs-h\">Pairs</h2><p>The phase-locking \
             value: how steadily two keep their distance, whatever it is. The numbers at the edges \
             are the people's. An asterisk: p below 0.05, corrected for all pairs.</p>\
             <div class=\"pair\"><figure><svg viewBox=\"0 0 {side} {side}\" role=\"img\" \
             aria-labelledby=\"pairs-h\">"
        );
        for n in 0..self.people.len() {
            let middle = LEFT + CELL * (n as f64 + 0.5);
            let _ = write!(
                out,
                "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                n + 1,
                LEFT - 8.0,
                middle + 4.0,
                n + 1
            );
        }
        for pair in &self.pairs {
            for (row, column) in [(pair.a, pair.b), (pair.b, pair.a)] {
                let (x, y) = (LEFT + CELL * column as f64, LEFT + CELL * row as f64);
                let _ = write!(
                    out,
                    "<rect class=\"plv\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                     fill-opacity=\"{:.3}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">\
                     {}</text>",
                    CELL - 2.0,
                    CELL - 2.0,
                    0.45 * pair.plv.unwrap_or(0.0),
                    x + 0.5 * CELL,
                    y + 0.5 * CELL + 4.0,
                    pair.plv.map_or("–".into(), |plv| format!("{plv:.2}{}", star(pair)))
                );
            }
        }
        out.push_str(
            "</svg></figure><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
             aria-label=\"All pairs\"><table><thead><tr>",
        );
        for head in ["pair", "PLV", "lag, s", "by correlation", "in common, s", "p", "corrected"] {
            let _ = write!(out, "<th scope=\"col\">{head}</th>");
        }
        out.push_str("</tr></thead><tbody>");
        for pair in &self.pairs {
            let figure =
                |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{} and {}</th><td>{}</td><td>{}</td><td>{}</td><td>{:.0}</td>\
                 <td>{}</td><td>{}</td></tr>",
                pair.a + 1,
                pair.b + 1,
                figure(pair.plv),
                figure(pair.lag_s),
                figure(pair.correlation_lag_s),
                pair.common_s,
                figure(pair.p),
                figure(pair.p_corrected)
            );
        }
        out.push_str(
            "</tbody></table><p>A positive lag: the second is behind.</p></div></div></section>",
        );
    }

    fn people_table(&self, out: &mut String) {
        out.push_str("<section><h2>People</h2><table><thead><tr>");
        for head in ["", "name", "measurable", "rhythm, a minute", "cluster phase", "why not"] {
            let _ = write!(out, "<th scope=\"col\">{head}</th>");
        }
        out.push_str("</tr></thead><tbody>");
        for (n, person) in self.people.iter().enumerate() {
            let why: Vec<String> = person
                .why_not
                .iter()
                .map(|why| format!("{} ({:.0} %)", why.sentence, 100.0 * why.share))
                .collect();
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"w\">{}</td><td>{:.0} %</td><td>{}</td>\
                 <td>{}</td><td class=\"w\">{}</td></tr>",
                n + 1,
                escape(&person.name),
                100.0 * person.measurable_share,
                person.centre_hz.map_or("–".into(), |hz| format!("{:.1}", 60.0 * hz)),
                person.cluster.map_or("–".into(), |rho| format!("{rho:.3}")),
                escape(&why.join("; "))
            );
        }
        out.push_str("</tbody></table></section>");
    }
}

fn star(pair: &PairFigures) -> &'static str {
    if pair.p_corrected.is_some_and(|p| p < 0.05) { "*" } else { "" }
}

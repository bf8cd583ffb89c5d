//! Plots of figures over time, as SVG: no script, no font, no colour but those of the page.

use std::fmt::Write;

use crate::page::escape;

/// Size in user units; the page scales it.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// Lines in one plot: as many as there are colours and dashes.
pub(super) const LINE_COUNT_MAX: usize = 6;

/// One line of a plot.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub name: &'static str,
    /// One for each place on the axis; a gap where there is none.
    pub values: Vec<Option<f64>>,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) struct Plot<'a> {
    /// For `id`s: letters alone.
    pub id: &'a str,
    pub title: &'a str,
    /// Of the values.
    pub unit: &'a str,
    /// What the plot shows, in words.
    pub sentence: &'a str,
    /// Under the axis.
    pub across: &'a str,
    /// Place of each value.
    pub places: &'a [f64],
    pub lines: Vec<Line>,
    /// From and to where it is warm-up.
    pub shaded: Option<(f64, f64)>,
    /// A bound to keep to.
    pub bound: Option<(f64, &'a str)>,
}

/// A number as people read it.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000_000.0 {
        format!("{:.0} M", value / 1e6)
    } else if size >= 1_000_000.0 {
        format!("{:.1} M", value / 1e6)
    } else if size >= 10_000.0 {
        format!("{:.0} k", value / 1e3)
    } else if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Marks of an axis from 0 to at least `most`: a round step, and how many.
fn marks(most: f64) -> (f64, usize) {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let rough = most / 4.0;
    let mut scale = 1.0;
    while scale * 10.0 <= rough {
        scale *= 10.0;
    }
    while scale > rough && scale > f64::MIN_POSITIVE {
        scale /= 10.0;
    }
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * scale).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (step, (most / step).ceil() as usize)
}

impl Plot<'_> {
    /// The picture alone.
    pub(super) fn svg(&self) -> String {
        let values = self.lines.iter().flat_map(|line| line.values.iter().copied().flatten());
        let bound = self.bound.map(|(bound, _)| bound);
        let most = values.chain(bound).fold(0.0, f64::max);
        let (step, count) = marks(most);
        let top_value = step * count as f64;
        let (first, last) = match (self.places.first(), self.places.last()) {
            (Some(first), Some(last)) if last > first => (*first, *last),
            (Some(first), _) => (*first, first + 1.0),
            _ => (0.0, 1.0),
        };
        let x = |place: f64| LEFT + (place - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top_value * (HEIGHT - TOP - BOTTOM);
        let id = self.id;
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            escape(self.title),
            escape(self.sentence)
        );
        if let Some((from, to)) = self.shaded {
            let (from, to) = (x(from.clamp(first, last)), x(to.clamp(first, last)));
            let _ = write!(
                out,
                "<rect class=\"warm\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                to - from,
                HEIGHT - TOP - BOTTOM
            );
        }
        for mark in 0..=count {
            let value = step * mark as f64;
            let at = y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                number(value)
            );
        }
        let (across, _) = marks((last - first) * 4.0 / 7.0);
        let mut place = (first / across).ceil() * across;
        while place <= last + across * 1e-6 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(place),
                HEIGHT - BOTTOM + 16.0,
                number(place)
            );
            place += across;
        }
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 3.0,
            escape(self.across)
        );
        if let Some((bound, name)) = self.bound {
            let at = y(bound);
            let _ = write!(
                out,
                "<line class=\"bound\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                WIDTH - RIGHT,
                at - 4.0,
                escape(name)
            );
        }
        for (n, line) in self.lines.iter().enumerate().take(LINE_COUNT_MAX) {
            self.draw(n, line, &x, &y, &mut out);
        }
        out.push_str("</svg>");
        out
    }

    fn draw(
        &self,
        n: usize,
        line: &Line,
        x: &dyn Fn(f64) -> f64,
        y: &dyn Fn(f64) -> f64,
        out: &mut String,
    ) {
        let mut path = String::new();
        let mut pen_down = false;
        for (place, value) in self.places.iter().zip(&line.values) {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    let word = if pen_down { 'L' } else { 'M' };
                    let _ = write!(path, "{word}{:.1} {:.1}", x(*place), y(value));
                    if !pen_down {
                        // A value alone between gaps is a dot.
                        path.push_str("h0.1");
                    }
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"l l{n}\" d=\"{path}\"/>");
        }
    }

    /// Which line is which.
    fn legend(&self) -> String {
        let mut out = String::from("<ul class=\"legend\">");
        for (n, line) in self.lines.iter().enumerate().take(LINE_COUNT_MAX) {
            let _ = write!(
                out,
                "<li><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"l l{n}\" d=\"M1 4H27\"/></svg>{}</li>",
                escape(line.name)
            );
        }
        out.push_str("</ul>");
        out
    }

    /// The same as figures: the least, the middle, the most and the last of each line; and every
    /// one of them, folded away.
    fn tables(&self) -> String {
        let mut out = format!(
            "<table><caption>{} ({})</caption><thead><tr><th scope=\"col\">Line</th>\
             <th scope=\"col\">least</th><th scope=\"col\">median</th><th scope=\"col\">most</th>\
             </tr></thead><tbody>",
            escape(self.title),
            escape(self.unit)
        );
        for line in &self.lines {
            let measured = self.places.iter().zip(&line.values).filter_map(|(place, value)| {
                let warm = self.shaded.is_some_and(|(from, to)| (from..to).contains(place));
                value.filter(|value| !warm && value.is_finite())
            });
            let mut values: Vec<f64> = measured.collect();
            values.sort_by(f64::total_cmp);
            let cell = |value: Option<&f64>| value.map_or("–".into(), |value| number(*value));
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(line.name),
                cell(values.first()),
                cell(values.get(values.len() / 2)),
                cell(values.last())
            );
        }
        out.push_str("</tbody></table>");
        let _ = write!(
            out,
            "<details><summary>Every value</summary><div class=\"scroll\"><table>\
             <thead><tr><th scope=\"col\">{}</th>",
            escape(self.across)
        );
        for line in &self.lines {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escape(line.name));
        }
        out.push_str("</tr></thead><tbody>");
        for (n, place) in self.places.iter().enumerate() {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", number(*place));
            for line in &self.lines {
                let value = line.values.get(n).copied().flatten().filter(|value| value.is_finite());
                let _ = write!(out, "<td>{}</td>", value.map_or("–".into(), number));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div></details>");
        out
    }

    /// The plot with its legend, and its figures beside it.
    pub(super) fn section(&self) -> String {
        format!(
            "<section aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{} <small>{}</small></h2>\
             <p>{}</p><div class=\"pair\"><figure>{}{}</figure><div>{}</div></div></section>",
            escape(self.title),
            escape(self.unit),
            escape(self.sentence),
            self.svg(),
            self.legend(),
            self.tables(),
            id = self.id
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(values: Vec<Option<f64>>) -> String {
        let places: Vec<f64> = (0..values.len()).map(|n| n as f64).collect();
        Plot {
            id: "p",
            title: "Delivered & offered",
            unit: "1/s",
            sentence: "x",
            across: "seconds",
            places: &places,
            lines: vec![Line { name: "offered", values }],
            shaded: Some((0.0, 1.0)),
            bound: None,
        }
        .section()
    }

    #[test]
    fn marks_are_round_and_reach_the_top() {
        assert_eq!(marks(10_000.0), (5000.0, 2));
        assert_eq!(marks(7.0), (2.0, 4));
        assert_eq!(marks(0.0), (0.5, 2));
        assert_eq!(marks(f64::NAN), (0.5, 2));
        let (step, count) = marks(1234.0);
        assert!(step * count as f64 >= 1234.0 && count <= 5);
    }

    #[test]
    fn a_line_has_gaps_where_there_is_nothing() {
        let section = plot(vec![Some(1.0), Some(2.0), None, Some(4.0)]);
        assert_eq!(section.matches('M').count() - 1, 2, "twice the pen is put down, and a legend");
        assert!(section.contains("Delivered &amp; offered"));
        assert!(section.contains("<td>2</td><td>4</td><td>4</td>"), "warm-up is left out");
    }

    #[test]
    fn nothing_at_all_is_drawn_without_harm() {
        for values in [vec![], vec![None], vec![Some(f64::NAN)], vec![Some(0.0)]] {
            assert!(!plot(values).contains("NaN"));
        }
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.123, 5.25, 123.4, 9999.0, 12_345.0, 1_234_567.0, 98_765_432.0];
        assert_eq!(all.map(number), ["0", "0.12", "5.2", "123", "9999", "12 k", "1.2 M", "99 M"]);
    }
}

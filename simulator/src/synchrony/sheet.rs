//! The rows of a CSV file as they would arrive, or the line at which it is none.

use std::path::Path;

/// Numbers of a file that are held in memory: a day of ten people at 25 Hz is 22 million.
const NUMBER_COUNT_MAX: usize = 1 << 26;

/// Bytes of a file.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Hz. Devices tell time in milliseconds.
pub(super) const RATE_HZ_MAX: f64 = 1_000.0;

/// Names that the column of time may have.
const TIME_NAMES: [&str; 4] = ["t", "time", "seconds", "timestamp"];

/// How far the usual step of time may be from what the rate says, as a ratio.
const STEP_RATIO_MAX: f64 = 1.25;

/// Seconds from the first to the last: a month.
const SPAN_S_MAX: f64 = 31.0 * 86_400.0;
/// Seconds that are no time.
const TIME_S_MAX: f64 = 1e11;

/// See the module.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) people: Vec<String>,
    /// Seconds, in the order in which rows arrive, and when they do (from 0 on).
    times: Vec<f64>,
    arrivals: Vec<f64>,
    /// Row by row; NaN where there is nothing, an infinity where it says so.
    values: Vec<f64>,
    /// What to say about the file.
    pub(super) notes: Vec<String>,
}

/// What arrives at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row<'a> {
    pub(super) arrival_us: i64,
    pub(super) device_ms: i64,
    /// One for each person.
    pub(super) values: &'a [f64],
}

impl Sheet {
    pub(super) fn read(path: &Path, rate_hz: f64) -> Result<Self, String> {
        let file = path.display();
        let told = |error: std::io::Error| format!("{file}: {error}");
        let bytes = std::fs::metadata(path).map_err(told)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(format!("{file}: more than {} MiB", FILE_BYTES_MAX >> 20));
        }
        let text = std::fs::read_to_string(path).map_err(told)?;
        Self::parse(&file.to_string(), &text, rate_hz)
    }

    fn parse(file: &str, text: &str, rate_hz: f64) -> Result<Self, String> {
        check_rate(rate_hz)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let Some((_, header)) = lines.next() else { return Err(format!("{file}: it is empty")) };
        let mut names = header.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        let time = names.next().unwrap_or_default();
        let people: Vec<String> = names.collect();
        if !TIME_NAMES.contains(&time.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "{file}:1: the first column is {time:?}; it must be t, the time in seconds"
            ));
        }
        if people.is_empty() {
            return Err(format!("{file}:1: there is no column besides {time:?}"));
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (index, line) in lines {
            let line_number = index + 1;
            let mut fields = line.split(',').map(str::trim);
            let field = fields.next().unwrap_or_default();
            let t = field.parse::<f64>().ok().filter(|t| t.abs() <= TIME_S_MAX);
            times.push(t.ok_or_else(|| {
                format!("{file}:{line_number}: {time} is {field:?}, not a time in seconds")
            })?);
            let before = values.len();
            for (name, field) in people.iter().zip(fields.by_ref()) {
                values.push(match field {
                    "" => f64::NAN,
                    text => text.parse::<f64>().map_err(|_| {
                        format!("{file}:{line_number}: {name} is {text:?}, not a number")
                    })?,
                });
            }
            let found = values.len() - before + fields.count();
            if found != people.len() {
                return Err(format!(
                    "{file}:{line_number}: {} fields, and the header has {}",
                    found + 1,
                    people.len() + 1
                ));
            }
            if values.len() > NUMBER_COUNT_MAX {
                return Err(format!("{file}: more than {NUMBER_COUNT_MAX} numbers"));
            }
        }
        if times.len() < 2 {
            return Err(format!("{file}: not enough data: {} rows", times.len()));
        }
        let mut sheet = Self { people, times, arrivals: Vec::new(), values, notes: Vec::new() };
        sheet.put_in_order(file, rate_hz)?;
        Ok(sheet)
    }

    /// Finds out when each row arrives. A file whose times go on is one that was written as it
    /// came. One that was merely shuffled is put in order again. In any other case its rows came
    /// one after the other, whatever their times say.
    fn put_in_order(&mut self, file: &str, rate_hz: f64) -> Result<(), String> {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by(|a, b| self.times[*a].total_cmp(&self.times[*b]));
        let sorted: Vec<f64> = order.iter().map(|row| self.times[*row]).collect();
        let mut steps: Vec<f64> =
            sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0).collect();
        steps.sort_unstable_by(f64::total_cmp);
        let Some(&usual) = steps.get(steps.len().saturating_sub(1) / 2) else {
            return Err(format!("{file}: not measurable: the time stands still"));
        };
        let ratio = usual * rate_hz;
        if !(1.0 / STEP_RATIO_MAX..=STEP_RATIO_MAX).contains(&ratio) {
            return Err(format!(
                "{file}: not measurable: the time goes on by {usual} s from row to row, and at \
                 --rate {rate_hz} it should be {} s; is it in seconds?",
                1.0 / rate_hz
            ));
        }
        let span = sorted[sorted.len() - 1] - sorted[0];
        if span > SPAN_S_MAX {
            return Err(format!("{file}: it spans {:.0} days, more than a month", span / 86_400.0));
        }
        let width = self.people.len();
        let values = |row: usize| &self.values[row * width..(row + 1) * width];
        let same = |a: usize, b: usize| {
            self.times[a] == self.times[b]
                && values(a).iter().zip(values(b)).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let in_order = self.times.is_sorted();
        let mut once = order.clone();
        once.dedup_by(|a, b| same(*a, *b));
        // Every time once, and most of those there should be.
        let whole = once.len() == steps.len() + 1
            && span <= STEP_RATIO_MAX * usual * (once.len() as f64 - 1.0);
        if in_order || whole {
            if !in_order {
                self.notes.push("the rows are out of order: they are read by their time".into());
                self.times = once.iter().map(|row| self.times[*row]).collect();
                self.values = once.iter().flat_map(|row| values(*row)).copied().collect();
            }
            self.arrivals = self.times.iter().map(|t| t - self.times[0]).collect();
        } else {
            self.notes.push("the time goes back: rows are taken as they come".into());
            self.arrivals = (0..self.times.len()).map(|row| row as f64 / rate_hz).collect();
        }
        Ok(())
    }

    /// In the order in which they arrive.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let values = self.values.chunks_exact(self.people.len());
        self.times.iter().zip(&self.arrivals).zip(values).map(|((t, arrival), values)| Row {
            arrival_us: (arrival * 1e6).round() as i64,
            device_ms: (t * 1e3).round() as i64,
            values,
        })
    }
}

/// `--rate`.
pub(super) fn check_rate(rate_hz: f64) -> Result<(), String> {
    if rate_hz > 0.0 && rate_hz <= RATE_HZ_MAX {
        Ok(())
    } else {
        Err(format!("--rate {rate_hz}: from above 0 to {RATE_HZ_MAX} Hz"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, rate_hz: f64) -> Result<Vec<(i64, i64, Vec<f64>)>, String> {
        let sheet = Sheet::parse("f", text, rate_hz)?;
        Ok(sheet.rows().map(|row| (row.arrival_us, row.device_ms, row.values.to_vec())).collect())
    }

    #[test]
    fn rows_arrive_at_their_time() {
        let found = rows("t,s0,s1\n5.0,1,2\n5.1,3,4\n5.3,5,6\n", 10.0).unwrap();
        let wanted = [
            (0, 5000, vec![1.0, 2.0]),
            (100_000, 5100, vec![3.0, 4.0]),
            (300_000, 5300, vec![5.0, 6.0]),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn shuffled_rows_are_put_in_order_and_a_clock_that_goes_back_is_left_to_be_judged() {
        let straight = rows("t,a\n0,1\n0.1,2\n0.2,3\n0.3,4\n", 10.0);
        assert_eq!(rows("t,a\n0.2,3\n0,1\n0.3,4\n0.1,2\n", 10.0), straight);
        assert_eq!(rows("t,a\n0.2,3\n0,1\n0.2,3\n0.3,4\n0.1,2\n0,1\n", 10.0), straight, "repeated");
        let back = rows("t,a\n0,1\n0.1,2\n9.0,3\n0.2,4\n0.3,5\n", 10.0).unwrap();
        let arrivals: Vec<i64> = back.iter().map(|row| row.0).collect();
        assert_eq!(arrivals, [0, 100_000, 200_000, 300_000, 400_000]);
        assert_eq!(back[2].1, 9000);
    }

    #[test]
    fn what_is_missing_or_infinite_is_kept_as_such() {
        let found = rows("t,a,b\n0,,NaN\n0.1,inf,1e3\n", 10.0).unwrap();
        assert!(found[0].2.iter().all(|value| value.is_nan()));
        assert_eq!(found[1].2, [f64::INFINITY, 1000.0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("", "f: it is empty"),
            ("a,b\n1,2\n", "f:1: the first column is \"a\""),
            ("t\n1\n2\n", "f:1: there is no column besides \"t\""),
            ("t,a\n0,1\n0.1,x\n", "f:3: a is \"x\", not a number"),
            ("t,a\n0,1\nsoon,1\n", "f:3: t is \"soon\", not a time in seconds"),
            ("t,a\n0,1\ninf,1\n", "f:3: t is \"inf\""),
            ("t,a\n0,1\n0.1\n", "f:3: 1 fields, and the header has 2"),
            ("t,a\n0,1\n0.1,2,3\n", "f:3: 3 fields, and the header has 2"),
            ("t,a\n0,1\n", "f: not enough data: 1 rows"),
            ("t,a\n0,1\n100,2\n200,3\n", "f: not measurable: the time goes on by 100 s"),
            ("t,a\n7,1\n7,2\n7,3\n", "f: not measurable: the time stands still"),
            ("t,a\n0,1\n0.1,1\n0.2,1\n1e10,3\n", "f: it spans"),
        ] {
            let error = rows(text, 10.0).unwrap_err();
            assert!(error.starts_with(said), "{text:?} gave {error:?}");
        }
        for rate in [0.0, -1.0, f64::NAN, 1001.0] {
            assert!(rows("t,a\n0,1\n1,2\n", rate).unwrap_err().starts_with("--rate"), "{rate}");
        }
    }
}

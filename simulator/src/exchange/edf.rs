//! EDF+ (Kemp and Olivan, "European data format 'plus'", Clin. Neurophysiol. 114, 2003): numbers
//! at a fixed rate as 16-bit steps, and everything that is said in words as annotations.
//!
//! The file is made in two passes over the rows: the first finds rates, ranges and times, the
//! second fills the records. A record is one second of each signal. What EDF cannot hold is
//! resampled, cut or left out, and [`Report`] says so line by line.

use std::io::Write;

use components::sample::Timestamp;

use super::leaf::Value;
use super::rows::Row;
use crate::calendar::Date;

/// Samples in memory at once, two bytes each.
const SAMPLE_COUNT_MAX: usize = 1 << 29;

/// The header has four places for the number of signals, one of which is the annotations'.
const SIGNAL_COUNT_MAX: usize = 9998;

/// Samples a second above which a signal is left out: EDF readers allocate by it.
const RATE_HZ_MAX: f64 = 10_000.0;

/// Words that are kept; those beyond are counted.
const ANNOTATION_COUNT_MAX: usize = 100_000;

/// Bytes of one annotation's words.
const ANNOTATION_BYTES_MAX: usize = 80;

/// Bytes of annotations in each record, at least.
const ANNOTATION_RECORD_BYTES_MIN: usize = 2 * 60;

const DIGITAL_MAX: i16 = i16::MAX;
/// The lowest 16-bit number is ours, for a place that nothing was measured for.
const DIGITAL_MIN: i16 = -DIGITAL_MAX;
const ABSENT: i16 = i16::MIN;

/// A gap is worth an annotation from this many milliseconds on.
const GAP_MS_MIN: i64 = 1000;

/// What became of the rows.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Report {
    pub signal_count: usize,
    pub record_count: usize,
    pub annotation_count: usize,
    /// The largest step of any signal, relative to its range: half of it is what 16 bits cost.
    pub notes: Vec<String>,
}

/// One signal, as the first pass found it.
#[derive(Debug)]
struct Signal {
    stream: usize,
    name: String,
    field: String,
    kind: &'static str,
    rate_hz: Option<f64>,
    min: f64,
    max: f64,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// The first pass.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    signals: Vec<Signal>,
    /// By stream: where its signals are.
    by_stream: Vec<Vec<usize>>,
    annotations: Vec<(Timestamp, String)>,
    annotations_lost: u64,
    out_of_time: u64,
    span: Option<(Timestamp, Timestamp)>,
    /// Rows outside of these times are a clock that is off, not a measurement.
    window: (Timestamp, Timestamp),
}

impl Survey {
    /// `window` is when the recording was made: rows outside of it are left out.
    pub(crate) fn new(window: (Timestamp, Timestamp)) -> Self {
        Self { window, ..Self::default() }
    }

    fn holds(&self, at: Timestamp) -> bool {
        (self.window.0..=self.window.1).contains(&at)
    }

    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        if !self.holds(row.at) {
            self.out_of_time += 1;
            return Ok(());
        }
        let span = self.span.get_or_insert((row.at, row.at));
        *span = (span.0.min(row.at), span.1.max(row.at));
        let value = match row.value {
            Value::Number(value) if value.is_finite() => value,
            Value::Text(text) => {
                self.annotate(row, text);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let index = match self.find(row) {
            Some(index) => index,
            None => self.begin(row)?,
        };
        let signal = &mut self.signals[index];
        signal.min = signal.min.min(value);
        signal.max = signal.max.max(value);
        signal.count += 1;
        signal.first = signal.first.min(row.at);
        signal.last = signal.last.max(row.at);
        Ok(())
    }

    fn find(&self, row: &Row<'_>) -> Option<usize> {
        let mut of_stream = self.by_stream.get(row.stream)?.iter().copied();
        of_stream.find(|&index| self.signals[index].field == row.field)
    }

    fn begin(&mut self, row: &Row<'_>) -> Result<usize, String> {
        if self.signals.len() >= SIGNAL_COUNT_MAX {
            return Err(format!(
                "EDF+ holds at most {SIGNAL_COUNT_MAX} signals; choose some with --sensor"
            ));
        }
        if self.by_stream.len() <= row.stream {
            self.by_stream.resize_with(row.stream + 1, Vec::new);
        }
        let index = self.signals.len();
        self.by_stream[row.stream].push(index);
        let field = if row.field.is_empty() { String::new() } else { format!(" {}", row.field) };
        self.signals.push(Signal {
            stream: row.stream,
            name: format!("{} {}{field}", row.sensor_id, row.attribute_id),
            field: row.field.to_owned(),
            kind: row.kind.name(),
            rate_hz: row.rate_hz,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            count: 0,
            first: row.at,
            last: row.at,
        });
        Ok(index)
    }

    fn annotate(&mut self, row: &Row<'_>, text: &str) {
        // What every sample repeats is a property, not an event.
        if !row.is_event {
            return;
        }
        if self.annotations.len() >= ANNOTATION_COUNT_MAX {
            self.annotations_lost += 1;
            return;
        }
        let field = if row.field.is_empty() { String::new() } else { format!(" {}", row.field) };
        let words = format!("{} {}{field}: {text}", row.sensor_id, row.attribute_id);
        self.annotations.push((row.at, words));
    }
}

/// How one signal is written.
struct Plan {
    /// Index into the survey's signals.
    signal: usize,
    /// Samples in a record of one second.
    per_record: usize,
    physical: (Figure, Figure),
    /// Where its samples are in the whole.
    digits: Vec<i16>,
}

/// The second pass.
pub(crate) struct Edf {
    survey: Survey,
    plans: Vec<Plan>,
    /// From a survey's signal to its plan.
    plan_of: Vec<Option<usize>>,
    start: Timestamp,
    record_count: usize,
    report: Report,
}

impl Edf {
    /// Decides what each signal becomes.
    pub(crate) fn new(survey: Survey) -> Result<Self, String> {
        let Some((first, last)) = survey.span else {
            return Err("there is nothing to export in this time".into());
        };
        let start = Timestamp(first.0.div_euclid(1000) * 1000);
        let record_count = ((last.0 - start.0) / 1000 + 1) as usize;
        let mut report = Report { record_count, ..Report::default() };
        let mut note = |text: String| report.notes.push(text);
        if survey.out_of_time > 0 {
            note(format!(
                "{} values left out: their device's clock was more than a minute off",
                survey.out_of_time
            ));
        }
        let (mut plans, mut total) = (Vec::new(), 0_usize);
        let mut plan_of = vec![None; survey.signals.len()];
        let mut resampled = std::collections::BTreeMap::<String, usize>::new();
        for (index, signal) in survey.signals.iter().enumerate() {
            let measured = (signal.last.0 - signal.first.0) as f64 / 1000.0;
            let rate = signal.rate_hz.filter(|rate| *rate > 0.0).unwrap_or_else(|| {
                if measured > 0.0 { (signal.count - 1) as f64 / measured } else { 1.0 }
            });
            if rate > RATE_HZ_MAX {
                note(format!("{}: left out, {rate:.0} samples a second", signal.name));
                continue;
            }
            let physical = match range(signal.min, signal.max) {
                Some(physical) => physical,
                None => {
                    note(format!("{}: left out, EDF has no room for its numbers", signal.name));
                    continue;
                }
            };
            let per_record = (rate - 1e-9).ceil().max(1.0) as usize;
            if (rate - per_record as f64).abs() > 1e-6 {
                let whose = if signal.rate_hz.is_some() { "" } else { " (found, not declared)" };
                let how = format!("{rate:.3} Hz{whose}, written at {per_record} Hz");
                *resampled.entry(how).or_insert(0) += 1;
            }
            total = total.saturating_add(per_record.saturating_mul(record_count));
            if total > SAMPLE_COUNT_MAX {
                return Err(format!(
                    "EDF+ would take more than {SAMPLE_COUNT_MAX} samples; choose a part with --from, --to or --sensor"
                ));
            }
            plan_of[index] = Some(plans.len());
            let digits = vec![ABSENT; per_record * record_count];
            plans.push(Plan { signal: index, per_record, physical, digits });
        }
        for (how, count) in resampled {
            note(format!("{count} signals of {how}: each value is held until the next"));
        }
        if plans.is_empty() && survey.annotations.is_empty() {
            return Err("there are no numbers and no words to export in this time".into());
        }
        report.signal_count = plans.len();
        Ok(Self { survey, plans, plan_of, start, record_count, report })
    }

    /// The same rows again, in the same order.
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        let Value::Number(value) = row.value else { return };
        if !value.is_finite() || !self.survey.holds(row.at) {
            return;
        }
        let Some(plan) = self.survey.find(row).and_then(|index| self.plan_of[index]) else {
            return;
        };
        let plan = &mut self.plans[plan];
        let offset_ms = row.at.0 - self.start.0;
        // A sample belongs to the place that is nearest in time.
        let place = (offset_ms as f64 * plan.per_record as f64 / 1000.0).round() as usize;
        if let Some(digit) = plan.digits.get_mut(place) {
            *digit = plan.physical.digital(value);
        }
    }

    /// Writes the file.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> Result<Report, String> {
        self.fill_gaps();
        let mut annotations = std::mem::take(&mut self.survey.annotations);
        annotations.sort();
        if self.survey.annotations_lost > 0 {
            self.report.notes.push(format!(
                "{} annotations left out: more than {ANNOTATION_COUNT_MAX}",
                self.survey.annotations_lost
            ));
        }
        let lists: Vec<Vec<u8>> = annotations
            .iter()
            .map(|(at, words)| {
                let onset = (at.0 - self.start.0) as f64 / 1000.0;
                annotation(onset, words)
            })
            .collect();
        self.report.annotation_count = lists.len();
        let (records, width) = spread(&lists, self.record_count);
        let told = |error: std::io::Error| error.to_string();
        out.write_all(&self.header(width)).map_err(told)?;
        let mut record = Vec::new();
        for (n, annotations) in records.iter().enumerate() {
            record.clear();
            for plan in &self.plans {
                let digits = &plan.digits[n * plan.per_record..(n + 1) * plan.per_record];
                record.extend(digits.iter().flat_map(|digit| digit.to_le_bytes()));
            }
            let begin = record.len();
            record.extend_from_slice(annotations);
            record.resize(begin + width, 0);
            out.write_all(&record).map_err(told)?;
        }
        Ok(self.report)
    }

    /// Places without a sample repeat the one before; long runs of them are told.
    fn fill_gaps(&mut self) {
        for plan in &mut self.plans {
            let signal = &self.survey.signals[plan.signal];
            let slots_between = (plan.per_record as f64
                / signal.rate_hz.filter(|rate| *rate > 0.0).unwrap_or(1.0))
            .ceil()
            .max(1.0) as usize;
            let gap_min = (GAP_MS_MIN as usize * plan.per_record / 1000).max(2 * slots_between);
            let first = plan.digits.iter().find(|&&digit| digit != ABSENT).copied().unwrap_or(0);
            let (mut held, mut run, mut absent) = (first, 0, 0);
            for place in 0..plan.digits.len() {
                if plan.digits[place] == ABSENT {
                    plan.digits[place] = held;
                    run += 1;
                    continue;
                }
                held = plan.digits[place];
                if run >= gap_min {
                    absent += run;
                    let ms = |places: usize| (places * 1000 / plan.per_record) as i64;
                    let at = Timestamp(self.start.0 + ms(place - run));
                    if self.survey.annotations.len() < ANNOTATION_COUNT_MAX {
                        let seconds = ms(run) as f64 / 1000.0;
                        let words = format!("gap of {seconds:.1} s: {}", signal.name);
                        self.survey.annotations.push((at, words));
                    }
                }
                run = 0;
            }
            // The last record is seldom full.
            if run >= gap_min.max(plan.per_record + 1) {
                absent += run;
            }
            if absent > 0 {
                self.report.notes.push(format!(
                    "{}: nothing was measured for {:.1} s; the value before is repeated",
                    signal.name,
                    absent as f64 / plan.per_record as f64
                ));
            }
        }
    }

    fn header(&self, annotation_width: usize) -> Vec<u8> {
        let (date, time) = Date::of(self.start);
        let count = self.plans.len() + 1;
        let mut text = String::new();
        let mut put = |width: usize, words: &str| {
            let words: String = words.chars().map(printable).take(width).collect();
            text.push_str(&format!("{words:<width$}"));
        };
        put(8, "0");
        put(80, "X X X X");
        put(80, &format!("Startdate {} X X Sensocto", date.edf_plus()));
        put(8, &date.edf());
        put(8, &time.edf());
        put(8, &(256 * (count + 1)).to_string());
        put(44, "EDF+C");
        put(8, &self.record_count.to_string());
        put(8, "1");
        put(4, &count.to_string());
        let signals: Vec<&Signal> =
            self.plans.iter().map(|plan| &self.survey.signals[plan.signal]).collect();
        labels(&signals).iter().for_each(|label| put(16, label));
        put(16, "EDF Annotations");
        signals.iter().for_each(|signal| put(80, &signal.name));
        put(80, "");
        signals.iter().for_each(|signal| put(8, unit(signal.kind, &signal.field)));
        put(8, "");
        self.plans.iter().for_each(|plan| put(8, &plan.physical.0.text));
        put(8, "-1");
        self.plans.iter().for_each(|plan| put(8, &plan.physical.1.text));
        put(8, "1");
        self.plans.iter().for_each(|_| put(8, &DIGITAL_MIN.to_string()));
        put(8, "-32768");
        self.plans.iter().for_each(|_| put(8, &DIGITAL_MAX.to_string()));
        put(8, "32767");
        (0..count).for_each(|_| put(80, ""));
        self.plans.iter().for_each(|plan| put(8, &plan.per_record.to_string()));
        put(8, &(annotation_width / 2).to_string());
        (0..count).for_each(|_| put(32, ""));
        text.into_bytes()
    }
}

/// The header's characters are those of US-ASCII that print.
fn printable(c: char) -> char {
    if c == ' ' || c.is_ascii_graphic() { c } else { '_' }
}

/// Names of 16 characters at most, each once: the sensor's, with the attribute or the field where
/// there are several. The whole name is in the transducer's 80 characters.
fn labels(signals: &[&Signal]) -> Vec<String> {
    let mut used = std::collections::BTreeSet::new();
    signals
        .iter()
        .map(|signal| {
            let alone = signals.iter().filter(|other| other.stream == signal.stream).count() == 1;
            let whole = if alone && signal.field.is_empty() {
                signal.name.split(' ').next().unwrap_or_default().to_owned()
            } else {
                let mut words = signal.name.split(' ');
                let sensor = words.next().unwrap_or_default();
                format!("{sensor} {}", words.next_back().unwrap_or_default())
            };
            let mut label: String = whole.chars().map(printable).take(16).collect();
            let mut n = 2;
            while !used.insert(label.clone()) {
                let suffix = format!("~{n}");
                label = whole.chars().map(printable).take(16 - suffix.len()).collect();
                label.push_str(&suffix);
                n += 1;
            }
            label
        })
        .collect()
}

/// Physical dimension, in the eight characters of EDF.
fn unit(kind: &str, field: &str) -> &'static str {
    let leaf = field.rsplit('.').next().unwrap_or(field);
    match (kind, leaf) {
        ("ecg", _) => "mV",
        ("respiration", _) => "%",
        ("heartrate" | "hr", _) => "bpm",
        ("hrv", _) => "ms",
        ("spo2" | "humidity", _) => "%",
        ("battery", "level") => "%",
        ("temperature", _) => "degC",
        ("geolocation", "latitude" | "longitude" | "heading") | ("heading", _) => "deg",
        ("geolocation", "altitude" | "accuracy") | ("altitude" | "distance", _) => "m",
        ("geolocation", "speed") | ("speed", _) => "m/s",
        ("imu", _) if field.starts_with("accelerometer") => "m/s2",
        ("imu", _) if field.starts_with("gyroscope") => "rad/s",
        ("accelerometer", _) => "m/s2",
        ("gyroscope", _) => "rad/s",
        ("eye_aperture", _) => "deg",
        ("pressure", _) => "hPa",
        ("light", _) => "lx",
        _ => "",
    }
}

/// A number in eight characters.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    text: String,
    value: f64,
}

/// By the decimals of a figure.
const POWERS_OF_TEN: [f64; 7] = [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6];

/// The closest figures around `min..=max`, apart from one another; `None`: they do not fit.
fn range(min: f64, max: f64) -> Option<(Figure, Figure)> {
    let around = if min < max { 0.0 } else { (min.abs() * 0.01).max(0.5) };
    let figure = |value: f64, up: bool| {
        (0..POWERS_OF_TEN.len()).rev().find_map(|decimals| {
            let scale = POWERS_OF_TEN[decimals];
            let scaled = value * scale;
            let scaled = if up { scaled.ceil() } else { scaled.floor() };
            let text = format!("{:.*}", decimals, scaled / scale);
            let value_told = text.parse::<f64>().ok()?;
            let outside = if up { value_told >= value } else { value_told <= value };
            (text.len() <= 8 && outside).then_some(Figure { text, value: value_told })
        })
    };
    let (low, high) = (figure(min - around, false)?, figure(max + around, true)?);
    (low.value < high.value).then_some((low, high))
}

trait Scale {
    fn digital(&self, value: f64) -> i16;
}

impl Scale for (Figure, Figure) {
    /// The nearest step; out-of-range values are brought into range.
    fn digital(&self, value: f64) -> i16 {
        let part = (value - self.0.value) / (self.1.value - self.0.value);
        let steps = f64::from(DIGITAL_MAX) - f64::from(DIGITAL_MIN);
        (f64::from(DIGITAL_MIN) + (part * steps).round())
            .clamp(DIGITAL_MIN.into(), DIGITAL_MAX.into()) as i16
    }
}

/// A time-stamped annotation list of one annotation.
fn annotation(onset: f64, words: &str) -> Vec<u8> {
    let mut list = format!("{onset:+}\u{14}").into_bytes();
    let mut end = words.len().min(ANNOTATION_BYTES_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    // Bytes below 32 separate; they are not words.
    list.extend(words[..end].bytes().map(|byte| if byte < 32 { b' ' } else { byte }));
    list.extend_from_slice(b"\x14\0");
    list
}

/// The annotations of each record, and the bytes that all records keep for them. Each begins
/// with its own time, as EDF+ asks; those that do not fit a record go to the next.
fn spread(lists: &[Vec<u8>], record_count: usize) -> (Vec<Vec<u8>>, usize) {
    let stamp = |n: usize| format!("+{n}\u{14}\u{14}\0").into_bytes();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let stamp_max = stamp(record_count).len();
    let mean = lists.iter().map(Vec::len).sum::<usize>() / record_count.max(1) + longest;
    let width = (stamp_max + mean).max(ANNOTATION_RECORD_BYTES_MIN).next_multiple_of(2);
    let mut lists = lists.iter().peekable();
    let records = (0..record_count)
        .map(|n| {
            let mut bytes = stamp(n);
            while let Some(list) = lists.next_if(|list| bytes.len() + list.len() <= width) {
                bytes.extend_from_slice(list);
            }
            bytes
        })
        .collect();
    debug_assert!(lists.peek().is_none(), "each record takes the mean and the longest");
    (records, width)
}

#[cfg(test)]
mod tests {
    use super::super::edf_read::{Reader, Said};
    use super::*;
    use components::attribute::AttributeType;

    const START: i64 = 1_795_507_259_400;

    fn row<'a>(stream: usize, at_ms: i64, rate_hz: Option<f64>, value: Value<'a>) -> Row<'a> {
        let [sensor_id, attribute_id] =
            [["ada:ecg", "ecg"], ["ada:patch", "temperature"], ["ada:button", "button"]][stream];
        Row {
            at: Timestamp(START + at_ms),
            stream,
            sensor_id,
            attribute_id,
            kind: AttributeType::from_name(attribute_id).unwrap(),
            rate_hz,
            field: "",
            value,
            is_event: matches!(value, Value::Text(_)),
        }
    }

    /// Ten seconds: a wave at 250 Hz with three seconds missing, a temperature each five seconds,
    /// a press, and a sample of a clock that is an hour off.
    fn rows() -> Vec<Row<'static>> {
        let mut rows = Vec::new();
        for n in (0..2500).filter(|n| !(1000..1750).contains(n)) {
            let value = crate::math::sin(n as f64 * 0.1) * 1.3;
            rows.push(row(0, n * 4, Some(250.0), Value::Number(value)));
        }
        rows.push(row(1, 0, Some(0.2), Value::Number(33.25)));
        rows.push(row(1, 5000, Some(0.2), Value::Number(33.5)));
        rows.push(row(2, 2500, None, Value::Text("press")));
        rows.push(row(0, 3_600_000, Some(250.0), Value::Number(9.0)));
        rows
    }

    fn written(rows: &[Row<'_>]) -> (Vec<u8>, Report) {
        let window = (Timestamp(START - 60_000), Timestamp(START + 70_000));
        let mut survey = Survey::new(window);
        rows.iter().for_each(|row| survey.add(row).unwrap());
        let mut edf = Edf::new(survey).unwrap();
        rows.iter().for_each(|row| edf.add(row));
        let mut bytes = Vec::new();
        let report = edf.finish(&mut bytes).unwrap();
        (bytes, report)
    }

    #[test]
    fn what_is_written_is_read_within_half_a_step() {
        let rows = rows();
        let (bytes, report) = written(&rows);
        let mut reader = Reader::new("made.edf", &bytes[..]).unwrap();
        let labels: Vec<&str> =
            reader.header.signals.iter().map(|signal| signal.label.as_str()).collect();
        assert_eq!(labels, ["ada:ecg", "ada:patch", "EDF Annotations"]);
        assert_eq!(reader.header.start, Timestamp(START - 400), "on a whole second");
        assert_eq!(reader.header.signals[0].dimension, "mV");
        let (mut values, mut words, mut said) = (Vec::new(), Vec::new(), Vec::new());
        while reader.next(&mut said).unwrap() {
            for said in &said {
                match said {
                    Said::Value { at, signal, value } => values.push((*at, *signal, *value)),
                    Said::Words { at, words: said } => words.push((*at, said.clone())),
                }
            }
        }
        assert!(!reader.is_cut());
        let step = 2.6 / 65_534.0;
        for row in rows.iter().filter(|row| row.at.0 < START + 60_000) {
            let Value::Number(expected) = row.value else { continue };
            // The temperature is told once a second, and the sample lies within one.
            let near = |at: Timestamp| match row.stream {
                0 => at == row.at,
                _ => at.0 >= row.at.0 && at.0 - row.at.0 <= 1000,
            };
            let read = values.iter().find(|(at, signal, _)| *signal == row.stream && near(*at));
            let (_, _, value) = read.expect("every sample is there");
            assert!((value - expected).abs() <= step, "{row:?} {value}");
        }
        let at = |ms: i64| Timestamp(START + ms);
        assert!(words.contains(&(at(2500), "ada:button button: press".to_owned())), "{words:?}");
        assert!(words.contains(&(at(4000), "gap of 3.0 s: ada:ecg ecg".to_owned())), "{words:?}");
        let notes = report.notes.join("\n");
        for expected in
            ["1 values left out", "1 signals of 0.200 Hz, written at 1 Hz", "measured for 3.0 s"]
        {
            assert!(notes.contains(expected), "{notes}");
        }
    }

    #[test]
    fn figures_take_eight_characters_and_lie_outside() {
        for (min, max) in
            [(-1.3, 1.3), (0.0, 0.000_01), (-99_999.5, 1e7), (36.6, 36.6), (-1.0, 0.0)]
        {
            let (low, high) = range(min, max).unwrap();
            assert!(low.text.len() <= 8 && high.text.len() <= 8);
            assert!(low.value <= min && high.value >= max && low.value < high.value);
        }
        assert_eq!(range(0.0, 1e9), None);
    }

    #[test]
    fn many_annotations_find_room() {
        let lists: Vec<Vec<u8>> = (0..500).map(|n| annotation(f64::from(n), "word")).collect();
        let (records, width) = spread(&lists, 3);
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|record| record.len() <= width));
        let total: usize =
            records.iter().map(|record| record.windows(4).filter(|w| w == b"word").count()).sum();
        assert_eq!(total, 500);
    }

    #[test]
    fn damaged_files_are_refused_or_read_up_to_the_damage() {
        let (bytes, _) = written(&rows());
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new("bad.edf", bytes)?;
            let (mut said, mut records) = (Vec::new(), 0);
            while reader.next(&mut said)? {
                records += 1;
            }
            Ok::<_, String>((records, reader.is_cut()))
        };
        assert_eq!(read(&bytes), Ok((11, false)));
        assert_eq!(read(&bytes[..bytes.len() - 1]), Ok((10, true)));
        for (from, what, message) in [
            (0, "1", "does not begin with version 0"),
            (168, "31.02", "no such start"),
            (184, "12", "the header says it has"),
            (244, "many", "duration of a record is \"many"),
            (252, "9999", "9999 signals"),
            (256 + 216 * 3, "99999999", "samples per record"),
        ] {
            let mut bad = bytes.clone();
            bad[from..from + what.len()].copy_from_slice(what.as_bytes());
            let told = read(&bad).unwrap_err();
            assert!(told.contains(message), "{told}");
        }
        // Whatever one byte becomes: an answer, no panic.
        for at in 0..1024 {
            for byte in [0, b' ', b'-', b'9', 0x14, 0xff] {
                let mut bad = bytes.clone();
                bad[at] = byte;
                let _ = read(&bad);
            }
        }
        assert!(read(b"").is_err());
    }
}

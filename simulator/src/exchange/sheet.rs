//! CSV as a recording: our own form (one row for each leaf), or a sheet with a column for each
//! attribute.

use components::cell::Cell;
use components::sample::Timestamp;

use super::ImportFile;
use super::into::{Import, Imported};
use super::table::COLUMNS;

/// Columns of a sheet.
const COLUMN_COUNT_MAX: usize = 4096;

/// Bytes of one line.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Names that a column of time may have when none is named.
const TIME_NAMES: [&str; 5] = ["time", "timestamp", "t", "seconds", "ms"];

/// Numbers from here on are unix milliseconds (the year 1973), below them seconds.
const MILLISECONDS_FROM: f64 = 1e11;

pub(super) fn import(args: &ImportFile) -> Result<Imported, String> {
    let file = args.file.display().to_string();
    let mut lines = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(Bounded { inner: args.open()?, since_taken: 0 });
    let header: Vec<String> = lines
        .headers()
        .map_err(|error| format!("{file}: {error}"))?
        .iter()
        .map(|name| name.trim().trim_start_matches('\u{feff}').to_owned())
        .collect();
    if header.len() > COLUMN_COUNT_MAX {
        return Err(format!("{file}: more than {COLUMN_COUNT_MAX} columns"));
    }
    let source = format!("import {file}");
    if header == COLUMNS {
        long(args, &file, &source, &mut lines)
    } else {
        wide(args, &file, &source, &header, &mut lines)
    }
}

type Lines<R> = csv::Reader<Bounded<R>>;

/// Our own: `time,sensor_id,attribute_id,field,value,text`. A leaf with a name becomes an
/// attribute of its own, `imu.accelerometer.x`.
fn long<R: std::io::Read>(
    args: &ImportFile,
    file: &str,
    source: &str,
    lines: &mut Lines<R>,
) -> Result<Imported, String> {
    let mut import = None;
    let mut record = csv::StringRecord::new();
    let mut name = String::new();
    while lines.read_record(&mut record).map_err(|error| format!("{file}: {error}"))? {
        lines.get_mut().since_taken = 0;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |n: usize| record.get(n).unwrap_or_default();
        let at = field(0)
            .parse::<i64>()
            .map_err(|_| format!("{file}:{line}: time is {:?}, not unix milliseconds", field(0)))?;
        let (sensor_id, attribute_id) = (field(1), field(2));
        if sensor_id.is_empty() || attribute_id.is_empty() {
            return Err(format!("{file}:{line}: sensor_id or attribute_id is empty"));
        }
        let at = Timestamp(at);
        let import = match &mut import {
            Some(import) => import,
            none => none.insert(Import::create(&args.output, source, at)?),
        };
        name.clear();
        name.push_str(attribute_id);
        if !field(3).is_empty() {
            name.push('.');
            name.push_str(field(3));
        }
        let told = |error: String| format!("{file}:{line}: {error}");
        let stream = import.stream(sensor_id, &name, None).map_err(told)?;
        match (field(4), field(5)) {
            ("", "") => import.add(stream, at, Cell::NULL).map_err(told)?,
            ("", words) => import.add_words(stream, at, words).map_err(told)?,
            (value, _) => {
                let cell = number(value)
                    .ok_or_else(|| told(format!("value is {value:?}, not a finite number")))?;
                import.add(stream, at, cell).map_err(told)?;
            }
        }
    }
    match import {
        Some(import) => import.finish(&args.output, Vec::new()),
        None => Err(format!("{file}: there are no lines below the header")),
    }
}

/// A sheet: a column of time, or `--rate`, and a column for each attribute.
fn wide<R: std::io::Read>(
    args: &ImportFile,
    file: &str,
    source: &str,
    header: &[String],
    lines: &mut Lines<R>,
) -> Result<Imported, String> {
    let list = || header.join(", ");
    let time = match &args.time {
        Some(wanted) => Some(
            header
                .iter()
                .position(|name| name == wanted)
                .ok_or_else(|| format!("{file}: no column {wanted:?}; there are: {}", list()))?,
        ),
        None => {
            header.iter().position(|name| TIME_NAMES.contains(&name.to_ascii_lowercase().as_str()))
        }
    };
    let rate = match (args.rate, time) {
        (Some(rate), _) if !(rate > 0.0 && rate <= 1000.0) => {
            return Err(format!("--rate {rate}: from above 0 to 1000 Hz"));
        }
        (None, None) => {
            return Err(format!(
                "{file}: no column of time among {}; name one with --time, or give --rate",
                list()
            ));
        }
        (rate, _) => rate,
    };
    // The rate says when, if it is given.
    let time = if rate.is_some() && args.time.is_none() { None } else { time };
    if header.iter().any(|name| name.parse::<f64>().is_ok()) {
        return Err(format!("{file}: the first line must have the names of the columns"));
    }
    let sensor_id = args.stem();
    let mut import: Option<(Import, Vec<Option<usize>>)> = None;
    let mut notes = Vec::new();
    let mut record = csv::StringRecord::new();
    let (mut row, mut empty) = (0_u64, 0_u64);
    while lines.read_record(&mut record).map_err(|error| format!("{file}: {error}"))? {
        lines.get_mut().since_taken = 0;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() > header.len() {
            return Err(format!("{file}:{line}: more fields than the header has names"));
        }
        let at = match (time, rate) {
            (Some(column), _) => {
                let text = record.get(column).unwrap_or_default().trim();
                let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
                let value = value.ok_or_else(|| {
                    format!("{file}:{line}: {} is {text:?}, not a time", header[column])
                })?;
                if value >= MILLISECONDS_FROM {
                    Timestamp(value.round() as i64)
                } else if header[column].eq_ignore_ascii_case("ms") {
                    Timestamp(args.start.saturating_add(value.round() as i64))
                } else {
                    Timestamp(args.start.saturating_add((value * 1000.0).round() as i64))
                }
            }
            (None, rate) => {
                let ms = (row as f64 * 1000.0 / rate.unwrap_or(1.0)).round();
                Timestamp(args.start.saturating_add(ms as i64))
            }
        };
        row += 1;
        let (import, streams) = match &mut import {
            Some(import) => import,
            none => {
                let mut made = Import::create(&args.output, source, at)?;
                let mut streams = Vec::new();
                for (column, name) in header.iter().enumerate() {
                    if Some(column) == time {
                        streams.push(None);
                        continue;
                    }
                    let name = if name.is_empty() {
                        format!("column_{}", column + 1)
                    } else {
                        name.clone()
                    };
                    streams.push(Some(made.stream(&sensor_id, &name, rate)?));
                    notes.push(format!("column {} is {sensor_id} {name}", column + 1));
                }
                none.insert((made, streams))
            }
        };
        for (column, text) in record.iter().enumerate() {
            let Some(stream) = streams.get(column).copied().flatten() else { continue };
            let text = text.trim();
            if text.is_empty() || text.eq_ignore_ascii_case("nan") {
                empty += 1;
                continue;
            }
            let told = |error: String| format!("{file}:{line}: {error}");
            match number(text) {
                Some(cell) => import.add(stream, at, cell).map_err(told)?,
                None => import.add_words(stream, at, text).map_err(told)?,
            }
        }
    }
    if empty > 0 {
        notes.push(format!("{empty} empty fields left out"));
    }
    match import {
        Some((import, _)) => import.finish(&args.output, notes),
        None => Err(format!("{file}: there are no lines below the header")),
    }
}

/// As the text has it: `42` stays an integer.
fn number(text: &str) -> Option<Cell> {
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let integer = || text.parse().ok().and_then(Cell::integer);
    let float = || text.parse::<f64>().ok().and_then(Cell::float);
    if is_integer { integer().or_else(float) } else { float() }
}

/// Refuses lines that are longer than [`LINE_BYTES_MAX`]: a reader of records would gather them. A
/// line goes on as long as a quote is open, however many newlines are in it, so whoever takes one
/// says so.
struct Bounded<R> {
    inner: R,
    since_taken: usize,
}

impl<R: std::io::Read> std::io::Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.since_taken += count;
        if self.since_taken > LINE_BYTES_MAX {
            let what = "a line of more than 1 MiB, perhaps of a quote that is never closed";
            return Err(std::io::Error::other(what));
        }
        Ok(count)
    }
}

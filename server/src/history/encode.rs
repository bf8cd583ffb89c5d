//! The past as an answer: JSON, CSV, Parquet or an Arrow stream, in pieces that are sent one behind the
//! other.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use axum::body::Bytes;
use components::cell::{Cell, Leaf};
use components::shape::Shape;
use serde_json::{Value, json};
use simulator::exchange::series::{Series, fields};

use super::HistoryError;
use super::numbers::{write_cell, write_whole};
use super::past::{Past, each_on_a_thread, thread_count};
use super::segment::{Rows, Sum, Summed};

/// Rows that are written at once: one batch of an Arrow stream.
const BATCH_ROW_COUNT: usize = 1 << 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Parquet,
    Arrow,
}

impl Format {
    pub(super) const NAMES: &'static str = "json, csv, parquet and arrow";

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "arrow" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// Whether parts of an answer can be written each by itself.
    pub(super) fn is_in_pieces(self) -> bool {
        matches!(self, Self::Json | Self::Arrow)
    }

    /// As a content type.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// What is told of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) sensor_id: &'a str,
    pub(super) attribute_id: &'a str,
    pub(super) damaged: u64,
}

/// Some rows of a piece.
#[derive(Clone, Copy)]
struct Batch<'a> {
    shape: &'a Shape,
    stamps: &'a [i64],
    cells: &'a [u64],
}

fn batches(past: &Past<Rows>) -> Vec<Batch<'_>> {
    let mut batches = Vec::new();
    for (shape, Rows { stamps, cells, .. }) in &past.forms {
        let cells = cells.chunks((BATCH_ROW_COUNT * shape.width()).max(1));
        let all = stamps.chunks(BATCH_ROW_COUNT).zip(cells);
        batches.extend(all.map(|(stamps, cells)| Batch { shape, stamps, cells }));
    }
    batches
}

/// `{..., "samples": [[stamp, payload], ...]}` with `more` before its end, or rows.
///
/// # Errors
/// It cannot be written.
pub(super) fn samples(
    told: Told<'_>,
    format: Format,
    past: &Past<Rows>,
    more: Option<(&str, Value)>,
) -> Result<Vec<Bytes>, HistoryError> {
    match format {
        Format::Json => Ok(json_samples(told, past, more)),
        Format::Arrow => arrow_samples(told, past).map_err(arrow),
        Format::Csv | Format::Parquet => rows(told, format, |series| {
            past.forms
                .iter()
                .try_for_each(|(shape, rows)| series.samples(shape, &rows.stamps, &rows.cells))
        }),
    }
}

fn json_samples(told: Told<'_>, past: &Past<Rows>, more: Option<(&str, Value)>) -> Vec<Bytes> {
    let mut begin = head(told);
    begin.extend_from_slice(b",\"samples\":[");
    let batches = batches(past);
    let threads = if batches.len() > 1 { thread_count() } else { 1 };
    let shares: Vec<_> = batches.chunks(batches.len().div_ceil(threads).max(1)).collect();
    let written = each_on_a_thread(&shares, |share| share.iter().map(json_batch).collect());
    let mut pieces: Vec<Bytes> = written.into_iter().flat_map(|all: Vec<Bytes>| all).collect();
    if let Some(first) = pieces.first_mut() {
        // Its comma.
        *first = first.slice(1..);
    }
    pieces.insert(0, begin.into());
    let more = more.map(|(name, value)| format!(",{}:{value}", json!(name))).unwrap_or_default();
    pieces.push(format!("]{more}}}").into());
    pieces
}

/// Writes pieces of one answer with samples of one form, each by itself.
pub(super) enum Writer {
    Json { head: Bytes },
    Arrow { schema: Arc<Schema>, names: Vec<String> },
}

impl Writer {
    /// `None`: such an answer is not in pieces.
    pub(super) fn new(told: Told<'_>, format: Format, shape: &Shape) -> Option<Self> {
        match format {
            Format::Json => {
                let mut head = head(told);
                head.extend_from_slice(b",\"samples\":[");
                Some(Self::Json { head: head.into() })
            }
            Format::Arrow => {
                let fields = fields(shape);
                let names: Vec<String> = fields.iter().map(|field| column(field, "")).collect();
                Some(Self::Arrow { schema: schema(told, &names), names })
            }
            Format::Csv | Format::Parquet => None,
        }
    }

    /// What comes before all pieces, and behind them.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn ends(&self) -> Result<(Bytes, Bytes), HistoryError> {
        match self {
            Self::Json { head } => Ok((head.clone(), Bytes::from_static(b"]}"))),
            Self::Arrow { schema, .. } => {
                let (arrow_writer, head) = Arrow::begin(schema).map_err(arrow)?;
                Ok((head, arrow_writer.finish().map_err(arrow)?))
            }
        }
    }

    /// A piece; of JSON, with a comma before each sample.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, rows: Rows) -> Result<Bytes, HistoryError> {
        let Rows { shape, stamps, cells } = rows;
        if stamps.is_empty() {
            return Ok(Bytes::new());
        }
        let (schema, names) = match self {
            Self::Json { .. } => {
                return Ok(json_batch(&Batch { shape: &shape, stamps: &stamps, cells: &cells }));
            }
            Self::Arrow { schema, names } => (schema, names),
        };
        let places = names.iter().map(|name| names.iter().position(|other| other == name));
        let columns = places.map(|place| numbers(&cells, shape.width(), place)).collect();
        let (mut writer, _) = Arrow::begin(schema).map_err(arrow)?;
        writer.add(stamps, columns).map_err(arrow)
    }
}

/// `,[stamp, payload]`, again and again.
fn json_batch(batch: &Batch<'_>) -> Bytes {
    let Batch { shape, stamps, cells } = *batch;
    let mut out = Vec::with_capacity(stamps.len() * 32);
    let is_bare = *shape == Shape::scalar();
    for (stamp, cells) in stamps.iter().zip(cells.chunks_exact(shape.width().max(1))) {
        out.extend_from_slice(b",[");
        write_whole(*stamp, &mut out);
        out.push(b',');
        match cells {
            [cell] if is_bare => write_cell(*cell, &mut out),
            _ => shape.write_json(cells, &mut out),
        }
        out.push(b']');
    }
    out.into()
}

/// A column for each field of any form; what is no number there is null, `true` and `false` are 1 and 0.
fn arrow_samples(told: Told<'_>, past: &Past<Rows>) -> Result<Vec<Bytes>, ArrowError> {
    let mut names: Vec<String> = Vec::new();
    let mut by_form: Vec<(&Shape, Vec<String>)> = Vec::new();
    for (shape, _) in &past.forms {
        if by_form.iter().any(|(there, _)| *there == &**shape) {
            continue;
        }
        let fields: Vec<String> = fields(shape).iter().map(|field| column(field, "")).collect();
        names.extend(
            fields.iter().filter(|field| !names.contains(field)).cloned().collect::<Vec<_>>(),
        );
        by_form.push((shape, fields));
    }
    let (mut arrow, head) = Arrow::begin(&schema(told, &names))?;
    let mut written = vec![head];
    for Batch { shape, stamps, cells } in batches(past) {
        let fields = by_form.iter().find(|(there, _)| *there == shape).map(|(_, fields)| fields);
        let columns = names.iter().map(|name| {
            let place = fields.and_then(|fields| fields.iter().position(|field| field == name));
            numbers(cells, shape.width(), place)
        });
        written.push(arrow.add(stamps.to_vec(), columns.collect())?);
    }
    written.push(arrow.finish()?);
    Ok(written)
}

/// The cells of a column; null where there is no such, or no number.
fn numbers(cells: &[u64], width: usize, place: Option<usize>) -> Float64Array {
    let rows = cells.chunks_exact(width.max(1));
    let Some(place) = place else { return Float64Array::new_null(rows.len()) };
    // Mostly there is one in each.
    let mut all = vec![0.0; rows.len()];
    let is_there = |(value, row): (&mut f64, &[u64])| {
        number(row[place]).map(|number| *value = number).is_some()
    };
    if all.iter_mut().zip(rows.clone()).all(is_there) {
        return all.into();
    }
    rows.map(|row| number(row[place])).collect()
}

fn number(cell: u64) -> Option<f64> {
    match Cell(cell).leaf() {
        Leaf::Float(value) => Some(value),
        Leaf::Integer(value) => Some(value as f64),
        Leaf::True => Some(1.0),
        Leaf::False => Some(0.0),
        _ => None,
    }
}

/// What a column is called: `x`, `x.mean`; of a bare value, `value`, `mean`.
fn column(field: &str, what: &str) -> String {
    match (field, what) {
        ("", "") => "value".to_owned(),
        ("", name) | (name, "") => name.to_owned(),
        (field, what) => format!("{field}.{what}"),
    }
}

/// Time, and a column for each of these.
fn schema(told: Told<'_>, columns: &[String]) -> Arc<Schema> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields = vec![Field::new("time", time, false)];
    fields.extend(columns.iter().map(|name| Field::new(name, DataType::Float64, true)));
    let said = HashMap::from([
        ("sensor_id".to_owned(), told.sensor_id.to_owned()),
        ("attribute_id".to_owned(), told.attribute_id.to_owned()),
        ("damaged".to_owned(), told.damaged.to_string()),
    ]);
    Arc::new(Schema::new_with_metadata(fields, said))
}

/// A stream of batches, each taken out as soon as it is written.
struct Arrow {
    schema: Arc<Schema>,
    writer: StreamWriter<Vec<u8>>,
}

impl Arrow {
    /// With the stream's head. Batches are the same whichever writer of the schema they come from.
    fn begin(schema: &Arc<Schema>) -> Result<(Self, Bytes), ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        let head = std::mem::take(writer.get_mut()).into();
        Ok((Self { schema: Arc::clone(schema), writer }, head))
    }

    fn add(
        &mut self,
        stamps: impl Into<TimestampMillisecondArray>,
        columns: Vec<Float64Array>,
    ) -> Result<Bytes, ArrowError> {
        let time = stamps.into().with_timezone("UTC");
        // All of it, and what is said of it.
        let bytes = 8 * time.len() * (1 + columns.len()) + 1024;
        self.writer.get_mut().reserve_exact(bytes);
        let mut all: Vec<ArrayRef> = vec![Arc::new(time)];
        all.extend(columns.into_iter().map(|column| Arc::new(column) as ArrayRef));
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), all)?)?;
        Ok(std::mem::take(self.writer.get_mut()).into())
    }

    fn finish(mut self) -> Result<Bytes, ArrowError> {
        self.writer.finish()?;
        Ok(std::mem::take(self.writer.get_mut()).into())
    }
}

fn arrow(error: ArrowError) -> HistoryError {
    HistoryError::Io(error.to_string())
}

const SUMS: [(&str, fn(&Sum) -> f64); 4] = [
    ("min", |sum| sum.min),
    ("max", |sum| sum.max),
    ("mean", |sum| sum.sum / sum.count),
    ("count", |sum| sum.count),
];

/// `{..., "step": ms, "points": [[start, field, min, max, mean, count], ...]}`, or rows.
///
/// # Errors
/// It cannot be written.
pub(super) fn summed(
    told: Told<'_>,
    format: Format,
    step_ms: i64,
    past: &Past<Summed>,
) -> Result<Vec<Bytes>, HistoryError> {
    if format == Format::Arrow {
        return arrow_summed(told, past).map_err(arrow);
    }
    let mut points = Vec::new();
    for (shape, summed) in &past.forms {
        let fields = fields(shape);
        for (start, sums) in summed {
            let there = fields.iter().zip(sums).filter(|(_, sum)| sum.count > 0.0);
            points.extend(there.map(|(field, sum)| (*start, field.clone(), *sum)));
        }
    }
    if format == Format::Json {
        let points: Vec<Value> = points
            .iter()
            .map(|(start, field, sum)| {
                let [min, max, mean, count] = SUMS.map(|(_, of)| of(sum));
                json!([start, field, min, max, mean, count])
            })
            .collect();
        let mut out = head(told);
        out.extend_from_slice(format!(",\"step\":{step_ms},\"points\":").as_bytes());
        out.extend_from_slice(json!(points).to_string().as_bytes());
        out.push(b'}');
        return Ok(vec![out.into()]);
    }
    rows(told, format, |series| {
        points.iter().try_for_each(|(start, field, sum)| {
            SUMS.iter().try_for_each(|(name, of)| {
                let dot = if field.is_empty() { "" } else { "." };
                series.number(*start, &format!("{field}{dot}{name}"), of(sum))
            })
        })
    })
}

/// Periods in the order of time; four columns for each field of any form.
fn arrow_summed(told: Told<'_>, past: &Past<Summed>) -> Result<Vec<Bytes>, ArrowError> {
    let mut names: Vec<String> = Vec::new();
    let mut periods: std::collections::BTreeMap<i64, HashMap<String, Sum>> = Default::default();
    for (shape, summed) in &past.forms {
        let fields = fields(shape);
        names.extend(
            fields.iter().filter(|field| !names.contains(field)).cloned().collect::<Vec<_>>(),
        );
        for (start, sums) in summed {
            let known = periods.entry(*start).or_default();
            for (field, sum) in fields.iter().zip(sums) {
                known.entry(field.clone()).or_insert(Sum::NONE).add(*sum);
            }
        }
    }
    let columns: Vec<String> =
        names.iter().flat_map(|field| SUMS.map(|(what, _)| column(field, what))).collect();
    let (mut arrow, head) = Arrow::begin(&schema(told, &columns))?;
    let mut written = vec![head];
    let (starts, periods): (Vec<i64>, Vec<_>) = periods.into_iter().unzip();
    for (starts, periods) in starts.chunks(BATCH_ROW_COUNT).zip(periods.chunks(BATCH_ROW_COUNT)) {
        let columns = names.iter().flat_map(|field| {
            SUMS.map(|(_, of)| {
                let sums = periods.iter().map(|known| known.get(field));
                sums.map(|sum| sum.filter(|sum| sum.count > 0.0).map(of)).collect::<Float64Array>()
            })
        });
        written.push(arrow.add(starts.to_vec(), columns.collect())?);
    }
    written.push(arrow.finish()?);
    Ok(written)
}

fn head(told: Told<'_>) -> Vec<u8> {
    let Told { sensor_id, attribute_id, damaged } = told;
    let head = json!({ "sensor_id": sensor_id, "attribute_id": attribute_id, "damaged": damaged });
    let mut head = head.to_string().into_bytes();
    head.pop();
    head
}

fn rows(
    told: Told<'_>,
    format: Format,
    add: impl FnOnce(&mut Series<'_, &mut Vec<u8>>) -> Result<(), String>,
) -> Result<Vec<Bytes>, HistoryError> {
    let mut out = Vec::new();
    let series = match format {
        Format::Parquet => Series::parquet(told.sensor_id, told.attribute_id, &mut out),
        _ => Series::csv(told.sensor_id, told.attribute_id, &mut out),
    };
    series
        .and_then(|mut series| {
            add(&mut series)?;
            series.finish()
        })
        .map_err(HistoryError::Io)?;
    Ok(vec![out.into()])
}

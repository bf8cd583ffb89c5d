//! Rows as CSV: one for each leaf of each sample, in the order in which they were recorded.

use std::io::Write;

use super::leaf::Value;
use super::rows::Row;

/// The columns, here and in Parquet. `time` is unix milliseconds.
pub(crate) const COLUMNS: [&str; 6] =
    ["time", "sensor_id", "attribute_id", "field", "value", "text"];

pub(crate) struct Table<W: Write> {
    writer: csv::Writer<W>,
    number: ryu::Buffer,
}

impl<W: Write> Table<W> {
    pub(crate) fn new(out: W) -> Result<Self, String> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(COLUMNS).map_err(|error| error.to_string())?;
        Ok(Self { writer, number: ryu::Buffer::new() })
    }

    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        let time = row.at.0.to_string();
        let (value, text) = match row.value {
            Value::Number(value) => (self.number.format(value), ""),
            Value::Text(text) => ("", text),
            Value::Null => ("", ""),
        };
        let record = [&time, row.sensor_id, row.attribute_id, row.field, value, text];
        self.writer.write_record(record).map_err(|error| error.to_string())
    }

    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.writer.flush().map_err(|error| error.to_string())
    }
}

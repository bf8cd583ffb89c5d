//! Rows as Parquet (Apache Parquet format 2, Snappy), with the columns of the CSV.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::leaf::Value;
use super::rows::Row;

/// Rows that are held in memory until they are written together.
const ROW_GROUP_ROW_COUNT: usize = 1 << 17;

const SCHEMA: &str = "message sample {
    REQUIRED INT64 time (TIMESTAMP(MILLIS,true));
    REQUIRED BYTE_ARRAY sensor_id (STRING);
    REQUIRED BYTE_ARRAY attribute_id (STRING);
    REQUIRED BYTE_ARRAY field (STRING);
    OPTIONAL DOUBLE value;
    OPTIONAL BYTE_ARRAY text (STRING);
}";

pub(crate) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    times: Vec<i64>,
    sensor_ids: Vec<ByteArray>,
    attribute_ids: Vec<ByteArray>,
    fields: Vec<ByteArray>,
    /// Only those that are there, with a definition level each.
    values: Vec<f64>,
    value_levels: Vec<i16>,
    texts: Vec<ByteArray>,
    text_levels: Vec<i16>,
    /// Words that come again and again, each made once.
    words: rustc_hash::FxHashMap<Box<str>, ByteArray>,
}

impl<W: Write + Send> Parquet<W> {
    /// `about` is kept as the file's metadata, key by key.
    pub(crate) fn new(out: W, about: &[(&str, String)]) -> Result<Self, String> {
        let schema = parse_message_type(SCHEMA).map_err(told)?;
        let about =
            about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("sensocto ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(about.collect()))
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            writer: writer.map_err(told)?,
            times: Vec::new(),
            sensor_ids: Vec::new(),
            attribute_ids: Vec::new(),
            fields: Vec::new(),
            values: Vec::new(),
            value_levels: Vec::new(),
            texts: Vec::new(),
            text_levels: Vec::new(),
            words: rustc_hash::FxHashMap::default(),
        })
    }

    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        self.times.push(row.at.0);
        let [sensor_id, attribute_id, field] =
            [row.sensor_id, row.attribute_id, row.field].map(|word| self.word(word));
        self.sensor_ids.push(sensor_id);
        self.attribute_ids.push(attribute_id);
        self.fields.push(field);
        let (number, text) = match row.value {
            Value::Number(value) => (Some(value), None),
            Value::Text(text) => (None, Some(ByteArray::from(text))),
            Value::Null => (None, None),
        };
        self.value_levels.push(i16::from(number.is_some()));
        self.values.extend(number);
        self.text_levels.push(i16::from(text.is_some()));
        self.texts.extend(text);
        if self.times.len() >= ROW_GROUP_ROW_COUNT { self.write() } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> ByteArray {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let made = ByteArray::from(word);
        self.words.insert(word.into(), made.clone());
        made
    }

    /// What is held, as one row group.
    fn write(&mut self) -> Result<(), String> {
        if self.times.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(told)?;
        for index in 0.. {
            let Some(mut column) = group.next_column().map_err(told)? else { break };
            let written = match index {
                0 => column.typed::<Int64Type>().write_batch(&self.times, None, None),
                1 => column.typed::<ByteArrayType>().write_batch(&self.sensor_ids, None, None),
                2 => column.typed::<ByteArrayType>().write_batch(&self.attribute_ids, None, None),
                3 => column.typed::<ByteArrayType>().write_batch(&self.fields, None, None),
                4 => column.typed::<DoubleType>().write_batch(
                    &self.values,
                    Some(&self.value_levels),
                    None,
                ),
                _ => column.typed::<ByteArrayType>().write_batch(
                    &self.texts,
                    Some(&self.text_levels),
                    None,
                ),
            };
            written.map_err(told)?;
            column.close().map_err(told)?;
        }
        group.close().map_err(told)?;
        self.times.clear();
        self.sensor_ids.clear();
        self.attribute_ids.clear();
        self.fields.clear();
        self.values.clear();
        self.value_levels.clear();
        self.texts.clear();
        self.text_levels.clear();
        self.words.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.write()?;
        self.writer.close().map_err(told)?;
        Ok(())
    }
}

fn told(error: ParquetError) -> String {
    error.to_string()
}

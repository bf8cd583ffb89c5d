//! Samples of one attribute as CSV or Parquet, with the columns of an export.

use std::io::Write;

use components::attribute::AttributeType;
use components::sample::Timestamp;
use components::shape::Shape;

use super::leaf::{Leaves, Value};
use super::parquet::Parquet;
use super::rows::Row;
use super::table::Table;

/// The fields of a form's leaves, cell by cell: `accelerometer.x`, or nothing for a bare value.
pub fn fields(shape: &Shape) -> Vec<String> {
    let numbers: Vec<u64> = (0..shape.width()).map(|n| (n as f64).to_bits()).collect();
    let mut fields = vec![String::new(); shape.width()];
    let leaves = Leaves::of(shape);
    for (field, value) in leaves.iter().flat_map(|leaves| leaves.each(&numbers)) {
        // Each cell says its own number.
        if let Value::Number(n) = value
            && let Some(place) = fields.get_mut(n as usize)
        {
            field.clone_into(place);
        }
    }
    fields
}

enum Out<W: Write + Send> {
    Csv(Box<Table<W>>),
    Parquet(Box<Parquet<W>>),
}

/// Rows of one attribute on their way out.
pub struct Series<'a, W: Write + Send> {
    sensor_id: &'a str,
    attribute_id: &'a str,
    out: Out<W>,
}

impl<'a, W: Write + Send> Series<'a, W> {
    /// # Errors
    /// It cannot be written.
    pub fn csv(sensor_id: &'a str, attribute_id: &'a str, out: W) -> Result<Self, String> {
        Ok(Self { sensor_id, attribute_id, out: Out::Csv(Box::new(Table::new(out)?)) })
    }

    /// # Errors
    /// It cannot be written.
    pub fn parquet(sensor_id: &'a str, attribute_id: &'a str, out: W) -> Result<Self, String> {
        let out = Out::Parquet(Box::new(Parquet::new(out, &[])?));
        Ok(Self { sensor_id, attribute_id, out })
    }

    fn add(&mut self, stamp: i64, field: &str, value: Value<'_>) -> Result<(), String> {
        let row = Row {
            at: Timestamp(stamp),
            stream: 0,
            sensor_id: self.sensor_id,
            attribute_id: self.attribute_id,
            kind: AttributeType::default(),
            rate_hz: None,
            field,
            value,
            is_event: false,
        };
        match &mut self.out {
            Out::Csv(table) => table.add(&row),
            Out::Parquet(parquet) => parquet.add(&row),
        }
    }

    /// Every leaf of samples of one form, row after row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn samples(&mut self, shape: &Shape, stamps: &[i64], cells: &[u64]) -> Result<(), String> {
        let leaves = Leaves::of(shape).ok_or("a form that is no JSON")?;
        for (stamp, cells) in stamps.iter().zip(cells.chunks_exact(shape.width().max(1))) {
            for (field, value) in leaves.each(cells) {
                self.add(*stamp, field, value)?;
            }
        }
        Ok(())
    }

    /// One number.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn number(&mut self, stamp: i64, field: &str, value: f64) -> Result<(), String> {
        self.add(stamp, field, Value::Number(value))
    }

    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<(), String> {
        match self.out {
            Out::Csv(table) => table.finish(),
            Out::Parquet(parquet) => parquet.finish(),
        }
    }
}

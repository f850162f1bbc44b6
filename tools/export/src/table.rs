//! A file of Parquet: a row for each reading.
//!
//! | column | type |
//! | --- | --- |
//! | `timestamp` | INT64, TIMESTAMP in milliseconds, UTC |
//! | `device_id`, `region` | BYTE_ARRAY, STRING, dictionary-encoded |
//! | `temperature_c` | INT32, DECIMAL(7, 3): exact, in degrees Celsius |

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::page::Reading;

const SCHEMA: &str = "message readings {
    REQUIRED INT64 timestamp (TIMESTAMP(MILLIS, true));
    REQUIRED BYTE_ARRAY device_id (STRING);
    REQUIRED BYTE_ARRAY region (STRING);
    REQUIRED INT32 temperature_c (DECIMAL(7, 3));
}";

/// How many rows a group has: some megabytes while it is collected.
const ROWS_PER_GROUP: usize = 100_000;

/// A file that is being written.
pub struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Rows,
}

/// The rows of a group, by columns.
#[derive(Default)]
struct Rows {
    timestamps: Vec<i64>,
    devices: Vec<ByteArray>,
    regions: Vec<ByteArray>,
    temperatures: Vec<i32>,
}

impl<W: Write + Send> Table<W> {
    /// Begins a file.
    pub fn new(to: W) -> Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let timestamp = ColumnPath::from("timestamp");
        let properties = WriterProperties::builder()
            .set_created_by(
                concat!("isotherm-export version ", env!("CARGO_PKG_VERSION")).to_owned(),
            )
            .set_compression(Compression::SNAPPY)
            // Nearly all differ, and by little from the one before.
            .set_column_dictionary_enabled(timestamp.clone(), false)
            .set_column_encoding(timestamp, Encoding::DELTA_BINARY_PACKED);
        let writer = SerializedFileWriter::new(to, schema, Arc::new(properties.build()))?;
        Ok(Self { writer, rows: Rows::default() })
    }

    /// Adds a row.
    pub fn add(&mut self, reading: &Reading<'_>) -> Result<()> {
        let [_, device, region, _] = reading.cells;
        let rows = &mut self.rows;
        rows.timestamps.push(reading.ms);
        rows.devices.push(ByteArray::from(device));
        rows.regions.push(ByteArray::from(region));
        rows.temperatures.push(reading.millicelsius);
        match rows.timestamps.len() < ROWS_PER_GROUP {
            true => Ok(()),
            false => self.end_group(),
        }
    }

    fn end_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        column::<Int64Type, _>(&mut group, &rows.timestamps)?;
        column::<ByteArrayType, _>(&mut group, &rows.devices)?;
        column::<ByteArrayType, _>(&mut group, &rows.regions)?;
        column::<Int32Type, _>(&mut group, &rows.temperatures)?;
        group.close()?;
        Ok(())
    }

    /// Ends the file, with what there is to know of it, by names.
    pub fn end(mut self, about: &[(&str, String)]) -> Result<W> {
        if !self.rows.timestamps.is_empty() {
            self.end_group()?;
        }
        for (name, value) in about {
            let (name, value) = (format!("isotherm.{name}"), value.clone());
            self.writer.append_key_value_metadata(KeyValue::new(name, value));
        }
        Ok(self.writer.into_inner()?)
    }
}

/// Writes the next column of a group.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<()> {
    let mut column = group.next_column()?.context("the schema has fewer columns")?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()?;
    Ok(())
}

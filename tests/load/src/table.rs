//! CSV files as readings.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::value::RawValue;

/// A reading as it is sent: the temperature as the file writes it.
#[derive(Clone, Debug, Serialize)]
pub struct WireReading {
    /// The device's name.
    pub device_id: String,
    /// The region's name.
    pub region: String,
    /// Degrees Celsius, digit by digit as in the file.
    pub temperature_c: Box<RawValue>,
    /// RFC 3339, or Unix milliseconds as a number.
    pub timestamp: serde_json::Value,
}

/// Where in a file the parts of a reading are.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The device.
    pub device: Field,
    /// The region.
    pub region: Field,
    /// The temperature in degrees Celsius.
    pub temperature: String,
    /// The time: Unix milliseconds, or a date with or without a time of day,
    /// which is UTC unless it says otherwise.
    pub timestamp: String,
}

/// A part of a reading: one for the whole file, or a column of it.
#[derive(Clone, Debug)]
pub enum Field {
    /// The same for all rows.
    Fixed(String),
    /// The name of a column.
    Column(String),
}

impl Default for Columns {
    /// The names of the fields of a JSON reading.
    fn default() -> Self {
        Self {
            device: Field::Column("device_id".to_owned()),
            region: Field::Column("region".to_owned()),
            temperature: "temperature_c".to_owned(),
            timestamp: "timestamp".to_owned(),
        }
    }
}

/// Reads all rows of the file at `path`. Rows without a temperature are left
/// out: files of measurements have gaps.
pub fn read(path: &Path, columns: &Columns) -> Result<Vec<WireReading>> {
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("{} can't be read", path.display()))?;
    let headers = reader.headers()?.clone();
    let position = |name: &str| {
        headers.iter().position(|header| header == name).with_context(|| {
            let known = headers.iter().collect::<Vec<_>>().join(", ");
            format!("{} has no column {name}; it has {known}", path.display())
        })
    };
    let part = |field: &Field| match field {
        Field::Fixed(text) => Ok(Err(to_name(text))),
        Field::Column(name) => position(name).map(Ok),
    };
    let (device, region) = (part(&columns.device)?, part(&columns.region)?);
    let (temperature, timestamp) = (position(&columns.temperature)?, position(&columns.timestamp)?);

    let mut readings = Vec::new();
    for record in reader.records() {
        let record = record?;
        let text = |index: usize| record.get(index).unwrap_or_default().trim();
        if text(temperature).is_empty() {
            continue;
        }
        let name = |part: &Result<usize, String>| match part {
            Ok(index) => to_name(text(*index)),
            Err(fixed) => fixed.clone(),
        };
        let line = record.position().map_or(0, csv::Position::line);
        readings.push(WireReading {
            device_id: name(&device),
            region: name(&region),
            temperature_c: RawValue::from_string(text(temperature).to_owned())
                .with_context(|| format!("line {line}: {:?} is no number", text(temperature)))?,
            timestamp: to_timestamp(text(timestamp)).with_context(|| format!("line {line}"))?,
        });
    }
    Ok(readings)
}

/// A name that Isotherm takes: other characters become hyphens.
fn to_name(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    text.chars().map(|c| if safe(c) { c } else { '-' }).collect()
}

/// Completes what a file leaves out: midnight, seconds, UTC.
fn to_timestamp(text: &str) -> Result<serde_json::Value> {
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(millis.into());
    }
    let text = text.replacen(' ', "T", 1);
    let complete = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text,
    };
    if isotherm::reading::UnixMillis::parse_rfc3339(&complete).is_none() {
        bail!("{complete:?} is no time");
    }
    Ok(complete.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_completed_as_utc() {
        for (text, expected) in [
            ("2010-01-01", "2010-01-01T00:00:00Z"),
            ("2010-01-01 05:30", "2010-01-01T05:30:00Z"),
            ("2010-01-01T05:30:01", "2010-01-01T05:30:01Z"),
            ("2010-01-01T05:30:01+02:00", "2010-01-01T05:30:01+02:00"),
        ] {
            assert_eq!(to_timestamp(text).unwrap(), expected, "{text}");
        }
        assert_eq!(to_timestamp("1262304000000").unwrap(), 1_262_304_000_000_i64);
        assert!(to_timestamp("01/02/2010").is_err());
    }

    #[test]
    fn names_are_made_safe() {
        assert_eq!(to_name("New York"), "New-York");
    }
}

//! Parsers of request bodies: bytes in, items or an object out.
//!
//! Imports `base`, `domain` and `limits`.

pub mod answer;
pub mod batch;
pub(crate) mod csv;
mod csv_row;
pub(crate) mod gzip;
pub(crate) mod item;
pub(crate) mod json;
pub(crate) mod json_fields;
pub(crate) mod json_items;
mod json_place;
mod json_plain;
pub(crate) mod line;
pub(crate) mod line_readings;
mod line_scan;
pub(crate) mod line_time;
pub(crate) mod ndjson;
pub(crate) mod object;
#[cfg(test)]
mod samples;
pub(crate) mod senml;
mod senml_labels;

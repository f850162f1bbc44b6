//! A sender of readings, as a careful sensor gateway would be.
//!
//! - [`growth`]: a year of generated readings, and how long answers take with it;
//! - [`table`]: CSV files as readings, whatever their columns are called;
//! - [`times`], [`pattern`]: what the times of a file mean;
//! - [`left_out`]: why a row is not sent;
//! - [`sender`]: batches over HTTP, sent again until they are acknowledged.

#![forbid(unsafe_code)]

pub mod growth;
pub mod left_out;
pub mod pattern;
pub mod sender;
pub mod table;
pub mod times;

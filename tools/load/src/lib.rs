//! A sender of readings, as a careful sensor gateway would be.
//!
//! - [`growth`]: a year of generated readings, and how long answers take with it;
//! - [`table`]: CSV files as readings, whatever their columns are called;
//! - [`number`], [`times`], [`pattern`]: what its temperatures and times mean;
//! - [`left_out`]: why a row is not sent;
//! - [`summary`]: what became of a file's rows, in words;
//! - [`replay`]: its readings, sent, and what became of each;
//! - [`sender`]: batches over HTTP, sent again until they are acknowledged.

#![forbid(unsafe_code)]

pub mod growth;
pub mod left_out;
pub mod number;
pub mod pattern;
pub mod replay;
pub mod sender;
pub mod summary;
pub mod table;
pub mod times;

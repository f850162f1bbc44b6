//! A sender of readings, as a careful sensor gateway would be.
//!
//! - [`table`]: CSV files as readings, whatever their columns are called;
//! - [`sender`]: batches over HTTP, sent again until they are acknowledged.

#![forbid(unsafe_code)]

pub mod sender;
pub mod table;

//! Sends readings, as a careful sensor gateway would.
//!
//! - [`growth`]: a year of generated readings, and how long answers take with them;
//! - [`table`]: CSV files as readings, with any names of columns;
//! - [`number`], [`times`], [`pattern`]: how its temperatures and times are parsed;
//! - [`import`]: the command that sends a file;
//! - [`left_out`]: why a row is not sent;
//! - [`summary`]: what became of a file's rows, in words;
//! - [`replay`]: sends a file's readings, and tells what became of each;
//! - [`progress`]: how far long work has come, for all commands of the project;
//! - [`scenario`]: two days of nine cold rooms, and what is true of them;
//! - [`sender`]: batches over HTTP, sent again until they are acknowledged.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command prints to a terminal")]

pub mod delivered;
pub mod growth;
pub mod import;
pub mod left_out;
pub mod number;
pub mod pattern;
pub mod progress;
pub mod replay;
pub mod scenario;
pub mod sender;
pub mod summary;
pub mod table;
pub mod times;
pub mod url;

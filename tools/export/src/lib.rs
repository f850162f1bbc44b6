//! Writes the single readings of a range to a file, and checks it by the service's figures.
//!
//! - [`run`]: the pages of `GET /v1/readings`, one after the other, into a file;
//! - [`command`]: the command;
//! - [`client`]: requests that are repeated while the service is not ready;
//! - [`page`]: a page of readings, and what it covers;
//! - [`figures`]: how many readings the service counts, and their sum;
//! - [`file`](mod@file): the file, under a temporary name until it is whole;
//! - [`table`]: a file of Parquet;
//! - [`progress`]: how far long work is, in a terminal or in a log.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command prints to a terminal")]

pub mod client;
pub mod command;
pub mod figures;
pub mod file;
pub mod page;
pub mod progress;
pub mod run;
pub mod table;

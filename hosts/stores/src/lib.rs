//! The two stores in files, with the semantics and the file formats of Spin's local ones: what one
//! runtime wrote, the other reads. No runtime is needed for them, so that what measures or tests
//! the application natively builds without one.
//!
//! - [`DatabaseFile`]: SQLite, with a `pool` of connections;
//! - [`KeyValueFile`]: key-value, with `group` commits;
//! - [`results`]: the bound on what they return;
//! - [`native`]: a host without WebAssembly over both, for native tests;
//! - [`random`]: numbers that are the same in every run.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

mod database_file;
mod group;
mod key_value_file;
pub mod native;
mod pool;
pub mod random;
pub mod results;

pub use database_file::{Answer, DatabaseConnection, DatabaseFile};
pub use key_value_file::KeyValueFile;

/// A failure in words: all that a component gets.
pub type Failure = String;

/// A key and its value.
pub type Pair = (String, Vec<u8>);

/// Takes a line for whoever runs the stores: the log is theirs.
pub type Say = fn(&str);

/// Says it on standard error, for programs without a log.
pub fn to_stderr(line: &str) {
    // What can't be written there is lost: there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)
        .with_context(|| format!("the directory {} can't be created", parent.display()))
}

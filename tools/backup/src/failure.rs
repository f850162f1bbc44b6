//! Why there is no backup.

use std::fmt;

/// What kind of a failure it is. Its number is what a command ends with, and the script's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// None of the others.
    Other = 1,
    /// The arguments can't be meant.
    Arguments = 2,
    /// A file is missing.
    Missing = 3,
    /// Another run is under way.
    UnderWay = 4,
    /// A store is damaged, or not the one that it should be.
    Damaged = 5,
    /// It can't be written, for instance because the disk is full.
    CannotWrite = 6,
    /// The backup is not what was made.
    Changed = 7,
    /// A service has the stores open.
    InUse = 8,
}

/// Why there is no backup, or none was restored, in a line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub kind: Kind,
    said: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into() }
    }

    /// Of a call of SQLite about `what`.
    pub(crate) fn of_sqlite(what: &str, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, ReadOnly, SystemIoFailure,
        };
        let kind = match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Kind::Damaged,
            Some(DiskFull | SystemIoFailure | ReadOnly) => Kind::CannotWrite,
            Some(CannotOpen) => Kind::Missing,
            _ => Kind::Other,
        };
        Self::new(kind, format!("{what}: {}", one_line(&error.to_string())))
    }
}

/// What may have several lines, in one.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Failure {}

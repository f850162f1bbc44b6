//! A database: in a file, or on a server.

use isotherm_stores::{Answer, DatabaseConnection, DatabaseFile, Failure};
use rusqlite::types::Value;

use crate::libsql::{LibSqlConnection, LibSqlServer};

/// A database, which can be connected to.
#[derive(Clone)]
pub enum Database {
    /// In a file.
    File(DatabaseFile),
    /// On a server of libSQL.
    Server(LibSqlServer),
}

/// A connection to a database.
pub enum Connected {
    /// To a file.
    File(DatabaseConnection),
    /// To a server.
    Server(LibSqlConnection),
}

impl Database {
    /// A connection that is opened on first use.
    pub fn connect(&self) -> Connected {
        match self {
            Self::File(file) => Connected::File(file.connect()),
            Self::Server(server) => Connected::Server(server.connect()),
        }
    }
}

impl Connected {
    /// Runs one statement and returns its rows.
    pub fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Answer, Failure> {
        match self {
            Self::File(connection) => connection.execute(statement, parameters),
            Self::Server(connection) => connection.execute(statement, parameters),
        }
    }

    /// Rows changed by the last INSERT, UPDATE or DELETE.
    pub fn changes(&self) -> Result<u64, Failure> {
        match self {
            Self::File(connection) => connection.changes(),
            Self::Server(connection) => Ok(connection.changes()),
        }
    }

    /// The rowid of the last INSERT.
    pub fn last_insert_rowid(&self) -> Result<i64, Failure> {
        match self {
            Self::File(connection) => connection.last_insert_rowid(),
            Self::Server(connection) => Ok(connection.last_insert_rowid()),
        }
    }
}

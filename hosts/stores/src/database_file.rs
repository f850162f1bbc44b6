//! A SQLite database in a file.
//!
//! Every `open` of a database is a connection with SQLite's own busy handler of five seconds: a new
//! one, as in Spin, or one that was kept ([`crate::pool`]).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use rusqlite::Connection;
use rusqlite::types::{FromSql, Value, ValueRef};

use crate::pool::{InUse, Pool};
use crate::results::{RESULT_BYTES_MAX, size, too_large};
use crate::{Failure, Say, create_parent};

/// A SQLite database in a file. Each connection to it is a new one.
#[derive(Clone)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Connections that are kept, if any are.
    pool: Option<Arc<Pool>>,
}

/// The answer to one statement.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

impl DatabaseFile {
    /// The database at `path`. Its directory is created if it does not exist.
    pub fn new(path: &Path) -> Result<Self> {
        create_parent(path)?;
        Ok(Self { path: path.to_owned(), pool: None })
    }

    /// The same with connections that are kept when they are not used any more. A log of SQLite that
    /// can't be moved is told to `say`.
    pub fn with_kept_connections(path: &Path, say: Say) -> Result<Self> {
        Ok(Self { pool: Some(Pool::new(path, say)), ..Self::new(path)? })
    }

    /// A connection that is opened on first use.
    pub fn connect(&self) -> DatabaseConnection {
        DatabaseConnection { file: self.clone(), connection: Mutex::new(None) }
    }
}

/// A connection to a database.
pub struct DatabaseConnection {
    file: DatabaseFile,
    connection: Mutex<Option<InHand>>,
}

enum InHand {
    /// It is closed at the end.
    Own(Connection),
    /// It is given back at the end.
    Kept(InUse),
}

impl Drop for DatabaseConnection {
    fn drop(&mut self) {
        let opened = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(InHand::Kept(in_use)), Some(pool)) = (opened, &self.file.pool) {
            pool.give_back(in_use);
        }
    }
}

impl DatabaseConnection {
    fn with<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let in_words = |error: rusqlite::Error| error.to_string();
        let opened = match (guard.take(), &self.file.pool) {
            (Some(opened), _) => opened,
            (None, Some(pool)) => InHand::Kept(pool.take().map_err(in_words)?),
            (None, None) => InHand::Own(Connection::open(&self.file.path).map_err(in_words)?),
        };
        let connection = match guard.insert(opened) {
            InHand::Own(connection) => connection,
            InHand::Kept(in_use) => &in_use.connection,
        };
        run(connection).map_err(in_words)
    }

    /// Runs the first statement in `statement` and returns its rows.
    #[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
    pub fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Answer, Failure> {
        let answer = self.with(|connection| {
            let mut prepared = connection.prepare_cached(statement)?;
            let columns: Vec<String> =
                prepared.column_names().into_iter().map(ToOwned::to_owned).collect();
            let width = columns.len();
            let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<Value>> {
                (0..width).map(|column| row.get_ref(column).and_then(owned)).collect()
            };
            let rows = prepared.query_map(rusqlite::params_from_iter(parameters), row)?;
            Ok(Answer { columns, rows: rows.collect::<Result<_, _>>()? })
        })?;
        let bytes: usize = answer.rows.iter().flatten().map(size).sum();
        if bytes > RESULT_BYTES_MAX { Err(too_large()) } else { Ok(answer) }
    }

    /// Rows changed by the last INSERT, UPDATE or DELETE.
    pub fn changes(&self) -> Result<u64, Failure> {
        self.with(|connection| Ok(connection.changes()))
    }

    /// The rowid of the last INSERT.
    pub fn last_insert_rowid(&self) -> Result<i64, Failure> {
        self.with(|connection| Ok(connection.last_insert_rowid()))
    }
}

fn owned(value: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(Value::column_result(value)?)
}

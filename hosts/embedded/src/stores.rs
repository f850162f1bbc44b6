//! The two stores, with the semantics and the file formats of Spin's local ones: what
//! one runtime wrote, the other reads.
//!
//! Every `open` of a database is a connection with SQLite's own busy handler of five seconds: a new
//! one, as in Spin, or one that was kept ([`crate::pool`]). [`KeyValueFile`] has a module of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rusqlite::Connection;
use rusqlite::types::{FromSql, Value, ValueRef};

pub use crate::key_value_file::KeyValueFile;
use crate::pool::{InUse, Pool};

/// The most bytes that the host returns from one call, as in Spin.
pub(crate) const RESULT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A failure in words: all that a component gets.
pub type Failure = String;

/// A key and its value.
pub type Pair = (String, Vec<u8>);

pub(crate) fn too_large() -> Failure {
    format!("query result exceeds limit of {RESULT_BYTES_MAX} bytes")
}

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

    /// The same with connections that are kept when they are not used any more.
    pub fn with_kept_connections(path: &Path) -> Result<Self> {
        Ok(Self { pool: Some(Pool::new(path)), ..Self::new(path)? })
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

pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
    }
}

pub(crate) fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)
        .with_context(|| format!("the directory {} can't be created", parent.display()))
}

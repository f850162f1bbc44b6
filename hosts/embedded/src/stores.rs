//! The two stores, with the semantics and the file formats of Spin's local ones: what
//! one runtime wrote, the other reads.
//!
//! As in Spin, a key-value file is one connection behind one lock; what is stored at the same time
//! shares a commit ([`crate::group`]). Every `open` of a database is a connection with SQLite's own
//! busy handler of five seconds: a new one, as in Spin, or one that was kept ([`crate::pool`]).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Connection, named_params, params};

use crate::group::Group;
use crate::log;
use crate::pool::{FileId, InUse, Pool, id_of};

/// The most bytes that the host returns from one call, as in Spin.
pub(crate) const RESULT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A key-value store in a file. Cloning shares the connection.
#[derive(Clone)]
pub struct KeyValueFile {
    shared: Arc<Shared>,
    store: String,
}

struct Shared {
    path: PathBuf,
    connection: Mutex<Opened>,
    /// Writes of several requests at once.
    group: Group<Vec<Pair>>,
}

/// A connection, and the file that it was opened on.
struct Opened {
    connection: Connection,
    file: Option<FileId>,
}

impl Opened {
    fn new(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS spin_key_value (
                 store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                 PRIMARY KEY (store, key))",
            [],
        )?;
        rusqlite::vtab::array::load_module(&connection)?;
        Ok(Self { connection, file: id_of(path) })
    }
}

/// A failure in words: all that a component gets.
pub type Failure = String;

/// A key and its value.
pub type Pair = (String, Vec<u8>);

impl KeyValueFile {
    /// Opens the store `label` in the file at `path`, which is created if it does not
    /// exist. A file in WAL mode stays in WAL mode.
    pub fn open(path: &Path, label: &str) -> Result<Self> {
        create_parent(path)?;
        let opened = Opened::new(path)
            .with_context(|| format!("the key-value file {} can't be opened", path.display()))?;
        let connection = Mutex::new(opened);
        let shared = Shared { path: path.to_owned(), connection, group: Group::default() };
        Ok(Self { shared: Arc::new(shared), store: label.to_owned() })
    }

    /// Puts the file at `path` into WAL mode, in which a commit has one sync in place of three. It is
    /// created if it does not exist, with small pages: entries are small.
    ///
    /// # Errors
    ///
    /// It is no database, can't be written, or is in use by another process.
    pub fn set_wal(path: &Path) -> Result<()> {
        create_parent(path)?;
        let cant = || format!("the key-value file {} can't be put into WAL mode", path.display());
        let connection = Connection::open(path).with_context(cant)?;
        connection.pragma_update(None, "page_size", 1_024).with_context(cant)?;
        connection.pragma_update(None, "journal_mode", "WAL").with_context(cant)?;
        // In a file that has the mode already, nothing was written so far.
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").with_context(cant)
    }

    /// The connection to the file that is there now: one that was removed or replaced has nothing
    /// for the next start.
    fn connection(&self) -> rusqlite::Result<MutexGuard<'_, Opened>> {
        // After a panic elsewhere, SQLite still keeps the connection consistent.
        let mut opened = self.shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if id_of(&self.shared.path) != opened.file {
            log::say(&format!("{} was replaced, and is opened again", self.shared.path.display()));
            let mode = opened.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0));
            let is_wal = mode.is_ok_and(|mode: String| mode == "wal");
            *opened = Opened::new(&self.shared.path)?;
            if is_wal {
                opened.connection.pragma_update(None, "journal_mode", "WAL")?;
            }
        }
        Ok(opened)
    }

    /// Stores `value` under `key` in one transaction, synced when it returns.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        self.set_many(&[(key.to_owned(), value.to_vec())])
    }

    /// Stores all pairs in one transaction, which has what others store at the same time, too.
    pub fn set_many(&self, pairs: &[Pair]) -> Result<(), Failure> {
        self.shared.group.write(pairs.to_vec(), |writes| self.commit(writes))
    }

    /// Commits of `set` and `set_many` so far, and how many calls were in them.
    pub fn commits(&self) -> (u64, u64) {
        self.shared.group.counted()
    }

    fn commit(&self, writes: &[Vec<Pair>]) -> Result<(), Failure> {
        let run = || -> rusqlite::Result<()> {
            let mut opened = self.connection()?;
            let transaction = opened.connection.transaction()?;
            for (key, value) in writes.iter().flatten() {
                transaction
                    .prepare_cached(
                        "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
                         ON CONFLICT(store, key) DO UPDATE SET value = ?3",
                    )?
                    .execute(params![self.store, key, value])?;
            }
            transaction.commit()
        };
        run().map_err(in_debug_words)
    }

    /// Those of `keys` that exist, with their values, in any order.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, Failure> {
        let run = || -> rusqlite::Result<Vec<Pair>> {
            self.connection()?
                .connection
                .prepare_cached(
                    "SELECT key, value FROM spin_key_value
                     WHERE store = :store AND key IN rarray(:keys)",
                )?
                .query_map(
                    named_params! {":store": self.store, ":keys": array(keys)},
                    <Pair>::try_from_row,
                )?
                .collect()
        };
        let pairs = run().map_err(in_debug_words)?;
        let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
        if bytes > RESULT_BYTES_MAX { Err(too_large()) } else { Ok(pairs) }
    }

    /// The value under `key`, if there is one.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.get_many(&[key.to_owned()])?.into_iter().next().map(|(_, value)| value))
    }

    /// Stores `new` under `key` if `old` is there; returns whether it was. As in Spin,
    /// without `old` any value is overwritten.
    pub fn swap(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, Failure> {
        let Some(old) = old else { return self.set(key, new).map(|()| true) };
        let run = || -> rusqlite::Result<usize> {
            self.connection()?
                .connection
                .prepare_cached(
                    "UPDATE spin_key_value SET value = ?4
                     WHERE store = ?1 AND key = ?2 AND value = ?3",
                )?
                .execute(params![self.store, key, old, new])
        };
        run().map(|changed| changed == 1).map_err(in_debug_words)
    }

    /// Removes `keys` in one transaction; absent ones are no error.
    pub fn delete_many(&self, keys: &[String]) -> Result<(), Failure> {
        let run = || -> rusqlite::Result<usize> {
            self.connection()?
                .connection
                .prepare_cached(
                    "DELETE FROM spin_key_value WHERE store = :store AND key IN rarray(:keys)",
                )?
                .execute(named_params! {":store": self.store, ":keys": array(keys)})
        };
        run().map(drop).map_err(in_debug_words)
    }

    /// All keys, in any order.
    pub fn keys(&self) -> Result<Vec<String>, Failure> {
        let run = || -> rusqlite::Result<Vec<String>> {
            self.connection()?
                .connection
                .prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?
                .query_map([&self.store], |row| row.get(0))?
                .collect()
        };
        let keys = run().map_err(in_debug_words)?;
        let bytes: usize = keys.iter().map(|key| key.len() + 24).sum();
        if bytes > RESULT_BYTES_MAX { Err(too_large()) } else { Ok(keys) }
    }
}

/// For `query_map`.
trait TryFromRow: Sized {
    fn try_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
}

impl TryFromRow for Pair {
    fn try_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok((row.get(0)?, row.get(1)?))
    }
}

fn array(keys: &[String]) -> Rc<Vec<Value>> {
    Rc::new(keys.iter().cloned().map(Value::from).collect())
}

/// Spin returns key-value errors in Rust's `Debug` form.
fn in_debug_words(error: rusqlite::Error) -> Failure {
    format!("{error:?}")
}

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

fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)
        .with_context(|| format!("the directory {} can't be created", parent.display()))
}

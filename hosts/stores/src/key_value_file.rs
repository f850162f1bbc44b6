//! A key-value store in a file, in Spin's format.
//!
//! As in Spin, what writes is one connection behind one lock; what is stored at the same time shares
//! a commit ([`crate::group`]). In WAL mode, what reads has a second one.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, named_params, params};

use crate::group::Group;
use crate::pool::{FileId, id_of};
use crate::results::{RESULT_BYTES_MAX, too_large};
use crate::{Failure, Pair, Say, create_parent};

/// A key-value store in a file. Cloning shares the connection.
#[derive(Clone)]
pub struct KeyValueFile {
    shared: Arc<Shared>,
    store: String,
}

struct Shared {
    path: PathBuf,
    connection: Mutex<Opened>,
    /// A second connection, for a file in WAL mode: what reads does not wait for a commit.
    reader: Mutex<Option<Opened>>,
    /// Writes of several requests at once.
    group: Group<Vec<Pair>>,
    say: Say,
}

/// A connection, and the file that it was opened on.
struct Opened {
    connection: Connection,
    file: Option<FileId>,
    is_wal: bool,
}

/// Pages in the write-ahead log from which on a commit copies them into the file: eight megabytes of
/// small pages, eight times SQLite's default. What was folded and removed meanwhile is not copied.
const LOG_PAGES: u32 = 8_000;

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
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        Ok(Self { connection, file: id_of(path), is_wal: mode == "wal" })
    }
}

impl KeyValueFile {
    /// Opens the store `label` in the file at `path`, which is created if it does not
    /// exist. A file in WAL mode stays in WAL mode. One that was replaced is told to `say`.
    pub fn open(path: &Path, label: &str, say: Say) -> Result<Self> {
        create_parent(path)?;
        let opened = Opened::new(path)
            .with_context(|| format!("the key-value file {} can't be opened", path.display()))?;
        let connection = Mutex::new(opened);
        let (path, reader) = (path.to_owned(), Mutex::default());
        let shared = Shared { path, connection, reader, group: Group::default(), say };
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
            let path = self.shared.path.display();
            (self.shared.say)(&format!("{path} was replaced, and is opened again"));
            let was_wal = opened.is_wal;
            *opened = Opened::new(&self.shared.path)?;
            if was_wal {
                opened.connection.pragma_update(None, "journal_mode", "WAL")?;
                opened.is_wal = true;
            }
        }
        Ok(opened)
    }

    /// Runs what reads alone. In WAL mode it has a connection of its own, and sees all that was
    /// committed before; otherwise it waits for the one that writes.
    fn read<T>(&self, run: impl Fn(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let mut reader = self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let file = id_of(&self.shared.path);
        if let Some(opened) = reader.as_ref().filter(|opened| opened.file == file) {
            return run(&opened.connection);
        }
        // There is none, or the file was replaced: the one that writes is opened again first.
        let writer = self.connection()?;
        *reader = match writer.is_wal {
            true => Some(Opened::new(&self.shared.path)?),
            false => None,
        };
        run(&writer.connection)
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
        let run = |connection: &Connection| -> rusqlite::Result<Vec<Pair>> {
            connection
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
        let pairs = self.read(run).map_err(in_debug_words)?;
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
        let run = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
            connection
                .prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?
                .query_map([&self.store], |row| row.get(0))?
                .collect()
        };
        let keys = self.read(run).map_err(in_debug_words)?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::to_stderr;

    fn in_wal_mode(directory: &TempDir) -> KeyValueFile {
        let path = directory.path().join("kv.db");
        KeyValueFile::set_wal(&path).unwrap();
        let store = KeyValueFile::open(&path, "default", to_stderr).unwrap();
        store.set("key", b"1").unwrap();
        assert_eq!(store.get("key"), Ok(Some(b"1".to_vec())));
        store
    }

    #[test]
    fn what_reads_does_not_wait_for_a_commit() {
        let directory = TempDir::new().unwrap();
        let store = in_wal_mode(&directory);
        let under_way = store.connection().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = store.clone();
        std::thread::spawn(move || sender.send((other.get("key"), other.keys())).unwrap());
        let found = receiver.recv_timeout(Duration::from_secs(10));
        let expected = (Ok(Some(b"1".to_vec())), Ok(vec!["key".to_owned()]));
        assert_eq!(found.unwrap(), expected);
        drop(under_way);
    }

    #[test]
    fn what_was_committed_is_read_also_from_a_file_that_took_the_place() {
        let directory = TempDir::new().unwrap();
        let store = in_wal_mode(&directory);
        for number in 0..100_u8 {
            store.set("key", &[number]).unwrap();
            assert_eq!(store.get("key"), Ok(Some(vec![number])));
        }
        for name in ["kv.db", "kv.db-wal", "kv.db-shm"] {
            std::fs::remove_file(directory.path().join(name)).unwrap();
        }
        assert_eq!(store.get("key"), Ok(None));
        store.set("key", b"2").unwrap();
        assert_eq!(store.get("key"), Ok(Some(b"2".to_vec())));
        let again =
            KeyValueFile::open(&directory.path().join("kv.db"), "default", to_stderr).unwrap();
        assert_eq!(again.get("key"), Ok(Some(b"2".to_vec())));
    }
}

//! Connections to a database that are kept between requests: statements and the schema are parsed
//! once, and no request opens files.
//!
//! A connection is given back only when it is as a new one is: without a transaction. It is
//! taken again only while the file is the one that it was opened on, so that a database that was put
//! aside or restored is seen by the next request.
//!
//! While there are connections, nobody closes the last one, at which SQLite would move the
//! write-ahead log into the database. A commit does not either: a thread does, beside the requests.
//! After some seconds without requests the connections are closed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Say;

/// The most connections that are kept, each with a page cache of 2 MiB at most.
const KEPT_MAX: usize = 4;

/// SQLite's own busy handler, as in Spin.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// From this size on the log is moved into the database: 1,000 pages, SQLite's own measure.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// From this size on, requests wait for that: otherwise readers that follow each other without a gap
/// would let it grow for ever, as it begins anew only when nobody reads it.
const LOG_BYTES_TOO_MANY: u64 = 16 * LOG_BYTES_MAX;

/// The log is moved at most so often.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// How long a connection is kept that nobody takes.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// What a file is known by.
pub(crate) type FileId = (u64, u64);

/// The kept connections to one file.
pub(crate) struct Pool {
    path: PathBuf,
    kept: Mutex<Vec<Kept>>,
    is_checkpointing: AtomicBool,
    /// When the log was last moved, or tried to be.
    checkpointed: Mutex<Option<Instant>>,
    /// Whether a thread closes those that nobody takes.
    is_closing: AtomicBool,
    say: Say,
}

struct Kept {
    connection: Connection,
    file: FileId,
    since: Instant,
}

/// A connection in use, and the file that it was opened on, if that was there.
pub(crate) struct InUse {
    pub(crate) connection: Connection,
    file: Option<FileId>,
}

pub(crate) fn id_of(path: &Path) -> Option<FileId> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

impl Pool {
    pub(crate) fn new(path: &Path, say: Say) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            kept: Mutex::default(),
            is_checkpointing: AtomicBool::new(false),
            checkpointed: Mutex::default(),
            is_closing: AtomicBool::new(false),
            say,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was kept, or a new one.
    pub(crate) fn take(&self) -> rusqlite::Result<InUse> {
        let file = id_of(&self.path);
        let mut kept = self.kept();
        // Those to a file that is not there any more would write to nowhere.
        kept.retain(|one| Some(one.file) == file);
        if let Some(Kept { connection, file, .. }) = kept.pop() {
            return Ok(InUse { connection, file: Some(file) });
        }
        drop(kept);
        let connection = Connection::open(&self.path)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Otherwise the file of the log stays as long as it ever was.
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX / 4)?;
        Ok(InUse { connection, file: id_of(&self.path) })
    }

    /// Keeps a connection, or closes it.
    pub(crate) fn give_back(self: &Arc<Self>, in_use: InUse) {
        let InUse { connection, file } = in_use;
        let is_clean = connection.is_autocommit() && connection.busy_timeout(BUSY_TIMEOUT).is_ok();
        let Some(file) = file.filter(|_| is_clean) else { return };
        self.keep(connection, file);
        if self.log_bytes() >= LOG_BYTES_MAX
            && self.is_time()
            && !self.is_checkpointing.swap(true, Ordering::AcqRel)
        {
            let pool = self.clone();
            std::thread::spawn(move || {
                if let Err(error) = pool.checkpoint() {
                    let path = pool.path.display();
                    (pool.say)(&format!("the log of {path} stays as it is: {error}"));
                }
                pool.is_checkpointing.store(false, Ordering::Release);
            });
        }
    }

    fn log_bytes(&self) -> u64 {
        let log = PathBuf::from(format!("{}-wal", self.path.display()));
        std::fs::metadata(log).map_or(0, |data| data.len())
    }

    /// Whether it was long ago. The file of the log does not say how much of it is new.
    #[expect(clippy::disallowed_methods, reason = "how often it is done is the machine's time")]
    fn is_time(&self) -> bool {
        let mut last = self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| last.elapsed() >= CHECKPOINT_EVERY);
        if is_time {
            *last = Some(Instant::now());
        }
        is_time
    }

    /// Moves the log into the database. Readers and writers go on meanwhile, unless it is far too
    /// long.
    fn checkpoint(self: &Arc<Self>) -> rusqlite::Result<()> {
        let InUse { connection, file } = self.take()?;
        let mode = if self.log_bytes() < LOG_BYTES_TOO_MANY { "PASSIVE" } else { "RESTART" };
        let statement = format!("PRAGMA wal_checkpoint({mode})");
        connection.query_row(&statement, [], |_row| Ok(()))?;
        if let Some(file) = file {
            self.keep(connection, file);
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "how long it is kept is the machine's time")]
    fn keep(self: &Arc<Self>, connection: Connection, file: FileId) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.push(Kept { connection, file, since: Instant::now() });
        }
        drop(kept);
        if !self.is_closing.swap(true, Ordering::AcqRel) {
            let pool = Arc::downgrade(self);
            std::thread::spawn(move || {
                while let Some(pool) = pool.upgrade() {
                    if pool.close_idle() {
                        return;
                    }
                    drop(pool);
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
        }
    }

    /// Closes those that nobody has taken for some seconds: then the log is moved, and the file is
    /// nobody's. Returns whether there are none left.
    fn close_idle(&self) -> bool {
        let mut kept = self.kept();
        // They are taken from the end.
        let count = kept.iter().take_while(|one| one.since.elapsed() >= IDLE_MAX).count();
        let idle: Vec<Kept> = kept.drain(..count).collect();
        let is_empty = kept.is_empty();
        if is_empty {
            self.is_closing.store(false, Ordering::Release);
        }
        drop(kept);
        // SQLite may move the whole log here.
        drop(idle);
        is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_stderr;

    fn count(pool: &Arc<Pool>) -> i64 {
        let in_use = pool.take().unwrap();
        let count = in_use.connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        pool.give_back(in_use);
        count.unwrap()
    }

    #[test]
    fn a_connection_is_kept_if_it_is_clean_and_the_file_is_the_same() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("regions.db");
        let pool = Pool::new(&path, to_stderr);
        let run = |statement: &str| {
            let in_use = pool.take().unwrap();
            in_use.connection.execute_batch(statement).unwrap();
            pool.give_back(in_use);
        };
        run("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        assert_eq!(pool.kept().len(), 1);
        // One with a transaction is closed, which takes it back.
        run("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");
        assert_eq!(pool.kept().len(), 0);
        assert_eq!(count(&pool), 1);
        // Another database is put in the place of this one.
        let other = directory.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        for name in ["regions.db-wal", "regions.db-shm"] {
            drop(std::fs::remove_file(directory.path().join(name)));
        }
        std::fs::rename(other, &path).unwrap();
        assert_eq!(count(&pool), 0);
    }

    #[test]
    fn a_log_that_was_long_once_is_not_moved_with_each_request() {
        let directory = tempfile::TempDir::new().unwrap();
        let pool = Pool::new(&directory.path().join("regions.db"), to_stderr);
        assert!(pool.is_time());
        assert!((0..100).all(|_| !pool.is_time()));
    }

    #[test]
    fn what_nobody_takes_is_closed_and_the_log_goes_with_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("regions.db");
        let pool = Pool::new(&path, to_stderr);
        let in_use = pool.take().unwrap();
        in_use.connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        pool.give_back(in_use);
        let log = directory.path().join("regions.db-wal");
        assert!(log.exists());
        while log.exists() {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(pool.kept().len(), 0);
        assert_eq!(count(&pool), 0);
    }

    #[test]
    fn a_long_log_is_moved_into_the_database_beside_the_requests() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("regions.db");
        let pool = Pool::new(&path, to_stderr);
        let in_use = pool.take().unwrap();
        let large = "PRAGMA journal_mode = WAL; CREATE TABLE t (a);
                     INSERT INTO t VALUES (randomblob(6000000))";
        in_use.connection.execute_batch(large).unwrap();
        let before = std::fs::metadata(&path).unwrap().len();
        assert!(before < 1_000_000, "a commit does not move it: {before}");
        pool.give_back(in_use);
        while pool.is_checkpointing.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(std::fs::metadata(&path).unwrap().len() > 6_000_000);
    }
}

//! The seam: what the application needs from a runtime, as simple calls.
//!
//! Everything worth testing is on this side of it. A host is one crate below `hosts/`
//! that implements these traits by one-line forwards. `hosts/conformance` checks every
//! host against what is written here.
//!
//! Imports nothing.

mod outgoing;
pub mod sqlite;
mod variables;

use std::fmt;

pub(crate) use variables::Variables;

pub use outgoing::{HttpAnswer, HttpCall, SendError, SendErrorKind, SendLimits};

/// A runtime: its two stores, its variables, its log.
pub trait Host {
    /// An open key-value store.
    type KeyValue: KeyValue;
    /// An open database connection with a transaction of its own.
    type Sql: Sql;

    /// Opens the key-value store that holds the journal.
    fn key_value(&self) -> Result<Self::KeyValue, StoreError>;
    /// Opens a connection to the database that holds ledger and windows.
    fn sql(&self) -> Result<Self::Sql, StoreError>;
    /// The value of a configuration variable; `None` if it is not defined.
    fn variable(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// Milliseconds that never run backwards, from an arbitrary start. The clock may
    /// stand still between calls to a store or to `sleep_ms`, so a loop that must end
    /// also counts its steps.
    fn monotonic_ms(&self) -> u64;
    /// Waits, and lets other tasks run. Afterwards `monotonic_ms` is at least `ms`
    /// further.
    fn sleep_ms(&self, ms: u64);
    /// A random number, uniform over its type. Not for secrets.
    fn random(&self) -> u64;
    /// 256 random bits that nobody can guess: for secrets.
    fn secret(&self) -> Result<[u8; 32], StoreError>;
    /// The content of a file that is mounted with the component; `None` if there is
    /// none.
    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Sends a request to another server, and waits for the whole answer. An answer of
    /// any status is no error. A host that can't send answers `Unsupported`.
    fn send(&self, _call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
        Err(SendError::new(SendErrorKind::Unsupported, "this host sends no requests"))
    }
    /// Writes one line to the operator's log. Never pass a body or a token.
    fn log(&self, line: &str);
}

/// A key-value store. The effects of `set` and `delete_many` are durable when they
/// return.
pub trait KeyValue {
    /// Stores `value` under `key`, replacing what was there.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;
    /// The value under `key`, if there is one.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Stores `new` under `key` if `old` is there; returns whether it was. If `old` is
    /// `None`, an existing value may be overwritten: Spin's stores don't tell. Of several that
    /// store the same bytes at once, each may be told that it did.
    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError>;
    /// The values of `keys`, in any order; absent ones may be missing.
    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError>;
    /// Removes `keys`, at least one (Redis takes no empty list); absent ones are
    /// no error.
    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError>;
    /// All keys of the store, in any order.
    fn keys(&self) -> Result<Vec<String>, StoreError>;
}

/// A key and its value, if it has one.
pub type Pair = (String, Option<Vec<u8>>);

/// A database connection.
pub trait Sql {
    /// Runs one statement, with nothing after its last `;`, and returns its rows.
    /// `bindings` are the values of `?1`, `?2` and so on, at most `parameters_max`.
    ///
    /// An integer is bound as an INTEGER, and comes back exactly or as an error: on a
    /// host that binds doubles, `?1 / 60` is another number.
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError>;

    /// Calls `work` once, in one transaction, which ends as `work` says. After `Ok`,
    /// what was committed is on disk. After an error, nothing of the transaction is
    /// kept: `work` was not called, or its commit failed.
    ///
    /// A closure, because some databases don't accept BEGIN and COMMIT as statements.
    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError>;

    /// The most bindings of one statement, at least 16.
    fn parameters_max(&self) -> usize;

    /// The version last stored by `set_schema_version`; 0 in a new database.
    fn schema_version(&self) -> Result<i64, StoreError>;

    /// Stores the version of the schema, as part of the current transaction.
    fn set_schema_version(&self, version: i64) -> Result<(), StoreError>;
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionKind {
    /// May write. Takes the write lock at its start, or fails with `Busy`.
    Write,
    /// Only reads, and sees the database as of its first statement.
    Read,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is kept.
    Commit,
    /// Nothing is kept.
    RollBack,
}

/// A value of SQLite, of the types that the schema uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// INTEGER.
    Integer(i64),
    /// TEXT.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
    /// NULL.
    Null,
}

/// Why a call to a store failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// The kind of failure, as far as the runtime shows it.
    pub kind: StoreErrorKind,
    /// The runtime's message, for the log.
    pub message: String,
}

/// The kinds of failure that are handled differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another connection holds a lock; the same call may succeed later.
    Busy,
    /// No space left, or a quota reached.
    Full,
    /// The file is not a database any more, or a corrupt one.
    Damaged,
    /// The answer is larger than the runtime hands over. The store itself works.
    TooLarge,
    /// The runtime does not give the store to this component.
    Denied,
    /// Anything else.
    Other,
}

impl StoreError {
    /// Classifies the runtime's message: by SQLite's words for SQLITE_BUSY,
    /// SQLITE_LOCKED, SQLITE_FULL, SQLITE_CORRUPT and SQLITE_NOTADB, and by Spin's for
    /// an answer that is too large.
    pub fn from_message(message: impl Into<String>) -> Self {
        let message = message.into();
        let says = |words: &str| message.contains(words);
        let kind = if says("is locked") || says("SQLITE_BUSY") || says("DatabaseBusy") {
            StoreErrorKind::Busy
        } else if says("disk is full") || says("SQLITE_FULL") || says("DiskFull") {
            StoreErrorKind::Full
        } else if says("not a database") || says("is malformed") || says("NotADatabase") {
            StoreErrorKind::Damaged
        } else if says("result exceeds limit") {
            StoreErrorKind::TooLarge
        } else {
            StoreErrorKind::Other
        };
        Self { kind, message }
    }

    /// An error for a store that the component may not open.
    pub fn denied(message: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Denied, message: message.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_a_full_disk_and_a_damaged_file_are_told_apart() {
        for (message, kind) in [
            ("database is locked", StoreErrorKind::Busy),
            ("database table is locked: ledger", StoreErrorKind::Busy),
            ("SqliteFailure(Error { code: DatabaseBusy, .. })", StoreErrorKind::Busy),
            ("database or disk is full", StoreErrorKind::Full),
            ("SqliteFailure(Error { code: DiskFull, .. })", StoreErrorKind::Full),
            ("file is not a database", StoreErrorKind::Damaged),
            ("database disk image is malformed", StoreErrorKind::Damaged),
            ("query result exceeds limit of 134217728 bytes", StoreErrorKind::TooLarge),
            ("disk I/O error", StoreErrorKind::Other),
        ] {
            assert_eq!(StoreError::from_message(message).kind, kind, "{message}");
        }
    }
}

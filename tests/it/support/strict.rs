//! A host that has less than SQLite: no transaction and no pragma as statements, a hundred
//! bindings, no comment behind a statement, and a clock that stands still while a request
//! computes. So are Cloudflare's Durable Objects.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use isotherm::host::{Ending, Host, Sql, StoreError, TransactionKind, Value, sqlite};
use isotherm_stores::native::NativeHost;
use isotherm_stores::{DatabaseConnection, KeyValueFile};

/// The most bindings of one statement.
const PARAMETERS_MAX: usize = 100;

pub(crate) struct StrictHost {
    inner: NativeHost,
    slept_ms: AtomicU64,
    refused: Rc<RefCell<Vec<String>>>,
}

impl StrictHost {
    pub(crate) fn over(inner: NativeHost) -> Self {
        Self { inner, slept_ms: AtomicU64::new(0), refused: Rc::default() }
    }

    /// The statements that were refused.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.borrow().clone()
    }
}

impl Host for StrictHost {
    type KeyValue = KeyValueFile;
    type Sql = Strict;

    fn key_value(&self) -> Result<Self::KeyValue, StoreError> {
        self.inner.key_value()
    }

    fn sql(&self) -> Result<Self::Sql, StoreError> {
        Ok(Strict { inner: self.inner.sql()?, refused: self.refused.clone() })
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.variable(name)
    }

    fn monotonic_ms(&self) -> u64 {
        self.slept_ms.load(Ordering::Relaxed)
    }

    fn sleep_ms(&self, ms: u64) {
        self.slept_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        self.inner.secret()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.asset(name)
    }

    fn log(&self, line: &str) {
        self.inner.log(line);
    }
}

pub(crate) struct Strict {
    inner: DatabaseConnection,
    refused: Rc<RefCell<Vec<String>>>,
}

impl Strict {
    fn is_refused(statement: &str, bindings: &[Value]) -> bool {
        let first = statement.trim_start().split([' ', ';']).next().unwrap().to_uppercase();
        let words = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA"];
        let behind = statement.rsplit_once(';').map_or(statement, |(_, behind)| behind);
        words.contains(&first.as_str())
            || bindings.len() > PARAMETERS_MAX
            || behind.contains("--")
            || behind.contains("/*")
    }
}

impl Sql for Strict {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        if Self::is_refused(statement, bindings) {
            self.refused.borrow_mut().push(statement.to_owned());
            return Err(StoreError::from_message("not authorized"));
        }
        Sql::execute(&self.inner, statement, bindings)
    }

    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        sqlite::transaction(&self.inner, kind, work)
    }

    fn parameters_max(&self) -> usize {
        PARAMETERS_MAX
    }

    /// In a table, as the pragma is refused.
    fn schema_version(&self) -> Result<i64, StoreError> {
        let table = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER) STRICT";
        Sql::execute(&self.inner, table, &[])?;
        let rows = Sql::execute(&self.inner, "SELECT version FROM schema_version", &[])?;
        match rows.first().map(Vec::as_slice) {
            None => Ok(0),
            Some([Value::Integer(version)]) => Ok(*version),
            Some(_) => Err(StoreError::from_message("no version")),
        }
    }

    fn set_schema_version(&self, version: i64) -> Result<(), StoreError> {
        Sql::execute(&self.inner, "DELETE FROM schema_version", &[])?;
        let insert = "INSERT INTO schema_version (version) VALUES (?1)";
        Sql::execute(&self.inner, insert, &[Value::Integer(version)]).map(|_no_rows| ())
    }
}

//! A host whose calls fail by a plan: the seam's side of fault injection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm::host::{
    Ending, Host, HttpAnswer, HttpCall, KeyValue, Pair, SendError, SendErrorKind, Sql, StoreError,
    TransactionKind, Value, sqlite,
};
use isotherm_stores::native::NativeHost;
use isotherm_stores::{DatabaseConnection, KeyValueFile};

use crate::support::libsql;

/// Which calls fail, counted over all stores of a host.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    calls: AtomicUsize,
    /// The first call that fails, from 1; 0 for none.
    first: usize,
    is_for_ever: bool,
    works_before: bool,
    healed: AtomicBool,
    /// Whether the key-value store can't be opened.
    key_value_away: bool,
    /// Whether the database can't be opened, and how long that takes, in milliseconds.
    sqlite_away: Option<u64>,
    sqlite_calls: AtomicUsize,
    /// The bytes of text and blobs that SQLite has answered.
    bytes: AtomicUsize,
}

impl Plan {
    /// Nothing fails.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The `n`-th call fails, from 1.
    pub(crate) fn fail(n: usize) -> Self {
        Self { first: n, ..Self::default() }
    }

    /// So do all later ones.
    pub(crate) fn for_ever(self) -> Self {
        Self { is_for_ever: true, ..self }
    }

    /// A failing call does its work first, as when only the answer gets lost.
    pub(crate) fn after_its_work(self) -> Self {
        Self { works_before: true, ..self }
    }

    /// The key-value store can't be opened.
    pub(crate) fn key_value_away() -> Self {
        Self { key_value_away: true, ..Self::default() }
    }

    /// The database can't be opened.
    pub(crate) fn sqlite_away() -> Self {
        Self { sqlite_away: Some(0), ..Self::default() }
    }

    /// To find out that the database can't be opened takes this long.
    pub(crate) fn after_ms(self, ms: u64) -> Self {
        Self { sqlite_away: Some(ms), ..self }
    }

    /// How often the database was opened, or was to be.
    pub(crate) fn sqlite_calls(&self) -> usize {
        self.sqlite_calls.load(Ordering::Relaxed)
    }

    /// How many bytes of text and blobs SQLite has answered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn call<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let due = self.first > 0
            && (number == self.first || (self.is_for_ever && number > self.first))
            && !self.healed.load(Ordering::Relaxed);
        if !due {
            return work();
        }
        if self.works_before {
            work()?;
        }
        Err(StoreError::from_message(format!("injected into call {number}")))
    }
}

/// A host that fails by a plan.
pub(crate) struct FaultyHost {
    pub(crate) inner: NativeHost,
    pub(crate) plan: Arc<Plan>,
    /// What takes its requests to other servers.
    pub(crate) link: Option<Link>,
}

/// Takes a request to another server, and brings the answer.
pub(crate) type Link = Arc<dyn Fn(&HttpCall<'_>) -> Result<HttpAnswer, SendError> + Send + Sync>;

impl FaultyHost {
    /// One of which no call fails yet.
    pub(crate) fn over(inner: NativeHost) -> Self {
        Self { inner, plan: Arc::new(Plan::none()), link: None }
    }
}

pub(crate) struct Faulty<S> {
    inner: S,
    plan: Arc<Plan>,
}

impl Host for FaultyHost {
    type KeyValue = Faulty<KeyValueFile>;
    type Sql = Faulty<DatabaseConnection>;

    fn key_value(&self) -> Result<Self::KeyValue, StoreError> {
        if self.plan.key_value_away {
            return Err(StoreError::from_message("the key-value store is away"));
        }
        let inner = self.plan.call(|| self.inner.key_value())?;
        Ok(Faulty { inner, plan: self.plan.clone() })
    }

    fn sql(&self) -> Result<Self::Sql, StoreError> {
        self.plan.sqlite_calls.fetch_add(1, Ordering::Relaxed);
        if let Some(ms) = self.plan.sqlite_away {
            self.inner.sleep_ms(ms);
            return Err(StoreError::from_message("the database is away"));
        }
        let inner = self.plan.call(|| self.inner.sql())?;
        Ok(Faulty { inner, plan: self.plan.clone() })
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.variable(name)
    }

    fn monotonic_ms(&self) -> u64 {
        self.inner.monotonic_ms()
    }

    fn sleep_ms(&self, ms: u64) {
        self.inner.sleep_ms(ms);
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        self.inner.secret()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.plan.call(|| self.inner.asset(name))
    }

    fn send(&self, call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
        match &self.link {
            Some(link) => link(call),
            None => Err(SendError::new(SendErrorKind::Other, "no link")),
        }
    }

    fn log(&self, line: &str) {
        self.inner.log(line);
    }
}

impl KeyValue for Faulty<KeyValueFile> {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.plan.call(|| KeyValue::set(&self.inner, key, value))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.plan.call(|| KeyValue::get(&self.inner, key))
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        self.plan.call(|| KeyValue::replace(&self.inner, key, old, new))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        self.plan.call(|| KeyValue::get_many(&self.inner, keys))
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.plan.call(|| KeyValue::delete_many(&self.inner, keys))
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.plan.call(|| KeyValue::keys(&self.inner))
    }
}

impl Sql for Faulty<DatabaseConnection> {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        // What libSQL's clients can't send is no statement for any node.
        let statement = libsql::rendered(statement)?;
        let rows = self.plan.call(|| Sql::execute(&self.inner, &statement, bindings))?;
        let bytes = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Integer(_) | Value::Null => 0,
        };
        self.plan.bytes.fetch_add(rows.iter().flatten().map(bytes).sum(), Ordering::Relaxed);
        Ok(rows)
    }

    // By statements of its own, so that each of them can fail.
    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        sqlite::transaction(self, kind, work)
    }

    fn parameters_max(&self) -> usize {
        self.inner.parameters_max()
    }

    fn schema_version(&self) -> Result<i64, StoreError> {
        sqlite::schema_version(self)
    }

    fn set_schema_version(&self, version: i64) -> Result<(), StoreError> {
        sqlite::set_schema_version(self, version)
    }
}

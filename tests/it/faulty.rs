//! A node whose host calls fail on demand: the seam's side of fault injection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isotherm::api::{readings, routes};
use isotherm::domain::reading::UnixMillis;
use isotherm::host::{
    Ending, Host, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite,
};
use isotherm::http::{Header, Request, Response};
use isotherm_host::native::NativeHost;
use isotherm_host::stores::{DatabaseConnection, KeyValueFile};
use tempfile::TempDir;

/// A directory for stores that nothing has to survive but the test's own faults:
/// in memory, where the machine has such a place, as every call syncs.
pub(crate) fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_absent| TempDir::new()).unwrap()
}

/// Which calls fail, counted over all stores of a host.
#[derive(Debug)]
pub(crate) struct Plan {
    calls: AtomicUsize,
    /// The first call that fails, from 1; 0 for none.
    pub(crate) first: usize,
    /// Whether all later ones fail, too.
    pub(crate) for_ever: bool,
    /// Whether a failing call does its work before it fails, as when only the
    /// answer gets lost.
    pub(crate) works: bool,
    healed: AtomicBool,
    /// Whether the key-value store can't be opened.
    key_value_away: bool,
    /// Whether all calls to SQLite fail, and how long that takes, in milliseconds.
    sqlite_away: Option<u64>,
    sqlite_calls: AtomicUsize,
    /// The bytes of text and blobs that SQLite has answered.
    bytes: AtomicUsize,
}

impl Plan {
    pub(crate) fn new(first: usize, for_ever: bool, works: bool) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            first,
            for_ever,
            works,
            healed: AtomicBool::new(false),
            key_value_away: false,
            sqlite_away: None,
            sqlite_calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        })
    }

    /// The key-value store can't be opened.
    pub(crate) fn key_value_away() -> Arc<Self> {
        let plan = Self::new(0, false, false);
        let mut plan = Arc::into_inner(plan).unwrap();
        plan.key_value_away = true;
        Arc::new(plan)
    }

    /// The database can't be opened.
    pub(crate) fn sqlite_away() -> Arc<Self> {
        Self::sqlite_away_slowly(0)
    }

    /// The same, and to find that out takes this long.
    pub(crate) fn sqlite_away_slowly(ms: u64) -> Arc<Self> {
        let plan = Self::new(0, false, false);
        let mut plan = Arc::into_inner(plan).unwrap();
        plan.sqlite_away = Some(ms);
        Arc::new(plan)
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
            && (number == self.first || (self.for_ever && number > self.first))
            && !self.healed.load(Ordering::Relaxed);
        if !due {
            return work();
        }
        if self.works {
            work()?;
        }
        Err(StoreError::from_message(format!("injected into call {number}")))
    }
}

/// A host that fails by a plan.
pub(crate) struct FaultyHost {
    pub(crate) inner: NativeHost,
    pub(crate) plan: Arc<Plan>,
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

    fn random(&self) -> u64 {
        self.inner.random()
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.plan.call(|| self.inner.asset(name))
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
        let rows = self.plan.call(|| Sql::execute(&self.inner, statement, bindings))?;
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

/// A node and its clock, which goes on by a second with every request.
pub(crate) struct Node {
    pub(crate) host: FaultyHost,
    pub(crate) now: UnixMillis,
}

impl Node {
    fn tick(&mut self) -> UnixMillis {
        self.now = self.now.saturating_add(1_000);
        self.now
    }

    /// One request to `ingest`, and what it does after its answer.
    pub(crate) fn post(&mut self, body: &serde_json::Value, prefer: Option<&str>) -> Response {
        let (now, mut head) = (self.tick(), Request::post("/v1/readings"));
        if let Some(prefer) = prefer {
            head.headers.set(Header::Prefer, prefer);
        }
        let handled = readings::post(&self.host, &head, body.to_string().as_bytes(), now);
        // What fails here fails after the answer, and nobody hears of it.
        drop(handled.after_answer.run(&self.host, now));
        handled.response
    }

    /// One request to `query`, and what it does after its answer.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.get_as(path, "*/*")
    }

    /// The same for this type of answer.
    pub(crate) fn get_as(&mut self, path: &str, accept: &str) -> Response {
        let (now, head) = (self.tick(), Request::get(path).with(Header::Accept, accept));
        let answered = routes::answer(&self.host, &head, now);
        drop(answered.after_answer.run(&self.host, now));
        answered.response
    }
}

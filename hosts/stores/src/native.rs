//! A host without WebAssembly, over the same stores: native tests run real SQL.

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use isotherm::host::{
    Ending, Host, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite,
};

use crate::{DatabaseConnection, DatabaseFile, KeyValueFile, random, to_stderr};

/// A host in a directory of its own, with variables and a captured log.
#[derive(Clone)]
pub struct NativeHost {
    journal: KeyValueFile,
    regions: DatabaseFile,
    variables: Vec<(String, String)>,
    files: Option<PathBuf>,
    log: Arc<Mutex<Vec<String>>>,
    clock: Clock,
}

/// Time and randomness: the machine's, or simulated and the same in every run.
/// Simulated time advances whenever it is read, and by sleeping.
#[derive(Clone)]
enum Clock {
    Real(Instant),
    Simulated { step_ms: u64, now_ms: Arc<AtomicU64>, random: Arc<AtomicU64> },
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a host is where clocks are read")]
    fn real() -> Self {
        Self::Real(Instant::now())
    }

    fn elapsed_ms(&self) -> u64 {
        match self {
            Self::Real(start) => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            Self::Simulated { step_ms, now_ms, .. } => {
                now_ms.fetch_add(*step_ms, Ordering::Relaxed)
            }
        }
    }

    fn sleep_ms(&self, ms: u64) {
        match self {
            Self::Real(_) => std::thread::sleep(Duration::from_millis(ms)),
            Self::Simulated { now_ms, .. } => {
                now_ms.fetch_add(ms, Ordering::Relaxed);
            }
        }
    }

    fn random(&self) -> u64 {
        match self {
            Self::Real(_) => RandomState::new().hash_one(0),
            Self::Simulated { random, .. } => random::mix(random.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl NativeHost {
    /// A host whose stores are in `directory`.
    pub fn new(directory: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Self {
            journal: KeyValueFile::open(&directory.join("journal.db"), "default", to_stderr)?,
            regions: DatabaseFile::new(&directory.join("regions.db"))?,
            variables: variables.iter().map(pair).collect(),
            files: None,
            log: Arc::default(),
            clock: Clock::real(),
        })
    }

    /// The same host with the files of this directory. Without it, no file is mounted.
    #[must_use]
    pub fn with_files(self, directory: &Path) -> Self {
        Self { files: Some(directory.to_owned()), ..self }
    }

    /// The same host with simulated time and randomness. Each reading of the clock
    /// advances it by `step_ms`.
    #[must_use]
    pub fn simulated(mut self, step_ms: u64, seed: u64) -> Self {
        let (now_ms, random) = (Arc::default(), Arc::new(AtomicU64::new(seed)));
        self.clock = Clock::Simulated { step_ms, now_ms, random };
        self
    }

    /// The lines logged so far.
    pub fn logged(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Host for NativeHost {
    type KeyValue = KeyValueFile;
    type Sql = DatabaseConnection;

    fn key_value(&self) -> Result<KeyValueFile, StoreError> {
        Ok(self.journal.clone())
    }

    fn sql(&self) -> Result<DatabaseConnection, StoreError> {
        Ok(self.regions.connect())
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn monotonic_ms(&self) -> u64 {
        self.clock.elapsed_ms()
    }

    fn sleep_ms(&self, ms: u64) {
        self.clock.sleep_ms(ms);
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::from_message(error.to_string()))?;
        Ok(bytes)
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(directory) = &self.files else { return Ok(None) };
        match std::fs::read(directory.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| StoreError::from_message(error.to_string())),
        }
    }

    fn log(&self, line: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

impl KeyValue for KeyValueFile {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.set(key, value).map_err(StoreError::from_message)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(key).map_err(StoreError::from_message)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let current = self.get(key).map_err(StoreError::from_message)?;
        Ok(current.as_deref() == old
            && self.swap(key, old, new).map_err(StoreError::from_message)?)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.get_many(keys).map_err(StoreError::from_message)?;
        Ok(pairs.into_iter().map(|(key, value)| (key, Some(value))).collect())
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            // Fails as Redis does, so that native tests notice.
            return Err(StoreError::from_message("delete: wrong number of arguments"));
        }
        self.delete_many(keys).map_err(StoreError::from_message)
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.keys().map_err(StoreError::from_message)
    }
}

impl Sql for DatabaseConnection {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let bindings = bindings.iter().map(to_sqlite).collect();
        let answer = self.execute(statement, bindings).map_err(StoreError::from_message)?;
        let row = |row: Vec<rusqlite::types::Value>| row.into_iter().map(from_sqlite).collect();
        answer.rows.into_iter().map(row).collect()
    }

    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        sqlite::transaction(self, kind, work)
    }

    fn parameters_max(&self) -> usize {
        sqlite::PARAMETERS_MAX
    }

    fn schema_version(&self) -> Result<i64, StoreError> {
        sqlite::schema_version(self)
    }

    fn set_schema_version(&self, version: i64) -> Result<(), StoreError> {
        sqlite::set_schema_version(self, version)
    }
}

fn to_sqlite(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Integer(number) => rusqlite::types::Value::Integer(*number),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes.clone()),
        Value::Null => rusqlite::types::Value::Null,
    }
}

fn from_sqlite(value: rusqlite::types::Value) -> Result<Value, StoreError> {
    match value {
        rusqlite::types::Value::Integer(number) => Ok(Value::Integer(number)),
        rusqlite::types::Value::Text(text) => Ok(Value::Text(text)),
        rusqlite::types::Value::Blob(bytes) => Ok(Value::Blob(bytes)),
        rusqlite::types::Value::Null => Ok(Value::Null),
        other => Err(StoreError::from_message(format!("{other:?} is of no type of the schema"))),
    }
}

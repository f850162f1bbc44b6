//! The application's seam over the same stores, without WebAssembly: real SQL
//! in native tests.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use isotherm::host::{Host, KeyValue, Pair, Sql, StoreError, Value};

use crate::stores::{DatabaseConnection, DatabaseFile, KeyValueFile};

/// A host in a directory of its own, with variables and a captured log.
#[derive(Clone)]
pub struct NativeHost {
    journal: KeyValueFile,
    regions: DatabaseFile,
    variables: Vec<(String, String)>,
    log: Arc<Mutex<Vec<String>>>,
}

impl NativeHost {
    /// A host whose stores are in `directory`.
    pub fn new(directory: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Self {
            journal: KeyValueFile::open(&directory.join("journal.db"), "default")?,
            regions: DatabaseFile::new(&directory.join("regions.db"))?,
            variables: variables.iter().map(pair).collect(),
            log: Arc::default(),
        })
    }

    /// What was logged so far.
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
        // Native tests give a fold all the time that it wants.
        0
    }

    fn sleep_ms(&self, ms: u64) {
        std::thread::sleep(std::time::Duration::from_millis(ms));
    }

    fn random(&self) -> u64 {
        RandomState::new().hash_one(0)
    }

    fn log(&self, line: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

impl KeyValue for KeyValueFile {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.set(key, value).map_err(StoreError::from_message)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.get_many(keys).map_err(StoreError::from_message)?;
        Ok(pairs.into_iter().map(|(key, value)| (key, Some(value))).collect())
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.delete_many(keys).map_err(StoreError::from_message)
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.keys().map_err(StoreError::from_message)
    }
}

impl Sql for DatabaseConnection {
    fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let parameters = parameters.iter().map(to_sqlite).collect();
        let answer = self.execute(statement, parameters).map_err(StoreError::from_message)?;
        let row = |row: Vec<rusqlite::types::Value>| row.into_iter().map(from_sqlite).collect();
        answer.rows.into_iter().map(row).collect()
    }
}

fn to_sqlite(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Integer(number) => rusqlite::types::Value::Integer(*number),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        Value::Null => rusqlite::types::Value::Null,
    }
}

fn from_sqlite(value: rusqlite::types::Value) -> Result<Value, StoreError> {
    match value {
        rusqlite::types::Value::Integer(number) => Ok(Value::Integer(number)),
        rusqlite::types::Value::Text(text) => Ok(Value::Text(text)),
        rusqlite::types::Value::Null => Ok(Value::Null),
        other => Err(StoreError::from_message(format!("{other:?} is of no type of the schema"))),
    }
}

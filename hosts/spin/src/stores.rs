//! The two stores: one-line forwards to `wasi:keyvalue` and `spin:sqlite`.

use std::rc::Rc;

use isotherm::host::{Ending, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite};
use spin_sdk::sqlite3;
use spin_sdk::wit::wasi::keyvalue::{atomics, batch, store};

/// The label of the store and the database that plain `spin up` provides.
const LABEL: &str = "default";

/// The key-value store.
#[derive(Clone)]
pub struct Bucket(Rc<store::Bucket>);

impl Bucket {
    pub(crate) fn open() -> Result<Self, StoreError> {
        store::open(LABEL).map(Rc::new).map(Self).map_err(from_key_value)
    }
}

impl KeyValue for Bucket {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.set(key, value).map_err(from_key_value)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key).map_err(from_key_value)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let cas = atomics::Cas::new(&self.0, key).map_err(from_key_value)?;
        if cas.current().map_err(from_key_value)?.as_deref() != old {
            return Ok(false);
        }
        match atomics::swap(cas, new) {
            Ok(()) => Ok(true),
            // Spin's Redis store says this of every swap, as it sends `UNWATCH` with a key and
            // takes the refusal for the outcome (up to 4.0.2 at least). What is there now tells.
            Err(atomics::CasError::CasFailed(now)) => {
                Ok(now.current().map_err(from_key_value)?.as_deref() == Some(new))
            }
            Err(atomics::CasError::StoreError(error)) => Err(from_key_value(error)),
        }
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        // Spin's Redis store gets many keys with the wrong command, which fails for two
        // of them and crashes the host for one.
        if let [key] = keys {
            return Ok(vec![(key.clone(), KeyValue::get(self, key)?)]);
        }
        batch::get_many(&self.0, keys).or_else(|_refused| {
            keys.iter().map(|key| Ok((key.clone(), KeyValue::get(self, key)?))).collect()
        })
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        batch::delete_many(&self.0, keys).map_err(from_key_value)
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut page = self.0.list_keys(None).map_err(from_key_value)?;
        let mut keys = page.keys;
        while let Some(cursor) = page.cursor.as_deref() {
            page = self.0.list_keys(Some(cursor)).map_err(from_key_value)?;
            keys.append(&mut page.keys);
        }
        Ok(keys)
    }
}

/// A connection to the database.
pub struct Connection(sqlite3::Connection);

impl Connection {
    pub(crate) fn open() -> Result<Self, StoreError> {
        sqlite3::Connection::open(LABEL).map(Self).map_err(from_sqlite)
    }
}

impl Sql for Connection {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let bindings: Vec<sqlite3::Value> = bindings.iter().map(to_sqlite).collect();
        let result = self.0.execute(statement, &bindings).map_err(from_sqlite)?;
        let row = |row: sqlite3::RowResult| row.values.into_iter().map(from_value).collect();
        result.rows.into_iter().map(row).collect()
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

fn to_sqlite(value: &Value) -> sqlite3::Value {
    match value {
        Value::Integer(number) => sqlite3::Value::Integer(*number),
        Value::Text(text) => sqlite3::Value::Text(text.clone()),
        Value::Blob(bytes) => sqlite3::Value::Blob(bytes.clone()),
        Value::Null => sqlite3::Value::Null,
    }
}

fn from_value(value: sqlite3::Value) -> Result<Value, StoreError> {
    match value {
        sqlite3::Value::Integer(number) => Ok(Value::Integer(number)),
        sqlite3::Value::Text(text) => Ok(Value::Text(text)),
        sqlite3::Value::Null => Ok(Value::Null),
        sqlite3::Value::Blob(bytes) => Ok(Value::Blob(bytes)),
        sqlite3::Value::Real(_) => {
            Err(StoreError::from_message("a value of a type that the schema does not have"))
        }
    }
}

fn from_key_value(error: store::Error) -> StoreError {
    match error {
        store::Error::NoSuchStore => StoreError::denied("no such key-value store: default"),
        store::Error::AccessDenied => {
            StoreError::denied("spin.toml does not give this component the key-value store")
        }
        store::Error::Other(message) => StoreError::from_message(message),
    }
}

fn from_sqlite(error: sqlite3::Error) -> StoreError {
    match error {
        sqlite3::Error::NoSuchDatabase => StoreError::denied("no such SQLite database: default"),
        sqlite3::Error::AccessDenied => {
            StoreError::denied("spin.toml does not give this component the SQLite database")
        }
        sqlite3::Error::InvalidConnection => StoreError::from_message("invalid connection"),
        sqlite3::Error::DatabaseFull => StoreError::from_message("database or disk is full"),
        sqlite3::Error::Io(message) => StoreError::from_message(message),
    }
}

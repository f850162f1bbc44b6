//! A host that has variables and files, and no stores: to check the variables before a
//! runtime starts.

use crate::host::{Ending, Host, KeyValue, Pair, Sql, StoreError, TransactionKind, Value};

/// What a node will have.
pub(crate) struct Variables<'a> {
    /// A variable's value, by its name.
    pub(crate) value: &'a dyn Fn(&str) -> Option<String>,
    /// A mounted file's content, by its name.
    pub(crate) asset: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// A store that can't be opened.
pub(crate) enum NoStore {}

fn denied() -> StoreError {
    StoreError::denied("there are no stores before the start")
}

impl Host for Variables<'_> {
    type KeyValue = NoStore;
    type Sql = NoStore;

    fn key_value(&self) -> Result<NoStore, StoreError> {
        Err(denied())
    }

    fn sql(&self) -> Result<NoStore, StoreError> {
        Err(denied())
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok((self.value)(name))
    }

    fn monotonic_ms(&self) -> u64 {
        0
    }

    fn sleep_ms(&self, _ms: u64) {}

    fn random(&self) -> u64 {
        0
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        Err(denied())
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok((self.asset)(name))
    }

    fn log(&self, _line: &str) {}
}

impl KeyValue for NoStore {
    fn set(&self, _key: &str, _value: &[u8]) -> Result<(), StoreError> {
        match *self {}
    }

    fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match *self {}
    }

    fn replace(&self, _key: &str, _old: Option<&[u8]>, _new: &[u8]) -> Result<bool, StoreError> {
        match *self {}
    }

    fn get_many(&self, _keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        match *self {}
    }

    fn delete_many(&self, _keys: &[String]) -> Result<(), StoreError> {
        match *self {}
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        match *self {}
    }
}

impl Sql for NoStore {
    fn execute(&self, _sql: &str, _bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        match *self {}
    }

    fn transaction(
        &self,
        _kind: TransactionKind,
        _work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        match *self {}
    }

    fn parameters_max(&self) -> usize {
        match *self {}
    }

    fn schema_version(&self) -> Result<i64, StoreError> {
        match *self {}
    }

    fn set_schema_version(&self, _version: i64) -> Result<(), StoreError> {
        match *self {}
    }
}

//! A native host with stores of a test's own.

use isotherm::host::{Host, KeyValue, Sql, StoreError};
use isotherm_stores::native::NativeHost;

/// What is not as in a native host.
pub(crate) trait Stores {
    type KeyValue: KeyValue;
    type Sql: Sql;

    /// What it is otherwise.
    fn native(&self) -> &NativeHost;
    fn key_value(&self) -> Result<Self::KeyValue, StoreError>;
    fn sql(&self) -> Result<Self::Sql, StoreError>;
}

/// A host with these stores.
pub(crate) struct Wrapped<S>(pub(crate) S);

impl<S: Stores> Host for Wrapped<S> {
    type KeyValue = S::KeyValue;
    type Sql = S::Sql;

    fn key_value(&self) -> Result<S::KeyValue, StoreError> {
        self.0.key_value()
    }

    fn sql(&self) -> Result<S::Sql, StoreError> {
        self.0.sql()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.0.native().variable(name)
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.native().monotonic_ms()
    }

    fn sleep_ms(&self, ms: u64) {
        self.0.native().sleep_ms(ms);
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        self.0.native().secret()
    }

    fn random(&self) -> u64 {
        self.0.native().random()
    }

    fn asset(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.native().asset(name)
    }

    fn log(&self, line: &str) {
        self.0.native().log(line);
    }
}

//! Entries that a fold above a server reads before it takes the lock.

use std::cell::Cell;

use isotherm::host::{
    Ending, Host, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite,
};
use isotherm_host::native::NativeHost;
use isotherm_host::stores::{DatabaseConnection, KeyValueFile};

use crate::support::node::{FOR_EVER, Node, fold_and_prune};
use crate::support::readings::{START, reading};
use crate::support::tables::Tier;

/// A host whose database is a server, in that it refuses to set how long to wait. Right after
/// entries were read for the first time, `meanwhile` happens.
struct ServerHost<'a> {
    inner: NativeHost,
    meanwhile: &'a dyn Fn(),
    has_happened: &'a Cell<bool>,
}

struct Journal<'a> {
    inner: KeyValueFile,
    meanwhile: &'a dyn Fn(),
    has_happened: &'a Cell<bool>,
}

struct Server(DatabaseConnection);

impl KeyValue for Journal<'_> {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        KeyValue::set(&self.inner, key, value)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        let found = KeyValue::get_many(&self.inner, keys);
        if !self.has_happened.replace(true) {
            (self.meanwhile)();
        }
        found
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        KeyValue::get(&self.inner, key)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        KeyValue::replace(&self.inner, key, old, new)
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        KeyValue::delete_many(&self.inner, keys)
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        KeyValue::keys(&self.inner)
    }
}

impl Sql for Server {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        if statement.contains("busy_timeout") {
            return Err(StoreError::from_message("unsupported statement"));
        }
        Sql::execute(&self.0, statement, bindings)
    }

    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        sqlite::transaction(self, kind, work)
    }

    fn parameters_max(&self) -> usize {
        self.0.parameters_max()
    }

    fn schema_version(&self) -> Result<i64, StoreError> {
        self.0.schema_version()
    }

    fn set_schema_version(&self, version: i64) -> Result<(), StoreError> {
        self.0.set_schema_version(version)
    }
}

impl<'a> Host for ServerHost<'a> {
    type KeyValue = Journal<'a>;
    type Sql = Server;

    fn key_value(&self) -> Result<Journal<'a>, StoreError> {
        let (meanwhile, has_happened) = (self.meanwhile, self.has_happened);
        Ok(Journal { inner: self.inner.key_value()?, meanwhile, has_happened })
    }

    fn sql(&self) -> Result<Server, StoreError> {
        self.inner.sql().map(Server)
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
        self.inner.asset(name)
    }

    fn log(&self, line: &str) {
        self.inner.log(line);
    }
}

fn tally(node: &Node, name: &str) -> i64 {
    node.tallies().get(name).copied().unwrap_or(0)
}

/// Folds as above a server. `meanwhile` happens between the reading of entries and the lock.
fn fold_above_a_server(node: &Node, meanwhile: &dyn Fn()) {
    let has_happened = Cell::new(false);
    let inner = node.host.inner.clone();
    let host = ServerHost { inner, meanwhile, has_happened: &has_happened };
    fold_and_prune(&host, FOR_EVER, START).unwrap();
    assert!(has_happened.get());
    assert_eq!(node.keys("journal/"), 0);
}

#[test]
fn entries_that_another_fold_took_meanwhile_are_left_out() {
    let node = Node::new(&[("retention", "0")]);
    let two = [reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START)];
    node.journal(&two[..1]);
    node.journal(&two[1..]);
    fold_above_a_server(&node, &|| assert_eq!(node.fold(), 0));
    assert_eq!(node.counted(Tier::AllTime), 2);
    assert_eq!(tally(&node, "duplicates"), 0);
    assert_eq!(tally(&node, "entries"), 2, "each entry once");
}

#[test]
fn entries_that_are_still_there_are_counted_though_another_fold_ran() {
    let node = Node::new(&[("retention", "0")]);
    let own = node.journal(&[reading("a", "hall", 21_500, START)]);
    node.journal(&[reading("b", "hall", 22_500, START)]);
    // It has one of them, and one that came later.
    let meanwhile = || {
        let (key, value) = own.as_pair();
        node.remove(&key);
        node.journal(&[reading("c", "hall", 23_500, START)]);
        assert_eq!(node.fold(), 0);
        node.put(&key, value);
    };
    fold_above_a_server(&node, &meanwhile);
    assert_eq!(node.all_time("hall").sum, 67_500);
    assert_eq!(tally(&node, "duplicates"), 0);
}

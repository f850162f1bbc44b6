//! What a fold above a server reads before it takes the lock, and how much a step has.

use std::cell::Cell;
use std::time::Duration;

use isotherm::api::router;
use isotherm::host::{
    Ending, Host as _, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite,
};
use isotherm::http::Request;
use isotherm::limits;
use isotherm_stores::native::NativeHost;
use isotherm_stores::{DatabaseConnection, KeyValueFile};
use rusqlite::Connection;

use crate::support::node::{FOR_EVER, Node, fold_and_prune};
use crate::support::readings::{START, at, reading};
use crate::support::tables::Tier;
use crate::support::wrapped::{Stores, Wrapped};

/// What happens right after entries were read for the first time, and what was seen of that.
struct Meanwhile<'a> {
    happens: &'a dyn Fn(),
    has_happened: Cell<bool>,
    /// The most keys that were read at once.
    most: Cell<usize>,
}

impl<'a> Meanwhile<'a> {
    fn new(happens: &'a dyn Fn()) -> Self {
        Self { happens, has_happened: Cell::new(false), most: Cell::new(0) }
    }

    fn was_read(&self, keys: usize) {
        self.most.set(self.most.get().max(keys));
        if !self.has_happened.replace(true) {
            (self.happens)();
        }
    }
}

/// The stores of a node whose database is a server.
struct Server<'a> {
    native: NativeHost,
    meanwhile: &'a Meanwhile<'a>,
}

struct Journal<'a> {
    inner: KeyValueFile,
    meanwhile: &'a Meanwhile<'a>,
}

impl<'a> Stores for Server<'a> {
    type KeyValue = Journal<'a>;
    type Sql = ServerSql;

    fn native(&self) -> &NativeHost {
        &self.native
    }

    fn key_value(&self) -> Result<Journal<'a>, StoreError> {
        Ok(Journal { inner: self.native.key_value()?, meanwhile: self.meanwhile })
    }

    fn sql(&self) -> Result<ServerSql, StoreError> {
        self.native.sql().map(ServerSql)
    }
}

/// A server, in that it refuses to set how long to wait.
struct ServerSql(DatabaseConnection);

impl Sql for ServerSql {
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

impl KeyValue for Journal<'_> {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        KeyValue::set(&self.inner, key, value)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        let found = KeyValue::get_many(&self.inner, keys);
        self.meanwhile.was_read(keys.len());
        found
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = KeyValue::get(&self.inner, key);
        if key.starts_with("quarantine/") {
            self.meanwhile.was_read(1);
        }
        found
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

fn tally(node: &Node, name: &str) -> i64 {
    node.tallies().get(name).copied().unwrap_or(0)
}

/// Folds as above a server. `happens` between the reading of entries and the lock. Returns the
/// most keys that were read at once.
fn fold_above_a_server(node: &Node, happens: &dyn Fn()) -> usize {
    let meanwhile = Meanwhile::new(happens);
    let native = node.host.inner.clone();
    let host = Wrapped(Server { native, meanwhile: &meanwhile });
    assert_eq!(fold_and_prune(&host, FOR_EVER, START).unwrap(), 0);
    assert!(meanwhile.has_happened.get());
    assert_eq!(node.keys("journal/"), 0);
    meanwhile.most.get()
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
    let happens = || {
        let (key, value) = own.as_pair();
        node.remove(&key);
        node.journal(&[reading("c", "hall", 23_500, START)]);
        assert_eq!(node.fold(), 0);
        node.put(&key, value);
    };
    fold_above_a_server(&node, &happens);
    assert_eq!(node.all_time("hall").sum, 67_500);
    assert_eq!(tally(&node, "duplicates"), 0);
}

#[test]
fn a_step_above_a_server_has_an_eighth_of_the_entries() {
    let node = Node::new(&[("retention", "0")]);
    let most = limits::ENTRIES_PER_FOLD_STEP_MAX / 8;
    for number in 0..i64::try_from(most).unwrap() + 5 {
        node.journal(&[reading("a", "hall", 21_500, START + number)]);
    }
    assert_eq!(fold_above_a_server(&node, &|| {}), most);
}

#[test]
fn a_reading_that_is_in_quarantine_twice_is_counted_when_one_of_them_leaves_meanwhile() {
    for leaves in 0..2 {
        let node = Node::new(&[("retention", "0")]);
        let entry = node.journal(&[reading("a", "hall", 21_500, START)]);
        let (key, value) = entry.as_pair();
        node.remove(&key);
        let name = key.rsplit('/').next().unwrap();
        let keys = ["too_old", "damaged_row"].map(|code| format!("quarantine/1/{code}/{name}"));
        keys.iter().for_each(|key| node.put(key, value));
        // Another fold runs, unless the lock is held, and another retry takes one of them.
        let happens = || {
            let other = Connection::open(node.directory().join("regions.db")).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            let fold = "INSERT INTO tallies VALUES ('entries', 1) \
                        ON CONFLICT DO UPDATE SET value = value + 1";
            let folded = other.execute(fold, []).map_err(|error| error.to_string());
            assert!(
                matches!(
                    folded.as_ref().map_err(String::as_str),
                    Ok(1) | Err("database is locked")
                ),
                "{folded:?}"
            );
            node.remove(&keys[leaves]);
        };
        let meanwhile = Meanwhile::new(&happens);
        let native = node.host.inner.clone();
        let host = Wrapped(Server { native, meanwhile: &meanwhile });
        let answered = router::answer(&host, &Request::post("/v1/quarantine/retry"), at(START));
        assert_eq!(answered.response.status, 200);
        assert!(meanwhile.has_happened.get());
        assert_eq!(node.keys("quarantine/"), 0);
        assert_eq!(node.all_time("hall").sum, 21_500);
    }
}

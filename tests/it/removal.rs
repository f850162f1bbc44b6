//! A process that dies between the commit of a fold and the removal of its entries.

use isotherm::error::Error;
use isotherm::host::{Host, KeyValue, Pair, StoreError};
use isotherm_stores::native::NativeHost;
use isotherm_stores::{DatabaseConnection, KeyValueFile};

use crate::support::node::{FOR_EVER, Node, fold_and_prune};
use crate::support::readings::{START, reading};
use crate::support::tables::Tier;
use crate::support::wrapped::{Stores, Wrapped};

/// A key-value store whose removals fail.
struct DiesBeforeRemoval(KeyValueFile);

impl KeyValue for DiesBeforeRemoval {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        KeyValue::set(&self.0, key, value)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        KeyValue::get_many(&self.0, keys)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        KeyValue::get(&self.0, key)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        KeyValue::replace(&self.0, key, old, new)
    }

    fn delete_many(&self, _keys: &[String]) -> Result<(), StoreError> {
        Err(StoreError::from_message("killed"))
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        KeyValue::keys(&self.0)
    }
}

struct Dying(NativeHost);

impl Stores for Dying {
    type KeyValue = DiesBeforeRemoval;
    type Sql = DatabaseConnection;

    fn native(&self) -> &NativeHost {
        &self.0
    }

    fn key_value(&self) -> Result<DiesBeforeRemoval, StoreError> {
        self.0.key_value().map(DiesBeforeRemoval)
    }

    fn sql(&self) -> Result<DatabaseConnection, StoreError> {
        self.0.sql()
    }
}

#[test]
fn a_crash_between_commit_and_removal_counts_nothing_twice() {
    let node = Node::new(&[("retention", "0")]);
    node.journal(&[reading("a", "hall", 21_500, START), reading("b", "hall", 22_500, START)]);
    let dying = Wrapped(Dying(node.host.inner.clone()));
    for _ in 0..2 {
        let died = fold_and_prune(&dying, FOR_EVER, START);
        assert!(matches!(died, Err(Error::Journal(_))), "{died:?}");
        assert_eq!(node.keys("journal/"), 1);
        assert_eq!(node.counted(Tier::AllTime), 2);
    }
    assert_eq!(node.fold(), 0);
    assert_eq!(node.keys("journal/"), 0);
    assert_eq!(node.all_time("hall").sum, 44_000);
}

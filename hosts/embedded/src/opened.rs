//! The stores that components name, opened.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use isotherm_stores::{DatabaseFile, KeyValueFile};

use crate::database::Database;
use crate::key_value::KeyValueStore;
use crate::log;
use crate::manifest::Application;
use crate::redis::RedisStore;
use crate::runtime_config::{DatabaseConfig, KeyValueConfig, Stores};

/// Opens every key-value store that a component uses, once.
pub(crate) fn open_key_value(
    application: &Application,
    stores: &Stores,
) -> Result<BTreeMap<String, KeyValueStore>> {
    let used: BTreeSet<&String> =
        application.components.iter().flat_map(|component| &component.key_value_stores).collect();
    let open = |label: &String| {
        let store = match configured(label, &stores.key_value)? {
            KeyValueConfig::File(path) => {
                KeyValueStore::File(KeyValueFile::open(path, label, log::say)?)
            }
            KeyValueConfig::Redis(url) => KeyValueStore::Redis(RedisStore::new(url)?),
        };
        Ok((label.clone(), store))
    };
    used.into_iter().map(open).collect()
}

/// The stores of these labels.
pub(crate) fn granted(
    labels: &[String],
    open: &BTreeMap<String, KeyValueStore>,
) -> Result<BTreeMap<String, KeyValueStore>> {
    let grant = |label: &String| {
        let store = open.get(label).with_context(|| format!("no key-value store {label}"))?;
        Ok((label.clone(), store.clone()))
    };
    labels.iter().map(grant).collect()
}

/// The databases of these labels.
pub(crate) fn databases(
    labels: &[String],
    configs: &BTreeMap<String, DatabaseConfig>,
) -> Result<BTreeMap<String, Database>> {
    let grant = |label: &String| {
        let database = match configured(label, configs)? {
            DatabaseConfig::File(path) => {
                Database::File(DatabaseFile::with_kept_connections(path, log::say)?)
            }
            DatabaseConfig::Server(server) => Database::Server(server.clone()),
        };
        Ok((label.clone(), database))
    };
    labels.iter().map(grant).collect()
}

fn configured<'a, T>(label: &str, stores: &'a BTreeMap<String, T>) -> Result<&'a T> {
    stores.get(label).with_context(|| format!("the runtime configuration has no store {label}"))
}

//! `runtime-config.toml`, as far as this runtime supports it: where the stores are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::libsql::LibSqlServer;
use crate::manifest::read_toml;

/// Where a key-value store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValueConfig {
    /// In a file.
    File(PathBuf),
    /// In Redis, at this URL.
    Redis(String),
}

impl fmt::Display for KeyValueConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            // Not the URL: it may contain a password.
            Self::Redis(_) => f.write_str("Redis"),
        }
    }
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// In a file.
    File(PathBuf),
    /// On a server of libSQL.
    Server(LibSqlServer),
}

impl fmt::Display for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            // Not the URL, likewise.
            Self::Server(_) => f.write_str("libSQL"),
        }
    }
}

/// Where the stores are, by label.
#[derive(Debug, PartialEq, Eq)]
pub struct Stores {
    /// The key-value stores.
    pub key_value: BTreeMap<String, KeyValueConfig>,
    /// The databases.
    pub sqlite: BTreeMap<String, DatabaseConfig>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuntimeConfigFile {
    #[serde(default)]
    key_value_store: BTreeMap<String, KeyValueTable>,
    #[serde(default)]
    sqlite_database: BTreeMap<String, DatabaseTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "type")]
enum KeyValueTable {
    Spin { path: PathBuf },
    Redis { url: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "type")]
enum DatabaseTable {
    Spin { path: PathBuf },
    LibSql { url: String, token: String },
}

impl Stores {
    /// Two files of their usual names in a directory.
    pub fn below(directory: &Path) -> Self {
        let default = || "default".to_owned();
        let key_value = KeyValueConfig::File(directory.join("journal.db"));
        let sqlite = DatabaseConfig::File(directory.join("regions.db"));
        Self { key_value: [(default(), key_value)].into(), sqlite: [(default(), sqlite)].into() }
    }

    /// Reads the runtime configuration at `path`, if there is one. As in Spin, without
    /// an entry of its own the label `default` is in `state_dir`.
    ///
    /// As in Spin, the path of a key-value file is relative to the configuration, that
    /// of a database to the working directory.
    pub fn read(path: Option<&Path>, state_dir: &Path) -> Result<Self> {
        let file: RuntimeConfigFile = path.map(read_toml).transpose()?.unwrap_or_default();
        let base = path.and_then(Path::parent).unwrap_or(Path::new(""));
        // As in Spin, a server without an address ends the start. Its URL may have a password.
        let key_value = |(label, table)| match table {
            KeyValueTable::Spin { path } => Ok((label, KeyValueConfig::File(base.join(path)))),
            KeyValueTable::Redis { url } if has_scheme(&url, &["redis", "rediss"]) => {
                Ok((label, KeyValueConfig::Redis(url)))
            }
            KeyValueTable::Redis { .. } => bail!("key_value_store.{label}: no URL of Redis"),
        };
        let sqlite = |(label, table)| match table {
            DatabaseTable::Spin { path } => Ok((label, DatabaseConfig::File(path))),
            DatabaseTable::LibSql { url, token } if has_scheme(&url, &["http", "https"]) => {
                Ok((label, DatabaseConfig::Server(LibSqlServer::new(url, token))))
            }
            DatabaseTable::LibSql { .. } => bail!("sqlite_database.{label}: no URL of libSQL"),
        };
        let mut stores = Self {
            key_value: file.key_value_store.into_iter().map(key_value).collect::<Result<_>>()?,
            sqlite: file.sqlite_database.into_iter().map(sqlite).collect::<Result<_>>()?,
        };
        let default = "default".to_owned();
        let key_value = stores.key_value.entry(default.clone());
        key_value.or_insert_with(|| KeyValueConfig::File(state_dir.join("sqlite_key_value.db")));
        let sqlite = stores.sqlite.entry(default);
        sqlite.or_insert_with(|| DatabaseConfig::File(state_dir.join("sqlite_db.db")));
        Ok(stores)
    }
}

fn has_scheme(url: &str, schemes: &[&str]) -> bool {
    url.split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_file_can_be_followed_and_keeps_two_stores_in_two_files() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let stores = Stores::read(Some(&root.join("runtime-config.toml")), Path::new("x")).unwrap();
        let journal = KeyValueConfig::File(root.join(".spin/journal.db"));
        assert_eq!(stores.key_value["default"], journal);
        let regions = DatabaseConfig::File(".spin/regions.db".into());
        assert_eq!(stores.sqlite["default"], regions);
        let defaults = Stores::read(None, Path::new(".spin")).unwrap();
        assert_ne!(
            defaults.key_value["default"].to_string(),
            defaults.sqlite["default"].to_string()
        );
    }
}

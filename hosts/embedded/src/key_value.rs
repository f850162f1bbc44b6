//! A key-value store in a file or in Redis.

use isotherm_stores::{Failure, KeyValueFile, Pair};

use crate::redis::{RedisStore, Watch};

/// Where keys and values are stored.
#[derive(Clone)]
pub enum KeyValueStore {
    /// In a file.
    File(KeyValueFile),
    /// In a database of Redis.
    Redis(RedisStore),
}

impl KeyValueStore {
    /// Stores `value` under `key`.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.set(key, value),
            Self::Redis(redis) => redis.set(key, value),
        }
    }

    /// Stores all pairs at once.
    pub fn set_many(&self, pairs: &[Pair]) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.set_many(pairs),
            Self::Redis(redis) => redis.set_many(pairs),
        }
    }

    /// The value under `key`, if there is one.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::File(file) => file.get(key),
            Self::Redis(redis) => redis.get(key),
        }
    }

    /// Those of `keys` that exist, with their values, in any order.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, Failure> {
        match self {
            Self::File(file) => file.get_many(keys),
            Self::Redis(redis) => redis.get_many(keys),
        }
    }

    /// Removes `keys`; absent ones are no error.
    pub fn delete_many(&self, keys: &[String]) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.delete_many(keys),
            Self::Redis(redis) => redis.delete_many(keys),
        }
    }

    /// All keys, in any order.
    pub fn keys(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::File(file) => file.keys(),
            Self::Redis(redis) => redis.keys(),
        }
    }

    /// Commits of values so far, and how many calls were in them. Not of Redis.
    pub(crate) fn commits(&self) -> (u64, u64) {
        match self {
            Self::File(file) => file.commits(),
            Self::Redis(_) => (0, 0),
        }
    }

    /// A compare-and-swap on `key`, whose value has not been read yet.
    pub fn cas(&self, key: String) -> Cas {
        match self {
            Self::File(file) => Cas::File { file: file.clone(), key, seen: None },
            Self::Redis(redis) => Cas::Redis(Box::new(redis.watch(&key))),
        }
    }
}

/// A value that was read, to be replaced if it has not changed.
pub enum Cas {
    /// In a file, with the value last read.
    File {
        /// The store.
        file: KeyValueFile,
        /// The key.
        key: String,
        /// The value last read.
        seen: Option<Vec<u8>>,
    },
    /// In Redis, by WATCH.
    Redis(Box<Watch>),
}

impl Cas {
    /// Reads the current value.
    pub fn look(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::File { file, key, seen } => {
                *seen = file.get(key)?;
                Ok(seen.clone())
            }
            Self::Redis(watch) => watch.look(),
        }
    }

    /// Replaces the value last read; returns whether it was still there.
    pub fn swap(&mut self, new: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::File { file, key, seen } => file.swap(key, seen.as_deref(), new),
            Self::Redis(watch) => watch.swap(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use isotherm_stores::to_stderr;

    use super::*;

    #[test]
    fn a_value_is_replaced_if_it_is_the_one_that_was_seen() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("kv.db");
        let file = KeyValueFile::open(&path, "default", to_stderr).unwrap();
        let store = KeyValueStore::File(file);
        let mut cas = store.cas("key".to_owned());
        assert_eq!(cas.look(), Ok(None));
        assert_eq!(cas.swap(b"1"), Ok(true));
        assert_eq!(cas.look(), Ok(Some(b"1".to_vec())));
        store.set("key", b"2").unwrap();
        assert_eq!(cas.swap(b"3"), Ok(false));
        assert_eq!(cas.look(), Ok(Some(b"2".to_vec())));
        assert_eq!(cas.swap(b"3"), Ok(true));
        assert_eq!(store.get("key"), Ok(Some(b"3".to_vec())));
    }
}

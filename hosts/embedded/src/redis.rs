//! A key-value store in Redis with the semantics of Spin's (`key-value-redis` of Spin
//! 3.6 and 4.0), including the flaws that a component has to work around.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use isotherm_stores::{Failure, Pair};
use redis::{Client, Connection, RedisResult};

/// How long a call waits for Redis.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store in a Redis database that holds nothing else. Clones share the connection,
/// which is opened on first use and again after a failure.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl RedisStore {
    /// The store at `url`: `redis://host:port/number`.
    pub fn new(url: &str) -> Result<Self> {
        // Not the URL itself: it may contain a password.
        let client = Client::open(url).context("the URL of the Redis store can't be read")?;
        Ok(Self { client, connection: Arc::default() })
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    fn with<T>(&self, call: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T, Failure> {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let mut connection = match guard.take() {
                Some(connection) => connection,
                None => self.connect()?,
            };
            let result = call(&mut connection);
            let is_broken = result.as_ref().is_err_and(redis::RedisError::is_io_error);
            if !is_broken {
                *guard = Some(connection);
            }
            result
        };
        run().map_err(|error| error.to_string())
    }

    /// Stores `value` under `key`. It is as durable as Redis makes it.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        self.with(|connection| redis::cmd("SET").arg(key).arg(value).exec(connection))
    }

    /// Stores all pairs at once.
    pub fn set_many(&self, pairs: &[Pair]) -> Result<(), Failure> {
        self.with(|connection| redis::cmd("MSET").arg(pairs).exec(connection))
    }

    /// The value under `key`, if there is one.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.with(|connection| redis::cmd("GET").arg(key).query(connection))
    }

    /// As in Spin: instead of getting the values, sends `KEYS` with these keys, which
    /// Redis refuses.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, Failure> {
        self.with(|connection| redis::cmd("KEYS").arg(keys).query(connection))
    }

    /// Removes `keys`. Absent ones are no error, but an empty list is.
    pub fn delete_many(&self, keys: &[String]) -> Result<(), Failure> {
        self.with(|connection| redis::cmd("DEL").arg(keys).exec(connection))
    }

    /// All keys of the database, including those of other programs.
    pub fn keys(&self) -> Result<Vec<String>, Failure> {
        self.with(|connection| redis::cmd("KEYS").arg("*").query(connection))
    }

    /// A compare-and-swap on `key`, with a connection of its own.
    pub fn watch(&self, key: &str) -> Watch {
        Watch { store: self.clone(), connection: None, key: key.to_owned() }
    }
}

/// A key that is watched from the first time it is read.
pub struct Watch {
    store: RedisStore,
    connection: Option<Connection>,
    key: String,
}

impl Watch {
    /// Reads the current value.
    pub fn look(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut run = || {
            let mut connection = self.store.connect()?;
            redis::cmd("WATCH").arg(&self.key).exec(&mut connection)?;
            let value = redis::cmd("GET").arg(&self.key).query(&mut connection);
            self.connection = Some(connection);
            value
        };
        run().map_err(|error: redis::RedisError| error.to_string())
    }

    /// As in Spin, it never counts as done. Redis does it, unless another client has changed
    /// the value; but then Spin sends `UNWATCH` with the key, which Redis refuses, and takes
    /// that for its outcome.
    pub fn swap(&mut self, new: &[u8]) -> Result<bool, Failure> {
        let mut run = || {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.store.connect()?,
            };
            redis::pipe().atomic().set(&self.key, new).exec(&mut connection)?;
            Ok(redis::cmd("UNWATCH").arg(&self.key).exec(&mut connection).is_ok())
        };
        run().map_err(|error: redis::RedisError| error.to_string())
    }
}

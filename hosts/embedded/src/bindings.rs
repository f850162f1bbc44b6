//! Spin's interfaces that the components import, implemented over the stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use isotherm_stores::Failure;
use rusqlite::types::Value as SqliteValue;
use tokio::task::block_in_place;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::database::{Connected, Database};
use crate::faults::{Access, Faults, Store};
use crate::key_value::{Cas, KeyValueStore};
use crate::log::OfComponent;
use crate::manifest::Mount;
use crate::memory::Memory;
use crate::origin::Origin;
use crate::outbound::Outbound;

mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "isotherm:host/imports",
        with: {
            "spin:sqlite/sqlite.connection": crate::database::Connected,
            "wasi:keyvalue/store.bucket": crate::key_value::KeyValueStore,
            "wasi:keyvalue/atomics.cas": crate::key_value::Cas,
        },
    });
}

use generated::fermyon::spin::variables;
use generated::spin::sqlite::sqlite;
use generated::wasi::keyvalue::{atomics, batch, store};

/// What one component may use, shared by all its instances.
pub(crate) struct Grants {
    pub(crate) key_value: BTreeMap<String, KeyValueStore>,
    pub(crate) sqlite: BTreeMap<String, Database>,
    pub(crate) outbound: Vec<Origin>,
    pub(crate) files: Vec<Mount>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) faults: Arc<Faults>,
}

/// The state of one instance, which lives for one request.
pub(crate) struct Instance {
    grants: Arc<Grants>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Outbound,
    memory: Memory,
}

impl Instance {
    pub(crate) fn new(grants: Arc<Grants>, memory: Memory) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdout().stderr(OfComponent);
        for Mount { source, destination } in &grants.files {
            wasi.preopened_dir(source, destination, FsPerms::ReadOnly)?;
        }
        let hooks = Outbound(grants.clone());
        Ok(Self {
            grants,
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks,
            memory,
        })
    }

    /// The limits on the instance's memory.
    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Makes a call to key-value, which may block or meet a fault.
    fn key_value<T>(
        &self,
        access: Access,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, store::Error> {
        let called = block_in_place(|| self.grants.faults.call(Store::KeyValue, access, work));
        called.map_err(store::Error::Other)
    }

    /// Makes a call to SQLite, which may block or meet a fault.
    fn sqlite<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, sqlite::Error> {
        let called = block_in_place(|| self.grants.faults.call(Store::Sqlite, Access::Write, work));
        called.map_err(sqlite::Error::Io)
    }

    fn bucket(&self, bucket: &Resource<KeyValueStore>) -> Result<KeyValueStore, store::Error> {
        let found = self.table.get(bucket).cloned();
        found.map_err(|error| store::Error::Other(error.to_string()))
    }

    fn connection(&self, connection: &Resource<Connected>) -> Result<&Connected, sqlite::Error> {
        self.table.get(connection).map_err(|_gone| sqlite::Error::InvalidConnection)
    }
}

/// Adds everything that the components may import.
pub(crate) fn add_to_linker(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    generated::Imports::add_to_linker::<_, wasmtime::component::HasSelf<Instance>>(
        linker,
        |instance| instance,
    )
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl variables::Host for Instance {
    fn get(&mut self, name: String) -> Result<String, variables::Error> {
        let found = self.grants.variables.get(&name).cloned();
        found.ok_or(variables::Error::Undefined(name))
    }
}

impl store::Host for Instance {
    fn open(&mut self, label: String) -> Result<Resource<KeyValueStore>, store::Error> {
        let granted = self.grants.key_value.get(&label).cloned();
        let store = granted.ok_or(store::Error::AccessDenied)?;
        self.table.push(store).map_err(|error| store::Error::Other(error.to_string()))
    }
}

impl store::HostBucket for Instance {
    fn get(
        &mut self,
        bucket: Resource<KeyValueStore>,
        key: String,
    ) -> Result<Option<Vec<u8>>, store::Error> {
        let store = self.bucket(&bucket)?;
        self.key_value(Access::Read, || store.get(&key))
    }

    fn set(
        &mut self,
        bucket: Resource<KeyValueStore>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), store::Error> {
        let store = self.bucket(&bucket)?;
        self.key_value(Access::Write, || store.set(&key, &value))
    }

    fn delete(&mut self, bucket: Resource<KeyValueStore>, key: String) -> Result<(), store::Error> {
        batch::Host::delete_many(self, bucket, vec![key])
    }

    fn exists(
        &mut self,
        bucket: Resource<KeyValueStore>,
        key: String,
    ) -> Result<bool, store::Error> {
        Ok(store::HostBucket::get(self, bucket, key)?.is_some())
    }

    fn list_keys(
        &mut self,
        bucket: Resource<KeyValueStore>,
        cursor: Option<String>,
    ) -> Result<store::KeyResponse, store::Error> {
        if cursor.is_some() {
            return Err(store::Error::Other("list_keys: cursor not supported".to_owned()));
        }
        let store = self.bucket(&bucket)?;
        let keys = self.key_value(Access::Read, || store.keys())?;
        Ok(store::KeyResponse { keys, cursor: None })
    }

    fn drop(&mut self, bucket: Resource<KeyValueStore>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for Instance {
    fn get_many(
        &mut self,
        bucket: Resource<KeyValueStore>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, store::Error> {
        let store = self.bucket(&bucket)?;
        let pairs = self.key_value(Access::Read, || store.get_many(&keys))?;
        Ok(pairs.into_iter().map(|(key, value)| (key, Some(value))).collect())
    }

    fn set_many(
        &mut self,
        bucket: Resource<KeyValueStore>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), store::Error> {
        let store = self.bucket(&bucket)?;
        self.key_value(Access::Write, || store.set_many(&pairs))
    }

    fn delete_many(
        &mut self,
        bucket: Resource<KeyValueStore>,
        keys: Vec<String>,
    ) -> Result<(), store::Error> {
        let store = self.bucket(&bucket)?;
        self.key_value(Access::Write, || store.delete_many(&keys))
    }
}

impl atomics::Host for Instance {
    fn increment(
        &mut self,
        _bucket: Resource<KeyValueStore>,
        _key: String,
        _delta: i64,
    ) -> Result<i64, store::Error> {
        Err(store::Error::Other("increment: not provided by this runtime".to_owned()))
    }

    fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Result<(), atomics::CasError> {
        let failed = |error: String| atomics::CasError::StoreError(store::Error::Other(error));
        let mut cas = self.table.delete(cas).map_err(|error| failed(error.to_string()))?;
        if self
            .key_value(Access::Write, || cas.swap(&value))
            .map_err(atomics::CasError::StoreError)?
        {
            return Ok(());
        }
        self.key_value(Access::Read, || cas.look().map(drop))
            .map_err(atomics::CasError::StoreError)?;
        let fresh = self.table.push(cas).map_err(|error| failed(error.to_string()))?;
        Err(atomics::CasError::CasFailed(fresh))
    }
}

impl atomics::HostCas for Instance {
    fn new(
        &mut self,
        bucket: Resource<KeyValueStore>,
        key: String,
    ) -> Result<Resource<Cas>, store::Error> {
        let store = self.bucket(&bucket)?;
        let cas = self.table.push(store.cas(key));
        cas.map_err(|error| store::Error::Other(error.to_string()))
    }

    fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, store::Error> {
        let grants = self.grants.clone();
        let other = |error: String| store::Error::Other(error);
        let cas = self.table.get_mut(&cas).map_err(|error| other(error.to_string()))?;
        block_in_place(|| grants.faults.call(Store::KeyValue, Access::Read, || cas.look()))
            .map_err(other)
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl sqlite::Host for Instance {}

impl sqlite::HostConnection for Instance {
    fn open(&mut self, label: String) -> Result<Resource<Connected>, sqlite::Error> {
        let granted = self.grants.sqlite.get(&label);
        let connection = granted.ok_or(sqlite::Error::AccessDenied)?.connect();
        self.table.push(connection).map_err(|error| sqlite::Error::Io(error.to_string()))
    }

    fn execute(
        &mut self,
        connection: Resource<Connected>,
        statement: String,
        parameters: Vec<sqlite::Value>,
    ) -> Result<sqlite::QueryResult, sqlite::Error> {
        let parameters = parameters.into_iter().map(to_sqlite).collect();
        let connection = self.connection(&connection)?;
        let answer = self.sqlite(|| connection.execute(&statement, parameters))?;
        let row = |row: Vec<SqliteValue>| sqlite::RowResult {
            values: row.into_iter().map(from_sqlite).collect(),
        };
        let rows = answer.rows.into_iter().map(row).collect();
        Ok(sqlite::QueryResult { columns: answer.columns, rows })
    }

    fn last_insert_rowid(&mut self, connection: Resource<Connected>) -> i64 {
        self.connection(&connection).map_or(0, |c| c.last_insert_rowid().unwrap_or(0))
    }

    fn changes(&mut self, connection: Resource<Connected>) -> u64 {
        self.connection(&connection).map_or(0, |c| c.changes().unwrap_or(0))
    }

    fn drop(&mut self, connection: Resource<Connected>) -> wasmtime::Result<()> {
        let connection = self.table.delete(connection)?;
        // Closing the last connection to a file in WAL mode checkpoints it.
        block_in_place(|| drop(connection));
        Ok(())
    }
}

fn to_sqlite(value: sqlite::Value) -> SqliteValue {
    match value {
        sqlite::Value::Integer(number) => SqliteValue::Integer(number),
        sqlite::Value::Real(number) => SqliteValue::Real(number),
        sqlite::Value::Text(text) => SqliteValue::Text(text),
        sqlite::Value::Blob(bytes) => SqliteValue::Blob(bytes),
        sqlite::Value::Null => SqliteValue::Null,
    }
}

fn from_sqlite(value: SqliteValue) -> sqlite::Value {
    match value {
        SqliteValue::Integer(number) => sqlite::Value::Integer(number),
        SqliteValue::Real(number) => sqlite::Value::Real(number),
        SqliteValue::Text(text) => sqlite::Value::Text(text),
        SqliteValue::Blob(bytes) => sqlite::Value::Blob(bytes),
        SqliteValue::Null => sqlite::Value::Null,
    }
}

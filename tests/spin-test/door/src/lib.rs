//! The application core of `ingest` behind a small door over spin-sdk 3.1, which is the
//! newest that spin-test accepts. What the SDK 5.2 does differently, the black-box tests
//! look at.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use isotherm::UnixMillis;
use isotherm::api::readings::{self, Begun, Handled};
use isotherm::host::{
    Ending, Host, KeyValue, Pair, Sql, StoreError, TransactionKind, Value, sqlite as seam,
};
use isotherm::http::{Headers, Problem, Request, Response};
use spin_sdk::key_value::{Error as KeyValueError, Store};
use spin_sdk::sqlite::{self, Connection};
use spin_sdk::{http_component, variables};

const LABEL: &str = "default";

/// The runtime, as far as spin-test simulates it.
struct SpinTest {
    /// spin-test's clock can't be waited for, so time passes by being looked at.
    now_ms: Cell<u64>,
}

impl Host for SpinTest {
    type KeyValue = Bucket;
    type Sql = Database;

    fn key_value(&self) -> Result<Bucket, StoreError> {
        Store::open(LABEL).map(Bucket).map_err(from_key_value)
    }

    fn sql(&self) -> Result<Database, StoreError> {
        Connection::open(LABEL).map(Database).map_err(from_sqlite)
    }

    fn variable(&self, name: &str) -> Result<Option<String>, StoreError> {
        match variables::get(name) {
            Ok(value) => Ok(Some(value)),
            Err(variables::Error::Undefined(_)) => Ok(None),
            Err(error) => Err(StoreError::from_message(error.to_string())),
        }
    }

    fn monotonic_ms(&self) -> u64 {
        self.now_ms.replace(self.now_ms.get() + 1)
    }

    fn sleep_ms(&self, ms: u64) {
        self.now_ms.set(self.now_ms.get() + ms);
    }

    /// Never a request's turn to fold: every connection to a database of spin-test is to
    /// a new one, so what is folded would be gone.
    fn secret(&self) -> Result<[u8; 32], StoreError> {
        Err(StoreError::from_message("no secrets here"))
    }

    fn random(&self) -> u64 {
        u64::from(u16::MAX)
    }

    fn asset(&self, _name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn log(&self, line: &str) {
        eprintln!("{line}");
    }
}

struct Bucket(Store);

impl KeyValue for Bucket {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.set(key, value).map_err(from_key_value)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key).map_err(from_key_value)
    }

    fn replace(&self, key: &str, old: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let is_there = KeyValue::get(self, key)?.as_deref() == old;
        if is_there {
            KeyValue::set(self, key, new)?;
        }
        Ok(is_there)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<Pair>, StoreError> {
        keys.iter().map(|key| Ok((key.clone(), KeyValue::get(self, key)?))).collect()
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        keys.iter().try_for_each(|key| self.0.delete(key).map_err(from_key_value))
    }

    fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.0.get_keys().map_err(from_key_value)
    }
}

fn from_key_value(error: KeyValueError) -> StoreError {
    match error {
        KeyValueError::NoSuchStore | KeyValueError::AccessDenied => {
            StoreError::denied("the manifest does not give the key-value store")
        }
        other => StoreError::from_message(other.to_string()),
    }
}

struct Database(Connection);

impl Sql for Database {
    fn execute(&self, statement: &str, bindings: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let bindings: Vec<sqlite::Value> = bindings.iter().map(to_sqlite).collect();
        let result = self.0.execute(statement, &bindings).map_err(from_sqlite)?;
        let row = |row: sqlite::RowResult| row.values.into_iter().map(from_value).collect();
        result.rows.into_iter().map(row).collect()
    }

    fn transaction(
        &self,
        kind: TransactionKind,
        work: &mut dyn FnMut() -> Ending,
    ) -> Result<(), StoreError> {
        seam::transaction(self, kind, work)
    }

    fn parameters_max(&self) -> usize {
        seam::PARAMETERS_MAX
    }

    fn schema_version(&self) -> Result<i64, StoreError> {
        seam::schema_version(self)
    }

    fn set_schema_version(&self, version: i64) -> Result<(), StoreError> {
        seam::set_schema_version(self, version)
    }
}

fn to_sqlite(value: &Value) -> sqlite::Value {
    match value {
        Value::Integer(number) => sqlite::Value::Integer(*number),
        Value::Text(text) => sqlite::Value::Text(text.clone()),
        Value::Blob(bytes) => sqlite::Value::Blob(bytes.clone()),
        Value::Null => sqlite::Value::Null,
    }
}

fn from_value(value: sqlite::Value) -> Result<Value, StoreError> {
    match value {
        sqlite::Value::Integer(number) => Ok(Value::Integer(number)),
        sqlite::Value::Text(text) => Ok(Value::Text(text)),
        sqlite::Value::Blob(bytes) => Ok(Value::Blob(bytes)),
        sqlite::Value::Null => Ok(Value::Null),
        sqlite::Value::Real(_) => Err(StoreError::from_message("a type that the schema has not")),
    }
}

fn from_sqlite(error: sqlite::Error) -> StoreError {
    match error {
        sqlite::Error::NoSuchDatabase | sqlite::Error::AccessDenied => {
            StoreError::denied("the manifest does not give the database")
        }
        other => StoreError::from_message(other.to_string()),
    }
}

#[http_component]
fn handle(request: spin_sdk::http::Request) -> anyhow::Result<spin_sdk::http::Response> {
    let headers = Headers::from_lines(|name| {
        let value = request.header(name).and_then(|value| value.as_str());
        value.map(ToOwned::to_owned).into_iter().collect()
    });
    let head = Request {
        method: http::Method::from_bytes(request.method().to_string().as_bytes())?,
        headers,
        ..Request::get(&request.path_and_query().unwrap_or_default())
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = UnixMillis::new(i64::try_from(now)?).unwrap_or(UnixMillis::MAX);
    let host = SpinTest { now_ms: Cell::new(0) };
    let handled = match readings::begin(&host, &head, now) {
        Begun::WantsBody(admitted) if request.body().len() > admitted.body_limit => {
            let problem = Problem::body_too_large(admitted.body_limit);
            readings::refuse(&host, &head, &admitted, problem)
        }
        Begun::WantsBody(admitted) => {
            readings::answer(&host, &head, &admitted, request.body(), now)
        }
        Begun::Done(handled) => handled,
    };
    let Handled { response, after_answer, .. } = handled;
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    Ok(answer(response))
}

fn answer(response: Response) -> spin_sdk::http::Response {
    let mut builder = spin_sdk::http::Response::builder();
    builder.status(response.status.as_u16());
    for (name, value) in response.headers {
        builder.header(name, value);
    }
    builder.body(response.body).build()
}

//! A database on a server of libSQL, as Spin has one (`sqlite-libsql` of Spin 3.6 and 4.0): with
//! the same client in the same version, which parses every statement and renders it anew before
//! it sends it.
//!
//! One connection of a component is one stream of the server's protocol, and so can hold a
//! transaction. As in Spin, each has a client of its own.

use std::fmt;

use ::libsql::{Builder, Connection, Value as Sent};
use isotherm_stores::results::{RESULT_BYTES_MAX, size, too_large};
use isotherm_stores::{Answer, Failure};
use rusqlite::types::Value;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// A server and the token for it.
#[derive(Clone, PartialEq, Eq)]
pub struct LibSqlServer {
    url: String,
    token: String,
}

impl LibSqlServer {
    /// The server at `url`, such as `http://127.0.0.1:8080`. It is called when there is a
    /// statement for it.
    pub fn new(url: String, token: String) -> Self {
        Self { url, token }
    }

    /// A connection that is opened with its first statement.
    pub fn connect(&self) -> LibSqlConnection {
        LibSqlConnection { server: self.clone(), connection: OnceCell::new() }
    }
}

impl fmt::Debug for LibSqlServer {
    /// Without the token; the URL may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LibSqlServer")
    }
}

/// A connection to a server. Its statements run on a thread of a runtime that may block.
pub struct LibSqlConnection {
    server: LibSqlServer,
    connection: OnceCell<Connection>,
}

impl LibSqlConnection {
    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// What the client or the server says, and an answer that is too large.
    pub fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Answer, Failure> {
        Handle::current().block_on(async {
            let connection = self.open().await?;
            let parameters: Vec<Sent> = parameters.into_iter().map(to_sent).collect();
            let mut rows = connection.query(statement, parameters).await.map_err(in_words)?;
            let width = rows.column_count();
            let name = |column| rows.column_name(column).unwrap_or_default().to_owned();
            let mut answer = Answer { columns: (0..width).map(name).collect(), rows: Vec::new() };
            let mut bytes = 0;
            while let Some(row) = rows.next().await.map_err(in_words)? {
                let value = |column| row.get_value(column).map(from_sent);
                let row: Vec<Value> =
                    (0..width).map(value).collect::<Result<_, _>>().map_err(in_words)?;
                bytes += row.iter().map(size).sum::<usize>();
                if bytes > RESULT_BYTES_MAX {
                    return Err(too_large());
                }
                answer.rows.push(row);
            }
            Ok(answer)
        })
    }

    async fn open(&self) -> Result<&Connection, Failure> {
        let connect = || async {
            let LibSqlServer { url, token } = self.server.clone();
            Builder::new_remote(url, token).build().await?.connect()
        };
        self.connection.get_or_try_init(connect).await.map_err(in_words)
    }

    /// Rows changed by the last statement.
    pub fn changes(&self) -> u64 {
        self.connection.get().map_or(0, Connection::changes)
    }

    /// The rowid of the last INSERT.
    pub fn last_insert_rowid(&self) -> i64 {
        self.connection.get().map_or(0, Connection::last_insert_rowid)
    }
}

fn in_words(error: ::libsql::Error) -> Failure {
    error.to_string()
}

fn to_sent(value: Value) -> Sent {
    match value {
        Value::Null => Sent::Null,
        Value::Integer(number) => Sent::Integer(number),
        Value::Real(number) => Sent::Real(number),
        Value::Text(text) => Sent::Text(text),
        Value::Blob(bytes) => Sent::Blob(bytes),
    }
}

fn from_sent(value: Sent) -> Value {
    match value {
        Sent::Null => Value::Null,
        Sent::Integer(number) => Value::Integer(number),
        Sent::Real(number) => Value::Real(number),
        Sent::Text(text) => Value::Text(text),
        Sent::Blob(bytes) => Value::Blob(bytes),
    }
}

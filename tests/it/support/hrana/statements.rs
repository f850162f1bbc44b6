//! Runs a statement of the protocol on SQLite.

use std::sync::Arc;

use libsql_hrana::proto::{
    Col, CursorEntry, Error, Row, StepBeginEntry, StepEndEntry, StmtResult, Value,
};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// What a statement returned.
pub(super) struct Ran {
    columns: Vec<Col>,
    rows: Vec<Row>,
    affected: u64,
    rowid: i64,
}

impl Ran {
    /// As the entries of a cursor, for the step of this number.
    pub(super) fn entries(self, step: u32) -> impl Iterator<Item = CursorEntry> {
        let begin = StepBeginEntry { step, cols: self.columns };
        let end =
            StepEndEntry { affected_row_count: self.affected, last_insert_rowid: Some(self.rowid) };
        let rows = self.rows.into_iter().map(|row| CursorEntry::Row { row });
        std::iter::once(CursorEntry::StepBegin(begin))
            .chain(rows)
            .chain([CursorEntry::StepEnd(end)])
    }

    /// As the result of a request in a pipeline.
    pub(super) fn result(self) -> StmtResult {
        StmtResult {
            cols: self.columns,
            rows: self.rows,
            affected_row_count: self.affected,
            last_insert_rowid: Some(self.rowid),
            replication_index: None,
            rows_read: 0,
            rows_written: 0,
            query_duration_ms: 0.0,
        }
    }
}

/// Whether a statement, or the transaction that it begins, may write.
pub(super) fn writes(connection: &Connection, sql: &str) -> bool {
    sql.starts_with("BEGIN IMMEDIATE")
        || connection.prepare_cached(sql).is_ok_and(|statement| !statement.readonly())
}

pub(super) fn run(connection: &Connection, sql: &str, args: &[Value]) -> Result<Ran, Error> {
    try_run(connection, sql, args).map_err(|error| {
        let code = error.sqlite_error_code().map(|code| format!("SQLITE_{code:?}"));
        Error {
            message: format!("SQLite error: {error}"),
            code: code.unwrap_or_else(|| "SQLITE_UNKNOWN".to_owned()),
        }
    })
}

fn try_run(connection: &Connection, sql: &str, args: &[Value]) -> rusqlite::Result<Ran> {
    let mut statement = connection.prepare_cached(sql)?;
    let column = |name: &str| Col { name: Some(name.to_owned()), decltype: None };
    let columns: Vec<Col> = statement.column_names().into_iter().map(column).collect();
    for (place, arg) in (1..).zip(args) {
        statement.raw_bind_parameter(place, bound(arg))?;
    }
    let (mut rows, mut found) = (Vec::new(), statement.raw_query());
    while let Some(row) = found.next()? {
        let values = (0..columns.len()).map(|at| row.get_ref(at).map(sent));
        rows.push(Row { values: values.collect::<rusqlite::Result<_>>()? });
    }
    drop(found);
    let (affected, rowid) = (connection.changes(), connection.last_insert_rowid());
    Ok(Ran { columns, rows, affected, rowid })
}

fn bound(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::None | Value::Null => ValueRef::Null,
        Value::Integer { value } => ValueRef::Integer(*value),
        Value::Float { value } => ValueRef::Real(*value),
        Value::Text { value } => ValueRef::Text(value.as_bytes()),
        Value::Blob { value } => ValueRef::Blob(value),
    })
}

fn sent(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer { value },
        ValueRef::Real(value) => Value::Float { value },
        ValueRef::Text(text) => Value::Text { value: Arc::from(String::from_utf8_lossy(text)) },
        ValueRef::Blob(bytes) => Value::Blob { value: bytes.to_vec().into() },
    }
}

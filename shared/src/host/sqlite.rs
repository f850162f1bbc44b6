//! Transactions and the schema's version as SQL statements, for a host whose database
//! is unrestricted SQLite.

use crate::host::{Ending, Sql, StoreError, TransactionKind, Value};

/// The most bindings of one statement (SQLITE_MAX_VARIABLE_NUMBER since SQLite 3.32).
pub const PARAMETERS_MAX: usize = 32_766;

/// [`Sql::transaction`] by BEGIN, COMMIT and ROLLBACK.
pub fn transaction(
    sql: &impl Sql,
    kind: TransactionKind,
    work: &mut dyn FnMut() -> Ending,
) -> Result<(), StoreError> {
    let begin = match kind {
        TransactionKind::Write => "BEGIN IMMEDIATE",
        TransactionKind::Read => "BEGIN",
    };
    sql.execute(begin, &[])?;
    let committed = match work() {
        Ending::Commit => Some(sql.execute("COMMIT", &[])),
        Ending::RollBack => None,
    };
    if let Some(Ok(_no_rows)) = committed {
        return Ok(());
    }
    // If this fails, too, closing the connection rolls back. The first error is the one
    // to report.
    match (sql.execute("ROLLBACK", &[]), committed) {
        (_, Some(Err(error))) => Err(error),
        _ => Ok(()),
    }
}

/// [`Sql::schema_version`] by the pragma `user_version`.
pub fn schema_version(sql: &impl Sql) -> Result<i64, StoreError> {
    let rows = sql.execute("PRAGMA user_version", &[])?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Integer(version)]) => Ok(*version),
        _ => Err(StoreError::from_message("user_version is no integer")),
    }
}

/// [`Sql::set_schema_version`] by the same pragma.
pub fn set_schema_version(sql: &impl Sql, version: i64) -> Result<(), StoreError> {
    sql.execute(&format!("PRAGMA user_version = {version}"), &[]).map(|_no_rows| ())
}

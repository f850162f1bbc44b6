//! What a host forwards to whose database is SQLite with nothing taken away: transactions
//! and the schema's version as statements.

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
    // If this fails, too, the connection's end rolls back; what led here is to be told.
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

/// [`Sql::set_schema_version`] by the same.
pub fn set_schema_version(sql: &impl Sql, version: i64) -> Result<(), StoreError> {
    sql.execute(&format!("PRAGMA user_version = {version}"), &[]).map(|_no_rows| ())
}

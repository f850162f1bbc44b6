//! Helpers for SQL statements that several files share.

use crate::host::{Sql, Value};
use crate::limits;

/// How many rows with `columns` bindings each fit into one statement.
pub(crate) fn rows_per_statement(sql: &impl Sql, columns: usize) -> usize {
    let bindings = sql.parameters_max().min(limits::BINDINGS_PER_STATEMENT);
    (bindings / columns).clamp(1, limits::ROWS_PER_STATEMENT)
}

/// `(?,?,?),(?,?,?)`: the same number of rows gives the same text, so that the host's
/// statement cache finds it.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    vec![row; rows].join(",")
}

/// The row as `N` integers; `None` if it is anything else.
pub(crate) fn integers<const N: usize>(row: &[Value]) -> Option<[i64; N]> {
    let integer = |value: &Value| match value {
        Value::Integer(number) => Some(*number),
        Value::Text(_) | Value::Blob(_) | Value::Null => None,
    };
    let numbers: Option<Vec<i64>> = row.iter().map(integer).collect();
    numbers?.try_into().ok()
}

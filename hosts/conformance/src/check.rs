//! A check, and the helpers to write one.

use std::fmt::Debug;

use isotherm::host::{Sql, Value};

/// `Err` says what was wrong.
pub type Outcome = Result<(), String>;

/// One thing that a host must do.
pub struct Check<H> {
    /// What it must do, as a name for a test.
    pub name: &'static str,
    /// Runs the check.
    pub run: fn(&H) -> Outcome,
}

/// Fails with both values if they differ.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} in place of {expected:?}")),
    }
}

/// Fails with `what` unless `is_so`.
pub(crate) fn holds(what: &str, is_so: bool) -> Outcome {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}

/// Puts an error into words, with what was to be done.
pub(crate) fn done<T, E: Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// The rows that a statement returns.
pub(crate) fn rows(
    sql: &impl Sql,
    statement: &str,
    bindings: &[Value],
) -> Result<Vec<Vec<Value>>, String> {
    done(statement, sql.execute(statement, bindings))
}

/// The first row that a statement returns.
pub(crate) fn row(
    sql: &impl Sql,
    statement: &str,
    bindings: &[Value],
) -> Result<Vec<Value>, String> {
    let rows = rows(sql, statement, bindings)?;
    rows.into_iter().next().ok_or_else(|| format!("{statement}: no row"))
}

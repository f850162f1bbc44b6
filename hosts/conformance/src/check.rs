//! A check, and the few words it is written with.

use std::fmt::Debug;

use isotherm::host::{Sql, Value};

/// `Err` says what was wrong.
pub type Outcome = Result<(), String>;

/// One thing that a host must do.
pub struct Check<H> {
    /// What it must do, as a name for a test.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(&H) -> Outcome,
}

/// Fails with both values where they differ.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} in place of {expected:?}")),
    }
}

/// Fails with `what` where it is not so.
pub(crate) fn holds(what: &str, is_so: bool) -> Outcome {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}

/// What was to be done and failed, in words.
pub(crate) fn done<T, E: Debug>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// The rows that a statement answers.
pub(crate) fn rows(
    sql: &impl Sql,
    statement: &str,
    bindings: &[Value],
) -> Result<Vec<Vec<Value>>, String> {
    done(statement, sql.execute(statement, bindings))
}

/// The first row of them.
pub(crate) fn row(
    sql: &impl Sql,
    statement: &str,
    bindings: &[Value],
) -> Result<Vec<Value>, String> {
    let rows = rows(sql, statement, bindings)?;
    rows.into_iter().next().ok_or_else(|| format!("{statement}: no row"))
}

//! Deleting expired rows of the ledger.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::PRUNED_BEFORE;

/// Deletes at most `runs_max` of the ledger's runs from before `before`. `before` is
/// stored first: an older reading can't be told from a duplicate any more. Conflicts of
/// that time are deleted with the readings that they contradict.
///
/// Must run inside a transaction.
pub(crate) fn prune(sql: &impl Sql, before: UnixMillis, runs_max: i64) -> Result<(), Error> {
    let remember = "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
                    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    // Whole minutes are deleted, so the stored time is the start of a minute.
    let minute = Value::Integer(before.minute());
    let pruned_before = before.minute().saturating_mul(UnixMillis::PER_MINUTE);
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned()), Value::Integer(pruned_before)];
    sql.execute(remember, &bindings).map_err(Error::Regions)?;
    let remove = "DELETE FROM ledger WHERE id IN (\
                      SELECT id FROM ledger WHERE minute < ?1 ORDER BY minute LIMIT ?2)";
    let bindings = [minute.clone(), Value::Integer(runs_max)];
    sql.execute(remove, &bindings).map_err(Error::Regions)?;
    let conflicts = "DELETE FROM conflicts WHERE minute < ?1";
    sql.execute(conflicts, &[minute]).map(|_no_rows| ()).map_err(Error::Regions)
}
